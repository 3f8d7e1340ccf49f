import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { HeadObjectCommand, S3Client } from '@aws-sdk/client-s3';
import * as fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import { CLIENT_OPTIONS, call, dependencyError, mapLimit, readBody } from '../../../functions/shared/aws.ts';
import { GateDependencyError, GateInputError } from '../../../functions/shared/errors.ts';
import { s3Error } from '../../support/fake-aws.ts';

describe('call', () => {
  test('gives the answer', async () => {
    expect(await call('Publish', Promise.resolve(42))).toBe(42);
  });

  test('leaves errors of ours alone', () => {
    const ours = new GateInputError('gone');
    expect(dependencyError('GetObject', ours)).toBe(ours);
  });

  test.each([
    [s3Error('SlowDown', 503), 'it failed (HTTP 503): SlowDown: the fake says SlowDown'],
    [new TypeError('socket hang up'), 'it failed (no answer): TypeError: socket hang up'],
    [Object.assign(new Error('UnknownError'), { name: '403' }), 'it failed (no answer): 403'],
    ['a text', 'it failed (no answer): Error: a text'],
    [undefined, 'it failed (no answer): Error: undefined'],
  ])('says what failed and why: %s', async (error, message) => {
    const thrown = await call('it', Promise.reject(error)).catch((inner) => inner);
    expect(thrown).toBeInstanceOf(GateDependencyError);
    expect(thrown.message).toBe(message);
    expect(thrown.cause).toBe(error);
    expect(thrown.help).toBeUndefined();
  });

  test('adds what to grant where access is denied', () => {
    expect(dependencyError('it', s3Error('AccessDenied', 403)).help).toContain('Grant the role this action');
  });
});

describe('readBody', () => {
  test('puts chunks together', () =>
    fc.assert(
      fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 50 }), { maxLength: 20 }), async (chunks) => {
        const whole = Buffer.concat(chunks);
        expect(await readBody(Readable.from(chunks), whole.length)).toEqual(whole);
        await expect(readBody(Readable.from(chunks), whole.length + 1)).rejects.toThrow(
          `the body ended after ${whole.length} of ${whole.length + 1} bytes`,
        );
        if (whole.length > 0) {
          await expect(readBody(Readable.from(chunks), whole.length - 1)).rejects.toThrow('longer than');
        }
      }),
    ));

  test('takes no body for an empty one', async () => {
    expect(await readBody(undefined, 0)).toHaveLength(0);
  });

  test('closes a connection that it does not read to its end', async () => {
    const body = Readable.from([Buffer.alloc(10), Buffer.alloc(10)]);
    await expect(readBody(body, 5)).rejects.toThrow('longer than 5');
    expect(body.destroyed).toBe(true);
  });
});

describe('mapLimit', () => {
  test('keeps the order and the limit', async () => {
    let running = 0;
    let most = 0;
    const items = Array.from({ length: 30 }, (_, index) => index);
    const results = await mapLimit(items, 4, async (item) => {
      most = Math.max(most, ++running);
      await new Promise((resolve) => setTimeout(resolve, (item * 7) % 5));
      running--;
      return item * 2;
    });
    expect(results).toEqual(items.map((item) => item * 2));
    expect(most).toBe(4);
  });

  test('stops after the first error', async () => {
    const started: number[] = [];
    const failing = mapLimit([0, 1, 2, 3, 4, 5], 2, async (item) => {
      started.push(item);
      if (item === 1) throw new Error('no');
      await new Promise((resolve) => setTimeout(resolve, 5));
    });
    await expect(failing).rejects.toThrow('no');
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(started).toEqual([0, 1]);
  });

  test('of nothing is nothing', async () => {
    expect(await mapLimit([], 4, async () => 1)).toEqual([]);
  });
});

describe('the options of clients', () => {
  let server: Server;

  afterEach(() => {
    server.closeAllConnections();
    server.close();
  });

  test('try five times, and no more', async () => {
    let requests = 0;
    server = createServer((_, response) => {
      requests++;
      response.writeHead(503).end();
    }).listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const s3 = new S3Client({
      ...CLIENT_OPTIONS,
      endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      region: 'us-east-1',
      credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
    });
    const thrown = await call(
      'HeadObject',
      s3.send(new HeadObjectCommand({ Bucket: 'data', Key: 'a' })),
    ).catch((error) => error);
    expect(thrown).toBeInstanceOf(GateDependencyError);
    expect(thrown.message).toMatch(/^HeadObject failed \(HTTP 503\)/);
    expect(requests).toBe(5);
  });
});
