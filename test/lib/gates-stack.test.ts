import { readFileSync } from 'node:fs';
import { Match } from 'aws-cdk-lib/assertions';
import { Bucket } from 'aws-cdk-lib/aws-s3';
import { describe, expect, test } from 'vitest';
import { bundleSchema, environmentSchema } from '../../functions/quality-gate/schema.ts';
import { bundleOf } from '../../lib/config.ts';
import { isAllowed, type PolicyDocument } from '../support/access.ts';
import { matches } from '../support/event-pattern.ts';
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

interface Statement {
  Sid?: string;
  Effect: string;
  Action: string | string[];
  Resource: string | string[];
  Condition?: unknown;
}

const BREAK_GLASS = 'arn:aws:iam::111122223333:role/oncall';

/** Uses everything that tocsin.yaml has. */
const CONFIG = configOf(
  `tocsin: 1
notify: { emails: [data-team@example.com] }
breakGlass: [${BREAK_GLASS}]
engine: { architecture: x86_64, memory: 2048, disk: 1000, timeout: 5m, concurrency: 3 }
datasets:
  flights:
    contract: contracts/flights.yaml
    prefix: flights/
    onAccept: { pipeline: TrainDelays }
  sensors: { contract: contracts/sensors.yaml, prefix: sensors/, inconclusive: allow }
  partner:
    contract: contracts/partner.yaml
    bucket: partner-data
    kmsKey: arn:aws:kms:eu-central-1:111122223333:key/1234abcd
    prefix: incoming/
`,
  {
    'contracts/flights.yaml': contractOf('flights'),
    'contracts/sensors.yaml': contractOf('sensors', 'batch: marker\n'),
    'contracts/partner.yaml': contractOf('partner'),
  },
);
const template = synthesize(CONFIG);

const DATA = 'arn:aws:s3:::qualitygatedata';
const plain = <T>(value: T): T => deployed<T>(template, value);

function statementsOf(type: string, id: string): Statement[] {
  const { PolicyDocument: document } = resourceOf<{ PolicyDocument: { Statement: Statement[] } }>(
    template,
    type,
    id,
  );
  return plain(document.Statement);
}

