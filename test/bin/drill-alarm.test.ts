import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { drillCommand } from '../../bin/commands/drill.ts';
import { type DrillAlarmOptions, drillAlarm } from '../../bin/commands/drill-alarm.ts';
import { EXIT } from '../../bin/shared/cli.ts';
import { RunScreen } from '../../bin/shared/run-screen.ts';
import type { DrillResult } from '../../functions/alarm-drill/schema.ts';
import type { Verdict } from '../../functions/shared/verdict.ts';
import { type Capture, capture, examplesOf, FakeDeployment, failure, outputsWith } from './support.ts';

const ALIAS = 'arn:aws:lambda:eu-west-1:111122223333:function:alarm-drill:live';
const OUTPUTS = outputsWith({ AlarmDrillAlias: ALIAS });
const KEY = 'evidence/alarm-drill/drift/0b/verdict.json';
const VERDICT: Verdict = {
  verdict: 1,
  id: '0b'.repeat(16),
  gate: 'alarm-drill',
  subject: 'drift',
  outcome: 'fail',
  reason: 'The alarm fires at 1, meant is 0.2.',
  findings: [
    {
      check: 'threshold',
      subject: 'alarm flight-drift',
      outcome: 'fail',
      message: 'The alarm fires at 1, five times the 0.2 that is meant.',
      allowed: '>= 0.2',
      observed: '>= 1',
      rule: { file: 'tocsin.yaml', line: 12, column: 7 },
      help: 'Set the threshold to 0.2.',
    },
  ],
  notChecked: [],
  inputs: {},
  tocsin: '0.1.0',
};
const RESULT: DrillResult = {
  drill: 'drift',
  alarm: 'flight-drift',
  outcome: 'fail',
  reason: VERDICT.reason,
  verdict: VERDICT.id,
  evidence: `s3://evidence/${KEY}`,
  findings: [VERDICT.reason],
};

let directory = '';
const path = (name: string) => join(directory, name);
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tocsin-drill-'));
  await writeFile(path('outputs.json'), JSON.stringify(OUTPUTS));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

let deployment: FakeDeployment;
let io: Capture;
beforeEach(() => {
  deployment = new FakeDeployment();
  deployment.aws.put('evidence', KEY, JSON.stringify(VERDICT));
  deployment.aws.put('evidence', KEY.replace('verdict.json', 'report.html'), '<title>drift</title>');
  io = capture();
  return () => deployment.restore();
});

const drill = (name: string | undefined, options: Partial<DrillAlarmOptions> = {}) =>
  drillAlarm(name, { outputs: path('outputs.json'), patience: 86_400_000, ...options }, io, deployment.clock);
