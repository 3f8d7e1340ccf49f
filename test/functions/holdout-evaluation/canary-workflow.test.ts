import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { copyFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EventBridgeClient, PutEventsCommand } from '@aws-sdk/client-eventbridge';
import { S3Client } from '@aws-sdk/client-s3';
import {
  SageMakerClient,
  StartPipelineExecutionCommand,
  StopPipelineExecutionCommand,
  UpdateModelPackageCommand,
} from '@aws-sdk/client-sagemaker';
import { SNSClient } from '@aws-sdk/client-sns';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { canariesOf, parseTrigger } from '../../../functions/holdout-evaluation/canary-request.ts';
import {
  type CanaryAnswer,
  type CanaryDependencies,
  runCanary,
} from '../../../functions/holdout-evaluation/canary-workflow.ts';
import type { MetricMeasurements } from '../../../functions/holdout-evaluation/measurements.ts';
import { type CanaryResult, parseEvaluations } from '../../../functions/holdout-evaluation/schema.ts';
import { durableHandler } from '../../../functions/shared/durable.ts';
import { GateInputError } from '../../../functions/shared/errors.ts';
import { EvidenceStore } from '../../../functions/shared/evidence.ts';
import { InProcessWorkflow } from '../../../functions/shared/in-process.ts';
import { WorkBucket } from '../../../functions/shared/work.ts';
import { OutOfTimeError, type Workflow } from '../../../functions/shared/workflow.ts';
import { type Death, DurableService } from '../../support/durable-service.ts';
import { EVALUATION_ENV, EXAMPLES, meanPrediction, prepareExamples } from '../../support/evaluation.ts';
import { FakeAws } from '../../support/fake-aws.ts';
import { type Behaviour, FakePipelines } from '../../support/fake-pipelines.ts';
import { FakeSageMaker, sagemakerError } from '../../support/fake-sagemaker.ts';
import { published } from '../../support/published.ts';

/*
 * The whole workflow over an account in memory, with both implementations of the port. The engine is a stand-in: the
 * metric of a model is the mean of its predictions.
 */

const CONFIG = `models:
  delay:
    modelPackageGroup: delay
    task: binary
    holdout: { uri: holdout/may.csv, contract: contracts/holdout.yaml, label: late }
    transform: { instanceType: ml.m5.large, timeout: 10m }
    require: [{ metric: auc, atLeast: 0.62, minExamples: 2 }]
canaries:
  weekly:
    model: delay
    pipeline: training
    modelPackageGroup: delay-canary
    parameters: { Trees: '60' }
    dataset: { uri: known/flights.csv }
    negativeControl: { corrupt: { distance: distance * 1.6 } }
    expect: [{ metric: auc, atLeast: 0.85, atMost: 0.95 }]
    timeout: 5m
`;
const CORRUPTED_ALREADY = CONFIG.replace('corrupt: { distance: distance * 1.6 }', 'uri: s3://elsewhere/bad/');

const GOOD = 'repository/models:good';
const BAD = 'repository/models:bad';
const DATASET = 'distance,late\n1,1\n';
const GROUP = 'arn:aws:sagemaker:us-east-1:111122223333:model-package/delay-canary';
const EXECUTION = 'arn:aws:sagemaker:us-east-1:111122223333:pipeline/training/execution';

let aws: FakeAws;
let sagemaker: FakeSageMaker;
let pipelines: FakePipelines;
let tmp: string;
let recorded: Parameters<CanaryDependencies['record']>[];
let warned: string[];

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date'], now: Date.UTC(2026, 0, 5) });
  build();
  tmp = mkdtempSync(join(tmpdir(), 'tocsin-canary-test-'));
});

afterEach(() => {
  const left = readdirSync(tmp);
  rmSync(tmp, { recursive: true });
  aws.restore();
  vi.useRealTimers();
  expect(left, 'files left in the working directory').toEqual([]);
});

