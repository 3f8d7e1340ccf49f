import { ListObjectsV2Command, S3Client } from '@aws-sdk/client-s3';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { EvidenceStore } from '../../../functions/shared/evidence.ts';
import {
  distinctRuns,
  entryOf,
  type HistoryPoint,
  historyFolder,
  historyKey,
  type Judged,
  pointOf,
  streakOf,
} from '../../../functions/shared/history.ts';
import { readEntry, readHistory } from '../../../functions/shared/history-store.ts';
import { sha256 } from '../../../functions/shared/identity.ts';
import { FakeAws } from '../../support/fake-aws.ts';

const hex = (length: number) =>
  fc.string({ unit: fc.constantFrom(...'0123456789abcdef'), minLength: length, maxLength: length });

const point: fc.Arbitrary<HistoryPoint> = fc.record({
  gate: fc.constantFrom(
    'quality-gate',
    'holdout-evaluation',
    'alarm-drill',
    'rollback-drill',
    'config-parity',
  ),
  subject: fc.constantFrom('flights', 'canary-weekly', 'a.b_c'),
  at: fc.integer({ min: 0, max: 9_999_999_999_999 }),
  outcome: fc.constantFrom('pass', 'fail', 'inconclusive'),
  verdict: hex(32),
  run: hex(8),
});

const judged: Judged = {
  gate: 'quality-gate',
  subject: 'flights',
  id: sha256('verdict').slice(0, 32),
  outcome: 'fail',
  reason: 'column delay: 38.1% zeros, at most 10% allowed',
  inputs: { contractSha256: 'ab' },
};

describe('a key', () => {
  test('is where the documentation says', () => {
    expect(historyKey(entryOf(judged, 'run', Date.parse('2026-07-14T09:41:00Z')))).toBe(
      `history/quality-gate/flights/8215977939999-fail-${judged.id}-${sha256('run').slice(0, 8)}.json`,
    );
  });

  test('says what its entry is', () => {
    fc.assert(
      fc.property(point, (one) => {
        expect(pointOf(historyKey(one))).toEqual(one);
      }),
    );
  });

  test('sorts before those that are older', () => {
    fc.assert(
      fc.property(point, point, (a, b) => {
        const of = { gate: a.gate, subject: a.subject };
        const [newer, older] = a.at >= b.at ? [a, b] : [b, a];
        if (newer.at === older.at) return;
        expect(historyKey({ ...newer, ...of }) < historyKey({ ...older, ...of })).toBe(true);
      }),
    );
  });

  test.each([
    'history/quality-gate/flights/readme.txt',
    'history/quality-gate/flights/8217973739999-passed-00000000000000000000000000000000-00000000.json',
    'history/quality-gate/8217973739999-pass-00000000000000000000000000000000-00000000.json',
    'board/board.json',
    '',
  ])('of anything else says nothing: %s', (key) => {
    expect(pointOf(key)).toBeUndefined();
  });
});

describe('an entry', () => {
  test('has what a verdict is bound to, and a reason of bounded length', () => {
    const entry = entryOf({ ...judged, reason: 'x'.repeat(5000) }, 'run', 7);
    expect(entry).toEqual({
      history: 1,
      gate: 'quality-gate',
      subject: 'flights',
      at: 7,
      outcome: 'fail',
      verdict: judged.id,
      run: sha256('run').slice(0, 8),
      reason: `${'x'.repeat(999)}…`,
      inputs: { contractSha256: 'ab' },
    });
  });
});

