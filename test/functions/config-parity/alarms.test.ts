import { DescribeAlarmsCommand } from '@aws-sdk/client-cloudwatch';
import 'aws-sdk-client-mock-vitest/extend';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readAlarms } from '../../../functions/config-parity/adapters/alarms.ts';
import {
  DENIED,
  foundOf,
  type MockedReading,
  mockedReading,
  THROTTLED,
} from '../../support/parity-reading.ts';

let mocked: MockedReading;

beforeEach(() => {
  mocked = mockedReading();
});

afterEach(() => mocked.restore());

const cloudwatch = () => mocked.mock('cloudwatch');
const ASKED = { AlarmTypes: ['MetricAlarm', 'CompositeAlarm', 'LogAlarm'] as const, MaxRecords: 100 };
const inputs = () =>
  cloudwatch()
    .commandCalls(DescribeAlarmsCommand)
    .map((one) => one.args[0].input);

describe('an alarm', () => {
  test('of one metric is its metric, its evaluation and its actions, without its name, state and times', async () => {
    cloudwatch()
      .on(DescribeAlarmsCommand)
      .resolves({
        MetricAlarms: [
          {
            AlarmName: 'drift',
            AlarmArn: 'arn:aws:cloudwatch:eu-west-1:111111111111:alarm:drift',
            AlarmDescription: 'it drifts',
            AlarmConfigurationUpdatedTimestamp: new Date(0),
            ActionsEnabled: true,
            OKActions: [],
            AlarmActions: ['arn:aws:sns:eu-west-1:111111111111:pager'],
            InsufficientDataActions: [],
            StateValue: 'ALARM',
            StateReason: 'above the threshold',
            StateReasonData: '{}',
            StateUpdatedTimestamp: new Date(0),
            StateTransitionedTimestamp: new Date(0),
            EvaluationState: 'PARTIAL_DATA',
            MetricName: 'psi',
            Namespace: 'Drift',
            ExtendedStatistic: 'p90',
            Dimensions: [{ Name: 'Endpoint', Value: 'flight-delay-staging' }],
            Period: 300,
            Unit: 'None',
            EvaluationPeriods: 3,
            DatapointsToAlarm: 2,
            Threshold: 0.2,
            ComparisonOperator: 'GreaterThanThreshold',
            TreatMissingData: 'breaching',
            EvaluateLowSampleCountPercentile: 'ignore',
            EvaluationWindow: { WallClockWindow: {} },
            WarmUpConfiguration: { WarmUpPeriodDurationInMinutes: 5 },
          },
        ],
      });
    await readAlarms(mocked.reading, [{ kind: 'alarms', name: 'drift-alarm', physical: 'drift' }]);
    expect(inputs()).toEqual([{ ...ASKED, AlarmNames: ['drift'] }]);
    expect(mocked.part).toEqual({
      resources: [
        {
          kind: 'alarms',
          name: 'drift-alarm',
          physical: 'drift',
          value: {
            type: 'metric',
            metric: { namespace: 'Drift', name: 'psi', dimensions: { Endpoint: 'flight-delay-staging' } },
            statistic: 'p90',
            period: 300,
            unit: 'None',
            evaluationPeriods: 3,
            datapointsToAlarm: 2,
            threshold: 0.2,
            operator: 'GreaterThanThreshold',
            missingData: 'breaching',
            lowSamples: 'ignore',
            window: { type: 'wall clock' },
            actionsEnabled: true,
            actions: { alarm: ['arn:aws:sns:eu-west-1:111111111111:pager'] },
            description: 'it drifts',
            warmUpConfiguration: { warmUpPeriodDurationInMinutes: 5 },
          },
        },
      ],
      unreadable: [],
      unsettled: [],
      probes: [],
      notRead: [],
    });
  });

  test('of metric math is its queries by their ids', async () => {
    cloudwatch()
      .on(DescribeAlarmsCommand)
      .resolves({
        MetricAlarms: [
          {
            AlarmName: 'errors',
            Metrics: [
              { Id: 'share', Expression: 'failed / all', Label: 'Share', ReturnData: true },
              {
                Id: 'failed',
                MetricStat: {
                  Metric: { Namespace: 'Gate', MetricName: 'Errors' },
                  Period: 60,
                  Stat: 'Sum',
                  Unit: 'Count',
                },
                ReturnData: false,
                AccountId: '222222222222',
              },
              { Id: 'band', Expression: 'ANOMALY_DETECTION_BAND(failed)', Period: 60 },
            ],
            ThresholdMetricId: 'band',
            ComparisonOperator: 'GreaterThanUpperThreshold',
            EvaluationPeriods: 1,
          },
        ],
      });
    await readAlarms(mocked.reading, foundOf('alarms', ['errors']));
    expect(mocked.part.resources[0]?.value).toEqual({
      type: 'metric',
      metrics: [
        { name: 'share', expression: 'failed / all', label: 'Share', returnData: true },
        {
          name: 'failed',
          metric: { namespace: 'Gate', name: 'Errors' },
          period: 60,
          statistic: 'Sum',
          unit: 'Count',
          returnData: false,
          account: '222222222222',
        },
        { name: 'band', expression: 'ANOMALY_DETECTION_BAND(failed)', period: 60, returnData: true },
      ],
      thresholdMetric: 'band',
      operator: 'GreaterThanUpperThreshold',
      evaluationPeriods: 1,
      // As many as it looks at, where it is not set.
      datapointsToAlarm: 1,
      missingData: 'missing',
      actionsEnabled: true,
    });
  });

  test('may be composite, or of a log query; or there is none', async () => {
    cloudwatch()
      .on(DescribeAlarmsCommand)
      .resolves({
        CompositeAlarms: [
          {
            AlarmName: 'unhealthy',
            AlarmRule: 'ALARM(drift) OR ALARM(errors)',
            ActionsEnabled: false,
            ActionsSuppressor: 'deploying',
            ActionsSuppressorWaitPeriod: 60,
            ActionsSuppressorExtensionPeriod: 120,
            ActionsSuppressedBy: 'Alarm',
            ActionsSuppressedReason: 'it deploys',
          },
        ],
        LogAlarms: [
          {
            AlarmName: 'log',
            ScheduledQueryConfiguration: {
              QueryString: 'fields @message',
              QueryARN: 'arn:aws:logs:eu-west-1:111111111111:query/8f2a',
              ScheduledQueryRoleARN: 'arn:aws:iam::111111111111:role/query',
              ScheduleConfiguration: { ScheduleExpression: 'rate(5 minutes)', StartTimeOffset: 300 },
              AggregationExpression: 'count()',
            },
            QueryResultsToAlarm: 1,
            Threshold: 0,
            ComparisonOperator: 'GreaterThanThreshold',
          },
        ],
      });
    await readAlarms(mocked.reading, foundOf('alarms', ['unhealthy', 'log', 'gone']));
    expect(mocked.part.resources.map(({ name, value }) => [name, value])).toEqual([
      [
        'unhealthy',
        {
          type: 'composite',
          rule: 'ALARM(drift) OR ALARM(errors)',
          suppressor: 'deploying',
          suppressorWait: 60,
          suppressorExtension: 120,
          actionsEnabled: false,
        },
      ],
      [
        'log',
        {
          type: 'log',
          query: {
            queryString: 'fields @message',
            scheduledQueryRoleARN: 'arn:aws:iam::111111111111:role/query',
            scheduleConfiguration: { scheduleExpression: 'rate(5 minutes)', startTimeOffset: 300 },
            aggregationExpression: 'count()',
          },
          queryResultsToAlarm: 1,
          threshold: 0,
          operator: 'GreaterThanThreshold',
          missingData: 'missing',
          actionsEnabled: true,
        },
      ],
      ['gone', null],
    ]);
  });
});