/** A new account, whose pipeline makes a good model of the known dataset and a bad one of the corrupted one. */
function build(): void {
  aws?.restore();
  aws = new FakeAws();
  aws.unversioned.add('work');
  sagemaker = new FakeSageMaker(aws);
  pipelines = new FakePipelines(aws, sagemaker);
  recorded = [];
  warned = [];
  aws.put('data', 'holdout/may.csv', EXAMPLES, {
    tags: [
      { Key: 'tocsin:quality', Value: 'passed' },
      { Key: 'tocsin:verdict', Value: 'e'.repeat(32) },
    ],
  });
  aws.put('data', 'known/flights.csv', DATASET);
  sagemaker.serves.set(GOOD, { ms: 500, answer: () => '0.9' });
  sagemaker.serves.set(BAD, { ms: 500, answer: () => '0.4' });
  behave({}, {});
}

/** What the pipeline does with the known dataset, and with any other. */
function behave(known: Partial<Behaviour>, corrupted: Partial<Behaviour>): void {
  pipelines.behaves = (dataset) =>
    dataset === 's3://data/known/flights.csv'
      ? { ms: 3_000, registers: [{ image: GOOD }], ...known }
      : { ms: 1_500, registers: [{ image: BAD }], ...corrupted };
}

const sleep = (ms: number) => {
  vi.setSystemTime(Date.now() + ms);
};

const measure: CanaryDependencies['measure'] = async ({ candidate, rows = 0, seed, also = [] }) => {
  const champion = { kind: 'none' as const };
  if ('failed' in candidate) {
    const transform = { completed: false as const, reason: candidate.failed };
    return { examples: rows, transform, problems: [], champion };
  }
  const value = await meanPrediction(candidate.path);
  const result = (query: MetricMeasurements['metrics'][number]['query']) => ({
    query,
    examples: rows,
    positives: 2,
    value,
    interval: { low: value - 0.01, estimate: value, high: value + 0.01, confidence: 0.95 },
  });
  const metrics: MetricMeasurements = {
    examples: rows,
    confidence: 0.95,
    replicates: 1000,
    seed,
    metrics: [{ metric: 'auc' as const }, ...also.map(({ query }) => query)].map(result),
    differences: [],
    predictions: { distinct: 3, min: 0, max: 1, mean: value },
    curves: {},
  };
  return { examples: rows, transform: { completed: true }, problems: [], metrics, champion };
};

function dependencies(overrides: Partial<CanaryDependencies> = {}): CanaryDependencies {
  const s3 = new S3Client({});
  return {
    env: EVALUATION_ENV,
    s3,
    sns: new SNSClient({}),
    events: new EventBridgeClient({}),
    sagemaker: new SageMakerClient({}),
    store: new EvidenceStore(s3, 'evidence'),
    work: new WorkBucket(s3, 'work'),
    prepare: prepareExamples,
    measure,
    corrupt: async ({ file, out }) => copyFile(file.path, out),
    tmp,
    timeLeftMs: () => 900_000,
    record: (...args) => void recorded.push(args),
    warn: (message) => void warned.push(message),
    ...overrides,
  };
}

interface Run {
  config?: string;
  id?: string;
  overrides?: Partial<CanaryDependencies>;
  /** Of the in-process port, milliseconds from now. */
  deadline?: number;
}

function start(
  workflow: Workflow,
  event: unknown,
  { config = CONFIG, overrides }: Run,
): Promise<CanaryAnswer> {
  const evaluations = parseEvaluations({ file: 'tocsin.yaml', text: config });
  const requests = canariesOf(parseTrigger(event), evaluations);
  if ('ignored' in requests) throw new Error(requests.ignored);
  return runCanary(workflow, requests[0]!, dependencies(overrides));
}

interface Port {
  /** Carries a run to its end. */
  run: (event?: unknown, options?: Run) => Promise<CanaryAnswer>;
}

