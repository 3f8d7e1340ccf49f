import { capital, clip, countOf, formatDuration } from '../shared/format.ts';
import { type Html, html, raw } from '../shared/report/html.ts';
import { page } from '../shared/report/page.ts';
import type { Outcome } from '../shared/verdict.ts';
import {
  type Board,
  type BoardGap,
  type BoardRowStand,
  type BoardStand,
  earlierReports,
  keyOfLink,
  rowTitle,
  summaryOf,
} from './board.ts';
import { BOARD_JSON, GAP_TITLES, GAPS } from './schema.ts';
import { STANDING_MARKS, type Standing } from './standing.ts';

/*
 * The board as a page: five gaps for each model and environment, at a glance. Pure; it shows what the JSON says, and the
 * same JSON gives the same bytes.
 */

/** Characters of a reason in a cell; all of it is among the details. */
const REASON = 200;
const WHOLE_REASON = 1_500;

const MINUTE_MS = 60_000;

const STYLE = raw(`
body{max-width:92rem}
.badge.pass{color:var(--pass)}.badge.fail{color:var(--fail)}.badge.inconclusive{color:var(--inconclusive)}.badge.stale{color:var(--stale)}.badge.never{color:var(--never)}
table.glance{width:auto;margin:1rem 0}.glance th,.glance td{min-width:0;padding:.25rem 1rem .25rem 0;vertical-align:middle;overflow-wrap:anywhere}.glance .badge{font-size:.85rem}
.row{margin:2rem 0 0}.row h2{display:flex;flex-wrap:wrap;gap:.25rem .75rem;align-items:baseline;margin:0 0 .5rem}.row h2 small{font-weight:400;font-size:.9rem}
.gaps{list-style:none;margin:0;padding:0;display:grid;grid-template-columns:repeat(5,minmax(0,1fr));gap:.6rem}
.gaps>li{display:grid;grid-row:span 4;grid-template-rows:subgrid;row-gap:0;min-width:0;border:1px solid var(--line);border-top:.35rem solid currentcolor;border-radius:.35rem;padding:.6rem .75rem;background:var(--card)}
.gaps>li>*{color:var(--ink);min-width:0}.gaps h3,.stands h3{margin:0;font-size:1rem}.gaps h3 small{display:block;font-weight:400;font-size:.8rem;color:var(--soft)}
.standing{margin:.25rem 0}.gaps .why{font-size:.9rem;margin:.35rem 0}.when{font-size:.85rem;color:var(--soft);margin:.15rem 0}
.strip svg{height:1.5rem}.strip p{margin:0;font-size:.8rem;color:var(--soft)}
.stands{list-style:none;margin:0;padding:0;display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,24rem),1fr));gap:.6rem}
.stands>li{border:1px solid var(--line);border-radius:.35rem;padding:.6rem .75rem;min-width:0;font-size:.9rem}
.legend svg{width:.6rem;height:1rem;vertical-align:-.2rem}
@media(max-width:70rem){.gaps{grid-template-columns:repeat(auto-fill,minmax(min(100%,17rem),1fr))}}
@media(max-width:45rem){.glance .word{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}.glance th,.glance td{padding-right:.5rem}.glance .badge{padding:0 .4rem}table.glance{width:100%}}
@media print{.gaps>li,.stands>li{break-inside:avoid}}
`);

/**
 * The board as one HTML document.
 *
 * @param linkOf where a key of the evidence bucket can be had; undefined of what cannot. Left out: relative links, which hold
 *   as long as the page is where it is stored
 */
export function boardPage(board: Board, linkOf?: (key: string) => string | undefined): string {
  const { ready, text } = summaryOf(board);
  const linked = (link: string): string | undefined =>
    linkOf === undefined ? link : linkOf(keyOfLink(link));
  const json = linked(`../${BOARD_JSON}`);
  const built = board.builtAt;
  return page({
    title: `Tocsin board: ${ready ? 'ready' : 'not ready'}`,
    style: STYLE,
    header: html`<p class="soft">Tocsin</p>
<h1>Board</h1>
<p class="reason ${ready ? 'pass' : 'fail'}"><span>${text}</span></p>
<p class="soft">Built ${timeOf(built)}. It is rebuilt at every verdict, after each deployment, and every hour. All times are UTC.</p>
${legend()}`,
    main: [
      board.rows.length > 1 && glance(board),
      board.rows.map((row, index) => rowSection(row, { id: idOf(index), now: built, linked })),
    ],
    footer: html`<p>${json !== undefined && html`The same as JSON: <a href="${json}">board.json</a>. `}What a row waits for is in the section readiness of tocsin.yaml. Whether AWS itself has changed since a verdict is not looked at here: before a release, run <span class="mono">tocsin ready</span>.</p>`,
  });
}

