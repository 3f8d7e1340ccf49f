import { capital, clip, formatNumber, formatShare } from '../shared/format.ts';
import type { ColumnProfile, Distribution, NumericDistribution } from '../shared/profile.ts';
import { figure, type LegendItem, px } from '../shared/report/chart.ts';
import { type Content, type Html, html } from '../shared/report/html.ts';
import { badge } from '../shared/report/verdict-page.ts';
import { type Finding, type FindingOutcome, sortFindings } from '../shared/verdict.ts';
import { pointText } from './report-axis.ts';
import { type Counted, histogram } from './report-histogram.ts';

/*
 * What the report shows of one column: its values against the baseline, and the shares that a contract limits. Pure.
 */

/** Everything that is known of one column. */
export interface ReportedColumn {
  name: string;
  /** Of the batch; absent where it does not have the column. */
  now: ColumnProfile | undefined;
  rows: number;
  /** The batch over the cells of the baseline. */
  counted: Distribution | undefined;
  before: ColumnProfile | undefined;
  baselineRows: number;
  /** On this column. */
  findings: readonly Finding[];
  /** Personal data: no value is kept. */
  pii: boolean;
}

/** Of the other values it is said how many there are. */
const CATEGORIES = 12;
const BATCH: LegendItem = { className: 's-a', kind: 'line', text: 'this batch' };
const BARS: LegendItem = { className: 'f-a', kind: 'area', text: 'this batch' };
const BASELINE: LegendItem = { className: 'f-fill-b s-b', kind: 'area', text: 'baseline' };
const LIMIT: LegendItem = { className: 's-fail dash', kind: 'line', text: 'limit' };
/** Where more of a batch lies beyond the cells of the baseline, they show nothing of it. */
const BEYOND_CELLS = 0.2;

/** The card of a column. */
export function columnCard(column: ReportedColumn): Html {
  const { name, now, before, findings } = column;
  const type = now?.type ?? before?.type;
  const open = sortFindings([...findings]).filter(({ outcome }) => outcome !== 'pass');
  const said = open.slice(0, 3).map(({ check, observed, allowed }) => {
    return html`<br>${check}: ${clip(observed, 60)}, allowed ${clip(allowed, 60)}`;
  });
  const shares = sharesOf(column);
  const values = valuesOf(column);
  const legend = [
    ...(values?.legend ?? (shares.length > 0 ? [BARS] : [])),
    ...(before === undefined ? [] : [BASELINE]),
    ...(shares.some(({ limit = 0 }) => limit > 0) ? [LIMIT] : []),
  ];
  return figure(
    {
      title: clip(name, 80),
      note: html`${badge(open[0]?.outcome ?? 'pass')} ${type}${column.pii && ', personal data: no value is kept'}${said}${open.length > 3 && html`<br>and ${open.length - 3} more`}`,
      legend,
    },
    [
      values?.drawing ?? html`<p class="note"><small>${whyNoValues(column)}</small></p>`,
      shares.length > 0 && sharesDrawing(clip(name, 80), shares, before !== undefined),
      html`<p class="note"><small>${factsOf(column)}</small></p>`,
    ],
  );
}

function whyNoValues({ now, before, pii }: ReportedColumn): string {
  if (now === undefined) return 'The batch does not have this column.';
  if (pii) return 'Its values are neither kept nor shown.';
  if (now.count === 0) return 'No row has a usable value.';
  return before === undefined
    ? 'There is no picture of its values.'
    : 'Its values cannot be compared with the baseline.';
}

/** What a picture cannot say. */
function factsOf({ now, before }: ReportedColumn): string {
  const was = (text: string | undefined) => (text === undefined ? '' : `, baseline ${text}`);
  const distinct = (side: ColumnProfile | undefined) =>
    side && `${side.distinct.exact ? '' : 'about '}${formatNumber(side.distinct.value)}`;
  const mean = (side: ColumnProfile | undefined) =>
    side?.mean === undefined ? undefined : pointText(side.type, side.mean);
  const [one, many] = [mean(now), distinct(now)];
  return [
    many === undefined ? [] : `${many} distinct${was(distinct(before))}`,
    one === undefined ? [] : `mean ${one}${was(mean(before))}`,
    now?.nulls === 0 && (before?.nulls ?? 0) === 0 ? 'no null' : [],
    now?.zeros === 0 && now.count > 0 && (before?.zeros ?? 0) === 0 ? 'no zero' : [],
  ]
    .flat()
    .join(' · ');
}

