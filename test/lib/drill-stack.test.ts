import { readFileSync } from 'node:fs';
import { runSimulation } from '@cloud-copilot/iam-simulate';
import { describe, expect, test } from 'vitest';
import { environmentSchema } from '../../functions/alarm-drill/schema.ts';
import { monitorEnvironmentSchema } from '../../functions/quality-gate/schema.ts';
import { longestDrill } from '../../lib/gates/alarm-drill.ts';
import { mayDo, type PolicyDocument } from '../support/access.ts';
import { matches } from '../support/event-pattern.ts';
import { everyFunction, permissionsOf, policyOf } from '../support/permissions.ts';
import {
  ACCOUNT,
  checkWithNag,
  configOf,
  contractOf,
  deployed,
  REGION,
  resourceOf,
  resourcesOfGates,
  synthesize,
} from '../support/synthesize.ts';

const LIVE = `  errors:
    alarm: delay-errors
    intended:
      fires: "> 0.01"
      within: 5m
      metric: { namespace: Delay, name: errors }
      guards: Delay-staging
    mode: live
    live: { because: staging alone emits it }
    deliver: real
    schedule: rate(7 days)
    afterDeployOf: [training]
`;
const SHADOWED = `  latency:
    alarm: delay-latency
    intended: { fires: ">= 0.8", within: 10m }
    afterDeployOf: [training]
`;
const TRAFFIC = `  drift:
    alarm: tocsin-drift-delay
    intended: { fires: ">= 0.2", within: 2h }
    mode: traffic
    traffic: { endpoint: Delay-staging, dataset: flights, features: [id], feature: id }
`;

/** Uses everything that drills and monitors have. */
const CONFIG = configOf(
  `tocsin: 1
datasets:
  flights: { contract: flights.yaml, prefix: flights/ }
alarmDrills:
${LIVE}${SHADOWED}${TRAFFIC}driftMonitors:
  delay:
    endpoint: Delay-staging
    capture: s3://captures/staging/
    dataset: flights
    features: [id]
    schedule: rate(15 minutes)
    alarm: { threshold: 0.2, evaluationPeriods: 2 }
  arrivals:
    endpoint: arrivals
    capture: s3://captures/arrivals/
    kmsKey: arn:aws:kms:eu-central-1:111122223333:key/captures
    dataset: flights
    features: [id]
`,
  { 'flights.yaml': contractOf('flights') },
);
const template = synthesize(CONFIG);
const plain = <T>(value: T): T => deployed<T>(template, value);
const local = `${REGION}:${ACCOUNT}`;
/** One drill on clones alone: as little as a stack may have. */
const CLONES = configOf(`tocsin: 1\nalarmDrills:\n${SHADOWED}`, {});

/** Whether a topic lets somebody in whose own policy allows everything. */
async function topicAdmits(
  action: string,
  principal: { role: string } | { service: string },
  context: Record<string, string>,
): Promise<boolean> {
  const topic = resourceOf<{ PolicyDocument: PolicyDocument }>(
    template,
    'AWS::SNS::TopicPolicy',
    'AlarmDrillProbe',
  );
  const everything = { Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: '*', Resource: '*' }] };
  const result = await runSimulation(
    {
      request: {
        principal:
          'role' in principal
            ? `arn:aws:sts::${ACCOUNT}:assumed-role/${principal.role}/session`
            : principal.service,
        action,
        resource: { resource: `arn:aws:sns:${local}:alarmdrillprobe`, accountId: ACCOUNT },
        contextVariables: { 'aws:SecureTransport': 'true', ...context },
      },
      identityPolicies: 'role' in principal ? [{ name: 'all', policy: everything }] : [],
      serviceControlPolicies: [],
      resourceControlPolicies: [],
      resourcePolicy: plain(topic.PolicyDocument),
    },
    {},
  );
  if (result.resultType === 'error') throw new Error(JSON.stringify(result.errors));
  return result.overallResult === 'Allowed';
}

