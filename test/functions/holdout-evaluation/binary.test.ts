import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  ascendingOrder,
  type BinaryExamples,
  binaryMetric,
  binaryValue,
  prepareBinary,
  tally,
} from '../../../functions/holdout-evaluation/binary.ts';
import {
  type MetricName,
  type MetricQuery,
  metricsOf,
} from '../../../functions/holdout-evaluation/metric.ts';

const METRICS = metricsOf('binary');

function measured(metric: MetricName, examples: BinaryExamples, threshold?: number): number {
  const result = binaryMetric({ metric, ...(threshold !== undefined && { threshold }) }, examples);
  if (!('value' in result)) throw new Error(`${metric}: ${result.undefinedBecause}`);
  return result.value;
}

/** Labels, scores on a coarse grid (so that many tie) or a fine one, and weights, of both classes. */
const examples = fc
  .record({
    grid: fc.constantFrom(4, 1000),
    rows: fc.array(
      fc.record({
        label: fc.constantFrom(0, 1),
        score: fc.nat(1000),
        weight: fc.integer({ min: 1, max: 9 }),
      }),
      { minLength: 1, maxLength: 40 },
    ),
  })
  .map(({ grid, rows }) => {
    const all = [...rows, { label: 0, score: 400, weight: 1 }, { label: 1, score: 600, weight: 2 }];
    return {
      labels: all.map(({ label }) => label),
      predictions: all.map(({ score }) => Math.round((score / 1000) * grid) / grid),
      weights: all.map(({ weight }) => weight / 2),
    };
  });

/** A fixed seed: what fails here fails for everybody. */
const RUNS = { seed: 2001, numRuns: 100 };

describe('by hand', () => {
  // By falling score: + (0.9), + and - (0.6), - (0.4), + (0.1).
  const five = { labels: [1, 1, 0, 0, 1], predictions: [0.9, 0.6, 0.6, 0.4, 0.1] };

  it.each<[MetricName, number]>([
    ['accuracy', 3 / 5],
    ['precision', 2 / 3],
    ['recall', 2 / 3],
    ['specificity', 1 / 2],
    ['balancedAccuracy', (2 / 3 + 1 / 2) / 2],
    ['f1', 2 / 3],
    ['mcc', (2 * 1 - 1 * 1) / Math.sqrt(3 * 3 * 2 * 2)],
    // Of six pairs: two, one and a half, none in the right order.
    ['auc', 3.5 / 6],
    // At recall 1/3, 2/3 and 3/3.
    ['averagePrecision', (1 + 2 / 3 + 3 / 5) / 3],
    ['logLoss', -(Math.log(0.9) + Math.log(0.6) + Math.log(0.4) + Math.log(0.6) + Math.log(0.1)) / 5],
    ['brier', (0.01 + 0.16 + 0.36 + 0.16 + 0.81) / 5],
    // One example in each bin, but for two in [0.6, 0.7), one of them positive.
    ['calibrationError', (0.1 + Math.abs(1 - 1.2) + 0.4 + 0.9) / 5],
  ])('%s', (metric, expected) => {
    expect(measured(metric, five)).toBeCloseTo(expected, 14);
  });

  it('counts a score at the threshold as positive', () => {
    expect(measured('recall', five, 0.6)).toBeCloseTo(2 / 3, 14);
    expect(measured('recall', five, 0.6000001)).toBeCloseTo(1 / 3, 14);
    expect(measured('recall', five, 0)).toBe(1);
  });

  it('keeps the log loss of certainty finite, as scikit-learn does', () => {
    expect(measured('logLoss', { labels: [1], predictions: [0] })).toBeCloseTo(-Math.log(2 ** -52), 12);
    expect(measured('logLoss', { labels: [0], predictions: [0] })).toBeGreaterThan(0);
  });

  it('puts 1 in the last bin, and an edge in the bin above it', () => {
    // In one bin the gaps would cancel: 0.95 and 1 share the last; 0.2 is not with 0.1999.
    expect(measured('calibrationError', { labels: [1, 0], predictions: [1, 0.95] })).toBeCloseTo(0.475, 14);
    expect(measured('calibrationError', { labels: [1, 0], predictions: [0.2, 0.1999] })).toBeCloseTo(
      (0.8 + 0.1999) / 2,
      14,
    );
  });
});

describe('without a value', () => {
  const because = (metric: MetricName, labels: number[], predictions: number[]) => {
    const result = binaryMetric({ metric }, { labels, predictions });
    return 'value' in result ? result.value : result.undefinedBecause;
  };

  it.each(METRICS)('%s of no example', (metric) => {
    expect(because(metric, [], [])).toBe('no example');
    expect(binaryMetric({ metric }, { labels: [1], predictions: [0.5], weights: [0] })).toEqual({
      undefinedBecause: 'no example',
    });
  });

  it.each<[MetricName, number | string]>([
    ['accuracy', 0.5],
    ['balancedAccuracy', 'no negative example'],
    ['precision', 1],
    ['recall', 0.5],
    ['specificity', 'no negative example'],
    ['f1', 2 / 3],
    ['mcc', 0],
    ['auc', 'no negative example'],
    ['averagePrecision', 1],
  ])('%s of positives alone: %s', (metric, expected) => {
    expect(because(metric, [1, 1], [0.8, 0.2])).toBe(expected);
  });

  it.each<[MetricName, number | string]>([
    ['accuracy', 0.5],
    ['balancedAccuracy', 'no positive example'],
    ['precision', 0],
    ['recall', 'no positive example'],
    ['specificity', 0.5],
    ['f1', 0],
    ['mcc', 0],
    ['auc', 'no positive example'],
    ['averagePrecision', 'no positive example'],
  ])('%s of negatives alone: %s', (metric, expected) => {
    expect(because(metric, [0, 0], [0.8, 0.2])).toBe(expected);
  });

  it('blames the model that predicts nobody positive', () => {
    expect(because('precision', [0, 1], [0.1, 0.2])).toBe('no example is predicted positive');
    expect(because('f1', [0, 1], [0.1, 0.2])).toBe(0);
    expect(because('f1', [0, 0], [0.1, 0.2])).toBe('no positive example');
    expect(because('mcc', [0, 1], [0.1, 0.2])).toBe(0);
  });

  it('of another task is a mistake of the program', () => {
    expect(() => because('mae', [0, 1], [0.1, 0.2])).toThrow(RangeError);
  });
});

