import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { LocalDataset } from '../../functions/quality-gate/profile.ts';
import type { LocalFile } from '../../functions/shared/engine/limits.ts';
import { GateInputError } from '../../functions/shared/errors.ts';
import { fileError } from './files.ts';

/** A dataset on this disk, and how to find out that it was written to while it was measured. */
export interface OpenedDataset {
  dataset: LocalDataset;
  /** @throws GateInputError where a file is no longer the one that was hashed */
  assertUnchanged(): Promise<void>;
}

/**
 * Opens a data file, or all data files of a directory in the order of their names. Names that start with an
 * underscore or a dot are not data, as for the deployed gate.
 *
 * @param path as the caller gave it; it becomes part of the verdict
 * @param uploadedAt what freshness is measured from, milliseconds since 1970
 * @throws GateInputError where there is no data at the path
 */
export async function openDataset(path: string, uploadedAt: number): Promise<OpenedDataset> {
  const names = await dataFiles(path);
  const files: (LocalFile & { modifiedMs: number })[] = [];
  for (const name of names) {
    try {
      const { size, mtimeMs } = await stat(name);
      files.push({ path: name, name, bytes: size, sha256: await hashFile(name), modifiedMs: mtimeMs });
    } catch (error) {
      throw fileError(error, name, 'data');
    }
  }
  return {
    dataset: { files: files.map(({ modifiedMs: _, ...file }) => file), uploadedAt, key: path },
    assertUnchanged: async () => {
      for (const { path: name, bytes, modifiedMs } of files) {
        const now = await stat(name).catch((error: unknown) => {
          throw fileError(error, name, 'data');
        });
        if (now.size !== bytes || now.mtimeMs !== modifiedMs) {
          throw new GateInputError(`${name} was written to while it was measured`, {
            help: 'Check it again when nobody writes to it.',
          });
        }
      }
    },
  };
}

async function dataFiles(path: string): Promise<string[]> {
  const info = await stat(path).catch((error: unknown) => {
    throw fileError(error, path, 'data');
  });
  if (info.isFile()) return [path];
  if (!info.isDirectory()) throw new GateInputError(`data ${path}: expected a file or a directory`);
  const files: string[] = [];
  for (const name of (await readdir(path)).sort()) {
    if (/^[_.]/.test(name)) continue;
    const file = join(path, name);
    const entry = await stat(file).catch((error: unknown) => {
      throw fileError(error, file, 'data');
    });
    // Data that nobody looks at must not pass.
    if (!entry.isFile()) {
      throw new GateInputError(
        `${file} is ${entry.isDirectory() ? 'a directory' : 'no file'} inside a dataset`,
        {
          help: 'A dataset is the files of one directory: check each directory by itself.',
        },
      );
    }
    files.push(file);
  }
  if (files.length === 0) {
    throw new GateInputError(`data ${path}: the directory has no data file`, {
      help: 'Names that start with an underscore or a dot do not count.',
    });
  }
  return files;
}

async function hashFile(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk as Buffer);
  return hash.digest('hex');
}
