import { createHash } from 'node:crypto';
import { present } from '../aws/service.ts';
import { ACCOUNT, REGION } from '../emulator.ts';
import type { Alarm, AlarmConfig, AlarmState, CompositeAlarm, MetricAlarm } from './alarm.ts';
import { type Judgement, OPERATORS } from './judge.ts';
import type { Series } from './metrics.ts';
import type { CompositeAlarmConfig, MetricAlarmConfig, MetricDataQuery } from './schema.ts';

/* What CloudWatch says of alarms: reasons, messages to topics and functions, events. */

/** As messages name the region. */
const REGION_NAME = 'US East (N. Virginia)';

/** The most characters of a subject of SNS. */
const MOST_SUBJECT = 100;

/** A moment as CloudWatch writes it: `2026-01-01T00:00:00.000+0000`. */
function stamp(milliseconds: number): string {
  return new Date(milliseconds).toISOString().replace('Z', '+0000');
}

/** A number as CloudWatch writes it: `50.0`. */
function double(value: number): string {
  return Number.isInteger(value) && Math.abs(value) < 1e15 ? value.toFixed(1) : String(value);
}

/** Beginning of a period in a reason: `(01/10/19 13:46:00)`. */
function shortStamp(milliseconds: number): string {
  const [, year, month, day, time] = /^\d\d(\d\d)-(\d\d)-(\d\d)T([\d:]{8})/.exec(
    new Date(milliseconds).toISOString(),
  ) as string[];
  return `${day}/${month}/${year} ${time}`;
}

/** `Thursday 12 March, 2020 08:36:32 UTC` */
function longStamp(milliseconds: number): string {
  const date = new Date(milliseconds);
  const part = (options: Intl.DateTimeFormatOptions) =>
    date.toLocaleString('en-US', { timeZone: 'UTC', ...options });
  const day = String(date.getUTCDate()).padStart(2, '0');
  const time = date.toISOString().slice(11, 19);
  return `${part({ weekday: 'long' })} ${day} ${part({ month: 'long' })}, ${date.getUTCFullYear()} ${time} UTC`;
}

/**
 * Why a metric alarm is in a state, as text and as data.
 *
 * @param from beginning of the first period of the range, in milliseconds since 1970
 */
export function explainJudgement(
  { config, watched }: MetricAlarm,
  range: Series,
  { state, evaluated, filled }: Judgement,
  { from, now }: { from: number; now: number },
): { reason: string; reasonData: string } {
  const { EvaluationPeriods: periods, DatapointsToAlarm: needed = periods, Threshold } = config;
  const { period, query } = watched;
  const points = evaluated.map((index) => ({
    value: range[index] as number,
    time: from + index * period * 1_000,
  }));
  const breaches = ({ value }: { value: number }) =>
    OPERATORS[config.ComparisonOperator].holds(value, Threshold);
  const counted = points.filter((point) => breaches(point) === (state === 'ALARM'));
  return {
    reason:
      state === 'INSUFFICIENT_DATA'
        ? `Insufficient Data: ${plural(filled, 'datapoint')} ${filled === 1 ? 'was' : 'were'} unknown.`
        : `Threshold Crossed: ${[seen(), stoodIn()].filter(Boolean).join(' and ')}${transition()}.`,
    reasonData: JSON.stringify(
      present({
        version: '1.0',
        queryDate: stamp(now),
        startDate: points.length === 0 ? undefined : stamp((points.at(-1) as { time: number }).time),
        statistic: query?.stat,
        unit: query?.unit,
        period,
        recentDatapoints: points.map(({ value }) => value).reverse(),
        threshold: Threshold,
        evaluatedDatapoints: points.map(({ value, time }) => ({ timestamp: stamp(time), value })),
      }),
    ),
  };

  /** What the real data points were. */
  function seen(): string {
    if (points.length === 0) return `no datapoints were received for ${plural(periods, 'period')}`;
    const values = counted.map(({ value, time }) => `${double(value)} (${shortStamp(time)})`).join(', ');
    const verb = `${counted.length === 1 ? 'was' : 'were'}${state === 'ALARM' ? '' : ' not'}`;
    const { words } = OPERATORS[config.ComparisonOperator];
    return `${counted.length} out of the last ${plural(points.length, 'datapoint')} [${values}] ${verb} ${words} the threshold (${double(Threshold)})`;
  }

  /** What the missing ones were taken for. */
  function stoodIn(): string {
    const taken = { breaching: 'Breaching', notBreaching: 'NonBreaching' } as Record<string, string>;
    const as = taken[config.TreatMissingData ?? ''];
    if (filled === 0 || as === undefined) return '';
    return `${plural(filled, 'missing datapoint')} ${filled === 1 ? 'was' : 'were'} treated as [${as}]`;
  }

  function transition(): string {
    if (points.length === 0) return '';
    const least = state === 'ALARM' ? needed : periods - needed + 1;
    const which = state === 'ALARM' ? 'OK -> ALARM' : 'ALARM -> OK';
    return ` (minimum ${plural(least, 'datapoint')} for ${which} transition)`;
  }
}

