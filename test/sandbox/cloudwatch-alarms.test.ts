import {
  type CompositeAlarm,
  DeleteAlarmsCommand,
  DescribeAlarmHistoryCommand,
  type DescribeAlarmHistoryCommandInput,
  DescribeAlarmsCommand,
  type DescribeAlarmsCommandInput,
  DisableAlarmActionsCommand,
  EnableAlarmActionsCommand,
  InvalidFormatFault,
  InvalidNextToken,
  ListAlarmMuteRulesCommand,
  ListTagsForResourceCommand,
  type MetricAlarm,
  PutCompositeAlarmCommand,
  type PutCompositeAlarmCommandInput,
  PutMetricAlarmCommand,
  type PutMetricAlarmCommandInput,
  paginateDescribeAlarmHistory,
  paginateDescribeAlarms,
  ResourceNotFound,
  ResourceNotFoundException,
  SetAlarmStateCommand,
  type StateValue,
  TagResourceCommand,
  UntagResourceCommand,
  ValidationException,
} from '@aws-sdk/client-cloudwatch';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DRIFT, LocalCloudWatch } from '../support/cloudwatch.ts';

const MINUTE_MS = 60_000;
const TOPIC = 'arn:aws:sns:us-east-1:000000000000:people';
const FUNCTION = 'arn:aws:lambda:us-east-1:000000000000:function:machine';
const ARN = 'arn:aws:cloudwatch:us-east-1:000000000000:alarm:drift';

let local: LocalCloudWatch;

beforeEach(async () => {
  local = await LocalCloudWatch.start();
});

afterEach(() => local.close());

async function put(changes: Partial<PutMetricAlarmCommandInput> = {}): Promise<void> {
  await local.client.send(new PutMetricAlarmCommand({ ...DRIFT, ...changes }));
}

async function putComposite(changes: Partial<PutCompositeAlarmCommandInput> = {}): Promise<void> {
  const input = { AlarmName: 'all', AlarmRule: 'ALARM(drift)', AlarmActions: [TOPIC], OKActions: [TOPIC] };
  await local.client.send(new PutCompositeAlarmCommand({ ...input, ...changes }));
}

async function set(AlarmName: string, StateValue: StateValue): Promise<void> {
  await local.client.send(new SetAlarmStateCommand({ AlarmName, StateValue, StateReason: 'a test' }));
}

async function describeAll(input: DescribeAlarmsCommandInput = {}) {
  const { MetricAlarms = [], CompositeAlarms = [] } = await local.client.send(
    new DescribeAlarmsCommand({ AlarmTypes: ['MetricAlarm', 'CompositeAlarm'], ...input }),
  );
  return [...MetricAlarms, ...CompositeAlarms];
}

async function get(name: string): Promise<MetricAlarm & CompositeAlarm> {
  return (await describeAll({ AlarmNames: [name] }))[0] as MetricAlarm & CompositeAlarm;
}

async function history(input: DescribeAlarmHistoryCommandInput = {}) {
  const { AlarmHistoryItems = [] } = await local.client.send(
    new DescribeAlarmHistoryCommand({ AlarmTypes: ['MetricAlarm', 'CompositeAlarm'], ...input }),
  );
  return AlarmHistoryItems;
}

describe('a metric alarm', () => {
  it('is described as it was put', async () => {
    await put({
      AlarmDescription: 'Drift',
      ActionsEnabled: false,
      AlarmActions: [TOPIC],
      Dimensions: [{ Name: 'endpoint', Value: 'x' }],
      DatapointsToAlarm: 1,
      TreatMissingData: 'notBreaching',
      Unit: 'None',
    });
    const now = new Date(local.time);
    expect(await get('drift')).toEqual({
      ...DRIFT,
      AlarmArn: ARN,
      AlarmDescription: 'Drift',
      ActionsEnabled: false,
      OKActions: [],
      AlarmActions: [TOPIC],
      InsufficientDataActions: [],
      Dimensions: [{ Name: 'endpoint', Value: 'x' }],
      DatapointsToAlarm: 1,
      TreatMissingData: 'notBreaching',
      Unit: 'None',
      StateValue: 'INSUFFICIENT_DATA',
      StateReason: 'Unchecked: Initial alarm creation',
      StateUpdatedTimestamp: now,
      StateTransitionedTimestamp: now,
      AlarmConfigurationUpdatedTimestamp: now,
    });
  });

  it('says why it is in its state', async () => {
    await put({ EvaluationPeriods: 3, DatapointsToAlarm: 2, Statistic: 'Maximum' });
    await local.publish({}, [0.25, 0.1, 1]);
    const { StateReason, StateReasonData } = await get('drift');
    expect(StateReason).toBe(
      'Threshold Crossed: 2 out of the last 3 datapoints [1.0 (01/01/26 00:02:00), 0.25 (01/01/26 00:00:00)] were greater than the threshold (0.2) (minimum 2 datapoints for OK -> ALARM transition).',
    );
    expect(JSON.parse(StateReasonData ?? '')).toEqual({
      version: '1.0',
      queryDate: '2026-01-01T00:03:00.000+0000',
      startDate: '2026-01-01T00:00:00.000+0000',
      statistic: 'Maximum',
      period: 60,
      recentDatapoints: [0.25, 0.1, 1],
      threshold: 0.2,
      evaluatedDatapoints: [
        { timestamp: '2026-01-01T00:02:00.000+0000', value: 1 },
        { timestamp: '2026-01-01T00:01:00.000+0000', value: 0.1 },
        { timestamp: '2026-01-01T00:00:00.000+0000', value: 0.25 },
      ],
    });
    await local.publish({}, [0.1]);
    expect((await get('drift')).StateReason).toBe(
      'Threshold Crossed: 2 out of the last 3 datapoints [0.1 (01/01/26 00:03:00), 0.1 (01/01/26 00:01:00)] were not greater than the threshold (0.2) (minimum 2 datapoints for ALARM -> OK transition).',
    );
    await local.advance(10 * MINUTE_MS);
    expect((await get('drift')).StateReason).toBe('Insufficient Data: 3 datapoints were unknown.');
    await put({ EvaluationPeriods: 1, TreatMissingData: 'breaching' });
    await local.advance(MINUTE_MS);
    expect((await get('drift')).StateReason).toBe(
      'Threshold Crossed: no datapoints were received for 1 period and 1 missing datapoint was treated as [Breaching].',
    );
  });
});

