import { clip, countOf, formatDuration, formatNumber, formatShare, formatTime } from '../shared/format.ts';
import { figure, px } from '../shared/report/chart.ts';
import { type Content, type Html, html } from '../shared/report/html.ts';
import { factList, type Section, tableOf, type VerdictPage } from '../shared/report/verdict-page.ts';
import { lineAt } from '../shared/schema.ts';
import type { RollbackVerdict } from './identity.ts';
import type { Measurements, Procedure, Request, Restoration, Timeline } from './measurements.ts';
import { type Phase, phasesOf, requestsIn } from './phases.ts';
import { type Drilled, endpointSection } from './report-endpoint.ts';
import {
  ANSWERERS,
  LOOKS,
  lanesOf,
  laneText,
  medianOf,
  spanOf,
  tallyText,
  timelineFigure,
} from './report-timeline.ts';
import type { LocatedRollbackDrill } from './schema.ts';
import { allRequests, attributed, isWrong, tallyOf } from './timeline.ts';
import { recoveryMsOf, type WayBack, wayBackOf } from './way-back.ts';
import { clockText, procedureText, said } from './words.ts';

/*
 * What the report of a rollback drill shows. Pure: what was stored and is read back gives the same page.
 */

/** Rows of tables whose length others choose. */
const ROWS = 40;
const GOLDEN = 12;
/** Models side by side, and characters of an answer. */
const MODELS = 4;
const ANSWER = 80;

const ENDS: Record<Procedure['outcome'], string> = {
  succeeded: 'ended well',
  failed: 'failed',
  'timed-out': 'did not end in time',
  unknown: 'ended as nobody knows',
};

const RESTORED: Record<Restoration['outcome'], string> = {
  restored: 'the endpoint was brought back to what it was found as',
  unneeded: 'nothing had to be done',
  failed: 'it failed',
};

/**
 * The report of a drill: the timeline, its phases, the endpoint before and after, the procedure, and what tells the models
 * apart.
 *
 * @param timeline as it was judged, slices in any order
 */
export function rollbackPage(
  verdict: RollbackVerdict,
  measurements: Measurements,
  timeline: Timeline,
  drill: LocatedRollbackDrill,
): VerdictPage {
  const way = wayBackOf(measurements, timeline, drill);
  const drilled: Drilled = {
    measurements,
    timeline,
    drill,
    way,
    requests: allRequests({ slices: attributed(timeline.slices, drill.value.failure) }),
    phases: phasesOf(measurements, timeline, way, drill),
    span: spanOf(timeline),
  };
  return {
    heading: `Rollback drill ${drill.name} of ${drill.value.endpoint}`,
    facts: factsOf(verdict, measurements, drill),
    sections: [
      timelineSection(drilled),
      phasesSection(drilled),
      endpointSection(drilled),
      procedureSection(drilled),
      modelsSection(measurements),
    ],
  };
}

function factsOf(
  { inputs }: RollbackVerdict,
  { original, golden, failure }: Measurements,
  drill: LocatedRollbackDrill,
): VerdictPage['facts'] {
  const { within, steady, allow, allowProduction } = drill.value;
  return [
    ['Endpoint', original?.arn ?? drill.value.endpoint],
    ...(original === null
      ? []
      : [['Its configuration', html`${original.state.config} (${hash(original.configSha256)})`] as const]),
    ['Golden requests', html`${golden.uri}, version ${golden.version} (${hash(golden.sha256)})`],
    ['Previous model', inputs.fingerprints.previous.join(', ') || 'not known'],
    ['Bad model', inputs.fingerprints.bad.join(', ') || 'not known'],
    [
      'Rules',
      html`back within ${formatDuration(within)}, steady for ${formatDuration(steady)}, at most ${formatShare(allow.errorRate)} of the requests lost, at most ${allow.wrongModelAfterRollback} wrong answers afterwards (<span class="mono">${lineAt(drill, [])}</span>)`,
    ],
    ...(allowProduction === undefined || failure === null
      ? []
      : [['Production', `may be drilled: "${clip(allowProduction.because, 300)}"`] as const]),
    ['The drill as configured', hash(inputs.configurationSha256)],
    ['Run', html`<span class="mono">${inputs.run}</span>`],
  ];
}

function hash(sha256: string): Html {
  return html`<span class="mono">sha256:${sha256.slice(0, 12)}</span>`;
}

// ---------------------------------------------------------------------------------------------------------
// Who answered
// ---------------------------------------------------------------------------------------------------------

