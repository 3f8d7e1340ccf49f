import { canonicalJson, sha256 } from '../shared/identity.ts';
import { isKeyId, isTime, keepsOrder, keepsTimes, kindOf } from './classify.ts';
import type { Comparison, Difference, Folding, SideValue } from './comparison.ts';
import type { Folded, Folder, FoldOptions } from './fold.ts';
import type { Json } from './json.ts';
import { order, sortedBy } from './order.ts';
import { matchedBy, nodeOf, type Pairing, type Unknown, unknownOf } from './pairing.ts';
import { formatPath, itemOf, type Path } from './path.ts';
import { durationOf } from './quantities.ts';
import { type DifferenceKind, type ParityConfig, SEVERITY, SIDES, type Side } from './schema.ts';
import type { Snapshot } from './snapshot.ts';

/*
 * What two environments differ in. Pure, and linear in their size.
 */

/** Longer values are compared whole, and shown by their beginning. */
const MOST_SHOWN = 500;

const MOST_EXAMPLES = 3;

/** By these, in this order, an item of a list is known; the last three of pipelines. */
const NAME_KEYS = ['name', 'Name', 'Id', 'Key', 'InputName', 'OutputName', 'ChannelName'];

/** Something of both environments, or of one. */
interface Matched<T> {
  /** As both call it. */
  name: string;
  staging?: T;
  production?: T;
}

type ObjectValue = { [key: string]: Json };

/**
 * Compares two environments.
 *
 * @param pairing of the same snapshots, where the caller has it already
 */
export function compare(
  staging: Snapshot,
  production: Snapshot,
  parity: ParityConfig,
  pairing: Pairing = matchedBy({ staging, production }, parity),
): Comparison {
  const { folder, matched } = pairing;
  const comparing = new Comparing(folder);
  const unknown = unknownOf({ staging, production }, pairing);
  const comparison: Pick<Comparison, 'ambiguous' | 'missing'> = { ambiguous: [], missing: [] };
  let resources = 0;

  for (const { path, sides } of matched) {
    const [kind, name] = path;
    const rest = nodeOf(unknown, kind, name);
    if (rest?.whole === true) continue;
    const text = formatPath(path);
    const crowded = SIDES.filter((side) => sides[side].length > 1);
    for (const side of crowded) {
      const physical = sides[side].map((resource) => resource.physical).sort();
      comparison.ambiguous.push({ side, path, text, physical });
    }
    if (crowded.length > 0) continue;
    const [one, other] = [sides.staging[0], sides.production[0]];
    const [a, b] = [one?.value ?? null, other?.value ?? null];
    if (a === null && b === null) {
      // What is named is looked for in both. One alone knows of what its tags still name, or of a path that it has
      // nothing below.
      if (one !== undefined && other !== undefined) {
        comparison.missing.push({ path, text, staging: one.physical, production: other.physical });
      }
      continue;
    }
    if (a !== null && b !== null) resources += 1;
    comparing.compare(a ?? undefined, b ?? undefined, path, rest);
  }

  return {
    comparison: 1,
    differences: comparing.differences.sort((a, b) => order(a.text, b.text)),
    foldings: comparing.foldings(),
    ...comparison,
    resources,
    equal: comparing.equal,
  };
}

const KEEP_NAMES: FoldOptions = { keepNames: true };

/** Of two texts either may have words in it that are names of something in one environment alone. */
const FOLDINGS: readonly FoldOptions[] = [{}, KEEP_NAMES];

class Comparing {
  readonly differences: Difference[] = [];
  readonly equal: Record<DifferenceKind, number> = {
    schema: 0,
    inference: 0,
    environment: 0,
    safety: 0,
    capacity: 0,
    cosmetic: 0,
  };
  readonly #folder: Folder;
  readonly #foldings: Pick<Folding, 'values' | 'examples'>[];

  constructor(folder: Folder) {
    this.#folder = folder;
    this.#foldings = folder.substitutions.map(() => ({ values: 0, examples: [] }));
  }