describe('actions', () => {
  it('run when the state changes, and only then', async () => {
    await put({ AlarmActions: [TOPIC], OKActions: [TOPIC], InsufficientDataActions: [TOPIC] });
    await local.publish({}, [0.3, 0.3, 0.1, 0.1, 0.3]);
    await local.advance(5 * MINUTE_MS);
    expect(
      local.actions.map(({ message, time }) => [
        message.NewStateValue,
        (time - Date.UTC(2026, 0, 1)) / MINUTE_MS,
      ]),
    ).toEqual([
      ['ALARM', 1],
      ['OK', 3],
      ['ALARM', 5],
      ['INSUFFICIENT_DATA', 8],
    ]);
  });

  it('tell a topic what CloudWatch tells it', async () => {
    await put({ AlarmActions: [TOPIC], Dimensions: [{ Name: 'endpoint', Value: 'x' }] });
    await set('drift', 'OK');
    local.time += 500;
    await set('drift', 'ALARM');
    await local.advance(0);
    expect(local.actions).toEqual([
      {
        arn: TOPIC,
        alarmArn: ARN,
        time: local.time,
        subject: 'ALARM: "drift" in US East (N. Virginia)',
        message: {
          AlarmName: 'drift',
          AlarmDescription: null,
          AWSAccountId: '000000000000',
          AlarmConfigurationUpdatedTimestamp: '2026-01-01T00:00:00.000+0000',
          NewStateValue: 'ALARM',
          NewStateReason: 'a test',
          StateChangeTime: '2026-01-01T00:00:00.500+0000',
          Region: 'US East (N. Virginia)',
          AlarmArn: ARN,
          OldStateValue: 'OK',
          OKActions: [],
          AlarmActions: [TOPIC],
          InsufficientDataActions: [],
          Trigger: {
            MetricName: 'drift',
            Namespace: 'Tests',
            StatisticType: 'Statistic',
            Statistic: 'AVERAGE',
            Unit: null,
            Dimensions: [{ value: 'x', name: 'endpoint' }],
            Period: 60,
            EvaluationPeriods: 1,
            DatapointsToAlarm: 1,
            ComparisonOperator: 'GreaterThanThreshold',
            Threshold: 0.2,
            TreatMissingData: '',
            EvaluateLowSampleCountPercentile: '',
          },
        },
      },
    ]);
  });

  it('tell what is watched by percentile and by expression', async () => {
    await put({ AlarmActions: [TOPIC], Statistic: undefined, ExtendedStatistic: 'p99' });
    await set('drift', 'ALARM');
    const Metrics = [
      { Id: 'e', Expression: 'm1 * 2', Label: 'twice' },
      {
        Id: 'm1',
        MetricStat: {
          Metric: { Namespace: 'Tests', MetricName: 'drift', Dimensions: [{ Name: 'a', Value: 'b' }] },
          Period: 300,
          Stat: 'Sum',
        },
        ReturnData: false,
      },
    ];
    await local.client.send(
      new PutMetricAlarmCommand({
        AlarmName: 'math',
        AlarmActions: [TOPIC],
        Metrics,
        EvaluationPeriods: 2,
        Threshold: 1,
        ComparisonOperator: 'LessThanThreshold',
        TreatMissingData: 'ignore',
      }),
    );
    await set('math', 'ALARM');
    await local.advance(0);
    expect(local.actions.map(({ message }) => message.Trigger)).toEqual([
      expect.objectContaining({ StatisticType: 'ExtendedStatistic', ExtendedStatistic: 'p99' }),
      {
        Period: 300,
        EvaluationPeriods: 2,
        DatapointsToAlarm: 2,
        ComparisonOperator: 'LessThanThreshold',
        Threshold: 1,
        TreatMissingData: 'ignore',
        EvaluateLowSampleCountPercentile: '',
        Metrics: [
          { Id: 'e', Expression: 'm1 * 2', Label: 'twice', ReturnData: true },
          {
            Id: 'm1',
            MetricStat: {
              Metric: { Namespace: 'Tests', MetricName: 'drift', Dimensions: [{ value: 'b', name: 'a' }] },
              Period: 300,
              Stat: 'Sum',
            },
            ReturnData: false,
          },
        ],
      },
    ]);
  });

  it('invoke a function with an event', async () => {
    await put({ AlarmActions: [FUNCTION] });
    await set('drift', 'ALARM');
    await local.advance(0);
    const [{ subject, message } = { subject: undefined, message: undefined }] = local.actions;
    expect([subject, message]).toEqual([
      '',
      {
        source: 'aws.cloudwatch',
        alarmArn: ARN,
        accountId: '000000000000',
        time: '2026-01-01T00:00:00.000+0000',
        region: 'us-east-1',
        alarmData: expect.objectContaining({
          alarmName: 'drift',
          state: { value: 'ALARM', reason: 'a test', timestamp: '2026-01-01T00:00:00.000+0000' },
        }),
      },
    ]);
  });

  it('do not run while they are disabled, nor afterwards', async () => {
    await put({ AlarmActions: [TOPIC] });
    await local.client.send(new DisableAlarmActionsCommand({ AlarmNames: ['drift', 'of nobody'] }));
    expect((await get('drift')).ActionsEnabled).toBe(false);
    await local.publish({}, [0.3]);
    await local.client.send(new EnableAlarmActionsCommand({ AlarmNames: ['drift'] }));
    await local.publish({}, [0.3]);
    expect((await get('drift')).StateValue).toBe('ALARM');
    expect(local.actions).toEqual([]);
  });

  it('that fail are in the history, and nowhere else', async () => {
    local.broken.add(TOPIC);
    await put({ AlarmActions: [TOPIC, FUNCTION] });
    await local.publish({}, [0.3]);
    expect(local.actions.map(({ arn }) => arn)).toEqual([FUNCTION]);
    const items = await history({ HistoryItemType: 'Action', ScanBy: 'TimestampAscending' });
    expect(items.map(({ HistorySummary }) => HistorySummary)).toEqual([
      `Failed to execute action ${TOPIC}. Received error: "${TOPIC} is broken"`,
      `Successfully executed action ${FUNCTION}`,
    ]);
    expect(JSON.parse(items[0]?.HistoryData ?? '')).toMatchObject({
      actionState: 'Failed',
      notificationResource: TOPIC,
      error: `${TOPIC} is broken`,
    });
  });

  it('have a subject that SNS takes', async () => {
    const AlarmName = 'x'.repeat(255);
    await put({ AlarmName, AlarmActions: [TOPIC] });
    await set(AlarmName, 'ALARM');
    await local.advance(0);
    expect(local.actions[0]?.subject).toBe(`ALARM: "${'x'.repeat(89)}...`);
  });
});

