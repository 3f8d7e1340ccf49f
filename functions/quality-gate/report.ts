import { clip, countOf, formatInterval, formatNumber, formatShare, listOf } from '../shared/format.ts';
import type { ColumnProfile, Profile } from '../shared/profile.ts';
import { figure, px } from '../shared/report/chart.ts';
import { type Content, type Html, html } from '../shared/report/html.ts';
import { badge, type Section, tableOf, type VerdictPage } from '../shared/report/verdict-page.ts';
import { type Finding, type FindingOutcome, type Interval, sortFindings } from '../shared/verdict.ts';
import type { QualityVerdict } from './gate.ts';
import type { Measurements } from './profile.ts';
import { pointText } from './report-axis.ts';
import { columnCard, fitted, type ReportedColumn } from './report-column.ts';
import type { LocatedContract } from './schema.ts';

/*
 * The report of a verdict of the quality gate. Pure: what was stored and read back gives the same page.
 */

/** A verdict, and all that it was judged from. */
export interface QualityEvidence {
  verdict: QualityVerdict;
  measurements: Measurements;
  contract: Pick<LocatedContract, 'value' | 'file'>;
  /** What drift was measured from. */
  baseline?: Profile | undefined;
}

/** Columns that have a picture of their own. */
const CARDS = 24;
/** Rows of the tables, and of the picture of drift. */
const TABLE_ROWS = 60;
const DRIFT_ROWS = 40;
const SAMPLE_ROWS = 40;
/** Names that are listed of what is left out. */
const NAMES = 40;

/** What the report of a dataset's verdict says beside its findings. */
export function qualityPage(evidence: QualityEvidence): VerdictPage {
  const { verdict, measurements } = evidence;
  const columns = columnsOf(evidence);
  const drawable = columns.filter(
    ({ now, before }) => now !== undefined || before?.distribution !== undefined,
  );
  const worst = (column: ReportedColumn) => severityOf(column.findings);
  const failing = drawable.filter((column) => worst(column) < PASSED).toSorted((a, b) => worst(a) - worst(b));
  const fine = drawable.filter((column) => worst(column) === PASSED);
  const drifting = fine.filter(({ findings }) => findings.some(({ check }) => check.startsWith('drift-')));
  const others = fine.filter((column) => !drifting.includes(column));
  const shown = [...failing, ...drifting, ...others].slice(0, CARDS);
  const left = [...failing, ...drifting, ...others].slice(CARDS);
  const cards = (title: string, some: readonly ReportedColumn[]): Section | undefined => {
    const drawn = some.filter((column) => shown.includes(column));
    if (drawn.length === 0) return undefined;
    return { title, body: html`<div class="cards">${drawn.map(columnCard)}</div>` };
  };
  return {
    heading: `Dataset ${verdict.subject}`,
    facts: factsOf(evidence),
    sections: [
      cards('Columns that did not pass', failing),
      driftSection(evidence),
      cards(
        drifting.length === 0 ? 'Columns' : 'Columns that passed, those compared with the baseline first',
        [...drifting, ...others],
      ),
      left.length === 0
        ? undefined
        : {
            title: 'Columns without a picture',
            body: html`<p>There are pictures of ${CARDS} of ${countOf(drawable.length, 'column')}. ${countOf(left.length, 'column')} more: <span class="mono">${namesOf(left)}</span>. Their numbers are in <a href="profile.json">profile.json</a>, beside this page.</p>`,
          },
      samplesSection(verdict.findings, columns),
      tableSection(columns, measurements),
    ],
  };
}

function namesOf(columns: readonly ReportedColumn[]): string {
  const names = columns.slice(0, NAMES).map(({ name }) => clip(name, 60));
  return `${names.join(', ')}${columns.length > NAMES ? ` and ${columns.length - NAMES} more` : ''}`;
}

