import { describe, expect, it } from 'vitest';
import {
  categories,
  chooseCells,
  countCategories,
  countOver,
  moments,
} from '../../../functions/quality-gate/distributions.ts';
import {
  type DriftEffect,
  type DriftMeasure,
  driftEffect,
  type Moments,
  meanShift,
  quantileShift,
  type Range,
} from '../../../functions/quality-gate/drift.ts';
import type { Distribution } from '../../../functions/shared/profile.ts';
import { normalQuantile } from '../../../functions/shared/statistics.ts';
import { createRandom, type Random } from '../../support/random.ts';

/*
 * How often drift checks are wrong, by simulation: false alarms on batches of one law, missed drift, and bounds
 * that miss the true effect. Batches are drawn as counts of the outcomes of a law; a column without gaps is a law of
 * many outcomes. Baselines are samples too, and the cells are those that the profile would choose from them.
 */

// ---------------------------------------------------------------------------------------------------------
// Laws, and samples of them
// ---------------------------------------------------------------------------------------------------------

/** What a column is drawn from. */
interface Law {
  name: string;
  /** Chance of a null. */
  nulls: number;
  /** Chance of each outcome among the rest; they sum to 1. */
  chances: number[];
  /** The outcomes of a number, ascending; a law without is of categories. */
  values?: number[];
}

/** A law of `points` equally likely values: `of` is applied to the quantiles of the standard normal law. */
function continuous(name: string, points: number, of: (z: number) => number, nulls = 0): Law {
  const values = Array.from({ length: points }, (_, index) => of(normalQuantile((index + 0.5) / points)));
  return { name, nulls, values, chances: values.map(() => 1 / points) };
}

/** The law with a share of its values set to zero. */
function withZeros(law: Law, share: number, nulls = 0): Law {
  const chances = new Map(
    law.values?.map((value, index) => [value, (law.chances[index] ?? 0) * (1 - share)]),
  );
  chances.set(0, (chances.get(0) ?? 0) + share);
  const sorted = [...chances].sort(([a], [b]) => a - b);
  return {
    name: `${law.name}, ${share * 100} % zeros`,
    nulls,
    values: sorted.map(([value]) => value),
    chances: sorted.map(([, chance]) => chance),
  };
}

function integers(name: string, weights: number[], nulls = 0): Law {
  return { name, nulls, values: weights.map((_, index) => index), chances: normalized(weights) };
}

function poisson(mean: number, nulls = 0): Law {
  const weights = [1];
  for (let k = 1; k < 40; k++) weights.push(((weights[k - 1] ?? 0) * mean) / k);
  return integers(`Poisson ${mean}`, weights, nulls);
}

function normalized(weights: number[]): number[] {
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return weights.map((weight) => weight / total);
}

function even(size: number): number[] {
  return normalized(Array(size).fill(1));
}

function zipf(size: number, exponent = 1): number[] {
  return normalized(Array.from({ length: size }, (_, index) => (index + 1) ** -exponent));
}

/** The twenty columns of a dataset. */
function datasetOf(points: number): Law[] {
  return [
    continuous('normal', points, (z) => z),
    continuous('normal, far from zero', points, (z) => 1000 + z),
    continuous('normal, 10 % null', points, (z) => 10 + z, 0.1),
    continuous('normal, hardly any null', points, (z) => -40 + z, 0.005),
    continuous('log-normal', points, Math.exp),
    continuous('log-normal, heavy', points, (z) => Math.exp(1.5 * z), 0.02),
    continuous('cubed normal', points, (z) => z ** 3),
    withZeros(continuous('log-normal', points, Math.exp), 0.6),
    withZeros(continuous('log-normal', points, Math.exp), 0.95, 0.01),
    withZeros(
      continuous('normal', points, (z) => 5 + z),
      0.003,
    ),
    poisson(1, 0.05),
    poisson(4),
    integers(
      'geometric',
      zipf(60, 0).map((_, index) => 0.9 ** index),
    ),
    integers('sixty integers', even(60)),
    { name: 'boolean', nulls: 0, chances: even(2) },
    { name: 'rare boolean', nulls: 0.001, chances: [0.98, 0.02] },
    { name: 'twenty even categories', nulls: 0, chances: even(20) },
    { name: 'fifty categories', nulls: 0.2, chances: zipf(50) },
    { name: 'five hundred categories', nulls: 0.03, chances: zipf(500) },
    { name: 'steep categories', nulls: 0, chances: zipf(30, 2) },
  ];
}

