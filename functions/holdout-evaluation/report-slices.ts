import { clip, countOf, formatNumber } from '../shared/format.ts';
import { plot, px, spread, threshold, whisker } from '../shared/report/chart.ts';
import { type Html, html } from '../shared/report/html.ts';
import { badge, type Section, tableOf } from '../shared/report/verdict-page.ts';
import type { FindingOutcome } from '../shared/verdict.ts';
import { rangeText } from './decide.ts';
import type { MetricResult } from './measurements.ts';
import { queryName, rangeOf } from './metric.ts';
import { isNumber, type Row, requiredRow, ticksOf } from './report-rows.ts';
import { type LocatedModel, queryOf, type Requirement } from './schema.ts';

/*
 * Metrics of slices, as dots: where a model is good on the whole and bad somewhere. Pure.
 */

/** One slice with enough examples, against its threshold. */
interface Slice extends Row {
  value: string;
  examples: number;
  /** How far it is on the right side of the threshold; no number where it has no value. */
  margin: number;
}

/** All slices of one column or expression, under one threshold. */
interface Slicing {
  title: string;
  metric: string;
  requirement: Requirement;
  range: ReturnType<typeof rangeOf>;
  /** Worst first; those without a value at the end. */
  slices: Slice[];
  /** Too small to be judged, the largest first. */
  thin: MetricResult[];
}

/** Plots, and slices of all of them: a report is bounded. More are counted. */
const PLOTS = 8;
const SLICES_OF_ALL = 160;
const SLICES = 40;
const THIN = 100;

/** Room for the values, and for the numbers of examples. */
const LEFT = 96;
const RIGHT = 54;

/** Characters of a value beside its dot, and elsewhere. */
const NAME = 14;
const LONG_NAME = 40;

/** The section on slices; undefined where no threshold is on any. */
export function slicesSection(results: readonly MetricResult[], model: LocatedModel): Section | undefined {
  const all = slicingsOf(results, model);
  if (all.length === 0) return undefined;
  const isMissed = ({ slices }: Slicing) => slices.some(({ outcome }) => outcome === 'fail');
  const sorted = all.toSorted((a, b) => Number(isMissed(b)) - Number(isMissed(a)));
  const drawn = sorted.slice(0, PLOTS);
  const most = Math.min(SLICES, Math.floor(SLICES_OF_ALL / drawn.length));
  const more = sorted.slice(PLOTS).map(({ title }) => clip(title, 2 * LONG_NAME));
  return {
    title: 'Slices',
    body: html`<div class="cards">${drawn.map((slicing) => slicingPlot(slicing, most))}</div>${drawn.map((slicing) => [numbers(slicing, most), thinList(slicing)])}${
      more.length > 0 &&
      html`<p>Not drawn: ${more.slice(0, SLICES).join('; ')}${more.length > SLICES && '; and more'}.</p>`
    }`,
  };
}

function slicingsOf(results: readonly MetricResult[], model: LocatedModel): Slicing[] {
  const { task, require } = model.value;
  return require.flatMap((requirement, index) => {
    const rule = model.locate(['require', index]);
    const query = queryOf(requirement, task);
    const name = queryName(query);
    return (requirement.slices ?? []).map((by): Slicing => {
      const found = results.filter((one) => one.slice?.by === by && queryName(one.query) === name);
      const slices = found
        .filter(({ examples }) => examples >= requirement.minExamples)
        .map((result): Slice => {
          const { value, examples, slice } = result;
          return {
            ...requiredRow(result, requirement, rule),
            value: slice?.value ?? '',
            examples,
            margin: isNumber(value) ? marginOf(value, requirement) : Number.POSITIVE_INFINITY,
          };
        })
        .toSorted((a, b) => (a.margin === b.margin ? 0 : a.margin - b.margin));
      return {
        title: `${name} by ${by}`,
        metric: name,
        requirement,
        range: rangeOf(query.metric, task),
        slices,
        thin: found
          .filter(({ examples }) => examples < requirement.minExamples)
          .toSorted((a, b) => b.examples - a.examples),
      };
    });
  });
}

function marginOf(value: number, { atLeast, atMost }: Requirement): number {
  return Math.min(
    atLeast === undefined ? Number.POSITIVE_INFINITY : value - atLeast,
    atMost === undefined ? Number.POSITIVE_INFINITY : atMost - value,
  );
}

