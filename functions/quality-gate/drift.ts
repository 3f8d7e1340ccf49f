import {
  type Cell,
  categoriesOf,
  coarseCells,
  fineCells,
  nullsOf,
  type Piece,
  piecesOf,
  sizes,
} from '../shared/drift-cells.ts';
import type { Distribution, NumericDistribution } from '../shared/profile.ts';
import {
  noncentralChiSquareQuantile,
  noncentralityBound,
  normalQuantile,
  studentQuantile,
} from '../shared/statistics.ts';

/*
 * How far a batch has moved from its baseline, and how sure that is.
 *
 * Every measure is an effect size with one-sided confidence bounds, so that judgement can say "above the limit,
 * surely", "below it, surely" or "cannot tell". The same drift gives the same effect at any number of rows; more
 * rows only bring the bounds closer. Both sides are taken for what they are, samples: a baseline of 200 rows is not
 * the truth. Distributions are compared over the cells of the baseline, so that two profiles are all it takes.
 */

export type DriftMeasure = 'psi' | 'js' | 'ks' | 'wasserstein' | 'linf';

/** One effect, in the unit of its measure: `0 <= low <= estimate <= high`, all finite. */
export interface DriftEffect {
  /** The true effect is below it with a chance of at most 1 - confidence. */
  low: number;
  estimate: number;
  /** The true effect is above it with a chance of at most 1 - confidence. */
  high: number;
  /**
   * Smallest true effect that a batch of this size would be failed for with a chance of about 80 %, for drift of an
   * ordinary shape; drift of rare values alone takes a larger one. Above 1 for a measure that ends at 1 (js, ks,
   * linf): no effect would be.
   */
  smallestDetectable: number;
}

export interface DriftOptions {
  /** Largest effect that is allowed, above 0. */
  limit: number;
  /** Of each bound, from 0.5 to below 1; already corrected for the number of checks. */
  confidence: number;
}

/** Of the usable values of a numeric column. */
export interface Moments {
  count: number;
  mean: number;
  /** Standard deviation of the population. */
  std: number;
}

/** Extremes of the usable values of a numeric column. */
export interface Range {
  min: number;
  max: number;
}

/** Chance that `smallestDetectable` speaks of. */
const POWER = 0.8;

/**
 * How much the distribution of a batch differs from that of its baseline.
 *
 * - `psi`: population stability index, Σ (p - q) ln(p / q), natural logarithm, over shares of all rows. Its cells
 *   are null, every category or every atom, and about ten for the other numbers.
 * - `js`: Jensen-Shannon distance, base 2, from 0 to 1, over the same cells.
 * - `ks`: Kolmogorov-Smirnov, the largest difference of the cumulative shares of values. Numbers only.
 * - `wasserstein`: Wasserstein-1 in standard deviations of the baseline. Numbers only; needs `moments`.
 * - `linf`: largest change of the share of one category; null and "not listed" count as categories. Strings only.
 *
 * @param batch counted over exactly the cells or values of `baseline`
 * @returns undefined where it cannot be computed: no rows on a side, a deviation of 0, another kind of column
 * @throws RangeError for impossible options, or where the two are not counted over the same cells
 */
export function driftEffect(
  measure: DriftMeasure,
  batch: Distribution,
  baseline: Distribution,
  options: DriftOptions & { moments?: { batch: Moments; baseline: Moments & Range } | undefined },
): DriftEffect | undefined {
  checkOptions(options);
  if (batch.kind === 'numeric' && baseline.kind === 'numeric') {
    const pieces = piecesOf(batch, baseline);
    if (measure === 'ks') return kolmogorovSmirnov(pieces, options);
    if (measure === 'wasserstein') return options.moments && wasserstein(pieces, options.moments, options);
    if (measure === 'linf') return undefined;
    return divergence(measure, [...pieces, nullsOf(batch, baseline)], options);
  }
  if (batch.kind === 'categorical' && baseline.kind === 'categorical') {
    if (measure === 'ks' || measure === 'wasserstein') return undefined;
    const cells = [...categoriesOf(batch, baseline), nullsOf(batch, baseline)];
    return measure === 'linf' ? largestChange(cells, options) : divergence(measure, cells, options);
  }
  return undefined;
}

