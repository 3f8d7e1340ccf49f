import { DescribeEndpointCommand, type SageMakerClient } from '@aws-sdk/client-sagemaker';
import {
  InvokeEndpointCommand,
  type ModelError,
  type SageMakerRuntimeClient,
} from '@aws-sdk/client-sagemaker-runtime';
import { CLIENT_OPTIONS, dependencyError, mapLimit } from '../../shared/aws.ts';
import { GateInputError, messageOf } from '../../shared/errors.ts';
import { clip } from '../../shared/format.ts';
import { isGone } from '../../shared/sagemaker.ts';
import type { Value } from '../generator.ts';

/*
 * A staging endpoint of SageMaker: records as it takes them, and sending them.
 */

/** SageMaker takes a body of at most 6,291,456 bytes. */
const MAX_BODY_BYTES = 6_000_000;

/** Requests at a time: staging endpoints are small. */
const CONCURRENCY = 4;

/** A model may take 60 s to answer. */
const ANSWER_MS = 65_000;

/** What is kept of the words of a model. */
const REASON = 300;

/** Options of the client that invokes endpoints. */
export const RUNTIME_OPTIONS = {
  ...CLIENT_OPTIONS,
  maxAttempts: 3,
  requestHandler: { ...CLIENT_OPTIONS.requestHandler, requestTimeout: ANSWER_MS, socketTimeout: ANSWER_MS },
};

/** How an endpoint takes records. */
export interface RecordFormat {
  /** Names of the values of a record. */
  features: readonly string[];
  content: 'text/csv' | 'application/jsonlines';
  /** Records of one request, at most. */
  perRequest: number;
}

/** The body of one request. */
export interface Body {
  text: string;
  /** Its records, by number: from `from`, up to before `to`. */
  from: number;
  to: number;
}

/**
 * Puts records into the bodies of requests, below 6 MB each: CSV without a header, where null is an empty field, or an
 * object a line, of values by name.
 *
 * @throws GateInputError where a record cannot be written, or is longer than a request may be
 */
export function bodiesOf(records: readonly (readonly Value[])[], format: RecordFormat): Body[] {
  const bodies: Body[] = [];
  let lines: string[] = [];
  let bytes = 0;
  const flush = (to: number) => {
    if (lines.length > 0) bodies.push({ text: lines.join('\n'), from: to - lines.length, to });
    lines = [];
    bytes = 0;
  };
  for (const [index, record] of records.entries()) {
    const line = format.content === 'text/csv' ? csvLine(record) : jsonLine(record, format.features);
    const size = Buffer.byteLength(line) + 1;
    if (size > MAX_BODY_BYTES) {
      throw new GateInputError(`a record has ${size} bytes, and an endpoint takes ${MAX_BODY_BYTES} at most`);
    }
    if (lines.length >= format.perRequest || bytes + size > MAX_BODY_BYTES) flush(index);
    lines.push(line);
    bytes += size;
  }
  flush(records.length);
  return bodies;
}

function csvLine(record: readonly Value[]): string {
  const cells = record.map((value) => {
    const text = value === null ? '' : String(value);
    if (/[\r\n\0]/.test(text))
      throw unwritable('a value has a line end or a NUL, which no record of CSV may have');
    return text !== value || !/^$|[",]|^\s|\s$/.test(text) ? text : `"${text.replaceAll('"', '""')}"`;
  });
  const line = cells.join(',');
  if (line === '') throw unwritable('its only feature has no value: the record would be an empty line');
  return line;
}

function unwritable(why: string): GateInputError {
  return new GateInputError(`a synthetic record cannot be written as text/csv: ${why}`, {
    help: 'Use traffic.content: application/jsonlines, or leave the feature out.',
  });
}

function jsonLine(record: readonly Value[], features: readonly string[]): string {
  return JSON.stringify(
    Object.fromEntries(features.map((feature, index) => [feature, record[index] ?? null])),
  );
}

/**
 * Sends bodies to an endpoint, four at a time, to whichever variant its weights say. Requests that fail are counted.
 *
 * @param mark says whose requests they are: part of the inference id, which is captured with each, at most 50 letters,
 * digits and hyphens
 * @returns the bodies that failed, by their first record
 * @throws GateInputError where all fail because the model refuses the records
 * @throws GateDependencyError where all fail for another reason
 */
export async function sendBodies(
  runtime: SageMakerRuntimeClient,
  bodies: readonly Body[],
  { endpoint, content, mark }: { endpoint: string; content: string; mark: string },
): Promise<number[]> {
  const errors: { from: number; error: unknown }[] = [];
  await mapLimit(bodies, CONCURRENCY, async ({ text, from }) => {
    try {
      await runtime.send(
        new InvokeEndpointCommand({
          EndpointName: endpoint,
          ContentType: content,
          Body: text,
          InferenceId: `${mark}-${from}`,
        }),
      );
    } catch (error) {
      errors.push({ from, error });
    }
  });
  const [first] = errors;
  if (first !== undefined && errors.length === bodies.length) throw refusal(endpoint, first.error);
  return errors.map(({ from }) => from).sort((a, b) => a - b);
}

function refusal(endpoint: string, error: unknown): Error {
  const { OriginalStatusCode = 0, OriginalMessage } = error as Partial<ModelError>;
  const refused =
    (error as Error).name === 'ValidationError' || (OriginalStatusCode >= 400 && OriginalStatusCode < 500);
  if (!refused) return dependencyError(`InvokeEndpoint ${endpoint}`, error);
  return new GateInputError(
    `the endpoint ${endpoint} refuses every synthetic record: ${clip(OriginalMessage ?? messageOf(error), REASON)}`,
    {
      cause: error,
      help: 'Compare traffic.features (names and order) and traffic.content with what the endpoint takes.',
    },
  );
}

/**
 * Makes sure that an endpoint serves.
 *
 * @throws GateInputError where there is none, or it is not InService
 * @throws GateDependencyError where SageMaker does not answer, or refuses
 */
export async function requireInService(sagemaker: SageMakerClient, endpoint: string): Promise<void> {
  let status: string | undefined;
  try {
    ({ EndpointStatus: status } = await sagemaker.send(
      new DescribeEndpointCommand({ EndpointName: endpoint }),
    ));
  } catch (error) {
    if (isGone(error)) {
      throw new GateInputError(`there is no endpoint ${endpoint} to send traffic to`, { cause: error });
    }
    throw dependencyError(`DescribeEndpoint ${endpoint}`, error);
  }
  if (status === 'InService') return;
  throw new GateInputError(
    `the endpoint ${endpoint} is ${status}, and takes traffic only while it is InService`,
    {
      help: 'Start the drill again when it serves.',
    },
  );
}
