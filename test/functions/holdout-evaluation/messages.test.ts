import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { MetricResult } from '../../../functions/holdout-evaluation/measurements.ts';
import {
  describeApproval,
  metadataOf,
  overruledMessage,
  refusalMessage,
  resultOf,
  VERDICT_KEY,
  verdictMessage,
} from '../../../functions/holdout-evaluation/messages.ts';
import type { MetricQuery } from '../../../functions/holdout-evaluation/metric.ts';
import {
  type EvaluationResult,
  type ModelConfig,
  parseEvaluations,
  resultSchema,
} from '../../../functions/holdout-evaluation/schema.ts';
import { GateDependencyError, GateInputError } from '../../../functions/shared/errors.ts';
import type { Message } from '../../../functions/shared/message.ts';
import type { Finding, Verdict } from '../../../functions/shared/verdict.ts';

const PACKAGE = 'arn:aws:sagemaker:eu-west-1:123456789012:model-package/flight-delay/7';
const EVIDENCE = 's3://evidence/evidence/holdout-evaluation/flight-delay/0a/verdict.json';

function configOf(approve = 'automatic'): ModelConfig {
  const text = `models:
  flight-delay:
    modelPackageGroup: flight-delay
    task: binary
    approve: ${approve}
    holdout: { uri: h.csv, label: late, contract: c.yaml }
    transform: { instanceType: ml.m5.large }
    require: [{ metric: auc, atLeast: 0.62 }]
`;
  const [model] = parseEvaluations({ file: 'tocsin.yaml', text }).models.values();
  return model!.value;
}

function verdictOf(outcome: Verdict['outcome'], findings: Finding[] = [], reason = 'The reason.'): Verdict {
  return {
    verdict: 1,
    id: '0a'.repeat(16),
    gate: 'holdout-evaluation',
    subject: 'flight-delay',
    outcome,
    reason,
    findings,
    notChecked: [],
    inputs: {},
    tocsin: '0.1.0',
  };
}

const findingOf = (message: string, outcome: Finding['outcome'] = 'fail', help?: string): Finding => ({
  check: 'metric',
  subject: 'auc',
  outcome,
  message,
  allowed: 'at least 0.62',
  observed: '0.587',
  ...(help !== undefined && { help }),
});

function told(
  verdict: Verdict,
  approval: EvaluationResult['approval'],
  about: { was?: string; approve?: string } = {},
): Message {
  const result = resultOf(verdict, { package: PACKAGE, approval, evidence: EVIDENCE });
  return verdictMessage(result, verdict, {
    config: configOf(about.approve),
    was: about.was ?? 'PendingManualApproval',
  });
}

function metric(query: MetricQuery, rest: Partial<MetricResult> = {}): MetricResult {
  const interval = { low: 0.679, estimate: 0.6812, high: 0.6833, confidence: 0.95 };
  return { query, examples: 61_234, value: 0.6812, interval, ...rest };
}

/** Everything that a text can trip over: what is not printable, not ASCII, half a character, or means something. */
const awkward = fc.constantFrom(
  ...'aZ09 _.:/=+-@%()[]{}"\'\\<>,;',
  '\n',
  '\t',
  '\0',
  '\u2028',
  '\u200b',
  'é',
  '€',
  '😀',
  '\ud83d',
  '\ude00',
);

