import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Comparison, Difference, ProbeOutcome } from '../../../functions/config-parity/comparison.ts';
import { decide } from '../../../functions/config-parity/decide.ts';
import type { Path } from '../../../functions/config-parity/path.ts';
import {
  DIFFERENCE_KINDS,
  type DifferenceKind,
  type Parity,
} from '../../../functions/config-parity/schema.ts';
import { NO_STACK, type Snapshot, type Unreadable } from '../../../functions/config-parity/snapshot.ts';
import type { Finding } from '../../../functions/shared/verdict.ts';
import {
  ABSENT,
  comparisonOf,
  DAY_MS,
  differenceOf,
  entryOf,
  evaluationOf,
  NOON,
  outcomeOf,
  PROBES,
  parityOf,
  SCALER,
  snapshotOf,
} from '../../support/parity-facts.ts';

interface Facts {
  parity?: Parity;
  differences?: Difference[];
  comparison?: Partial<Comparison>;
  probes?: ProbeOutcome[];
  unreadable?: Path[];
  staging?: Partial<Snapshot>;
  production?: Partial<Snapshot>;
}

function judged({
  parity = parityOf(),
  differences,
  comparison,
  staging,
  production,
  ...context
}: Facts = {}) {
  const evaluation = evaluationOf(parity, comparisonOf(differences, comparison), context);
  return decide(snapshotOf('staging', staging), snapshotOf('production', production), evaluation, parity);
}

/** Findings that did not pass, without those that every comparison has. */
const bad = (facts: Facts): Finding[] => judged(facts).findings.filter(({ outcome }) => outcome !== 'pass');

const documented = (change: Record<string, unknown> = {}) => parityOf({}, [entryOf(change)]);

describe('two environments that are equal', () => {
  test('pass, and say how much is', () => {
    const parity = parityOf(PROBES);
    const { outcome, reason, findings, notChecked } = judged({ parity, probes: [outcomeOf()] });
    expect(outcome).toBe('pass');
    expect(reason).toBe(
      'Comparison flight-delay: 31 values of 3 resources are equal, none differ as documented, 10 golden requests answered alike.',
    );
    expect(notChecked).toEqual([]);
    expect(findings.map(({ check, subject }) => `${check} ${subject}`)).toEqual([
      'behaviour probe delay',
      ...DIFFERENCE_KINDS.map((kind) => `equal ${kind}`),
    ]);
    expect(findings[1]).toEqual({
      check: 'equal',
      subject: 'schema',
      outcome: 'pass',
      message: '4 values of the kind schema are equal.',
      allowed: 'equal, or documented',
      observed: '4 equal',
      value: 4,
      rule: { file: 'tocsin.yaml', line: 3, column: 5 },
    });
  });

  test('that a role may not be asked for say what it lacks', () => {
    const probes = [
      outcomeOf({
        outcome: 'inconclusive',
        why: '6 of 6 got no answer from production (AccessDeniedException)',
      }),
    ];
    expect(judged({ probes }).findings[0]?.help).toBe(
      'Let the role that reads that environment do sagemaker:InvokeEndpoint on it.',
    );
  });

  test('without probes say that nobody asked', () => {
    const { outcome, reason, notChecked } = judged();
    expect(outcome).toBe('pass');
    expect(reason).toMatch(/, nobody asked the endpoints\.$/);
    expect(notChecked).toEqual([
      {
        subject: 'flight-delay',
        check: 'behaviour',
        why: 'tocsin.yaml has no probes of it: nobody asked both endpoints the same',
      },
    ]);
  });

  test('say what stood for what', () => {
    const folding = {
      as: '{account}',
      staging: '111122223333',
      production: '444455556666',
      values: 84,
      examples: [{ text: 'models.flight-delay.role', staging: 'arn:1', production: 'arn:4' }],
    };
    const { findings, outcome } = judged({ comparison: { foldings: [folding] } });
    expect(outcome).toBe('pass');
    expect(findings.find(({ check }) => check === 'folded')).toMatchObject({
      subject: '{account}',
      outcome: 'pass',
      message:
        '111122223333 in staging may stand for 444455556666 in production: 84 values are equal only by that, such as models.flight-delay.role.',
      value: 84,
    });
  });

  test('are nothing where there is nothing', () => {
    const equal = { schema: 0, inference: 0, environment: 0, safety: 0, capacity: 0, cosmetic: 0 };
    const { outcome, reason, notChecked } = judged({ comparison: { resources: 0, equal } });
    expect(outcome).toBe('inconclusive');
    expect(reason).toBe('Nothing was compared: there is nothing that both environments have.');
    expect(notChecked.filter(({ check }) => check === 'equal').map(({ subject }) => subject)).toEqual(
      DIFFERENCE_KINDS,
    );
  });

  test('list what was not looked at, once for both', () => {
    const secure = { subject: 'parameters./flight-delay', why: '2 secure parameters are not decrypted' };
    const { notChecked, outcome } = judged({
      staging: { notRead: [secure, { subject: 'stack A', why: 'AWS::S3::Bucket is not compared' }] },
      production: { notRead: [secure] },
    });
    expect(outcome).toBe('pass');
    expect(notChecked.filter(({ check }) => check === 'compared')).toEqual([
      {
        subject: secure.subject,
        check: 'compared',
        why: `${secure.why} (staging and production)`,
      },
      { subject: 'stack A', check: 'compared', why: 'AWS::S3::Bucket is not compared (staging)' },
    ]);
  });
});