function factsOf({ verdict, measurements, contract, baseline }: QualityEvidence): VerdictPage['facts'] {
  const { uri, sha256, contractSha256, baselineSha256, asOf } = verdict.inputs;
  const hash = (text: string) => html`<span class="mono">sha256 ${text.slice(0, 16)}…</span>`;
  return [
    ['Data', html`${clip(uri, 500)}<br>${hash(sha256)}`],
    [
      'Rows',
      measurements.unreadable === undefined
        ? `${formatNumber(measurements.profile.rows)}${baseline === undefined ? '' : `; baseline ${formatNumber(baseline.rows)}`}`
        : 'unknown: it could not be read',
    ],
    ['Contract', html`${clip(contract.file, 300)}<br>${hash(contractSha256)}`],
    ['Baseline', baselineSha256 === null ? 'none: nothing was compared with one' : hash(baselineSha256)],
    ['Freshness', asOf === null ? 'not measured' : `measured from ${asOf}`],
  ];
}

// ---------------------------------------------------------------------------------------------------------
// Columns
// ---------------------------------------------------------------------------------------------------------

/** Outcomes from worst to best. */
const PASSED = 3;
const SEVERITY: Record<FindingOutcome, number> = { fail: 0, inconclusive: 1, warn: 2, pass: PASSED };

function severityOf(findings: readonly Finding[]): number {
  return Math.min(PASSED, ...findings.map(({ outcome }) => SEVERITY[outcome]));
}

/** The columns of the contract, in its order. */
function columnsOf({ verdict, measurements, contract, baseline }: QualityEvidence): ReportedColumn[] {
  const findings = new Map<string, Finding[]>();
  for (const finding of verdict.findings) {
    // A finding on a key or on the order of columns names one, too.
    if (finding.column === undefined || finding.subject !== `column ${finding.column}`) continue;
    const known = findings.get(finding.column);
    if (known === undefined) findings.set(finding.column, [finding]);
    else known.push(finding);
  }
  return Object.entries(contract.value.columns).map(([name, rule]) => ({
    name,
    now: own(measurements.profile.columns, name),
    rows: measurements.profile.rows,
    counted: own(measurements.columns, name)?.onBaseline,
    before: own(baseline?.columns, name),
    baselineRows: baseline?.rows ?? 0,
    findings: findings.get(name) ?? [],
    pii: rule.pii === true,
  }));
}

/** The entry of that name; what an object inherits, such as `constructor`, is none. */
function own<T>(entries: Record<string, T> | undefined, name: string): T | undefined {
  return entries !== undefined && Object.hasOwn(entries, name) ? entries[name] : undefined;
}

/** Every column in numbers, those that did not pass first. */
function tableSection(columns: readonly ReportedColumn[], { profile }: Measurements): Section | undefined {
  const measured = columns.filter(({ now }) => now !== undefined);
  if (measured.length === 0)
    return {
      title: 'Columns',
      body: html`<p>No column could be measured, so there is no picture of any.</p>`,
    };
  const sorted = measured.toSorted((a, b) => severityOf(a.findings) - severityOf(b.findings));
  const point = (now: ColumnProfile, value: number | undefined) =>
    value === undefined ? '' : clip(pointText(now.type, value), 30);
  const rows = sorted.slice(0, TABLE_ROWS).flatMap(({ name, now, findings }): Content[][] => {
    if (now === undefined) return [];
    const outcome =
      findings.length === 0 ? 'no check' : badge(sortFindings([...findings])[0]?.outcome ?? 'pass');
    return [
      [
        clip(name, 80),
        outcome,
        now.type,
        formatShare(profile.rows === 0 ? 0 : now.nulls / profile.rows),
        `${now.distinct.exact ? '' : 'about '}${formatNumber(now.distinct.value)}`,
        point(now, now.min),
        point(now, now.mean),
        point(now, now.max),
      ],
    ];
  });
  const more = sorted.length - rows.length;
  const caption = `${countOf(measured.length, 'column')} of ${countOf(profile.rows, 'row')}`;
  return {
    title: 'All columns in numbers',
    body: html`${tableOf(caption, ['column', 'checks', 'type', { n: 'nulls' }, { n: 'distinct' }, { n: 'least' }, { n: 'mean' }, { n: 'greatest' }], rows)}${more > 0 && html`<p>And ${countOf(more, 'column')} more, in <a href="profile.json">profile.json</a>.</p>`}`,
  };
}

