import { GetObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { createDrillHandler } from '../../../functions/alarm-drill/handler.ts';
import type { Environment } from '../../../functions/alarm-drill/schema.ts';
import { GateDependencyError, GateInputError } from '../../../functions/shared/errors.ts';
import { progressKey, progressSchema } from '../../../functions/shared/progress.ts';
import { DrillWorld } from '../../support/alarm-drill.ts';
import { DurableService } from '../../support/durable-service.ts';
import { stackEvent } from '../../support/events.ts';
import { captureOutput } from '../../support/fake-aws.ts';

const drill = (name: string, alarm: string) => `  ${name}:
    alarm: ${alarm}
    intended: { fires: '>= 0.2', within: 5m }
    afterDeployOf: [Monitoring]
`;

/** Two drills of one alarm, and one of another. */
const CONFIG = `alarmDrills:
${drill('drift', 'drift-alarm')}${drill('drift-again', 'drift-alarm')}${drill('latency', 'latency-alarm')}`;

let world: DrillWorld;
let output: ReturnType<typeof captureOutput>;

beforeEach(async () => {
  world = await DrillWorld.start();
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

function createHandler(change: Partial<Environment> = {}) {
  const { env, store: _, work: __, operations: ___, record: ____, warn: _____, ...fixed } = world.deps();
  return createDrillHandler({
    ...fixed,
    s3: new S3Client({}),
    env: {
      ...env,
      CONFIG_BUCKET: 'assets',
      CONFIG_KEY: 'bundle.json',
      EVIDENCE_BUCKET: 'evidence',
      WORK_BUCKET: 'work',
      WORKFLOW: 'in-process',
      ...change,
    },
  });
}

/** With an account without alarms: every drill fails at once, which is what this is about. */
function handlerOf(): (event: unknown) => Promise<unknown> {
  const handle = createHandler();
  return (event) => handle(event, { awsRequestId: 'request-1', getRemainingTimeInMillis: () => 900_000 });
}

function durable(): DurableService {
  const handle = createHandler({ WORKFLOW: 'durable' });
  return new DurableService(handle as ConstructorParameters<typeof DurableService>[0], (ms) => {
    vi.setSystemTime(Date.now() + ms);
  });
}

const changed = (alarmName: string, operation = 'delete') => ({
  source: 'aws.cloudwatch',
  'detail-type': 'CloudWatch Alarm Configuration Change',
  detail: { alarmName, operation },
});

const failed = (name: string, alarm: string) =>
  expect.objectContaining({ drill: name, alarm, outcome: 'fail', reason: expect.stringContaining(alarm) });

/** Sets of metrics that were written. */
const metrics = () =>
  output
    .lines()
    .flatMap((line) => (line.includes('"_aws"') ? [JSON.parse(line) as Record<string, unknown>] : []))
    .map(({ gate, drill: name, Failed, Errors }) => ({ gate, name, Failed, Errors }));

describe('the drill as a function', () => {
  test('runs the drill that a schedule or a person names', async () => {
    expect(await handlerOf()({ drill: 'drift' })).toEqual(failed('drift', 'drift-alarm'));
    expect(metrics()).toEqual([{ gate: 'alarm-drill', name: 'drift', Failed: 1, Errors: undefined }]);
    expect(world.left).toEqual([]);
  });

  test('runs all drills of an alarm that was changed, or deleted, side by side', async () => {
    expect(await handlerOf()(changed('drift-alarm'))).toEqual([
      failed('drift', 'drift-alarm'),
      failed('drift-again', 'drift-alarm'),
    ]);
    expect(metrics().map(({ name }) => name)).toEqual(['drift', 'drift-again']);
    expect(world.messages.map(({ Subject }) => Subject).sort()).toEqual([
      'Tocsin: alarm drill drift failed',
      'Tocsin: alarm drill drift-again failed',
    ]);
  });

  test('runs all drills of a stack that was deployed, also as a durable execution', async () => {
    const service = durable();
    expect(await service.run(stackEvent('Monitoring'))).toEqual({
      result: [
        failed('drift', 'drift-alarm'),
        failed('drift-again', 'drift-alarm'),
        failed('latency', 'latency-alarm'),
      ],
    });
    expect(world.left).toEqual([]);
  });

  test('ignores other stacks and alarms, and what drills do themselves', async () => {
    const handle = handlerOf();
    for (const event of [
      stackEvent('Website'),
      stackEvent('Monitoring', 'DELETE_COMPLETE'),
      changed('another'),
      changed('tocsin-drill-0a1b2c3d-1-2x'),
    ]) {
      expect(await handle(event)).toHaveProperty('ignored');
    }
    expect(metrics()).toEqual([]);
    expect(world.messages).toEqual([]);
  });

  test.each([
    [
      'a drill that is not there',
      { drill: 'drfit' },
      /there is no alarm drill "drfit", did you mean "drift"/,
    ],
    ['nothing', {}, /drill/],
    ['another event', { source: 'aws.s3', 'detail-type': 'Object Created', detail: {} }, /event/],
  ])('throws at %s, and counts it', async (_, event, message) => {
    const thrown = await handlerOf()(event).then(
      () => expect.unreachable('it did not throw'),
      (error: Error) => error,
    );
    expect(thrown).toBeInstanceOf(GateInputError);
    expect(thrown.message).toMatch(message);
    expect(metrics()).toEqual([{ gate: 'alarm-drill', name: 'unknown', Failed: undefined, Errors: 1 }]);
  });

  test('tells whoever follows a drill that does not exist at once', async () => {
    await expect(handlerOf()({ drill: 'drfit', run: 'mine' })).rejects.toThrow(GateInputError);
    const stored = JSON.parse(world.aws.get('work', progressKey('mine')).body.toString('utf8'));
    expect(progressSchema.parse(stored)).toMatchObject({
      run: 'mine',
      phase: 'refused',
      error: { name: 'GateInputError' },
    });
  });

  test('counts a run that breaks off, and says what helps', async () => {
    world.fails = () =>
      Object.assign(new Error('no'), { name: 'AccessDenied', $metadata: { httpStatusCode: 403 } });
    // Which sleeps between its attempts on the virtual clock.
    const service = durable();
    expect(await service.run({ drill: 'drift' })).toEqual({
      error: {
        name: 'GateDependencyError',
        message: expect.stringMatching(/AccessDenied: no Grant the role this action/),
      },
    });
    expect(metrics()).toEqual([{ gate: 'alarm-drill', name: 'drift', Failed: undefined, Errors: 1 }]);
  });

  test('reads its configuration once, and again after a failure', async () => {
    const handle = handlerOf();
    const reads = () =>
      world.aws
        .inputs('s3', GetObjectCommand)
        .filter((input) => (input as { Bucket: string }).Bucket === 'assets');
    world.aws.objects.clear();
    await expect(handle({ drill: 'drift', only: 'proof' })).rejects.toThrow(GateDependencyError);
    configure();
    await handle({ drill: 'drift', only: 'proof' });
    await handle({ drill: 'drift', only: 'proof' });
    expect(reads()).toHaveLength(2);
  });
});
