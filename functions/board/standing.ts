import { capital, formatDuration, formatTime, listOf } from '../shared/format.ts';
import { type HistoryEntry, type HistoryPoint, historyFolder, streakOf } from '../shared/history.ts';
import { canonicalJson, sha256 } from '../shared/identity.ts';
import { GAPS, type Gap, type Requirement } from './schema.ts';

/*
 * How something stands that a release waits for, by its latest verdict, by what has changed since, and by the clock. Pure,
 * and closed: only a fresh verdict that passes, on what is there now, is `pass`.
 */

/** How something may stand. */
export const STANDINGS = ['pass', 'fail', 'inconclusive', 'stale', 'never'] as const;
export type Standing = (typeof STANDINGS)[number];

/** One character for each, so that no reader has to tell colours apart. */
export const STANDING_MARKS: Record<Standing, string> = {
  pass: '✓',
  fail: '✗',
  inconclusive: '?',
  stale: '~',
  never: '–',
};

/** What is another by now than what a verdict is bound to. */
export interface Change {
  /** `the contract contracts/flights.yaml` */
  what: string;
  /** As the verdict has it, and as it is: hashes are shortened to 12 digits. */
  was: string;
  is: string;
}

/** What is known of a requirement. */
export interface Observed {
  /** The latest first. */
  history: readonly HistoryPoint[];
  /** Of the first of the history; undefined where there is none, and with a reason where it cannot be read. */
  latest: HistoryEntry | { unreadable: string } | undefined;
  /** What whoever asks has found to be another in AWS itself. */
  changes?: readonly Change[];
  /** Why it could not be found out whether something is another. */
  unknown?: string;
  /** Why it must not be released, whatever its verdict says: `the package ... is Rejected`. */
  refused?: string;
  /** What was left out, where somebody wanted that: `it was not compared with what is there now (--quick)`. */
  left?: string;
}

/** How one requirement stands. */
export interface Stand {
  requirement: Requirement;
  standing: Standing;
  /** A whole sentence. */
  why: string;
  /** When it last came to a verdict, and to which; absent where it never did. */
  at?: number;
  verdict?: string;
  /** Since when it stands so, as far as history tells; milliseconds since 1970. */
  since?: number;
  changes: Change[];
  /** What its verdict is bound to; absent where it never came to one, or that cannot be read. */
  inputs?: Record<string, unknown>;
  history: readonly HistoryPoint[];
  /** From when on its verdict says nothing any more; absent where it never came to one. */
  staleAt?: number;
  /** Whether its verdict is older than it may be, or nobody knows how old, or it never came to one. */
  overdue: boolean;
}

/** How far two clocks may be apart. */
const SKEW_MS = 5 * 60_000;

/** @param now milliseconds since 1970 */
export function standOf(requirement: Requirement, observed: Observed, now: number): Stand {
  const { history, latest, refused, unknown, left } = observed;
  const [point] = history;
  const { title, freshMs, again } = requirement;
  const base = { requirement, history, changes: [] as Change[], overdue: true };
  if (latest !== undefined && 'unreadable' in latest) {
    const verdict = point === undefined ? '' : ` of ${formatTime(point.at)}`;
    return {
      ...base,
      ...(point !== undefined && timesOf(point, freshMs, now)),
      standing: 'inconclusive',
      why: `The verdict on ${title}${verdict} cannot be read: ${latest.unreadable}.`,
    };
  }
  if (point === undefined || latest === undefined) {
    const why = refused === undefined ? '' : ` ${capital(refused)}.`;
    return {
      ...base,
      standing: 'never',
      why: `There has never been a verdict on ${title}.${why} ${again}`,
    };
  }
  const when = formatTime(point.at);
  const changes = [...configuredChanges(requirement, latest), ...(observed.changes ?? [])];
  const of = { ...base, ...timesOf(point, freshMs, now), changes, inputs: latest.inputs };
  if (isAhead(point.at, now)) {
    const ahead = formatDuration(point.at - now);
    return {
      ...of,
      standing: 'inconclusive',
      why: `The verdict on ${title} is of ${when}, which is ${ahead} ahead: one of two clocks is wrong, so nobody knows how old it is. Set it right; if it was that of the run, remove from ${historyFolder(requirement)} in the evidence bucket what is ahead, which hides all that comes. ${again}`,
    };
  }
  const since = streakOf(history)?.since ?? point.at;
  const changed = changes.map(changeText).join(', and ');
  if (point.outcome !== 'pass') {
    const said = latest.reason.replace(/\.?$/, '.');
    const before = changes.length === 0 ? '' : ` Since then ${changed}.`;
    return { ...of, since, standing: point.outcome, why: `${said}${before} ${again}` };
  }
  if (refused !== undefined) {
    return {
      ...of,
      standing: 'fail',
      why: `${capital(title)} passed at ${when}, but ${refused}.`,
    };
  }
  if (changes.length > 0) {
    return {
      ...of,
      standing: 'stale',
      why: `${capital(title)} passed at ${when}, but since then ${changed}. ${again}`,
    };
  }
  if (of.overdue) {
    return {
      ...of,
      since: of.staleAt,
      standing: 'stale',
      why: `The last verdict on ${title} is of ${when}, ${formatDuration(now - point.at)} ago, and counts for ${formatDuration(freshMs)} (${requirement.line}). ${again}`,
    };
  }
  if (unknown !== undefined) {
    return {
      ...of,
      standing: 'inconclusive',
      why: `${capital(title)} passed at ${when}, but whether that is what is there now cannot be told: ${unknown}.`,
    };
  }
  const but = left === undefined ? '' : `; ${left}`;
  return { ...of, since, standing: 'pass', why: `${capital(title)} passed at ${when}${but}.` };
}

