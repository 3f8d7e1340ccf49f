import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  baselineLaw,
  chanceOf,
  countValues,
  type DriftMeasure,
  driftedLaw,
  driftOf,
  featureOf,
  type Law,
  sampleRecords,
  type Value,
} from '../../../functions/alarm-drill/generator.ts';
import { driftEffect } from '../../../functions/quality-gate/drift.ts';
import { categoriesOf, coarseCells, nullsOf, piecesOf } from '../../../functions/shared/drift-cells.ts';
import { GateInputError } from '../../../functions/shared/errors.ts';
import type {
  CategoricalDistribution,
  ColumnProfile,
  Distribution,
  NumericDistribution,
  Profile,
} from '../../../functions/shared/profile.ts';
import { randomOf, seedOf } from '../../../functions/shared/random.ts';
import { duckdb, useLab, vega } from '../../support/datasets.ts';

const chance = (name = 'records') => randomOf(seedOf('5eed', name), 0);

/** Ten cells of 1,000 rows each, over 0 to 10; no zero was seen. */
const EVEN: NumericDistribution = {
  kind: 'numeric',
  edges: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
  cells: [0, ...Array<number>(10).fill(1_000)],
  atoms: [0],
  atomCounts: [0],
  nulls: 0,
};

/** Each category stands by itself. */
const COLOURS: CategoricalDistribution = {
  kind: 'categorical',
  values: ['red', 'green', 'blue'],
  counts: [5_000, 3_000, 1_500],
  other: 0,
  otherDistinct: 0,
  nulls: 500,
};

function column(distribution: Distribution, more: Partial<ColumnProfile> = {}): ColumnProfile {
  const numeric = distribution.kind === 'numeric';
  return {
    type: numeric ? 'number' : 'string',
    physical: numeric ? 'DOUBLE' : 'VARCHAR',
    count: 10_000,
    nulls: distribution.nulls,
    invalid: 0,
    ...(numeric && { min: 0.5, max: 10 }),
    distinct: { value: 1000, exact: true },
    distribution,
    ...more,
  };
}

function profileOf(columns: Record<string, ColumnProfile>): Profile {
  return { profile: 1, dataset: 'flights', tocsin: '0.1.0', rows: 10_000, sha256: '0'.repeat(64), columns };
}

/** Population stability index of shares, as textbooks have it. */
function psi(p: readonly number[], q: readonly number[]): number {
  return p.reduce((sum, share, index) => sum + (share - q[index]!) * Math.log(share / q[index]!), 0);
}

const shares = (counts: readonly number[]) => {
  const total = counts.reduce((sum, count) => sum + count, 0);
  return counts.map((count) => count / total);
};

function ks(p: readonly number[], q: readonly number[]): number {
  const cumulative = (counts: readonly number[]) => {
    let sum = 0;
    return shares(counts).map((share) => (sum += share));
  };
  const [f, g] = [cumulative(p), cumulative(q)];
  return Math.max(...f.map((value, index) => Math.abs(value - g[index]!)));
}

