import { piecesOf } from '../shared/drift-cells.ts';
import { formatShare } from '../shared/format.ts';
import type { ColumnType, NumericDistribution } from '../shared/profile.ts';
import { drawing, type Frame, px } from '../shared/report/chart.ts';
import { type Content, type Html, html } from '../shared/report/html.ts';
import {
  type Axis,
  axisOf,
  exactText,
  finer,
  isZero,
  outside,
  type Piece,
  pointText,
  type Side,
  wholeStep,
} from './report-axis.ts';

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

/** Steps are drawn at least so wide, in pixels: narrower cells are put together. */
const STEP_PX = 3.5;
/** Bars of single values stand at least so far from each other. */
const BAR_PX = 15;
/** A value of a column of whole numbers that stands out from its neighbours has at least this share. */
const STANDS_OUT = 0.1;
const [WIDTH, HEIGHT] = [340, 196];
const [LEFT, RIGHT] = [52, 14];

/** The histogram, and what lies beyond it; undefined where there is nothing to draw. */
export function histogram({ title, type, batch, baseline }: Histogram): Html | undefined {
  const sides = { batch: sideOf(batch, type), baseline: sideOf(baseline, type) };
  const axis = axisOf(sides, type);
  if (axis === undefined) return undefined;
  const alone = barsOf(sides, axis, type);
  const stepsAt = (at: Axis) => ({
    batch: stepsOf(sides.batch, at, alone, type),
    baseline: stepsOf(sides.baseline, at, alone, type),
  });
  const rough = stepsAt(axis);
  const peak = Math.max(0, ...[...rough.batch, ...rough.baseline].map(({ height }) => height));
  const fine = peak > 1 ? finer(axis, peak, type) : axis;
  const steps = peak > 1 ? stepsAt(fine) : rough;
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

  const away = beyond(sides, axis.window, type);

  const draw = (frame: Frame): Content => [
    batch === undefined || baseline !== undefined
      ? area(frame, steps.baseline, top, 'f-fill-b', 's-b thin')
      : area(frame, steps.batch, top, 'f-fill-a', 's-a thin'),
    baseline !== undefined && batch !== undefined && area(frame, steps.batch, top, 'f-none', 's-a'),
    bars.map((bar) =>
      pair(frame, bar, frame.x(axis.place(bar.value)), {
        top,
        cut,
        both: baseline !== undefined && batch !== undefined,
        name: exactText(type, bar.value),
        ticks: axis.ticks.map(({ at }) => frame.x(at)),
        others: bars.filter((other) => other !== bar).map(({ value }) => frame.x(axis.place(value))),
      }),
    ),
    away.map(({ text, where }) => {
      if (text === '') return false;
      const below = where.startsWith('below');
      return html`<text class="soft" x="${below ? 2 : WIDTH - 2}" y="${HEIGHT - 5}" text-anchor="${below ? 'start' : 'end'}">${below ? `◂ ${text}` : `${text} ▸`}</text>`;
    }),
  ];
  const stepName = steps.batch.length + steps.baseline.length > 0 ? ` per ${fine.unitName}` : '';
  return drawing({
    title,
    description: describe({ type, batch, baseline }, bars, away),
    height: HEIGHT,
    left: LEFT,
    right: RIGHT,
    x: {
      label: away.some(({ text }) => text !== '') ? 'share beyond' : '',
      domain: axis.domain,
      names: axis.ticks,
    },
    y: {
      label: `share of rows${stepName}`,
      domain: [0, top],
      ticks: 4,
      format: (share) => formatShare(share),
    },
    draw,
  });
}

function describe(
  { type, batch, baseline }: Omit<Histogram, 'title'>,
  bars: readonly { value: number; batch: number; baseline: number }[],
  away: readonly Away[],
): string {
  const range = ({ min, max }: Counted) => `from ${pointText(type, min)} to ${pointText(type, max)}`;
  const parts = [
    batch === undefined ? 'The batch does not have it' : `Batch ${range(batch)}`,
    ...(baseline === undefined ? [] : [`baseline ${range(baseline)}`]),
    ...bars.map((bar) => {
      const was = baseline === undefined ? '' : `, baseline ${formatShare(bar.baseline)}`;
      return `${exactText(type, bar.value)}: ${formatShare(bar.batch)} of the rows${was}`;
    }),
    ...away.flatMap(({ where, text }) => (text === '' ? [] : [`beyond the picture, ${where}: ${text}`])),
  ];
  return `${parts.join('; ')}.`;
}

// ---------------------------------------------------------------------------------------------------------
// What is drawn
// ---------------------------------------------------------------------------------------------------------

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

/**
 * The values that are drawn as bars: zero, and what is frequent. Whole numbers that are next to each other are steps like
 * all others, unless there is room for a bar for each.
 */
