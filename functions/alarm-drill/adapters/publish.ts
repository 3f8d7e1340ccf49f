import * as z from 'zod';
import { type EvidenceStore, prettyJson, verdictFolder } from '../../shared/evidence.ts';
import { parseJson } from '../../shared/schema.ts';
import type { Verdict } from '../../shared/verdict.ts';
import type { Measurements } from '../measurements.ts';
import { type DrillResult, drillResultSchema } from '../schema.ts';

/*
 * Where the verdicts of alarm drills are kept. Everything here happens once, however often it is called.
 */

/** Folder of the evidence of one verdict. */
export function drillFolder({ subject, id }: Pick<Verdict, 'subject' | 'id'>): string {
  return verdictFolder('alarm-drill', subject, id);
}

/**
 * Stores a verdict and what it was judged from. What is there already stays.
 *
 * @throws GateDependencyError where S3 does not answer
 */
export async function storeDrill(
  store: EvidenceStore,
  verdict: Verdict,
  measurements: Measurements,
): Promise<void> {
  const folder = drillFolder(verdict);
  // The verdict is the last: where it is, everything is.
  await store.create(`${folder}measurements.json`, prettyJson(measurements));
  await store.create(`${folder}verdict.json`, prettyJson(verdict));
}

const publishedSchema = z.object({ published: z.literal(1), result: drillResultSchema });

function publishedKey(drill: string, execution: string): string {
  return `${verdictFolder('alarm-drill', drill, 'runs')}${execution}.json`;
}

/**
 * What a run ended in; undefined where it has not.
 *
 * @param execution of the workflow: a retry of one that has ended drills nothing again
 * @throws GateDependencyError where S3 does not answer
 */
export async function readPublishedDrill(
  store: EvidenceStore,
  drill: string,
  execution: string,
): Promise<DrillResult | undefined> {
  const key = publishedKey(drill, execution);
  const stored = await store.read(key);
  return stored && parseJson(publishedSchema, stored.text, store.uri(key)).result;
}

/**
 * Says that a run has ended.
 *
 * @throws GateDependencyError where S3 does not answer
 */
export async function publishDrill(
  store: EvidenceStore,
  execution: string,
  result: DrillResult,
): Promise<void> {
  const record: z.output<typeof publishedSchema> = { published: 1, result };
  await store.create(publishedKey(result.drill, execution), prettyJson(record));
}
