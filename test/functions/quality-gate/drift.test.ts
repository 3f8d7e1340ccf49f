import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { chooseCells, countOver } from '../../../functions/quality-gate/distributions.ts';
import {
  type DriftEffect,
  type DriftMeasure,
  driftEffect,
  type Moments,
  meanShift,
  quantileOf,
  quantileShift,
  type Range,
} from '../../../functions/quality-gate/drift.ts';
import type {
  CategoricalDistribution,
  Distribution,
  NumericDistribution,
} from '../../../functions/shared/profile.ts';
import { createRandom } from '../../support/random.ts';

const OPTIONS = { limit: 0.1, confidence: 0.9999 };

/** Counts over `edges` (one cell more than edges), with atoms `[value, count]`. */
function numbers(
  edges: number[],
  cells: number[],
  atoms: [value: number, count: number][] = [],
  nulls = 0,
): NumericDistribution {
  return {
    kind: 'numeric',
    edges,
    cells,
    atoms: atoms.map(([value]) => value),
    atomCounts: atoms.map(([, count]) => count),
    nulls,
  };
}

/** Counts of the values `v000`, `v001` and so on. */
function categories(
  counts: number[],
  { other = 0, otherDistinct = 0, nulls = 0 } = {},
): CategoricalDistribution {
  const values = counts.map((_, index) => `v${String(index).padStart(3, '0')}`);
  return { kind: 'categorical', values, counts, other, otherDistinct, nulls };
}

/** Values at atoms only, so that nothing depends on what happens inside a cell. */
function atomsOnly(values: number[], counts: number[]): NumericDistribution {
  return numbers(
    values,
    Array.from({ length: values.length + 1 }, () => 0),
    values.map((value, index) => [value, counts[index] ?? 0]),
  );
}

function momentsOf(values: number[], counts: number[]): Moments & Range {
  const count = counts.reduce((sum, next) => sum + next, 0);
  const average = (of: (value: number) => number) =>
    values.reduce((sum, value, index) => sum + (of(value) * (counts[index] ?? 0)) / count, 0);
  const mean = average((value) => value);
  const present = values.filter((_, index) => (counts[index] ?? 0) > 0);
  return {
    count,
    mean,
    std: Math.sqrt(average((value) => (value - mean) ** 2)),
    min: Math.min(...present),
    max: Math.max(...present),
  };
}

function effect(
  measure: DriftMeasure,
  batch: Distribution,
  baseline: Distribution,
  options: Parameters<typeof driftEffect>[3] = OPTIONS,
): DriftEffect {
  const found = driftEffect(measure, batch, baseline, options);
  if (found === undefined) throw new Error(`${measure} was not computed`);
  return found;
}

/** Ten cells of a smooth column, zero in between, as a profile would have them; `scale` rows in each. */
const EDGES = [-1.3, -0.8, -0.5, -0.25, 0, 0.25, 0.5, 0.8, 1.3];
function smooth(scale: number, zeros = 0, nulls = 0): NumericDistribution {
  return numbers(EDGES, Array(10).fill(scale), [[0, zeros]], nulls);
}

