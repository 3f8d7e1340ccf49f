import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Sample } from '../../../functions/alarm-drill/series.ts';
import {
  attainable,
  dataPoint,
  fewSamples,
  isStatistic,
  percentileOf,
  sampleCountOf,
} from '../../../functions/alarm-drill/statistic.ts';
import { GateInputError } from '../../../functions/shared/errors.ts';

// A fixed seed: what fails here fails for everybody.
fc.configureGlobal({ seed: 4 });

/** Of such values, each seen once. */
function samplesOf(...values: number[]): Sample[] {
  return values.map((value, index) => ({ at: index, value }));
}

const STATISTICS = [
  'Average',
  'Sum',
  'Minimum',
  'Maximum',
  'SampleCount',
  'p0',
  'p50',
  'p99.9',
  'p100',
  'IQM',
  'tm90',
  'TM(10%:)',
  'TM(2:7)',
  'wm98',
  'WM(10%:90%)',
  'WM(:7)',
  'tc90',
  'TC(2:7)',
  'ts90',
  'TS(80%:)',
  'TS(2:7)',
  'PR(:3)',
  'PR(2:7)',
];

describe('one period', () => {
  const samples: Sample[] = [
    { at: 0, value: 9 },
    { at: 0, value: 2, count: 3 },
    { at: 1, value: 1 },
  ];

  it.each([
    ['Average', 3.2],
    ['Sum', 16],
    ['Minimum', 1],
    ['Maximum', 9],
    ['SampleCount', 5],
    ['p0', 1],
    ['p20', 1],
    ['p50', 2],
    ['p80', 2],
    ['p80.1', 9],
    ['p100', 9],
    ['PR(:2)', 80],
    ['PR(1:2)', 60],
    ['PR(2:)', 20],
    ['PR(10:)', 0],
  ])('has the %s %d, of three times 2 and once 1 and 9', (statistic, expected) => {
    expect(dataPoint(statistic, samples)).toBe(expected);
  });

  it('counts what was seen', () => {
    expect(sampleCountOf(samples)).toBe(5);
    expect(sampleCountOf([])).toBe(0);
  });

  it.each(STATISTICS)('without samples has no %s', (statistic) => {
    expect(dataPoint(statistic, [])).toBeNull();
  });

  it('has only plain statistics where a value is negative, as documented', () => {
    const negative = samplesOf(-1, 2, 3);
    expect(STATISTICS.filter((statistic) => dataPoint(statistic, negative) !== null)).toEqual(
      STATISTICS.slice(0, 5),
    );
  });

  it('has an average of 0.2 where all samples are 0.2, though their rounded sum says more', () => {
    expect((0.2 + 0.2 + 0.2) / 3).toBeGreaterThan(0.2);
    expect(dataPoint('Average', samplesOf(0.2, 0.2, 0.2))).toBe(0.2);
  });

  it('has no statistic that CloudWatch does not know', () => {
    expect(() => dataPoint('P99', samples)).toThrow(GateInputError);
    expect(() => dataPoint('median', [])).toThrow('"median" is no statistic of CloudWatch');
    expect(() => attainable('p101', [0, 1])).toThrow('"p101" is no statistic of CloudWatch');
  });
});

/* Each from "CloudWatch statistics definitions", here on the values 1 to 10. */
describe('trims of 1 to 10, as documented', () => {
  const ten = samplesOf(3, 1, 10, 4, 2, 9, 5, 8, 7, 6);

  it.each<[string, number | null, string]>([
    ['tm90', 5, 'the mean without the highest tenth'],
    ['TM(:90%)', 5, 'is the same as tm90'],
    ['TM(10%:90%)', 5.5, 'the mean between two percentiles'],
    ['TM(20%:)', 6.5, 'the mean without the lowest fifth'],
    ['IQM', 5.5, 'the mean of the middle half, where 3 and 8 count half'],
    ['TM(25%:75%)', 5.5, 'is the same as IQM'],
    ['TM(2:5)', 4, 'the mean above 2, and up to 5'],
    ['TM(:5)', 3, 'the mean up to 5'],
    ['TM(20:30)', null, 'no mean where there is no value'],
    ['TM(50%:50%)', null, 'no mean of nothing'],
    ['wm90', 5.4, 'the mean where 10 is taken for the 90th percentile'],
    ['WM(20%:90%)', 5.5, 'the mean where 1 is taken for the 20th percentile too'],
    ['WM(4:7)', 5.5, 'the mean of values moved to bounds'],
    ['tc90', 9, 'how many without the highest tenth'],
    ['TC(2:5)', 3, 'how many above 2, and up to 5'],
    ['TC(20:30)', 0, 'none'],
    ['ts90', 45, 'the sum without the highest tenth'],
    ['TS(80%:)', 19, 'the sum without the lowest four fifths'],
    ['TS(2:5)', 12, 'the sum above 2, and up to 5'],
    ['PR(:3)', 30, 'the percentage up to 3'],
    ['PR(3:7)', 40, 'the percentage above 3, and up to 7'],
  ])('%s is %s: %s', (statistic, expected) => {
    const actual = dataPoint(statistic, ten);
    if (expected === null) expect(actual).toBeNull();
    else expect(actual).toBeCloseTo(expected, 12);
  });

  it('has no part of it twice: bins of percentile ranks add up to 100', () => {
    const bins = ['PR(:1)', 'PR(1:5)', 'PR(5:9)', 'PR(9:)'];
    expect(bins.reduce((sum, bin) => sum + dataPoint(bin, ten)!, 0)).toBeCloseTo(100, 12);
  });
});

