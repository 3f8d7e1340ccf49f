import { GateDependencyError, GateError, GateInputError, messageOf } from './errors.ts';
import { clip } from './format.ts';

/**
 * What a gate or drill that outlives one invocation may do. The code between these calls runs again on every replay, so
 * it must be deterministic: whatever touches the world, the clock or chance belongs into a step.
 *
 * A step happens at least once: after a crash it is run again, unless its result was kept. So each must bear to be
 * repeated. Results are plain JSON and small (at most {@link MAX_RESULT_BYTES}); data goes through S3.
 */
export interface Workflow {
  /** Names this execution: at most 64 letters, digits and hyphens; the same after every crash, retry and replay. */
  readonly id: string;

  /**
   * Runs `work`, and keeps its result.
   *
   * It is tried again where it throws what may pass (anything but GateInputError), a few times with growing pauses;
   * then its error is the workflow's to handle.
   *
   * @param name unique within the workflow, in words: `create the model of the candidate`
   */
  step<T>(name: string, work: () => Promise<T>): Promise<T>;

  /** Waits, without keeping a machine busy where it can be helped. */
  wait(name: string, ms: number): Promise<void>;

  /**
   * Asks again and again, first soon and then less often, until the answer is not undefined. An error is treated as
   * that of a step.
   *
   * @returns the answer; undefined where the time is up
   */
  waitUntil<T>(name: string, ask: () => Promise<T | undefined>, patience: Patience): Promise<T | undefined>;

  /** Runs a part of the workflow for each item, side by side; the first error, in the order of the items, is thrown. */
  map<T, R>(
    name: string,
    items: readonly T[],
    part: (workflow: Workflow, item: T, index: number) => Promise<R>,
  ): Promise<R[]>;
}

/** How long to wait, and how often to ask, milliseconds. Pauses grow from the first to the longest by half. */
export interface Patience {
  timeoutMs: number;
  firstPauseMs: number;
  longestPauseMs: number;
}

/**
 * The execution has no time left. What it was doing is at an end; the steps that clean up are still run.
 */
export class OutOfTimeError extends GateDependencyError {}

// ---------------------------------------------------------------------------------------------------------
// What both implementations share
// ---------------------------------------------------------------------------------------------------------

/** Bytes of JSON that one step may return. Everything that is kept is read again at every replay. */
export const MAX_RESULT_BYTES = 64 * 1024;

/** How often a step is tried. The SDK has tried each of its calls five times by then. */
export const ATTEMPTS = 5;

const FIRST_RETRY_MS = 2_000;
const LONGEST_RETRY_MS = 60_000;

/**
 * The pause before another attempt, milliseconds: 2 s, then three times longer each time, at most a minute, less up to a
 * half of it by chance, so that executions that were throttled together do not come back together.
 *
 * @param attempt that has failed, from 1
 * @param chance uniform, 0..1
 */
export function retryPauseMs(attempt: number, chance: number): number {
  return Math.min(FIRST_RETRY_MS * 3 ** (attempt - 1), LONGEST_RETRY_MS) * (1 - chance / 2);
}

/** Whether an error is the workflow's to handle, rather than a reason to try again. */
export function isFinal(error: unknown, attempt: number): boolean {
  return (
    attempt >= ATTEMPTS ||
    error instanceof GateInputError ||
    error instanceof OutOfTimeError ||
    error instanceof ResultError
  );
}

/**
 * The pause before asking again, milliseconds.
 *
 * @param asked how often the answer was undefined so far
 */
export function pauseMs({ firstPauseMs, longestPauseMs }: Patience, asked: number): number {
  return Math.min(firstPauseMs * 1.5 ** (asked - 1), longestPauseMs);
}

/** A step returned what cannot be kept: a bug, which no retry mends. */
class ResultError extends Error {}

/**
 * A result as it comes back from being kept as JSON, so that code behaves the same before and after a replay.
 *
 * @throws Error where it is too large, or no JSON at all
 */
export function keepable<T>(name: string, value: T): T {
  if (value === undefined) return value;
  const text = JSON.stringify(value);
  if (text === undefined) throw new ResultError(`step "${name}" returned ${typeof value}, which is no JSON`);
  const bytes = Buffer.byteLength(text);
  if (bytes > MAX_RESULT_BYTES) {
    throw new ResultError(
      `step "${name}" returned ${bytes} bytes, at most ${MAX_RESULT_BYTES} are kept; data goes through S3`,
    );
  }
  return JSON.parse(text);
}

/** An error as plain JSON. */
export interface KeptError {
  class: 'GateInputError' | 'OutOfTimeError' | 'GateDependencyError' | 'Error';
  name: string;
  message: string;
  help?: string;
}

/** How a step ended, as plain JSON. */
export type Outcome<T> = { ok?: T } | { error: KeptError };

/** Characters of a message that are kept: that of a configuration has a line for every mistake. */
const MAX_MESSAGE = 8_000;

/** Of a class and one that extends it, the latter first. */
const CLASSES: [KeptError['class'], new (...args: never[]) => GateError][] = [
  ['GateInputError', GateInputError],
  ['OutOfTimeError', OutOfTimeError],
  ['GateDependencyError', GateDependencyError],
];

export function keepError(error: unknown): KeptError {
  const [of] = CLASSES.find(([, Class]) => error instanceof Class) ?? ['Error'];
  const help = error instanceof GateError ? error.help : undefined;
  return {
    class: of as KeptError['class'],
    name: error instanceof Error ? error.name : 'Error',
    message: clip(messageOf(error), MAX_MESSAGE),
    ...(help !== undefined && { help: clip(help, MAX_MESSAGE) }),
  };
}

/** The result of a kept outcome. Throws its error, of the class that it had. */
export function unwrap<T>(outcome: Outcome<T>): T {
  if (!('error' in outcome)) return outcome.ok as T;
  const { class: of, name, message, help } = outcome.error;
  const options = help === undefined ? {} : { help };
  switch (of) {
    case 'GateInputError':
      throw new GateInputError(message, options);
    case 'OutOfTimeError':
      throw new OutOfTimeError(message, options);
    case 'GateDependencyError':
      throw new GateDependencyError(message, options);
    case 'Error':
      throw Object.assign(new Error(message), { name });
  }
}

/**
 * The same workflow, for what is done once more: the names of its steps begin with `what`.
 *
 * @param id names the part, where it is one of several that must not be taken for each other
 */
export function partOf(workflow: Workflow, what: string, id = workflow.id): Workflow {
  const name = (step: string) => `${what}: ${step}`;
  return {
    id,
    step: (step, work) => workflow.step(name(step), work),
    wait: (step, ms) => workflow.wait(name(step), ms),
    waitUntil: (step, ask, patience) => workflow.waitUntil(name(step), ask, patience),
    map: (step, items, part) => workflow.map(name(step), items, part),
  };
}

/** Waits for all, then throws the first error in their order: nothing goes on behind the workflow's back. */
export async function allOf<T>(parts: readonly Promise<T>[]): Promise<T[]> {
  await Promise.allSettled(parts);
  return Promise.all(parts);
}
