import { scaleLinear } from 'd3-scale';
import { clip, formatInterval, formatNumber, formatShare } from '../shared/format.ts';
import { type Frame, figure, type LegendItem, px, spread, whisker } from '../shared/report/chart.ts';
import { type Html, html } from '../shared/report/html.ts';
import type { Finding, FindingOutcome, Interval } from '../shared/verdict.ts';
import { metricFinding, type Threshold } from './decide.ts';
import type { MetricResult } from './measurements.ts';
import { queryName } from './metric.ts';
import type { LocatedCanary, LocatedModel } from './schema.ts';

/*
 * Intervals against what is allowed, one row each with a scale of its own: metrics differ in their units. Pure.
 */

/** One estimate against one threshold. */
export interface Row {
  name: string;
  outcome: FindingOutcome;
  /** Not a number, or null from JSON: it has none. */
  estimate: number | null;
  interval: Interval | null | undefined;
  atLeast?: number | undefined;
  atMost?: number | undefined;
  /** What it is compared with: the champion, on the same scale. */
  reference?: number | null | undefined;
  /** What was seen and what is allowed, a line each. */
  observed: string;
  allowed: string;
}

const WIDTH = 340;
const EDGE = 14;
const HEIGHT = 84;

/** More are counted, not drawn. */
const ROWS = 24;

const MARKS: Record<FindingOutcome, string> = {
  pass: '✓ pass',
  fail: '✗ fail',
  inconclusive: '? inconclusive',
  warn: '! warning',
};

const ORDER: readonly FindingOutcome[] = ['fail', 'inconclusive', 'warn', 'pass'];

/** A threshold of tocsin.yaml, with where it stands. */
export function requiredRow(
  result: MetricResult,
  threshold: Threshold,
  rule: ReturnType<(LocatedModel | LocatedCanary)['locate']>,
): Row {
  const { outcome, allowed, observed } = metricFinding(result, threshold, rule);
  const { value, interval, query } = result;
  const { atLeast, atMost } = threshold;
  const limits = [atLeast, atMost].filter((limit) => limit !== undefined);
  return {
    name: queryName(query),
    outcome,
    estimate: value,
    interval,
    atLeast,
    atMost,
    observed:
      value === null
        ? `no value: ${observed}`
        : intervalText(observed, interval && { ...interval, estimate: value }, limits),
    allowed,
  };
}

/** `0.559 (95%: 0.554 to 0.564)` */
export function intervalText(
  observed: string,
  interval: Finding['interval'] | null,
  limits: readonly number[],
): string {
  if (!interval || !isNumber(interval.low) || !isNumber(interval.high)) return observed;
  const { low, high } = formatInterval(interval, limits);
  return `${observed} (${formatShare(interval.confidence)}: ${low} to ${high})`;
}

/**
 * A figure with a row for each, the worst first.
 *
 * @param reference name of what the hollow dots are; undefined: there are none
 */
export function rowsFigure(
  { title, note, reference }: { title: string; note?: string; reference?: string },
  rows: readonly Row[],
): Html {
  const sorted = rows.toSorted((a, b) => ORDER.indexOf(a.outcome) - ORDER.indexOf(b.outcome));
  const drawn = sorted.slice(0, ROWS);
  const more = rows.length - drawn.length;
  const height = drawn.length * HEIGHT;
  const said = drawn.map(({ name, outcome, observed, allowed }) =>
    clip(`${name} ${observed}; ${allowed} is allowed: ${outcome}`, 200),
  );
  const notes = [note, more > 0 && `${formatNumber(more)} more are not drawn.`].filter(Boolean).join(' ');
  return figure(
    {
      title,
      ...(notes !== '' && { note: notes }),
      legend: legendOf(drawn, reference),
    },
    html`<svg viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${`${title}. ${said.join('. ')}.`}">${drawn.map((row, index) => rowOf(row, index * HEIGHT))}</svg>`,
  );
}

function legendOf(rows: readonly Row[], reference: string | undefined): LegendItem[] {
  return [
    { className: 's-soft', kind: 'line', text: 'estimate and interval' },
    { className: 'f-line', kind: 'area', text: 'allowed' },
    ...(reference !== undefined && rows.some((row) => isNumber(row.reference))
      ? [{ className: 'line s-b f-card', kind: 'dot' as const, text: reference }]
      : []),
  ];
}

