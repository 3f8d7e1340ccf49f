import { capital, clip, countOf, formatDuration, formatNumber } from '../shared/format.ts';
import { figure } from '../shared/report/chart.ts';
import { type Content, type Html, html } from '../shared/report/html.ts';
import { tableOf, type VerdictPage } from '../shared/report/verdict-page.ts';
import type { Finding, FindingOutcome, Verdict } from '../shared/verdict.ts';
import type { CanaryMeasurements, Control, KnownModel, PipelineRun } from './canary.ts';
import type { HoldoutVersion } from './identity.ts';
import { queryName } from './metric.ts';
import { requiredRow, rowsFigure } from './report-rows.ts';
import { type LocatedCanary, type ModelConfig, queryOf } from './schema.ts';

/*
 * The report of a pipeline canary: how far the known dataset and the corrupted one came, side by side. Pure.
 */

/** What the verdict of a canary is bound to. */
export interface CanaryInputs extends Record<string, unknown> {
  canary: string;
  pipeline: string;
  dataset: { uri: string; version: string | null };
  executions: { known: string; control: string | null };
  packages: { known: string | null; control: string | null };
  holdout: HoldoutVersion;
  configurationSha256: string;
  modelSha256: string;
}

const TEXT = 300;

/** Packages of one run that are listed; more are counted. */
const PACKAGES = 10;

/** The report of a verdict on a pipeline. */
export function canaryPage(
  { inputs, findings }: Pick<Verdict<CanaryInputs>, 'inputs' | 'findings'>,
  measured: CanaryMeasurements,
  canary: LocatedCanary,
  task: ModelConfig['task'],
): VerdictPage {
  return {
    heading: `Pipeline canary ${inputs.canary}`,
    facts: factsOf(inputs),
    sections: [
      {
        title: 'How far the two datasets came',
        body: html`<div class="cards">${[
          laneFigure('Known dataset', 'It has to come through.', knownLane(measured, findings, inputs)),
          laneFigure(
            'Corrupted dataset',
            'Something has to stop it.',
            controlLane(measured.control, findings, canary),
          ),
          measured.model && expectedFigure(measured.model, canary, task),
        ]}</div>`,
      },
      { title: 'The runs of the pipeline', body: runsTable(measured, inputs) },
    ],
  };
}

function factsOf({
  pipeline,
  dataset,
  holdout,
  configurationSha256,
  modelSha256,
}: CanaryInputs): VerdictPage['facts'] {
  return [
    ['Pipeline', mono(pipeline)],
    ['Known dataset', mono(dataset.uri)],
    ...(dataset.version === null ? [] : [['Version of the known dataset', mono(dataset.version)] as const]),
    ['Holdout', mono(holdout.uri)],
    ['Version of the holdout', mono(holdout.version)],
    [
      'Quality verdict of the holdout',
      holdout.qualityVerdict === null ? 'none' : mono(holdout.qualityVerdict),
    ],
    ['Configuration of the canary', mono(`sha256 ${configurationSha256}`)],
    ['Configuration of the model', mono(`sha256 ${modelSha256}`)],
  ];
}

function mono(text: string): Html {
  return html`<span class="mono">${clip(text, TEXT)}</span>`;
}

// ---------------------------------------------------------------------------------------------------------
// Lanes
// ---------------------------------------------------------------------------------------------------------

/** One stop on the way of a dataset. */
interface Stop {
  title: string;
  /** What happened there. */
  text: string;
  went: 'on' | 'through' | 'stopped' | 'unknown' | 'never';
  /** Whether that is as it should be; undefined: it says nothing. */
  outcome?: FindingOutcome | undefined;
}

const WENT: Record<Stop['went'], string> = { on: '↓', through: '✓', stopped: '■', unknown: '?', never: '–' };

const WIDTH = 340;
const LINE = 14;
/** Characters that have room on a line, and lines of one stop. */
const CHARACTERS = 50;
const LINES = 4;

function laneFigure(title: string, note: string, stops: readonly Stop[]): Html {
  let top = 20;
  const placed = stops.map((stop) => {
    const lines = wrap(stop.text);
    const at = top;
    top += LINE * lines.length + 26;
    return { ...stop, lines, at };
  });
  const said = stops.map((stop) => clip(`${stop.title}: ${stop.text}`, 200)).join(' ');
  const last = placed.at(-1)?.at ?? 0;
  return figure(
    { title, note },
    html`<svg viewBox="0 0 ${WIDTH} ${top - 10}" role="img" aria-label="${`${title}. ${said}`}">
<path class="axis" d="M16 20V${last}"/>
${placed.map(
  ({
    at,
    title: name,
    lines,
    went,
    outcome,
  }) => html`<circle class="line f-card ${outcome === undefined ? 's-soft' : `s-${outcome}`}" cx="16" cy="${at}" r="10"/><text class="${outcome === undefined ? 'soft' : `f-${outcome}`}" x="16" y="${at + 4}" text-anchor="middle" font-weight="600">${WENT[went]}</text>
<text x="36" y="${at + 4}" font-weight="600">${name}</text>
${lines.map((line, index) => html`<text class="soft" x="36" y="${at + 4 + LINE * (index + 1)}">${line}</text>`)}
`,
)}</svg>`,
  );
}