function plural(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}

/**
 * Why a composite alarm is in a state.
 *
 * @param cause the child that changed last; undefined where the composite has just been configured
 */
export function explainRule(
  { arn }: CompositeAlarm,
  value: AlarmState['value'],
  children: readonly Alarm[],
  cause: Alarm | undefined,
): { reason: string; reasonData: string } {
  const reason =
    cause === undefined
      ? `${arn} was created and its alarm rule evaluates to ${value}`
      : `${cause.arn} transitioned to ${cause.state.value} at ${longStamp(cause.state.transitioned)}`;
  const triggeringAlarms = children.map(({ arn, state }) => ({
    arn,
    state: { value: state.value, timestamp: stamp(state.transitioned) },
  }));
  return { reason, reasonData: JSON.stringify({ triggeringAlarms }) };
}

/** The subject of a message to a topic: `ALARM: "name" in US East (N. Virginia)`. */
export function subjectOf({ name, state }: Alarm): string {
  const subject = `${state.value}: "${name}" in ${REGION_NAME}`;
  return subject.length <= MOST_SUBJECT ? subject : `${subject.slice(0, MOST_SUBJECT - 3)}...`;
}

/** The message to a topic, as JSON. */
export function topicMessage(alarm: Alarm, previous: AlarmState): string {
  const { name, arn, configured, config, state } = alarm;
  return JSON.stringify({
    AlarmName: name,
    AlarmDescription: config.AlarmDescription ?? null,
    AWSAccountId: ACCOUNT,
    AlarmConfigurationUpdatedTimestamp: stamp(configured),
    NewStateValue: state.value,
    NewStateReason: state.reason,
    StateChangeTime: stamp(state.transitioned),
    Region: REGION_NAME,
    AlarmArn: arn,
    OldStateValue: previous.value,
    OKActions: config.OKActions,
    AlarmActions: config.AlarmActions,
    InsufficientDataActions: config.InsufficientDataActions,
    ...(alarm.kind === 'MetricAlarm'
      ? { Trigger: triggerOf(alarm.config) }
      : { AlarmRule: alarm.config.AlarmRule }),
  });
}

function triggerOf(config: MetricAlarmConfig): object {
  const { Statistic, ExtendedStatistic, Metrics } = config;
  return {
    ...(Metrics === undefined && {
      MetricName: config.MetricName,
      Namespace: config.Namespace,
      ...(Statistic === undefined
        ? { StatisticType: 'ExtendedStatistic', ExtendedStatistic }
        : { StatisticType: 'Statistic', Statistic: Statistic.toUpperCase() }),
      Unit: config.Unit ?? null,
      Dimensions: lowerDimensions(config.Dimensions),
    }),
    Period: config.Period ?? Metrics?.flatMap(({ MetricStat }) => MetricStat?.Period ?? [])[0],
    EvaluationPeriods: config.EvaluationPeriods,
    DatapointsToAlarm: config.DatapointsToAlarm ?? config.EvaluationPeriods,
    ComparisonOperator: config.ComparisonOperator,
    Threshold: config.Threshold,
    TreatMissingData: config.TreatMissingData ?? '',
    EvaluateLowSampleCountPercentile: config.EvaluateLowSampleCountPercentile ?? '',
    ...(Metrics !== undefined && {
      Metrics: Metrics.map(({ MetricStat, ReturnData = true, ...rest }) => ({
        ...rest,
        ...(MetricStat !== undefined && {
          MetricStat: {
            ...MetricStat,
            Metric: { ...MetricStat.Metric, Dimensions: lowerDimensions(MetricStat.Metric.Dimensions) },
          },
        }),
        ReturnData,
      })),
    }),
  };
}

function lowerDimensions(dimensions: MetricAlarmConfig['Dimensions'] = []): object[] {
  return dimensions.map(({ Name, Value }) => ({ value: Value, name: Name }));
}

/** The event that a function is invoked with, as JSON. */
export function functionEvent(alarm: Alarm, previous: AlarmState): string {
  return JSON.stringify({
    source: 'aws.cloudwatch',
    alarmArn: alarm.arn,
    accountId: ACCOUNT,
    time: stamp(alarm.state.transitioned),
    region: REGION,
    alarmData: stateChange(alarm, previous),
  });
}

