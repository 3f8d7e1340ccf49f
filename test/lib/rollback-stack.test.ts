import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { environmentSchema, rollbackEnvironmentSchema } from '../../functions/rollback-drill/schema.ts';
import { longestRollbackDrill } from '../../lib/gates/rollback-drill.ts';
import { mayDo } from '../support/access.ts';
import { matches } from '../support/event-pattern.ts';
import { everyFunction, permissionsOf, policyOf } from '../support/permissions.ts';
import {
  ACCOUNT,
  checkWithNag,
  configOf,
  contractOf,
  REGION,
  resourceOf,
  resourcesOfGates,
  synthesize,
} from '../support/synthesize.ts';

const local = `${REGION}:${ACCOUNT}`;
const TEAM = `arn:aws:lambda:${local}:function:team-rollback:live`;
const MACHINE = `arn:aws:states:${local}:stateMachine:team-rollback`;
const PACKAGE = `arn:aws:sagemaker:${local}:model-package/Delay/7`;
const MODEL_ROLE = `arn:aws:iam::${ACCOUNT}:role/models`;
const RUNBOOK_ROLE = `arn:aws:iam::${ACCOUNT}:role/runbooks`;
const SHARED_RUNBOOK = `arn:aws:ssm:${REGION}:444455556666:document/Rollback`;

/** As little as a drill may have. */
const PLAIN = `  plain:
    endpoint: churn-staging
    failure: { shiftTraffic: { to: candidate } }
    procedure: { lambda: ${TEAM} }
    golden: s3://lake/golden/churn.jsonl
    within: 10m
`;

/** Uses everything that rollback drills have. */
const CONFIG = configOf(
  `tocsin: 1
datasets:
  flights: { contract: flights.yaml, prefix: flights/ }
  rides:
    contract: rides.yaml
    bucket: lake
    prefix: rides/
    kmsKey: arn:aws:kms:${local}:key/lake
rollbackDrills:
${PLAIN}    schedule: rate(7 days)
    afterDeployOf: [training]
  deployed:
    endpoint: Delay-staging
    failure: { deployModel: { package: "${PACKAGE}", role: "${MODEL_ROLE}" } }
    procedure: { builtin: config }
    golden: golden/delay.jsonl
    within: 1h
    steady: 10m
    afterDeployOf: [training]
  guarded:
    endpoint: Delay-staging
    failure: { breakGuardrail: { alarm: "delay 5xx" } }
    golden: golden/delay.jsonl
    within: 30m
    stopIf: [unhealthy]
  runbook:
    endpoint: churn-staging
    failure: { shiftTraffic: { to: candidate } }
    procedure: { ssmAutomation: { document: Team-Rollback, role: "${RUNBOOK_ROLE}" } }
    golden: s3://lake/golden/churn.jsonl
    within: 10m
  runbook-of-aws:
    endpoint: churn-staging
    failure: { shiftTraffic: { to: candidate } }
    procedure: { ssmAutomation: { document: AWS-Rollback, version: "3" } }
    golden: s3://lake/golden/churn.jsonl
    within: 10m
  runbook-of-others:
    endpoint: churn-staging
    failure: { shiftTraffic: { to: candidate } }
    procedure: { ssmAutomation: { document: "${SHARED_RUNBOOK}", version: $LATEST } }
    golden: s3://lake/golden/churn.jsonl
    within: 10m
  machine:
    endpoint: churn-staging
    failure: { shiftTraffic: { to: candidate } }
    procedure: { stateMachine: "${MACHINE}" }
    golden: s3://lake/golden/churn.jsonl
    within: 10m
`,
  { 'flights.yaml': contractOf('flights'), 'rides.yaml': contractOf('rides') },
);
const template = synthesize(CONFIG);
/** One drill by the procedure of a team alone: as little as a stack may have. */
const ONE = configOf(`tocsin: 1\nrollbackDrills:\n${PLAIN}`, {});
const one = synthesize(ONE);

const EVIDENCE = 'arn:aws:s3:::evidencebucket';
const WORK = 'arn:aws:s3:::workbucket';
const KEEPING = ['s3:DeleteObject', 's3:GetObject', 's3:PutObject'];
const DATA = 'arn:aws:s3:::qualitygatedata';
const XRAY = ['xray:PutTelemetryRecords', 'xray:PutTraceSegments'];
const sagemaker = (resource: string) => `arn:aws:sagemaker:${local}:${resource}`;
const DRILLED = [
  'sagemaker:DescribeEndpoint',
  'sagemaker:InvokeEndpoint',
  'sagemaker:ListTags',
  'sagemaker:UpdateEndpoint',
  'sagemaker:UpdateEndpointWeightsAndCapacities',
];
const tagged = (tag: string, value = 'allowed') => ({ [`aws:ResourceTag/${tag}`]: value });

