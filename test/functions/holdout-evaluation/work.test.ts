import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  GetObjectTaggingCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { pinHoldout, readQuality } from '../../../functions/holdout-evaluation/adapters/pin.ts';
import { GateDependencyError, GateInputError } from '../../../functions/shared/errors.ts';
import { WorkBucket } from '../../../functions/shared/work.ts';
import { FakeAws, s3Error } from '../../support/fake-aws.ts';

let aws: FakeAws;
let s3: S3Client;
let work: WorkBucket;
let directory: string;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date'], now: 1_000_000 });
  aws = new FakeAws();
  aws.unversioned.add('work');
  s3 = new S3Client({});
  work = new WorkBucket(s3, 'work', 100);
  directory = mkdtempSync(join(tmpdir(), 'tocsin-work-test-'));
});

afterEach(() => {
  rmSync(directory, { recursive: true });
  aws.restore();
  vi.useRealTimers();
});

const bodyOf = (key: string) => aws.get('work', key).body.toString('utf8');

function fileOf(body: string): string {
  const path = join(directory, 'file');
  writeFileSync(path, body);
  return path;
}

describe('put', () => {
  test('uploads a text', async () => {
    await work.put('a/b', { text: 'hello' });
    expect(aws.inputs('s3', PutObjectCommand)).toEqual([{ Bucket: 'work', Key: 'a/b', Body: 'hello' }]);
    expect(work.uri('a/b')).toBe('s3://work/a/b');
  });

  test.each([0, 1, 100])('uploads a file of %i bytes at once', async (length) => {
    await work.put('a', { path: fileOf('x'.repeat(length)) });
    expect(aws.inputs('s3', PutObjectCommand)).toEqual([
      { Bucket: 'work', Key: 'a', Body: Buffer.from('x'.repeat(length)) },
    ]);
  });

  test('uploads a larger file in parts', async () => {
    const parts: Buffer[] = [];
    aws.s3.on(CreateMultipartUploadCommand).resolves({ UploadId: 'u' });
    aws.s3.on(UploadPartCommand).callsFake(({ PartNumber, Body }) => {
      parts[PartNumber - 1] = Body;
      return { ETag: `"${PartNumber}"` };
    });
    aws.s3.on(CompleteMultipartUploadCommand).resolves({});
    const body = Array.from({ length: 350 }, (_, index) => index % 10).join('');
    await work.put('a', { path: fileOf(body) });
    expect(Buffer.concat(parts).toString()).toBe(body);
    expect(parts.map(({ length }) => length)).toEqual([100, 100, 100, 50]);
    const at = { Bucket: 'work', Key: 'a' };
    expect(aws.inputs('s3', CreateMultipartUploadCommand)).toEqual([at]);
    expect(aws.inputs('s3', UploadPartCommand)).toContainEqual({
      ...at,
      UploadId: 'u',
      PartNumber: 4,
      Body: Buffer.from(body.slice(300)),
    });
    expect(aws.inputs('s3', CompleteMultipartUploadCommand)).toEqual([
      {
        ...at,
        UploadId: 'u',
        MultipartUpload: {
          Parts: [1, 2, 3, 4].map((PartNumber) => ({ ETag: `"${PartNumber}"`, PartNumber })),
        },
      },
    ]);
  });

  test('leaves no parts behind where one fails', async () => {
    aws.s3.on(CreateMultipartUploadCommand).resolves({ UploadId: 'u' });
    aws.s3.on(UploadPartCommand).rejects(s3Error('SlowDown', 503));
    aws.s3.on(AbortMultipartUploadCommand).rejects(s3Error('SlowDown', 503));
    const thrown = await work.put('a', { path: fileOf('x'.repeat(101)) }).catch((error) => error);
    expect(thrown).toBeInstanceOf(GateDependencyError);
    expect(thrown.message).toMatch(/^UploadPart s3:\/\/work\/a failed \(HTTP 503\)/);
    expect(aws.inputs('s3', AbortMultipartUploadCommand)).toEqual([
      { Bucket: 'work', Key: 'a', UploadId: 'u' },
    ]);
  });

  test('is the world’s where S3 refuses', async () => {
    aws.s3.on(PutObjectCommand).rejects(s3Error('AccessDenied', 403));
    await expect(work.put('a', { text: '' })).rejects.toThrow(
      /^PutObject s3:\/\/work\/a failed \(HTTP 403\)/,
    );
  });
});

describe('get and head', () => {
  test('download an object to its path, and leave nothing else', async () => {
    aws.put('work', 'jobs/x/input.csv.out', 'hello');
    expect(await work.get('jobs/x/input.csv.out', join(directory, 'out'))).toBe(true);
    expect(readFileSync(join(directory, 'out'), 'utf8')).toBe('hello');
    expect(readdirSync(directory)).toEqual(['out']);
    expect((await work.head('jobs/x/input.csv.out'))?.bytes).toBe(5);
  });

  test('say that there is none', async () => {
    expect(await work.head('a')).toBeUndefined();
    expect(await work.get('a', join(directory, 'out'))).toBe(false);
    expect(readdirSync(directory)).toEqual([]);
  });

  test('are the world’s where S3 refuses', async () => {
    aws.put('work', 'a', 'hello');
    aws.s3.on(GetObjectCommand).rejects(s3Error('AccessDenied', 403));
    await expect(work.get('a', join(directory, 'out'))).rejects.toThrow(GateDependencyError);
    expect(readdirSync(directory)).toEqual([]);
    aws.s3.on(HeadObjectCommand).rejects(s3Error('AccessDenied', 403));
    await expect(work.head('a')).rejects.toThrow(GateDependencyError);
  });
});