describe('against NumPy', () => {
  const { quantiles } = JSON.parse(
    readFileSync(new URL('../../oracle/quantile-values.json', import.meta.url), 'utf8'),
  ) as { quantiles: { values: number[]; counts: number[]; quantiles: [number, number][] }[] };

  it('agrees on every percentile, counts being weights', () => {
    expect(quantiles).toHaveLength(15);
    for (const { values, counts, quantiles: recorded } of quantiles) {
      const samples = values.map((value, at) => ({ at, value, count: counts[at]! }));
      for (const [p, expected] of recorded) {
        expect(dataPoint(`p${p}`, samples), `p${p} of ${JSON.stringify({ values, counts })}`).toBe(expected);
      }
    }
  });
});

describe('rounding', () => {
  it('moves no percentile to the next sample', () => {
    const hundred = samplesOf(...Array.from({ length: 100 }, (_, index) => index + 1));
    expect(0.07 * 100).toBeGreaterThan(7);
    for (let p = 1; p <= 100; p++) expect(dataPoint(`p${p}`, hundred)).toBe(p);
  });
});

describe('names', () => {
  it.each(STATISTICS)('knows %s', (statistic) => expect(isStatistic(statistic)).toBe(true));

  it.each([
    'average',
    'P99',
    'p',
    'p100.1',
    'p-1',
    'p99.12345678901',
    'TM90',
    'tm(10%:90%)',
    'TM(90%:10%)',
    'TM(:)',
    'TM(10%:90)',
    'TM(:101%)',
    'PR(10%:20%)',
    'pr90',
    'iqm',
    '',
    'toString',
  ])('does not know "%s"', (statistic) => expect(isStatistic(statistic)).toBe(false));

  it('says which percentile', () => {
    expect(percentileOf('p99')).toBe(0.99);
    expect(percentileOf('p2.5')).toBe(0.025);
    expect(percentileOf('tm99')).toBeUndefined();
    expect(percentileOf('nothing')).toBeUndefined();
  });
});

/* "Percentile-based alarms and low data samples": below 10 / (1 - p) from 0.5 on, below 10 / p under it. */
describe('few samples', () => {
  it.each([
    ['p99', 1000],
    ['p99.9', 10_000],
    ['p95', 200],
    ['p90', 100],
    ['p75', 40],
    ['p50', 20],
    ['p25', 40],
    ['p10', 100],
    ['p1', 1000],
  ])('%s needs %d', (statistic, enough) => {
    expect(fewSamples(statistic, enough - 1)).toBe(true);
    expect(fewSamples(statistic, enough)).toBe(false);
  });

  it.each(['p0', 'p100', 'Average', 'tm99'])('%s needs none', (statistic) => {
    expect(fewSamples(statistic, 0)).toBe(false);
  });
});

