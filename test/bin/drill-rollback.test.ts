import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { GetObjectCommand } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { drillCommand } from '../../bin/commands/drill.ts';
import { type DrillRollbackOptions, drillRollback } from '../../bin/commands/drill-rollback.ts';
import { EXIT } from '../../bin/shared/cli.ts';
import { giveNotice } from '../../bin/shared/interrupt.ts';
import { RunScreen } from '../../bin/shared/run-screen.ts';
import type { Slice, Timeline, Who } from '../../functions/rollback-drill/measurements.ts';
import { phaseText } from '../../functions/rollback-drill/progress.ts';
import type { DrillResult } from '../../functions/rollback-drill/schema.ts';
import type { Verdict } from '../../functions/shared/verdict.ts';
import { s3Error } from '../support/fake-aws.ts';
import { type Capture, capture, examplesOf, FakeDeployment, failure, outputsWith } from './support.ts';

const ALIAS = 'arn:aws:lambda:eu-west-1:111122223333:function:rollback-drill:live';
const OUTPUTS = outputsWith({ RollbackDrillAlias: ALIAS });
const FOLDER = 'evidence/rollback-drill/churn/0c';
const VERDICT: Verdict = {
  verdict: 1,
  id: '0c'.repeat(16),
  gate: 'rollback-drill',
  subject: 'churn',
  outcome: 'fail',
  reason: 'The bad model 9b1f02aa still serves.',
  findings: [
    {
      check: 'previous-model-serves',
      subject: 'endpoint churn-staging',
      outcome: 'fail',
      message: 'The bad model 9b1f02aa (variant candidate) answers 100% of the requests.',
      allowed: 'the previous model',
      observed: 'the bad model',
      rule: { file: 'tocsin.yaml', line: 9, column: 5 },
      help: 'Compare the names of variants.',
    },
  ],
  notChecked: [],
  inputs: {},
  tocsin: '0.1.0',
};
const RESULT: DrillResult = {
  drill: 'churn',
  endpoint: 'churn-staging',
  outcome: 'fail',
  reason: VERDICT.reason,
  verdict: VERDICT.id,
  evidence: `s3://evidence/${FOLDER}/verdict.json`,
  recoveryMs: null,
  restored: true,
  findings: [VERDICT.reason],
};

const START = Date.parse('2026-07-01T10:00:00Z');

/** Ten seconds of traffic, two requests a second. */
function slice(from: number, who: Who): Slice {
  const requests = Array.from({ length: 20 }, (_, index) => ({
    at: from + index * 500,
    golden: 0,
    ms: 20,
    who,
    variant: who === 'nobody' ? null : 'candidate',
    error: who === 'nobody' ? 'ModelError 500' : null,
  }));
  const state = {
    at: from,
    status: 'InService',
    config: 'churn-7',
    failureReason: null,
    pending: null,
  } as const;
  return {
    from,
    to: from + 10_000,
    requests,
    states: [{ at: from, state: { ...state, variants: [] } }],
    stop: null,
  };
}

const TIMELINE: Timeline = {
  marks: [
    { at: START, what: 'traffic begins' },
    { at: START + 10_000, what: 'failure begins' },
  ],
  slices: [slice(START, 'previous'), slice(START + 10_000, 'bad')],
};

const REPORT = '<!doctype html><title>Rollback drill churn</title>';

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
  deployment.aws.put('evidence', `${FOLDER}/verdict.json`, JSON.stringify(VERDICT));
  deployment.aws.put('evidence', `${FOLDER}/timeline.json`, JSON.stringify(TIMELINE));
  deployment.aws.put('evidence', `${FOLDER}/report.html`, REPORT);
  io = capture();
  return () => deployment.restore();
});

const drill = (name: string | undefined, options: Partial<DrillRollbackOptions> = {}) =>
  drillRollback(
    name,
    { outputs: path('outputs.json'), patience: 86_400_000, ...options },
    io,
    deployment.clock,
  );
const payloads = () =>
  (deployment.invocations() as { Payload: string }[]).map(({ Payload }) => JSON.parse(Payload));

