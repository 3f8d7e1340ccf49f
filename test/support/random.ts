/** A source of chance that gives the same draws for the same seed, on every machine. */
export interface Random {
  /** Uniform on [0, 1), in steps of 2^-32. */
  uniform(): number;
  /** Of mean 0 and deviation 1. */
  normal(): number;
  /** Successes in `n` trials of chance `p`. */
  binomial(n: number, p: number): number;
  /** How `n` draws fall onto cells of the given chances, which sum to 1. */
  multinomial(n: number, chances: readonly number[]): number[];
}

/** The generator sfc32 of the PractRand suite, which passes that suite. */
export function createRandom(seed: number): Random {
  let [a, b, c, counter] = [0, seed | 0, (seed / 2 ** 32) | 0, 1];
  const next = () => {
    const out = (((a + b) | 0) + counter++) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + out) | 0;
    return out >>> 0;
  };
  for (let round = 0; round < 16; round++) next();
  const uniform = () => next() / 2 ** 32;
  // Box and Muller.
  const normal = () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());

  const binomial = (n: number, p: number): number => {
    if (p > 0.5) return n - binomial(n, 1 - p);
    if (n * p > 20) return binomialByRejection(n, p, uniform);
    if (n === 0 || p <= 0) return 0;
    // The chances of 0, 1, 2 ... successes in turn, until they exceed the draw.
    const odds = p / (1 - p);
    let chance = (1 - p) ** n;
    let left = uniform() - chance;
    let successes = 0;
    while (left >= 0 && successes < n) {
      chance *= (odds * (n - successes)) / (successes + 1);
      successes++;
      left -= chance;
    }
    return successes;
  };

  const multinomial = (n: number, chances: readonly number[]): number[] => {
    let rows = n;
    let left = 1;
    return chances.map((chance) => {
      const count = rows === 0 ? 0 : binomial(rows, Math.min(1, left <= 0 ? 1 : chance / left));
      rows -= count;
      left -= chance;
      return count;
    });
  };

  return { uniform, normal, binomial, multinomial };
}

/** Hörmann's transformed rejection BTRS (Journal of Statistical Computation and Simulation 46, 1993), p <= 0.5. */
function binomialByRejection(n: number, p: number, uniform: () => number): number {
  const deviation = Math.sqrt(n * p * (1 - p));
  const b = 1.15 + 2.53 * deviation;
  const a = -0.0873 + 0.0248 * b + 0.01 * p;
  const centre = n * p + 0.5;
  const alpha = (2.83 + 5.1 / b) * deviation;
  const squeeze = 0.92 - 4.2 / b;
  const odds = p / (1 - p);
  const mode = Math.floor((n + 1) * p);
  for (;;) {
    const u = uniform() - 0.5;
    const v = uniform();
    const us = 0.5 - Math.abs(u);
    const k = Math.floor(((2 * a) / us + b) * u + centre);
    if (us >= 0.07 && v <= squeeze) return k;
    if (k < 0 || k > n) continue;
    const height = Math.log((v * alpha) / (a / (us * us) + b));
    const density =
      (mode + 0.5) * Math.log((mode + 1) / (odds * (n - mode + 1))) +
      (n + 1) * Math.log((n - mode + 1) / (n - k + 1)) +
      (k + 0.5) * Math.log((odds * (n - k + 1)) / (k + 1)) +
      stirlingTail(mode) +
      stirlingTail(n - mode) -
      stirlingTail(k) -
      stirlingTail(n - k);
    if (height <= density) return k;
  }
}

/** What Stirling's formula misses of ln k!. */
function stirlingTail(k: number): number {
  const inverse = 1 / (k + 1);
  const square = inverse * inverse;
  return (1 / 12 - square * (1 / 360 - square / 1260)) * inverse;
}