function barsOf(
  { batch, baseline }: { batch: Side; baseline: Side },
  axis: Axis,
  type: ColumnType,
): Set<number> {
  const shares = new Map<number, number>();
  for (const { to, atom = 0 } of [...batch, ...baseline]) {
    if (atom > 0) shares.set(to, Math.max(atom, shares.get(to) ?? 0));
  }
  const { low, high } = axis.window;
  const perPixel = (WIDTH - LEFT - RIGHT) / (axis.domain[1] - axis.domain[0]);
  const place = (value: number) => axis.place(value) * perPixel;
  const inside = [...shares].filter(([value]) => isZero(value, type) || (value >= low && value <= high));
  const places = inside.map(([value]) => place(value)).sort((a, b) => a - b);
  const roomy = places.every((at, index) => index === 0 || at - (places[index - 1] ?? 0) >= BAR_PX);
  const zeroFirst = (a: number, b: number) => Number(isZero(b, type)) - Number(isZero(a, type));
  const wanted = inside
    .filter(([value, share]) => isZero(value, type) || roomy || wholeStep(type) === 0 || share >= STANDS_OUT)
    .sort(([a, share], [b, other]) => zeroFirst(a, b) || other - share || a - b);
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
function stepsOf(side: Side, axis: Axis, alone: ReadonlySet<number>, type: ColumnType): Step[] {
  const { low, high } = axis.window;
  const perPixel = (WIDTH - LEFT - RIGHT) / (axis.domain[1] - axis.domain[0]);
  const groups: { from: number; to: number; share: number; width: number }[] = [];
  for (const piece of side) {
    if (piece.to <= low || piece.from >= high || !(piece.to > piece.from)) continue;
    // In doublings, what reaches down to zero is endlessly wide.
    const from = axis.to(piece.from);
    if (!Number.isFinite(from)) continue;
    const to = axis.to(piece.to);
    const own = piece.atom !== undefined && alone.has(piece.to);
    const share = piece.share + (own ? 0 : (piece.atom ?? 0));
    // A value that is drawn as a bar takes no room in the step.
    const width = Math.max(0, to - from - (own ? wholeStep(type) : 0));
    const shown = { from: Math.max(from, axis.to(low)), to: Math.min(to, axis.to(high)) };
    const last = groups.at(-1);
    const seen = ({ from, to, width }: { from: number; to: number; width: number }) =>
      (to - from) * perPixel >= STEP_PX && width > 0;
    const rest = (axis.to(high) - shown.from) * perPixel;
    if (last === undefined || (seen(last) && rest >= STEP_PX)) groups.push({ ...shown, share, width });
    else {
      last.to = shown.to;
      last.share += share;
      last.width += width;
    }
  }
  const steps = groups.map(({ from, to, share, width }) => {
    return { from, to, height: width > 0 ? (share / width) * axis.unit : 0 };
  });
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
  for (const [index, { from, to, height }] of steps.entries()) {
    if (from > end) d += `V${y(0)}H${x(from)}`;
    end = to;
    const level = y(Math.min(height, top));
    const next = steps[index + 1];
    // Neighbours of one height are one line.
    if (next?.from === to && y(Math.min(next.height, top)) === level) continue;
    d += `V${level}H${x(to)}`;
  }
  return html`<path class="${fill}" d="${d}V${y(0)}z"/><path class="line ${stroke}" d="${d}V${y(0)}"/>`;
}

/** How the bars of a single value are drawn. */
interface Bars {
  top: number;
  cut: number;
  /** Whether there are two sides. */
  both: boolean;
  name: string;
  /** Where on the axis something is written. */
  ticks: readonly number[];
  /** Where other bars stand. */
  others: readonly number[];
}

/** Two bars for a single value, the baseline at the left. What is higher than the plot is cut, and says how high it is. */
function pair(
  { y, left, right, bottom }: Frame,
  { batch, baseline }: { batch: number; baseline: number },
  x: number,
  { top, cut, both, name, ticks, others }: Bars,
): Html {
  const rect = (at: number, share: number, className: string) =>
    share > 0 &&
    html`<rect class="${className}" x="${px(at)}" y="${y(Math.min(share, top))}" width="6" height="${px(bottom - y(Math.min(share, top)))}"/>`;
  const highest = Math.max(batch, baseline);
  const named = ticks.some((at) => Math.abs(at - x) < BAR_PX / 2);
  const share = `${name}: ${formatShare(Number(highest.toPrecision(3)))}`;
  const label = highest > cut ? `${share}, cut` : highest > top / 3 ? share : named ? '' : name;
  const room = label.length * 6 + 10;
  const free = (from: number, to: number) =>
    from >= left && to <= right + 8 && others.every((at) => at + 8 < from || at - 8 > to);
  const side = free(x, x + room) ? 1 : free(x - room, x) ? -1 : 0;
  return html`${rect(both ? x - 6.5 : x - 3, baseline, 'f-fill-b s-b')}${rect(both ? x + 0.5 : x - 3, batch, 'f-a')}${
    label !== '' &&
    side !== 0 &&
    html`
<text class="halo" x="${px(x + 9 * side)}" y="${px(y(Math.min(highest, top)) + 9)}" text-anchor="${side > 0 ? 'start' : 'end'}">${label}</text>`
  }`;
}

/** What lies beyond the picture at one end, as text; empty where nothing does. */
interface Away {
  where: string;
  text: string;
}

function beyond(
  { batch, baseline }: { batch: Side; baseline: Side },
  window: Axis['window'],
  type: ColumnType,
): Away[] {
  const [now, then] = [outside(batch, window, type), outside(baseline, window, type)];
  // Two digits are enough, and all that there is room for.
  const short = (share: number) => formatShare(Number(share.toPrecision(2)));
  const text = (side: 'below' | 'above') =>
    now[side] + then[side] === 0
      ? ''
      : [...(batch.length > 0 ? [now] : []), ...(baseline.length > 0 ? [then] : [])]
          .map((shares) => short(shares[side]))
          .join(' / ');
  return [
    { where: `below ${pointText(type, window.low)}`, text: text('below') },
    { where: `above ${pointText(type, window.high)}`, text: text('above') },
  ];
}
