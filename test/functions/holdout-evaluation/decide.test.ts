import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decide, metricFinding, needsOf } from '../../../functions/holdout-evaluation/decide.ts';
import type {
  Measurements,
  MetricDifference,
  MetricMeasurements,
  MetricResult,
  PredictionProblem,
} from '../../../functions/holdout-evaluation/measurements.ts';
import type { MetricQuery } from '../../../functions/holdout-evaluation/metric.ts';
import { type LocatedModel, parseEvaluations } from '../../../functions/holdout-evaluation/schema.ts';
import type { Finding, Interval, Judgement, Outcome } from '../../../functions/shared/verdict.ts';

// ---------------------------------------------------------------------------------------------------------
// A model that asks for everything, and measurements that meet it
// ---------------------------------------------------------------------------------------------------------

const CONFIG = `models:
  flight-delay:
    modelPackageGroup: flight-delay
    task: binary
    holdout: { uri: holdout/2001-05.parquet, label: late, contract: contracts/flights.yaml }
    transform: { instanceType: ml.m5.large }
    require:
      - { metric: auc, atLeast: 0.62, because: "below this the rebooking team overrides the model" }
      - { metric: calibrationError, atMost: 0.05 }
      - { metric: recall, at: { threshold: 0.5 }, atLeast: 0.3, slices: [origin], minExamples: 500 }
    champion: { mayBeWorseBy: { auc: 0.005, brier: 0.01 } }
    sanity: { constantPredictions: forbid, predictionDrift: { psi: 0.25 } }
`;

const CHAMPION = 'arn:aws:sagemaker:eu-west-1:123456789012:model-package/flight-delay/6';

const models = new Map<string, LocatedModel>();

function modelOf(text = CONFIG): LocatedModel {
  const [model] = models.has(text)
    ? [models.get(text)]
    : parseEvaluations({ file: 'tocsin.yaml', text }).models.values();
  models.set(text, model!);
  return model!;
}

function changed(from: string, to: string): string {
  expect(CONFIG).toContain(from);
  return CONFIG.replace(from, to);
}

function interval(low: number, estimate: number, high: number): Interval {
  return { low, estimate, high, confidence: 0.95 };
}

function metric(
  query: MetricQuery,
  low: number,
  value: number,
  high: number,
  rest: Partial<MetricResult> = {},
) {
  return {
    query,
    examples: 61_234,
    value,
    interval: interval(low, value, high),
    ...rest,
  } satisfies MetricResult;
}

function recall(origin: string, examples: number, low: number, value: number, high: number): MetricResult {
  const slice = { by: 'origin', value: origin };
  return metric({ metric: 'recall', threshold: 0.5 }, low, value, high, { slice, examples });
}

function difference(name: 'auc' | 'brier', low: number, value: number, high: number): MetricDifference {
  return {
    query: { metric: name },
    candidate: 0.7 + value,
    champion: 0.7,
    value,
    interval: interval(low, value, high),
  };
}

const METRICS: MetricMeasurements = {
  examples: 61_234,
  confidence: 0.95,
  replicates: 1000,
  seed: 'ab',
  metrics: [
    metric({ metric: 'auc' }, 0.679, 0.6812, 0.6833),
    metric({ metric: 'calibrationError' }, 0.011, 0.014, 0.018),
    recall('ATL', 4000, 0.38, 0.4, 0.42),
    recall('ORD', 3500, 0.37, 0.4, 0.43),
  ],
  differences: [difference('auc', -0.001, 0.002, 0.005), difference('brier', -0.002, 0.001, 0.004)],
  predictions: { distinct: 41_000, min: 0.021, max: 0.974, mean: 0.2 },
  predictionDrift: {
    psi: 0.02,
    interval: interval(0.01, 0.02, 0.03),
    bins: { edges: [], candidate: [], champion: [] },
  },
  curves: {
    confusion: {
      classes: ['0', '1'],
      counts: [
        [40_000, 5000],
        [10_000, 6234],
      ],
    },
  },
};

const GOOD: Measurements = {
  examples: 61_234,
  transform: { completed: true },
  problems: [],
  metrics: METRICS,
  champion: { kind: 'compared', package: CHAMPION },
};

type Part = Omit<Partial<Measurements>, 'metrics'> & { metrics?: Partial<MetricMeasurements> | undefined };

function judged({ metrics, ...rest }: Part = {}, text = CONFIG): Judgement {
  return decide({ ...GOOD, ...rest, metrics: { ...METRICS, ...metrics } }, modelOf(text));
}

/** The judgement with one metric's results in the place of those that are good. */
function judgedWith(results: MetricResult[], text = CONFIG): Judgement {
  const same = (one: MetricResult) => JSON.stringify([one.query, one.slice?.by]);
  const replaced = new Set(results.map(same));
  return judged(
    { metrics: { metrics: [...METRICS.metrics.filter((one) => !replaced.has(same(one))), ...results] } },
    text,
  );
}