/**
 * Shift of the mean in standard deviations of the baseline, whichever its direction.
 *
 * The standard error is Welch's, with the larger of the two deviations on both sides: a small sample of a skewed
 * law that happens to miss the tail would be far too sure of itself otherwise.
 *
 * @returns undefined without rows on a side, with fewer than three in all, or with a deviation of 0 in the baseline
 * @throws RangeError for impossible options
 */
export function meanShift(batch: Moments, baseline: Moments, options: DriftOptions): DriftEffect | undefined {
  checkOptions(options);
  if (!comparable(batch, baseline)) return undefined;
  const shift = (batch.mean - baseline.mean) / baseline.std;
  const error = widerDeviation(batch, baseline) * rootOfRates(batch.count, baseline.count);
  const margin = studentQuantile((1 + options.confidence) / 2, batch.count + baseline.count - 2) * error;
  return finite({
    ...folded(shift - margin, shift, shift + margin),
    smallestDetectable: options.limit + margin + normalQuantile(POWER) * error,
  });
}

/**
 * Shift of the `p`-quantile in standard deviations of the baseline, whichever its direction.
 *
 * On each side, the interval of ranks that holds `p` (Bernstein's inequality on the number of rows below the true
 * quantile) is mapped through the quantile function; the distances of the two intervals' ends combine as the root
 * of the sum of squares (Zou and Donner, Statistics in Medicine 27, 2008). A rank in an open end cell may be
 * anywhere between its edge and the extreme value. Where the ranks reach beyond the rows, that end is unknown:
 * nothing is concluded from it, and `high` is the width of everything seen.
 *
 * @param p between 0 and 1, exclusive
 * @returns undefined without values on a side, or with a deviation of 0 in the baseline
 * @throws RangeError for impossible options
 */
export function quantileShift(
  p: number,
  batch: NumericDistribution,
  baseline: NumericDistribution,
  options: DriftOptions & { std: number; ranges: { batch: Range; baseline: Range } },
): DriftEffect | undefined {
  checkOptions(options);
  const { limit, confidence, std, ranges } = options;
  const now = quantileInterval(p, batch, ranges.batch, confidence);
  const then = quantileInterval(p, baseline, ranges.baseline, confidence);
  if (now === undefined || then === undefined || !(std > 0)) return undefined;
  const shift = (now.estimate - then.estimate) / std;
  const below = Math.hypot(now.estimate - now.low, then.high - then.estimate) / std;
  const above = Math.hypot(now.high - now.estimate, then.estimate - then.low) / std;
  const { low, estimate, high } = folded(shift - below, shift, shift + above);
  const seen =
    Math.max(ranges.batch.max, ranges.baseline.max) - Math.min(ranges.batch.min, ranges.baseline.min);
  const margin = Math.min(Math.max(below, above), seen / std);
  const error = margin / Math.sqrt(2 * (nats(confidence) + Math.LN2));
  return finite({
    low,
    estimate,
    high: high === Number.POSITIVE_INFINITY ? Math.max(estimate, seen / std) : high,
    smallestDetectable: limit + margin + normalQuantile(POWER) * error,
  });
}

/**
 * The `p`-quantile of the values that a distribution counts: straight inside a cell, and the end cells reach to the
 * extreme values.
 *
 * @returns NaN without values
 */
export function quantileOf(p: number, distribution: NumericDistribution, min: number, max: number): number {
  const place = placeOf(p, piecesOf(distribution, distribution));
  if (place === undefined) return Number.NaN;
  const from = Math.max(place.piece.from, min);
  return from + place.share * (Math.max(from, Math.min(place.piece.to, max)) - from);
}

// ---------------------------------------------------------------------------------------------------------
// Measures
// ---------------------------------------------------------------------------------------------------------

