import { mkdir, readFile } from 'node:fs/promises';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { beforeAll, describe, expect, test } from 'vitest';
import type { Measurements } from '../../../functions/quality-gate/profile.ts';
import { GateInputError } from '../../../functions/shared/errors.ts';
import type { ColumnProfile, NumericDistribution, Profile } from '../../../functions/shared/profile.ts';
import { duckdb, useLab } from '../../support/datasets.ts';
import { createRandom } from '../../support/random.ts';

const lab = useLab();

// ---------------------------------------------------------------------------------------------------------
// An independent account of what a profile says, in plain TypeScript over arrays
// ---------------------------------------------------------------------------------------------------------

function numberProfile(values: (number | null)[]) {
  const usable = values.filter((value): value is number => value !== null);
  const mean = usable.reduce((sum, value) => sum + value, 0) / usable.length;
  const counts = countBy(usable);
  return {
    count: usable.length,
    nulls: values.length - usable.length,
    min: usable.reduce((least, value) => Math.min(least, value), Number.POSITIVE_INFINITY),
    max: usable.reduce((most, value) => Math.max(most, value), Number.NEGATIVE_INFINITY),
    mean: expect.closeTo(mean, 8),
    std: expect.closeTo(
      Math.sqrt(usable.reduce((sum, value) => sum + (value - mean) ** 2, 0) / usable.length),
      8,
    ),
    distinct: { value: counts.size, exact: true },
    share: [...counts.values()].reduce((most, count) => Math.max(most, count), 0) / usable.length,
  };
}

function countBy<T>(values: readonly T[]): Map<T, number> {
  const counts = new Map<T, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return counts;
}

/** Counts values over the cells and atoms of a distribution, by its definition. */
function recount(distribution: NumericDistribution, values: readonly (number | null)[]): NumericDistribution {
  const { edges, atoms } = distribution;
  const cells = Array.from({ length: edges.length + 1 }, () => 0);
  const atomCounts = atoms.map(() => 0);
  let nulls = 0;
  for (const value of values) {
    if (value === null) nulls++;
    else if (atoms.includes(value)) atomCounts[atoms.indexOf(value)]! += 1;
    else {
      const cell = edges.findIndex((edge) => value <= edge);
      cells[cell < 0 ? edges.length : cell]! += 1;
    }
  }
  return { kind: 'numeric', edges, cells, atoms, atomCounts, nulls };
}

function numeric(profile: ColumnProfile | undefined): NumericDistribution {
  if (profile?.distribution?.kind !== 'numeric') throw new Error('expected a numeric distribution');
  return profile.distribution;
}

// ---------------------------------------------------------------------------------------------------------
// The same rows in every format
// ---------------------------------------------------------------------------------------------------------

interface Row {
  id: number;
  amount: number | null;
  count: number | null;
  label: string | null;
  flag: boolean | null;
  at: string | null;
  day: string | null;
}

const LABELS = ['alpha', 'beta', 'Österreich', '日本', 'say "hi"', 'a,b', 'two\nlines', "it's", '', ' ', '-'];

function makeRows(count: number): Row[] {
  const { uniform, normal } = createRandom(20011);
  return Array.from({ length: count }, (_, index): Row => {
    const time = Date.UTC(2001, 0, 1) + Math.floor(uniform() * 28 * 86_400_000);
    return {
      // Every fiftieth row repeats the one before it.
      id: index % 50 === 49 ? index - 1 : index,
      amount: uniform() < 0.1 ? null : Math.round(normal() * 1e6) / 1e4,
      count: uniform() < 0.02 ? null : Math.floor(uniform() ** 3 * 40),
      label: uniform() < 0.05 ? null : (LABELS[Math.floor(uniform() ** 2 * LABELS.length)] ?? null),
      flag: uniform() < 0.03 ? null : uniform() < 0.7,
      at: uniform() < 0.01 ? null : new Date(time).toISOString().replace('Z', ''),
      day: uniform() < 0.01 ? null : new Date(time).toISOString().slice(0, 10),
    };
  }).map((row, index, rows) => (index % 50 === 49 ? { ...rows[index - 1]! } : row));
}

const rows = makeRows(3000);
const COLUMNS = Object.keys(rows[0] as Row) as (keyof Row)[];

function contract(format: string, extra = ''): string {
  return `contract: 1
dataset: probe
format: ${format}
key: { columns: [id] }
duplicateRows: 0%
freshness: { column: at, maxAge: 40d }
columns:
  id: { type: integer }
  amount: { type: number, range: [-150, 150] }
  count: { type: integer, zeros: 1%, values: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10] }
  label: { type: string, nulls: 1%, empty: 1%, pattern: '[^ö]*', length: [1, 5] }
  flag: { type: boolean, values: [true] }
  at: { type: timestamp, range: [2001-01-02, 2001-01-20] }
  day: { type: date, required: true }
rules:
  - { name: count or amount, sql: count > 3 OR amount > 0 }
${extra}`;
}

