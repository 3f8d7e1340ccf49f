import type * as z from 'zod';
import {
  type Caller,
  type Context,
  invalid,
  pageOf,
  present,
  ServiceError,
  seconds,
  type Tag,
  validate,
} from '../aws/service.ts';
import { type Alarm, arnOf } from './alarm.ts';
import type { CloudWatch } from './cloudwatch.ts';
import {
  badCombination,
  badFormat,
  badToken,
  badValue,
  missingParameter,
  unknownResource,
} from './errors.ts';
import { suppressedReason } from './messages.ts';
import { queryOf } from './metric-alarm.ts';
import type { Metric, Sample } from './metrics.ts';
import { nameOf } from './rule.ts';
import * as schema from './schema.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const MOST_DATA = 1_000;
const MOST_VALUES = 150;
const MOST_TAGS = 50;
const METRICS_PER_PAGE = 500;
/** Of a value, either way. */
const LARGEST = 2 ** 360;

/** What CloudWatch needs of the account around it to know what a caller may. */
export interface Access {
  /** @throws ServiceError AccessDeniedException */
  authorize(caller: Caller, action: string, resource: string, context?: Context): Promise<void>;
}

/** @throws ServiceError */
export type Operation = (
  input: unknown,
  call: { cloudwatch: CloudWatch; access: Access; caller: Caller },
  name: string,
) => Promise<object>;

/** What an action is on: ARNs, or `*` where it is on none; and condition keys of this action alone. */
interface Target {
  on: readonly string[];
  context?: Context;
}

/** An operation that validates its input, asks whether the caller may, and runs. */
function operation<S extends z.ZodType>(
  input: S,
  target: (input: z.output<S>, cloudwatch: CloudWatch) => Target,
  run: (input: z.output<S>, cloudwatch: CloudWatch) => object,
): Operation {
  return async (raw, { cloudwatch, access, caller }, name) => {
    const parsed = validate(input, raw);
    const { on, context } = target(parsed, cloudwatch);
    for (const resource of on) {
      const { tags } = cloudwatch.alarms.get(nameOf(resource)) ?? {};
      const owned = [...(tags ?? [])].map(([key, value]) => [`aws:ResourceTag/${key}`, value]);
      const keys = { ...Object.fromEntries(owned), ...requestKeys(parsed), ...context };
      await access.authorize(caller, `cloudwatch:${name}`, resource, keys);
      // A new alarm takes two rights where it is given tags.
      if (name.startsWith('Put') && (parsed as { Tags?: Tag[] }).Tags !== undefined) {
        await access.authorize(caller, 'cloudwatch:TagResource', resource, keys);
      }
    }
    return run(parsed, cloudwatch);
  };
}

/** Condition keys of the tags that a request brings or takes away. */
function requestKeys(input: unknown): Context {
  const { Tags, TagKeys } = input as { Tags?: Tag[]; TagKeys?: string[] };
  const keys = Tags?.map(({ Key }) => Key) ?? TagKeys;
  return {
    ...Object.fromEntries((Tags ?? []).map(({ Key, Value }) => [`aws:RequestTag/${Key}`, Value])),
    ...(keys !== undefined && { 'aws:TagKeys': keys }),
  };
}

/** An operation on metrics answers with other errors than one on alarms. */
function onMetrics(run: Operation): Operation {
  return async (input, call, name) => {
    try {
      return await run(input, call, name);
    } catch (error) {
      if (!(error instanceof ServiceError) || error.type !== 'ValidationException') throw error;
      throw badValue(error.message);
    }
  };
}

/**
 * What a question for all alarms is on: AWS calls it `alarm:*`, which to iam-simulate is whichever alarm a policy speaks
 * of. Only a right on all alarms matches this.
 */
const EVERY_ALARM = arnOf('(every alarm)');

const onNothing = (): Target => ({ on: ['*'] });
const onNamed = ({ AlarmNames }: { AlarmNames: readonly string[] }): Target => ({
  on: AlarmNames.map(arnOf),
});
const onAlarm = ({ AlarmName }: { AlarmName: string }): Target => ({ on: [arnOf(AlarmName)] });
const onResource = ({ ResourceARN }: { ResourceARN: string }): Target => ({ on: [ResourceARN] });

