import {
  CloudWatchClient,
  CloudWatchServiceException,
  DeleteAlarmsCommand,
  DescribeAlarmHistoryCommand,
  DescribeAlarmsCommand,
  GetMetricDataCommand,
  ListTagsForResourceCommand,
  PutMetricAlarmCommand,
  PutMetricDataCommand,
  type MetricAlarm as RawMetric,
} from '@aws-sdk/client-cloudwatch';
import { mockClient } from 'aws-sdk-client-mock';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  dataPoints,
  deleteAlarms,
  historyOf,
  leftovers,
  metricData,
  parentsOf,
  publishData,
  putShadow,
  readAlarm,
  readAlarms,
  sampleCounts,
} from '../../../functions/alarm-drill/adapters/alarms.ts';
import type { MetricAlarm } from '../../../functions/alarm-drill/alarm.ts';
import { shadowData, shadowInput, shadowMetric, shadowName } from '../../../functions/alarm-drill/shadow.ts';
import { GateDependencyError, GateInputError } from '../../../functions/shared/errors.ts';
import { PSI, psiAlarm, queryOf } from '../../support/alarm-facts.ts';
import { LocalCloudWatch } from '../../support/cloudwatch.ts';

const EVERY_TYPE = ['MetricAlarm', 'CompositeAlarm', 'LogAlarm'];
const ARN = 'arn:aws:cloudwatch:eu-central-1:111122223333:alarm:psi-distance';
const AT = Date.UTC(2026, 0, 1);
const MINUTE = 60_000;

const error = (name: string, status = 400) =>
  new CloudWatchServiceException({
    name,
    message: `the fake says ${name}`,
    $fault: 'client',
    $metadata: { httpStatusCode: status },
  });

