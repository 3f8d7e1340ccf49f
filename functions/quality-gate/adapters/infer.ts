import { createReadStream } from 'node:fs';
import { type Engine, identifier, isOfTheData, text, UnreadableError } from '../../shared/engine/duckdb.ts';
import { formatOf, inspectText, readHeader, withFiles } from '../../shared/engine/files.ts';
import type { EngineLimits, LocalFile } from '../../shared/engine/limits.ts';
import { GateInputError, messageOf } from '../../shared/errors.ts';
import type { ColumnType } from '../../shared/profile.ts';
import type { Inference, InferredColumn } from '../contract-init.ts';
import type { LocalDataset } from '../profile.ts';
import type { CsvOptions } from '../schema.ts';
import { DEFAULT_CSV, fromText, pointer } from './ingest.ts';

/*
 * Guesses how a file is written and which logical type each of its columns has, by the same conversions that
 * measuring uses. A type is taken when (nearly) every value converts to it.
 */

/** Share of the values that must convert to a type for the column to be of it. */
const CONVERTS = 0.95;

/** About as many records tell the likely type of each column; it is then tried on all. */
const PROBE_ROWS = 10_000;

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

/**
 * SQL that is true for a {@link NULL_MARKERS}. By an expression, because DuckDB makes a hash join of every `IN` with
 * more than a few values, and a hundred of those take a gigabyte.
 */
const isMark = (raw: string) =>
  `regexp_full_match(${raw}, ${text(NULL_MARKERS.map((mark) => mark.replace(/[\\?.]/g, '\\$&')).join('|'))})`;

/** Numbers that are names: postal codes with their zero, and more digits than a number holds. */
const CODE = '[+-]?0[0-9]+|[0-9]{17,}';

/** Share of such texts from which a column of them is one of strings. */
const CODES = 0.001;

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

/** A type that texts may have. */
interface Candidate extends InferredColumn {
  /** SQL that is null where a text does not convert. */
  convert(raw: string): string;
}

function candidate(type: ColumnType, timeFormat?: string): Candidate {
  const column: InferredColumn = timeFormat === undefined ? { type } : { type, timeFormat };
  return { ...column, convert: (raw) => fromText(raw, column) };
}

const TIME_CANDIDATES: readonly Candidate[] = [
  candidate('timestamp'),
  ...TIME_FORMATS.map((format) => candidate(/%[HI]/.test(format) ? 'timestamp' : 'date', format)),
];

/** The narrower of two types stands first: where both fit equally well, it is taken. */
const PLAIN_CANDIDATES: readonly Candidate[] = [
  candidate('integer'),
  candidate('number'),
  candidate('boolean'),
];

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
    return await withFiles(dataset.files, { limits, scratch }, async (engine, files) => {
      const format = await formatOf(files[0] ?? first);
      if (format === 'parquet') return inferParquet(engine, files);
      return format === 'jsonl' ? inferJsonLines(engine, files, limits) : inferCsv(engine, files, limits);
    });
  } catch (error) {
    if (!(error instanceof UnreadableError)) throw error;
    throw new GateInputError(`${error.file} cannot be read: ${error.message}`, { cause: error });
  }
}

// --- Parquet -----------------------------------------------------------------------------------------------

