import { statfs } from 'node:fs/promises';
import { S3Client } from '@aws-sdk/client-s3';
import { pinFolder } from '../../functions/quality-gate/adapters/s3.ts';
import type { LocalDataset } from '../../functions/quality-gate/profile.ts';
import { type LocatedContract, MARKER } from '../../functions/quality-gate/schema.ts';
import { s3Uri } from '../../functions/shared/address.ts';
import { CLIENT_OPTIONS } from '../../functions/shared/aws.ts';
import { GateInputError, messageOf } from '../../functions/shared/errors.ts';
import { downloadObjects, headObject } from '../../functions/shared/s3.ts';
import { bytes } from './cli.ts';

/** What every AWS client of this SDK has that matters before its first call. */
interface AnyClient {
  config: { region: () => Promise<string>; credentials: () => Promise<unknown> };
}

/**
 * Finds out before the first call whether the caller told AWS who and where they are: otherwise each call fails
 * by itself, later, and in the words of the SDK.
 *
 * @throws GateInputError where the region or the credentials are missing
 */
export async function assertAwsAccess(client: AnyClient): Promise<void> {
  await client.config.region().catch((cause: unknown) => {
    throw new GateInputError(`no AWS region: ${messageOf(cause)}`, { cause, help: 'Set AWS_REGION.' });
  });
  await client.config.credentials().catch((cause: unknown) => {
    throw new GateInputError(`no AWS credentials: ${messageOf(cause)}`, {
      cause,
      help: 'Log in (aws sso login), or set AWS_PROFILE.',
    });
  });
}

/** An S3 client that is allowed to try. Errors as of {@link assertAwsAccess}. */
export async function connectS3(): Promise<S3Client> {
  const s3 = new S3Client(CLIENT_OPTIONS);
  await assertAwsAccess(s3);
  return s3;
}

/**
 * Downloads a dataset: one object, or with a contract for `batch: marker` a folder.
 *
 * @param address `s3://bucket/key`, with `?versionId=...` for another version than the current one
 * @throws GateInputError where the address is wrong, there is no such object, or it does not fit on the disk
 * @throws GateDependencyError where S3 or the disk fails
 */
export async function downloadDataset(
  address: string,
  contract: LocatedContract,
  directory: string,
): Promise<{ dataset: LocalDataset; uri: string }> {
  const match = /^s3:\/\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])\/(.+?)(?:\?versionId=([^?&]+))?$/.exec(address);
  const [, bucket, key, versionId] = match ?? [];
  if (bucket === undefined || key === undefined) {
    throw new GateInputError(`expected s3://bucket/key or s3://bucket/key?versionId=..., got ${address}`);
  }
  const s3 = await connectS3();
  const marked = contract.value.batch === 'marker';
  if (key.endsWith('/') && !marked) {
    throw new GateInputError(`${address} is a folder, but ${contract.file} has batch: object`, {
      help: 'Give the address of one object, or say batch: marker in the contract.',
    });
  }
  const folder = marked ? key.slice(0, key.lastIndexOf('/') + 1) : undefined;
  const { object: subject } = await headObject(s3, {
    bucket,
    key: folder === undefined ? key : folder + MARKER,
    ...(versionId !== undefined && { versionId }),
  });
  const objects = folder === undefined ? [subject] : await pinFolder(s3, bucket, folder);
  const size = objects.reduce((sum, object) => sum + object.bytes, 0);
  const { bavail, bsize } = await statfs(directory);
  if (size > bavail * bsize) {
    throw new GateInputError(
      `${address} has ${bytes(size)}, ${directory} has only ${bytes(bavail * bsize)} free`,
      { help: 'Set TMPDIR to a directory on a larger disk.' },
    );
  }
  const path = folder ?? key;
  return {
    dataset: {
      files: await downloadObjects(s3, objects, directory),
      uploadedAt: subject.modifiedAt,
      key: path,
    },
    uri: s3Uri({ bucket, key: path }),
  };
}
