import {
  type Engine,
  firstSentence,
  identifier,
  isOfTheData,
  text,
  UnreadableError,
} from '../../shared/engine/duckdb.ts';
import {
  checkNames,
  checkRows,
  formatOf,
  inspectText,
  MAX_LINE_BYTES,
  readHeader,
} from '../../shared/engine/files.ts';
import type { EngineLimits, LocalFile } from '../../shared/engine/limits.ts';
import { GateInputError, messageOf } from '../../shared/errors.ts';

/*
 * A holdout in any format as one relation, `source`, with the number of the row, `n`, from 1.
 *
 * Nobody declares the types of a holdout. Parquet has its own. Text has none: to a model it is given as it stands, and
 * for expressions a column has the narrowest type that all of its values fit.
 */

/** A column of a holdout that was loaded. */
export interface SourceColumn {
  name: string;
  type: ColumnKind;
  /** SQL over `source` of the value as it is stored. */
  raw: string;
  /** SQL of the value in its type. */
  value: string;
  /** SQL of the value as a cell of CSV, without quotes; null where there is none. */
  cell: string;
  /** SQL of the value as JSON. */
  json: string;
  /** SQL that is true where the value is a list or an object; absent where none can be. */
  nested?: string;
}

/** What the values of a column are. `nested`: lists, structs; `binary`: bytes, which no text can carry. */
export type ColumnKind =
  | 'boolean'
  | 'integer'
  | 'float'
  | 'decimal'
  | 'text'
  | 'time'
  | 'other'
  | 'nested'
  | 'binary';

/** A holdout of which only the names of columns were read yet. */
export interface Source {
  format: 'csv' | 'jsonl' | 'parquet';
  /** In the order of the file; no two are equal. */
  columns: string[];
  /** Of CSV. */
  delimiter?: string;
  /**
   * Makes `source` of some columns.
   *
   * @param typed columns that expressions read; the others are only handed on
   * @returns the columns by name
   */
  load(names: readonly string[], typed: readonly string[]): Promise<Loaded>;
}

export interface Loaded {
  rows: number;
  columns: Map<string, SourceColumn>;
}

/**
 * Opens a holdout: Parquet, CSV with a header, or JSON Lines, told apart by its bytes.
 *
 * @param file decompressed
 * @throws UnreadableError where the bytes are not what the format promises
 * @throws GateInputError where a bound is hit
 */
export async function openSource(engine: Engine, file: LocalFile, limits: EngineLimits): Promise<Source> {
  const format = await formatOf(file);
  if (format !== 'parquet') await inspectText(file, 'utf-8');
  const open = { parquet: openParquet, csv: openCsv, jsonl: openJsonLines }[format];
  const source = await open(engine, file, limits);
  checkNames(source.columns, file.name);
  if (source.columns.length > limits.maxColumns) {
    throw new GateInputError(`${file.name} has more than ${limits.maxColumns} columns`);
  }
  const twice = source.columns.find((name, index) => source.columns.indexOf(name) < index);
  if (twice !== undefined) throw new GateInputError(`${file.name} has two columns ${JSON.stringify(twice)}`);
  return source;
}

/** Counts the rows once they can be counted. */
async function countRows(engine: Engine, file: LocalFile, limits: EngineLimits): Promise<number> {
  const [counts] = await engine.columns('SELECT count(*)::DOUBLE FROM source');
  const rows = Number(counts?.[0] ?? 0);
  if (rows === 0) throw new GateInputError(`${file.name} has no rows`);
  checkRows(rows, limits);
  return rows;
}

// --- Parquet -----------------------------------------------------------------------------------------------

