import fc from 'fast-check';
import { beforeEach, describe, expect, test, vi } from 'vitest';
import type { MetricAlarm } from '../../../functions/alarm-drill/alarm.ts';
import { decide, PROOF_ONLY } from '../../../functions/alarm-drill/decide.ts';
import { valueAt } from '../../../functions/alarm-drill/intended.ts';
import { phasesOf } from '../../../functions/alarm-drill/ladder.ts';
import type {
  Delivery,
  LivePhase,
  Measurements,
  Round,
  RungResult,
} from '../../../functions/alarm-drill/measurements.ts';
import { proveReachable } from '../../../functions/alarm-drill/reachability.ts';
import type { LocatedDrill } from '../../../functions/alarm-drill/schema.ts';
import type { Finding, FindingOutcome } from '../../../functions/shared/verdict.ts';
import { type DrillInput, drillOf, factsOf, ONCALL, psiAlarm, READ_AT } from '../../support/alarm-facts.ts';
import { playRounds, receiptsOf } from '../../support/alarm-rounds.ts';

// What it proves is tested where it is; here it proves nothing, so that the drill itself has to.
vi.mock('../../../functions/alarm-drill/reachability.ts', { spy: true });

beforeEach(() => {
  vi.mocked(proveReachable).mockReturnValue({ findings: [], notChecked: [] });
});

const MINUTE = 60_000;

/** A drill that went as the simulator says. */
function measured(
  alarm: MetricAlarm = psiAlarm(),
  drill: LocatedDrill = drillOf(),
  change: Partial<Measurements> = {},
  really = alarm,
): Measurements {
  const facts = factsOf(alarm);
  const rounds = playRounds(alarm, drill, facts, really);
  return { facts, rounds, deliveries: [], phases: [], notDrilled: null, ...change };
}

/** With what one rung of the first round did changed. */
function changed(
  measurements: Measurements,
  rung: string,
  change: (result: RungResult, round: Round) => Partial<RungResult>,
): Measurements {
  const rounds = measurements.rounds.map((round, index) => ({
    ...round,
    results: round.results.map((result) =>
      index === 0 && result.id === rung ? { ...result, ...change(result, round) } : result,
    ),
  }));
  return { ...measurements, rounds };
}

function find(findings: readonly Finding[], check: string): Finding {
  const found = findings.find((finding) => finding.check === check);
  if (!found)
    throw new Error(`no finding ${check}; there are ${findings.map((one) => one.check).join(', ')}`);
  return found;
}

/** Messages of all that did not pass. */
function complaints(findings: readonly Finding[]): string[] {
  return findings.filter(({ outcome }) => outcome !== 'pass').map(({ message }) => message);
}

const outcomes = (findings: readonly Finding[]) =>
  findings.map(({ check, outcome }) => [check, outcome] as [string, FindingOutcome]);