function problems({ findings }: Judgement): Finding[] {
  return findings.filter(({ outcome }) => outcome !== 'pass');
}

function only(judgement: Judgement): Finding {
  const found = problems(judgement);
  expect(found.map(({ message }) => message)).toHaveLength(1);
  return found[0]!;
}

// ---------------------------------------------------------------------------------------------------------

describe('what has to be measured', () => {
  test('follows from the thresholds', () => {
    expect(needsOf(modelOf().value)).toEqual({
      requests: [
        { query: { metric: 'auc' }, minExamples: 200 },
        { query: { metric: 'calibrationError' }, minExamples: 200 },
        { query: { metric: 'recall', threshold: 0.5 }, slicing: 'origin', minExamples: 500 },
      ],
      differences: [{ metric: 'auc' }, { metric: 'brier' }],
      slicings: ['origin'],
    });
  });

  test('is asked for once, with the fewest examples that a threshold is content with', () => {
    const text = changed(
      '    champion:',
      '      - { metric: recall, atMost: 0.9, slices: [origin, distance > 1000], minExamples: 100 }\n    champion:',
    );
    expect(needsOf(modelOf(text).value)).toMatchObject({
      requests: [
        {},
        {},
        { slicing: 'origin', minExamples: 100 },
        { slicing: 'distance > 1000', minExamples: 100 },
      ],
      slicings: ['origin', 'distance > 1000'],
    });
  });
});

test('a good model passes, and every check has its finding', () => {
  const judgement = judged();
  expect(judgement).toMatchObject({
    outcome: 'pass',
    reason: 'Model flight-delay meets all 3 thresholds on 61,234 examples (10 checks).',
    notChecked: [],
  });
  expect(judgement.findings.map(({ message }) => message)).toEqual([
    'The model answered the holdout of 61,234 examples.',
    'Every example has one usable prediction.',
    'Predictions have 41,000 distinct values, 0.021 to 0.974.',
    'auc on 61,234 examples is 0.6812 (95% interval 0.6790 to 0.6833), at least 0.62 is required (tocsin.yaml:8: below this the rebooking team overrides the model).',
    'calibrationError on 61,234 examples is 0.0140 (95% interval 0.0110 to 0.0180), at most 0.05 is required (tocsin.yaml:9).',
    'recall at 0.5 of origin = ATL (4,000 examples) is 0.400 (95% interval 0.380 to 0.420), at least 0.3 is required (tocsin.yaml:10).',
    'recall at 0.5 of origin = ORD (3,500 examples) is 0.400 (95% interval 0.370 to 0.430), at least 0.3 is required (tocsin.yaml:10).',
    "auc is 0.0020 better than the champion's: 0.702 against 0.7 (95% interval 0.0050 better to 0.0010 worse), at most 0.005 worse is allowed (tocsin.yaml:11); the champion is arn:aws:sagemaker:eu-west-1:123456789012:model-package/flight-delay/6.",
    "brier is 0.0010 worse than the champion's: 0.701 against 0.7 (95% interval 0.0020 better to 0.0040 worse), at most 0.01 worse is allowed (tocsin.yaml:11); the champion is arn:aws:sagemaker:eu-west-1:123456789012:model-package/flight-delay/6.",
    'The population stability index of the predictions against those of the champion (arn:aws:sagemaker:eu-west-1:123456789012:model-package/flight-delay/6) is 0.020 (95% interval 0.010 to 0.030), at most 0.25 is allowed (tocsin.yaml:12).',
  ]);
  expect(judgement.findings[3]).toMatchObject({
    check: 'metric',
    subject: 'auc',
    limit: 0.62,
    value: 0.6812,
    interval: interval(0.679, 0.6812, 0.6833),
    rule: { file: 'tocsin.yaml', line: 8 },
  });
});