const EVIDENCE = 'arn:aws:s3:::evidencebucket';
const WORK = 'arn:aws:s3:::workbucket';
const KEEPING = ['s3:DeleteObject', 's3:GetObject', 's3:PutObject'];
const XRAY = ['xray:PutTelemetryRecords', 'xray:PutTraceSegments'];
const shadow = `arn:aws:cloudwatch:${local}:alarm:tocsin-drill-1a2b3c4d-1-2x`;
const queue = `arn:aws:sqs:${local}:tocsin-drill-1a2b3c4d`;
const probe = `arn:aws:sns:${local}:alarmdrillprobe`;

describe('the role of the drill', () => {
  const policy = policyOf(template, 'AlarmDrillGateRole');
  const clones = policyOf(synthesize(CLONES), 'AlarmDrillGateRole');

  test('may do exactly this', () => {
    const table = permissionsOf(policy.Statement);
    expect(table).toEqual({
      ...everyFunction('alarmdrill', table),
      [`arn:aws:sns:${local}:notificationstopic`]: ['sns:Publish'],
      [`arn:aws:kms:${local}:key/notificationskey`]: ['kms:Decrypt', 'kms:GenerateDataKey'],
      [`arn:aws:events:${local}:event-bus/default`]: ['events:PutEvents'],
      '*': [
        'cloudwatch:DescribeAlarmHistory',
        'cloudwatch:DescribeAlarms',
        'cloudwatch:GetMetricData',
        'cloudwatch:ListAlarmMuteRules',
        'cloudwatch:ListMetrics',
        'cloudwatch:PutMetricData',
        // AWS knows no resource of subscriptions that a policy could name.
        'sns:GetSubscriptionAttributes',
        'sns:Unsubscribe',
        'sqs:ListQueues',
        ...XRAY,
      ],
      [`arn:aws:cloudwatch:${local}:alarm:tocsin-drill-*`]: [
        'cloudwatch:DeleteAlarms',
        'cloudwatch:ListTagsForResource',
        'cloudwatch:PutMetricAlarm',
        'cloudwatch:TagResource',
      ],
      [`arn:aws:sqs:${local}:tocsin-drill-*`]: [
        'sqs:ChangeMessageVisibility',
        'sqs:CreateQueue',
        'sqs:DeleteQueue',
        'sqs:GetQueueAttributes',
        'sqs:GetQueueUrl',
        'sqs:ListQueueTags',
        'sqs:ReceiveMessage',
        'sqs:SetQueueAttributes',
        'sqs:TagQueue',
      ],
      [`arn:aws:sns:${local}:*`]: ['sns:GetTopicAttributes', 'sns:ListSubscriptionsByTopic', 'sns:Subscribe'],
      [`arn:aws:lambda:${local}:function:*`]: ['lambda:GetFunctionConcurrency', 'lambda:GetPolicy'],
      [`arn:aws:kms:${local}:key/*`]: ['kms:DescribeKey', 'kms:GetKeyPolicy'],
      // SageMaker writes names in lower case into ARNs; IAM tells cases apart.
      [`arn:aws:sagemaker:${local}:endpoint/Delay-staging`]: [
        'sagemaker:DescribeEndpoint',
        'sagemaker:InvokeEndpoint',
      ],
      [`arn:aws:sagemaker:${local}:endpoint/delay-staging`]: [
        'sagemaker:DescribeEndpoint',
        'sagemaker:InvokeEndpoint',
      ],
      [`${WORK}/runs/*`]: KEEPING,
      [`${WORK}/claims/alarm-drill-*`]: KEEPING,
      [WORK]: ['s3:ListBucket'],
      [`${EVIDENCE}/evidence/alarm-drill/*`]: ['s3:GetObject', 's3:PutObject'],
      [`${EVIDENCE}/history/alarm-drill/*`]: ['s3:GetObject', 's3:PutObject'],
      [`${EVIDENCE}/baselines/*`]: ['s3:GetObject'],
      [EVIDENCE]: ['s3:ListBucket'],
    });
  });

  test.each<[string, string, boolean, boolean]>([
    ['its own namespace', 'Tocsin/Drill', true, true],
    ['the namespace of a live drill', 'Delay', true, false],
    ['any other', 'Billing', false, false],
  ])('writes data to %s', async (_, namespace, all, clonesOnly) => {
    const context = { 'cloudwatch:namespace': namespace };
    expect(await mayDo(policy, 'cloudwatch:PutMetricData', '*', context)).toBe(all);
    expect(await mayDo(clones, 'cloudwatch:PutMetricData', '*', context)).toBe(clonesOnly);
  });

  test('makes and removes clones of alarms, and no alarm', async () => {
    const context = { 'cloudwatch:AlarmActions': [probe] };
    for (const action of ['cloudwatch:PutMetricAlarm', 'cloudwatch:DeleteAlarms']) {
      expect(await mayDo(clones, action, shadow, context)).toBe(true);
      expect(await mayDo(policy, action, `arn:aws:cloudwatch:${local}:alarm:delay-errors`, context)).toBe(
        false,
      );
    }
  });

  test.each<[string, string, boolean, boolean]>([
    ['tell the probe topic', probe, true, true],
    ['tell the topic of the real alarm', `arn:aws:sns:${local}:oncall`, true, false],
    ['stop instances', `arn:aws:automate:${REGION}:ec2:stop`, false, false],
  ])('makes clones that %s', async (_, action, real, clonesOnly) => {
    const context = { 'cloudwatch:AlarmActions': [action] };
    expect(await mayDo(policy, 'cloudwatch:PutMetricAlarm', shadow, context)).toBe(real);
    expect(await mayDo(clones, 'cloudwatch:PutMetricAlarm', shadow, context)).toBe(clonesOnly);
  });

  test.each<[string, string, Record<string, string>, boolean, boolean]>([
    ['a queue to the probe topic', probe, { 'sns:Protocol': 'sqs', 'sns:Endpoint': queue }, true, true],
    [
      'a queue to the topic of the real alarm',
      `arn:aws:sns:${local}:oncall`,
      { 'sns:Protocol': 'sqs', 'sns:Endpoint': queue },
      true,
      false,
    ],
    [
      'the queue of somebody else',
      probe,
      { 'sns:Protocol': 'sqs', 'sns:Endpoint': `arn:aws:sqs:${local}:orders` },
      false,
      false,
    ],
    ['a person', probe, { 'sns:Protocol': 'email', 'sns:Endpoint': 'a@example.com' }, false, false],
  ])('subscribes %s', async (_, topic, context, real, clonesOnly) => {
    expect(await mayDo(policy, 'sns:Subscribe', topic, context)).toBe(real);
    expect(await mayDo(clones, 'sns:Subscribe', topic, context)).toBe(clonesOnly);
  });

  test('reaches endpoints and baselines only where a drill sends traffic', () => {
    const table = JSON.stringify(permissionsOf(clones.Statement));
    expect(table).not.toMatch(/sagemaker|baselines/);
    const guarding = synthesize({ ...CONFIG, drills: new Map([...CONFIG.drills].slice(0, 1)) });
    const actions = permissionsOf(policyOf(guarding, 'AlarmDrillGateRole').Statement);
    expect(actions[`arn:aws:sagemaker:${local}:endpoint/Delay-staging`]).toEqual([
      'sagemaker:DescribeEndpoint',
    ]);
  });
});

