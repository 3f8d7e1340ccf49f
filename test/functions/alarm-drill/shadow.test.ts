import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  isLeftover,
  shadowData,
  shadowInput,
  shadowMetrics,
  shadowName,
  shadowTags,
} from '../../../functions/alarm-drill/shadow.ts';
import { psiAlarm, queryOf } from '../../support/alarm-facts.ts';

const ROUND = { drill: 'distance-drift', run: 'run-1', token: '1a2b3c4d', round: 1 };
const UNTIL = Date.UTC(2026, 0, 1, 12);
const PROBE = 'arn:aws:sns:eu-central-1:111122223333:probe';

const OPTIONS = {
  ...ROUND,
  rung: '0.95x',
  until: UNTIL,
  alarmActions: [PROBE],
  description: 'DRILL: nothing is wrong',
};

const DIMENSIONS = [
  { Name: 'Drill', Value: 'distance-drift' },
  { Name: 'Run', Value: 'run-1' },
  { Name: 'Rung', Value: '0.95x' },
];

const COMMON = {
  AlarmName: 'tocsin-drill-1a2b3c4d-1-0.95x',
  AlarmDescription: 'DRILL: nothing is wrong',
  ActionsEnabled: true,
  AlarmActions: [PROBE],
  OKActions: [PROBE],
  EvaluationPeriods: 3,
  DatapointsToAlarm: 2,
  ComparisonOperator: 'GreaterThanOrEqualToThreshold',
  Threshold: 0.2,
  TreatMissingData: 'breaching',
  Tags: [
    { Key: 'tocsin:drill', Value: 'distance-drift' },
    { Key: 'tocsin:run', Value: 'run-1' },
    { Key: 'tocsin:until', Value: '2026-01-01T12:00:00.000Z' },
  ],
};

describe('shadowInput', () => {
  test('clones an alarm on one metric', () => {
    const alarm = psiAlarm({
      actions: { enabled: false, alarm: ['arn:real'], ok: [], insufficientData: [] },
    });

    expect(shadowInput(alarm, OPTIONS)).toEqual({
      ...COMMON,
      Namespace: 'Tocsin/Drill',
      MetricName: '1a2b3c4d-1-0-0.95x',
      Dimensions: DIMENSIONS,
      Period: 300,
      Statistic: 'Average',
    });
  });

  test('keeps unit, percentile and what few samples mean', () => {
    const alarm = psiAlarm({
      queries: [queryOf({ statistic: 'p99', unit: 'Milliseconds' })],
      lowSamples: 'ignore',
    });

    expect(shadowInput(alarm, { ...OPTIONS, okActions: [] })).toEqual({
      ...COMMON,
      OKActions: [],
      Namespace: 'Tocsin/Drill',
      MetricName: '1a2b3c4d-1-0-0.95x',
      Dimensions: DIMENSIONS,
      Period: 300,
      ExtendedStatistic: 'p99',
      Unit: 'Milliseconds',
      EvaluateLowSampleCountPercentile: 'ignore',
    });
  });

  test('replaces every metric of metric math, and keeps the expressions', () => {
    const alarm = psiAlarm({
      math: true,
      returns: 'share',
      queries: [
        { id: 'share', expression: 'wrong / all' },
        queryOf({ id: 'wrong', statistic: 'Sum', unit: 'Count' }),
        queryOf({ id: 'all', statistic: 'p50' }),
      ],
    });

    expect(shadowInput(alarm, OPTIONS)).toEqual({
      ...COMMON,
      Metrics: [
        { Id: 'share', Expression: 'wrong / all', ReturnData: true },
        {
          Id: 'wrong',
          MetricStat: {
            Metric: { Namespace: 'Tocsin/Drill', MetricName: '1a2b3c4d-1-1-0.95x', Dimensions: DIMENSIONS },
            Period: 300,
            Stat: 'Sum',
            Unit: 'Count',
          },
          ReturnData: false,
        },
        {
          Id: 'all',
          MetricStat: {
            Metric: { Namespace: 'Tocsin/Drill', MetricName: '1a2b3c4d-1-2-0.95x', Dimensions: DIMENSIONS },
            Period: 300,
            Stat: 'p50',
          },
          ReturnData: false,
        },
      ],
    });
    expect(Object.keys(shadowMetrics(alarm, OPTIONS))).toEqual(['wrong', 'all']);
  });

  test('one metric in the form of metric math stays in it', () => {
    const alarm = psiAlarm({ math: true });

    expect(shadowInput(alarm, OPTIONS)).toMatchObject({
      Metrics: [{ Id: 'm1', MetricStat: { Period: 300, Stat: 'Average' }, ReturnData: true }],
    });
  });
});

