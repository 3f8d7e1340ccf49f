import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EventBridgeClient, PutEventsCommand } from '@aws-sdk/client-eventbridge';
import { PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import {
  CreateModelCommand,
  CreateTransformJobCommand,
  SageMakerClient,
  UpdateModelPackageCommand,
} from '@aws-sdk/client-sagemaker';
import { SNSClient } from '@aws-sdk/client-sns';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { EvaluationVerdict } from '../../../functions/holdout-evaluation/identity.ts';
import type { Measurements, MetricMeasurements } from '../../../functions/holdout-evaluation/measurements.ts';
import { evaluationPage } from '../../../functions/holdout-evaluation/report.ts';
import { parseRequest } from '../../../functions/holdout-evaluation/request.ts';
import { type EvaluationResult, parseEvaluations } from '../../../functions/holdout-evaluation/schema.ts';
import {
  type Answer,
  type Dependencies,
  evaluatePackage,
} from '../../../functions/holdout-evaluation/workflow.ts';
import { durableHandler } from '../../../functions/shared/durable.ts';
import { GateDependencyError } from '../../../functions/shared/errors.ts';
import { EvidenceStore } from '../../../functions/shared/evidence.ts';
import { InProcessWorkflow } from '../../../functions/shared/in-process.ts';
import { renderReport } from '../../../functions/shared/report/verdict-page.ts';
import { WorkBucket } from '../../../functions/shared/work.ts';
import { OutOfTimeError } from '../../../functions/shared/workflow.ts';
import { type Death, DurableService } from '../../support/durable-service.ts';
import { EVALUATION_ENV, EXAMPLES, meanPrediction, prepareExamples } from '../../support/evaluation.ts';
import { FakeAws } from '../../support/fake-aws.ts';
import { FakeSageMaker, sagemakerError } from '../../support/fake-sagemaker.ts';
import { published } from '../../support/published.ts';

/*
 * The whole workflow over an account in memory, with both implementations of the port. The engine is a stand-in: the
 * metric of a model is the mean of its predictions.
 */

const CONFIG = `models:
  flight-delay:
    modelPackageGroup: flight-delay
    task: binary
    approve: automatic
    holdout: { uri: holdout/2001-05.csv, contract: contracts/holdout.yaml, label: late }
    transform: { instanceType: ml.m5.large, timeout: 10m }
    require:
      - { metric: auc, atLeast: 0.62, minExamples: 2, because: 'rebooking' }
canaries:
  flights:
    model: flight-delay
    pipeline: training
    modelPackageGroup: flight-delay-canary
    dataset: { uri: raw/known.csv }
    expect: [{ metric: auc, atLeast: 0.6 }]
    negativeControl: { corrupt: { distance: distance * 1.6 } }
`;
const CHAMPION = CONFIG.replace(
  '    require:',
  '    champion: { mayBeWorseBy: { auc: 0.01 } }\n    require:',
);
const RECOMMEND = CONFIG.replace('approve: automatic', 'approve: recommend');

const SECRET = 'hunter2-in-the-environment';

const GOOD = 'repository/models:good';
const BAD = 'repository/models:bad';
const VAGUE = 'repository/models:vague';

let aws: FakeAws;
let sagemaker: FakeSageMaker;
let tmp: string;
let recorded: Parameters<Dependencies['record']>[];
let warned: string[];

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date'], now: Date.UTC(2026, 0, 5) });
  build();
  tmp = mkdtempSync(join(tmpdir(), 'tocsin-evaluation-test-'));
});

afterEach(() => {
  const left = readdirSync(tmp);
  rmSync(tmp, { recursive: true });
  aws.restore();
  vi.useRealTimers();
  expect(left, 'files left in the working directory').toEqual([]);
});

/** A new account, with a holdout that has passed its gate and three images. */
function build(): void {
  aws?.restore();
  aws = new FakeAws();
  aws.unversioned.add('work');
  sagemaker = new FakeSageMaker(aws);
  recorded = [];
  warned = [];
  passHoldout('passed');
  sagemaker.serves.set(GOOD, { ms: 90_000, answer: () => '0.9' });
  sagemaker.serves.set(BAD, { ms: 90_000, answer: () => '0.4' });
  sagemaker.serves.set(VAGUE, { ms: 90_000, answer: () => '0.62' });
}

function passHoldout(quality: string): void {
  aws.put('data', 'holdout/2001-05.csv', EXAMPLES, {
    tags: [
      { Key: 'tocsin:quality', Value: quality },
      { Key: 'tocsin:verdict', Value: 'e'.repeat(32) },
    ],
  });
}

const sleep = (ms: number) => {
  vi.setSystemTime(Date.now() + ms);
};

const measure: Dependencies['measure'] = async ({ candidate, champion, rows = 0, seed }) => {
  const state: Measurements['champion'] =
    champion.kind === 'answered' ? { kind: 'compared', package: champion.package } : champion;
  if ('failed' in candidate) {
    return {
      examples: rows,
      transform: { completed: false, reason: candidate.failed },
      problems: [],
      champion: state,
    };
  }
  const value = await meanPrediction(candidate.path);
  const query = { metric: 'auc' as const };
  const interval = (estimate: number) => ({
    low: estimate - 0.01,
    estimate,
    high: estimate + 0.01,
    confidence: 0.95,
  });
  const theirs = champion.kind === 'answered' ? await meanPrediction(champion.path) : undefined;
  const metrics: MetricMeasurements = {
    examples: rows,
    confidence: 0.95,
    replicates: 1000,
    seed,
    metrics: [{ query, examples: rows, positives: 2, value, interval: interval(value) }],
    differences:
      theirs === undefined
        ? []
        : [
            {
              query,
              candidate: value,
              champion: theirs,
              value: value - theirs,
              interval: interval(value - theirs),
            },
          ],
    predictions: { distinct: 3, min: 0, max: 1, mean: value },
    curves: {},
  };
  return { examples: rows, transform: { completed: true }, problems: [], metrics, champion: state };
};

