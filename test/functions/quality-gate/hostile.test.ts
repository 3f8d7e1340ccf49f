import { mkdir, open, readFile, writeFile } from 'node:fs/promises';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { beforeAll, describe, expect, test } from 'vitest';
import { withEngine } from '../../../functions/shared/engine/duckdb.ts';
import { GateInputError } from '../../../functions/shared/errors.ts';
import type { Profile } from '../../../functions/shared/profile.ts';
import { type Case, duckdb, LIMITS, useLab, vega } from '../../support/datasets.ts';
import { createRandom } from '../../support/random.ts';

const lab = useLab();

/** A contract that ties every value of its 500 rows to the others: any row that changed breaks it. */
function contract(format: string, extra = ''): string {
  return `contract: 1
dataset: probe
format: ${format}
rows: { min: 500, max: 500 }
key: { columns: [id] }
duplicateRows: 0%
${extra}
columns:
  id: { type: integer, required: true, range: [0, 499] }
  x: { type: number, required: true }
  s: { type: string, required: true }
  t: { type: timestamp, required: true }
rules:
  - { name: x is half of id, sql: x = id / 2 }
  - { name: s names id, sql: "s = 'name ' || (id % 7)" }
  - { name: t counts id, sql: "t = TIMESTAMP '2001-01-01' + to_minutes(id)" }
`;
}

const ROWS = `SELECT i AS id, i / 2 AS x, 'name ' || (i % 7) AS s, TIMESTAMP '2001-01-01' + to_minutes(i) AS t FROM range(500) r(i)`;

/** What became of a case, in one line: the outcome and its checks, or the class of the error. */
async function fate(what: Case): Promise<string> {
  try {
    const { verdict } = await lab.judge(what);
    const failed = verdict.findings.filter(({ outcome }) => outcome !== 'pass').map(({ check }) => check);
    return `${verdict.outcome}: ${failed[0] ?? ''}`;
  } catch (error) {
    return (error as Error).constructor.name;
  }
}

let csv: Buffer;
let jsonLines: Buffer;
let parquet: Buffer;
beforeAll(async () => {
  const good = lab.path('good');
  await duckdb(
    `COPY (${ROWS}) TO '${good}.csv' (HEADER)`,
    `COPY (${ROWS}) TO '${good}.jsonl' (FORMAT json)`,
    `COPY (${ROWS}) TO '${good}.parquet'`,
  );
  [csv, jsonLines, parquet] = (await Promise.all(
    ['csv', 'jsonl', 'parquet'].map((format) => readFile(`${good}.${format}`)),
  )) as [Buffer, Buffer, Buffer];
});

test.each(['csv', 'jsonl', 'parquet'])('what is not hostile passes: %s', async (format) => {
  expect(await fate({ files: lab.path(`good.${format}`), contract: contract(format) })).toBe('pass: ');
});

// ---------------------------------------------------------------------------------------------------------
// Bytes that are not what they should be
// ---------------------------------------------------------------------------------------------------------

const HEADER = 'id,x,s,t\n';
const WIDE = Array.from({ length: 10_000 }, (_, index) => `c${index}`);

