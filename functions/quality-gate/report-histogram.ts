import { scaleLinear, scaleUtc } from 'd3-scale';
import { piecesOf } from '../shared/drift-cells.ts';
import { formatDuration, formatNumber, formatShare, formatTime } from '../shared/format.ts';
import type { ColumnType, NumericDistribution } from '../shared/profile.ts';
import { drawing, type Frame, px } from '../shared/report/chart.ts';
import { type Content, type Html, html } from '../shared/report/html.ts';

/*
 * The histogram of a column of numbers or times against its baseline. Cells are drawn as wide as they are, and as high as
 * their share of the rows for a fixed width, so that areas can be compared whatever the cells; zero and frequent values
 * have no width, and are bars of their own that are as high as their share. Pure.
 */

/** Counts of one side, and what turns them into shares. */
export interface Counted {
  distribution: NumericDistribution;
  rows: number;
  /** Where the outermost cells end. */
  min: number;
  max: number;
}

export interface Histogram {
  title: string;
  type: ColumnType;
  /** Absent where the batch does not have the column. */
  batch: Counted | undefined;
  /** Absent where there is none; it need not have the cells of the batch. */
  baseline: Counted | undefined;
}

/** The values in `(from, to]`, as a share of the rows, and the share of the value `to` alone where that was counted. */
interface Piece {
  from: number;
  to: number;
  share: number;
  atom?: number;
}

type Side = readonly Piece[];

/** At most this share of either side lies beyond the picture at each end, unless it would squeeze all else. */
const BEYOND = 0.006;
/** Steps are drawn at least so wide, in pixels: narrower cells are put together. */
const STEP_PX = 3.5;
/** Bars of single values stand at least so far from each other. */
const BAR_PX = 15;
/** A value of a column of whole numbers that stands out from its neighbours has at least this share. */
const STANDS_OUT = 0.1;
const WIDTH = 340;
const [LEFT, RIGHT] = [52, 10];

/** The histogram, and what lies beyond it; undefined where there is nothing to draw. */
export function histogram({ title, type, batch, baseline }: Histogram): Html | undefined {
  const sides = { batch: sideOf(batch, type), baseline: sideOf(baseline, type) };
  const window = windowOf(sides, type);
  if (window === undefined) return undefined;
  const scale = scaleOf(window, sides, type);
  const alone = barsOf(sides, scale, type);
  const steps = {
    batch: stepsOf(sides.batch, scale, alone, type),
    baseline: stepsOf(sides.baseline, scale, alone, type),
  };
  const shareAt = (side: Side, value: number) =>
    side.reduce((sum, { to, atom = 0 }) => (to === value ? sum + atom : sum), 0);
  const bars = [...alone].map((value) => ({
    value,
    batch: shareAt(sides.batch, value),
    baseline: shareAt(sides.baseline, value),
  }));
  const highest = (side: 'batch' | 'baseline') =>
    Math.max(0, ...steps[side].map(({ height }) => height), ...bars.map((bar) => bar[side]));
  const { top, cut } = ceiling(highest('batch'), highest('baseline'));

  const draw = (frame: Frame): Content => [
    batch === undefined || baseline !== undefined
      ? area(frame, steps.baseline, top, 'f-fill-b', 's-b thin')
      : area(frame, steps.batch, top, 'f-fill-a', 's-a thin'),
    baseline !== undefined && batch !== undefined && area(frame, steps.batch, top, 'f-none', 's-a'),
    bars.map((bar) =>
      pair(frame, bar, frame.x(scale.place(bar.value)), {
        top,
        cut,
        both: baseline !== undefined && batch !== undefined,
        name: pointText(type, bar.value),
      }),
    ),
  ];
  const stepName = steps.batch.length + steps.baseline.length > 0 ? ` per ${scale.unitName}` : '';
  return html`${drawing({
    title,
    description: describe({ type, batch, baseline }, bars),
    height: 190,
    left: LEFT,
    right: RIGHT,
    x: { label: '', domain: scale.domain, names: scale.ticks },
    y: {
      label: `share of rows${stepName}`,
      domain: [0, top],
      ticks: 4,
      format: (share) => formatShare(share),
    },
    draw,
  })}${beyond(sides, window, type)}`;
}

