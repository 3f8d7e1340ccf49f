import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { EndpointState } from '../../../functions/rollback-drill/endpoint.ts';
import type { Request, Slice, Who } from '../../../functions/rollback-drill/measurements.ts';
import {
  allRequests,
  attributed,
  ENOUGH_ANSWERS,
  isChanging,
  isOver,
  isProven,
  isSameSplit,
  isSameState,
  isWrong,
  lastState,
  recoveredAt,
  requestsBetween,
  statesOf,
  tallyOf,
  tellingAnswers,
} from '../../../functions/rollback-drill/timeline.ts';
import {
  bad,
  deployed,
  drillOf,
  GUARDED,
  nobody,
  stateOf,
  T0,
  timelineOf,
} from '../../support/rollback-facts.ts';

const S = 1000;
const WHO: Record<string, Who> = { P: 'previous', B: 'bad', O: 'other', E: 'either', x: 'nobody' };

/** A request a second, from second 0 on, each answered by the one of its letter. */
function requestsOf(letters: string): Request[] {
  return [...letters].map((letter, index) => ({
    at: index * S,
    golden: 0,
    ms: 20,
    who: WHO[letter]!,
    variant: null,
    error: null,
  }));
}

function sliceOf(requests: Request[], states: [second: number, state: EndpointState | null][] = []): Slice {
  return {
    from: requests[0]?.at ?? 0,
    to: (requests.at(-1)?.at ?? 0) + S,
    requests,
    states: states.map(([second, state]) => ({ at: second * S, state })),
    stop: null,
  };
}

describe('the proof that the bad model serves', () => {
  test.each<[string, number, boolean]>([
    ['BBBBBBBBB', 1, false],
    ['BBBBBBBBBB', 1, true],
    ['EBBBBxBBBBEBB', 1, true],
    ['PPPPPPPPPPBBBBBBBBBB', 1, true],
    // Of all the traffic less than half was its own, whoever has the last ones.
    ['PPPPPPPPPPPBBBBBBBBBB', 1, false],
    ['BBBBBBBBBBBBBBBPBBBBBBBBB', 1, false],
    ['BBBBBBBBBBBBBBBOBBBBBBBBB', 1, false],
    ['BPPPPBPPPP', 0.4, true],
    ['BPPPPPPPPP', 0.4, false],
    ['BxxxxxxxxxxEEEEEEEE', 0.4, false],
  ])('%s, of a share of %s: %s', (letters, share, expected) => {
    expect(isProven(requestsOf(letters), share)).toBe(expected);
  });
});

describe('the recovery', () => {
  test.each<[string, number | null]>([
    ['PPPPP', 0],
    ['PPPP', null],
    ['BBBPPPPP', 3],
    ['BPBPPPPP', 3],
    ['BPPOPPPPP', 4],
    ['PPPPPB', null],
    ['BPPPPB', null],
    ['BEEPPPPP', 3],
    ['BxxPxPPPP', 3],
    ['BPPPPPxxxxx', null],
    ['BPPPPPxxxxPPP', 1],
    ['BPPxxxxxPPPPP', 8],
    ['BPPPPPxxExxP', 1],
    ['', null],
  ])('of %s is at %s', (letters, second) => {
    expect(recoveredAt(requestsOf(letters))).toBe(second === null ? null : second * S);
  });

  test('comes after a wrong answer that was asked for in the same moment', () => {
    const [first, second, ...others] = requestsOf('PBPPPPP');
    const same = [first!, { ...second!, at: 0 }, ...others];
    expect(recoveredAt(same)).toBe(2 * S);
    expect(recoveredAt([same[1]!, same[0]!, ...others])).toBe(2 * S);
  });

  test('is never before the last wrong answer or in an outage, and only right answers come after', () => {
    const letters = fc.array(fc.constantFrom('P', 'P', 'P', 'B', 'O', 'E', 'x'), { maxLength: 40 });
    fc.assert(
      fc.property(letters, (drawn) => {
        const requests = requestsOf(drawn.join(''));
        const at = recoveredAt(requests);
        const wrong = requests.findLast(isWrong);
        if (at === null) return;
        expect(at).toBeGreaterThan(wrong?.at ?? -1);
        const since = requests.filter((request) => request.at >= at);
        expect(since[0]?.who).toBe('previous');
        expect(since.filter(({ who }) => who === 'previous').length).toBeGreaterThanOrEqual(ENOUGH_ANSWERS);
        expect(since.map(({ who }) => (who === 'nobody' ? 'x' : '.')).join('')).not.toContain('xxxxx');
      }),
      { numRuns: 500, seed: 1 },
    );
  });

  test('comes no earlier with one more wrong answer', () => {
    const letters = fc.array(fc.constantFrom('P', 'P', 'P', 'B', 'x'), { minLength: 1, maxLength: 30 });
    fc.assert(
      fc.property(letters, fc.nat(), (drawn, index) => {
        const worse = drawn.with(index % drawn.length, 'B');
        const [before, after] = [drawn, worse].map((all) => recoveredAt(requestsOf(all.join(''))));
        // A wrong answer ends an outage, but it is no recovery.
        if (before === null && after !== null) expect(drawn.join('')).toContain('xxxxx');
        else if (after !== null) expect(after).toBeGreaterThanOrEqual(before ?? 0);
      }),
      { numRuns: 500, seed: 2 },
    );
  });
});