describe('text', () => {
  const cases: [name: string, file: string, content: () => string | Uint8Array, fate: string][] = [
    ['empty', 'x.csv', () => '', 'fail: readable'],
    ['empty', 'x.jsonl', () => '', 'fail: readable'],
    ['nothing but line ends', 'x.csv', () => '\n\n\r\n', 'fail: readable'],
    ['nothing but line ends', 'x.jsonl', () => '\n\n\n', 'fail: readable'],
    ['header only', 'x.csv', () => HEADER, 'fail: rows'],
    ['header only, without a line end', 'x.csv', () => HEADER.trim(), 'fail: rows'],
    ['objects without keys', 'x.jsonl', () => '{}\n'.repeat(500), 'fail: readable'],
    ['10,000 columns', 'x.csv', () => `${WIDE}\n${WIDE}\n`, 'fail: readable'],
    [
      '10,000 columns, and those of the contract',
      'x.csv',
      () => `id,x,s,t,${WIDE}\n0,0,name 0,2001-01-01,${WIDE}\n`,
      'fail: readable',
    ],
    [
      '10,000 keys',
      'x.jsonl',
      () => `${JSON.stringify(Object.fromEntries(WIDE.map((name) => [name, 1])))}\n`,
      'fail: readable',
    ],
    ['a line of three megabytes', 'x.csv', () => `${HEADER}1,2,${'x'.repeat(3e6)},\n`, 'fail: readable'],
    ['a line of three megabytes', 'x.jsonl', () => `{"s":"${'x'.repeat(3e6)}"}\n`, 'fail: readable'],
    ['Parquet by the name of CSV', 'x.csv', () => parquet, 'fail: readable'],
    ['Parquet by the name of JSON Lines', 'x.jsonl', () => parquet, 'fail: readable'],
    ['gzip by the name of CSV', 'x.csv', () => gzipSync(csv), 'fail: readable'],
    ['CSV by the name of JSON Lines', 'x.jsonl', () => csv, 'fail: well-formed'],
    ['JSON Lines by the name of CSV', 'x.csv', () => jsonLines, 'fail: readable'],
    ['random bytes', 'x.csv', () => randomBytes(20_000, 1), 'fail: readable'],
    ['random bytes', 'x.jsonl', () => randomBytes(20_000, 2), 'fail: readable'],
    [
      'random bytes without NUL',
      'x.csv',
      () => randomBytes(20_000, 3).map((byte) => byte || 1),
      'fail: readable',
    ],
    [
      'random bytes without NUL behind a header',
      'x.csv',
      () => Buffer.concat([Buffer.from(HEADER), randomBytes(20_000, 4).map((byte) => byte || 1)]),
      'fail: readable',
    ],
    [
      'random bytes without NUL',
      'x.jsonl',
      () => randomBytes(20_000, 5).map((byte) => byte || 1),
      'fail: well-formed',
    ],
    ['a NUL byte', 'x.csv', () => spliced(csv, 2000, '\0'), 'fail: readable'],
    ['a NUL byte', 'x.jsonl', () => spliced(jsonLines, 2000, '\0'), 'fail: readable'],
    [
      'a NUL that is escaped',
      'x.jsonl',
      () => jsonLines.toString().replace('name 3', 'name\\u00003'),
      'fail: rule',
    ],
    ['UTF-16', 'x.csv', () => Buffer.from(csv.toString(), 'utf16le'), 'fail: readable'],
    ['an invalid byte', 'x.csv', () => spliced(csv, csv.indexOf('name'), '\xff'), 'fail: well-formed'],
    [
      'an invalid byte',
      'x.jsonl',
      () => spliced(jsonLines, jsonLines.indexOf('name'), '\xff'),
      'fail: well-formed',
    ],
    ['an invalid byte in the header', 'x.csv', () => spliced(csv, 0, '\xff'), 'fail: missing-column'],
    [
      'an overlong encoding',
      'x.csv',
      () => spliced(csv, csv.indexOf('name'), '\xc0\xaf'),
      'fail: well-formed',
    ],
    [
      'half a surrogate',
      'x.jsonl',
      () => jsonLines.toString().replace('name 3', 'name\\ud8003'),
      'fail: well-formed',
    ],
    ['mixed line ends', 'x.csv', () => mixed(csv), 'fail: readable'],
    [
      'a quote that is not closed',
      'x.csv',
      () => csv.toString().replace('\n250,', '\n"250,'),
      'fail: well-formed',
    ],
    [
      'a quote that is not closed at the end',
      'x.csv',
      () =>
        csv
          .toString()
          .trimEnd()
          .replace(/,([^,]*)$/, ',"$1'),
      'fail: well-formed',
    ],
    [
      'a quote that goes on',
      'x.csv',
      () => csv.toString().replace('name 3', '"name" 3'),
      'fail: well-formed',
    ],
    ['too few cells', 'x.csv', () => csv.toString().replace('\n250,', '\n'), 'fail: well-formed'],
    ['too many cells', 'x.csv', () => csv.toString().replace('\n250,', '\n250,,'), 'fail: well-formed'],
    ['a blank line first', 'x.csv', () => `\n${csv}`, 'fail: readable'],
    ['a column twice', 'x.csv', () => csv.toString().replace(HEADER, 'id,x,s,x\n'), 'fail: missing-column'],
    [
      'a column twice, and all of them',
      'x.csv',
      () => csv.toString().replaceAll('\n', ',\n').replace('t,', 't,x'),
      'fail: duplicate-column',
    ],
    ['a key twice', 'x.jsonl', () => jsonLines.toString().replace('"x":', '"x":1,"x":'), 'fail: well-formed'],
    ['a record cut off', 'x.jsonl', () => jsonLines.subarray(0, -10), 'fail: well-formed'],
    ['a list', 'x.jsonl', () => `${jsonLines}[1,2]\n`, 'fail: well-formed'],
    ['a number', 'x.jsonl', () => `${jsonLines}1\n`, 'fail: well-formed'],
    ['null', 'x.jsonl', () => `${jsonLines}null\n`, 'fail: well-formed'],
    ['lists only', 'x.jsonl', () => '[1]\n'.repeat(500), 'fail: well-formed'],
    ['two objects on a line', 'x.jsonl', () => jsonLines.toString().replace('}\n', '}'), 'fail: well-formed'],
    [
      'nested values',
      'x.jsonl',
      () => jsonLines.toString().replace('"name 3"', '{"a":["name 3"]}'),
      'fail: invalid',
    ],
    [
      'values of many types',
      'x.jsonl',
      () =>
        jsonLines
          .toString()
          .replace('"x":1.5', '"x":true')
          .replace('"id":7', '"id":"7"')
          .replace('"s":"name 2"', '"s":2'),
      'fail: invalid',
    ],
    [
      'a number beyond all',
      'x.jsonl',
      () => jsonLines.toString().replace('"x":1.5', '"x":1e999'),
      'fail: nan',
    ],
    ['100,000 lists in one another', 'x.jsonl', () => deep('[', ']'), 'fail: invalid'],
    ['100,000 objects in one another', 'x.jsonl', () => deep('{"a":', '}'), 'fail: invalid'],
    ['100,000 lists that are not closed', 'x.jsonl', () => deep('[', ''), 'fail: well-formed'],
    [
      'a date that JavaScript does not know',
      'x.csv',
      () => csv.toString().replace('2001-01-01 00:03:00', '290000-01-01 00:00:00'),
      'fail: rule',
    ],
    ['.gz that is not gzip', 'x.csv.gz', () => csv, 'fail: readable'],
    ['.zst that is not Zstandard', 'x.csv.zst', () => csv, 'fail: readable'],
    ['an empty .gz', 'x.csv.gz', () => '', 'fail: readable'],
    ['an empty .zst', 'x.csv.zst', () => '', 'fail: readable'],
    ['.gz cut off', 'x.csv.gz', () => gzipSync(csv).subarray(0, -20), 'fail: readable'],
    ['.gz without its last byte', 'x.jsonl.gz', () => gzipSync(jsonLines).subarray(0, -1), 'fail: readable'],
    ['.zst cut off', 'x.csv.zst', () => zstdCompressSync(csv).subarray(0, -20), 'fail: readable'],
    [
      '.zst without its last byte',
      'x.jsonl.zst',
      () => zstdCompressSync(jsonLines).subarray(0, -1),
      'fail: readable',
    ],
    ['.gz with a bit turned', 'x.csv.gz', () => turned(gzipSync(csv)), 'fail: readable'],
    [
      '.gz with rubbish behind',
      'x.csv.gz',
      () => Buffer.concat([gzipSync(csv), Buffer.from('rubbish')]),
      'fail: readable',
    ],
    ['.gz of .gz', 'x.csv.gz', () => gzipSync(gzipSync(csv)), 'fail: readable'],
    ['.gz of nothing', 'x.csv.gz', () => gzipSync(''), 'fail: readable'],
  ];
  test.each(cases)('%s: %s', async (_, file, content, expected) => {
    const format = file.split('.')[1] ?? '';
    expect(await fate({ files: await lab.write(file, content()), contract: contract(format) })).toBe(
      expected,
    );
  });
});

