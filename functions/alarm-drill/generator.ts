import {
  type Cell,
  categoriesOf,
  coarseCells,
  nullsOf,
  type Piece,
  piecesOf,
} from '../shared/drift-cells.ts';
import { GateInputError } from '../shared/errors.ts';
import { formatNumber } from '../shared/format.ts';
import type { ColumnProfile, Distribution, NumericDistribution, Profile } from '../shared/profile.ts';
import { nextUniform, type RandomState } from '../shared/random.ts';

/*
 * Synthetic records that look like the baseline, but for one feature that has moved by a known amount.
 *
 * Features are drawn independently of each other: each has its own law, what they have in common is lost. Drift monitors
 * look at one feature at a time, so that is what they are shown.
 */

export type DriftMeasure = 'psi' | 'ks';

/** What a feature is drawn from: a distribution with shares, which sum to 1, in the place of counts. */
export type Law = Distribution;

/** One value of a record. */
export type Value = string | number | boolean | null;

/** Beyond it e^-tilt is no longer a number above 0. */
const STEEPEST_TILT = 700;

/** How exactly a law has the drift that was asked for. */
const TOLERANCE = 1e-9;

const SECOND_MS = 1_000;
const DAY_MS = 86_400_000;

/** A cell whose ends differ by more than this factor is filled evenly in the logarithm. */
const WIDE = 10;

/** Digits of a number that is drawn from a range. */
const DIGITS = 7;

// ---------------------------------------------------------------------------------------------------------
// Laws
// ---------------------------------------------------------------------------------------------------------

/**
 * The law of the baseline itself. Values that it does not list cannot be drawn: their share goes to those that it lists.
 *
 * @throws GateInputError where the baseline has no value to draw
 */
export function baselineLaw(baseline: Distribution): Law {
  const values = massesOf(baseline);
  const listed = sumOf(values);
  if (listed === 0) throw new GateInputError('the baseline has no value that could be drawn');
  const rows = rowsOf(baseline);
  const nulls = baseline.nulls / rows;
  return withMasses(
    baseline,
    values.map((mass) => (mass / listed) * (1 - nulls)),
    nulls,
  );
}

/**
 * Tilts the law of a baseline until its drift is the one that is asked for. Shares grow or shrink exponentially along the
 * order of a number, or from the most frequent category to the rarest; upwards where that is enough, else downwards.
 * Nulls keep their share.
 *
 * The drift is the true effect over the cells that the quality gate compares: PSI over those that expect enough of
 * `records` rows, KS over all edges and atoms.
 *
 * @param drift in the unit of its measure, from 0; met within 1e-6
 * @param records of the samples to be drawn from it
 * @throws GateInputError where no tilt has this drift
 */
export function driftedLaw(
  baseline: Distribution,
  measure: DriftMeasure,
  drift: number,
  records: number,
): Law {
  if (measure === 'ks' && baseline.kind === 'categorical') {
    throw new GateInputError('ks compares numbers, and this feature has categories; measure it by psi');
  }
  const law = baselineLaw(baseline);
  const effect = (tilt: number) => effectOf(measure, tilted(law, tilt), baseline, records);
  const least = effect(0);
  if (Math.abs(least - drift) <= TOLERANCE) return law;
  if (least > drift) {
    throw unreachable(
      measure,
      drift,
      `the baseline does not list all values, and without the others it is ${formatNumber(least, drift)} at least`,
    );
  }
  const upwards = effect(STEEPEST_TILT);
  if (upwards >= drift) return tilted(law, solve(effect, drift));
  const downwards = effect(-STEEPEST_TILT);
  if (downwards >= drift) return tilted(law, -solve((tilt) => effect(-tilt), drift));
  const most = Math.max(upwards, downwards);
  throw unreachable(
    measure,
    drift,
    `with the values of the baseline it is ${formatNumber(most, drift)} at most`,
  );
}

function unreachable(measure: DriftMeasure, drift: number, why: string): GateInputError {
  return new GateInputError(`no synthetic records have a ${measure} of ${formatNumber(drift)}: ${why}`, {
    help: 'Choose another feature, or a drift that can be reached.',
  });
}

