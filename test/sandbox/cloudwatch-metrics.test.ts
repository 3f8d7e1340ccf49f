import {
  type Dimension,
  GetMetricDataCommand,
  type GetMetricDataCommandInput,
  InvalidParameterCombinationException,
  InvalidParameterValueException,
  ListMetricsCommand,
  type MetricDatum,
  MissingRequiredParameterException,
  PutMetricDataCommand,
  type PutMetricDataCommandInput,
  paginateGetMetricData,
  paginateListMetrics,
} from '@aws-sdk/client-cloudwatch';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LocalCloudWatch } from '../support/cloudwatch.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

let local: LocalCloudWatch;

beforeEach(async () => {
  local = await LocalCloudWatch.start();
});

afterEach(() => local.close());

async function put(...MetricData: Partial<MetricDatum>[]): Promise<void> {
  const named = MetricData.map((datum) => ({ MetricName: 'drift', ...datum }));
  await local.client.send(new PutMetricDataCommand({ Namespace: 'Tests', MetricData: named }));
}

/** What GetMetricData answers of one statistic, from a moment on. */
async function get(
  Stat: string,
  {
    from = local.time,
    period = 60,
    to = from + HOUR_MS,
    unit,
    ...input
  }: {
    from?: number;
    to?: number;
    period?: number;
    unit?: 'Count' | 'Percent';
  } & Partial<GetMetricDataCommandInput> = {},
) {
  const { MetricDataResults = [] } = await local.client.send(
    new GetMetricDataCommand({
      MetricDataQueries: [
        {
          Id: 'm1',
          MetricStat: {
            Metric: { Namespace: 'Tests', MetricName: 'drift' },
            Period: period,
            Stat,
            ...(unit !== undefined && { Unit: unit }),
          },
        },
      ],
      StartTime: new Date(from),
      EndTime: new Date(to),
      ...input,
    }),
  );
  const { Timestamps = [], Values = [] } = MetricDataResults[0] ?? {};
  return Timestamps.map((time, index) => [(time.getTime() - from) / 1_000, Values[index]]);
}

describe('statistics', () => {
  it.each([
    ['SampleCount', 4],
    ['Sum', 11],
    ['Average', 2.75],
    ['Minimum', 1],
    ['Maximum', 5],
    ['p0', 1],
    ['p50', 2.5],
    ['p100', 5],
    ['p90', 4.4],
  ])('%s', async (stat, expected) => {
    await put({ Value: 5 }, { Values: [1, 3], Counts: [1, 1] }, { Values: [2] });
    const [[, value] = []] = await get(stat);
    expect(value).toBeCloseTo(expected, 10);
  });

  it('count a value as often as it came', async () => {
    await put({ Values: [1, 10], Counts: [9, 1] });
    const both = await Promise.all(['Sum', 'p50', 'p100'].map((stat) => get(stat)));
    expect(both).toEqual([[[0, 19]], [[0, 1]], [[0, 10]]]);
  });

  it('are taken as they are sent; they have percentiles only where all values are one', async () => {
    await put({ StatisticValues: { SampleCount: 4, Sum: 8, Minimum: 1, Maximum: 3 } });
    expect(await get('Average')).toEqual([[0, 2]]);
    expect(await get('p50')).toEqual([]);
    await local.advance(MINUTE_MS);
    await put({ StatisticValues: { SampleCount: 4, Sum: 8, Minimum: 2, Maximum: 2 } });
    expect(await get('p50')).toEqual([[0, 2]]);
  });

  it('are of one unit, or of all', async () => {
    await put({ Value: 1, Unit: 'Count' }, { Value: 2, Unit: 'Percent' }, { Value: 4 });
    expect(await get('Sum', { unit: 'Count' })).toEqual([[0, 1]]);
    expect(await get('Sum')).toEqual([[0, 7]]);
  });

  it('are of metrics with the same dimensions, in any order', async () => {
    const [a, b]: Dimension[] = [
      { Name: 'a', Value: '1' },
      { Name: 'b', Value: '2' },
    ] as const;
    await put({ Value: 1, Dimensions: [a, b] as Dimension[] }, { Value: 2, Dimensions: [a] as Dimension[] });
    const sums = [[b, a], [a], [b], []].map((Dimensions, index) => ({
      Id: `m${index}`,
      MetricStat: {
        Metric: { Namespace: 'Tests', MetricName: 'drift', Dimensions: Dimensions as Dimension[] },
        Period: 60,
        Stat: 'Sum',
      },
    }));
    const { MetricDataResults } = await local.client.send(
      new GetMetricDataCommand({
        MetricDataQueries: sums,
        StartTime: new Date(local.time),
        EndTime: new Date(local.time + 1),
      }),
    );
    expect(MetricDataResults?.map(({ Values }) => Values)).toEqual([[1], [2], [], []]);
  });
});

