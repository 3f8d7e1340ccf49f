import { type MetricAlarm, type MetricName, readsMetric } from './alarm.ts';
import type { TickSample } from './measurements.ts';
import { DRILL_NAMESPACE, DRILL_TAG, RUN_TAG, SHADOW, UNTIL_TAG } from './schema.ts';

/*
 * Shadow alarms: clones of an alarm that watch metrics of the drill's own. Plain JSON in the shapes of PutMetricAlarm and
 * PutMetricData; nothing here talks to CloudWatch.
 */

/** One round of one run of a drill. */
export interface RoundOf {
  /** Name of the drill. */
  drill: string;
  run: string;
  /** Eight hexadecimal digits, the same however often the run starts again. */
  token: string;
  /** From 1. */
  round: number;
}

/** One shadow alarm: of a round, the rung. */
export interface ShadowOf extends RoundOf {
  /** Id of the rung. */
  rung: string;
}

export interface Tag {
  Key: string;
  Value: string;
}

interface Dimension {
  Name: string;
  Value: string;
}

/** What PutMetricAlarm takes of one metric. */
interface SingleMetric {
  Namespace: string;
  MetricName: string;
  Dimensions: Dimension[];
  Period: number;
  Statistic?: string;
  ExtendedStatistic?: string;
  Unit?: string;
}

/** What PutMetricAlarm takes of metric math. */
interface MetricMath {
  Metrics: (
    | { Id: string; Expression: string; ReturnData: boolean }
    | {
        Id: string;
        MetricStat: {
          Metric: { Namespace: string; MetricName: string; Dimensions: Dimension[] };
          Period: number;
          Stat: string;
          Unit?: string;
        };
        ReturnData: boolean;
      }
  )[];
}

/** The input of PutMetricAlarm for a shadow alarm. */
export type ShadowInput = (SingleMetric | MetricMath) & {
  AlarmName: string;
  AlarmDescription: string;
  ActionsEnabled: true;
  AlarmActions: string[];
  OKActions: string[];
  EvaluationPeriods: number;
  DatapointsToAlarm: number;
  ComparisonOperator: MetricAlarm['comparison'];
  Threshold: number;
  TreatMissingData: MetricAlarm['missingData'];
  EvaluateLowSampleCountPercentile?: 'evaluate' | 'ignore';
  Tags: Tag[];
};

/** One element of PutMetricData. */
export interface Datum {
  MetricName: string;
  Dimensions: Dimension[];
  Timestamp: Date;
  Values: number[];
  Counts: number[];
  Unit?: string;
  StorageResolution: 1 | 60;
}

/** Statistics that PutMetricAlarm takes as `Statistic`; all others are extended ones. */
const SIMPLE = new Set(['Average', 'Sum', 'Minimum', 'Maximum', 'SampleCount']);

/** Begins the names of everything that one run makes: `tocsin-drill-1a2b3c4d-`. */
export function shadowPrefix(token: string): string {
  return `${SHADOW}${token}-`;
}

/** Name of a shadow alarm, `tocsin-drill-1a2b3c4d-1-0.95x`: at most 255 characters, as CloudWatch takes them. */
export function shadowName(token: string, round: number, rung: string): string {
  return `${shadowPrefix(token)}${round}-${rung}`.slice(0, 255);
}

/**
 * The metric that a shadow alarm watches in place of one of the alarm's. Name and dimensions are both of this rung alone,
 * so that not even a reader who looks at one of the two mixes rungs up.
 *
 * @param query position among the queries of the alarm
 */
export function shadowMetric({ drill, run, token, round, rung }: ShadowOf, query: number): MetricName {
  return {
    namespace: DRILL_NAMESPACE,
    name: `${token}-${round}-${query}-${rung}`.slice(0, 255),
    dimensions: { Drill: drill, Run: run, Rung: rung },
  };
}

/** The metrics of a shadow alarm, by the id of the query that reads them. */
export function shadowMetrics(alarm: Pick<MetricAlarm, 'queries'>, of: ShadowOf): Record<string, MetricName> {
  return Object.fromEntries(
    alarm.queries.flatMap((query, index) =>
      readsMetric(query) ? [[query.id, shadowMetric(of, index)] as const] : [],
    ),
  );
}

/** Tags of what a run makes. */
export function shadowTags({ drill, run, until }: { drill: string; run: string; until: number }): Tag[] {
  return [
    { Key: DRILL_TAG, Value: drill },
    { Key: RUN_TAG, Value: run },
    { Key: UNTIL_TAG, Value: new Date(until).toISOString() },
  ];
}

