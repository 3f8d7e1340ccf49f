import { describe, expect, test } from 'vitest';
import {
  METRICS,
  type MetricName,
  metricsOf,
  queryName,
} from '../../../functions/holdout-evaluation/metric.ts';
import {
  canaryRequestSchema,
  environmentSchema,
  evaluationRequestSchema,
  packageEventSchema,
  parseEvaluations,
  queryOf,
} from '../../../functions/holdout-evaluation/schema.ts';
import { stackEventSchema } from '../../../functions/shared/deployed.ts';
import { ConfigError, parseValue, textBundleSchema } from '../../../functions/shared/schema.ts';

const MODELS = `models:
  flight-delay:
    modelPackageGroup: flight-delay
    task: binary
    holdout: { uri: s3://data-bucket/holdout/2001-05.parquet, label: late, contract: contracts/flights.yaml }
    transform: { instanceType: ml.m5.large, content: text/csv, timeout: 30m }
    require:
      - { metric: auc, atLeast: 0.62, because: "below this the rebooking team overrides the model" }
      - { metric: calibrationError, atMost: 0.05 }
      - { metric: recall, at: { threshold: 0.5 }, atLeast: 0.3, slices: [origin], minExamples: 500 }
    champion: { mayBeWorseBy: { auc: 0.005 } }
    sanity: { constantPredictions: forbid, predictionDrift: { psi: 0.25 } }
`;

const CLASSES = `models:
  weather:
    modelPackageGroup: weather
    task: multiclass
    classes: [rain, snow, sun]
    holdout: { uri: holdout/weather.csv, label: kind, contract: contracts/weather.yaml }
    transform: { instanceType: ml.m5.large }
    require:
      - { metric: f1, class: snow, atLeast: 0.5 }
      - { metric: recall, average: micro, atLeast: 0.5 }
`;

const CANARY = `canaries:
  flight-delay:
    model: flight-delay
    pipeline: flight-delay-training
    modelPackageGroup: flight-delay-canary
    dataset: { uri: canary/2001-01.parquet }
    parameters: { Trees: "40" }
    expect:
      - { metric: auc, atLeast: 0.6, atMost: 0.8, because: "what it has had since March" }
    negativeControl: { corrupt: { distance: distance * 1.609344 } }
    schedule: rate(7 days)
    afterDeployOf: [Training]
`;

/** Mistakes of a configuration, one a line, without the name of the file. */
function mistakes(text: string): string[] {
  try {
    parseEvaluations({ file: 'tocsin.yaml', text });
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    return (error as ConfigError).message.split('\n').map((line) => line.replace(/^tocsin\.yaml:/, ''));
  }
  return [];
}

function changed(text: string, from: string, to: string): string {
  expect(text).toContain(from);
  return text.replace(from, to);
}

