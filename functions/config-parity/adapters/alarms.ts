import {
  type AlarmType,
  type CompositeAlarm,
  DescribeAlarmsCommand,
  type Dimension,
  type LogAlarm,
  type MetricAlarm,
  type MetricDataQuery,
} from '@aws-sdk/client-cloudwatch';
import { mapLimit } from '../../shared/aws.ts';
import { chunksOf } from '../../shared/chunks.ts';
import { everyPage } from './pages.ts';
import { type Attempt, attempt, CONCURRENCY, type Found, type Reading } from './reading.ts';
import { without } from './things.ts';
import { type JsonObject, membersOf, setOf } from './values.ts';

/** Left out, DescribeAlarms knows of metric alarms alone. */
const EVERY_TYPE: AlarmType[] = ['MetricAlarm', 'CompositeAlarm', 'LogAlarm'];

/** Names that one call takes. */
const NAMES = 100;

/** Left out: names, states with their reasons, and times. */
const OF_NO_MATTER = [
  'AlarmName',
  'AlarmArn',
  'AlarmConfigurationUpdatedTimestamp',
  'StateValue',
  'StateReason',
  'StateReasonData',
  'StateUpdatedTimestamp',
  'StateTransitionedTimestamp',
  'EvaluationState',
  'ActionsSuppressedBy',
  'ActionsSuppressedReason',
];

/** Reads alarms of CloudWatch, of whatever type. */
export async function readAlarms(reading: Reading, found: readonly Found[]): Promise<void> {
  await mapLimit(chunksOf(found, NAMES), CONCURRENCY, (some) => readTogether(reading, some));
}

async function readTogether(reading: Reading, found: readonly Found[]): Promise<void> {
  const { cloudwatch } = reading.clients;
  const answer = everyPage('alarms', async (NextToken) => {
    const page = await cloudwatch.send(
      new DescribeAlarmsCommand({
        AlarmNames: [...new Set(found.map(({ physical }) => physical))],
        AlarmTypes: EVERY_TYPE,
        MaxRecords: NAMES,
        ...(NextToken !== undefined && { NextToken }),
      }),
    );
    const items = [
      ...(page.MetricAlarms ?? []).map((alarm) => [alarm.AlarmName, metricAlarm(alarm)] as const),
      ...(page.CompositeAlarms ?? []).map((alarm) => [alarm.AlarmName, compositeAlarm(alarm)] as const),
      ...(page.LogAlarms ?? []).map((alarm) => [alarm.AlarmName, logAlarm(alarm)] as const),
    ];
    return { items, next: page.NextToken };
  });
  let values: Attempt<Awaited<typeof answer>>;
  // One call for all of them: where it fails, so does the reading of each.
  for (const { kind, name, physical } of found) {
    const of = { path: [kind, name], physical, action: 'cloudwatch:DescribeAlarms' };
    values = await attempt(reading, of, () => answer);
  }
  if (values === undefined || !('answer' in values)) return;
  const byName = new Map(values.answer);
  for (const one of found) reading.sink.add({ ...one, value: byName.get(one.physical) ?? null });
}

function metricAlarm({
  Namespace,
  MetricName,
  Dimensions,
  Metrics = [],
  ThresholdMetricId,
  Statistic,
  ExtendedStatistic,
  Period,
  Unit,
  EvaluationPeriods,
  DatapointsToAlarm,
  EvaluateLowSampleCountPercentile,
  EvaluationWindow,
  ...rest
}: MetricAlarm): JsonObject {
  const clock = EvaluationWindow?.WallClockWindow;
  return setOf({
    type: 'metric',
    ...(MetricName !== undefined && { metric: metricOf(Namespace, MetricName, Dimensions) }),
    metrics: Metrics.map(queryOf),
    thresholdMetric: ThresholdMetricId,
    statistic: Statistic ?? ExtendedStatistic,
    period: Period,
    unit: Unit,
    evaluationPeriods: EvaluationPeriods,
    // What it means where it is not set.
    datapointsToAlarm: DatapointsToAlarm ?? EvaluationPeriods,
    lowSamples: EvaluateLowSampleCountPercentile,
    // Else over sliding ones.
    ...(clock !== undefined && { window: { type: 'wall clock', timezone: clock.Timezone } }),
    ...thresholdOf(rest),
  });
}

function compositeAlarm({
  AlarmRule,
  ActionsSuppressor,
  ActionsSuppressorWaitPeriod,
  ActionsSuppressorExtensionPeriod,
  ...rest
}: CompositeAlarm): JsonObject {
  return setOf({
    type: 'composite',
    rule: AlarmRule,
    suppressor: ActionsSuppressor,
    suppressorWait: ActionsSuppressorWaitPeriod,
    suppressorExtension: ActionsSuppressorExtensionPeriod,
    ...actionsOf(rest),
  });
}

function logAlarm({ ScheduledQueryConfiguration, ...rest }: LogAlarm): JsonObject {
  return setOf({
    type: 'log',
    // Its ARN is generated.
    query: membersOf(without(ScheduledQueryConfiguration ?? {}, ['QueryARN'])),
    ...thresholdOf(rest),
  });
}

interface Thresholded extends Acting {
  Threshold?: number | undefined;
  ComparisonOperator?: string | undefined;
  TreatMissingData?: string | undefined;
}

function thresholdOf({ Threshold, ComparisonOperator, TreatMissingData, ...rest }: Thresholded): JsonObject {
  return setOf({
    threshold: Threshold,
    operator: ComparisonOperator,
    // What it means where it is not set, too.
    missingData: TreatMissingData ?? 'missing',
    ...actionsOf(rest),
  });
}

interface Acting {
  AlarmDescription?: string | undefined;
  ActionsEnabled?: boolean | undefined;
  AlarmActions?: string[] | undefined;
  OKActions?: string[] | undefined;
  InsufficientDataActions?: string[] | undefined;
}

/** What alarms of all types have; and what they may come to have. */
function actionsOf({
  AlarmDescription,
  ActionsEnabled,
  AlarmActions,
  OKActions,
  InsufficientDataActions,
  ...rest
}: Acting): JsonObject {
  return setOf({
    description: AlarmDescription || undefined,
    actionsEnabled: ActionsEnabled ?? true,
    actions: { alarm: AlarmActions, ok: OKActions, insufficientData: InsufficientDataActions },
    ...membersOf(without(rest, OF_NO_MATTER)),
  });
}

function queryOf({ Id, Expression, MetricStat, ReturnData, Period, Label, AccountId }: MetricDataQuery) {
  const { Metric, Period: period = Period, Stat, Unit } = MetricStat ?? {};
  return {
    name: Id,
    expression: Expression,
    // What it means where it is not set, too.
    returnData: ReturnData ?? true,
    period,
    statistic: Stat,
    unit: Unit,
    metric: Metric && metricOf(Metric.Namespace, Metric.MetricName, Metric.Dimensions),
    label: Label,
    account: AccountId,
  };
}

function metricOf(namespace?: string, name?: string, dimensions: readonly Dimension[] = []) {
  return {
    namespace,
    name,
    dimensions: Object.fromEntries(dimensions.map(({ Name = '', Value }) => [Name, Value])),
  };
}