type Linked = (link: string) => string | undefined;

/** What a part of the page is drawn with. */
interface Drawing {
  now: number;
  linked: Linked;
}

function idOf(index: number): string {
  return `row-${index + 1}`;
}

/** All rows in a few lines, where there are several: a mark and a word for each gap. */
function glance({ rows }: Board): Html {
  return html`<table class="glance"><caption class="hidden">The gaps of every release</caption>
<thead><tr><td></td>${GAPS.map((gap) => html`<th scope="col">${GAP_TITLES[gap].number} <span class="word">${GAP_TITLES[gap].title}</span></th>`)}</tr></thead>
<tbody>${rows.map(
    (row, index) =>
      html`<tr><th scope="row"><a href="#${idOf(index)}">${rowTitle(row)}</a></th>${GAPS.map((gap) => {
        const found = row.gaps.find((one) => one.gap === gap);
        return html`<td>${found && badge(found.standing)}</td>`;
      })}</tr>
`,
  )}</tbody></table>
`;
}

function rowSection(row: BoardRowStand, { id, ...drawing }: Drawing & { id: string }): Html {
  const { model, environment, gaps } = row;
  const closed = gaps.filter(({ standing }) => standing === 'pass').length;
  const all = gaps.flatMap(({ stands }) => stands);
  const said =
    model === undefined ? 'what runs, and no release waits for' : `${closed} of ${gaps.length} gaps closed`;
  return html`<section class="row" id="${id}"><h2>${model === undefined ? rowTitle(row) : html`${model}<span class="soft"> in ${environment}</span>`} <small class="soft">${said}</small></h2>
<ol class="gaps">
${gaps.map((gap) => gapItem(gap, drawing))}</ol>
${
  all.length > 0 &&
  html`<details><summary>${countOf(all.length, 'requirement')}, one by one</summary>
<ul class="stands">
${all.map((stand) => standItem(stand, drawing))}</ul></details>`
}</section>
`;
}

/** Of four parts, which are as high as those of the gaps beside it. */
function gapItem(gap: BoardGap, drawing: Drawing): Html {
  const { number, title, closedBy } = GAP_TITLES[gap.gap];
  const history = gap.stands.flatMap((stand) => stand.history).toSorted((a, b) => b.at - a.at);
  return html`<li class="${gap.standing}"><div><h3>${number} ${title}<small>${closedBy}</small></h3>
<p class="standing">${badge(gap.standing)}</p>
${whenText(gap, drawing)}</div>
<p class="why">${clip(gap.why, REASON)}</p>
<div class="strip">${strip(history)}</div>
<div>${nextText(gap, drawing)}${reportLink(gap, title, drawing)}</div></li>
`;
}

function standItem(stand: BoardStand, drawing: Drawing): Html {
  const { title, standing, why, line, at, staleAt } = stand;
  return html`<li><h3>${capital(title)}</h3>
<p class="standing">${badge(standing)}</p>
${whenText(stand, drawing)}<p>${clip(why, WHOLE_REASON)}</p>
<div class="strip">${strip(stand.history)}</div>
<p class="when">${at !== undefined && html`Last verdict ${timeOf(at)}. `}${staleAt !== undefined && html`It counts until ${timeOf(staleAt)}. `}<span class="mono">${line}</span></p>
${nextText(stand, drawing)}${reportLink(stand, title, drawing)}${earlierLinks(stand, title, drawing)}</li>
`;
}

/** A mark and a word. */
function badge(standing: Standing): Html {
  return html`<span class="badge ${standing}"><span aria-hidden="true">${STANDING_MARKS[standing]}</span> <span class="word">${standing}</span></span>`;
}

function whenText({ since }: Pick<BoardStand, 'since'>, { now }: Drawing): Html | undefined {
  if (since === undefined) return undefined;
  const ago = now - since;
  return html`<p class="when">since ${timeOf(since)}${ago >= MINUTE_MS && html` (${formatDuration(ago)})`}</p>
`;
}