describe('properties', () => {
  it('a weight of 2 is the example twice', () => {
    fc.assert(
      fc.property(examples, ({ labels, predictions, weights }) => {
        const twice = <T>(values: T[]) =>
          values.flatMap((value, row) => Array.from({ length: (weights[row] ?? 0) * 2 }, () => value));
        for (const metric of METRICS) {
          const weighted = binaryMetric({ metric }, { labels, predictions, weights });
          const repeated = binaryMetric(
            { metric },
            { labels: twice(labels), predictions: twice(predictions) },
          );
          expectAlike(weighted, repeated);
        }
      }),
      RUNS,
    );
  });

  it('a weight of 0 takes the example out', () => {
    fc.assert(
      fc.property(examples, ({ labels, predictions, weights }) => {
        const kept = weights.map((weight) => (weight > 2 ? 0 : weight));
        const rest = <T>(values: T[]) => values.filter((_, row) => kept[row] !== 0);
        for (const metric of METRICS) {
          expectAlike(
            binaryMetric({ metric }, { labels, predictions, weights: kept }),
            binaryMetric(
              { metric },
              { labels: rest(labels), predictions: rest(predictions), weights: rest(weights) },
            ),
          );
        }
      }),
      RUNS,
    );
  });

  it('the order of the examples does not matter', () => {
    fc.assert(
      fc.property(examples, ({ labels, predictions, weights }) => {
        for (const metric of METRICS) {
          expectAlike(
            binaryMetric({ metric }, { labels, predictions, weights }),
            binaryMetric(
              { metric },
              {
                labels: labels.toReversed(),
                predictions: predictions.toReversed(),
                weights: weights.toReversed(),
              },
            ),
          );
        }
      }),
      RUNS,
    );
  });

  it('AUC and average precision see only the order of the scores', () => {
    fc.assert(
      fc.property(examples, ({ labels, predictions, weights }) => {
        const bent = predictions.map((score) => Math.exp(3 * score) - 20);
        for (const metric of ['auc', 'averagePrecision'] as const) {
          expect(measured(metric, { labels, predictions: bent, weights })).toBeCloseTo(
            measured(metric, { labels, predictions, weights }),
            12,
          );
        }
      }),
      RUNS,
    );
  });

  it('swapping the classes and turning the scores around leaves what is symmetric', () => {
    fc.assert(
      fc.property(examples, ({ labels, predictions, weights }) => {
        const swapped = {
          labels: labels.map((label) => 1 - label),
          predictions: predictions.map((score) => 1 - score),
          weights,
        };
        for (const metric of ['auc', 'logLoss', 'brier'] as const) {
          expect(measured(metric, swapped)).toBeCloseTo(
            measured(metric, { labels, predictions, weights }),
            9,
          );
        }
        // No score is at this threshold, which would count as positive on both sides.
        const [threshold, other] = [0.5005, 1 - 0.5005];
        expect(measured('mcc', swapped, other)).toBeCloseTo(
          measured('mcc', { labels, predictions, weights }, threshold),
          12,
        );
        expect(measured('recall', swapped, other)).toBeCloseTo(
          measured('specificity', { labels, predictions, weights }, threshold),
          12,
        );
      }),
      RUNS,
    );
  });

  it('a tally of counts is the metric of examples repeated as often', () => {
    const thresholds = [0.3, 0.5];
    fc.assert(
      fc.property(examples, fc.infiniteStream(fc.nat(3)), (given, stream) => {
        const prepared = prepareBinary(given, thresholds);
        const take = (length: number) => Uint8Array.from({ length }, () => stream.next().value ?? 0);
        const counts = {
          positives: take(prepared.positives.of.length),
          negatives: take(prepared.negatives.of.length),
        };
        const effective = new Float64Array(given.labels.length);
        for (const name of ['positives', 'negatives'] as const) {
          for (const [place, row] of prepared[name].of.entries()) {
            effective[row] = (given.weights[row] ?? 0) * (counts[name][place] ?? 0);
          }
        }
        const sums = tally(prepared, counts);
        for (const metric of METRICS) {
          for (const threshold of thresholds) {
            const query: MetricQuery = { metric, threshold };
            expectAlike(
              binaryValue(query, sums, thresholds),
              binaryMetric(query, { ...given, weights: effective }),
            );
          }
        }
      }),
      RUNS,
    );
  });

  function expectAlike(actual: object, expected: object): void {
    if ('value' in actual && 'value' in expected) {
      expect(actual.value).toBeCloseTo(expected.value as number, 11);
    } else {
      expect(actual).toEqual(expected);
    }
  }
});

describe('order', () => {
  it('sorts any finite numbers, and keeps the order of equal ones', () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof(fc.double({ noNaN: true, noDefaultInfinity: true }), fc.constantFrom(0, -0, 1))),
        (values) => {
          const expected = values.map((_, index) => index).sort((a, b) => values[a]! - values[b]! || a - b);
          expect(Array.from(ascendingOrder(Float64Array.from(values)))).toEqual(expected);
        },
      ),
      RUNS,
    );
  });
});