function randomBytes(length: number, seed: number): Uint8Array {
  const { uniform } = createRandom(seed);
  return Uint8Array.from({ length }, () => Math.floor(uniform() * 256));
}

/** Bytes with some put between them. */
function spliced(bytes: Buffer, at: number, inserted: string): Buffer {
  return Buffer.concat([bytes.subarray(0, at), Buffer.from(inserted, 'latin1'), bytes.subarray(at)]);
}

function mixed(bytes: Buffer): string {
  let line = 0;
  return bytes.toString().replaceAll('\n', () => ['\n', '\r\n', '\r'][line++ % 3] as string);
}

function deep(open: string, close: string): string {
  const value = `${open.repeat(100_000)}${close === '' ? '' : '1'}${close.repeat(100_000)}`;
  return jsonLines.toString().replace('"name 3"', value);
}

/** Bytes with one bit in their middle turned. */
function turned(bytes: Buffer): Buffer {
  const at = Math.floor(bytes.length / 2);
  bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
  return bytes;
}

describe('Parquet', () => {
  const cases: [name: string, content: () => Uint8Array, fate: string][] = [
    ['empty', () => Buffer.alloc(0), 'fail: readable'],
    ['nothing but its magic', () => Buffer.from('PAR1PAR1'), 'fail: readable'],
    ['random bytes', () => randomBytes(20_000, 6), 'fail: readable'],
    ['CSV by its name', () => csv, 'fail: readable'],
    ['cut off', () => parquet.subarray(0, 1500), 'fail: readable'],
    ['without its last byte', () => parquet.subarray(0, -1), 'fail: readable'],
    ['without its beginning', () => parquet.subarray(200), 'fail: readable'],
    [
      'a footer of rubbish',
      () => filled(parquet, parquet.length - 300, parquet.length - 8, 0x55),
      'fail: readable',
    ],
    [
      'a footer of zeros',
      () => filled(parquet, parquet.length - 300, parquet.length - 8, 0),
      'fail: readable',
    ],
    ['a footer longer than the file', () => withFooterLength(0x7fffffff), 'fail: readable'],
    ['a footer of negative length', () => withFooterLength(0xffffffff), 'fail: readable'],
    ['a footer without length', () => withFooterLength(0), 'fail: readable'],
    ['pages of rubbish', () => filled(parquet, 100, 400, 0xff), 'fail: readable'],
    ['page headers of rubbish', () => filled(parquet, 4, 40, 0xff), 'fail: readable'],
    ['pages of zeros', () => filled(parquet, 4, 1000, 0), 'fail: readable'],
    ['a claim of 10^15 rows', () => withRows(10n ** 15n), 'GateInputError'],
  ];
  test.each(cases)('%s', async (_, content, expected) => {
    const files = await lab.write('x.parquet', content());
    expect(await fate({ files, contract: contract('parquet') })).toBe(expected);
  });

  function filled(bytes: Buffer, from: number, to: number, value: number): Buffer {
    return Buffer.from(bytes).fill(value, from, to);
  }

  function withFooterLength(length: number): Buffer {
    const bytes = Buffer.from(parquet);
    bytes.writeUInt32LE(length, bytes.length - 8);
    return bytes;
  }

  /** The good file with another number of rows in its footer: field 3 of FileMetaData, a zigzag varint. */
  function withRows(rows: bigint): Buffer {
    const start = parquet.length - 8 - parquet.readUInt32LE(parquet.length - 8);
    const footer = parquet.subarray(start, -8);
    const field = Buffer.from([0x16, ...varint(500n)]);
    const at = footer.indexOf(field);
    expect(at).toBeGreaterThan(0);
    const forged = Buffer.concat([
      footer.subarray(0, at),
      Buffer.from([0x16, ...varint(rows)]),
      footer.subarray(at + field.length),
    ]);
    const length = Buffer.alloc(4);
    length.writeUInt32LE(forged.length);
    return Buffer.concat([parquet.subarray(0, start), forged, length, Buffer.from('PAR1')]);
  }

  function varint(value: bigint): number[] {
    const bytes: number[] = [];
    let left = value * 2n;
    for (; left >= 128n; left >>= 7n) bytes.push(Number(left & 127n) | 128);
    return [...bytes, Number(left)];
  }

  test('10,000 columns', async () => {
    await duckdb(
      `COPY (SELECT ${WIDE.map((name, index) => `${index} AS ${name}`)}) TO '${lab.path('wide.parquet')}'`,
    );
    expect(await fate({ files: lab.path('wide.parquet'), contract: contract('parquet') })).toBe(
      'fail: readable',
    );
  });

  test('nested columns, and names that differ only in case', async () => {
    const files = lab.path('nested.parquet');
    await duckdb(
      `COPY (SELECT * REPLACE ({'a': [s], 'b': map {'k': t}} AS s), [id] AS list, 1 AS "Id" FROM (${ROWS})) TO '${files}'`,
    );
    const { verdict } = await lab.judge({ files, contract: contract('parquet') });
    const failed = verdict.findings.filter(({ outcome }) => outcome === 'fail');
    expect(failed.map(({ check, column }) => `${check} ${column}`)).toEqual(
      expect.arrayContaining(['type s', 'extra-column list', 'extra-column Id_1']),
    );
  });

  test('statistics in the footer that are wrong: the values count', async () => {
    const files = lab.path('forged.parquet');
    // Zeros, of which the footer says that they are 1,234,500 and more.
    await duckdb(
      `COPY (SELECT CASE WHEN i < 100 THEN 1234567 ELSE 0::BIGINT END AS v FROM range(500) r(i)) TO '${files}'`,
    );
    const bytes = await readFile(files);
    const footer = bytes.length - 8 - bytes.readUInt32LE(bytes.length - 8);
    // Two fields, of old and new writers, each eight bytes behind their length.
    const zero = Buffer.from([8, 0, 0, 0, 0, 0, 0, 0, 0]);
    for (let at = bytes.indexOf(zero, footer); at >= 0; at = bytes.indexOf(zero, at)) {
      bytes.writeBigInt64LE(1_234_500n, at + 1);
    }
    await writeFile(files, bytes);
    const [stored] = await duckdb(`SELECT stats_min_value AS least FROM parquet_metadata('${files}')`);
    expect(stored).toEqual({ least: '1234500' });
    const { verdict, measurements } = await lab.judge({
      files,
      contract:
        'contract: 1\ndataset: probe\nformat: parquet\ncolumns:\n  v: { type: integer, zeros: 10%, range: [1, null] }\nrules: [{ name: above zero, sql: v > 0 }]\n',
    });
    expect(verdict.findings.filter(({ outcome }) => outcome === 'fail').map(({ check }) => check)).toEqual([
      'zeros',
      'range',
      'rule',
    ]);
    expect(measurements.columns.v?.zeros).toMatchObject({
      count: 400,
      samples: [{ row: 101 }, {}, {}, {}, {}],
    });
    expect(measurements.profile.columns.v).toMatchObject({ min: 0, zeros: 400 });
  });

  test('a name with a NUL byte', async () => {
    const bytes = Buffer.from(parquet);
    for (let at = bytes.indexOf('\x01s'); at >= 0; at = bytes.indexOf('\x01s', at + 1))
      bytes.writeUInt8(0, at + 1);
    expect(bytes.equals(parquet)).toBe(false);
    expect(await fate({ files: await lab.write('x.parquet', bytes), contract: contract('parquet') })).toBe(
      'fail: readable',
    );
  });
});