// ---------------------------------------------------------------------------------------------------------
// Values
// ---------------------------------------------------------------------------------------------------------

interface Drawn {
  drawing: Content;
  legend: LegendItem[];
}

function valuesOf(column: ReportedColumn): Drawn | undefined {
  const { name, now, before, counted, rows, baselineRows } = column;
  const [own, reference] = [now?.distribution, before?.distribution];
  const kind = own?.kind ?? reference?.kind;
  if (kind === 'numeric') {
    const baseline = numbers(reference, before, baselineRows);
    const onBaseline = numbers(counted, now, rows);
    const batch =
      onBaseline !== undefined && beyondCells(onBaseline.distribution) <= BEYOND_CELLS
        ? onBaseline
        : numbers(own, now, rows);
    const type = now?.type ?? before?.type ?? 'number';
    const drawing = histogram({ title: clip(name, 80), type, batch, baseline });
    return drawing && { drawing, legend: batch === undefined ? [] : [baseline === undefined ? BARS : BATCH] };
  }
  if (kind !== 'categorical') return undefined;
  const values = categoriesOf(column);
  return values.length === 0 ? undefined : { drawing: categoriesDrawing(column, values), legend: [BARS] };
}

function numbers(
  distribution: Distribution | undefined,
  profile: ColumnProfile | undefined,
  rows: number,
): Counted | undefined {
  if (distribution?.kind !== 'numeric' || profile?.min === undefined || profile.max === undefined)
    return undefined;
  return { distribution, rows, min: profile.min, max: profile.max };
}

function beyondCells({ cells, atomCounts }: NumericDistribution): number {
  const all = [...cells, ...atomCounts].reduce((sum, count) => sum + count, 0);
  return all === 0 ? 1 : ((cells[0] ?? 0) + (cells.length > 1 ? (cells.at(-1) ?? 0) : 0)) / all;
}

/** One value, or all others; shares of the rows. */
interface Category {
  label: string;
  /** All that are not among the most frequent: no bar, since it would be longer than all others. */
  rest?: true;
  batch: number;
  /** Undefined where the baseline does not list it, though it may have had it. */
  baseline: number | undefined;
}

/** The values with the largest shares on either side, as frequent as in the baseline, and then all others. */
function categoriesOf({ now, before, counted, rows, baselineRows }: ReportedColumn): Category[] {
  const own = now?.distribution?.kind === 'categorical' ? now.distribution : undefined;
  const reference = before?.distribution?.kind === 'categorical' ? before.distribution : undefined;
  const shown = counted?.kind === 'categorical' && reference !== undefined ? counted : undefined;
  const counts = new Map<string, { batch: number; baseline: number | undefined }>();
  for (const [index, value] of (reference?.values ?? []).entries()) {
    counts.set(value, { batch: shown?.counts[index] ?? 0, baseline: reference?.counts[index] ?? 0 });
  }
  const unlisted = reference !== undefined && reference.otherDistinct > 0 ? undefined : 0;
  for (const [index, value] of (own?.values ?? []).entries()) {
    const batch = own?.counts[index] ?? 0;
    const known = counts.get(value);
    if (known === undefined) counts.set(value, { batch, baseline: unlisted });
    else known.batch = batch;
  }
  const share = (count: number, all: number) => (all === 0 ? 0 : count / all);
  const all = [...counts].map(([value, { batch, baseline }]) => ({
    label: value,
    batch: share(batch, rows),
    baseline: baseline === undefined ? undefined : share(baseline, baselineRows),
  }));
  const largest = ({ batch, baseline = 0 }: Category) => Math.max(batch, baseline);
  const top = all
    .toSorted((a, b) => largest(b) - largest(a) || (a.label < b.label ? -1 : 1))
    .slice(0, CATEGORIES);
  const rest = (side: 'batch' | 'baseline', profile: ColumnProfile | undefined, rowCount: number) =>
    share(profile?.count ?? 0, rowCount) - top.reduce((sum, one) => sum + (one[side] ?? 0), 0);
  const other = {
    batch: Math.max(0, rest('batch', now, rows)),
    baseline: before === undefined ? undefined : Math.max(0, rest('baseline', before, baselineRows)),
  };
  const left = Math.max(now?.distinct.value ?? 0, before?.distinct.value ?? 0) - top.length;
  const sorted = top.toSorted((a, b) => (b.baseline ?? -1) - (a.baseline ?? -1) || b.batch - a.batch);
  return left > 0 ? [...sorted, { label: `${formatNumber(left)} others`, rest: true, ...other }] : sorted;
}