describe('against SciPy, on many rows', () => {
  const { distances } = JSON.parse(
    readFileSync(new URL('../../oracle/scipy-values.json', import.meta.url), 'utf8'),
  ) as {
    distances: {
      values: number[];
      batch: number[];
      baseline: number[];
      psi: number;
      js: number;
      ks: number;
      wasserstein: number;
      mean: [number, number];
      std: [number, number];
    }[];
  };

  it.each(distances)('measures two laws on $values.length values', (expected) => {
    const { values } = expected;
    const [batch, baseline] = [atomsOnly(values, expected.batch), atomsOnly(values, expected.baseline)];
    const moments = {
      batch: momentsOf(values, expected.batch),
      baseline: momentsOf(values, expected.baseline),
    };
    const options = { ...OPTIONS, moments };

    expect(moments.batch.mean).toBeCloseTo(expected.mean[0], 10);
    expect(moments.baseline.std).toBeCloseTo(expected.std[1], 10);
    expect(effect('psi', batch, baseline).estimate / expected.psi).toBeCloseTo(1, 4);
    expect(effect('js', batch, baseline).estimate / expected.js).toBeCloseTo(1, 4);
    expect(effect('ks', batch, baseline).estimate).toBeCloseTo(expected.ks, 10);
    expect(effect('wasserstein', batch, baseline, options).estimate).toBeCloseTo(
      expected.wasserstein / expected.std[1],
      9,
    );
    expect(meanShift(moments.batch, moments.baseline, OPTIONS)?.estimate).toBeCloseTo(
      Math.abs(expected.mean[0] - expected.mean[1]) / expected.std[1],
      9,
    );

    // Categories are the same cells by another name.
    const [now, then] = [categories(expected.batch), categories(expected.baseline)];
    expect(effect('psi', now, then).estimate / expected.psi).toBeCloseTo(1, 4);
    const change = expected.batch.map((count, index) => {
      return Math.abs(count / moments.batch.count - (expected.baseline[index] ?? 0) / moments.baseline.count);
    });
    expect(effect('linf', now, then).estimate).toBeCloseTo(Math.max(...change), 10);
  });
});

describe('what an ETL bug does', () => {
  it('is loud when a column without zeros is filled with zeros, at 200 rows', () => {
    const broken = numbers(EDGES, Array(10).fill(12), [[0, 80]]);
    expect(effect('psi', broken, smooth(500)).low).toBeGreaterThan(0.2);
    expect(effect('js', broken, smooth(500)).low).toBeGreaterThan(0.2);
    // The zeros are in the middle here, where the cumulative shares see only half of them.
    expect(effect('ks', broken, smooth(500)).low).toBeGreaterThan(0.02);
  });

  it('is loud when values become null', () => {
    expect(effect('psi', smooth(12, 0, 80), smooth(500)).low).toBeGreaterThan(0.2);
    expect(effect('psi', categories([60, 60], { nulls: 80 }), categories([5000, 5000])).low).toBeGreaterThan(
      0.2,
    );
  });

  it('is loud when categories are replaced by new ones, however rare each was', () => {
    const thousands = categories(Array(1000).fill(2));
    const replaced = categories(Array(1000).fill(1), { other: 1000 });
    for (const measure of ['psi', 'js', 'linf'] as const) {
      expect(effect(measure, replaced, thousands).low, measure).toBeGreaterThan(0.2);
    }
  });

  it('is not alarmed by a single zero, null or new category in a small batch', () => {
    for (const batch of [smooth(6, 1), smooth(6, 0, 1)]) {
      expect(effect('psi', batch, smooth(100_000)).low).toBe(0);
    }
    const batch = categories([30, 30], { other: 1 });
    expect(effect('psi', batch, categories([500_000, 500_000])).low).toBe(0);
  });
});