function slicingPlot({ title, metric, requirement, range, slices }: Slicing, most: number): Html {
  const shortTitle = clip(title, 2 * LONG_NAME);
  const valued = slices.filter(({ estimate }) => isNumber(estimate));
  const drawn = valued.slice(0, most);
  const [first] = drawn;
  if (first === undefined) {
    const why = slices.length === 0 ? 'No slice has enough examples.' : 'No slice has a value.';
    return html`<figure><figcaption>${shortTitle}</figcaption><p>${why}</p></figure>`;
  }
  const limits = [requirement.atLeast, requirement.atMost].filter((limit) => limit !== undefined);
  const values = drawn.flatMap(({ estimate, interval }) => [estimate, interval?.low, interval?.high]);
  const [low, high] = spread([...limits, ...values.filter(isNumber)], 0.05);
  const domain = [Math.max(low, range[0] ?? low), Math.min(high, range[1] ?? high)] as const;
  const count = (outcome: FindingOutcome) => slices.filter((slice) => slice.outcome === outcome).length;
  const missed = count('fail');
  const open = count('inconclusive');
  const summary = [
    `${formatNumber(slices.length)} judged`,
    `${formatNumber(missed)} ${missed === 1 ? 'misses' : 'miss'} the threshold`,
    ...(open > 0 ? [`${formatNumber(open)} ${open === 1 ? 'is' : 'are'} inconclusive`] : []),
  ].join(', ');
  const last = drawn.at(-1) ?? first;
  const more = valued.length - drawn.length;
  const rowAt = (index: number) => drawn.length - 1 - index;
  return plot({
    title: shortTitle,
    note: `${summary}; ${first.allowed} required. Worst first${more > 0 ? `, ${formatNumber(more)} better ones not drawn` : ''}; examples of each on the right.`,
    description: `${summary}; ${first.allowed} is required. The worst drawn is ${clip(first.value, LONG_NAME)} with ${first.observed}, the best ${clip(last.value, LONG_NAME)} with ${last.observed}.`,
    height: 52 + 17 * drawn.length,
    left: LEFT,
    right: RIGHT,
    x: {
      label: clip(metric, LONG_NAME),
      domain,
      names: ticksOf(domain, 340 - LEFT - RIGHT),
    },
    y: {
      label: '',
      domain: [-0.7, drawn.length - 0.3],
      names: drawn.map(({ value, outcome }, index) => ({
        at: rowAt(index),
        name: `${outcome === 'fail' ? '✗ ' : outcome === 'inconclusive' ? '? ' : ''}${clip(value === '' ? '""' : value, NAME)}`,
      })),
    },
    draw: (frame) => [
      limits.map((x) => threshold(frame, { x }, 's-ink')),
      drawn.map(({ estimate, interval, outcome, examples }, index) => {
        const y = frame.y(rowAt(index));
        const at = estimate as number;
        const bounds = interval ?? { low: at, high: at };
        // An end without a place is beyond the edge.
        const end = (value: number) => (isNumber(value) ? value : Number.NaN);
        return [
          whisker(frame, { low: end(bounds.low), estimate: at, high: end(bounds.high) }, y, outcome),
          html`<text class="soft" x="336" y="${px(y + 3.5)}" text-anchor="end" font-size="10">${formatNumber(examples)}</text>`,
        ];
      }),
    ],
    legend: [{ className: 's-ink dash', kind: 'line', text: 'threshold' }],
  });
}

/** What is drawn and what has no value, to be read. */
function numbers({ title, slices, requirement }: Slicing, most: number): Html | false {
  const without = slices.filter(({ estimate }) => !isNumber(estimate));
  const valued = slices.filter(({ estimate }) => isNumber(estimate));
  const listed = [...without.slice(0, most), ...valued.slice(0, most)];
  if (listed.length === 0) return false;
  const more = without.length - Math.min(without.length, most);
  const name = clip(title, 2 * LONG_NAME);
  return html`<details><summary>${name}: the numbers</summary>${tableOf(
    `${name}, ${rangeText(requirement)}`,
    ['slice', { n: 'examples' }, 'observed', 'outcome'],
    listed.map(({ value, examples, observed, outcome }) => [
      clip(value, LONG_NAME),
      formatNumber(examples),
      html`<span style="white-space:nowrap">${clip(observed, 80)}</span>`,
      badge(outcome),
    ]),
  )}${more > 0 && html`<p>And ${formatNumber(more)} more without a value.</p>`}</details>`;
}

function thinList({ title, thin, requirement }: Slicing): Html | false {
  if (thin.length === 0) return false;
  const more = thin.length - THIN;
  const are = thin.length === 1 ? 'slice has' : 'slices have';
  return html`<details><summary>${clip(title, 2 * LONG_NAME)}: ${formatNumber(thin.length)} ${are} fewer than ${countOf(requirement.minExamples, 'example')} and ${thin.length === 1 ? 'is' : 'are'} not judged</summary><p>${thin
    .slice(0, THIN)
    .map(({ slice, examples }) => `${clip(slice?.value ?? '', LONG_NAME)} (${formatNumber(examples)})`)
    .join(', ')}${more > 0 && ` and ${formatNumber(more)} more`}.</p></details>`;
}
