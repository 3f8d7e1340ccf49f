import { countOf, timeText } from '../shared/format.ts';
import type { EndpointState } from './endpoint.ts';
import type { Request, Slice, Who } from './measurements.ts';
import { lastState, type Tally, tallyOf } from './timeline.ts';

/*
 * What whoever follows a drill gets to read. Pure.
 *
 * Everything but the time is of what the slices show, not of this moment: without a terminal a line is written for each
 * change, and where nothing happens there is to be none.
 */

/** How far back the strip goes. */
const STRIP_S = 60;

/** How far back the numbers of the first line go: a slice. */
const RECENT_MS = 10_000;

/** The coarseness of shares, as a fraction. */
const STEP = 0.05;

const LETTERS: Record<Who, string> = { previous: 'P', bad: 'B', other: 'O', either: '=', nobody: 'x' };
const LEGEND: Record<string, string> = {
  P: 'previous',
  B: 'bad',
  O: 'other',
  M: 'several models',
  '=': 'either',
  x: 'lost',
  '.': 'no request',
};

/**
 * Where a drill is: `the procedure runs, 12 s: previous 0 %, bad 100 % of 50 requests, 0 lost; InService on churn-7`, and on
 * a second line who answered in each second of the last minute.
 *
 * @param phase without a colon
 * @param since when it began, milliseconds since 1970
 */
export function phaseText({
  phase,
  since,
  now,
  slices,
}: {
  phase: string;
  since: number;
  now: number;
  slices: readonly Slice[];
}): string {
  const head = `${phase}, ${timeText(Math.max(0, now - since))}`;
  if (slices.length === 0) return head;
  const until = Math.max(...slices.map(({ to }) => to));
  const minute = slices
    .flatMap(({ requests }) => requests)
    .filter(({ at }) => at >= until - STRIP_S * 1000 && at <= until);
  const recent = minute.filter(({ at }) => at >= until - RECENT_MS);
  return `${head}: ${numbersText(recent)}; ${stateText(lastState(slices))}\n${stripText(minute, until)}`;
}

/** `previous 40 %, bad 60 % of 50 requests, 1 lost (ModelError 500)` */
function numbersText(requests: readonly Request[]): string {
  const tally = tallyOf(requests);
  const { nobody } = tally;
  const answered = requests.length - nobody;
  const shares = (['previous', 'bad', 'other', 'either'] as const)
    .filter((who) => who === 'previous' || who === 'bad' || tally[who] > 0)
    .map((who) => `${who} ${shareText(tally, who, answered)}`);
  const errors = [...new Set(requests.flatMap(({ error }) => (error === null ? [] : [error])))].sort();
  const named =
    errors.length === 0 ? '' : ` (${errors.slice(0, 3).join(', ')}${errors.length > 3 ? ', ...' : ''})`;
  return `${shares.join(', ')} of ${countOf(requests.length, 'request')}, ${nobody} lost${named}`;
}

/** In coarse steps; neither 0 % nor 100 % where it is not. */
function shareText(tally: Tally, who: Who, answered: number): string {
  const share = answered === 0 ? 0 : tally[who] / answered;
  const coarse = Math.round(share / STEP) * STEP;
  const shown = share === 0 || share === 1 ? share : Math.min(1 - STEP, Math.max(STEP, coarse));
  return `${Math.round(shown * 100)} %`;
}

function stateText(state: EndpointState | null | undefined): string {
  if (state === undefined) return 'state not known';
  if (state === null) return 'no such endpoint';
  const to = state.pending === null || state.pending === state.config ? '' : `, to ${state.pending}`;
  return `${state.status} on ${state.config}${to}`;
}

/** `last 12 s: PPPPPPPBBxBB (P previous, B bad, x lost)`: a letter for each second. */
function stripText(requests: readonly Request[], until: number): string {
  const first = Math.min(...requests.map(({ at }) => at));
  const seconds = requests.length === 0 ? 0 : cellOf(first, until) + 1;
  const cells = Array.from({ length: seconds }, () => new Set<string>());
  for (const { at, who } of requests) cells.at(-1 - cellOf(at, until))?.add(LETTERS[who]);
  const strip = cells.map(letterOf).join('');
  const legend = Object.entries(LEGEND)
    .filter(([letter]) => strip.includes(letter))
    .map(([letter, meaning]) => `${letter} ${meaning}`);
  return seconds === 0
    ? 'no request yet'
    : `last ${timeText(seconds * 1000)}: ${strip} (${legend.join(', ')})`;
}

/** The second in which something was, counted back from the last one, which is 0. */
function cellOf(at: number, until: number): number {
  return Math.max(0, Math.ceil((until - at) / 1000) - 1);
}

/** A lost request is what one looks for; an answer that both would give says nothing beside another. */
function letterOf(letters: ReadonlySet<string>): string {
  if (letters.has('x')) return 'x';
  const telling = [...letters].filter((letter) => letter !== '=');
  if (telling.length > 1) return 'M';
  return telling[0] ?? [...letters][0] ?? '.';
}
