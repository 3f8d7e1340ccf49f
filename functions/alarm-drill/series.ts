import type { AlarmState } from './alarm.ts';

/*
 * Series of a metric, before and after they became data points.
 */

/** Samples of a metric with one time stamp. */
export interface Sample {
  /** Milliseconds since 1970. */
  at: number;
  value: number;
  /** How often the value was seen, from above 0 (default 1). */
  count?: number;
  /** As published (default `None`). */
  unit?: string;
}

/** Samples by the id of the query that reads them; ascending in time. */
export type Series = Record<string, readonly Sample[]>;

/** One period of an evaluation. */
export interface Slot {
  /** The period, milliseconds since 1970: from `from`, inclusive, to `to`, exclusive. */
  from: number;
  to: number;
  /** What is held against the threshold; null where it is missing. */
  value: number | null;
  /** Null where it is missing. */
  breaching: boolean | null;
}

/** One evaluation of an alarm. */
export interface Evaluation {
  /** Milliseconds since 1970. */
  at: number;
  state: AlarmState;
  /** The evaluation range, newest first. */
  slots: Slot[];
}

/** A change of state. */
export interface Transition {
  /** Milliseconds since 1970. */
  at: number;
  from: AlarmState;
  to: AlarmState;
}
