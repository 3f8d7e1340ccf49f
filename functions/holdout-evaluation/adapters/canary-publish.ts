import * as z from 'zod';
import { type EvidenceStore, prettyJson, verdictFolder } from '../../shared/evidence.ts';
import { parseJson } from '../../shared/schema.ts';
import type { Verdict } from '../../shared/verdict.ts';
import type { CanaryMeasurements } from '../canary.ts';
import { type CanaryResult, canaryResultSchema } from '../schema.ts';

/*
 * Where the verdicts of canaries are kept. Everything here happens once, however often
 * it is called.
 */

/** Subject of the verdicts of a canary. */
export function canarySubject(canary: string): string {
  return `canary-${canary}`;
}

/** Folder of the evidence of one verdict. */
export function canaryFolder({ subject, id }: Pick<Verdict, 'subject' | 'id'>): string {
  return verdictFolder('holdout-evaluation', subject, id);
}

/**
 * Stores a verdict and what it was judged from. What is there already stays.
 *
 * @throws GateDependencyError where S3 does not answer
 */
export async function storeCanary(
  store: EvidenceStore,
  verdict: Verdict,
  measurements: CanaryMeasurements,
): Promise<void> {
  const folder = canaryFolder(verdict);
  // The verdict is the last: where it is, everything is.
  await store.create(`${folder}measurements.json`, prettyJson(measurements));
  await store.create(`${folder}verdict.json`, prettyJson(verdict));
}

const publishedSchema = z.object({ published: z.literal(1), result: canaryResultSchema });

function publishedKey(canary: string, execution: string): string {
  return `${verdictFolder('holdout-evaluation', canarySubject(canary), 'runs')}${execution}.json`;
}

/**
 * What a run ended in; undefined where it has not.
 *
 * @param execution of the workflow: a retry of one that has ended runs nothing again
 * @throws GateDependencyError where S3 does not answer
 */
export async function readPublishedCanary(
  store: EvidenceStore,
  canary: string,
  execution: string,
): Promise<CanaryResult | undefined> {
  const key = publishedKey(canary, execution);
  const stored = await store.read(key);
  return stored && parseJson(publishedSchema, stored.text, store.uri(key)).result;
}

/** Says that a run has ended. */
export async function publishCanary(
  store: EvidenceStore,
  execution: string,
  result: CanaryResult,
): Promise<void> {
  const record: z.output<typeof publishedSchema> = { published: 1, result };
  await store.create(publishedKey(result.canary, execution), prettyJson(record));
}
