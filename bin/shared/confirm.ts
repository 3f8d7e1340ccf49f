import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';

/**
 * Asks a question on a terminal. Anything but `y` or `yes` is a no, and so is the end of the input.
 *
 * @returns undefined where there is no terminal, and so nobody to ask
 */
export async function confirm(
  question: string,
  stdin: Readable,
  stderr: Writable,
): Promise<boolean | undefined> {
  if (!isTerminal(stdin) || !isTerminal(stderr)) return undefined;
  stderr.write(`${question} [y/N] `);
  // Not a terminal to readline, so that Ctrl-C stays a signal of the process.
  const lines = createInterface({ input: stdin, terminal: false });
  try {
    const answer = await new Promise<string>((resolve) => {
      lines.once('line', resolve);
      lines.once('close', () => resolve('\n'));
    });
    if (answer === '\n') stderr.write('\n');
    return /^y(es)?$/i.test(answer.trim());
  } finally {
    lines.close();
  }
}

function isTerminal(stream: object): boolean {
  return 'isTTY' in stream && stream.isTTY === true;
}