describe('models', () => {
  test('are read with their defaults, and know their lines', () => {
    const { models } = parseEvaluations({ file: 'tocsin.yaml', text: MODELS });
    const model = models.get('flight-delay')!;
    expect(model.value).toMatchObject({
      approve: 'automatic',
      transform: { timeout: 1_800_000, instanceCount: 1, networkIsolation: true, maxPayloadMb: 6 },
      confidence: 0.95,
      replicates: 1000,
      execution: { artifacts: [], kmsKeys: [] },
      require: [
        { metric: 'auc', atLeast: 0.62, minExamples: 200, onThinSlice: 'warn' },
        { metric: 'calibrationError', atMost: 0.05 },
        { metric: 'recall', slices: ['origin'], minExamples: 500 },
      ],
    });
    expect(model.locate(['require', 2])).toEqual({ file: 'tocsin.yaml', line: 10, column: 9 });
    expect(model.locate(['champion'])).toMatchObject({ line: 11 });
  });

  test('stand beside sections that are not theirs', () => {
    const text = `tocsin: 1\ndatasets: { flights: { prefix: flights/ } }\n${MODELS}${CANARY}`;
    const { models, canaries } = parseEvaluations({ file: 'tocsin.yaml', text });
    expect([...models.keys(), ...canaries.keys()]).toEqual(['flight-delay', 'flight-delay']);
    expect(models.get('flight-delay')!.locate(['require', 0])).toMatchObject({ line: 10 });
  });

  test('may be absent', () => {
    expect(parseEvaluations({ file: 'tocsin.yaml', text: 'tocsin: 1' }).models.size).toBe(0);
  });

  test.each([
    ['metric: auc', 'metric: auk', '8:11 models.flight-delay.require.0.metric: expected one of'],
    [
      'metric: auc',
      'metric: rmse',
      '8:11 models.flight-delay.require.0.metric: no metric "rmse" of a binary model',
    ],
    [
      'atLeast: 0.62',
      'atLeast: 62',
      '8:24 models.flight-delay.require.0.atLeast: auc is from 0 to 1, got 62',
    ],
    ['atLeast: 0.62', 'atLeast: 0', '8:24 models.flight-delay.require.0.atLeast: auc is from 0 to 1, got 0'],
    [
      'atMost: 0.05',
      'atMost: 1',
      '9:37 models.flight-delay.require.1.atMost: calibrationError is from 0 to 1, got 1',
    ],
    [
      'metric: calibrationError, atMost: 0.05',
      'metric: brier, atMost: 1',
      '9:26 models.flight-delay.require.1.atMost: brier is from 0 to 1, got 1',
    ],
    [
      'threshold: 0.5',
      'threshold: 0',
      '10:33 models.flight-delay.require.2.at.threshold: expected number to be >0',
    ],
    [
      'threshold: 0.5',
      'threshold: 50',
      '10:33 models.flight-delay.require.2.at.threshold: expected number to be <=1',
    ],
    [
      'mayBeWorseBy: { auc: 0.005 }',
      'mayBeWorseBy: { auc: 5 }',
      '11:33 models.flight-delay.champion.mayBeWorseBy.auc: auc is from 0 to 1, so nothing is worse by more than 5',
    ],
    ['atMost: 0.05', 'because: x', '9:9 models.flight-delay.require.1: expected atLeast, atMost, or both'],
    [
      'atLeast: 0.62',
      'atLeast: 0.7, atMost: 0.6',
      '8:24 models.flight-delay.require.0.atLeast: 0.7 is above atMost, 0.6',
    ],
    [
      'metric: auc',
      'metric: auc, at: { threshold: 0.5 }',
      '8:24 models.flight-delay.require.0.at: says nothing of auc of a binary model',
    ],
    [
      'metric: auc',
      'metric: recall, class: late',
      '8:27 models.flight-delay.require.0.class: says nothing of recall of a binary model',
    ],
    [
      'slices: [origin]',
      'slices: [origin, origin]',
      '10:65 models.flight-delay.require.2.slices: one is there twice',
    ],
    [
      'mayBeWorseBy: { auc: 0.005 }',
      'mayBeWorseBy: {}',
      '11:17 models.flight-delay.champion.mayBeWorseBy: expected at least one metric',
    ],
    [
      'mayBeWorseBy: { auc: 0.005 }',
      'mayBeWorseBy: { mae: 0.005 }',
      '11:33 models.flight-delay.champion.mayBeWorseBy.mae: no metric "mae" of a binary model',
    ],
    [
      'task: binary',
      'task: multiclass',
      '4:5 models.flight-delay.task: a multiclass model needs its classes',
    ],
    [
      'task: binary',
      'task: binary\n    classes: [a, b]',
      '5:5 models.flight-delay.classes: says nothing of a binary model',
    ],
    [
      'label: late,',
      'label: late, features: [distance, late],',
      '5:97 models.flight-delay.holdout.features.1: the model must not see "late"',
    ],
    [
      'label: late,',
      'label: late, weight: w, features: [w],',
      '5:98 models.flight-delay.holdout.features.0: the model must not see "w"',
    ],
    [
      'label: late,',
      'label: late, features: [distance, origin, distance],',
      '5:76 models.flight-delay.holdout.features: one is there twice',
    ],
    [
      'timeout: 30m',
      'timeout: 30s',
      '6:64 models.flight-delay.transform.timeout: expected a timeout from 1m to 24h',
    ],
    [
      'content: text/csv',
      'content: text/csv, prediction: p',
      '6:64 models.flight-delay.transform.prediction: says nothing of text/csv',
    ],
    [
      'uri: s3://data-bucket/holdout/',
      'uri: s3://data-bucket/*/',
      '5:16 models.flight-delay.holdout.uri: expected s3://',
    ],
    ['sanity: {', 'sanety: {', '12:5 unknown key "sanety", did you mean "sanity"?'],
  ])('%s changed to %s is refused', (from, to, message) => {
    expect(mistakes(changed(MODELS, from, to))[0]).toContain(message);
  });

  test('every mistake is told, not just the first', () => {
    const text = changed(changed(MODELS, 'atLeast: 0.62', 'atLeast: 62'), 'atMost: 0.05', 'atMost: 5');
    expect(mistakes(text)).toHaveLength(2);
  });

  test.each([
    ['class: snow', 'class: snaw', 'no class "snaw", did you mean "snow"?'],
    ['class: snow', 'class: snow, average: macro', 'average: says nothing of one class'],
    ['metric: recall, average: micro', 'metric: auc, average: micro', 'auc is averaged macro'],
    ['classes: [rain, snow, sun]', 'classes: [rain, snow, snow]', 'classes: one is there twice'],
    ['label: kind', 'label: kind, positive: rain', 'positive: says nothing of a multiclass model'],
  ])('of several classes: %s changed to %s is refused', (from, to, message) => {
    expect(mistakes(CLASSES)).toEqual([]);
    expect(mistakes(changed(CLASSES, from, to))[0]).toContain(message);
  });

  test('a pinball loss needs its quantile', () => {
    const text = changed(
      changed(
        changed(MODELS, 'task: binary', 'task: regression'),
        'metric: auc, atLeast: 0.62',
        'metric: pinballLoss, atMost: 9',
      ),
      '      - { metric: calibrationError, atMost: 0.05 }\n',
      '',
    )
      .replace(/ {6}- \{ metric: recall.*\n/, '')
      .replace(/ {4}champion.*\n/, '');
    expect(mistakes(text)).toEqual([
      '8:9 models.flight-delay.require.0.quantile: expected the quantile of pinballLoss',
    ]);
    expect(mistakes(text.replace('pinballLoss,', 'pinballLoss, quantile: 0.9,'))).toEqual([]);
  });
});

describe('queries', () => {
  test('have the defaults of their task', () => {
    expect(queryOf({ metric: 'recall' }, 'binary')).toEqual({ metric: 'recall', threshold: 0.5 });
    expect(queryOf({ metric: 'recall', at: { threshold: 0.1 } }, 'binary')).toEqual({
      metric: 'recall',
      threshold: 0.1,
    });
    expect(queryOf({ metric: 'recall' }, 'multiclass')).toEqual({ metric: 'recall', average: 'macro' });
    expect(queryOf({ metric: 'recall', class: 'a' }, 'multiclass')).toEqual({ metric: 'recall', class: 'a' });
    expect(queryOf({ metric: 'accuracy' }, 'multiclass')).toEqual({ metric: 'accuracy' });
    expect(queryOf({ metric: 'pinballLoss', quantile: 0.9 }, 'regression')).toEqual({
      metric: 'pinballLoss',
      quantile: 0.9,
    });
  });

  test('are told apart by their names', () => {
    expect(
      [
        { metric: 'auc' },
        { metric: 'recall', threshold: 0.5 },
        { metric: 'f1', class: 'a "b"' },
        { metric: 'f1', average: 'micro' },
        { metric: 'pinballLoss', quantile: 0.9 },
      ].map((query) => queryName(query as Parameters<typeof queryName>[0])),
    ).toEqual(['auc', 'recall at 0.5', 'f1 of "a \\"b\\""', 'f1 (micro)', 'pinballLoss of quantile 0.9']);
  });

  test('every metric belongs to a task, and its range is one', () => {
    for (const name of Object.keys(METRICS) as MetricName[]) {
      const { tasks, range } = METRICS[name];
      for (const task of tasks) expect(metricsOf(task)).toContain(name);
      const [low, high] = range as readonly [number | null, number | null];
      if (low !== null && high !== null) expect(low).toBeLessThan(high);
    }
  });
});

describe('canaries', () => {
  test('are read with their defaults', () => {
    const { canaries } = parseEvaluations({ file: 'tocsin.yaml', text: CANARY });
    const canary = canaries.get('flight-delay')!;
    expect(canary.value).toMatchObject({
      groupParameter: 'ModelPackageGroupName',
      dataset: { uri: 'canary/2001-01.parquet', parameter: 'DatasetUri' },
      timeout: 6 * 3_600_000,
      negativeControl: { corrupt: { distance: 'distance * 1.609344' } },
    });
    expect(canary.locate(['expect', 0])).toEqual({ file: 'tocsin.yaml', line: 9, column: 9 });
  });

  test.each([
    ['{ corrupt: { distance: distance * 1.609344 } }', '{}', 'expected either corrupt or uri'],
    ['{ corrupt: {', '{ uri: canary/bad.parquet, corrupt: {', 'expected either corrupt or uri'],
    ['canary/2001-01.parquet', 'canary/2001/', 'a folder cannot be corrupted on the way'],
    ['rate(7 days)', 'weekly', 'expected rate(7 days), or cron(...)'],
    ['[Training]', '["*"]', 'expected the name of a CloudFormation stack'],
    ['model: flight-delay', 'modal: flight-delay', 'unknown key "modal", did you mean "model"?'],
  ])('%s changed to %s is refused', (from, to, message) => {
    expect(mistakes(changed(CANARY, from, to)).join('\n')).toContain(message);
  });
});

describe('what invokes the functions', () => {
  const ARN = 'arn:aws:sagemaker:us-east-1:111122223333:model-package/flight-delay/7';

  test('an event of the registry is believed as far as its ARN', () => {
    const event = {
      source: 'aws.sagemaker',
      'detail-type': 'SageMaker Model Package State Change',
      detail: { ModelPackageArn: ARN, ModelApprovalStatus: 'Approved' },
    };
    expect(parseValue(packageEventSchema, event, 'event').detail).toEqual({ ModelPackageArn: ARN });
  });

  test.each([
    'arn:aws:sagemaker:us-east-1:111122223333:model/flight-delay',
    'arn:aws:sagemaker:us-east-1:111122223333:model-package/a/b',
    'arn:aws:sagemaker:us-east-1:111122223333:model-package/a/7\n',
    `arn:aws:sagemaker:us-east-1:111122223333:model-package/${'a'.repeat(64)}/7`,
    '',
  ])('%j is no model package', (arn) => {
    expect(() => parseValue(evaluationRequestSchema, { package: arn }, 'request')).toThrow(
      'the ARN of a model package',
    );
  });

  test('a package without a group is one, too', () => {
    const arn = 'arn:aws-cn:sagemaker:cn-north-1:111122223333:model-package/lone';
    expect(parseValue(evaluationRequestSchema, { package: arn, run: 'a-1' }, 'request')).toEqual({
      package: arn,
      run: 'a-1',
    });
  });

  test('a request with anything else in it is refused', () => {
    expect(() => parseValue(canaryRequestSchema, { canary: 'a', approve: true }, 'request')).toThrow(
      'unknown key "approve"',
    );
    expect(() => parseValue(evaluationRequestSchema, { package: ARN, run: 'a/b' }, 'request')).toThrow(
      'letters, digits and hyphens',
    );
  });

  test('a stack is known by its id', () => {
    const event = {
      source: 'aws.cloudformation',
      'detail-type': 'CloudFormation Stack Status Change',
      detail: {
        'stack-id': 'arn:aws:cloudformation:us-east-1:111122223333:stack/Training/abc',
        'status-details': { status: 'UPDATE_COMPLETE', 'status-reason': '' },
        'client-request-token': '',
      },
    };
    expect(parseValue(stackEventSchema, event, 'event').detail['status-details'].status).toBe(
      'UPDATE_COMPLETE',
    );
  });

  test('the bundle and the environment', () => {
    expect(
      parseValue(textBundleSchema, { bundle: 1, file: 'tocsin.yaml', text: MODELS }, 'bundle').file,
    ).toBe('tocsin.yaml');
    const environment = {
      CONFIG_BUCKET: 'c',
      CONFIG_KEY: 'k',
      EVIDENCE_BUCKET: 'e',
      WORK_BUCKET: 'w',
      TOPIC_ARN: 'arn:aws:sns:us-east-1:111122223333:t',
      WORKFLOW: 'durable',
      MAX_DATASET_BYTES: '1000',
      TMP_BYTES: '2000',
      ENGINE_MEMORY_BYTES: '3000',
    };
    expect(parseValue(environmentSchema, environment, 'environment')).toMatchObject({
      EVENT_BUS: 'default',
      TMP_BYTES: 2000,
    });
    expect(() => parseValue(environmentSchema, { ...environment, WORKFLOW: 'both' }, 'environment')).toThrow(
      'WORKFLOW',
    );
  });
});
