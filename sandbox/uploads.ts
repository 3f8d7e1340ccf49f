import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { GetObjectTaggingCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { sha256 } from '../functions/shared/identity.ts';
import { QUALITY_TAG, VERDICT_TAG } from '../functions/shared/schema.ts';
import { seconds } from './console.ts';
import { describeFlights, type Flights } from './flights.ts';
import type { World } from './world.ts';

/** How long a verdict may take from the upload on. It takes 3 seconds. */
const PATIENCE_MS = 60_000;

/** A version of an object in the bucket for data. */
export interface Upload {
  sha256: string;
  key: string;
  versionId: string;
  /** Milliseconds since 1970. */
  at: number;
}

/** What the quality gate has tagged an upload with. */
export interface Judged {
  quality: string;
  /** Of the verdict. */
  id: string;
  /** Milliseconds from the upload on. */
  took: number;
}

/** Uploads flights as anybody would, and says so. */
export async function uploadFlights(world: World, key: string, flights: Flights): Promise<Upload> {
  const body = await readFile(flights.path);
  const { VersionId: versionId = '' } = await world.s3.send(
    new PutObjectCommand({ Bucket: world.output('DataBucket'), Key: key, Body: body }),
  );
  world.transcript.note('uploaded', `${key}, version ${short(versionId)}: ${describeFlights(flights)}`);
  return { sha256: sha256(body), key, versionId, at: Date.now() };
}

/**
 * Waits for the quality gate's tags on an upload.
 *
 * @throws SandboxError where they do not come within a minute
 */
export async function onceJudged(world: World, { key, versionId, at }: Upload): Promise<Judged> {
  for (;;) {
    const { TagSet = [] } = await world.s3.send(
      new GetObjectTaggingCommand({ Bucket: world.output('DataBucket'), Key: key, VersionId: versionId }),
    );
    const tags = new Map(TagSet.map(({ Key, Value }) => [Key, Value]));
    const took = Date.now() - at;
    const quality = tags.get(QUALITY_TAG);
    if (quality !== undefined) return { quality, id: tags.get(VERDICT_TAG) ?? '', took };
    if (took > PATIENCE_MS) {
      throw await world.failure(`expected a verdict on ${key} within ${seconds(PATIENCE_MS)}, got none`);
    }
    await sleep(50, undefined, { signal: world.signal });
  }
}

/** Enough of an identifier to tell it from the others of one story. */
export function short(id: string): string {
  return id.slice(0, 8);
}
