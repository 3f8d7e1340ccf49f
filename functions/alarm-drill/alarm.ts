/*
 * Words for CloudWatch alarms, as this drill speaks of them: plain JSON, made of what DescribeAlarms answers.
 */

/** A metric with all of its dimensions; one dimension more or less is another metric. */
export interface MetricName {
  namespace: string;
  name: string;
  dimensions: Record<string, string>;
}

export const ALARM_STATES = ['OK', 'ALARM', 'INSUFFICIENT_DATA'] as const;

export type AlarmState = (typeof ALARM_STATES)[number];

/** Operators of alarms with one static threshold; those of anomaly detection are not drilled. */
export const COMPARISONS = {
  GreaterThanThreshold: '>',
  GreaterThanOrEqualToThreshold: '>=',
  LessThanThreshold: '<',
  LessThanOrEqualToThreshold: '<=',
} as const;

export type Comparison = keyof typeof COMPARISONS;

export const MISSING_DATA = ['missing', 'notBreaching', 'breaching', 'ignore'] as const;

export type MissingData = (typeof MISSING_DATA)[number];

/** One metric of an alarm: the samples of each period become one data point by its statistic. */
export interface StatisticQuery {
  /** As expressions name it; `m1` of an alarm on one metric. */
  id: string;
  metric: MetricName;
  /** `Average`, `Sum`, `Minimum`, `Maximum`, `SampleCount`, or an extended one such as `p99`, `tm90`, `TM(10%:90%)`. */
  statistic: string;
  /** Samples of another unit do not count; undefined: those of any unit do. */
  unit?: string;
}

/** A metric math expression over other queries of the alarm. */
export interface ExpressionQuery {
  id: string;
  expression: string;
}

export type Query = StatisticQuery | ExpressionQuery;

/** Whether a query reads a metric, rather than being an expression over others. */
export function readsMetric(query: Query): query is StatisticQuery {
  return 'metric' in query;
}

/** What evaluation depends on. */
export interface Evaluated {
  queries: Query[];
  /** Id of the query that is held against the threshold. */
  returns: string;
  /** Seconds: 10, 20, 30, or a multiple of 60. */
  periodS: number;
  /** N: newest data points that are looked at, from 1. */
  evaluationPeriods: number;
  /** M: how many of them must breach, from 1 to N. */
  datapointsToAlarm: number;
  comparison: Comparison;
  threshold: number;
  missingData: MissingData;
  /** Percentiles alone: `ignore` keeps the state while there are too few samples; undefined: `evaluate`. */
  lowSamples?: 'evaluate' | 'ignore';
}

/** Who is told of what, by ARNs; at most five of a state. */
export interface Actions {
  enabled: boolean;
  alarm: string[];
  ok: string[];
  insufficientData: string[];
}

/** A metric alarm as it is configured now. Times are milliseconds since 1970. */
export interface MetricAlarm extends Evaluated {
  kind: 'metric';
  name: string;
  arn: string;
  description?: string;
  /** Whether it is defined by `Metrics` (metric math), rather than by one metric. */
  math: boolean;
  actions: Actions;
  state: AlarmState;
  /** When it came into that state. */
  since: number;
  updatedAt: number;
}

/** A composite alarm: in ALARM while its rule holds. */
export interface CompositeAlarm {
  kind: 'composite';
  name: string;
  arn: string;
  description?: string;
  /** `ALARM("a") AND NOT OK("b")` */
  rule: string;
  actions: Actions;
  /** While this alarm is in ALARM, actions are held back for so many seconds. */
  suppressor?: { alarm: string; waitS: number; extensionS: number };
  state: AlarmState;
  since: number;
}

/** An alarm that exists and cannot be drilled, in words: `an anomaly detection band has no static threshold`. */
export interface OtherAlarm {
  kind: 'other';
  name: string;
  arn: string;
  why: string;
  actions: Actions;
  state: AlarmState;
}

export type Alarm = MetricAlarm | CompositeAlarm | OtherAlarm;

/** Whether two names mean the same metric. */
export function sameMetric(a: MetricName, b: MetricName): boolean {
  return metricText(a) === metricText(b);
}

/** `Namespace/Name{Dimension=value, ...}`, dimensions in order: for messages, and as a key. */
export function metricText({ namespace, name, dimensions }: MetricName): string {
  const list = Object.entries(dimensions)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([dimension, value]) => `${dimension}=${value}`);
  return `${namespace}/${name}${list.length === 0 ? '' : `{${list.join(', ')}}`}`;
}

/** Whether a value breaches. */
export function breaches(
  value: number,
  { comparison, threshold }: Pick<Evaluated, 'comparison' | 'threshold'>,
): boolean {
  switch (comparison) {
    case 'GreaterThanThreshold':
      return value > threshold;
    case 'GreaterThanOrEqualToThreshold':
      return value >= threshold;
    case 'LessThanThreshold':
      return value < threshold;
    case 'LessThanOrEqualToThreshold':
      return value <= threshold;
  }
}

/** Whether an alarm is about values that are too high, rather than too low. */
export function firesUpwards({ comparison }: Pick<Evaluated, 'comparison'>): boolean {
  return comparison.startsWith('Greater');
}

/** `>= 0.2` */
export function thresholdText({
  comparison,
  threshold,
}: Pick<Evaluated, 'comparison' | 'threshold'>): string {
  return `${COMPARISONS[comparison]} ${threshold}`;
}

/** `3 of 5 data points of 60 s >= 0.2` */
export function conditionText(alarm: Evaluated): string {
  const { datapointsToAlarm: m, evaluationPeriods: n, periodS } = alarm;
  return `${m} of ${n} data point${n === 1 ? '' : 's'} of ${periodS} s ${thresholdText(alarm)}`;
}

/** How far CloudWatch lets an alarm look back, seconds: a day; a week where its periods are an hour or longer. */
export function longestWindowS({ periodS }: Pick<Evaluated, 'periodS'>): number {
  const dayS = 86_400;
  return periodS < 3600 ? dayS : 7 * dayS;
}

/** The name of an alarm in its ARN, which rules and suppressors may give; of a name itself. */
export function alarmNameOf(nameOrArn: string): string {
  return /^arn:[^:]*:cloudwatch:[^:]*:[^:]*:alarm:(.*)$/s.exec(nameOrArn)?.[1] ?? nameOrArn;
}
