import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import {
  GetObjectCommand,
  GetObjectTaggingCommand,
  HeadObjectCommand,
  PutObjectTaggingCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { downloadObjects, headObject, type ObjectVersion } from '../../../functions/shared/s3.ts';
import 'aws-sdk-client-mock-vitest/extend';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { pinObject, tagObjects } from '../../../functions/quality-gate/adapters/s3.ts';
import { GateDependencyError, GateInputError } from '../../../functions/shared/errors.ts';
import { sha256 } from '../../../functions/shared/identity.ts';
import { FakeAws, s3Error } from '../../support/fake-aws.ts';

let aws: FakeAws;
let s3: S3Client;
let directory: string;

beforeEach(() => {
  aws = new FakeAws();
  s3 = new S3Client({});
  directory = mkdtempSync(join(tmpdir(), 'tocsin-s3-test-'));
});

afterEach(() => {
  rmSync(directory, { recursive: true });
  aws.restore();
});

/** Bytes of which no two stretches are equal, so that a part in the wrong place is seen. */
function bytesOf(length: number): Buffer {
  return Buffer.from(
    Uint32Array.from({ length: Math.ceil(length / 4) }, (_, index) => index).buffer,
  ).subarray(0, length);
}

async function uploaded(key: string, body: string | Uint8Array): Promise<ObjectVersion> {
  return pinObject(s3, { bucket: 'data', key, versionId: aws.put('data', key, body) });
}

const ranges = () =>
  aws.inputs('s3', GetObjectCommand).map((input) => (input as { Range?: string }).Range as string);

describe('downloadObjects', () => {
  test.each([1, 99, 100, 101, 1000, 12_345])('puts %i bytes together from parts of 100', async (length) => {
    const body = bytesOf(length);
    const object = await uploaded('a.csv', body);

    const [file] = await downloadObjects(s3, [object], directory, { partBytes: 100 });

    expect(file).toEqual({
      path: join(directory, '0000.csv'),
      name: 'a.csv',
      bytes: length,
      sha256: sha256(body),
    });
    expect(readFileSync(file!.path).equals(body)).toBe(true);
    const parts = Math.ceil(length / 100);
    expect(ranges()).toHaveLength(parts);
    expect(aws.inputs('s3', GetObjectCommand)).toContainEqual({
      Bucket: 'data',
      Key: 'a.csv',
      VersionId: object.versionId,
      Range: `bytes=${(parts - 1) * 100}-${length - 1}`,
      IfMatch: object.etag,
    });
  });

  test('in parts of 16 MB unless told otherwise', async () => {
    const object = await uploaded('a.parquet', bytesOf(16 * 1024 * 1024 + 1));
    await downloadObjects(s3, [object], directory);
    expect(ranges()).toEqual(['bytes=0-16777215', 'bytes=16777216-16777216']);
  });

  test('keeps at most four parts in memory, and their order whatever order they arrive in', async () => {
    let open = 0;
    let most = 0;
    aws.body = (input, bytes) =>
      Readable.from(
        (async function* () {
          most = Math.max(most, ++open);
          const part = Number(/=(\d+)-/.exec(input.Range!)![1]) / 100;
          await new Promise((resolve) => setTimeout(resolve, (7 - (part % 8)) * 2));
          yield bytes.subarray(0, 30);
          yield bytes.subarray(30);
          open--;
        })(),
      );
    const body = bytesOf(2000);
    const [file] = await downloadObjects(s3, [await uploaded('a', body)], directory, { partBytes: 100 });
    expect(file!.sha256).toBe(sha256(body));
    expect(most).toBe(4);
  });

  test('of several objects gives each its file, empty ones too', async () => {
    const objects = [
      await uploaded('batch/b.csv.gz', bytesOf(250)),
      await uploaded('batch/empty.csv', ''),
      await uploaded('batch/../../etc/passwd', bytesOf(7)),
    ];
    const files = await downloadObjects(s3, objects, directory, { partBytes: 100 });
    expect(files.map(({ path, name, bytes }) => ({ path, name, bytes }))).toEqual([
      { path: join(directory, '0000.csv.gz'), name: 'batch/b.csv.gz', bytes: 250 },
      { path: join(directory, '0001.csv'), name: 'batch/empty.csv', bytes: 0 },
      { path: join(directory, '0002'), name: 'batch/../../etc/passwd', bytes: 7 },
    ]);
    expect(files.map((file) => file.sha256)).toEqual([sha256(bytesOf(250)), sha256(''), sha256(bytesOf(7))]);
    expect(readFileSync(files[1]!.path)).toHaveLength(0);
    expect(ranges(), 'nothing is asked of the empty one').toHaveLength(4);
  });

  test.each([1, 30, 100, 1000])(
    'takes its part of what a server sends that ignores ranges, in chunks of %i',
    async (size) => {
      aws.ignoresRanges = true;
      const bodies: Readable[] = [];
      aws.body = (_, bytes) => {
        const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) =>
          bytes.subarray(index * size, (index + 1) * size),
        );
        bodies.push(Readable.from(chunks));
        return bodies.at(-1)!;
      };
      const body = bytesOf(950);
      const [file] = await downloadObjects(s3, [await uploaded('a', body)], directory, { partBytes: 100 });
      expect(file!.sha256).toBe(sha256(body));
      expect(bodies).toHaveLength(10);
      expect(bodies.every((read) => read.destroyed)).toBe(true);
    },
  );

  test('of an object without a version asks for none', async () => {
    aws.unversioned.add('data');
    aws.put('data', 'a', 'abc');
    const { object } = await headObject(s3, { bucket: 'data', key: 'a' });
    expect(object.versionId).toBeUndefined();
    const [file] = await downloadObjects(s3, [object], directory);
    expect(file!.sha256).toBe(sha256('abc'));
    expect(aws.inputs('s3', GetObjectCommand)).toEqual([
      { Bucket: 'data', Key: 'a', Range: 'bytes=0-2', IfMatch: object.etag },
    ]);
  });

  const broken: [string, (bytes: Buffer) => Readable, RegExp][] = [
    ['ends early', (bytes) => Readable.from([bytes.subarray(0, 40)]), /ended after 40 of 100 bytes/],
    ['is too long', (bytes) => Readable.from([bytes, Buffer.of(0)]), /longer than 100 bytes/],
    [
      'breaks',
      (bytes) =>
        Readable.from(
          (async function* () {
            yield bytes.subarray(0, 10);
            throw new Error('aborted by the other side');
          })(),
        ),
      /aborted by the other side/,
    ],
  ];

  test.each(broken)('reads a part again whose body %s', async (_, body) => {
    let calls = 0;
    aws.body = (input, bytes) =>
      input.Range === 'bytes=100-199' && ++calls < 3 ? body(bytes) : Readable.from([bytes]);
    const all = bytesOf(300);
    const [file] = await downloadObjects(s3, [await uploaded('a', all)], directory, { partBytes: 100 });
    expect(file!.sha256).toBe(sha256(all));
    expect(ranges().filter((range) => range === 'bytes=100-199')).toHaveLength(3);
  });

  test.each(broken)('gives up on a part whose body always %s', async (_, body, message) => {
    aws.body = (_input, bytes) => body(bytes);
    const thrown = await uploaded('a', bytesOf(100))
      .then((object) => downloadObjects(s3, [object], directory, { partBytes: 100 }))
      .catch((error) => error);
    expect(thrown).toBeInstanceOf(GateDependencyError);
    expect(thrown.message).toMatch(message);
    expect(thrown.message).toContain('GetObject s3://data/a (bytes=0-99, attempt 3)');
    expect(ranges()).toHaveLength(3);
  });

  test('stops all parts when one failed', async () => {
    const object = await uploaded('a', bytesOf(10_000));
    aws.s3.on(GetObjectCommand, { Range: 'bytes=100-199' }).rejects(s3Error('SlowDown', 503));
    await expect(downloadObjects(s3, [object], directory, { partBytes: 100 })).rejects.toThrow(
      /GetObject s3:\/\/data\/a failed \(HTTP 503\): SlowDown/,
    );
    expect(ranges().length).toBeLessThanOrEqual(5);
    const signals = aws.s3
      .commandCalls(GetObjectCommand)
      .map((called) => (called.args as unknown as [unknown, { abortSignal: AbortSignal }])[1].abortSignal);
    expect(
      signals.map((signal) => signal.aborted),
      'those under way are given up',
    ).toEqual(signals.map(() => true));
  });

  test('of an object that was replaced or deleted meanwhile is the caller’s business', async () => {
    const object = await uploaded('a', 'abc');
    const replaced = { ...object, etag: '"another"' };
    const thrown = await downloadObjects(s3, [replaced], directory).catch((error) => error);
    expect(thrown).toBeInstanceOf(GateInputError);
    expect(thrown.message).toBe(
      `s3://data/a in its version ${object.versionId} was replaced while it was read`,
    );
    aws.objects.clear();
    rmSync(join(directory, '0000'));
    await expect(downloadObjects(s3, [object], directory)).rejects.toThrow(
      /^there is no s3:\/\/data\/a in its version/,
    );
  });

  test('hands the signal to the SDK, and does not try again after it', async () => {
    const stop = new AbortController();
    aws.body = () => {
      stop.abort();
      return Readable.from([]);
    };
    const object = await uploaded('a', 'abc');
    await expect(downloadObjects(s3, [object], directory, { signal: stop.signal })).rejects.toThrow(
      /attempt 1/,
    );
    expect((aws.s3.commandCalls(GetObjectCommand)[0]!.args as unknown[])[1]).toEqual({
      abortSignal: expect.any(AbortSignal),
    });
  });

  test('to a disk that fails says so', async () => {
    const thrown = await downloadObjects(s3, [await uploaded('a', 'abc')], join(directory, 'none')).catch(
      (error) => error,
    );
    expect(thrown).toBeInstanceOf(GateDependencyError);
    expect(thrown.message).toMatch(/writing the download to .*none failed: ENOENT/);
    expect(existsSync(join(directory, 'none'))).toBe(false);
  });
});

