import { readFileSync } from 'node:fs';
import { Match } from 'aws-cdk-lib/assertions';
import { describe, expect, test } from 'vitest';
import { environmentSchema } from '../../functions/holdout-evaluation/schema.ts';
import { isAllowed, type PolicyDocument } from '../support/access.ts';
import { matches } from '../support/event-pattern.ts';
import { everyFunction, type Permissions, permissionsOf, type Statement } from '../support/permissions.ts';
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

const OWN_ROLE = 'arn:aws:iam::111122223333:role/ranking-models';
const KEY = 'arn:aws:kms:eu-central-1:111122223333:key';

/** Uses everything that the sections of models and canaries have. */
const YAML = `tocsin: 1
datasets:
  flights: { contract: flights.yaml, prefix: flights/ }
  clicks: { contract: clicks.yaml, bucket: lake, prefix: clicks/, kmsKey: ${KEY}/data }
models:
  flight-delay:
    modelPackageGroup: FlightDelay
    task: binary
    holdout: { uri: flights/holdout/2001-05.parquet, label: late, contract: flights.yaml }
    transform: { instanceType: ml.m5.large, timeout: 4h }
    execution: { artifacts: ["s3://models/delay/"], kmsKeys: [${KEY}/models] }
    require: [{ metric: auc, atLeast: 0.6 }]
  ranking:
    modelPackageGroup: ranking
    task: regression
    holdout: { uri: s3://lake/clicks/holdout.csv, label: score, contract: clicks.yaml }
    transform: { instanceType: ml.m5.large }
    execution: { role: ${OWN_ROLE} }
    require: [{ metric: mae, atMost: 1 }]
canaries:
  weekly:
    model: flight-delay
    pipeline: TrainDelays
    modelPackageGroup: FlightDelay-canary
    dataset: { uri: flights/known/2001-01.parquet }
    expect: [{ metric: auc, atLeast: 0.65 }]
    negativeControl: { corrupt: { distance: distance * 1.609344 } }
    timeout: 5d
    schedule: rate(7 days)
    afterDeployOf: [training]
  nightly:
    model: flight-delay
    pipeline: train-small
    modelPackageGroup: FlightDelay-canary
    dataset: { uri: s3://elsewhere/known/ }
    expect: [{ metric: auc, atLeast: 0.65 }]
    negativeControl: { uri: s3://elsewhere/bent/ }
    schedule: cron(0 2 * * ? *)
    afterDeployOf: [training]
`;
const CONTRACTS = {
  'flights.yaml': contractOf('flights', 'extraColumns: allow\n'),
  'clicks.yaml': contractOf('clicks', 'extraColumns: allow\n'),
};
const CONFIG = configOf(YAML, CONTRACTS);
const template = synthesize(CONFIG);
const plain = <T>(value: T): T => deployed<T>(template, value);
const local = `${REGION}:${ACCOUNT}`;

function statementsOf(type: string, id: string): Statement[] {
  const { PolicyDocument: document } = resourceOf<{ PolicyDocument: { Statement: Statement[] } }>(
    template,
    type,
    id,
  );
  return plain(document.Statement);
}

/** What every gate function that tells people and emits events may do. */
function surroundings(prefix: string, table: Permissions): Permissions {
  return {
    ...everyFunction(prefix, table),
    [`arn:aws:sns:${local}:notificationstopic`]: ['sns:Publish'],
    [`arn:aws:kms:${local}:key/notificationskey`]: ['kms:Decrypt', 'kms:GenerateDataKey'],
    [`arn:aws:events:${local}:event-bus/default`]: ['events:PutEvents'],
  };
}

const DATA = 'arn:aws:s3:::qualitygatedata';
const WORK = 'arn:aws:s3:::workbucket';
const EVIDENCE = 'arn:aws:s3:::evidencebucket';
const XRAY = ['xray:PutTelemetryRecords', 'xray:PutTraceSegments'];
const READ = ['s3:GetObject', 's3:GetObjectTagging', 's3:GetObjectVersion', 's3:GetObjectVersionTagging'];
const WORKING = ['s3:AbortMultipartUpload', 's3:DeleteObject', 's3:GetObject', 's3:PutObject'];
const MODELS = [
  'sagemaker:AddTags',
  'sagemaker:CreateModel',
  'sagemaker:DeleteModel',
  'sagemaker:DescribeModel',
];
const TRANSFORMS = [
  'sagemaker:AddTags',
  'sagemaker:CreateTransformJob',
  'sagemaker:DescribeTransformJob',
  'sagemaker:StopTransformJob',
];
const sagemaker = (resource: string) => `arn:aws:sagemaker:${local}:${resource}`;