/** All operations, by name. */
export const operations: Readonly<Record<string, Operation>> = {
  PutMetricData: onMetrics(
    operation(
      schema.putMetricData,
      ({ Namespace }) => ({ on: ['*'], context: { 'cloudwatch:namespace': Namespace } }),
      putMetricData,
    ),
  ),
  ListMetrics: onMetrics(operation(schema.listMetrics, onNothing, listMetrics)),
  GetMetricData: operation(schema.getMetricData, onNothing, getMetricData),
  PutMetricAlarm: operation(schema.putMetricAlarm, onAlarm, ({ Tags, ...config }, cloudwatch) => {
    cloudwatch.putMetricAlarm(config, Tags);
    return {};
  }),
  PutCompositeAlarm: operation(schema.putCompositeAlarm, onAlarm, ({ Tags, ...config }, cloudwatch) => {
    cloudwatch.putCompositeAlarm(config, Tags);
    return {};
  }),
  DescribeAlarms: operation(
    schema.describeAlarms,
    // Only who asks for metric alarms by name gets by with a right on them.
    ({ AlarmNames: names = [], AlarmTypes: types = ['MetricAlarm'] }) =>
      names.length > 0 && types.every((type) => type === 'MetricAlarm')
        ? { on: names.map(arnOf) }
        : { on: [EVERY_ALARM] },
    describeAlarms,
  ),
  DescribeAlarmHistory: operation(
    schema.describeAlarmHistory,
    ({ AlarmName }) => ({ on: [AlarmName === undefined ? EVERY_ALARM : arnOf(AlarmName)] }),
    describeAlarmHistory,
  ),
  DeleteAlarms: operation(schema.alarmNames, onNamed, ({ AlarmNames }, cloudwatch) => {
    cloudwatch.deleteAlarms(AlarmNames);
    return {};
  }),
  EnableAlarmActions: operation(schema.alarmNames, onNamed, ({ AlarmNames }, cloudwatch) => {
    cloudwatch.setActionsEnabled(AlarmNames, true);
    return {};
  }),
  DisableAlarmActions: operation(schema.alarmNames, onNamed, ({ AlarmNames }, cloudwatch) => {
    cloudwatch.setActionsEnabled(AlarmNames, false);
    return {};
  }),
  SetAlarmState: operation(
    schema.setAlarmState,
    onAlarm,
    ({ AlarmName, StateValue, StateReason, StateReasonData }, cloudwatch) => {
      if (StateReasonData !== undefined && !isJson(StateReasonData)) {
        throw badFormat('StateReasonData was not syntactically valid JSON.');
      }
      cloudwatch.setState(AlarmName, StateValue, StateReason, StateReasonData);
      return {};
    },
  ),
  TagResource: operation(schema.tagResource, onResource, ({ ResourceARN, Tags }, cloudwatch) => {
    const { tags } = resource(ResourceARN, cloudwatch);
    const next = new Map([...tags, ...Tags.map(({ Key, Value }) => [Key, Value] as const)]);
    if (next.size > MOST_TAGS) throw badValue(`A resource can have at most ${MOST_TAGS} tags.`);
    for (const [key, value] of next) tags.set(key, value);
    return {};
  }),
  UntagResource: operation(schema.untagResource, onResource, ({ ResourceARN, TagKeys }, cloudwatch) => {
    const { tags } = resource(ResourceARN, cloudwatch);
    for (const key of TagKeys) tags.delete(key);
    return {};
  }),
  ListTagsForResource: operation(schema.listTagsForResource, onResource, ({ ResourceARN }, cloudwatch) => ({
    Tags: [...resource(ResourceARN, cloudwatch).tags].map(([Key, Value]) => ({ Key, Value })),
  })),
  ListAlarmMuteRules: operation(schema.listAlarmMuteRules, onNothing, () => ({ AlarmMuteRuleSummaries: [] })),
};

type Input<K extends keyof typeof schema> = (typeof schema)[K] extends z.ZodType
  ? z.output<(typeof schema)[K]>
  : never;

