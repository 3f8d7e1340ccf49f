import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Comparison, Evaluated, MetricAlarm } from '../../../functions/alarm-drill/alarm.ts';
import { healthyOf, timesOf, valueAt } from '../../../functions/alarm-drill/intended.ts';
import {
  bracketOf,
  forecastOf,
  MOST_ROUNDS,
  NARROW,
  nextRound,
  observationsOf,
  phasesOf,
  samplesAt,
  seriesOf,
  startOf,
  stateAt,
  ticksOf,
} from '../../../functions/alarm-drill/ladder.ts';
import type { Plan, Round } from '../../../functions/alarm-drill/measurements.ts';
import { firstAt, simulate } from '../../../functions/alarm-drill/simulate.ts';
import { GateInputError } from '../../../functions/shared/errors.ts';
import {
  type DrillInput,
  drillOf,
  factsOf,
  metricFacts,
  PSI,
  psiAlarm,
  queryOf,
} from '../../support/alarm-facts.ts';
import { playRound, playRounds } from '../../support/alarm-rounds.ts';

const MINUTE = 60_000;
const OPERATORS: Record<Comparison, string> = {
  GreaterThanThreshold: '>',
  GreaterThanOrEqualToThreshold: '>=',
  LessThanThreshold: '<',
  LessThanOrEqualToThreshold: '<=',
};

/** A drill of an alarm that is as intended. */
function intendedOf(alarm: Evaluated, change: Partial<DrillInput> = {}, within = '30m') {
  const fires = `${OPERATORS[alarm.comparison]} ${alarm.threshold}`;
  return drillOf({
    ...(alarm.threshold === 0 && { scale: 1 }),
    ...change,
    intended: { fires, within, ...change.intended },
  });
}

function firstRound(alarm: MetricAlarm, change: Partial<DrillInput> = {}, facts = factsOf(alarm)): Plan {
  const plan = nextRound(alarm, intendedOf(alarm, change), facts, []);
  if (plan === null) throw new Error('there is always a first round');
  return plan;
}

describe('times of the intended threshold', () => {
  test.each<[string, string, number, number]>([
    ['upwards, above zero', '>= 0.2', 5, 1],
    ['upwards, above zero, quiet', '>= 0.2', 0.5, 0.1],
    ['upwards, below zero', '> -10', 2, -5],
    ['upwards, below zero, quiet', '> -10', 0.5, -20],
    ['downwards, above zero', '< 0.9', 2, 0.45],
    ['downwards, above zero, quiet', '<= 0.9', 0.5, 1.8],
    ['downwards, below zero', '< -10', 2, -20],
    ['downwards, below zero, quiet', '< -10', 0.5, -5],
    ['upwards from zero', '> 0', 3, 8],
    ['upwards from zero, quiet', '> 0', 0.5, -2],
    ['downwards from zero', '< 0', 3, -8],
  ])('%s: %s, %s times', (_, fires, times, value) => {
    const drill = drillOf({
      intended: { fires, within: '5m' },
      ...(fires.endsWith(' 0') && { scale: 4 }),
    });
    expect(valueAt(drill, times)).toBeCloseTo(value, 12);
    expect(timesOf(drill, valueAt(drill, times))).toBeCloseTo(times, 12);
  });

  test.each([
    ['>= 0.2', -1, 0],
    ['> -10', 3, Number.POSITIVE_INFINITY],
    ['< 0.9', 0, Number.POSITIVE_INFINITY],
    ['< -10', 3, 0],
  ])('of %s, %s is behind every rung', (fires, value, times) => {
    expect(timesOf(drillOf({ intended: { fires, within: '5m' } }), value)).toBe(times);
  });

  test('the usual value is a quarter of the way to the threshold', () => {
    const healthy = (intended: DrillInput['intended'], change: Partial<DrillInput> = {}) =>
      healthyOf(drillOf({ intended, ...change }));
    expect(healthy({ fires: '>= 0.2', within: '5m' })).toBeCloseTo(0.05);
    expect(healthy({ fires: '< 0.9', within: '5m', range: { to: 1 } })).toBeCloseTo(0.975);
    expect(healthy({ fires: '< 0.9', within: '5m' })).toBeCloseTo(3.6);
    expect(healthy({ fires: '>= 0.2', within: '5m' }, { healthy: 0.01 })).toBe(0.01);
  });
});