  /** Those that have made something equal. */
  foldings(): Folding[] {
    return this.#folder.substitutions
      .map((substitution, index) => ({ ...substitution, ...this.#foldings[index]! }))
      .filter(({ values }) => values > 0);
  }

  /** @param unknown what is not known of it, and of what is below it */
  compare(a: Json | undefined, b: Json | undefined, path: Path, unknown?: Unknown): void {
    if (unknown?.whole === true) return;
    if (Array.isArray(a) && Array.isArray(b)) this.#lists(a, b, path, unknown);
    else if (isObject(a) && isObject(b)) this.#objects(a, b, path, unknown);
    else if (a === undefined || b === undefined || !this.#isEqual(a, b, path)) this.#differ(a, b, path);
  }

  #objects(a: ObjectValue, b: ObjectValue, path: Path, unknown: Unknown | undefined): void {
    const isImageKnown =
      path[0] === 'models' && typeof a.imageDigest === 'string' && typeof b.imageDigest === 'string';
    for (const { name, staging, production } of this.#match(Object.entries(a), Object.entries(b))) {
      const below = [...path, name];
      // What it is called says nothing of an image whose bytes are known.
      if (isImageKnown && name === 'image' && unknown?.below.get(name)?.whole !== true) {
        this.#image(staging, production, below);
      } else this.compare(staging, production, below, unknown?.below.get(name));
    }
  }

  #image(a: Json | undefined, b: Json | undefined, path: Path): void {
    if (a !== undefined && b !== undefined && this.#isEqual(a, b, path, 'cosmetic')) return;
    this.#differ(a, b, path, 'cosmetic');
  }

  #lists(a: readonly Json[], b: readonly Json[], path: Path, unknown: Unknown | undefined): void {
    const isNamed = [...a, ...b].every((item) => nameOf(item) !== undefined);
    const isOrdered = keepsOrder(path, isNamed);
    if (isNamed) this.#named(a as ObjectValue[], b as ObjectValue[], path, isOrdered, unknown);
    else if (!isOrdered) this.#sets(a, b, path);
    else if (a.length === b.length && [...a, ...b].every((item) => typeof item === 'object')) {
      for (const [index, item] of a.entries()) {
        const segment = itemOf(String(index));
        this.compare(item, b[index], [...path, segment], unknown?.below.get(segment));
      }
    } else this.#sequences(a, b, path);
  }

  #named(
    a: readonly ObjectValue[],
    b: readonly ObjectValue[],
    path: Path,
    isOrdered: boolean,
    unknown: Unknown | undefined,
  ): void {
    const matched = this.#match(
      this.#numbered('staging', a, path, isOrdered),
      this.#numbered('production', b, path, isOrdered),
    );
    for (const { name, staging, production } of matched) {
      const segment = itemOf(name);
      this.compare(staging, production, [...path, segment], unknown?.below.get(segment));
    }
    if (!isOrdered) return;
    const nameIn = (side: Side) =>
      new Map(matched.map((item) => [item[side] as Json | undefined, item.name]));
    const both = new Set(matched.filter((item) => item.staging && item.production).map(({ name }) => name));
    const namesOf = (items: readonly Json[], names: Map<Json | undefined, string>) =>
      items.map((item) => names.get(item) as string).filter((name) => both.has(name));
    const [one, other] = [namesOf(a, nameIn('staging')), namesOf(b, nameIn('production'))];
    if (one.some((name, index) => name !== other[index])) this.#differ(one, other, path);
  }

