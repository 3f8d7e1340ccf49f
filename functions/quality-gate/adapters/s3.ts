import { PutObjectTaggingCommand, type S3Client, type Tag } from '@aws-sdk/client-s3';
import { type ObjectAddress, s3Uri } from '../../shared/address.ts';
import { mapLimit } from '../../shared/aws.ts';
import { GateInputError } from '../../shared/errors.ts';
import { headObject, listPages, type ObjectVersion, objectError, readTags } from '../../shared/s3.ts';
import { QUALITY_TAG, VERDICT_TAG } from '../../shared/schema.ts';
import { isData } from '../request.ts';

/** S3 keeps at most 10 tags an object; two of them are the gate's. */
const MAX_OTHER_TAGS = 8;
/** Objects of one batch. */
const MAX_OBJECTS = 1000;
/** Pages of a listing, 1,000 keys each: bounds a folder full of keys that are not data. */
const MAX_PAGES = 10;
/** Small calls at a time. */
const CONCURRENCY = 8;
/**
 * Pins an object to one version, which can then be read and tagged without a race.
 *
 * @throws GateInputError where there is no such object, its bucket does not keep versions, or it has too many tags
 * @throws GateDependencyError where S3 does not answer, or refuses
 */
export async function pinObject(s3: S3Client, address: ObjectAddress): Promise<ObjectVersion> {
  const { object, tags } = await headObject(s3, address);
  // `null` is what an upload gets while versioning is off: the next one replaces it under the same id.
  if (object.versionId === undefined || object.versionId === 'null') {
    throw new GateInputError(
      `${s3Uri(object)} has no version id, so a verdict could end up on bytes that nobody judged`,
      {
        help: `Turn versioning on for bucket ${object.bucket}, then upload the object again.`,
      },
    );
  }
  const version = { ...object, versionId: object.versionId };
  // Found out now rather than when the verdict is already written.
  if (tags > MAX_OTHER_TAGS) await otherTags(s3, version);
  return version;
}

/**
 * Pins every data object below a folder, ordered by key.
 *
 * @throws GateInputError where there are none or more than 1,000; else as {@link pinObject}
 */
export async function pinFolder(s3: S3Client, bucket: string, folder: string): Promise<ObjectVersion[]> {
  const keys: string[] = [];
  let pages = 0;
  for await (const { Contents = [], IsTruncated } of listPages(s3, { Bucket: bucket, Prefix: folder })) {
    pages++;
    for (const { Key } of Contents) {
      if (Key !== undefined && isData(folder, Key)) keys.push(Key);
    }
    if (keys.length > MAX_OBJECTS || (IsTruncated === true && pages >= MAX_PAGES)) {
      throw new GateInputError(
        `s3://${bucket}/${folder} has more than ${keys.length > MAX_OBJECTS ? `${MAX_OBJECTS} data objects` : `${MAX_PAGES * 1000} keys`}, which is more than one verdict covers`,
        { help: 'Write fewer, larger files, or split the batch into several folders.' },
      );
    }
  }
  if (keys.length === 0) {
    throw new GateInputError(`s3://${bucket}/${folder} has no data objects, so there is nothing to judge`, {
      help: 'Write the data first and the marker last.',
    });
  }
  return mapLimit(keys.sort(), CONCURRENCY, (key) => pinObject(s3, { bucket, key }));
}

/**
 * Puts the gate's two tags on versions, eight at a time, and keeps their other tags; a version that has them
 * already is left alone.
 *
 * @throws GateInputError where a version is gone, or has more than 8 other tags
 * @throws GateDependencyError where S3 does not answer, or refuses
 */
export async function tagObjects(
  s3: S3Client,
  objects: readonly ObjectVersion[],
  quality: string,
  verdict: string,
): Promise<void> {
  await mapLimit(objects, CONCURRENCY, (object) => tagObject(s3, object, quality, verdict));
}

async function tagObject(
  s3: S3Client,
  object: ObjectVersion,
  quality: string,
  verdict: string,
): Promise<void> {
  const { tags, others } = await otherTags(s3, object);
  const mine = [
    { Key: QUALITY_TAG, Value: quality },
    { Key: VERDICT_TAG, Value: verdict },
  ];
  if (mine.every(({ Key, Value }) => tags.some((tag) => tag.Key === Key && tag.Value === Value))) return;
  try {
    await s3.send(
      new PutObjectTaggingCommand({
        Bucket: object.bucket,
        Key: object.key,
        VersionId: object.versionId,
        Tagging: { TagSet: [...others, ...mine] },
      }),
    );
  } catch (error) {
    throw objectError('PutObjectTagging', object, error);
  }
}

/** All tags of a version, and those that are not the gate's. */
async function otherTags(s3: S3Client, object: ObjectVersion): Promise<{ tags: Tag[]; others: Tag[] }> {
  const tags = await readTags(s3, object);
  const others = tags.filter(({ Key }) => Key !== QUALITY_TAG && Key !== VERDICT_TAG);
  if (others.length > MAX_OTHER_TAGS) {
    throw new GateInputError(
      `${s3Uri(object)} has ${others.length} tags; S3 allows 10, and the gate needs two of them`,
      { help: `Upload it again with at most ${MAX_OTHER_TAGS} tags.` },
    );
  }
  return { tags, others };
}
