import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decide } from '../../../functions/quality-gate/decide.ts';
import type { Breach, ColumnMeasurements, Measurements } from '../../../functions/quality-gate/profile.ts';
import { parseContract } from '../../../functions/quality-gate/schema.ts';
import type {
  CategoricalDistribution,
  ColumnProfile,
  NumericDistribution,
  Profile,
} from '../../../functions/shared/profile.ts';
import type { Finding, Judgement } from '../../../functions/shared/verdict.ts';

// ---------------------------------------------------------------------------------------------------------
// A contract that asks for every check, and a batch that meets it
// ---------------------------------------------------------------------------------------------------------

const CONTRACT = `contract: 1
dataset: flights
format: parquet
rows: { min: 9000, max: 20000, changeFromBaseline: 20% }
key: { columns: [date, origin], duplicates: 0.1% }
duplicateRows: 0%
freshness: { column: date, maxAge: 40d, span: [20d, 32d] }
columnOrder: contract
extraColumns: forbid
columns:
  date: { type: timestamp, required: true }
  delay:
    type: integer
    nulls: 2%
    zeros: 10%
    range: [-90, 2000]
    outOfRange: 0.01%
    constant: false
    drift: { psi: 0.2, ks: 0.1, wasserstein: 0.1, mean: 0.2, quantiles: { 0.5: 0.2 } }
  speed: { type: number, physical: DOUBLE, nan: 1%, invalid: 1% }
  origin:
    type: string
    empty: 0%
    pattern: '[A-Z]{3}'
    length: [3, 3]
    dominant: 50%
    distinct: [2, 300]
    newCategories: 0.5%
    vanishedCategories: 1%
    drift: { js: 0.1, linf: 0.1 }
  carrier: { type: string, required: false, values: [AA, DL] }
rules:
  - { name: nobody is slower than a car, sql: speed > 100, violations: 1% }
`;