  /** Items with their names. Of several with one name the second has the name `<name>#2`. */
  #numbered(
    side: Side,
    items: readonly ObjectValue[],
    path: Path,
    isOrdered: boolean,
  ): [string, ObjectValue][] {
    const byName = new Map<string, ObjectValue[]>();
    for (const item of items) pushTo(byName, nameOf(item) as string, item);
    const numbered: [string, ObjectValue][] = [];
    for (const [name, [first, ...others]] of byName) {
      if (others.length === 0) {
        numbered.push([name, first as ObjectValue]);
        continue;
      }
      const all = [first as ObjectValue, ...others];
      const sorted = isOrdered ? all : sortedBy(all, (item) => this.#canonical(side, item, path));
      let number = 1;
      for (const item of sorted) {
        // Somebody may have numbered them before.
        while (number > 1 && byName.has(`${name}#${number}`)) number += 1;
        numbered.push([number === 1 ? name : `${name}#${number}`, item]);
        number += 1;
      }
    }
    return numbered;
  }

  /** Lists of things without names, in which the order says nothing: what one has and the other has not. */
  #sets(a: readonly Json[], b: readonly Json[], path: Path): void {
    const kind = kindOf(path);
    const raw = remove(a, b, canonicalSet);
    const crossed = raw.common.filter(([item]) => this.#pointsToStaging(item, path));
    const named = remove(raw.staging, raw.production, (item, side) => this.#canonical(side, item, path));
    const plain = remove(named.staging, named.production, (item, side) =>
      canonicalSet(this.#foldAll(side, item, path, KEEP_NAMES)),
    );
    const common = [...named.common, ...plain.common];
    this.equal[kind] += raw.common.length - crossed.length + common.length;
    for (const [one, other] of common) this.#note(one, other, path);
    const staging = [...plain.staging, ...crossed.map(([item]) => item)];
    const production = [...plain.production, ...crossed.map(([, item]) => item)];
    if (staging.length + production.length > 0) {
      this.#differ(sortedBy(staging, canonicalSet), sortedBy(production, canonicalSet), path);
    }
  }

  /** Lists in which the order says something, shown whole. */
  #sequences(a: readonly Json[], b: readonly Json[], path: Path): void {
    const isEqual =
      a.length === b.length &&
      a.every((item, index) => {
        const other = b[index] as Json;
        if (canonicalJson(item) === canonicalJson(other)) return !this.#pointsToStaging(item, path);
        return FOLDINGS.some(
          (how) =>
            canonicalJson(this.#foldAll('staging', item, path, how)) ===
            canonicalJson(this.#foldAll('production', other, path, how)),
        );
      });
    if (!isEqual) {
      this.#differ([...a], [...b], path);
      return;
    }
    this.equal[kindOf(path)] += a.length;
    for (const [index, item] of a.entries()) this.#note(item, b[index] as Json, path);
  }

  #isEqual(a: Json, b: Json, path: Path, kind: DifferenceKind = kindOf(path)): boolean {
    const isSame =
      a === b
        ? !this.#pointsToStaging(a, path)
        : typeof a === 'string' && typeof b === 'string' && this.#isSameText(a, b, path);
    if (isSame) this.equal[kind] += 1;
    return isSame;
  }

  /**
   * Whether a value that both environments have points to staging in both. Of staging it is its own; of production it is what
   * a comparison is for.
   */
  #pointsToStaging(value: Json, path: Path): boolean {
    // What Tocsin was deployed with names both environments in each.
    if (path[0] === 'tocsin' && path[2] !== 'functions') return false;
    if (typeof value === 'string') return this.#folder.namesStaging(value);
    if (typeof value !== 'object' || value === null) return false;
    return Object.values(value).some((inner) => this.#pointsToStaging(inner, path));
  }

  #isSameText(a: string, b: string, path: Path): boolean {
    const textOf = (side: Side, text: string, how: FoldOptions) =>
      this.#folder.fold(side, text, { ...optionsOf(path), ...how }).text;
    if (FOLDINGS.some((how) => textOf('staging', a, how) === textOf('production', b, how))) {
      this.#note(a, b, path);
      return true;
    }
    if (!isTime(path)) return false;
    const ms = durationOf(a);
    return ms !== undefined && ms === durationOf(b);
  }

  /** Takes down what made two values equal that are not the same. */
  #note(a: Json, b: Json, path: Path): void {
    if (a === b || (typeof a === 'object' && canonicalJson(a) === canonicalJson(b))) return;
    const [one, other] = [this.#foldedOf('staging', a, path), this.#foldedOf('production', b, path)];
    const isSameIds = one.ids.join() === other.ids.join();
    for (const index of one.used) {
      if (!other.used.includes(index) || (index === this.#folder.generated && isSameIds)) continue;
      const folding = this.#foldings[index]!;
      folding.values += 1;
      if (folding.examples.length < MOST_EXAMPLES) {
        folding.examples.push({ text: formatPath(path), staging: shown(a), production: shown(b) });
      }
    }
  }

  /** What it took to fold all texts of a value. */
  #foldedOf(side: Side, value: Json, path: Path): Pick<Folded, 'used' | 'ids'> {
    const options = optionsOf(path);
    if (typeof value === 'string') return this.#folder.fold(side, value, options);
    const used = new Set<number>();
    const ids: string[] = [];
    mapTexts(value, (text) => {
      const folded = this.#folder.fold(side, text, options);
      for (const index of folded.used) used.add(index);
      ids.push(...folded.ids);
      return text;
    });
    return { used: [...used], ids: ids.sort() };
  }

  #differ(a: Json | undefined, b: Json | undefined, path: Path, kind: DifferenceKind = kindOf(path)): void {
    this.differences.push({
      path,
      text: formatPath(path),
      kind,
      severity: SEVERITY[kind],
      staging: this.#sideOf('staging', a, path),
      production: this.#sideOf('production', b, path),
    });
  }

  #sideOf(side: Side, value: Json | undefined, path: Path): SideValue {
    if (value === undefined) return {};
    const folded = this.#foldAll(side, value, path);
    const isSame = canonicalJson(folded) === canonicalJson(value);
    return { value: shown(value), ...(!isSame && { folded: shown(folded) }) };
  }

  #foldAll(side: Side, value: Json, path: Path, how: FoldOptions = {}): Json {
    const options = { ...optionsOf(path), ...how };
    return mapTexts(value, (text) => this.#folder.fold(side, text, options).text);
  }

  #canonical(side: Side, value: Json, path: Path): string {
    return canonicalSet(this.#foldAll(side, value, path));
  }

  /**
   * What both have by the same name, then by names that are the same once they are folded. Names that are the same only so
   * within one environment tell nothing apart, and stand for themselves.
   */
  #match<T>(a: readonly (readonly [string, T])[], b: readonly (readonly [string, T])[]): Matched<T>[] {
    const others = new Map(b);
    const matched: Matched<T>[] = [];
    const left: [string, T][] = [];
    for (const [name, staging] of a) {
      if (others.has(name)) {
        matched.push({ name, staging, production: others.get(name) as T });
        others.delete(name);
      } else left.push([name, staging]);
    }
    if (left.length > 0 && others.size > 0) {
      const taken = new Set(matched.map(({ name }) => name));
      const [one, other] = [this.#byFolded('staging', left), this.#byFolded('production', [...others])];
      const rest: [string, T][] = [];
      for (const [folded, mine] of one) {
        const theirs = other.get(folded);
        if (mine.length === 1 && theirs?.length === 1 && !taken.has(folded)) {
          matched.push({ name: folded, staging: mine[0]![1], production: theirs[0]![1] });
          others.delete(theirs[0]![0]);
        } else rest.push(...mine);
      }
      for (const [name, staging] of rest) matched.push({ name, staging });
    } else for (const [name, staging] of left) matched.push({ name, staging });
    for (const [name, production] of others) matched.push({ name, production });
    return matched.sort((x, y) => order(x.name, y.name));
  }

  #byFolded<T>(side: Side, entries: readonly [string, T][]): Map<string, [string, T][]> {
    const folded = new Map<string, [string, T][]>();
    for (const entry of entries) pushTo(folded, this.#folder.fold(side, entry[0]).text, entry);
    return folded;
  }
}