test('values with NUL are values like others, in the batch and in its baseline', async () => {
  const text = `contract: 1\ndataset: probe\nformat: jsonl\ncolumns:\n  s: { type: string, newCategories: 0%, values: ["a\\0b", "it's"], drift: { linf: 0.5 } }\n`;
  const lines = (values: string[]) =>
    values
      .map((s) => `${JSON.stringify({ s })}\n`)
      .join('')
      .repeat(200);
  const first = await lab.judge({
    files: await lab.write('nul.jsonl', lines(['a\0b', "it's"])),
    contract: text,
  });
  const baseline = first.measurements.profile;
  expect(baseline.columns.s?.distribution).toMatchObject({ values: ['a\0b', "it's"] });
  const again = await lab.judge({ files: lab.path('nul.jsonl'), contract: text, baseline });
  expect(again.verdict.outcome).toBe('pass');
  const other = await lab.judge({
    files: await lab.write('nul.jsonl', lines(['a\0c', "it's"])),
    contract: text,
    baseline,
  });
  expect(
    other.verdict.findings.filter(({ outcome }) => outcome === 'fail').map(({ check }) => check),
  ).toEqual(expect.arrayContaining(['values', 'new-categories']));
});

test('columns are named as nobody should name them', async () => {
  const names = [
    'a"b;DROP TABLE parsed;--',
    "c'd",
    'e\nf',
    '',
    'select',
    '日本',
    '__proto__',
    'constructor',
    ' g ',
  ];
  const cell = (name: string) => `"${name.replaceAll('"', '""')}"`;
  const rule = (name: string) => `  ${JSON.stringify(name)}: { type: integer, range: [1, 1] }`;
  const named = names.filter((name) => name !== '' && name !== '__proto__');
  const body = (format: string) =>
    `contract: 1\ndataset: probe\nformat: ${format}\nextraColumns: allow\ncolumns:\n${named.map(rule).join('\n')}\n`;
  const files = await lab.write(
    'names.csv',
    `${names.map(cell)}\n${names.map(() => 1)}\n${names.map(() => 2)}\n`,
  );
  const lines = names.map((name) => `${JSON.stringify(name)}:`);
  const json = await lab.write(
    'names.jsonl',
    `{${lines.map((key) => `${key}1`)}}\n{${lines.map((key) => `${key}2`)}}\n`,
  );
  for (const [path, format] of [
    [files, 'csv'],
    [json, 'jsonl'],
  ] as const) {
    const { verdict, measurements } = await lab.judge({ files: path, contract: body(format) });
    expect(measurements.actualColumns).toEqual(names);
    const outside = verdict.findings.filter(({ check, outcome }) => check === 'range' && outcome === 'fail');
    expect(outside.map(({ column, samples }) => ({ column, samples }))).toEqual(
      named.map((column) => ({ column, samples: [{ row: 2, value: '2' }] })),
    );
  }
});

