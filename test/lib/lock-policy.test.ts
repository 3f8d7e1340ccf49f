import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Lock, lockPolicyBytes, lockStatements, missingLocks } from '../../lib/shared/lock-policy.ts';
import { isAllowed, type PolicyDocument } from '../support/access.ts';

const GATE = 'arn:aws:iam::111122223333:role/tocsin/gate';
const BREAK_GLASS = 'arn:aws:iam::111122223333:role/oncall';
const TRAINING = 'arn:aws:iam::111122223333:role/training';
const LOCK: Lock = {
  bucketArn: 'arn:aws:s3:::data',
  prefixes: [
    { prefix: 'flights/', allowInconclusive: false },
    { prefix: 'raw/weather/', allowInconclusive: true },
  ],
  gateRoleArn: GATE,
  breakGlass: [BREAK_GLASS],
};

function policyOf(lock: Lock): PolicyDocument {
  return { Version: '2012-10-17', Statement: lockStatements(lock) };
}

const READS = ['s3:GetObject', 's3:GetObjectVersion'];
const TAGGINGS = [
  's3:PutObjectTagging',
  's3:PutObjectVersionTagging',
  's3:DeleteObjectTagging',
  's3:DeleteObjectVersionTagging',
];

describe('the lock, evaluated', () => {
  const quality = (value: string) => ({ 'tocsin:quality': value });

  test.each<
    [who: string, principal: string, object: string, tags: Record<string, string>, readable: boolean]
  >([
    ['training, nobody judged it', TRAINING, 'data/flights/feb.parquet', {}, false],
    ['training, other tags only', TRAINING, 'data/flights/feb.parquet', { team: 'passed' }, false],
    ['training, failed', TRAINING, 'data/flights/feb.parquet', quality('failed'), false],
    ['training, inconclusive', TRAINING, 'data/flights/feb.parquet', quality('inconclusive'), false],
    ['training, almost passed', TRAINING, 'data/flights/feb.parquet', quality('Passed'), false],
    ['training, passed', TRAINING, 'data/flights/feb.parquet', quality('passed'), true],
    ['training, where inconclusive will do', TRAINING, 'data/raw/weather/a', quality('inconclusive'), true],
    ['training, even there not failed', TRAINING, 'data/raw/weather/a', quality('failed'), false],
    ['training, even there not unjudged', TRAINING, 'data/raw/weather/a', {}, false],
    ['training, passed there', TRAINING, 'data/raw/weather/a', quality('passed'), true],
    ['training, another prefix', TRAINING, 'data/raw/other/a', {}, true],
    ['training, a prefix that only begins alike', TRAINING, 'data/flights2/a', {}, true],
    ['the gate, nobody judged it', GATE, 'data/flights/feb.parquet', {}, true],
    ['the gate, failed', GATE, 'data/raw/weather/a', quality('failed'), true],
    ['break-glass, failed', BREAK_GLASS, 'data/flights/feb.parquet', quality('failed'), true],
    ['a role that only begins as break-glass', `${BREAK_GLASS}2`, 'data/flights/feb.parquet', {}, false],
  ])('reading: %s', async (_, principal, object, tags, readable) => {
    for (const action of READS) {
      expect(await isAllowed(policyOf(LOCK), { principal, action, object, tags })).toBe(readable);
    }
  });

  test('nobody without a name reads, whatever else the policy allows', async () => {
    const Statement = [
      ...policyOf(LOCK).Statement,
      { Effect: 'Allow', Principal: '*', Action: 's3:GetObject', Resource: 'arn:aws:s3:::data/*' },
    ];
    const request = { principal: 'anonymous', action: 's3:GetObject' };
    expect(await isAllowed({ Statement }, { ...request, object: 'data/flights/a' })).toBe(false);
    expect(await isAllowed({ Statement }, { ...request, object: 'data/open/a' })).toBe(true);
  });

  test.each<[who: string, principal: string, object: string, allowed: boolean]>([
    ['the uploader', TRAINING, 'data/flights/feb.parquet', false],
    ['the uploader, where inconclusive will do', TRAINING, 'data/raw/weather/a', false],
    ['break-glass', BREAK_GLASS, 'data/flights/feb.parquet', false],
    ['the uploader, another prefix', TRAINING, 'data/other/a', true],
    ['the gate', GATE, 'data/flights/feb.parquet', true],
  ])('tagging: %s', async (_, principal, object, allowed) => {
    for (const action of TAGGINGS) {
      // Also on an object that has passed: its tag cannot be carried on to another state.
      for (const tags of [{}, quality('passed')]) {
        expect(await isAllowed(policyOf(LOCK), { principal, action, object, tags })).toBe(allowed);
      }
    }
  });

  test('replication brings no tags along', async () => {
    const request = { principal: TRAINING, action: 's3:ReplicateTags' };
    expect(await isAllowed(policyOf(LOCK), { ...request, object: 'data/flights/a' })).toBe(false);
    expect(await isAllowed(policyOf(LOCK), { ...request, object: 'data/other/a' })).toBe(true);
  });

  test('uploading stays allowed', async () => {
    const upload = { principal: TRAINING, action: 's3:PutObject', object: 'data/flights/feb.parquet' };
    expect(await isAllowed(policyOf(LOCK), upload)).toBe(true);
  });
});

