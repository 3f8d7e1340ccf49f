import { access, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { type BoardOptions, board, boardCommand } from '../../bin/commands/board.ts';
import { connectS3 } from '../../bin/shared/aws.ts';
import { type BoardServer, serveBoard } from '../../bin/shared/board.ts';
import { EXIT } from '../../bin/shared/cli.ts';
import { boardOf, boardSchema } from '../../functions/board/board.ts';
import { boardPage } from '../../functions/board/page.ts';
import { BOARD_JSON, BOARD_PAGE, type Requirement } from '../../functions/board/schema.ts';
import { GateInputError } from '../../functions/shared/errors.ts';
import type { HistoryEntry } from '../../functions/shared/history.ts';
import { FakeAws } from '../support/fake-aws.ts';
import { putPastRun } from '../support/ledger.ts';
import { capture, examplesOf, failure, outputsWith } from './support.ts';

const NOW = Date.UTC(2026, 10, 22);

const REQUIREMENT: Requirement = {
  gap: 'alarms',
  gate: 'alarm-drill',
  subject: 'drift',
  section: 'alarmDrills',
  name: 'drift',
  title: 'alarm drill drift',
  freshMs: 86_400_000,
  configured: [],
  line: 'tocsin.yaml:9',
  again: 'Run: tocsin drill alarm drift',
};

let aws: FakeAws;
let entry: HistoryEntry;
let directory = '';
const path = (name: string) => join(directory, name);
const reportKey = () => `evidence/alarm-drill/drift/${entry.verdict}/report.html`;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tocsin-board-'));
  await writeFile(path('outputs.json'), JSON.stringify(outputsWith({})));
});
afterAll(() => rm(directory, { recursive: true, force: true }));
beforeEach(() => {
  vi.stubEnv('AWS_REGION', 'eu-west-1');
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'test');
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'test');
  aws = new FakeAws();
  entry = putPastRun(aws, 'evidence', { gate: 'alarm-drill', subject: 'drift', at: NOW });
  const row = { model: 'm', environment: 'production', requirements: [REQUIREMENT] };
  const built = boardOf([row], [{ history: [entry], latest: entry }], NOW);
  aws.put('evidence', BOARD_JSON, JSON.stringify(built));
  aws.put('evidence', BOARD_PAGE, boardPage(built));
});
afterEach(() => {
  aws.restore();
  vi.unstubAllEnvs();
});

/** Makes the stored board link to something else than a report. Returns the key that this leads to. */
function forge(link: string): string {
  const stored = JSON.parse(aws.get('evidence', BOARD_JSON).body.toString());
  for (const gap of stored.rows[0].gaps) {
    gap.report = link;
    for (const stand of gap.stands) stand.report = link;
  }
  aws.put('evidence', BOARD_JSON, JSON.stringify(stored));
  return link.replace('../', '');
}

async function open(options: Partial<BoardOptions>): Promise<{ out: string; err: string }> {
  const io = capture();
  const all = { outputs: path('outputs.json'), expires: 3_600_000, ...options };
  expect(await board(all, io)).toBe(EXIT.pass);
  return { out: io.out().trim(), err: io.err() };
}