/**
 * PSI and Jensen-Shannon. With 1/N = 1/n + 1/m, N times PSI of two samples (and 8 N times the Jensen-Shannon
 * divergence in nats, which is the same to second order) is about noncentral chi-square: one degree of freedom fewer
 * than cells, N times the true value as noncentrality (Yurdakul and Naranjo, Journal of Risk Model Validation 14,
 * 2020, for no drift). Inverted, it gives the bounds and, at a chance of a half, an estimate without what sampling
 * alone adds. A large effect varies more than that; the delta method says how much, and N is lowered to match.
 *
 * Rare values break the approximation, so `low` and the estimate gather them: gathering can only make either effect
 * smaller. For the same reason `high` must not gather them, or drift among rare values would pass unseen.
 */
function divergence(
  measure: 'psi' | 'js',
  cells: readonly Cell[],
  { limit, confidence }: DriftOptions,
): DriftEffect | undefined {
  const { n, m } = sizes(cells);
  if (n === 0 || m === 0) return undefined;
  const size = 1 / (1 / n + 1 / m);
  const toEffect = (value: number) => (measure === 'psi' ? value : Math.sqrt(value / (8 * Math.LN2)));
  const largest = measure === 'psi' ? Number.POSITIVE_INFINITY : 1;
  const inferredFrom = (compared: readonly Cell[]) => {
    const { value, variance } = (measure === 'psi' ? psi : jensenShannon)(shares(compared, n, m), n, m);
    const effective = value > 0 ? Math.min(size, (4 * value) / variance) : size;
    // What sampling adds to the value is still in proportion to 1 / size.
    const degrees = Math.max(1, compared.length - 1) * (effective / size);
    const bound = (p: number, least: number) =>
      Math.min(
        largest,
        toEffect(noncentralityBound(Math.max(effective * value, least), degrees, p) / effective),
      );
    return { degrees, bound };
  };
  const coarse = inferredFrom(coarseCells(cells));
  const fine = inferredFrom(fineCells(cells));
  const allowed = size * (measure === 'psi' ? limit : limit * limit * 8 * Math.LN2);
  const failing = noncentralChiSquareQuantile(confidence, coarse.degrees, allowed);
  const estimate = coarse.bound(0.5, 0);
  return finite({
    low: Math.min(estimate, coarse.bound(confidence, 0)),
    estimate,
    // Closer agreement than chance gives says no more than agreement as chance gives it: without this floor, two
    // samples of the same four rows would be surely alike.
    high: Math.max(estimate, fine.bound(1 - confidence, fine.degrees)),
    smallestDetectable: toEffect(noncentralityBound(failing, coarse.degrees, 1 - POWER) / size),
  });
}

/** Share of the batch (`p`) and of the baseline (`q`) in a cell. */
interface Shares {
  p: number;
  q: number;
}

/**
 * Shares above 0. Each cell gets half a row more, but never more than both sides together would expect there: a
 * small batch is not to differ from a large baseline by the very half row.
 */
function shares(cells: readonly Cell[], n: number, m: number): Shares[] {
  const added = cells.map(({ batch, baseline }) => {
    const share = (batch + baseline) / (n + m);
    return { p: batch + Math.min(0.5, share * n), q: baseline + Math.min(0.5, share * m) };
  });
  const total = added.reduce((sum, { p, q }) => ({ p: sum.p + p, q: sum.q + q }), { p: 0, q: 0 });
  return added.map(({ p, q }) => ({ p: p / total.p, q: q / total.q }));
}

function psi(cells: readonly Shares[], n: number, m: number): { value: number; variance: number } {
  const value = cells.reduce((sum, { p, q }) => sum + (p - q) * Math.log(p / q), 0);
  const variance = deltaVariance(
    cells.map(({ p, q }) => ({ p, q, byP: Math.log(p / q) - q / p, byQ: Math.log(q / p) - p / q })),
    n,
    m,
  );
  return { value, variance };
}

