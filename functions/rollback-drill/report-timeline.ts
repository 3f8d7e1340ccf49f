import { scaleLinear, scaleLog } from 'd3-scale';
import { clip, countOf, formatDuration, formatNumber, formatShare, listOf } from '../shared/format.ts';
import { durationTicks, figure, px } from '../shared/report/chart.ts';
import { type Content, type Html, html } from '../shared/report/html.ts';
import { type EndpointState, sharesOf } from './endpoint.ts';
import type { Request, Slice, Timeline, Who } from './measurements.ts';
import type { Phase } from './phases.ts';
import { allRequests, PAUSE_MS, statesOf, tallyOf } from './timeline.ts';
import type { WayBack } from './way-back.ts';
import { clockText, isDead, statusText } from './words.ts';

/*
 * The picture of a drill: phases, who answered each request, what the endpoint said of itself, and how long answers took, over
 * one time. Pure.
 */

/** Where the drawing is, in its own units. */
const WIDTH = 680;
const LEFT = 122;
const RIGHT = 666;

/** More requests than these are counted in columns; so many columns there are. */
const SINGLE = 400;
const COLUMNS = 136;

/** Lanes that are drawn; changes of the endpoint that are told, and that are told in words within the picture. */
const LANES = 10;
const CHANGES = 30;
const WORDED = 8;

/** Usual width of a character of the drawing. */
const CHARACTER = 6;

/** Ticks of the time, at most so many and one. */
const TICKS = 9;

/** Who answers, in the order in which it is told. */
export const ANSWERERS: readonly Who[] = ['previous', 'either', 'bad', 'other', 'nobody'];

/** How an answer looks: its words, its colour, and whether it is filled. */
export const LOOKS: Record<Who, { name: string; className: string; shape: Shape }> = {
  previous: { name: 'previous model', className: 'f-a', shape: 'circle' },
  either: { name: 'either model', className: 'f-soft', shape: 'square' },
  bad: { name: 'bad model', className: 'f-fail', shape: 'diamond' },
  other: { name: 'unknown model', className: 'f-c', shape: 'triangle' },
  nobody: { name: 'no answer', className: 'line thin s-ink', shape: 'cross' },
};

type Shape = 'circle' | 'square' | 'diamond' | 'triangle' | 'cross';

/** One shape around a point, `r` wide to each side. */
const SHAPES: Record<Shape, (x: number, y: number, r: number) => string> = {
  circle: (x, y, r) => `M${px(x - r)} ${y}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0-${2 * r} 0z`,
  square: (x, y, r) => `M${px(x - r)} ${px(y - r)}h${2 * r}v${2 * r}h-${2 * r}z`,
  diamond: (x, y, r) => `M${x} ${px(y - r)}l${r} ${r}l-${r} ${r}l-${r}-${r}z`,
  triangle: (x, y, r) => `M${x} ${px(y - r)}l${r} ${2 * r}h-${2 * r}z`,
  cross: (x, y, r) => `M${px(x - r)} ${px(y - r)}l${2 * r} ${2 * r}m0-${2 * r}l-${2 * r} ${2 * r}`,
};

/** Requests that the same one has answered, or nobody. */
export interface Lane {
  who: Who;
  /** Null where none has answered, or none is named. */
  variant: string | null;
  requests: Request[];
}

/** The lanes of some requests, in a fixed order. */
export function lanesOf(requests: readonly Request[]): Lane[] {
  const groups = Map.groupBy(requests, ({ who, variant }) => JSON.stringify([who, variant]));
  return [...groups.values()]
    .map((group): Lane => {
      const { who, variant } = group[0] as Request;
      return { who, variant, requests: group };
    })
    .sort(
      (a, b) =>
        ANSWERERS.indexOf(a.who) - ANSWERERS.indexOf(b.who) ||
        ((a.variant ?? '') < (b.variant ?? '') ? -1 : 1),
    );
}

/** What the endpoint said of itself when that was something else than before. */
export interface Change {
  /** Its name in the picture: `a`. */
  letter: string;
  at: number;
  /** Null: there was no such endpoint. */
  state: EndpointState | null;
  /** What is new about it, in a few words. */
  news: string;
}

