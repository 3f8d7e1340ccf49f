import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SandboxError } from '../../sandbox/errors.ts';
import { findPython, pipError } from '../../sandbox/python.ts';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tocsin-python-'));
});
afterEach(() => rm(directory, { recursive: true }));

/** A program on an otherwise empty PATH that answers as a Python of a version does. */
async function install(name: string, version: string, exitCode = 0): Promise<void> {
  const file = join(directory, name);
  await writeFile(file, `#!/bin/sh\necho ${version}\nexit ${exitCode}\n`);
  await chmod(file, 0o755);
}

const find = () => findPython({ PATH: directory }, new AbortController().signal);

async function problem(): Promise<SandboxError> {
  const error: unknown = await find().then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof SandboxError) return error;
  throw new Error(`expected a SandboxError, got ${error}`);
}

describe('findPython', () => {
  it.each(['3 10', '3 14', '4 0'])('takes Python %s', async (version) => {
    await install('python3', version);
    expect(await find()).toBe('python3');
  });

  it('looks further where python3 is too old', async () => {
    await install('python3', '3 9');
    await install('python', '3 12');
    expect(await find()).toBe('python');
  });

  it('says that there is none', async () => {
    const error = await problem();
    expect(error.kind).toBe('world');
    expect(error.message).toBe(
      'The sandbox needs Python 3.10 or later; there is no python3 or python on the PATH.',
    );
    expect(error.help).toMatch(/^Install Python 3\.10 or later/);
  });

  it('says which ones are too old', async () => {
    await install('python3', '3 9');
    await install('python', '2 7');
    expect((await problem()).message).toBe(
      'The sandbox needs Python 3.10 or later; python3 is Python 3.9, python is Python 2.7.',
    );
  });

  it('says that the one there is lacks venv', async () => {
    await install('python3', '3 11', 1);
    const error = await problem();
    expect(error.message).toBe('python3 (3.11) cannot make virtual environments: venv is missing.');
    expect(error.help).toContain('apt install python3.11-venv');
  });

  it('passes over a program that is no Python', async () => {
    await install('python3', 'command not found', 127);
    expect((await problem()).message).toContain('there is no python3 or python');
  });
});

describe('pipError', () => {
  it('says that PyPI is out of reach, without what pip printed of it', () => {
    const error = pipError(
      '1.5.33',
      "WARNING: Retrying after connection broken by 'NewConnectionError(...)': /simple/botocore/\nERROR: No matching distribution",
    );
    expect(error.message).toBe(
      'pip does not reach the Python package index, which ministack 1.5.33 comes from the first time.',
    );
    expect(error.output).toBeUndefined();
  });

  it('shows the errors of pip otherwise', () => {
    const error = pipError(
      '1.5.33',
      'Collecting ministack\nERROR: No matching distribution found for ministack==1.5.33\n',
    );
    expect(error.message).toBe('pip could not install ministack 1.5.33.');
    expect(error.output).toBe('ERROR: No matching distribution found for ministack==1.5.33');
    expect(error.help).toContain('PIP_INDEX_URL');
  });
});