describe('delete', () => {
  test('removes everything below a prefix, page by page, and nothing else', async () => {
    const keys = Array.from({ length: 25 }, (_, index) => `jobs/x/${index}`);
    for (const key of [...keys, 'jobs/y/1']) aws.put('work', key, 'x');
    aws.s3
      .on(ListObjectsV2Command, { Bucket: 'work', Prefix: 'jobs/x/' })
      .resolves({
        Contents: keys.slice(0, 20).map((Key) => ({ Key })),
        IsTruncated: true,
        NextContinuationToken: 't',
      })
      .on(ListObjectsV2Command, { Bucket: 'work', Prefix: 'jobs/x/', ContinuationToken: 't' })
      .resolves({ Contents: keys.slice(20).map((Key) => ({ Key })), IsTruncated: false });
    await work.delete('jobs/x/');
    expect(aws.keys('work', '')).toEqual(['jobs/y/1']);
    expect(aws.inputs('s3', DeleteObjectCommand)).toHaveLength(25);
    expect(aws.inputs('s3', DeleteObjectCommand)).toContainEqual({ Bucket: 'work', Key: 'jobs/x/7' });
  });

  test('is fine with nothing, and the world’s where S3 refuses', async () => {
    await work.delete('jobs/x/');
    aws.put('work', 'jobs/x/1', 'x');
    aws.s3.on(DeleteObjectCommand).rejects(s3Error('AccessDenied', 403));
    await expect(work.delete('jobs/x/')).rejects.toThrow(GateDependencyError);
    aws.s3.on(ListObjectsV2Command).rejects(s3Error('AccessDenied', 403));
    await expect(work.delete('jobs/x/')).rejects.toThrow(GateDependencyError);
  });
});

