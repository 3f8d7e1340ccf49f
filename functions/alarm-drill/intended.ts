import { breaches, firesUpwards } from './alarm.ts';
import type { LocatedDrill } from './schema.ts';

/*
 * What a drill intends, in values of the metric: times the threshold, which of them are loud, what is usual.
 */

/** Just under the intended threshold, and just over it, in times: what tells an alarm that is right from others. */
export const JUST_UNDER = 0.95;
export const JUST_OVER = 1.05;

/** Whether a drill is about values that are too high, rather than too low. */
export function isUpwards({ value: { intended } }: LocatedDrill): boolean {
  return firesUpwards(intended.fires);
}

/**
 * So many times the intended threshold, as a value: the more, the louder, whichever way the alarm is meant to fire and
 * whatever sign the threshold has. Of a threshold of 0 one "times" is `scale`.
 *
 * @param times above 0
 */
export function valueAt(drill: LocatedDrill, times: number): number {
  const { threshold } = drill.value.intended.fires;
  const upwards = isUpwards(drill);
  if (threshold === 0) return (upwards ? times - 1 : 1 - times) * (drill.value.scale ?? 1);
  return threshold > 0 === upwards ? times * threshold : threshold / times;
}

/**
 * The reverse of {@link valueAt}: 0 for values that are quieter than any times of the threshold, infinity for those
 * that are louder, as behind the zero that dividing a threshold never comes to.
 */
export function timesOf(drill: LocatedDrill, value: number): number {
  const { threshold } = drill.value.intended.fires;
  const upwards = isUpwards(drill);
  if (threshold === 0) return Math.max(0, 1 + (upwards ? value : -value) / (drill.value.scale ?? 1));
  if (threshold > 0 === upwards) return Math.max(0, value / threshold);
  return value * threshold > 0 ? threshold / value : Number.POSITIVE_INFINITY;
}

/** What an alarm that is as intended does at so many times the threshold: exactly there its strictness decides. */
export function expectationAt({ value: { intended } }: LocatedDrill, times: number): 'quiet' | 'loud' {
  const loud = times === 1 ? breaches(intended.fires.threshold, intended.fires) : times > 1;
  return loud ? 'loud' : 'quiet';
}

/** Whether the metric is ever there. */
export function isInRange({ value: { intended } }: LocatedDrill, value: number): boolean {
  const { from = Number.NEGATIVE_INFINITY, to = Number.POSITIVE_INFINITY } = intended.range ?? {};
  return value >= from && value <= to;
}

/** The ends of what the metric ever shows; infinite where nothing is said of it. */
export function endsOf(drill: LocatedDrill): { quiet: number; loud: number } {
  const { from = Number.NEGATIVE_INFINITY, to = Number.POSITIVE_INFINITY } = drill.value.intended.range ?? {};
  return isUpwards(drill) ? { quiet: from, loud: to } : { quiet: to, loud: from };
}

/**
 * A usual value: the configured one, else a quarter of the way to the threshold from the quiet end of its range, else a
 * quarter "times" the threshold.
 */
export function healthyOf(drill: LocatedDrill): number {
  const { healthy, intended } = drill.value;
  if (healthy !== undefined) return healthy;
  const { quiet } = endsOf(drill);
  return Number.isFinite(quiet) ? quiet + (intended.fires.threshold - quiet) / 4 : valueAt(drill, 0.25);
}
