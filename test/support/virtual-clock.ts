import { setImmediate as realImmediate } from 'node:timers/promises';
import { vi } from 'vitest';

interface Timer {
  at: number;
  fire: () => void;
}

/**
 * Time that passes only while somebody waits for it, and only once everything that could be done without it is done.
 *
 * `Date`, `setTimeout` and `setImmediate` follow it, those of libraries too. What reads a disk or a socket is outside of it:
 * time would pass meanwhile.
 */
export class VirtualClock {
  #time: number;
  /** By their times; those of one time in the order in which they were set. */
  readonly #timers: Timer[] = [];
  #waiting = 0;
  #driving = false;
  /** Callbacks of `setImmediate` that have not been called. */
  #immediates = 0;
  /** Where somebody has moved `Date` on to: what was to happen until then has yet to. */
  #skippedTo: number | undefined;

  /** @param time milliseconds since 1970 */
  constructor(time: number) {
    this.#time = time;
    vi.useFakeTimers({ toFake: ['Date'], now: time });
    const timerOf = (callback: (...args: unknown[]) => void, ms = 0, ...args: unknown[]) => {
      const cancel = this.at(this.#time + Math.max(0, ms), () => callback(...args));
      const handle = { cancel, ref: () => handle, unref: () => handle, hasRef: () => false };
      return handle;
    };
    vi.stubGlobal('setTimeout', timerOf);
    vi.stubGlobal('clearTimeout', (handle: { cancel?: () => void } | undefined) => handle?.cancel?.());
    vi.stubGlobal('setImmediate', (callback: (...args: unknown[]) => void, ...args: unknown[]) => {
      this.#immediates++;
      void realImmediate().then(() => {
        this.#immediates--;
        callback(...args);
      });
    });
  }

  /** Gives `Date` and the timers back. */
  end(): void {
    this.#timers.length = 0;
    vi.unstubAllGlobals();
    vi.useRealTimers();
  }

  /** Milliseconds since 1970. */
  get time(): number {
    return this.#time;
  }

  /** Has something happen at a time; by itself that makes no time pass. Returns what takes it back. */
  at(time: number, fire: () => void): () => void {
    const timer: Timer = { at: Math.max(time, this.#time), fire };
    const index = this.#timers.findIndex(({ at }) => at > timer.at);
    this.#timers.splice(index < 0 ? this.#timers.length : index, 0, timer);
    this.#drive();
    return () => {
      const found = this.#timers.indexOf(timer);
      if (found >= 0) this.#timers.splice(found, 1);
    };
  }

  /** Waits while others make time pass; rejects with the reason of `signal` where that aborts. */
  after(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted === true) return reject(signal.reason);
      const abort = () => {
        cancel();
        reject(signal?.reason);
      };
      const cancel = this.at(this.#time + Math.max(0, ms), () => {
        signal?.removeEventListener('abort', abort);
        resolve();
      });
      signal?.addEventListener('abort', abort, { once: true });
    });
  }

  /** Lets time pass until a promise is settled. */
  async until<T>(promise: Promise<T>): Promise<T> {
    this.#waiting++;
    this.#drive();
    try {
      return await promise;
    } finally {
      this.#waiting--;
    }
  }

  /** Lets time pass. */
  sleep(ms: number): Promise<void> {
    return this.until(this.after(ms));
  }

  /** Moves `Date` on, and nothing else: {@link catchUp} has to follow. */
  skip(ms: number): void {
    this.#skippedTo = Date.now() + ms;
    vi.setSystemTime(this.#skippedTo);
  }

  /** What was to happen in the time that was skipped happens. */
  async catchUp(): Promise<void> {
    await this.settle();
    const end = this.#skippedTo ?? this.#time;
    while ((this.#timers[0]?.at ?? Number.POSITIVE_INFINITY) <= end) {
      this.#fireNext();
      await this.settle();
    }
    this.#skippedTo = undefined;
    this.#moveTo(end);
    this.#drive();
  }

  /** Waits until nothing goes on that takes no time. */
  async settle(): Promise<void> {
    do await realImmediate();
    while (this.#immediates > 0);
  }

  #drive(): void {
    if (this.#driving || this.#waiting === 0 || this.#skippedTo !== undefined) return;
    this.#driving = true;
    void (async () => {
      await this.settle();
      while (this.#waiting > 0 && this.#timers.length > 0 && this.#skippedTo === undefined) {
        this.#fireNext();
        await this.settle();
      }
      this.#driving = false;
    })();
  }

  #fireNext(): void {
    const timer = this.#timers.shift();
    if (timer === undefined) return;
    this.#moveTo(timer.at);
    timer.fire();
  }

  #moveTo(time: number): void {
    this.#time = time;
    vi.setSystemTime(Math.max(time, this.#skippedTo ?? time));
  }
}
