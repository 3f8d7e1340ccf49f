import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { GetObjectCommand, ListObjectsV2Command, PutObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import { messageOf } from '../../functions/shared/errors.ts';
import { REGION } from '../emulator.ts';
import { batchesOf, inOrder, NEWLINE, processed } from './batches.ts';
import { type Answer, type Container, ContainerError } from './containers.ts';
import { RecordError } from './filters.ts';
import { parseS3Uri } from './service.ts';
import type { TransformDefinition } from './transform-definition.ts';

/** The most that one object may have here, in bytes, unpacked: it is held in memory. */
const MOST_BYTES = 1024 ** 3;

/** The most objects of one job here. */
const MOST_OBJECTS = 10_000;

/** What the log says of every record that goes wrong, SageMaker's FailureReason does not. */
const SEE_LOGS = 'See job logs for more information';

/** Why a job fails: `ClientError: ...` where the request or the data is wrong, else `AlgorithmError: ...`. */
export class JobError extends Error {
  override readonly name = 'JobError';
}

/** What a job works with. */
export interface Workplace {
  /** With the rights of `role`. */
  s3: S3Client;
  role: string;
  container: Container;
  log: (line: string) => void;
  signal: AbortSignal;
}

/**
 * Transforms every object of the input. One that fails has no output; the others keep theirs.
 *
 * @throws JobError for the first object that failed; the reason of `signal` where that aborts
 */
export async function transform(definition: TransformDefinition, workplace: Workplace): Promise<void> {
  const { s3, role, container, log, signal } = workplace;
  const { S3Uri } = definition.TransformInput.DataSource.S3DataSource;
  const { bucket } = parseS3Uri(S3Uri);
  let failure: JobError | undefined;
  for (const key of await list(s3, S3Uri, role, signal)) {
    try {
      const input = await read(s3, { bucket, key }, definition, signal);
      const output = await transformObject(input, definition, container, signal);
      await write(s3, key, output, definition, signal);
    } catch (error) {
      signal.throwIfAborted();
      const [reason, detail] = failureOf(error);
      log(`[sagemaker logs]: ${bucket}/${key}: ${detail}`);
      failure ??= new JobError(reason, { cause: error });
    }
  }
  if (failure !== undefined) throw failure;
}

/** FailureReason and line of the log for an object that failed. */
function failureOf(error: unknown): [reason: string, detail: string] {
  if (error instanceof JobError) return [error.message, error.message];
  if (error instanceof RecordError) return [`ClientError: ${SEE_LOGS}`, error.message];
  if (error instanceof Refusal) {
    const kind = error.answer.status < 500 ? 'ClientError' : 'AlgorithmError';
    const said = error.answer.body.toString('utf8', 0, 500);
    return [`${kind}: ${SEE_LOGS}`, `the container answered ${error.answer.status}: ${said}`];
  }
  if (error instanceof ContainerError) {
    return [`AlgorithmError: ${SEE_LOGS}`, `Unable to get response from algorithm. ${error.message}`];
  }
  throw error;
}

async function list(s3: S3Client, uri: string, role: string, signal: AbortSignal): Promise<string[]> {
  const { bucket, key: prefix } = parseS3Uri(uri);
  const keys: string[] = [];
  let why = 'The specified key does not exist.';
  try {
    let token: string | undefined;
    do {
      const found = await s3.send(
        new ListObjectsV2Command({
          Bucket: bucket,
          Prefix: prefix,
          ...(token && { ContinuationToken: token }),
        }),
        { abortSignal: signal },
      );
      // What marks a folder is no data.
      keys.push(...(found.Contents ?? []).map(({ Key = '' }) => Key).filter((key) => !key.endsWith('/')));
      token = found.NextContinuationToken;
    } while (token !== undefined && keys.length <= MOST_OBJECTS);
  } catch (error) {
    signal.throwIfAborted();
    why = messageOf(error);
  }
  if (keys.length > MOST_OBJECTS) {
    throw new JobError(`ClientError: The local SageMaker transforms at most ${MOST_OBJECTS} objects.`);
  }
  if (keys.length > 0) return keys;
  throw new JobError(
    `ClientError: No S3 objects found under S3 URL "${uri}" given in input data source. Please ensure that the ` +
      `bucket exists in the selected region (${REGION}), that objects exist under that S3 prefix, and that the role ` +
      `"${role}" has "s3:ListBucket" permissions on bucket "${bucket}". Error message from S3: ${why}`,
  );
}

async function read(
  s3: S3Client,
  { bucket, key }: { bucket: string; key: string },
  { TransformInput }: TransformDefinition,
  signal: AbortSignal,
): Promise<Buffer> {
  const where = `s3://${bucket}/${key}`;
  let bytes: Buffer;
  try {
    const object = await s3.send(new GetObjectCommand({ Bucket: bucket, Key: key }), { abortSignal: signal });
    if ((object.ContentLength ?? 0) > MOST_BYTES) throw new Error(`more than ${MOST_BYTES} bytes`);
    bytes = Buffer.from((await object.Body?.transformToByteArray()) ?? []);
  } catch (cause) {
    signal.throwIfAborted();
    const { name, message } = cause as Error;
    throw new JobError(`ClientError: Unable to read data from ${where}: ${name}: ${message}`, { cause });
  }
  if (TransformInput.CompressionType === 'None') return bytes;
  return promisify(gunzip)(bytes, { maxOutputLength: MOST_BYTES }).catch((cause: Error) => {
    throw new JobError(`ClientError: ${where} is not compressed with Gzip: ${cause.message}`, { cause });
  });
}

async function write(
  s3: S3Client,
  key: string,
  output: Buffer,
  { TransformInput, TransformOutput }: TransformDefinition,
  signal: AbortSignal,
): Promise<void> {
  const { bucket, key: prefix } = parseS3Uri(TransformOutput.S3OutputPath);
  const relative = relativeTo(parseS3Uri(TransformInput.DataSource.S3DataSource.S3Uri).key, key);
  const Key = [...prefix.split('/').filter(Boolean), `${relative}.out`].join('/');
  const encryption = TransformOutput.KmsKeyId && {
    ServerSideEncryption: 'aws:kms' as const,
    SSEKMSKeyId: TransformOutput.KmsKeyId,
  };
  try {
    await s3.send(new PutObjectCommand({ Bucket: bucket, Key, Body: output, ...encryption }), {
      abortSignal: signal,
    });
  } catch (cause) {
    signal.throwIfAborted();
    const { name, message } = cause as Error;
    throw new JobError(`ClientError: Unable to write output to s3://${bucket}/${Key}: ${name}: ${message}`, {
      cause,
    });
  }
}

/** What of a key is below the folder that the input's prefix names, or is in. */
function relativeTo(prefix: string, key: string): string {
  const folder = key.startsWith(`${prefix}/`) ? prefix.length + 1 : prefix.lastIndexOf('/') + 1;
  return key.slice(folder);
}

/** An answer of the container that is no prediction. */
class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly answer: Answer;

  constructor(answer: Answer) {
    super(`status ${answer.status}`);
    this.answer = answer;
  }
}

