import type { Measurements, Request, Slice, Timeline } from './measurements.ts';
import type { LocatedRollbackDrill } from './schema.ts';
import { attributed, isChanging, recoveredAt, requestsBetween, statesOf, watchedMs } from './timeline.ts';

/*
 * The way back, from the start of the procedure until watching ended: what its judgement looks at. Pure.
 */

/** Times are milliseconds since 1970. */
export interface WayBack {
  begunAt: number;
  watchedUntil: number;
  /** That began meanwhile, in order. */
  requests: Request[];
  /** Of the endpoint, up to the end. */
  states: Slice['states'];
  /** Since when nothing changes any more, the procedure having ended where it has; null where something still does. */
  settledAt: number | null;
  /** For how long it has stayed so since nothing changes and the previous model serves, as far as it was watched; or null. */
  steadyMs: number | null;
  /** When the rollback was done: the procedure has ended well, and nothing changes any more. Null where it was not. */
  doneAt: number | null;
  /** Since when the previous model answers everything; null where it does not. */
  servesFrom: number | null;
  /** Since when it is rolled back; null where it is not. */
  recoveredAt: number | null;
}

/** Null where no procedure was begun. */
export function wayBackOf(
  { procedure, restoration }: Pick<Measurements, 'procedure' | 'restoration'>,
  { marks, slices }: Timeline,
  { value }: Pick<LocatedRollbackDrill, 'value'>,
): WayBack | null {
  if (procedure === null) return null;
  const { begunAt, endedAt, outcome, kind } = procedure;
  // What is asked while the endpoint is restored says nothing of the procedure.
  const end = restoration?.begunAt ?? Number.POSITIVE_INFINITY;
  const requests = requestsBetween(attributed(slices, value.failure), begunAt, end);
  const states = statesOf(slices).filter(({ at }) => at < end);
  const last = states.at(-1);
  const isSettled = last?.state == null || !isChanging(last.state);
  const settledAt = isSettled ? Math.max(endedAt ?? begunAt, last?.at ?? begunAt) : null;
  const doneAt = outcome === 'succeeded' && endedAt !== null ? settledAt : null;
  const servesFrom = recoveredAt(requests);
  // What a guardrail takes back answers as the previous model does: only the deployment says when it is back.
  const backAt = kind === 'guardrail' ? doneAt : begunAt;
  const watchedTo = watchedUntil(marks, slices, end);
  const steadyFrom = servesFrom === null || settledAt === null ? null : Math.max(servesFrom, settledAt);
  return {
    begunAt,
    watchedUntil: watchedTo,
    requests,
    states,
    settledAt,
    steadyMs: steadyFrom === null ? null : watchedMs(slices, steadyFrom, watchedTo),
    doneAt,
    servesFrom,
    recoveredAt: servesFrom === null || backAt === null ? null : Math.max(servesFrom, backAt),
  };
}

function watchedUntil(marks: Timeline['marks'], slices: readonly Slice[], end: number): number {
  const marked = marks.filter(({ what }) => what === 'watching ends').map(({ at }) => at);
  const ends = marked.length > 0 ? marked : slices.map(({ to }) => to);
  return Math.min(end, Math.max(0, ...ends));
}

/** From the start of the procedure to the recovery, milliseconds; null where there was none. */
export function recoveryMsOf(way: WayBack | null): number | null {
  return way === null || way.recoveredAt === null ? null : way.recoveredAt - way.begunAt;
}
