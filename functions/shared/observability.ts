import { Logger } from '@aws-lambda-powertools/logger';
import { Metrics, MetricUnit } from '@aws-lambda-powertools/metrics';
import type { GateName } from './verdict.ts';

/** CloudWatch namespace of all metrics of Tocsin. */
const NAMESPACE = 'Tocsin';

/** Metrics of a gate and their units; each has the dimensions `gate` and that of its subject. */
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

/** Structured JSON logs. Give it names, ids and counts: no sample values, no secrets. */
export function createLogger(gate: GateName): Logger {
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
  const metrics = new Metrics({ namespace: NAMESPACE });
  // Without this each metric would have the dimension `service` too, and alarms would have to know it.
  metrics.clearDefaultDimensions();
  return (subject, measures) => {
    metrics.addDimensions({ gate, [dimension]: subject });
    for (const [name, value] of Object.entries(measures) as [Measure, number | undefined][]) {
      if (value !== undefined) metrics.addMetric(name, UNITS[name], value);
    }
    metrics.publishStoredMetrics();
  };
}

/** The metric that counts verdicts of an outcome. */
export const COUNTERS = { pass: 'Passed', fail: 'Failed', inconclusive: 'Inconclusive' } as const;
