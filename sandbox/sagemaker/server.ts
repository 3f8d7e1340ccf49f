import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import * as z from 'zod';
import { GateInputError } from '../../functions/shared/errors.ts';
import type { ImageRegistry } from './images.ts';
import {
  type Account,
  type Call,
  type HttpAnswer,
  type HttpRequest,
  type Operation,
  type Route,
  ServiceError,
  State,
  structure,
  validate,
} from './service.ts';

/** The longest request, in bytes. The runtime has a lower limit of its own. */
const MOST_BYTES = 10 * 1024 * 1024;

/** What the server is made of. */
export interface Parts {
  /** Asked for with every request: the account may come up after the server. */
  account: () => Promise<Account>;
  images: ImageRegistry;
  operations: Readonly<Record<string, Operation>>;
  routes: readonly Route[];
  log: (line: string) => void;
  /** Milliseconds since 1970. */
  now?: () => number;
  wait?: (milliseconds: number, signal: AbortSignal) => Promise<void>;
}

/** An error that operations answer with instead of running. */
const fault = structure({
  operation: z.string().min(1).max(100),
  type: z.string().min(1).max(100),
  message: z.string().max(1_000).default('This error was asked for.'),
  status: z.int().min(400).max(599).default(400),
  /** How many calls it is for; 0 takes back what was asked for. */
  times: z.int().min(0).max(1_000),
});

/**
 * SageMaker's control plane (AWS JSON 1.1), and whatever else the routes serve, over plain HTTP on 127.0.0.1.
 *
 * Who calls is read from the access key in the request's signature. The signature itself is not verified: whoever can
 * reach the loopback device is trusted not to claim another's key. Pages in a browser cannot: no request that one may
 * send across origins has the headers that are asked for here.
 *
 * Besides SageMaker's own it answers `POST /_sandbox/images` (an image definition of images.ts) and
 * `POST /_sandbox/faults` (the next calls of an operation fail with a given error).
 */
export class SageMakerServer {
  readonly #parts: Parts;
  readonly #server: Server;
  readonly #state = new State();
  readonly #end = new AbortController();
  readonly #faults = new Map<string, z.output<typeof fault>>();
  readonly #background = new Set<Promise<void>>();

  constructor(parts: Parts) {
    this.#parts = parts;
    this.#server = createServer((request, response) => void this.#serve(request, response));
  }

