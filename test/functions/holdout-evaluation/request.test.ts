import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  askedOf,
  type EvaluationInputs,
  evaluationKey,
  idOf,
  pinContainer,
  temporaryName,
  verdictOf,
} from '../../../functions/holdout-evaluation/identity.ts';
import {
  approvalOf,
  modelByArn,
  modelOf,
  parseRequest,
  taskOf,
} from '../../../functions/holdout-evaluation/request.ts';
import { type ModelConfig, parseEvaluations } from '../../../functions/holdout-evaluation/schema.ts';
import { GateInputError } from '../../../functions/shared/errors.ts';
import type { Outcome } from '../../../functions/shared/verdict.ts';

const ARN = 'arn:aws:sagemaker:eu-central-1:111122223333:model-package/flightdelay/7';

const fixture = (name: string) =>
  JSON.parse(readFileSync(new URL(`../../fixtures/events/${name}.json`, import.meta.url), 'utf8'));

const EVALUATIONS = parseEvaluations({
  file: 'tocsin.yaml',
  text: `models:
  flight-delay:
    modelPackageGroup: FlightDelay
    task: binary
    holdout: { uri: holdout/may.csv, contract: contracts/holdout.yaml, label: late }
    transform: { instanceType: ml.m5.large }
    require: [{ metric: auc, atLeast: 0.62 }]
canaries:
  weekly:
    model: flight-delay
    pipeline: training
    modelPackageGroup: flight-canary
    dataset: { uri: raw/known.csv }
    expect: [{ metric: auc, atLeast: 0.6 }]
    negativeControl: { corrupt: { distance: distance * 1.6 } }
`,
});

describe('a request', () => {
  test.each(['sagemaker-package-registered', 'sagemaker-package-approved', 'sagemaker-package-failed'])(
    'of the event %s is its ARN and nothing else',
    (name) => {
      expect(parseRequest(fixture(name))).toEqual({ package: ARN, byHand: false });
    },
  );

  test('by hand names a package, and may name a run', () => {
    expect(parseRequest({ package: ARN })).toEqual({ package: ARN, byHand: true });
    expect(parseRequest({ package: ARN, run: 'run-1' })).toEqual({
      package: ARN,
      byHand: true,
      run: 'run-1',
    });
  });

  test.each<[string, unknown, RegExp]>([
    ['another event', fixture('sagemaker-endpoint-in-service'), /detail-type: expected/],
    ['nothing', undefined, /^invocation: /],
    ['a text', 'package', /^invocation: /],
    ['no ARN', { package: 'flight-delay/7' }, /the ARN of a model package, got "flight-delay\/7"/],
    ['an unknown key', { package: ARN, runs: 'x' }, /unknown key "runs", did you mean "run"/],
    ['a run that is no name', { package: ARN, run: '../x' }, /at most 64 letters, digits and hyphens/],
  ])('that is malformed is a mistake: %s', (_what, event, message) => {
    expect(() => parseRequest(event)).toThrow(GateInputError);
    expect(() => parseRequest(event)).toThrow(message);
  });
});

describe('the model of a package', () => {
  const event = { package: ARN, byHand: false };
  const byHand = { package: ARN, byHand: true };

  test('is found by the group that SageMaker describes', () => {
    expect(modelOf(event, 'FlightDelay', EVALUATIONS)).toMatchObject({ name: 'flight-delay' });
  });

  test.each<[string, string | undefined, string]>([
    ['of another group', 'Flightdelay', 'is in the group Flightdelay, which no model of tocsin.yaml names'],
    [
      'of a canary',
      'flight-canary',
      'is in the group of the canary weekly, whose packages are never deployed',
    ],
    ['without a group', undefined, 'is in no model package group'],
  ])('%s: an event is ignored, by hand it is a mistake', (_what, group, why) => {
    expect(modelOf(event, group, EVALUATIONS)).toEqual({ ignored: `${ARN} ${why}` });
    expect(() => modelOf(byHand, group, EVALUATIONS)).toThrow(GateInputError);
    expect(() => modelOf(byHand, group, EVALUATIONS)).toThrow(`${why}`);
    expect(() => modelOf(byHand, group, EVALUATIONS)).toThrow('the groups are: FlightDelay');
  });

  test('is guessed from the ARN, whose group is in lower case, to tell people', () => {
    expect(modelByArn(ARN, EVALUATIONS)?.name).toBe('flight-delay');
    expect(modelByArn(ARN.replace('flightdelay', 'other'), EVALUATIONS)).toBeUndefined();
  });
});

