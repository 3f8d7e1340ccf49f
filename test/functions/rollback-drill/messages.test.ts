import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { verdictOf } from '../../../functions/rollback-drill/identity.ts';
import type { Measurements } from '../../../functions/rollback-drill/measurements.ts';
import {
  drillMessage,
  drillRefusalMessage,
  drillResultOf,
  restoredMessage,
} from '../../../functions/rollback-drill/messages.ts';
import { drillResultSchema } from '../../../functions/rollback-drill/schema.ts';
import { GateDependencyError, GateInputError } from '../../../functions/shared/errors.ts';
import type { Finding } from '../../../functions/shared/verdict.ts';
import {
  bad,
  deployed,
  drillOf,
  FINGERPRINTS,
  measuredOf,
  nobody,
  type Played,
  procedureOf,
  restorationOf,
  stateOf,
  timelineOf,
  UNTOUCHED,
} from '../../support/rollback-facts.ts';

const EVIDENCE = 's3://evidence/rollback-drill/flight-delay/1/verdict.json';

function told(change: Partial<Measurements> = {}, played: Played = {}, drill = drillOf()) {
  const [measurements, timeline] = [measuredOf(change), timelineOf(played)];
  const verdict = verdictOf(measurements, timeline, drill, 'run-1');
  const result = drillResultOf(verdict, { measurements, timeline, drill }, EVIDENCE);
  expect(drillResultSchema.parse(result)).toEqual(result);
  return { result, ...drillMessage(result, verdict, measurements) };
}

describe('the result', () => {
  test('of a pass', () => {
    const { result } = told();
    expect(result).toEqual({
      drill: 'flight-delay',
      endpoint: 'flight-delay-staging',
      outcome: 'pass',
      reason:
        'Drill flight-delay: 4 s after the procedure began the previous model (3fa2c1d0) answered everything again, 350 requests, none lost.',
      verdict: expect.stringMatching(/^[0-9a-f]{32}$/),
      evidence: EVIDENCE,
      recoveryMs: 4000,
      restored: true,
      findings: [],
    });
  });

  test('of a drill whose previous model does not come back, of one that changed nothing, and of one that left it so', () => {
    const stuck = told({}, { answering: (second) => (second >= 2 ? bad : {}) }).result;
    expect(stuck).toMatchObject({ outcome: 'fail', recoveryMs: null, restored: true });
    expect(stuck.findings).toHaveLength(2);
    expect(told({ ...UNTOUCHED, notDrilled: 'x' }).result).toMatchObject({
      recoveryMs: null,
      restored: true,
    });
    for (const restoration of [
      null,
      restorationOf({ answers: false }),
      restorationOf({ outcome: 'failed' }),
    ]) {
      expect(told({ restoration }).result.restored).toBe(false);
    }
  });
});

