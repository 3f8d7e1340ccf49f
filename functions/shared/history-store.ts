import * as z from 'zod';
import { GateInputError } from './errors.ts';
import type { EvidenceStore } from './evidence.ts';
import {
  distinctRuns,
  type HistoryEntry,
  type HistoryPoint,
  historyFolder,
  historyKey,
  pointOf,
} from './history.ts';
import { parseJson } from './schema.ts';

/*
 * The history as it is in the evidence bucket.
 */

/** As many runs of one subject as are looked at, at most. */
const HISTORY_LIMIT = 200;

/**
 * The latest runs of a subject.
 *
 * @param limit at most 1,000
 * @returns the latest first
 * @throws GateDependencyError where S3 does not answer, or refuses
 */
export async function readHistory(
  store: EvidenceStore,
  of: Pick<HistoryPoint, 'gate' | 'subject'>,
  limit = HISTORY_LIMIT,
): Promise<HistoryPoint[]> {
  const keys = await store.list(historyFolder(of), limit);
  return distinctRuns(keys.flatMap((key) => pointOf(key) ?? []));
}

const entrySchema = z.looseObject({
  history: z.literal(1),
  gate: z.string(),
  subject: z.string(),
  at: z.number(),
  outcome: z.enum(['pass', 'fail', 'inconclusive']),
  verdict: z.string(),
  run: z.string(),
  reason: z.string(),
  inputs: z.record(z.string(), z.unknown()),
});

/** What a key says of its entry, and the entry itself. */
const SAID_TWICE = ['gate', 'subject', 'at', 'outcome', 'verdict', 'run'] as const;

/**
 * The entry of a run.
 *
 * @throws GateInputError where there is none, where it is no entry, and where it is of another run than its key says: then
 * nobody of ours has written it
 * @throws GateDependencyError where S3 does not answer, or refuses
 */
export async function readEntry(store: EvidenceStore, point: HistoryPoint): Promise<HistoryEntry> {
  const key = historyKey(point);
  const where = store.uri(key);
  const stored = await store.read(key);
  if (stored === undefined) throw new GateInputError(`there is no ${where}`);
  const entry = parseJson(entrySchema, stored.text, where) as unknown as HistoryEntry;
  for (const name of SAID_TWICE) {
    if (entry[name] !== point[name]) {
      throw new GateInputError(`${where} says ${name} ${entry[name]}, and its own key ${point[name]}`);
    }
  }
  return entry;
}
