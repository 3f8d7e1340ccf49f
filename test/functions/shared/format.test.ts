import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  capital,
  clip,
  formatDuration,
  formatInterval,
  formatNumber,
  formatShare,
  formatTime,
  listOf,
  timeText,
} from '../../../functions/shared/format.ts';

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

describe('an interval', () => {
  test.each<[number, number, number, number[], string]>([
    [0.581, 0.587, 0.593, [], '0.581 0.587 0.593'],
    [0.679, 0.6812, 0.6833, [], '0.6790 0.6812 0.6833'],
    [0.61, 0.65, 0.69, [0.62], '0.610 0.650 0.690'],
    [12_300.4, 12_345.6, 12_400.9, [], '12,300 12,346 12,401'],
    [-0.00004, 0.01, 0.02, [], '0.000 0.010 0.020'],
    [-0.00004, 0.01, 0.02, [0], '-0.00004 0.01000 0.02000'],
    [0.5, 0.6, 0.61999, [0.62], '0.50000 0.60000 0.61999'],
    [1, 1, 1, [0.9], '1 1 1'],
    [0.619999, 0.619999, 0.619999, [0.1, 0.62], '0.619999 0.619999 0.619999'],
    [1e-9, 2e-9, 3e-9, [], '0.0000000010 0.0000000020 0.0000000030'],
    [Number.NaN, 1, 2, [], 'NaN 1 2'],
  ])('from %d, %d to %d beside %o is %s', (low, estimate, high, limits, text) => {
    expect(Object.values(formatInterval({ low, estimate, high }, limits)).join(' ')).toBe(text);
  });

  test('never looks like a limit that it is not', () => {
    const number = fc
      .double({ min: -1000, max: 1000, noNaN: true })
      .map((value) => Number(value.toPrecision(12)));
    fc.assert(
      fc.property(fc.tuple(number, number, number), number, (three, limit) => {
        const [low, estimate, high] = three.toSorted((a, b) => a - b) as [number, number, number];
        const shown = formatInterval({ low, estimate, high }, [limit]);
        for (const [value, text] of [
          [low, shown.low],
          [estimate, shown.estimate],
          [high, shown.high],
        ] as const) {
          const read = Number(text.replaceAll(',', ''));
          expect(Math.abs(read - value)).toBeLessThanOrEqual(
            0.051 * (high - low) + 5e-4 * Math.abs(value) + 1e-17,
          );
          if (Math.abs(value - limit) > 1e-9) expect(read).not.toBe(limit);
        }
      }),
      { seed: 2, numRuns: 500 },
    );
  });
});

test('a text is cut by characters, of which the shorter part of a long one is looked at', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: fc.constantFrom('a', 'é', '😀', '\ud83d', '\ude00'), maxLength: 30 }),
      fc.integer({ min: 1, max: 20 }),
      (text, length) => {
        const characters = [...text];
        const expected = characters.length <= length ? text : `${characters.slice(0, length - 1).join('')}…`;
        expect(clip(text, length)).toBe(expected);
      },
    ),
  );
  expect(clip('😀'.repeat(1e6), 3)).toBe('😀😀…');
});

test.each([
  [[], ''],
  [['a'], 'a'],
  [['a', 'b'], 'a and b'],
  [['a', 'b', 'c'], 'a, b and c'],
])('%j are listed as "%s"', (items, text) => {
  expect(listOf(items)).toBe(text);
  expect(listOf(items, 'or')).toBe(text.replace('and', 'or'));
});

test('a sentence begins with a capital letter', () => {
  expect(['', 'a', 'column delay', 'ÄB'].map(capital)).toEqual(['', 'A', 'Column delay', 'ÄB']);
});

test.each([
  [0, '0 s'],
  [61_400, '61 s'],
  [119_400, '119 s'],
  [120_000, '2 min'],
  [130_000, '2 min 10 s'],
  [7_199_000, '119 min 59 s'],
  [7_200_000, '2 h'],
  [3_600_000 * 5 + 61_000, '5 h 1 min'],
])('%i ms are %s', (ms, text) => {
  expect(timeText(ms)).toBe(text);
});
