import { GetObjectTaggingCommand, type S3Client, type Tag } from '@aws-sdk/client-s3';
import { type ObjectAddress, s3Uri } from '../../shared/address.ts';
import { GateInputError } from '../../shared/errors.ts';
import { headObject, objectError, type StoredObject } from '../../shared/s3.ts';
import { QUALITY_TAG, QUALITY_VALUES, VERDICT_TAG } from '../../shared/schema.ts';

/*
 * What the quality gate says of objects, and the holdout that it has passed.
 */

/** One version of a holdout that has passed its quality gate. */
export interface PinnedHoldout {
  object: StoredObject;
  /** Version id; of a bucket that keeps no versions, the ETag. */
  version: string;
  /** Id of the quality gate's verdict; undefined where nobody wrote it down. */
  verdict: string | undefined;
}

/**
 * Pins a holdout to the version that the quality gate passed.
 *
 * The tags are asked for first: what has not passed, the bucket lets nobody look at.
 *
 * @throws GateInputError where there is no such object, or it has not passed
 * @throws GateDependencyError where S3 does not answer, or refuses
 */
export async function pinHoldout(s3: S3Client, address: ObjectAddress): Promise<PinnedHoldout> {
  const current = await readVersionTags(s3, address);
  requirePassed(address, current.tags);
  const { object } = await headObject(s3, { ...address, versionId: current.versionId });
  let { tags } = current;
  if (current.versionId === undefined && object.versionId !== undefined) {
    // The tags may have been those of another version.
    ({ tags } = await readVersionTags(s3, object));
    requirePassed(object, tags);
  }
  return { object, version: object.versionId ?? object.etag, verdict: tagOf(tags, VERDICT_TAG) };
}

/** What the quality gate says of an object. */
export interface Quality {
  /** `passed`, `failed` or `inconclusive`; undefined where it has not judged it. */
  quality: string | undefined;
  /** Id of its verdict. */
  verdict: string | undefined;
}

/**
 * Reads what the quality gate says of an object.
 *
 * @throws GateInputError where there is no such object
 * @throws GateDependencyError where S3 does not answer, or refuses
 */
export async function readQuality(s3: S3Client, address: ObjectAddress): Promise<Quality> {
  const { tags } = await readVersionTags(s3, address);
  return { quality: tagOf(tags, QUALITY_TAG), verdict: tagOf(tags, VERDICT_TAG) };
}

/** The tags of a version, and which version S3 says that is. */
async function readVersionTags(
  s3: S3Client,
  address: ObjectAddress,
): Promise<{ tags: Tag[]; versionId: string | undefined }> {
  const { bucket, key, versionId } = address;
  try {
    const answer = await s3.send(
      new GetObjectTaggingCommand({
        Bucket: bucket,
        Key: key,
        ...(versionId !== undefined && { VersionId: versionId }),
      }),
    );
    return { tags: answer.TagSet ?? [], versionId: answer.VersionId ?? versionId };
  } catch (error) {
    throw objectError('GetObjectTagging', address, error);
  }
}

function requirePassed(address: ObjectAddress, tags: readonly Tag[]): void {
  const quality = tagOf(tags, QUALITY_TAG);
  if (quality === QUALITY_VALUES.pass) return;
  const verdict = tagOf(tags, VERDICT_TAG);
  const [what, help] =
    quality === undefined
      ? [
          'nobody has judged it yet',
          'Upload it below the prefix of a dataset of tocsin.yaml, wait for its verdict, then register the model again or run `tocsin evaluate`.',
        ]
      : [
          `its verdict is "${quality}"${verdict === undefined ? '' : ` (${verdict})`}`,
          'Correct the holdout and upload it again; then run `tocsin evaluate`.',
        ];
  throw new GateInputError(`the holdout ${s3Uri(address)} has not passed its quality gate: ${what}`, {
    help,
  });
}

function tagOf(tags: readonly Tag[], key: string): string | undefined {
  return tags.find((tag) => tag.Key === key)?.Value;
}