async function transformObject(
  input: Buffer,
  definition: TransformDefinition,
  container: Container,
  signal: AbortSignal,
): Promise<Buffer> {
  const { ContentType } = definition.TransformInput;
  const { Accept, AssembleWith } = definition.TransformOutput;
  const headers = {
    ...(ContentType !== undefined && { 'content-type': ContentType }),
    ...(Accept !== undefined && { accept: Accept }),
  };
  const { InvocationsTimeoutInSeconds = 600, InvocationsMaxRetries = 3 } = definition.ModelClientConfig ?? {};
  const invoke = async (payload: Buffer, retries: number): Promise<Buffer> => {
    try {
      const answer = await container.invoke(payload, headers, {
        timeoutMs: InvocationsTimeoutInSeconds * 1000,
        signal,
      });
      if (answer.status >= 200 && answer.status < 300) return answer.body;
      throw new Refusal(answer);
    } catch (error) {
      const isFinal = error instanceof Refusal && error.answer.status < 500;
      if (retries === 0 || isFinal || signal.aborted) throw error;
      return invoke(payload, retries - 1);
    }
  };
  const parts = await inOrder(
    batchesOf(input, definition),
    definition.MaxConcurrentTransforms || 1,
    async ({ records, payload }) => {
      const answer = await invoke(payload, InvocationsMaxRetries);
      const result = processed(records, answer, definition);
      return AssembleWith === 'Line' && result.at(-1) !== NEWLINE ? [result, Buffer.from('\n')] : [result];
    },
  );
  return Buffer.concat(parts.flat());
}
