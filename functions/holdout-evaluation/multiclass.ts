import { ascendingOrder, CALIBRATION_BINS, calibrationBin } from './binary.ts';
import { type MetricQuery, type MetricValue, NEVER_PREDICTED } from './metric.ts';
import { TOO_LARGE, weightedMean } from './weighted.ts';

/** What stays the same from one resample to the next. */
export interface MulticlassExamples {
  /** Index in `classes`, one for each example. */
  labels: Int32Array;
  /** Finite probabilities: examples x classes, row by row. */
  predictions: Float64Array;
  classes: readonly string[];
}

/** What follows from weights and predicted classes, by class; a class is predicted where it is the most probable. */
interface Counts {
  total: number;
  actual: Float64Array;
  predicted: Float64Array;
  /** Of the class, and predicted as it. */
  right: Float64Array;
}

/** The examples by falling probability of one class. */
interface Ranking {
  order: Uint32Array;
  /** By place in `order`: whether the example is of the class. */
  positive: Uint8Array;
  /** By place in `order`: whether the next has another probability. */
  last: Uint8Array;
}

/**
 * The metrics of several classes, as scikit-learn 1.9 defines them. The predicted class is the most probable one, of
 * equals the first.
 *
 * Averages over classes (macro) are over those that occur or are predicted. A class that is never predicted has a
 * precision of 0 there, as in scikit-learn, so that a model cannot raise its average by ignoring one. By itself such a
 * precision has no value ({@link NEVER_PREDICTED}). `auc` and `averagePrecision` rank one class against the rest, and
 * their average has no value where a class does not occur. `balancedAccuracy` leaves such a class out.
 *
 * @returns a function for any number of weightings of these examples. Its `weights` are effective ones, one for each
 *   example: sample weight times how often the example was drawn. Zero means that the example is not there. It throws
 *   RangeError for a metric that is none of several classes.
 */
