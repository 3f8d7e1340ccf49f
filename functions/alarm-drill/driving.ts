import { GateInputError } from '../shared/errors.ts';
import { formatNumber } from '../shared/format.ts';
import { lineAt } from '../shared/schema.ts';
import { type Evaluated, type MetricAlarm, readsMetric, type StatisticQuery } from './alarm.ts';
import { idsIn, parseExpression } from './expression.ts';
import type { Facts, TickSample } from './measurements.ts';
import type { LocatedDrill } from './schema.ts';
import { simulate } from './simulate.ts';
import { dataPoint, fewSamples } from './statistic.ts';

/*
 * Which samples make an alarm see a value: by its statistic, and of metric math by solving it for the metric that drifts.
 */

/** Samples of one tick, by the id of the query that reads them. */
export type Samples = Record<string, TickSample>;

/** Makes an alarm see what it is to see. */
export interface Driver {
  /** The metric that drifts. */
  driven: StatisticQuery;
  /** What to publish a tick so that the alarm gets to see a value, to within rounding; null where nothing does. */
  samplesOf(value: number): Samples | null;
  /**
   * Whether it can be held against a threshold: where it is as good as there, the alarm has to see it to the last digit,
   * or else chance decides on which side of the threshold it is.
   */
  isTelling(value: number): boolean;
  /** How the value comes about, for messages: `the expression 100 * m1 / m2, with m2 at 120`. */
  through: string;
}

/**
 * The metric that a drill drives: of metric math the one that `drive` names, else the first that the alarm reads.
 *
 * @throws GateInputError where there is none, and as of {@link parseExpression}
 */
export function drivenQuery(alarm: MetricAlarm, drill: LocatedDrill): StatisticQuery {
  const read = readBy(alarm, alarm.returns);
  const metrics = metricsOf(alarm).filter(({ id }) => read.has(id));
  const { drive } = drill.value;
  const found = drive === undefined ? metrics[0] : metrics.find(({ id }) => id === drive);
  if (found) return found;
  throw new GateInputError(
    drive === undefined
      ? `alarm ${alarm.name} computes its values from no metric`
      : `alarm ${alarm.name} reads no metric with the id "${drive}" (${lineAt(drill, ['drive'])}), but ${metrics.map(({ id }) => id).join(', ') || 'none at all'}`,
  );
}

/**
 * How to make an alarm see a value.
 *
 * @param ticks how many ticks a period has, at least 1
 * @throws GateInputError where metric math reads others than the driven metric, and nothing says what they are
 */
export function driverOf(alarm: MetricAlarm, drill: LocatedDrill, facts: Facts, ticks: number): Driver {
  const driven = drivenQuery(alarm, drill);
  const samples = ({ id, statistic }: StatisticQuery, value: number, exactly: boolean) => {
    const count = countOf(alarm, statistic, facts.metrics[id]?.samplesPerPeriod, ticks);
    return sampleOf(statistic, value, ticks, count, exactly);
  };
  const thresholds = [alarm.threshold, drill.value.intended.fires.threshold];
  const isNear = (value: number) => thresholds.some((threshold) => isClose(value, threshold));
  const driver = (through: string, find: (value: number, exactly: boolean) => Found | null): Driver => {
    const known = new Map<number, Found | null>();
    const found = (value: number) => {
      if (!known.has(value)) known.set(value, find(value, isNear(value)));
      return known.get(value)!;
    };
    return {
      driven,
      through,
      samplesOf: (value) => {
        const samples = found(value)?.samples ?? null;
        return samples !== null && Object.values(samples).every(isPublishable) ? samples : null;
      },
      isTelling: (value) => !isNear(value) || found(value)?.exact === true,
    };
  };
  const returned = alarm.queries.find(({ id }) => id === alarm.returns);
  if (returned === undefined || readsMetric(returned)) {
    return driver(`the statistic ${driven.statistic}`, (value, exactly) => {
      const found = samples(driven, value, exactly);
      return found && { samples: { [driven.id]: found.sample }, exact: found.exact };
    });
  }

  const read = readBy(alarm, alarm.returns);
  const held = metricsOf(alarm)
    .filter(({ id }) => id !== driven.id && read.has(id))
    .map((query) => ({ query, value: heldAt(query, alarm, drill, facts) }));
  const solve = solverOf(
    alarm,
    driven.id,
    Object.fromEntries(held.map(({ query, value }) => [query.id, value])),
  );
  const others = held.map(({ query, value }) => `${query.id} at ${formatNumber(value)}`).join(', ');
  return driver(
    `the expression ${returned.expression}, driven by ${driven.id}${others === '' ? '' : ` with ${others}`}`,
    (value, exactly) => {
      const solution = solve(value);
      if (solution === null) return null;
      const parts: Found[] = [];
      for (const { query, value: part } of [{ query: driven, value: solution.at }, ...held]) {
        const found = samples(query, part, exactly);
        if (found === null) return null;
        parts.push({ samples: { [query.id]: found.sample }, exact: found.exact });
      }
      return {
        samples: Object.assign({}, ...parts.map((part) => part.samples)) as Samples,
        exact: solution.result === value && parts.every(({ exact }) => exact),
      };
    },
  );
}