describe('a difference that nobody has documented', () => {
  test('fails, with both values, and what to do', () => {
    const { outcome, reason, findings } = judged({ differences: [differenceOf()] });
    const message =
      'models.flight-delay.containers[0].environment.SCALER_VERSION is 1 in staging and 2 in production, and parity.yaml documents no such difference.';
    expect([outcome, reason]).toEqual(['fail', message]);
    expect(findings[0]).toEqual({
      check: 'difference-environment',
      subject: 'models.flight-delay.containers[0].environment.SCALER_VERSION',
      outcome: 'fail',
      message,
      allowed: 'equal, or documented',
      observed: '1 in staging, 2 in production',
      rule: { file: 'tocsin.yaml', line: 2, column: 3 },
      help: 'Make them equal, or document it: tocsin parity document flight-delay.',
    });
  });

  test.each(DIFFERENCE_KINDS)('of the kind %s fails where failOn has it, else warns', (kind) => {
    const difference = differenceOf(SCALER, '1', '2', kind);
    const outcomeWith = (failOn?: DifferenceKind[]) => {
      const { outcome, findings } = judged({
        parity: parityOf(failOn === undefined ? {} : { failOn }),
        differences: [difference],
      });
      return [outcome, findings.find(({ check }) => check === `difference-${kind}`)?.outcome];
    };
    expect(outcomeWith([kind])).toEqual(['fail', 'fail']);
    expect(outcomeWith(DIFFERENCE_KINDS.filter((other) => other !== kind))).toEqual(['pass', 'warn']);
    expect(outcomeWith()).toEqual(kind === 'cosmetic' ? ['pass', 'warn'] : ['fail', 'fail']);
  });

  test('that only warns is counted where all else passes', () => {
    const { outcome, reason } = judged({ differences: [differenceOf(SCALER, '1', '2', 'cosmetic')] });
    expect(outcome).toBe('pass');
    expect(reason).toBe(
      'Comparison flight-delay: 31 values of 3 resources are equal, none differ as documented, 1 differs without stopping it, nobody asked the endpoints (7 checks, 1 with a warning).',
    );
  });

  test('comes by its kind, the worst first, whatever its path', () => {
    const differences = [...DIFFERENCE_KINDS]
      .reverse()
      .map((kind, index) => differenceOf(['alarms', String(index)], 1, 2, kind));
    expect(bad({ differences }).map(({ check }) => check)).toEqual(
      DIFFERENCE_KINDS.map((kind) => `difference-${kind}`),
    );
    // What fails comes before what does not.
    const parity = parityOf({ failOn: ['capacity'] });
    expect(bad({ parity, differences })[0]?.check).toBe('difference-capacity');
  });

  test('of thousands: two hundred are told, the rest is counted by kind, with the same outcome', () => {
    const many = (kind: DifferenceKind, count: number) =>
      Array.from({ length: count }, (_, index) =>
        differenceOf(['functions', `${kind}-${index}`], 1, 2, kind),
      );
    const differences = [...many('capacity', 4000), ...many('cosmetic', 1000), ...many('schema', 150)];
    const findings = bad({ differences });
    expect(findings).toHaveLength(202);
    expect(findings.slice(0, 150).every(({ check }) => check === 'difference-schema')).toBe(true);
    expect(findings.slice(200)).toMatchObject([
      {
        check: 'difference-capacity',
        subject: 'capacity',
        outcome: 'fail',
        message: '3,950 more differences of the kind capacity are not documented: comparison.json has all.',
        value: 3950,
      },
      { check: 'difference-cosmetic', outcome: 'warn', value: 1000 },
    ]);
    const [worst] = bad({ parity: parityOf({ failOn: ['cosmetic'] }), differences });
    expect(worst).toMatchObject({ outcome: 'fail', subject: differences[4000]?.text });
  });
});

