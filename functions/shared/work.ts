import { mkdtemp, open, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  PutObjectCommand,
  type S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import * as z from 'zod';
import { type ObjectAddress, s3Uri } from './address.ts';
import { call, dependencyError, mapLimit, readBody, statusOf } from './aws.ts';
import { GateDependencyError } from './errors.ts';
import { readText } from './evidence.ts';
import { type Progress, progressKey } from './progress.ts';
import { downloadObjects, headObject, listPages, type StoredObject } from './s3.ts';
import { parseJson } from './schema.ts';

/** Bytes of one part of an upload, and how many at a time: 64 MB of memory. */
const PART_BYTES = 16 * 1024 * 1024;
const PARTS_AT_A_TIME = 4;

/** Small calls at a time. */
const CONCURRENCY = 8;

const claimSchema = z.object({ owner: z.string(), until: z.number() });

type Claim = z.output<typeof claimSchema>;

/** The bucket for inputs and outputs of jobs, claims and progress. */
export class WorkBucket {
  readonly #s3: S3Client;
  readonly #bucket: string;
  readonly #partBytes: number;

  /** @param partBytes of uploads; S3 takes parts of 5 MB and more */
  constructor(s3: S3Client, bucket: string, partBytes = PART_BYTES) {
    this.#s3 = s3;
    this.#bucket = bucket;
    this.#partBytes = partBytes;
  }

  /** `s3://bucket/key` */
  uri(key: string): string {
    return s3Uri(this.#at(key));
  }

  /**
   * Uploads a text, or a file in parts. What is there is replaced.
   *
   * @throws GateDependencyError where S3 does not answer, or refuses
   */
  async put(key: string, content: { text: string } | { path: string }): Promise<void> {
    if ('text' in content) return this.#putBytes(key, content.text);
    const file = await open(content.path);
    try {
      const { size } = await file.stat();
      const read = async (from: number, length: number) => {
        const bytes = Buffer.allocUnsafe(length);
        const { bytesRead } = await file.read(bytes, 0, length, from);
        if (bytesRead < length)
          throw new GateDependencyError(`${content.path} became shorter while it was read`);
        return bytes;
      };
      if (size <= this.#partBytes) await this.#putBytes(key, await read(0, size));
      else await this.#putParts(key, size, read);
    } finally {
      await file.close();
    }
  }

  async #putBytes(key: string, body: string | Buffer): Promise<void> {
    const { Bucket, Key } = this.#named(key);
    await call(
      `PutObject ${this.uri(key)}`,
      this.#s3.send(new PutObjectCommand({ Bucket, Key, Body: body })),
    );
  }

  async #putParts(
    key: string,
    size: number,
    read: (from: number, length: number) => Promise<Buffer>,
  ): Promise<void> {
    const at = this.#named(key);
    const what = (action: string) => `${action} ${this.uri(key)}`;
    const { UploadId } = await call(
      what('CreateMultipartUpload'),
      this.#s3.send(new CreateMultipartUploadCommand(at)),
    );
    try {
      const starts = Array.from(
        { length: Math.ceil(size / this.#partBytes) },
        (_, part) => part * this.#partBytes,
      );
      const parts = await mapLimit(starts, PARTS_AT_A_TIME, async (from) => {
        const PartNumber = from / this.#partBytes + 1;
        const Body = await read(from, Math.min(this.#partBytes, size - from));
        const { ETag } = await call(
          what('UploadPart'),
          this.#s3.send(new UploadPartCommand({ ...at, UploadId, PartNumber, Body })),
        );
        return { ETag, PartNumber };
      });
      await call(
        what('CompleteMultipartUpload'),
        this.#s3.send(
          new CompleteMultipartUploadCommand({ ...at, UploadId, MultipartUpload: { Parts: parts } }),
        ),
      );
    } catch (error) {
      // What this cannot remove the bucket does by itself after a while; the first error is the one to tell.
      await this.#s3.send(new AbortMultipartUploadCommand({ ...at, UploadId })).catch(() => {});
      throw error;
    }
  }

  /**
   * Downloads an object to a path, on whose disk it is first written beside it.
   *
   * @returns false where there is none
   * @throws GateDependencyError where S3 or the disk fails
   */
  async get(key: string, path: string, signal?: AbortSignal): Promise<boolean> {
    const object = await this.head(key);
    if (object === undefined) return false;
    const directory = await mkdtemp(join(dirname(path), 'download-'));
    try {
      const [file] = await downloadObjects(this.#s3, [object], directory, { ...(signal && { signal }) });
      if (file !== undefined) await rename(file.path, path);
      return true;
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  }

  /**
   * Looks an object up.
   *
   * @returns undefined where there is none
   * @throws GateDependencyError where S3 does not answer, or refuses
   */
  async head(key: string): Promise<StoredObject | undefined> {
    try {
      return (await headObject(this.#s3, this.#at(key))).object;
    } catch (error) {
      if (statusOf((error as Error).cause) === 404) return undefined;
      throw error;
    }
  }

  /**
   * Reads a small object as text.
   *
   * @returns undefined where there is none
   * @throws GateDependencyError where S3 does not answer, or refuses
   */
  async read(key: string): Promise<string | undefined> {
    return (await readText(this.#s3, this.#bucket, key))?.text;
  }

  /**
   * Keys below a prefix, a page of at most 1,000 at a time.
   *
   * @throws GateDependencyError where S3 does not answer, or refuses
   */
  async *list(prefix: string): AsyncGenerator<string[]> {
    for await (const { Contents = [] } of listPages(this.#s3, { Bucket: this.#bucket, Prefix: prefix })) {
      yield Contents.map(({ Key = '' }) => Key);
    }
  }

  /**
   * Deletes every object below a prefix.
   *
   * @throws GateDependencyError where S3 does not answer, or refuses
   */
  async delete(prefix: string): Promise<void> {
    for await (const keys of this.list(prefix)) {
      await mapLimit(keys, CONCURRENCY, (key) => this.deleteObject(key));
    }
  }

  /**
   * Deletes one object; fine where there is none.
   *
   * @throws GateDependencyError where S3 does not answer, or refuses
   */
  async deleteObject(key: string): Promise<void> {
    await call(`DeleteObject ${this.uri(key)}`, this.#s3.send(new DeleteObjectCommand(this.#named(key))));
  }

  /**
   * Claims something for one owner. A claim whose time is up is that of a dead owner, and can be taken.
   *
   * @param lifeMs how long the claim holds, longer than its owner can take; claiming again makes it hold anew
   * @param silenceMs for how long its owner must not have claimed it to be taken for dead before that, where all claim it
   * for the same time
   * @returns who has it now
   * @throws GateDependencyError where S3 does not answer, or refuses
   */
  async claim(key: string, owner: string, lifeMs: number, silenceMs = lifeMs): Promise<string> {
    const mine: Claim = { owner, until: Date.now() + lifeMs };
    if (await this.#putIf(key, mine, { IfNoneMatch: '*' })) return owner;
    const found = await this.#readClaim(key);
    // Released in between: whoever tries again may have it.
    if (found === undefined)
      throw new GateDependencyError(`${this.uri(key)} changed hands while it was claimed`);
    const isAlive = found.claim.until - lifeMs + silenceMs > Date.now();
    if (found.claim.owner !== owner && isAlive) return found.claim.owner;
    if (await this.#putIf(key, mine, { IfMatch: found.etag })) return owner;
    return (await this.#readClaim(key))?.claim.owner ?? owner;
  }

  /**
   * Until when a claim holds, milliseconds since 1970; undefined where there is none.
   *
   * @throws GateDependencyError where S3 does not answer, or refuses
   */
  async claimedUntil(key: string): Promise<number | undefined> {
    return (await this.#readClaim(key))?.claim.until;
  }

  /**
   * Gives a claim back; one that somebody else has by now stays theirs.
   *
   * @throws GateDependencyError where S3 does not answer, or refuses
   */
  async release(key: string, owner: string): Promise<void> {
    const found = await this.#readClaim(key);
    if (found?.claim.owner === owner) await this.deleteObject(key);
  }

  /**
   * Writes down where a run is; nothing where nobody follows it.
   *
   * @throws GateDependencyError where S3 does not answer, or refuses
   */
  async report(run: string | undefined, progress: Omit<Progress, 'run' | 'updatedAt'>): Promise<void> {
    if (run === undefined) return;
    await this.put(progressKey(run), {
      text: JSON.stringify({ run, ...progress, updatedAt: Date.now() } satisfies Progress),
    });
  }

  /** @returns false where the condition does not hold */
  async #putIf(
    key: string,
    claim: Claim,
    condition: { IfNoneMatch: string } | { IfMatch: string },
  ): Promise<boolean> {
    try {
      await this.#s3.send(
        new PutObjectCommand({
          ...this.#named(key),
          Body: JSON.stringify(claim),
          ContentType: 'application/json',
          ...condition,
        }),
      );
      return true;
    } catch (error) {
      // 409: two conditional writes met. 404: what was to be replaced is gone.
      if ([404, 409, 412].includes(statusOf(error) ?? 0)) return false;
      throw dependencyError(`PutObject ${this.uri(key)}`, error);
    }
  }

  async #readClaim(key: string): Promise<{ claim: Claim; etag: string } | undefined> {
    try {
      const answer = await this.#s3.send(new GetObjectCommand(this.#named(key)));
      const text = (await readBody(answer.Body, answer.ContentLength ?? 0)).toString('utf8');
      return { claim: parseJson(claimSchema, text, this.uri(key)), etag: answer.ETag ?? '' };
    } catch (error) {
      if (statusOf(error) === 404) return undefined;
      throw dependencyError(`GetObject ${this.uri(key)}`, error);
    }
  }

  #at(key: string): ObjectAddress {
    return { bucket: this.#bucket, key };
  }

  #named(key: string): { Bucket: string; Key: string } {
    return { Bucket: this.#bucket, Key: key };
  }
}
