import type { Mark, Measurements, Request, Timeline } from './measurements.ts';
import type { LocatedRollbackDrill } from './schema.ts';
import type { WayBack } from './way-back.ts';

/*
 * A drill as its reader thinks of it: one phase after the other. Pure.
 */

/** A stretch of a drill; times are milliseconds since 1970, `to` after `from`. */
export interface Phase {
  name: string;
  from: number;
  to: number;
}

/** The phases of a drill in order, as far as it got; none where nothing was begun. They do not overlap. */
export function phasesOf(
  { procedure, failure }: Pick<Measurements, 'procedure' | 'failure'>,
  { marks, slices }: Timeline,
  way: WayBack | null,
  { value }: Pick<LocatedRollbackDrill, 'value'>,
): Phase[] {
  const at = (what: Mark['what']) => marks.find((mark) => mark.what === what)?.at;
  const isGuardrail = failure?.kind === 'breakGuardrail';
  const watched = at('watching ends') ?? Number.POSITIVE_INFINITY;
  const procedureEnds = at('procedure ends');
  const ended = procedureEnds !== undefined && procedureEnds < watched ? procedureEnds : undefined;
  const recovered = way?.recoveredAt ?? undefined;
  const isSteady = (way?.steadyMs ?? 0) >= value.steady;
  const back = isSteady ? 'steady' : 'recovered';
  const afterwards = recovered === undefined ? 'not recovered' : 'recovery';
  /** Null: what follows is none. */
  const beginnings: [at: number | undefined, name: string | null][] = [
    [at('traffic begins'), 'before'],
    [at('failure begins'), isGuardrail ? 'deployment' : 'failure injected'],
    [at('bad model serves'), 'bad model serves'],
    [at('procedure begins'), isGuardrail ? 'guardrail acts' : 'procedure runs'],
    [ended, recovered !== undefined && recovered <= (ended ?? 0) ? back : afterwards],
    [recovered !== undefined && recovered > (ended ?? recovered) ? recovered : undefined, back],
    // Nobody asks any more who answers, and the procedure goes on.
    [at('watching ends'), procedure !== null && ended === undefined ? 'nobody watches' : null],
    [at('restoring begins'), 'restoring'],
    [at('restoring ends'), null],
  ];
  const points = beginnings
    .flatMap(([time, name]) => (time === undefined ? [] : [{ time, name }]))
    .map((point, index) => ({ ...point, index }))
    .sort((a, b) => a.time - b.time || a.index - b.index);
  // Of a drill that was broken off nothing says so.
  const end = [...marks.map((mark) => mark.at), ...slices.map(({ to }) => to)].reduce(
    (a, b) => Math.max(a, b),
    0,
  );
  return points.flatMap(({ time, name }, index): Phase[] => {
    const to = points[index + 1]?.time ?? end;
    return name === null || to <= time ? [] : [{ name, from: time, to }];
  });
}

/** Requests that began in a phase. */
export function requestsIn({ from, to }: Phase, requests: readonly Request[]): Request[] {
  return requests.filter(({ at }) => at >= from && at < to);
}
