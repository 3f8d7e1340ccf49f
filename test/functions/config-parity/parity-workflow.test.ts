import { GetObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Evaluation } from '../../../functions/config-parity/evaluate.ts';
import type { ParityAnswer } from '../../../functions/config-parity/parity-workflow.ts';
import { parseSnapshot } from '../../../functions/config-parity/snapshot.ts';
import { GateDependencyError } from '../../../functions/shared/errors.ts';
import { progressKey, progressSchema } from '../../../functions/shared/progress.ts';
import { DENIED, THROTTLED } from '../../support/estate.ts';
import { stackEvent } from '../../support/events.ts';
import { s3Error } from '../../support/fake-aws.ts';
import {
  ACCOUNTS,
  FUNCTIONS,
  type ParityChange,
  ParityWorld,
  REGION,
  T0,
} from '../../support/parity-world.ts';

let world: ParityWorld;

beforeEach(() => {
  world = new ParityWorld();
});

afterEach(() => {
  const mistakes = Object.values(world.estates).flatMap((estate) => estate.mistakes);
  world.close();
  expect(mistakes).toEqual([]);
});

/** Both carriers; of a durable execution an error comes back as its name and message. */
const PORTS: Record<string, (change?: ParityChange, event?: unknown, id?: string) => Promise<ParityAnswer>> =
  {
    'in one process': (change, event, id) =>
      world.run(change, { ...(event !== undefined && { event }), ...(id !== undefined && { id }) }),
    'in a durable execution': async (change, event, id) => {
      const ended = await world.execute(world.durable(change), event, id);
      if ('result' in ended) return ended.result as ParityAnswer;
      expect(ended.error.name).toBe('GateDependencyError');
      throw new GateDependencyError(ended.error.message);
    },
  };

const production = () => world.estates.production.data;

