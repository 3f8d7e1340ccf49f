import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  logGamma,
  noncentralChiSquareCdf,
  noncentralChiSquareQuantile,
  noncentralityBound,
  normalCdf,
  normalQuantile,
  regularizedGamma,
  studentQuantile,
} from '../../../functions/shared/statistics.ts';

/** Its ES module says nothing of its types. */
const cephes = createRequire(import.meta.url)('cephes') as Record<
  'igam' | 'igamc' | 'lgam' | 'ndtr' | 'ndtri',
  (...numbers: number[]) => number
>;

type Row = [number, number, number, number];

const SCIPY = JSON.parse(
  readFileSync(new URL('../../oracle/scipy-values.json', import.meta.url), 'utf8'),
) as Record<string, Row[]>;

function rows(name: string): Row[] {
  const recorded = SCIPY[name] ?? [];
  expect(recorded.length).toBeGreaterThan(10);
  return recorded;
}

/** Fails where `actual` is further from `expected` than both tolerances allow; says for which arguments. */
function expectClose(
  actual: number,
  expected: number,
  { relative = 0, absolute = 0 }: { relative?: number; absolute?: number },
  of: unknown,
): void {
  const allowed = Math.max(absolute, relative * Math.abs(expected));
  expect(Math.abs(actual - expected), `${JSON.stringify(of)}: ${actual} for ${expected}`).toBeLessThanOrEqual(
    allowed,
  );
}

describe('against SciPy', () => {
  it('agrees on the normal distribution, to full relative accuracy in the lower tail', () => {
    for (const [z, expected] of rows('normal')) expectClose(normalCdf(z), expected, { relative: 1e-13 }, z);
  });

  it('agrees on normal quantiles', () => {
    for (const [p, expected] of rows('normal_quantile')) {
      expectClose(normalQuantile(p), expected, { relative: 1e-8, absolute: 1e-14 }, p);
    }
  });

  it('gives no quantile of Student that is notably too small, and soon the exact one', () => {
    for (const [p, degrees, expected] of rows('student')) {
      const actual = studentQuantile(p, degrees);
      expect(actual, `${p} ${degrees}`).toBeGreaterThanOrEqual(expected * (1 - 1e-3) - 1e-14);
      if (degrees >= 10) expectClose(actual, expected, { relative: 0.02, absolute: 1e-14 }, [p, degrees]);
      if (degrees >= 118) expectClose(actual, expected, { relative: 1e-4, absolute: 1e-14 }, [p, degrees]);
    }
  });

  it('agrees on the logarithm of the gamma function', () => {
    for (const [x, expected] of rows('log_gamma')) {
      expectClose(logGamma(x), expected, { relative: 1e-13, absolute: 1e-14 }, x);
    }
  });

  it('agrees on both incomplete gamma functions', () => {
    for (const [a, x, lower, upper] of rows('gamma')) {
      const actual = regularizedGamma(a, x);
      expectClose(actual.lower, lower, { relative: 1e-10, absolute: 1e-300 }, [a, x]);
      expectClose(actual.upper, upper, { relative: 1e-10, absolute: 1e-14 }, [a, x]);
    }
  });

  it('agrees on the noncentral chi-square distribution', () => {
    for (const [x, degrees, noncentrality, expected] of rows('noncentral')) {
      const actual = noncentralChiSquareCdf(x, degrees, noncentrality);
      const absolute = noncentrality > 1e4 ? 1e-6 : 1e-11;
      expectClose(actual, expected, { absolute }, [x, degrees, noncentrality]);
    }
  });

  it('agrees on the bounds of a noncentrality', () => {
    for (const [x, degrees, p, expected] of rows('noncentrality_bound')) {
      const actual = noncentralityBound(x, degrees, p);
      expectClose(actual, expected, { relative: 1e-6, absolute: 1e-6 }, [x, degrees, p]);
    }
  });
});