describe('laws', () => {
  it.each([0.001, 0.05, 0.1, 0.2, 0.4, 1, 3, 20])('a PSI of %d, of numbers', (drift) => {
    const law = driftedLaw(EVEN, 'psi', drift, 2_000) as NumericDistribution;
    expect(psi(law.cells.slice(1), shares(EVEN.cells.slice(1)))).toBeCloseTo(drift, 6);
  });

  it.each([0.001, 0.1, 0.25, 0.8])('a KS of %d, of numbers', (drift) => {
    const law = driftedLaw(EVEN, 'ks', drift, 2_000) as NumericDistribution;
    expect(ks(law.cells, EVEN.cells)).toBeCloseTo(drift, 6);
  });

  it.each([0.001, 0.1, 0.25, 2])('a PSI of %d, of categories', (drift) => {
    const law = driftedLaw(COLOURS, 'psi', drift, 2_000) as CategoricalDistribution;
    expect(law.nulls).toBe(0.05);
    expect(psi([...law.counts, law.nulls], shares([...COLOURS.counts, COLOURS.nulls]))).toBeCloseTo(drift, 6);
  });

  it('move numbers upwards, and categories towards the rare ones', () => {
    const { cells } = driftedLaw(EVEN, 'psi', 0.2, 2_000) as NumericDistribution;
    const ratios = cells.slice(1).map((cell, index, all) => (index === 0 ? 1 : cell / all[index - 1]!));
    // Exponential: each cell is so many times the one before.
    expect(ratios.slice(2).every((ratio) => Math.abs(ratio - ratios[1]!) < 1e-9 && ratio > 1)).toBe(true);
    const { counts } = driftedLaw(COLOURS, 'psi', 0.2, 2_000) as CategoricalDistribution;
    expect(counts[2]).toBeGreaterThan(0.15);
    expect(counts[0]).toBeLessThan(0.5);
  });

  it('turn downwards where upwards is not far enough', () => {
    const top: NumericDistribution = { ...EVEN, cells: [0, 500, 500, 0, 0, 0, 0, 0, 0, 0, 9_000] };
    const law = driftedLaw(top, 'ks', 0.8, 2_000) as NumericDistribution;
    expect(law.cells.at(-1)).toBeCloseTo(0.1, 6);
  });

  it('say how far a drift can go', () => {
    const top: NumericDistribution = { ...EVEN, cells: [0, 500, 500, 0, 0, 0, 0, 0, 0, 0, 9_000] };
    expect(() => driftedLaw(top, 'ks', 0.97, 2_000)).toThrow(
      'no synthetic records have a ks of 0.97: with the values of the baseline it is 0.95 at most',
    );
    const constant: NumericDistribution = { ...EVEN, cells: [0, 0, 0, 0, 10, 0, 0, 0, 0, 0, 0] };
    expect(() => driftedLaw(constant, 'psi', 0.1, 2_000)).toThrow('it is 0 at most');
    expect(() => driftedLaw(COLOURS, 'ks', 0.1, 2_000)).toThrow(GateInputError);
  });

  it('share what is not listed among what is, and say where that alone is too much', () => {
    const long: CategoricalDistribution = { ...COLOURS, other: 2_500, otherDistinct: 40 };
    expect(baselineLaw(long)).toEqual({
      ...COLOURS,
      counts: [5_000, 3_000, 1_500].map((count) => expect.closeTo((count / 9_500) * 0.96, 12)),
      nulls: 0.04,
    });
    expect(() => driftedLaw(long, 'psi', 0.1, 2_000)).toThrow(/does not list all values, .* at least$/);
    const law = driftedLaw(long, 'psi', 2, 2_000) as CategoricalDistribution;
    const q = shares([...long.counts, long.nulls, long.other]);
    expect(psi([...law.counts, law.nulls, 0.5 / 2_000], q)).toBeCloseTo(2, 6);
  });

  const counts = (length: number) =>
    fc.array(fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 50_000 })), {
      minLength: length,
      maxLength: length,
    });
  const numeric = fc
    .uniqueArray(fc.integer({ min: -1000, max: 1000 }), { minLength: 1, maxLength: 60 })
    .chain((edges) => {
      edges.sort((a, b) => a - b);
      return fc.subarray(edges).chain((atoms) =>
        fc.record({
          kind: fc.constant('numeric' as const),
          edges: fc.constant(edges),
          cells: counts(edges.length + 1),
          atoms: fc.constant(atoms),
          atomCounts: counts(atoms.length),
          nulls: fc.nat(10_000),
        }),
      );
    });
  const categorical = fc.integer({ min: 1, max: 60 }).chain((length) =>
    fc.record({
      kind: fc.constant('categorical' as const),
      values: fc.constant(Array.from({ length }, (_, index) => `value ${index}`)),
      counts: counts(length).map((list) => list.sort((a, b) => b - a)),
      other: fc.constant(0),
      otherDistinct: fc.constant(0),
      nulls: fc.nat(10_000),
    }),
  );

  it('are laws, of the drift that was asked for, whatever the baseline', () => {
    fc.assert(
      fc.property(
        fc.oneof(numeric, categorical),
        fc.constantFrom<DriftMeasure>('psi', 'ks'),
        fc.double({ min: 0.001, max: 5, noNaN: true }),
        fc.integer({ min: 100, max: 50_000 }),
        (baseline: Distribution, measure, drift, records) => {
          let law: Law;
          try {
            law = driftedLaw(baseline, measure, drift, records);
          } catch (error) {
            expect(error).toBeInstanceOf(GateInputError);
            return;
          }
          const masses = law.kind === 'numeric' ? [...law.cells, ...law.atomCounts] : law.counts;
          expect(Math.min(...masses)).toBeGreaterThanOrEqual(0);
          expect(masses.reduce((sum, mass) => sum + mass, law.nulls)).toBeCloseTo(1, 9);
          const scaled = JSON.parse(JSON.stringify(law), (key, value) =>
            ['cells', 'atomCounts', 'counts'].includes(key)
              ? value.map((share: number) => share * records)
              : key === 'nulls'
                ? value * records
                : value,
          );
          const pieces =
            baseline.kind === 'numeric' ? piecesOf(scaled, baseline) : categoriesOf(scaled, baseline);
          if (measure === 'ks') {
            expect(
              ks(
                pieces.map((piece) => piece.batch),
                pieces.map((piece) => piece.baseline),
              ),
            ).toBeCloseTo(drift, 6);
            return;
          }
          const cells = coarseCells([...pieces, nullsOf(scaled, baseline)]).filter((cell) => cell.batch > 0);
          const q = shares(cells.map((cell) => cell.baseline));
          expect(
            psi(
              cells.map((cell) => cell.batch / records),
              q,
            ),
          ).toBeCloseTo(drift, 6);
        },
      ),
      { seed: 4, numRuns: 300 },
    );
  });
});