describe('the role of the evaluation', () => {
  const granted = statementsOf('AWS::IAM::Policy', 'HoldoutEvaluationGateRole');

  test('may do exactly this', () => {
    const table = permissionsOf(granted);
    const registry = ['sagemaker:DescribeModelPackage', 'sagemaker:UpdateModelPackage'];
    expect(table).toEqual({
      ...surroundings('holdoutevaluation', table),
      '*': ['sagemaker:ListModelPackages', ...XRAY],
      [`${DATA}/flights/holdout/2001-05.parquet`]: READ,
      [DATA]: ['s3:ListBucket'],
      'arn:aws:s3:::lake/clicks/holdout.csv': READ,
      'arn:aws:s3:::lake': ['s3:ListBucket'],
      [`${KEY}/data`]: ['kms:Decrypt'],
      [`${WORK}/runs/*`]: WORKING,
      [`${WORK}/claims/*`]: WORKING,
      [`${WORK}/jobs/*`]: WORKING,
      [WORK]: ['s3:ListBucket'],
      [`${EVIDENCE}/evidence/holdout-evaluation/*`]: ['s3:GetObject', 's3:PutObject'],
      [`${EVIDENCE}/history/holdout-evaluation/*`]: ['s3:GetObject', 's3:PutObject'],
      [EVIDENCE]: ['s3:ListBucket'],
      // SageMaker writes names in lower case into ARNs; IAM tells cases apart.
      [sagemaker('model-package/FlightDelay/*')]: registry,
      [sagemaker('model-package/flightdelay/*')]: registry,
      [sagemaker('model-package/ranking/*')]: registry,
      [sagemaker('model/tocsin-*')]: MODELS,
      [sagemaker('transform-job/tocsin-*')]: TRANSFORMS,
      [`arn:aws:iam::${ACCOUNT}:role/modelrunnermodelrole`]: ['iam:PassRole'],
      [OWN_ROLE]: ['iam:PassRole'],
    });
  });

  test('hands roles on to SageMaker alone', () => {
    expect(granted.filter(({ Action }) => [Action].flat().includes('iam:PassRole'))).toEqual([
      {
        Effect: 'Allow',
        Action: 'iam:PassRole',
        Resource: [OWN_ROLE, `arn:aws:iam::${ACCOUNT}:role/modelrunnermodelrole`],
        Condition: { StringEquals: { 'iam:PassedToService': 'sagemaker.amazonaws.com' } },
      },
    ]);
  });

  test('keeps the state of its own executions', () => {
    expect(statementsOf('AWS::IAM::Policy', 'HoldoutEvaluationGateExecutions')).toEqual([
      {
        Effect: 'Allow',
        Action: ['lambda:CheckpointDurableExecution', 'lambda:GetDurableExecutionState'],
        Resource: `arn:aws:lambda:${local}:function:holdoutevaluationgatefunction:*`,
      },
    ]);
  });

  test('reads a holdout that has passed the quality gate, and no other', async () => {
    const policy = plain(
      resourceOf<{ PolicyDocument: PolicyDocument }>(template, 'AWS::S3::BucketPolicy', 'QualityGateData')
        .PolicyDocument,
    );
    const request = {
      principal: `arn:aws:iam::${ACCOUNT}:role/holdoutevaluationgaterole`,
      object: 'qualitygatedata/flights/holdout/2001-05.parquet',
    };
    const passed = { 'tocsin:quality': 'passed' };
    for (const action of ['s3:GetObject', 's3:GetObjectVersion']) {
      expect(await isAllowed(policy, { ...request, action, tags: passed })).toBe(true);
      expect(await isAllowed(policy, { ...request, action, tags: { 'tocsin:quality': 'failed' } })).toBe(
        false,
      );
      expect(await isAllowed(policy, { ...request, action })).toBe(false);
    }
    // That it has not passed it may know, and not change.
    expect(await isAllowed(policy, { ...request, action: 's3:GetObjectTagging' })).toBe(true);
    expect(await isAllowed(policy, { ...request, action: 's3:PutObjectTagging', tags: passed })).toBe(false);
  });
});

