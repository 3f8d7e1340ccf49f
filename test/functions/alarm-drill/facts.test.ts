import {
  CloudWatchClient,
  CloudWatchServiceException,
  DescribeAlarmsCommand,
  GetMetricDataCommand,
  ListAlarmMuteRulesCommand,
  ListMetricsCommand,
  PutCompositeAlarmCommand,
  PutMetricAlarmCommand,
  type PutMetricAlarmCommandInput,
  PutMetricDataCommand,
  type StandardUnit,
} from '@aws-sdk/client-cloudwatch';
import { DescribeKeyCommand, GetKeyPolicyCommand, KMSClient } from '@aws-sdk/client-kms';
import { GetFunctionConcurrencyCommand, GetPolicyCommand, LambdaClient } from '@aws-sdk/client-lambda';
import {
  type DeploymentConfig,
  DescribeEndpointCommand,
  SageMakerClient,
  type TrafficRoutingConfigType,
} from '@aws-sdk/client-sagemaker';
import {
  GetSubscriptionAttributesCommand,
  GetTopicAttributesCommand,
  ListSubscriptionsByTopicCommand,
  SNSClient,
} from '@aws-sdk/client-sns';
import { mockClient } from 'aws-sdk-client-mock';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { actionFacts, masked } from '../../../functions/alarm-drill/adapters/action-facts.ts';
import { bakeOf, readFacts } from '../../../functions/alarm-drill/adapters/facts.ts';
import { metricFacts } from '../../../functions/alarm-drill/adapters/metric-facts.ts';
import { GateDependencyError } from '../../../functions/shared/errors.ts';
import { drillOf, queryOf } from '../../support/alarm-facts.ts';
import { LocalCloudWatch } from '../../support/cloudwatch.ts';
import { FakeMessaging, snsError } from '../../support/fake-messaging.ts';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const ACCOUNT = '111122223333';
const ALARM = `arn:aws:cloudwatch:us-east-1:${ACCOUNT}:alarm:psi-distance`;
const CLIENT = { region: 'us-east-1' };

const failure = (name: string, status = 400, message = `the fake says ${name}`) =>
  Object.assign(new Error(message), { name, $metadata: { httpStatusCode: status } });

const DENIED = failure('AccessDeniedException', 403, 'may not');

/** Lets CloudWatch in, on behalf of this account. */
const policyFor = (service: string, action: string) =>
  JSON.stringify({
    Statement: [
      {
        Effect: 'Allow',
        Principal: { Service: service },
        Action: action,
        Resource: '*',
        Condition: { ArnLike: { 'aws:SourceArn': `arn:aws:cloudwatch:us-east-1:${ACCOUNT}:alarm:*` } },
      },
    ],
  });

