import { execFileSync } from 'node:child_process';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import type { Heat, HeatResult, Suite, Target } from './harness.ts';

const CHILDREN = join(import.meta.dirname, 'children');
const BUILD = join(import.meta.dirname, '..', 'dist');
const OWN = 'tocsin';

const ROWS = 1_000_000;
const SLICES = 50;
const REPLICATES = 1000;
const THREADS = 2;

/** As many as scikit-learn does, one a process and as many processes as there are threads here; 1,000 take an hour. */
const SCIKIT_REPLICATES = 2;
const SCIKIT = `scikit-learn, ${SCIKIT_REPLICATES} of ${REPLICATES.toLocaleString('en-US')} replicates`;

/** What the other contestant is made of. */
const PACKAGES = ['numpy==2.4.6', 'scikit-learn==1.9.1', 'duckdb==1.5.5'];

/**
 * All twelve metrics of two classes, on the whole and on each of fifty slices, with a thousand bootstrap replicates, from
 * a Parquet file; next to scikit-learn and NumPy, whose replicates weight the examples by how often they were drawn.
 */
export const holdout: Suite = { prepare, targets };

async function prepare(directory: string): Promise<Heat[]> {
  const file = join(directory, 'holdout.parquet');
  const connection = await (await DuckDBInstance.create(':memory:')).connect();
  // Scores like those of a fair model: distinct, mostly low; a label is positive as often as its score says.
  await connection.run(`
    COPY (
      SELECT
        pow((hash(i) % 1000000007) / 1000000007, 2) AS score,
        (hash(i + 10000000) % 1000003) / 1000003 < score AS label,
        (hash(i + 20000000) % ${SLICES})::INTEGER AS slice
      FROM range(${ROWS}) AS rows(i)
    ) TO '${file}' (FORMAT parquet)`);
  connection.closeSync();

  const python = join(directory, 'venv');
  execFileSync('python3', ['-m', 'venv', python], { stdio: 'inherit' });
  const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', ...PACKAGES];
  execFileSync(join(python, 'bin', 'python'), pip, { stdio: 'inherit' });

  return [
    {
      title: `${ROWS.toLocaleString('en-US')} rows as Parquet, ${(statSync(file).size / 1e6).toFixed(1)} MB: 12 metrics, ${SLICES} slices`,
      contestants: [
        {
          name: OWN,
          argv: [join(CHILDREN, 'holdout.mjs'), file, String(REPLICATES), String(THREADS), BUILD],
        },
        {
          name: SCIKIT,
          argv: [
            join(CHILDREN, 'holdout-scikit.mjs'),
            join(python, 'bin', 'python'),
            join(CHILDREN, 'holdout_scikit.py'),
            file,
            String(SCIKIT_REPLICATES),
          ],
        },
      ],
    },
  ];
}

function targets([heat]: HeatResult[]): Target[] {
  const of = (name: string) => heat?.results.find((result) => result.name === name);
  const own = of(OWN);
  const scikit = of(SCIKIT);
  // All but the replicates is done once; their time is what the process tells as its query.
  const replicates = scikit?.querySeconds?.median ?? Number.NaN;
  const extrapolated =
    (scikit?.wallSeconds.median ?? Number.NaN) + replicates * (REPLICATES / SCIKIT_REPLICATES - 1);
  return [
    { name: 'start to exit', value: own?.wallSeconds.median ?? Number.NaN, atMost: 10, unit: ' s' },
    {
      name: 'peak memory',
      value: Math.round((own?.peakBytes.max ?? Number.NaN) / 1e6),
      atMost: 1000,
      unit: ' MB',
    },
    {
      name: `time as a share of the ${Math.round(extrapolated)} s that scikit-learn would take, extrapolated from ${SCIKIT_REPLICATES} replicates`,
      value: Number(((own?.wallSeconds.median ?? Number.NaN) / extrapolated).toPrecision(2)),
      atMost: 0.1,
      unit: '',
    },
  ];
}