describe('an alarm that is as intended', () => {
  test('passes, with the numbers of each rung', () => {
    const { outcome, reason, findings, notChecked } = decide(measured(), drillOf());
    expect(outcome).toBe('pass');
    expect(reason).toBe(
      'Drill distance-drift: alarm psi-distance fires as intended, at >= 0.2 within 30 min (10 checks).',
    );
    expect(findings.map(({ message }) => message)).toMatchInlineSnapshot(`
      [
        "psi-distance fires somewhere between 0.19 and 0.21 (0.95 to 1.05 times the intended 0.2), as intended: >= 0.2.",
        "psi-distance stays quiet at 0.1 (0.5 times the intended 0.2), for the 35 min that it was watched.",
        "psi-distance stays quiet at 0.19 (0.95 times the intended 0.2), for the 35 min that it was watched.",
        "psi-distance fires at 0.21 (1.05 times the intended 0.2) after 5.92 min, within 30 min.",
        "psi-distance fires at 0.4 (2 times the intended 0.2) after 5.92 min, within 30 min.",
        "psi-distance fires at 1 (5 times the intended 0.2) after 5.92 min, within 30 min.",
        "psi-distance is ALARM once its metric is silent, after 15.9 min, as intended.",
        "psi-distance comes back to OK at most 5.92 min after its metric is back at the usual 0.05.",
        "CloudWatch did on 5 rungs of psi-distance what its documentation says.",
        "All 19 notifications of shadow alarms arrived: at the topic after at most 400 ms, in the queue 250 ms later.",
      ]
    `);
    expect(notChecked).toEqual([
      {
        subject: 'psi-distance',
        check: 'delivery',
        why: 'deliver: probe sends nothing down its own path; deliver: real would',
      },
    ]);
    expect(find(findings, 'effective-threshold')).toMatchObject({
      limit: 0.2,
      interval: { low: 0.19, high: 0.21000000000000002, confidence: 1 },
      rule: { file: 'tocsin.yaml', line: 5 },
    });
  });

  test.each<[string, Partial<MetricAlarm>, Partial<DrillInput>]>([
    [
      'downwards',
      { comparison: 'LessThanThreshold', threshold: 0.9 },
      { intended: { fires: '< 0.9', within: '30m' } },
    ],
    ['below zero', { threshold: -5 }, { intended: { fires: '>= -5', within: '30m' } }],
    [
      'at zero',
      { threshold: 0, comparison: 'GreaterThanThreshold' },
      { intended: { fires: '> 0', within: '30m' }, scale: 2 },
    ],
    ['with one rung on the threshold', {}, { ladder: [0.95, 1, 2] }],
    [
      'strict, with one rung on the threshold',
      { comparison: 'GreaterThanThreshold' },
      { intended: { fires: '> 0.2', within: '30m' }, ladder: [0.5, 1, 1.05] },
    ],
    [
      'that holds its state',
      { missingData: 'ignore' },
      { intended: { fires: '>= 0.2', within: '30m', whenSilent: 'OK' } },
    ],
    [
      'whose dead metric is missing',
      { missingData: 'missing' },
      { intended: { fires: '>= 0.2', within: '30m', whenSilent: 'INSUFFICIENT_DATA' } },
    ],
    ['in a range', {}, { intended: { fires: '>= 0.2', within: '30m', range: { from: 0, to: 0.6 } } }],
    ['known only roughly, as asked', {}, { narrow: false, ladder: [0.5, 2] }],
  ])('%s', (_, alarm, config) => {
    const drill = drillOf(config);
    const { outcome, findings } = decide(measured(psiAlarm(alarm), drill), drill);
    expect(complaints(findings)).toEqual([]);
    expect(outcome).toBe('pass');
  });

  test('lists the rungs that the metric never comes to', () => {
    const drill = drillOf({ intended: { fires: '>= 0.2', within: '30m', range: { from: 0, to: 0.6 } } });
    expect(decide(measured(psiAlarm(), drill), drill).notChecked).toContainEqual({
      subject: 'rung 5x',
      check: 'ladder',
      why: '1 is outside of the range of the metric (tocsin.yaml:7)',
    });
  });
});

