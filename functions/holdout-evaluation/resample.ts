import { randomOf, seedOf } from '../shared/random.ts';
import {
  binaryValue,
  CALIBRATION_BINS,
  type Counts,
  calibrationBin,
  DEFAULT_THRESHOLD,
  type PreparedBinary,
  prepareBinary,
  type Tally,
  tally,
} from './binary.ts';
import { below, createDraw } from './bootstrap.ts';
import type { MetricQuery, MetricValue, Task } from './metric.ts';
import { mostProbable, prepareMulticlass } from './multiclass.ts';
import { prepareRegression } from './regression.ts';

/*
 * One resample of a set of examples (all of them, or one slice): as many draws from that set, with replacement.
 *
 * How many of a class it draws is left to chance, as it would be in another holdout of the same source: with the classes
 * held at their sizes, 95 % intervals of Brier score, log loss, accuracy, precision and average precision were seen to
 * cover the truth 88 to 90 % of the time. Only a class that would be missing altogether gets one of its examples, so that
 * rare classes do not leave metrics undefined. A slice has resamples of its own, in which it keeps its size. Candidate
 * and champion are measured on the same resamples.
 */

/** Examples and what to compute on them; can be sent to another thread. */
export interface Problem {
  task: Task;
  labels: Float64Array;
  predictions: Float64Array;
  champion?: Float64Array | undefined;
  classes: string[];
  weights?: Float64Array | undefined;
  sets: ExampleSet[];
  replicates: number;
  seed: string;
}

/** Examples that are resampled together. */
export interface ExampleSet {
  /** Tells it from every other; part of its seed. */
  name: string;
  /** Their indices; left out: all. */
  rows?: Int32Array;
  count: number;
  /** Of the candidate. */
  queries: MetricQuery[];
  /** Of the champion; all of them are among `queries` too. */
  championQueries: MetricQuery[];
}

/** The examples themselves, as far as the resamples have to be compared with them. */
export interface SetSummary {
  values: MetricValue[];
  championValues: MetricValue[];
  /** For each query: the examples that its spread hangs on, by weight. */
  examples: number[];
  positives: number[];
  /** Whether candidate and champion predict the same for every example. */
  identical: boolean;
  calibration?: Calibration;
  championCalibration?: Calibration;
}

/** Outcomes minus probabilities in each calibration bin, as shares of all examples. */
export interface Calibration {
  gaps: Float64Array;
  /** Bins with an example. */
  bins: number;
  /** Examples in all bins, by weight. */
  examples: number;
}

/** One set, ready to be resampled. */
export interface Resampler {
  summary: SetSummary;
  /** Numbers that a resample yields. */
  width: number;
  /**
   * Draws a resample and writes to `out`, from `offset` on: the value of each query, then of each of the champion's, then
   * the calibration gaps of either where they are asked for. NaN where a metric is not defined.
   */
  resample(replicate: number, out: Float64Array, offset: number): void;
}

/** Prepares one set for its resamples: sorts it and works out what they share. */
export function createResampler(problem: Problem, set: ExampleSet): Resampler {
  return problem.task === 'binary' ? binaryResampler(problem, set) : plainResampler(problem, set);
}

/** The part of an array of `width` numbers an example that belongs to a set. */
function pick(values: Float64Array, { rows }: ExampleSet, width = 1): Float64Array {
  if (rows === undefined) return values;
  const picked = new Float64Array(rows.length * width);
  for (let index = 0; index < rows.length; index++) {
    for (let at = 0; at < width; at++) picked[index * width + at] = values[rows[index]! * width + at]!;
  }
  return picked;
}

/** Gives a class of which a resample has nothing one of its examples. */
function keepClass(counts: Uint8Array, rows: ArrayLike<number>, state: Int32Array): void {
  for (let index = 0; index < rows.length; index++) if (counts[rows[index]!] !== 0) return;
  if (rows.length > 0) counts[rows[below(rows.length, state)]!] = 1;
}

/** Numbers from 0 on, as many as `length`, plus `from`. */
function range(from: number, length: number): Int32Array {
  return Int32Array.from({ length }, (_, index) => from + index);
}