describe('the notification of a verdict', () => {
  test('of an approved model is short', () => {
    expect(told(verdictOf('pass', [findingOf('fine', 'pass')]), 'Approved')).toMatchObject({
      subject: 'Tocsin: model flight-delay approved (pass)',
      text: `Model flight-delay: a package is approved (pass).

The reason.

Package:  ${PACKAGE}
Approval: Approved
Evidence: ${EVIDENCE}

What now: nothing; it may be deployed.
`,
      attributes: { model: 'flight-delay', outcome: 'pass' },
    });
  });

  test('of a rejected model has everything that somebody woken at night needs', () => {
    const verdict = verdictOf('fail', [
      findingOf('auc is 0.587', 'fail', 'Look at the training data.'),
      findingOf('5 of 6 slices are thin', 'warn'),
    ]);
    expect(told(verdict, 'Rejected')).toMatchObject({
      subject: 'Tocsin: model flight-delay rejected (fail)',
      text: `Model flight-delay: a package is rejected (fail).

The reason.

- auc is 0.587
- 5 of 6 slices are thin

Package:  ${PACKAGE}
Approval: Rejected
Evidence: ${EVIDENCE}

What now: Look at the training data. The package cannot be deployed. Correct the training, and register its model again; after a change of the threshold deploy, and start the evaluation again: tocsin evaluate --package ${PACKAGE}
`,
    });
  });

  test.each<[Verdict['outcome'], { was?: string; approve?: string }, string, string]>([
    [
      'inconclusive',
      {},
      'pending (inconclusive)',
      'Help. The package stays pending, and is not deployed unless somebody approves it by hand.',
    ],
    [
      'pass',
      { approve: 'recommend' },
      'pending (pass)',
      'Verdicts on this model only recommend (approve: recommend): approve it by hand.',
    ],
    [
      'fail',
      { approve: 'recommend' },
      'pending (fail)',
      'Help. Verdicts on this model only recommend (approve: recommend): reject it by hand.',
    ],
    [
      'pass',
      {},
      'pending (pass)',
      'The package changed during the evaluation and was left alone: look at it, and approve it by hand.',
    ],
    ['pass', { was: 'Approved' }, 'reported (pass)', 'nothing; the approval is as somebody set it.'],
    [
      'fail',
      { was: 'Approved' },
      'reported (fail)',
      'Help. The approval is as somebody set it (Approved). If the package must not be deployed, reject it by hand.',
    ],
    [
      'fail',
      { was: 'deleted' },
      'reported (fail)',
      'nothing; the package was deleted while it was evaluated.',
    ],
  ])('of %s, unchanged (%o), says %s and what to do', (outcome, about, state, next) => {
    const message = told(verdictOf(outcome, [findingOf('found', outcome, 'Help.')]), 'unchanged', about);
    expect(message.subject).toBe(`Tocsin: model flight-delay ${state}`);
    expect(message.text).toContain(`\nWhat now: ${next}\n`);
    expect(message.text).toContain(`\nApproval: ${about.was ?? 'PendingManualApproval'}, unchanged\n`);
  });

  test('does not say twice what is the one thing to say', () => {
    const { text } = told(verdictOf('fail', [findingOf('auc is 0.587')], 'auc is 0.587'), 'Rejected');
    expect(text.split('auc is 0.587')).toHaveLength(2);
  });

  test('fits SNS and EventBridge whatever the findings say, and however long', () => {
    const long = fc.string({ unit: awkward, maxLength: 20 }).map((text) => `${text}€`.repeat(1500));
    fc.assert(
      fc.property(fc.array(long, { maxLength: 15 }), long, (messages, reason) => {
        const verdict = verdictOf(
          'fail',
          messages.map((message) => findingOf(message, 'fail', message)),
          reason,
        );
        const result = resultOf(verdict, { package: PACKAGE, approval: 'Rejected', evidence: EVIDENCE });
        const { text } = told(verdict, 'Rejected');
        expect(Buffer.byteLength(text)).toBeLessThan(100_000);
        expect(Buffer.byteLength(JSON.stringify(result))).toBeLessThan(200_000);
        expect(resultSchema.parse(result)).toEqual(result);
        expect(result.findings).toHaveLength(Math.min(messages.length, 10));
      }),
      { seed: 5, numRuns: 15 },
    );
  });
});

