/**
 * Mean of `values` by `weights`, both of the same length. A weight of zero takes the value out; with none left the
 * mean is NaN.
 */
export function weightedMean(values: Float64Array, weights: Float64Array): number {
  let sum = 0;
  let total = 0;
  for (let row = 0; row < weights.length; row++) {
    const weight = weights[row]!;
    // Also where the value is infinite, which times zero would be NaN.
    if (weight === 0) continue;
    sum += weight * values[row]!;
    total += weight;
  }
  return sum / total;
}

/** A metric that came out as infinite or NaN has no value. */
export const TOO_LARGE = 'the numbers are too large to compute with';
