import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import {
  COMPARISONS,
  type Comparison,
  MISSING_DATA,
  type MissingData,
} from '../../../functions/alarm-drill/alarm.ts';
import { bracketOf } from '../../../functions/alarm-drill/ladder.ts';
import type { DrillResult } from '../../../functions/alarm-drill/schema.ts';
import { type AlarmChange, DrillWorld } from '../../support/alarm-drill.ts';
import { createRandom } from '../../support/random.ts';

/*
 * The acceptance of the drill: against a CloudWatch that evaluates faithfully, and was written by somebody else from the
 * documentation alone, it finds the effective threshold of thirty generated alarms to within 5 %, and passes exactly those
 * that fire where they are meant to, in time.
 */

const ALARMS = 30;
const MINUTE = 60_000;

/** What the threshold of an alarm is, times the one that is intended. */
const FACTORS = [0.2, 0.5, 0.9, 1, 1, 1, 1.2, 2, 5, 7];

/** Metric math, and what its first metric is where it gives a value; the second is at 50. */
const EXPRESSIONS: Record<string, (value: number) => number> = {
  'm1 / m2': (value) => value * 50,
  '100 * m1 / (m1 + m2)': (value) => (50 * value) / (100 - value),
  'IF(m2 > 10, m1, 0)': (value) => value,
};

/** An alarm, what is intended of it, and how its metric is emitted. */
interface Case {
  statistic: string;
  expression: string | undefined;
  periodS: number;
  /** Samples of a period. */
  samples: number;
  n: number;
  m: number;
  comparison: Comparison;
  missingData: MissingData;
  intended: number;
  factor: number;
  withinMs: number;
  late: boolean;
  /** Whether the configuration says how often the metric comes. */
  told: boolean;
  /** What CloudWatch reads beyond N. */
  extraRange: number;
}

const CASES = generate();

function generate(): Case[] {
  const random = createRandom(4);
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random.uniform() * list.length)] as T;
  return Array.from({ length: ALARMS }, (_, index) => {
    // Some fire where they are meant to, and too late.
    const late = index % 5 === 4;
    const periodS = late ? pick([120, 300, 900]) : pick([10, 30, 60, 60, 120, 300, 900, 3600]);
    const n = late ? pick([4, 5]) : 1 + Math.floor(random.uniform() * 5);
    const m = late ? 4 : 1 + Math.floor(random.uniform() * n);
    const expression = random.uniform() < 0.25 ? pick(Object.keys(EXPRESSIONS)) : undefined;
    const statistic =
      expression === undefined
        ? pick(['Average', 'Average', 'Maximum', 'Minimum', 'Sum', 'SampleCount', 'p90', 'p50'])
        : 'Average';
    const counted = statistic === 'Sum' || statistic === 'SampleCount' || expression !== undefined;
    const interval = periodS < 60 ? 10_000 : MINUTE;
    return {
      statistic,
      expression,
      periodS,
      samples: pick(samplesOf(periodS)),
      n,
      m,
      comparison: pick(Object.keys(COMPARISONS) as Comparison[]),
      missingData: pick(MISSING_DATA),
      // There are no negative counts, and no percentiles of what is negative.
      intended: counted ? pick([4, 12]) : pick(statistic.startsWith('p') ? [0.2, 5, 100] : [0.2, 5, 100, -3]),
      factor: late ? 1 : pick(FACTORS),
      // Well beyond what M periods take, or well below.
      withinMs: late ? 0.85 * (m - 2) * periodS * 1000 : 1.5 * (m * periodS * 1000 + 2 * interval),
      late,
      told: random.uniform() < 0.5,
      extraRange: Math.floor(random.uniform() * 4),
    };
  });
}

/** Alarms see minutes, those of less than a minute ten seconds. Of an hour one is enough for a test. */
function samplesOf(periodS: number): number[] {
  if (periodS === 3600) return [1];
  const fits = [1, 2, 3, 5].filter((samples) => (periodS / samples) % (periodS < 60 ? 10 : 60) === 0);
  return fits.length === 0 ? [1] : fits;
}

function nameOf(one: Case): string {
  const { statistic, expression, periodS, samples, n, m, comparison, missingData, intended, factor } = one;
  const every = samples === 1 ? '' : `, ${samples} samples each`;
  const what = expression ?? statistic;
  const late = one.late ? ', too slow' : '';
  return `${m} of ${n} ${what} of ${periodS} s${every}, ${missingData}: ${COMPARISONS[comparison]} ${factor} x ${intended}${late}`;
}

const isUpwards = ({ comparison }: Case) => comparison.startsWith('Greater');

/** "Times" makes louder, whichever way the alarm fires and whatever the sign of its threshold. */
const isMultiplied = (one: Case) => one.intended > 0 === isUpwards(one);

