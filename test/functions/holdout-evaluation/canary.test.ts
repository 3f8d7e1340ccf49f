import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type CanaryMeasurements,
  type Control,
  decideCanary,
  isTrouble,
  type KnownModel,
  type PipelineEnd,
  type PipelineRun,
  requestsOf,
} from '../../../functions/holdout-evaluation/canary.ts';
import {
  canaryMessage,
  canaryRefusalMessage,
  canaryResultOf,
} from '../../../functions/holdout-evaluation/canary-messages.ts';
import { canariesOf, parseTrigger } from '../../../functions/holdout-evaluation/canary-request.ts';
import type { MetricResult } from '../../../functions/holdout-evaluation/measurements.ts';
import { parseEvaluations } from '../../../functions/holdout-evaluation/schema.ts';
import { GateDependencyError, GateInputError } from '../../../functions/shared/errors.ts';
import type { Verdict } from '../../../functions/shared/verdict.ts';

const EVALUATIONS = parseEvaluations({
  file: 'tocsin.yaml',
  text: `models:
  delay:
    modelPackageGroup: delay
    task: binary
    holdout: { uri: holdout/a.csv, contract: c.yaml, label: late }
    transform: { instanceType: ml.m5.large }
    require: [{ metric: auc, atLeast: 0.62 }]
canaries:
  weekly:
    model: delay
    pipeline: train
    modelPackageGroup: delay-canary
    dataset: { uri: known/flights.csv }
    negativeControl: { corrupt: { distance: distance * 1.6 } }
    expect:
      - { metric: auc, atLeast: 0.66, atMost: 0.72, because: 'it has always been 0.69' }
      - { metric: recall, at: { threshold: 0.3 }, atLeast: 0.4 }
    timeout: 2h
    afterDeployOf: [Training, Serving]
  nightly:
    model: delay
    pipeline: other
    modelPackageGroup: other-canary
    dataset: { uri: known/other.csv }
    negativeControl: { uri: known/bad.csv }
    expect: [{ metric: auc, atLeast: 0.6 }]
    afterDeployOf: [Training]
`,
});
const CANARY = EVALUATIONS.canaries.get('weekly')!;

const EXECUTION = 'arn:aws:sagemaker:us-east-1:111122223333:pipeline/train/execution/';
const PACKAGE = 'arn:aws:sagemaker:us-east-1:111122223333:model-package/delay-canary/';

function run(some: Partial<PipelineRun> & { number?: number } = {}): PipelineRun {
  const { number = 1, ...rest } = some;
  return {
    execution: `${EXECUTION}${number}`,
    end: { state: 'succeeded' },
    registered: [{ arn: `${PACKAGE}${number}`, group: 'delay-canary', approval: 'PendingManualApproval' }],
    ...rest,
  };
}

function metric(index: number, estimate: number, halfWidth = 0.005): MetricResult {
  return {
    query: requestsOf(CANARY, 'binary')[index]!.query,
    examples: 10_000,
    positives: 2000,
    value: estimate,
    interval: { low: estimate - halfWidth, estimate, high: estimate + halfWidth, confidence: 0.95 },
  };
}

function model(some: Partial<KnownModel> = {}): KnownModel {
  return {
    package: `${PACKAGE}1`,
    examples: 10_000,
    answers: [],
    metrics: [metric(0, 0.69), metric(1, 0.5)],
    ...some,
  };
}

const GATE: Control = { kind: 'stopped-by-gate', verdict: 'v'.repeat(32) };

function judge(some: Partial<CanaryMeasurements> = {}) {
  const measured: CanaryMeasurements = { known: run(), model: model(), control: GATE, ...some };
  if (some.model === undefined && 'model' in some) delete measured.model;
  return decideCanary(measured, CANARY, 'binary');
}

const findingOf = (check: string, judgement: ReturnType<typeof judge>) =>
  judgement.findings.filter((finding) => finding.check === check);