/** The contract with other drift checks on delay. */
function driftOfDelay(drift: string): string {
  return CONTRACT.replace(/(drift: )\{ psi.*\n/, `$1{ ${drift} }\n`);
}

const none: Breach = { count: 0, samples: [] };

function some(count: number, ...samples: Breach['samples']): Breach {
  return { count, samples };
}

const EDGES = [-25, -20, -15, -12, -10, -8, -6, -4, -2, 0, 2, 4, 7, 10, 15, 25, 40, 70, 120];
const delays: NumericDistribution = {
  kind: 'numeric',
  edges: EDGES,
  cells: Array.from({ length: 20 }, () => 480),
  atoms: [0],
  atomCounts: [400],
  nulls: 0,
};
const origins: CategoricalDistribution = {
  kind: 'categorical',
  values: ['ATL', 'ORD', 'LAX'],
  counts: [4000, 3500, 2500],
  other: 0,
  otherDistinct: 0,
  nulls: 0,
};

const usual = { count: 10_000, nulls: 0, invalid: 0 };
const COLUMNS = {
  date: { type: 'timestamp', physical: 'TIMESTAMP', ...usual, distinct: { value: 9000, exact: true } },
  delay: {
    type: 'integer',
    physical: 'BIGINT',
    ...usual,
    zeros: 400,
    min: -30,
    max: 300,
    mean: 6.3,
    std: 30.9,
    distinct: { value: 200, exact: true },
    dominant: { share: 0.04, value: '0' },
    distribution: delays,
  },
  speed: {
    type: 'number',
    physical: 'DOUBLE',
    ...usual,
    nan: 0,
    zeros: 0,
    distinct: { value: 9000, exact: true },
  },
  origin: {
    type: 'string',
    physical: 'VARCHAR',
    ...usual,
    empty: 0,
    distinct: { value: 3, exact: true },
    dominant: { share: 0.4, value: 'ATL' },
    distribution: origins,
  },
  carrier: {
    type: 'string',
    physical: 'VARCHAR',
    ...usual,
    empty: 0,
    distinct: { value: 2, exact: true },
  },
} satisfies Record<string, ColumnProfile>;

const BASELINE: Profile = {
  profile: 1,
  dataset: 'flights',
  tocsin: '0.1.0',
  rows: 10_000,
  sha256: 'ab'.repeat(32),
  columns: COLUMNS,
};

/** A batch that meets the contract. */
function clean(): Measurements {
  return {
    malformed: { count: 0, samples: [], reasons: [] },
    actualColumns: Object.keys(COLUMNS),
    inconsistentFiles: [],
    profile: structuredClone(BASELINE),
    columns: {
      date: { nulls: none },
      delay: { nulls: none, zeros: some(400), range: none, onBaseline: delays },
      speed: { nan: none, invalid: none },
      origin: { empty: none, pattern: none, length: none, onBaseline: origins, newCategories: none },
      carrier: { values: none },
    },
    key: none,
    duplicateRows: none,
    rules: { 'nobody is slower than a car': none },
    times: { oldest: Date.UTC(2001, 1, 1), newest: Date.UTC(2001, 1, 28, 12) },
    asOf: Date.UTC(2001, 1, 28, 23, 59, 59, 999),
  };
}

interface Change {
  /** Changes the clean batch. */
  batch?: (batch: Measurements) => void;
  contract?: string;
  baseline?: Profile | null;
}

function judged({ batch, contract = CONTRACT, baseline = BASELINE }: Change): Judgement {
  const measurements = clean();
  batch?.(measurements);
  return decide(measurements, parseContract(contract, 'flights.yaml'), baseline ?? undefined);
}

/** Everything that did not pass. */
function problems(judgement: Judgement): Finding[] {
  return judgement.findings.filter(({ outcome }) => outcome !== 'pass');
}

function column(batch: Measurements, name: string): ColumnProfile {
  return batch.profile.columns[name]!;
}

function measured(batch: Measurements, name: string): ColumnMeasurements {
  return batch.columns[name]!;
}

test('a batch that meets the contract passes, and every check has its finding', () => {
  const judgement = judged({});
  expect(judgement.outcome).toBe('pass');
  expect(judgement.reason).toBe('10,000 rows of 5 columns meet flights.yaml (37 checks).');
  expect(new Set(judgement.findings.map(({ outcome }) => outcome))).toEqual(new Set(['pass']));
  expect([...new Set(judgement.findings.map(({ check }) => check))].sort()).toEqual(
    [
      'well-formed',
      'column-order',
      'rows',
      'type',
      'invalid',
      'nulls',
      'empty',
      'nan',
      'zeros',
      'range',
      'values',
      'pattern',
      'length',
      'constant',
      'dominant',
      'distinct',
      'key',
      'duplicate-rows',
      'freshness',
      'future',
      'time-span',
      'rule',
      'rows-change',
      'new-categories',
      'vanished-categories',
      'drift-psi',
      'drift-ks',
      'drift-wasserstein',
      'drift-mean',
      'drift-quantile-0.5',
      'drift-js',
      'drift-linf',
    ].sort(),
  );
  expect(judgement.notChecked).toEqual([
    { subject: 'column date', check: 'range or values, drift', why: 'the contract sets no limit' },
    {
      subject: 'column speed',
      check: 'nulls, zeros, range or values, drift',
      why: 'the contract sets no limit',
    },
    { subject: 'column origin', check: 'nulls', why: 'the contract sets no limit' },
    { subject: 'column carrier', check: 'nulls, drift', why: 'the contract sets no limit' },
  ]);
});

// ---------------------------------------------------------------------------------------------------------
// One thing wrong: the sentence that somebody is woken with
// ---------------------------------------------------------------------------------------------------------

describe('one thing wrong is one finding, and its sentence is the reason', () => {
  const cases: [check: string, outcome: 'fail' | 'inconclusive', change: Change, message: string][] = [
    [
      'readable',
      'fail',
      {
        batch: (batch) =>
          Object.assign(batch, { unreadable: { file: '02.parquet', reason: 'it is cut off' } }),
      },
      '02.parquet cannot be read as parquet: it is cut off.',
    ],
    [
      'readable',
      'fail',
      { batch: (batch) => Object.assign(batch, { actualColumns: [] }) },
      'The dataset is empty: it has no record and no column.',
    ],
    [
      'consistent-files',
      'fail',
      {
        batch: (batch) =>
          Object.assign(batch, { inconsistentFiles: [{ file: 'b.parquet', columns: ['date', 'delai'] }] }),
      },
      '1 file has other columns or types than the first: b.parquet has date, delai, the first date, delay, speed, origin, carrier.',
    ],
    [
      'well-formed',
      'fail',
      {
        batch: (batch) =>
          Object.assign(batch, {
            malformed: { count: 1, samples: [{ row: 17 }], reasons: ['too few columns'] },
          }),
      },
      '1 record is not well-formed parquet: too few columns; the first is in line 17.',
    ],
    [
      'well-formed',
      'fail',
      {
        batch: (batch) =>
          Object.assign(batch, {
            malformed: {
              count: 10_000,
              more: true,
              samples: [{ file: 'b.csv', row: 2 }],
              reasons: ['too few columns', 'a quote that is not closed'],
            },
          }),
      },
      'At least 10,000 records are not well-formed parquet: too few columns, a quote that is not closed; the first is in b.csv, line 2.',
    ],
    [
      'missing-column',
      'fail',
      {
        contract: CONTRACT.replace('extraColumns: forbid', 'extraColumns: allow'),
        batch: (batch) => {
          batch.actualColumns = ['date', 'delay', 'Speed', 'origin', 'carrier'];
          delete batch.profile.columns.speed;
          delete batch.columns.speed;
        },
      },
      'Column speed is missing (flights.yaml:20). The file has "Speed": was it renamed?',
    ],
    [
      'extra-column',
      'fail',
      { batch: (batch) => void batch.actualColumns.push('note') },
      'Column note is not in the contract, so nobody checks it (flights.yaml:9).',
    ],
    [
      'duplicate-column',
      'fail',
      { batch: (batch) => void batch.actualColumns.push('carrier') },
      'Column carrier stands in the file more than once; readers disagree on which one counts.',
    ],
    [
      'column-order',
      'fail',
      {
        batch: (batch) => {
          batch.actualColumns = ['delay', 'date', 'speed', 'origin', 'carrier'];
        },
      },
      'Column delay stands where date should (flights.yaml:8).',
    ],
    [
      'rows',
      'fail',
      {
        batch: (batch) => {
          batch.profile.rows = 8999;
        },
      },
      '8,999 rows, 9,000 to 20,000 allowed (flights.yaml:4); baseline has 10,000.',
    ],
    [
      'rows-change',
      'fail',
      { baseline: { ...BASELINE, rows: 14_000 } },
      "10,000 rows, 28.6% fewer than the baseline's 14,000; at most 20% allowed (flights.yaml:4).",
    ],
    [
      'rows-change',
      'fail',
      { baseline: { ...BASELINE, rows: 8333 } },
      "10,000 rows, 20.005% more than the baseline's 8,333; at most 20% allowed (flights.yaml:4).",
    ],
    [
      'type',
      'fail',
      {
        batch: (batch) => {
          column(batch, 'delay').physical = 'VARCHAR';
        },
      },
      'Column delay: stored as VARCHAR, expected integer (flights.yaml:13); all of its values would convert.',
    ],
    [
      'type',
      'fail',
      {
        batch: (batch) => {
          column(batch, 'speed').physical = 'FLOAT';
        },
      },
      'Column speed: stored as FLOAT, expected DOUBLE (flights.yaml:20).',
    ],
    [
      'invalid',
      'fail',
      {
        batch: (batch) => {
          measured(batch, 'speed').invalid = some(120, { row: 3, value: 'fast' });
        },
      },
      'Column speed: 1.2% are no number, at most 1% allowed (flights.yaml:20); baseline has 0%.',
    ],
    [
      'nulls',
      'fail',
      {
        batch: (batch) => {
          measured(batch, 'date').nulls = some(1, { row: 3 });
        },
      },
      'Column date: 0.01% nulls (1 row), none allowed (flights.yaml:11); baseline has 0%.',
    ],
    [
      'zeros',
      'fail',
      {
        batch: (batch) => {
          measured(batch, 'delay').zeros = some(3810);
        },
      },
      'Column delay: 38.1% zeros, at most 10% allowed (flights.yaml:15); baseline has 4%.',
    ],
    [
      'zeros',
      'fail',
      {
        batch: (batch) => {
          measured(batch, 'delay').zeros = some(1001);
        },
      },
      'Column delay: 10.01% zeros, at most 10% allowed (flights.yaml:15); baseline has 4%.',
    ],
    [
      'nan',
      'fail',
      {
        batch: (batch) => {
          measured(batch, 'speed').nan = some(500);
        },
      },
      'Column speed: 5% NaN or infinite, at most 1% allowed (flights.yaml:20); baseline has 0%.',
    ],
    [
      'range',
      'fail',
      {
        batch: (batch) => {
          measured(batch, 'delay').range = some(20, { row: 7, value: '99999' });
        },
      },
      'Column delay: 0.2% outside -90 to 2000 (20 rows), at most 0.01% allowed (flights.yaml:16).',
    ],
    [
      'values',
      'fail',
      {
        batch: (batch) => {
          measured(batch, 'carrier').values = some(2500);
        },
      },
      'Column carrier: 25% not in the set of allowed values, none allowed (flights.yaml:31).',
    ],
    [
      'empty',
      'fail',
      {
        batch: (batch) => {
          measured(batch, 'origin').empty = some(2);
        },
      },
      'Column origin: 0.02% empty texts (2 rows), none allowed (flights.yaml:23); baseline has 0%.',
    ],
    [
      'pattern',
      'fail',
      {
        batch: (batch) => {
          measured(batch, 'origin').pattern = some(4000);
        },
      },
      'Column origin: 40% do not match [A-Z]{3}, none allowed (flights.yaml:24).',
    ],
    [
      'length',
      'fail',
      {
        batch: (batch) => {
          measured(batch, 'origin').length = some(4000);
        },
      },
      'Column origin: 40% not 3 characters long, none allowed (flights.yaml:25).',
    ],
    [
      'length',
      'fail',
      {
        contract: CONTRACT.replace('length: [3, 3]', 'length: [3, 8]'),
        batch: (batch) => {
          measured(batch, 'origin').length = some(4000);
        },
      },
      'Column origin: 40% not 3 to 8 characters long, none allowed (flights.yaml:25).',
    ],
    [
      'constant',
      'fail',
      {
        batch: (batch) =>
          Object.assign(column(batch, 'delay'), {
            distinct: { value: 1, exact: true },
            dominant: { share: 1, value: '7' },
          }),
      },
      'Column delay has a single value, 7 (flights.yaml:18); baseline has 200 distinct values.',
    ],
    [
      'dominant',
      'fail',
      {
        batch: (batch) => {
          column(batch, 'origin').dominant = { share: 0.9, value: 'ATL' };
        },
      },
      'Column origin: the most frequent value "ATL" holds 90% of the rows, at most 50% allowed (flights.yaml:26); baseline has 40%.',
    ],
    [
      'dominant',
      'inconclusive',
      {
        contract: CONTRACT.replace('dominant: 50%', 'dominant: 4%'),
        batch: (batch) => {
          delete column(batch, 'origin').dominant;
        },
      },
      'Column origin: the most frequent value holds under 5% of the rows, at most 4% allowed (flights.yaml:26); baseline has 40%.',
    ],
    [
      'distinct',
      'fail',
      {
        batch: (batch) => {
          column(batch, 'origin').distinct = { value: 1, exact: true };
        },
      },
      'Column origin: 1 distinct value, 2 to 300 allowed (flights.yaml:27).',
    ],
    [
      'distinct',
      'inconclusive',
      {
        batch: (batch) => {
          column(batch, 'origin').distinct = { value: 290, exact: false };
        },
      },
      'Column origin: about 290 distinct values, 2 to 300 allowed (flights.yaml:27).',
    ],
    [
      'key',
      'fail',
      {
        batch: (batch) => {
          batch.key = some(90, { row: 1 }, { row: 2 });
        },
      },
      'Key (date, origin): 0.9% of the rows repeat the key of another (90 rows), at most 0.1% allowed (flights.yaml:5).',
    ],
    [
      'duplicate-rows',
      'fail',
      {
        batch: (batch) => {
          batch.duplicateRows = some(10_000 / 2);
        },
      },
      'Rows: 50% repeat another row in every column, none allowed (flights.yaml:6).',
    ],
    [
      'freshness',
      'fail',
      {
        batch: (batch) => {
          batch.times = { oldest: Date.UTC(2000, 11, 1), newest: Date.UTC(2000, 11, 31) };
        },
      },
      'Column date: the newest value is 2000-12-31T00:00:00Z, 60 d before 2001-02-28; at most 40 d before it allowed (flights.yaml:7).',
    ],
    [
      'freshness',
      'inconclusive',
      {
        batch: (batch) => {
          batch.asOf = null;
        },
      },
      'Freshness cannot be told: the object key has no date in it (flights.yaml:7).',
    ],
    [
      'freshness',
      'inconclusive',
      {
        batch: (batch) => {
          delete batch.times;
        },
      },
      'Freshness cannot be told: column date has no time (flights.yaml:7).',
    ],
    [
      'future',
      'fail',
      {
        batch: (batch) => {
          batch.times = { oldest: Date.UTC(2002, 1, 1), newest: Date.UTC(2002, 1, 28) };
        },
      },
      'Column date: the newest value is 2002-02-28T00:00:00Z, 364 d after 2001-02-28; at most 1 d after it allowed (flights.yaml:7).',
    ],
    [
      'time-span',
      'fail',
      {
        batch: (batch) => {
          batch.times = { oldest: Date.UTC(2001, 1, 27), newest: Date.UTC(2001, 1, 28, 12) };
        },
      },
      'Column date: the values span 1.5 d, 20 d to 32 d allowed (flights.yaml:7).',
    ],
    [
      'rule',
      'fail',
      {
        batch: (batch) => {
          batch.rules = { 'nobody is slower than a car': some(1500, { row: 8 }) };
        },
      },
      'Rule "nobody is slower than a car": 15% of the rows violate speed > 100, at most 1% allowed (flights.yaml:33).',
    ],
    [
      'rule',
      'inconclusive',
      {
        batch: (batch) => {
          batch.rules = { 'nobody is slower than a car': { error: 'column speed is missing' } };
        },
      },
      'Rule "nobody is slower than a car" could not be checked: column speed is missing (flights.yaml:33).',
    ],
    [
      'new-categories',
      'fail',
      {
        batch: (batch) =>
          Object.assign(measured(batch, 'origin'), {
            onBaseline: { ...origins, counts: [3900, 3500, 2500], other: 100 },
            newCategories: some(100, { row: 3, value: 'XXX' }),
          }),
      },
      'Column origin: 1% have a value that the baseline does not have (such as "XXX"), at most 0.5% allowed (flights.yaml:28).',
    ],
    [
      'vanished-categories',
      'fail',
      {
        contract: CONTRACT.replace('vanishedCategories: 1%', 'vanishedCategories: 0.1%'),
        batch: (batch) => {
          const values = ['ATL', 'ORD', 'LAX', 'ABE'];
          measured(batch, 'origin').onBaseline = { ...origins, values, counts: [4000, 3500, 2500, 0] };
        },
        baseline: {
          ...BASELINE,
          columns: {
            ...COLUMNS,
            origin: {
              ...COLUMNS.origin,
              distribution: {
                ...origins,
                values: ['ATL', 'ORD', 'LAX', 'ABE'],
                counts: [3980, 3500, 2470, 50],
              },
            },
          },
        },
      },
      'Column origin: 0.5% of the baseline\'s rows have a value that no longer occurs (such as "ABE") (50 rows), at most 0.1% allowed (flights.yaml:29).',
    ],
    [
      'drift-mean',
      'fail',
      {
        contract: driftOfDelay('mean: 0.2'),
        batch: (batch) => {
          column(batch, 'delay').mean = 20;
        },
      },
      'Column delay: shift of the mean (in standard deviations) 0.443 against the baseline (at least 0.402 with 99.7% confidence), at most 0.2 allowed (flights.yaml:19); mean 20, baseline 6.3.',
    ],
    [
      'drift-mean',
      'inconclusive',
      {
        contract: driftOfDelay('mean: 0.2'),
        batch: (batch) => {
          column(batch, 'delay').mean = 12;
        },
      },
      'Column delay: shift of the mean (in standard deviations) 0.184 against the baseline (0.143 to 0.226 with 99.7% confidence), at most 0.2 allowed (flights.yaml:19); 10,000 rows cannot tell: only a change above 0.253 would be seen; mean 12, baseline 6.3.',
    ],
    [
      'drift-psi',
      'fail',
      {
        contract: driftOfDelay('psi: 0.2'),
        batch: (batch) => {
          measured(batch, 'delay').onBaseline = {
            ...delays,
            cells: delays.cells.map((count, index) => (index < 10 ? count / 2 : count * 1.5)),
          };
        },
      },
      'Column delay: population stability index 0.262 against the baseline (at least 0.224 with 99.7% confidence), at most 0.2 allowed (flights.yaml:19).',
    ],
    [
      'drift-quantile-0.5',
      'fail',
      {
        contract: driftOfDelay('quantiles: { 0.5: 0.2 }'),
        batch: (batch) => {
          measured(batch, 'delay').onBaseline = {
            ...delays,
            cells: delays.cells.map((count, index) => (index < 10 ? count / 2 : count * 1.5)),
          };
        },
      },
      'Column delay: shift of quantile 0.5 (in standard deviations) 0.232 against the baseline (at least 0.208 with 99.7% confidence), at most 0.2 allowed (flights.yaml:19).',
    ],
    [
      'drift-linf',
      'fail',
      {
        batch: (batch) => {
          measured(batch, 'origin').onBaseline = { ...origins, counts: [5300, 2200, 2500] };
        },
        contract: CONTRACT.replace('js: 0.1, ', ''),
      },
      'Column origin: largest change of a share 0.13 against the baseline (at least 0.104 with 99.8% confidence), at most 0.1 allowed (flights.yaml:30).',
    ],
    [
      'drift-linf',
      'inconclusive',
      {
        contract: CONTRACT.replace('js: 0.1, ', '')
          .replace('min: 9000', 'min: 1')
          .replace(', changeFromBaseline: 20%', ''),
        batch: (batch) => {
          batch.profile.rows = 3;
          column(batch, 'delay').mean = 6.3;
          measured(batch, 'delay').zeros = none;
          measured(batch, 'origin').onBaseline = { ...origins, counts: [1, 1, 1] };
        },
        baseline: BASELINE,
      },
      'Column origin: largest change of a share 0.0833 against the baseline (0 to 1 with 99.8% confidence), at most 0.1 allowed (flights.yaml:30); 3 rows cannot tell, whatever the change.',
    ],
    [
      'baseline',
      'inconclusive',
      { baseline: null },
      'There is no baseline yet, and 10 checks of flights.yaml need one.',
    ],
  ];

  test.each(cases)('%s: %s', (check, outcome, change, message) => {
    const judgement = judged(change);
    expect(judgement.outcome).toBe(outcome);
    expect(
      problems(judgement).map((finding) => ({ check: finding.check, message: finding.message })),
    ).toEqual([{ check, message }]);
    expect(judgement.reason).toBe(message);
    const [finding] = problems(judgement);
    expect(finding?.help?.endsWith('.')).toBe(true);
    const line = /flights\.yaml:(\d+)/.exec(message)?.[1];
    if (line !== undefined) expect(finding?.rule).toMatchObject({ file: 'flights.yaml', line: Number(line) });
  });

  test('every check is among them', () => {
    const shown = new Set(cases.map(([check]) => check.replace(/^drift-.*/, 'drift')));
    const all = new Set(judged({}).findings.map(({ check }) => check.replace(/^drift-.*/, 'drift')));
    expect([...all].filter((check) => !shown.has(check))).toEqual([]);
  });
});

// ---------------------------------------------------------------------------------------------------------
// More than one thing wrong, or nothing to go by
// ---------------------------------------------------------------------------------------------------------

test('findings come worst first, and otherwise in the order of the contract', () => {
  const judgement = judged({
    batch: (batch) => {
      measured(batch, 'origin').empty = some(7);
      measured(batch, 'delay').zeros = some(5000);
      batch.rules = {};
      batch.duplicateRows = some(1);
    },
    contract: CONTRACT.replace('columns:\n', 'warn: [duplicateRows]\ncolumns:\n'),
  });
  expect(judgement.outcome).toBe('fail');
  expect(judgement.reason).toMatch(/^2 of 37 checks failed; first: Column delay: 50% zeros, /);
  expect(problems(judgement).map(({ outcome, check }) => `${outcome} ${check}`)).toEqual([
    'fail zeros',
    'fail empty',
    'inconclusive rule',
    'warn duplicate-rows',
  ]);
});

test('a finding carries the numbers, the place of its rule, sample rows and what to do', () => {
  const samples = [
    { row: 4, value: '0' },
    { row: 9, value: '0' },
  ];
  const judgement = judged({
    batch: (batch) => Object.assign(measured(batch, 'delay'), { zeros: some(3810, ...samples) }),
  });
  expect(problems(judgement)).toEqual([
    {
      check: 'zeros',
      subject: 'column delay',
      column: 'delay',
      outcome: 'fail',
      message: 'Column delay: 38.1% zeros, at most 10% allowed (flights.yaml:15); baseline has 4%.',
      allowed: 'at most 10%',
      observed: '38.1%',
      limit: 0.1,
      value: 0.381,
      rule: { file: 'flights.yaml', line: 15, column: 5 },
      samples,
      help: 'Look for a default value or a failed join upstream.',
    },
  ]);
});

test('a drift finding carries its interval, and how small an effect could have been seen', () => {
  const judgement = judged({
    contract: driftOfDelay('mean: 0.2'),
    batch: (batch) => Object.assign(column(batch, 'delay'), { mean: 12 }),
  });
  expect(problems(judgement)).toMatchObject([
    {
      outcome: 'inconclusive',
      limit: 0.2,
      value: expect.closeTo(5.7 / 30.9, 10),
      interval: {
        low: expect.closeTo(0.143, 3),
        estimate: expect.closeTo(0.184, 3),
        high: expect.closeTo(0.226, 3),
        // 99 % for three drift checks together.
        confidence: expect.closeTo(1 - 0.01 / 3, 12),
      },
      smallestDetectable: expect.closeTo(0.253, 3),
    },
  ]);
});

describe('warn', () => {
  const softened = CONTRACT.replace('zeros: 10%', 'zeros: 10%, warn: [zeros, psi]').replace(
    /delay:\n {4}type: integer\n {4}nulls: 2%\n {4}zeros: 10%, warn: \[zeros, psi\]/,
    'delay:\n    type: integer\n    nulls: 2%\n    zeros: 10%\n    warn: [zeros, nulls]',
  );

  test('turns the failure of that check into a warning, and says so', () => {
    const judgement = judged({
      contract: softened,
      batch: (batch) => Object.assign(measured(batch, 'delay'), { zeros: some(3810), nulls: some(300) }),
    });
    expect(judgement.outcome).toBe('pass');
    expect(judgement.reason).toBe(
      '10,000 rows of 5 columns meet flights.yaml (37 checks, 2 with a warning).',
    );
    expect(problems(judgement).map(({ outcome, check }) => `${outcome} ${check}`)).toEqual([
      'warn nulls',
      'warn zeros',
    ]);
  });

  test('and of that column alone', () => {
    const judgement = judged({
      contract: softened,
      batch: (batch) => {
        measured(batch, 'delay').zeros = some(3810);
        measured(batch, 'date').nulls = some(1);
      },
    });
    expect(judgement.outcome).toBe('fail');
  });

  test.each([
    ['rows', (batch: Measurements) => Object.assign(batch.profile, { rows: 8500 })],
    ['key', (batch: Measurements) => Object.assign(batch, { key: some(5000) })],
    ['freshness', (batch: Measurements) => Object.assign(batch, { times: { oldest: 0, newest: 1 } })],
    ['columnOrder', (batch: Measurements) => batch.actualColumns.reverse()],
    ['extraColumns', (batch: Measurements) => batch.actualColumns.push('note')],
  ])('of the dataset: %s', (check, batch) => {
    expect(judged({ batch }).outcome).toBe('fail');
    const contract = CONTRACT.replace('columns:\n', `warn: [${check}]\ncolumns:\n`);
    const judgement = judged({ batch, contract });
    expect(judgement.outcome).toBe('pass');
    expect(problems(judgement).length).toBeGreaterThan(0);
  });

  test('of a rule', () => {
    const batch = (it: Measurements) =>
      Object.assign(it, { rules: { 'nobody is slower than a car': some(5000) } });
    const contract = CONTRACT.replace('violations: 1%', 'violations: 1%, warn: true');
    expect(judged({ batch }).outcome).toBe('fail');
    expect(judged({ batch, contract }).outcome).toBe('pass');
  });

  test('extraColumns: allow says that nobody checks them', () => {
    const judgement = judged({
      contract: CONTRACT.replace('extraColumns: forbid', 'extraColumns: allow'),
      batch: (batch) => void batch.actualColumns.push('note'),
    });
    expect(judgement.outcome).toBe('pass');
    expect(judgement.notChecked).toContainEqual({
      subject: 'column note',
      check: 'all',
      why: 'extraColumns: allow',
    });
  });
});

describe('what cannot be judged is never a pass', () => {
  test.each([
    ['no row', (batch: Measurements) => Object.assign(batch.profile, { rows: 0 })],
    ['no column', (batch: Measurements) => Object.assign(batch, { actualColumns: [] })],
    [
      'nothing readable',
      (batch: Measurements) => Object.assign(batch, { unreadable: { file: 'x', reason: 'broken' } }),
    ],
  ])('%s, whatever the contract allows', (_, batch) => {
    const columns = CONTRACT.slice(CONTRACT.indexOf('columns:\n'));
    for (const head of [
      'contract: 1\ndataset: flights\nformat: parquet\n',
      'contract: 1\ndataset: flights\nformat: parquet\nrows: { min: 0 }\n',
      'contract: 1\ndataset: flights\nformat: parquet\nwarn: [rows]\n',
    ]) {
      expect(judged({ contract: head + columns, batch }).outcome).toBe('fail');
    }
  });

  test('a check that the engine left out', () => {
    for (const [name, keys] of Object.entries({
      date: ['nulls'],
      delay: ['nulls', 'zeros', 'range'],
      speed: ['nan'],
      origin: ['empty', 'pattern', 'length'],
      carrier: ['values'],
    })) {
      for (const key of keys) {
        const judgement = judged({
          batch: (batch) => {
            delete measured(batch, name)[key as keyof ColumnMeasurements];
          },
        });
        expect(judgement.reason).toMatch(
          new RegExp(
            `^Column ${name}: ${key} cannot be judged: it was not measured \\(flights.yaml:\\d+\\)\\.$`,
          ),
        );
        expect(judgement.outcome).toBe('inconclusive');
      }
    }
    for (const key of ['key', 'duplicateRows'] as const) {
      const judgement = judged({
        batch: (batch) => {
          delete batch[key];
        },
      });
      expect(judgement.outcome).toBe('inconclusive');
      expect(judgement.reason).toMatch(
        /: repeats cannot be counted: they were not measured \(flights.yaml:\d\)\.$/,
      );
    }
  });

  test('a key of which a column is absent, even where the contract allows that', () => {
    const judgement = judged({
      contract: CONTRACT.replace('columns: [date, origin]', 'columns: [date, carrier]'),
      batch: (batch) => {
        batch.actualColumns.pop();
        delete batch.profile.columns.carrier;
        delete batch.columns.carrier;
        delete batch.key;
      },
    });
    expect(judgement.outcome).toBe('inconclusive');
    expect(judgement.reason).toBe(
      'Key (date, carrier): repeats cannot be counted: column carrier is missing (flights.yaml:5).',
    );
    expect(judgement.notChecked).toContainEqual({
      subject: 'column carrier',
      check: 'all',
      why: 'the column is absent, which the contract allows',
    });
  });

  test('a baseline that lacks the column, or has another type of it', () => {
    const { delay: _, ...others } = COLUMNS;
    const without = judged({ baseline: { ...BASELINE, columns: others } });
    expect(without.outcome).toBe('inconclusive');
    expect(problems(without).map(({ check }) => check)).toEqual([
      'drift-psi',
      'drift-ks',
      'drift-wasserstein',
      'drift-mean',
      'drift-quantile-0.5',
    ]);
    expect(problems(without)[0]?.message).toBe(
      'Column delay: drift psi cannot be judged: the baseline does not have the column (flights.yaml:19).',
    );
    const other = judged({ baseline: { ...BASELINE, columns: { ...COLUMNS, delay: COLUMNS.origin } } });
    expect(other.outcome).toBe('inconclusive');
    expect(problems(other)[0]?.message).toBe(
      'Column delay: drift psi cannot be judged: the column does not vary in the baseline, or has another type there (flights.yaml:19).',
    );
  });

  test('a baseline that lists not all categories', () => {
    const partial = { ...COLUMNS.origin, distribution: { ...origins, other: 100, otherDistinct: 7 } };
    const judgement = judged({ baseline: { ...BASELINE, columns: { ...COLUMNS, origin: partial } } });
    expect(judgement.outcome).toBe('inconclusive');
    expect(judgement.reason).toBe(
      'Column origin: new categories cannot be judged: the column has more values than the baseline keeps (flights.yaml:28).',
    );
  });

  test('a column without a value', () => {
    const judgement = judged({
      batch: (batch) => {
        Object.assign(column(batch, 'delay'), {
          count: 0,
          nulls: 10_000,
          distinct: { value: 0, exact: true },
        });
        for (const key of ['min', 'max', 'mean', 'std', 'distribution', 'dominant'] as const) {
          delete column(batch, 'delay')[key];
        }
        Object.assign(measured(batch, 'delay'), { nulls: some(10_000), zeros: none, onBaseline: undefined });
      },
    });
    expect(judgement.outcome).toBe('fail');
    expect(
      problems(judgement)
        .map(({ outcome, check, message }) => `${outcome} ${check}: ${message}`)
        .slice(0, 3),
    ).toEqual([
      'fail nulls: Column delay: 100% nulls, at most 2% allowed (flights.yaml:14); baseline has 0%.',
      'fail constant: Column delay has no value at all (flights.yaml:18); baseline has 200 distinct values.',
      'inconclusive drift-psi: Column delay: drift psi cannot be judged: the column has no value (flights.yaml:19).',
    ]);
  });
});

// ---------------------------------------------------------------------------------------------------------
// Whatever was measured
// ---------------------------------------------------------------------------------------------------------

describe('any measurements', () => {
  const count = fc.oneof(fc.constant(0), fc.nat(20), fc.nat(20_000));
  const breach: fc.Arbitrary<Breach> = count.map((rows) => some(rows));
  const real = fc.oneof(
    fc.double({ min: -1e9, max: 1e9, noNaN: true }),
    fc.double({ noNaN: true, noDefaultInfinity: true }),
  );
  const counts = (length: number) => fc.array(count, { minLength: length, maxLength: length });
  const overDelays = fc.record({
    kind: fc.constant('numeric' as const),
    edges: fc.constant(EDGES),
    cells: counts(20),
    atoms: fc.constant([0]),
    atomCounts: counts(1),
    nulls: count,
  });
  const overOrigins = fc.record({
    kind: fc.constant('categorical' as const),
    values: fc.constant(origins.values),
    counts: counts(3),
    other: count,
    otherDistinct: fc.constant(0),
    nulls: count,
  });
  const distinct = fc.record({ value: count, exact: fc.boolean() });
  const all = fc.record({
    rows: count,
    malformed: fc.record({
      count,
      samples: fc.constant<Breach['samples']>([{ row: 1 }]),
      reasons: fc.constant<string[]>(['not valid']),
    }),
    actualColumns: fc.shuffledSubarray([...Object.keys(COLUMNS), 'note', 'constructor', '', 'speed']),
    delay: fc.record(
      {
        mean: real,
        std: fc.double({ min: 0, max: 1e9, noNaN: true }),
        min: real,
        max: real,
        count,
        distinct,
        physical: fc.constantFrom('BIGINT', 'VARCHAR', 'DOUBLE'),
      },
      { requiredKeys: [] },
    ),
    delayMeasured: fc.record(
      { nulls: breach, zeros: breach, range: breach, invalid: breach, onBaseline: overDelays },
      { requiredKeys: [] },
    ),
    origin: fc.record(
      { distinct, dominant: fc.record({ share: fc.double({ min: 0, max: 1, noNaN: true }) }) },
      { requiredKeys: [] },
    ),
    originMeasured: fc.record(
      { empty: breach, pattern: breach, length: breach, onBaseline: overOrigins, newCategories: breach },
      { requiredKeys: [] },
    ),
    dropped: fc.subarray(Object.keys(COLUMNS)),
    key: fc.option(breach, { nil: undefined }),
    duplicateRows: fc.option(breach, { nil: undefined }),
    rule: fc.oneof<fc.Arbitrary<Breach | { error: string }>[]>(breach, fc.record({ error: fc.string() })),
    times: fc.record({ oldest: real, newest: real }),
    asOf: fc.option(fc.double({ min: -8e15, max: 8e15, noNaN: true }), { nil: null }),
    baselineRows: count,
    withBaseline: fc.boolean(),
  });
  type Changes = Partial<typeof all extends fc.Arbitrary<infer T> ? T : never>;
  // A few changes at a time, or nothing would ever pass.
  const changes: fc.Arbitrary<Changes> = fc
    .tuple(all, fc.array(fc.nat(20), { maxLength: 4 }))
    .map(([change, picks]) =>
      Object.fromEntries(Object.entries(change).filter((_, index) => picks.includes(index))),
    );

  function measurementsOf(change: Changes): Measurements {
    const batch = clean();
    if (change.rows !== undefined) batch.profile.rows = change.rows;
    if (change.malformed !== undefined) batch.malformed = change.malformed;
    if (change.actualColumns !== undefined) batch.actualColumns = change.actualColumns;
    Object.assign(column(batch, 'delay'), change.delay);
    Object.assign(measured(batch, 'delay'), change.delayMeasured);
    Object.assign(column(batch, 'origin'), change.origin);
    Object.assign(measured(batch, 'origin'), change.originMeasured);
    if ('key' in change) Object.assign(batch, { key: change.key });
    if ('duplicateRows' in change) Object.assign(batch, { duplicateRows: change.duplicateRows });
    if (change.rule !== undefined) batch.rules = { 'nobody is slower than a car': change.rule };
    if (change.times !== undefined) batch.times = change.times;
    if (change.asOf !== undefined) batch.asOf = change.asOf;
    for (const name of change.dropped ?? []) {
      delete batch.profile.columns[name];
      delete batch.columns[name];
    }
    return batch;
  }

  const contract = parseContract(CONTRACT, 'flights.yaml');
  const judgeChange = (change: Changes, batch = measurementsOf(change)) =>
    decide(
      batch,
      contract,
      change.withBaseline === false ? undefined : { ...BASELINE, rows: change.baselineRows ?? 10_000 },
    );
  // A fixed seed: what fails here fails for everybody.
  const runs = { seed: 2001, numRuns: 1500 };

  test('are judged without an exception, and twice alike', () => {
    fc.assert(
      fc.property(changes, (change) => {
        const text = JSON.stringify(judgeChange(change));
        expect(JSON.stringify(judgeChange(structuredClone(change)))).toBe(text);
      }),
      runs,
    );
  });

  test('pass only where every finding passes or warns, and no column of the contract is missing', () => {
    const seen = { pass: 0, fail: 0, inconclusive: 0 };
    fc.assert(
      fc.property(changes, (change) => {
        const batch = measurementsOf(change);
        const judgement = judgeChange(change, batch);
        seen[judgement.outcome]++;
        const fine = judgement.findings.every(({ outcome }) => outcome === 'pass' || outcome === 'warn');
        expect(judgement.outcome === 'pass').toBe(fine);
        if (judgement.outcome !== 'pass') return;
        expect(batch.profile.rows).toBeGreaterThan(0);
        expect(batch.malformed.count).toBe(0);
        for (const name of ['date', 'delay', 'speed', 'origin']) expect(batch.actualColumns).toContain(name);
      }),
      runs,
    );
    // The property says little where it never sees one of them.
    for (const outcome of Object.values(seen)) expect(outcome).toBeGreaterThan(50);
  });

  test('are told in sentences', () => {
    fc.assert(
      fc.property(changes, (change) => {
        const judgement = judgeChange(change);
        for (const { message } of judgement.findings) {
          expect(message).toMatch(/^[A-Z0-9].*[.?]$/s);
          expect(message).not.toMatch(/undefined|NaN(?! or)|\[object/);
        }
      }),
      runs,
    );
  });

  test('are judged no better with one more breach', () => {
    const severity = { fail: 0, inconclusive: 1, pass: 2 };
    const breaches: ((batch: Measurements, more: number) => void)[] = [
      (batch, more) => add(batch.malformed, more),
      (batch, more) => add(batch.columns.date?.nulls, more),
      (batch, more) => add(batch.columns.delay?.nulls, more),
      (batch, more) => add(batch.columns.delay?.zeros, more),
      (batch, more) => add(batch.columns.delay?.range, more),
      (batch, more) => add(batch.columns.speed?.nan, more),
      (batch, more) => add(batch.columns.speed?.invalid, more),
      (batch, more) => add(batch.columns.origin?.empty, more),
      (batch, more) => add(batch.columns.origin?.pattern, more),
      (batch, more) => add(batch.columns.origin?.length, more),
      (batch, more) => add(batch.columns.carrier?.values, more),
      (batch, more) => add(batch.key, more),
      (batch, more) => add(batch.duplicateRows, more),
      (batch, more) => {
        const rule = batch.rules['nobody is slower than a car'];
        if (rule !== undefined && 'count' in rule) add(rule, more);
      },
      (batch) => void batch.actualColumns.push('one more'),
      (batch) => batch.inconsistentFiles.push({ file: 'b', columns: ['x'] }),
      (batch) => {
        batch.unreadable = { file: 'a', reason: 'it is cut off' };
      },
    ];
    const add = (breach: Breach | undefined, more: number) => {
      if (breach !== undefined) breach.count += more;
    };
    fc.assert(
      fc.property(
        changes,
        fc.constantFrom(...breaches),
        fc.integer({ min: 1, max: 20_000 }),
        (change, worsen, more) => {
          const batch = structuredClone(measurementsOf(change));
          const before = judgeChange(change, structuredClone(batch)).outcome;
          worsen(batch, more);
          expect(severity[judgeChange(change, batch).outcome]).toBeLessThanOrEqual(severity[before]);
        },
      ),
      runs,
    );
  });
});