export function prepareMulticlass(
  examples: MulticlassExamples,
): (query: MetricQuery, weights: Float64Array) => MetricValue {
  const { labels, predictions, classes } = examples;
  const width = classes.length;
  const names = classes.map((name) => JSON.stringify(name));
  const top = mostProbable(predictions, width);
  const counts: Counts = {
    total: 0,
    actual: new Float64Array(width),
    predicted: new Float64Array(width),
    right: new Float64Array(width),
  };
  const rankings = new Map<number, Ranking>();
  const ranking = (of: number): Ranking => {
    const known = rankings.get(of) ?? rank(examples, of);
    rankings.set(of, known);
    return known;
  };
  let logLosses: Float64Array | undefined;
  let squares: Float64Array | undefined;
  let confidence: Float64Array | undefined;

  /** The metric of one class. */
  const ofClass = (metric: MetricQuery['metric'], index: number, weights: Float64Array): MetricValue => {
    const name = names[index]!;
    const { total } = counts;
    const [actual, predicted, right] = [
      counts.actual[index]!,
      counts.predicted[index]!,
      counts.right[index]!,
    ];
    const absent = `no example of class ${name}`;
    switch (metric) {
      case 'precision':
        return ratio(right, predicted, `${NEVER_PREDICTED} as ${name}`);
      case 'recall':
        return ratio(right, actual, absent);
      case 'f1':
        return ratio(2 * right, actual + predicted, absent);
      case 'specificity':
        return ratio(
          Math.max(0, total - actual - (predicted - right)),
          total - actual,
          `every example is of class ${name}`,
        );
      case 'auc':
      case 'averagePrecision':
        if (actual === 0) return { undefinedBecause: absent };
        if (metric === 'averagePrecision')
          return { value: averagePrecision(ranking(index), weights, actual) };
        if (actual === total) return { undefinedBecause: `every example is of class ${name}` };
        return { value: areaUnderCurve(ranking(index), weights) };
      default:
        throw new RangeError(`${metric} is no metric of one of several classes`);
    }
  };

  const macro = (metric: MetricQuery['metric'], weights: Float64Array): MetricValue => {
    const ranked = metric === 'auc' || metric === 'averagePrecision';
    let sum = 0;
    let count = 0;
    for (let index = 0; index < width; index++) {
      if (!ranked && counts.actual[index] === 0 && counts.predicted[index] === 0) continue;
      const one = ofClass(metric, index, weights);
      count++;
      if ('value' in one) sum += one.value;
      // The other three are 0 where their denominator is.
      else if (ranked || metric === 'specificity') return one;
    }
    return { value: sum / count };
  };

  const micro = (metric: MetricQuery['metric']): MetricValue => {
    const right = sumOf(counts.right);
    if (metric !== 'specificity') return { value: right / counts.total };
    const present = counts.actual.reduce(
      (n, actual, of) => n + Number(actual + counts.predicted[of]! > 0),
      0,
    );
    return ratio(
      (present - 2) * counts.total + right,
      (present - 1) * counts.total,
      'every example is of one class',
    );
  };

  const compute = ({ metric, class: of, average }: MetricQuery, weights: Float64Array): MetricValue => {
    switch (metric) {
      case 'logLoss':
        logLosses ??= Float64Array.from(labels, (label, row) => {
          const probability = predictions[row * width + label]!;
          return -Math.log(Math.min(Math.max(probability, Number.EPSILON), 1 - Number.EPSILON));
        });
        return { value: weightedMean(logLosses, weights) };
      case 'brier':
        squares ??= Float64Array.from(labels, (label, row) => {
          let sum = 0;
          for (let index = 0; index < width; index++) {
            sum += (predictions[row * width + index]! - Number(index === label)) ** 2;
          }
          return sum;
        });
        return { value: weightedMean(squares, weights) };
      case 'calibrationError':
        confidence ??= Float64Array.from(top, (index, row) => predictions[row * width + index]!);
        return { value: calibrationError(confidence, labels, top, weights) };
      case 'accuracy':
        count(labels, top, weights, counts);
        return { value: sumOf(counts.right) / counts.total };
      case 'balancedAccuracy':
        count(labels, top, weights, counts);
        return { value: balancedAccuracy(counts) };
      case 'mcc':
        count(labels, top, weights, counts);
        return { value: matthews(counts) };
      default:
        count(labels, top, weights, counts);
        if (of !== undefined) return ofClass(metric, classes.indexOf(of), weights);
        return average === 'micro' ? micro(metric) : macro(metric, weights);
    }
  };

  return (query, weights) => {
    if (weights.every((weight) => weight === 0)) return { undefinedBecause: 'no example' };
    const result = compute(query, weights);
    return 'value' in result && !Number.isFinite(result.value) ? { undefinedBecause: TOO_LARGE } : result;
  };
}

/** {@link prepareMulticlass} for one weighting. */
export function multiclassMetric(
  query: MetricQuery,
  { weights, ...examples }: MulticlassExamples & { weights: Float64Array },
): MetricValue {
  return prepareMulticlass(examples)(query, weights);
}

/** The class of each row of `width` probabilities that is the most probable, of equals the first. */
export function mostProbable(predictions: Float64Array, width: number): Int32Array {
  const top = new Int32Array(predictions.length / width);
  for (let row = 0; row < top.length; row++) {
    const start = row * width;
    for (let index = 1; index < width; index++) {
      if (predictions[start + index]! > predictions[start + top[row]!]!) top[row] = index;
    }
  }
  return top;
}

function count(labels: Int32Array, top: Int32Array, weights: Float64Array, counts: Counts): void {
  const { actual, predicted, right } = counts;
  actual.fill(0);
  predicted.fill(0);
  right.fill(0);
  for (let row = 0; row < weights.length; row++) {
    const weight = weights[row]!;
    const label = labels[row]!;
    const guess = top[row]!;
    actual[label]! += weight;
    predicted[guess]! += weight;
    if (label === guess) right[label]! += weight;
  }
  // By class, so that the only class there is has exactly the total.
  counts.total = sumOf(actual);
}