/** The tilt at which an effect, which is below `target` at 0 and above it in the end, meets it. */
function solve(effect: (tilt: number) => number, target: number): number {
  let low = 0;
  let high = 1;
  while (high < STEEPEST_TILT && effect(high) < target) [low, high] = [high, 2 * high];
  high = Math.min(high, STEEPEST_TILT);
  for (;;) {
    const middle = (low + high) / 2;
    const found = effect(middle);
    // Neighbouring numbers have none between them.
    if (Math.abs(found - target) <= TOLERANCE || middle <= low || middle >= high) return middle;
    if (found < target) low = middle;
    else high = middle;
  }
}

/** Multiplies each share by e^(tilt × rank), where ranks go from 0 to 1 along the order of the values. */
function tilted(law: Law, tilt: number): Law {
  const masses = massesOf(law);
  const total = sumOf(masses);
  // At most 1 each, so that none overflows.
  const top = Math.max(0, tilt);
  let below = 0;
  const weighted = masses.map((mass) => {
    const rank = (below + mass / 2) / total;
    below += mass;
    return mass * Math.exp(tilt * rank - top);
  });
  const scale = total / sumOf(weighted);
  return withMasses(
    law,
    weighted.map((mass) => mass * scale),
    law.nulls,
  );
}

/** Shares or counts of all values in their order, without nulls and without what is not listed. */
function massesOf(distribution: Distribution): number[] {
  if (distribution.kind === 'categorical') return distribution.counts;
  return piecesOf(distribution, distribution).map(({ batch }) => batch);
}

/** The cells of `like` with other masses, in the order of {@link massesOf}. */
function withMasses(like: Distribution, masses: readonly number[], nulls: number): Distribution {
  if (like.kind === 'categorical') return { ...like, counts: [...masses], other: 0, otherDistinct: 0, nulls };
  const cells: number[] = [];
  const atomCounts: number[] = [];
  for (const [index, { from, to }] of piecesOf(like, like).entries()) {
    (from === to ? atomCounts : cells).push(masses[index] ?? 0);
  }
  return { ...like, cells, atomCounts, nulls };
}

function rowsOf(distribution: Distribution): number {
  const other = distribution.kind === 'categorical' ? distribution.other : 0;
  return sumOf(massesOf(distribution)) + other + distribution.nulls;
}

function sumOf(numbers: readonly number[]): number {
  return numbers.reduce((sum, number) => sum + number, 0);
}

// ---------------------------------------------------------------------------------------------------------
// Effects
// ---------------------------------------------------------------------------------------------------------

/**
 * The drift of records that were sent, less what chance alone adds to the PSI of so many: the same that
 * {@link driftedLaw} was asked for, where {@link chanceOf} was added.
 *
 * @param sent counted over the cells of `baseline`
 */
export function driftOf(measure: DriftMeasure, sent: Distribution, baseline: Distribution): number {
  const records = rowsOf(sent);
  if (records === 0) return 0;
  const drift = effectOf(measure, sent, baseline, records);
  return Math.max(0, drift - chanceOf(measure, baseline, records));
}

/**
 * What chance adds to the PSI of so many records, in the mean. Records that are spread evenly over their law do not have
 * it; with it they look like any that were drawn by chance, both to monitors that correct for it and to those that do
 * not. KS is not corrected by anybody.
 */
export function chanceOf(measure: DriftMeasure, baseline: Distribution, records: number): number {
  if (measure === 'ks') return 0;
  const cells = comparedCells(baselineLaw(baseline), baseline, records);
  return (cells.length - 1) * (1 / records + 1 / rowsOf(baseline));
}

/** Shares or counts of `batch` against the baseline. */
function effectOf(
  measure: DriftMeasure,
  batch: Distribution,
  baseline: Distribution,
  records: number,
): number {
  return measure === 'psi'
    ? psi(comparedCells(batch, baseline, records), records)
    : kolmogorovSmirnov(batch, baseline);
}

/** The cells over which PSI compares so many records with the baseline. */
function comparedCells(batch: Distribution, baseline: Distribution, records: number): Cell[] {
  const scale = records / rowsOf(batch);
  const scaled = withMasses(
    batch,
    massesOf(batch).map((mass) => mass * scale),
    batch.nulls * scale,
  );
  if (scaled.kind === 'numeric' && baseline.kind === 'numeric') {
    return coarseCells([...piecesOf(scaled, baseline), nullsOf(scaled, baseline)]);
  }
  if (scaled.kind === 'categorical' && baseline.kind === 'categorical') {
    return coarseCells([...categoriesOf(scaled, baseline), nullsOf(scaled, baseline)]);
  }
  throw new RangeError(`${batch.kind} values do not compare with a ${baseline.kind} baseline`);
}