describe('GetMetricData', () => {
  it('answers by period, newest first, from the beginning of one', async () => {
    const from = local.time;
    await local.publish({}, [1, 2, undefined, 4, 5]);
    expect(await get('Sum', { from })).toEqual([
      [240, 5],
      [180, 4],
      [60, 2],
      [0, 1],
    ]);
    expect(await get('Sum', { from, period: 120, ScanBy: 'TimestampAscending' })).toEqual([
      [0, 3],
      [120, 4],
      [240, 5],
    ]);
    expect(await get('Sum', { from: from + 90_000, to: from + 180_000 })).toEqual([[-30, 2]]);
  });

  it('has seconds of high resolution only', async () => {
    const from = local.time;
    await local.publish({}, [1, 2], 10_000);
    expect(await get('Sum', { from, period: 10 })).toEqual([
      [10, 2],
      [0, 1],
    ]);
    await put({ Value: 9 });
    expect(await get('Sum', { from, period: 10, to: from + 10_000 })).toEqual([[0, 10]]);
  });

  it('answers in pages', async () => {
    const from = local.time;
    await local.publish({}, [1, 2, 3]);
    await local.publish({ name: 'other' }, [4, 5]);
    const pages = paginateGetMetricData(
      { client: local.client },
      {
        MetricDataQueries: ['drift', 'other'].map((MetricName, index) => ({
          Id: `m${index}`,
          MetricStat: { Metric: { Namespace: 'Tests', MetricName }, Period: 60, Stat: 'Sum' },
        })),
        StartTime: new Date(from),
        EndTime: new Date(local.time),
        MaxDatapoints: 2,
      },
    );
    const seen: unknown[] = [];
    for await (const { MetricDataResults = [] } of pages) {
      seen.push(MetricDataResults.map(({ Label, Values, StatusCode }) => [Label, Values, StatusCode]));
    }
    expect(seen).toEqual([
      [
        ['drift', [3, 2], 'PartialData'],
        ['other', [], 'PartialData'],
      ],
      [
        ['drift', [1], 'Complete'],
        ['other', [5], 'PartialData'],
      ],
      [
        ['drift', [], 'Complete'],
        ['other', [4], 'Complete'],
      ],
    ]);
  });

  it.each<[string, Partial<GetMetricDataCommandInput>, string]>([
    ['an expression', { MetricDataQueries: [{ Id: 'e', Expression: 'm1' }] }, 'does not compute expressions'],
    ['time that runs backwards', { EndTime: new Date(0) }, 'StartTime must be less than'],
    ['a strange token', { NextToken: 'x' }, 'The NextToken is not valid.'],
  ])('refuses %s', async (_, input, message) => {
    await expect(get('Sum', input)).rejects.toThrow(message);
  });
});

