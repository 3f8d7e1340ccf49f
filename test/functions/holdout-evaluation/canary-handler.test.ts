import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EventBridgeClient } from '@aws-sdk/client-eventbridge';
import { GetObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { SageMakerClient } from '@aws-sdk/client-sagemaker';
import { SNSClient } from '@aws-sdk/client-sns';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  type CanaryHandlerDependencies,
  createCanaryHandler,
} from '../../../functions/holdout-evaluation/canary-handler.ts';
import type { Environment } from '../../../functions/holdout-evaluation/schema.ts';
import { GateDependencyError, GateInputError } from '../../../functions/shared/errors.ts';
import { EVALUATION_ENV } from '../../support/evaluation.ts';
import { stackEvent } from '../../support/events.ts';
import { captureOutput, FakeAws } from '../../support/fake-aws.ts';
import { FakeSageMaker } from '../../support/fake-sagemaker.ts';

const ENV: Environment = { ...EVALUATION_ENV, WORKFLOW: 'in-process' };

const canary = (name: string) => `  ${name}:
    model: delay
    pipeline: training
    modelPackageGroup: ${name}-canary
    dataset: { uri: known/flights.csv }
    negativeControl: { corrupt: { distance: distance * 1.6 } }
    expect: [{ metric: auc, atLeast: 0.85 }]
    afterDeployOf: [Training]
`;
const CONFIG = `models:
  delay:
    modelPackageGroup: delay
    task: binary
    holdout: { uri: holdout/may.csv, contract: contracts/holdout.yaml, label: late }
    transform: { instanceType: ml.m5.large }
    require: [{ metric: auc, atLeast: 0.62 }]
canaries:
${canary('weekly')}${canary('nightly')}`;

let aws: FakeAws;
let tmp: string;
let output: ReturnType<typeof captureOutput>;

beforeEach(() => {
  aws = new FakeAws();
  aws.unversioned.add('work');
  new FakeSageMaker(aws);
  configure();
  tmp = mkdtempSync(join(tmpdir(), 'tocsin-canary-handler-test-'));
  output = captureOutput();
});

function configure(): void {
  aws.put('assets', 'bundle.json', JSON.stringify({ bundle: 1, file: 'tocsin.yaml', text: CONFIG }));
}

afterEach(() => {
  output.restore();
  rmSync(tmp, { recursive: true });
  aws.restore();
});

/** With an account without a holdout: every canary is refused, which is what this is about. */
function handlerOf(env: Partial<Environment> = {}): (event: unknown) => Promise<unknown> {
  const never = async () => {
    throw new Error('not in this test');
  };
  const fixed: CanaryHandlerDependencies = {
    env: { ...ENV, ...env },
    s3: new S3Client({}),
    sns: new SNSClient({}),
    events: new EventBridgeClient({}),
    sagemaker: new SageMakerClient({}),
    prepare: never,
    measure: never,
    corrupt: never,
    tmp,
  };
  const handle = createCanaryHandler(fixed);
  return (event) => handle(event, { awsRequestId: 'request-1', getRemainingTimeInMillis: () => 900_000 });
}

const refusal = (name: string) => ({
  canary: name,
  error: 'GateInputError',
  message: expect.stringContaining('there is no s3://data/holdout/may.csv'),
  help: expect.any(String),
});

/** Sets of metrics that were written. */
const metrics = () =>
  output
    .lines()
    .flatMap((line) => (line.includes('"_aws"') ? [JSON.parse(line) as Record<string, unknown>] : []))
    .map(({ gate, canary: name, Errors }) => ({ gate, name, Errors }));

describe('the canary as a function', () => {
  test('runs the canary that a schedule or a person names', async () => {
    expect(await handlerOf()({ canary: 'weekly' })).toEqual(refusal('weekly'));
    expect(metrics()).toEqual([{ gate: 'holdout-evaluation', name: 'weekly', Errors: 1 }]);
    expect(aws.keys('work', 'claims/')).toEqual([]);
  });

  test('runs all canaries of a stack that was deployed', async () => {
    expect(await handlerOf()(stackEvent('Training'))).toEqual([refusal('weekly'), refusal('nightly')]);
    expect(metrics().map(({ name }) => name)).toEqual(['weekly', 'nightly']);
  });

  test('ignores other stacks', async () => {
    expect(await handlerOf()(stackEvent('Website'))).toEqual({
      ignored: 'no canary runs after a deployment of the stack Website',
    });
    expect(await handlerOf()(stackEvent('Training', 'DELETE_COMPLETE'))).toHaveProperty('ignored');
    expect(metrics()).toEqual([]);
  });

  test.each([
    ['a canary that is not there', { canary: 'monthly' }, /there is no canary "monthly"/],
    ['nothing', {}, /canary/],
    ['another event', { source: 'aws.s3', 'detail-type': 'Object Created', detail: {} }, /event/],
  ])('throws at %s, and counts it', async (_, event, message) => {
    const thrown = await handlerOf()(event).then(
      () => expect.unreachable('it did not throw'),
      (error: Error) => error,
    );
    expect(thrown).toBeInstanceOf(GateInputError);
    expect(thrown.message).toMatch(message);
    expect(metrics()).toEqual([{ gate: 'holdout-evaluation', name: 'unknown', Errors: 1 }]);
  });

  test('reads its configuration once, and again after a failure', async () => {
    const handle = handlerOf();
    const reads = () =>
      aws.inputs('s3', GetObjectCommand).filter((input) => (input as { Bucket: string }).Bucket === 'assets');
    aws.objects.clear();
    await expect(handle({ canary: 'weekly' })).rejects.toThrow(GateDependencyError);
    configure();
    await handle({ canary: 'weekly' });
    await handle({ canary: 'weekly' });
    expect(reads()).toHaveLength(2);
  });
});