function binaryResampler(problem: Problem, set: ExampleSet): Resampler {
  const { queries, championQueries } = set;
  const labels = pick(problem.labels, set);
  const weights = problem.weights && pick(problem.weights, set);
  const thresholds = [
    ...new Set([...queries, ...championQueries].map((query) => query.threshold ?? DEFAULT_THRESHOLD)),
  ];
  const prepare = (scores: Float64Array) =>
    prepareBinary({ labels, weights, predictions: pick(scores, set) }, thresholds);
  const candidate = prepare(problem.predictions);
  const champion = championQueries.length > 0 ? prepare(problem.champion!) : undefined;

  const positives = candidate.positives.of.length;
  const rows = positives + candidate.negatives.of.length;
  const draw = createDraw(rows);
  const drawn = new Uint8Array(rows);
  const counts: Counts = { positives: drawn.subarray(0, positives), negatives: drawn.subarray(positives) };
  const rowsOfClass = [range(0, positives), range(positives, rows - positives)];
  const follow = champion && createFollower(candidate, champion, labels.length);
  const calibrated = queries.some(isCalibration);
  const championCalibrated = championQueries.some(isCalibration);
  const seed = seedOf(problem.seed, set.name);

  const base = tally(candidate);
  const baseOfChampion = champion && tally(champion);
  const effective = effectiveShare(weights, labels.length);
  const valuesOf = (asked: MetricQuery[], sums: Tally) =>
    asked.map((query) => binaryValue(query, sums, thresholds));
  const summary: SetSummary = {
    values: valuesOf(queries, base),
    championValues: baseOfChampion === undefined ? [] : valuesOf(championQueries, baseOfChampion),
    examples: queries.map((query) => effective * hangsOn(query, base, thresholds)),
    positives: queries.map(() => positives),
    identical: isIdentical(problem, set),
    ...(calibrated && { calibration: calibrationOf(candidate, base, effective) }),
    ...(championCalibrated && {
      championCalibration: calibrationOf(champion!, baseOfChampion!, effective),
    }),
  };

  const write = (asked: MetricQuery[], sums: Tally, out: Float64Array, offset: number) => {
    for (let index = 0; index < asked.length; index++) {
      const result = binaryValue(asked[index]!, sums, thresholds);
      out[offset + index] = 'value' in result ? result.value : Number.NaN;
    }
    return offset + asked.length;
  };
  const writeGaps = (sums: Tally, out: Float64Array, offset: number) => {
    const total = sums.positives + sums.negatives;
    for (let bin = 0; bin < CALIBRATION_BINS; bin++) out[offset + bin] = sums.gaps[bin]! / total;
    return offset + CALIBRATION_BINS;
  };
  return {
    summary,
    width: widthOf(set),
    resample: (replicate, out, offset) => {
      const state = randomOf(seed, replicate);
      draw(drawn, state);
      for (const own of rowsOfClass) keepClass(drawn, own, state);
      const sums = tally(candidate, counts);
      const followed = follow && tally(champion!, follow(counts));
      let at = write(queries, sums, out, offset);
      if (followed) at = write(championQueries, followed, out, at);
      if (calibrated) at = writeGaps(sums, out, at);
      if (championCalibrated) writeGaps(followed!, out, at);
    },
  };
}

export function isCalibration({ metric }: MetricQuery): boolean {
  return metric === 'calibrationError';
}

function isIdentical({ predictions, champion }: Problem, { championQueries }: ExampleSet): boolean {
  if (champion === undefined || championQueries.length === 0) return false;
  return champion.every((prediction, index) => prediction === predictions[index]);
}

/** Numbers that one resample of a set yields. */
export function widthOf({ queries, championQueries }: ExampleSet): number {
  const gaps = Number(queries.some(isCalibration)) + Number(championQueries.some(isCalibration));
  return queries.length + championQueries.length + gaps * CALIBRATION_BINS;
}

