import * as z from 'zod';
import { parseJson, strict } from '../shared/schema.ts';
import { endpointStateSchema, type Snapshot } from './endpoint.ts';
import { DRILL_PREFIX } from './schema.ts';

/*
 * What an endpoint is to be restored to, and what the drill has made: written before anything is changed, and deleted once
 * the endpoint is as it was found. Whoever finds one restores by it. Pure.
 */

/** What begins the keys of all that drills keep in the work bucket, but for their claims. */
export const RECORDS = 'rollback/';

/** Key of the record of an endpoint in the work bucket. */
export function recordKey(endpoint: string): string {
  return `${RECORDS}${endpoint}.json`;
}

/** The endpoint that a key is the record of; undefined of other keys. */
export function endpointOf(key: string): string | undefined {
  return /^rollback\/([^/]+)\.json$/.exec(key)?.[1];
}

/** What begins the keys of what the runs of an endpoint keep while they go on. */
export function endpointFolder(endpoint: string): string {
  return `${RECORDS}${endpoint}/`;
}

function runFolder(endpoint: string, token: string): string {
  return `${endpointFolder(endpoint)}${token}/`;
}

/** Key of the slice of traffic with this number, from 0. */
export function sliceKey(endpoint: string, token: string, slice: number): string {
  return `${runFolder(endpoint, token)}slice-${String(slice).padStart(4, '0')}.json`;
}

/** Key of how the procedure ended. */
export function procedureEndKey(endpoint: string, token: string): string {
  return `${runFolder(endpoint, token)}procedure.json`;
}

/** Key of what the previous models answer, by which the restored endpoint is known. */
export function fingerprintsKey(endpoint: string, token: string): string {
  return `${runFolder(endpoint, token)}fingerprints.json`;
}

/** Names of what a run makes: whoever knows its token can remove it. */
export function namesOf(token: string): Record<'model' | 'config' | 'back' | 'again', string> {
  const name = (what: string) => `${DRILL_PREFIX}${token}-${what}`;
  return { model: name('model'), config: name('bad'), back: name('back'), again: name('again') };
}

const snapshotSchema: z.ZodType<Snapshot> = strict({
  endpoint: z.string(),
  arn: z.string(),
  state: endpointStateSchema,
  configSha256: z.string(),
  deployed: z.boolean(),
  guardrail: z.array(z.string()),
});

export const recordSchema = strict({
  record: z.literal(1),
  drill: z.string(),
  /** Of the run. */
  execution: z.string(),
  token: z.string(),
  snapshot: snapshotSchema,
  /** How the models are asked, so that the restored one can be. */
  golden: strict({
    bucket: z.string(),
    key: z.string(),
    sha256: z.string(),
    content: z.string(),
    tolerance: z.number(),
  }),
  made: strict({
    models: z.array(z.string()),
    configs: z.array(z.string()),
    /** An alarm that the drill sets off, and the state that it was in. */
    alarm: strict({ name: z.string(), state: z.enum(['OK', 'INSUFFICIENT_DATA']) }).nullable(),
  }),
  /** Why restoring failed, and with which configuration it left the endpoint; null where nobody has tried yet. */
  failed: strict({
    why: z.string(),
    config: z.string().nullable(),
    /** The endpoint needs nothing more: only what the drill has made could not be removed. */
    onlyMade: z.boolean(),
  }).nullable(),
});

export type DrillRecord = z.output<typeof recordSchema>;

/**
 * Reads a record.
 *
 * @param where it is, for messages
 * @throws GateInputError where it is none
 */
export function parseRecord(text: string, where: string): DrillRecord {
  return parseJson(recordSchema, text, where);
}

/**
 * Whether somebody has deployed something else since restoring failed: what a person did by hand is not undone.
 *
 * @param config that the endpoint has now
 */
export function isSuperseded({ failed, snapshot, made, token }: DrillRecord, config: string): boolean {
  if (failed === null) return false;
  const { back, again } = namesOf(token);
  return ![failed.config, snapshot.state.config, ...made.configs, back, again].includes(config);
}
