import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decide } from '../../../functions/rollback-drill/decide.ts';
import type { EndpointState } from '../../../functions/rollback-drill/endpoint.ts';
import { CHECKS } from '../../../functions/rollback-drill/judging.ts';
import type { Measurements, Timeline } from '../../../functions/rollback-drill/measurements.ts';
import type { Finding, Judgement } from '../../../functions/shared/verdict.ts';
import {
  type Answering,
  bad,
  CONFIG,
  CONFIG_SHA,
  deployed,
  drillOf,
  FINGERPRINTS,
  GUARDED,
  LAMBDA,
  measuredOf,
  nobody,
  other,
  type Played,
  previous,
  procedureOf,
  type RollbackDrillInput,
  restorationOf,
  STATES,
  snapshotOf,
  stateOf,
  T0,
  timelineOf,
  UNTOUCHED,
} from '../../support/rollback-facts.ts';

const S = 1000;

interface Case {
  measured?: Partial<Measurements>;
  played?: Played;
  drill?: Partial<RollbackDrillInput>;
}

function judge({ measured = {}, played = {}, drill = {} }: Case = {}): Judgement {
  return decide(measuredOf(measured), timelineOf(played), drillOf(drill));
}

function find({ findings }: Judgement, check: string): Finding {
  const found = findings.find((finding) => finding.check === check);
  if (!found)
    throw new Error(`no finding ${check}; there are ${findings.map((one) => one.check).join(', ')}`);
  return found;
}

/** What did not pass. */
function complaints({ findings }: Judgement): string[] {
  return findings
    .filter(({ outcome }) => outcome !== 'pass')
    .map(({ check, outcome, message }) => `${outcome} ${check}: ${message}`);
}

/** Nothing comes back. */
const stuck: Answering = (second) => (second >= 2 ? bad : previous);
const stuckStates = [[0, stateOf([0, 1])]] as const;
const candidateServes = { state: stateOf([0, 1]), configSha256: CONFIG_SHA };
const restored = restorationOf({ outcome: 'restored', actions: ['weights set: primary 1, candidate 0'] });

describe('a procedure that works', () => {
  test('passes, with the numbers of each check', () => {
    const judgement = judge();
    expect(judgement.outcome).toBe('pass');
    expect(judgement.reason).toBe(
      'Drill flight-delay: 4 s after the procedure began the previous model (3fa2c1d0) answered everything again, 350 requests, none lost.',
    );
    expect(judgement.findings.map(({ check, message }) => `${check}: ${message}`)).toMatchInlineSnapshot(`
      [
        "restored: flight-delay-staging is as it was found, and the previous model 3fa2c1d0 (variant primary) answers: nothing had to be restored.",
        "bad-model-serves: The failure was real (all traffic to variant candidate): the bad model 9b1f02aa (variant candidate) gave 100% of 90 answers from its first one until the procedure began.",
        "procedure: The Lambda function rollback ended well after 3 s.",
        "previous-model-serves: From 4 s after the procedure began every answer of flight-delay-staging is that of the previous model 3fa2c1d0 (variant primary): 330 answers.",
        "recovery-time: The previous model answered everything again 4 s after the procedure began, within 10 min.",
        "wrong-model-after-rollback: None of 330 answers after the rollback was done is another model's.",
        "lost-requests: None of 350 requests was lost from the start of the procedure on.",
        "steady: flight-delay-staging stayed so for 1.1 min: no wrong answer, and nothing changed.",
        "configuration: flight-delay-staging is on its endpoint configuration from before, flight-delay-7, which says the same.",
        "images: Each variant runs the images from before, by digest.",
        "weights: The traffic is split as before.",
        "capacity: Each variant has its instances from before.",
      ]
    `);
    expect(judgement.notChecked).toEqual([
      {
        subject: 'golden requests',
        check: 'previous-model-serves',
        why: 'the bad model answers 1 of 3 golden requests as the previous one does: these tell nothing',
      },
    ]);
    expect(find(judgement, 'recovery-time')).toMatchObject({
      limit: 600 * S,
      value: 4 * S,
      rule: { line: 10 },
    });
  });

  test('passes where it needs one of the allowances, and says how much of it', () => {
    const judgement = judge({
      drill: { allow: { errorRate: '1%', wrongModelAfterRollback: 2 } },
      played: {
        answering: (second) => (second === 25 || second === 26 ? bad : second === 30 ? nobody() : {}),
      },
    });
    expect(judgement.outcome).toBe('pass');
    expect(find(judgement, 'wrong-model-after-rollback').message).toBe(
      "2 of 329 answers after the rollback was done are another model's, the last one 2 s after it; at most 2 allowed (tocsin.yaml:13).",
    );
    expect(find(judgement, 'lost-requests').message).toBe(
      '1 of 350 requests (0.286%) got no answer from the start of the procedure on: ThrottlingException once; at most 1% allowed (tocsin.yaml:12).',
    );
    expect(judgement.reason).toMatch(/: 6\.2 s after .*, 350 requests, 1 lost\.$/);
  });

  test('passes with a warning where the configuration has another name', () => {
    const again = stateOf([1, 0], { config: 'tocsin-rollback-1' });
    const judgement = judge({ measured: { after: { state: again, configSha256: CONFIG_SHA } } });
    expect(judgement.outcome).toBe('pass');
    expect(complaints(judgement)).toEqual([
      'warn configuration: flight-delay-staging is on the endpoint configuration tocsin-rollback-1, which says the same as flight-delay-7 from before.',
    ]);
    expect(judgement.reason).toMatch(/none lost \(12 checks, 1 with a warning\)\.$/);
  });

  test("says of Tocsin's own what it does not prove", () => {
    const { notChecked, findings } = judge({ drill: { procedure: { builtin: 'weights' } } });
    expect(notChecked).toContainEqual({
      subject: "Tocsin's rollback to the former weights",
      check: 'procedure',
      why: 'that people find the right target by themselves is not drilled: builtin is given it',
    });
    expect(findings.find(({ check }) => check === 'procedure')?.outcome).toBe('pass');
  });

  test('on production quotes why it may be drilled', () => {
    const because = 'no staging has two variants; agreed with on-call';
    const allowProduction = { endpoint: 'flight-delay-staging', because };
    const judgement = judge({ drill: { allowProduction } });
    expect(find(judgement, 'production').message).toBe(
      `flight-delay-staging was drilled as production, which tocsin.yaml:11 allows: "${because}".`,
    );
    expect(judgement.reason).toMatch(
      /none lost\. Production was drilled: "no staging has two variants; agreed with on-call"\.$/,
    );
    expect(find(judge({ drill: { allowProduction }, measured: { after: null } }), 'production').outcome).toBe(
      'pass',
    );
    expect(
      judge({ drill: { allowProduction }, measured: { ...UNTOUCHED, notDrilled: 'x' } }).findings,
    ).toHaveLength(1);
  });

  test('with part of the traffic says how much the bad model had', () => {
    const half: Answering = (second) => (second >= 2 && second < 24 && (second * 5) % 2 < 1 ? bad : previous);
    const judgement = judge({
      drill: { failure: { shiftTraffic: { to: 'candidate', share: '50%' } } },
      played: { answering: half },
    });
    expect(complaints(judgement)).toEqual([]);
    expect(find(judgement, 'bad-model-serves').message).toMatch(
      /gave 50% of 90 answers from its first one until the procedure began; it was to have 50% of the traffic \(tocsin\.yaml:\d+\)\.$/,
    );
  });
});

