/**
 * The two ways in which a gate can end without a verdict. A failed gate is *not* an error: it is a
 * {@link Verdict} with the outcome `fail`.
 */
export abstract class GateError extends Error {
  /** What the reader should do next, as one imperative sentence; absent where the message says it. */
  readonly help: string | undefined;

  constructor(message: string, options: { cause?: unknown; help?: string } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = new.target.name;
    this.help = options.help;
  }
}

/**
 * The caller is wrong: a bad contract, no such dataset, an object too large for this engine.
 * Trying again cannot help, so it is never retried. CLI exit code 2.
 */
export class GateInputError extends GateError {}

/**
 * The world is broken: throttling, access denied, a full disk, a bug in an engine.
 * Retried, then it goes to the dead-letter queue and rings an alarm. CLI exit code 3.
 */
export class GateDependencyError extends GateError {}

/** The text of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
