import type { S3Client } from '@aws-sdk/client-s3';
import { parsePublished } from '../../functions/quality-gate/adapters/evidence.ts';
import type { QualityInputs } from '../../functions/quality-gate/gate.ts';
import { isData } from '../../functions/quality-gate/request.ts';
import { MARKER } from '../../functions/quality-gate/schema.ts';
import { s3Uri } from '../../functions/shared/address.ts';
import { mapLimit } from '../../functions/shared/aws.ts';
import { readBaseline } from '../../functions/shared/baseline.ts';
import { GateDependencyError } from '../../functions/shared/errors.ts';
import type { EvidenceStore } from '../../functions/shared/evidence.ts';
import { countOf, formatNumber } from '../../functions/shared/format.ts';
import { type HistoryEntry, type HistoryPoint, runHash } from '../../functions/shared/history.ts';
import { verdictFolder } from '../../functions/shared/identity.ts';
import { listPages } from '../../functions/shared/s3.ts';
import { placeOf, QUALITY_VALUES } from '../../functions/shared/schema.ts';
import type { Dataset } from '../../lib/config.ts';
import { currentObject, type Seen } from './ready-seen.ts';

/*
 * Gap 4 as it is now: the dataset that was judged, newer ones beside it, and the baseline.
 */

/** Keys below the prefix of a dataset that are looked at, 1,000 a page. */
const MAX_PAGES = 50;

/** Newer objects whose tags are read, and how many at a time. */
const MOST_NEWER = 20;
const AT_A_TIME = 5;

/** What looking at a dataset takes. */
export interface DataWorld {
  s3: S3Client;
  store: EvidenceStore;
  dataBucket: string | undefined;
}

/** An object as a listing shows it. */
interface Listed {
  key: string;
  /** Milliseconds since 1970. */
  modifiedAt: number;
}

/**
 * Compares a dataset with the one that was judged.
 *
 * @param history runs of this dataset: the same bytes may have been uploaded, and judged, several times
 */
export async function lookAtDataset(
  dataset: Dataset,
  entry: HistoryEntry,
  history: readonly HistoryPoint[],
  world: DataWorld,
  seen: Seen,
): Promise<void> {
  const { s3, dataBucket } = world;
  const { uri = '' } = entry.inputs as Partial<QualityInputs>;
  const bucket = dataset.bucket ?? dataBucket;
  const judged = placeOf(uri);
  if (bucket === undefined) {
    seen.unknown(`dataset ${dataset.name} names no bucket, and the outputs have no DataBucket`);
    return;
  }
  const where = s3Uri({ bucket, key: dataset.prefix });
  if (!uri.startsWith(where)) {
    seen.compare(`where dataset ${dataset.name} is`, uri, where);
    return;
  }
  const isBatch = dataset.contractFile.value.batch === 'marker';
  // The marker of a batch is the last to be tagged, and stands for it.
  const key = isBatch ? `${judged.key}${MARKER}` : judged.key;
  await seen.look(async () => {
    const now = await currentObject(s3, { bucket, key });
    if (now === null) {
      seen.compare(s3Uri({ bucket, key }), 'there', 'deleted');
      return;
    }
    if (now.quality === undefined) {
      seen.compare(uri, 'judged', 'a version that nobody has judged');
      return;
    }
    seen.compareHash(`the verdict on ${uri}`, entry.verdict, now.verdict);
    seen.compare(`what the quality gate says of ${uri}`, QUALITY_VALUES[entry.outcome], now.quality);
    if (now.verdict !== entry.verdict) return;
    const run = runHash(`${uri} ${now.version}`);
    const isJudged = history.some((point) => point.verdict === entry.verdict && point.run === run);
    if (!isJudged) seen.compare(`the version of ${uri}`, 'one that was judged', now.version);
  });
  await seen.look(() => lookBeside(dataset, { bucket, key, uri }, entry, world, seen));
  await seen.look(() => compareBaseline(dataset, entry, world, seen));
}

/** Where what was judged is; `uri` of a batch is its folder, and `key` that of its marker. */
interface Judged {
  bucket: string;
  key: string;
  uri: string;
}

