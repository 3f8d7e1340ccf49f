import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  ALARM_STATES,
  type AlarmState,
  breaches,
  COMPARISONS,
  type Comparison,
  type Evaluated,
  MISSING_DATA,
  type MissingData,
} from '../../../functions/alarm-drill/alarm.ts';
import type { Sample } from '../../../functions/alarm-drill/series.ts';
import {
  DOCUMENTED,
  evaluationTimes,
  firstAt,
  forecast,
  judge,
  parseSeries,
  type Reading,
  seriesOf,
  simulate,
  transitionsOf,
} from '../../../functions/alarm-drill/simulate.ts';
import { GateInputError } from '../../../functions/shared/errors.ts';

// A fixed seed: what fails here fails for everybody.
fc.configureGlobal({ seed: 4 });

const MINUTE = 60_000;

const METRIC = {
  id: 'm1',
  metric: { namespace: 'Drift', name: 'psi', dimensions: {} },
  statistic: 'Average',
} as const;

/** Three of three minutes above 0.2. */
function alarmOf(change: Partial<Evaluated> = {}): Evaluated {
  return {
    queries: [METRIC],
    returns: 'm1',
    periodS: 60,
    evaluationPeriods: 3,
    datapointsToAlarm: 3,
    comparison: 'GreaterThanThreshold',
    threshold: 0.2,
    missingData: 'missing',
    ...change,
  };
}

/** As the documentation writes data points, oldest first: `X` breaches, `0` does not, `-` is missing. */
function pointsOf(picture: string): (number | null)[] {
  return picture.split(' ').map((mark) => ({ X: 0.3, '0': 0.1 })[mark] ?? null);
}

/** The states at the end of each period of a series. */
function statesOf(
  alarm: Evaluated,
  values: readonly (number | null)[],
  options: { initial?: AlarmState; extraRange?: number; reading?: Reading } = {},
): AlarmState[] {
  const periodMs = alarm.periodS * 1000;
  return simulate(alarm, seriesOf(values, alarm, 0), { from: 0, to: values.length * periodMs, ...options })
    .filter(({ at }) => at % periodMs === 0)
    .map(({ state }) => state);
}

/*
 * The two tables of "Configuring how CloudWatch alarms treat missing data" in CloudWatch's user guide. The evaluation
 * range is 5 data points; `keeps` stands for "Retain current state".
 */
describe('missing data, as documented', () => {
  type Row = [string, AlarmState | 'keeps', AlarmState | 'keeps', AlarmState, AlarmState];

  const threeOfThree: Row[] = [
    ['0 - X - X', 'OK', 'OK', 'OK', 'OK'],
    ['0 - - - -', 'OK', 'OK', 'OK', 'OK'],
    ['- - - - -', 'INSUFFICIENT_DATA', 'keeps', 'ALARM', 'OK'],
    ['0 X X - X', 'ALARM', 'ALARM', 'ALARM', 'ALARM'],
    ['- - X - -', 'ALARM', 'keeps', 'ALARM', 'OK'],
  ];
  const twoOfThree: Row[] = [
    ['0 - X - X', 'ALARM', 'ALARM', 'ALARM', 'ALARM'],
    ['0 0 X 0 X', 'ALARM', 'ALARM', 'ALARM', 'ALARM'],
    ['0 - X - -', 'OK', 'OK', 'ALARM', 'OK'],
    ['- - - - 0', 'OK', 'OK', 'ALARM', 'OK'],
    ['- - - X -', 'ALARM', 'keeps', 'ALARM', 'OK'],
  ];
  const cells = [
    ...threeOfThree.map((row) => ({ m: 3, row })),
    ...twoOfThree.map((row) => ({ m: 2, row })),
  ].flatMap(({ m, row: [picture, missing, ignore, breaching, notBreaching] }) =>
    Object.entries({ missing, ignore, breaching, notBreaching }).map(
      ([missingData, expected]) => [m, picture, missingData as MissingData, expected] as const,
    ),
  );

  it.each(cells)('%i of 3, %s, treated as %s: %s', (m, picture, missingData, expected) => {
    const values = pointsOf(picture);
    const alarm = alarmOf({ datapointsToAlarm: m, missingData });
    for (const previous of ALARM_STATES) {
      const state = expected === 'keeps' ? previous : expected;
      expect(judge(values.toReversed(), alarm, previous)).toBe(state);
      const options = { from: 4 * MINUTE, to: 5 * MINUTE, initial: previous, extraRange: 2 };
      const [evaluation, ...others] = simulate(alarm, seriesOf(values, alarm, 0), options);
      expect(others).toEqual([]);
      expect(evaluation).toMatchObject({ at: 5 * MINUTE, state });
      expect(evaluation?.slots.map(({ value }) => value)).toEqual(values.toReversed());
    }
  });

  it('second row: goes to ALARM when the one good point leaves the range, where missing is breaching', () => {
    const alarm = alarmOf({ missingData: 'breaching' });
    expect(statesOf(alarm, pointsOf('0 - - - - -'), { extraRange: 2 }).slice(-2)).toEqual(['OK', 'ALARM']);
  });
});

