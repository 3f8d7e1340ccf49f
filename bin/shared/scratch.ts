import { rmSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const live = new Set<string>();

/** Runs `use` with a temporary directory of its own, which is removed however `use` ends. */
export async function withScratch<T>(use: (directory: string) => Promise<T>): Promise<T> {
  const directory = await mkdtemp(join(tmpdir(), 'tocsin-'));
  live.add(directory);
  try {
    return await use(directory);
  } finally {
    await rm(directory, { recursive: true, force: true });
    live.delete(directory);
  }
}

/** Removes every temporary directory still in use; for a process that is about to die. */
export function removeScratch(): void {
  for (const directory of live) rmSync(directory, { recursive: true, force: true });
}