  /** Listens on a free port of the loopback device, and returns it. */
  async listen(): Promise<number> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject).listen(0, '127.0.0.1', resolve);
    });
    return (this.#server.address() as AddressInfo).port;
  }

  /** Ends every job and connection, and waits until they have. */
  async close(): Promise<void> {
    this.#end.abort(new Error('the server ended'));
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
    await this.settled();
  }

  /** Waits until no job goes on. */
  async settled(): Promise<void> {
    while (this.#background.size > 0) await Promise.all(this.#background);
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const started = performance.now();
    const { url = '/', method = '' } = request;
    const target = String(request.headers['x-amz-target'] ?? '');
    const [, operation] = /^SageMaker\.(\w+)$/.exec(target) ?? [];
    const what = operation ?? `${method} ${url}`;
    const gone = new AbortController();
    response.once('close', () => gone.abort(new Error('the client went away')));
    let answer: HttpAnswer;
    let outcome: string;
    try {
      const body = await read(request);
      const headers = Object.fromEntries(
        Object.entries(request.headers).map(([name, value]) => [name, String(value)]),
      );
      const asked = { method, path: pathOf(url), headers, body, signal: gone.signal };
      guardOrigin(headers);
      answer = operation === undefined ? await this.#route(asked) : await this.#operate(operation, asked);
      outcome = String(answer.status);
    } catch (error) {
      const known = asServiceError(error);
      if (known.status >= 500) this.#parts.log(`${what}: ${(error as Error).stack}`);
      answer = errorAnswer(known);
      outcome = `${known.type}: ${known.message}`;
    }
    // What was sent may be nobody's business: the environment of a container, say.
    const said = outcome.replace(/Value '.*?' at/gs, 'Value at');
    this.#parts.log(`${what} ${said} (${Math.round(performance.now() - started)} ms)`);
    response.writeHead(answer.status, { 'x-amzn-requestid': randomUUID(), ...answer.headers });
    response.end(answer.body);
  }

  async #operate(name: string, { headers, body }: HttpRequest): Promise<HttpAnswer> {
    const call = await this.#call(headers);
    const run = Object.hasOwn(this.#parts.operations, name) ? this.#parts.operations[name] : undefined;
    if (run === undefined) {
      throw new ServiceError('UnknownOperationException', `The local SageMaker has no operation ${name}.`);
    }
    this.#fail(name);
    const result = await run(parseJson(body), call, name);
    return {
      status: 200,
      headers: { 'content-type': 'application/x-amz-json-1.1' },
      body: JSON.stringify(result),
    };
  }

  async #route(request: HttpRequest): Promise<HttpAnswer> {
    if (request.path.startsWith('/_sandbox/')) return json(await this.#administer(request));
    const call = await this.#call(request.headers);
    for (const route of this.#parts.routes) {
      const answer = await route(request, call);
      if (answer !== undefined) return answer;
    }
    throw new ServiceError('UnknownOperationException', `There is nothing at ${request.path}.`, 404);
  }

  async #administer({ method, path, headers, body }: HttpRequest): Promise<object> {
    if (method !== 'POST' || !headers['content-type']?.startsWith('application/json')) {
      throw new ServiceError('ValidationException', `POST JSON to ${path}.`);
    }
    if (path === '/_sandbox/images') return this.#parts.images.register(parseJson(body));
    if (path !== '/_sandbox/faults') {
      throw new ServiceError('UnknownOperationException', `There is nothing at ${path}.`, 404);
    }
    const asked = validate(fault, parseJson(body));
    if (asked.times === 0) this.#faults.delete(asked.operation);
    else this.#faults.set(asked.operation, asked);
    return {};
  }

  /** Throws the error that the next calls of an operation are to fail with. */
  #fail(operation: string): void {
    const asked = this.#faults.get(operation);
    if (asked === undefined) return;
    if (asked.times === 1) this.#faults.delete(operation);
    asked.times--;
    throw new ServiceError(asked.type, asked.message, asked.status);
  }

  async #call(headers: Readonly<Record<string, string>>): Promise<Call> {
    const { images, log, now = Date.now, wait = defaultWait } = this.#parts;
    const account = await this.#parts.account();
    const [, key] = /^AWS4-HMAC-SHA256 .*\bCredential=([^/,\s]+)\//.exec(headers.authorization ?? '') ?? [];
    if (key === undefined) {
      throw new ServiceError('MissingAuthenticationTokenException', 'Missing Authentication Token', 403);
    }
    const caller = await account.identify(key);
    if (caller === undefined) {
      throw new ServiceError(
        'UnrecognizedClientException',
        'The security token included in the request is invalid.',
      );
    }
    const { signal } = this.#end;
    return {
      state: this.#state,
      account,
      images,
      caller,
      now,
      signal,
      log,
      wait: (milliseconds) => wait(milliseconds, signal),
      background: (what, task) => {
        const done: Promise<void> = task()
          .catch((error: unknown) => {
            if (!signal.aborted) log(`${what}: ${(error as Error).stack}`);
          })
          .finally(() => this.#background.delete(done));
        this.#background.add(done);
      },
    };
  }
}

async function defaultWait(milliseconds: number, signal: AbortSignal): Promise<void> {
  await sleep(milliseconds, undefined, { signal });
}

/** Refuses what a page of another origin could have a browser send: a name that was made to lead to this machine. */
function guardOrigin({ host = '', origin }: Readonly<Record<string, string>>): void {
  if (/^(127\.0\.0\.1|localhost)(:\d+)?$/.test(host) && origin === undefined) return;
  throw new ServiceError('AccessDeniedException', 'Only programs on this machine are served.', 403);
}

/** The path of a request, decoded, without the query. */
function pathOf(url: string): string {
  try {
    return decodeURIComponent(url.replace(/\?.*$/s, ''));
  } catch {
    throw new ServiceError('ValidationException', `The path ${url} is not encoded as paths are.`);
  }
}

async function read(request: IncomingMessage): Promise<Buffer> {
  const tooLarge = new ServiceError('RequestEntityTooLargeException', `At most ${MOST_BYTES} bytes.`, 413);
  // Before anything is read: an answer to half a request may not get through.
  if (Number(request.headers['content-length'] ?? 0) > MOST_BYTES) throw tooLarge;
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MOST_BYTES) throw tooLarge;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.length === 0 ? '{}' : body.toString());
  } catch {
    throw new ServiceError('SerializationException', 'The request is not JSON.');
  }
}

function json(value: object): HttpAnswer {
  return { status: 200, headers: { 'content-type': 'application/json' }, body: JSON.stringify(value) };
}

function asServiceError(error: unknown): ServiceError {
  if (error instanceof ServiceError) return error;
  if (error instanceof GateInputError) return new ServiceError('ValidationException', error.message);
  return new ServiceError(
    'InternalFailure',
    `A bug of the local SageMaker: ${(error as Error).message}`,
    500,
  );
}

/** Both protocols find the error here: AWS JSON in `__type`, REST in the header. */
function errorAnswer({ type, message, status }: ServiceError): HttpAnswer {
  return {
    status,
    headers: { 'content-type': 'application/x-amz-json-1.1', 'x-amzn-errortype': type },
    body: JSON.stringify({ __type: type, message }),
  };
}
