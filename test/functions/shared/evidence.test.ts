import { GetObjectCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { GateDependencyError, GateInputError } from '../../../functions/shared/errors.ts';
import {
  baselineKey,
  EvidenceStore,
  parseVerdict,
  prettyJson,
  type Settlement,
  settle,
} from '../../../functions/shared/evidence.ts';
import { verdictFolder } from '../../../functions/shared/identity.ts';
import type { Verdict } from '../../../functions/shared/verdict.ts';
import { FakeAws, s3Error } from '../../support/fake-aws.ts';

let aws: FakeAws;
let store: EvidenceStore;

beforeEach(() => {
  aws = new FakeAws();
  store = new EvidenceStore(new S3Client({}), 'evidence');
});

afterEach(() => aws.restore());

test('keys are where the documentation says', () => {
  expect(baselineKey('flights')).toBe('baselines/flights/current.json');
  expect(verdictFolder('quality-gate', 'flights', 'abc')).toBe('evidence/quality-gate/flights/abc/');
  expect(store.uri('a/b.json')).toBe('s3://evidence/a/b.json');
});

describe('read', () => {
  test('gives text, time and metadata', async () => {
    const modifiedAt = new Date('2026-11-22T08:00:00Z');
    aws.put('evidence', 'a.json', '{"ü":1}', { modifiedAt, metadata: { request: 'r' } });
    expect(await store.read('a.json')).toEqual({
      text: '{"ü":1}',
      modifiedAt: modifiedAt.getTime(),
      metadata: { request: 'r' },
    });
    expect(aws.inputs('s3', GetObjectCommand)).toEqual([{ Bucket: 'evidence', Key: 'a.json' }]);
  });

  test('gives undefined for what is not there, and only for that', async () => {
    expect(await store.read('none.json')).toBeUndefined();
    for (const [name, status] of [
      ['AccessDenied', 403],
      ['NoSuchBucket', 404],
      ['InternalError', 500],
    ] as const) {
      aws.s3.on(GetObjectCommand).rejects(s3Error(name, status));
      const thrown = await store.read('a.json').catch((error) => error);
      expect(thrown).toBeInstanceOf(GateDependencyError);
      expect(thrown.message).toContain(`GetObject s3://evidence/a.json failed (HTTP ${status}): ${name}`);
    }
  });

  test('refuses what is too large for memory before reading it', async () => {
    const body = vi.fn();
    aws.s3.on(GetObjectCommand).callsFake(() => ({
      ContentLength: 32 * 1024 * 1024 + 1,
      get Body() {
        return body();
      },
    }));
    await expect(store.read('a.json')).rejects.toThrow(GateInputError);
    expect(body).not.toHaveBeenCalled();
  });
});

describe('create', () => {
  test('writes what is not there, and never over what is', async () => {
    expect(await store.create('a.json', 'first', { request: 'r' })).toBe(true);
    expect(await store.create('a.json', 'second')).toBe(false);
    expect(aws.get('evidence', 'a.json').body.toString()).toBe('first');
    expect(aws.inputs('s3', PutObjectCommand)).toEqual([
      {
        Bucket: 'evidence',
        Key: 'a.json',
        Body: 'first',
        ContentType: 'application/json',
        IfNoneMatch: '*',
        Metadata: { request: 'r' },
      },
      {
        Bucket: 'evidence',
        Key: 'a.json',
        Body: 'second',
        ContentType: 'application/json',
        IfNoneMatch: '*',
      },
    ]);
  });

  test('sends it again when two conditional writes met, three times at most', async () => {
    const conflict = s3Error('ConditionalRequestConflict', 409);
    aws.s3.on(PutObjectCommand).rejectsOnce(conflict).rejectsOnce(conflict).resolves({});
    expect(await store.create('a.json', 'x')).toBe(true);
    aws.s3.on(PutObjectCommand).rejects(conflict);
    await expect(store.create('a.json', 'x')).rejects.toThrow(
      /PutObject s3:\/\/evidence\/a\.json failed \(HTTP 409\)/,
    );
    expect(aws.inputs('s3', PutObjectCommand)).toHaveLength(6);
  });
});

test('once remembers an effect, and forgets one that failed', async () => {
  const effect = vi.fn<() => Promise<Record<string, unknown>>>();
  effect.mockRejectedValueOnce(new Error('throttled')).mockResolvedValue({ messageId: 'm' });
  await expect(store.once('done.json', effect)).rejects.toThrow('throttled');
  await store.once('done.json', effect);
  await store.once('done.json', effect);
  expect(effect).toHaveBeenCalledTimes(2);
  expect(aws.get('evidence', 'done.json').body.toString()).toBe('{\n  "messageId": "m"\n}\n');
});

const VERDICT: Verdict = {
  verdict: 1,
  id: '0123456789abcdef'.repeat(2),
  gate: 'quality-gate',
  subject: 'flights',
  outcome: 'pass',
  reason: 'all is well',
  findings: [
    {
      check: 'zeros',
      subject: 'column delay',
      outcome: 'warn',
      message: 'hm',
      allowed: 'at most 1%',
      observed: '2%',
      samples: [{ row: 1 }],
    },
  ],
  notChecked: [],
  inputs: { dataset: 'flights' },
  tocsin: '0.1.0',
};

describe('parseVerdict', () => {
  test('gives back what was stored, with what the gate added', () => {
    const stored = { ...VERDICT, extra: { of: 'a gate' } };
    expect(parseVerdict(prettyJson(stored), 'verdict.json')).toEqual(stored);
  });

  test.each([
    ['{', /^verdict\.json is not JSON/],
    [JSON.stringify({ ...VERDICT, outcome: 'maybe' }), /^verdict\.json: outcome: .*got "maybe"/],
    [JSON.stringify({ ...VERDICT, id: 'x' }), /id: expected 32 hexadecimal digits/],
    [JSON.stringify({ ...VERDICT, findings: [{ outcome: 'fail' }] }), /findings\.0\.message: .*missing/],
  ])('refuses %s', (text, message) => {
    expect(() => parseVerdict(text, 'verdict.json')).toThrow(message);
  });
});

describe('settle', () => {
  const FOLDER = 'evidence/quality-gate/flights/x/';
  const MINUTE = 60_000;

  function settlement(requestId = 'me') {
    return {
      folder: FOLDER,
      requestId,
      patienceMs: 0,
      judge: vi.fn<Settlement<Verdict, { n: number }>['judge']>(async () => ({
        verdict: VERDICT,
        files: { 'profile.json': '{}' },
      })),
      publish: vi.fn<Settlement<Verdict, { n: number }>['publish']>(async () => ({ n: 1 })),
      parsePublished: (text: string) => JSON.parse(text) as { n: number },
    };
  }

  function stored(name: string, value: unknown, { by = 'another', ageMs = 0 } = {}) {
    aws.put('evidence', FOLDER + name, JSON.stringify(value), {
      metadata: { request: by },
      modifiedAt: new Date(Date.now() - ageMs),
    });
  }

  test('judges, stores, publishes', async () => {
    const mine = settlement();
    expect(await settle(store, mine)).toEqual({ record: { n: 1 }, fresh: true });
    expect(mine.publish).toHaveBeenCalledExactlyOnceWith(VERDICT);
    expect(aws.changes).toEqual([
      `PutObject ${FOLDER}profile.json`,
      `PutObject ${FOLDER}verdict.json`,
      `PutObject ${FOLDER}published.json`,
    ]);
    expect(aws.get('evidence', `${FOLDER}verdict.json`).body.toString()).toBe(prettyJson(VERDICT));
  });

  test('gives back what is published', async () => {
    stored('verdict.json', VERDICT);
    stored('published.json', { n: 7 });
    const mine = settlement();
    expect(await settle(store, mine)).toEqual({ record: { n: 7 }, fresh: false });
    expect(mine.judge).not.toHaveBeenCalled();
    expect(mine.publish).not.toHaveBeenCalled();
  });

  test.each([
    ['its own', { by: 'me' }, true],
    ['another’s of a moment ago', { ageMs: 14 * MINUTE }, false],
    ['another’s that must be dead', { ageMs: 16 * MINUTE }, true],
  ])('takes up an unpublished verdict that is %s, as it is', async (_, options, takes) => {
    const older = { ...VERDICT, reason: 'as it was stored' };
    stored('verdict.json', older, options);
    const mine = settlement();
    const settled = settle(store, mine);
    if (takes) {
      expect(await settled).toEqual({ record: { n: 1 }, fresh: true });
      expect(mine.publish).toHaveBeenCalledExactlyOnceWith(older);
    } else {
      await expect(settled).rejects.toThrow(GateDependencyError);
      expect(mine.publish).not.toHaveBeenCalled();
    }
    expect(mine.judge).not.toHaveBeenCalled();
  });

  test('publishes when the answer to its own write was lost', async () => {
    aws.s3.on(PutObjectCommand, { Key: `${FOLDER}verdict.json` }).callsFake(() => {
      // The first attempt of the SDK wrote it; the second finds it there.
      stored('verdict.json', VERDICT, { by: 'me' });
      throw s3Error('PreconditionFailed', 412);
    });
    expect(await settle(store, settlement())).toEqual({ record: { n: 1 }, fresh: true });
  });

  test('leaves it to another that was quicker, and waits for that one', async () => {
    const mine = { ...settlement(), patienceMs: 2000 };
    mine.judge.mockImplementation(async () => {
      stored('verdict.json', VERDICT);
      setTimeout(() => stored('published.json', { n: 2 }), 100);
      return { verdict: VERDICT, files: {} };
    });
    expect(await settle(store, mine)).toEqual({ record: { n: 2 }, fresh: false });
    expect(mine.publish).not.toHaveBeenCalled();
  });

  test('does not say that it is published when publishing failed', async () => {
    const mine = settlement();
    mine.publish.mockRejectedValue(new GateDependencyError('SNS is down'));
    await expect(settle(store, mine)).rejects.toThrow('SNS is down');
    expect(aws.keys('evidence', FOLDER)).toEqual([`${FOLDER}profile.json`, `${FOLDER}verdict.json`]);
  });
});
