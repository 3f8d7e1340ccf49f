import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import * as fc from 'fast-check';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  type Joined,
  joinPredictions,
  type Prepared,
  prepareHoldout,
} from '../../../functions/holdout-evaluation/adapters/holdout.ts';
import { type LocatedModel, parseEvaluations } from '../../../functions/holdout-evaluation/schema.ts';
import type { EngineLimits, LocalFile } from '../../../functions/shared/engine/limits.ts';
import { GateInputError } from '../../../functions/shared/errors.ts';
import { sha256 } from '../../../functions/shared/identity.ts';
import { ConfigError } from '../../../functions/shared/schema.ts';
import { filterRecord, outputRecord, parseFilter } from '../../../sandbox/sagemaker/filters.ts';
import { type Database, LIMITS, openDatabase } from '../../support/datasets.ts';

let directory: string;
let scratch: string;
let database: Database;

beforeAll(async () => {
  database = await openDatabase();
});

afterAll(() => database.close());

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'tocsin-holdout-test-'));
  scratch = join(directory, 'scratch');
  mkdirSync(scratch);
});

afterEach(() => rmSync(directory, { recursive: true }));

/** A model of tocsin.yaml, whose holdout begins in line 5. */
function modelOf(
  options: {
    task?: string;
    classes?: string[];
    holdout?: object;
    transform?: object;
    require?: object[];
  } = {},
): LocatedModel {
  const { task = 'binary', classes, holdout = {}, transform = {}, require } = options;
  const metric = { binary: 'auc', multiclass: 'accuracy', regression: 'mae' }[task];
  const model = {
    modelPackageGroup: 'group',
    task,
    ...(classes && { classes }),
    holdout: { uri: 'holdout/may.parquet', contract: 'contract.yaml', label: 'late', ...holdout },
    transform: { instanceType: 'ml.m5.large', ...transform },
    require: require ?? [{ metric, ...(task === 'regression' ? { atMost: 1 } : { atLeast: 0.6 }) }],
  };
  const lines = Object.entries(model).map(([key, value]) => `    ${key}: ${JSON.stringify(value)}`);
  const text = `models:\n  flight-delay:\n${lines.join('\n')}\n`;
  return parseEvaluations({ file: 'tocsin.yaml', text }).models.get('flight-delay')!;
}

function fileOf(name: string, body?: string | Uint8Array): LocalFile {
  const path = join(directory, name);
  if (body !== undefined) writeFileSync(path, body);
  const bytes = readFileSync(path);
  return { path, name, bytes: bytes.length, sha256: sha256(bytes) };
}

/** Rows of SQL as a file. */
async function write(name: string, sql: string): Promise<LocalFile> {
  const options = { parquet: 'FORMAT parquet', csv: 'FORMAT csv, HEADER', jsonl: 'FORMAT json' };
  await database.run(
    `COPY (${sql}) TO '${join(directory, name)}' (${options[name.split('.').at(-1) as keyof typeof options]})`,
  );
  return fileOf(name);
}

async function prepare(
  file: LocalFile,
  model = modelOf(),
  limits: Partial<EngineLimits> = {},
): Promise<Prepared & { text: string }> {
  const out = join(directory, `prepared-${file.name}`);
  const prepared = await prepareHoldout({ file, model, limits: { ...LIMITS, ...limits }, scratch, out });
  const text = readFileSync(out, 'utf8');
  expect(prepared.bytes).toBe(Buffer.byteLength(text));
  expect(readdirSync(scratch)).toEqual([]);
  return { ...prepared, text };
}

async function joined(
  file: LocalFile,
  predictions: string | { candidate: string; champion: string },
  model = modelOf(),
  options: { slicings?: string[]; layout?: 'joined' | 'any' } = {},
): Promise<Joined> {
  const { candidate, champion } =
    typeof predictions === 'string' ? { candidate: predictions, champion: undefined } : predictions;
  writeFileSync(join(directory, 'candidate.out'), candidate);
  if (champion !== undefined) writeFileSync(join(directory, 'champion.out'), champion);
  const { slicings = [], ...rest } = options;
  const answer = await joinPredictions({
    file,
    model,
    candidate: join(directory, 'candidate.out'),
    ...(champion !== undefined && { champion: join(directory, 'champion.out') }),
    slicings,
    limits: LIMITS,
    scratch,
    ...rest,
  });
  expect(readdirSync(scratch)).toEqual([]);
  return answer;
}

/** What a batch transform makes of a prepared holdout, by the sandbox's own filters and joins. */
function transformed(text: string, answers: readonly string[], format: 'csv' | 'json' = 'csv'): string {
  const filter = parseFilter(format === 'csv' ? '$[1:]' : '$.features')!;
  const records = text.split('\n').slice(0, -1);
  return records
    .map((record, index) => {
      filterRecord(filter, format, record);
      return `${outputRecord(format, record, answers[index]!, undefined)}\n`;
    })
    .join('');
}

async function thrownBy(work: Promise<unknown>): Promise<Error> {
  return work.then(
    () => expect.unreachable('it did not throw'),
    (error: Error) => error,
  );
}

const FLIGHTS = `SELECT * FROM (VALUES
  (TIMESTAMP '2001-05-01 09:30:00', 500::BIGINT, 'ORD', true),
  (TIMESTAMP '2001-05-01 10:00:00.25', 1200::BIGINT, 'S,"F"', false),
  (NULL, NULL, NULL, false)) v(date, distance, origin, late)`;

const FLIGHTS_CSV = `1,2001-05-01 09:30:00,500,ORD
2,2001-05-01 10:00:00.250000,1200,"S,""F"""
3,,,
`;