describe('tocsin drill rollback', () => {
  test('starts the deployed drill, shows its phases, a picture of it, and the verdict', async () => {
    const [head, tail] = ['the procedure runs', 'InService on churn-7'];
    deployment.script = {
      1: { phase: 'reading the endpoint' },
      10: {
        phase: `${head}, 5 s: previous 0 %, bad 100 % of 50 requests, 0 lost; ${tail}\nlast 5 s: BBBBB (B bad)`,
      },
      20: {
        phase: `${head}, 15 s: previous 0 %, bad 100 % of 50 requests, 0 lost; ${tail}\nlast 15 s: BBBBBBBBBBBBBBB (B bad)`,
      },
      30: {
        phase: `${head}, 25 s: previous 55 %, bad 45 % of 50 requests, 0 lost; ${tail}\nlast 25 s: BBP (B bad, P previous)`,
      },
      40: { result: RESULT },
    };
    expect(await drill('churn')).toBe(EXIT.failed);
    expect(deployment.invocations()).toEqual([
      {
        FunctionName: ALIAS,
        InvocationType: 'Event',
        Payload: JSON.stringify({ drill: 'churn', run: deployment.run }),
      },
    ]);
    // Further lines, which move on with each look, are for terminals.
    expect(io.err().split('\n')).toEqual([
      '     0 s  waiting for the function to begin',
      '     1 s  reading the endpoint',
      '    10 s  the procedure runs, 5 s: previous 0 %, bad 100 % of 50 requests, 0 lost; InService on churn-7',
      '    30 s  the procedure runs, 25 s: previous 55 %, bad 45 % of 50 requests, 0 lost; InService on churn-7',
      '',
    ]);
    expect(io.out().split('\n').slice(0, 3)).toEqual([
      'Who answered 40 requests in 20 s, from 2026-07-01T10:00:00Z',
      '',
      `answers ${'P'.repeat(20)}${'B'.repeat(20)}`,
    ]);
    expect(io.out()).toContain('\n\nFAIL  endpoint churn-staging  previous-model-serves  ');
    expect(io.out()).toContain('-> Compare the names of variants.');
    expect(io.out()).toContain(`verdict ${VERDICT.id}, of s3://evidence/${FOLDER}/verdict.json`);
  });

  test('ends with 0 where the verdict is pass, and prints and writes JSON', async () => {
    const passed = { ...VERDICT, outcome: 'pass' };
    deployment.aws.put('evidence', `${FOLDER}/verdict.json`, JSON.stringify(passed));
    deployment.script = { 1: { result: { ...RESULT, outcome: 'pass' } } };
    expect(await drill('churn', { json: true, out: path('out'), wait: true })).toBe(EXIT.pass);
    expect(JSON.parse(io.out())).toEqual({ ...passed, result: { ...RESULT, outcome: 'pass' } });
    expect(JSON.parse(await readFile(path('out/verdict.json'), 'utf8'))).toEqual(passed);
    expect(JSON.parse(await readFile(path('out/timeline.json'), 'utf8'))).toEqual(TIMELINE);
    expect(await readFile(path('out/report.html'), 'utf8')).toBe(REPORT);
    expect(io.err()).not.toContain('report');
  });

  describe('the verdict does not depend on the report', () => {
    beforeEach(() => {
      deployment.script = { 0: { result: RESULT } };
    });

    test('of an older run there is none, which is said', async () => {
      deployment.aws.objects.delete(`evidence/${FOLDER}/report.html`);
      expect(await drill('churn', { out: path('older') })).toBe(EXIT.failed);
      expect(io.err()).toBe(`no report: there is no s3://evidence/${FOLDER}/report.html\n`);
      expect(JSON.parse(await readFile(path('older/verdict.json'), 'utf8'))).toEqual(VERDICT);
      await expect(readFile(path('older/report.html'))).rejects.toThrow('ENOENT');
    });

    test('and one that cannot be read', async () => {
      deployment.aws.s3
        .on(GetObjectCommand, { Bucket: 'evidence', Key: `${FOLDER}/report.html` })
        .rejects(s3Error('AccessDenied', 403));
      expect(await drill('churn', { out: path('denied') })).toBe(EXIT.failed);
      expect(io.err()).toMatch(/^no report: GetObject s3:.* failed \(HTTP 403\)/);
      expect(io.out()).toContain(`verdict ${VERDICT.id}`);
    });

    test('nobody reads it without --out', async () => {
      deployment.aws.objects.delete(`evidence/${FOLDER}/report.html`);
      await drill('churn');
      expect(io.err()).toBe('');
    });
  });

  test.each([false, true])('is loud where the endpoint is not as it was found; --json: %s', async (json) => {
    deployment.script = { 1: { result: { ...RESULT, restored: false } } };
    expect(await drill('churn', { json })).toBe(EXIT.failed);
    expect(io.err()).toContain(
      `NOT RESTORED: the endpoint churn-staging is not as it was found.\n  Restore it: tocsin drill rollback churn --restore --outputs ${path('outputs.json')}\n`,
    );
    if (json) expect(JSON.parse(io.out())).toMatchObject({ result: { restored: false } });
  });

  test('names checks that were not made for the same reason in one line', async () => {
    const skipped = (check: string, why: string) => ({ check, why, subject: 'churn-staging' });
    const notChecked = [
      skipped('restored', 'nothing was changed'),
      skipped('procedure', 'nothing was drilled'),
      skipped('steady', 'nothing was drilled'),
    ];
    deployment.aws.put('evidence', `${FOLDER}/verdict.json`, JSON.stringify({ ...VERDICT, notChecked }));
    deployment.script = { 0: { result: RESULT } };
    await drill('churn');
    expect(io.out().match(/^not checked.*$/gm)).toEqual([
      'not checked, restored: nothing was changed (churn-staging)',
      'not checked, procedure, steady: nothing was drilled (churn-staging)',
    ]);
  });

  test('says nothing of that where it is restored', async () => {
    deployment.script = { 0: { result: RESULT } };
    await drill('churn');
    expect(io.err()).toBe('');
  });

  describe('the verdict does not depend on the picture', () => {
    beforeEach(() => {
      deployment.script = { 0: { result: RESULT } };
    });

    test('a run that asked nothing has none', async () => {
      deployment.aws.put('evidence', `${FOLDER}/timeline.json`, JSON.stringify({ marks: [], slices: [] }));
      expect(await drill('churn')).toBe(EXIT.failed);
      expect(io.out()).toMatch(/^FAIL {2}endpoint/);
      expect(io.err()).toBe('');
    });

    test('nor has one without a timeline', async () => {
      deployment.aws.objects.delete(`evidence/${FOLDER}/timeline.json`);
      expect(await drill('churn', { out: path('alone') })).toBe(EXIT.failed);
      expect(io.out()).toMatch(/^FAIL {2}endpoint/);
      await expect(readFile(path('alone/timeline.json'))).rejects.toThrow('ENOENT');
    });

    test('one that is not understood is named', async () => {
      deployment.aws.put('evidence', `${FOLDER}/timeline.json`, '{"marks":5}');
      expect(await drill('churn')).toBe(EXIT.failed);
      expect(io.err()).toMatch(new RegExp(`^no picture: s3://evidence/${FOLDER}/timeline.json: `));
      expect(io.out()).toMatch(/^FAIL {2}endpoint/);
    });

    test('and one that cannot be read', async () => {
      deployment.aws.s3
        .on(GetObjectCommand, { Bucket: 'evidence', Key: `${FOLDER}/timeline.json` })
        .rejects(s3Error('AccessDenied', 403));
      expect(await drill('churn')).toBe(EXIT.failed);
      expect(io.err()).toMatch(/^no picture: GetObject s3:.* failed \(HTTP 403\)/);
    });
  });

  test('follows a run, and says how when its patience is at its end, or a signal ends it', async () => {
    deployment.run = 'earlier';
    deployment.report({ phase: 'the bad model serves' });
    const again = `Look at it again with: tocsin drill rollback --follow earlier --outputs ${path('outputs.json')}`;
    const { clock } = deployment;
    const ended = drillRollback(
      undefined,
      { outputs: path('outputs.json'), patience: 60_000, follow: 'earlier' },
      io,
      {
        ...clock,
        sleep: async (ms) => {
          if (deployment.seconds === 2) giveNotice();
          await clock.sleep(ms);
        },
      },
    );
    expect((await failure(ended)).help).toBe(again);
    expect(io.err()).toContain(`\nThe run goes on. ${again}\n`);
    expect(deployment.invocations()).toEqual([]);
  });
});

