import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { classifier, formatModel, parseModel } from '../../../sandbox/model/model.ts';
import { parseFlights } from '../../../sandbox/model/records.ts';
import { type Serving, serve } from '../../../sandbox/model/serve.ts';
import { readHyperparameters, rocAuc, train } from '../../../sandbox/model/train.ts';
import { run } from '../../../sandbox/processes.ts';

let directory: string;
let env: NodeJS.ProcessEnv;

/** Three weeks of flights; those of the evening, and from ORD, are late more often. */
const FLIGHTS = `SELECT make_timestamp(2001, 1, 1 + (i % 21)::BIGINT, (6 + i % 17)::BIGINT, (7 * i % 60)::BIGINT, 0) AS date,
    CASE WHEN hash(i) % 100 < (CASE WHEN i % 17 > 9 THEN 50 ELSE 5 END) + (CASE WHEN i % 3 = 0 THEN 20 ELSE 0 END)
      THEN 40 ELSE -5 END AS delay,
    200 + 13 * i % 900 AS distance, ['ORD', 'ATL', 'LGA'][1 + i % 3] AS origin, ['SEA', 'DEN'][1 + i % 2] AS destination
  FROM range(6000) r(i)`;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "tocsin-it's-"));
  env = await channel('flights', FLIGHTS);
  expect(await train(env, () => {})).toBe(0);
});
afterAll(() => rm(directory, { recursive: true }));

/** Puts the rows of a query into a training channel, in two files; returns the environment of its training job. */
async function channel(name: string, sql: string): Promise<NodeJS.ProcessEnv> {
  const base = join(directory, name);
  await mkdir(join(base, 'data', 'part'), { recursive: true });
  const instance = await DuckDBInstance.create(':memory:');
  try {
    const connection = await instance.connect();
    for (const [file, half] of [
      ['a.parquet', 'row % 2 = 0'],
      ['part/b.parquet', 'row % 2 = 1'],
    ] as const)
      await connection.run(
        `COPY (SELECT * EXCLUDE row FROM (SELECT *, row_number() OVER () AS row FROM (${sql})) WHERE ${half})
         TO '${join(base, 'data', file).replaceAll("'", "''")}'`,
      );
  } finally {
    instance.closeSync();
  }
  return {
    SM_CHANNEL_TRAINING: join(base, 'data'),
    SM_MODEL_DIR: join(base, 'model'),
    SM_OUTPUT_DIR: join(base, 'output'),
    SM_HPS: JSON.stringify({ trees: '20', min_leaf_weight: 5, sagemaker_program: 'container.ts' }),
  };
}

const modelOf = (job: NodeJS.ProcessEnv) => readFile(join(job.SM_MODEL_DIR ?? '', 'model.json'), 'utf8');
const failureOf = (job: NodeJS.ProcessEnv) => readFile(join(job.SM_OUTPUT_DIR ?? '', 'failure'), 'utf8');

