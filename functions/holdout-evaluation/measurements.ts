import type { Interval, Sample } from '../shared/verdict.ts';
import type { MetricQuery, Task } from './metric.ts';

/*
 * What measuring predictions on a holdout yields: plain JSON, no opinion.
 */

/** Labels and predictions of one holdout, joined and aligned: row `i` of every array is the same example. */
export interface Examples {
  task: Task;
  count: number;
  /** Binary: 0 or 1. Multiclass: index in `classes`. Regression: the value. */
  labels: Float64Array | Uint8Array | Int32Array;
  /** Binary: score of the positive class. Regression: the value. Multiclass: `count` x `classes.length`, row by row. */
  predictions: Float64Array;
  /** Of the champion, in the same layout. */
  champion?: Float64Array;
  /** Multiclass, in the order of the predictions' columns. */
  classes: string[];
  /** Positive and finite. */
  weights?: Float64Array;
  slicings: Slicing[];
}

/** One column or expression that the examples are divided by. Each example is in one slice; null is one, `null`. */
export interface Slicing {
  /** As the configuration has it: `origin`, `distance > 1000`. */
  by: string;
  /** At most {@link MAX_SLICES}, sorted. */
  values: string[];
  /** Index in `values`, one for each example. */
  of: Int32Array;
}

/** A slicing with more values is refused: nobody chose it on purpose. */
export const MAX_SLICES = 1000;

/** A query on all examples, or on each slice of one slicing. */
export interface MetricRequest {
  query: MetricQuery;
  /** `by` of the slicing. */
  slicing?: string;
  /** Slices with fewer examples get no interval and no value. */
  minExamples?: number;
}

/** One metric on one set of examples. */
export interface MetricResult {
  query: MetricQuery;
  slice?: { by: string; value: string };
  examples: number;
  /** Binary: how many examples are positive. Multiclass with `class`: how many are of it. */
  positives?: number;
  /** Null: it is not defined on these examples; `undefinedBecause` says why. */
  value: number | null;
  /** Both bounds at {@link MetricMeasurements.confidence}; null where there is no value, or too few examples. */
  interval: Interval | null;
  /** `no positive example`, `only 120 examples, 500 are needed` */
  undefinedBecause?: string;
}

/** Candidate minus champion on the same examples: positive means a greater value, whichever way is better. */
export interface MetricDifference {
  query: MetricQuery;
  candidate: number | null;
  champion: number | null;
  value: number | null;
  /** Of the paired difference. */
  interval: Interval | null;
  undefinedBecause?: string;
}

/** What the metrics of one holdout amount to. */
export interface MetricMeasurements {
  examples: number;
  /** Of a two-sided interval, 0..1: each bound is missed by the truth with probability (1 - confidence) / 2. */
  confidence: number;
  replicates: number;
  /** Hexadecimal; derived from the inputs. */
  seed: string;
  metrics: MetricResult[];
  differences: MetricDifference[];
  /** Of the scores; multiclass: of the most probable class. */
  predictions: {
    /** Multiclass: differing in the most probable class or in its probability. */
    distinct: number;
    min: number;
    max: number;
    mean: number;
  };
  /**
   * Population stability index of the candidate's predictions against the champion's, in bins of the champion's.
   * Multiclass: of half the probability of the most probable class plus its index, so that a change of class shows.
   */
  predictionDrift?: {
    psi: number;
    interval: Interval;
    bins: { edges: number[]; candidate: number[]; champion: number[] };
  };
  /** For reports: points of the curves, at most 200 each. */
  curves: {
    roc?: { falsePositiveRate: number[]; truePositiveRate: number[] };
    precisionRecall?: { recall: number[]; precision: number[] };
    /** Bins of equal width. */
    calibration?: { predicted: number[]; observed: number[]; examples: number[] };
    /** Rows: the actual class. Binary: at the threshold 0.5. */
    confusion?: { classes: string[]; counts: number[][] };
    /** Of residuals (prediction minus label). */
    residuals?: { edges: number[]; counts: number[] };
  };
}

/** What is wrong with one kind of prediction, and where. */
export interface PredictionProblem {
  kind: /** Examples without a prediction, predictions without an example, and examples with two. */
    | 'missing'
    | 'unknown'
    | 'repeated'
    /** Not a number at all: text, null, NaN, an infinity. */
    | 'not-a-number'
    /** Outside 0 to 1, or, of several classes, not adding up to 1 within 0.001. */
    | 'not-a-probability'
    /** A label or a weight of the holdout itself. */
    | 'bad-label'
    | 'bad-weight';
  count: number;
  /** `row` is the 1-based row of the holdout (or of the output, where the holdout has none). At most 5. */
  samples: Sample[];
}

/** How the transform job of one model ended, as far as it says something about the model. */
export type TransformOutcome =
  | { completed: true }
  /** The container could not answer the holdout; `reason` is SageMaker's. */
  | { completed: false; reason: string };

/** Everything that judging takes, beside the rules. */
export interface Measurements {
  /** Rows of the holdout. */
  examples: number;
  transform: TransformOutcome;
  problems: PredictionProblem[];
  /** Absent where the problems (or the transform job) leave nothing to compute. */
  metrics?: MetricMeasurements;
  champion: ChampionState;
}

/** The model that the candidate is compared with. */
export type ChampionState =
  | { kind: 'none' }
  /** It was evaluated on the same examples; the differences are in the metrics. */
  | { kind: 'compared'; package: string }
  /** It exists, but could not be evaluated. */
  | { kind: 'unavailable'; package: string; reason: string };