const PORTS: Record<string, Port> = {
  'in process': {
    run: (event = { canary: 'weekly' }, options = {}) =>
      start(
        new InProcessWorkflow({ id: options.id ?? 'run-1', sleep: async (ms) => sleep(ms) }),
        event,
        options,
      ),
  },
  durable: {
    run: async (event = { canary: 'weekly' }, options = {}) => {
      const service = new DurableService(
        durableHandler((payload, workflow) => start(workflow, payload, options)),
        sleep,
      );
      const ended = await service.run(event, options.id);
      if ('result' in ended) return ended.result as CanaryAnswer;
      throw Object.assign(new Error(ended.error.message), { name: ended.error.name });
    },
  },
};

const VERDICTS = 'evidence/holdout-evaluation/canary-weekly/';

const verdicts = () => aws.keys('evidence', VERDICTS).filter((key) => key.endsWith('/verdict.json'));

const evidence = (name: string) => {
  const [key, ...more] = aws.keys('evidence', VERDICTS).filter((one) => one.endsWith(`/${name}`));
  expect(more).toEqual([]);
  return JSON.parse(aws.get('evidence', key!).body.toString('utf8'));
};

const messages = () => published(aws);

const copies = () => aws.keys('data', 'known/').filter((key) => key !== 'known/flights.csv');

/** Nothing is left of a run but its evidence, and its packages can never be deployed. */
function expectNothingLeft(): void {
  expect(pipelines.running, 'executions').toEqual([]);
  expect([...sagemaker.models.keys()], 'models').toEqual([]);
  expect(sagemaker.running, 'transform jobs').toEqual([]);
  expect(copies(), 'copies').toEqual([]);
  expect(
    aws.keys('work', '').filter((key) => !key.startsWith('runs/')),
    'work objects',
  ).toEqual([]);
}

function expectNeverDeployable(): void {
  for (const { arn, group, approval } of sagemaker.packages.values()) {
    if (group === 'delay-canary') expect(approval, arn).toBe('Rejected');
  }
}

const finding = (check: string) =>
  (evidence('verdict.json').findings as { check: string; outcome: string; message: string }[]).find(
    (one) => one.check === check,
  );