/* "Avoiding premature transitions to alarm state": 3 of 3, range 5. */
describe('premature transitions, as documented', () => {
  it.each(['- - - - X', '- - - X -'])('%s is no ALARM yet', (picture) => {
    for (const young of ['stay', 'OK', 'INSUFFICIENT_DATA'] as const) {
      expect(judge(pointsOf(picture).reverse(), alarmOf(), 'OK', { young, old: 'range' })).toBe(
        young === 'stay' ? 'OK' : young,
      );
    }
  });

  it.each(['- - - X 0', '- - X - 0'])('%s is OK, and no false alarm was raised before', (picture) => {
    expect(judge(pointsOf(picture).reverse(), alarmOf(), 'OK')).toBe('OK');
  });

  it('- - X - - is ALARM, of one data point', () => {
    expect(statesOf(alarmOf(), pointsOf('- - X - -'), { initial: 'OK', extraRange: 2 })).toEqual([
      'INSUFFICIENT_DATA',
      'INSUFFICIENT_DATA',
      'INSUFFICIENT_DATA',
      'INSUFFICIENT_DATA',
      'ALARM',
    ]);
  });

  it('is about age as well where M is below N', () => {
    const alarm = alarmOf({ datapointsToAlarm: 2, evaluationPeriods: 4 });
    expect(judge(pointsOf('- - - - X').reverse(), alarm, 'OK')).toBe('OK');
    expect(judge(pointsOf('- - - X -').reverse(), alarm, 'OK')).toBe('ALARM');
  });

  it('beyond the newest N periods depends on how the guide is read', () => {
    const old = pointsOf('X - - - -').reverse();
    expect(judge(old, alarmOf(), 'OK')).toBe('ALARM');
    expect(judge(old, alarmOf(), 'OK', { ...DOCUMENTED, old: 'periods' })).toBe('OK');
  });
});

/* The figure of "Evaluating an alarm": three units, 3 of 3. */
describe('an alarm without gaps, as documented', () => {
  it('goes to ALARM after the third breaching period, back to OK with the first good one, and not for one', () => {
    const alarm = alarmOf({ threshold: 3 });
    const values = [2, 2, 4, 5, 4, 2, 2.5, 1, 4, 2];
    expect(statesOf(alarm, values)).toEqual(values.map((_, period) => (period === 4 ? 'ALARM' : 'OK')));
  });

  it('goes to ALARM with 2 of 3, whichever they are', () => {
    const alarm = alarmOf({ datapointsToAlarm: 2 });
    expect(statesOf(alarm, pointsOf('0 0 0 X 0 X 0 0 X X 0 0'))).toEqual(
      pointsOf('0 0 0 0 0 X 0 0 0 X X 0').map((value) => (value === 0.3 ? 'ALARM' : 'OK')),
    );
  });
});