/** Lines that have room beside the lane; a longer word is broken. */
function wrap(text: string): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text
    .split(/\s+/)
    .flatMap((one) => one.match(new RegExp(`.{1,${CHARACTERS}}`, 'gu')) ?? [])) {
    if (line !== '' && line.length + 1 + word.length > CHARACTERS) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
    if (lines.length === LINES) break;
  }
  if (lines.length === LINES) return [...lines.slice(0, -1), clip(`${lines.at(-1)} …`, CHARACTERS)];
  return line === '' ? lines : [...lines, line];
}

const NOT_REACHED = { went: 'never', text: 'Not reached.' } as const;

function knownLane(
  { known, model }: CanaryMeasurements,
  findings: readonly Finding[],
  { dataset }: CanaryInputs,
): Stop[] {
  const about = (...checks: string[]) => findings.filter(({ check }) => checks.includes(check));
  const answers = model?.answers ?? [];
  const metrics = about('metric');
  const succeeded = known.end.state === 'succeeded';
  const registered = worst(about('registration', 'approval'));
  const result = worst(findings.filter(({ check }) => check !== 'negative-control'));
  return [
    { title: 'Dataset', text: clip(lastPart(dataset.uri), 2 * CHARACTERS), went: 'on' },
    {
      title: `Pipeline ${known.end.state}`,
      text: endText(known),
      went: succeeded ? 'on' : known.end.state === 'stopped' ? 'unknown' : 'stopped',
      outcome: worst(about('pipeline')),
    },
    succeeded
      ? {
          title: 'Registration',
          text: registeredText(known),
          went: known.registered.length > 0 ? 'on' : 'stopped',
          outcome: registered,
        }
      : { title: 'Registration', ...NOT_REACHED },
    model === undefined
      ? { title: 'Metrics on the holdout', ...NOT_REACHED }
      : {
          title: 'Metrics on the holdout',
          text: metricsText(model, metrics),
          went: 'on',
          outcome: worst([...answers, ...metrics]),
        },
    {
      title: result === 'pass' ? 'Came through' : result === 'fail' ? 'Did not come through' : 'Not known',
      text: result === 'pass' ? 'The pipeline makes of it what it should.' : 'See the findings.',
      went: result === 'pass' ? 'through' : result === 'fail' ? 'stopped' : 'unknown',
      outcome: result,
    },
  ];
}

function metricsText({ examples, answers }: KnownModel, metrics: readonly Finding[]): string {
  const wrong = answers.find(({ outcome }) => outcome !== 'pass');
  if (wrong !== undefined) return wrong.message;
  const inside = metrics.filter(({ outcome }) => outcome === 'pass').length;
  return `${formatNumber(inside)} of ${countOf(metrics.length, 'metric')} in the documented range, on ${countOf(examples, 'example')}.`;
}

function controlLane(control: Control, findings: readonly Finding[], { value }: LocatedCanary): Stop[] {
  const outcome = worst(findings.filter(({ check }) => check === 'negative-control'));
  const changes = Object.entries(value.negativeControl.corrupt ?? {}).map(
    ([column, expression]) => `${column} = ${expression}`,
  );
  const dataset: Stop = {
    title: 'Dataset',
    text: changes.length > 0 ? changes.join('; ') : lastPart(value.negativeControl.uri ?? ''),
    went: 'on',
  };
  const stops = [dataset, ...controlStops(control, outcome)];
  const names = ['Dataset', 'Quality gate', 'Pipeline', 'Registration', 'Thresholds of the model'];
  const later = names.slice(stops.length).map((title): Stop => ({ title, ...NOT_REACHED }));
  const end: Record<FindingOutcome, Stop> = {
    pass: {
      title: 'Stopped',
      text: 'A dataset like this one makes no model.',
      went: 'stopped',
      outcome: 'pass',
    },
    fail: { title: 'Accepted', text: 'Its model would be approved.', went: 'on', outcome: 'fail' },
    inconclusive: {
      title: 'Not known',
      text: 'Whether something stops it.',
      went: 'unknown',
      outcome: 'inconclusive',
    },
    warn: { title: 'Not known', text: 'Whether something stops it.', went: 'unknown', outcome: 'warn' },
  };
  return [...stops, ...later, end[outcome]];
}

