import { clip, countOf, formatNumber, formatShare } from '../shared/format.ts';
import { bar, type Frame, path, plot, px, spread, threshold } from '../shared/report/chart.ts';
import { type Html, html } from '../shared/report/html.ts';
import { tableOf } from '../shared/report/verdict-page.ts';
import type { MetricMeasurements, MetricResult } from './measurements.ts';
import type { MetricName } from './metric.ts';
import { isNumber, short, ticksOf } from './report-rows.ts';

/*
 * How a model answered its holdout, as pictures: curves, histograms, confusions. Pure.
 */

type Curves = MetricMeasurements['curves'];

const CHANCE = 's-soft dash';

/** Whatever there is of ROC, precision-recall and calibration. */
export function curveFigures({ curves, metrics }: Pick<MetricMeasurements, 'curves' | 'metrics'>): Html[] {
  const { roc, precisionRecall, calibration, confusion } = curves;
  return [
    ...(roc ? [rocPlot(roc, wholeValue(metrics, 'auc'))] : []),
    ...(precisionRecall
      ? [recallPlot(precisionRecall, shareOfPositives(confusion), wholeValue(metrics, 'averagePrecision'))]
      : []),
    ...(calibration && calibration.predicted.length > 0
      ? [calibrationPlot(calibration, wholeValue(metrics, 'calibrationError'))]
      : []),
  ];
}

/** The metric on all examples and classes. */
function wholeValue(metrics: readonly MetricResult[], name: MetricName): number | undefined {
  const found = metrics.find(
    ({ query, slice }) => slice === undefined && query.metric === name && query.class === undefined,
  );
  return found?.value ?? undefined;
}

function shareOfPositives(confusion: Curves['confusion']): number | undefined {
  const [negatives = [], positives = []] = confusion?.counts ?? [];
  const [zeros, ones] = [sumOf(negatives), sumOf(positives)];
  return zeros + ones > 0 ? ones / (zeros + ones) : undefined;
}

function rocPlot({ falsePositiveRate, truePositiveRate }: NonNullable<Curves['roc']>, auc?: number): Html {
  const area = auc === undefined ? '' : `The area below the curve is ${formatNumber(auc)}; `;
  const at = truePositiveRate[falsePositiveRate.findIndex((rate) => rate >= 0.1)] ?? 1;
  return plot({
    title: 'ROC curve',
    note: auc === undefined ? undefined : `area below it: ${formatNumber(auc)}; of chance: 0.5`,
    description: `${area}at a false positive rate of 10% it finds ${formatShare(at)} of the positives, where chance finds 10%.`,
    ...SQUARE,
    x: { label: 'false positive rate', domain: [0, 1] },
    y: { label: 'true positive rate', domain: [0, 1] },
    draw: (frame) => [
      diagonal(frame),
      path(
        frame,
        falsePositiveRate.map((rate, index) => [rate, truePositiveRate[index] ?? Number.NaN]),
        's-a',
      ),
    ],
    legend: [MODEL, { className: CHANCE, kind: 'line', text: 'chance' }],
  });
}

/** What chance would do, or a model that is right about itself. */
function diagonal(frame: Frame): Html {
  return path(
    frame,
    [
      [0, 0],
      [1, 1],
    ],
    CHANCE,
  );
}

const SQUARE = { height: 260 } as const;
const MODEL = { className: 's-a', kind: 'line', text: 'this model' } as const;