describe('the notification that there is no verdict', () => {
  test('says whose mistake it is, and what to do', () => {
    const error = new GateInputError('the holdout has not passed its quality gate', {
      help: 'Upload it again.',
    });
    expect(refusalMessage('flight-delay', PACKAGE, error)).toMatchObject({
      subject: 'Tocsin: model flight-delay not evaluated',
      text: `Model flight-delay: a package could not be evaluated, so it is not approved.

the holdout has not passed its quality gate

Package:  ${PACKAGE}

What now: Upload it again. Then start the evaluation again: tocsin evaluate --package ${PACKAGE}
`,
      attributes: { model: 'flight-delay', outcome: 'error' },
    });
  });

  test.each([
    [new GateInputError('a mistake'), 'could not be evaluated', 'Correct what the message says. Then'],
    [
      new GateDependencyError('CreateTransformJob failed: AccessDeniedException'),
      'the evaluation of a package broke off',
      'Look at what the message names. This says nothing about the model. Then',
    ],
  ])('%s', (error, what, next) => {
    const { text } = refusalMessage('flight-delay', PACKAGE, error);
    expect(text).toContain(what);
    expect(text).toContain(`\n${error.message}\n`);
    expect(text).toContain(next);
  });

  test('is bounded', () => {
    const error = new GateInputError('x'.repeat(1e6), { help: 'y'.repeat(1e6) });
    expect(refusalMessage('flight-delay', PACKAGE, error).text.length).toBeLessThan(25_000);
  });
});

test('an approval against the verdict is told to everybody', () => {
  const message = overruledMessage('flight-delay', PACKAGE, { outcome: 'fail', evidence: EVIDENCE });
  expect(message.subject).toBe('Tocsin: model flight-delay overruled (fail)');
  expect(message.text).toBe(`Model flight-delay: a package was approved by hand although its verdict is fail.

Package:  ${PACKAGE}
Evidence: ${EVIDENCE}

What now: if that was meant, write down why, and change the threshold that stood in its way. If not, reject the package before it is deployed.
`);
  expect(message.attributes).toEqual({ model: 'flight-delay', outcome: 'fail' });
});

test('the longest name has subjects that SNS takes', () => {
  const model = 'x'.repeat(60);
  const messages = [
    refusalMessage(model, PACKAGE, new GateInputError('no')),
    overruledMessage(model, PACKAGE, { outcome: 'inconclusive', evidence: EVIDENCE }),
    ...(['Approved', 'Rejected', 'unchanged'] as const).flatMap((approval) =>
      ['Approved', undefined].map((was) => {
        const verdict = { ...verdictOf('inconclusive'), subject: model };
        const result = resultOf(verdict, { package: PACKAGE, approval, evidence: EVIDENCE });
        return verdictMessage(result, verdict, { config: configOf(), was });
      }),
    ),
  ];
  for (const { subject } of messages) expect(subject).toMatch(/^[\x20-\x7e]{1,100}$/);
});

describe('the approval description', () => {
  test('has the outcome, the reason and where the evidence is', () => {
    expect(
      describeApproval(verdictOf('fail', [], 'auc is 0.587,\n\tat least 0.62 is required.'), EVIDENCE),
    ).toBe(`Tocsin: fail. auc is 0.587, at least 0.62 is required. Evidence: ${EVIDENCE}`);
  });

  test('of a long reason still has the address of the evidence', () => {
    const line = describeApproval(verdictOf('fail', [], '😀'.repeat(2000)), EVIDENCE);
    expect(line.length).toBeLessThanOrEqual(1024);
    expect(line).toMatch(/^Tocsin: fail\. 😀+… Evidence: s3:\/\/.*verdict\.json$/u);
  });

  test('is one printable line that SageMaker takes, whatever the reason', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: awkward, maxLength: 3000 }),
        fc.string({ maxLength: 2000 }),
        (reason, evidence) => {
          const line = describeApproval(verdictOf('pass', [], reason), evidence);
          expect(line.length).toBeLessThanOrEqual(1024);
          expect(line).toMatch(/^[^\p{C}\p{Zl}\p{Zp}]+$/u);
          expect(line).toMatch(/^Tocsin: pass\. /);
        },
      ),
      { seed: 5, numRuns: 200 },
    );
  });
});