/** The first rows that break a rule, to look them up. */
function samplesSection(
  findings: readonly Finding[],
  columns: readonly ReportedColumn[],
): Section | undefined {
  const samples = sortFindings([...findings]).flatMap((finding) =>
    (finding.samples ?? []).map((sample) => ({ finding, sample })),
  );
  if (samples.length === 0) return undefined;
  const files = samples.some(({ sample }) => sample.file !== undefined);
  const rows = samples
    .slice(0, SAMPLE_ROWS)
    .map(({ finding: { outcome, subject, check }, sample }) => [
      badge(outcome),
      clip(subject, 80),
      check,
      ...(files ? [clip(sample.file ?? '', 120)] : []),
      formatNumber(sample.row),
      sample.value === undefined ? '' : html`<span class="mono">${clip(sample.value, 80)}</span>`,
    ]);
  const more = samples.length - rows.length;
  const secret = columns.some(({ pii }) => pii);
  const head = ['outcome', 'subject', 'check', ...(files ? ['file'] : []), { n: 'row' }, 'value'];
  return {
    title: 'Rows to look at',
    body: html`${tableOf('The first rows that break each rule', head, rows)}${more > 0 && html`<p>And ${more} more, in verdict.json.</p>`}${secret && html`<p class="soft">Values of columns that the contract marks as personal data are not shown.</p>`}`,
  };
}

// ---------------------------------------------------------------------------------------------------------
// Drift
// ---------------------------------------------------------------------------------------------------------

/** One drift check that could be made. */
interface Effect {
  finding: Finding;
  interval: Interval;
  limit: number;
  name: string;
}

const WIDTH = 680;
const ROW = 24;
const HEAD = 20;
const [NAMES_END, TEXT_START] = [226, 534];
/** Where the scale begins: a hundredth of a limit. */
const LEAST = 0.01;

/** How far columns have moved, all in one picture: as multiples of their limits, since each measure has a unit of its own. */
function driftSection({ verdict, baseline }: QualityEvidence): Section | undefined {
  const asked = verdict.findings.filter(({ check }) => check.startsWith('drift-'));
  const title = 'How far columns have moved from the baseline';
  if (baseline === undefined) {
    const needed = verdict.findings.some(({ check }) => check === 'baseline');
    return needed
      ? {
          title,
          body: html`<p>There is no baseline yet, so nobody can tell. Make the profile of a dataset that you know to be right the baseline: <span class="mono">tocsin baseline promote</span>.</p>`,
        }
      : undefined;
  }
  if (asked.length === 0) return undefined;
  const effects = asked
    .flatMap((finding): Effect[] => {
      const { interval, limit, column = '', check } = finding;
      if (interval === undefined || limit === undefined || !(limit > 0)) return [];
      return [
        {
          finding,
          interval,
          limit,
          name: `${column} · ${check.slice('drift-'.length).replace('quantile-', 'quantile ')}`,
        },
      ];
    })
    .toSorted(
      (a, b) =>
        SEVERITY[a.finding.outcome] - SEVERITY[b.finding.outcome] ||
        b.interval.estimate / b.limit - a.interval.estimate / a.limit,
    );
  const open = asked.length - effects.length;
  const more = effects.length - DRIFT_ROWS;
  return {
    title,
    body: html`${effects.length > 0 && driftFigure(effects.slice(0, DRIFT_ROWS))}${more > 0 && html`<p>And ${countOf(more, 'check')} more, with less, in verdict.json.</p>`}${open > 0 && html`<p>${countOf(open, 'check')} could not be made; the findings say why.</p>`}`,
  };
}

const MARKS: Record<FindingOutcome, string> = { fail: '✗', inconclusive: '?', warn: '!', pass: '✓' };