/** Tells the counts of one order of the examples in another. */
function createFollower(from: PreparedBinary, to: PreparedBinary, examples: number) {
  const byExample = new Uint8Array(examples);
  const counts: Counts = {
    negatives: new Uint8Array(to.negatives.of.length),
    positives: new Uint8Array(to.positives.of.length),
  };
  return (drawn: Counts): Counts => {
    for (const name of ['negatives', 'positives'] as const) {
      const [source, target] = [from[name].of, to[name].of];
      for (let row = 0; row < source.length; row++) byExample[source[row]!] = drawn[name][row]!;
      for (let row = 0; row < target.length; row++) counts[name][row] = byExample[target[row]!]!;
    }
    return counts;
  };
}

/** Unweighted examples that one unit of weight is worth (Kish). */
function effectiveShare(weights: Float64Array | undefined, count: number): number {
  if (weights === undefined || count === 0) return 1;
  let sum = 0;
  let squares = 0;
  for (let row = 0; row < count; row++) {
    sum += weights[row]!;
    squares += weights[row]! ** 2;
  }
  return sum / squares;
}

/** Weight of the examples that the spread of a metric of two classes hangs on: what a share is of, or both classes. */
function hangsOn({ metric, threshold }: MetricQuery, sums: Tally, thresholds: number[]): number {
  const index = thresholds.indexOf(threshold ?? DEFAULT_THRESHOLD);
  switch (metric) {
    case 'recall':
      return sums.positives;
    case 'specificity':
      return sums.negatives;
    case 'precision':
      return sums.truePositives[index]! + sums.falsePositives[index]!;
    case 'accuracy':
    case 'logLoss':
    case 'brier':
    case 'calibrationError':
      return sums.positives + sums.negatives;
    default:
      return ofClasses([sums.positives, sums.negatives]);
  }
}

/**
 * How many examples an average over classes is known as well as: Welch's degrees of freedom (Biometrika 34, 1947) with
 * the same spread in every class. Little more than the rarer class of two; more than the rarest of many.
 *
 * @param weights of the classes; with nothing in one of them there is nothing to know
 */
function ofClasses(weights: readonly number[]): number {
  if (weights.includes(0)) return 0;
  const sum = (power: number) => weights.reduce((total, weight) => total + weight ** -power, 0);
  return sum(1) ** 2 / sum(3);
}

function calibrationOf(prepared: PreparedBinary, sums: Tally, effective: number): Calibration {
  const total = sums.positives + sums.negatives;
  let bins = 0;
  for (let bin = 0; bin < CALIBRATION_BINS; bin++) {
    const has = ({ bins: starts }: PreparedBinary['negatives']) => starts[bin + 1]! > starts[bin]!;
    if (has(prepared.negatives) || has(prepared.positives)) bins++;
  }
  return { gaps: sums.gaps.map((gap) => gap / total), bins, examples: effective * total };
}

