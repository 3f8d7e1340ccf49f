import { setTimeout as sleep } from 'node:timers/promises';
import {
  allOf,
  isFinal,
  keepable,
  OutOfTimeError,
  type Patience,
  pauseMs,
  retryPauseMs,
  type Workflow,
} from './workflow.ts';

export interface InProcessOptions {
  /** Of the execution. The retries of one Lambda event have one request id. */
  id: string;
  /**
   * When to give up, milliseconds since 1970: whatever runs then is abandoned with an {@link OutOfTimeError}, and the
   * rest of the process's time is for the steps that clean up. Left out: never.
   */
  deadline?: number;
  /** For tests: the clock, milliseconds since 1970, and how to wait. */
  now?: () => number;
  sleep?: (ms: number, signal?: AbortSignal) => Promise<unknown>;
  /** Uniform, 0 to 1. */
  random?: () => number;
}

/**
 * A workflow that one process carries: for the command line, tests, and regions without Lambda durable functions. It
 * waits with timers, and keeps nothing: after a crash a retry begins again, with the same id.
 */
export class InProcessWorkflow implements Workflow {
  readonly id: string;
  readonly #deadline: number;
  readonly #now: () => number;
  readonly #sleep: NonNullable<InProcessOptions['sleep']>;
  readonly #random: () => number;

  constructor(options: InProcessOptions) {
    this.id = options.id;
    this.#deadline = options.deadline ?? Number.POSITIVE_INFINITY;
    this.#now = options.now ?? Date.now;
    this.#sleep = options.sleep ?? ((ms, signal) => sleep(ms, undefined, signal && { signal }));
    this.#random = options.random ?? Math.random;
  }

  async step<T>(name: string, work: () => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      try {
        return keepable(name, await this.#inTime(name, work));
      } catch (error) {
        if (isFinal(error, attempt)) throw error;
        await this.wait(name, retryPauseMs(attempt, this.#random()));
      }
    }
  }

  async wait(name: string, ms: number): Promise<void> {
    if (this.#now() + ms > this.#deadline) throw this.#outOfTime(name);
    await this.#sleep(ms);
  }

  async waitUntil<T>(
    name: string,
    ask: () => Promise<T | undefined>,
    patience: Patience,
  ): Promise<T | undefined> {
    const end = this.#now() + patience.timeoutMs;
    for (let asked = 1; ; asked++) {
      const answer = await this.step(name, ask);
      if (answer !== undefined) return answer;
      const left = end - this.#now();
      if (left <= 0) return undefined;
      await this.wait(name, Math.min(pauseMs(patience, asked), left));
    }
  }

  map<T, R>(
    _name: string,
    items: readonly T[],
    part: (workflow: Workflow, item: T, index: number) => Promise<R>,
  ): Promise<R[]> {
    return allOf(items.map((item, index) => part(this, item, index)));
  }

  /** Waits for `work` until the deadline. What begins after the deadline is clean-up, and gets what time there is. */
  async #inTime<T>(name: string, work: () => Promise<T>): Promise<T> {
    const left = this.#deadline - this.#now();
    if (left <= 0 || left === Number.POSITIVE_INFINITY) return work();
    const done = new AbortController();
    const end = this.#sleep(left, done.signal).then(
      () => {
        throw this.#outOfTime(name);
      },
      // The work was done first, and has stopped the timer.
      () => new Promise<never>(() => {}),
    );
    try {
      return await Promise.race([work(), end]);
    } finally {
      done.abort();
    }
  }

  #outOfTime(name: string): OutOfTimeError {
    return new OutOfTimeError(`out of time at "${name}": one invocation has to do it all here`, {
      help: 'Set workflow: durable in tocsin.yaml where the region has Lambda durable functions, or make the work smaller.',
    });
  }
}
