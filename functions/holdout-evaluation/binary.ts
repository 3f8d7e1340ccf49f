import { firstIndex } from './bootstrap.ts';
import { type MetricQuery, type MetricValue, NEVER_PREDICTED } from './metric.ts';

/*
 * Metrics of two classes, as scikit-learn defines them.
 *
 * Everything that does not depend on how often an example counts (the order of the scores, ties, losses, the places of
 * thresholds and bins) is worked out once; a tally is then one pass over each class. The bootstrap takes a thousand
 * tallies of the same examples, so the passes are written for speed: plain arrays, no branches, no allocation.
 */

/** Scores at or above it count as positive where a query names no threshold. */
export const DEFAULT_THRESHOLD = 0.5;

/** Bins of equal width over 0 to 1 that the calibration error compares probabilities and outcomes in. */
export const CALIBRATION_BINS = 10;

/** What scikit-learn keeps probabilities away from 0 and 1 by, for the log loss: the epsilon of a float64. */
const EPSILON = 2 ** -52;

/** Keeps 0 / 0 of examples that do not count at 0. */
const TINY = 1e-300;

/** Labels 0 or 1, scores and, optionally, how much each example counts (from 0; 0: it is not there). */
export interface BinaryExamples {
  labels: ArrayLike<number>;
  predictions: ArrayLike<number>;
  weights?: ArrayLike<number> | undefined;
}

/** The examples of one class in ascending order of their scores, with what one tally adds up. */
export interface ClassRows {
  /** Index of each row among the examples that were given. */
  of: Uint32Array;
  scores: Float64Array;
  /** How much one example counts. */
  weights: Float64Array;
  /** How far the score is from the label; the same array where every example counts once. */
  distances: Float64Array;
  weightedDistances: Float64Array;
  /** Log losses, times the weight. */
  losses: Float64Array;
  /** Where each calibration bin begins; the last entry is where the last one ends. */
  bins: Int32Array;
  /** For each threshold, how many scores are below it. */
  below: Int32Array;
}

/** Two classes, ready to be tallied again and again. */
export interface PreparedBinary {
  negatives: ClassRows;
  positives: ClassRows;
  thresholds: readonly number[];
  /** For each positive row: how many negative scores are below its own, and how many are not above it. */
  negativesBelow: Int32Array;
  negativesUpTo: Int32Array;
  /** For each positive row: the first positive row with the same score. */
  tiedFrom: Int32Array;
  /** Running weights of one tally, one longer than the class. */
  runningNegatives: Float64Array;
  runningPositives: Float64Array;
}

/** Sums over the examples, each as often as it counts: enough for every metric. */
export interface Tally {
  /** Weight of each class. */
  negatives: number;
  positives: number;
  /** Sum of squared distances of score and label, and of the log losses. */
  squares: number;
  losses: number;
  /** Twice the weight of the pairs of a positive and a negative that are in the right order; a tie is half. */
  orderedPairs: number;
  /** Sum over the positives of the precision at their own score. */
  precisions: number;
  /** For each calibration bin: outcomes minus scores. */
  gaps: Float64Array;
  /** For each threshold: weight at or above it. */
  falsePositives: Float64Array;
  truePositives: Float64Array;
}

/**
 * One metric of two classes.
 *
 * A class that is missing leaves undefined what is about it (recall, specificity, balanced accuracy, AUC, average
 * precision), where scikit-learn warns or gives 0, 1 or half of the metric. Precision without a predicted positive is
 * undefined through the model's fault, see {@link NEVER_PREDICTED}. The Matthews correlation is 0 there, as it is in
 * scikit-learn.
 *
 * @throws RangeError for a metric that is none of two classes
 */
export function binaryMetric(query: MetricQuery, examples: BinaryExamples): MetricValue {
  const prepared = prepareBinary(examples, [query.threshold ?? DEFAULT_THRESHOLD]);
  return binaryValue(query, tally(prepared), prepared.thresholds);
}

/** Sorts examples and works out what tallies need. Scores are finite; thresholds are those of all queries to come. */
export function prepareBinary(
  { labels, predictions, weights }: BinaryExamples,
  thresholds: readonly number[],
): PreparedBinary {
  const order = ascendingOrder(Float64Array.from(predictions));
  const classRows = (label: 0 | 1) => {
    const of = new Uint32Array(order.length);
    let rows = 0;
    for (let place = 0; place < order.length; place++) {
      const row = order[place]!;
      if (labels[row] === label && (weights === undefined || weights[row]! > 0)) of[rows++] = row;
    }
    return prepareClass(of.slice(0, rows), label, { predictions, weights }, thresholds);
  };
  const negatives = classRows(0);
  const positives = classRows(1);

  const rows = positives.scores.length;
  const negativesBelow = new Int32Array(rows);
  const negativesUpTo = new Int32Array(rows);
  const tiedFrom = new Int32Array(rows);
  let below = 0;
  let upTo = 0;
  for (let row = 0; row < rows; row++) {
    const score = positives.scores[row]!;
    while (below < negatives.scores.length && negatives.scores[below]! < score) below++;
    while (upTo < negatives.scores.length && negatives.scores[upTo]! <= score) upTo++;
    negativesBelow[row] = below;
    negativesUpTo[row] = upTo;
    tiedFrom[row] = row > 0 && positives.scores[row - 1] === score ? tiedFrom[row - 1]! : row;
  }
  return {
    negatives,
    positives,
    thresholds,
    negativesBelow,
    negativesUpTo,
    tiedFrom,
    runningNegatives: new Float64Array(negatives.scores.length + 1),
    runningPositives: new Float64Array(rows + 1),
  };
}

