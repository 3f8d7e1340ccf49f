import * as z from 'zod';
import { mapLimit } from '../../shared/aws.ts';
import { GateInputError } from '../../shared/errors.ts';
import type { EvidenceStore } from '../../shared/evidence.ts';
import { type HistoryEntry, type HistoryPoint, historyKey, readHistory } from '../../shared/history.ts';
import { parseJson } from '../../shared/schema.ts';
import type { Requirement } from '../schema.ts';
import type { Observed } from '../standing.ts';

/*
 * What the evidence bucket knows of what releases wait for.
 */

/** Subjects that are read at a time. */
const AT_A_TIME = 8;

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

/**
 * What is known of each requirement, in their order: its history, and the latest entry of it. Each subject is read once,
 * however many requirements name it; at most 8 at a time.
 *
 * @throws GateDependencyError where S3 does not answer, or refuses
 */
export async function observe(
  store: EvidenceStore,
  requirements: readonly Requirement[],
): Promise<Observed[]> {
  const subjects = new Map(requirements.map((requirement) => [subjectOf(requirement), requirement]));
  const read = await mapLimit([...subjects], AT_A_TIME, async ([subject, requirement]) => {
    const history = await readHistory(store, requirement);
    const [point] = history;
    const latest = point && (await readEntry(store, point));
    return [subject, { history, latest }] as const;
  });
  const known = new Map<string, Observed>(read);
  return requirements.map((requirement) => known.get(subjectOf(requirement)) as Observed);
}

function subjectOf({ gate, subject }: Pick<HistoryPoint, 'gate' | 'subject'>): string {
  return `${gate}/${subject}`;
}

/** An entry of the history; why it cannot be read, where S3 has it and it is none, or has it no more. */
async function readEntry(
  store: EvidenceStore,
  point: HistoryPoint,
): Promise<HistoryEntry | { unreadable: string }> {
  const key = historyKey(point);
  try {
    const stored = await store.read(key);
    if (stored === undefined) return { unreadable: `${store.uri(key)} is gone` };
    const entry = parseJson(entrySchema, stored.text, store.uri(key)) as unknown as HistoryEntry;
    // What the key says is what the board shows: an entry that says something else was written by nobody of ours.
    if (historyKey(entry) !== key)
      return { unreadable: `${store.uri(key)} is of another run than its name says` };
    return entry;
  } catch (error) {
    if (error instanceof GateInputError) return { unreadable: error.message };
    throw error;
  }
}
