import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CloudWatchClient, DescribeAlarmsCommand } from '@aws-sdk/client-cloudwatch';
import { mockClient } from 'aws-sdk-client-mock';
import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { alarmCommand } from '../../bin/commands/alarm.ts';
import { changesOf, explain, renderPicture, spanText } from '../../bin/shared/alarm-picture.ts';
import { EXIT } from '../../bin/shared/cli.ts';
import type { AlarmState, Evaluated } from '../../functions/alarm-drill/alarm.ts';
import { parseSeries, seriesOf, simulate } from '../../functions/alarm-drill/simulate.ts';
import { GateInputError } from '../../functions/shared/errors.ts';
import { type Capture, capture, examplesOf } from './support.ts';

let directory = '';
let io: Capture;
const cloudwatch = mockClient(CloudWatchClient);

/** An alarm as the AWS CLI prints it. */
const DRIFT = {
  AlarmName: 'flight-drift',
  AlarmArn: 'arn:aws:cloudwatch:eu-west-1:111122223333:alarm:flight-drift',
  AlarmConfigurationUpdatedTimestamp: '2026-01-02T03:04:05.678000+00:00',
  StateValue: 'OK',
  StateUpdatedTimestamp: '2026-01-02T03:04:05.678000+00:00',
  MetricName: 'Drift',
  Namespace: 'Flights',
  Statistic: 'Maximum',
  Dimensions: [{ Name: 'Model', Value: 'flight-delay' }],
  Period: 300,
  EvaluationPeriods: 3,
  DatapointsToAlarm: 3,
  Threshold: 0.2,
  ComparisonOperator: 'GreaterThanOrEqualToThreshold',
  TreatMissingData: 'notBreaching',
};
const metric = (MetricName: string) => ({
  Metric: { Namespace: 'Flights', MetricName, Dimensions: [] },
  Period: 60,
  Stat: 'Sum',
});
const { MetricName: _, Namespace: __, Statistic: ___, Dimensions: ____, Period: _____, ...REST } = DRIFT;
const RATE = {
  ...REST,
  AlarmName: 'error-rate',
  EvaluationPeriods: 2,
  DatapointsToAlarm: 2,
  Threshold: 10,
  Metrics: [
    { Id: 'rate', Expression: '100 * errors / requests', ReturnData: true },
    { Id: 'errors', MetricStat: metric('Errors'), ReturnData: false },
    { Id: 'requests', MetricStat: metric('Requests'), ReturnData: false },
  ],
};
const BOTH = {
  AlarmName: 'both',
  AlarmRule: 'ALARM("flight-drift") AND NOT OK(error-rate)',
  StateValue: 'OK',
};

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tocsin-explain-'));
  const files = {
    'alarm.json': { MetricAlarms: [DRIFT], CompositeAlarms: [] },
    'one.json': DRIFT,
    'several.json': { MetricAlarms: [DRIFT, RATE], CompositeAlarms: [BOTH] },
    'composite.json': BOTH,
    'none.json': { MetricAlarms: [] },
    'wrong.json': { MetricAlarms: [{ ...DRIFT, Threshold: '0.2' }] },
    'other.json': { Alarms: 1 },
  };
  for (const [name, content] of Object.entries(files)) {
    await writeFile(join(directory, name), JSON.stringify(content));
  }
  await writeFile(join(directory, 'text.json'), 'no JSON');
});
afterAll(() => rm(directory, { recursive: true, force: true }));
beforeEach(() => {
  vi.stubEnv('AWS_REGION', 'eu-west-1');
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'test');
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'test');
  io = capture();
  cloudwatch.reset();
  cloudwatch.on(DescribeAlarmsCommand).callsFake(({ AlarmNames }: { AlarmNames?: string[] }) => {
    const named = ({ AlarmName }: { AlarmName: string }) => AlarmNames?.includes(AlarmName) ?? true;
    const dated = ({
      AlarmConfigurationUpdatedTimestamp: at,
      StateUpdatedTimestamp: since,
      ...rest
    }: typeof REST) => ({
      ...rest,
      AlarmConfigurationUpdatedTimestamp: new Date(at),
      StateUpdatedTimestamp: new Date(since),
    });
    return {
      MetricAlarms: [DRIFT, RATE].filter(named).map(dated),
      CompositeAlarms: [BOTH].filter(named),
    };
  });
  return () => {
    vi.unstubAllEnvs();
    process.exitCode = undefined;
  };
});

