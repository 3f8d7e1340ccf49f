import { describe, expect, test } from 'vitest';
import type { EndpointState } from '../../../functions/rollback-drill/endpoint.ts';
import { phaseText } from '../../../functions/rollback-drill/progress.ts';
import { nobody, other, type Played, STATES, stateOf, T0, timelineOf } from '../../support/rollback-facts.ts';

/** What is said when the slices of so many seconds are in, and some more have passed. */
function textAt(second: number, played: Played = {}, passed = 0): string {
  const { slices } = timelineOf({ ...played, until: second });
  return phaseText({ phase: 'rollback', since: T0, now: T0 + (second + passed) * 1000, slices });
}

describe('the phase', () => {
  test('has the numbers of the last slice, the state, and a letter for each second', () => {
    expect(textAt(10)).toBe(
      'rollback, 10 s: previous 20 %, bad 80 % of 50 requests, 0 lost; InService on flight-delay-7\n' +
        'last 10 s: PPBBBBBBBB (P previous, B bad)',
    );
    expect(textAt(30)).toBe(
      'rollback, 30 s: previous 60 %, bad 40 % of 50 requests, 0 lost; InService on flight-delay-7\n' +
        'last 30 s: PPBBBBBBBBBBBBBBBBBBBBBBPPPPPP (P previous, B bad)',
    );
  });

  test('shows the last minute alone', () => {
    const [head, strip] = textAt(200).split('\n');
    expect(head).toMatch(/^rollback, 3 min 20 s: previous 100 %, bad 0 % of 50 requests, 0 lost;/);
    expect(strip).toBe(`last 60 s: ${'P'.repeat(60)} (P previous)`);
  });

  test('names errors, other models, and seconds in which several answered', () => {
    const answering = (second: number) =>
      second === 31
        ? nobody('ModelError 500')
        : second === 32
          ? nobody()
          : second >= 34 && second < 36
            ? other
            : second >= 36 && second < 37 && second !== 36
              ? other
              : second === 38
                ? ({ who: 'either' } as const)
                : {};
    expect(textAt(40, { answering })).toMatch(
      /previous 70 %, bad 0 %, other 30 %, either 5 % of 50 requests, 2 lost \(ModelError 500, ThrottlingException\); /,
    );
    expect(textAt(40, { answering })).toMatch(
      / {0}PxxPOOMPPP \(P previous, B bad, O other, M several models, x lost\)$/,
    );
  });

  test('has seconds without a request', () => {
    expect(textAt(10, { perSecond: 0.5 })).toMatch(
      /\nlast 10 s: P\.B\.B\.B\.B\. \(P previous, B bad, \. no request\)$/,
    );
    const slices = timelineOf({ until: 10 }).slices.map((slice) => ({ ...slice, requests: [] }));
    expect(phaseText({ phase: 'rollback', since: T0, now: T0, slices })).toBe(
      'rollback, 0 s: previous 0 %, bad 0 % of 0 requests, 0 lost; InService on flight-delay-7\nno request yet',
    );
  });

  test.each<[string, EndpointState | null, string]>([
    ['gone', null, 'no such endpoint'],
    [
      'deployed to',
      stateOf([1, 0], { status: 'Updating', pending: 'b' }),
      'Updating on flight-delay-7, to b',
    ],
    ['rolled back', stateOf([1, 0], { status: 'RollingBack' }), 'RollingBack on flight-delay-7'],
  ])('of an endpoint that is %s', (_, state, text) => {
    expect(textAt(10, { states: [[0, state]] })).toContain(` lost; ${text}\n`);
  });

  test('before anything was seen is the time alone', () => {
    expect(phaseText({ phase: 'rollback', since: T0, now: T0 + 130_000, slices: [] })).toBe(
      'rollback, 2 min 10 s',
    );
    const [slice] = timelineOf({ until: 10 }).slices;
    expect(phaseText({ phase: 'x', since: T0, now: T0, slices: [{ ...slice!, states: [] }] })).toContain(
      'state not known',
    );
  });

  test('never says all or none of what is nearly so', () => {
    const one = (second: number) => (second === 35 ? other : {});
    expect(textAt(40, { answering: one, perSecond: 20 })).toContain(
      'previous 95 %, bad 0 %, other 5 % of 200 requests',
    );
  });

  test('is the same while nothing happens, but for times', () => {
    const timeless = (text: string) => text.replace(/\b\d+ (?:h|min|s)\b(?: \d+ (?:min|s)\b)?/g, '');
    const texts = [90, 100, 110, 200].map((second) => timeless(textAt(second)));
    expect(new Set(texts).size).toBe(1);
    expect(timeless(textAt(50, {}, 7))).toBe(timeless(textAt(50)));
    expect(STATES).toHaveLength(3);
  });
});
