import { GateInputError } from '../shared/errors.ts';
import type { Sample } from './series.ts';

/*
 * Statistics of CloudWatch: how the samples of one period become one data point. From "CloudWatch statistics
 * definitions" in its user guide, which leaves three things open. Here they are:
 *
 * - a percentile is a value that was seen, the least of which at least that share of all samples is at most; nothing is
 *   interpolated. CloudWatch itself keeps buckets, so that its value may differ by the width of one;
 * - a trim by percentages cuts exactly that share: of a sample on the boundary the fraction that is inside counts;
 * - a period with samples, none of which is within fixed bounds, has no trimmed mean, and trimmed count and sum 0.
 */

const PLAIN = ['Average', 'Sum', 'Minimum', 'Maximum', 'SampleCount'] as const;

const TRIMMED = { tm: 'mean', wm: 'winsorized', tc: 'count', ts: 'sum' } as const;

/** `low` exclusive and `high` inclusive where they are values; shares of the samples, 0 to 1, where `shares`. */
interface Bounds {
  low: number;
  high: number;
  shares: boolean;
}

type Statistic =
  | { kind: 'plain'; name: (typeof PLAIN)[number] }
  | { kind: 'percentile'; share: number }
  | { kind: 'trimmed'; gives: (typeof TRIMMED)[keyof typeof TRIMMED]; bounds: Bounds }
  | { kind: 'rank'; bounds: Bounds };

const PERCENT = String.raw`\d{1,3}(?:\.\d{1,10})?`;
const PERCENTILE = new RegExp(`^p(${PERCENT})$`);
const UP_TO = new RegExp(`^(tm|wm|tc|ts)(${PERCENT})$`);
const SHARES = new RegExp(`^(TM|WM|TC|TS)\\((?:(${PERCENT})%)?:(?:(${PERCENT})%)?\\)$`);
const VALUES = /^(TM|WM|TC|TS|PR)\((\d+(?:\.\d+)?)?:(\d+(?:\.\d+)?)?\)$/;

/**
 * Rounding of shares and of sums of counts must not decide on which side of a boundary a sample is: differences this
 * small, relatively, are none.
 */
const ROUNDING = 1e-9;

/** Whether CloudWatch knows such a statistic. */
export function isStatistic(text: string): boolean {
  return parsed(text) !== undefined;
}

/** The share that a percentile is of: 0.99 of `p99`; undefined of statistics that are none. */
export function percentileOf(statistic: string): number | undefined {
  const known = parsed(statistic);
  return known?.kind === 'percentile' ? known.share : undefined;
}

/**
 * Whether a percentile has too few samples to mean much, which is when an alarm may ignore it: below 10 / (1 - p) from
 * the median up, below 10 / p under it. Never of p0, p100 and other statistics.
 */
export function fewSamples(statistic: string, count: number): boolean {
  const share = percentileOf(statistic) ?? 0;
  const beyond = share >= 0.5 ? 1 - share : share;
  return beyond > 0 && count < (10 / beyond) * (1 - ROUNDING);
}

/** How many values were seen. */
export function sampleCountOf(samples: readonly Sample[]): number {
  return samples.reduce((count, sample) => count + countOf(sample), 0);
}

/**
 * The data point of one period, whose samples may come in any order. Null where there is none: without samples, and
 * where a sample is negative, of which CloudWatch computes but the five plain statistics.
 *
 * @throws GateInputError for a statistic that CloudWatch does not know
 */
export function dataPoint(statistic: string, samples: readonly Sample[]): number | null {
  const known = statisticOf(statistic);
  if (samples.length === 0) return null;
  if (known.kind === 'plain') return plain(known.name, samples);
  if (samples.some(({ value }) => value < 0)) return null;
  const sorted = samples.toSorted((a, b) => a.value - b.value);
  switch (known.kind) {
    case 'percentile':
      return quantile(sorted, known.share);
    case 'rank':
      return (100 * sampleCountOf(sorted.filter(within(known.bounds)))) / sampleCountOf(sorted);
    case 'trimmed':
      return trimmed(known.gives, sorted, known.bounds);
  }
}

/**
 * The least and the greatest data point that a statistic can have, where every sample is within `values`; infinite
 * where nothing bounds it. Infinity to minus infinity where there can be none at all.
 *
 * @throws GateInputError for a statistic that CloudWatch does not know
 */
export function attainable(
  statistic: string,
  values: readonly [low: number, high: number],
): [low: number, high: number] {
  const known = statisticOf(statistic);
  if (known.kind === 'plain') {
    if (known.name === 'SampleCount') return [...SOME];
    return known.name === 'Sum' ? total(values, SOME) : [...values];
  }
  const [low, high] = [Math.max(0, values[0]), values[1]];
  if (low > high) return [...NOTHING];
  if (known.kind === 'percentile') return [low, high];

  const { bounds } = known;
  if (known.kind === 'trimmed' && known.gives === 'winsorized') {
    return bounds.shares ? [low, high] : [clamp(low, bounds), clamp(high, bounds)];
  }
  // Open below: where no value is between, the least value is not within either.
  const inside: [number, number] = bounds.shares
    ? [low, high]
    : [Math.max(low, bounds.low), Math.min(high, bounds.high)];
  const some = bounds.shares || (inside[0] <= inside[1] && high > bounds.low);
  const all = bounds.shares || (low > bounds.low && high <= bounds.high);
  if (known.kind === 'rank') return [all ? 100 : 0, some ? 100 : 0];

  const share = bounds.shares ? bounds.high - bounds.low : 1;
  const counts: [number, number] = [all ? share * SOME[0] : 0, some ? times(share, SOME[1]) : 0];
  if (known.gives === 'mean') return some && share > 0 ? inside : [...NOTHING];
  if (known.gives === 'count') return counts;
  return some ? total(inside, counts) : [0, 0];
}