describe('events', () => {
  const metric = {
    metric: { namespace: 'Tests', name: 'drift', dimensions: { endpoint: 'x' } },
    period: 60,
    stat: 'Average',
  };
  const metrics = [
    {
      id: expect.stringMatching(/^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/),
      metricStat: metric,
      returnData: true,
    },
  ];

  it('tell of every change of configuration', async () => {
    const Dimensions = [{ Name: 'endpoint', Value: 'x' }];
    await put({ Dimensions, AlarmDescription: 'Drift', AlarmActions: [TOPIC] });
    local.time += 1_000;
    await put({ Dimensions, Threshold: 1, TreatMissingData: 'breaching' });
    await local.client.send(new DeleteAlarmsCommand({ AlarmNames: ['drift'] }));
    await local.advance(0);
    const first = {
      alarmName: 'drift',
      evaluationPeriods: 1,
      threshold: 0.2,
      comparisonOperator: 'GreaterThanThreshold',
      metrics,
      description: 'Drift',
      actionsEnabled: true,
      timestamp: '2026-01-01T00:00:00.000+0000',
      okActions: [],
      alarmActions: [TOPIC],
      insufficientDataActions: [],
    };
    const { description, ...undescribed } = first;
    const second = {
      ...undescribed,
      threshold: 1,
      treatMissingData: 'breaching',
      timestamp: '2026-01-01T00:00:01.000+0000',
      alarmActions: [],
    };
    expect(description).toBe('Drift');
    const state = { value: 'INSUFFICIENT_DATA', timestamp: '2026-01-01T00:00:00.000+0000' };
    expect(
      local.events.map(({ detailType, resources, detail }) => ({ detailType, resources, detail })),
    ).toEqual(
      [
        { operation: 'create', configuration: first },
        { operation: 'update', configuration: second, previousConfiguration: first },
        { operation: 'delete', configuration: second },
      ].map((detail) => ({
        detailType: 'CloudWatch Alarm Configuration Change',
        resources: [ARN],
        detail: { alarmName: 'drift', state, ...detail },
      })),
    );
  });

  it('tell of every change of state', async () => {
    await put({ Dimensions: [{ Name: 'endpoint', Value: 'x' }], AlarmDescription: 'Drift' });
    await set('drift', 'OK');
    await set('drift', 'OK');
    await local.advance(MINUTE_MS);
    const changes = local.events.filter(({ detailType }) => detailType === 'CloudWatch Alarm State Change');
    const timestamp = '2026-01-01T00:00:00.000+0000';
    const initial = { value: 'INSUFFICIENT_DATA', reason: 'Unchecked: Initial alarm creation', timestamp };
    const ok = { value: 'OK', reason: 'a test', timestamp };
    const configuration = { description: 'Drift', metrics };
    expect(changes.map(({ detail }) => detail)).toEqual([
      { alarmName: 'drift', configuration, previousState: initial, state: ok },
      {
        alarmName: 'drift',
        configuration,
        previousState: ok,
        // The state that was set lasts until the next evaluation.
        state: {
          value: 'INSUFFICIENT_DATA',
          reason: 'Insufficient Data: 1 datapoint was unknown.',
          reasonData: expect.stringContaining('"recentDatapoints":[]'),
          timestamp: '2026-01-01T00:01:00.000+0000',
        },
      },
    ]);
  });
});