describe('requests', () => {
  test('between two times are in order, with the first and without the last', () => {
    const slices = [sliceOf(requestsOf('PBPPP').slice(3)), sliceOf(requestsOf('PBPPP').slice(0, 3))];
    expect(requestsBetween(slices, S, 4 * S).map(({ at }) => at)).toEqual([S, 2 * S, 3 * S]);
    expect(allRequests({ slices })).toEqual(requestsOf('PBPPP'));
  });

  test('are the same in whatever order they come', () => {
    const request = fc.record({
      at: fc.nat(5),
      golden: fc.nat(2),
      ms: fc.constant(1),
      who: fc.constantFrom('previous', 'bad', 'nobody') as fc.Arbitrary<Who>,
      variant: fc.constant(null),
      error: fc.constant(null),
    });
    fc.assert(
      fc.property(fc.array(request), (requests) => {
        const [one, other] = [requests, requests.toReversed()].map((all) =>
          allRequests({ slices: all.map((one) => sliceOf([one])) }),
        );
        expect(other).toEqual(one);
      }),
      { numRuns: 200, seed: 3 },
    );
  });

  test('are counted by who answered', () => {
    const tally = tallyOf(requestsOf('PPBOEx'));
    expect(tally).toEqual({ previous: 2, bad: 1, other: 1, either: 1, nobody: 1 });
    expect(tellingAnswers(tally)).toBe(4);
  });
});

describe('what a failure makes known', () => {
  const slices = () =>
    timelineOf({
      answering: (second) =>
        second < 1 ? nobody('ModelError 500') : second < 2 ? nobody() : second < 3 ? { who: 'either' } : bad,
      until: 10,
    }).slices;
  const counts = (failure: ReturnType<typeof drillOf>['value']['failure']) =>
    tallyOf(allRequests({ slices: attributed(slices(), failure) }));

  test('the errors of a model that may be faulty are its answers', () => {
    expect(counts(drillOf(deployed(true)).value.failure)).toEqual({
      previous: 0,
      bad: 40,
      either: 5,
      other: 0,
      nobody: 5,
    });
    expect(counts(drillOf(deployed()).value.failure)).toEqual({
      previous: 0,
      bad: 35,
      either: 5,
      other: 0,
      nobody: 10,
    });
  });

  test('a guardrail takes back what answers as the previous model', () => {
    expect(counts(drillOf(GUARDED).value.failure)).toEqual({
      previous: 5,
      bad: 35,
      either: 0,
      other: 0,
      nobody: 10,
    });
  });

  test('nothing else is changed', () => {
    const all = slices();
    expect(attributed(all, drillOf().value.failure)).toEqual(all);
  });
});

describe('states', () => {
  const updating = stateOf([0, 1], { status: 'Updating' });

  test('are told once each, in whatever order the slices come', () => {
    const slices = [
      sliceOf(
        [],
        [
          [0, stateOf()],
          [2, updating],
        ],
      ),
      sliceOf(
        [],
        [
          [10, { ...updating, at: 9 }],
          [12, null],
        ],
      ),
      sliceOf(
        [],
        [
          [20, null],
          [22, stateOf()],
        ],
      ),
    ];
    const told = [
      [0, 'InService'],
      [2, 'Updating'],
      [12, undefined],
      [22, 'InService'],
    ];
    for (const some of [slices, slices.toReversed()]) {
      expect(statesOf(some).map(({ at, state }) => [at / S, state?.status])).toEqual(told);
      expect(lastState(some)?.status).toBe('InService');
    }
    expect(lastState(slices.slice(0, 2))).toBeNull();
    expect(lastState([sliceOf([])])).toBeUndefined();
  });

  test('differ in everything but the time', () => {
    expect(isSameState(stateOf(), stateOf([1, 0], { at: 5 }))).toBe(true);
    expect(isSameState(stateOf(), stateOf([1, 0], { failureReason: 'x' }))).toBe(false);
    expect(isSameState(null, stateOf())).toBe(false);
    expect(isSameState(null, null)).toBe(true);
  });

  const variant = stateOf().variants[0]!;
  test.each<[string, Partial<EndpointState>, boolean]>([
    ['at rest', {}, false],
    ['serverless', { variants: [{ ...variant, instances: null, desiredInstances: null }] }, false],
    ...(['Updating', 'SystemUpdating', 'RollingBack', 'Creating', 'Deleting'] as const).map(
      (status): [string, Partial<EndpointState>, boolean] => [status, { status }, true],
    ),
    ...(['Failed', 'UpdateRollbackFailed', 'OutOfService'] as const).map(
      (status): [string, Partial<EndpointState>, boolean] => [status, { status }, false],
    ),
    ['with a deployment', { pending: 'b' }, true],
    ['with other weights to come', { variants: [{ ...variant, desiredWeight: 3 }] }, true],
    ['with instances to come', { variants: [{ ...variant, desiredInstances: 3 }] }, true],
  ])('an endpoint %s', (_, change, changing) => {
    expect(isChanging(stateOf([1, 0], change))).toBe(changing);
  });

  test('split alike by shares, not by weights', () => {
    expect(isSameSplit(stateOf([1, 3]), stateOf([0.25, 0.75]))).toBe(true);
    expect(isSameSplit(stateOf([1, 3]), stateOf([3, 1]))).toBe(false);
    expect(isSameSplit(stateOf([1, 0]), stateOf([0, 0]))).toBe(false);
    const [, primary] = stateOf().variants;
    expect(isSameSplit(stateOf(), { variants: [primary!] })).toBe(true);
  });
});

