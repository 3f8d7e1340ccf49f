import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { check } from '../../bin/commands/check.ts';
import { contractInit } from '../../bin/commands/contract-init.ts';
import { EXIT } from '../../bin/shared/cli.ts';
import { GateInputError } from '../../functions/shared/errors.ts';
import { duckdb, useLab, vega } from '../support/datasets.ts';
import { capture, ENGINE } from './support.ts';

const lab = useLab();

/** The contract that is inferred from a file. */
async function init(file: string): Promise<string> {
  const io = capture();
  expect(await contractInit(file, ENGINE, io)).toBe(EXIT.pass);
  return io.out();
}

async function outcome(file: string, contract: string): Promise<string> {
  const { verdict } = await lab.judge({ files: file, contract, uploaded: new Date().toISOString() });
  return verdict.outcome;
}

const quote = (name: string) => `"${name.replaceAll('"', '""')}"`;

interface Real {
  name: string;
  /** SQL of the first slice, and of another one that must pass the contract of the first. */
  first: string;
  later: string;
  format: 'csv' | 'json' | 'parquet';
  /** Columns that hold a number. */
  numeric: string[];
}

const MOVIES = `SELECT Title::VARCHAR AS Title, "US Gross", "Production Budget", "Release Date", "MPAA Rating", "IMDB Rating", "IMDB Votes" FROM read_json('${vega('movies.json')}')`;

const REAL: Real[] = [
  {
    name: 'weather',
    first: `FROM '${vega('seattle-weather.csv')}' WHERE year(date) < 2014`,
    later: `FROM '${vega('seattle-weather.csv')}' WHERE year(date) >= 2014`,
    format: 'csv',
    numeric: ['precipitation', 'temp_max', 'temp_min', 'wind'],
  },
  {
    name: 'movies',
    first: `${MOVIES} WHERE hash(Title) % 8 = 0`,
    later: `${MOVIES} WHERE hash(Title) % 8 = 1`,
    format: 'json',
    numeric: ['US Gross', 'Production Budget', 'IMDB Rating', 'IMDB Votes'],
  },
  {
    name: 'flights',
    first: `FROM '${vega('flights-3m.parquet')}' WHERE date < '2001-02-01' AND delay % 10 = 3`,
    later: `FROM '${vega('flights-3m.parquet')}' WHERE date >= '2001-02-01' AND date < '2001-03-01' AND delay % 10 = 3`,
    format: 'parquet',
    numeric: ['delay', 'distance'],
  },
];

describe.each(REAL)('a contract inferred from $name', ({ name, first, later, format, numeric }) => {
  const ending = format === 'json' ? 'jsonl' : format;
  const options = format === 'csv' ? '(FORMAT csv, HEADER)' : `(FORMAT ${format})`;
  let contract = '';
  let columns: { column_name: string; column_type: string }[] = [];
  const file = (variant: string) => lab.path(`${name}-${variant}.${ending}`);
  /** Writes a variant of the data; false where it is the data itself. */
  const write = async (variant: string, select: string): Promise<boolean> => {
    const [row] = await duckdb(
      `CREATE TABLE data AS ${first}`,
      `COPY (SELECT ${select} FROM data) TO '${file(variant)}' ${options}`,
      `SELECT count(*) = 0 AS same FROM (SELECT * FROM (SELECT ${select} FROM data) EXCEPT ALL SELECT * FROM data)`,
    ).catch((error: Error) => {
      // A dropped column cannot be compared.
      if (/same number of result columns/.test(error.message)) return [{ same: false }];
      throw error;
    });
    return row?.same !== true;
  };

  beforeAll(async () => {
    await write('own', '*');
    columns = (await duckdb(`CREATE TABLE data AS ${first}`, 'DESCRIBE data')) as typeof columns;
    contract = await init(file('own'));
  });

  test('passes its own data', async () => {
    expect(await outcome(file('own'), contract)).toBe('pass');
  });

  test('passes a slice that it has not seen', async () => {
    await duckdb(`COPY (${later}) TO '${file('later')}' ${options}`);
    const { verdict } = await lab.judge({ files: file('later'), contract });
    expect(verdict.findings.filter((finding) => finding.outcome !== 'pass')).toEqual([]);
  });

  test('fails the same data with any one column zeroed, nulled, dropped or multiplied by 100', async () => {
    expect(columns.length).toBeGreaterThan(4);
    const passed: string[] = [];
    for (const { column_name: column, column_type: type } of columns) {
      const id = quote(column);
      const zero = /VARCHAR/.test(type) ? `'0'` : /DATE|TIME/.test(type) ? `TIMESTAMP '1970-01-01'` : '0';
      const variants = {
        zeroed: `* REPLACE (CAST(${zero} AS ${type}) AS ${id})`,
        nulled: `* REPLACE (CAST(NULL AS ${type}) AS ${id})`,
        dropped: `* EXCLUDE (${id})`,
        ...(numeric.includes(column) && { 'times 100': `* REPLACE (${id} * 100 AS ${id})` }),
      };
      for (const [what, select] of Object.entries(variants)) {
        expect(await write('bad', select)).toBe(true);
        if ((await outcome(file('bad'), contract)) !== 'fail') passed.push(`${column} ${what}`);
      }
    }
    expect(passed).toEqual([]);
  });
});

