import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DuckDBInstance } from '@duckdb/node-api';
import { judge, type Question } from '../../functions/quality-gate/gate.ts';
import type { LocalDataset } from '../../functions/quality-gate/profile.ts';
import { type QualityEvidence, qualityPage } from '../../functions/quality-gate/report.ts';
import { parseContract } from '../../functions/quality-gate/schema.ts';
import type { EngineLimits } from '../../functions/shared/engine/limits.ts';
import { canonicalJson, sha256 } from '../../functions/shared/identity.ts';
import type { Profile } from '../../functions/shared/profile.ts';
import { renderReport } from '../../functions/shared/report/verdict-page.ts';

/*
 * Reports of real flights, judged as the gate does. It needs no test runner, so that pictures can be made of them.
 */

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const FLIGHTS = join(ROOT, 'node_modules', 'vega-datasets', 'data', 'flights-3m.parquet');
const CONTRACT = 'contracts/flights.yaml';
/** A month has more; the contract asks for 100,000. */
const ROWS = 120_000;

const LIMITS: EngineLimits = {
  memoryBytes: 2 ** 30,
  diskBytes: 2 ** 30,
  threads: 2,
  timeoutMs: 120_000,
  maxColumns: 2000,
  maxRows: 100_000_000,
};

/** Judges a month of flights; `delay` is the SQL expression in the place of that column. */
type JudgeMonth = (
  month: string,
  options?: { baseline?: Profile; delay?: string },
) => Promise<QualityEvidence>;

/** Lends a directory in which months of flights are judged. */
async function withFlights<T>(work: (judgeMonth: JudgeMonth) => Promise<T>): Promise<T> {
  const directory = await mkdtemp(join(tmpdir(), 'tocsin-quality-report-'));
  const contractText = await readFile(join(ROOT, CONTRACT), 'utf8');
  try {
    return await work(async (month, { baseline, delay = 'delay' } = {}) => {
      const path = join(directory, `${month}.parquet`);
      await writeMonth(path, month, delay);
      const scratch = join(directory, 'scratch');
      await mkdir(scratch, { recursive: true });
      const contract = parseContract(contractText, CONTRACT);
      const question: Question = {
        dataset: await datasetOf(path),
        uri: `s3://example-data/flights/${month}.parquet`,
        contract,
        contractText,
        ...(baseline !== undefined && {
          baseline: { profile: baseline, sha256: sha256(canonicalJson(baseline)) },
        }),
      };
      return { ...(await judge(question, LIMITS, scratch)), contract, baseline };
    });
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** A sample of a month: always the same flights. */
async function writeMonth(path: string, month: string, delay: string): Promise<void> {
  const instance = await DuckDBInstance.create(':memory:', { threads: '2' });
  try {
    const connection = await instance.connect();
    await connection.run(
      `COPY (
         SELECT * EXCLUDE (file_row_number) REPLACE (${delay} AS delay)
         FROM read_parquet('${FLIGHTS.replaceAll("'", "''")}', file_row_number = true)
         WHERE date >= '${month}-01'::TIMESTAMP AND date < '${month}-01'::TIMESTAMP + INTERVAL 1 MONTH
         ORDER BY hash(file_row_number), file_row_number LIMIT ${ROWS}
       ) TO '${path.replaceAll("'", "''")}' (FORMAT parquet)`,
    );
  } finally {
    instance.closeSync();
  }
}

async function datasetOf(path: string): Promise<LocalDataset> {
  const hash = createHash('sha256').update(await readFile(path));
  const name = basename(path);
  return {
    files: [{ path, name, bytes: (await stat(path)).size, sha256: hash.digest('hex') }],
    uploadedAt: Date.parse('2001-03-01T12:00:00Z'),
    key: `flights/${name}`,
  };
}

let made: Promise<{ healthy: QualityEvidence; sick: QualityEvidence }> | undefined;

/** February judged against January, and February with every delay set to zero. They are judged once. */
export function judgedFlights(): Promise<{ healthy: QualityEvidence; sick: QualityEvidence }> {
  made ??= withFlights(async (judgeMonth) => {
    const { measurements } = await judgeMonth('2001-01');
    const baseline = measurements.profile;
    return {
      healthy: await judgeMonth('2001-02', { baseline }),
      sick: await judgeMonth('2001-02', { baseline, delay: 'CASE WHEN delay IS NULL THEN NULL ELSE 0 END' }),
    };
  });
  return made;
}

/** The reports of {@link judgedFlights}, as the gate stores them. */
export async function qualityReports(): Promise<{ healthy: string; sick: string }> {
  const { healthy, sick } = await judgedFlights();
  const report = (evidence: QualityEvidence) => renderReport(evidence.verdict, () => qualityPage(evidence));
  return { healthy: report(healthy), sick: report(sick) };
}