/** What drills of whatever kind may do. */
const everyDrill = (table: Record<string, string[]>) => ({
  ...everyFunction('rollbackdrill', table),
  [`arn:aws:sns:${local}:notificationstopic`]: ['sns:Publish'],
  [`arn:aws:events:${local}:event-bus/default`]: ['events:PutEvents'],
  '*': ['cloudwatch:DescribeAlarms', ...XRAY],
  [sagemaker('endpoint/churn-staging')]: DRILLED,
  [sagemaker('endpoint-config/*')]: ['sagemaker:DescribeEndpointConfig', 'sagemaker:UpdateEndpoint'],
  [sagemaker('endpoint-config/tocsin-drill-*')]: [
    'sagemaker:AddTags',
    'sagemaker:CreateEndpointConfig',
    'sagemaker:DeleteEndpointConfig',
  ],
  [TEAM]: ['lambda:InvokeFunction'],
  'arn:aws:s3:::lake/golden/churn.jsonl': ['s3:GetObject'],
  'arn:aws:s3:::lake': ['s3:ListBucket'],
  [`${WORK}/runs/*`]: KEEPING,
  [`${WORK}/claims/rollback-*`]: KEEPING,
  [`${WORK}/rollback/*`]: KEEPING,
  [WORK]: ['s3:ListBucket'],
  [`${EVIDENCE}/evidence/rollback-drill/*`]: ['s3:GetObject', 's3:PutObject'],
  [`${EVIDENCE}/history/rollback-drill/*`]: ['s3:GetObject', 's3:PutObject'],
  [EVIDENCE]: ['s3:ListBucket'],
  [`arn:aws:kms:${local}:key/*`]: ['kms:CreateGrant'],
  [`arn:aws:kms:${local}:key/notificationskey`]: ['kms:Decrypt', 'kms:GenerateDataKey'],
});

