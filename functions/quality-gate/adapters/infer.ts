import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { GateInputError, messageOf } from '../../shared/errors.ts';
import type { Inference, InferredColumn } from '../contract-init.ts';
import type { EngineLimits, LocalDataset, LocalFile } from '../profile.ts';
import type { ColumnType, CsvOptions } from '../schema.ts';
import { type Engine, identifier, text, UnreadableError, withEngine } from './engine.ts';
import { DEFAULT_CSV, decompress, fromText, inspectText, jsonPointer, readHeader } from './ingest.ts';

/*
 * Guesses how a file is written and which logical type each of its columns has, by the same conversions that
 * measuring uses. A type is taken when (nearly) every value converts to it.
 */

/** Share of the values that must convert to a type for the column to be of it. */
const CONVERTS = 0.95;

/** Records that the candidates for types are found in; the winner is then tried on all. */
const PROBE_ROWS = 50_000;

/** Texts that people write for "no value". Taken as null where they stand in a column of another type. */
const NULL_MARKERS = [
  'NA',
  'N/A',
  'n/a',
  '#N/A',
  'null',
  'NULL',
  'None',
  'nan',
  'NaN',
  '\\N',
  '-',
  '?',
  '.',
] as const;

/** Formats of dates that are not ISO 8601; month before day where a column fits both. */
const TIME_FORMATS = [
  '%m/%d/%Y',
  '%d/%m/%Y',
  '%m/%d/%y',
  '%d/%m/%y',
  '%d.%m.%Y',
  '%d-%m-%Y',
  '%d-%b-%Y',
  '%d-%b-%y',
  '%d %b %Y',
  '%b %d %Y',
  '%b %d, %Y',
  '%B %d, %Y',
  '%Y/%m/%d %H:%M',
  '%m/%d/%Y %H:%M',
  '%m/%d/%Y %H:%M:%S',
  '%m/%d/%Y %I:%M:%S %p',
  '%d/%m/%Y %H:%M',
  '%d/%m/%Y %H:%M:%S',
  '%d.%m.%Y %H:%M',
  '%d.%m.%Y %H:%M:%S',
  '%a %b %d %H:%M:%S %Y',
] as const;

/** Types of texts in the order in which they are tried: the first that fits is the narrowest. */
interface Candidate extends InferredColumn {
  /** SQL that is null where a text does not convert. */
  convert(raw: string): string;
}

const TEXT_CANDIDATES: readonly Candidate[] = [
  plain('integer'),
  plain('number'),
  plain('boolean'),
  plain('timestamp'),
  ...TIME_FORMATS.map((timeFormat): Candidate => {
    const type = /%[HI]/.test(timeFormat) ? 'timestamp' : 'date';
    return { type, timeFormat, convert: (raw) => fromText(raw, { type, timeFormat }) };
  }),
];

function plain(type: ColumnType): Candidate {
  return { type, convert: (raw) => fromText(raw, { type }) };
}

/**
 * Guesses format, dialect, and the type of every column.
 *
 * @throws GateInputError where the data cannot be read as any format, or a bound is hit
 * @throws GateDependencyError where the engine or the disk fails
 */
export async function inferColumns(
  dataset: LocalDataset,
  limits: EngineLimits,
  scratch: string,
): Promise<Inference> {
  const [first] = dataset.files;
  if (first === undefined) throw new GateInputError('a dataset of no files');
  try {
    return await withEngine(
      { limits, scratch, readable: dataset.files.map((file) => file.path) },
      async (engine) => {
        const budget = { bytes: limits.diskBytes };
        const files: LocalFile[] = [];
        for (const [index, file] of dataset.files.entries()) {
          files.push(await decompress(file, join(engine.scratch, `input-${index}`), budget));
        }
        const format = await formatOf(files[0] ?? first);
        if (format === 'parquet') return inferParquet(engine, files);
        return format === 'jsonl' ? inferJsonLines(engine, files, limits) : inferCsv(engine, files, limits);
      },
    );
  } catch (error) {
    if (!(error instanceof UnreadableError)) throw error;
    const name = dataset.files.find((file) => file.path === error.file)?.name ?? error.file;
    throw new GateInputError(`${name} cannot be read: ${error.message}`, { cause: error });
  }
}

