import { readFileSync } from 'node:fs';
import { curvesOf, describePredictions } from '../../functions/holdout-evaluation/curves.ts';
import { decide } from '../../functions/holdout-evaluation/decide.ts';
import { type EvaluationInputs, verdictOf } from '../../functions/holdout-evaluation/identity.ts';
import type {
  Examples,
  Measurements,
  MetricMeasurements,
  MetricResult,
} from '../../functions/holdout-evaluation/measurements.ts';
import { evaluationPage } from '../../functions/holdout-evaluation/report.ts';
import { type LocatedModel, parseEvaluations } from '../../functions/holdout-evaluation/schema.ts';
import { renderReport } from '../../functions/shared/report/verdict-page.ts';
import type { Verdict } from '../../functions/shared/verdict.ts';
import { createRandom } from './random.ts';

/* What tests of the reports on models and canaries share. */

/** A model of a tocsin.yaml with these lines, and otherwise the least there can be. */
export function modelWith(lines: string, name = 'm'): LocatedModel {
  const text = `models:
  ${name}:
    modelPackageGroup: g
    holdout: { uri: h.csv, contract: h.yaml, label: late }
    transform: { instanceType: ml.m5.large }
    ${lines.trim().split('\n').join('\n    ')}
`;
  return parseEvaluations({ file: 'tocsin.yaml', text }).models.get(name) as LocatedModel;
}

export const INPUTS: EvaluationInputs = {
  model: 'm',
  candidate: {
    arn: 'arn:aws:sagemaker:eu-west-1:111122223333:model-package/g/7',
    containers: [
      {
        image: 'repository/image:1',
        imageDigest: 'sha256:0a',
        modelData: 's3://models/model.tar.gz',
        modelDataEtag: 'e1',
        environment: {},
      },
    ],
  },
  champion: null,
  holdout: { uri: 's3://data/h.csv', version: 'v1', qualityVerdict: null, sha256: 'ab' },
  configurationSha256: 'cd',
};

/** The report of a verdict that is judged here. Throws where the page cannot be described. */
export function reportOf(
  measurements: Measurements,
  model: LocatedModel,
  inputs: Parameters<typeof evaluationPage>[0]['inputs'] = INPUTS,
): string {
  const verdict = verdictOf(model.name, { ...inputs }, decide(measurements, model));
  const page = evaluationPage({ ...verdict, inputs }, measurements, model);
  return renderReport(verdict, () => page);
}

/** The stored verdict and measurements of a run of the sandbox. */
export function storyOf<Inputs extends Record<string, unknown> = EvaluationInputs, Measured = Measurements>(
  story: 'pipeline-healthy' | 'pipeline-sick' | 'canary-healthy',
): { verdict: Verdict<Inputs>; measured: Measured } {
  const read = (file: string) =>
    JSON.parse(readFileSync(new URL(`../fixtures/stories/${story}/${file}`, import.meta.url), 'utf8'));
  return { verdict: read('verdict.json'), measured: read('measurements.json') };
}

/** Measurements with nothing measured yet. */
export function measurementsWith(more: Partial<Measurements> = {}): Measurements {
  return {
    examples: 1000,
    transform: { completed: true },
    problems: [],
    champion: { kind: 'none' },
    ...more,
  };
}

/** Metrics of nothing, with no curve. */
export function metricsWith(more: Partial<MetricMeasurements> = {}): MetricMeasurements {
  return {
    examples: 1000,
    confidence: 0.95,
    replicates: 1000,
    seed: '0a',
    metrics: [],
    differences: [],
    predictions: { distinct: 900, min: 0, max: 1, mean: 0.3 },
    curves: {},
    ...more,
  };
}

/** One metric with an interval of 0.02 to either side. */
export function resultOf(
  query: MetricResult['query'],
  value: number,
  more: Partial<MetricResult> = {},
): MetricResult {
  const interval = { low: value - 0.02, estimate: value, high: value + 0.02, confidence: 0.95 };
  return { query, examples: 1000, value, interval, ...more };
}