function recallPlot(
  { recall, precision }: NonNullable<Curves['precisionRecall']>,
  chance: number | undefined,
  average?: number,
): Html {
  const at = precision[recall.findIndex((value) => value >= 0.5)] ?? 0;
  const of = chance === undefined ? '' : `, where chance has ${formatShare(chance)}`;
  const notes = [
    ...(average === undefined ? [] : [`average precision: ${formatNumber(average)}`]),
    ...(chance === undefined ? [] : [`of chance: ${formatNumber(chance)}`]),
  ];
  return plot({
    title: 'Precision and recall',
    note: notes.length === 0 ? undefined : notes.join('; '),
    description: `Where half of the positives are found, ${formatShare(at)} of what it takes for positive is${of}.`,
    ...SQUARE,
    x: { label: 'recall', domain: [0, 1] },
    y: { label: 'precision', domain: [0, 1] },
    draw: (frame) => [
      chance !== undefined && threshold(frame, { y: chance }, 's-soft'),
      path(
        frame,
        // The first point is no answer of the model: where nothing is found yet, precision is 1 by convention.
        recall.slice(1).map((value, index) => [value, precision[index + 1] ?? Number.NaN]),
        's-a',
      ),
    ],
    legend: [
      MODEL,
      ...(chance === undefined ? [] : [{ className: CHANCE, kind: 'line', text: 'chance' } as const]),
    ],
  });
}

const BINS = 10;

function calibrationPlot(
  { predicted, observed, examples }: NonNullable<Curves['calibration']>,
  error?: number,
): Html {
  const most = Math.max(...examples, 1);
  const gaps = predicted.map((value, index) => Math.abs(value - (observed[index] ?? value)));
  const worst = gaps.indexOf(Math.max(...gaps));
  const [foretold, came] = [predicted[worst] ?? 0, observed[worst] ?? 0];
  const figure = plot({
    title: 'Calibration',
    note: `${error === undefined ? '' : `calibration error ${formatNumber(error)}; `}below: how many examples have such a probability`,
    description: `Farthest from the diagonal: of ${countOf(examples[worst] ?? 0, 'example')} with a probability of ${formatShare(foretold)} on average, ${formatShare(came)} are positive.`,
    ...SQUARE,
    x: { label: 'predicted probability', domain: [0, 1] },
    y: {
      label: 'share of positives',
      // Below zero there is room for the numbers of examples.
      domain: [-0.36, 1],
      names: [0, 0.2, 0.4, 0.6, 0.8, 1].map((at) => ({ at, name: String(at) })),
    },
    draw: (frame) => [
      examples.map((count, index) => countBar(frame, predicted[index] ?? 0, count, most)),
      html`<path class="axis" d="M${frame.left} ${frame.y(0)}H${frame.right}"/>`,
      diagonal(frame),
      path(
        frame,
        predicted.map((value, index) => [value, observed[index] ?? Number.NaN]),
        's-a',
      ),
      predicted.map(
        (value, index) =>
          html`<circle class="f-a" cx="${frame.x(value)}" cy="${frame.y(observed[index] ?? 0)}" r="3.5"/>`,
      ),
    ],
    legend: [
      MODEL,
      { className: CHANCE, kind: 'line', text: 'as predicted' },
      { className: 'f-fill-a', kind: 'area', text: 'examples' },
    ],
  });
  const table = tableOf(
    'Calibration',
    [{ n: 'predicted' }, { n: 'positive' }, { n: 'examples' }],
    predicted.map((value, index) => [
      formatShare(value),
      formatShare(observed[index] ?? 0),
      formatNumber(examples[index] ?? 0),
    ]),
  );
  return html`<div>${figure}<details><summary>The numbers</summary>${table}</details></div>`;
}

/** The number of examples of a bin, as a bar at the foot of the plot with the number on top. */
function countBar(frame: Frame, predicted: number, count: number, most: number): Html {
  const bin = Math.min(BINS - 1, Math.floor(predicted * BINS));
  const [from, to] = [frame.x(bin / BINS), frame.x((bin + 1) / BINS)];
  const height = Math.max((0.18 * count) / most, 0.006) * (frame.y(0) - frame.y(1));
  return html`<rect class="f-fill-a" x="${px(from + 1)}" y="${px(frame.bottom - height)}" width="${px(to - from - 2)}" height="${px(height)}"/><text class="soft" x="${px((from + to) / 2)}" y="${px(frame.bottom - height - 3)}" text-anchor="middle" font-size="10">${compact(count)}</text>`;
}

