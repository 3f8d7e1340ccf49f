import {
  DeleteAlarmsCommand,
  DescribeAlarmsCommand,
  type MetricAlarm,
  PutMetricAlarmCommand,
  type PutMetricAlarmCommandInput,
  PutMetricDataCommand,
  SetAlarmStateCommand,
} from '@aws-sdk/client-cloudwatch';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { judge, samplesFor, type Treatment } from '../../sandbox/cloudwatch/judge.ts';
import { DRIFT, LocalCloudWatch } from '../support/cloudwatch.ts';

const MINUTE_MS = 60_000;

let local: LocalCloudWatch;

beforeEach(async () => {
  local = await LocalCloudWatch.start();
});

afterEach(() => local.close());

async function putAlarm(changes: Partial<PutMetricAlarmCommandInput> = {}): Promise<void> {
  await local.client.send(new PutMetricAlarmCommand({ ...DRIFT, ...changes }));
}

async function alarm(name = 'drift'): Promise<MetricAlarm> {
  const { MetricAlarms = [] } = await local.client.send(new DescribeAlarmsCommand({ AlarmNames: [name] }));
  return MetricAlarms[0] as MetricAlarm;
}

async function state(name?: string): Promise<string | undefined> {
  return (await alarm(name)).StateValue;
}

/** `0` does not breach, `X` does, `-` is missing. */
function points(pattern: string): (number | undefined)[] {
  return pattern.split(' ').map((point) => ({ 0: 0, X: 1 })[point]);
}

const STATES = ['OK', 'ALARM', 'INSUFFICIENT_DATA'] as const;
const TREATMENTS = ['missing', 'ignore', 'breaching', 'notBreaching'] as const;

/** The tables of CloudWatch's user guide, of its present and an earlier edition, by M of N. */
const DOCUMENTED: [string, number, Record<Treatment, string>][] = [
  ['0 - X - X', 3, { missing: 'OK', ignore: 'OK', breaching: 'OK', notBreaching: 'OK' }],
  ['- - - - 0', 3, { missing: 'OK', ignore: 'OK', breaching: 'OK', notBreaching: 'OK' }],
  ['0 - - - -', 3, { missing: 'OK', ignore: 'OK', breaching: 'OK', notBreaching: 'OK' }],
  ['- - - - -', 3, { missing: 'INSUFFICIENT_DATA', ignore: 'kept', breaching: 'ALARM', notBreaching: 'OK' }],
  ['0 X X - X', 3, { missing: 'ALARM', ignore: 'ALARM', breaching: 'ALARM', notBreaching: 'ALARM' }],
  ['- - X - -', 3, { missing: 'ALARM', ignore: 'kept', breaching: 'ALARM', notBreaching: 'OK' }],
  ['X - - - -', 3, { missing: 'ALARM', ignore: 'kept', breaching: 'ALARM', notBreaching: 'OK' }],
  ['- - - - X', 3, { missing: 'INSUFFICIENT_DATA', ignore: 'kept', breaching: 'ALARM', notBreaching: 'OK' }],
  ['0 - X - X', 2, { missing: 'ALARM', ignore: 'ALARM', breaching: 'ALARM', notBreaching: 'ALARM' }],
  ['0 0 X 0 X', 2, { missing: 'ALARM', ignore: 'ALARM', breaching: 'ALARM', notBreaching: 'ALARM' }],
  ['0 - X - -', 2, { missing: 'OK', ignore: 'OK', breaching: 'ALARM', notBreaching: 'OK' }],
  ['- - - - 0', 2, { missing: 'OK', ignore: 'OK', breaching: 'ALARM', notBreaching: 'OK' }],
  ['- - - X -', 2, { missing: 'ALARM', ignore: 'kept', breaching: 'ALARM', notBreaching: 'OK' }],
  ['- - - - X', 2, { missing: 'INSUFFICIENT_DATA', ignore: 'kept', breaching: 'ALARM', notBreaching: 'OK' }],
];

