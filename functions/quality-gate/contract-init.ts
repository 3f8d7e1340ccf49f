import type { ColumnProfile, ColumnType, NumericDistribution, Profile } from '../shared/profile.ts';
import { TOCSIN_VERSION } from '../shared/version.ts';
import type { Contract, CsvOptions } from './schema.ts';

/*
 * Writes a first contract from what one dataset looks like. It passes its own data, and it fails the same data
 * with any one column zeroed, nulled, dropped or multiplied by 100, as far as that changes the data at all.
 * The margins are for the next slice of the same source, which is never quite the same.
 */

/** What a file says of itself: how it is written, and the logical type of each column. */
export interface Inference {
  format: Contract['format'];
  /** Only what departs from the defaults of the contract; format csv only. */
  csv?: Partial<CsvOptions>;
  /** In the order of the file. */
  columns: Record<string, InferredColumn>;
}

export interface InferredColumn {
  type: ColumnType;
  /** strptime format of a text timestamp or date that is not ISO 8601. */
  timeFormat?: string;
  /** RE2 expression that every value matches; strings of one shape only. */
  pattern?: string;
}

/** What {@link initContract} leaves out on request, because the data itself did not pass it. */
export type Omission = 'key' | 'freshness' | `drift ${string}`;

export interface InitRequest {
  profile: Profile;
  inference: Inference;
  /** Name of the file, for the first comment. */
  source: string;
  /** Day that the data is looked at, milliseconds since 1970; decides whether its newest time is fresh. */
  asOf: number;
  /** With a baseline: limits on drift, on new and vanished categories and on the change of the row count. */
  baseline: boolean;
  omit?: ReadonlySet<Omission>;
  /** Path of the contract's JSON Schema, for the first line. */
  schema?: string;
}

const DAY_MS = 86_400_000;

/** One-sided 99 % quantile of the normal distribution. */
const Z99 = 2.326347874;

/** Factor on the odds of a share's upper bound: slices of one source differ by more than chance. */
const SLACK = 1.5;

/** Times the spread that a range is widened by at most; below 49, or values times 100 could still fit. */
const MAX_WIDENING = 10;

/** At most this many values are written as a list. */
const MAX_LISTED = 20;

/** Largest share that may leave an inferred range, pattern or length. */
const MAX_STRAY = 0.01;

/**
 * The text of a contract, with a comment on each limit that says what was seen.
 *
 * @throws RangeError for a profile without rows: nothing can be learned from it.
 */
export function initContract(request: InitRequest): string {
  const { profile, inference, source, asOf, baseline, omit = new Set(), schema } = request;
  const { rows } = profile;
  if (rows === 0) throw new RangeError('a dataset without rows says nothing about the next one');

  const out = new Lines();
  if (schema !== undefined) out.comment(`yaml-language-server: $schema=${schema}`);
  out.comment(
    `Inferred by Tocsin ${TOCSIN_VERSION} from ${printable(source)}: ${integer(rows)} rows, ` +
      `${Object.keys(profile.columns).length} columns.`,
  );
  out.comment('Each limit is what was seen (on its right) and a margin; tighten it where you know better.');
  out.comment(
    'A share: the 99 % upper bound of the one seen, its odds times 1.5, rounded up. A range: half the',
  );
  out.comment('spread more on either side (more where few values were seen), but no sign that was not seen.');
  out.comment('Mark personal data with `pii: true`: values of that column are then kept and shown nowhere.');
  out.add(0, 'contract: 1');
  out.add(0, `dataset: ${scalar(profile.dataset)}`);
  out.add(0, `format: ${inference.format}`);
  const csv = Object.entries(inference.csv ?? {});
  if (csv.length > 0) {
    out.add(0, 'csv:');
    for (const [key, value] of csv) out.add(1, `${key}: ${JSON.stringify(value)}`);
  }

  out.add(0, 'rows:');
  out.add(1, `min: ${roundDown(rows / 2)}`, `${integer(rows)} seen; less than half is a truncated load`);
  out.add(1, `max: ${Math.max(rows, roundUp(rows * 1.5))}`, 'a load that ran twice has more');
  if (baseline) out.add(1, 'changeFromBaseline: 50%', 'this file is the baseline');

  const key = omit.has('key') ? undefined : findKey(profile);
  if (key !== undefined) {
    out.add(0, 'key:');
    out.add(1, `columns: [${scalar(key)}]`, 'no value was seen twice');
    out.add(1, `duplicates: ${limitOf(0, rows)}`);
  }
  const fresh = omit.has('freshness') ? undefined : findFreshness(profile, asOf);
  if (fresh !== undefined) {
    out.add(0, 'freshness:');
    out.add(1, `column: ${scalar(fresh.column)}`);
    out.add(1, `maxAge: ${fresh.maxAgeDays}d`, `newest: ${instant(fresh.newest)}; twice its age, rounded up`);
  }
  out.add(0, 'extraColumns: forbid', 'allow | warn | forbid');

  out.add(0, 'columns:');
  for (const [name, column] of Object.entries(profile.columns)) {
    out.add(1, `${scalar(name)}:`, describe(column, rows));
    addColumn(out, column, {
      rows,
      inferred: inference.columns[name] ?? { type: column.type },
      isKey: name === key,
      drift: baseline && name !== key && !omit.has(`drift ${name}`),
    });
  }
  return out.toString();
}