function dependencies(config = CONFIG, overrides: Partial<Dependencies> = {}): Dependencies {
  const s3 = new S3Client({});
  return {
    env: EVALUATION_ENV,
    s3,
    sns: new SNSClient({}),
    events: new EventBridgeClient({}),
    sagemaker: new SageMakerClient({}),
    store: new EvidenceStore(s3, 'evidence'),
    work: new WorkBucket(s3, 'work'),
    evaluations: parseEvaluations({ file: 'tocsin.yaml', text: config }),
    prepare: prepareExamples,
    measure,
    tmp,
    timeLeftMs: () => 900_000,
    record: (...args) => void recorded.push(args),
    warn: (message) => void warned.push(message),
    ...overrides,
  };
}

/** EventBridge's event about a package. */
const eventOf = (arn: string) => ({
  source: 'aws.sagemaker',
  'detail-type': 'SageMaker Model Package State Change',
  detail: { ModelPackageArn: arn, ModelApprovalStatus: 'whatever' },
});

interface Run {
  config?: string;
  id?: string;
  overrides?: Partial<Dependencies>;
}

interface Port {
  /** Carries an evaluation to its end. */
  evaluate: (event: unknown, run?: Run) => Promise<Answer>;
}

const PORTS: Record<string, Port> = {
  'in process': {
    evaluate: (event, { config, id = 'run-1', overrides } = {}) =>
      evaluatePackage(
        new InProcessWorkflow({ id, sleep: async (ms) => sleep(ms) }),
        parseRequest(event),
        dependencies(config, overrides),
      ),
  },
  durable: {
    evaluate: async (event, { config, id, overrides } = {}) => {
      const deps = dependencies(config, overrides);
      const service = new DurableService(
        durableHandler((payload, workflow) => evaluatePackage(workflow, parseRequest(payload), deps)),
        sleep,
      );
      const ended = await service.run(event, id);
      if ('result' in ended) return ended.result as Answer;
      throw Object.assign(new Error(ended.error.message), { name: ended.error.name });
    },
  },
};

const VERDICTS = 'evidence/holdout-evaluation/flight-delay/';

/** Keys of the stored verdicts. */
const verdicts = () => aws.keys('evidence', VERDICTS).filter((key) => key.endsWith('/verdict.json'));

const verdict = (): EvaluationVerdict => {
  const [key, ...more] = verdicts();
  expect(more).toEqual([]);
  return JSON.parse(aws.get('evidence', key!).body.toString('utf8'));
};

const messages = () => published(aws);

const updates = () => aws.inputs('sagemaker', UpdateModelPackageCommand);

/** Nothing is left of an evaluation but its evidence. */
function expectNothingLeft(): void {
  expect([...sagemaker.models.keys()], 'models').toEqual([]);
  expect(sagemaker.running, 'transform jobs').toEqual([]);
  expect(
    aws.keys('work', '').filter((key) => !key.startsWith('runs/')),
    'work objects',
  ).toEqual([]);
}