describe('what is to be done', () => {
  const id = 'a'.repeat(32);
  const ignored = (why: string) => ({ ignored: expect.stringContaining(why) });

  test.each<[string, Outcome | undefined, ModelConfig['approve'], unknown]>([
    ['PendingManualApproval', undefined, 'automatic', { evaluate: true, change: true }],
    ['PendingManualApproval', undefined, 'recommend', { evaluate: true, change: true }],
    ['Approved', undefined, 'automatic', { evaluate: true, change: false }],
    ['Rejected', undefined, 'automatic', ignored('is Rejected already')],
    // Our own update.
    ['Approved', 'pass', 'automatic', ignored('is Approved, as its verdict')],
    ['Rejected', 'fail', 'automatic', ignored('is Rejected already')],
    ['PendingManualApproval', 'inconclusive', 'automatic', ignored('has its verdict')],
    ['PendingManualApproval', 'pass', 'recommend', ignored('has its verdict')],
    ['PendingManualApproval', 'fail', 'recommend', ignored('has its verdict')],
    // What people do with a verdict.
    ['Approved', 'pass', 'recommend', ignored('is Approved, as its verdict')],
    ['Approved', 'fail', 'automatic', { overruled: { id, outcome: 'fail' } }],
    ['Approved', 'inconclusive', 'automatic', { overruled: { id, outcome: 'inconclusive' } }],
    ['Approved', 'fail', 'recommend', { overruled: { id, outcome: 'fail' } }],
    ['Rejected', 'pass', 'automatic', ignored('is Rejected already')],
    // Set back: somebody wants another look.
    ['PendingManualApproval', 'fail', 'automatic', { evaluate: true, change: true }],
    ['PendingManualApproval', 'pass', 'automatic', { evaluate: true, change: true }],
  ])('%s, verdict %s, %s', (approval, outcome, approve, expected) => {
    const earlier = outcome === undefined ? undefined : { id, outcome };
    const found = { arn: ARN, status: 'Completed', approval };
    expect(taskOf({ byHand: false }, found, earlier, approve)).toEqual(expected);
    // By hand everything is evaluated, and only what is pending is changed.
    expect(taskOf({ byHand: true }, found, earlier, approve)).toEqual({
      evaluate: true,
      change: approval === 'PendingManualApproval',
    });
  });

  test.each(['Pending', 'InProgress', 'Failed', 'Deleting', 'unknown'])(
    'nothing with a package that is %s',
    (status) => {
      const found = { arn: ARN, status, approval: 'PendingManualApproval' };
      expect(taskOf({ byHand: false }, found, undefined, 'automatic')).toEqual({
        ignored: `${ARN} is ${status}, not Completed`,
      });
      expect(() => taskOf({ byHand: true }, found, undefined, 'automatic')).toThrow(GateInputError);
    },
  );

  test('only a pass approves, and only where the configuration says so', () => {
    const outcomes = ['pass', 'fail', 'inconclusive'] as const;
    expect(outcomes.map((outcome) => approvalOf(outcome, 'automatic'))).toEqual([
      'Approved',
      'Rejected',
      'unchanged',
    ]);
    expect(outcomes.map((outcome) => approvalOf(outcome, 'recommend'))).toEqual([
      'unchanged',
      'unchanged',
      'unchanged',
    ]);
  });

  test('an event never changes what is not pending', () => {
    const anything = fc.record({
      status: fc.constantFrom('Completed', 'Failed'),
      approval: fc.constantFrom('PendingManualApproval', 'Approved', 'Rejected', undefined),
      outcome: fc.constantFrom('pass', 'fail', 'inconclusive', undefined),
      approve: fc.constantFrom('automatic', 'recommend'),
    });
    fc.assert(
      fc.property(anything, ({ status, approval, outcome, approve }) => {
        const earlier = outcome === undefined ? undefined : { id, outcome };
        const task = taskOf({ byHand: false }, { arn: ARN, status, approval }, earlier, approve);
        if ('change' in task && task.change) {
          expect(status).toBe('Completed');
          expect(approval).toBe('PendingManualApproval');
        }
      }),
    );
  });
});

