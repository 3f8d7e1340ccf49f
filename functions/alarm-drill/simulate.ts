import { GateInputError } from '../shared/errors.ts';
import { type AlarmState, breaches, type Evaluated, readsMetric, type StatisticQuery } from './alarm.ts';
import { evaluateExpression, idsIn, parseExpression } from './expression.ts';
import type { Evaluation, Sample, Series, Slot, Transition } from './series.ts';
import { dataPoint, fewSamples, percentileOf, sampleCountOf } from './statistic.ts';

/*
 * What a metric alarm does over time, from "Alarm evaluation" and "Configuring how CloudWatch alarms treat missing
 * data" in CloudWatch's user guide. What the guide leaves open is a parameter here, and `forecast` says where an answer
 * hangs on it.
 */

/** What the documentation leaves open about too few data points and too few samples. */
export interface Reading {
  /**
   * Missing data is `missing`; fewer than M real data points, all of them breaching, none as old as M periods: the
   * guide says that the alarm does not go to ALARM at once, and not what it does. Either it stays, or it goes there.
   */
  young: 'stay' | 'OK' | 'INSUFFICIENT_DATA';
  /**
   * Where the breaching data point has to be that is at least M periods old and makes an ALARM of fewer than M: the
   * guide says both, among the newest N periods and in the evaluation range.
   */
  old: 'range' | 'periods';
  /**
   * Of percentiles whose alarm ignores few samples: whether it waits while the N newest periods have too few together
   * (without any the treatment of missing data applies), or while any of them has.
   */
  few: 'together' | 'any';
}

/** The reading that is taken where one is needed. */
export const DOCUMENTED: Reading = { young: 'stay', old: 'range', few: 'together' };

/** What an alarm will do, whatever the documentation leaves open. */
export interface Forecast {
  /** State null: it depends. The slots are those of the longest range. */
  evaluations: { at: number; state: AlarmState | null; slots: Slot[] }[];
  /** What the state depends on, as one sentence; null where it is known everywhere. */
  undocumented: string | null;
  /** The possible courses, each once: a state for each evaluation. */
  courses: AlarmState[][];
}

export interface SimulateOptions {
  /** Evaluations from after this on; milliseconds since 1970. */
  from: number;
  /** To this, inclusive. */
  to: number;
  /** State before (default INSUFFICIENT_DATA, as after creation). */
  initial?: AlarmState;
  /** How long after its time stamp a sample is there to be read, milliseconds (default 0). */
  visibleAfterMs?: number;
  /** Pause between evaluations, milliseconds (default: that of CloudWatch, as of {@link evaluationTimes}). */
  every?: number;
}

/** How many data points more than N CloudWatch may read. How many is not documented; in the guide's examples 2. */
const EXTRA_RANGES = [0, 1, 2, 3] as const;

const DAY_S = 86_400;

/**
 * One evaluation of data points, newest first: N of them or, where CloudWatch reads more, all that it reads.
 *
 * With N real ones the newest N decide, and missing data plays no part; with fewer, missing data is treated as
 * configured, as rarely as possible. A point that is worse, or that is there and breaches where it was missing, never
 * turns ALARM into another state.
 */
export function judge(
  values: readonly (number | null)[],
  alarm: Evaluated,
  previous: AlarmState,
  reading: Pick<Reading, 'young' | 'old'> = DOCUMENTED,
): AlarmState {
  const breaching = values.map((value) => (value === null ? null : breaches(value, alarm)));
  return stateOf(tallyOf(breaching, alarm.evaluationPeriods), alarm, previous, reading);
}

/**
 * Between two evaluations of an alarm, milliseconds: a minute, or 10 s with periods below a minute. An alarm that looks
 * back further than a day is evaluated once an hour, on the data up to the full hour.
 */
export function evaluationMs({
  periodS,
  evaluationPeriods,
}: Pick<Evaluated, 'periodS' | 'evaluationPeriods'>): number {
  if (periodS < 60) return 10_000;
  return periodS * evaluationPeriods > DAY_S ? 3_600_000 : 60_000;
}