/** Looks for objects that are newer than what was judged, and whose verdict is another one or none. */
async function lookBeside(
  { name, prefix, contractFile }: Dataset,
  { bucket, key, uri }: Judged,
  entry: HistoryEntry,
  { s3, store }: DataWorld,
  seen: Seen,
): Promise<void> {
  const isBatch = contractFile.value.batch === 'marker';
  const listed = await listAll(s3, bucket, prefix);
  const own = listed.find((object) => object.key === key);
  // That it is deleted was said.
  if (own === undefined) return;
  if (isBatch) await compareBatch(listed, own, entry, { bucket, key, uri }, store, seen);
  const stands = isBatch
    ? ({ key: one }: Listed) => one === MARKER || one.endsWith(`/${MARKER}`)
    : ({ key: one }: Listed) => isData(prefix, one);
  // Times are whole seconds: of the same one nobody knows which was first.
  const newer = listed.filter((one) => one.key !== key && one.modifiedAt >= own.modifiedAt && stands(one));
  if (newer.length > MOST_NEWER) {
    seen.compare(
      `what is below ${s3Uri({ bucket, key: prefix })}`,
      'nothing newer',
      countOf(newer.length, 'newer object'),
    );
    return;
  }
  await mapLimit(newer, AT_A_TIME, async (one) => {
    const now = await currentObject(s3, { bucket, key: one.key });
    if (now === null || now.quality === 'passed') return;
    seen.compare(
      `the newest of dataset ${name}`,
      uri,
      `${s3Uri({ bucket, key: one.key })}, which ${now.quality === undefined ? 'nobody has judged' : `is ${now.quality}`}`,
    );
  });
}

/** Compares the objects of a batch with those that were judged. Who writes a batch writes its marker last. */
async function compareBatch(
  listed: readonly Listed[],
  marker: Listed,
  entry: HistoryEntry,
  { bucket, uri }: Judged,
  store: EvidenceStore,
  seen: Seen,
): Promise<void> {
  const folder = marker.key.slice(0, marker.key.length - MARKER.length);
  const now = listed.filter(({ key }) => key.startsWith(folder) && isData(folder, key));
  for (const { key, modifiedAt } of now) {
    if (modifiedAt > marker.modifiedAt) {
      seen.compare(s3Uri({ bucket, key }), `older than ${MARKER}`, 'replaced since');
    }
  }
  const published = `${verdictFolder(entry.gate, entry.subject, entry.verdict)}published.json`;
  const stored = await store.read(published);
  if (stored === undefined) {
    seen.unknown(`there is no ${store.uri(published)}, which names the objects of ${uri}`);
    return;
  }
  const was = parsePublished(stored.text).objects.map(({ key }) => key);
  const is = new Set(listed.map(({ key }) => key));
  for (const key of was) {
    if (key.startsWith(folder) && !is.has(key)) seen.compare(s3Uri({ bucket, key }), 'there', 'deleted');
  }
}

async function listAll(s3: S3Client, bucket: string, prefix: string): Promise<Listed[]> {
  const where = s3Uri({ bucket, key: prefix });
  const listed: Listed[] = [];
  let pages = 0;
  for await (const { Contents = [], IsTruncated } of listPages(s3, { Bucket: bucket, Prefix: prefix })) {
    pages++;
    if (pages >= MAX_PAGES && IsTruncated === true) {
      throw new GateDependencyError(
        `${where} has more than ${formatNumber(MAX_PAGES * 1000)} objects, so whether one is newer cannot be told`,
      );
    }
    for (const { Key, LastModified } of Contents) {
      if (Key !== undefined) listed.push({ key: Key, modifiedAt: LastModified?.getTime() ?? 0 });
    }
  }
  return listed;
}

/** Compares the baseline with the one that drift was measured from. Of what was promoted to be it there is no drift. */
async function compareBaseline(
  { name }: Dataset,
  { inputs }: HistoryEntry,
  { store }: DataWorld,
  seen: Seen,
): Promise<void> {
  const bound = inputs as Partial<QualityInputs>;
  const now = await readBaseline(store, name);
  if (now?.profile.sha256 === bound.sha256 && bound.sha256 !== undefined) return;
  seen.compareHash(`the baseline of dataset ${name}`, bound.baselineSha256, now?.sha256);
}
