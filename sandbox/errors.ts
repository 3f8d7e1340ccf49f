/** Exit codes of `npm start`: what ended it. */
export const EXIT = {
  ok: 0,
  /** A story did not come out as it must. */
  story: 1,
  /** The command line is wrong. */
  usage: 2,
  /** Something that the sandbox stands on is missing or broken. */
  world: 3,
} as const;

/** Ends the run. The message is one line that says what is wrong. */
export class SandboxError extends Error {
  readonly kind: Exclude<keyof typeof EXIT, 'ok'>;
  /** How to mend it, as one imperative sentence. */
  readonly help: string | undefined;
  /** The end of what a failed program printed. */
  readonly output: string | undefined;

  constructor(
    kind: SandboxError['kind'],
    message: string,
    { help, output, cause }: { help?: string; output?: string; cause?: unknown } = {},
  ) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'SandboxError';
    this.kind = kind;
    this.help = help;
    this.output = output;
  }
}