describe('ListMetrics', () => {
  const names = async (input = {}) => {
    const { Metrics = [] } = await local.client.send(new ListMetricsCommand(input));
    return Metrics.map(({ MetricName, Dimensions = [] }) =>
      [MetricName, ...Dimensions.map(({ Name, Value }) => `${Name}=${Value}`)].join(' '),
    );
  };

  it('filters', async () => {
    await put({ Value: 1, Dimensions: [{ Name: 'endpoint', Value: 'x' }] });
    await put({ Value: 1, Dimensions: [{ Name: 'endpoint', Value: 'y' }] });
    await put({ Value: 1, MetricName: 'errors' });
    expect(await names()).toEqual(['drift endpoint=x', 'drift endpoint=y', 'errors']);
    expect(await names({ MetricName: 'drift' })).toEqual(['drift endpoint=x', 'drift endpoint=y']);
    expect(await names({ Dimensions: [{ Name: 'endpoint' }] })).toHaveLength(2);
    expect(await names({ Dimensions: [{ Name: 'endpoint', Value: 'y' }] })).toEqual(['drift endpoint=y']);
    expect(await names({ Namespace: 'Tests' })).toHaveLength(3);
    expect(await names({ Namespace: 'tests' })).toEqual([]);
  });

  it('tells what had data lately', async () => {
    await put({ Value: 1 });
    await local.advance(3 * HOUR_MS);
    expect(await names({ RecentlyActive: 'PT3H' })).toEqual(['drift']);
    await local.advance(1);
    expect(await names({ RecentlyActive: 'PT3H' })).toEqual([]);
    expect(await names()).toEqual(['drift']);
  });

  it('forgets what had none for two weeks', async () => {
    await put({ Value: 1 });
    local.time += 14 * 24 * HOUR_MS;
    expect(await names()).toEqual(['drift']);
    local.time += 1;
    expect(await names()).toEqual([]);
  });

  it('names a new metric late', async () => {
    await local.close();
    local = await LocalCloudWatch.start({ listDelay: 15 * MINUTE_MS });
    await put({ Value: 1 });
    await local.advance(15 * MINUTE_MS - 1);
    expect(await names()).toEqual([]);
    await local.advance(1);
    expect(await names()).toEqual(['drift']);
  });

  it('answers in pages of 500', async () => {
    await put(...Array.from({ length: 600 }, (_, index) => ({ MetricName: `m${index}`, Value: 1 })));
    await put(...Array.from({ length: 600 }, (_, index) => ({ MetricName: `n${index}`, Value: 1 })));
    const sizes: (number | undefined)[] = [];
    for await (const { Metrics } of paginateListMetrics({ client: local.client }, { Namespace: 'Tests' })) {
      sizes.push(Metrics?.length);
    }
    expect(sizes).toEqual([500, 500, 200]);
  });
});