describe('the first round', () => {
  test('is the ladder and silence, with recovery, at the cadence of the metric', () => {
    const plan = firstRound(psiAlarm());
    expect(plan.rungs.map(({ id, expects }) => [id, expects])).toEqual([
      ['0.5x', 'quiet'],
      ['0.95x', 'quiet'],
      ['1.05x', 'loud'],
      ['2x', 'loud'],
      ['5x', 'loud'],
      ['silence', 'silence'],
    ]);
    expect(plan).toMatchObject({ cadenceMs: 5 * MINUTE, warmUp: 3, drift: 7, recovery: 2 });
    expect(plan.published.map(({ value }) => value)).toEqual([0.05, 0.1, 0.19, 0.21000000000000002, 0.4, 1]);
    expect(plan.published[1]?.samples).toEqual({ m1: { value: 0.1, count: 1 } });
  });

  test.each([
    ['>= 0.2', 'loud'],
    ['> 0.2', 'quiet'],
    ['<= 0.2', 'loud'],
    ['< 0.2', 'quiet'],
  ])('expects of a rung right at the threshold what %s says', (fires, expected) => {
    const drill = drillOf({ intended: { fires, within: '30m' }, ladder: [1] });
    const plan = nextRound(psiAlarm(), drill, factsOf(), []);
    expect(plan?.rungs[0]).toMatchObject({ id: '1x', value: 0.2, expects: expected });
  });

  test('leaves out what the metric never shows, and puts its end in the place of all that is loud', () => {
    const alarm = psiAlarm({ threshold: 0.98 });
    const plan = firstRound(alarm, {
      intended: { fires: '>= 0.98', within: '30m', range: { from: 0, to: 1 } },
    });
    expect(plan.rungs.map(({ times }) => times)).toEqual([0.5, 0.95, 1 / 0.98, null]);
    expect(plan.rungs[2]?.value).toBeCloseTo(1, 12);
  });

  test.each<[string, number, string | undefined, number | undefined, number]>([
    ['as tocsin.yaml says', 300, '100s', 5 * MINUTE, 100_000],
    ['else as seen', 300, undefined, 2.5 * MINUTE, 2.5 * MINUTE],
    ['else the period of the alarm', 300, undefined, undefined, 5 * MINUTE],
    ['not below a minute', 300, '5s', undefined, MINUTE],
    ['not below ten seconds, of fine metrics', 30, '1s', undefined, 10_000],
    ['a divisor of the period', 300, '70s', undefined, 75_000],
    ['longer than a period', 60, '5m', undefined, 5 * MINUTE],
  ])('ticks %s', (_, periodS, every, seen, cadenceMs) => {
    const alarm = psiAlarm({ periodS });
    const metric = metricFacts(PSI, { periodS });
    const { every: _every, ...unseen } = metric;
    const facts = factsOf(alarm, {
      metrics: { m1: seen === undefined ? unseen : { ...metric, every: seen } },
    });
    const drill = intendedOf(alarm, {
      intended: { fires: '>= 0.2', within: '30m', ...(every !== undefined && { every }) },
    });
    expect(nextRound(alarm, drill, facts, [])?.cadenceMs).toBe(cadenceMs);
  });

  test.each([
    'Average',
    'Minimum',
    'Maximum',
    'p99',
    'p10',
    'tm90',
    'IQM',
    'Sum',
    'SampleCount',
    'tc90',
    'ts50',
  ])('makes the alarm see its values through %s', (statistic) => {
    const alarm = psiAlarm({ queries: [queryOf({ statistic })], threshold: 40 });
    const facts = factsOf(alarm, {}, { everyMs: MINUTE, samplesPerPeriod: 20 });
    const plan = firstRound(alarm, {}, facts);
    expect(plan.cadenceMs).toBe(MINUTE);
    const round = { startedAt: startOf(plan, 0), plan };
    for (const rung of plan.rungs.filter(({ value }) => value !== null)) {
      const at = Math.floor(phasesOf(round).driftEnd / MINUTE) * MINUTE;
      const [evaluation] = simulate(alarm, seriesOf(round, rung), { from: at - 1, to: at });
      expect(evaluation?.slots[0]?.value).toBeCloseTo(rung.value!, 9);
    }
  });

  test.each([
    [0.05, 3],
    [0.2, 3],
    [0.1, 12],
    [0.7, 20],
  ])(
    'makes an average exactly the threshold of %d of %i samples, in whatever order they are added',
    (threshold, ticks) => {
      const alarm = psiAlarm({ threshold, periodS: 60 * ticks, comparison: 'GreaterThanThreshold' });
      const facts = factsOf(alarm, {}, { everyMs: MINUTE, samplesPerPeriod: ticks });
      const plan = firstRound(alarm, { ladder: [0.5, 1, 1.05] }, facts);
      expect(plan.rungs[1]).toMatchObject({ times: 1, value: threshold, expects: 'quiet' });
      const { value, count } = samplesAt(plan, plan.rungs[1]!, plan.warmUp).m1!;
      let sum = 0;
      for (let tick = 0; tick < ticks; tick++) sum += value * count;
      expect(value).toBe(threshold);
      expect([sum / (count * ticks), (value * count * ticks) / (count * ticks)]).toEqual([
        threshold,
        threshold,
      ]);
    },
  );

  test('has no rung that CloudWatch would not take, and no drill without one', () => {
    const alarm = psiAlarm({ threshold: 2e108 });
    const ids = (ladder: number[]) => firstRound(alarm, { ladder }).rungs.map(({ id }) => id);
    expect(ids([0.5, 0.95, 5])).toEqual(['0.5x', '0.95x', 'silence']);
    expect(() => ids([5, 10])).toThrow(GateInputError);
    expect(() => firstRound(psiAlarm({ threshold: 1e-109 }))).toThrow(/cannot be driven to/);
  });

  test('waits for a period more of a percentile, whose value between samples is not documented', () => {
    const ticks = (statistic: string) => {
      const alarm = psiAlarm({
        queries: [queryOf({ statistic })],
        periodS: 900,
        evaluationPeriods: 4,
        datapointsToAlarm: 4,
      });
      const facts = factsOf(alarm, {}, { everyMs: 3 * MINUTE, samplesPerPeriod: 5 });
      return firstRound(alarm, {}, facts).drift;
    };
    // As the one of which a single sample decides.
    expect(ticks('p90') - ticks('Maximum')).toBe(5);
  });

  test('gives a percentile that waits for samples as many as it waits for', () => {
    const alarm = psiAlarm({ queries: [queryOf({ statistic: 'p99' })], lowSamples: 'ignore' });
    const plan = firstRound(alarm, {}, factsOf(alarm, {}, { everyMs: MINUTE, samplesPerPeriod: 5 }));
    expect(5 * plan.published[0]!.samples.m1!.count).toBeGreaterThanOrEqual(1000);
    expect(bracketOf([playRound(alarm, plan, 0)])).toEqual({ quiet: 0.95, loud: 1.05 });
  });

  test('warms up until the alarm is OK, and drifts until it must have fired', () => {
    const alarm = psiAlarm({ evaluationPeriods: 5, datapointsToAlarm: 5 });
    const plan = firstRound(alarm, { intended: { fires: '>= 0.2', within: '10m' } });
    const round = playRound(alarm, plan, 0);
    const [quietest, , weakest] = observationsOf(round);
    expect(quietest).toMatchObject({ before: 'OK', after: 'OK', loud: false, afterMs: null });
    // Late, and seen as late: after four periods and a minute, and 10 min were allowed.
    expect(weakest).toMatchObject({ before: 'OK', after: 'ALARM', loud: true, afterMs: 21 * MINUTE - 5_000 });
    const { driftEnd, recoveryEnd } = phasesOf(round);
    const back = round.results[2]!.transitions.at(-1)!;
    expect(back.to).toBe('OK');
    expect(back.at).toBeGreaterThan(driftEnd);
    expect(back.at).toBeLessThan(recoveryEnd);
  });

  test('waits until silence has come to its end', () => {
    const alarm = psiAlarm({ evaluationPeriods: 12, missingData: 'missing' });
    const plan = firstRound(alarm, { intended: { fires: '>= 0.2', within: '10m' } });
    const round = playRound(alarm, plan, 0);
    expect(round.results.at(-1)!.transitions.at(-1)).toMatchObject({ to: 'INSUFFICIENT_DATA' });
    const foreseen = forecastOf(alarm, round, plan.rungs.at(-1)!);
    expect(new Set(foreseen.courses.map((states) => states.at(-1)))).toEqual(new Set(['INSUFFICIENT_DATA']));
  });

  test('takes fewer ticks of a long period rather than too many', () => {
    const alarm = psiAlarm({ periodS: 3600, evaluationPeriods: 3, datapointsToAlarm: 3 });
    const plan = firstRound(
      alarm,
      { intended: { fires: '>= 0.2', within: '12h', every: '1m' } },
      factsOf(alarm, {}, { samplesPerPeriod: 60 }),
    );
    expect(ticksOf(plan)).toBeLessThanOrEqual(600);
    expect(3_600_000 / plan.cadenceMs).toBeGreaterThanOrEqual(6);
    expect(plan.published[0]?.samples.m1?.count).toBe(Math.round(plan.cadenceMs / MINUTE));
  });

  test.each([
    [
      'time that is allowed',
      psiAlarm({ periodS: 60 }),
      '7d',
      /takes 10,\d+ data points, one every 1 min \(.*\), and at most 600 are published: intended.within is 7 d \(tocsin.yaml:6\)/,
    ],
    [
      'window',
      psiAlarm({ periodS: 60, evaluationPeriods: 700, datapointsToAlarm: 700 }),
      '4h',
      /the alarm evaluates 700 data points of 60 s/,
    ],
  ])('says that the %s makes a drill too long', (_, alarm, within, message) => {
    const drill = intendedOf(alarm, {}, within);
    const facts = factsOf(alarm, {}, { everyMs: MINUTE });
    expect(() => nextRound(alarm, drill, facts, [])).toThrow(GateInputError);
    expect(() => nextRound(alarm, drill, facts, [])).toThrow(message);
  });

  test('starts shortly after a whole minute or, of fine cadences, ten seconds', () => {
    expect(startOf({ cadenceMs: MINUTE }, 120_000)).toBe(125_000);
    expect(startOf({ cadenceMs: MINUTE }, 125_000)).toBe(125_000);
    expect(startOf({ cadenceMs: MINUTE }, 125_001)).toBe(185_000);
    expect(startOf({ cadenceMs: 10_000 }, 120_001)).toBe(122_000);
  });

  test('publishes the usual value, then that of the rung, then the usual one; silence nothing from the drift on', () => {
    const plan = firstRound(psiAlarm());
    const { warmUp, drift } = plan;
    const at = (rung: string, tick: number) =>
      samplesAt(plan, plan.rungs.find(({ id }) => id === rung)!, tick).m1;
    expect(
      [0, warmUp - 1, warmUp, warmUp + drift - 1, warmUp + drift].map((tick) => at('2x', tick)?.value),
    ).toEqual([0.05, 0.05, 0.4, 0.4, 0.05]);
    expect(
      [0, warmUp - 1, warmUp, ticksOf(plan) - 1].map((tick) => at('silence', tick)?.value ?? null),
    ).toEqual([0.05, 0.05, null, null]);
  });
});

