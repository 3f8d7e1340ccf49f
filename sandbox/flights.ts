import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { ROOT } from './paths.ts';

/** Addressed as files: the package exports only its loader. */
const DATA = join(ROOT, 'node_modules', 'vega-datasets', 'data');

/** 3 million US flights, January to June 2001. */
const FLIGHTS = join(DATA, 'flights-3m.parquet');

/** US airports with their longitudes. */
const AIRPORTS = join(DATA, 'airports.csv');

/**
 * The moment of a departure in UTC, where `date` is by the clock of the origin. The zone is that of the sun, from the
 * airport's longitude: within an hour or so of the legal one. What no list knows gets US Central.
 */
export const DATE_IN_UTC = `date + to_hours(coalesce(
  (SELECT round(-longitude / 15) FROM read_csv('${literal(AIRPORTS)}') AS airport WHERE airport.iata = origin), 6
)::BIGINT)`;

/** A Parquet file of flights. */
export interface Flights {
  path: string;
  rows: number;
  bytes: number;
}

/** Which flights, and how. */
export interface FlightsOptions {
  /** So many months, 1 by default. */
  months?: number;
  /** A sample of so many flights: always the same ones, in the order of the file. All where it is left out. */
  rows?: number;
  /** SQL expressions to put in the place of columns, by column. */
  replace?: Record<string, string>;
  /** The columns to write; all where it is left out. */
  columns?: readonly string[];
}

/**
 * Writes real flights as a Parquet file of their own.
 *
 * @param month the first one, `2001-02`
 */
export async function writeFlights(
  directory: string,
  month: string,
  { months = 1, rows, replace = {}, columns: only }: FlightsOptions = {},
): Promise<Flights> {
  const columns = Object.keys(replace);
  const parts = [
    month,
    ...(months > 1 ? [`${months}m`] : []),
    ...(rows === undefined ? [] : [rows]),
    ...columns,
    ...(only ?? []),
  ];
  const path = join(directory, `${parts.join('-')}.parquet`);
  const expressions = columns.map((column) => `${replace[column]} AS "${column}"`);
  const instance = await DuckDBInstance.create(':memory:');
  try {
    const connection = await instance.connect();
    const result = await connection.run(
      `COPY (
         SELECT ${only?.join(', ') ?? '* EXCLUDE (file_row_number)'} ${columns.length > 0 ? `REPLACE (${expressions.join(', ')})` : ''}
         FROM (
           FROM read_parquet($source, file_row_number = true)
           WHERE date >= $first::TIMESTAMP AND date < $first::TIMESTAMP + to_months($months::INTEGER)
           ${rows === undefined ? '' : `ORDER BY hash(file_row_number), file_row_number LIMIT ${rows}`}
         )
         ORDER BY file_row_number
       ) TO '${literal(path)}' (FORMAT parquet, COMPRESSION zstd)`,
      { source: FLIGHTS, first: `${month}-01`, months },
    );
    const [count] = (await result.getRows())[0] ?? [];
    return { path, rows: Number(count), bytes: (await stat(path)).size };
  } finally {
    instance.closeSync();
  }
}

/** `458,170 flights, 1.7 MB` */
export function describeFlights({ rows, bytes }: Flights): string {
  return `${rows.toLocaleString('en-US')} flights, ${(bytes / 1e6).toFixed(1)} MB`;
}

/** A text within the quotes of SQL. */
function literal(text: string): string {
  return text.replaceAll("'", "''");
}
