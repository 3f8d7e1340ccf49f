import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PutObjectCommand } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { type PromoteOptions, promoteBaseline } from '../../bin/commands/baseline.ts';
import { EXIT } from '../../bin/shared/cli.ts';
import { baselineKey } from '../../functions/shared/evidence.ts';
import type { Profile } from '../../functions/shared/profile.ts';
import { FakeAws, s3Error } from '../support/fake-aws.ts';
import { capture } from './support.ts';

const ID = '0123456789abcdef'.repeat(2);

function profileText(rows: number, columns: string[] = ['x'], dataset = 'sales'): string {
  const column = {
    type: 'boolean',
    physical: 'BOOLEAN',
    count: rows,
    nulls: 0,
    invalid: 0,
    distinct: { value: 2, exact: true },
  } as const;
  const profile: Profile = {
    profile: 1,
    dataset,
    tocsin: '0.1.0',
    rows,
    sha256: String(rows % 10).repeat(64),
    columns: Object.fromEntries(columns.map((name) => [name, column])),
  };
  return JSON.stringify(profile);
}

let directory = '';
const path = (name: string) => join(directory, name);

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tocsin-baseline-'));
  await writeFile(path('new.json'), profileText(1200, ['x', 'y']));
  await writeFile(path('other.json'), profileText(5, ['x'], 'other'));
  await writeFile(path('broken.json'), '{"profile": 1, "dataset": "sales"}');
});
afterAll(() => rm(directory, { recursive: true, force: true }));

async function promote(options: PromoteOptions): Promise<string> {
  const io = capture();
  expect(await promoteBaseline(options, io)).toBe(EXIT.pass);
  return io.out();
}

describe('in a file', () => {
  test('replaces the baseline and says what changes', async () => {
    const to = path('current.json');
    expect(await promote({ profile: path('new.json'), to })).toContain('1,200 rows; there was none before');
    await writeFile(to, profileText(1000, ['x', 'gone']));
    const out = await promote({ profile: path('new.json'), to });
    expect(out).toContain('1,000 rows -> 1,200;');
    expect(out).toContain('columns gone: gone');
    expect(out).toContain('columns added: y');
    expect(await readFile(to, 'utf8')).toBe(profileText(1200, ['x', 'y']));
  });

  test.each([
    ['a damaged profile', 'broken.json', /profile .*broken\.json: /],
    ['no profile', 'none.json', /no such file/],
    ['the profile of another dataset', 'other.json', /is a profile of dataset "sales", expected "other"/],
  ])('refuses %s', async (_, profile, message) => {
    const to = path('kept.json');
    await writeFile(to, profileText(7));
    await expect(promote({ profile: path(profile), to })).rejects.toThrow(message);
    expect(await readFile(to, 'utf8')).toBe(profileText(7));
  });
});

describe('in a deployment', () => {
  let aws: FakeAws;
  const BUCKET = 'evidence';
  const KEY = baselineKey('sales');
  const deployed = { dataset: 'sales', evidenceBucket: BUCKET };
  const current = () => aws.get(BUCKET, KEY).body.toString('utf8');

  beforeEach(() => {
    vi.stubEnv('AWS_REGION', 'eu-west-1');
    vi.stubEnv('AWS_ACCESS_KEY_ID', 'test');
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'test');
    vi.stubEnv('TOCSIN_EVIDENCE_BUCKET', undefined);
    aws = new FakeAws();
    // As S3 does, which the fake leaves out: a conditional write fails where the object is another one by now.
    const put = aws.s3.on(PutObjectCommand);
    put.callsFake((input) => {
      const now = aws.keys(input.Bucket, input.Key).includes(input.Key)
        ? aws.get(input.Bucket, input.Key).etag
        : undefined;
      if (input.IfNoneMatch === '*' ? now !== undefined : input.IfMatch !== now)
        throw s3Error('PreconditionFailed', 412);
      aws.put(input.Bucket, input.Key, input.Body, { metadata: input.Metadata });
      return {};
    });
    return () => {
      aws.restore();
      vi.unstubAllEnvs();
    };
  });

  function verdict(outcome: string): void {
    const folder = `evidence/quality-gate/sales/${ID}/`;
    aws.put(BUCKET, `${folder}verdict.json`, JSON.stringify({ outcome, reason: '38% zeros' }));
    aws.put(BUCKET, `${folder}profile.json`, profileText(500));
  }

  test('takes the profile of an accepted verdict', async () => {
    verdict('pass');
    expect(await promote({ ...deployed, verdict: ID })).toContain('500 rows; there was none before');
    expect(current()).toBe(profileText(500));
    expect(aws.get(BUCKET, KEY).metadata).toEqual({ verdict: ID });
  });

  test('takes a local profile, and finds the bucket in the environment', async () => {
    vi.stubEnv('TOCSIN_EVIDENCE_BUCKET', BUCKET);
    aws.put(BUCKET, KEY, profileText(1000));
    expect(await promote({ dataset: 'sales', profile: path('new.json') })).toContain('1,000 rows -> 1,200;');
    expect(current()).toBe(profileText(1200, ['x', 'y']));
  });

  test('replaces a damaged baseline', async () => {
    aws.put(BUCKET, KEY, '{');
    await promote({ ...deployed, profile: path('new.json') });
    expect(current()).toBe(profileText(1200, ['x', 'y']));
  });

  test.each(['fail', 'inconclusive'])(
    'refuses a verdict of %s, unless somebody says why',
    async (outcome) => {
      verdict(outcome);
      await expect(promote({ ...deployed, verdict: ID })).rejects.toThrow(
        `verdict ${ID} is ${outcome}: 38% zeros`,
      );
      expect(aws.keys(BUCKET, KEY)).toEqual([]);
      await promote({ ...deployed, verdict: ID, force: 'Überfluss an Nullen ist richtig' });
      expect(current()).toBe(profileText(500));
      expect(decodeURIComponent(aws.get(BUCKET, KEY).metadata.reason ?? '')).toBe(
        'Überfluss an Nullen ist richtig',
      );
    },
  );

  test('does not replace what somebody else promoted in the meantime', async () => {
    verdict('pass');
    aws.put(BUCKET, KEY, profileText(1));
    const { body } = aws;
    aws.body = (input, bytes) => {
      if (input.Key === KEY) aws.put(BUCKET, KEY, profileText(2));
      return body(input, bytes);
    };
    await expect(promote({ ...deployed, verdict: ID })).rejects.toThrow(/was replaced by somebody else/);
    expect(current()).toBe(profileText(2));
  });

  test.each<[string, PromoteOptions, RegExp]>([
    ['no such verdict', { ...deployed, verdict: ID }, /there is no verdict 0123/],
    ['nothing to promote', deployed, /expected --profile with --to, or --dataset/],
    ['two things to promote', { ...deployed, verdict: ID, profile: 'a' }, /either --verdict or --profile/],
    ['a verdict for a file', { to: 'a', verdict: ID }, /--to takes a --profile/],
    ['no bucket', { dataset: 'sales', verdict: ID }, /the evidence bucket is not known/],
  ])('%s is a mistake', async (_, options, message) => {
    await expect(promote(options)).rejects.toThrow(message);
  });
});