describe.each(Object.entries(PORTS))('a canary, %s', (_name, { run }) => {
  test('passes where the pipeline works, and its corrupted dataset is stopped', async () => {
    const answer = (await run()) as CanaryResult;

    const { id, inputs, subject, outcome } = evidence('verdict.json');
    expect({ subject, outcome }).toEqual({ subject: 'canary-weekly', outcome: 'pass' });
    expect(answer).toEqual({
      canary: 'weekly',
      pipeline: 'training',
      outcome: 'pass',
      reason: expect.stringContaining('yields a model within its documented range (4 examples)'),
      verdict: id,
      evidence: `s3://evidence/${VERDICTS}${id}/verdict.json`,
      findings: [],
    });
    expect(inputs).toEqual({
      canary: 'weekly',
      pipeline: 'training',
      dataset: { uri: 's3://data/known/flights.csv', version: 'v2' },
      executions: { known: `${EXECUTION}/1`, control: `${EXECUTION}/2` },
      packages: { known: expect.stringContaining(GROUP), control: expect.stringContaining(GROUP) },
      holdout: { uri: 's3://data/holdout/may.csv', version: 'v1', qualityVerdict: 'e'.repeat(32) },
      configurationSha256: expect.stringMatching(/^[0-9a-f]{64}$/),
      modelSha256: expect.stringMatching(/^[0-9a-f]{64}$/),
    });
    expect(finding('negative-control')?.message).toMatch(
      /^The thresholds stopped the model of the corrupted dataset: auc/,
    );
    expect(messages().map(({ Subject }) => Subject)).toEqual(['Tocsin: canary weekly passed']);
    expect(aws.inputs('events', PutEventsCommand)).toEqual([
      {
        Entries: [
          {
            EventBusName: 'default',
            Source: 'tocsin',
            DetailType: 'Pipeline Canary Finished',
            Detail: JSON.stringify(answer),
            Resources: [`${EXECUTION}/1`],
          },
        ],
      },
    ]);
    expect(recorded).toEqual([['weekly', { outcome: 'pass', durationMs: expect.any(Number) }]]);
    expectNothingLeft();
    expectNeverDeployable();
    expect(warned).toEqual([]);
  });

  test('stores a report beside the verdict', async () => {
    await run();
    const [key] = aws.keys('evidence', VERDICTS).filter((one) => one.endsWith('/report.html'));
    const report = aws.get('evidence', key!).body.toString('utf8');
    expect(key).toBe(`${VERDICTS}${evidence('verdict.json').id}/report.html`);
    expect(report).toContain('<title>Pipeline canary weekly: pass</title>');
    expect(report).toContain(`${EXECUTION}/2`);
    expect(report).not.toContain('could not be drawn');
  });

  test('starts the pipeline side by side on both datasets, with the group of the canary', async () => {
    await run();
    const started = aws.inputs('sagemaker', StartPipelineExecutionCommand) as {
      ClientRequestToken: string;
      PipelineParameters: { Name: string; Value: string }[];
    }[];
    const token = expect.stringMatching(/^tocsin-[0-9a-f]{32}$/);
    const shared = [{ Name: 'Trees', Value: '60' }];
    const group = { Name: 'ModelPackageGroupName', Value: 'delay-canary' };
    expect(started).toEqual([
      {
        PipelineName: 'training',
        ClientRequestToken: token,
        PipelineExecutionDescription: 'Tocsin: canary weekly, known dataset',
        PipelineParameters: [...shared, { Name: 'DatasetUri', Value: 's3://data/known/flights.csv' }, group],
      },
      {
        PipelineName: 'training',
        ClientRequestToken: token,
        PipelineExecutionDescription: 'Tocsin: canary weekly, corrupted dataset',
        PipelineParameters: [
          ...shared,
          {
            Name: 'DatasetUri',
            Value: expect.stringMatching(/^s3:\/\/data\/known\/tocsin-canary-[0-9a-f]{12}-flights\.csv$/),
          },
          group,
        ],
      },
    ]);
    expect(new Set(started.map(({ ClientRequestToken }) => ClientRequestToken)).size).toBe(2);
    const [first, second] = [...pipelines.executions.values()];
    expect(second!.startedAt - first!.startedAt).toBeLessThan(10_000);
  });

  test('rejects every model that it has made, for good', async () => {
    await run();
    const updates = aws.inputs('sagemaker', UpdateModelPackageCommand);
    expect(updates).toHaveLength(2);
    for (const update of updates) {
      expect(update).toEqual({
        ModelPackageArn: expect.stringContaining(GROUP),
        ModelApprovalStatus: 'Rejected',
        ApprovalDescription: 'pipeline canary: never to be deployed',
      });
    }
  });

  test('fails where the pipeline accepts a corrupted dataset', async () => {
    behave({}, { registers: [{ image: GOOD }] });
    expect(await run()).toMatchObject({
      outcome: 'fail',
      reason: expect.stringMatching(/^The pipeline accepted a corrupted dataset \(tocsin\.yaml:15\)/),
    });
    expect(messages().map(({ Subject }) => Subject)).toEqual(['Tocsin: canary weekly failed']);
    expectNothingLeft();
    expectNeverDeployable();
  });

  test('fails where the model is not what it always was', async () => {
    sagemaker.serves.set(GOOD, { ms: 500, answer: () => '0.7' });
    expect(await run()).toMatchObject({
      outcome: 'fail',
      reason: expect.stringContaining('auc on 4 examples is 0.7'),
    });
    expectNothingLeft();
  });

  test.each<[string, Partial<Behaviour>, string, RegExp]>([
    [
      'fails',
      { end: { failed: 'AlgorithmError: no column distance', step: 'Train' }, registers: [] },
      'fail',
      /failed on the known dataset: Step failure: .*; Train: AlgorithmError: no column distance\.$/,
    ],
    [
      'fails through no fault of its own',
      { end: { failed: 'CapacityError: none', step: 'Train' }, registers: [] },
      'inconclusive',
      /CapacityError/,
    ],
    ['is stopped by somebody', { end: 'stopped' }, 'inconclusive', /was stopped by somebody/],
    ['hangs', { ms: 86_400_000 }, 'fail', /did not end within 5 min and was stopped/],
    ['registers nothing', { registers: [] }, 'fail', /registered no model/],
    [
      'registers where models are deployed from',
      { registers: [{ image: GOOD, group: 'delay' }] },
      'fail',
      /outside of the group of the canary/,
    ],
    [
      'approves what it registers',
      { registers: [{ image: GOOD, approval: 'Approved' }] },
      'fail',
      /registers its models as Approved/,
    ],
  ])('of a pipeline that %s', async (_what, known, outcome, message) => {
    behave(known, {});
    expect(await run()).toMatchObject({ outcome });
    const { findings } = evidence('verdict.json') as { findings: { message: string }[] };
    expect(findings.map((one) => one.message)).toContainEqual(expect.stringMatching(message));
    expectNothingLeft();
    expectNeverDeployable();
  });

  test('leaves a model of another group alone', async () => {
    behave({ registers: [{ image: GOOD, group: 'delay' }] }, {});
    await run();
    const [stray] = [...sagemaker.packages.values()].filter(({ group }) => group === 'delay');
    expect(stray).toMatchObject({ approval: 'PendingManualApproval', metadata: {} });
    expect(stray?.description).toBeUndefined();
  });

  test('fails where its model cannot answer the holdout', async () => {
    const end = { failed: 'AlgorithmError: See job logs' };
    sagemaker.serves.set(GOOD, { ms: 1000, answer: () => '', end });
    expect(await run()).toMatchObject({ outcome: 'fail', reason: expect.stringContaining('AlgorithmError') });
    expectNothingLeft();
  });

  describe('whose corrupted dataset', () => {
    const gated = (quality?: string) => {
      aws.put('data', 'known/flights.csv', DATASET, { tags: [{ Key: 'tocsin:quality', Value: 'passed' }] });
      if (quality === undefined) return undefined;
      /** The quality gate judges the copy some time after its upload. */
      return {
        corrupt: async ({ file, out }: { file: { path: string }; out: string }) => {
          await copyFile(file.path, out);
          const { put } = aws;
          aws.put = (bucket, key, body, options = {}) => {
            aws.put = put;
            return aws.put(bucket, key, body, {
              ...options,
              tags: [
                { Key: 'tocsin:quality', Value: quality },
                { Key: 'tocsin:verdict', Value: 'f'.repeat(32) },
              ],
            });
          };
        },
      };
    };

    test('fails the quality gate is stopped by it, and never reaches the pipeline', async () => {
      const overrides = gated('failed')!;
      expect(await run(undefined, { overrides })).toMatchObject({ outcome: 'pass' });
      expect(finding('negative-control')?.message).toBe(
        `The quality gate stopped the corrupted dataset (verdict ${'f'.repeat(32)}).`,
      );
      expect(pipelines.executions.size).toBe(1);
      expectNothingLeft();
    });

    test('passes the quality gate goes on to the pipeline', async () => {
      const overrides = gated('passed')!;
      expect(await run(undefined, { overrides })).toMatchObject({ outcome: 'pass' });
      expect(finding('negative-control')?.message).toMatch(/^The thresholds stopped/);
      expectNothingLeft();
    });

    test('is not judged in time says nothing', async () => {
      gated();
      expect(await run()).toMatchObject({
        outcome: 'inconclusive',
        reason: expect.stringMatching(
          /the quality gate did not judge s3:\/\/data\/known\/tocsin-canary-.* within 5 min\.$/,
        ),
      });
      expect(pipelines.executions.size).toBe(1);
      expectNothingLeft();
    });

    test.each<[string, Partial<Behaviour>, string, RegExp]>([
      [
        'fails the pipeline',
        { end: { failed: 'bad units', step: 'Check' }, registers: [] },
        'pass',
        /The pipeline failed on the corrupted dataset: .*Check: bad units/,
      ],
      ['ends it without a model', { registers: [] }, 'pass', /registered no model of the corrupted dataset/],
      ['hangs', { ms: 86_400_000 }, 'inconclusive', /did not end within 5 min/],
      [
        'meets throttling',
        { end: { failed: 'ThrottlingException', step: 'Train' }, registers: [] },
        'inconclusive',
        /ThrottlingException/,
      ],
    ])('%s', async (_what, corrupted, outcome, message) => {
      behave({}, corrupted);
      expect(await run()).toMatchObject({ outcome });
      expect(finding('negative-control')?.message).toMatch(message);
      expectNothingLeft();
      expectNeverDeployable();
    });

    test('cannot be followed leaves the rest of the verdict, and nothing behind', async () => {
      behave({}, { ms: 600_000 });
      pipelines.fails = (operation, input) =>
        operation === 'DescribePipelineExecution' &&
        (input as { PipelineExecutionArn: string }).PipelineExecutionArn.endsWith('/2')
          ? sagemakerError('AccessDeniedException', 'not authorized', 403)
          : undefined;
      expect(await run()).toMatchObject({
        outcome: 'inconclusive',
        reason: expect.stringMatching(/is not known: DescribePipelineExecution .* AccessDeniedException/),
      });
      expect(aws.inputs('sagemaker', StopPipelineExecutionCommand)).toEqual([
        {
          PipelineExecutionArn: `${EXECUTION}/2`,
          ClientRequestToken: expect.stringMatching(/^tocsin-[0-9a-f]{32}$/),
        },
      ]);
      expectNothingLeft();
    });

    test('is one of its own is used as it is', async () => {
      expect(await run(undefined, { config: CORRUPTED_ALREADY })).toMatchObject({ outcome: 'pass' });
      const [, second] = [...pipelines.executions.values()];
      expect(second?.input.PipelineParameters).toContainEqual({
        Name: 'DatasetUri',
        Value: 's3://elsewhere/bad/',
      });
      expect(evidence('verdict.json').inputs.dataset).toEqual({
        uri: 's3://data/known/flights.csv',
        version: null,
      });
      expectNothingLeft();
    });
  });

  describe('that cannot be run', () => {
    const noPipeline = sagemakerError('ResourceNotFound', 'Pipeline training does not exist');
    const noParameter = sagemakerError('ValidationException', 'Parameter Trees is not defined');

    test.each<[string, () => Run, RegExp]>([
      [
        'a holdout that is not there',
        () => {
          aws.objects.delete('data/holdout/may.csv');
          return {};
        },
        /there is no s3:\/\/data\/holdout\/may\.csv/,
      ],
      [
        'a dataset that is not there',
        () => {
          aws.objects.delete('data/known/flights.csv');
          return {};
        },
        /there is no s3:\/\/data\/known\/flights\.csv/,
      ],
      [
        'a dataset that is too large',
        () => {
          aws.put('data', 'known/flights.csv', 'x'.repeat(700_000));
          return {};
        },
        /at most 666\.7 KB .* can be corrupted/,
      ],
      [
        'an expression that does not fit',
        () => ({
          overrides: {
            corrupt: async () => {
              throw new GateInputError('tocsin.yaml:15:35 no column "distance" in the dataset');
            },
          },
        }),
        /no column "distance"/,
      ],
      [
        'no such pipeline',
        () => {
          pipelines.fails = (operation) => (operation === 'StartPipelineExecution' ? noPipeline : undefined);
          return {};
        },
        /there is no pipeline training/,
      ],
      [
        'no such parameter',
        () => {
          pipelines.fails = (operation) => (operation === 'StartPipelineExecution' ? noParameter : undefined);
          return {};
        },
        /does not take what it is started with: Parameter Trees is not defined/,
      ],
    ])('%s: a mistake, told once', async (_what, arrange, message) => {
      const options = arrange();
      const refusal = { canary: 'weekly', error: 'GateInputError', message: expect.stringMatching(message) };
      expect(await run(undefined, options)).toMatchObject(refusal);
      expect(await run(undefined, { ...options, id: 'run-2' })).toMatchObject(refusal);
      expect(messages().map(({ Subject }) => Subject)).toEqual(['Tocsin: canary weekly not run']);
      expect(verdicts()).toEqual([]);
      expectNothingLeft();
    });

    test.each<[string, string, Error]>([
      [
        'StartPipelineExecution is denied',
        'StartPipelineExecution',
        sagemakerError('AccessDeniedException', 'no', 403),
      ],
      [
        'ListPipelineExecutionSteps is throttled',
        'ListPipelineExecutionSteps',
        sagemakerError('ThrottlingException', 'Rate exceeded'),
      ],
    ])('%s: no verdict, people are told why, nothing is left', async (_what, operation, error) => {
      pipelines.fails = (called) => (called === operation ? error : undefined);
      await expect(run()).rejects.toThrow(error.message);
      expect(messages().at(-1)?.Subject).toBe('Tocsin: canary weekly not run');
      expect(verdicts()).toEqual([]);
      expectNothingLeft();
    });

    test('throttling that passes is no matter', async () => {
      let calls = 0;
      pipelines.fails = () => (++calls % 3 === 0 ? sagemakerError('ThrottlingException') : undefined);
      expect(await run()).toMatchObject({ outcome: 'pass' });
      expectNothingLeft();
    });

    test('a transform job that fails through no fault of the model is no verdict on the pipeline', async () => {
      sagemaker.serves.set(GOOD, { ms: 1000, answer: () => '', end: { failed: 'InternalServerError' } });
      await expect(run()).rejects.toThrow('not through the model: InternalServerError');
      expectNothingLeft();
      expectNeverDeployable();
    });
  });

  test('runs once at a time', async () => {
    await new WorkBucket(new S3Client({}), 'work').claim('claims/canary-weekly.json', 'another.0123', 60_000);
    expect(await run()).toEqual({ ignored: 'the canary weekly is being run by the execution another' });
    expect(pipelines.executions.size).toBe(0);
    expect(messages()).toEqual([]);
    sleep(60_000);
    expect(await run(undefined, { id: 'run-2' })).toMatchObject({ outcome: 'pass' });
  });

  test('runs again the next time', async () => {
    await run();
    expect(await run(undefined, { id: 'run-2' })).toMatchObject({ outcome: 'pass' });
    expect(verdicts()).toHaveLength(2);
    expect(messages()).toHaveLength(2);
    expectNothingLeft();
  });

  test('says where it is to whoever follows the run', async () => {
    const answer = await run({ canary: 'weekly', run: 'mine' });
    const phases = aws.objects
      .get('work/runs/mine.json')!
      .map(({ body }) => JSON.parse(body.toString('utf8')));
    expect(phases.at(-1)).toEqual({
      run: 'mine',
      startedAt: Date.UTC(2026, 0, 5),
      updatedAt: expect.any(Number),
      phase: 'done',
      result: answer,
    });
    aws.objects.delete('data/holdout/may.csv');
    await run({ canary: 'weekly', run: 'next' }, { id: 'run-2' });
    expect(JSON.parse(aws.get('work', 'runs/next.json').body.toString('utf8'))).toMatchObject({
      phase: 'refused',
      error: { name: 'GateInputError' },
    });
  });
});

