import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type ProfileOptions, profile } from '../../bin/commands/profile.ts';
import { EXIT } from '../../bin/shared/cli.ts';
import { datasetNameOf } from '../../bin/shared/profiles.ts';
import { parseProfile } from '../../functions/shared/baseline.ts';
import { vega } from '../support/datasets.ts';
import { capture, ENGINE } from './support.ts';

let directory = '';
const path = (name: string) => join(directory, name);

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tocsin-profile-'));
  await writeFile(path('people-2001.csv'), 'id,name,age\n1,ann,0\n2,bob,41\n3,cy,\n4,dee,x\n');
});
afterAll(() => rm(directory, { recursive: true, force: true }));

async function run(data: string, options: Partial<ProfileOptions> = {}) {
  const io = capture();
  expect(await profile(data, { ...ENGINE, ...options }, io)).toBe(EXIT.pass);
  return { out: io.out(), err: io.err() };
}

test('is a line for each column', async () => {
  const { out } = await run(vega('seattle-weather.csv'));
  const lines = out.split('\n').map((line) => line.split(/ {2,}/));
  expect(lines[0]).toEqual([
    'column',
    'type',
    'nulls',
    'invalid',
    'zeros',
    'distinct',
    'range',
    'most frequent',
  ]);
  expect(lines[1]?.slice(0, 5)).toEqual(['date', 'date', '0%', '0%', '1,461']);
  expect(lines[2]).toEqual(['precipitation', 'number', '0%', '0%', '57.4%', '111', '0 to 55.9', '57.4% "0"']);
  expect(lines[6]).toEqual(['weather', 'string', '0%', '0%', '5', '3 to 7 characters', '43.9% "rain"']);
  expect(out).toMatch(/\nseattle-weather: 1,461 rows, 6 columns, sha256 [0-9a-f]{64}\n$/);
});

test('is saved as a profile that can become a baseline', async () => {
  const { out } = await run(path('people-2001.csv'), { save: path('saved/people.json') });
  expect(out).toContain(`saved to ${path('saved/people.json')}`);
  const saved = parseProfile(await readFile(path('saved/people.json'), 'utf8'), 'saved', 'people');
  expect(saved.rows).toBe(4);
  expect(JSON.parse((await run(path('people-2001.csv'), { json: true })).out)).toEqual(saved);
});

test('takes types, personal columns and the name from a contract, and says what that leaves out', async () => {
  await writeFile(
    path('people.yaml'),
    'contract: 1\ndataset: persons\nformat: csv\ncolumns: { id: { type: integer }, name: { type: string, pii: true } }\n',
  );
  const { out, err } = await run(path('people-2001.csv'), {
    contract: path('people.yaml'),
    save: path('people.json'),
  });
  expect(err).toContain('people.yaml does not name them: age');
  expect(out).toContain('25% hidden');
  const saved = await readFile(path('people.json'), 'utf8');
  expect(parseProfile(saved, 'saved', 'persons').columns.name).toMatchObject({ pii: true, count: 4 });
  expect(saved).not.toContain('ann');
});

test('says how many records are not in it', async () => {
  await writeFile(path('broken.csv'), 'a,b\n1,2\n3\n4,5\n');
  const { out, err } = await run(path('broken.csv'));
  expect(err).toMatch(/left out: 1 malformed record \(too few columns; line 3\)/);
  expect(out).toContain('2 rows');
});

test('of what cannot be read is an error', async () => {
  await writeFile(path('a.parquet'), 'PAR1 and no more');
  await expect(run(path('a.parquet'))).rejects.toThrow(/a\.parquet cannot be read/);
});

test.each([
  ['data/flights-2001-02.csv.gz', 'flights'],
  ['Köln Sales (new).parquet', 'k-ln-sales-new'],
  ['2001-02.csv', '2001'],
  ['.csv', 'dataset'],
])('the dataset of %s is %s', (file, name) => {
  expect(datasetNameOf(file)).toBe(name);
});