describe('the role of the gate', () => {
  const granted = statementsOf('AWS::IAM::Policy', 'QualityGateRole');
  const byResource: Record<string, string[]> = {};
  for (const { Action, Resource } of granted) {
    for (const resource of [Resource].flat()) {
      byResource[resource] = [...(byResource[resource] ?? []), ...[Action].flat()].sort();
    }
  }

  test('may do exactly this', () => {
    const partner = 'arn:aws:s3:::partner-data';
    const evidence = 'arn:aws:s3:::evidencebucket';
    const local = `${REGION}:${ACCOUNT}`;
    const judge = [
      's3:GetObject',
      's3:GetObjectTagging',
      's3:GetObjectVersion',
      's3:GetObjectVersionTagging',
      's3:PutObjectTagging',
      's3:PutObjectVersionTagging',
    ];
    const config = Object.keys(byResource).find((resource) => resource.includes('cdk-hnb659fds-assets'));
    expect(config).toMatch(
      new RegExp(`^arn:aws:s3:::cdk-hnb659fds-assets-${ACCOUNT}-${REGION}/[0-9a-f]{64}\\.json$`),
    );
    expect(byResource).toEqual({
      [`${DATA}/flights/*`]: judge,
      [`${DATA}/sensors/*`]: judge,
      [DATA]: ['s3:ListBucket'],
      [`${partner}/incoming/*`]: judge,
      [partner]: ['s3:ListBucket'],
      'arn:aws:kms:eu-central-1:111122223333:key/1234abcd': ['kms:Decrypt'],
      [`${evidence}/evidence/quality-gate/*`]: ['s3:GetObject', 's3:PutObject'],
      [`${evidence}/history/quality-gate/*`]: ['s3:GetObject', 's3:PutObject'],
      [`${evidence}/baselines/*`]: ['s3:GetObject'],
      [evidence]: ['s3:ListBucket'],
      [config as string]: ['s3:GetObject'],
      [`arn:aws:sns:${local}:notificationstopic`]: ['sns:Publish'],
      [`arn:aws:kms:${local}:key/notificationskey`]: ['kms:Decrypt', 'kms:GenerateDataKey'],
      [`arn:aws:events:${local}:event-bus/default`]: ['events:PutEvents'],
      [`arn:aws:sagemaker:${local}:pipeline/TrainDelays`]: ['sagemaker:StartPipelineExecution'],
      [`arn:aws:sagemaker:${local}:pipeline/traindelays`]: ['sagemaker:StartPipelineExecution'],
      [`arn:aws:sqs:${local}:qualitygatedeadletters`]: [
        'sqs:GetQueueAttributes',
        'sqs:GetQueueUrl',
        'sqs:SendMessage',
      ],
      [`arn:aws:logs:${local}:log-group:qualitygatelogs:*`]: ['logs:CreateLogStream', 'logs:PutLogEvents'],
      '*': ['xray:PutTelemetryRecords', 'xray:PutTraceSegments'],
    });
  });

  test('lists and emits under these conditions only', () => {
    const conditions = granted
      .filter(({ Condition }) => Condition !== undefined)
      .map(({ Action, Resource, Condition }) => [Action, Resource, Condition]);
    expect(conditions).toEqual(
      expect.arrayContaining([
        [
          'events:PutEvents',
          `arn:aws:events:${REGION}:${ACCOUNT}:event-bus/default`,
          { StringEquals: { 'events:source': 'tocsin' } },
        ],
        [
          's3:ListBucket',
          'arn:aws:s3:::evidencebucket',
          {
            StringLikeIfExists: {
              's3:prefix': ['evidence/quality-gate/*', 'history/quality-gate/*', 'baselines/*'],
            },
          },
        ],
        ['s3:ListBucket', DATA, { StringLikeIfExists: { 's3:prefix': ['flights/*', 'sensors/*'] } }],
        [
          's3:ListBucket',
          'arn:aws:s3:::partner-data',
          { StringLikeIfExists: { 's3:prefix': ['incoming/*'] } },
        ],
      ]),
    );
    expect(conditions).toHaveLength(4);
  });

  test('is the only one beside that of the board, and only Lambda assumes it', () => {
    expect(
      Object.values(resourcesOfGates(template, 'AWS::IAM::Role')).map(({ Properties }) => Properties),
    ).toEqual([
      {
        Description: 'Tocsin quality-gate',
        AssumeRolePolicyDocument: {
          Version: '2012-10-17',
          Statement: [
            { Effect: 'Allow', Action: 'sts:AssumeRole', Principal: { Service: 'lambda.amazonaws.com' } },
          ],
        },
      },
    ]);
  });
});

