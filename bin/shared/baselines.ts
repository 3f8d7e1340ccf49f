import { GetObjectCommand, PutObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import * as z from 'zod';
import { dependencyError, isNoSuchObject, readBody, statusOf } from '../../functions/shared/aws.ts';
import { parseProfile } from '../../functions/shared/baseline.ts';
import { GateInputError } from '../../functions/shared/errors.ts';
import { baselineKey, readText } from '../../functions/shared/evidence.ts';
import { verdictFolder } from '../../functions/shared/identity.ts';
import type { Profile } from '../../functions/shared/profile.ts';
import { parseJson } from '../../functions/shared/schema.ts';

/** A baseline as it is in the evidence bucket. */
export interface CurrentBaseline {
  text: string;
  /** Names exactly these bytes, with its quotes. */
  etag: string;
}

const verdictSchema = z.object({ outcome: z.enum(['pass', 'fail', 'inconclusive']), reason: z.string() });

/**
 * The profile that the deployed gate measured for a verdict.
 *
 * @param reason why it may be used although the verdict is not `pass`
 * @throws GateInputError where there is no such verdict, or it is not `pass` and no reason is given
 * @throws GateDependencyError where S3 does not answer, or refuses
 */
export async function readAccepted(
  s3: S3Client,
  bucket: string,
  dataset: string,
  verdict: string,
  reason: string | undefined,
): Promise<{ profile: Profile; text: string }> {
  const folder = verdictFolder('quality-gate', dataset, verdict);
  const where = `s3://${bucket}/${folder}`;
  const stored = await readText(s3, bucket, `${folder}verdict.json`);
  const profile = await readText(s3, bucket, `${folder}profile.json`);
  if (stored === undefined || profile === undefined) {
    throw new GateInputError(`there is no verdict ${verdict} of dataset ${dataset} (${where})`);
  }
  const { outcome, reason: why } = parseJson(verdictSchema, stored.text, `${where}verdict.json`);
  if (outcome !== 'pass' && (reason ?? '').trim() === '') {
    throw new GateInputError(`verdict ${verdict} is ${outcome}: ${why}`, {
      help: 'Drift would be measured from data that was not accepted. If it is right all the same: --force "why".',
    });
  }
  return { profile: parseProfile(profile.text, `${where}profile.json`, dataset), text: profile.text };
}

/**
 * The baseline that the deployed gate uses now; undefined where there is none.
 *
 * @throws GateDependencyError where S3 does not answer, or refuses
 */
export async function readCurrent(
  s3: S3Client,
  bucket: string,
  dataset: string,
): Promise<CurrentBaseline | undefined> {
  const key = baselineKey(dataset);
  try {
    const answer = await s3.send(new GetObjectCommand({ Bucket: bucket, Key: key }));
    const body = await readBody(answer.Body, answer.ContentLength ?? 0);
    return { text: body.toString('utf8'), etag: answer.ETag ?? '' };
  } catch (error) {
    if (isNoSuchObject(error)) return undefined;
    throw dependencyError(`GetObject s3://${bucket}/${key}`, error);
  }
}

/**
 * Writes the baseline, provided that it is still `current`.
 *
 * @throws GateInputError where somebody else replaced it in the meantime
 * @throws GateDependencyError where S3 does not answer, or refuses
 */
export async function replaceBaseline(
  s3: S3Client,
  bucket: string,
  dataset: string,
  text: string,
  current: CurrentBaseline | undefined,
  why: { verdict?: string; reason?: string },
): Promise<void> {
  const key = baselineKey(dataset);
  try {
    await s3.send(
      new PutObjectCommand({
        Bucket: bucket,
        Key: key,
        Body: text,
        ContentType: 'application/json',
        // Metadata takes ASCII only; a reason may be in any language.
        Metadata: {
          ...(why.verdict !== undefined && { verdict: why.verdict }),
          ...(why.reason !== undefined && { reason: encodeURIComponent(why.reason.slice(0, 300)) }),
        },
        ...(current === undefined ? { IfNoneMatch: '*' } : { IfMatch: current.etag }),
      }),
    );
  } catch (error) {
    if (statusOf(error) === 412 || statusOf(error) === 409) {
      throw new GateInputError(`the baseline of ${dataset} was replaced by somebody else in the meantime`, {
        cause: error,
        help: 'Look at theirs, then promote again if yours is still the right one.',
      });
    }
    throw dependencyError(`PutObject s3://${bucket}/${key}`, error);
  }
}