/** Eight times the divergence in nats: to second order the same number as {@link psi}. */
function jensenShannon(cells: readonly Shares[], n: number, m: number): { value: number; variance: number } {
  const slopes = cells.map(({ p, q }) => ({
    p,
    q,
    byP: 4 * Math.log((2 * p) / (p + q)),
    byQ: 4 * Math.log((2 * q) / (p + q)),
  }));
  const value = slopes.reduce((sum, { p, q, byP, byQ }) => sum + p * byP + q * byQ, 0);
  return { value: Math.max(0, value), variance: deltaVariance(slopes, n, m) };
}

/** Variance of a function of two multinomial samples from its slope by each share. */
function deltaVariance(
  cells: readonly (Shares & { byP: number; byQ: number })[],
  n: number,
  m: number,
): number {
  const [meanP, meanQ] = cells.reduce(([a, b], { p, q, byP, byQ }) => [a + p * byP, b + q * byQ], [0, 0]);
  return cells.reduce(
    (sum, { p, q, byP, byQ }) => sum + (p * (byP - meanP) ** 2) / n + (q * (byQ - meanQ) ** 2) / m,
    0,
  );
}

/**
 * Both empirical functions together stray from the true ones by more than c √(1/n + 1/m) with a chance of
 * 2 exp(-2 c²) (Smirnov; Dvoretzky, Kiefer and Wolfowitz). They are known at the edges and around the atoms; `high`
 * allows for the most that the order of values inside a cell can hide.
 */
function kolmogorovSmirnov(
  pieces: readonly Piece[],
  { limit, confidence }: DriftOptions,
): DriftEffect | undefined {
  const { n, m } = sizes(pieces);
  if (n === 0 || m === 0) return undefined;
  let estimate = 0;
  let possible = 0;
  let [f, g] = [0, 0];
  for (const { from, to, batch, baseline } of pieces) {
    const below = { f, g };
    f += batch / n;
    g += baseline / m;
    estimate = Math.max(estimate, Math.abs(f - g));
    if (from < to) possible = Math.max(possible, f - below.g, g - below.f);
  }
  const root = rootOfRates(n, m);
  const margin = Math.sqrt((nats(confidence) + Math.LN2) / 2) * root;
  return finite({
    low: Math.max(0, estimate - margin),
    estimate,
    high: Math.min(1, Math.max(estimate, possible) + margin),
    smallestDetectable: limit + margin + normalQuantile(POWER) * 0.5 * root,
  });
}

/**
 * ∫ |F - G|, with F and G straight inside the cells between the outer edges. What the cells do not show, above all
 * how far beyond the outer edges values lie, is taken from the exact means: the part of their difference that the
 * cells do not account for is added, so that the distance is never below the shift of the mean. Values that move
 * out at both ends alike count up to the outer edges only.
 *
 * Sampling moves it by at most the norm of the difference of two Gaussian bridges. The mean of that norm is
 * √(2/π) ∫ √(F(1-F)/n + G(1-G)/m), and it exceeds its mean no more easily than a normal variable with the deviation
 * of the difference of the two means does (Gaussian concentration; Ledoux, The Concentration of Measure Phenomenon,
 * 2001). As in {@link meanShift}, the larger deviation stands for both sides.
 */
