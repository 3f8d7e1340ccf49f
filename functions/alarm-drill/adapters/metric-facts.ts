import {
  type CloudWatchClient,
  ListMetricsCommand,
  type ListMetricsCommandInput,
} from '@aws-sdk/client-cloudwatch';
import { distance } from 'fastest-levenshtein';
import { call } from '../../shared/aws.ts';
import { type Evaluated, type MetricName, metricText, type StatisticQuery, sameMetric } from '../alarm.ts';
import type { MetricFacts } from '../measurements.ts';
import { DRILL_NAMESPACE } from '../schema.ts';
import { metricShape } from '../shadow.ts';
import { type DataQuery, metricData, metricName } from './alarms.ts';

/*
 * What CloudWatch knows of one metric that an alarm watches. At most six reads of data, and a few pages of names where
 * there is no data.
 */

const SECOND_MS = 1000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;

/** Well within the three hours for which seconds are kept, and the fifteen days for which minutes are. */
const SECONDS_MS = 2.5 * HOUR_MS;
const LOOK_BACK_MS = 14 * 24 * HOUR_MS;

/** A metric with fewer periods of data in the first window is looked for in all of {@link LOOK_BACK_MS}. */
const SPARSE = 3;

/** Periods that the first window has. */
const PERIODS = 200;

/** Pages of 500 names each that one listing reads. */
const PAGES = 4;

/** Dimensions that one listing filters by. */
const FILTERS = 10;

const NEAREST = 5;

interface Point {
  at: number;
  value: number;
}

/** What is read of the data of a metric. */
type Part = 'points' | 'asked' | 'anyUnit' | 'lows' | 'highs';

/**
 * Reads what is known of a metric.
 *
 * @param mostRecent how many data points are kept
 * @throws GateDependencyError where CloudWatch does not answer, or refuses
 */
export async function metricFacts(
  cloudwatch: CloudWatchClient,
  query: StatisticQuery,
  { periodS }: Pick<Evaluated, 'periodS'>,
  now: number,
  mostRecent: number,
): Promise<MetricFacts> {
  const { metric } = query;
  const periodMs = periodS * SECOND_MS;
  let to = endOf(now, periodMs);
  let lookBackMs = floor(
    periodS < 60 ? SECONDS_MS : Math.min(LOOK_BACK_MS, Math.max(SECONDS_MS, PERIODS * periodMs)),
    periodMs,
  );
  let read = await readParts(cloudwatch, query, periodS, to - lookBackMs, to, [
    'points',
    'asked',
    'anyUnit',
    'lows',
    'highs',
  ]);
  let counted = { asked: read.asked.length, anyUnit: read.anyUnit.length };
  if (read.anyUnit.length < SPARSE && lookBackMs + periodMs <= LOOK_BACK_MS) {
    // Of what is older than three hours whole minutes are the finest that is known.
    const wideS = Math.max(60, periodS);
    const wideMs = wideS * SECOND_MS;
    to = endOf(now, wideMs);
    lookBackMs = floor(LOOK_BACK_MS, wideMs);
    const { asked, anyUnit } = await readParts(cloudwatch, query, wideS, to - lookBackMs, to, [
      'asked',
      'anyUnit',
    ]);
    counted = { asked: asked.length, anyUnit: anyUnit.length };
    const newest = anyUnit.at(-1)?.at;
    if (newest !== undefined) {
      // Few points fit whole; of many that ended a while ago the newest will do.
      const [from, until] =
        anyUnit.length <= PERIODS ? [to - lookBackMs, to] : [newest - PERIODS * wideMs, newest];
      const parts = await readParts(cloudwatch, query, wideS, from, until, [
        'points',
        'asked',
        'lows',
        'highs',
      ]);
      read = { anyUnit, ...parts };
    }
  }
  const rhythm = await rhythmOf(cloudwatch, metric, now);
  const hasData = counted.anyUnit > 0 || rhythm.newestAt !== undefined;
  // A metric is listed some minutes after its first data, and no more two weeks after its last.
  const listed = hasData ? undefined : await lookUp(cloudwatch, metric);
  const samples = median(read.asked.slice(-PERIODS).map(({ value }) => value));
  return {
    metric,
    exists: listed?.exists ?? true,
    near: listed?.near ?? [],
    periods: { ...counted, lookBackMs },
    recent: read.points.slice(-mostRecent),
    ...(read.lows.length > 0 && {
      extremes: {
        min: least(read.lows.map(({ value }) => value)),
        max: -least(read.highs.map(({ value }) => -value)),
      },
    }),
    ...rhythm,
    ...(samples !== undefined && { samplesPerPeriod: samples }),
  };
}

