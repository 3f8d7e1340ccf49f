import { isRandom } from './randomness.ts';
import type { ParityConfig, Side } from './schema.ts';
import type { Snapshot } from './snapshot.ts';

/*
 * What of a text may differ between the environments: account, region, their names, what is declared, and what AWS makes up.
 * Pure.
 */

/** Something that stands for something else. */
export interface Substitution {
  /** `{account}` */
  as: string;
  /** What it is in either environment, to be shown. */
  staging: string;
  production: string;
}

/** A text with what stands for its variable parts. */
export interface Folded {
  text: string;
  /** Numbers of the substitutions that it took, each once. */
  used: readonly number[];
  /** The generated ids among what was replaced. */
  ids: readonly string[];
}

/** How far to fold. */
export interface FoldOptions {
  /** Times within names stay: they tell things apart that are not the same. */
  keepTimes?: boolean;
  /** The text is the name of a key: a UUID by itself is a generated one. */
  isKeyId?: boolean;
  /** What was learnt stays: a name of one environment may be any word in the other. */
  keepNames?: boolean;
}

/** What both environments call something, and what either of them does. */
export interface Known extends Record<Side, string> {
  name: string;
}

/** A literal text and its surroundings, as source of a regular expression. */
interface Literal {
  text: string;
  source: string;
  as: string;
  substitution: number;
}

const ID = '{id}';
const MOST_CACHED = 100_000;

/** What may be the whole name of something. */
const WHOLE_NAMES = /[A-Za-z0-9_-]{3,}/g;

const escaped = (text: string) => text.replace(/[.*+?^${}()|[\]\\/-]/g, '\\$&');

/** Folds the texts of two environments, each by what is its own. */
export class Folder {
  /** By the numbers that {@link Folded.used} gives. */
  readonly substitutions: Substitution[];
  readonly #literals: Record<Side, { pattern: RegExp; as: Map<string, Literal> }>;
  /** The number of generated ids. */
  readonly generated: number;
  /** Numbers of substitutions by a whole name, in either environment. */
  readonly #known: Record<Side, Map<string, number>> = { staging: new Map(), production: new Map() };
  /** By side and by how far to fold. */
  readonly #folded = Array.from({ length: 16 }, () => new Map<string, Folded>());