describe('the probe topic', () => {
  test('has the key that CloudWatch may use', () => {
    expect(resourceOf(template, 'AWS::SNS::Topic', 'AlarmDrillProbe')).toMatchObject({
      KmsMasterKeyId: `arn:aws:kms:${local}:key/notificationskey`,
    });
  });

  test.each<[string, string, boolean]>([
    ['a clone', shadow, true],
    ['a real alarm', `arn:aws:cloudwatch:${local}:alarm:delay-errors`, false],
    ['a clone in another account', shadow.replace(ACCOUNT, '444455556666'), false],
  ])('takes what CloudWatch says of %s', async (_, alarm, admitted) => {
    const cloudwatch = { service: 'cloudwatch.amazonaws.com' };
    expect(await topicAdmits('sns:Publish', cloudwatch, { 'aws:SourceArn': alarm })).toBe(admitted);
  });

  test('is heard by receipt queues alone, whoever subscribes', async () => {
    const subscribes = (endpoint: string, protocol: string) =>
      topicAdmits('sns:Subscribe', { role: 'admin' }, { 'sns:Endpoint': endpoint, 'sns:Protocol': protocol });
    expect(await subscribes(queue, 'sqs')).toBe(true);
    expect(await subscribes(`arn:aws:sqs:${local}:orders`, 'sqs')).toBe(false);
    expect(await subscribes('a@example.com', 'email')).toBe(false);
  });

  test('speaks TLS only', async () => {
    const publish = (tls: string) =>
      topicAdmits('sns:Publish', { role: 'admin' }, { 'aws:SecureTransport': tls });
    expect([await publish('true'), await publish('false')]).toEqual([true, false]);
  });
});