describe('evaluation', () => {
  it('is on the whole minute, after the start and up to the end', () => {
    expect(evaluationTimes(alarmOf({ periodS: 300 }), 0, 3 * MINUTE)).toEqual(
      [1, 2, 3].map((n) => n * MINUTE),
    );
    expect(evaluationTimes(alarmOf(), 30_000, 2 * MINUTE + 59_999)).toEqual([MINUTE, 2 * MINUTE]);
    expect(evaluationTimes(alarmOf(), 5, 5)).toEqual([]);
    expect(evaluationTimes(alarmOf(), 9 * MINUTE, 0)).toEqual([]);
  });

  it('is every ten seconds with periods below a minute', () => {
    for (const periodS of [10, 20, 30]) {
      expect(evaluationTimes(alarmOf({ periodS }), 0, 35_000)).toEqual([10_000, 20_000, 30_000]);
    }
  });

  it('is every hour where it looks back further than a day', () => {
    const HOUR = 60 * MINUTE;
    const times = (evaluationPeriods: number) =>
      evaluationTimes(alarmOf({ periodS: 3600, evaluationPeriods }), 30 * MINUTE, 3 * HOUR);
    expect(times(25)).toEqual([HOUR, 2 * HOUR, 3 * HOUR]);
    expect(times(24)).toHaveLength(150);
  });

  it('slides: a sample counts as long as it is in the newest period, its end excluded', () => {
    const alarm = alarmOf({
      periodS: 300,
      evaluationPeriods: 1,
      datapointsToAlarm: 1,
      missingData: 'notBreaching',
    });
    const ringing = (at: number) =>
      simulate(alarm, { m1: [{ at, value: 1 }] }, { from: 0, to: 20 * MINUTE })
        .filter(({ state }) => state === 'ALARM')
        .map((evaluation) => evaluation.at / MINUTE);
    expect(ringing(7.5 * MINUTE)).toEqual([8, 9, 10, 11, 12]);
    expect(ringing(7 * MINUTE)).toEqual([8, 9, 10, 11, 12]);
  });

  it('shows what it saw', () => {
    const alarm = alarmOf({ periodS: 30, evaluationPeriods: 2, datapointsToAlarm: 1 });
    const [, , third] = simulate(
      alarm,
      { m1: [{ at: 5000, value: 1 }] },
      { from: 0, to: 30_000, extraRange: 1 },
    );
    expect(third).toEqual({
      at: 30_000,
      state: 'ALARM',
      slots: [
        { from: 0, to: 30_000, value: 1, breaching: true },
        { from: -30_000, to: 0, value: null, breaching: null },
        { from: -60_000, to: -30_000, value: null, breaching: null },
      ],
    });
  });

  it('uses data from before it began', () => {
    const alarm = alarmOf();
    const series = seriesOf(pointsOf('X X X X'), alarm, 0);
    expect(simulate(alarm, series, { from: 2 * MINUTE, to: 3 * MINUTE })).toMatchObject([{ state: 'ALARM' }]);
  });

  it('sees a sample only when it is there to be read', () => {
    const alarm = alarmOf({ evaluationPeriods: 2, datapointsToAlarm: 1, missingData: 'notBreaching' });
    const samples = [
      { at: 30_000, value: 1 },
      { at: 45_000, value: -9 },
    ];
    const states = (visibleAfterMs: number) =>
      simulate(alarm, { m1: samples }, { from: 0, to: 4 * MINUTE, visibleAfterMs }).map(({ state }) => state);
    expect(states(0)).toEqual(['OK', 'OK', 'OK', 'OK']);
    expect(states(30_000)).toEqual(['ALARM', 'OK', 'OK', 'OK']);
    expect(states(30_001)).toEqual(['OK', 'OK', 'OK', 'OK']);
    expect(states(90_000)).toEqual(['OK', 'ALARM', 'OK', 'OK']);
    expect(states(9 * MINUTE)).toEqual(['OK', 'OK', 'OK', 'OK']);
  });

  it('counts samples of the unit that was asked for', () => {
    const series = (unit?: string) => ({
      m1: [{ at: 1, value: 1, ...(unit === undefined ? {} : { unit }) }],
    });
    const state = (wanted: string | undefined, unit?: string) =>
      simulate(
        alarmOf({
          evaluationPeriods: 1,
          datapointsToAlarm: 1,
          queries: [{ ...METRIC, ...(wanted === undefined ? {} : { unit: wanted }) }],
        }),
        series(unit),
        { from: 0, to: MINUTE },
      )[0]?.state;
    expect(state(undefined, 'Percent')).toBe('ALARM');
    expect(state('Percent', 'Percent')).toBe('ALARM');
    expect(state('None')).toBe('ALARM');
    expect(state('Percent')).toBe('INSUFFICIENT_DATA');
    expect(state('Count', 'Percent')).toBe('INSUFFICIENT_DATA');
  });

  it('manages periods of a day, and hundreds of periods', () => {
    const days = alarmOf({ periodS: 86_400, evaluationPeriods: 7, datapointsToAlarm: 7 });
    const hourly = Array.from({ length: 24 * 9 }, (_, hour) => ({
      at: (hour + 0.5) * 60 * MINUTE,
      value: 1,
    }));
    const states = simulate(days, { m1: hourly }, { from: 0, to: 9 * 1440 * MINUTE });
    // The seventh day back has a sample as soon as the first half hour of the first day has passed into it; and the
    // alarm is evaluated every hour.
    expect(transitionsOf(states, 'INSUFFICIENT_DATA')).toEqual([
      { at: 6 * 1440 * MINUTE + 60 * MINUTE, from: 'INSUFFICIENT_DATA', to: 'ALARM' },
    ]);
    const minutes = alarmOf({ evaluationPeriods: 400, datapointsToAlarm: 300, missingData: 'notBreaching' });
    const always = seriesOf(
      Array.from({ length: 500 }, () => 1),
      minutes,
      0,
    );
    expect(firstAt(forecast(minutes, always, { from: 0, to: 500 * MINUTE }), 'ALARM', 0)).toEqual({
      earliest: 300 * MINUTE,
      latest: 300 * MINUTE,
    });
  });
});