function putMetricData({ Namespace, MetricData }: Input<'putMetricData'>, cloudwatch: CloudWatch): object {
  if (/^AWS\//.test(Namespace)) throw badValue(`The value ${Namespace} for parameter Namespace is invalid.`);
  if (MetricData.length > MOST_DATA) {
    throw badValue(`The collection MetricData must not have a size greater than ${MOST_DATA}.`);
  }
  const now = cloudwatch.now();
  const samples = MetricData.map((datum, index) => sampleOf(datum, `MetricData.member.${index + 1}`, now));
  // All or nothing.
  for (const [index, { MetricName, Dimensions = [], StorageResolution }] of MetricData.entries()) {
    const metric = { namespace: Namespace, name: MetricName, dimensions: Dimensions };
    cloudwatch.metrics.write(metric, samples[index] as Sample, {
      resolution: StorageResolution < 60 ? 1 : 60,
      now,
    });
  }
  return {};
}

/**
 * Checks one datum, as far as its members depend on each other or on the time.
 *
 * @param at where it stands in the request
 */
function sampleOf(datum: Input<'putMetricData'>['MetricData'][number], at: string, now: number): Sample {
  const { Value, Values, StatisticValues, Counts, Unit: unit, Timestamp: time = now } = datum;
  const given = Object.entries({ Value, Values, StatisticValues }).filter(([, value]) => value !== undefined);
  const [first, second] = given.map(([member]) => `${at}.${member}`);
  if (first === undefined) throw missingParameter(`The parameter ${at}.Value must be specified.`);
  if (second !== undefined) {
    throw badCombination(
      `The parameters ${first} and ${second} are mutually exclusive and you have specified both.`,
    );
  }
  if (time < now - 14 * DAY_MS) {
    throw badValue(`The parameter ${at}.Timestamp must specify a time within the last two weeks.`);
  }
  if (time > now + 2 * HOUR_MS) {
    throw badValue(`The parameter ${at}.Timestamp must specify a time no more than two hours in the future.`);
  }
  const check = (name: string, value: number, least = -LARGEST) => {
    if (Number.isFinite(value) && value >= least && value <= LARGEST) return;
    throw badValue(`The value ${value} for parameter ${at}.${name} is invalid.`);
  };
  if (StatisticValues !== undefined) {
    const { SampleCount, Sum, Minimum, Maximum } = StatisticValues;
    check('StatisticValues.SampleCount', SampleCount, Number.MIN_VALUE);
    for (const [name, value] of Object.entries({ Sum, Minimum, Maximum })) {
      check(`StatisticValues.${name}`, value);
    }
    if (Minimum > Maximum) throw badValue(`The ${at}.StatisticValues.Minimum is greater than the Maximum.`);
    const values = Minimum === Maximum ? ([[Minimum, SampleCount]] as const) : undefined;
    return { time, unit, count: SampleCount, sum: Sum, min: Minimum, max: Maximum, values };
  }
  const values = Values ?? [Value as number];
  const counts = Counts ?? values.map(() => 1);
  if (Counts !== undefined && Values === undefined) {
    throw badCombination(`The parameter ${at}.Counts goes with ${at}.Values only.`);
  }
  if (values.length === 0 || values.length > MOST_VALUES) {
    throw badValue(`The collection ${at}.Values must have a size from 1 to ${MOST_VALUES}.`);
  }
  if (counts.length !== values.length) {
    throw badValue(`The parameters ${at}.Values and ${at}.Counts must be of the same size.`);
  }
  for (const [index, value] of values.entries()) {
    check(Values === undefined ? 'Value' : `Values.member.${index + 1}`, value);
  }
  for (const [index, count] of counts.entries()) check(`Counts.member.${index + 1}`, count, Number.MIN_VALUE);
  const pairs = values.map((value, index) => [value, counts[index] as number] as const);
  return {
    time,
    unit,
    count: counts.reduce((sum, count) => sum + count, 0),
    sum: pairs.reduce((sum, [value, count]) => sum + value * count, 0),
    min: Math.min(...values),
    max: Math.max(...values),
    values: pairs,
  };
}

function listMetrics(input: Input<'listMetrics'>, cloudwatch: CloudWatch): object {
  const { Namespace, MetricName, Dimensions = [], RecentlyActive, NextToken, ...rest } = input;
  const now = cloudwatch.now();
  const matches = ({ namespace, name, dimensions, lastWrite }: Metric) =>
    (Namespace === undefined || namespace === Namespace) &&
    (MetricName === undefined || name === MetricName) &&
    (RecentlyActive === undefined || lastWrite >= now - 3 * HOUR_MS) &&
    Dimensions.every(({ Name, Value }) =>
      dimensions.some((it) => it.Name === Name && (Value === undefined || it.Value === Value)),
    );
  const query = { Namespace, MetricName, Dimensions, RecentlyActive, ...rest };
  const { items, next } = pageOf(
    cloudwatch.metrics.listed(now, cloudwatch.listDelay).filter(matches),
    { size: METRICS_PER_PAGE, token: NextToken, query },
    badToken,
  );
  return present({
    Metrics: items.map(({ namespace, name, dimensions }) => ({
      Namespace: namespace,
      MetricName: name,
      Dimensions: dimensions,
    })),
    NextToken: next,
  });
}

function getMetricData(input: Input<'getMetricData'>, cloudwatch: CloudWatch): object {
  const { MetricDataQueries: queries, StartTime, EndTime, ScanBy, MaxDatapoints, NextToken } = input;
  if (StartTime >= EndTime) throw invalid('The parameter StartTime must be less than the parameter EndTime.');
  if (new Set(queries.map(({ Id }) => Id)).size < queries.length) throw invalid('The ids must be different.');
  const shown = queries.filter(({ ReturnData = true }) => ReturnData);
  const points = shown.flatMap(({ Id, MetricStat, Expression }, index) => {
    if (MetricStat === undefined || Expression !== undefined) {
      throw invalid(
        `The local CloudWatch does not compute expressions in GetMetricData: ${Id} must be a metric.`,
      );
    }
    const { Period } = MetricStat;
    const step = Period * 1_000;
    const from = Math.floor(StartTime / step) * step;
    const count = Math.ceil((EndTime - from) / step);
    const series = cloudwatch.metrics.read(queryOf(MetricStat), from, Period, count);
    const found = series.flatMap((value, slot) =>
      value === undefined ? [] : [{ index, value, time: from + slot * step }],
    );
    return ScanBy === 'TimestampDescending' ? found.reverse() : found;
  });
  const query = { queries, StartTime, EndTime, ScanBy };
  const { items, next } = pageOf(points, { size: MaxDatapoints, token: NextToken, query }, badToken);
  const last = items.at(-1)?.index ?? -1;
  return present({
    MetricDataResults: shown.map(({ Id, Label, MetricStat }, index) => {
      const own = items.filter((point) => point.index === index);
      return {
        Id,
        Label: Label ?? MetricStat?.Metric.MetricName,
        Timestamps: own.map(({ time }) => seconds(time)),
        Values: own.map(({ value }) => value),
        StatusCode: next !== undefined && index >= last ? 'PartialData' : 'Complete',
      };
    }),
    NextToken: next,
    Messages: [],
  });
}

function describeAlarms(input: Input<'describeAlarms'>, cloudwatch: CloudWatch): object {
  const { AlarmNames, AlarmNamePrefix, ChildrenOfAlarmName, ParentsOfAlarmName } = input;
  const { AlarmTypes = ['MetricAlarm'], StateValue, ActionPrefix, MaxRecords, NextToken } = input;
  const filters = [AlarmNames, AlarmNamePrefix, input.AlarmTypes, StateValue, ActionPrefix];
  const relations = [ChildrenOfAlarmName, ParentsOfAlarmName].filter((name) => name !== undefined);
  if (relations.length + filters.filter((it) => it !== undefined).length > 1 && relations.length > 0) {
    throw invalid('ChildrenOfAlarmName and ParentsOfAlarmName go with no other filter.');
  }
  if (AlarmNames !== undefined && AlarmNamePrefix !== undefined) {
    throw invalid('AlarmNames and AlarmNamePrefix are mutually exclusive.');
  }
  const related = relatives(input, cloudwatch);
  const wanted = (alarm: Alarm) =>
    (AlarmNames === undefined || AlarmNames.includes(alarm.name)) &&
    alarm.name.startsWith(AlarmNamePrefix ?? '') &&
    AlarmTypes.includes(alarm.kind) &&
    (StateValue === undefined || alarm.state.value === StateValue) &&
    (ActionPrefix === undefined || allActions(alarm).some((arn) => arn.startsWith(ActionPrefix)));
  const found = (related ?? [...cloudwatch.alarms.values()].filter(wanted)).toSorted((a, b) =>
    a.name < b.name ? -1 : 1,
  );
  const { MaxRecords: _, NextToken: __, ...query } = input;
  const { items, next } = pageOf(found, { size: MaxRecords, token: NextToken, query }, badToken);
  const show = (alarm: Alarm) => {
    if (ParentsOfAlarmName !== undefined) return { AlarmName: alarm.name, AlarmArn: alarm.arn };
    return ChildrenOfAlarmName === undefined ? describe(alarm) : describeChild(alarm);
  };
  return present({
    MetricAlarms: items.filter(({ kind }) => kind === 'MetricAlarm').map(show),
    CompositeAlarms: items.filter(({ kind }) => kind === 'CompositeAlarm').map(show),
    NextToken: next,
  });
}

/** The children or parents that a request asks for; undefined where it asks for neither. */
function relatives(
  { ChildrenOfAlarmName: parent, ParentsOfAlarmName: child }: Input<'describeAlarms'>,
  cloudwatch: CloudWatch,
): Alarm[] | undefined {
  if (parent !== undefined) {
    const alarm = cloudwatch.alarms.get(parent);
    return alarm?.kind === 'CompositeAlarm' ? alarm.rule.children.map((name) => cloudwatch.alarm(name)) : [];
  }
  return child === undefined
    ? undefined
    : cloudwatch.parentsOf(child).filter(({ rule }) => rule.children.includes(child));
}

function allActions({ config }: Alarm): string[] {
  return [...config.OKActions, ...config.AlarmActions, ...config.InsufficientDataActions];
}

function describeChild({ name, arn, state }: Alarm): object {
  return {
    AlarmName: name,
    AlarmArn: arn,
    StateValue: state.value,
    StateUpdatedTimestamp: seconds(state.updated),
  };
}

function describe(alarm: Alarm): object {
  const { arn, configured, state, config } = alarm;
  const suppression = alarm.kind === 'CompositeAlarm' ? alarm.suppression : undefined;
  return present({
    ...config,
    ...(alarm.kind === 'MetricAlarm' &&
      alarm.config.Metrics === undefined && { Dimensions: alarm.config.Dimensions ?? [] }),
    AlarmArn: arn,
    AlarmConfigurationUpdatedTimestamp: seconds(configured),
    StateValue: state.value,
    StateReason: state.reason,
    StateReasonData: state.reasonData,
    StateUpdatedTimestamp: seconds(state.updated),
    StateTransitionedTimestamp: seconds(state.transitioned),
    ...(suppression !== undefined && {
      ActionsSuppressedBy: suppression.by,
      ActionsSuppressedReason: suppressedReason(suppression.by),
    }),
  });
}

function describeAlarmHistory(input: Input<'describeAlarmHistory'>, cloudwatch: CloudWatch): object {
  const { AlarmName, AlarmTypes = ['MetricAlarm'], HistoryItemType, StartDate, EndDate } = input;
  const found = cloudwatch.history.filter(
    (item) =>
      (AlarmName === undefined || item.AlarmName === AlarmName) &&
      AlarmTypes.includes(item.AlarmType) &&
      (HistoryItemType === undefined || item.HistoryItemType === HistoryItemType) &&
      item.Timestamp >= (StartDate ?? 0) &&
      item.Timestamp <= (EndDate ?? Number.POSITIVE_INFINITY),
  );
  if (input.ScanBy === 'TimestampDescending') found.reverse();
  const { MaxRecords, NextToken, ...query } = input;
  const { items, next } = pageOf(found, { size: MaxRecords, token: NextToken, query }, badToken);
  return present({
    AlarmHistoryItems: items.map((item) => ({ ...item, Timestamp: seconds(item.Timestamp) })),
    NextToken: next,
  });
}

function resource(arn: string, cloudwatch: CloudWatch): Alarm {
  const alarm = cloudwatch.alarms.get(nameOf(arn));
  if (alarm?.arn !== arn) throw unknownResource(arn);
  return alarm;
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
