import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Requirement } from '../../../functions/board/schema.ts';
import { gapsOf, type Observed, type Standing, standOf } from '../../../functions/board/standing.ts';
import type { HistoryEntry } from '../../../functions/shared/history.ts';
import { sha256 } from '../../../functions/shared/identity.ts';

const NOW = Date.parse('2026-11-22T18:00:00Z');
const MINUTE = 60_000;
const FRESH = 10 * MINUTE;

const REQUIREMENT: Requirement = {
  gap: 'alarms',
  gate: 'alarm-drill',
  subject: 'drift',
  section: 'alarmDrills',
  name: 'drift',
  title: 'alarm drill drift',
  freshMs: FRESH,
  configured: [{ input: 'configurationSha256', what: 'the drill', value: 'as it is' }],
  line: 'tocsin.yaml:7',
  again: 'Run: tocsin drill alarm drift',
};

function entry(change: Partial<HistoryEntry> = {}): HistoryEntry {
  return {
    history: 1,
    gate: 'alarm-drill',
    subject: 'drift',
    at: NOW - MINUTE,
    outcome: 'pass',
    verdict: '0'.repeat(32),
    run: '01234567',
    reason: 'It fires as intended',
    inputs: { configurationSha256: sha256('as it is') },
    ...change,
  };
}

const observed = (latest: HistoryEntry, more: Partial<Observed> = {}): Observed => ({
  history: [latest],
  latest,
  ...more,
});
const stand = (of: Observed, now = NOW) => standOf(REQUIREMENT, of, now);