describe('what cannot be computed', () => {
  const none = smooth(0);
  const text = categories([1, 2]);
  const moments = { batch: momentsOf([1, 2], [5, 5]), baseline: momentsOf([1, 2], [5, 5]) };
  const constant = momentsOf([3], [10]);

  it.each([
    ['no rows in the batch', driftEffect('psi', none, smooth(5), OPTIONS)],
    ['no rows in the baseline', driftEffect('js', smooth(5), none, OPTIONS)],
    ['no values, only nulls', driftEffect('ks', smooth(0, 0, 50), smooth(5), OPTIONS)],
    ['no values for the distance', driftEffect('wasserstein', none, smooth(5), { ...OPTIONS, moments })],
    ['no rows of text', driftEffect('linf', categories([0, 0]), text, OPTIONS)],
    ['no moments', driftEffect('wasserstein', smooth(5), smooth(5), OPTIONS)],
    ['text by its order', driftEffect('ks', text, text, { ...OPTIONS, moments })],
    ['text by its distance', driftEffect('wasserstein', text, text, { ...OPTIONS, moments })],
    ['numbers by category', driftEffect('linf', smooth(5), smooth(5), OPTIONS)],
    ['a number against a text', driftEffect('psi', smooth(5), text, OPTIONS)],
    ['a text against a number', driftEffect('psi', text, smooth(5), OPTIONS)],
    ['a constant baseline', meanShift(moments.batch, constant, OPTIONS)],
    ['a mean of nothing', meanShift({ count: 0, mean: 0, std: 0 }, moments.baseline, OPTIONS)],
    [
      'a mean of overflow',
      meanShift({ count: 9, mean: 1e308, std: 1e308 }, { ...constant, std: 1e-9 }, OPTIONS),
    ],
    ['a quantile of nothing', shiftOf(none, smooth(5), 1)],
    ['a quantile over a constant baseline', shiftOf(smooth(5), smooth(5), 0)],
  ])('says so: %s', (_, found) => {
    expect(found).toBeUndefined();
  });

  function shiftOf(batch: NumericDistribution, baseline: NumericDistribution, std: number) {
    const range = { min: -3, max: 3 };
    return quantileShift(0.5, batch, baseline, {
      ...OPTIONS,
      std,
      ranges: { batch: range, baseline: range },
    });
  }

  it('refuses other cells than those of the baseline', () => {
    expect(() => driftEffect('ks', numbers([1], [2, 3]), smooth(5), OPTIONS)).toThrow(
      'the batch is not counted over the cells of the baseline',
    );
    expect(() => driftEffect('psi', categories([1, 2, 3]), text, OPTIONS)).toThrow(RangeError);
    expect(() => driftEffect('psi', { ...text, values: ['v001', 'v000'] }, text, OPTIONS)).toThrow(
      RangeError,
    );
  });

  it('refuses limits and confidences that make no sense', () => {
    for (const limit of [0, -1, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(() => driftEffect('psi', text, text, { limit, confidence: 0.99 })).toThrow(/above 0, got/);
    }
    for (const confidence of [0.4, 1, Number.NaN]) {
      expect(() => driftEffect('psi', text, text, { limit: 0.1, confidence })).toThrow(/below 1, got/);
      expect(() => meanShift(constant, constant, { limit: 0.1, confidence })).toThrow(RangeError);
    }
  });
});

describe('how sure it is', () => {
  it('takes equal counts for no drift, but four equal rows not for proof', () => {
    const few = effect('psi', categories([2, 2]), categories([2, 2]));
    expect(few).toMatchObject({ low: 0, estimate: 0 });
    expect(few.high).toBeGreaterThan(1);
    expect(effect('psi', categories([20_000, 20_000]), categories([20_000, 20_000])).high).toBeLessThan(0.01);
  });

  it('is not sure of a constant column until it has seen many rows', () => {
    const constant = (rows: number) => atomsOnly([5], [rows]);
    expect(effect('psi', constant(60), constant(60)).high).toBeGreaterThan(0.1);
    expect(effect('psi', constant(5000), constant(5000)).high).toBeLessThan(0.1);
  });

  it('does not pass drift among values too rare to compare', () => {
    // 300 rows over 200 categories: every second one has vanished, which is a PSI of several units.
    const baseline = categories(Array(200).fill(100));
    const batch = categories(Array.from({ length: 200 }, (_, index) => (index % 2 === 0 ? 3 : 0)));
    expect(effect('psi', batch, baseline).high).toBeGreaterThan(0.2);
    expect(effect('js', batch, baseline).high).toBeGreaterThan(0.2);
  });

  it('allows for what the order of values inside a cell can hide', () => {
    const halves = numbers([0.5], [500_000, 500_000]);
    const { estimate, high } = effect('ks', halves, halves);
    expect(estimate).toBe(0);
    expect(high).toBeGreaterThanOrEqual(0.5);
  });

  it('asks a small batch for a larger effect, and tells when none would do', () => {
    const at = (rows: number) => effect('ks', smooth(rows / 10), smooth(10_000)).smallestDetectable;
    expect(at(100_000)).toBeGreaterThan(0.1);
    expect(at(1000)).toBeGreaterThan(at(100_000));
    expect(at(10)).toBeGreaterThan(at(1000));
    expect(effect('ks', numbers([0.5], [2, 2]), numbers([0.5], [2, 2])).smallestDetectable).toBeGreaterThan(
      1,
    );
  });
});

describe('Wasserstein', () => {
  it('sees values that move beyond the outer edge', () => {
    // One value in a hundred, all in the last cell, is a thousand times larger.
    const cells = [33, 33, 33, 1].map((count) => count * 1000);
    const baseline = { count: 100_000, mean: 1.5, std: 1, min: 0, max: 4 };
    const moments = { batch: { count: 100_000, mean: 1.5 + 0.01 * 4000, std: 400 }, baseline };
    const far = effect('wasserstein', numbers([1, 2, 3], cells), numbers([1, 2, 3], cells), {
      ...OPTIONS,
      moments,
    });
    expect(far.estimate).toBeCloseTo(40, 6);
    expect(far.low).toBeGreaterThan(0.1);
  });

  it('is not misled by the atom at zero that lies far from all values', () => {
    // Values from 1000 to 1004; the cell between zero and the first edge holds a fifth of them.
    const edges = [0, 1000.8, 1001.6, 1002.4, 1003.2];
    const batch = numbers(edges, [0, 24, 18, 19, 21, 18], [[0, 0]]);
    const baseline = numbers(edges, [0, 20, 20, 20, 20, 20], [[0, 0]]);
    const moments = {
      batch: { count: 100, mean: 1001.93, std: 1.15 },
      baseline: { count: 100, mean: 1002, std: 1.15, min: 1000, max: 1004 },
    };
    const { low, estimate } = effect('wasserstein', batch, baseline, { ...OPTIONS, moments });
    expect(low).toBe(0);
    expect(estimate).toBeLessThan(0.15);
  });
});

describe('quantiles', () => {
  const range = { min: -3, max: 3 };

  it('run straight inside a cell and reach the extremes', () => {
    const distribution = numbers([0, 10], [10, 20, 10], [[10, 60]]);
    const at = (p: number) => quantileOf(p, distribution, -4, 30);
    expect(at(0.05)).toBeCloseTo(-2, 10);
    expect(at(0.1)).toBeCloseTo(0, 10);
    expect(at(0.2)).toBeCloseTo(5, 10);
    expect([at(0.31), at(0.6), at(0.89)]).toEqual([10, 10, 10]);
    expect(at(0.95)).toBeCloseTo(20, 10);
    expect(at(1)).toBeCloseTo(30, 10);
    expect(quantileOf(0.5, numbers([], [8]), 2, 6)).toBeCloseTo(4, 10);
    expect(quantileOf(0.5, numbers([], [0]), 2, 6)).toBeNaN();
  });

  it('fails a median that moved and passes one that did not', () => {
    const options = { ...OPTIONS, std: 1, ranges: { batch: range, baseline: range } };
    const moved = numbers(EDGES, [200, 400, 600, 800, 1000, 1000, 1200, 1400, 1600, 1800], [[0, 0]]);
    const found = quantileShift(0.5, moved, smooth(1000), options);
    expect(found?.estimate).toBeCloseTo(0.25 + (0.25 * 1000) / 1200, 10);
    expect(found?.low).toBeGreaterThan(0.1);
    expect(quantileShift(0.5, smooth(10_000), smooth(10_000), options)?.high).toBeLessThan(0.1);
  });

  it('claims nothing about a quantile beyond the rows or inside an open cell', () => {
    const options = { ...OPTIONS, std: 1, ranges: { batch: range, baseline: { min: -3, max: 30 } } };
    for (const scale of [6, 100_000]) {
      const found = quantileShift(0.99, smooth(scale), smooth(scale), options);
      expect(found?.low).toBe(0);
      expect(found?.high).toBeGreaterThan(20);
    }
  });

  it.each([0.01, 0.99])('judges an extreme one, %s, over the cells that a profile has', (p) => {
    const random = createRandom(11);
    const draw = (shift: number) => {
      const values = Array.from({ length: 100_000 }, () => random.normal() + shift).sort((a, b) => a - b);
      return { values, counts: values.map(() => 1) };
    };
    const baseline = draw(0);
    const cells = chooseCells(baseline, true);
    const judge = (shift: number) => {
      const batch = draw(shift);
      const [now, then] = [batch, baseline].map((side) => countOver(side, cells, 0));
      const of = ({ values }: typeof batch) => ({ min: values[0] ?? 0, max: values.at(-1) ?? 0 });
      const options = {
        ...OPTIONS,
        limit: 0.3,
        std: 1,
        ranges: { batch: of(batch), baseline: of(baseline) },
      };
      return quantileShift(p, now!, then!, options);
    };
    expect(judge(0)?.high).toBeLessThanOrEqual(0.3);
    expect(judge(0.6)?.low).toBeGreaterThan(0.3);
  });
});

describe('properties', () => {
  const count = fc.oneof(fc.nat(30), fc.nat(5000), fc.nat(1_000_000_000));
  const confidence = fc.double({ min: 0.5, max: 1 - 1e-9, noNaN: true });

  /** Two counts over the same cells, with what else their profiles know. */
  const numericPair = fc
    .record({
      edges: fc.uniqueArray(fc.integer({ min: -1000, max: 1000 }), { minLength: 1, maxLength: 20 }),
      atomEvery: fc.integer({ min: 1, max: 4 }),
      counts: fc.array(fc.tuple(count, count), { minLength: 45, maxLength: 45 }),
    })
    .map(({ edges, atomEvery, counts }) => {
      const ascending = edges.toSorted((a, b) => a - b);
      const atoms = ascending.filter((_, index) => index % atomEvery === 0);
      const side = (which: 0 | 1) => {
        const rows = counts.map((pair) => pair[which]);
        const cells = rows.slice(0, ascending.length + 1);
        const atomCounts = rows.slice(22, 22 + atoms.length);
        const distribution = numbers(
          ascending,
          cells,
          atoms.map((atom, index) => [atom, atomCounts[index] ?? 0]),
          rows[44],
        );
        // Each cell's values all lie half a unit below its edge.
        const places = [...ascending.map((edge) => edge - 0.5), (ascending.at(-1) ?? 0) + 0.5, ...atoms];
        return { distribution, summary: momentsOf(places, [...cells, ...atomCounts]) };
      };
      return { batch: side(0), baseline: side(1) };
    });

  const categoricalPair = fc
    .array(fc.tuple(count, count), { minLength: 3, maxLength: 40 })
    .chain((counts) => fc.record({ counts: fc.constant(counts), otherDistinct: fc.nat(3) }))
    .map(({ counts, otherDistinct }) => {
      const side = (which: 0 | 1) => {
        const [other = 0, nulls = 0, ...rows] = counts.map((pair) => pair[which]);
        return categories(rows, { other, nulls, otherDistinct });
      };
      return { batch: side(0), baseline: side(1) };
    });

  type NumericPair = typeof numericPair extends fc.Arbitrary<infer T> ? T : never;

  function allEffects(pair: NumericPair, options: { limit: number; confidence: number }) {
    const { batch, baseline } = pair;
    const moments = { batch: batch.summary, baseline: baseline.summary };
    const of = (measure: DriftMeasure) =>
      driftEffect(measure, batch.distribution, baseline.distribution, { ...options, moments });
    const quantile = (p: number) =>
      quantileShift(p, batch.distribution, baseline.distribution, {
        ...options,
        std: baseline.summary.std,
        ranges: { batch: batch.summary, baseline: baseline.summary },
      });
    return {
      psi: of('psi'),
      js: of('js'),
      ks: of('ks'),
      wasserstein: of('wasserstein'),
      mean: meanShift(batch.summary, baseline.summary, options),
      median: quantile(0.5),
      tail: quantile(0.99),
    };
  }

  function categoryEffects(
    { batch, baseline }: { batch: CategoricalDistribution; baseline: CategoricalDistribution },
    options: { limit: number; confidence: number },
  ) {
    return {
      psi: driftEffect('psi', batch, baseline, options),
      js: driftEffect('js', batch, baseline, options),
      linf: driftEffect('linf', batch, baseline, options),
    };
  }

  function expectOrdered(effects: Record<string, DriftEffect | undefined>) {
    for (const [name, found] of Object.entries(effects)) {
      if (found === undefined) continue;
      const { low, estimate, high, smallestDetectable } = found;
      expect([low, estimate, high, smallestDetectable].every(Number.isFinite), name).toBe(true);
      expect(low, name).toBeGreaterThanOrEqual(0);
      expect(estimate, name).toBeGreaterThanOrEqual(low);
      expect(high, name).toBeGreaterThanOrEqual(estimate);
      if (['js', 'ks', 'linf'].includes(name)) expect(high, name).toBeLessThanOrEqual(1);
    }
  }

  it('every effect is finite, ordered and never negative, for numbers', () => {
    fc.assert(
      fc.property(numericPair, confidence, (pair, sure) => {
        const effects = allEffects(pair, { limit: 0.1, confidence: sure });
        expectOrdered(effects);
        expect(effects.ks === undefined).toBe(
          pair.batch.summary.count === 0 || pair.baseline.summary.count === 0,
        );
      }),
      { seed: 1, numRuns: 200 },
    );
  });

  it('every effect is finite, ordered and never negative, for categories', () => {
    fc.assert(
      fc.property(categoricalPair, confidence, (pair, sure) => {
        expectOrdered(categoryEffects(pair, { limit: 0.1, confidence: sure }));
      }),
      { seed: 2, numRuns: 200 },
    );
  });

  it('more confidence is a wider interval around the same estimate', () => {
    fc.assert(
      fc.property(numericPair, categoricalPair, confidence, confidence, (pair, texts, a, b) => {
        const [less, more] = [Math.min(a, b), Math.max(a, b)];
        const both = (sure: number) => ({
          ...allEffects(pair, { limit: 0.1, confidence: sure }),
          ...Object.fromEntries(
            Object.entries(categoryEffects(texts, { limit: 0.1, confidence: sure })).map(([name, found]) => [
              `${name} of text`,
              found,
            ]),
          ),
        });
        const narrow: Record<string, DriftEffect | undefined> = both(less);
        for (const [name, wide] of Object.entries(both(more))) {
          const inner = narrow[name];
          if (wide === undefined || inner === undefined) continue;
          const slack = 1e-5 * (1 + inner.high);
          expect(wide.estimate, name).toBe(inner.estimate);
          expect(wide.low, name).toBeLessThanOrEqual(inner.low + slack);
          expect(wide.high, name).toBeGreaterThanOrEqual(inner.high - slack);
        }
      }),
      { seed: 3, numRuns: 200 },
    );
  });

  it('a batch that equals its baseline has not moved', () => {
    fc.assert(
      fc.property(numericPair, categoricalPair, ({ baseline }, texts) => {
        const same = { batch: baseline, baseline };
        for (const found of [
          ...Object.values(allEffects(same, OPTIONS)),
          ...Object.values(categoryEffects({ batch: texts.baseline, baseline: texts.baseline }, OPTIONS)),
        ]) {
          if (found !== undefined) expect(found).toMatchObject({ low: 0, estimate: 0 });
        }
      }),
      { seed: 4, numRuns: 200 },
    );
  });

  it('psi, js, ks and linf do not care which side is which, where no value is rare', () => {
    const common = fc.integer({ min: 1000, max: 1_000_000 });
    fc.assert(
      fc.property(fc.array(fc.tuple(common, common), { minLength: 2, maxLength: 30 }), (counts) => {
        const [now, then] = [counts.map(([a]) => a), counts.map(([, b]) => b)];
        // Shares above 5 in the smaller sample keep every category by itself in both directions.
        for (const measure of ['psi', 'js', 'linf'] as const) {
          const there = effect(measure, categories(now), categories(then));
          const back = effect(measure, categories(then), categories(now));
          for (const key of ['low', 'estimate', 'high', 'smallestDetectable'] as const) {
            expect(back[key], `${measure} ${key}`).toBeCloseTo(there[key], 8);
          }
        }
        const values = counts.map((_, index) => index);
        const there = effect('ks', atomsOnly(values, now), atomsOnly(values, then));
        expect(effect('ks', atomsOnly(values, then), atomsOnly(values, now)).low).toBeCloseTo(there.low, 10);
      }),
      { seed: 5, numRuns: 200 },
    );
  });

  it('the unit of the values does not matter', () => {
    fc.assert(
      fc.property(numericPair, fc.constantFrom(1e-3, 0.5, 4, 1e6), (pair, unit) => {
        const scaled = ({ distribution, summary }: NumericPair['batch']): NumericPair['batch'] => ({
          distribution: {
            ...distribution,
            edges: distribution.edges.map((edge) => edge * unit),
            atoms: distribution.atoms.map((atom) => atom * unit),
          },
          summary: {
            count: summary.count,
            mean: summary.mean * unit,
            std: summary.std * unit,
            min: summary.min * unit,
            max: summary.max * unit,
          },
        });
        const plain: Record<string, DriftEffect | undefined> = allEffects(pair, OPTIONS);
        const other = { batch: scaled(pair.batch), baseline: scaled(pair.baseline) };
        for (const [name, found] of Object.entries(allEffects(other, OPTIONS))) {
          for (const key of ['low', 'estimate', 'high'] as const) {
            const expected = plain[name]?.[key] ?? 0;
            expect(Math.abs((found?.[key] ?? 0) - expected), `${name} ${key}`).toBeLessThanOrEqual(
              1e-6 * (1 + expected),
            );
          }
        }
      }),
      { seed: 6, numRuns: 200 },
    );
  });

  it('the same shares of a hundred times the rows are surer of the same effect', () => {
    const common = fc.integer({ min: 50, max: 5000 });
    fc.assert(
      fc.property(fc.array(fc.tuple(common, common), { minLength: 2, maxLength: 10 }), (counts) => {
        const values = counts.map((_, index) => index);
        const of = (times: number) => {
          const [now, then] = [counts.map(([a]) => a * times), counts.map(([, b]) => b * times)];
          const moments = { batch: momentsOf(values, now), baseline: momentsOf(values, then) };
          const options = { ...OPTIONS, moments };
          const [batch, baseline] = [atomsOnly(values, now), atomsOnly(values, then)];
          return {
            psi: effect('psi', batch, baseline),
            js: effect('js', batch, baseline),
            ks: effect('ks', batch, baseline),
            wasserstein: effect('wasserstein', batch, baseline, options),
            linf: effect('linf', categories(now), categories(then)),
            mean: meanShift(moments.batch, moments.baseline, OPTIONS) as DriftEffect,
          };
        };
        const [few, many] = [of(1), of(100)];
        for (const name of Object.keys(few) as (keyof typeof few)[]) {
          expect(many[name].low, name).toBeGreaterThanOrEqual(few[name].low - 1e-9);
          expect(many[name].high, name).toBeLessThanOrEqual(few[name].high + 1e-9);
          expect(many[name].smallestDetectable, name).toBeLessThan(few[name].smallestDetectable);
        }
      }),
      { seed: 7, numRuns: 200 },
    );
  });
});