/** Changes of the endpoint in order, the first state among them; at most {@link CHANGES}, and how many there are. */
export function changesOf(slices: readonly Slice[]): { changes: Change[]; total: number } {
  let before: EndpointState | null | undefined;
  const all = statesOf(slices).flatMap(({ at, state }): Omit<Change, 'letter'>[] => {
    const news = newsOf(before, state);
    before = state;
    return news === '' ? [] : [{ at, state, news }];
  });
  const changes = all.slice(0, CHANGES).map((change, index) => ({ ...change, letter: letterOf(index) }));
  return { changes, total: all.length };
}

/** `a` to `z`, then `aa`. */
function letterOf(index: number): string {
  const letter = String.fromCharCode(97 + (index % 26));
  return index < 26 ? letter : `${letterOf(Math.floor(index / 26) - 1)}${letter}`;
}

function newsOf(before: EndpointState | null | undefined, state: EndpointState | null): string {
  if (state === null) return before === null ? '' : 'gone';
  const isFirst = before === undefined || before === null;
  const was = isFirst ? {} : sharesOf(before.variants);
  const is = sharesOf(state.variants);
  const most = Object.entries(is).toSorted(([, a], [, b]) => b - a)[0];
  const names = new Set([...Object.keys(was), ...Object.keys(is)]);
  const isShifted = [...names].some((name) => (was[name] ?? 0) !== (is[name] ?? 0));
  const parts = [
    isFirst || statusText(before) !== statusText({ ...state, config: before.config }) ? state.status : '',
    !isFirst && before.config !== state.config ? `on ${clip(state.config, 24)}` : '',
    isShifted && most !== undefined ? `${clip(most[0], 20)} ${formatShare(most[1])}` : '',
  ];
  return parts.filter((part) => part !== '').join(', ');
}

/** From when to when something is known of a drill; null where nothing is. Milliseconds since 1970. */
export function spanOf({ marks, slices }: Timeline): { start: number; end: number } | null {
  const times = [...slices.flatMap(({ from, to }) => [from, to]), ...marks.map(({ at }) => at)];
  if (times.length === 0) return null;
  return {
    start: times.reduce((a, b) => Math.min(a, b)),
    end: times.reduce((a, b) => Math.max(a, b)),
  };
}

/** What the picture of a drill shows. */
export interface Drawn {
  timeline: Timeline;
  phases: readonly Phase[];
  way: WayBack | null;
  /** Milliseconds: how long the way back may take. */
  within: number;
  /** Of the timeline. */
  span: { start: number; end: number };
}

/** Rows of the drawing from the top, as it grows. */
class Rows {
  y = 4;

  take(height: number): number {
    const top = this.y;
    this.y += height;
    return top;
  }
}