describe('what still serves', () => {
  test('the bad variant, after a procedure that failed', () => {
    const judgement = judge({
      measured: {
        procedure: procedureOf({ outcome: 'failed', said: 'ValidationException: there is no variant main.' }),
        after: candidateServes,
        restoration: restored,
      },
      played: { answering: stuck, states: stuckStates },
    });
    expect(judgement.outcome).toBe('fail');
    expect(complaints(judgement)).toMatchInlineSnapshot(`
      [
        "fail procedure: The Lambda function rollback failed after 3 s: ValidationException: there is no variant main.",
        "fail previous-model-serves: flight-delay-staging is not back on the previous model 3fa2c1d0 (variant primary): variant candidate answers with the bad model's predictions (9b1f02aa): 335 of 335 requests (100%).",
        "fail weights: Variant candidate has 100% of the traffic instead of 0%; variant primary has 0% of the traffic instead of 100%.",
      ]
    `);
    expect(judgement.reason).toMatch(/^3 of 9 checks failed; first: The Lambda function rollback failed/);
    expect(judgement.notChecked.map(({ check, why }) => `${check}: ${why}`)).toMatchInlineSnapshot(`
      [
        "recovery-time: the previous model does not serve again",
        "wrong-model-after-rollback: the procedure did not end well",
        "steady: the previous model does not serve again",
        "previous-model-serves: the bad model answers 1 of 3 golden requests as the previous one does: these tell nothing",
      ]
    `);
    expect(find(judgement, 'previous-model-serves').help).toContain(
      'variants candidate; primary; configuration flight-delay-7',
    );
  });

  test('the bad variant, after a procedure that reports success and does nothing', () => {
    const judgement = judge({
      measured: { after: candidateServes, restoration: restored },
      played: { answering: stuck, states: stuckStates },
    });
    expect(find(judgement, 'procedure').outcome).toBe('pass');
    expect(find(judgement, 'previous-model-serves')).toMatchObject({
      outcome: 'fail',
      value: 0,
      observed: 'bad 100%',
      help: expect.stringContaining('The procedure reports success all the same'),
    });
    expect(find(judgement, 'wrong-model-after-rollback')).toMatchObject({
      outcome: 'fail',
      limit: 0,
      value: 335,
    });
  });

  test('the wrong model under the right name', () => {
    const wrong: Answering = (second) => (second >= 24 ? { ...bad, variant: 'primary' } : {});
    const now = stateOf([1, 0], { config: 'flight-delay-8' });
    const judgement = judge({
      measured: { after: { state: now, configSha256: 'e'.repeat(64) }, restoration: restored },
      played: { answering: wrong, states: [...STATES.slice(0, 2), [24, now]] },
    });
    expect(find(judgement, 'previous-model-serves').message).toBe(
      "flight-delay-staging is not back on the previous model 3fa2c1d0 (variant primary): variant primary answers, under its old name, with the bad model's predictions (9b1f02aa): 330 of 330 requests (100%).",
    );
    expect(find(judgement, 'configuration').message).toBe(
      'flight-delay-staging is on the endpoint configuration flight-delay-8, and was on flight-delay-7, which says something else.',
    );
    expect(find(judgement, 'weights').outcome).toBe('pass');
  });

  test('a model that nobody knows, beside the previous one', () => {
    const mixed: Answering = (second) => (second >= 24 && second % 1 < 0.3 ? other : {});
    expect(find(judge({ played: { answering: mixed } }), 'previous-model-serves').message).toMatch(
      /: variant primary answers, under its old name, with predictions of neither the previous nor the bad model: 132 of 330 requests \(40%\); variant primary answers 198 of 330 requests \(60%\) with the previous model's predictions \(3fa2c1d0\)\.$/,
    );
  });

  test('half of it, with weights that were brought back by half', () => {
    const half: Answering = (second) => (second >= 24 && (second * 5) % 2 < 1 ? bad : {});
    const now = stateOf([1, 1]);
    const judgement = judge({
      measured: { after: { state: now, configSha256: CONFIG_SHA }, restoration: restored },
      played: { answering: half, states: [...STATES.slice(0, 2), [24, now]] },
    });
    expect(find(judgement, 'previous-model-serves')).toMatchObject({
      value: 0.5,
      observed: 'bad 50%, previous 50%',
    });
    expect(find(judgement, 'weights').message).toBe(
      'Variant candidate has 50% of the traffic instead of 0%; variant primary has 50% of the traffic instead of 100%.',
    );
  });

  test('nobody', () => {
    const dark: Answering = (second) =>
      second >= 40 ? nobody(second < 41 ? 'TimeoutError' : 'ModelError 500') : {};
    const judgement = judge({ played: { answering: dark } });
    expect(find(judgement, 'previous-model-serves').message).toMatch(
      /\(variant primary\): nobody answers 250 of 330 requests \(75\.8%\): ModelError 500 245 times; TimeoutError 5 times; variant primary answers 80 of/,
    );
    expect(find(judgement, 'lost-requests')).toMatchObject({ outcome: 'fail', limit: 0, value: 250 / 350 });
  });

  test('nobody, since the endpoint was deleted', () => {
    const judgement = judge({
      measured: {
        after: null,
        restoration: restorationOf({
          outcome: 'failed',
          state: null,
          answers: null,
          why: 'somebody has deleted it',
        }),
      },
      played: {
        answering: (second) => (second >= 22 ? nobody('ValidationError') : {}),
        states: [...STATES.slice(0, 2), [22, null]],
      },
    });
    expect(complaints(judgement)).toMatchInlineSnapshot(`
      [
        "fail restored: flight-delay-staging is not as it was found: there is no such endpoint any more; restoring it failed: somebody has deleted it.",
        "fail previous-model-serves: flight-delay-staging is not back on the previous model 3fa2c1d0 (variant primary): there is no such endpoint any more, so nobody answers.",
        "fail lost-requests: 340 of 350 requests (97.1%) got no answer from the start of the procedure on: ValidationError 340 times; at most 0% allowed (tocsin.yaml:2).",
        "fail configuration: flight-delay-staging is gone: SageMaker knows no such endpoint any more; it had the configuration flight-delay-7.",
      ]
    `);
    expect(find(judgement, 'restored').help).toContain(
      'Tocsin cannot restore it. By hand: make it anew, with its tags: aws sagemaker create-endpoint --endpoint-name flight-delay-staging --endpoint-config-name flight-delay-7 --tags Key=tocsin:drill,Value=allowed.',
    );
    expect(judgement.notChecked).toContainEqual(
      expect.objectContaining({ check: 'images', why: 'there is no endpoint any more' }),
    );
  });

  test('nobody, since the endpoint is Failed', () => {
    const failed = stateOf([1, 0], {
      status: 'Failed',
      failureReason: 'The image is gone.',
      config: 'flight-delay-8',
    });
    const judgement = judge({
      measured: {
        after: { state: failed, configSha256: 'e'.repeat(64) },
        restoration: restorationOf({
          outcome: 'failed',
          state: failed,
          answers: null,
          why: 'an endpoint that is Failed can only be deleted',
        }),
      },
      played: {
        answering: (second) => (second >= 22 ? nobody('ValidationError') : {}),
        states: [...STATES.slice(0, 2), [24, failed]],
      },
    });
    expect(find(judgement, 'previous-model-serves').message).toMatch(
      /: it is Failed on flight-delay-8 \(The image is gone\), so nobody answers\.$/,
    );
    expect(find(judgement, 'configuration').outcome).toBe('fail');
    expect(find(judgement, 'restored').message).toBe(
      'flight-delay-staging is not as it was found: it is Failed on flight-delay-8 (The image is gone); restoring it failed: an endpoint that is Failed can only be deleted.',
    );
    expect(find(judgement, 'restored').help).toMatch(
      /^Tocsin cannot restore it\. By hand: delete it, .*: aws sagemaker delete-endpoint .* aws sagemaker create-endpoint .* --tags Key=tocsin:drill,Value=allowed\./,
    );
    expect(judgement.notChecked).toEqual(
      expect.arrayContaining(
        ['images', 'weights', 'capacity'].map((check) =>
          expect.objectContaining({ check, why: 'an endpoint that is Failed has no fleet' }),
        ),
      ),
    );
    expect(judgement.findings[0]?.check).toBe('restored');
  });

  test('a mix, after an update that could not be taken back', () => {
    const mixed = stateOf([1, 0], { status: 'UpdateRollbackFailed' });
    const judgement = judge({
      measured: { after: { state: mixed, configSha256: CONFIG_SHA } },
      played: {
        answering: (second) => (second >= 24 && second % 1 < 0.1 ? bad : {}),
        states: [...STATES.slice(0, 2), [24, mixed]],
      },
    });
    expect(find(judgement, 'previous-model-serves').message).toMatch(
      /; it is UpdateRollbackFailed on flight-delay-7\.$/,
    );
    expect(find(judgement, 'configuration')).toMatchObject({
      outcome: 'fail',
      help: expect.stringContaining('a mix of models'),
    });
  });

  test('is not known where too few answers tell', () => {
    const few: Answering = (second) => (second >= 24 ? { who: 'either' } : {});
    expect(find(judge({ played: { answering: few } }), 'previous-model-serves')).toMatchObject({
      outcome: 'inconclusive',
      message: expect.stringMatching(/is not known: 0 answers of it since .*, and 5 are needed\.$/),
      help: expect.stringContaining('traffic.perSecond, tocsin.yaml:'),
    });
  });
});