/** As far as the corrupted dataset came. */
function controlStops(control: Control, outcome: FindingOutcome): Stop[] {
  if (control.kind === 'not-run') {
    return [{ title: 'Not run', text: control.reason, went: 'unknown', outcome }];
  }
  if (control.kind === 'stopped-by-gate') {
    const text = control.verdict === null ? 'Failed it.' : `Failed it: verdict ${control.verdict}.`;
    return [{ title: 'Quality gate', text, went: 'stopped', outcome }];
  }
  const { run, model } = control;
  const gate: Stop = { title: 'Quality gate', text: 'Did not stop it, or is not asked.', went: 'on' };
  const pipeline = { title: `Pipeline ${run.end.state}`, text: endText(run) };
  if (run.end.state !== 'succeeded') {
    const went = outcome === 'pass' ? 'stopped' : 'unknown';
    return [gate, { ...pipeline, went, outcome }];
  }
  const registration = { title: 'Registration', text: registeredText(run) };
  if (run.registered.length === 0) {
    const went = outcome === 'pass' ? 'stopped' : 'unknown';
    return [gate, { ...pipeline, went: 'on' }, { ...registration, went, outcome }];
  }
  const thresholds: Stop =
    model === undefined
      ? { title: 'Thresholds of the model', text: 'Its model was not evaluated.', went: 'unknown', outcome }
      : {
          title: `Thresholds of the model: ${model.outcome}`,
          text: model.reason,
          went: model.outcome === 'fail' ? 'stopped' : model.outcome === 'pass' ? 'on' : 'unknown',
          outcome,
        };
  return [gate, { ...pipeline, went: 'on' }, { ...registration, went: 'on' }, thresholds];
}

function endText({ end, execution }: PipelineRun): string {
  const which = `Execution ${lastPart(execution)}`;
  switch (end.state) {
    case 'failed':
      return end.reasons.length === 0 ? which : end.reasons.join('; ');
    case 'timed-out':
      return `${which} did not end within ${formatDuration(end.timeoutMs)}.`;
    default:
      return which;
  }
}

function registeredText({ registered }: PipelineRun): string {
  const [first] = registered;
  if (first === undefined) return 'No model.';
  const more = registered.length > 1 ? ` and ${countOf(registered.length - 1, 'other')}` : '';
  return `${clip(first.arn.split(':model-package/').at(-1) ?? '', CHARACTERS)}${more}, ${first.approval ?? 'without an approval'}`;
}

function lastPart(address: string): string {
  return address.split('/').at(-1) || address;
}

function worst(findings: readonly Pick<Finding, 'outcome'>[]): FindingOutcome {
  const order = ['fail', 'inconclusive', 'warn', 'pass'] as const;
  return order.find((outcome) => findings.some((finding) => finding.outcome === outcome)) ?? 'inconclusive';
}

// ---------------------------------------------------------------------------------------------------------
// Metrics and runs
// ---------------------------------------------------------------------------------------------------------

/** The metrics of the model of the known dataset in their documented ranges; undefined where none was measured. */
function expectedFigure(
  { metrics }: KnownModel,
  { value, locate }: LocatedCanary,
  task: ModelConfig['task'],
): Html | undefined {
  const rows = value.expect.flatMap((expected, index) => {
    const name = queryName(queryOf(expected, task));
    const result = metrics.find(({ query, slice }) => slice === undefined && queryName(query) === name);
    return result === undefined ? [] : [requiredRow(result, expected, locate(['expect', index]))];
  });
  if (rows.length === 0) return undefined;
  return rowsFigure(
    { title: 'Metrics of the known dataset', note: 'Its model on the holdout, in the documented ranges.' },
    rows,
  );
}

function runsTable({ known, model, control }: CanaryMeasurements, { packages }: CanaryInputs): Html {
  const run = control.kind === 'run' ? control.run : undefined;
  const none: Content = control.kind === 'not-run' ? 'not run' : 'stopped before it';
  const evaluated = control.kind === 'run' ? control.model : undefined;
  return tableOf(
    'What each execution came to',
    ['what', 'known dataset', 'corrupted dataset'],
    [
      ['execution', mono(known.execution), run === undefined ? none : mono(run.execution)],
      ['ended', endCell(known), run === undefined ? none : endCell(run)],
      ['registered', registeredCell(known), run === undefined ? none : registeredCell(run)],
      [
        'evaluated',
        packages.known === null ? 'no model' : mono(packages.known),
        packages.control === null ? 'no model' : mono(packages.control),
      ],
      [
        'came to',
        model === undefined
          ? 'no metrics'
          : `${countOf(model.metrics.length, 'metric')} on ${countOf(model.examples, 'example')}`,
        evaluated === undefined
          ? 'no metrics'
          : `${capital(evaluated.outcome)}: ${clip(evaluated.reason, TEXT)}`,
      ],
    ],
  );
}

function endCell({ end }: PipelineRun): Content {
  switch (end.state) {
    case 'failed':
      return html`failed<ul>${end.reasons.map((reason) => html`<li>${clip(reason, TEXT)}</li>`)}</ul>`;
    case 'timed-out':
      return `stopped by Tocsin after ${formatDuration(end.timeoutMs)}`;
    case 'stopped':
      return 'stopped by somebody';
    case 'succeeded':
      return 'succeeded';
  }
}

function registeredCell({ registered }: PipelineRun): Content {
  if (registered.length === 0) return 'no model';
  const more = registered.length - PACKAGES;
  return [
    registered
      .slice(0, PACKAGES)
      .map(
        ({ arn, approval }, index) =>
          html`${index > 0 && html`<br>`}${mono(arn)} ${approval ?? 'without an approval'}`,
      ),
    more > 0 && html`<br>and ${formatNumber(more)} more`,
  ];
}