/** Runs `tocsin alarm explain`, with files from the directory of this test. */
async function explained(...args: string[]): Promise<{ code: unknown; out: string; err: string }> {
  io = capture();
  const paths = args.map((arg) => (arg.endsWith('.json') ? join(directory, arg) : arg));
  await alarmCommand(io).parseAsync(['explain', ...paths], { from: 'user' });
  const said = (text: string) => text.replaceAll(`${directory}/`, '');
  return { code: process.exitCode, out: said(io.out()), err: said(io.err()) };
}

/** The words of a command line without variables: quotes group. */
function words(line: string): string[] {
  return [...line.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, bare]) => quoted ?? bare ?? '');
}

const alarm: Evaluated = {
  queries: [{ id: 'm1', metric: { namespace: 'A', name: 'B', dimensions: {} }, statistic: 'Average' }],
  returns: 'm1',
  periodS: 60,
  evaluationPeriods: 3,
  datapointsToAlarm: 2,
  comparison: 'GreaterThanOrEqualToThreshold',
  threshold: 0.2,
  missingData: 'missing',
};

/** The picture, between bars so that snapshots keep its blanks. */
function picture(
  series: string,
  changes: Partial<Evaluated> = {},
  { columns = 80, initial = 'OK' as AlarmState, name = undefined as string | undefined } = {},
): string {
  const explanation = explain({ ...alarm, ...changes }, parseSeries(series), initial);
  return `\n${renderPicture(io.stdout, explanation, { columns, ...(name !== undefined && { name }) })}`;
}