  constructor(
    parity: Pick<ParityConfig, 'substitutions' | Side>,
    staging: Pick<Snapshot, 'account' | 'region'>,
    production: Pick<Snapshot, 'account' | 'region'>,
  ) {
    const substitutions: Substitution[] = [];
    const literals: Record<Side, Literal[]> = { staging: [], production: [] };
    const add = (as: string, staging: string, production: string) =>
      substitutions.push({ as: `{${as}}`, staging, production }) - 1;
    for (const { staging: one, production: other, as = 'value' } of parity.substitutions) {
      const substitution = add(as, one, other);
      literals.staging.push(declared(one, as, substitution));
      literals.production.push(declared(other, as, substitution));
    }
    literals.staging.sort(longestFirst);
    literals.production.sort(longestFirst);
    // What is the same in both environments explains nothing.
    if (staging.account !== production.account) {
      const substitution = add('account', staging.account, production.account);
      literals.staging.push(accountOf(staging.account, substitution));
      literals.production.push(accountOf(production.account, substitution));
    }
    if (staging.region !== production.region) {
      const substitution = add('region', staging.region, production.region);
      literals.staging.push(regionOf(staging.region, substitution));
      literals.production.push(regionOf(production.region, substitution));
    }
    const names = { staging: parity.staging.names, production: parity.production.names };
    const environment = add('environment', names.staging.join(', '), names.production.join(', '));
    // Staging and production are as different as STAGING and PRODUCTION, but not Staging and production: somebody looks that
    // up. Names that are not in lower case to begin with have no such order.
    const isCased = [...names.staging, ...names.production].every((name) => name === name.toLowerCase());
    literals.staging.push(...environmentOf(names.staging, isCased, environment));
    literals.production.push(...environmentOf(names.production, isCased, environment));
    this.generated = add('id', 'a generated id', 'a generated id');

    this.substitutions = substitutions;
    const placeholders = new Set([...literals.staging, ...literals.production].map(({ as }) => as));
    this.#literals = {
      staging: compile(literals.staging, placeholders),
      production: compile(literals.production, placeholders),
    };
  }

  /**
   * Has whole names of things stand for each other, too, where they are not the same once they are folded: names that
   * tocsin.yaml pairs, and those that CloudFormation cuts off at different places. One that stands for two things is left
   * as it is.
   */
  learn(known: readonly Known[]): void {
    const named = known.filter(
      ({ staging, production }) =>
        this.fold('staging', staging).text !== this.fold('production', production).text,
    );
    const times = { staging: countOf(named, 'staging'), production: countOf(named, 'production') };
    for (const { name, staging, production } of named) {
      if (times.staging.get(staging) !== 1 || times.production.get(production) !== 1) continue;
      const substitution = this.substitutions.push({ as: `{${name}}`, staging, production }) - 1;
      this.#known.staging.set(staging, substitution);
      this.#known.production.set(production, substitution);
    }
    for (const cache of this.#folded) cache.clear();
  }

  /**
   * Whether a text of production points to staging: it is a name of what is staging's own, or the ARN of that, or it has its
   * account, its name or what is declared of it. Its name by itself may be any word; its region has much that is nobody's.
   */
  namesStaging(text: string): boolean {
    if (text.length < 3) return false;
    const own = text.startsWith('arn:')
      ? text.slice(Math.max(...[':', '/'].map((at) => text.lastIndexOf(at))) + 1)
      : text;
    if (this.#known.staging.has(own)) return true;
    const { text: folded, used } = this.fold('staging', text, { keepNames: true });
    return (
      !/^\{environment\}$/i.test(folded) &&
      used.some((index) => index !== this.generated && this.substitutions[index]?.as !== '{region}')
    );
  }

  /** A text of one environment, with what stands for its variable parts. */
  fold(side: Side, text: string, options: FoldOptions = {}): Folded {
    const { keepTimes = false, isKeyId = false, keepNames = false } = options;
    const flags = [side === 'production', keepTimes, isKeyId, keepNames];
    const number = flags.reduce((sum, flag) => 2 * sum + (flag ? 1 : 0), 0);
    const cache = this.#folded[number] as Map<string, Folded>;
    const known = cache.get(text);
    if (known !== undefined) return known;
    const folded = this.#fold(side, text, { keepTimes, isKeyId, keepNames });
    if (cache.size < MOST_CACHED) cache.set(text, folded);
    return folded;
  }

  #fold(side: Side, text: string, { keepTimes, isKeyId, keepNames }: Required<FoldOptions>): Folded {
    const used = new Set<number>();
    const ids: string[] = [];
    const literals = (rest: string) => this.#replaceLiterals(side, rest, used);
    const replaced = keepNames ? literals(text) : this.#replaceNames(side, text, used, literals);
    const generated = (id: string) => {
      used.add(this.generated);
      ids.push(id);
      return ID;
    };
    const folded =
      isKeyId && WHOLE_UUID.test(replaced) ? generated(replaced) : foldIds(replaced, keepTimes, generated);
    return { text: folded, used: [...used], ids };
  }

  /** @param others what becomes of the text between the names, which is not what stands for a name */
  #replaceNames(side: Side, text: string, used: Set<number>, others: (rest: string) => string): string {
    const known = this.#known[side];
    if (known.size === 0) return others(text);
    const parts: string[] = [];
    let from = 0;
    for (const { 0: match, index } of text.matchAll(WHOLE_NAMES)) {
      const substitution = known.get(match);
      if (substitution === undefined) continue;
      used.add(substitution);
      parts.push(others(text.slice(from, index)), this.substitutions[substitution]?.as ?? match);
      from = index + match.length;
    }
    return [...parts, others(text.slice(from))].join('');
  }

  #replaceLiterals(side: Side, text: string, used: Set<number>): string {
    const { pattern, as } = this.#literals[side];
    return text.replace(pattern, (match) => {
      const literal = as.get(match);
      // A text that has a placeholder to begin with is not what it would stand for.
      if (literal === undefined) return `{${match}}`;
      used.add(literal.substitution);
      return literal.as;
    });
  }
}

