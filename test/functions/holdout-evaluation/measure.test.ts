import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { measureMetrics } from '../../../functions/holdout-evaluation/adapters/measure.ts';
import { resampleInThreads } from '../../../functions/holdout-evaluation/adapters/workers.ts';
import { binaryMetric } from '../../../functions/holdout-evaluation/binary.ts';
import type { Examples, MetricRequest } from '../../../functions/holdout-evaluation/measurements.ts';
import {
  factsOf,
  type MetricQuery,
  metricsOf,
  type Task,
} from '../../../functions/holdout-evaluation/metric.ts';
import { GateDependencyError } from '../../../functions/shared/errors.ts';
import { bundleHandler } from '../../../lib/shared/gate-function.ts';
import { createRandom } from '../../support/random.ts';

const OPTIONS = { confidence: 0.95, replicates: 200, seed: '5eed', threads: 1 };

/** Every metric of a task, at default parameters. */
function queriesOf(task: Task): MetricQuery[] {
  return metricsOf(task).map((metric) => {
    const { threshold, quantile } = factsOf(metric);
    return {
      metric,
      ...(task === 'binary' && threshold && { threshold: 0.5 }),
      ...(quantile && { quantile: 0.9 }),
    };
  });
}

const requestsOf = (queries: MetricQuery[]): MetricRequest[] => queries.map((query) => ({ query }));

/** Scores of a fair model, of a champion that is a little worse, and two slices of unequal size. */
function binary(count: number, seed = 1): Examples & { champion: Float64Array } {
  const random = createRandom(seed);
  const labels = new Uint8Array(count);
  const predictions = new Float64Array(count);
  const champion = new Float64Array(count);
  const of = new Int32Array(count);
  for (let row = 0; row < count; row++) {
    const chance = random.uniform() ** 2;
    predictions[row] = chance;
    champion[row] = Math.min(1, Math.max(0, chance + 0.3 * (random.uniform() - 0.5)));
    labels[row] = random.uniform() < chance ? 1 : 0;
    of[row] = random.uniform() < 0.2 ? 1 : 0;
  }
  return {
    task: 'binary',
    count,
    labels,
    predictions,
    champion,
    classes: [],
    slicings: [{ by: 'origin', values: ['ATL', 'ORD'], of }],
  };
}

function regression(count: number): Examples {
  const random = createRandom(2);
  const labels = Float64Array.from({ length: count }, () => 10 * random.uniform());
  const predictions = labels.map((label) => label + random.normal());
  return { task: 'regression', count, labels, predictions, classes: [], slicings: [] };
}

function multiclass(count: number): Examples {
  const random = createRandom(3);
  const labels = new Int32Array(count);
  const predictions = new Float64Array(3 * count);
  for (let row = 0; row < count; row++) {
    const label = Math.floor(3 * random.uniform() ** 2);
    labels[row] = label;
    const scores = [0, 1, 2].map((index) => Math.exp(random.normal() + (index === label ? 1.5 : 0)));
    const total = scores.reduce((sum, score) => sum + score, 0);
    predictions.set(
      scores.map((score) => score / total),
      3 * row,
    );
  }
  return { task: 'multiclass', count, labels, predictions, classes: ['a', 'b', 'c'], slicings: [] };
}