function describe(
  { type, batch, baseline }: Omit<Histogram, 'title'>,
  bars: readonly { value: number; batch: number; baseline: number }[],
): string {
  const range = ({ min, max }: Counted) => `from ${pointText(type, min)} to ${pointText(type, max)}`;
  const parts = [
    batch === undefined ? 'The batch does not have it' : `Batch ${range(batch)}`,
    ...(baseline === undefined ? [] : [`baseline ${range(baseline)}`]),
    ...bars.map((bar) => {
      const was = baseline === undefined ? '' : `, baseline ${formatShare(bar.baseline)}`;
      return `${pointText(type, bar.value)}: ${formatShare(bar.batch)} of the rows${was}`;
    }),
  ];
  return `${parts.join('; ')}.`;
}

// ---------------------------------------------------------------------------------------------------------
// What is drawn
// ---------------------------------------------------------------------------------------------------------

/** What lies between whole values: they stand in the middle of a step of this width; 0 where values are continuous. */
function wholeStep(type: ColumnType): number {
  return type === 'integer' ? 1 : type === 'date' ? 86_400_000 : 0;
}

function isTime(type: ColumnType): boolean {
  return type === 'timestamp' || type === 'date';
}

/** How a value of a column reads: a number, or a day, or a moment. */
export function pointText(type: ColumnType, value: number): string {
  if (!isTime(type)) return formatNumber(value);
  const text = formatTime(value);
  return type === 'date' || text.endsWith('T00:00:00Z') ? (text.split('T')[0] ?? text) : text;
}

/** Cells that end where the values do. */
function sideOf(counted: Counted | undefined, type: ColumnType): Side {
  if (counted === undefined) return [];
  const { distribution, rows, min, max } = counted;
  const share = (count: number) => (rows === 0 ? 0 : count / rows);
  const pieces: Piece[] = [];
  for (const { from, to, batch } of piecesOf(distribution, distribution)) {
    if (from === to) {
      const before = pieces.at(-1);
      if (before?.to === to) before.atom = share(batch);
      continue;
    }
    const piece = {
      from: Number.isFinite(from) ? from : Math.min(min, to) - wholeStep(type),
      to: Number.isFinite(to) ? to : Math.max(max, from),
      share: share(batch),
    };
    // All that an open cell has may be one value.
    pieces.push(piece.from === piece.to ? { ...piece, share: 0, atom: piece.share } : piece);
  }
  return pieces;
}

interface Window {
  low: number;
  high: number;
}

/** The part of the axis that nearly all of a side falls into; zero, which may be far from all else, does not count. */
function windowOfSide(side: Side, step: number): Window | undefined {
  const shares = side.map(({ share, atom = 0, to }) => share + (to === 0 ? 0 : atom));
  const total = shares.reduce((sum, share) => sum + share, 0);
  if (total === 0) return undefined;
  const end = (order: readonly number[]) => {
    let left = 0;
    return order.find((index) => {
      left += shares[index] ?? 0;
      return left > BEYOND * total;
    });
  };
  const order = [...side.keys()];
  const [first, last] = [side[end(order) ?? 0], side[end(order.toReversed()) ?? 0]];
  if (first === undefined || last === undefined) return undefined;
  // A cell without anything but its atom has no width to show.
  return { low: first.share === 0 ? first.to - step : first.from, high: last.to };
}

