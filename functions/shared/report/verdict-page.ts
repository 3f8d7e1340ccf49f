import { messageOf } from '../errors.ts';
import { capital, clip, countOf } from '../format.ts';
import {
  type Finding,
  type FindingOutcome,
  lineOf,
  type NotChecked,
  type Outcome,
  sortFindings,
  type Verdict,
} from '../verdict.ts';
import { type Content, type Html, html } from './html.ts';
import { page } from './page.ts';

/*
 * The report of a verdict: what it came to and why first, then the findings, worst first, then pictures. Pure; a gate adds
 * its own sections.
 */

/** A part of a report, with a heading of its own. */
export interface Section {
  title: string;
  body: Content;
}

/** What a gate says in the report of its verdict. */
export interface VerdictPage {
  /** What was judged, as the heading has it: `Dataset flights`. */
  heading: string;
  /** A few facts, in order: what it is about and what it was bound to. A value may be markup. */
  facts: readonly (readonly [name: string, value: Content])[];
  /** Pictures, in order; those without a body are left out. */
  sections: readonly (Section | undefined)[];
}

/** A mark and a word for each outcome: no reader has to tell colours apart. */
const WORDS: Record<FindingOutcome, { mark: string; word: string }> = {
  pass: { mark: '✓', word: 'pass' },
  fail: { mark: '✗', word: 'fail' },
  inconclusive: { mark: '?', word: 'inconclusive' },
  warn: { mark: '!', word: 'warning' },
};

/** What a verdict allows. */
const MEANING: Record<Outcome, string> = {
  pass: 'The gate is open.',
  fail: 'The gate stays shut.',
  inconclusive: 'The data cannot tell.',
};

/** As many are open; the others unfold, so that the pictures are not far. */
const SHOWN = 6;
/** More findings than these are counted, not listed: they are in verdict.json. Passed ones are folded. */
const LISTED = 80;
const PASSED = 120;
/** Characters of any one text of a finding. */
const TEXT = 500;

/** No report is larger, in bytes: it is read on a phone at night. */
export const MAX_REPORT_BYTES = 300_000;

/**
 * The report of a verdict as one HTML document of at most {@link MAX_REPORT_BYTES}: sections that do not fit are left out,
 * the last first, and it says so. A picture that cannot be drawn costs nobody the verdict.
 *
 * @param verdict with all its findings, in any order
 * @param describe what the gate says of it
 */
export function renderReport(verdict: Verdict, describe: () => VerdictPage): string {
  let described: VerdictPage;
  try {
    described = describe();
  } catch (error) {
    const heading = `${capital(verdict.gate.replaceAll('-', ' '))} ${verdict.subject}`;
    const why = `They could not be drawn: ${messageOf(error)}`;
    return verdictPage(verdict, {
      heading,
      facts: [],
      sections: [{ title: 'Pictures', body: html`<p>${why}</p>` }],
    });
  }
  const sections = described.sections.filter((section) => section !== undefined);
  const left: string[] = [];
  for (;;) {
    const note: Section[] =
      left.length === 0
        ? []
        : [{ title: 'Left out', body: html`<p>There was no room for: ${left.join(', ')}.</p>` }];
    const text = verdictPage(verdict, { ...described, sections: [...sections, ...note] });
    const last = Buffer.byteLength(text) > MAX_REPORT_BYTES ? sections.pop() : undefined;
    if (last === undefined) return text;
    left.unshift(last.title);
  }
}

function verdictPage(verdict: Verdict, { heading, facts, sections }: VerdictPage): string {
  const { outcome, reason, findings, notChecked, id, gate, tocsin } = verdict;
  const { word } = WORDS[outcome];
  return page({
    title: `${heading}: ${word}`,
    header: html`<p class="soft">Tocsin ${gate.replaceAll('-', ' ')}</p>
<h1>${heading} ${badge(outcome)}</h1>
<p class="reason ${outcome}"><span>${clip(reason, 2_000)}</span></p>
<p class="soft">${MEANING[outcome]} ${summaryOf(findings, notChecked)}</p>`,
    main: [
      findingsSection(sortFindings(findings)),
      sections.map(
        (section) =>
          section !== undefined &&
          html`<section><h2>${section.title}</h2>
${section.body}</section>
`,
      ),
      notCheckedSection(notChecked),
      html`<section><h2>What this verdict is bound to</h2>
${factList([...facts, ['Verdict', html`<span class="mono">${id}</span>`]])}</section>`,
    ],
    footer: html`<p>Tocsin ${tocsin}. The same verdict as JSON: <a href="verdict.json">verdict.json</a>, beside this page.</p>`,
  });
}

