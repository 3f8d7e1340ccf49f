import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { GetFunctionConfigurationCommand, LambdaClient } from '@aws-sdk/client-lambda';
import {
  GetBucketNotificationConfigurationCommand,
  GetBucketPolicyCommand,
  GetBucketVersioningCommand,
} from '@aws-sdk/client-s3';
import { ListSubscriptionsByTopicCommand } from '@aws-sdk/client-sns';
import { mockClient } from 'aws-sdk-client-mock';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { doctor } from '../../bin/commands/doctor.ts';
import { EXIT } from '../../bin/shared/cli.ts';
import { baselineKey } from '../../functions/shared/evidence.ts';
import { lockStatements } from '../../lib/shared/lock-policy.ts';
import { FakeAws, s3Error } from '../support/fake-aws.ts';
import { capture } from './support.ts';

const ROLE = 'arn:aws:iam::111122223333:role/gate';
const TOPIC = 'arn:aws:sns:eu-west-1:111122223333:verdicts';
const OUTPUTS = {
  Tocsin: {
    DataBucket: 'data',
    EvidenceBucket: 'evidence',
    NotificationTopic: TOPIC,
    QualityGateRole: ROLE,
    Other: 'x',
  },
};
const CONTRACT = `contract: 1
dataset: sales
format: csv
columns: { price: { type: number, drift: { psi: 0.2 } } }
rules: [{ name: positive, sql: price > 0 }]
`;
const PROFILE = {
  profile: 1,
  dataset: 'sales',
  tocsin: '0.1.0',
  rows: 1000,
  sha256: 'ab'.repeat(32),
  columns: {},
};

let directory = '';
const path = (name: string) => join(directory, name);

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tocsin-doctor-'));
  await writeFile(path('sales.yaml'), CONTRACT);
  await writeFile(
    path('tocsin.yaml'),
    'tocsin: 1\ndatasets:\n  sales: { contract: sales.yaml, prefix: sales/ }\n  old: { contract: old.yaml, bucket: lake, prefix: old/ }\n',
  );
  await writeFile(
    path('old.yaml'),
    'contract: 1\ndataset: old\nformat: csv\ncolumns: { x: { type: integer } }\n',
  );
  await writeFile(path('outputs.json'), JSON.stringify(OUTPUTS));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

async function run(options: { config?: string; outputs?: string } = {}) {
  const io = capture();
  const code = await doctor({ config: path('tocsin.yaml'), ...options }, io);
  const problems = io
    .out()
    .split('\n')
    .filter((line) => line.startsWith('PROBLEM'));
  return { code, problems, out: io.out() };
}

describe('this machine and the configuration', () => {
  test('are in order', async () => {
    const { code, out } = await run();
    expect(code).toBe(EXIT.pass);
    expect(out).toMatch(/^ok {7}Node\.js: \d+\./m);
    expect(out).toMatch(/^ok {7}DuckDB: v1\./m);
    expect(out).toContain('valid, with 2 datasets');
    expect(out).toMatch(/No problem found\.\nNo deployment was looked at: give --outputs\.\n$/);
  });

  test('have every mistake listed, in the SQL of rules too', async () => {
    await writeFile(
      path('bad.yaml'),
      'tocsin: 1\ndatasets:\n  sales: { contract: none.yaml, prefix: sales }\n',
    );
    const config = await run({ config: path('bad.yaml') });
    expect(config.code).toBe(EXIT.failed);
    expect(config.problems.join()).toMatch(/bad\.yaml:3:\d+: .*prefix/);

    await writeFile(path('rule.yaml'), CONTRACT.replace('price > 0', 'prize > 0'));
    await writeFile(
      path('rules.yaml'),
      'tocsin: 1\ndatasets:\n  sales: { contract: rule.yaml, prefix: sales/ }\n',
    );
    expect((await run({ config: path('rules.yaml') })).problems.join()).toMatch(
      /rule\.yaml:5:\d+: .*did you mean "price"/,
    );
  });
});

