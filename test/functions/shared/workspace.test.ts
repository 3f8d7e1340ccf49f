import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { GateDependencyError } from '../../../functions/shared/errors.ts';
import { withWorkspace } from '../../../functions/shared/workspace.ts';

let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'tocsin-workspace-test-'));
});

afterEach(() => rmSync(root, { recursive: true }));

test('the directory is there while it is used, and gone afterwards with all that is in it', async () => {
  const answer = await withWorkspace(root, 0, async (directory) => {
    expect(dirname(directory)).toBe(root);
    mkdirSync(join(directory, 'scratch'));
    writeFileSync(join(directory, 'scratch', 'spill'), 'x');
    return 42;
  });
  expect(answer).toBe(42);
  expect(readdirSync(root)).toEqual([]);
});

test('it is gone also after a failure', async () => {
  const failing = withWorkspace(root, 0, async (directory) => {
    writeFileSync(join(directory, 'a'), 'x');
    throw new Error('the engine failed');
  });
  await expect(failing).rejects.toThrow('the engine failed');
  expect(readdirSync(root)).toEqual([]);
});

test('leftovers of dead processes and of this one are removed, nothing else', async () => {
  // No process can have this id: it is above the largest that Linux gives out.
  for (const name of [`tocsin-work-${2 ** 22 + 1}-dead`, `tocsin-work-${process.pid}-mine`]) {
    mkdirSync(join(root, name));
    writeFileSync(join(root, name, '0000.csv'), 'left over');
  }
  const kept = [`tocsin-work-${process.ppid}-alive`, 'tocsin-work-notes', 'somebody-elses'];
  for (const name of kept) mkdirSync(join(root, name));

  await withWorkspace(root, 0, async (directory) => {
    expect(existsSync(directory)).toBe(true);
  });

  expect(readdirSync(root).sort()).toEqual(kept.toSorted());
});

test('a disk without room says so before anything is written', async () => {
  const thrown = await withWorkspace(root, Number.MAX_SAFE_INTEGER, async () => 'never').catch(
    (error) => error,
  );
  expect(thrown).toBeInstanceOf(GateDependencyError);
  expect(thrown.message).toMatch(/has \d+ bytes free, the dataset needs 9007199254740991/);
  expect(readdirSync(root)).toEqual([]);
});