describe('a faulty model', () => {
  const drill = deployed(true);
  const faulty =
    (from: number, to: number): Answering =>
    (second) =>
      second >= from && second < to ? nobody('ModelError 500') : previous;

  test('is known by its errors, which count as its answers and are not lost', () => {
    const judgement = judge({ drill, played: { answering: faulty(2, 24) } });
    expect(complaints(judgement)).toEqual([]);
    expect(find(judgement, 'bad-model-serves').observed).toBe('100%');
    expect(find(judgement, 'recovery-time').value).toBe(4 * S);
    expect(find(judgement, 'lost-requests').message).toBe(
      'None of 350 requests was lost from the start of the procedure on; 20 errors of the bad model, which is faulty, not counted.',
    );
  });

  test('that goes on is told as such', () => {
    const judgement = judge({
      drill,
      played: { answering: faulty(2, 99), states: stuckStates },
      measured: { after: candidateServes },
    });
    expect(find(judgement, 'previous-model-serves').message).toMatch(
      /: the bad model answers 335 of 335 requests \(100%\) with errors: ModelError 500 335 times\.$/,
    );
  });

  test('excuses no request that was lost otherwise, nor an error of one that is not faulty', () => {
    const throttled = judge({
      drill,
      played: {
        answering: (second) => (second < 24 ? faulty(2, 23)(second) : second === 50 ? nobody() : previous),
      },
    });
    expect(find(throttled, 'lost-requests').outcome).toBe('fail');
    const healthy = judge({
      drill: deployed(),
      played: { answering: (second) => (second >= 22 && second < 24 ? nobody('ModelError 500') : {}) },
    });
    expect(find(healthy, 'lost-requests').value).toBe(10 / 350);
  });
});