describe('tocsin drill alarm', () => {
  test('starts the deployed drill, prints what changes, and the verdict', async () => {
    deployment.script = {
      1: { phase: 'reading the configuration of the alarm' },
      10: { phase: 'warm-up, 5 s: 2x INSUFFICIENT_DATA, 5x INSUFFICIENT_DATA, quiet ones OK' },
      30: { phase: 'warm-up, 25 s: 2x INSUFFICIENT_DATA, 5x INSUFFICIENT_DATA, quiet ones OK' },
      100: { phase: 'drift, 2 min 10 s: 2x ALARM after 61 s, 5x OK, quiet ones OK' },
      110: { phase: 'drift, 2 min 20 s: 2x ALARM after 61 s, 5x OK, quiet ones OK' },
      120: { phase: 'drift, 2 min 30 s: 2x ALARM after 61 s, 5x ALARM after 2 min 24 s, quiet ones OK' },
      200: { result: RESULT },
    };
    expect(await drill('drift')).toBe(EXIT.failed);
    expect(deployment.invocations()).toEqual([
      {
        FunctionName: ALIAS,
        InvocationType: 'Event',
        Payload: JSON.stringify({ drill: 'drift', run: deployment.run }),
      },
    ]);
    expect(io.err().split('\n')).toEqual([
      '     0 s  waiting for the function to begin',
      '     1 s  reading the configuration of the alarm',
      '    10 s  warm-up, 5 s: 2x INSUFFICIENT_DATA, 5x INSUFFICIENT_DATA, quiet ones OK',
      '1 min 40 s  drift, 2 min 10 s: 2x ALARM after 61 s, 5x OK, quiet ones OK',
      '2 min 0 s  drift, 2 min 30 s: 2x ALARM after 61 s, 5x ALARM after 2 min 24 s, quiet ones OK',
      '',
    ]);
    expect(io.out()).toContain('FAIL  alarm flight-drift  threshold  >= 1  >= 0.2  tocsin.yaml:12');
    expect(io.out()).toContain('-> Set the threshold to 0.2.');
    expect(io.out()).toContain('FAIL drift: The alarm fires at 1, meant is 0.2.');
    expect(io.out()).toContain(`verdict ${VERDICT.id}, of s3://evidence/${KEY}`);
  });

  test('--proof has the configuration judged alone', async () => {
    deployment.script = { 1: { result: RESULT } };
    await drill('drift', { proof: true });
    expect(deployment.invocations()).toMatchObject([
      { Payload: JSON.stringify({ drill: 'drift', only: 'proof', run: deployment.run }) },
    ]);
  });

  test('ends with 0 where the verdict is pass, and prints and writes JSON', async () => {
    const passed = { ...VERDICT, outcome: 'pass' };
    deployment.aws.put('evidence', KEY, JSON.stringify(passed));
    deployment.script = { 1: { result: { ...RESULT, outcome: 'pass' } } };
    expect(await drill('drift', { json: true, out: path('out') })).toBe(EXIT.pass);
    expect(JSON.parse(io.out())).toEqual({ ...passed, result: { ...RESULT, outcome: 'pass' } });
    expect(JSON.parse(await readFile(path('out/verdict.json'), 'utf8'))).toEqual(passed);
    expect(await readFile(path('out/report.html'), 'utf8')).toBe('<title>drift</title>');
  });

  test('follows a run, and says how when its patience is at its end', async () => {
    deployment.run = 'earlier';
    deployment.report({ phase: 'drift, 5 s: 2x OK, quiet ones OK' });
    const error = await failure(drill(undefined, { follow: 'earlier', patience: 60_000 }));
    expect(error.help).toBe(
      `Look at it again with: tocsin drill alarm --follow earlier --outputs ${path('outputs.json')}`,
    );
    expect(deployment.invocations()).toEqual([]);
  });

  test.each<[string, object, string, string]>([
    [
      'it runs already',
      { result: { ignored: 'the drill drift is being run by the execution 1' } },
      'GateInputError',
      'nothing was drilled: the drill drift is being run by the execution 1',
    ],
    [
      'a refusal',
      { error: { name: 'GateInputError', message: 'it is ALARM: a real incident comes first' } },
      'GateInputError',
      'it is ALARM: a real incident comes first',
    ],
    [
      'the world is broken',
      { error: { name: 'GateDependencyError', message: 'CloudWatch does not answer' } },
      'GateDependencyError',
      'CloudWatch does not answer',
    ],
  ])('no verdict: %s', async (_, report, name, message) => {
    deployment.script = { 1: report };
    expect(await failure(drill('drift'))).toMatchObject({ name, message });
  });

  test('a deployment without alarm drills', async () => {
    const { AlarmDrillAlias: _, ...without } = OUTPUTS.Tocsin;
    await writeFile(path('without.json'), JSON.stringify({ Tocsin: without }));
    expect(await failure(drill('drift', { outputs: path('without.json') }))).toMatchObject({
      name: 'GateInputError',
      message: `${path('without.json')} has no output AlarmDrillAlias`,
      help: expect.stringContaining('Deploy again with an alarm drill in tocsin.yaml'),
    });
  });

  test.each<[string, string | undefined, Partial<DrillAlarmOptions>, string]>([
    ['neither a name nor a run', undefined, {}, 'expected either the name of an alarm drill or --follow'],
    ['both', 'drift', { follow: 'x' }, 'expected either the name of an alarm drill or --follow'],
    [
      'how to begin one that has begun',
      undefined,
      { follow: 'x', proof: true },
      '--proof says how to begin a run, and --follow looks at one that has begun',
    ],
  ])('%s', async (_, name, options, message) => {
    expect(await failure(drill(name, options))).toMatchObject({ name: 'GateInputError', message });
  });

  test('the examples of --help run', async () => {
    const lines = examplesOf(drillCommand(io).commands[0]);
    expect(lines).toHaveLength(4);
    for (const line of lines) {
      const [tocsin, ...args] = line.replace('evidence', path('evidence')).split(' ');
      deployment.script = { 0: { result: RESULT } };
      deployment.run = args.at(-1) ?? '';
      deployment.report({ result: RESULT });
      io = capture();
      await drillCommand(io).parseAsync([...args.slice(1), '--outputs', path('outputs.json')], {
        from: 'user',
      });
      expect([tocsin, args[0], process.exitCode, io.err()]).toEqual(['tocsin', 'drill', EXIT.failed, '']);
      expect(io.out()).toContain(VERDICT.reason);
      process.exitCode = undefined;
    }
  });
});