function balancedAccuracy({ actual, right }: Counts): number {
  let sum = 0;
  let present = 0;
  for (let index = 0; index < actual.length; index++) {
    if (actual[index] === 0) continue;
    sum += right[index]! / actual[index]!;
    present++;
  }
  return sum / present;
}

/** Gorodkin's correlation of K classes; 0 where everything is of one class, or is predicted as one. */
function matthews({ actual, predicted, right }: Counts): number {
  const total = sumOf(predicted);
  let both = 0;
  let actuals = 0;
  let guesses = 0;
  for (let index = 0; index < actual.length; index++) {
    both += actual[index]! * predicted[index]!;
    actuals += actual[index]! ** 2;
    guesses += predicted[index]! ** 2;
  }
  const spread = (total ** 2 - guesses) * (total ** 2 - actuals);
  return spread === 0 ? 0 : (sumOf(right) * total - both) / Math.sqrt(spread);
}

/** Of the most probable class: how far confidence and accuracy are apart in each bin, by the bins' weight. */
function calibrationError(
  confidence: Float64Array,
  labels: Int32Array,
  top: Int32Array,
  weights: Float64Array,
): number {
  const gaps = new Float64Array(CALIBRATION_BINS);
  let total = 0;
  for (let row = 0; row < weights.length; row++) {
    const weight = weights[row]!;
    const sure = confidence[row]!;
    gaps[calibrationBin(sure)]! += weight * (sure - Number(labels[row] === top[row]));
    total += weight;
  }
  return gaps.reduce((sum, gap) => sum + Math.abs(gap), 0) / total;
}

function rank({ labels, predictions, classes }: MulticlassExamples, of: number): Ranking {
  const scores = Float64Array.from(labels, (_, row) => predictions[row * classes.length + of]!);
  const order = ascendingOrder(scores).reverse();
  return {
    order,
    positive: Uint8Array.from(order, (row) => Number(labels[row] === of)),
    last: Uint8Array.from(order, (row, place) =>
      Number(place === order.length - 1 || scores[row] !== scores[order[place + 1]!]),
    ),
  };
}

/** Chance that an example of the class is ranked above one of the rest; equal probabilities count as half. */
function areaUnderCurve({ order, positive, last }: Ranking, weights: Float64Array): number {
  let [positives, negatives, area] = [0, 0, 0];
  let [tiedPositives, tiedNegatives] = [0, 0];
  for (let place = 0; place < order.length; place++) {
    const weight = weights[order[place]!]!;
    if (positive[place] === 1) tiedPositives += weight;
    else tiedNegatives += weight;
    if (last[place] === 0) continue;
    area += tiedNegatives * (positives + tiedPositives / 2);
    positives += tiedPositives;
    negatives += tiedNegatives;
    tiedPositives = 0;
    tiedNegatives = 0;
  }
  return area / (positives * negatives);
}

/** Precision at each distinct probability, by the recall that is gained there. `total` is the weight of the class. */
function averagePrecision({ order, positive, last }: Ranking, weights: Float64Array, total: number): number {
  let [positives, all, sum, tied] = [0, 0, 0, 0];
  for (let place = 0; place < order.length; place++) {
    const weight = weights[order[place]!]!;
    all += weight;
    if (positive[place] === 1) tied += weight;
    if (last[place] === 0 || tied === 0) continue;
    positives += tied;
    sum += (tied * positives) / all;
    tied = 0;
  }
  return sum / total;
}

function ratio(numerator: number, denominator: number, otherwise: string): MetricValue {
  return denominator === 0 ? { undefinedBecause: otherwise } : { value: numerator / denominator };
}

function sumOf(values: Float64Array): number {
  let sum = 0;
  for (const value of values) sum += value;
  return sum;
}
