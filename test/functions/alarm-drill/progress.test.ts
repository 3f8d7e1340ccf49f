import { describe, expect, test } from 'vitest';
import type { Alarm, AlarmState } from '../../../functions/alarm-drill/alarm.ts';
import type { Plan } from '../../../functions/alarm-drill/measurements.ts';
import { phaseText } from '../../../functions/alarm-drill/progress.ts';
import { shadowName } from '../../../functions/alarm-drill/shadow.ts';
import { psiAlarm } from '../../support/alarm-facts.ts';

const S = 1000;

const rung = (times: number) => ({
  id: `${times}x`,
  times,
  value: times,
  expects: times < 1 ? ('quiet' as const) : ('loud' as const),
});

const PLAN: Plan = {
  rungs: [
    rung(0.5),
    rung(0.95),
    rung(1.05),
    rung(2),
    rung(5),
    { id: 'silence', times: null, value: null, expects: 'silence' },
  ],
  healthy: 0.05,
  cadenceMs: 10 * S,
  warmUp: 6,
  drift: 30,
  recovery: 12,
  settleMs: 20 * S,
  published: [],
};

/** What is said so long after the start, with these states since then. */
function textAt(
  ms: number,
  states: Record<string, [AlarmState, sinceMs: number]>,
  { round = 1, plan = PLAN } = {},
): string {
  const of = { drill: 'drift', run: 'run', token: '0a1b2c3d', round };
  const alarms: Alarm[] = Object.entries(states).map(([id, [state, since]]) =>
    psiAlarm({ name: shadowName(of.token, round, id), state, since }),
  );
  return phaseText({ plan, of, startedAt: 0 }, ms, alarms);
}

const every = (state: AlarmState, since = 0, plan = PLAN) =>
  Object.fromEntries(plan.rungs.map(({ id }) => [id, [state, since] as [AlarmState, number]]));

describe('the phase of a round', () => {
  test('counts those that are OK while it warms up', () => {
    expect(textAt(20 * S, every('INSUFFICIENT_DATA'))).toBe('warm-up, 20 s: 0 of 6 OK');
    expect(textAt(59 * S, every('OK'))).toBe('warm-up, 59 s: 6 of 6 OK');
  });

  test('names the loud ones as they fire, and the quiet ones together', () => {
    const states = { ...every('OK'), '2x': ['ALARM', 121 * S], '5x': ['ALARM', 121 * S] } as const;
    expect(textAt(190 * S, states as never)).toBe(
      'drift, 2 min 10 s: 2x ALARM after 61 s, 5x ALARM after 61 s, 1.05x OK, silence OK, quiet ones OK',
    );
  });

  test('names a quiet one that is not', () => {
    const states = { ...every('OK'), '0.95x': ['ALARM', 90 * S] } as const;
    expect(textAt(100 * S, states as never)).toBe(
      'drift, 40 s: 1.05x OK, 2x OK, 5x OK, silence OK, 0.95x ALARM after 30 s',
    );
  });

  test('is timed anew in the recovery, and named in later rounds', () => {
    const states = { ...every('ALARM', 121 * S), '2x': ['OK', 400 * S] } as const;
    expect(textAt(420 * S, states as never, { round: 2 })).toBe(
      'round 2, recovery, 60 s: 1.05x ALARM, 5x ALARM, silence ALARM, 2x OK after 40 s, 0.5x ALARM, 0.95x ALARM',
    );
    expect(textAt(490 * S, every('OK'))).toMatch(/^settling, 10 s: /);
  });

  test('says of an alarm that is not there that it is gone', () => {
    const { '5x': _, ...others } = every('OK');
    expect(textAt(100 * S, others)).toContain('5x gone');
  });

  test('is short, however many rungs there are', () => {
    const plan = { ...PLAN, rungs: Array.from({ length: 30 }, (_, index) => rung(2 + index)) };
    expect(textAt(100 * S, every('OK', 0, plan), { plan })).toMatch(/, 9x OK, 22 more$/);
  });
});