describe('a guardrail', () => {
  const guarded = {
    drill: GUARDED,
    measured: {
      original: snapshotOf({ guardrail: ['flight-delay-5xx'], deployed: true }),
      fingerprints: FINGERPRINTS.slice(0, 1),
      telling: [],
      failure: {
        kind: 'breakGuardrail' as const,
        what: 'the same model deployed anew',
        begunAt: T0,
        state: stateOf([1, 0], { status: 'Updating', pending: 'tocsin-drill-1' }),
        servesAt: T0 + 10 * S,
        why: null,
      },
      procedure: procedureOf({ kind: 'guardrail', endedAt: T0 + 24 * S }),
    },
    played: { answering: () => previous },
  } satisfies Case;

  test('that rolls back by itself passes, timed by when it had', () => {
    const judgement = judge(guarded);
    expect(complaints(judgement)).toEqual([]);
    expect(judgement.reason).toBe(
      'Drill flight-delay: 4 s after the alarm flight-delay-5xx was set off the guardrail had rolled back, and the previous model (3fa2c1d0) answered everything, 350 requests, none lost.',
    );
    expect(find(judgement, 'procedure').message).toBe('The guardrail rolled back by itself after 4 s.');
    expect(find(judgement, 'bad-model-serves').message).toBe(
      'A deployment of flight-delay-staging was under way when the alarm flight-delay-5xx was set off.',
    );
    expect(find(judgement, 'guardrail').outcome).toBe('pass');
    expect(judgement.notChecked).toEqual([
      {
        subject: 'answers',
        check: 'previous-model-serves',
        why: 'which deployment answers: both are of the previous model',
      },
    ]);
  });

  test('answers that both deployments would give are right ones', () => {
    expect(judge({ ...guarded, played: { answering: () => ({ ...previous, who: 'either' }) } }).outcome).toBe(
      'pass',
    );
  });

  test('that does not roll back fails, though the same model answers', () => {
    const now = stateOf([1, 0], { config: 'tocsin-drill-1' });
    const judgement = judge({
      ...guarded,
      measured: {
        ...guarded.measured,
        procedure: procedureOf({
          kind: 'guardrail',
          outcome: 'failed',
          said: 'the deployment went through, whatever its alarm said',
        }),
        after: { state: now, configSha256: CONFIG_SHA },
      },
    });
    expect(find(judgement, 'procedure').message).toBe(
      'The guardrail did not roll back by itself after 3 s: the deployment went through, whatever its alarm said.',
    );
    expect(find(judgement, 'previous-model-serves').outcome).toBe('pass');
    expect(judgement.notChecked).toContainEqual(
      expect.objectContaining({ check: 'recovery-time', why: 'the guardrail has not rolled back' }),
    );
  });

  test('of which SageMaker says what it was passes with that; where that is something else nothing is known', () => {
    const ended = (outcome: 'succeeded' | 'unknown', said: string) =>
      judge({
        ...guarded,
        measured: {
          ...guarded.measured,
          procedure: procedureOf({ kind: 'guardrail', endedAt: T0 + 24 * S, outcome, said }),
        },
      });
    const why = 'The alarm flight-delay-5xx is in ALARM.';
    expect(find(ended('succeeded', why), 'procedure').message).toBe(
      'The guardrail rolled back by itself after 4 s: The alarm flight-delay-5xx is in ALARM.',
    );
    const judgement = ended('unknown', 'Insufficient capacity.');
    expect(complaints(judgement)).toEqual([
      'inconclusive procedure: Whether the guardrail rolls back by itself is not known: the deployment was taken back after 4 s for a reason that names no alarm: Insufficient capacity.',
    ]);
    expect(judgement.notChecked).toContainEqual(
      expect.objectContaining({
        check: 'recovery-time',
        why: 'the guardrail has not rolled back, as far as anybody knows',
      }),
    );
  });

  test('without the alarm fails, and says how to set it', () => {
    const original = snapshotOf({ guardrail: ['latency'] });
    const finding = find(judge({ ...guarded, measured: { ...guarded.measured, original } }), 'guardrail');
    expect(finding.message).toMatch(
      /does not have flight-delay-5xx \(tocsin\.yaml:6\) as an alarm of its guardrail: it has latency, so nothing/,
    );
    expect(finding.help).toContain('"Alarms":[{"AlarmName":"flight-delay-5xx"}]');
  });

  test('whose alarm was never set off proves nothing, though a deployment was under way', () => {
    const failure = { ...guarded.measured.failure, servesAt: null };
    const measured = { ...guarded.measured, failure, procedure: null, after: null };
    expect(judge({ ...guarded, measured }).outcome).toBe('inconclusive');
  });

  test('without a deployment nothing is proven', () => {
    const failure = {
      ...guarded.measured.failure,
      state: stateOf(),
      servesAt: null,
      why: 'the endpoint refused it',
    };
    expect(complaints(judge({ ...guarded, measured: { ...guarded.measured, failure } }))).toEqual([
      'inconclusive bad-model-serves: Nothing was proven: no deployment of flight-delay-staging was under way that the guardrail could have taken back: the endpoint refused it.',
    ]);
  });
});

describe('the procedure', () => {
  test.each<
    [string, Partial<RollbackDrillInput>, Partial<Measurements['procedure'] & object>, string, string]
  >([
    [
      'Lambda',
      {},
      { said: null, outcome: 'failed' },
      'fail',
      'The Lambda function rollback failed after 3 s, and says nothing of why.',
    ],
    [
      'with an alias',
      { procedure: { lambda: `${LAMBDA}:live` } },
      {},
      'pass',
      'The Lambda function rollback:live ended well after 3 s.',
    ],
    [
      'runbook',
      { procedure: { ssmAutomation: { document: 'Roll-Back' } } },
      { outcome: 'timed-out', endedAt: null, said: 'it is InProgress' },
      'fail',
      'The runbook Roll-Back had not ended when the time was up: it is InProgress.',
    ],
    [
      'state machine',
      { procedure: { stateMachine: 'arn:aws:states:eu-west-1:111122223333:stateMachine:rollback' } },
      { outcome: 'unknown', said: null },
      'inconclusive',
      'How the state machine rollback ended is not known: the drill lost sight of it, and does not start it twice.',
    ],
    [
      'that goes on',
      {},
      { endedAt: null },
      'fail',
      'The Lambda function rollback had not ended when the time was up.',
    ],
    [
      'guardrail',
      GUARDED,
      { kind: 'guardrail', outcome: 'timed-out' },
      'fail',
      'The guardrail had not rolled back by itself when the time was up after 3 s.',
    ],
  ])('%s', (_, drill, procedure, outcome, message) => {
    const judgement = judge({ drill, measured: { procedure: procedureOf(procedure) } });
    expect(find(judgement, 'procedure')).toMatchObject({ outcome, message });
  });

  test('that was not run leaves the verdict open', () => {
    const judgement = judge({ measured: { procedure: null } });
    expect(judgement.outcome).toBe('inconclusive');
    expect(complaints(judgement)).toEqual([
      'inconclusive procedure: The Lambda function rollback was not run.',
    ]);
  });
});

