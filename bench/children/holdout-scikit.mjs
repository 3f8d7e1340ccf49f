// Runs the Python program in argv[3] with the interpreter in argv[2], and tells what it says that it took.
import { execFileSync } from 'node:child_process';

const [, , python, ...argv] = process.argv;
const { cpuSeconds, peakBytes, replicateSeconds } = JSON.parse(
  execFileSync(python, argv, { encoding: 'utf8' }),
);
globalThis.benchCpuMs = cpuSeconds * 1000;
globalThis.benchPeakBytes = peakBytes;
globalThis.benchQueryMs = replicateSeconds * 1000;
