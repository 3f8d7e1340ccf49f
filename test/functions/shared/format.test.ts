import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatDuration, formatNumber, formatShare, formatTime } from '../../../functions/shared/format.ts';

test.each([
  [0, '0%'],
  [1, '100%'],
  [0.5, '50%'],
  [0.381, '38.1%'],
  [0.123456, '12.3%'],
  [0.00012, '0.012%'],
  [1 / 3, '33.3%'],
  [1e-9, '1.0e-7%'],
  [0.9999, '99.99%'],
  [0.99999999, '99.999999%'],
  [1.5, '150%'],
])('the share %d is %s', (share, text) => {
  expect(formatShare(share)).toBe(text);
});

test.each([
  [0, '0'],
  [-12, '-12'],
  [1_234_567, '1,234,567'],
  [1234.5678, '1,235'],
  [0.123456, '0.123'],
  [0.000012345, '0.0000123'],
  [1e-9, '1e-9'],
  [Number.NaN, 'NaN'],
  [Number.POSITIVE_INFINITY, 'Infinity'],
])('the number %d is %s', (value, text) => {
  expect(formatNumber(value)).toBe(text);
});

describe('beside its limit', () => {
  test.each([
    [0.1004, 0.1, '10.04%'],
    [0.10000001, 0.1, '10.000001%'],
    [0.2, 0.1, '20%'],
    [0.1, 0.1, '10%'],
    [1.00001e-8, 1e-8, '1.00001e-6%'],
  ])('the share %d is not taken for %d', (share, limit, text) => {
    expect(formatShare(share, limit)).toBe(text);
  });

  test.each([
    [0.20003, 0.2, '0.20003'],
    [0.25, 0.2, '0.25'],
    [1000.4, 1000, '1,000.4'],
  ])('the number %d is not taken for %d', (value, limit, text) => {
    expect(formatNumber(value, limit)).toBe(text);
  });

  test('no two different numbers look alike', () => {
    const share = fc.double({ min: 0, max: 1, noNaN: true });
    fc.assert(
      fc.property(share, share, (a, b) => {
        fc.pre(Math.abs(a - b) > 1e-12 * Math.max(a, b));
        expect(formatShare(a, b)).not.toBe(formatShare(b, a));
        expect(formatNumber(a * 1000, b * 1000)).not.toBe(formatNumber(b * 1000, a * 1000));
      }),
      { seed: 1, numRuns: 2000 },
    );
  });
});

test.each([
  [40 * 86_400_000, '40 d'],
  [1.5 * 3_600_000, '1.5 h'],
  [-2 * 86_400_000, '-2 d'],
  [90_000, '1.5 min'],
  [1500, '1.5 s'],
  [12, '12 ms'],
  [0, '0 ms'],
])('%d milliseconds are %s', (ms, text) => {
  expect(formatDuration(ms)).toBe(text);
});

test.each([
  [Date.UTC(2001, 1, 3, 4, 5, 6), '2001-02-03T04:05:06Z'],
  [Date.UTC(2001, 1, 3, 4, 5, 6, 7), '2001-02-03T04:05:06.007Z'],
  [Date.UTC(-44, 2, 15), '-000044-03-15T00:00:00Z'],
  [9.2e15, 'about the year 293506'],
])('the moment %d is %s', (ms, text) => {
  expect(formatTime(ms)).toBe(text);
});