describe('the metadata of a package', () => {
  const about = { evidence: EVIDENCE, holdout: 'ab'.repeat(32) };

  test('names the verdict, its evidence, the holdout and the metrics on all of it', () => {
    const slice = { by: 'origin', value: 'ORD' };
    const metrics = [
      metric({ metric: 'auc' }),
      metric({ metric: 'recall', threshold: 0.5 }, { slice }),
      metric({ metric: 'recall', threshold: 0.5 }, { interval: null, value: 0.25 }),
      metric({ metric: 'f1', class: 'très "rare" 100%' }),
      metric(
        { metric: 'precision', average: 'macro' },
        { value: null, interval: null, undefinedBecause: 'no example is predicted as "b"' },
      ),
      metric(
        { metric: 'rmse' },
        { value: 12_345.67, interval: { low: 12_300, estimate: 12_345.67, high: 12_400, confidence: 0.95 } },
      ),
    ];
    expect(metadataOf(verdictOf('fail'), { ...about, metrics })).toEqual({
      [VERDICT_KEY]: '0a'.repeat(16),
      'tocsin:outcome': 'fail',
      'tocsin:evidence': EVIDENCE,
      'tocsin:holdout': 'ab'.repeat(32),
      'tocsin:auc': '0.6812 from 0.6790 to 0.6833',
      'tocsin:recall at 0.5': '0.25',
      'tocsin:f1 of tr s rare 100': '0.6812 from 0.6790 to 0.6833',
      'tocsin:precision macro': 'no value: no example is predicted as b',
      'tocsin:rmse': '12346 from 12300 to 12400',
    });
  });

  test.each([
    [50, 50],
    [1000, 50],
    [4, 4],
    [1, 1],
    [0, 0],
    [-3, 0],
  ])('with room for %i has %i entries, the verdict first', (entries, expected) => {
    const metrics = Array.from({ length: 80 }, (_, index) =>
      metric({ metric: 'pinballLoss', quantile: (index + 1) / 100 }),
    );
    const metadata = metadataOf(verdictOf('pass'), { ...about, metrics, entries });
    expect(Object.keys(metadata)).toHaveLength(expected);
    expect(metadata[VERDICT_KEY]).toBe(expected > 0 ? '0a'.repeat(16) : undefined);
  });

  test('of two names that SageMaker cannot tell apart has the first', () => {
    const metrics = [
      metric({ metric: 'f1', class: 'a(b' }),
      metric({ metric: 'f1', class: 'a b' }, { value: 0, interval: null }),
    ];
    const metadata = metadataOf(verdictOf('pass'), { ...about, metrics });
    expect(metadata['tocsin:f1 of a b']).toBe('0.6812 from 0.6790 to 0.6833');
  });

  test('is legal, whatever it is about', () => {
    const any = fc.string({ unit: awkward, maxLength: 300 });
    const number = fc.option(fc.double());
    const query = fc.oneof(
      any.map((name) => ({ metric: 'f1' as const, class: name })),
      fc.double().map((threshold) => ({ metric: 'recall' as const, threshold })),
    );
    const result = fc
      .record({ query, value: number, low: fc.double(), high: fc.double(), why: any })
      .map(({ query: asked, value, low, high, why }) =>
        metric(asked, {
          value,
          interval: { low, estimate: value ?? 0, high, confidence: 0.95 },
          undefinedBecause: why,
        }),
      );
    fc.assert(
      fc.property(any, any, any, fc.array(result, { maxLength: 60 }), (id, evidence, holdout, metrics) => {
        const metadata = Object.entries(metadataOf({ id, outcome: 'fail' }, { evidence, holdout, metrics }));
        expect(metadata.length).toBeLessThanOrEqual(50);
        expect(metadata.length).toBeGreaterThanOrEqual(4);
        for (const [key, value] of metadata) {
          expect(key).toMatch(/^[A-Za-z0-9 _.:/=+\-@]{1,128}$/);
          expect(value).toMatch(/^[A-Za-z0-9 _.:/=+\-@]{1,256}$/);
        }
      }),
      { seed: 5, numRuns: 60 },
    );
  });
});