describe('a deployment', () => {
  let aws: FakeAws;
  const policy = (bucket: string, prefix: string) =>
    JSON.stringify({
      Version: '2012-10-17',
      Statement: lockStatements({
        bucketArn: `arn:aws:s3:::${bucket}`,
        prefixes: [{ prefix, allowInconclusive: false }],
        gateRoleArn: ROLE,
        breakGlass: [],
      }),
    });

  beforeEach(() => {
    vi.stubEnv('AWS_REGION', 'eu-west-1');
    vi.stubEnv('AWS_ACCESS_KEY_ID', 'test');
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'test');
    aws = new FakeAws();
    aws.s3.on(GetBucketVersioningCommand).resolves({ Status: 'Enabled' });
    aws.s3.on(GetBucketNotificationConfigurationCommand).resolves({ EventBridgeConfiguration: {} });
    aws.s3.on(GetBucketPolicyCommand, { Bucket: 'data' }).resolves({ Policy: policy('data', 'sales/') });
    aws.s3.on(GetBucketPolicyCommand, { Bucket: 'lake' }).resolves({ Policy: policy('lake', 'old/') });
    aws.sns
      .on(ListSubscriptionsByTopicCommand)
      .resolves({ Subscriptions: [{ SubscriptionArn: `${TOPIC}:1` }] });
    aws.put('evidence', baselineKey('sales'), JSON.stringify(PROFILE));
    return () => {
      aws.restore();
      vi.unstubAllEnvs();
    };
  });

  const examine = () => run({ outputs: path('outputs.json') });

  test('in order is said to be', async () => {
    const { code, out, problems } = await examine();
    expect(problems).toEqual([]);
    expect(code).toBe(EXIT.pass);
    for (const line of [
      'bucket data: keeps versions',
      'bucket lake: tells EventBridge of uploads',
      'bucket lake: locks old/ until the gate passes it',
      'bucket evidence: keeps versions',
      'baseline of sales: 1,000 rows',
      'baseline of old: there is none, and',
      'topic verdicts: tells 1 subscriber',
    ]) {
      expect(out).toContain(`ok       ${line}`);
    }
  });

  test.each<[string, () => void, RegExp]>([
    [
      'no versions',
      () => aws.s3.on(GetBucketVersioningCommand, { Bucket: 'lake' }).resolves({ Status: 'Suspended' }),
      /bucket lake: keeps no versions[\s\S]*put-bucket-versioning --bucket lake/,
    ],
    [
      'no events',
      () => aws.s3.on(GetBucketNotificationConfigurationCommand, { Bucket: 'data' }).resolves({}),
      /bucket data: does not tell EventBridge[\s\S]*Turn on/,
    ],
    [
      'no policy',
      () => aws.s3.on(GetBucketPolicyCommand, { Bucket: 'lake' }).rejects(s3Error('NoSuchBucketPolicy', 404)),
      /bucket lake: reading under old\/ is not locked[\s\S]*QualityGateLockPolicylake/,
    ],
    [
      'a lock with a hole',
      () =>
        aws.s3
          .on(GetBucketPolicyCommand, { Bucket: 'data' })
          .resolves({ Policy: policy('data', 'sales/').replaceAll(ROLE, `${ROLE}-other`) }),
      /bucket data: reading under sales\/ is not locked[\s\S]*Deploy again/,
    ],
    [
      'no access',
      () => aws.s3.on(GetBucketPolicyCommand, { Bucket: 'data' }).rejects(s3Error('AccessDenied', 403)),
      /bucket data: cannot be looked at: [\s\S]*Ask for permission/,
    ],
    [
      'no baseline',
      () => aws.objects.clear(),
      /baseline of sales: there is none[\s\S]*tocsin baseline promote --dataset sales/,
    ],
    [
      'a damaged baseline',
      () => aws.put('evidence', baselineKey('sales'), '{'),
      /baseline of sales: cannot be looked at: .* is not JSON/,
    ],
    [
      'a subscription that nobody confirmed',
      () =>
        aws.sns.on(ListSubscriptionsByTopicCommand).resolves({
          Subscriptions: [{ SubscriptionArn: 'PendingConfirmation', Endpoint: 'ann@example.com' }],
        }),
      /topic verdicts: ann@example\.com did not confirm/,
    ],
    [
      'nobody who listens',
      () => aws.sns.on(ListSubscriptionsByTopicCommand).resolves({}),
      /topic verdicts: has no subscriber/,
    ],
  ])('with %s has a problem, and one only', async (_, spoil, message) => {
    spoil();
    const { code, out, problems } = await examine();
    expect(code).toBe(EXIT.failed);
    expect(out).toMatch(message);
    expect(new Set(problems.map((line) => line.split(':')[0])).size).toBe(1);
    expect(out).toMatch(/\d+ of \d+ checks found a problem\.\n$/);
  });

  describe('of models and canaries', () => {
    const ALIAS = 'arn:aws:lambda:eu-west-1:111122223333:function:evaluation:live';
    const CANARY = 'arn:aws:lambda:eu-west-1:111122223333:function:canary:live';
    const passed = [
      { Key: 'tocsin:quality', Value: 'passed' },
      { Key: 'tocsin:verdict', Value: 'ab12' },
    ];
    const lambda = mockClient(LambdaClient);
    beforeAll(async () => {
      await writeFile(
        path('models.yaml'),
        `${await readFile(path('tocsin.yaml'), 'utf8')}models:
  offers:
    modelPackageGroup: offers
    task: regression
    holdout: { uri: sales/holdout.csv, label: price, contract: sales.yaml }
    transform: { instanceType: ml.m5.large }
    require: [{ metric: mae, atMost: 1 }]
canaries:
  weekly:
    model: offers
    pipeline: train
    modelPackageGroup: offers-canary
    dataset: { uri: sales/known.csv }
    expect: [{ metric: mae, atMost: 1 }]
    negativeControl: { uri: sales/bent.csv }
`,
      );
      const more = { HoldoutEvaluationAlias: ALIAS, PipelineCanaryAlias: CANARY, WorkBucket: 'work' };
      await writeFile(path('more.json'), JSON.stringify({ Tocsin: { ...OUTPUTS.Tocsin, ...more } }));
    });
    beforeEach(() => {
      lambda.reset();
      lambda.on(GetFunctionConfigurationCommand).resolves({ State: 'Active', Version: '3' });
      aws.put('data', 'sales/holdout.csv', 'price\n1\n', { tags: passed });
    });
    afterAll(() => lambda.restore());
    const look = (outputs = 'more.json') => run({ config: path('models.yaml'), outputs: path(outputs) });

    test('in order is said to be', async () => {
      const { code, out, problems } = await look();
      expect(problems).toEqual([]);
      expect(code).toBe(EXIT.pass);
      for (const line of [
        'models.yaml: valid, with 2 datasets, 1 model, 1 canary',
        'holdout evaluation: version 3 is ready',
        'pipeline canary: version 3 is ready',
        'has passed (verdict ab12)',
      ]) {
        expect(out).toContain(line);
      }
    });

    test('is missing its functions until it is deployed again', async () => {
      const { problems } = await look('outputs.json');
      expect(problems).toEqual([
        'PROBLEM  holdout evaluation: is not deployed, and tocsin.yaml asks for it',
        'PROBLEM  pipeline canary: is not deployed, and tocsin.yaml asks for it',
      ]);
    });

    test('has a problem with a function that cannot run', async () => {
      lambda
        .on(GetFunctionConfigurationCommand, { FunctionName: CANARY })
        .resolves({ State: 'Failed', StateReason: 'the layer is gone' });
      expect((await look()).problems).toEqual(['PROBLEM  pipeline canary: is Failed: the layer is gone']);
    });

    test.each<[string, () => void, RegExp]>([
      [
        'that nobody has judged',
        () => aws.put('data', 'sales/holdout.csv', 'x'),
        /holdout of offers: the holdout s3:\/\/data\/sales\/holdout\.csv has not passed its quality gate: nobody has judged it yet/,
      ],
      [
        'that is not there',
        () => aws.objects.delete('data/sales/holdout.csv'),
        /holdout of offers: there is no s3:\/\/data\/sales\/holdout\.csv/,
      ],
    ])('has a problem with a holdout %s', async (_, spoil, message) => {
      spoil();
      const { problems } = await look();
      expect(problems).toEqual([expect.stringMatching(message)]);
    });
  });

  describe('of drills', () => {
    const lambda = mockClient(LambdaClient);
    beforeEach(() => {
      lambda.reset();
      lambda.on(GetFunctionConfigurationCommand).resolves({ State: 'Active', Version: '7' });
    });
    afterAll(() => lambda.restore());
    const drills = 'alarmDrills:\n  errors: { alarm: errors, intended: { fires: "> 1", within: 5m } }\n';

    const rollbackDrills =
      'rollbackDrills:\n  churn: { endpoint: churn-staging, failure: { shiftTraffic: { to: candidate } }, procedure: { builtin: weights }, golden: "s3://golden/churn.jsonl", within: 5m }\n';

    const parity = 'parity:\n  churn: { compare: { endpoints: ["churn-{environment}"] } }\n';

    test('needs no quality gate where there is no dataset', async () => {
      await writeFile(path('drills.yaml'), `tocsin: 1\n${drills}`);
      const outputs = { EvidenceBucket: 'evidence', NotificationTopic: TOPIC, AlarmDrillAlias: 'arn:live' };
      await writeFile(path('drills.json'), JSON.stringify({ Tocsin: outputs }));
      const { out, problems } = await run({ config: path('drills.yaml'), outputs: path('drills.json') });
      expect(problems).toEqual([]);
      expect(out).toContain(
        'drills.yaml: valid, with 0 datasets, 0 models, 0 canaries, 1 alarm drill, 0 rollback drills, 0 drift monitors, 0 comparisons',
      );
      expect(out).toContain('alarm drill: version 7 is ready');
    });

    test('is missing what came with a newer configuration', async () => {
      await writeFile(
        path('newer.yaml'),
        `${await readFile(path('tocsin.yaml'), 'utf8')}${drills}${rollbackDrills}driftMonitors:\n  sales: { endpoint: sales, capture: "s3://captures/sales/", dataset: sales, features: [price] }\n${parity}`,
      );
      const outputs = { EvidenceBucket: 'evidence', NotificationTopic: TOPIC };
      await writeFile(path('older.json'), JSON.stringify({ Tocsin: outputs }));
      const { problems } = await run({ config: path('newer.yaml'), outputs: path('older.json') });
      expect(problems).toEqual([
        'PROBLEM  datasets sales: name no bucket, and the stack has no output DataBucket',
        'PROBLEM  datasets old: have no quality gate: the stack has no output QualityGateRole',
        'PROBLEM  alarm drill: is not deployed, and tocsin.yaml asks for it',
        'PROBLEM  rollback drill: is not deployed, and tocsin.yaml asks for it',
        'PROBLEM  rollback: is not deployed, and tocsin.yaml asks for it',
        'PROBLEM  drift monitor: is not deployed, and tocsin.yaml asks for it',
        'PROBLEM  config parity: is not deployed, and tocsin.yaml asks for it',
      ]);
    });

    test('looks at parity.yaml, too', async () => {
      const folder = await mkdtemp(path('parity-'));
      const config = join(folder, 'tocsin.yaml');
      await writeFile(config, `tocsin: 1\n${parity}`);
      await writeFile(join(folder, 'parity.yaml'), 'parity: 1\n');
      const outputs = { EvidenceBucket: 'evidence', NotificationTopic: TOPIC, ConfigParityAlias: 'arn:live' };
      await writeFile(join(folder, 'outputs.json'), JSON.stringify({ Tocsin: outputs }));
      const { out, problems } = await run({ config, outputs: join(folder, 'outputs.json') });
      expect(problems).toEqual([]);
      expect(out).toContain(`${join(folder, 'parity.yaml')}: valid`);
      expect(out).toContain('config parity: version 7 is ready');

      await writeFile(join(folder, 'parity.yaml'), 'parity: 2\n');
      expect((await run({ config })).problems).toEqual([
        `PROBLEM  ${join(folder, 'parity.yaml')}:1:1: parity: expected 1, got 2`,
      ]);
    });
  });

  test('is told apart by its outputs', async () => {
    await writeFile(path('foreign.json'), JSON.stringify({ Foreign: { Bucket: 'x' } }));
    await expect(run({ outputs: path('foreign.json') })).rejects.toThrow(
      /no stack with the output EvidenceBucket/,
    );
    await expect(run({ outputs: path('none.json') })).rejects.toMatchObject({
      message: expect.stringMatching(/outputs .*none\.json: no such file/),
      help: 'Give --outputs FILE: what cdk deploy --outputs-file has written.',
    });
  });
});