// ---------------------------------------------------------------------------------------------------------
// Files of one batch
// ---------------------------------------------------------------------------------------------------------

describe('a batch of files with different schemas', () => {
  const lines = (text: string) => text.replaceAll('\\n', '\n');
  test.each([
    ['another column', 'csv', [HEADER, 'id,x,s,u\n'], 'fail: consistent-files'],
    ['another order', 'csv', [HEADER, 'x,id,s,t\n'], 'fail: consistent-files'],
    ['one column fewer', 'csv', [HEADER, 'id,x,s\n'], 'fail: consistent-files'],
    ['an empty file', 'csv', [HEADER, ''], 'fail: consistent-files'],
    ['an empty file first', 'csv', ['', HEADER], 'fail: consistent-files'],
    ['a broken file', 'csv', [HEADER, 'id,x,s,t\n"\n'], 'fail: well-formed'],
    ['other keys', 'jsonl', ['{"id":1,"x":1,"s":"","t":null}\n', '{"y":1}\n'], 'fail: extra-column'],
    ['a broken file', 'jsonl', ['{"id":1,"x":1,"s":"","t":null}\n', '{"id":\n'], 'fail: well-formed'],
  ])('%s: %s', async (_, format, contents, expected) => {
    const files = await Promise.all(
      contents.map((content, index) => lab.write(`part-${index}.${format}`, lines(content))),
    );
    expect(await fate({ files, contract: contract(format) })).toBe(expected);
  });

  test.each([
    ['another type', ROWS.replace('i / 2 AS x', 'i AS x'), 'fail: consistent-files'],
    ['another name', ROWS.replace('AS x', 'AS y'), 'fail: consistent-files'],
  ])('%s: parquet', async (_, sql, expected) => {
    const [a, b] = [lab.path('part-a.parquet'), lab.path('part-b.parquet')] as const;
    await duckdb(`COPY (${ROWS}) TO '${a}'`, `COPY (${sql}) TO '${b}'`);
    expect(await fate({ files: [a, b], contract: contract('parquet') })).toBe(expected);
  });

  test('the verdict names the file whose pages are broken', async () => {
    const [a, b] = [lab.path('part-a.parquet'), lab.path('part-b.parquet')] as const;
    await duckdb(`COPY (${ROWS}) TO '${a}'`);
    await writeFile(b, Buffer.from(parquet).fill(0xff, 100, 400));
    const { verdict } = await lab.judge({ files: [a, b], contract: contract('parquet') });
    expect(verdict.reason).toMatch(/^part-b\.parquet cannot be read as parquet: /);
  });

  test('the verdict names the file that is broken', async () => {
    const [a, b] = [
      lab.path('part-a.parquet'),
      await lab.write('part-b.parquet', parquet.subarray(0, 900)),
    ] as const;
    await duckdb(`COPY (${ROWS}) TO '${a}'`);
    const { verdict } = await lab.judge({ files: [a, b], contract: contract('parquet') });
    expect(verdict.reason).toMatch(/^part-b\.parquet cannot be read as parquet: /);
  });
});