describe('a threshold', () => {
  test('that is missed says the value, its interval, the reason for the threshold and what to do', () => {
    const judgement = judgedWith([metric({ metric: 'auc' }, 0.581, 0.587, 0.593)]);
    expect(judgement.outcome).toBe('fail');
    const finding = only(judgement);
    expect(finding).toMatchObject({
      message:
        'auc on 61,234 examples is 0.587 (95% interval 0.581 to 0.593), at least 0.62 is required (tocsin.yaml:8: below this the rebooking team overrides the model).',
      allowed: 'at least 0.62',
      observed: '0.587',
      help: expect.stringContaining('training data'),
    });
    expect(judgement.reason).toBe(finding.message);
  });

  test('on the right side, with an interval across it, is not cleared, and the number of examples is told', () => {
    const judgement = judgedWith([metric({ metric: 'auc' }, 0.615, 0.625, 0.635, { positives: 12_000 })]);
    expect(judgement.outcome).toBe('inconclusive');
    expect(only(judgement)).toMatchObject({
      message:
        'auc on 61,234 examples is 0.625 (95% interval 0.615 to 0.635), at least 0.62 is required (tocsin.yaml:8: below this the rebooking team overrides the model); 61,234 examples, 12,000 positive, cannot tell (0.63 or more would pass), about 250,000 would.',
      smallestDetectable: 0.63,
    });
  });

  test('that the value sits on is settled by no number of examples', () => {
    expect(only(judgedWith([metric({ metric: 'auc' }, 0.61, 0.62, 0.63)])).message).toContain(
      'cannot tell (0.63 or more would pass), and no number of examples would: the value is on the threshold.',
    );
  });

  test('that no value of the metric could clear says nothing of one that would', () => {
    const text = changed('atLeast: 0.62', 'atLeast: 0.99');
    const { message, smallestDetectable } = only(
      judgedWith([metric({ metric: 'auc' }, 0.97, 0.991, 1)], text),
    );
    expect(message).toContain('61,234 examples cannot tell, about ');
    expect(smallestDetectable).toBeUndefined();
  });

  test.each<[string, number, number, number, Outcome]>([
    ['above it', 0.621, 0.63, 0.64, 'pass'],
    ['touching it from above', 0.62, 0.63, 0.64, 'pass'],
    ['across it, value above', 0.619, 0.63, 0.64, 'inconclusive'],
    ['across it, value below', 0.6, 0.61, 0.63, 'inconclusive'],
    ['touching it from below', 0.6, 0.61, 0.62, 'inconclusive'],
    ['below it', 0.6, 0.61, 0.619, 'fail'],
    ['a point on it', 0.62, 0.62, 0.62, 'pass'],
    ['a point below it', 0.61, 0.61, 0.61, 'fail'],
  ])('with an interval %s', (_, low, value, high, outcome) => {
    expect(judgedWith([metric({ metric: 'auc' }, low, value, high)]).outcome).toBe(outcome);
    // The same upside down, for a metric of which less is better.
    const [bottom, middle, top] = [0.67 - high, 0.67 - value, 0.67 - low].map((number) =>
      Number(number.toFixed(9)),
    );
    expect(judgedWith([metric({ metric: 'calibrationError' }, bottom!, middle!, top!)]).outcome).toBe(
      outcome,
    );
  });

  test.each<[string, number, number, number, Outcome]>([
    ['within', 0.61, 0.65, 0.69, 'pass'],
    ['across the lower end', 0.59, 0.65, 0.69, 'inconclusive'],
    ['across the upper end', 0.61, 0.65, 0.71, 'inconclusive'],
    ['wider than the range', 0.59, 0.65, 0.71, 'inconclusive'],
    ['below', 0.5, 0.55, 0.59, 'fail'],
    ['above', 0.71, 0.75, 0.8, 'fail'],
  ])('with two ends and an interval %s', (where, low, value, high, outcome) => {
    const text = changed('atLeast: 0.62', 'atLeast: 0.6, atMost: 0.7');
    const judgement = judgedWith([metric({ metric: 'auc' }, low, value, high)], text);
    expect(judgement.outcome).toBe(outcome);
    expect(judgement.findings.find(({ subject }) => subject === 'auc')).toMatchObject({
      allowed: '0.6 to 0.7',
      limit: ['across the upper end', 'above'].includes(where) ? 0.7 : 0.6,
    });
  });

  test('has its reason on one line', () => {
    const text = changed(
      '"below this the rebooking team overrides the model"',
      '"below this\\n the team\\n\\n overrides "',
    );
    expect(only(judgedWith([metric({ metric: 'auc' }, 0.5, 0.55, 0.6)], text)).message).toContain(
      '(tocsin.yaml:8: below this the team overrides).',
    );
  });

  test('a value is shown with the digits that tell it from the limit', () => {
    const { message } = only(judgedWith([metric({ metric: 'auc' }, 0.5, 0.61, 0.619999)]));
    expect(message).toContain('0.610000 (95% interval 0.500000 to 0.619999)');
  });

  test.each([
    [null, 'no example is predicted positive', 'fail'],
    [null, 'no positive example', 'inconclusive'],
    [null, undefined, 'inconclusive'],
    [Number.NaN, undefined, 'inconclusive'],
    [Number.POSITIVE_INFINITY, undefined, 'inconclusive'],
  ] as const)('is not cleared by the value %s (%s)', (value, why, outcome) => {
    const result: MetricResult = {
      ...metric({ metric: 'auc' }, 0.7, 0.8, 0.9),
      value,
      ...(value === null && { interval: null }),
      ...(why !== undefined && { undefinedBecause: why }),
    };
    const judgement = judgedWith([result]);
    expect(judgement.outcome).toBe(outcome);
    expect(only(judgement).message).toBe(
      `auc on 61,234 examples has no value: ${why ?? 'it came out as no number'}; at least 0.62 is required (tocsin.yaml:8: below this the rebooking team overrides the model).`,
    );
  });

  test.each([
    [null],
    [interval(Number.NaN, 0.8, 0.9)],
    [interval(0.7, 0.8, Number.NaN)],
    [interval(0.9, 0.8, 0.7)],
  ])('is not cleared without a sound interval: %o', (unsound) => {
    const undefinedBecause = 'undefined in 80 of 1,000 resamples';
    const judgement = judgedWith([
      { ...metric({ metric: 'auc' }, 0, 0.8, 1), interval: unsound, undefinedBecause },
    ]);
    expect(judgement.outcome).toBe('inconclusive');
    expect(only(judgement).message).toContain(
      'is 0.8, without an interval (undefined in 80 of 1,000 resamples); at least',
    );
  });

  test('that nobody measured is open', () => {
    const judgement = judged({ metrics: { metrics: METRICS.metrics.slice(1) } });
    expect(judgement.outcome).toBe('inconclusive');
    expect(only(judgement)).toMatchObject({
      message: 'auc cannot be judged: it was not measured.',
      rule: { line: 8 },
    });
  });

  test.each([
    ['warn', 'inconclusive'],
    ['fail', 'fail'],
  ])('is not judged on a holdout that is too small (onThinSlice: %s)', (onThinSlice, outcome) => {
    const text = changed('atLeast: 0.62', `atLeast: 0.62, onThinSlice: ${onThinSlice}`);
    const judgement = judgedWith([metric({ metric: 'auc' }, 0.7, 0.8, 0.9, { examples: 199 })], text);
    expect(judgement.outcome).toBe(outcome);
    expect(only(judgement).message).toBe(
      'auc is not judged: the holdout has 199 examples, at least 200 examples are needed (tocsin.yaml:8: below this the rebooking team overrides the model).',
    );
  });
});