/** When an alarm is evaluated, after `from` and up to `to`: each {@link evaluationMs}. */
export function evaluationTimes(
  alarm: Pick<Evaluated, 'periodS' | 'evaluationPeriods'>,
  from: number,
  to: number,
  step = evaluationMs(alarm),
): number[] {
  const first = Math.floor(from / step) + 1;
  const last = Math.floor(to / step);
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, index) => (first + index) * step);
}

/**
 * The state of an alarm over time, at each of its {@link evaluationTimes}.
 *
 * Windows slide: newest is the period that ends now, whatever the clock says.
 *
 * @param series samples by query; a query without any is a metric without data
 * @param options.extraRange how many data points more than N CloudWatch reads (default 0)
 * @param options.reading of what is not documented
 * @throws GateInputError for a query that does not exist, expressions that read each other, and as of
 *   {@link parseExpression} and {@link dataPoint}
 */
export function simulate(
  alarm: Evaluated,
  series: Series,
  options: SimulateOptions & { extraRange?: number; reading?: Reading },
): Evaluation[] {
  const { extraRange = 0, reading = DOCUMENTED, initial = 'INSUFFICIENT_DATA' } = options;
  const seen = seenBy(alarm, series, options, [alarm.evaluationPeriods + extraRange]);
  const states = courseOf(seen, 0, alarm, initial, reading);
  return seen.map(({ at, slots }, index) => ({ at, state: states[index]!, slots }));
}

/**
 * What an alarm will do in every way in which CloudWatch may be built: for every plausible evaluation range, and every
 * reading of what is not documented.
 *
 * @throws GateInputError as of {@link simulate}
 */
export function forecast(alarm: Evaluated, series: Series, options: SimulateOptions): Forecast {
  const { initial = 'INSUFFICIENT_DATA' } = options;
  const seen = seenBy(
    alarm,
    series,
    options,
    EXTRA_RANGES.map((extra) => alarm.evaluationPeriods + extra),
  );
  const variants = EXTRA_RANGES.flatMap((extra, range) =>
    readingsOf(alarm).map((reading) => ({
      extra,
      reading,
      states: courseOf(seen, range, alarm, initial, reading),
    })),
  );
  const courses = [...new Map(variants.map(({ states }) => [states.join(), states])).values()];
  return {
    evaluations: seen.map(({ at, slots }, index) => {
      const states = new Set(courses.map((states) => states[index]!));
      return { at, state: states.size === 1 ? [...states][0]! : null, slots };
    }),
    undocumented: courses.length > 1 ? undocumented(variants) : null,
    courses,
  };
}

/** The changes of state; the first evaluation may be one too. */
export function transitionsOf(
  evaluations: readonly Pick<Evaluation, 'at' | 'state'>[],
  initial: AlarmState,
): Transition[] {
  let from = initial;
  return evaluations.flatMap(({ at, state: to }) => {
    const transition = { at, from, to };
    from = to;
    return transition.from === to ? [] : [transition];
  });
}

/**
 * When an alarm is first in a state after some time: at the earliest, null where it never is; and at the latest, null
 * where it may be that it never is.
 */
export function firstAt(
  { evaluations, courses }: Pick<Forecast, 'evaluations' | 'courses'>,
  state: AlarmState,
  after: number,
): { earliest: number | null; latest: number | null } {
  const times = courses.map(
    (states) => evaluations.find(({ at }, index) => at > after && states[index] === state)?.at ?? null,
  );
  const reached = times.filter((time) => time !== null);
  return {
    earliest: reached.length === 0 ? null : Math.min(...reached),
    latest: reached.length < times.length || reached.length === 0 ? null : Math.max(...reached),
  };
}

/** Points that a series for people may have. */
const MOST_POINTS = 10_000;

