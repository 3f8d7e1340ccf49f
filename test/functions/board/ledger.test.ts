import { setTimeout as sleep } from 'node:timers/promises';
import { GetObjectCommand, ListObjectsV2Command, S3Client } from '@aws-sdk/client-s3';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { observe } from '../../../functions/board/adapters/ledger.ts';
import { GateDependencyError } from '../../../functions/shared/errors.ts';
import { EvidenceStore } from '../../../functions/shared/evidence.ts';
import { type HistoryEntry, type HistoryPoint, historyKey } from '../../../functions/shared/history.ts';
import { pointAt, requirementOf } from '../../support/board.ts';
import { FakeAws, s3Error } from '../../support/fake-aws.ts';

const NOW = Date.parse('2026-07-14T09:41:00Z');

let aws: FakeAws;
let store: EvidenceStore;

beforeEach(() => {
  aws = new FakeAws();
  store = new EvidenceStore(new S3Client({}), 'evidence');
});

afterEach(() => aws.restore());

/** Leaves a run in the history, with what its entry says. */
function leave(point: HistoryPoint, text?: string): HistoryEntry {
  const entry: HistoryEntry = { ...point, history: 1, reason: 'so it was', inputs: { contractSha256: 'ab' } };
  aws.put('evidence', historyKey(point), text ?? JSON.stringify(entry));
  return entry;
}

test('reads the history of each, and the latest entry, in the order of the requirements', async () => {
  const [drill, other, never] = ['churn', 'fraud', 'never'].map((name) => requirementOf({ name }));
  const older = pointAt(NOW - 2000, 'fail', drill);
  leave(older);
  const latest = leave(pointAt(NOW, 'pass', drill));
  const [point] = [pointAt(NOW - 5, 'inconclusive', other)];
  const entry = leave(point);
  const { history: _, reason: __, inputs: ___, ...newest } = latest;
  expect(await observe(store, [never!, other!, drill!])).toEqual([
    { history: [], latest: undefined },
    { history: [point], latest: entry },
    { history: [newest, older], latest },
  ]);
  expect(aws.inputs('s3', ListObjectsV2Command)).toEqual(
    ['never', 'fraud', 'churn'].map((name) => ({
      Bucket: 'evidence',
      Prefix: `history/rollback-drill/${name}/`,
      MaxKeys: 200,
    })),
  );
});

test('reads a subject once that several releases wait for', async () => {
  const entry = leave(pointAt(NOW));
  const observed = await observe(store, [
    requirementOf({ freshMs: 1 }),
    requirementOf({ freshMs: 2 }),
    requirementOf({ gap: 'pipeline' }),
  ]);
  expect(observed.map(({ latest }) => latest)).toEqual([entry, entry, entry]);
  expect(aws.inputs('s3', ListObjectsV2Command)).toHaveLength(1);
  expect(aws.inputs('s3', GetObjectCommand)).toHaveLength(1);
});

test.each<[string, string, RegExp]>([
  ['is no JSON', '{', /is not JSON/],
  ['lacks what an entry has', '{"history":1}', /reason/],
  [
    'is of another run',
    JSON.stringify({ ...pointAt(NOW - 1), history: 1, reason: '', inputs: {} }),
    /says at \d+, and its own key \d+/,
  ],
])('an entry that %s is unreadable, and its history still counts', async (_, text, why) => {
  const point = pointAt(NOW);
  leave(point, text);
  const [observed] = await observe(store, [requirementOf()]);
  expect(observed?.history).toEqual([point]);
  expect(observed?.latest).toEqual({ unreadable: expect.stringMatching(why) });
  expect(observed?.latest).toEqual({
    unreadable: expect.stringContaining(`s3://evidence/${historyKey(point)}`),
  });
});

test('an entry that is listed and gone is unreadable', async () => {
  leave(pointAt(NOW));
  aws.s3.on(GetObjectCommand).rejects(s3Error('NoSuchKey', 404));
  const [observed] = await observe(store, [requirementOf()]);
  expect(observed?.latest).toEqual({ unreadable: expect.stringMatching(/^there is no s3:.*json$/) });
});

test.each([
  ['AccessDenied', 403],
  ['NoSuchBucket', 404],
  ['SlowDown', 503],
])('S3 that answers %s throws: nothing is known then', async (name, status) => {
  leave(pointAt(NOW));
  aws.s3.on(GetObjectCommand).rejects(s3Error(name, status));
  await expect(observe(store, [requirementOf()])).rejects.toThrow(GateDependencyError);
});

test('asks for at most eight subjects at a time', async () => {
  let now = 0;
  let most = 0;
  aws.s3.on(ListObjectsV2Command).callsFake(async () => {
    most = Math.max(most, ++now);
    await sleep(2);
    now--;
    return {};
  });
  await observe(
    store,
    Array.from({ length: 30 }, (_, index) => requirementOf({ name: `drill-${index}` })),
  );
  expect(most).toBe(8);
});