/** What the picture shows of the axis; undefined where no side has a value. */
function windowOf(
  { batch, baseline }: { batch: Side; baseline: Side },
  type: ColumnType,
): Window | undefined {
  const windows = [batch, baseline]
    .map((side) => windowOfSide(side, wholeStep(type)))
    .filter((window) => window !== undefined);
  const zero = [batch, baseline].some((side) => side.some(({ to, atom = 0 }) => to === 0 && atom > 0));
  const [first, second] = windows;
  if (first === undefined) return zero ? { low: -1, high: 1 } : undefined;
  let window = first;
  if (second !== undefined) {
    window = { low: Math.min(first.low, second.low), high: Math.max(first.high, second.high) };
    // A few values far away must not squeeze everything else.
    const room = second.high - second.low;
    const inside = { low: second.low - room, high: second.high + room };
    const away = outside(batch, inside);
    if (window.high - window.low > 8 * room && room > 0 && away.below + away.above < 0.2) window = inside;
  }
  if (window.low === window.high) {
    const more = wholeStep(type) * 3 || Math.abs(window.low) / 4 || 1;
    window = { low: window.low - more, high: window.high + more };
  }
  const size = window.high - window.low;
  if (zero && window.low > 0 && window.low < size / 2) window = { ...window, low: 0 };
  if (zero && window.high < 0 && -window.high < size / 2) window = { ...window, high: 0 };
  return window;
}

/** The shares of a side that lie outside; a cell that only reaches out is inside. Zero is always drawn. */
function outside(side: Side, { low, high }: Window): { below: number; above: number } {
  let [below, above] = [0, 0];
  for (const { from, to, share, atom = 0 } of side) {
    const value = to === 0 ? 0 : atom;
    if (to <= low && from < low) below += share + (to < low ? value : 0);
    else if (from >= high) above += share + value;
  }
  return { below, above };
}

interface Scale {
  /** From the unit of the data to the unit of the axis. */
  to: (value: number) => number;
  /** Where a single value stands on the axis. */
  place: (value: number) => number;
  domain: [number, number];
  window: Window;
  ticks: { at: number; name: string }[];
  /** Heights are shares for so much of the axis. */
  unit: number;
  unitName: string;
}

/** A linear axis, or one of doublings where values are above 0 and most of them would be squeezed into a corner. */
function scaleOf(window: Window, sides: { batch: Side; baseline: Side }, type: ColumnType): Scale {
  const { low, high } = window;
  const doubling =
    low > 0 && high / low > 100 && !isTime(type) && squeezed([...sides.baseline, ...sides.batch], window);
  const to = doubling ? (value: number) => Math.log2(value) : (value: number) => value;
  const [from, till] = [to(low), to(high)];
  const zero = [sides.batch, sides.baseline].some((side) =>
    side.some(({ to: value, atom = 0 }) => value === 0 && atom > 0),
  );
  // Zero may have no place on the axis, or one that is far away: then it stands beside it.
  const within = low <= 0 && high >= 0;
  const gutter = zero && !within && !isTime(type) ? (till - from) * 0.14 : 0;
  // Whole values stand in the middle of their step; a day begins where it is written.
  const half = doubling ? 0 : wholeStep(type) / 2;
  const shift = type === 'date' ? 2 * half : half;
  const middle = shift - half;
  const domain: [number, number] = [from + shift, till + shift];
  if (zero && within) {
    domain[0] = Math.min(domain[0], middle - half);
    domain[1] = Math.max(domain[1], middle + half);
  }
  const beside = low > 0 ? domain[0] - gutter * 0.55 : domain[1] + gutter * 0.55;
  domain[low > 0 ? 0 : 1] += low > 0 ? -gutter : gutter;
  const ticks = (doubling ? doublings(low, high) : evenTicks(low, high, type))
    .map((value) => ({ at: to(value), name: tickText(type, value) }))
    .filter(
      ({ at }) => at >= domain[0] && at <= domain[1] && !(gutter > 0 && Math.abs(at - beside) < gutter),
    );
  const unit = doubling
    ? 1
    : isTime(type)
      ? timeUnit((till - from) / 12)
      : niceUnit((till - from) / 12, type);
  return {
    to: (value) => to(value) + shift,
    place: (value) => (gutter > 0 && value === 0 ? beside : to(value) + middle),
    domain,
    window,
    ticks: gutter > 0 ? [{ at: beside, name: '0' }, ...ticks] : ticks,
    unit,
    unitName: doubling ? 'doubling' : isTime(type) ? formatDuration(unit) : formatNumber(unit),
  };
}

/** Whether half of the values lie in a tenth of the axis, at its lower end. */
function squeezed(pieces: Side, { low, high }: Window): boolean {
  const all = pieces.filter(({ to }) => to > low);
  const sum = (some: Side) => some.reduce((total, { share, atom = 0 }) => total + share + atom, 0);
  return sum(all.filter(({ to }) => to <= low + (high - low) / 10)) >= sum(all) / 2;
}