/** How many samples a period has that has a data point. */
const SOME = [1, Number.POSITIVE_INFINITY] as const;

const NOTHING = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY] as const;

function statisticOf(text: string): Statistic {
  const known = parsed(text);
  if (known) return known;
  throw new GateInputError(`"${text}" is no statistic of CloudWatch`, {
    help: `Give one of ${PLAIN.join(', ')}, IQM, a percentile such as p99, or a trim such as tm90, TM(10%:90%) or PR(:300).`,
  });
}

function parsed(text: string): Statistic | undefined {
  const name = PLAIN.find((candidate) => candidate === text);
  if (name) return { kind: 'plain', name };
  if (text === 'IQM') {
    return { kind: 'trimmed', gives: 'mean', bounds: { low: 0.25, high: 0.75, shares: true } };
  }
  const percentile = PERCENTILE.exec(text);
  if (percentile) {
    const share = Number(percentile[1]) / 100;
    return share <= 1 ? { kind: 'percentile', share } : undefined;
  }
  const match = UP_TO.exec(text);
  if (match) return bounded(match[1]!, undefined, match[2], true);
  const shares = SHARES.exec(text);
  if (shares) return bounded(shares[1]!, shares[2], shares[3], true);
  const values = VALUES.exec(text);
  return values ? bounded(values[1]!, values[2], values[3], false) : undefined;
}

function bounded(
  letters: string,
  lowest: string | undefined,
  highest: string | undefined,
  shares: boolean,
): Statistic | undefined {
  if (lowest === undefined && highest === undefined) return undefined;
  const bound = (text: string) => (shares ? Number(text) / 100 : Number(text));
  const low = lowest === undefined ? (shares ? 0 : Number.NEGATIVE_INFINITY) : bound(lowest);
  const high = highest === undefined ? (shares ? 1 : Number.POSITIVE_INFINITY) : bound(highest);
  if (low > high || (shares && high > 1)) return undefined;
  const bounds = { low, high, shares };
  if (letters === 'PR') return { kind: 'rank', bounds };
  return { kind: 'trimmed', gives: TRIMMED[letters.toLowerCase() as keyof typeof TRIMMED], bounds };
}

function countOf({ count = 1 }: Sample): number {
  return count;
}

function plain(name: (typeof PLAIN)[number], samples: readonly Sample[]): number {
  switch (name) {
    case 'SampleCount':
      return sampleCountOf(samples);
    case 'Sum':
      return sumOf(samples);
    case 'Minimum':
      return extremes(samples)[0];
    case 'Maximum':
      return extremes(samples)[1];
    case 'Average': {
      // Kept between them: three times 0.2 is, rounded, more than 0.6, and a threshold of 0.2 would see it.
      const [lowest, highest] = extremes(samples);
      return Math.min(Math.max(sumOf(samples) / sampleCountOf(samples), lowest), highest);
    }
  }
}

function sumOf(samples: readonly Sample[]): number {
  return samples.reduce((sum, sample) => sum + sample.value * countOf(sample), 0);
}

function extremes(samples: readonly Sample[]): [lowest: number, highest: number] {
  let [lowest, highest] = NOTHING as readonly [number, number];
  for (const { value } of samples) {
    if (value < lowest) lowest = value;
    if (value > highest) highest = value;
  }
  return [lowest, highest];
}

/** Of samples in order of size. */
function quantile(sorted: readonly Sample[], share: number): number {
  const wanted = share * sampleCountOf(sorted) * (1 - ROUNDING);
  let seen = 0;
  for (const sample of sorted) {
    seen += countOf(sample);
    if (seen >= wanted) return sample.value;
  }
  return sorted.at(-1)!.value;
}

function trimmed(
  gives: (typeof TRIMMED)[keyof typeof TRIMMED],
  sorted: readonly Sample[],
  bounds: Bounds,
): number | null {
  if (gives === 'winsorized') {
    const edges = bounds.shares
      ? { low: quantile(sorted, bounds.low), high: quantile(sorted, bounds.high) }
      : bounds;
    return plain(
      'Average',
      sorted.map((sample) => ({ ...sample, value: clamp(sample.value, edges) })),
    );
  }
  const kept = bounds.shares ? cut(sorted, bounds) : sorted.filter(within(bounds));
  if (gives === 'mean') return kept.length === 0 ? null : plain('Average', kept);
  return plain(gives === 'count' ? 'SampleCount' : 'Sum', kept);
}

function within({ low, high }: Bounds): (sample: Sample) => boolean {
  return ({ value }) => value > low && value <= high;
}

function clamp(value: number, { low, high }: { low: number; high: number }): number {
  return Math.min(Math.max(value, low), high);
}

/** The samples from one share to another, in order of size; of those on a boundary the part that is inside. */
function cut(sorted: readonly Sample[], { low, high }: Bounds): Sample[] {
  const all = sampleCountOf(sorted);
  const kept: Sample[] = [];
  let before = 0;
  for (const sample of sorted) {
    const after = before + countOf(sample);
    const count = Math.min(after, high * all) - Math.max(before, low * all);
    if (count > ROUNDING * all) kept.push({ ...sample, count });
    before = after;
  }
  return kept;
}

/** Range of the sum of so many values. */
function total(
  [low, high]: readonly [number, number],
  [least, most]: readonly [number, number],
): [number, number] {
  return [Math.min(times(low, least), times(low, most)), Math.max(times(high, least), times(high, most))];
}

/** Nothing of something unbounded is nothing. */
function times(a: number, b: number): number {
  return a === 0 || b === 0 ? 0 : a * b;
}