describe('--no-wait', () => {
  test('starts the run, and says how to look at it', async () => {
    expect(await drill('churn', { wait: false })).toBe(EXIT.pass);
    expect(payloads()).toEqual([{ drill: 'churn', run: deployment.run }]);
    expect(io.out()).toBe(
      `It runs. Look at it with: tocsin drill rollback --follow ${deployment.run} --outputs ${path('outputs.json')}\n`,
    );
    expect(io.err()).toBe('');
  });

  test('names the run in JSON', async () => {
    await drill('churn', { wait: false, json: true });
    expect(JSON.parse(io.out())).toEqual({ run: deployment.run });
  });
});

describe('--restore', () => {
  const done = 'churn-staging is as it was found: moved all traffic back to variant primary';

  test('restores what an interrupted run has left, and drills nothing', async () => {
    deployment.script = { 1: { phase: 'restoring' }, 9: { result: { done } } };
    expect(await drill('churn', { restore: true })).toBe(EXIT.pass);
    expect(payloads()).toEqual([{ drill: 'churn', only: 'restore', run: deployment.run }]);
    expect(io.out()).toBe(`${done}\n`);
  });

  test('prints JSON', async () => {
    deployment.script = { 1: { result: { done } } };
    expect(await drill('churn', { restore: true, json: true })).toBe(EXIT.pass);
    expect(JSON.parse(io.out())).toEqual({ done });
  });

  test('is refused while the drill runs', async () => {
    deployment.script = { 1: { result: { ignored: 'the endpoint is being drilled' } } };
    expect(await failure(drill('churn', { restore: true }))).toMatchObject({
      name: 'GateInputError',
      message: 'nothing was restored: the endpoint is being drilled',
    });
  });

  test('fails where it cannot', async () => {
    const error = { name: 'GateDependencyError', message: 'churn-staging is Failed' };
    deployment.script = { 1: { error } };
    expect(await failure(drill('churn', { restore: true }))).toMatchObject(error);
  });
});