describe('the functions', () => {
  const lambdaOf = (id: string, from = template) =>
    resourceOf<Record<string, unknown> & { Environment: { Variables: Record<string, string> } }>(
      from,
      'AWS::Lambda::Function',
      id,
    );

  test('the drill is small, durable, and as patient as its alarms', () => {
    const lambda = lambdaOf('AlarmDrillGate');
    expect(lambda).toMatchObject({
      MemorySize: 1024,
      Timeout: 900,
      Architectures: ['arm64'],
      // Two hours for an alarm to fire, nine times in each of five rounds, and a day.
      DurableConfig: { ExecutionTimeout: 114 * 3600 },
    });
    expect(lambda).not.toHaveProperty('Layers');
    expect(lambda).not.toHaveProperty('ReservedConcurrentExecutions');
    expect(environmentSchema.parse(lambda.Environment.Variables)).toMatchObject({
      WORKFLOW: 'durable',
      WORK_BUCKET: 'workbucket',
      EVIDENCE_BUCKET: 'evidencebucket',
      PROBE_TOPIC_ARN: probe,
      TOPIC_ARN: `arn:aws:sns:${local}:notificationstopic`,
    });
  });

  test('the drill in one process lives as long as Lambda lets it', () => {
    const lambda = lambdaOf('AlarmDrillGate', synthesize({ ...CLONES, workflow: 'in-process' }));
    expect(lambda).toMatchObject({ Timeout: 900, Environment: { Variables: { WORKFLOW: 'in-process' } } });
    expect(lambda).not.toHaveProperty('DurableConfig');
  });

  test('no drill is meant to take more than a month', () => {
    const slow = configOf(`tocsin: 1\nalarmDrills:\n${SHADOWED.replace('10m', '7d')}`, {});
    expect([longestDrill(CLONES).toMinutes(), longestDrill(slow).toDays()]).toEqual([1890, 30]);
  });

  test('the monitor measures as the quality gate does', () => {
    const lambda = lambdaOf('DriftMonitorGate');
    expect(lambda).toMatchObject({ MemorySize: 3538, EphemeralStorage: { Size: 4096 }, Timeout: 900 });
    expect(lambda.Layers).toEqual(lambdaOf('QualityGateFunction').Layers);
    expect(lambda).not.toHaveProperty('DurableConfig');
    expect(lambda).not.toHaveProperty('ReservedConcurrentExecutions');
    expect(monitorEnvironmentSchema.parse(lambda.Environment.Variables)).toMatchObject({
      EVIDENCE_BUCKET: 'evidencebucket',
    });
    // It has no verdicts: what it measures is for alarms to judge.
    expect(lambda.Environment.Variables).not.toHaveProperty('TOPIC_ARN');
  });

  test('say in their alarms what was not judged', () => {
    const texts = Object.values(resourcesOfGates(template, 'AWS::CloudWatch::Alarm')).map(
      ({ Properties }) => Properties.AlarmDescription as string,
    );
    const told = texts.filter((text) => text.includes('dead-letter')).map((text) => text.split('. ')[0]);
    expect(told).toEqual([
      expect.stringContaining('Tocsin quality-gate: '),
      'Tocsin drift-monitor: an event ended in the dead-letter queue, so it was not judged: nobody knows whether its records have drifted',
      'Tocsin alarm-drill: an event ended in the dead-letter queue, so it was not judged: nobody knows whether its alarm would still fire',
    ]);
  });
});