describe('composite alarms', () => {
  beforeEach(async () => {
    await put();
    await set('drift', 'OK');
  });

  it('follow their children at once, the inner ones first', async () => {
    await put({ AlarmName: 'errors' });
    // The outer one is older than what it comes to depend on.
    await putComposite({ AlarmName: 'outer', AlarmRule: 'ALARM(drift)' });
    await putComposite({ AlarmRule: 'ALARM(drift) AND NOT ALARM(errors)', AlarmActions: [] });
    await putComposite({ AlarmName: 'outer', AlarmRule: 'OK(all)', AlarmDescription: 'Outer' });
    expect(
      (await describeAll({ AlarmTypes: ['CompositeAlarm'] })).map(({ StateValue }) => StateValue),
    ).toEqual(['OK', 'ALARM']);
    local.time += 1_000;
    await set('drift', 'ALARM');
    const [all, outer] = (await describeAll({ AlarmTypes: ['CompositeAlarm'] })) as CompositeAlarm[];
    expect([all?.StateValue, outer?.StateValue]).toEqual(['ALARM', 'OK']);
    expect(all?.StateReason).toBe(`${ARN} transitioned to ALARM at Thursday 01 January, 2026 00:00:01 UTC`);
    expect(JSON.parse(all?.StateReasonData ?? '')).toEqual({
      triggeringAlarms: [
        { arn: ARN, state: { value: 'ALARM', timestamp: '2026-01-01T00:00:01.000+0000' } },
        {
          arn: ARN.replace('drift', 'errors'),
          state: { value: 'INSUFFICIENT_DATA', timestamp: '2026-01-01T00:00:00.000+0000' },
        },
      ],
    });
    await local.advance(0);
    const last = local.actions.at(-1);
    expect(last?.subject).toBe('OK: "outer" in US East (N. Virginia)');
    expect(last?.message).toMatchObject({
      AlarmDescription: 'Outer',
      AlarmRule: 'OK(all)',
      OldStateValue: 'ALARM',
    });
    expect(last?.message).not.toHaveProperty('Trigger');
  });

  it('follow children that are evaluated', async () => {
    await putComposite();
    await local.publish({}, [0.3]);
    expect(local.actions.map(({ message, time }) => [message.NewStateValue, time])).toEqual([
      ['OK', Date.UTC(2026, 0, 1)],
      ['ALARM', Date.UTC(2026, 0, 1, 0, 1)],
    ]);
  });

  it('keep a state that is set until a child changes', async () => {
    await putComposite();
    await set('all', 'ALARM');
    await local.advance(30_000);
    expect((await get('all')).StateValue).toBe('ALARM');
    await set('drift', 'INSUFFICIENT_DATA');
    expect((await get('all')).StateValue).toBe('OK');
  });

  it('that depend on each other in a circle are not evaluated', async () => {
    await putComposite({ AlarmName: 'a', AlarmRule: 'ALARM(drift)' });
    await putComposite({ AlarmName: 'b', AlarmRule: 'ALARM(a)' });
    await putComposite({ AlarmName: 'a', AlarmRule: 'ALARM(drift) OR ALARM(b)' });
    await set('drift', 'ALARM');
    expect((await get('a')).StateValue).toBe('OK');
    await putComposite({ AlarmName: 'b', AlarmRule: 'FALSE' });
    expect((await get('a')).StateValue).toBe('ALARM');
  });

  it('know their families', async () => {
    await putComposite();
    await putComposite({ AlarmName: 'outer', AlarmRule: `ALARM("${ARN}") OR ALARM(all)` });
    expect(await describeAll({ AlarmTypes: undefined, ChildrenOfAlarmName: 'outer' })).toEqual([
      {
        AlarmName: 'drift',
        AlarmArn: ARN,
        StateValue: 'OK',
        StateUpdatedTimestamp: new Date(local.time),
      },
      expect.objectContaining({ AlarmName: 'all', StateValue: 'OK' }),
    ]);
    expect(await describeAll({ AlarmTypes: undefined, ParentsOfAlarmName: 'all' })).toEqual([
      { AlarmName: 'outer', AlarmArn: ARN.replace('drift', 'outer') },
    ]);
  });

  it('outlive no child', async () => {
    await putComposite();
    await expect(local.client.send(new DeleteAlarmsCommand({ AlarmNames: ['drift'] }))).rejects.toThrow(
      'Cannot delete drift as composite alarm all depends on it.',
    );
    await local.client.send(new DeleteAlarmsCommand({ AlarmNames: ['drift', 'all'] }));
    expect(await describeAll()).toEqual([]);
  });

  describe('with a suppressor', () => {
    const SUPPRESSED = {
      ActionsSuppressor: 'maintenance',
      ActionsSuppressorWaitPeriod: 120,
      ActionsSuppressorExtensionPeriod: 180,
    };

    beforeEach(async () => {
      await put({ AlarmName: 'maintenance', TreatMissingData: 'ignore' });
      await put({ TreatMissingData: 'ignore' });
      await set('maintenance', 'OK');
      await putComposite({ OKActions: [], ...SUPPRESSED });
      // The wait for the first state of all is over.
      await local.advance(2 * MINUTE_MS);
      local.events.length = 0;
    });

    const suppressedBy = async () => (await get('all')).ActionsSuppressedBy;
    const acted = () => local.actions.map(({ message }) => message.NewStateValue);

    it('wait for it, and run when it does not come', async () => {
      await set('drift', 'ALARM');
      expect(await suppressedBy()).toBe('WaitPeriod');
      await local.advance(110_000);
      expect(acted()).toEqual([]);
      await local.advance(10_000);
      expect(acted()).toEqual(['ALARM']);
      expect(await suppressedBy()).toBeUndefined();
      const [, change] = local.events;
      expect(change?.detail.state).toMatchObject({
        value: 'ALARM',
        actionsSuppressedBy: 'WaitPeriod',
        actionsSuppressedReason: 'Actions suppressed by WaitPeriod',
      });
      expect(change?.detail.configuration).toEqual({
        alarmRule: 'ALARM(drift)',
        actionsSuppressor: 'maintenance',
        actionsSuppressorWaitPeriod: 120,
        actionsSuppressorExtensionPeriod: 180,
      });
    });

    it('are held while it is in ALARM, and a while longer', async () => {
      await set('maintenance', 'ALARM');
      await set('drift', 'ALARM');
      expect(await suppressedBy()).toBe('Alarm');
      await local.advance(60 * MINUTE_MS);
      await set('maintenance', 'OK');
      expect(await suppressedBy()).toBe('ExtensionPeriod');
      await local.advance(170_000);
      expect(acted()).toEqual([]);
      await local.advance(10_000);
      expect(acted()).toEqual(['ALARM']);
    });

    it('do not run for what was over before it ended', async () => {
      await set('maintenance', 'ALARM');
      await set('drift', 'ALARM');
      await local.advance(MINUTE_MS);
      await set('drift', 'OK');
      await set('maintenance', 'OK');
      await local.advance(10 * MINUTE_MS);
      expect(acted()).toEqual([]);
    });

    it('wait anew after each change, and run for the last one', async () => {
      await putComposite({ OKActions: ['arn:aws:sns:us-east-1:000000000000:calm'], ...SUPPRESSED });
      await set('drift', 'ALARM');
      await local.advance(MINUTE_MS);
      await set('drift', 'OK');
      await local.advance(110_000);
      expect(acted()).toEqual([]);
      await local.advance(10_000);
      expect(acted()).toEqual(['OK']);
    });

    it('wait no longer than that for a change while they are still held', async () => {
      await set('maintenance', 'ALARM');
      await local.advance(MINUTE_MS);
      await set('maintenance', 'OK');
      await set('drift', 'ALARM');
      expect(await suppressedBy()).toBe('WaitPeriod');
      await local.advance(2 * MINUTE_MS);
      expect(acted()).toEqual(['ALARM']);
    });

    it('are held when it comes within the wait', async () => {
      await set('drift', 'ALARM');
      await local.advance(MINUTE_MS);
      await set('maintenance', 'ALARM');
      await local.advance(10 * MINUTE_MS);
      expect(await suppressedBy()).toBe('Alarm');
      expect(acted()).toEqual([]);
    });

    it('cannot lose it', async () => {
      await expect(
        local.client.send(new DeleteAlarmsCommand({ AlarmNames: ['maintenance'] })),
      ).rejects.toThrow('composite alarm all depends on it');
    });
  });

  it.each<[string, Partial<PutCompositeAlarmCommandInput>, string]>([
    [
      'of alarms that are not there',
      { AlarmRule: 'ALARM(x) OR OK(y) OR OK(drift)' },
      'alarms [x, y] do not exist',
    ],
    [
      'with a rule of its own making',
      { AlarmRule: 'SOME(drift)' },
      'The alarm rule "SOME(drift)" is not valid',
    ],
    [
      'with a suppressor and no periods',
      { ActionsSuppressor: 'drift' },
      'must be specified with ActionsSuppressor, and only then',
    ],
    ['with periods and no suppressor', { ActionsSuppressorWaitPeriod: 1 }, 'and only then'],
    [
      'with a suppressor that is not there',
      { ActionsSuppressor: 'x', ActionsSuppressorWaitPeriod: 1, ActionsSuppressorExtensionPeriod: 1 },
      'alarms [x] do not exist',
    ],
    [
      'in place of a metric alarm',
      { AlarmName: 'drift', AlarmRule: 'TRUE' },
      'cannot become a CompositeAlarm',
    ],
  ])('are refused %s', async (_, changes, message) => {
    await expect(putComposite(changes)).rejects.toThrow(ValidationException);
    await expect(putComposite(changes)).rejects.toThrow(message);
  });
});