/** The picture of a drill in which something was asked. */
export function timelineFigure(drawn: Drawn): Html {
  const { timeline, phases, way, within, span } = drawn;
  const requests = allRequests(timeline);
  const scale = scaleLinear([span.start, Math.max(span.end, span.start + 1)], [LEFT, RIGHT]);
  const x = (at: number) => px(scale(at));
  const rows = new Rows();
  const flags = flagsOf(drawn, x, rows);
  const phaseBand = phasesBand(phases, x, rows);
  const top = rows.y;
  const all = lanesOf(requests);
  const isMerged = all.length > LANES;
  const lanes = isMerged ? lanesOf(requests.map((request) => ({ ...request, variant: null }))) : all;
  const isSingle = requests.length <= SINGLE;
  const columns = columnsOf(span);
  const most = isSingle ? 0 : mostIn(lanes, columns);
  const answers = lanes.map((lane) => laneRow(lane, isSingle ? undefined : { ...columns, most }, x, rows));
  const lanesEnd = rows.y;
  const endpoint = endpointRows(timeline.slices, span.end, x, rows);
  const latency = latencyRows(requests, isSingle ? undefined : columns, x, rows);
  const bottom = rows.take(24);
  const ticks = durationTicks(span.end - span.start, TICKS);
  const grid = ticks.map((ms) => `M${x(span.start + ms)} ${top}V${bottom}`).join('');
  const edges = phases.map(({ from }) => `M${x(from)} ${top}V${bottom}`).join('');
  const counted = isSingle
    ? 'Each mark is a request.'
    : `Columns count the requests of ${formatDuration(columns.widthMs)}; the highest has ${countOf(most, 'request')}.`;
  const note = [
    ...timesText(way, within, span),
    counted,
    ...(isMerged ? ['Variants are told apart in the table below.'] : []),
  ].join(' ');
  return figure(
    {
      title: `Who answered ${countOf(requests.length, 'request')} in ${formatDuration(span.end - span.start)}`,
      note,
    },
    html`<svg viewBox="0 0 ${WIDTH} ${rows.y}" role="img" aria-label="${descriptionOf(requests, lanes, drawn)}">
<path class="grid" d="${grid}"/>
<path class="line thin s-soft" d="${edges}"/>
${phaseBand}${answers}${unwatched(timeline.slices, x, top, lanesEnd)}${endpoint}${latency}${flags(bottom)}
<path class="axis" d="M${LEFT} ${bottom}H${RIGHT}"/>
${ticks.map((ms) => html`<text class="soft" x="${x(span.start + ms)}" y="${bottom + 14}" text-anchor="middle">${clockText(ms, Number.POSITIVE_INFINITY)}</text>`)}
<text class="soft" x="4" y="${bottom + 14}">minutes</text></svg>`,
    { wide: true },
  );
}

/** Recovery and limit, with their times. */
function timesText(way: WayBack | null, within: number, { start, end }: Drawn['span']): string[] {
  if (way === null) return [];
  const clock = (at: number) => clockText(at - start, end - start);
  const { recoveredAt, begunAt } = way;
  const limit = `allowed were ${formatDuration(within)}, until ${clock(begunAt + within)}`;
  return [
    recoveredAt === null
      ? `The previous model did not come back: ${limit}.`
      : `The previous model answered everything again at ${clock(recoveredAt)}, ${formatDuration(recoveredAt - begunAt)} after the procedure began at ${clock(begunAt)}; ${limit}.`,
  ];
}

function descriptionOf(requests: readonly Request[], lanes: readonly Lane[], drawn: Drawn): string {
  const { phases, way, within, span } = drawn;
  const clock = (at: number) => clockText(at - span.start, span.end - span.start);
  const parts = lanes.map((lane) => `${formatNumber(lane.requests.length)} ${laneText(lane)}`);
  const told = phases.map(({ name, from, to }) => `${name} ${clock(from)} to ${clock(to)}`);
  return [
    `Timeline of ${countOf(requests.length, 'request')}: ${listOf(parts)}.`,
    ...(told.length > 0 ? [`Phases: ${told.join('; ')}.`] : []),
    ...timesText(way, within, span),
  ].join(' ');
}

/** `bad model, variant candidate` */
export function laneText({ who, variant }: Pick<Lane, 'who' | 'variant'>): string {
  const { name } = LOOKS[who];
  return variant === null ? name : `${name}, variant ${variant}`;
}

