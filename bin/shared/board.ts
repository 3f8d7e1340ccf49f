import { randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { join } from 'node:path';
import { GetObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import { type Board, boardSchema, earlierReports, keyOfLink } from '../../functions/board/board.ts';
import { boardPage } from '../../functions/board/page.ts';
import { BOARD_JSON, BOARD_PAGE } from '../../functions/board/schema.ts';
import { mapLimit } from '../../functions/shared/aws.ts';
import { GateDependencyError, GateInputError, messageOf } from '../../functions/shared/errors.ts';
import { EvidenceStore } from '../../functions/shared/evidence.ts';
import { POLICY } from '../../functions/shared/report/page.ts';
import { parseJson } from '../../functions/shared/schema.ts';
import { writeWhole } from './files.ts';

/*
 * The board of a deployment, brought to who wants to read it: saved, with links that are signed, or served on this machine.
 */

/** Reports fetched at a time. */
const AT_A_TIME = 8;

/** The evidence of a deployment. */
export interface Evidence {
  s3: S3Client;
  bucket: string;
}

/**
 * The board as it was last built.
 *
 * @throws GateInputError where there is none
 * @throws GateDependencyError where S3 does not answer, or refuses
 */
async function readBoard({ s3, bucket }: Evidence): Promise<Board> {
  const store = new EvidenceStore(s3, bucket);
  const stored = await store.read(BOARD_JSON);
  if (stored === undefined) {
    throw new GateInputError(`${store.uri(BOARD_JSON)} does not exist: no board has been built yet`, {
      help: 'It is built after the deployment, at each verdict and every hour. Or deploy a version of Tocsin that has one.',
    });
  }
  return parseJson(boardSchema, stored.text, store.uri(BOARD_JSON));
}

/** Keys of reports. */
const REPORT = /^evidence\/[a-z-]+\/[a-z0-9-]+\/[0-9a-f]{32}\/report\.html$/;

/**
 * Keys of the reports that a board links to, in its order. Whoever can write the board shall not choose what else is read with
 * the credentials of who opens it, nor where that is written: what is no report is left out.
 */
function reportKeys({ rows }: Board): string[] {
  const links = rows.flatMap(({ gaps }) =>
    gaps.flatMap(({ report, stands }) => [
      report,
      ...stands.flatMap((stand) => [stand.report, ...earlierReports(stand).map((earlier) => earlier.report)]),
    ]),
  );
  const keys = links.flatMap((link) => (link === undefined ? [] : keyOfLink(link)));
  return [...new Set(keys.filter((key) => REPORT.test(key)))];
}

/**
 * Saves the board and the reports that it links to, with their JSON, so that they can be read without AWS.
 *
 * @returns path of the board, and reports that there are none of
 * @throws GateInputError, GateDependencyError where the disk or S3 refuses
 */
export async function saveBoard(
  evidence: Evidence,
  directory: string,
): Promise<{ page: string; board: Board; missing: string[] }> {
  const board = await readBoard(evidence);
  const store = new EvidenceStore(evidence.s3, evidence.bucket);
  const reports = reportKeys(board);
  const found = await mapLimit(reports, AT_A_TIME, async (key) => {
    const files = [key, key.replace(/[^/]+$/, 'verdict.json')];
    const texts = await Promise.all(files.map((file) => store.read(file)));
    for (const [index, stored] of texts.entries()) {
      if (stored !== undefined) await writeWhole(join(directory, files[index] ?? ''), stored.text, 'report');
    }
    return texts[0] !== undefined;
  });
  const page = join(directory, BOARD_PAGE);
  await writeWhole(join(directory, BOARD_JSON), `${JSON.stringify(board, null, 2)}\n`, 'board');
  const there = (key: string) => (key === BOARD_JSON || REPORT.test(key) ? `../${key}` : undefined);
  await writeWhole(page, boardPage(board, there), 'board');
  return { page, board, missing: reports.filter((_, index) => found[index] !== true) };
}

/**
 * The board as one page whose links to reports are signed: whoever has it can read them without credentials, for a while.
 *
 * @param expiresMs at most seven days; signed by temporary credentials, links end with these at the latest
 */
export async function presignedPage({ s3, bucket }: Evidence, expiresMs: number): Promise<string> {
  const board = await readBoard({ s3, bucket });
  const links = await mapLimit(reportKeys(board), AT_A_TIME, async (key) => {
    const object = new GetObjectCommand({ Bucket: bucket, Key: key });
    return [key, await getSignedUrl(s3, object, { expiresIn: Math.floor(expiresMs / 1000) })] as const;
  });
  const byKey = new Map(links);
  return boardPage(board, (key) => byKey.get(key));
}

/** What the server gives away: the board, and reports with their JSON. No other object of the bucket. */
const SERVED =
  /^(board\/(index\.html|board\.json)|evidence\/[a-z-]+\/[a-z0-9-]+\/[0-9a-f]{32}\/(report\.html|verdict\.json))$/;

/** A server of the board on this machine. */
export interface BoardServer {
  /** Where to open it; only who knows this address is answered. */
  url: string;
  close: () => Promise<void>;
}

/**
 * Serves the board on 127.0.0.1. Web pages in the same browser cannot read it: requests have to name this host, and a path
 * that nobody can guess.
 *
 * @param port 0 for any that is free
 * @throws GateInputError where the port is taken
 */
export async function serveBoard(evidence: Evidence, port: number): Promise<BoardServer> {
  await readBoard(evidence);
  const token = randomBytes(16).toString('hex');
  const store = new EvidenceStore(evidence.s3, evidence.bucket);
  const hosts = new Set<string>();
  const server = createServer((request, response) => {
    answer(request, response).catch((error: unknown) => {
      send(response, 502, 'text/plain; charset=utf-8', `${messageOf(error)}\n`);
    });
  });

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method, url = '', headers } = request;
    const key = url.startsWith(`/${token}/`) ? url.slice(token.length + 2).replace(/\?.*$/, '') : undefined;
    if (!hosts.has(headers.host ?? '') || key === undefined || !SERVED.test(key)) {
      send(response, 404, 'text/plain; charset=utf-8', 'Not found.\n');
    } else if (method !== 'GET' && method !== 'HEAD') {
      response.setHeader('allow', 'GET, HEAD');
      send(response, 405, 'text/plain; charset=utf-8', 'Only GET and HEAD.\n');
    } else {
      const stored = await store.read(key);
      if (stored === undefined)
        send(response, 404, 'text/plain; charset=utf-8', 'There is no such report.\n');
      else {
        const type = key.endsWith('.html') ? 'text/html; charset=utf-8' : 'application/json';
        send(response, 200, type, method === 'HEAD' ? '' : stored.text);
      }
    }
  }

  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => reject(portError(error, port)));
    server.listen(port, '127.0.0.1', resolve);
  });
  const { port: bound } = server.address() as { port: number };
  for (const host of ['127.0.0.1', 'localhost']) hosts.add(`${host}:${bound}`);
  return {
    url: `http://127.0.0.1:${bound}/${token}/${BOARD_PAGE}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function portError(error: Error & { code?: string }, port: number): Error {
  if (error.code === 'EADDRINUSE' || error.code === 'EACCES') {
    return new GateInputError(`port ${port} of 127.0.0.1 cannot be used: ${error.message}`, {
      cause: error,
      help: 'Give another --port, or none for any that is free.',
    });
  }
  return new GateDependencyError(`the board cannot be served: ${error.message}`, { cause: error });
}

function send(response: ServerResponse, status: number, type: string, text: string): void {
  response.writeHead(status, {
    'content-type': type,
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    'x-frame-options': 'DENY',
    'referrer-policy': 'no-referrer',
    // Of all pages here one might be forged, and must not read the others.
    'content-security-policy': `${POLICY}; frame-ancestors 'none'`,
    'cross-origin-resource-policy': 'same-origin',
  });
  response.end(text);
}
