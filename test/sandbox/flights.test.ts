import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { DATE_IN_UTC, describeFlights, writeFlights } from '../../sandbox/flights.ts';

let directory: string;
let instance: DuckDBInstance;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "tocsin-it's-"));
  instance = await DuckDBInstance.create(':memory:');
});

afterAll(async () => {
  instance.closeSync();
  await rm(directory, { recursive: true });
});

/** The one row that a query on a file gives. */
async function look(path: string, select: string): Promise<unknown> {
  const connection = await instance.connect();
  const reader = await connection.runAndReadAll(`SELECT ${select} FROM read_parquet($path)`, { path });
  return reader.getRows()[0];
}

it('writes one month, with the columns as they are but for those that are replaced', async () => {
  const real = await writeFlights(directory, '2001-02');
  const zeroed = await writeFlights(directory, '2001-02', { replace: { delay: '0::BIGINT' } });
  expect(real.rows).toBe(458_170);
  expect(zeroed.rows).toBe(real.rows);
  expect(zeroed.path).not.toBe(real.path);
  const facts =
    'min(date)::VARCHAR, max(date)::VARCHAR, count_if(delay = 0)::INTEGER, any_value(typeof(delay))';
  expect(await look(real.path, facts)).toEqual([
    '2001-02-01 00:00:00',
    '2001-02-28 23:59:00',
    17_804,
    'BIGINT',
  ]);
  expect(await look(zeroed.path, facts)).toEqual([
    '2001-02-01 00:00:00',
    '2001-02-28 23:59:00',
    458_170,
    'BIGINT',
  ]);
  expect(describeFlights({ path: '', rows: 458_170, bytes: 2_109_678 })).toBe('458,170 flights, 2.1 MB');
});

it('writes the same sample again and again, of as many months as are asked for', async () => {
  const sample = await writeFlights(directory, '2001-01', { months: 4, rows: 10_000 });
  const bytes = await readFile(sample.path);
  const again = await writeFlights(directory, '2001-01', { months: 4, rows: 10_000 });
  expect(again).toEqual(sample);
  expect((await readFile(again.path)).equals(bytes)).toBe(true);
  expect(sample.rows).toBe(10_000);
  const facts = 'list(DISTINCT month(date) ORDER BY month(date))::VARCHAR, count(*)::INTEGER';
  expect(await look(sample.path, facts)).toEqual(['[1, 2, 3, 4]', 10_000]);
  expect(await look(sample.path, 'count(COLUMNS(*))')).toHaveLength(5);
});

it('moves departures to UTC by the longitude of the origin', async () => {
  const options = { rows: 5000 };
  const local = await writeFlights(directory, '2001-03', options);
  const utc = await writeFlights(directory, '2001-03', { ...options, replace: { date: DATE_IN_UTC } });
  // The two files have the same flights in the same order.
  const hours = async (origin: string) => {
    const connection = await instance.connect();
    const reader = await connection.runAndReadAll(
      `SELECT DISTINCT date_diff('hour', l.date, u.date)::INTEGER
       FROM read_parquet($local) AS l POSITIONAL JOIN read_parquet($utc) AS u
       WHERE l.origin = $origin AND u.origin = $origin AND l.delay IS NOT DISTINCT FROM u.delay`,
      { local: local.path, utc: utc.path, origin },
    );
    return reader.getRows().flat();
  };
  expect([await hours('BOS'), await hours('ORD'), await hours('DEN'), await hours('LAX')]).toEqual([
    [5],
    [6],
    [7],
    [8],
  ]);
});