function timelineSection({ measurements, timeline, drill, way, requests, phases, span }: Drilled): Section {
  const title = 'Who answered, and when';
  const why = measurements.notDrilled;
  const broken =
    why !== null &&
    html`<p>${measurements.failure === null ? 'Nothing was drilled' : 'The drill was broken off'}: ${said(why)}.</p>`;
  if (span === null || requests.length === 0) {
    return { title, body: html`${broken}<p>No request was sent, so there is nothing to draw.</p>` };
  }
  const { within } = drill.value;
  const cards = [
    way !== null && limitsCard(way, drill),
    phases.some((phase) => requestsIn(phase, requests).length > 0) && answersCard(phases, requests),
  ].filter((card) => card !== false);
  return {
    title,
    body: html`${broken}<p>Times are minutes and seconds since ${formatTime(span.start)}.</p>
${timelineFigure({ timeline: { ...timeline, slices: attributed(timeline.slices, drill.value.failure) }, phases, way, within, span })}
${cards.length > 0 && html`<div class="cards">${cards}</div>`}`,
  };
}

/** A measure with its limit. */
interface Bound {
  name: string;
  /** Null: it was not measured; `missing` says why not. */
  value: number | null;
  missing: string;
  limit: number;
  /** Whether it has to reach the limit, instead of staying below. */
  isLeast?: boolean;
  format: (value: number, besides?: number) => string;
}

/** What was allowed, against what came of it. */
function limitsCard(way: WayBack, { value }: LocatedRollbackDrill): Html {
  const { within, steady, allow } = value;
  const { requests, doneAt, steadyMs } = way;
  const after = doneAt === null ? [] : requests.filter(({ at, who }) => at >= doneAt && who !== 'nobody');
  const bounds: Bound[] = [
    {
      name: 'recovery',
      value: recoveryMsOf(way),
      missing: 'there was none',
      limit: within,
      format: formatDuration,
    },
    {
      name: 'steady',
      value: steadyMs,
      missing: 'never was',
      limit: steady,
      isLeast: true,
      format: formatDuration,
    },
    {
      name: 'lost requests',
      value: requests.length === 0 ? null : tallyOf(requests).nobody / requests.length,
      missing: 'nothing was asked',
      limit: allow.errorRate,
      format: formatShare,
    },
    {
      name: 'wrong answers once it was done',
      value: after.length === 0 ? null : after.filter(isWrong).length,
      missing: doneAt === null ? 'it never was' : 'no answer',
      limit: allow.wrongModelAfterRollback,
      format: formatNumber,
    },
  ];
  const rows = bounds.map((bound) => ({ ...bound, text: boundText(bound), outcome: outcomeOf(bound) }));
  const [left, right, height] = [6, 334, 44];
  return figure(
    {
      title: 'The way back against its limits',
      note: 'Each bar has a scale of its own; the dashed line is its limit.',
    },
    html`<svg viewBox="0 0 340 ${rows.length * height + 4}" role="img" aria-label="${`The way back against its limits. ${rows.map(({ name, text }) => `${name}: ${text}`).join('; ')}.`}">
${rows.map(({ name, value: got, limit, text, outcome }, index) => {
  const top = index * height;
  const most = Math.max(got ?? 0, limit) || 1;
  const to = (amount: number) => px(left + (amount / (1.15 * most)) * (right - left));
  return html`<text x="${left}" y="${top + 14}">${outcome === null ? '' : MARKS[outcome]}${name}: ${text}</text>
<rect class="f-line" x="${left}" y="${top + 20}" width="${right - left}" height="12"/>${
    got !== null &&
    html`<rect class="f-${outcome}" x="${left}" y="${top + 20}" width="${px(Math.max(to(got) - left, got > 0 ? 1.5 : 0))}" height="12"/>`
  }<path class="line dash s-ink" d="M${to(limit)} ${top + 17}v18"/>`;
})}</svg>`,
  );
}

/** As the verdict has it: what was not watched for long enough tells nothing. */
function outcomeOf({ value, limit, isLeast = false }: Bound): 'pass' | 'fail' | 'inconclusive' | null {
  if (value === null) return null;
  if (isLeast) return value >= limit ? 'pass' : 'inconclusive';
  return value <= limit ? 'pass' : 'fail';
}

const MARKS = { pass: '✓ ', fail: '✗ ', inconclusive: '? ' };

function boundText({ value, missing, limit, isLeast = false, format }: Bound): string {
  const allowed = `at ${isLeast ? 'least' : 'most'} ${format(limit, value ?? undefined)}`;
  return value === null ? `${missing}; ${allowed}` : `${format(value, limit)}, ${allowed}`;
}