interface ColumnContext {
  rows: number;
  inferred: InferredColumn;
  isKey: boolean;
  drift: boolean;
}

function addColumn(out: Lines, column: ColumnProfile, { rows, inferred, isKey, drift }: ColumnContext): void {
  const { type, count } = column;
  const seen = (part: number) => (part === 0 ? 'none seen' : `${percentage(part / rows)} seen`);
  out.add(2, `type: ${type}`);
  if (inferred.timeFormat !== undefined) out.add(2, `timeFormat: ${JSON.stringify(inferred.timeFormat)}`);
  if (isKey) out.add(2, 'required: true', 'part of the key');
  else if (column.nulls < rows) out.add(2, `nulls: ${limitOf(column.nulls, rows)}`, seen(column.nulls));
  if (column.invalid > 0) {
    const what = type === 'string' ? 'nested, or of mixed types' : `not a ${type}`;
    out.add(2, `invalid: ${limitOf(column.invalid, rows)}`, `${seen(column.invalid)}: ${what}`);
  }
  // Without a single usable value there is nothing else to learn.
  if (count === 0) return;

  if ((column.nan ?? 0) > 0) out.add(2, `nan: ${limitOf(column.nan ?? 0, rows)}`, seen(column.nan ?? 0));

  const several = column.distinct.value > 1;
  let listed = false;
  if (type === 'integer' || type === 'number') addNumeric(out, column, rows, seen);
  else if (type === 'timestamp' || type === 'date') addTemporal(out, column);
  else listed = addCategorical(out, column, { rows, inferred, seen });

  if (several) out.add(2, 'constant: false', `${about(column)} values`);
  const dominant = column.dominant;
  // Of numbers, zeros have a limit of their own; times repeat as they like.
  const zeros = (column.zeros ?? 0) / count;
  if (
    several &&
    dominant !== undefined &&
    type !== 'timestamp' &&
    type !== 'date' &&
    dominant.share > zeros
  ) {
    const top = Math.round(dominant.share * count);
    const which = dominant.value === undefined ? '' : `: ${printable(dominant.value)}`;
    out.add(2, `dominant: ${limitOf(top, count, 0.05)}`, `${percentage(dominant.share)} seen${which}`);
  }
  if (drift) addDrift(out, column, listed);
}

function addNumeric(out: Lines, column: ColumnProfile, rows: number, seen: (part: number) => string): void {
  const { count, zeros = 0, min, max } = column;
  if (zeros === count) {
    out.comment('Only zeros were seen: if that is an accident, this contract cannot tell.', 2);
    return;
  }
  out.add(2, `zeros: ${limitOf(zeros, rows)}`, seen(zeros));
  if (min === undefined || max === undefined) return;
  const range = widen(min, max, column.type === 'integer', count);
  out.add(2, `range: [${range[0]}, ${range[1]}]`, `${number(min)} to ${number(max)} seen`);
  // A tail may grow, but the same column times 100 must not fit into the tolerance. (Zeroed, it is caught by
  // `zeros` or `constant`; a constant column by the range itself, so half of its rows must not fit either.)
  const beyond = Math.max(
    1,
    column.distribution?.kind === 'numeric' ? beyondTimes100(column.distribution, range) : 1,
  );
  addStray(out, 'outOfRange', Math.min(beyond, count) / rows, rows);
}