describe('metricFacts', () => {
  const END = Date.UTC(2026, 0, 15, 3, 0, 30);
  const METRIC = { namespace: 'ML/Drift', name: 'psi', dimensions: { Feature: 'distance' } };
  let local: LocalCloudWatch;

  beforeEach(async () => {
    local = await LocalCloudWatch.start({ time: END });
  });

  afterEach(() => local.close());

  /** Publishes values at times before the end. */
  const publish = async (
    samples: { ago: number; value: number }[],
    {
      namespace = METRIC.namespace,
      name = METRIC.name,
      dimensions = METRIC.dimensions as Record<string, string>,
      unit,
      fine = false,
    }: { namespace?: string; name?: string; dimensions?: object; unit?: StandardUnit; fine?: boolean } = {},
  ) => {
    const MetricData = samples.map(({ ago, value }) => ({
      MetricName: name,
      Dimensions: Object.entries(dimensions).map(([Name, Value]) => ({ Name, Value: String(Value) })),
      Timestamp: new Date(END - ago),
      Value: value,
      ...(unit !== undefined && { Unit: unit }),
      StorageResolution: fine ? 1 : 60,
    }));
    for (let from = 0; from < MetricData.length; from += 1000) {
      const part = MetricData.slice(from, from + 1000);
      await local.client.send(new PutMetricDataCommand({ Namespace: namespace, MetricData: part }));
    }
  };

  const every = (ms: number, count: number, from = 0) =>
    Array.from({ length: count }, (_, index) => ({ ago: from + index * ms, value: 0.1 + index / 1000 }));

  const read = (periodS = 300, query = {}) =>
    metricFacts(local.client, queryOf({ metric: METRIC, ...query }), { periodS }, END, 200);

  test('of a metric that comes every five minutes', async () => {
    await publish(every(5 * MINUTE, 100));

    const facts = await read();

    expect(facts).toEqual({
      metric: METRIC,
      exists: true,
      near: [],
      // Not the period that is not over yet.
      periods: { asked: 99, anyUnit: 99, lookBackMs: 200 * 5 * MINUTE },
      recent: expect.any(Array),
      extremes: { min: 0.101, max: 0.199 },
      every: 5 * MINUTE,
      resolutionMs: SECOND,
      samplesPerPeriod: 1,
      newestAt: Date.UTC(2026, 0, 15, 3),
    });
    expect(facts.recent).toHaveLength(99);
    expect(facts.recent.at(-1)).toEqual({ at: Date.UTC(2026, 0, 15, 3), value: 0.101 });
    expect(facts.recent[0]?.at).toBe(Date.UTC(2026, 0, 15, 3) - 98 * 5 * MINUTE);
  });

  test('of many samples a period, at a high resolution', async () => {
    await publish(every(10 * SECOND, 360), { fine: true });

    expect(await read(60)).toMatchObject({
      every: 10 * SECOND,
      resolutionMs: SECOND,
      samplesPerPeriod: 6,
      newestAt: END - 10 * SECOND,
      periods: { asked: 60, lookBackMs: 200 * MINUTE },
    });
    expect(await read(10)).toMatchObject({
      every: 10 * SECOND,
      samplesPerPeriod: 1,
      periods: { asked: 359, lookBackMs: 2.5 * HOUR },
    });
  });

  test('of a usual resolution the minutes are known', async () => {
    await publish(every(10 * SECOND, 720));

    expect(await read(60)).toMatchObject({ every: MINUTE, samplesPerPeriod: 6 });
  });

  test('of a rare metric all of two weeks', async () => {
    await publish(every(DAY, 13, 2 * HOUR));

    const facts = await read();

    expect(facts).toMatchObject({
      every: DAY,
      resolutionMs: MINUTE,
      periods: { asked: 13, anyUnit: 13, lookBackMs: 14 * DAY },
      extremes: { min: 0.1, max: 0.112 },
      newestAt: Date.UTC(2026, 0, 15, 1),
    });
    expect(facts.recent).toHaveLength(13);
  });

  test('of one that ended days ago the newest data', async () => {
    await publish(every(MINUTE, 2000, 5 * DAY));

    const facts = await read(60);

    expect(facts).toMatchObject({
      exists: true,
      every: MINUTE,
      periods: { asked: 2000, anyUnit: 2000, lookBackMs: 14 * DAY },
      newestAt: Date.UTC(2026, 0, 10, 3),
    });
    expect(facts.recent).toHaveLength(200);
    expect(facts.recent.at(-1)).toEqual({ at: Date.UTC(2026, 0, 10, 3, 1), value: 0.1 });
  });

  test('of a short period beyond the hours whose seconds are kept', async () => {
    await publish(every(MINUTE, 50, 2 * DAY));

    expect(await read(10)).toMatchObject({
      exists: true,
      periods: { asked: 50, anyUnit: 50, lookBackMs: 14 * DAY },
      every: MINUTE,
    });
  });

  test('of a wrong unit', async () => {
    await publish(every(5 * MINUTE, 100), { unit: 'Percent' });

    const facts = await read(300, { unit: 'None' });

    expect(facts).toMatchObject({
      exists: true,
      periods: { asked: 0, anyUnit: 99 },
      recent: [],
      every: 5 * MINUTE,
    });
    expect(facts).not.toHaveProperty('extremes');
    expect(facts).not.toHaveProperty('samplesPerPeriod');
  });

  test('keeps as many data points as it is told', async () => {
    await publish(every(5 * MINUTE, 100));

    const query = queryOf({ metric: METRIC });
    const { recent } = await metricFacts(local.client, query, { periodS: 300 }, END, 7);

    expect(recent.map(({ value }) => value)).toEqual(
      [7, 6, 5, 4, 3, 2, 1].map((index) => 0.1 + index / 1000),
    );
  });

  test('names the nearest metrics of one that does not exist', async () => {
    const sample = [{ ago: HOUR, value: 1 }];
    const others = [
      { dimensions: { Feature: 'distance', Endpoint: 'churn' } },
      { dimensions: { Feature: 'delay' } },
      { namespace: 'ML/Drifts' },
      { name: 'PSI' },
      { name: 'accuracy' },
      { namespace: 'Tocsin/Drill' },
    ];
    for (const other of others) await publish(sample, other);

    const facts = await read();

    expect(facts).toEqual({
      metric: METRIC,
      exists: false,
      near: [
        { namespace: 'ML/Drifts', name: 'psi', dimensions: { Feature: 'distance' } },
        { namespace: 'ML/Drift', name: 'PSI', dimensions: { Feature: 'distance' } },
        { namespace: 'ML/Drift', name: 'psi', dimensions: { Feature: 'delay' } },
        { namespace: 'ML/Drift', name: 'psi', dimensions: { Feature: 'distance', Endpoint: 'churn' } },
      ],
      periods: { asked: 0, anyUnit: 0, lookBackMs: 14 * DAY },
      recent: [],
      resolutionMs: MINUTE,
    });
  });

  test('a metric that is listed exists, though it has no data', async () => {
    const mock = mockClient(CloudWatchClient);
    mock.on(GetMetricDataCommand).resolves({ MetricDataResults: [] });
    mock.on(ListMetricsCommand).callsFake(({ NextToken }) =>
      NextToken === undefined
        ? { Metrics: [{ Namespace: 'ML/Drift', MetricName: 'psi', Dimensions: [] }], NextToken: 'more' }
        : {
            Metrics: [
              {
                Namespace: 'ML/Drift',
                MetricName: 'psi',
                Dimensions: [{ Name: 'Feature', Value: 'distance' }],
              },
            ],
          },
    );

    const facts = await read();
    const [listed] = mock.commandCalls(ListMetricsCommand).map(({ args }) => args[0].input);
    mock.restore();

    expect(facts).toMatchObject({ exists: true, near: [] });
    expect(listed).toEqual({
      Namespace: 'ML/Drift',
      MetricName: 'psi',
      Dimensions: [{ Name: 'Feature', Value: 'distance' }],
    });
  });

  test('asks for each statistic once', async () => {
    const mock = mockClient(CloudWatchClient);
    mock.on(GetMetricDataCommand).callsFake(({ MetricDataQueries, EndTime }) => ({
      MetricDataResults: MetricDataQueries.map(({ Id }: { Id: string }) => ({
        Id,
        Timestamps: [4, 3, 2].map((ago) => new Date(EndTime.getTime() - ago * MINUTE)),
        Values: [1, 2, 3],
      })),
    }));

    await read(60, { statistic: 'p99', unit: 'Percent' });
    const inputs = mock.commandCalls(GetMetricDataCommand).map(({ args }) => args[0].input);
    mock.restore();

    const Metric = {
      Namespace: 'ML/Drift',
      MetricName: 'psi',
      Dimensions: [{ Name: 'Feature', Value: 'distance' }],
    };
    const to = Date.UTC(2026, 0, 15, 3);
    expect(inputs).toEqual([
      {
        MetricDataQueries: [
          { Stat: 'p99', Unit: 'Percent' },
          { Stat: 'SampleCount', Unit: 'Percent' },
          { Stat: 'SampleCount' },
          { Stat: 'Minimum', Unit: 'Percent' },
          { Stat: 'Maximum', Unit: 'Percent' },
        ].map((stat, index) => ({
          Id: `q${index}`,
          MetricStat: { Metric, Period: 60, ...stat },
          ReturnData: true,
        })),
        StartTime: new Date(to - 200 * MINUTE),
        EndTime: new Date(to),
        ScanBy: 'TimestampAscending',
      },
      {
        MetricDataQueries: [
          { Id: 'q0', MetricStat: { Metric, Period: 1, Stat: 'SampleCount' }, ReturnData: true },
        ],
        StartTime: new Date(END - HOUR),
        EndTime: new Date(END),
        ScanBy: 'TimestampAscending',
      },
    ]);
  });
});