/* "Percentile-based alarms and low data samples": p90 needs 100. */
describe('percentiles of few samples', () => {
  const alarm = alarmOf({
    queries: [{ ...METRIC, statistic: 'p90' }],
    evaluationPeriods: 2,
    datapointsToAlarm: 1,
    lowSamples: 'ignore',
  });
  const samples = (...counts: number[]): Sample[] =>
    counts.flatMap((count, minute) => (count > 0 ? [{ at: minute * MINUTE, value: 1, count }] : []));
  const states = (change: Partial<Evaluated>, few: Reading['few'], ...counts: number[]) =>
    simulate(
      { ...alarm, ...change },
      { m1: samples(...counts) },
      { from: 0, to: counts.length * MINUTE, initial: 'OK', reading: { ...DOCUMENTED, few } },
    ).map(({ state }) => state);

  it('hold the state where they are to be ignored', () => {
    expect(states({}, 'together', 99, 0, 40, 60)).toEqual(['OK', 'OK', 'OK', 'ALARM']);
    expect(states({}, 'any', 100, 40, 60, 100, 100)).toEqual(['OK', 'OK', 'OK', 'OK', 'ALARM']);
  });

  it('are evaluated otherwise, as are other statistics', () => {
    expect(states({ lowSamples: 'evaluate' }, 'any', 1)).toEqual(['ALARM']);
    expect(states({ queries: [METRIC] }, 'any', 1)).toEqual(['ALARM']);
  });

  it('without any are missing data, or hold the state', () => {
    expect(states({}, 'together', 0)).toEqual(['INSUFFICIENT_DATA']);
    expect(states({}, 'any', 0)).toEqual(['OK']);
    const { evaluations, undocumented } = forecast(alarm, {}, { from: 0, to: MINUTE, initial: 'OK' });
    expect(evaluations[0]?.state).toBeNull();
    expect(undocumented).toBe(
      'depends on undocumented behaviour: over which time the samples of a percentile are counted',
    );
  });
});

describe('metric math', () => {
  const errorRate = alarmOf({
    queries: [
      { ...METRIC, id: 'errors', statistic: 'Sum' },
      { ...METRIC, id: 'requests', statistic: 'SampleCount' },
      { id: 'rate', expression: 'FILL(errors, 0) / requests' },
      { id: 'percent', expression: '100 * rate' },
    ],
    returns: 'percent',
    threshold: 5,
    datapointsToAlarm: 2,
  });

  it('is computed over the range, expressions of expressions too', () => {
    const series = {
      errors: [1, 2, 3].map((minute) => ({ at: minute * MINUTE, value: 2 })),
      requests: [0, 1, 2, 3].map((minute) => ({
        at: minute * MINUTE,
        value: 1,
        count: minute < 2 ? 40 : 20,
      })),
    };
    const evaluations = simulate(errorRate, series, { from: 0, to: 4 * MINUTE });
    expect(evaluations.map(({ state }) => state)).toEqual(['OK', 'OK', 'OK', 'ALARM']);
    expect(evaluations.at(-1)?.slots.map(({ value }) => value)).toEqual([10, 10, 5]);
  });

  it('may depend on how much CloudWatch reads, which a forecast says', () => {
    const alarm = alarmOf({
      queries: [METRIC, { id: 'e1', expression: 'm1 - AVG(m1)' }],
      returns: 'e1',
      threshold: 0.5,
      evaluationPeriods: 1,
      datapointsToAlarm: 1,
    });
    const series = seriesOf([0, 0, 0, 1], alarm, 0);
    const { evaluations, undocumented } = forecast(alarm, series, { from: 3 * MINUTE, to: 4 * MINUTE });
    expect(evaluations).toMatchObject([{ state: null }]);
    expect(evaluations[0]?.slots.map(({ value }) => value)).toEqual([0.75, -0.25, -0.25, -0.25]);
    expect(undocumented).toBe(
      'depends on undocumented behaviour: how many data points CloudWatch reads beyond the evaluation periods',
    );
  });

  it('reads metrics for METRICS(), and no expression', () => {
    const alarm = alarmOf({
      queries: [
        METRIC,
        { ...METRIC, id: 'm2' },
        { id: 'e1', expression: 'm1 * 100' },
        { id: 'e2', expression: 'MAX(METRICS())' },
      ],
      returns: 'e2',
    });
    const series = { ...seriesOf([1], alarm, 0, 'm1'), ...seriesOf([2], alarm, 0, 'm2') };
    expect(simulate(alarm, series, { from: 0, to: MINUTE })[0]?.slots[0]?.value).toBe(2);
  });

  it.each([
    [[{ id: 'e1', expression: 'm9 + 1' }], 'the alarm has no query with the id "m9"'],
    [
      [
        { id: 'e1', expression: 'e2 + 1' },
        { id: 'e2', expression: 'e1 + 1' },
      ],
      'the expressions of the alarm read each other: e1 -> e2 -> e1',
    ],
    [[{ id: 'e1', expression: 'm1 +' }], 'has its end where'],
    [[], 'the alarm has no query with the id "e1"'],
  ])('refuses %j', (queries, message) => {
    const run = () =>
      simulate(alarmOf({ queries: [METRIC, ...queries], returns: 'e1' }), {}, { from: 0, to: MINUTE });
    expect(run).toThrow(GateInputError);
    expect(run).toThrow(message);
  });
});

