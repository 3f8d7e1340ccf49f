import { countOf } from '../shared/format.ts';
import { canonicalJson } from '../shared/identity.ts';
import { lineAt } from '../shared/schema.ts';
import type { Comparison, Difference, DocumentedUse, ProbeOutcome, SideValue } from './comparison.ts';
import type { Json } from './json.ts';
import { matches, mayMatchWithin, type Path, parsePattern } from './path.ts';
import { compareQuantities } from './quantities.ts';
import { DOCUMENTED_FILE, type DocumentedEntry, type Parity, SIDES } from './schema.ts';
import { differenceText } from './words.ts';

/*
 * What becomes of documented differences. Pure.
 */

/** What is known beside the comparison. */
export interface UseContext {
  probes: readonly ProbeOutcome[];
  /** Paths at and below which nothing was compared, whyever. */
  unreadable: readonly Path[];
  /** The day, in UTC: `2026-11-22`. */
  asOf: string;
}

type State = Pick<DocumentedUse, 'state' | 'why'>;

/**
 * What became of each documented difference, in the order of the file. An entry is about the differences that its pattern
 * matches, unless an earlier one is.
 */
export function usesOf(comparison: Comparison, parity: Parity, context: UseContext): DocumentedUse[] {
  const entries = (parity.documented?.value ?? []).map((entry) => ({
    ...entry,
    pattern: parsePattern(entry.path),
    covers: [] as Difference[],
    /** The first entry that took a difference of this one's. */
    takenBy: undefined as number | undefined,
  }));
  const alone: Path[] = [];
  for (const difference of comparison.differences) {
    let taker: number | undefined;
    for (const [index, entry] of entries.entries()) {
      if (!matches(entry.pattern, difference.path)) continue;
      if (taker === undefined) {
        taker = index;
        entry.covers.push(difference);
      } else entry.takenBy ??= taker;
    }
    // What is below something that one environment lacks was not compared with anything.
    if (taker === undefined && isOneSided(difference)) alone.push(difference.path);
  }
  const unknown = [...context.unreadable, ...alone];
  return entries.map(({ pattern, covers, takenBy, ...entry }, index) => {
    const idle = (): State => {
      if (takenBy !== undefined) {
        const line = lineOfEntry(parity, takenBy);
        return { state: 'stale', why: `All that it is about ${line} documents before it.` };
      }
      if (unknown.some((path) => mayMatchWithin(pattern, path))) {
        return { state: 'unknown', why: 'What it is about could not be compared.' };
      }
      return { state: 'stale', why: 'There is no such difference any more.' };
    };
    const { path, owner, expires } = entry;
    return {
      entry: index,
      path,
      owner,
      expires,
      covers: covers.map(({ text }) => text),
      ...(covers.length === 0
        ? idle()
        : context.asOf > expires
          ? { state: 'expired', why: `It held until ${expires}.` }
          : tested(entry, covers, context.probes)),
    };
  });
}

/** Differences, and what became of what is documented of them. */
interface Looked {
  comparison: Comparison;
  uses: readonly DocumentedUse[];
}

/** Differences that no entry is about, or one that is not in force. */
export function undocumentedOf({ comparison, uses }: Looked): Difference[] {
  return uncoveredOf({
    comparison,
    uses: uses.filter(({ state }) => state === 'holds' || state === 'unknown'),
  });
}

/** Differences that no entry is about. */
export function uncoveredOf({ comparison, uses }: Looked): Difference[] {
  const covered = new Set(uses.flatMap(({ covers }) => covers));
  return comparison.differences.filter(({ text }) => !covered.has(text));
}

/** Where an entry of parity.yaml stands: `parity.yaml:12`. */
export function lineOfEntry({ documented }: Pick<Parity, 'documented'>, entry: number): string {
  return documented === undefined ? DOCUMENTED_FILE : lineAt(documented, [entry]);
}

/** Whether one environment alone has it. */
export function isOneSided(difference: Difference): boolean {
  return SIDES.some((side) => difference[side].value === undefined);
}

// ---------------------------------------------------------------------------------------------------------
// The test of an entry
// ---------------------------------------------------------------------------------------------------------

function tested(
  { test }: DocumentedEntry,
  covers: readonly Difference[],
  probes: readonly ProbeOutcome[],
): State {
  if (test.probe !== undefined) return probed(test.probe, probes);
  const failures = covers.flatMap((difference) => {
    const why = failureOf(test, difference);
    return why === undefined ? [] : [{ difference, why }];
  });
  const what = `Its test, ${testText(test)},`;
  const [first] = failures;
  if (first === undefined) {
    return {
      state: 'holds',
      why: `${what} holds${covers.length === 1 ? '' : ` of all ${countOf(covers.length, 'difference')}`}.`,
    };
  }
  const because = first.why === '' ? '' : `: ${first.why}`;
  if (covers.length === 1) return { state: 'failing', why: `${what} fails${because}.` };
  const share = `${failures.length} of ${covers.length} differences`;
  return {
    state: 'failing',
    why: `${what} fails of ${share}; first: ${differenceText(first.difference)}${first.why === '' ? '' : `, and ${first.why}`}.`,
  };
}