/** Samples that make an alarm see a value, and whether to the last digit. */
interface Found {
  samples: Samples;
  exact: boolean;
}

function metricsOf({ queries }: Evaluated): StatisticQuery[] {
  return queries.filter(readsMetric);
}

/** The queries that one depends on, itself included. */
function readBy(alarm: Evaluated, id: string, seen = new Set<string>()): Set<string> {
  const query = alarm.queries.find((candidate) => candidate.id === id);
  if (!query || seen.has(id)) return seen;
  seen.add(id);
  if ('expression' in query) {
    const metrics = metricsOf(alarm).map((metric) => metric.id);
    for (const next of idsIn(parseExpression(query.expression), metrics)) readBy(alarm, next, seen);
  }
  return seen;
}

function heldAt(query: StatisticQuery, alarm: MetricAlarm, drill: LocatedDrill, facts: Facts): number {
  const held = drill.value.hold[query.id];
  if (held !== undefined) return held;
  const recent = facts.metrics[query.id]?.recent ?? [];
  if (recent.length > 0) return recent.reduce((sum, { value }) => sum + value, 0) / recent.length;
  throw new GateInputError(
    `alarm ${alarm.name} reads ${query.id}, which has no recent data, and hold says nothing of it (${lineAt(drill, ['hold'])})`,
    { help: `Set hold: { ${query.id}: ... } to a usual value of it.` },
  );
}

/**
 * How many samples a tick has: as many as seen in the real metric, and of percentiles enough for an alarm that waits for
 * more. Whether the real metric has enough is for the static proof to say.
 */
function countOf(
  { lowSamples }: Evaluated,
  statistic: string,
  samplesPerPeriod: number | undefined,
  ticks: number,
): number {
  let count = Math.max(1, Math.round((samplesPerPeriod ?? ticks) / ticks));
  while (lowSamples === 'ignore' && fewSamples(statistic, count * ticks)) count *= 2;
  return count;
}

/** The largest value that PutMetricData takes; and once what is nearer to nothing than its reverse was refused, too. */
const LARGEST = 2 ** 360;

function isPublishable({ value, count }: TickSample): boolean {
  return [value, count].every(
    (one) => one === 0 || (Math.abs(one) <= LARGEST && Math.abs(one) >= 1 / LARGEST),
  );
}

/** Relative error that a value may have: rounding, and what bisection leaves. */
const PRECISION = 1e-9;

/** Nudges of a number, in units of its last digit, and how many more samples than usual are tried. */
const NUDGES = Array.from({ length: 17 }, (_, index) => (index % 2 === 0 ? index / 2 : -(index + 1) / 2));
const MORE = 64;

/**
 * The sample that, published each tick, gives a whole period this data point: the value itself, its part of a sum, or
 * its part of a count (PutMetricData takes counts that are no whole numbers). Null where none of them does.
 *
 * @param exactly three times 0.05 is, rounded, a little more than 0.15, and its third more than 0.05: takes a nudge, or a
 *   few samples more, where they make the data point exact
 */
function sampleOf(
  statistic: string,
  value: number,
  ticks: number,
  count: number,
  exactly: boolean,
): { sample: TickSample; exact: boolean } | null {
  const pointOf = (sample: TickSample) =>
    dataPoint(statistic, [{ at: 0, value: sample.value, count: sample.count * ticks }]);
  const candidatesOf = (many: number): TickSample[] => {
    const ofOnes = pointOf({ value: 1, count: many });
    if (!ofOnes) return [{ value, count: many }];
    return [
      { value, count: many },
      { value: value / ofOnes, count: many },
      { value: 1, count: (many * value) / ofOnes },
    ];
  };
  const kind = candidatesOf(count).findIndex((sample) => sample.count > 0 && isClose(pointOf(sample), value));
  const usual = candidatesOf(count)[kind];
  if (usual === undefined) return null;
  if (!exactly) return { sample: usual, exact: false };
  for (let many = count; many <= count + MORE; many++) {
    const candidate = candidatesOf(many)[kind] ?? usual;
    for (const nudge of NUDGES) {
      const sample =
        kind === 2
          ? { ...candidate, count: nudged(candidate.count, nudge) }
          : { ...candidate, value: nudged(candidate.value, nudge) };
      if (isExact(statistic, sample, ticks, value)) return { sample, exact: true };
    }
  }
  return { sample: usual, exact: false };
}

/**
 * Whether a period has exactly this data point. Sums are taken in the order of time; an average has to be right however
 * it was added up, and also where it is kept between the extremes.
 */