// ---------------------------------------------------------------------------------------------------------
// Bounds
// ---------------------------------------------------------------------------------------------------------

const FLIGHTS = `contract: 1
dataset: flights
format: parquet
duplicateRows: 1%
columns:
  date: { type: timestamp }
  delay: { type: integer }
  distance: { type: integer }
  origin: { type: string }
  destination: { type: string }
key: { columns: [date, origin, destination, distance, delay], duplicates: 1% }
`;

describe('within bounds', () => {
  test.each([
    ['csv', 'x'],
    ['csv', '\0'],
    ['jsonl', '['],
  ])('a single line of one gigabyte: %s', async (format, letter) => {
    const files = lab.path(`huge.${format}`);
    const file = await open(files, 'w');
    if (letter === '\0') {
      // A sparse file: NUL bytes that take no space.
      await file.write(HEADER);
      await file.truncate(2 ** 30);
    } else {
      const block = Buffer.alloc(2 ** 24, letter);
      await file.write(`${HEADER}1,2,`);
      for (let written = 0; written < 2 ** 30; written += block.length) await file.write(block);
    }
    await file.close();
    const before = process.resourceUsage().maxRSS;
    const start = performance.now();
    expect(await fate({ files, contract: contract(format) })).toBe('fail: readable');
    // Most of it is the test's own hash of the file.
    expect(performance.now() - start).toBeLessThan(20_000);
    expect(process.resourceUsage().maxRSS - before).toBeLessThan(100 * 1024);
    await writeFile(files, '');
  });

  test.each([
    ['parquet', 'FORMAT parquet'],
    ['csv', 'FORMAT csv, HEADER'],
    ['jsonl', 'FORMAT json'],
  ])('four hundred columns, in time that grows with them: %s', async (format, how) => {
    const files = lab.path(`features.${format}`);
    const names = Array.from({ length: 400 }, (_, index) => `feature_${index}`);
    const sql = names.map((name, index) =>
      index % 3 === 0
        ? `(i * ${index + 7}) % 97 AS ${name}`
        : index % 3 === 1
          ? `i / ${index + 3} AS ${name}`
          : `'v' || (i % ${index + 5}) AS ${name}`,
    );
    await duckdb(`COPY (SELECT ${sql.join(', ')} FROM range(2000) r(i)) TO '${files}' (${how})`);
    const types = ['integer', 'number', 'string'];
    const start = performance.now();
    const { verdict } = await lab.judge({
      files,
      contract: `contract: 1\ndataset: features\nformat: ${format}\ncolumns:\n${names.map((name, index) => `  ${name}: { type: ${types[index % 3]}, nulls: 0% }`).join('\n')}\n`,
    });
    expect(verdict.outcome).toBe('pass');
    // One or two seconds of one core; the square of the columns would be half a minute.
    expect(performance.now() - start).toBeLessThan(15_000);
  });

  test.each([
    ['gz', gzipSync],
    ['zst', zstdCompressSync],
  ])('a bomb of .%s', async (ending, compress) => {
    const files = await lab.write(`bomb.csv.${ending}`, compress(Buffer.alloc(200e6, `${csv}`)));
    const what = { files, contract: contract('csv'), limits: { diskBytes: 20e6 } };
    await expect(lab.judge(what)).rejects.toThrow(GateInputError);
    await expect(lab.judge(what)).rejects.toThrow(/decompress to more than the 20000000 bytes of disk/);
  });

  test('two files share the disk that there is', async () => {
    const files = await Promise.all(
      ['a', 'b'].map((name) => lab.write(`${name}.csv.gz`, gzipSync(Buffer.alloc(12e6, `${csv}`)))),
    );
    expect(await fate({ files, contract: contract('csv'), limits: { diskBytes: 20e6 } })).toBe(
      'GateInputError',
    );
  });

  test('a record of many lines', async () => {
    const files = await lab.write('record.csv', `${HEADER}1,2,"${'abc\n'.repeat(5e6)}",\n`);
    const start = performance.now();
    expect(await fate({ files, contract: contract('csv') })).toBe('fail: well-formed');
    expect(performance.now() - start).toBeLessThan(10_000);
  });

  test('a file of which no record is right', async () => {
    const files = await lab.write('wrong.csv', `${HEADER}${'1,2,name 1\n'.repeat(1e6)}`);
    const start = performance.now();
    const { verdict } = await lab.judge({ files, contract: contract('csv') });
    expect(performance.now() - start).toBeLessThan(10_000);
    expect(verdict.reason).toMatchInlineSnapshot(
      `"2 of 16 checks failed; first: At least 10,000 records are not well-formed csv: too few columns; the first is in line 2."`,
    );
  });

  test('a million lines that are no JSON', async () => {
    const files = await lab.write('wrong.jsonl', 'abc\n'.repeat(1e6));
    const { verdict } = await lab.judge({ files, contract: contract('jsonl') });
    expect(verdict.reason).toMatchInlineSnapshot(
      `"At least 10,000 records are not well-formed jsonl: not valid JSON; the first is in line 1."`,
    );
  });

  test.each([8, 16, 32, 64, 128])('%d MB of memory for 3 million rows', async (megabytes) => {
    const files = vega('flights-3m.parquet');
    const got = await fate({ files, contract: FLIGHTS, limits: { memoryBytes: megabytes * 2 ** 20 } });
    expect(megabytes < 64 ? ['GateInputError', 'pass: '] : ['pass: ']).toContain(got);
  });

  test('too little memory is said in words', async () => {
    const what = {
      files: vega('flights-3m.parquet'),
      contract: FLIGHTS,
      limits: { memoryBytes: 8 * 2 ** 20 },
    };
    await expect(lab.judge(what)).rejects.toThrow(
      /^The dataset is too large for this engine: measuring it takes more than 8 MiB of memory\.$/,
    );
  });

  test('what does not fit into memory takes no more disk than is left', async () => {
    const limits = { ...LIMITS, memoryBytes: 32 * 2 ** 20, diskBytes: 64 * 2 ** 20, threads: 1 };
    // Takes some 20 MiB of disk.
    const spill = (taken: number) =>
      withEngine({ limits, scratch: lab.path('.'), readable: [], prepare: async () => taken }, (engine) =>
        engine.run('CREATE TABLE t AS SELECT md5(i::VARCHAR) FROM range(1500000) r(i)'),
      );
    await spill(0);
    await expect(spill(60 * 2 ** 20)).rejects.toThrow(
      /^The dataset is too large for this engine: measuring it takes more than 64 MiB of temporary disk\.$/,
    );
  });

  test.each(['csv', 'jsonl', 'parquet'])('no time at all: %s', async (format) => {
    const what = { files: lab.path(`good.${format}`), contract: contract(format), limits: { timeoutMs: 0 } };
    await expect(lab.judge(what)).rejects.toThrow(GateInputError);
    await expect(lab.judge(what)).rejects.toThrow(/could not be measured within 0 s/);
  });

  test('little time for much data', async () => {
    const start = performance.now();
    const what = {
      files: vega('flights-3m.parquet'),
      contract: FLIGHTS,
      limits: { timeoutMs: 150, threads: 1 },
    };
    await expect(lab.judge(what)).rejects.toThrow(/could not be measured within/);
    expect(performance.now() - start).toBeLessThan(5000);
  });

  test.each(['csv', 'jsonl', 'parquet'])('more rows than may be: %s', async (format) => {
    const what = { files: lab.path(`good.${format}`), contract: contract(format), limits: { maxRows: 499 } };
    await expect(lab.judge(what)).rejects.toThrow(
      new GateInputError('The dataset has 500 rows, more than the 499 that this engine measures.', {
        help: 'Split the dataset.',
      }),
    );
  });
});