describe.each(Object.entries(PORTS))('a comparison %s', (_, run) => {
  test('of equal environments passes: stored, told, announced, and nothing is left', async () => {
    const answer = await run();
    const [verdict] = world.verdicts;
    expect(world.verdicts).toHaveLength(1);
    expect(answer).toMatchObject({
      parity: 'delay',
      outcome: 'pass',
      verdict: verdict?.id,
      evidence: `s3://evidence/evidence/config-parity/delay/${verdict?.id}/verdict.json`,
      differences: { undocumented: 0, documented: 0 },
    });
    expect(verdict).toMatchObject({
      gate: 'config-parity',
      subject: 'delay',
      outcome: 'pass',
      inputs: { parity: 'delay', asOf: '2026-11-22', documentedSha256: null },
    });
    expect(world.messages).toEqual([
      expect.objectContaining({ Subject: 'Tocsin: config parity delay passed' }),
    ]);
    expect(world.events).toEqual([
      expect.objectContaining({
        DetailType: 'Config Parity Finished',
        Detail: answer,
        Resources: ['delay'],
      }),
    ]);
    expect(world.recorded).toEqual([['delay', { outcome: 'pass', durationMs: expect.any(Number) }]]);
    expect([world.left, world.warned]).toEqual([[], []]);
  });

  test('keeps what it was judged from', async () => {
    production().functions['features-3-production']!.Timeout = 900;
    await run();
    for (const side of ['staging', 'production'] as const) {
      const [snapshot] = world.evidence(`${side}.json`);
      const read = parseSnapshot(JSON.stringify(snapshot), side);
      expect(read).toMatchObject({
        snapshot: 1,
        parity: 'delay',
        side,
        account: ACCOUNTS[side],
        region: REGION,
        takenAt: expect.closeTo(T0, -5),
        unreadable: [],
        probes: [{ probe: 'delay', answers: [{ prediction: 0.25 }, { prediction: 0.5 }] }],
      });
      expect(read.resources.filter(({ kind }) => kind === 'functions')).toHaveLength(FUNCTIONS);
    }
    const [evaluation] = world.evidence<Evaluation>('comparison.json');
    expect(evaluation?.asOf).toBe('2026-11-22');
    expect(evaluation?.comparison.differences).toMatchObject([
      { text: 'functions.features-3.timeoutSeconds', staging: { value: 30 }, production: { value: 900 } },
    ]);
  });

  test('stores a report that people read, before the verdict that says everything is there', async () => {
    production().functions['features-3-production']!.Timeout = 900;
    await run();
    const puts = (
      world.aws.inputs('s3', PutObjectCommand) as { Bucket: string; Key: string; ContentType: string }[]
    ).filter(({ Bucket, Key }) => Bucket === 'evidence' && Key.startsWith('evidence/config-parity/delay/'));
    expect(puts.slice(0, 5).map(({ Key }) => Key.split('/').at(-1))).toEqual([
      'staging.json',
      'production.json',
      'comparison.json',
      'report.html',
      'verdict.json',
    ]);
    const [report] = puts.filter(({ Key }) => Key.endsWith('/report.html'));
    expect(report?.ContentType).toBe('text/html; charset=utf-8');
    const text = world.aws.get('evidence', report?.Key ?? '').body.toString('utf8');
    expect(text).toContain('<h1>Comparison delay');
    expect(text).toContain('features-3.<wbr>timeoutSeconds');
  });

  test('finds what differs, in configuration and in behaviour', async () => {
    production().models['delay-production-7']!.PrimaryContainer!.Environment = { SCALER_VERSION: '2' };
    production().answers['delay-production'] = { '1': '0.25', '2': '0.75' };
    expect(await run()).toMatchObject({ outcome: 'fail', differences: { undocumented: 1, documented: 0 } });
    const failed = world.verdicts[0]!.findings.filter(({ outcome }) => outcome === 'fail');
    expect(failed.map(({ check, subject }) => [check, subject])).toEqual(
      expect.arrayContaining([
        ['difference-environment', 'models.delay.containers[0].environment.SCALER_VERSION'],
        ['behaviour', expect.stringContaining('delay')],
      ]),
    );
    expect(world.messages[0]?.Subject).toBe('Tocsin: config parity delay failed');
  });

  test('that cannot read something is inconclusive', async () => {
    world.estates.production.fail('lambda:GetFunctionConfiguration', DENIED, {
      matches: ({ FunctionName }) => FunctionName === 'features-5-production',
    });
    expect(await run()).toMatchObject({ outcome: 'inconclusive', differences: { undocumented: 0 } });
    expect(world.evidence('production.json')).toMatchObject([
      { unreadable: [{ path: ['functions', 'features-5'], why: 'AccessDeniedException' }] },
    ]);
  });

  test('waits throttling out', async () => {
    world.estates.production.fail('lambda:GetFunctionConfiguration', THROTTLED, { times: 5 });
    expect(await run()).toMatchObject({ outcome: 'pass' });
  });

  test('that nobody may make has no verdict, and its owners are told why', async () => {
    world.estates.production.fail('sts:GetCallerIdentity', DENIED);
    await expect(run()).rejects.toThrow(/sts:GetCallerIdentity failed \(HTTP 403\)/);
    expect(world.verdicts).toEqual([]);
    expect(world.messages).toMatchObject([{ Subject: 'Tocsin: config parity delay not run' }]);
    expect(world.messages[0]?.Message).toContain('sts:GetCallerIdentity');
    expect(world.left).toEqual([]);
    await expect(run({}, undefined, 'run-2')).rejects.toThrow(GateDependencyError);
    expect(world.messages).toHaveLength(2);
  });

  test.each<[string, ParityChange, () => void, RegExp]>([
    [
      'another account than tocsin.yaml says',
      {},
      () => {
        Object.assign(world.estates.production, { account: '999999999999' });
      },
      /^expected to read the account 444455556666, got 999999999999$/,
    ],
    [
      'no golden requests',
      {},
      () => world.aws.objects.delete('data/golden/delay.jsonl'),
      /^there is no s3:\/\/data\/golden\/delay.jsonl with golden requests$/,
    ],
    [
      'more than is compared',
      { compare: { stacks: ['One-{environment}', 'Two-{environment}'] }, probes: {} },
      () => {
        for (const [side, { data }] of Object.entries(world.estates)) {
          const stack = (name: string, functions: number) => {
            data.stacks[`${name}-${side}`] = Array.from({ length: functions }, (_, number) => ({
              LogicalResourceId: `Function${number}`,
              PhysicalResourceId: `${name}-${number}`,
              ResourceType: 'AWS::Lambda::Function',
              ResourceStatus: 'CREATE_COMPLETE' as const,
              LastUpdatedTimestamp: new Date(0),
            }));
          };
          stack('One', 6_000);
          stack('Two', 4_001);
        }
      },
      /^staging has 10,001 things to compare: at most 10,000$/,
    ],
  ])('of %s is refused, which is told once', async (_what, change, arrange, message) => {
    arrange();
    expect(await run(change)).toEqual({
      parity: 'delay',
      error: 'GateInputError',
      message: expect.stringMatching(message),
      help: expect.any(String),
    });
    arrange();
    expect(await run(change, undefined, 'run-2')).toMatchObject({ error: 'GateInputError' });
    expect(world.messages.map(({ Subject }) => Subject)).toEqual(['Tocsin: config parity delay not run']);
    expect(world.verdicts).toEqual([]);
    expect(world.estates.production.calls.get('lambda:GetFunctionConfiguration') ?? 0).toBeLessThanOrEqual(
      2 * FUNCTIONS,
    );
    expect(world.left).toEqual([]);
  });

  test('of what was compared before, and is as it was, tells nothing new', async () => {
    const first = await run();
    expect(await run({}, stackEvent('Serving'), 'run-2')).toEqual(first);
    expect([world.verdicts.length, world.messages.length, world.events.length]).toEqual([1, 1, 1]);
    await world.clock.sleep(24 * 3_600_000);
    // Documented differences expire: another day is another verdict.
    expect(await run({}, undefined, 'run-3')).toMatchObject({ outcome: 'pass' });
    expect([world.verdicts.length, world.messages.length, world.events.length]).toEqual([2, 2, 2]);
  });

  test('says where it is to whoever follows it', async () => {
    const answer = await run({}, { parity: 'delay', run: 'mine' });
    const puts = world.aws.inputs('s3', PutObjectCommand) as { Key: string; Body: string }[];
    const followed = puts
      .filter(({ Key }) => Key === progressKey('mine'))
      .map(({ Body }) => progressSchema.parse(JSON.parse(Body)));
    expect(followed.at(-1)).toMatchObject({ run: 'mine', phase: 'done', result: answer });
    const phases = followed.map(({ phase }) => phase);
    const things = 1 + FUNCTIONS + 1;
    for (const side of ['staging', 'production']) {
      const counts = phases.flatMap((phase) => {
        const [, count, of] = new RegExp(`^reading ${side}: (\\d+) of (\\d+)$`).exec(phase) ?? [];
        expect([undefined, `${things}`]).toContain(of);
        return count === undefined ? [] : [Number(count)];
      });
      expect(counts.length).toBeGreaterThanOrEqual(3);
      expect(counts).toEqual(counts.toSorted((a, b) => a - b));
      expect(phases).toContain(`asking the endpoint delay of ${side} golden requests`);
    }
    expect([phases[0], phases.at(-2)]).toEqual(['reading the golden requests', 'comparing']);
  });
});

