import { StandardUnit } from '@aws-sdk/client-cloudwatch';
import * as z from 'zod';
import { listOf, structure, tagKey, timestamp, unsupported } from '../aws/service.ts';
import { OPERATORS, type Operator } from './judge.ts';
import { percentOf } from './metrics.ts';

/* The inputs of the operations, with the bounds of CloudWatch's service model. What takes more than one member to check
is checked in metric-alarm.ts, cloudwatch.ts and operations.ts. */

const MOST_ALARMS_PER_CALL = 100;

/** A number in AWS JSON. Those that JSON has no number for come as text; every use of them is refused later. */
const double = z.union([z.number(), z.enum(['NaN', 'Infinity', '-Infinity']).transform(Number)]);

const namespace = z
  .string()
  .min(1)
  .max(255)
  .regex(/^[^:].*$/);
const metricName = z.string().min(1).max(255);
const noControlCharacters = /^[^\p{Cc}]+$/u;
const printableAscii = /^[\x20-\x7e]*[\x21-\x7e][\x20-\x7e]*$/;

const dimensionName = z
  .string()
  .min(1)
  .max(255)
  .regex(/^(?!:)/)
  .regex(printableAscii);
const dimensionValue = z.string().min(1).max(1024).regex(printableAscii);

const dimensions = listOf(structure({ Name: dimensionName, Value: dimensionValue }), 30).refine(
  (all) => new Set(all.map(({ Name }) => Name)).size === all.length,
  'The names of dimensions must be different.',
);

const unit = z.enum(StandardUnit);

export const putMetricData = structure({
  Namespace: namespace.regex(printableAscii),
  MetricData: z.array(
    structure({
      MetricName: metricName.regex(printableAscii),
      Dimensions: dimensions.optional(),
      Timestamp: timestamp.optional(),
      Value: double.optional(),
      StatisticValues: structure({
        SampleCount: double,
        Sum: double,
        Minimum: double,
        Maximum: double,
      }).optional(),
      Values: z.array(double).optional(),
      Counts: z.array(double).optional(),
      Unit: unit.default('None'),
      StorageResolution: z.int().min(1).default(60),
    }),
  ),
  EntityMetricData: unsupported('Entities are not supported by the local CloudWatch.'),
  StrictEntityValidation: unsupported('Entities are not supported by the local CloudWatch.'),
});

const nextToken = z.string().max(8192).optional();

export const listMetrics = structure({
  Namespace: namespace.optional(),
  MetricName: metricName.optional(),
  Dimensions: listOf(structure({ Name: dimensionName, Value: dimensionValue.optional() }), 10).optional(),
  NextToken: nextToken,
  RecentlyActive: z.literal('PT3H').optional(),
  IncludeLinkedAccounts: unsupported('There are no linked accounts.'),
  OwningAccount: unsupported('There are no linked accounts.'),
});

const STATISTICS = ['SampleCount', 'Average', 'Sum', 'Minimum', 'Maximum'] as const;

const percentile = z
  .string()
  .refine(
    (stat) => percentOf(stat) !== undefined,
    'Of the extended statistics, the local CloudWatch has percentiles only, such as p99.9.',
  );

const period = z
  .int()
  .min(1)
  .refine(
    (seconds) => [1, 5, 10, 20, 30].includes(seconds) || seconds % 60 === 0,
    'Period must be 1, 5, 10, 20, 30 or a multiple of 60.',
  );

const metricDataQuery = structure({
  Id: z
    .string()
    .min(1)
    .max(255)
    .regex(/^[a-z]\w*$/),
  MetricStat: structure({
    Metric: structure({ Namespace: namespace, MetricName: metricName, Dimensions: dimensions.optional() }),
    Period: period,
    Stat: z.union([z.enum(STATISTICS), percentile]),
    Unit: unit.optional(),
  }).optional(),
  Expression: z.string().min(1).max(2048).optional(),
  Label: z.string().optional(),
  ReturnData: z.boolean().optional(),
  Period: period.optional(),
  AccountId: unsupported('Metrics of other accounts are not there.'),
});

export type MetricDataQuery = z.output<typeof metricDataQuery>;

export const getMetricData = structure({
  MetricDataQueries: listOf(metricDataQuery, 500, 1),
  StartTime: timestamp,
  EndTime: timestamp,
  NextToken: nextToken,
  ScanBy: z.enum(['TimestampDescending', 'TimestampAscending']).default('TimestampDescending'),
  MaxDatapoints: z.int().min(1).max(100_800).default(100_800),
  LabelOptions: unsupported('Labels have no times here.'),
});

const alarmName = z.string().min(1).max(255).regex(noControlCharacters);

const actions = listOf(z.string().min(1).max(1024), 5)
  .refine(
    (arns) => arns.every((arn) => /^arn:[\w-]+:[\w-]+:[\w-]*:\d*:.+/.test(arn)),
    'Every action must be an ARN.',
  )
  .default([]);