describe('the bucket for data', () => {
  const policy = plain(
    resourceOf<{ PolicyDocument: PolicyDocument }>(template, 'AWS::S3::BucketPolicy', 'QualityGateData')
      .PolicyDocument,
  );
  const gate = `arn:aws:iam::${ACCOUNT}:role/qualitygaterole`;
  const training = `arn:aws:iam::${ACCOUNT}:role/training`;

  test('is locked by the statements of the lock, and speaks TLS only', () => {
    expect(policy.Statement).toEqual([
      {
        Action: 's3:*',
        Condition: { Bool: { 'aws:SecureTransport': 'false' } },
        Effect: 'Deny',
        Principal: { AWS: '*' },
        Resource: [DATA, `${DATA}/*`],
      },
      {
        Sid: 'TocsinLockUnlessPassed',
        Effect: 'Deny',
        Principal: '*',
        Action: ['s3:GetObject', 's3:GetObjectTorrent', 's3:GetObjectVersion', 's3:GetObjectVersionTorrent'],
        Resource: `${DATA}/flights/*`,
        Condition: {
          StringNotEquals: { 's3:ExistingObjectTag/tocsin:quality': ['passed'] },
          ArnNotLike: { 'aws:PrincipalArn': [gate, BREAK_GLASS] },
        },
      },
      {
        Sid: 'TocsinLockUnlessNotFailed',
        Effect: 'Deny',
        Principal: '*',
        Action: ['s3:GetObject', 's3:GetObjectTorrent', 's3:GetObjectVersion', 's3:GetObjectVersionTorrent'],
        Resource: `${DATA}/sensors/*`,
        Condition: {
          StringNotEquals: { 's3:ExistingObjectTag/tocsin:quality': ['passed', 'inconclusive'] },
          ArnNotLike: { 'aws:PrincipalArn': [gate, BREAK_GLASS] },
        },
      },
      {
        Sid: 'TocsinOnlyTheGateTags',
        Effect: 'Deny',
        Principal: '*',
        Action: [
          's3:DeleteObjectTagging',
          's3:DeleteObjectVersionTagging',
          's3:PutObjectTagging',
          's3:PutObjectVersionTagging',
          's3:ReplicateTags',
        ],
        Resource: [`${DATA}/flights/*`, `${DATA}/sensors/*`],
        Condition: { ArnNotLike: { 'aws:PrincipalArn': [gate] } },
      },
    ]);
  });

  test.each<[string, string, Record<string, string>, boolean]>([
    ['training, unjudged', training, {}, false],
    ['training, failed', training, { 'tocsin:quality': 'failed' }, false],
    ['training, passed', training, { 'tocsin:quality': 'passed' }, true],
    ['the gate, unjudged', gate, {}, true],
    ['break-glass, failed', BREAK_GLASS, { 'tocsin:quality': 'failed' }, true],
  ])('as it is deployed, it decides on %s', async (_, principal, tags, allowed) => {
    const request = {
      principal,
      action: 's3:GetObject',
      object: 'qualitygatedata/flights/feb.parquet',
      tags,
    };
    expect(await isAllowed(policy, request)).toBe(allowed);
  });

  test('stays locked when the stack is deleted', () => {
    template.hasResource('AWS::S3::BucketPolicy', {
      DeletionPolicy: 'Retain',
      UpdateReplacePolicy: 'Retain',
      Properties: {
        PolicyDocument: { Statement: Match.arrayWith([Match.objectLike({ Sid: 'TocsinOnlyTheGateTags' })]) },
      },
    });
  });

  test('is versioned, private, logged, kept, and tells EventBridge by itself', () => {
    template.hasResource('AWS::S3::Bucket', {
      DeletionPolicy: 'Retain',
      UpdateReplacePolicy: 'Retain',
      Properties: {
        NotificationConfiguration: { EventBridgeConfiguration: { EventBridgeEnabled: true } },
        VersioningConfiguration: { Status: 'Enabled' },
        PublicAccessBlockConfiguration: {
          BlockPublicAcls: true,
          BlockPublicPolicy: true,
          IgnorePublicAcls: true,
          RestrictPublicBuckets: true,
        },
        OwnershipControls: { Rules: [{ ObjectOwnership: 'BucketOwnerEnforced' }] },
        LoggingConfiguration: { LogFilePrefix: 'data/' },
        LifecycleConfiguration: {
          Rules: [{ AbortIncompleteMultipartUpload: { DaysAfterInitiation: 7 }, Status: 'Enabled' }],
        },
      },
    });
    expect(Object.keys(template.findResources('AWS::CloudFormation::CustomResource'))).toEqual([]);
    expect(Object.keys(template.findResources('Custom::S3BucketNotifications'))).toEqual([]);
    expect(Object.keys(resourcesOfGates(template, 'AWS::Lambda::Function'))).toHaveLength(1);
  });
});

