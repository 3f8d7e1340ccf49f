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

/** How much of the findings there is room for. */
interface Room {
  /** Findings that did not pass; as many of them are open as `open` says, so that the pictures are not far. */
  listed: number;
  open: number;
  passed: number;
  /** Characters of any one text. */
  text: number;
}

/** From what is usual to what fits whatever it says; what is left out is counted, and in verdict.json. */
const USUAL: Room = { listed: 80, open: 6, passed: 120, text: 500 };
const NARROW: Room = { listed: 30, open: 6, passed: 20, text: 250 };
const LEAST: Room = { listed: 6, open: 6, passed: 0, text: 100 };

/** No report is larger, in bytes: it is read on a phone at night. */
export const MAX_REPORT_BYTES = 300_000;

/**
 * The report of a verdict as one HTML document of at most {@link MAX_REPORT_BYTES}: first fewer findings are listed, then
 * sections are left out, the last first, and it says so. A picture that cannot be drawn costs nobody the verdict.
 *
 * @param verdict with all its findings, in any order
 * @param describe what the gate says of it
 */
export function renderReport(verdict: Verdict, describe: () => VerdictPage): string {
  const described = attempt(verdict, describe);
  const sections = described.sections.filter((section) => section !== undefined);
  const candidates = [
    { room: USUAL, kept: sections.length },
    ...sections.map((_, index) => ({ room: NARROW, kept: sections.length - index })),
    { room: LEAST, kept: 0 },
  ];
  let text = '';
  for (const { room, kept } of candidates) {
    const left = sections.slice(kept).map(({ title }) => title);
    const note: Section[] =
      left.length === 0
        ? []
        : [{ title: 'Left out', body: html`<p>There was no room for: ${left.join(', ')}.</p>` }];
    text = verdictPage(verdict, { ...described, sections: [...sections.slice(0, kept), ...note] }, room);
    if (Buffer.byteLength(text) <= MAX_REPORT_BYTES) break;
  }
  return text;
}

function attempt(verdict: Verdict, describe: () => VerdictPage): VerdictPage {
  try {
    return describe();
  } catch (error) {
    const heading = `${capital(verdict.gate.replaceAll('-', ' '))} ${verdict.subject}`;
    const why = `They could not be drawn: ${messageOf(error)}`;
    return { heading, facts: [], sections: [{ title: 'Pictures', body: html`<p>${why}</p>` }] };
  }
}

function verdictPage(verdict: Verdict, { heading, facts, sections }: VerdictPage, room: Room): string {
  const { outcome, reason, findings, notChecked, id, gate, tocsin } = verdict;
  const { word } = WORDS[outcome];
  return page({
    title: `${heading}: ${word}`,
    header: html`<p class="soft">Tocsin ${gate.replaceAll('-', ' ')}</p>
<h1>${heading} ${badge(outcome)}</h1>
<p class="reason ${outcome}"><span>${clip(reason, 2_000)}</span></p>
<p class="soft">${MEANING[outcome]} ${summaryOf(findings, notChecked)}</p>`,
    main: [
      findingsSection(sortFindings(findings), room),
      sections.map(
        (section) =>
          section !== undefined &&
          html`<section><h2>${section.title}</h2>
${section.body}</section>
`,
      ),
      notCheckedSection(notChecked, room),
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

function findingsSection(findings: readonly Finding[], room: Room): Html {
  const open = findings.filter(({ outcome }) => outcome !== 'pass');
  const passed = findings.filter(({ outcome }) => outcome === 'pass');
  const more = open.length - room.listed;
  return html`<section><h2>Findings</h2>
${open.length > 0 ? list(open.slice(0, room.open), room) : html`<p>Nothing was found wrong.</p>`}${open.length > room.open && html`<details><summary>${open.length - room.open} more that did not pass</summary>${list(open.slice(room.open, room.listed), room)}${more > 0 && html`<p>And ${more} more, in verdict.json.</p>`}</details>`}
${
  passed.length > 0 &&
  html`<details><summary>${countOf(passed.length, 'check')} passed</summary>${list(passed.slice(0, room.passed), room)}${passed.length > room.passed && html`<p>And ${passed.length - room.passed} more, in verdict.json.</p>`}</details>`
}</section>
`;
}

function list(findings: readonly Finding[], room: Room): Html {
  return html`<ul class="findings">${findings.map((finding, index) => findingItem(finding, finding.help !== findings[index - 1]?.help, room))}</ul>`;
}

/** @param advise whether its next step is another than that of the one above */
function findingItem(finding: Finding, advise: boolean, { text: most }: Room): Html {
  const { outcome, message, check, subject, allowed, observed, rule, samples, help } = finding;
  return html`<li class="${outcome}">${badge(outcome)} <span>${clip(message, most)}</span>
<p class="soft"><span class="mono">${check}</span> on ${clip(subject, most)}: allowed ${clip(allowed, most)}, observed ${clip(observed, most)}${rule !== undefined && html` (<span class="mono">${lineOf(rule)}</span>)`}</p>${
    samples !== undefined &&
    samples.length > 0 &&
    html`<p class="soft">For example ${samples.map((sample, index) => html`${index > 0 && '; '}${sample.file !== undefined && `${sample.file} `}row ${sample.row}${sample.value !== undefined && html`: <span class="mono">${sample.value}</span>`}`)}</p>`
  }${advise && help !== undefined && html`<p class="help">What now: ${clip(help, most)}</p>`}</li>
`;
}

function notCheckedSection(notChecked: readonly NotChecked[], { listed, text }: Room): Html | false {
  if (notChecked.length === 0) return false;
  return html`<section><h2>Not checked</h2>
${tableOf(
  'What was not checked, and why',
  ['subject', 'check', 'why'],
  notChecked.slice(0, listed).map(({ subject, check, why }) => [clip(subject, text), check, clip(why, text)]),
)}${notChecked.length > listed && html`<p>And ${notChecked.length - listed} more, in verdict.json.</p>`}</section>
`;
}