describe('the role of the drill', () => {
  const policy = policyOf(template, 'RollbackDrillGateRole');
  const little = policyOf(one, 'RollbackDrillGateRole');

  test('may do exactly this', () => {
    const table = permissionsOf(policy.Statement);
    expect(table).toEqual({
      ...everyDrill(table),
      // SageMaker writes names in lower case into ARNs; IAM tells cases apart.
      [sagemaker('endpoint/Delay-staging')]: DRILLED,
      [sagemaker('endpoint/delay-staging')]: DRILLED,
      // deployModel
      [sagemaker('model/tocsin-drill-*')]: [
        'sagemaker:AddTags',
        'sagemaker:CreateModel',
        'sagemaker:DeleteModel',
      ],
      [sagemaker('model/*')]: ['sagemaker:DescribeModel'],
      [PACKAGE]: ['sagemaker:CreateModel', 'sagemaker:DescribeModelPackage'],
      [PACKAGE.toLowerCase()]: ['sagemaker:CreateModel', 'sagemaker:DescribeModelPackage'],
      [MODEL_ROLE]: ['iam:PassRole'],
      // breakGuardrail
      [`arn:aws:cloudwatch:${local}:alarm:delay 5xx`]: ['cloudwatch:SetAlarmState'],
      // procedures
      [`arn:aws:lambda:${local}:function:gate:live`]: ['lambda:InvokeFunction'],
      [MACHINE]: ['states:StartExecution'],
      [`arn:aws:states:${local}:execution:team-rollback:*`]: [
        'states:DescribeExecution',
        'states:StopExecution',
      ],
      [`arn:aws:ssm:${local}:document/Team-Rollback`]: ['ssm:StartAutomationExecution'],
      [`arn:aws:ssm:${local}:automation-definition/Team-Rollback:$DEFAULT`]: ['ssm:StartAutomationExecution'],
      // What is AWS's has no account.
      [`arn:aws:ssm:${REGION}::document/AWS-Rollback`]: ['ssm:StartAutomationExecution'],
      [`arn:aws:ssm:${REGION}::automation-definition/AWS-Rollback:3`]: ['ssm:StartAutomationExecution'],
      [SHARED_RUNBOOK]: ['ssm:StartAutomationExecution'],
      [`arn:aws:ssm:${REGION}:444455556666:automation-definition/Rollback:$LATEST`]: [
        'ssm:StartAutomationExecution',
      ],
      [`arn:aws:ssm:${local}:automation-execution/*`]: [
        'ssm:GetAutomationExecution',
        'ssm:StartAutomationExecution',
        'ssm:StopAutomationExecution',
      ],
      [RUNBOOK_ROLE]: ['iam:PassRole'],
      // golden requests
      [`${DATA}/golden/delay.jsonl`]: ['s3:GetObject'],
      [DATA]: ['s3:ListBucket'],
      [`arn:aws:kms:${local}:key/lake`]: ['kms:Decrypt'],
    });
  });

  test('may do no more than its drills need', () => {
    const table = permissionsOf(little.Statement);
    expect(table).toEqual(everyDrill(table));
  });

  test.each([
    'sagemaker:InvokeEndpoint',
    'sagemaker:UpdateEndpoint',
    'sagemaker:UpdateEndpointWeightsAndCapacities',
  ])('may %s on the endpoint of a drill that is tagged for it, and on no other', async (action) => {
    const endpoint = sagemaker('endpoint/churn-staging');
    const other = sagemaker('endpoint/churn');
    expect([
      await mayDo(policy, action, endpoint, tagged('tocsin:drill')),
      await mayDo(policy, action, endpoint),
      await mayDo(policy, action, endpoint, tagged('tocsin:drill', 'no')),
      await mayDo(policy, action, endpoint, tagged('tocsin:rollback')),
      await mayDo(policy, action, other, tagged('tocsin:drill')),
    ]).toEqual([true, false, false, false, false]);
  });

  test('looks at the endpoint of a drill without its tag, to say that it has none', async () => {
    for (const action of ['sagemaker:DescribeEndpoint', 'sagemaker:ListTags']) {
      expect(await mayDo(little, action, sagemaker('endpoint/churn-staging'))).toBe(true);
      expect(await mayDo(little, action, sagemaker('endpoint/churn'))).toBe(false);
    }
  });

  test('has no other statement that lets it touch an endpoint', () => {
    const touching = policy.Statement.filter(
      ({ Action, Resource }) =>
        [Resource].flat().some((resource) => /:endpoint\/|^\*$/.test(resource)) &&
        [Action].flat().some((action) => /^sagemaker:(?!Describe|ListTags)/.test(action)),
    );
    expect(touching.map(({ Condition }) => Condition)).toEqual([
      { StringEquals: { 'aws:ResourceTag/tocsin:drill': 'allowed' } },
    ]);
  });

  test('makes and removes what drills make, and nothing else', async () => {
    for (const kind of ['model', 'endpoint-config']) {
      const noun = kind === 'model' ? 'Model' : 'EndpointConfig';
      for (const action of [`sagemaker:Create${noun}`, `sagemaker:Delete${noun}`, 'sagemaker:AddTags']) {
        expect(await mayDo(policy, action, sagemaker(`${kind}/tocsin-drill-1a2b3c4d`))).toBe(true);
        expect(await mayDo(policy, action, sagemaker(`${kind}/churn`))).toBe(false);
      }
    }
    expect(await mayDo(policy, 'sagemaker:AddTags', sagemaker('endpoint/churn-staging'))).toBe(false);
  });

  test('deploys any endpoint configuration', async () => {
    expect(await mayDo(little, 'sagemaker:UpdateEndpoint', sagemaker('endpoint-config/churn-3'))).toBe(true);
  });

  test('hands roles on to what they are for', async () => {
    const passes = (role: string, service: string) =>
      mayDo(policy, 'iam:PassRole', role, { 'iam:PassedToService': service });
    const services = ['sagemaker.amazonaws.com', 'ssm.amazonaws.com'];
    const may = async (role: string) => Promise.all(services.map((service) => passes(role, service)));
    expect(await may(MODEL_ROLE)).toEqual([true, false]);
    expect(await may(RUNBOOK_ROLE)).toEqual([false, true]);
    expect(await may(`arn:aws:iam::${ACCOUNT}:role/admin`)).toEqual([false, false]);
  });

  test('sets no alarm but that of a guardrail that it breaks', async () => {
    const sets = (name: string) =>
      mayDo(policy, 'cloudwatch:SetAlarmState', `arn:aws:cloudwatch:${local}:alarm:${name}`);
    expect([await sets('delay 5xx'), await sets('unhealthy')]).toEqual([true, false]);
  });
});