function doublings(low: number, high: number): number[] {
  const [first, last] = [Math.ceil(Math.log10(low)), Math.floor(Math.log10(high))];
  const every = Math.max(1, Math.ceil((last - first) / 4));
  const powers = [];
  for (let power = first; power <= last; power += every) powers.push(10 ** power);
  return powers;
}

function evenTicks(low: number, high: number, type: ColumnType): number[] {
  if (isTime(type)) {
    const inRange = Math.abs(low) < 8.64e15 && Math.abs(high) < 8.64e15;
    return inRange ? scaleUtc().domain([low, high]).ticks(3).map(Number) : [low, high];
  }
  const ticks = scaleLinear().domain([low, high]).ticks(5);
  return wholeStep(type) > 0 ? ticks.filter(Number.isInteger) : ticks;
}

function tickText(type: ColumnType, value: number): string {
  if (isTime(type)) return pointText(type, value).replace(/^(.*)T(\d\d:\d\d).*$/, '$2');
  const size = Math.abs(value);
  return size >= 1e6 || (size > 0 && size < 1e-3)
    ? value.toExponential().replace('e+', 'e')
    : formatNumber(value);
}

function niceUnit(about: number, type: ColumnType): number {
  const power = 10 ** Math.floor(Math.log10(about));
  const unit = ([5, 2, 1].find((step) => step * power <= about) ?? 1) * power;
  return type === 'integer' ? Math.max(1, unit) : Number(unit.toPrecision(1));
}

function timeUnit(about: number): number {
  const [minute, hour, day] = [60_000, 3_600_000, 86_400_000];
  return (
    [365 * day, 30 * day, 7 * day, day, 6 * hour, hour, 10 * minute, minute].find((unit) => unit <= about) ??
    1000
  );
}

/**
 * The values that are drawn as bars: zero, and what is frequent. Whole numbers that are next to each other are steps like
 * all others, unless there is room for a bar for each.
 */
function barsOf(
  { batch, baseline }: { batch: Side; baseline: Side },
  scale: Scale,
  type: ColumnType,
): Set<number> {
  const shares = new Map<number, number>();
  for (const { to, atom = 0 } of [...batch, ...baseline]) {
    if (atom > 0) shares.set(to, Math.max(atom, shares.get(to) ?? 0));
  }
  const { low, high } = scale.window;
  const perPixel = (WIDTH - LEFT - RIGHT) / (scale.domain[1] - scale.domain[0]);
  const place = (value: number) => scale.place(value) * perPixel;
  const inside = [...shares].filter(([value]) => value === 0 || (value >= low && value <= high));
  const places = inside.map(([value]) => place(value)).sort((a, b) => a - b);
  const roomy = places.every((at, index) => index === 0 || at - (places[index - 1] ?? 0) >= BAR_PX);
  const wanted = inside
    .filter(([value, share]) => value === 0 || roomy || wholeStep(type) === 0 || share >= STANDS_OUT)
    .sort(([a, share], [b, other]) => Number(b === 0) - Number(a === 0) || other - share || a - b);
  const alone: number[] = [];
  for (const [value] of wanted) {
    if (alone.every((other) => Math.abs(place(other) - place(value)) >= BAR_PX)) alone.push(value);
  }
  return new Set(alone.sort((a, b) => a - b));
}

/** A part of the outline, in units of the axis; heights are shares per unit. */
interface Step {
  from: number;
  to: number;
  height: number;
}

