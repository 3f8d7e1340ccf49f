import { createReadStream, createWriteStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { GateInputError, messageOf } from '../errors.ts';
import { type Engine, UnreadableError, withEngine } from './duckdb.ts';
import type { EngineLimits, LocalFile } from './limits.ts';

/*
 * The files of a dataset before SQL sees them: decompressed, told apart by their bytes, and without what would cost
 * the engine its bounds.
 */

/** Bytes of one line of text; longer ones are refused before DuckDB buffers them. */
export const MAX_LINE_BYTES = 2 * 1024 * 1024;

type Encoding = 'utf-8' | 'latin-1' | 'utf-16';

/** How a CSV file is written, as far as its header tells the names of columns. */
interface Dialect {
  delimiter: string;
  quote: string;
  encoding: Encoding;
}

/**
 * Runs `work` in an engine of its own, which can see the files of a dataset, decompressed.
 *
 * @throws UnreadableError with the name that people know the file by; else as {@link withEngine}
 */
export async function withFiles<T>(
  given: readonly LocalFile[],
  { limits, scratch }: { limits: EngineLimits; scratch: string },
  work: (engine: Engine, files: LocalFile[]) => Promise<T>,
): Promise<T> {
  let files: LocalFile[] = [];
  const prepare = async (directory: string) => {
    const unpacked = await unpack(given, directory, limits.diskBytes);
    files = unpacked.files;
    return unpacked.bytes;
  };
  const readable = given.map((file) => file.path);
  try {
    return await withEngine({ limits, scratch, readable, prepare }, (engine) => work(engine, files));
  } catch (error) {
    if (!(error instanceof UnreadableError)) throw error;
    const name = given.find((file) => file.path === error.file)?.name ?? error.file;
    throw new UnreadableError(name, error.message);
  }
}

/**
 * Decompresses `.gz` and `.zst` into `directory`; other files stay where they are.
 *
 * @returns the files, with the bytes that they newly take there
 * @throws GateInputError where they take more than `diskBytes`
 * @throws UnreadableError where a file is not what its ending promises
 */
async function unpack(
  given: readonly LocalFile[],
  directory: string,
  diskBytes: number,
): Promise<{ files: LocalFile[]; bytes: number }> {
  const budget = { bytes: diskBytes };
  const files: LocalFile[] = [];
  for (const [index, file] of given.entries()) {
    files.push(await decompress(file, join(directory, `input-${index}`), budget));
  }
  return { files, bytes: diskBytes - budget.bytes };
}

async function decompress(file: LocalFile, target: string, budget: { bytes: number }): Promise<LocalFile> {
  const decoder = file.name.endsWith('.gz')
    ? createGunzip()
    : file.name.endsWith('.zst')
      ? createZstdDecompress()
      : undefined;
  if (decoder === undefined) return file;
  const allowed = budget.bytes;
  const meter = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      budget.bytes -= chunk.length;
      if (budget.bytes >= 0) done(null, chunk);
      else {
        done(
          new GateInputError(
            `${file.name}: ${file.bytes} bytes decompress to more than the ${allowed} bytes of disk that are left.`,
            { help: 'Split the dataset, or give the engine more disk (engine.disk).' },
          ),
        );
      }
    },
  });
  try {
    await pipeline(createReadStream(file.path), decoder, meter, createWriteStream(target));
  } catch (error) {
    if (error instanceof GateInputError) throw error;
    const code = (error as NodeJS.ErrnoException).code ?? '';
    if (/^(Z_|ZSTD_|ERR_ZSTD|ERR_STREAM_PREMATURE|ERR_)/.test(code)) {
      throw new UnreadableError(file.name, `it cannot be decompressed (${messageOf(error)})`);
    }
    throw error;
  }
  return { ...file, path: target };
}