/** `420`, `1.8k`, `38k` */
function compact(count: number): string {
  if (count < 1000) return formatNumber(count);
  const [size, unit] = count < 999_500 ? [1e3, 'k'] : [1e6, 'M'];
  return `${Number((count / size).toPrecision(2))}${unit}`;
}

// ---------------------------------------------------------------------------------------------------------
// Predictions against the champion's
// ---------------------------------------------------------------------------------------------------------

/** Both models' predictions in bins that hold a tenth of the champion's each. */
export function driftPlot(
  { psi, bins }: NonNullable<MetricMeasurements['predictionDrift']>,
  { classes }: { classes: boolean },
): Html {
  const { edges, candidate, champion } = bins;
  const total = { candidate: sumOf(candidate) || 1, champion: sumOf(champion) || 1 };
  const now = candidate.map((count) => count / total.candidate);
  const then = champion.map((count) => count / total.champion);
  const moved = now.map((share, index) => Math.abs(share - (then[index] ?? 0)));
  const bin = moved.indexOf(Math.max(...moved));
  const step = Math.ceil(edges.length / 5);
  const where = rangeText(edges, bin);
  return plot({
    title: 'Predictions of both models',
    note: `population stability index ${formatNumber(psi)}; bins hold about a tenth of the champion's predictions each`,
    description: `The population stability index is ${formatNumber(psi)}. Most changed ${classes ? `bin ${bin + 1}` : `are predictions ${where}`}: ${formatShare(now[bin] ?? 0)} of this model's, ${formatShare(then[bin] ?? 0)} of the champion's.`,
    x: {
      label: classes ? 'bins, by the most probable class' : 'prediction',
      domain: [0, now.length],
      names: classes
        ? now.map((_, index) => ({ at: index + 0.5, name: String(index + 1) }))
        : edges.flatMap((edge, index) => (index % step === 0 ? [{ at: index + 1, name: short(edge) }] : [])),
    },
    y: {
      label: 'share of examples',
      domain: [0, Math.max(...now, ...then)],
      format: (at) => formatShare(at),
    },
    draw: (frame) =>
      now.map((share, index) => [
        bar(frame, { from: index + 0.08, to: index + 0.5, value: then[index] ?? 0 }, 'f-b'),
        bar(frame, { from: index + 0.5, to: index + 0.92, value: share }, 'f-a'),
      ]),
    legend: [
      { className: 'f-b', kind: 'area', text: 'champion' },
      { className: 'f-a', kind: 'area', text: 'this model' },
    ],
  });
}

function rangeText(edges: readonly number[], bin: number): string {
  const [low, high] = [edges[bin - 1], edges[bin]];
  if (low === undefined) return high === undefined ? 'of any size' : `up to ${short(high)}`;
  return high === undefined ? `above ${short(low)}` : `from ${short(low)} to ${short(high)}`;
}

// ---------------------------------------------------------------------------------------------------------
// Residuals
// ---------------------------------------------------------------------------------------------------------

/** A histogram of prediction minus label. */
export function residualPlot({ edges, counts }: NonNullable<Curves['residuals']>): Html {
  if (!edges.every(isNumber)) {
    return html`<p>The residuals are too large to be drawn.</p>`;
  }
  const domain = spread([...edges, 0]);
  const total = sumOf(counts) || 1;
  const tallest = counts.indexOf(Math.max(...counts));
  const [from, to] = [edges[tallest] ?? 0, edges[tallest + 1] ?? 0];
  const share = (isThere: (index: number) => boolean) =>
    formatShare(sumOf(counts.filter((_, index) => isThere(index))) / total);
  const below = share((index) => (edges[index + 1] ?? 0) < 0);
  const above = share((index) => (edges[index] ?? 0) > 0);
  // All are equal: the bin has no width.
  const margin = from === to ? (domain[1] - domain[0]) / 80 : 0;
  return plot({
    title: 'Histogram of residuals',
    note: 'prediction minus label: right of zero the model predicts too much',
    description: `From ${short(edges[0] ?? 0)} to ${short(edges.at(-1) ?? 0)}; ${below} in bins below zero, ${above} in bins above it. The fullest bin, ${short(from)} to ${short(to)}, has ${formatShare((counts[tallest] ?? 0) / total)} of ${countOf(total, 'example')}.`,
    x: { label: 'prediction minus label', domain, names: ticksOf(domain, 340 - 44 - 10) },
    y: { label: 'examples', domain: [0, Math.max(...counts, 1)], format: compact },
    draw: (frame) => [
      counts.map((value, index) =>
        bar(
          frame,
          { from: (edges[index] ?? 0) - margin, to: (edges[index + 1] ?? 0) + margin, value },
          'f-fill-a',
        ),
      ),
      html`<path class="line s-ink" d="M${frame.x(0)} ${frame.top}V${frame.bottom}"/>`,
    ],
    legend: [{ className: 's-ink', kind: 'line', text: 'zero: as predicted' }],
  });
}