function prepareClass(
  of: Uint32Array,
  label: 0 | 1,
  { predictions, weights }: Omit<BinaryExamples, 'labels'>,
  thresholds: readonly number[],
): ClassRows {
  const scores = new Float64Array(of.length);
  for (let row = 0; row < of.length; row++) scores[row] = predictions[of[row]!]!;
  const distances = new Float64Array(of.length);
  const rows: ClassRows = {
    of,
    scores,
    weights: new Float64Array(of.length),
    distances,
    weightedDistances: weights === undefined ? distances : new Float64Array(of.length),
    losses: new Float64Array(of.length),
    bins: new Int32Array(CALIBRATION_BINS + 1).fill(of.length),
    below: Int32Array.from(thresholds, (threshold) => firstIndex(scores, (score) => score >= threshold)),
  };
  for (let row = 0; row < of.length; row++) {
    const score = scores[row]!;
    const weight = weights === undefined ? 1 : weights[of[row]!]!;
    const distance = Math.abs(score - label);
    rows.weights[row] = weight;
    distances[row] = distance;
    rows.weightedDistances[row] = weight * distance;
    const chance = label === 1 ? score : 1 - score;
    rows.losses[row] = -weight * Math.log(Math.min(Math.max(chance, EPSILON), 1 - EPSILON));
  }
  for (let bin = 0; bin < CALIBRATION_BINS; bin++) {
    rows.bins[bin] = firstIndex(scores, (score) => calibrationBin(score) >= bin);
  }
  return rows;
}

/** The bin of a probability: each holds its lower edge, and the last one holds 1 as well. */
export function calibrationBin(probability: number): number {
  return Math.min(CALIBRATION_BINS - 1, Math.max(0, Math.floor(probability * CALIBRATION_BINS)));
}

/** How often each row of each class counts, in the order of {@link ClassRows}. */
export interface Counts {
  negatives: Uint8Array;
  positives: Uint8Array;
}

/** Adds up examples, each once or as often as `counts` says. */
export function tally(prepared: PreparedBinary, counts?: Counts): Tally {
  const { negatives, positives, runningNegatives, runningPositives, thresholds } = prepared;
  const times = counts ?? {
    negatives: new Uint8Array(negatives.of.length).fill(1),
    positives: new Uint8Array(positives.of.length).fill(1),
  };
  const sums: Tally = {
    negatives: 0,
    positives: 0,
    squares: 0,
    losses: 0,
    orderedPairs: 0,
    precisions: 0,
    gaps: new Float64Array(CALIBRATION_BINS),
    falsePositives: new Float64Array(thresholds.length),
    truePositives: new Float64Array(thresholds.length),
  };
  addClass(negatives, times.negatives, runningNegatives, 0, sums);
  addClass(positives, times.positives, runningPositives, 1, sums);
  sums.negatives = runningNegatives[negatives.of.length]!;
  sums.positives = runningPositives[positives.of.length]!;
  for (let index = 0; index < thresholds.length; index++) {
    sums.falsePositives[index] = sums.negatives - runningNegatives[negatives.below[index]!]!;
    sums.truePositives[index] = sums.positives - runningPositives[positives.below[index]!]!;
  }
  addRanks(prepared, times.positives, sums);
  return sums;
}

/** Losses and gaps of one class, and its running weights. */
function addClass(
  { weights, distances, weightedDistances, losses, bins }: ClassRows,
  counts: Uint8Array,
  running: Float64Array,
  label: 0 | 1,
  sums: Tally,
): void {
  let total = 0;
  let square = 0;
  let loss = 0;
  for (let bin = 0; bin < CALIBRATION_BINS; bin++) {
    const end = bins[bin + 1]!;
    let gap = 0;
    for (let row = bins[bin]!; row < end; row++) {
      const count = counts[row]!;
      const distance = count * weightedDistances[row]!;
      gap += distance;
      square += distance * distances[row]!;
      loss += count * losses[row]!;
      total += count * weights[row]!;
      running[row + 1] = total;
    }
    sums.gaps[bin]! += label === 1 ? gap : -gap;
  }
  sums.squares += square;
  sums.losses += loss;
}