describe('records', () => {
  const one = (distribution: Distribution, more: Partial<ColumnProfile>, records: number): Value[] =>
    sampleRecords(profileOf({ it: column(distribution, more) }), ['it'], undefined, records, chance()).map(
      ([value]) => value as Value,
    );

  it('are the same for the same seed', () => {
    const profile = profileOf({ a: column(EVEN), b: column(COLOURS) });
    const draw = (name: string) => sampleRecords(profile, ['a', 'b'], undefined, 50, chance(name));
    expect(draw('x')).toEqual(draw('x'));
    expect(draw('x')).not.toEqual(draw('y'));
  });

  it('give each cell its share to within one record, nulls too', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 3_000 }), fc.integer(), (records, seed) => {
        const profile = profileOf({ a: column(EVEN), b: column(COLOURS) });
        const drawn = sampleRecords(
          profile,
          ['b', 'a'],
          undefined,
          records,
          randomOf(seedOf('5eed', 'q'), seed),
        );
        expect(drawn).toHaveLength(records);
        const numbers = countValues(
          drawn.map(([, value]) => value!),
          EVEN,
        ) as NumericDistribution;
        for (const cell of numbers.cells.slice(1)) expect(Math.abs(cell - records / 10)).toBeLessThan(1);
        const colours = countValues(
          drawn.map(([value]) => value!),
          COLOURS,
        ) as CategoricalDistribution;
        expect(Math.abs(colours.nulls - records / 20)).toBeLessThan(1);
        for (const [index, count] of colours.counts.entries())
          expect(Math.abs(count - (COLOURS.counts[index]! / 10_000) * records)).toBeLessThan(1);
      }),
      { seed: 4, numRuns: 60 },
    );
  });

  it('have numbers within their cells, spread evenly', () => {
    const values = one(EVEN, {}, 1_000) as number[];
    expect(Math.min(...values)).toBeGreaterThanOrEqual(0.5);
    expect(Math.max(...values)).toBeLessThanOrEqual(10);
    const inThird = values.filter((value) => value > 2 && value <= 3).sort((a, b) => a - b);
    expect(inThird).toHaveLength(100);
    for (const [index, value] of inThird.entries())
      expect(Math.abs(value - (2 + (index + 0.5) / 100))).toBeLessThan(0.006);
  });

  it('spread wide cells in the logarithm, on either side of zero', () => {
    const wide: NumericDistribution = {
      kind: 'numeric',
      edges: [-1, 0, 1],
      cells: [100, 0, 0, 100],
      atoms: [0],
      atomCounts: [0],
      nulls: 0,
    };
    const values = one(wide, { min: -10_000, max: 10_000 }, 400) as number[];
    expect(values.filter((value) => value > 1 && value <= 100)).toHaveLength(100);
    expect(values.filter((value) => value < -1 && value >= -100).length).toBeCloseTo(100, -1);
    expect(new Set(values).size).toBe(400);
  });

  it('have whole integers, atoms exactly, and nothing of an atom in the cell before it', () => {
    const delays: NumericDistribution = {
      kind: 'numeric',
      edges: [-5, 0, 3, 10],
      cells: [100, 100, 100, 100, 100],
      atoms: [0, 10],
      atomCounts: [300, 200],
      nulls: 0,
    };
    const values = one(delays, { type: 'integer', physical: 'BIGINT', min: -7, max: 12 }, 1_000) as number[];
    expect(values.every(Number.isInteger)).toBe(true);
    const count = (from: number, to: number) => values.filter((value) => value >= from && value <= to).length;
    expect([
      count(-7, -5),
      count(-4, -1),
      count(0, 0),
      count(1, 3),
      count(4, 9),
      count(10, 10),
      count(11, 12),
    ]).toEqual([100, 100, 300, 100, 100, 200, 100]);
    expect(new Set(values).size).toBe(20);
  });

  it.each<[ColumnProfile['type'], string, string, RegExp]>([
    ['timestamp', 'TIMESTAMP', '2001-01-03T00:00:00Z', /^2001-01-0\d \d\d:\d\d:\d\d$/],
    ['timestamp', 'TEXT', '2001-01-03T00:00:00Z', /^2001-01-0\d \d\d:\d\d:\d\d$/],
    ['timestamp', 'TIMESTAMP WITH TIME ZONE', '2001-01-03T00:00:00Z', /^2001-01-0\d \d\d:\d\d:\d\d\+00:00$/],
    ['timestamp', 'TIMESTAMP', '2001-01-01T00:00:00.900Z', /^2001-01-01 00:00:00(\.\d{3})?$/],
    ['date', 'DATE', '2001-01-05T00:00:00Z', /^2001-01-0[1-5]$/],
    ['date', 'TIMESTAMP', '2001-01-05T00:00:00Z', /^2001-01-0[1-5] 00:00:00$/],
  ])('write a %s stored as %s, up to %s', (type, physical, latest, pattern) => {
    const [min, max] = [Date.parse('2001-01-01T00:00:00Z'), Date.parse(latest)];
    const times: NumericDistribution = {
      kind: 'numeric',
      edges: [],
      cells: [10_000],
      atoms: [],
      atomCounts: [],
      nulls: 0,
    };
    const values = one(times, { type, physical, min, max }, 200) as string[];
    expect(values.filter((value) => !pattern.test(value))).toEqual([]);
    const back = values.map((value) => Date.parse(value.replace(' ', 'T').replace(/(\+00:00)?$/, 'Z')));
    expect(Math.min(...back)).toBeGreaterThanOrEqual(min);
    expect(Math.max(...back)).toBeLessThanOrEqual(max);
    expect(countValues(values, times)).toEqual({ ...times, cells: [200] });
  });

  it('have booleans that are booleans', () => {
    const flags: CategoricalDistribution = { ...COLOURS, values: ['false', 'true'], counts: [6_000, 3_500] };
    const values = one(flags, { type: 'boolean', physical: 'BOOLEAN' }, 100);
    const counted = countValues(values, flags) as CategoricalDistribution;
    expect(new Set(values)).toEqual(new Set([true, false, null]));
    expect(counted.counts[0]).toBe(60);
  });

  it('are not made of personal data, nor of columns that are not there or empty', () => {
    const profile = profileOf({
      email: { ...column(COLOURS), pii: true },
      empty: column(EVEN, { count: 0 }),
    });
    delete profile.columns.email!.distribution;
    delete profile.columns.empty!.distribution;
    expect(() => featureOf(profile, 'email')).toThrow(
      'column "email" of the baseline of flights is personal data',
    );
    expect(() => featureOf(profile, 'empty')).toThrow('has no values to draw from');
    expect(() => featureOf(profile, 'constructor')).toThrow('there is no column "constructor"');
    const nothing: CategoricalDistribution = {
      ...COLOURS,
      counts: [0, 0, 0],
      other: 100,
      otherDistinct: 100,
    };
    expect(() => baselineLaw(nothing)).toThrow('no value that could be drawn');
  });
});