describe('prepareHoldout', () => {
  test('of Parquet writes the number of the row and the features, and keeps the label out', async () => {
    const prepared = await prepare(await write('a.parquet', FLIGHTS));
    expect(prepared).toEqual({
      rows: 3,
      features: ['date', 'distance', 'origin'],
      columns: ['date', 'distance', 'origin', 'late'],
      bytes: FLIGHTS_CSV.length,
      text: FLIGHTS_CSV,
    });
  });

  test('of JSON Lines writes the same', async () => {
    const file = fileOf(
      'a.jsonl',
      [
        { date: '2001-05-01 09:30:00', distance: 500, origin: 'ORD', late: true },
        { date: '2001-05-01 10:00:00.250000', distance: 1200, origin: 'S,"F"', late: false },
        { late: false, origin: null },
      ]
        .map((record) => `${JSON.stringify(record)}\n`)
        .join(''),
    );
    expect((await prepare(file)).text).toBe(FLIGHTS_CSV);
  });

  test.each([
    ['gzip', 'a.csv.gz', gzipSync],
    ['zstd', 'a.csv.zst', zstdCompressSync],
    ['nothing', 'a.csv', (bytes: Buffer) => bytes],
    ['a name that says nothing', 'holdout', (bytes: Buffer) => bytes],
  ])('of CSV in %s gives every cell on as it stands', async (_, name, compress) => {
    const csv = 'date,price,origin,flag,code,late\n2001-05-01T09:30:00Z,1.50,ORD,True,007,1\n,,,,,0\n';
    const prepared = await prepare(fileOf(name, compress(Buffer.from(csv))));
    expect(prepared.text).toBe('1,2001-05-01T09:30:00Z,1.50,ORD,True,007\n2,,,,,\n');
  });

  test('of CSV with another delimiter, CRLF, a byte order mark and a header of one model’s own', async () => {
    const csv = '\ufefforigin;"late; or not";distance\r\n"a;b";yes;1\r\nc;no;2\r\n';
    const model = modelOf({ holdout: { label: 'late; or not', positive: 'yes' } });
    expect((await prepare(fileOf('a.csv', csv), model)).text).toBe('1,a;b,1\n2,c,2\n');
  });

  test('writes numbers of every type so that they read back the same', async () => {
    const file = await write(
      'a.parquet',
      `SELECT 0.1::DOUBLE AS a, 1e300::DOUBLE AS b, 5e-324::DOUBLE AS c, -0.1::FLOAT AS d, 1.10::DECIMAL(9, 2) AS e,
       9223372036854775807::BIGINT AS f, 18446744073709551615::UBIGINT AS g, (-128)::TINYINT AS h, 'nan'::DOUBLE AS i,
       '-inf'::DOUBLE AS j, 1e22::DOUBLE AS k, true AS l, DATE '2001-02-28' AS m,
       TIMESTAMPTZ '2001-02-28 12:00:00+02' AS n, TIME '12:30:00' AS o, 0.30000000000000004::DOUBLE AS p, 1 AS late`,
    );
    const { text } = await prepare(file);
    expect(text).toBe(
      '1,0.1,1e+300,5e-324,-0.1,1.10,9223372036854775807,18446744073709551615,-128,nan,-inf,' +
        '1e+22,true,2001-02-28,2001-02-28 10:00:00,12:30:00,0.30000000000000004\n',
    );
    expect(Number(text.split(',')[3])).toBe(5e-324);
  });

  test('for JSON Lines writes each value as JSON has it', async () => {
    const file = await write(
      'a.parquet',
      `SELECT * FROM (VALUES (0.1::DOUBLE, 1::BIGINT, true, 'a"b\\c' || chr(10), TIMESTAMP '2001-05-01 00:00:00', [1.5::DOUBLE], 'nan'::DOUBLE, 1),
       (NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0)) v(number, "big ""id""", flag, name, time, list, strange, late)`,
    );
    const model = modelOf({ transform: { content: 'application/jsonlines' } });
    const { text } = await prepare(file, model);
    expect(text).toBe(
      '{"id":1,"features":{"number":0.1,"big \\"id\\"":1,"flag":true,"name":"a\\"b\\\\c\\n","time":"2001-05-01 00:00:00","list":[1.5],"strange":null}}\n' +
        '{"id":2,"features":{"number":null,"big \\"id\\"":null,"flag":null,"name":null,"time":null,"list":null,"strange":null}}\n',
    );
  });

  test('for JSON Lines finds the types of CSV: codes stay texts, long integers stay whole', async () => {
    const csv =
      'a,b,c,d,e,f,late\n1,1.50,TRUE,007,2001-05-01 00:00:00,12345678901234567890,1\n2,.5,false,1,2001-05-02 00:00:00,1,0\n,,,,,,0\n';
    const model = modelOf({ transform: { content: 'application/jsonlines' } });
    const lines = (await prepare(fileOf('a.csv', csv), model)).text.split('\n');
    expect(lines[0]).toBe(
      '{"id":1,"features":{"a":1,"b":1.5,"c":true,"d":"007","e":"2001-05-01 00:00:00","f":12345678901234567890}}',
    );
    expect(lines[1]).toContain('"b":0.5,"c":false,"d":"1"');
    expect(lines[2]).toContain('{"a":null,"b":null,"c":null,"d":null,"e":null,"f":null}');
  });

  test('for JSON Lines gives JSON on as it stands, nested too', async () => {
    const record = '{"a":{"b":[1,null,"ü"]},"n":1e5,"s":"1","late":true}';
    const model = modelOf({ transform: { content: 'application/jsonlines' } });
    expect((await prepare(fileOf('a.jsonl', `${record}\n`), model)).text).toBe(
      '{"id":1,"features":{"a":{"b":[1,null,"ü"]},"n":100000.0,"s":"1"}}\n',
    );
  });

  test('gives the declared features in their order, and leaves weight and the parts of a label out', async () => {
    const file = await write('a.parquet', 'SELECT 1 AS a, 20 AS delay, 2.5 AS w, 3 AS b, 4 AS c');
    const model = (features?: string[]) =>
      modelOf({ holdout: { label: 'delay > 15', weight: 'w', ...(features && { features }) } });
    expect((await prepare(file, model())).features).toEqual(['a', 'b', 'c']);
    expect((await prepare(file, model(['c', 'a']))).text).toBe('1,4,1\n');
    const thrown = await thrownBy(prepare(file, model(['a', 'delay'])));
    expect(thrown).toBeInstanceOf(ConfigError);
    expect(thrown.message).toMatch(
      /^tocsin\.yaml:5:\d+ the model must not see "delay": the label is made of it$/,
    );
  });

  test('keeps the order of many rows, whatever the number of threads', async () => {
    const file = await write('a.parquet', 'SELECT range AS a, range % 2 = 0 AS late FROM range(300_000)');
    const { text, rows } = await prepare(file, modelOf(), { threads: 4 });
    expect(rows).toBe(300_000);
    const lines = text.split('\n');
    expect(lines.slice(0, -1).every((line, index) => line === `${index + 1},${index}`)).toBe(true);
  });

  test.each([
    ['a line end', "'a' || chr(10) || 'b'", /row 2: column "x" has a line end or a NUL/],
    ['a carriage return', "'a' || chr(13)", /row 2: column "x" has a line end/],
    ['a NUL', 'chr(0)', /row 2: column "x" has a line end or a NUL/],
  ])('refuses %s, which would be two records of CSV', async (_, sql, message) => {
    const file = await write('a.parquet', `SELECT 'fine' AS x, 1 AS late UNION ALL SELECT ${sql}, 0`);
    const thrown = await thrownBy(prepare(file));
    expect(thrown).toBeInstanceOf(GateInputError);
    expect(thrown.message).toMatch(message);
  });

  test('refuses what CSV or JSON cannot carry', async () => {
    const json = modelOf({ transform: { content: 'application/jsonlines' } });
    const list = await write('list.parquet', 'SELECT [1, 2] AS x, 1 AS late');
    const blob = await write('blob.parquet', "SELECT 'a'::BLOB AS x, 1 AS late");
    const infinite = await write('inf.parquet', "SELECT 'inf'::DOUBLE AS x, 1 AS late");
    const nested = fileOf('a.jsonl', '{"x":1,"late":1}\n{"x":[1],"late":0}\n');
    expect((await thrownBy(prepare(list))).message).toMatch(/column "x" holds lists or objects/);
    expect((await thrownBy(prepare(nested))).message).toMatch(/row 2: column "x" is a list or an object/);
    for (const model of [modelOf(), json]) {
      expect((await thrownBy(prepare(blob, model))).message).toMatch(/column "x" holds bytes/);
    }
    expect((await thrownBy(prepare(infinite, json))).message).toMatch(/row 1: column "x" is infinite/);
    expect((await prepare(infinite)).text).toBe('1,inf\n');
  });

  test('refuses a record that would be an empty line', async () => {
    const file = await write('a.parquet', 'SELECT 1 AS x, 1 AS late UNION ALL SELECT NULL, 0');
    expect((await thrownBy(prepare(file))).message).toMatch(/row 2: its only feature has no value/);
    const empty = await write('b.parquet', "SELECT '' AS x, 1 AS late");
    expect((await prepare(empty)).text).toBe('1,""\n');
  });

  test.each([
    ['no rows', 'a.csv', 'x,late\n', /has no rows/],
    ['nothing', 'a.csv', '', /is empty/],
    [
      'a damaged Parquet file',
      'a.parquet',
      'PAR1 and no more',
      /a\.parquet cannot be read: it is no complete Parquet/,
    ],
    ['a row with a cell too many', 'a.csv', 'x,late\n1,1\n1,2,3\n', /a\.csv cannot be read/],
    ['a line that is no JSON', 'a.jsonl', '{"x":1,"late":1}\n{"x":\n', /a\.jsonl cannot be read/],
    ['a line that is no object', 'a.jsonl', '{"x":1,"late":1}\n[1]\n', /a\.jsonl cannot be read/],
    [
      'a key that stands twice',
      'a.jsonl',
      '{"x":1,"x":2,"late":1}\n',
      /row 1 is not one JSON object with each key once/,
    ],
    ['two columns of one name', 'a.csv', 'x,x,late\n1,1,1\n', /has two columns "x"/],
    ['what is not gzip', 'a.csv.gz', 'x,late\n1,1\n', /cannot be decompressed/],
  ])('refuses a holdout of %s', async (_, name, body, message) => {
    const thrown = await thrownBy(prepare(fileOf(name, body)));
    expect(thrown).toBeInstanceOf(GateInputError);
    expect(thrown.message).toMatch(message);
  });

  test('stays within its limits', async () => {
    const file = await write('a.parquet', 'SELECT range AS x, 1 AS late FROM range(10)');
    expect((await thrownBy(prepare(file, modelOf(), { maxRows: 9 }))).message).toMatch(/10 rows/);
    expect((await thrownBy(prepare(file, modelOf(), { maxColumns: 1 }))).message).toMatch(
      /more than 1 columns/,
    );
  });
});