describe('an existing bucket', () => {
  test('keeps its policy; what to add is printed', () => {
    template.resourceCountIs('AWS::S3::BucketPolicy', 3);
    const [output] = Object.values(template.findOutputs('*')).filter(({ Description }) =>
      String(Description).includes('partner-data'),
    );
    const statements = JSON.parse(deployed<string>(template, output?.Value)) as Statement[];
    expect(plain(statements)).toMatchObject([
      {
        Sid: 'TocsinLockUnlessPassed',
        Effect: 'Deny',
        Resource: ['arn:aws:s3:::partner-data/incoming/*'],
        Condition: {
          ArnNotLike: {
            'aws:PrincipalArn': [`arn:aws:iam::${ACCOUNT}:role/qualitygaterole`, BREAK_GLASS],
          },
        },
      },
      { Sid: 'TocsinOnlyTheGateTags', Effect: 'Deny' },
    ]);
  });

  test('alone needs no bucket of ours', () => {
    const alone = synthesize({ ...CONFIG, datasets: CONFIG.datasets.filter(({ bucket }) => bucket) });
    alone.resourceCountIs('AWS::S3::Bucket', 2);
    expect(alone.findOutputs('DataBucket')).toEqual({});
    const [lambda] = Object.values(resourcesOfGates(alone, 'AWS::Lambda::Function'));
    expect(lambda?.Properties.Environment.Variables).not.toHaveProperty('DATA_BUCKET');
  });
});

describe('the function', () => {
  const lambda = resourceOf<{ Environment: { Variables: unknown } }>(
    template,
    'AWS::Lambda::Function',
    'QualityGateFunction',
  );

  test('is as large as tocsin.yaml says', () => {
    expect(lambda).toMatchObject({
      Runtime: 'nodejs24.x',
      Architectures: ['x86_64'],
      MemorySize: 2048,
      EphemeralStorage: { Size: 1000 },
      Timeout: 300,
      ReservedConcurrentExecutions: 3,
      TracingConfig: { Mode: 'Active' },
      Handler: 'index.handler',
    });
    const unreserved = synthesize({ ...CONFIG, engine: { ...CONFIG.engine, concurrency: 'unreserved' } });
    unreserved.hasResourceProperties('AWS::Lambda::Function', {
      ReservedConcurrentExecutions: Match.absent(),
    });
  });

  test('has the environment that its schema asks for, and DuckDB within its memory and disk', () => {
    const environment = environmentSchema.parse(lambda.Environment.Variables);
    expect(environment).toMatchObject({
      EVENT_BUS: 'default',
      DATA_BUCKET: 'qualitygatedata',
      EVIDENCE_BUCKET: 'evidencebucket',
      TOPIC_ARN: `arn:aws:sns:${REGION}:${ACCOUNT}:notificationstopic`,
      TMP_BYTES: 1000 * 1024 ** 2,
      MAX_DATASET_BYTES: 500 * 1024 ** 2,
    });
    expect(environment.CONFIG_KEY).toMatch(/^[0-9a-f]{64}\.json$/);
    expect(environment.ENGINE_MEMORY_BYTES).toBeLessThan(2048 * 1024 ** 2 * 0.7);
  });

  test('is reached through its alias only', () => {
    template.hasResourceProperties('AWS::Lambda::Alias', { Name: 'live' });
    const [rules, permissions] = ['AWS::Events::Rule', 'AWS::Lambda::Permission'].map((type) =>
      Object.values(resourcesOfGates(template, type)).map(({ Properties }) => Properties),
    );
    const alias = { Ref: Object.keys(resourcesOfGates(template, 'AWS::Lambda::Alias'))[0] };
    expect(rules?.map(({ Targets }) => Targets[0].Arn)).toEqual([alias, alias, alias]);
    expect(plain(permissions)).toMatchObject([
      {
        Action: 'lambda:InvokeFunction',
        Principal: 'events.amazonaws.com',
        SourceAccount: ACCOUNT,
        SourceArn: `arn:aws:events:${REGION}:${ACCOUNT}:rule/*`,
      },
    ]);
    expect(permissions?.map(({ FunctionName }) => FunctionName)).toEqual([alias]);
  });

  test('loses no event: retries, then the dead-letter queue, for Lambda and for each rule', () => {
    const queue = plain({
      'Fn::GetAtt': [Object.keys(resourcesOfGates(template, 'AWS::SQS::Queue'))[0], 'Arn'],
    });
    template.hasResourceProperties('AWS::Lambda::EventInvokeConfig', {
      MaximumRetryAttempts: 2,
      MaximumEventAgeInSeconds: 21600,
      DestinationConfig: { OnFailure: { Destination: Match.anyValue() } },
    });
    const invoke = Object.values(resourcesOfGates(template, 'AWS::Lambda::EventInvokeConfig'))[0];
    expect(plain(invoke?.Properties.DestinationConfig.OnFailure.Destination)).toEqual(queue);
    for (const { Properties } of Object.values(resourcesOfGates(template, 'AWS::Events::Rule'))) {
      expect(plain(Properties.Targets[0])).toMatchObject({
        DeadLetterConfig: { Arn: queue },
        RetryPolicy: { MaximumEventAgeInSeconds: 86_400, MaximumRetryAttempts: 185 },
      });
    }
    template.hasResourceProperties('AWS::SQS::Queue', {
      SqsManagedSseEnabled: true,
      MessageRetentionPeriod: 1_209_600,
    });
    expect(statementsOf('AWS::SQS::QueuePolicy', 'QualityGateDeadLetters')).toEqual([
      expect.objectContaining({
        Effect: 'Deny',
        Action: 'sqs:*',
        Condition: { Bool: { 'aws:SecureTransport': 'false' } },
      }),
      {
        Sid: 'RulesLeaveUndelivered',
        Effect: 'Allow',
        Principal: { Service: 'events.amazonaws.com' },
        Action: 'sqs:SendMessage',
        Resource: queue,
        Condition: {
          ArnLike: { 'aws:SourceArn': `arn:aws:events:${REGION}:${ACCOUNT}:rule/*` },
          StringEquals: { 'aws:SourceAccount': ACCOUNT },
        },
      },
    ]);
  });

  test('keeps its logs for half a year', () => {
    template.hasResourceProperties('AWS::Logs::LogGroup', { RetentionInDays: 180 });
    expect(lambda).toMatchObject({ LoggingConfig: { LogGroup: 'qualitygatelogs' } });
  });
});

