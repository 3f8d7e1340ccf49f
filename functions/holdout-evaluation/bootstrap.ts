import { nextWord, type RandomState } from '../shared/random.ts';
import { normalCdf, normalQuantile, studentQuantile } from '../shared/statistics.ts';
import type { Interval } from '../shared/verdict.ts';

/*
 * Resampling with replacement, and what it says about an estimate.
 *
 * Every resample has a generator of its own, derived from a seed, a name and its number, so that the same inputs give the
 * same resamples, whichever thread draws them and in whatever order.
 */

/** Draws resamples of so many rows; see {@link createDraw}. */
export type Draw = (counts: Uint8Array, state: RandomState) => void;

/** In the table of {@link createDraw}: the 16 bits alone do not decide. */
const UNDECIDED = 255;

/** Entries of that table. */
const ENTRIES = 2 ** 16;

/**
 * How often each of `rows` rows is in as many draws with replacement: multinomial, all rows alike, at half a random number
 * a row.
 *
 * Counts that are independent and Poisson are multinomial once their sum is known, and further draws may be added one by
 * one. So each row gets a Poisson count of a mean somewhat below 1, by table from 16 bits, and the rest is drawn singly.
 * The few resamples in which the sum comes out too large begin again, with single draws alone. A count is at most 255; a
 * larger one has a chance below 1e-500.
 */
export function createDraw(rows: number): Draw {
  const mean = Math.max(0, 1 - 4 / Math.sqrt(rows));
  /** Chance of at most so many. */
  const cumulative = new Float64Array(32).fill(1);
  const table = new Uint8Array(ENTRIES).fill(UNDECIDED);
  let chance = Math.exp(-mean);
  for (let count = 0, sum = 0; count < cumulative.length - 1; count++) {
    table.fill(count, Math.ceil(sum * ENTRIES), Math.floor((sum + chance) * ENTRIES));
    sum += chance;
    cumulative[count] = sum;
    chance *= mean / (count + 1);
  }
  const countAt = (bits: number, state: RandomState) => {
    let count = table[bits]!;
    if (count < UNDECIDED) return count;
    const uniform = (bits + nextWord(state) / 2 ** 32) / ENTRIES;
    for (count = 0; uniform >= cumulative[count]!; ) count++;
    return count;
  };

  return (counts, state) => {
    let left = rows;
    if (mean > 0) {
      const even = rows & ~1;
      // As nextWord does, with the state in registers: this is half of the time that resampling takes.
      let a = state[0]!;
      let b = state[1]!;
      let c = state[2]!;
      let counter = state[3]!;
      for (let row = 0; row < even; row += 2) {
        const word = (a + b + counter) | 0;
        counter = (counter + 1) | 0;
        a = b ^ (b >>> 9);
        b = (c + (c << 3)) | 0;
        c = (((c << 21) | (c >>> 11)) + word) | 0;
        let first = table[word & 0xffff]!;
        let second = table[word >>> 16]!;
        if (first + second >= UNDECIDED) {
          state[0] = a;
          state[1] = b;
          state[2] = c;
          state[3] = counter;
          first = countAt(word & 0xffff, state);
          second = countAt(word >>> 16, state);
          a = state[0]!;
          b = state[1]!;
          c = state[2]!;
          counter = state[3]!;
        }
        counts[row] = first;
        counts[row + 1] = second;
        left -= first + second;
      }
      state[0] = a;
      state[1] = b;
      state[2] = c;
      state[3] = counter;
      if (even < rows) {
        const last = countAt(nextWord(state) >>> 16, state);
        counts[even] = last;
        left -= last;
      }
    }
    if (mean === 0 || left < 0) {
      counts.fill(0, 0, rows);
      left = rows;
    }
    for (; left > 0; left--) counts[below(rows, state)]!++;
  };
}

/** A whole number from 0 to below `limit`. */
export function below(limit: number, state: RandomState): number {
  return Math.floor((nextWord(state) / 2 ** 32) * limit);
}