describe('a documented difference', () => {
  const differences = [differenceOf()];
  const what =
    'models.flight-delay.containers[0].environment.SCALER_VERSION is 1 in staging and 2 in production';

  test('passes while it holds, and says whose it is', () => {
    const { outcome, reason, findings } = judged({ parity: documented(), differences });
    expect(outcome).toBe('pass');
    expect(reason).toContain(', 1 differs as documented, ');
    expect(findings.find(({ check }) => check === 'documented')).toEqual({
      check: 'documented',
      subject: 'models.flight-delay.containers[0].environment.SCALER_VERSION',
      outcome: 'pass',
      message: `${what}, as parity.yaml:4 documents until 2027-01-31 (ml-platform: "the new scaler is tried"). Its test, production != staging, holds.`,
      allowed: 'documented until 2027-01-31 by ml-platform',
      observed: 'as documented',
      rule: { file: 'parity.yaml', line: 4, column: 7 },
    });
  });

  test.each([
    ['2026-11-22', 'expires today', 'warn'],
    ['2026-11-23', 'expires in 1 day', 'warn'],
    ['2026-12-06', 'expires in 14 days', 'warn'],
    ['2026-12-07', 'as documented', 'pass'],
  ])('until %s: %s', (expires, observed, outcome) => {
    const { outcome: verdict, findings } = judged({ parity: documented({ expires }), differences });
    expect(verdict).toBe('pass');
    expect(findings.find(({ check }) => check.startsWith('documented'))).toMatchObject({
      check: outcome === 'warn' ? 'documented-expires-soon' : 'documented',
      outcome,
      observed,
      ...(outcome === 'warn' && {
        help: 'Make them equal; or ask ml-platform whether the reason still holds, and write another day at parity.yaml:4.',
      }),
    });
  });

  test('fails once it has expired', () => {
    expect(bad({ parity: documented({ expires: '2026-11-20' }), differences })).toMatchObject([
      {
        check: 'documented-expired',
        outcome: 'fail',
        message: `${what}, which parity.yaml:4 documents no more: it held until 2026-11-20 (ml-platform: "the new scaler is tried").`,
        observed: 'expired 2 days ago',
        rule: { file: 'parity.yaml', line: 4 },
      },
    ]);
  });

  test('fails where its test does', () => {
    const parity = documented({ test: { values: { production: '3' } } });
    expect(bad({ parity, differences })).toMatchObject([
      {
        check: 'documented-failing',
        outcome: 'fail',
        message: `${what}, and what parity.yaml:4 promises of that does not hold (ml-platform). Its test, 3 in production, fails.`,
      },
    ]);
  });

  test('fails once there is no such difference any more', () => {
    expect(bad({ parity: documented() })).toMatchObject([
      {
        check: 'documented-stale',
        subject: 'models.flight-delay.containers[0].environment.SCALER_VERSION',
        outcome: 'fail',
        message:
          'parity.yaml:4 documents models.flight-delay.containers[0].environment.SCALER_VERSION (ml-platform), and is stale. There is no such difference any more.',
        help: 'Remove the entry at parity.yaml:4.',
      },
    ]);
  });

  test('is not checked where what it is about could not be read', () => {
    const { notChecked, findings } = judged({ parity: documented(), unreadable: [['models']] });
    expect(notChecked).toContainEqual({
      subject: 'models.flight-delay.containers[0].environment.SCALER_VERSION',
      check: 'documented',
      why: 'whether parity.yaml:4 still holds is not known: what it is about could not be compared',
    });
    expect(findings.some(({ check }) => check.startsWith('documented'))).toBe(false);
  });

  test('is inconclusive where its probe is', () => {
    const parity = parityOf(PROBES, [entryOf({ test: { probe: 'delay' } })]);
    const probes = [outcomeOf({ outcome: 'inconclusive', why: 'nobody asked staging' })];
    expect(bad({ parity, differences, probes }).map(({ check, outcome }) => [check, outcome])).toEqual([
      ['behaviour', 'inconclusive'],
      ['documented', 'inconclusive'],
    ]);
  });

  test('of many values is one finding', () => {
    const parity = documented({ path: '**.instances', test: { relation: 'production >= staging' } });
    const many = ['a', 'b', 'c'].map((name) =>
      differenceOf(['endpoints', name, 'instances'], 1, 2, 'capacity'),
    );
    const { findings } = judged({ parity, differences: many });
    expect(findings.filter(({ check }) => check.startsWith('documented'))).toMatchObject([
      {
        subject: '**.instances',
        message:
          '3 values at **.instances differ, as parity.yaml:4 documents until 2027-01-31 (ml-platform: "the new scaler is tried"). Its test, production >= staging, holds of all 3 differences.',
      },
    ]);
  });
});