function rowOf({ outcome, estimate, interval, atLeast, atMost, reference, ...said }: Row, top: number): Html {
  const limits = [atLeast, atMost].filter(isNumber);
  const ends = [interval?.low, interval?.high, estimate, reference].filter(isNumber);
  const domain = spread([...limits, ...ends], 0.12);
  const scale = scaleLinear(domain, [EDGE, WIDTH - EDGE]);
  const x = (value: number) => px(scale(value));
  const frame: Frame = { x, y: () => 0, left: EDGE, right: WIDTH - EDGE, top: 0, bottom: 0 };
  const at = top + 58;
  const [from, to] = [isNumber(atLeast) ? x(atLeast) : EDGE, isNumber(atMost) ? x(atMost) : WIDTH - EDGE];
  const ticks = ticksOf(domain, WIDTH - 2 * EDGE);
  const bounds = interval ?? { low: Number.NaN, high: Number.NaN };
  return html`
<text x="4" y="${top + 14}" font-weight="600">${clip(said.name, 40)}</text><text class="f-${outcome}" x="${WIDTH - 4}" y="${top + 14}" text-anchor="end" font-weight="600">${MARKS[outcome]}</text>
<text x="4" y="${top + 29}">${clip(said.observed, 58)}</text>
<text class="soft" x="4" y="${top + 43}">${clip(said.allowed, 58)}</text>
${limits.length > 0 && html`<rect class="f-line" x="${from}" y="${at - 7}" width="${px(Math.max(to - from, 0))}" height="14"/>`}
<path class="axis" d="M${EDGE} ${at + 9}H${WIDTH - EDGE}${ticks.map((tick) => `M${x(tick.at)} ${at + 9}v3`).join('')}"/>
${limits.map((limit) => html`<path class="line s-ink" d="M${x(limit)} ${at - 9}V${at + 9}"/>`)}
${
  isNumber(estimate) &&
  (isNumber(bounds.low) && isNumber(bounds.high)
    ? whisker(frame, { low: bounds.low, estimate, high: bounds.high }, at, outcome)
    : html`<circle class="f-${outcome}" cx="${x(estimate)}" cy="${at}" r="3.5"/>`)
}${isNumber(reference) && html`<circle class="line s-b f-card" cx="${x(reference)}" cy="${at}" r="4"/>`}
${ticks.map((tick) => html`<text class="soft" x="${x(tick.at)}" y="${at + 22}" text-anchor="middle" font-size="10">${tick.name}</text>`)}`;
}

/** Ticks of a scale with their texts, as many as have room side by side, at most five or so. */
export function ticksOf(domain: readonly [number, number], width: number): { at: number; name: string }[] {
  const scale = scaleLinear(domain, [0, width]);
  for (let count = 5; count > 1; count--) {
    const usual = scale.tickFormat(count);
    const places = scale.ticks(count);
    // Decimals that tell them apart; powers where digits would be many.
    const text = places.some((at) => usual(at).length > 9) ? short : usual;
    const ticks = places.map((at) => ({ at, name: text(at) }));
    const step = Math.abs(scale(places[1] ?? Number.POSITIVE_INFINITY) - scale(places[0] ?? 0));
    if (ticks.every(({ name }) => CHARACTER * (name.length + 1) <= step)) return ticks;
  }
  return [];
}

/** Width of a digit, in units of a drawing. */
const CHARACTER = 6.5;

/** Few characters: `0.0823`, `12,345`, `1.2e+9`. */
export function short(value: number): string {
  const size = Math.abs(value);
  return size >= 1e6 || (size < 1e-3 && size > 0)
    ? String(Number(value.toPrecision(2)).toExponential())
    : formatNumber(Number(value.toPrecision(3)));
}

/** Whether it has a place on a scale. JSON has null for what is not finite, and differences of the largest overflow. */
export function isNumber(value: number | null | undefined): value is number {
  return typeof value === 'number' && Math.abs(value) < 1e300;
}