describe('what tocsin.yaml says of a holdout', () => {
  const mistakes: [string, Parameters<typeof modelOf>[0], string, RegExp][] = [
    [
      'a label that is not there',
      { holdout: { label: 'lat' } },
      '',
      /^tocsin\.yaml:5:\d+ "lat" is no column of the holdout, and as an expression: no column "lat" in the holdout, did you mean "late"\?$/,
    ],
    ['a label that is no SQL', { holdout: { label: 'late >' } }, '', /not valid SQL/],
    ['a label by chance', { holdout: { label: 'random() > 0.5' } }, '', /function "random" is not allowed/],
    [
      'a label of another type than it is used as',
      { holdout: { label: 'hour(origin) > 3' } },
      '',
      /^tocsin\.yaml:5:\d+ hour\(origin\) > 3: /,
    ],
    [
      'a feature that is not there',
      { holdout: { features: ['origin', 'distanze'] } },
      '',
      /no column "distanze" in the holdout, did you mean "distance"\?/,
    ],
    ['a weight that is not there', { holdout: { weight: 'w' } }, '', /no column "w" in the holdout/],
    [
      'a slice that is not there',
      { require: [{ metric: 'auc', atLeast: 0.6, slices: ['origin', 'city'] }] },
      '',
      /^tocsin\.yaml:7:\d+ "city" is no column/,
    ],
    [
      'labels of three values',
      {},
      'SELECT range AS x, range AS late FROM range(3)',
      /late has the values "0", "1", "2", expected two of a binary model$/,
    ],
    [
      'labels of other numbers',
      {},
      'SELECT range AS x, range + 1 AS late FROM range(2)',
      /late has "1", "2", expected true and false, or 1 and 0: holdout\.positive says/,
    ],
    ['labels that are texts', {}, "SELECT 1 AS x, 'yes' AS late", /late has "yes", expected true and false/],
    [
      'a positive that no boolean is, where all are the same',
      { holdout: { positive: 1 } },
      'SELECT 1 AS x, true AS late',
      /late has "true", and 1 is none of them/,
    ],
    [
      'a positive that no number is, where all are the same',
      { holdout: { positive: 'yes' } },
      'SELECT 1 AS x, 1 AS late',
      /late has "1", and "yes" is none of them/,
    ],
    [
      'a positive that is no label',
      { holdout: { positive: 'Yes' } },
      "SELECT 1 AS x, 'yes' AS late UNION ALL SELECT 2, 'no'",
      /and "Yes" is none of them, did you mean "yes"\?$/,
    ],
    [
      'labels that are missing',
      {},
      'SELECT range AS x, CASE WHEN range % 10 > 0 THEN true END AS late FROM range(100)',
      /^tocsin\.yaml:5:\d+ late has no value in 10 of 100 rows \(row 1, 11, 21, 31, 41, \.\.\.\)$/,
    ],
    [
      'labels that are NaN',
      { task: 'regression' },
      "SELECT 1 AS x, 'nan'::DOUBLE AS late",
      /late has no value in 1 of 1 rows \(row 1\)/,
    ],
    [
      'labels that are infinite',
      { task: 'regression' },
      "SELECT 1 AS x, 'inf'::DOUBLE AS late",
      /late is infinite in 1 of 1 rows/,
    ],
    [
      'labels that are no numbers',
      { task: 'regression' },
      "SELECT 1 AS x, 'a' AS late",
      /late is varchar, expected numbers/,
    ],
    [
      'classes that nobody listed',
      { task: 'multiclass', classes: ['cat', 'dog'] },
      "SELECT 1 AS x, 'cow' AS late",
      /late has "cow", which classes does not list: "cat", "dog"/,
    ],
    [
      'weights that are missing',
      { holdout: { weight: 'w' } },
      'SELECT 1 AS x, 1 AS late, NULL::INTEGER AS w',
      /w has no value in 1 of 1 rows/,
    ],
    [
      'weights of zero',
      { holdout: { weight: 'w' } },
      'SELECT 1 AS x, 1 AS late, 0 AS w',
      /w is not a positive weight, 1e-50 to 1e50, in 1 of 1 rows/,
    ],
    [
      'weights that are NaN',
      { holdout: { weight: 'w' } },
      "SELECT 1 AS x, 1 AS late, 'nan'::DOUBLE AS w",
      /w is not a positive weight/,
    ],
    [
      'weights whose products vanish',
      { holdout: { weight: 'w' } },
      'SELECT 1 AS x, 1 AS late, 1e-305 AS w',
      /w is not a positive weight/,
    ],
    [
      'weights whose sums overflow',
      { holdout: { weight: 'w' } },
      'SELECT 1 AS x, 1 AS late, 1e308 AS w',
      /w is not a positive weight/,
    ],
    [
      'weights that are texts',
      { holdout: { weight: 'w' } },
      "SELECT 1 AS x, 1 AS late, 'heavy' AS w",
      /w is varchar, expected numbers/,
    ],
    [
      'more than 1,000 slices',
      { require: [{ metric: 'auc', atLeast: 0.6, slices: ['x'] }] },
      'SELECT range AS x, 1 AS late FROM range(1001)',
      /x divides the holdout into more than 1,000 slices/,
    ],
    ['nothing but a label', {}, 'SELECT 1 AS late', /nothing but the label and the weight is in the holdout/],
  ];

  test.each(mistakes)('%s: with its line', async (_, options, sql, message) => {
    const file = await write('a.parquet', sql === '' ? FLIGHTS : sql);
    const model = modelOf(options);
    const thrown = await thrownBy(prepare(file, model));
    expect(thrown).toBeInstanceOf(ConfigError);
    expect(thrown.message).toMatch(message);
  });

  test('every name that is wrong is told at once', async () => {
    const file = await write('a.parquet', FLIGHTS);
    const model = modelOf({
      holdout: { label: 'lat', features: ['orgin'], weight: 'w' },
      require: [{ metric: 'auc', atLeast: 0.6, slices: ['destination'] }],
    });
    expect((await thrownBy(prepare(file, model))).message.split('\n')).toHaveLength(4);
  });

  test('a column that SQL cannot tell from another can be a feature, a label or a slice, and no part of an expression', async () => {
    const file = fileOf('a.csv', 'Late,late,LATE\n1,0,a\n2,1,b\n');
    const model = modelOf();
    expect((await prepare(file, model)).text).toBe('1,1,a\n2,2,b\n');
    const { examples } = await joined(file, '1,1,a,0.1\n2,2,b,0.2\n', model, { slicings: ['LATE'] });
    expect(examples).toMatchObject({ slicings: [{ by: 'LATE', values: ['a', 'b'] }] });
    expect([...examples!.labels]).toEqual([0, 1]);
    const wrong = modelOf({ holdout: { label: 'late = 1' } });
    expect((await thrownBy(prepare(file, wrong))).message).toMatch(
      /SQL cannot tell the column "late" from another/,
    );
  });
});