test('two executions that come to one verdict at one time tell it once', async () => {
  const answers = await world.clock.until(
    Promise.all(['run-1', 'run-2', 'run-3'].map((id) => world.run({}, { id }))),
  );
  expect(answers).toEqual([answers[0], answers[0], answers[0]]);
  expect([world.verdicts.length, world.messages.length, world.events.length]).toEqual([1, 1, 1]);
  expect(world.left).toEqual([]);
});

test('an execution that died while it told keeps others waiting for no longer than two minutes', async () => {
  const first = await world.run();
  const claim = { owner: 'dead', until: Date.now() + 120_000 };
  world.aws.put('work', 'parity/telling-delay.json', JSON.stringify(claim));
  const begunAt = Date.now();
  expect(await world.run({}, { id: 'run-2' })).toEqual(first);
  expect(Date.now() - begunAt).toBeLessThanOrEqual(125_000);
});

test('golden requests that are replaced while a process is dead are refused', async () => {
  const service = world.durable();
  service.dies = (_, updates) => {
    const isRead = ({ Name, Action }: (typeof updates)[number]) =>
      Name === 'read golden/delay.jsonl' && Action === 'SUCCEED';
    if (!updates.some(isRead)) return undefined;
    world.golden([{ body: '1' }, { body: '3' }]);
    return 'after it is kept';
  };
  expect(await world.execute(service)).toEqual({
    result: {
      parity: 'delay',
      error: 'GateInputError',
      message: 'golden/delay.jsonl was replaced while the environments were asked',
      help: 'Run the comparison again.',
    },
  });
  expect([world.verdicts, world.left]).toEqual([[], []]);
});

test('an execution that has ended reads nothing again', async () => {
  const first = await world.run();
  const calls = world.estates.production.calls.get('sts:GetCallerIdentity');
  expect(await world.run()).toEqual(first);
  expect(world.estates.production.calls.get('sts:GetCallerIdentity')).toBe(calls);
});

test('reads much in as many steps as there are operations for', async () => {
  const stepsOf = async (operations: number) => {
    world.close();
    world = new ParityWorld();
    world.operations = operations;
    const service = world.durable();
    expect(await world.execute(service)).toMatchObject({ result: { outcome: 'pass' } });
    return world.verdicts[0]?.id;
  };
  expect(await stepsOf(2)).toBe(await stepsOf(1_000));
});

test('what a step keeps is small, however much differs', async () => {
  const functions = Array.from({ length: 500 }, (_, number) => `scorer-${number}-{environment}`);
  for (const [side, { data }] of Object.entries(world.estates)) {
    for (const [number, name] of functions.entries()) {
      const FunctionName = name.replace('{environment}', side);
      const where = side === 'staging' ? 'small' : 'large';
      const Variables = { MODE: `${where} ${'long '.repeat(200)}`, SEED: `${where} ${number}` };
      data.functions[FunctionName] = {
        ...data.functions[`features-1-${side}`],
        FunctionName,
        Environment: { Variables },
      };
    }
  }
  const ended = await world.execute(world.durable({ compare: { functions }, probes: {} }));
  expect(ended).toMatchObject({ result: { outcome: 'fail', differences: { undocumented: 1_000 } } });
  expect(world.evidence<Evaluation>('comparison.json')[0]?.comparison.differences).toHaveLength(1_000);
});

test('evidence that cannot be written is trouble of the world', async () => {
  world.aws.s3.on(GetObjectCommand, { Bucket: 'evidence' }).rejects(s3Error('SlowDown', 503));
  await expect(world.run()).rejects.toThrow(/SlowDown/);
});
