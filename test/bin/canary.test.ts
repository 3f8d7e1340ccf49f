import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { InvokeCommand } from '@aws-sdk/client-lambda';
import { GetObjectCommand } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { canary } from '../../bin/commands/canary.ts';
import { EXIT } from '../../bin/shared/cli.ts';
import { giveNotice } from '../../bin/shared/interrupt.ts';
import type { RunOptions } from '../../bin/shared/options.ts';
import type { CanaryResult } from '../../functions/holdout-evaluation/schema.ts';
import { GateDependencyError, GateInputError } from '../../functions/shared/errors.ts';
import type { Verdict } from '../../functions/shared/verdict.ts';
import { s3Error } from '../support/fake-aws.ts';
import { type Capture, capture, FakeDeployment, failure, outputsWith } from './support.ts';

const ALIAS = 'arn:aws:lambda:eu-west-1:111122223333:function:canary:live';
const OUTPUTS = outputsWith({ PipelineCanaryAlias: ALIAS });
const KEY = 'evidence/holdout-evaluation/canary-weekly/0a/verdict.json';
const VERDICT: Verdict = {
  verdict: 1,
  id: '0a'.repeat(16),
  gate: 'holdout-evaluation',
  subject: 'canary-weekly',
  outcome: 'fail',
  reason: 'The pipeline accepted a corrupted dataset.',
  findings: [
    {
      check: 'negative-control',
      subject: 'pipeline train',
      outcome: 'fail',
      message: 'The pipeline accepted a corrupted dataset.',
      allowed: 'stopped',
      observed: 'a model',
      help: 'Tighten the contract.',
    },
    {
      check: 'metric',
      subject: 'auc',
      outcome: 'pass',
      message: 'auc is 0.7',
      allowed: 'at least 0.6',
      observed: '0.7',
    },
  ],
  notChecked: [],
  inputs: {},
  tocsin: '0.1.0',
};
const RESULT: CanaryResult = {
  canary: 'weekly',
  pipeline: 'train',
  outcome: 'fail',
  reason: VERDICT.reason,
  verdict: VERDICT.id,
  evidence: `s3://evidence/${KEY}`,
  findings: [VERDICT.reason],
};

let directory = '';
const path = (name: string) => join(directory, name);
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tocsin-canary-'));
  await writeFile(path('outputs.json'), JSON.stringify(OUTPUTS));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

let deployment: FakeDeployment;
let io: Capture;
beforeEach(() => {
  deployment = new FakeDeployment();
  deployment.aws.put('evidence', KEY, JSON.stringify(VERDICT));
  io = capture();
  return () => deployment.restore();
});

const start = (options: Partial<RunOptions> = {}, name: string | undefined = 'weekly') =>
  canary(name, { outputs: path('outputs.json'), patience: 86_400_000, ...options }, io, deployment.clock);
const follow = (run: string) => {
  deployment.run = run;
  return canary(
    undefined,
    { outputs: path('outputs.json'), patience: 86_400_000, follow: run },
    io,
    deployment.clock,
  );
};
describe('tocsin canary', () => {
  test('starts the deployed function, shows its phases and prints the verdict', async () => {
    deployment.script = {
      2: { phase: 'starting the pipeline' },
      10: { phase: 'the pipeline runs' },
      200: { phase: 'evaluating its model' },
      260: { result: RESULT },
    };
    expect(await start()).toBe(EXIT.failed);
    expect(deployment.invocations()).toEqual([
      {
        FunctionName: ALIAS,
        InvocationType: 'Event',
        Payload: JSON.stringify({ canary: 'weekly', run: deployment.run }),
      },
    ]);
    expect(io.err().split('\n')).toEqual([
      '     0 s  waiting for the function to begin',
      '     2 s  starting the pipeline',
      '    10 s  the pipeline runs',
      '3 min 20 s  evaluating its model',
      '',
    ]);
    expect(io.out()).toContain('FAIL  pipeline train  negative-control');
    expect(io.out()).toContain('-> Tighten the contract.');
    expect(io.out()).toMatch(/^PASS {2}auc +metric +0\.7 {2}at least 0\.6$/m);
    expect(io.out()).toContain('FAIL canary-weekly: The pipeline accepted a corrupted dataset.');
    expect(io.out()).toContain(`verdict ${VERDICT.id}, of s3://evidence/${KEY}`);
  });

  test('ends with 0 where the verdict is pass, and prints and writes JSON', async () => {
    const passed = { ...VERDICT, outcome: 'pass' };
    deployment.aws.put('evidence', KEY, JSON.stringify(passed));
    deployment.script = { 1: { result: { ...RESULT, outcome: 'pass' } } };
    expect(await start({ json: true, out: path('out') })).toBe(EXIT.pass);
    expect(JSON.parse(io.out())).toEqual({ ...passed, result: { ...RESULT, outcome: 'pass' } });
    expect(JSON.parse(await readFile(path('out/verdict.json'), 'utf8'))).toEqual(passed);
  });

  test('counts on a terminal', async () => {
    Object.assign(io.stderr, { isTTY: true });
    deployment.script = { 0: { phase: 'one' }, 2: { phase: 'two' }, 3: { result: RESULT } };
    await start();
    expect(io.err()).toBe('     0 s  one\r\u001b[K     1 s  one\n     2 s  two\n');
  });

  test('makes what functions write safe for a terminal', async () => {
    deployment.script = { 0: { phase: 'clear\u001b[2J' }, 1: { result: RESULT } };
    await start();
    expect(io.err()).toContain('clear\\u001b[2J');
  });
});