interface Sample {
  nulls: number;
  /** Rows of each outcome of the law. */
  counts: number[];
}

function draw(law: Law, rows: number, random: Random): Sample {
  const nulls = random.binomial(rows, law.nulls);
  if (rows > 5000) return { nulls, counts: random.multinomial(rows - nulls, law.chances) };
  const counts = law.chances.map(() => 0);
  const bounds = cumulative(law);
  for (let row = nulls; row < rows; row++) {
    const at = random.uniform();
    let [low, high] = [0, bounds.length - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (at < (bounds[middle] ?? 1)) high = middle;
      else low = middle + 1;
    }
    counts[low] = (counts[low] ?? 0) + 1;
  }
  return { nulls, counts };
}

const cumulated = new WeakMap<Law, number[]>();
function cumulative(law: Law): number[] {
  const known = cumulated.get(law);
  if (known !== undefined) return known;
  let sum = 0;
  const bounds = law.chances.map((chance) => {
    sum += chance;
    return sum;
  });
  cumulated.set(law, bounds);
  return bounds;
}

/** What the profiles of two samples say of a column. */
interface Compared {
  batch: Distribution;
  baseline: Distribution;
  /** Of a number that both have values of. */
  summary?: { batch: Moments & Range; baseline: Moments & Range };
}

function compare(law: Law, batch: Sample, baseline: Sample): Compared {
  if (law.values !== undefined) {
    const [now, then] = [seen(law.values, batch), seen(law.values, baseline)];
    const cells = chooseCells(then, true);
    const [first, second] = [summaryOf(now), summaryOf(then)];
    return {
      batch: countOver(now, cells, batch.nulls),
      baseline: countOver(then, cells, baseline.nulls),
      ...(first !== undefined && second !== undefined && { summary: { batch: first, baseline: second } }),
    };
  }
  const names = law.chances.map((_, index) => `value ${index}`);
  const [now, then] = [seen(names, batch), seen(names, baseline)];
  const ranked = then.values
    .map((value, index) => ({ value, count: then.counts[index] ?? 0 }))
    .sort((a, b) => b.count - a.count);
  const listed = categories(
    { values: ranked.map(({ value }) => value), counts: ranked.map(({ count }) => count) },
    { rows: rowsOf(then), distinct: ranked.length, nulls: baseline.nulls },
    1600,
  );
  const found = new Map(now.values.map((value, index) => [value, now.counts[index] ?? 0]));
  return {
    batch: countCategories(found, listed, { rows: rowsOf(now), nulls: batch.nulls }),
    baseline: listed,
  };
}

function seen<V>(values: V[], { counts }: Sample): { values: V[]; counts: number[] } {
  const present = values.map((_, index) => index).filter((index) => (counts[index] ?? 0) > 0);
  return {
    values: present.map((index) => values[index] as V),
    counts: present.map((index) => counts[index] ?? 0),
  };
}

function rowsOf({ counts }: { counts: number[] }): number {
  return counts.reduce((sum, count) => sum + count, 0);
}

function summaryOf(found: { values: number[]; counts: number[] }): (Moments & Range) | undefined {
  const both = moments(found);
  const [min, max] = [found.values[0], found.values.at(-1)];
  if (both === undefined || min === undefined || max === undefined) return undefined;
  return { count: rowsOf(found), ...both, min, max };
}

type Check = DriftMeasure | 'mean' | 'median';

function effectOf(
  check: Check,
  { batch, baseline, summary }: Compared,
  options: { limit: number; confidence: number },
): DriftEffect | undefined {
  if (check === 'mean') return summary && meanShift(summary.batch, summary.baseline, options);
  if (check === 'median') {
    if (summary === undefined || batch.kind !== 'numeric' || baseline.kind !== 'numeric') return undefined;
    return quantileShift(0.5, batch, baseline, { ...options, std: summary.baseline.std, ranges: summary });
  }
  return driftEffect(check, batch, baseline, { ...options, moments: summary });
}

// ---------------------------------------------------------------------------------------------------------
// False alarms
// ---------------------------------------------------------------------------------------------------------

