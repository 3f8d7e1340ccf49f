import { createReadStream } from 'node:fs';
import { open, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type Engine,
  firstSentence,
  identifier,
  isOfTheData,
  text,
  UnreadableError,
} from '../../shared/engine/duckdb.ts';
import { checkNames, checkRows, inspectText, MAX_LINE_BYTES, readHeader } from '../../shared/engine/files.ts';
import type { EngineLimits, LocalFile } from '../../shared/engine/limits.ts';
import { messageOf } from '../../shared/errors.ts';
import type { ColumnType } from '../../shared/profile.ts';
import type { LocalDataset, Measurements } from '../profile.ts';
import type { ColumnRule, Contract, CsvOptions } from '../schema.ts';
import { physicalFits } from '../types.ts';

/*
 * Makes one relation, `source`, of a dataset in any format. For column number i of the contract that the data has:
 *
 *   v<i>  the value in the logical type; null where there is none or where it does not convert
 *   x<i>  the text of a value that does not convert, otherwise null (only where that can happen)
 *   pos   number of the record: file index * 2^40 + row, both from 0
 *
 * Parquet stays where it is and becomes a view, because reading single columns of it is cheap; text is parsed
 * once into a table.
 */

export interface SourceColumn {
  name: string;
  rule: ColumnRule;
  /** Name of the value's column in `source`. */
  value: string;
  /** Name of the column of texts that do not convert; absent where every value converts. */
  invalid?: string;
  physical: string;
}

export interface Source {
  columns: SourceColumn[];
  /**
   * SQL of a relation of one column and `pos` alone. Of wide data it is cheaper to ask than `source`, of which every
   * column has to be bound before one is read.
   */
  only(column: SourceColumn): string;
  /** SQL expressions that together are the whole record, for finding duplicate rows; empty where nobody asks. */
  record: string[];
  actualColumns: string[];
  inconsistentFiles: Measurements['inconsistentFiles'];
  malformed: Measurements['malformed'];
}

/** `pos` holds the index of the file above this many bits. */
const FILE_SHIFT = 2 ** 40;

/** Malformed records that are counted one by one; beyond it the count is a lower bound. */
const MAX_MALFORMED = 10_000;

/** Names in `source` that belong to a column. */
function fieldsOf({ value, invalid }: SourceColumn): string[] {
  return invalid === undefined ? [value] : [value, invalid];
}

/** A dataset of which nothing was read yet. */
function emptySource(): Source {
  return {
    columns: [],
    only: () => 'source',
    record: [],
    actualColumns: [],
    inconsistentFiles: [],
    malformed: { count: 0, samples: [], reasons: [] },
  };
}

/** File name and 1-based row of a `pos`. */
export function placeOf(pos: number, dataset: LocalDataset): { file?: string; row: number } {
  const index = Math.floor(pos / FILE_SHIFT);
  const row = (pos % FILE_SHIFT) + 1;
  const file = dataset.files[index];
  return dataset.files.length > 1 && file !== undefined ? { file: file.name, row } : { row };
}

/**
 * @param files of the dataset, as `withFiles` gives them
 * @throws UnreadableError where the bytes are not what the format promises
 * @throws GateInputError where a bound is hit
 */
export async function ingest(
  engine: Engine,
  files: LocalFile[],
  contract: Contract,
  limits: EngineLimits,
): Promise<Source> {
  if (contract.format === 'parquet') return ingestParquet(engine, files, contract, limits);
  const csv = contract.csv ?? DEFAULT_CSV;
  for (const file of files) await inspectText(file, contract.format === 'csv' ? csv.encoding : 'utf-8');
  return contract.format === 'csv'
    ? ingestCsv(engine, files, contract, csv, limits)
    : ingestJsonLines(engine, files, contract, limits);
}

/** What a contract without `csv` means. */
export const DEFAULT_CSV: CsvOptions = {
  delimiter: ',',
  quote: '"',
  header: true,
  nullValues: [''],
  encoding: 'utf-8',
};