async function inferParquet(engine: Engine, files: LocalFile[]): Promise<Inference> {
  const list = `[${files.map((file) => text(file.path)).join(', ')}]`;
  const [names = [], types = []] = (await engine.columns(
    `DESCRIBE SELECT * FROM read_parquet(${list}, hive_partitioning = false)`,
  )) as [string[], string[]];
  await engine.run(
    `CREATE VIEW raw AS SELECT ${names.map((name, index) => `${identifier(name)} AS c${index}`).join(', ')} FROM read_parquet(${list}, hive_partitioning = false)`,
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
  refuseOddNames(first, names);
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
  const found = await typesOf(
    engine,
    names.map((_, index) => ({ raw: `c${index}`, timesOnly: false })),
    markers,
  );
  for (const [index, name] of names.entries()) {
    columns[name] = found[index] ?? { type: 'string', ...(await shapeOf(engine, `c${index}`)) };
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
    for await (const chunk of createReadStream(file.path, {
      highWaterMark: 1 << 20,
    }) as AsyncIterable<Buffer>) {
      if (start && /^(\xff\xfe|\xfe\xff)/.test(chunk.toString('latin1', 0, 2))) return 'utf-16';
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

async function sniff(engine: Engine, file: LocalFile, encoding: CsvOptions['encoding']): Promise<CsvOptions> {
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
      nullValues: DEFAULT_CSV.nullValues,
      encoding,
    };
  } catch (error) {
    if (!isOfTheData(messageOf(error))) throw error;
    throw new GateInputError(`${file.name} cannot be read as CSV, and it is neither Parquet nor JSON Lines`, {
      cause: error,
      help: 'Look for mixed line ends, a quote that is not closed, or a row with more cells than the others.',
    });
  }
}

// --- JSON Lines --------------------------------------------------------------------------------------------

async function inferJsonLines(engine: Engine, files: LocalFile[], limits: EngineLimits): Promise<Inference> {
  const [first] = files as [LocalFile];
  for (const file of files) await inspectText(file, 'utf-8');
  const read = files.map(
    (file) => `SELECT json FROM read_ndjson_objects(${text(file.path)}, ignore_errors = true)`,
  );
  await engine.run(
    `CREATE TABLE lines AS SELECT json, json_keys(json) AS keys FROM (${read.join(' UNION ALL ')}) WHERE json_type(json) = 'OBJECT'`,
  );
  const [keys = []] = (await engine.columns(
    `SELECT key FROM (SELECT unnest(keys) AS key, rowid AS row, generate_subscripts(keys, 1) AS place FROM lines)
     GROUP BY key ORDER BY min(row * 100000 + place) LIMIT ${limits.maxColumns + 1}`,
  )) as [string[]];
  if (keys.length === 0) throw new GateInputError(`${first.name} has no JSON object`);
  refuseTooMany(first, keys, limits);

  const path = (index: number) => text(pointer(keys[index] ?? ''));
  const kinds = await countIn(
    engine,
    'lines',
    keys.map((_, index) => {
      const kind = `json_type(json, ${path(index)})`;
      const number = `CASE WHEN ${kind} IN ('BIGINT', 'UBIGINT', 'HUGEINT', 'DOUBLE') THEN json_extract_string(json, ${path(index)}) END`;
      return [
        `CASE WHEN ${kind} <> 'NULL' THEN 1 END`,
        number,
        fromText(`(${number})`, { type: 'integer' }),
        `CASE WHEN ${kind} = 'BOOLEAN' THEN 1 END`,
        `CASE WHEN ${kind} = 'VARCHAR' THEN 1 END`,
      ];
    }),
  );
  const types = kinds.map(([values = 0, numbers = 0, integers = 0, booleans = 0, texts = 0]): ColumnType => {
    const mostly = (count: number) => count > 0 && count >= CONVERTS * values;
    if (mostly(numbers)) return integers === numbers ? 'integer' : 'number';
    if (mostly(booleans)) return 'boolean';
    // Only a text can be a time, which is found out below.
    return mostly(texts) ? 'timestamp' : 'string';
  });
  await engine.run(
    `CREATE TABLE raw AS SELECT ${keys
      .map(
        (_, index) =>
          `CASE WHEN json_type(json, ${path(index)}) = 'VARCHAR' THEN json_extract_string(json, ${path(index)}) END AS c${index}`,
      )
      .join(', ')} FROM lines`,
  );
  await engine.run('DROP TABLE lines');
  const times = await typesOf(
    engine,
    types.flatMap((type, index) => (type === 'timestamp' ? [{ raw: `c${index}`, timesOnly: true }] : [])),
    new Set(),
  );
  const columns: Inference['columns'] = {};
  for (const [index, name] of keys.entries()) {
    const type = types[index] ?? 'string';
    const time = type === 'timestamp' ? times.shift() : undefined;
    if (type !== 'timestamp' && type !== 'string') columns[name] = { type };
    else columns[name] = time ?? { type: 'string', ...(await shapeOf(engine, `c${index}`)) };
  }
  return { format: 'jsonl', columns };
}

// --- Types of texts ----------------------------------------------------------------------------------------

/** A column of texts, `c<i>` of the table `raw`, and the types that it may have. */
interface Texts {
  raw: string;
  /** Times only: what else a text of JSON says, it says as a text. */
  timesOnly: boolean;
}

/**
 * The type that fits each column best, found in some of the records and confirmed by all; undefined for a string.
 * Marks of "no value" in columns of other types are added to `markers`.
 */
async function typesOf(
  engine: Engine,
  columns: readonly Texts[],
  markers: Set<string>,
): Promise<(InferredColumn | undefined)[]> {
  const likely = await probe(engine, columns);
  // Columns that convert without exception, as most do, are confirmed by counting alone.
  const counts = await countIn(
    engine,
    'raw',
    columns.map(({ raw }, index) => {
      const convert = likely[index]?.convert;
      if (convert === undefined) return [];
      return [
        raw,
        convert(raw),
        `CASE WHEN regexp_matches(${raw}, '[0-9]:[0-9]') THEN 1 END`,
        `CASE WHEN ${isMark(raw)} THEN 1 END`,
      ];
    }),
  );
  const found: (InferredColumn | undefined)[] = [];
  for (const [index, { raw }] of columns.entries()) {
    const candidate = likely[index];
    const [values = 0, converted = 0, clocks = 0, marked = 0] = counts[index] ?? [];
    if (candidate === undefined || converted < CONVERTS * (values - marked)) {
      found.push(undefined);
      continue;
    }
    if (marked > 0) for (const mark of await marksIn(engine, raw)) markers.add(mark);
    const { type, timeFormat } = candidate;
    if (timeFormat !== undefined) found.push({ type, timeFormat });
    else found.push({ type: type === 'timestamp' && clocks === 0 ? 'date' : type });
  }
  return found;
}

/** The candidate that fits each column best in a part of the records; undefined where none fits. */
async function probe(engine: Engine, columns: readonly Texts[]): Promise<(Candidate | undefined)[]> {
  const [rows] = await engine.columns('SELECT count(*)::DOUBLE FROM raw');
  const keep = Math.max(1, Math.floor(Number(rows?.[0]) / PROBE_ROWS));
  const likely: (Candidate | undefined)[] = columns.map(() => undefined);
  let open = [...columns.keys()];
  // Again with all records for columns that have hardly any value, and none among those.
  for (const sample of keep === 1 ? [1] : [keep, 1]) {
    const part = open.map((index) => columns[index] as Texts);
    if (part.length === 0) break;
    await engine.run(
      `CREATE OR REPLACE TABLE probe AS SELECT ${part
        .map(({ raw }) => `CASE WHEN NOT ${isMark(raw)} AND trim(${raw}) <> '' THEN ${raw} END AS ${raw}`)
        .join(', ')} FROM raw WHERE hash(rowid) % ${sample} = 0`,
    );
    const plain = await countIn(
      engine,
      'probe',
      part.map(({ raw, timesOnly }) => [
        raw,
        `CASE WHEN regexp_full_match(${raw}, '${CODE}') THEN 1 END`,
        // Any time has two numbers and something between them; most strings have not, and are done with.
        `CASE WHEN regexp_matches(${raw}, '[0-9].*[^0-9].*[0-9]') THEN 1 END`,
        ...(timesOnly ? [] : PLAIN_CANDIDATES.map(({ convert }) => convert(raw))),
      ]),
    );
    const dated = part.map((_, at) => (plain[at]?.[2] ?? 0) >= CONVERTS * (plain[at]?.[0] ?? 0));
    const times = await countIn(
      engine,
      'probe',
      part.map(({ raw }, at) => (dated[at] ? TIME_CANDIDATES.map(({ convert }) => convert(raw)) : [])),
    );
    for (const [at, index] of open.entries()) {
      const [values = 0, codes = 0, , ...converted] = plain[at] ?? [];
      const candidates = part[at]?.timesOnly ? TIME_CANDIDATES : [...PLAIN_CANDIDATES, ...TIME_CANDIDATES];
      const fits = [...converted, ...(times[at] ?? [])];
      const best = Math.max(0, ...fits);
      const candidate = candidates[fits.indexOf(best)];
      if (values === 0 || best < CONVERTS * values) continue;
      const number = candidate?.type === 'integer' || candidate?.type === 'number';
      if (!(number && codes > 0 && codes >= CODES * values)) likely[index] = candidate;
    }
    open = open.filter((_, at) => plain[at]?.[0] === 0);
  }
  await engine.run('DROP TABLE IF EXISTS probe');
  return likely;
}

async function marksIn(engine: Engine, raw: string): Promise<string[]> {
  const [marks = []] = (await engine.columns(
    `SELECT DISTINCT ${raw} FROM raw WHERE ${isMark(raw)} ORDER BY ALL`,
  )) as [string[]];
  return marks;
}

/**
 * Counts what is not null, of several groups of expressions; some groups at a time, because a query of tens of
 * thousands of expressions takes DuckDB minutes to plan.
 */
async function countIn(engine: Engine, table: string, groups: readonly string[][]): Promise<number[][]> {
  const counts: number[][] = [];
  for (let from = 0; from < groups.length; from += 20) {
    const part = groups.slice(from, from + 20);
    const sums = part.flat().map((expression) => `count(${expression})::DOUBLE`);
    const columns = sums.length === 0 ? [] : await engine.columns(`SELECT ${sums.join(', ')} FROM ${table}`);
    for (const group of part) counts.push(columns.splice(0, group.length).map((column) => Number(column[0])));
  }
  return counts;
}

// --- Shapes of strings -------------------------------------------------------------------------------------

/** Characters that are told apart, from the finest to the coarsest. */
const CLASSES: readonly string[][] = [
  ['[A-Z]', '[a-z]', '[0-9]'],
  ['[0-9a-f]'],
  ['[0-9A-F]'],
  ['[0-9A-Za-z]'],
];

/** Fewer values say nothing about a shape. */
const MIN_VALUES = 20;
/** Fewer records show first that there is no single shape, so that most columns of text cost next to nothing. */
const PROBE_SHAPES = 1000;
/** Runs of one class of characters; a text with more of them is prose. */
const MAX_RUNS = 12;
/** Characters that a value needs where only one class of characters is told apart: a hash, not a word. */
const MIN_HASH = 8;

/**
 * The shape that all values of a string column have, as an RE2 expression: `[A-Z]{3}`, `[0-9]{5}-[0-9]{4}`.
 * Nothing where there is no single one, or where it says no more than "words".
 */
async function shapeOf(engine: Engine, raw: string): Promise<{ pattern?: string }> {
  for (const classes of CLASSES) {
    // A run of class number i becomes the control character i + 1, which no class matches.
    const shape = classes.reduce(
      (inner, one, index) => `regexp_replace(${inner}, '${one}+', chr(${index + 1}), 'g')`,
      raw,
    );
    const [least, most] = await shapesIn(`(SELECT * FROM raw LIMIT ${PROBE_SHAPES})`);
    if (least === null || least !== most) continue;
    const [first, last, count] = await shapesIn('raw');
    if (first === null || first !== last || count < MIN_VALUES) continue;
    const pattern = await patternOf(engine, raw, first, classes);
    if (pattern !== undefined) return { pattern };

    async function shapesIn(from: string): Promise<[string | null, string | null, number]> {
      const columns = await engine.columns(
        `SELECT min(${shape}), max(${shape}), count(${raw})::DOUBLE FROM ${from}`,
      );
      return columns.map((column) => column[0]) as [string | null, string | null, number];
    }
  }
  return {};
}

/** The expression for a shape, with the lengths that its runs have; undefined where it is too vague. */
async function patternOf(
  engine: Engine,
  raw: string,
  shape: string,
  classes: readonly string[],
): Promise<string | undefined> {
  const runs = [...shape].filter((character) => character.charCodeAt(0) <= classes.length).length;
  if (runs === 0 || runs > MAX_RUNS) return undefined;
  const anyRun = classes.map((one) => `${one}+`).join('|');
  const lengths = (
    await engine.columns(
      `SELECT ${Array.from({ length: runs }, (_, index) => `min(length(run[${index + 1}]))::DOUBLE, max(length(run[${index + 1}]))::DOUBLE`).join(', ')}
       FROM (SELECT regexp_extract_all(${raw}, '${anyRun}') AS run FROM raw WHERE ${raw} IS NOT NULL)`,
    )
  ).map((column) => Number(column[0]));

  let pattern = '';
  let total = 0;
  let run = 0;
  for (const character of shape) {
    const one = classes[character.charCodeAt(0) - 1];
    if (one === undefined) {
      // A control character does not survive the quotes of YAML.
      if (/\p{Cc}/u.test(character)) return undefined;
      pattern += character.replace(/[\\^$.*+?()[\]{}|]/, '\\$&');
      continue;
    }
    const [shortest = 0, longest = 0] = lengths.slice(run * 2, run * 2 + 2);
    run++;
    total += shortest;
    const fixed = shortest === longest;
    // Letters in any number are words; only digits may be as many as they like.
    if (!fixed && one !== '[0-9]') return undefined;
    pattern += fixed ? (shortest === 1 ? one : `${one}{${shortest}}`) : `${one}+`;
  }
  if (classes.length === 1 && total < MIN_HASH) return undefined;
  const [misses] = await engine.columns(
    `SELECT count(*)::DOUBLE FROM raw WHERE NOT regexp_full_match(${raw}, ${text(pattern)})`,
  );
  return misses?.[0] === 0 ? pattern : undefined;
}

// --- Bounds ------------------------------------------------------------------------------------------------

function refuseTooMany(file: LocalFile, names: readonly string[], limits: EngineLimits): void {
  if (names.length > limits.maxColumns) {
    throw new GateInputError(`${file.name} has more than ${limits.maxColumns} columns (${names.length})`, {
      help: 'A contract names at most 2000 columns: check the delimiter, or split the dataset.',
    });
  }
}

function refuseOddNames(file: LocalFile, names: readonly string[]): void {
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (names.includes('')) {
    throw new GateInputError(`${file.name} has a column without a name`, { help: 'Name it, or drop it.' });
  }
  if (twice !== undefined) {
    throw new GateInputError(
      `${file.name} has two columns called "${twice}"; readers disagree on which one counts`,
      {
        help: 'Rename or drop one of them.',
      },
    );
  }
}