describe('calls', () => {
  const mockCloudWatch = () => mockClient(CloudWatchClient);
  let mock: ReturnType<typeof mockCloudWatch>;
  let cloudwatch: CloudWatchClient;

  beforeEach(() => {
    mock = mockCloudWatch();
    cloudwatch = new CloudWatchClient({ region: 'eu-central-1' });
  });

  afterEach(() => mock.restore());

  const inputs = (command: unknown) => mock.commandCalls(command as never).map(({ args }) => args[0].input);

  const RAW: RawMetric = {
    AlarmName: 'psi-distance',
    AlarmArn: ARN,
    AlarmDescription: 'Drift of the distance',
    AlarmConfigurationUpdatedTimestamp: new Date(AT),
    ActionsEnabled: true,
    OKActions: ['arn:ok'],
    AlarmActions: ['arn:alarm'],
    InsufficientDataActions: ['arn:insufficient'],
    StateValue: 'OK',
    StateUpdatedTimestamp: new Date(AT + 2),
    StateTransitionedTimestamp: new Date(AT + 1),
    MetricName: 'psi',
    Namespace: 'ML/Drift',
    Statistic: 'Average',
    Dimensions: [
      { Name: 'Endpoint', Value: 'churn-staging' },
      { Name: 'Feature', Value: 'distance' },
    ],
    Period: 300,
    Unit: 'None',
    EvaluationPeriods: 3,
    DatapointsToAlarm: 2,
    Threshold: 0.2,
    ComparisonOperator: 'GreaterThanOrEqualToThreshold',
    TreatMissingData: 'breaching',
  };

  const READ: MetricAlarm = {
    kind: 'metric',
    name: 'psi-distance',
    arn: ARN,
    description: 'Drift of the distance',
    math: false,
    queries: [{ id: 'm1', metric: PSI, statistic: 'Average', unit: 'None' }],
    returns: 'm1',
    periodS: 300,
    evaluationPeriods: 3,
    datapointsToAlarm: 2,
    comparison: 'GreaterThanOrEqualToThreshold',
    threshold: 0.2,
    missingData: 'breaching',
    actions: { enabled: true, alarm: ['arn:alarm'], ok: ['arn:ok'], insufficientData: ['arn:insufficient'] },
    state: 'OK',
    since: AT + 1,
    updatedAt: AT,
  };

  describe('readAlarm', () => {
    const read = async (raw: Partial<RawMetric>) => {
      mock.on(DescribeAlarmsCommand).resolves({ MetricAlarms: [{ ...RAW, ...raw }] });
      return readAlarm(cloudwatch, 'psi-distance');
    };

    test('reads an alarm on one metric', async () => {
      expect(await read({})).toEqual(READ);
      expect(inputs(DescribeAlarmsCommand)).toEqual([
        { AlarmNames: ['psi-distance'], AlarmTypes: EVERY_TYPE, MaxRecords: 100 },
      ]);
    });

    test('knows the defaults of CloudWatch', async () => {
      const { DatapointsToAlarm: _, TreatMissingData: __, Unit: ___, ...raw } = RAW;
      mock.on(DescribeAlarmsCommand).resolves({
        MetricAlarms: [
          {
            ...raw,
            Statistic: undefined,
            ExtendedStatistic: 'p99',
            EvaluateLowSampleCountPercentile: 'ignore',
          },
        ],
      });

      expect(await readAlarm(cloudwatch, 'psi-distance')).toEqual({
        ...READ,
        queries: [{ id: 'm1', metric: PSI, statistic: 'p99' }],
        datapointsToAlarm: 3,
        missingData: 'missing',
        lowSamples: 'ignore',
      });
    });

    test('alarms on DynamoDB ignore missing data, whatever they say', async () => {
      expect(await read({ Namespace: 'AWS/DynamoDB' })).toMatchObject({ missingData: 'ignore' });
    });

    const METRIC = { Namespace: 'ML/Drift', MetricName: 'wrong', Dimensions: [] };
    const WRONG = { Id: 'wrong', MetricStat: { Metric: METRIC, Period: 60, Stat: 'Sum' }, ReturnData: false };

    test('reads metric math', async () => {
      const found = await read({
        Metrics: [{ Id: 'share', Expression: 'wrong / 10', Label: 'Share', ReturnData: true }, WRONG],
      });

      expect(found).toEqual({
        ...READ,
        math: true,
        queries: [
          { id: 'share', expression: 'wrong / 10' },
          {
            id: 'wrong',
            metric: { namespace: 'ML/Drift', name: 'wrong', dimensions: {} },
            statistic: 'Sum',
          },
        ],
        returns: 'share',
        periodS: 60,
      });
    });

    test.each<[string, Partial<RawMetric>, string]>([
      [
        'a band',
        { ThresholdMetricId: 'ad1' },
        'its threshold is an anomaly detection band, which moves with the metric',
      ],
      [
        'a comparison with a band',
        { ComparisonOperator: 'GreaterThanUpperThreshold' },
        'its comparison is GreaterThanUpperThreshold, which has no static threshold',
      ],
      [
        'PromQL',
        { EvaluationCriteria: { PromQLCriteria: { Query: 'up == 0' } } },
        'it evaluates a PromQL query, not a metric',
      ],
      [
        'windows of the clock',
        { EvaluationWindow: { WallClockWindow: { Timezone: 'Europe/Berlin' } } },
        'it is evaluated over windows of the clock (Europe/Berlin), not over sliding ones',
      ],
      ['no threshold', { Threshold: undefined }, 'it has no static threshold'],
      [
        'an unknown statistic',
        { Statistic: undefined, ExtendedStatistic: 'zz9' },
        'its statistic, "zz9", is not one that is known here',
      ],
      [
        'a metric of another account',
        { Metrics: [{ ...WRONG, AccountId: '444455556666', ReturnData: true }] },
        'it watches a metric of another account, 444455556666, which nobody can look at from here',
      ],
      [
        'a Metrics Insights query',
        { Metrics: [{ Id: 'q1', Expression: 'SELECT MAX(psi) FROM "ML/Drift"', Period: 60 }] },
        'it watches a Metrics Insights query, not a metric',
      ],
      [
        'different periods',
        {
          Metrics: [
            WRONG,
            { ...WRONG, Id: 'other', MetricStat: { Metric: METRIC, Period: 300, Stat: 'Sum' } },
            { Id: 'sum', Expression: 'wrong + other' },
          ],
        },
        'its metrics have different periods: 60, 300 s',
      ],
    ])('says why an alarm with %s cannot be drilled', async (_, raw, why) => {
      const { kind, name, arn, actions, state } = { ...READ, kind: 'other' };

      expect(await read(raw)).toEqual({ kind, name, arn, why, actions, state });
    });

    test('a sliding window and a warm-up change nothing', async () => {
      expect(
        await read({
          EvaluationWindow: { SlidingWindow: {} },
          WarmUpConfiguration: { WarmUpPeriodDurationInMinutes: 30 },
        }),
      ).toEqual(READ);
    });

    test('knows alarms of other types, and none', async () => {
      mock
        .on(DescribeAlarmsCommand)
        .resolvesOnce({
          CompositeAlarms: [
            {
              AlarmName: 'page',
              AlarmArn: 'arn:page',
              AlarmRule: 'ALARM("psi-distance")',
              ActionsSuppressor: 'arn:aws:cloudwatch:eu-central-1:111122223333:alarm:deploying',
              ActionsSuppressorWaitPeriod: 60,
              ActionsSuppressorExtensionPeriod: 120,
              StateValue: 'ALARM',
              StateUpdatedTimestamp: new Date(AT),
            },
          ],
        })
        .resolvesOnce({ LogAlarms: [{ AlarmName: 'log', AlarmArn: 'arn:log', StateValue: 'OK' }] })
        .resolves({});
      const none = { enabled: true, alarm: [], ok: [], insufficientData: [] };

      expect(await readAlarm(cloudwatch, 'page')).toEqual({
        kind: 'composite',
        name: 'page',
        arn: 'arn:page',
        rule: 'ALARM("psi-distance")',
        suppressor: { alarm: 'deploying', waitS: 60, extensionS: 120 },
        actions: none,
        state: 'ALARM',
        since: AT,
      });
      expect(await readAlarm(cloudwatch, 'log')).toEqual({
        kind: 'other',
        name: 'log',
        arn: 'arn:log',
        why: 'it watches the results of a log query, not a metric',
        actions: none,
        state: 'OK',
      });
      expect(await readAlarm(cloudwatch, 'gone')).toBeNull();
    });
  });

  test('readAlarms takes a hundred names a call, follows pages, and stops where it has enough', async () => {
    mock.on(DescribeAlarmsCommand).callsFake(({ AlarmNames = ['a', 'b'], NextToken }) => ({
      MetricAlarms: AlarmNames.map((AlarmName: string) => ({ ...RAW, AlarmName })),
      ...(NextToken === undefined && { NextToken: 'more' }),
    }));
    const names = Array.from({ length: 150 }, (_, index) => `alarm-${index}`);

    expect(await readAlarms(cloudwatch, { names })).toHaveLength(300);
    expect(await readAlarms(cloudwatch, { prefix: 'a' }, 3)).toHaveLength(3);
    expect(await readAlarms(cloudwatch, { prefix: '' }, 1)).toHaveLength(1);
    const rest = { AlarmTypes: EVERY_TYPE, MaxRecords: 100 };
    expect(inputs(DescribeAlarmsCommand)).toEqual([
      { AlarmNames: names.slice(0, 100), ...rest },
      { AlarmNames: names.slice(0, 100), ...rest, NextToken: 'more' },
      { AlarmNames: names.slice(100), ...rest },
      { AlarmNames: names.slice(100), ...rest, NextToken: 'more' },
      { AlarmNamePrefix: 'a', ...rest },
      { AlarmNamePrefix: 'a', ...rest, NextToken: 'more' },
      rest,
    ]);
  });

  test('parentsOf climbs up, and does not run in circles', async () => {
    const above: Record<string, string[]> = { leaf: ['b', 'a'], a: ['top'], b: ['top', 'a'], top: ['a'] };
    mock.on(DescribeAlarmsCommand).callsFake(({ ParentsOfAlarmName, AlarmNames }) => ({
      CompositeAlarms: (AlarmNames ?? above[ParentsOfAlarmName]).map((AlarmName: string) => ({
        AlarmName,
        ...(AlarmNames !== undefined && { AlarmRule: 'TRUE' }),
      })),
    }));

    const found = await parentsOf(cloudwatch, 'leaf');

    expect(found.map(({ name, rule }) => [name, rule])).toEqual([
      ['b', 'TRUE'],
      ['a', 'TRUE'],
      ['top', 'TRUE'],
    ]);
    expect(inputs(DescribeAlarmsCommand)).toEqual([
      ...['leaf', 'b', 'a', 'top'].map((ParentsOfAlarmName) => ({ ParentsOfAlarmName, MaxRecords: 100 })),
      { AlarmNames: ['b', 'a', 'top'], AlarmTypes: EVERY_TYPE, MaxRecords: 100 },
    ]);
  });

  test('putShadow says what could not be put', async () => {
    mock.on(PutMetricAlarmCommand).resolvesOnce({}).rejects(error('LimitExceeded'));
    const input = shadowInput(psiAlarm(), {
      ...{ drill: 'd', run: 'r', token: '1a2b3c4d', round: 1, rung: '2x', until: AT },
      ...{ alarmActions: ['arn:probe'], description: 'DRILL' },
    });

    await putShadow(cloudwatch, input);
    await expect(putShadow(cloudwatch, input)).rejects.toThrow(
      'PutMetricAlarm tocsin-drill-1a2b3c4d-1-2x failed (HTTP 400): LimitExceeded',
    );
    expect(inputs(PutMetricAlarmCommand)[0]).toEqual(input);
  });

  describe('deleteAlarms', () => {
    let there: Set<string>;

    beforeEach(() => {
      there = new Set(['tocsin-drill-1', 'tocsin-drill-2']);
      mock.on(DescribeAlarmsCommand).callsFake(({ AlarmNames }) => ({
        MetricAlarms: AlarmNames.filter((name: string) => there.has(name)).map((AlarmName: string) => ({
          ...RAW,
          AlarmName,
        })),
      }));
      mock.on(DeleteAlarmsCommand).callsFake(({ AlarmNames }) => {
        for (const name of AlarmNames) there.delete(name);
        return {};
      });
    });

    test('deletes those that are there, and looks', async () => {
      const AlarmNames = ['tocsin-drill-1', 'tocsin-drill-2', 'tocsin-drill-3'];

      await deleteAlarms(cloudwatch, AlarmNames);
      await deleteAlarms(cloudwatch, AlarmNames);

      expect(there.size).toBe(0);
      expect(inputs(DeleteAlarmsCommand)).toEqual([{ AlarmNames: ['tocsin-drill-1', 'tocsin-drill-2'] }]);
      expect(inputs(DescribeAlarmsCommand)).toEqual(
        [1, 2, 3].map(() => ({ AlarmNames, AlarmTypes: EVERY_TYPE, MaxRecords: 100 })),
      );
    });

    test('does not mind one that vanishes meanwhile', async () => {
      let calls = 0;
      mock.on(DeleteAlarmsCommand).callsFake(() => {
        calls += 1;
        there.delete(`tocsin-drill-${calls}`);
        if (calls === 1) throw error('ResourceNotFound', 404);
        return {};
      });

      await deleteAlarms(cloudwatch, ['tocsin-drill-1', 'tocsin-drill-2']);

      expect(inputs(DeleteAlarmsCommand)).toEqual([
        { AlarmNames: ['tocsin-drill-1', 'tocsin-drill-2'] },
        { AlarmNames: ['tocsin-drill-2'] },
      ]);
    });

    test('says which one stays', async () => {
      mock.on(DeleteAlarmsCommand).resolves({});

      await expect(deleteAlarms(cloudwatch, ['tocsin-drill-2'])).rejects.toThrow(
        'DeleteAlarms left tocsin-drill-2',
      );
    });

    test('touches no alarm but shadows', async () => {
      await expect(deleteAlarms(cloudwatch, ['tocsin-drill-1', 'psi-distance'])).rejects.toThrow(
        '"psi-distance" is no shadow alarm: it stays',
      );
      expect(mock.calls()).toHaveLength(0);
    });

    test('one that CloudWatch refuses to delete keeps no other', async () => {
      mock.on(DeleteAlarmsCommand).callsFake(({ AlarmNames }: { AlarmNames: string[] }) => {
        if (AlarmNames.includes('tocsin-drill-1')) throw error('ValidationError', 400);
        for (const name of AlarmNames) there.delete(name);
        return {};
      });

      await expect(deleteAlarms(cloudwatch, ['tocsin-drill-1', 'tocsin-drill-2'])).rejects.toThrow(
        /^DeleteAlarms tocsin-drill-1 failed/,
      );
      expect([...there]).toEqual(['tocsin-drill-1']);
    });

    test('says what CloudWatch refuses', async () => {
      mock.on(DeleteAlarmsCommand).rejects(error('AccessDenied', 403));

      await expect(deleteAlarms(cloudwatch, ['tocsin-drill-1'])).rejects.toThrow(GateDependencyError);
    });
  });

  test('leftovers need prefix and tag', async () => {
    const tags: Record<string, { Key: string; Value: string }[]> = {
      over: [
        { Key: 'tocsin:drill', Value: 'a' },
        { Key: 'tocsin:until', Value: new Date(AT).toISOString() },
      ],
      fresh: [
        { Key: 'tocsin:drill', Value: 'b' },
        { Key: 'tocsin:until', Value: new Date(AT + 1).toISOString() },
      ],
      theirs: [],
    };
    mock.on(DescribeAlarmsCommand).resolves({
      MetricAlarms: [...Object.keys(tags), 'gone'].map((AlarmName) => ({
        ...RAW,
        AlarmName,
        AlarmArn: `arn:${AlarmName}`,
      })),
    });
    mock.on(ListTagsForResourceCommand).callsFake(({ ResourceARN }) => {
      const found = tags[ResourceARN.slice(4)];
      if (found === undefined) throw error('ResourceNotFoundException', 404);
      return { Tags: found };
    });

    expect(await leftovers(cloudwatch, { now: AT })).toEqual(['over']);
    expect(await leftovers(cloudwatch, { now: AT, drill: 'b' })).toEqual(['over', 'fresh']);
    expect(inputs(DescribeAlarmsCommand)[0]).toEqual({
      AlarmNamePrefix: 'tocsin-drill-',
      AlarmTypes: EVERY_TYPE,
      MaxRecords: 100,
    });
    expect(inputs(ListTagsForResourceCommand)[0]).toEqual({ ResourceARN: 'arn:over' });
  });

  describe('publishData', () => {
    const datum = (value: number) => ({
      MetricName: 'm',
      Dimensions: [],
      Timestamp: new Date(AT),
      Values: [value],
      Counts: [1],
      StorageResolution: 60 as const,
    });

    test('sends a thousand a call', async () => {
      mock.on(PutMetricDataCommand).resolves({});
      const data = Array.from({ length: 1500 }, (_, index) => datum(index));

      await publishData(cloudwatch, 'Tocsin/Drill', data);

      expect(inputs(PutMetricDataCommand)).toEqual([
        { Namespace: 'Tocsin/Drill', MetricData: data.slice(0, 1000) },
        { Namespace: 'Tocsin/Drill', MetricData: data.slice(1000) },
      ]);
    });

    test('never writes to a namespace of AWS', async () => {
      await expect(publishData(cloudwatch, 'AWS/SageMaker', [datum(1)])).rejects.toThrow(GateInputError);
      expect(mock.calls()).toHaveLength(0);
    });
  });

  test('historyOf reads transitions and what failed', async () => {
    const item = (
      HistoryItemType: 'StateUpdate' | 'Action',
      at: number,
      summary: string,
      data: object | string,
    ) => ({
      HistoryItemType,
      Timestamp: new Date(AT + at),
      HistorySummary: summary,
      HistoryData: typeof data === 'string' ? data : JSON.stringify(data),
    });
    mock
      .on(DescribeAlarmHistoryCommand)
      .resolvesOnce({
        NextToken: 'more',
        AlarmHistoryItems: [
          {
            HistoryItemType: 'ConfigurationUpdate',
            HistorySummary: 'Alarm created',
            Timestamp: new Date(AT),
          },
          item('StateUpdate', 1, 'Alarm updated from INSUFFICIENT_DATA to OK', {
            oldState: { stateValue: 'INSUFFICIENT_DATA' },
            newState: { stateValue: 'OK' },
          }),
          item('Action', 1, 'Successfully executed action arn:probe', { actionState: 'Succeeded' }),
        ],
      })
      .resolves({
        AlarmHistoryItems: [
          item('StateUpdate', 2, 'Alarm updated from OK to ALARM', '{"cut off'),
          item('Action', 2, 'Failed to execute action arn:probe', {
            actionState: 'Failed',
            notificationResource: 'arn:probe',
            error: 'not authorized',
          }),
          item('Action', 2, 'Failed to execute action arn:x. Received error: "no key"', 'no JSON'),
          item('StateUpdate', 3, 'nobody knows', {}),
        ],
      });

    expect(await historyOf(cloudwatch, 'shadow', AT, AT + 10)).toEqual({
      transitions: [
        { at: AT + 1, from: 'INSUFFICIENT_DATA', to: 'OK' },
        { at: AT + 2, from: 'OK', to: 'ALARM' },
      ],
      failedActions: [
        'Failed to execute action arn:probe: not authorized',
        'Failed to execute action arn:x. Received error: "no key"',
      ],
    });
    const input = {
      AlarmName: 'shadow',
      AlarmTypes: EVERY_TYPE,
      StartDate: new Date(AT),
      EndDate: new Date(AT + 10),
      MaxRecords: 100,
      ScanBy: 'TimestampAscending',
    };
    expect(inputs(DescribeAlarmHistoryCommand)).toEqual([input, { ...input, NextToken: 'more' }]);
  });

  describe('data', () => {
    const stat = (Id: string, rest: object) => ({ Id, MetricStat: rest, ReturnData: true });
    const PSI_SHAPE = {
      Namespace: 'ML/Drift',
      MetricName: 'psi',
      Dimensions: [
        { Name: 'Endpoint', Value: 'churn-staging' },
        { Name: 'Feature', Value: 'distance' },
      ],
    };

    test('dataPoints has the ends of the periods, oldest first, from all pages', async () => {
      mock
        .on(GetMetricDataCommand)
        .resolvesOnce({
          NextToken: 'more',
          MetricDataResults: [
            { Id: 'q0', Timestamps: [new Date(AT + MINUTE)], Values: [2], StatusCode: 'PartialData' },
          ],
        })
        .resolves({
          MetricDataResults: [{ Id: 'q0', Timestamps: [new Date(AT)], Values: [1], StatusCode: 'Complete' }],
        });
      const query = { metric: PSI, statistic: 'p99', unit: 'Percent', periodS: 60 };

      expect(await dataPoints(cloudwatch, query, AT, AT + 2 * MINUTE)).toEqual([
        { at: AT + MINUTE, value: 1 },
        { at: AT + 2 * MINUTE, value: 2 },
      ]);
      const input = {
        MetricDataQueries: [stat('q0', { Metric: PSI_SHAPE, Period: 60, Stat: 'p99', Unit: 'Percent' })],
        StartTime: new Date(AT),
        EndTime: new Date(AT + 2 * MINUTE),
        ScanBy: 'TimestampAscending',
      };
      expect(inputs(GetMetricDataCommand)).toEqual([input, { ...input, NextToken: 'more' }]);
    });

    test('part of the data is none', async () => {
      mock.on(GetMetricDataCommand).resolves({
        MetricDataResults: [
          { Id: 'q0', StatusCode: 'Forbidden', Messages: [{ Code: 'Forbidden', Value: 'may not' }] },
        ],
      });

      await expect(
        dataPoints(cloudwatch, { metric: PSI, statistic: 'Sum', periodS: 60 }, AT, AT + MINUTE),
      ).rejects.toThrow('GetMetricData answered in part: may not');
    });

    test('five hundred queries go into one call', async () => {
      mock.on(GetMetricDataCommand).callsFake(({ MetricDataQueries }) => ({
        MetricDataResults: MetricDataQueries.map(({ Id }: { Id: string }) => ({
          Id,
          Timestamps: [new Date(AT)],
          Values: [Number(Id.slice(1)) + MetricDataQueries.length],
        })),
      }));
      const queries = Array.from({ length: 700 }, () => ({ metric: PSI, statistic: 'Sum', periodS: 60 }));

      const results = await metricData(cloudwatch, queries, AT, AT + MINUTE);

      expect(results.map(([point]) => point?.value)).toEqual(
        queries.map((_, index) => (index < 500 ? index + 500 : index - 500 + 200)),
      );
      expect(mock.commandCalls(GetMetricDataCommand)).toHaveLength(2);
    });

    test('sampleCounts adds up whole minutes', async () => {
      mock.on(GetMetricDataCommand).resolves({
        MetricDataResults: [
          { Id: 'q1', Timestamps: [new Date(AT), new Date(AT + MINUTE)], Values: [3, 4] },
          { Id: 'q0', Timestamps: [], Values: [] },
        ],
      });

      expect(await sampleCounts(cloudwatch, [PSI, PSI], AT + 1, AT + MINUTE + 1)).toEqual([0, 7]);
      expect(inputs(GetMetricDataCommand)).toEqual([
        {
          MetricDataQueries: ['q0', 'q1'].map((id) =>
            stat(id, { Metric: PSI_SHAPE, Period: 60, Stat: 'SampleCount' }),
          ),
          StartTime: new Date(AT),
          EndTime: new Date(AT + 2 * MINUTE),
          ScanBy: 'TimestampAscending',
        },
      ]);
    });

    test('sampleCounts counts a week in periods of minutes', async () => {
      mock.on(GetMetricDataCommand).resolves({ MetricDataResults: [] });

      await sampleCounts(cloudwatch, [PSI], AT, AT + 7 * 24 * 60 * MINUTE);

      expect(inputs(GetMetricDataCommand)).toMatchObject([
        {
          MetricDataQueries: [{ MetricStat: { Period: 420 } }],
          EndTime: new Date(AT + 7 * 24 * 60 * MINUTE),
        },
      ]);
    });
  });
});

