import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildSync } from 'esbuild';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { boardSchema, keyOfLink } from '../../../functions/board/board.ts';
import { boardPage } from '../../../functions/board/page.ts';
import { BOARD_JSON, BOARD_PAGE, type BoardBundle } from '../../../functions/board/schema.ts';
import { type HistoryPoint, pointOf } from '../../../functions/shared/history.ts';
import { sha256 } from '../../../functions/shared/identity.ts';
import { releaseRow } from '../../support/board.ts';
import { type Fault, type S3Request, type S3Server, startS3 } from '../../support/s3-server.ts';

let directory: string;
/** The program of a writer, as one file: eight of them start at once. */
let program: string;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'tocsin-board-'));
  program = join(directory, 'writer.cjs');
  buildSync({
    entryPoints: ['test/support/board-writer.ts'],
    outfile: program,
    bundle: true,
    platform: 'node',
    target: 'node24',
    mainFields: ['module', 'main'],
    logLevel: 'silent',
  });
});

afterAll(() => rmSync(directory, { recursive: true }));

let server: S3Server | undefined;

afterEach(() => server?.close());

/** An account with nothing but the configuration of the board. */
async function start(faultOf?: (request: S3Request) => Fault): Promise<S3Server> {
  server = await startS3(faultOf);
  const row = releaseRow();
  // What the writers come to verdicts on.
  const bundle: BoardBundle = { bundle: 1, rows: [{ ...row, requirements: row.requirements.slice(0, 2) }] };
  server.objects.set('config.json', { body: Buffer.from(JSON.stringify(bundle)), etag: '"c"', metadata: {} });
  return server;
}

function startWriter({ endpoint }: S3Server, name: string, count: number): ChildProcess {
  return spawn(process.execPath, [program, endpoint, name, String(count)], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
}

/** How a process ended: its code or signal, and what it complained of. */
function ending(child: ChildProcess): Promise<string> {
  let complaint = '';
  child.stderr?.on('data', (chunk) => {
    complaint += chunk;
  });
  return new Promise((resolve) => {
    child.on('close', (code, signal) => resolve(signal ?? (code === 0 ? 'ended' : complaint)));
  });
}

/** Every run that is in the history, by subject, in the order of the board. */
function runsOf({ objects }: S3Server): Map<string, HistoryPoint[]> {
  const points = [...objects.keys()].flatMap((key) => pointOf(key) ?? []);
  const byKey = new Map(points.map((point) => [`${point.verdict}${point.run}`, point]));
  const sorted = [...byKey.values()].sort(
    (a, b) => b.at - a.at || (a.outcome + a.verdict < b.outcome + b.verdict ? -1 : 1),
  );
  return Map.groupBy(sorted, ({ gate, subject }) => `${gate} ${subject}`);
}

/** The stored board shows every run of the history, in order, and its page is the page of its JSON. */
function expectWhole(of: S3Server): number {
  const json = of.objects.get(BOARD_JSON)?.body.toString() ?? '';
  const page = of.objects.get(BOARD_PAGE);
  const board = boardSchema.parse(JSON.parse(json));
  const stands = board.rows.flatMap(({ gaps }) => gaps.flatMap((gap) => gap.stands));
  const shown = new Map(stands.map(({ gate, subject, history }) => [`${gate} ${subject}`, history]));
  const runs = runsOf(of);
  expect([...shown.keys()].sort()).toEqual([...runs.keys()].sort());
  for (const [subject, points] of runs) {
    expect(shown.get(subject)).toEqual(
      points.map(({ at, outcome, verdict, run }) => ({ at, outcome, verdict, run })),
    );
  }
  for (const { report, verdict, gate, subject } of stands) {
    expect(keyOfLink(report ?? '')).toBe(`evidence/${gate}/${subject}/${verdict}/report.html`);
  }
  expect(page?.metadata['board-sha256']).toBe(sha256(json));
  expect(page?.body.toString()).toBe(boardPage(board));
  return [...runs.values()].flat().length;
}

test('200 verdicts, written at once by 8 processes, are all on the board, in order', {
  timeout: 120_000,
}, async () => {
  const s3 = await start();
  const endings = await Promise.all(
    Array.from({ length: 8 }, (_, index) => ending(startWriter(s3, `writer-${index}`, 25))),
  );
  expect(endings).toEqual(new Array(8).fill('ended'));
  expect(expectWhole(s3)).toBe(200);
  // They were in each other's way: else this shows nothing.
  expect(
    s3.log.filter((line) => line.startsWith('PUT board/') && line.endsWith('412')).length,
  ).toBeGreaterThan(0);
});

/** What becomes of writes of the board, over and over. A writer alone writes it more often than this is long. */
const FAULTS: readonly Fault[] = [
  undefined,
  { refused: 409 },
  undefined,
  { refused: 412 },
  undefined,
  { refused: 503 },
  undefined,
  'lost',
  undefined,
  undefined,
];

test('none is lost where S3 refuses, loses answers, and a process dies between the board and its page', {
  timeout: 120_000,
}, async () => {
  let writes = 0;
  let others = 0;
  let killed = false;
  const children = new Map<string, ChildProcess>();
  const s3 = await start(({ method, key, client }) => {
    if (method !== 'PUT' || !key.startsWith('board/')) {
      return ++others % 41 === 0 ? { refused: 503 } : undefined;
    }
    if (client === 'victim' && key === BOARD_JSON && !killed) {
      killed = true;
      children.get('victim')?.kill('SIGKILL');
      return 'cut';
    }
    return FAULTS[writes++ % FAULTS.length];
  });
  for (const name of ['victim', 'first', 'second', 'third']) children.set(name, startWriter(s3, name, 6));
  const endings = await Promise.all([...children.values()].map(ending));
  expect(endings).toEqual(['SIGKILL', 'ended', 'ended', 'ended']);
  expect(killed).toBe(true);
  // The victim came to one verdict at least.
  expect(expectWhole(s3)).toBeGreaterThanOrEqual(19);
  for (const status of ['409', '412', '503', 'lost', 'cut']) {
    expect(
      s3.log.some((line) => line.startsWith('PUT board/') && line.endsWith(status)),
      status,
    ).toBe(true);
  }
});