describe('an address that cannot be pinned', () => {
  test.each([
    [400, 'BadRequest', /S3 does not accept s3:\/\/data\/a .*HTTP 400.*may be malformed/],
    [404, 'NotFound', /there is no s3:\/\/data\/a; it was deleted, or never there/],
    [405, 'MethodNotAllowed', /s3:\/\/data\/a is a delete marker/],
    [412, 'PreconditionFailed', /s3:\/\/data\/a was replaced/],
    [403, 'InvalidObjectState', /s3:\/\/data\/a is archived/],
  ])('HTTP %i: a mistake of the caller', async (status, name, message) => {
    aws.s3.on(HeadObjectCommand).rejects(s3Error(name, status));
    const thrown = await pinObject(s3, { bucket: 'data', key: 'a' }).catch((error) => error);
    expect(thrown).toBeInstanceOf(GateInputError);
    expect(thrown.message).toMatch(message);
    expect(thrown.help).toMatch(/pload it again/);
    expect(thrown.cause).toMatchObject({ name });
  });

  test('HTTP 403: names the permission', async () => {
    aws.s3.on(HeadObjectCommand).rejects(s3Error('403', 403));
    const thrown = await pinObject(s3, { bucket: 'data', key: 'a' }).catch((error) => error);
    expect(thrown).toBeInstanceOf(GateDependencyError);
    expect(thrown.help).toContain('s3:ListBucket');
  });

  test('a version of a suspended bucket can be overwritten under the same id', async () => {
    aws.put('data', 'a', 'abc');
    aws.get('data', 'a').versionId = 'null';
    await expect(pinObject(s3, { bucket: 'data', key: 'a' })).rejects.toThrow(/has no version id/);
  });
});

