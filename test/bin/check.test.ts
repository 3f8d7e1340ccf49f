import { mkdir, mkdtemp, readdir, readFile, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { type CheckOptions, check } from '../../bin/commands/check.ts';
import { EXIT } from '../../bin/shared/cli.ts';
import { openDataset } from '../../bin/shared/dataset.ts';
import { idOf, type QualityVerdict } from '../../functions/quality-gate/gate.ts';
import { GateInputError } from '../../functions/shared/errors.ts';
import { sha256 } from '../../functions/shared/identity.ts';
import { FakeAws } from '../support/fake-aws.ts';
import { capture, ENGINE } from './support.ts';

const CONTRACT = `contract: 1
dataset: sales
format: csv
rows: { min: 2 }
columns:
  id: { type: integer, required: true }
  price: { type: number, nulls: 10%, zeros: 25%, range: [0, 100] }
  note: { type: string, pii: true, nulls: 0%, length: [1, 3] }
`;
const GOOD = 'id,price,note\n1,10,a\n2,20,b\n3,0,c\n4,5,d\n';
const BAD = 'id,price,note\n1,0,a\n2,0,b\n3,0,secret\n4,500,\n';

let directory = '';
const path = (name: string) => join(directory, name);

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tocsin-check-'));
  await writeFile(path('sales.yaml'), CONTRACT);
  await writeFile(path('good.csv'), GOOD);
  await writeFile(path('bad.csv'), BAD);
});
afterAll(() => rm(directory, { recursive: true, force: true }));

async function run(data: string, options: Partial<CheckOptions> = {}) {
  const io = capture();
  const code = await check(data, { ...ENGINE, contract: path('sales.yaml'), ...options }, io);
  return { code, out: io.out(), err: io.err() };
}

async function verdictOf(data: string, options: Partial<CheckOptions> = {}): Promise<QualityVerdict> {
  return JSON.parse((await run(data, { ...options, json: true })).out) as QualityVerdict;
}

