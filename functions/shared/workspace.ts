import { mkdtemp, readdir, rm, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { GateDependencyError } from './errors.ts';

const NAME = 'tocsin-work';

/**
 * Gives `use` a fresh directory below `root`, and removes it afterwards, whatever happens.
 *
 * A Lambda sandbox that crashed keeps its /tmp for the next invocation: what such a run left is removed first.
 *
 * @param bytes that have to be free on the disk
 * @throws GateDependencyError where they are not
 */
export async function withWorkspace<T>(
  root: string,
  bytes: number,
  use: (directory: string) => Promise<T>,
): Promise<T> {
  await removeLeftovers(root);
  const { bavail, bsize } = await statfs(root);
  if (bavail * bsize < bytes) {
    throw new GateDependencyError(
      `${root} has ${bavail * bsize} bytes free, the dataset needs ${bytes}; something else fills the disk`,
    );
  }
  const directory = await mkdtemp(join(root, `${NAME}-${process.pid}-`));
  try {
    return await use(directory);
  } finally {
    await rm(directory, { recursive: true, force: true, maxRetries: 3 });
  }
}

/**
 * Removes the directories of processes that are gone, and those of this process: one process runs one
 * invocation at a time. Other live processes may share the disk where functions run outside Lambda.
 */
async function removeLeftovers(root: string): Promise<void> {
  for (const name of await readdir(root)) {
    const pid = Number(new RegExp(`^${NAME}-(\\d+)-`).exec(name)?.[1]);
    if (Number.isNaN(pid) || (pid !== process.pid && isAlive(pid))) continue;
    await rm(join(root, name), { recursive: true, force: true, maxRetries: 3 });
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: it lives and is somebody else's.
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
