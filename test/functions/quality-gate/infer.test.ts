import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { inferColumns } from '../../../functions/quality-gate/adapters/infer.ts';
import type { Inference } from '../../../functions/quality-gate/contract-init.ts';
import { GateInputError } from '../../../functions/shared/errors.ts';
import { duckdb, LIMITS, useLab, vega } from '../../support/datasets.ts';

const lab = useLab();
let scratch = '';
beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'tocsin-infer-'));
});
afterAll(() => rm(scratch, { recursive: true, force: true }));

async function infer(...paths: string[]): Promise<Inference> {
  const files = await Promise.all(
    paths.map(async (path) => ({ path, name: basename(path), bytes: (await stat(path)).size, sha256: '' })),
  );
  return inferColumns({ files, uploadedAt: 0, key: basename(paths[0] ?? '') }, LIMITS, scratch);
}

/** Types of the columns of a CSV with one column `x` of these values, as `type` or `type format`. */
async function typeOf(...values: string[]): Promise<string> {
  const { columns } = await infer(
    await lab.write('one.csv', `row,x\n${values.map((value) => `r,${value}\n`).join('')}`),
  );
  const { type, timeFormat } = columns.x ?? {};
  return [type, ...(timeFormat === undefined ? [] : [timeFormat])].join(' ');
}

describe('the format', () => {
  test('is told by content, whatever the name', async () => {
    expect((await infer(vega('flights-3m.parquet'))).format).toBe('parquet');
    expect((await infer(await lab.write('a.txt', '{"a": 1}\n'))).format).toBe('jsonl');
    expect((await infer(await lab.write('b.txt', 'a,b\n1,2\n'))).format).toBe('csv');
    expect((await infer(await lab.write('c.csv.gz', gzipSync('a,b\n1,2\n')))).format).toBe('csv');
  });

  test('of nothing and of a JSON array is an error with a way out', async () => {
    await expect(infer(await lab.write('empty.csv', ''))).rejects.toBeInstanceOf(GateInputError);
    await expect(infer(await lab.write('a.json', '[\n{"a": 1}]'))).rejects.toMatchObject({
      help: "Convert it: jq -c '.[]' a.json",
    });
  });
});

describe('the dialect of CSV', () => {
  test.each<[string, string | Buffer, Inference['csv']]>([
    ['plain', 'a,b\n1,x\n2,y\n', undefined],
    ['semicolons', 'a;b\n1,5;x\n2,5;y\n', { delimiter: ';' }],
    ['tabs', 'a\tb\n1\tx\n2\ty\n', { delimiter: '\t' }],
    ['single quotes', "a,b\n1,'x,1'\n2,'y,2'\n", { quote: "'" }],
    ['no header', '1,2001-01-01\n2,2001-01-02\n', { header: false }],
    ['Latin-1', Buffer.from('a,b\n1,caf\u00e9\n2,th\u00e9\n', 'latin1'), { encoding: 'latin-1' }],
    ['UTF-16', Buffer.from('\ufeffa,b\n1,caf\u00e9\n2,th\u00e9\n', 'utf16le'), { encoding: 'utf-16' }],
    ['UTF-8 with its mark', '\ufeffa,b\n1,caf\u00e9\n', undefined],
  ])('%s', async (_, content, csv) => {
    const found = await infer(await lab.write('dialect.csv', content));
    expect(found.csv).toEqual(csv);
    expect(Object.keys(found.columns)).toEqual(csv?.header === false ? ['column1', 'column2'] : ['a', 'b']);
  });

  test('of a single character is CSV', async () => {
    expect((await infer(await lab.write('one.txt', 'x'))).columns).toEqual({ x: { type: 'string' } });
  });

  test('marks of "no value" are taken from columns of other types only', async () => {
    const found = await infer(await lab.write('na.csv', `n,country\n1,NA\n${'2,FR\n'.repeat(30)}-,DE\n`));
    expect(found.columns).toMatchObject({ n: { type: 'integer' }, country: { type: 'string' } });
    expect(found.csv).toEqual({ nullValues: ['', '-'] });
  });
});

