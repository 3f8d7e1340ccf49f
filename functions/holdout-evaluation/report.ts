import { capital, clip, countOf, formatNumber, formatShare } from '../shared/format.ts';
import { type Content, type Html, html } from '../shared/report/html.ts';
import { type Section, tableOf, type VerdictPage } from '../shared/report/verdict-page.ts';
import type { Finding, Verdict } from '../shared/verdict.ts';
import type { EvaluationInputs, PinnedPackage } from './identity.ts';
import type { Measurements, MetricMeasurements, PredictionProblem } from './measurements.ts';
import { type MetricQuery, queryName } from './metric.ts';
import { confusionTable, curveFigures, driftPlot, residualPlot } from './report-curves.ts';
import { intervalText, type Row, requiredRow, rowsFigure } from './report-rows.ts';
import { slicesSection } from './report-slices.ts';
import { type LocatedModel, queryOf } from './schema.ts';

/*
 * The report of a holdout evaluation: how good the model is against what is required of it, against the champion, and
 * where it errs. Pure; measurements that were stored and read back give the same page.
 */

/** What a verdict on files that are here is bound to. */
interface LocalInputs {
  model: string;
  predictions: NamedFile;
  champion: NamedFile | null;
  holdout: NamedFile;
  configurationSha256: string;
}

interface NamedFile {
  file: string;
  sha256: string;
}

/** Characters of a name or a reason that somebody else chose. */
const TEXT = 300;

const CONTAINERS = 5;

/** The report of a verdict on a model, made by the deployment or from files. */
export function evaluationPage(
  {
    subject,
    inputs,
    findings,
  }: Pick<Verdict<EvaluationInputs | LocalInputs>, 'subject' | 'inputs' | 'findings'>,
  measurements: Measurements,
  model: LocatedModel,
): VerdictPage {
  const { metrics } = measurements;
  return {
    heading: `Model ${subject}`,
    facts: [
      ...('candidate' in inputs ? packageFacts(inputs, measurements) : fileFacts(inputs)),
      ['Examples', formatNumber(measurements.examples)],
      ...(metrics === undefined ? [] : metricFacts(metrics)),
      ['Configuration of the model', mono(`sha256 ${inputs.configurationSha256}`)],
    ],
    sections: [
      transformSection(measurements),
      problemsSection(measurements),
      judgedSection(measurements, findings, model),
      metrics && slicesSection(metrics.metrics, model),
      ...(metrics === undefined ? [] : answersSections(metrics, model)),
    ],
  };
}

// ---------------------------------------------------------------------------------------------------------
// What it is bound to
// ---------------------------------------------------------------------------------------------------------

type Facts = VerdictPage['facts'];

function packageFacts(
  { candidate, champion, holdout }: EvaluationInputs,
  { champion: state }: Measurements,
): Facts {
  return [
    ['Model package', mono(candidate.arn)],
    ...containerFacts(candidate),
    [
      'Champion',
      champion === null
        ? 'none'
        : html`${mono(champion.arn)}${state.kind === 'unavailable' && ', which could not be compared with'}`,
    ],
    ['Holdout', mono(holdout.uri)],
    ['Version of the holdout', mono(holdout.version)],
    ['Bytes of the holdout', mono(`sha256 ${holdout.sha256}`)],
    [
      'Quality verdict of the holdout',
      holdout.qualityVerdict === null ? 'none' : mono(holdout.qualityVerdict),
    ],
  ];
}

function containerFacts({ containers }: PinnedPackage): Facts {
  const more = containers.length - CONTAINERS;
  return [
    ...containers
      .slice(0, CONTAINERS)
      .flatMap(
        ({ image, imageDigest, modelData, modelDataEtag }): Facts => [
          ['Image', mono(`${image}${imageDigest === null ? '' : ` ${imageDigest}`}`)],
          ...(modelData === null
            ? []
            : [
                [
                  'Model data',
                  mono(`${modelData}${modelDataEtag === null ? '' : ` (ETag ${modelDataEtag})`}`),
                ] as const,
              ]),
        ],
      ),
    ...(more > 0 ? [['More containers', formatNumber(more)] as const] : []),
  ];
}

