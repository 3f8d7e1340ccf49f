import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { SandboxError } from './errors.ts';
import { STATE } from './paths.ts';
import { run } from './processes.ts';

const REQUIREMENTS = join(import.meta.dirname, 'requirements.txt');

/** Oldest Python that ministack runs on. */
const OLDEST: readonly [number, number] = [3, 10];

const INSTALL_PYTHON = `Install Python ${OLDEST.join('.')} or later, with your package manager or from python.org, and run npm start again.`;

/** What making the virtual environment needs. */
interface Options {
  signal: AbortSignal;
  onLine?: ((line: string) => void) | undefined;
}

/**
 * The Python virtual environment with what `requirements.txt` pins; made the first time and after every change of
 * the pins.
 *
 * @returns its interpreter, and whether it was there already
 * @throws SandboxError where there is no usable Python, or pip cannot install
 */
export async function ensurePython({
  signal,
  onLine,
}: Options): Promise<{ python: string; reused: boolean; ministack: string }> {
  const requirements = await readFile(REQUIREMENTS, 'utf8');
  const ministack = /^ministack==(\S+)/m.exec(requirements)?.[1] ?? '';
  const directory = join(
    STATE,
    `python-${createHash('sha256').update(requirements).digest('hex').slice(0, 12)}`,
  );
  const python = join(directory, 'bin', 'python');
  if (existsSync(python)) return { python, reused: true, ministack };
  // A base Python that was upgraded or removed leaves a link to nowhere behind.
  await rm(directory, { recursive: true, force: true });

  const base = await findPython(process.env, signal);
  // Made under another name, so that the right name is there only when all of it is: also with two at a time.
  const partial = `${directory}.${process.pid}`;
  await mkdir(STATE, { recursive: true });
  const options = { env: process.env, signal, onLine };
  try {
    const made = await run(base, ['-m', 'venv', partial], options);
    if (made.code !== 0) {
      throw new SandboxError('world', `${base} could not make a virtual environment in ${STATE}.`, {
        output: made.tail,
      });
    }
    const installed = await run(
      join(partial, 'bin', 'python'),
      // One retry: a machine without a network should say so within seconds.
      [
        ...['-m', 'pip', 'install', '--disable-pip-version-check', '--no-input', '--progress-bar', 'off'],
        ...['--retries', '1', '--timeout', '20', '--requirement', REQUIREMENTS],
      ],
      options,
    );
    if (installed.code !== 0) throw pipError(ministack, installed.tail);
    await rename(partial, directory);
  } catch (error) {
    // The other of two runs at a time was first; its environment is as good.
    if (!['ENOTEMPTY', 'EEXIST'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
  } finally {
    await rm(partial, { recursive: true, force: true });
  }
  return { python, reused: false, ministack };
}

/**
 * The first usable Python on the PATH.
 *
 * @throws SandboxError that says which ones were found, and what is wrong with them
 */
export async function findPython(env: NodeJS.ProcessEnv, signal: AbortSignal): Promise<string> {
  const found: string[] = [];
  for (const name of ['python3', 'python']) {
    const script = 'import sys; print(*sys.version_info[:2]); import venv, ensurepip';
    const result = await run(name, ['-c', script], { env, signal }).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT' || error.code === 'EACCES') return undefined;
      throw error;
    });
    const version = /^(\d+) (\d+)$/m.exec(result?.stdout ?? '');
    if (result === undefined || version === null) continue;
    const [major, minor] = [Number(version[1]), Number(version[2])];
    if (major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1])) {
      found.push(`${name} is Python ${major}.${minor}`);
    } else if (result.code !== 0) {
      throw new SandboxError(
        'world',
        `${name} (${major}.${minor}) cannot make virtual environments: venv is missing.`,
        {
          help: `Install it (on Debian and Ubuntu: apt install python${major}.${minor}-venv), and run npm start again.`,
        },
      );
    } else {
      return name;
    }
  }
  throw new SandboxError(
    'world',
    `The sandbox needs Python ${OLDEST.join('.')} or later; ${found.length > 0 ? found.join(', ') : 'there is no python3 or python on the PATH'}.`,
    { help: INSTALL_PYTHON },
  );
}

/** What it means that pip failed, by what it printed. */
export function pipError(ministack: string, output: string): SandboxError {
  const offline =
    /NewConnectionError|ConnectTimeoutError|NameResolutionError|Max retries|ProxyError|SSLError/.test(output);
  return new SandboxError(
    'world',
    offline
      ? `pip does not reach the Python package index, which ministack ${ministack} comes from the first time.`
      : `pip could not install ministack ${ministack}.`,
    {
      help: 'Check the network, or set PIP_INDEX_URL to a mirror that this machine reaches, and run npm start again.',
      ...(offline
        ? {}
        : {
            output: output
              .split('\n')
              .filter((line) => /^ *error/i.test(line))
              .join('\n'),
          }),
    },
  );
}
