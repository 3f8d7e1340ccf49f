import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync, gzipSync, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { corruptDataset } from '../../../functions/holdout-evaluation/adapters/corrupt.ts';
import { type LocatedCanary, parseEvaluations } from '../../../functions/holdout-evaluation/schema.ts';
import type { LocalFile } from '../../../functions/shared/engine/limits.ts';
import { GateInputError } from '../../../functions/shared/errors.ts';
import { sha256 } from '../../../functions/shared/identity.ts';
import { ConfigError } from '../../../functions/shared/schema.ts';
import { type Database, LIMITS, openDatabase } from '../../support/datasets.ts';

let directory: string;
let scratch: string;
let database: Database;

beforeAll(async () => {
  database = await openDatabase();
});

afterAll(() => database.close());

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'tocsin-corrupt-test-'));
  scratch = join(directory, 'scratch');
  mkdirSync(scratch);
});

afterEach(() => {
  expect(readdirSync(scratch)).toEqual([]);
  rmSync(directory, { recursive: true });
});

/** A canary of tocsin.yaml; what corrupts the dataset is in line 7. */
function canaryOf(corrupt: Record<string, string>): LocatedCanary {
  const text = `canaries:
  weekly:
    model: delay
    pipeline: train
    modelPackageGroup: canary
    dataset: { uri: known/flights.csv }
    negativeControl: { corrupt: ${JSON.stringify(corrupt)} }
    expect: [{ metric: auc, atLeast: 0.6 }]
`;
  return parseEvaluations({ file: 'tocsin.yaml', text }).canaries.get('weekly')!;
}

function fileOf(name: string, body?: string | Uint8Array): LocalFile {
  const path = join(directory, name);
  if (body !== undefined) writeFileSync(path, body);
  const bytes = readFileSync(path);
  return { path, name, bytes: bytes.length, sha256: sha256(bytes) };
}

async function corrupted(file: LocalFile, corrupt: Record<string, string>): Promise<Buffer> {
  const out = join(directory, 'out');
  await corruptDataset({ file, canary: canaryOf(corrupt), limits: LIMITS, scratch, out });
  return readFileSync(out);
}

async function thrownBy(work: Promise<unknown>): Promise<Error> {
  return work.then(
    () => expect.unreachable('it did not throw'),
    (error: Error) => error,
  );
}

describe('corruptDataset', () => {
  test('of Parquet keeps columns, types, order and all other values', async () => {
    const source = join(directory, 'a.parquet');
    await database.run(
      `COPY (SELECT range AS id, (range * 7 % 1000)::INTEGER AS distance, 'o' || range AS origin, NULL::DOUBLE AS gap,
       TIMESTAMPTZ '2001-01-01 00:00:00+00' AS time, [range] AS list, 0.1::FLOAT AS f FROM range(5000)) TO '${source}'`,
    );
    await corrupted(fileOf('a.parquet'), { distance: 'distance * 1.609344', origin: "'x' || id" });
    const out = join(directory, 'out');
    const described = (path: string) => database.run(`DESCRIBE SELECT * FROM read_parquet('${path}')`);
    expect(await described(out)).toEqual(await described(source));
    const differing = await database.run(
      `SELECT count(*)::INTEGER AS n FROM read_parquet('${source}', file_row_number = true) a
       JOIN read_parquet('${out}', file_row_number = true) b USING (file_row_number)
       WHERE b.id <> a.id OR b.distance <> round(a.distance * 1.609344) OR b.origin <> 'x' || a.id OR b.time <> a.time
       OR b.list <> a.list OR b.f <> a.f OR b.gap IS NOT NULL`,
    );
    expect(differing).toEqual([{ n: 0 }]);
    expect(await database.run(`SELECT count(*)::INTEGER AS n FROM read_parquet('${out}')`)).toEqual([
      { n: 5000 },
    ]);
  });

  test('of CSV keeps the delimiter, and every other cell as it stands', async () => {
    const csv = 'id;distance;name\n007;10;"a;""b"\n008;;\n009;20;" c "\n';
    const bytes = await corrupted(fileOf('a.csv', csv), { distance: 'distance * 1.6 + 0.4' });
    expect(bytes.toString()).toBe('id;distance;name\n007;16;"a;""b"\n008;;\n009;32; c \n');
  });

  test('of JSON Lines keeps the other values', async () => {
    const file = fileOf('a.jsonl', '{"a":1,"b":{"c":[1,"ü"]},"d":"x"}\n{"d":"y","a":2}\n');
    const bytes = await corrupted(file, { a: 'a + 10', d: "CASE WHEN d = 'x' THEN NULL ELSE d END" });
    expect(bytes.toString()).toBe('{"a":11,"b":{"c":[1,"ü"]},"d":null}\n{"a":12,"b":null,"d":"y"}\n');
  });

  test.each([
    ['gzip', 'a.csv.gz', gzipSync, gunzipSync],
    ['zstd', 'a.csv.zst', zstdCompressSync, zstdDecompressSync],
  ])('keeps the compression: %s', async (_, name, compress, decompress) => {
    const bytes = await corrupted(fileOf(name, compress(Buffer.from('a,b\n1,2\n'))), { a: 'b' });
    expect(decompress(bytes).toString()).toBe('a,b\n2,2\n');
  });

  test.each([
    [
      'a column that is not there',
      { distanse: '1' },
      /^tocsin\.yaml:7:\d+ no column "distanse" in the dataset, did you mean "distance"\?$/,
    ],
    [
      'an expression over one that is not there',
      { distance: 'miles * 2' },
      /^tocsin\.yaml:7:\d+ miles \* 2: no column "miles" in the dataset/,
    ],
    ['no expression', { distance: 'distance +' }, /not valid SQL/],
    ['chance', { distance: 'random()' }, /function "random" is not allowed/],
    [
      'what cannot be computed',
      { distance: "CAST('far' AS INTEGER)" },
      /the replacements cannot be computed: /,
    ],
    [
      'what changes nothing',
      { distance: 'distance + 0' },
      /^tocsin\.yaml:7:\d+ distance \+ 0 changes no value of distance, so there is nothing to notice$/,
    ],
  ])('refuses %s', async (_, corrupt, message) => {
    const thrown = await thrownBy(corrupted(fileOf('a.csv', 'distance,x\n1,2\n'), corrupt));
    expect(thrown).toBeInstanceOf(ConfigError);
    expect(thrown.message).toMatch(message);
  });

  test('tells every mistake at once', async () => {
    const thrown = await thrownBy(corrupted(fileOf('a.csv', 'x,y\n1,2\n'), { a: '1', x: 'z' }));
    expect(thrown.message.split('\n')).toHaveLength(2);
  });

  test('of what cannot be read is the caller’s business', async () => {
    const thrown = await thrownBy(corrupted(fileOf('a.parquet', 'PAR1 no more'), { a: '1' }));
    expect(thrown).toBeInstanceOf(GateInputError);
    expect(thrown.message).toMatch(/^the known dataset a\.parquet cannot be read: /);
  });
});