describe('actionFacts', () => {
  const TOPIC = `arn:aws:sns:us-east-1:${ACCOUNT}:ml-oncall`;
  const FUNCTION = `arn:aws:lambda:us-east-1:${ACCOUNT}:function:page:live`;
  const KEY = `arn:aws:kms:us-east-1:${ACCOUNT}:key/1234`;
  const mocks = () => ({ kms: mockClient(KMSClient), lambda: mockClient(LambdaClient) });
  let messaging: FakeMessaging;
  let mock: ReturnType<typeof mocks>;
  const clients = {
    sns: new SNSClient(CLIENT),
    lambda: new LambdaClient(CLIENT),
    kms: new KMSClient(CLIENT),
  };

  beforeEach(() => {
    messaging = new FakeMessaging();
    mock = mocks();
  });

  afterEach(() => {
    messaging.restore();
    mock.kms.restore();
    mock.lambda.restore();
  });

  const read = (arn: string, alarms = [ALARM]) =>
    actionFacts(clients, arn, { account: ACCOUNT, region: 'us-east-1', alarms });

  const topicWith = (attributes: Record<string, string> = {}) =>
    messaging.topic('ml-oncall', {
      attributes: { Policy: policyFor('cloudwatch.amazonaws.com', 'sns:Publish'), ...attributes },
    });

  test('reads a topic and its subscribers', async () => {
    const topic = topicWith();
    messaging.subscribe(topic, 'email', 'anna@example.com');
    messaging.subscribe(topic, 'email', 'ben@example.com', { pending: true });
    messaging.subscribe(topic, 'https', 'https://key:secret@hooks.example.com/services/T0/secret?x=1', {
      filter: { AlarmName: [{ prefix: 'prod-' }] },
      scope: 'MessageBody',
    });
    messaging.subscribe(topic, 'sms', '+491701234567', { filter: { severity: ['page'], $or: [] } });
    messaging.subscribe(topic, 'sqs', `arn:aws:sqs:us-east-1:${ACCOUNT}:tocsin-drill-1a2b3c4d`);
    messaging.subscribe(topic, 'sqs', `arn:aws:sqs:us-east-1:${ACCOUNT}:tickets`);
    messaging.pageSize = 2;

    expect(await read(topic)).toEqual({
      kind: 'sns',
      arn: TOPIC,
      exists: true,
      publish: { verdict: 'allowed', why: 'the policy lets cloudwatch.amazonaws.com do sns:Publish' },
      subscriptions: [
        { protocol: 'email', endpoint: 'a***@example.com', pending: false },
        { protocol: 'sqs', endpoint: `arn:aws:sqs:us-east-1:${ACCOUNT}:tickets`, pending: false },
        {
          protocol: 'https',
          endpoint: 'https://hooks.example.com/***',
          pending: false,
          filter: '{"AlarmName":[{"prefix":"prod-"}]}',
        },
        {
          protocol: 'sms',
          endpoint: '***67',
          pending: false,
          filter: '{"attribute severity":["page"],"$or":[]}',
        },
        { protocol: 'email', endpoint: 'b***@example.com', pending: true },
      ],
    });
    const inputs = (command: unknown) =>
      messaging.sns.commandCalls(command as never).map(({ args }) => args[0].input);
    expect(inputs(GetTopicAttributesCommand)).toEqual([{ TopicArn: TOPIC }]);
    expect(inputs(ListSubscriptionsByTopicCommand)).toEqual([
      { TopicArn: TOPIC },
      { TopicArn: TOPIC, NextToken: '2' },
      { TopicArn: TOPIC, NextToken: '4' },
    ]);
    expect(inputs(GetSubscriptionAttributesCommand)[0]).toEqual({
      SubscriptionArn: messaging.topics.get(TOPIC)?.subscriptions[0]?.arn,
    });
  });

  test('a topic that is gone does not exist', async () => {
    expect(await read(TOPIC)).toEqual({ kind: 'sns', arn: TOPIC, exists: false, subscriptions: [] });
  });

  test('the alarm that may least counts', async () => {
    const only = JSON.parse(policyFor('cloudwatch.amazonaws.com', 'sns:Publish'));
    only.Statement[0].Condition.ArnLike['aws:SourceArn'] = ALARM;
    const topic = topicWith({ Policy: JSON.stringify(only) });

    expect(await read(topic)).toMatchObject({ publish: { verdict: 'allowed' } });
    expect(await read(topic, [ALARM, ALARM.replace('psi-distance', 'parent')])).toMatchObject({
      publish: { verdict: 'denied' },
    });
  });

  test('many subscribers are told of by a few', async () => {
    const topic = topicWith();
    for (let index = 0; index < 300; index++) {
      const filter = index % 2 === 0 ? {} : { filter: { a: ['x'.repeat(1000)] }, scope: 'MessageBody' };
      messaging.subscribe(topic, 'email', `p${index}@example.com`, { pending: index % 3 === 0, ...filter });
    }

    const facts = await read(topic);

    if (facts.kind !== 'sns') throw new Error('expected a topic');
    expect(facts.subscriptions).toHaveLength(15);
    expect(Math.max(...facts.subscriptions.map(({ filter = '' }) => filter.length))).toBe(500);
    expect(messaging.sns.commandCalls(GetSubscriptionAttributesCommand)).toHaveLength(20);
  });

  describe('of an encrypted topic', () => {
    const keyOf = async (id: string) => {
      const facts = await read(topicWith({ KmsMasterKeyId: id }));
      return facts.kind === 'sns' ? facts.key : undefined;
    };
    const MANAGED = 'AWS manages the key, and its policy does not let CloudWatch use it';

    test.each(['alias/aws/sns', `arn:aws:kms:us-east-1:${ACCOUNT}:alias/aws/sns`])(
      '%s is out',
      async (id) => {
        expect(await keyOf(id)).toEqual({ id, verdict: 'denied', why: MANAGED });
        expect(mock.kms.calls()).toHaveLength(0);
      },
    );

    test.each([
      ['kms:*', 'allowed', 'the policy of the key lets CloudWatch use it'],
      [
        'kms:GenerateDataKey*',
        'denied',
        'no statement of the policy lets cloudwatch.amazonaws.com do kms:Decrypt',
      ],
    ])('a key of the customer that allows %s is %s', async (action, verdict, why) => {
      mock.kms.on(DescribeKeyCommand).resolves({
        KeyMetadata: { KeyId: '1234', Arn: KEY, KeyManager: 'CUSTOMER', KeyState: 'Enabled' },
      });
      mock.kms.on(GetKeyPolicyCommand).resolves({ Policy: policyFor('cloudwatch.amazonaws.com', action) });

      expect(await keyOf('alias/alarms')).toEqual({ id: 'alias/alarms', verdict, why });
      expect(mock.kms.commandCalls(DescribeKeyCommand)[0]?.args[0].input).toEqual({ KeyId: 'alias/alarms' });
      expect(mock.kms.commandCalls(GetKeyPolicyCommand)[0]?.args[0].input).toEqual({
        KeyId: KEY,
        PolicyName: 'default',
      });
    });

    test('a managed key is told by what it is', async () => {
      mock.kms
        .on(DescribeKeyCommand)
        .resolves({ KeyMetadata: { KeyId: '1234', Arn: KEY, KeyManager: 'AWS', KeyState: 'Enabled' } });

      expect(await keyOf('1234')).toEqual({ id: '1234', verdict: 'denied', why: MANAGED });
    });

    test.each([
      [failure('NotFoundException'), { verdict: 'denied', why: 'there is no such key' }],
      [
        DENIED,
        {
          verdict: 'unclear',
          why: 'the key cannot be looked at: DescribeKey 1234 failed (HTTP 403): AccessDeniedException: may not',
        },
      ],
    ])('%s', async (error, expected) => {
      mock.kms.on(DescribeKeyCommand).rejects(error);

      expect(await keyOf('1234')).toEqual({ id: '1234', ...expected });
    });

    test('a key that is to be deleted is out', async () => {
      mock.kms.on(DescribeKeyCommand).resolves({ KeyMetadata: { KeyId: '1', KeyState: 'PendingDeletion' } });

      expect(await keyOf('1')).toEqual({ id: '1', verdict: 'denied', why: 'the key is PendingDeletion' });
    });
  });

  describe('of a function', () => {
    test('reads whether CloudWatch may invoke it', async () => {
      mock.lambda.on(GetFunctionConcurrencyCommand).resolves({});
      mock.lambda.on(GetPolicyCommand).resolves({
        Policy: policyFor('lambda.alarms.cloudwatch.amazonaws.com', 'lambda:InvokeFunction'),
      });

      expect(await read(FUNCTION)).toEqual({
        kind: 'lambda',
        arn: FUNCTION,
        exists: true,
        invoke: {
          verdict: 'allowed',
          why: 'the policy lets lambda.alarms.cloudwatch.amazonaws.com do lambda:InvokeFunction',
        },
      });
      expect(mock.lambda.calls().map(({ args }) => args[0].input)).toEqual([
        { FunctionName: FUNCTION.replace(/:live$/, '') },
        { FunctionName: FUNCTION },
      ]);
    });

    test('without a policy nobody may', async () => {
      mock.lambda.on(GetFunctionConcurrencyCommand).resolves({});
      mock.lambda.on(GetPolicyCommand).rejects(failure('ResourceNotFoundException', 404));

      expect(await read(FUNCTION)).toMatchObject({ exists: true, invoke: { verdict: 'denied' } });
    });

    test('one that is gone does not exist', async () => {
      mock.lambda.on(GetFunctionConcurrencyCommand).rejects(failure('ResourceNotFoundException', 404));

      expect(await read(FUNCTION)).toEqual({ kind: 'lambda', arn: FUNCTION, exists: false });
    });
  });

  test.each([
    [
      'arn:aws:automate:us-east-1:ec2:stop',
      'stops, terminates, reboots or recovers an EC2 instance, which only the event itself shows',
    ],
    [`arn:aws:ssm:us-east-1:${ACCOUNT}:opsitem:1`, 'opens an OpsItem, which only the event itself shows'],
    ['arn:aws:new:us-east-1:1:thing', 'nothing here knows actions of new'],
    [TOPIC.replace('us-east-1', 'eu-west-1'), 'it is in another region, eu-west-1'],
  ])('%s is not looked at', async (arn, why) => {
    expect(await read(arn)).toEqual({ kind: 'unchecked', arn, why });
  });

  test('a topic of another account need not let us look', async () => {
    messaging.fails = () => snsError('AuthorizationErrorException', 403);
    const arn = TOPIC.replace(ACCOUNT, '444455556666');

    expect(await read(arn)).toEqual({
      kind: 'unchecked',
      arn,
      why: 'account 444455556666 does not let this one look at it',
    });
    await expect(read(TOPIC)).rejects.toThrow(GateDependencyError);
  });

  test.each([
    ['email', 'a@example.com', 'a***@example.com'],
    ['email-json', '@example.com', '***@example.com'],
    ['sms', '+491701234567', '***67'],
    ['http', 'http://example.com:8080', 'http://example.com:8080/***'],
    ['lambda', FUNCTION, FUNCTION],
  ])('masks %s %s', (protocol, endpoint, expected) => {
    expect(masked(protocol, endpoint)).toBe(expected);
  });
});

