import { canonicalJson } from '../shared/identity.ts';
import type { Difference } from './comparison.ts';
import type { Json } from './json.ts';
import { SIDES, type Side } from './schema.ts';

/*
 * How values and differences are called in everything that people read. Pure, and bounded.
 */

/** Characters of one value. */
const LONGEST = 120;

/** Characters before the first one in which two long values differ. */
const BEFORE = 30;

/** As snapshots hold them. */
const SECRET = /^sha256:[0-9a-f]{16}$/;

const HASH_DIGITS = 8;

/** How a value ends of which a comparison keeps the beginning alone. */
const BEGINNING = /… \([\d,]+ characters, sha256:[0-9a-f]{16}\)$/;

/** Whether a value is only the beginning of a long text, list or object. */
export function isBeginning(value: Json | undefined): boolean {
  return typeof value === 'string' && BEGINNING.test(value);
}

/** Whether a value is the hash of a secret. */
export function isSecret(value: Json | undefined): value is string {
  return typeof value === 'string' && SECRET.test(value);
}

/** The other environment. */
export function otherOf(side: Side): Side {
  return side === 'staging' ? 'production' : 'staging';
}

/**
 * Both values of a difference, so that they can be told apart: long ones from about where they differ, a text in quotes
 * where it is the same without. What is not there is `absent`; a list, an object or a very long text against nothing is just
 * `there`.
 */
export function valuesText(difference: Pick<Difference, Side>): Record<Side, string> {
  const values = SIDES.map((side) => difference[side].value);
  const [staging = '', production = ''] = textsOf(values);
  return { staging, production };
}

function textsOf(values: readonly (Json | undefined)[]): string[] {
  if (values.includes(undefined)) {
    return values.map((value) => {
      if (value === undefined) return 'absent';
      const isLarge = (typeof value === 'object' && value !== null) || isBeginning(value);
      return isLarge ? 'there' : cut(shortOf(value), '');
    });
  }
  const known = values as Json[];
  for (const text of [shortOf, wordOf, canonicalJson]) {
    const [a = '', b = ''] = known.map(text);
    if (a !== b) return [cut(a, b), cut(b, a)];
  }
  const [same = ''] = known.map(wordOf);
  return [cut(same, ''), cut(same, '')];
}

/** A value as people write it: a text without quotes, unless it would not be seen where it begins and ends. */
function wordOf(value: Json): string {
  if (typeof value !== 'string') return canonicalJson(value);
  return /^[^\s"](.*[^\s"])?$/u.test(value) && !/[\p{C}\u2028\u2029]/u.test(value)
    ? value
    : canonicalJson(value);
}

function shortOf(value: Json): string {
  return isSecret(value) ? `${value.slice(0, 'sha256:'.length + HASH_DIGITS)}…` : wordOf(value);
}

/** A text of bounded length, which begins shortly before it differs from another. */
function cut(text: string, other: string): string {
  const characters = [...text];
  if (characters.length <= LONGEST) return text;
  const others = [...other];
  let same = 0;
  while (same < characters.length && characters[same] === others[same]) same++;
  const from = same + BEFORE < LONGEST ? 0 : same - BEFORE;
  const part = characters.slice(from, from + LONGEST).join('');
  return `${from > 0 ? '…' : ''}${part}${from + LONGEST < characters.length ? '…' : ''}`;
}

/** `models.flight-delay.containers[0].environment.SCALER_VERSION is 1 in staging and 2 in production` */
export function differenceText(difference: Pick<Difference, 'text' | Side>): string {
  const { text } = difference;
  const { staging, production } = valuesText(difference);
  // The same text means something else where it names one environment, and stands in both.
  if (staging === production) {
    const owner = SIDES.find((side) => difference[side].folded !== undefined);
    const names = owner === undefined ? 'what it names is not the same' : `it names ${owner}`;
    return `${text} is ${staging} in both, and ${names}`;
  }
  const secret = SIDES.some((side) => isSecret(difference[side].value)) ? ', a secret, by its hash' : '';
  return `${text} is ${staging} in staging and ${production} in production${secret}`;
}