describe('against the local CloudWatch', () => {
  let local: LocalCloudWatch;

  beforeEach(async () => {
    local = await LocalCloudWatch.start({ time: AT });
  });

  afterEach(() => local.close());

  const ROUND = { drill: 'distance-drift', run: 'run-1', token: '1a2b3c4d', round: 1 };
  const PROBE = 'arn:aws:sns:us-east-1:000000000000:probe';
  const shadow = (alarm: MetricAlarm, rung: string) =>
    shadowInput(alarm, {
      ...ROUND,
      rung,
      until: AT + 3_600_000,
      alarmActions: [PROBE],
      description: 'DRILL',
    });

  test('a shadow is created, fed, fires, is remembered and is deleted', async () => {
    const alarm = psiAlarm({ periodS: 60, evaluationPeriods: 1, datapointsToAlarm: 1 });
    const name = shadowName(ROUND.token, ROUND.round, '2x');
    await putShadow(local.client, shadow(alarm, '2x'));
    await putShadow(local.client, shadow(alarm, '2x'));
    for (const value of [0.05, 0.05, 0.4, 0.4]) {
      const data = shadowData(alarm, ROUND, local.time, { '2x': { m1: { value, count: 4 } } });
      await publishData(local.client, 'Tocsin/Drill', data);
      await local.advance(MINUTE);
    }

    expect(await historyOf(local.client, name, AT, local.time + 1)).toEqual({
      transitions: [
        { at: AT + MINUTE, from: 'INSUFFICIENT_DATA', to: 'OK' },
        { at: AT + 3 * MINUTE, from: 'OK', to: 'ALARM' },
      ],
      failedActions: [],
    });
    expect(local.actions.map(({ arn, message }) => [arn, message.NewStateValue])).toEqual([
      [PROBE, 'OK'],
      [PROBE, 'ALARM'],
    ]);
    const metric = shadowMetric({ ...ROUND, rung: '2x' }, 0);
    expect(await sampleCounts(local.client, [metric], AT, local.time)).toEqual([16]);
    expect(
      await dataPoints(local.client, { metric, statistic: 'Average', periodS: 60 }, AT, local.time),
    ).toEqual([0.05, 0.05, 0.4, 0.4].map((value, index) => ({ at: AT + (index + 1) * MINUTE, value })));

    expect(await leftovers(local.client, { now: local.time })).toEqual([]);
    expect(await leftovers(local.client, { now: local.time, drill: ROUND.drill })).toEqual([name]);
    expect(await leftovers(local.client, { now: AT + 3_600_000 })).toEqual([name]);
    await deleteAlarms(local.client, [name, `${name}-never-there`]);
    expect(await readAlarm(local.client, name)).toBeNull();
    expect((await historyOf(local.client, name, AT, local.time + 1)).transitions).toHaveLength(2);
  });

  test('says which action failed', async () => {
    local.broken.add(PROBE);
    const alarm = psiAlarm({ periodS: 10, evaluationPeriods: 1, datapointsToAlarm: 1 });
    await putShadow(local.client, shadow(alarm, '2x'));
    await publishData(
      local.client,
      'Tocsin/Drill',
      shadowData(alarm, ROUND, local.time, { '2x': { m1: { value: 1, count: 1 } } }),
    );
    await local.advance(MINUTE);

    const { failedActions } = await historyOf(local.client, shadowName('1a2b3c4d', 1, '2x'), AT, local.time);

    expect(failedActions[0]).toBe(`Failed to execute action ${PROBE}. Received error: "${PROBE} is broken"`);
  });

  test.each<[string, Partial<MetricAlarm>]>([
    ['a percentile', { queries: [queryOf({ statistic: 'p99', unit: 'Percent' })], lowSamples: 'ignore' }],
    ['a high resolution', { periodS: 10, missingData: 'notBreaching', comparison: 'LessThanThreshold' }],
    [
      'metric math',
      {
        math: true,
        returns: 'e1',
        queries: [queryOf(), queryOf({ id: 'm2', statistic: 'Sum' }), { id: 'e1', expression: 'm1 / m2' }],
      },
    ],
  ])('a clone with %s is evaluated as the alarm is', async (_, change) => {
    const alarm = psiAlarm(change);
    await putShadow(local.client, shadow(alarm, '2x'));

    const clone = await readAlarm(local.client, shadowName(ROUND.token, ROUND.round, '2x'));

    const { name, arn, description, actions, state, since, updatedAt, ...evaluated } = clone as MetricAlarm;
    const {
      name: __,
      arn: ___,
      actions: ____,
      state: _____,
      since: ______,
      updatedAt: _______,
      ...own
    } = alarm;
    expect(evaluated).toEqual({
      ...own,
      queries: own.queries.map((query, index) =>
        'metric' in query ? { ...query, metric: shadowMetric({ ...ROUND, rung: '2x' }, index) } : query,
      ),
    });
  });
});