describe('PutMetricData', () => {
  it('takes what is compressed', async () => {
    // The SDK compresses bodies of 10 KiB and more.
    await put(...Array.from({ length: 1_000 }, (_, index) => ({ Value: index })));
    expect(await get('SampleCount')).toEqual([[0, 1_000]]);
  });

  it('takes two weeks back and two hours ahead', async () => {
    const { time } = local;
    const times = [time - 14 * 24 * HOUR_MS, time + 2 * HOUR_MS];
    await put(...times.map((at) => ({ Value: 1, Timestamp: new Date(at) })));
    for (const from of times) expect(await get('Sum', { from, to: from + MINUTE_MS })).toEqual([[0, 1]]);
  });

  it.each<[string, Partial<PutMetricDataCommandInput>, new (...args: never[]) => Error, string]>([
    [
      'NaN',
      { MetricData: [{ MetricName: 'm', Value: Number.NaN }] },
      InvalidParameterValueException,
      'The value NaN for parameter MetricData.member.1.Value is invalid.',
    ],
    [
      'infinity',
      { MetricData: [{ MetricName: 'm', Values: [1, Number.NEGATIVE_INFINITY] }] },
      InvalidParameterValueException,
      'The value -Infinity for parameter MetricData.member.1.Values.member.2 is invalid.',
    ],
    [
      'a number too large',
      { MetricData: [{ MetricName: 'm', Value: 2 ** 361 }] },
      InvalidParameterValueException,
      'for parameter MetricData.member.1.Value is invalid.',
    ],
    [
      'a time two weeks past',
      { MetricData: [{ MetricName: 'm', Value: 1, Timestamp: new Date(Date.UTC(2025, 11, 17)) }] },
      InvalidParameterValueException,
      'The parameter MetricData.member.1.Timestamp must specify a time within the last two weeks.',
    ],
    [
      'a time two hours ahead',
      { MetricData: [{ MetricName: 'm', Value: 1, Timestamp: new Date(Date.UTC(2026, 0, 1, 2, 0, 1)) }] },
      InvalidParameterValueException,
      'The parameter MetricData.member.1.Timestamp must specify a time no more than two hours in the future.',
    ],
    [
      'a namespace of AWS',
      { Namespace: 'AWS/EC2' },
      InvalidParameterValueException,
      'The value AWS/EC2 for parameter Namespace is invalid.',
    ],
    [
      'too many',
      { MetricData: Array(1_001).fill({ MetricName: 'm', Value: 1 }) },
      InvalidParameterValueException,
      'The collection MetricData must not have a size greater than 1000.',
    ],
    [
      'no value',
      { MetricData: [{ MetricName: 'm' }] },
      MissingRequiredParameterException,
      'The parameter MetricData.member.1.Value must be specified.',
    ],
    [
      'two kinds of values',
      { MetricData: [{ MetricName: 'm', Value: 1, Values: [1] }] },
      InvalidParameterCombinationException,
      'The parameters MetricData.member.1.Value and MetricData.member.1.Values are mutually exclusive',
    ],
    [
      'counts of other length',
      { MetricData: [{ MetricName: 'm', Values: [1, 2], Counts: [1] }] },
      InvalidParameterValueException,
      'Values and MetricData.member.1.Counts must be of the same size.',
    ],
    [
      'counts of nothing',
      { MetricData: [{ MetricName: 'm', Value: 1, Counts: [1] }] },
      InvalidParameterCombinationException,
      'goes with MetricData.member.1.Values only.',
    ],
    [
      'too many values',
      { MetricData: [{ MetricName: 'm', Values: Array(151).fill(1) }] },
      InvalidParameterValueException,
      'must have a size from 1 to 150.',
    ],
    [
      'a minimum above the maximum',
      {
        MetricData: [
          { MetricName: 'm', StatisticValues: { SampleCount: 1, Sum: 1, Minimum: 2, Maximum: 1 } },
        ],
      },
      InvalidParameterValueException,
      'Minimum is greater than the Maximum.',
    ],
    [
      'statistics of no sample',
      {
        MetricData: [
          { MetricName: 'm', StatisticValues: { SampleCount: 0, Sum: 0, Minimum: 0, Maximum: 0 } },
        ],
      },
      InvalidParameterValueException,
      'The value 0 for parameter MetricData.member.1.StatisticValues.SampleCount is invalid.',
    ],
    [
      'too many dimensions',
      {
        MetricData: [
          {
            MetricName: 'm',
            Value: 1,
            Dimensions: Array.from({ length: 31 }, (_, index) => ({ Name: `d${index}`, Value: 'x' })),
          },
        ],
      },
      InvalidParameterValueException,
      "at 'metricData.1.member.dimensions' failed to satisfy constraint: Member must have length less than or equal to 30",
    ],
    [
      'a dimension twice',
      {
        MetricData: [
          {
            MetricName: 'm',
            Value: 1,
            Dimensions: [
              { Name: 'a', Value: 'x' },
              { Name: 'a', Value: 'y' },
            ],
          },
        ],
      },
      InvalidParameterValueException,
      'The names of dimensions must be different.',
    ],
    [
      'a dimension of blanks',
      { MetricData: [{ MetricName: 'm', Value: 1, Dimensions: [{ Name: 'a', Value: ' ' }] }] },
      InvalidParameterValueException,
      "at 'metricData.1.member.dimensions.1.member.value' failed to satisfy constraint",
    ],
    [
      'a dimension that begins with a colon',
      { MetricData: [{ MetricName: 'm', Value: 1, Dimensions: [{ Name: ':a', Value: 'x' }] }] },
      InvalidParameterValueException,
      "at 'metricData.1.member.dimensions.1.member.name' failed to satisfy constraint",
    ],
    [
      'a unit that it does not know',
      { MetricData: [{ MetricName: 'm', Value: 1, Unit: 'Fortnights' as 'Count' }] },
      InvalidParameterValueException,
      'Member must satisfy enum value set: [Bits,',
    ],
    [
      'a name too long',
      { MetricData: [{ MetricName: 'm'.repeat(256), Value: 1 }] },
      InvalidParameterValueException,
      'Member must have length less than or equal to 255',
    ],
    [
      'an entity',
      { EntityMetricData: [] },
      InvalidParameterValueException,
      'Entities are not supported by the local CloudWatch.',
    ],
  ])('refuses %s, and keeps nothing of the request', async (_, input, type, message) => {
    const valid = { Namespace: 'Tests', MetricData: [{ MetricName: 'm', Value: 1 }] };
    const sent = local.client.send(new PutMetricDataCommand({ ...valid, ...input }));
    await expect(sent).rejects.toThrow(type);
    await expect(sent).rejects.toThrow(message);
    expect((await local.client.send(new ListMetricsCommand())).Metrics).toEqual([]);
  });

  it('is authorised', async () => {
    local.forbidden.add('cloudwatch:PutMetricData');
    await expect(put({ Value: 1 })).rejects.toMatchObject({ name: 'AccessDeniedException' });
    expect(local.authorized).toEqual(['cloudwatch:PutMetricData *']);
  });
});
