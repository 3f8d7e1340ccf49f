import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parseTrigger, requestsOf } from '../../functions/config-parity/request.ts';
import { environmentSchema } from '../../functions/config-parity/schema.ts';
import { mayDo } from '../support/access.ts';
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

const local = `${REGION}:${ACCOUNT}`;
const READER = 'arn:aws:iam::444455556666:role/tocsin-parity';

/** As little as a comparison may have. */
const PLAIN = `  plain:
    compare: { functions: ["delay-{environment}"] }
`;

/** Uses everything that comparisons have. */
const CONFIG = configOf(
  `tocsin: 1
datasets:
  flights: { contract: flights.yaml, prefix: flights/ }
  rides:
    contract: rides.yaml
    bucket: lake
    prefix: rides/
    kmsKey: arn:aws:kms:${local}:key/lake
parity:
${PLAIN}    schedule: rate(1 day)
    afterDeployOf: [training]
  elsewhere:
    production: { account: "444455556666", region: us-west-2, role: "${READER}", externalId: elsewhere }
    compare:
      endpoints: ["Delay-{environment}", { name: flight-delay, staging: flight-delay, production: flight-delay }]
      parameters: ["/delay/{environment}/"]
    probes:
      usual: { endpoint: flight-delay, golden: golden/delay.jsonl }
      rare: { endpoint: flight-delay, golden: s3://lake/golden/rare.jsonl }
    decrypt: true
    afterDeployOf: [training]
    afterStage:
      - { pipeline: flight-delay-release, stage: Production }
      - { pipeline: flight-delay-release, stage: Canary }
  abroad:
    production: { region: us-east-1 }
    compare: { pipelines: [{ name: train, staging: train, production: train }] }
    afterStage: [{ pipeline: flight-delay-release, stage: Production }]
`,
  { 'flights.yaml': contractOf('flights'), 'rides.yaml': contractOf('rides'), 'parity.yaml': 'parity: 1\n' },
);
const template = synthesize(CONFIG);
/** One plain comparison: as little as a stack may have. */
const ONE = configOf(`tocsin: 1\nparity:\n${PLAIN}`, {});
const one = synthesize(ONE);

const EVIDENCE = 'arn:aws:s3:::evidencebucket';
const WORK = 'arn:aws:s3:::workbucket';
const DATA = 'arn:aws:s3:::qualitygatedata';
const KEEPING = ['s3:DeleteObject', 's3:GetObject', 's3:PutObject'];
const FUNCTION = ['lambda:GetFunctionConcurrency', 'lambda:GetFunctionConfiguration'];
const arn = (service: string, resource: string) => `arn:aws:${service}:${local}:${resource}`;

/** What any comparison may do. */
const everyComparison = (table: Record<string, string[]>) => ({
  ...everyFunction('configparity', table),
  [arn('sns', 'notificationstopic')]: ['sns:Publish'],
  [arn('kms', 'key/notificationskey')]: ['kms:Decrypt', 'kms:GenerateDataKey'],
  [arn('events', 'event-bus/default')]: ['events:PutEvents'],
  '*': ['xray:PutTelemetryRecords', 'xray:PutTraceSegments'],
  [`${WORK}/runs/*`]: KEEPING,
  [`${WORK}/parity/*`]: KEEPING,
  [WORK]: ['s3:ListBucket'],
  [`${EVIDENCE}/evidence/config-parity/*`]: ['s3:GetObject', 's3:PutObject'],
  [`${EVIDENCE}/history/config-parity/*`]: ['s3:GetObject', 's3:PutObject'],
  [EVIDENCE]: ['s3:ListBucket'],
  [arn('lambda', 'function:delay-staging')]: FUNCTION,
  [arn('lambda', 'function:delay-production')]: FUNCTION,
});