describe('alarms', () => {
  const alarms = Object.values(resourcesOfGates(template, 'AWS::CloudWatch::Alarm')).map(({ Properties }) =>
    plain(Properties),
  );

  test('ring on errors, throttles and dead letters, of the alias and the queue', () => {
    const alias = [
      { Name: 'FunctionName', Value: 'qualitygatefunction' },
      { Name: 'Resource', Value: 'qualitygatefunction:live' },
    ];
    expect(alarms.map(({ MetricName, Dimensions }) => [MetricName, Dimensions])).toEqual([
      [
        'ApproximateNumberOfMessagesVisible',
        [{ Name: 'QueueName', Value: 'qualitygatedeadletters.QueueName' }],
      ],
      ['Errors', alias],
      ['Throttles', alias],
    ]);
    for (const alarm of alarms) {
      expect(alarm).toMatchObject({
        AlarmActions: [`arn:aws:sns:${REGION}:${ACCOUNT}:notificationstopic`],
        ComparisonOperator: 'GreaterThanOrEqualToThreshold',
        TreatMissingData: 'notBreaching',
      });
    }
  });

  test('on throttles say what limits that function: its own reservation, or the quota of the account', () => {
    const all = Object.values(template.findResources('AWS::CloudWatch::Alarm'));
    const limits = all
      .filter(({ Properties }) => Properties.MetricName === 'Throttles')
      .map(({ Properties: { AlarmDescription } }) => AlarmDescription.replace(/ (Ask|Raise) .*/, ''));
    const shared =
      'as many Lambda functions run as the quota of the account leaves to those without a reservation.';
    expect(limits.filter((text) => !text.endsWith(shared))).toEqual([
      'Tocsin quality-gate: events have waited for 15 minutes because as many of it run as engine.concurrency in tocsin.yaml allows, which is 3.',
    ]);
    expect(limits.length).toBeGreaterThan(1);
  });

  test('can be published: CloudWatch may use the topic and its key', () => {
    expect(statementsOf('AWS::SNS::TopicPolicy', 'Notifications')).toEqual([
      expect.objectContaining({
        Effect: 'Deny',
        Action: 'sns:Publish',
        Condition: { Bool: { 'aws:SecureTransport': 'false' } },
      }),
      expect.objectContaining({
        Effect: 'Allow',
        Principal: { Service: 'cloudwatch.amazonaws.com' },
        Action: 'sns:Publish',
        Condition: {
          ArnLike: { 'aws:SourceArn': `arn:aws:cloudwatch:${REGION}:${ACCOUNT}:alarm:*` },
        },
      }),
    ]);
    const key = resourceOf<{ KeyPolicy: { Statement: unknown[] } }>(
      template,
      'AWS::KMS::Key',
      'Notifications',
    );
    expect(key.KeyPolicy.Statement).toContainEqual({
      Sid: 'AlarmsEncrypt',
      Effect: 'Allow',
      Principal: { Service: 'cloudwatch.amazonaws.com' },
      Action: ['kms:Decrypt', 'kms:GenerateDataKey'],
      Resource: '*',
    });
    template.hasResourceProperties('AWS::SNS::Subscription', {
      Protocol: 'email',
      Endpoint: 'data-team@example.com',
    });
  });
});