describe('how long it took', () => {
  test('may be all the time that there is', () => {
    const procedure = procedureOf({ begunAt: T0 + 14 * S });
    const exact = decide(measuredOf({ procedure }), timelineOf(), drillOf({ within: '10s' }));
    expect(find(exact, 'recovery-time')).toMatchObject({ outcome: 'pass', value: 10 * S, limit: 10 * S });
  });

  test('too long fails, also by the least', () => {
    const late = judge({
      drill: { within: '10s' },
      played: { answering: (second) => (second >= 24 && second < 40 ? bad : {}) },
    });
    expect(find(late, 'recovery-time').message).toBe(
      'The rollback took 20 s from the start of the procedure until the previous model answered everything; at most 10 s is allowed (tocsin.yaml:10).',
    );
    const barely = measuredOf({ procedure: procedureOf({ begunAt: T0 + 14 * S - 1 }) });
    const finding = find(decide(barely, timelineOf(), drillOf({ within: '10s' })), 'recovery-time');
    expect(finding).toMatchObject({ outcome: 'fail', value: 10_001 });
    expect(finding.message).toContain('took 10 s and 1 ms from');
  });

  test('is not told where it never came', () => {
    const { notChecked } = judge({ played: { answering: stuck, states: stuckStates } });
    for (const check of ['recovery-time', 'steady']) {
      expect(notChecked).toContainEqual(
        expect.objectContaining({ check, why: 'the previous model does not serve again' }),
      );
    }
  });
});

describe('wrong answers after the rollback', () => {
  test('count from when nothing changes any more, not from when the procedure ended', () => {
    const slow: Answering = (second) => (second >= 24 && second < 40 ? bad : {});
    const states = [...STATES.slice(0, 2), [40, stateOf()]] as const;
    expect(find(judge({ played: { answering: slow, states } }), 'wrong-model-after-rollback').outcome).toBe(
      'pass',
    );
    expect(find(judge({ played: { answering: slow } }), 'wrong-model-after-rollback')).toMatchObject({
      outcome: 'fail',
      value: 80,
    });
  });

  test.each<[string, Case, string]>([
    [
      'the procedure did not end well',
      { measured: { procedure: procedureOf({ outcome: 'unknown' }) } },
      'the procedure did not end well',
    ],
    [
      'the endpoint still changes',
      { played: { states: STATES.slice(0, 2) } },
      'the endpoint was still changing when watching ended',
    ],
    [
      'nobody answers',
      { played: { answering: (second) => (second >= 24 ? nobody() : {}) } },
      'no request was answered after the rollback was done',
    ],
  ])('are not counted where %s', (_, change, why) => {
    expect(judge(change).notChecked).toContainEqual(
      expect.objectContaining({ check: 'wrong-model-after-rollback', why }),
    );
  });
});

describe('lost requests', () => {
  test('are told with their number where they are few', () => {
    const judgement = judge({
      played: { perSecond: 0.2, answering: (second) => (second === 30 ? nobody() : {}) },
    });
    expect(find(judgement, 'lost-requests').message).toMatch(
      /^1 of 14 requests \(7\.14%\) got no answer .*: ThrottlingException once; at most 0% allowed \(tocsin\.yaml:2\); so few requests tell little\.$/,
    );
  });

  test('are not known without any request', () => {
    const slices = timelineOf().slices.map((slice) => ({ ...slice, requests: [] }));
    expect(find(decide(measuredOf(), { marks: [], slices }, drillOf()), 'lost-requests').outcome).toBe(
      'inconclusive',
    );
  });

  test('that came while the endpoint was restored do not count', () => {
    const restoration = restorationOf({ begunAt: T0 + 85 * S });
    const judgement = judge({
      measured: { restoration },
      played: { answering: (second) => (second >= 85 ? nobody() : {}) },
    });
    expect(find(judgement, 'lost-requests').outcome).toBe('pass');
    expect(find(judgement, 'steady').value).toBe(61 * S);
  });
});

describe('steady', () => {
  test('is nothing that nobody has watched', () => {
    const { marks, slices } = timelineOf();
    // As after an execution that lay idle; a pause of one slice is none.
    const watched = (idle: number) =>
      decide(
        measuredOf(),
        { marks, slices: slices.filter(({ from }) => from < T0 + 40 * S || from >= T0 + (40 + idle) * S) },
        drillOf(),
      );
    expect(find(watched(10), 'steady').outcome).toBe('pass');
    expect(find(watched(40), 'steady')).toMatchObject({ outcome: 'inconclusive', value: 26 * S });
  });

  test('is not known where watching ended before', () => {
    expect(find(judge({ played: { until: 60 } }), 'steady')).toMatchObject({
      outcome: 'inconclusive',
      message:
        'Whether flight-delay-staging stays so is not known: it was watched for 36 s after the last wrong answer, and was to be for 1 min (tocsin.yaml:2).',
    });
  });

  test('begins anew with each wrong answer and each change', () => {
    const again = judge({
      drill: { allow: { wrongModelAfterRollback: 1 } },
      played: { answering: (second) => (second === 50 ? bad : {}) },
    });
    expect(find(again, 'steady')).toMatchObject({ outcome: 'inconclusive', value: 39_800 });
    const scaled = judge({ played: { states: [...STATES, [50, stateOf([1, 0], { failureReason: 'x' })]] } });
    expect(find(scaled, 'steady')).toMatchObject({ outcome: 'inconclusive', value: 40 * S });
    expect(find(scaled, 'steady').message).toContain('after it last changed');
  });

  test('is not known where the endpoint still changes', () => {
    expect(find(judge({ played: { states: STATES.slice(0, 2) } }), 'steady').message).toMatch(
      /: it was still Updating on flight-delay-7 when watching ended/,
    );
  });
});

