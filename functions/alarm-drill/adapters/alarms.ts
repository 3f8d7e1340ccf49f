import {
  type AlarmHistoryItem,
  type AlarmType,
  type CloudWatchClient,
  DeleteAlarmsCommand,
  DescribeAlarmHistoryCommand,
  DescribeAlarmsCommand,
  type DescribeAlarmsCommandInput,
  type DescribeAlarmsCommandOutput,
  GetMetricDataCommand,
  ListTagsForResourceCommand,
  type MetricDataQuery,
  type MetricDatum,
  PutMetricAlarmCommand,
  type PutMetricAlarmCommandInput,
  PutMetricDataCommand,
  type CompositeAlarm as RawComposite,
  type LogAlarm as RawLog,
  type MetricAlarm as RawMetric,
  type StandardUnit,
} from '@aws-sdk/client-cloudwatch';
import * as z from 'zod';
import { call, dependencyError, mapLimit } from '../../shared/aws.ts';
import { chunksOf } from '../../shared/chunks.ts';
import { GateDependencyError, GateInputError, messageOf } from '../../shared/errors.ts';
import { tryJson } from '../../shared/schema.ts';
import {
  type Actions,
  ALARM_STATES,
  type Alarm,
  type AlarmState,
  alarmNameOf,
  COMPARISONS,
  type Comparison,
  type CompositeAlarm,
  type Evaluated,
  type MetricAlarm,
  type MetricName,
  MISSING_DATA,
  type MissingData,
  type OtherAlarm,
  type Query,
  readsMetric,
  type StatisticQuery,
} from '../alarm.ts';
import { SHADOW } from '../schema.ts';
import type { Transition } from '../series.ts';
import { type Datum, isLeftover, metricShape, type ShadowInput } from '../shadow.ts';
import { isStatistic } from '../statistic.ts';

/*
 * CloudWatch: alarms, their history, and data of metrics.
 */

/** Left out, DescribeAlarms and DescribeAlarmHistory know of metric alarms alone. */
const EVERY_TYPE: AlarmType[] = ['MetricAlarm', 'CompositeAlarm', 'LogAlarm'];

/** What one call takes: names of alarms, data, queries. */
const NAMES = 100;
const DATA = 1000;
const QUERIES = 500;

/** Composite alarms above one alarm. */
const PARENTS = 100;

/** Small calls at a time: CloudWatch allows a few a second. */
const CONCURRENCY = 4;

const MINUTE_MS = 60_000;

// ---------------------------------------------------------------------------------------------------------
// Reading alarms
// ---------------------------------------------------------------------------------------------------------

/**
 * Reads one alarm.
 *
 * @returns null where there is none
 * @throws GateDependencyError where CloudWatch does not answer, or refuses
 */
export async function readAlarm(cloudwatch: CloudWatchClient, name: string): Promise<Alarm | null> {
  const [alarm = null] = await readAlarms(cloudwatch, { names: [name] });
  return alarm;
}

/**
 * Reads alarms by name, or by the beginning of their names; those that do not exist are left out.
 *
 * @param most so many alarms will do (default: all)
 * @throws GateDependencyError where CloudWatch does not answer, or refuses
 */
export async function readAlarms(
  cloudwatch: CloudWatchClient,
  which: { names: readonly string[] } | { prefix: string },
  most = Number.POSITIVE_INFINITY,
): Promise<Alarm[]> {
  const inputs: DescribeAlarmsCommandInput[] =
    'names' in which
      ? chunksOf(which.names, NAMES).map((AlarmNames) => ({ AlarmNames }))
      : [which.prefix === '' ? {} : { AlarmNamePrefix: which.prefix }];
  const alarms: Alarm[] = [];
  for (const input of inputs) {
    for await (const page of describe(cloudwatch, { ...input, AlarmTypes: EVERY_TYPE, MaxRecords: NAMES })) {
      alarms.push(...alarmsOf(page));
      if (alarms.length >= most) return alarms.slice(0, most);
    }
  }
  return alarms;
}

/** The alarms of one answer of DescribeAlarms. */
export function alarmsOf(
  page: Pick<DescribeAlarmsCommandOutput, 'MetricAlarms' | 'CompositeAlarms' | 'LogAlarms'>,
): Alarm[] {
  return [
    ...(page.MetricAlarms ?? []).map(metricAlarm),
    ...(page.CompositeAlarms ?? []).map(compositeAlarm),
    ...(page.LogAlarms ?? []).map(logAlarm),
  ];
}