describe('the picture', () => {
  test('the alarm of the issue', () => {
    expect(picture('0.1 0.1 _ 0.3x5')).toMatchInlineSnapshot(`
      "
      2 of 3 data points of 60 s >= 0.2; missing data: missing; before: OK

         0.3    ●●●●●
      >= 0.2 ╌╌╌╌╌╌╌╌
         0.1 ○○
      points .._!!!!!
       state OOOOAAAA
             1

      ! breaches  . does not  _ missing   A ALARM  O OK

      ALARM  at data point 5, 2 min after the first one >= 0.2: 2 of the 3 newest breach, 1 is missing
      "
    `);
  });

  test('an alarm that fires downwards, on its threshold, and recovers', () => {
    expect(
      picture('12x4 10 9.5x3 12x3', {
        comparison: 'LessThanThreshold',
        threshold: 10,
        datapointsToAlarm: 3,
        periodS: 3600,
      }),
    ).toMatchInlineSnapshot(`
      "
      3 of 3 data points of 3600 s < 10; missing data: missing; before: OK

          12 ○○○○    ○○○
        < 10 ╌╌╌╌○╌╌╌╌╌╌
         9.5      ●●●
      points .....!!!...
       state OOOOOOOAOOO
             1         11

      ! breaches  . does not   A ALARM  O OK

      ALARM  at data point 8, 3 h after the first one < 10: 3 of the 3 newest breach
      OK     at data point 9, 1 h after the last one < 10: 2 of the 3 newest breach
      "
    `);
  });

  test('many values share rows, and what equals the threshold is on its row', () => {
    expect(
      picture('-5 -4 -3 -2 -1 0 0.05 0.2 0.2000001 1 2 3 4 100', { comparison: 'GreaterThanThreshold' }),
    ).toMatchInlineSnapshot(`
      "
      2 of 3 data points of 60 s > 0.2; missing data: missing; before: OK

         100              ●


                     ●●●●●
       > 0.2 ╌╌╌╌╌╌╌○╌╌╌╌╌╌
                 ○○○
                ○
               ○
          -5 ○○
      points ........!!!!!!
       state OOOOOOOOOAAAAA
             1         11

      ! breaches  . does not   A ALARM  O OK

      ALARM  at data point 10, 2 min after the first one > 0.2: 2 of the 3 newest breach
      "
    `);
  });

  test('blocks as wide as the terminal', () => {
    expect(picture('0.1x12 0.3x12', {}, { columns: 20, name: 'drift\u001b[2J' })).toMatchInlineSnapshot(`
      "
      drift\\u001b[2J: 2 of 3 data points of 60 s >= 0.2; missing data: missing; before: OK

         0.3
      >= 0.2 ╌╌╌╌╌╌╌╌╌╌
         0.1 ○○○○○○○○○○
      points ..........
       state OOOOOOOOOO
             1

         0.3   ●●●●●●●●
      >= 0.2 ╌╌╌╌╌╌╌╌╌╌
         0.1 ○○
      points ..!!!!!!!!
       state OOOAAAAAAA
             11

         0.3 ●●●●
      >= 0.2 ╌╌╌╌
         0.1
      points !!!!
       state AAAA
             21

      ! breaches  . does not   A ALARM  O OK

      ALARM  at data point 14, 2 min after the first one >= 0.2: 2 of the 3 newest breach
      "
    `);
  });

  test('several data points a column, the worst of them', () => {
    expect(
      picture('0.1x50 _x5 0.3 _x100 0.1x50 0.3x10 0.1x300', { evaluationPeriods: 5 }, { columns: 40 }),
    ).toMatchInlineSnapshot(`
      "
      2 of 5 data points of 60 s >= 0.2; missing data: missing; before: OK

         0.3            ●
      >= 0.2 ╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌
         0.1 ○○○○○○○○○○
      points .........._!__________________
       state OOOOOOOOOO?A?IIIIIIIIIIIIIIIII
             1         51        101

         0.3            ●●●
      >= 0.2 ╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌
         0.1  ○○○○○○○○○○   ○○○○○○○○○○○○○○○○
      points _..........!!!................
       state IIOOOOOOOOOAAAOOOOOOOOOOOOOOOO
             151       201       251

         0.3
      >= 0.2 ╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌
         0.1 ○○○○○○○○○○○○○○○○○○○○○○○○○○○○○○
      points ..............................
       state OOOOOOOOOOOOOOOOOOOOOOOOOOOOOO
             301       351       401

         0.3
      >= 0.2 ╌╌╌╌╌╌╌╌╌╌╌╌╌╌
         0.1 ○○○○○○○○○○○○○○
      points ..............
       state OOOOOOOOOOOOOO
             451       501

      ! breaches  . does not  _ missing   A ALARM  ? not documented  I INSUFFICIENT_DATA  O OK
      Each column is 5 data points, and shows the worst of them.

      OK or INSUFFICIENT_DATA           at data point 55: 0 of the 5 newest breach, 5 are missing
      OK or ALARM                       at data point 57: 1 of the 5 newest breaches, 4 are missing
      ALARM                             at data point 58, 3 min after the first one >= 0.2: 1 of the 5 newest breaches, 4 are missing; nothing but breaching ones for 3 periods
      OK or ALARM or INSUFFICIENT_DATA  at data point 61, 5 min after the last one >= 0.2: 0 of the 5 newest breach, 5 are missing
      INSUFFICIENT_DATA                 at data point 64: 0 of the 5 newest breach, 5 are missing
      OK                                at data point 157: 0 of the 5 newest breach, 4 are missing
      ALARM                             at data point 208, 2 min after the first one >= 0.2: 2 of the 5 newest breach
      OK                                at data point 220, 4 min after the last one >= 0.2: 1 of the 5 newest breaches
      ? depends on undocumented behaviour: how many data points CloudWatch reads beyond the evaluation periods; what an alarm does while it has a few data points that all breach; how far back a breaching data point counts that is followed by missing ones
      "
    `);
  });

  test('what depends on undocumented behaviour', () => {
    expect(picture('0.1x3 _x6 0.1', { missingData: 'breaching' })).toMatchInlineSnapshot(`
      "
      2 of 3 data points of 60 s >= 0.2; missing data: breaching; before: OK

      >= 0.2 ╌╌╌╌╌╌╌╌╌╌
         0.1 ○○○      ○
      points ...______.
       state AOOO???AAA
             1

      . does not  _ missing   A ALARM  ? not documented  O OK

      ALARM        at data point 1: 0 of the 3 newest breach, 2 are missing and count as breaching
      OK           at data point 2: 0 of the 3 newest breach, 1 is missing and counts as breaching
      OK or ALARM  at data point 5: 0 of the 3 newest breach, 2 are missing and count as breaching
      ALARM        at data point 8: 0 of the 3 newest breach, 3 are missing and count as breaching
      ? depends on undocumented behaviour: how many data points CloudWatch reads beyond the evaluation periods
      Before the series there is no data: begin it with usual values to ask of an alarm that has some.
      "
    `);
  });

  test('never, and nothing at all', () => {
    expect(picture('0.1 0.3 0.1x3 0.3', {})).toContain(
      '\nThe state stays OK.\nNever ALARM: at most 1 of 3 data points is >= 0.2, and it takes 2.\n',
    );
    expect(picture('0.1', { evaluationPeriods: 1, datapointsToAlarm: 1 })).toContain(
      '\nThe state stays OK.\nNever ALARM: no data point is >= 0.2.\n',
    );
    expect(picture('_x3', {}, { initial: 'INSUFFICIENT_DATA' })).toMatchInlineSnapshot(`
      "
      2 of 3 data points of 60 s >= 0.2; missing data: missing; before: INSUFFICIENT_DATA

      >= 0.2 ╌╌╌
      points ___
       state III
             1

      _ missing   I INSUFFICIENT_DATA

      The state stays INSUFFICIENT_DATA.
      Never ALARM: no data point is >= 0.2.
      Before the series there is no data: begin it with usual values to ask of an alarm that has some.
      "
    `);
  });

  test.each<[Partial<Evaluated>, string, string]>([
    [
      { missingData: 'breaching' },
      '0.1x3 _x9',
      '0 of the 3 newest breach, 3 are missing and count as breaching',
    ],
    [
      { missingData: 'notBreaching' },
      '0.3x3 _x9',
      '1 of the 3 newest breaches, 2 are missing and count as fine',
    ],
    [
      { evaluationPeriods: 1, datapointsToAlarm: 1 },
      '0.1 0.3',
      'data point 2, 1 min after the first one >= 0.2: it breaches',
    ],
    [
      { evaluationPeriods: 1, datapointsToAlarm: 1 },
      '0.3 0.1',
      'data point 2, 1 min after the last one >= 0.2: it does not breach',
    ],
    [
      { evaluationPeriods: 1, datapointsToAlarm: 1, missingData: 'breaching' },
      '0.1 _x9',
      'it is missing, which counts as breaching',
    ],
    [{ evaluationPeriods: 1, datapointsToAlarm: 1 }, '0.1 _x9', 'it is missing\n'],
  ])('why: %o on %s', (changes, series, why) => {
    expect(picture(series, changes)).toContain(why);
  });

  test('says that there is no data before the series, where that plays a part', () => {
    const past = 'Before the series there is no data';
    expect(picture('0.1 0.3x3')).not.toContain(past);
    expect(picture('0.1x3', { missingData: 'breaching', evaluationPeriods: 5 })).toContain(past);
  });

  test('lists no more changes than anybody reads', () => {
    const text = picture('0.1 0.3 '.repeat(30), { evaluationPeriods: 1, datapointsToAlarm: 1 });
    expect(text).toContain('\nand 39 more changes: see --json\n');
    expect(text.match(/ at data point /g)).toHaveLength(20);
  });

  test.each([
    [1e300, -1e300, ['1e300', '-1e300']],
    [1e308, -1e308, ['1e308', '-1e308']],
    [0.20000001, 0.19999999, ['0.20000001', '0.19999999']],
    [1234567, 0.00001, ['1.235e6', '1e-5']],
    [443268, 21, ['443268', '21']],
  ])('labels %d and %d', (high, low, labels) => {
    const text = picture(`${high} ${low}`);
    for (const label of labels) expect(text).toMatch(new RegExp(`^ *${label} [○●]|^ *${label}  [○●]`, 'm'));
  });

  test('colours runs on a terminal', () => {
    vi.stubEnv('NO_COLOR', undefined);
    vi.stubEnv('FORCE_COLOR', undefined);
    Object.assign(io.stdout, { isTTY: true });
    const text = picture('0.1 _ 0.3x3');
    expect(text).toContain(
      '\u001b[32m.\u001b[39m\u001b[2m_\u001b[22m\u001b[1m\u001b[31m!!!\u001b[39m\u001b[22m',
    );
    expect(text).toContain('\u001b[32mOOO\u001b[39m\u001b[1m\u001b[31mAA\u001b[39m\u001b[22m');
    expect(text).toContain('\u001b[36m╌╌╌╌╌\u001b[39m');
  });

  test('never is wider than the terminal, but for its sentences', () => {
    const point = fc.oneof(
      fc.constant(null),
      fc.double({ noNaN: true, noDefaultInfinity: true }),
      fc.integer(),
    );
    fc.assert(
      fc.property(
        fc.array(point, { minLength: 1, maxLength: 300 }),
        fc.integer({ min: 60, max: 120 }),
        fc.integer(),
        (values, columns, threshold) => {
          const explanation = explain({ ...alarm, threshold }, values, 'OK');
          const [, , ...lines] = renderPicture(io.stdout, explanation, { columns }).split('\n');
          const rows = lines.slice(
            0,
            lines.findIndex((line) => /[!._] (breaches|does|missing)/.test(line)),
          );
          const dots = values.filter((value) => value !== null).length;
          for (const row of rows) expect([...row].length).toBeLessThanOrEqual(columns);
          if (values.length <= columns) expect(rows.join('').match(/[○●]/g) ?? []).toHaveLength(dots);
        },
      ),
      { seed: 20260102, numRuns: 60 },
    );
  });
});