describe('a forecast', () => {
  const minutes = (count: number) => ({ from: 0, to: count * MINUTE, initial: 'OK' as const });

  it('is certain where nothing is missing', () => {
    const alarm = alarmOf();
    const certain = forecast(alarm, seriesOf(pointsOf('0 0 0 X X X 0'), alarm, 0), minutes(7));
    expect(certain.evaluations.map(({ state }) => state)).toEqual([
      ...Array.from({ length: 5 }, () => 'OK'),
      'ALARM',
      'OK',
    ]);
    expect(certain.undocumented).toBeNull();
    expect(certain.courses).toHaveLength(1);
    expect(firstAt(certain, 'ALARM', 0)).toEqual({ earliest: 6 * MINUTE, latest: 6 * MINUTE });
    expect(firstAt(certain, 'OK', 6 * MINUTE)).toEqual({ earliest: 7 * MINUTE, latest: 7 * MINUTE });
    expect(firstAt(certain, 'ALARM', 6 * MINUTE)).toEqual({ earliest: null, latest: null });
  });

  it('says so where it hangs on the evaluation range', () => {
    const alarm = alarmOf({ missingData: 'breaching' });
    const { evaluations, undocumented, courses } = forecast(
      alarm,
      seriesOf(pointsOf('0 - - - - - -'), alarm, 0),
      minutes(7),
    );
    const unsure = [null, null, null];
    expect(evaluations.map(({ state }) => state)).toEqual(['OK', 'OK', 'OK', ...unsure, 'ALARM']);
    expect(undocumented).toBe(
      'depends on undocumented behaviour: how many data points CloudWatch reads beyond the evaluation periods',
    );
    expect(courses).toHaveLength(4);
    expect(firstAt({ evaluations, courses }, 'ALARM', 0)).toEqual({
      earliest: 4 * MINUTE,
      latest: 7 * MINUTE,
    });
    const early = forecast(alarm, seriesOf(pointsOf('0 - - - -'), alarm, 0), minutes(5));
    expect(firstAt(early, 'ALARM', 0)).toEqual({ earliest: 4 * MINUTE, latest: null });
  });

  it('says so where it hangs on a single young breaching point', () => {
    const alarm = alarmOf();
    const { evaluations, undocumented } = forecast(alarm, seriesOf(pointsOf('X'), alarm, 0), minutes(1));
    expect(evaluations).toMatchObject([{ state: null }]);
    expect(undocumented).toBe(
      'depends on undocumented behaviour: what an alarm does while it has a few data points that all breach',
    );
  });

  it('says so where it hangs on an old breaching point', () => {
    const alarm = alarmOf({ evaluationPeriods: 1, datapointsToAlarm: 1 });
    const series = seriesOf(pointsOf('X -'), alarm, 0);
    expect(forecast(alarm, series, minutes(2)).undocumented).toContain('how many data points');
    const three = alarmOf();
    const old = forecast(three, seriesOf(pointsOf('X - - -'), three, 0), { ...minutes(4), from: 3 * MINUTE });
    expect(old.undocumented).toContain('how far back a breaching data point counts');
  });
});