describe('standOf', () => {
  test('a fresh pass on what is there', () => {
    expect(stand(observed(entry()))).toMatchObject({
      standing: 'pass',
      why: 'Alarm drill drift passed at 2026-11-22T17:59:00Z.',
      since: NOW - MINUTE,
      staleAt: NOW - MINUTE + FRESH,
      overdue: false,
      changes: [],
    });
  });

  test('has stood so since the first of an unbroken row', () => {
    const history = [
      entry(),
      entry({ at: NOW - 2 * MINUTE }),
      entry({ at: NOW - 3 * MINUTE, outcome: 'fail' }),
      entry({ at: 0 }),
    ];
    expect(stand({ history, latest: history[0] })).toMatchObject({
      standing: 'pass',
      since: NOW - 2 * MINUTE,
    });
  });

  test.each<[string, Observed, Standing, RegExp]>([
    [
      'nothing',
      { history: [], latest: undefined },
      'never',
      /^There has never been a verdict on alarm drill drift\. Run: /,
    ],
    [
      'nothing, of what is refused',
      { history: [], latest: undefined, refused: 'the group is empty' },
      'never',
      /The group is empty\. Run: /,
    ],
    [
      'a history that cannot be read',
      { history: [], latest: { unreadable: 'denied' } },
      'inconclusive',
      /^The verdict on alarm drill drift cannot be read: denied\.$/,
    ],
    [
      'an entry that cannot be read',
      { history: [entry()], latest: { unreadable: 'cut off' } },
      'inconclusive',
      /of 2026-11-22T17:59:00Z cannot be read: cut off\.$/,
    ],
    [
      'a failure',
      observed(entry({ outcome: 'fail' })),
      'fail',
      /^It fires as intended\. Run: tocsin drill alarm drift$/,
    ],
    [
      'a reason with its own full stop',
      observed(entry({ outcome: 'fail', reason: 'No.' })),
      'fail',
      /^No\. Run: /,
    ],
    [
      'what nobody can tell',
      observed(entry({ outcome: 'inconclusive' })),
      'inconclusive',
      /^It fires as intended\. Run: /,
    ],
    [
      'a failure of something that has changed since',
      observed(entry({ outcome: 'fail', inputs: {} })),
      'fail',
      /^It fires as intended\. Since then the drill has changed \(was nothing, is [0-9a-f]{12}\)\. Run: /,
    ],
    [
      'another configuration',
      observed(entry({ inputs: { configurationSha256: sha256('as it was') } })),
      'stale',
      /since then the drill has changed \(was [0-9a-f]{12}, is [0-9a-f]{12}\)\. Run: /,
    ],
    [
      'another world',
      observed(entry(), { changes: [{ what: 'the alarm', was: 'a', is: 'b' }] }),
      'stale',
      /since then the alarm has changed \(was a, is b\)\. Run: /,
    ],
    [
      'another configuration in another world',
      observed(entry({ inputs: {} }), { changes: [{ what: 'the alarm', was: 'a', is: 'b' }], unknown: 'x' }),
      'stale',
      /the drill has changed \(.*\), and the alarm has changed \(was a, is b\)\. Run: /,
    ],
    [
      'a world that nobody may look at',
      observed(entry(), { unknown: 'DescribeAlarms failed' }),
      'inconclusive',
      /cannot be told: DescribeAlarms failed\.$/,
    ],
    [
      'what must not be released',
      observed(entry(), { refused: 'the package is Rejected' }),
      'fail',
      /^Alarm drill drift passed at .*, but the package is Rejected\.$/,
    ],
    [
      'what was left out',
      observed(entry(), { left: 'it was not compared' }),
      'pass',
      /; it was not compared\.$/,
    ],
    [
      'an old pass',
      observed(entry({ at: NOW - FRESH })),
      'stale',
      /10 min ago, and counts for 10 min \(tocsin\.yaml:7\)\. Run: /,
    ],
    ['an old failure', observed(entry({ at: NOW - FRESH, outcome: 'fail' })), 'fail', /^It fires/],
    [
      'a pass of the future',
      observed(entry({ at: NOW + 5 * MINUTE + 1 })),
      'inconclusive',
      /5 min ahead: one of two clocks is wrong/,
    ],
    [
      'a failure of the future',
      observed(entry({ at: NOW + 6 * MINUTE, outcome: 'fail' })),
      'inconclusive',
      /6 min ahead/,
    ],
    [
      'a pass of a clock that is a little ahead',
      observed(entry({ at: NOW + 5 * MINUTE })),
      'pass',
      /passed at 2026-11-22T18:05:00Z/,
    ],
  ])('%s', (_, of, standing, why) => {
    expect(stand(of)).toMatchObject({ standing, why: expect.stringMatching(why) });
  });

  test('what is ahead by centuries is overdue all the while, and says what hides the rest', () => {
    const ahead = stand(observed(entry({ at: 9_999_999_999_999 })));
    expect(ahead).toMatchObject({ standing: 'inconclusive', overdue: true });
    expect(ahead.why).toContain(
      'remove from history/alarm-drill/drift/ in the evidence bucket what is ahead',
    );
  });

  test('a text is hashed as it is, anything else as canonical JSON, and nothing is null', () => {
    const hashed = (value: unknown, was: unknown) =>
      standOf(
        { ...REQUIREMENT, configured: [{ input: 'x', what: 'it', value }] },
        observed(entry({ inputs: { x: was } })),
        NOW,
      ).standing;
    expect(hashed('a', sha256('a'))).toBe('pass');
    expect(hashed({ b: 1, a: 2 }, sha256('{"a":2,"b":1}'))).toBe('pass');
    expect(hashed(null, null)).toBe('pass');
    expect(hashed(null, sha256('a'))).toBe('stale');
    expect(hashed('a', null)).toBe('stale');
  });

  test('passes only where everything is known, the same, fresh, and passes', () => {
    fc.assert(
      fc.property(
        fc.record({
          outcome: fc.constantFrom('pass', 'fail', 'inconclusive'),
          age: fc.integer({ min: -10 * MINUTE, max: 2 * FRESH }),
          configured: fc.boolean(),
          changed: fc.boolean(),
          unknown: fc.boolean(),
          refused: fc.boolean(),
          readable: fc.boolean(),
        }),
        ({ outcome, age, configured, changed, unknown, refused, readable }) => {
          const latest = entry({
            outcome: outcome as HistoryEntry['outcome'],
            at: NOW - age,
            ...(!configured && { inputs: {} }),
          });
          const { standing, overdue } = stand({
            history: [latest],
            latest: readable ? latest : { unreadable: 'x' },
            ...(changed && { changes: [{ what: 'w', was: 'a', is: 'b' }] }),
            ...(unknown && { unknown: 'u' }),
            ...(refused && { refused: 'r' }),
          });
          const fine = age >= -5 * MINUTE && age < FRESH;
          const good =
            outcome === 'pass' && fine && configured && !changed && !unknown && !refused && readable;
          expect(standing === 'pass').toBe(good);
          // What is ahead is not known to be young.
          expect(overdue).toBe(age >= FRESH || age < -5 * MINUTE);
        },
      ),
    );
  });

  test('what is too old has been so since it came to be', () => {
    const of = observed(entry({ at: NOW - FRESH - 3 * MINUTE }));
    expect(stand(of)).toMatchObject({ standing: 'stale', since: NOW - 3 * MINUTE });
    // When it changed nobody knows.
    const changed = observed(entry(), { changes: [{ what: 'w', was: 'a', is: 'b' }] });
    expect(stand(changed)).not.toHaveProperty('since');
  });

  test('what passes goes stale with time alone, once, and stays so', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 3 * FRESH }), fc.integer({ min: 0, max: 3 * FRESH }), (a, b) => {
        const [early, late] = [Math.min(a, b), Math.max(a, b)];
        const of = observed(entry({ at: NOW }));
        const order = ['pass', 'stale'];
        const [before, after] = [stand(of, NOW + early).standing, stand(of, NOW + late).standing];
        expect(order.indexOf(before)).toBeLessThanOrEqual(order.indexOf(after));
        expect(order).toContain(after);
      }),
    );
  });
});