describe('behaviour', () => {
  const parity = parityOf(PROBES);
  const failed = outcomeOf({
    outcome: 'fail',
    agreed: 9,
    why: '1 of 10 golden requests is answered differently',
    examples: [{ golden: 3, staging: '0.12', production: '0.48', recorded: '0.12' }],
  });

  test('that differs fails first, with an example, and the settings that may be why', () => {
    const other = differenceOf(['models', 'flight-delayed', 'mode'], 'a', 'b', 'inference');
    const findings = bad({ parity, probes: [failed], differences: [differenceOf(), other] });
    expect(findings[0]).toEqual({
      check: 'behaviour',
      subject: 'probe delay',
      outcome: 'fail',
      message:
        'Probe delay of flight-delay: 1 of 10 golden requests is answered differently. Number 3 is 0.12 in staging and 0.48 in production (recorded: 0.12). Of its model 1 setting differs: models.flight-delay.containers[0].environment.SCALER_VERSION is 1 in staging and 2 in production.',
      allowed: 'all alike, and as recorded',
      observed: '9 of 10',
      limit: 10,
      value: 9,
      rule: { file: 'tocsin.yaml', line: 7, column: 7 },
      help: 'Make the settings of the model equal, and compare again.',
    });
    expect(findings).toHaveLength(3);
  });

  test('that differs though every setting is equal says so', () => {
    const cosmetic = differenceOf(
      ['models', 'flight-delay', 'containers', '[0]', 'image'],
      'a',
      'b',
      'cosmetic',
    );
    const [finding] = bad({ parity, probes: [failed], differences: [cosmetic] });
    expect(finding?.message).toMatch(/ No setting of its model that was compared differs\.$/);
    expect(finding?.help).toMatch(/^Look at what is not compared: the bytes of the model/);
  });

  test('names settings of each variant, at most three', () => {
    const differences = [1, 2, 3, 4].map((index) =>
      differenceOf(['models', 'flight-delay/main', 'containers', '[0]', 'environment', `V${index}`]),
    );
    const [finding] = bad({ parity, probes: [failed], differences });
    expect(finding?.message).toMatch(
      / Of its model 4 settings differ: .*\.V1 .*\.V2 .*\.V3 .* and 1 more\.$/,
    );
  });

  test('is shown by three examples, though there are more', () => {
    const examples = [1, 2, 3, 4].map((golden) => ({ golden, staging: 'a', production: 'b' }));
    const [finding] = bad({ parity, probes: [{ ...failed, examples }] });
    expect(finding?.message).toContain('and number 3 is a in staging and b in production. No setting');
    expect(finding?.message).not.toContain('umber 4');
  });

  test('that nobody could see is inconclusive', () => {
    const probes = [
      outcomeOf({ outcome: 'inconclusive', agreed: 1, answered: 1, why: 'nobody asked staging' }),
    ];
    expect(bad({ parity, probes })).toMatchObject([
      {
        check: 'behaviour',
        outcome: 'inconclusive',
        message:
          'Probe delay: whether flight-delay answers alike in both is not known: nobody asked staging.',
        observed: '1 of 10, 1 answered',
      },
    ]);
  });
});

