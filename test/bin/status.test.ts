import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ListObjectsV2Command } from '@aws-sdk/client-s3';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { type StatusOptions, status, statusCommand } from '../../bin/commands/status.ts';
import { EXIT } from '../../bin/shared/cli.ts';
import { boardSchema } from '../../functions/board/board.ts';
import { GateDependencyError, GateInputError } from '../../functions/shared/errors.ts';
import { sha256 } from '../../functions/shared/identity.ts';
import { FakeAws, s3Error } from '../support/fake-aws.ts';
import { putPastRun } from '../support/ledger.ts';
import { capture, examplesOf, failure, outputsWith } from './support.ts';

const DAY = 86_400_000;
const NOW = Date.UTC(2026, 10, 22);

const CONTRACT = 'contract: 1\ndataset: sales\nformat: csv\ncolumns:\n  x: { type: number }\n';

const CONFIG = `tocsin: 1
datasets: { sales: { contract: sales.yaml, prefix: sales/ } }
alarmDrills:
  drift: { alarm: drift, intended: { fires: '>= 0.2', within: 10m }, schedule: rate(7 days) }
models:
  m:
    modelPackageGroup: m
    task: regression
    holdout: { uri: sales/good.csv, label: x, contract: sales.yaml }
    transform: { instanceType: ml.m5.large }
    require: [{ metric: mae, atMost: 1 }]
readiness:
  m: { production: { alarmDrills: [drift], datasets: [sales] } }
`;

let aws: FakeAws;
let directory = '';
const path = (name: string) => join(directory, name);

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tocsin-status-'));
  await writeFile(path('tocsin.yaml'), CONFIG);
  await writeFile(path('sales.yaml'), CONTRACT);
  await writeFile(path('outputs.json'), JSON.stringify(outputsWith({ DataBucket: 'data' })));
});
afterAll(() => rm(directory, { recursive: true, force: true }));
beforeEach(() => {
  vi.stubEnv('AWS_REGION', 'eu-west-1');
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'test');
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'test');
  aws = new FakeAws();
});
afterEach(() => {
  aws.restore();
  vi.unstubAllEnvs();
});

async function show(options: Partial<StatusOptions> = {}): Promise<string> {
  const io = capture();
  const all = { config: path('tocsin.yaml'), outputs: path('outputs.json'), ...options };
  expect(await status(all, io, NOW)).toBe(EXIT.pass);
  return io.out();
}

const failing = {
  gate: 'alarm-drill',
  subject: 'drift',
  at: NOW - 2 * DAY,
  outcome: 'fail',
  reason: 'Alarm drift fires at 1, 5 times the intended 0.2.',
} as const;

describe('tocsin status', () => {
  test('shows every gap, why it is not closed, and what to do', async () => {
    putPastRun(aws, 'evidence', { ...failing, at: NOW - 3 * DAY });
    putPastRun(aws, 'evidence', failing);
    putPastRun(aws, 'evidence', {
      gate: 'quality-gate',
      subject: 'sales',
      at: NOW - 40 * DAY,
      inputs: { contractSha256: sha256(CONTRACT) },
    });
    const lines = (await show()).split('\n');
    expect(lines.slice(0, 7)).toEqual([
      'm in production',
      '     gap         standing  for      last  next in',
      '  –  1 Pipeline  never',
      '  –  2 Rollback  never',
      '  ✗  3 Alarms    fail      3 d   2 d ago      5 d',
      '  ~  4 Data      stale     5 d  40 d ago',
      '  –  5 Parity    never',
    ]);
    const rest = lines.slice(7).join('\n');
    expect(rest).toContain('✗ Alarm drift fires at 1, 5 times the intended 0.2.');
    expect(rest).toContain('Run: tocsin drill alarm drift');
    expect(rest).toMatch(/~ .*ataset sales.* 40 d ago, and counts for 35 d/);
    expect(rest).toContain('The release is not ready: m in production (');
  });

  test('shows one model, and refuses one that nobody asks anything of', async () => {
    expect(await show({ model: 'm' })).toContain('m in production');
    const error = await failure(
      status({ config: path('tocsin.yaml'), outputs: path('outputs.json'), model: 'n' }, capture(), NOW),
    );
    expect(error).toBeInstanceOf(GateInputError);
    expect(error.message).toContain('there is no model in readiness "n"');
  });

  test('--json is the board', async () => {
    const entry = putPastRun(aws, 'evidence', failing);
    const board = boardSchema.parse(JSON.parse(await show({ json: true })));
    const [alarms] = board.rows[0]?.gaps.filter(({ gap }) => gap === 'alarms') ?? [];
    expect(alarms).toMatchObject({ standing: 'fail', verdict: entry.verdict, at: failing.at });
  });

  test('text from the evidence moves no cursor', async () => {
    putPastRun(aws, 'evidence', { ...failing, reason: 'red \u001b[31m and\nnext' });
    expect(await show()).toContain('✗ red \\u001b[31m and next.');
  });

  test('is told where S3 refuses', async () => {
    aws.s3.on(ListObjectsV2Command).rejects(s3Error('AccessDenied', 403));
    const error = await failure(
      status({ config: path('tocsin.yaml'), outputs: path('outputs.json') }, capture(), NOW),
    );
    expect(error).toBeInstanceOf(GateDependencyError);
    expect(error.message).toContain('ListObjectsV2 s3://evidence/history/');
  });

  test('has examples', () => {
    expect(examplesOf(statusCommand(capture()))).toEqual([
      'tocsin status',
      'tocsin status --model flight-delay --json',
    ]);
  });
});