/** Of several classes, and of regressions: metrics that take the weight of every example. */
function plainResampler(problem: Problem, set: ExampleSet): Resampler {
  const { queries, championQueries } = set;
  const { task, classes } = problem;
  const width = task === 'multiclass' ? classes.length : 1;
  const labels = pick(problem.labels, set);
  const sampleWeights = problem.weights && pick(problem.weights, set);
  const prepare = (all: Float64Array) => {
    const predictions = pick(all, set, width);
    return task === 'multiclass'
      ? {
          evaluate: prepareMulticlass({ labels: Int32Array.from(labels), predictions, classes }),
          top: topClass(predictions, labels, width),
        }
      : { evaluate: prepareRegression({ labels, predictions }), top: undefined };
  };
  const candidate = prepare(problem.predictions);
  const champion = championQueries.length > 0 ? prepare(problem.champion!) : undefined;

  const rows = labels.length;
  const draw = createDraw(rows);
  const drawn = new Uint8Array(rows);
  const weights = sampleWeights?.slice() ?? new Float64Array(rows).fill(1);
  const rowsOfClass =
    task === 'multiclass'
      ? classes.map((_, index) => range(0, rows).filter((row) => labels[row] === index))
      : [];
  const seed = seedOf(problem.seed, set.name);
  const calibrated = queries.some(isCalibration);
  const championCalibrated = championQueries.some(isCalibration);
  const effective = effectiveShare(sampleWeights, rows);
  const gapsOf = ({ top }: typeof candidate) => topGaps(top!, weights);
  const calibration = (of: typeof candidate): Calibration => {
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    return { gaps: gapsOf(of), bins: new Set(of.top!.bins).size, examples: effective * total };
  };
  const summary: SetSummary = {
    values: queries.map((query) => candidate.evaluate(query, weights)),
    championValues: champion ? championQueries.map((query) => champion.evaluate(query, weights)) : [],
    examples: queries.map(
      (query) => effective * hangsOnClass(query, candidate.top, labels, weights, classes),
    ),
    positives: queries.map((query) => rowsOfClass[classes.indexOf(query.class ?? '')]?.length ?? 0),
    identical: isIdentical(problem, set),
    ...(calibrated && { calibration: calibration(candidate) }),
    ...(championCalibrated && { championCalibration: calibration(champion!) }),
  };

  const write = (asked: MetricQuery[], model: typeof candidate, out: Float64Array, offset: number) => {
    for (let index = 0; index < asked.length; index++) {
      const result = model.evaluate(asked[index]!, weights);
      out[offset + index] = 'value' in result ? result.value : Number.NaN;
    }
    return offset + asked.length;
  };
  return {
    summary,
    width: widthOf(set),
    resample: (replicate, out, offset) => {
      const state = randomOf(seed, replicate);
      draw(drawn, state);
      for (const own of rowsOfClass) keepClass(drawn, own, state);
      for (let row = 0; row < rows; row++) weights[row] = drawn[row]! * (sampleWeights?.[row] ?? 1);
      let at = write(queries, candidate, out, offset);
      if (champion) at = write(championQueries, champion, out, at);
      if (calibrated) {
        out.set(gapsOf(candidate), at);
        at += CALIBRATION_BINS;
      }
      if (championCalibrated) out.set(gapsOf(champion!), at);
    },
  };
}

/** As {@link hangsOn}; an average over classes hangs on all that occur. */
function hangsOnClass(
  { metric, class: of, average }: MetricQuery,
  top: TopClass | undefined,
  labels: Float64Array,
  weights: Float64Array,
  classes: string[],
): number {
  let total = 0;
  const actual = new Float64Array(classes.length);
  const predicted = new Float64Array(classes.length);
  for (let row = 0; row < weights.length; row++) {
    total += weights[row]!;
    if (top === undefined) continue;
    actual[labels[row]!]! += weights[row]!;
    predicted[top.classes[row]!]! += weights[row]!;
  }
  if (of !== undefined) {
    const index = classes.indexOf(of);
    const rest = total - actual[index]!;
    if (metric === 'precision') return predicted[index]!;
    if (metric === 'specificity') return rest;
    return metric === 'recall' ? actual[index]! : ofClasses([actual[index]!, rest]);
  }
  const overClasses = average === 'macro' || metric === 'balancedAccuracy' || metric === 'mcc';
  return overClasses ? ofClasses(Array.from(actual).filter((weight) => weight > 0)) : total;
}

/** The most probable class of each example, its calibration bin, and whether it is right less its probability. */
interface TopClass {
  classes: Int32Array;
  bins: Uint8Array;
  gaps: Float64Array;
}

function topClass(predictions: Float64Array, labels: Float64Array, width: number): TopClass {
  const top = mostProbable(predictions, width);
  const bins = new Uint8Array(labels.length);
  const gaps = new Float64Array(labels.length);
  for (let row = 0; row < labels.length; row++) {
    const probability = predictions[row * width + top[row]!]!;
    bins[row] = calibrationBin(probability);
    gaps[row] = Number(labels[row] === top[row]) - probability;
  }
  return { classes: top, bins, gaps };
}

function topGaps({ bins, gaps }: TopClass, weights: Float64Array): Float64Array {
  const sums = new Float64Array(CALIBRATION_BINS);
  let total = 0;
  for (let row = 0; row < bins.length; row++) {
    sums[bins[row]!]! += weights[row]! * gaps[row]!;
    total += weights[row]!;
  }
  return sums.map((sum) => sum / total);
}
