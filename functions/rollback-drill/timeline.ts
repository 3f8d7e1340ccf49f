import { type EndpointState, isSameWeight, sharesOf } from './endpoint.ts';
import type { Request, Slice, Timeline, Who } from './measurements.ts';
import type { RollbackDrillConfig } from './schema.ts';

/*
 * What the background traffic has shown: who answered when, since when the previous model does, and whether anything still
 * changes. Pure.
 */

/** So many answers that tell the models apart are enough to say who serves. */
export const ENOUGH_ANSWERS = 5;

/** So many prove that the bad model serves. */
const PROOF = 10;

/** The most by which shares of the traffic may differ and still be the same. */
export const SHARE_TOLERANCE = 1e-6;

/** Shorter pauses between slices are none: an invocation ends, and the next one begins. Milliseconds. */
export const PAUSE_MS = 10_000;

/** Counts of requests by who answered them. */
export type Tally = Record<Who, number>;

/** Requests that began in a stretch of time, in order, whatever that of the slices: `from` is in it, `to` is not. */
export function requestsBetween(slices: readonly Slice[], from: number, to: number): Request[] {
  return slices
    .flatMap(({ requests }) => requests)
    .filter(({ at }) => at >= from && at < to)
    .sort((a, b) => a.at - b.at || a.golden - b.golden || (a.who < b.who ? -1 : a.who > b.who ? 1 : 0));
}

export function tallyOf(requests: readonly Pick<Request, 'who'>[]): Tally {
  const tally: Tally = { previous: 0, bad: 0, either: 0, other: 0, nobody: 0 };
  for (const { who } of requests) tally[who] += 1;
  return tally;
}

/** Answers that say which model gave them. */
export function tellingAnswers({ previous, bad, other }: Tally): number {
  return previous + bad + other;
}

/** Whether an answer is that of another model than the one which served before. */
export function isWrong({ who }: Pick<Request, 'who'>): boolean {
  return who === 'bad' || who === 'other';
}

/**
 * Whether the bad model really has its part of the traffic: at least half of it, of enough answers that tell; where it is to
 * have all, the last ones are its own throughout.
 *
 * @param requests in the order of their beginnings
 * @param share that it is to have, 0 to 1
 */
export function isProven(requests: readonly Request[], share: number): boolean {
  const telling = requests.filter(({ who }) => who === 'previous' || who === 'bad' || who === 'other');
  const { bad } = tallyOf(telling);
  if (telling.length < PROOF || bad < (share / 2) * telling.length) return false;
  return share < 1 || telling.slice(-PROOF).every(({ who }) => who === 'bad');
}

/**
 * Since when the previous model answers everything, up to the end of what is given. {@link ENOUGH_ANSWERS} requests in a
 * row without an answer are an outage: nothing serves until it ends.
 *
 * @param requests in the order of their beginnings
 * @returns when the first right answer after the last wrong one, or the last outage, was asked for, milliseconds since 1970;
 * null where it goes on, or where fewer than {@link ENOUGH_ANSWERS} are right since
 */
export function recoveredAt(requests: readonly Request[]): number | null {
  let last = Number.NEGATIVE_INFINITY;
  let unanswered = 0;
  for (const request of requests) {
    unanswered = request.who === 'nobody' ? unanswered + 1 : 0;
    if (isWrong(request) || unanswered >= ENOUGH_ANSWERS) last = request.at;
  }
  const since = requests.filter(({ at, who }) => who === 'previous' && at > last);
  return since.length >= ENOUGH_ANSWERS ? (since[0] as Request).at : null;
}

/**
 * The same slices, with answers that a failure makes known by something else than by what they say: of a bad model that may
 * be faulty its errors, which are its answers; of a guardrail everything that both would say, since what it takes back is the
 * previous model deployed anew.
 */
export function attributed(slices: readonly Slice[], failure: RollbackDrillConfig['failure']): Slice[] {
  const isFaulty = failure.deployModel?.faulty === true;
  const whoOf = ({ who, error }: Request): Who => {
    if (isFaulty && who === 'nobody' && error?.startsWith('ModelError') === true) return 'bad';
    return failure.breakGuardrail !== undefined && who === 'either' ? 'previous' : who;
  };
  return slices.map((slice) => ({
    ...slice,
    requests: slice.requests.map((request) => ({ ...request, who: whoOf(request) })),
  }));
}

