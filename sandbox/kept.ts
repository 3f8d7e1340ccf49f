import { copyFile, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { outputsFile } from './deploy.ts';
import { type Emulator, exportsFor, type Handle, stopEmulator } from './emulator.ts';
import { STATE } from './paths.ts';
import { run } from './processes.ts';

/** Says which emulator `--keep` left running. */
const KEPT = join(STATE, 'kept.json');

/** For a shell to read: the variables that lead to it. */
export const ENVIRONMENT_FILE = join(STATE, 'env');

/** For `--outputs` of the CLI: what the deployment left. */
export const OUTPUTS_FILE = join(STATE, 'outputs.json');

/** Leaves an emulator running, so that {@link stopKept} finds it. */
export async function keepRunning(emulator: Emulator): Promise<void> {
  const { endpoint, sagemaker, cloudwatch, pids, directory } = emulator;
  const handle: Handle = { endpoint, sagemaker, cloudwatch, pids, directory };
  await writeFile(KEPT, `${JSON.stringify(handle, null, 2)}\n`);
  const variables = Object.entries(exportsFor(handle));
  await writeFile(
    ENVIRONMENT_FILE,
    variables.map(([name, value]) => `export ${name}=${quote(value)}\n`).join(''),
  );
  await copyFile(outputsFile(emulator), OUTPUTS_FILE);
  await emulator.letGo();
}

/** The emulator that was left running, with those of its processes that still are. */
export async function findKept(signal: AbortSignal): Promise<Handle | undefined> {
  const text = await readFile(KEPT, 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  const kept = JSON.parse(text) as Handle;
  const pids: number[] = [];
  for (const pid of kept.pids) {
    // The id may belong to another process by now, which is not ours to end.
    const ps = await run('ps', ['-o', 'args=', '-p', String(pid)], { env: process.env, signal });
    if (ps.stdout.includes(kept.directory)) pids.push(pid);
  }
  return pids.length > 0 ? { ...kept, pids } : undefined;
}

/**
 * Ends the emulator that was left running.
 *
 * @returns its endpoint; undefined where none runs
 */
export async function stopKept(signal: AbortSignal): Promise<string | undefined> {
  const kept = await findKept(signal);
  if (kept !== undefined) await stopEmulator(kept);
  await rm(KEPT, { force: true });
  for (const file of [ENVIRONMENT_FILE, OUTPUTS_FILE]) await rm(file, { force: true });
  return kept?.endpoint;
}

/** A text as one word of a POSIX shell. */
function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