describe('tocsin board --save', () => {
  test('writes the board, its JSON, and each report beside its verdict, so that its links lead to them', async () => {
    const { out, err } = await open({ save: path('saved') });
    expect(out).toBe(join(path('saved'), 'board/index.html'));
    expect(err).toBe('');
    const page = await readFile(out, 'utf8');
    expect(page).toContain(`href="../${reportKey()}"`);
    expect(await readFile(join(path('saved'), reportKey()), 'utf8')).toBe('<p>report of drift</p>');
    const verdict = join(path('saved'), reportKey().replace('report.html', 'verdict.json'));
    expect(JSON.parse(await readFile(verdict, 'utf8'))).toMatchObject({ id: entry.verdict });
    const json = await readFile(join(path('saved'), 'board/board.json'), 'utf8');
    expect(boardSchema.parse(JSON.parse(json)).builtAt).toBe(NOW);
  });

  test('has the reports of earlier verdicts, too', async () => {
    const earlier = putPastRun(aws, 'evidence', {
      gate: 'alarm-drill',
      subject: 'drift',
      at: NOW - 1000,
      outcome: 'fail',
    });
    const row = { model: 'm', environment: 'production', requirements: [REQUIREMENT] };
    const built = boardOf([row], [{ history: [entry, earlier], latest: entry }], NOW);
    aws.put('evidence', BOARD_JSON, JSON.stringify(built));
    const { out } = await open({ save: path('earlier') });
    const report = `evidence/alarm-drill/drift/${earlier.verdict}/report.html`;
    expect(await readFile(out, 'utf8')).toContain(`href="../${report}"`);
    expect(await readFile(join(path('earlier'), report), 'utf8')).toBe('<p>report of drift</p>');
  });

  test('says which reports there are not', async () => {
    aws.objects.delete(`evidence/${reportKey()}`);
    const { err } = await open({ save: path('without') });
    expect(err).toBe(`there is no report at s3://evidence/${reportKey()}\n`);
  });

  test('writes nothing elsewhere, and links to nothing else, whatever the board names', async () => {
    const report = forge('../../escaped/report.html');
    aws.put('evidence', report, '<p>forged</p>');
    aws.put('evidence', report.replace('report.html', 'verdict.json'), '{}');
    const { out } = await open({ save: path('deep/saved') });
    await expect(access(path('deep/escaped'))).rejects.toThrow('ENOENT');
    await expect(access(path('escaped'))).rejects.toThrow('ENOENT');
    expect(await readFile(out, 'utf8')).not.toContain('escaped');
    forge('javascript:alert(1)');
    expect(await readFile((await open({ save: path('script') })).out, 'utf8')).not.toContain('javascript:');
  });

  test('is refused where no board was built', async () => {
    aws.objects.delete(`evidence/${BOARD_JSON}`);
    const error = await failure(open({ save: path('none') }));
    expect(error).toBeInstanceOf(GateInputError);
    expect(error.message).toContain('no board has been built yet');
  });
});

describe('tocsin board --presign', () => {
  test('is one page whose links are signed, for so long', async () => {
    const { out } = await open({ presign: path('signed.html'), expires: 7_200_000 });
    expect(out).toBe(path('signed.html'));
    const page = await readFile(out, 'utf8');
    const links = [...page.matchAll(/href="(https:[^"]*)"/g)].map(
      ([, link = '']) => new URL(link.replaceAll('&amp;', '&')),
    );
    expect(links.length).toBeGreaterThan(0);
    for (const { host, pathname, searchParams } of links) {
      expect(host).toBe('evidence.s3.eu-west-1.amazonaws.com');
      expect(pathname).toBe(`/${reportKey()}`);
      expect(searchParams.get('X-Amz-Expires')).toBe('7200');
      expect(searchParams.get('X-Amz-Signature')).toMatch(/^[0-9a-f]{64}$/);
    }
    expect((await stat(out)).mode & 0o777).toBe(0o600);
  });

  test('signs no link to anything but reports, whatever the board names', async () => {
    forge('../baselines/sales/current.json');
    const { out } = await open({ presign: path('forged.html') });
    expect(await readFile(out, 'utf8')).not.toContain('baselines');
  });
});