async function openParquet(engine: Engine, file: LocalFile, limits: EngineLimits): Promise<Source> {
  const read = `read_parquet(${text(file.path)}, hive_partitioning = false, file_row_number = true)`;
  let described: string[][];
  try {
    described = (await engine.columns(
      `DESCRIBE SELECT * EXCLUDE (file_row_number) FROM ${read}`,
    )) as string[][];
  } catch (error) {
    if (!isOfTheData(messageOf(error))) throw error;
    throw new UnreadableError(
      file.name,
      `it is no complete Parquet file (${firstSentence(messageOf(error))})`,
    );
  }
  const [columns = [], types = []] = described;
  return {
    format: 'parquet',
    columns,
    load: async (names) => {
      const picked = names.map((name) => columns.indexOf(name));
      const fields = picked.map((at) => `${identifier(columns[at] ?? '')} AS c${at}`);
      await engine.run(
        `CREATE VIEW source AS SELECT ${[...fields, 'file_row_number + 1 AS n'].join(', ')} FROM ${read}`,
      );
      const loaded = picked.map((at) => physicalColumn(columns[at] ?? '', `c${at}`, types[at] ?? ''));
      return { rows: await countRows(engine, file, limits), columns: byName(loaded) };
    },
  };
}

function physicalColumn(name: string, raw: string, physical: string): SourceColumn {
  const type = kindOf(physical);
  if (type === 'time') return timeColumn(name, raw);
  // An enumeration is text; a UUID or a time of day is read as its text, too.
  const value = type === 'text' ? `CAST(${raw} AS VARCHAR)` : raw;
  const cell = `CAST(${raw} AS VARCHAR)`;
  return { name, type, raw, value, cell, json: jsonOf(type, value, cell) };
}

function kindOf(physical: string): ColumnKind {
  if (/(\[\d*\])$|^(STRUCT|MAP|UNION|JSON)\b/.test(physical)) return 'nested';
  if (/^U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?$/.test(physical)) return 'integer';
  if (physical === 'FLOAT' || physical === 'DOUBLE') return 'float';
  if (physical.startsWith('DECIMAL')) return 'decimal';
  if (physical.startsWith('TIMESTAMP')) return 'time';
  if (physical === 'BOOLEAN') return 'boolean';
  if (physical === 'VARCHAR' || physical.startsWith('ENUM')) return 'text';
  return physical === 'BLOB' || physical === 'BIT' ? 'binary' : 'other';
}

/** Times are written as `2001-02-28 09:30:00`, with six digits of a second where it has a fraction. */
function timeColumn(name: string, raw: string): SourceColumn {
  const value = `CAST(${raw} AS TIMESTAMP)`;
  const whole = `${value} = date_trunc('second', ${value})`;
  const cell = `CASE WHEN ${whole} THEN CAST(${value} AS VARCHAR) ELSE strftime(${value}, '%Y-%m-%d %H:%M:%S.%f') END`;
  return { name, type: 'time', raw, value, cell, json: jsonOf('time', value, cell) };
}

/** SQL of a value as JSON. It has no NaN: null is the nearest. */
function jsonOf(type: ColumnKind, value: string, cell: string): string {
  switch (type) {
    case 'boolean':
    case 'integer':
    case 'decimal':
      return `CAST(${value} AS VARCHAR)`;
    case 'float':
      return `CASE WHEN NOT isnan(${value}) THEN CAST(${value} AS VARCHAR) END`;
    case 'nested':
      return `CAST(to_json(${value}) AS VARCHAR)`;
    default:
      return `CAST(to_json(${cell}) AS VARCHAR)`;
  }
}

function byName(columns: SourceColumn[]): Map<string, SourceColumn> {
  return new Map(columns.map((column) => [column.name, column]));
}

// --- CSV ---------------------------------------------------------------------------------------------------

/** The one that gives the header most cells is taken; of equal ones the first. */
const DELIMITERS = [',', ';', '\t', '|'];

