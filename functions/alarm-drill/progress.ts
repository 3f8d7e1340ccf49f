import { timeText } from '../shared/format.ts';
import type { Alarm } from './alarm.ts';
import { phasesOf } from './ladder.ts';
import type { Plan } from './measurements.ts';
import { type RoundOf, shadowName } from './shadow.ts';

/*
 * What whoever follows a drill gets to read. Pure.
 */

/** Rungs that are named one by one. */
const NAMED = 8;

/** A round that has begun. */
export interface BegunRound {
  plan: Plan;
  of: RoundOf;
  /** Of tick 0, milliseconds since 1970. */
  startedAt: number;
}

/**
 * Where a round is: `drift, 2 min 10 s: 2x ALARM after 61 s, 5x ALARM after 61 s, 1.05x OK, quiet ones OK`. Rungs that
 * must stay quiet are named where they do not.
 *
 * @param now milliseconds since 1970
 */
export function phaseText(
  { plan, of, startedAt }: BegunRound,
  now: number,
  alarms: readonly Alarm[],
): string {
  const { onset, driftEnd, recoveryEnd } = phasesOf({ plan, startedAt });
  const [phase, since] =
    now < onset
      ? ['warm-up', startedAt]
      : now < driftEnd
        ? ['drift', onset]
        : now < recoveryEnd
          ? ['recovery', driftEnd]
          : ['settling', recoveryEnd];
  const stateOf = (id: string) => {
    const alarm = alarms.find(({ name }) => name === shadowName(of.token, of.round, id));
    if (alarm === undefined) return { state: 'gone', text: 'gone' };
    const { state } = alarm;
    const after = 'since' in alarm && alarm.since >= since ? ` after ${timeText(alarm.since - since)}` : '';
    return { state, text: `${state}${after}` };
  };
  const rungs = plan.rungs.map((rung) => ({ ...rung, ...stateOf(rung.id) }));
  const head = `${roundText(of.round)}${phase}, ${timeText(Math.max(0, now - since))}: `;
  // What they do without data yet means nothing.
  if (now < onset)
    return `${head}${rungs.filter(({ state }) => state === 'OK').length} of ${rungs.length} OK`;
  const quiet = rungs.filter(({ expects }) => expects === 'quiet');
  const others = rungs.filter(({ expects }) => expects !== 'quiet');
  const restless = quiet.filter(({ state }) => state !== 'OK');
  const named = [...others.toSorted((a, b) => rank(a.state) - rank(b.state)), ...restless];
  const parts = [
    ...named.slice(0, NAMED).map(({ id, text }) => `${id} ${text}`),
    ...(named.length > NAMED ? [`${named.length - NAMED} more`] : []),
    ...(quiet.length > 0 && restless.length === 0 ? ['quiet ones OK'] : []),
  ];
  return `${head}${parts.join(', ')}`;
}

/** What has rung comes first. */
function rank(state: string): number {
  return state === 'ALARM' ? 0 : 1;
}

/** `round 2, `; of the first, nothing. */
export function roundText(round: number): string {
  return round === 1 ? '' : `round ${round}, `;
}