describe('tocsin board', () => {
  let server: BoardServer;
  beforeEach(async () => {
    server = await serveBoard({ s3: await connectS3(), bucket: 'evidence' }, 0);
  });
  afterEach(() => server.close());
  const at = (file: string) => server.url.replace(BOARD_PAGE, file);

  test('serves the board and its reports on this machine', async () => {
    expect(server.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/[0-9a-f]{32}\/board\/index\.html$/);
    const page = await fetch(server.url);
    expect(page.headers.get('content-type')).toBe('text/html; charset=utf-8');
    const [, link = ''] = /href="(\.\.\/evidence[^"]*)"/.exec(await page.text()) ?? [];
    const report = await fetch(new URL(link, server.url));
    expect(await report.text()).toBe('<p>report of drift</p>');
    const json = await fetch(at(reportKey().replace('report.html', 'verdict.json')));
    expect(await json.json()).toMatchObject({ id: entry.verdict });
    const head = await fetch(server.url, { method: 'HEAD' });
    expect([head.status, await head.text()]).toEqual([200, '']);
    // A forged report could read all others: it runs nothing, and is in no frame.
    expect(page.headers.get('content-security-policy')).toMatch(
      /^default-src 'none'; .*frame-ancestors 'none'$/,
    );
  });

  test.each([
    ['another object', 'baselines/sales/current.json'],
    ['what leads out of its folder', 'evidence/../baselines/x/report.html'],
    ['what is encoded', 'evidence/%2e%2e/board/index.html'],
    ['a folder', 'evidence/'],
    ['a report that there is not', `evidence/alarm-drill/drift/${'0'.repeat(32)}/report.html`],
  ])('gives away nothing else: %s', async (_, key) => {
    aws.put('evidence', 'baselines/sales/current.json', '{}');
    const { port, pathname } = new URL(server.url);
    const [, token] = pathname.split('/');
    expect((await raw(Number(port), `/${token}/${key}`, `127.0.0.1:${port}`)).status).toBe(404);
  });

  test('answers only who knows the address, and asks for this host', async () => {
    const { port, pathname } = new URL(server.url);
    expect((await raw(Number(port), pathname, `127.0.0.1:${port}`)).status).toBe(200);
    expect((await raw(Number(port), pathname, `localhost:${port}`)).status).toBe(200);
    // A page of somebody else whose name has come to mean 127.0.0.1.
    expect((await raw(Number(port), pathname, `evil.example:${port}`)).status).toBe(404);
    expect((await raw(Number(port), `/${'0'.repeat(32)}/${BOARD_PAGE}`, `127.0.0.1:${port}`)).status).toBe(
      404,
    );
    expect((await fetch(server.url, { method: 'POST' })).status).toBe(405);
  });

  test('says what S3 says where that refuses', async () => {
    aws.s3.rejects(new Error('no network'));
    const answer = await fetch(server.url);
    expect(answer.status).toBe(502);
    expect(await answer.text()).toContain('no network');
  });

  test('a port that is taken is the mistake of the caller', async () => {
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    const { port } = other.address() as { port: number };
    const error = await failure(serveBoard({ s3: await connectS3(), bucket: 'evidence' }, port));
    other.close();
    expect(error).toBeInstanceOf(GateInputError);
    expect(error.help).toContain('another --port');
  });

  test('prints the address, and ends when it is told to', async () => {
    const io = capture();
    let seen = 0;
    const ended = async () => {
      seen = (await fetch(io.out().trim())).status;
    };
    expect(await board({ outputs: path('outputs.json'), expires: 1 }, io, ended)).toBe(EXIT.pass);
    expect(seen).toBe(200);
    expect(io.err()).toContain('Ctrl-C');
    await expect(fetch(io.out().trim())).rejects.toThrow();
  });

  test('has examples', () => {
    expect(examplesOf(boardCommand(capture()))).toHaveLength(3);
  });
});

/** A request as it is, without what fetch makes of its address and host. */
async function raw(port: number, target: string, host: string): Promise<{ status: number }> {
  const { request } = await import('node:http');
  return new Promise((resolve, reject) => {
    const call = request({ host: '127.0.0.1', port, path: target, headers: { host } }, (answer) => {
      answer.resume();
      answer.on('end', () => resolve({ status: answer.statusCode ?? 0 }));
    });
    call.on('error', reject);
    call.end();
  });
}