describe('metric math', () => {
  const count = (id: string, name: string) => queryOf({ id, metric: { ...PSI, name }, statistic: 'Sum' });
  const rate = (expression: string, change: Partial<MetricAlarm> = {}) =>
    psiAlarm({
      math: true,
      queries: [count('m1', 'errors'), count('m2', 'requests'), { id: 'e1', expression }],
      returns: 'e1',
      threshold: 5,
      ...change,
    });

  test.each([
    '100 * m1 / m2',
    '100 * m1 / (m1 + m2)',
    'IF(m2 > 10, 100 * m1 / m2, 0)',
    '(100 * FILL(m1, 0)) / MAX([m1, m2])',
  ])('solves %s for the first metric', (expression) => {
    const alarm = rate(expression);
    const drill = intendedOf(alarm, { hold: { m2: 400 } });
    const rounds = playRounds(alarm, drill, factsOf(alarm));
    expect(bracketOf(rounds)).toEqual({ quiet: 0.95, loud: 1.05 });
    const [{ plan }] = rounds as [Round];
    expect(plan.published[0]?.samples.m2).toEqual({ value: 400, count: 1 });
  });

  test('has no rung right at a threshold that it cannot make the alarm see to the last digit', () => {
    const ids = (alarm: MetricAlarm, m2: number) => {
      const drill = intendedOf(alarm, { hold: { m2 }, ladder: [0.95, 1, 1.05] });
      return nextRound(alarm, drill, factsOf(alarm), [])!.rungs.map(({ id }) => id);
    };
    const every = ['0.95x', '1x', '1.05x', 'silence'];
    expect(ids(rate('100 * m1 / m2'), 400)).toEqual(every);
    // No number times 1.5 is exactly 1.51.
    expect(ids(rate('m1 * 1.5 + m2', { threshold: 1.51 }), 0)).toEqual(every.filter((id) => id !== '1x'));
    expect(ids(rate('m1 * 1.5 + m2', { threshold: 1.5 }), 0)).toEqual(every);
  });

  test('is narrowed where a rung would be right at a threshold that is not the intended one', () => {
    const drill = intendedOf(rate('m1 * 1.5 + m2', { threshold: 0.755 }), {
      ladder: [0.5, 2, 20],
      hold: { m2: 0 },
    });
    for (const comparison of ['GreaterThanThreshold', 'GreaterThanOrEqualToThreshold'] as const) {
      const alarm = rate('m1 * 1.5 + m2', { threshold: 1.51, comparison });
      const rounds = playRounds(alarm, drill, factsOf(alarm));
      expect(rounds[0]?.plan.rungs.map(({ times }) => times)).toEqual([0.5, 1.9, 2.1, 20, null]);
      expect(bracketOf(rounds)).toEqual({ quiet: 1.9, loud: 2.1 });
    }
  });

  test('drives the query that is asked for, and holds the others at what they were', () => {
    const alarm = rate('100 * (1 - m2 / m1)', { threshold: 20 });
    const drill = intendedOf(alarm, { drive: 'm2' });
    const plan = nextRound(alarm, drill, factsOf(alarm, {}, { typical: 400 }), [])!;
    expect(plan.published[0]?.samples.m1?.value).toBeCloseTo(400);
    expect(plan.published[0]?.samples.m2?.value).toBeCloseTo(380);
  });

  test('leaves out what no value makes the expression give', () => {
    const alarm = rate('100 * m1 / (m1 + m2)', { threshold: 30 });
    const plan = nextRound(alarm, intendedOf(alarm, { hold: { m2: 400 } }), factsOf(alarm), [])!;
    expect(plan.rungs.map(({ id }) => id)).toEqual(['0.5x', '0.95x', '1.05x', '2x', 'silence']);
  });

  test.each([
    ['a step', 'IF(m1 > 3, 1, 0) + 0 * m2'],
    ['a difference from the period before', 'DIFF(m1) + 0 * m2'],
    ['a sum over the range', 'RUNNING_SUM(m1) + 0 * m2'],
    ['a hump', '(m1 - 10) * (m1 - 1000) + 0 * m2'],
  ])('says that %s cannot be driven', (_, expression) => {
    const alarm = rate(expression);
    const drill = intendedOf(alarm, { hold: { m2: 400 } });
    expect(() => nextRound(alarm, drill, factsOf(alarm), [])).toThrow(
      `alarm psi-distance cannot be driven to 1.25 through the expression ${expression}, driven by m1 with m2 at 400`,
    );
  });

  test('says what it needs to know', () => {
    const alarm = rate('100 * m1 / m2');
    const facts = factsOf(alarm, {}, { recent: [] });
    expect(() => nextRound(alarm, intendedOf(alarm), facts, [])).toThrow(
      /reads m2, which has no recent data, and hold says nothing of it/,
    );
    expect(() => nextRound(alarm, intendedOf(alarm, { drive: 'm9' }), facts, [])).toThrow(
      /reads no metric with the id "m9" \(tocsin.yaml:\d+\), but m1, m2/,
    );
  });

  test('says that a statistic cannot be driven', () => {
    const alarm = psiAlarm({ queries: [queryOf({ statistic: 'PR(:300)' })], threshold: 90 });
    expect(() => nextRound(alarm, intendedOf(alarm), factsOf(alarm), [])).toThrow(
      /cannot be driven to 22.5 through the statistic PR\(:300\)/,
    );
  });
});

