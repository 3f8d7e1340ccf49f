import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { Agent, type IncomingHttpHeaders, type IncomingMessage, request } from 'node:http';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { extract } from 'tar';
import { adopt, endGroup } from '../processes.ts';
import type { Image } from './images.ts';

/** How long a container may take until it answers `GET /ping` with 200. SageMaker waits for 8 minutes. */
const START_MS = 30_000;

/** How long one answer to `GET /ping` may take; of SageMaker. */
const PING_MS = 2_000;

/** The longest answer of a container that is kept, in bytes. */
const MOST_ANSWER = 256 * 1024 * 1024;

/** Bounds of an archive of a model: unpacked bytes, and entries. */
const MOST_UNPACKED = 4 * 1024 ** 3;
const MOST_ENTRIES = 10_000;

/**
 * Runs its arguments, and kills its process group as soon as standard input ends.
 *
 * That is when whoever started it is gone, however it ended: a container never outlives its server. The shell
 * becomes the program, so that signals and the exit code are those of the program.
 */
const GUARDED = 'exec 3<&0; { read -r _ <&3; kill -KILL 0; } >/dev/null 2>&1 & exec "$@" 3<&- </dev/null';

/** A container that does not do what SageMaker's contract asks of it. */
export class ContainerError extends Error {
  override readonly name = 'ContainerError';
  /** `exit`: it ended; `ping`: it did not become healthy; `timeout`: an answer took too long; `answer`: it broke off. */
  readonly kind: 'exit' | 'ping' | 'timeout' | 'answer';

  constructor(kind: ContainerError['kind'], message: string, options?: ErrorOptions) {
    super(message, options);
    this.kind = kind;
  }
}

/** How to start a container. */
export interface StartOptions {
  /** The container definition's own variables. Of the user's environment there is nothing but PATH. */
  env: Readonly<Record<string, string>>;
  /** Gets every line that it prints. */
  onLine?: ((line: string) => void) | undefined;
  /** Ends it. */
  signal?: AbortSignal | undefined;
}

/** What a container answered. */
export interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  body: Buffer;
}

/** A model's container that is running. */
export interface Container {
  /** Whether `GET /ping` gives 200. */
  ping(): Promise<boolean>;
  /**
   * `POST /invocations`.
   *
   * @throws ContainerError where it gives no whole answer within `timeoutMs`; the reason of `signal` where that aborts
   */
  invoke(
    body: Uint8Array,
    headers: Readonly<Record<string, string>>,
    options: { timeoutMs: number; signal?: AbortSignal | undefined },
  ): Promise<Answer>;
  /** Ends it, and everything that it started. */
  stop(): Promise<void>;
}

/**
 * Starts a container that serves a model, and waits until it is healthy.
 *
 * @param modelDirectory where model.tar.gz is unpacked
 * @throws ContainerError where it ends, or is not healthy after 30 s; the reason of `signal` where that aborts
 */
export async function serve(
  image: Image,
  {
    env,
    modelDirectory,
    onLine,
    signal,
    startMs = START_MS,
  }: StartOptions & { modelDirectory: string; startMs?: number },
): Promise<Container> {
  signal?.throwIfAborted();
  const port = await freePort();
  const running = await start(image, ['serve'], {
    env: {
      ...env,
      SM_MODEL_DIR: modelDirectory,
      SAGEMAKER_BIND_TO_PORT: String(port),
    },
    onLine,
    signal,
  });
  const agent = new Agent({ keepAlive: true });
  const call = { port, agent, alive: running.alive };
  const container: Container = {
    ping: () =>
      send({ ...call, method: 'GET', path: '/ping', timeoutMs: PING_MS }).then(
        ({ status }) => status === 200,
        () => false,
      ),
    invoke: (body, headers, options) =>
      send({ ...call, method: 'POST', path: '/invocations', body, headers, ...options }),
    stop: async () => {
      agent.destroy();
      await running.end();
    },
  };
  try {
    for (const deadline = Date.now() + startMs; !(await container.ping()); ) {
      signal?.throwIfAborted();
      if (!running.alive()) throw new ContainerError('exit', `The container ended. ${running.tail()}`.trim());
      if (Date.now() > deadline) {
        throw new ContainerError(
          'ping',
          `The container did not pass the ping health check in ${startMs / 1000} s.`,
        );
      }
      await sleep(25);
    }
    return container;
  } catch (error) {
    await container.stop();
    throw error;
  }
}

/** How a container that runs to its end has ended. */
export interface End {
  /** Exit code; null where a signal ended it. */
  code: number | null;
  /** The last 40 lines of its output. */
  tail: string;
}

/**
 * Runs a container to its end: a training job's.
 *
 * @throws the reason of `signal` where that aborts
 */
export async function runToEnd(
  image: Image,
  { args = ['train'], ...options }: StartOptions & { args?: readonly string[] },
): Promise<End> {
  options.signal?.throwIfAborted();
  const running = await start(image, args, options);
  const code = await running.ended;
  await running.end();
  options.signal?.throwIfAborted();
  return { code, tail: running.tail() };
}

/**
 * Unpacks model.tar.gz. Entries that would leave the directory, links and devices are refused.
 *
 * @throws Error that says what is wrong with the archive
 */
