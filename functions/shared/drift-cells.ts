import type { CategoricalDistribution, Distribution, NumericDistribution } from './profile.ts';

/*
 * The cells over which a batch is compared with its baseline. A profile keeps many fine ones; of those PSI and
 * Jensen-Shannon compare a few that expect enough rows.
 */

/** Rows that a cell should expect in the smaller sample: Cochran's rule for chi-square. */
const EXPECTED_ROWS = 5;
/** Rows that a value should have in the baseline to stand alone; one with fewer may owe its rank to luck. */
const ALONE_ROWS = 20;
/** Cells that all else is gathered into: the customary limits on PSI are meant for about ten. */
const GATHERED_CELLS = 10;

/** Rows of both sides in one cell. */
export interface Cell {
  batch: number;
  baseline: number;
  /**
   * Zeros, nulls and values that are not listed stand `apart`: where they appear from nothing it must be loud. So
   * does every other `value` (an atom or a category), unless it is too rare, or perhaps only `lucky` to be known by
   * itself; a `range` of numbers is always gathered with its neighbours.
   */
  kind: 'apart' | 'value' | 'lucky' | 'range';
}

/** The values in `(from, to]` without the atoms; an atom has both ends alike. */
export interface Piece extends Cell {
  from: number;
  to: number;
}

/**
 * Cells and atoms of a column of numbers or times, ascending.
 *
 * @param batch counted over exactly the cells of `baseline`
 * @throws RangeError where it is not
 */
export function piecesOf(batch: NumericDistribution, baseline: NumericDistribution): Piece[] {
  checkSame(batch.edges, baseline.edges);
  checkSame(batch.atoms, baseline.atoms);
  const atoms = new Map(baseline.atoms.map((atom, index) => [atom, index]));
  const pieces: Piece[] = [];
  let from = Number.NEGATIVE_INFINITY;
  for (const [index, count] of baseline.cells.entries()) {
    const to = baseline.edges[index] ?? Number.POSITIVE_INFINITY;
    pieces.push({ from, to, batch: batch.cells[index] ?? 0, baseline: count, kind: 'range' });
    const atom = atoms.get(to);
    if (atom !== undefined) {
      pieces.push({
        from: to,
        to,
        batch: batch.atomCounts[atom] ?? 0,
        baseline: baseline.atomCounts[atom] ?? 0,
        kind: to === 0 ? 'apart' : 'value',
      });
    }
    from = to;
  }
  return pieces;
}

/**
 * Categories in the order of their names: neighbours that are gathered must not be chosen by how often they happened
 * to occur.
 *
 * A baseline lists what it saw, and of that the most frequent, which are so partly by luck: fresh rows of the same
 * law show unlisted values more often (Good, Biometrika 40, 1953). Lucky can be the values seen once or, where not
 * all values are listed, those within two deviations of the rarest listed one. They are not compared one by one, and
 * as many of their rows as the batch has too many unlisted ones, but at most two deviations of each count, are moved
 * to "not listed" before anything is compared.
 *
 * @param batch counted over exactly the values of `baseline`
 * @throws RangeError where it is not
 */
export function categoriesOf(batch: CategoricalDistribution, baseline: CategoricalDistribution): Cell[] {
  checkSame(batch.values, baseline.values);
  const [n, m] = [rowsOf(batch), rowsOf(baseline)];
  const rarest = Math.min(...baseline.counts);
  const lucky = baseline.otherDistinct === 0 ? 1 : rarest + 2 * Math.sqrt(rarest);
  const luck = baseline.counts.map((count) => (count <= lucky ? Math.min(count, 2 * Math.sqrt(count)) : 0));
  const movable = luck.reduce((sum, count) => sum + count, 0);
  const missing = n === 0 || m === 0 ? 0 : (batch.other / n - baseline.other / m) * m;
  const moved = Math.min(movable, Math.max(0, missing));
  const listed = baseline.values
    .map((value, index) => {
      const [count = 0, byLuck = 0] = [baseline.counts[index], luck[index]];
      return {
        value,
        batch: batch.counts[index] ?? 0,
        baseline: byLuck === 0 ? count : count - (moved / movable) * byLuck,
        kind: byLuck === 0 ? ('value' as const) : ('lucky' as const),
      };
    })
    .sort((a, b) => (a.value < b.value ? -1 : 1));
  return [...listed, { batch: batch.other, baseline: baseline.other + moved, kind: 'apart' }];
}

function rowsOf({ counts, other, nulls }: CategoricalDistribution): number {
  return counts.reduce((sum, count) => sum + count, other + nulls);
}

/** The rows without a value. */
export function nullsOf(batch: Distribution, baseline: Distribution): Cell {
  return { batch: batch.nulls, baseline: baseline.nulls, kind: 'apart' };
}

/**
 * Gathers neighbours into about ten cells, of about equal shares of the baseline, that expect enough rows. It must
 * not depend on the rows of the batch: cells chosen to suit the data make a difference look too coarse.
 */
function gathered(cells: readonly Cell[], stands: (cell: Cell, expected: number) => boolean): Cell[] {
  const { n, m } = sizes(cells);
  const expected = (rows: number) => (rows / m) * Math.min(n, m);
  const standing = cells.filter((cell) => stands(cell, expected(cell.baseline)));
  const rest = cells.filter((cell) => !stands(cell, expected(cell.baseline)));
  const total = rest.reduce((sum, cell) => sum + cell.baseline, 0);
  const most = Math.floor(expected(total) / EXPECTED_ROWS);
  const groups = Array.from({ length: Math.max(1, Math.min(GATHERED_CELLS, most)) }, (): Cell => {
    return { batch: 0, baseline: 0, kind: 'range' };
  });
  let below = 0;
  for (const { batch, baseline } of rest) {
    const middle = total === 0 ? 0 : (below + baseline / 2) / total;
    const group = groups[Math.min(groups.length - 1, Math.floor(middle * groups.length))];
    below += baseline;
    if (group === undefined) continue;
    group.batch += batch;
    group.baseline += baseline;
  }
  return [...standing, ...groups].filter(({ batch, baseline }) => batch + baseline > 0);
}

/** Rows of the batch and of the baseline. */
export function sizes(cells: readonly Pick<Cell, 'batch' | 'baseline'>[]): { n: number; m: number } {
  let n = 0;
  let m = 0;
  for (const cell of cells) {
    n += cell.batch;
    m += cell.baseline;
  }
  return { n, m };
}

/** Cells that stand out, by themselves, and about ten of the rest: what an effect can be told from. */
export function coarseCells(cells: readonly Cell[]): Cell[] {
  return gathered(cells, ({ kind, baseline }, expected) => {
    return kind === 'apart' || (kind === 'value' && expected >= EXPECTED_ROWS && baseline >= ALONE_ROWS);
  });
}

/** Every value by itself, however rare, and about ten cells of the ranges of numbers. */
export function fineCells(cells: readonly Cell[]): Cell[] {
  return gathered(cells, ({ kind }) => kind !== 'range');
}

function checkSame(batch: readonly unknown[], baseline: readonly unknown[]): void {
  if (batch.length !== baseline.length || baseline.some((value, index) => batch[index] !== value)) {
    throw new RangeError('the batch is not counted over the cells of the baseline');
  }
}
