import { HeadObjectCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { boardSchema } from '../../../functions/board/board.ts';
import { type BoardAnswer, createBoardHandler } from '../../../functions/board/handler.ts';
import { boardPage } from '../../../functions/board/page.ts';
import { BOARD_JSON, BOARD_PAGE, type BoardBundle } from '../../../functions/board/schema.ts';
import { GateDependencyError } from '../../../functions/shared/errors.ts';
import { type HistoryPoint, historyKey } from '../../../functions/shared/history.ts';
import { sha256 } from '../../../functions/shared/identity.ts';
import { historyEvent, pointAt, releaseRow, requirementOf } from '../../support/board.ts';
import { captureOutput, s3Error } from '../../support/fake-aws.ts';
import { type Fault, type S3Request, type S3Server, startS3 } from '../../support/s3-server.ts';

const NOW = Date.parse('2026-07-14T09:41:00Z');
const drill = requirementOf();

let server: S3Server;
let output: ReturnType<typeof captureOutput>;
let faultOf: (request: S3Request) => Fault;
let waits: number[];
let now: number;
let rebuild: (event?: unknown) => Promise<BoardAnswer>;

beforeEach(async () => {
  faultOf = () => undefined;
  server = await startS3((request) => faultOf(request));
  const bundle: BoardBundle = {
    bundle: 1,
    rows: [{ model: 'churn', environment: 'production', requirements: [drill] }],
  };
  put('config.json', JSON.stringify(bundle));
  output = captureOutput();
  waits = [];
  now = NOW;
  const handler = createBoardHandler({
    env: { CONFIG_BUCKET: 'assets', CONFIG_KEY: 'config.json', EVIDENCE_BUCKET: 'evidence' },
    s3: new S3Client({
      endpoint: server.endpoint,
      region: 'us-east-1',
      maxAttempts: 1,
      credentials: { accessKeyId: 'test', secretAccessKey: 'secret' },
    }),
    now: () => now++,
    wait: async (ms) => {
      waits.push(ms);
    },
  });
  rebuild = (event = {}) => handler(event, { awsRequestId: 'r', getRemainingTimeInMillis: () => 60_000 });
});

afterEach(async () => {
  output.restore();
  await server.close();
});

function put(key: string, text: string): void {
  server.objects.set(key, { body: Buffer.from(text), etag: `"${sha256(text)}"`, metadata: {} });
}

/** Leaves a run in the history. */
function leave(point: HistoryPoint): HistoryPoint {
  put(historyKey(point), JSON.stringify({ ...point, history: 1, reason: 'so it was', inputs: {} }));
  return point;
}

const text = (key: string) => server.objects.get(key)?.body.toString() ?? '';
const stored = () => boardSchema.parse(JSON.parse(text(BOARD_JSON)));
const written = () => server.log.filter((line) => line.includes('board/'));
/** The runs that the stored board shows. */
const shown = () => stored().rows[0]?.gaps[1]?.stands[0]?.history.map(({ verdict }) => verdict);

test('writes the board and its page, from whatever it is invoked with', async () => {
  const point = leave(pointAt(NOW - 1000));
  expect(await rebuild()).toEqual({
    builtAt: '2026-07-14T09:41:00Z',
    ready: false,
    summary: expect.stringContaining('The release is not ready: churn in production'),
  });
  expect(shown()).toEqual([point.verdict]);
  expect(text(BOARD_PAGE)).toBe(boardPage(stored()));
  expect(server.objects.get(BOARD_PAGE)?.metadata).toEqual({ 'board-sha256': sha256(text(BOARD_JSON)) });
  const events = [
    { source: 'aws.events', 'detail-type': 'Scheduled Event', detail: {} },
    { source: 'aws.cloudformation', 'detail-type': 'CloudFormation Stack Status Change', detail: {} },
    historyEvent('history/rollback-drill/churn/none of ours.json'),
    undefined,
  ];
  for (const event of events) expect(await rebuild(event)).toHaveProperty('builtAt');
  expect(written()).toHaveLength(10);
});

test('puts each on the condition that it is still the one that was there before listing', async () => {
  const inputs: unknown[] = [];
  const s3 = new S3Client({});
  s3.send = (async (command: { input: { Key?: string } }) => {
    if (command instanceof PutObjectCommand) {
      inputs.push(command.input);
      return {};
    }
    const { Key } = command.input;
    if (Key === 'config.json') {
      const bundle = Buffer.from(JSON.stringify({ bundle: 1, rows: [] }));
      return { Body: [bundle], ContentLength: bundle.length };
    }
    if (command instanceof HeadObjectCommand) return { ETag: '"page"' };
    throw s3Error('NoSuchKey', 404);
  }) as never;
  const handler = createBoardHandler({
    env: { CONFIG_BUCKET: 'assets', CONFIG_KEY: 'config.json', EVIDENCE_BUCKET: 'evidence' },
    s3,
    now: () => NOW,
    wait: async () => {},
  });
  await handler({}, { awsRequestId: 'r', getRemainingTimeInMillis: () => 60_000 });
  const json = `{"board":1,"builtAt":${NOW},"rows":[]}\n`;
  expect(inputs).toEqual([
    {
      Bucket: 'evidence',
      Key: 'board/board.json',
      Body: json,
      ContentType: 'application/json',
      CacheControl: 'no-cache',
      IfNoneMatch: '*',
    },
    {
      Bucket: 'evidence',
      Key: 'board/index.html',
      Body: boardPage({ board: 1, builtAt: NOW, rows: [] }),
      ContentType: 'text/html; charset=utf-8',
      CacheControl: 'no-cache',
      Metadata: { 'board-sha256': sha256(json) },
      IfMatch: '"page"',
    },
  ]);
});

describe('an event', () => {
  test('of a run that the stored board shows changes nothing', async () => {
    const point = leave(pointAt(NOW - 1000));
    await rebuild(historyEvent(historyKey(point)));
    const before = written().length;
    expect(await rebuild(historyEvent(historyKey(point)))).toEqual({
      ignored: 'the stored board shows this run already',
    });
    expect(written()).toHaveLength(before);
  });

  test('of another run rebuilds it', async () => {
    leave(pointAt(NOW - 1000));
    await rebuild();
    const next = leave(pointAt(NOW - 500));
    expect(await rebuild(historyEvent(historyKey(next)))).toHaveProperty('builtAt');
    expect(shown()?.[0]).toBe(next.verdict);
  });

  test('rebuilds it where the page is not that of the board', async () => {
    const point = leave(pointAt(NOW - 1000));
    await rebuild();
    const old = server.objects.get(BOARD_PAGE)!;
    now += 60_000;
    await rebuild();
    // As a writer leaves it that dies between the two.
    server.objects.set(BOARD_PAGE, old);
    expect(await rebuild(historyEvent(historyKey(point)))).toHaveProperty('builtAt');
    expect(text(BOARD_PAGE)).toBe(boardPage(stored()));
  });

  test('rebuilds it where the stored one cannot be read', async () => {
    const point = leave(pointAt(NOW - 1000));
    for (const damaged of ['{', '{"board":2}']) {
      put(BOARD_JSON, damaged);
      expect(await rebuild(historyEvent(historyKey(point)))).toHaveProperty('builtAt');
      expect(shown()).toEqual([point.verdict]);
    }
  });
});

describe('where somebody else writes at the same time', () => {
  test.each<[string, string]>([
    ['the board', BOARD_JSON],
    ['the page', BOARD_PAGE],
  ])('%s, it starts over, and shows what came meanwhile', async (_, key) => {
    leave(pointAt(NOW - 1000));
    let late: HistoryPoint | undefined;
    faultOf = (request) => {
      if (late === undefined && request.method === 'PUT' && request.key === key) {
        late = leave(pointAt(NOW - 500));
        put(key, key === BOARD_JSON ? '{}' : '<p>of somebody else</p>');
      }
      return undefined;
    };
    await rebuild();
    expect(shown()?.[0]).toBe(late?.verdict);
    expect(text(BOARD_PAGE)).toBe(boardPage(stored()));
    expect(waits).toHaveLength(1);
  });

  test('and stores what it was to show, it has nothing left to do', async () => {
    const point = leave(pointAt(NOW - 1000));
    await rebuild();
    const whole = [BOARD_JSON, BOARD_PAGE].map((key) => [key, server.objects.get(key)!] as const);
    server.objects.delete(BOARD_JSON);
    server.objects.delete(BOARD_PAGE);
    faultOf = ({ method, key }) => {
      if (method === 'PUT' && key === BOARD_JSON)
        for (const [name, object] of whole) server.objects.set(name, object);
      return undefined;
    };
    expect(await rebuild(historyEvent(historyKey(point)))).toEqual({
      ignored: 'the stored board shows this run already',
    });
  });

  test.each([409, 412] as const)(
    'all the time (%i), it gives up, and says that nothing is lost',
    async (refused) => {
      faultOf = ({ key, method }) => (method === 'PUT' && key === BOARD_JSON ? { refused } : undefined);
      const error = await rebuild().catch((thrown) => thrown);
      expect(error).toBeInstanceOf(GateDependencyError);
      expect(error.message).toContain('was built 12 times');
      expect(error.message).toContain('Nothing is lost');
      expect(waits).toHaveLength(12);
      expect(Math.max(...waits)).toBeLessThanOrEqual(3_000);
      expect(server.objects.has(BOARD_JSON)).toBe(false);
    },
  );
});

test('where somebody has removed the board meanwhile, it starts over', async () => {
  leave(pointAt(NOW - 1000));
  await rebuild();
  let removed = 0;
  faultOf = ({ key, method }) => {
    if (method === 'PUT' && key === BOARD_JSON && removed++ === 0) server.objects.delete(key);
    return undefined;
  };
  expect(await rebuild()).toHaveProperty('builtAt');
  expect(removed).toBe(2);
  expect(text(BOARD_PAGE)).toBe(boardPage(stored()));
});

test('where S3 fails, it throws, and has written nothing that is half', async () => {
  leave(pointAt(NOW - 1000));
  faultOf = ({ key }) => (key === BOARD_PAGE ? { refused: 503 } : undefined);
  const error = await rebuild().catch((thrown) => thrown);
  expect(error).toBeInstanceOf(GateDependencyError);
  expect(error.message).toContain('HeadObject s3://evidence/board/index.html failed (HTTP 503)');
  expect(written()).toEqual([]);
});

test('counts what is overdue, failing and not ready, and logs it', async () => {
  leave(pointAt(NOW - 20 * 86_400_000, 'fail'));
  await rebuild();
  const lines = output.lines().map((line) => JSON.parse(line));
  const metrics = lines.filter((line) => '_aws' in line);
  expect(metrics[0]).toMatchObject({
    _aws: { CloudWatchMetrics: [{ Namespace: 'Tocsin', Dimensions: [['gate']] }] },
    gate: 'board',
    Rebuilt: 1,
    Overdue: 1,
    OverdueDrills: 1,
    Failing: 1,
    NotReady: 1,
  });
  expect(metrics.slice(1).map(({ gap, Overdue, Failing }) => [gap, Overdue, Failing])).toEqual([
    ['pipeline', 0, 0],
    ['rollback', 1, 1],
    ['alarms', 0, 0],
    ['data', 0, 0],
    ['parity', 0, 0],
  ]);
  expect(lines.find(({ message }) => message === 'rebuilt')).toMatchObject({
    service: 'tocsin-board',
    requestId: 'r',
    overdue: 1,
    notReady: 1,
  });
});

test('a whole release of passed gaps is ready', async () => {
  const row = releaseRow();
  put('config.json', JSON.stringify({ bundle: 1, rows: [row] } satisfies BoardBundle));
  for (const requirement of row.requirements) leave(pointAt(NOW - 1000, 'pass', requirement));
  expect(await rebuild()).toMatchObject({ ready: true });
});
