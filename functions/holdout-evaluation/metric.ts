/*
 * The metrics that a threshold can be on: their names, what they need, and which way is better. Pure data, so that
 * configuration, computation and judgement agree.
 */

export const TASKS = ['binary', 'multiclass', 'regression'] as const;
export type Task = (typeof TASKS)[number];

/** What is known about a metric before it is computed. */
export interface MetricFacts {
  tasks: readonly Task[];
  /** `higher`: more is better. */
  better: 'higher' | 'lower';
  /** The values it can take in one of its tasks at least, see {@link rangeOf}; null: no bound. */
  range: readonly [number | null, number | null];
  /** Compares scores with `at.threshold` (binary). */
  threshold?: true;
  /** For multiclass: of one class, or averaged over classes. */
  perClass?: true;
  /** Needs `quantile`. */
  quantile?: true;
  /** Needs probabilities: a score that is no probability cannot be judged by it. */
  probability?: true;
}

const CLASSIFIERS: readonly Task[] = ['binary', 'multiclass'];
const REGRESSION: readonly Task[] = ['regression'];

export const METRICS = {
  accuracy: { tasks: CLASSIFIERS, better: 'higher', range: [0, 1], threshold: true },
  balancedAccuracy: { tasks: CLASSIFIERS, better: 'higher', range: [0, 1], threshold: true },
  precision: { tasks: CLASSIFIERS, better: 'higher', range: [0, 1], threshold: true, perClass: true },
  recall: { tasks: CLASSIFIERS, better: 'higher', range: [0, 1], threshold: true, perClass: true },
  f1: { tasks: CLASSIFIERS, better: 'higher', range: [0, 1], threshold: true, perClass: true },
  specificity: { tasks: CLASSIFIERS, better: 'higher', range: [0, 1], threshold: true, perClass: true },
  /** Area under the ROC curve; multiclass: one against the rest. */
  auc: { tasks: CLASSIFIERS, better: 'higher', range: [0, 1], perClass: true },
  /** Area under the precision-recall curve as average precision, without interpolation. */
  averagePrecision: { tasks: CLASSIFIERS, better: 'higher', range: [0, 1], perClass: true },
  logLoss: { tasks: CLASSIFIERS, better: 'lower', range: [0, null], probability: true },
  /** Mean squared difference of probability and outcome; multiclass: summed over classes, 0 to 2. */
  brier: { tasks: CLASSIFIERS, better: 'lower', range: [0, 2], probability: true },
  /** Expected calibration error over 10 bins of equal width; multiclass: of the most probable class. */
  calibrationError: { tasks: CLASSIFIERS, better: 'lower', range: [0, 1], probability: true },
  /** Matthews correlation coefficient. */
  mcc: { tasks: CLASSIFIERS, better: 'higher', range: [-1, 1], threshold: true },
  mae: { tasks: REGRESSION, better: 'lower', range: [0, null] },
  rmse: { tasks: REGRESSION, better: 'lower', range: [0, null] },
  r2: { tasks: REGRESSION, better: 'higher', range: [null, 1] },
  /** Mean absolute percentage error; labels nearer to zero than 2.2e-16 count as that. */
  mape: { tasks: REGRESSION, better: 'lower', range: [0, null] },
  medianAbsoluteError: { tasks: REGRESSION, better: 'lower', range: [0, null] },
  pinballLoss: { tasks: REGRESSION, better: 'lower', range: [0, null], quantile: true },
} as const satisfies Record<string, MetricFacts>;

export type MetricName = keyof typeof METRICS;

/** Names of all metrics of a task. */
export function metricsOf(task: Task): MetricName[] {
  return (Object.keys(METRICS) as MetricName[]).filter((name) =>
    (METRICS[name].tasks as readonly Task[]).includes(task),
  );
}

/** {@link METRICS} with the optional facts visible to the type checker. */
export function factsOf(name: MetricName): MetricFacts {
  return METRICS[name];
}

/** The values that a metric of a task can take; null: no bound. */
export function rangeOf(name: MetricName, task: Task): MetricFacts['range'] {
  // Of two classes one probability says all, and counts once.
  return name === 'brier' && task === 'binary' ? [0, 1] : factsOf(name).range;
}

/** How the classes of a multiclass metric become one number. */
export type Average = 'macro' | 'micro';

/** One metric with its parameters: what can be asked of a set of predictions. */
export interface MetricQuery {
  metric: MetricName;
  /** Binary, metrics with `threshold`: scores at or above it count as positive. */
  threshold?: number;
  /** Multiclass, metrics with `perClass`: of this class alone. */
  class?: string;
  /** Multiclass, metrics with `perClass` and no `class`. */
  average?: Average;
  /** `pinballLoss`: between 0 and 1. */
  quantile?: number;
}

/** One metric on one set of examples: its value, always finite, or why it has none. */
export type MetricValue = { value: number } | { undefinedBecause: string };

/**
 * Begins the reason of a metric that has no value through the model's fault: `no example is predicted positive`. Judged
 * as missed; every other reason is one of the examples, and leaves the question open.
 */
export const NEVER_PREDICTED = 'no example is predicted';

/** One query as a text that tells it from every other: `recall at 0.5`, `f1 of "cat"`, `precision (macro)`. */
export function queryName({ metric, threshold, class: of, average, quantile }: MetricQuery): string {
  if (threshold !== undefined) return `${metric} at ${threshold}`;
  if (of !== undefined) return `${metric} of ${JSON.stringify(of)}`;
  if (average !== undefined) return `${metric} (${average})`;
  return quantile === undefined ? metric : `${metric} of quantile ${quantile}`;
}
