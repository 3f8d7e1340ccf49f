import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type DuckDBConnection, DuckDBInstance, type JS } from '@duckdb/node-api';
import { GateDependencyError, GateInputError, messageOf } from '../errors.ts';
import type { EngineLimits } from './limits.ts';

/** The bytes are not what their format promises: a truncated file, a corrupt footer. */
export class UnreadableError extends Error {
  readonly file: string;

  constructor(file: string, reason: string) {
    super(reason);
    this.name = 'UnreadableError';
    this.file = file;
  }
}

/**
 * Optimizers that believe the statistics in a Parquet file's footer. Where those are wrong, a column of zeros has no
 * zero and a broken rule holds; a gate counts the values themselves.
 */
const TRUSTING = ['statistics_propagation', 'filter_pushdown', 'join_filter_pushdown', 'row_group_pruner'];

/** A DuckDB session that stays within its bounds and can see nothing but the files that it was given. */
export interface Engine {
  /** A directory of this session's own; removed with it. */
  readonly scratch: string;
  run(sql: string): Promise<void>;
  /** The result by column. Numbers come as numbers where the SQL casts them to DOUBLE or INTEGER. */
  columns(sql: string): Promise<JS[][]>;
  /** The result by row. */
  rows(sql: string): Promise<Record<string, JS>[]>;
}

/** A SQL string. Its parser ends at a NUL, which values may hold all the same. */
export function text(value: string): string {
  const parts = value.split('\0').map((part) => `'${part.replaceAll("'", "''")}'`);
  return parts.length === 1 ? `${parts[0]}` : `(${parts.join(' || chr(0) || ')})`;
}

/** A SQL number. DuckDB reads `0.1` as a decimal, from which casting does not always lead back to the same double. */
export function number(value: number): string {
  return Number.isSafeInteger(value) ? String(value) : `'${value}'::DOUBLE`;
}

/** A SQL identifier. */
export function identifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/**
 * Runs `work` in a DuckDB of its own: in memory, spilling into a fresh directory below `scratch`, which is removed
 * afterwards whatever happens. Nothing but `readable` and that directory can be reached from SQL.
 *
 * @throws GateInputError where a bound is hit (memory, disk, time): the dataset is too large for this engine
 * @throws UnreadableError where DuckDB cannot read the data
 * @throws GateDependencyError where the disk or DuckDB itself fails
 */
export async function withEngine<T>(
  options: {
    limits: EngineLimits;
    scratch: string;
    readable: string[];
    /** Puts files into the session's directory before it begins; the bytes of disk that they take. */
    prepare?: (scratch: string) => Promise<number>;
  },
  work: (engine: Engine) => Promise<T>,
): Promise<T> {
  const { limits, readable, prepare } = options;
  const scratch = await mkdtemp(join(options.scratch, 'engine-')).catch((cause: unknown) => {
    throw new GateDependencyError(`Cannot write to ${options.scratch}: ${messageOf(cause)}`, { cause });
  });
  let instance: DuckDBInstance | undefined;
  let connection: DuckDBConnection | undefined;
  let expired = false;
  const timer = setTimeout(() => {
    expired = true;
    connection?.interrupt();
  }, limits.timeoutMs);
  try {
    const taken = (await prepare?.(scratch)) ?? 0;
    instance = await DuckDBInstance.create(':memory:', {
      threads: String(limits.threads),
      memory_limit: `${Math.floor(limits.memoryBytes / 1024)}KiB`,
      temp_directory: join(scratch, 'spill'),
      autoinstall_known_extensions: 'false',
      autoload_known_extensions: 'false',
    });
    connection = await instance.connect();
    const session = connection;
    await session.run("SET TimeZone = 'UTC'");
    // As an option of the instance it would be set before there is a directory, and have no effect.
    const spill = Math.max(0, limits.diskBytes - taken);
    await session.run(`SET max_temp_directory_size = '${Math.floor(spill / 1024)}KiB'`);
    await session.run(`SET disabled_optimizers = ${text(TRUSTING.join(','))}`);
    await session.run(`SET allowed_paths = [${readable.map(text).join(', ')}]`);
    await session.run(`SET allowed_directories = [${text(`${scratch}/`)}]`);
    await session.run('SET enable_external_access = false');
    await session.run('SET lock_configuration = true');
    return await work({
      scratch,
      run: async (sql) => {
        // A deadline that passed between two statements must stop the next one too.
        if (expired) throw new Error('INTERRUPT Error: the time is up');
        await session.run(sql);
      },
      columns: async (sql) => {
        if (expired) throw new Error('INTERRUPT Error: the time is up');
        return (await session.runAndReadAll(sql)).getColumnsJS();
      },
      rows: async (sql) => {
        if (expired) throw new Error('INTERRUPT Error: the time is up');
        return (await session.runAndReadAll(sql)).getRowObjectsJS();
      },
    });
  } catch (error) {
    throw explainFailure(error, expired, limits, readable);
  } finally {
    clearTimeout(timer);
    connection?.closeSync();
    instance?.closeSync();
    await rm(scratch, { recursive: true, force: true });
  }
}

