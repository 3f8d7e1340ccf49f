import { setTimeout as sleep } from 'node:timers/promises';
import { GetObjectCommand, ListObjectsV2Command, PutObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import * as z from 'zod';
import { call, dependencyError, isNoSuchObject, readBody, statusOf } from './aws.ts';
import { GateDependencyError, GateInputError } from './errors.ts';
import { parseJson } from './schema.ts';
import type { Verdict } from './verdict.ts';

/** Reading anything larger into memory is refused; a profile of 2,000 columns has about 4 MB. */
const MAX_BYTES = 32 * 1024 * 1024;

/** Name of the object that makes a verdict somebody's to publish, and of the one that says it is published. */
const VERDICT = 'verdict.json';
const PUBLISHED = 'published.json';

/** Longer than any invocation of a Lambda lives: whoever claimed a verdict before that is dead. */
const CLAIM_MS = 15 * 60_000;

/** Where the baseline of a dataset is in the evidence bucket. The gate reads it; people promote it. */
export function baselineKey(dataset: string): string {
  return `baselines/${dataset}/current.json`;
}

/** Indented JSON with a line end, for evidence that people open. */
export function prettyJson(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

/** A JSON object as it is in S3. */
export interface StoredText {
  text: string;
  /** Milliseconds since 1970. */
  modifiedAt: number;
  /** User metadata of the object, keys in lower case. */
  metadata: Record<string, string>;
}

/**
 * Reads a whole small object as UTF-8 text.
 *
 * @returns undefined where there is none
 * @throws GateInputError where it has more than 32 MB
 * @throws GateDependencyError where S3 does not answer, or refuses
 */
export async function readText(s3: S3Client, bucket: string, key: string): Promise<StoredText | undefined> {
  const what = `GetObject s3://${bucket}/${key}`;
  try {
    const answer = await s3.send(new GetObjectCommand({ Bucket: bucket, Key: key }));
    const length = answer.ContentLength ?? 0;
    if (length > MAX_BYTES) {
      throw new GateInputError(`s3://${bucket}/${key} has ${length} bytes, at most ${MAX_BYTES} are read`);
    }
    return {
      text: (await readBody(answer.Body, length)).toString('utf8'),
      modifiedAt: answer.LastModified?.getTime() ?? 0,
      metadata: answer.Metadata ?? {},
    };
  } catch (error) {
    if (isNoSuchObject(error)) return undefined;
    throw dependencyError(what, error);
  }
}

const verdictSchema = z.looseObject({
  verdict: z.literal(1),
  id: z.string().regex(/^[0-9a-f]{32}$/, '32 hexadecimal digits'),
  gate: z.string(),
  subject: z.string(),
  outcome: z.enum(['pass', 'fail', 'inconclusive']),
  reason: z.string(),
  findings: z.array(
    z.looseObject({ outcome: z.enum(['pass', 'fail', 'inconclusive', 'warn']), message: z.string() }),
  ),
});

/**
 * Reads a stored verdict.
 *
 * @param where it is, for messages
 * @throws GateInputError where it is none
 */
export function parseVerdict<V extends Verdict>(text: string, where: string): V {
  // What a gate adds to this is its own and was written by the same version: the id says so.
  return parseJson(verdictSchema, text, where) as unknown as V;
}

/** Evidence in its bucket. What is written once is never written again. */
export class EvidenceStore {
  readonly #s3: S3Client;
  readonly #bucket: string;

  constructor(s3: S3Client, bucket: string) {
    this.#s3 = s3;
    this.#bucket = bucket;
  }

  /** `s3://bucket/key`, as messages show it. */
  uri(key: string): string {
    return `s3://${this.#bucket}/${key}`;
  }

  /** A page of the AWS console with the object: for people who are logged in. */
  consoleLink(key: string): string {
    const region = process.env.AWS_REGION ?? 'us-east-1';
    const query = new URLSearchParams({ region, prefix: key });
    return `https://${region}.console.aws.amazon.com/s3/object/${this.#bucket}?${query}`;
  }

  /** Undefined where there is none. Errors as of {@link readText}. */
  read(key: string): Promise<StoredText | undefined> {
    return readText(this.#s3, this.#bucket, key);
  }

  /**
   * The verdict whose evidence is in a folder; undefined where there is none.
   *
   * @throws GateInputError where it is none
   * @throws GateDependencyError where S3 does not answer, or refuses
   */
  async readVerdict<V extends Verdict>(folder: string): Promise<V | undefined> {
    const key = folder + VERDICT;
    const stored = await this.read(key);
    return stored && parseVerdict<V>(stored.text, this.uri(key));
  }

  /**
   * Writes an object that does not exist yet.
   *
   * @returns false where there is one already, which is left as it is
   * @throws GateDependencyError where S3 does not answer, or refuses
   */
  async create(key: string, text: string, metadata?: Record<string, string>): Promise<boolean> {
    for (let attempt = 1; ; attempt++) {
      try {
        await this.#s3.send(
          new PutObjectCommand({
            Bucket: this.#bucket,
            Key: key,
            Body: text,
            ContentType: key.endsWith('.html') ? 'text/html; charset=utf-8' : 'application/json',
            IfNoneMatch: '*',
            ...(metadata && { Metadata: metadata }),
          }),
        );
        return true;
      } catch (error) {
        if (statusOf(error) === 412) return false;
        // Two conditional writes met: S3 asks to send it again, and the SDK does not by itself.
        if (statusOf(error) === 409 && attempt < 3) continue;
        throw dependencyError(`PutObject ${this.uri(key)}`, error);
      }
    }
  }

  /**
   * The first keys below a prefix, in their order.
   *
   * @param limit at most 1,000: one page
   * @throws GateDependencyError where S3 does not answer, or refuses
   */
  async list(prefix: string, limit: number): Promise<string[]> {
    const { Contents = [] } = await call(
      `ListObjectsV2 ${this.uri(prefix)}`,
      this.#s3.send(new ListObjectsV2Command({ Bucket: this.#bucket, Prefix: prefix, MaxKeys: limit })),
    );
    return Contents.flatMap(({ Key }) => Key ?? []);
  }

  /**
   * A side effect that AWS itself does not make idempotent. It is remembered in `key` once it has happened, and
   * a retry skips it; only a crash between the two can repeat it.
   */
  async once(key: string, effect: () => Promise<Record<string, unknown>>): Promise<void> {
    if ((await this.read(key)) !== undefined) return;
    await this.create(key, prettyJson(await effect()));
  }
}

/** How a verdict came to be published. */
export interface Settled<Published> {
  record: Published;
  /** False: an earlier or a concurrent invocation published it, and nothing was done. */
  fresh: boolean;
}

/** What {@link settle} needs from its gate. */
export interface Settlement<V extends Verdict, Published> {
  folder: string;
  /** Id of the request; the retries of an asynchronous invocation keep that of the first attempt. */
  requestId: string;
  /** Measures and judges; `files` are stored beside the verdict, text by name. */
  judge: () => Promise<{ verdict: V; files: Record<string, string> }>;
  /** Performs the side effects, each of which may have happened already; returns what to store about them. */
  publish: (verdict: V) => Promise<Published>;
  /** Reads back what `publish` returned. */
  parsePublished: (text: string) => Published;
  /** How long to wait for a concurrent invocation, milliseconds. */
  patienceMs: number;
}

/**
 * Judges and publishes once, however often and however concurrently it is called for the same folder.
 *
 * `verdict.json` is written conditionally: whoever creates it publishes. A second invocation waits for
 * `published.json` for a moment. An invocation that crashed in between is resumed by its own retry (same request
 * id) at once, and by any other 15 minutes later, when it must be dead; the stored verdict is not measured again.
 *
 * @throws GateDependencyError where another invocation has the verdict and has not published it yet
 */
export async function settle<V extends Verdict, Published>(
  store: EvidenceStore,
  { folder, requestId, judge, publish, parsePublished, patienceMs }: Settlement<V, Published>,
): Promise<Settled<Published>> {
  const published = async () => {
    const stored = await store.read(folder + PUBLISHED);
    return stored && { record: parsePublished(stored.text), fresh: false };
  };
  const already = await published();
  if (already !== undefined) return already;

  let verdict: V;
  let stored = await store.read(folder + VERDICT);
  if (stored === undefined) {
    const judged = await judge();
    for (const [name, text] of Object.entries(judged.files)) await store.create(folder + name, text);
    // A lost answer makes the SDK send this again, and then our own object is in the way: so look whose it is.
    if (!(await store.create(folder + VERDICT, prettyJson(judged.verdict), { request: requestId }))) {
      stored = await store.read(folder + VERDICT);
    }
    verdict = judged.verdict;
  } else {
    verdict = parseVerdict(stored.text, store.uri(folder + VERDICT));
  }

  if (
    stored !== undefined &&
    stored.metadata.request !== requestId &&
    Date.now() - stored.modifiedAt < CLAIM_MS
  ) {
    const deadline = Date.now() + patienceMs;
    do {
      await sleep(Math.min(500, patienceMs));
      const other = await published();
      if (other !== undefined) return other;
    } while (Date.now() < deadline);
    throw new GateDependencyError(
      `${store.uri(folder + VERDICT)} belongs to another invocation, which has not published it yet`,
      { help: 'Invoke again: the verdict is then published, or after 15 minutes taken over.' },
    );
  }

  const record = await publish(verdict);
  await store.create(folder + PUBLISHED, prettyJson(record));
  return { record, fresh: true };
}