describe('the history', () => {
  it('has everything, newest first', async () => {
    await put({ AlarmActions: [TOPIC] });
    await local.publish({}, [0.3]);
    await put({ Threshold: 1 });
    await local.client.send(new DeleteAlarmsCommand({ AlarmNames: ['drift'] }));
    const items = await history({ AlarmName: 'drift' });
    expect(items.map(({ HistoryItemType, HistorySummary }) => [HistoryItemType, HistorySummary])).toEqual([
      ['ConfigurationUpdate', 'Alarm "drift" deleted'],
      ['ConfigurationUpdate', 'Alarm "drift" updated'],
      ['Action', `Successfully executed action ${TOPIC}`],
      ['StateUpdate', 'Alarm updated from INSUFFICIENT_DATA to ALARM'],
      ['ConfigurationUpdate', 'Alarm "drift" created'],
    ]);
    expect(items[3]).toMatchObject({
      AlarmName: 'drift',
      AlarmType: 'MetricAlarm',
      Timestamp: new Date(Date.UTC(2026, 0, 1, 0, 1)),
    });
    expect(JSON.parse(items[3]?.HistoryData ?? '')).toEqual({
      version: '1.0',
      oldState: {
        stateValue: 'INSUFFICIENT_DATA',
        stateReason: 'Unchecked: Initial alarm creation',
      },
      newState: {
        stateValue: 'ALARM',
        stateReason: expect.stringContaining('Threshold Crossed'),
        stateReasonData: expect.objectContaining({ recentDatapoints: [0.3] }),
      },
    });
  });

  it('is filtered and paged', async () => {
    await put();
    for (let i = 0; i < 10; i++) {
      await local.advance(10_000);
      await set('drift', i % 2 === 0 ? 'ALARM' : 'OK');
    }
    const StartDate = new Date(Date.UTC(2026, 0, 1, 0, 0, 50));
    const EndDate = new Date(Date.UTC(2026, 0, 1, 0, 1, 10));
    expect(await history({ HistoryItemType: 'ConfigurationUpdate' })).toHaveLength(1);
    expect(await history({ AlarmName: 'other' })).toEqual([]);
    expect(await history({ AlarmTypes: ['CompositeAlarm'] })).toEqual([]);
    for (const { Timestamp } of await history({ StartDate, EndDate })) {
      expect(Timestamp && Timestamp >= StartDate && Timestamp <= EndDate).toBe(true);
    }
    const seen: (number | undefined)[] = [];
    const pages = paginateDescribeAlarmHistory(
      { client: local.client, pageSize: 4 },
      { AlarmName: 'drift', HistoryItemType: 'StateUpdate', ScanBy: 'TimestampAscending' },
    );
    for await (const { AlarmHistoryItems = [] } of pages) {
      seen.push(...AlarmHistoryItems.map(({ Timestamp }) => Timestamp?.getTime()));
    }
    expect(seen.length).toBeGreaterThanOrEqual(10);
    expect(seen).toEqual(seen.toSorted());
  });
});

