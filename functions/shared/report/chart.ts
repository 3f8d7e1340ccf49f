import { scaleLinear } from 'd3-scale';
import { type CurveFactory, curveLinear, line } from 'd3-shape';
import { formatNumber } from '../format.ts';
import { type Content, type Html, html } from './html.ts';

/*
 * Drawings for reports, as SVG in the page: no script, no fonts, no colours of their own, so that they follow the style
 * sheet. Every one has words for who does not see it. Numbers are in the units of the data; positions are rounded to a tenth
 * of a pixel, so that the same data gives the same bytes.
 */

/** One side of a plot. */
export interface Axis {
  label: string;
  /** Least and greatest value; equal ones are moved apart. */
  domain: readonly [number, number];
  /** About so many ticks; 0 for none. */
  ticks?: number;
  /** How a tick reads; {@link formatNumber} by default. */
  format?: (value: number) => string;
  /** Places with names, instead of ticks. */
  names?: readonly { at: number; name: string }[];
}

/** A drawing with two axes. */
export interface Plot {
  /** What it shows, in a few words: its caption. */
  title: string;
  /** A second line of the caption. */
  note?: Content;
  /** What it says, in a sentence or two with the numbers that matter, for who does not see it. */
  description: string;
  /** Units of the drawing; a usual one is 340 wide, and as wide as its column on the page. */
  width?: number;
  height?: number;
  /** Room for the ticks of y, and at the right. */
  left?: number;
  right?: number;
  x: Axis;
  y: Axis;
  /** @returns what is drawn, in order */
  draw: (frame: Frame) => Content;
  legend?: readonly LegendItem[];
}

export interface LegendItem {
  /** Classes of its sample: `s-a` strokes, `f-a` fills. */
  className: string;
  kind: 'line' | 'area' | Shape;
  text: string;
}

/** What a mark looks like, so that no reader has to tell colours apart; `ring` is a dot with a stroke, and a fill of its own. */
export type Shape = 'dot' | 'ring' | 'triangle' | 'diamond' | 'square';

/** Where things are drawn. */
export interface Frame {
  x: (value: number) => number;
  y: (value: number) => number;
  left: number;
  right: number;
  top: number;
  bottom: number;
}

/** A position, to a tenth of a pixel. */
export function px(value: number): number {
  return Math.round(value * 10) / 10;
}

/** A domain that is not empty, of finite values, with `margin` (a share of it) at both ends. */
export function spread(values: readonly number[], margin = 0): [number, number] {
  const finite = values.filter(Number.isFinite);
  let [low, high] = [0, 1];
  if (finite.length > 0) {
    low = finite.reduce((a, b) => Math.min(a, b));
    high = finite.reduce((a, b) => Math.max(a, b));
  }
  if (low === high) {
    // The half of the smallest number is zero, too.
    const half = Math.abs(low) / 2 || 0.5;
    [low, high] = [low - half, high + half];
  }
  const more = (high - low) * margin;
  return [low - more, high + more];
}

/** A figure with a plot in it. */
export function plot(of: Plot): Html {
  return figure(of, drawing(of));
}

/** The drawing of a plot without its figure, for figures of several. */
export function drawing(of: Plot): Html {
  const { title, description, width = 340, height = 210, left = 44, right = 10 } = of;
  const frame: Frame = {
    left,
    right: width - right,
    top: 8,
    bottom: height - 34,
    x: () => 0,
    y: () => 0,
  };
  const x = scaleLinear(spread(of.x.domain), [frame.left, frame.right]);
  const y = scaleLinear(spread(of.y.domain), [frame.bottom, frame.top]);
  frame.x = (value) => px(x(value));
  frame.y = (value) => px(y(value));
  const xs = ticksOf(of.x, x, 5);
  const ys = ticksOf(of.y, y, 5);
  return html`<svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${`${title}. ${description}`}">
<path class="grid" d="${ys.map(({ at }) => `M${frame.left} ${frame.y(at)}H${frame.right}`).join('')}"/>
${ys.map(({ at, name }) => html`<text class="soft" x="${frame.left - 5}" y="${px(frame.y(at) + 3.5)}" text-anchor="end">${name}</text>`)}
${xs.map(({ at, name }) => html`<text class="soft" x="${frame.x(at)}" y="${frame.bottom + 14}" text-anchor="middle">${name}</text>`)}
<text class="soft" x="${px((frame.left + frame.right) / 2)}" y="${height - 5}" text-anchor="middle">${of.x.label}</text>
<text class="soft" transform="translate(11 ${px((frame.top + frame.bottom) / 2)})rotate(-90)" text-anchor="middle">${of.y.label}</text>
${of.draw(frame)}
<path class="axis" d="M${frame.left} ${frame.bottom}H${frame.right}"/></svg>`;
}

/** A figure around any drawing; `wide` ones get a row of their own, in which they can be scrolled on a small screen. */
export function figure(
  { title, note, legend = [] }: Pick<Plot, 'title' | 'note' | 'legend'>,
  drawing: Content,
  { wide = false } = {},
): Html {
  return html`<figure${wide && html` class="wide"`}><figcaption>${title}${note !== undefined && html`<small>${note}</small>`}</figcaption>
${wide ? html`<div class="scroll" role="region" aria-label="${title}" tabindex="0">${drawing}</div>` : drawing}
${legend.length > 0 && html`<ul class="legend">${legend.map(legendItem)}</ul>`}</figure>
`;
}