describe('the role of config parity', () => {
  const policy = policyOf(template, 'ConfigParityGateRole');

  test('may do no more than its comparisons need', () => {
    const table = permissionsOf(policyOf(one, 'ConfigParityGateRole').Statement);
    expect(table).toEqual(everyComparison(table));
  });

  test('reads what has no role of its own, assumes the roles of others, and reads golden requests', () => {
    const table = permissionsOf(policy.Statement);
    const every = everyComparison(table);
    const behind = Object.fromEntries(
      Object.entries(table).filter(([, actions]) => actions.includes('sagemaker:DescribeEndpointConfig')),
    );
    expect(Object.keys(behind)).toHaveLength(8);
    const endpoint = ['sagemaker:DescribeEndpoint', 'sagemaker:ListTags'];
    const parameter = ['ssm:GetParameters', 'ssm:GetParametersByPath'];
    expect(table).toEqual({
      ...every,
      ...behind,
      '*': [
        'application-autoscaling:DescribeScalableTargets',
        'application-autoscaling:DescribeScalingPolicies',
        'application-autoscaling:DescribeScheduledActions',
        'sagemaker:ListMonitoringSchedules',
        ...(every['*'] ?? []),
      ],
      // elsewhere: staging alone
      [arn('sagemaker', 'endpoint/Delay-staging')]: endpoint,
      [arn('sagemaker', 'endpoint/delay-staging')]: endpoint,
      [arn('sagemaker', 'endpoint/flight-delay')]: [
        'sagemaker:DescribeEndpoint',
        'sagemaker:InvokeEndpoint',
        'sagemaker:ListTags',
      ],
      [arn('ssm', 'parameter/delay/staging')]: parameter,
      [arn('ssm', 'parameter/delay/staging/*')]: parameter,
      [arn('kms', 'key/*')]: ['kms:Decrypt'],
      [READER]: ['sts:AssumeRole'],
      [`${DATA}/golden/delay.jsonl`]: ['s3:GetObject'],
      [DATA]: ['s3:ListBucket'],
      'arn:aws:s3:::lake/golden/rare.jsonl': ['s3:GetObject'],
      'arn:aws:s3:::lake': ['s3:ListBucket'],
      [arn('kms', 'key/lake')]: ['kms:Decrypt'],
      // abroad: in two regions
      [arn('sagemaker', 'pipeline/train')]: ['sagemaker:DescribePipeline'],
      [`arn:aws:sagemaker:us-east-1:${ACCOUNT}:pipeline/train`]: ['sagemaker:DescribePipeline'],
    });
  });

  test('assumes no other role, and decrypts through Systems Manager alone', async () => {
    expect(await mayDo(policy, 'sts:AssumeRole', READER)).toBe(true);
    expect(await mayDo(policy, 'sts:AssumeRole', `${READER}-2`)).toBe(false);
    // Not simulated: a key lets nobody in whom its own policy does not.
    const any = policy.Statement.filter(({ Resource }) => Resource === arn('kms', 'key/*'));
    expect(any.map(({ Condition }) => Condition)).toEqual([
      { StringLike: { 'kms:ViaService': `ssm.${REGION}.amazonaws.com*` } },
    ]);
  });

  test('holds more names than one policy does, and anything of a kind in place of more than that', () => {
    const documentsOf = (count: number) => {
      const names = Array.from({ length: count }, (_, index) => `a-long-name-of-{environment}-${index}`);
      const config = configOf(
        `tocsin: 1\nparity:\n  large: { compare: { functions: ${JSON.stringify(names)} } }\n`,
        {},
      );
      expect(() => checkWithNag(config)).not.toThrow();
      const large = synthesize(config);
      return ['AWS::IAM::Policy', 'AWS::IAM::ManagedPolicy'].map((type) =>
        Object.values(large.findResources(type)).map(({ Properties }) =>
          JSON.stringify(deployed(large, Properties.PolicyDocument)),
        ),
      );
    };
    const [inline = [], managed = []] = documentsOf(90);
    expect(Math.max(...inline.map(({ length }) => length))).toBeLessThanOrEqual(10_240);
    expect(Math.max(...managed.map(({ length }) => length))).toBeLessThanOrEqual(6_144);
    expect(managed.length).toBeGreaterThan(0);
    expect(
      [...inline, ...managed].join().match(/function:a-long-name-of-(staging|production)-\d+"/g),
    ).toHaveLength(180);
    const [only = [], none] = documentsOf(500);
    expect(none).toEqual([]);
    expect(only.join()).toContain(`"${arn('lambda', 'function:*')}"`);
  });
});

describe('the function', () => {
  const lambdaOf = (from = template) =>
    resourceOf<Record<string, unknown> & { Environment: { Variables: Record<string, string> } }>(
      from,
      'AWS::Lambda::Function',
      'ConfigParityGate',
    );

  test('is durable, and as patient as a comparison may take', () => {
    const lambda = lambdaOf();
    expect(lambda).toMatchObject({
      MemorySize: 2048,
      Timeout: 900,
      Architectures: ['arm64'],
      DurableConfig: { ExecutionTimeout: 2 * 3600 },
    });
    expect(lambda).not.toHaveProperty('Layers');
    expect(environmentSchema.parse(lambda.Environment.Variables)).toMatchObject({
      WORKFLOW: 'durable',
      WORK_BUCKET: 'workbucket',
      EVIDENCE_BUCKET: 'evidencebucket',
      DATA_BUCKET: 'qualitygatedata',
      TOPIC_ARN: arn('sns', 'notificationstopic'),
    });
    expect(environmentSchema.parse(lambdaOf(one).Environment.Variables)).not.toHaveProperty('DATA_BUCKET');
  });

  test('lives as long as Lambda lets it, in one process', () => {
    const lambda = lambdaOf(synthesize({ ...ONE, workflow: 'in-process' }));
    expect(lambda).toMatchObject({ Timeout: 900, Environment: { Variables: { WORKFLOW: 'in-process' } } });
    expect(lambda).not.toHaveProperty('DurableConfig');
  });

  test('says in its alarms what may be wrong', () => {
    const texts = Object.values(resourcesOfGates(one, 'AWS::CloudWatch::Alarm')).map(
      ({ Properties }) => Properties.AlarmDescription as string,
    );
    expect(texts.filter((text) => text.includes('dead-letter')).map((text) => text.split('. ')[0])).toEqual([
      'Tocsin config-parity: an event ended in the dead-letter queue, so it was not judged: nobody knows whether staging still is what production is',
    ]);
  });
});

describe('triggers', () => {
  const rules = Object.values(resourcesOfGates(template, 'AWS::Events::Rule'))
    .map(
      ({ Properties }) =>
        Properties as {
          ScheduleExpression?: string;
          EventPattern?: object;
          Targets: { Arn: { Ref: string }; Input?: string }[];
        },
    )
    .filter(({ Targets }) => Targets[0]?.Arn.Ref.startsWith('ConfigParityGate'));
  const patterns = rules.flatMap(({ EventPattern }) =>
    EventPattern === undefined ? [] : [deployed<object>(template, EventPattern)],
  );

  interface Event {
    detail: Record<string, unknown>;
  }
  const eventOf = (file: string, detail: Record<string, unknown> = {}): Event => {
    const event = JSON.parse(readFileSync(`test/fixtures/events/${file}.json`, 'utf8')) as Event;
    return { ...event, detail: { ...event.detail, ...detail } };
  };

  test('a schedule starts its comparison', () => {
    const schedules = rules.filter(({ ScheduleExpression }) => ScheduleExpression !== undefined);
    expect(
      schedules.map(({ ScheduleExpression, Targets }) => [ScheduleExpression, Targets[0]?.Input]),
    ).toEqual([['rate(1 day)', '{"parity":"plain"}']]);
  });

  test.each<[string, Event, string[]]>([
    ['a deployment', eventOf('cloudformation-stack-updated'), ['plain', 'elsewhere']],
    ['a first deployment', eventOf('cloudformation-stack-created'), ['plain', 'elsewhere']],
    ['a deployment that failed', eventOf('cloudformation-stack-rolled-back'), []],
    ['a deployment of another stack', eventOf('cloudformation-stack-other'), []],
    ['an endpoint that serves', eventOf('sagemaker-endpoint-in-service'), ['elsewhere']],
    [
      'an endpoint of staging',
      eventOf('sagemaker-endpoint-in-service', { EndpointName: 'Delay-staging' }),
      ['elsewhere'],
    ],
    [
      'an endpoint of another account',
      eventOf('sagemaker-endpoint-in-service', { EndpointName: 'Delay-production' }),
      ['elsewhere'],
    ],
    [
      'an endpoint that is updated',
      eventOf('sagemaker-endpoint-in-service', { EndpointStatus: 'UPDATING' }),
      [],
    ],
    ['another endpoint', eventOf('sagemaker-endpoint-in-service', { EndpointName: 'churn' }), []],
    ['a stage', eventOf('codepipeline-stage-succeeded'), ['elsewhere', 'abroad']],
    ['another of its stages', eventOf('codepipeline-stage-succeeded', { stage: 'Canary' }), ['elsewhere']],
    ['a stage that failed', eventOf('codepipeline-stage-succeeded', { state: 'FAILED' }), []],
    ['a stage that nobody named', eventOf('codepipeline-stage-succeeded', { stage: 'Source' }), []],
    ['a stage of another pipeline', eventOf('codepipeline-stage-succeeded', { pipeline: 'churn' }), []],
  ])('%s starts what it should, once', (_, event, expected) => {
    const matching = patterns.filter((pattern) => matches(pattern, event));
    expect(matching).toHaveLength(expected.length > 0 ? 1 : 0);
    const requests = requestsOf(parseTrigger(event), CONFIG.parities);
    // What comes through the rules is what the function runs.
    expect('ignored' in requests ? [] : requests.map(({ parity }) => parity.name)).toEqual(expected);
  });

  test('many endpoints are in as few patterns as EventBridge takes', () => {
    const endpoints = Array.from({ length: 120 }, (_, index) => `a-rather-long-name-{environment}-${index}`);
    const many = synthesize(
      configOf(`tocsin: 1\nparity:\n  many: { compare: { endpoints: ${JSON.stringify(endpoints)} } }\n`, {}),
    );
    const found = Object.values(resourcesOfGates(many, 'AWS::Events::Rule')).map(
      ({ Properties }) => Properties.EventPattern as { detail: { EndpointName: string[] } },
    );
    expect(Math.max(...found.map((pattern) => JSON.stringify(pattern).length))).toBeLessThanOrEqual(2048);
    expect(found.length).toBeLessThan(7);
    expect(new Set(found.flatMap(({ detail }) => detail.EndpointName)).size).toBe(240);
  });

  test('events of other accounts and regions are awaited, where somebody forwards them', () => {
    const stack = (region: string, account: string, name: string) =>
      `arn:aws:cloudformation:${region}:${account}:stack/${name}/6f1c8d0e`;
    const deployedIn = (id: string) => eventOf('cloudformation-stack-updated', { 'stack-id': id }) as Event;
    const matching = (event: Event) => patterns.filter((pattern) => matches(pattern, event)).length;
    expect(matching(deployedIn(stack('us-west-2', '444455556666', 'training')))).toBe(1);
    expect(matching(deployedIn(stack('us-east-1', ACCOUNT, 'training')))).toBe(1);
    // Nobody reads there.
    expect(matching(deployedIn(stack(REGION, '999999999999', 'training')))).toBe(0);
    expect(matching(deployedIn(stack('us-west-2', '444455556666', 'serving')))).toBe(0);
  });
});

describe('the stack', () => {
  test('of comparisons alone has no quality gate, and says what other accounts have to trust', () => {
    expect(Object.keys(resourcesOfGates(one, 'AWS::Lambda::Function'))).toHaveLength(1);
    expect(Object.keys(one.findOutputs('*')).toSorted()).toEqual([
      'BoardAlias',
      'BoardPage',
      'ConfigParityAlias',
      'ConfigParityRole',
      'EvidenceBucket',
      'NotificationTopic',
      'WorkBucket',
    ]);
    const { Value } = one.findOutputs('ConfigParityRole').ConfigParityRole as { Value: unknown };
    expect(deployed(one, Value)).toBe(`arn:aws:iam::${ACCOUNT}:role/configparitygaterole`);
  });

  test('keeps what was read no longer than it has to', () => {
    // Two hours, and three days.
    expect(resourceOf(one, 'AWS::S3::Bucket', 'WorkBucket')).toMatchObject({
      LifecycleConfiguration: { Rules: [{ ExpirationInDays: 4 }, {}] },
    });
  });

  test.each([
    ['durable', CONFIG],
    ['in-process', CONFIG],
    ['durable', ONE],
  ] as const)('gives cdk-nag nothing to say: %s', (workflow, config) => {
    expect(() => checkWithNag({ ...config, workflow })).not.toThrow();
  });
});
