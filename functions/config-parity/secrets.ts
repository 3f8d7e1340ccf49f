import { sha256 } from '../shared/identity.ts';
import { tryJson } from '../shared/schema.ts';
import type { Json } from './json.ts';
import {
  decoded,
  isDigestKey,
  isReference,
  isSecretAt,
  isSecretFlag,
  isSecretText,
} from './secret-shapes.ts';

/*
 * No secret gets into a snapshot: it is replaced by its hash, which says whether both environments have the same. Pure.
 */

/** Longer texts, in characters, are hashed unread. */
const MOST_TEXT = 1_000_000;

/** What is nested deeper is hashed whole. */
const MOST_DEPTH = 100;

/** Keys of a name and of what is called so: `{ name: 'DB_PASSWORD', value: 'x' }`. */
const NAMES = ['name', 'Name', 'key', 'Key', 'ParameterKey', 'ParameterName', 'variable', 'header'];
const VALUES = /^(?:default)?(?:value|values|content)$|^(?:parameter|string|secret|plain)_?value$|^default$/i;

/** A text of fewer characters says too little in Base64. */
const LEAST_BASE64 = 16;

const HASHED = /^sha256:[0-9a-f]{16}$/;

/**
 * A value without its secrets: in their place are texts of `sha256:` and 16 hexadecimal digits. Doing it twice is doing it
 * once.
 *
 * A secret is what stands at a key that names one, or below it, and whatever looks like one: see secret-shapes.ts. It is
 * looked for in JSON within texts, too, and in Base64.
 *
 * @param salt the same secret has the same hash with the same salt only
 * @param called what it is known by elsewhere, where it is an object with a `value`: the path of a parameter
 */
export function sanitise(value: Json | null, salt: string, called?: string): Json | null {
  const sanitising = new Sanitising(salt);
  const isSecret = called !== undefined && isObject(value) && isSecretAt(called, value.value);
  return isSecret ? sanitising.object(value, 0, false, true) : sanitising.value(value, 0, false);
}

/** Whether a text is the class of an error, or words of Tocsin's own: nothing that AWS or a user wrote. */
export function isGenuine(text: string): boolean {
  return /^[A-Za-z][A-Za-z0-9 ,:.'()-]{0,99}$/.test(text);
}

type ObjectValue = { [key: string]: Json };

class Sanitising {
  readonly #salt: string;
  /** Secrets so far: whether a text of JSON has one, without writing it anew. */
  #found = 0;

  constructor(salt: string) {
    this.#salt = salt;
  }

  /**
   * @param isSecret whether it stands at a key that names a secret, or below one
   * @param isDigest whether it stands at the key of a hash
   */
  value(value: Json, depth: number, isSecret: boolean, isDigest = false): Json {
    if (value === null) return null;
    if (typeof value === 'string') return this.#text(value, depth, isSecret, isDigest);
    if (typeof value !== 'object') return isSecret ? this.#hash(String(value)) : value;
    if (depth >= MOST_DEPTH) return this.#hash(flatten(value));
    if (!Array.isArray(value)) return this.object(value, depth, isSecret, false);
    return value.map((item, index) => {
      const before = value[index - 1];
      const isFlagged = typeof before === 'string' && isSecretFlag(before);
      return this.value(item, depth + 1, isSecret || isFlagged, isDigest);
    });
  }

  /** @param isSecretNamed whether what it is the name of is a secret, so that its value is one */
  object(value: ObjectValue, depth: number, isSecret: boolean, isSecretNamed: boolean): Json {
    const hasSecretValue = isSecretNamed || namesSecret(value);
    return Object.fromEntries(
      Object.entries(value).map(([key, inner]) => [
        isSecretText(key) ? this.#hash(key) : key,
        this.value(
          inner,
          depth + 1,
          isSecret || isSecretAt(key, inner) || (hasSecretValue && VALUES.test(key)),
          isDigestKey(key),
        ),
      ]),
    );
  }

  #text(text: string, depth: number, isSecret: boolean, isDigest: boolean): string {
    if (text === '' || HASHED.test(text)) return text;
    if (text.length > MOST_TEXT || depth > MOST_DEPTH) return this.#hash(text);
    if (isSecret) return isReference(text) && !isSecretText(text) ? text : this.#hash(text);
    const json = structureIn(text);
    if (json !== undefined) {
      const before = this.#found;
      const clean = this.value(json, depth + 1, false);
      return this.#found === before ? text : JSON.stringify(clean);
    }
    return this.#isSecret(text, depth, isDigest) ? this.#hash(text) : text;
  }

  #isSecret(text: string, depth: number, isDigest: boolean): boolean {
    const plain = text.length < LEAST_BASE64 ? undefined : decoded(text);
    const json = plain === undefined ? undefined : structureIn(plain);
    if (json !== undefined) {
      const before = this.#found;
      this.value(json, depth + 1, false);
      return this.#found > before;
    }
    // What sets something is as random in Base64 as a secret, and can be read.
    return isSecretText(plain !== undefined && /^[\w.-]+\s*[=:]/.test(plain) ? plain : text, isDigest);
  }

  #hash(text: string): string {
    if (HASHED.test(text)) return text;
    this.#found += 1;
    return `sha256:${sha256(`tocsin-parity\0${this.#salt}\0${text}`).slice(0, 16)}`;
  }
}

/** Whether the value beside a name is a secret: by that name, or since a store says so. */
function namesSecret(value: ObjectValue): boolean {
  if (value.type === 'SecureString' || value.Type === 'SecureString') return true;
  const inner = Object.entries(value).find(([key]) => VALUES.test(key))?.[1];
  return NAMES.some((key) => {
    const name = Object.hasOwn(value, key) ? value[key] : undefined;
    return typeof name === 'string' && isSecretAt(name, inner);
  });
}

/** What a text is the JSON of, if that is an object, a list, or the text of such JSON. */
function structureIn(text: string): Json | undefined {
  if (!/^\s*[{["]/.test(text)) return undefined;
  const value = tryJson(text) as Json | undefined;
  if (typeof value === 'string') return structureIn(value) === undefined ? undefined : value;
  return typeof value === 'object' && value !== null ? value : undefined;
}

function isObject(value: Json | null): value is ObjectValue {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** JSON with the keys of every object in ascending order, of what is nested too deeply for whatever is recursive. */
function flatten(value: Json): string {
  const parts: string[] = [];
  const left: ({ text: string } | { value: Json })[] = [{ value }];
  for (let next = left.pop(); next !== undefined; next = left.pop()) {
    if ('text' in next) parts.push(next.text);
    else if (typeof next.value !== 'object' || next.value === null) parts.push(JSON.stringify(next.value));
    else if (Array.isArray(next.value)) {
      parts.push('[');
      left.push(
        { text: ']' },
        ...next.value.toReversed().flatMap((item) => [{ text: ',' }, { value: item }]),
      );
    } else {
      parts.push('{');
      const entries = Object.entries(next.value).sort(([a], [b]) => (a < b ? 1 : -1));
      left.push(
        { text: '}' },
        ...entries.flatMap(([key, item]) => [
          { text: ',' },
          { value: item },
          { text: `${JSON.stringify(key)}:` },
        ]),
      );
    }
  }
  return parts.join('');
}
