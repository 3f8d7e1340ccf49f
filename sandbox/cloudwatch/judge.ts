import type { Series } from './metrics.ts';

export type StateValue = 'OK' | 'ALARM' | 'INSUFFICIENT_DATA';

export type Treatment = 'missing' | 'ignore' | 'breaching' | 'notBreaching';

/** How each operator compares, and how CloudWatch says it. */
export const OPERATORS = {
  GreaterThanThreshold: { holds: (value: number, limit: number) => value > limit, words: 'greater than' },
  GreaterThanOrEqualToThreshold: {
    holds: (value: number, limit: number) => value >= limit,
    words: 'greater than or equal to',
  },
  LessThanThreshold: { holds: (value: number, limit: number) => value < limit, words: 'less than' },
  LessThanOrEqualToThreshold: {
    holds: (value: number, limit: number) => value <= limit,
    words: 'less than or equal to',
  },
} as const;

export type Operator = keyof typeof OPERATORS;

/** When a metric alarm fires. */
export interface Criteria {
  /** N: how many data points are evaluated. */
  periods: number;
  /** M: how many of them must breach. */
  datapoints: number;
  threshold: number;
  operator: Operator;
  treatment: Treatment;
}

/** What came out of one evaluation, and what it looked at. */
export interface Judgement {
  state: StateValue;
  /** Indices of the real data points that were evaluated, newest first. */
  evaluated: readonly number[];
  /** How many missing ones took the place of real ones. */
  filled: number;
}

/**
 * The state of a metric alarm, by the rules that CloudWatch documents under "How alarm state is evaluated when data is
 * missing". The newest N real points of the range are evaluated; only where there are fewer do missing ones stand in
 * for the rest, as the alarm's treatment says.
 *
 * One case is no longer documented: under `missing`, all real points breach, they are fewer than M, and the oldest of
 * them is younger than M periods. Earlier editions had it as INSUFFICIENT_DATA, and so it is here.
 *
 * @param range the evaluation range, oldest first: N periods and some more
 * @param current the state to keep where the data do not decide
 */
export function judge(range: Series, criteria: Criteria, current: StateValue): Judgement {
  const { periods, datapoints, threshold, operator, treatment } = criteria;
  const newestFirst = range.map((value, index) => ({ value, index })).reverse();
  const real = newestFirst.filter(({ value }) => value !== undefined).slice(0, periods);
  const breaching = real.filter(({ value }) => OPERATORS[operator].holds(value as number, threshold));
  const filled = periods - real.length;
  const evaluated = real.map(({ index }) => index);
  const is = (state: StateValue): Judgement => ({ state, evaluated, filled });

  const counted = breaching.length + (treatment === 'breaching' ? filled : 0);
  if (counted >= datapoints) return is('ALARM');
  // All that is to be evaluated is there, or is taken for something.
  if (filled === 0 || treatment === 'breaching' || treatment === 'notBreaching') return is('OK');
  if (breaching.length < real.length) return is('OK');
  // Nothing is known to be well.
  if (treatment === 'ignore') return is(current);
  const oldest = breaching.at(-1)?.index;
  const age = oldest === undefined ? 0 : range.length - oldest;
  return is(age >= datapoints ? 'ALARM' : 'INSUFFICIENT_DATA');
}

/**
 * How many samples a percentile needs so that CloudWatch takes it for significant.
 *
 * @param percent from 0 to 100; of either end, where the rule leaves off, any number is enough
 */
export function samplesFor(percent: number): number {
  if (percent === 0 || percent === 100) return 0;
  // Less what the subtraction leaves: p99.9 needs 10,000, not 10,000.0000000006.
  return Math.ceil(1_000 / (percent < 50 ? percent : 100 - percent) - 1e-6);
}
