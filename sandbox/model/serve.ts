import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import * as z from 'zod';
import type { Flights } from './features.ts';
import { classifier, MODEL_FILE, parseModel } from './model.ts';
import {
  type DistanceUnit,
  FORMATS,
  type Format,
  formatChances,
  parseFlights,
  RecordError,
} from './records.ts';

/** SageMaker sends no more at once. */
const MAX_BODY_BYTES = 100 * 2 ** 20;

/** A container that serves. */
export interface Serving {
  port: number;
  /** Ends it, and requests that are under way with it. */
  close(): Promise<void>;
}

/** An answer. */
interface Answer {
  status: number;
  type: string;
  body: string;
}

/** A request that is answered with a reason; the message says what to send instead. */
class RequestError extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

const environmentSchema = z.object({
  SM_MODEL_DIR: z.string().default('/opt/ml/model'),
  /** 0 takes any free port. */
  SAGEMAKER_BIND_TO_PORT: z.coerce.number().int().min(0).max(65_535).default(8080),
  /** The unit of distances in requests; the model knows miles. */
  DISTANCE_UNIT: z.enum(['miles', 'km']).default('miles'),
});

/**
 * The serving entry point of the container: `GET /ping` and `POST /invocations`, on the loopback interface.
 *
 * @throws Error where an environment variable is wrong, there is no model, or the port is taken
 */
export async function serve(env: NodeJS.ProcessEnv): Promise<Serving> {
  const parsed = environmentSchema.safeParse(env);
  if (!parsed.success) throw new Error(z.prettifyError(parsed.error));
  const { SM_MODEL_DIR, SAGEMAKER_BIND_TO_PORT, DISTANCE_UNIT } = parsed.data;
  const classify = classifier(parseModel(await readFile(join(SM_MODEL_DIR, MODEL_FILE), 'utf8')));

  const server: Server = createServer((request, response) => {
    void answer(request, classify, DISTANCE_UNIT).then(({ status, type, body }) => {
      response
        .writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(body) })
        .end(body);
    });
  });
  server.listen(SAGEMAKER_BIND_TO_PORT, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    close: async () => {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

async function answer(
  request: IncomingMessage,
  classify: (flights: Flights) => Float64Array,
  unit: DistanceUnit,
): Promise<Answer> {
  try {
    const path = `${request.method} ${request.url}`;
    if (path === 'GET /ping') return { status: 200, type: 'text/plain', body: '' };
    if (path !== 'POST /invocations') throw new RequestError(404, `no ${path}`);
    const input = FORMATS.find((format) => format === mediaType(request.headers['content-type']));
    if (input === undefined) throw new RequestError(415, `Content-Type: expected ${FORMATS.join(' or ')}`);
    const output = accepted(request.headers.accept, input);
    const body = await readBody(request);
    return {
      status: 200,
      type: output,
      body: formatChances(classify(parseFlights(body, input, unit)), output),
    };
  } catch (error) {
    const status = error instanceof RequestError ? error.status : error instanceof RecordError ? 400 : 500;
    return { status, type: 'text/plain', body: `${(error as Error).message}\n` };
  }
}

/** `text/csv` of `Text/CSV; charset=utf-8`. */
function mediaType(header: string | undefined): string | undefined {
  return header?.split(';')[0]?.trim().toLowerCase();
}

/**
 * The format to answer in: the first acceptable one, and that of the request where any will do.
 *
 * @throws RequestError
 */
function accepted(header: string | undefined, input: Format): Format {
  const wanted = header === undefined || header === '' ? ['*/*'] : header.split(',').map(mediaType);
  for (const type of wanted) {
    if (type === '*/*') return input;
    const format = FORMATS.find((known) => known === type);
    if (format !== undefined) return format;
  }
  throw new RequestError(406, `Accept: expected ${FORMATS.join(' or ')}`);
}

/** @throws RequestError */
async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_BODY_BYTES) throw new RequestError(413, 'at most 100 MB at once');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