describe('decideCanary', () => {
  test('passes where the known dataset gives what it always gave, and the corrupted one is stopped', () => {
    const judgement = judge();
    expect(judgement.outcome).toBe('pass');
    expect(judgement.reason).toBe(
      'Canary weekly: on the known dataset the pipeline train yields a model within its documented range (10,000 examples), and the corrupted dataset is stopped.',
    );
    expect(judgement.findings.map(({ check, outcome }) => `${check} ${outcome}`)).toEqual([
      'pipeline pass',
      'registration pass',
      'metric pass',
      'metric pass',
      'negative-control pass',
    ]);
    expect(judgement.notChecked).toEqual([]);
  });

  const ends: [string, PipelineEnd, string, RegExp][] = [
    [
      'failed',
      { state: 'failed', reasons: ['Train: AlgorithmError: no column distance'] },
      'fail',
      /failed on the known dataset: Train: AlgorithmError: no column distance\.$/,
    ],
    [
      'failed through no fault of its own',
      { state: 'failed', reasons: ['Step failure', 'Train: CapacityError: none left'] },
      'inconclusive',
      /CapacityError/,
    ],
    ['was stopped by somebody', { state: 'stopped' }, 'inconclusive', /was stopped by somebody/],
    [
      'hangs',
      { state: 'timed-out', timeoutMs: 7_200_000 },
      'fail',
      /did not end within 2 h and was stopped \(tocsin\.yaml:1\d\)/,
    ],
  ];

  test.each(ends)('a pipeline that %s', (_, end, outcome, message) => {
    const judgement = judge({ known: run({ end }), model: undefined as never });
    expect(judgement.outcome).toBe(outcome);
    expect(findingOf('pipeline', judgement)).toMatchObject([
      { outcome, message: expect.stringMatching(message) },
    ]);
    expect(findingOf('registration', judgement)).toEqual([]);
    expect(judgement.notChecked).toEqual([
      { subject: 'every metric', check: 'metric', why: 'no model of the run was evaluated' },
    ]);
  });

  test('a metric outside of its range with its whole interval fails, with the reason of the range', () => {
    const judgement = judge({ model: model({ metrics: [metric(0, 0.6), metric(1, 0.5)] }) });
    expect(judgement.outcome).toBe('fail');
    expect(judgement.reason).toMatch(
      /auc on 10,000 examples is 0\.6.*0\.66 to 0\.72 is required \(tocsin\.yaml:1\d: it has always been 0\.69\)/,
    );
    expect(judge({ model: model({ metrics: [metric(0, 0.8), metric(1, 0.5)] }) }).outcome, 'too good').toBe(
      'fail',
    );
  });

  test('a metric on the edge of its range is inconclusive, and so is one that was not measured', () => {
    expect(judge({ model: model({ metrics: [metric(0, 0.661), metric(1, 0.5)] }) }).outcome).toBe(
      'inconclusive',
    );
    const judgement = judge({ model: model({ metrics: [metric(0, 0.69)] }) });
    expect(judgement.outcome).toBe('inconclusive');
    expect(judgement.findings[0]?.message).toBe('recall at 0.3 cannot be judged: it was not measured.');
  });

  test('a model that could not answer fails by that alone', () => {
    const answer = {
      check: 'transform',
      subject: 'model',
      outcome: 'fail' as const,
      message: 'The model could not answer the holdout: no.',
      allowed: 'a',
      observed: 'b',
    };
    const judgement = judge({ model: model({ answers: [answer], metrics: [] }) });
    expect(judgement.outcome).toBe('fail');
    expect(judgement.reason).toBe(answer.message);
    expect(findingOf('metric', judgement)).toEqual([]);
  });

  test.each([
    ['no package', [], /succeeded on the known dataset, and registered no model\.$/],
    [
      'a package where models are deployed from',
      [{ arn: PACKAGE.replace('-canary', ''), group: 'delay', approval: 'PendingManualApproval' }],
      /registered a model outside of the group of the canary, delay-canary: arn:/,
    ],
    [
      'a package without a group',
      [{ arn: `${PACKAGE}x`, group: null, approval: null }],
      /outside of the group/,
    ],
  ])('%s fails the registration', (_, registered, message) => {
    const judgement = judge({ known: run({ registered }), model: undefined as never });
    expect(judgement.outcome).toBe('fail');
    expect(findingOf('registration', judgement)).toMatchObject([
      { outcome: 'fail', message: expect.stringMatching(message) },
    ]);
  });

  test('a pipeline that approves its models by itself fails', () => {
    const registered = [{ arn: `${PACKAGE}1`, group: 'delay-canary', approval: 'Approved' }];
    const judgement = judge({ known: run({ registered }) });
    expect(judgement.outcome).toBe('fail');
    expect(judgement.reason).toMatch(/registers its models as Approved/);
  });

  const bad = (some: Partial<PipelineRun> = {}): PipelineRun => run({ number: 2, ...some });
  const controls: [string, Control, string, RegExp][] = [
    [
      'stopped by the quality gate',
      GATE,
      'pass',
      /^The quality gate stopped the corrupted dataset \(verdict v{32}\)\.$/,
    ],
    [
      'stopped by the pipeline',
      { kind: 'run', run: bad({ end: { state: 'failed', reasons: ['Check: bad units'] }, registered: [] }) },
      'pass',
      /^The pipeline failed on the corrupted dataset: Check: bad units\.$/,
    ],
    [
      'stopped by a condition of the pipeline',
      { kind: 'run', run: bad({ registered: [] }) },
      'pass',
      /registered no model of the corrupted dataset/,
    ],
    [
      'stopped by the thresholds',
      { kind: 'run', run: bad(), model: { package: `${PACKAGE}2`, outcome: 'fail', reason: 'auc is 0.5' } },
      'pass',
      /^The thresholds stopped the model of the corrupted dataset: auc is 0\.5\.$/,
    ],
    [
      'accepted',
      { kind: 'run', run: bad(), model: { package: `${PACKAGE}2`, outcome: 'pass', reason: 'fine' } },
      'fail',
      /^The pipeline accepted a corrupted dataset \(tocsin\.yaml:1\d\): .* that would be approved \(.*delay-canary\/2\)\.$/,
    ],
    [
      'neither',
      {
        kind: 'run',
        run: bad(),
        model: { package: `${PACKAGE}2`, outcome: 'inconclusive', reason: 'too few' },
      },
      'inconclusive',
      /is inconclusive: too few\.$/,
    ],
    ['not run', { kind: 'not-run', reason: 'throttled.' }, 'inconclusive', /is not known: throttled\.$/],
    [
      'hanging',
      { kind: 'run', run: bad({ end: { state: 'timed-out', timeoutMs: 60_000 } }) },
      'inconclusive',
      /did not end within 1 min/,
    ],
    [
      'stopped by somebody',
      { kind: 'run', run: bad({ end: { state: 'stopped' } }) },
      'inconclusive',
      /was stopped by somebody/,
    ],
    [
      'failed through no fault of its own',
      {
        kind: 'run',
        run: bad({ end: { state: 'failed', reasons: ['ResourceLimitExceeded'] }, registered: [] }),
      },
      'inconclusive',
      /failed: ResourceLimitExceeded/,
    ],
    ['without an evaluation', { kind: 'run', run: bad() }, 'inconclusive', /was not evaluated/],
  ];

  test.each(controls)('a corrupted dataset that is %s', (_, control, outcome, message) => {
    const judgement = judge({ control });
    expect(judgement.outcome).toBe(outcome);
    expect(findingOf('negative-control', judgement)).toMatchObject([
      { outcome, message: expect.stringMatching(message) },
    ]);
  });

  test('what fails on good data, too, has noticed nothing', () => {
    const end: PipelineEnd = { state: 'failed', reasons: ['Train: broken'] };
    const judgement = judge({
      known: run({ end, registered: [] }),
      model: undefined as never,
      control: { kind: 'run', run: bad({ end, registered: [] }) },
    });
    expect(judgement.outcome).toBe('fail');
    expect(findingOf('negative-control', judgement)).toMatchObject([{ outcome: 'inconclusive' }]);
    const nothing = judge({
      known: run({ registered: [] }),
      model: undefined as never,
      control: { kind: 'run', run: bad({ registered: [] }) },
    });
    expect(findingOf('negative-control', nothing)).toMatchObject([{ outcome: 'inconclusive' }]);
  });

  test('passes only where everything did', async () => {
    const anyControl = fc.constantFrom(...controls.map(([, control]) => control));
    const anyEnd = fc.constantFrom<PipelineEnd>({ state: 'succeeded' }, ...ends.map(([, end]) => end));
    await fc.assert(
      fc.property(
        anyControl,
        anyEnd,
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.boolean(),
        (control, end, auc, evaluated) => {
          const judgement = judge({
            known: run({ end }),
            model: (evaluated ? model({ metrics: [metric(0, auc), metric(1, 0.5)] }) : undefined) as never,
            control,
          });
          const good = end.state === 'succeeded' && evaluated && auc - 0.005 >= 0.66 && auc + 0.005 <= 0.72;
          const stopped = findingOf('negative-control', judgement)[0]?.outcome === 'pass';
          expect(judgement.outcome === 'pass').toBe(good && stopped);
        },
      ),
    );
  });
});