const MIB = 1024 * 1024;

function explainFailure(
  error: unknown,
  expired: boolean,
  limits: EngineLimits,
  readable: readonly string[],
): unknown {
  if (
    error instanceof GateInputError ||
    error instanceof GateDependencyError ||
    error instanceof UnreadableError
  ) {
    return error;
  }
  const message = messageOf(error);
  const tooLarge = (bound: string, help: string) =>
    new GateInputError(`The dataset is too large for this engine: ${bound}.`, { cause: error, help });
  if (expired || message.startsWith('INTERRUPT')) {
    return tooLarge(
      `it could not be measured within ${Math.round(limits.timeoutMs / 1000)} s`,
      'Split the dataset, or allow more time (engine.timeout).',
    );
  }
  if (/max_temp_directory_size|failed to offload data block/.test(message)) {
    return tooLarge(
      `measuring it takes more than ${Math.round(limits.diskBytes / MIB)} MiB of temporary disk`,
      'Split the dataset, or give the engine more disk (engine.disk).',
    );
  }
  if (/^Out of Memory/.test(message)) {
    return tooLarge(
      `measuring it takes more than ${Math.round(limits.memoryBytes / MIB)} MiB of memory`,
      'Split the dataset, or give the engine more memory (engine.memory).',
    );
  }
  if (isOfTheData(message)) {
    const named = readable.length === 1 ? readable[0] : readable.find((path) => message.includes(path));
    return new UnreadableError(named ?? `One of ${readable.length} files`, firstSentence(message));
  }
  return new GateDependencyError(`DuckDB failed: ${firstSentence(message)}`, { cause: error });
}

/** Whether DuckDB stopped because of a bound, or broke; the query and the data may be fine. */
export function isOfTheEngine(message: string): boolean {
  return /^(INTERRUPT|Out of Memory|INTERNAL|FATAL)/.test(message);
}

/** Whether DuckDB complains of bytes that it cannot decode. "TProtocolException" comes from Parquet's footer. */
export function isOfTheData(message: string): boolean {
  return (
    /^(Invalid Input|Invalid|IO|Conversion|Serialization|Not implemented|Out of Range|Parquet|TProtocol|Error)\b/i.test(
      message,
    ) && !/No space left|Permission denied|Too many open files|No files found/i.test(message)
  );
}

/** The first line of DuckDB's message, without its class and without local paths. */
export function firstSentence(message: string): string {
  return (message.split('\n')[0] ?? '')
    .replace(/^[A-Za-z ]*Error: /, '')
    .replaceAll(/(["']?)\/[^\s"']*\/([^/\s"']+)\1/g, '$2')
    .slice(0, 300);
}
