import type { Requirement } from '../../functions/board/schema.ts';
import type { Observed } from '../../functions/board/standing.ts';
import { mapLimit } from '../../functions/shared/aws.ts';
import { GateDependencyError, GateError, messageOf } from '../../functions/shared/errors.ts';
import type { EvidenceStore } from '../../functions/shared/evidence.ts';
import type { HistoryEntry, HistoryPoint } from '../../functions/shared/history.ts';
import { readEntry, readHistory } from '../../functions/shared/history-store.ts';
import { canonicalJson, verdictFolder, verdictId } from '../../functions/shared/identity.ts';
import { outcomeOf, type Verdict } from '../../functions/shared/verdict.ts';

/*
 * What the evidence bucket says of a requirement: when there was which verdict, and the latest of them. History, entry and
 * verdict are three objects; where they do not say the same, none of them is believed.
 */

/** Entries that are read in search of the verdict on one model package, the latest first, and how many at a time. */
const MOST_SEARCHED = 100;
const AT_A_TIME = 10;

/** What is stored of a requirement. */
export interface Evidence extends Pick<Observed, 'history' | 'latest'> {
  /** Of {@link Observed.latest}, where it can be read. */
  entry?: HistoryEntry;
  /** AWS did not let anybody look. */
  broken?: GateDependencyError;
}

/**
 * Reads the history of a requirement, and its latest verdict.
 *
 * @param isMeant whether a verdict is on what is about to be released; the latest such is the one that counts, else the
 * latest of all, among the latest 100
 */
export async function readEvidence(
  store: EvidenceStore,
  requirement: Pick<Requirement, 'gate' | 'subject'>,
  isMeant?: (entry: HistoryEntry) => boolean,
): Promise<Evidence> {
  let history: HistoryPoint[];
  try {
    history = await readHistory(store, requirement);
  } catch (error) {
    return { history: [], ...unreadable(error) };
  }
  const counting = isMeant === undefined ? history : await from(store, history, isMeant);
  const [point] = counting;
  if (point === undefined) return { history: counting, latest: undefined };
  try {
    const entry = await readEntry(store, point);
    await checkVerdict(store, entry);
    return { history: counting, latest: entry, entry };
  } catch (error) {
    return { history: counting, ...unreadable(error) };
  }
}

function unreadable(error: unknown): Pick<Evidence, 'latest' | 'broken'> {
  if (!(error instanceof GateError)) throw error;
  return {
    latest: { unreadable: messageOf(error).replace(/\.$/, '') },
    ...(error instanceof GateDependencyError && { broken: error }),
  };
}

/** History from the latest entry on that is meant: of what came after it nobody asks. All of it where none is. */
async function from(
  store: EvidenceStore,
  history: readonly HistoryPoint[],
  isMeant: (entry: HistoryEntry) => boolean,
): Promise<HistoryPoint[]> {
  const searched = history.slice(0, MOST_SEARCHED);
  for (let at = 0; at < searched.length; at += AT_A_TIME) {
    const batch = searched.slice(at, at + AT_A_TIME);
    const meant = await mapLimit(batch, AT_A_TIME, (point) =>
      readEntry(store, point).then(isMeant, (error: unknown) => {
        // What cannot be read may be the one: it is looked at again, and then said.
        if (error instanceof GateError) return true;
        throw error;
      }),
    );
    const index = meant.indexOf(true);
    if (index === -1) continue;
    const { verdict } = batch[index] as HistoryPoint;
    // Of other entries only those with the same verdict are known to be on the same package.
    return history.slice(at + index).filter((point) => point.verdict === verdict);
  }
  return [...history];
}

/** Evidence that contradicts itself, or is not there. Reading it again helps nobody. */
class EvidenceError extends GateError {}

/**
 * Whether the stored verdict is the one that history tells of, and is what its own id says.
 *
 * @throws EvidenceError, GateInputError where it is not
 * @throws GateDependencyError where S3 does not answer, or refuses
 */
async function checkVerdict(store: EvidenceStore, entry: HistoryEntry): Promise<void> {
  const folder = verdictFolder(entry.gate, entry.subject, entry.verdict);
  const where = `${store.uri(folder)}verdict.json`;
  const verdict = await store.readVerdict<Verdict>(folder);
  if (verdict === undefined) throw new EvidenceError(`there is no ${where}`);
  const { id, gate, subject, outcome, inputs, tocsin, findings } = verdict;
  const said = { verdict: id, gate, subject, outcome };
  for (const name of ['verdict', 'gate', 'subject', 'outcome'] as const) {
    if (said[name] !== entry[name]) {
      throw new EvidenceError(`${where} says ${name} ${said[name]}, and the history ${entry[name]}`);
    }
  }
  if (canonicalJson(inputs) !== canonicalJson(entry.inputs)) {
    throw new EvidenceError(`${where} is on other inputs than the history says`);
  }
  if (verdictId(gate, tocsin, inputs) !== id) {
    throw new EvidenceError(`${where} is not what its id was made of: somebody has changed its inputs`);
  }
  if (outcomeOf(findings) !== outcome) {
    throw new EvidenceError(`${where} says ${outcome}, and its findings amount to ${outcomeOf(findings)}`);
  }
}
