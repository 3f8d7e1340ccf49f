import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type Inference,
  type InitRequest,
  initContract,
} from '../../../functions/quality-gate/contract-init.ts';
import { parseContract } from '../../../functions/quality-gate/schema.ts';
import type { ColumnProfile, Profile } from '../../../functions/shared/profile.ts';

const DAY = 86_400_000;
const AS_OF = Date.parse('2001-03-01');

function column(of: Partial<ColumnProfile> & Pick<ColumnProfile, 'type'>): ColumnProfile {
  return { physical: 'TEXT', count: 1000, nulls: 0, invalid: 0, distinct: { value: 50, exact: true }, ...of };
}

function request(columns: Record<string, ColumnProfile>, of: Partial<InitRequest> = {}): InitRequest {
  const profile: Profile = {
    profile: 1,
    dataset: 'flights',
    tocsin: '0.1.0',
    rows: 1000,
    sha256: 'ab'.repeat(32),
    columns,
  };
  const inference: Inference = {
    format: 'csv',
    columns: Object.fromEntries(Object.entries(columns).map(([name, { type }]) => [name, { type }])),
  };
  return { profile, inference, source: 'flights.csv', asOf: AS_OF, baseline: false, ...of };
}

/** The contract that was written, parsed: so every test also shows that it is valid. */
function init(columns: Record<string, ColumnProfile>, of: Partial<InitRequest> = {}) {
  return parseContract(initContract(request(columns, of)), 'contract.yaml').value;
}

describe('limits on shares', () => {
  const zeros = (count: number, total = 1000) =>
    init({ delay: column({ type: 'integer', zeros: count, count: total, min: -1, max: 5 }) }).columns.delay
      ?.zeros;

  test('leave room above what was seen, as a person would write it', () => {
    expect(zeros(0)).toBe(0.01);
    expect(zeros(40)).toBe(0.1);
    expect(zeros(500)).toBe(0.7);
    expect(zeros(990)).toBe(0.998);
  });

  test('are above the share seen and never allow all rows', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 1e9 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (rows, part) => {
          const nulls = Math.min(rows - 1, Math.floor(part * rows));
          const base = request({ x: column({ type: 'string', count: rows - nulls, nulls }) });
          const text = initContract({ ...base, profile: { ...base.profile, rows } });
          const limit = parseContract(text, 'contract.yaml').value.columns.x?.nulls ?? Number.NaN;
          expect(limit).toBeGreaterThan(nulls / rows);
          expect(limit).toBeLessThan(1);
        },
      ),
    );
  });
});

describe('ranges', () => {
  const range = (min: number, max: number, type: 'integer' | 'number' = 'number') => {
    const rule = init({
      x: column({ type, zeros: 0, min, max, distinct: { value: min === max ? 1 : 9, exact: true } }),
    }).columns.x;
    return rule?.range as [number, number];
  };

  test('widen by half the spread, but never to another sign', () => {
    expect(range(-116, 1688, 'integer')).toEqual([-1020, 2590]);
    expect(range(0, 100)).toEqual([0, 150]);
    expect(range(0.4, 9.5)).toEqual([0.2, 14.1]);
    expect(range(-9, -1)).toEqual([-13, -0.5]);
    expect(range(1, 3, 'integer')).toEqual([1, 4]);
    expect(range(280, 300)).toEqual([270, 310]);
  });

  test('of a constant keep zero out', () => {
    expect(range(7, 7, 'integer')).toEqual([3, 11]);
    expect(range(-0.5, -0.5)).toEqual([-0.75, -0.25]);
  });

  test('hold the data and not the data times 100', () => {
    const magnitude = fc.double({ min: 1e-9, max: 1e15, noNaN: true });
    const value = fc.oneof(
      magnitude,
      magnitude.map((x) => -x),
      fc.constant(0),
    );
    fc.assert(
      fc.property(value, value, (a, b) => {
        const [min, max] = [Math.min(a, b), Math.max(a, b)];
        fc.pre(min !== 0 || max !== 0);
        const [low, high] = range(min, max);
        expect(low).toBeLessThanOrEqual(min);
        expect(high).toBeGreaterThanOrEqual(max);
        expect(min * 100 < low || max * 100 > high).toBe(true);
        if (min > 0) expect(low).toBeGreaterThan(0);
        if (max < 0) expect(high).toBeLessThan(0);
      }),
    );
  });

  test('tolerate a growing tail only as far as the column times 100 still fails', () => {
    // Two rows of a thousand are large enough to leave the range when they are multiplied by 100.
    const distribution = {
      kind: 'numeric' as const,
      edges: [0, 1],
      cells: [0, 998, 2],
      atoms: [0],
      atomCounts: [0],
      nulls: 0,
    };
    const rule = init({ x: column({ type: 'number', zeros: 0, min: 0.1, max: 1000, distribution }) }).columns
      .x;
    expect(rule?.range).toEqual([0.05, 1500]);
    expect(rule?.outOfRange).toBe(0.0005);
  });

  test('of times are open above, because later slices are later', () => {
    const times = { min: Date.parse('2001-01-01T05:00Z'), max: Date.parse('2001-01-31T23:00Z') };
    expect(init({ t: column({ type: 'timestamp', ...times }) }).columns.t?.range).toEqual([
      '2000-12-01',
      null,
    ]);
  });
});