// --- Types -------------------------------------------------------------------------------------------------

/** SQL of a text in a logical type: null where it does not convert. */
export function fromText(raw: string, rule: Pick<ColumnRule, 'type' | 'timeFormat'>): string {
  switch (rule.type) {
    case 'string':
      return raw;
    case 'integer':
      // The cast alone would round 1.5 to 2.
      return `CASE WHEN TRY_CAST(${raw} AS BIGINT) = TRY_CAST(${raw} AS DOUBLE) THEN TRY_CAST(${raw} AS BIGINT) END`;
    case 'number':
      return `TRY_CAST(${raw} AS DOUBLE)`;
    case 'boolean':
      return `TRY_CAST(${raw} AS BOOLEAN)`;
    default: {
      // The plain cast is three times as fast and ignores an offset, for which 19 characters leave no room.
      const time =
        rule.timeFormat === undefined
          ? `CASE WHEN strlen(${raw}) <= 19 THEN TRY_CAST(${raw} AS TIMESTAMP) ELSE CAST(TRY_CAST(${raw} AS TIMESTAMPTZ) AS TIMESTAMP) END`
          : `CAST(try_strptime(${raw}, ${text(rule.timeFormat)}) AS TIMESTAMP)`;
      return finiteTime(time, rule);
    }
  }
}

/** `infinity` is a timestamp to DuckDB, from which nothing can be measured; and a date is a whole day. */
function finiteTime(time: string, { type }: Pick<ColumnRule, 'type'>): string {
  const whole = type === 'date' ? ` AND (${time}) = date_trunc('day', ${time})` : '';
  return `CASE WHEN isfinite(${time})${whole} THEN ${time} END`;
}

/** SQL of a Parquet column in a logical type; `lossless` where every value converts. */
function fromPhysical(raw: string, physical: string, rule: ColumnRule): { value: string; lossless: boolean } {
  const { type } = rule;
  if (!physicalFits(type, physical))
    return { value: fromText(`CAST(${raw} AS VARCHAR)`, rule), lossless: type === 'string' };
  if (type === 'integer' && /^(FLOAT|DOUBLE|DECIMAL)/.test(physical)) {
    return { value: `CASE WHEN ${raw} = round(${raw}) THEN TRY_CAST(${raw} AS BIGINT) END`, lossless: false };
  }
  if (type === 'number')
    return { value: physical === 'DOUBLE' ? raw : `CAST(${raw} AS DOUBLE)`, lossless: true };
  if (type === 'timestamp' || type === 'date') {
    const time = physical === 'TIMESTAMP' ? raw : `CAST(${raw} AS TIMESTAMP)`;
    return { value: finiteTime(time, rule), lossless: false };
  }
  return {
    value: type === 'string' && physical !== 'VARCHAR' ? `CAST(${raw} AS VARCHAR)` : raw,
    lossless: true,
  };
}

// --- Parquet -----------------------------------------------------------------------------------------------