/** Who answered in each phase, as shares of its requests. */
function answersCard(phases: readonly Phase[], requests: readonly Request[]): Html {
  const rows = phases.flatMap((phase, index) => {
    const asked = requestsIn(phase, requests);
    if (asked.length === 0) return [];
    return {
      name: `${index + 1} ${phase.name}`,
      tally: tallyOf(asked),
      total: asked.length,
      text: tallyText(asked, (who) => SHORT[who]),
    };
  });
  const [left, right, height] = [6, 334, 44];
  const used = ANSWERERS.filter((who) => rows.some(({ tally }) => tally[who] > 0));
  return figure(
    {
      title: 'Who answered in each phase',
      legend: used.map((who) => ({ className: BARS[who], kind: 'area' as const, text: LOOKS[who].name })),
    },
    html`<svg viewBox="0 0 340 ${rows.length * height + 4}" role="img" aria-label="${`Who answered in each phase. ${rows.map(({ name, text }) => `${name}: ${text}`).join('; ')}.`}">
${rows.map(({ name, tally, total, text }, index) => {
  const top = index * height;
  let from = left;
  const bars = used.map((who) => {
    const width = (tally[who] / total) * (right - left);
    const begins = from;
    from += width;
    return (
      width > 0 &&
      html`<rect class="${BARS[who]}" x="${px(begins)}" y="${top + 20}" width="${px(Math.max(width - 0.6, 1))}" height="12"/>`
    );
  });
  return html`<text x="${left}" y="${top + 14}">${clip(`${name}: ${text}`, 60)}</text>${bars}
`;
})}</svg>`,
  );
}

/** Those who answer, where there is little room. */
const SHORT: Record<Request['who'], string> = {
  previous: 'previous',
  either: 'either',
  bad: 'bad',
  other: 'unknown',
  nobody: 'lost',
};

/** Fills of those who answer, where there are bars. */
const BARS: Record<Request['who'], string> = {
  previous: 'f-a',
  either: 'f-soft',
  bad: 'f-fail',
  other: 'f-c',
  nobody: 'f-warn',
};

// ---------------------------------------------------------------------------------------------------------
// Tables
// ---------------------------------------------------------------------------------------------------------

function phasesSection({ phases, requests, span, measurements }: Drilled): Section | undefined {
  if (span === null || (phases.length === 0 && requests.length === 0)) return undefined;
  const clock = (at: number) => clockText(at - span.start, span.end - span.start);
  const kinds = ANSWERERS.filter((who) => requests.some((request) => request.who === who));
  const rows = phases.map((phase, index): Content[] => {
    const asked = requestsIn(phase, requests);
    const tally = tallyOf(asked);
    return [
      index + 1,
      phase.name,
      clock(phase.from),
      clock(phase.to),
      formatDuration(phase.to - phase.from),
      ...kinds.map((who) => formatNumber(tally[who])),
      middleText(asked),
    ];
  });
  const lanes = lanesOf(requests).map((lane): Content[] => {
    const { requests: asked } = lane;
    const [first, last] = [asked[0] as Request, asked.at(-1) as Request];
    return [
      capped(laneText(lane)),
      formatNumber(asked.length),
      clock(first.at),
      clock(last.at),
      middleText(asked),
      formatDuration(asked.reduce((most, { ms }) => Math.max(most, ms), 0)),
    ];
  });
  const errors = [
    ...Map.groupBy(
      requests.filter(({ error }) => error !== null),
      ({ error }) => error,
    ),
  ]
    .map(([error, asked]) => ({ error, asked }))
    .sort((a, b) => b.asked.length - a.asked.length || ((a.error ?? '') < (b.error ?? '') ? -1 : 1))
    .map(({ error, asked }): Content[] => [
      capped(error ?? ''),
      formatNumber(asked.length),
      clock((asked[0] as Request).at),
      clock((asked.at(-1) as Request).at),
    ]);
  const isFaulty =
    measurements.failure?.kind === 'deployModel' &&
    requests.some(({ who, error }) => who === 'bad' && error !== null);
  return {
    title: 'Phases and answers',
    body: [
      rows.length > 0 &&
        tableOf(
          'Phases',
          [
            { n: 'no.' },
            'phase',
            { n: 'from' },
            { n: 'to' },
            { n: 'took' },
            ...kinds.map((who) => ({ n: LOOKS[who].name })),
            { n: 'median latency' },
          ],
          rows,
        ),
      lanes.length > 0 &&
        bounded(
          'Who answered',
          [
            'who',
            { n: 'requests' },
            { n: 'first' },
            { n: 'last' },
            { n: 'median latency' },
            { n: 'longest' },
          ],
          lanes,
        ),
      errors.length > 0 &&
        bounded('Errors', ['what went wrong', { n: 'requests' }, { n: 'first' }, { n: 'last' }], errors),
      isFaulty &&
        html`<p class="soft">Errors of the bad model count as its answers: the drill says that it is faulty.</p>`,
    ],
  };
}

