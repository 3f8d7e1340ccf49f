import { request } from 'node:http';
import { DescribeModelCommand, ListModelsCommand, SageMakerClient } from '@aws-sdk/client-sagemaker';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ImageRegistry } from '../../../sandbox/sagemaker/images.ts';
import { modelOperations } from '../../../sandbox/sagemaker/models.ts';
import { SageMakerServer } from '../../../sandbox/sagemaker/server.ts';
import { type Account, ServiceError } from '../../../sandbox/sagemaker/service.ts';

/** Whoever has the key KNOWN may do everything. */
const account = {
  identify: async (key: string) => (key === 'KNOWN' ? { arn: 'arn:root', role: undefined } : undefined),
  authorize: async () => undefined,
} as unknown as Account;

const SIGNED = {
  authorization:
    'AWS4-HMAC-SHA256 Credential=KNOWN/20010101/us-east-1/sagemaker/aws4_request, SignedHeaders=host, Signature=0',
};

let server: SageMakerServer;
let endpoint: string;
let isUp: boolean;
const log: string[] = [];

beforeEach(async () => {
  isUp = true;
  log.length = 0;
  server = new SageMakerServer({
    account: async () => {
      if (isUp) return account;
      throw new ServiceError('ServiceUnavailable', 'The account is not there yet.', 503);
    },
    images: new ImageRegistry(),
    operations: {
      ...modelOperations,
      Broken: async () => {
        throw new Error('a bug');
      },
    },
    routes: [
      async ({ path, body }) =>
        path === '/echo it' ? { status: 201, headers: { 'x-own': 'yes' }, body } : undefined,
    ],
    log: (line) => log.push(line),
  });
  endpoint = `http://127.0.0.1:${await server.listen()}`;
});

afterEach(() => server.close());

interface Asked {
  path?: string;
  method?: string;
  headers?: Record<string, string>;
  body?: string | Uint8Array<ArrayBuffer>;
}

async function ask({ path = '/', method = 'POST', headers = {}, body = '{}' }: Asked) {
  const answer = await fetch(endpoint + path, { method, headers, body });
  const text = await answer.text();
  return {
    status: answer.status,
    headers: answer.headers,
    text,
    error: text.startsWith('{') ? JSON.parse(text) : undefined,
  };
}

function operate(operation: string, changes: Asked = {}) {
  return ask({
    ...changes,
    headers: { ...SIGNED, 'x-amz-target': `SageMaker.${operation}`, ...changes.headers },
  });
}

describe('the protocol', () => {
  it('answers as AWS JSON 1.1, with an id', async () => {
    const { status, headers, text } = await operate('ListModels');
    expect([status, text]).toEqual([200, '{"Models":[]}']);
    expect(headers.get('content-type')).toBe('application/x-amz-json-1.1');
    expect(headers.get('x-amzn-requestid')).toMatch(/^[0-9a-f-]{36}$/);
  });

  it.each<[string, () => ReturnType<typeof ask>, number, string, string]>([
    [
      'an operation that it does not have',
      () => operate('CreateApp'),
      400,
      'UnknownOperationException',
      'The local SageMaker has no operation CreateApp.',
    ],
    [
      'a member of every object as an operation',
      () => operate('constructor'),
      400,
      'UnknownOperationException',
      'The local SageMaker has no operation constructor.',
    ],
    [
      'a path that it does not have',
      () => ask({ path: '/x', headers: SIGNED }),
      404,
      'UnknownOperationException',
      'There is nothing at /x.',
    ],
    [
      'what is no JSON',
      () => operate('ListModels', { body: '{' }),
      400,
      'SerializationException',
      'The request is not JSON.',
    ],
    [
      'a request without signature',
      () => operate('ListModels', { headers: { authorization: '' } }),
      403,
      'MissingAuthenticationTokenException',
      'Missing Authentication Token',
    ],
    [
      'a key that nobody has',
      () =>
        operate('ListModels', { headers: { authorization: SIGNED.authorization.replace('KNOWN', 'ASIA0') } }),
      400,
      'UnrecognizedClientException',
      'The security token included in the request is invalid.',
    ],
    [
      'a request that is too long',
      () => operate('ListModels', { body: new Uint8Array(10 * 1024 * 1024 + 1) }),
      413,
      'RequestEntityTooLargeException',
      'At most 10485760 bytes.',
    ],
    ['its own bugs', () => operate('Broken'), 500, 'InternalFailure', 'A bug of the local SageMaker: a bug'],
  ])('has an error for %s', async (_, send, status, type, message) => {
    const answer = await send();
    expect(answer.status).toBe(status);
    expect(answer.error).toEqual({ __type: type, message });
    expect(answer.headers.get('x-amzn-errortype')).toBe(type);
  });

  it('is understood by the SDK, errors as well', async () => {
    const client = new SageMakerClient({
      endpoint,
      region: 'us-east-1',
      credentials: { accessKeyId: 'KNOWN', secretAccessKey: 'x' },
    });
    expect((await client.send(new ListModelsCommand({}))).Models).toEqual([]);
    await expect(client.send(new DescribeModelCommand({ ModelName: 'm' }))).rejects.toMatchObject({
      name: 'ValidationException',
      message: 'Could not find model "arn:aws:sagemaker:us-east-1:000000000000:model/m".',
      $metadata: { httpStatusCode: 400 },
    });
    client.destroy();
  });

  it('gives other paths to its routes, decoded', async () => {
    const { status, headers, text } = await ask({ path: '/echo%20it?x=1', headers: SIGNED, body: 'hello' });
    expect([status, headers.get('x-own'), text]).toEqual([201, 'yes', 'hello']);
  });

  it('survives a path that cannot be decoded', async () => {
    expect((await ask({ path: '/%E0%A4%A', headers: SIGNED })).status).toBe(400);
    expect((await operate('ListModels')).status).toBe(200);
  });

  it('waits for the account without giving up on it', async () => {
    isUp = false;
    expect(await operate('ListModels')).toMatchObject({
      status: 503,
      error: { __type: 'ServiceUnavailable' },
    });
    isUp = true;
    expect((await operate('ListModels')).status).toBe(200);
  });
});

