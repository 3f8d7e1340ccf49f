import { setTimeout as sleep } from 'node:timers/promises';
import { AwsServer } from '../aws/server.ts';
import { host } from './hosting.ts';
import type { ImageRegistry } from './images.ts';
import {
  type Account,
  type Call,
  type Caller,
  type HttpAnswer,
  type HttpRequest,
  type Operation,
  ROOT_CALLER,
  type Route,
  State,
} from './service.ts';

/** What the server is made of. */
export interface Parts {
  /** Asked for with every request: the account may come up after the server. */
  account: () => Promise<Account>;
  images: ImageRegistry;
  operations: Readonly<Record<string, Operation>>;
  routes: readonly Route[];
  /** Takes a fault that is no error of an operation; undefined where it is one. */
  fault?: (input: unknown, call: Call) => Promise<object | undefined>;
  log: (line: string) => void;
  /** Milliseconds since 1970. */
  now?: () => number;
  wait?: (milliseconds: number, signal: AbortSignal) => Promise<void>;
  /** Starts models; by default as processes of this machine. */
  host?: typeof host;
}

/**
 * SageMaker's control plane (AWS JSON 1.1), and whatever else the routes serve, over plain HTTP on 127.0.0.1.
 *
 * Besides what SageMaker and {@link AwsServer} have, it answers `POST /_sandbox/images` (an image definition of
 * images.ts).
 */
export class SageMakerServer {
  readonly #parts: Parts;
  readonly #server: AwsServer;
  readonly #state = new State();
  readonly #end = new AbortController();
  readonly #background = new Set<Promise<void>>();

  constructor(parts: Parts) {
    this.#parts = parts;
    const { operations, routes, fault, images, log, account } = parts;
    this.#server = new AwsServer({
      name: 'the local SageMaker',
      jsonVersion: '1.1',
      // The second is Application Auto Scaling's, which speaks the same protocol.
      targets: ['SageMaker', 'AnyScaleFrontendService'],
      has: (name) => Object.hasOwn(operations, name),
      operate: async (name, input, caller) =>
        (operations[name] as Operation)(input, await this.#call(caller), name),
      route: async (request, caller) => {
        const call = await this.#call(caller);
        for (const route of routes) {
          const answer = await route(request, call);
          if (answer !== undefined) return answer;
        }
        return undefined;
      },
      fault: async (input) => fault?.(input, await this.#call(ROOT_CALLER)),
      administer: (path, input) => (path === '/_sandbox/images' ? images.register(input) : undefined),
      identify: async (key) => (await account()).identify(key),
      log,
    });
  }

  /** Listens on a free port of the loopback device, and returns it. */
  listen(): Promise<number> {
    return this.#server.listen();
  }

  /** Answers a request of this process, as if it had come over HTTP. */
  answer(request: HttpRequest): Promise<HttpAnswer> {
    return this.#server.answer(request);
  }

  /** Ends every job and connection, and waits until they have. */
  async close(): Promise<void> {
    this.#end.abort(new Error('the server ended'));
    await this.#server.close();
    await this.settled();
  }

  /** Waits until no job goes on. */
  async settled(): Promise<void> {
    while (this.#background.size > 0) await Promise.all(this.#background);
  }

  async #call(caller: Caller): Promise<Call> {
    const { images, log, now = Date.now, wait = defaultWait, host: start = host } = this.#parts;
    const account = await this.#parts.account();
    const { signal } = this.#end;
    const call: Call = {
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
      host: (model, options) => start(model, call, options),
    };
    return call;
  }
}

async function defaultWait(milliseconds: number, signal: AbortSignal): Promise<void> {
  await sleep(milliseconds, undefined, { signal });
}
