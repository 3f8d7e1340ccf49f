import { createHash, type Hash } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import {
  GetObjectCommand,
  GetObjectTaggingCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  type ListObjectsV2CommandInput,
  type ListObjectsV2CommandOutput,
  type S3Client,
  type Tag,
} from '@aws-sdk/client-s3';
import { type ObjectAddress, s3Uri } from './address.ts';
import { call, dependencyError, readBody, statusOf } from './aws.ts';
import type { LocalFile } from './engine/limits.ts';
import { GateDependencyError, GateError, GateInputError, messageOf } from './errors.ts';

/** One object as it is in S3. */
export interface StoredObject {
  bucket: string;
  key: string;
  /** Undefined where the bucket does not keep versions. */
  versionId: string | undefined;
  /** With its quotes. */
  etag: string;
  bytes: number;
  /** When this version was uploaded, milliseconds since 1970. */
  modifiedAt: number;
}

/** One version of an object: bytes that never change, and that a tag can be bound to. */
export interface ObjectVersion extends StoredObject {
  versionId: string;
}

/** Bytes of one ranged download, and how many of them at a time: 64 MB of memory. */
const PART_BYTES = 16 * 1024 * 1024;
const PARTS_AT_A_TIME = 4;
/** Attempts at one part whose connection breaks in the middle, where the SDK does not try again by itself. */
const ATTEMPTS = 3;

const UPLOAD_AGAIN = 'Upload it again: each upload is judged by itself.';

/**
 * Looks an object up.
 *
 * @returns the object, and how many tags it has
 * @throws GateInputError where there is no such object or version
 * @throws GateDependencyError where S3 does not answer, or refuses
 */
export async function headObject(
  s3: S3Client,
  address: ObjectAddress,
): Promise<{ object: StoredObject; tags: number }> {
  const { bucket, key, versionId } = address;
  try {
    const answer = await s3.send(
      new HeadObjectCommand({
        Bucket: bucket,
        Key: key,
        ...(versionId !== undefined && { VersionId: versionId }),
      }),
    );
    return {
      object: {
        bucket,
        key,
        versionId: answer.VersionId ?? versionId,
        etag: answer.ETag ?? '',
        bytes: answer.ContentLength ?? 0,
        modifiedAt: answer.LastModified?.getTime() ?? 0,
      },
      tags: answer.TagCount ?? 0,
    };
  } catch (error) {
    throw objectError('HeadObject', address, error);
  }
}

/**
 * The tags of an object or of one version of it. Errors as of {@link headObject}.
 */
export async function readTags(s3: S3Client, address: ObjectAddress): Promise<Tag[]> {
  const { bucket, key, versionId } = address;
  try {
    const { TagSet } = await s3.send(
      new GetObjectTaggingCommand({
        Bucket: bucket,
        Key: key,
        ...(versionId !== undefined && { VersionId: versionId }),
      }),
    );
    return TagSet ?? [];
  } catch (error) {
    throw objectError('GetObjectTagging', address, error);
  }
}

/**
 * Downloads objects into a directory, in parts, four at a time, each pinned to its version and ETag.
 *
 * @throws GateInputError where an object was deleted, replaced or archived in the meantime
 * @throws GateDependencyError where S3 or the disk fails, or `signal` aborts
 */
export async function downloadObjects(
  s3: S3Client,
  objects: readonly StoredObject[],
  directory: string,
  options: { signal?: AbortSignal; partBytes?: number } = {},
): Promise<LocalFile[]> {
  const partBytes = options.partBytes ?? PART_BYTES;
  const stop = new AbortController();
  const signal = AbortSignal.any([stop.signal, ...(options.signal ? [options.signal] : [])]);
  const parts = objects.flatMap((object, index) =>
    // An empty object is one empty part, which is not asked for: S3 refuses every range of it.
    Array.from({ length: Math.max(1, Math.ceil(object.bytes / partBytes)) }, (_, part) => ({
      object,
      index,
      from: part * partBytes,
      length: Math.min(partBytes, object.bytes - part * partBytes),
    })),
  );

  const files: LocalFile[] = [];
  const inFlight: Promise<Buffer>[] = [];
  let asked = 0;
  let current: { file: FileHandle; path: string; hash: Hash } | undefined;
  try {
    for (const { object, index, from, length } of parts) {
      while (asked < parts.length && inFlight.length < PARTS_AT_A_TIME) {
        const part = parts[asked++]!;
        const bytes = readPart(s3, part.object, part.from, part.length, signal);
        // It is awaited in order below; until then a rejection has to be nobody's surprise.
        bytes.catch(() => {});
        inFlight.push(bytes);
      }
      if (current === undefined) {
        const path = join(directory, `${String(index).padStart(4, '0')}${suffixOf(object.key)}`);
        current = { file: await open(path, 'wx'), path, hash: createHash('sha256') };
      }
      const bytes = await inFlight.shift()!;
      current.hash.update(bytes);
      await current.file.appendFile(bytes);
      if (from + length === object.bytes) {
        await current.file.close();
        files.push({
          path: current.path,
          name: object.key,
          bytes: object.bytes,
          sha256: current.hash.digest('hex'),
        });
        current = undefined;
      }
    }
    return files;
  } catch (error) {
    if (error instanceof GateError) throw error;
    throw new GateDependencyError(`writing the download to ${directory} failed: ${messageOf(error)}`, {
      cause: error,
    });
  } finally {
    stop.abort();
    await Promise.allSettled([...inFlight, current?.file.close()]);
  }
}