describe('the threshold', () => {
  test('of an alarm that was configured wrong has one finding, which names the rungs', () => {
    const alarm = psiAlarm({ threshold: 1 });
    const { outcome, findings, reason } = decide(measured(alarm), drillOf());
    expect(outcome).toBe('fail');
    expect(complaints(findings)).toEqual([reason]);
    expect(reason).toBe(
      'psi-distance fires somewhere between 0.95 and 1 (4.75 to 5 times the intended 0.2), and is to fire at >= 0.2 (tocsin.yaml:5): at 1.05x and 2x it stayed quiet.',
    );
    const finding = find(findings, 'effective-threshold');
    expect(finding).toMatchObject({ limit: 0.2, interval: { high: 1, confidence: 1 } });
    expect(finding.interval?.low).toBeCloseTo(0.95, 12);
    expect(finding.value).toBeCloseTo(0.975, 2);
    expect(finding.help).toMatch(/^Set the threshold of the alarm to 0.2 and its comparison to Greater/);
  });

  test('that CloudWatch holds otherwise than it says fails by rung, too', () => {
    const really = psiAlarm({ threshold: 0.08 });
    const { outcome, findings } = decide(measured(psiAlarm(), drillOf(), {}, really), drillOf());
    expect(outcome).toBe('fail');
    expect(complaints(findings)).toMatchInlineSnapshot(`
      [
        "psi-distance fires somewhere between 0.0759 and 0.0832 (0.3793 to 0.4159 times the intended 0.2), and is to fire at >= 0.2 (tocsin.yaml:5): at 0.5x and 0.95x it fired.",
        "psi-distance fires at 0.1 (0.5 times the intended 0.2) after 5.92 min, and is to stay quiet there: it is to fire at >= 0.2 (tocsin.yaml:5).",
        "psi-distance fires at 0.19 (0.95 times the intended 0.2) after 5.92 min, and is to stay quiet there: it is to fire at >= 0.2 (tocsin.yaml:5).",
        "CloudWatch did not do what its documentation says of psi-distance: at 0.5x it fired after 5.92 min, and was to stay quiet; at 0.95x it fired after 5.92 min, and was to stay quiet; at 0.4159x it fired after 5.92 min, and was to stay quiet; at 0.456x it fired after 5.92 min, and was to stay quiet.",
      ]
    `);
  });

  test.each<[string, Partial<MetricAlarm>, Partial<DrillInput>, RegExp]>([
    [
      'too low, between rungs that are right',
      { threshold: 0.13 },
      { ladder: [0.5, 2] },
      /fires somewhere between 0.124 and 0.137 \(0.6175 to 0.6825 times the intended 0.2\), and is to fire at >= 0.2/,
    ],
    [
      'out of sight',
      { threshold: 5000, evaluationPeriods: 40, datapointsToAlarm: 40 },
      {},
      /^psi-distance does not fire even at 5,250 \(26,250 times the intended 0.2\), and is to fire at >= 0.2 \(tocsin.yaml:5\): at 1.05x, 2x and 5x it stayed quiet\.$/,
    ],
    [
      'always beyond',
      { threshold: -1 },
      {},
      /^psi-distance fires already at 0.1 \(0.5 times the intended 0.2\), .*: at 0.5x and 0.95x it fired\.$/,
    ],
    [
      'the wrong way round',
      { comparison: 'LessThanThreshold' },
      {},
      /^psi-distance fires the wrong way round: at 0.5 times the intended threshold it is in ALARM and at 5 times it is not/,
    ],
    [
      'strict where it is not to be',
      { comparison: 'GreaterThanThreshold' },
      { ladder: [0.95, 1, 1.05] },
      /^psi-distance fires somewhere between 0.2 and 0.21 \(1 to 1.05 times the intended 0.2\), .*: at 1x it stayed quiet\.$/,
    ],
  ])('%s', (_, alarm, config, message) => {
    const drill = drillOf(config);
    const { outcome, findings } = decide(measured(psiAlarm(alarm), drill), drill);
    expect(outcome).toBe('fail');
    expect(find(findings, 'effective-threshold').message).toMatch(message);
  });

  test('is open where the bracket stays wide, and where one side was not drilled', () => {
    const wide = drillOf({ ladder: [0.5, 2] });
    const { rounds, ...rest } = measured(psiAlarm(), wide);
    expect(decide({ ...rest, rounds: rounds.slice(0, 1) }, wide)).toMatchObject({
      outcome: 'inconclusive',
      reason:
        'psi-distance fires somewhere between 0.1 and 0.4 (0.5 to 2 times the intended 0.2): that is too far apart to say whether it is >= 0.2 (tocsin.yaml:5).',
    });
    const quiet = drillOf({ ladder: [0.5, 0.9], narrow: false });
    expect(decide(measured(psiAlarm(), quiet), quiet)).toMatchObject({
      outcome: 'inconclusive',
      reason:
        'psi-distance stays quiet up to 0.18 (0.9 times the intended 0.2), and no rung on the other side of >= 0.2 was drilled (tocsin.yaml:5).',
    });
  });

  test('is open where rungs contradict each other', () => {
    const loud = measured().rounds[0]!.results[3]!.transitions;
    const { outcome, findings } = decide(
      changed(measured(), '0.5x', () => ({ transitions: loud })),
      drillOf(),
    );
    expect(outcome).toBe('fail');
    expect(find(findings, 'effective-threshold')).toMatchObject({
      outcome: 'inconclusive',
      message:
        'psi-distance fires at 0.5 times the intended threshold and is quiet at 0.95 times: the rungs contradict each other: at 0.5x it fired.',
    });
    expect(find(findings, 'ladder-quiet')).toMatchObject({ outcome: 'fail' });
  });
});