function wasserstein(
  pieces: readonly Piece[],
  moments: { batch: Moments; baseline: Moments & Range },
  { limit, confidence }: DriftOptions,
): DriftEffect | undefined {
  const { n, m } = sizes(pieces);
  if (n === 0 || m === 0 || !comparable(moments.batch, moments.baseline)) return undefined;
  const { mean, std } = moments.baseline;
  let area = 0;
  let noise = 0;
  let [f, g] = [0, 0];
  const centres: (Shares & { at: number })[] = [];
  for (const { from, to, batch, baseline } of pieces.flatMap((piece) => narrowed(piece, moments.baseline))) {
    const [low, high] = [(from - mean) / std, (to - mean) / std];
    const [p, q] = [batch / n, baseline / m];
    const [gap, bridge] = [f - g, Math.sqrt(binomialVariance(f) / n + binomialVariance(g) / m)];
    f += p;
    g += q;
    if (Number.isFinite(high - low)) {
      area += (high - low) * areaUnderLine(gap, f - g);
      noise += ((high - low) * (bridge + Math.sqrt(binomialVariance(f) / n + binomialVariance(g) / m))) / 2;
      centres.push({ at: (low + high) / 2, p, q });
    } else {
      // An open cell counts at its edge.
      centres.push({ at: [low, high].find(Number.isFinite) ?? 0, p, q });
    }
  }
  const sum = (term: (centre: Shares & { at: number }) => number) =>
    centres.reduce((total, centre) => total + term(centre), 0);
  const unseen = (moments.batch.mean - mean) / std - sum(({ at, p, q }) => (p - q) * at);
  const deviation = widerDeviation(moments.batch, moments.baseline);
  // The variance that remains when each value is put at the centre of its cell.
  const restOfBatch = deviation ** 2 - (sum(({ at, p }) => p * at * at) - sum(({ at, p }) => p * at) ** 2);
  const restOfBaseline = deviation ** 2 - (sum(({ at, q }) => q * at * at) - sum(({ at, q }) => q * at) ** 2);
  noise += Math.sqrt(Math.max(0, restOfBatch) / n + Math.max(0, restOfBaseline) / m);
  const error = deviation * rootOfRates(n, m);
  const margin = Math.sqrt(2 / Math.PI) * noise + studentQuantile(confidence, n + m - 2) * error;
  const estimate = area + Math.abs(unseen);
  return finite({
    low: Math.max(0, estimate - margin),
    estimate,
    high: estimate + margin,
    smallestDetectable: limit + margin + normalQuantile(POWER) * error,
  });
}

/**
 * Of a closed cell, the part that the values of the baseline reach: between the atom at zero, which is always there,
 * and values around 1000 there is a gap and not a slope.
 */
function narrowed(piece: Piece, { min, max }: Range): Piece[] {
  const { from, to } = piece;
  if (!Number.isFinite(to - from)) return [piece];
  const low = Math.min(Math.max(from, min), to);
  const high = Math.min(Math.max(from, max), to);
  const empty = { batch: 0, baseline: 0, kind: piece.kind };
  return [
    { ...empty, from, to: low },
    { ...piece, from: low, to: high },
    { ...empty, from: high, to },
  ];
}

/**
 * The largest |p - q|. A difference strays by more than its margin (Bernstein's inequality, shares drawn towards a
 * half by as many rows as the confidence is worth, after Agresti and Coull) with a chance of 1 - confidence. `low`
 * is about the category that looks worst, one of many, in either direction: its confidence is divided over them.
 */
function largestChange(cells: readonly Cell[], { limit, confidence }: DriftOptions): DriftEffect | undefined {
  const { n, m } = sizes(cells);
  if (n === 0 || m === 0) return undefined;
  const filled = cells.filter((cell) => cell.batch + cell.baseline > 0);
  const one = nats(confidence);
  const any = one + Math.log(2 * filled.length);
  const effect = { low: 0, estimate: 0, high: 0, smallestDetectable: 0 };
  for (const { batch, baseline } of filled) {
    const difference = Math.abs(batch / n - baseline / m);
    const varianceFor = (weight: number) =>
      binomialVariance((batch + weight) / (n + 2 * weight)) / n +
      binomialVariance((baseline + weight) / (m + 2 * weight)) / m;
    const scale = 1 / Math.min(n, m);
    const margin = bernstein(varianceFor(any), scale, any);
    effect.low = Math.max(effect.low, difference - margin);
    effect.estimate = Math.max(effect.estimate, difference);
    effect.high = Math.max(effect.high, Math.min(1, difference + bernstein(varianceFor(one), scale, one)));
    effect.smallestDetectable = Math.max(
      effect.smallestDetectable,
      limit + margin + normalQuantile(POWER) * Math.sqrt(varianceFor(0)),
    );
  }
  return finite(effect);
}

// ---------------------------------------------------------------------------------------------------------
// Quantiles
// ---------------------------------------------------------------------------------------------------------