describe('values and intervals', () => {
  it('of the whole and of each slice are those of these examples', async () => {
    const examples = binary(600);
    const queries = queriesOf('binary');
    const requests = queries.flatMap((query): MetricRequest[] => [{ query }, { query, slicing: 'origin' }]);
    const { metrics, ...rest } = await measureMetrics(examples, requests, [], OPTIONS);
    expect(rest).toMatchObject({ examples: 600, confidence: 0.95, replicates: 200, seed: '5eed' });
    const labels = Array.from(examples.labels);
    const inSlice = (slice: number) => (_: number, row: number) => examples.slicings[0]?.of[row] === slice;
    const expected = queries.flatMap((query) =>
      [undefined, 'ATL', 'ORD'].map((value, index) => {
        const keep = value === undefined ? () => true : inSlice(index - 1);
        const own = { labels: labels.filter(keep), predictions: examples.predictions.filter(keep) };
        return {
          query,
          ...(value !== undefined && { slice: { by: 'origin', value } }),
          examples: own.labels.length,
          positives: own.labels.filter((label) => label === 1).length,
          ...binaryMetric(query, own),
        };
      }),
    );
    expect(metrics.map(({ interval, ...metric }) => metric)).toEqual(
      expected.map((metric) =>
        'value' in metric ? { ...metric, value: expect.closeTo(metric.value, 12) } : metric,
      ),
    );
    for (const { query, value, interval } of metrics) {
      expect(interval?.low, query.metric).toBeLessThanOrEqual(value ?? Number.NaN);
      expect(interval?.high, query.metric).toBeGreaterThanOrEqual(value ?? Number.NaN);
      expect(interval?.low, query.metric).toBeLessThan(interval?.high ?? Number.NaN);
    }
  });

  it.each([multiclass, regression])('of other tasks: $name', async (create) => {
    const examples = create(300);
    const weights = Float64Array.from({ length: 300 }, (_, row) => 1 + (row % 3));
    const { metrics } = await measureMetrics(
      { ...examples, weights },
      requestsOf(queriesOf(examples.task)),
      [],
      OPTIONS,
    );
    for (const { query, value, interval } of metrics) {
      expect(value, query.metric).not.toBeNull();
      expect(interval?.low, query.metric).toBeLessThan(interval?.high ?? Number.NaN);
      expect(interval?.low, query.metric).toBeLessThanOrEqual(value ?? Number.NaN);
      expect(interval?.high, query.metric).toBeGreaterThanOrEqual(value ?? Number.NaN);
    }
  });

  it('of slices with too few examples are not computed', async () => {
    const requests = [{ query: { metric: 'auc' as const }, slicing: 'origin', minExamples: 100 }];
    const { metrics } = await measureMetrics(binary(200), requests, [], OPTIONS);
    expect(metrics).toMatchObject([
      { slice: { by: 'origin', value: 'ATL' }, examples: 158, interval: { confidence: 0.95 } },
      {
        slice: { by: 'origin', value: 'ORD' },
        examples: 42,
        value: null,
        interval: null,
        undefinedBecause: 'only 42 examples, 100 are needed',
      },
    ]);
  });

  it('of too few examples in all are not computed either', async () => {
    const requests = [{ query: { metric: 'auc' as const }, minExamples: 2 }];
    const { metrics } = await measureMetrics(binary(1), requests, [], OPTIONS);
    expect(metrics[0]?.undefinedBecause).toBe('only 1 example, 2 are needed');
  });

  it.each([0, 1, 2, 3])('of %d examples never break', async (count) => {
    for (const examples of [binary(count), multiclass(count), regression(count)]) {
      const queries = queriesOf(examples.task);
      const measured = await measureMetrics(examples, requestsOf(queries), queries, OPTIONS);
      for (const { value, interval, undefinedBecause } of [...measured.metrics, ...measured.differences]) {
        if (value === null) expect(undefinedBecause).toBeTruthy();
        else expect(value).not.toBeNaN();
        for (const bound of Object.values(interval ?? {})) expect(bound).not.toBeNaN();
      }
    }
  });

  it('of a class that is missing say so', async () => {
    const examples = binary(50);
    const { metrics } = await measureMetrics(
      { ...examples, labels: new Uint8Array(50) },
      requestsOf([{ metric: 'auc' }, { metric: 'brier' }]),
      [],
      OPTIONS,
    );
    expect(metrics).toMatchObject([
      { value: null, interval: null, undefinedBecause: 'no positive example' },
      { interval: { confidence: 0.95 } },
    ]);
  });

  it('have no interval where resamples often leave them undefined', async () => {
    const labels = Float64Array.from({ length: 20 }, (_, row) => Number(row === 0));
    const examples = { ...regression(20), labels };
    const { metrics } = await measureMetrics(examples, requestsOf([{ metric: 'r2' }]), [], OPTIONS);
    expect(metrics).toMatchObject([
      {
        value: expect.any(Number),
        interval: null,
        undefinedBecause: 'too few examples for an interval',
      },
    ]);
  });

  it('of one example are as unsure as one example is', async () => {
    const predictions = Float64Array.from({ length: 100 }, (_, row) => (row === 0 ? 0.9 : 0.1));
    const labels = Uint8Array.from(predictions, (_, row) => row % 2);
    const precision: MetricQuery = { metric: 'precision', threshold: 0.5 };
    const examples = { ...binary(100), predictions, labels };
    const { metrics } = await measureMetrics(examples, requestsOf([precision]), [], OPTIONS);
    // Wilson's interval of none of one.
    expect(metrics).toMatchObject([{ value: 0, interval: { low: 0, high: expect.closeTo(0.7935, 4) } }]);
  });

  it('of a perfect model are not sure of perfection', async () => {
    const labels = Uint8Array.from({ length: 40 }, (_, row) => Number(row < 20));
    const examples = { ...binary(40), labels, predictions: Float64Array.from(labels) };
    const { metrics } = await measureMetrics(examples, requestsOf(queriesOf('binary')), [], OPTIONS);
    for (const { query, value, interval } of metrics) {
      const better = factsOf(query.metric).better;
      if (query.metric === 'logLoss') continue;
      expect(value, query.metric).toBe(better === 'higher' ? 1 : 0);
      const far = better === 'higher' ? 1 - (interval?.low ?? 1) : (interval?.high ?? 0);
      expect(far, query.metric).toBeGreaterThan(0.05);
    }
  });

  it('do not depend on the order of the examples', async () => {
    const { slicings: _, champion: __, ...examples } = binary(300);
    const turned = {
      ...examples,
      labels: Uint8Array.from(examples.labels).reverse(),
      predictions: examples.predictions.toReversed(),
    };
    const requests = requestsOf(queriesOf('binary'));
    const [one, other] = await Promise.all(
      [examples, turned].map((given) => measureMetrics({ ...given, slicings: [] }, requests, [], OPTIONS)),
    );
    expect(other?.metrics).toEqual(one?.metrics);
  });
});

