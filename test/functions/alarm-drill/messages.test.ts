import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Alarm } from '../../../functions/alarm-drill/alarm.ts';
import { PROOF_ONLY } from '../../../functions/alarm-drill/decide.ts';
import { alarmHash, configurationHash, verdictOf } from '../../../functions/alarm-drill/identity.ts';
import type { Measurements } from '../../../functions/alarm-drill/measurements.ts';
import {
  drillMessage,
  drillRefusalMessage,
  drillResultOf,
  leftoversMessage,
} from '../../../functions/alarm-drill/messages.ts';
import { drillResultSchema } from '../../../functions/alarm-drill/schema.ts';
import { GateDependencyError, GateInputError } from '../../../functions/shared/errors.ts';
import type { Finding, Verdict } from '../../../functions/shared/verdict.ts';
import { alarmArn, compositeAlarm, drillOf, factsOf, psiAlarm } from '../../support/alarm-facts.ts';
import { playRounds } from '../../support/alarm-rounds.ts';

const DRILL = drillOf();
const EVIDENCE = 's3://evidence/alarm-drill/distance-drift/1/verdict.json';

function measured(alarm = psiAlarm()): Measurements {
  const facts = factsOf(alarm);
  const rounds = playRounds(alarm, DRILL, facts);
  return { facts, rounds, deliveries: [], phases: [], notDrilled: null };
}

const proof = (): Measurements => ({ ...measured(), rounds: [], notDrilled: PROOF_ONLY });

function messageOf(verdict: Verdict) {
  const result = drillResultOf(verdict, { drill: DRILL.name, alarm: DRILL.value.alarm, evidence: EVIDENCE });
  expect(drillResultSchema.parse(result)).toEqual(result);
  return drillMessage(result, verdict);
}

describe('the verdict', () => {
  test('names what it is about', () => {
    const verdict = verdictOf(measured(), DRILL, 'run-1');
    expect(verdict).toMatchObject({
      verdict: 1,
      id: expect.stringMatching(/^[0-9a-f]{32}$/),
      gate: 'alarm-drill',
      subject: 'distance-drift',
      outcome: 'pass',
      inputs: {
        drill: 'distance-drift',
        alarm: 'psi-distance',
        alarmArn: alarmArn('psi-distance'),
        alarmSha256: alarmHash(psiAlarm()),
        configurationSha256: configurationHash(DRILL),
        mode: 'shadow',
        run: 'run-1',
        drilled: true,
      },
    });
  });

  test('is the same however often the run starts again, and each run has its own', () => {
    const { id } = verdictOf(measured(), DRILL, 'run-1');
    expect(verdictOf(measured(), DRILL, 'run-1').id).toBe(id);
    const others = [
      verdictOf(measured(), DRILL, 'run-2'),
      verdictOf(proof(), DRILL, 'run-1'),
      verdictOf(measured(psiAlarm({ threshold: 0.3 })), DRILL, 'run-1'),
      verdictOf(measured(), drillOf({ ladder: [0.5, 2] }), 'run-1'),
    ].map((verdict) => verdict.id);
    expect(new Set([id, ...others]).size).toBe(5);
  });

  test('of an alarm that there is not', () => {
    const facts = { ...factsOf(), alarm: null };
    const { inputs, outcome } = verdictOf({ ...proof(), facts }, DRILL, 'run-1');
    expect(outcome).toBe('fail');
    expect(inputs).toMatchObject({
      alarm: 'psi-distance',
      alarmArn: null,
      alarmSha256: null,
      drilled: false,
    });
  });

  test('does not hang on the state of the alarm', () => {
    const alarms: [Alarm, Alarm][] = [
      [psiAlarm(), psiAlarm({ state: 'ALARM', since: 1, updatedAt: 2 })],
      [compositeAlarm('a', 'ALARM(b)'), compositeAlarm('a', 'ALARM(b)', { state: 'ALARM', since: 1 })],
    ];
    for (const [one, other] of alarms) expect(alarmHash(other)).toBe(alarmHash(one));
    expect(alarmHash(psiAlarm({ datapointsToAlarm: 1 }))).not.toBe(alarmHash(psiAlarm()));
  });
});