function nextText({ next }: Pick<BoardStand, 'next'>, { now }: Drawing): Html | undefined {
  if (next === undefined) return undefined;
  return html`<p class="when">Next run ${next <= now ? 'is due' : html`by ${timeOf(next)}`}</p>
`;
}

function reportLink(
  { report, at }: Pick<BoardStand, 'report' | 'at'>,
  of: string,
  { linked }: Drawing,
): Html | undefined {
  const link = report === undefined ? undefined : linked(report);
  if (link === undefined || at === undefined) return undefined;
  return html`<p class="when"><a href="${link}">Report<span class="hidden"> on ${of}</span> of ${dayOf(at)}</a></p>
`;
}

/** What it said before, as far as that can be had. */
function earlierLinks(stand: BoardStand, of: string, { linked }: Drawing): Html | undefined {
  const links = earlierReports(stand).flatMap(({ at, outcome, report }) => {
    const link = linked(report);
    if (link === undefined) return [];
    return html`<li><a href="${link}"><span class="hidden">Report on ${of} of </span>${timeOf(at)} <span aria-hidden="true">${STANDING_MARKS[outcome]}</span> ${outcome}</a></li>`;
  });
  if (links.length === 0) return undefined;
  return html`<details><summary>Earlier reports<span class="hidden"> on ${of}</span></summary><ul>${links}</ul></details>
`;
}

/** `2026-07-01 06:00` */
function timeOf(ms: number): Html {
  const iso = new Date(ms).toISOString();
  return html`<time datetime="${iso}">${dayOf(ms)} ${iso.slice(11, 16)}</time>`;
}

function dayOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}

// ---------------------------------------------------------------------------------------------------------
// History
// ---------------------------------------------------------------------------------------------------------

/** Runs in one strip, at most. */
const RUNS = 200;

/** Size of the drawing, and how wide a run is at most. */
const STRIP = { width: 200, height: 20, run: 8 };

/** What a run looks like: they differ in height and shape, and not in colour alone. */
const SHAPES: Record<Outcome, (x: number, width: number) => string> = {
  // A low bar; a bar as high as the strip; one that hangs in the middle.
  pass: (x, width) => `M${x} 20h${width}v-7h${-width}z`,
  inconclusive: (x, width) => `M${x} 14h${width}v-8h${-width}z`,
  fail: (x, width) => `M${x} 20h${width}v-20h${-width}z`,
};

type Point = BoardStand['history'][number];

const OUTCOMES: readonly Outcome[] = ['pass', 'fail', 'inconclusive'];

/** @param points the latest first; it is drawn at the right */
function strip(points: readonly Point[]): Html | undefined {
  if (points.length === 0) return undefined;
  const shown = points.slice(0, RUNS).toReversed();
  const step = Math.min(STRIP.run, STRIP.width / shown.length);
  const gap = step > 3 ? 1 : step * 0.2;
  const left = STRIP.width - step * shown.length;
  const paths: Record<Outcome, string> = { pass: '', fail: '', inconclusive: '' };
  for (const [index, { outcome }] of shown.entries()) {
    paths[outcome] += SHAPES[outcome](round(left + index * step), round(step - gap));
  }
  const counts = OUTCOMES.flatMap((outcome) => {
    const count = shown.filter((point) => point.outcome === outcome).length;
    return count === 0 ? [] : `${count} ${outcome}`;
  }).join(', ');
  const runs = `${points.length > RUNS ? 'last ' : ''}${countOf(shown.length, 'run')}`;
  return html`<svg viewBox="0 0 ${STRIP.width} ${STRIP.height}" preserveAspectRatio="none" role="img" aria-label="${`History, ${runs}: ${counts}`}"><path class="grid" d="M0 20H200"/>${OUTCOMES.map((outcome) => paths[outcome] !== '' && html`<path class="f-${outcome}" d="${paths[outcome]}"/>`)}</svg><p>${runs}: ${counts}</p>`;
}

/** To a hundredth, so that the same data gives the same bytes. */
function round(value: number): number {
  return Math.round(value * 100) / 100;
}

function legend(): Html {
  return html`<ul class="legend"><li>Every run, the latest at the right:</li>${OUTCOMES.map(
    (outcome) =>
      html`<li><svg viewBox="0 0 8 20" aria-hidden="true"><path class="f-${outcome}" d="${SHAPES[outcome](1, 6)}"/></svg> ${outcome}</li>`,
  )}</ul>`;
}
