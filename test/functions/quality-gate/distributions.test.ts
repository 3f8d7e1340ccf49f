import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  categories,
  chooseCells,
  countCategories,
  countOver,
  moments,
  type ValueCounts,
} from '../../../functions/quality-gate/distributions.ts';
import type { CategoricalDistribution, NumericDistribution } from '../../../functions/shared/profile.ts';

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

/** Distinct numbers, ascending, each with its count. */
const numbers: fc.Arbitrary<ValueCounts<number>> = fc
  .uniqueArray(
    fc.tuple(
      fc.oneof(fc.integer({ min: -50, max: 50 }), fc.double({ min: -1e6, max: 1e6, noNaN: true })),
      fc.oneof(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 100_000 })),
    ),
    { selector: ([value]) => value + 0, minLength: 1, maxLength: 400 },
  )
  .map((pairs) => {
    const ascending = pairs.map(([value, count]) => [value + 0, count] as const).sort(([a], [b]) => a - b);
    return { values: ascending.map(([value]) => value), counts: ascending.map(([, count]) => count) };
  });

const runs = { seed: 7, numRuns: 500 };

describe('moments', () => {
  test.each<[string, number[], number[], number, number]>([
    ['one value', [5], [1], 5, 0],
    ['the same value again and again', [0.1], [1_000_000], 0.1, 0],
    ['two values', [1, 3], [1, 1], 2, 1],
    ['weights', [0, 10], [9, 1], 1, 3],
    ['values whose squares overflow', [-1e308, 1e308], [1, 1], 0, 1e308],
    ['values whose squares vanish', [-1e-200, 1e-200], [1, 1], 0, 1e-200],
  ])('of %s', (_, values, counts, mean, std) => {
    const got = moments({ values, counts });
    expect((got?.mean ?? Number.NaN) / (mean || 1)).toBeCloseTo(mean === 0 ? 0 : 1, 12);
    expect((got?.std ?? Number.NaN) / (std || 1)).toBeCloseTo(std === 0 ? 0 : 1, 12);
  });

  test('of nothing are not', () => {
    expect(moments({ values: [], counts: [] })).toBeUndefined();
  });

  test('lie within the values', () => {
    fc.assert(
      fc.property(numbers, (counts) => {
        const { mean, std } = moments(counts)!;
        const [low, high] = [counts.values[0]!, counts.values.at(-1)!];
        const slack = 1e-9 * Math.max(Math.abs(low), Math.abs(high), 1e-9);
        expect(mean).toBeGreaterThanOrEqual(low - slack);
        expect(mean).toBeLessThanOrEqual(high + slack);
        expect(std).toBeGreaterThanOrEqual(0);
        expect(std).toBeLessThanOrEqual((high - low) / 2 + slack);
      }),
      runs,
    );
  });
});