/** By content, not by name: what the bytes are decides how they are read. */
async function formatOf(file: LocalFile): Promise<Inference['format']> {
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
  const start = head.toString('utf8').replace(/^\ufeff/, '').trimStart();
  if (/^\[\s*[{\]]/.test(start)) {
    throw new GateInputError(`${file.name} is one JSON array, expected one JSON object a line`, {
      help: `Convert it: jq -c '.[]' ${file.name}`,
    });
  }
  return start.startsWith('{') ? 'jsonl' : 'csv';
}

// --- Parquet -----------------------------------------------------------------------------------------------

async function inferParquet(engine: Engine, files: LocalFile[]): Promise<Inference> {
  const list = `[${files.map((file) => text(file.path)).join(', ')}]`;
  const [names = [], types = []] = (await engine.columns(
    `DESCRIBE SELECT * FROM read_parquet(${list})`,
  )) as [string[], string[]];
  await engine.run(
    `CREATE VIEW raw AS SELECT ${names.map((name, index) => `${identifier(name)} AS c${index}`).join(', ')} FROM read_parquet(${list})`,
  );
  const columns: Inference['columns'] = {};
  for (const [index, name] of names.entries()) {
    const type = logicalType(types[index] ?? '');
    columns[name] = { type, ...(type === 'string' && (await shapeOf(engine, `CAST(c${index} AS VARCHAR)`))) };
  }
  return { format: 'parquet', columns };
}

function logicalType(physical: string): ColumnType {
  if (/^U?(TINYINT|SMALLINT|INTEGER|BIGINT|HUGEINT)$/.test(physical)) return 'integer';
  if (/^(FLOAT|DOUBLE|DECIMAL\(.*\))$/.test(physical)) return 'number';
  if (/^TIMESTAMP( WITH TIME ZONE|_S|_MS|_NS)?$/.test(physical)) return 'timestamp';
  return physical === 'DATE' ? 'date' : physical === 'BOOLEAN' ? 'boolean' : 'string';
}

// --- CSV ---------------------------------------------------------------------------------------------------

async function inferCsv(engine: Engine, files: LocalFile[], limits: EngineLimits): Promise<Inference> {
  const [first] = files as [LocalFile];
  const encoding = await encodingOf(first);
  for (const file of files) await inspectText(file, encoding);
  const csv = await sniff(engine, first, encoding);
  const header = await readHeader(first, csv);
  const names = csv.header ? header : header.map((_, index) => `column${index + 1}`);
  refuseDuplicates(first, names);
  refuseTooMany(first, names, limits);

  // Marks of "no value" are looked for first, so a null here is only an empty field.
  const read = files.map(
    (file) => `SELECT * FROM read_csv(${text(file.path)}, auto_detect = false, header = ${csv.header},
      delim = ${text(csv.delimiter)}, quote = ${text(csv.quote)}, escape = ${text(csv.quote)}, nullstr = [''],
      allow_quoted_nulls = false, encoding = ${text(encoding)}, ignore_errors = true,
      columns = {${names.map((_, index) => `c${index}: 'VARCHAR'`).join(', ')}})`,
  );
  await engine.run(`CREATE TABLE raw AS ${read.join(' UNION ALL ')}`);

  const markers = new Set<string>();
  const columns: Inference['columns'] = {};
  const candidates = await probe(
    engine,
    names.map((_, index) => `c${index}`),
  );
  for (const [index, name] of names.entries()) {
    const raw = `c${index}`;
    const candidate = candidates[index] && (await confirm(engine, raw, candidates[index], markers));
    columns[name] = candidate ?? { type: 'string', ...(await shapeOf(engine, raw)) };
  }
  const nullValues = ['', ...NULL_MARKERS.filter((marker) => markers.has(marker))];
  const options: Partial<CsvOptions> = {
    ...(csv.delimiter !== DEFAULT_CSV.delimiter && { delimiter: csv.delimiter }),
    ...(csv.quote !== DEFAULT_CSV.quote && { quote: csv.quote }),
    ...(csv.header !== DEFAULT_CSV.header && { header: csv.header }),
    ...(nullValues.length > 1 && { nullValues }),
    ...(encoding !== DEFAULT_CSV.encoding && { encoding }),
  };
  return { format: 'csv', ...(Object.keys(options).length > 0 && { csv: options }), columns };
}

/** UTF-16 by its byte order mark, UTF-8 where every byte fits, else Latin-1, which any bytes fit. */
async function encodingOf(file: LocalFile): Promise<CsvOptions['encoding']> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let start = true;
  try {
    for await (const chunk of createReadStream(file.path, { highWaterMark: 1 << 20 }) as AsyncIterable<Buffer>) {
      if (start && (chunk.readUInt16BE(0) === 0xfffe || chunk.readUInt16BE(0) === 0xfeff)) return 'utf-16';
      start = false;
      decoder.decode(chunk, { stream: true });
    }
    decoder.decode();
    return 'utf-8';
  } catch (error) {
    if (error instanceof TypeError) return 'latin-1';
    throw error;
  }
}

