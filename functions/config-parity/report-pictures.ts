import { clip, countOf, formatNumber, listOf } from '../shared/format.ts';
import { figure, type LegendItem, plot, px, spread } from '../shared/report/chart.ts';
import type { Content, Html } from '../shared/report/html.ts';
import { html } from '../shared/report/html.ts';
import type { GoldenLine } from './probes.ts';
import { SIDES } from './schema.ts';

/*
 * Pictures of a comparison: how much is equal, when documented differences end, and what both endpoints answer. Pure.
 */

/** How many of something are what. */
export interface Shares {
  name: string;
  equal: number;
  documented: number;
  undocumented: number;
  /** Not known. */
  unread: number;
  /** Whether what is undocumented only warns. */
  warns?: boolean;
}

type Share = Exclude<keyof Shares, 'name' | 'warns'>;

const WIDTH = 340;

/** Columns of numbers: what they are, how wide that is, and how their part of a bar looks. */
const COLUMNS: readonly { share: Share; title: string; width: number; className: string }[] = [
  { share: 'equal', title: 'equal', width: 38, className: 'f-fill-a' },
  { share: 'documented', title: 'documented', width: 69, className: 'f-c' },
  { share: 'undocumented', title: 'undocumented', width: 81, className: 'f-fail' },
  { share: 'unread', title: 'not known', width: 61, className: 'f-soft' },
];

/** A column where it stands. */
type Column = (typeof COLUMNS)[number] & { end: number };

const HEAD = 18;
const ROW = 32;
const BAR = 9;

/** The least width of a part that is there: one difference among thousands is seen. */
const LEAST_PART = 6;

/** Stacked bars, one a row, with their numbers; false without rows. Each bar is whole: its parts are shares. */
export function sharesFigure(
  title: string,
  note: Content,
  rows: readonly Shares[],
  of: string,
): Html | false {
  if (rows.length === 0) return false;
  const used = COLUMNS.filter(({ share }) => share !== 'unread' || rows.some(({ unread }) => unread > 0));
  const columns = used.map((column, index): Column => {
    const right = used.slice(index + 1).reduce((sum, { width }) => sum + width, 0);
    return { ...column, end: WIDTH - right };
  });
  const height = HEAD + rows.length * ROW;
  return figure(
    { title, note },
    html`<svg viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${`${title}. ${rows.map((row) => sharesText(row, of)).join('; ')}.`}">
${columns.map(
  ({ title: text, end, className }) =>
    html`<text class="soft" font-size="10" x="${end}" y="9" text-anchor="end">${text}</text><rect class="${className}" x="${end - 18}" y="13" width="18" height="3"/>`,
)}
${rows.map((row, index) => sharesRow(row, columns, HEAD + index * ROW))}</svg>`,
  );
}

function sharesRow(row: Shares, columns: readonly Column[], top: number): Html {
  const total = columns.reduce((sum, { share }) => sum + row[share], 0);
  const widths = partsOf(columns.map(({ share }) => row[share]));
  let x = 0;
  const parts = columns.map(({ share, className }, index) => {
    const width = widths[index] ?? 0;
    if (width === 0) return false;
    const from = x;
    x += width;
    const look = share === 'undocumented' && row.warns === true ? 'f-warn' : className;
    return html`<rect class="${look}" x="${px(from)}" y="${top + 18}" width="${px(width - 1)}" height="${BAR}"/>`;
  });
  return html`<text x="0" y="${top + 13}">${row.name}</text>${columns.map(
    ({ share, end }) =>
      html`<text${row[share] === 0 && html` class="soft"`} x="${end}" y="${top + 13}" text-anchor="end"${share === 'undocumented' && row[share] > 0 && html` font-weight="700"`}>${formatNumber(row[share])}</text>`,
  )}${total === 0 ? html`<path class="grid" d="M0 ${top + 22.5}H${WIDTH}"/>` : parts}
`;
}

/** Widths of the parts of a whole bar; what is there is seen. */
function partsOf(counts: readonly number[]): number[] {
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (total === 0) return counts.map(() => 0);
  const wanted = counts.map((count) => (count === 0 ? 0 : Math.max(LEAST_PART, (count / total) * WIDTH)));
  const there = counts.filter((count) => count > 0).length;
  const room = WIDTH - there * LEAST_PART;
  const surplus = wanted.reduce((sum, width) => sum + Math.max(0, width - LEAST_PART), 0);
  return wanted.map((width) => (width === 0 ? 0 : LEAST_PART + ((width - LEAST_PART) * room) / surplus));
}

function sharesText({ name, ...shares }: Shares, of: string): string {
  const parts = COLUMNS.filter(({ share }) => shares[share] > 0).map(
    ({ share, title }) => `${formatNumber(shares[share])} ${title}`,
  );
  return `${name}: ${parts.length === 0 ? `no ${of}` : listOf(parts)}`;
}

