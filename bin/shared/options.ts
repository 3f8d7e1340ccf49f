import { statfs } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { EngineLimits } from '../../functions/shared/engine/limits.ts';

/** Options of every command that measures data. */
export interface EngineOptions {
  /** Bytes. */
  memory: number;
  /** Bytes. */
  disk: number;
  threads: number;
  /** Milliseconds. */
  timeout: number;
}

/** Adds {@link EngineOptions} to a command. */
export function addEngineOptions(command: Command): Command {
  const option = (flags: string, description: string) => new Option(flags, description);
  return command
    .addOption(
      option('--memory <size>', 'memory that the engine may take').argParser(parseBytes).default(1e9, '1GB'),
    )
    .addOption(
      option('--disk <size>', 'temporary disk that it may take, as far as there is')
        .argParser(parseBytes)
        .default(10e9, '10GB'),
    )
    .addOption(
      option('--threads <count>', 'threads of the engine')
        .argParser(parseCount)
        .default(availableParallelism(), 'all cores'),
    )
    .addOption(
      option('--timeout <time>', 'give up after this long: 90s, 10m, 1h')
        .argParser(parseDuration)
        .default(600_000, '10m'),
    );
}

/** Bounds for the engine: as asked for, and of the disk no more than is free now. */
export async function engineLimits({ memory, disk, threads, timeout }: EngineOptions): Promise<EngineLimits> {
  const { bavail, bsize } = await statfs(tmpdir());
  return {
    memoryBytes: memory,
    diskBytes: Math.min(disk, bavail * bsize),
    threads,
    timeoutMs: timeout,
    maxColumns: 2000,
    maxRows: 1_000_000_000,
  };
}

/** Options of every command that starts or follows a run of a deployed function. */
export interface FollowOptions {
  /** What `cdk deploy --outputs-file` wrote. */
  outputs: string;
  /** A run that goes on already. */
  follow?: string;
  /** How long to look on, milliseconds. */
  patience: number;
}

/** Options of every command whose run ends with a verdict. */
export interface RunOptions extends FollowOptions {
  json?: boolean;
  out?: string;
}

/** Adds {@link FollowOptions} to a command. */
export function addFollowOptions(command: Command): Command {
  return command
    .option('--follow <run>', 'look at a run that was started before')
    .option('--outputs <file>', 'what cdk deploy --outputs-file wrote', 'cdk-outputs.json')
    .addOption(
      new Option('--patience <time>', 'look at a run for so long: 90s, 10m, 1h')
        .argParser(parseDuration)
        .default(86_400_000, '24h'),
    );
}

/** Adds {@link RunOptions} to a command. */
export function addRunOptions(command: Command): Command {
  return addFollowOptions(command)
    .option('--json', 'print the verdict as JSON')
    .option('--out <directory>', 'write verdict.json and its report.html there, too');
}

/** Adds the options of a comparison of two environments that is made here. */
export function addLocalOptions(command: Command): Command {
  return command
    .option('--local', 'read both environments with your own credentials, and compare here')
    .option('--offline <snapshots...>', 'compare two saved snapshots: staging.json production.json')
    .option('--config <file>', 'the configuration, for what is compared here', 'tocsin.yaml');
}

const UNITS: Record<string, number> = {
  B: 1,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  KIB: 2 ** 10,
  MIB: 2 ** 20,
  GIB: 2 ** 30,
};

/** `1GB`, `512 MiB`; at least 64 MB, below which DuckDB cannot work. */
function parseBytes(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([KMG]I?B|B)$/i.exec(text.trim());
  const value = match === null ? Number.NaN : Number(match[1]) * (UNITS[match[2]?.toUpperCase() ?? ''] ?? 0);
  if (!(value >= 64e6))
    throw new InvalidArgumentError('Expected a size of at least 64MB, such as 512MB or 1GB.');
  return Math.floor(value);
}

function parseCount(text: string): number {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (!(value >= 1 && value <= 256)) throw new InvalidArgumentError('Expected a whole number from 1 to 256.');
  return value;
}

/** `90s`, `10m`, `1h`: milliseconds. */
export function parseDuration(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(s|m|h)$/.exec(text.trim());
  const value = Number(match?.[1]) * { s: 1e3, m: 60e3, h: 3600e3 }[(match?.[2] ?? 's') as 's' | 'm' | 'h'];
  if (!(value > 0 && value <= 86_400e3)) {
    throw new InvalidArgumentError('Expected a time of at most a day, such as 90s, 10m or 1h.');
  }
  return value;
}

/** A whole number from 1 on. */
export function parseWhole(text: string): number {
  const value = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  if (value < 1) throw new InvalidArgumentError('Expected a whole number from 1 on.');
  return value;
}

/** The period of a metric, `60`, `30s`, `5m`, `1h`: seconds. */
export function parsePeriod(text: string): number {
  const [, count = '', unit = 's'] = /^(\d{1,9})(s|m|h|d)?$/.exec(text.trim()) ?? [];
  const value = Number(count) * { s: 1, m: 60, h: 3600, d: 86_400 }[unit as 's' | 'm' | 'h' | 'd'];
  if (![10, 20, 30].includes(value) && (value < 60 || value % 60 !== 0)) {
    throw new InvalidArgumentError('Expected 10s, 20s, 30s, or whole minutes such as 60, 5m or 1h.');
  }
  return value;
}

/** A day, `2001-02-28`: milliseconds since 1970. */
export function parseDay(text: string): number {
  const value = /^\d{4}-\d{2}-\d{2}$/.test(text) ? Date.parse(text) : Number.NaN;
  // Date.parse takes February 30th for March 2nd.
  if (Number.isNaN(value) || new Date(value).toISOString().slice(0, 10) !== text) {
    throw new InvalidArgumentError('Expected a day such as 2001-02-28.');
  }
  return value;
}

/** Weights by variant, `primary=90,candidate=10`: numbers from 0 on, at least one above 0. */
export function parseWeights(text: string): Record<string, number> {
  const parts = text
    .split(',')
    .map((part) => /^\s*([A-Za-z0-9-]{1,63})\s*=\s*(\d{1,9}(?:\.\d+)?)\s*$/.exec(part));
  const weights = new Map(parts.map((part) => [part?.[1] ?? '', Number(part?.[2] ?? Number.NaN)]));
  const isWhole = weights.size === parts.length && !parts.includes(null);
  if (!isWhole || ![...weights.values()].some((weight) => weight > 0)) {
    throw new InvalidArgumentError(
      'Expected a weight from 0 on for each variant once, one of them above 0: primary=90,candidate=10.',
    );
  }
  return Object.fromEntries(weights);
}