describe('a run that goes on', () => {
  test('can be looked at again', async () => {
    deployment.run = 'earlier';
    deployment.report({ phase: 'the pipeline runs' });
    deployment.seconds = 3600;
    deployment.script = { 3602: { result: RESULT } };
    expect(await follow('earlier')).toBe(EXIT.failed);
    expect(deployment.invocations()).toEqual([]);
    expect(io.err()).toBe('1 h 0 min  the pipeline runs\n');
  });

  test('is named when a signal ends the command', async () => {
    deployment.script = { 0: { phase: 'one' }, 4: { result: RESULT } };
    const { clock } = deployment;
    await canary('weekly', { outputs: path('outputs.json'), patience: 86_400_000 }, io, {
      ...clock,
      sleep: async (ms) => {
        if (deployment.seconds === 2) giveNotice();
        await clock.sleep(ms);
      },
    });
    expect(io.err()).toContain(
      `The run goes on. Look at it again with: tocsin canary --follow ${deployment.run} --outputs ${path('outputs.json')}\n`,
    );
    // Nobody is told when it is over.
    const before = io.err();
    giveNotice();
    expect(io.err()).toBe(before);
  });

  test('is left alone when the patience is at its end', async () => {
    deployment.script = { 0: { phase: 'one' } };
    const error = await failure(start({ patience: 120_000 }));
    expect(error).toBeInstanceOf(GateDependencyError);
    expect(error.message).toBe('the run has not ended after 2 min 0 s; it goes on');
    expect(error.help).toContain(`tocsin canary --follow ${deployment.run}`);
  });
});

describe('no verdict', () => {
  test.each<[string, Record<number, object>, typeof GateInputError, RegExp]>([
    [
      'the caller is wrong',
      { 1: { error: { name: 'GateInputError', message: 'no canary "weakly"' } } },
      GateInputError,
      /^no canary "weakly"$/,
    ],
    [
      'the world is broken',
      { 1: { error: { name: 'GateDependencyError', message: 'S3 does not answer' } } },
      GateDependencyError,
      /^S3 does not answer$/,
    ],
    [
      'a bug',
      { 1: { error: { name: 'TypeError', message: 'x is undefined' } } },
      GateDependencyError,
      /^x is undefined$/,
    ],
    [
      'it runs already',
      { 1: { result: { ignored: 'weekly runs already' } } },
      GateInputError,
      /^nothing was evaluated: weekly runs already$/,
    ],
    [
      'a refusal',
      { 1: { result: { error: 'GateInputError', message: 'the holdout has not passed' } } },
      GateInputError,
      /^the holdout has not passed$/,
    ],
    [
      'an answer that is none',
      { 1: { result: { outcome: 'good' } } },
      GateInputError,
      /^the answer of the function: /,
    ],
    [
      'no evidence',
      { 1: { result: { ...RESULT, evidence: 's3://evidence/elsewhere.json' } } },
      GateDependencyError,
      /^there is no s3:\/\/evidence\/elsewhere\.json$/,
    ],
    [
      'a function that never begins',
      {},
      GateDependencyError,
      /^the function has not begun after 15 min 0 s$/,
    ],
  ])('%s', async (_, script, type, message) => {
    deployment.script = script;
    const error = await failure(start());
    expect(error).toBeInstanceOf(type);
    expect(error.message).toMatch(message);
  });

  test('a run that is not there', async () => {
    const error = await failure(follow('older'));
    expect(error).toBeInstanceOf(GateInputError);
    expect(error.message).toBe('there is no run older');
  });

  test('S3 refuses', async () => {
    deployment.aws.s3.on(GetObjectCommand).rejects(s3Error('AccessDenied', 403));
    const error = await failure(start());
    expect(error).toBeInstanceOf(GateDependencyError);
    expect(error.message).toMatch(/^GetObject s3:\/\/work\/runs\/.+ failed \(HTTP 403\)/);
  });

  test('no such function, or no permission to invoke it', async () => {
    deployment.lambda.on(InvokeCommand).rejects(s3Error('ResourceNotFoundException', 404));
    expect(await failure(start())).toMatchObject({
      name: 'GateInputError',
      message: `there is no function ${ALIAS}`,
    });
    deployment.lambda.on(InvokeCommand).rejects(s3Error('AccessDeniedException', 403));
    expect(await failure(start())).toMatchObject({ name: 'GateDependencyError' });
  });

  test('a deployment without canaries', async () => {
    const { PipelineCanaryAlias: _, ...without } = OUTPUTS.Tocsin;
    await writeFile(path('without.json'), JSON.stringify({ Tocsin: without }));
    expect(await failure(start({ outputs: path('without.json') }))).toMatchObject({
      name: 'GateInputError',
      message: `${path('without.json')} has no output PipelineCanaryAlias`,
      help: expect.stringContaining('Deploy again with a canary in tocsin.yaml'),
    });
  });

  test('both a name and a run, or neither', async () => {
    expect(await failure(start({ follow: 'x' }))).toMatchObject({ name: 'GateInputError' });
    expect(
      await failure(canary(undefined, { outputs: 'x', patience: 1 }, io, deployment.clock)),
    ).toMatchObject({ message: 'expected either the name of a canary or --follow' });
  });
});