const OF_NUMBERS: Check[] = ['psi', 'js', 'ks', 'wasserstein', 'mean', 'median'];
const OF_CATEGORIES: Check[] = ['psi', 'js', 'linf'];
/** Limits as people choose them. */
const USUAL: Record<Check, number> = {
  psi: 0.1,
  js: 0.1,
  ks: 0.1,
  wasserstein: 0.1,
  linf: 0.05,
  mean: 0.1,
  median: 0.2,
};
/** Limits so tight that nobody should choose them: hardly more than no effect. */
const TIGHT: Record<Check, number> = {
  psi: 0.02,
  js: 0.05,
  ks: 0.02,
  wasserstein: 0.02,
  linf: 0.01,
  mean: 0.02,
  median: 0.02,
};

function checksOf(law: Law): Check[] {
  return law.values === undefined ? OF_CATEGORIES : OF_NUMBERS;
}

/** 99 %, divided over all drift checks of the dataset, as judgement does. */
const CHECKS = datasetOf(2).reduce((sum, law) => sum + checksOf(law).length, 0);
const CONFIDENCE = 1 - 0.01 / CHECKS;

interface Tally {
  /** Batches with a check that fails by the usual limits, and by the tight ones. */
  failed: number;
  failedTight: number;
  /** Which checks failed, for the message. */
  culprits: string[];
  /** Checks that were computed, and those that pass by the usual limits. */
  computed: number;
  passed: number;
}

/** Draws pairs of batches from one law and judges the second of each against the first. */
function judgePairs(
  { batchRows, baselineRows, pairs }: { batchRows: number; baselineRows: number; pairs: number },
  confidence = CONFIDENCE,
): Tally {
  const random = createRandom(batchRows * 7 + baselineRows);
  const dataset = datasetOf(Math.max(batchRows, baselineRows) > 5000 ? 400 : 4000);
  const tally: Tally = { failed: 0, failedTight: 0, culprits: [], computed: 0, passed: 0 };
  for (let pair = 0; pair < pairs; pair++) {
    let [failed, failedTight] = [false, false];
    for (const law of dataset) {
      const baseline = draw(law, baselineRows, random);
      const compared = compare(law, draw(law, batchRows, random), baseline);
      for (const check of checksOf(law)) {
        const effect = effectOf(check, compared, { limit: USUAL[check], confidence });
        // A small sample of a column that is nearly all zeros may be constant, which has no deviation to measure by.
        if (effect === undefined) continue;
        tally.computed++;
        if (effect.high <= USUAL[check]) tally.passed++;
        if (effect.low > USUAL[check]) failed = true;
        if (effect.low > TIGHT[check]) {
          failedTight = true;
          tally.culprits.push(`${check} of ${law.name}`);
        }
      }
    }
    if (failed) tally.failed++;
    if (failedTight) tally.failedTight++;
  }
  return tally;
}

describe('1,000 pairs of batches of one law, 20 columns each', () => {
  it.each([60, 200, 1000, 100_000])(
    'fail at most 1 % of the time, at %d rows',
    (rows) => {
      const tally = judgePairs({ batchRows: rows, baselineRows: rows, pairs: 1000 });

      expect(tally.computed).toBeGreaterThan(0.98 * 1000 * CHECKS);
      expect(tally.failed, tally.culprits.join('\n')).toBeLessThanOrEqual(10);
      expect(tally.failedTight, tally.culprits.join('\n')).toBeLessThanOrEqual(10);
      // With so many rows every check is conclusive.
      if (rows === 100_000) expect(tally.passed).toBe(tally.computed);
    },
    120_000,
  );

  it.each([
    [60, 20_000],
    [1000, 20_000],
    [20_000, 60],
    [20_000, 1000],
  ])('nor do they with a batch of %d rows and a baseline of %d', (batchRows, baselineRows) => {
    const tally = judgePairs({ batchRows, baselineRows, pairs: 200 });
    expect(tally.failed, tally.culprits.join('\n')).toBeLessThanOrEqual(2);
    expect(tally.failedTight, tally.culprits.join('\n')).toBeLessThanOrEqual(2);
  });
});

