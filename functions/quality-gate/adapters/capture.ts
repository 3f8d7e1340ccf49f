import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, rm } from 'node:fs/promises';
import type { S3Client } from '@aws-sdk/client-s3';
import { mapLimit } from '../../shared/aws.ts';
import type { LocalFile } from '../../shared/engine/limits.ts';
import { GateInputError } from '../../shared/errors.ts';
import { countOf, formatBytes, formatNumber, formatShare } from '../../shared/format.ts';
import { downloadObjects, type Listing, listPages, type StoredObject } from '../../shared/s3.ts';
import { CapturedLineError, type RecordTexts, recordsOf } from '../captured.ts';
import { captureOf, hourFolders, type Window } from '../monitor-request.ts';
import type { MonitorConfig } from '../schema.ts';

/** Files of one window. A busy endpoint writes one every few minutes for each instance. */
const MAX_FILES = 20_000;

/** Small calls at a time. */
const CONCURRENCY = 8;

/** Files that are on the disk at a time. */
const BATCH = 32;

/** Clocks of those who write, and of S3. */
const SKEW_MS = 60_000;

/** Requests that may be damaged: a file that was cut off is no reason to see nothing at all. */
const DAMAGED = 0.01;

/**
 * Lists what may have records of a window, ordered by key. A file that was written before the window began has none.
 *
 * @throws GateInputError where it is more than one measurement covers
 * @throws GateDependencyError where S3 does not answer, or refuses
 */
export async function listCapture(
  s3: S3Client,
  monitor: MonitorConfig,
  window: Window,
  maxBytes: number,
): Promise<StoredObject[]> {
  const { bucket, prefix } = captureOf(monitor);
  const variants = await list(s3, { Bucket: bucket, Prefix: prefix, Delimiter: '/' });
  const folders = variants.folders.flatMap((variant) =>
    hourFolders(window).map((folder) => `${variant}${folder}`),
  );
  const found = await mapLimit(folders, CONCURRENCY, (folder) =>
    list(s3, { Bucket: bucket, Prefix: folder }),
  );
  const objects = found
    .flatMap(({ objects }) => objects)
    .filter(({ key, modifiedAt }) => key.endsWith('.jsonl') && modifiedAt >= window.from - SKEW_MS)
    .sort((a, b) => (a.key < b.key ? -1 : 1));
  const bytes = objects.reduce((sum, object) => sum + object.bytes, 0);
  if (objects.length <= MAX_FILES && bytes <= maxBytes) return objects;
  throw new GateInputError(
    `the window has ${countOf(objects.length, 'captured file')} of ${formatBytes(bytes)} at s3://${bucket}/${prefix}, and one measurement reads at most ${formatNumber(MAX_FILES)} of ${formatBytes(maxBytes)}`,
    {
      help: 'Make the window shorter, let the endpoint capture a smaller share, or raise engine.disk in tocsin.yaml.',
    },
  );
}

async function list(s3: S3Client, input: Listing): Promise<{ folders: string[]; objects: StoredObject[] }> {
  const { Bucket: bucket } = input;
  const folders: string[] = [];
  const objects: StoredObject[] = [];
  for await (const page of listPages(s3, input)) {
    folders.push(...(page.CommonPrefixes ?? []).flatMap(({ Prefix: folder }) => folder ?? []));
    for (const { Key: key, ETag, Size, LastModified } of page.Contents ?? []) {
      if (key === undefined) continue;
      objects.push({
        bucket,
        key,
        versionId: undefined,
        etag: ETag ?? '',
        bytes: Size ?? 0,
        modifiedAt: LastModified?.getTime() ?? 0,
      });
    }
    // What is listed in vain costs a call for each 1,000.
    if (objects.length > MAX_FILES || folders.length > MAX_FILES) break;
  }
  return { folders, objects };
}

/** The records of a window, as one file. */
export interface CapturedRecords {
  /** CSV with the features as header. */
  file: LocalFile;
  records: number;
  /** Requests of the window, and those of them that could not be read. */
  requests: number;
  damaged: number;
}

/**
 * Writes the records of a window into one CSV file.
 *
 * @param directory for the download, a few files at a time, and for the file
 * @throws GateInputError where more than 1 % of the requests cannot be read; it names the first
 * @throws GateDependencyError where S3 or the disk fails, or `signal` aborts
 */
export async function readCapture(
  s3: S3Client,
  objects: readonly StoredObject[],
  { features }: Pick<MonitorConfig, 'features'>,
  window: Window,
  directory: string,
  signal?: AbortSignal,
): Promise<CapturedRecords> {
  const path = `${directory}/records.csv`;
  const hash = createHash('sha256');
  const [output, counts] = [await open(path, 'wx'), { records: 0, requests: 0, damaged: 0, bytes: 0 }];
  let first = '';
  const write = async (records: readonly RecordTexts[]) => {
    const text = records.map((record) => `${record.map(csvField).join(',')}\n`).join('');
    hash.update(text);
    counts.bytes += Buffer.byteLength(text);
    await output.appendFile(text);
  };
  try {
    await write([[...features]]);
    for (let batch = 0; batch < objects.length; batch += BATCH) {
      const files = await downloadObjects(s3, objects.slice(batch, batch + BATCH), directory, {
        ...(signal && { signal }),
      });
      for (const file of files) {
        const pending: RecordTexts[] = [];
        let number = 0;
        for await (const line of linesOf(file.path)) {
          number++;
          if (line.trim() === '') continue;
          try {
            const records = recordsOf(line, features, window);
            if (records === undefined) continue;
            counts.requests++;
            counts.records += records.length;
            pending.push(...records);
          } catch (error) {
            if (!(error instanceof CapturedLineError)) throw error;
            counts.requests++;
            counts.damaged++;
            first ||= `s3://${objects[0]?.bucket}/${file.name} line ${number}: ${error.message}`;
          }
          if (pending.length >= 1000) await write(pending.splice(0));
        }
        await write(pending);
        await rm(file.path);
      }
    }
  } finally {
    await output.close();
  }
  refuseDamage(counts, first);
  const file = { path, name: 'records.csv', bytes: counts.bytes, sha256: hash.digest('hex') };
  return { file, records: counts.records, requests: counts.requests, damaged: counts.damaged };
}

/** Lines of a file. Node's own reader also ends them where JSON does not, at U+2028. */
async function* linesOf(path: string): AsyncGenerator<string> {
  let rest: Buffer[] = [];
  for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) {
    let from = 0;
    for (let end = chunk.indexOf(0x0a); end >= 0; end = chunk.indexOf(0x0a, from)) {
      yield Buffer.concat([...rest, chunk.subarray(from, end)]).toString('utf8');
      rest = [];
      from = end + 1;
    }
    if (from < chunk.length) rest.push(chunk.subarray(from));
  }
  if (rest.length > 0) yield Buffer.concat(rest).toString('utf8');
}

function refuseDamage({ requests, damaged }: { requests: number; damaged: number }, first: string): void {
  if (damaged <= DAMAGED * requests) return;
  throw new GateInputError(
    `${formatNumber(damaged)} of ${countOf(requests, 'captured request')} cannot be read, at most ${formatShare(DAMAGED)} may be damaged; the first: ${first}`,
    { help: 'Compare features of the drift monitor (names and order) with what the endpoint is asked.' },
  );
}

/** Null is an empty field, an empty text one in quotes. */
function csvField(value: string | null): string {
  if (value === null) return '';
  return /^$|[",\r\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value;
}
