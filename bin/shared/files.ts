import { randomBytes } from 'node:crypto';
import { access, mkdir, readFile, rename, rm, unlink, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { GateDependencyError, GateInputError, messageOf } from '../../functions/shared/errors.ts';

/** Code of a file system error: `ENOENT`. */
export function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

/**
 * Reads a text file that the caller named.
 *
 * @param what what the file is, for messages: `contract`
 * @throws GateInputError where there is no such file, it is a directory, or it is not UTF-8
 */
export async function readText(path: string, what: string): Promise<string> {
  let data: Buffer;
  try {
    data = await readFile(path);
  } catch (error) {
    throw fileError(error, path, what);
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(data);
  } catch (error) {
    throw new GateInputError(`${what} ${path}: not UTF-8 text`, { cause: error });
  }
}

/** An error of the file system in the words of this project. */
export function fileError(error: unknown, path: string, what: string): Error {
  switch (codeOf(error)) {
    case 'ENOENT':
    case 'ENOTDIR':
      return new GateInputError(`${what} ${path}: no such file`, { cause: error });
    case 'EISDIR':
      return new GateInputError(`${what} ${path}: is a directory, a file is expected`, { cause: error });
    case 'EEXIST':
      return new GateInputError(`${what} ${path}: a file is where a directory is expected`, { cause: error });
    case 'EACCES':
    case 'EPERM':
      return new GateInputError(`${what} ${path}: no permission`, { cause: error });
    default:
      return new GateDependencyError(`${what} ${path}: ${messageOf(error)}`, { cause: error });
  }
}

/** Whether there is something of that name. */
export async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

/**
 * Makes sure that nothing is replaced.
 *
 * @throws GateInputError where there is such a file already
 */
export async function assertAbsent(path: string): Promise<void> {
  if (!(await exists(path))) return;
  throw new GateInputError(`${path} exists already`, {
    help: 'Give another name, or --force to replace it.',
  });
}

/**
 * Writes a file whole or not at all, with the directories above it.
 *
 * @param mode who may read and write it; left out: as the umask says
 * @throws GateInputError, GateDependencyError where the disk refuses
 */
export async function writeWhole(path: string, text: string, what: string, mode = 0o666): Promise<void> {
  const partial = `${path}.${randomBytes(4).toString('hex')}.partial`;
  try {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(partial, text, { flag: 'wx', mode });
    await rename(partial, path);
  } catch (error) {
    // The first error is the one to tell, whatever else goes wrong.
    await rm(partial, { force: true }).catch(() => {});
    throw fileError(error, path, what);
  }
}

/**
 * Removes a file, where there is one.
 *
 * @throws GateInputError, GateDependencyError where the disk refuses
 */
export async function removeFile(path: string, what: string): Promise<void> {
  try {
    await unlink(path);
  } catch (error) {
    if (!['ENOENT', 'ENOTDIR'].includes(codeOf(error) ?? '')) throw fileError(error, path, what);
  }
}