describe('the simulation', () => {
  it('has enough noise to alarm whoever is not careful', () => {
    const careless = judgePairs({ batchRows: 200, baselineRows: 200, pairs: 50 }, 0.5);
    expect(careless.failed).toBeGreaterThan(45);
  });

  it('draws what it says', () => {
    const random = createRandom(1);
    const draws = 200_000;
    for (const [n, p] of [
      [10, 0.3],
      [1000, 0.01],
      [1000, 0.45],
      [1_000_000, 0.7],
    ] as const) {
      let [sum, squares] = [0, 0];
      for (let round = 0; round < draws; round++) {
        const away = random.binomial(n, p) - n * p;
        sum += away;
        squares += away * away;
      }
      const variance = n * p * (1 - p);
      expect(Math.abs(sum / draws)).toBeLessThan(4 * Math.sqrt(variance / draws));
      expect(squares / draws / variance).toBeCloseTo(1, 1);
    }
    const counts = random.multinomial(1_000_000, [0.5, 0.2, 0.3]);
    expect(rowsOf({ counts })).toBe(1_000_000);
    expect((counts[1] ?? 0) / 1_000_000).toBeCloseTo(0.2, 2);
  });
});

// ---------------------------------------------------------------------------------------------------------
// Power and coverage
// ---------------------------------------------------------------------------------------------------------

/** A law, and how it drifts: `by(0)` is the law itself, and the effect grows with the argument. */
interface Drift {
  law: Law;
  by(amount: number): Law;
}

const DECILES = Array.from({ length: 9 }, (_, index) => normalQuantile((index + 1) / 10));

/** Changes the chances of the same outcomes. */
function reweighted(law: Law, weight: (index: number, chance: number) => number): Law {
  return { ...law, chances: normalized(law.chances.map((chance, index) => weight(index, chance))) };
}

function drifts(): Record<string, Drift> {
  const base = continuous('normal', 400, (z) => z);
  const zeros = withZeros(
    continuous('normal', 400, (z) => 20 + z),
    0.02,
  );
  const nulls = { ...base, nulls: 0.02 };
  const five: Law = { name: 'five', nulls: 0, chances: even(5) };
  const twenty: Law = { name: 'twenty', nulls: 0, chances: even(20) };
  const skewed: Law = { name: 'fifty', nulls: 0, chances: zipf(50) };
  const rare: Law = { name: 'rare', nulls: 0, chances: normalized([0.002, ...even(10)]) };
  const counts = poisson(4);
  return {
    'a shifted number': {
      law: base,
      // The density of the shifted normal law over that of the law itself.
      by: (amount) => reweighted(base, (index) => Math.exp(amount * (base.values?.[index] ?? 0))),
    },
    'a number spread wider': {
      law: base,
      by: (amount) =>
        reweighted(base, (index) => Math.exp((amount * Math.min(9, (base.values?.[index] ?? 0) ** 2)) / 4)),
    },
    'zeros in the place of values': { law: zeros, by: (amount) => moreZeros(zeros, amount / 20) },
    'nulls in the place of values': { law: nulls, by: (amount) => ({ ...nulls, nulls: 0.02 + amount / 20 }) },
    'a count that grows': { law: counts, by: (amount) => poisson(4 + amount) },
    'one of twenty categories takes over': {
      law: twenty,
      by: (amount) => reweighted(twenty, (index, chance) => (index === 3 ? chance + amount / 10 : chance)),
    },
    'one of five categories dwindles': {
      law: five,
      by: (amount) =>
        reweighted(five, (index, chance) => (index === 3 ? chance * Math.exp(-amount) : chance)),
    },
    'the tail of fifty categories grows': {
      law: skewed,
      by: (amount) => reweighted(skewed, (index, chance) => (index < 10 ? chance : chance * (1 + amount))),
    },
    'a rare category grows': {
      law: rare,
      by: (amount) => reweighted(rare, (index, chance) => (index === 0 ? chance + amount / 20 : chance)),
    },
  };
}

function moreZeros(law: Law, share: number): Law {
  return {
    ...law,
    chances: law.chances.map(
      (chance, index) => chance * (1 - share) + (law.values?.[index] === 0 ? share : 0),
    ),
  };
}

