import { scaleLinear, scaleUtc } from 'd3-scale';
import { formatDuration, formatNumber, formatTime } from '../shared/format.ts';
import type { ColumnType } from '../shared/profile.ts';

/*
 * The axis of a histogram: which part of the values is shown, on which scale, and how values read. Pure.
 */

/** The values in `(from, to]`, as a share of the rows, and the share of the value `to` alone where that was counted. */
export interface Piece {
  from: number;
  to: number;
  share: number;
  atom?: number;
}

export type Side = readonly Piece[];

/** What lies between whole values: they stand in the middle of a step of this width; 0 where values are continuous. */
export function wholeStep(type: ColumnType): number {
  return type === 'integer' ? 1 : type === 'date' ? 86_400_000 : 0;
}

function isTime(type: ColumnType): boolean {
  return type === 'timestamp' || type === 'date';
}

/** Whether a value is the zero of a column of numbers, which has a bar in any case; of times it is a moment like any other. */
export function isZero(value: number, type: ColumnType): boolean {
  return value === 0 && !isTime(type);
}

/** How a value of a column reads: a number, or a day, or a minute in UTC. */
export function pointText(type: ColumnType, value: number): string {
  if (!isTime(type)) return formatNumber(value);
  const text = formatTime(value);
  const [, day, minute] = /^(.*)T(\d\d:\d\d)/.exec(text) ?? [];
  if (day === undefined) return text;
  return type === 'date' || minute === '00:00' ? day : `${day} ${minute}`;
}

/** How a single value reads, with all the digits that tell it from others. */
export function exactText(type: ColumnType, value: number): string {
  return isTime(type) || Number.isInteger(value)
    ? pointText(type, value)
    : String(Number(value.toPrecision(8)));
}

interface Window {
  low: number;
  high: number;
}

/** Both sides of a picture. */
interface Sides {
  batch: Side;
  baseline: Side;
}

/** An axis, in units of its own: those of the data, or doublings. */
export interface Axis {
  /** From the unit of the data to that of the axis. */
  to: (value: number) => number;
  /** Where a single value stands. */
  place: (value: number) => number;
  domain: [number, number];
  /** The part of the data that is shown. */
  window: Window;
  ticks: { at: number; name: string }[];
  /** Heights are shares for so much of the axis. */
  unit: number;
  unitName: string;
}

/** What there is to be shown; undefined where no side has a value. */
export function axisOf(sides: Sides, type: ColumnType): Axis | undefined {
  const zero = Object.values(sides).some((side: Side) =>
    side.some(({ to, atom = 0 }) => isZero(to, type) && atom > 0),
  );
  const window = windowOf(sides, type) ?? (zero ? { low: -1, high: 1 } : undefined);
  if (window === undefined) return undefined;
  if (!isTime(type) && inDoublings(sides, window)) return doublingAxis(window, zero);
  return evenAxis(zero ? withZero(window) : window, zero, type);
}

// ---------------------------------------------------------------------------------------------------------
// What is shown
// ---------------------------------------------------------------------------------------------------------

/** At most this share of a side lies beyond the picture at each end; more where that little would squeeze all else. */
const BEYOND = [0.006, 0.02, 0.05];
/** So many times less room makes it worth while to leave more out. */
const SQUEEZED = 10;

/** The part of the axis that nearly all of a side falls into; zero, which may be far from all else, does not count. */
function windowOfSide(side: Side, type: ColumnType): Window | undefined {
  const shares = side.map(({ share, atom = 0, to }) => share + (isZero(to, type) ? 0 : atom));
  const total = shares.reduce((sum, share) => sum + share, 0);
  if (total === 0) return undefined;
  const order = [...side.keys()];
  const end = (from: readonly number[], beyond: number) => {
    let left = 0;
    const found = from.find((index) => {
      left += shares[index] ?? 0;
      return left > beyond * total;
    });
    return side[found ?? 0];
  };
  const windowAt = (beyond: number): Window => {
    const [first, last] = [end(order, beyond), end(order.toReversed(), beyond)];
    // A cell without anything but its atom has no width to show.
    const low = first?.share === 0 ? first.to - wholeStep(type) : (first?.from ?? 0);
    return { low, high: last?.to ?? 0 };
  };
  const [widest, ...narrower] = BEYOND.map(windowAt);
  return narrower.reduce((wide, narrow) => (squeezes(wide, narrow, type) ? narrow : wide), widest as Window);
}

