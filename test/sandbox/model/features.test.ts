import { describe, expect, it } from 'vitest';
import { FEATURES, featurizer, fitEncoding } from '../../../sandbox/model/features.ts';

const NOTHING = { prior: 0.2, rates: [] };

describe('fitEncoding', () => {
  it('draws the share of a category towards that of all, by its number of rows', () => {
    const origin = [...Array(300).fill('ORD'), ...Array(100).fill('ATL'), ...Array(100).fill(null)];
    const labels = Uint8Array.from(origin, (code, row) => (code === 'ORD' ? Number(row % 2 === 0) : 0));
    const { prior, rates } = fitEncoding(origin, labels);
    expect(prior).toBe(0.3);
    expect(rates).toEqual([
      ['ATL', (0 + 100 * 0.3) / 200],
      ['ORD', (150 + 100 * 0.3) / 400],
    ]);
  });
});

describe('featurizer', () => {
  const features = (
    text: string,
    extra: { distance?: number; origin?: string | null; destination?: string | null },
  ) => {
    const columns = featurizer({ origin: { prior: 0.2, rates: [['ORD', 0.3]] }, destination: NOTHING })({
      departure: Float64Array.of(text === '' ? Number.NaN : Date.parse(`${text}Z`)),
      distance: Float64Array.of(extra.distance ?? Number.NaN),
      origin: [extra.origin ?? null],
      destination: [extra.destination ?? null],
    });
    return Object.fromEntries(FEATURES.map((name, index) => [name, columns[index]?.[0]]));
  };

  it('reads the clock and the calendar', () => {
    expect(features('2001-05-01T23:59:59.999', { distance: 733, origin: 'ORD', destination: 'LGA' })).toEqual(
      {
        minuteOfDay: 1439,
        weekday: 2,
        month: 5,
        distance: 733,
        origin: 0.3,
        destination: 0.2,
      },
    );
    expect(features('1969-12-31T00:01:00', {})).toMatchObject({ minuteOfDay: 1, weekday: 3, month: 12 });
  });

  it('has no value for what is missing, and the prior for an airport that is missing or unknown', () => {
    const missing = { minuteOfDay: Number.NaN, weekday: Number.NaN, month: Number.NaN, distance: Number.NaN };
    expect(features('', {})).toEqual({ ...missing, origin: 0.2, destination: 0.2 });
    expect(features('', { origin: 'XXX' })).toMatchObject({ origin: 0.2 });
    expect(features('', { origin: 'constructor' })).toMatchObject({ origin: 0.2 });
  });
});