function countOf(known: readonly Known[], side: Side): Map<string, number> {
  const times = new Map<string, number>();
  for (const one of known) times.set(one[side], (times.get(one[side]) ?? 0) + 1);
  return times;
}

const longestFirst = (a: Pick<Literal, 'text'>, b: Pick<Literal, 'text'>) =>
  b.text.length - a.text.length || (a.text < b.text ? -1 : 1);

/** Anywhere in a text, but no part of a longer number. */
function declared(text: string, as: string, substitution: number): Literal {
  const source = `${/^\d/.test(text) ? '(?<!\\d)' : ''}${escaped(text)}${/\d$/.test(text) ? '(?!\\d)' : ''}`;
  return { text, source, as: `{${as}}`, substitution };
}

function accountOf(text: string, substitution: number): Literal {
  return { text, source: `(?<!\\d)${text}(?!\\d)`, as: '{account}', substitution };
}

/** Also with the letter of an availability zone. */
function regionOf(text: string, substitution: number): Literal {
  const source = `(?<![A-Za-z0-9])${escaped(text)}(?![0-9]|[A-Za-z][A-Za-z0-9])`;
  return { text, source, as: '{region}', substitution };
}

/** As a word of its own, or as a hump of camel case. A word with a digit is another word: `staging2`. */
function environmentOf(names: readonly string[], isCased: boolean, substitution: number): Literal[] {
  const literals = new Map<string, Literal>();
  const add = (text: string, source: string, as: string) => {
    if (!literals.has(text)) {
      literals.set(text, { text, source, as: isCased ? as : '{environment}', substitution });
    }
  };
  for (const name of names) {
    const pascal = name.replace(/(?:^|[-_])([A-Za-z0-9])/g, (_, first: string) => first.toUpperCase());
    for (const text of [name, name.toLowerCase(), name.replaceAll('-', '_'), name.replaceAll('_', '-')]) {
      const upper = text.toUpperCase();
      add(text, `(?<![A-Za-z0-9])${escaped(text)}(?![a-z0-9])`, '{environment}');
      add(upper, `(?<![A-Z0-9])${escaped(upper)}(?![a-z0-9]|[A-Z](?![a-z]))`, '{ENVIRONMENT}');
    }
    // One capital letter may be the end of any word in capitals.
    if (pascal.length > 1) add(pascal, `${escaped(pascal)}(?![a-z0-9])`, '{Environment}');
  }
  return [...literals.values()].sort(longestFirst);
}

function compile(literals: readonly Literal[], placeholders: ReadonlySet<string>) {
  const as = new Map<string, Literal>();
  for (const literal of literals) if (!as.has(literal.text)) as.set(literal.text, literal);
  const sources = [
    ...literals.map(({ source }) => source),
    ...[...placeholders, ID].map((placeholder) => escaped(placeholder)),
  ];
  return { pattern: new RegExp(sources.map((source) => `(?:${source})`).join('|'), 'g'), as };
}

// ---------------------------------------------------------------------------------------------------------
// Generated ids
// ---------------------------------------------------------------------------------------------------------

const END = '(?![A-Za-z0-9_-])';
const HEX = '[0-9a-f]';
const UUID = `${HEX}{8}-${HEX}{4}-${HEX}{4}-${HEX}{4}-${HEX}{12}`;
const DAY = '20\\d\\d[01]\\d[0-3]\\d';
/** Hash of a logical id of the CDK, in the lower case of buckets, too. */
const LOGICAL = `(?!${DAY})[0-9A-F]{8}`;
const LOWER_LOGICAL = `(?!${DAY})${HEX}{8}`;
/** Twelve hexadecimal digits are a commit, and what begins with a day is of that day: neither is appended by AWS. */
const CHOSEN = `(?!${HEX}{12,13}(?![A-Za-z0-9]))(?!${DAY})`;
const WHOLE_UUID = new RegExp(`^${UUID}$`);

/*
 * Too little folded is a difference that somebody sees, and can declare; too much is one that nobody sees.
 */