/** Whether the little that only the wide window shows leaves no room for all else. */
function squeezes(wide: Window, narrow: Window, type: ColumnType): boolean {
  const size = ({ low, high }: Window) => high - low;
  if (!(size(narrow) > 0) || size(wide) < SQUEEZED * size(narrow)) return false;
  if (isTime(type) || wide.low <= 0 || narrow.low <= 0) return true;
  // What spreads over powers of ten is shown in doublings, unless they squeeze it, too.
  const powers = ({ low, high }: Window) => Math.log(high / low);
  return powers(wide) > 3 * powers(narrow);
}

function windowOf({ batch, baseline }: Sides, type: ColumnType): Window | undefined {
  const [now, then] = [windowOfSide(batch, type), windowOfSide(baseline, type)];
  let window = now ?? then;
  if (now !== undefined && then !== undefined) {
    window = { low: Math.min(now.low, then.low), high: Math.max(now.high, then.high) };
    // A few values of the batch that are far away must not squeeze everything else.
    const room = then.high - then.low;
    const inside = { low: then.low - room, high: then.high + room };
    const away = outside(batch, inside, type);
    if (away.below + away.above < 0.2 && squeezes(window, inside, type)) window = inside;
  }
  if (window === undefined || window.low < window.high) return window;
  const more = wholeStep(type) * 3 || Math.abs(window.low) / 4 || 1;
  return { low: window.low - more, high: window.high + more };
}

/** The shares of a side that lie outside; a cell that only reaches out is inside. Zero is always drawn. */
export function outside(
  side: Side,
  { low, high }: Window,
  type: ColumnType,
): { below: number; above: number } {
  let [below, above] = [0, 0];
  for (const { from, to, share, atom = 0 } of side) {
    const value = isZero(to, type) ? 0 : atom;
    if (to <= low && from < low) below += share + (to < low ? value : 0);
    else if (from >= high) above += share + value;
  }
  return { below, above };
}

/** The same with zero, where it is not far away. */
function withZero({ low, high }: Window): Window {
  const near = (high - low) / 2;
  return { low: low > 0 && low < near ? 0 : low, high: high < 0 && -high < near ? 0 : high };
}

/** Whether values are above 0 and an even axis would squeeze a third of a side into its first tenth. */
function inDoublings({ batch, baseline }: Sides, { low, high }: Window): boolean {
  if (!(low > 0) || high / low <= 100) return false;
  return [batch, baseline].some((side) => {
    const sum = (some: Side) => some.reduce((total, { share, atom = 0 }) => total + share + atom, 0);
    const all = side.filter(({ to }) => to > low);
    const squeezed = all.filter(({ to }) => to <= low + (high - low) / 10);
    return sum(all) > 0 && sum(squeezed) >= sum(all) / 3;
  });
}

// ---------------------------------------------------------------------------------------------------------
// Scales
// ---------------------------------------------------------------------------------------------------------

/** Of an axis, how much more there is for a zero that has no place on it. */
const GUTTER = 0.14;
const DOUBLING = 'doubling';

function doublingAxis(window: Window, zero: boolean): Axis {
  const to = Math.log2;
  const [from, till] = [to(window.low), to(window.high)];
  const gutter = zero ? (till - from) * GUTTER : 0;
  const beside = from - gutter * 0.6;
  const ticks = powersOfTen(window).map((value) => ({ at: to(value), name: shortNumber(value) }));
  return {
    to,
    place: (value) => (value === 0 ? beside : to(value)),
    domain: [from - gutter, till],
    window,
    ticks: zero ? [{ at: beside, name: '0' }, ...ticks.filter(({ at }) => at > from)] : ticks,
    unit: 1,
    unitName: DOUBLING,
  };
}

function powersOfTen({ low, high }: Window): number[] {
  const [first, last] = [Math.ceil(Math.log10(low)), Math.floor(Math.log10(high))];
  const every = Math.max(1, Math.ceil((last - first) / 4));
  const powers = [];
  for (let power = first; power <= last; power += every) powers.push(10 ** power);
  return powers;
}