describe('attainable', () => {
  const { POSITIVE_INFINITY: most, NEGATIVE_INFINITY: least } = Number;

  it.each<[string, [number, number], [number, number]]>([
    ['Average', [0, 1], [0, 1]],
    ['Minimum', [-3, 1], [-3, 1]],
    ['Maximum', [-3, 1], [-3, 1]],
    ['Sum', [0, 1], [0, most]],
    ['Sum', [-1, 2], [least, most]],
    ['Sum', [2, 3], [2, most]],
    ['Sum', [0, 0], [0, 0]],
    ['SampleCount', [0, 1], [1, most]],
    ['p99', [0, 1], [0, 1]],
    ['p99', [-2, 1], [0, 1]],
    ['p99', [-2, -1], [most, least]],
    ['IQM', [0, 7], [0, 7]],
    ['TM(2:5)', [0, 7], [2, 5]],
    ['TM(2:5)', [3, 4], [3, 4]],
    ['TM(2:5)', [6, 7], [most, least]],
    ['TM(2:5)', [0, 2], [most, least]],
    ['TM(50%:50%)', [0, 2], [most, least]],
    ['WM(2:5)', [0, 7], [2, 5]],
    ['WM(2:5)', [6, 7], [5, 5]],
    ['TC(2:5)', [0, 7], [0, most]],
    ['TC(2:5)', [3, 4], [1, most]],
    ['TC(2:5)', [6, 7], [0, 0]],
    ['TS(2:5)', [0, 7], [0, most]],
    ['TS(2:5)', [6, 7], [0, 0]],
    ['PR(:300)', [0, 1000], [0, 100]],
    ['PR(:300)', [0, 300], [100, 100]],
    ['PR(300:)', [0, 300], [0, 0]],
    ['tc90', [0, 1], [0.9, most]],
    ['TS(80%:)', [0, 0], [0, 0]],
  ])('%s of samples in %j is within %j', (statistic, values, expected) => {
    expect(attainable(statistic, values)).toEqual(expected);
  });

  it('holds whatever samples there are', () => {
    const cents = fc.integer({ min: 0, max: 1200 }).map((value) => value / 100);
    fc.assert(
      fc.property(
        fc.constantFrom(...STATISTICS),
        fc.array(fc.record({ at: fc.nat(9), value: cents, count: fc.integer({ min: 1, max: 4 }) }), {
          minLength: 1,
          maxLength: 12,
        }),
        (statistic, samples) => {
          const values = samples.map(({ value }) => value);
          const point = dataPoint(statistic, samples);
          const [low, high] = attainable(statistic, [Math.min(...values), Math.max(...values)]);
          if (point === null) return;
          expect(point).toBeGreaterThanOrEqual(low - 1e-9);
          expect(point).toBeLessThanOrEqual(high + 1e-9);
        },
      ),
    );
  });
});

describe('whatever the samples', () => {
  // Quarters add up exactly, so that no rounding hides a difference.
  const quarters = fc.integer({ min: 0, max: 4000 }).map((value) => value / 4);
  const sample = fc.record({ at: fc.nat(59_999), value: quarters, count: fc.integer({ min: 1, max: 5 }) });
  const samples = fc.array(sample, { minLength: 1, maxLength: 20 });
  const statistic = fc.constantFrom(...STATISTICS);

  it('their order does not matter', () => {
    fc.assert(
      fc.property(
        statistic,
        samples.chain((original) =>
          fc.tuple(
            fc.constant(original),
            fc.shuffledSubarray(original, { minLength: original.length, maxLength: original.length }),
          ),
        ),
        (name, [original, shuffled]) => {
          const expected = dataPoint(name, original);
          const actual = dataPoint(name, shuffled);
          if (expected === null) expect(actual).toBeNull();
          else expect(actual).toBeCloseTo(expected, 9);
        },
      ),
    );
  });

  it('a value that was seen several times is as many samples', () => {
    fc.assert(
      fc.property(statistic, samples, (name, original) => {
        const one = original.flatMap(({ at, value, count }) =>
          Array.from({ length: count }, () => ({ at, value })),
        );
        const [expected, actual] = [dataPoint(name, original), dataPoint(name, one)];
        if (expected === null) expect(actual).toBeNull();
        else expect(actual).toBeCloseTo(expected, 9);
      }),
    );
  });

  it('a trimmed sum is the trimmed mean, as often as the trimmed count says', () => {
    fc.assert(
      fc.property(
        fc.constantFrom('(10%:90%)', '(:35%)', '(50%:)', '(100:700)', '(:20)'),
        samples,
        (bounds, all) => {
          const mean = dataPoint(`TM${bounds}`, all) ?? 0;
          expect(dataPoint(`TS${bounds}`, all)).toBeCloseTo(mean * dataPoint(`TC${bounds}`, all)!, 6);
        },
      ),
    );
  });

  it('a percentile is a value that was seen, and no greater percentile is less', () => {
    fc.assert(
      fc.property(samples, fc.nat(100), fc.nat(100), (all, a, b) => {
        const [lower, higher] = [Math.min(a, b), Math.max(a, b)].map((p) => dataPoint(`p${p}`, all)!);
        expect(all.map(({ value }) => value)).toContain(lower);
        expect(lower).toBeLessThanOrEqual(higher!);
      }),
    );
  });
});