describe('an endpoint that is as it was found', () => {
  test('but for its images, which a tag names, warns', () => {
    const [primary, ...others] = stateOf().variants.toReversed();
    const state = { ...stateOf(), variants: [...others, { ...primary!, images: ['flight@sha256:9'] }] };
    const judgement = judge({ measured: { restoration: restorationOf({ outcome: 'restored', state }) } });
    expect(judgement.outcome).toBe('pass');
    expect(find(judgement, 'restored')).toMatchObject({
      outcome: 'warn',
      message: expect.stringContaining('; but variant primary runs flight@sha256:9 instead of '),
    });
  });

  test.each<[string, Partial<Measurements['procedure'] & object>, 'warn' | 'pass']>([
    ['a function that has not answered', { outcome: 'timed-out' }, 'warn'],
    ["Tocsin's own that has not ended", { kind: 'builtin', outcome: 'timed-out' }, 'warn'],
    ['one that the drill has lost sight of', { kind: 'stateMachine', outcome: 'unknown' }, 'warn'],
    ['one that was stopped', { kind: 'stateMachine', outcome: 'timed-out' }, 'pass'],
    ['one that has failed', { outcome: 'failed' }, 'pass'],
  ])('may be changed once more by %s', (_, procedure, outcome) => {
    const finding = find(judge({ measured: { procedure: procedureOf(procedure) } }), 'restored');
    expect(finding.outcome).toBe(outcome);
    expect(finding.message.includes('; but its procedure may still run, and change it once more.')).toBe(
      outcome === 'warn',
    );
  });
});

describe('what the endpoint says of itself', () => {
  const changed = (change: (variant: EndpointState['variants'][number]) => object): Case => {
    const state = stateOf();
    const variants = state.variants.map((variant) => ({
      ...variant,
      ...(variant.name === 'primary' && change(variant)),
    }));
    return { measured: { after: { state: { ...state, variants }, configSha256: CONFIG_SHA } } };
  };

  test.each<[string, Case, string, string]>([
    [
      'the same name with other content',
      { measured: { after: { state: stateOf(), configSha256: 'e'.repeat(64) } } },
      'configuration',
      'flight-delay-staging is on flight-delay-7 again, but that endpoint configuration says something else than before: it was deleted and made anew.',
    ],
    [
      'a configuration that was deleted',
      { measured: { after: { state: stateOf(), configSha256: null } } },
      'configuration',
      'flight-delay-staging is on the endpoint configuration flight-delay-7, which does not exist any more: nobody can say what it serves, nor come back to it.',
    ],
    [
      'an update that goes on',
      {
        measured: {
          after: { state: stateOf([1, 0], { status: 'Updating', pending: 'b' }), configSha256: CONFIG_SHA },
        },
      },
      'configuration',
      'flight-delay-staging is Updating to b on flight-delay-7 after the procedure, and is to be InService on flight-delay-7.',
    ],
    [
      'another image',
      changed(() => ({ images: ['image@sha256:b'] })),
      'images',
      `Variant primary runs image@sha256:b instead of 111122223333.dkr.ecr.eu-west-1.amazonaws.com/primary@sha256:${'a'.repeat(64)}.`,
    ],
    [
      'another variant',
      changed(() => ({ name: 'main' })),
      'images',
      'Variant primary is missing; variant main is new.',
    ],
    [
      'fewer instances',
      changed(() => ({ instances: 1, desiredInstances: 1 })),
      'capacity',
      'Variant primary is to have 1 instance instead of 2 instances.',
    ],
    [
      'instances that are not there yet',
      changed(() => ({ instances: 1 })),
      'capacity',
      'Variant primary has 1 instance instead of 2 instances.',
    ],
    [
      'serverless',
      changed(() => ({ instances: null, desiredInstances: null })),
      'capacity',
      'Variant primary is to have none of its own (serverless) instead of 2 instances.',
    ],
  ])('%s fails', (_, change, check, message) => {
    expect(find(judge(change), check)).toMatchObject({ outcome: 'fail', message });
  });

  test('weights that split the traffic alike are the same', () => {
    const { measured } = changed(() => ({ weight: 10, desiredWeight: 10 }));
    expect(judge({ measured: measured! }).outcome).toBe('pass');
  });

  test('images of which SageMaker says nothing are not checked', () => {
    const state = stateOf();
    const bare = { ...state, variants: state.variants.map((variant) => ({ ...variant, images: [] })) };
    const judgement = judge({
      measured: { original: snapshotOf({ state: bare }), after: { state: bare, configSha256: CONFIG_SHA } },
    });
    expect(judgement.notChecked).toContainEqual(
      expect.objectContaining({ check: 'images', why: 'SageMaker says of no variant which image it runs' }),
    );
  });
});

test('images of which SageMaker says nothing any more are no longer those from before', () => {
  const state = stateOf();
  const bare = { ...state, variants: state.variants.map((variant) => ({ ...variant, images: [] })) };
  const judgement = judge({ measured: { after: { state: bare, configSha256: CONFIG_SHA } } });
  expect(find(judgement, 'images')).toMatchObject({
    outcome: 'fail',
    message: expect.stringContaining('ariant primary runs no image instead of '),
  });
});

test('what the endpoint is while it is restored says nothing of the procedure', () => {
  const restoring = [95, stateOf([1, 0], { status: 'Updating' })] as const;
  const judgement = judge({ played: { until: 100, states: [...STATES, restoring] } });
  expect(judgement.outcome).toBe('pass');
});