/** The moments that decide, in rows of their own; they are drawn over everything else, down to `bottom`. */
function flagsOf(
  { way, within, span }: Drawn,
  x: (at: number) => number,
  rows: Rows,
): (bottom: number) => Content {
  if (way === null) return () => [];
  const clock = (at: number) => clockText(at - span.start, span.end - span.start);
  const { recoveredAt, begunAt } = way;
  const limit = begunAt + within;
  const recovered = recoveredAt === null ? undefined : rows.take(15);
  const limited = rows.take(15);
  const text = (at: number, y: number, words: string, className: string) => {
    const isLeft = at > (LEFT + RIGHT) / 2;
    return html`<text class="f-${className}" x="${isLeft ? px(at - 5) : px(at + 5)}" y="${y + 11}" text-anchor="${isLeft ? 'end' : 'start'}">${words}</text>`;
  };
  const line = (at: number, y: number, className: string, bottom: number) =>
    html`<path class="line s-${className}" d="M${at} ${y + 1}V${bottom}"/>`;
  const limitWords = `limit ${clock(limit)}`;
  return (bottom) => [
    recoveredAt !== null && recovered !== undefined
      ? [
          line(x(recoveredAt), recovered, 'pass', bottom),
          text(x(recoveredAt), recovered, `recovered ${clock(recoveredAt)}`, 'pass'),
        ]
      : false,
    limit <= span.end
      ? [line(x(limit), limited, 'fail dash', bottom), text(x(limit), limited, limitWords, 'fail')]
      : html`<text class="f-fail" x="${RIGHT}" y="${limited + 11}" text-anchor="end">${`${limitWords}, after the end of the picture →`}</text>`,
  ];
}

/** A band of numbered phases; names stand where they fit, and numbers below those that are narrow. */
function phasesBand(phases: readonly Phase[], x: (at: number) => number, rows: Rows): Content {
  if (phases.length === 0) return false;
  const top = rows.take(20);
  const boxes = phases.map(({ name, from, to }, index) => {
    const [a, b] = [x(from), x(to)];
    const text = [`${index + 1} ${name}`, String(index + 1)].find(
      (words) => words.length * CHARACTER + 6 <= b - a,
    );
    return { a, b, text, number: String(index + 1), isOdd: index % 2 === 1 };
  });
  const narrow = boxes.filter(({ text }) => text === undefined);
  const below = narrow.length > 0 ? rows.take(14) : rows.y;
  let free = LEFT - 10;
  const numbers = narrow.map(({ a, b, number }) => {
    const at = Math.max((a + b) / 2, free + 5);
    free = at + number.length * CHARACTER + 2;
    return html`<text class="soft" x="${px(at)}" y="${below + 11}" text-anchor="middle">${number}</text>`;
  });
  rows.take(4);
  return html`<text x="4" y="${top + 14}">phases</text>
${boxes.map(
  ({ a, b, text, isOdd }) =>
    html`<rect class="${isOdd ? 'f-fill-b' : 'f-fill-a'}" x="${a}" y="${top}" width="${px(Math.max(b - a, 1))}" height="18"/>${
      text !== undefined &&
      html`<text x="${px((a + b) / 2)}" y="${top + 13}" text-anchor="middle">${text}</text>`
    }`,
)}
${numbers}
`;
}

/** Equal columns of time. */
interface Columns {
  start: number;
  widthMs: number;
}

function columnsOf({ start, end }: Drawn['span']): Columns {
  return { start, widthMs: Math.max(1, Math.ceil((end - start + 1) / COLUMNS)) };
}

/** Requests by column. */
function byColumn(requests: readonly Request[], { start, widthMs }: Columns): Map<number, Request[]> {
  return Map.groupBy(requests, ({ at }) => Math.floor((at - start) / widthMs));
}

function mostIn(lanes: readonly Lane[], columns: Columns): number {
  return lanes
    .flatMap(({ requests }) => [...byColumn(requests, columns).values()].map(({ length }) => length))
    .reduce((a, b) => Math.max(a, b), 1);
}

/** Height of a lane. */
const LANE = 27;

function laneRow(
  { who, variant, requests }: Lane,
  columns: (Columns & { most: number }) | undefined,
  x: (at: number) => number,
  rows: Rows,
): Html {
  const top = rows.take(LANE);
  const middle = top + LANE / 2;
  const { name, className, shape } = LOOKS[who];
  const draw = SHAPES[shape];
  const d =
    columns === undefined
      ? requests.map(({ at }) => draw(x(at), middle, 3)).join('')
      : [...byColumn(requests, columns)]
          .map(([column, { length }]) => {
            const from = x(columns.start + column * columns.widthMs);
            const to = x(columns.start + (column + 1) * columns.widthMs);
            // However few they are, they are seen.
            const height = px(Math.max(2.5, (length / columns.most) * (LANE - 6)));
            return `M${from} ${px(top + LANE - 2)}v-${height}h${px(Math.max(to - from - 0.6, 1))}v${height}z`;
          })
          .join('');
  return html`<path class="grid" d="M${LEFT} ${top + LANE - 0.5}H${RIGHT}"/><path class="${className}" d="${draw(9, top + 9, 4)}"/><text x="18" y="${top + 13}">${name}</text>${
    variant !== null && html`<text class="soft" x="18" y="${top + 24}">${clip(variant, 17)}</text>`
  }<path class="${who === 'nobody' && columns !== undefined ? 'f-warn' : className}" d="${d}"/>
`;
}