describe('transitions', () => {
  it('are where the state changes, from the one before', () => {
    const states: AlarmState[] = ['OK', 'OK', 'ALARM', 'INSUFFICIENT_DATA'];
    const evaluations = states.map((state, at) => ({ at, state }));
    expect(transitionsOf(evaluations, 'OK')).toEqual([
      { at: 2, from: 'OK', to: 'ALARM' },
      { at: 3, from: 'ALARM', to: 'INSUFFICIENT_DATA' },
    ]);
    expect(transitionsOf(evaluations, 'ALARM')[0]).toEqual({ at: 0, from: 'ALARM', to: 'OK' });
    expect(transitionsOf([], 'OK')).toEqual([]);
  });
});

describe('a series for people', () => {
  it.each<[string, (number | null)[]]>([
    ['0.1 0.1 _ 0.3x5', [0.1, 0.1, null, 0.3, 0.3, 0.3, 0.3, 0.3]],
    ['1,2, 3 ,_x2', [1, 2, 3, null, null]],
    ['-1 +2 .5 3. 1e3 2.5E-2X2', [-1, 2, 0.5, 3, 1000, 0.025, 0.025]],
  ])('%s', (text, expected) => expect(parseSeries(text)).toEqual(expected));

  it.each([
    ['0.1 oops 0.3', '"oops", entry 2 of the series (character 5), is neither a number nor _'],
    ['0.1 - 0.3', '"-", entry 2 of the series (character 5), is neither'],
    ['1x', '"1x", entry 1 of the series (character 1), is neither'],
    ['1, 2y3', '"2y3", entry 2 of the series (character 4), is neither'],
    ['0x5x5', '"0x5x5", entry 1 of the series (character 1), is neither'],
    ['1 1e999', '"1e999", entry 2 of the series (character 3), is too large'],
    ['1x0', '"1x0", entry 1 of the series (character 1), stands for no data point'],
    ['1x9999 1x2', '"1x2", entry 2 of the series (character 8), makes more than 10,000 data points'],
    ['NaN', '"NaN", entry 1 of the series (character 1), is neither'],
    [' ,', 'the series has no data points'],
  ])('"%s" is refused: %s', (text, message) => {
    expect(() => parseSeries(text)).toThrow(GateInputError);
    expect(() => parseSeries(text)).toThrow(message);
  });

  it('may have 10,000 points', () => expect(parseSeries('1x9999 _')).toHaveLength(10_000));

  it('becomes a sample in the middle of each period', () => {
    expect(seriesOf([1, null, 2], alarmOf({ periodS: 300 }), 1000)).toEqual({
      m1: [
        { at: 151_000, value: 1 },
        { at: 751_000, value: 2 },
      ],
    });
  });

  it('has the unit and the count that make it count', () => {
    const queries = [{ ...METRIC, statistic: 'SampleCount', unit: 'Count' }];
    expect(seriesOf([7, 0], alarmOf({ queries }), 0)).toEqual({
      m1: [{ at: 30_000, value: 1, count: 7, unit: 'Count' }],
    });
  });

  it('goes to the metric that is named, or the only one', () => {
    const two = [METRIC, { ...METRIC, id: 'm2' }, { id: 'e1', expression: 'm1 + m2' }];
    const alarm = alarmOf({ queries: two, returns: 'e1' });
    expect(Object.keys(seriesOf([1], alarm, 0, 'm2'))).toEqual(['m2']);
    expect(Object.keys(seriesOf([1], { ...alarm, returns: 'm1' }, 0))).toEqual(['m1']);
    expect(Object.keys(seriesOf([1], { ...alarm, queries: two.toSpliced(1, 1) }, 0))).toEqual(['m1']);
    expect(() => seriesOf([1], alarm, 0)).toThrow('the alarm computes its values from several metrics');
    expect(() => seriesOf([1], alarm, 0, 'e1')).toThrow('the alarm has no metric with the id "e1"');
  });
});