describe('what is left', () => {
  test.each<[string, Partial<Measurements>, string, string]>([
    [
      'not restored at all',
      { restoration: null },
      'flight-delay-staging is not as it was found: the drill has not restored it.',
      'tocsin rollback flight-delay-staging --to primary.',
    ],
    [
      'weights',
      {
        restoration: restorationOf({
          outcome: 'failed',
          answers: false,
          why: 'AccessDenied.',
          state: stateOf([0, 1]),
        }),
      },
      'flight-delay-staging is not as it was found: variant candidate has 100% of the traffic instead of 0%; variant primary has 0% of the traffic instead of 100%; it does not answer as the previous model 3fa2c1d0 (variant primary) does; restoring it failed: AccessDenied.',
      'tocsin rollback flight-delay-staging --to primary.',
    ],
    [
      'the configuration',
      {
        restoration: restorationOf({
          outcome: 'failed',
          answers: null,
          state: stateOf([1, 0], { config: 'b' }),
        }),
      },
      'flight-delay-staging is not as it was found: its configuration is b instead of flight-delay-7.',
      'tocsin rollback flight-delay-staging --to flight-delay-7.',
    ],
    [
      'several weights',
      {
        original: snapshotOf({ state: stateOf([0.9, 0.1]) }),
        restoration: restorationOf({ outcome: 'failed', state: stateOf([1, 0]), why: 'throttled' }),
      },
      'flight-delay-staging is not as it was found: variant candidate has 0% of the traffic instead of 10%; variant primary has 100% of the traffic instead of 90%; restoring it failed: throttled.',
      'tocsin rollback flight-delay-staging --weights candidate=0.1,primary=0.9.',
    ],
    [
      'another model',
      { restoration: restorationOf({ answers: false }) },
      'flight-delay-staging is not as it was found: it does not answer as the previous model 3fa2c1d0 (variant primary) does.',
      'docs/rollback-drill.md',
    ],
  ])('%s', (_, measured, message, help) => {
    const judgement = judge({ measured });
    expect(judgement.outcome).toBe('fail');
    expect(judgement.findings[0]).toMatchObject({ check: 'restored', outcome: 'fail', message });
    expect(judgement.findings[0]?.help).toContain(help);
    expect(judgement.findings[0]?.help).toMatch(
      /^Have it restored: tocsin drill rollback flight-delay --restore\./,
    );
  });

  test('comes first, also of a drill that was broken off, and among other failures', () => {
    const failed = { restoration: restorationOf({ outcome: 'failed', why: 'x', answers: null }) };
    expect(judge({ measured: { ...failed, notDrilled: 'a stop condition' } })).toMatchObject({
      outcome: 'fail',
      reason: expect.stringContaining('is not as it was found'),
    });
    const { reason } = judge({ measured: failed, played: { answering: stuck, states: stuckStates } });
    expect(reason).toMatch(/^\d of \d+ checks failed; first: flight-delay-staging is not as it was found/);
  });

  test('is said where it was restored, and is open where nobody could ask', () => {
    expect(find(judge({ measured: { restoration: restored } }), 'restored').message).toBe(
      'flight-delay-staging is as it was found, and the previous model 3fa2c1d0 (variant primary) answers: weights set: primary 1, candidate 0.',
    );
    const judgement = judge({ measured: { restoration: restorationOf({ answers: null }) } });
    expect(complaints(judgement)).toEqual([
      'inconclusive restored: flight-delay-staging looks as it was found (nothing had to be restored), but nobody could ask whether the previous model 3fa2c1d0 (variant primary) answers.',
    ]);
  });
});

describe('a drill without an end', () => {
  test('that never began is inconclusive, and lists what it did not check', () => {
    const judgement = judge({ measured: { ...UNTOUCHED, notDrilled: 'the endpoint is SystemUpdating.' } });
    expect(judgement.outcome).toBe('inconclusive');
    expect(judgement.reason).toBe(
      'Whether flight-delay-staging can be rolled back is not known: it was not drilled, since the endpoint is SystemUpdating.',
    );
    expect(judgement.notChecked.map(({ check }) => check)).toEqual(
      CHECKS.filter((check) => check !== 'drill' && check !== 'guardrail'),
    );
    expect(judgement.notChecked[0]?.why).toBe('nothing was changed');
    expect(judgement.notChecked[1]?.why).toBe('nothing was drilled');
  });

  test('that was broken off is inconclusive, whatever was measured by then', () => {
    const judgement = judge({
      measured: { notDrilled: 'stop condition: unhealthy' },
      played: { answering: stuck },
    });
    expect(complaints(judgement)).toEqual([
      'inconclusive drill: Whether flight-delay-staging can be rolled back is not known: the drill was broken off, since stop condition: unhealthy.',
    ]);
  });

  test('a stop condition that nobody heeded makes no verdict', () => {
    expect(find(judge({ played: { stop: 'unhealthy is in ALARM' } }), 'drill').message).toMatch(
      /since unhealthy is in ALARM\.$/,
    );
  });

  test.each<[string, Partial<Measurements>]>([
    ['nothing', UNTOUCHED],
    ['no snapshot', { original: null }],
  ])('of which %s is known is inconclusive', (_, measured) => {
    expect(find(judge({ measured }), 'drill').message).toMatch(/since nothing was measured\.$/);
  });

  test.each<[string, Case, RegExp]>([
    ['not at all', { played: { answering: () => previous } }, /answered nothing\.$/],
    [
      'not enough',
      {
        measured: {
          failure: { ...measuredOf().failure!, servesAt: null, why: 'it was seen too rarely.' },
          procedure: null,
        },
      },
      /gave only \d+ answers: it was seen too rarely\.$/,
    ],
  ])('where the bad model served %s proves nothing', (_, change, message) => {
    const finding = find(judge(change), 'bad-model-serves');
    expect(finding.outcome).toBe('inconclusive');
    expect(finding.message).toMatch(message);
  });

  test('where the bad model did not serve does not miss the procedure', () => {
    const failure = { ...measuredOf().failure!, servesAt: null, why: 'x' };
    const judgement = judge({ measured: { failure, procedure: null, after: null } });
    expect(judgement.findings.map(({ check }) => check)).toEqual(['bad-model-serves', 'restored']);
    expect(judgement.notChecked).toContainEqual(expect.objectContaining({ check: 'procedure' }));
  });
});