describe('the role of the canary', () => {
  const granted = statementsOf('AWS::IAM::Policy', 'PipelineCanaryGateRole');

  test('may do exactly this', () => {
    const table = permissionsOf(granted);
    const registry = ['sagemaker:DescribeModelPackage', 'sagemaker:UpdateModelPackage'];
    const executions = [
      'sagemaker:DescribePipelineExecution',
      'sagemaker:ListPipelineExecutionSteps',
      'sagemaker:StopPipelineExecution',
    ];
    expect(table).toEqual({
      ...surroundings('pipelinecanary', table),
      '*': XRAY,
      [`${DATA}/flights/holdout/2001-05.parquet`]: READ,
      [`${DATA}/flights/known/2001-01.parquet`]: READ,
      [`${DATA}/flights/known/tocsin-canary-*`]: [
        's3:AbortMultipartUpload',
        's3:DeleteObject',
        's3:GetObjectTagging',
        's3:PutObject',
      ],
      [DATA]: ['s3:ListBucket'],
      [`${WORK}/runs/*`]: WORKING,
      [`${WORK}/claims/*`]: WORKING,
      [`${WORK}/jobs/*`]: WORKING,
      [WORK]: ['s3:ListBucket'],
      [`${EVIDENCE}/evidence/holdout-evaluation/canary-*/*`]: ['s3:GetObject', 's3:PutObject'],
      [`${EVIDENCE}/history/holdout-evaluation/canary-*/*`]: ['s3:GetObject', 's3:PutObject'],
      [EVIDENCE]: ['s3:ListBucket'],
      [sagemaker('model-package/FlightDelay-canary/*')]: registry,
      [sagemaker('model-package/flightdelay-canary/*')]: registry,
      [sagemaker('model/tocsin-*')]: MODELS,
      [sagemaker('transform-job/tocsin-*')]: TRANSFORMS,
      [`arn:aws:iam::${ACCOUNT}:role/modelrunnermodelrole`]: ['iam:PassRole'],
      [sagemaker('pipeline/TrainDelays')]: ['sagemaker:StartPipelineExecution'],
      [sagemaker('pipeline/traindelays')]: ['sagemaker:StartPipelineExecution'],
      [sagemaker('pipeline/train-small')]: ['sagemaker:StartPipelineExecution'],
      [sagemaker('pipeline/TrainDelays/execution/*')]: executions,
      [sagemaker('pipeline/traindelays/execution/*')]: executions,
      [sagemaker('pipeline/train-small/execution/*')]: executions,
    });
  });

  test('rejects the models of canaries, and cannot approve one', () => {
    expect(granted.filter(({ Action }) => [Action].flat().includes('sagemaker:UpdateModelPackage'))).toEqual([
      expect.objectContaining({
        Action: 'sagemaker:UpdateModelPackage',
        Condition: { StringEquals: { 'sagemaker:ModelApprovalStatus': 'Rejected' } },
      }),
    ]);
  });
});

