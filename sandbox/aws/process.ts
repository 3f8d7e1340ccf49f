import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/**
 * Runs a local service as a process of its own: `node main.ts DIRECTORY`.
 *
 * It serves plain HTTP on a free loopback port, and writes `<name>.port` into DIRECTORY once it listens. Its log is its
 * standard output.
 *
 * It ends when its standard input closes: so it cannot outlive the process that started it, however that ends. It stays
 * if anything is written there before.
 *
 * @param listen starts the service, and returns its port
 */
export async function runService(
  name: string,
  directory: string,
  listen: (log: (line: string) => void) => Promise<number>,
): Promise<void> {
  process.stdin.once('data', () => process.stdin.removeListener('end', end));
  process.stdin.once('end', end);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, end);

  const port = join(directory, `${name}.port`);
  // Whole or not at all: somebody waits for it.
  await writeFile(`${port}.partial`, String(await listen(log)));
  await rename(`${port}.partial`, port);
}

/** Ends at once: hooks on the end of this process kill what it started. There is no state to save. */
function end(): void {
  process.exit(0);
}

/** Writes a line, however many the text has. */
function log(text: string): void {
  process.stdout.write(`${new Date().toISOString()} ${text.replaceAll('\n', ' | ')}\n`);
}

/**
 * What a promise gives, asked for until it was given once.
 *
 * @param ask may fail: the account around a service comes up after it
 */
export function once<T>(ask: () => Promise<T>): () => Promise<T> {
  let asked: Promise<T> | undefined;
  return () => {
    asked ??= ask();
    asked.catch(() => {
      asked = undefined;
    });
    return asked;
  };
}