describe('names', () => {
  test('are those of one rung alone, and never too long', () => {
    const rung = fc.record({
      token: fc.stringMatching(/^[0-9a-f]{8}$/),
      round: fc.integer({ min: 1, max: 9 }),
      rung: fc.stringMatching(/^(silence|\d{1,20}(\.\d{1,20})?x)$/),
    });
    fc.assert(
      fc.property(rung, rung, (a, b) => {
        const [one, other] = [a, b].map(({ token, round, rung }) => shadowName(token, round, rung));
        expect(one?.length).toBeLessThanOrEqual(255);
        expect(one === other).toBe(JSON.stringify(a) === JSON.stringify(b));
      }),
    );
    expect(shadowName('1a2b3c4d', 1, 'x'.repeat(300))).toHaveLength(255);
  });
});

describe('shadowData', () => {
  const AT = Date.UTC(2026, 0, 1);

  test('has the samples of all rungs that publish, and of no others', () => {
    const data = shadowData(psiAlarm({ queries: [queryOf({ unit: 'Percent' })] }), ROUND, AT, {
      '0.95x': { m1: { value: 0.19, count: 5 } },
      '2x': { m1: { value: 0.4, count: 5 } },
      silence: { m1: null },
      '5x': {},
    });

    expect(data).toEqual(
      [
        { rung: '0.95x', value: 0.19 },
        { rung: '2x', value: 0.4 },
      ].map(({ rung, value }) => ({
        MetricName: `1a2b3c4d-1-0-${rung}`,
        Dimensions: [...DIMENSIONS.slice(0, 2), { Name: 'Rung', Value: rung }],
        Timestamp: new Date(AT),
        Values: [value],
        Counts: [5],
        Unit: 'Percent',
        StorageResolution: 60,
      })),
    );
  });

  test('is of a high resolution where the period is below a minute', () => {
    const alarm = psiAlarm({ periodS: 10 });

    expect(shadowData(alarm, ROUND, AT, { '2x': { m1: { value: 1, count: 1 } } })).toMatchObject([
      { StorageResolution: 1 },
    ]);
  });

  test('goes to the metrics that the shadow watches', () => {
    const alarm = psiAlarm({
      math: true,
      returns: 'sum',
      queries: [queryOf({ id: 'a' }), queryOf({ id: 'b' }), { id: 'sum', expression: 'a + b' }],
    });
    const sample = { value: 1, count: 1 };
    const watched = shadowInput(alarm, OPTIONS) as unknown as {
      Metrics: { MetricStat?: { Metric: { MetricName: string; Dimensions: unknown } } }[];
    };

    const data = shadowData(alarm, ROUND, AT, { '0.95x': { a: sample, b: sample } });

    expect(data.map(({ MetricName, Dimensions }) => ({ MetricName, Dimensions }))).toEqual(
      watched.Metrics.flatMap(({ MetricStat }) =>
        MetricStat === undefined
          ? []
          : [{ MetricName: MetricStat.Metric.MetricName, Dimensions: MetricStat.Metric.Dimensions }],
      ),
    );
  });
});

describe('isLeftover', () => {
  const tags = Object.fromEntries(
    shadowTags({ drill: 'a', run: 'r', until: UNTIL }).map(({ Key, Value }) => [Key, Value]),
  );

  test.each([
    ['whose time is over', tags, { now: UNTIL }, true],
    ['that is still of use', tags, { now: UNTIL - 1 }, false],
    ['of an earlier run of the drill', tags, { now: 0, drill: 'a' }, true],
    ['of a run of another drill', tags, { now: 0, drill: 'b' }, false],
    ['without a tag of a drill', { 'tocsin:until': '2000-01-01T00:00:00Z' }, { now: UNTIL }, false],
    ['without a time', { 'tocsin:drill': 'a' }, { now: 0 }, true],
  ])('something %s', (_, found, over, expected) => {
    expect(isLeftover(found, over)).toBe(expected);
  });
});