describe('what could not be read', () => {
  const denied = (physical: string, change: Partial<Unreadable> = {}): Unreadable => ({
    path: ['functions', physical],
    physical,
    action: 'lambda:GetFunctionConfiguration',
    why: 'AccessDeniedException',
    ...change,
  });

  test('is inconclusive: one finding for each action and each way to fail, with what to grant', () => {
    const unreadable = ['a', 'b', 'c', 'd', 'e', 'f', 'g'].map((name) => denied(name));
    const { outcome, findings } = judged({
      staging: { unreadable: [denied('x', { why: 'ThrottlingException' })] },
      production: { unreadable: [...unreadable, denied('h', { why: 'deleted while it was read' })] },
    });
    expect(outcome).toBe('inconclusive');
    const told = findings.filter(({ check }) => check === 'unreadable');
    expect(told.map(({ subject, value, message, help }) => [subject, value, message, help])).toEqual([
      [
        'lambda:GetFunctionConfiguration in staging',
        1,
        '1 thing could not be read in staging, so whether it is equal is not known: lambda:GetFunctionConfiguration failed (ThrottlingException) of x.',
        'AWS throttled. Run it again, when less else is asked there.',
      ],
      [
        'lambda:GetFunctionConfiguration in production',
        7,
        '7 things could not be read in production, so whether they are equal is not known: lambda:GetFunctionConfiguration failed (AccessDeniedException) of a, b, c, d, e and 2 more.',
        "Let Tocsin's role do lambda:GetFunctionConfiguration on them: deploy Tocsin with the tocsin.yaml of today.",
      ],
      [
        'lambda:GetFunctionConfiguration in production',
        1,
        '1 thing could not be read in production, so whether it is equal is not known: lambda:GetFunctionConfiguration failed (deleted while it was read) of h.',
        'Run it again; if it stays so, look at what the message names.',
      ],
    ]);
  });

  test('in another account says whose role lacks it', () => {
    const role = 'arn:aws:iam::444455556666:role/reader';
    const [finding] = bad({
      parity: parityOf({ production: { role } }),
      production: { unreadable: [denied('a')] },
    });
    expect(finding?.help).toBe(
      `Let ${role} do lambda:GetFunctionConfiguration on it: tocsin parity role flight-delay --for production prints what it has to be.`,
    );
  });

  test('is named once, however much of it could not be read', () => {
    const [finding] = bad({ staging: { unreadable: [denied('a'), denied('a', { path: ['models', 'a'] })] } });
    expect(finding?.message).toMatch(/failed \(AccessDeniedException\) of a\.$/);
  });

  test('is a stack that there is not', () => {
    const [finding] = bad({ staging: { unreadable: [denied('Nope', { why: NO_STACK })] } });
    expect(finding?.help).toBe('Correct its name under compare in tocsin.yaml, or deploy it.');
  });

  test.each([
    ['inference components are not compared', /take the endpoint out of compare\.$/],
    ['models of single instance types are not compared', /take the endpoint out of compare\.$/],
    ['CloudFormation does not say in which database it is', /^Name it under compare\.tables/],
    ['nothing in it is compared', /^Correct what compare selects/],
    ['nothing that is compared has them', /^Correct what compare selects/],
  ])('says what to do where %s', (why, help) => {
    expect(bad({ staging: { unreadable: [denied('a', { why })] } })[0]).toMatchObject({
      outcome: 'inconclusive',
      help: expect.stringMatching(help),
    });
  });

  test('is bounded', () => {
    const unreadable = Array.from({ length: 300 }, (_, index) => denied('a', { action: `x:Get${index}` }));
    const findings = bad({ staging: { unreadable } });
    expect(findings).toHaveLength(101);
    expect(findings[100]).toMatchObject({
      message: '200 more things could not be read in staging: staging.json has all.',
    });
  });

  test('or was changing meanwhile is inconclusive', () => {
    const changing = (physical: string, status = 'Updating') => ({
      path: ['endpoints', physical],
      physical,
      status,
    });
    expect(bad({ staging: { unsettled: [changing('a'), changing('b')] } })).toMatchObject([
      {
        check: 'unsettled',
        subject: 'Updating in staging',
        outcome: 'inconclusive',
        message:
          'In staging a and b were Updating while they were read, so what was compared may be neither old nor new.',
        value: 2,
      },
    ]);
  });

  test('or could not be told apart is inconclusive, with the line that names it', () => {
    const path: Path = ['alarms', 'latency'];
    const parity = parityOf({ compare: { alarms: ['errors-{environment}', 'latency-{environment}'] } });
    const ambiguous = [{ side: 'staging' as const, path, text: 'alarms.latency', physical: ['l-1', 'l-2'] }];
    const missing = [
      { path, text: 'alarms.latency', staging: 'latency-staging', production: 'latency-production' },
    ];
    const findings = bad({ parity, comparison: { ambiguous, missing } });
    expect(findings).toMatchObject([
      {
        check: 'ambiguous',
        subject: 'alarms.latency',
        outcome: 'inconclusive',
        message: 'alarms.latency may be any of 2 in staging, l-1 and l-2, so none of them was compared.',
        rule: { file: 'tocsin.yaml', line: 6 },
      },
      {
        check: 'missing',
        subject: 'alarms.latency',
        outcome: 'inconclusive',
        message:
          'alarms.latency is in neither environment: there is no latency-staging in staging, and no latency-production in production.',
        rule: { file: 'tocsin.yaml', line: 6 },
      },
    ]);
  });

  test('apart, since it is one thing, is inconclusive', () => {
    const place = { account: '111122223333', region: 'eu-west-1' };
    const things = (...physical: string[]) => ({
      ...place,
      resources: physical.map((one) => ({ kind: 'functions' as const, name: one, physical: one, value: {} })),
    });
    const facts = { staging: things('score', 'a-staging'), production: things('score', 'a-production') };
    expect(judged(facts).outcome).toBe('inconclusive');
    expect(bad(facts)).toMatchObject([
      {
        check: 'compared-with-itself',
        outcome: 'inconclusive',
        message: 'Of the kind functions, score is in both environments, and would be compared with itself.',
      },
    ]);
    // Elsewhere it is another; two endpoints may serve one model; what is nowhere is nothing.
    expect(bad({ ...facts, production: { ...facts.production, region: 'us-east-1' } })).toEqual([]);
    const model = { kind: 'models' as const, name: 'm', physical: 'm', value: {} };
    const gone = { kind: 'functions' as const, name: 'f', physical: 'f', value: null };
    const both = { ...place, resources: [model, gone] };
    expect(bad({ staging: both, production: both })).toEqual([]);
  });

  test('and was found by a stack has the line of what selects', () => {
    const ambiguous = (kind: string) => [
      { side: 'staging' as const, path: [kind, 'Stack/Alarm'], text: 'x', physical: ['l-1', 'l-2'] },
    ];
    const lineOf = (kind: string) => bad({ comparison: { ambiguous: ambiguous(kind) } })[0]?.rule?.line;
    expect(['endpoints', 'models', 'alarms'].map(lineOf)).toEqual([4, 3, 3]);
  });

  test('of hundreds is bounded, too', () => {
    const missing = Array.from({ length: 150 }, (_, index) => ({
      path: ['alarms', String(index)],
      text: `alarms.${index}`,
      staging: 'a',
      production: 'b',
    }));
    const findings = bad({ comparison: { missing } });
    expect(findings).toHaveLength(101);
    expect(findings[100]).toMatchObject({ check: 'missing', outcome: 'inconclusive', value: 50 });
  });
});