test('SQL reaches no file but those of the dataset and its own', async () => {
  const [mine, other] = [await lab.write('mine.csv', csv), await lab.write('other.csv', csv)] as const;
  const scratch = lab.path('sql');
  await duckdb(`COPY (SELECT 1) TO '${lab.path('other.parquet')}'`);
  await mkdir(scratch);
  const refused = [
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM read_text('/etc/passwd')",
    "SELECT * FROM '/etc/passwd'",
    "SELECT * FROM read_text('/proc/self/environ')",
    "SELECT * FROM glob('/etc/*')",
    `SELECT * FROM read_csv('${other}')`,
    `SELECT * FROM read_text('${lab.path('')}../../etc/passwd')`,
    `SELECT * FROM read_parquet('${lab.path('other.parquet')}')`,
    `SELECT * FROM read_text('${lab.path('')}*')`,
    `COPY (SELECT 1) TO '${lab.path('out.csv')}'`,
    `ATTACH '${lab.path('out.db')}'`,
    `EXPORT DATABASE '${lab.path('out')}'`,
    'INSTALL httpfs',
    'LOAD httpfs',
    "SELECT * FROM read_csv('https://127.0.0.1:9/x.csv')",
    'SET enable_external_access = true',
    "SET allowed_directories = ['/']",
    "SET memory_limit = '10GB'",
    'PRAGMA database_list; SET threads = 64',
    "SELECT getenv('HOME')",
  ];
  await withEngine({ limits: LIMITS, scratch, readable: [mine] }, async (engine) => {
    expect((await engine.columns(`SELECT count(*)::INTEGER FROM read_csv('${mine}')`))[0]).toEqual([500]);
    const allowed: string[] = [];
    for (const sql of refused) {
      await engine.columns(sql).then(
        () => allowed.push(sql),
        () => undefined,
      );
    }
    expect(allowed).toEqual([]);
  });
});

