import { normalQuantile } from '../shared/statistics.ts';
import type { Interval } from '../shared/verdict.ts';
import { CALIBRATION_BINS, calibrationError } from './binary.ts';
import {
  deviationOf,
  differenceInterval,
  fewInterval,
  noisyInterval,
  partErrors,
  percentileInterval,
  type Resampled,
} from './bootstrap.ts';
import type { Examples, MetricDifference, MetricRequest, MetricResult } from './measurements.ts';
import { factsOf, type MetricQuery, type MetricValue, queryName, rangeOf, type Task } from './metric.ts';
import { type Calibration, type ExampleSet, isCalibration, type SetSummary, widthOf } from './resample.ts';

/*
 * Metrics of a holdout and of its slices, with their intervals: which sets of examples have to be resampled for them, and
 * what the resamples amount to. Between the two stands whoever spreads the resamples over threads.
 */

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
      ...concludeMetric(plan.sets[planned.set]!, set, planned.index, { task, confidence }),
    };
  });
  const all = plan.sets.findIndex(({ championQueries }) => championQueries.length > 0);
  const differences =
    all < 0
      ? []
      : plan.differences.map((_, index) =>
          concludeDifference(plan.sets[all]!, resampled[all]!, index, { task, confidence }),
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

const UNSTABLE = 'too few examples for an interval';

function concludeMetric(
  set: ExampleSet,
  resampled: ResampledSet,
  index: number,
  { task, confidence }: Judged,
): Pick<MetricResult, 'value' | 'interval' | 'undefinedBecause'> {
  const { summary } = resampled;
  const result = summary.values[index]!;
  if ('undefinedBecause' in result) {
    return { value: null, interval: null, undefinedBecause: result.undefinedBecause };
  }
  const query = set.queries[index]!;
  const { value } = result;
  const examples = summary.examples[index]!;
  const interval =
    fewErrors(query, value, examples, { task, confidence }) ??
    (isCalibration(query)
      ? calibrationInterval(value, calibrationSample(set, resampled), confidence)
      : percentileInterval(
          { estimate: value, values: column(set, resampled, index), examples },
          { confidence },
        ));
  return interval === undefined ? { value, interval: null, undefinedBecause: UNSTABLE } : { value, interval };
}

/** What an interval is of, beside its metric. */
interface Judged {
  task: Task;
  confidence: number;
}

/** The interval of a metric where there is little or nothing to resample; undefined where there is enough. */
function fewErrors(
  query: MetricQuery,
  value: number,
  examples: number,
  { task, confidence }: Judged,
): Interval | undefined {
  if (isShare(query)) return fewInterval(value, examples, { confidence });
  // No example is ranked or classified wrongly, or none rightly; another holdout may have one.
  const [least, most] = rangeOf(query.metric, task);
  const isAt = (end: number | null) => end !== null && Math.abs(value - end) <= ROUNDING;
  if (least === null || most === null || !(isAt(least) || isAt(most))) return undefined;
  const few = fewInterval(isAt(most) ? 1 : 0, examples, { confidence });
  const wide = most - least;
  return few && { low: least + wide * few.low, estimate: value, high: least + wide * few.high, confidence };
}

/** How far sums of weights may round a metric from the end of its range. */
const ROUNDING = 1e-12;

/** Whether a metric is a share of examples, of those that {@link SetSummary} counts. */
function isShare({ metric, average }: MetricQuery): boolean {
  return average === undefined && SHARES.has(metric);
}

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
 * independent, with half an example's worth more in each bin: an outcome that is rare in its bin may well be missing. The
 * value as it is usually computed stays inside, though noise may be all that it is.
 */
function calibrationInterval(value: number, sample: CalibrationSample, confidence: number): Interval {
  const { gaps, deviations, bins, examples } = sample;
  const { low, estimate, high } = noisyInterval(
    { parts: gaps, deviations, size: sumOfDistances },
    { confidence },
  );
  const variance = partErrors(deviations, gaps.length).reduce((sum, error) => sum + error ** 2, 0);
  const margin = normalQuantile((1 + confidence) / 2) * Math.sqrt(variance + bins * (0.5 / examples) ** 2);
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
  { task, confidence }: Judged,
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
  if (resampled.summary.identical) {
    return { ...base, value: 0, interval: { low: 0, estimate: 0, high: 0, confidence } };
  }
  const interval = isCalibration(query)
    ? calibrationDifference(
        {
          candidate: { value: candidate.value, sample: calibrationSample(set, resampled) },
          champion: { value: champion.value, sample: calibrationSample(set, resampled, 'champion') },
        },
        confidence,
      )
    : plainDifference(
        query,
        { estimate: value, values, examples: resampled.summary.examples[own]! },
        { task, confidence },
      );
  return interval === undefined
    ? { ...base, value, interval: null, undefinedBecause: UNSTABLE }
    : { ...base, value, interval };
}

/**
 * The difference of two values of a metric, neither beyond what two values of it can differ by. It is as if the models
 * disagreed on one example more (Agresti and Min, Statistics in Medicine 24, 2005), because resampling no disagreement
 * would be sure that there is none.
 */
function plainDifference(
  query: MetricQuery,
  resampled: Resampled,
  { task, confidence }: Judged,
): Interval | undefined {
  const [least, most] = rangeOf(query.metric, task);
  const extra = weightOfDecision(query, task) / resampled.examples;
  const interval = differenceInterval(resampled, { confidence, extra });
  if (interval === undefined || least === null || most === null) return interval;
  const wide = most - least;
  return { ...interval, low: Math.max(-wide, interval.low), high: Math.min(wide, interval.high) };
}

/**
 * What one decision on one example changes a metric by, in shares of its examples: about half, where it weighs two
 * classes. Little in an average over many, and nothing where scores are compared and not decisions.
 */
function weightOfDecision(query: MetricQuery, task: Task): number {
  if (isShare(query)) return 1;
  const ofTwo = task === 'binary' || query.class !== undefined;
  return ofTwo && factsOf(query.metric).threshold ? 0.5 : 0;
}

/**
 * The difference of two calibration errors, each without what noise adds to it. Their own intervals combine as those of
 * two correlated estimates do (Zou, Psychological Methods 12, 2007); the resamples tell the correlation.
 */
function calibrationDifference(
  { candidate, champion }: Record<'candidate' | 'champion', { value: number; sample: CalibrationSample }>,
  confidence: number,
): Interval {
  const own = calibrationInterval(candidate.value, candidate.sample, confidence);
  const other = calibrationInterval(champion.value, champion.sample, confidence);
  const correlation = correlationOf(sizesOf(candidate.sample), sizesOf(champion.sample));
  const margin = (a: number, b: number) =>
    Math.sqrt(Math.max(0, a ** 2 + b ** 2 - 2 * Math.max(0, correlation) * a * b));
  const estimate = own.estimate - other.estimate;
  const value = candidate.value - champion.value;
  return {
    low: Math.min(value, estimate - margin(own.estimate - own.low, other.high - other.estimate)),
    estimate,
    high: Math.max(value, estimate + margin(own.high - own.estimate, other.estimate - other.low)),
    confidence,
  };
}

/** The calibration error in each resample. */
function sizesOf({ gaps, deviations }: CalibrationSample): Float64Array {
  const sizes = new Float64Array(deviations.length / gaps.length);
  for (let index = 0; index < deviations.length; index++) {
    const bin = index % gaps.length;
    sizes[(index - bin) / gaps.length]! += Math.abs(gaps[bin]! + deviations[index]!);
  }
  return sizes;
}

/** Pearson's correlation; 0 where either does not vary. */
function correlationOf(values: Float64Array, others: Float64Array): number {
  const sum = deviationOf(values.map((value, index) => value + others[index]!));
  const difference = deviationOf(values.map((value, index) => value - others[index]!));
  const scale = 4 * deviationOf(values) * deviationOf(others);
  return scale > 0 ? (sum ** 2 - difference ** 2) / scale : 0;
}