describe('train', () => {
  it('learns from all files of the channel, and prints its metrics', async () => {
    const lines: string[] = [];
    expect(await train(env, (line) => lines.push(line))).toBe(0);
    expect(lines[0]).toBe('5400 flights to learn from, 600 to validate on');
    expect(lines.slice(1, 3).every((line) => /^\d0 trees, train:logloss=0\.\d{5}$/.test(line))).toBe(true);
    const [train_, validation] = lines
      .slice(3)
      .map((line) => /^(?:train|validation):auc=(0\.\d{5})$/.exec(line)?.[1]);
    expect(Number(train_)).toBeGreaterThan(0.75);
    expect(Number(validation)).toBeGreaterThan(0.7);
  });

  it('writes the same bytes for the same data and seed, and others for another sample', async () => {
    const first = await modelOf(env);
    const again = { ...env, SM_MODEL_DIR: join(directory, 'again') };
    expect(await train(again, () => {})).toBe(0);
    expect(await modelOf(again)).toBe(first);
    const lines: string[] = [];
    const sample = { ...again, SM_HP_MAX_ROWS: '2000' };
    expect(await train(sample, (line) => lines.push(line))).toBe(0);
    expect(lines[0]).toBe('1800 flights to learn from, 200 to validate on');
    const sampled = await modelOf(sample);
    expect(await train({ ...sample, SM_HP_SEED: '2' }, () => {})).toBe(0);
    expect(await modelOf(sample)).not.toBe(sampled);
  });

  it('leaves out flights whose delay is missing, and learns from those where something else is', async () => {
    const job = await channel(
      'gaps',
      `SELECT * REPLACE (CASE WHEN row_number() OVER () <= 1000 THEN NULL ELSE delay END AS delay,
         CASE WHEN distance < 300 THEN NULL ELSE distance END AS distance, NULLIF(origin, 'ATL') AS origin,
         CASE WHEN distance > 900 THEN NULL ELSE date END AS date) FROM (${FLIGHTS})`,
    );
    const lines: string[] = [];
    expect(await train(job, (line) => lines.push(line))).toBe(0);
    expect(lines[0]).toBe('4500 flights to learn from, 500 to validate on');
    expect(parseModel(await modelOf(job)).encodings.origin.rates.map(([code]) => code)).toEqual([
      'LGA',
      'ORD',
    ]);
  });

  it.each([
    ['no flight is late', `SELECT * REPLACE (0 AS delay) FROM (${FLIGHTS})`, /all 5400 rows are of class 0/],
    ['there are no flights', `SELECT * FROM (${FLIGHTS}) WHERE false`, /no rows/],
    ['a column is gone', `SELECT * EXCLUDE origin FROM (${FLIGHTS})`, /"origin" not found/],
  ])('says why it cannot learn where %s', async (name, sql, reason) => {
    const job = await channel(name, sql);
    const lines: string[] = [];
    expect(await train(job, (line) => lines.push(line))).toBe(1);
    expect(await failureOf(job)).toMatch(reason);
    expect(lines.at(-1)).toBe(await failureOf(job));
    await expect(modelOf(job)).rejects.toThrow('ENOENT');
  });

  it('says why it cannot learn where the channel is empty or absent, or a file is none', async () => {
    const empty = join(directory, 'empty');
    await mkdir(empty);
    const job = { ...env, SM_OUTPUT_DIR: join(directory, 'output'), SM_CHANNEL_TRAINING: empty };
    expect(await train(job, () => {})).toBe(1);
    expect(await failureOf(job)).toBe('the channel training has no Parquet file');
    await writeFile(join(empty, 'broken.parquet'), 'PAR1');
    expect(await train(job, () => {})).toBe(1);
    expect(await failureOf(job)).toContain('broken.parquet');
    expect(await train({ ...job, SM_CHANNEL_TRAINING: join(directory, 'absent') }, () => {})).toBe(1);
    expect(await failureOf(job)).toContain('ENOENT');
  });
});

describe('readHyperparameters', () => {
  it('reads JSON of strings, single variables first, and has defaults', () => {
    expect(
      readHyperparameters({ SM_HPS: '{"trees":"7","l2":"0.5"}', SM_HP_TREES: '9', SM_HP_MAX_ROWS: '500' }),
    ).toEqual({
      trees: 9,
      learning_rate: 0.15,
      max_leaves: 31,
      min_leaf_weight: 20,
      l2: 0.5,
      max_bins: 255,
      row_share: 1,
      column_share: 1,
      max_rows: 500,
      validation_share: 0.1,
      late_after_minutes: 15,
      seed: 1,
    });
  });

  it.each([
    ['{"treees":"7"}', /hyperparameters: .*"treees"/],
    ['{"trees":"many","seed":"-1"}', /hyperparameters: trees: .*; seed: /],
    ['[]', /SM_HPS: expected a JSON object/],
    ['{', /SM_HPS: expected a JSON object/],
  ])('refuses %s', (SM_HPS, message) => {
    expect(() => readHyperparameters({ SM_HPS })).toThrow(message);
  });
});

it('counts the pairs that are ranked rightly, ties as half', () => {
  const chances = Float64Array.of(0.9, 0.5, 0.5, 0.5, 0.1, 0.3);
  const labels = Uint8Array.of(1, 1, 0, 0, 0, 1);
  let right = 0;
  for (const [i, late] of labels.entries())
    for (const [j, other] of labels.entries())
      if (late === 1 && other === 0)
        right += chances[i]! > chances[j]! ? 1 : chances[i] === chances[j] ? 0.5 : 0;
  expect(rocAuc(chances, labels)).toBe(right / 9);
  expect(rocAuc(chances, new Uint8Array(6))).toBeNaN();
});