describe('lockPolicyBytes', () => {
  test('is never less than the policy takes', () => {
    const prefix = fc.record({
      prefix: fc.stringMatching(/^[a-z]{1,40}\/$/),
      allowInconclusive: fc.boolean(),
    });
    const role = fc.stringMatching(/^arn:aws:iam::[0-9]{12}:role\/[a-z]{1,64}$/);
    fc.assert(
      fc.property(
        fc.array(prefix, { minLength: 1, maxLength: 20 }),
        fc.array(role, { maxLength: 5 }),
        fc.stringMatching(/^[a-z]{3,63}$/),
        role,
        (prefixes, breakGlass, bucket, gateRoleArn) => {
          const lock = { bucketArn: `arn:aws:s3:::${bucket}`, prefixes, gateRoleArn, breakGlass };
          expect(lockPolicyBytes(prefixes, breakGlass)).toBeGreaterThanOrEqual(
            JSON.stringify(lockStatements(lock)).length,
          );
        },
      ),
    );
  });
});

describe('missingLocks', () => {
  const only = (...kept: number[]) => kept.map((index) => lockStatements(LOCK)[index]);
  const problems = (...statements: unknown[]) =>
    missingLocks(JSON.stringify({ Version: '2012-10-17', Statement: statements }), LOCK);
  /** The statements with one part of all of them changed. */
  const changed = (change: (text: string) => string): unknown[] =>
    JSON.parse(change(JSON.stringify(lockStatements(LOCK))));

  test('says nothing where the lock is as it was written', () => {
    expect(problems(...lockStatements(LOCK))).toEqual([]);
  });

  test('reads a policy with a single statement that is not in a list', () => {
    const strict = { ...LOCK, prefixes: LOCK.prefixes.slice(0, 1) };
    const [read, tag] = lockStatements(strict);
    expect(missingLocks(JSON.stringify({ Statement: read }), strict)).toMatchObject([
      { prefix: 'flights/', kind: 'open', message: expect.stringContaining('tagging') },
    ]);
    expect(missingLocks(JSON.stringify({ Statement: [read, tag] }), strict)).toEqual([]);
  });

  test.each<[string, (text: string) => string]>([
    [
      'other operators that mean the same',
      (text) =>
        text
          .replaceAll('ArnNotLike', 'StringNotEquals')
          .replaceAll('"StringNotEquals":{"s3', '"StringNotLikeIfExists":{"s3'),
    ],
    ['key names in another case', (text) => text.replaceAll('aws:PrincipalArn', 'AWS:principalarn')],
    ['a principal written out', (text) => text.replaceAll('"Principal":"*"', '"Principal":{"AWS":"*"}')],
    ['wildcards in actions', (text) => text.replaceAll('"s3:GetObject"', '"s3:Get*"')],
    ['a shorter prefix', (text) => text.replaceAll('data/flights/*', 'data/f*')],
    ['single values that are not in lists', (text) => text.replaceAll(`["${GATE}"]`, `"${GATE}"`)],
  ])('accepts %s', (_, change) => {
    const statements = changed(change);
    expect(JSON.stringify(statements)).not.toBe(JSON.stringify(lockStatements(LOCK)));
    expect(problems(...statements)).toEqual([]);
  });

  test('names every prefix and both locks where the bucket has no policy', () => {
    const found = missingLocks(undefined, LOCK);
    expect(found.map(({ prefix, kind }) => [prefix, kind])).toEqual([
      ['flights/', 'open'],
      ['flights/', 'open'],
      ['raw/weather/', 'open'],
      ['raw/weather/', 'open'],
    ]);
    expect(found[0]?.message).toBe(
      'reading under flights/ is not locked (s3:GetObject, s3:GetObjectVersion, s3:GetObjectTorrent, ' +
        's3:GetObjectVersionTorrent): no statement denies it',
    );
  });

  test.each<[string, unknown[], string]>([
    ['the statement on reading is gone', only(1, 2), 'reading under flights/ is not locked (s3:GetObject, '],
    ['the one of the other prefix is gone', only(0, 2), 'reading under raw/weather/ is not locked'],
    ['the statement on tags is gone', only(0, 1), 'tagging under flights/ is not locked'],
    [
      'one action is gone',
      changed((text) => text.replaceAll('"s3:GetObjectVersion",', '')),
      'reading under flights/ is not locked (s3:GetObjectVersion): no statement denies it',
    ],
    ['it allows instead', changed((text) => text.replaceAll('"Deny"', '"Allow"')), 'no statement denies it'],
    [
      'another value opens it, too',
      changed((text) => text.replaceAll('["passed"]', '["passed","failed"]')),
      'statement TocsinLockUnlessPassed exempts whoever finds tocsin:quality=failed, too',
    ],
    [
      'another role is exempt',
      changed((text) => text.replaceAll(`"${BREAK_GLASS}"`, `"${BREAK_GLASS}","${TRAINING}"`)),
      `statement TocsinLockUnlessPassed exempts ${TRAINING}, too`,
    ],
    [
      'every role is exempt',
      changed((text) => text.replaceAll(BREAK_GLASS, 'arn:aws:iam::111122223333:role/*')),
      'exempts arn:aws:iam::111122223333:role/*, too',
    ],
    [
      'it binds one principal only',
      changed((text) => text.replaceAll('"Principal":"*"', `"Principal":{"AWS":"${TRAINING}"}`)),
      'statement TocsinLockUnlessPassed applies to some principals only',
    ],
    [
      'an untagged object slips through',
      changed((text) => text.replaceAll('StringNotEquals', 'ForAnyValue:StringNotEquals')),
      'holds only under ForAnyValue:StringNotEquals s3:ExistingObjectTag/tocsin:quality',
    ],
    [
      'it reads another tag',
      changed((text) => text.replaceAll('tocsin:quality', 'Tocsin:Quality')),
      'holds only under StringNotEquals s3:ExistingObjectTag/Tocsin:Quality',
    ],
    [
      'a further condition narrows it',
      changed((text) =>
        text.replaceAll('"Condition":{', '"Condition":{"StringEquals":{"aws:SourceVpc":"vpc-1"},'),
      ),
      'holds only under StringEquals aws:SourceVpc',
    ],
    [
      'it covers a part of the prefix',
      changed((text) => text.replaceAll('data/flights/*', 'data/flights/2001*')),
      'reading under flights/ is not locked',
    ],
    [
      'it covers one kind of file',
      changed((text) => text.replaceAll('data/flights/*', 'data/flights/*.parquet')),
      'reading under flights/ is not locked',
    ],
    [
      'it covers another bucket',
      changed((text) => text.replaceAll(':::data/', ':::date/')),
      'no statement denies it',
    ],
  ])('finds it open where %s', (_, statements, message) => {
    const found = problems(...statements);
    expect(found.every(({ kind }) => kind === 'open')).toBe(true);
    expect(found.map((problem) => problem.message).join('\n')).toContain(message);
  });

  test.each<[string, (text: string) => string, string]>([
    [
      'the gate itself',
      (text) => text.replaceAll(`"${GATE}",`, ''),
      `reading under flights/: statement TocsinLockUnlessPassed also keeps out ${GATE}`,
    ],
    [
      'break-glass',
      (text) => text.replaceAll(`,"${BREAK_GLASS}"`, ''),
      `statement TocsinLockUnlessPassed also keeps out ${BREAK_GLASS}`,
    ],
    [
      'readers of what passed',
      (text) => text.replaceAll('"StringNotEquals":{"s3:ExistingObjectTag/tocsin:quality":["passed"]},', ''),
      'statement TocsinLockUnlessPassed also keeps out whoever finds tocsin:quality=passed',
    ],
  ])('finds it too strict where it keeps out %s', (_, change, message) => {
    const found = problems(...changed(change));
    expect(found.every(({ kind }) => kind === 'too-strict')).toBe(true);
    expect(found.map((problem) => problem.message).join('\n')).toContain(message);
  });

  test('a statement about something else is no reason', () => {
    const tls = {
      Sid: 'TlsOnly',
      Effect: 'Deny',
      Principal: '*',
      Action: 's3:*',
      Resource: 'arn:aws:s3:::data/*',
      Condition: { Bool: { 'aws:SecureTransport': 'false' } },
    };
    const [first] = problems(tls);
    expect(first?.message).toContain('no statement denies it');
    expect(problems(tls, ...lockStatements(LOCK))).toEqual([]);
  });

  test('whatever a damaged policy lets through is reported', async () => {
    const damages: ((text: string) => string)[] = [
      (text) => text.replace('"Deny"', '"Allow"'),
      (text) => text.replaceAll('"s3:GetObject",', ''),
      (text) => text.replaceAll('"s3:PutObjectTagging",', ''),
      (text) => text.replaceAll('flights/*', 'flights/x*'),
      (text) => text.replaceAll('/*', '/*/*'),
      (text) => text.replaceAll('ArnNotLike', 'ArnLike'),
      (text) => text.replaceAll('StringNotEquals', 'StringEquals'),
      (text) => text.replaceAll('StringNotEquals', 'StringNotLike'),
      (text) => text.replaceAll('passed', '*'),
      (text) => text.replaceAll(GATE, `${GATE}*`),
      (text) => text.replaceAll(BREAK_GLASS, TRAINING),
      (text) => text.replaceAll('"inconclusive"', '"inconclusive","failed"'),
      (text) => text.replaceAll('"Principal":"*"', `"Principal":{"AWS":"${BREAK_GLASS}"}`),
      (text) => text.replaceAll('aws:PrincipalArn', 'aws:SourceArn'),
      (text) => text.replaceAll('"s3:GetObject', '"s3:getobject'),
    ];
    const probes = ['data/flights/a', 'data/raw/weather/a'].flatMap((object) =>
      [{}, { 'tocsin:quality': 'failed' }].flatMap((tags) =>
        ['s3:GetObject', 's3:PutObjectTagging'].map((action) => ({
          principal: TRAINING,
          object,
          tags,
          action,
        })),
      ),
    );
    let opened = 0;
    await fc.assert(
      fc.asyncProperty(fc.subarray(damages, { minLength: 1, maxLength: 3 }), async (chosen) => {
        const Statement = changed((text) => chosen.reduce((result, damage) => damage(result), text));
        const answers = await Promise.all(probes.map((probe) => isAllowed({ Statement }, probe)));
        if (!answers.includes(true)) return;
        opened++;
        expect(problems(...Statement).some(({ kind }) => kind === 'open')).toBe(true);
      }),
      { numRuns: 150, seed: 2 },
    );
    expect(opened).toBeGreaterThan(50);
  });
});