async function openCsv(engine: Engine, file: LocalFile, limits: EngineLimits): Promise<Source> {
  let columns: string[] = [];
  let delimiter = ',';
  for (const candidate of DELIMITERS) {
    const cells = await readHeader(file, { delimiter: candidate, quote: '"', encoding: 'utf-8' });
    if (cells.length > columns.length) [columns, delimiter] = [cells, candidate];
  }
  return {
    format: 'csv',
    columns,
    delimiter,
    load: async (names, typed) => {
      const read = `read_csv(${text(file.path)}, auto_detect = false, header = true, delim = ${text(delimiter)}, quote = '"', escape = '"',
        nullstr = [''], allow_quoted_nulls = false, columns = {${columns.map((_, at) => `c${at}: 'VARCHAR'`).join(', ')}},
        strict_mode = true, null_padding = false, max_line_size = ${MAX_LINE_BYTES}, compression = 'none')`;
      const picked = names.map((name) => `c${columns.indexOf(name)}`);
      await engine.run(`CREATE TABLE parsed AS SELECT ${picked.join(', ') || 'c0'} FROM ${read}`);
      await engine.run('CREATE VIEW source AS SELECT *, rowid + 1 AS n FROM parsed');
      const rows = await countRows(engine, file, limits);
      const texts = names.map((name, index) => ({ name, raw: picked[index] ?? '' }));
      return { rows, columns: byName(await typeTexts(engine, texts, typed)) };
    },
  };
}

// --- JSON Lines --------------------------------------------------------------------------------------------

async function openJsonLines(engine: Engine, file: LocalFile, limits: EngineLimits): Promise<Source> {
  await engine.run(
    `CREATE TABLE lines AS SELECT json FROM read_ndjson_objects(${text(file.path)}, maximum_object_size = ${MAX_LINE_BYTES})`,
  );
  // Most rows have the same keys: what is asked of keys is asked of each set of them.
  await engine.run(
    `CREATE TABLE shapes AS SELECT keys, kind, min(row) AS row
     FROM (SELECT json_keys(json) AS keys, json_type(json) AS kind, rowid AS row FROM lines) GROUP BY keys, kind`,
  );
  const [bad] = await engine.columns(
    `SELECT (row + 1)::DOUBLE FROM shapes WHERE kind IS DISTINCT FROM 'OBJECT'
       OR len(keys) <> len(list_distinct(keys)) ORDER BY row LIMIT 1`,
  );
  if (bad?.[0] !== undefined) {
    throw new UnreadableError(file.name, `row ${bad[0]} is not one JSON object with each key once`);
  }
  // In the order of first appearance, so that the same file always gives the same order.
  const [columns = []] = (await engine.columns(
    `SELECT key FROM (SELECT unnest(keys) AS key, row, generate_subscripts(keys, 1) AS place FROM shapes)
     GROUP BY key ORDER BY min(row * 100000 + place) LIMIT ${limits.maxColumns + 1}`,
  )) as [string[]];
  return {
    format: 'jsonl',
    columns,
    load: async (names, typed) => {
      const paths = names.map((name) => text(`/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`));
      const values = names.map((_, at) => `nullif(CAST(list[${at + 1}] AS VARCHAR), 'null') AS j${at}`);
      await engine.run(
        `CREATE TABLE parsed AS SELECT ${[...values, 'row'].join(', ')} FROM
           (SELECT json_extract(json, [${paths.join(', ')}]::VARCHAR[]) AS list, rowid AS row FROM lines)`,
      );
      await engine.run('DROP TABLE lines');
      await engine.run('CREATE VIEW source AS SELECT *, row + 1 AS n FROM parsed');
      const rows = await countRows(engine, file, limits);
      const texts = names.map((name, at) => {
        const json = `j${at}`;
        // Few strings have anything to decode.
        const raw = `CASE WHEN left(${json}, 1) <> '"' THEN ${json} WHEN contains(${json}, '\\') THEN json_extract_string(${json}, '$') ELSE substr(${json}, 2, length(${json}) - 2) END`;
        return { name, raw, json };
      });
      return { rows, columns: byName(await typeTexts(engine, texts, typed)) };
    },
  };
}

// --- Types of texts ----------------------------------------------------------------------------------------