describe('no verdict', () => {
  test.each<[string, object, string, string]>([
    [
      'it runs already',
      { result: { ignored: 'the endpoint is being drilled by the execution 1' } },
      'GateInputError',
      'nothing was drilled: the endpoint is being drilled by the execution 1',
    ],
    [
      'the world is broken',
      { error: { name: 'GateDependencyError', message: 'SageMaker does not answer' } },
      'GateDependencyError',
      'SageMaker does not answer',
    ],
  ])('%s', async (_, report, name, message) => {
    deployment.script = { 1: report };
    expect(await failure(drill('churn'))).toMatchObject({ name, message });
  });

  test.each([
    [{}, /^Wait .*--restore/],
    [{ restore: true }, /^Then run/],
  ])('it runs already, with what to do: %j', async (options, help) => {
    deployment.script = { 1: { result: { ignored: 'churn-staging: the execution 1 is at it' } } };
    expect(await failure(drill('churn', options))).toMatchObject({ help: expect.stringMatching(help) });
  });

  test('a refusal, with what to do', async () => {
    const said = { message: 'churn-staging is not tagged tocsin:drill = allowed', help: 'Tag it.' };
    deployment.script = { 1: { error: { name: 'GateInputError', ...said } } };
    expect(await failure(drill('churn'))).toMatchObject({ name: 'GateInputError', ...said });
  });

  test('a deployment without rollback drills', async () => {
    const { RollbackDrillAlias: _, ...without } = OUTPUTS.Tocsin;
    await writeFile(path('without.json'), JSON.stringify({ Tocsin: without }));
    expect(await failure(drill('churn', { outputs: path('without.json') }))).toMatchObject({
      name: 'GateInputError',
      message: `${path('without.json')} has no output RollbackDrillAlias`,
      help: expect.stringContaining('Deploy again with a rollback drill in tocsin.yaml'),
    });
  });

  test.each<[string, string | undefined, Partial<DrillRollbackOptions>, string]>([
    ['neither a name nor a run', undefined, {}, 'expected either the name of a rollback drill or --follow'],
    ['both', 'churn', { follow: 'x' }, 'expected either the name of a rollback drill or --follow'],
    [
      'to restore by one that has begun',
      undefined,
      { follow: 'x', restore: true },
      '--restore says how to begin a run, and --follow looks at one that has begun',
    ],
    [
      'to look, and not to wait',
      undefined,
      { follow: 'x', wait: false },
      '--no-wait says how to begin a run, and --follow looks at one that has begun',
    ],
  ])('%s', async (_, name, options, message) => {
    expect(await failure(drill(name, options))).toMatchObject({ name: 'GateInputError', message });
    expect(deployment.invocations()).toEqual([]);
  });
});