describe('what people read', () => {
  test('is short when everything passes', async () => {
    const { code, out } = await run(path('good.csv'));
    expect(code).toBe(EXIT.pass);
    expect(out).toMatch(/^PASS sales: 4 rows of 3 columns meet .*sales\.yaml \(\d+ checks\)\.$/m);
    expect(out).not.toContain('FAIL');
    expect(out.trim().split('\n').length).toBeLessThanOrEqual(6);
  });

  test('names column, check, share, limit, line, rows and the next step, worst first', async () => {
    const { code, out } = await run(path('bad.csv'));
    expect(code).toBe(EXIT.failed);
    expect(out).toMatch(/^FAIL {2}column price {2}zeros +75% {2}at most 25% {2}.*sales\.yaml:7$/m);
    expect(out).toMatch(/such as row 1: "0.0", row 2: "0.0"/);
    expect(out).toMatch(/such as row 4: "500.0"/);
    expect(out).toContain('-> Look for a default value or a failed join upstream.');
    expect(out).toMatch(/^\d+ of \d+ checks passed\.$/m);
    expect(out).toMatch(/^FAIL sales: 4 of \d+ checks failed; first: /m);
    expect(out.indexOf('FAIL  column')).toBeLessThan(out.indexOf('not checked'));
  });

  test('says what was not checked, and why', async () => {
    const { out } = await run(path('good.csv'));
    expect(out).toMatch(/^not checked, .*drift.*: the contract sets no limit \(column id/m);
  });

  test('shows no value of a personal column, and only its row', async () => {
    const { out } = await run(path('bad.csv'));
    expect(out).toMatch(/^FAIL {2}column note {3}length/m);
    expect(out).toContain('such as row 3\n');
    expect(out).not.toContain('secret');
  });

  test('cannot be made to move the cursor by the data', async () => {
    await writeFile(path('evil.csv'), `id,price,note,\u001b]0;owned\u0007\n1,1,a,x\n2,2,b,y\n`);
    const { code, out } = await run(path('evil.csv'));
    expect(code).toBe(EXIT.failed);
    expect(out).toContain('\\u001b]0;owned\\u0007');
    // biome-ignore lint/suspicious/noControlCharactersInRegex: that is the point
    expect(out).not.toMatch(/[\u0000-\u0009\u000b-\u001f]/);
  });

  test('ends after fifty findings', async () => {
    const names = Array.from({ length: 60 }, (_, index) => `extra${index}`);
    await writeFile(
      path('wide.csv'),
      `id,price,note,${names.join(',')}\n${Array.from({ length: 63 }, () => '1').join(',')}\n`.repeat(1),
    );
    const { out } = await run(path('wide.csv'));
    expect(out).toMatch(/^and 1\d more: see --json$/m);
    expect(out.match(/^FAIL {2}/gm)).toHaveLength(50);
  });
});

describe('what machines read', () => {
  test('is the verdict, bound to its inputs', async () => {
    const verdict = await verdictOf(path('bad.csv'));
    expect(verdict).toMatchObject({ verdict: 1, gate: 'quality-gate', subject: 'sales', outcome: 'fail' });
    expect(verdict.inputs).toMatchObject({
      sha256: sha256(BAD),
      contractSha256: sha256(CONTRACT),
      uri: path('bad.csv'),
    });
    expect(verdict.id).toBe(idOf(verdict.inputs));
    expect(verdict.findings[0]).toMatchObject({
      check: 'zeros',
      column: 'price',
      outcome: 'fail',
      value: 0.75,
    });
  });

  test('is the same for the same bytes', async () => {
    expect(await verdictOf(path('bad.csv'))).toEqual(await verdictOf(path('bad.csv')));
  });

  test('can be kept, with the profile', async () => {
    const out = path('kept/here');
    const verdict = await verdictOf(path('bad.csv'), { out });
    expect(JSON.parse(await readFile(join(out, 'verdict.json'), 'utf8'))).toEqual(verdict);
    expect(JSON.parse(await readFile(join(out, 'profile.json'), 'utf8'))).toMatchObject({
      profile: 1,
      rows: 4,
    });
    expect(await readFile(join(out, 'report.html'), 'utf8')).toContain(
      'Dataset sales <span class="badge fail">',
    );
    expect(await readdir(out)).toEqual(['profile.json', 'report.html', 'verdict.json']);
  });
});

describe('a directory', () => {
  test('is all its files in the order of their names, without those of Spark and Hive', async () => {
    await mkdir(path('batch'));
    await writeFile(path('batch/b.csv'), 'id,price,note\n3,30,c\n');
    await writeFile(path('batch/a.csv'), GOOD);
    await writeFile(path('batch/_SUCCESS'), '');
    await writeFile(path('batch/.part.crc'), 'x');
    const { dataset } = await openDataset(path('batch'), 0);
    expect(dataset.files.map(({ name }) => name)).toEqual([path('batch/a.csv'), path('batch/b.csv')]);
    expect((await run(path('batch'))).out).toContain('PASS sales: 5 rows');
  });

  test('names the file of a bad row', async () => {
    await mkdir(path('mixed'));
    await writeFile(path('mixed/a.csv'), GOOD);
    await writeFile(path('mixed/b.csv'), 'id,price,note\n,1,b\n');
    expect((await run(path('mixed'))).out).toContain(`such as ${path('mixed/b.csv')} row 1`);
  });

  test('with directories in it, or with nothing, is no dataset', async () => {
    await mkdir(path('nested/2001-01'), { recursive: true });
    await expect(run(path('nested'))).rejects.toThrow(/2001-01 is a directory inside a dataset/);
    await rm(path('nested/2001-01'), { recursive: true });
    await writeFile(path('nested/_SUCCESS'), '');
    await expect(run(path('nested'))).rejects.toThrow(/has no data file/);
    await symlink(path('nowhere'), path('nested/part.csv'));
    await expect(run(path('nested'))).rejects.toThrow(/part\.csv: no such file/);
  });
});

test('a file that is written to meanwhile has no verdict', async () => {
  await writeFile(path('moving.csv'), GOOD);
  const { assertUnchanged } = await openDataset(path('moving.csv'), 0);
  await assertUnchanged();
  await writeFile(path('moving.csv'), GOOD);
  await utimes(path('moving.csv'), 1, 1);
  await expect(assertUnchanged()).rejects.toThrow(/was written to while it was measured/);
});

describe('mistakes of the caller', () => {
  test.each<[string, () => Promise<unknown>, RegExp]>([
    ['no such data', () => run(path('none.csv')), /data .*none\.csv: no such file/],
    [
      'no such contract',
      () => run(path('good.csv'), { contract: path('none.yaml') }),
      /contract .*none\.yaml: no such file/,
    ],
    [
      'a directory as contract',
      () => run(path('good.csv'), { contract: directory }),
      /is a directory, a file is expected/,
    ],
    ['a broken contract', () => run(path('good.csv'), { contract: path('good.csv') }), /good\.csv:1:1/],
    [
      'no such baseline',
      () => run(path('good.csv'), { baseline: path('none.json') }),
      /baseline .*none\.json: no such file/,
    ],
    [
      'a baseline that is none',
      () => run(path('good.csv'), { baseline: path('good.csv') }),
      /baseline .*good\.csv is not JSON/,
    ],
  ])('%s', async (_, act, message) => {
    const error = await act().catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(GateInputError);
    expect((error as GateInputError).message).toMatch(message);
  });
});

describe('freshness', () => {
  const contract = (asOf: string) => `contract: 1
dataset: sales
format: csv
freshness: { column: day, maxAge: 3d, asOf: ${asOf} }
columns:
  day: { type: date, required: true }
`;
  beforeAll(async () => {
    await writeFile(path('dated.csv'), 'day\n2001-02-01\n2001-02-27\n');
    for (const asOf of ['upload', 'key']) await writeFile(path(`${asOf}.yaml`), contract(asOf));
  });

  test.each(['upload', 'key'])('is measured from the day that the caller gives (asOf: %s)', async (asOf) => {
    const on = (day: string) =>
      verdictOf(path('dated.csv'), { contract: path(`${asOf}.yaml`), asOf: Date.parse(day) });
    expect((await on('2001-02-28')).outcome).toBe('pass');
    expect((await on('2001-03-09')).outcome).toBe('fail');
    expect((await on('2001-02-28')).inputs.asOf).toBe('2001-02-28');
  });

  test('is measured from today otherwise', async () => {
    expect((await verdictOf(path('dated.csv'), { contract: path('upload.yaml') })).outcome).toBe('fail');
  });
});

describe('in S3', () => {
  let aws: FakeAws;
  beforeEach(() => {
    vi.stubEnv('AWS_REGION', 'eu-west-1');
    vi.stubEnv('AWS_ACCESS_KEY_ID', 'test');
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'test');
    aws = new FakeAws();
    return () => {
      aws.restore();
      vi.unstubAllEnvs();
    };
  });

  test('the current version is judged, or the one that is named', async () => {
    const first = aws.put('data', 'sales/2001.csv', BAD);
    aws.put('data', 'sales/2001.csv', GOOD);
    expect(await verdictOf('s3://data/sales/2001.csv')).toMatchObject({
      outcome: 'pass',
      inputs: { uri: 's3://data/sales/2001.csv', sha256: sha256(GOOD) },
    });
    expect((await verdictOf(`s3://data/sales/2001.csv?versionId=${first}`)).inputs.sha256).toBe(sha256(BAD));
  });

  test('a complete batch is judged as a whole', async () => {
    await writeFile(path('marked.yaml'), CONTRACT.replace('rows:', 'batch: marker\nrows:'));
    aws.put('data', 'sales/1/a.csv', GOOD);
    aws.put('data', 'sales/1/b.csv', GOOD);
    const judge = () => verdictOf('s3://data/sales/1/', { contract: path('marked.yaml') });
    await expect(judge()).rejects.toThrow(/there is no s3:\/\/data\/sales\/1\/_SUCCESS/);
    aws.put('data', 'sales/1/_SUCCESS', '');
    const verdict = await judge();
    expect(verdict.inputs.uri).toBe('s3://data/sales/1/');
    expect(verdict.reason).toContain('8 rows');
  });

  test.each([
    ['s3://data', /expected s3:\/\/bucket\/key/],
    ['s3://data/sales/', /is a folder, but .* has batch: object/],
    ['s3://data/sales/none.csv', /there is no s3:\/\/data\/sales\/none\.csv/],
  ])('%s is refused', async (address, message) => {
    await expect(run(address)).rejects.toThrow(message);
  });

  test('nothing is left on this disk', async () => {
    vi.stubEnv('TMPDIR', path('tmp'));
    await mkdir(path('tmp'));
    aws.put('data', 'sales/2001.csv', GOOD);
    await run('s3://data/sales/2001.csv');
    expect(await readdir(path('tmp'))).toEqual([]);
  });

  test('a caller without a region is told so', async () => {
    vi.stubEnv('AWS_REGION', undefined);
    vi.stubEnv('AWS_CONFIG_FILE', path('none'));
    await expect(run('s3://data/sales/2001.csv')).rejects.toThrow(/no AWS region/);
  });
});
