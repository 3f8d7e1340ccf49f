import type { CategoricalDistribution, NumericDistribution } from '../shared/profile.ts';

/*
 * From the counts of distinct values to the small distributions that a profile keeps. Pure and deterministic:
 * sums run over sorted values, never in the order in which threads happened to finish.
 */

/** How often each distinct value occurs; numbers ascending, strings most frequent first, then by value. */
export interface ValueCounts<V extends number | string> {
  values: V[];
  counts: number[];
}

/**
 * Shares of the rows between which cells end: 48 equal ones, and finer ones in the tails, without which an extreme
 * quantile could not be told apart from everything beyond the outermost edge.
 */
const CUTS = [
  ...Array.from({ length: 47 }, (_, index) => (index + 1) / 48),
  ...[0.001, 0.005, 0.995, 0.999],
].sort((a, b) => a - b);
/** A value that holds at least this share of the rows is an atom. */
const ATOM_SHARE = 0.02;

export interface Moments {
  mean: number;
  /** Standard deviation of the population. */
  std: number;
}

/** Mean and standard deviation; `undefined` without rows. */
export function moments({ values, counts }: ValueCounts<number>): Moments | undefined {
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (total === 0) return undefined;
  // Scaled, so that squares of large values do not overflow.
  const scale = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0) || 1;
  const mean = values.reduce(
    (sum, value, index) => sum + (value / scale) * ((counts[index] ?? 0) / total),
    0,
  );
  const variance = values.reduce(
    (sum, value, index) => sum + (value / scale - mean) ** 2 * ((counts[index] ?? 0) / total),
    0,
  );
  return { mean: mean * scale, std: Math.sqrt(variance) * scale };
}

/** The cells that a numeric column is counted over: its own, or its baseline's. */
export interface Cells {
  edges: number[];
  atoms: number[];
}

/**
 * Chooses cells for a column from the counts of its values (of all rows, or of a sample of them): every value that
 * holds 2 % of the rows is an atom, zero always is, and the rest falls into up to 52 cells.
 *
 * @param withZero whether zero means something in this column (numbers, not times)
 */
export function chooseCells({ values, counts }: ValueCounts<number>, withZero: boolean): Cells {
  const total = counts.reduce((sum, count) => sum + count, 0);
  const atoms = new Set<number>(withZero ? [0] : []);
  let rest = 0;
  for (const [index, value] of values.entries()) {
    const count = counts[index] ?? 0;
    if (count >= total * ATOM_SHARE && total > 0) atoms.add(value);
    else if (!atoms.has(value)) rest += count;
  }
  const edges = new Set<number>(atoms);
  let below = 0;
  let cut = 0;
  for (const [index, value] of values.entries()) {
    if (atoms.has(value)) continue;
    below += counts[index] ?? 0;
    // The last cell is open above: it needs no edge.
    if (below < (CUTS[cut] ?? 1) * rest || below === rest) continue;
    edges.add(short(value));
    while (below >= (CUTS[cut] ?? Number.POSITIVE_INFINITY) * rest) cut++;
  }
  return { edges: ascending(edges), atoms: ascending(atoms) };
}

/** Counts a column over given cells. `rest` are the counts of cells without the atoms. */
export function countOver(
  { values, counts }: ValueCounts<number>,
  cells: Cells,
  nulls: number,
): NumericDistribution {
  const { edges, atoms } = cells;
  const distribution: NumericDistribution = {
    kind: 'numeric',
    edges,
    cells: Array.from({ length: edges.length + 1 }, () => 0),
    atoms,
    atomCounts: atoms.map(() => 0),
    nulls,
  };
  const place = new Map(atoms.map((value, index) => [value, index]));
  let cell = 0;
  for (const [index, value] of values.entries()) {
    const count = counts[index] ?? 0;
    const atom = place.get(value);
    if (atom !== undefined) distribution.atomCounts[atom] = count;
    else {
      // Values ascend, so the cell only moves up.
      while (cell < edges.length && value > (edges[cell] ?? Number.POSITIVE_INFINITY)) cell++;
      distribution.cells[cell] = (distribution.cells[cell] ?? 0) + count;
    }
  }
  return distribution;
}

/** Keeps the most frequent values that fit into `bytes` of JSON; the others are counted together. */
export function categories(
  { values, counts }: ValueCounts<string>,
  totals: { rows: number; distinct: number; nulls: number },
  bytes: number,
): CategoricalDistribution {
  let left = bytes;
  let kept = 0;
  for (const [index, value] of values.entries()) {
    left -= Buffer.byteLength(JSON.stringify(value)) + String(counts[index]).length + 2;
    if (left < 0) break;
    kept++;
  }
  const listed = counts.slice(0, kept);
  return {
    kind: 'categorical',
    values: values.slice(0, kept),
    counts: listed,
    other: totals.rows - listed.reduce((sum, count) => sum + count, 0),
    otherDistinct: Math.max(0, totals.distinct - kept),
    nulls: totals.nulls,
  };
}

/** Counts a string column over the values that a baseline lists. */
export function countCategories(
  found: ReadonlyMap<string, number>,
  baseline: CategoricalDistribution,
  totals: { rows: number; nulls: number },
): CategoricalDistribution {
  const counts = baseline.values.map((value) => found.get(value) ?? 0);
  const other = totals.rows - counts.reduce((sum, count) => sum + count, 0);
  return {
    kind: 'categorical',
    values: baseline.values,
    counts,
    other,
    otherDistinct: 0,
    nulls: totals.nulls,
  };
}

function ascending(numbers: Iterable<number>): number[] {
  return [...numbers].sort((a, b) => a - b);
}

/** An edge needs no more digits than people read; where it falls exactly does not matter, only that it is kept. */
function short(value: number): number {
  return Number.isInteger(value) && Math.abs(value) < 1e15 ? value : Number(value.toPrecision(6));
}
