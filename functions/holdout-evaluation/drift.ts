import { nextWord, type RandomState, randomOf, seedOf } from '../shared/random.ts';
import { normalQuantile } from '../shared/statistics.ts';
import { ascendingOrder } from './binary.ts';
import { noisyInterval } from './bootstrap.ts';
import type { MetricMeasurements } from './measurements.ts';

/*
 * How far the predictions of a model have moved from those of the champion, on the same examples.
 */

/** Bins of as many of the champion's predictions each. */
const BINS = 10;

/** Rows in a cell from which on their number is drawn as from the normal distribution. */
const MANY_ROWS = 30;

export interface DriftOptions {
  confidence: number;
  replicates: number;
  seed: string;
}

/**
 * Population stability index, Σ (p - q) ln(p / q), of shares of the candidate's (p) and the champion's (q) predictions in
 * ten bins of as many of the champion's; equal predictions share a bin, so there may be fewer. Every example counts once,
 * whatever its weight. Each bin has half an example more on either side, so that an empty one leaves the index finite.
 *
 * The interval resamples examples with both of their predictions: models that agree example by example are known to
 * agree better than two samples of the same law would be. It is without what noise adds to the index, and takes the bins
 * as the champion's predictions set them.
 *
 * @param candidate one number for each example, as many as of the champion; finite
 * @returns undefined without an example
 */
export function predictionDrift(
  candidate: Float64Array,
  champion: Float64Array,
  { confidence, replicates, seed }: DriftOptions,
): MetricMeasurements['predictionDrift'] {
  const rows = candidate.length;
  if (rows === 0) return undefined;
  const edges = binEdges(champion);
  const bins = edges.length + 1;
  /** Examples by the bin of the candidate's prediction and, within, that of the champion's. */
  const cells = new Float64Array(bins * bins);
  for (let row = 0; row < rows; row++) {
    cells[binOf(candidate[row]!, edges) * bins + binOf(champion[row]!, edges)]!++;
  }
  const observed = marginals(cells, bins);
  // With the logarithmic mean L of both shares, (p - q) ln(p / q) is (p - q)² / L: a size of these.
  const gaps = (counts: Float64Array) => {
    const { candidate: now, champion: then } = marginals(counts, bins);
    return now.map(
      (count, bin) => (count - then[bin]!) / rows / Math.sqrt(logarithmicMean(count, then[bin]!, rows)),
    );
  };
  const parts = gaps(cells);
  const deviations = new Float64Array(replicates * bins);
  const counts = new Float64Array(cells.length);
  const start = seedOf(seed, 'prediction drift');
  for (let replicate = 0; replicate < replicates; replicate++) {
    drawCells(cells, rows, counts, randomOf(start, replicate));
    deviations.set(
      gaps(counts).map((part, bin) => part - parts[bin]!),
      replicate * bins,
    );
  }
  const size = (of: Float64Array) => of.reduce((sum, gap) => sum + gap ** 2, 0);
  return {
    psi: size(parts),
    interval: noisyInterval({ parts, deviations, size }, { confidence }),
    bins: {
      edges,
      candidate: Array.from(observed.candidate),
      champion: Array.from(observed.champion),
    },
  };
}

/**
 * Upper edges of all bins but the last, halfway between two of the values: one that many examples share has room on both
 * sides, so that a new model may move it a little. Where a tenth or more of them are the least or the greatest, what is
 * beyond it by more than a tenth of their range has a bin of its own, though no value is in it.
 */
function binEdges(values: Float64Array): number[] {
  const order = ascendingOrder(values);
  const at = (place: number) => values[order[place]!]!;
  const deciles = Array.from({ length: BINS - 1 }, (_, index) =>
    Math.max(0, Math.ceil(((index + 1) * values.length) / BINS) - 1),
  );
  const [least, most] = [at(0), at(values.length - 1)];
  const margin = most / BINS - least / BINS;
  const edges: number[] = [];
  if (at(deciles[0]!) === least) edges.push(Math.min(least - margin, nextBelow(least)));
  let next = 0;
  for (const place of deciles) {
    if (at(place) === most) break;
    if (next > place) continue;
    for (next = place; at(next) === at(place); ) next++;
    edges.push(at(place) / 2 + at(next) / 2);
  }
  if (at(deciles.at(-1)!) === most) edges.push(most + margin);
  return edges;
}

/** The greatest number below a finite one. */
function nextBelow(value: number): number {
  const float = Float64Array.of(value);
  const bits = new BigInt64Array(float.buffer);
  if (value === 0) return -Number.MIN_VALUE;
  bits[0]! -= value > 0 ? 1n : -1n;
  return float[0]!;
}

function binOf(value: number, edges: readonly number[]): number {
  let bin = 0;
  while (bin < edges.length && value > edges[bin]!) bin++;
  return bin;
}

/** Examples of either model in each bin. */
function marginals(cells: Float64Array, bins: number): { candidate: Float64Array; champion: Float64Array } {
  const candidate = new Float64Array(bins);
  const champion = new Float64Array(bins);
  for (let now = 0; now < bins; now++) {
    for (let then = 0; then < bins; then++) {
      candidate[now]! += cells[now * bins + then]!;
      champion[then]! += cells[now * bins + then]!;
    }
  }
  return { candidate, champion };
}

/** Of two shares, each with half an example more: (p - q) / ln(p / q). */
function logarithmicMean(candidate: number, champion: number, rows: number): number {
  const [p, q] = [(candidate + 0.5) / rows, (champion + 0.5) / rows];
  return p === q ? p : (p - q) / Math.log(p / q);
}

/** Draws `rows` rows onto cells in proportion to `cells`: a binomial draw of what is left for each. */
function drawCells(cells: Float64Array, rows: number, counts: Float64Array, state: RandomState): void {
  let left = rows;
  let leftCells = rows;
  for (let cell = 0; cell < cells.length; cell++) {
    counts[cell] = left === 0 ? 0 : binomial(left, Math.min(1, cells[cell]! / leftCells), state);
    left -= counts[cell]!;
    leftCells -= cells[cell]!;
  }
}

/** Successes in `trials` of chance `p`; normal where both outcomes are many, which is close enough to resample. */
function binomial(trials: number, p: number, state: RandomState): number {
  if (p > 0.5) return trials - binomial(trials, 1 - p, state);
  if (p <= 0) return 0;
  const uniform = (nextWord(state) + 0.5) / 2 ** 32;
  const mean = trials * p;
  if (mean > MANY_ROWS) {
    const deviation = Math.sqrt(mean * (1 - p));
    return Math.min(trials, Math.max(0, Math.round(mean + deviation * normalQuantile(uniform))));
  }
  // The chances of 0, 1, 2 ... successes in turn, until they exceed the draw.
  let chance = (1 - p) ** trials;
  let left = uniform - chance;
  let successes = 0;
  while (left >= 0 && successes < trials) {
    chance *= ((p / (1 - p)) * (trials - successes)) / (successes + 1);
    successes++;
    left -= chance;
  }
  return successes;
}