/** The curves and predictions that are measured of examples. */
export function answersOf(examples: Examples): Pick<MetricMeasurements, 'curves' | 'predictions'> {
  return { curves: curvesOf(examples), predictions: describePredictions(examples, examples.predictions) };
}

/** The drawing whose description begins so. */
export function drawingOf(page: string, title: string): string {
  const start = page.indexOf(`aria-label="${title}`);
  if (start < 0) throw new Error(`no drawing is called ${title}`);
  return page.slice(start, page.indexOf('</svg>', start));
}

/** Numbers of one attribute of all elements that match, in order. */
export function numbersOf(drawing: string, element: RegExp, attribute: string): number[] {
  return [...drawing.matchAll(new RegExp(element.source, 'g'))].map(([found]) =>
    Number(new RegExp(` ${attribute}="([^"]*)"`).exec(found)?.[1]),
  );
}

export const HOSTILE = '<script>alert("x")</script>&\'"\u202e';

/** Flowers of `classes` kinds, the second of which a model takes for the third now and then. */
export function flowers(classes: string[]): Examples {
  const random = createRandom(5);
  const count = 600;
  const labels = Int32Array.from({ length: count }, (_, row) => row % classes.length);
  const predictions = new Float64Array(count * classes.length);
  for (const [row, label] of labels.entries()) {
    const mistaken = label === 1 && random.uniform() < 0.3 ? 2 : label;
    const sure = 0.5 + 0.4 * random.uniform();
    for (let of = 0; of < classes.length; of++) {
      predictions[row * classes.length + of] = of === mistaken ? sure : (1 - sure) / (classes.length - 1);
    }
  }
  return { task: 'multiclass', count, labels, predictions, classes, slicings: [] };
}

/** Numbers that a model takes for larger than they are. */
function houses(): Examples {
  const random = createRandom(6);
  const labels = Float64Array.from({ length: 900 }, () => 300_000 * (1 + 0.3 * random.normal()));
  const predictions = labels.map((label) => label + 8_000 + 25_000 * random.normal());
  return { task: 'regression', count: 900, labels, predictions, classes: [], slicings: [] };
}

export const BINARY = `task: binary
require: [{ metric: auc, atLeast: 0.6 }]`;
export const COMPARED = `${BINARY}
champion: { mayBeWorseBy: { auc: 0.01 } }
sanity: { predictionDrift: { psi: 0.2 } }`;