async function ingestParquet(
  engine: Engine,
  files: LocalFile[],
  contract: Contract,
  limits: EngineLimits,
): Promise<Source> {
  let rows = 0;
  const schemas: { names: string[]; types: string[]; signature: string }[] = [];
  for (const file of files) {
    try {
      const [counts] = await engine.columns(
        `SELECT num_rows::DOUBLE FROM parquet_file_metadata(${text(file.path)})`,
      );
      rows += Number(counts?.[0] ?? 0);
      const described = await engine.columns(
        `DESCRIBE SELECT * FROM read_parquet(${text(file.path)}, hive_partitioning = false)`,
      );
      const names = (described[0] ?? []) as string[];
      const types = (described[1] ?? []) as string[];
      schemas.push({ names, types, signature: JSON.stringify([names, types]) });
    } catch (error) {
      if (!isOfTheData(messageOf(error))) throw error;
      throw new UnreadableError(
        file.name,
        `it is no complete Parquet file (${firstSentence(messageOf(error))})`,
      );
    }
  }
  checkRows(rows, limits);
  const [first] = schemas;
  const actualColumns = first?.names ?? [];
  const inconsistentFiles = files.flatMap((file, index) =>
    schemas[index]?.signature === first?.signature
      ? []
      : [{ file: file.name, columns: schemas[index]?.names ?? [] }],
  );
  const source: Source = { ...emptySource(), actualColumns, inconsistentFiles };
  if (inconsistentFiles.length > 0 || actualColumns.length > limits.maxColumns) return source;
  checkNames(actualColumns, files[0]?.name ?? '');

  const selected = new Map<string, string[]>();
  for (const [index, [name, rule]] of Object.entries(contract.columns).entries()) {
    const at = actualColumns.indexOf(name);
    if (at < 0) continue;
    const physical = first?.types[at] ?? '';
    const { value, lossless } = fromPhysical(identifier(name), physical, rule);
    const column: SourceColumn = { name, rule, value: `v${index}`, physical };
    const fields = [`${value} AS v${index}`];
    if (!lossless) {
      column.invalid = `x${index}`;
      fields.push(
        `CASE WHEN ${identifier(name)} IS NOT NULL AND (${value}) IS NULL THEN CAST(${identifier(name)} AS VARCHAR) END AS x${index}`,
      );
    }
    selected.set(name, fields);
    source.columns.push(column);
  }
  const list = files.map((file) => text(file.path)).join(', ');
  const select = (fields: string[]) =>
    `SELECT ${[...fields, `file_row_number + ${FILE_SHIFT} * file_index AS pos`].join(', ')} FROM read_parquet([${list}], hive_partitioning = false)`;
  source.only = ({ name }) => `(${select(selected.get(name) ?? [])})`;
  // Raw columns come along under names of our own, for rows that repeat another in every column.
  const raw = contract.duplicateRows === undefined ? [] : actualColumns;
  source.record = raw.map((_, index) => `r${index}`);
  await engine.run(
    `CREATE VIEW source AS ${select([...selected.values(), raw.map((name, index) => `${identifier(name)} AS r${index}`)].flat())}`,
  );
  return source;
}

// --- CSV ---------------------------------------------------------------------------------------------------

