import { normalQuantile } from '../shared/statistics.ts';
import type { Interval } from '../shared/verdict.ts';
import {
  binaryValue,
  CALIBRATION_BINS,
  type Counts,
  calibrationBin,
  calibrationError,
  DEFAULT_THRESHOLD,
  type PreparedBinary,
  prepareBinary,
  type Tally,
  tally,
} from './binary.ts';
import {
  below,
  createDraw,
  FEW,
  fewInterval,
  noisyInterval,
  partErrors,
  percentileInterval,
  randomOf,
  seedOf,
} from './bootstrap.ts';
import type { Examples, MetricDifference, MetricRequest, MetricResult } from './measurements.ts';
import { factsOf, type MetricQuery, type MetricValue, queryName, type Task } from './metric.ts';
import { prepareMulticlass } from './multiclass.ts';
import { prepareRegression } from './regression.ts';

/*
 * Metrics of a holdout and of its slices, with their intervals: what is to be resampled, one resample, and what all of
 * them amount to. Between the first and the last stands whoever spreads the resamples over threads.
 *
 * A resample of a set of examples (all of them, or one slice) draws as many from that set, with replacement. How many of
 * a class it draws is left to chance, as it would be in another holdout of the same source: with the classes held at
 * their sizes, 95 % intervals of Brier score, log loss, accuracy, precision and average precision were seen to cover the
 * truth 88 to 90 % of the time. Only a class that would be missing altogether gets one of its examples, so that rare
 * classes do not leave metrics undefined. A slice has resamples of its own, in which it keeps its size. Candidate and
 * champion are measured on the same resamples.
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
interface Calibration {
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

// ---------------------------------------------------------------------------------------------------------
// What to resample
// ---------------------------------------------------------------------------------------------------------

/** What {@link planSets} finds there is to do. */
export interface Plan {
  sets: ExampleSet[];
  /** For each request, its results: of which query of which set, or why of none. */
  results: PlannedResult[];
  differences: MetricQuery[];
}

type PlannedResult = Pick<MetricResult, 'query' | 'slice' | 'examples'> &
  ({ set: number; index: number } | { undefinedBecause: string });

/** Name of the set of all examples. */
const ALL = 'all';

/**
 * The sets that requests are about. Requests on the same slices share their resamples.
 *
 * @throws RangeError for a slicing that the examples do not have
 */
export function planSets(examples: Examples, requests: MetricRequest[], differences: MetricQuery[]): Plan {
  const sets: ExampleSet[] = [];
  const indices = new Map<string, number>();
  const add = (name: string, count: number, rows?: () => Int32Array): number => {
    const known = indices.get(name);
    if (known !== undefined) return known;
    sets.push({ name, count, queries: [], championQueries: [], ...(rows && { rows: rows() }) });
    indices.set(name, sets.length - 1);
    return sets.length - 1;
  };
  const ask = (set: number, query: MetricQuery): number => {
    const { queries } = sets[set]!;
    const name = queryName(query);
    const known = queries.findIndex((other) => queryName(other) === name);
    return known >= 0 ? known : queries.push(query) - 1;
  };
  const sliced = new Map(examples.slicings.map((slicing) => [slicing.by, rowsBySlice(slicing)]));

  const results = requests.flatMap(({ query, slicing: by, minExamples = 0 }): PlannedResult[] => {
    const planned = (
      count: number,
      set: () => number,
      slice?: { by: string; value: string },
    ): PlannedResult => {
      const base = { query, examples: count, ...(slice && { slice }) };
      if (count < minExamples) {
        const are = count === 1 ? 'example' : 'examples';
        return { ...base, undefinedBecause: `only ${count} ${are}, ${minExamples} are needed` };
      }
      const index = set();
      return { ...base, set: index, index: ask(index, query) };
    };
    if (by === undefined) return [planned(examples.count, () => add(ALL, examples.count))];
    const rows = sliced.get(by);
    if (rows === undefined) throw new RangeError(`the examples are not divided by ${by}`);
    return examples.slicings
      .find((slicing) => slicing.by === by)!
      .values.map((value, index) => {
        const of = rows[index]!;
        return planned(of.length, () => add(JSON.stringify([by, value]), of.length, () => of), { by, value });
      });
  });
  if (examples.champion !== undefined && differences.length > 0) {
    const all = add(ALL, examples.count);
    for (const query of differences) ask(all, query);
    sets[all]!.championQueries = differences;
  }
  return { sets, results, differences };
}

/** The rows of each slice. */
function rowsBySlice({ values, of }: Examples['slicings'][number]): Int32Array[] {
  const sizes = new Int32Array(values.length);
  for (let row = 0; row < of.length; row++) sizes[of[row]!]!++;
  const rows = Array.from(sizes, (size) => new Int32Array(size));
  sizes.fill(0);
  for (let row = 0; row < of.length; row++) {
    const slice = of[row]!;
    rows[slice]![sizes[slice]!++] = row;
  }
  return rows;
}

// ---------------------------------------------------------------------------------------------------------
// One resample
// ---------------------------------------------------------------------------------------------------------

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