/** A documented difference that is in force. */
export interface Ending {
  name: string;
  /** Until it ends; 0: on this day. */
  days: number;
}

const MOST_ENDINGS = 8;

/** Longer ends are cut: what matters is what ends soon. */
const YEAR = 365;

/** Characters of a path: its end says what it is. */
const NAME = 46;

/** When documented differences end, the next first; nothing where there are none. */
export function endingsFigure(endings: readonly Ending[], soon: number, asOf: string): Html | false {
  if (endings.length === 0) return false;
  const next = endings.toSorted((a, b) => a.days - b.days).slice(0, MOST_ENDINGS);
  const more = endings.length - next.length;
  const x = (days: number) => px((Math.min(days, YEAR) / YEAR) * (WIDTH - 12));
  const title = 'When documented differences end';
  const note = `Days after ${asOf}; bars end at a year. From ${soon} days on (dashed) they warn.${more > 0 ? ` ${countOf(more, 'more ends', 'more end')} later.` : ''}`;
  const texts = next.map(({ name, days }) => `${name} in ${countOf(days, 'day')}`);
  const height = next.length * ROW;
  return figure(
    { title, note },
    html`<svg viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${`${title}. ${texts.join('; ')}.`}">
${next.map(({ name, days }, index) => {
  const top = index * ROW;
  const arrow = days > YEAR && html`<path class="f-c" d="M${WIDTH - 11} ${top + 17}l9 5.5l-9 5.5z"/>`;
  return html`<text x="0" y="${top + 12}">${endOf(name)}</text><text x="${WIDTH}" y="${top + 12}" text-anchor="end"${days <= soon && html` font-weight="700"`}>${days === 0 ? 'today' : `${formatNumber(days)} d`}</text>
<rect class="${days <= soon ? 'f-warn' : 'f-c'}" x="0" y="${top + 18}" width="${Math.max(x(days), 2)}" height="${BAR}"/>${arrow}
`;
})}<path class="line dash s-ink thin" d="${next.map((_, index) => `M${x(soon)} ${index * ROW + 15}v15`).join('')}"/></svg>`,
  );
}

/** The end of a path. */
function endOf(name: string): string {
  const characters = [...name];
  return characters.length <= NAME ? name : `…${characters.slice(1 - NAME).join('')}`;
}

const ANSWERS: readonly LegendItem[] = [
  { className: 'f-a', kind: 'dot', text: 'staging' },
  { className: 'line s-b', kind: 'dot', text: 'production' },
  { className: 's-ink', kind: 'line', text: 'recorded' },
];

/** Numbers are named below, one in so many. */
const NAMED = 10;

/**
 * What both endpoints answer to golden requests, where that is one number each: a dot in the middle of a ring is an answer
 * that is alike. False where no answer is a number.
 */
export function answersFigure(probe: string, lines: readonly GoldenLine[]): Html | false {
  const drawn = lines.filter(
    ({ numbers }) => numbers.staging !== undefined && numbers.production !== undefined,
  );
  if (drawn.length === 0) return false;
  const values = drawn.flatMap(({ numbers }) => Object.values(numbers));
  const left = lines.length - drawn.length;
  const apart = drawn.filter(({ state }) => state === 'different').length;
  const step = Math.ceil(lines.length / NAMED);
  return plot({
    title: `Answers to the probe ${clip(probe, 60)}`,
    note:
      left > 0
        ? `${countOf(left, 'request')} without two numbers ${left === 1 ? 'is' : 'are'} not drawn.`
        : undefined,
    description: `Of ${countOf(drawn.length, 'golden request')} ${formatNumber(apart)} ${apart === 1 ? 'is' : 'are'} answered differently: ${drawn
      .slice(0, NAMED)
      .map(
        ({ golden, staging, production }) =>
          `number ${golden} ${staging} in staging, ${production} in production`,
      )
      .join('; ')}.`,
    x: {
      label: 'golden request',
      domain: [0.5, lines.length + 0.5],
      names: lines
        .filter((_, index) => index % step === 0)
        .map(({ golden }) => ({ at: golden, name: String(golden) })),
    },
    y: { label: 'prediction', domain: spread(values, 0.08) },
    left: 58,
    draw: ({ x, y }) =>
      drawn.map(({ golden, numbers }) => {
        const at = x(golden);
        const [one = 0, other = 0] = SIDES.map((side) => numbers[side]);
        const recorded =
          numbers.recorded !== undefined &&
          html`<path class="line s-ink" d="M${px(at - 7)} ${y(numbers.recorded)}h14"/>`;
        return html`<path class="line thin s-soft" d="M${at} ${y(one)}V${y(other)}"/>${recorded}<circle class="line s-b" cx="${at}" cy="${y(other)}" r="5"/><circle class="f-a" cx="${at}" cy="${y(one)}" r="3"/>
`;
      }),
    legend: drawn.some(({ numbers }) => numbers.recorded !== undefined) ? ANSWERS : ANSWERS.slice(0, 2),
  });
}