function fileFacts({ predictions, champion, holdout }: LocalInputs): Facts {
  const file = ({ file: name, sha256 }: NamedFile) => mono(`${name}, sha256 ${sha256}`);
  return [
    ['Predictions', file(predictions)],
    ['Predictions of the champion', champion === null ? 'none' : file(champion)],
    ['Holdout', file(holdout)],
  ];
}

function metricFacts({ predictions, confidence, replicates, seed }: MetricMeasurements): Facts {
  const { distinct, min, max, mean } = predictions;
  return [
    [
      'Predictions',
      `${formatNumber(distinct)} distinct, ${formatNumber(min)} to ${formatNumber(max)}, ${formatNumber(mean)} on average`,
    ],
    ['Intervals', `two-sided at ${formatShare(confidence)}, from ${countOf(replicates, 'resample')}`],
    ['Seed of the resamples', mono(seed)],
  ];
}

function mono(text: string): Html {
  return html`<span class="mono">${clip(text, TEXT)}</span>`;
}

// ---------------------------------------------------------------------------------------------------------
// Answers that cannot be judged
// ---------------------------------------------------------------------------------------------------------

function transformSection({ transform, examples }: Measurements): Section | undefined {
  if (transform.completed) return undefined;
  const asked = examples > 0 ? `It was asked about ${countOf(examples, 'example')}, and` : 'It';
  return {
    title: 'No answer',
    body: html`<p>${asked} gave no answer that could be measured. What SageMaker says of the transform job:</p>
<p class="mono">${clip(transform.reason, 2_000)}</p>`,
  };
}

const PROBLEMS: Record<PredictionProblem['kind'], string> = {
  missing: 'examples without a prediction',
  unknown: 'predictions of no example',
  repeated: 'examples with more than one prediction',
  'not-a-number': 'predictions that are no number',
  'not-a-probability': 'predictions that are no probability',
  'bad-label': 'labels of the holdout that the model cannot predict',
  'bad-weight': 'weights of the holdout that are not positive and finite',
};

function problemsSection({ problems, examples, metrics }: Measurements): Section | undefined {
  const found = problems.filter(({ count }) => count > 0);
  if (found.length === 0) return undefined;
  return {
    title: 'What cannot be used',
    body: [
      tableOf(
        'Problems with predictions and labels',
        ['what', { n: 'how many' }, { n: 'of the examples' }, 'for example'],
        found.map(({ kind, count, samples }) => [
          capital(PROBLEMS[kind]),
          formatNumber(count),
          examples > 0 ? formatShare(count / examples) : '',
          samples
            .slice(0, 5)
            .map(
              ({ row, value }, index) =>
                html`${index > 0 && '; '}row ${formatNumber(row)}${value !== undefined && html`: ${mono(clip(value, 60))}`}`,
            ),
        ]),
      ),
      metrics === undefined &&
        html`<p>Metrics of the rest would say nothing of the whole, so there are none.</p>`,
    ],
  };
}

// ---------------------------------------------------------------------------------------------------------
// Against the thresholds and the champion
// ---------------------------------------------------------------------------------------------------------

function judgedSection(
  measurements: Measurements,
  findings: readonly Finding[],
  model: LocatedModel,
): Section | undefined {
  const { metrics, champion } = measurements;
  const drift = champion.kind === 'compared' ? metrics?.predictionDrift : undefined;
  const figures = [
    metrics && requiredFigure(metrics, model),
    metrics && championFigure(metrics, findings),
    drift && driftPlot(drift, { classes: model.value.task === 'multiclass' }),
  ].filter((figure) => figure !== undefined);
  const about = championText(measurements, model.value);
  if (figures.length === 0 && about === undefined) return undefined;
  return {
    title: 'Against thresholds and champion',
    body: [figures.length > 0 && cards(figures), about !== undefined && html`<p>${about}</p>`],
  };
}