/** Shares of the cells that PSI is defined over: null, zero, deciles of the normal law or every other outcome. */
function trueShares(law: Law): number[] {
  const shares = new Map<string, number>([['null', law.nulls]]);
  for (const [index, chance] of law.chances.entries()) {
    const value = law.values?.[index];
    const smooth = law.name.startsWith('normal') && value !== undefined && value !== 0;
    const centre = law.name.includes('zeros') ? 20 : 0;
    const cell = smooth
      ? `decile ${DECILES.filter((edge) => edge < value - centre).length}`
      : `outcome ${index}`;
    shares.set(cell, (shares.get(cell) ?? 0) + chance * (1 - law.nulls));
  }
  return [...shares.values()];
}

function truePsi(now: Law, then: Law): number {
  const [p, q] = [trueShares(now), trueShares(then)];
  return p.reduce((sum, share, index) => {
    const other = q[index] ?? 0;
    return share === other ? sum : sum + (share - other) * Math.log(share / other);
  }, 0);
}

function trueJs(now: Law, then: Law): number {
  const [p, q] = [trueShares(now), trueShares(then)];
  const bits = (a: number, b: number) => (a === 0 ? 0 : (a / 2) * Math.log2((2 * a) / (a + b)));
  return Math.sqrt(p.reduce((sum, share, i) => sum + bits(share, q[i] ?? 0) + bits(q[i] ?? 0, share), 0));
}

function trueLinf(now: Law, then: Law): number {
  const [p, q] = [trueShares(now), trueShares(then)];
  return Math.max(...p.map((share, index) => Math.abs(share - (q[index] ?? 0))));
}

/** How far a law has to drift for a true effect of that size; undefined where it cannot. */
function amountFor(
  { law, by }: Drift,
  truth: (now: Law, then: Law) => number,
  size: number,
): number | undefined {
  let [low, high] = [0, 1];
  while (truth(by(high), law) < size) {
    high *= 2;
    if (high > 64) return undefined;
  }
  for (let round = 0; round < 50; round++) {
    const middle = (low + high) / 2;
    if (truth(by(middle), law) < size) low = middle;
    else high = middle;
  }
  return high;
}

/** Effects of batches that have drifted so far, each against a baseline of its own. */
function effectsOf(
  check: Check,
  laws: { original: Law; drifted: Law },
  rows: { batch: number; baseline: number; pairs: number },
  options: { limit: number; confidence: number },
): DriftEffect[] {
  const random = createRandom(rows.batch * 7 + rows.baseline);
  return Array.from({ length: rows.pairs }, () => {
    const baseline = draw(laws.original, rows.baseline, random);
    const compared = compare(laws.original, draw(laws.drifted, rows.batch, random), baseline);
    const effect = effectOf(check, compared, options);
    if (effect === undefined) throw new Error(`${check} of ${laws.original.name} was not computed`);
    return effect;
  });
}

function share(effects: DriftEffect[], holds: (effect: DriftEffect) => boolean): number {
  return effects.filter(holds).length / effects.length;
}

describe('power', () => {
  for (const limit of [0.1, 0.2]) {
    it.each(Object.entries(drifts()))(`fails a PSI of twice ${limit} at 10,000 rows: %s`, (_, drift) => {
      const amount = amountFor(drift, truePsi, 2 * limit);
      if (amount === undefined) throw new Error('this law cannot drift so far');
      const effects = effectsOf(
        'psi',
        { original: drift.law, drifted: drift.by(amount) },
        { batch: 10_000, baseline: 10_000, pairs: 300 },
        { limit, confidence: CONFIDENCE },
      );
      expect(share(effects, ({ low }) => low > limit)).toBeGreaterThanOrEqual(0.99);
    });
  }

  it.each([200, 1000, 10_000])('tells the smallest effect that %d rows detect', (rows) => {
    const drift = drifts()['a shifted number'] as Drift;
    for (const [check, truth] of [
      ['psi', truePsi],
      ['js', trueJs],
    ] as const) {
      const options = { limit: USUAL[check], confidence: CONFIDENCE };
      const size = { batch: rows, baseline: rows, pairs: 300 };
      const told = effectsOf(check, { original: drift.law, drifted: drift.law }, size, options)[0];
      const amount = amountFor(drift, truth, told?.smallestDetectable ?? 0);
      if (amount === undefined) throw new Error('this law cannot drift so far');
      const effects = effectsOf(check, { original: drift.law, drifted: drift.by(amount) }, size, options);
      const detected = share(effects, ({ low }) => low > options.limit);
      expect(detected, check).toBeGreaterThan(0.65);
      expect(detected, check).toBeLessThan(0.92);
    }
  });
});