function isCalibration({ metric }: MetricQuery): boolean {
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

/** Weight of the examples that the spread of a metric of two classes hangs on: what a share is of, or the rarer class. */
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
      return Math.min(sums.positives, sums.negatives);
  }
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
          top: mostProbable(predictions, labels, width),
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
    examples: queries.map(() => effective * weights.reduce((sum, weight) => sum + weight, 0)),
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

/** The most probable class of each example: its calibration bin, and whether it is right less its probability. */
interface TopClass {
  bins: Uint8Array;
  gaps: Float64Array;
}

function mostProbable(predictions: Float64Array, labels: Float64Array, width: number): TopClass {
  const bins = new Uint8Array(labels.length);
  const gaps = new Float64Array(labels.length);
  for (let row = 0; row < labels.length; row++) {
    let best = 0;
    for (let index = 1; index < width; index++) {
      if (predictions[row * width + index]! > predictions[row * width + best]!) best = index;
    }
    const probability = predictions[row * width + best]!;
    bins[row] = calibrationBin(probability);
    gaps[row] = Number(labels[row] === best) - probability;
  }
  return { bins, gaps };
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

// ---------------------------------------------------------------------------------------------------------
// What the resamples amount to
// ---------------------------------------------------------------------------------------------------------

/** One set after its resamples: their numbers, row by row, in the layout of {@link Resampler.resample}. */
export interface ResampledSet {
  summary: SetSummary;
  resamples: Float64Array;
}

/** The results of a plan, in the order of its requests. */
export function conclude(
  plan: Plan,
  task: Task,
  resampled: readonly ResampledSet[],
  confidence: number,
): { metrics: MetricResult[]; differences: MetricDifference[] } {
  const metrics = plan.results.map((planned): MetricResult => {
    const { query, slice, examples } = planned;
    const base = { query, ...(slice && { slice }), examples };
    if ('undefinedBecause' in planned) {
      return { ...base, value: null, interval: null, undefinedBecause: planned.undefinedBecause };
    }
    const set = resampled[planned.set]!;
    const counted = task === 'binary' || query.class !== undefined;
    const positives = set.summary.positives[planned.index]!;
    return {
      ...base,
      ...(counted && { positives }),
      ...concludeMetric(plan.sets[planned.set]!, set, planned.index, confidence),
    };
  });
  const all = plan.sets.findIndex(({ championQueries }) => championQueries.length > 0);
  const differences =
    all < 0
      ? []
      : plan.differences.map((_, index) =>
          concludeDifference(plan.sets[all]!, resampled[all]!, index, confidence),
        );
  return { metrics, differences };
}

/** One column of the resamples. */
function column(set: ExampleSet, { resamples }: ResampledSet, index: number): Float64Array {
  const width = widthOf(set);
  const values = new Float64Array(resamples.length / width);
  for (let replicate = 0; replicate < values.length; replicate++) {
    values[replicate] = resamples[replicate * width + index]!;
  }
  return values;
}

const UNSTABLE = 'not defined in more than 5% of the resamples: too few examples for an interval';

function concludeMetric(
  set: ExampleSet,
  resampled: ResampledSet,
  index: number,
  confidence: number,
): Pick<MetricResult, 'value' | 'interval' | 'undefinedBecause'> {
  const { summary } = resampled;
  const result = summary.values[index]!;
  if ('undefinedBecause' in result) {
    return { value: null, interval: null, undefinedBecause: result.undefinedBecause };
  }
  const query = set.queries[index]!;
  const interval = isCalibration(query)
    ? calibrationInterval(result.value, calibrationSample(set, resampled), confidence)
    : intervalOf(query, result.value, column(set, resampled, index), summary.examples[index]!, confidence);
  return interval === undefined
    ? { value: result.value, interval: null, undefinedBecause: UNSTABLE }
    : { value: result.value, interval };
}

function intervalOf(
  query: MetricQuery,
  value: number,
  values: Float64Array,
  examples: number,
  confidence: number,
): Interval | undefined {
  const { metric } = query;
  if (SHARES.has(metric) && query.average === undefined) {
    const few = fewInterval(value, examples, { confidence });
    if (few !== undefined) return few;
  }
  // Nothing is left to resample where no example is ranked or classified wrongly; another holdout may have one.
  const [least, most] = factsOf(metric).range;
  if (least !== null && most !== null && (value === least || value === most)) {
    const few = fewInterval(value === most ? 1 : 0, examples, { confidence });
    const wide = most - least;
    return few && { low: least + wide * few.low, estimate: value, high: least + wide * few.high, confidence };
  }
  const smallSample = metric === 'auc' && examples > 1 ? examples : undefined;
  return percentileInterval(value, values, { confidence, smallSample });
}

/** Metrics that are a share of examples, of those that {@link SetSummary} counts. */
const SHARES: ReadonlySet<string> = new Set(['accuracy', 'precision', 'recall', 'specificity']);

/** Calibration of one model on one set, and how its gaps differ in the resamples. */
interface CalibrationSample extends Calibration {
  deviations: Float64Array;
}

function calibrationSample(
  set: ExampleSet,
  { summary, resamples }: ResampledSet,
  of: 'candidate' | 'champion' = 'candidate',
): CalibrationSample {
  const width = widthOf(set);
  const first = set.queries.length + set.championQueries.length;
  const offset = of === 'candidate' ? first : first + CALIBRATION_BINS;
  const calibration = (of === 'candidate' ? summary.calibration : summary.championCalibration)!;
  const deviations = new Float64Array((resamples.length / width) * CALIBRATION_BINS);
  for (let index = 0; index < deviations.length; index++) {
    const bin = index % CALIBRATION_BINS;
    const replicate = (index - bin) / CALIBRATION_BINS;
    deviations[index] = resamples[replicate * width + offset + bin]! - calibration.gaps[bin]!;
  }
  return { ...calibration, deviations };
}

const sumOfDistances = (gaps: Float64Array) => calibrationError(gaps, 1);

/**
 * The calibration error without what noise adds to it. Its spread is at least that of the bins' gaps taken as
 * independent, with one more example's worth in each bin: an outcome that is rare in its bin may well be missing. The
 * value as it is usually computed stays inside, though noise may be all that it is.
 */
function calibrationInterval(value: number, sample: CalibrationSample, confidence: number): Interval {
  const { gaps, deviations, bins, examples } = sample;
  const { low, estimate, high } = noisyInterval(
    { parts: gaps, deviations, size: sumOfDistances },
    { confidence },
  );
  const variance = partErrors(deviations, gaps.length).reduce((sum, error) => sum + error ** 2, 0);
  const margin = normalQuantile((1 + confidence) / 2) * Math.sqrt(variance + bins / examples ** 2);
  return {
    low: Math.max(0, Math.min(low, estimate - margin)),
    estimate,
    high: Math.min(1, Math.max(high, estimate + margin, value)),
    confidence,
  };
}

function concludeDifference(
  set: ExampleSet,
  resampled: ResampledSet,
  index: number,
  confidence: number,
): MetricDifference {
  const query = set.championQueries[index]!;
  const own = set.queries.findIndex((other) => queryName(other) === queryName(query));
  const [candidate, champion] = [resampled.summary.values[own]!, resampled.summary.championValues[index]!];
  const numberOf = (result: MetricValue) => ('value' in result ? result.value : null);
  const base = { query, candidate: numberOf(candidate), champion: numberOf(champion) };
  if ('undefinedBecause' in candidate) {
    return { ...base, value: null, interval: null, undefinedBecause: candidate.undefinedBecause };
  }
  if ('undefinedBecause' in champion) {
    const undefinedBecause = `of the champion: ${champion.undefinedBecause}`;
    return { ...base, value: null, interval: null, undefinedBecause };
  }
  const value = candidate.value - champion.value;
  const values = column(set, resampled, own);
  const ofChampion = column(set, resampled, set.queries.length + index);
  for (let replicate = 0; replicate < values.length; replicate++) {
    values[replicate]! -= ofChampion[replicate]!;
  }
  const interval = isCalibration(query)
    ? calibrationDifference(
        value,
        calibrationSample(set, resampled),
        calibrationSample(set, resampled, 'champion'),
        values,
        confidence,
      )
    : (fewDifferences(query, value, values, resampled.summary, own, confidence) ??
      percentileInterval(value, values, { confidence }));
  return interval === undefined
    ? { ...base, value, interval: null, undefinedBecause: UNSTABLE }
    : { ...base, value, interval };
}

/**
 * The difference of two shares where the models disagree on few examples: as if they disagreed on one more (Agresti and
 * Min, Statistics in Medicine 24, 2005), because resampling no disagreement would be sure that there is none.
 */
function fewDifferences(
  { metric, average }: MetricQuery,
  value: number,
  differences: Float64Array,
  { examples, identical }: SetSummary,
  index: number,
  confidence: number,
): Interval | undefined {
  if (!SHARES.has(metric) || average !== undefined || identical) return undefined;
  const count = examples[index]!;
  const disagreements =
    varianceOf(differences.filter((difference) => !Number.isNaN(difference))) * count ** 2;
  if (!(disagreements < FEW)) return undefined;
  const margin = (normalQuantile((1 + confidence) / 2) * Math.sqrt(disagreements + 1)) / count;
  return {
    low: Math.max(-1, value - margin),
    estimate: value,
    high: Math.min(1, value + margin),
    confidence,
  };
}

function varianceOf(values: Float64Array): number {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
}

/** The difference of two calibration errors, each without what noise adds to it; as wide as resampling says. */
function calibrationDifference(
  value: number,
  candidate: CalibrationSample,
  champion: CalibrationSample,
  differences: Float64Array,
  confidence: number,
): Interval {
  const estimateOf = ({ gaps: parts, deviations }: CalibrationSample) =>
    noisyInterval({ parts, deviations, size: sumOfDistances }, { confidence }).estimate;
  const estimate = estimateOf(candidate) - estimateOf(champion);
  const margin = normalQuantile((1 + confidence) / 2) * Math.sqrt(varianceOf(differences));
  return {
    low: Math.min(value, estimate - margin),
    estimate,
    high: Math.max(value, estimate + margin),
    confidence,
  };
}