/**
 * Composite alarms whose rule names an alarm, and those above them: the nearest first, at most 100.
 *
 * @throws GateDependencyError where CloudWatch does not answer, or refuses
 */
export async function parentsOf(cloudwatch: CloudWatchClient, name: string): Promise<CompositeAlarm[]> {
  // Composite alarms may stand in a circle: none is asked for twice.
  const found = new Set<string>();
  let level = [name];
  while (level.length > 0) {
    const next: string[] = [];
    for (const child of level) {
      // Asked for parents, CloudWatch takes no other filter, and gives names alone.
      const input = { ParentsOfAlarmName: child, MaxRecords: NAMES };
      for await (const { CompositeAlarms = [] } of describe(cloudwatch, input)) {
        for (const { AlarmName = '' } of CompositeAlarms) {
          if (AlarmName === name || found.has(AlarmName) || found.size >= PARENTS) continue;
          found.add(AlarmName);
          next.push(AlarmName);
        }
      }
    }
    level = next;
  }
  const alarms = await readAlarms(cloudwatch, { names: [...found] });
  const composites = new Map(
    alarms.flatMap((alarm) => (alarm.kind === 'composite' ? [[alarm.name, alarm] as const] : [])),
  );
  return [...found].flatMap((one) => composites.get(one) ?? []);
}

async function* describe(
  cloudwatch: CloudWatchClient,
  input: DescribeAlarmsCommandInput,
): AsyncGenerator<DescribeAlarmsCommandOutput> {
  const { AlarmNames, AlarmNamePrefix = '', ParentsOfAlarmName } = input;
  const what = ParentsOfAlarmName ?? (AlarmNames?.join(', ') || `${AlarmNamePrefix}*`);
  let NextToken: string | undefined;
  do {
    const page = await call(
      `DescribeAlarms ${what}`,
      cloudwatch.send(new DescribeAlarmsCommand({ ...input, ...(NextToken !== undefined && { NextToken }) })),
    );
    yield page;
    NextToken = page.NextToken;
  } while (NextToken !== undefined);
}

/** What all kinds of alarms have. */
interface AnyRaw {
  AlarmName?: string | undefined;
  AlarmArn?: string | undefined;
  AlarmDescription?: string | undefined;
  ActionsEnabled?: boolean | undefined;
  AlarmActions?: string[] | undefined;
  OKActions?: string[] | undefined;
  InsufficientDataActions?: string[] | undefined;
  StateValue?: string | undefined;
  StateUpdatedTimestamp?: Date | undefined;
  StateTransitionedTimestamp?: Date | undefined;
}

/** A metric alarm, or why it cannot be drilled. */
function metricAlarm(raw: RawMetric): MetricAlarm | OtherAlarm {
  const evaluated = evaluationOf(raw);
  if (typeof evaluated === 'string') return otherAlarm(raw, evaluated);
  return {
    kind: 'metric',
    ...commonOf(raw),
    ...evaluated,
    math: (raw.Metrics ?? []).length > 0,
    since: sinceOf(raw),
    updatedAt: raw.AlarmConfigurationUpdatedTimestamp?.getTime() ?? 0,
  };
}

function compositeAlarm(raw: RawComposite): CompositeAlarm {
  const { ActionsSuppressor, ActionsSuppressorWaitPeriod, ActionsSuppressorExtensionPeriod } = raw;
  return {
    kind: 'composite',
    ...commonOf(raw),
    rule: raw.AlarmRule ?? '',
    ...(ActionsSuppressor !== undefined && {
      suppressor: {
        alarm: alarmNameOf(ActionsSuppressor),
        waitS: ActionsSuppressorWaitPeriod ?? 0,
        extensionS: ActionsSuppressorExtensionPeriod ?? 0,
      },
    }),
    since: sinceOf(raw),
  };
}

function logAlarm(raw: RawLog): OtherAlarm {
  return otherAlarm(raw, 'it watches the results of a log query, not a metric');
}

function otherAlarm(raw: AnyRaw, why: string): OtherAlarm {
  const { name, arn, actions, state } = commonOf(raw);
  return { kind: 'other', name, arn, why, actions, state };
}

function commonOf(raw: AnyRaw): {
  name: string;
  arn: string;
  description?: string;
  actions: Actions;
  state: AlarmState;
} {
  return {
    name: raw.AlarmName ?? '',
    arn: raw.AlarmArn ?? '',
    ...(raw.AlarmDescription !== undefined && { description: raw.AlarmDescription }),
    actions: {
      enabled: raw.ActionsEnabled ?? true,
      alarm: raw.AlarmActions ?? [],
      ok: raw.OKActions ?? [],
      insufficientData: raw.InsufficientDataActions ?? [],
    },
    state: ALARM_STATES.find((state) => state === raw.StateValue) ?? 'INSUFFICIENT_DATA',
  };
}

