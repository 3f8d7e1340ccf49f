import { createReadStream, createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGzip, createZstdCompress } from 'node:zlib';
import {
  type Engine,
  firstSentence,
  identifier,
  isOfTheEngine,
  text,
  UnreadableError,
} from '../../shared/engine/duckdb.ts';
import { readsOf } from '../../shared/engine/expression.ts';
import { withFiles } from '../../shared/engine/files.ts';
import type { EngineLimits, LocalFile } from '../../shared/engine/limits.ts';
import { GateInputError, messageOf } from '../../shared/errors.ts';
import { ConfigError, type ConfigIssue, didYouMean } from '../../shared/schema.ts';
import type { LocatedCanary } from '../schema.ts';
import { type Loaded, openSource, type Source, type SourceColumn } from './holdout-source.ts';

/** A known dataset on the local disk, and the canary that has it corrupted. */
export interface CorruptQuestion {
  file: LocalFile;
  canary: LocatedCanary;
  limits: EngineLimits;
  /** A directory; what is written there is removed again. */
  scratch: string;
  /** Path of the file to be written. */
  out: string;
}

/**
 * Writes a copy of a dataset with some columns replaced by expressions: the same format, compression, columns and types.
 *
 * @throws ConfigError with the line of tocsin.yaml where an expression does not fit the dataset, or changes nothing
 * @throws GateInputError where the dataset cannot be read, or a bound is hit
 * @throws GateDependencyError where the engine or the disk fails
 */
export async function corruptDataset(question: CorruptQuestion): Promise<void> {
  const { file, canary, limits, scratch, out } = question;
  try {
    await withFiles([file], { limits, scratch }, async (engine, files) => {
      const source = await openSource(engine, files[0] ?? file, limits);
      const replaced = await planReplacements(engine, source.columns, canary);
      const loaded = await source.load(source.columns, [
        ...new Set(replaced.flatMap(({ reads, column }) => [...reads, column])),
      ]);
      await replace(engine, canary, loaded, replaced);
      const written = join(engine.scratch, 'corrupted');
      await write(engine, source, loaded, replaced, written);
      await compress(written, file.name, out);
    });
  } catch (error) {
    if (!(error instanceof UnreadableError)) throw error;
    throw new GateInputError(`the known dataset ${error.file} cannot be read: ${error.message}`, {
      cause: error,
    });
  }
}

/** One column, and the expression that takes its place. */
interface Replacement {
  column: string;
  sql: string;
  reads: string[];
}

async function planReplacements(
  engine: Engine,
  columns: string[],
  canary: LocatedCanary,
): Promise<Replacement[]> {
  const issues: ConfigIssue[] = [];
  const replaced: Replacement[] = [];
  for (const [column, sql] of Object.entries(canary.value.negativeControl.corrupt ?? {})) {
    if (!columns.includes(column)) {
      issues.push(
        issueOf(canary, column, `no column "${column}" in the dataset${didYouMean(column, columns)}`),
      );
      continue;
    }
    try {
      replaced.push({ column, sql, reads: await readsOf(engine, sql, columns, 'the dataset') });
    } catch (error) {
      if (isOfTheEngine(messageOf(error))) throw error;
      issues.push(issueOf(canary, column, `${sql}: ${messageOf(error)}`));
    }
  }
  if (issues.length > 0) throw new ConfigError(issues);
  return replaced;
}

function issueOf(canary: LocatedCanary, column: string, message: string): ConfigIssue {
  const path = ['negativeControl', 'corrupt', column];
  return { ...canary.locate(path), path: path.join('.'), message };
}

