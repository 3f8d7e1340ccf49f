import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LocalDurableTestRunner } from '@aws/durable-execution-sdk-js-testing';
import { EventBridgeClient } from '@aws-sdk/client-eventbridge';
import { GetObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { SageMakerClient } from '@aws-sdk/client-sagemaker';
import { PublishCommand, SNSClient } from '@aws-sdk/client-sns';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { prepareHoldout } from '../../../functions/holdout-evaluation/adapters/holdout.ts';
import { measureModel } from '../../../functions/holdout-evaluation/gate.ts';
import {
  createHandler,
  type HandlerDependencies,
  handler,
} from '../../../functions/holdout-evaluation/handler.ts';
import type { Environment } from '../../../functions/holdout-evaluation/schema.ts';
import { GateDependencyError, GateInputError } from '../../../functions/shared/errors.ts';
import { skipTime } from '../../support/durable-runner.ts';
import { EVALUATION_ENV } from '../../support/evaluation.ts';
import { captureOutput, FakeAws, s3Error } from '../../support/fake-aws.ts';
import { FakeSageMaker } from '../../support/fake-sagemaker.ts';
import { createRandom } from '../../support/random.ts';

/*
 * The function with its real engine, on a small holdout, over an account in memory.
 */

const ENV: Environment = {
  ...EVALUATION_ENV,
  WORKFLOW: 'in-process',
  MAX_DATASET_BYTES: 10_000_000,
  TMP_BYTES: 200_000_000,
};

const CONFIG = `models:
  flight-delay:
    modelPackageGroup: flight-delay
    task: binary
    holdout: { uri: holdout/2001-05.csv, contract: contracts/holdout.yaml, label: late }
    transform: { instanceType: ml.m5.large }
    require:
      - { metric: auc, atLeast: 0.8 }
      - { metric: recall, atLeast: 0.5, slices: [origin], minExamples: 100 }
    champion: { mayBeWorseBy: { auc: 0.05 } }
    replicates: 200
`;

const GOOD = 'repository/models:good';
const BLIND = 'repository/models:blind';

let aws: FakeAws;
let sagemaker: FakeSageMaker;
let output: ReturnType<typeof captureOutput>;
let tmp: string;

beforeEach(() => {
  aws = new FakeAws();
  aws.unversioned.add('work');
  sagemaker = new FakeSageMaker(aws);
  tmp = mkdtempSync(join(tmpdir(), 'tocsin-evaluation-test-'));
  output = captureOutput();
  deploy(CONFIG);
  aws.put('data', 'holdout/2001-05.csv', holdout(), { tags: [{ Key: 'tocsin:quality', Value: 'passed' }] });
  const score = (features: string) => Number(features.split(',')[1]);
  sagemaker.serves.set(GOOD, { ms: 0, answer: (features) => String(1 / (1 + Math.exp(-score(features)))) });
  sagemaker.serves.set(BLIND, { ms: 0, answer: () => '0.5' });
});

afterEach(() => {
  const left = readdirSync(tmp);
  rmSync(tmp, { recursive: true });
  output.restore();
  aws.restore();
  expect(left, 'files left in the working directory').toEqual([]);
});

function deploy(text: string): void {
  aws.put('assets', 'bundle.json', JSON.stringify({ bundle: 1, file: 'tocsin.yaml', text }));
}

/** Labels that a score tells well, from two origins. */
function holdout(): string {
  const random = createRandom(7);
  const lines = Array.from({ length: 600 }, (_, row) => {
    const late = random.uniform() < 0.4;
    return `${row % 2 === 0 ? 'ORD' : 'LAX'},${((late ? 2 : -2) + 2 * (random.uniform() - 0.5)).toFixed(3)},${late ? 1 : 0}`;
  });
  return `origin,signal,late\n${lines.join('\n')}\n`;
}

function gate(overrides: Partial<HandlerDependencies> = {}) {
  return createHandler({
    env: ENV,
    s3: new S3Client({}),
    sns: new SNSClient({}),
    events: new EventBridgeClient({}),
    sagemaker: new SageMakerClient({}),
    prepare: prepareHoldout,
    measure: measureModel,
    tmp,
    ...overrides,
  });
}

const invocation = { awsRequestId: 'request-1', getRemainingTimeInMillis: () => 900_000 };

const eventOf = (arn: string) => ({
  source: 'aws.sagemaker',
  'detail-type': 'SageMaker Model Package State Change',
  detail: { ModelPackageArn: arn },
});

/** Lines of the log that are metrics. */
const metrics = () =>
  output
    .lines()
    .map((line) => JSON.parse(line))
    .filter((line) => '_aws' in line);

describe('in one invocation', () => {
  test('measures what the model answers, and approves it', async () => {
    const arn = sagemaker.register({ image: GOOD });
    const answer = await gate()(eventOf(arn), invocation);
    expect(answer).toMatchObject({ model: 'flight-delay', outcome: 'pass', approval: 'Approved' });
    expect(sagemaker.get(arn)).toMatchObject({
      approval: 'Approved',
      metadata: { 'tocsin:outcome': 'pass' },
    });
    expect(metrics()).toEqual([
      expect.objectContaining({
        gate: 'holdout-evaluation',
        model: 'flight-delay',
        Passed: 1,
        Rows: 600,
        Bytes: holdout().length,
        DurationMs: expect.any(Number),
      }),
    ]);
    expect(metrics()[0]._aws.CloudWatchMetrics).toEqual([
      expect.objectContaining({ Namespace: 'Tocsin', Dimensions: [['gate', 'model'], ['gate']] }),
    ]);
  });

  test('rejects one that always says the same, and compares it with the champion', async () => {
    sagemaker.register({ image: GOOD, approval: 'Approved' });
    const arn = sagemaker.register({ image: BLIND });
    const answer = await gate()(eventOf(arn), invocation);
    expect(answer).toMatchObject({ outcome: 'fail', approval: 'Rejected' });
    const checks = new Set(
      JSON.parse(
        aws
          .get('evidence', aws.keys('evidence', 'evidence/').find((key) => key.endsWith('/verdict.json'))!)
          .body.toString('utf8'),
      ).findings.map(({ check }: { check: string }) => check),
    );
    expect([...checks]).toEqual(expect.arrayContaining(['metric', 'champion', 'constant-predictions']));
    expect(metrics()[0]).toMatchObject({ model: 'flight-delay', Failed: 1 });
  });

  test('a mistake in tocsin.yaml that shows on the data names its line', async () => {
    deploy(CONFIG.replace('slices: [origin]', 'slices: [orign]'));
    const arn = sagemaker.register({ image: GOOD });
    const answer = await gate()(eventOf(arn), invocation);
    expect(answer).toMatchObject({
      error: 'GateInputError',
      message: expect.stringMatching(/^tocsin\.yaml:9:\d+ .*orign/),
    });
    expect(metrics()[0]).toMatchObject({ model: 'flight-delay', Errors: 1 });
    expect(aws.inputs('sns', PublishCommand)).toHaveLength(1);
  });

  test('a malformed event is for the dead-letter queue', async () => {
    await expect(gate()({ 'detail-type': 'Object Created' }, invocation)).rejects.toThrow(GateInputError);
    expect(metrics()[0]).toMatchObject({ model: 'unknown', Errors: 1 });
  });

  test('a configuration that does not hold is one, too; one that could not be read is read again', async () => {
    const arn = sagemaker.register({ image: GOOD });
    const run = gate();
    aws.s3
      .on(GetObjectCommand, { Bucket: 'assets', Key: 'bundle.json' })
      .rejectsOnce(s3Error('SlowDown', 503));
    await expect(run(eventOf(arn), invocation)).rejects.toThrow(GateDependencyError);
    aws.restore();
    aws = new FakeAws();
    deploy('models: { flight-delay: 3 }');
    await expect(run(eventOf(arn), invocation)).rejects.toThrow(/^tocsin\.yaml:1:/);
    await expect(run(eventOf(arn), invocation)).rejects.toThrow(GateInputError);
  });

  test('the world breaks: it throws, with what to do', async () => {
    const arn = sagemaker.register({ image: GOOD });
    sagemaker.serves.set(GOOD, { ms: 0, answer: () => '', end: 'stopped' });
    const thrown = gate()(eventOf(arn), invocation);
    await expect(thrown).rejects.toThrow(GateDependencyError);
    await expect(thrown).rejects.toThrow(/was stopped by somebody Run `tocsin evaluate --package` again\.$/);
    expect(metrics()[0]).toMatchObject({ model: 'flight-delay', Errors: 1 });
  });
});

describe('in a durable execution', () => {
  beforeAll(skipTime);
  afterAll(() => LocalDurableTestRunner.teardownTestEnvironment());

  test('does the same', async () => {
    sagemaker.register({ image: GOOD, approval: 'Approved' });
    const arn = sagemaker.register({ image: GOOD });
    const runner = new LocalDurableTestRunner({
      handlerFunction: gate({ env: { ...ENV, WORKFLOW: 'durable' } }) as never,
    });
    const execution = await runner.run({ payload: eventOf(arn) });
    expect(execution.getResult()).toMatchObject({ outcome: 'pass', approval: 'Approved' });
    expect(sagemaker.get(arn).approval).toBe('Approved');
    expect([...sagemaker.models.keys()]).toEqual([]);
    expect(aws.keys('work', '')).toEqual([]);
  });

  test('fails with the error of the workflow', async () => {
    const arn = sagemaker.register({ image: GOOD });
    sagemaker.serves.set(GOOD, { ms: 0, answer: () => '', end: 'stopped' });
    const runner = new LocalDurableTestRunner({
      handlerFunction: gate({ env: { ...ENV, WORKFLOW: 'durable' } }) as never,
    });
    const execution = await runner.run({ payload: eventOf(arn) });
    expect(execution.getStatus()).toBe('FAILED');
    expect(execution.getError()).toMatchObject({
      errorType: 'GateDependencyError',
      errorMessage: expect.stringContaining('was stopped by somebody'),
    });
  });

  test('an invocation that cannot read the configuration dies, and the execution goes on', async () => {
    const run = gate({ env: { ...ENV, WORKFLOW: 'durable' } });
    aws.s3.on(GetObjectCommand, { Bucket: 'assets', Key: 'bundle.json' }).rejects(s3Error('SlowDown', 503));
    await expect(run({}, invocation)).rejects.toThrow(GateDependencyError);
  });
});

test('the deployed function says what is missing in its environment', async () => {
  await expect(handler({}, invocation)).rejects.toThrow(
    /environment: CONFIG_BUCKET: expected string, it is missing/,
  );
});
