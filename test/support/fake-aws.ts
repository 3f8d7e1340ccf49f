import { Readable } from 'node:stream';
import { EventBridgeClient, PutEventsCommand } from '@aws-sdk/client-eventbridge';
import {
  DeleteObjectCommand,
  GetObjectCommand,
  type GetObjectCommandInput,
  GetObjectTaggingCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  PutObjectTaggingCommand,
  S3Client,
  S3ServiceException,
  type Tag,
} from '@aws-sdk/client-s3';
import { SageMakerClient, StartPipelineExecutionCommand } from '@aws-sdk/client-sagemaker';
import { PublishCommand, SNSClient } from '@aws-sdk/client-sns';
import { mockClient } from 'aws-sdk-client-mock';

/** One version of an object in {@link FakeAws}. */
export interface FakeVersion {
  versionId: string | undefined;
  body: Buffer;
  etag: string;
  modifiedAt: Date;
  tags: Tag[];
  metadata: Record<string, string>;
}

/** An error as S3 answers it. */
export function s3Error(name: string, status: number): S3ServiceException {
  return new S3ServiceException({
    name,
    message: `the fake says ${name}`,
    $fault: status < 500 ? 'client' : 'server',
    $metadata: { httpStatusCode: status },
  });
}

/**
 * An AWS account in memory: versioned S3 with tags, ranges and conditional writes, and sinks for the rest. It
 * answers every client made while it lives. Calls that change anything are counted, so that a test can let the
 * process die after any of them.
 */
export class FakeAws {
  readonly s3 = mockClient(S3Client);
  readonly sns = mockClient(SNSClient);
  readonly events = mockClient(EventBridgeClient);
  readonly sagemaker = mockClient(SageMakerClient);

  /** Newest version last, by `bucket/key`. */
  readonly objects = new Map<string, FakeVersion[]>();
  /** Every call that changed something, in order: `PutObject evidence/a.json`. */
  readonly changes: string[] = [];
  /** Buckets that keep no versions. */
  readonly unversioned = new Set<string>();
  /** After this many changes the process is dead: neither the answer nor any later call gets through. */
  diesAfter = Number.POSITIVE_INFINITY;
  /** Answers a range with the whole object, as HTTP allows. */
  ignoresRanges = false;
  /** Keys of one listing page. */
  pageSize = 1000;
  /** Changes what GetObject answers with, to break connections. */
  body: (input: GetObjectCommandInput, bytes: Buffer) => Readable = (_, bytes) => Readable.from([bytes]);

  #versions = 0;
  readonly #executions = new Map<string, string>();

  constructor() {
    this.s3.on(HeadObjectCommand).callsFake((input) => {
      this.alive();
      const found = this.#find(input.Bucket, input.Key, input.VersionId);
      // A HEAD answer has no body: the SDK knows the status and nothing else.
      if (found === undefined) throw s3Error('NotFound', 404);
      return {
        VersionId: found.versionId,
        ETag: found.etag,
        ContentLength: found.body.length,
        LastModified: found.modifiedAt,
        ...(found.tags.length > 0 && { TagCount: found.tags.length }),
      };
    });
    this.s3.on(GetObjectCommand).callsFake((input) => {
      this.alive();
      const found = this.#find(input.Bucket, input.Key, input.VersionId);
      if (found === undefined)
        throw s3Error(input.VersionId === undefined ? 'NoSuchKey' : 'NoSuchVersion', 404);
      if (input.IfMatch !== undefined && input.IfMatch !== found.etag)
        throw s3Error('PreconditionFailed', 412);
      let bytes = found.body;
      let contentRange: string | undefined;
      if (input.Range !== undefined && !this.ignoresRanges) {
        const [from, to] = input.Range.replace('bytes=', '').split('-').map(Number) as [number, number];
        if (from >= bytes.length) throw s3Error('InvalidRange', 416);
        contentRange = `bytes ${from}-${to}/${bytes.length}`;
        bytes = bytes.subarray(from, to + 1);
      }
      return {
        Body: this.body(input, bytes),
        ContentLength: bytes.length,
        ...(contentRange !== undefined && { ContentRange: contentRange }),
        LastModified: found.modifiedAt,
        ETag: found.etag,
        Metadata: found.metadata,
      };
    });
    this.s3.on(PutObjectCommand).callsFake((input) => {
      this.alive();
      if (input.IfNoneMatch === '*' && this.#find(input.Bucket, input.Key) !== undefined) {
        throw s3Error('PreconditionFailed', 412);
      }
      if (input.IfMatch !== undefined && input.IfMatch !== this.#find(input.Bucket, input.Key)?.etag) {
        throw s3Error('PreconditionFailed', 412);
      }
      this.put(input.Bucket, input.Key, input.Body, { metadata: input.Metadata ?? {} });
      this.changed(`PutObject ${input.Key}`);
      return {};
    });
    this.s3.on(DeleteObjectCommand).callsFake((input) => {
      this.alive();
      // Of a bucket with versions this would leave a marker; only the work bucket is deleted from, which has none.
      this.objects.delete(`${input.Bucket}/${input.Key}`);
      this.changed(`DeleteObject ${input.Key}`);
      return {};
    });
    this.s3.on(ListObjectsV2Command).callsFake((input) => {
      this.alive();
      const { Bucket, Prefix = '', Delimiter, ContinuationToken, MaxKeys } = input;
      // What shares its beginning up to the delimiter is listed once, as a folder.
      const entries = this.keys(Bucket, Prefix).map((key) => {
        const end = Delimiter === undefined ? -1 : key.indexOf(Delimiter, Prefix.length);
        return end < 0 ? key : key.slice(0, end + 1);
      });
      const listed = [...new Set(entries)];
      const from = ContinuationToken === undefined ? 0 : Number(ContinuationToken);
      const to = from + Math.min(this.pageSize, MaxKeys ?? this.pageSize);
      const page = listed.slice(from, to);
      const isFolder = (entry: string) => Delimiter !== undefined && entry.endsWith(Delimiter);
      return {
        Contents: page
          .filter((entry) => !isFolder(entry))
          .map((Key) => {
            const { etag, body, modifiedAt } = this.get(Bucket, Key);
            return { Key, ETag: etag, Size: body.length, LastModified: modifiedAt };
          }),
        CommonPrefixes: page.filter(isFolder).map((entry) => ({ Prefix: entry })),
        IsTruncated: to < listed.length,
        ...(to < listed.length && { NextContinuationToken: String(to) }),
      };
    });
    this.s3.on(GetObjectTaggingCommand).callsFake((input) => {
      this.alive();
      const found = this.#find(input.Bucket, input.Key, input.VersionId);
      if (found === undefined) throw s3Error('NoSuchVersion', 404);
      return { TagSet: found.tags, VersionId: found.versionId };
    });
    this.s3.on(PutObjectTaggingCommand).callsFake((input) => {
      this.alive();
      const found = this.#find(input.Bucket, input.Key, input.VersionId);
      if (found === undefined) throw s3Error('NoSuchVersion', 404);
      found.tags = input.Tagging.TagSet;
      this.changed(`PutObjectTagging ${input.Key}`);
      return {};
    });
    this.sns.on(PublishCommand).callsFake(() => {
      this.alive();
      this.changed('Publish');
      return { MessageId: `message-${this.changes.length}` };
    });
    this.events.on(PutEventsCommand).callsFake(() => {
      this.alive();
      this.changed('PutEvents');
      return { FailedEntryCount: 0, Entries: [{ EventId: `event-${this.changes.length}` }] };
    });
    this.sagemaker.on(StartPipelineExecutionCommand).callsFake((input) => {
      this.alive();
      const token = input.ClientRequestToken;
      const arn =
        this.#executions.get(token) ??
        `arn:aws:sagemaker:us-east-1:111122223333:pipeline/p/execution/${this.#executions.size}`;
      this.#executions.set(token, arn);
      this.changed('StartPipelineExecution');
      return { PipelineExecutionArn: arn };
    });
  }