/** An evaluation moves the one time stamp, a change of state both. */
function sinceOf({ StateTransitionedTimestamp, StateUpdatedTimestamp }: AnyRaw): number {
  return (StateTransitionedTimestamp ?? StateUpdatedTimestamp)?.getTime() ?? 0;
}

/**
 * What the evaluation of an alarm depends on, or why nobody here can say what it does. A warm-up is passed over: it delays
 * the first evaluation after a change, and changes none.
 */
function evaluationOf(raw: RawMetric): Evaluated | string {
  if (raw.EvaluationCriteria !== undefined) return 'it evaluates a PromQL query, not a metric';
  if (raw.ThresholdMetricId !== undefined) {
    return 'its threshold is an anomaly detection band, which moves with the metric';
  }
  if (raw.EvaluationWindow?.WallClockWindow !== undefined) {
    const { Timezone = 'UTC' } = raw.EvaluationWindow.WallClockWindow;
    return `it is evaluated over windows of the clock (${Timezone}), not over sliding ones`;
  }
  const comparison = raw.ComparisonOperator as Comparison | undefined;
  if (comparison === undefined || !(comparison in COMPARISONS)) {
    return `its comparison is ${comparison ?? 'unknown'}, which has no static threshold`;
  }
  if (raw.Threshold === undefined) return 'it has no static threshold';
  const watched = watchedOf(raw);
  if (typeof watched === 'string') return watched;
  const { EvaluationPeriods = 1, DatapointsToAlarm = EvaluationPeriods } = raw;
  const lowSamples = raw.EvaluateLowSampleCountPercentile;
  return {
    ...watched,
    evaluationPeriods: EvaluationPeriods,
    datapointsToAlarm: DatapointsToAlarm,
    comparison,
    threshold: raw.Threshold,
    missingData: missingDataOf(raw, watched.queries),
    ...((lowSamples === 'evaluate' || lowSamples === 'ignore') && { lowSamples }),
  };
}

/** Alarms on metrics of DynamoDB keep their state while data is missing, whatever they are told. */
function missingDataOf(raw: RawMetric, queries: readonly Query[]): MissingData {
  if (queries.some((query) => readsMetric(query) && query.metric.namespace === 'AWS/DynamoDB')) {
    return 'ignore';
  }
  return MISSING_DATA.find((treatment) => treatment === raw.TreatMissingData) ?? 'missing';
}

function watchedOf(raw: RawMetric): Pick<Evaluated, 'queries' | 'returns' | 'periodS'> | string {
  if (raw.Metrics !== undefined && raw.Metrics.length > 0) return mathOf(raw.Metrics);
  const { Namespace = '', MetricName = '', Dimensions, Period, Unit } = raw;
  const statistic = raw.Statistic ?? raw.ExtendedStatistic ?? '';
  if (Period === undefined) return 'it has no period';
  if (!isStatistic(statistic)) return `its statistic, "${statistic}", is not one that is known here`;
  const metric = metricName(Namespace, MetricName, Dimensions);
  const query: StatisticQuery = { id: 'm1', metric, statistic, ...(Unit !== undefined && { unit: Unit }) };
  return { queries: [query], returns: query.id, periodS: Period };
}

function mathOf(
  raw: readonly MetricDataQuery[],
): Pick<Evaluated, 'queries' | 'returns' | 'periodS'> | string {
  const queries: Query[] = [];
  const periods = new Set<number>();
  for (const { Id: id = '', Expression, MetricStat, Period, AccountId } of raw) {
    if (AccountId !== undefined) {
      return `it watches a metric of another account, ${AccountId}, which nobody can look at from here`;
    }
    // An expression may name a period of its own; that of a metric counts.
    const period = MetricStat?.Period ?? Period;
    if (period !== undefined) periods.add(period);
    if (MetricStat === undefined) {
      const expression = Expression ?? '';
      if (/^\s*SELECT\b/i.test(expression)) return 'it watches a Metrics Insights query, not a metric';
      if (/\bANOMALY_DETECTION_BAND\b/i.test(expression)) {
        return 'its threshold is an anomaly detection band, which moves with the metric';
      }
      queries.push({ id, expression });
      continue;
    }
    const { Metric, Stat = '', Unit } = MetricStat;
    if (!isStatistic(Stat)) return `its statistic, "${Stat}", is not one that is known here`;
    const metric = metricName(Metric?.Namespace, Metric?.MetricName, Metric?.Dimensions);
    queries.push({ id, metric, statistic: Stat, ...(Unit !== undefined && { unit: Unit }) });
  }
  // Left out, it is meant: the only query need not say so.
  const returning = raw.filter(({ ReturnData }) => ReturnData !== false);
  const [periodS] = periods;
  if (returning.length !== 1) return `${returning.length} of its queries return data, not one`;
  if (periodS === undefined) return 'it has no period';
  if (periods.size > 1) return `its metrics have different periods: ${[...periods].join(', ')} s`;
  return { queries, returns: returning[0]?.Id ?? '', periodS };
}

