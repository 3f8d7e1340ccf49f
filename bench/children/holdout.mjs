// Reads labels, scores and slices from the Parquet file in argv[2] and measures every metric of two classes, with
// argv[3] bootstrap replicates, on argv[4] threads, by the build in the directory argv[5].
import { pathToFileURL } from 'node:url';
import { DuckDBInstance } from '@duckdb/node-api';

const [, , file, replicates, threads, build] = process.argv;
// By an address: of a checkout that nobody has built yet, the imports could not be resolved.
const evaluation = `${pathToFileURL(build)}/functions/holdout-evaluation`;
const { measureMetrics } = await import(`${evaluation}/adapters/measure.js`);
const { METRICS, metricsOf } = await import(`${evaluation}/metric.js`);

const connection = await (await DuckDBInstance.create(':memory:')).connect();
const from = `FROM '${file.replaceAll("'", "''")}'`;
const [[rows]] = (await connection.runAndReadAll(`SELECT count(*)::INTEGER ${from}`)).getRows();
const labels = new Uint8Array(rows);
const predictions = new Float64Array(rows);
const of = new Int32Array(rows);
let row = 0;
const result = await connection.stream(`SELECT label::INTEGER, score, slice ${from}`);
for (let chunk = await result.fetchChunk(); chunk?.rowCount > 0; chunk = await result.fetchChunk()) {
  labels.set(chunk.getColumnValues(0), row);
  predictions.set(chunk.getColumnValues(1), row);
  of.set(chunk.getColumnValues(2), row);
  row += chunk.rowCount;
}
connection.closeSync();

const values = Array.from({ length: Math.max(...new Set(of)) + 1 }, (_, slice) => String(slice));
const requests = metricsOf('binary').flatMap((metric) => {
  const query = { metric, ...(METRICS[metric].threshold && { threshold: 0.5 }) };
  return [{ query }, { query, slicing: 'slice' }];
});
const started = performance.now();
const { metrics } = await measureMetrics(
  { task: 'binary', count: rows, labels, predictions, classes: [], slicings: [{ by: 'slice', values, of }] },
  requests,
  [],
  { confidence: 0.95, replicates: Number(replicates), seed: '5eed', threads: Number(threads) },
);
globalThis.benchQueryMs = performance.now() - started;
const measured = metrics.filter(({ interval }) => interval !== null).length;
if (measured !== (requests.length / 2) * (1 + values.length)) throw new Error(`only ${measured} intervals`);
