// The yardstick: DuckDB's own SUMMARIZE of the file in argv[2], with its default settings and nothing around it.
import { DuckDBInstance } from '@duckdb/node-api';

const connection = await (await DuckDBInstance.create(':memory:')).connect();
const started = performance.now();
await connection.runAndReadAll(`SUMMARIZE FROM '${process.argv[2].replaceAll("'", "''")}'`);
globalThis.benchQueryMs = performance.now() - started;
