import * as z from 'zod';
import { type EvidenceStore, prettyJson } from '../../shared/evidence.ts';
import { verdictFolder } from '../../shared/identity.ts';
import { parseJson } from '../../shared/schema.ts';
import type { EvaluationVerdict } from '../identity.ts';
import type { Measurements } from '../measurements.ts';
import { type EvaluationResult, resultSchema } from '../schema.ts';

/*
 * Where verdicts are kept. Everything here happens once, however often it is called.
 */

/** Folder of the evidence of one verdict. */
export function folderOf({ subject, id }: Pick<EvaluationVerdict, 'subject' | 'id'>): string {
  return verdictFolder('holdout-evaluation', subject, id);
}

/** `s3://...` of a verdict. */
export function evidenceUri(
  store: EvidenceStore,
  verdict: Pick<EvaluationVerdict, 'subject' | 'id'>,
): string {
  return store.uri(`${folderOf(verdict)}verdict.json`);
}

/**
 * The stored verdict of that id; undefined where there is none.
 *
 * @throws GateInputError where it is damaged
 * @throws GateDependencyError where S3 does not answer
 */
export function readVerdict(
  store: EvidenceStore,
  which: Pick<EvaluationVerdict, 'subject' | 'id'>,
): Promise<EvaluationVerdict | undefined> {
  return store.readVerdict<EvaluationVerdict>(folderOf(which));
}

/**
 * Stores a verdict, its report, and what it was judged from. What is there already stays.
 *
 * @param report HTML
 * @throws GateDependencyError where S3 does not answer
 */
export async function storeVerdict(
  store: EvidenceStore,
  verdict: EvaluationVerdict,
  measurements: Measurements,
  report: string,
): Promise<void> {
  const folder = folderOf(verdict);
  // The verdict is the last: where it is, everything is.
  await store.create(`${folder}measurements.json`, JSON.stringify(measurements));
  await store.create(`${folder}report.html`, report);
  await store.create(`${folder}verdict.json`, prettyJson(verdict));
}

/**
 * What a verdict was judged from.
 *
 * @throws GateDependencyError where S3 does not answer
 */
export async function readMeasurements(
  store: EvidenceStore,
  which: Pick<EvaluationVerdict, 'subject' | 'id'>,
): Promise<Measurements | undefined> {
  const stored = await store.read(`${folderOf(which)}measurements.json`);
  // Written by the same version that reads it: the id says so.
  return stored && (JSON.parse(stored.text) as Measurements);
}

const publishedSchema = z.object({ published: z.literal(1), result: resultSchema });

function publishedKey(model: string, key: string): string {
  return `${verdictFolder('holdout-evaluation', model, 'evaluations')}${key}.json`;
}

/**
 * What an evaluation ended in; undefined where it has not.
 *
 * @param key as of `evaluationKey`
 */
export async function readPublished(
  store: EvidenceStore,
  model: string,
  key: string,
): Promise<EvaluationResult | undefined> {
  const at = publishedKey(model, key);
  const stored = await store.read(at);
  return stored && parseJson(publishedSchema, stored.text, store.uri(at)).result;
}

/** Says that an evaluation has ended: whoever asks for it again gets this. */
export async function publish(store: EvidenceStore, key: string, result: EvaluationResult): Promise<void> {
  const record: z.output<typeof publishedSchema> = { published: 1, result };
  await store.create(publishedKey(result.model, key), prettyJson(record));
}