const TOKEN = /^(_|[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)(?:x(\d+))?$/i;

/**
 * Data points as people write them, oldest first: `0.1 0.1 _ 0.3x5`, where `_` is a missing one and `x5` says five
 * times. Commas may stand between.
 *
 * @throws GateInputError with what is wrong, and where
 */
export function parseSeries(text: string): (number | null)[] {
  const points: (number | null)[] = [];
  const tokens = [...text.matchAll(/[^\s,]+/g)];
  for (const [index, { 0: token, index: at }] of tokens.entries()) {
    const fail = (why: string): never => {
      throw new GateInputError(`"${token}", entry ${index + 1} of the series (character ${at + 1}), ${why}`, {
        help: 'Write numbers and _ for missing data points, oldest first, and x5 after one for five of it: "0.1 0.1 _ 0.3x5".',
      });
    };
    const [, written = '', repeated = '1'] = TOKEN.exec(token) ?? fail('is neither a number nor _');
    const point = written === '_' ? null : Number(written);
    if (point !== null && !Number.isFinite(point)) fail('is too large');
    const count = Number(repeated);
    if (count === 0) fail('stands for no data point');
    if (points.length + count > MOST_POINTS) {
      fail(`makes more than ${MOST_POINTS.toLocaleString('en-US')} data points`);
    }
    for (let time = 0; time < count; time++) points.push(point);
  }
  if (points.length > 0) return points;
  throw new GateInputError('the series has no data points', {
    help: 'Write numbers and _ for missing data points, oldest first: "0.1 0.1 _ 0.3x5".',
  });
}

/**
 * Samples that become such data points, one in the middle of each period; for SampleCount one that was seen so often.
 *
 * @param values oldest first; null: no sample
 * @param from where the first period starts, milliseconds since 1970
 * @param id of the query that gets them (default: the one that is watched, or the only metric)
 * @throws GateInputError where there are several metrics, and none was named
 */
export function seriesOf(
  values: readonly (number | null)[],
  alarm: Pick<Evaluated, 'queries' | 'returns' | 'periodS'>,
  from: number,
  id?: string,
): Series {
  const { id: driven, statistic, unit } = queryOfSeries(alarm, id);
  const periodMs = alarm.periodS * 1000;
  const samples = values.flatMap((value, index): Sample[] => {
    const counted = statistic === 'SampleCount';
    if (value === null || (counted && value <= 0)) return [];
    const at = from + (index + 0.5) * periodMs;
    return [
      { at, ...(counted ? { value: 1, count: value } : { value }), ...(unit === undefined ? {} : { unit }) },
    ];
  });
  return { [driven]: samples };
}

function queryOfSeries(
  { queries, returns }: Pick<Evaluated, 'queries' | 'returns'>,
  id?: string,
): StatisticQuery {
  const metrics = queries.filter(readsMetric);
  const wanted = id ?? (metrics.length === 1 ? metrics[0]!.id : returns);
  const found = metrics.find((query) => query.id === wanted);
  if (found) return found;
  throw new GateInputError(
    id === undefined
      ? 'the alarm computes its values from several metrics'
      : `the alarm has no metric with the id "${id}"`,
    { help: `Say which of them gets the series: ${metrics.map((query) => query.id).join(', ')}.` },
  );
}

/** What decides an evaluation. */
interface Tally {
  /** Data points that are not missing: those of the range, and of more than N the newest N. */
  real: number;
  /** Those of them that breach. */
  bad: number;
  /** Age of the oldest of these in periods, the newest period being 1; 0 without any. */
  oldest: Record<Reading['old'], number>;
}

/** @param range whether each period breaches, newest first */
function tallyOf(range: readonly (boolean | null)[], n: number): Tally {
  const tally = { real: 0, bad: 0, oldest: { range: 0, periods: 0 } };
  for (let index = 0; index < range.length && tally.real < n; index++) {
    if (range[index] === null) continue;
    tally.real++;
    if (!range[index]) continue;
    tally.bad++;
    tally.oldest.range = index + 1;
    if (index < n) tally.oldest.periods = index + 1;
  }
  return tally;
}

function stateOf(
  { real, bad, oldest }: Tally,
  { evaluationPeriods: n, datapointsToAlarm: m, missingData }: Evaluated,
  previous: AlarmState,
  { young, old }: Pick<Reading, 'young' | 'old'>,
): AlarmState {
  if (bad >= m) return 'ALARM';
  // With N real points each treatment says OK from here on: there is nothing to treat.
  switch (missingData) {
    case 'breaching':
      return bad + n - real >= m ? 'ALARM' : 'OK';
    case 'notBreaching':
      return 'OK';
    case 'ignore':
      return real > bad ? 'OK' : previous;
    case 'missing':
      if (real === 0) return 'INSUFFICIENT_DATA';
      if (real > bad) return 'OK';
      if (oldest[old] >= m) return 'ALARM';
      return young === 'stay' ? previous : young;
  }
}

/** What one evaluation sees. */
interface Seen {
  at: number;
  /** The longest range, newest first. */
  slots: Slot[];
  /** Of each range. */
  tallies: Tally[];
  /** Whether the alarm waits for more samples, in each reading. */
  waits: Record<Reading['few'], boolean>;
}

/** @param range which of those seen */
function courseOf(
  seen: readonly Seen[],
  range: number,
  alarm: Evaluated,
  initial: AlarmState,
  reading: Reading,
): AlarmState[] {
  let state = initial;
  return seen.map(({ tallies, waits }) => {
    if (!waits[reading.few]) state = stateOf(tallies[range]!, alarm, state, reading);
    return state;
  });
}

/** The readings that can make a difference to an alarm. */
function readingsOf(alarm: Evaluated): Reading[] {
  const missing = alarm.missingData === 'missing';
  const young: Reading['young'][] = missing ? ['stay', 'OK', 'INSUFFICIENT_DATA'] : ['stay'];
  const old: Reading['old'][] = missing ? ['range', 'periods'] : ['range'];
  const few: Reading['few'][] = ignoresFew(alarm) ? ['together', 'any'] : ['together'];
  return young.flatMap((young) => old.flatMap((old) => few.map((few) => ({ young, old, few }))));
}

function ignoresFew({ queries, returns, lowSamples }: Evaluated): string | undefined {
  const query = queries.find(({ id }) => id === returns);
  if (lowSamples !== 'ignore' || !query || !readsMetric(query)) return undefined;
  return percentileOf(query.statistic) === undefined ? undefined : query.statistic;
}

interface Variant {
  extra: number;
  reading: Reading;
  states: AlarmState[];
}

/** Names what makes a difference by itself, while all else is the same. */
function undocumented(variants: readonly Variant[]): string {
  const parts: [string, (variant: Variant) => unknown][] = [
    ['how many data points CloudWatch reads beyond the evaluation periods', ({ extra }) => extra],
    ['what an alarm does while it has a few data points that all breach', ({ reading }) => reading.young],
    [
      'how far back a breaching data point counts that is followed by missing ones',
      ({ reading }) => reading.old,
    ],
    ['over which time the samples of a percentile are counted', ({ reading }) => reading.few],
  ];
  const matters = (part: (variant: Variant) => unknown) => {
    const others = parts.map(([, other]) => other).filter((other) => other !== part);
    const groups = Map.groupBy(variants, (variant) => others.map((other) => other(variant)).join());
    return [...groups.values()].some((group) => new Set(group.map(({ states }) => states.join())).size > 1);
  };
  const named = parts.filter(([, part]) => matters(part)).map(([name]) => name);
  return `depends on undocumented behaviour: ${named.join('; ')}`;
}

/**
 * What each evaluation sees.
 *
 * @param ranges how many periods CloudWatch may read, ascending
 */
function seenBy(
  alarm: Evaluated,
  series: Series,
  { from, to, visibleAfterMs = 0, every }: SimulateOptions,
  ranges: readonly number[],
): Seen[] {
  const { evaluationPeriods } = alarm;
  const sources = new Map<string, PointAt>(
    alarm.queries
      .filter(readsMetric)
      .map((query) => [query.id, pointsOf(query, alarm.periodS, series[query.id] ?? [], visibleAfterMs)]),
  );
  const read = valuesOf(alarm, sources);
  const waitsAt = waitsOf(alarm, sources);
  const longest = ranges.at(-1)!;
  return evaluationTimes(alarm, from, to, every).map((at) => {
    const slots = slotsOf(alarm, at, read(at, longest));
    const tallies = ranges.map((range) => {
      // What an expression gives may depend on how much it reads; a metric is the same in any range.
      const seen = sources.has(alarm.returns) ? slots.slice(0, range) : slotsOf(alarm, at, read(at, range));
      return tallyOf(
        seen.map(({ breaching }) => breaching),
        evaluationPeriods,
      );
    });
    return { at, slots, tallies, waits: waitsAt(at) };
  });
}

/** @param values newest first */
function slotsOf(alarm: Evaluated, at: number, values: readonly (number | null)[]): Slot[] {
  const periodMs = alarm.periodS * 1000;
  return values.map((value, index) => ({
    from: at - (index + 1) * periodMs,
    to: at - index * periodMs,
    value,
    breaching: value === null ? null : breaches(value, alarm),
  }));
}

function waitsOf(alarm: Evaluated, sources: ReadonlyMap<string, PointAt>): (at: number) => Seen['waits'] {
  const percentile = ignoresFew(alarm);
  const pointAt = sources.get(alarm.returns);
  if (percentile === undefined || !pointAt) return () => ({ together: false, any: false });
  return (at) => {
    const sizes = Array.from({ length: alarm.evaluationPeriods }, (_, age) => pointAt(at, age).count);
    const together = sizes.reduce((sum, size) => sum + size, 0);
    return {
      together: together > 0 && fewSamples(percentile, together),
      any: sizes.some((size) => fewSamples(percentile, size)),
    };
  };
}

/** Values of a query over so many periods, newest first. */
type Reader = (at: number, range: number) => (number | null)[];

/** Reads the query that is watched. */
function valuesOf(alarm: Evaluated, sources: ReadonlyMap<string, PointAt>): Reader {
  const metrics = [...sources.keys()];
  const readers = new Map<string, Reader>();

  const readerOf = (id: string, path: readonly string[]): Reader => {
    const known = readers.get(id);
    if (known) return known;
    if (path.includes(id)) {
      throw new GateInputError(`the expressions of the alarm read each other: ${[...path, id].join(' -> ')}`);
    }
    const query = alarm.queries.find((candidate) => candidate.id === id);
    if (!query) throw new GateInputError(`the alarm has no query with the id "${id}"`);
    const reader = readsMetric(query)
      ? metricReader(sources.get(id)!)
      : expressionReader(query.expression, [...path, id]);
    readers.set(id, reader);
    return reader;
  };

  const expressionReader = (text: string, path: readonly string[]): Reader => {
    const expression = parseExpression(text);
    const reads = [...new Set([...idsIn(expression, metrics), ...metrics])].map(
      (id) => [id, readerOf(id, path)] as const,
    );
    return (at, range) =>
      evaluateExpression(
        expression,
        Object.fromEntries(reads.map(([id, read]) => [id, read(at, range).reverse()])),
        { periodS: alarm.periodS, metrics },
      ).reverse();
  };

  return readerOf(alarm.returns, []);
}

function metricReader(pointAt: PointAt): Reader {
  return (at, range) => {
    const values: (number | null)[] = [];
    for (let age = 0; age < range; age++) values.push(pointAt(at, age).value);
    return values;
  };
}

interface Point {
  value: number | null;
  /** How many samples it is of. */
  count: number;
}

const NO_POINT: Point = { value: null, count: 0 };

/** The data point of a metric, so many periods before the newest one of an evaluation. */
type PointAt = (at: number, age: number) => Point;

function pointsOf(
  { statistic, unit: wanted }: StatisticQuery,
  periodS: number,
  series: readonly Sample[],
  visibleAfterMs: number,
): PointAt {
  // In order of value where the time is the same: in whatever order they came, their sum is the same to the last digit.
  const samples = series
    .filter(({ unit = 'None' }) => wanted === undefined || unit === wanted)
    .toSorted((a, b) => a.at - b.at || a.value - b.value);
  const indexAt = (time: number) => {
    let [low, high] = [0, samples.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (samples[middle]!.at < time) low = middle + 1;
      else high = middle;
    }
    return low;
  };
  const pointBetween = (from: number, to: number): Point => {
    const [first, end] = [indexAt(from), indexAt(to)];
    if (first === end) return NO_POINT;
    const within = samples.slice(first, end);
    return { value: dataPoint(statistic, within), count: sampleCountOf(within) };
  };

  const periodMs = periodS * 1000;
  /** By their start: evaluations share most of their periods. */
  const complete = new Map<number, Point>();
  return (at, age) => {
    const from = at - (age + 1) * periodMs;
    const to = from + periodMs;
    // The newest sample that can be read by now was taken that long ago.
    const visibleTo = at - visibleAfterMs + 1;
    if (visibleTo < to) return visibleTo <= from ? NO_POINT : pointBetween(from, visibleTo);
    let point = complete.get(from);
    if (!point) {
      point = pointBetween(from, to);
      complete.set(from, point);
    }
    return point;
  };
}