describe('real flights', () => {
  const lab = useLab();
  const COLUMNS = `columns:
  date: { type: timestamp }
  delay: { type: integer }
  distance: { type: integer }
  origin: { type: string }
`;
  const FEATURES = ['date', 'delay', 'distance', 'origin'];
  let profile: Profile;

  beforeAll(async () => {
    await duckdb(
      `COPY (SELECT date, delay, distance, origin FROM read_parquet('${vega('flights-3m.parquet')}') WHERE date < TIMESTAMP '2001-02-01')
       TO '${lab.path('january.parquet')}' (FORMAT parquet)`,
    );
    ({ profile } = await lab.measure({
      files: lab.path('january.parquet'),
      contract: `contract: 1\ndataset: flights\nformat: parquet\n${COLUMNS}`,
    }));
  });

  /** What the engine says of drawn records: for each feature its drift from the baseline. */
  async function measured(
    measure: DriftMeasure,
    feature: string,
    drift: number,
    records: number,
  ): Promise<Record<string, number>> {
    const { distribution } = featureOf(profile, feature);
    const law = driftedLaw(distribution, measure, drift + chanceOf(measure, distribution, records), records);
    const drawn = sampleRecords(
      profile,
      FEATURES,
      { feature, law },
      records,
      chance(`${feature} ${drift} ${records}`),
    );
    const at = FEATURES.indexOf(feature);
    const sent = countValues(
      drawn.map((record) => record[at]!),
      distribution,
    );
    expect(Math.abs(driftOf(measure, sent, distribution) - drift)).toBeLessThan(0.02 * drift);

    const csv = [FEATURES, ...drawn].map((record) => record.map((value) => value ?? '').join(',')).join('\n');
    const { columns } = await lab.measure({
      files: await lab.write('drawn.csv', `${csv}\n`),
      contract: `contract: 1\ndataset: flights\nformat: csv\n${COLUMNS}`,
      baseline: profile,
    });
    return Object.fromEntries(
      FEATURES.map((name) => {
        const batch = columns[name]?.onBaseline as Distribution;
        const effect = driftEffect(
          name === feature ? measure : 'psi',
          batch,
          featureOf(profile, name).distribution,
          {
            limit: 0.1,
            confidence: 0.99,
          },
        );
        return [name, effect!.estimate];
      }),
    );
  }

  const CASES = (['psi', 'ks'] as const).flatMap((measure) =>
    (measure === 'psi' ? FEATURES : ['delay', 'distance']).flatMap((feature) =>
      [0.1, 0.2, 0.4].map(
        (drift, index) => [measure, drift, feature, [2_000, 5_000, 20_000][index]!] as const,
      ),
    ),
  );

  it.each([...CASES, ['psi', 0.1, 'origin', 20_000] as const, ['psi', 1, 'delay', 2_000] as const])(
    'the gate measures a %s of %d of %s in %d records, and no drift of the others',
    async (measure, drift, feature, records) => {
      const { [feature]: estimate, ...others } = await measured(measure, feature, drift, records);
      expect(Math.abs(estimate! - drift)).toBeLessThan(0.1 * drift);
      for (const other of Object.values(others)) expect(other).toBeLessThan(0.01);
    },
  );
});