describe('names and ids', () => {
  const INPUTS: EvaluationInputs = {
    model: 'flight-delay',
    candidate: { arn: ARN, containers: [] },
    champion: null,
    holdout: { uri: 's3://data/may.csv', version: 'v1', qualityVerdict: id32('e'), sha256: 'b'.repeat(64) },
    configurationSha256: 'c'.repeat(64),
  };

  function id32(letter: string): string {
    return letter.repeat(32);
  }

  test('a verdict has the id of its inputs, whatever was judged', () => {
    const judgement = { outcome: 'pass' as const, reason: '', findings: [], notChecked: [] };
    const verdict = verdictOf('flight-delay', INPUTS, judgement);
    expect(verdict).toMatchObject({
      verdict: 1,
      gate: 'holdout-evaluation',
      subject: 'flight-delay',
      id: idOf(INPUTS),
    });
    expect(verdictOf('flight-delay', INPUTS, { ...judgement, outcome: 'fail' }).id).toBe(verdict.id);
    expect(idOf({ ...INPUTS, holdout: { ...INPUTS.holdout, version: 'v2' } })).not.toBe(verdict.id);
  });

  test('an evaluation is found again from the inputs of its verdict', () => {
    const { uri, version, qualityVerdict } = INPUTS.holdout;
    const asked = {
      package: ARN,
      configurationSha256: INPUTS.configurationSha256,
      holdout: { uri, version, qualityVerdict },
    };
    expect(evaluationKey(askedOf(INPUTS))).toBe(evaluationKey(asked));
    expect(evaluationKey(asked)).toMatch(/^[0-9a-f]{32}$/);
    expect(evaluationKey({ ...asked, package: `${ARN}1` })).not.toBe(evaluationKey(asked));
  });

  test('names with their suffixes are within the limits of SageMaker', () => {
    const name = temporaryName('0123456789abcdef'.repeat(2), 'fedcba987654');
    expect(`${name}-c`).toBe('tocsin-0123456789abcdef-fedcba987654-c');
    expect(temporaryName('f'.repeat(32), 'e'.repeat(32))).toHaveLength(name.length);
    expect(name.length).toBeLessThanOrEqual(63 - '-c'.length);
  });

  test('a container is pinned without the values of its environment', () => {
    const container = {
      image: 'repository:tag',
      imageDigest: undefined,
      modelDataSource: { S3DataSource: { S3Uri: 's3://models/7/' } },
      modelDataEtag: undefined,
      environment: { PASSWORD: 'hunter2' },
    };
    expect(pinContainer(container)).toEqual({
      image: 'repository:tag',
      imageDigest: null,
      modelData: 's3://models/7/',
      modelDataEtag: null,
      environment: { PASSWORD: 'sha256:f52fbd32b2b3' },
    });
    const other = { ...container, environment: { PASSWORD: 'hunter3' } };
    expect(pinContainer(other)).not.toEqual(pinContainer(container));
  });

  test('a container is pinned with all of its model data', () => {
    const source = (S3Uri: string, ETag?: string) => ({
      ChannelName: 'adapter',
      S3DataSource: { S3Uri, ...(ETag && { ETag }) },
    });
    const pinned = pinContainer({
      image: 'repository:tag',
      imageDigest: 'sha256:12',
      modelDataUrl: 's3://models/7.tar.gz',
      modelDataEtag: 'a',
      additionalModelDataSources: [source('s3://adapters/7/', 'b')],
      environment: {},
    });
    expect(pinned.additionalModelData).toEqual({ adapter: { uri: 's3://adapters/7/', etag: 'b' } });
  });
});