describe('bakeOf', () => {
  const shift = (Type: TrafficRoutingConfigType, rest = {}): DeploymentConfig => ({
    BlueGreenUpdatePolicy: {
      TrafficRoutingConfiguration: { Type, WaitIntervalInSeconds: 300, ...rest },
      TerminationWaitInSeconds: 60,
    },
  });
  const percent = (Value: number) => ({ Type: 'CAPACITY_PERCENT' as const, Value });
  const count = (Value: number) => ({ Type: 'INSTANCE_COUNT' as const, Value });
  const rolling = (MaximumBatchSize: ReturnType<typeof percent> | ReturnType<typeof count>) => ({
    RollingUpdatePolicy: { MaximumBatchSize, WaitIntervalInSeconds: 120 },
  });

  test.each<[string, DeploymentConfig | undefined, number[], number | undefined]>([
    ['all at once: one wait', shift('ALL_AT_ONCE'), [1], 360],
    ['canary: two waits', shift('CANARY', { CanarySize: percent(10) }), [1], 660],
    ['linear: one wait a step', shift('LINEAR', { LinearStepSize: percent(30) }), [1], 4 * 300 + 60],
    ['linear by instances', shift('LINEAR', { LinearStepSize: count(2) }), [5, 9], 3 * 300 + 60],
    ['rolling by share', rolling(percent(50)), [4], 240],
    ['rolling by instances', rolling(count(1)), [3], 360],
    ['no update policy', { AutoRollbackConfiguration: { Alarms: [] } }, [1], undefined],
    ['no deployment', undefined, [], undefined],
  ])('%s', (_, config, instances, seconds) => {
    expect(bakeOf(config, instances)).toBe(seconds === undefined ? undefined : seconds * 1000);
  });
});