/** What is one by its shape, and by what it stands beside. */
const IDS = [
  // Hash at the end of a logical id of the CDK.
  '(?=[0-9]*[A-F])(?=[A-F]*[0-9])[0-9A-F]{8}(?![A-Za-z0-9])(?<=[A-Za-z][a-z][A-Za-z0-9]{0,250}.{8})',
  // What CloudFormation appends to such an id, also in the lower case of buckets.
  `(?<=[a-z][A-Za-z0-9]{0,250}${LOGICAL}-)(?=[A-Za-z]*[0-9]|[A-Za-z]*[a-z][A-Z]|[A-Z]{2,}[a-z])[A-Za-z0-9]{12,13}${END}`,
  `(?<=[a-z][a-z0-9]{0,250}${LOWER_LOGICAL}-)(?=[a-z]*[0-9])[a-z0-9]{12,13}${END}`,
  `(?<=(?:^|[^A-Za-z0-9])(?:subnet|sg|vpc|vpce|eni|rtb|acl|igw|nat)-)(?:${HEX}{17}|${HEX}{8})(?![A-Za-z0-9-])`,
  // Of keys above all. In the path of an object it may be that of a model.
  `${UUID}${END}(?<=arn:aws[a-z-]*:(?!s3:)[^\\s"',]{1,300}[:/].{36})`,
];

/** Times that names end in, or have within them: `2026-11-22-10-30-15-123`, `20261122T103015Z`, milliseconds since 1970. */
const TIMES = [
  '20\\d\\d-[01]\\d-[0-3]\\d[-T_][0-2]\\d[-:]?[0-5]\\d[-:]?[0-5]\\d(?:[-.]\\d{3})?Z?',
  '20\\d\\d[01]\\d[0-3]\\d[-T_]?[0-2]\\d[0-5]\\d[0-5]\\d(?:\\d{3})?Z?',
  '1[5-9]\\d{11}',
].map((time) => `(?<=[A-Za-z0-9}][-_./])${time}(?![A-Za-z0-9])`);

/**
 * What CloudFormation appends to a stack and a logical id, where no id of the CDK stands before it, or it has letters of one
 * case alone: only if it is no word.
 */
const SUFFIX = new RegExp(
  `(?<=[A-Za-z0-9}]-[A-Za-z0-9{}]{1,128}-)${CHOSEN}(?:(?=[A-Za-z]*[0-9])(?:[A-Z0-9]{12,13}|[A-Za-z0-9]{12}|[a-z0-9]{13})|(?<=(?:\\{id\\}|${LOWER_LOGICAL})-)[A-Za-z]{12})${END}`,
  'g',
);

/** What stands after the bucket in the place of an object. */
const OBJECT_KEY = /(?:s3[an]?:\/\/|arn:aws[a-z-]*:s3:::)[^\s"',/]+\/([^\s"',]*)/dg;

const EXACT = new RegExp(IDS.map((source) => `(?:${source})`).join('|'), 'g');
const ALL = new RegExp([...IDS, ...TIMES].map((source) => `(?:${source})`).join('|'), 'g');

function foldIds(text: string, keepTimes: boolean, generated: (id: string) => string): string {
  // None is shorter.
  if (text.length < 8) return text;
  const once = replaceIds(text, keepTimes, keepTimes ? EXACT : ALL, generated);
  return replaceIds(once, keepTimes, SUFFIX, (suffix) => (isRandom(suffix) ? generated(suffix) : suffix));
}

/** @param keepKeys whether the keys of objects stay: a run that has made a model has an id there, too */
function replaceIds(
  text: string,
  keepKeys: boolean,
  pattern: RegExp,
  replace: (id: string) => string,
): string {
  const keys = keepKeys ? [...text.matchAll(OBJECT_KEY)].flatMap(({ indices }) => [indices?.[1] ?? []]) : [];
  if (keys.length === 0) return text.replace(pattern, (id) => replace(id));
  return text.replace(pattern, (id, ...rest) => {
    const at = rest.find((one) => typeof one === 'number') as number;
    return keys.some(([from = 0, to = 0]) => from <= at && at < to) ? id : replace(id);
  });
}