describe('DescribeAlarms', () => {
  beforeEach(async () => {
    for (const AlarmName of ['b1', 'a1', 'a2'])
      await put({ AlarmName, AlarmActions: [`${TOPIC}-${AlarmName}`] });
    await putComposite({ AlarmRule: 'ALARM(a1)' });
  });

  const names = async (input: DescribeAlarmsCommandInput) =>
    (await describeAll({ AlarmTypes: undefined, ...input })).map(({ AlarmName }) => AlarmName);

  it('filters', async () => {
    expect(await names({})).toEqual(['a1', 'a2', 'b1']);
    expect(await names({ AlarmTypes: ['CompositeAlarm'] })).toEqual(['all']);
    expect(await names({ AlarmNamePrefix: 'a' })).toEqual(['a1', 'a2']);
    expect(await names({ AlarmNames: ['b1', 'x'] })).toEqual(['b1']);
    expect(await names({ ActionPrefix: `${TOPIC}-a` })).toEqual(['a1', 'a2']);
    await set('a2', 'ALARM');
    expect(await names({ StateValue: 'ALARM' })).toEqual(['a2']);
  });

  it('answers in pages', async () => {
    const seen: (string | undefined)[][] = [];
    const pages = paginateDescribeAlarms(
      { client: local.client, pageSize: 2 },
      { AlarmTypes: ['MetricAlarm', 'CompositeAlarm'] },
    );
    for await (const { MetricAlarms = [], CompositeAlarms = [] } of pages) {
      seen.push([...MetricAlarms, ...CompositeAlarms].map(({ AlarmName }) => AlarmName));
    }
    expect(seen).toEqual([
      ['a1', 'a2'],
      ['b1', 'all'],
    ]);
  });

  it('refuses what does not go together', async () => {
    await expect(names({ AlarmNames: ['a'], AlarmNamePrefix: 'a' })).rejects.toThrow('mutually exclusive');
    await expect(names({ ChildrenOfAlarmName: 'a', StateValue: 'OK' })).rejects.toThrow('go with no other');
    await expect(names({ ParentsOfAlarmName: 'a', ChildrenOfAlarmName: 'b' })).rejects.toThrow(
      'go with no other',
    );
    await expect(names({ NextToken: 'x' })).rejects.toThrow(InvalidNextToken);
    await expect(names({ MaxRecords: 101 })).rejects.toThrow('less than or equal to 100');
  });
});

