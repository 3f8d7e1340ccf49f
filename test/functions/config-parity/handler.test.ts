import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { GetObjectCommand } from '@aws-sdk/client-s3';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createParityHandler } from '../../../functions/config-parity/handler.ts';
import type { Environment } from '../../../functions/config-parity/schema.ts';
import { GateDependencyError, GateInputError } from '../../../functions/shared/errors.ts';
import { progressKey, progressSchema } from '../../../functions/shared/progress.ts';
import { captureOutput, s3Error } from '../../support/fake-aws.ts';
import { invokeDurably, invoking } from '../../support/invoke.ts';
import { ParityWorld } from '../../support/parity-world.ts';

const FIXTURES = join(import.meta.dirname, '..', '..', 'fixtures', 'events');

/** A real event, as EventBridge sends it. */
const event = (name: string) => JSON.parse(readFileSync(join(FIXTURES, `${name}.json`), 'utf8'));

const CONFIG = `parity:
  delay:
    production: { account: '444455556666', role: 'arn:aws:iam::444455556666:role/tocsin-parity' }
    compare: { functions: ['features-1-{environment}'], endpoints: ['delay-{environment}'] }
    afterDeployOf: [training]
    afterStage: [{ pipeline: flight-delay-release, stage: Production }]
  features:
    production: { account: '444455556666', role: 'arn:aws:iam::444455556666:role/tocsin-parity' }
    compare: { functions: ['features-2-{environment}', 'features-3-{environment}'] }
    afterDeployOf: [training]
`;

let world: ParityWorld;
let output: ReturnType<typeof captureOutput>;

beforeEach(() => {
  world = new ParityWorld();
  configure({ text: CONFIG });
  output = captureOutput();
});

afterEach(() => {
  output.restore();
  world.close();
});

function configure(change: Record<string, unknown>): void {
  world.aws.put('assets', 'bundle.json', JSON.stringify({ bundle: 1, file: 'tocsin.yaml', ...change }));
}

function createHandler(change: Partial<Environment> = {}) {
  const { env, s3, sns, events, clients, now } = world.deps();
  return createParityHandler({
    env: {
      ...env,
      CONFIG_BUCKET: 'assets',
      CONFIG_KEY: 'bundle.json',
      EVIDENCE_BUCKET: 'evidence',
      WORK_BUCKET: 'work',
      WORKFLOW: 'in-process',
      ...change,
    },
    s3,
    sns,
    events,
    clients,
    now,
  });
}

const handlerOf = () => invoking(world.clock, createHandler());

const durably = (event: unknown) => invokeDurably(world.clock, createHandler({ WORKFLOW: 'durable' }), event);

const passed = (parity: string) => expect.objectContaining({ parity, outcome: 'pass' });

/** Sets of metrics that were written. */
const metrics = () =>
  output
    .lines()
    .flatMap((line) => (line.includes('"_aws"') ? [JSON.parse(line) as Record<string, unknown>] : []))
    .map(({ gate, parity, Passed, Errors }) => ({ gate, parity, Passed, Errors }));

const passesOf = (...names: string[]) =>
  names.map((parity) => ({ gate: 'config-parity', parity, Passed: 1, Errors: undefined }));

const errorsOf = (...names: string[]) =>
  names.map((parity) => ({ gate: 'config-parity', parity, Passed: undefined, Errors: 1 }));

describe('config parity as a function', () => {
  test('makes the comparison that a schedule or a person names', async () => {
    const answer = await handlerOf()({ parity: 'features', run: 'mine' });
    expect(answer).toEqual(passed('features'));
    expect(metrics()).toEqual(passesOf('features'));
    const stored = JSON.parse(world.aws.get('work', progressKey('mine')).body.toString('utf8'));
    expect(progressSchema.parse(stored)).toMatchObject({ run: 'mine', phase: 'done', result: answer });
  });

  test('makes all comparisons of a stack that was deployed, side by side, each with its own parts', async () => {
    expect(await handlerOf()(event('cloudformation-stack-updated'))).toEqual([
      passed('delay'),
      passed('features'),
    ]);
    expect(metrics()).toEqual(expect.arrayContaining(passesOf('delay', 'features')));
    expect(world.left).toEqual([]);
  });

  test.each([
    ['an endpoint of its own came into service', 'sagemaker-endpoint-staging-in-service'],
    ['a stage of a pipeline has succeeded', 'codepipeline-stage-succeeded'],
  ])('makes a comparison after %s', async (_, name) => {
    expect(await handlerOf()(event(name))).toEqual(passed('delay'));
  });

  test('runs as a durable execution', async () => {
    expect(await durably({ parity: 'features' })).toEqual({ result: passed('features') });
    expect(await durably(event('cloudformation-stack-updated'))).toEqual({
      result: [passed('delay'), passed('features')],
    });
  });

  test('takes documented differences from parity.yaml', async () => {
    world.estates.production.data.functions['features-2-production']!.MemorySize = 1_024;
    expect(await handlerOf()({ parity: 'features' })).toMatchObject({
      outcome: 'fail',
      differences: { undocumented: 1, documented: 0 },
    });
    const text = `parity: 1
differences:
  features:
    - path: functions.features-2.memoryMb
      reason: Production has larger batches.
      owner: ml-platform
      expires: 2027-01-31
      test: { relation: production >= staging }
`;
    configure({ text: CONFIG, documented: { file: 'parity.yaml', text } });
    expect(await handlerOf()({ parity: 'features', run: 'again' })).toMatchObject({ parity: 'features' });
  });

  test.each([
    ['another stack', 'cloudformation-stack-other'],
    ['an endpoint that it does not compare', 'sagemaker-endpoint-in-service'],
    ['a stage that has failed', 'codepipeline-stage-failed'],
  ])('ignores %s', async (_, name) => {
    expect(await handlerOf()(event(name))).toEqual({ ignored: expect.any(String) });
    expect([metrics(), world.messages]).toEqual([[], []]);
  });

  test.each([
    [
      'a comparison that is not there',
      { parity: 'dealy' },
      /there is no comparison "dealy", did you mean "delay"/,
    ],
    ['nothing', {}, /^invocation: parity: /],
    [
      'another event',
      { source: 'aws.s3', 'detail-type': 'Object Created', detail: {} },
      /^event: detail-type: /,
    ],
  ])('throws at %s, and counts it', async (_, given, message) => {
    const thrown = await handlerOf()(given).then(
      () => expect.unreachable('it did not throw'),
      (error: Error) => error,
    );
    expect(thrown).toBeInstanceOf(GateInputError);
    expect(thrown.message).toMatch(message);
    expect(metrics()).toEqual(errorsOf('unknown'));
  });

  test('counts a run that breaks off, and throws what it broke off with', async () => {
    world.aws.s3.on(GetObjectCommand, { Bucket: 'evidence' }).rejects(s3Error('SlowDown', 503));
    expect(await durably({ parity: 'features' })).toEqual({
      error: { name: 'GateDependencyError', message: expect.stringContaining('SlowDown') },
    });
    expect(metrics()).toEqual(errorsOf('features'));
  });

  test('reads its configuration once, and again after a failure', async () => {
    const handle = handlerOf();
    const reads = () =>
      world.aws
        .inputs('s3', GetObjectCommand)
        .filter((input) => (input as { Bucket: string }).Bucket === 'assets');
    world.aws.objects.delete('assets/bundle.json');
    await expect(handle({ parity: 'delay' })).rejects.toThrow(GateDependencyError);
    configure({ text: CONFIG });
    await handle({ parity: 'delay' });
    await handle({ parity: 'features' });
    expect(reads()).toHaveLength(2);
  });
});