/** A metric as CloudWatch names it, in our words. */
export function metricName(
  namespace = '',
  name = '',
  dimensions: readonly { Name?: string | undefined; Value?: string | undefined }[] = [],
): MetricName {
  return {
    namespace,
    name,
    dimensions: Object.fromEntries(dimensions.map(({ Name = '', Value = '' }) => [Name, Value])),
  };
}

// ---------------------------------------------------------------------------------------------------------
// Shadow alarms
// ---------------------------------------------------------------------------------------------------------

/**
 * Creates a shadow alarm, or does nothing to the one that is there.
 *
 * @throws GateDependencyError where CloudWatch does not answer, or refuses
 */
export async function putShadow(cloudwatch: CloudWatchClient, input: ShadowInput): Promise<void> {
  await call(
    `PutMetricAlarm ${input.AlarmName}`,
    cloudwatch.send(new PutMetricAlarmCommand(input as PutMetricAlarmCommandInput)),
  );
}

/** How often deletion is tried: names can vanish between looking and deleting. */
const DELETIONS = 3;

/**
 * Deletes shadow alarms; fine where there are none. Looks afterwards: CloudWatch deletes all alarms of a call or none, and
 * says nothing of some mistakes. One that it refuses to delete, as where a composite alarm depends on it, keeps no other.
 *
 * @throws Error where one is no shadow alarm
 * @throws GateDependencyError where CloudWatch does not answer, or refuses, or keeps one
 */
export async function deleteAlarms(cloudwatch: CloudWatchClient, names: readonly string[]): Promise<void> {
  const stranger = names.find((name) => !name.startsWith(SHADOW));
  if (stranger !== undefined) throw new Error(`"${stranger}" is no shadow alarm: it stays`);
  const refused: string[] = [];
  for (const batch of chunksOf(names, NAMES)) {
    try {
      await deleteTogether(cloudwatch, batch);
    } catch (error) {
      if (batch.length === 1) throw error;
      for (const name of batch) {
        await deleteTogether(cloudwatch, [name]).catch((one) => refused.push(messageOf(one)));
      }
    }
  }
  if (refused.length > 0) throw new GateDependencyError(refused.join('; '));
}

async function deleteTogether(cloudwatch: CloudWatchClient, names: readonly string[]): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    const there = (await readAlarms(cloudwatch, { names })).map(({ name }) => name);
    if (there.length === 0) return;
    if (attempt === DELETIONS) throw new GateDependencyError(`DeleteAlarms left ${there.join(', ')}`);
    try {
      await cloudwatch.send(new DeleteAlarmsCommand({ AlarmNames: there }));
    } catch (error) {
      if (!isGone(error)) throw dependencyError(`DeleteAlarms ${there.join(', ')}`, error);
    }
  }
}

function isGone(error: unknown): boolean {
  const { name } = (error ?? {}) as Partial<Error>;
  return name === 'ResourceNotFound' || name === 'ResourceNotFoundException';
}

/**
 * Finds shadow alarms that runs left behind, by prefix and tag.
 *
 * @param drill runs of this drill are over, too: it runs only once at a time
 * @returns their names
 * @throws GateDependencyError where CloudWatch does not answer, or refuses
 */
export async function leftovers(
  cloudwatch: CloudWatchClient,
  over: { now: number; drill?: string },
): Promise<string[]> {
  const alarms = await readAlarms(cloudwatch, { prefix: SHADOW });
  const found = await mapLimit(alarms, CONCURRENCY, async ({ name, arn }) => {
    const tags = await tagsOf(cloudwatch, arn);
    return isLeftover(tags, over) ? [name] : [];
  });
  return found.flat();
}