/** Reports of what the stories do not have, by what they are about. */
export function edgeReports(): Record<string, string> {
  const multiclass = (classes: string[]) => `task: multiclass
classes: ${JSON.stringify(classes)}
require:
  - { metric: accuracy, atLeast: 0.8 }
  - { metric: recall, class: ${JSON.stringify(classes[1])}, atLeast: 0.9, because: it is poisonous }
  - { metric: logLoss, atMost: 0.9 }
champion: { mayBeWorseBy: { accuracy: 0.02 } }
sanity: { predictionDrift: { psi: 0.2 } }`;
  const kinds = ['setosa', 'versicolor', 'virginica'];
  const many = Array.from({ length: 40 }, (_, index) => `kind ${index}`);
  const interval = { low: 0.31, estimate: 0.4, high: 0.49, confidence: 0.95 };
  const regression = `task: regression
require:
  - { metric: rmse, atMost: 30000 }
  - { metric: r2, atLeast: 0.85, atMost: 0.99 }
  - { metric: mae, atMost: 20000, slices: [town, rooms > 4], minExamples: 100 }`;
  const slice = (by: string, value: string, mae: number, examples: number) => ({
    ...resultOf({ metric: 'mae' }, mae, { examples, slice: { by, value } }),
    interval: { low: mae - 900, estimate: mae, high: mae + 900, confidence: 0.95 },
  });
  return {
    multiclass: reportOf(
      measurementsWith({
        champion: { kind: 'compared', package: 'arn:aws:sagemaker:eu-west-1:111122223333:model-package/g/6' },
        metrics: metricsWith({
          ...answersOf(flowers(kinds)),
          metrics: [
            resultOf({ metric: 'accuracy' }, 0.9),
            resultOf({ metric: 'recall', class: 'versicolor' }, 0.7),
            resultOf({ metric: 'logLoss' }, 0.89),
          ],
          differences: [
            {
              query: { metric: 'accuracy' },
              candidate: 0.9,
              champion: 0.88,
              value: 0.02,
              interval: { low: 0.01, estimate: 0.02, high: 0.03, confidence: 0.95 },
            },
          ],
          predictionDrift: {
            psi: 0.4,
            interval,
            bins: {
              edges: [0.3, 0.4, 1.2, 1.4, 2.3, 2.4],
              candidate: [90, 90, 60, 60, 30, 150, 120],
              champion: [90, 90, 90, 90, 90, 90, 60],
            },
          },
        }),
      }),
      modelWith(multiclass(kinds)),
    ),
    classes: reportOf(
      measurementsWith({ metrics: metricsWith(answersOf(flowers(many))) }),
      modelWith(multiclass(many)),
    ),
    regression: reportOf(
      measurementsWith({
        metrics: metricsWith({
          ...answersOf(houses()),
          metrics: [
            {
              ...resultOf({ metric: 'rmse' }, 26_240.51),
              interval: { low: 25_000, estimate: 26_240.51, high: 31_000.2, confidence: 0.95 },
            },
            resultOf({ metric: 'r2' }, 0.91),
            ...['Oslo', 'Bergen', 'Llanfairpwllgwyngyll', 'Å'].map((town, index) =>
              slice('town', town, 17_000 + 1_500 * index, 400 - 110 * index),
            ),
            slice('rooms > 4', 'true', 24_000, 150),
            slice('rooms > 4', 'false', 18_000, 750),
          ],
        }),
      }),
      modelWith(regression),
      {
        model: 'm',
        predictions: { file: 'new.csv', sha256: '0b' },
        champion: null,
        holdout: { file: 'houses.csv', sha256: '0c' },
        configurationSha256: 'cd',
      },
    ),
    failed: reportOf(
      measurementsWith({
        transform: { completed: false, reason: 'AlgorithmError: ValueError: could not convert "2001-05-01"' },
        champion: { kind: 'unavailable', package: 'arn:champion', reason: 'its model data is gone' },
      }),
      modelWith(COMPARED),
    ),
    problems: reportOf(
      measurementsWith({
        problems: [
          { kind: 'missing', count: 12, samples: [{ row: 4 }, { row: 17 }] },
          { kind: 'not-a-probability', count: 3, samples: [{ row: 9, value: HOSTILE }] },
        ],
      }),
      modelWith(COMPARED),
    ),
    hostile: reportOf(
      measurementsWith({
        metrics: metricsWith({
          ...answersOf(flowers(['a', HOSTILE, 'c'])),
          metrics: [
            resultOf({ metric: 'recall', class: HOSTILE }, 0.7),
            resultOf({ metric: 'accuracy' }, 0.9, { slice: { by: HOSTILE, value: HOSTILE } }),
          ],
        }),
      }),
      modelWith(`task: multiclass
classes: ${JSON.stringify(['a', HOSTILE, 'c'])}
require:
  - { metric: recall, class: ${JSON.stringify(HOSTILE)}, atLeast: 0.9, because: ${JSON.stringify(HOSTILE)} }
  - { metric: accuracy, atLeast: 0.5, slices: [${JSON.stringify(HOSTILE)}] }`),
      { ...INPUTS, candidate: { ...INPUTS.candidate, arn: HOSTILE } },
    ),
  };
}
