import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gunzipSync } from 'node:zlib';
import * as z from 'zod';
import { GateInputError } from '../../functions/shared/errors.ts';
import {
  type Caller,
  type HttpAnswer,
  type HttpRequest,
  ServiceError,
  structure,
  validate,
} from './service.ts';

/** The longest request in bytes, before and after it is unpacked. */
const MOST_BYTES = 10 * 1024 * 1024;

/** What a server serves. */
export interface Service {
  /** Within a sentence: `the local SageMaker`. */
  name: string;
  /** Of AWS JSON: `1.0` or `1.1`. */
  jsonVersion: string;
  /** What may come before the dot and the operation in `X-Amz-Target`. */
  targets: readonly string[];
  /** Whether it has an operation; asked before {@link Service.operate}. */
  has(operation: string): boolean;
  /** @throws ServiceError */
  operate(operation: string, input: unknown, caller: Caller): Promise<object>;
  /** Answers another path; undefined where there is nothing. */
  route?(request: HttpRequest, caller: Caller): Promise<HttpAnswer | undefined>;
  /** Takes a fault of its own that was asked for; undefined where it is an error of an operation. */
  fault?(input: unknown): Promise<object | undefined>;
  /** Answers a path of the sandbox's own, below `/_sandbox/`; undefined where there is nothing. */
  administer?(path: string, input: unknown): Promise<object> | undefined;
  /** Whose an access key is; undefined where it is nobody's. */
  identify(accessKeyId: string): Promise<Caller | undefined>;
  /** Further headers of an error. */
  errorHeaders?(error: ServiceError): Record<string, string>;
  log(line: string): void;
}

/** An error that operations answer with instead of running. */
const fault = structure({
  operation: z.string().min(1).max(100),
  type: z.string().min(1).max(100),
  message: z.string().max(1_000).default('This error was asked for.'),
  status: z.int().min(400).max(599).default(400),
  /** How many calls it is for; 0 takes back what was asked for. */
  times: z.union([z.int().min(0).max(1_000), z.literal('always')]),
});

/**
 * Serves a service of AWS that speaks AWS JSON, over plain HTTP on 127.0.0.1.
 *
 * Who calls is read from the access key in the request's signature. The signature itself is not verified: whoever can
 * reach the loopback device is trusted not to claim another's key. Pages in a browser cannot: no request that one may
 * send across origins has the headers that are asked for here.
 *
 * Of its own it answers `POST /_sandbox/faults`: the next calls of an operation fail with a given error.
 */
export class AwsServer {
  readonly #service: Service;
  readonly #server: Server;
  readonly #faults = new Map<string, z.output<typeof fault>>();

  constructor(service: Service) {
    this.#service = service;
    this.#server = createServer((request, response) => void this.#serve(request, response));
  }

