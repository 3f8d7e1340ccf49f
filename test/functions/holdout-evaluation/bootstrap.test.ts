import { describe, expect, it } from 'vitest';
import {
  createDraw,
  differenceInterval,
  fewInterval,
  noisyInterval,
  percentileInterval,
} from '../../../functions/holdout-evaluation/bootstrap.ts';
import { randomOf, seedOf } from '../../../functions/shared/random.ts';
import { createRandom } from '../../support/random.ts';

const CONFIDENCE = { confidence: 0.95 };

describe('draws', () => {
  const seed = seedOf('5eed', 'draws');

  it.each([0, 1, 2, 3, 16, 17, 100, 4001])('%d rows are drawn as often as there are', (rows) => {
    const draw = createDraw(rows);
    const counts = new Uint8Array(rows);
    for (let replicate = 0; replicate < 200; replicate++) {
      draw(counts, randomOf(seed, replicate));
      expect(counts.reduce((sum, count) => sum + count, 0)).toBe(rows);
    }
  });

  it.each([2, 5, 17, 40, 150])('counts of %d rows have the moments of a multinomial law', (rows) => {
    const draw = createDraw(rows);
    const counts = new Uint8Array(rows);
    const draws = 40_000;
    let [first, squares, product, threes] = [0, 0, 0, 0];
    for (let replicate = 0; replicate < draws; replicate++) {
      draw(counts, randomOf(seed, replicate));
      const [one, last] = [counts[0] ?? 0, counts[rows - 1] ?? 0];
      first += one / draws;
      squares += one ** 2 / draws;
      product += (one * last) / draws;
      threes += Number(one >= 3) / draws;
    }
    expect(Math.abs(first - 1)).toBeLessThan(0.02);
    expect(Math.abs(squares - first ** 2 - (1 - 1 / rows))).toBeLessThan(0.04);
    expect(Math.abs(product - (1 - 1 / rows))).toBeLessThan(0.04);
    // A row is in three draws or more.
    const chance = 1 / rows;
    const exactly = (times: number, ways: number) => ways * chance ** times * (1 - chance) ** (rows - times);
    const fewer = exactly(0, 1) + exactly(1, rows) + exactly(2, (rows * (rows - 1)) / 2);
    expect(Math.abs(threes - (1 - fewer))).toBeLessThan(0.006);
  });

  it('depend on the seed, the name and the number, and on nothing else', () => {
    const drawn = (text: string, name: string, replicate: number) => {
      const counts = new Uint8Array(50);
      createDraw(50)(counts, randomOf(seedOf(text, name), replicate));
      return counts.join('');
    };
    expect(drawn('a', 'b', 1)).toBe(drawn('a', 'b', 1));
    const different = [drawn('a', 'b', 1), drawn('b', 'b', 1), drawn('a', 'c', 1), drawn('a', 'b', 2)];
    expect(new Set(different).size).toBe(4);
  });
});

/** From 0 to 1 in even steps, some of them missing. */
const steps = (missing = 0) =>
  Float64Array.from({ length: 1000 }, (_, index) => (index < missing ? Number.NaN : index / 1000));

const width = (interval = { low: 0, high: 0 }) => interval.high - interval.low;

describe.each([
  ['percentiles', percentileInterval],
  ['standard errors', differenceInterval],
])('intervals by %s', (_, intervalOf) => {
  const random = createRandom(7);
  const normal = Float64Array.from({ length: 20_000 }, () => 5 + 2 * random.normal());
  const of = (examples: number) => intervalOf({ estimate: 5, values: normal.slice(), examples }, CONFIDENCE);

  it('of a normal law are its quantiles', () => {
    const interval = of(1e6);
    expect(interval).toMatchObject({ estimate: 5, confidence: 0.95 });
    expect(Math.abs((interval?.low ?? 0) - (5 - 3.92))).toBeLessThan(0.1);
    expect(Math.abs((interval?.high ?? 0) - (5 + 3.92))).toBeLessThan(0.1);
  });

  it('are wider where they hang on few examples, as Student says', () => {
    const factor = (2.2622 * Math.sqrt(10 / 9)) / 1.96;
    expect(Math.abs(width(of(10)) / width(of(1e6)) - factor)).toBeLessThan(0.03);
  });

  it.each([0, 0.5, 1])('are none where they hang on %d examples', (examples) => {
    expect(of(examples)).toBeUndefined();
  });

  it('leave out a few resamples without a value, and give up over many', () => {
    const some = (values: Float64Array) => intervalOf({ estimate: 0.5, values, examples: 1e6 }, CONFIDENCE);
    expect(width(some(steps(50)))).toBeGreaterThan(0.89);
    expect(some(steps(51))).toBeUndefined();
    expect(some(new Float64Array(0))).toBeUndefined();
  });
});