describe('differences from the champion', () => {
  /** The champion's certainty is often wrong, so that its log loss varies far more; so does its calibration. */
  const UNPAIRED: ReadonlySet<string> = new Set(['logLoss', 'calibrationError']);

  it('are paired', async () => {
    const examples = binary(2000);
    const queries = queriesOf('binary');
    const { differences, metrics } = await measureMetrics(examples, requestsOf(queries), queries, OPTIONS);
    expect(differences.map(({ query }) => query)).toEqual(queries);
    for (const [index, { query, candidate, champion, value, interval }] of differences.entries()) {
      expect(candidate).toBe(metrics[index]?.value);
      expect(value).toBe((candidate ?? 0) - (champion ?? 0));
      expect(interval?.low).toBeLessThan(interval?.high ?? 0);
      const alone = metrics[index]?.interval;
      const width = (of?: { low: number; high: number } | null) => (of?.high ?? 0) - (of?.low ?? 0);
      if (!UNPAIRED.has(query.metric)) {
        expect(width(interval), query.metric).toBeLessThan(width(alone));
      }
    }
    expect(differences.find(({ query }) => query.metric === 'auc')?.interval?.low).toBeGreaterThan(0);
  });

  it('of a model from itself are 0, surely', async () => {
    const examples = binary(500);
    const same = { ...examples, champion: examples.predictions.slice() };
    const { differences, predictionDrift } = await measureMetrics(same, [], queriesOf('binary'), OPTIONS);
    for (const { query, value, interval } of differences) {
      expect(value).toBe(0);
      expect(interval, query.metric).toMatchObject({ low: 0, high: 0 });
    }
    expect(predictionDrift).toMatchObject({ psi: 0, interval: { low: 0, estimate: 0, high: 0 } });
  });

  it('of models that agree on few examples are not sure of it', async () => {
    const examples = binary(100);
    const champion = examples.predictions.map((score) => (score < 0.5 ? score / 2 : score));
    const { differences } = await measureMetrics(
      { ...examples, champion },
      [],
      [{ metric: 'accuracy', threshold: 0.5 }],
      OPTIONS,
    );
    expect(differences).toMatchObject([
      { value: 0, interval: { low: expect.closeTo(-0.0199, 4), high: expect.closeTo(0.0199, 4) } },
    ]);
  });

  it('are undefined where either is', async () => {
    const examples = { ...binary(100), champion: new Float64Array(100) };
    const { differences } = await measureMetrics(
      examples,
      [],
      [{ metric: 'precision', threshold: 0.5 }],
      OPTIONS,
    );
    expect(differences).toMatchObject([
      { champion: null, value: null, undefinedBecause: 'of the champion: no example is predicted positive' },
    ]);
  });
});