async function ingestCsv(
  engine: Engine,
  files: LocalFile[],
  contract: Contract,
  csv: CsvOptions,
  limits: EngineLimits,
): Promise<Source> {
  const contractNames = Object.keys(contract.columns);
  const source = emptySource();
  for (const [index, file] of files.entries()) {
    const first = await readHeader(file, csv);
    // Without a header the columns are the contract's, in its order. What stands in the first record is data, and
    // perhaps personal: it becomes nobody's name.
    const names = csv.header ? first : first.map((_, at) => contractNames[at] ?? `number ${at + 1}`);
    if (csv.header && names.length > 0 && !names.some((name) => contractNames.includes(name))) {
      throw new UnreadableError(
        file.name,
        `its first line names none of the contract's columns, so the header is lost or the delimiter is not ${JSON.stringify(csv.delimiter)}`,
      );
    }
    if (index === 0) {
      source.actualColumns = names;
      if (names.length > limits.maxColumns) return source;
      source.columns = contractNames.flatMap((name, number): SourceColumn[] => {
        const rule = contract.columns[name];
        if (rule === undefined || !names.includes(name)) return [];
        const column: SourceColumn = { name, rule, value: `v${number}`, physical: 'TEXT' };
        return [rule.type === 'string' ? column : { ...column, invalid: `x${number}` }];
      });
    } else if (JSON.stringify(names) !== JSON.stringify(source.actualColumns)) {
      source.inconsistentFiles.push({ file: file.name, columns: names });
      continue;
    }
    if (names.length === 0) continue;
    const cellOf = (name: string) => `c${names.indexOf(name)}`;
    const typed = source.columns.map(
      ({ name, rule, value }) => `${fromText(cellOf(name), rule)} AS ${value}`,
    );
    const fields = source.columns.flatMap(({ name, value, invalid }) =>
      invalid === undefined
        ? [value]
        : [
            value,
            `CASE WHEN ${cellOf(name)} IS NOT NULL AND ${value} IS NULL THEN ${cellOf(name)} END AS ${invalid}`,
          ],
    );
    const whole =
      contract.duplicateRows === undefined
        ? []
        : [`hash(${names.map((_, at) => `c${at}`).join(', ')}) AS whole`];
    const read = (path: string, onError: string) =>
      `SELECT ${[...fields, ...whole, `${index * FILE_SHIFT}::BIGINT AS base`].join(', ')} FROM (SELECT ${['*', ...typed].join(', ')} FROM read_csv(${text(path)},
      auto_detect = false, header = ${csv.header}, delim = ${text(csv.delimiter)}, quote = ${text(csv.quote)}, escape = ${text(csv.quote)},
      nullstr = [${csv.nullValues.map(text).join(', ')}], allow_quoted_nulls = false, encoding = ${text(csv.encoding)},
      columns = {${names.map((_, at) => `c${at}: 'VARCHAR'`).join(', ')}}, strict_mode = true, null_padding = false,
      max_line_size = ${MAX_LINE_BYTES}, compression = 'none', ${onError}))`;
    const into = index === 0 ? 'CREATE TABLE parsed AS' : 'INSERT INTO parsed';
    try {
      await engine.run(`${into} ${read(file.path, 'ignore_errors = false')}`);
    } catch (error) {
      if (!isOfTheData(messageOf(error))) throw error;
      await ingestDamaged(
        engine,
        { file, named: files.length > 1, base: index * FILE_SHIFT, into, read },
        source.malformed,
        firstSentence(messageOf(error)),
      );
    }
  }
  source.record = contract.duplicateRows === undefined ? [] : ['whole'];
  if (source.actualColumns.length > 0 && source.inconsistentFiles.length === 0) {
    await checkParsed(engine, limits);
    await numberRows(engine, source, files.length);
  }
  return source;
}

async function checkParsed(engine: Engine, limits: EngineLimits): Promise<void> {
  const [counts] = await engine.columns('SELECT count(*)::DOUBLE FROM parsed');
  checkRows(Number(counts?.[0] ?? 0), limits);
}

/** Gives the rows of `parsed` their `pos`: insertion order is file order, so the row is the distance to its file's first. */
async function numberRows(engine: Engine, source: Source, files: number): Promise<void> {
  let [pos, from] = ['rowid', 'parsed'];
  if (files > 1) {
    await engine.run('CREATE TABLE starts AS SELECT base, min(rowid) AS start FROM parsed GROUP BY base');
    [pos, from] = ['parsed.base + parsed.rowid - starts.start', 'parsed JOIN starts USING (base)'];
  }
  source.only = (column) => `(SELECT ${fieldsOf(column).join(', ')}, ${pos} AS pos FROM ${from})`;
  await engine.run(`CREATE VIEW source AS SELECT parsed.*, ${pos} AS pos FROM ${from}`);
}

/** One file of a CSV dataset, and the SQL that parses it. */
interface CsvFile {
  file: LocalFile;
  /** Whether samples have to name it. */
  named: boolean;
  /** `pos` of its first record. */
  base: number;
  /** SQL that puts rows into `parsed`. */
  into: string;
  /** SQL that reads a file of this kind; `onError` are options of read_csv. */
  read: (path: string, onError: string) => string;
}

/**
 * Takes what can be read of a file that has malformed records, and notes which those are. Only here are they looked
 * for, because DuckDB spends 10 µs on each: of a file that is mostly malformed only the beginning is searched.
 *
 * @param complaint DuckDB's, about the file as a whole
 * @throws UnreadableError where no record can be read, or none is found to be malformed
 */
