import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { MetricQuery, MetricValue } from '../../../functions/holdout-evaluation/metric.ts';
import { prepareRegression, regressionMetric } from '../../../functions/holdout-evaluation/regression.ts';

const QUERIES: MetricQuery[] = [
  { metric: 'mae' },
  { metric: 'rmse' },
  { metric: 'r2' },
  { metric: 'mape' },
  { metric: 'medianAbsoluteError' },
  { metric: 'pinballLoss', quantile: 0.1 },
  { metric: 'pinballLoss', quantile: 0.9 },
];

interface Row {
  label: number;
  prediction: number;
  weight: number;
}

function measure(query: MetricQuery, rows: Row[]): MetricValue {
  return regressionMetric(query, {
    labels: Float64Array.from(rows, ({ label }) => label),
    predictions: Float64Array.from(rows, ({ prediction }) => prediction),
    weights: Float64Array.from(rows, ({ weight }) => weight),
  });
}

function expectSame(actual: MetricValue, expected: MetricValue): void {
  if ('value' in actual && 'value' in expected) {
    const near = 1e-9 * Math.max(1, Math.abs(expected.value));
    expect(Math.abs(actual.value - expected.value)).toBeLessThanOrEqual(near);
  } else expect(actual).toEqual(expected);
}

const row = (label: number, prediction: number, weight = 1): Row => ({ label, prediction, weight });

/** Halves, so that ties are frequent and sums exact. */
const half = fc.integer({ min: -20, max: 20 }).map((value) => value / 2);
const arbitraryRow = fc.record({ label: half, prediction: half, weight: fc.integer({ min: 1, max: 4 }) });
const arbitraryRows = fc.array(arbitraryRow, { minLength: 1, maxLength: 25 });

describe('by hand', () => {
  // Errors of 1, 2, 0 and 3.
  const rows = [row(2, 3), row(4, 2), row(5, 5), row(-1, -4)];

  test.each<[MetricQuery, number]>([
    [{ metric: 'mae' }, 6 / 4],
    [{ metric: 'rmse' }, Math.sqrt(14 / 4)],
    // Labels deviate from their mean of 2.5 by 0.5, 1.5, 2.5 and 3.5.
    [{ metric: 'r2' }, 1 - 14 / 21],
    [{ metric: 'mape' }, (1 / 2 + 2 / 4 + 0 + 3) / 4],
    [{ metric: 'medianAbsoluteError' }, 1.5],
    [{ metric: 'pinballLoss', quantile: 0.9 }, (0.1 * 1 + 0.9 * 2 + 0 + 0.9 * 3) / 4],
  ])('%o is %d', (query, expected) => {
    expect(measure(query, rows)).toEqual({ value: expect.closeTo(expected, 12) });
  });

  test('a model that predicts the mean has an R² of 0, and a worse one is below', () => {
    expect(measure({ metric: 'r2' }, [row(1, 2), row(3, 2)])).toEqual({ value: 0 });
    expect(measure({ metric: 'r2' }, [row(1, 3), row(3, 1)])).toEqual({ value: -3 });
  });

  test('a label of zero makes a percentage large, not infinite', () => {
    expect(measure({ metric: 'mape' }, [row(0, 1)])).toEqual({ value: 2 ** 52 });
    expect(measure({ metric: 'mape' }, [row(0, 0)])).toEqual({ value: 0 });
  });

  test.each<[string, Row[], number]>([
    ['more than half of the weight on one', [row(0, 5, 3), row(0, 1, 1), row(0, 2, 1)], 5],
    ['exactly half below', [row(0, 1, 2), row(0, 3, 1), row(0, 9, 1)], 2],
    ['half but for rounding', [row(0, 1, 0.1), row(0, 2, 0.2), row(0, 7, 0.3)], 4.5],
    ['a weight of zero in the middle', [row(0, 1), row(0, 2, 0), row(0, 3)], 2],
    ['one', [row(0, 4)], 4],
  ])('the median of absolute errors: %s', (_, rows, expected) => {
    expect(measure({ metric: 'medianAbsoluteError' }, rows)).toEqual({ value: expected });
  });

  test.each<[string, Row[]]>([
    ['no row', []],
    ['weights of zero', [row(1, 2, 0)]],
  ])('without an example nothing has a value: %s', (_, rows) => {
    for (const query of QUERIES) expect(measure(query, rows)).toEqual({ undefinedBecause: 'no example' });
  });

  test('numbers that overflow have no value, and take none from others', () => {
    const huge = [row(1e200, -1e200), row(1, 2)];
    const why = { undefinedBecause: 'the numbers are too large to compute with' };
    expect(measure({ metric: 'rmse' }, huge)).toEqual(why);
    expect(measure({ metric: 'r2' }, huge)).toEqual(why);
    expect(measure({ metric: 'mae' }, huge)).toEqual({ value: 1e200 });
    expect(measure({ metric: 'rmse' }, [row(1e200, -1e200, 0), row(1, 2)])).toEqual({ value: 1 });
  });

  test('a metric of classes is refused', () => {
    expect(() => measure({ metric: 'auc' }, [row(1, 2)])).toThrow(RangeError);
  });
});