describe('missing data', () => {
  it.each(DOCUMENTED)('%s with %i of 3', async (pattern, DatapointsToAlarm, expected) => {
    const values = points(pattern);
    await local.publish({}, values.slice(0, -1));
    await local.publish({}, values.slice(-1), 59_000);
    const cases = TREATMENTS.flatMap((treatment) => STATES.map((current) => ({ treatment, current })));
    for (const { treatment, current } of cases) {
      const AlarmName = `${treatment} ${current}`;
      await putAlarm({ AlarmName, EvaluationPeriods: 3, DatapointsToAlarm, TreatMissingData: treatment });
      await local.client.send(
        new SetAlarmStateCommand({ AlarmName, StateValue: current, StateReason: 'a test' }),
      );
    }
    // The five points are the whole range now.
    await local.advance(1_000);
    const { MetricAlarms = [] } = await local.client.send(new DescribeAlarmsCommand({}));
    const got = Object.fromEntries(MetricAlarms.map((it) => [it.AlarmName, it.StateValue]));
    expect(got).toEqual(
      Object.fromEntries(
        cases.map(({ treatment, current }) => {
          const state = expected[treatment];
          return [`${treatment} ${current}`, state === 'kept' ? current : state];
        }),
      ),
    );
  });

  it('goes as far back as the range does', async () => {
    await local.close();
    local = await LocalCloudWatch.start({ extraRange: 0 });
    await putAlarm({ EvaluationPeriods: 3, TreatMissingData: 'breaching' });
    await local.publish({}, points('0 - -'));
    expect(await state()).toBe('OK');
    // With 2 more it would be OK still.
    await local.publish({}, points('-'));
    expect(await state()).toBe('ALARM');
  });
});

describe('M of N', () => {
  const cell = fc.constantFrom<number | undefined>(0, 1, undefined);
  const cases = fc
    .record({ periods: fc.integer({ min: 1, max: 6 }), extra: fc.integer({ min: 0, max: 3 }) })
    .chain(({ periods, extra }) =>
      fc.record({
        periods: fc.constant(periods),
        datapoints: fc.integer({ min: 1, max: periods }),
        range: fc.array(cell, { minLength: periods + extra, maxLength: periods + extra }),
        treatment: fc.constantFrom(...TREATMENTS),
        current: fc.constantFrom(...STATES),
      }),
    );
  const rest = { threshold: 0.2, operator: 'GreaterThanThreshold' } as const;

  it('of enough real points is ALARM when M of the newest N breach, whatever the rest', () => {
    fc.assert(
      fc.property(cases, ({ range, periods, datapoints, treatment, current }) => {
        const real = range.filter((value) => value !== undefined).slice(-periods);
        fc.pre(real.length === periods);
        const { state } = judge(range, { ...rest, periods, datapoints, treatment }, current);
        expect(state).toBe(real.filter((value) => value > 0.2).length >= datapoints ? 'ALARM' : 'OK');
      }),
    );
  });

  it('never is ALARM with fewer than M breaching points, where missing ones are good', () => {
    fc.assert(
      fc.property(cases, ({ range, periods, datapoints, current }) => {
        const { state } = judge(range, { ...rest, periods, datapoints, treatment: 'notBreaching' }, current);
        if (state === 'ALARM') {
          expect(range.filter((value) => value === 1).length).toBeGreaterThanOrEqual(datapoints);
        }
      }),
    );
  });

  it('does not go from ALARM to OK because a point is worse', () => {
    fc.assert(
      fc.property(cases, fc.nat(), ({ range, periods, datapoints, treatment, current }, at) => {
        const criteria = { ...rest, periods, datapoints, treatment };
        const worse = range.map((value, index) => (index === at % range.length && value === 0 ? 1 : value));
        if (judge(range, criteria, current).state === 'ALARM') {
          expect(judge(worse, criteria, current).state).not.toBe('OK');
        }
      }),
    );
  });
});