const ROW = 20;

function categoriesDrawing({ name, now, before }: ReportedColumn, values: readonly Category[]): Html {
  const compared = now !== undefined && before !== undefined;
  const most = Math.max(
    ...values.map(({ batch, baseline = 0, rest }) => (rest ? 0 : Math.max(batch, baseline))),
    1e-9,
  );
  const width = (share: number) => px((share / most) * 142);
  const rect = (y: number, share: number, height: number, className: string) =>
    share > 0 &&
    html`<rect class="${className}" x="104" y="${y}" width="${Math.max(width(share), 0.8)}" height="${height}"/>`;
  const numbersOf = ({ batch, baseline }: Category) =>
    compared
      ? `${formatShare(round(batch))} / ${baseline === undefined ? '?' : formatShare(round(baseline))}`
      : formatShare(round(now === undefined ? (baseline ?? 0) : batch));
  const label = (one: Category) =>
    `${clip(one.label, 40)} ${formatShare(one.batch)}${one.baseline === undefined ? '' : ` (baseline ${formatShare(one.baseline)})`}`;
  return html`<svg viewBox="0 0 340 ${values.length * ROW + 4}" role="img" aria-label="${`${clip(name, 80)}. Shares of the rows: ${values.map(label).join(', ')}.`}">
${values.map((one, index) => {
  const y = index * ROW + 3;
  return html`<text x="98" y="${y + 11}" text-anchor="end">${fitted(shownText(one.label), 94)}</text>${one.rest !== true && [rect(y, one.batch, compared ? 7 : 14, 'f-a'), rect(compared ? y + 8 : y, one.baseline ?? 0, compared ? 6 : 14, 'f-fill-b s-b')]}<text class="soft" x="340" y="${y + 11}" text-anchor="end">${numbersOf(one)}</text>
`;
})}</svg>`;
}

/** Two digits after the first of a percent: as many as there is room for. */
function round(share: number): number {
  return Number(share.toFixed(4));
}

/** A blank text has to be seen. */
function shownText(value: string): string {
  return value.trim() === '' ? `"${value}"` : value;
}

/** As much of a text as fits into so many units of a drawing, by the usual width of letters. */
export function fitted(text: string, units: number): string {
  const characters = [...text.slice(0, 200)];
  let used = 0;
  const end = characters.findIndex((character) => {
    used += /[\u0020-\u024f]/.test(character) ? 6.4 : 11.5;
    return used > units;
  });
  return end === -1 ? text.slice(0, 200) : `${characters.slice(0, Math.max(1, end - 1)).join('')}…`;
}

// ---------------------------------------------------------------------------------------------------------
// Shares
// ---------------------------------------------------------------------------------------------------------

interface Share {
  label: string;
  batch: number | undefined;
  baseline: number | undefined;
  limit: number | undefined;
  outcome: FindingOutcome | undefined;
}

/** Checks on shares of the rows that are drawn where they were asked for, and how they are called. */
const SHARE_CHECKS: Record<string, string> = {
  invalid: 'not of the type',
  empty: 'empty texts',
  nan: 'NaN or infinite',
  range: 'out of range',
  values: 'not an allowed value',
  pattern: 'not of the pattern',
  length: 'not of the length',
  'new-categories': 'new values',
  'vanished-categories': 'vanished, of the baseline',
};

