import { access, constants, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { validateRules } from '../../functions/quality-gate/adapters/rule-sql.ts';
import { messageOf } from '../../functions/shared/errors.ts';
import { countOf } from '../../functions/shared/format.ts';
import { ConfigError } from '../../functions/shared/schema.ts';
import { type Config, loadConfig } from '../../lib/config.ts';
import { bytes } from './cli.ts';
import { withScratch } from './scratch.ts';

/** One thing that the doctor looked at. */
export interface Diagnosis {
  ok: boolean;
  /** What was looked at: `bucket data`, `Node.js`. */
  subject: string;
  /** What was found. */
  message: string;
  /** How to mend a problem. */
  help?: string;
}

/** Temporary disk below which measuring a usual dataset ends half-way. */
const LEAST_FREE_BYTES = 1e9;

/** Looks at what commands need of this machine. */
export async function examineMachine(): Promise<Diagnosis[]> {
  // That it is recent enough was found out before any command ran.
  const found: Diagnosis[] = [{ ok: true, subject: 'Node.js', message: process.versions.node }];
  try {
    const { default: duckdb } = await import('@duckdb/node-api');
    found.push({ ok: true, subject: 'DuckDB', message: duckdb.version() });
  } catch (error) {
    found.push({
      ok: false,
      subject: 'DuckDB',
      message: `cannot be loaded: ${messageOf(error).split('\n')[0]}`,
      help: `Install @duckdb/node-bindings-${process.platform}-${process.arch}: npm install, without --omit=optional.`,
    });
  }
  found.push(await examineDisk());
  return found;
}

async function examineDisk(): Promise<Diagnosis> {
  const subject = `temporary directory ${tmpdir()}`;
  const help = 'Set TMPDIR to a directory on a larger disk.';
  try {
    await access(tmpdir(), constants.W_OK);
    const { bavail, bsize } = await statfs(tmpdir());
    const free = bavail * bsize;
    return { ok: free >= LEAST_FREE_BYTES, subject, message: `${bytes(free)} free`, help };
  } catch (error) {
    return { ok: false, subject, message: messageOf(error), help };
  }
}

/** Looks at tocsin.yaml and its contracts, with the SQL of their rules. */
export async function examineConfig(file: string): Promise<{ diagnoses: Diagnosis[]; loaded?: Config }> {
  let config: Config;
  try {
    config = loadConfig(file);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return { diagnoses: problemsOf(error) };
  }
  const { datasets, models, canaries, drills, rollbackDrills, monitors, parities, documented } = config;
  const has = [
    countOf(datasets.length, 'dataset'),
    countOf(models.size, 'model'),
    countOf(canaries.size, 'canary', 'canaries'),
    countOf(drills.size, 'alarm drill'),
    countOf(rollbackDrills.size, 'rollback drill'),
    countOf(monitors.size, 'drift monitor'),
    countOf(parities.size, 'comparison'),
  ];
  const diagnoses: Diagnosis[] = [{ ok: true, subject: file, message: `valid, with ${has.join(', ')}` }];
  if (documented !== undefined) diagnoses.push({ ok: true, subject: documented.file, message: 'valid' });
  for (const { contractFile } of config.datasets) {
    try {
      await withScratch((scratch) => validateRules(contractFile, scratch));
      diagnoses.push({ ok: true, subject: contractFile.file, message: 'valid' });
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      diagnoses.push(...problemsOf(error));
    }
  }
  return { diagnoses, loaded: config };
}

function problemsOf({ issues }: ConfigError): Diagnosis[] {
  return issues.map(({ file, line, column, message }) => ({
    ok: false,
    subject: `${file}:${line}:${column}`,
    message,
  }));
}