describe('further rounds', () => {
  const drill = drillOf();
  const configuredAt = (times: number) => psiAlarm({ threshold: valueAt(drill, times) });

  test('are not needed where the ladder has it', () => {
    expect(playRounds(psiAlarm(), drill, factsOf())).toHaveLength(1);
  });

  test('are not needed where the alarm fires at what is configured: the first one has looked there', () => {
    const alarm = configuredAt(3);
    const rounds = playRounds(alarm, drill, factsOf(alarm));
    expect(rounds).toHaveLength(1);
    const { rungs } = rounds[0]!.plan;
    expect(rungs.map(({ id }) => id)).toEqual([
      '0.5x',
      '0.95x',
      '1.05x',
      '2x',
      '2.85x',
      '3.15x',
      '5x',
      'silence',
    ]);
    // What is expected of it is what is intended.
    expect(rungs.find(({ times }) => times === 2.85)?.expects).toBe('loud');
    expect(bracketOf(rounds)).toEqual({ quiet: 2.85, loud: 3.15 });
  });

  test.each([
    // Not twice, not where it may be in ALARM from the beginning, and not where nobody wants to know.
    [configuredAt(5), drill, ['0.5x', '0.95x', '1.05x', '2x', '4.75x', '5x', '5.25x', 'silence']],
    [configuredAt(0.26), drill, ['0.273x', '0.5x', '0.95x', '1.05x', '2x', '5x', 'silence']],
    [configuredAt(0.1), drill, ['0.5x', '0.95x', '1.05x', '2x', '5x', 'silence']],
    [configuredAt(1.04), drill, ['0.5x', '0.95x', '1.05x', '2x', '5x', 'silence']],
    [configuredAt(3), drillOf({ narrow: false }), ['0.5x', '0.95x', '1.05x', '2x', '5x', 'silence']],
    [
      psiAlarm({ comparison: 'LessThanThreshold', threshold: 0.6 }),
      drill,
      ['0.5x', '0.95x', '1.05x', '2x', '5x', 'silence'],
    ],
  ])('the first one looks around a configured threshold', (alarm, config, expected) => {
    expect(nextRound(alarm, config, factsOf(alarm), [])?.rungs.map(({ id }) => id)).toEqual(expected);
  });

  test('look around the configured threshold where the first one could not', () => {
    const alarm = configuredAt(0.2);
    const rounds = playRounds(alarm, drill, factsOf(alarm));
    expect(rounds[1]?.plan.rungs.map(({ id }) => id)).toContain('0.19x');
    expect(rounds[1]?.plan).toMatchObject({ recovery: 0 });
    const { quiet, loud } = bracketOf(rounds);
    expect([quiet! < 0.2, loud! <= 0.21]).toEqual([true, true]);
  });

  test('then go by steps', () => {
    const rounds = playRounds(psiAlarm(), drill, factsOf(), configuredAt(1.5));
    const ids = rounds[1]?.plan.rungs.map(({ id }) => id);
    expect(ids).toEqual(['1.151x', '1.262x', '1.384x', '1.517x', '1.664x', '1.824x']);
    expect(bracketOf(rounds)).toEqual({ quiet: 1.384, loud: 1.517 });
  });

  test('are not made where nobody wants them', () => {
    const alarm = configuredAt(5);
    expect(playRounds(alarm, drillOf({ narrow: false }), factsOf(alarm))).toHaveLength(1);
  });

  test('end where the metric does', () => {
    const bounded = drillOf({ intended: { fires: '>= 0.2', within: '30m', range: { from: 0, to: 1.5 } } });
    const rounds = playRounds(configuredAt(50), bounded, factsOf());
    expect(rounds.map(({ plan }) => plan.rungs.map(({ id }) => id)).slice(1)).toEqual([['7.5x']]);
    expect(bracketOf(rounds)).toEqual({ quiet: 7.5, loud: null });
  });

  test('are not made where other values would not help: it takes too long', () => {
    const slow = psiAlarm({ evaluationPeriods: 40, datapointsToAlarm: 40 });
    const rounds = playRounds(slow, drill, factsOf(slow));
    expect(rounds).toHaveLength(1);
    expect(bracketOf(rounds)).toEqual({ quiet: 5, loud: null });
  });

  test('are not made where rungs contradict each other, or show nothing', () => {
    const [round] = playRounds(psiAlarm(), drill, factsOf()) as [Round];
    const [quiet, , loud] = round.results.map(({ transitions }) => transitions);
    const swapped = {
      ...round,
      results: round.results.map((result, index) =>
        index === 0
          ? { ...result, transitions: loud! }
          : index === 3
            ? { ...result, transitions: quiet! }
            : result,
      ),
    };
    expect(bracketOf([swapped])).toEqual({ quiet: 2, loud: 0.5 });
    expect(nextRound(psiAlarm(), drill, factsOf(), [swapped])).toBeNull();
    const lost = { ...round, lateTicks: 5 };
    expect(bracketOf([lost])).toEqual({ quiet: null, loud: null });
    expect(nextRound(psiAlarm(), drill, factsOf(), [lost])).toBeNull();
  });

  test('warm up with what is known to be quiet where the usual value fires', () => {
    const rounds = playRounds(psiAlarm(), drill, factsOf(), configuredAt(0.1));
    const quiet = rounds.slice(1).map(({ plan }) => timesOf(drill, plan.healthy));
    expect(quiet[0]).toBeCloseTo(0.0005);
    expect(quiet[1]).toBeCloseTo(0.05);
    expect(observationsOf(rounds[2]!).every(({ before }) => before === 'OK')).toBe(true);
  });

  const effective = fc.double({ min: Math.log(0.001), max: Math.log(1000), noNaN: true }).map(Math.exp);
  const alarms = fc.constantFrom<[Comparison, number]>(
    ['GreaterThanOrEqualToThreshold', 0.2],
    ['GreaterThanThreshold', 120],
    ['LessThanThreshold', 0.9],
    ['LessThanOrEqualToThreshold', 40],
    ['GreaterThanThreshold', -3],
    ['LessThanOrEqualToThreshold', -7],
    ['GreaterThanThreshold', 0],
    ['LessThanThreshold', 0],
  );

  test('narrow any effective threshold from a thousandth to a thousand times to 5 % in four rounds', () => {
    fc.assert(
      fc.property(alarms, effective, fc.boolean(), ([comparison, threshold], e, known) => {
        const alarm = psiAlarm({
          comparison,
          threshold,
          periodS: 60,
          evaluationPeriods: 2,
          datapointsToAlarm: 2,
        });
        const intended = intendedOf(alarm, {}, '5m');
        const really = { ...alarm, threshold: valueAt(intended, e) };
        // What is configured may say it already, or CloudWatch alone may know.
        const configured = known ? really : alarm;
        const facts = factsOf(configured, {}, { everyMs: MINUTE });
        const rounds = playRounds(configured, intended, facts, really);
        expect(rounds.length).toBeLessThanOrEqual(MOST_ROUNDS);
        const { quiet, loud } = bracketOf(rounds);
        expect(quiet).not.toBeNull();
        expect(loud).not.toBeNull();
        expect(quiet!).toBeLessThanOrEqual(e * (1 + 1e-12));
        expect(loud!).toBeGreaterThanOrEqual(e * (1 - 1e-12));
        expect(loud! / quiet!).toBeLessThanOrEqual(NARROW);
        for (const { plan } of rounds) expect(plan.rungs.length).toBeLessThanOrEqual(31);
      }),
      { numRuns: 60, seed: 4 },
    );
  });
});