describe('rungs', () => {
  const slow = (m: number, within: string) => {
    const alarm = psiAlarm({ evaluationPeriods: m, datapointsToAlarm: m });
    const drill = drillOf({ intended: { fires: '>= 0.2', within } });
    return decide(measured(alarm, drill), drill);
  };

  test('that are late fail, with their times', () => {
    const { outcome, findings } = slow(5, '10m');
    expect(outcome).toBe('fail');
    expect(complaints(findings)).toEqual(
      ['0.21 (1.05', '0.4 (2', '1 (5'].map(
        (rung) =>
          `psi-distance fires at ${rung} times the intended 0.2) after 20.9 min, and is to fire within 10 min (tocsin.yaml:6).`,
      ),
    );
    expect(find(findings, 'effective-threshold').outcome).toBe('pass');
  });

  test('that are late by less than windows can show are warned of', () => {
    const { outcome, findings } = slow(5, '18m');
    expect(outcome).toBe('pass');
    expect(outcomes(findings).filter(([, one]) => one === 'warn')).toHaveLength(3);
    expect(complaints(findings)[0]).toMatch(/later, by less than a period and an evaluation of it\.$/);
  });

  test('that never fire say how long they were watched', () => {
    const { outcome, findings } = slow(30, '10m');
    expect(outcome).toBe('fail');
    expect(complaints(findings)).toMatchInlineSnapshot(`
      [
        "psi-distance does not fire even at 1 (5 times the intended 0.2), and is to fire at >= 0.2 (tocsin.yaml:5): at 1.05x, 2x and 5x it stayed quiet.",
        "psi-distance did not fire at 0.21 (1.05 times the intended 0.2) in the 15 min that it was watched: it was OK, and is to fire within 10 min (tocsin.yaml:6).",
        "psi-distance did not fire at 0.4 (2 times the intended 0.2) in the 15 min that it was watched: it was OK, and is to fire within 10 min (tocsin.yaml:6).",
        "psi-distance did not fire at 1 (5 times the intended 0.2) in the 15 min that it was watched: it was OK, and is to fire within 10 min (tocsin.yaml:6).",
      ]
    `);
  });

  test('that lost data points, or were fed late, show nothing', () => {
    const lost = changed(measured(), '2x', ({ samples }) => ({
      samples: { ...samples, seen: samples.published - 1 },
    }));
    expect(decide(lost, drillOf())).toMatchObject({
      outcome: 'inconclusive',
      reason: 'Rung 2x of psi-distance shows nothing: 12 data points were published, and CloudWatch has 11.',
    });
    const { rounds, ...rest } = measured();
    const late = { ...rest, rounds: rounds.map((round) => ({ ...round, lateTicks: 4 })) };
    expect(complaints(decide(late, drillOf()).findings)).toEqual([
      'Rungs 0.5x, 0.95x, 1.05x, 2x, 5x and silence of psi-distance show nothing: 4 of 12 data points were published too late.',
      'Where psi-distance begins to fire is not known: no rung shows anything.',
    ]);
  });

  test('that are in ALARM before anything drifts prove no time', () => {
    const early = changed(measured(), '2x', (_, { startedAt }) => ({
      transitions: [{ at: startedAt + MINUTE, from: 'INSUFFICIENT_DATA', to: 'ALARM' }],
      receipts: receiptsOf('x', { at: startedAt + MINUTE, from: 'INSUFFICIENT_DATA', to: 'ALARM' }),
    }));
    const { findings } = decide(early, drillOf());
    expect(find(findings, 'healthy').message).toBe(
      'psi-distance is ALARM at the usual value 0.05, before anything drifts (tocsin.yaml:2).',
    );
    expect(complaints(findings)).toContain(
      'psi-distance was in ALARM before it saw 0.4 (2 times the intended 0.2): how long it takes to fire is not known.',
    );
    expect(find(findings, 'recovery').message).toMatch(/did not come back to OK on rung 2x/);
  });
});

describe('silence and recovery', () => {
  test.each([
    [
      'notBreaching',
      'not OK',
      'OK',
      /nobody would notice that the emitter is dead\.$/,
      /breaching or missing/,
    ],
    ['notBreaching', 'ALARM', 'OK', /is to be ALARM/, /to breaching\.$/],
    [
      'breaching',
      'INSUFFICIENT_DATA',
      'ALARM',
      /silence is not told from what it stands for/,
      /to missing\.$/,
    ],
    ['missing', 'OK', 'INSUFFICIENT_DATA', /is to be OK/, /to notBreaching\.$/],
  ] as const)(
    'an alarm that treats missing data as %s is not %s',
    (missingData, whenSilent, state, message, help) => {
      const drill = drillOf({ intended: { fires: '>= 0.2', within: '30m', whenSilent } });
      const { outcome, findings } = decide(measured(psiAlarm({ missingData }), drill), drill);
      expect(outcome).toBe('fail');
      expect(find(findings, 'silence')).toMatchObject({ outcome: 'fail', observed: state });
      expect(find(findings, 'silence').message).toMatch(message);
      expect(find(findings, 'silence').help).toMatch(help);
    },
  );

  test('what takes longer than anybody waits is said', () => {
    const alarm = psiAlarm({
      periodS: 3600,
      evaluationPeriods: 24,
      datapointsToAlarm: 1,
      missingData: 'missing',
    });
    const drill = drillOf({ intended: { fires: '>= 0.2', within: '90m', every: '1h' } });
    const { findings, notChecked } = decide(measured(alarm, drill), drill);
    expect(complaints(findings)).toEqual([]);
    expect(notChecked.map(({ check, why }) => [check, why])).toMatchInlineSnapshot(`
      [
        [
          "silence",
          "the state that it stays in may take 1.08 d, and it was watched for 7.03 h: it was OK",
        ],
        [
          "recovery",
          "it takes longer than the 5 h that it was watched, or is not certain to happen",
        ],
        [
          "delivery",
          "deliver: probe sends nothing down its own path; deliver: real would",
        ],
      ]
    `);
  });

  test('an alarm that stays in ALARM fails', () => {
    const stuck = changed(measured(), '5x', ({ transitions }, round) => ({
      transitions: transitions.filter(({ at }) => at < phasesOf(round).driftEnd),
    }));
    expect(decide(stuck, drillOf())).toMatchObject({
      outcome: 'fail',
      reason:
        'psi-distance did not come back to OK on rung 5x, 10 min after its metric was back at the usual 0.05.',
    });
  });
});

