import { readFile, writeFile } from 'node:fs/promises';
import { gzipSync } from 'node:zlib';
import type { Database } from './datasets.ts';

export type Format = 'csv' | 'jsonl' | 'parquet';

/** One way in which an upstream job spoils a dataset, and the finding that must come of it. */
export interface Corruption {
  /** Column of the finding; left out where it is about the file or the rows. */
  column?: string;
  check: string;
  /** SQL over the table `good`, whose rows are numbered by `rowid` from 0; left out: the good rows. */
  sql?: string;
  /** Where the dataset's own format knows no such thing. */
  format?: Format;
  /** Options of DuckDB's COPY. */
  copy?: string;
  /** What happens to the bytes after they were written well. */
  spoil?: (bytes: Buffer) => Uint8Array;
  gzip?: boolean;
}

const COPY: Record<Format, string> = {
  csv: 'FORMAT csv, HEADER',
  jsonl: 'FORMAT json',
  parquet: 'FORMAT parquet, ROW_GROUP_SIZE 20000',
};

/** Writes a dataset, well or spoiled; the path, which ends in the format. */
export async function writeDataset(
  database: Database,
  path: string,
  format: Format,
  { sql = 'SELECT * FROM good', copy, spoil, gzip }: Omit<Corruption, 'check'> = {},
): Promise<string> {
  const file = `${path}.${format}${gzip === true ? '.gz' : ''}`;
  await database.run(
    `COPY (${sql}) TO '${file}' (${copy ?? COPY[format]}, COMPRESSION ${format === 'parquet' ? 'zstd' : 'none'})`,
  );
  if (spoil !== undefined || gzip === true) {
    const written = await readFile(file);
    const bytes = gzip === true ? gzipSync(written) : written;
    await writeFile(file, spoil?.(bytes) ?? bytes);
  }
  return file;
}

/** The good rows with one column computed anew. */
export function replace(column: string, sql: string): string {
  return `SELECT * REPLACE (${sql} AS ${quote(column)}) FROM good`;
}

/** The good rows with a value in some rows, one in `every`. */
export function inEvery(every: number, column: string, value: string): string {
  return replace(column, `CASE WHEN rowid % ${every} = 0 THEN ${value} ELSE ${quote(column)} END`);
}

function quote(column: string): string {
  return `"${column.replaceAll('"', '""')}"`;
}

/** The first bytes only, as of a job or a connection that died. */
export function cutAt(share: number): (bytes: Buffer) => Uint8Array {
  return (bytes) => bytes.subarray(0, Math.floor(bytes.length * share));
}

export function encodedAs(encoding: 'latin1' | 'utf16le'): (bytes: Buffer) => Uint8Array {
  return (bytes) => Buffer.from(bytes.toString('utf8'), encoding);
}

/** Decoded as latin-1 and encoded as UTF-8 once more. */
export function mangled(bytes: Buffer): Uint8Array {
  return Buffer.from(bytes.toString('latin1'), 'utf8');
}

export function withoutFirstLine(bytes: Buffer): Uint8Array {
  return bytes.subarray(bytes.indexOf('\n') + 1);
}

export function firstLineOnly(bytes: Buffer): Uint8Array {
  return bytes.subarray(0, bytes.indexOf('\n') + 1);
}

export function nothing(): Uint8Array {
  return new Uint8Array();
}