describe('a model file', () => {
  it('gives the same predictions after it was read and written', async () => {
    const text = await modelOf(env);
    const model = parseModel(text);
    expect(formatModel(model)).toBe(text);
    const flights = parseFlights('2001-01-03 18:30:00,500,ORD,SEA\n,,,\n', 'text/csv', 'miles');
    expect(classifier(parseModel(formatModel(model)))(flights)).toEqual(classifier(model)(flights));
  });

  it.each([
    ['another format', { format: 'flight-delay/2' }, /format/],
    ['features in another order', { features: ['month'] }, /features/],
    ['a tree that leads in circles', { booster: tree({ left: [0, 0, 0] }) }, /children/],
    ['a tree that leads out of itself', { booster: tree({ left: [2, 0, 0] }) }, /children/],
    ['a tree of arrays of several lengths', { booster: tree({ value: [0] }) }, /one entry a node/],
    ['a feature that there is not', { booster: tree({ feature: [6, -1, -1] }) }, /feature/],
  ])('is refused with %s', async (_, change, message) => {
    expect(() => parseModel(JSON.stringify({ ...JSON.parse(sound), ...change }))).toThrow(message);
  });

  const sound = JSON.stringify({
    format: 'flight-delay/1',
    features: ['minuteOfDay', 'weekday', 'month', 'distance', 'origin', 'destination'],
    lateAfterMinutes: 15,
    encodings: { origin: { prior: 0.2, rates: [] }, destination: { prior: 0.2, rates: [] } },
    booster: tree({}),
  });
  function tree(change: object) {
    const arrays = { feature: [0, -1, -1], threshold: [600, 0, 0], missingLeft: [0, 0, 0], left: [1, 0, 0] };
    return { bias: -1.4, trees: [{ ...arrays, value: [0, -0.1, 0.1], ...change }] };
  }

  it('is taken as it is', () => {
    expect(parseModel(sound).booster).toEqual(tree({}));
  });
});