describe('the role of the monitor', () => {
  const policy = policyOf(template, 'DriftMonitorGateRole');

  test('may do exactly this', () => {
    const table = permissionsOf(policy.Statement);
    expect(table).toEqual({
      ...everyFunction('driftmonitor', table),
      // What is not durable has a destination for failures.
      [`arn:aws:sqs:${local}:driftmonitorgatedeadletters`]: [
        'sqs:GetQueueAttributes',
        'sqs:GetQueueUrl',
        'sqs:SendMessage',
      ],
      '*': ['cloudwatch:PutMetricData', ...XRAY],
      'arn:aws:s3:::captures/staging/*': ['s3:GetObject'],
      'arn:aws:s3:::captures/arrivals/*': ['s3:GetObject'],
      'arn:aws:s3:::captures': ['s3:ListBucket'],
      'arn:aws:kms:eu-central-1:111122223333:key/captures': ['kms:Decrypt'],
      [`${EVIDENCE}/baselines/flights/*`]: ['s3:GetObject'],
      [EVIDENCE]: ['s3:ListBucket'],
    });
  });

  test('writes the metrics of drift, and no others', async () => {
    const writes = (namespace: string) =>
      mayDo(policy, 'cloudwatch:PutMetricData', '*', { 'cloudwatch:namespace': namespace });
    expect([await writes('Tocsin/Drift'), await writes('Tocsin/Drill')]).toEqual([true, false]);
  });

  test('lists captures, and nothing beside them', async () => {
    const lists = (prefix: string) =>
      mayDo(policy, 's3:ListBucket', 'arn:aws:s3:::captures', { 's3:prefix': prefix });
    expect([await lists('staging/Delay-staging/'), await lists('production/')]).toEqual([true, false]);
  });
});

describe('the alarm of a monitor', () => {
  test('is on the feature that has drifted most, and one data point each measurement', () => {
    const alarm = resourceOf(template, 'AWS::CloudWatch::Alarm', 'DriftMonitorAlarm');
    const topic = [`arn:aws:sns:${local}:notificationstopic`];
    expect(alarm).toEqual({
      AlarmName: 'tocsin-drift-delay',
      AlarmDescription:
        'Tocsin drift monitor delay: what the endpoint Delay-staging is asked has drifted from the baseline of flights, a feature by psi 0.2 or more; the metric Drift says which. INSUFFICIENT_DATA: nothing was compared, because fewer than 500 records came, or because the monitor does not run; its log says why. Runbook: docs/runbook.md#drift-monitor',
      Namespace: 'Tocsin/Drift',
      MetricName: 'LargestDrift',
      Dimensions: [{ Name: 'Monitor', Value: 'delay' }],
      Statistic: 'Maximum',
      Period: 900,
      EvaluationPeriods: 2,
      ComparisonOperator: 'GreaterThanOrEqualToThreshold',
      Threshold: 0.2,
      // A monitor that is dead must not look like one that sees no drift.
      TreatMissingData: 'missing',
      AlarmActions: topic,
      InsufficientDataActions: topic,
    });
  });
});