/** Reads some parts of a metric's data in one go; those that were not asked for are empty. */
async function readParts<P extends Part>(
  cloudwatch: CloudWatchClient,
  { metric, statistic, unit }: StatisticQuery,
  periodS: number,
  from: number,
  to: number,
  parts: readonly P[],
): Promise<Record<P, Point[]>> {
  const asked = { metric, periodS, ...(unit !== undefined && { unit }) };
  const queries: Record<Part, DataQuery> = {
    points: { ...asked, statistic },
    asked: { ...asked, statistic: 'SampleCount' },
    anyUnit: { metric, periodS, statistic: 'SampleCount' },
    lows: { ...asked, statistic: 'Minimum' },
    highs: { ...asked, statistic: 'Maximum' },
  };
  const results = await metricData(
    cloudwatch,
    parts.map((part) => queries[part]),
    from,
    to,
  );
  return Object.fromEntries(parts.map((part, index) => [part, results[index] ?? []])) as Record<P, Point[]>;
}

/**
 * How often samples come, and when the newest did: by the seconds of the last hour, or else by the minutes of two weeks.
 */
async function rhythmOf(
  cloudwatch: CloudWatchClient,
  metric: MetricName,
  now: number,
): Promise<Pick<MetricFacts, 'every' | 'resolutionMs' | 'newestAt'>> {
  const starts = async (periodMs: number, from: number) => {
    const query = { metric, statistic: 'SampleCount', periodS: periodMs / SECOND_MS };
    const [points = []] = await metricData(cloudwatch, [query], floor(from, periodMs), now);
    return points.map(({ at }) => at - periodMs);
  };
  const seconds = await starts(SECOND_MS, now - HOUR_MS);
  const fine = seconds.length >= SPARSE;
  const resolutionMs = fine ? SECOND_MS : MINUTE_MS;
  const times = fine ? seconds : await starts(MINUTE_MS, now - LOOK_BACK_MS);
  const every =
    times.length < SPARSE
      ? undefined
      : median(times.slice(1).map((time, index) => time - (times[index] ?? 0)));
  const newestAt = seconds.at(-1) ?? times.at(-1);
  return {
    ...(every !== undefined && { every }),
    resolutionMs,
    ...(newestAt !== undefined && { newestAt }),
  };
}

/** Whether a metric is listed, and those that come nearest where it is not. */
async function lookUp(
  cloudwatch: CloudWatchClient,
  metric: MetricName,
): Promise<{ exists: boolean; near: MetricName[] }> {
  const { Namespace, MetricName, ...shape } = metricShape(metric);
  const Dimensions = shape.Dimensions.slice(0, FILTERS);
  // A filter by dimensions finds metrics with more of them, too.
  const wider = await list(cloudwatch, { Namespace, MetricName, Dimensions });
  if (wider.some((one) => sameMetric(one, metric))) return { exists: true, near: [] };
  const candidates = [
    ...wider,
    ...(await list(cloudwatch, { Namespace, MetricName })),
    ...(await list(cloudwatch, { MetricName, Dimensions })),
    // A misspelt name.
    ...(await list(cloudwatch, { Namespace })).filter(({ name }) => alike(name, metric.name)),
  ];
  const text = metricText(metric);
  const byText = new Map(
    candidates
      .filter(({ namespace }) => namespace !== DRILL_NAMESPACE)
      .map((one) => [metricText(one), one] as const),
  );
  const near = [...byText]
    .map(([other, one]) => ({ one, other, far: distance(other, text) }))
    .toSorted((a, b) => a.far - b.far || (a.other < b.other ? -1 : 1))
    .slice(0, NEAREST)
    .map(({ one }) => one);
  return { exists: false, near };
}

/** Whether a name may be a slip of another: a third of its letters at most, in any case. */
function alike(name: string, other: string): boolean {
  const far = distance(name.toLowerCase(), other.toLowerCase());
  return far <= Math.max(2, other.length / 3);
}

async function list(cloudwatch: CloudWatchClient, input: ListMetricsCommandInput): Promise<MetricName[]> {
  const found: MetricName[] = [];
  let NextToken: string | undefined;
  for (let page = 0; page < PAGES && (page === 0 || NextToken !== undefined); page++) {
    const answer = await call(
      'ListMetrics',
      cloudwatch.send(new ListMetricsCommand({ ...input, ...(NextToken !== undefined && { NextToken }) })),
    );
    found.push(
      ...(answer.Metrics ?? []).map(({ Namespace, MetricName, Dimensions }) =>
        metricName(Namespace, MetricName, Dimensions),
      ),
    );
    NextToken = answer.NextToken;
  }
  return found;
}

/** The newest end of whole periods, on the hour where they are longer: what is not over yet would be too small. */
function endOf(now: number, periodMs: number): number {
  return floor(now, Math.min(periodMs, HOUR_MS));
}

function floor(value: number, step: number): number {
  return Math.floor(value / step) * step;
}

/** `Math.min` of as many as there are. */
function least(values: readonly number[]): number {
  return values.reduce((low, value) => Math.min(low, value), Number.POSITIVE_INFINITY);
}

/** The lower one of two; undefined of nothing. */
function median(values: readonly number[]): number | undefined {
  return values.toSorted((a, b) => a - b)[Math.floor((values.length - 1) / 2)];
}
