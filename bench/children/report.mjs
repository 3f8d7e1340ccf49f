// Loaded into a child with --import: at its exit, writes what it took to the file named in BENCH_REPORT. A child that
// only starts another program sets benchCpuMs and benchPeakBytes to what that took.
import { readFileSync, writeFileSync } from 'node:fs';

process.on('exit', () => {
  writeFileSync(
    process.env.BENCH_REPORT,
    JSON.stringify({
      cpuMs: globalThis.benchCpuMs ?? cpuMs(),
      peakBytes: globalThis.benchPeakBytes ?? peakBytes(),
      queryMs: globalThis.benchQueryMs,
    }),
  );
});

/** Of all threads, in user and system mode. */
function cpuMs() {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

/** The largest resident memory so far. */
function peakBytes() {
  try {
    // The kernel's own mark; what getrusage says of a child includes its parent's memory before the exec.
    return Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))[1]) * 1024;
  } catch {
    return process.resourceUsage().maxRSS * 1024;
  }
}