/** A cell that only the baseline has counts as half a record, and never as more than would be expected there. */
function psi(cells: readonly Cell[], records: number): number {
  const total = cells.reduce((sum, { baseline }) => sum + baseline, 0);
  return cells.reduce((sum, { batch, baseline }) => {
    if (baseline === 0) return sum;
    const q = baseline / total;
    const p = batch > 0 ? batch / records : Math.min(0.5 / records, q);
    return sum + (p - q) * Math.log(p / q);
  }, 0);
}

function kolmogorovSmirnov(batch: Distribution, baseline: Distribution): number {
  const [ours, theirs] = [massesOf(batch), massesOf(baseline)];
  const [n, m] = [sumOf(ours), sumOf(theirs)];
  let gap = 0;
  let most = 0;
  for (const [index, mass] of ours.entries()) {
    gap += mass / n - (theirs[index] ?? 0) / m;
    most = Math.max(most, Math.abs(gap));
  }
  return most;
}

// ---------------------------------------------------------------------------------------------------------
// Records
// ---------------------------------------------------------------------------------------------------------

/** A feature that can be drawn. */
export interface DrawableFeature {
  column: ColumnProfile;
  distribution: Distribution;
}

/**
 * Looks a feature up in a profile.
 *
 * @throws GateInputError where there is no such column, or nothing is known of its values
 */
export function featureOf(profile: Profile, feature: string): DrawableFeature {
  const column = Object.hasOwn(profile.columns, feature) ? profile.columns[feature] : undefined;
  const of = `column "${feature}" of the baseline of ${profile.dataset}`;
  if (column === undefined) throw new GateInputError(`there is no ${of}`);
  if (column.distribution === undefined) {
    throw new GateInputError(
      column.pii === true
        ? `${of} is personal data: its values are kept nowhere, so no synthetic ones can be drawn`
        : `${of} has no values to draw from`,
    );
  }
  return { column, distribution: column.distribution };
}

/**
 * Draws records. The values of a feature are spread over its law as evenly as they can be, each cell getting its share to
 * within one record, and come in random order: the drift of the sample is that of its law.
 *
 * Numbers are spread evenly within their cells (wide cells: in the logarithm), integers are whole, times and dates are
 * texts such as `2001-02-28 09:30:00` and `2001-02-28`.
 *
 * @param drifted the feature that does not follow the baseline; left out: all do
 * @returns one array a record, in the order of `features`
 * @throws GateInputError as {@link featureOf}, or where a baseline has no value to draw
 */
export function sampleRecords(
  profile: Profile,
  features: readonly string[],
  drifted: { feature: string; law: Law } | undefined,
  records: number,
  random: RandomState,
): Value[][] {
  const columns = features.map((feature) => {
    const { column, distribution } = featureOf(profile, feature);
    const law = drifted?.feature === feature ? drifted.law : baselineLaw(distribution);
    return shuffled(sampleColumn(column, law, records, random), random);
  });
  return Array.from({ length: records }, (_, row) => columns.map((values) => values[row] ?? null));
}

/** Values of one column, in their order. */
function sampleColumn(column: ColumnProfile, law: Law, records: number, random: RandomState): Value[] {
  const values: Value[] = [];
  const quota = quotas(records, random);
  for (let nulls = quota(law.nulls); nulls > 0; nulls--) values.push(null);
  if (law.kind === 'numeric') {
    for (const piece of piecesOf(law, law)) {
      const count = quota(piece.batch);
      for (let place = 0; place < count; place++) {
        const point = pointIn(piece, column, law, (place + nextUniform(random)) / count);
        values.push(written(point, column));
      }
    }
  } else {
    // By name, as neighbours are gathered: a group gets its share to within one record, too.
    const order = law.values
      .map((_, index) => index)
      .sort((a, b) => (law.values[a]! < law.values[b]! ? -1 : 1));
    for (const index of order) {
      const value = law.values[index] ?? '';
      const typed = column.type === 'boolean' ? value === 'true' : value;
      for (let count = quota(law.counts[index] ?? 0); count > 0; count--) values.push(typed);
    }
  }
  return values;
}