describe('joinPredictions', () => {
  const HOLDOUT = 'SELECT range AS x, range % 2 = 0 AS late FROM range(5)';
  const lines = (scores: readonly (string | number)[]) =>
    scores.map((score, index) => `${index + 1},${index},${score}\n`).join('');

  test('gives labels and predictions of each row', async () => {
    const file = await write('a.parquet', HOLDOUT);
    const answer = await joined(file, lines([0.1, 0.2, 0.3, 0.4, 0.5]));
    expect(answer).toEqual({
      rows: 5,
      problems: [],
      championProblems: [],
      examples: {
        task: 'binary',
        count: 5,
        classes: [],
        labels: Uint8Array.of(1, 0, 1, 0, 1),
        predictions: Float64Array.of(0.1, 0.2, 0.3, 0.4, 0.5),
        slicings: [],
      },
    });
  });

  test('puts shuffled predictions where they belong', async () => {
    const file = await write('a.parquet', HOLDOUT);
    const shuffled = lines([0.1, 0.2, 0.3, 0.4, 0.5]).split('\n').slice(0, -1).toReversed().join('\n');
    const { examples } = await joined(file, shuffled);
    expect(examples?.predictions).toEqual(Float64Array.of(0.1, 0.2, 0.3, 0.4, 0.5));
  });

  const problems: [string, string, Joined['problems']][] = [
    [
      'a row without one',
      lines([0.1, 0.2, 0.3, 0.4]),
      [{ kind: 'missing', count: 1, samples: [{ row: 5 }] }],
    ],
    ['no line at all', '', [{ kind: 'missing', count: 5, samples: [1, 2, 3, 4, 5].map((row) => ({ row })) }]],
    [
      'a line too many',
      `${lines([0.1, 0.2, 0.3, 0.4, 0.5])}6,5,0.6\n`,
      [{ kind: 'unknown', count: 1, samples: [{ row: 6, value: '6' }] }],
    ],
    [
      'row 0',
      `${lines([0.1, 0.2, 0.3, 0.4, 0.5])}0,5,0.6\n`,
      [{ kind: 'unknown', count: 1, samples: [{ row: 6, value: '0' }] }],
    ],
    [
      'a row number that is none',
      `x1,0,0.1\n${lines([0.1, 0.2, 0.3, 0.4, 0.5])}`,
      [{ kind: 'unknown', count: 1, samples: [{ row: 1, value: 'x1' }] }],
    ],
    [
      'one twice',
      `${lines([0.1, 0.2, 0.3, 0.4, 0.5])}2,1,0.2\n`,
      [{ kind: 'repeated', count: 1, samples: [{ row: 2 }] }],
    ],
    [
      'one instead of another',
      lines([0.1, 0.2, 0.3, 0.4, 0.5]).replace('3,2,', '2,1,'),
      [
        { kind: 'missing', count: 1, samples: [{ row: 3 }] },
        { kind: 'repeated', count: 1, samples: [{ row: 2 }] },
      ],
    ],
    [
      'a last line that was cut in its features',
      `${lines([0.1, 0.2, 0.3, 0.4])}5,4`,
      [{ kind: 'not-a-number', count: 1, samples: [{ row: 5, value: 'no prediction' }] }],
    ],
    [
      'a last line that was cut before its prediction',
      `${lines([0.1, 0.2, 0.3, 0.4])}5,4,`,
      [{ kind: 'not-a-number', count: 1, samples: [{ row: 5, value: '' }] }],
    ],
    [
      'two predictions in a line',
      lines([0.1, '0.2,0.8', 0.3, 0.4, 0.5]),
      [{ kind: 'not-a-number', count: 1, samples: [{ row: 2, value: '0.2,0.8' }] }],
    ],
    [
      'numbers that are none',
      lines(['NaN', 'inf', '-Infinity', 'null', '0x10']),
      [
        {
          kind: 'not-a-number',
          count: 5,
          samples: ['NaN', 'inf', '-Infinity', 'null', '0x10'].map((value, index) => ({
            row: index + 1,
            value,
          })),
        },
      ],
    ],
    [
      'probabilities that are none',
      lines([0, 1, 1.00001, -0.5, 37]),
      [
        {
          kind: 'not-a-probability',
          count: 3,
          samples: [
            { row: 3, value: '1.00001' },
            { row: 4, value: '-0.5' },
            { row: 5, value: '37' },
          ],
        },
      ],
    ],
  ];

  test.each(problems)('tells %s', async (_, text, expected) => {
    const file = await write('a.parquet', HOLDOUT);
    const answer = await joined(file, text);
    expect(answer.problems).toEqual(expected);
    expect(answer.examples).toBeUndefined();
    const asChampion = await joined(file, { candidate: lines([0.1, 0.2, 0.3, 0.4, 0.5]), champion: text });
    expect(asChampion.championProblems).toEqual(expected);
    expect(asChampion.problems).toEqual([]);
    expect(asChampion.examples).not.toHaveProperty('champion');
  });

  test('counts all and names five', async () => {
    const file = await write('a.parquet', 'SELECT range AS x, range % 2 AS late FROM range(1000)');
    const { problems } = await joined(
      file,
      Array.from({ length: 1000 }, (_, index) => `${index + 1},${index},nan`).join('\n'),
    );
    expect(problems).toEqual([
      { kind: 'not-a-number', count: 1000, samples: [1, 2, 3, 4, 5].map((row) => ({ row, value: 'nan' })) },
    ]);
  });

  test('takes numbers however they are written, and a probability that single precision rounded over the edge', async () => {
    const file = await write('a.parquet', HOLDOUT);
    const text = lines(['1e-3', '+.5', '"0.25"', ' 1.0000001', '-1E-9']).replaceAll('\n', '\r\n');
    const { examples, problems } = await joined(file, text);
    expect(problems).toEqual([]);
    expect(examples?.predictions).toEqual(Float64Array.of(0.001, 0.5, 0.25, 1, 0));
  });

  test('skips empty lines, and reads a last line without an end', async () => {
    const file = await write('a.parquet', HOLDOUT);
    const { examples } = await joined(
      file,
      `\n${lines([0.1, 0.2, 0.3, 0.4, 0.5]).trimEnd().replaceAll('\n', '\n\n')}`,
    );
    expect(examples?.predictions).toEqual(Float64Array.of(0.1, 0.2, 0.3, 0.4, 0.5));
  });

  test('keeps a file without line ends from filling the memory', async () => {
    const file = await write('a.parquet', HOLDOUT);
    const { problems } = await joined(file, Buffer.alloc(17 * 1024 * 1024, 'x').toString());
    expect(problems.map(({ kind, count }) => [kind, count])).toEqual([
      ['missing', 5],
      ['unknown', 1],
    ]);
  });

  test('of a regression takes any number, and no other', async () => {
    const file = await write('a.parquet', 'SELECT range AS x, range * 1.5 AS late FROM range(4)');
    const model = modelOf({ task: 'regression' });
    const { examples } = await joined(file, lines([-3, 1e300, 0, 12]), model);
    expect(examples?.labels).toEqual(Float64Array.of(0, 1.5, 3, 4.5));
    expect(examples?.predictions).toEqual(Float64Array.of(-3, 1e300, 0, 12));
    const { problems } = await joined(file, lines([1, 2, 'nan', '1e999']), model);
    expect(problems).toEqual([
      {
        kind: 'not-a-number',
        count: 2,
        samples: [
          { row: 3, value: 'nan' },
          { row: 4, value: '1e999' },
        ],
      },
    ]);
  });

  describe('of several classes', () => {
    const model = modelOf({ task: 'multiclass', classes: ['cat', 'dog', '1'] });
    const sql = "SELECT * FROM (VALUES (0, 'dog'), (1, '1'), (2, 'cat')) v(x, late)";

    test('takes the last columns, in the order of the classes', async () => {
      const file = await write('a.parquet', sql);
      const { examples } = await joined(
        file,
        '1,0,0.2,0.5,0.3\n3,2,1,0,0\n2,1,0.3333,0.3333,0.3333\n',
        model,
      );
      expect(examples).toMatchObject({ classes: ['cat', 'dog', '1'], labels: Int32Array.of(1, 2, 0) });
      expect(examples?.predictions).toEqual(Float64Array.of(0.2, 0.5, 0.3, 0.3333, 0.3333, 0.3333, 1, 0, 0));
    });

    test('tells what does not add up to 1, is no probability, or is too few', async () => {
      const file = await write('a.parquet', sql);
      const { problems } = await joined(file, '1,0,0.2,0.5,0.29\n2,1,-0.5,0.5,1\n3,2,0.5,0.5\n', model);
      expect(problems).toEqual([
        { kind: 'not-a-number', count: 1, samples: [{ row: 3, value: '0.5,0.5' }] },
        {
          kind: 'not-a-probability',
          count: 2,
          samples: [
            { row: 1, value: '0.2, 0.5, 0.29' },
            { row: 2, value: '-0.5, 0.5, 1' },
          ],
        },
      ]);
    });

    test('knows whole numbers by their name, however they are stored', async () => {
      const numbers = modelOf({ task: 'multiclass', classes: ['0', '1', '2'] });
      for (const type of ['DOUBLE', 'FLOAT', 'DECIMAL(9, 2)', 'INTEGER', 'UTINYINT']) {
        const file = await write(
          'a.parquet',
          `SELECT range AS x, (2 - range)::${type} AS late FROM range(3)`,
        );
        const { examples } = await joined(file, '1,0,1,0,0\n2,1,1,0,0\n3,2,1,0,0\n', numbers);
        expect(examples?.labels, type).toEqual(Int32Array.of(2, 1, 0));
      }
    });
  });

  describe('of labels, weights and slices', () => {
    const scores = '1,0,x,0.1\n2,1,x,0.2\n3,2,x,0.3\n';
    const labelsOf = async (sql: string, holdout: object) => {
      const file = await write('a.parquet', sql);
      const { examples } = await joined(
        file,
        scores,
        modelOf({ holdout: { features: ['x', 'y'], ...holdout } }),
      );
      return [...examples!.labels];
    };
    const base = "range AS x, 'x' AS y";

    test.each([
      ['a boolean', 'range = 1', {}, [0, 1, 0]],
      ['1 and 0', '(range = 1)::INTEGER', {}, [0, 1, 0]],
      ['1.0 and 0.0', '(range = 1)::INTEGER::DOUBLE', {}, [0, 1, 0]],
      ['0 alone', '0', {}, [0, 0, 0]],
      ['texts', "CASE range WHEN 1 THEN 'late' ELSE 'on time' END", { positive: 'late' }, [0, 1, 0]],
      ['numbers of which one is named', '2 - (range = 1)::INTEGER', { positive: 2 }, [1, 0, 1]],
      ['numbers of which one is named as text', '2 - (range = 1)::INTEGER', { positive: '2.0' }, [1, 0, 1]],
      ['booleans of which false is positive', 'range = 1', { positive: false }, [1, 0, 1]],
      ['one text that is not positive', "'on time'", { positive: 'late' }, [0, 0, 0]],
      ['an expression', 'range * 20', { label: 'late > 15' }, [0, 1, 1]],
      ['an expression with doubles', 'range * 0.1::DOUBLE', { label: 'late >= 0.1' }, [0, 1, 1]],
    ])('%s', async (_, sql, holdout, expected) => {
      expect(await labelsOf(`SELECT ${base}, ${sql} AS late FROM range(3)`, holdout)).toEqual(expected);
    });

    test('weights, and slices by column and by expression; null is a slice', async () => {
      const file = await write(
        'a.parquet',
        "SELECT * FROM (VALUES (0, 'ORD', true, 1.5), (1, NULL, false, 2), (2, 'ATL', true, 0.25)) v(x, origin, late, w)",
      );
      const model = modelOf({ holdout: { weight: 'w' } });
      const { examples } = await joined(file, '1,0,ORD,0.1\n2,1,,0.2\n3,2,ATL,0.3\n', model, {
        slicings: ['origin', 'x > 0', "coalesce(origin, 'x') = 'ORD' OR late"],
      });
      expect(examples?.weights).toEqual(Float64Array.of(1.5, 2, 0.25));
      expect(examples?.slicings).toEqual([
        { by: 'origin', values: ['ATL', 'ORD', 'null'], of: Int32Array.of(1, 2, 0) },
        { by: 'x > 0', values: ['false', 'true'], of: Int32Array.of(0, 1, 1) },
        {
          by: "coalesce(origin, 'x') = 'ORD' OR late",
          values: ['false', 'true'],
          of: Int32Array.of(1, 0, 1),
        },
      ]);
    });

    test('expressions know the types of CSV and of JSON Lines', async () => {
      const rows = [
        { n: 5, price: 1.5, time: '2001-05-01 09:30:00', code: '007', late: 'false' },
        { n: 15, price: 0.1, time: '2001-05-01T23:30:00+02:00', code: '010', late: 'true' },
      ];
      const csv = `n,price,time,code,late\n${rows.map((row) => Object.values(row).join(',')).join('\n')}\n`;
      const jsonl = rows.map((row) => JSON.stringify({ ...row, late: row.late === 'true' })).join('\n');
      const slicings = ['n > 6', 'price > 0.1', 'hour(time)', "code = '007'", 'late'];
      for (const file of [fileOf('a.csv', csv), fileOf('a.jsonl', jsonl)]) {
        const { examples } = await joined(file, '1,0.5\n2,0.6\n', modelOf(), { slicings, layout: 'any' });
        expect([...examples!.labels]).toEqual([0, 1]);
        expect(examples!.slicings.map(({ values, of }) => [...of].map((at) => values[at]))).toEqual([
          ['false', 'true'],
          ['true', 'false'],
          ['9', '21'],
          ['true', 'false'],
          ['false', 'true'],
        ]);
      }
    });

    test('a value that a SQL string could end at does no harm', async () => {
      const file = await write('a.parquet', "SELECT 1 AS x, 'it''s' || chr(0) || '\"' AS y, true AS late");
      const { examples } = await joined(file, '1,1,y,0.5\n', modelOf(), { slicings: ['y'] });
      expect(examples?.slicings[0]?.values).toEqual(['it\'s\0"']);
    });
  });

  describe('of JSON Lines', () => {
    const transform = { content: 'application/jsonlines' };
    const line = (id: number, output: unknown) =>
      `${JSON.stringify({ id, features: {}, SageMakerOutput: output })}\n`;

    test.each([
      ['a number', undefined, 0.25],
      ['a list of one', undefined, [0.25]],
      ['a list of a list of one', undefined, [[0.25]]],
      ['below a path', 'output.score', { output: { score: 0.25 } }],
      ['a list below a path', 'predictions', { predictions: [0.25] }],
    ])('%s', async (_, prediction, output) => {
      const file = await write('a.parquet', 'SELECT 1 AS x, true AS late');
      const model = modelOf({ transform: { ...transform, ...(prediction && { prediction }) } });
      const { examples, problems } = await joined(file, line(1, output), model);
      expect(problems).toEqual([]);
      expect(examples?.predictions).toEqual(Float64Array.of(0.25));
    });

    test('tells what is none', async () => {
      const file = await write('a.parquet', 'SELECT range AS x, range = 0 AS late FROM range(7)');
      const model = modelOf({ transform: { ...transform, prediction: 'p' } });
      const text = `${line(1, { p: '0.5' })}${line(2, { p: null })}${line(3, {})}${line(4, 0.5)}{"id": 5, "SageMakerOutput": {"p": NaN}}\n${line(6, { p: [0.1, 0.9] })}{"id":7}\n{"id":"7"}\n[]\nno json\n`;
      const { problems } = await joined(file, text, model);
      expect(problems).toEqual([
        {
          kind: 'unknown',
          count: 3,
          samples: [
            { row: 8, value: '"7"' },
            { row: 9, value: 'no row number' },
            { row: 10, value: 'no row number' },
          ],
        },
        {
          kind: 'not-a-number',
          count: 7,
          samples: [
            { row: 1, value: '"0.5"' },
            { row: 2, value: 'null' },
            { row: 3, value: 'no prediction' },
            { row: 4, value: 'no prediction' },
            { row: 5, value: expect.stringMatching(/^no JSON: .*NaN\}\}$/) },
          ],
        },
      ]);
    });

    test('of several classes are a list', async () => {
      const file = await write('a.parquet', "SELECT 1 AS x, 'b' AS late");
      const model = modelOf({ task: 'multiclass', classes: ['a', 'b'], transform });
      for (const output of [[0.25, 0.75], [[0.25, 0.75]]]) {
        const { examples } = await joined(file, line(1, output), model);
        expect(examples?.predictions).toEqual(Float64Array.of(0.25, 0.75));
      }
      const { problems } = await joined(file, line(1, [0.25, 0.5, 0.25]), model);
      expect(problems).toMatchObject([{ kind: 'not-a-number', count: 1 }]);
    });
  });

  describe('of predictions that somebody made by hand', () => {
    const json = { transform: { content: 'application/jsonlines' } };

    test.each([
      ['one a line', '0.1\n0.2\n', {}],
      ['one a line below a header', 'score\n0.1\n0.2\n', {}],
      ['with row numbers', '2,0.2\n1,0.1\n', {}],
      ['with row numbers below a header', 'id,prediction\r\n2,0.2\r\n1,0.1\r\n', {}],
      ['as the output of a transform', '2,a,b,0.2\n1,a,b,0.1\n', {}],
      ['JSON numbers', '0.1\n0.2\n', json],
      ['JSON objects', '{"prediction":0.1}\n{"prediction":[0.2]}\n', json],
      ['JSON objects with row numbers', '{"id":2,"prediction":0.2}\n{"id":1,"prediction":0.1}\n', json],
      [
        'JSON output of a transform',
        '{"id":2,"SageMakerOutput":0.2}\n{"id":1,"SageMakerOutput":0.1}\n',
        json,
      ],
    ])('%s', async (_, text, options) => {
      const file = await write('a.parquet', 'SELECT range AS x, range = 0 AS late FROM range(2)');
      const { examples, problems } = await joined(file, text, modelOf(options), { layout: 'any' });
      expect(problems).toEqual([]);
      expect(examples?.predictions).toEqual(Float64Array.of(0.1, 0.2));
    });

    test('too few and too many are told', async () => {
      const file = await write('a.parquet', 'SELECT range AS x, range = 0 AS late FROM range(2)');
      expect((await joined(file, '0.1\n', modelOf(), { layout: 'any' })).problems).toEqual([
        { kind: 'missing', count: 1, samples: [{ row: 2 }] },
      ]);
      expect((await joined(file, '0.1\n0.2\n0.3\n', modelOf(), { layout: 'any' })).problems).toEqual([
        { kind: 'unknown', count: 1, samples: [{ row: 3, value: '3' }] },
      ]);
      expect((await joined(file, 'nan\n0.2\n', modelOf(), { layout: 'any' })).problems).toEqual([
        { kind: 'not-a-number', count: 1, samples: [{ row: 1, value: 'nan' }] },
      ]);
    });

    test.each(['None', 'N/A', 'True'])(
      '%s in the first line is a bad prediction and no header',
      async (text) => {
        const file = await write('a.parquet', 'SELECT range AS x, range = 0 AS late FROM range(2)');
        expect((await joined(file, `${text}\n0.2\n`, modelOf(), { layout: 'any' })).problems).toEqual([
          { kind: 'not-a-number', count: 1, samples: [{ row: 1, value: text }] },
        ]);
      },
    );

    test.each([
      [
        'two columns',
        '0.9,0.1\n0.2,0.8\n',
        {},
        'line 1: got "0.9", expected a number, alone or behind the number',
      ],
      ['semicolons', 'id;p\n1;0.1\n2;0.2\n', {}, 'line 1: got "id;p", expected a number, alone or'],
      [
        'JSON for CSV',
        '{"prediction":0.1}\n{"prediction":0.2}\n',
        {},
        'line 1: got "{\\"prediction\\":0.1}"',
      ],
      ['bytes', '\x1f\x8b\b\0\0', {}, 'line 1: got "\\u001f'],
      [
        'CSV for JSON',
        '\n1,0.1\n2,0.2\n',
        json,
        'line 2: got "no JSON: 1,0.1", expected JSON with a number, and',
      ],
      [
        'ids of their own',
        '{"id":"A","prediction":0}\n',
        json,
        'line 1: got "\\"A\\"", expected JSON with a number',
      ],
      ['another key', '{"score":0.1}\n{"score":0.2}\n', json, 'line 1: got "no prediction", expected JSON'],
    ])('%s are no layout, which is nothing to blame the model for', async (_, text, options, message) => {
      const file = await write('a.parquet', 'SELECT range AS x, range = 0 AS late FROM range(2)');
      const ended = joined(file, text, modelOf(options), { layout: 'any' });
      await expect(ended).rejects.toThrow(GateInputError);
      await expect(ended).rejects.toThrow(`${join(directory, 'candidate.out')}, ${message}`);
    });

    test.each([
      ['nan\nnan\n', {}],
      ['{"id":1,"SageMakerOutput":NaN}\n{"id":2,"SageMakerOutput":null}\n', json],
    ])('but a model without any number is: %j', async (text, options) => {
      const file = await write('a.parquet', 'SELECT range AS x, range = 0 AS late FROM range(2)');
      const { problems } = await joined(file, text, modelOf(options), { layout: 'any' });
      expect(problems).toMatchObject([{ kind: 'not-a-number', count: 2 }]);
    });

    test('more than memory holds are refused before they are read', async () => {
      const classes = Array.from({ length: 100 }, (_, index) => `c${index}`);
      const file = await write('a.parquet', "SELECT range AS x, 'c7' AS late FROM range(200_000)");
      const limits = { ...LIMITS, memoryBytes: 256 * 1024 ** 2 };
      const ended = joinPredictions({
        file,
        model: modelOf({ task: 'multiclass', classes }),
        candidate: 'nowhere',
        slicings: [],
        limits,
        scratch,
      });
      await expect(ended).rejects.toThrow(GateInputError);
      await expect(ended).rejects.toThrow(
        /^predictions of 200,000 rows and 100 classes take 320 MB .* of memory, at most 268.4 MB/,
      );
    });

    describe('of several classes', () => {
      const model = modelOf({ task: 'multiclass', classes: ['1', 'b', 'c d'], holdout: { label: 'y' } });
      const holdout = () => write('a.parquet', "SELECT 0 AS x, unnest(['b', '1']) AS y");

      test.each([
        '0.1,0.7,0.2\n0.5,0.3,0.2\n',
        'p1,p2,p3\n0.1,0.7,0.2\n0.5,0.3,0.2\n',
        '1,b,c d\n0.1,0.7,0.2\n0.5,0.3,0.2\n',
        'id,c d,"b",1\r\n2,0.2,0.3,0.5\r\n1,0.2,0.7,0.1\r\n',
      ])('a header says which is which: %j', async (text) => {
        const { examples, problems } = await joined(await holdout(), text, model, { layout: 'any' });
        expect(problems).toEqual([]);
        expect(examples?.predictions).toEqual(Float64Array.of(0.1, 0.7, 0.2, 0.5, 0.3, 0.2));
      });

      test('a header of other classes is refused', async () => {
        const ended = joined(await holdout(), 'a,b,c\n0.1,0.7,0.2\n0.5,0.3,0.2\n', model, { layout: 'any' });
        await expect(ended).rejects.toThrow(
          'the header of the predictions has "a", "b", "c", expected "1", "b", "c d"',
        );
      });
    });
  });
});