describe('drift of the predictions', () => {
  it('is that of ten bins of the champion', async () => {
    const champion = Float64Array.from({ length: 1000 }, (_, row) => (row + 0.5) / 1000);
    const predictions = champion.map((score) => score ** 2);
    const examples = { ...binary(1000), champion, predictions };
    const { predictionDrift } = await measureMetrics(examples, [], [], OPTIONS);
    expect(predictionDrift?.bins.champion).toEqual(Array(10).fill(100));
    const shares = Array.from({ length: 10 }, (_, bin) => Math.sqrt((bin + 1) / 10) - Math.sqrt(bin / 10));
    for (const [bin, share] of shares.entries()) {
      expect(Math.abs((predictionDrift?.bins.candidate[bin] ?? 0) - 1000 * share)).toBeLessThanOrEqual(2);
    }
    const psi = shares.reduce((sum, share) => sum + (share - 0.1) * Math.log(share / 0.1), 0);
    expect(predictionDrift?.psi).toBeCloseTo(psi, 1);
    expect(predictionDrift?.interval.low).toBeLessThan(psi);
    expect(predictionDrift?.interval.high).toBeGreaterThan(psi);
  });

  it('merges bins of equal predictions, and leaves them room on both sides', async () => {
    const champion = Float64Array.from({ length: 100 }, (_, row) => (row < 70 ? 0.25 : 0.75));
    const predictions = champion.map((score) => score + 0.01);
    const { predictionDrift } = await measureMetrics(
      { ...binary(100), champion, predictions },
      [],
      [],
      OPTIONS,
    );
    expect(predictionDrift?.bins.edges).toEqual([0.2, 0.5, 0.8]);
    expect(predictionDrift?.bins.champion).toEqual([0, 70, 30, 0]);
    expect(predictionDrift?.psi).toBe(0);
  });

  it.each([
    ['the champion always says the same', [0.1], (row: number) => 0.9 + row / 1e5],
    ['most of it is the greatest', [0.05, ...Array<number>(19).fill(0.1)], (row: number) => 0.9 + row / 1e5],
    ['most of it is the least', [0.5, ...Array<number>(19).fill(0.1)], (row: number) => row / 1e5],
  ])('shows where %s, and the candidate is all beyond that', async (_, values, predict) => {
    const champion = Float64Array.from({ length: 400 }, (_, row) => values[row % values.length]!);
    const predictions = champion.map((_, row) => predict(row));
    const examples = { ...binary(400), champion, predictions };
    const { predictionDrift } = await measureMetrics(examples, [], [], OPTIONS);
    expect(predictionDrift?.interval.low).toBeGreaterThan(1);
  });

  it('of several classes shows another class of the same probability', async () => {
    const examples = multiclass(300);
    const champion = Float64Array.from({ length: 900 }, (_, at) => (at % 3 === 0 ? 0.8 : 0.1));
    const predictions = Float64Array.from({ length: 900 }, (_, at) => (at % 3 === 2 ? 0.8 : 0.1));
    const { predictionDrift } = await measureMetrics({ ...examples, champion, predictions }, [], [], OPTIONS);
    expect(predictionDrift?.interval.low).toBeGreaterThan(1);
  });
});

