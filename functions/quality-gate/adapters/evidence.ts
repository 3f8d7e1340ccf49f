import * as z from 'zod';
import { baselineKey, type EvidenceStore } from '../../shared/evidence.ts';
import { sha256 } from '../../shared/identity.ts';
import { parseJson } from '../../shared/schema.ts';
import { parseProfile } from '../baseline.ts';
import type { Question } from '../gate.ts';
import { resultSchema } from '../schema.ts';

/**
 * Reads what drift is measured from.
 *
 * @returns undefined where nobody has promoted a baseline yet
 * @throws GateInputError where it is damaged
 * @throws GateDependencyError where S3 does not answer
 */
export async function readBaseline(store: EvidenceStore, dataset: string): Promise<Question['baseline']> {
  const key = baselineKey(dataset);
  const stored = await store.read(key);
  if (stored === undefined) return undefined;
  return {
    profile: parseProfile(stored.text, `baseline ${store.uri(key)}`, dataset),
    sha256: sha256(stored.text),
  };
}

const publishedSchema = z.object({
  published: z.literal(1),
  result: resultSchema,
  /** The versions that the verdict was first put on. */
  objects: z.array(z.object({ key: z.string(), versionId: z.string(), etag: z.string() })),
  pipelineExecution: z.exactOptional(z.string()),
});

/** What `published.json` holds. */
export type Published = z.output<typeof publishedSchema>;

/** @throws GateInputError where it is damaged */
export function parsePublished(text: string): Published {
  return parseJson(publishedSchema, text, 'published.json');
}