describe('readFacts', () => {
  const NOW = Date.UTC(2026, 0, 15, 3, 0, 30);
  const LOCAL = '000000000000';
  const ONCALL = `arn:aws:sns:us-east-1:${ACCOUNT}:ml-oncall`;
  const mocks = () => ({
    kms: mockClient(KMSClient),
    lambda: mockClient(LambdaClient),
    sagemaker: mockClient(SageMakerClient),
  });
  let local: LocalCloudWatch;
  let messaging: FakeMessaging;
  let mock: ReturnType<typeof mocks>;

  beforeEach(async () => {
    local = await LocalCloudWatch.start({ time: NOW });
    messaging = new FakeMessaging();
    mock = mocks();
    messaging.subscribe(
      messaging.topic('ml-oncall', {
        attributes: {
          Policy: JSON.stringify({ Statement: [{ Effect: 'Allow', Principal: '*', Action: '*' }] }),
        },
      }),
      'email',
      'anna@example.com',
    );
  });

  afterEach(async () => {
    messaging.restore();
    for (const one of Object.values(mock)) one.restore();
    await local.close();
  });

  const read = (drill = drillOf()) =>
    readFacts(
      {
        cloudwatch: local.client,
        sns: new SNSClient(CLIENT),
        lambda: new LambdaClient(CLIENT),
        kms: new KMSClient(CLIENT),
        sagemaker: new SageMakerClient(CLIENT),
      },
      drill,
      () => NOW,
    );

  const put = (change: Partial<PutMetricAlarmCommandInput> = {}) =>
    local.client.send(
      new PutMetricAlarmCommand({
        AlarmName: 'psi-distance',
        Namespace: 'ML/Drift',
        MetricName: 'psi',
        Dimensions: [{ Name: 'Feature', Value: 'distance' }],
        Statistic: 'Average',
        Period: 300,
        EvaluationPeriods: 3,
        DatapointsToAlarm: 2,
        Threshold: 0.2,
        ComparisonOperator: 'GreaterThanOrEqualToThreshold',
        AlarmActions: [ONCALL],
        ...change,
      }),
    );

  const compose = (AlarmName: string, AlarmRule: string, rest = {}) =>
    local.client.send(
      new PutCompositeAlarmCommand({ AlarmName, AlarmRule, AlarmActions: [ONCALL], ...rest }),
    );

  test('reads everything that an alarm depends on', async () => {
    await put();
    await put({ AlarmName: 'deploying' });
    await put({ AlarmName: 'latency' });
    await compose('page', 'ALARM("psi-distance") AND NOT ALARM("latency")', {
      ActionsSuppressor: 'deploying',
      ActionsSuppressorWaitPeriod: 60,
      ActionsSuppressorExtensionPeriod: 60,
      AlarmDescription: 'long words',
    });
    await local.client.send(
      new PutMetricDataCommand({
        Namespace: 'ML/Drift',
        MetricData: Array.from({ length: 10 }, (_, index) => ({
          MetricName: 'psi',
          Dimensions: [{ Name: 'Feature', Value: 'distance' }],
          Timestamp: new Date(NOW - index * 5 * MINUTE),
          Value: 0.05,
        })),
      }),
    );
    mock.sagemaker.on(DescribeEndpointCommand).resolves({
      LastDeploymentConfig: {
        BlueGreenUpdatePolicy: {
          TrafficRoutingConfiguration: { Type: 'CANARY', WaitIntervalInSeconds: 600 },
        },
        AutoRollbackConfiguration: { Alarms: [{ AlarmName: 'psi-distance' }] },
      },
      ProductionVariants: [{ VariantName: 'main', CurrentInstanceCount: 2 }],
    });

    const facts = await read(
      drillOf({ intended: { fires: '>= 0.2', within: '30m', guards: 'churn-staging' } }),
    );

    expect(facts).toEqual({
      readAt: NOW,
      account: LOCAL,
      region: 'us-east-1',
      alarm: expect.objectContaining({ kind: 'metric', name: 'psi-distance', threshold: 0.2 }),
      near: [],
      parents: [
        expect.objectContaining({
          name: 'page',
          suppressor: { alarm: 'deploying', waitS: 60, extensionS: 60 },
        }),
      ],
      others: { latency: 'INSUFFICIENT_DATA', deploying: 'INSUFFICIENT_DATA' },
      metrics: { m1: expect.objectContaining({ exists: true, every: 5 * MINUTE }) },
      actions: {
        [ONCALL]: expect.objectContaining({
          kind: 'sns',
          exists: true,
          subscriptions: [{ protocol: 'email', endpoint: 'a***@example.com', pending: false }],
        }),
      },
      mutes: [],
      guardrail: { endpoint: 'churn-staging', exists: true, alarms: ['psi-distance'], bakeMs: 1_200_000 },
      unread: [],
    });
    expect(facts.parents[0]).not.toHaveProperty('description');
    expect(mock.sagemaker.commandCalls(DescribeEndpointCommand)[0]?.args[0].input).toEqual({
      EndpointName: 'churn-staging',
    });
  });

  test('names alarms like the one that does not exist', async () => {
    for (const AlarmName of ['psi-distanse', 'PSI-delay', 'latency', 'tocsin-drill-x']) {
      await put({ AlarmName });
    }

    expect(await read()).toEqual({
      readAt: NOW,
      account: '',
      region: 'us-east-1',
      alarm: null,
      near: ['psi-distanse', 'PSI-delay', 'latency'],
      parents: [],
      others: {},
      metrics: {},
      actions: {},
      mutes: [],
      unread: [],
    });
  });

  test('names the children of a composite alarm', async () => {
    await put({ AlarmName: 'a' });
    await put({ AlarmName: 'b' });
    await compose('psi-distance', 'ALARM("a") OR ALARM("b")');

    expect(await read()).toMatchObject({ alarm: { kind: 'composite' }, near: ['a', 'b'], metrics: {} });
  });

  test('an endpoint that does not exist, another failure', async () => {
    await put();
    mock.sagemaker
      .on(DescribeEndpointCommand)
      .rejectsOnce(failure('ValidationException', 400, 'Could not find endpoint "arn:x".'))
      .rejects(DENIED);
    const drill = drillOf({ intended: { fires: '>= 0.2', within: '30m', guards: 'gone' } });

    expect(await read(drill)).toMatchObject({
      guardrail: { endpoint: 'gone', exists: false, alarms: [] },
      unread: [],
    });
    const facts = await read(drill);
    expect(facts).not.toHaveProperty('guardrail');
    expect(facts.unread).toEqual([
      {
        what: 'deployments of gone',
        why: 'DescribeEndpoint gone failed (HTTP 403): AccessDeniedException: may not',
      },
    ]);
  });

  test('what cannot be read is said, and the rest goes on', async () => {
    await put();
    local.forbidden.add('cloudwatch:GetMetricData').add('cloudwatch:ListAlarmMuteRules');
    messaging.fails = () => snsError('InternalErrorException', 500);

    const facts = await read();

    expect(facts).toMatchObject({
      alarm: { name: 'psi-distance' },
      metrics: {},
      mutes: [],
      actions: { [ONCALL]: { kind: 'unchecked', arn: ONCALL, why: 'it could not be looked at' } },
    });
    expect(facts.unread.map(({ what }) => what).sort()).toEqual([
      'data of m1',
      'mute rules',
      `the action ${ONCALL}`,
    ]);
  });

  test('without the alarm there is nothing to read', async () => {
    local.forbidden.add('cloudwatch:DescribeAlarms');

    await expect(read()).rejects.toThrow(GateDependencyError);
  });
});