describe('the message', () => {
  test('of a rollback that works', () => {
    const { subject, text, attributes } = told();
    expect(subject).toBe('Tocsin: rollback drill flight-delay passed');
    expect(attributes).toEqual({ drill: 'flight-delay', outcome: 'pass' });
    expect(text).toMatchInlineSnapshot(`
      "Drill flight-delay of the endpoint flight-delay-staging passed.

      Drill flight-delay: 4 s after the procedure began the previous model (3fa2c1d0) answered everything again, 350 requests, none lost.

      Evidence: s3://evidence/rollback-drill/flight-delay/1/verdict.json

      What now: nothing; in an incident this rollback can be relied on.
      "
    `);
  });

  test('of one that does not', () => {
    const { subject, text } = told(
      { procedure: procedureOf({ outcome: 'failed', said: 'no variant main' }) },
      { answering: (second) => (second >= 2 ? bad : {}) },
    );
    expect(subject).toBe('Tocsin: rollback drill flight-delay failed');
    expect(text).toMatch(
      /^Drill flight-delay of the endpoint flight-delay-staging failed\.\n\n2 of 9 checks failed\.\n\n- /,
    );
    expect(text).toContain('\n- The Lambda function rollback failed after 3 s: no variant main.\n');
    expect(text).toMatch(
      /do not rely on this rollback: in an incident, .* Run it again: tocsin drill rollback flight-delay\n$/,
    );
  });

  test("of Tocsin's own rollback that does not work recommends it to nobody", () => {
    const { text } = told(
      { procedure: procedureOf({ kind: 'builtin', outcome: 'failed', said: 'x' }) },
      {},
      drillOf({ procedure: { builtin: 'weights' } }),
    );
    expect(text).toContain('do not rely on this rollback. Run it again');
  });

  test('of one that nobody knows of', () => {
    const { subject, text } = told({ ...UNTOUCHED, notDrilled: 'the endpoint is SystemUpdating' });
    expect(subject).toBe('Tocsin: rollback drill flight-delay is inconclusive');
    expect(text).toContain('Whether this rollback can be relied on is not known.');
  });

  test.each<[string, Partial<Measurements>, string]>([
    [
      'the bad variant',
      { restoration: restorationOf({ outcome: 'failed', answers: false, state: stateOf([0.4, 1.6]) }) },
      'it is InService on flight-delay-7; variant candidate (the bad model 9b1f02aa) serves 80%; variant primary serves 20%; another model answers than before.',
    ],
    [
      'what was not restored at all',
      { restoration: null },
      'it is InService on flight-delay-7; variant primary (the previous model 3fa2c1d0) serves 100%.',
    ],
    [
      'what nobody has looked at',
      { restoration: null, after: null, failure: { ...measuredOf().failure!, state: null } },
      'what it serves is not known.',
    ],
    [
      'an endpoint that is gone',
      { restoration: restorationOf({ outcome: 'failed', answers: null, state: null }) },
      'there is no such endpoint any more, so nothing serves.',
    ],
    [
      'an endpoint that is Failed',
      {
        restoration: restorationOf({
          outcome: 'failed',
          answers: null,
          state: stateOf([1, 0], { status: 'Failed', failureReason: 'No capacity.' }),
        }),
      },
      'it is Failed on flight-delay-7 (No capacity), so nothing serves.',
    ],
    [
      'an endpoint without traffic',
      { restoration: restorationOf({ outcome: 'failed', answers: null, state: stateOf([0, 0]) }) },
      'it is InService on flight-delay-7; no variant has any traffic.',
    ],
  ])('begins with what serves where that is %s', (_, change, serves) => {
    const { text } = told(change);
    const [first, empty, then] = text.split('\n');
    expect(first).toBe(`NOT AS IT WAS FOUND: flight-delay-staging: ${serves}`);
    expect(empty).toBe('');
    expect(then).toBe('Drill flight-delay of the endpoint flight-delay-staging failed.');
  });

  test('knows a deployed model by its configuration, not by the name of its variant', () => {
    const fingerprints = FINGERPRINTS.map((one) => ({ ...one, variant: 'primary' }));
    const failure = { ...measuredOf().failure!, state: stateOf([1, 0], { config: 'tocsin-drill-1' }) };
    const at = (config: string) =>
      told(
        {
          fingerprints,
          failure,
          restoration: restorationOf({ outcome: 'failed', state: stateOf([1, 0], { config }) }),
        },
        {},
        drillOf(deployed()),
      ).text.split('\n')[0];
    expect(at('tocsin-drill-1')).toContain('variant primary (the bad model 9b1f02aa) serves 100%');
    expect(at('flight-delay-7')).toContain('variant primary (the previous model 3fa2c1d0) serves 100%');
    expect(at('another')).toContain('; variant primary serves 100%');
  });

  test('of a run without a verdict says whose mistake it is', () => {
    const mistake = drillRefusalMessage(
      'flight-delay',
      new GateInputError('it is not tagged', { help: 'Tag it.' }),
    );
    expect(mistake).toMatchObject({
      subject: 'Tocsin: rollback drill flight-delay not run',
      text: 'Drill flight-delay: it could not be run, so nobody knows whether its endpoint can be rolled back.\n\nit is not tagged\n\nWhat now: Tag it. Then run it again: tocsin drill rollback flight-delay\n',
      attributes: { drill: 'flight-delay', outcome: 'error' },
    });
    expect(drillRefusalMessage('flight-delay', new GateDependencyError('throttled')).text).toMatch(
      /its run broke off/,
    );
  });
});