async function ingestDamaged(
  engine: Engine,
  csv: CsvFile,
  malformed: Source['malformed'],
  complaint: string,
): Promise<void> {
  const { file, base, into, read } = csv;
  try {
    await engine.run(`${into} ${read(file.path, 'ignore_errors = true')}`);
  } catch (error) {
    // Mixed line ends and the like: DuckDB's parser gives up on the file as a whole.
    if (!/state machine reached an invalid state|sniff/i.test(messageOf(error))) throw error;
    throw new UnreadableError(file.name, 'it is no well-formed CSV (mixed line ends, or stray quotes)');
  }
  const [good] = await engine.columns(`SELECT count(*)::DOUBLE FROM parsed WHERE base = ${base}`);
  const most = (await countLines(file.path)) - Number(good?.[0] ?? 0);
  if (most > MAX_MALFORMED) {
    const beginning = join(engine.scratch, 'beginning');
    await copyBeginning(file.path, beginning);
    if (await noteMalformed(engine, csv, beginning, malformed)) {
      malformed.more = true;
      return;
    }
  }
  // Something is wrong, or this would not run: what cannot be found must not pass.
  if (!(await noteMalformed(engine, csv, file.path, malformed)))
    throw new UnreadableError(file.name, complaint);
}

/** Notes the malformed records of a file; whether there is one. */
async function noteMalformed(
  engine: Engine,
  { file, named, read }: CsvFile,
  path: string,
  malformed: Source['malformed'],
): Promise<boolean> {
  const noting = read(path, `store_rejects = true, rejects_limit = ${MAX_MALFORMED}`);
  // Every column has to be read, or what is wrong in it stays unseen.
  await engine.run(`SELECT count(COLUMNS(*)) FROM (${noting})`);
  const rows = await engine.rows(
    `SELECT line::DOUBLE AS line, min(error_type::VARCHAR) AS kind FROM reject_errors GROUP BY line ORDER BY line`,
  );
  await engine.run('DELETE FROM reject_errors');
  malformed.count += rows.length;
  if (rows.length >= MAX_MALFORMED) malformed.more = true;
  for (const row of rows) {
    const kind = REJECT_REASONS[String(row.kind)] ?? String(row.kind).toLowerCase();
    if (!malformed.reasons.includes(kind)) malformed.reasons.push(kind);
    if (malformed.samples.length < 5)
      malformed.samples.push({ ...(named && { file: file.name }), row: Number(row.line) });
  }
  return rows.length > 0;
}

/** Line ends in a file; at least as many as it has records. */
async function countLines(path: string): Promise<number> {
  let [feeds, returns] = [0, 0];
  for await (const chunk of createReadStream(path, { highWaterMark: 1024 * 1024 }) as AsyncIterable<Buffer>) {
    for (let at = chunk.indexOf(0x0a); at >= 0; at = chunk.indexOf(0x0a, at + 1)) feeds++;
    for (let at = chunk.indexOf(0x0d); at >= 0; at = chunk.indexOf(0x0d, at + 1)) returns++;
  }
  return Math.max(feeds, returns);
}

/** Copies the whole lines among the first megabyte. */
async function copyBeginning(path: string, target: string): Promise<void> {
  const handle = await open(path);
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(1024 * 1024), 0, 1024 * 1024, 0);
    await writeFile(target, buffer.subarray(0, buffer.subarray(0, bytesRead).lastIndexOf(0x0a) + 1));
  } finally {
    await handle.close();
  }
}

const REJECT_REASONS: Record<string, string> = {
  'MISSING COLUMNS': 'too few columns',
  'TOO MANY COLUMNS': 'too many columns',
  'UNQUOTED VALUE': 'a quote that is not closed',
  'LINE SIZE OVER MAXIMUM': 'a record that is too long',
  'INVALID ENCODING': 'bytes that are not in the encoding',
};

// --- JSON Lines --------------------------------------------------------------------------------------------