const effectiveTimes = (one: Case) => (isMultiplied(one) ? one.factor : 1 / one.factor);

function configOf(one: Case): string {
  const { comparison, intended, withinMs, missingData, expression, told } = one;
  const everyMs = (one.periodS * 1000) / one.samples;
  const keeps = missingData === 'notBreaching' || missingData === 'ignore';
  return stringify({
    alarmDrills: {
      drift: {
        alarm: 'drift-alarm',
        intended: {
          fires: `${COMPARISONS[comparison]} ${intended}`,
          within: `${Math.ceil(withinMs / 1000)}s`,
          whenSilent: keeps ? 'OK' : 'not OK',
          ...(told && { every: `${everyMs / 1000}s` }),
          ...(expression?.startsWith('100 *') && { range: { from: 0, to: 100 } }),
        },
        ...(expression !== undefined && { drive: 'm1', ...(told && { hold: { m2: 50 } }) }),
      },
    },
  });
}

function alarmOf(one: Case): AlarmChange & { AlarmName: string } {
  const { statistic, expression, periodS } = one;
  const common = {
    AlarmName: 'drift-alarm',
    EvaluationPeriods: one.n,
    DatapointsToAlarm: one.m,
    Threshold: one.intended * one.factor,
    ComparisonOperator: one.comparison,
    TreatMissingData: one.missingData,
  };
  if (expression === undefined) {
    const percentile = statistic.startsWith('p');
    return {
      ...common,
      Period: periodS,
      Statistic: percentile ? undefined : (statistic as 'Average'),
      ExtendedStatistic: percentile ? statistic : undefined,
    };
  }
  const metric = (Id: string) => ({
    Id,
    ReturnData: false,
    MetricStat: {
      Metric: { Namespace: 'ML', MetricName: Id, Dimensions: [] },
      Period: periodS,
      Stat: statistic,
    },
  });
  return {
    ...common,
    Namespace: undefined,
    MetricName: undefined,
    Dimensions: undefined,
    Statistic: undefined,
    Period: undefined,
    Metrics: [metric('m1'), metric('m2'), { Id: 'e1', Expression: expression, ReturnData: true }],
  };
}

/** The real metric, at a usual value. */
function emit(world: DrillWorld, one: Case): void {
  const { statistic, expression, periodS, samples } = one;
  const usual = isMultiplied(one) ? one.intended / 4 : one.intended * 4;
  const everyMs = (periodS * 1000) / samples;
  const fine = periodS < 60;
  const since = Math.max(180 * MINUTE, 30 * periodS * 1000);
  const emits = (name: string, value: number, count = 1) =>
    world.emits(
      {
        metric: { namespace: 'ML', name, dimensions: expression === undefined ? { Endpoint: 'churn' } : {} },
        everyMs,
        value: () => value,
        count,
        fine,
      },
      fine ? 120 * MINUTE : since,
    );
  if (expression !== undefined) {
    emits('m1', EXPRESSIONS[expression]!(usual));
    emits('m2', 50);
  } else if (statistic === 'Sum') emits('psi', usual / samples);
  else if (statistic === 'SampleCount') emits('psi', 1, usual / samples);
  else emits('psi', usual);
}

let world: DrillWorld;
afterEach(() => world.close());

let passed = 0;
afterAll(() => {
  // A generator that makes no correct alarms would show nothing.
  expect(passed).toBeGreaterThan(5);
  expect(passed).toBeLessThan(20);
});

describe('a generated alarm', () => {
  test.each(CASES.map((one, index) => [`${index + 1}: ${nameOf(one)}`, one] as const))(
    '%s',
    async (_name, one) => {
      world = await DrillWorld.start({ extraRange: one.extraRange });
      emit(world, one);
      await world.alarm(alarmOf(one));
      const config = configOf(one);
      const { outcome } = (await world.run(config)) as DrillResult;

      const { rounds } = world.measurements;
      const { quiet, loud } = bracketOf(rounds);
      const times = effectiveTimes(one);
      const findings = world.verdict.findings.map((finding) => `${finding.outcome}: ${finding.message}`);
      const said = findings.filter((text) => !text.startsWith('pass')).join('\n');
      expect(quiet, said).not.toBeNull();
      expect(loud, said).not.toBeNull();
      expect(times / quiet!, said).toBeGreaterThan(1 - 1e-9);
      expect(loud! / times, said).toBeGreaterThan(1 - 1e-9);
      // Within 5 % of the middle.
      expect(loud! / quiet!, said).toBeLessThan(1.05 / 0.95 + 1e-3);
      const intended = one.factor === 1 && !one.late;
      expect(outcome === 'pass', said).toBe(intended);
      if (intended) passed++;
      world.expectClean();
    },
  );
});
