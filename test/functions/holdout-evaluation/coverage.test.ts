import { describe, expect, it } from 'vitest';
import { conclude, planSets } from '../../../functions/holdout-evaluation/measure.ts';
import type { Examples } from '../../../functions/holdout-evaluation/measurements.ts';
import {
  factsOf,
  type MetricQuery,
  metricsOf,
  queryName,
  type Task,
} from '../../../functions/holdout-evaluation/metric.ts';
import { createResampler, type Problem, widthOf } from '../../../functions/holdout-evaluation/resample.ts';
import { drawExamples, PREDICTION_LAWS } from '../../support/prediction-laws.ts';
import { createRandom } from '../../support/random.ts';

/*
 * How often 95 % intervals hold the truth, by simulation: many holdouts are drawn from laws whose metrics are known from
 * a large sample. The claim is 93 to 97 %.
 *
 * As many holdouts as fit into a few seconds tell less than that. A claim at either end of it may miss by three standard
 * errors of a share of so many: of a thousand series one would be refused by chance, and the seeds are fixed. Each law by
 * itself is held to the lower limit, for which its few holdouts are enough; a task, over all of its laws, to both. That
 * the limits are tight enough to refuse plain percentiles where these fail is a test too.
 */

const CONFIDENCE = 0.95;

/** Examples of the sample that is taken for the truth. */
const MANY = 50_000;

function lowerLimit(holdouts: number): number {
  return 0.93 - 3 * Math.sqrt((0.93 * 0.07) / holdouts);
}

function upperLimit(holdouts: number): number {
  return 0.97 + 3 * Math.sqrt((0.97 * 0.03) / holdouts);
}

interface Simulation {
  law: keyof typeof PREDICTION_LAWS;
  count: number;
  weighted: boolean;
}

/** Laws and sizes, and holdouts of each, by task. */
const SIMULATIONS: Record<Task, { holdouts: number; of: Simulation[] }> = {
  binary: {
    holdouts: 160,
    of: [
      { law: 'a fair model', count: 200, weighted: false },
      { law: 'a rare class', count: 200, weighted: false },
      { law: 'a calibrated model', count: 200, weighted: false },
      { law: 'a calibrated model', count: 200, weighted: true },
      { law: 'a rare class', count: 1000, weighted: true },
    ],
  },
  multiclass: {
    holdouts: 80,
    of: [
      { law: 'three classes', count: 200, weighted: false },
      { law: 'three classes', count: 200, weighted: true },
      { law: 'five classes, one of them rare', count: 200, weighted: false },
    ],
  },
  regression: {
    holdouts: 200,
    of: [
      { law: 'normal errors', count: 200, weighted: false },
      { law: 'normal errors', count: 200, weighted: true },
      { law: 'long-tailed errors', count: 200, weighted: false },
    ],
  },
};

/** Where few examples, or noise, make plain percentiles too sure, and of which series. */
const DIFFICULT: (Simulation & { queries: MetricQuery[]; tooSure: string[] })[] = [
  {
    law: 'a fair model',
    count: 200,
    weighted: true,
    queries: [{ metric: 'recall', threshold: 0.3 }, { metric: 'calibrationError' }],
    tooSure: ['recall at 0.3', 'calibrationError', 'calibrationError, difference'],
  },
  {
    law: 'five classes, one of them rare',
    count: 200,
    weighted: false,
    queries: (['recall', 'f1', 'specificity', 'auc'] as const).map((metric) => ({
      metric,
      class: 'e',
    })),
    tooSure: [
      'specificity of "e"',
      'auc of "e"',
      'recall of "e", difference',
      'f1 of "e", difference',
      'specificity of "e", difference',
    ],
  },
];

function queriesOf(task: Task): MetricQuery[] {
  return metricsOf(task).map((metric) => {
    const { threshold, perClass, quantile } = factsOf(metric);
    return {
      metric,
      ...(task === 'binary' && threshold && { threshold: 0.3 }),
      ...(task === 'multiclass' && perClass && { average: 'macro' as const }),
      ...(quantile && { quantile: 0.9 }),
    };
  });
}

/** An interval, or values to take percentiles of. */
interface Bounds {
  low: number;
  high: number;
}