describe('tags', () => {
  const list = async () =>
    (await local.client.send(new ListTagsForResourceCommand({ ResourceARN: ARN }))).Tags?.map(
      ({ Key, Value }) => `${Key}=${Value}`,
    );

  it('come with a new alarm, not with an update', async () => {
    await put({ Tags: [{ Key: 'team', Value: 'ml' }] });
    await put({ Tags: [{ Key: 'team', Value: 'ops' }] });
    expect(await list()).toEqual(['team=ml']);
    await local.client.send(
      new TagResourceCommand({ ResourceARN: ARN, Tags: [{ Key: 'drill', Value: '1' }] }),
    );
    await local.client.send(new UntagResourceCommand({ ResourceARN: ARN, TagKeys: ['team'] }));
    expect(await list()).toEqual(['drill=1']);
  });

  it('are of alarms only, and 50 at most', async () => {
    await expect(list()).rejects.toThrow(ResourceNotFoundException);
    await put();
    const Tags = Array.from({ length: 50 }, (_, index) => ({ Key: `k${index}`, Value: '' }));
    await local.client.send(new TagResourceCommand({ ResourceARN: ARN, Tags }));
    const more = new TagResourceCommand({ ResourceARN: ARN, Tags: [{ Key: 'more', Value: '' }] });
    await expect(local.client.send(more)).rejects.toThrow('at most 50 tags');
  });
});