function addTemporal(out: Lines, { min, max, distinct }: ColumnProfile): void {
  if (min === undefined || max === undefined) return;
  const day = Math.floor(min / DAY_MS) * DAY_MS;
  const low = distinct.value > 1 ? day - Math.max(DAY_MS, Math.ceil((max - min) / DAY_MS) * DAY_MS) : day;
  // Later slices have later times: the upper end belongs to `freshness`.
  if (Math.abs(low) < 8.64e15)
    out.add(
      2,
      `range: ["${new Date(low).toISOString().slice(0, low % DAY_MS === 0 ? 10 : undefined)}", null]`,
      `${instant(min)} to ${instant(max)} seen`,
    );
}

/** @returns whether the values are written as a list. */
function addCategorical(
  out: Lines,
  column: ColumnProfile,
  { rows, inferred, seen }: Pick<ColumnContext, 'rows' | 'inferred'> & { seen: (part: number) => string },
): boolean {
  const { type, count, distribution, distinct, shortest, longest } = column;
  const empty = column.empty ?? 0;
  if (type === 'string' && empty < count) out.add(2, `empty: ${limitOf(empty, rows)}`, seen(empty));

  if (distribution?.kind === 'categorical' && distribution.other === 0) {
    const { values, counts } = distribution;
    const unseen = counts.filter((times) => times === 1).length;
    // Good-Turing: the share of values yet unseen is about the share of those seen once.
    const complete = values.length <= MAX_LISTED && (unseen / count < MAX_STRAY || values.length === 1);
    if (complete) {
      const list = values.map((value) => (type === 'boolean' ? value : JSON.stringify(value))).join(', ');
      out.add(2, `values: [${list}]`, values.length === 1 ? 'the only one' : 'all that were seen');
      addStray(out, 'otherValues', count / rows, rows, limit(unseen, count));
      return true;
    }
  }
  if (type === 'boolean') return false;
  if (inferred.pattern !== undefined) {
    out.add(2, `pattern: ${quoted(inferred.pattern)}`, 'all match');
    addStray(out, 'mismatches', count / rows, rows);
  } else if (shortest !== undefined && longest !== undefined) {
    const low = shortest === 0 ? 0 : Math.max(1, Math.floor(shortest / 2));
    const high = Math.ceil(longest * 1.5);
    out.add(2, `length: [${low}, ${high}]`, `${shortest} to ${longest} characters seen`);
    addStray(out, 'outOfLength', count / rows, rows);
  }
  if (distinct.value > 1) {
    const growing = distinct.value > count / 2;
    out.add(
      2,
      `distinct: [${Math.max(2, Math.floor(distinct.value / 2))}, ${growing ? 'null' : distinct.value * 2}]`,
      `${about(column)} seen`,
    );
  }
  return false;
}

function addDrift(out: Lines, column: ColumnProfile, listed: boolean): void {
  const { distribution, distinct, count } = column;
  if (distribution === undefined || distinct.value > count / 2) return;
  if (column.type === 'timestamp' || column.type === 'date') return;
  if (distribution.kind === 'numeric') {
    out.add(2, 'drift: { psi: 0.2 }', 'against the baseline');
    return;
  }
  const { counts, other } = distribution;
  if (other === 0 && !listed) {
    const unseen = counts.filter((times) => times === 1).length;
    // A new airport or a new product is no accident as long as it is rare.
    const wanted = limitOf(unseen, count, 0.001);
    out.add(2, `newCategories: ${wanted}`, `${integer(unseen)} of the values seen only once`);
  }
  if (other === 0) out.add(2, 'vanishedCategories: 5%', "of the baseline's rows");
  if (other < count / 2) out.add(2, 'drift: { js: 0.1 }', 'against the baseline');
}

/** Adds the tolerance of a rule: as a share limit is, but small, and at most half of `caught`. */
function addStray(
  out: Lines,
  key: string,
  caught: number,
  rows: number,
  wanted = limit(0, rows, 0.0001),
): void {
  const share = LADDER.findLast((step) => step <= Math.min(Math.max(wanted, 0.0001), MAX_STRAY, caught / 2));
  if (share !== undefined) out.add(2, `${key}: ${percentage(share)}`);
}

// ---------------------------------------------------------------------------------------------------------
// Margins
// ---------------------------------------------------------------------------------------------------------