/**
 * Whether something with these tags was left behind: by a drill whose time is over, or by an earlier run of `drill`, which
 * runs only once at a time. What has no tag of a drill is somebody else's.
 */
export function isLeftover(
  tags: Readonly<Record<string, string>>,
  { now, drill }: { now: number; drill?: string },
): boolean {
  const owner = tags[DRILL_TAG];
  if (owner === undefined) return false;
  // A time that cannot be read holds nothing back.
  return owner === drill || !(Date.parse(tags[UNTIL_TAG] ?? '') > now);
}

/**
 * The clone of an alarm on a rung: everything that its evaluation depends on, on metrics of the rung. A warm-up
 * ({@link https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-warm-up.html}) is not cloned: it delays the
 * first evaluation of a new alarm, and a shadow would sleep through its drill.
 *
 * @param until when nobody needs it any more, milliseconds since 1970
 * @param alarmActions ARNs to tell of ALARM
 * @param okActions ARNs to tell of OK (default: the same)
 */
export function shadowInput(
  alarm: MetricAlarm,
  {
    until,
    alarmActions,
    okActions = alarmActions,
    description,
    ...of
  }: ShadowOf & {
    until: number;
    alarmActions: readonly string[];
    okActions?: readonly string[];
    description: string;
  },
): ShadowInput {
  return {
    ...watched(alarm, of),
    AlarmName: shadowName(of.token, of.round, of.rung),
    // CloudWatch takes 1024 characters.
    AlarmDescription: description.slice(0, 1024),
    ActionsEnabled: true,
    AlarmActions: [...alarmActions],
    OKActions: [...okActions],
    EvaluationPeriods: alarm.evaluationPeriods,
    DatapointsToAlarm: alarm.datapointsToAlarm,
    ComparisonOperator: alarm.comparison,
    Threshold: alarm.threshold,
    TreatMissingData: alarm.missingData,
    ...(alarm.lowSamples !== undefined && { EvaluateLowSampleCountPercentile: alarm.lowSamples }),
    Tags: shadowTags({ ...of, until }),
  };
}

function watched(alarm: MetricAlarm, of: ShadowOf): SingleMetric | MetricMath {
  const [first] = alarm.queries;
  if (!alarm.math && first !== undefined && readsMetric(first)) {
    return {
      ...metricShape(shadowMetric(of, 0)),
      Period: alarm.periodS,
      ...(SIMPLE.has(first.statistic)
        ? { Statistic: first.statistic }
        : { ExtendedStatistic: first.statistic }),
      ...(first.unit !== undefined && { Unit: first.unit }),
    };
  }
  return {
    Metrics: alarm.queries.map((query, index) => {
      const ReturnData = query.id === alarm.returns;
      if (!readsMetric(query)) return { Id: query.id, Expression: query.expression, ReturnData };
      return {
        Id: query.id,
        MetricStat: {
          Metric: metricShape(shadowMetric(of, index)),
          Period: alarm.periodS,
          Stat: query.statistic,
          ...(query.unit !== undefined && { Unit: query.unit }),
        },
        ReturnData,
      };
    }),
  };
}

/**
 * The data of one tick, for all rungs.
 *
 * @param at time stamp of the samples, milliseconds since 1970
 * @param rungs by id of the rung, then of the query; null, or left out: nothing is published
 */
export function shadowData(
  alarm: MetricAlarm,
  of: RoundOf,
  at: number,
  rungs: Readonly<Record<string, Readonly<Record<string, TickSample | null>>>>,
): Datum[] {
  // Alarms with a shorter period see no data of the usual resolution.
  const StorageResolution = alarm.periodS < 60 ? 1 : 60;
  return Object.entries(rungs).flatMap(([rung, samples]) =>
    alarm.queries.flatMap((query, index) => {
      const sample = samples[query.id] ?? null;
      if (!readsMetric(query) || sample === null) return [];
      const { MetricName, Dimensions } = metricShape(shadowMetric({ ...of, rung }, index));
      return {
        MetricName,
        Dimensions,
        Timestamp: new Date(at),
        Values: [sample.value],
        Counts: [sample.count],
        ...(query.unit !== undefined && { Unit: query.unit }),
        StorageResolution,
      };
    }),
  );
}

/** A metric as CloudWatch's API names it; dimensions in order, so that the same metric is always the same text. */
export function metricShape({ namespace, name, dimensions }: MetricName): {
  Namespace: string;
  MetricName: string;
  Dimensions: Dimension[];
} {
  return {
    Namespace: namespace,
    MetricName: name,
    Dimensions: Object.entries(dimensions)
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([Name, Value]) => ({ Name, Value })),
  };
}