/** Detail of the event `CloudWatch Alarm State Change`. */
export function stateChange(alarm: Alarm, previous: AlarmState): object {
  const suppressedBy = alarm.kind === 'CompositeAlarm' ? alarm.suppression?.by : undefined;
  return {
    alarmName: alarm.name,
    state: {
      ...(suppressedBy !== undefined && {
        actionsSuppressedBy: suppressedBy,
        actionsSuppressedReason: suppressedReason(suppressedBy),
      }),
      ...stateDetail(alarm.state),
    },
    previousState: stateDetail(previous),
    configuration:
      alarm.kind === 'MetricAlarm'
        ? present({ description: alarm.config.AlarmDescription, metrics: metricsDetail(alarm) })
        : ruleDetail(alarm.config),
  };
}

export function suppressedReason(by: string): string {
  return `Actions suppressed by ${by}`;
}

function stateDetail({ value, reason, reasonData, transitioned }: AlarmState): object {
  return present({ value, reason, reasonData, timestamp: stamp(transitioned) });
}

/**
 * Detail of the event `CloudWatch Alarm Configuration Change`.
 *
 * @param previous the configuration before an update
 */
export function configurationChange(
  operation: 'create' | 'update' | 'delete',
  alarm: Alarm,
  previous: { config: AlarmConfig; configured: number } | undefined,
): object {
  const { name, state } = alarm;
  return {
    alarmName: name,
    operation,
    state: { value: state.value, timestamp: stamp(state.transitioned) },
    configuration: configurationDetail(alarm),
    ...(previous !== undefined && {
      previousConfiguration: configurationDetail({ ...alarm, ...previous } as Alarm),
    }),
  };
}

function configurationDetail(alarm: Alarm): object {
  const { config, configured, name } = alarm;
  return present({
    ...(alarm.kind === 'MetricAlarm'
      ? {
          evaluationPeriods: alarm.config.EvaluationPeriods,
          datapointsToAlarm: alarm.config.DatapointsToAlarm,
          threshold: alarm.config.Threshold,
          comparisonOperator: alarm.config.ComparisonOperator,
          treatMissingData: alarm.config.TreatMissingData,
          evaluateLowSampleCountPercentile: alarm.config.EvaluateLowSampleCountPercentile,
          metrics: metricsDetail(alarm),
        }
      : ruleDetail(alarm.config)),
    alarmName: name,
    description: config.AlarmDescription,
    actionsEnabled: config.ActionsEnabled,
    timestamp: stamp(configured),
    okActions: config.OKActions,
    alarmActions: config.AlarmActions,
    insufficientDataActions: config.InsufficientDataActions,
  });
}

function ruleDetail(config: CompositeAlarmConfig): object {
  return present({
    alarmRule: config.AlarmRule,
    actionsSuppressor: config.ActionsSuppressor,
    actionsSuppressorWaitPeriod: config.ActionsSuppressorWaitPeriod,
    actionsSuppressorExtensionPeriod: config.ActionsSuppressorExtensionPeriod,
  });
}

/** What an alarm watches, as events have it. CloudWatch gives a single metric an id of its own. */
function metricsDetail({ arn, config }: MetricAlarm): object[] {
  if (config.Metrics !== undefined) return config.Metrics.map(queryDetail);
  const {
    Namespace = '',
    MetricName = '',
    Dimensions,
    Period = 0,
    Statistic,
    ExtendedStatistic,
    Unit,
  } = config;
  const id = createHash('sha256').update(arn).digest('hex').slice(0, 32);
  return [
    queryDetail({
      Id: id.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-'),
      MetricStat: {
        Metric: { Namespace, MetricName, Dimensions },
        Period,
        Stat: (Statistic ?? ExtendedStatistic) as string,
        Unit,
      },
    }),
  ];
}

function queryDetail({
  Id,
  MetricStat,
  Expression,
  Label,
  Period,
  ReturnData = true,
}: MetricDataQuery): object {
  return present({
    id: Id,
    expression: Expression,
    label: Label,
    period: Period,
    metricStat:
      MetricStat &&
      present({
        metric: {
          namespace: MetricStat.Metric.Namespace,
          name: MetricStat.Metric.MetricName,
          dimensions: Object.fromEntries(
            (MetricStat.Metric.Dimensions ?? []).map(({ Name, Value }) => [Name, Value]),
          ),
        },
        period: MetricStat.Period,
        stat: MetricStat.Stat,
        unit: MetricStat.Unit,
      }),
    returnData: ReturnData,
  });
}