describe('isTrouble', () => {
  test.each([
    'CapacityError: Unable to provision requested ML compute capacity',
    'ThrottlingException: Rate exceeded',
    'ResourceLimitExceeded: The account-level service limit',
    'InternalServerError: We encountered an internal error',
    'ClientError: User is not authorized to perform sagemaker:CreateTrainingJob',
    'ClientError: AccessDenied: Access Denied',
  ])('%s', (reason) => expect(isTrouble(['Step failure', reason])).toBe(true));

  test.each(['AlgorithmError: exit code 1', 'ClientError: no column distance', 'Fail: too few rows'])(
    'not %s',
    (reason) => expect(isTrouble([reason])).toBe(false),
  );
});

describe('which canaries run', () => {
  const stack = (name: string, status: string) => ({
    version: '0',
    source: 'aws.cloudformation',
    'detail-type': 'CloudFormation Stack Status Change',
    detail: {
      'stack-id': `arn:aws:cloudformation:us-east-1:111122223333:stack/${name}/ffffffff-0000`,
      'status-details': { status, 'status-reason': '' },
      'client-request-token': '',
    },
  });
  const asked = (event: unknown) => {
    const found = canariesOf(parseTrigger(event), EVALUATIONS);
    return 'ignored' in found
      ? found
      : found.map(({ canary, model: of, run: name }) => [canary.name, of.name, name]);
  };

  test('the one of a schedule, or of a person', () => {
    expect(asked({ canary: 'weekly' })).toEqual([['weekly', 'delay', undefined]]);
    expect(asked({ canary: 'nightly', run: 'run-1' })).toEqual([['nightly', 'delay', 'run-1']]);
  });

  test.each(['CREATE_COMPLETE', 'UPDATE_COMPLETE'])('those of a stack that was deployed: %s', (status) => {
    expect(asked(stack('Training', status))).toEqual([
      ['weekly', 'delay', undefined],
      ['nightly', 'delay', undefined],
    ]);
    expect(asked(stack('Serving', status))).toEqual([['weekly', 'delay', undefined]]);
  });

  test('none of a stack that is being deployed, was rolled back, or is nobody’s', () => {
    expect(asked(stack('Training', 'UPDATE_IN_PROGRESS'))).toEqual({
      ignored: 'the stack Training is UPDATE_IN_PROGRESS',
    });
    expect(asked(stack('Training', 'UPDATE_ROLLBACK_COMPLETE'))).toHaveProperty('ignored');
    expect(asked(stack('Train', 'UPDATE_COMPLETE'))).toEqual({
      ignored: 'no canary runs after a deployment of the stack Train',
    });
  });

  test('what is malformed, or names what is not there, is the caller’s mistake', () => {
    expect(() => asked({ canary: 'weekley' })).toThrow(
      new GateInputError('there is no canary "weekley", did you mean "weekly"?; there are weekly, nightly'),
    );
    expect(() => asked({})).toThrow(GateInputError);
    expect(() => asked({ canary: 'weekly', more: 1 })).toThrow(GateInputError);
    expect(() => asked({ source: 'aws.s3', 'detail-type': 'Object Created', detail: {} })).toThrow(
      GateInputError,
    );
    const orphan = { ...EVALUATIONS, models: new Map() };
    expect(() => canariesOf({ canary: 'weekly' }, orphan)).toThrow(/canary weekly: no model "delay"/);
  });
});