/** Stretches in which nobody looked. */
function unwatched(
  slices: readonly Slice[],
  x: (at: number) => number,
  top: number,
  bottom: number,
): Content {
  let until: number | undefined;
  return slices
    .toSorted((a, b) => a.from - b.from)
    .map(({ from, to }) => {
      const since = until;
      until = Math.max(until ?? to, to);
      if (since === undefined || from - since <= PAUSE_MS) return false;
      const width = px(x(from) - x(since));
      return html`<rect class="f-line" x="${x(since)}" y="${top}" width="${width}" height="${bottom - top}"/>${
        width >= 20 * CHARACTER &&
        html`<text x="${px((x(from) + x(since)) / 2)}" y="${px((top + bottom) / 2 + 4)}" text-anchor="middle">nobody looked</text>`
      }`;
    });
}

/** A colour for a status; its name stands beside it. */
function statusClass(state: EndpointState | null): string {
  if (isDead(state) || state?.status === 'UpdateRollbackFailed') return 'f-fail';
  return state?.status === 'InService' ? 'f-pass' : 'f-warn';
}

/** The status of the endpoint as a band, and its changes as labelled ticks. */
function endpointRows(slices: readonly Slice[], end: number, x: (at: number) => number, rows: Rows): Content {
  const { changes } = changesOf(slices);
  if (changes.length === 0) return false;
  const top = rows.take(16) + 6;
  const watchedTo = slices.reduce((last, { to }) => Math.max(last, to), 0);
  const band = changes.map(({ at, state }, index) => {
    const to = changes[index + 1]?.at ?? Math.min(end, Math.max(watchedTo, at));
    return html`<rect class="${statusClass(state)}" x="${x(at)}" y="${top}" width="${px(Math.max(x(to) - x(at), 1))}" height="8"/>`;
  });
  const taken: number[] = [];
  const placed = changes.map(({ at, letter, news }) => {
    const tick = x(at);
    const fit = (changes.length > WORDED ? [letter] : [`${letter} ${news}`, letter]).flatMap((words) => {
      const width = words.length * CHARACTER;
      const isLeft = tick + width + 2 > RIGHT + 10;
      const row = [0, 1, 2].find((one) => (taken[one] ?? 0) <= (isLeft ? tick - width - 2 : tick));
      return row === undefined ? [] : [{ words, row, isLeft, to: isLeft ? tick + 4 : tick + width + 8 }];
    })[0];
    if (fit !== undefined) taken[fit.row] = fit.to;
    return { tick, fit };
  });
  const height = 14 * Math.max(1, taken.length);
  const below = rows.take(height + 8) + 2;
  const lineOf = (fit: (typeof placed)[number]['fit']) => below + 14 * (fit?.row ?? 0) + 11;
  const ticks = placed.map(
    ({ tick, fit }) => `M${tick} ${top - 3}V${fit === undefined ? below : lineOf(fit)}`,
  );
  // Over the lines of others, which would go through the words.
  const labels = placed.map(({ tick, fit }) => {
    if (fit === undefined) return false;
    const [y, width] = [lineOf(fit), fit.words.length * CHARACTER];
    const from = fit.isLeft ? tick - 3 - width : tick + 1;
    return html`<rect class="f-card" x="${px(from)}" y="${y - 10}" width="${width + 2}" height="13"/><text x="${px(fit.isLeft ? tick - 3 : tick + 3)}" y="${y}" text-anchor="${fit.isLeft ? 'end' : 'start'}">${fit.words}</text>`;
  });
  return html`<text x="4" y="${top + 8}">endpoint</text>
${band}
<path class="line thin s-ink" d="${ticks.join('')}"/>
${labels}
`;
}