describe('cells', () => {
  test('are about equally full, of a column without frequent values', () => {
    const values = Array.from({ length: 10_000 }, (_, index) => (index + 1) ** 2);
    const counts = { values, counts: values.map(() => 3) };
    const cells = chooseCells(counts, true);
    expect(cells.atoms).toEqual([0]);
    // Zero, 47 between 48 cells, and two in either tail.
    expect(cells.edges).toHaveLength(1 + 47 + 4);
    const { cells: full } = countOver(counts, cells, 0);
    const shares = full.map((count) => count / 30_000);
    expect(shares[0]).toBe(0);
    for (const share of shares.slice(4, -3)) expect(share).toBeCloseTo(1 / 48, 3);
    [0.001, 0.004, 1 / 48 - 0.005].forEach((tail, index) => {
      expect(shares[index + 1]).toBeCloseTo(tail, 3);
      expect(shares.at(-index - 1)).toBeCloseTo(tail, 3);
    });
  });

  test('leave every value of 2 % out, as an atom of its own', () => {
    const values = Array.from({ length: 1000 }, (_, index) => index + 1);
    const counts = values.map((value) => (value === 7 ? 5000 : value === 500 ? 200 : 10));
    const cells = chooseCells({ values, counts }, false);
    // 5,000 of 15,180 rows are 33 %, 200 are 1.3 %.
    expect(cells.atoms).toEqual([7]);
    const counted = countOver({ values, counts }, cells, 12);
    expect(counted.atomCounts).toEqual([5000]);
    expect(counted.nulls).toBe(12);
    expect(sum(counted.cells)).toBe(sum(counts) - 5000);
  });

  test('always have zero as an atom where it means something', () => {
    const ones = { values: [1, 2], counts: [5, 5] };
    expect(chooseCells(ones, true).atoms).toEqual([0, 1, 2]);
    expect(chooseCells(ones, false).atoms).toEqual([1, 2]);
    expect(chooseCells({ values: [], counts: [] }, true)).toEqual({ edges: [0], atoms: [0] });
    expect(chooseCells({ values: [], counts: [] }, false)).toEqual({ edges: [], atoms: [] });
  });

  test('have an order, atoms among their edges, and a bounded number', () => {
    fc.assert(
      fc.property(numbers, fc.boolean(), (counts, withZero) => {
        const { edges, atoms } = chooseCells(counts, withZero);
        expect(edges).toEqual([...new Set(edges)].sort((a, b) => a - b));
        expect(atoms).toEqual([...new Set(atoms)].sort((a, b) => a - b));
        expect(atoms.every((atom) => edges.includes(atom))).toBe(true);
        expect(edges.every(Number.isFinite)).toBe(true);
        // Those, at most 50 values of 2 %, and zero.
        expect(edges.length).toBeLessThanOrEqual(47 + 4 + 50 + 1);
      }),
      runs,
    );
  });

  test('count every row once, wherever they came from', () => {
    fc.assert(
      fc.property(numbers, numbers, fc.nat(100), (counts, others, nulls) => {
        const cells = chooseCells(others, true);
        const counted = countOver(counts, cells, nulls);
        expect(sum(counted.cells) + sum(counted.atomCounts)).toBe(sum(counts.counts));
        expect(counted.cells).toHaveLength(cells.edges.length + 1);
        // Each count by its definition.
        const inCell = (value: number, index: number) =>
          value > (cells.edges[index - 1] ?? Number.NEGATIVE_INFINITY) &&
          value <= (cells.edges[index] ?? Number.POSITIVE_INFINITY) &&
          !cells.atoms.includes(value);
        const expected: NumericDistribution = {
          kind: 'numeric',
          ...cells,
          cells: counted.cells.map((_, index) =>
            sum(counts.values.map((value, at) => (inCell(value, index) ? counts.counts[at]! : 0))),
          ),
          atomCounts: cells.atoms.map((atom) => counts.counts[counts.values.indexOf(atom)] ?? 0),
          nulls,
        };
        expect(counted).toEqual(expected);
      }),
      { ...runs, numRuns: 200 },
    );
  });
});

describe('categories', () => {
  const counts = { values: ['often', 'Österreich', 'rare'], counts: [70, 20, 10] };
  const totals = { rows: 100, distinct: 3, nulls: 5 };

  test('are all kept where there is room', () => {
    const all = categories(counts, totals, 1000);
    expect(all).toEqual({ kind: 'categorical', ...counts, other: 0, otherDistinct: 0, nulls: 5 });
  });

  test('are kept as far as their bytes fit, the most frequent first', () => {
    // "often" with its count takes 11 bytes, "Österreich" 17: Ö has two.
    expect(categories(counts, totals, 11)).toMatchObject({ values: ['often'], other: 30, otherDistinct: 2 });
    expect(categories(counts, totals, 27)).toMatchObject({ values: ['often'], other: 30, otherDistinct: 2 });
    expect(categories(counts, totals, 28)).toMatchObject({
      values: ['often', 'Österreich'],
      counts: [70, 20],
      other: 10,
      otherDistinct: 1,
    });
    expect(categories(counts, totals, 0)).toMatchObject({ values: [], other: 100, otherDistinct: 3 });
  });

  test('of more rows and values than are listed are counted together', () => {
    expect(categories(counts, { rows: 150, distinct: 40, nulls: 0 }, 1000)).toMatchObject({
      other: 50,
      otherDistinct: 37,
    });
  });

  test('take no more bytes than they may', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.string({ unit: 'grapheme', maxLength: 20 }), { maxLength: 100 }),
        fc.nat(2000),
        (values, bytes) => {
          const list = { values, counts: values.map((_, index) => 1000 - index) };
          const kept = categories(list, { rows: sum(list.counts), distinct: values.length, nulls: 0 }, bytes);
          expect(kept.values).toEqual(values.slice(0, kept.values.length));
          expect(Buffer.byteLength(JSON.stringify([kept.values, kept.counts]))).toBeLessThanOrEqual(
            bytes + '[[],[]]'.length,
          );
          expect(sum(kept.counts) + kept.other).toBe(sum(list.counts));
        },
      ),
      runs,
    );
  });

  test('of a baseline are counted in a batch, and what it does not list together', () => {
    const baseline: CategoricalDistribution = categories(counts, totals, 1000);
    const found = new Map([
      ['often', 50],
      ['new', 25],
    ]);
    expect(countCategories(found, baseline, { rows: 80, nulls: 3 })).toEqual({
      kind: 'categorical',
      values: ['often', 'Österreich', 'rare'],
      counts: [50, 0, 0],
      other: 30,
      otherDistinct: 0,
      nulls: 3,
    });
  });
});