/** Shares that a person would write, ascending, from 0.0001 % to just under 1. */
const LADDER: readonly number[] = (() => {
  const low = [-6, -5, -4, -3, -2, -1].flatMap((power) => [1, 2, 5].map((digit) => digit * 10 ** power));
  const middle = [0.3, 0.4, 0.6, 0.7];
  const round = (share: number) => Number(share.toFixed(8));
  return [...new Set([...low, ...middle, ...low.map((share) => 1 - share)].map(round))].toSorted(
    (a, b) => a - b,
  );
})();

/**
 * Limit on a share of which `count` in `total` were seen; above the share seen, below 1 (unless all were).
 * Wilson's upper bound (Wilson 1927) with {@link SLACK} on its odds, rounded up to a round number.
 */
function limit(count: number, total: number, floor = 0.0001): number {
  const share = count / total;
  const z2 = Z99 * Z99;
  const upper =
    (share + z2 / (2 * total) + Z99 * Math.sqrt((share * (1 - share)) / total + z2 / (4 * total * total))) /
    (1 + z2 / total);
  const odds = (SLACK * upper) / Math.max(1 - upper, Number.EPSILON);
  const wanted = Math.max(odds / (1 + odds), floor);
  // Beyond the last step there is only the middle between the share and all.
  return LADDER.find((step) => step >= wanted && step > share) ?? (1 + share) / 2;
}

function limitOf(count: number, total: number, floor?: number): string {
  return percentage(limit(count, total, floor), 12);
}

/**
 * A range with half the spread more on either side (of a constant: half the value), and still more where only a
 * few values were seen; rounded outwards to two digits. It never takes in zero or the other sign where the data has
 * neither, and its larger end stays far below 100 times the larger end of the data.
 */
function widen(min: number, max: number, whole: boolean, count: number): [number, number] {
  const spread = max - min;
  if (!Number.isFinite(spread)) return [min, max];
  // Of few values, the next one easily lies far outside: 1 times the spread for 20 values, 10 times for 2.
  const factor = Math.min(MAX_WIDENING, Math.max(0.5, 20 / count));
  const margin = factor * (spread > 0 ? spread : Math.abs(max));
  const shrink = 1 + 2 * factor;
  const low = min > 0 && min <= margin ? min / shrink : min === 0 ? 0 : min - margin;
  const high = max < 0 && -max <= margin ? max / shrink : max === 0 ? 0 : max + margin;
  const least = Math.min(min, outwards(low, margin, whole, Math.floor));
  const most = Math.max(max, outwards(high, margin, whole, Math.ceil));
  return [whole && min > 0 ? Math.max(1, least) : least, whole && max < 0 ? Math.min(-1, most) : most];
}

function outwards(end: number, margin: number, whole: boolean, round: (x: number) => number): number {
  if (end === 0) return 0;
  const step = 10 ** (Math.floor(Math.log10(Math.min(margin, Math.abs(end)))) - 1);
  const unit = whole ? Math.max(1, step) : step;
  const rounded = Number((round(end / unit) * unit).toPrecision(15));
  return Number.isFinite(rounded) ? rounded : end;
}

/** At least this many values leave `range` when they are multiplied by 100. */
function beyondTimes100(
  { edges, cells, atoms, atomCounts }: NumericDistribution,
  [low, high]: [number, number],
): number {
  let count = 0;
  cells.forEach((cell, index) => {
    const above = edges[index - 1];
    const upTo = edges[index];
    if ((above !== undefined && above * 100 >= high) || (upTo !== undefined && upTo * 100 < low))
      count += cell;
  });
  atoms.forEach((atom, index) => {
    if (atom * 100 > high || atom * 100 < low) count += atomCounts[index] ?? 0;
  });
  return count;
}

function roundDown(count: number): number {
  const step = Math.max(1, 10 ** (Math.floor(Math.log10(Math.max(1, count))) - 1));
  return Math.max(1, Math.floor(count / step) * step);
}

function roundUp(count: number): number {
  const step = Math.max(1, 10 ** (Math.floor(Math.log10(count)) - 1));
  return Math.ceil(count / step) * step;
}

// ---------------------------------------------------------------------------------------------------------
// Checks on the whole dataset
// ---------------------------------------------------------------------------------------------------------

/**
 * The column that identifies a row: unique, never null, and either called an identifier, or a time, or the first
 * column. A number that merely never repeats is no key.
 */