describe('for reports', () => {
  it('predictions of several classes differ where another class is the most probable', async () => {
    const { labels, ...examples } = multiclass(300);
    const predictions = Float64Array.from({ length: 900 }, (_, at) =>
      Number(labels[Math.floor(at / 3)] === at % 3),
    );
    const measured = await measureMetrics({ ...examples, labels, predictions }, [], [], OPTIONS);
    expect(measured.predictions).toEqual({ distinct: 3, min: 1, max: 1, mean: 1 });
  });

  it('curves have at most 200 points, and their ends', async () => {
    const { curves, predictions } = await measureMetrics(binary(5000), [], [], OPTIONS);
    expect(curves.roc?.falsePositiveRate.length).toBeLessThanOrEqual(200);
    expect(curves.roc?.falsePositiveRate.length).toBeGreaterThan(100);
    expect([curves.roc?.falsePositiveRate[0], curves.roc?.truePositiveRate[0]]).toEqual([0, 0]);
    expect([curves.roc?.falsePositiveRate.at(-1), curves.roc?.truePositiveRate.at(-1)]).toEqual([1, 1]);
    expect(curves.precisionRecall?.recall.length).toBeLessThanOrEqual(200);
    expect(curves.precisionRecall?.recall.at(-1)).toBe(1);
    expect(curves.calibration?.examples.reduce((sum, count) => sum + count, 0)).toBe(5000);
    expect(curves.confusion?.counts.flat().reduce((sum, count) => sum + count, 0)).toBe(5000);
    expect(predictions).toMatchObject({ distinct: expect.any(Number), mean: expect.closeTo(1 / 3, 1) });
  });

  it('small ones are exact', async () => {
    const examples: Examples = {
      task: 'binary',
      count: 4,
      labels: Uint8Array.of(1, 0, 1, 0),
      predictions: Float64Array.of(0.9, 0.6, 0.6, 0.1),
      classes: ['no', 'yes'],
      slicings: [],
    };
    const { curves, predictions } = await measureMetrics(examples, [], [], OPTIONS);
    expect(predictions).toEqual({ distinct: 3, min: 0.1, max: 0.9, mean: expect.closeTo(0.55, 12) });
    expect(curves).toEqual({
      roc: { falsePositiveRate: [0, 0, 0.5, 1], truePositiveRate: [0, 0.5, 1, 1] },
      precisionRecall: { recall: [0, 0.5, 1, 1], precision: [1, 1, 2 / 3, 0.5] },
      calibration: { predicted: [0.1, 0.6, 0.9], observed: [0, 0.5, 1], examples: [1, 2, 1] },
      confusion: {
        classes: ['no', 'yes'],
        counts: [
          [1, 1],
          [0, 2],
        ],
      },
    });
  });

  it('of several classes and of regressions', async () => {
    const several = await measureMetrics(multiclass(200), [], [], OPTIONS);
    expect(several.curves.confusion?.counts.flat().reduce((sum, count) => sum + count, 0)).toBe(200);
    expect(several.predictions.min).toBeGreaterThan(1 / 3);
    const { curves } = await measureMetrics(regression(200), [], [], OPTIONS);
    expect(curves.residuals?.counts.reduce((sum, count) => sum + count, 0)).toBe(200);
    expect(curves.residuals?.edges.length).toBe((curves.residuals?.counts.length ?? 0) + 1);
  });
});