describe('strings', () => {
  const values = (counts: Record<string, number>) => {
    const total = Object.values(counts).reduce((sum, count) => sum + count, 0);
    return column({
      type: 'string',
      empty: 0,
      shortest: 1,
      longest: 4,
      distinct: { value: Object.keys(counts).length, exact: true },
      dominant: { share: Math.max(...Object.values(counts)) / total, value: Object.keys(counts)[0] ?? '' },
      distribution: {
        kind: 'categorical',
        values: Object.keys(counts),
        counts: Object.values(counts),
        other: 0,
        otherDistinct: 0,
        nulls: 0,
      },
    });
  };

  test('of few values have them listed', () => {
    const rule = init({ weather: values({ rain: 600, sun: 398, "it's: #odd\n": 2 }) }).columns.weather;
    expect(rule?.values).toEqual(['rain', 'sun', "it's: #odd\n"]);
    expect(rule?.dominant).toBe(0.8);
  });

  test('of which many were seen once have more values than were seen', () => {
    const rare = Object.fromEntries(Array.from({ length: 15 }, (_, index) => [`v${index}`, 1]));
    const rule = init({ name: values({ common: 985, ...rare }) }).columns.name;
    expect(rule?.values).toBeUndefined();
    expect(rule?.distinct).toEqual([8, 32]);
    expect(rule?.length).toEqual([1, 6]);
  });

  test('of one shape have a pattern', () => {
    const origin = column({ type: 'string', empty: 0, shortest: 3, longest: 3 });
    const base = request({ origin });
    const inference: Inference = {
      format: 'csv',
      columns: { origin: { type: 'string', pattern: "[A-Z]'{3}" } },
    };
    const rule = parseContract(initContract({ ...base, inference }), 'contract.yaml').value.columns.origin;
    expect(rule?.pattern).toBe("[A-Z]'{3}");
    expect(rule?.length).toBeUndefined();
  });
});

describe('the dataset', () => {
  const unique = { distinct: { value: 1000, exact: true } };

  test('has a key where a unique column is called one, or is a time', () => {
    const measure = column({ type: 'integer', zeros: 0, min: 1, max: 2, ...unique });
    expect(init({ humid: measure, flightId: column({ type: 'string', ...unique }) }).key?.columns).toEqual([
      'flightId',
    ]);
    const day = column({ type: 'date', min: 0, max: DAY * 999, ...unique });
    expect(init({ humid: measure, day }).key?.columns).toEqual(['day']);
    expect(init({ humid: measure }).key).toBeUndefined();
    expect(init({ day }, { omit: new Set(['key']) }).key).toBeUndefined();
  });

  test('is fresh only where its newest time is recent', () => {
    const until = (max: string) =>
      init({ t: column({ type: 'timestamp', min: 0, max: Date.parse(max) }) }).freshness;
    expect(until('2001-02-26')).toMatchObject({ column: 't', maxAge: 7 * DAY });
    expect(until('1999-01-01')).toBeUndefined();
    expect(until('2001-06-01')).toBeUndefined();
  });

  test('is of half to one and a half times the rows', () => {
    expect(init({ x: column({ type: 'boolean' }) }).rows).toEqual({ min: 500, max: 1500 });
  });

  test('needs rows', () => {
    const base = request({});
    expect(() => initContract({ ...base, profile: { ...base.profile, rows: 0 } })).toThrow(RangeError);
  });
});