describe('the message of what a dead run has left', () => {
  const message = (change: Parameters<typeof restorationOf>[0], failed: string | null = null) =>
    restoredMessage('flight-delay-staging', 'flight-delay', restorationOf(change), failed);

  test('that was restored', () => {
    const { subject, text, attributes } = message({
      outcome: 'restored',
      actions: ['weights set', 'instances set'],
    });
    expect(subject).toBe('Tocsin: rollback drill flight-delay restored');
    expect(attributes).toEqual({ drill: 'flight-delay', outcome: 'error' });
    expect(text).toMatchInlineSnapshot(`
      "A run of the drill flight-delay died, and left the endpoint flight-delay-staging drilled. It is as it was found again.

      What was done: weights set; instances set.

      What now: nothing has to be restored. That run has no verdict; run it again: tocsin drill rollback flight-delay
      "
    `);
    expect(message({ answers: null }).text).toContain('Nothing had to be done.\nNobody could ask whether');
  });

  test('that could not be at first, and nobody has died', () => {
    const { text } = message({ outcome: 'restored', actions: ['weights set'] }, 'AccessDenied.');
    expect(text).toMatchInlineSnapshot(`
      "The endpoint flight-delay-staging could not be restored after a run of the drill flight-delay: AccessDenied. It is as it was found again.

      What was done: weights set.

      What now: nothing; nothing has to be restored any more.
      "
    `);
    const still = message({ outcome: 'failed', why: 'Throttled.', state: stateOf([0, 1]) }, 'AccessDenied.');
    expect(still.text).toContain(
      'could not be restored after a run of the drill flight-delay: AccessDenied. It still cannot be: Throttled.\n',
    );
    expect(text + still.text).not.toContain('died');
  });

  test('that could not be', () => {
    const { subject, text } = message({
      outcome: 'failed',
      why: 'AccessDenied.',
      answers: false,
      state: stateOf([0, 1]),
    });
    expect(subject).toBe('Tocsin: rollback drill flight-delay not restored');
    expect(text).toMatchInlineSnapshot(`
      "NOT AS IT WAS FOUND: flight-delay-staging: it is InService on flight-delay-7; variant candidate serves 100%; another model answers than before.

      A run of the drill flight-delay died, and left the endpoint flight-delay-staging drilled. It could not be restored: AccessDenied.

      What now: tocsin drill rollback flight-delay --restore tries again. By hand: docs/rollback-drill.md, "Not as it was found".
      "
    `);
    expect(message({ outcome: 'failed', state: null, answers: null }).text).toContain(
      'there is no such endpoint any more, so nothing serves.\n\nA run of',
    );
    expect(message({ outcome: 'failed', state: stateOf([1, 0], { status: 'Failed' }) }).text).toContain(
      'it is Failed on flight-delay-7, so nothing serves.\n',
    );
  });
});

test('everything is bounded, whatever was measured', () => {
  const name = 'a'.repeat(60);
  const long = fc.string({ minLength: 4000, maxLength: 5000 });
  const finding = fc.record({
    check: fc.constant('x'),
    subject: fc.string(),
    outcome: fc.constantFrom('fail', 'inconclusive', 'warn', 'pass'),
    message: long,
    allowed: fc.string(),
    observed: fc.string(),
    help: long,
  });
  fc.assert(
    fc.property(fc.array(finding, { maxLength: 40 }), long, (findings, words) => {
      const state = stateOf([1, 0], { failureReason: words, status: 'Failed' });
      const restoration = restorationOf({
        outcome: 'failed',
        why: words,
        actions: Array(40).fill(words),
        state,
      });
      const measurements = measuredOf({ restoration });
      const [timeline, drill] = [
        timelineOf({ answering: () => nobody(words), perSecond: 1 }),
        drillOf({}, name),
      ];
      const verdict = {
        ...verdictOf(measurements, timeline, drill, 'run-1'),
        findings: findings as Finding[],
        reason: words,
      };
      const result = drillResultOf(verdict, { measurements, timeline, drill }, EVIDENCE);
      const messages = [
        drillMessage(result, verdict, measurements),
        restoredMessage('e'.repeat(63), name, restoration, null),
        restoredMessage('e'.repeat(63), name, { ...restoration, outcome: 'restored' }, words),
      ];
      for (const { subject, text } of messages) {
        expect(subject).toMatch(/^[\x20-\x7e]{1,100}$/);
        expect(Buffer.byteLength(text)).toBeLessThan(60_000);
      }
      expect(Buffer.byteLength(JSON.stringify(result))).toBeLessThan(100_000);
    }),
    { numRuns: 15, seed: 8 },
  );
});