describe('forecasts', () => {
  test('that CloudWatch does not keep to are warned of', () => {
    const delay = 10 * MINUTE;
    const late = changed(measured(), '2x', ({ transitions }, round) => {
      const moved = transitions.map((transition) =>
        transition.to === 'ALARM' && transition.at > phasesOf(round).onset
          ? { ...transition, at: transition.at + delay }
          : transition,
      );
      return { transitions: moved, receipts: moved.flatMap((transition) => receiptsOf('x', transition)) };
    });
    const { outcome, findings } = decide(late, drillOf());
    expect(outcome).toBe('pass');
    expect(complaints(findings)).toEqual([
      'CloudWatch did not do what its documentation says of psi-distance: at 2x it fired after 15.9 min, and was to after at most 5.92 min.',
    ]);
  });

  test('that hang on what is undocumented are said', () => {
    const alarm = psiAlarm({
      periodS: 60,
      evaluationPeriods: 4,
      datapointsToAlarm: 2,
      missingData: 'missing',
    });
    const drill = drillOf({
      intended: { fires: '>= 0.2', within: '30m', every: '3m', whenSilent: 'not OK' },
    });
    const { notChecked } = decide(measured(alarm, drill), drill);
    expect(notChecked.filter(({ check }) => check === 'forecast').map(({ why }) => why)).toEqual([
      expect.stringMatching(/^depends on undocumented behaviour: /),
    ]);
  });
});

describe('receipts', () => {
  test('that did not arrive fail, with what CloudWatch says', () => {
    const deaf = changed(measured(), '2x', ({ receipts }) => ({
      receipts: receipts.filter(({ state }) => state !== 'ALARM'),
      failedActions: ['AccessDenied on the key of the topic'],
    }));
    expect(decide(deaf, drillOf())).toMatchObject({
      outcome: 'fail',
      reason:
        '2 of 19 notifications of shadow alarms did not arrive (ALARM of 2x, ALARM of 2x); CloudWatch says: AccessDenied on the key of the topic.',
    });
  });

  test('that came twice are fine', () => {
    const twice = changed(measured(), '2x', ({ receipts }) => ({ receipts: [...receipts, ...receipts] }));
    expect(decide(twice, drillOf())).toEqual(decide(measured(), drillOf()));
  });

  test('of another time are none of this transition', () => {
    const old = changed(measured(), '2x', ({ receipts }) => ({
      receipts: receipts.map((receipt) => ({ ...receipt, changedAt: receipt.changedAt - MINUTE })),
    }));
    expect(find(decide(old, drillOf()).findings, 'receipts')).toMatchObject({
      outcome: 'fail',
      limit: 19,
      value: 15,
    });
  });
});

