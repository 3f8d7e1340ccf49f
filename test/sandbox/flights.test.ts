import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { expect, it } from 'vitest';
import { writeFlights } from '../../sandbox/flights.ts';

it('writes one month, with the columns as they are but for those that are replaced', async () => {
  const directory = await mkdtemp(join(tmpdir(), "tocsin-it's-"));
  const instance = await DuckDBInstance.create(':memory:');
  try {
    const real = await writeFlights(directory, '2001-02');
    const zeroed = await writeFlights(directory, '2001-02', { replace: { delay: '0::BIGINT' } });
    expect(real.rows).toBe(458_170);
    expect(zeroed.rows).toBe(real.rows);
    expect(zeroed.path).not.toBe(real.path);
    const connection = await instance.connect();
    const look = async (path: string) => {
      const reader = await connection.runAndReadAll(
        `SELECT min(date)::VARCHAR, max(date)::VARCHAR, count_if(delay = 0)::INTEGER, any_value(typeof(delay))
         FROM read_parquet($path)`,
        { path },
      );
      return reader.getRows()[0];
    };
    expect(await look(real.path)).toEqual(['2001-02-01 00:00:00', '2001-02-28 23:59:00', 17_804, 'BIGINT']);
    expect(await look(zeroed.path)).toEqual([
      '2001-02-01 00:00:00',
      '2001-02-28 23:59:00',
      458_170,
      'BIGINT',
    ]);
  } finally {
    instance.closeSync();
    await rm(directory, { recursive: true });
  }
});