function isExact(statistic: string, { value, count }: TickSample, ticks: number, wanted: number): boolean {
  const add = (one: number) => {
    let sum = 0;
    for (let tick = 0; tick < ticks; tick++) sum += one;
    return sum;
  };
  switch (statistic) {
    case 'Average':
      return (
        value === wanted &&
        [add(value * count), value * count * ticks, value * (count * ticks)].every(
          (sum) => sum / (count * ticks) === wanted,
        )
      );
    case 'Sum':
      return add(value * count) === wanted;
    case 'SampleCount':
      return add(count) === wanted;
    default:
      return dataPoint(statistic, [{ at: 0, value, count: count * ticks }]) === wanted;
  }
}

/** The number so many places further in the order of all numbers. */
function nudged(value: number, places: number): number {
  if (value === 0 || places === 0) return value;
  const number = new Float64Array([value]);
  const bits = new BigInt64Array(number.buffer);
  bits[0] = bits[0]! + BigInt(places);
  return number[0]!;
}

function isClose(a: number | null, b: number): boolean {
  return a !== null && Math.abs(a - b) <= PRECISION * Math.max(Math.abs(a), Math.abs(b));
}

/** Where values of a metric are looked for: nothing, and every power of ten that a metric may well have. */
const POSITIVE = [0, ...Array.from({ length: 25 }, (_, index) => 10 ** (index - 12))];
const NEGATIVE = POSITIVE.map((value) => -value);

/** Solves metric math for one metric while the others are held, by bisection: null where it is not monotone there. */
function solverOf(
  alarm: MetricAlarm,
  driven: string,
  held: Record<string, number>,
): (target: number) => Solution | null {
  const resultOf = resultsOf(alarm, driven, held);
  // Few metrics are ever negative, and behind zero expressions have their poles.
  const grids = [POSITIVE, NEGATIVE].map((grid) => grid.map((at) => ({ at, result: resultOf(at) })));
  return (target) => {
    for (const grid of grids) {
      if (!isMonotone(grid.map(({ result }) => result))) continue;
      const solution = solveOn(grid, target, resultOf);
      if (solution !== null) return solution;
    }
    return null;
  };
}

interface Point {
  at: number;
  result: number | null;
}

/** Where the result is as good as the target. */
interface Solution {
  at: number;
  result: number;
}

function solveOn(
  grid: readonly Point[],
  target: number,
  resultOf: (at: number) => number | null,
): Solution | null {
  const known = grid.filter((point): point is Solution => point.result !== null);
  const exact = known.find(({ result }) => result === target);
  if (exact) return exact;
  const index = known.findIndex(
    ({ result }, place) => place > 0 && result > target !== known[place - 1]!.result > target,
  );
  if (index < 0) return null;
  let [below, above] = [known[index - 1]!, known[index]!];
  for (;;) {
    const at = (below.at + above.at) / 2;
    const result = resultOf(at);
    if (result === null) return null;
    if (result === target) return { at, result };
    if (at === below.at || at === above.at) break;
    if (result > target === below.result > target) below = { at, result };
    else above = { at, result };
  }
  const nearest = [below, above].toSorted(
    (a, b) => Math.abs(a.result - target) - Math.abs(b.result - target),
  )[0]!;
  return isClose(nearest.result, target) ? nearest : null;
}

function isMonotone(results: readonly (number | null)[]): boolean {
  const known = results.filter((result) => result !== null);
  const steps = known.slice(1).map((result, index) => Math.sign(result - known[index]!));
  return !(steps.includes(1) && steps.includes(-1));
}

/**
 * What metric math gives while its metrics stay as they are; null where it gives nothing, or not the same each period,
 * as a running sum does.
 */
function resultsOf(
  alarm: MetricAlarm,
  driven: string,
  held: Record<string, number>,
): (value: number) => number | null {
  const queries = alarm.queries.map((query) =>
    readsMetric(query) ? { id: query.id, metric: query.metric, statistic: 'Average' } : query,
  );
  const [periods, asked] = [8, 3];
  const plain: Evaluated = { ...alarm, queries, evaluationPeriods: asked, datapointsToAlarm: 1 };
  const periodMs = alarm.periodS * 1000;
  const to = periods * periodMs;
  return (value) => {
    const series = Object.fromEntries(
      Object.entries({ ...held, [driven]: value }).map(([id, of]) => [
        id,
        Array.from({ length: periods }, (_, index) => ({ at: (index + 0.5) * periodMs, value: of })),
      ]),
    );
    const [evaluation] = simulate(plain, series, { from: to - 1, to });
    const results = evaluation!.slots.map((slot) => slot.value);
    const [newest = null] = results;
    return newest !== null && results.every((result) => result === null || isClose(result, newest))
      ? newest
      : null;
  };
}