export async function unpackModel(archive: Readable, directory: string): Promise<void> {
  let entries = 0;
  let bytes = 0;
  let refused: string | undefined;
  await pipeline(
    archive,
    extract({
      cwd: directory,
      // Damage, and paths that are absolute or climb, are errors and not warnings.
      strict: true,
      preserveOwner: false,
      filter: (path, entry) => {
        entries++;
        bytes += entry.size;
        // Thrown here it would end the process.
        if (!('type' in entry) || !['File', 'OldFile', 'Directory'].includes(entry.type)) {
          refused ??= `${path} is neither a file nor a directory`;
        } else if (entries > MOST_ENTRIES) refused ??= `more than ${MOST_ENTRIES} entries`;
        else if (bytes > MOST_UNPACKED) refused ??= `more than ${MOST_UNPACKED} bytes`;
        return refused === undefined;
      },
    }),
  ).catch((error: unknown) => {
    // What was refused first is why the rest does not fit.
    if (refused === undefined) throw error;
  });
  if (refused !== undefined) throw new Error(refused);
}

interface Running {
  alive(): boolean;
  /** The exit code, when it has ended and all its output is read. */
  ended: Promise<number | null>;
  tail(): string;
  /** Ends its process group, and removes what it had on disk. */
  end(): Promise<void>;
}

async function start(
  image: Image,
  args: readonly string[],
  { env, onLine, signal }: StartOptions,
): Promise<Running> {
  const scratch = await mkdtemp(join(tmpdir(), 'container-'));
  const child = spawn('/bin/sh', ['-c', GUARDED, 'container', ...image.command, ...args], {
    cwd: scratch,
    env: { ...env, PATH: process.env.PATH ?? '', HOME: scratch, TMPDIR: scratch },
    detached: true,
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  adopt(child);
  const ended = once(child, 'close').then(([code]) => code as number | null);
  // Whoever waits for the end gets the error, too.
  ended.catch(() => undefined);
  child.stdin.on('error', () => undefined);

  const lines: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on('line', (line) => {
      lines.push(line);
      if (lines.length > 40) lines.shift();
      onLine?.(line);
    });
  }
  const end = async () => {
    signal?.removeEventListener('abort', abort);
    if (child.pid !== undefined && isRunning(child)) await endGroup(child.pid);
    await ended.catch(() => undefined);
    await rm(scratch, { recursive: true, force: true, maxRetries: 3 });
  };
  const abort = () => {
    void end();
    // Perhaps nobody waits for that.
    rmSync(scratch, { recursive: true, force: true });
  };
  signal?.addEventListener('abort', abort, { once: true });
  if (signal?.aborted) abort();
  return { alive: () => isRunning(child), ended, tail: () => lines.join('\n'), end };
}

function isRunning(child: ChildProcess): boolean {
  return child.exitCode === null && child.signalCode === null;
}

/** A port of 127.0.0.1 that nobody listened on just now. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

interface Sending {
  port: number;
  agent: Agent;
  alive: () => boolean;
  method: 'GET' | 'POST';
  path: string;
  headers?: Readonly<Record<string, string>>;
  body?: Uint8Array;
  timeoutMs: number;
  signal?: AbortSignal | undefined;
}

async function send({ alive, timeoutMs, signal, ...sending }: Sending): Promise<Answer> {
  signal?.throwIfAborted();
  // Another program may have the port by now.
  if (!alive()) throw new ContainerError('exit', 'The container has ended.');
  const time = AbortSignal.timeout(timeoutMs);
  try {
    return await exchange(sending, signal === undefined ? time : AbortSignal.any([signal, time]));
  } catch (cause) {
    if (signal?.aborted) throw signal.reason;
    if (time.aborted) {
      throw new ContainerError('timeout', `The container did not answer within ${timeoutMs / 1000} s.`, {
        cause,
      });
    }
    throw new ContainerError('answer', `The container broke off: ${(cause as Error).message}`, { cause });
  }
}

async function exchange(
  { body = Buffer.alloc(0), headers, ...options }: Omit<Sending, 'alive' | 'timeoutMs' | 'signal'>,
  signal: AbortSignal,
): Promise<Answer> {
  const sending = request({
    ...options,
    host: '127.0.0.1',
    headers: { ...headers, 'content-length': String(body.length) },
    signal,
  });
  // One that comes after the answer has begun is an error of the answer as well.
  sending.on('error', () => undefined);
  const answered = once(sending, 'response') as Promise<[IncomingMessage]>;
  sending.end(body);
  try {
    const [response] = await answered;
    const chunks: Buffer[] = [];
    let length = 0;
    for await (const chunk of response as AsyncIterable<Buffer>) {
      length += chunk.length;
      if (length > MOST_ANSWER) throw new Error(`an answer of more than ${MOST_ANSWER} bytes`);
      chunks.push(chunk);
    }
    return { status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks) };
  } catch (error) {
    // The container closed an idle connection just when it was taken again: it has seen nothing of the request.
    const isStale = sending.reusedSocket && (error as NodeJS.ErrnoException).code === 'ECONNRESET';
    if (isStale)
      return exchange({ body, ...(headers && { headers }), ...options, agent: new Agent() }, signal);
    throw error;
  }
}