function findKey({ columns, rows }: Profile): string | undefined {
  // The number of distinct values may be an estimate, within about 5 %; the caller checks the contract.
  const unique = Object.entries(columns).filter(
    ([, { distinct, nulls, invalid, type }]) =>
      rows > 1 &&
      nulls === 0 &&
      invalid === 0 &&
      type !== 'number' &&
      type !== 'boolean' &&
      (distinct.exact ? distinct.value === rows : distinct.value >= 0.9 * rows),
  );
  const first = Object.keys(columns)[0];
  const [key] =
    unique.find(([name]) => /(^|[^a-z])(id|key|uuid|guid)$/i.test(name) || /[a-z](Id|ID|Key)$/.test(name)) ??
    unique.find(([, { type }]) => type === 'timestamp' || type === 'date') ??
    unique.find(([name, { type }]) => name === first && type !== 'integer') ??
    [];
  return key;
}

const AGES_DAYS = [2, 3, 5, 7, 10, 14, 21, 30, 45, 60, 90, 120, 180, 270, 365, 545, 730] as const;

/** The column with the newest time, where that is recent enough for its age to mean anything (a year). */
function findFreshness(
  { columns }: Profile,
  asOf: number,
): { column: string; newest: number; maxAgeDays: number } | undefined {
  const [newest] = Object.entries(columns)
    .flatMap(([column, { type, max }]) =>
      (type === 'timestamp' || type === 'date') && max !== undefined && max <= asOf + DAY_MS
        ? [{ column, newest: max }]
        : [],
    )
    .toSorted((a, b) => b.newest - a.newest);
  if (newest === undefined) return undefined;
  const age = Math.max(0, asOf - newest.newest) / DAY_MS;
  const maxAgeDays = AGES_DAYS.find((days) => days >= 2 * age && days >= age + 1);
  return maxAgeDays === undefined ? undefined : { ...newest, maxAgeDays };
}

// ---------------------------------------------------------------------------------------------------------
// Text
// ---------------------------------------------------------------------------------------------------------

/** Lines of YAML, comments aligned. */
class Lines {
  readonly #lines: { text: string; comment?: string }[] = [];

  add(depth: number, text: string, comment?: string): void {
    this.#lines.push({ text: '  '.repeat(depth) + text, ...(comment === undefined ? {} : { comment }) });
  }

  comment(text: string, depth = 0): void {
    this.#lines.push({ text: `${'  '.repeat(depth)}# ${text}` });
  }

  toString(): string {
    return this.#lines
      .map(({ text, comment }) => `${comment === undefined ? text : `${text.padEnd(37)} # ${comment}`}\n`)
      .join('');
  }
}

/** A column in a few words: what its limits were taken from. */
function describe(column: ColumnProfile, rows: number): string {
  if (column.nulls === rows) return `no value in ${integer(rows)} rows: nothing to learn`;
  const parts = [`${integer(column.count)} values`];
  if (column.mean !== undefined && (column.type === 'integer' || column.type === 'number')) {
    parts.push(`mean ${number(column.mean)}`);
    if (column.std !== undefined) parts.push(`standard deviation ${number(column.std)}`);
  }
  return parts.join(', ');
}

function about({ distinct }: ColumnProfile): string {
  return `${distinct.exact ? '' : 'about '}${integer(distinct.value)} distinct`;
}

function integer(value: number): string {
  return value.toLocaleString('en-US', { maximumFractionDigits: 0 });
}

function number(value: number): string {
  return String(Number(value.toPrecision(4)));
}

/** `0.01%`; `digits` are significant ones. */
function percentage(share: number, digits = 3): string {
  return `${Number((share * 100).toPrecision(digits))}%`;
}

function instant(ms: number): string {
  const date = new Date(ms);
  if (Number.isNaN(date.getTime())) return String(ms);
  return date
    .toISOString()
    .replace(/T00:00:00\.000Z$/, '')
    .replace(/\.000Z$/, 'Z');
}

/** Text from outside, on one line and without control characters. */
function printable(text: string): string {
  const short = text.length > 40 ? `${text.slice(0, 37)}...` : text;
  return /^[\w./:@ +-]+$/.test(short) ? short : JSON.stringify(short);
}

/** A YAML scalar: as it is where no reader could take it for anything but this string, else quoted. */
function scalar(text: string): string {
  const plain =
    /^[A-Za-z_][A-Za-z0-9_-]*$/.test(text) && !/^(true|false|null|yes|no|on|off|y|n)$/i.test(text);
  return plain ? text : JSON.stringify(text);
}

/** In single quotes, which leave backslashes alone. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