/** Shares that matter: nulls, zeros and the most frequent value in any case, and what is limited and not just zero. */
function sharesOf({ now, rows, before, baselineRows, findings }: ReportedColumn): Share[] {
  if (now === undefined) return [];
  const asked = (check: string) => findings.find((finding) => finding.check === check);
  const share = (side: ColumnProfile | undefined, key: 'nulls' | 'zeros' | 'empty' | 'nan' | 'invalid') => {
    const count = side?.[key];
    const of = side === now ? rows : baselineRows;
    return count === undefined || of === 0 ? undefined : count / of;
  };
  const entry = (
    label: string,
    check: string,
    batch: number | undefined,
    baseline: number | undefined,
  ): Share => {
    const finding = asked(check);
    return { label, batch, baseline, limit: finding?.limit, outcome: finding?.outcome };
  };
  const counted = (['nulls', 'zeros'] as const).flatMap((key) =>
    now[key] === undefined ? [] : [entry(key, key, share(now, key), share(before, key))],
  );
  const { dominant } = now;
  // Zeros have a bar already, and categories one each.
  const numeric = now.type !== 'string' && now.type !== 'boolean';
  const notable = numeric && dominant?.value !== '0' && (dominant?.share ?? 0) >= NOTABLE;
  const value = dominant?.value === undefined ? '' : ` "${dominant.value}"`;
  const frequent =
    dominant !== undefined && (notable || asked('dominant') !== undefined)
      ? [entry(`most frequent${value}`, 'dominant', dominant.share, before?.dominant?.share)]
      : [];
  const others = Object.entries(SHARE_CHECKS).flatMap(([check, label]) => {
    const finding = asked(check);
    if (finding?.value === undefined || (finding.value === 0 && finding.outcome === 'pass')) return [];
    const was =
      check === 'empty' || check === 'nan' || check === 'invalid' ? share(before, check) : undefined;
    return [entry(label, check, finding.value, was)];
  });
  // Where there are none, and none were to be expected, words are enough.
  return [...counted, ...frequent, ...others].filter(({ batch, baseline, limit }) =>
    [batch, baseline, limit].some((one) => one !== undefined && one > 0),
  );
}

/** A value of a column of numbers that is said to be frequent, whether or not the contract asks. */
const NOTABLE = 0.1;
const SHARE_ROW = 36;
/** What a full bar may stand for. */
const FULL = [0.02, 0.05, 0.1, 0.25, 0.5, 1];

function sharesDrawing(name: string, shares: readonly Share[], compared: boolean): Html {
  const most = Math.max(
    ...shares.flatMap(({ batch = 0, baseline = 0, limit = 0 }) => [batch, baseline, limit]),
  );
  const full = FULL.find((share) => share >= most) ?? 1;
  const width = (share: number) => px((share / full) * 336);
  const rect = (y: number, share: number | undefined, className: string) =>
    share !== undefined &&
    share > 0 &&
    html`<rect class="${className}" x="2" y="${y}" width="${Math.max(width(share), 0.8)}" height="7"/>`;
  const limitText = ({ limit }: Share) =>
    limit === undefined ? '' : limit === 0 ? ', none allowed' : `, at most ${formatShare(limit)}`;
  const numbersOf = ({ batch, baseline, limit }: Share) =>
    `${batch === undefined ? 'unknown' : formatShare(batch, limit)}${compared && baseline !== undefined ? ` / ${formatShare(baseline, limit)}` : ''}`;
  const mark = ({ outcome }: Share) =>
    outcome === 'fail' ? '✗ ' : outcome === 'warn' ? '! ' : outcome === 'inconclusive' ? '? ' : '';
  const words = (one: Share) =>
    `${clip(one.label, 60)} ${one.batch === undefined ? 'unknown' : formatShare(one.batch, one.limit)}${one.baseline === undefined ? '' : ` (baseline ${formatShare(one.baseline)})`}${limitText(one)}`;
  const height = shares.length * SHARE_ROW + 18;
  return html`<svg viewBox="0 0 340 ${height}" role="img" aria-label="${`${name}. ${capital(shares.map(words).join('; '))}.`}">
${shares.map((one, index) => {
  const y = index * SHARE_ROW;
  const text = numbersOf(one);
  // None allowed is said in words: a mark at the very beginning would look like a bar.
  const x = one.limit === undefined || one.limit === 0 ? undefined : px(2 + width(one.limit));
  return html`<text class="${one.outcome === 'fail' ? 'f-fail' : ''}" x="2" y="${y + 14}">${fitted(`${mark(one)}${one.label}${limitText(one)}`, 330 - text.length * 6.4)}</text><text x="338" y="${y + 14}" text-anchor="end">${text}</text>
<rect class="f-line" x="2" y="${y + 19}" width="336" height="14" opacity="0.4"/>${rect(y + 19, one.batch, 'f-a')}${rect(y + 26, one.baseline, 'f-fill-b s-b')}${x !== undefined && html`<path class="line dash s-fail" d="M${x} ${y + 16}V${y + 36}"/>`}
`;
})}<text class="soft" x="338" y="${height - 3}" text-anchor="end">full width: ${formatShare(full)} of the rows</text></svg>`;
}