describe('threads', () => {
  const examples = binary(30_000);
  const queries = queriesOf('binary');
  const requests = [
    ...requestsOf(queries),
    { query: { metric: 'auc' as const }, slicing: 'origin', minExamples: 10 },
  ];

  it('give what one thread gives, bit for bit', async () => {
    const options = { ...OPTIONS, replicates: 110 };
    const one = await measureMetrics(examples, requests, queries, options);
    const two = await measureMetrics(examples, requests, queries, { ...options, threads: 2 });
    expect(two).toEqual(one);
    const other = await measureMetrics(examples, requests, queries, { ...options, seed: 'beef' });
    expect(other.metrics.map(({ value }) => value)).toEqual(one.metrics.map(({ value }) => value));
    expect(other.metrics[0]?.interval).not.toEqual(one.metrics[0]?.interval);
  });

  it('give the same for other tasks and weights', async () => {
    const count = 30_000;
    const weights = Float64Array.from({ length: count }, (_, row) => 1 + (row % 4));
    for (const given of [multiclass(count), regression(count)]) {
      const asked = requestsOf(queriesOf(given.task).slice(0, 3));
      const options = { ...OPTIONS, replicates: 170 };
      const one = await measureMetrics({ ...given, weights }, asked, [], options);
      const two = await measureMetrics({ ...given, weights }, asked, [], { ...options, threads: 2 });
      expect(two).toEqual(one);
    }
  });

  it.each([1, 2])('stop where they are told to: %d', async (threads) => {
    const stop = new AbortController();
    const options = { ...OPTIONS, threads, replicates: 100_000, signal: stop.signal };
    const measuring = measureMetrics(examples, requests, [], options);
    setImmediate(() => stop.abort(new Error('the user has seen enough')));
    await expect(measuring).rejects.toThrow('the user has seen enough');
    await expect(measureMetrics(examples, [], [], options)).rejects.toThrow('the user has seen enough');
  });

  describe('in a file of their own', () => {
    const directory = mkdtempSync(join(tmpdir(), 'tocsin-threads-'));
    afterAll(() => rmSync(directory, { recursive: true, force: true }));

    const problem = {
      task: 'binary' as const,
      labels: Float64Array.of(0, 1),
      predictions: Float64Array.of(0.1, 0.9),
      classes: [],
      sets: [{ name: 'all', count: 2, queries: [{ metric: 'auc' as const }], championQueries: [] }],
      replicates: 10,
      seed: '5eed',
    };

    it('run from the bundle of the deployed function', async () => {
      bundleHandler(resolve('functions/holdout-evaluation/handler.ts'), directory);
      expect(existsSync(join(directory, 'index.js'))).toBe(true);
      const worker = join(directory, 'bootstrap-worker.js');
      const resampled = await resampleInThreads(problem, 2, undefined, worker);
      expect(resampled).toEqual(await resampleInThreads(problem, 2, undefined));
      expect(resampled).toMatchObject([{ summary: { values: [{ value: 1 }] } }]);
    });

    it.each([
      ['throws', 'throw new Error("no memory left");', 'no memory left'],
      ['exits', 'process.exit(7);', 'exit code 7'],
    ])('that die are a broken world: one %s', async (_, source, message) => {
      const file = join(directory, 'thread.mjs');
      writeFileSync(file, source);
      const resampling = resampleInThreads(problem, 2, undefined, file);
      await expect(resampling).rejects.toThrow(GateDependencyError);
      await expect(resampling).rejects.toThrow(message);
    });
  });
});

it('a slicing that the examples do not have is a mistake of the program', async () => {
  const requests = [{ query: { metric: 'auc' as const }, slicing: 'carrier' }];
  await expect(measureMetrics(binary(10), requests, [], OPTIONS)).rejects.toThrow(RangeError);
});