describe('drift', () => {
  const delay = column({
    type: 'integer',
    zeros: 0,
    min: 1,
    max: 9,
    distribution: { kind: 'numeric', edges: [4], cells: [500, 500], atoms: [], atomCounts: [], nulls: 0 },
  });

  test('is limited with a baseline only', () => {
    expect(init({ delay }).columns.delay?.drift).toBeUndefined();
    expect(init({ delay }).rows?.changeFromBaseline).toBeUndefined();
    const contract = init({ delay }, { baseline: true });
    expect(contract.columns.delay?.drift).toEqual({ psi: 0.2 });
    expect(contract.rows?.changeFromBaseline).toBe(0.5);
    expect(
      init({ delay }, { baseline: true, omit: new Set(['drift delay']) }).columns.delay?.drift,
    ).toBeUndefined();
  });
});

test('new categories are allowed while they are rare', () => {
  const airports = Array.from({ length: 30 }, (_, index) => `A${index}`);
  const origin = column({
    type: 'string',
    count: 1_000_000,
    distribution: {
      kind: 'categorical',
      values: airports,
      counts: airports.map(() => 30_000),
      other: 0,
      otherDistinct: 0,
      nulls: 0,
    },
  });
  const base = request({ origin }, { baseline: true });
  const text = initContract({ ...base, profile: { ...base.profile, rows: 1_000_000 } });
  expect(parseContract(text, 'contract.yaml').value.columns.origin).toMatchObject({
    newCategories: 0.001,
    vanishedCategories: 0.05,
    drift: { js: 0.1 },
  });
});

describe('odd columns', () => {
  test('without a value, or with unusable ones, can only be there', () => {
    const empty = column({ type: 'string', count: 0, nulls: 1000, distinct: { value: 0, exact: true } });
    const nested = column({ type: 'string', count: 0, invalid: 1000, distinct: { value: 0, exact: true } });
    const { columns } = init({ empty, nested });
    expect(columns.empty).toEqual({ type: 'string' });
    expect(columns.nested).toMatchObject({ type: 'string', invalid: 1 });
  });

  test('of any name survive the YAML', () => {
    const name = fc.oneof(
      fc.string({ minLength: 1, unit: 'binary' }),
      fc.constantFrom(
        'null',
        'true',
        'no',
        '1',
        '- a',
        'a: b',
        '#',
        "it's",
        '"',
        '&x',
        '*x',
        '!!int',
        '0x1',
        '~',
        '?',
      ),
    );
    fc.assert(
      fc.property(fc.uniqueArray(name, { minLength: 1, maxLength: 5 }), (names) => {
        fc.pre(!names.includes('__proto__'));
        const columns = Object.fromEntries(names.map((one) => [one, column({ type: 'boolean' })]));
        expect(Object.keys(init(columns).columns).sort()).toEqual([...names].sort());
      }),
    );
  });

  test('leave a comment of what was seen, on one line', () => {
    const delay = column({
      type: 'integer',
      zeros: 40,
      min: -1,
      max: 5,
      dominant: { share: 0.3, value: 'two\nlines' },
    });
    const text = initContract(request({ delay }, { source: 'a\nb.csv' }));
    expect(text).toContain('zeros: 10%                        # 4% seen');
    expect(text).toContain('range: [-4, 8]                    # -1 to 5 seen');
    expect(text).toContain('# 30% seen: "two\\nlines"');
    expect(text).toMatch(/^# Inferred by Tocsin \S+ from "a\\nb.csv": 1,000 rows, 1 columns\.\n/);
  });
});