// ---------------------------------------------------------------------------------------------------------
// Confusion
// ---------------------------------------------------------------------------------------------------------

/** Classes of a matrix at most; of more, the most frequent confusions are listed. */
const CLASSES = 12;
const CONFUSIONS = 25;
const CLASS_NAME = 40;

/** Actual classes against predicted ones, as a table. */
export function confusionTable(confusion: NonNullable<Curves['confusion']>): Html {
  return confusion.classes.length > CLASSES ? confusionList(confusion) : confusionMatrix(confusion);
}

function confusionMatrix({ classes, counts }: NonNullable<Curves['confusion']>): Html {
  const caption = 'Rows: the actual class. Columns: the predicted one. Shares are of the row.';
  const names = classes.map((name) => clip(name, CLASS_NAME));
  return html`<div class="table" role="region" aria-label="Confusion matrix" tabindex="0"><table><caption>${caption}</caption>
<thead><tr><td></td>${names.map((name) => html`<th scope="col" class="n">predicted ${name}</th>`)}<th scope="col" class="n">examples</th></tr></thead>
<tbody>${counts.map((row, actual) => {
    const total = sumOf(row);
    return html`<tr><th scope="row">actual ${names[actual]}</th>${row.map((count, guess) => confusionCell(count, total, actual === guess))}<td class="n">${formatNumber(total)}</td></tr>
`;
  })}</tbody></table></div>`;
}

/** As dark as its share of the row; text stays readable on the darkest in both schemes. */
function confusionCell(count: number, total: number, right: boolean): Html {
  const share = total > 0 ? count / total : 0;
  const colour = right ? '11 98 184' : '179 32 27';
  return html`<td class="n" style="background:rgb(${colour} / ${Math.round(45 * share)}%);padding-right:.6rem">${formatNumber(count)}<br><small>${total > 0 ? formatShare(share) : 'none'}${right && ', right'}</small></td>`;
}

function confusionList({ classes, counts }: NonNullable<Curves['confusion']>): Html {
  const wrong = counts.flatMap((row, actual) => {
    const total = sumOf(row);
    return row.flatMap((count, guess) =>
      actual === guess || count === 0 ? [] : [{ actual, guess, count, total }],
    );
  });
  if (wrong.length === 0) return html`<p>No example is confused with another class.</p>`;
  const sorted = wrong.toSorted((a, b) => b.count - a.count);
  const more = sorted.length - CONFUSIONS;
  const name = (index: number) => clip(classes[index] ?? '', CLASS_NAME);
  return html`${tableOf(
    `The most frequent confusions of ${formatNumber(classes.length)} classes`,
    ['actual class', 'predicted as', { n: 'examples' }, { n: 'of the class' }],
    sorted
      .slice(0, CONFUSIONS)
      .map(({ actual, guess, count, total }) => [
        name(actual),
        name(guess),
        formatNumber(count),
        formatShare(count / total),
      ]),
  )}${more > 0 && html`<p>And ${formatNumber(more)} rarer ones, in measurements.json.</p>`}`;
}

function sumOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0);
}