describe('the role of the rollback', () => {
  const policy = policyOf(template, 'RollbackGateRole');

  test('may do exactly this', () => {
    const table = permissionsOf(policy.Statement);
    const { 'the configuration': _, ...every } = everyFunction('rollback', table);
    expect(table).toEqual({
      ...every,
      '*': ['cloudwatch:DescribeAlarms', ...XRAY],
      [`arn:aws:kms:${local}:key/*`]: ['kms:CreateGrant'],
      [sagemaker('endpoint/*')]: [
        'sagemaker:DescribeEndpoint',
        'sagemaker:UpdateEndpoint',
        'sagemaker:UpdateEndpointWeightsAndCapacities',
      ],
      [sagemaker('endpoint-config/*')]: ['sagemaker:DescribeEndpointConfig', 'sagemaker:UpdateEndpoint'],
      [sagemaker('endpoint-config/tocsin-rollback-*')]: [
        'sagemaker:AddTags',
        'sagemaker:CreateEndpointConfig',
      ],
      [`${WORK}/runs/*`]: KEEPING,
      [WORK]: ['s3:ListBucket'],
    });
  });

  test.each([['sagemaker:UpdateEndpoint'], ['sagemaker:UpdateEndpointWeightsAndCapacities']])(
    'may %s on endpoints that have either tag, and on no other',
    async (action) => {
      const may = (context: Record<string, string>) =>
        mayDo(policy, action, sagemaker('endpoint/churn-live'), context);
      expect([
        await may(tagged('tocsin:rollback')),
        await may(tagged('tocsin:drill')),
        await may({ ...tagged('tocsin:rollback'), ...tagged('tocsin:drill', 'no') }),
        await may(tagged('tocsin:rollback', 'no')),
        await may({}),
      ]).toEqual([true, true, true, false, false]);
    },
  );

  test('hands on keys through SageMaker alone, and to AWS alone', () => {
    // Not simulated: a key lets nobody in whom its own policy does not.
    const conditions = policy.Statement.filter(({ Action }) => Action === 'kms:CreateGrant').map(
      ({ Condition }) => Condition,
    );
    expect(conditions).toEqual([
      {
        StringEquals: { 'kms:ViaService': `sagemaker.${REGION}.amazonaws.com` },
        Bool: { 'kms:GrantIsForAWSResource': 'true' },
      },
    ]);
  });

  test('invokes no endpoint, and removes nothing', async () => {
    const tags = tagged('tocsin:rollback');
    expect(await mayDo(policy, 'sagemaker:InvokeEndpoint', sagemaker('endpoint/churn'), tags)).toBe(false);
    const own = sagemaker('endpoint-config/tocsin-rollback-1a2b');
    expect(await mayDo(policy, 'sagemaker:DeleteEndpointConfig', own)).toBe(false);
  });
});

describe('the functions', () => {
  const lambdaOf = (id: string, from = template) =>
    resourceOf<Record<string, unknown> & { Environment: { Variables: Record<string, string> } }>(
      from,
      'AWS::Lambda::Function',
      id,
    );

  test('the drill is durable, and as patient as its longest', () => {
    const lambda = lambdaOf('RollbackDrillGate');
    expect(lambda).toMatchObject({
      MemorySize: 1024,
      Timeout: 900,
      Architectures: ['arm64'],
      // An hour and ten minutes, and ten hours.
      DurableConfig: { ExecutionTimeout: 980 * 60 },
    });
    expect(lambda).not.toHaveProperty('Layers');
    expect(lambda).not.toHaveProperty('ReservedConcurrentExecutions');
    expect(environmentSchema.parse(lambda.Environment.Variables)).toMatchObject({
      WORKFLOW: 'durable',
      WORK_BUCKET: 'workbucket',
      EVIDENCE_BUCKET: 'evidencebucket',
      DATA_BUCKET: 'qualitygatedata',
      TOPIC_ARN: `arn:aws:sns:${local}:notificationstopic`,
      ROLLBACK_ARN: `arn:aws:lambda:${local}:function:gate:live`,
    });
    expect(
      environmentSchema.parse(lambdaOf('RollbackDrillGate', one).Environment.Variables),
    ).not.toHaveProperty('DATA_BUCKET');
  });

  test('a drill has fourteen hours beside twice the time that its rollback has', () => {
    expect(longestRollbackDrill(ONE).toMinutes()).toBe(862);
  });

  test('the rollback keeps no evidence, and tells nobody but by its alarms', () => {
    const lambda = lambdaOf('RollbackGate');
    expect(lambda).toMatchObject({
      MemorySize: 512,
      Timeout: 900,
      DurableConfig: { ExecutionTimeout: 6 * 3600 },
    });
    const { Variables } = lambda.Environment;
    expect(rollbackEnvironmentSchema.parse(Variables)).toEqual({
      WORKFLOW: 'durable',
      WORK_BUCKET: 'workbucket',
    });
    expect(Object.keys(Variables).toSorted()).toEqual(['NODE_OPTIONS', 'WORKFLOW', 'WORK_BUCKET']);
  });

  test('live as long as Lambda lets them, in one process', () => {
    const inProcess = synthesize({ ...ONE, workflow: 'in-process' });
    for (const id of ['RollbackDrillGate', 'RollbackGate']) {
      const lambda = lambdaOf(id, inProcess);
      expect(lambda).toMatchObject({ Timeout: 900, Environment: { Variables: { WORKFLOW: 'in-process' } } });
      expect(lambda).not.toHaveProperty('DurableConfig');
    }
  });

  test('no rollback happens when nobody waits for it any more', () => {
    const patienceOf = (id: string, from = one) => resourceOf(from, 'AWS::Lambda::EventInvokeConfig', id);
    const inProcess = synthesize({ ...ONE, workflow: 'in-process' });
    expect(patienceOf('RollbackGate')).toMatchObject({ MaximumEventAgeInSeconds: 300 });
    expect(patienceOf('RollbackGate', inProcess)).toMatchObject({
      MaximumEventAgeInSeconds: 300,
      MaximumRetryAttempts: 0,
    });
    expect(patienceOf('RollbackDrillGate', inProcess)).toMatchObject({
      MaximumEventAgeInSeconds: 6 * 3600,
      MaximumRetryAttempts: 2,
    });
  });

  test('say in their alarms what may be wrong', () => {
    const texts = Object.values(resourcesOfGates(one, 'AWS::CloudWatch::Alarm')).map(
      ({ Properties }) => Properties.AlarmDescription as string,
    );
    expect(texts.filter((text) => text.includes('dead-letter')).map((text) => text.split('. ')[0])).toEqual([
      'Tocsin rollback: an event ended in the dead-letter queue, so it was not judged: an endpoint may still serve what it was to be rolled back from',
      'Tocsin rollback-drill: an event ended in the dead-letter queue, so it was not judged: nobody knows whether a rollback would still work, and the endpoint may not be as it was',
    ]);
  });
});