/** An outcome as a mark and a word. */
export function badge(outcome: FindingOutcome): Html {
  const { mark, word } = WORDS[outcome];
  return html`<span class="badge ${outcome}"><span aria-hidden="true">${mark}</span> ${word}</span>`;
}

/** Names and values. */
export function factList(facts: VerdictPage['facts']): Html {
  return html`<dl class="facts">${facts.map(([name, value]) => html`<dt>${name}</dt><dd>${value}</dd>`)}</dl>`;
}

/** A table that may be wider than the page, which a keyboard can scroll, too. Cells of columns with `n` are numbers. */
export function tableOf(
  caption: string,
  columns: readonly (string | { n: string })[],
  rows: readonly (readonly Content[])[],
): Html {
  const cellClass = (index: number) => (typeof columns[index] === 'object' ? html` class="n"` : '');
  return html`<div class="table" role="region" aria-label="${caption}" tabindex="0"><table><caption>${caption}</caption>
<thead><tr>${columns.map((column, index) => html`<th scope="col"${cellClass(index)}>${typeof column === 'object' ? column.n : column}</th>`)}</tr></thead>
<tbody>${rows.map(
    (row) => html`<tr>${row.map((cell, index) => html`<td${cellClass(index)}>${cell}</td>`)}</tr>
`,
  )}</tbody></table></div>`;
}

function summaryOf(findings: readonly Finding[], notChecked: readonly NotChecked[]): string {
  const count = (outcome: FindingOutcome) => findings.filter((finding) => finding.outcome === outcome).length;
  const parts = (['fail', 'inconclusive', 'warn', 'pass'] as const)
    .filter((outcome) => count(outcome) > 0)
    .map((outcome) => `${count(outcome)} ${WORDS[outcome].word}`);
  const not = notChecked.length > 0 ? `; ${notChecked.length} not checked` : '';
  return `${countOf(findings.length, 'check')}${parts.length > 0 ? `: ${parts.join(', ')}` : ''}${not}.`;
}

function findingsSection(findings: readonly Finding[]): Html {
  const open = findings.filter(({ outcome }) => outcome !== 'pass');
  const passed = findings.filter(({ outcome }) => outcome === 'pass');
  const more = open.length - LISTED;
  return html`<section><h2>Findings</h2>
${open.length > 0 ? list(open.slice(0, SHOWN)) : html`<p>Nothing was found wrong.</p>`}${open.length > SHOWN && html`<details><summary>${open.length - SHOWN} more that did not pass</summary>${list(open.slice(SHOWN, LISTED))}${more > 0 && html`<p>And ${more} more, in verdict.json.</p>`}</details>`}
${
  passed.length > 0 &&
  html`<details><summary>${countOf(passed.length, 'check')} passed</summary>${list(passed.slice(0, PASSED))}${passed.length > PASSED && html`<p>And ${passed.length - PASSED} more, in verdict.json.</p>`}</details>`
}</section>
`;
}

function list(findings: readonly Finding[]): Html {
  return html`<ul class="findings">${findings.map((finding, index) => findingItem(finding, finding.help !== findings[index - 1]?.help))}</ul>`;
}

/** @param advise whether its next step is another than that of the one above */
function findingItem(finding: Finding, advise: boolean): Html {
  const { outcome, message, check, subject, allowed, observed, rule, samples, help } = finding;
  return html`<li class="${outcome}">${badge(outcome)} <span>${clip(message, TEXT)}</span>
<p class="soft"><span class="mono">${check}</span> on ${clip(subject, TEXT)}: allowed ${clip(allowed, TEXT)}, observed ${clip(observed, TEXT)}${rule !== undefined && html` (<span class="mono">${lineOf(rule)}</span>)`}</p>${
    samples !== undefined &&
    samples.length > 0 &&
    html`<p class="soft">For example ${samples.map((sample, index) => html`${index > 0 && '; '}${sample.file !== undefined && `${sample.file} `}row ${sample.row}${sample.value !== undefined && html`: <span class="mono">${sample.value}</span>`}`)}</p>`
  }${advise && help !== undefined && html`<p class="help">What now: ${clip(help, TEXT)}</p>`}</li>
`;
}

function notCheckedSection(notChecked: readonly NotChecked[]): Html | false {
  if (notChecked.length === 0) return false;
  return html`<section><h2>Not checked</h2>
${tableOf(
  'What was not checked, and why',
  ['subject', 'check', 'why'],
  notChecked.slice(0, LISTED).map(({ subject, check, why }) => [clip(subject, TEXT), check, clip(why, TEXT)]),
)}${notChecked.length > LISTED && html`<p>And ${notChecked.length - LISTED} more, in verdict.json.</p>`}</section>
`;
}