function csvOf(table: Row[]): string {
  const cell = (value: Row[keyof Row]) => {
    if (value === null) return '';
    const text = String(value);
    // An empty string is told from a null by its quotes.
    return text === '' || /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  const lines = table.map((row) => COLUMNS.map((name) => cell(row[name])).join(','));
  return `${[COLUMNS.join(','), ...lines].join('\n')}\n`;
}

function jsonLinesOf(table: Row[]): string {
  return table.map((row) => `${JSON.stringify(row)}\n`).join('');
}

async function writeParquet(name: string, table: Row[]): Promise<string> {
  const source = await lab.write(`${name}.source`, jsonLinesOf(table));
  await duckdb(
    `COPY (SELECT * FROM read_json('${source}', format = 'newline_delimited', columns = {id: 'BIGINT', amount: 'DOUBLE',
     count: 'BIGINT', label: 'VARCHAR', flag: 'BOOLEAN', "at": 'TIMESTAMP', day: 'DATE'})) TO '${lab.path(name)}' (FORMAT parquet, ROW_GROUP_SIZE 2048)`,
  );
  return lab.path(name);
}

/** Everything that does not depend on how the rows are stored. */
function contentOf({ profile, ...measured }: Measurements) {
  const { sha256: _, ...content } = profile;
  return {
    ...measured,
    ...content,
    columns: Object.fromEntries(
      Object.entries(profile.columns).map(([name, { physical: _, ...column }]) => [
        name,
        { ...column, invalid: 0, measured: { ...measured.columns[name], invalid: undefined } },
      ]),
    ),
  };
}

describe('the same rows', () => {
  const measured = new Map<string, Measurements>();
  beforeAll(async () => {
    const csv = csvOf(rows);
    const jsonLines = jsonLinesOf(rows);
    const parquet = await writeParquet('rows.parquet', rows);
    const files: [string, string][] = [
      [await lab.write('rows.csv', csv), 'csv'],
      [await lab.write('rows.csv.gz', gzipSync(csv)), 'csv'],
      [await lab.write('rows.csv.zst', zstdCompressSync(csv)), 'csv'],
      [await lab.write('rows.jsonl', jsonLines), 'jsonl'],
      [await lab.write('rows.jsonl.gz', gzipSync(jsonLines)), 'jsonl'],
      [await lab.write('rows.jsonl.zst', zstdCompressSync(jsonLines)), 'jsonl'],
      [parquet, 'parquet'],
      [await lab.write('rows.parquet.gz', gzipSync(await readFile(parquet))), 'parquet'],
    ];
    for (const [path, format] of files) {
      measured.set(
        path.split('/').at(-1) ?? '',
        await lab.measure({ files: path, contract: contract(format) }),
      );
    }
  });

  test('are the same in every format and compression', () => {
    const reference = contentOf(measured.get('rows.csv')!);
    for (const [name, measurements] of measured) {
      expect({ name, ...contentOf(measurements) }).toEqual({ name, ...reference });
    }
  });

  test('have the counts and moments that they have', () => {
    const { profile } = measured.get('rows.parquet')!;
    expect(profile.rows).toBe(rows.length);
    expect(Object.keys(profile.columns)).toEqual(COLUMNS);
    const points: Record<string, (number | null)[]> = {
      id: rows.map(({ id }) => id),
      amount: rows.map(({ amount }) => amount),
      count: rows.map(({ count }) => count),
      at: rows.map(({ at }) => (at === null ? null : Date.parse(`${at}Z`))),
      day: rows.map(({ day }) => (day === null ? null : Date.parse(day))),
    };
    for (const [name, values] of Object.entries(points)) {
      const { share, ...expected } = numberProfile(values);
      // Milliseconds since 1970 leave no eight decimals.
      const times = name === 'at' || name === 'day';
      if (times) Object.assign(expected, { mean: expect.any(Number), std: expect.any(Number) });
      expect(profile.columns[name]).toMatchObject(expected);
      expect(profile.columns[name]?.dominant?.share).toBe(share);
      const distribution = numeric(profile.columns[name]);
      expect(distribution).toEqual(recount(distribution, values));
    }
    expect(profile.columns.count?.zeros).toBe(rows.filter(({ count }) => count === 0).length);
    expect(profile.columns.amount?.zeros).toBe(rows.filter(({ amount }) => amount === 0).length);

    const labels = rows.map(({ label }) => label).filter((label) => label !== null);
    const frequencies = [...countBy(labels)].sort(
      ([a, n], [b, m]) => m - n || Buffer.compare(Buffer.from(a), Buffer.from(b)),
    );
    expect(profile.columns.label).toMatchObject({
      count: labels.length,
      nulls: rows.length - labels.length,
      empty: labels.filter((label) => label.trim() === '').length,
      shortest: 0,
      longest: 10,
      distinct: { value: LABELS.length, exact: true },
      dominant: { share: (frequencies[0]?.[1] ?? 0) / labels.length, value: frequencies[0]?.[0] },
      distribution: {
        values: frequencies.map(([value]) => value),
        counts: frequencies.map(([, count]) => count),
        other: 0,
        otherDistinct: 0,
        nulls: rows.length - labels.length,
      },
    });
    const flags = rows.map(({ flag }) => flag).filter((flag) => flag !== null);
    expect(profile.columns.flag).toMatchObject({
      count: flags.length,
      nulls: rows.length - flags.length,
      distribution: { values: ['true', 'false'], counts: [true, false].map((is) => countBy(flags).get(is)) },
    });
  });

  test('break the limits as often as they do, first in the rows where they do', () => {
    const { columns, rules, key, duplicateRows, times } = measured.get('rows.jsonl.zst')!;
    const breach = (breaks: (row: Row) => boolean, show?: (row: Row) => unknown) => {
      const bad = rows.flatMap((row, index) => (breaks(row) ? [{ row: index + 1, value: row }] : []));
      return {
        count: bad.length,
        samples: bad.slice(0, 5).map(({ row, value }) => {
          const shown = show?.(value);
          return { row, ...(shown !== undefined && shown !== null && { value: String(shown) }) };
        }),
      };
    };
    const outside = (value: number | null, low: number, high: number) =>
      value !== null && (value < low || value > high);
    expect(columns.amount?.range).toEqual(
      breach(
        ({ amount }) => outside(amount, -150, 150),
        ({ amount }) => amount,
      ),
    );
    expect(columns.count?.zeros).toEqual(
      breach(
        ({ count }) => count === 0,
        () => '0',
      ),
    );
    expect(columns.count?.values).toEqual(
      breach(
        ({ count }) => outside(count, 0, 10),
        ({ count }) => count,
      ),
    );
    expect(columns.label?.nulls).toEqual(breach(({ label }) => label === null));
    expect(columns.label?.empty).toEqual(
      breach(
        ({ label }) => label?.trim() === '',
        ({ label }) => label,
      ),
    );
    expect(columns.label?.pattern).toEqual(breach(({ label }) => label?.includes('ö') === true));
    expect(columns.label?.length).toEqual(
      breach(
        ({ label }) => outside(label?.length ?? null, 1, 5),
        ({ label }) => label,
      ),
    );
    expect(columns.flag?.values).toEqual(
      breach(
        ({ flag }) => flag === false,
        () => 'false',
      ),
    );
    expect(columns.at?.range?.count).toBe(
      breach(({ at }) => at !== null && (at < '2001-01-02' || at > '2001-01-21')).count,
    );
    expect(columns.day?.nulls).toEqual(breach(({ day }) => day === null));
    expect(rules).toEqual({
      'count or amount': breach(({ count, amount }) => !((count ?? 0) > 3 || (amount ?? 0) > 0)),
    });
    expect(key?.count).toBe(60);
    expect(duplicateRows?.count).toBe(60);
    // Both rows of the first two pairs, so that a person can compare them.
    expect(key?.samples.slice(0, 2)).toEqual([{ row: 49 }, { row: 50 }]);
    expect(duplicateRows?.samples.slice(0, 2)).toEqual([{ row: 49 }, { row: 50 }]);
    const moments = rows.flatMap(({ at }) => (at === null ? [] : [Date.parse(`${at}Z`)]));
    expect(times).toEqual({ oldest: Math.min(...moments), newest: Math.max(...moments) });
  });

  test('are divided into cells of about equal counts, with finer ones in the tails', () => {
    const { edges, cells, atoms } = numeric(measured.get('rows.csv')!.profile.columns.amount);
    expect(atoms).toEqual([0]);
    // Zero is an edge on top of those between the cells: it cuts one in two.
    const zero = edges.indexOf(0);
    const whole = cells.toSpliced(zero, 2, (cells[zero] ?? 0) + (cells[zero + 1] ?? 0));
    const inCells = cells.reduce((sum, count) => sum + count, 0);
    const cuts = [
      ...Array.from({ length: 47 }, (_, index) => (index + 1) / 48),
      0.001,
      0.005,
      0.995,
      0.999,
      1,
    ];
    cuts.sort((a, b) => a - b);
    expect(whole).toHaveLength(cuts.length);
    let below = 0;
    for (const [index, count] of whole.entries()) {
      below += count;
      expect(Math.abs(below - (cuts[index] ?? 0) * inCells)).toBeLessThan(2);
    }
  });

  test('in several files, and the place of an offender is its file and its row there', async () => {
    const parts = [rows.slice(0, 700), rows.slice(700, 701), rows.slice(701)];
    const place = (index: number) =>
      index < 700
        ? { file: 'a', row: index + 1 }
        : index < 701
          ? { file: 'b', row: 1 }
          : { file: 'c', row: index - 700 };
    const reference = contentOf(measured.get('rows.csv')!);
    for (const [ending, format, write] of [
      ['.csv', 'csv', async (name: string, table: Row[]) => lab.write(name, csvOf(table))],
      [
        '.jsonl.gz',
        'jsonl',
        async (name: string, table: Row[]) => lab.write(name, gzipSync(jsonLinesOf(table))),
      ],
      ['.parquet', 'parquet', writeParquet],
    ] as const) {
      const files = await Promise.all(parts.map((table, index) => write(`${'abc'[index]}${ending}`, table)));
      const got = contentOf(await lab.measure({ files, contract: contract(format) }));
      // Ranges of at most five samples, all of which the reference has by their row in all of the data.
      const placed = JSON.parse(JSON.stringify(reference), (_key, value: unknown) =>
        value !== null && typeof value === 'object' && 'row' in value
          ? {
              ...value,
              ...place(Number(value.row) - 1),
              file: `${place(Number(value.row) - 1).file}${ending}`,
            }
          : value,
      ) as unknown;
      expect(JSON.parse(JSON.stringify(got))).toEqual(placed);
    }
  });
});

test('rows keep their numbers where files are large and threads are many', async () => {
  // More than one row group or vector of every kind (122,880 rows), in two files.
  const table = (from: number) =>
    `SELECT i AS id, CASE WHEN i IN (${from}, ${from + 122_879}, ${from + 122_880}, ${from + 139_999}) THEN -1 ELSE i % 1000 END AS value
     FROM range(${from}, ${from + 140_000}) r(i)`;
  const rule = (format: string) =>
    `contract: 1\ndataset: probe\nformat: ${format}\ncolumns:\n  id: { type: integer }\n  value: { type: integer, range: [0, 1000] }\n`;
  for (const [format, how] of [
    ['csv', 'FORMAT csv, HEADER'],
    ['jsonl', 'FORMAT json'],
    ['parquet', 'FORMAT parquet, ROW_GROUP_SIZE 50000'],
  ] as const) {
    const files = ['a', 'b'].map((name) => lab.path(`large-${name}.${format}`));
    await duckdb(...files.map((file, index) => `COPY (${table(index * 140_000)}) TO '${file}' (${how})`));
    const { columns } = await lab.measure({ files, contract: rule(format), limits: { threads: 4 } });
    expect({ format, range: columns.value?.range }).toEqual({
      format,
      range: {
        count: 8,
        samples: [
          { file: `large-a.${format}`, row: 1, value: '-1' },
          { file: `large-a.${format}`, row: 122_880, value: '-1' },
          { file: `large-a.${format}`, row: 122_881, value: '-1' },
          { file: `large-a.${format}`, row: 140_000, value: '-1' },
          { file: `large-b.${format}`, row: 1, value: '-1' },
        ],
      },
    });
  }
});

test('records of several lines are one each, in files of any size', async () => {
  const files = lab.path('lines.csv');
  await duckdb(
    `COPY (SELECT i AS id, 'one' || chr(10) || 'two, ' || i || chr(10) || '"three"' || repeat('x', 100) AS text FROM range(300000) r(i)) TO '${files}' (FORMAT csv, HEADER)`,
  );
  const { verdict, measurements } = await lab.judge({
    files,
    contract: `contract: 1\ndataset: probe\nformat: csv\nkey: { columns: [id] }\ncolumns:\n  id: { type: integer, range: [0, 299999] }\n  text: { type: string, pattern: 'one\\ntwo, [0-9]+\\n"three"x+' }\n`,
    limits: { threads: 4 },
  });
  expect(verdict.reason).toMatch(/^300,000 rows of 2 columns meet /);
  expect(measurements.profile.columns.text?.distinct.value).toBeGreaterThan(290_000);
});

// ---------------------------------------------------------------------------------------------------------
// Columns with more values than can be counted one by one
// ---------------------------------------------------------------------------------------------------------

const NUMBER = (format: string) =>
  `contract: 1\ndataset: probe\nformat: ${format}\ncolumns:\n  x: { type: number }\n`;

describe('a column of very many values', () => {
  const { normal, uniform } = createRandom(7);
  // Atoms that need all 17 digits: as a decimal of SQL the first would become another double.
  const AWKWARD = 0.027586967833179734;
  const HARD = 1234567.1234567892;
  const values = Array.from({ length: 420_000 }, () => {
    const chance = uniform();
    if (chance < 0.05) return 0;
    if (chance < 0.09) return AWKWARD;
    if (chance < 0.12) return HARD;
    return chance < 0.13 ? null : Math.exp(normal() * 2) * (chance < 0.5 ? 1 : -1);
  });
  let measurements: Measurements;
  let baseline: Profile;
  beforeAll(async () => {
    const jsonLines = await lab.write('many.jsonl', values.map((x) => `${JSON.stringify({ x })}\n`).join(''));
    await duckdb(
      `COPY (SELECT x FROM read_json('${jsonLines}', format = 'newline_delimited', columns = {x: 'DOUBLE'})) TO '${lab.path('many.parquet')}'`,
    );
    const half = await lab.write(
      'half.jsonl',
      values
        .slice(0, 1000)
        .map((x) => `${JSON.stringify({ x })}\n`)
        .join(''),
    );
    baseline = (await lab.measure({ files: half, contract: NUMBER('jsonl') })).profile;
    measurements = await lab.measure({
      files: lab.path('many.parquet'),
      contract: NUMBER('parquet'),
      baseline,
    });
  });

  test('has its exact counts, over its own cells and those of the baseline', () => {
    const profile = measurements.profile.columns.x;
    const { share, distinct, mean, std, ...expected } = numberProfile(values);
    expect(profile).toMatchObject(expected);
    expect(distinct.value).toBeGreaterThan(250_000);
    expect(profile?.distinct.exact).toBe(false);
    expect(Math.abs((profile?.distinct.value ?? 0) / distinct.value - 1)).toBeLessThan(0.05);
    const range = expected.max - expected.min;
    expect(Math.abs((profile?.mean ?? 0) - mean.sample) / range).toBeLessThan(1e-9);
    expect(Math.abs((profile?.std ?? 0) - std.sample) / range).toBeLessThan(1e-9);
    expect(profile?.zeros).toBe(values.filter((value) => value === 0).length);

    const distribution = numeric(profile);
    expect(distribution.atoms).toEqual([0, AWKWARD, HARD]);
    expect(distribution).toEqual(recount(distribution, values));
    expect(profile?.dominant).toEqual({ share, value: '0' });
    const reference = measurements.columns.x?.onBaseline;
    expect(reference).toEqual(recount(numeric(baseline.columns.x), values));
  });

  test('has the same counts whether they were taken one by one or over cells', async () => {
    // 12,000 values: in ascending order the first rows show few of them, shuffled they show them all.
    const base = Array.from({ length: 12_000 }, () => Math.round(normal() * 1e9) / 1e7);
    const ascending = Array.from({ length: 120_000 }, (_, index) => base[index % 12_000] ?? 0).sort(
      (a, b) => a - b,
    );
    const shuffled = ascending.map((_, index) => ascending[(index * 7919) % ascending.length] ?? 0);
    const measureList = async (list: number[]) =>
      lab.measure({
        files: await lab.write('path.csv', `x\n${list.join('\n')}\n`),
        contract: NUMBER('csv'),
        baseline,
      });
    const few = await measureList(ascending);
    const many = await measureList(shuffled);
    const [one, other] = [few.profile.columns.x!, many.profile.columns.x!];
    expect(one.distinct).toEqual({ value: new Set(base).size, exact: true });
    expect(other.distinct).toEqual(one.distinct);
    // Had both taken one path, they would have chosen the same cells.
    expect(numeric(other).edges).not.toEqual(numeric(one).edges);
    for (const key of ['count', 'nulls', 'min', 'max', 'zeros'] as const) expect(other[key]).toBe(one[key]);
    expect(other.mean).toBeCloseTo(one.mean ?? Number.NaN, 6);
    expect(other.std).toBeCloseTo(one.std ?? Number.NaN, 6);
    expect(many.columns.x?.onBaseline).toEqual(few.columns.x?.onBaseline);
    // Cells are chosen from a sample in the one and from all rows in the other; each counts all rows over its own.
    expect(numeric(other)).toEqual(recount(numeric(other), ascending));
    expect(numeric(one)).toEqual(recount(numeric(one), ascending));
  });

  test('of text is listed as far as it fits, and the rest is counted together', async () => {
    const words = Array.from({ length: 60_000 }, (_, index) => (index % 3 === 0 ? 'often' : `word-${index}`));
    const files = await lab.write('words.csv', `x\n${words.join('\n')}\n`);
    const { profile } = await lab.measure({
      files,
      contract: 'contract: 1\ndataset: probe\nformat: csv\ncolumns:\n  x: { type: string }\n',
    });
    const column = profile.columns.x;
    const distribution = column?.distribution;
    if (distribution?.kind !== 'categorical') throw new Error('expected categories');
    expect(column?.dominant).toEqual({ share: 1 / 3, value: 'often' });
    expect(column?.distinct).toEqual({ value: 40_001, exact: true });
    expect(distribution.values[0]).toBe('often');
    expect(distribution.counts.reduce((sum, count) => sum + count, 0) + distribution.other).toBe(60_000);
    expect(distribution.otherDistinct).toBe(40_001 - distribution.values.length);
  });
});

// ---------------------------------------------------------------------------------------------------------
// What a profile promises
// ---------------------------------------------------------------------------------------------------------

test('measuring again, and with other threads, gives the same bytes', async () => {
  const { normal, uniform } = createRandom(4);
  const lines = Array.from({ length: 140_000 }, (_, index) =>
    JSON.stringify({
      few: Math.round(normal() * 100) / 7,
      many: normal() * 1e6,
      skewed: Math.exp(normal() * 8),
      code: `c${Math.floor(uniform() * 50_000)}`,
      colour: ['red', 'green', 'blue'][Math.floor(uniform() * 3)],
      seen: new Date(Date.UTC(2001, 0, 1) + index * 7919).toISOString(),
    }),
  );
  const source = await lab.write('chance.jsonl', lines.join('\n'));
  const columns = `columns:
  few: { type: number, range: [-1, 1] }
  many: { type: number, range: [-1000000, null] }
  skewed: { type: number }
  code: { type: string }
  colour: { type: string }
  seen: { type: timestamp }
`;
  const parquet = lab.path('chance.parquet');
  await duckdb(
    `COPY (SELECT * REPLACE (CAST(seen AS TIMESTAMP) AS seen) FROM read_json('${source}', format = 'newline_delimited')) TO '${parquet}' (FORMAT parquet, ROW_GROUP_SIZE 20000)`,
  );
  for (const [files, format] of [
    [source, 'jsonl'],
    [parquet, 'parquet'],
  ] as const) {
    const what = {
      files,
      contract: `contract: 1\ndataset: chance\nformat: ${format}\nkey: { columns: [code] }\nduplicateRows: 0%\nrules: [{ name: signs, sql: few * many > 0 }]\n${columns}`,
    };
    const first = await lab.measure(what);
    expect(first.profile.columns.many?.distinct.value).toBe(140_000);
    const baseline = first.profile;
    const texts = new Set([JSON.stringify(await lab.measure({ ...what, baseline }))]);
    for (const threads of [1, 2, 4]) {
      texts.add(JSON.stringify(await lab.measure({ ...what, baseline, limits: { threads } })));
    }
    expect(texts.size).toBe(1);
  }
});

test('a profile of fifty columns has less than 100 KB', async () => {
  const { normal, uniform } = createRandom(50);
  const names = Array.from({ length: 50 }, (_, index) => `column_${index}`);
  const cell = (index: number): string | number => {
    if (index < 20) return normal() * 10 ** (index - 10);
    if (index < 35) return `${'類別名稱'.repeat(3)}${Math.floor(uniform() * 500)}`;
    return index < 45 ? new Date(Math.floor(uniform() * 1e12)).toISOString() : Math.floor(normal() * 1e15);
  };
  const type = (index: number) =>
    index < 20 ? 'number' : index < 35 ? 'string' : index < 45 ? 'timestamp' : 'integer';
  const lines = Array.from({ length: 3000 }, () =>
    JSON.stringify(Object.fromEntries(names.map((name, index) => [name, cell(index)]))),
  );
  const { profile } = await lab.measure({
    files: await lab.write('fifty.jsonl', lines.join('\n')),
    contract: `contract: 1\ndataset: fifty\nformat: jsonl\ncolumns:\n${names.map((name, index) => `  ${name}: { type: ${type(index)} }`).join('\n')}\n`,
  });
  expect(Object.keys(profile.columns)).toHaveLength(50);
  expect(Buffer.byteLength(JSON.stringify(profile))).toBeLessThan(100_000);
  for (const column of Object.values(profile.columns)) expect(column.distribution).toBeDefined();
});

describe('personal data', () => {
  // Values that occur nowhere but in the data.
  const planted = {
    name: ['Zaphod', 'Zaphod', 'Trillian', ''],
    pin: ['773311', '664422', 'x559911', '773311'],
    salary: ['81237.5', '92348.25', 'NaN', '70707.75'],
    born: ['1971-03-17', '1972-11-23', '31.12.1973', '1974-08-29'],
    seen: ['1981-03-17 07:41:13', '1982-11-23 08:51:17', 'soon81', '1984-08-29 09:37:19'],
  };
  const contractOf = (format: string) => `contract: 1
dataset: people
format: ${format}
key: { columns: [name] }
duplicateRows: 0%
freshness: { column: day, maxAge: 1d }
columns:
  name: { type: string, pii: true, empty: 0%, pattern: '[a-f]+', length: [1, 2], dominant: 1%, constant: false, distinct: [10, 20] }
  pin: { type: integer, pii: true, range: [1, 9], zeros: 0% }
  salary: { type: number, pii: true, nan: 0%, range: [1, 2] }
  born: { type: date, pii: true, range: [2001-01-01, 2001-02-01] }
  seen: { type: timestamp, pii: true, range: [2001-01-01, 2001-02-01] }
  day: { type: date }
rules:
  - { name: pins are even, sql: pin % 2 = 0 }
  - { name: names are numbers, sql: name::INTEGER > 0 }
`;
  test.each(['csv', 'jsonl', 'parquet'])('of %s leaves no value behind', async (format) => {
    const names = Object.keys(planted) as (keyof typeof planted)[];
    const table = Array.from({ length: 4 }, (_, row) => ({
      ...Object.fromEntries(names.map((name) => [name, planted[name][row]])),
      day: '2001-02-03',
    }));
    const jsonLines = await lab.write('people.jsonl', table.map((row) => JSON.stringify(row)).join('\n'));
    const files = lab.path(`people.${format}`);
    if (format !== 'jsonl') {
      await duckdb(
        `COPY (SELECT * FROM read_json('${jsonLines}', format = 'newline_delimited', columns = {${[...names, 'day'].map((name) => `${name}: 'VARCHAR'`).join(', ')}})) TO '${files}'`,
      );
    }
    const first = await lab.judge({ files, contract: contractOf(format) });
    const again = await lab.judge({
      files,
      contract: contractOf(format),
      baseline: first.measurements.profile,
    });
    expect(again.verdict.outcome).toBe('fail');
    const failed = again.verdict.findings
      .filter(({ outcome }) => outcome === 'fail')
      .map(({ check }) => check);
    expect(failed).toEqual(expect.arrayContaining(['invalid', 'pattern', 'length', 'key', 'rule', 'range']));
    const text = JSON.stringify([first, again]);
    const left = Object.values(planted)
      .flat()
      .filter((value) => value !== '' && value !== 'NaN' && text.includes(value));
    expect(left).toEqual([]);
    // Numbers could stand there as numbers, and times as milliseconds.
    for (const value of ['92348', '773311', String(Date.parse('1984-08-29T09:37:19Z')), '1984', '1971']) {
      expect(text).not.toContain(value);
    }
  });

  test('does not become the name of a column where the header is lost', async () => {
    const files = await lab.write('lost.csv', 'Zaphod,773311\nTrillian,664422\n');
    const { verdict, measurements } = await lab.judge({
      files,
      contract:
        'contract: 1\ndataset: people\nformat: csv\ncolumns:\n  name: { type: string, pii: true }\n  pin: { type: integer, pii: true }\n',
    });
    expect(verdict.outcome).toBe('fail');
    expect(verdict.reason).toMatchInlineSnapshot(
      `"lost.csv cannot be read as csv: its first line names none of the contract's columns, so the header is lost or the delimiter is not ","."`,
    );
    expect(JSON.stringify([verdict, measurements])).not.toMatch(/Zaphod|773311/);
  });
});

// ---------------------------------------------------------------------------------------------------------
// How values are written
// ---------------------------------------------------------------------------------------------------------

/** A column called x, measured. */
async function column(
  file: string,
  content: string | Uint8Array,
  rule: string,
  csv = '',
): Promise<ColumnProfile> {
  const format = file.split('.')[1];
  const { profile } = await lab.measure({
    files: await lab.write(file, content),
    contract: `contract: 1\ndataset: probe\nformat: ${format}\n${csv}columns:\n  x: ${rule}\n`,
  });
  return profile.columns.x!;
}

describe('CSV', () => {
  test.each([
    [
      'a delimiter and a quote of its own',
      "x;y\n'a;b';1\nc;2\n",
      "csv: { delimiter: ';', quote: \"'\" }",
      ['a;b', 'c'],
    ],
    ['a delimiter of two characters', 'x||y\na|b||1\nc||2\n', "csv: { delimiter: '||' }", ['a|b', 'c']],
    ['a tab', 'x\ty\na\t1\nc\t2\n', 'csv: { delimiter: "\\t" }', ['a', 'c']],
    ['a line end within quotes', 'x,y\r\n"a\r\nb",1\r\nc,2\r\n', '', ['a\r\nb', 'c']],
    ['carriage returns alone', 'x,y\ra,1\rc,2\r', '', ['a', 'c']],
    ['no line end at the end', 'x,y\na,1\nc,2', '', ['a', 'c']],
    ['a byte order mark', '\ufeffx,y\na,1\nc,2\n', '', ['a', 'c']],
    ['a quoted header', '"x","y"\na,1\nc,2\n', '', ['a', 'c']],
    ['nulls by name', 'x,y\na,1\nNA,2\n-,3\n"NA",4\n', "csv: { nullValues: [NA, '-'] }", ['NA', 'a']],
    ['latin-1', Buffer.from('x,y\nà,1\nß,2\n', 'latin1'), 'csv: { encoding: latin-1 }', ['ß', 'à']],
    ['UTF-16', Buffer.from('\ufeffx,y\nà,1\n日,2\n', 'utf16le'), 'csv: { encoding: utf-16 }', ['à', '日']],
  ])('with %s', async (_, content, csv, values) => {
    const profile = await column('text.csv', content, '{ type: string }', `extraColumns: allow\n${csv}\n`);
    expect(profile.distribution).toMatchObject({ kind: 'categorical', values });
  });

  test('without a header takes the names of the contract, in its order', async () => {
    const { profile, actualColumns } = await lab.measure({
      files: await lab.write('bare.csv', '1,a\n2,b\n'),
      contract:
        'contract: 1\ndataset: probe\nformat: csv\ncsv: { header: false }\ncolumns:\n  id: { type: integer }\n  name: { type: string }\n',
    });
    expect(actualColumns).toEqual(['id', 'name']);
    expect(profile.rows).toBe(2);
    expect(profile.columns).toMatchObject({ id: { min: 1, max: 2, invalid: 0 }, name: { count: 2 } });
  });

  test('tells an empty string from a null', async () => {
    const profile = await column(
      'empty.csv',
      'x,y\n,1\n"",2\n" ",3\n',
      '{ type: string }',
      'extraColumns: allow\n',
    );
    expect(profile).toMatchObject({ count: 2, nulls: 1, empty: 2 });
  });
});

describe('a value', () => {
  test.each([
    [
      'integer',
      ['1', '-2', '+3', '1e3', '9007199254740993'],
      ['1.5', 'one', '1,000', '0x1F', '9223372036854775808', 'NaN'],
    ],
    ['number', ['1', '-2.5', '1e-3', '.5', '-0'], ['one', '1,5', '1.2.3', '--1', '12%']],
    ['boolean', ['true', 'False', 't', '0'], ['yes!', '2', 'wahr']],
    [
      'timestamp',
      ['2001-01-31', '2001-01-31 23:59:59.5', '2001-01-31T23:59:59Z', '2001-02-01T01:59:59+02:00'],
      ['31.01.2001', '2001-02-30', 'infinity', '25:00'],
    ],
    ['date', ['2001-01-31'], ['2001-02-29', '31/01/2001', 'infinity', '2001-01-31 10:00:00']],
  ])('is %s text or it is not', async (type, good, bad) => {
    for (const list of [good, bad]) {
      const content = `x\n${list.map((value) => `"${value}"\n`).join('')}`;
      const profile = await column('values.csv', content, `{ type: ${type}, invalid: 100% }`);
      expect({ list, invalid: profile.invalid, count: profile.count }).toEqual({
        list,
        invalid: list === bad ? bad.length : 0,
        count: list === bad ? 0 : good.length,
      });
    }
  });

  test('of a number can be NaN or infinite, which is counted apart from all others', async () => {
    const profile = await column('nan.csv', 'x\n1\nNaN\n-inf\nInfinity\n\n3\n', '{ type: number }');
    expect(profile).toMatchObject({ count: 2, nan: 3, nulls: 1, min: 1, max: 3, mean: 2, invalid: 0 });
  });

  test('of zero is zero, whichever its sign', async () => {
    const profile = await column('zero.csv', 'x\n-0.0\n0\n-0\n1\n', '{ type: number }');
    expect(profile).toMatchObject({
      zeros: 3,
      distinct: { value: 2 },
      dominant: { share: 0.75, value: '0' },
    });
  });

  test('of a time has its own format where the contract says so', async () => {
    const profile = await column(
      'german.csv',
      'x\n31.01.2001\n01.02.2001\n2001-02-03\n',
      "{ type: date, timeFormat: '%d.%m.%Y' }",
    );
    expect(profile).toMatchObject({
      count: 2,
      invalid: 1,
      min: Date.UTC(2001, 0, 31),
      max: Date.UTC(2001, 1, 1),
    });
  });

  test('of a time may have a zone in its own format', async () => {
    const profile = await column(
      'zone.csv',
      'x\n31.01.2001 23:00 -0200\n',
      "{ type: timestamp, timeFormat: '%d.%m.%Y %H:%M %z' }",
    );
    expect(profile).toMatchObject({ count: 1, min: Date.UTC(2001, 1, 1, 1) });
  });

  test('of a time with a zone is a moment', async () => {
    const profile = await column(
      'zone.jsonl',
      '{"x":"2001-01-31T23:00:00-02:00"}\n{"x":"2001-02-01T01:00:00Z"}\n{"x":"2001-02-01 01:00:00"}\n',
      '{ type: timestamp }',
    );
    const moment = Date.UTC(2001, 1, 1, 1);
    expect(profile).toMatchObject({ count: 3, min: moment, max: moment, distinct: { value: 1 } });
  });

  test.each([
    ['2', 1],
    ['2.0', 1],
    ['2.5', 0],
    ['"2"', 0],
    ['true', 0],
    ['[2]', 0],
    ['{"y":2}', 0],
    ['12345678901234567890', 0],
  ])('of JSON is an integer where it is one: %s', async (value, count) => {
    const profile = await column('value.jsonl', `{"x":${value}}\n{"x":null}\n{}\n`, '{ type: integer }');
    expect(profile).toMatchObject({ count, invalid: 1 - count, nulls: 2 });
  });
});

describe('Parquet', () => {
  test.each([
    ['integer', 'i::TINYINT', 'TINYINT', 0],
    ['integer', 'i::UBIGINT', 'UBIGINT', 0],
    ['integer', 'i::HUGEINT', 'DOUBLE', 0],
    ['integer', 'i::DOUBLE', 'DOUBLE', 0],
    ['integer', 'i / 2', 'DOUBLE', 2],
    ['integer', 'i::DECIMAL(9, 2)', 'DECIMAL(9,2)', 0],
    ['number', 'i::FLOAT', 'FLOAT', 0],
    ['number', 'i::BIGINT', 'BIGINT', 0],
    ['string', "i || 'x'", 'VARCHAR', 0],
    ['boolean', 'i > 2', 'BOOLEAN', 0],
    ['timestamp', "TIMESTAMP '2001-01-01 10:00:00' + INTERVAL (i) DAY", 'TIMESTAMP', 0],
    ['timestamp', "TIMESTAMPTZ '2001-01-01 10:00:00+02' + INTERVAL (i) DAY", 'TIMESTAMP WITH TIME ZONE', 0],
    ['timestamp', "(TIMESTAMP '2001-01-01 10:00:00' + INTERVAL (i) DAY)::TIMESTAMP_NS", 'TIMESTAMP_NS', 0],
    ['timestamp', "DATE '2001-01-01' + i::INTEGER", 'DATE', 0],
    [
      'timestamp',
      "CASE WHEN i = 2 THEN 'infinity'::TIMESTAMP ELSE TIMESTAMP '2001-01-01 10:00:00' + INTERVAL (i) DAY END",
      'TIMESTAMP',
      1,
    ],
    ['date', "DATE '2001-01-01' + i::INTEGER", 'DATE', 0],
    ['date', "TIMESTAMP '2001-01-01 00:00:00' + INTERVAL (i) DAY", 'TIMESTAMP', 0],
    ['date', "TIMESTAMP '2001-01-01 00:00:00' + INTERVAL (i * 12) HOUR", 'TIMESTAMP', 2],
  ])('of %s in %s', async (type, sql, physical, invalid) => {
    const files = lab.path('typed.parquet');
    await duckdb(`COPY (SELECT ${sql} AS x FROM range(1, 5) r(i)) TO '${files}'`);
    const { verdict, measurements } = await lab.judge({
      files,
      contract: `contract: 1\ndataset: probe\nformat: parquet\ncolumns:\n  x: { type: ${type} }\n`,
    });
    expect(measurements.profile.columns.x).toMatchObject({ physical, count: 4 - invalid, invalid, nulls: 0 });
    expect(verdict.outcome).toBe(invalid === 0 ? 'pass' : 'fail');
    if (type === 'timestamp' && invalid === 0) {
      const days = physical === 'DATE' ? 0 : physical.endsWith('ZONE') ? 8 : 10;
      expect(measurements.profile.columns.x?.min).toBe(Date.UTC(2001, 0, 2, days));
    }
  });

  test.each([
    ['integer', "i || ''", 'VARCHAR'],
    ['string', 'i', 'BIGINT'],
    ['number', '[i]', 'BIGINT[]'],
    ['string', "{'a': i}", 'STRUCT(a BIGINT)'],
    ['string', "encode('x')", 'BLOB'],
    ['timestamp', "TIME '10:00:00'", 'TIME'],
    ['boolean', 'i', 'BIGINT'],
  ])('of %s is not %s', async (type, sql, physical) => {
    const files = lab.path('mistyped.parquet');
    await duckdb(`COPY (SELECT ${sql} AS x FROM range(1, 5) r(i)) TO '${files}'`);
    const { verdict } = await lab.judge({
      files,
      contract: `contract: 1\ndataset: probe\nformat: parquet\ncolumns:\n  x: { type: ${type} }\n`,
    });
    const [first] = verdict.findings.filter(({ check }) => check === 'type');
    expect(first).toMatchObject({ outcome: 'fail', column: 'x', observed: physical, allowed: type });
  });

  test('may have columns and folders of any name', async () => {
    // Names that DuckDB or the gate use for themselves, and a folder that looks like a partition.
    const names = ['filename', 'pos', 'v0', 'x0', 'r0', 'source', 'x-"quoted"; DROP TABLE source;--'];
    await mkdir(lab.path('year=2001'));
    const [a, b] = [lab.path('year=2001/a[1].parquet'), lab.path('year=2001/b*.parquet')] as const;
    const select = `SELECT ${names.map((name, index) => `i + ${index} AS "${name.replaceAll('"', '""')}"`).join(', ')} FROM range(3) r(i)`;
    await duckdb(`COPY (${select}) TO '${a}'`, `COPY (${select}) TO '${b}'`);
    const columns = names.map(
      (name, index) => `  ${JSON.stringify(name)}: { type: integer, range: [${index}, ${index + 1}] }`,
    );
    const contractText = `contract: 1\ndataset: probe\nformat: parquet\nduplicateRows: 50%\ncolumns:\n${columns.join('\n')}\n`;
    for (const files of [a, [a, b]]) {
      const { actualColumns, columns: measured } = await lab.measure({ files, contract: contractText });
      expect(actualColumns).toEqual(names);
      for (const name of names) {
        expect(measured[name]?.range?.count).toBe(typeof files === 'string' ? 1 : 2);
        expect(measured[name]?.range?.samples[0]?.row).toBe(3);
      }
    }
  });
});

test.each(['file_row_number', 'FILE_INDEX'])('but not one of the name %s', async (name) => {
  const files = lab.path('taken.parquet');
  await duckdb(`COPY (SELECT 1 AS ${name}, 2 AS x) TO '${files}'`);
  await expect(
    lab.judge({
      files,
      contract: `contract: 1\ndataset: probe\nformat: parquet\nextraColumns: allow\ncolumns:\n  x: { type: integer }\n`,
    }),
  ).rejects.toThrow(GateInputError);
});

test('text files may lie in folders and under names of any kind', async () => {
  await mkdir(lab.path('month=02'));
  for (const [file, content] of [
    ['month=02/a[1]*?.csv', 'x\n1\n2\n'],
    ["month=02/it's {b,c}.jsonl", '{"x":1}\n{"x":2}\n'],
  ] as const) {
    const { verdict } = await lab.judge({
      files: await lab.write(file, content),
      contract: `contract: 1\ndataset: probe\nformat: ${file.split('.')[1]}\ncolumns:\n  x: { type: integer }\n`,
    });
    expect(verdict).toMatchObject({ outcome: 'pass' });
  }
});