// ---------------------------------------------------------------------------------------------------------
// Intervals
// ---------------------------------------------------------------------------------------------------------

/** Two-sided at `confidence`; each bound is missed with a chance of (1 - confidence) / 2. */
export interface IntervalOptions {
  confidence: number;
}

/** An estimate with its values in resamples, and what its spread hangs on. */
export interface Resampled {
  estimate: number;
  /** NaN where the resample has none; sorted in place. */
  values: Float64Array;
  /** Examples that the spread hangs on, by weight: few of them leave the spread itself uncertain. */
  examples: number;
}

/** Share of resamples without a value from which on the others say too little. */
const MOST_UNDEFINED = 0.05;

/** Examples that a spread can be told from. */
const FEWEST = 2;

/** Hits or misses from which on resampling knows a share well enough. */
const FEW = 10;

/**
 * The interval of an estimate from its values in resamples: percentiles, corrected for the bias of the median (Efron,
 * Canadian Journal of Statistics 9, 1981).
 *
 * @returns undefined where more than 5 % of the resamples have no value, and with fewer than two examples
 */
export function percentileInterval(
  { estimate, values, examples }: Resampled,
  { confidence }: IntervalOptions,
): Interval | undefined {
  const sorted = sortDefined(values);
  if (sorted === undefined || examples < FEWEST) return undefined;
  const count = sorted.length;
  const below = firstIndex(sorted, (value) => value >= estimate);
  const upTo = firstIndex(sorted, (value) => value > estimate);
  const share = (below + upTo + 1) / 2 / (count + 1);
  const shift = normalQuantile(Math.min(Math.max(share, 1 / (count + 1)), count / (count + 1)));
  const reach = standardErrors(confidence, examples);
  return {
    low: Math.min(estimate, quantile(sorted, normalCdf(2 * shift - reach))),
    estimate,
    high: Math.max(estimate, quantile(sorted, normalCdf(2 * shift + reach))),
    confidence,
  };
}

/**
 * The interval of a difference of two metrics on the same examples: so many standard errors on either side. The skewness
 * that both have cancels; percentiles were seen to cover less, above all where the models disagree on few examples.
 *
 * @param extra standard error of what the resamples cannot show
 * @returns undefined as {@link percentileInterval}
 */
export function differenceInterval(
  { estimate, values, examples }: Resampled,
  { confidence, extra = 0 }: IntervalOptions & { extra?: number },
): Interval | undefined {
  const sorted = sortDefined(values);
  if (sorted === undefined || examples < FEWEST) return undefined;
  const margin = standardErrors(confidence, examples) * Math.hypot(deviationOf(sorted), extra);
  return { low: estimate - margin, estimate, high: estimate + margin, confidence };
}

/** The values without NaN, ascending; undefined where too few are left. */
function sortDefined(values: Float64Array): Float64Array | undefined {
  // NaN sorts last.
  values.sort();
  let defined = values.length;
  while (defined > 0 && Number.isNaN(values[defined - 1])) defined--;
  if (defined === 0 || values.length - defined > MOST_UNDEFINED * values.length) return undefined;
  return values.subarray(0, defined);
}

/**
 * How many standard errors an interval reaches: as Student's distribution does, and by as much more as resamples of few
 * examples spread less than the examples' source (Hesterberg, The American Statistician 69, 2015).
 */
function standardErrors(confidence: number, examples: number): number {
  return Math.sqrt(examples / (examples - 1)) * studentQuantile((1 + confidence) / 2, examples - 1);
}

/** Standard deviation. */
export function deviationOf(values: Float64Array): number {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length);
}

/**
 * Wilson's interval of a share (Journal of the American Statistical Association 22, 1927): resampling ten hits out of ten
 * would be sure of itself.
 *
 * @param examples that it is a share of; fractions where they have weights. Of none, nothing is known.
 * @returns undefined where there are enough hits and enough misses to resample
 */
