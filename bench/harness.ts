import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** One process to run again and again. */
export interface Contestant {
  name: string;
  /** Arguments of `node`; it must end with 0, or it measured something else. */
  argv: string[];
}

/** Contestants that do comparable work on one file; the last is the yardstick of the others. */
export interface Heat {
  title: string;
  contestants: Contestant[];
}

/** What a benchmark wants to be true. */
export interface Target {
  name: string;
  value: number;
  atMost: number;
  unit: string;
}

/** A benchmark: prepares its files in `directory`, tells what to run, and what is to be expected of the results. */
export interface Suite {
  prepare(directory: string): Promise<Heat[]>;
  targets(results: HeatResult[]): Target[];
}

/** Seconds and bytes of all runs of one contestant; `querySeconds` of those that tell it themselves. */
export interface ContestantResult {
  name: string;
  wallSeconds: Spread;
  /** Of all threads: what a busy machine does not stretch. */
  cpuSeconds: Spread;
  querySeconds?: Spread;
  peakBytes: Spread;
  /** Median wall time over that of the last contestant of the heat. */
  ratio: number;
}

export interface HeatResult {
  title: string;
  results: ContestantResult[];
}

export interface Spread {
  median: number;
  min: number;
  max: number;
}

const ROOT = join(import.meta.dirname, '..');
const REPORT_MODULE = join(import.meta.dirname, 'children', 'report.mjs');

interface Run {
  wallSeconds: number;
  cpuSeconds: number;
  querySeconds: number | undefined;
  peakBytes: number;
}

/** Runs all contestants of a heat `runs` times, in turn. */
export async function race(heat: Heat, runs: number, directory: string): Promise<HeatResult> {
  const taken = heat.contestants.map((): Run[] => []);
  // The first round warms the disk cache and does not count.
  for (let round = 0; round <= runs; round++) {
    for (const [index, contestant] of heat.contestants.entries()) {
      const run = await runOnce(contestant, directory);
      if (round > 0) taken[index]?.push(run);
    }
  }
  const results = heat.contestants.map(({ name }, index): Omit<ContestantResult, 'ratio'> => {
    const own = taken[index] ?? [];
    const queries = own.flatMap((run) => run.querySeconds ?? []);
    return {
      name,
      wallSeconds: spread(own.map((run) => run.wallSeconds)),
      cpuSeconds: spread(own.map((run) => run.cpuSeconds)),
      ...(queries.length > 0 && { querySeconds: spread(queries) }),
      peakBytes: spread(own.map((run) => run.peakBytes)),
    };
  });
  const yardstick = results.at(-1)?.wallSeconds.median ?? Number.NaN;
  return {
    title: heat.title,
    results: results.map((result) => ({
      ...result,
      ratio: Number((result.wallSeconds.median / yardstick).toFixed(2)),
    })),
  };
}

/** @throws Error with the child's output where it fails */
async function runOnce({ name, argv }: Contestant, directory: string): Promise<Run> {
  const report = join(directory, 'report.json');
  const started = performance.now();
  const child = spawn(process.execPath, ['--import', REPORT_MODULE, ...argv], {
    cwd: ROOT,
    env: { ...process.env, BENCH_REPORT: report },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  }
  const code = await new Promise((done, fail) => child.on('error', fail).on('close', done));
  const wallSeconds = (performance.now() - started) / 1000;
  if (code !== 0) throw new Error(`${name} ended with ${code}, expected 0\n${output}`);
  const { cpuMs, peakBytes, queryMs } = JSON.parse(readFileSync(report, 'utf8')) as {
    cpuMs: number;
    peakBytes: number;
    queryMs?: number;
  };
  return {
    wallSeconds,
    cpuSeconds: cpuMs / 1000,
    querySeconds: queryMs === undefined ? undefined : queryMs / 1000,
    peakBytes,
  };
}

function spread(values: number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = (sorted.length - 1) / 2;
  const median = ((sorted[Math.floor(middle)] ?? 0) + (sorted[Math.ceil(middle)] ?? 0)) / 2;
  const round = (value: number) => Number(value.toPrecision(4));
  return { median: round(median), min: round(sorted[0] ?? 0), max: round(sorted.at(-1) ?? 0) };
}
