import { Logger } from '@aws-lambda-powertools/logger';
import { Metrics, MetricUnit } from '@aws-lambda-powertools/metrics';
import { METRIC_NAMESPACE } from './schema.ts';
import type { GateName } from './verdict.ts';

/** Metrics of a gate and their units; each has the dimensions `gate` and that of its subject, and again `gate` alone. */
const UNITS = {
  Passed: MetricUnit.Count,
  Failed: MetricUnit.Count,
  Inconclusive: MetricUnit.Count,
  /** Invocations that ended without a verdict, of either class of error. */
  Errors: MetricUnit.Count,
  Rows: MetricUnit.Count,
  /** Of the dataset as stored. */
  Bytes: MetricUnit.Bytes,
  DurationMs: MetricUnit.Milliseconds,
} as const;

type Measure = keyof typeof UNITS;

/** Metrics of the board; each has the dimension `gate` (`board`), and those of a gap `gap`, too. */
const BOARD_METRICS = ['Rebuilt', 'Overdue', 'OverdueDrills', 'Failing', 'NotReady'] as const;

/** Structured JSON logs. Give it names, ids and counts: no sample values, no secrets. */
export function createLogger(gate: GateName | 'board'): Logger {
  return new Logger({ serviceName: `tocsin-${gate}` });
}

/**
 * Returns the function that writes one set of metrics, in CloudWatch's embedded metric format.
 *
 * @param dimension what the gate judges
 */
export function createMetrics(
  gate: GateName,
  dimension: 'dataset' | 'model' | 'canary' | 'drill' | 'rollback' | 'parity' | 'monitor' = 'dataset',
): (subject: string, measures: Partial<Record<Measure, number | undefined>>) => void {
  const metrics = emptyMetrics();
  metrics.setDefaultDimensions({ gate });
  return (subject, measures) => {
    metrics.addDimensions({ [dimension]: subject });
    // Of all that the gate judges: one alarm and one line of a dashboard for each gate, however many subjects it has.
    metrics.addDimensions({});
    for (const [name, value] of Object.entries(measures) as [Measure, number | undefined][]) {
      if (value !== undefined) metrics.addMetric(name, UNITS[name], value);
    }
    metrics.publishStoredMetrics();
  };
}

/** Returns the function that writes metrics of the board, or of one gap on it. */
export function createBoardMetrics(): (
  gap: string | undefined,
  measures: Partial<Record<(typeof BOARD_METRICS)[number], number | undefined>>,
) => void {
  const metrics = emptyMetrics();
  return (gap, measures) => {
    metrics.addDimensions({ gate: 'board', ...(gap !== undefined && { gap }) });
    for (const name of BOARD_METRICS) {
      const value = measures[name];
      if (value !== undefined) metrics.addMetric(name, MetricUnit.Count, value);
    }
    metrics.publishStoredMetrics();
  };
}

function emptyMetrics(): Metrics {
  const metrics = new Metrics({ namespace: METRIC_NAMESPACE });
  // Without this each metric would have the dimension `service` too, and alarms would have to know it.
  metrics.clearDefaultDimensions();
  return metrics;
}

/** The metric that counts verdicts of an outcome. */
export const COUNTERS = { pass: 'Passed', fail: 'Failed', inconclusive: 'Inconclusive' } as const;