function evenAxis(window: Window, zero: boolean, type: ColumnType): Axis {
  const { low, high } = window;
  // Whole values stand in the middle of their step; a day begins where it is written.
  const half = wholeStep(type) / 2;
  const shift = type === 'date' ? 2 * half : half;
  const middle = shift - half;
  const domain: [number, number] = [low + shift, high + shift];
  const within = low <= 0 && high >= 0;
  if (zero && within) {
    domain[0] = Math.min(domain[0], -half);
    domain[1] = Math.max(domain[1], half);
  }
  const unit = isTime(type) ? timeUnit((high - low) / 24) : niceUnit((high - low) / 24, type);
  const ticks = isTime(type) ? timeTicks(domain, type) : numberTicks(domain, type);
  const axis = {
    to: (value: number) => value + shift,
    place: (value: number) => value + middle,
    domain,
    window,
    ticks,
    unit,
    unitName: unitText(unit, type),
  };
  if (!zero || within) return axis;
  const gutter = (domain[1] - domain[0]) * GUTTER;
  const beside = low > 0 ? domain[0] - gutter * 0.6 : domain[1] + gutter * 0.6;
  return {
    ...axis,
    place: (value) => (value === 0 ? beside : value + middle),
    domain: low > 0 ? [domain[0] - gutter, domain[1]] : [domain[0], domain[1] + gutter],
    ticks: [{ at: beside, name: '0' }, ...ticks.filter(({ at }) => Math.abs(at - beside) > gutter)],
  };
}

/**
 * The same axis with heights for a smaller part of it: of a width that all of a side fits into, more than all rows would be
 * in a peak.
 *
 * @param times how much smaller, at least
 */
export function finer(axis: Axis, times: number, type: ColumnType): Axis {
  if (axis.unitName === DOUBLING) return { ...axis, unit: Math.log2(1.1), unitName: '10%' };
  const unit = (isTime(type) ? timeUnit : niceUnit)(axis.unit / times, type);
  return { ...axis, unit, unitName: unitText(unit, type) };
}

function unitText(unit: number, type: ColumnType): string {
  return isTime(type) ? formatDuration(unit) : shortNumber(unit);
}

function numberTicks(domain: [number, number], type: ColumnType): Axis['ticks'] {
  const scale = scaleLinear().domain(domain);
  const text = scale.tickFormat(5);
  return scale
    .ticks(5)
    .filter((value) => wholeStep(type) === 0 || Number.isInteger(value))
    .map((value) => ({
      at: value,
      name: isShort(value) ? text(value).replace('\u2212', '-') : shortNumber(value),
    }));
}

function timeTicks([low, high]: [number, number], type: ColumnType): Axis['ticks'] {
  // Later than what a date of ECMAScript can be; a file may hold it.
  const known = Math.abs(low) <= 8.64e15 && Math.abs(high) <= 8.64e15;
  const fine = known ? scaleUtc().domain([low, high]).ticks(4).map(Number) : [low];
  const every = Math.ceil(fine.length / 4);
  // A day takes more room than there is at the right of the axis.
  const last = high - (high - low) * 0.08;
  return fine
    .filter((at) => at <= last)
    .filter((_, index) => index % every === 0)
    .map((at) => ({ at, name: pointText(type, at).replace(/^.* /, '') }));
}

function isShort(value: number): boolean {
  const size = Math.abs(value);
  return size === 0 || (size >= 1e-3 && size < 1e6);
}

/** `20,000`, `2e10` */
function shortNumber(value: number): string {
  return isShort(value)
    ? formatNumber(value)
    : Number(value.toPrecision(3)).toExponential().replace('e+', 'e');
}

function niceUnit(about: number, type: ColumnType): number {
  const power = 10 ** Math.floor(Math.log10(about));
  const unit = ([5, 2, 1].find((step) => step * power <= about) ?? 1) * power;
  return type === 'integer' ? Math.max(1, unit) : Number(unit.toPrecision(1));
}

function timeUnit(about: number): number {
  const [minute, hour, day] = [60_000, 3_600_000, 86_400_000];
  const units = [365 * day, 30 * day, 7 * day, day, 6 * hour, hour, 10 * minute, minute];
  return units.find((unit) => unit <= about) ?? 1000;
}