/** How long requests took, on a logarithmic scale. */
function latencyRows(
  requests: readonly Request[],
  columns: Columns | undefined,
  x: (at: number) => number,
  rows: Rows,
): Content {
  if (requests.length === 0) return false;
  const top = rows.take(86) + 8;
  const bottom = top + 74;
  const least = requests.reduce((low, { ms }) => Math.min(low, ms), Number.POSITIVE_INFINITY);
  const greatest = requests.reduce((high, { ms }) => Math.max(high, ms), 1);
  const from = 10 ** Math.floor(Math.log10(Math.max(1, least)));
  const to = Math.max(10 * from, 10 ** Math.ceil(Math.log10(greatest)));
  const scale = scaleLog([from, to], [bottom, top]);
  const y = (ms: number) => px(scale(Math.max(from, ms)));
  const powers: number[] = [];
  for (let power = from; power <= to * 1.001; power *= 10) powers.push(power);
  const grid = powers.map((power) => `M${LEFT} ${y(power)}H${RIGHT}`).join('');
  const drawn =
    columns === undefined
      ? ANSWERERS.map((who) => {
          const { className, shape } = LOOKS[who];
          const d = requests
            .filter((request) => request.who === who)
            .map(({ at, ms }) => SHAPES[shape](x(at), y(ms), 2))
            .join('');
          return d !== '' && html`<path class="${className}" d="${d}"/>`;
        })
      : latencyColumns(requests, columns, x, y);
  return html`<text x="4" y="${top + 8}">latency${columns !== undefined && ':'}</text>${
    columns !== undefined &&
    html`<text class="soft" x="4" y="${top + 22}">median (line)</text><text class="soft" x="4" y="${top + 36}">most (dash)</text>`
  }
<path class="grid" d="${grid}"/>
${powers.map((power) => html`<text class="soft" x="${LEFT - 4}" y="${px(y(power) + 3.5)}" text-anchor="end">${power < 1000 ? `${power} ms` : `${power / 1000} s`}</text>`)}
${drawn}
`;
}

function latencyColumns(
  requests: readonly Request[],
  columns: Columns,
  x: (at: number) => number,
  y: (ms: number) => number,
): Html {
  const { start, widthMs } = columns;
  const middles: string[] = [];
  const greatest: string[] = [];
  let before: number | undefined;
  for (const [column, group] of [...byColumn(requests, columns)].sort(([a], [b]) => a - b)) {
    const at = x(start + (column + 0.5) * widthMs);
    const times = group.map(({ ms }) => ms).sort((a, b) => a - b);
    middles.push(`${before === column - 1 ? 'L' : 'M'}${at} ${y(medianOf(times))}`);
    // A column by itself is seen, too.
    if (before !== column - 1) middles.push('h0.5');
    greatest.push(`M${px(at - 1.5)} ${y(times.at(-1) ?? 0)}h3`);
    before = column;
  }
  return html`<path class="line thin s-ink" d="${greatest.join('')}"/><path class="line s-a" d="${middles.join('')}"/>`;
}

/** The middle of some sorted values: of two the lower. NaN of none. */
export function medianOf(sorted: readonly number[]): number {
  return sorted[Math.floor((sorted.length - 1) / 2)] ?? Number.NaN;
}

/** Who answered some requests, in words: `59 previous model, 4 bad model`. */
export function tallyText(requests: readonly Request[], nameOf = (who: Who) => LOOKS[who].name): string {
  const tally = tallyOf(requests);
  const parts = ANSWERERS.filter((who) => tally[who] > 0).map(
    (who) => `${formatNumber(tally[who])} ${nameOf(who)}`,
  );
  return parts.length === 0 ? 'nothing was asked' : parts.join(', ');
}
