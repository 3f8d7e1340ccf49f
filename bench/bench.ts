import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, platform, release, tmpdir, totalmem } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { type HeatResult, race, type Spread, type Suite, type Target } from './harness.ts';
import { holdout } from './holdout.ts';
import { parity } from './parity.ts';
import { quality } from './quality.ts';

/*
 * `npm run bench -- quality|holdout|parity [--runs 5] [--out FILE]`
 *
 * Runs whole processes, as users do, one at a time and in turn, so that a slow minute of the machine meets all
 * contestants alike. Tells medians.
 */

const SUITES: Record<string, Suite> = { quality, holdout, parity };
const ROOT = join(import.meta.dirname, '..');

await main();

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { runs: { type: 'string', default: '5' }, out: { type: 'string' } },
  });
  const [name = ''] = positionals;
  const suite = SUITES[name];
  const runs = Number(values.runs);
  if (suite === undefined || positionals.length > 1 || !Number.isInteger(runs) || runs < 1) {
    console.error(`usage: npm run bench -- ${Object.keys(SUITES).join('|')} [--runs N] [--out FILE]`);
    process.exit(2);
  }
  // Always the code as it is now.
  execFileSync('npm', ['run', '-s', 'build'], { cwd: ROOT, stdio: 'inherit' });
  const directory = mkdtempSync(join(tmpdir(), 'tocsin-bench-'));
  try {
    const heats = await suite.prepare(directory);
    const results: HeatResult[] = [];
    for (const heat of heats) results.push(await race(heat, runs, directory));
    const machine = describeMachine();
    const targets = suite
      .targets(results)
      .map((target) => ({ ...target, met: target.value <= target.atMost }));
    print(machine, runs, results, targets);
    if (values.out !== undefined) {
      const record = {
        benchmark: name,
        date: new Date().toISOString().slice(0, 10),
        machine,
        runs,
        heats: results,
        targets,
      };
      writeFileSync(resolve(values.out), `${JSON.stringify(record, null, 2)}\n`);
    }
    process.exitCode = targets.every((target) => target.met) ? 0 : 1;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function describeMachine() {
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: availableParallelism(),
    memoryBytes: totalmem(),
    system: `${platform()} ${release()}`,
    node: process.version,
  };
}

function print(
  machine: ReturnType<typeof describeMachine>,
  runs: number,
  heats: HeatResult[],
  targets: (Target & { met: boolean })[],
): void {
  const seconds = ({ median, min, max }: Spread) =>
    `${median.toFixed(2)} (${min.toFixed(2)}-${max.toFixed(2)})`;
  console.log(
    `${machine.cpu}, ${machine.cores} cores, ${Math.round(machine.memoryBytes / 2 ** 30)} GiB, Node.js ${machine.node}; medians of ${runs} runs (lowest-highest)`,
  );
  const columns = [20, 20, 20, 20, 10, 8];
  const line = (cells: string[]) => {
    console.log(
      cells
        .map((cell, index) =>
          index === 0 ? cell.padEnd(columns[0] ?? 0) : cell.padStart(columns[index] ?? 0),
        )
        .join(''),
    );
  };
  for (const { title, results } of heats) {
    console.log(`\n${title}`);
    line(['', 'wall s', 'query alone s', 'CPU s', 'peak MB', 'ratio']);
    for (const { name, wallSeconds, cpuSeconds, querySeconds, peakBytes, ratio } of results) {
      line([
        `  ${name}`,
        seconds(wallSeconds),
        querySeconds === undefined ? '' : seconds(querySeconds),
        seconds(cpuSeconds),
        (peakBytes.max / 1e6).toFixed(0),
        ratio.toFixed(2),
      ]);
    }
  }
  console.log('');
  for (const { name, value, atMost, unit, met } of targets) {
    console.log(`${met ? 'met   ' : 'MISSED'}  ${name}: ${value}${unit}, target at most ${atMost}${unit}`);
  }
}
