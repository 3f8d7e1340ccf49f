import type { Announcement } from './eventbridge.ts';
import { type EvidenceStore, prettyJson } from './evidence.ts';
import { entryOf, type HistoryPoint, historyKey, type Judged, LAST_MS, runHash } from './history.ts';
import { readHistory } from './history-store.ts';
import { reportKey, verdictFolder } from './identity.ts';
import type { Message } from './message.ts';
import { announceOnce, type Outlets, tellOnce } from './outlets.ts';
import { messageOfVerdict } from './verdict-message.ts';

/*
 * The end of every verdict: people and machines are told of it, and it is history. All of that once for each run, however
 * often it is tried; and of a verdict that was the last one already, nobody is told again.
 */

/** A verdict that is stored, and what is said of it. */
export interface Telling {
  verdict: Judged;
  /** Names the run, the same however often it is tried: what happens once for each. */
  run: string;
  /** Milliseconds since 1970. */
  at: number;
  message: () => Message;
  announcement: Announcement;
  /** Only a part was looked at: what passes so is told, but closes nothing, and is no history. */
  isPart?: boolean;
}

/**
 * Tells people and machines of a verdict, and writes down that there was one.
 *
 * The same inputs give the same verdict, so a verdict may come back: after another one it is told again, since the world
 * has changed back.
 *
 * @throws GateDependencyError where something could not be told or written
 */
export async function tellVerdict(outlets: Outlets, telling: Telling): Promise<void> {
  const { store } = outlets;
  const { verdict, message, announcement } = telling;
  const history = await readHistory(store, verdict);
  const entry = entryOf(verdict, runNow(history, telling), timeAfter(history[0], telling.at));
  if (history.some(({ run, verdict: id }) => run === entry.run && id === entry.verdict)) return;
  // What failed before has not recovered by it, either.
  const closesNothing = telling.isPart === true && verdict.outcome === 'pass';
  if (history[0]?.verdict !== entry.verdict) {
    // By run: what comes back is told again, and what is tried again is not, whatever others have told in between.
    const folder = verdictFolder(verdict.gate, verdict.subject, verdict.id);
    await tellOnce(outlets, `${folder}notified-${entry.run}.json`, () =>
      messageOfVerdict(message(), {
        verdict,
        result: announcement.detail,
        report: reportOf(store, verdict),
        history: closesNothing ? [] : history,
      }),
    );
    await announceOnce(outlets, `${folder}announced-${entry.run}.json`, announcement);
  }
  if (closesNothing) return;
  // The last: what is in the history was told.
  await store.create(historyKey(entry), prettyJson(entry));
}

/**
 * Which run it is. The quality gate judges one version again where its contract or its baseline is another, and again where
 * that has changed back: what comes back after another verdict is not the first attempt tried once more.
 */
function runNow(history: readonly HistoryPoint[], { run, verdict }: Telling): string {
  const entriesOf = (name: string) => history.filter((point) => point.run === runHash(name));
  for (let name = run; ; ) {
    const own = entriesOf(name);
    const [latest] = own;
    if (latest === undefined || !own.some((point) => point.verdict === verdict.id)) return name;
    const next = `${run} again after ${latest.at}`;
    if (latest.verdict === verdict.id && entriesOf(next).length === 0) return name;
    name = next;
  }
}

/**
 * When a verdict came, which is after the ones that are known. Where a clock is wrong, the order in which verdicts were
 * told is kept: else the next one would be compared with another than the last one that people heard of.
 */
function timeAfter(latest: HistoryPoint | undefined, at: number): number {
  return Math.min(Math.max(at, latest === undefined ? 0 : latest.at + 1), LAST_MS);
}

/** Where people find a report. */
function reportOf(store: EvidenceStore, verdict: Judged): { uri: string; link: string } {
  const key = reportKey(verdict);
  return { uri: store.uri(key), link: store.consoleLink(key) };
}
