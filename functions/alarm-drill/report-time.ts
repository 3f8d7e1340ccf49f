import { scaleLinear } from 'd3-scale';
import { timeText } from '../shared/format.ts';
import { durationTicks, type Frame, path, px } from '../shared/report/chart.ts';
import { type Content, type Html, html } from '../shared/report/html.ts';
import { type AlarmState, breaches } from './alarm.ts';
import { stateAt } from './ladder.ts';
import type { LocatedDrill } from './schema.ts';
import type { Transition } from './series.ts';

/*
 * What pictures over time of an alarm have in common: the axis, data points, and bands of states. Pure.
 */

/** Units of a drawing, and where its time begins and ends. */
export const WIDTH = 680;
export const [LEFT, RIGHT] = [134, 668];

/** Height of a band of states. */
export const BAND = 14;

/** More data points than these run together: a line has them. */
export const DOTS = 90;

/** Columns of a band with more changes than these: each shows the worst of its states. */
const COLUMNS = 100;

/** Units that a character takes, at the size of the marks' times. */
export const CHARACTER = 6.2;

/** Between two lines of a hatching. */
const HATCH = 7;

/** A stretch of time in one state, milliseconds since 1970. */
export interface Stretch {
  from: number;
  to: number;
  state: AlarmState;
}

/** Places of moments of a time, milliseconds since 1970, in a drawing; what is beyond an end stands there. */
export function timeScale(from: number, to: number): (at: number) => number {
  const scale = scaleLinear([from, Math.max(to, from + 1)], [LEFT, RIGHT]);
  // What arrives after the end stands there.
  return (at) => px(Math.min(Math.max(scale(at), LEFT), RIGHT));
}

/** Ticks of a time that began at `from`, at a height. */
export function ticksText(x: (at: number) => number, lengthMs: number, from: number, y: number): Html[] {
  return durationTicks(lengthMs, 7).map(
    (ms) => html`<text class="soft" x="${x(from + ms)}" y="${y}" text-anchor="middle">${tickText(ms)}</text>`,
  );
}

/** `0`, `5 min` */
export function tickText(ms: number): string {
  return ms === 0 ? '0' : timeText(ms);
}

/** Data points: full where the alarm is to fire at them. Many run together in a line. */
export function pointMarks(
  points: readonly (readonly [number, number])[],
  frame: Frame,
  fires: LocatedDrill['value']['intended']['fires'],
): Content {
  if (points.length > DOTS) return path(frame, points, 's-c');
  const places = (some: typeof points) =>
    some.map(([at, value]) => `M${frame.x(at)} ${frame.y(value)}h0`).join('');
  // Round ends of lines without a length: a few characters each.
  const dots = (some: typeof points, className: string, width: number) =>
    some.length > 0 &&
    html`<path class="${className}" fill="none" stroke-linecap="round" stroke-width="${width}" d="${places(some)}"/>`;
  const loud = points.filter(([, value]) => breaches(value, fires));
  const others = points.filter(([, value]) => !breaches(value, fires));
  return [
    path(frame, points, 'thin s-soft'),
    dots(others, 's-c', 7),
    dots(others, 's-card', 3.5),
    dots(loud, 's-c', 6.5),
  ];
}

/** Stretches of which none is too short to be seen, where there are many. */
function merged(stretches: readonly Stretch[]): Stretch[] {
  const [first, last] = [stretches[0], stretches.at(-1)];
  if (first === undefined || last === undefined || stretches.length <= COLUMNS) return [...stretches];
  const width = (last.to - first.from) / COLUMNS;
  const columns: Stretch[] = [];
  for (let column = 0; column < COLUMNS; column++) {
    const [from, to] = [first.from + column * width, first.from + (column + 1) * width];
    const states = new Set(stretches.filter((one) => one.to > from && one.from < to).map((one) => one.state));
    const state = WORST.find((one) => states.has(one)) ?? last.state;
    const before = columns.at(-1);
    if (before?.state === state) before.to = to;
    else columns.push({ from, to, state });
  }
  return columns;
}

const WORST: readonly AlarmState[] = ['ALARM', 'INSUFFICIENT_DATA', 'OK'];

/** The states of an alarm between two moments. */
export function stretchesOf(transitions: readonly Transition[], from: number, to: number): Stretch[] {
  const sorted = transitions.toSorted((a, b) => a.at - b.at).filter(({ at }) => at < to);
  const starts = [
    { at: from, state: stateAt(transitions, from) },
    ...sorted.filter(({ at }) => at > from).map(({ at, to: state }) => ({ at, state })),
  ];
  return starts.map(({ at, state }, index) => ({ from: at, to: starts[index + 1]?.at ?? to, state }));
}

/** States over time: ALARM is full, INSUFFICIENT_DATA hatched and OK empty; each has its name where there is room. */
export function band(stretches: readonly Stretch[], x: (at: number) => number, y: number): Html[] {
  return merged(stretches).map(({ from, to, state }) => {
    const [a, width] = [x(from), px(Math.max(x(to) - x(from), 1))];
    const name = [state, SHORT[state]].find((text) => text.length * 6.6 + 8 < width);
    const middle = px(a + width / 2);
    const text = (className: string) =>
      name !== undefined &&
      html`<text class="${className}" x="${middle}" y="${y + 11}" text-anchor="middle" font-size="10" font-weight="600">${name}</text>`;
    const box = (className: string) =>
      html`<rect class="${className}" x="${a}" y="${y}" width="${width}" height="${BAND}"/>`;
    if (state === 'ALARM') return html`${box('f-fail')}${text('on')}`;
    if (state === 'OK') return html`${box('f-card s-pass')}${text('f-pass')}`;
    const behind =
      name !== undefined &&
      html`<rect class="f-card" x="${px(middle - name.length * 3.3 - 3)}" y="${y + 1}" width="${px(name.length * 6.6 + 6)}" height="${BAND - 2}"/>`;
    return html`${box('f-card s-soft')}<path class="line thin s-soft" d="${hatching(a, width, y)}"/>${behind}${text('soft')}`;
  });
}

const SHORT: Record<AlarmState, string> = { OK: 'OK', ALARM: 'A', INSUFFICIENT_DATA: 'NO DATA' };

function hatching(x: number, width: number, y: number): string {
  const count = Math.floor((width - BAND) / HATCH);
  return Array.from(
    { length: Math.max(0, count) },
    (_, index) => `M${px(x + index * HATCH + 2)} ${y + BAND - 1}l${BAND - 2} ${2 - BAND}`,
  ).join('');
}