describe('deliver: real', () => {
  const drill = drillOf({ deliver: 'real' });
  const delivery = (change: Partial<Delivery> = {}): Delivery => ({
    topic: ONCALL,
    alarm: 'tocsin-drill-00c0ffee-0-real-1',
    receipt: {
      alarm: 'tocsin-drill-00c0ffee-0-real-1',
      state: 'ALARM',
      topic: ONCALL,
      changedAt: READ_AT,
      notifiedAt: READ_AT + 500,
      receivedAt: READ_AT + 700,
    },
    subscribers: 2,
    failedActions: [],
    ...change,
  });

  test.each<[string, Delivery[], string, string]>([
    [
      'received',
      [delivery()],
      'pass',
      'A message of psi-distance went down its own path: ml-oncall had it after 500 ms and passed it on 200 ms later, to 2 subscribers, too.',
    ],
    [
      'nobody is there',
      [delivery({ subscribers: 0 })],
      'fail',
      'Nobody hears psi-distance: its message arrived at arn:aws:sns:eu-central-1:111122223333:ml-oncall, which has no confirmed subscriber.',
    ],
    [
      'not received',
      [delivery({ receipt: null, failedActions: ['KMS access denied'] })],
      'fail',
      'A message of psi-distance to arn:aws:sns:eu-central-1:111122223333:ml-oncall did not arrive; CloudWatch says: KMS access denied.',
    ],
    [
      'not sent',
      [],
      'inconclusive',
      'Whether anybody hears psi-distance is not known: deliver is real (tocsin.yaml:7), and no message was sent.',
    ],
  ])('%s', (_, deliveries, outcome, message) => {
    const judgement = decide(measured(psiAlarm(), drill, { deliveries }), drill);
    expect(judgement.outcome).toBe(outcome);
    expect(find(judgement.findings, 'delivery').message).toBe(message);
  });
});

describe('what was not drilled', () => {
  const nothing = { rounds: [], deliveries: [], phases: [] };

  test('as asked is said', () => {
    const proved: Finding = {
      check: 'alarm',
      subject: 'x',
      outcome: 'pass',
      message: 'x',
      allowed: '',
      observed: '',
    };
    vi.mocked(proveReachable).mockReturnValue({ findings: [proved], notChecked: [] });
    const judgement = decide({ facts: factsOf(), ...nothing, notDrilled: PROOF_ONLY }, drillOf());
    expect(judgement).toMatchObject({
      outcome: 'pass',
      reason:
        'Drill distance-drift: alarm psi-distance is configured to fire as intended, at >= 0.2 within 30 min; it was not drilled (1 check).',
      notChecked: [{ subject: 'psi-distance', check: 'drill', why: PROOF_ONLY }],
    });
  });

  test.each([['the alarm was changed meanwhile.'], [null]])(
    'for another reason leaves it open: %s',
    (notDrilled) => {
      const judgement = decide({ facts: factsOf(), ...nothing, notDrilled }, drillOf());
      expect(judgement).toMatchObject({
        outcome: 'inconclusive',
        reason: `Whether psi-distance fires is not known: it was not drilled, since ${notDrilled === null ? 'nothing was measured' : 'the alarm was changed meanwhile'}.`,
      });
    },
  );

  test('and an alarm that there is not', () => {
    vi.mocked(proveReachable).mockRestore();
    const facts = { ...factsOf(), alarm: null, near: ['psi-distanse'] };
    const judgement = decide({ facts, ...nothing, notDrilled: 'there is no such alarm' }, drillOf());
    expect(judgement.outcome).toBe('fail');
    expect(judgement.findings[0]?.message).toMatch(/psi-distanse/);
  });
});

