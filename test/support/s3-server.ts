import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/*
 * As much of S3 as evidence needs, over HTTP, for tests with several processes: objects with ETags and metadata, conditional
 * writes that are decided and done at once, and listings. Path style; no signatures, no versions.
 */

interface StoredObject {
  body: Buffer;
  etag: string;
  metadata: Record<string, string>;
}

/** A request, as faults are decided by. */
export interface S3Request {
  method: string;
  key: string;
  /** Access key id of who asks: each process has its own. */
  client: string;
}

/**
 * What happens to a request beside what S3 does: `refused` before anything is done, with a status; `lost`: done, and the
 * answer is a status of 500; `cut`: done, and the connection breaks.
 */
export type Fault = { refused: 409 | 412 | 503 } | 'lost' | 'cut' | undefined;

export interface S3Server {
  endpoint: string;
  /** By key; of all buckets together. */
  objects: Map<string, StoredObject>;
  /** Every write that was tried, in order: `PUT board/board.json 412`. */
  log: string[];
  close: () => Promise<void>;
}

/** @param faultOf may do something to be noticed */
export async function startS3(faultOf: (request: S3Request) => Fault = () => undefined): Promise<S3Server> {
  const objects = new Map<string, StoredObject>();
  const log: string[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => answer(request, Buffer.concat(chunks), response));
  });

  function answer(request: IncomingMessage, body: Buffer, response: ServerResponse): void {
    const { method = '', headers } = request;
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://s3');
    const key = decodeURIComponent(pathname.split('/').slice(2).join('/'));
    const client = /Credential=([^/]+)/.exec(headers.authorization ?? '')?.[1] ?? '';
    const fault = faultOf({ method, key, client });
    if (typeof fault === 'object') {
      if (method === 'PUT') log.push(`${method} ${key} ${fault.refused}`);
      send(response, fault.refused, error(CODES[fault.refused] ?? ''));
      return;
    }
    const done =
      method === 'PUT'
        ? put(key, body, headers)
        : searchParams.has('list-type')
          ? list(searchParams)
          : get(key, method === 'HEAD');
    if (method === 'PUT') log.push(`${method} ${key} ${fault ?? done.status}`);
    if (fault === 'cut') request.socket.destroy();
    else if (fault === 'lost') send(response, 500, error('InternalError'));
    else send(response, done.status, done.body ?? '', done.headers);
  }

  function put(key: string, body: Buffer, headers: IncomingMessage['headers']): Answer {
    const present = objects.get(key);
    const { 'if-match': ifMatch, 'if-none-match': ifNoneMatch } = headers;
    if (ifMatch !== undefined && present === undefined) return { status: 404, body: error('NoSuchKey') };
    if (
      (ifMatch !== undefined && ifMatch !== present?.etag) ||
      (ifNoneMatch === '*' && present !== undefined)
    ) {
      return { status: 412, body: error('PreconditionFailed') };
    }
    const metadata = Object.fromEntries(
      Object.entries(headers).flatMap(([name, value]) =>
        name.startsWith('x-amz-meta-') ? [[name.slice('x-amz-meta-'.length), String(value)]] : [],
      ),
    );
    const etag = `"${createHash('md5').update(body).digest('hex')}"`;
    objects.set(key, { body, etag, metadata });
    return { status: 200, headers: { ETag: etag } };
  }

  function get(key: string, head: boolean): Answer {
    const found = objects.get(key);
    if (found === undefined) return { status: 404, ...(!head && { body: error('NoSuchKey') }) };
    const metadata = Object.entries(found.metadata).map(([name, value]) => [`x-amz-meta-${name}`, value]);
    return {
      status: 200,
      body: found.body,
      headers: {
        ETag: found.etag,
        'Content-Length': String(found.body.length),
        'Last-Modified': new Date().toUTCString(),
        ...Object.fromEntries(metadata),
      },
    };
  }

  function list(query: URLSearchParams): Answer {
    const prefix = query.get('prefix') ?? '';
    const limit = Number(query.get('max-keys') ?? 1000);
    const keys = [...objects.keys()].filter((key) => key.startsWith(prefix)).sort();
    const contents = keys.slice(0, limit).map((key) => `<Contents><Key>${key}</Key></Contents>`);
    return {
      status: 200,
      body: `<?xml version="1.0"?><ListBucketResult><IsTruncated>${keys.length > limit}</IsTruncated>${contents.join('')}</ListBucketResult>`,
    };
  }

  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    objects,
    log,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}

interface Answer {
  status: number;
  body?: string | Buffer;
  headers?: Record<string, string>;
}

const CODES: Record<number, string> = {
  409: 'ConditionalRequestConflict',
  412: 'PreconditionFailed',
  503: 'SlowDown',
};

function error(code: string): string {
  return `<?xml version="1.0"?><Error><Code>${code}</Code><Message>${code}</Message></Error>`;
}

function send(
  response: ServerResponse,
  status: number,
  body: string | Buffer,
  headers: Record<string, string> = {},
): void {
  response.writeHead(status, headers);
  response.end(response.req.method === 'HEAD' ? undefined : body);
}