describe('slices', () => {
  const bad = [
    recall('ABQ', 600, 0.1, 0.2, 0.29),
    recall('ATL', 4000, 0.38, 0.4, 0.42),
    recall('JFK', 900, 0.05, 0.1, 0.15),
    recall('ORD', 4210, 0.2, 0.31, 0.42),
  ];

  test('are judged one by one, the worst miss first', () => {
    const judgement = judgedWith(bad);
    expect(problems(judgement).map(({ subject, outcome }) => [subject, outcome])).toEqual([
      ['recall at 0.5 of origin = JFK', 'fail'],
      ['recall at 0.5 of origin = ABQ', 'fail'],
      ['recall at 0.5 of origin = ORD', 'inconclusive'],
    ]);
    expect(judgement.reason).toBe(
      '2 of 12 checks failed; first: recall at 0.5 of origin = JFK (900 examples) is 0.10 (95% interval 0.05 to 0.15), at least 0.3 is required (tocsin.yaml:10).',
    );
    expect(problems(judgement)[2]!.message).toContain(
      '; 4,210 examples cannot tell (0.41 or more would pass), about 510,000 such would.',
    );
  });

  const thin = ['GUC', 'HDN', 'PIH', 'RKS', 'SUN'].map((name, index) => recall(name, 100 + index, 0, 0, 0));

  test.each([
    ['warn', 'pass', 'warn'],
    ['fail', 'fail', 'fail'],
  ])('that are too thin make one finding, with onThinSlice: %s', (onThinSlice, outcome, of) => {
    const text = changed('minExamples: 500', `minExamples: 500, onThinSlice: ${onThinSlice}`);
    const judgement = judgedWith([...bad.slice(1, 2), ...thin], text);
    expect(judgement.outcome).toBe(outcome);
    expect(only(judgement)).toMatchObject({
      check: 'thin-slices',
      subject: 'recall at 0.5 of origin',
      outcome: of,
      message:
        'recall at 0.5 of origin: 5 of 6 slices have fewer than 500 examples and are not judged (11.3% of all): SUN (104), RKS (103), PIH (102) and 2 more (tocsin.yaml:10).',
    });
    expect(judgement.notChecked).toEqual([
      {
        subject: 'recall at 0.5 of origin',
        check: 'metric',
        why: '5 of 6 slices have fewer than 500 examples: SUN (104), RKS (103), PIH (102), HDN (101), GUC (100)',
      },
    ]);
  });

  test('a warning stands in the reason of a pass', () => {
    expect(judgedWith([...bad.slice(1, 2), ...thin]).reason).toBe(
      'Model flight-delay meets all 3 thresholds on 61,234 examples (10 checks, 1 with a warning).',
    );
  });

  test.each([
    ['São Tomé', 'São Tomé'],
    ['', '""'],
    [' ATL', '" ATL"'],
    ['ATL (4,000), ORD', '"ATL (4,000), ORD"'],
    ['a\nPASS everything', '"a\\nPASS everything"'],
    ['\u001b[2J', '"\\u001b[2J"'],
  ])('are named so that a value cannot be taken for something else: %j', (value, shown) => {
    const [finding] = judgedWith([recall(value, 4000, 0.1, 0.2, 0.25)]).findings;
    expect(finding?.subject).toBe(`recall at 0.5 of origin = ${shown}`);
    expect(judgedWith([recall(value, 100, 0, 0, 0)]).notChecked).toMatchObject([
      { why: `1 of 1 slice has fewer than 500 examples: ${shown} (100)` },
    ]);
  });

  test('that are all too thin leave the threshold open, whatever onThinSlice says', () => {
    const judgement = judgedWith(thin);
    expect(judgement.outcome).toBe('inconclusive');
    expect(only(judgement).message).toContain('5 of 5 slices have fewer');
  });

  test('of a column that nobody measured are open', () => {
    const judgement = judged({ metrics: { metrics: METRICS.metrics.slice(0, 2) } });
    expect(only(judgement).message).toBe('recall at 0.5 of origin cannot be judged: it was not measured.');
  });

  test('with long names stay readable, and thousands of them stay one finding', () => {
    const many = Array.from({ length: 1000 }, (_, index) =>
      recall(`${index}${'x'.repeat(5000)}`, 3, 0, 0, 0),
    );
    const judgement = judgedWith([...many, recall('y'.repeat(5000), 4000, 0.1, 0.1, 0.1)]);
    expect(problems(judgement)).toHaveLength(2);
    expect(JSON.stringify(judgement).length).toBeLessThan(15_000);
    expect(judgement.notChecked[0]!.why).toMatch(/and 950 more$/);
  });
});