describe('on a terminal', () => {
  const screen = (columns?: number) => {
    vi.stubEnv('NO_COLOR', undefined);
    vi.stubEnv('FORCE_COLOR', undefined);
    Object.assign(io.stderr, { isTTY: true, ...(columns !== undefined && { columns }) });
    return new RunScreen(io);
  };
  const plain = () => io.err().replaceAll('\u001b[', '<').replaceAll('\r', '|').split('\n');

  test('has a line for each alarm, and redraws them until the phase is another', () => {
    const shown = screen();
    shown.show('making 5 shadow alarms', 1000);
    shown.show('drift, 5 s: 2x OK, 1.05x OK', 2000);
    shown.show('drift, 15 s: 2x OK, 1.05x OK, quiet ones OK', 12_000);
    shown.show('drift, 2 min 10 s: 2x ALARM after 61 s, quiet ones OK', 130_000);
    shown.show('reading what the alarms did', 140_000);
    shown.end();
    const [OK, ALARM] = ['<32mOK<39m', '<1m<31mALARM<39m<22m'];
    expect(plain()).toEqual([
      '     1 s  making 5 shadow alarms',
      '     2 s  drift, 5 s',
      `          2x ${OK}`,
      `          1.05x ${OK}|<2A<J    12 s  drift, 15 s`,
      `          2x ${OK}`,
      `          1.05x ${OK}`,
      `          quiet ones ${OK}|<3A<J2 min 10 s  drift, 2 min 10 s`,
      `          2x ${ALARM} after 61 s`,
      `          quiet ones ${OK}`,
      '2 min 20 s  reading what the alarms did',
      '',
    ]);
  });

  test('never lets the terminal wrap a line, and shows further lines as they come', () => {
    const shown = screen(24);
    shown.show('drift\n2x   ALARM since 10:00\nclear\u001b[2J', 1000);
    expect(plain()).toEqual([
      '     1 s  drift',
      '          2x   <1m<31mALARM<39m<22m s…',
      '          clear\\u001b[…',
    ]);
  });

  test('a phase that counts up is one', () => {
    const shown = screen();
    shown.show('over: sending 100 of 2000 records', 1000);
    shown.show('over: sending 200 of 2000 records', 2000);
    expect(plain()).toEqual([
      '     1 s  over: sending 100 of 2000 records|<K     2 s  over: sending 200 of 2000 records',
    ]);
  });
});
