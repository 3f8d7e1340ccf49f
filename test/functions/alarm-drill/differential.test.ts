import { describe, expect, test } from 'vitest';
import {
  ALARM_STATES,
  type AlarmState,
  COMPARISONS,
  type Comparison,
  type Evaluated,
  MISSING_DATA,
  type Query,
} from '../../../functions/alarm-drill/alarm.ts';
import { parseRule, simulateComposite } from '../../../functions/alarm-drill/composite.ts';
import type { Sample } from '../../../functions/alarm-drill/series.ts';
import { evaluationTimes, forecast } from '../../../functions/alarm-drill/simulate.ts';
import { CloudWatch } from '../../../sandbox/cloudwatch/cloudwatch.ts';
import { createRandom, type Random } from '../../support/random.ts';

/*
 * Two readings of one documentation: the drill's simulator, and the local CloudWatch, whose author had not seen it. On
 * generated alarms and data what the local CloudWatch does must be one of the courses that are forecast.
 */

const ALARMS = 600;
const COMPOSITES = 150;

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const START = Date.UTC(2026, 0, 5, 12);

const EXPRESSIONS = [
  'm1 + m2',
  'm1 - 2 * m2',
  'm1 / m2',
  '-m1 + 3 * (m2 - 0.25)',
  'IF(m2 > 0.5, m1, m2)',
  'IF(m1 >= m2, m1)',
  '(m1 > 0.5) AND (m2 <= 1.5)',
  'FILL(m1, 0) + FILL(m2, 1)',
  'FILL(m1, m2)',
  'FILL(m1, REPEAT) * m2',
  'MAX([m1, m2])',
  'MIN(METRICS()) + 0.5',
  'AVG(METRICS())',
  'SUM([m1, m2]) / 2',
  'm1 - AVG(m1) + 1',
  'm1 / MAX(m2)',
  'e2 + m2',
];

/** An alarm and the data of its metrics. */
interface Case {
  alarm: Evaluated;
  series: Record<string, Sample[]>;
  /** How many data points more than N the local CloudWatch reads. */
  extraRange: number;
  until: number;
}

class Draw {
  readonly #random: Random;

  constructor(seed: number) {
    this.#random = createRandom(seed);
  }

  one<T>(of: readonly T[]): T {
    return of[this.upTo(of.length)] as T;
  }