describe('the predictions', () => {
  test.each<[PredictionProblem['kind'], string]>([
    ['missing', '1,204 examples have no prediction (such as row 17, row 18: "NaN").'],
    ['unknown', '1,204 predictions belong to no example (such as row 17, row 18: "NaN").'],
    ['repeated', '1,204 examples have more than one prediction (such as row 17, row 18: "NaN").'],
    ['not-a-number', '1,204 predictions are not a number (such as row 17, row 18: "NaN").'],
    ['not-a-probability', '1,204 predictions are not a probability (such as row 17, row 18: "NaN").'],
    [
      'bad-label',
      '1,204 labels of the holdout are not what a binary model predicts (such as row 17, row 18: "NaN").',
    ],
    [
      'bad-weight',
      '1,204 weights of the holdout are not positive and finite (such as row 17, row 18: "NaN").',
    ],
  ])('with the problem %s fail, with their rows', (kind, message) => {
    const samples = [{ row: 17 }, { row: 18, value: 'NaN' }];
    const { metrics, ...rest } = GOOD;
    const judgement = decide({ ...rest, problems: [{ kind, count: 1204, samples }] }, modelOf());
    expect(metrics).toBeDefined();
    expect(judgement.outcome).toBe('fail');
    expect(only(judgement)).toMatchObject({ check: 'predictions', message, samples, value: 1204 });
    expect(judgement.notChecked).toEqual([
      { subject: 'every metric', check: 'all', why: 'the predictions cannot be used' },
    ]);
  });

  test('one at a time are told in the singular, and long values are cut', () => {
    const samples = [{ row: 1, value: 'x'.repeat(1000) }];
    const { message } = only(judged({ problems: [{ kind: 'not-a-number', count: 1, samples }] }));
    expect(message).toBe(`1 prediction is not a number (row 1: "${'x'.repeat(39)}…").`);
  });

  test('at most five rows are named', () => {
    const samples = Array.from({ length: 9 }, (_, index) => ({ row: index + 1 }));
    const finding = only(judged({ problems: [{ kind: 'missing', count: 9, samples }] }));
    expect(finding.samples).toHaveLength(5);
    expect(finding.message).toContain('(such as row 1, row 2, row 3, row 4, row 5)');
  });

  test('that are all the same but for rounding fail, too', () => {
    const min = 0.2;
    const of = (max: number) => judged({ metrics: { predictions: { distinct: 3, min, max, mean: min } } });
    expect(only(of(0.2000001))).toMatchObject({
      message:
        'The model gives each of 61,234 examples the same prediction but for rounding, 0.2 (tocsin.yaml:12).',
      observed: '3 distinct, equal but for rounding',
    });
    expect(of(0.200001).outcome).toBe('pass');
  });

  test('that are all the same fail, unless that is allowed', () => {
    const metrics = { predictions: { distinct: 1, min: 0.2, max: 0.2, mean: 0.2 } };
    const judgement = judged({ metrics });
    expect(judgement.outcome).toBe('fail');
    expect(only(judgement).message).toBe(
      'The model gives each of 61,234 examples the same prediction, 0.2 (tocsin.yaml:12).',
    );
    expect(
      judged({ metrics }, changed('constantPredictions: forbid', 'constantPredictions: allow')).outcome,
    ).toBe('pass');
  });
});