/** Types of JSON values; in SQL each is its place here, from 1. */
const JSON_TYPES = ['ARRAY', 'BIGINT', 'BOOLEAN', 'DOUBLE', 'NULL', 'OBJECT', 'VARCHAR'] as const;
type JsonType = (typeof JSON_TYPES)[number];

function jsonType(type: JsonType): number {
  return JSON_TYPES.indexOf(type) + 1;
}

/** Types of JSON values that a logical type accepts; each value must still convert. */
const ACCEPTED: Record<ColumnType, JsonType[]> = {
  integer: ['BIGINT', 'DOUBLE'],
  number: ['BIGINT', 'DOUBLE'],
  string: ['VARCHAR'],
  boolean: ['BOOLEAN'],
  timestamp: ['VARCHAR'],
  date: ['VARCHAR'],
};

async function ingestJsonLines(
  engine: Engine,
  files: LocalFile[],
  contract: Contract,
  limits: EngineLimits,
): Promise<Source> {
  const source: Source = {
    ...emptySource(),
    only: (column) => `(SELECT ${fieldsOf(column).join(', ')}, pos FROM parsed)`,
    record: contract.duplicateRows === undefined ? [] : ['whole'],
  };
  const entries = Object.entries(contract.columns);
  for (const [index, file] of files.entries()) {
    await engine.run(
      `CREATE OR REPLACE TABLE lines AS SELECT json, json_keys(json) AS keys FROM read_ndjson_objects(${text(file.path)},
       ignore_errors = true, maximum_object_size = ${MAX_LINE_BYTES})`,
    );
    const bad = `json IS NULL OR json_type(json) <> 'OBJECT' OR len(keys) <> len(list_distinct(keys))`;
    const broken = await engine.rows(
      `SELECT rowid::DOUBLE AS row, CASE WHEN json IS NULL THEN 'not valid JSON' WHEN json_type(json) <> 'OBJECT' THEN 'not an object'
       ELSE 'a key that stands twice' END AS reason FROM lines WHERE ${bad} ORDER BY rowid LIMIT ${MAX_MALFORMED}`,
    );
    source.malformed.count += broken.length;
    if (broken.length >= MAX_MALFORMED) source.malformed.more = true;
    for (const { row, reason } of broken) {
      if (!source.malformed.reasons.includes(String(reason))) source.malformed.reasons.push(String(reason));
      if (source.malformed.samples.length < 5) {
        source.malformed.samples.push({
          ...(files.length > 1 ? { file: file.name } : {}),
          row: Number(row) + 1,
        });
      }
    }
    // Order of first appearance, so that the same file always gives the same order.
    const [keys = []] = await engine.columns(
      `SELECT key FROM (SELECT unnest(keys) AS key, rowid AS row, generate_subscripts(keys, 1) AS place FROM lines WHERE NOT (${bad}))
       GROUP BY key ORDER BY min(row * 100000 + place) LIMIT ${limits.maxColumns + 1}`,
    );
    for (const key of keys as string[])
      if (!source.actualColumns.includes(key)) source.actualColumns.push(key);
    if (source.actualColumns.length > limits.maxColumns) return source;
    const whole = contract.duplicateRows === undefined ? [] : ['hash(json::VARCHAR) AS whole'];
    await engine.run(
      `${index === 0 ? 'CREATE TABLE parsed AS' : 'INSERT INTO parsed'} SELECT ${[
        ...entries.map(
          (_, number) =>
            `v${number}, t${number}, CASE WHEN t${number} <> ${jsonType('NULL')} AND v${number} IS NULL THEN ${plainText(number)} END AS x${number}`,
        ),
        ...whole,
        `${index * FILE_SHIFT} + line AS pos`,
      ].join(', ')} FROM (${valuesOf(entries, `SELECT *, rowid AS line FROM lines WHERE NOT (${bad})`)})`,
    );
  }
  await engine.run('DROP TABLE lines');
  // A bit for each type that occurs.
  const seen =
    entries.length === 0
      ? []
      : await engine.columns(
          `SELECT ${entries.map((_, number) => `coalesce(bit_or(1 << t${number}), 0)::INTEGER`).join(', ')} FROM parsed`,
        );
  const typesOf = (number: number) =>
    JSON_TYPES.filter((type) => type !== 'NULL' && (Number(seen[number]?.[0]) >> jsonType(type)) & 1);
  source.columns = entries.flatMap(([name, rule], number) =>
    source.actualColumns.includes(name)
      ? [
          {
            name,
            rule,
            value: `v${number}`,
            invalid: `x${number}`,
            physical: typesOf(number).join('|'),
          },
        ]
      : [],
  );
  await checkParsed(engine, limits);
  await engine.run('CREATE VIEW source AS SELECT * FROM parsed');
  return source;
}