describe('the role of models under evaluation', () => {
  test('is for SageMaker in this account', () => {
    expect(resourceOf(template, 'AWS::IAM::Role', 'ModelRunnerModelRole')).toMatchObject({
      AssumeRolePolicyDocument: {
        Statement: [
          {
            Effect: 'Allow',
            Action: 'sts:AssumeRole',
            Principal: { Service: 'sagemaker.amazonaws.com' },
            Condition: { StringEquals: { 'aws:SourceAccount': ACCOUNT } },
          },
        ],
      },
    });
  });

  test('may do exactly this', () => {
    const granted = statementsOf('AWS::IAM::Policy', 'ModelRunnerModelRole');
    const logs = [
      'logs:CreateLogGroup',
      'logs:CreateLogStream',
      'logs:DescribeLogStreams',
      'logs:PutLogEvents',
    ];
    expect(permissionsOf(granted)).toEqual({
      [`${WORK}/jobs/*`]: ['s3:GetObject', 's3:PutObject'],
      [WORK]: ['s3:ListBucket'],
      'arn:aws:s3:::models/delay/*': ['s3:GetObject'],
      'arn:aws:s3:::models': ['s3:ListBucket'],
      [`${KEY}/models`]: ['kms:Decrypt'],
      [`arn:aws:ecr:${REGION}:*:repository/*`]: [
        'ecr:BatchCheckLayerAvailability',
        'ecr:BatchGetImage',
        'ecr:GetDownloadUrlForLayer',
      ],
      [`arn:aws:logs:${local}:log-group:/aws/sagemaker/TransformJobs`]: logs,
      [`arn:aws:logs:${local}:log-group:/aws/sagemaker/TransformJobs:*`]: logs,
      '*': ['cloudwatch:PutMetricData', 'ecr:GetAuthorizationToken'],
    });
    expect(
      granted
        .filter(({ Condition }) => Condition !== undefined)
        .map(({ Action, Condition }) => [Action, Condition]),
    ).toEqual([
      ['s3:ListBucket', { StringLike: { 's3:prefix': ['jobs/*'] } }],
      ['s3:ListBucket', { StringLike: { 's3:prefix': ['delay/*'] } }],
      [
        'cloudwatch:PutMetricData',
        { StringEquals: { 'cloudwatch:namespace': '/aws/sagemaker/TransformJobs' } },
      ],
    ]);
  });

  test('is not made where each model has its own', () => {
    const own = synthesize(
      configOf(
        YAML.replace('execution: { artifacts', `execution: { role: ${OWN_ROLE}, artifacts`),
        CONTRACTS,
      ),
    );
    expect(own.findOutputs('ModelRole')).toEqual({});
    own.resourcePropertiesCountIs('AWS::IAM::Role', { Description: 'Tocsin: models under evaluation' }, 0);
    for (const { Properties } of Object.values(resourcesOfGates(own, 'AWS::Lambda::Function'))) {
      expect(Properties.Environment.Variables).not.toHaveProperty('MODEL_ROLE_ARN');
    }
  });
});

describe('the work bucket', () => {
  test('forgets everything after the longest run, and some days', () => {
    const bucket = resourceOf(template, 'AWS::S3::Bucket', 'WorkBucket');
    expect(bucket).toMatchObject({
      PublicAccessBlockConfiguration: { BlockPublicAcls: true, RestrictPublicBuckets: true },
      LoggingConfiguration: { LogFilePrefix: 'work/' },
      LifecycleConfiguration: {
        Rules: [
          // Five days of the pipeline, four hours of the transform job, two of everything else; then three days.
          { ExpirationInDays: 9, Status: 'Enabled' },
          { AbortIncompleteMultipartUpload: { DaysAfterInitiation: 1 }, Status: 'Enabled' },
        ],
      },
    });
    expect(bucket).not.toHaveProperty('VersioningConfiguration');
  });

  test('speaks TLS only, and lets roles of models in as far as their jobs go', () => {
    const [tls, ...others] = statementsOf('AWS::S3::BucketPolicy', 'WorkBucket');
    expect(tls).toMatchObject({ Effect: 'Deny', Condition: { Bool: { 'aws:SecureTransport': 'false' } } });
    expect(others).toEqual([
      {
        Effect: 'Allow',
        Principal: { AWS: OWN_ROLE },
        Action: ['s3:GetObject', 's3:PutObject'],
        Resource: `${WORK}/jobs/*`,
      },
      {
        Effect: 'Allow',
        Principal: { AWS: OWN_ROLE },
        Action: 's3:ListBucket',
        Resource: WORK,
        Condition: { StringLike: { 's3:prefix': ['jobs/*'] } },
      },
    ]);
  });
});