describe('event patterns', () => {
  const patternOf = (dataset: string): object =>
    plain(resourceOf<{ EventPattern: object }>(template, 'AWS::Events::Rule', `QualityGateUpload${dataset}`))
      .EventPattern;
  const event = (name: string): Record<string, unknown> =>
    JSON.parse(readFileSync(`test/fixtures/events/${name}.json`, 'utf8'));
  /** An event whose object has another key. */
  const withKey = (name: string, key: string) => {
    const original = event(name) as { detail: { object: object } };
    return { ...original, detail: { ...original.detail, object: { ...original.detail.object, key } } };
  };

  test.each(['s3-object-created-put', 's3-object-created-multipart', 's3-object-created-copy'])(
    'an object of a dataset starts a verdict: %s',
    (name) => {
      expect(matches(patternOf('flights'), event(name))).toBe(true);
      expect(matches(patternOf('sensors'), event(name))).toBe(false);
      expect(matches(patternOf('partner'), event(name))).toBe(false);
    },
  );

  test.each([
    's3-object-created-elsewhere',
    's3-object-created-other-bucket',
    's3-object-created-marker',
    's3-object-deleted',
    // The gate's own tag: it would judge without end.
    's3-object-tags-added',
    'cloudtrail-put-object',
  ])('nothing else does: %s', (name) => {
    expect(matches(patternOf('flights'), event(name))).toBe(false);
  });

  test('a batch is judged when its marker lands', () => {
    const sensors = patternOf('sensors');
    expect(matches(sensors, event('s3-object-created-marker'))).toBe(true);
    expect(matches(sensors, event('s3-object-created-part'))).toBe(false);
    expect(matches(sensors, withKey('s3-object-created-marker', 'sensors/_SUCCESS'))).toBe(true);
    expect(matches(sensors, withKey('s3-object-created-marker', 'sensors/2001/NO_SUCCESS'))).toBe(false);
    expect(matches(sensors, withKey('s3-object-created-marker', 'sensors/_SUCCESS/part-0'))).toBe(false);
    expect(matches(sensors, withKey('s3-object-created-marker', 'other/sensors/_SUCCESS'))).toBe(false);
  });

  test('an existing bucket is watched by its name', () => {
    const upload = event('s3-object-created-put') as { detail: object };
    const detail = { ...upload.detail, bucket: { name: 'partner-data' }, object: { key: 'incoming/a' } };
    expect(matches(patternOf('partner'), { ...upload, detail })).toBe(true);
    expect(matches(patternOf('flights'), { ...upload, detail })).toBe(false);
  });
});