function middleText(requests: readonly Request[]): string {
  const middle = medianOf(requests.map(({ ms }) => ms).sort((a, b) => a - b));
  return Number.isNaN(middle) ? '' : formatDuration(middle);
}

/** A table of as many rows as there is room for. */
function bounded(caption: string, columns: Parameters<typeof tableOf>[1], rows: Content[][]): Html {
  const more = rows.length - ROWS;
  return html`${tableOf(caption, columns, rows.slice(0, ROWS))}${more > 0 && html`<p class="soft">And ${more} more, in timeline.json.</p>`}`;
}

function capped(text: string): string {
  return clip(text, 200);
}

// ---------------------------------------------------------------------------------------------------------
// What was done, and what tells the models apart
// ---------------------------------------------------------------------------------------------------------

function procedureSection({ measurements, drill, span }: Drilled): Section | undefined {
  const { failure, procedure, restoration } = measurements;
  const clock = (at: number) =>
    span === null ? formatTime(at) : clockText(at - span.start, span.end - span.start);
  const facts: [string, Content][] = [];
  if (failure !== null) {
    facts.push(['The failure', `${failure.what}, begun at ${clock(failure.begunAt)}`]);
    if (failure.why !== null) facts.push(['It was not in place', said(failure.why)]);
    else if (failure.servesAt !== null) facts.push(['In place', `at ${clock(failure.servesAt)}`]);
  }
  const what = procedureText(drill.value);
  const line = lineAt(drill, [drill.value.procedure === undefined ? 'failure' : 'procedure']);
  facts.push(['The procedure', html`${what} (<span class="mono">${line}</span>)`]);
  if (procedure === null) facts.push(['How it ended', 'it was not begun']);
  else {
    const { begunAt, endedAt, outcome } = procedure;
    facts.push(['Begun', `at ${clock(begunAt)}`]);
    facts.push([
      'How it ended',
      endedAt === null
        ? `${ENDS[outcome]}; it had not ended when watching did`
        : `${ENDS[outcome]} at ${clock(endedAt)}, after ${formatDuration(endedAt - begunAt)}`,
    ]);
    facts.push([
      'What it said',
      procedure.said === null ? 'nothing' : html`<span class="mono">${said(procedure.said)}</span>`,
    ]);
  }
  if (restoration !== null) {
    const { begunAt, endedAt, outcome, why, actions } = restoration;
    facts.push([
      'Restoring',
      `${RESTORED[outcome]}${why === null ? '' : `: ${said(why)}`}; ${formatDuration(endedAt - begunAt)} from ${clock(begunAt)}`,
    ]);
    if (actions.length > 0) {
      facts.push([
        'What was done',
        html`${actions.slice(0, ROWS).map((action, index) => html`${index > 0 && html`<br>`}${said(action)}`)}${actions.length > ROWS && html`<br>and ${actions.length - ROWS} more`}`,
      ]);
    }
  }
  return { title: 'What was done', body: factList(facts) };
}

function modelsSection({ fingerprints, telling, golden }: Measurements): Section | undefined {
  if (fingerprints.length === 0) return undefined;
  const models = fingerprints
    .toSorted((a, b) =>
      a.part === b.part ? (a.variant < b.variant ? -1 : 1) : a.part === 'previous' ? -1 : 1,
    )
    .slice(0, MODELS);
  const more = fingerprints.length - models.length;
  const tells = new Set(telling);
  const rows = Array.from({ length: Math.min(golden.requests, GOLDEN) }, (_, index): Content[] => [
    index + 1,
    ...models.map(({ predictions }) => html`<span class="mono">${answerText(predictions[index])}</span>`),
    tells.has(index) ? 'yes' : 'no, both answer alike',
  ]);
  const left = golden.requests - rows.length;
  return {
    title: 'What tells the models apart',
    body: html`<p>A model is known by its answers to ${countOf(golden.requests, 'golden request')}; ${tells.size} of them ${tells.size === 1 ? 'tells' : 'tell'} the previous model from the bad one.</p>
${tableOf(
  'Golden requests and what each model answers',
  [
    { n: 'request' },
    ...models.map(({ part, id, variant }) => `${part} model ${id}, variant ${clip(variant, 63)}`),
    'tells them apart',
  ],
  rows,
)}${left > 0 && html`<p class="soft">And ${left} more, in measurements.json.</p>`}${more > 0 && html`<p class="soft">And ${countOf(more, 'more model')}, in measurements.json.</p>`}`,
  };
}

function answerText(prediction: unknown): string {
  return clip(typeof prediction === 'string' ? prediction : (JSON.stringify(prediction) ?? ''), ANSWER);
}