/** @returns none where the alarm is gone by now */
async function tagsOf(cloudwatch: CloudWatchClient, arn: string): Promise<Record<string, string>> {
  try {
    const { Tags = [] } = await cloudwatch.send(new ListTagsForResourceCommand({ ResourceARN: arn }));
    return Object.fromEntries(Tags.map(({ Key = '', Value = '' }) => [Key, Value]));
  } catch (error) {
    if (isGone(error)) return {};
    throw dependencyError(`ListTagsForResource ${arn}`, error);
  }
}

// ---------------------------------------------------------------------------------------------------------
// Data
// ---------------------------------------------------------------------------------------------------------

/**
 * Publishes data. CloudWatch cannot tell a repetition: it counts what is sent twice as two samples.
 *
 * @throws GateInputError where the namespace is one of AWS
 * @throws GateDependencyError where CloudWatch does not answer, or refuses
 */
export async function publishData(
  cloudwatch: CloudWatchClient,
  namespace: string,
  data: readonly Datum[],
): Promise<void> {
  if (namespace.startsWith('AWS/')) {
    throw new GateInputError(`${namespace} cannot be written to: it is a namespace of AWS`);
  }
  for (const MetricData of chunksOf(data, DATA)) {
    await call(
      `PutMetricData ${namespace}`,
      cloudwatch.send(
        new PutMetricDataCommand({ Namespace: namespace, MetricData: MetricData as MetricDatum[] }),
      ),
    );
  }
}

/** The part of `HistoryData` that counts, of a change of state. */
const stateUpdateSchema = z.object({
  oldState: z.object({ stateValue: z.enum(ALARM_STATES) }),
  newState: z.object({ stateValue: z.enum(ALARM_STATES) }),
});

/** The part of `HistoryData` that counts, of an action. */
const actionSchema = z.object({
  actionState: z.string().optional(),
  notificationResource: z.string().optional(),
  error: z.string().optional(),
});

/**
 * What CloudWatch itself remembers of an alarm; also of one that is deleted.
 *
 * @param from milliseconds since 1970, inclusive
 * @param to exclusive
 * @returns transitions, oldest first, and what it says of actions that failed
 * @throws GateDependencyError where CloudWatch does not answer, or refuses
 */
export async function historyOf(
  cloudwatch: CloudWatchClient,
  name: string,
  from: number,
  to: number,
): Promise<{ transitions: Transition[]; failedActions: string[] }> {
  const items: AlarmHistoryItem[] = [];
  let NextToken: string | undefined;
  do {
    const page = await call(
      `DescribeAlarmHistory ${name}`,
      cloudwatch.send(
        new DescribeAlarmHistoryCommand({
          AlarmName: name,
          AlarmTypes: EVERY_TYPE,
          StartDate: new Date(from),
          EndDate: new Date(to),
          MaxRecords: 100,
          ScanBy: 'TimestampAscending',
          ...(NextToken !== undefined && { NextToken }),
        }),
      ),
    );
    items.push(...(page.AlarmHistoryItems ?? []));
    NextToken = page.NextToken;
  } while (NextToken !== undefined);
  return {
    transitions: items.flatMap(transitionOf).toSorted((a, b) => a.at - b.at),
    failedActions: items.flatMap(failureOf),
  };
}

function transitionOf({
  HistoryItemType,
  HistorySummary = '',
  HistoryData = '',
  Timestamp,
}: AlarmHistoryItem): Transition[] {
  if (HistoryItemType !== 'StateUpdate') return [];
  const { oldState, newState } = stateUpdateSchema.safeParse(tryJson(HistoryData)).data ?? {};
  // Long data is cut off by CloudWatch, and is no JSON any more; the summary is always whole.
  const [, from, to] = /from (\w+) to (\w+)$/.exec(HistorySummary) ?? [];
  const states = [oldState?.stateValue ?? from, newState?.stateValue ?? to] as (AlarmState | undefined)[];
  if (!states.every((state) => state !== undefined && ALARM_STATES.includes(state))) return [];
  return [{ at: Timestamp?.getTime() ?? 0, from: states[0] as AlarmState, to: states[1] as AlarmState }];
}

function failureOf({ HistoryItemType, HistorySummary = '', HistoryData = '' }: AlarmHistoryItem): string[] {
  if (HistoryItemType !== 'Action') return [];
  const { actionState, error, notificationResource } =
    actionSchema.safeParse(tryJson(HistoryData)).data ?? {};
  if (actionState !== 'Failed' && !/^Failed\b/i.test(HistorySummary)) return [];
  const summary = HistorySummary || `Failed to execute action ${notificationResource}`;
  return [error === undefined || summary.includes(error) ? summary : `${summary}: ${error}`];
}