describe('whatever is measured', () => {
  const whoArb = fc.constantFrom(previous, bad, other, nobody(), nobody('ModelError 500'), {
    ...previous,
    who: 'either' as const,
  });
  const outcomeArb = fc.constantFrom(
    'succeeded' as const,
    'failed' as const,
    'timed-out' as const,
    'unknown' as const,
  );
  const statusArb = fc.constantFrom(
    'InService' as const,
    'Updating' as const,
    'Failed' as const,
    'UpdateRollbackFailed' as const,
  );
  const caseArb = fc.record({
    answers: fc.array(whoArb, { minLength: 8, maxLength: 8 }),
    outcome: outcomeArb,
    status: statusArb,
    config: fc.constantFrom(CONFIG, 'b'),
    faulty: fc.boolean(),
    answersNow: fc.constantFrom(true, false, null),
    lenient: fc.boolean(),
  });
  type Drawn = typeof caseArb extends fc.Arbitrary<infer T> ? T : never;

  function played({
    answers,
    outcome,
    status,
    config,
    faulty,
    answersNow,
    lenient,
  }: Drawn): [Measurements, Timeline, ReturnType<typeof drillOf>] {
    const now = stateOf([1, 0], { status, config });
    const measured = measuredOf({
      procedure: procedureOf({ outcome }),
      after: { state: now, configSha256: CONFIG_SHA },
      restoration: restorationOf({ answers: answersNow }),
    });
    const timeline = timelineOf({
      perSecond: 2,
      answering: (second) => (second < 20 ? {} : (answers[Math.floor((second - 20) / 10)] ?? {})),
      states: [...STATES.slice(0, 2), [24, now]],
    });
    const allow = lenient ? { errorRate: '100%', wrongModelAfterRollback: 9999 } : {};
    return [measured, timeline, drillOf({ ...deployed(faulty), allow, steady: '10s' })];
  }

  test('is judged the same however often, and in whatever order the slices come', () => {
    fc.assert(
      fc.property(caseArb, fc.array(fc.nat(), { minLength: 9, maxLength: 9 }), (drawn, keys) => {
        const [measured, timeline, drill] = played(drawn);
        const judgement = decide(measured, timeline, drill);
        expect(decide(structuredClone(measured), structuredClone(timeline), drill)).toEqual(judgement);
        const slices = timeline.slices
          .map((slice, index) => ({
            slice: { ...slice, requests: slice.requests.toReversed() },
            key: keys[index] ?? 0,
          }))
          .sort((a, b) => a.key - b.key)
          .map(({ slice }) => slice);
        expect(decide(measured, { ...timeline, slices }, drill)).toEqual(judgement);
      }),
      { numRuns: 60, seed: 5 },
    );
  });

  test('more wrong answers make no pass of a fail, and no pass of anything', () => {
    const rank = { pass: 0, inconclusive: 1, fail: 2 };
    fc.assert(
      fc.property(
        caseArb,
        fc.array(fc.nat(99), { maxLength: 30 }),
        fc.constantFrom(bad, other),
        (drawn, indexes, wrong) => {
          const [measured, timeline, drill] = played(drawn);
          const before = decide(measured, timeline, drill);
          const worse = structuredClone(timeline);
          const requests = worse.slices
            .flatMap((slice) => slice.requests)
            .filter(({ at }) => at >= T0 + 20 * S);
          for (const index of indexes) Object.assign(requests[index] ?? {}, wrong);
          const after = decide(measured, worse, drill);
          if (before.outcome !== 'pass') expect(rank[after.outcome]).toBeGreaterThan(0);
        },
      ),
      { numRuns: 80, seed: 6 },
    );
  });

  test('passes only where the previous model answers, the endpoint is in order, and was left so', () => {
    let passes = 0;
    fc.assert(
      fc.property(caseArb, (drawn) => {
        const [measured, timeline, drill] = played(drawn);
        if (decide(measured, timeline, drill).outcome !== 'pass') return;
        passes++;
        expect(drawn).toMatchObject({ outcome: 'succeeded', status: 'InService', answersNow: true });
        expect(drawn.answers.slice(-2, -1)[0]?.who).not.toMatch(/bad|other/);
      }),
      {
        numRuns: 250,
        seed: 7,
        examples: [
          [
            {
              answers: Array(8).fill(previous),
              outcome: 'succeeded',
              status: 'InService',
              config: CONFIG,
              faulty: false,
              answersNow: true,
              lenient: false,
            },
          ],
        ],
      },
    );
    expect(passes).toBeGreaterThan(0);
  });

  test('every check has a finding or a reason why not, a line, and a help where it does not pass', () => {
    fc.assert(
      fc.property(caseArb, fc.constantFrom(null, 'why'), (drawn, notDrilled) => {
        const [measured, timeline, drill] = played(drawn);
        const { findings, notChecked } = decide({ ...measured, notDrilled }, timeline, drill);
        const told = new Set([...findings, ...notChecked].map(({ check }) => check));
        for (const check of CHECKS)
          if (check !== 'drill' && check !== 'guardrail') expect(told).toContain(check);
        for (const { outcome, help, rule, message } of findings) {
          expect(rule?.line).toBeGreaterThan(0);
          expect(message).toMatch(/^[A-Z0-9f].*\.$/s);
          expect(message).not.toMatch(/undefined|NaN|\.\.$|\[object/);
          if (outcome !== 'pass') expect(help).toMatch(/\.$|\}'$/);
        }
      }),
      { numRuns: 80, seed: 8 },
    );
  });

  test('is told in bounded length', () => {
    const long = 'x'.repeat(100_000);
    const variants = Array.from({ length: 40 }, (_, index) => ({
      ...stateOf().variants[0]!,
      name: `v${index}`,
      images: [long],
    }));
    const state = stateOf([1, 0], { variants, failureReason: long, status: 'Failed' });
    const measured = measuredOf({
      after: { state, configSha256: 'e'.repeat(64) },
      procedure: procedureOf({ outcome: 'failed', said: long }),
      restoration: restorationOf({ outcome: 'failed', why: long, state, actions: Array(100).fill(long) }),
    });
    const errors: Answering = (second) => ({ ...nobody(`${second}${long}`), variant: `v${second}` });
    const judgement = decide(measured, timelineOf({ answering: errors, perSecond: 1 }), drillOf());
    expect(JSON.stringify(judgement).length).toBeLessThan(60_000);
  });
});
