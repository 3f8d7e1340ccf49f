import { GetObjectTaggingCommand, type S3Client } from '@aws-sdk/client-s3';
import { type Change, type Observed, short } from '../../functions/board/standing.ts';
import { type ObjectAddress, s3Uri } from '../../functions/shared/address.ts';
import { isNoSuchObject, statusOf } from '../../functions/shared/aws.ts';
import { GateError, GateInputError, messageOf } from '../../functions/shared/errors.ts';
import { headObject, objectError } from '../../functions/shared/s3.ts';
import { placeOf, QUALITY_TAG, VERDICT_TAG } from '../../functions/shared/schema.ts';

/*
 * What was found to be another now than what a verdict is bound to, and what could not be found out; and objects as they
 * are now.
 */

/** Changes and open questions of one requirement, as they are found. */
export class Seen {
  readonly changes: Change[] = [];
  readonly #unknown: string[] = [];
  refused: string | undefined;
  left: string | undefined;

  /** Takes down what is another; nothing where both are the same. */
  compare(what: string, was: string | null | undefined, is: string | null | undefined): void {
    const [before, now] = [was ?? 'nothing', is ?? 'nothing'];
    if (before !== now) this.changes.push({ what, was: before, is: now });
  }

  /** The same of hashes, which are compared whole and shown as short as people compare them. */
  compareHash(what: string, was: string | null | undefined, is: string | null | undefined): void {
    if ((was ?? null) !== (is ?? null)) this.changes.push({ what, was: short(was), is: short(is) });
  }

  unknown(why: string): void {
    this.#unknown.push(why.replace(/\.$/, ''));
  }

  /** Looks at something; where AWS does not let anybody, that is an open question. Bugs are thrown. */
  async look(step: () => Promise<void>): Promise<void> {
    try {
      await step();
    } catch (error) {
      if (!(error instanceof GateError)) throw error;
      this.unknown(messageOf(error));
    }
  }

  observed(): Pick<Observed, 'changes' | 'unknown' | 'refused' | 'left'> {
    return {
      changes: this.changes,
      ...(this.#unknown.length > 0 && { unknown: this.#unknown.join('; ') }),
      ...(this.refused !== undefined && { refused: this.refused }),
      ...(this.left !== undefined && { left: this.left }),
    };
  }
}

/** The current version of an object, and what the quality gate says of it. */
export interface CurrentObject {
  /** Version id; of a bucket that keeps no versions the ETag. */
  version: string;
  /** `passed`, `failed` or `inconclusive`; undefined where the quality gate has not judged it. */
  quality: string | undefined;
  /** Id of its verdict. */
  verdict: string | undefined;
}

/**
 * Looks at the current version of an object. Reads tags, and not the object: whoever releases need not be able to read data.
 *
 * @returns null where there is none
 * @throws GateDependencyError where S3 does not answer, or refuses
 */
export async function currentObject(s3: S3Client, address: ObjectAddress): Promise<CurrentObject | null> {
  const { bucket, key } = address;
  try {
    const { TagSet = [], VersionId } = await s3.send(
      new GetObjectTaggingCommand({ Bucket: bucket, Key: key }),
    );
    const tagOf = (name: string) => TagSet.find(({ Key }) => Key === name)?.Value;
    const version = VersionId ?? (await versionByHead(s3, address));
    return { version, quality: tagOf(QUALITY_TAG), verdict: tagOf(VERDICT_TAG) };
  } catch (error) {
    // A delete marker is no object, either.
    if (isNoSuchObject(error) || statusOf(error) === 405) return null;
    throw objectError('GetObjectTagging', address, error);
  }
}

async function versionByHead(s3: S3Client, address: ObjectAddress): Promise<string> {
  const { object } = await headObject(s3, address);
  return object.versionId ?? object.etag;
}

/**
 * The bucket and the key of a place of tocsin.yaml.
 *
 * @param dataBucket that Tocsin has created, if it has
 * @throws GateInputError where nobody says which bucket
 */
export function addressOf(place: string, dataBucket: string | undefined): ObjectAddress {
  const { bucket = dataBucket, key } = placeOf(place);
  if (bucket !== undefined) return { bucket, key };
  throw new GateInputError(`${place} names no bucket, and the outputs have no DataBucket`, {
    help: 'Give the outputs of the deployment that has this configuration: --outputs FILE.',
  });
}

/** A holdout as verdicts are bound to it. */
interface BoundHoldout {
  uri: string;
  version: string;
}

/** Compares the holdout of a model with the one that a verdict was made on. */
export async function compareHoldout(
  s3: S3Client,
  address: ObjectAddress,
  bound: BoundHoldout | undefined,
  seen: Seen,
): Promise<void> {
  const uri = s3Uri(address);
  seen.compare('the holdout', bound?.uri, uri);
  if (bound?.uri !== uri) return;
  await seen.look(async () => {
    const now = await currentObject(s3, address);
    seen.compare(`the version of the holdout ${uri}`, bound.version, now?.version);
    if (now === null) return;
    seen.compare(`what the quality gate says of the holdout ${uri}`, 'passed', now.quality ?? 'not judged');
  });
}
