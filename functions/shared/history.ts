import { clip } from './format.ts';
import { sha256 } from './identity.ts';
import { SENTENCE } from './message.ts';
import type { GateName, Outcome, Verdict } from './verdict.ts';

/*
 * When a gate came to which verdict. A verdict itself knows no time, since the same inputs give the same one; and nobody
 * may have to read all evidence to know what the last one was. So each run that ends with a verdict leaves an object of
 * its own, whose key sorts the latest first and says most of it. What is written once is never written again, so
 * concurrent writers lose nothing. Pure; history-store.ts reads it.
 */

/** What the key of an entry says. */
export interface HistoryPoint {
  gate: GateName;
  /** Of the evidence: the name of a dataset, a model or a drill; `canary-<name>` of a canary. */
  subject: string;
  /** When the run ended, milliseconds since 1970. */
  at: number;
  outcome: Outcome;
  /** Id of the verdict. */
  verdict: string;
  /** Eight hexadecimal digits, of the run. */
  run: string;
}

/** One run that ended with a verdict. */
export interface HistoryEntry extends HistoryPoint {
  history: 1;
  /** The reason of the verdict, of bounded length. */
  reason: string;
  /** What the verdict is bound to. */
  inputs: Record<string, unknown>;
}

/** Keys count down from here, so that the latest come first: November 2286, the last moment that they have room for. */
export const LAST_MS = 9_999_999_999_999;

const KEY =
  /^history\/(?<gate>[a-z-]+)\/(?<subject>[^/]+)\/(?<left>\d{13})-(?<outcome>pass|fail|inconclusive)-(?<verdict>[0-9a-f]{32})-(?<run>[0-9a-f]{8})\.json$/;

/** Where the history of one subject is, the latest first. */
export function historyFolder({ gate, subject }: Pick<HistoryPoint, 'gate' | 'subject'>): string {
  return `history/${gate}/${subject}/`;
}

/** Key of an entry in the evidence bucket. */
export function historyKey(point: HistoryPoint): string {
  const left = String(LAST_MS - point.at).padStart(13, '0');
  return `${historyFolder(point)}${left}-${point.outcome}-${point.verdict}-${point.run}.json`;
}

/** What a key says; undefined where it is none of an entry. */
export function pointOf(key: string): HistoryPoint | undefined {
  const groups = KEY.exec(key)?.groups;
  if (groups === undefined) return undefined;
  const { gate, subject, left, outcome, verdict, run } = groups as Record<string, string>;
  return {
    gate: gate as GateName,
    subject: subject ?? '',
    at: LAST_MS - Number(left),
    outcome: outcome as Outcome,
    verdict: verdict ?? '',
    run: run ?? '',
  };
}

/** Of a verdict, what its history and its messages need. */
export type Judged = Pick<Verdict, 'gate' | 'subject' | 'id' | 'outcome' | 'reason' | 'inputs'>;

/**
 * The entry of a run that has just come to a verdict.
 *
 * @param run names the run, the same however often it is tried again
 * @param at milliseconds since 1970
 */
export function entryOf(verdict: Judged, run: string, at: number): HistoryEntry {
  const { gate, subject, outcome, id, reason, inputs } = verdict;
  return {
    history: 1,
    gate,
    subject,
    at,
    outcome,
    verdict: id,
    run: runHash(run),
    reason: clip(reason, SENTENCE),
    inputs,
  };
}

/** A run as keys name it. */
export function runHash(run: string): string {
  return sha256(run).slice(0, 8);
}

/** Each run once, as it first said so: one that was tried again may have left two entries. The latest first. */
export function distinctRuns(points: readonly HistoryPoint[]): HistoryPoint[] {
  const first = new Map<string, HistoryPoint>();
  for (const point of points) {
    const name = `${point.run} ${point.verdict}`;
    const known = first.get(name);
    if (known === undefined || point.at < known.at) first.set(name, point);
  }
  return [...first.values()].sort((a, b) => b.at - a.at || (historyKey(a) < historyKey(b) ? -1 : 1));
}

/** How long what is so now has been so. */
export interface Streak {
  /** When it first came out like this, without another outcome since; milliseconds since 1970. */
  since: number;
  /** Runs in a row. */
  runs: number;
  /** The outcome of all of them; undefined where they have several, which count as alike. */
  outcome: Outcome | undefined;
  /** Whether it was so in all that is known, so that it may have been so for longer. */
  open: boolean;
}

/**
 * The runs that came out like the latest one, without another since.
 *
 * @param points the latest first, as of {@link distinctRuns}
 * @param alike whether two outcomes count as the same; by default only where they are
 * @returns undefined where there are no runs
 */
export function streakOf(
  points: readonly Pick<HistoryPoint, 'outcome' | 'at'>[],
  alike: (one: Outcome, other: Outcome) => boolean = (one, other) => one === other,
): Streak | undefined {
  const [latest] = points;
  if (latest === undefined) return undefined;
  const end = points.findIndex(({ outcome }) => !alike(outcome, latest.outcome));
  const same = end === -1 ? points : points.slice(0, end);
  const isOne = same.every(({ outcome }) => outcome === latest.outcome);
  return {
    since: (same.at(-1) ?? latest).at,
    runs: same.length,
    outcome: isOne ? latest.outcome : undefined,
    open: end === -1,
  };
}
