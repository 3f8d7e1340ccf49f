import { stringify } from 'yaml';
import type * as z from 'zod';
import type {
  Alarm,
  CompositeAlarm,
  Evaluated,
  MetricAlarm,
  MetricName,
  StatisticQuery,
} from '../../functions/alarm-drill/alarm.ts';
import type { ActionFacts, Facts, MetricFacts } from '../../functions/alarm-drill/measurements.ts';
import { proveReachable } from '../../functions/alarm-drill/reachability.ts';
import { type drillSchema, type LocatedDrill, parseDrills } from '../../functions/alarm-drill/schema.ts';
import type { Finding } from '../../functions/shared/verdict.ts';

/*
 * An alarm as it should be, everything that is known of it, and the drill that says what it is for. Tests change what
 * they are about.
 */

/** When the facts were read: 2026-01-15T03:00:00Z, milliseconds since 1970. */
export const READ_AT = Date.UTC(2026, 0, 15, 3);

const MINUTE = 60_000;

/** Drift of one feature, emitted every 5 minutes. */
export const PSI: MetricName = {
  namespace: 'ML/Drift',
  name: 'psi',
  dimensions: { Endpoint: 'churn-staging', Feature: 'distance' },
};

export const ONCALL = topicArn('ml-oncall');

export function topicArn(name: string): string {
  return `arn:aws:sns:eu-central-1:111122223333:${name}`;
}

export function alarmArn(name: string): string {
  return `arn:aws:cloudwatch:eu-central-1:111122223333:alarm:${name}`;
}

export type DrillInput = z.input<typeof drillSchema>;

/** A drill as tocsin.yaml has it, with its lines; default: of {@link psiAlarm}, to fire at 0.2 within 30 minutes. */
export function drillOf(config: Partial<DrillInput> = {}, name = 'distance-drift'): LocatedDrill {
  const drill = { alarm: 'psi-distance', intended: { fires: '>= 0.2', within: '30m' }, ...config };
  const text = stringify({ alarmDrills: { [name]: drill } });
  return parseDrills({ file: 'tocsin.yaml', text }).get(name)!;
}

/** The query of an alarm on one metric. */
export function queryOf(change: Partial<StatisticQuery> = {}): StatisticQuery {
  return { id: 'm1', metric: PSI, statistic: 'Average', ...change };
}

/** All that the static proof finds not to be right. */
export function flawsOf(facts: Facts, drill = drillOf()): Finding[] {
  return proveReachable(facts, drill).findings.filter(({ outcome }) => outcome !== 'pass');
}

/** `psi-distance`: 2 of 3 data points of 5 minutes >= 0.2, missing data breaching, tells {@link ONCALL}. */
export function psiAlarm(change: Partial<MetricAlarm> = {}): MetricAlarm {
  const name = change.name ?? 'psi-distance';
  return {
    kind: 'metric',
    name,
    arn: alarmArn(name),
    math: false,
    queries: [queryOf()],
    returns: 'm1',
    periodS: 300,
    evaluationPeriods: 3,
    datapointsToAlarm: 2,
    comparison: 'GreaterThanOrEqualToThreshold',
    threshold: 0.2,
    missingData: 'breaching',
    actions: { enabled: true, alarm: [ONCALL], ok: [], insufficientData: [] },
    state: 'OK',
    since: READ_AT - 24 * 60 * MINUTE,
    updatedAt: READ_AT - 48 * 60 * MINUTE,
    ...change,
  };
}

/** A composite alarm that tells {@link ONCALL}. */
export function compositeAlarm(
  name: string,
  rule: string,
  change: Partial<CompositeAlarm> = {},
): CompositeAlarm {
  return {
    kind: 'composite',
    name,
    arn: alarmArn(name),
    rule,
    actions: { enabled: true, alarm: [ONCALL], ok: [], insufficientData: [] },
    state: 'OK',
    since: READ_AT - 24 * 60 * MINUTE,
    ...change,
  };
}

/** A metric that is as it was for the last hours: `typical` give or take a tenth, one sample every `everyMs`. */
export function metricFacts(
  metric: MetricName,
  {
    typical = 0.05,
    everyMs = 5 * MINUTE,
    periodS = 300,
    ...change
  }: { typical?: number; everyMs?: number; periodS?: number } & Partial<MetricFacts> = {},
): MetricFacts {
  const distance = Math.max(periodS * 1000, everyMs);
  const newestAt = READ_AT - Math.min(distance, 5 * MINUTE);
  const lookBackMs = 60 * distance;
  const recent = Array.from({ length: 36 }, (_, index) => ({
    at: newestAt - (35 - index) * distance,
    value: typical * [1, 0.9, 1.05, 1.1, 0.95, 1][index % 6]!,
  }));
  const values = recent.map(({ value }) => value);
  const withData = Math.floor(lookBackMs / distance);
  return {
    metric,
    exists: true,
    near: [],
    periods: { asked: withData, anyUnit: withData, lookBackMs },
    recent,
    extremes: { min: Math.min(...values), max: Math.max(...values) },
    every: everyMs,
    resolutionMs: periodS < 60 ? 1000 : MINUTE,
    samplesPerPeriod: Math.max(1, Math.round((periodS * 1000) / everyMs)),
    newestAt,
    ...change,
  };
}

/** A topic that CloudWatch may publish to, with one confirmed subscriber. */
export function snsTopic(
  arn: string = ONCALL,
  change: Partial<Extract<ActionFacts, { kind: 'sns' }>> = {},
): ActionFacts {
  return {
    kind: 'sns',
    arn,
    exists: true,
    publish: { verdict: 'allowed', why: 'the policy lets cloudwatch.amazonaws.com do sns:Publish' },
    subscriptions: [{ protocol: 'email', endpoint: 'o***@example.com', pending: false }],
    ...change,
  };
}

/**
 * Facts without a flaw: every metric of the alarm has data, every topic a subscriber.
 *
 * @param metric what all metrics of the alarm are like
 */
export function factsOf(
  alarm: Alarm = psiAlarm(),
  change: Partial<Facts> = {},
  metric: Parameters<typeof metricFacts>[1] = {},
): Facts {
  const parents = change.parents ?? [];
  const actions = [alarm, ...parents].flatMap((one) => [
    ...one.actions.alarm,
    ...one.actions.insufficientData,
  ]);
  return {
    readAt: READ_AT,
    account: '111122223333',
    region: 'eu-central-1',
    alarm,
    near: [],
    parents,
    others: {},
    metrics: alarm.kind === 'metric' ? metricsOf(alarm, metric) : {},
    mutes: [],
    unread: [],
    ...change,
    actions: {
      ...Object.fromEntries(
        actions.map((arn) => [
          arn,
          arn.includes(':sns:')
            ? snsTopic(arn)
            : { kind: 'unchecked', arn, why: 'nothing here can look at it' },
        ]),
      ),
      ...change.actions,
    },
  };
}

function metricsOf(
  { queries, periodS }: Evaluated,
  metric: Parameters<typeof metricFacts>[1],
): Record<string, MetricFacts> {
  return Object.fromEntries(
    queries.flatMap((query) =>
      'metric' in query ? [[query.id, metricFacts(query.metric, { periodS, ...metric })]] : [],
    ),
  );
}