/** The piece that holds a rank, and the share of the piece's values that lie below it. */
function placeOf(rank: number, pieces: readonly Piece[]): { piece: Piece; share: number } | undefined {
  const { n } = sizes(pieces);
  let place: { piece: Piece; share: number } | undefined;
  let below = 0;
  for (const piece of pieces) {
    if (piece.batch === 0) continue;
    const share = (rank * n - below) / piece.batch;
    place = { piece, share: Math.min(1, share) };
    if (share <= 1) break;
    below += piece.batch;
  }
  return place;
}

/** Estimate of a quantile and one-sided bounds on it, infinite where the rows do not reach. */
function quantileInterval(
  p: number,
  distribution: NumericDistribution,
  { min, max }: Range,
  confidence: number,
): { low: number; estimate: number; high: number } | undefined {
  const pieces = piecesOf(distribution, distribution);
  const { n } = sizes(pieces);
  if (n === 0) return undefined;
  const margin = bernstein(binomialVariance(p) / n, 1 / n, nats(confidence) + Math.LN2);
  const estimate = quantileOf(p, distribution, min, max);
  const end = (rank: number, side: 'from' | 'to') => {
    if (rank <= 0) return Number.NEGATIVE_INFINITY;
    if (rank >= 1) return Number.POSITIVE_INFINITY;
    const piece = placeOf(rank, pieces)?.piece;
    if (piece === undefined || (Number.isFinite(piece.from) && Number.isFinite(piece.to))) {
      return quantileOf(rank, distribution, min, max);
    }
    return Math.min(max, Math.max(min, piece[side]));
  };
  return {
    low: Math.min(estimate, end(p - margin, 'from')),
    estimate,
    high: Math.max(estimate, end(p + margin, 'to')),
  };
}

// ---------------------------------------------------------------------------------------------------------
// Small things
// ---------------------------------------------------------------------------------------------------------

/** How much a tail of 1 - confidence is, in nats: what exponential inequalities are solved with. */
function nats(confidence: number): number {
  return -Math.log(1 - confidence);
}

/** The deviation t at which Bernstein's bound exp(-t² / (2 (variance + scale t / 3))) is exp(-nats). */
function bernstein(variance: number, scale: number, nats: number): number {
  const linear = (scale * nats) / 3;
  return linear + Math.sqrt(linear * linear + 2 * variance * nats);
}

/** Of one draw; `share` may miss 0 or 1 by rounding. */
function binomialVariance(share: number): number {
  return Math.max(0, share * (1 - share));
}

/** Deviation of a difference of two means of unit deviation. */
function rootOfRates(n: number, m: number): number {
  return Math.sqrt(1 / n + 1 / m);
}

/** ∫ |y| over a unit interval on which y runs straight. */
function areaUnderLine(from: number, to: number): number {
  const [a, b] = [Math.abs(from), Math.abs(to)];
  return from * to < 0 ? (a * a + b * b) / (2 * (a + b)) : (a + b) / 2;
}

function comparable(batch: Moments, baseline: Moments): boolean {
  return batch.count > 0 && baseline.count > 0 && batch.count + baseline.count > 2 && baseline.std > 0;
}

/** The larger deviation of the two, in deviations of the baseline. */
function widerDeviation(batch: Moments, baseline: Moments): number {
  return Math.max(1, batch.std / baseline.std);
}

/** The size of a signed effect, from an interval of the signed one. */
function folded(low: number, estimate: number, high: number): Omit<DriftEffect, 'smallestDetectable'> {
  return {
    low: Math.max(0, low, -high),
    estimate: Math.abs(estimate),
    high: Math.max(Math.abs(low), Math.abs(high)),
  };
}

/** Values at the end of what a number holds overflow; then the effect cannot be computed. */
function finite(effect: DriftEffect): DriftEffect | undefined {
  return Object.values(effect).every(Number.isFinite) ? effect : undefined;
}

function checkOptions({ limit, confidence }: DriftOptions): void {
  if (!(limit > 0 && limit < Number.POSITIVE_INFINITY)) {
    throw new RangeError(`a limit on drift is a number above 0, got ${limit}`);
  }
  if (!(confidence >= 0.5 && confidence < 1)) {
    throw new RangeError(`a confidence is from 0.5 to below 1, got ${confidence}`);
  }
}