describe('the real alarm', () => {
  const live = drillOf({
    mode: 'live',
    live: { because: 'staging' },
    intended: {
      fires: '>= 0.2',
      within: '30m',
      metric: { namespace: 'ML/Drift', name: 'psi', dimensions: {} },
    },
  });
  const traffic = drillOf({
    mode: 'traffic',
    traffic: { endpoint: 'churn-staging', dataset: 'churn', features: ['distance'], feature: 'distance' },
  });
  const phase = (of: LivePhase['phase'], change: Partial<LivePhase> = {}): LivePhase => {
    const startedAt = READ_AT + { under: 0, over: 60, healthy: 120 }[of] * MINUTE;
    return {
      phase: of,
      startedAt,
      endedAt: startedAt + 35 * MINUTE,
      metric: [],
      transitions: [],
      state: of === 'over' ? 'ALARM' : 'OK',
      ...change,
    };
  };
  const fired = (minutes: number) => [
    { at: READ_AT + (60 + minutes) * MINUTE, from: 'OK', to: 'ALARM' } as const,
  ];
  const judge = (drill: LocatedDrill, phases: LivePhase[]) =>
    decide({ facts: factsOf(), rounds: [], deliveries: [], phases, notDrilled: null }, drill);
  const under = phase('under', { value: valueAt(live, 0.95) });
  const over = phase('over', { value: valueAt(live, 1.05), transitions: fired(6) });
  const healthy = phase('healthy');

  test('that fires as intended passes', () => {
    const judgement = judge(live, [under, over, healthy]);
    expect(judgement.outcome).toBe('pass');
    expect(judgement.findings.map(({ message }) => message)).toEqual([
      'psi-distance stays quiet at the value 0.19, for the 35 min that it was watched.',
      'psi-distance fires at the value 0.21 after 6 min, within 30 min.',
      'psi-distance is OK again 35 min after the drill let go of it.',
    ]);
    expect(judgement.notChecked.map(({ check }) => check)).toEqual(['delivery', 'ladder']);
  });

  test.each<[string, LivePhase[], string, string]>([
    [
      'fires too early',
      [
        { ...under, state: 'ALARM', transitions: [{ at: READ_AT + 7 * MINUTE, from: 'OK', to: 'ALARM' }] },
        over,
        healthy,
      ],
      'fail',
      'psi-distance fires after 7 min at the value 0.19, and is to fire at >= 0.2 (tocsin.yaml:5).',
    ],
    [
      'does not fire',
      [under, { ...over, transitions: [], state: 'OK' }, healthy],
      'fail',
      'psi-distance did not fire at the value 0.21 in the 35 min that it was watched: it was OK, and is to fire within 30 min (tocsin.yaml:6).',
    ],
    [
      'fires late',
      [under, { ...over, transitions: fired(37) }, healthy],
      'fail',
      'psi-distance fires at the value 0.21 after 37 min, and is to fire within 30 min (tocsin.yaml:6).',
    ],
    [
      'was in ALARM already',
      [under, { ...over, transitions: [] }, healthy],
      'inconclusive',
      'psi-distance was in ALARM before the value 0.21 began: whether it fires at it is not known.',
    ],
    [
      'does not come back',
      [under, over, { ...healthy, state: 'ALARM' }],
      'fail',
      'psi-distance is ALARM, 35 min after the drill let go of it: somebody may take it for real.',
    ],
    [
      'was not shown the loud value',
      [under],
      'inconclusive',
      'Whether psi-distance fires beyond the intended threshold is not known: that phase did not happen.',
    ],
  ])('that %s', (_, phases, outcome, message) => {
    expect(judge(live, phases)).toMatchObject({ outcome, reason: message });
  });

  const points = (value: number, from: number) =>
    [10, 20, 30].map((minutes) => ({ at: READ_AT + (from + minutes) * MINUTE, value }));
  const sent = (of: 'under' | 'over', drift: number, change: Partial<LivePhase> = {}) =>
    phase(of, { drift: { asked: drift, sent: drift * 1.02 }, records: 2000, failedRequests: 0, ...change });
  const quiet = sent('under', 0.1, { metric: points(0.11, 0) });
  const loud = sent('over', 0.4, { metric: points(0.38, 60), transitions: fired(22) });
  const calm = phase('healthy', { drift: { asked: 0, sent: 0 }, metric: points(0.01, 120) });

  test('at the end of a chain that works passes', () => {
    const judgement = judge(traffic, [quiet, loud, calm]);
    expect(judgement.outcome).toBe('pass');
    expect(judgement.findings.map(({ message }) => message)).toEqual([
      'psi-distance stays quiet at traffic that drifts by 0.102 (psi of distance), for the 35 min that it was watched; its metric came to 0.11.',
      'psi-distance fires at traffic that drifts by 0.408 (psi of distance), 12 min after its metric was first beyond the threshold, within 30 min.',
      'psi-distance is OK again 35 min after the drill let go of it.',
    ]);
  });

  test.each<[string, LivePhase[], string, RegExp]>([
    [
      'whose monitor is silent',
      [{ ...quiet, metric: [] }, { ...loud, metric: [], transitions: [], state: 'OK' }, calm],
      'fail',
      /^The monitor is silent: in the 35 min of traffic that drifts by 0.408 \(psi of distance\) no data point of psi-distance's metric came\.$/,
    ],
    [
      'whose monitor is deaf',
      [quiet, { ...loud, metric: points(0.03, 60), transitions: [], state: 'OK' }, calm],
      'fail',
      /^The monitor does not see traffic that drifts by 0.408 \(psi of distance\); its metric came to 0.03, so psi-distance did not fire/,
    ],
    [
      'whose alarm is deaf',
      [quiet, { ...loud, transitions: [], state: 'OK' }, calm],
      'fail',
      /^psi-distance did not fire at traffic that drifts by 0.408 .*; its metric came to 0.38: it was OK/,
    ],
    [
      'that is loud at little drift',
      [{ ...quiet, metric: points(0.3, 0), state: 'ALARM' }, loud, calm],
      'fail',
      /^psi-distance fires at traffic that drifts by 0.102 .*; its metric came to 0.3\.$/,
    ],
    [
      'whose endpoint refuses',
      [quiet, { ...loud, failedRequests: 1 }, calm],
      'inconclusive',
      /^1 of 20 requests of traffic that drifts by 0.408 \(psi of distance\) failed/,
    ],
    [
      'whose traffic was not as asked',
      [quiet, { ...loud, drift: { asked: 0.4, sent: 0.5 } }, calm],
      'inconclusive',
      /^The records of the phase over drifted by 0.5, and by 0.4 was asked for/,
    ],
  ])('at the end of a chain %s', (_, phases, outcome, message) => {
    const judgement = judge(traffic, phases);
    expect(judgement.outcome).toBe(outcome);
    expect(judgement.reason).toMatch(message);
  });

  test('that a monitor with a long window holds in ALARM is warned of', () => {
    const judgement = judge(traffic, [quiet, loud, { ...calm, state: 'ALARM' }]);
    expect(judgement.outcome).toBe('pass');
    expect(complaints(judgement.findings)).toHaveLength(1);
  });
});