/**
 * SQL that adds to `lines`, for column number i of the contract: `j<i>` its value as JSON, `t<i>` the type of that,
 * `s<i>` its text where the logical type accepts such a value, and `v<i>` the value.
 *
 * Each line is parsed once, and its values are told apart by their letters: a parser for every column and question took
 * a gigabyte for fifty columns. One step names what the next one uses: DuckDB would write an alias of the same step
 * out wherever it is used, and search long for what is equal.
 */
function valuesOf(entries: [string, ColumnRule][], lines: string): string {
  // No two fields of a struct may differ only in case, so such names go into structs of their own.
  const structs: string[][] = [];
  const twins = new Map<string, number>();
  const values = entries.map(([name], number) => {
    const at = twins.get(name.toLowerCase()) ?? 0;
    twins.set(name.toLowerCase(), at + 1);
    structs[at] ??= [];
    structs[at].push(name);
    return `CAST(struct_extract(object${at}, ${text(name)}) AS VARCHAR) AS j${number}`;
  });
  const objects = structs.map((names, at) => {
    const fields = JSON.stringify(Object.fromEntries(names.map((name) => [name, 'JSON'])));
    return `json_transform(json, ${text(fields)}) AS object${at}`;
  });
  const letters: [string, JsonType][] = [
    ['"', 'VARCHAR'],
    ['{', 'OBJECT'],
    ['[', 'ARRAY'],
    ['t', 'BOOLEAN'],
    ['f', 'BOOLEAN'],
    ['n', 'NULL'],
  ];
  const byLetter = letters.map(([letter, type]) => `WHEN ${text(letter)} THEN ${jsonType(type)}`).join(' ');
  const types = entries.map(
    (_, number) =>
      `(CASE left(j${number}, 1) ${byLetter} ELSE CASE WHEN regexp_full_match(j${number}, '-?[0-9]+') THEN ${jsonType('BIGINT')}
       WHEN j${number} IS NOT NULL THEN ${jsonType('DOUBLE')} END END)::UTINYINT AS t${number}`,
  );
  const texts = entries.map(
    ([, { type }], number) =>
      `CASE WHEN t${number} IN (${ACCEPTED[type].map(jsonType).join(', ')}) THEN ${plainText(number)} END AS s${number}`,
  );
  const typed = entries.map(([, rule], number) => `${fromText(`s${number}`, rule)} AS v${number}`);
  const kept = ['json', 'line'];
  return [
    [...kept, ...objects],
    [...kept, ...values],
    ['*', ...types],
    ['*', ...texts],
    ['*', ...typed],
  ].reduce((from, fields) => `SELECT ${fields.join(', ')} FROM (${from})`, lines);
}

/** SQL of a JSON value as text, without the quotes of a string. */
function plainText(number: number): string {
  const j = `j${number}`;
  return `CASE WHEN t${number} <> ${jsonType('VARCHAR')} THEN ${j} WHEN contains(${j}, '\\') THEN json_extract_string(${j}, '$') ELSE substr(${j}, 2, length(${j}) - 2) END`;
}

/** The JSON Pointer (RFC 6901) of a key. */
export function pointer(name: string): string {
  return `/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`;
}
