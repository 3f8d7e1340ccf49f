import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compareQuantities, durationOf, quantityOf } from '../../../functions/config-parity/quantities.ts';

describe('a length of time', () => {
  test.each<[string, number]>([
    ['rate(60 minutes)', 3_600_000],
    ['rate(1 hour)', 3_600_000],
    ['rate(1 day)', 86_400_000],
    ['PT1H', 3_600_000],
    ['PT60M', 3_600_000],
    ['P1DT2H3M4.5S', 93_784_500],
    ['P2W', 1_209_600_000],
    ['PT0S', 0],
    ['3600s', 3_600_000],
    ['1.5 h', 5_400_000],
    ['250ms', 250],
    ['2 weeks', 1_209_600_000],
    ['90 seconds', 90_000],
  ])('%s is %d ms', (text, ms) => {
    expect(durationOf(text)).toBe(ms);
  });

  test.each([
    '',
    'P',
    'PT',
    'P1M',
    'P1Y',
    '60',
    'rate(60 minutes',
    '60 minutes)',
    'rate(minutes)',
    'cron(0 10 * * ? *)',
    '1 month',
    '-5s',
    '1h 30m',
    '5 mss',
    '5 hs',
  ])('%j is none', (text) => {
    expect(durationOf(text)).toBeUndefined();
  });

  test('is the same in whichever unit it is written', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 10_000 }), (hours) => {
        const ms = hours * 3_600_000;
        for (const text of [
          `${hours}h`,
          `${hours * 60} minutes`,
          `PT${hours * 3600}S`,
          `rate(${hours} hours)`,
        ]) {
          expect(durationOf(text)).toBe(ms);
        }
      }),
      { numRuns: 100, seed: 1 },
    );
  });
});

describe('quantities', () => {
  test('are numbers, numbers in texts, and lengths of time', () => {
    expect(quantityOf(2)).toEqual({ value: 2, unit: 'number' });
    expect(quantityOf(' 2e3 ')).toEqual({ value: 2000, unit: 'number' });
    expect(quantityOf('2h')).toEqual({ value: 7_200_000, unit: 'time' });
    for (const value of ['1e999', 'ml.m5.large', '', true, null, [1], { a: 1 }, undefined]) {
      expect(quantityOf(value)).toBeUndefined();
    }
  });

  test('are more or less than one another where they are of one unit', () => {
    expect(compareQuantities(4, '2')).toBeGreaterThan(0);
    expect(compareQuantities('30m', 'PT1H')).toBeLessThan(0);
    expect(compareQuantities('rate(60 minutes)', 'rate(1 hour)')).toBe(0);
    expect(compareQuantities(3600, '1h')).toBeUndefined();
    expect(compareQuantities('a', 'b')).toBeUndefined();
    expect(compareQuantities(1, undefined)).toBeUndefined();
  });
});
