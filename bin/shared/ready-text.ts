import type { Writable } from 'node:stream';
import type { Readiness } from '../../functions/board/ready.ts';
import { GAP_TITLES } from '../../functions/board/schema.ts';
import { type GapStand, type Stand, type Standing, short } from '../../functions/board/standing.ts';
import { countOf, formatDuration, formatTime, listOf } from '../../functions/shared/format.ts';
import { type Format, printable, style } from './cli.ts';

/*
 * Readiness as people read it: a line for each gap; or everything that is known of each requirement.
 */

const FORMATS: Record<Standing, Format> = {
  fail: ['bold', 'red'],
  inconclusive: ['bold', 'yellow'],
  never: ['bold', 'yellow'],
  stale: ['bold', 'yellow'],
  pass: ['bold', 'green'],
};

const TITLE_COLUMNS = Math.max(...Object.values(GAP_TITLES).map(({ title }) => title.length));
const STANDING_COLUMNS = 'INCONCLUSIVE'.length;

/** How to show it. */
export interface ReadyView {
  /** ARN of the package. */
  package: string | undefined;
  /** Whether to show each requirement. */
  explain: boolean;
}

/** The judgement on a release, for people. */
export function renderReadiness(stream: Writable, readiness: Readiness, view: ReadyView): string {
  const { model, environment, gaps, ready, at } = readiness;
  const lines = gaps.flatMap((gap) => [
    lineOf(stream, gap),
    ...(view.explain ? gap.stands.flatMap((stand) => explain(stream, stand, at)) : []),
  ]);
  const open = gaps.filter(({ standing }) => standing !== 'pass');
  const what = `${model}${view.package === undefined ? '' : ` (${view.package})`}`;
  lines.push(
    ready
      ? `${style(stream, FORMATS.pass, 'READY')} ${printable(what)} may be released to ${environment}: all five gaps are closed.`
      : `${style(stream, FORMATS.fail, 'NOT READY')} ${printable(what)} must not be released to ${environment}: ${countOf(open.length, 'gap')} ${open.length === 1 ? 'is' : 'are'} open (${listOf(open.map(({ gap }) => GAP_TITLES[gap].title))}).`,
  );
  return `${lines.join('\n')}\n`;
}

function lineOf(stream: Writable, { gap, standing, since, why }: GapStand): string {
  const { number, title } = GAP_TITLES[gap];
  const mark = style(
    stream,
    FORMATS[standing],
    `${standing === 'pass' ? '✓' : '✗'} ${standing.toUpperCase().padEnd(STANDING_COLUMNS)}`,
  );
  const from = since === undefined ? '' : `since ${formatTime(since)}. `;
  return `${mark} ${number} ${title.padEnd(TITLE_COLUMNS)}  ${from}${flat(why)}`;
}

function explain(stream: Writable, stand: Stand, now: number): string[] {
  const { requirement, standing, verdict, at, why, changes } = stand;
  const { title, freshMs, line, again } = requirement;
  const age =
    at === undefined
      ? `counts for ${formatDuration(freshMs)}`
      : `${formatDuration(Math.max(0, now - at))} old, counts for ${formatDuration(freshMs)}`;
  const dim = (text: string) => style(stream, 'dim', printable(text));
  return [
    `    ${style(stream, FORMATS[standing], standing.toUpperCase())} ${style(stream, 'bold', printable(title))}: ${flat(why)}`,
    `        ${dim(`verdict ${verdict ?? 'none'}, ${age} (${line})`)}`,
    ...boundTo(stand).map((text) => `        ${dim(`bound to ${text}`)}`),
    ...changes.map(({ what, was, is }) => `        ${flat(`changed: ${what}: was ${was}, is ${is}`)}`),
    ...(standing === 'pass' ? [] : [`        ${style(stream, 'cyan', `-> ${printable(again)}`)}`]),
  ];
}

/** What a verdict is bound to, a line each: `holdout.version 4bd8d47f`. Hashes are as short as everywhere. */
function boundTo({ inputs, requirement }: Stand): string[] {
  return leavesOf(inputs, '').flatMap(([path, text]) => {
    // What the requirement is called was said.
    if (text === requirement.name) return [];
    return [`${path} ${/^[0-9a-f]{64}$/.test(text) ? short(text) : text}`];
  });
}

function leavesOf(value: unknown, path: string): [path: string, text: string][] {
  if (value === null || value === undefined) return [];
  if (typeof value !== 'object') return [[path, String(value)]];
  return Object.entries(value).flatMap(([name, inner]) =>
    leavesOf(inner, path === '' ? name : `${path}.${name}`),
  );
}

/** On one line. */
function flat(text: string): string {
  return printable(text.replaceAll(/\s*\n\s*/g, ' '));
}