describe('of any examples', () => {
  test('a value is finite, and only R² can be negative', () => {
    fc.assert(
      fc.property(arbitraryRows, (rows) => {
        for (const query of QUERIES) {
          const result = measure(query, rows);
          if ('undefinedBecause' in result) {
            expect([query.metric, result.undefinedBecause]).toEqual(['r2', 'every label is the same']);
          } else {
            expect(Number.isFinite(result.value)).toBe(true);
            expect(result.value).toBeGreaterThanOrEqual(query.metric === 'r2' ? Number.NEGATIVE_INFINITY : 0);
          }
        }
      }),
      { seed: 2001, numRuns: 100 },
    );
  });

  test('a weight counts like so many copies, in any order', () => {
    fc.assert(
      fc.property(arbitraryRows, (rows) => {
        const copies = rows.flatMap((one) =>
          Array.from({ length: one.weight }, () => ({ ...one, weight: 1 })),
        );
        for (const query of QUERIES) expectSame(measure(query, copies.reverse()), measure(query, rows));
      }),
      { seed: 2001, numRuns: 100 },
    );
  });

  test('an example of weight zero is not there, and the scale of weights says nothing', () => {
    fc.assert(
      fc.property(arbitraryRows, fc.array(arbitraryRow, { maxLength: 5 }), (rows, others) => {
        const more = [...others.map((one) => ({ ...one, weight: 0 })), ...rows];
        const tenths = rows.map((one) => ({ ...one, weight: one.weight / 10 }));
        for (const query of QUERIES) {
          expectSame(measure(query, more), measure(query, rows));
          expectSame(measure(query, tenths), measure(query, rows));
        }
      }),
      { seed: 2001, numRuns: 100 },
    );
  });

  test('what is prepared once serves every weighting', () => {
    fc.assert(
      fc.property(arbitraryRows, fc.shuffledSubarray(QUERIES), (rows, queries) => {
        const metric = prepareRegression({
          labels: Float64Array.from(rows, ({ label }) => label),
          predictions: Float64Array.from(rows, ({ prediction }) => prediction),
        });
        for (const divisor of [1, 2, 1]) {
          const weighted = rows.map((one) => ({ ...one, weight: Math.floor(one.weight / divisor) }));
          const weights = Float64Array.from(weighted, ({ weight }) => weight);
          for (const query of queries) expect(metric(query, weights)).toEqual(measure(query, weighted));
        }
      }),
      { seed: 2001, numRuns: 60 },
    );
  });

  test('R² and the median do not change when labels and predictions move together', () => {
    fc.assert(
      fc.property(arbitraryRows, (rows) => {
        const moved = rows.map((one) => ({ ...one, label: one.label + 64, prediction: one.prediction + 64 }));
        for (const metric of ['r2', 'medianAbsoluteError', 'mae', 'rmse'] as const) {
          expectSame(measure({ metric }, moved), measure({ metric }, rows));
        }
      }),
      { seed: 2001, numRuns: 60 },
    );
  });
});
