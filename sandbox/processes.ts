import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';

/** Process groups that must not outlive this process, by the id of their leader. */
const groups = new Set<number>();

// However this process ends, unless it is killed outright, nothing that it started stays behind.
process.on('exit', killGroups);

/** Kills every process group that is still running, at once. */
function killGroups(): void {
  for (const pid of groups) signalGroup(pid, 'SIGKILL');
}

/** Makes a child that was spawned `detached` die with this process. */
export function adopt(child: ChildProcess): void {
  const { pid } = child;
  if (pid === undefined) return;
  groups.add(pid);
  // Its own children may live on when the leader has ended.
  child.once('exit', () => {
    signalGroup(pid, 'SIGKILL');
    groups.delete(pid);
  });
}

/** Undoes {@link adopt}: the child may live on. */
export function release(child: ChildProcess): void {
  if (child.pid !== undefined) groups.delete(child.pid);
  child.unref();
}

/** Sends a signal to a process group of ours; one that is gone already is fine. */
function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch (error) {
    // EPERM is what macOS says of a group that has only zombies left.
    if (!['ESRCH', 'EPERM'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
  }
}

/** Whether a process exists. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: it exists and is somebody else's.
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** Asks a process group to end, and after 2 seconds makes it. */
export async function endGroup(pid: number): Promise<void> {
  signalGroup(pid, 'SIGTERM');
  for (const deadline = Date.now() + 2_000; isAlive(pid) && Date.now() < deadline; ) await sleep(20);
  signalGroup(pid, 'SIGKILL');
}

/** How to run a program. */
export interface RunOptions {
  cwd?: string;
  env: NodeJS.ProcessEnv;
  /** Ends the program, and everything that it started. */
  signal: AbortSignal;
  /** So does this much time, in milliseconds; without it the program may take as long as it likes. */
  timeoutMs?: number;
  /** Gets every line that the program prints. */
  onLine?: ((line: string) => void) | undefined;
}

/** How a program ended. */
export interface RunResult {
  /** Exit code; null where a signal ended it, or its time was up. */
  code: number | null;
  /** Standard output. */
  stdout: string;
  /** The last 40 lines of standard output and error, as they came. */
  tail: string;
}

/**
 * Runs a program to its end, in a process group of its own.
 *
 * @throws Error of Node with code ENOENT where there is no such program; the reason of `signal` where it was aborted
 */
export async function run(
  program: string,
  args: readonly string[],
  { cwd, env, signal, timeoutMs, onLine }: RunOptions,
): Promise<RunResult> {
  signal.throwIfAborted();
  const child = spawn(program, args, {
    ...(cwd === undefined ? {} : { cwd }),
    env,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  adopt(child);
  const end = () => {
    if (child.pid !== undefined) void endGroup(child.pid);
  };
  signal.addEventListener('abort', end, { once: true });
  let late = false;
  const endLate = () => {
    late = true;
    end();
  };
  const timer = timeoutMs === undefined ? undefined : setTimeout(endLate, timeoutMs);

  const stdout: string[] = [];
  const tail: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on('line', (line) => {
      if (stream === child.stdout) stdout.push(line);
      tail.push(line);
      if (tail.length > 40) tail.shift();
      onLine?.(line);
    });
  }
  try {
    const [code] = (await once(child, 'close')) as [number | null];
    signal.throwIfAborted();
    return { code: late ? null : code, stdout: stdout.join('\n'), tail: tail.join('\n') };
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', end);
  }
}