/** States of the endpoint as they came: each differs from the one before. */
export function statesOf(slices: readonly Slice[]): Slice['states'] {
  const states: Slice['states'] = [];
  for (const one of slices.flatMap((slice) => slice.states).sort((a, b) => a.at - b.at)) {
    const before = states.at(-1);
    if (before === undefined || !isSameState(before.state, one.state)) states.push(one);
  }
  return states;
}

/** Whether nothing but time lies between two states. */
export function isSameState(a: EndpointState | null, b: EndpointState | null): boolean {
  if (a === null || b === null) return a === b;
  return JSON.stringify({ ...a, at: 0 }) === JSON.stringify({ ...b, at: 0 });
}

/** The endpoint when the last slice ended; undefined where no slice has looked, null where there was none. */
export function lastState(slices: readonly Slice[]): EndpointState | null | undefined {
  return statesOf(slices).at(-1)?.state;
}

/** Whether something is under way at an endpoint, so that it may serve another model in a moment. */
export function isChanging({ status, pending, variants }: EndpointState): boolean {
  if (status === 'Updating' || status === 'SystemUpdating' || status === 'RollingBack') return true;
  if (status === 'Creating' || status === 'Deleting' || pending !== null) return true;
  return variants.some(
    ({ weight, desiredWeight, instances, desiredInstances }) =>
      !isSameWeight(weight, desiredWeight) || instances !== desiredInstances,
  );
}

/** Whether two endpoints split their traffic alike. */
export function isSameSplit(a: Pick<EndpointState, 'variants'>, b: Pick<EndpointState, 'variants'>): boolean {
  const [one, other] = [sharesOf(a.variants), sharesOf(b.variants)];
  const names = new Set([...Object.keys(one), ...Object.keys(other)]);
  return [...names].every((name) => Math.abs((one[name] ?? 0) - (other[name] ?? 0)) <= SHARE_TOLERANCE);
}

/** What is known while the way back is watched. */
export interface Watch {
  /** Milliseconds since 1970: when the procedure began, and ended; null where it goes on. */
  begunAt: number;
  endedAt: number | null;
  /** Milliseconds. */
  within: number;
  steady: number;
}

/**
 * Whether there is nothing more to see: the previous model has answered everything for as long as it has to stay so; or
 * nothing has changed for as long, and nothing will; or the time is up.
 *
 * @param slices from the beginning of the procedure
 * @param now milliseconds since 1970
 */
export function isOver(
  { begunAt, endedAt, within, steady }: Watch,
  slices: readonly Slice[],
  now: number,
): boolean {
  const requests = requestsBetween(slices, begunAt, Number.POSITIVE_INFINITY);
  const recovered = recoveredAt(requests);
  const state = lastState(slices);
  const settled = state === undefined || state === null || !isChanging(state);
  if (now >= begunAt + within + steady) return true;
  // What is not back in time is late, however steady it is then.
  if (now >= begunAt + within && (recovered === null || recovered > begunAt + within)) return true;
  if (endedAt === null || !settled) return false;
  const changedAt = Math.max(endedAt, statesOf(slices).at(-1)?.at ?? 0);
  const since = recovered === null ? changedAt : Math.max(recovered, changedAt);
  return watchedMs(slices, since, now) >= steady;
}

/**
 * For how long a stretch of time was watched, milliseconds. Where an execution lay idle, nobody knows who answered.
 *
 * @param from of the stretch, and `to`: milliseconds since 1970
 */
export function watchedMs(slices: readonly Slice[], from: number, to: number): number {
  let until = from;
  let idle = 0;
  const meanwhile = slices.filter((slice) => slice.to > from && slice.from < to);
  for (const slice of meanwhile.toSorted((a, b) => a.from - b.from)) {
    const pause = slice.from - until;
    if (pause > PAUSE_MS) idle += pause;
    until = Math.max(until, slice.to);
  }
  if (to - until > PAUSE_MS) idle += to - until;
  return Math.max(0, to - from - idle);
}

/** The whole timeline, in order. */
export function allRequests({ slices }: Pick<Timeline, 'slices'>): Request[] {
  return requestsBetween(slices, Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY);
}
