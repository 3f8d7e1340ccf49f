import { GetObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import {
  InvokeEndpointCommand,
  type ModelError,
  type SageMakerRuntimeClient,
} from '@aws-sdk/client-sagemaker-runtime';
import * as z from 'zod';
import { type ObjectAddress, s3Uri } from './address.ts';
import { dependencyError, readBody, statusOf } from './aws.ts';
import { GateInputError } from './errors.ts';
import { formatBytes } from './format.ts';
import { sha256 } from './identity.ts';
import { type Golden, type GoldenRequest, MAX_ANSWER, type Prediction, predictionOf } from './prediction.ts';
import { parseJson, placeOf, strict } from './schema.ts';

/*
 * Golden requests: reading them, and asking one.
 */

export const MOST_GOLDEN = 50;
const MOST_BYTES = 256 * 1024;

const BODY = 'a text that is not empty, an object or a list';

const lineSchema = strict({
  body: z.union([z.string().min(1, BODY), z.array(z.unknown()), z.record(z.string(), z.unknown())], {
    error: BODY,
  }),
  prediction: z.unknown().optional(),
});

/**
 * The bucket and the key of golden requests.
 *
 * @param dataBucket that Tocsin has created, if it has
 * @throws GateInputError where nobody says which bucket
 */
export function goldenPlace(golden: string, dataBucket: string | undefined): ObjectAddress {
  const { bucket = dataBucket, key } = placeOf(golden);
  if (bucket === undefined) {
    throw new GateInputError(`golden: ${golden} names no bucket, and Tocsin has created none`, {
      help: 'Write s3://bucket/key.',
    });
  }
  return { bucket, key };
}

/**
 * Reads the golden requests: 1 to 50 lines of JSON, at most 256 KB. A body that is no text is sent as its JSON. A recorded
 * prediction that is a text is read as the text of an answer.
 *
 * @throws GateInputError where there is no such object, or a line is no golden request; names the line
 * @throws GateDependencyError where S3 does not answer, or refuses
 */
export async function readGolden(s3: S3Client, place: ObjectAddress): Promise<Golden> {
  const uri = s3Uri(place);
  const { bytes, version } = await readObject(s3, place);
  const lines = textOf(bytes, uri).split(/\r?\n/);
  const requests: GoldenRequest[] = [];
  const seen = new Map<string, number>();
  for (const [index, line] of lines.entries()) {
    if (line.trim() === '') continue;
    const where = `${uri}:${index + 1}`;
    const request = requestOf(line, where);
    const first = seen.get(request.body);
    if (first !== undefined) throw new GateInputError(`${where} has the same body as line ${first}`);
    seen.set(request.body, index + 1);
    requests.push(request);
    if (requests.length > MOST_GOLDEN) {
      throw new GateInputError(`${where} is one golden request too many: expected at most ${MOST_GOLDEN}`);
    }
  }
  if (requests.length === 0) throw new GateInputError(`${uri} has no golden requests: expected at least one`);
  return { uri, version, sha256: sha256(bytes), requests };
}

function requestOf(line: string, where: string): GoldenRequest {
  const { body, prediction } = parseJson(lineSchema, line, where);
  return {
    body: typeof body === 'string' ? body : JSON.stringify(body),
    ...(prediction !== undefined && {
      prediction: typeof prediction === 'string' ? predictionOf(prediction) : prediction,
    }),
  };
}

async function readObject(s3: S3Client, place: ObjectAddress): Promise<{ bytes: Buffer; version: string }> {
  const uri = s3Uri(place);
  try {
    const answer = await s3.send(new GetObjectCommand({ Bucket: place.bucket, Key: place.key }));
    const { ContentLength = 0, VersionId, ETag = '' } = answer;
    if (ContentLength > MOST_BYTES) {
      throw new GateInputError(
        `${uri} has ${formatBytes(ContentLength)}: expected at most ${formatBytes(MOST_BYTES)} of golden requests`,
      );
    }
    // A bucket that has stopped to keep versions calls each of them null.
    const version = VersionId === undefined || VersionId === 'null' ? ETag : VersionId;
    return { bytes: await readBody(answer.Body, ContentLength), version };
  } catch (error) {
    if (statusOf(error) === 404) {
      throw new GateInputError(`there is no ${uri} with golden requests`, {
        cause: error,
        help: 'Upload it, or correct golden in tocsin.yaml.',
      });
    }
    throw dependencyError(`GetObject ${uri}`, error);
  }
}

function textOf(bytes: Buffer, uri: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new GateInputError(`${uri} is not UTF-8`, { cause });
  }
}

// ---------------------------------------------------------------------------------------------------------
// One request
// ---------------------------------------------------------------------------------------------------------

/** What is asked. */
export interface Question {
  endpoint: string;
  /** Media type of the body. */
  content: string;
  body: string;
  /** Asked whatever the weights are; absent: whichever variant the weights choose. */
  variant?: string;
  /** Inference id, which is captured with the request: at most 64 characters. */
  mark: string;
}

/** `error` is the class of what went wrong, such as `ModelError 500` or `TimeoutError`: never what a model said. */
export type Answer = { prediction: Prediction; variant: string | null } | { error: string };

/** Asks an endpoint. It throws nothing: a request that fails has an answer, too. */
export async function ask(
  runtime: SageMakerRuntimeClient,
  { endpoint, content, body, variant, mark }: Question,
): Promise<Answer> {
  try {
    const { Body, InvokedProductionVariant = null } = await runtime.send(
      new InvokeEndpointCommand({
        EndpointName: endpoint,
        ContentType: content,
        Body: body,
        ...(variant !== undefined && { TargetVariant: variant }),
        InferenceId: mark,
      }),
    );
    const answer = new TextDecoder().decode(Body);
    if (answer.length > MAX_ANSWER) return { error: 'AnswerTooLong' };
    return { prediction: predictionOf(answer), variant: InvokedProductionVariant };
  } catch (error) {
    return { error: errorClass(error) };
  }
}

/** Names of errors come from the wire: only what looks like one is kept. */
function errorClass(error: unknown): string {
  const { name, code, OriginalStatusCode } = (error ?? {}) as Partial<ModelError> & { code?: unknown };
  if (name === 'ModelError') {
    return OriginalStatusCode === undefined ? name : `ModelError ${OriginalStatusCode}`;
  }
  // Of a connection that fails only the code says how.
  const said = [name === 'Error' ? undefined : name, code].find(
    (one) => typeof one === 'string' && /^\w{1,60}$/.test(one) && one !== 'UnknownError',
  );
  if (typeof said === 'string') return said;
  const status = statusOf(error);
  return status === undefined ? 'Error' : `HTTP ${status}`;
}
