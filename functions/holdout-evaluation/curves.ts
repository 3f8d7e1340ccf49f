import {
  CALIBRATION_BINS,
  type ClassRows,
  DEFAULT_THRESHOLD,
  type PreparedBinary,
  prepareBinary,
} from './binary.ts';
import type { Examples, MetricMeasurements } from './measurements.ts';
import { mostProbable } from './multiclass.ts';

/*
 * What reports draw of predictions. Sample weights count; the numbers of examples are without them.
 */

/** Points of a curve at most, its ends included. */
const MOST_POINTS = 200;

/** Bins of the residuals, of equal width. */
const RESIDUAL_BINS = 40;

/** One number for each example: the score, the value or, of several classes, the probability of the most probable one. */
function leadingPredictions({ task, classes }: Examples, predictions: Float64Array): Float64Array {
  if (task !== 'multiclass') return predictions;
  const width = classes.length;
  return Float64Array.from(mostProbable(predictions, width), (top, row) => predictions[row * width + top]!);
}

/**
 * One number for each example in which every change of the predictions shows: the leading prediction and, of several
 * classes, which of them leads. Those are kept apart by their index: 0 to 0.5 for the first, 1 to 1.5 for the second.
 */
export function comparablePredictions(examples: Examples, predictions: Float64Array): Float64Array {
  const leading = leadingPredictions(examples, predictions);
  if (examples.task !== 'multiclass') return leading;
  return Float64Array.from(
    mostProbable(predictions, examples.classes.length),
    (top, row) => top + leading[row]! / 2,
  );
}

/** How many predictions differ, and where they lie; zeros without an example. */
export function describePredictions(
  examples: Examples,
  predictions: Float64Array,
): MetricMeasurements['predictions'] {
  const sorted = leadingPredictions(examples, predictions).toSorted();
  return {
    distinct: countDistinct(comparablePredictions(examples, predictions)),
    min: sorted[0] ?? 0,
    max: sorted.at(-1) ?? 0,
    mean: sorted.length === 0 ? 0 : sorted.reduce((sum, value) => sum + value, 0) / sorted.length,
  };
}

function countDistinct(values: Float64Array): number {
  const sorted = values.toSorted();
  let distinct = 0;
  for (let row = 0; row < sorted.length; row++) {
    if (row === 0 || sorted[row] !== sorted[row - 1]) distinct++;
  }
  return distinct;
}

/** The curves of a task, as far as the examples have them. */
export function curvesOf(examples: Examples): MetricMeasurements['curves'] {
  const { task, count, labels, predictions, weights } = examples;
  if (count === 0) return {};
  if (task === 'regression') return { residuals: residualsOf(examples) };
  if (task === 'multiclass') return { confusion: confusionOf(examples) };
  const prepared = prepareBinary({ labels, predictions, weights }, [DEFAULT_THRESHOLD]);
  const { negatives, positives } = prepared;
  return {
    ...(positives.of.length > 0 && negatives.of.length > 0 && rankCurves(prepared)),
    calibration: calibrationCurve(prepared),
    confusion: {
      classes: examples.classes.length === 2 ? examples.classes : ['0', '1'],
      counts: [negatives, positives].map(({ of, below }) => [below[0]!, of.length - below[0]!]),
    },
  };
}

/** Both curves by falling score; a point stands for all examples with its score or a higher one. */
function rankCurves({
  negatives,
  positives,
}: PreparedBinary): Pick<MetricMeasurements['curves'], 'roc' | 'precisionRecall'> {
  const total = ({ weights }: ClassRows) => weights.reduce((sum, weight) => sum + weight, 0);
  const [allNegatives, allPositives] = [total(negatives), total(positives)];
  const roc = { falsePositiveRate: [0], truePositiveRate: [0] };
  const precisionRecall = { recall: [0], precision: [1] };
  let [negative, positive] = [negatives.of.length - 1, positives.of.length - 1];
  let [alarms, hits] = [0, 0];
  let [rocDue, recallDue] = [0, 0];
  while (negative >= 0 || positive >= 0) {
    const score = Math.max(negatives.scores[negative] ?? -Infinity, positives.scores[positive] ?? -Infinity);
    for (; negative >= 0 && negatives.scores[negative] === score; negative--) {
      alarms += negatives.weights[negative]!;
    }
    for (; positive >= 0 && positives.scores[positive] === score; positive--) {
      hits += positives.weights[positive]!;
    }
    const last = negative < 0 && positive < 0;
    const recall = last ? 1 : hits / allPositives;
    const falsePositiveRate = last ? 1 : alarms / allNegatives;
    // Points are due at equal steps along the curve; the ends are always in.
    if (last || recall + falsePositiveRate >= rocDue) {
      roc.falsePositiveRate.push(falsePositiveRate);
      roc.truePositiveRate.push(recall);
      rocDue = recall + falsePositiveRate + 2 / (MOST_POINTS - 3);
    }
    if (last || (hits > 0 && recall >= recallDue)) {
      precisionRecall.recall.push(recall);
      precisionRecall.precision.push(hits / (hits + alarms));
      recallDue = recall + 1 / (MOST_POINTS - 3);
    }
  }
  return { roc, precisionRecall };
}

/** Bins with examples: mean score, share of positives, number of examples. */
function calibrationCurve({ negatives, positives }: PreparedBinary) {
  const curve = { predicted: [] as number[], observed: [] as number[], examples: [] as number[] };
  for (let bin = 0; bin < CALIBRATION_BINS; bin++) {
    const sums = [negatives, positives].map(({ bins, weights, scores }) => {
      let [weight, score] = [0, 0];
      for (let row = bins[bin]!; row < bins[bin + 1]!; row++) {
        weight += weights[row]!;
        score += weights[row]! * scores[row]!;
      }
      return { count: bins[bin + 1]! - bins[bin]!, weight, score };
    });
    const [zeros, ones] = [sums[0]!, sums[1]!];
    const weight = zeros.weight + ones.weight;
    if (weight === 0) continue;
    curve.predicted.push((zeros.score + ones.score) / weight);
    curve.observed.push(ones.weight / weight);
    curve.examples.push(zeros.count + ones.count);
  }
  return curve;
}

function confusionOf({ labels, predictions, classes }: Examples) {
  const counts = classes.map(() => new Array<number>(classes.length).fill(0));
  for (const [row, guess] of mostProbable(predictions, classes.length).entries()) {
    counts[labels[row]!]![guess]!++;
  }
  return { classes, counts };
}

function residualsOf({ count, labels, predictions }: Examples) {
  const residuals = Float64Array.from(predictions, (prediction, row) => prediction - labels[row]!);
  const [least, most] = residuals.reduce(
    ([low, high], residual) => [Math.min(low, residual), Math.max(high, residual)] as const,
    [Infinity, -Infinity] as readonly [number, number],
  );
  const bins = least === most ? 1 : Math.min(RESIDUAL_BINS, Math.ceil(Math.sqrt(count)));
  const width = (most - least) / bins;
  const counts = new Array<number>(bins).fill(0);
  for (const residual of residuals) {
    counts[width === 0 ? 0 : Math.min(bins - 1, Math.floor((residual - least) / width))]!++;
  }
  const edges = Array.from({ length: bins + 1 }, (_, edge) => (edge === bins ? most : least + edge * width));
  return { edges, counts };
}