describe('snapshots that were saved', () => {
  const ageOf = (staging: number, production: number, tocsin = '1.0.0') =>
    bad({
      staging: { takenAt: NOON - staging * DAY_MS },
      production: { takenAt: NOON - production * DAY_MS, tocsin },
    });

  test('of this week, a day apart, are told nothing of', () => {
    expect([ageOf(0, 0), ageOf(7, 7), ageOf(3, 4)]).toEqual([[], [], []]);
  });

  test('warn where they are old, or far apart, or of another version', () => {
    expect(ageOf(8, 1)).toMatchObject([
      {
        check: 'old-snapshot',
        outcome: 'warn',
        message:
          'The snapshots may not say how both environments are: that of staging is of 2026-11-14, 8 days before 2026-11-22; they were taken 7 days apart, on 2026-11-14 and 2026-11-21.',
        observed: 'staging of 2026-11-14 and production of 2026-11-21',
      },
    ]);
    expect(ageOf(8, 9)[0]?.message).toContain('that of production is of 2026-11-13');
    expect(ageOf(0, 2)[0]?.message).toContain('2 days apart');
    expect(ageOf(0, 0, '1.1.0')[0]?.message).toBe(
      'The snapshots may not say how both environments are: they were taken by different versions of Tocsin, 1.0.0 and 1.1.0.',
    );
  });
});