describe('gapsOf', () => {
  const of = (standing: Standing, title: string, since?: number) => ({
    requirement: { ...REQUIREMENT, title },
    standing,
    why: `${title} is ${standing}.`,
    changes: [],
    history: [],
    overdue: false,
    ...(since !== undefined && { since }),
  });

  test('are five, in their order; one that nothing closes is open', () => {
    const gaps = gapsOf([of('pass', 'a', 1)]);
    expect(gaps.map(({ gap, standing }) => [gap, standing])).toEqual([
      ['pipeline', 'never'],
      ['rollback', 'never'],
      ['alarms', 'pass'],
      ['data', 'never'],
      ['parity', 'never'],
    ]);
    expect(gaps[0]?.why).toBe('Nothing in tocsin.yaml closes this gap.');
  });

  test('are closed from when the last of their requirements was', () => {
    expect(gapsOf([of('pass', 'a', 1), of('pass', 'b', 3), of('pass', 'c', 2)])[2]).toMatchObject({
      standing: 'pass',
      since: 3,
      why: 'a is pass. So did b and c.',
    });
  });

  test('stand as the worst, and name the others that are open', () => {
    const order: Standing[] = ['pass', 'stale', 'never', 'inconclusive', 'fail'];
    const gap = gapsOf(order.map((standing) => of(standing, standing, 7)))[2];
    expect(gap).toMatchObject({
      standing: 'fail',
      since: 7,
      why: 'fail is fail. Also open: inconclusive (inconclusive), never (never) and stale (stale).',
    });
    expect(gap?.stands.map(({ standing }) => standing)).toEqual(order.toReversed());
  });

  test('are closed only where every requirement is', () => {
    const standings = fc.constantFrom<Standing>('pass', 'fail', 'inconclusive', 'stale', 'never');
    fc.assert(
      fc.property(fc.array(standings, { maxLength: 6 }), (list) => {
        const gap = gapsOf(list.map((standing, index) => of(standing, String(index))))[2];
        expect(gap?.standing === 'pass').toBe(list.length > 0 && list.every((one) => one === 'pass'));
      }),
    );
  });
});