describe.each(Object.entries(PORTS))('an evaluation, %s', (_name, { evaluate }) => {
  test('stores the report before the verdict, as the stored measurements give it', async () => {
    const arn = sagemaker.register({ image: BAD });
    await evaluate(eventOf(arn));
    const folder = `${VERDICTS}${verdict().id}/`;
    const stored = aws
      .inputs('s3', PutObjectCommand)
      .map((input) => (input as { Key: string }).Key)
      .filter((key) => key.startsWith(folder));
    expect(stored.slice(0, 3)).toEqual(
      ['measurements.json', 'report.html', 'verdict.json'].map((file) => folder + file),
    );
    const text = (file: string) => aws.get('evidence', folder + file).body.toString('utf8');
    const model = dependencies().evaluations.models.get('flight-delay')!;
    const page = evaluationPage(verdict(), JSON.parse(text('measurements.json')), model);
    expect(text('report.html')).toBe(renderReport(verdict(), () => page));
    expect(text('report.html')).toContain('<title>Model flight-delay: fail</title>');
  });

  test('approves a model that meets its thresholds', async () => {
    const arn = sagemaker.register({ image: GOOD, environment: { TOKEN: SECRET, UNIT: 'miles' } });
    const answer = (await evaluate(eventOf(arn))) as EvaluationResult;

    const { id, inputs, outcome } = verdict();
    expect(outcome).toBe('pass');
    expect(answer).toEqual({
      model: 'flight-delay',
      package: arn,
      outcome: 'pass',
      approval: 'Approved',
      reason: expect.stringContaining('meets its threshold on 4 examples'),
      verdict: id,
      evidence: `s3://evidence/${VERDICTS}${id}/verdict.json`,
      findings: [],
    });
    expect(inputs).toEqual({
      model: 'flight-delay',
      candidate: {
        arn,
        containers: [
          {
            image: GOOD,
            imageDigest: expect.stringMatching(/^sha256:[0-9a-f]{64}$/),
            modelData: 's3://models/1/model.tar.gz',
            modelDataEtag: '"model-1"',
            environment: {
              TOKEN: expect.stringMatching(/^sha256:[0-9a-f]{12}$/),
              UNIT: expect.stringMatching(/^sha256:[0-9a-f]{12}$/),
            },
          },
        ],
      },
      champion: null,
      holdout: {
        uri: 's3://data/holdout/2001-05.csv',
        version: 'v1',
        qualityVerdict: 'e'.repeat(32),
        sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
      },
      configurationSha256: expect.stringMatching(/^[0-9a-f]{64}$/),
    });
    expect(updates()).toEqual([
      {
        ModelPackageArn: arn,
        ModelApprovalStatus: 'Approved',
        ApprovalDescription: expect.stringMatching(/^Tocsin: pass\. .* Evidence: s3:\/\/evidence\//),
        CustomerMetadataProperties: {
          'tocsin:verdict': id,
          'tocsin:outcome': 'pass',
          'tocsin:evidence': answer.evidence,
          'tocsin:holdout': inputs.holdout.sha256,
          'tocsin:auc': '0.900 from 0.890 to 0.910',
        },
      },
    ]);
    expect(messages()).toHaveLength(1);
    expect(messages()[0]!.Subject).toBe('Tocsin: model flight-delay approved (pass)');
    expect(aws.inputs('events', PutEventsCommand)).toEqual([
      {
        Entries: [
          {
            EventBusName: 'default',
            Source: 'tocsin',
            DetailType: 'Model Evaluated',
            Detail: JSON.stringify(answer),
            Resources: [arn],
          },
        ],
      },
    ]);
    expect(recorded).toEqual([
      ['flight-delay', { outcome: 'pass', rows: 4, bytes: EXAMPLES.length, durationMs: expect.any(Number) }],
    ]);
    expectNothingLeft();
    expect(warned).toEqual([]);
  });

  test('makes a temporary model and job whose names say which evaluation they are of', async () => {
    const arn = sagemaker.register({ image: GOOD, environment: { TOKEN: SECRET } });
    await evaluate(eventOf(arn));
    const [model] = aws.inputs('sagemaker', CreateModelCommand) as { ModelName: string }[];
    const name = model!.ModelName;
    expect(name).toMatch(/^tocsin-[0-9a-f]{16}-[0-9a-f]{12}-c$/);
    const Tags = [
      { Key: 'tocsin:model', Value: 'flight-delay' },
      { Key: 'tocsin:package', Value: arn },
    ];
    expect(model).toEqual({
      ModelName: name,
      ExecutionRoleArn: EVALUATION_ENV.MODEL_ROLE_ARN,
      EnableNetworkIsolation: true,
      PrimaryContainer: {
        Image: expect.stringMatching(/^repository\/models@sha256:[0-9a-f]{64}$/),
        ModelDataUrl: 's3://models/1/model.tar.gz',
        Environment: { TOKEN: SECRET },
      },
      Tags,
    });
    const folder = `s3://work/jobs/${name.slice(0, -2)}/`;
    expect(aws.inputs('sagemaker', CreateTransformJobCommand)).toEqual([
      expect.objectContaining({
        TransformJobName: name,
        ModelName: name,
        TransformInput: {
          DataSource: { S3DataSource: { S3DataType: 'S3Prefix', S3Uri: `${folder}input.csv` } },
          ContentType: 'text/csv',
          SplitType: 'Line',
        },
        TransformOutput: { S3OutputPath: `${folder}candidate`, Accept: 'text/csv', AssembleWith: 'Line' },
        Tags,
      }),
    ]);
  });

  test('rejects a model that misses one', async () => {
    const arn = sagemaker.register({ image: BAD });
    expect(await evaluate(eventOf(arn))).toMatchObject({ outcome: 'fail', approval: 'Rejected' });
    expect(sagemaker.get(arn).approval).toBe('Rejected');
    expect(messages()[0]!.Message).toContain('at least 0.62 is required (tocsin.yaml:9: rebooking)');
    expectNothingLeft();
  });

  test('leaves a model pending that the examples cannot tell about, and says so', async () => {
    const arn = sagemaker.register({ image: VAGUE });
    expect(await evaluate(eventOf(arn))).toMatchObject({ outcome: 'inconclusive', approval: 'unchanged' });
    expect(sagemaker.get(arn)).toMatchObject({
      approval: 'PendingManualApproval',
      description: expect.stringMatching(/^Tocsin: inconclusive\./),
      metadata: { 'tocsin:outcome': 'inconclusive' },
    });
    expect(updates()).toHaveLength(1);
    expectNothingLeft();
  });

  test.each([
    [GOOD, 'pass'],
    [BAD, 'fail'],
  ])('only recommends where it is told to: %s', async (image, outcome) => {
    const arn = sagemaker.register({ image });
    expect(await evaluate(eventOf(arn), { config: RECOMMEND })).toMatchObject({
      outcome,
      approval: 'unchanged',
    });
    expect(sagemaker.get(arn)).toMatchObject({
      approval: 'PendingManualApproval',
      metadata: { 'tocsin:outcome': outcome },
    });
    // The update comes back as an event.
    expect(await evaluate(eventOf(arn), { config: RECOMMEND, id: 'run-2' })).toEqual({
      ignored: expect.stringContaining('has its verdict'),
    });
    expect(updates()).toHaveLength(1);
  });

  test('compares with the newest Approved package on the same examples', async () => {
    sagemaker.register({ image: BAD, approval: 'Approved' });
    const champion = sagemaker.register({ image: GOOD, approval: 'Approved' });
    const arn = sagemaker.register({ image: 'repository/models:worse' });
    sagemaker.serves.set('repository/models:worse', { ms: 10_000, answer: () => '0.8' });
    expect(await evaluate(eventOf(arn), { config: CHAMPION })).toMatchObject({
      outcome: 'fail',
      approval: 'Rejected',
    });
    expect(verdict().inputs.champion?.arn).toBe(champion);
    expect(verdict().findings.map(({ check }) => check)).toContain('champion');
    const names = [...sagemaker.jobs.keys()];
    expect(names).toHaveLength(2);
    for (const name of names) expect(name).toMatch(/^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}$/);
    expectNothingLeft();
  });

  test.each<[string, () => void, RegExp]>([
    [
      'fails',
      () =>
        sagemaker.serves.set(GOOD, {
          ms: 1000,
          answer: () => '',
          end: { failed: 'InternalServerError: try again' },
        }),
      /not through the model: InternalServerError: try again/,
    ],
    [
      'gives no output',
      () => sagemaker.serves.set(GOOD, { ms: 1000, answer: () => '', end: 'without an output' }),
      /completed without an output/,
    ],
    [
      'takes too long',
      () => sagemaker.serves.set(GOOD, { ms: 3_600_000, answer: () => '' }),
      /did not end within 10 min/,
    ],
    [
      'cannot be built',
      () => {
        sagemaker.fails = (operation, input) =>
          operation === 'CreateModel' && (input as { ModelName: string }).ModelName.endsWith('-p')
            ? sagemakerError('AccessDeniedException', 'no', 403)
            : undefined;
      },
      /CreateModel .* AccessDeniedException/,
    ],
  ])("a champion that %s is not the candidate's fault", async (_what, arrange, reason) => {
    const champion = sagemaker.register({ image: GOOD, approval: 'Approved' });
    const arn = sagemaker.register({ image: 'repository/models:other' });
    sagemaker.serves.set('repository/models:other', { ms: 10_000, answer: () => '0.9' });
    arrange();
    expect(await evaluate(eventOf(arn), { config: CHAMPION })).toMatchObject({
      outcome: 'inconclusive',
      approval: 'unchanged',
    });
    expect(verdict().inputs.champion).toMatchObject({
      arn: champion,
      unavailable: expect.stringMatching(reason),
    });
    expectNothingLeft();
  });

  test('a champion that can answer again is compared with when somebody asks again', async () => {
    sagemaker.register({ image: GOOD, approval: 'Approved' });
    sagemaker.serves.set(GOOD, { ms: 1000, answer: () => '', end: 'without an output' });
    const arn = sagemaker.register({ image: 'repository/models:other' });
    sagemaker.serves.set('repository/models:other', { ms: 10_000, answer: () => '0.9' });
    expect(await evaluate(eventOf(arn), { config: CHAMPION })).toMatchObject({ outcome: 'inconclusive' });
    sagemaker.serves.set(GOOD, { ms: 1000, answer: () => '0.9' });
    expect(await evaluate({ package: arn }, { config: CHAMPION })).toMatchObject({
      outcome: 'pass',
      approval: 'Approved',
    });
    expectNothingLeft();
  });

  test('says where it is to whoever follows the run', async () => {
    const arn = sagemaker.register({ image: GOOD });
    const answer = await evaluate({ package: arn, run: 'run-of-mine' });
    const phases = aws.objects
      .get('work/runs/run-of-mine.json')!
      .map(({ body }) => JSON.parse(body.toString('utf8')));
    expect(phases.at(-1)).toEqual({
      run: 'run-of-mine',
      startedAt: Date.UTC(2026, 0, 5),
      updatedAt: expect.any(Number),
      phase: 'done',
      result: answer,
    });
  });

  test('tells whoever follows the run of an error, too', async () => {
    const arn = sagemaker.register({ image: GOOD });
    passHoldout('failed');
    await evaluate({ package: arn, run: 'run-of-mine' });
    expect(JSON.parse(aws.get('work', 'runs/run-of-mine.json').body.toString('utf8'))).toMatchObject({
      phase: 'refused',
      error: { name: 'GateInputError', message: expect.stringContaining('has not passed its quality gate') },
    });
  });

  describe('whose model cannot answer', () => {
    test.each<[string, string | 'without an output' | { failed: string }, RegExp]>([
      [
        'fails on a record',
        { failed: 'AlgorithmError: record 3 is not a number' },
        /AlgorithmError: record 3/,
      ],
      [
        'leaves no output',
        'without an output',
        /completed without an output, which SageMaker leaves out where/,
      ],
    ])('rejects a model that %s', async (_what, end, reason) => {
      const arn = sagemaker.register({ image: 'repository/models:broken' });
      sagemaker.serves.set('repository/models:broken', {
        ms: 20_000,
        answer: () => '',
        end: end as 'without an output' | { failed: string },
      });
      expect(await evaluate(eventOf(arn))).toMatchObject({
        outcome: 'fail',
        approval: 'Rejected',
        reason: expect.stringMatching(reason),
      });
      expectNothingLeft();
    });
  });

  describe('that cannot be made', () => {
    const broken = 'repository/models:broken';
    const fail = (operation: string, error: Error) => () => {
      sagemaker.fails = (called) => (called === operation ? error : undefined);
    };
    const denied = sagemakerError('AccessDeniedException', 'User is not authorized', 403);
    const throttled = sagemakerError('ThrottlingException', 'Rate exceeded');

    test.each<[string, () => void, RegExp]>([
      [
        'the job fails, not through the model',
        () =>
          sagemaker.serves.set(broken, {
            ms: 20_000,
            answer: () => '',
            end: { failed: 'InternalServerError: sorry' },
          }),
        /failed, not through the model: InternalServerError: sorry/,
      ],
      [
        'the job is stopped',
        () => sagemaker.serves.set(broken, { ms: 20_000, answer: () => '', end: 'stopped' }),
        /was stopped by somebody/,
      ],
      [
        'the job takes too long',
        () => sagemaker.serves.set(broken, { ms: 3_600_000, answer: () => '' }),
        /did not end within 10 min/,
      ],
      ['CreateModel is denied', fail('CreateModel', denied), /CreateModel .* AccessDeniedException/],
      [
        'CreateTransformJob is denied',
        fail('CreateTransformJob', denied),
        /CreateTransformJob .*AccessDenied/,
      ],
      ['CreateTransformJob is throttled', fail('CreateTransformJob', throttled), /Rate exceeded/],
      ['DescribeTransformJob is throttled', fail('DescribeTransformJob', throttled), /Rate exceeded/],
      [
        'UpdateModelPackage is denied',
        fail('UpdateModelPackage', denied),
        /UpdateModelPackage .*AccessDenied/,
      ],
      ['ListModelPackages is throttled', fail('ListModelPackages', throttled), /Rate exceeded/],
      [
        'DescribeModelPackage is denied',
        fail('DescribeModelPackage', denied),
        /DescribeModelPackage .*AccessDenied/,
      ],
    ])('%s: no verdict is acted on, people are told why, nothing is left', async (what, arrange, message) => {
      const arn = sagemaker.register({ image: broken });
      arrange();
      // Clean-up describes the jobs, too.
      const config = what.startsWith('ListModelPackages') ? CHAMPION : CONFIG;
      await expect(evaluate(eventOf(arn), { config })).rejects.toThrow(message);
      expect(sagemaker.get(arn).approval).toBe('PendingManualApproval');
      expect(messages().map(({ Subject }) => Subject)).toContain('Tocsin: model flight-delay not evaluated');
      expect(messages().at(-1)!.Message).toMatch(message);
      sagemaker.fails = () => undefined;
      if (what === 'DescribeTransformJob is throttled') {
        // Nobody knows whether the job runs, so it could not be cleaned up; that was told, and the claim is kept.
        expect(warned).toEqual(['the clean-up failed, too']);
        return;
      }
      expectNothingLeft();
    });

    test('throttling that passes is no matter', async () => {
      const arn = sagemaker.register({ image: GOOD });
      let calls = 0;
      sagemaker.fails = () => (++calls % 3 === 0 ? sagemakerError('ThrottlingException') : undefined);
      expect(await evaluate(eventOf(arn))).toMatchObject({ approval: 'Approved' });
      expectNothingLeft();
    });

    test('after trouble a new request evaluates', async () => {
      const arn = sagemaker.register({ image: GOOD });
      sagemaker.serves.set(GOOD, { ms: 20_000, answer: () => '', end: 'stopped' });
      await expect(evaluate(eventOf(arn))).rejects.toThrow('stopped by somebody');
      sagemaker.serves.set(GOOD, { ms: 20_000, answer: () => '0.9' });
      // Under the same id, as Lambda's own retry has it.
      expect(await evaluate(eventOf(arn))).toMatchObject({ approval: 'Approved' });
      expectNothingLeft();
    });

    test.each<[string, () => void, RegExp]>([
      [
        'has failed its gate',
        () => passHoldout('failed'),
        /has not passed its quality gate: its verdict is "failed"/,
      ],
      [
        'has not been judged',
        () => aws.put('data', 'holdout/2001-05.csv', EXAMPLES),
        /nobody has judged it yet/,
      ],
      [
        'is not there',
        () => aws.objects.delete('data/holdout/2001-05.csv'),
        /there is no s3:\/\/data\/holdout/,
      ],
    ])('a holdout that %s is a mistake, told once', async (_what, arrange, message) => {
      const arn = sagemaker.register({ image: GOOD });
      arrange();
      const refusal = {
        model: 'flight-delay',
        package: arn,
        error: 'GateInputError',
        message: expect.stringMatching(message),
        help: expect.any(String),
      };
      expect(await evaluate(eventOf(arn))).toEqual(refusal);
      expect(await evaluate(eventOf(arn), { id: 'run-2' })).toEqual(refusal);
      expect(messages()).toHaveLength(1);
      expect(messages()[0]!.Message).toMatch(message);
      expect(updates()).toEqual([]);
      expectNothingLeft();
    });
  });

  describe('whose package changes meanwhile', () => {
    /** Lets something happen to the package while its transform job runs. */
    async function meanwhile(happens: (arn: string) => void, config = CONFIG) {
      const arn = sagemaker.register({ image: 'repository/models:slow' });
      let done = false;
      sagemaker.serves.set('repository/models:slow', {
        ms: 60_000,
        answer: () => {
          if (!done) happens(arn);
          done = true;
          return '0.9';
        },
      });
      const answer = await evaluate(eventOf(arn), { config });
      expectNothingLeft();
      return { arn, answer };
    }

    test('deleted: it is told, and never approved', async () => {
      const { answer } = await meanwhile((arn) => sagemaker.packages.delete(arn));
      expect(answer).toMatchObject({ outcome: 'pass', approval: 'unchanged' });
      expect(messages()[0]!.Message).toContain('deleted');
      expect(updates()).toEqual([]);
    });

    test('deleted before its model is made: there is no verdict', async () => {
      const arn = sagemaker.register({ image: GOOD });
      sagemaker.fails = (operation) => {
        if (operation === 'DescribeModelPackage' && aws.keys('work', 'jobs/').length > 0)
          sagemaker.packages.delete(arn);
        return undefined;
      };
      expect(await evaluate(eventOf(arn))).toMatchObject({
        error: 'GateInputError',
        message: expect.stringContaining('it was deleted, or never there'),
      });
      expect(updates()).toEqual([]);
      expectNothingLeft();
    });

    test.each(['Approved', 'Rejected'])('set to %s by somebody: it stays so', async (approval) => {
      const { arn, answer } = await meanwhile((found) => {
        sagemaker.get(found).approval = approval;
      });
      expect(answer).toMatchObject({ outcome: 'pass', approval: 'unchanged' });
      expect(sagemaker.get(arn)).toMatchObject({ approval, metadata: {} });
      expect(messages()[0]!.Message).toContain(approval);
      expect(updates()).toEqual([]);
    });

    test('given other containers: what was judged is not what would be approved', async () => {
      const { arn, answer } = await meanwhile((found) => {
        sagemaker.get(found).image = 'repository/models:other';
      });
      expect(answer).toMatchObject({ outcome: 'pass', approval: 'unchanged' });
      expect(sagemaker.get(arn).approval).toBe('PendingManualApproval');
    });
  });

  describe('that is asked for in other ways', () => {
    test('a package that was approved by hand is evaluated and reported, not changed', async () => {
      const arn = sagemaker.register({ image: BAD, approval: 'Approved' });
      expect(await evaluate(eventOf(arn))).toMatchObject({ outcome: 'fail', approval: 'unchanged' });
      expect(sagemaker.get(arn)).toMatchObject({ approval: 'Approved', metadata: {} });
      expect(updates()).toEqual([]);
      expect(messages()).toHaveLength(1);
      expectNothingLeft();
    });

    test('a package that was rejected by hand is evaluated only where somebody asks', async () => {
      const arn = sagemaker.register({ image: GOOD, approval: 'Rejected' });
      expect(await evaluate(eventOf(arn))).toEqual({ ignored: `${arn} is Rejected already` });
      expect(await evaluate({ package: arn }, { id: 'run-2' })).toMatchObject({
        outcome: 'pass',
        approval: 'unchanged',
      });
      expect(sagemaker.get(arn).approval).toBe('Rejected');
    });

    test('again by hand: its verdict is history once more, so that it is fresh; nobody is told twice', async () => {
      const arn = sagemaker.register({ image: GOOD });
      const history = () => aws.keys('evidence', 'history/holdout-evaluation/flight-delay/');
      const first = await evaluate({ package: arn });
      expect(history()).toHaveLength(1);
      expect(await evaluate({ package: arn }, { id: 'run-2' })).toEqual(first);
      expect(history()).toHaveLength(2);
      // An event that comes again is no wish of anybody's.
      await evaluate(eventOf(arn), { id: 'run-3' });
      expect(history()).toHaveLength(2);
      expect(messages()).toHaveLength(1);
      expectNothingLeft();
    });

    test('a package that is approved against its verdict: people are told once, and nothing is changed', async () => {
      const arn = sagemaker.register({ image: BAD });
      await evaluate(eventOf(arn));
      sagemaker.get(arn).approval = 'Approved';
      for (const id of ['run-2', 'run-3']) {
        expect(await evaluate(eventOf(arn), { id })).toEqual({
          ignored: expect.stringContaining('was Approved by hand although its verdict'),
        });
      }
      expect(messages().map(({ Subject }) => Subject)).toEqual([
        'Tocsin: model flight-delay rejected (fail)',
        'Tocsin: model flight-delay overruled (fail)',
      ]);
      expect(sagemaker.get(arn).approval).toBe('Approved');
      expect(updates()).toHaveLength(1);
    });

    test("metadata copied from another package's verdict does not pass for one", async () => {
      const judged = sagemaker.register({ image: GOOD });
      await evaluate(eventOf(judged));
      const copy = sagemaker.register({ image: BAD, metadata: { ...sagemaker.get(judged).metadata } });
      expect(await evaluate(eventOf(copy), { id: 'run-2' })).toMatchObject({
        outcome: 'fail',
        approval: 'Rejected',
      });
      const invented = sagemaker.register({ image: BAD, metadata: { 'tocsin:verdict': 'f'.repeat(32) } });
      expect(await evaluate(eventOf(invented), { id: 'run-3' })).toMatchObject({ outcome: 'fail' });
    });

    test.each([
      ['is still registered', { status: 'InProgress' }, /is InProgress, not Completed/],
      ['is that of a canary', { group: 'flight-delay-canary' }, /group of the canary flights/],
      ["is nobody's", { group: 'other' }, /which no model of tocsin.yaml names/],
    ])(
      'an event about a package that %s is ignored; by hand it is a mistake',
      async (_what, some, message) => {
        const arn = sagemaker.register({ image: GOOD, ...some });
        expect(await evaluate(eventOf(arn))).toEqual({ ignored: expect.stringMatching(message) });
        expect(await evaluate({ package: arn }, { id: 'run-2' })).toMatchObject({
          error: 'GateInputError',
          message: expect.stringMatching(message),
        });
        expect(sagemaker.jobs.size).toBe(0);
        expect(updates()).toEqual([]);
      },
    );

    test('an event about a package that is gone is ignored', async () => {
      const arn = sagemaker.register({ image: GOOD });
      sagemaker.packages.delete(arn);
      expect(await evaluate(eventOf(arn))).toEqual({
        ignored: expect.stringContaining('there is no model package'),
      });
      expect(messages()).toEqual([]);
    });
  });

  describe('that is asked for more than once', () => {
    test('later: the answer of the first, whatever has come between', async () => {
      const arn = sagemaker.register({ image: GOOD });
      const first = await evaluate(eventOf(arn));
      // Our own update, then the registration once more.
      for (const id of ['run-2', 'run-3']) {
        expect(await evaluate(eventOf(arn), { id })).toEqual({
          ignored: expect.stringContaining('as its verdict'),
        });
      }
      expect(await evaluate({ package: arn }, { id: 'run-4' })).toEqual(first);
      expect(sagemaker.jobs.size).toBe(1);
      expect(updates()).toHaveLength(1);
      expect(messages()).toHaveLength(1);
      expectNothingLeft();
    });

    test('at the same time: one evaluates, the other says which', async () => {
      const arn = sagemaker.register({ image: GOOD });
      const second: Answer[] = [];
      sagemaker.serves.set(GOOD, {
        ms: 60_000,
        answer: () => '0.9',
      });
      const answer = await evaluate(eventOf(arn), {
        overrides: {
          prepare: async (question) => {
            second.push(await PORTS['in process']!.evaluate(eventOf(arn), { id: 'run-2' }));
            return prepareExamples(question);
          },
        },
      });
      expect(answer).toMatchObject({ approval: 'Approved' });
      expect(second).toEqual([
        { ignored: expect.stringContaining(`${arn} is being evaluated by the execution `) },
      ]);
      expect(sagemaker.jobs.size).toBe(1);
      expect(updates()).toHaveLength(1);
      expectNothingLeft();
    });

    test('under another configuration, or on another holdout: it is another evaluation', async () => {
      const arn = sagemaker.register({ image: VAGUE });
      await evaluate(eventOf(arn));
      const stricter = CONFIG.replace('atLeast: 0.62', 'atLeast: 0.7');
      expect(await evaluate({ package: arn }, { config: stricter, id: 'run-2' })).toMatchObject({
        outcome: 'fail',
        approval: 'Rejected',
      });
      passHoldout('passed');
      expect(await evaluate({ package: arn }, { id: 'run-3' })).toMatchObject({ outcome: 'inconclusive' });
      expect(verdicts()).toHaveLength(3);
      expectNothingLeft();
    });

    test('after an execution that died for good: its claim expires', async () => {
      const arn = sagemaker.register({ image: GOOD });
      await expect(
        evaluate(eventOf(arn), {
          overrides: {
            prepare: async () => {
              aws.diesAfter = aws.changes.length;
              throw new Error('the process died');
            },
          },
        }),
      ).rejects.toThrow();
      aws.diesAfter = Number.POSITIVE_INFINITY;
      expect(await evaluate(eventOf(arn), { id: 'run-2' })).toHaveProperty('ignored');
      sleep(24 * 3_600_000);
      expect(await evaluate(eventOf(arn), { id: 'run-3' })).toMatchObject({ approval: 'Approved' });
      expectNothingLeft();
    });
  });

  test('no value of an environment variable is kept anywhere', async () => {
    sagemaker.register({ image: GOOD, approval: 'Approved', environment: { TOKEN: SECRET } });
    const arn = sagemaker.register({ image: BAD, environment: { TOKEN: SECRET } });
    await evaluate({ package: arn, run: 'run-of-mine' }, { config: CHAMPION });
    for (const [name, versions] of aws.objects) {
      for (const { body } of versions) expect(body.toString('utf8'), name).not.toContain(SECRET);
    }
    expect(JSON.stringify([messages(), updates(), aws.inputs('events', PutEventsCommand)])).not.toContain(
      SECRET,
    );
  });
});