describe('the message', () => {
  test('of an alarm that fires as intended', () => {
    const { subject, text, attributes } = messageOf(verdictOf(measured(), DRILL, 'run-1'));
    expect(subject).toBe('Tocsin: alarm drill distance-drift passed');
    expect(attributes).toEqual({ drill: 'distance-drift', outcome: 'pass' });
    expect(text).toMatch(
      /^Drill distance-drift of the alarm psi-distance passed\.\n\nDrill distance-drift: alarm/,
    );
    expect(text).toContain(`\n\nEvidence: ${EVIDENCE}\n\n`);
    expect(text).toMatch(/What now: nothing; whoever is to hear this alarm can rely on it\.\n$/);
  });

  test('of one whose configuration alone was judged', () => {
    expect(messageOf(verdictOf(proof(), DRILL, 'run-1')).text).toMatch(
      /What now: nothing; that it fires as it is configured to, a drill shows: tocsin drill alarm distance-drift\n$/,
    );
  });

  test('of one that does not, with the fix', () => {
    const { subject, text } = messageOf(verdictOf(measured(psiAlarm({ threshold: 1 })), DRILL, 'run-1'));
    expect(subject).toBe('Tocsin: alarm drill distance-drift failed');
    expect(text).toContain(
      '\n- psi-distance fires somewhere between 0.95 and 1 (4.75 to 5 times the intended 0.2)',
    );
    expect(text).toMatch(
      /Until the drill passes, do not rely on this alarm\. Run it again: tocsin drill alarm distance-drift\n$/,
    );
  });

  test('of one that nobody knows of', () => {
    const open = { ...measured(), rounds: [], notDrilled: 'the alarm was changed meanwhile' };
    const { subject, text } = messageOf(verdictOf(open, DRILL, 'run-1'));
    expect(subject).toBe('Tocsin: alarm drill distance-drift is inconclusive');
    expect(text).toContain('Whether this alarm can be relied on is not known.');
  });

  test('of a run without a verdict says whose mistake it is', () => {
    const mistake = drillRefusalMessage(
      'distance-drift',
      new GateInputError('no such query', { help: 'Set drive.' }),
    );
    expect(mistake).toMatchObject({
      subject: 'Tocsin: alarm drill distance-drift not run',
      text: 'Drill distance-drift: it could not be run, so nobody knows whether the alarm fires.\n\nno such query\n\nWhat now: Set drive. Then run it again: tocsin drill alarm distance-drift\n',
      attributes: { drill: 'distance-drift', outcome: 'error' },
    });
    expect(drillRefusalMessage('distance-drift', new GateDependencyError('throttled')).text).toMatch(
      /^Drill distance-drift: its run broke off, .*\n\nthrottled\n\nWhat now: Look at what the message names\. Then/,
    );
  });

  test('names what could not be removed', () => {
    const { subject, text, attributes } = leftoversMessage('a'.repeat(60), ['the subscription of a queue']);
    expect(subject).toMatch(/^[\x20-\x7e]{1,100}$/);
    expect(text).toContain('\n- the subscription of a queue\n');
    expect(attributes).toEqual({ drill: 'a'.repeat(60), outcome: 'error' });
  });

  test('is bounded, whatever the verdict', () => {
    const drillName = 'a'.repeat(60);
    const finding = fc.record({
      check: fc.constant('x'),
      subject: fc.string(),
      outcome: fc.constantFrom('fail', 'inconclusive', 'warn', 'pass'),
      message: fc.string({ minLength: 5000, maxLength: 6000 }),
      allowed: fc.string(),
      observed: fc.string(),
      help: fc.string({ minLength: 5000, maxLength: 6000 }),
    });
    fc.assert(
      fc.property(fc.array(finding, { maxLength: 60 }), fc.string({ maxLength: 255 }), (findings, alarm) => {
        const outcome = 'inconclusive' as const;
        const verdict: Verdict = {
          ...verdictOf(proof(), DRILL, 'run-1'),
          outcome,
          reason: 'r'.repeat(9000),
          findings: findings as Finding[],
        };
        const result = drillResultOf(verdict, { drill: drillName, alarm, evidence: EVIDENCE });
        const { subject, text } = drillMessage(result, verdict);
        expect(subject).toMatch(/^[\x20-\x7e]{1,100}$/);
        expect(Buffer.byteLength(text)).toBeLessThan(60_000);
        expect(Buffer.byteLength(JSON.stringify(result))).toBeLessThan(100_000);
      }),
      { numRuns: 20, seed: 8 },
    );
  });
});
