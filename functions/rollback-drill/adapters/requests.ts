import { GetObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import {
  InvokeEndpointCommand,
  type ModelError,
  type SageMakerRuntimeClient,
} from '@aws-sdk/client-sagemaker-runtime';
import * as z from 'zod';
import { type ObjectAddress, s3Uri } from '../../shared/address.ts';
import { CLIENT_OPTIONS, dependencyError, readBody, statusOf } from '../../shared/aws.ts';
import { GateInputError, messageOf } from '../../shared/errors.ts';
import { clip, formatBytes } from '../../shared/format.ts';
import { sha256 } from '../../shared/identity.ts';
import { parseJson, strict } from '../../shared/schema.ts';
import type { EndpointState } from '../endpoint.ts';
import type { Fingerprint, Golden, GoldenRequest, Prediction, Request, Slice } from '../measurements.ts';
import { MAX_ANSWER, predictionOf, whoOf } from '../prediction.ts';
import { isSameState } from '../timeline.ts';

/*
 * Golden requests: reading them, asking one, and the background traffic that is made of them.
 */

/** Requests that are open at once. Beyond that an endpoint is not slow but stuck. */
const MOST_OPEN = 100;

/** Of a request of the traffic. A model may take longer, but nobody who waits for it does. */
const ANSWER_MS = 15_000;

/**
 * Options of the client that asks: each request is made once, since one that had to be made again was lost. It has a
 * connection for each request that may be open, so that none waits for another.
 */
export const TRAFFIC_OPTIONS = {
  ...CLIENT_OPTIONS,
  maxAttempts: 1,
  requestHandler: {
    ...CLIENT_OPTIONS.requestHandler,
    requestTimeout: ANSWER_MS,
    socketTimeout: ANSWER_MS,
    httpAgent: { keepAlive: true, maxSockets: MOST_OPEN },
    httpsAgent: { keepAlive: true, maxSockets: MOST_OPEN },
  },
};

// ---------------------------------------------------------------------------------------------------------
// Golden requests
// ---------------------------------------------------------------------------------------------------------

const MOST_GOLDEN = 50;
const MOST_BYTES = 256 * 1024;

const BODY = 'a text that is not empty, an object or a list';

const lineSchema = strict({
  body: z.union([z.string().min(1, BODY), z.array(z.unknown()), z.record(z.string(), z.unknown())], {
    error: BODY,
  }),
  prediction: z.unknown().optional(),
});

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
        help: 'Upload it, or correct golden of the drill.',
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

// ---------------------------------------------------------------------------------------------------------
// A slice of the background traffic
// ---------------------------------------------------------------------------------------------------------

/** How often the endpoint is looked at, and the stop conditions; and these again after they could not be read. */
const STATE_EVERY_MS = 2_000;
const STOP_EVERY_MS = 5_000;
const STOP_AGAIN_MS = 1_000;

/** Stop conditions that could not be read so often in a row are one themselves. */
const STOP_FAILURES = 3;

/** How often it is looked whether the slice is over, at least; and how late a request may begin. */
const PACE_MS = 250;

/** What is kept of why stop conditions could not be read. */
const REASON = 300;

/** What a slice takes. */
export interface SliceDependencies {
  /** Made with {@link TRAFFIC_OPTIONS}. */
  runtime: SageMakerRuntimeClient;
  /** The endpoint; null where there is none. */
  readState: () => Promise<EndpointState | null>;
  /** A stop condition that holds; null where none does. */
  readStop: () => Promise<string | null>;
  /** Milliseconds since 1970. */
  now: () => number;
  sleep: (ms: number) => Promise<unknown>;
}

/** Which traffic. */
export interface SliceRequest {
  endpoint: string;
  content: string;
  /** The golden requests, and the numbers of those that are sent, in turn; at least one. */
  requests: readonly GoldenRequest[];
  indexes: readonly number[];
  perSecond: number;
  /** How long it lasts at most; longer by what is still open then. */
  forMs: number;
  /** Whose answers are known. Without the bad model's everything that is not the previous one's is another's. */
  fingerprints: readonly Fingerprint[];
  tolerance: number;
  /** Of this slice alone: begins the inference ids of its requests. At most 59 characters. */
  mark: string;
  /** Whether there is nothing more to see; asked after answers and looks, four times a second at most. */
  until: (slice: Slice) => boolean;
}

/**
 * Sends untargeted golden requests at an even pace, and watches the endpoint meanwhile. It ends when its time is up, when
 * `until` holds, or on a stop condition; in any case not before each of its requests has ended.
 *
 * A look at the endpoint that fails is no state. Where an endpoint is so slow that 100 requests are open, no other begins
 * until one has ended.
 *
 * @returns requests in the order of their beginnings
 * @throws what `until` throws
 */
export async function sendSlice(deps: SliceDependencies, request: SliceRequest): Promise<Slice> {
  const traffic = new Traffic(deps, request);
  try {
    await traffic.run();
  } finally {
    await traffic.ended();
  }
  return traffic.slice();
}

/** Requests and looks that go on side by side; time passes in one place alone. */
class Traffic {
  readonly #deps: SliceDependencies;
  readonly #request: SliceRequest;
  readonly #from: number;
  /** Everything that was begun and has not ended. */
  readonly #open = new Set<Promise<void>>();
  readonly #requests: (Request & { n: number })[] = [];
  readonly #states: Slice['states'] = [];
  #stop: string | null = null;
  /** In a row. */
  #stopFailures = 0;
  #begun = 0;
  #openRequests = 0;
  /** Something was seen since `until` was asked. */
  #isNew = false;

  constructor(deps: SliceDependencies, request: SliceRequest) {
    this.#deps = deps;
    this.#request = request;
    this.#from = deps.now();
  }

  slice(): Slice {
    return {
      from: this.#from,
      to: this.#deps.now(),
      requests: this.#requests.toSorted((a, b) => a.n - b.n).map(({ n, ...request }) => request),
      states: [...this.#states],
      stop: this.#stop,
    };
  }

  /** Begins requests and looks when they are due, until the slice is over. */
  async run(): Promise<void> {
    const { perSecond, forMs, until } = this.#request;
    const end = this.#from + forMs;
    const everyMs = 1000 / perSecond;
    const state = new Look(this.#from, () => this.#lookAtState());
    const stop = new Look(this.#from, () => this.#lookAtStop());
    let requestAt = this.#from;
    let askAt = this.#from;
    for (;;) {
      const now = this.#deps.now();
      if (this.#isNew && now >= askAt) {
        this.#isNew = false;
        askAt = now + PACE_MS;
        if (until(this.slice())) return;
      }
      if (now >= end || this.#stop !== null) return;
      for (const look of [state, stop]) if (look.isDue(now)) this.#track(look.begin(this.#deps.now));
      // What could not begin in time is not made up for all at once.
      requestAt = Math.max(requestAt, now - PACE_MS);
      while (requestAt <= now && this.#openRequests < MOST_OPEN) {
        this.#track(this.#send());
        requestAt += everyMs;
      }
      const isFull = this.#openRequests >= MOST_OPEN;
      const next = Math.min(end, now + PACE_MS, isFull ? now + everyMs : requestAt, state.at, stop.at);
      await this.#deps.sleep(Math.max(1, Math.ceil(next - now)));
    }
  }

  /** Waits for everything that was begun. */
  async ended(): Promise<void> {
    while (this.#open.size > 0) await Promise.all(this.#open);
  }

  #track(work: Promise<void>): void {
    const tracked = work.finally(() => this.#open.delete(tracked));
    this.#open.add(tracked);
  }

  async #send(): Promise<void> {
    const { runtime, now } = this.#deps;
    const { endpoint, content, requests, indexes, perSecond, mark, fingerprints, tolerance } = this.#request;
    const n = this.#begun++;
    // Slices that are too short for all of them do not always send the same.
    const turn = Math.floor((this.#from * perSecond) / 1000) + n;
    const golden = indexes[turn % indexes.length] ?? 0;
    const body = requests[golden]?.body ?? '';
    const at = now();
    this.#openRequests++;
    const answer = await ask(runtime, { endpoint, content, body, mark: `${mark}-${n}` });
    this.#openRequests--;
    const ms = Math.round(now() - at);
    this.#isNew = true;
    if ('error' in answer) {
      this.#requests.push({ n, at, golden, ms, who: 'nobody', variant: null, error: answer.error });
      return;
    }
    const { prediction, variant } = answer;
    const who = whoOf(prediction, golden, fingerprints, tolerance);
    this.#requests.push({ n, at, golden, ms, who, variant, error: null });
  }

  async #lookAtState(): Promise<number> {
    try {
      const state = await this.#deps.readState();
      const before = this.#states.at(-1);
      if (before === undefined || !isSameState(before.state, state)) {
        this.#states.push({ at: state?.at ?? this.#deps.now(), state });
      }
      this.#isNew = true;
    } catch {
      // The next look may see it.
    }
    return STATE_EVERY_MS;
  }

  async #lookAtStop(): Promise<number> {
    try {
      this.#stop ??= await this.#deps.readStop();
      this.#stopFailures = 0;
      return STOP_EVERY_MS;
    } catch (error) {
      this.#stopFailures++;
      if (this.#stopFailures >= STOP_FAILURES) {
        this.#stop ??= `the stop conditions could not be read ${STOP_FAILURES} times in a row: ${clip(messageOf(error), REASON)}`;
      }
      return STOP_AGAIN_MS;
    }
  }
}

/** Something that is looked at again and again, once at a time. */
class Look {
  /** When it is due, milliseconds since 1970; never while it goes on. */
  at: number;
  readonly #look: () => Promise<number>;

  /** @param look answers after how many milliseconds from its beginning it is due again; it does not throw */
  constructor(at: number, look: () => Promise<number>) {
    this.at = at;
    this.#look = look;
  }

  isDue(now: number): boolean {
    return now >= this.at;
  }

  async begin(now: () => number): Promise<void> {
    const begunAt = now();
    this.at = Number.POSITIVE_INFINITY;
    const afterMs = await this.#look();
    this.at = Math.max(begunAt + afterMs, now());
  }
}