async function sniff(
  engine: Engine,
  file: LocalFile,
  encoding: CsvOptions['encoding'],
): Promise<Pick<CsvOptions, 'delimiter' | 'quote' | 'header' | 'encoding'>> {
  try {
    const [found] = await engine.rows(
      `SELECT Delimiter AS delimiter, Quote AS quote, HasHeader AS header
       FROM sniff_csv(${text(file.path)}, encoding = ${text(encoding)}, ignore_errors = true)`,
    );
    const quote = String(found?.quote);
    return {
      delimiter: String(found?.delimiter ?? DEFAULT_CSV.delimiter),
      // '(empty)' and NUL: none was seen, so the usual one does no harm.
      quote: quote.length === 1 && quote !== '\0' ? quote : DEFAULT_CSV.quote,
      header: found?.header !== false,
      encoding,
    };
  } catch (error) {
    throw new GateInputError(`${file.name} cannot be read as CSV, and it is neither Parquet nor JSON Lines`, {
      cause: error,
      help: messageOf(error).split('\n')[0] ?? '',
    });
  }
}

/** The narrowest candidate for each column, judged by the first records; undefined for a string. */
async function probe(engine: Engine, raws: readonly string[]): Promise<(Candidate | undefined)[]> {
  await engine.run(`CREATE TABLE probe AS SELECT * FROM raw LIMIT ${PROBE_ROWS}`);
  const found: (Candidate | undefined)[] = [];
  const markers = NULL_MARKERS.map(text).join(', ');
  // Some columns at a time: a query with tens of thousands of expressions takes DuckDB minutes to plan.
  for (let from = 0; from < raws.length; from += 20) {
    const part = raws.slice(from, from + 20);
    const counts = (
      await engine.columns(
        `SELECT ${part
          .flatMap((raw) => {
            const value = `CASE WHEN ${raw} NOT IN (${markers}) THEN ${raw} END`;
            return [
              `count(${value})::DOUBLE`,
              ...TEXT_CANDIDATES.map(({ convert }) => `count(${convert(`(${value})`)})::DOUBLE`),
            ];
          })
          .join(', ')} FROM probe`,
      )
    ).map((column) => Number(column[0]));
    const width = 1 + TEXT_CANDIDATES.length;
    for (const index of part.keys()) {
      const [total = 0, ...converted] = counts.slice(index * width, (index + 1) * width);
      const best = Math.max(...converted);
      // Of two formats that fit nearly everything, the one that fits more is right: 12/31 is no 31st of a 12th.
      found.push(
        total > 0 && best >= CONVERTS * total
          ? TEXT_CANDIDATES[converted.findIndex((count, at) => count >= CONVERTS * total && narrow(at, count, converted))]
          : undefined,
      );
    }
  }
  await engine.run('DROP TABLE probe');
  return found;
}