describe('runs', () => {
  test('are each there once, as it first said so, the latest first', () => {
    fc.assert(
      fc.property(fc.array(point, { maxLength: 20 }), fc.integer({ min: 1, max: 1000 }), (points, later) => {
        const again = points.map((one) => ({ ...one, at: Math.min(one.at + later, 9_999_999_999_999) }));
        const once = distinctRuns(points);
        expect(distinctRuns([...points, ...again])).toEqual(once);
        expect(distinctRuns([...again, ...points].toReversed())).toEqual(once);
        const times = once.map(({ at }) => at);
        expect(times).toEqual(times.toSorted((a, b) => b - a));
      }),
    );
  });

  test('of one moment are in the order of their keys', () => {
    const [one, other] = ['0', '1'].map((digit) => ({ ...entryOf(judged, 'run', 5), run: digit.repeat(8) }));
    expect(distinctRuns([one!, other!]).map(({ run }) => run)).toEqual(['00000000', '11111111']);
    expect(distinctRuns([other!, one!]).map(({ run }) => run)).toEqual(['00000000', '11111111']);
  });

  test('that come to another verdict when they are tried again are two', () => {
    const one = { ...entryOf(judged, 'run', 5) };
    expect(distinctRuns([one, { ...one, at: 6, verdict: 'f'.repeat(32) }])).toHaveLength(2);
  });
});

describe('a streak', () => {
  const runs = (outcomes: string) =>
    [...outcomes].map((letter, index): HistoryPoint => {
      const outcome = letter === 'p' ? 'pass' : letter === 'f' ? 'fail' : 'inconclusive';
      const { gate, subject } = judged;
      return { gate, subject, at: 100 - index, outcome, verdict: sha256(`${index}`), run: `${index}` };
    });

  test.each<[string, ReturnType<typeof streakOf>]>([
    ['', undefined],
    ['p', { outcome: 'pass', since: 100, runs: 1, open: true }],
    ['ppp', { outcome: 'pass', since: 98, runs: 3, open: true }],
    ['ffpf', { outcome: 'fail', since: 99, runs: 2, open: false }],
    ['ifp', { outcome: 'inconclusive', since: 100, runs: 1, open: false }],
  ])('of %s', (outcomes, streak) => {
    expect(streakOf(runs(outcomes))).toEqual(streak);
  });

  test('of outcomes that count as alike has no outcome of its own where they differ', () => {
    const noPass = (one: string, other: string) => (one === 'pass') === (other === 'pass');
    expect(streakOf(runs('ifp'), noPass)).toEqual({ outcome: undefined, since: 99, runs: 2, open: false });
    expect(streakOf(runs('ffp'), noPass)).toMatchObject({ outcome: 'fail' });
  });
});

describe('reading', () => {
  let aws: FakeAws;
  beforeEach(() => {
    aws = new FakeAws();
  });
  afterEach(() => aws.restore());

  test('lists one subject alone, and passes over what is none of its entries', async () => {
    const store = new EvidenceStore(new S3Client({}), 'evidence');
    const [older, latest] = [5, 9].map((at) => entryOf(judged, `run ${at}`, at));
    for (const entry of [older!, latest!, entryOf({ ...judged, subject: 'flights-history' }, 'run', 7)]) {
      aws.put('evidence', historyKey(entry), '{}');
    }
    aws.put('evidence', `${historyFolder(judged)}notes.txt`, 'mine');
    const found = await readHistory(store, judged, 50);
    expect(found.map(({ at, subject }) => [at, subject])).toEqual([
      [9, 'flights'],
      [5, 'flights'],
    ]);
    expect(aws.inputs('s3', ListObjectsV2Command)).toEqual([
      { Bucket: 'evidence', Prefix: 'history/quality-gate/flights/', MaxKeys: 50 },
    ]);
  });

  test('takes no entry that is of another run than its key says', async () => {
    const store = new EvidenceStore(new S3Client({}), 'evidence');
    const entry = entryOf(judged, 'run', 9);
    const point = pointOf(historyKey(entry)) as HistoryPoint;
    aws.put('evidence', historyKey(entry), JSON.stringify(entry));
    expect(await readEntry(store, point)).toEqual(entry);
    for (const other of [
      { gate: 'alarm-drill' },
      { subject: 'flights-history' },
      { at: 10 },
      { outcome: 'pass' },
      { verdict: 'f'.repeat(32) },
      { run: 'ffffffff' },
    ]) {
      aws.put('evidence', historyKey(entry), JSON.stringify({ ...entry, ...other }));
      const [[name, value] = []] = Object.entries(other);
      await expect(readEntry(store, point)).rejects.toThrow(
        `s3://evidence/${historyKey(entry)} says ${name} ${value}, and its own key `,
      );
    }
  });
});