describe('crashes', () => {
  /** The parts of an end that do not depend on how often the process died. */
  function end(arn: string) {
    const { approval, metadata } = sagemaker.get(arn);
    return {
      approval,
      metadata,
      verdicts: verdicts(),
      evidence: aws.objects.get(`evidence/${verdicts()[0]}`)!.map(({ body }) => body.toString('utf8')),
      updates: updates().length,
      events: aws.keys('evidence', VERDICTS).filter((key) => /\/announced-[0-9a-f]{8}\.json$/.test(key))
        .length,
    };
  }

  const serve = () => {
    const champion = sagemaker.register({ image: 'repository/models:champion', approval: 'Approved' });
    sagemaker.serves.set('repository/models:champion', { ms: 2_000, answer: () => '0.85' });
    sagemaker.serves.set(GOOD, { ms: 3_000, answer: () => '0.9' });
    return { champion, arn: sagemaker.register({ image: GOOD }) };
  };

  /** The candidate's job ends without anybody's fault. */
  const stopJobs = () => {
    sagemaker.serves.set(GOOD, { ms: 3_000, answer: () => '', end: 'stopped' });
  };

  /**
   * One durable execution in a new account.
   *
   * @param dies at which checkpoint the process dies
   * @param change with which change to the account it dies; the next invocation is alive again
   * @param trouble somebody stops the job of the candidate
   */
  async function execute({
    dies,
    change,
    trouble = false,
  }: {
    dies?: DurableService['dies'];
    change?: number;
    trouble?: boolean;
  }) {
    build();
    const { arn } = serve();
    if (trouble) stopJobs();
    const deps = dependencies(CHAMPION);
    aws.diesAfter = change ?? Number.POSITIVE_INFINITY;
    const service = new DurableService(
      durableHandler((payload, workflow) => {
        if (aws.changes.length >= aws.diesAfter) aws.diesAfter = Number.POSITIVE_INFINITY;
        return evaluatePackage(workflow, parseRequest(payload), deps);
      }),
      sleep,
    );
    service.dies = dies ?? (() => (aws.changes.length >= aws.diesAfter ? 'before it is kept' : undefined));
    const ended = await service.run(eventOf(arn));
    expectNothingLeft();
    if (trouble) {
      expect(ended).toMatchObject({ error: { name: 'GateDependencyError' } });
      expect(sagemaker.get(arn)).toMatchObject({ approval: 'PendingManualApproval', metadata: {} });
      expect(verdicts()).toEqual([]);
      return { service, end: undefined };
    }
    expect(ended).toMatchObject({ result: { outcome: 'pass', approval: 'Approved' } });
    return { service, end: end(arn) };
  }

  test('at any checkpoint of a durable execution end in the same verdict, approval and evidence', async () => {
    const plain = await execute({});
    expect(plain.end).toMatchObject({ updates: 1, evidence: [expect.any(String)] });
    expect(plain.service.checkpoints).toBeGreaterThan(20);
    for (const death of ['before it is kept', 'after it is kept'] satisfies Death[]) {
      for (let at = 0; at < plain.service.checkpoints; at++) {
        const crashed = await execute({ dies: (checkpoint) => (checkpoint === at ? death : undefined) });
        expect(crashed.service.deaths, `${death}, checkpoint ${at}`).toBe(1);
        expect(crashed.end, `${death}, checkpoint ${at}`).toEqual(plain.end);
        expect(messages().length, `${death}, checkpoint ${at}`).toBe(1);
      }
    }
  });

  test('with any change to the account, in a durable execution', async () => {
    const plain = await execute({});
    const changes = aws.changes.length;
    expect(changes).toBeGreaterThan(15);
    for (let change = 1; change <= changes; change++) {
      const crashed = await execute({ change });
      expect(crashed.service.deaths, `change ${change}: ${aws.changes[change - 1]}`).toBe(1);
      expect(crashed.end, `change ${change}`).toEqual(plain.end);
      // Between a message and the note of it nothing can be known.
      expect(messages().length, `change ${change}`).toBeLessThanOrEqual(2);
    }
  });

  test('with any change to the account, in one process that Lambda tries again', async () => {
    const run = async (arn: string) =>
      evaluatePackage(
        new InProcessWorkflow({ id: 'request-1', sleep: async (ms) => sleep(ms) }),
        parseRequest(eventOf(arn)),
        dependencies(CHAMPION),
      );
    const { arn } = serve();
    await run(arn);
    const plain = end(arn);
    const changes = aws.changes.length;

    for (let change = 1; change <= changes; change++) {
      build();
      const again = serve();
      aws.diesAfter = change;
      // The clean-up of a dead process is not.
      await run(again.arn).catch(() => {});
      const what = `change ${change}: ${aws.changes[change - 1]}`;
      aws.diesAfter = Number.POSITIVE_INFINITY;
      await run(again.arn);
      expectNothingLeft();
      expect(end(again.arn), what).toEqual(plain);
      expect(messages().length, what).toBeLessThanOrEqual(2);
    }
  });

  test('on the way out of trouble leave nothing behind, and the package pending', async () => {
    const plain = await execute({ trouble: true });
    expect(messages()).toHaveLength(1);
    for (let at = 0; at < plain.service.checkpoints; at++) {
      const { service } = await execute({
        trouble: true,
        dies: (checkpoint) => (checkpoint === at ? 'before it is kept' : undefined),
      });
      expect(service.deaths, `checkpoint ${at}`).toBe(1);
      expect(messages().length, `checkpoint ${at}`).toBe(1);
    }
  });

  test('on the way out of trouble in one process, too', async () => {
    const run = (arn: string) =>
      evaluatePackage(
        new InProcessWorkflow({ id: 'request-1', sleep: async (ms) => sleep(ms) }),
        parseRequest(eventOf(arn)),
        dependencies(CHAMPION),
      );
    const { arn } = serve();
    stopJobs();
    await expect(run(arn)).rejects.toThrow('was stopped by somebody');
    const changes = aws.changes.length;
    for (let change = 1; change <= changes; change++) {
      build();
      const again = serve();
      stopJobs();
      aws.diesAfter = change;
      await run(again.arn).catch(() => {});
      aws.diesAfter = Number.POSITIVE_INFINITY;
      await expect(run(again.arn), `change ${change}`).rejects.toThrow('was stopped by somebody');
      expectNothingLeft();
      expect(sagemaker.get(again.arn)).toMatchObject({ approval: 'PendingManualApproval', metadata: {} });
      expect(messages().length).toBeLessThanOrEqual(2);
    }
  });
});

describe('in one invocation', () => {
  test('an evaluation that takes longer gives up in time to clean up', async () => {
    const arn = sagemaker.register({ image: GOOD });
    sagemaker.serves.set(GOOD, { ms: 600_000, answer: () => '0.9' });
    const workflow = new InProcessWorkflow({
      id: 'request-1',
      deadline: Date.now() + 120_000,
      sleep: async (ms, signal) => (signal === undefined ? sleep(ms) : new Promise(() => {})),
    });
    const ended = evaluatePackage(workflow, parseRequest(eventOf(arn)), dependencies(CHAMPION));
    await expect(ended).rejects.toThrow(OutOfTimeError);
    await expect(ended).rejects.toThrow(GateDependencyError);
    await expect(ended).rejects.toThrow('out of time at "the transform job of the candidate has ended"');
    expect(messages().map(({ Subject }) => Subject)).toEqual(['Tocsin: model flight-delay not evaluated']);
    sleep(10_000);
    expectNothingLeft();
    expect(sagemaker.get(arn).approval).toBe('PendingManualApproval');
  });
});