test('one process that runs out of time stops what runs, and leaves nothing behind', async () => {
  behave({ ms: 600_000 }, { ms: 600_000 });
  const workflow = new InProcessWorkflow({
    id: 'run-1',
    deadline: Date.now() + 120_000,
    sleep: (ms, signal) =>
      // The timer of the deadline itself, which never ends before a step of this test.
      signal === undefined
        ? Promise.resolve(sleep(ms))
        : new Promise((_, stop) => signal.addEventListener('abort', stop)),
  });
  await expect(start(workflow, { canary: 'weekly' }, {})).rejects.toThrow(OutOfTimeError);
  expect(aws.inputs('sagemaker', StopPipelineExecutionCommand)).toHaveLength(2);
  expectNothingLeft();
  expect(messages().at(-1)?.Message).toContain('out of time');
});

describe('crashes', () => {
  /** The parts of an end that do not depend on how often the process died. */
  function end() {
    return {
      executions: pipelines.executions.size,
      // Which of the two was registered first is chance.
      packages: [...sagemaker.packages.values()]
        .map(({ approval, description }) => `${approval}: ${description}`)
        .sort(),
      outcome: evidence('verdict.json').outcome,
      verdicts: verdicts().length,
      findings: evidence('verdict.json').findings.map(
        ({ check, outcome }: { check: string; outcome: string }) => [check, outcome],
      ),
      events: aws.keys('evidence', VERDICTS).filter((key) => /\/announced-[0-9a-f]{8}\.json$/.test(key))
        .length,
    };
  }

  /** The pipeline approves what it makes: that must not be forgotten on the way. */
  function arrange(): void {
    build();
    behave({ registers: [{ image: GOOD, approval: 'Approved' }] }, {});
  }

  async function execute({ dies, change }: { dies?: DurableService['dies']; change?: number }) {
    arrange();
    aws.diesAfter = change ?? Number.POSITIVE_INFINITY;
    const service = new DurableService(
      durableHandler((payload, workflow) => {
        if (aws.changes.length >= aws.diesAfter) aws.diesAfter = Number.POSITIVE_INFINITY;
        return start(workflow, payload, {});
      }),
      sleep,
    );
    service.dies = dies ?? (() => (aws.changes.length >= aws.diesAfter ? 'before it is kept' : undefined));
    const ended = await service.run({ canary: 'weekly' });
    expect(ended).toMatchObject({ result: { outcome: 'fail' } });
    expectNothingLeft();
    expectNeverDeployable();
    return { service, end: end() };
  }

  test('at any checkpoint of a durable execution end in the same verdict, with two executions', async () => {
    const plain = await execute({});
    expect(plain.end).toMatchObject({ executions: 2, verdicts: 1, events: 1, outcome: 'fail' });
    for (let at = 0; at < plain.service.checkpoints; at++) {
      // Each of both in turn: all of them take their time.
      const death: Death = at % 2 === 0 ? 'before it is kept' : 'after it is kept';
      const crashed = await execute({ dies: (checkpoint) => (checkpoint === at ? death : undefined) });
      expect(crashed.service.deaths, `${death}, checkpoint ${at}`).toBe(1);
      expect(crashed.end, `${death}, checkpoint ${at}`).toEqual(plain.end);
      expect(messages().length, `${death}, checkpoint ${at}`).toBe(1);
    }
  });

  test('with any change to the account, in a durable execution', async () => {
    const plain = await execute({});
    const changes = aws.changes.length;
    expect(changes).toBeGreaterThan(20);
    for (let change = 1; change <= changes; change++) {
      const crashed = await execute({ change });
      const what = `change ${change}: ${aws.changes[change - 1]}`;
      expect(crashed.service.deaths, what).toBe(1);
      expect(crashed.end, what).toEqual(plain.end);
      // Between a message and the note of it nothing can be known.
      expect(messages().length, what).toBeLessThanOrEqual(2);
    }
  });

  test('with any change to the account, in one process that Lambda tries again', async () => {
    const once = () => PORTS['in process']!.run();
    arrange();
    await once();
    const plain = end();
    const changes = aws.changes.length;
    for (let change = 1; change <= changes; change++) {
      arrange();
      aws.diesAfter = change;
      await once().catch(() => {});
      const what = `change ${change}: ${aws.changes[change - 1]}`;
      aws.diesAfter = Number.POSITIVE_INFINITY;
      await once();
      expectNothingLeft();
      expectNeverDeployable();
      expect(end(), what).toEqual(plain);
      expect(messages().length, what).toBeLessThanOrEqual(2);
    }
  });
});