describe('watching', () => {
  const watch = { begunAt: 0, endedAt: 3 * S, within: 100 * S, steady: 20 * S };
  const at = (
    second: number,
    letters: string,
    change: Partial<typeof watch> = {},
    states: [number, EndpointState | null][] = [[0, stateOf()]],
  ) => isOver({ ...watch, ...change }, [sliceOf(requestsOf(letters), states)], second * S);

  test('goes on for as long as nobody has watched, where an execution lay idle', () => {
    const [first, second] = ['P'.repeat(10), 'P'.repeat(30)].map(requestsOf) as [Request[], Request[]];
    const idle = (ms: number) => {
      const late = second.map((request) => ({ ...request, at: request.at + 10 * S + ms }));
      const slices = [sliceOf(first, [[0, stateOf()]]), sliceOf(late)];
      return (at: number) => isOver(watch, slices, at * S);
    };
    expect(idle(10 * S)(23)).toBe(true);
    expect(idle(25 * S)(23 + 24)).toBe(false);
    expect(idle(25 * S)(23 + 25)).toBe(true);
  });

  test('ends once the previous model has served for long enough', () => {
    const letters = `BBBBB${'P'.repeat(40)}`;
    expect(at(24, letters)).toBe(false);
    expect(at(25, letters)).toBe(true);
  });

  test('ends where nothing has changed for as long, whoever serves', () => {
    expect(at(22, 'B'.repeat(40))).toBe(false);
    expect(at(23, 'B'.repeat(40))).toBe(true);
    expect(at(23, 'x'.repeat(40), {}, [[0, null]])).toBe(true);
    expect(at(23, 'x'.repeat(40), {}, [])).toBe(true);
  });

  test('goes on while the procedure or the endpoint does', () => {
    const letters = 'P'.repeat(90);
    expect(at(90, letters, { endedAt: null as never })).toBe(false);
    const updating = stateOf([1, 0], { status: 'Updating' });
    expect(
      at(90, letters, {}, [
        [0, stateOf()],
        [5, updating],
      ]),
    ).toBe(false);
    const states: [number, EndpointState][] = [
      [0, stateOf()],
      [5, updating],
      [60, stateOf()],
    ];
    expect(at(79, letters, {}, states)).toBe(false);
    expect(at(80, letters, {}, states)).toBe(true);
  });

  test('ends when the time is up: at once for what is late, else with time to stay so', () => {
    const updating: [number, EndpointState][] = [[0, stateOf([1, 0], { status: 'Updating' })]];
    expect(at(99, 'B'.repeat(90), { endedAt: null as never }, updating)).toBe(false);
    expect(at(100, 'B'.repeat(90), { endedAt: null as never }, updating)).toBe(true);
    expect(at(119, 'P'.repeat(110), { endedAt: null as never }, updating)).toBe(false);
    expect(at(120, 'P'.repeat(110), { endedAt: null as never }, updating)).toBe(true);
  });

  test('ends in time, whatever happens', () => {
    const letters = fc
      .array(fc.constantFrom('P', 'B', 'O', 'E', 'x'), { maxLength: 120 })
      .map((all) => all.join(''));
    const state = fc.constantFrom(null, stateOf(), stateOf([0, 1], { status: 'Updating' }));
    fc.assert(
      fc.property(
        letters,
        fc.array(fc.tuple(fc.nat(120), state), { maxLength: 4 }),
        fc.option(fc.nat(120)),
        (drawn, states, ended) => {
          const endedAt = ended === null ? null : ended * S;
          const slices = [sliceOf(requestsOf(drawn), states)];
          expect(isOver({ ...watch, endedAt }, slices, 120 * S)).toBe(true);
          expect(isOver({ ...watch, endedAt }, slices, 2 * S)).toBe(false);
        },
      ),
      { numRuns: 200, seed: 4 },
    );
  });

  test('of no request at all ends, too', () => {
    expect(isOver(watch, [], T0)).toBe(true);
  });
});