describe('against cephes', () => {
  const anyA = fc.double({ min: 0.05, max: 1000, noNaN: true });

  it('agrees on the incomplete gamma functions everywhere', () => {
    fc.assert(
      fc.property(anyA, fc.double({ min: 0.4, max: 2.5, noNaN: true }), (a, ratio) => {
        const x = a * ratio;
        const { lower, upper } = regularizedGamma(a, x);
        expectClose(lower, cephes.igam(a, x), { absolute: 1e-11 }, [a, x]);
        expectClose(upper, cephes.igamc(a, x), { absolute: 1e-11 }, [a, x]);
      }),
      { seed: 1, numRuns: 500 },
    );
  });

  it('agrees on the logarithm of the gamma function everywhere', () => {
    fc.assert(
      fc.property(fc.double({ min: 1e-6, max: 1e12, noNaN: true }), (x) => {
        expectClose(logGamma(x), cephes.lgam(x), { relative: 1e-13, absolute: 1e-13 }, x);
      }),
      { seed: 1, numRuns: 500 },
    );
  });

  it('agrees on the normal distribution and its quantiles everywhere', () => {
    fc.assert(
      fc.property(fc.double({ min: -8, max: 8, noNaN: true }), (z) => {
        expectClose(normalCdf(z), cephes.ndtr(z), { relative: 1e-12 }, z);
        const p = cephes.ndtr(z);
        if (z < 5) expectClose(normalQuantile(p), cephes.ndtri(p), { absolute: 1e-9 }, p);
      }),
      { seed: 1, numRuns: 500 },
    );
  });
});

describe('the noncentral chi-square distribution', () => {
  const degrees = fc.double({ min: 0.2, max: 300, noNaN: true });
  const anyX = fc.double({ min: 0.01, max: 3000, noNaN: true });
  const chance = fc.double({ min: 1e-8, max: 1 - 1e-8, noNaN: true });

  it('gives a bound at which the observed value has exactly the chance', () => {
    fc.assert(
      fc.property(anyX, degrees, chance, (x, df, p) => {
        const bound = noncentralityBound(x, df, p);
        const back = noncentralChiSquareCdf(x, df, bound);
        if (bound === 0) expect(back).toBeLessThanOrEqual(p);
        else expectClose(back, p, { relative: 1e-5, absolute: 1e-12 }, [x, df, p, bound]);
      }),
      { seed: 2, numRuns: 500 },
    );
  });

  it('moves its bound up with the observed value and down with the chance', () => {
    fc.assert(
      fc.property(anyX, anyX, degrees, chance, chance, (x1, x2, df, p1, p2) => {
        const [small, large] = [Math.min(x1, x2), Math.max(x1, x2)];
        const [unlikely, likely] = [Math.min(p1, p2), Math.max(p1, p2)];
        const bound = noncentralityBound(large, df, unlikely);
        expect(noncentralityBound(small, df, unlikely)).toBeLessThanOrEqual(bound * (1 + 1e-6));
        expect(noncentralityBound(large, df, likely)).toBeLessThanOrEqual(bound * (1 + 1e-6));
      }),
      { seed: 3, numRuns: 300 },
    );
  });

  it('passes from the sum to the approximation without a step', () => {
    for (const df of [1, 10, 100]) {
      for (const step of [-6, -4, -1, 0, 2, 5]) {
        const x = df + 1e4 + step * Math.sqrt(2 * df + 4e4);
        const below = noncentralChiSquareCdf(x, df, 1e4);
        const above = noncentralChiSquareCdf(x, df, 1e4 * (1 + 1e-12));
        expectClose(above, below, { relative: 1e-3, absolute: 1e-12 }, [df, step]);
      }
    }
  });

  it('keeps bounds finite and ordered for a billion rows', () => {
    for (const x of [0, 1e-9, 1e5, 5e7, 5e8, 1e12]) {
      const [low, high] = [noncentralityBound(x, 12, 1 - 1e-9), noncentralityBound(x, 12, 1e-9)];
      expect(low).toBeLessThanOrEqual(x);
      expect(high).toBeGreaterThanOrEqual(low);
      expect(high).toBeLessThan(Number.POSITIVE_INFINITY);
    }
  });

  it('plans with quantiles that are near', () => {
    for (const df of [1, 4, 9, 40, 300]) {
      for (const noncentrality of [0.5, 5, 50, 500, 5000]) {
        for (const p of [0.9, 0.99, 0.9999, 0.999999]) {
          const planned = noncentralChiSquareQuantile(p, df, noncentrality);
          const off = noncentrality < 5 ? 0.15 : 0.04;
          const of = `${df} ${noncentrality} ${p}`;
          expect(noncentralChiSquareCdf(planned * (1 + off), df, noncentrality), of).toBeGreaterThan(p);
          expect(noncentralChiSquareCdf(planned * (1 - off), df, noncentrality), of).toBeLessThan(p);
        }
      }
    }
  });
});