describe('evaluation', () => {
  /** The state after each value. */
  async function states(values: readonly (number | undefined)[], every?: number) {
    const seen: (string | undefined)[] = [];
    for (const value of values) {
      await local.publish({}, [value], every);
      seen.push(await state());
    }
    return seen;
  }

  it('follows the metric every minute', async () => {
    await putAlarm({ EvaluationPeriods: 3, DatapointsToAlarm: 2 });
    expect(await states([0.1, 0.3, 0.1, 0.3, 0.1, 0.1])).toEqual(['OK', 'OK', 'OK', 'ALARM', 'OK', 'OK']);
  });

  it('uses what was published before the alarm was created', async () => {
    await local.publish({}, [0.3, 0.3]);
    await putAlarm({ EvaluationPeriods: 3 });
    expect(await state()).toBe('INSUFFICIENT_DATA');
    await local.publish({}, [0.3]);
    expect(await state()).toBe('ALARM');
  });

  it('keeps the state when the alarm is updated, until the next evaluation', async () => {
    await putAlarm();
    await local.publish({}, [0.3]);
    await putAlarm({ Threshold: 0.5 });
    expect(await state()).toBe('ALARM');
    await local.publish({}, [0.3]);
    expect(await state()).toBe('OK');
  });

  it('slides long periods by the minute', async () => {
    await putAlarm({ Period: 300, Statistic: 'Sum', Threshold: 0.5 });
    // 0.6 within five minutes, from the third minute to the sixth.
    expect(await states([0.2, 0.2, 0.2, 0, 0, 0])).toEqual(['OK', 'OK', 'ALARM', 'ALARM', 'ALARM', 'OK']);
  });

  it('evaluates short periods every ten seconds', async () => {
    await putAlarm({ Period: 10, EvaluationPeriods: 2 });
    expect(await states([0.3, 0.3, 0.1], 10_000)).toEqual(['INSUFFICIENT_DATA', 'ALARM', 'OK']);
  });

  it('finds data of standard resolution at the beginning of a minute only, with short periods', async () => {
    await putAlarm({ Period: 10, TreatMissingData: 'notBreaching' });
    await local.client.send(
      new PutMetricDataCommand({ Namespace: 'Tests', MetricData: [{ MetricName: 'drift', Value: 1 }] }),
    );
    await local.advance(10_000);
    expect(await state()).toBe('ALARM');
    await local.advance(30_000);
    expect(await state()).toBe('OK');
  });

  it.each([
    ['GreaterThanThreshold', ['OK', 'OK', 'ALARM']],
    ['GreaterThanOrEqualToThreshold', ['OK', 'ALARM', 'ALARM']],
    ['LessThanThreshold', ['ALARM', 'OK', 'OK']],
    ['LessThanOrEqualToThreshold', ['ALARM', 'ALARM', 'OK']],
  ] as const)('compares: %s', async (ComparisonOperator, expected) => {
    await putAlarm({ ComparisonOperator });
    expect(await states([0.1, 0.2, 0.3])).toEqual(expected);
  });

  it.each([
    ['another unit', { Unit: 'Count' }],
    ['another dimension', { Dimensions: [{ Name: 'endpoint', Value: 'x' }] }],
    ['another name', { MetricName: 'drifts' }],
    ['another namespace', { Namespace: 'tests' }],
  ] satisfies [string, Partial<PutMetricAlarmCommandInput>][])('sees nothing of %s', async (_, changes) => {
    await putAlarm(changes);
    expect(await states([1, 1, 1])).toEqual(Array(3).fill('INSUFFICIENT_DATA'));
  });

  it('puts late data where they belong', async () => {
    await putAlarm({ EvaluationPeriods: 2 });
    const time = local.time;
    await local.publish({}, [undefined, 0.3]);
    expect(await state()).toBe('INSUFFICIENT_DATA');
    await local.client.send(
      new PutMetricDataCommand({
        Namespace: 'Tests',
        MetricData: [{ MetricName: 'drift', Value: 0.3, Timestamp: new Date(time) }],
      }),
    );
    await local.advance(MINUTE_MS);
    expect(await state()).toBe('ALARM');
  });

  it('makes no difference between one long stretch and many short ones', async () => {
    await putAlarm({ EvaluationPeriods: 2, TreatMissingData: 'breaching' });
    await local.publish({}, [0.1]);
    await local.advance(30 * MINUTE_MS);
    const { StateTransitionedTimestamp } = await alarm();
    // One real point in a range of four, until it has left it.
    expect(StateTransitionedTimestamp).toEqual(new Date(Date.UTC(2026, 0, 1, 0, 5)));
  });

  it('stops with the alarm', async () => {
    await putAlarm();
    await local.client.send(new DeleteAlarmsCommand({ AlarmNames: ['drift'] }));
    await local.publish({}, [1]);
    expect(local.events.map(({ detailType }) => detailType)).not.toContain('CloudWatch Alarm State Change');
  });
});