describe('the functions', () => {
  const lambdaOf = (id: string, from = template) =>
    resourceOf<Record<string, unknown> & { Environment: { Variables: Record<string, string> } }>(
      from,
      'AWS::Lambda::Function',
      id,
    );

  test.each([
    // Four hours and a margin of two; with five days for the pipeline before.
    ['HoldoutEvaluationGate', 6 * 3600],
    ['PipelineCanaryGate', 126 * 3600],
  ])('are durable, and as patient as their jobs: %s', (id, seconds) => {
    const lambda = lambdaOf(id);
    expect(lambda).toMatchObject({
      Timeout: 900,
      DurableConfig: { ExecutionTimeout: seconds },
      // Durable functions know no destinations.
      DeadLetterConfig: { TargetArn: `arn:aws:sqs:${local}:${id.toLowerCase()}deadletters` },
    });
    expect(environmentSchema.parse(lambda.Environment.Variables)).toMatchObject({
      WORKFLOW: 'durable',
      WORK_BUCKET: 'workbucket',
      EVIDENCE_BUCKET: 'evidencebucket',
      DATA_BUCKET: 'qualitygatedata',
      MODEL_ROLE_ARN: `arn:aws:iam::${ACCOUNT}:role/modelrunnermodelrole`,
    });
    const invoke = resourceOf(template, 'AWS::Lambda::EventInvokeConfig', id);
    expect(invoke).toMatchObject({ MaximumEventAgeInSeconds: 21_600 });
    expect(Object.keys(invoke).sort()).toEqual(['FunctionName', 'MaximumEventAgeInSeconds', 'Qualifier']);
    // What runs goes on with the code that it began with.
    const versions = Object.entries(template.findResources('AWS::Lambda::Version'));
    expect(versions.find(([name]) => name.startsWith(id))?.[1]).toMatchObject({ DeletionPolicy: 'Retain' });
  });

  test('wait for the permission to keep their state', () => {
    const aliases = Object.entries(resourcesOfGates(template, 'AWS::Lambda::Alias'));
    const dependencies = Object.fromEntries(
      aliases.map(([id, { DependsOn }]) => [id, ((DependsOn ?? []) as string[]).join()]),
    );
    expect(Object.values(dependencies).filter((one) => one.includes('GateExecutions'))).toHaveLength(2);
  });

  test('in one process: no durability, retries and a destination', () => {
    const inProcess = synthesize({ ...CONFIG, workflow: 'in-process' });
    for (const id of ['HoldoutEvaluationGate', 'PipelineCanaryGate']) {
      const lambda = lambdaOf(id, inProcess);
      expect(lambda).not.toHaveProperty('DurableConfig');
      expect(lambda).not.toHaveProperty('DeadLetterConfig');
      expect(lambda.Environment.Variables).toMatchObject({ WORKFLOW: 'in-process' });
      expect(resourceOf(inProcess, 'AWS::Lambda::EventInvokeConfig', id)).toMatchObject({
        MaximumRetryAttempts: 2,
        DestinationConfig: { OnFailure: {} },
      });
    }
    inProcess.resourcePropertiesCountIs(
      'AWS::IAM::Policy',
      {
        PolicyDocument: {
          Statement: [Match.objectLike({ Action: Match.arrayWith(['lambda:GetDurableExecutionState']) })],
        },
      },
      0,
    );
  });

  test('share one layer with the quality gate', () => {
    template.resourceCountIs('AWS::Lambda::LayerVersion', 1);
    expect(Object.keys(resourcesOfGates(template, 'AWS::Lambda::Function'))).toHaveLength(3);
  });

  test('say in their alarms what was not judged', () => {
    const texts = Object.values(resourcesOfGates(template, 'AWS::CloudWatch::Alarm')).map(
      ({ Properties }) => Properties.AlarmDescription as string,
    );
    expect(texts).toHaveLength(9);
    expect(texts.filter((text) => text.includes('dead-letter')).map((text) => text.split('. ')[0])).toEqual([
      'Tocsin quality-gate: an event ended in the dead-letter queue, so it was not judged: its data stays locked',
      'Tocsin holdout-evaluation: an event ended in the dead-letter queue, so it was not judged: its model stays as it was, which for a new one is pending',
      'Tocsin pipeline-canary: an event ended in the dead-letter queue, so it was not judged: nobody knows whether the pipeline still works',
    ]);
  });
});

