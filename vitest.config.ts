import { defineConfig } from 'vitest/config';

/** Where .ci/run wants the results, to count them. */
const report = process.env.TOCSIN_TEST_REPORT;

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // DuckDB keeps native threads that do not survive being shared between worker threads.
    pool: 'forks',
    // Much of the time goes into waiting for child processes and for DuckDB.
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 120_000,
    ...(report !== undefined && { reporters: ['default', ['json', { outputFile: report }]] }),
  },
});