describe('percentiles', () => {
  it('lean against a bias of the resamples', () => {
    const random = createRandom(7);
    const biased = Float64Array.from({ length: 20_000 }, () => 6 + 2 * random.normal());
    const interval = percentileInterval({ estimate: 5, values: biased, examples: 1e6 }, CONFIDENCE);
    expect(interval?.low).toBeLessThan(5 - 2 * 2.3);
    expect(interval?.high).toBeLessThan(5 + 2 * 1.6);
  });

  it('hold the estimate, whatever the resamples are', () => {
    const interval = percentileInterval({ estimate: 9, values: steps(), examples: 1e6 }, CONFIDENCE);
    expect(interval).toEqual({ low: expect.closeTo(1, 2), estimate: 9, high: 9, confidence: 0.95 });
  });
});

describe('a difference', () => {
  it('is less certain by what the resamples cannot show', () => {
    const values = Float64Array.from({ length: 1000 }, (_, index) => (index % 2 === 0 ? -3 : 3));
    const difference = { estimate: 0, values, examples: 1e6 };
    expect(width(differenceInterval(difference, { ...CONFIDENCE, extra: 4 }))).toBeCloseTo(2 * 1.96 * 5, 3);
  });
});

describe('few hits or misses', () => {
  it.each([
    // Newcombe, Statistics in Medicine 17, 1998, table I.
    [15, 148, 0.0624, 0.1605],
    [0, 20, 0, 0.1611],
    [1, 29, 0.0061, 0.1718],
  ])('%d of %d', (hits, examples, low, high) => {
    const share = hits / examples;
    const interval = fewInterval(share, examples, CONFIDENCE);
    if (hits >= 10) {
      expect(interval).toBeUndefined();
      return;
    }
    expect(interval).toEqual({
      low: expect.closeTo(low, 4),
      estimate: share,
      high: expect.closeTo(high, 4),
      confidence: 0.95,
    });
  });

  it('of no examples say nothing', () => {
    expect(fewInterval(0, 0, CONFIDENCE)).toEqual({
      low: expect.closeTo(0, 12),
      estimate: 0,
      high: expect.closeTo(1, 12),
      confidence: 0.95,
    });
  });
});

describe('a size that noise adds to', () => {
  const size = (parts: Float64Array) => parts.reduce((sum, part) => sum + Math.abs(part), 0);
  const random = createRandom(3);
  const deviations = (parts: number, error: number) =>
    Float64Array.from({ length: 2000 * parts }, () => error * random.normal());

  it('far above the noise is known as well as its parts', () => {
    const parts = Float64Array.of(0.3, -0.2, 0.1);
    const { low, estimate, high } = noisyInterval(
      { parts, deviations: deviations(3, 0.01), size },
      CONFIDENCE,
    );
    const margin = 1.96 * 0.01 * Math.sqrt(3);
    expect(Math.abs(estimate - 0.6)).toBeLessThan(0.002);
    expect(Math.abs(low - (0.6 - margin))).toBeLessThan(0.004);
    expect(Math.abs(high - (0.6 + margin))).toBeLessThan(0.004);
  });

  it('that noise alone explains may be 0', () => {
    const parts = Float64Array.from({ length: 10 }, (_, index) => (index % 2 === 0 ? 0.008 : -0.008));
    const { low, estimate, high } = noisyInterval(
      { parts, deviations: deviations(10, 0.01), size },
      CONFIDENCE,
    );
    expect(low).toBe(0);
    expect(estimate).toBeLessThan(0.05);
    expect(high).toBeGreaterThan(0.04);
    expect(high).toBeLessThan(0.2);
  });

  it('of 0, by luck, is no proof of 0', () => {
    const { low, estimate, high } = noisyInterval(
      { parts: new Float64Array(4), deviations: deviations(4, 0.01), size },
      CONFIDENCE,
    );
    expect([low, estimate]).toEqual([0, 0]);
    expect(high).toBeGreaterThan(0.01);
  });

  it('of 0 without noise is 0', () => {
    const nothing = { parts: new Float64Array(4), deviations: new Float64Array(400), size };
    expect(noisyInterval(nothing, CONFIDENCE)).toEqual({ low: 0, estimate: 0, high: 0, confidence: 0.95 });
  });
});