function isObject(value: Json | undefined): value is ObjectValue {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** What an item of a list is known by; undefined of one without a name. */
function nameOf(item: Json): string | undefined {
  if (!isObject(item)) return undefined;
  for (const key of NAME_KEYS) {
    const name = Object.hasOwn(item, key) ? item[key] : undefined;
    if (typeof name === 'string') return name;
  }
  return undefined;
}

function optionsOf(path: Path): FoldOptions {
  return { keepTimes: keepsTimes(path), isKeyId: isKeyId(path) };
}

/** The same value with other texts. Keys are texts, too. */
function mapTexts(value: Json, map: (text: string) => string): Json {
  if (typeof value === 'string') return map(value);
  if (Array.isArray(value)) return value.map((item) => mapTexts(item, map));
  if (!isObject(value)) return value;
  const entries = Object.entries(value);
  const keys = entries.map(([key]) => map(key));
  // Keys that would become one are told apart by what they were.
  const isLossless = new Set(keys).size === keys.length;
  return Object.fromEntries(
    entries.map(([key, inner], index) => [isLossless ? keys[index] : key, mapTexts(inner, map)]),
  );
}

function pushTo<T>(lists: Map<string, T[]>, key: string, item: T): void {
  const list = lists.get(key);
  if (list === undefined) lists.set(key, [item]);
  else list.push(item);
}

/** Canonical JSON in which the order of lists says nothing. */
function canonicalSet(value: Json): string {
  return canonicalJson(withSortedLists(value));
}

function withSortedLists(value: Json): Json {
  if (Array.isArray(value)) return sortedBy(value.map(withSortedLists), canonicalJson);
  if (!isObject(value)) return value;
  // Of a pattern of events: [">", 0, "<=", 5].
  const sorted = (key: string, inner: Json) => (key === 'numeric' ? inner : withSortedLists(inner));
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, sorted(key, inner)]));
}

/** Takes away what both lists have, as often as both have it. */
function remove(
  a: readonly Json[],
  b: readonly Json[],
  key: (item: Json, side: Side) => string,
): { staging: Json[]; production: Json[]; common: [Json, Json][] } {
  const left = new Map<string, Json[]>();
  for (const item of b) pushTo(left, key(item, 'production'), item);
  const staging: Json[] = [];
  const common: [Json, Json][] = [];
  for (const item of a) {
    const match = left.get(key(item, 'staging'))?.pop();
    if (match === undefined) staging.push(item);
    else common.push([item, match]);
  }
  return { staging, production: [...left.values()].flat(), common };
}

/** A value that is short enough to be shown; else the beginning of its text, with its length and its hash. */
function shown(value: Json): Json {
  const text = typeof value === 'string' ? value : canonicalJson(value);
  if (text.length <= MOST_SHOWN) return value;
  const beginning = text.slice(0, MOST_SHOWN).toWellFormed();
  return `${beginning}… (${text.length.toLocaleString('en-US')} characters, sha256:${sha256(text).slice(0, 16)})`;
}