describe('types of texts', () => {
  test.each([
    ['integer', ['1', '-20', '', '3000000000']],
    ['number', ['1', '2.5', '1e3']],
    ['boolean', ['true', 'false', 'true']],
    ['date', ['2001-01-31', '2001-02-01']],
    ['timestamp', ['2001-01-31T10:00:00Z', '2001-02-01T11:30:00Z']],
    ['date %m/%d/%Y', ['1/31/2001', '02/01/2001']],
    ['date %d/%m/%Y', ['31/1/2001', '01/02/2001']],
    ['date %d.%m.%Y', ['31.1.2001', '01.02.2001']],
    ['date %b %d %Y', ['Jan 31 2001', 'Feb 1 2001']],
    ['timestamp %m/%d/%Y %H:%M', ['1/31/2001 10:00', '02/01/2001 9:05']],
    ['string', ['a', 'b', '1']],
    ['string', ['02134', '10001', '94110']],
    ['string', ['12345678901234567890', '22345678901234567890']],
    ['string', ['', '']],
  ])('%s', async (expected, values) => {
    expect(await typeOf(...values)).toBe(expected);
  });

  test('hold when nearly every value converts', async () => {
    const numbers = Array.from({ length: 97 }, (_, index) => String(index + 1));
    expect(await typeOf(...numbers, 'x', 'y')).toBe('integer');
    expect(await typeOf(...numbers, ...Array.from({ length: 9 }, () => 'x'))).toBe('string');
  });

  test('are found where the first records have no value', async () => {
    expect(await typeOf(...Array.from({ length: 25_000 }, () => ''), '5')).toBe('integer');
  });
});

test('JSON Lines: types of values, and times only of texts', async () => {
  const rows = [
    { i: 1, n: 1.5, s: 'a', b: true, t: '2001-01-01T00:00:00', z: '02134', mixed: 1, nested: { a: 1 } },
    { i: 2, n: 2, s: 'b', b: false, t: '2001-01-02T09:00:00', z: '10001', mixed: 'x', late: 3, nested: [1] },
  ];
  const found = await infer(
    await lab.write('a.jsonl', rows.map((row) => `${JSON.stringify(row)}\n`).join('')),
  );
  expect(Object.fromEntries(Object.entries(found.columns).map(([name, { type }]) => [name, type]))).toEqual({
    i: 'integer',
    n: 'number',
    s: 'string',
    b: 'boolean',
    t: 'timestamp',
    z: 'string',
    mixed: 'string',
    nested: 'string',
    late: 'integer',
  });
});

test('Parquet: types as they are stored', async () => {
  const file = lab.path('types.parquet');
  await duckdb(
    `COPY (SELECT 1::TINYINT AS i, 1.5::DECIMAL(9, 2) AS n, 'a' AS s, true AS b, DATE '2001-01-01' AS d, TIMESTAMP '2001-01-01 10:00' AS t, [1] AS l)
     TO '${file}' (FORMAT parquet)`,
  );
  const { columns } = await infer(file);
  expect(Object.values(columns).map(({ type }) => type)).toEqual([
    'integer',
    'number',
    'string',
    'boolean',
    'date',
    'timestamp',
    'string',
  ]);
});

describe('shapes of strings', () => {
  const shapeOf = async (value: (index: number) => string, count = 40) => {
    const lines = Array.from({ length: count }, (_, index) => `r,"${value(index)}"\n`);
    return (await infer(await lab.write('shape.csv', `row,x\n${lines.join('')}`))).columns.x?.pattern;
  };
  const letter = (index: number) => String.fromCharCode(65 + (index % 26));

  test.each<[string | undefined, (index: number) => string]>([
    ['[A-Z]{3}', (index) => letter(index) + letter(index + 1) + letter(index + 2)],
    ['[A-Z][0-9]+', (index) => `N${index * 7}`],
    ['[A-Z][0-9]{2}-[0-9]{4}\\.[a-z]', (index) => `${letter(index)}${10 + index}-${1000 + index}.x`],
    ['[0-9a-f]{16}', (index) => (0x123456789 * (index + 3)).toString(16).padStart(16, 'a9b3')],
    [undefined, (index) => ['rain', 'sun', 'fog'][index % 3] ?? ''],
    [undefined, (index) => (index % 2 === 0 ? 'AB' : 'A1')],
  ])('%s', async (pattern, value) => {
    expect(await shapeOf(value)).toBe(pattern);
  });

  test('need enough values', async () => {
    expect(await shapeOf(() => 'ABC', 5)).toBeUndefined();
  });
});

test('several files are looked at together', async () => {
  const first = await lab.write('part-1.csv', 'a\n1\n2\n');
  const second = await lab.write('part-2.csv', `a\n${'1.5\n'.repeat(30)}`);
  expect((await infer(first)).columns.a?.type).toBe('integer');
  expect((await infer(first, second)).columns.a?.type).toBe('number');
});

test('more columns than a contract can name are refused', async () => {
  const names = Array.from({ length: 2001 }, (_, index) => `c${index}`).join(',');
  await expect(infer(await lab.write('wide.csv', `${names}\n${names}\n`))).rejects.toThrow(
    /more than 2000 columns/,
  );
});