describe('observations', () => {
  test('a state is that of the last change', () => {
    const transitions = [
      { at: 10, from: 'OK', to: 'ALARM' },
      { at: 20, from: 'ALARM', to: 'INSUFFICIENT_DATA' },
    ] as const;
    expect([5, 10, 19, 20].map((at) => stateAt(transitions, at))).toEqual([
      'OK',
      'ALARM',
      'ALARM',
      'INSUFFICIENT_DATA',
    ]);
    expect(stateAt([], 5)).toBe('INSUFFICIENT_DATA');
  });

  test('a rung that lost or doubled data points, or has no result, shows nothing', () => {
    const plan = firstRound(psiAlarm());
    const round = playRound(psiAlarm(), plan, 0);
    const results = round.results.map((result, index) =>
      index < 2 ? { ...result, samples: { published: 12, seen: index === 0 ? 11 : 13 } } : result,
    );
    const flaws = observationsOf({ ...round, results: results.slice(0, -1) }).map(({ flaw }) => flaw);
    expect(flaws).toEqual([
      '12 data points were published, and CloudWatch has 11',
      '12 data points were published, and CloudWatch has 13',
      null,
      null,
      null,
      'nothing was seen of it',
    ]);
  });

  test('what happens is what was forecast, whatever the alarm', () => {
    const alarms = fc.record({
      periodS: fc.constantFrom(10, 60, 300),
      evaluationPeriods: fc.integer({ min: 1, max: 6 }),
      missing: fc.constantFrom('missing', 'breaching', 'notBreaching', 'ignore'),
      m: fc.integer({ min: 1, max: 6 }),
      statistic: fc.constantFrom('Average', 'Sum', 'Maximum', 'p90', 'SampleCount'),
      perPeriod: fc.constantFrom(0.5, 1, 5),
    });
    fc.assert(
      fc.property(alarms, ({ periodS, evaluationPeriods, missing, m, statistic, perPeriod }) => {
        const alarm = psiAlarm({
          periodS,
          evaluationPeriods,
          datapointsToAlarm: Math.min(m, evaluationPeriods),
          missingData: missing as MetricAlarm['missingData'],
          queries: [queryOf({ statistic })],
          threshold: 30,
        });
        const facts = factsOf(alarm, {}, { everyMs: (periodS * 1000) / perPeriod, periodS });
        const plan = nextRound(alarm, intendedOf(alarm), facts, [])!;
        const round = playRound(alarm, plan, 0);
        for (const { rung, result, phases } of observationsOf(round)) {
          const { earliest, latest } = firstAt(forecastOf(alarm, round, rung), 'ALARM', phases.onset);
          const at = result.transitions.find(({ to, at }) => to === 'ALARM' && at > phases.onset)?.at ?? null;
          if (stateAt(result.transitions, phases.onset) === 'ALARM') continue;
          if (at === null) expect(latest).toBeNull();
          else {
            expect(earliest).not.toBeNull();
            expect(at).toBeGreaterThanOrEqual(earliest!);
            if (latest !== null) expect(at).toBeLessThanOrEqual(latest);
          }
        }
      }),
      { numRuns: 60, seed: 5 },
    );
  });
});