/**
 * Systematic sampling: hands out `records` places to one share after the other, so that shares and sums of neighbouring
 * shares alike get what is theirs to within one.
 */
function quotas(records: number, random: RandomState): (share: number) => number {
  const start = nextUniform(random);
  let sum = 0;
  let given = 0;
  return (share) => {
    sum += share;
    // The sum of all shares may miss 1 by rounding.
    const due = Math.min(records, Math.floor(sum * records * (1 + 1e-12) + start));
    const count = due - given;
    given = due;
    return count;
  };
}

/** Fisher and Yates, in place. */
function shuffled<T>(items: T[], random: RandomState): T[] {
  for (let last = items.length - 1; last > 0; last--) {
    const other = Math.floor(nextUniform(random) * (last + 1));
    [items[last], items[other]] = [items[other]!, items[last]!];
  }
  return items;
}

/**
 * A point in a cell, without the atom that it may end at.
 *
 * @param place in the cell, from 0 to 1
 */
function pointIn(
  { from, to }: Piece,
  { type, min = from, max = to }: ColumnProfile,
  { atoms }: NumericDistribution,
  place: number,
): number {
  if (from === to) return to;
  // The smallest value belongs to its cell, the lower edge to the one before.
  const closed = min > from;
  const low = closed ? Math.min(min, to) : from;
  const high = Math.min(to, max);
  const beforeAtom = high === to && atoms.includes(to);
  const inside = (point: number) =>
    (closed ? point >= low : point > low) && (beforeAtom ? point < high : point <= high);
  const steps =
    type === 'integer' ? [1] : type === 'date' ? [DAY_MS] : type === 'timestamp' ? [SECOND_MS, 1] : [];
  for (const step of steps) {
    const first = closed ? Math.ceil(low / step) : Math.floor(low / step) + 1;
    const last = beforeAtom ? Math.ceil(high / step) - 1 : Math.floor(high / step);
    if (first <= last) return step * Math.min(last, first + Math.floor(place * (last - first + 1)));
  }
  const ratio = high / low;
  const wide = low !== 0 && high !== 0 && (ratio > WIDE || (ratio > 0 && ratio < 1 / WIDE));
  const point = wide ? low * ratio ** place : low + place * (high - low);
  const rounded = Number(point.toPrecision(DIGITS));
  return [rounded, point, (low + high) / 2].find(inside) ?? high;
}

/** A point on the number line as a record has it. */
function written(point: number, { type, physical }: ColumnProfile): Value {
  if (type === 'integer' || type === 'number') return point;
  const text = new Date(point).toISOString();
  const zoned = physical === 'TIMESTAMP WITH TIME ZONE';
  if (type === 'date' && !physical.startsWith('TIMESTAMP')) return text.slice(0, 10);
  const time = text.replace(/(\.000)?Z$/, '').replace('T', ' ');
  return zoned ? `${time}+00:00` : time;
}

/** Counts values of one feature, as {@link sampleRecords} draws them, over the cells of its baseline. */
export function countValues(values: readonly Value[], distribution: Distribution): Distribution {
  const nulls = values.filter((value) => value === null).length;
  if (distribution.kind === 'categorical') {
    const found = new Map<string, number>();
    for (const value of values) {
      if (value !== null) found.set(String(value), (found.get(String(value)) ?? 0) + 1);
    }
    return withMasses(
      distribution,
      distribution.values.map((value) => found.get(value) ?? 0),
      nulls,
    );
  }
  const pieces = piecesOf(distribution, distribution);
  const atoms = new Set(distribution.atoms);
  const counts = pieces.map(() => 0);
  for (const value of values) {
    if (value === null) continue;
    const point = typeof value === 'number' ? value : timeOf(String(value));
    const place = pieces.findIndex(
      ({ from, to }) => point < to || (point === to && (from === to || !atoms.has(to))),
    );
    counts[place] = (counts[place] ?? 0) + 1;
  }
  return withMasses(distribution, counts, nulls);
}

/** Milliseconds since 1970 of what {@link written} wrote. */
function timeOf(text: string): number {
  const [day = '', time = '00:00:00'] = text.split(/[ T]/);
  return Date.parse(`${day}T${time.replace(/\+00:00$/, '')}Z`);
}