describe('claim', () => {
  test('belongs to the first', async () => {
    expect(await work.claim('claims/a', 'one', 1000)).toBe('one');
    expect(await work.claim('claims/a', 'two', 1000)).toBe('one');
    expect(aws.inputs('s3', PutObjectCommand)[0]).toEqual({
      Bucket: 'work',
      Key: 'claims/a',
      Body: '{"owner":"one","until":1001000}',
      ContentType: 'application/json',
      IfNoneMatch: '*',
    });
  });

  test('claimed again by its owner holds anew', async () => {
    await work.claim('a', 'one', 1000);
    vi.setSystemTime(1_000_900);
    expect(await work.claim('a', 'one', 1000)).toBe('one');
    vi.setSystemTime(1_001_500);
    expect(await work.claim('a', 'two', 1000)).toBe('one');
  });

  test('of a dead owner can be taken, by one', async () => {
    await work.claim('a', 'dead', 1000);
    vi.setSystemTime(1_001_000);
    expect(await work.claim('a', 'two', 1000)).toBe('two');
    expect(await work.claim('a', 'three', 1000)).toBe('two');
    expect(aws.inputs('s3', PutObjectCommand)).toContainEqual(
      expect.objectContaining({
        IfMatch: expect.stringMatching(/^"etag/),
        Body: '{"owner":"two","until":1002000}',
      }),
    );
  });

  test('of a silent owner can be taken earlier by whoever says so', async () => {
    await work.claim('a', 'silent', 1000);
    expect(await work.claimedUntil('a')).toBe(1_001_000);
    vi.setSystemTime(1_000_299);
    expect(await work.claim('a', 'two', 1000, 300)).toBe('silent');
    vi.setSystemTime(1_000_300);
    expect(await work.claim('a', 'two', 1000)).toBe('silent');
    expect(await work.claim('a', 'two', 1000, 300)).toBe('two');
    expect(await work.claimedUntil('a')).toBe(1_001_300);
    expect(await work.claimedUntil('b')).toBeUndefined();
  });

  test.each([409, 412])('that another one took at the same moment (HTTP %i) is theirs', async (status) => {
    aws.put('work', 'a', '{"owner":"dead","until":0}');
    const taken = aws.s3.on(PutObjectCommand);
    taken.callsFake((input) => {
      if (input.IfMatch !== undefined) aws.put('work', 'a', '{"owner":"two","until":9000000}');
      throw s3Error('PreconditionFailed', status);
    });
    expect(await work.claim('a', 'three', 1000)).toBe('two');
  });

  test('that was released in between is for whoever tries again', async () => {
    aws.s3.on(PutObjectCommand).rejects(s3Error('PreconditionFailed', 412));
    await expect(work.claim('a', 'one', 1000)).rejects.toThrow(/changed hands/);
  });

  test('is the world’s where S3 refuses', async () => {
    aws.s3.on(PutObjectCommand).rejects(s3Error('AccessDenied', 403));
    await expect(work.claim('a', 'one', 1000)).rejects.toThrow(GateDependencyError);
  });

  test('is released by its owner alone', async () => {
    await work.claim('a', 'one', 1000);
    await work.release('a', 'two');
    expect(bodyOf('a')).toContain('one');
    await work.release('a', 'one');
    expect(aws.keys('work', '')).toEqual([]);
    await work.release('a', 'one');
  });
});

describe('report', () => {
  test('writes where a run is, and nothing where nobody follows it', async () => {
    await work.report(undefined, { startedAt: 5, phase: 'begins' });
    expect(aws.inputs('s3', PutObjectCommand)).toEqual([]);
    await work.report('run-1', { startedAt: 5, phase: 'done', result: { outcome: 'pass' } });
    expect(JSON.parse(bodyOf('runs/run-1.json'))).toEqual({
      run: 'run-1',
      startedAt: 5,
      updatedAt: 1_000_000,
      phase: 'done',
      result: { outcome: 'pass' },
    });
  });
});

describe('pinHoldout', () => {
  const address = { bucket: 'data', key: 'holdout/may.parquet' };
  const tagged = (quality: string, verdict = 'e'.repeat(32)) => ({
    tags: [
      { Key: 'tocsin:quality', Value: quality },
      { Key: 'tocsin:verdict', Value: verdict },
    ],
  });

  test('gives the version that passed', async () => {
    aws.put('data', address.key, 'old', tagged('passed'));
    const versionId = aws.put('data', address.key, 'new one', tagged('passed'));
    expect(await pinHoldout(s3, address)).toEqual({
      object: expect.objectContaining({ bucket: 'data', key: address.key, versionId, bytes: 7 }),
      version: versionId,
      verdict: 'e'.repeat(32),
    });
  });

  test('asks for the tags before anything that the lock would refuse', async () => {
    aws.put('data', address.key, 'new');
    aws.s3.on(HeadObjectCommand).rejects(s3Error('Forbidden', 403));
    await expect(pinHoldout(s3, address)).rejects.toThrow(
      /has not passed its quality gate: nobody has judged it yet/,
    );
  });

  test.each(['failed', 'inconclusive'])('refuses one that is %s', async (quality) => {
    aws.put('data', address.key, 'x', tagged(quality, 'f'.repeat(32)));
    const thrown = await pinHoldout(s3, address).catch((error) => error);
    expect(thrown).toBeInstanceOf(GateInputError);
    expect(thrown.message).toBe(
      `the holdout s3://data/holdout/may.parquet has not passed its quality gate: its verdict is "${quality}" (${'f'.repeat(32)})`,
    );
    expect(thrown.help).toMatch(/^Correct the holdout/);
  });

  test('pins the version whose tags S3 has named', async () => {
    aws.put('data', address.key, 'new', tagged('passed'));
    const versionId = aws.put('data', address.key, 'newer');
    aws.s3.on(GetObjectTaggingCommand).resolves({ TagSet: tagged('passed').tags, VersionId: 'v1' });
    expect((await pinHoldout(s3, address)).version).toBe('v1');
    expect(versionId).toBe('v2');
    expect(aws.inputs('s3', HeadObjectCommand)).toEqual([
      { Bucket: 'data', Key: address.key, VersionId: 'v1' },
    ]);
  });

  test('looks again where another version could have come in between', async () => {
    aws.put('data', address.key, 'new', tagged('passed'));
    const asked = aws.s3.on(GetObjectTaggingCommand);
    asked.callsFake((input) => {
      if (input.VersionId !== undefined) return { TagSet: [] };
      aws.put('data', address.key, 'newer');
      return { TagSet: tagged('passed').tags };
    });
    await expect(pinHoldout(s3, address)).rejects.toThrow(/nobody has judged it yet/);
  });

  test('of a bucket without versions goes by the ETag', async () => {
    aws.unversioned.add('data');
    aws.put('data', address.key, 'x', { tags: [{ Key: 'tocsin:quality', Value: 'passed' }] });
    const pinned = await pinHoldout(s3, address);
    expect(pinned).toMatchObject({ version: pinned.object.etag, verdict: undefined });
  });

  test('of what is not there is the caller’s business, and of what S3 refuses the world’s', async () => {
    const thrown = await pinHoldout(s3, address).catch((error) => error);
    expect(thrown).toBeInstanceOf(GateInputError);
    aws.s3.on(GetObjectTaggingCommand).rejects(s3Error('AccessDenied', 403));
    await expect(pinHoldout(s3, address)).rejects.toThrow(GateDependencyError);
  });

  test('readQuality says what the gate says of any object', async () => {
    aws.put('data', 'a', 'x', tagged('failed'));
    aws.put('data', 'b', 'x');
    expect(await readQuality(s3, { bucket: 'data', key: 'a' })).toEqual({
      quality: 'failed',
      verdict: 'e'.repeat(32),
    });
    expect(await readQuality(s3, { bucket: 'data', key: 'b' })).toEqual({
      quality: undefined,
      verdict: undefined,
    });
  });
});
