import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { binaryMetric } from '../../../functions/holdout-evaluation/binary.ts';
import {
  type MetricQuery,
  type MetricValue,
  metricsOf,
  queryName,
  TASKS,
  type Task,
} from '../../../functions/holdout-evaluation/metric.ts';
import { prepareMulticlass } from '../../../functions/holdout-evaluation/multiclass.ts';
import { prepareRegression } from '../../../functions/holdout-evaluation/regression.ts';

/*
 * Every metric against what scikit-learn says of it, as test/oracle/scikit_values.py records it.
 */

interface Dataset {
  name: string;
  task: Task;
  classes?: string[];
  labels: number[];
  predictions: number[];
  weights: number[];
  /** A query, its value with weights of one, and with the weights; null: scikit-learn has none. */
  values: [query: MetricQuery, plain: number | null, weighted: number | null][];
}

const { datasets } = JSON.parse(
  readFileSync(new URL('../../oracle/scikit-values.json', import.meta.url), 'utf8'),
) as { datasets: Dataset[] };

/** What has no value here, by task, dataset and query. scikit-learn warns of each, and says NaN, 0, 1 or whatever rounding leaves. */
const UNDEFINED: Record<Task, Record<string, Record<string, string>>> = {
  binary: {
    imbalance: { 'precision at 0.5': 'no example is predicted positive' },
    'all the same score': { 'precision at 0.5': 'no example is predicted positive' },
    'no positive example': {
      'balancedAccuracy at 0.5': 'no positive example',
      'recall at 0.5': 'no positive example',
      auc: 'no positive example',
      averagePrecision: 'no positive example',
    },
    'no negative example': {
      'balancedAccuracy at 0.5': 'no negative example',
      'specificity at 0.5': 'no negative example',
      auc: 'no negative example',
    },
    'one example': {
      'balancedAccuracy at 0.5': 'no negative example',
      'specificity at 0.5': 'no negative example',
      auc: 'no negative example',
    },
  },
  multiclass: {
    'a class that does not occur': {
      'recall of "c"': 'no example of class "c"',
      'auc of "c"': 'no example of class "c"',
      'averagePrecision of "c"': 'no example of class "c"',
      'auc (macro)': 'no example of class "c"',
      'averagePrecision (macro)': 'no example of class "c"',
    },
    'a class that is never predicted': { 'precision of "c"': 'no example is predicted as "c"' },
    'one class': {
      'recall of "x"': 'no example of class "x"',
      'recall of "z"': 'no example of class "z"',
      'specificity (macro)': 'every example is of class "y"',
      'specificity of "y"': 'every example is of class "y"',
      'auc of "x"': 'no example of class "x"',
      'auc of "y"': 'every example is of class "y"',
      'auc of "z"': 'no example of class "z"',
      'auc (macro)': 'no example of class "x"',
      'averagePrecision of "x"': 'no example of class "x"',
      'averagePrecision of "z"': 'no example of class "z"',
      'averagePrecision (macro)': 'no example of class "x"',
    },
    'two examples': {
      'precision of "y"': 'no example is predicted as "y"',
      'recall of "y"': 'no example of class "y"',
      'f1 of "y"': 'no example of class "y"',
      'auc of "y"': 'no example of class "y"',
      'auc (macro)': 'no example of class "y"',
      'averagePrecision of "y"': 'no example of class "y"',
      'averagePrecision (macro)': 'no example of class "y"',
    },
  },
  regression: {
    // What scikit-learn says is -7e+32: rounding keeps the variance of twenty times 0.1 above zero.
    'labels all the same': { r2: 'every label is the same' },
    'one example': { r2: 'every label is the same' },
  },
};

function measure({ task, classes = [], labels, predictions }: Dataset) {
  const scores = Float64Array.from(predictions);
  switch (task) {
    case 'binary': {
      const actual = Uint8Array.from(labels);
      return (query: MetricQuery, weights: Float64Array) =>
        binaryMetric(query, { labels: actual, predictions: scores, weights });
    }
    case 'multiclass':
      return prepareMulticlass({ labels: Int32Array.from(labels), predictions: scores, classes });
    case 'regression':
      return prepareRegression({ labels: Float64Array.from(labels), predictions: scores });
  }
}

function results(
  dataset: Dataset,
): { name: string; weighted: boolean; ours: MetricValue; theirs: number | null }[] {
  const metric = measure(dataset);
  const ones = new Float64Array(dataset.labels.length).fill(1);
  const heavy = Float64Array.from(dataset.weights);
  return dataset.values.flatMap(([query, plain, weighted]) => [
    { name: queryName(query), weighted: false, ours: metric(query, ones), theirs: plain },
    { name: queryName(query), weighted: true, ours: metric(query, heavy), theirs: weighted },
  ]);
}

describe.each(datasets)('$task, $name', (dataset) => {
  test('says what scikit-learn says, to a billionth', () => {
    for (const { name, weighted, ours, theirs } of results(dataset)) {
      if (!('value' in ours)) continue;
      const of = `${name}${weighted ? ', weighted' : ''}`;
      expect(theirs, of).not.toBeNull();
      expect(Math.abs(ours.value - theirs!), `${of}: ${ours.value} for ${theirs}`).toBeLessThanOrEqual(
        1e-9 * Math.abs(theirs!),
      );
    }
  });

  test('says why where there is no value', () => {
    const reasons = results(dataset).flatMap(({ name, ours }) =>
      'undefinedBecause' in ours ? [[name, ours.undefinedBecause]] : [],
    );
    expect(Object.fromEntries(reasons)).toEqual(UNDEFINED[dataset.task][dataset.name] ?? {});
  });
});

test.each(TASKS)('covers every metric of %s', (task) => {
  const measured = datasets.flatMap((set) =>
    set.task === task ? set.values.map(([{ metric }]) => metric) : [],
  );
  expect(new Set(measured)).toEqual(new Set(metricsOf(task)));
  expect(datasets.filter((set) => set.task === task).length).toBeGreaterThanOrEqual(9);
});
