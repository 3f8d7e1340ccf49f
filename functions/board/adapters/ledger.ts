import { mapLimit } from '../../shared/aws.ts';
import { GateInputError } from '../../shared/errors.ts';
import type { EvidenceStore } from '../../shared/evidence.ts';
import type { HistoryEntry, HistoryPoint } from '../../shared/history.ts';
import { readEntry, readHistory } from '../../shared/history-store.ts';
import type { Requirement } from '../schema.ts';
import type { Observed } from '../standing.ts';

/*
 * What the evidence bucket knows of what releases wait for.
 */

/** Subjects that are read at a time. */
const AT_A_TIME = 8;

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
    const latest = point && (await entryOrWhy(store, point));
    return [subject, { history, latest }] as const;
  });
  const known = new Map<string, Observed>(read);
  return requirements.map((requirement) => known.get(subjectOf(requirement)) as Observed);
}

function subjectOf({ gate, subject }: Pick<HistoryPoint, 'gate' | 'subject'>): string {
  return `${gate}/${subject}`;
}

/** The entry of a run; why it cannot be read, where S3 has it no more, or has something else. */
async function entryOrWhy(
  store: EvidenceStore,
  point: HistoryPoint,
): Promise<HistoryEntry | { unreadable: string }> {
  try {
    return await readEntry(store, point);
  } catch (error) {
    if (error instanceof GateInputError) return { unreadable: error.message };
    throw error;
  }
}
