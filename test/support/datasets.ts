import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import { DuckDBInstance, type JS } from '@duckdb/node-api';
import { afterAll, beforeAll } from 'vitest';
import { measureDataset } from '../../functions/quality-gate/adapters/duckdb.ts';
import {
  datasetHash,
  freshnessReference,
  judge,
  type QualityVerdict,
} from '../../functions/quality-gate/gate.ts';
import type { LocalDataset, Measurements } from '../../functions/quality-gate/profile.ts';
import { type LocatedContract, parseContract } from '../../functions/quality-gate/schema.ts';
import type { EngineLimits } from '../../functions/shared/engine/limits.ts';
import { canonicalJson, sha256 } from '../../functions/shared/identity.ts';
import type { Profile } from '../../functions/shared/profile.ts';

/** A real dataset of vega-datasets, on disk. */
export function vega(file: string): string {
  return fileURLToPath(new URL(`../../node_modules/vega-datasets/data/${file}`, import.meta.url));
}

/** The text of a contract in test/fixtures/contracts. */
export function fixtureContract(file: string): Promise<string> {
  return readFile(new URL(`../fixtures/contracts/${file}`, import.meta.url), 'utf8');
}

/** What the engine gets in tests that are not about limits. */
export const LIMITS: EngineLimits = {
  memoryBytes: 2 ** 30,
  diskBytes: 2 ** 30,
  threads: 2,
  timeoutMs: 60_000,
  maxColumns: 2000,
  maxRows: 100_000_000,
};

/** A DuckDB of the test's own, to make data and to compute what is expected. */
export interface Database {
  /** Runs statements; the rows of the last one. */
  run(...statements: string[]): Promise<Record<string, JS>[]>;
  close(): void;
}

export async function openDatabase(): Promise<Database> {
  const instance = await DuckDBInstance.create(':memory:', { threads: '2' });
  const connection = await instance.connect();
  return {
    run: async (...statements) => {
      let rows: Record<string, JS>[] = [];
      for (const sql of statements) rows = (await connection.runAndReadAll(sql)).getRowObjectsJS();
      return rows;
    },
    close: () => {
      connection.closeSync();
      instance.closeSync();
    },
  };
}

/** Runs statements in a database that is there for them alone; the rows of the last one. */
export async function duckdb(...statements: string[]): Promise<Record<string, JS>[]> {
  const database = await openDatabase();
  try {
    return await database.run(...statements);
  } finally {
    database.close();
  }
}

/** A dataset, the contract it is held against, and what the test wants other than usual. */
export interface Case {
  /** Paths of the files, ordered by name. */
  files: string | string[];
  /** YAML. */
  contract: string;
  baseline?: Profile | undefined;
  limits?: Partial<EngineLimits>;
  /** ISO 8601; the dataset's upload. */
  uploaded?: string;
  /** Object key, where it is not the name of the first file. */
  key?: string;
}

/** A directory for the files of one test file, and the gate at work in it. */
export interface Lab {
  /** Path of a file in the directory; it need not exist. */
  path(name: string): string;
  write(name: string, content: string | Uint8Array): Promise<string>;
  measure(what: Case): Promise<Measurements>;
  judge(what: Case): Promise<{ verdict: QualityVerdict; measurements: Measurements }>;
}

/**
 * A lab that opens before the tests of a file and is removed after them. Whatever measuring does, it must leave its
 * scratch directory empty: every call checks that.
 */
export function useLab(): Lab {
  let directory = '';
  let scratch = '';
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'tocsin-test-'));
    scratch = join(directory, 'scratch');
    await mkdir(scratch);
  });
  afterAll(() => rm(directory, { recursive: true, force: true }));

  const path = (name: string) => join(directory, name);
  const clean = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } finally {
      const left = await readdir(scratch);
      // biome-ignore lint/correctness/noUnsafeFinally: a leak outweighs whatever else went wrong
      if (left.length > 0) throw new Error(`the scratch directory still holds ${left.join(', ')}`);
    }
  };
  return {
    path,
    write: async (name, content) => {
      await writeFile(path(name), content);
      return path(name);
    },
    measure: (what) =>
      clean(async () => {
        const { dataset, contract } = await question(what);
        return measureDataset({
          dataset,
          sha256: datasetHash(dataset),
          contract,
          baseline: what.baseline,
          asOf: freshnessReference(dataset, contract),
          limits: { ...LIMITS, ...what.limits },
          scratch,
        });
      }),
    judge: (what) =>
      clean(async () => {
        const { dataset, contract } = await question(what);
        const { baseline } = what;
        return judge(
          {
            dataset,
            uri: `s3://raw-data/${dataset.key}`,
            contract,
            contractText: what.contract,
            ...(baseline !== undefined && {
              baseline: { profile: baseline, sha256: sha256(canonicalJson(baseline)) },
            }),
          },
          { ...LIMITS, ...what.limits },
          scratch,
        );
      }),
  };
}

async function question(what: Case): Promise<{ dataset: LocalDataset; contract: LocatedContract }> {
  const paths = typeof what.files === 'string' ? [what.files] : what.files;
  const files = await Promise.all(
    paths.map(async (path) => {
      const hash = createHash('sha256');
      await pipeline(createReadStream(path), hash);
      return { path, name: basename(path), bytes: (await stat(path)).size, sha256: hash.digest('hex') };
    }),
  );
  return {
    dataset: {
      files,
      uploadedAt: Date.parse(what.uploaded ?? '2001-03-01T12:00:00Z'),
      key: what.key ?? files[0]?.name ?? '',
    },
    contract: parseContract(what.contract, 'contract.yaml'),
  };
}