const tags = listOf(structure({ Key: tagKey, Value: z.string().max(256) }), 50);

/** What alarms of either kind have. */
const alarm = {
  AlarmName: alarmName,
  AlarmDescription: z.string().max(1024).optional(),
  ActionsEnabled: z.boolean().default(true),
  OKActions: actions,
  AlarmActions: actions,
  InsufficientDataActions: actions,
  Tags: tags.optional(),
  ActionConfiguration: unsupported('ActionConfiguration is not supported by the local CloudWatch.'),
};

const operators = Object.keys(OPERATORS) as [Operator, ...Operator[]];

export const putMetricAlarm = structure({
  ...alarm,
  MetricName: metricName.optional(),
  Namespace: namespace.optional(),
  Statistic: z.enum(STATISTICS).optional(),
  ExtendedStatistic: percentile.optional(),
  Dimensions: dimensions.optional(),
  Period: z.int().min(1).optional(),
  Unit: unit.optional(),
  EvaluationPeriods: z.int().min(1),
  DatapointsToAlarm: z.int().min(1).optional(),
  Threshold: double,
  ComparisonOperator: z.enum(operators),
  TreatMissingData: z.enum(['missing', 'ignore', 'breaching', 'notBreaching']).optional(),
  EvaluateLowSampleCountPercentile: z.enum(['evaluate', 'ignore']).optional(),
  Metrics: listOf(metricDataQuery, 20, 1).optional(),
  ThresholdMetricId: unsupported('Anomaly detection is not supported by the local CloudWatch.'),
  EvaluationWindow: unsupported('EvaluationWindow is not supported by the local CloudWatch.'),
  WarmUpConfiguration: unsupported('WarmUpConfiguration is not supported by the local CloudWatch.'),
  EvaluationCriteria: unsupported('PromQL is not supported by the local CloudWatch.'),
  EvaluationInterval: unsupported('PromQL is not supported by the local CloudWatch.'),
});

/** A metric alarm as it is kept: as it was sent, with what AWS puts in where it was left out. */
export type MetricAlarmConfig = Omit<z.output<typeof putMetricAlarm>, 'Tags'>;

const suppressorPeriod = z.int().min(0).optional();

export const putCompositeAlarm = structure({
  ...alarm,
  AlarmRule: z.string().min(1).max(10240),
  ActionsSuppressor: z.string().min(1).max(1600).optional(),
  ActionsSuppressorWaitPeriod: suppressorPeriod,
  ActionsSuppressorExtensionPeriod: suppressorPeriod,
});

export type CompositeAlarmConfig = Omit<z.output<typeof putCompositeAlarm>, 'Tags'>;

export const alarmNames = structure({ AlarmNames: listOf(alarmName, MOST_ALARMS_PER_CALL) });

const stateValue = z.enum(['OK', 'ALARM', 'INSUFFICIENT_DATA']);
const maxRecords = z.int().min(1).max(100);
const alarmTypes = z.array(z.enum(['MetricAlarm', 'CompositeAlarm', 'LogAlarm'])).optional();

export const describeAlarms = structure({
  AlarmNames: listOf(alarmName, MOST_ALARMS_PER_CALL).optional(),
  AlarmNamePrefix: alarmName.optional(),
  AlarmTypes: alarmTypes,
  ChildrenOfAlarmName: alarmName.optional(),
  ParentsOfAlarmName: alarmName.optional(),
  StateValue: stateValue.optional(),
  ActionPrefix: z.string().min(1).max(1024).optional(),
  MaxRecords: maxRecords.default(50),
  NextToken: nextToken,
});

export const describeAlarmHistory = structure({
  AlarmName: alarmName.optional(),
  AlarmContributorId: unsupported('Alarms have no contributors here.'),
  AlarmTypes: alarmTypes,
  HistoryItemType: z.enum(['ConfigurationUpdate', 'StateUpdate', 'Action']).optional(),
  StartDate: timestamp.optional(),
  EndDate: timestamp.optional(),
  MaxRecords: maxRecords.default(100),
  NextToken: nextToken,
  ScanBy: z.enum(['TimestampDescending', 'TimestampAscending']).default('TimestampDescending'),
});

export const setAlarmState = structure({
  AlarmName: alarmName,
  StateValue: stateValue,
  StateReason: z.string().max(1023),
  StateReasonData: z.string().max(4000).optional(),
});

const resourceArn = z.string().min(1).max(1024);

export const tagResource = structure({ ResourceARN: resourceArn, Tags: tags });
export const untagResource = structure({ ResourceARN: resourceArn, TagKeys: listOf(tagKey, 50) });
export const listTagsForResource = structure({ ResourceARN: resourceArn });

export const listAlarmMuteRules = structure({
  AlarmName: alarmName.optional(),
  Statuses: z.array(z.enum(['SCHEDULED', 'ACTIVE', 'EXPIRED'])).optional(),
  MaxRecords: maxRecords.optional(),
  NextToken: nextToken,
});