function legendItem({ className, kind, text }: LegendItem): Html {
  const sample = {
    line: html`<path class="line ${className}" d="M0 4H20"/>`,
    area: html`<rect class="${className}" width="20" height="8"/>`,
    dot: mark('dot', 10, 4, className),
    ring: mark('ring', 10, 4, className),
    triangle: mark('triangle', 10, 4, className),
    diamond: mark('diamond', 10, 4, className),
    square: mark('square', 10, 4, className),
  }[kind];
  return html`<li><svg viewBox="0 0 20 8" aria-hidden="true">${sample}</svg> ${text}</li>`;
}

/** A mark around a place, `size` pixels from its middle to its edge. */
export function mark(shape: Shape, x: number, y: number, className: string, size = 4): Html {
  const path = (d: string) => html`<path class="${className}" d="${d}"/>`;
  switch (shape) {
    case 'dot':
      return html`<circle class="${className}" cx="${px(x)}" cy="${px(y)}" r="${size}"/>`;
    case 'ring':
      return html`<circle class="line ${className}" cx="${px(x)}" cy="${px(y)}" r="${px(size - 1)}"/>`;
    case 'triangle':
      return path(`M${px(x - size)} ${px(y + size * 0.8)}h${px(2 * size)}L${px(x)} ${px(y - size)}z`);
    case 'diamond':
      return path(`M${px(x)} ${px(y - size)}l${size} ${size}l${-size} ${size}l${-size} ${-size}z`);
    case 'square':
      return path(`M${px(x - size)} ${px(y - size)}h${2 * size}v${2 * size}h${-2 * size}z`);
  }
}

function ticksOf(
  { ticks, names, format = (value) => formatNumber(value) }: Axis,
  scale: { ticks: (count: number) => number[] },
  usual: number,
): { at: number; name: string }[] {
  if (names !== undefined) return [...names];
  const count = ticks ?? usual;
  return count === 0 ? [] : scale.ticks(count).map((at) => ({ at, name: format(at) }));
}

/** Seconds between two ticks of a duration. */
const STEPS_S = [
  1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 21_600, 43_200, 86_400, 172_800,
];

/**
 * Round durations from 0 to `endMs`.
 *
 * @param most how many there are between the first and the end, at most
 * @returns milliseconds
 */
export function durationTicks(endMs: number, most: number): number[] {
  const wanted = endMs / most / 1000;
  const seconds = STEPS_S.find((step) => step >= wanted) ?? Math.ceil(wanted / 86_400) * 86_400;
  return Array.from({ length: Math.floor(endMs / 1000 / seconds) + 1 }, (_, index) => index * seconds * 1000);
}

/** A line through points that are finite; it is broken where one is not. */
export function path(
  { x, y }: Frame,
  points: readonly (readonly [number, number])[],
  className: string,
  curve: CurveFactory = curveLinear,
): Html {
  const d = line<readonly [number, number]>()
    .defined(([a, b]) => Number.isFinite(a) && Number.isFinite(b))
    .x(([a]) => x(a))
    .y(([, b]) => y(b))
    .curve(curve)([...points]);

  return html`<path class="line ${className}" d="${d ?? ''}"/>`;
}

/** A bar from `from` to `to` on x that is as high as `value`, from 0. Nothing is drawn of what is not there. */
export function bar(
  { x, y }: Frame,
  { from, to, value }: { from: number; to: number; value: number },
  className: string,
): Html | false {
  if (!Number.isFinite(value) || value === 0) return false;
  const [a, b] = [Math.min(x(from), x(to)), Math.max(x(from), x(to))];
  const [top, bottom] = [Math.min(y(value), y(0)), Math.max(y(value), y(0))];
  return html`<rect class="${className}" x="${px(a)}" y="${px(top)}" width="${px(Math.max(b - a - 0.5, 0.8))}" height="${px(Math.max(bottom - top, 0.8))}"/>`;
}

/** A threshold across the plot: vertical at a value of x, or horizontal at one of y. */
export function threshold(frame: Frame, at: { x: number } | { y: number }, className = 's-fail'): Html {
  const d =
    'x' in at
      ? `M${frame.x(at.x)} ${frame.top}V${frame.bottom}`
      : `M${frame.left} ${frame.y(at.y)}H${frame.right}`;
  return html`<path class="line dash ${className}" d="${d}"/>`;
}

/** An estimate with its interval, lying along x at a height in pixels. Bounds that are not finite reach the edge. */
export function whisker(
  frame: Frame,
  { low, estimate, high }: { low: number; estimate: number; high: number },
  at: number,
  name: string,
): Html {
  const clamp = (value: number) => Math.min(Math.max(value, frame.left), frame.right);
  const end = (value: number, edge: number) => (Number.isFinite(value) ? clamp(frame.x(value)) : edge);
  const [a, b] = [end(low, frame.left), end(high, frame.right)];
  const middle = Number.isFinite(estimate)
    ? html`<circle class="f-${name}" cx="${px(clamp(frame.x(estimate)))}" cy="${px(at)}" r="3.5"/>`
    : false;
  return html`<path class="line s-${name}" d="M${px(a)} ${px(at)}H${px(b)}M${px(a)} ${px(at - 4)}v8M${px(b)} ${px(at - 4)}v8"/>${middle}`;
}