describe('tagObjects', () => {
  const gates = (quality: string, verdict: string) => [
    { Key: 'tocsin:quality', Value: quality },
    { Key: 'tocsin:verdict', Value: verdict },
  ];

  test('keeps eight other tags and replaces its own', async () => {
    const others = Array.from({ length: 8 }, (_, index) => ({ Key: `k${index}`, Value: 'v' }));
    aws.put('data', 'a', 'abc', { tags: [...gates('failed', 'old'), ...others] });
    const object = await pinObject(s3, { bucket: 'data', key: 'a' });
    await tagObjects(s3, [object], 'passed', 'new');
    expect(aws.get('data', 'a').tags).toEqual([...others, ...gates('passed', 'new')]);
  });

  test('writes nothing where the tags are there', async () => {
    aws.put('data', 'a', 'abc', { tags: gates('passed', 'x') });
    await tagObjects(s3, [await pinObject(s3, { bucket: 'data', key: 'a' })], 'passed', 'x');
    expect(aws.s3).not.toHaveReceivedCommand(PutObjectTaggingCommand);
    await tagObjects(s3, [await pinObject(s3, { bucket: 'data', key: 'a' })], 'passed', 'y');
    expect(aws.s3).toHaveReceivedCommandTimes(PutObjectTaggingCommand, 1);
  });

  test('of a version that is gone is the caller’s business, of a refusal the world’s', async () => {
    const object = await uploaded('a', 'abc');
    aws.s3.on(PutObjectTaggingCommand).rejects(s3Error('AccessDenied', 403));
    await expect(tagObjects(s3, [object], 'passed', 'x')).rejects.toThrow(
      /^PutObjectTagging s3:\/\/data\/a failed \(HTTP 403\)/,
    );
    aws.s3.on(GetObjectTaggingCommand).rejects(s3Error('NoSuchVersion', 404));
    await expect(tagObjects(s3, [object], 'passed', 'x')).rejects.toThrow(GateInputError);
  });
});
