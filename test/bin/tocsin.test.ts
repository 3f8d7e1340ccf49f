import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { TOCSIN_VERSION } from '../../functions/shared/version.ts';

/* The process itself: what a shell and a pipeline see of it. */

const CLI = fileURLToPath(new URL('../../bin/tocsin.ts', import.meta.url));

let directory = '';
const path = (name: string) => join(directory, name);

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tocsin-cli-'));
  await mkdir(path('tmp'));
  await writeFile(
    path('a.yaml'),
    'contract: 1\ndataset: a\nformat: csv\ncolumns:\n  x: { type: integer, zeros: 0% }\n',
  );
  await writeFile(
    path('tocsin.yaml'),
    `tocsin: 1
datasets: { a: { contract: a.yaml, prefix: a/ } }
models:
  m:
    modelPackageGroup: m
    task: regression
    holdout: { uri: a/good.csv, label: x, contract: a.yaml }
    transform: { instanceType: ml.m5.large }
    require: [{ metric: mae, atMost: 1 }]
parity: { p: { compare: { functions: ['p-{environment}'] } } }
`,
  );
  for (const [side, account] of [
    ['staging', '111122223333'],
    ['production', '444455556666'],
  ]) {
    const snapshot = {
      snapshot: 1,
      parity: 'p',
      side,
      account,
      region: 'eu-west-1',
      takenAt: 0,
      tocsin: TOCSIN_VERSION,
    };
    const lists = { resources: [], unreadable: [], unsettled: [], probes: [], notRead: [] };
    await writeFile(path(`${side}.json`), JSON.stringify({ ...snapshot, ...lists }));
  }
  await writeFile(path('good.csv'), 'x\n1\n2\n');
  await writeFile(path('bad.csv'), 'x\n0\n2\n');
});
afterAll(() => rm(directory, { recursive: true, force: true }));

function start(...args: string[]): ChildProcess {
  return spawn(process.execPath, [CLI, ...args], {
    cwd: directory,
    env: { ...process.env, TMPDIR: path('tmp'), NO_COLOR: undefined, FORCE_COLOR: undefined },
  });
}

async function tocsin(...args: string[]): Promise<{ code: number | null; out: string; err: string }> {
  const child = start(...args);
  const texts = { out: '', err: '' };
  child.stdout?.on('data', (chunk) => {
    texts.out += chunk;
  });
  child.stderr?.on('data', (chunk) => {
    texts.err += chunk;
  });
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, ...texts };
}

describe('exit codes', () => {
  test('0: pass, on standard output alone and without colours', async () => {
    const { code, out, err } = await tocsin('check', 'good.csv', '--contract', 'a.yaml');
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(out).toMatch(/^PASS a: /m);
    expect(out).not.toContain('\u001b');
  });

  test('1: the gate failed', async () => {
    const { code, out } = await tocsin('check', 'bad.csv', '--contract', 'a.yaml');
    expect(code).toBe(1);
    expect(out).toContain('a.yaml:5');
  });

  test.each([
    ['an unknown command', ['chek', 'x'], /Did you mean check/],
    ['no command', [], /Usage: tocsin/],
    ['a missing option', ['check', 'good.csv'], /required option '--contract <file>'/],
    [
      'a malformed option',
      ['check', 'good.csv', '--contract', 'a.yaml', '--memory', 'lots'],
      /such as 512MB/,
    ],
    [
      'a day that is none',
      ['check', 'good.csv', '--contract', 'a.yaml', '--as-of', '2001-02-30'],
      /2001-02-28/,
    ],
    ['no such file', ['check', 'none.csv', '--contract', 'a.yaml'], /data none\.csv: no such file/],
    ['a broken contract', ['check', 'good.csv', '--contract', 'good.csv'], /good\.csv:1:1/],
  ])('2: %s', async (_, args, message) => {
    const { code, out, err } = await tocsin(...args);
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toMatch(message);
  });

  test('3: the world is broken', async () => {
    await writeFile(path('file'), '');
    const child = spawn(process.execPath, [CLI, 'check', 'good.csv', '--contract', 'a.yaml'], {
      cwd: directory,
      env: { ...process.env, TMPDIR: path('file') },
    });
    const [code] = await once(child, 'close');
    expect(code).toBe(3);
  });
});