  /** A whole number from 0, below `end`. */
  upTo(end: number): number {
    return Math.floor(this.#random.uniform() * end);
  }

  chance(p: number): boolean {
    return this.#random.uniform() < p;
  }
}

/** Eighths: their sums and averages are exact in whatever order they are added. */
const VALUES = [-0.5, 0, 0.5, 0.75, 0.875, 1, 1, 1, 1.125, 1.25, 1.5, 2];

/** Values are held for a while, and so are gaps: what is drawn anew at each tick is never quiet. */
function samplesOf(draw: Draw, kind: Kind, everyMs: number, until: number): Sample[] {
  const { counts, values, gaps, units, jitterMs } = kind;
  const samples: Sample[] = [];
  for (let at = START - 2 * 3_600_000; at < until; ) {
    const ticks = 1 + draw.upTo(6);
    const value = draw.chance(gaps) ? null : draw.one(values);
    for (let tick = 0; tick < ticks && at < until; tick++, at += everyMs) {
      if (value === null) continue;
      const late = draw.upTo(jitterMs / SECOND) * SECOND;
      const unit = draw.one(units);
      samples.push({
        at: at + late,
        value,
        count: draw.one(counts),
        ...(unit !== undefined && { unit }),
      });
    }
  }
  return samples;
}

interface Kind {
  counts: readonly number[];
  values: readonly number[];
  /** Chance of a gap. */
  gaps: number;
  units: readonly (string | undefined)[];
  /** By how much a sample may come later than its tick. */
  jitterMs: number;
}

function caseOf(seed: number): Case {
  const draw = new Draw(seed);
  const periodS = draw.one([10, 20, 30, 60, 60, 60, 120, 300, 900, 3600]);
  // One that looks back further than a day is evaluated every hour.
  const evaluationPeriods = periodS === 3600 && draw.chance(0.3) ? 24 + draw.upTo(4) : 1 + draw.upTo(6);
  const family = draw.one(['plain', 'plain', 'plain', 'percentile', 'math', 'math']);
  const unit = draw.chance(0.2) ? 'Count' : undefined;
  const slowest = Math.max(periodS, 60) * SECOND;
  // How a percentile between two values is read is not documented: each of its periods has one.
  const everyMs =
    family === 'percentile' ? periodS * SECOND : periodS < 60 ? 10 * SECOND : draw.one([MINUTE, slowest]);
  const kind: Kind = {
    jitterMs: family === 'percentile' ? 1 : everyMs,
    // Of p90 an alarm may wait for 100 samples, of p25 for 40.
    counts: family === 'percentile' ? [1, 10, 20, 40, 100] : [1, 1, 2, 3],
    values: family === 'percentile' ? VALUES.filter((value) => value >= 0) : VALUES,
    gaps: draw.one([0, 0.2, 0.5, 0.8]),
    units: unit === undefined ? [undefined] : ['Count', 'Count', undefined],
  };
  const metric = (id: string, statistic: string): Query => ({
    id,
    metric: { namespace: 'Tests', name: id, dimensions: { Case: String(seed) } },
    statistic,
    ...(unit !== undefined && { unit }),
  });
  const plain = () => draw.one(['Average', 'Sum', 'Minimum', 'Maximum', 'SampleCount']);
  let queries: Query[] = [metric('m1', plain())];
  if (family === 'percentile') queries = [metric('m1', draw.one(['p90', 'p50', 'p25', 'p99.9', 'p100']))];
  if (family === 'math') {
    queries = [
      metric('m1', plain()),
      metric('m2', plain()),
      { id: 'e2', expression: 'm1 * 2 - m2' },
      { id: 'e1', expression: draw.one(EXPRESSIONS) },
    ];
  }
  const until = START + Math.max(40 * periodS * SECOND, 30 * MINUTE);
  return {
    alarm: {
      queries,
      returns: family === 'math' ? 'e1' : 'm1',
      periodS,
      evaluationPeriods,
      datapointsToAlarm: 1 + draw.upTo(evaluationPeriods),
      comparison: draw.one(Object.keys(COMPARISONS) as Comparison[]),
      threshold: 1,
      missingData: draw.one(MISSING_DATA),
      ...(family === 'percentile' && { lowSamples: draw.one(['evaluate', 'ignore'] as const) }),
    },
    series: Object.fromEntries(
      queries
        .filter((query) => 'metric' in query)
        .map(({ id }) => [id, samplesOf(draw, kind, everyMs, until)]),
    ),
    extraRange: draw.upTo(4),
    until,
  };
}

type Config = Parameters<CloudWatch['putMetricAlarm']>[0];

function configOf(name: string, alarm: Evaluated): Config {
  const [first] = alarm.queries;
  const dimensionsOf = (dimensions: Record<string, string>) =>
    Object.entries(dimensions).map(([Name, Value]) => ({ Name, Value }));
  const common = {
    AlarmName: name,
    ActionsEnabled: true,
    AlarmActions: [],
    OKActions: [],
    InsufficientDataActions: [],
    EvaluationPeriods: alarm.evaluationPeriods,
    DatapointsToAlarm: alarm.datapointsToAlarm,
    ComparisonOperator: alarm.comparison,
    Threshold: alarm.threshold,
    TreatMissingData: alarm.missingData,
    ...(alarm.lowSamples !== undefined && { EvaluateLowSampleCountPercentile: alarm.lowSamples }),
  };
  if (alarm.queries.length === 1 && first !== undefined && 'metric' in first) {
    const { metric, statistic, unit } = first;
    return {
      ...common,
      Namespace: metric.namespace,
      MetricName: metric.name,
      Dimensions: dimensionsOf(metric.dimensions),
      Period: alarm.periodS,
      ...(statistic.startsWith('p') ? { ExtendedStatistic: statistic } : { Statistic: statistic }),
      ...(unit !== undefined && { Unit: unit }),
    } as Config;
  }
  return {
    ...common,
    Metrics: alarm.queries.map((query) => ({
      Id: query.id,
      ReturnData: query.id === alarm.returns,
      ...('metric' in query
        ? {
            MetricStat: {
              Metric: {
                Namespace: query.metric.namespace,
                MetricName: query.metric.name,
                Dimensions: dimensionsOf(query.metric.dimensions),
              },
              Period: alarm.periodS,
              Stat: query.statistic,
              ...(query.unit !== undefined && { Unit: query.unit }),
            },
          }
        : { Expression: query.expression }),
    })),
  } as Config;
}

function write(cloudwatch: CloudWatch, { alarm, series }: Case): void {
  for (const query of alarm.queries) {
    if (!('metric' in query)) continue;
    const { namespace, name, dimensions } = query.metric;
    const metric = {
      namespace,
      name,
      dimensions: Object.entries(dimensions).map(([Name, Value]) => ({ Name, Value })),
    };
    for (const { at: time, value, count = 1, unit = 'None' } of series[query.id] ?? []) {
      const sample = { time, unit, count, sum: value * count, min: value, max: value };
      cloudwatch.metrics.write(
        metric,
        { ...sample, values: [[value, count]] },
        { resolution: alarm.periodS < 60 ? 1 : 60, now: time },
      );
    }
  }
}

/** What the local CloudWatch makes of it: the state after each evaluation. */
async function courseOf(one: Case): Promise<AlarmState[]> {
  let now = START;
  const cloudwatch = new CloudWatch({
    now: () => now,
    extraRange: one.extraRange,
    act: async () => {},
    emit: async () => {},
  });
  write(cloudwatch, one);
  cloudwatch.putMetricAlarm(configOf('alarm', one.alarm));
  const states: AlarmState[] = [];
  for (const at of evaluationTimes(one.alarm, START, one.until)) {
    now = at;
    await cloudwatch.advance(at);
    states.push(cloudwatch.alarm('alarm').state.value);
  }
  return states;
}

const COMPOSITE_END = START + 60 * MINUTE;

/** Names as people give them. */
const CHILDREN = ['drift', 'null rate (churn)', 'say "five"', 'back\\slash, and comma'];

function ruleOf(draw: Draw, depth = 0): string {
  const kind = depth > 2 ? 'state' : draw.one(['state', 'state', 'and', 'or', 'not', 'parentheses']);
  switch (kind) {
    case 'state': {
      const name = draw.one(CHILDREN).replaceAll(/["\\]/g, '\\$&');
      return draw.chance(0.05) ? draw.one(['TRUE', 'FALSE']) : `${draw.one(ALARM_STATES)}("${name}")`;
    }
    case 'not':
      return `NOT ${ruleOf(draw, 3)}`;
    case 'parentheses':
      return `(${ruleOf(draw, depth + 1)})`;
    default:
      return `${ruleOf(draw, depth + 1)} ${kind.toUpperCase()} ${ruleOf(draw, depth + 1)}`;
  }
}

/** The local CloudWatch runs actions that have waited with its next evaluations. */
function nextEvaluation(at: number): number {
  return Math.ceil(at / (10 * SECOND)) * 10 * SECOND;
}

/** A change of the composite alarm, and when its actions ran. */
interface Change {
  at: number;
  to: AlarmState;
  actedAt: number | null;
}

function since<T extends { at: number; actedAt?: number | null }>(change: T): T {
  const relative = (at: number) => (at - START) / SECOND;
  const { at, actedAt } = change;
  return {
    ...change,
    at: relative(at),
    ...(actedAt !== undefined && actedAt !== null && { actedAt: relative(actedAt) }),
  };
}

async function compositeOf(seed: number) {
  const draw = new Draw(10_000 + seed);
  let now = START;
  const acted: { at: number; to: AlarmState }[] = [];
  const cloudwatch = new CloudWatch({
    now: () => now,
    act: async (_arn, _subject, text) => {
      acted.push({ at: now, to: JSON.parse(text).NewStateValue });
    },
    emit: async () => {},
  });
  for (const [index, name] of CHILDREN.entries()) {
    const of = caseOf(draw.upTo(100_000));
    const { lowSamples: _, ...rest } = of.alarm;
    const alarm: Evaluated = {
      ...rest,
      queries: [
        { id: 'm1', metric: { namespace: 'Tests', name: `m${index}`, dimensions: {} }, statistic: 'Maximum' },
      ],
      returns: 'm1',
      periodS: draw.one([10, 60]),
    };
    const kind = { values: VALUES, counts: [1], gaps: 0.2, units: [undefined], jitterMs: 1 };
    const series = { m1: samplesOf(draw, kind, alarm.periodS * SECOND, COMPOSITE_END) };
    write(cloudwatch, { ...of, alarm, series });
    cloudwatch.putMetricAlarm(configOf(name, alarm));
  }
  const rule = ruleOf(draw);
  const suppressor = draw.chance(0.6)
    ? // Between evaluations: what comes first of two things that happen at once is nobody's to say.
      { alarm: draw.one(CHILDREN), waitS: 10 * draw.upTo(20) + 5, extensionS: 10 * draw.upTo(20) + 5 }
    : undefined;
  const topic = 'arn:aws:sns:us-east-1:000000000000:oncall';
  cloudwatch.putCompositeAlarm({
    AlarmName: 'composite',
    AlarmRule: rule,
    ActionsEnabled: true,
    AlarmActions: [topic],
    OKActions: [topic],
    InsufficientDataActions: [],
    ...(suppressor !== undefined && {
      ActionsSuppressor: suppressor.alarm,
      ActionsSuppressorWaitPeriod: suppressor.waitS,
      ActionsSuppressorExtensionPeriod: suppressor.extensionS,
    }),
  } as Parameters<CloudWatch['putCompositeAlarm']>[0]);
  await cloudwatch.settled();
  for (now = START + 10 * SECOND; now <= COMPOSITE_END; now += 10 * SECOND) await cloudwatch.advance(now);

  const changesOf = (name: string) =>
    cloudwatch.history
      .filter(({ AlarmName, HistoryItemType }) => AlarmName === name && HistoryItemType === 'StateUpdate')
      .map(({ Timestamp: at, HistorySummary }) => ({
        at,
        state: HistorySummary.split(' ').at(-1) as AlarmState,
      }));
  const done: Change[] = changesOf('composite').map(({ at, state: to }) => ({ at, to, actedAt: null }));
  for (const { at, to } of acted) {
    const about = done.findLast((change) => change.at <= at && change.to === to)!;
    about.actedAt = at;
  }
  const children = Object.fromEntries(
    CHILDREN.map((name) => [
      name,
      [{ at: START, state: 'INSUFFICIENT_DATA' as AlarmState }, ...changesOf(name)],
    ]),
  );
  return { rule, suppressor, done, children };
}

describe('the local CloudWatch does what is forecast', () => {
  test(`of ${ALARMS} generated alarms`, async () => {
    const seen = new Set<string>();
    let changes = 0;
    const different: string[] = [];
    for (let seed = 1; seed <= ALARMS; seed++) {
      const one = caseOf(seed);
      const done = await courseOf(one);
      const { evaluations, courses } = forecast(one.alarm, one.series, { from: START, to: one.until });
      const text = done.join();
      if (!courses.some((states) => states.join() === text)) {
        const worst = courses.map((states) => states.findIndex((state, index) => state !== done[index]));
        const index = Math.max(...worst);
        different.push(
          `${seed}: ${JSON.stringify({ ...one.alarm, extraRange: one.extraRange })}\n  at ${index}: ${done[index]}, ${courses.map((states) => states[index])}; ${JSON.stringify(evaluations[index]?.slots.map(({ value }) => value))}`,
        );
      }
      for (const state of done) seen.add(state);
      changes += done.filter((state, index) => index > 0 && state !== done[index - 1]).length;
    }
    expect(different.join('\n')).toBe('');
    expect([...seen].toSorted()).toEqual([...ALARM_STATES].toSorted());
    // Alarms that never change their state would agree on anything.
    expect(changes / ALARMS).toBeGreaterThan(3);
  });

  test(`of ${COMPOSITES} generated composite alarms`, async () => {
    const different: string[] = [];
    let changes = 0;
    let delayed = 0;
    for (let seed = 1; seed <= COMPOSITES; seed++) {
      const { rule, suppressor, done, children } = await compositeOf(seed);
      const foreseen = simulateComposite(parseRule(rule), children, {
        ...(suppressor !== undefined && { suppressor }),
        until: COMPOSITE_END,
      }).map(({ at, to, actedAt }) => ({ at, to, actedAt: actedAt && nextEvaluation(actedAt) }));
      if (JSON.stringify(foreseen) !== JSON.stringify(done)) {
        const index = done.findIndex((one, place) => JSON.stringify(one) !== JSON.stringify(foreseen[place]));
        different.push(
          `${seed}: ${rule} ${JSON.stringify(suppressor)}\n  at ${index} of ${done.length}: ${JSON.stringify(done.slice(index - 1, index + 3).map(since))}, not ${JSON.stringify(foreseen.slice(index - 1, index + 3).map(since))}`,
        );
      }
      changes += done.length;
      delayed += done.filter(({ at, actedAt }) => actedAt !== at).length;
    }
    expect(different.join('\n')).toBe('');
    expect(changes / COMPOSITES).toBeGreaterThan(3);
    // Suppressors must have had something to hold back.
    expect(delayed / COMPOSITES).toBeGreaterThan(1);
  });
});