/** The cells of a side inside the window, neighbours together until they can be seen. */
function stepsOf(side: Side, scale: Scale, alone: ReadonlySet<number>, type: ColumnType): Step[] {
  const { low, high } = scale.window;
  const perPixel = (WIDTH - LEFT - RIGHT) / (scale.domain[1] - scale.domain[0]);
  const steps: Step[] = [];
  let open: { from: number; to: number; share: number; width: number } | undefined;
  const close = () => {
    if (open === undefined) return;
    steps.push({
      from: open.from,
      to: open.to,
      height: open.width > 0 ? (open.share / open.width) * scale.unit : 0,
    });
    open = undefined;
  };
  for (const piece of side) {
    if (piece.to <= low || piece.from >= high || !(piece.to > piece.from)) continue;
    // In doublings, what reaches down to zero is endlessly wide.
    const from = scale.to(piece.from);
    if (!Number.isFinite(from)) continue;
    const to = scale.to(piece.to);
    const own = piece.atom !== undefined && alone.has(piece.to);
    const share = piece.share + (own ? 0 : (piece.atom ?? 0));
    const width = to - from - (own ? wholeStep(type) : 0);
    const shown = { from: Math.max(from, scale.to(low)), to: Math.min(to, scale.to(high)) };
    open ??= { from: shown.from, to: shown.to, share: 0, width: 0 };
    open.to = shown.to;
    open.share += share;
    open.width += Math.max(0, width);
    if ((open.to - open.from) * perPixel >= STEP_PX && open.width > 0) close();
  }
  close();
  return steps.some(({ height }) => height > 0) ? steps : [];
}

/** How high the plot is, and from where on something is cut: one side must not flatten the other to nothing. */
function ceiling(batch: number, baseline: number): { top: number; cut: number } {
  const [less, more] = [Math.min(batch, baseline), Math.max(batch, baseline)];
  if (more === 0) return { top: 1, cut: 1 };
  if (less === 0 || more <= 5 * less) return { top: more * 1.15, cut: Number.POSITIVE_INFINITY };
  return { top: less * 2.5, cut: less * 2.5 };
}

/** Steps as an outline with its inside. */
function area({ x, y }: Frame, steps: readonly Step[], top: number, fill: string, stroke: string): Content {
  const [first] = steps;
  if (first === undefined) return false;
  let d = `M${x(first.from)} ${y(0)}`;
  let end = first.from;
  for (const { from, to, height } of steps) {
    if (from > end) d += `V${y(0)}H${x(from)}`;
    d += `V${y(Math.min(height, top))}H${x(to)}`;
    end = to;
  }
  return html`<path class="${fill}" d="${d}V${y(0)}z"/><path class="line ${stroke}" d="${d}V${y(0)}"/>`;
}

/** Two bars for a single value: the baseline at the left. What is higher than the plot is cut, and says how high it is. */
function pair(
  { y, left, right, bottom }: Frame,
  { batch, baseline }: { batch: number; baseline: number },
  x: number,
  { top, cut, both, name }: { top: number; cut: number; both: boolean; name: string },
): Html {
  const rect = (at: number, share: number, className: string) =>
    share > 0 &&
    html`<rect class="${className}" x="${px(at)}" y="${y(Math.min(share, top))}" width="6" height="${px(bottom - y(Math.min(share, top)))}"/>`;
  const highest = Math.max(batch, baseline);
  const label = highest > cut ? `${name}: ${formatShare(highest)}, cut here` : name;
  const room = label.length * 6;
  const [at, anchor] = x + 12 + room > right ? [Math.max(x - 9, left + room), 'end'] : [x + 9, 'start'];
  return html`${rect(both ? x - 6.5 : x - 3, baseline, 'f-fill-b s-b')}${rect(both ? x + 0.5 : x - 3, batch, 'f-a')}
<text x="${px(at)}" y="${px(y(Math.min(highest, top)) + 9)}" text-anchor="${anchor}">${label}</text>`;
}

/** What lies beyond the picture. */
function beyond(
  { batch, baseline }: { batch: Side; baseline: Side },
  window: Window,
  type: ColumnType,
): Content {
  const [now, then] = [outside(batch, window), outside(baseline, window)];
  const text = (side: 'below' | 'above', at: number) =>
    now[side] + then[side] === 0
      ? []
      : `${side} ${pointText(type, at)}: ${formatShare(now[side])}${baseline.length > 0 ? `, baseline ${formatShare(then[side])}` : ''}`;
  const parts = [text('below', window.low), text('above', window.high)].flat();
  return parts.length > 0 && html`<p class="note">Beyond the picture, ${parts.join('; ')}.</p>`;
}