// ---------------------------------------------------------------------------------------------------------
// Chance
// ---------------------------------------------------------------------------------------------------------

describe('bits turned at random', () => {
  const sources: [name: string, format: string, copy: string][] = [
    ['csv', 'csv', 'FORMAT csv, HEADER'],
    ['jsonl', 'jsonl', 'FORMAT json'],
    ['snappy', 'parquet', 'FORMAT parquet'],
    ['plain', 'parquet', 'FORMAT parquet, COMPRESSION uncompressed'],
    ['zstd', 'parquet', 'FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 100'],
    ['v2', 'parquet', 'FORMAT parquet, PARQUET_VERSION v2'],
  ];
  const ROUNDS = 40;

  test.each(sources)('%s: a pass has the very same rows', async (name, format, copy) => {
    const path = lab.path(`chance-${name}.${format}`);
    await duckdb(`COPY (${ROWS}) TO '${path}' (${copy})`);
    const good = await readFile(path);
    const clean = await lab.judge({ files: path, contract: contract(format) });
    expect(clean.verdict.outcome).toBe('pass');
    const { uniform } = createRandom(name.length * 1000 + good.length);
    const wrong: string[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      const bytes = Buffer.from(good);
      // A third of them near the end, where Parquet keeps what everything else depends on.
      const from = round % 3 === 0 ? Math.max(0, bytes.length - 700) : 0;
      for (let flips = 1 + Math.floor(uniform() * 4); flips > 0; flips--) {
        const at = from + Math.floor(uniform() * (bytes.length - from));
        bytes.writeUInt8(bytes.readUInt8(at) ^ (1 << Math.floor(uniform() * 8)), at);
      }
      const what = { files: await lab.write(`turned.${format}`, bytes), contract: contract(format) };
      try {
        const { verdict, measurements } = await lab.judge({ ...what, limits: { timeoutMs: 20_000 } });
        const same = withoutHash(measurements.profile) === withoutHash(clean.measurements.profile);
        if (verdict.outcome === 'inconclusive' || (verdict.outcome === 'pass' && !same)) {
          wrong.push(`round ${round}: ${verdict.outcome}`);
        }
      } catch (error) {
        if (!(error instanceof GateInputError)) wrong.push(`round ${round}: ${String(error)}`);
      }
    }
    expect(wrong).toEqual([]);
  });
});

function withoutHash(profile: Profile): string {
  return JSON.stringify({ ...profile, sha256: '' });
}