describe('bounds miss a true effect at the limit about as seldom as they say', () => {
  /** Wide enough to count misses: 1 %, where judgement asks for a hundredth of that. */
  const confidence = 0.99;

  it.each([
    [200, 200],
    [1000, 1000],
    [10_000, 10_000],
    [300, 20_000],
    [20_000, 300],
  ])('psi, js and linf, for a batch of %d rows and a baseline of %d', (batch, baseline) => {
    for (const [name, drift] of Object.entries(drifts())) {
      for (const [check, truth] of [
        ['psi', truePsi],
        ['js', trueJs],
        ['linf', trueLinf],
      ] as const) {
        if (check === 'linf' && drift.law.values !== undefined) continue;
        const limit = USUAL[check];
        const amount = amountFor(drift, truth, limit);
        if (amount === undefined) continue;
        const effects = effectsOf(
          check,
          { original: drift.law, drifted: drift.by(amount) },
          { batch, baseline, pairs: 400 },
          { limit, confidence },
        );
        const of = `${check}: ${name}`;
        expect(
          share(effects, ({ low }) => low > limit),
          of,
        ).toBeLessThanOrEqual(0.0225);
        expect(
          share(effects, ({ high }) => high < limit),
          of,
        ).toBeLessThanOrEqual(0.04);
      }
    }
  });

  it.each([60, 1000])('ks, Wasserstein, mean and median, for a shift at %d rows', (rows) => {
    const points = 4000;
    for (const [name, of] of [
      ['normal', (z: number) => z],
      ['log-normal', Math.exp],
    ] as const) {
      const then = continuous(name, points, of);
      const deviation = moments({ values: then.values ?? [], counts: then.chances })?.std ?? 0;
      const shift = 0.2 * deviation;
      const random = createRandom(rows);
      const truths = {
        ks: trueKs(then, shift),
        wasserstein: shift,
        mean: shift,
        median: shift,
      };
      const missed: Record<string, number> = {};
      const pairs = 1000;
      for (let pair = 0; pair < pairs; pair++) {
        const baseline = draw(then, rows, random);
        const batch = draw(then, rows, random);
        const compared = shifted(then, batch, baseline, shift);
        for (const [check, truth] of Object.entries(truths) as [Check, number][]) {
          const effect = effectOf(check, compared, { limit: 0.1, confidence });
          // The unit is the deviation that this very baseline has.
          const unit = check === 'ks' ? 1 : (compared.summary?.baseline.std ?? 0);
          if (effect === undefined) throw new Error(`${check} was not computed`);
          if (effect.low * unit > truth) missed[`${check} low`] = (missed[`${check} low`] ?? 0) + 1;
          if (effect.high * unit < truth) missed[`${check} high`] = (missed[`${check} high`] ?? 0) + 1;
        }
      }
      for (const [bound, times] of Object.entries(missed)) {
        expect(times / pairs, `${bound} of ${name}`).toBeLessThanOrEqual(0.02);
      }
    }
  });

  /** Compares a sample of a law, moved by `shift`, with another as it is. */
  function shifted(law: Law, batch: Sample, baseline: Sample, shift: number): Compared {
    const moved = (law.values ?? []).map((value) => value + shift);
    const [now, then] = [seen(moved, batch), seen(law.values ?? [], baseline)];
    const cells = chooseCells(then, true);
    const [first, second] = [summaryOf(now), summaryOf(then)];
    if (first === undefined || second === undefined) throw new Error('no rows');
    return {
      batch: countOver(now, cells, 0),
      baseline: countOver(then, cells, 0),
      summary: { batch: first, baseline: second },
    };
  }

  /** Largest difference of the cumulative shares of a law and of itself moved up by `shift`. */
  function trueKs({ values = [] }: Law, shift: number): number {
    let behind = 0;
    return Math.max(
      ...values.map((value, index) => {
        while ((values[behind] ?? 0) + shift <= value) behind++;
        return (index + 1 - behind) / values.length;
      }),
    );
  }
});