/** What depends on the order of the scores: pairs, and the precision at each positive. */
function addRanks(prepared: PreparedBinary, counts: Uint8Array, sums: Tally): void {
  const { runningNegatives, runningPositives, negativesBelow, negativesUpTo, tiedFrom } = prepared;
  const { weights } = prepared.positives;
  const { negatives, positives } = sums;
  let pairs = 0;
  let precisions = 0;
  for (let row = 0; row < counts.length; row++) {
    const weight = counts[row]! * weights[row]!;
    const below = runningNegatives[negativesBelow[row]!]!;
    const found = positives - runningPositives[tiedFrom[row]!]!;
    pairs += weight * (below + runningNegatives[negativesUpTo[row]!]!);
    precisions += (weight * found) / (found + (negatives - below) + TINY);
  }
  sums.orderedPairs = pairs;
  sums.precisions = precisions;
}

/**
 * One metric from sums.
 *
 * @param thresholds those that the tally was prepared for; that of the query is among them
 * @throws RangeError for a metric that is none of two classes, or a threshold that was not prepared
 */
export function binaryValue(query: MetricQuery, sums: Tally, thresholds: readonly number[]): MetricValue {
  const { negatives, positives } = sums;
  const total = negatives + positives;
  const noPositive = { undefinedBecause: 'no positive example' };
  const noNegative = { undefinedBecause: 'no negative example' };
  if (total === 0) return { undefinedBecause: 'no example' };
  switch (query.metric) {
    case 'auc':
      if (positives === 0) return noPositive;
      if (negatives === 0) return noNegative;
      return { value: sums.orderedPairs / (2 * positives * negatives) };
    case 'averagePrecision':
      return positives === 0 ? noPositive : { value: sums.precisions / positives };
    case 'logLoss':
      return { value: sums.losses / total };
    case 'brier':
      return { value: sums.squares / total };
    case 'calibrationError':
      return { value: calibrationError(sums.gaps, total) };
  }
  const index = thresholds.indexOf(query.threshold ?? DEFAULT_THRESHOLD);
  if (index < 0) throw new RangeError(`threshold ${query.threshold} was not prepared`);
  const hits = sums.truePositives[index]!;
  const alarms = sums.falsePositives[index]!;
  const misses = positives - hits;
  const rejections = negatives - alarms;
  switch (query.metric) {
    case 'accuracy':
      return { value: (hits + rejections) / total };
    case 'recall':
      return positives === 0 ? noPositive : { value: hits / positives };
    case 'specificity':
      return negatives === 0 ? noNegative : { value: rejections / negatives };
    case 'balancedAccuracy':
      if (positives === 0) return noPositive;
      if (negatives === 0) return noNegative;
      return { value: (hits / positives + rejections / negatives) / 2 };
    case 'precision':
      return hits + alarms === 0
        ? { undefinedBecause: `${NEVER_PREDICTED} positive` }
        : { value: hits / (hits + alarms) };
    case 'f1':
      return hits + alarms + positives === 0
        ? noPositive
        : { value: (2 * hits) / (2 * hits + alarms + misses) };
    case 'mcc': {
      // Two roots: the product of all four sums could overflow, and those of a perfect model cancel like this.
      const spread = Math.sqrt((hits + alarms) * positives) * Math.sqrt(negatives * (rejections + misses));
      return { value: spread === 0 ? 0 : (hits * rejections - alarms * misses) / spread };
    }
    default:
      throw new RangeError(`${query.metric} is no metric of two classes`);
  }
}

/** Mean distance of outcome and probability: bins by their weight. */
export function calibrationError(gaps: ArrayLike<number>, total: number): number {
  let sum = 0;
  for (let bin = 0; bin < gaps.length; bin++) sum += Math.abs(gaps[bin]!);
  return sum / total;
}

/**
 * The indices of finite numbers in ascending order of their values; equal ones keep their order. Radix sort: a million
 * take a tenth of the time that a comparator needs.
 */
export function ascendingOrder(values: Float64Array): Uint32Array {
  const count = values.length;
  // The bits of a float64 order as an unsigned integer once negative numbers are inverted and others have the sign set.
  const keys = new Uint32Array(2 * count);
  const bits = new Float64Array(1);
  const [low, high] = [0, 1];
  const words = new Uint32Array(bits.buffer);
  for (let index = 0; index < count; index++) {
    // Adding 0 makes -0 and 0 the same.
    bits[0] = values[index]! + 0;
    const negative = words[high]! >>> 31 === 1;
    keys[2 * index + low] = negative ? ~words[low]! : words[low]!;
    keys[2 * index + high] = negative ? ~words[high]! : words[high]! ^ 0x80000000;
  }
  let order = new Uint32Array(count);
  for (let index = 0; index < count; index++) order[index] = index;
  let next = new Uint32Array(count);
  for (let digit = 0; digit < 8; digit++) {
    const word = digit >> 2;
    const shift = 8 * (digit & 3);
    const starts = new Uint32Array(257);
    for (let index = 0; index < count; index++) {
      starts[((keys[2 * index + word]! >>> shift) & 255) + 1]!++;
    }
    if (starts.includes(count)) continue;
    for (let value = 0; value < 256; value++) starts[value + 1]! += starts[value]!;
    for (let place = 0; place < count; place++) {
      const index = order[place]!;
      next[starts[(keys[2 * index + word]! >>> shift) & 255]!++] = index;
    }
    [order, next] = [next, order];
  }
  return order;
}
