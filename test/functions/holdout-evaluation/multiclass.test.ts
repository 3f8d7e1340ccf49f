import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { MetricName, MetricQuery, MetricValue } from '../../../functions/holdout-evaluation/metric.ts';
import { multiclassMetric, prepareMulticlass } from '../../../functions/holdout-evaluation/multiclass.ts';

const CLASSES = ['ant', 'bee', 'cow'];

/** Every query that a model of these classes can be asked. */
const QUERIES: MetricQuery[] = [
  ...(['accuracy', 'balancedAccuracy', 'mcc', 'logLoss', 'brier', 'calibrationError'] as const).map(
    (metric) => ({
      metric,
    }),
  ),
  ...(['precision', 'recall', 'f1', 'specificity'] as const).flatMap((metric) => [
    { metric, average: 'macro' as const },
    { metric, average: 'micro' as const },
    ...CLASSES.map((name) => ({ metric, class: name })),
  ]),
  ...(['auc', 'averagePrecision'] as const).flatMap((metric) => [
    { metric, average: 'macro' as const },
    ...CLASSES.map((name) => ({ metric, class: name })),
  ]),
];

interface Rows {
  labels: number[];
  probabilities: number[][];
  weights: number[];
}

function examplesOf({ labels, probabilities }: Rows, classes = CLASSES) {
  return {
    labels: Int32Array.from(labels),
    predictions: Float64Array.from(probabilities.flat()),
    classes,
  };
}

function measure(query: MetricQuery, rows: Rows): MetricValue {
  return multiclassMetric(query, { ...examplesOf(rows), weights: Float64Array.from(rows.weights) });
}

function expectSame(actual: MetricValue, expected: MetricValue): void {
  if ('value' in actual && 'value' in expected) expect(actual.value).toBeCloseTo(expected.value, 10);
  else expect(actual).toEqual(expected);
}

/** Probabilities in quarters, so that ties, zeros and ones are frequent. */
const arbitraryRow = fc
  .tuple(
    fc.integer({ min: 0, max: 2 }),
    fc.integer({ min: 0, max: 4 }),
    fc.integer({ min: 0, max: 4 }),
    fc.integer({ min: 1, max: 3 }),
  )
  .map(([label, a, b, weight]) => {
    const [first, last] = [Math.min(a, b), Math.max(a, b)];
    return { label, probability: [first / 4, (last - first) / 4, (4 - last) / 4], weight };
  });
const arbitraryRows = fc.array(arbitraryRow, { minLength: 1, maxLength: 25 });

function rowsOf(rows: { label: number; probability: number[]; weight: number }[]): Rows {
  return {
    labels: rows.map(({ label }) => label),
    probabilities: rows.map(({ probability }) => probability),
    weights: rows.map(({ weight }) => weight),
  };
}