describe('explaining', () => {
  test('is what the simulator says at the end of each period, however long it is', () => {
    const values = parseSeries('0.1 0.3x2 _ 0.3 0.1x3 0.3x4');
    for (const periodS of [10, 30, 60, 300, 3600]) {
      const evaluated = { ...alarm, periodS };
      const { points } = explain(evaluated, values, 'OK');
      const to = values.length * periodS * 1000;
      const possible = points.map(() => new Set<AlarmState>());
      for (const extraRange of [0, 1, 2, 3]) {
        const series = seriesOf(values, evaluated, 0);
        simulate(evaluated, series, { from: 0, to, initial: 'OK', extraRange })
          .filter(({ at }) => at % (periodS * 1000) === 0)
          .forEach(({ state }, index) => {
            possible[index]?.add(state);
          });
      }
      expect(points.map(({ states }) => new Set(states))).toEqual(possible);
      expect(points.some(({ states }) => states.length > 1)).toBe(true);
      expect(points.map(({ value }) => value)).toEqual(values);
    }
  });

  test('takes data points as they are, whatever statistic makes them', () => {
    const counted: Evaluated = {
      ...alarm,
      queries: [{ ...alarm.queries[0]!, statistic: 'p99.9', unit: 'Percent' } as Evaluated['queries'][0]],
      lowSamples: 'ignore',
    };
    const values = parseSeries('0.1 -3 0.3x3');
    expect(explain(counted, values, 'OK').points).toEqual(explain(alarm, values, 'OK').points);
    expect(explain(counted, { m1: values }, 'OK').points).toEqual(explain(alarm, values, 'OK').points);
  });

  test('times are of the window that matters', () => {
    const changes = changesOf(explain(alarm, parseSeries('0.1 0.3 0.1x4 0.3 0.1 0.3 0.1x3 0.3x2'), 'OK'));
    expect(changes).toMatchObject([
      { point: 9, to: ['ALARM'], afterFirstMs: 180_000 },
      { point: 10, from: ['ALARM'], to: ['OK'], afterLastMs: 60_000 },
      { point: 14, to: ['ALARM'], afterFirstMs: 120_000 },
    ]);
  });

  test('refuses what would take for ever', () => {
    const long = { ...alarm, evaluationPeriods: 1440 };
    expect(() => explain(long, parseSeries('0.1x10000'), 'OK')).toThrow(
      new GateInputError('10,000 data points are too many for an alarm that reads 1,440 of them at a time', {
        help: 'Give at most 2,772.',
      }),
    );
  });

  test.each([
    [0, '0 s'],
    [50_000, '50 s'],
    [7_260_000, '2 h 1 min'],
    [604_800_000, '7 d'],
  ])('%d ms is %s', (ms, text) => {
    expect(spanText(ms)).toBe(text);
  });
});