describe('who is let in', () => {
  /** fetch does not let a caller choose these headers. */
  function status(headers: Record<string, string>): Promise<number | undefined> {
    return new Promise((resolve, reject) => {
      request(`${endpoint}/`, {
        method: 'POST',
        headers: { ...SIGNED, 'x-amz-target': 'SageMaker.ListModels', ...headers },
      })
        .once('response', (response) => {
          response.resume();
          resolve(response.statusCode);
        })
        .once('error', reject)
        .end('{}');
    });
  }

  it.each([
    ['a name that was made to lead here', { host: 'evil.example' }, 403],
    ['a page of another origin', { origin: 'http://evil.example' }, 403],
    ['a program on this machine', {}, 200],
    ['a program that says localhost', { host: 'localhost:1' }, 200],
  ])('%s', async (_, headers, expected) => {
    expect(await status(headers)).toBe(expected);
  });

  it('asks for a header that pages cannot send, before it registers a program', async () => {
    const image = JSON.stringify({ repository: 'x', tag: 'y', command: ['true'], sources: ['package.json'] });
    const plain = await ask({
      path: '/_sandbox/images',
      body: image,
      headers: { 'content-type': 'text/plain' },
    });
    expect(plain).toMatchObject({ status: 400, error: { __type: 'ValidationException' } });
    const json = { 'content-type': 'application/json' };
    expect((await ask({ path: '/_sandbox/images', body: image, headers: json })).error).toEqual({
      address: '000000000000.dkr.ecr.us-east-1.amazonaws.com/x:y',
      digest: expect.stringMatching(/^sha256:[0-9a-f]{64}$/),
    });
    expect(await ask({ path: '/_sandbox/images', body: '{}', headers: json })).toMatchObject({ status: 400 });
    expect(await ask({ path: '/_sandbox/x', body: '{}', headers: json })).toMatchObject({ status: 404 });
  });
});

describe('faults', () => {
  const json = { 'content-type': 'application/json' };
  const fault = (asked: object) =>
    ask({ path: '/_sandbox/faults', headers: json, body: JSON.stringify(asked) });

  it('are what the next calls of one operation get', async () => {
    await fault({ operation: 'ListModels', type: 'ThrottlingException', message: 'Rate exceeded', times: 2 });
    const types = [];
    for (let i = 0; i < 3; i++) types.push((await operate('ListModels')).error.__type);
    expect(types).toEqual(['ThrottlingException', 'ThrottlingException', undefined]);
  });

  it('are for that operation alone, with the status asked for, and can be taken back', async () => {
    await fault({ operation: 'ListModels', type: 'InternalFailure', status: 500, times: 100 });
    const other = await operate('DescribeModel', { body: '{"ModelName":"m"}' });
    expect(other.error.__type).toBe('ValidationException');
    expect((await operate('ListModels')).status).toBe(500);
    await fault({ operation: 'ListModels', type: 'InternalFailure', times: 0 });
    expect((await operate('ListModels')).status).toBe(200);
  });

  it('are themselves checked', async () => {
    expect(await fault({ operation: 'ListModels', times: 1 })).toMatchObject({
      status: 400,
      error: { message: expect.stringContaining("'type'") },
    });
  });
});

describe('the log', () => {
  it('has every request and its outcome, and nothing of what was sent', async () => {
    await operate('ListModels');
    await operate('DescribeModel', { body: JSON.stringify({ ModelName: 'secret secret' }) });
    expect(log[0]).toMatch(/^ListModels 200 \(\d+ ms\)$/);
    expect(log[1]).toMatch(
      /^DescribeModel ValidationException: 1 validation error detected: Value at 'modelName' failed .* \(\d+ ms\)$/,
    );
    expect(log.join()).not.toContain('secret');
  });

  it('has where a bug is', async () => {
    await operate('Broken');
    expect(log[0]).toMatch(/^Broken: Error: a bug\n +at .*protocol\.test\.ts/);
  });
});