describe('by hand', () => {
  // Predicted: ant, bee, ant, cow.
  const rows: Rows = {
    labels: [0, 0, 1, 2],
    probabilities: [
      [0.8, 0.1, 0.1],
      [0.3, 0.5, 0.2],
      [0.5, 0.4, 0.1],
      [0.2, 0.2, 0.6],
    ],
    weights: [1, 1, 1, 1],
  };

  test.each<[MetricQuery, number]>([
    [{ metric: 'accuracy' }, 2 / 4],
    [{ metric: 'balancedAccuracy' }, (1 / 2 + 0 + 1) / 3],
    [{ metric: 'precision', class: 'ant' }, 1 / 2],
    [{ metric: 'precision', average: 'macro' }, (1 / 2 + 0 + 1) / 3],
    [{ metric: 'precision', average: 'micro' }, 2 / 4],
    [{ metric: 'recall', class: 'bee' }, 0],
    [{ metric: 'f1', class: 'ant' }, 2 / 4],
    [{ metric: 'specificity', class: 'ant' }, 1 / 2],
    [{ metric: 'specificity', average: 'micro' }, (1 + 2 + 3) / (2 + 3 + 3)],
    // Ants score 0.8 and 0.3, the rest 0.5 and 0.2.
    [{ metric: 'auc', class: 'ant' }, 3 / 4],
    [{ metric: 'averagePrecision', class: 'ant' }, (1 + 2 / 3) / 2],
    [{ metric: 'logLoss' }, -(Math.log(0.8) + Math.log(0.3) + Math.log(0.4) + Math.log(0.6)) / 4],
    [
      { metric: 'brier' },
      (0.04 + 0.01 + 0.01 + 0.49 + 0.25 + 0.04 + 0.25 + 0.36 + 0.01 + 0.04 + 0.04 + 0.16) / 4,
    ],
    // Both of 0.5 are wrong; 0.8 and 0.6 are right.
    [{ metric: 'calibrationError' }, (0.2 + 1 + 0.4) / 4],
    [{ metric: 'mcc' }, (2 * 4 - (2 * 2 + 1 * 1 + 1 * 1)) / (16 - 6)],
  ])('%o is %d', (query, expected) => {
    expect(measure(query, rows)).toEqual({ value: expect.closeTo(expected, 12) });
  });

  test('a probability of 0 for what happened costs a log loss of 36, not infinity', () => {
    const sure = { labels: [0], probabilities: [[0, 1, 0]], weights: [1] };
    expect(measure({ metric: 'logLoss' }, sure)).toEqual({ value: -Math.log(Number.EPSILON) });
  });

  test('of equal probabilities the first class is the predicted one', () => {
    const tie = { labels: [1], probabilities: [[0.2, 0.4, 0.4]], weights: [1] };
    expect(measure({ metric: 'accuracy' }, tie)).toEqual({ value: 1 });
  });

  test.each([[[]], [[0, 0, 0, 0]]])('without an example nothing has a value: weights %o', (weights) => {
    const none = weights.length === 0 ? { labels: [], probabilities: [], weights } : { ...rows, weights };
    for (const query of QUERIES) expect(measure(query, none)).toEqual({ undefinedBecause: 'no example' });
  });

  test.each<MetricName>(['mae', 'r2'])('%s is refused', (metric) => {
    expect(() => measure({ metric, average: 'macro' }, rows)).toThrow(RangeError);
  });
});

describe('of any examples', () => {
  test('a value is finite and in range, and its absence has a reason', () => {
    fc.assert(
      fc.property(arbitraryRows, (rows) => {
        for (const query of QUERIES) {
          const result = measure(query, rowsOf(rows));
          if ('undefinedBecause' in result) {
            expect(result.undefinedBecause).not.toBe('');
            continue;
          }
          const low = query.metric === 'mcc' ? -1 : 0;
          const high = query.metric === 'logLoss' ? 40 : query.metric === 'brier' ? 2 : 1;
          expect(result.value).toBeGreaterThanOrEqual(low - 1e-12);
          expect(result.value).toBeLessThanOrEqual(high + 1e-12);
        }
      }),
      { seed: 2001, numRuns: 60 },
    );
  });

  test('a weight counts like so many copies, in any order', () => {
    fc.assert(
      fc.property(arbitraryRows, fc.integer(), (rows, seed) => {
        const copies = rows.flatMap((row) =>
          Array.from({ length: row.weight }, () => ({ ...row, weight: 1 })),
        );
        const turned = copies.map((_, index) => copies[(index + Math.abs(seed)) % copies.length]!);
        for (const query of QUERIES) expectSame(measure(query, rowsOf(rows)), measure(query, rowsOf(turned)));
      }),
      { seed: 2001, numRuns: 60 },
    );
  });

  test('an example of weight zero is not there, and the scale of weights says nothing', () => {
    fc.assert(
      fc.property(arbitraryRows, fc.array(arbitraryRow, { maxLength: 5 }), (rows, others) => {
        const more = [...others.map((row) => ({ ...row, weight: 0 })), ...rows];
        const tenths = rows.map((row) => ({ ...row, weight: row.weight / 10 }));
        for (const query of QUERIES) {
          const expected = measure(query, rowsOf(rows));
          expectSame(measure(query, rowsOf(more)), expected);
          expectSame(measure(query, rowsOf(tenths)), expected);
        }
      }),
      { seed: 2001, numRuns: 60 },
    );
  });

  test('what is prepared once serves every weighting, in any order of the queries', () => {
    fc.assert(
      fc.property(arbitraryRows, fc.shuffledSubarray(QUERIES), (rows, queries) => {
        const all = rowsOf(rows);
        const metric = prepareMulticlass(examplesOf(all));
        for (const weights of [all.weights, all.weights.map((weight) => weight % 2), all.weights]) {
          for (const query of queries) {
            expect(metric(query, Float64Array.from(weights))).toEqual(measure(query, { ...all, weights }));
          }
        }
      }),
      { seed: 2001, numRuns: 40 },
    );
  });
});