/** Of its last verdict, and until when that counts. */
function timesOf({ at, verdict }: HistoryPoint, freshMs: number, now: number) {
  const staleAt = at + freshMs;
  // Nobody would be told, for as long as a clock was ahead, that nothing came after.
  return { at, verdict, staleAt, overdue: now >= staleAt || isAhead(at, now) };
}

function isAhead(at: number, now: number): boolean {
  return at > now + SKEW_MS;
}

/** `the contract contracts/flights.yaml has changed (was 12ab…, is 34cd…)` */
function changeText({ what, was, is }: Change): string {
  return `${what} has changed (was ${was}, is ${is})`;
}

/** What of the configuration is another than what the verdict was made with. */
export function configuredChanges(
  { configured }: Requirement,
  { inputs }: Pick<HistoryEntry, 'inputs'>,
): Change[] {
  return configured.flatMap(({ input, what, value }) => {
    const is = configuredHash(value);
    const was = inputs[input] ?? null;
    return was === is ? [] : [{ what, was: short(was), is: short(is) }];
  });
}

/** The hash of what is configured, as verdicts are bound to it; null of what there is not. */
export function configuredHash(value: unknown): string | null {
  if (value === null || value === undefined) return null;
  return sha256(typeof value === 'string' ? value : canonicalJson(value));
}

/** A hash as people compare them. */
export function short(value: unknown): string {
  return value === null || value === undefined ? 'nothing' : String(value).slice(0, 12);
}

/** How a gap of a model stands: as its worst requirement does. */
export interface GapStand {
  gap: Gap;
  standing: Standing;
  /** One or more whole sentences: of the worst, or that there is nothing. */
  why: string;
  /** Since when it stands so, as far as that is known; milliseconds since 1970. */
  since?: number;
  /** The worst first. */
  stands: Stand[];
}

const WORST: Record<Standing, number> = { fail: 0, inconclusive: 1, never: 2, stale: 3, pass: 4 };

/** The five gaps of a row, in their order. */
export function gapsOf(stands: readonly Stand[]): GapStand[] {
  return GAPS.map((gap) => {
    const own = stands
      .filter(({ requirement }) => requirement.gap === gap)
      .toSorted((a, b) => WORST[a.standing] - WORST[b.standing]);
    const [worst, ...others] = own;
    if (worst === undefined) {
      return { gap, standing: 'never', why: 'Nothing in tocsin.yaml closes this gap.', stands: [] };
    }
    // It is closed from when its last requirement was met; it is open since its worst is not.
    const known = (worst.standing === 'pass' ? own : [worst]).flatMap(({ since }) => since ?? []);
    return {
      gap,
      standing: worst.standing,
      why: whyOf(worst, others),
      ...(known.length > 0 && { since: Math.max(...known) }),
      stands: own,
    };
  });
}

/** Why the worst stands so, and which others are no pass either. */
function whyOf({ standing, why }: Stand, others: readonly Stand[]): string {
  if (standing === 'pass') {
    return others.length === 0
      ? why
      : `${why} So did ${listOf(others.map(({ requirement }) => requirement.title))}.`;
  }
  const open = others.filter((other) => other.standing !== 'pass');
  if (open.length === 0) return why;
  const named = open.map((other) => `${other.requirement.title} (${other.standing})`);
  // What to do may end with a command, and so without a full stop.
  return `${why.replace(/\.?$/, '.')} Also open: ${listOf(named)}.`;
}