describe('--json', () => {
  test('prints the verdict and nothing else', async () => {
    const { code, out } = await tocsin('check', 'bad.csv', '--contract', 'a.yaml', '--json');
    expect(code).toBe(1);
    expect(JSON.parse(out)).toMatchObject({ outcome: 'fail', subject: 'a' });
  });

  test('prints what went wrong, with every mistake', async () => {
    await writeFile(
      path('b.yaml'),
      'contract: 1\ndataset: a\nformat: csv\ncolums: {}\ncolumns: { x: { type: int } }\n',
    );
    const { code, out, err } = await tocsin('check', 'good.csv', '--contract', 'b.yaml', '--json');
    expect(code).toBe(2);
    const { error } = JSON.parse(out);
    expect(error.kind).toBe('caller');
    expect(error.issues.map((issue: { line: number }) => issue.line).sort()).toEqual([4, 5]);
    expect(err).toMatch(/2 mistakes\n {2}b\.yaml:\d:\d+ .*\n {2}b\.yaml:\d:\d+ /);
  });
});

test('--help shows examples for every command', async () => {
  const commands = [
    ['check'],
    ['profile'],
    ['contract', 'init'],
    ['contract', 'validate'],
    ['baseline', 'promote'],
    ['drill', 'alarm'],
    ['drill', 'rollback'],
    ['parity'],
    ['parity', 'snapshot'],
    ['parity', 'document'],
    ['parity', 'role'],
    ['rollback'],
    ['doctor'],
  ];
  const helps = await Promise.all(commands.map((command) => tocsin(...command, '--help')));
  for (const [index, { code, out }] of helps.entries()) {
    expect(code).toBe(0);
    expect(out).toContain(`Examples:\n  tocsin ${commands[index]?.join(' ')}`);
  }
});

test('--help fits one screen: every command in one line', async () => {
  const { out } = await tocsin('--help');
  const lines = out.trimEnd().split('\n');
  expect(lines.length).toBeLessThanOrEqual(27);
  expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(80);
  const files = await readdir(fileURLToPath(new URL('../../bin/commands', import.meta.url)));
  const commands = [...new Set(files.map((file) => file.replace(/(-.*)?\.ts$/, '')))];
  expect([...out.matchAll(/^ {2}([a-z]+) +\S/gm)].map(([, name]) => name).sort()).toEqual(commands.sort());
});

test.each([
  [['rollback', 'churn', '--weights', 'primary=0'], /one of them above 0/],
  [['rollback', 'churn', '--patience', 'long'], /such as 90s/],
  [['drill', 'rollback', 'churn', '--wat'], /Did you mean --wait/],
  [['parity', 'churn', '--local', '--fail-on', 'schemas'], /Expected some of schema,/],
  [['parity', '--local', 'document', 'churn'], /--local says nothing before "document"/],
])('2: %s', async (args, message) => {
  const { code, out, err } = await tocsin(...args);
  expect({ code, out }).toEqual({ code: 2, out: '' });
  expect(err).toMatch(message);
});

test('--version', async () => {
  expect(await tocsin('--version')).toEqual({ code: 0, out: `${TOCSIN_VERSION}\n`, err: '' });
});

test('a reader that has seen enough changes nothing about the verdict', async () => {
  const child = start('check', 'bad.csv', '--contract', 'a.yaml');
  child.stdout?.destroy();
  let err = '';
  child.stderr?.on('data', (chunk) => {
    err += chunk;
  });
  const [code] = await once(child, 'close');
  expect({ code, err }).toEqual({ code: 1, err: '' });
});

test.each([
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const)('%s ends it with %i, and nothing is left behind', async (signal, expected) => {
  // Large enough that it is still being measured when the signal comes.
  await writeFile(path('large.csv'), `x\n${'1234567\n2345678\n3456789\n'.repeat(2_000_000)}`);
  const child = start('check', 'large.csv', '--contract', 'a.yaml', '--threads', '1');
  const closed = once(child, 'close');
  while ((await readdir(path('tmp'))).length === 0) await sleep(20);
  child.kill(signal);
  const [code] = await closed;
  expect(code).toBe(expected);
  expect(await readdir(path('tmp'))).toEqual([]);
});

test.each([
  ['@duckdb/node-api', 'check', 'bad.csv', '--contract', 'a.yaml'],
  ['@duckdb/node-api', 'evaluate', '--model', 'm', '--holdout', 'good.csv', '--predictions', 'good.csv'],
  ['config-parity/compare.ts', 'parity', '--offline', 'staging.json', 'production.json'],
])('what needs %s alone loads neither an AWS client nor the CDK: %s', async (needed, ...args) => {
  const trace = fileURLToPath(new URL('./trace-modules.ts', import.meta.url));
  const child = spawn(process.execPath, ['--import', trace, CLI, ...args], {
    cwd: directory,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let loaded = '';
  child.stderr?.on('data', (chunk) => {
    loaded += chunk;
  });
  await once(child, 'close');
  expect(loaded).toContain(needed);
  expect(loaded).not.toMatch(/@aws-sdk|@smithy|aws-cdk-lib|powertools/);
});