describe('serve', () => {
  const open: Serving[] = [];
  afterEach(async () => {
    for (const serving of open.splice(0)) await serving.close();
  });
  const start = async (change: NodeJS.ProcessEnv = {}) => {
    const serving = await serve({ ...env, SAGEMAKER_BIND_TO_PORT: '0', ...change });
    open.push(serving);
    return async (path: string, init: RequestInit = {}) => {
      const response = await fetch(`http://127.0.0.1:${serving.port}${path}`, init);
      return {
        status: response.status,
        type: response.headers.get('content-type'),
        body: await response.text(),
      };
    };
  };
  const post = (body: string, type = 'text/csv', accept = '*/*') => ({
    method: 'POST',
    body,
    headers: { 'content-type': type, accept },
  });
  const RECORDS = '2001-01-03 18:30:00,500,ORD,SEA\n2001-01-03 08:30:00,500,ATL,SEA\n';

  it('answers that it is there', async () => {
    const send = await start();
    expect(await send('/ping')).toMatchObject({ status: 200, body: '' });
  });

  it('answers CSV with a chance a line, those of the model', async () => {
    const send = await start();
    const { status, type, body } = await send('/invocations', post(RECORDS, 'text/csv; charset=utf-8'));
    expect({ status, type }).toEqual({ status: 200, type: 'text/csv' });
    const model = parseModel(await modelOf(env));
    const chances = classifier(model)(parseFlights(RECORDS, 'text/csv', 'miles'));
    expect(body).toBe([...chances, ''].join('\n'));
    expect(chances[0]).toBeGreaterThan(0.5);
    expect(chances[1]).toBeLessThan(0.2);
  });

  it('answers JSON Lines with an object a line, and as Accept wants it', async () => {
    const send = await start();
    const flight = { date: '2001-01-03 18:30:00', distance: 500, origin: 'ORD', destination: 'SEA' };
    const lines = `${JSON.stringify({ features: flight })}\n${JSON.stringify(flight)}\n`;
    const answer = await send('/invocations', post(lines, 'application/jsonlines'));
    expect(answer).toMatchObject({ status: 200, type: 'application/jsonlines' });
    const [first, second] = answer.body.trimEnd().split('\n');
    expect(first).toBe(second);
    const csv = await send('/invocations', post(lines, 'application/jsonlines', 'text/csv'));
    expect(csv).toMatchObject({ status: 200, type: 'text/csv' });
    expect(JSON.parse(first ?? '')).toEqual({ probability: Number(csv.body.split('\n')[0]) });
  });

  it('takes distances in the unit that the environment says', async () => {
    const miles = await (await start())('/invocations', post('2001-01-03 18:30:00,500,ORD,SEA'));
    const km = await (await start({ DISTANCE_UNIT: 'km' }))(
      '/invocations',
      post('2001-01-03 18:30:00,804.672,ORD,SEA'),
    );
    expect(Number(km.body)).toBeCloseTo(Number(miles.body), 12);
  });

  it('says what is wrong with a request', async () => {
    const send = await start();
    expect(await send('/invocations', post(`${RECORDS}2001-01-03 18:30:00,far,ORD,SEA`))).toEqual({
      status: 400,
      type: 'text/plain',
      body: 'line 3: distance: expected a number from 0, got "far"\n',
    });
    expect(await send('/invocations', post(RECORDS, 'application/json'))).toMatchObject({
      status: 415,
      body: 'Content-Type: expected text/csv or application/jsonlines\n',
    });
    expect(await send('/invocations', post(RECORDS, 'text/csv', 'image/png'))).toMatchObject({ status: 406 });
    expect(await send('/invocations')).toMatchObject({ status: 404, body: 'no GET /invocations\n' });
    expect(await send('/elsewhere')).toMatchObject({ status: 404 });
    expect(await send('/invocations', post(RECORDS))).toMatchObject({ status: 200 });
  });

  it.each([
    [{ DISTANCE_UNIT: 'furlongs' }, /DISTANCE_UNIT/],
    [{ SAGEMAKER_BIND_TO_PORT: 'http' }, /SAGEMAKER_BIND_TO_PORT/],
    [{ SM_MODEL_DIR: '/nowhere' }, /ENOENT/],
  ])('does not start with %o', async (change, message) => {
    await expect(start(change)).rejects.toThrow(message);
  });
});

describe('the program', () => {
  const program = join(import.meta.dirname, '..', '..', '..', 'sandbox', 'model', 'container.ts');
  const container = (
    command: string,
    variables: NodeJS.ProcessEnv,
    onLine?: (line: string) => void,
    signal?: AbortSignal,
  ) =>
    run(process.execPath, [program, command], {
      env: { PATH: process.env.PATH, ...variables },
      signal: signal ?? new AbortController().signal,
      onLine,
    });

  it('trains, and says by its exit code whether it could', async () => {
    const good = { ...env, SM_MODEL_DIR: join(directory, 'program') };
    expect(await container('train', good)).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('validation:auc='),
    });
    expect(await modelOf(good)).toBe(await modelOf(env));
    expect(await container('train', { ...good, SM_HP_TREES: '0' })).toMatchObject({ code: 1 });
  });

  it('serves until it is stopped', async () => {
    const stop = new AbortController();
    let answer: number | undefined;
    const ended = container(
      'serve',
      { ...env, SAGEMAKER_BIND_TO_PORT: '0' },
      (line) => {
        const port = /serving on port (\d+)/.exec(line)?.[1];
        if (port === undefined) return;
        void fetch(`http://127.0.0.1:${port}/ping`).then(({ status }) => {
          answer = status;
          stop.abort('stop');
        });
      },
      stop.signal,
    );
    await expect(ended).rejects.toBe('stop');
    expect(answer).toBe(200);
  });

  it('refuses another command, and a model that is not there', async () => {
    expect(await container('dance', {})).toMatchObject({
      code: 2,
      tail: 'usage: container.ts train | serve',
    });
    expect(await container('serve', { SM_MODEL_DIR: directory })).toMatchObject({ code: 1 });
  });
});