describe('whatever there is to judge', () => {
  const kind = fc.constantFrom(...DIFFERENCE_KINDS);
  const difference = fc
    .tuple(fc.constantFrom('a', 'b', 'c', 'd'), kind, fc.constantFrom(1, ABSENT))
    .map(([name, of, staging]) => differenceOf(['functions', name, of], staging as never, 2, of));
  const facts = fc.record({
    differences: fc.uniqueArray(difference, { selector: ({ text }) => text, maxLength: 5 }),
    entries: fc.array(
      fc.record({
        path: fc.constantFrom('functions.a.*', 'functions.**', '**.schema', 'functions.z'),
        expires: fc.constantFrom('2026-01-01', '2026-11-25', '2027-01-01'),
        test: fc.constantFrom<Record<string, unknown>>(
          { relation: 'production != staging' },
          { values: { staging: 1 } },
          { probe: 'delay' },
        ),
      }),
      { maxLength: 3 },
    ),
    probe: fc.constantFrom('pass' as const, 'fail' as const, 'inconclusive' as const),
    failOn: fc.uniqueArray(kind, { minLength: 1 }),
    unreadable: fc.array(fc.constantFrom('ThrottlingException', 'AccessDenied'), { maxLength: 2 }),
  });

  test('only a comparison without anything bad in it passes', () => {
    fc.assert(
      fc.property(facts, ({ differences, entries, probe, failOn, unreadable }) => {
        const parity = parityOf({ ...PROBES, failOn }, entries.map(entryOf));
        const probes = [outcomeOf({ outcome: probe, agreed: probe === 'pass' ? 10 : 1 })];
        const evaluation = evaluationOf(parity, comparisonOf(differences), { probes });
        const unread = unreadable.map((why) => ({ path: ['alarms'], physical: 'x', action: 'y:Z', why }));
        const staging = snapshotOf('staging', { unreadable: unread });
        const judgement = decide(staging, snapshotOf('production'), evaluation, parity);
        const states = evaluation.uses.map(({ state }) => state);
        const covered = new Set(evaluation.uses.flatMap(({ covers }) => covers));
        const isBad =
          probe === 'fail' ||
          states.some((state) => ['expired', 'failing', 'stale'].includes(state)) ||
          differences.some((one) => !covered.has(one.text) && failOn.includes(one.kind));
        const isUnknown = probe === 'inconclusive' || unread.length > 0;
        expect(judgement.outcome).toBe(isBad ? 'fail' : isUnknown ? 'inconclusive' : 'pass');
        // The same again, bit for bit.
        expect(decide(staging, snapshotOf('production'), evaluation, parity)).toEqual(judgement);
        for (const { message, rule, outcome } of judgement.findings) {
          expect(message).toMatch(/^\S.*\.$/);
          expect(message.length).toBeLessThanOrEqual(2000);
          if (outcome !== 'pass') expect(rule?.line).toBeGreaterThan(0);
        }
      }),
      { seed: 6, numRuns: 120 },
    );
  });
});