describe('alarms', () => {
  const names = Array.from({ length: 101 }, (_, index) => `alarm-${index}`);
  const alarm = (AlarmName: string) => ({ AlarmName, Threshold: Number(AlarmName.split('-')[1]) });

  test('are asked for by a hundred names a call, and come in pages', async () => {
    cloudwatch()
      .on(DescribeAlarmsCommand, { AlarmNames: names.slice(0, 100) })
      .resolves({ MetricAlarms: names.slice(0, 60).map(alarm), NextToken: 'second' })
      .on(DescribeAlarmsCommand, { AlarmNames: names.slice(0, 100), NextToken: 'second' })
      .resolves({ MetricAlarms: names.slice(60, 100).map(alarm) })
      .on(DescribeAlarmsCommand, { AlarmNames: names.slice(100) })
      .resolves({ MetricAlarms: names.slice(100).map(alarm) });
    await readAlarms(mocked.reading, foundOf('alarms', names));
    expect(inputs()).toHaveLength(3);
    expect(inputs()).toEqual(
      expect.arrayContaining([
        { ...ASKED, AlarmNames: names.slice(0, 100) },
        { ...ASKED, AlarmNames: names.slice(0, 100), NextToken: 'second' },
        { ...ASKED, AlarmNames: names.slice(100) },
      ]),
    );
    const read = mocked.part.resources.map(({ name, value }) => [
      name,
      (value as { threshold: number }).threshold,
    ]);
    expect(new Map(read as [string, number][])).toEqual(new Map(names.map((name, index) => [name, index])));
  });

  test('that share a name in this environment are read once, and there twice', async () => {
    cloudwatch()
      .on(DescribeAlarmsCommand)
      .resolves({ MetricAlarms: [alarm('alarm-7')] });
    await readAlarms(mocked.reading, [
      { kind: 'alarms', name: 'one', physical: 'alarm-7' },
      { kind: 'alarms', name: 'other', physical: 'alarm-7' },
    ]);
    expect(inputs()).toEqual([{ ...ASKED, AlarmNames: ['alarm-7'] }]);
    expect(mocked.part.resources.map(({ name }) => name)).toEqual(['one', 'other']);
  });

  test.each([
    ['denied', DENIED, 'AccessDeniedException'],
    ['throttled to the end', THROTTLED, 'ThrottlingException'],
  ])('of a call that is %s are all unreadable, and no others', async (_, error, why) => {
    cloudwatch()
      .on(DescribeAlarmsCommand, { AlarmNames: names.slice(0, 100) })
      .rejects(error)
      .on(DescribeAlarmsCommand, { AlarmNames: names.slice(100) })
      .resolves({ MetricAlarms: names.slice(100).map(alarm) });
    await readAlarms(mocked.reading, foundOf('alarms', names));
    expect(mocked.part.resources.map(({ name }) => name)).toEqual(['alarm-100']);
    expect(mocked.part.unreadable).toEqual(
      names.slice(0, 100).map((name) => ({
        path: ['alarms', name],
        physical: name,
        action: 'cloudwatch:DescribeAlarms',
        why,
      })),
    );
  });

  test('of no name need no call, which would tell of all there are', async () => {
    await readAlarms(mocked.reading, []);
    expect(inputs()).toEqual([]);
  });
});
