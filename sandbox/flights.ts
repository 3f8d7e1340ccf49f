import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { ROOT } from './paths.ts';

/** 3 million US flights, January to June 2001. Addressed as a file: the package exports only its loader. */
const FLIGHTS = join(ROOT, 'node_modules', 'vega-datasets', 'data', 'flights-3m.parquet');

/** A Parquet file of flights. */
export interface Flights {
  path: string;
  rows: number;
  bytes: number;
}

/**
 * Writes one month of real flights as a Parquet file of its own.
 *
 * @param month `2001-02`
 * @param replace SQL expressions to put in the place of columns, by column
 */
export async function writeFlights(
  directory: string,
  month: string,
  { replace = {} }: { replace?: Record<string, string> } = {},
): Promise<Flights> {
  const columns = Object.keys(replace);
  const path = join(directory, `${[month, ...columns].join('-')}.parquet`);
  const expressions = columns.map((column) => `${replace[column]} AS "${column}"`);
  const instance = await DuckDBInstance.create(':memory:');
  try {
    const connection = await instance.connect();
    const result = await connection.run(
      `COPY (
         SELECT * ${columns.length > 0 ? `REPLACE (${expressions.join(', ')})` : ''}
         FROM read_parquet($source)
         WHERE date >= $first::TIMESTAMP AND date < $first::TIMESTAMP + INTERVAL 1 MONTH
       ) TO '${path.replaceAll("'", "''")}' (FORMAT parquet, COMPRESSION zstd)`,
      { source: FLIGHTS, first: `${month}-01` },
    );
    const [count] = (await result.getRows())[0] ?? [];
    return { path, rows: Number(count), bytes: (await stat(path)).size };
  } finally {
    instance.closeSync();
  }
}