describe('mute rules and bounds', () => {
  const NOW = Date.UTC(2026, 0, 15);
  const mocks = () => ({
    cloudwatch: mockClient(CloudWatchClient),
    sns: mockClient(SNSClient),
    kms: mockClient(KMSClient),
    lambda: mockClient(LambdaClient),
    sagemaker: mockClient(SageMakerClient),
  });
  let mock: ReturnType<typeof mocks>;

  beforeEach(() => {
    mock = mocks();
    mock.cloudwatch.on(DescribeAlarmsCommand).resolves({ MetricAlarms: [RAW] });
    mock.cloudwatch.on(GetMetricDataCommand).resolves({ MetricDataResults: [] });
    mock.cloudwatch.on(ListMetricsCommand).resolves({});
    mock.cloudwatch.on(ListAlarmMuteRulesCommand).resolves({});
  });

  afterEach(() => {
    for (const one of Object.values(mock)) one.restore();
  });

  const RAW = {
    AlarmName: 'psi-distance',
    AlarmArn: ALARM,
    Namespace: 'ML/Drift',
    MetricName: 'psi',
    Statistic: 'Average' as const,
    Period: 60,
    EvaluationPeriods: 1,
    Threshold: 1,
    ComparisonOperator: 'GreaterThanThreshold' as const,
    StateValue: 'OK' as const,
  };

  const read = () =>
    readFacts(
      {
        cloudwatch: new CloudWatchClient(CLIENT),
        sns: new SNSClient(CLIENT),
        lambda: new LambdaClient(CLIENT),
        kms: new KMSClient(CLIENT),
        sagemaker: new SageMakerClient(CLIENT),
      },
      drillOf(),
      () => NOW,
    );

  test('reads mute rules', async () => {
    const arn = `arn:aws:cloudwatch:us-east-1:${ACCOUNT}:alarm-mute-rule:`;
    mock.cloudwatch
      .on(ListAlarmMuteRulesCommand)
      .resolvesOnce({
        NextToken: 'more',
        AlarmMuteRuleSummaries: [
          { AlarmMuteRuleArn: `${arn}weekend`, Status: 'ACTIVE', ExpireDate: new Date(NOW + DAY) },
        ],
      })
      .resolves({ AlarmMuteRuleSummaries: [{ AlarmMuteRuleArn: `${arn}later`, Status: 'SCHEDULED' }] });

    const { mutes } = await read();

    expect(mutes).toEqual([
      { name: 'weekend', active: true, until: NOW + DAY },
      { name: 'later', active: false },
    ]);
    const input = { AlarmName: 'psi-distance', Statuses: ['ACTIVE', 'SCHEDULED'] };
    expect(mock.cloudwatch.commandCalls(ListAlarmMuteRulesCommand).map(({ args }) => args[0].input)).toEqual([
      input,
      { ...input, NextToken: 'more' },
    ]);
  });

  test('a CloudWatch that knows no mute rules has none', async () => {
    mock.cloudwatch.on(ListAlarmMuteRulesCommand).rejects(
      new CloudWatchServiceException({
        name: 'UnknownOperationException',
        message: '',
        $fault: 'client',
        $metadata: { httpStatusCode: 404 },
      }),
    );

    expect(await read()).toMatchObject({ mutes: [], unread: [] });
  });

  test('however much there is, it stays below 60 KB and says what is left out', async () => {
    const long = (name: string) => name.padEnd(200, '-');
    const parents = Array.from({ length: 100 }, (_, index) => long(`parent-${index}`));
    const rule = Array.from({ length: 100 }, (_, index) => `ALARM("c${index}")`).join(' OR ');
    mock.cloudwatch.on(DescribeAlarmsCommand).callsFake(({ ParentsOfAlarmName, AlarmNames = [] }) => {
      if (ParentsOfAlarmName !== undefined) {
        return { CompositeAlarms: parents.map((AlarmName) => ({ AlarmName })) };
      }
      if (AlarmNames[0] === 'psi-distance') {
        const Metric = { Namespace: 'ML/Drift', MetricName: 'psi', Dimensions: [] };
        const Metrics = Array.from({ length: 10 }, (_, index) => ({
          Id: `m${index}`,
          MetricStat: { Metric, Period: 60, Stat: 'Average' },
          ReturnData: index === 0,
        }));
        return { MetricAlarms: [{ ...RAW, Metrics, AlarmActions: [1, 2, 3, 4, 5].map(topic) }] };
      }
      return {
        CompositeAlarms: AlarmNames.filter((name: string) => name.startsWith('parent')).map(
          (AlarmName: string) => ({
            AlarmName,
            AlarmArn: AlarmName,
            AlarmRule: rule.replace('c0', AlarmName),
            AlarmDescription: 'x'.repeat(1000),
            AlarmActions: [6, 7, 8, 9, 10].map(topic),
          }),
        ),
      };
    });
    mock.cloudwatch.on(GetMetricDataCommand).callsFake(({ MetricDataQueries, EndTime }) => ({
      MetricDataResults: MetricDataQueries.map(({ Id }: { Id: string }) => ({
        Id,
        Timestamps: Array.from(
          { length: 200 },
          (_, index) => new Date(EndTime.getTime() - (index + 1) * MINUTE),
        ),
        Values: Array.from({ length: 200 }, (_, index) => 1 / (index + 3)),
      })),
    }));
    mock.sns.on(GetTopicAttributesCommand).resolves({
      Attributes: { Policy: policyFor('cloudwatch.amazonaws.com', 'sns:Publish') },
    });
    mock.sns.on(ListSubscriptionsByTopicCommand).resolves({
      Subscriptions: Array.from({ length: 100 }, (_, index) => ({
        SubscriptionArn: index < 50 ? `arn:${index}` : 'PendingConfirmation',
        Protocol: 'sqs',
        Endpoint: long(`arn:aws:sqs:us-east-1:${ACCOUNT}:queue-${index}`),
      })),
    });
    mock.sns.on(GetSubscriptionAttributesCommand).resolves({
      Attributes: {
        FilterPolicy: JSON.stringify({ a: ['x'.repeat(5000)] }),
        FilterPolicyScope: 'MessageBody',
      },
    });
    const topic = (index: number) => long(`arn:aws:sns:us-east-1:${ACCOUNT}:topic-${index}`);

    const facts = await read();

    expect(JSON.stringify(facts).length).toBeLessThan(60_000);
    expect(facts.parents.length).toBeGreaterThan(1);
    expect(Object.keys(facts.metrics)).toHaveLength(10);
    expect(facts.metrics.m0?.recent).toHaveLength(30);
    expect(facts.unread).toEqual([
      { what: 'composite alarms above it', why: expect.stringMatching(/^only \d+ of 100 are looked at$/) },
      { what: 'actions', why: expect.stringMatching(/^only \d+ of 10 are looked at$/) },
    ]);
  });

  test.each([
    [30, 75, 10],
    [30, 900, null],
  ])(
    'an alarm of 10 metrics with %i dimensions of %i characters leaves room for %s data points',
    async (many, long, points) => {
      const Dimensions = Array.from({ length: many }, (_, index) => ({
        Name: `d${index}`,
        Value: 'v'.repeat(long),
      }));
      const Metrics = Array.from({ length: 10 }, (_, index) => ({
        Id: `m${index}`,
        MetricStat: {
          Metric: { Namespace: 'ML/Drift', MetricName: `psi-${index}`, Dimensions },
          Period: 60,
          Stat: 'Average',
        },
        ReturnData: index === 0,
      }));
      mock.cloudwatch.on(DescribeAlarmsCommand).callsFake(({ AlarmNames }) => ({
        MetricAlarms: AlarmNames === undefined ? [] : [{ ...RAW, Metrics }],
      }));
      mock.cloudwatch.on(GetMetricDataCommand).callsFake(({ MetricDataQueries, EndTime }) => ({
        MetricDataResults: MetricDataQueries.map(({ Id }: { Id: string }) => ({
          Id,
          Timestamps: Array.from(
            { length: 200 },
            (_, index) => new Date(EndTime.getTime() - (index + 1) * MINUTE),
          ),
          Values: Array.from({ length: 200 }, (_, index) => 1 / (index + 3)),
        })),
      }));
      if (points === null) {
        await expect(read()).rejects.toThrow(/^the configuration of the alarm psi-distance is too large/);
        return;
      }
      const facts = await read();
      expect(JSON.stringify(facts).length).toBeLessThan(60_000);
      expect(facts.metrics.m9?.recent).toHaveLength(points);
    },
  );
});