describe('a contract inferred from any data', () => {
  const nullable = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: null, freq: 5 });
  const day = fc
    .integer({ min: 1, max: 30_000 })
    .map((days) => new Date(days * 86_400_000).toISOString().slice(0, 10));
  const kinds = {
    integer: fc.oneof(fc.integer({ min: -1e6, max: 1e6 }), fc.integer({ min: -1, max: 1 })),
    number: fc.integer({ min: -1e9, max: 1e9 }).map((value) => value / 1024),
    string: fc.oneof(fc.string({ unit: 'grapheme', maxLength: 8 }), fc.constantFrom('a', 'b', 'AB1', 'XY2')),
    boolean: fc.boolean(),
    day,
  };
  type Kind = keyof typeof kinds;
  const zeros: Record<Kind, unknown> = {
    integer: 0,
    number: 0,
    string: '',
    boolean: false,
    day: '1970-01-01',
  };

  const table = fc
    .tuple(fc.constantFrom(...(Object.keys(kinds) as Kind[])), fc.integer({ min: 1, max: 60 }))
    .chain(([kind, rows]) =>
      fc.record({
        kind: fc.constant(kind),
        values: fc.array(nullable(kinds[kind] as fc.Arbitrary<unknown>), {
          minLength: rows,
          maxLength: rows,
        }),
      }),
    );

  test('passes it, and fails it with the column zeroed, nulled, dropped or multiplied by 100', async () => {
    const lines = (values: readonly unknown[]) =>
      values.map((value, index) => `${JSON.stringify({ row: index, x: value })}\n`).join('');
    await fc.assert(
      fc.asyncProperty(table, async ({ kind, values }) => {
        const own = lines(values);
        const file = await lab.write('any.jsonl', own);
        const contract = await init(file);
        expect(await outcome(file, contract)).toBe('pass');
        const change = (by: (value: unknown) => unknown) =>
          lines(values.map((value) => (value === null ? null : by(value))));
        const variants = {
          zeroed: change(() => zeros[kind]),
          nulled: change(() => null),
          dropped: own.replaceAll(/,"x":.*(?=\}\n)/g, ''),
          ...((kind === 'integer' || kind === 'number') && {
            'times 100': change((value) => Number(value) * 100),
          }),
        };
        for (const [what, text] of Object.entries(variants)) {
          if (text === own) continue;
          const bad = await lab.write('bad.jsonl', text);
          expect([what, await outcome(bad, contract)]).toEqual([what, 'fail']);
        }
      }),
      { numRuns: 15 },
    );
  });
});

describe('tocsin contract init', () => {
  let directory = '';
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'tocsin-init-'));
    await mkdir(join(directory, 'contracts'));
  });
  afterAll(() => rm(directory, { recursive: true, force: true }));

  test('writes a contract with limits on drift, and the baseline that they need', async () => {
    const [out, baseline] = [join(directory, 'contracts/weather.yaml'), join(directory, 'weather.json')];
    const io = capture();
    const data = vega('seattle-weather.csv');
    await contractInit(data, { ...ENGINE, dataset: 'weather', out, baseline }, io);
    expect(io.err()).toContain(`wrote ${out}, which ${data} passes`);
    expect(await readFile(out, 'utf8')).toMatch(/dataset: weather\n[\s\S]*drift: \{ psi: 0\.2 \}/);
    expect(await check(data, { ...ENGINE, contract: out, baseline }, capture())).toBe(EXIT.pass);
    expect(await check(data, { ...ENGINE, contract: out }, capture())).toBe(EXIT.failed);
  });

  test('leaves existing files alone', async () => {
    const out = join(directory, 'mine.yaml');
    const data = await lab.write('one.csv', 'a\n1\n');
    await contractInit(data, { ...ENGINE, out }, capture());
    const before = await readFile(out, 'utf8');
    const again = await lab.write('one.csv', 'b\n2\n');
    await expect(contractInit(again, { ...ENGINE, out }, capture())).rejects.toThrow(
      'mine.yaml exists already',
    );
    expect(await readFile(out, 'utf8')).toBe(before);
    await contractInit(again, { ...ENGINE, out, force: true }, capture());
    expect(await readFile(out, 'utf8')).not.toBe(before);
  });

  test.each([
    ['malformed records', 'a,b\n1,2\n3\n', /has 1 malformed record.*line 3/],
    ['no rows', 'a,b\n', /has no rows/],
    ['a column twice', 'a,a\n1,2\n', /two columns called "a"/],
    ['a JSON array', '[{"a": 1}]', /one JSON array/],
    ['nothing', '', /is empty/],
  ])('refuses data with %s', async (_, text, message) => {
    const error = await contractInit(await lab.write('bad.csv', text), ENGINE, capture()).catch(
      (thrown) => thrown,
    );
    expect(error).toBeInstanceOf(GateInputError);
    expect(error.message).toMatch(message);
  });
});