describe('any table', () => {
  const types = {
    BIGINT: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String),
    DOUBLE: fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => JSON.stringify(value)),
    BOOLEAN: fc.boolean().map(String),
    VARCHAR: fc
      .oneof(
        fc.string({ unit: 'grapheme' }),
        fc.constantFrom('"', ',', '', 'null', ' ', '""', 'a,"b', '\\', 'NaN', '-', '#', '0.10'),
      )
      .filter((value) => !/[\n\r\0]/.test(value))
      .map((value) => JSON.stringify(value)),
    TIMESTAMP: fc
      .date({ min: new Date('1900-01-01'), max: new Date('2100-01-01'), noInvalidDate: true })
      .map((date) => JSON.stringify(date.toISOString().replace('T', ' ').replace('Z', '000'))),
  };
  type Type = keyof typeof types;
  const table = fc
    .array(fc.constantFrom(...(Object.keys(types) as Type[])), { minLength: 2, maxLength: 5 })
    .chain((kinds) =>
      fc.record({
        kinds: fc.constant(kinds),
        rows: fc.array(
          fc.record({
            cells: fc.tuple(...kinds.map((kind) => fc.option(types[kind], { nil: 'null' }))),
            label: fc.boolean(),
            score: fc.double({ min: 0, max: 1, noNaN: true }),
          }),
          { minLength: 1, maxLength: 8 },
        ),
        format: fc.constantFrom('parquet', 'csv', 'jsonl'),
        content: fc.constantFrom('text/csv', 'application/jsonlines'),
        order: fc.infiniteStream(fc.nat()),
      }),
    );

  test('comes back from a transform with its own labels and predictions, in whatever order', async () => {
    await fc.assert(
      fc.asyncProperty(table, async ({ kinds, rows, format, content, order }) => {
        const json = rows
          .map(
            ({ cells, label }) => `{${cells.map((cell, at) => `"f${at}":${cell}`).join()},"late":${label}}\n`,
          )
          .join('');
        const columns = kinds.map((kind, at) => `f${at}: '${kind}'`).join(', ');
        const source = fileOf('source.jsonl', json);
        const file =
          format === 'jsonl'
            ? source
            : await write(
                `a.${format}`,
                `SELECT * FROM read_json('${source.path}', format = 'newline_delimited', columns = {${columns}, late: 'BOOLEAN'})`,
              );
        const model = modelOf({ transform: { content } });
        const { text, features } = await prepare(file, model);
        expect(features).toHaveLength(kinds.length);
        const output = transformed(
          text,
          rows.map(({ score }) => String(score)),
          content === 'text/csv' ? 'csv' : 'json',
        );
        const keys = [...order.take(rows.length)];
        const shuffled = output
          .split('\n')
          .slice(0, -1)
          .map((line, index) => ({ line, key: keys[index]! }))
          .toSorted((a, b) => a.key - b.key)
          .map(({ line }) => line)
          .join('\n');
        const { examples, problems } = await joined(file, shuffled, model);
        expect(problems).toEqual([]);
        expect([...examples!.labels]).toEqual(rows.map(({ label }) => Number(label)));
        expect([...examples!.predictions]).toEqual(rows.map(({ score }) => score + 0));
        expect(text).not.toContain('late');
      }),
      { numRuns: 25, seed: 7 },
    );
  });

  test('of JSON Lines gives the model the values that Parquet has', async () => {
    await fc.assert(
      fc.asyncProperty(table, async ({ kinds, rows }) => {
        const json = rows
          .map(
            ({ cells, label }) => `{${cells.map((cell, at) => `"f${at}":${cell}`).join()},"late":${label}}\n`,
          )
          .join('');
        const columns = kinds.map((kind, at) => `f${at}: '${kind}'`).join(', ');
        const source = fileOf('source.jsonl', json);
        const file = await write(
          'a.parquet',
          `SELECT * FROM read_json('${source.path}', format = 'newline_delimited', columns = {${columns}, late: 'BOOLEAN'})`,
        );
        const model = modelOf({ transform: { content: 'application/jsonlines' } });
        const { text } = await prepare(file, model);
        const records = text.split('\n').slice(0, -1);
        records.forEach((line, index) => {
          const { id, features } = JSON.parse(line) as { id: number; features: Record<string, unknown> };
          expect(id).toBe(index + 1);
          rows[index]!.cells.forEach((cell, at) => {
            const expected = JSON.parse(cell) as unknown;
            const time = kinds[at] === 'TIMESTAMP' && expected !== null;
            expect(features[`f${at}`]).toEqual(
              time
                ? String(expected).replace('.000000', '')
                : typeof expected === 'number'
                  ? expected
                  : expected,
            );
          });
        });
      }),
      { numRuns: 12, seed: 11 },
    );
  });
});
