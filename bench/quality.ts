import { execFileSync } from 'node:child_process';
import { copyFileSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import type { Heat, HeatResult, Suite, Target } from './harness.ts';

const ROOT = join(import.meta.dirname, '..');
const CLI = join(ROOT, 'dist', 'bin', 'tocsin.js');
const SUMMARIZE = join(import.meta.dirname, 'children', 'summarize.mjs');
const CHECK = 'tocsin check';

/** Three million flights, as Parquet and as CSV, and a slice of 1 MB of the CSV. */
const FLIGHTS = join(ROOT, 'node_modules', 'vega-datasets', 'data', 'flights-3m.parquet');

/**
 * `tocsin check` as users run it (a process of the built CLI, the full contract of contracts/flights.yaml, a
 * baseline) next to a process that only runs DuckDB's SUMMARIZE of the same file. Both take all cores.
 */
export const quality: Suite = { prepare, targets };

async function prepare(directory: string): Promise<Heat[]> {
  // The contract measures freshness from the month in the name.
  const at = (name: string) => join(directory, name);
  const files = {
    parquet: at('flights-2001-06.parquet'),
    csv: at('flights-2001-06.csv'),
    small: at('flights-2001-01.csv'),
  };
  copyFileSync(FLIGHTS, files.parquet);
  const connection = await (await DuckDBInstance.create(':memory:')).connect();
  await connection.run(`COPY (FROM '${FLIGHTS}') TO '${files.csv}' (HEADER)`);
  await connection.run(`COPY (FROM '${FLIGHTS}' LIMIT 28400) TO '${files.small}' (HEADER)`);
  connection.closeSync();

  const contract = readFileSync(join(ROOT, 'contracts', 'flights.yaml'), 'utf8');
  const changed = (text: string, from: string, to: string) => {
    if (!text.includes(from)) throw new Error(`contracts/flights.yaml has no "${from}" any more`);
    return text.replace(from, to);
  };
  // One file with all months instead of one month.
  const all = changed(contract, 'max: 2000000', 'max: 5000000');
  const contracts = { parquet: at('parquet.yaml'), csv: at('csv.yaml'), small: at('small.yaml') };
  writeFileSync(contracts.parquet, all);
  writeFileSync(contracts.csv, changed(all, 'format: parquet', 'format: csv'));
  writeFileSync(
    contracts.small,
    changed(changed(all, 'format: parquet', 'format: csv'), 'min: 100000', 'min: 1000'),
  );

  const heat = (format: keyof typeof files, title: string): Heat => {
    const baseline = at(`${format}.baseline.json`);
    execFileSync(process.execPath, [
      CLI,
      'profile',
      files[format],
      '--contract',
      contracts[format],
      '--save',
      baseline,
    ]);
    return {
      title: `${title}, ${(statSync(files[format]).size / 1e6).toFixed(1)} MB`,
      contestants: [
        {
          name: CHECK,
          argv: [CLI, 'check', files[format], '--contract', contracts[format], '--baseline', baseline],
        },
        { name: 'DuckDB SUMMARIZE', argv: [SUMMARIZE, files[format]] },
      ],
    };
  };
  return [
    heat('parquet', '3,000,000 rows as Parquet'),
    heat('csv', '3,000,000 rows as CSV'),
    heat('small', '28,400 rows as CSV'),
  ];
}

function targets([parquet, csv, small]: HeatResult[]): Target[] {
  const check = (heat: HeatResult | undefined) => heat?.results.find((result) => result.name === CHECK);
  return [
    {
      name: 'Parquet, time as a share of SUMMARIZE',
      value: check(parquet)?.ratio ?? Number.NaN,
      atMost: 1,
      unit: '',
    },
    ...[parquet, csv].map((heat) => ({
      name: `${heat?.title ?? ''}, peak memory`,
      value: Math.round((check(heat)?.peakBytes.max ?? Number.NaN) / 1e6),
      atMost: 1000,
      unit: ' MB',
    })),
    {
      name: '1 MB file, start to exit',
      value: check(small)?.wallSeconds.median ?? Number.NaN,
      atMost: 0.5,
      unit: ' s',
    },
  ];
}