test('a model that cannot answer the holdout fails with the reason of SageMaker', () => {
  const { metrics, ...rest } = GOOD;
  const reason = 'ClientError: See job logs for more information.';
  const judgement = decide({ ...rest, transform: { completed: false, reason } }, modelOf());
  expect(metrics).toBeDefined();
  expect(judgement).toMatchObject({
    outcome: 'fail',
    reason: 'The model could not answer the holdout: ClientError: See job logs for more information.',
    findings: [{ check: 'transform', outcome: 'fail', rule: { line: 6 } }],
    notChecked: [{ subject: 'every metric', check: 'all', why: 'the model could not answer the holdout' }],
  });
});

describe('measurements that leave something out', () => {
  test('altogether never pass', () => {
    const { metrics, ...rest } = GOOD;
    expect(metrics).toBeDefined();
    expect(decide(rest, modelOf())).toMatchObject({
      outcome: 'inconclusive',
      reason: 'every metric cannot be judged: it was not measured.',
      notChecked: [{ why: 'it was not measured' }],
    });
  });

  test('metrics of some of the examples never pass', () => {
    const judgement = judged({ metrics: { examples: 1000 } });
    expect(judgement.outcome).toBe('inconclusive');
    expect(only(judgement).message).toBe('The metrics are of 1,000 examples, the holdout has 61,234.');
  });

  test('a holdout without examples never passes', () => {
    const nothing = { value: null, interval: null, examples: 0, undefinedBecause: 'no example' };
    const judgement = judged({
      examples: 0,
      metrics: { examples: 0, metrics: METRICS.metrics.map((one) => ({ ...one, ...nothing })) },
    });
    expect(judgement.outcome).toBe('inconclusive');
    expect(problems(judgement)[0]!.message).toBe('The holdout has no examples.');
  });

  test('a class that does not occur is said not to be checked', () => {
    const confusion = {
      classes: ['0', '1'],
      counts: [
        [61_000, 234],
        [0, 0],
      ],
    };
    expect(judged({ metrics: { curves: { confusion } } }).notChecked).toEqual([
      { subject: 'class "1"', check: 'metric', why: 'no example of the holdout is of it' },
    ]);
  });
});