describe('the stack', () => {
  test('names what people need', () => {
    const outputs = Object.keys(template.findOutputs('*')).map((name) => name.replace(/[0-9A-F]{8}$/, ''));
    expect(outputs.sort()).toEqual([
      'BoardAlias',
      'BoardPage',
      'DataBucket',
      'EvidenceBucket',
      'NotificationTopic',
      'QualityGateAlias',
      'QualityGateLockPolicypartnerdata',
      'QualityGateReaderPolicyflights',
      'QualityGateReaderPolicypartner',
      'QualityGateReaderPolicysensors',
      'QualityGateRole',
    ]);
  });

  test('lets the readers of a dataset read and list it, and nothing else', () => {
    expect(statementsOf('AWS::IAM::ManagedPolicy', 'QualityGateReaderpartner')).toEqual([
      {
        Effect: 'Allow',
        Action: ['s3:GetObject', 's3:GetObjectVersion'],
        Resource: 'arn:aws:s3:::partner-data/incoming/*',
      },
      {
        Effect: 'Allow',
        Action: 's3:ListBucket',
        Resource: 'arn:aws:s3:::partner-data',
        Condition: { StringLike: { 's3:prefix': ['incoming/*'] } },
      },
      {
        Effect: 'Allow',
        Action: 'kms:Decrypt',
        Resource: 'arn:aws:kms:eu-central-1:111122223333:key/1234abcd',
      },
    ]);
    expect(statementsOf('AWS::IAM::ManagedPolicy', 'QualityGateReaderflights')).toMatchObject([
      { Action: ['s3:GetObject', 's3:GetObjectVersion'], Resource: `${DATA}/flights/*` },
      { Action: 's3:ListBucket', Resource: DATA },
    ]);
    template.resourceCountIs('AWS::IAM::ManagedPolicy', 3);
  });

  test('hands the function a configuration that it can read', () => {
    const bundle = bundleOf(CONFIG);
    expect(bundleSchema.parse(JSON.parse(JSON.stringify(bundle)))).toEqual(bundle);
    expect(Object.keys(bundle.contracts)).toEqual([
      'contracts/flights.yaml',
      'contracts/sensors.yaml',
      'contracts/partner.yaml',
    ]);
  });

  test('grows with datasets, not with statements in policies that have a limit', () => {
    const names = Array.from({ length: 60 }, (_, index) => `dataset-${index}`);
    const many = configOf(
      `tocsin: 1\ndatasets:\n${names.map((name) => `  ${name}: { contract: ${name}.yaml, prefix: ${name}/ }\n`).join('')}`,
      Object.fromEntries(names.map((name) => [`${name}.yaml`, contractOf(name)])),
    );
    const large = synthesize(many);
    expect(Object.keys(resourcesOfGates(large, 'AWS::Events::Rule'))).toHaveLength(60);
    expect(Object.keys(resourcesOfGates(large, 'AWS::Lambda::Permission'))).toHaveLength(1);
    const queue = resourceOf<{ PolicyDocument: PolicyDocument }>(
      large,
      'AWS::SQS::QueuePolicy',
      'QualityGate',
    );
    expect(queue.PolicyDocument.Statement).toHaveLength(2);
    const sizes = (type: string) =>
      Object.values(large.findResources(type)).map(
        ({ Properties }) => JSON.stringify(deployed(large, Properties.PolicyDocument)).length,
      );
    expect(sizes('AWS::S3::BucketPolicy').every((bytes) => bytes < 20_480)).toBe(true);
    expect(sizes('AWS::IAM::Policy').reduce((sum, bytes) => sum + bytes)).toBeLessThan(10_240);
    expect(sizes('AWS::IAM::ManagedPolicy').every((bytes) => bytes < 6_144)).toBe(true);
  });

  test('gives cdk-nag nothing to say', () => {
    expect(() => checkWithNag(CONFIG)).not.toThrow();
    // It would say something if there were something to say.
    expect(() => checkWithNag(CONFIG, (stack) => new Bucket(stack, 'Open'))).toThrow('AwsSolutions-S1');
  });
});