function driftFigure(effects: readonly Effect[]): Html {
  const confidence = effects[0]?.interval.confidence ?? 0;
  const largest = Math.max(...effects.map(({ interval, limit }) => interval.high / limit));
  // In powers of ten of the limit: from a hundredth of it to beyond the largest.
  const [least, most] = [Math.log10(LEAST), Math.max(1, Math.ceil(Math.log10(largest)))];
  const x = (ratio: number) => {
    const power = ratio > 0 ? Math.log10(ratio) : least;
    return px(
      NAMES_END +
        14 +
        ((Math.min(Math.max(power, least), most) - least) / (most - least)) * (TEXT_START - NAMES_END - 34),
    );
  };
  const powers = Array.from({ length: most - least + 1 }, (_, index) => least + index);
  const shown = powers.filter(
    (power) => powers.length <= 7 || power === 0 || power === least || power === most,
  );
  const bottom = HEAD + effects.length * ROW;
  return figure(
    {
      title: 'Each drift check against its limit',
      note: `Effect and its interval (each bound with ${formatShare(confidence)} confidence), as a multiple of the limit, on a scale of powers of ten. A check fails where the whole interval is at the right of the limit.`,
      legend: [
        { className: 's-fail', kind: 'line', text: 'fails' },
        { className: 's-inconclusive', kind: 'line', text: 'cannot tell, or warns' },
        { className: 's-pass', kind: 'line', text: 'passes' },
        { className: 's-ink dash', kind: 'line', text: 'limit' },
      ],
    },
    html`<svg viewBox="0 0 ${WIDTH} ${bottom + 22}" role="img" aria-label="${describeDrift(effects)}">
<path class="grid" d="${powers.map((power) => `M${x(10 ** power)} ${HEAD}V${bottom}`).join('')}"/>
<text x="${x(1)}" y="13" text-anchor="middle">limit</text>
${effects.map((effect, index) => effectRow(effect, HEAD + index * ROW + ROW / 2, x))}
<path class="line dash s-ink" d="M${x(1)} ${HEAD - 3}V${bottom + 3}"/>
${shown.map((power) => html`<text class="soft" x="${x(10 ** power)}" y="${bottom + 16}" text-anchor="middle">${power === 0 ? '1' : Number((10 ** power).toPrecision(1)).toLocaleString('en-US')} ×</text>`)}</svg>`,
    { wide: true },
  );
}

function effectRow(
  { finding, interval, limit, name }: Effect,
  y: number,
  x: (ratio: number) => number,
): Html {
  const { outcome, observed } = finding;
  const [low, middle, high] = [
    x(interval.low / limit),
    x(interval.estimate / limit),
    x(interval.high / limit),
  ];
  // What reaches below the scale, to zero perhaps, has no end there.
  const start = interval.low / limit < LEAST ? `M${low + 5} ${y - 4}l-5 4l5 4` : `M${low} ${y - 4}v8`;
  const end = interval.high / limit < LEAST ? '' : `M${high} ${y - 4}v8`;
  const dot =
    interval.estimate / limit >= LEAST && html`<circle class="f-${outcome}" cx="${middle}" cy="${y}" r="4"/>`;
  return html`<path class="grid" d="M0 ${y + ROW / 2}H${WIDTH}"/><text class="f-${outcome}" x="2" y="${y + 4}">${MARKS[outcome]}</text><text x="16" y="${y + 4}">${fitted(name, NAMES_END - 16)}</text>
<path class="line s-${outcome}" d="M${low} ${y}H${Math.max(high, low + 5)}${start}${end}"/>${dot}
<text x="${TEXT_START}" y="${y + 4}">${clip(observed, 14)} <tspan class="soft">of ${formatNumber(limit)}</tspan></text>
`;
}

function describeDrift(effects: readonly Effect[]): string {
  const said = effects.slice(0, 8).map(({ finding, interval, limit, name }) => {
    const { low, estimate, high } = formatInterval(interval, [limit]);
    return `${clip(name, 60)} ${estimate} (${low} to ${high}), limit ${formatNumber(limit)}: ${finding.outcome}`;
  });
  const rest = effects.length - said.length;
  return `${countOf(effects.length, 'drift check')}. ${listOf(said)}${rest > 0 ? `, and ${rest} more with less` : ''}.`;
}