describe('triggers', () => {
  const ruleOf = (id: string) =>
    resourceOf<{
      EventPattern?: object;
      ScheduleExpression?: string;
      Targets: { Arn: string; Input?: string; DeadLetterConfig: { Arn: string } }[];
    }>(template, 'AWS::Events::Rule', id);
  const event = (name: string): unknown =>
    JSON.parse(readFileSync(`test/fixtures/events/${name}.json`, 'utf8'));

  test.each([
    ['sagemaker-package-registered', true],
    // By hand, or by the evaluation itself, which passes over its own.
    ['sagemaker-package-approved', true],
    ['sagemaker-package-in-progress', false],
    ['sagemaker-package-failed', false],
    ['sagemaker-package-other-group', false],
    ['sagemaker-endpoint-in-service', false],
    ['s3-object-created-put', false],
  ])('a package of the group starts an evaluation: %s %s', (name, expected) => {
    const { EventPattern: pattern = {} } = ruleOf('HoldoutEvaluationGateRegisteredflightdelay');
    expect(matches(pattern, event(name))).toBe(expected);
    expect(matches(ruleOf('HoldoutEvaluationGateRegisteredranking').EventPattern ?? {}, event(name))).toBe(
      false,
    );
  });

  test.each([
    ['cloudformation-stack-updated', true],
    ['cloudformation-stack-created', true],
    ['cloudformation-stack-rolled-back', false],
    ['cloudformation-stack-other', false],
  ])('a deployment of the stack starts its canaries, once: %s %s', (name, expected) => {
    const deployments = Object.keys(resourcesOfGates(template, 'AWS::Events::Rule')).filter((id) =>
      id.includes('Deployed'),
    );
    expect(deployments).toHaveLength(1);
    const { EventPattern: pattern = {} } = ruleOf('PipelineCanaryGateDeployedtraining');
    expect(matches(pattern, event(name))).toBe(expected);
  });

  test('a schedule starts its canary', () => {
    const schedules = ['weekly', 'nightly'].map((name) => ruleOf(`PipelineCanaryGateSchedule${name}`));
    expect(
      schedules.map(({ ScheduleExpression, Targets }) => [ScheduleExpression, Targets[0]?.Input]),
    ).toEqual([
      ['rate(7 days)', '{"canary":"weekly"}'],
      ['cron(0 2 * * ? *)', '{"canary":"nightly"}'],
    ]);
  });

  test('reach functions by their alias, and lose nothing', () => {
    for (const [id, { Properties }] of Object.entries(resourcesOfGates(template, 'AWS::Events::Rule'))) {
      const gate = /^(QualityGate|HoldoutEvaluation|PipelineCanary)/.exec(id)?.[0];
      expect(Properties.Targets[0].Arn.Ref).toMatch(new RegExp(`^${gate}Gate?Live|^${gate}Live`));
      expect(plain(Properties.Targets[0].DeadLetterConfig.Arn)).toMatch(
        new RegExp(`:${gate}(gate)?deadletters$`, 'i'),
      );
    }
    expect(Object.keys(resourcesOfGates(template, 'AWS::Lambda::Permission'))).toHaveLength(3);
  });
});

describe('the stack', () => {
  test('names what people need', () => {
    const outputs = Object.keys(template.findOutputs('*'));
    expect(outputs).toEqual(
      expect.arrayContaining(['HoldoutEvaluationAlias', 'PipelineCanaryAlias', 'WorkBucket', 'ModelRole']),
    );
  });

  test('has no canary where there is none, and no evaluation without a model', () => {
    const models = synthesize(configOf(YAML.slice(0, YAML.indexOf('canaries:')), CONTRACTS));
    expect(Object.keys(resourcesOfGates(models, 'AWS::Lambda::Function'))).toHaveLength(2);
    expect(models.findOutputs('PipelineCanaryAlias')).toEqual({});
    // Four hours, two hours, and three days.
    expect(resourceOf(models, 'AWS::S3::Bucket', 'WorkBucket')).toMatchObject({
      LifecycleConfiguration: { Rules: [{ ExpirationInDays: 4 }, {}] },
    });
    const datasets = synthesize(configOf(YAML.slice(0, YAML.indexOf('models:')), CONTRACTS));
    expect(Object.keys(resourcesOfGates(datasets, 'AWS::Lambda::Function'))).toHaveLength(1);
    expect(datasets.findOutputs('WorkBucket')).toEqual({});
  });

  test.each(['durable', 'in-process'] as const)('gives cdk-nag nothing to say: %s', (workflow) => {
    expect(() => checkWithNag({ ...CONFIG, workflow })).not.toThrow();
  });
});