describe('tocsin alarm explain', () => {
  test('reads the alarm from CloudWatch, and options override it', async () => {
    const { code, out } = await explained('flight-drift', '--series', '0.1x3 0.3x3');
    expect(code).toBe(EXIT.pass);
    expect(out).toMatch(
      /^flight-drift: 3 of 3 data points of 300 s >= 0\.2; missing data: notBreaching; before: /,
    );
    expect(out).toContain(
      'ALARM  at data point 6, 15 min after the first one >= 0.2: 3 of the 3 newest breach',
    );
    const what = await explained('flight-drift', '--series', '0.1x3 0.3x3', '--m', '2', '--state', 'OK');
    expect(what.out).toMatch(/^flight-drift: 2 of 3 /);
    expect(what.out).toContain('ALARM  at data point 5, 10 min');
    // All of three stays all of two.
    const fewer = await explained(
      'flight-drift',
      '--series',
      '1',
      '--n',
      '2',
      '--period',
      '1h',
      '--fires',
      '< 5',
    );
    expect(fewer.out).toMatch(/^flight-drift: 2 of 2 data points of 3600 s < 5;/);
    expect(cloudwatch.commandCalls(DescribeAlarmsCommand)[0]?.args[0].input).toMatchObject({
      AlarmNames: ['flight-drift'],
    });
  });

  test.each([
    ['alarm.json', []],
    ['one.json', []],
    ['several.json', ['flight-drift']],
  ])('reads the alarm from %s', async (file, name) => {
    const { code, out } = await explained(...name, '--from', file, '--series', '0.3x3');
    expect(code).toBe(EXIT.pass);
    expect(out).toMatch(/^flight-drift: 3 of 3 data points of 300 s >= 0\.2; missing data: notBreaching/);
    expect(cloudwatch.commandCalls(DescribeAlarmsCommand)).toEqual([]);
  });

  test('computes metric math from a series for each metric', async () => {
    const { out } = await explained(
      ...['error-rate', '--series', 'errors=0x2 30x3', '--series', 'requests = 100x2 200x3'],
    );
    expect(out).toContain('    15   ●●●\n');
    expect(out).toContain('points ..!!!\n');
    const partly = await explained('error-rate', '--series', 'errors=0x2 30x3');
    expect(partly.out).toContain('points _____\n');
    expect(partly.out).toContain('Without a series, and so without data: requests.\n');
    const values = await explained('error-rate', '--series', '5 15x2');
    expect(values.out).toContain('points .!!\n');
    expect(values.out).toContain(
      "The series is what the expression gives; name metrics to compute it: --series 'errors=...'.\n",
    );
  });

  test('--json gives the evaluations', async () => {
    const { out } = await explained(
      '--fires',
      '< 1',
      '--n',
      '2',
      '--missing',
      'breaching',
      '--series',
      '2x2 _x4',
      '--json',
    );
    expect(JSON.parse(out)).toEqual({
      condition: '2 of 2 data points of 60 s < 1',
      alarm: {
        periodS: 60,
        evaluationPeriods: 2,
        datapointsToAlarm: 2,
        comparison: 'LessThanThreshold',
        threshold: 1,
        missingData: 'breaching',
      },
      initial: 'INSUFFICIENT_DATA',
      undocumented:
        'depends on undocumented behaviour: how many data points CloudWatch reads beyond the evaluation periods',
      evaluations: [
        { point: 1, atS: 60, value: 2, breaching: false, state: 'OK', possible: ['OK'] },
        { point: 2, atS: 120, value: 2, breaching: false, state: 'OK', possible: ['OK'] },
        { point: 3, atS: 180, value: null, breaching: null, state: 'OK', possible: ['OK'] },
        { point: 4, atS: 240, value: null, breaching: null, state: null, possible: ['OK', 'ALARM'] },
        { point: 5, atS: 300, value: null, breaching: null, state: null, possible: ['OK', 'ALARM'] },
        { point: 6, atS: 360, value: null, breaching: null, state: null, possible: ['OK', 'ALARM'] },
      ],
      changes: [
        {
          point: 1,
          from: 'INSUFFICIENT_DATA',
          to: 'OK',
          possible: ['OK'],
          why: '0 of the 2 newest breach, 1 is missing and counts as breaching',
        },
        {
          point: 4,
          from: 'OK',
          to: null,
          possible: ['OK', 'ALARM'],
          why: '0 of the 2 newest breach, 2 are missing and count as breaching',
        },
      ],
    });
  });

  test.each<[string, string[], RegExp]>([
    [
      'a series with a mistake',
      ['--fires', '> 1', '--series', '1 2 x 3'],
      /"x", entry 3 of the series \(character 5\)/,
    ],
    [
      'a named one with a mistake',
      ['--fires', '> 1', '--series', 'm1=1 y'],
      /"y", entry 2 of the series \(character 6\)/,
    ],
    ['an empty series', ['--fires', '> 1', '--series', ''], /the series has no data points/],
    ['a metric that is none', ['--fires', '> 1', '--series', 'm7=1'], /no metric with the id "m7"/],
    ['two series of one', ['--fires', '> 1', '--series', 'm1=1', '--series', 'm1=2'], /two series of m1/],
    [
      'two series of none',
      ['--fires', '> 1', '--series', '1', '--series', '2'],
      /"1" does not say of which metric/,
    ],
    ['no condition', ['--series', '1'], /expected the name of an alarm, --from or --fires/],
    ['no operator', ['--series', '1', '--fires', '0.2'], /--fires: .*such as '>= 0\.2', got "0\.2"/],
    ['M above N', ['--series', '1', '--fires', '> 1', '--m', '3', '--n', '2'], /M, 3, is more than N, 2/],
    ['M above N of the alarm', ['flight-drift', '--series', '1', '--m', '4'], /M, 4, is more than N, 3/],
    [
      'more than a day',
      ['--series', '1', '--fires', '> 1', '--n', '300', '--period', '5m'],
      /at most 1 d\n {2}Give --n 288/,
    ],
    ['more than a week', ['--series', '1', '--fires', '> 1', '--n', '8', '--period', '1d'], /at most 7 d/],
    [
      'no such alarm',
      ['flight-drif', '--series', '1'],
      /no alarm "flight-drif" in eu-west-1, did you mean "flight-drift"\?/,
    ],
    [
      'a composite alarm',
      ['both', '--series', '1'],
      /both is a composite one: its state comes from flight-drift, error-rate\n {2}Explain one of them: tocsin alarm explain flight-drift /,
    ],
    ['one in a file', ['--from', 'composite.json', '--series', '1'], /both is a composite one/],
    [
      'several in a file',
      ['--from', 'several.json', '--series', '1'],
      /has 3 alarms: flight-drift, error-rate, both/,
    ],
    [
      'another in the file',
      ['flight-drif', '--from', 'alarm.json', '--series', '1'],
      /has no alarm "flight-drif", did you mean "flight-drift"\?; it has flight-drift/,
    ],
    ['none in the file', ['--from', 'none.json', '--series', '1'], /none\.json has no alarm/],
    [
      'a file with a mistake',
      ['--from', 'wrong.json', '--series', '1'],
      /MetricAlarms\.0\.Threshold: expected number, got "0\.2"/,
    ],
    ['a file of something else', ['--from', 'other.json', '--series', '1'], /AlarmName: .*it is missing/],
    ['a file that is no JSON', ['--from', 'text.json', '--series', '1'], /is not JSON/],
    ['no such file', ['--from', 'nowhere.json', '--series', '1'], /no such file/],
  ])('2: %s', async (_, args, message) => {
    const { code, out, err } = await explained(...args);
    expect({ code, out }).toEqual({ code: EXIT.caller, out: '' });
    expect(err).toMatch(message);
  });

  test('2: an alarm that has no static threshold', async () => {
    cloudwatch
      .on(DescribeAlarmsCommand)
      .resolves({ MetricAlarms: [{ AlarmName: 'band', ComparisonOperator: 'GreaterThanUpperThreshold' }] });
    const { code, err } = await explained('band', '--series', '1');
    expect(code).toBe(EXIT.caller);
    expect(err).toContain('alarm band cannot be explained: its comparison is GreaterThanUpperThreshold');
  });

  test('3: CloudWatch does not answer', async () => {
    cloudwatch.on(DescribeAlarmsCommand).rejects(new Error('timeout'));
    expect((await explained('flight-drift', '--series', '1')).code).toBe(EXIT.broken);
  });
});