function probed(name: string, probes: readonly ProbeOutcome[]): State {
  const outcome = probes.find(({ probe }) => probe === name);
  if (outcome === undefined) {
    return { state: 'failing', why: `Its test, the probe ${name}, is none of tocsin.yaml.` };
  }
  const said = { pass: 'passes', fail: 'fails', inconclusive: 'is inconclusive' }[outcome.outcome];
  const states = { pass: 'holds', fail: 'failing', inconclusive: 'unknown' } as const;
  return { state: states[outcome.outcome], why: `Its test, the probe ${name}, ${said}: ${outcome.why}.` };
}

/** A test, in words that follow a comma. */
export function testText({ relation, same, values, probe }: DocumentedEntry['test']): string {
  if (relation !== undefined) return relation;
  if (same?.after !== undefined) return `the same after the last "${same.after}"`;
  if (same?.before !== undefined) return `the same before the first "${same.before}"`;
  if (values !== undefined) {
    const { staging, production } = values;
    const wordOf = String(staging) === String(production) ? JSON.stringify : String;
    return SIDES.filter((side) => values[side] !== undefined)
      .map((side) => `${values[side] === null ? 'absent' : wordOf(values[side])} in ${side}`)
      .join(' and ');
  }
  return `the probe ${probe}`;
}

/** Why a test does not hold of a difference: '' where the values say it; undefined where it holds. */
function failureOf(
  { relation, same, values }: DocumentedEntry['test'],
  difference: Difference,
): string | undefined {
  if (relation !== undefined) return relationFailure(relation, difference);
  if (same !== undefined) return sameFailure(same, difference);
  const holds = SIDES.every((side) => {
    const allowed = values?.[side];
    return allowed === undefined || isAllowed(allowed, difference[side]);
  });
  return holds ? undefined : '';
}

/** What each operator says of how much more the left value is than the right one. */
const HOLDS: Readonly<Record<string, (more: number) => boolean>> = {
  '>': (more) => more > 0,
  '>=': (more) => more >= 0,
  '<': (more) => more < 0,
  '<=': (more) => more <= 0,
};

function relationFailure(relation: string, difference: Difference): string | undefined {
  const [left, operator = ''] = relation.split(/ *(>=|<=|==|!=|>|<) */);
  const [first, second] = left === 'production' ? SIDES.toReversed() : SIDES;
  const [a, b] = [first, second].map((side) => (side === undefined ? undefined : difference[side].value));
  const more = compareQuantities(a, b);
  if (operator === '==' || operator === '!=') {
    // As they were read: what names one environment is equal where it stands in both.
    const isEqual =
      more === 0 || (a === undefined || b === undefined ? a === b : canonicalJson(a) === canonicalJson(b));
    return isEqual === (operator === '==') ? undefined : '';
  }
  if (a === undefined || b === undefined) return `nothing is ${operator} what is absent`;
  if (more === undefined) return 'these are not two numbers, nor two durations';
  return HOLDS[operator]?.(more) === true ? undefined : '';
}

function sameFailure(
  { after, before }: NonNullable<DocumentedEntry['test']['same']>,
  { staging, production }: Difference,
): string | undefined {
  const mark = after ?? before ?? '';
  const partOf = (value: Json | undefined): string | undefined => {
    if (typeof value !== 'string') return undefined;
    const at = after === undefined ? value.indexOf(mark) : value.lastIndexOf(mark);
    if (at < 0) return undefined;
    return after === undefined ? value.slice(0, at) : value.slice(at + mark.length);
  };
  const parts = [partOf(staging.value), partOf(production.value)];
  if (parts.includes(undefined)) return `not both are texts with "${mark}" in them`;
  if (parts[0] === parts[1]) return undefined;
  // A part may name the environment, too.
  const [a, b] = [partOf(foldedOf(staging)), partOf(foldedOf(production))];
  return a !== undefined && a === b ? undefined : '';
}

/** Whether a value is one that parity.yaml allows, where numbers and texts of numbers look alike. */
function isAllowed(allowed: string | number | boolean | null, side: SideValue): boolean {
  const { value } = side;
  if (value === undefined || value === null) return allowed === null;
  if (allowed === null || typeof value === 'object') return false;
  return [value, foldedOf(side)].some((one) => String(one) === String(allowed));
}

function foldedOf({ value, folded }: SideValue): Json | undefined {
  return folded ?? value;
}