/** One metric as it is asked for. */
export interface DataQuery {
  metric: MetricName;
  statistic: string;
  unit?: string;
  /** Seconds. */
  periodS: number;
}

/**
 * Data points of one metric.
 *
 * @param from milliseconds since 1970, inclusive
 * @param to exclusive
 * @returns the ends of the periods and their values, oldest first
 * @throws GateDependencyError where CloudWatch does not answer, or refuses
 */
export async function dataPoints(
  cloudwatch: CloudWatchClient,
  query: DataQuery,
  from: number,
  to: number,
): Promise<{ at: number; value: number }[]> {
  const [points = []] = await metricData(cloudwatch, [query], from, to);
  return points;
}

/**
 * Data points of several metrics, in as few calls as there can be.
 *
 * @param from milliseconds since 1970, inclusive
 * @param to exclusive
 * @returns by position of the query: the ends of its periods and their values, oldest first
 * @throws GateDependencyError where CloudWatch does not answer, or refuses, or has only part of the data
 */
export async function metricData(
  cloudwatch: CloudWatchClient,
  queries: readonly DataQuery[],
  from: number,
  to: number,
): Promise<{ at: number; value: number }[][]> {
  const results: { at: number; value: number }[][] = queries.map(() => []);
  for (const [batch, part] of chunksOf(queries, QUERIES).entries()) {
    const MetricDataQueries = part.map((query, index) => dataQuery(query, `q${index}`));
    const incomplete = new Map<string, string>();
    let NextToken: string | undefined;
    do {
      const page = await call(
        'GetMetricData',
        cloudwatch.send(
          new GetMetricDataCommand({
            MetricDataQueries,
            StartTime: new Date(from),
            EndTime: new Date(to),
            ScanBy: 'TimestampAscending',
            ...(NextToken !== undefined && { NextToken }),
          }),
        ),
      );
      for (const {
        Id = '',
        Timestamps = [],
        Values = [],
        StatusCode = 'Complete',
        Messages,
      } of page.MetricDataResults ?? []) {
        const index = Number(Id.slice(1));
        const periodMs = (part[index]?.periodS ?? 0) * 1000;
        const result = results[batch * QUERIES + index];
        Timestamps.forEach((time, position) => {
          result?.push({ at: time.getTime() + periodMs, value: Values[position] ?? Number.NaN });
        });
        if (StatusCode === 'Complete') incomplete.delete(Id);
        else incomplete.set(Id, Messages?.[0]?.Value ?? StatusCode);
      }
      NextToken = page.NextToken;
    } while (NextToken !== undefined);
    const [said] = incomplete.values();
    if (said !== undefined) throw new GateDependencyError(`GetMetricData answered in part: ${said}`);
  }
  for (const result of results) result.sort((a, b) => a.at - b.at);
  return results;
}

function dataQuery({ metric, statistic, unit, periodS }: DataQuery, Id: string): MetricDataQuery {
  return {
    Id,
    MetricStat: {
      Metric: metricShape(metric),
      Period: periodS,
      Stat: statistic,
      ...(unit !== undefined && { Unit: unit as StandardUnit }),
    },
    ReturnData: true,
  };
}

/** Data points of one metric that counting reads at most. */
const COUNTED = 1440;

/**
 * How many samples metrics have got: the sum of the counts that were published.
 *
 * @param from milliseconds since 1970; whole minutes are counted, from the one it falls into
 * @param to to the end of the minute it falls into
 * @returns in the order of the metrics
 * @throws GateDependencyError where CloudWatch does not answer, or refuses
 */
export async function sampleCounts(
  cloudwatch: CloudWatchClient,
  metrics: readonly MetricName[],
  from: number,
  to: number,
): Promise<number[]> {
  const start = Math.floor(from / MINUTE_MS) * MINUTE_MS;
  const minutes = Math.ceil((to - start) / MINUTE_MS);
  const periodS = Math.max(1, Math.ceil(minutes / COUNTED)) * 60;
  const points = await metricData(
    cloudwatch,
    metrics.map((metric) => ({ metric, statistic: 'SampleCount', periodS })),
    start,
    start + minutes * MINUTE_MS,
  );
  return points.map((list) => list.reduce((sum, { value }) => sum + value, 0));
}
