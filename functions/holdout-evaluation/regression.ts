import { ascendingOrder } from './binary.ts';
import type { MetricQuery, MetricValue } from './metric.ts';
import { TOO_LARGE, weightedMean } from './weighted.ts';

/** What stays the same from one resample to the next. Both have one finite number for each example. */
export interface RegressionExamples {
  labels: Float64Array;
  predictions: Float64Array;
}

/** Labels nearer to zero than this count as this, in `mape`: the spacing of floating-point numbers at 1. */
const NEAREST_TO_ZERO = Number.EPSILON;

/** Weights that differ from one half of all by less than this share of all are one half: sums of weights are rounded. */
const ROUNDING = 1e-12;

/**
 * The metrics of predicted numbers, as scikit-learn 1.9 defines them, but for two that have no value here:
 * R² where every label is the same (scikit-learn says 0 or 1), and whatever overflows.
 *
 * @returns a function for any number of weightings of these examples. Its `weights` are effective ones, one for each
 *   example: sample weight times how often the example was drawn. Zero means that the example is not there. It throws
 *   RangeError for a metric that is none of regressions.
 */
export function prepareRegression({
  labels,
  predictions,
}: RegressionExamples): (query: MetricQuery, weights: Float64Array) => MetricValue {
  const absolute = labels.map((label, row) => Math.abs(predictions[row]! - label));
  const once = new Map<string, Float64Array>();
  /** Losses of the examples under that name, computed when they are first asked for. */
  const losses = (name: string, of: (row: number) => number): Float64Array => {
    let values = once.get(name);
    if (values === undefined) {
      values = Float64Array.from(labels, (_, row) => of(row));
      once.set(name, values);
    }
    return values;
  };
  const squared = () => losses('squared', (row) => absolute[row]! ** 2);
  let order: Uint32Array | undefined;

  const value = (query: MetricQuery, weights: Float64Array): number | undefined => {
    switch (query.metric) {
      case 'mae':
        return weightedMean(absolute, weights);
      case 'rmse':
        return Math.sqrt(weightedMean(squared(), weights));
      case 'r2':
        return rSquared(labels, squared(), weights);
      case 'mape':
        return weightedMean(
          losses('relative', (row) => absolute[row]! / Math.max(Math.abs(labels[row]!), NEAREST_TO_ZERO)),
          weights,
        );
      case 'medianAbsoluteError':
        order ??= ascendingOrder(absolute);
        return weightedMedian(absolute, order, weights);
      case 'pinballLoss': {
        const quantile = query.quantile ?? 0.5;
        const loss = losses(`pinball ${quantile}`, (row) =>
          labels[row]! >= predictions[row]! ? quantile * absolute[row]! : (1 - quantile) * absolute[row]!,
        );
        return weightedMean(loss, weights);
      }
      default:
        throw new RangeError(`${query.metric} is no metric of a regression`);
    }
  };

  return (query, weights) => {
    if (weights.every((weight) => weight === 0)) return { undefinedBecause: 'no example' };
    const result = value(query, weights);
    if (result === undefined) return { undefinedBecause: 'every label is the same' };
    return Number.isFinite(result) ? { value: result } : { undefinedBecause: TOO_LARGE };
  };
}

/** {@link prepareRegression} for one weighting. */
export function regressionMetric(
  query: MetricQuery,
  { weights, ...examples }: RegressionExamples & { weights: Float64Array },
): MetricValue {
  return prepareRegression(examples)(query, weights);
}

/** One minus the share of the labels' variance that is left over; undefined where they have none. */
function rSquared(labels: Float64Array, squared: Float64Array, weights: Float64Array): number | undefined {
  const mean = weightedMean(labels, weights);
  let residual = 0;
  let variance = 0;
  let least = Number.POSITIVE_INFINITY;
  let most = Number.NEGATIVE_INFINITY;
  for (let row = 0; row < weights.length; row++) {
    const weight = weights[row]!;
    if (weight === 0) continue;
    const label = labels[row]!;
    residual += weight * squared[row]!;
    variance += weight * (label - mean) ** 2;
    if (label < least) least = label;
    if (label > most) most = label;
  }
  // Not by the variance, which rounding keeps above zero.
  return least === most ? undefined : 1 - residual / variance;
}

/** The smallest value with at least half of the weight at or below it; where that is exactly half, halfway to the next. */
function weightedMedian(values: Float64Array, rising: Uint32Array, weights: Float64Array): number {
  let total = 0;
  for (const weight of weights) total += weight;
  const half = total / 2;
  const slack = ROUNDING * total;
  let below = 0;
  let lower: number | undefined;
  for (const row of rising) {
    const weight = weights[row]!;
    if (weight === 0) continue;
    if (lower !== undefined) return (lower + values[row]!) / 2;
    below += weight;
    if (below > half + slack) return values[row]!;
    if (below >= half - slack) lower = values[row]!;
  }
  return lower ?? Number.NaN;
}