async function readPart(
  s3: S3Client,
  object: StoredObject,
  from: number,
  length: number,
  signal: AbortSignal,
): Promise<Buffer> {
  if (length === 0) return Buffer.alloc(0);
  const { bucket, key, versionId, etag } = object;
  const range = `bytes=${from}-${from + length - 1}`;
  for (let attempt = 1; ; attempt++) {
    let body: unknown;
    try {
      const answer = await s3.send(
        new GetObjectCommand({
          Bucket: bucket,
          Key: key,
          ...(versionId !== undefined && { VersionId: versionId }),
          Range: range,
          IfMatch: etag,
        }),
        { abortSignal: signal },
      );
      // HTTP lets a server ignore a range and send the whole object, and emulators do so of versions.
      body = answer.ContentRange === undefined ? slice(answer.Body, from, length) : answer.Body;
    } catch (error) {
      throw objectError('GetObject', object, error);
    }
    try {
      return await readBody(body, length);
    } catch (error) {
      if (attempt < ATTEMPTS && !signal.aborted) continue;
      throw dependencyError(`GetObject ${s3Uri(object)} (${range}, attempt ${attempt})`, error);
    }
  }
}

/** `length` bytes of a body from position `from` on; closes the body once it has them. */
async function* slice(body: unknown, from: number, length: number): AsyncGenerator<Uint8Array> {
  let position = 0;
  for await (const chunk of (body ?? []) as AsyncIterable<Uint8Array>) {
    yield chunk.subarray(
      Math.min(Math.max(from - position, 0), chunk.length),
      Math.max(from + length - position, 0),
    );
    position += chunk.length;
    if (position >= from + length) return;
  }
}

/** A failed call about an object of a dataset: gone or replaced is the caller's business, all else the world's. */
export function objectError(action: string, address: ObjectAddress, error: unknown): GateError {
  if (error instanceof GateError) return error;
  const which =
    address.versionId === undefined
      ? s3Uri(address)
      : `${s3Uri(address)} in its version ${address.versionId}`;
  const wrong = (message: string, help = UPLOAD_AGAIN) => new GateInputError(message, { cause: error, help });
  if ((error as Error | null)?.name === 'InvalidObjectState') {
    return wrong(`${which} is archived and cannot be read`, 'Restore it, then upload it again.');
  }
  switch (statusOf(error)) {
    case 400:
      return wrong(`S3 does not accept ${which} (${action}: HTTP 400); the version id may be malformed`);
    case 404:
      return wrong(`there is no ${which}; it was deleted, or never there`);
    case 405:
      return wrong(`${which} is a delete marker, not data`);
    case 412:
      return wrong(`${which} was replaced while it was read`);
    default:
      return dependencyError(`${action} ${s3Uri(address)}`, error);
  }
}

/** Endings of a key that readers go by (`.csv.gz`), or nothing; no other part of a key becomes a file name. */
function suffixOf(key: string): string {
  return /(?:\.[A-Za-z0-9]{1,10}){1,2}$/.exec(key)?.[0] ?? '';
}

/** What is listed: everything below a prefix of a bucket. */
export type Listing = ListObjectsV2CommandInput & { Bucket: string; Prefix: string };

/**
 * Lists a bucket, a page of at most 1,000 keys at a time. Whoever has seen enough stops asking: it lists as long as there is
 * more.
 *
 * @throws GateDependencyError where S3 does not answer, or refuses
 */
export async function* listPages(s3: S3Client, listing: Listing): AsyncGenerator<ListObjectsV2CommandOutput> {
  let token: string | undefined;
  do {
    const page = await call(
      `ListObjectsV2 ${s3Uri({ bucket: listing.Bucket, key: listing.Prefix })}`,
      s3.send(
        new ListObjectsV2Command({ ...listing, ...(token !== undefined && { ContinuationToken: token }) }),
      ),
    );
    yield page;
    token = page.IsTruncated === true ? page.NextContinuationToken : undefined;
  } while (token !== undefined);
}