describe('what people are told', () => {
  const verdictOf = (some: Partial<CanaryMeasurements>): Verdict => ({
    verdict: 1,
    id: 'a'.repeat(32),
    gate: 'holdout-evaluation',
    subject: 'canary-weekly',
    ...judge(some),
    inputs: {},
    tocsin: '0',
  });
  const told = (verdict: Verdict) => {
    const result = canaryResultOf(verdict, {
      canary: 'weekly',
      pipeline: 'train',
      evidence: 's3://evidence/x',
    });
    const { subject, text, attributes } = canaryMessage(result, verdict);
    return { subject, text, attributes };
  };

  test('of a pass', () => {
    expect(told(verdictOf({}))).toEqual({
      subject: 'Tocsin: canary weekly passed',
      text: `Canary weekly of the pipeline train passed.

Canary weekly: on the known dataset the pipeline train yields a model within its documented range (10,000 examples), and the corrupted dataset is stopped.

Evidence: s3://evidence/x

What now: nothing; the pipeline works from end to end.
`,
      attributes: { canary: 'weekly', outcome: 'pass' },
    });
  });

  test('of a pipeline that accepts a corrupted dataset: what to add', () => {
    const { subject, text, attributes } = told(
      verdictOf({
        control: {
          kind: 'run',
          run: run({ number: 2 }),
          model: { package: `${PACKAGE}2`, outcome: 'pass', reason: '' },
        },
      }),
    );
    expect(subject).toBe('Tocsin: canary weekly failed');
    expect(text).toContain('The pipeline accepted a corrupted dataset');
    expect(text).toMatch(
      /What now: Add what notices this corruption: .* do not trust what the pipeline makes\. Run it again: tocsin canary weekly\n$/,
    );
    expect(attributes).toEqual({ canary: 'weekly', outcome: 'fail' });
  });

  test('of what is not known', () => {
    const { subject, text } = told(verdictOf({ control: { kind: 'not-run', reason: 'throttled' } }));
    expect(subject).toBe('Tocsin: canary weekly is inconclusive');
    expect(text).toContain('Whether the pipeline works is not known.');
  });

  test('of a run without a verdict: whose mistake it is', () => {
    const mistake = canaryRefusalMessage(
      'weekly',
      new GateInputError('there is no pipeline train', { help: 'Make one.' }),
    );
    expect(mistake.subject).toBe('Tocsin: canary weekly not run');
    expect(mistake.text).toContain('it could not be run');
    expect(mistake.text).toContain('What now: Make one. Then run it again: tocsin canary weekly');
    expect(mistake.attributes).toEqual({ canary: 'weekly', outcome: 'error' });
    const trouble = canaryRefusalMessage('weekly', new GateDependencyError('S3 failed'));
    expect(trouble.text).toContain('its run broke off');
  });

  test('is bounded, whatever SageMaker says', () => {
    const endless = 'x'.repeat(100_000);
    const verdict = verdictOf({
      known: run({ end: { state: 'failed', reasons: [endless] } }),
      model: undefined as never,
      control: { kind: 'not-run', reason: endless },
    });
    expect(Buffer.byteLength(told(verdict).text)).toBeLessThan(20_000);
    expect(Buffer.byteLength(canaryRefusalMessage('w', new GateInputError(endless)).text)).toBeLessThan(
      100_000,
    );
  });
});