/** A column of texts. */
interface Texts {
  name: string;
  /** SQL of the text; of a JSON string what is in it. */
  raw: string;
  /** SQL of the value as JSON, where it is that already: its first character then tells strings from numbers. */
  json?: string;
}

/** A type that texts may have, and the SQL by which one of them converts, or is null. */
interface TextType {
  type: ColumnKind;
  convert(raw: string): string;
  /** How JSON writes it: with quotes or without. */
  quoted: boolean;
}

/** The first that every value fits is taken. `007` is a code and no number. */
const TEXT_TYPES: readonly TextType[] = [
  {
    type: 'boolean',
    quoted: false,
    convert: (raw) => `CASE lower(${raw}) WHEN 'true' THEN true WHEN 'false' THEN false END`,
  },
  {
    type: 'integer',
    quoted: false,
    convert: (raw) =>
      `CASE WHEN regexp_full_match(${raw}, '[+-]?(0|[1-9][0-9]*)') THEN TRY_CAST(${raw} AS BIGINT) END`,
  },
  {
    // Longer than 64 bits: kept whole, since a float would round it.
    type: 'decimal',
    quoted: false,
    convert: (raw) =>
      `CASE WHEN regexp_full_match(${raw}, '[+-]?(0|[1-9][0-9]*)') THEN TRY_CAST(${raw} AS HUGEINT) END`,
  },
  {
    type: 'float',
    quoted: false,
    convert: (raw) =>
      `CASE WHEN NOT regexp_full_match(${raw}, '[+-]?0[0-9]+') THEN TRY_CAST(${raw} AS DOUBLE) END`,
  },
  {
    type: 'time',
    quoted: true,
    // The plain cast ignores an offset, for which 19 characters leave no room.
    convert: (raw) =>
      `CASE WHEN regexp_matches(${raw}, '^[0-9]{4}-[0-9]{2}-[0-9]{2}') THEN CASE WHEN strlen(${raw}) <= 19 THEN TRY_CAST(${raw} AS TIMESTAMP) ELSE CAST(TRY_CAST(${raw} AS TIMESTAMPTZ) AS TIMESTAMP) END END`,
  },
];

/** Finds the types of columns. Those that nothing computes with stay texts. */
async function typeTexts(
  engine: Engine,
  columns: readonly Texts[],
  typed: readonly string[],
): Promise<SourceColumn[]> {
  const asked = columns.filter(({ name }) => typed.includes(name));
  const counts = asked.map(({ raw, json }) => [
    `count(${raw})`,
    json === undefined ? '0' : `count(*) FILTER (left(${json}, 1) = '"')`,
    ...TEXT_TYPES.map(({ convert }) => `count(${convert(raw)})`),
  ]);
  const found =
    asked.length === 0
      ? []
      : await engine.columns(
          `SELECT ${counts
            .flat()
            .map((count) => `(${count})::DOUBLE`)
            .join(', ')} FROM source`,
        );
  const width = TEXT_TYPES.length + 2;
  return columns.map((column): SourceColumn => {
    const { name, raw, json } = column;
    const at = asked.indexOf(column) * width;
    const [values = 0, strings = 0, ...fits] = found
      .slice(Math.max(at, 0), at + width)
      .map((one) => Number(one[0]));
    const type = TEXT_TYPES.find(
      ({ quoted }, index) =>
        values > 0 && fits[index] === values && (json === undefined || strings === (quoted ? values : 0)),
    );
    const value = type === undefined ? raw : type.convert(raw);
    if (json !== undefined) {
      const nested = `left(${json}, 1) IN ('{', '[')`;
      return { name, type: type?.type ?? 'text', raw, value, cell: raw, json, nested };
    }
    // A time is given on as it stands.
    const written = type === undefined || type.type === 'time' ? 'text' : type.type;
    return { name, type: type?.type ?? 'text', raw, value, cell: raw, json: jsonOf(written, value, raw) };
  });
}