describe('triggers', () => {
  const rules = Object.values(resourcesOfGates(template, 'AWS::Events::Rule')).map(
    ({ Properties }) =>
      Properties as {
        ScheduleExpression?: string;
        EventPattern?: object;
        Targets: { Arn: { Ref: string }; Input?: string }[];
      },
  );
  const ofDrill = rules.filter(({ Targets }) => Targets[0]?.Arn.Ref.startsWith('RollbackDrillGate'));

  test('a schedule starts its drill, and every 15 minutes it is looked for what was left', () => {
    const schedules = ofDrill.filter(({ ScheduleExpression }) => ScheduleExpression !== undefined);
    expect(
      schedules.map(({ ScheduleExpression, Targets }) => [ScheduleExpression, Targets[0]?.Input]),
    ).toEqual([
      ['rate(7 days)', '{"drill":"plain"}'],
      ['rate(15 minutes)', '{"watch":true}'],
    ]);
  });

  test('a deployment starts the drills of its stack, once', () => {
    const patterns = ofDrill.flatMap(({ EventPattern }) => EventPattern ?? []);
    expect(patterns).toHaveLength(1);
    const { EventPattern: pattern = {} } = resourceOf<{ EventPattern?: object }>(
      template,
      'AWS::Events::Rule',
      'RollbackDrillGateDeployedtraining',
    );
    const event = (name: string): unknown =>
      JSON.parse(readFileSync(`test/fixtures/events/${name}.json`, 'utf8'));
    expect(matches(pattern, event('cloudformation-stack-updated'))).toBe(true);
    expect(matches(pattern, event('cloudformation-stack-other'))).toBe(false);
  });

  test('nothing rolls back by itself', () => {
    expect(rules.filter(({ Targets }) => Targets[0]?.Arn.Ref.startsWith('RollbackGate'))).toEqual([]);
  });
});

describe('the stack', () => {
  test('of rollback drills alone has no quality gate, and no bucket for data', () => {
    expect(Object.keys(resourcesOfGates(one, 'AWS::Lambda::Function'))).toHaveLength(2);
    one.resourceCountIs('AWS::Lambda::LayerVersion', 0);
    expect(Object.keys(one.findOutputs('*')).toSorted()).toEqual([
      'BoardAlias',
      'BoardPage',
      'EvidenceBucket',
      'NotificationTopic',
      'RollbackAlias',
      'RollbackDrillAlias',
      'WorkBucket',
    ]);
  });

  test('keeps what an endpoint is to be restored to longer than any drill', () => {
    // One day, and three.
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