describe('percentiles of few samples', () => {
  it.each([
    [50, 20],
    [90, 100],
    [95, 200],
    [99, 1_000],
    [99.9, 10_000],
    [10, 100],
    [1, 1_000],
    [97, 334],
    [100, 0],
    [0, 0],
  ])('p%d needs %d', (percent, expected) => {
    expect(samplesFor(percent)).toBe(expected);
  });

  it.each([
    ['ignore', 99, 'INSUFFICIENT_DATA'],
    ['ignore', 100, 'ALARM'],
    ['evaluate', 1, 'ALARM'],
    [undefined, 1, 'ALARM'],
  ] as const)('%s of %i samples: %s', async (EvaluateLowSampleCountPercentile, count, expected) => {
    await putAlarm({ Statistic: undefined, ExtendedStatistic: 'p90', EvaluateLowSampleCountPercentile });
    await local.client.send(
      new PutMetricDataCommand({
        Namespace: 'Tests',
        MetricData: [{ MetricName: 'drift', Values: [1], Counts: [count] }],
      }),
    );
    await local.advance(MINUTE_MS);
    expect(await state()).toBe(expected);
  });

  it('that are none are missing data', async () => {
    await putAlarm({
      Statistic: undefined,
      ExtendedStatistic: 'p90',
      EvaluateLowSampleCountPercentile: 'ignore',
      TreatMissingData: 'breaching',
    });
    await local.advance(MINUTE_MS);
    expect(await state()).toBe('ALARM');
  });
});

describe('metric math', () => {
  const stat = (Id: string, MetricName: string) => ({
    Id,
    MetricStat: { Metric: { Namespace: 'Tests', MetricName }, Period: 60, Stat: 'Sum' },
    ReturnData: false,
  });

  async function putRate(Expression: string, EvaluationPeriods = 1): Promise<void> {
    await local.client.send(
      new PutMetricAlarmCommand({
        AlarmName: 'drift',
        Metrics: [{ Id: 'rate', Expression }, stat('errors', 'errors'), stat('requests', 'requests')],
        EvaluationPeriods,
        Threshold: 0.05,
        ComparisonOperator: 'GreaterThanThreshold',
      }),
    );
  }

  it('is watched like a metric', async () => {
    await putRate('IF(requests > 10, errors / requests, 0)');
    const seen: (string | undefined)[] = [];
    for (const [errors, requests] of [
      [1, 100],
      [6, 100],
      [5, 5],
      [undefined, 100],
      [undefined, undefined],
    ]) {
      const MetricData = Object.entries({ errors, requests }).flatMap(([MetricName, Value]) =>
        Value === undefined ? [] : [{ MetricName, Value }],
      );
      if (MetricData.length > 0) {
        await local.client.send(new PutMetricDataCommand({ Namespace: 'Tests', MetricData }));
      }
      await local.advance(MINUTE_MS);
      seen.push(await state());
    }
    expect(seen).toEqual(['OK', 'ALARM', 'OK', 'OK', 'OK']);
  });

  it('may fill what is missing', async () => {
    await putRate('FILL(errors, 1)');
    await local.advance(MINUTE_MS);
    expect(await state()).toBe('ALARM');
  });
});