export function fewInterval(
  share: number,
  examples: number,
  { confidence }: IntervalOptions,
): Interval | undefined {
  if (Math.min(share, 1 - share) * examples >= FEW) return undefined;
  const z = normalQuantile((1 + confidence) / 2);
  const scale = 1 / (examples + z * z);
  const centre = scale * (share * examples + (z * z) / 2);
  const margin = scale * z * Math.sqrt(share * (1 - share) * examples + (z * z) / 4);
  return {
    low: Math.max(0, Math.min(share, centre - margin)),
    estimate: share,
    high: Math.min(1, Math.max(share, centre + margin)),
    confidence,
  };
}

/** A size that noise only adds to, such as a sum of absolute or of squared parts. */
export interface Noisy {
  /** As observed, noise included. */
  parts: Float64Array;
  /** For each resample, how far its parts are from the observed ones: resamples x parts, row by row. */
  deviations: Float64Array;
  /** The size of parts; grows with a factor on all of them, and is 0 where they are. */
  size: (parts: Float64Array) => number;
}

/**
 * The interval of a size that sampling noise makes look larger than it is. Its estimate is without that.
 *
 * The true parts are taken for a multiple of the observed ones. A multiple is too large where noise on top of it would
 * seldom leave a size as small as the observed one, and too small where it would seldom reach it; the estimate is the
 * multiple that does so half of the time (inversion of a test by the bootstrap: Carpenter, Journal of the Royal
 * Statistical Society B 61, 1999). A size below what noise alone gives says no more than one as noise gives it.
 */
export function noisyInterval({ parts, deviations, size }: Noisy, { confidence }: IntervalOptions): Interval {
  const count = parts.length;
  const resamples = deviations.length / count;
  const observed = size(parts);
  const pattern = observed > 0 ? parts : partErrors(deviations, count);
  const unit = size(pattern);
  const shifted = new Float64Array(count);
  const sizes = new Float64Array(resamples);
  /** Quantile of the size that parts of so many times the pattern are observed with. */
  const sizeAt = (factor: number, p: number) => {
    for (let resample = 0; resample < resamples; resample++) {
      for (let part = 0; part < count; part++) {
        shifted[part] = factor * pattern[part]! + deviations[resample * count + part]!;
      }
      sizes[resample] = size(shifted);
    }
    return quantile(sizes.sort(), p);
  };
  const solve = (p: number, target: number) => {
    if (!(unit > 0) || sizeAt(0, p) >= target) return 0;
    let low = 0;
    let high = 1;
    for (; sizeAt(high, p) < target; high *= 2) low = high;
    while (high - low > 1e-4 * high) {
      const middle = (low + high) / 2;
      if (sizeAt(middle, p) < target) low = middle;
      else high = middle;
    }
    return size(pattern.map((part) => part * high));
  };
  const tail = (1 - confidence) / 2;
  return {
    low: solve(1 - tail, observed),
    estimate: solve(0.5, observed),
    high: solve(tail, Math.max(observed, sizeAt(0, 0.5))),
    confidence,
  };
}

/** Standard error of each part. */
export function partErrors(deviations: Float64Array, count: number): Float64Array {
  const errors = new Float64Array(count);
  for (let index = 0; index < deviations.length; index++) errors[index % count]! += deviations[index]! ** 2;
  return errors.map((sum) => Math.sqrt(sum / (deviations.length / count)));
}

/** Between the neighbours in sorted values, as if one more were drawn; the extremes beyond them. */
function quantile(sorted: Float64Array, p: number): number {
  const place = Math.min(sorted.length - 1, Math.max(0, p * (sorted.length + 1) - 1));
  const index = Math.floor(place);
  const from = sorted[index]!;
  const to = sorted[Math.min(index + 1, sorted.length - 1)]!;
  return from + (place - index) * (to - from);
}

/** The first index from which on `holds` is true; the length where it never is. */
export function firstIndex(sorted: Float64Array, holds: (value: number) => boolean): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (holds(sorted[middle]!)) high = middle;
    else low = middle + 1;
  }
  return low;
}