function requiredFigure({ metrics, differences }: MetricMeasurements, model: LocatedModel): Html | undefined {
  const { task, require } = model.value;
  const rows = require.flatMap((requirement, index): Row[] => {
    if (requirement.slices !== undefined) return [];
    const name = queryName(queryOf(requirement, task));
    const is = ({ query }: { query: MetricQuery }) => queryName(query) === name;
    const result = metrics.find((one) => one.slice === undefined && is(one));
    if (result === undefined || result.examples < requirement.minExamples) return [];
    const row = requiredRow(result, requirement, model.locate(['require', index]));
    return [{ ...row, reference: differences.find(is)?.champion }];
  });
  if (rows.length === 0) return undefined;
  return rowsFigure(
    { title: 'Metrics on the whole holdout', note: 'Each on a scale of its own.', reference: 'champion' },
    rows,
  );
}

/** How much worse than the champion, and how far the predictions have moved. */
function championFigure({ differences }: MetricMeasurements, findings: readonly Finding[]): Html | undefined {
  const rows = findings.flatMap((finding): Row[] => {
    if (finding.check === 'prediction-drift') return [distanceRow(finding, 'population stability index')];
    if (finding.check !== 'champion') return [];
    const of = differences.find(({ query }) => finding.subject.startsWith(`${queryName(query)} against`));
    if (of === undefined) return [];
    const { candidate, champion, query } = of;
    const both =
      candidate === null || champion === null
        ? ''
        : `: ${formatNumber(candidate, champion)} against ${formatNumber(champion, candidate)}`;
    return [distanceRow(finding, `${queryName(query)}${both}`)];
  });
  if (rows.length === 0) return undefined;
  return rowsFigure(
    {
      title: 'Distance from the champion',
      note: 'Further right is worse, whichever way a metric is better.',
      reference: 'no difference',
    },
    rows,
  );
}

/** A finding on a difference, which is at most so much. */
function distanceRow({ outcome, observed, allowed, value, interval, limit }: Finding, name: string): Row {
  return {
    name,
    outcome,
    estimate: value ?? null,
    interval,
    atMost: limit,
    reference: interval === undefined ? undefined : 0,
    observed: intervalText(observed, interval, limit === undefined ? [] : [limit]),
    allowed,
  };
}

/** Undefined where nobody asks for a comparison. */
function championText(
  { champion }: Measurements,
  { champion: allowed, sanity }: LocatedModel['value'],
): Content {
  if (allowed === undefined && sanity.predictionDrift === undefined) return undefined;
  switch (champion.kind) {
    case 'none':
      return 'There is no champion: no package to compare with is approved yet.';
    case 'unavailable':
      return html`The champion, ${mono(champion.package)}, could not be compared with: ${clip(champion.reason, TEXT)}`;
    case 'compared':
      return html`The champion is ${mono(champion.package)}.`;
  }
}

function cards(figures: Content): Html {
  return html`<div class="cards">${figures}</div>`;
}

// ---------------------------------------------------------------------------------------------------------
// How it answered
// ---------------------------------------------------------------------------------------------------------

function answersSections(metrics: MetricMeasurements, { value }: LocatedModel): Section[] {
  const { residuals, confusion } = metrics.curves;
  const curves = curveFigures(metrics);
  const weighted = value.holdout.weight !== undefined && html`<p>Each example counts by its weight.</p>`;
  const at = value.task === 'binary' ? ' at a score of 0.5' : '';
  return [
    ...(curves.length > 0 ? [{ title: 'Curves', body: [weighted, cards(curves)] }] : []),
    ...(residuals ? [{ title: 'Residuals', body: cards([residualPlot(residuals)]) }] : []),
    ...(confusion ? [{ title: `Confusion matrix${at}`, body: confusionTable(confusion) }] : []),
  ];
}