describe('whatever the alarm', () => {
  const THRESHOLD = 2;

  const alarm = fc.nat(4).chain((more) =>
    fc
      .record({
        datapointsToAlarm: fc.integer({ min: 1, max: more + 1 }),
        comparison: fc.constantFrom(...(Object.keys(COMPARISONS) as Comparison[])),
        missingData: fc.constantFrom(...MISSING_DATA),
      })
      .map((change) => alarmOf({ ...change, evaluationPeriods: more + 1, threshold: THRESHOLD })),
  );
  const value = fc.integer({ min: 0, max: 4 });
  const point = fc.option(value);
  const points = fc.array(point, { minLength: 1, maxLength: 24 });
  const state = fc.constantFrom(...ALARM_STATES);
  const reading = fc.record<Reading>({
    young: fc.constantFrom('stay', 'OK', 'INSUFFICIENT_DATA'),
    old: fc.constantFrom('range', 'periods'),
    few: fc.constantFrom('together', 'any'),
  });
  const options = fc.record({ initial: state, extraRange: fc.nat(3), reading });

  const worseBy = ({ comparison }: Evaluated, amount: number) =>
    comparison.startsWith('Greater') ? amount : -amount;

  /*
   * Exactly: with the same state before, the same periods missing and every other value the same or worse, ALARM stays
   * ALARM at each evaluation, under each treatment and reading. It holds as well where missing points become breaching
   * ones: more real points push older ones out of the N, but never a breaching one in exchange for a good one.
   */
  it('a worse point never takes an alarm out of ALARM', () => {
    fc.assert(
      fc.property(alarm, points, options, fc.array(fc.nat(9)), (anyAlarm, values, how, changes) => {
        const worse = values.map((original, index) => {
          const change = changes[index % Math.max(1, changes.length)] ?? 0;
          if (change > 6) return THRESHOLD + worseBy(anyAlarm, 1);
          return original === null ? null : original + worseBy(anyAlarm, change % 3);
        });
        const after = statesOf(anyAlarm, worse, how);
        statesOf(anyAlarm, values, how).forEach((before, index) => {
          if (before === 'ALARM') expect(after[index]).toBe('ALARM');
        });
      }),
      { numRuns: 1000 },
    );
  });

  it('a worse sample is a worse point, by every statistic that cannot lose it', () => {
    const sample = fc.record({ at: fc.nat(5 * MINUTE), value });
    const statistic = fc.constantFrom(
      'Average',
      'Sum',
      'Minimum',
      'Maximum',
      'p50',
      'p90',
      'IQM',
      'tm90',
      'wm98',
    );
    fc.assert(
      fc.property(
        alarm,
        statistic,
        fc.array(sample, { minLength: 1, maxLength: 12 }),
        options,
        fc.nat(),
        (anyAlarm, name, samples, how, which) => {
          const watched = {
            ...anyAlarm,
            comparison: 'GreaterThanThreshold' as const,
            queries: [{ ...METRIC, statistic: name }],
          };
          const worse = samples.with(which % samples.length, {
            ...samples[which % samples.length]!,
            value: 9,
          });
          const run = (all: Sample[]) => simulate(watched, { m1: all }, { from: 0, to: 5 * MINUTE, ...how });
          const after = run(worse);
          run(samples).forEach(({ state: before }, index) => {
            if (before === 'ALARM') expect(after[index]?.state).toBe('ALARM');
          });
        },
      ),
    );
  });

  it('with N real points it is ALARM exactly when M of the newest N breach', () => {
    fc.assert(
      fc.property(
        alarm,
        fc.array(point, { maxLength: 4 }),
        fc.infiniteStream(value),
        state,
        reading,
        (anyAlarm, older, stream, previous, how) => {
          const newest = [...stream.take(anyAlarm.evaluationPeriods)];
          const bad = newest.filter((one) => breaches(one, anyAlarm)).length;
          expect(judge([...newest, ...older], anyAlarm, previous, how)).toBe(
            bad >= anyAlarm.datapointsToAlarm ? 'ALARM' : 'OK',
          );
        },
      ),
    );
  });

  it('with N real points in the range missing ones do not matter, whatever they are treated as', () => {
    fc.assert(
      fc.property(alarm, points, state, state, reading, (anyAlarm, values, one, other, how) => {
        const real = values.filter((candidate) => candidate !== null);
        fc.pre(real.length >= anyAlarm.evaluationPeriods);
        const expected = judge(real, anyAlarm, one, how);
        for (const missingData of MISSING_DATA) {
          expect(judge(values, { ...anyAlarm, missingData }, other, how)).toBe(expected);
        }
      }),
    );
  });

  it('where missing is not breaching it is never ALARM with fewer than M breaching points', () => {
    fc.assert(
      fc.property(alarm, points, options, (anyAlarm, values, how) => {
        const quiet: Evaluated = { ...anyAlarm, missingData: 'notBreaching' };
        const range = quiet.evaluationPeriods + how.extraRange;
        statesOf(quiet, values, how).forEach((found, index) => {
          const seen = values.slice(Math.max(0, index + 1 - range), index + 1);
          const bad = seen.filter((one) => one !== null && breaches(one, quiet)).length;
          if (bad < quiet.datapointsToAlarm) expect(found).toBe('OK');
        });
      }),
    );
  });

  /*
   * The first time the states may hang on the initial one. After that they cannot: each evaluation either keeps the
   * state or sets it, whatever it was, so that one round of them has the same effect as two.
   */
  it('repeating a series repeats the states', () => {
    fc.assert(
      fc.property(alarm, points, options, (anyAlarm, values, how) => {
        fc.pre(values.length >= anyAlarm.evaluationPeriods + how.extraRange);
        const states = statesOf(anyAlarm, [...values, ...values, ...values], how);
        const round = (index: number) => states.slice(index * values.length, (index + 1) * values.length);
        expect(round(2)).toEqual(round(1));
      }),
    );
  });

  it('whole minutes later it is the same, whole minutes later', () => {
    fc.assert(
      fc.property(
        alarm,
        fc.constantFrom(60, 120, 300),
        points,
        options,
        fc.integer({ min: -9, max: 99_999_999 }),
        (anyAlarm, periodS, values, how, shift) => {
          const watched = { ...anyAlarm, periodS };
          const run = (from: number) =>
            simulate(watched, seriesOf(values, watched, from), {
              from,
              to: from + values.length * MINUTE,
              ...how,
            });
          const later = run(shift * MINUTE).map(({ at, state: found, slots }) => ({
            at: at - shift * MINUTE,
            state: found,
            slots: slots.map((slot) => ({
              ...slot,
              from: slot.from - shift * MINUTE,
              to: slot.to - shift * MINUTE,
            })),
          }));
          expect(later).toEqual(run(0));
        },
      ),
    );
  });

  it('with M = N = 1 and no gaps it is the comparison itself', () => {
    fc.assert(
      fc.property(alarm, fc.array(value, { minLength: 1 }), options, (anyAlarm, values, how) => {
        const single = { ...anyAlarm, evaluationPeriods: 1, datapointsToAlarm: 1 };
        expect(statesOf(single, values, how)).toEqual(
          values.map((one) => (breaches(one, single) ? 'ALARM' : 'OK')),
        );
      }),
    );
  });

  it('the order of samples does not matter', () => {
    const sample = fc.record({
      at: fc.nat(3).map((minute) => minute * MINUTE),
      value: fc.nat(40).map((tenths) => tenths / 10),
    });
    fc.assert(
      fc.property(
        alarm,
        fc
          .array(sample, { minLength: 1 })
          .chain((samples) =>
            fc.tuple(
              fc.constant(samples),
              fc.shuffledSubarray(samples, { minLength: samples.length, maxLength: samples.length }),
            ),
          ),
        options,
        (anyAlarm, [samples, shuffled], how) => {
          const run = (m1: Sample[]) => simulate(anyAlarm, { m1 }, { from: 0, to: 5 * MINUTE, ...how });
          expect(run(shuffled)).toEqual(run(samples));
        },
      ),
    );
  });

  it('a forecast is certain exactly where every simulation agrees', () => {
    const young: Reading['young'][] = ['stay', 'OK', 'INSUFFICIENT_DATA'];
    const old: Reading['old'][] = ['range', 'periods'];
    fc.assert(
      fc.property(alarm, points, state, (anyAlarm, values, initial) => {
        const when = { from: 0, to: values.length * MINUTE, initial };
        const series = seriesOf(values, anyAlarm, 0);
        const all = [0, 1, 2, 3].flatMap((extraRange) =>
          young.flatMap((one) =>
            old.map((other) =>
              statesOf(anyAlarm, values, {
                initial,
                extraRange,
                reading: { young: one, old: other, few: 'any' },
              }),
            ),
          ),
        );
        const { evaluations, undocumented, courses } = forecast(anyAlarm, series, when);
        expect(evaluations.map(({ state: found }) => found)).toEqual(
          values.map((_, index) => {
            const states = new Set(all.map((states) => states[index]!));
            return states.size === 1 ? [...states][0] : null;
          }),
        );
        expect(new Set(courses.map(String))).toEqual(new Set(all.map(String)));
        expect(undocumented === null).toBe(courses.length === 1);
        expect(undocumented ?? 'depends on undocumented behaviour: nothing').toMatch(/behaviour: \w/);
      }),
    );
  });

  it('what people write is what it is', () => {
    const double = fc.double({ noNaN: true, noDefaultInfinity: true }).map((one) => one + 0);
    fc.assert(
      fc.property(fc.array(fc.option(double), { minLength: 1 }), (values) => {
        expect(parseSeries(values.map((one) => one ?? '_').join(' '))).toEqual(values);
      }),
    );
  });
});
