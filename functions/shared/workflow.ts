/**
 * What a gate or drill that outlives one invocation may do. The code between these calls runs again on every replay, so
 * it must be deterministic: whatever touches the world, the clock or chance belongs into a step.
 *
 * A step happens at least once: after a crash it is run again, unless its result was kept. So each must bear to be
 * repeated. Results are plain JSON and small (256 KB for all of a workflow); data goes through S3.
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
   * Asks again and again, first soon and then less often, until the answer is not undefined.
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