/** For each metric and then each difference: its value, its interval, and the plain percentiles of its resamples. */
function measure(examples: Examples, queries: MetricQuery[], replicates: number, seed: string) {
  const { task, labels, predictions, champion, classes, weights } = examples;
  const plan = planSets(
    examples,
    queries.map((query) => ({ query })),
    queries,
  );
  const [set] = plan.sets;
  if (set === undefined) throw new Error('nothing to resample');
  const problem: Problem = {
    task,
    labels: Float64Array.from(labels),
    predictions,
    champion,
    classes,
    weights,
    sets: plan.sets,
    replicates,
    seed,
  };
  const resampler = createResampler(problem, set);
  const width = widthOf(set);
  const resamples = new Float64Array(replicates * width);
  for (let replicate = 0; replicate < replicates; replicate++) {
    resampler.resample(replicate, resamples, replicate * width);
  }
  const { metrics, differences } = conclude(
    plan,
    task,
    [{ summary: resampler.summary, resamples }],
    CONFIDENCE,
  );
  const percentiles = [...queries.keys(), ...queries.keys()].map((query, index): Bounds => {
    const of = Float64Array.from({ length: replicates }, (_, replicate) => {
      const other = index < queries.length ? 0 : (resamples[replicate * width + queries.length + query] ?? 0);
      return (resamples[replicate * width + query] ?? 0) - other;
    }).sort();
    const at = (p: number) => of[Math.round(p * (replicates + 1)) - 1] ?? Number.NaN;
    return { low: at((1 - CONFIDENCE) / 2), high: at((1 + CONFIDENCE) / 2) };
  });
  return [...metrics, ...differences].map(({ value, interval }, index) => ({
    value,
    interval,
    percentiles: percentiles[index] as Bounds,
  }));
}

/** By series (a metric, or its difference from the champion): share of the holdouts whose interval holds the truth. */
type Coverage = Map<string, number>;

function simulate(
  { law, count, weighted }: Simulation,
  queries: MetricQuery[],
  { holdouts, replicates }: { holdouts: number; replicates: number },
) {
  const random = createRandom(count);
  const of = PREDICTION_LAWS[law];
  const names = queries.map(queryName);
  const series = [...names, ...names.map((name) => `${name}, difference`)];
  const truths = measure(drawExamples(of, { count: MANY, weighted: false }, random), queries, 1, '');
  const held: Coverage = new Map(series.map((name) => [name, 0]));
  const plain: Coverage = new Map(held);
  for (let holdout = 0; holdout < holdouts; holdout++) {
    const examples = drawExamples(of, { count, weighted }, random);
    const measured = measure(examples, queries, replicates, String(holdout));
    for (const [index, { interval, percentiles }] of measured.entries()) {
      const name = series[index] as string;
      const truth = truths[index]?.value ?? Number.NaN;
      const note = (coverage: Coverage, bounds: Bounds | null) => {
        const holds = bounds !== null && bounds.low <= truth && truth <= bounds.high;
        coverage.set(name, (coverage.get(name) ?? 0) + Number(holds) / holdouts);
      };
      note(held, interval);
      note(plain, percentiles);
    }
  }
  return { held, plain };
}

function meanOf(all: readonly Coverage[]): Coverage {
  return new Map(
    Array.from(all[0] ?? [], ([name]) => [
      name,
      all.reduce((sum, coverage) => sum + (coverage.get(name) ?? 0), 0) / all.length,
    ]),
  );
}

/** The series outside of limits, with their coverage in percent. */
function outside(coverage: Coverage, lower: number, upper = Number.POSITIVE_INFINITY): string[] {
  return Array.from(coverage)
    .filter(([, share]) => share < lower || share > upper)
    .map(([name, share]) => `${name}: ${(100 * share).toFixed(1)} %`);
}

describe.each(Object.entries(SIMULATIONS))('95 % intervals of %s metrics', (task, { holdouts, of }) => {
  const queries = queriesOf(task as Task);
  const all: Coverage[] = [];

  it.each(of)('hold the truth: $law, $count examples, weighted: $weighted', (simulation) => {
    const { held } = simulate(simulation, queries, { holdouts, replicates: 200 });
    all.push(held);
    expect(held.size).toBe(2 * queries.length);
    expect(outside(held, lowerLimit(holdouts))).toEqual([]);
  });

  it('hold it 93 to 97 % of the time, over all laws', () => {
    expect(all.length).toBe(of.length);
    const count = holdouts * of.length;
    expect(outside(meanOf(all), lowerLimit(count), upperLimit(count))).toEqual([]);
  });
});

describe('95 % intervals where plain percentiles are refused', () => {
  const holdouts = 150;

  it.each(DIFFICULT)('hold the truth: $law', ({ queries, tooSure, ...simulation }) => {
    const { held, plain } = simulate(simulation, queries, { holdouts, replicates: 500 });
    expect(outside(held, lowerLimit(holdouts))).toEqual([]);
    const refused = outside(plain, lowerLimit(holdouts)).map((text) => text.replace(/: [\d.]+ %$/, ''));
    expect(refused).toEqual(expect.arrayContaining(tooSure));
  });
});