describe('examples', () => {
  test('those of --help run', async () => {
    const lines = examplesOf(alarmCommand(io).commands[0]);
    expect(lines.length).toBeGreaterThan(3);
    for (const line of lines) {
      const [tocsin, alarms, verb, ...args] = words(line);
      expect([tocsin, alarms, verb]).toEqual(['tocsin', 'alarm', 'explain']);
      const { code, out, err } = await explained(...args);
      expect({ line, code, err }).toEqual({ line, code: EXIT.pass, err: '' });
      expect(out).toMatch(/ALARM/);
    }
  });

  test('those of docs/cli.md print what stands there', async () => {
    const docs = await readFile(new URL('../../docs/cli.md', import.meta.url), 'utf8');
    const shown = [...docs.matchAll(/^```\n\$ tocsin alarm explain (.+)\n([^`]+)```$/gm)];
    expect(shown.length).toBeGreaterThan(1);
    for (const [, args = '', expected] of shown) {
      expect((await explained(...words(args))).out).toBe(expected);
    }
  });
});

test('by its options alone, it loads no AWS client', async () => {
  const trace = fileURLToPath(new URL('./trace-modules.ts', import.meta.url));
  const cli = fileURLToPath(new URL('../../bin/tocsin.ts', import.meta.url));
  const args = ['alarm', 'explain', '--fires', '> 1', '--series', '-2 2'];
  const child = spawn(process.execPath, ['--import', trace, cli, ...args], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let loaded = '';
  child.stderr?.on('data', (chunk) => {
    loaded += chunk;
  });
  const [code] = await once(child, 'close');
  expect(code).toBe(0);
  expect(loaded).toContain('alarm-picture');
  expect(loaded).not.toMatch(/@aws-sdk|@smithy|aws-cdk-lib|duckdb/);
});