describe('what is refused', () => {
  const query = (Id: string, changes = {}) => ({
    Id,
    MetricStat: { Metric: { Namespace: 'Tests', MetricName: 'drift' }, Period: 60, Stat: 'Sum' },
    ReturnData: false,
    ...changes,
  });
  const math = (...Metrics: object[]): Partial<PutMetricAlarmCommandInput> => ({
    Metrics: Metrics as PutMetricAlarmCommandInput['Metrics'],
    ...Object.fromEntries(
      ['Namespace', 'MetricName', 'Statistic', 'Period'].map((name) => [name, undefined]),
    ),
  });

  it.each<[string, Partial<PutMetricAlarmCommandInput>, string]>([
    ['no metric', { MetricName: undefined }, 'Exactly one of MetricName and Metrics must be specified.'],
    ['a metric and Metrics', { Metrics: [query('m')] }, 'Exactly one of MetricName and Metrics'],
    ['no statistic', { Statistic: undefined }, 'Exactly one of Statistic and ExtendedStatistic'],
    ['two statistics', { ExtendedStatistic: 'p90' }, 'Exactly one of Statistic and ExtendedStatistic'],
    ['no period', { Period: undefined }, 'Namespace and Period must be specified'],
    ['a period of 45 s', { Period: 45 }, 'Period must be 10, 20, 30 or a multiple of 60.'],
    ['a period of 90 s', { Period: 90 }, 'Period must be 10, 20, 30 or a multiple of 60.'],
    ['more than a day', { Period: 300, EvaluationPeriods: 289 }, 'cannot be checked across more than a day'],
    ['more than a week', { Period: 3600, EvaluationPeriods: 169 }, 'or a week'],
    ['M above N', { DatapointsToAlarm: 2 }, 'DatapointsToAlarm must be at most EvaluationPeriods.'],
    [
      'no threshold',
      { Threshold: undefined },
      "at 'threshold' failed to satisfy constraint: Member must not be null",
    ],
    ['NaN', { Threshold: Number.NaN }, 'Threshold must be a finite number.'],
    [
      'an operator of bands',
      { ComparisonOperator: 'GreaterThanUpperThreshold' },
      'Member must satisfy enum value set',
    ],
    ['a treatment', { TreatMissingData: 'Breaching' }, 'Member must satisfy enum value set'],
    [
      'samples of no percentile',
      { EvaluateLowSampleCountPercentile: 'ignore' },
      'is for alarms on percentiles',
    ],
    [
      'a trimmed mean',
      { Statistic: undefined, ExtendedStatistic: 'tm90' },
      'the local CloudWatch has percentiles only',
    ],
    ['p101', { Statistic: undefined, ExtendedStatistic: 'p101' }, 'has percentiles only'],
    [
      'six actions',
      { AlarmActions: Array(6).fill(TOPIC) },
      'Member must have length less than or equal to 5',
    ],
    ['an action that is no ARN', { AlarmActions: ['people'] }, 'Every action must be an ARN.'],
    ['a name with a control character', { AlarmName: 'a\nb' }, "at 'alarmName' failed to satisfy constraint"],
    ['PromQL', { EvaluationInterval: 60 }, 'PromQL is not supported by the local CloudWatch.'],
    ['an expression that is none', math({ Id: 'e', Expression: 'm1 +' }, query('m1')), 'it ends too early'],
    ['an id that is not there', math({ Id: 'e', Expression: 'm2' }, query('m1')), 'with the id m2'],
    [
      'an expression that is a number',
      math({ Id: 'e', Expression: 'SUM(m1)' }, query('m1')),
      'a single number',
    ],
    [
      'expressions in a circle',
      math({ Id: 'e', Expression: 'f' }, { Id: 'f', Expression: 'e', ReturnData: false }, query('m1')),
      'The expression e depends on itself.',
    ],
    [
      'several results',
      math({ Id: 'e', Expression: 'm1' }, query('m1', { ReturnData: true })),
      'ReturnData true',
    ],
    ['no result', math(query('m1')), 'Exactly one member of Metrics must have ReturnData true.'],
    ['an id twice', math(query('m1'), query('m1')), 'The ids of Metrics must be different.'],
    [
      'two periods',
      math({ Id: 'e', Expression: 'm1 + m2' }, query('m1'), {
        ...query('m2'),
        MetricStat: { ...query('m2').MetricStat, Period: 300 },
      }),
      'All of Metrics must have the same period.',
    ],
    ['neither metric nor expression', math({ Id: 'e' }), 'e must have either MetricStat or Expression.'],
    ['expressions alone', math({ Id: 'e', Expression: '1', Period: 60 }), 'at least one MetricStat'],
    [
      'eleven metrics',
      math({ Id: 'e', Expression: 'm0' }, ...Array.from({ length: 11 }, (_, index) => query(`m${index}`))),
      'at most 10 metrics and 10 expressions',
    ],
    [
      'Metrics and a period',
      { ...math(query('m1', { ReturnData: true })), Period: 60 },
      'Period and Metrics are mutually',
    ],
  ])('%s', async (_, changes, message) => {
    await expect(put(changes)).rejects.toThrow(ValidationException);
    await expect(put(changes)).rejects.toThrow(message);
    expect(await describeAll()).toEqual([]);
  });

  it('alarms that are not there', async () => {
    await put();
    await expect(local.client.send(new DeleteAlarmsCommand({ AlarmNames: ['drift', 'x'] }))).rejects.toThrow(
      ResourceNotFound,
    );
    expect(await describeAll()).toHaveLength(1);
    await expect(set('x', 'OK')).rejects.toThrow(ResourceNotFound);
  });

  it('a reason that is no JSON', async () => {
    await put();
    const input = { AlarmName: 'drift', StateValue: 'OK', StateReason: '', StateReasonData: '{' } as const;
    await expect(local.client.send(new SetAlarmStateCommand(input))).rejects.toThrow(InvalidFormatFault);
  });

  it('members that nobody knows, with the code of the older protocol', async () => {
    const answer = await fetch(local.endpoint, {
      method: 'POST',
      headers: {
        'x-amz-target': 'GraniteServiceVersion20100801.DescribeAlarms',
        authorization: 'AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/monitoring/aws4_request',
      },
      body: JSON.stringify({ AlarmName: 'x' }),
    });
    expect([answer.status, answer.headers.get('x-amzn-query-error')]).toEqual([
      400,
      'ValidationError;Sender',
    ]);
    expect(await answer.json()).toMatchObject({
      __type: 'ValidationException',
      message: expect.stringContaining("at 'alarmName' failed to satisfy constraint: Member is not known"),
    });
  });

  it('whom the account does not let', async () => {
    local.forbidden.add('cloudwatch:TagResource');
    await put();
    await expect(put({ Tags: [{ Key: 'a', Value: 'b' }] })).rejects.toThrow('may not cloudwatch:TagResource');
    local.authorized.length = 0;
    await describeAll({ AlarmTypes: undefined, AlarmNames: ['drift', 'x'] });
    await describeAll({ AlarmTypes: undefined });
    await local.client.send(new ListAlarmMuteRulesCommand({}));
    expect(local.authorized).toEqual([
      `cloudwatch:DescribeAlarms ${ARN}`,
      `cloudwatch:DescribeAlarms ${ARN.replace('drift', 'x')}`,
      `cloudwatch:DescribeAlarms ${ARN.replace('drift', '(every alarm)')}`,
      'cloudwatch:ListAlarmMuteRules *',
    ]);
  });
});

it('has no mute rules', async () => {
  expect((await local.client.send(new ListAlarmMuteRulesCommand({}))).AlarmMuteRuleSummaries).toEqual([]);
});