describe('triggers', () => {
  const ruleOf = (id: string, from = template) =>
    resourceOf<{
      EventPattern?: object;
      ScheduleExpression?: string;
      Targets: { Arn: string; Input?: string }[];
    }>(from, 'AWS::Events::Rule', id);
  const event = (name: string): unknown =>
    JSON.parse(readFileSync(`test/fixtures/events/${name}.json`, 'utf8'));

  test.each([
    ['cloudwatch-alarm-updated', true],
    ['cloudwatch-alarm-other', false],
    ['cloudwatch-alarm-shadow-deleted', false],
    ['cloudformation-stack-updated', false],
  ])('a change of an alarm starts its drills, one of a clone none: %s %s', (name, expected) => {
    const { EventPattern: pattern = {} } = ruleOf('AlarmDrillGateChanged1');
    expect(matches(pattern, event(name))).toBe(expected);
  });

  test('take more rules where the names of alarms do not fit into one', () => {
    const names = Array.from(
      { length: 40 },
      (_, index) => `an "alarm" with quite a long name ${'ä'.repeat(60)} ${index}`,
    );
    const drills = names.map(
      (name, index) => `  d${index}:\n    alarm: '${name}'\n    intended: { fires: "> 1", within: 1m }\n`,
    );
    const many = synthesize(configOf(`tocsin: 1\nalarmDrills:\n${drills.join('')}`, {}));
    const patterns = Object.values(resourcesOfGates(many, 'AWS::Events::Rule')).map(
      ({ Properties }) => Properties.EventPattern as { detail: { alarmName: string[] } },
    );
    expect(patterns.flatMap(({ detail }) => detail.alarmName)).toEqual(names);
    expect(patterns.map((pattern) => Buffer.byteLength(JSON.stringify(pattern)) <= 2048)).toEqual(
      patterns.map(() => true),
    );
    expect(patterns.length).toBeLessThan(6);
  });

  test('name an alarm once, however many drills it has', () => {
    const twice = configOf(
      `tocsin: 1\nalarmDrills:\n${SHADOWED}${SHADOWED.replace('latency:', 'again:')}`,
      {},
    );
    expect(ruleOf('AlarmDrillGateChanged1', synthesize(twice)).EventPattern).toMatchObject({
      detail: { alarmName: ['delay-latency'] },
    });
  });

  test('a deployment starts the drills of its stack, once', () => {
    const rules = Object.keys(resourcesOfGates(template, 'AWS::Events::Rule'));
    expect(rules.filter((id) => id.includes('Deployed'))).toHaveLength(1);
    const { EventPattern: pattern = {} } = ruleOf('AlarmDrillGateDeployedtraining');
    expect(matches(pattern, event('cloudformation-stack-updated'))).toBe(true);
    expect(matches(pattern, event('cloudformation-stack-other'))).toBe(false);
  });

  test('schedules start their drill, and their monitor', () => {
    const started = [
      'AlarmDrillGateScheduleerrors',
      'DriftMonitorGateScheduledelay',
      'DriftMonitorGateSchedulearrivals',
    ];
    expect(
      started
        .map((id) => ruleOf(id))
        .map(({ ScheduleExpression, Targets }) => [ScheduleExpression, Targets[0]?.Input]),
    ).toEqual([
      ['rate(7 days)', '{"drill":"errors"}'],
      ['rate(15 minutes)', '{"monitor":"delay"}'],
      ['rate(1 hour)', '{"monitor":"arrivals"}'],
    ]);
  });
});

describe('the stack', () => {
  test('names what people need', () => {
    const outputs = Object.keys(template.findOutputs('*'));
    expect(outputs).toEqual(
      expect.arrayContaining([
        'AlarmDrillAlias',
        'ProbeTopic',
        'DriftMonitorAlias',
        'WorkBucket',
        'QualityGateAlias',
      ]),
    );
  });

  test('of drills alone has no quality gate, and no bucket for data', () => {
    const clones = synthesize(CLONES);
    expect(Object.keys(resourcesOfGates(clones, 'AWS::Lambda::Function'))).toHaveLength(1);
    clones.resourceCountIs('AWS::Lambda::LayerVersion', 0);
    expect(Object.keys(clones.findOutputs('*')).toSorted()).toEqual([
      'AlarmDrillAlias',
      'BoardAlias',
      'BoardPage',
      'EvidenceBucket',
      'NotificationTopic',
      'ProbeTopic',
      'WorkBucket',
    ]);
  });

  test('keeps claims longer than any drill', () => {
    // Five days, and three.
    expect(resourceOf(template, 'AWS::S3::Bucket', 'WorkBucket')).toMatchObject({
      LifecycleConfiguration: { Rules: [{ ExpirationInDays: 8 }, {}] },
    });
  });

  test.each([
    ['durable', CONFIG],
    ['in-process', CONFIG],
    ['durable', CLONES],
  ] as const)('gives cdk-nag nothing to say: %s', (workflow, config) => {
    expect(() => checkWithNag({ ...config, workflow })).not.toThrow();
  });
});