/** Makes the view `corrupted`: that of the source, and the new value of replaced column number i as `r<i>`. */
async function replace(
  engine: Engine,
  canary: LocatedCanary,
  loaded: Loaded,
  replaced: readonly Replacement[],
): Promise<void> {
  const row = '"the number of the row"';
  const names = [...new Set(replaced.flatMap(({ reads }) => reads))];
  const values = names.map((name) => `${columnOf(loaded, name).value} AS ${identifier(name)}`);
  const typed = `(SELECT ${[...values, `n AS ${row}`].join(', ')} FROM source)`;
  const results: string[] = [];
  for (const [index, { column, sql }] of replaced.entries()) {
    const original = columnOf(loaded, column);
    const [, types] = await engine.columns(`DESCRIBE SELECT ${original.value} AS x FROM source`);
    // Of the same type, as it comes from upstream: another type is not what this is to find out about.
    results.push(`CAST((${sql}\n) AS ${String(types?.[0])}) AS r${index}`);
  }
  try {
    await engine.run(`CREATE TABLE replaced AS SELECT ${[...results, row].join(', ')} FROM ${typed}`);
  } catch (error) {
    if (isOfTheEngine(messageOf(error))) throw error;
    const [first] = replaced;
    throw new ConfigError([
      issueOf(
        canary,
        first?.column ?? '',
        `the replacements cannot be computed: ${firstSentence(messageOf(error))}`,
      ),
    ]);
  }
  await engine.run(
    `CREATE VIEW corrupted AS SELECT source.*, replaced.* EXCLUDE (${row}) FROM source JOIN replaced ON source.n = replaced.${row}`,
  );
  for (const [index, { column, sql }] of replaced.entries()) {
    const [changed] = await engine.columns(
      `SELECT count(*)::DOUBLE FROM corrupted WHERE r${index} IS DISTINCT FROM (${columnOf(loaded, column).value})`,
    );
    if (Number(changed?.[0]) === 0) {
      throw new ConfigError([
        issueOf(canary, column, `${sql} changes no value of ${column}, so there is nothing to notice`),
      ]);
    }
  }
}

function columnOf({ columns }: Loaded, name: string): SourceColumn {
  const column = columns.get(name);
  if (column === undefined) throw new Error(`column ${name} was not loaded`);
  return column;
}

async function write(
  engine: Engine,
  { format, columns, delimiter = ',' }: Source,
  loaded: Loaded,
  replaced: readonly Replacement[],
  path: string,
): Promise<void> {
  const fields = columns.map((name) => {
    const index = replaced.findIndex(({ column }) => column === name);
    const { raw, cell, json } = columnOf(loaded, name);
    if (format === 'parquet') return index < 0 ? raw : `r${index}`;
    if (format === 'csv') return index < 0 ? cell : `CAST(r${index} AS VARCHAR)`;
    return index < 0 ? json : `CAST(to_json(r${index}) AS VARCHAR)`;
  });
  const named = columns.map((name, at) => `${fields[at]} AS ${identifier(name)}`).join(', ');
  const copy = (select: string, options: string) =>
    engine.run(`COPY (SELECT ${select} FROM corrupted ORDER BY n) TO ${text(path)} (${options})`);
  switch (format) {
    case 'parquet':
      return copy(named, 'FORMAT parquet, COMPRESSION zstd');
    case 'csv':
      return copy(
        named,
        `FORMAT csv, HEADER, DELIMITER ${text(delimiter)}, QUOTE '"', ESCAPE '"', NULLSTR ''`,
      );
    case 'jsonl': {
      const members = columns.map(
        (name, at) =>
          `${text(`${at === 0 ? '' : ','}${JSON.stringify(name)}:`)} || coalesce(${fields[at]}, 'null')`,
      );
      const record = [`'{'`, ...members, `'}'`].join(' || ');
      return copy(`${record} AS record`, `FORMAT csv, HEADER false, DELIMITER '\x01', QUOTE '', ESCAPE ''`);
    }
  }
}

/** As the original is, by its name. */
async function compress(path: string, name: string, out: string): Promise<void> {
  const encoder = name.endsWith('.gz') ? [createGzip()] : name.endsWith('.zst') ? [createZstdCompress()] : [];
  await pipeline([createReadStream(path), ...encoder, createWriteStream(out)]);
}
