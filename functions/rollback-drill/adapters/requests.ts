import type { SageMakerRuntimeClient } from '@aws-sdk/client-sagemaker-runtime';
import { CLIENT_OPTIONS } from '../../shared/aws.ts';
import { messageOf } from '../../shared/errors.ts';
import { clip } from '../../shared/format.ts';
import { ask } from '../../shared/golden.ts';
import type { GoldenRequest } from '../../shared/prediction.ts';
import type { EndpointState } from '../endpoint.ts';
import type { Fingerprint, Request, Slice } from '../measurements.ts';
import { whoOf } from '../prediction.ts';
import { isSameState } from '../timeline.ts';

/*
 * The background traffic, which is made of golden requests.
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