/** Refuses text that would cost DuckDB its bounds: binary bytes and endless lines. One sequential read. */
export async function inspectText(file: LocalFile, encoding: Encoding): Promise<void> {
  let sinceLineEnd = 0;
  for await (const chunk of createReadStream(file.path, {
    highWaterMark: 1024 * 1024,
  }) as AsyncIterable<Buffer>) {
    if (encoding !== 'utf-16' && chunk.includes(0)) {
      throw new UnreadableError(
        file.name,
        'it holds NUL bytes: it is binary, or in another encoding such as UTF-16',
      );
    }
    const last = Math.max(chunk.lastIndexOf(0x0a), chunk.lastIndexOf(0x0d));
    const first =
      last < 0 ? -1 : Math.min(...[0x0a, 0x0d].map((end) => chunk.indexOf(end)).filter((at) => at >= 0));
    if (sinceLineEnd + (first < 0 ? chunk.length : first) > MAX_LINE_BYTES) {
      throw new UnreadableError(file.name, `it has a line of more than ${MAX_LINE_BYTES} bytes`);
    }
    sinceLineEnd = last < 0 ? sinceLineEnd + chunk.length : chunk.length - 1 - last;
  }
}

/** By content, not by name: what the bytes are decides how they are read. */
export async function formatOf(file: LocalFile): Promise<'csv' | 'jsonl' | 'parquet'> {
  const handle = await open(file.path);
  let head: Buffer;
  try {
    const { bytesRead, buffer } = await handle.read(Buffer.alloc(4096), 0, 4096, 0);
    head = buffer.subarray(0, bytesRead);
  } finally {
    await handle.close();
  }
  if (head.length === 0) throw new GateInputError(`${file.name} is empty`);
  if (head.subarray(0, 4).toString('latin1') === 'PAR1') return 'parquet';
  const start = head
    .toString('utf8')
    .replace(/^\ufeff/, '')
    .trimStart();
  if (/^\[\s*[{\]]/.test(start)) {
    throw new GateInputError(`${file.name} is one JSON array, expected one JSON object a line`, {
      help: `Convert it: jq -c '.[]' ${file.name}`,
    });
  }
  return start.startsWith('{') ? 'jsonl' : 'csv';
}

/** The cells of the first record, without reading more of the file than the longest line that is allowed. */
export async function readHeader(file: LocalFile, csv: Dialect): Promise<string[]> {
  const handle = await open(file.path);
  const buffer = Buffer.alloc(Math.min(MAX_LINE_BYTES, (await handle.stat()).size));
  try {
    await handle.read(buffer, 0, buffer.length, 0);
  } finally {
    await handle.close();
  }
  if (csv.encoding === 'utf-16' && buffer[0] === 0xfe && buffer[1] === 0xff) {
    throw new UnreadableError(file.name, 'it is big-endian UTF-16; only little-endian can be read');
  }
  const decoder = new TextDecoder(
    csv.encoding === 'latin-1' ? 'latin1' : csv.encoding === 'utf-16' ? 'utf-16le' : 'utf-8',
  );
  const head = decoder.decode(buffer);
  const cells: string[] = [];
  let cell = '';
  let quoted = false;
  let at = 0;
  for (; at < head.length; at++) {
    const letter = head[at] as string;
    if (quoted) {
      if (letter !== csv.quote) cell += letter;
      else if (head[at + 1] === csv.quote) {
        cell += letter;
        at++;
      } else quoted = false;
    } else if (letter === csv.quote && cell === '') quoted = true;
    else if (head.startsWith(csv.delimiter, at)) {
      cells.push(cell);
      cell = '';
      at += csv.delimiter.length - 1;
    } else if (letter === '\n' || letter === '\r') break;
    else cell += letter;
  }
  if (head.length === 0) return [];
  return [...cells, cell];
}

/** Names of columns that SQL cannot tell from DuckDB's own, or cannot write. */
export function checkNames(names: readonly string[], file: string): void {
  const own = names.find((name) => /^file_(row_number|index)$/i.test(name));
  if (own !== undefined) {
    throw new GateInputError(`${file} has a column ${own}, a name that the engine needs for itself.`, {
      help: 'Give the column another name.',
    });
  }
  if (names.some((name) => name.includes('\0'))) {
    throw new UnreadableError(file, 'the name of a column holds a NUL byte');
  }
}

/** @throws GateInputError where there are too many */
export function checkRows(rows: number, { maxRows }: EngineLimits): void {
  if (rows <= maxRows) return;
  throw new GateInputError(
    `The dataset has ${rows} rows, more than the ${maxRows} that this engine measures.`,
    {
      help: 'Split the dataset.',
    },
  );
}