describe('the champion', () => {
  test.each<[string, number, number, number, Outcome, string]>([
    ['auc', 0.001, 0.004, 0.007, 'pass', '0.0040 better'],
    ['auc', -0.004, -0.001, 0.002, 'pass', '0.0010 worse'],
    ['auc', -0.005, -0.001, 0.002, 'pass', '0.0010 worse'],
    ['auc', -0.008, -0.004, 0.001, 'inconclusive', '0.0040 worse'],
    ['auc', -0.02, -0.012, -0.006, 'fail', '0.012 worse'],
    ['brier', -0.007, -0.004, -0.001, 'pass', '0.0040 better'],
    ['brier', 0.002, 0.005, 0.01, 'pass', '0.0050 worse'],
    ['brier', 0.002, 0.009, 0.012, 'inconclusive', '0.009 worse'],
    ['brier', 0.012, 0.02, 0.03, 'fail', '0.020 worse'],
  ])('with a difference in %s of %d to %d to %d', (name, low, value, high, outcome, observed) => {
    const query = name as 'auc' | 'brier';
    const differences = [
      ...METRICS.differences.filter((one) => one.query.metric !== name),
      difference(query, low, value, high),
    ];
    const judgement = judged({ metrics: { differences } });
    expect(judgement.outcome).toBe(outcome);
    const finding = judgement.findings.find(({ subject }) => subject === `${name} against the champion`)!;
    expect(finding).toMatchObject({ check: 'champion', outcome, observed });
    expect(finding.value).toBeCloseTo(name === 'auc' ? -value : value, 12);
    expect(finding.interval!.low).toBeLessThan(finding.interval!.high);
  });

  test('is met exactly by the same model', () => {
    const differences = [difference('auc', 0, 0, 0), difference('brier', 0, 0, 0)];
    const judgement = judged({ metrics: { differences } });
    expect(judgement.outcome).toBe('pass');
    expect(judgement.findings.find(({ check }) => check === 'champion')).toMatchObject({
      value: 0,
      interval: interval(0, 0, 0),
    });
  });

  test('is compared absolutely where metrics are negative', () => {
    const text = changed('task: binary', 'task: regression').replace(
      / {6}- \{ metric: auc[\s\S]*?champion.*\n/,
      '      - { metric: r2, atLeast: -9 }\n    champion: { mayBeWorseBy: { r2: 0.1 } }\n',
    );
    const r2 = { query: { metric: 'r2' as const }, candidate: -0.7, champion: -0.2 };
    const differences = [{ ...r2, value: -0.5, interval: interval(-0.6, -0.5, -0.4) }];
    const metrics = [metric({ metric: 'r2' }, -0.8, -0.7, -0.6)];
    const judgement = judged({ metrics: { metrics, differences } }, text);
    expect(judgement.outcome).toBe('fail');
    expect(only(judgement).message).toContain(
      "r2 is 0.50 worse than the champion's: -0.7 against -0.2 (95% interval 0.40 worse to 0.60 worse)",
    );
  });

  test('that does not exist yet is said not to be checked', () => {
    const judgement = judged({ champion: { kind: 'none' }, metrics: { differences: [] } });
    expect(judgement).toMatchObject({
      outcome: 'pass',
      notChecked: [
        { subject: 'champion', check: 'champion', why: 'there is no approved package to compare with yet' },
        { check: 'prediction-drift', why: 'there is no approved package to compare with yet' },
      ],
    });
  });

  test('that nobody asked for is no gap', () => {
    const text = CONFIG.replace(/ {4}champion:.*\n/, '').replace(/ {4}sanity:.*\n/, '');
    expect(judged({ champion: { kind: 'none' } }, text).notChecked).toEqual([]);
  });

  test('that could not be evaluated leaves the question open', () => {
    const champion = { kind: 'unavailable' as const, package: CHAMPION, reason: 'its image is gone.' };
    const judgement = judged({ champion });
    expect(judgement.outcome).toBe('inconclusive');
    expect(problems(judgement).map(({ check, message }) => [check, message])).toEqual([
      [
        'champion',
        `The champion (${CHAMPION}) could not be evaluated, so nothing is compared with it (tocsin.yaml:11): its image is gone.`,
      ],
      [
        'prediction-drift',
        `The champion (${CHAMPION}) could not be evaluated, so nothing is compared with it (tocsin.yaml:12): its image is gone.`,
      ],
    ]);
  });

  test.each([
    [null, 'no example is predicted positive', 'fail'],
    [0.7, 'no example is predicted positive', 'inconclusive'],
    [null, 'no positive example', 'inconclusive'],
  ] as const)('and a candidate of %s, because %s', (candidate, undefinedBecause, outcome) => {
    const missing = {
      ...difference('auc', 0, 0, 0),
      candidate,
      value: null,
      interval: null,
      undefinedBecause,
    };
    const judgement = judged({ metrics: { differences: [missing, METRICS.differences[1]!] } });
    expect(judgement.outcome).toBe(outcome);
    expect(only(judgement).message).toBe(
      `auc cannot be compared with the champion: ${undefinedBecause}; at most 0.005 worse is allowed (tocsin.yaml:11); the champion is ${CHAMPION}.`,
    );
  });

  test('and a difference that was not measured leave the question open', () => {
    const judgement = judged({ metrics: { differences: [] } });
    expect(judgement.outcome).toBe('inconclusive');
    expect(problems(judgement).map(({ subject }) => subject)).toEqual([
      'auc against the champion',
      'brier against the champion',
    ]);
  });
});

describe('the drift of predictions', () => {
  test.each<[number, number, number, Outcome]>([
    [0.1, 0.2, 0.25, 'pass'],
    [0.1, 0.2, 0.3, 'inconclusive'],
    [0.26, 0.4, 0.5, 'fail'],
    [Number.NaN, 0.1, 0.2, 'inconclusive'],
  ])('of %d to %d to %d', (low, psi, high, outcome) => {
    const predictionDrift = { ...METRICS.predictionDrift!, psi, interval: interval(low, psi, high) };
    expect(judged({ metrics: { predictionDrift } }).outcome).toBe(outcome);
  });

  test('that was not measured is open', () => {
    const { predictionDrift, ...metrics } = METRICS;
    expect(predictionDrift).toBeDefined();
    const judgement = decide({ ...GOOD, metrics }, modelOf());
    expect(judgement.outcome).toBe('inconclusive');
    expect(only(judgement)).toMatchObject({ check: 'prediction-drift' });
  });
});

// ---------------------------------------------------------------------------------------------------------

const RANK: Record<Outcome, number> = { fail: 0, inconclusive: 1, pass: 2 };
/** A fixed seed: what fails here fails for everybody. */
const RUNS = { seed: 2001, numRuns: 300 };

const RULE = { file: 'tocsin.yaml', line: 1, column: 1 };

const share = fc.double({ min: 0, max: 1, noNaN: true });
const arbitraryInterval = fc
  .tuple(share, share, share)
  .map((ends) => ends.toSorted((a, b) => a - b))
  .map(([low, value, high]) => ({ low: low!, value: value!, high: high! }));
const arbitraryNumber = fc.oneof(share, fc.constantFrom(null, Number.NaN, Number.POSITIVE_INFINITY, -1, 2));

describe('whatever is measured', () => {
  test('a better interval is never judged worse', () => {
    fc.assert(
      fc.property(arbitraryInterval, share, share, share, fc.boolean(), (one, up, more, limit, higher) => {
        const { low, value, high } = one;
        const better = { low: low + up, value: value + up, high: high + up + more };
        const sign = higher ? 1 : -1;
        const outcomeFor = (ends: typeof one) => {
          const [first, second] = higher ? [ends.low, ends.high] : [-ends.high, -ends.low];
          const result = metric({ metric: 'logLoss' }, first, sign * ends.value, second);
          const threshold = higher ? { atLeast: limit } : { atMost: -limit };
          return RANK[metricFinding(result, threshold, RULE).outcome as Outcome];
        };
        expect(outcomeFor(better)).toBeGreaterThanOrEqual(outcomeFor(one));
      }),
      RUNS,
    );
  });

  test('a pass is a whole interval on the right side, and a fail a whole one on the wrong side', () => {
    fc.assert(
      fc.property(arbitraryInterval, share, share, ({ low, value, high }, a, b) => {
        const [atLeast, atMost] = [Math.min(a, b), Math.max(a, b)];
        const { outcome, message } = metricFinding(
          metric({ metric: 'auc' }, low, value, high),
          { atLeast, atMost },
          RULE,
        );
        expect(outcome === 'pass').toBe(low >= atLeast && high <= atMost);
        expect(outcome === 'fail').toBe(high < atLeast || low > atMost);
        expect(message).not.toMatch(/NaN|undefined|Infinity/);
      }),
      RUNS,
    );
  });

  test('the number of examples that would settle it is larger than what there is', () => {
    fc.assert(
      fc.property(
        arbitraryInterval,
        share,
        fc.integer({ min: 200, max: 1e6 }),
        ({ low, value, high }, limit, examples) => {
          const finding = metricFinding(
            metric({ metric: 'auc' }, low, value, high, { examples }),
            { atLeast: limit },
            RULE,
          );
          const [, needed] = /, about ([\d,]+) would/.exec(finding.message) ?? [];
          if (needed !== undefined)
            expect(Number(needed.replaceAll(',', ''))).toBeGreaterThanOrEqual(examples);
          expect(finding.outcome === 'inconclusive').toBe(/cannot tell/.test(finding.message));
        },
      ),
      RUNS,
    );
  });

  test('the order of what is measured says nothing', () => {
    const results = fc.array(
      fc.record({
        origin: fc.constantFrom('A', 'B', 'C', 'D', 'E'),
        examples: fc.integer({ min: 300, max: 900 }),
        ends: arbitraryInterval,
      }),
      { maxLength: 8 },
    );
    fc.assert(
      fc.property(results, fc.integer({ min: 0, max: 20 }), (slices, turn) => {
        const unique = [...new Map(slices.map((one) => [one.origin, one])).values()];
        const metrics = [
          ...METRICS.metrics.slice(0, 2),
          ...unique.map(({ origin, examples, ends }) =>
            recall(origin, examples, ends.low, ends.value, ends.high),
          ),
        ];
        const turned = metrics.map((_, index) => metrics[(index + turn) % metrics.length]!);
        const [one, other] = [judged({ metrics: { metrics } }), judged({ metrics: { metrics: turned } })];
        expect(other.outcome).toBe(one.outcome);
        const messages = ({ findings }: Judgement) =>
          findings.map(({ check, outcome, subject }) => [outcome, check, subject].join());
        expect(messages(other).sort()).toEqual(messages(one).sort());
      }),
      RUNS,
    );
  });

  test('a judgement is made, a pass only of sound numbers, and nothing unreadable is said', () => {
    const arbitraryResult = fc.record({
      value: arbitraryNumber,
      low: arbitraryNumber,
      high: arbitraryNumber,
      missing: fc.boolean(),
    });
    fc.assert(
      fc.property(
        fc.array(arbitraryResult, { minLength: 4, maxLength: 4 }),
        arbitraryNumber,
        (numbers, psi) => {
          const metrics = METRICS.metrics.map((result, index) => {
            const { value, low, high, missing } = numbers[index]!;
            const ends = missing || low === null || high === null ? null : interval(low, value ?? 0, high);
            return { ...result, value, interval: ends };
          });
          const predictionDrift = {
            ...METRICS.predictionDrift!,
            interval: interval(psi ?? 0, psi ?? 0, psi ?? 0),
          };
          const judgement = judged({ metrics: { metrics, predictionDrift } });
          if (judgement.outcome === 'pass') {
            for (const { value, interval: ends } of metrics) {
              expect(Number.isFinite(value)).toBe(true);
              expect([ends!.low, ends!.high].every(Number.isFinite)).toBe(true);
            }
          }
          for (const { message, help, outcome } of judgement.findings) {
            expect(message).not.toMatch(/NaN|undefined|null|Infinity/);
            if (outcome !== 'pass') expect(help).toBeDefined();
          }
          expect(judgement.findings.map(({ outcome }) => outcome)).toEqual(
            judgement.findings
              .map(({ outcome }) => outcome)
              .toSorted((a, b) => ORDER.indexOf(a) - ORDER.indexOf(b)),
          );
        },
      ),
      RUNS,
    );
  });
});

const ORDER = ['fail', 'inconclusive', 'warn', 'pass'];