  /** Distinct pipeline executions, whatever the number of calls. */
  get executions(): number {
    return this.#executions.size;
  }

  /** Uploads a version; returns its id. */
  put(
    bucket: string,
    key: string,
    body: string | Uint8Array,
    options: { tags?: Tag[]; metadata?: Record<string, string>; modifiedAt?: Date } = {},
  ): string {
    const number = ++this.#versions;
    const versionId = this.unversioned.has(bucket) ? undefined : `v${number}`;
    const name = `${bucket}/${key}`;
    const version: FakeVersion = {
      versionId,
      body: Buffer.from(body as string),
      etag: `"etag-${number}"`,
      modifiedAt: options.modifiedAt ?? new Date(),
      tags: options.tags ?? [],
      metadata: options.metadata ?? {},
    };
    this.objects.set(
      name,
      versionId === undefined ? [version] : [...(this.objects.get(name) ?? []), version],
    );
    return versionId ?? 'none';
  }

  /** The current version, or the one named. Throws where there is none. */
  get(bucket: string, key: string, versionId?: string): FakeVersion {
    const found = this.#find(bucket, key, versionId);
    if (found === undefined) throw new Error(`the fake has no ${bucket}/${key} ${versionId ?? ''}`);
    return found;
  }

  /** Keys of a bucket that have a prefix. */
  keys(bucket: string, prefix: string): string[] {
    return [...this.objects.keys()]
      .filter((name) => name.startsWith(`${bucket}/${prefix}`))
      .map((name) => name.slice(bucket.length + 1))
      .sort();
  }

  /** Whole inputs of all calls of one command, in order. */
  inputs(service: 's3' | 'sns' | 'events' | 'sagemaker', command: unknown): unknown[] {
    const mock = this[service] as unknown as {
      commandCalls(command: unknown): { args: [{ input: unknown }] }[];
    };
    return mock.commandCalls(command).map((called) => called.args[0].input);
  }

  restore(): void {
    for (const mock of [this.s3, this.sns, this.events, this.sagemaker]) mock.restore();
  }

  #find(bucket: string, key: string, versionId?: string): FakeVersion | undefined {
    const versions = this.objects.get(`${bucket}/${key}`) ?? [];
    return versionId === undefined
      ? versions.at(-1)
      : versions.find((version) => version.versionId === versionId);
  }

  /** Counts a call that changed something; its answer is lost where the process dies with it. */
  changed(what: string): void {
    this.changes.push(what);
    this.alive();
  }

  /** Throws where the process is dead. */
  alive(): void {
    if (this.changes.length >= this.diesAfter) throw new Error('the process died');
  }
}

/** Collects what is written to standard output and error, and keeps it off the terminal. */
export function captureOutput(): { lines: () => string[]; restore: () => void } {
  let text = '';
  const restores = [process.stdout, process.stderr].map((stream) => {
    const { write } = stream;
    stream.write = (chunk: string | Uint8Array) => {
      text += typeof chunk === 'string' ? chunk : Buffer.from(chunk).toString('utf8');
      return true;
    };
    return () => {
      stream.write = write;
    };
  });
  return {
    lines: () => text.split('\n').filter((line) => line !== ''),
    restore: () => {
      for (const restore of restores) restore();
    },
  };
}