describe('the judgement', () => {
  test('puts the worst first, and counts', () => {
    const alarm = psiAlarm({ threshold: 1, missingData: 'notBreaching' });
    const { reason, findings } = decide(measured(alarm), drillOf());
    expect(reason).toMatch(/^2 of 8 checks failed; first: psi-distance fires somewhere between/);
    expect(findings.map(({ outcome }) => outcome)).toEqual([
      'fail',
      'fail',
      ...findings.slice(2).map(() => 'pass'),
    ]);
  });

  test('holds with the static proof', () => {
    vi.mocked(proveReachable).mockRestore();
    const { outcome, findings } = decide(measured(), drillOf());
    expect(complaints(findings)).toEqual([]);
    expect(outcome).toBe('pass');
    const wrong = decide(measured(psiAlarm({ threshold: 1 })), drillOf());
    expect(outcomes(wrong.findings).filter(([, one]) => one !== 'pass')).toEqual([
      ['threshold', 'fail'],
      ['effective-threshold', 'fail'],
    ]);
  });

  test('does not depend on the order of what was measured', () => {
    const shuffled = <T>(items: readonly T[]) =>
      fc.shuffledSubarray([...items], { minLength: items.length, maxLength: items.length });
    const bases = [
      measured(),
      measured(psiAlarm({ threshold: 0.9 })),
      measured(psiAlarm(), drillOf(), {}, psiAlarm({ threshold: 0.08, missingData: 'notBreaching' })),
      changed(measured(), '2x', () => ({ receipts: [], failedActions: ['b', 'a'] })),
    ];
    const cases = fc.constantFrom(...bases).chain((base) =>
      fc
        .tuple(
          shuffled(base.rounds),
          fc.tuple(...base.rounds.map(({ results }) => shuffled(results))),
          fc.tuple(...base.rounds.map(({ plan }) => shuffled(plan.rungs))),
        )
        .map(([rounds, results, rungs]) => ({
          base,
          other: {
            ...base,
            rounds: rounds.map((round) => {
              const index = base.rounds.indexOf(round);
              return {
                ...round,
                plan: { ...round.plan, rungs: rungs[index]! },
                results: results[index]!.map((result) => ({
                  ...result,
                  receipts: result.receipts.toReversed(),
                  transitions: result.transitions.toReversed(),
                  failedActions: result.failedActions.toReversed(),
                })),
              };
            }),
          },
        })),
    );
    fc.assert(
      fc.property(cases, ({ base, other }) => {
        expect(decide(other, drillOf())).toEqual(decide(base, drillOf()));
      }),
      { numRuns: 30, seed: 6 },
    );
  });

  test('is what the effective threshold and the delay are: pass exactly where both are as intended', () => {
    const effective = fc.double({ min: Math.log(0.02), max: Math.log(60), noNaN: true }).map(Math.exp);
    const delays = fc.constantFrom<[number, boolean]>([2, true], [3, true], [12, false], [40, false]);
    fc.assert(
      fc.property(fc.oneof(fc.constant(1), effective), delays, (e, [m, punctual]) => {
        fc.pre(e === 1 || e < 0.94 || e > 1.06);
        const drill = drillOf();
        const alarm = psiAlarm({
          threshold: valueAt(drill, e),
          evaluationPeriods: m,
          datapointsToAlarm: m,
        });
        const { outcome } = decide(measured(alarm, drill), drill);
        expect(outcome).toBe(e === 1 && punctual ? 'pass' : 'fail');
      }),
      { numRuns: 40, seed: 7 },
    );
  });
});