test('the examples of --help run', async () => {
  const lines = examplesOf(drillCommand(io).commands.find((command) => command.name() === 'rollback'));
  expect(lines).toHaveLength(5);
  const codes = [];
  for (const line of lines) {
    const [tocsin, group, ...args] = line.replace('evidence', path('evidence')).split(' ');
    deployment.script = { 0: { result: args.includes('--restore') ? { done: 'nothing was left' } : RESULT } };
    deployment.run = args.at(-1) ?? '';
    deployment.report({ result: RESULT });
    io = capture();
    await drillCommand(io).parseAsync([...args, '--outputs', path('outputs.json')], { from: 'user' });
    expect([tocsin, group, io.err()]).toEqual(['tocsin', 'drill', '']);
    codes.push(process.exitCode);
    process.exitCode = undefined;
  }
  expect(codes).toEqual([EXIT.failed, EXIT.failed, EXIT.pass, EXIT.pass, EXIT.failed]);
});

describe('on a terminal', () => {
  const screen = (columns?: number) => {
    vi.stubEnv('NO_COLOR', undefined);
    vi.stubEnv('FORCE_COLOR', undefined);
    Object.assign(io.stderr, { isTTY: true, ...(columns !== undefined && { columns }) });
    return new RunScreen(io);
  };
  const plain = () => io.err().replaceAll('\u001b[', '<').replaceAll('\r', '|').split('\n');
  const phaseOf = (s: number, ...slices: Slice[]) =>
    phaseText({ phase: 'the procedure runs', since: START, now: START + s * 1000, slices });

  test('has no line, without a terminal, for how many requests there were', () => {
    const shown = new RunScreen(io);
    const of = (count: number, bad: number) =>
      `the procedure runs, ${count / 5} s: previous 0 %, bad ${bad} % of ${count} requests, 0 lost; InService on a`;
    for (const count of [5, 10, 20, 30]) shown.show(of(count, 100), count * 200);
    shown.show(of(40, 95), 8000);
    expect(io.err().split('\n')).toEqual([`     1 s  ${of(5, 100)}`, `     8 s  ${of(40, 95)}`, '']);
  });

  test('colours who answers, in the phases that the function writes', () => {
    const shown = screen();
    shown.show('reading the endpoint', 1000);
    shown.show(phaseOf(10, slice(START, 'bad')), 10_000);
    shown.show(phaseOf(20, slice(START, 'bad'), slice(START + 10_000, 'previous')), 20_000);
    shown.show(phaseOf(30, slice(START + 10_000, 'previous'), slice(START + 20_000, 'nobody')), 30_000);
    shown.show('restoring the endpoint', 40_000);
    shown.end();
    const [P, B, x] = ['<32m', '<1m<31m', '<2m<31m'];
    const [p, b, y] = ['<39m', '<39m<22m', '<39m<22m'];
    const [PPP, BBB, xxx] = ['P', 'B', 'x'].map((letter) => letter.repeat(10));
    expect(plain()).toEqual([
      '     1 s  reading the endpoint',
      '    10 s  the procedure runs, 10 s',
      `          previous 0 %, ${B}bad 100 %${b} of 20 requests, 0 lost`,
      '          InService on churn-7',
      `          last 10 s: ${B}${BBB}${b} (B bad)|<3A<J    20 s  the procedure runs, 20 s`,
      `          ${P}previous 100 %${p}, bad 0 % of 20 requests, 0 lost`,
      '          InService on churn-7',
      `          last 20 s: ${B}${BBB}${b}${P}${PPP}${p} (P previous, B bad)|<3A<J    30 s  the procedure runs, 30 s`,
      `          previous 0 %, bad 0 % of 20 requests, ${x}20 lost${y} (ModelError 500)`,
      '          InService on churn-7',
      `          last 20 s: ${P}${PPP}${p}${x}${xxx}${y} (P previous, x lost)`,
      '    40 s  restoring the endpoint',
      '',
    ]);
  });

  test('never lets the terminal wrap a line', () => {
    screen(30).show(phaseOf(10, slice(START, 'bad')), 10_000);
    expect(plain()).toEqual([
      '    10 s  the procedure runs…',
      '          previous 0 %, bad …',
      '          InService on churn…',
      '          last 10 s: <1m<31mBBBBBBB<39m<22m…',
    ]);
  });
});
