import { GetObjectCommand } from '@aws-sdk/client-s3';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createDrillHandler } from '../../../functions/rollback-drill/handler.ts';
import type { Environment } from '../../../functions/rollback-drill/schema.ts';
import { GateDependencyError, GateInputError } from '../../../functions/shared/errors.ts';
import { progressKey, progressSchema } from '../../../functions/shared/progress.ts';
import { stackEvent } from '../../support/events.ts';
import { captureOutput, s3Error } from '../../support/fake-aws.ts';
import { invokeDurably, invoking } from '../../support/invoke.ts';
import { RollbackWorld } from '../../support/rollback.ts';

const drill = (name: string, stack: string) => `  ${name}:
    endpoint: ${name}-staging
    failure: { shiftTraffic: { to: candidate } }
    procedure: { builtin: weights }
    golden: golden.jsonl
    within: 5m
    afterDeployOf: [${stack}]
`;

const CONFIG = `rollbackDrills:\n${drill('delay', 'Serving')}${drill('churn', 'Serving')}${drill('fraud', 'Fraud')}`;

let world: RollbackWorld;
let output: ReturnType<typeof captureOutput>;

beforeEach(async () => {
  world = await RollbackWorld.start();
  world.golden([{ body: '1' }]);
  configure();
  output = captureOutput();
});

afterEach(async () => {
  output.restore();
  await world.close();
});

function configure(): void {
  world.aws.put('assets', 'bundle.json', JSON.stringify({ bundle: 1, file: 'tocsin.yaml', text: CONFIG }));
}

/** In an account without endpoints: every drill is refused at once, which is what this is about. */
function createHandler(change: Partial<Environment> = {}) {
  const { store: _, work: __, record: ___, warn: ____, ...fixed } = world.deps();
  return createDrillHandler({
    ...fixed,
    env: {
      ...fixed.env,
      CONFIG_BUCKET: 'assets',
      CONFIG_KEY: 'bundle.json',
      EVIDENCE_BUCKET: 'evidence',
      WORK_BUCKET: 'work',
      WORKFLOW: 'in-process',
      ...change,
    },
  });
}

const handlerOf = () => invoking(world.clock, createHandler());

const durably = (event: unknown) => invokeDurably(world.clock, createHandler({ WORKFLOW: 'durable' }), event);

const refused = (name: string) => ({
  drill: name,
  error: 'GateInputError',
  message: expect.stringContaining(`${name}-staging`),
  help: 'Create it, or correct endpoint of the drill.',
});

/** Sets of metrics that were written. */
const metrics = () =>
  output
    .lines()
    .flatMap((line) => (line.includes('"_aws"') ? [JSON.parse(line) as Record<string, unknown>] : []))
    .map(({ gate, drill: name, Errors }) => ({ gate, name, Errors }));

const errorsOf = (...names: string[]) => names.map((name) => ({ gate: 'rollback-drill', name, Errors: 1 }));

describe('the drill as a function', () => {
  test('runs the drill that a schedule or a person names', async () => {
    expect(await handlerOf()({ drill: 'churn', run: 'mine' })).toEqual(refused('churn'));
    expect(metrics()).toEqual(errorsOf('churn'));
    expect(world.left).toEqual([]);
    const stored = JSON.parse(world.aws.get('work', progressKey('mine')).body.toString('utf8'));
    const { drill: _, error: name, ...why } = refused('churn');
    expect(progressSchema.parse(stored)).toMatchObject({
      run: 'mine',
      phase: 'refused',
      error: { name, ...why },
    });
  });

  test('restores by hand, and drills nothing', async () => {
    expect(await handlerOf()({ drill: 'churn', only: 'restore' })).toEqual({
      done: 'churn-staging: nothing was left to restore',
    });
    expect(metrics()).toEqual([]);
  });

  test('watches over what dead runs have left', async () => {
    expect(await handlerOf()({ watch: true })).toEqual({ done: 'nothing was left to restore' });
    expect(output.lines().join('\n')).toContain('"drill":"watch"');
  });

  test('runs all drills of a stack that was deployed, side by side', async () => {
    expect(await handlerOf()(stackEvent('Serving'))).toEqual([refused('delay'), refused('churn')]);
    expect(metrics().map(({ name }) => name)).toEqual(['delay', 'churn']);
    expect(world.left).toEqual([]);
  });

  test('runs as a durable execution', async () => {
    expect(await durably(stackEvent('Fraud'))).toEqual({ result: refused('fraud') });
  });

  test('ignores what starts no drill', async () => {
    const handle = handlerOf();
    for (const event of [stackEvent('Website'), stackEvent('Serving', 'DELETE_COMPLETE')]) {
      expect(await handle(event)).toHaveProperty('ignored');
    }
    expect(metrics()).toEqual([]);
    expect(world.messages).toEqual([]);
  });

  test.each([
    [
      'a drill that is not there',
      { drill: 'chrun' },
      /there is no rollback drill "chrun", did you mean "churn"/,
    ],
    ['nothing', {}, /^invocation: drill: /],
    ['another event', { source: 'aws.s3', 'detail-type': 'Object Created', detail: {} }, /^event: source: /],
  ])('throws at %s, and counts it', async (_, event, message) => {
    const thrown = await handlerOf()(event).then(
      () => expect.unreachable('it did not throw'),
      (error: Error) => error,
    );
    expect(thrown).toBeInstanceOf(GateInputError);
    expect(thrown.message).toMatch(message);
    expect(metrics()).toEqual(errorsOf('unknown'));
  });

  test('tells whoever follows a drill that does not exist at once', async () => {
    await expect(handlerOf()({ drill: 'chrun', run: 'mine' })).rejects.toThrow(GateInputError);
    const stored = JSON.parse(world.aws.get('work', progressKey('mine')).body.toString('utf8'));
    expect(progressSchema.parse(stored)).toMatchObject({
      run: 'mine',
      phase: 'refused',
      error: { name: 'GateInputError' },
    });
  });

  test('counts a run that breaks off, and throws what it broke off with', async () => {
    world.aws.s3.on(GetObjectCommand, { Bucket: 'evidence' }).rejects(s3Error('SlowDown', 503));
    expect(await durably({ drill: 'churn' })).toEqual({
      error: { name: 'GateDependencyError', message: expect.stringContaining('SlowDown') },
    });
    expect(metrics()).toEqual(errorsOf('churn'));
  });

  test('reads its configuration once, and again after a failure', async () => {
    const handle = handlerOf();
    const reads = () =>
      world.aws
        .inputs('s3', GetObjectCommand)
        .filter((input) => (input as { Bucket: string }).Bucket === 'assets');
    world.aws.objects.delete('assets/bundle.json');
    await expect(handle({ watch: true })).rejects.toThrow(GateDependencyError);
    configure();
    await handle({ watch: true });
    await handle({ drill: 'churn' });
    expect(reads()).toHaveLength(2);
  });
});
