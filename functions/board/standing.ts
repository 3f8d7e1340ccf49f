import { formatDuration, formatTime } from '../shared/format.ts';
import type { HistoryEntry, HistoryPoint } from '../shared/history.ts';
import { canonicalJson, sha256 } from '../shared/identity.ts';
import { GAPS, type Gap, type Requirement } from './schema.ts';

/*
 * How something stands that a release waits for, by its latest verdict, by what has changed since, and by the clock. Pure,
 * and closed: only a fresh verdict that passes, on what is there now, is `pass`.
 */

export type Standing = 'pass' | 'fail' | 'inconclusive' | 'stale' | 'never';

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
  /** What whoever asks has found to be another in AWS itself; or why that could not be found out. */
  changes?: readonly Change[] | { unknown: string };
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
  history: readonly HistoryPoint[];
  /** From when on its verdict says nothing any more; absent where it never came to one. */
  staleAt?: number;
  /** Whether its verdict is older than it may be, or it never came to one. */
  overdue: boolean;
}

/** How far two clocks may be apart. */
const SKEW_MS = 5 * 60_000;

/** @param now milliseconds since 1970 */
export function standOf(requirement: Requirement, observed: Observed, now: number): Stand {
  const { history, latest } = observed;
  const [point] = history;
  const { title, freshMs, again } = requirement;
  if (point === undefined || latest === undefined) {
    return {
      requirement,
      standing: 'never',
      why: `There has never been a verdict on ${title}. ${again}`,
      changes: [],
      history,
      overdue: true,
    };
  }
  const staleAt = point.at + freshMs;
  const base = {
    requirement,
    at: point.at,
    verdict: point.verdict,
    history,
    changes: [] as Change[],
    staleAt,
    overdue: now >= staleAt,
  };
  const when = formatTime(point.at);
  if ('unreadable' in latest) {
    return {
      ...base,
      standing: 'inconclusive',
      why: `The verdict on ${title} of ${when} cannot be read: ${latest.unreadable}.`,
    };
  }
  const changed = [...configuredChanges(requirement, latest), ...listOf(observed.changes)];
  const of = { ...base, changes: changed };
  if (point.at > now + SKEW_MS) {
    const ahead = formatDuration(point.at - now);
    return {
      ...of,
      standing: 'inconclusive',
      why: `The verdict on ${title} is of ${when}, which is ${ahead} ahead: one of two clocks is wrong, so nobody knows how old it is.`,
    };
  }
  const streak = { ...of, since: sinceOf(point, history) };
  if (point.outcome !== 'pass') {
    const said = latest.reason.replace(/\.?$/, '.');
    return { ...streak, standing: point.outcome, why: `${said} ${again}` };
  }
  if (changed.length > 0) {
    return {
      ...of,
      standing: 'stale',
      why: `${title} passed at ${when}, but since then ${changed.map(changeText).join(', and ')}. ${again}`,
    };
  }
  if (of.overdue) {
    return {
      ...of,
      since: staleAt,
      standing: 'stale',
      why: `The last verdict on ${title} is of ${when}, ${formatDuration(now - point.at)} ago, and counts for ${formatDuration(freshMs)} (${requirement.line}). ${again}`,
    };
  }
  if (observed.changes !== undefined && 'unknown' in observed.changes) {
    return {
      ...of,
      standing: 'inconclusive',
      why: `${title} passed at ${when}, but whether that is what is there now cannot be told: ${observed.changes.unknown}.`,
    };
  }
  return { ...streak, standing: 'pass', why: `${title} passed at ${when}.` };
}

/** `the contract contracts/flights.yaml has changed (was 12ab…, is 34cd…)` */
function changeText({ what, was, is }: Change): string {
  return `${what} has changed (was ${was}, is ${is})`;
}

function listOf(changes: Observed['changes']): readonly Change[] {
  return changes === undefined || 'unknown' in changes ? [] : changes;
}

/** What of the configuration is another than what the verdict was made with. */
function configuredChanges({ configured }: Requirement, { inputs }: HistoryEntry): Change[] {
  return configured.flatMap(({ input, what, value }) => {
    const is = hashOf(value);
    const was = inputs[input] ?? null;
    return was === is ? [] : [{ what, was: short(was), is: short(is) }];
  });
}

function hashOf(value: unknown): string | null {
  if (value === null || value === undefined) return null;
  return sha256(typeof value === 'string' ? value : canonicalJson(value));
}

/** A hash as people compare them. */
export function short(value: unknown): string {
  return value === null || value === undefined ? 'nothing' : String(value).slice(0, 12);
}

/** When the present outcome began. */
function sinceOf(latest: HistoryPoint, history: readonly HistoryPoint[]): number {
  const end = history.findIndex(({ outcome }) => outcome !== latest.outcome);
  return (end === -1 ? history : history.slice(0, end)).at(-1)?.at ?? latest.at;
}

/** How a gap of a model stands: as its worst requirement does. */
export interface GapStand {
  gap: Gap;
  standing: Standing;
  /** A whole sentence: of the worst, or that there is nothing. */
  why: string;
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
    const [worst] = own;
    if (worst === undefined) {
      return { gap, standing: 'never', why: 'Nothing in tocsin.yaml closes this gap.', stands: [] };
    }
    return { gap, standing: worst.standing, why: worst.why, stands: own };
  });
}