  /** Listens on a free port of the loopback device, and returns it. */
  async listen(): Promise<number> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject).listen(0, '127.0.0.1', resolve);
    });
    return (this.#server.address() as AddressInfo).port;
  }

  /** Ends every connection. */
  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { url = '/', method = '' } = request;
    const headers = Object.fromEntries(
      Object.entries(request.headers).map(([name, value]) => [name, String(value)]),
    );
    const gone = new AbortController();
    response.once('close', () => gone.abort(new Error('the client went away')));
    const {
      status,
      headers: answered,
      body,
    } = await this.#answer(headers, `${method} ${url}`, async () => {
      const asked = { method, path: pathOf(url), headers, body: await read(request), signal: gone.signal };
      guardOrigin(headers);
      return asked;
    });
    response.writeHead(status, { 'x-amzn-requestid': randomUUID(), ...answered });
    response.end(body);
  }

  /** Answers a request of this process, as if it had come over HTTP. */
  answer(request: HttpRequest): Promise<HttpAnswer> {
    return this.#answer(request.headers, `${request.method} ${request.path}`, async () => request);
  }

  /**
   * @param line the first of the request, for the log
   * @param read the request; its errors are answered like those of the operation
   */
  async #answer(
    headers: HttpRequest['headers'],
    line: string,
    read: () => Promise<HttpRequest>,
  ): Promise<HttpAnswer> {
    const started = performance.now();
    const { targets, log } = this.#service;
    const [target = '', name] = (headers['x-amz-target'] ?? '').split('.');
    const operation = targets.includes(target) ? name : undefined;
    const what = operation ?? line;
    let answer: HttpAnswer;
    let outcome: string;
    try {
      const asked = await read();
      answer = operation === undefined ? await this.#route(asked) : await this.#operate(operation, asked);
      outcome = String(answer.status);
    } catch (error) {
      const known = this.#asServiceError(error);
      if (known.status >= 500) log(`${what}: ${(error as Error).stack}`);
      answer = this.#errorAnswer(known);
      outcome = `${known.type}: ${known.message}`;
    }
    // What was sent may be nobody's business: the environment of a container, say.
    const said = outcome.replace(/Value '.*?' at/gs, 'Value at');
    log(`${what} ${said} (${Math.round(performance.now() - started)} ms)`);
    return answer;
  }

  async #operate(operation: string, { headers, body }: HttpRequest): Promise<HttpAnswer> {
    const service = this.#service;
    const caller = await this.#identify(headers);
    if (!service.has(operation)) {
      const { name } = service;
      throw new ServiceError(
        'UnknownOperationException',
        `${name.charAt(0).toUpperCase()}${name.slice(1)} has no operation ${operation}.`,
      );
    }
    this.#fail(operation);
    const result = await service.operate(operation, parseJson(body), caller);
    return { status: 200, headers: this.#contentType(), body: JSON.stringify(result) };
  }

  async #route(request: HttpRequest): Promise<HttpAnswer> {
    const { path, headers } = request;
    if (path.startsWith('/_sandbox/')) {
      const body = JSON.stringify(await this.#administer(request));
      return { status: 200, headers: { 'content-type': 'application/json' }, body };
    }
    const answer = await this.#service.route?.(request, await this.#identify(headers));
    return answer ?? nothingAt(path);
  }

  async #administer({ method, path, headers, body }: HttpRequest): Promise<object> {
    if (method !== 'POST' || !headers['content-type']?.startsWith('application/json')) {
      throw new ServiceError('ValidationException', `POST JSON to ${path}.`);
    }
    const input = parseJson(body);
    if (path !== '/_sandbox/faults')
      return (await this.#service.administer?.(path, input)) ?? nothingAt(path);
    const own = await this.#service.fault?.(input);
    if (own !== undefined) return own;
    const asked = validate(fault, input);
    if (asked.times === 0) this.#faults.delete(asked.operation);
    else this.#faults.set(asked.operation, asked);
    return {};
  }

  /** Throws the error that the next calls of an operation are to fail with. */
  #fail(operation: string): void {
    const asked = this.#faults.get(operation);
    if (asked === undefined) return;
    if (asked.times === 1) this.#faults.delete(operation);
    else if (asked.times !== 'always') asked.times--;
    throw new ServiceError(asked.type, asked.message, asked.status);
  }

  async #identify({ authorization = '' }: Readonly<Record<string, string>>): Promise<Caller> {
    const [, key] = /^AWS4-HMAC-SHA256 .*\bCredential=([^/,\s]+)\//.exec(authorization) ?? [];
    if (key === undefined) {
      throw new ServiceError('MissingAuthenticationTokenException', 'Missing Authentication Token', 403);
    }
    const caller = await this.#service.identify(key);
    if (caller !== undefined) return caller;
    throw new ServiceError(
      'UnrecognizedClientException',
      'The security token included in the request is invalid.',
    );
  }

  #asServiceError(error: unknown): ServiceError {
    if (error instanceof ServiceError) return error;
    if (error instanceof GateInputError) return new ServiceError('ValidationException', error.message);
    const { name } = this.#service;
    return new ServiceError('InternalFailure', `A bug of ${name}: ${(error as Error).message}`, 500);
  }

  /** Both protocols find the error here: AWS JSON in `__type`, REST in the header. */
  #errorAnswer(error: ServiceError): HttpAnswer {
    const { type, message, status } = error;
    return {
      status,
      headers: {
        ...this.#contentType(),
        'x-amzn-errortype': type,
        ...this.#service.errorHeaders?.(error),
      },
      body: JSON.stringify({ __type: type, message }),
    };
  }

  #contentType(): Record<string, string> {
    return { 'content-type': `application/x-amz-json-${this.#service.jsonVersion}` };
  }
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

/** The body of a request, unpacked: SDKs compress large ones. */
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
  const body = Buffer.concat(chunks);
  if (request.headers['content-encoding'] !== 'gzip') return body;
  try {
    return gunzipSync(body, { maxOutputLength: MOST_BYTES });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') throw tooLarge;
    throw new ServiceError('SerializationException', 'The request is not compressed as it says.');
  }
}

function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.length === 0 ? '{}' : body.toString());
  } catch {
    throw new ServiceError('SerializationException', 'The request is not JSON.');
  }
}

function nothingAt(path: string): never {
  throw new ServiceError('UnknownOperationException', `There is nothing at ${path}.`, 404);
}
