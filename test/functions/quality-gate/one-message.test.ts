import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EventBridgeClient } from '@aws-sdk/client-eventbridge';
import { S3Client } from '@aws-sdk/client-s3';
import { SageMakerClient } from '@aws-sdk/client-sagemaker';
import { SNSClient } from '@aws-sdk/client-sns';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { judge } from '../../../functions/quality-gate/gate.ts';
import { createHandler } from '../../../functions/quality-gate/handler.ts';
import type { Environment } from '../../../functions/quality-gate/schema.ts';
import { captureOutput, FakeAws } from '../../support/fake-aws.ts';
import { published } from '../../support/published.ts';

/* One bad upload is one message, however many files and findings it has, and however often its event comes. */

const COLUMNS = Array.from({ length: 40 }, (_, index) => `column${index + 1}`);
const ENV: Environment = {
  CONFIG_BUCKET: 'assets',
  CONFIG_KEY: 'bundle.json',
  EVIDENCE_BUCKET: 'evidence',
  DATA_BUCKET: 'data',
  TOPIC_ARN: 'arn:aws:sns:us-east-1:111122223333:tocsin',
  EVENT_BUS: 'default',
  MAX_DATASET_BYTES: 1_000_000,
  TMP_BYTES: 2_000_000,
  ENGINE_MEMORY_BYTES: 512_000_000,
};
const CONTRACT = `contract: 1
dataset: weather
format: csv
batch: marker
columns:
${COLUMNS.map((name) => `  ${name}: { type: integer, zeros: 10% }`).join('\n')}
`;
const MARKER = 'weather/2001/_SUCCESS';

let aws: FakeAws;
let output: ReturnType<typeof captureOutput>;
let tmp: string;

beforeEach(() => {
  aws = new FakeAws();
  output = captureOutput();
  tmp = mkdtempSync(join(tmpdir(), 'tocsin-one-message-'));
  const datasets = { weather: { contract: 'contracts/weather.yaml', prefix: 'weather/' } };
  const contracts = { 'contracts/weather.yaml': CONTRACT };
  aws.put('assets', 'bundle.json', JSON.stringify({ bundle: 1, datasets, contracts }));
  const rows = Array.from({ length: 5 }, () => COLUMNS.map(() => 0).join(',')).join('\n');
  for (let part = 1; part <= 100; part++) {
    aws.put('data', `weather/2001/part-${part}.csv`, `${COLUMNS.join(',')}\n${rows}\n`);
  }
});

afterEach(() => {
  rmSync(tmp, { recursive: true });
  output.restore();
  aws.restore();
});

function gate() {
  return createHandler({
    env: ENV,
    s3: new S3Client({}),
    sns: new SNSClient({}),
    events: new EventBridgeClient({}),
    sagemaker: new SageMakerClient({}),
    judge,
    tmp,
    patienceMs: 20_000,
  });
}

/** The event of an upload, as it comes to one invocation. */
function invoke(versionId: string, requestId: string, handle = gate()): Promise<unknown> {
  const event = {
    source: 'aws.s3',
    'detail-type': 'Object Created',
    detail: {
      bucket: { name: 'data' },
      object: { key: MARKER, size: 0, etag: 'e', 'version-id': versionId, sequencer: '1' },
      reason: 'PutObject',
    },
  };
  return handle(event, { awsRequestId: requestId, getRemainingTimeInMillis: () => 900_000 });
}

test('of 100 files with 40 findings, whose event comes three times at once, and then again', async () => {
  const version = aws.put('data', MARKER, '');
  const answers = await Promise.all(['a', 'b', 'c'].map((id) => invoke(version, id)));
  await invoke(version, 'd');
  await invoke(version, 'a');

  for (const answer of answers) expect(answer).toMatchObject({ dataset: 'weather', outcome: 'fail' });
  const [message, ...more] = published(aws);
  expect(more).toEqual([]);
  expect(message?.Subject).toBe('Tocsin: dataset weather rejected (fail)');
  expect(message?.Message.match(/^- .*column\d+: 100% zeros/gim)).toHaveLength(10);
  expect(message?.Message).toContain('- and 30 more, in the report\n');
  expect(message?.Message).toContain('\nData:     s3://data/weather/2001/\n');
  expect(message?.document).toMatchObject({ kind: 'verdict', findings: { length: 10 }, recovered: false });
  expect(aws.keys('evidence', 'history/')).toHaveLength(1);
});

test('of an upload that cannot be judged, whose event comes twice at once, and then again', async () => {
  for (const key of aws.keys('data', 'weather/2001/part-')) aws.objects.delete(`data/${key}`);
  const version = aws.put('data', MARKER, '');
  await Promise.all(['a', 'b'].map((id) => invoke(version, id)));
  await invoke(version, 'c');
  expect(published(aws).map(({ Subject }) => Subject)).toEqual(['Tocsin: dataset weather not judged']);
  expect(aws.keys('evidence', 'history/')).toEqual([]);
});

test('of bytes that come back, whose event comes twice at once', async () => {
  const [good = '', ...others] = aws.keys('data', 'weather/2001/part-');
  for (const key of others) aws.objects.delete(`data/${key}`);
  const zeros = aws.get('data', good).body;
  const versions = [aws.put('data', MARKER, '')];
  const handle = gate();
  await invoke(versions[0]!, 'a', handle);
  // Another verdict in between: one row more.
  aws.put('data', good, `${zeros}${COLUMNS.map(() => 1).join(',')}\n`);
  await invoke(aws.put('data', MARKER, ''), 'b', handle);
  aws.put('data', good, zeros);
  const again = aws.put('data', MARKER, '');
  await Promise.all(['c', 'd'].map((id) => invoke(again, id, handle)));
  expect(published(aws).map(({ Subject }) => Subject)).toEqual([
    'Tocsin: dataset weather rejected (fail)',
    'Tocsin, still: dataset weather rejected (fail)',
    'Tocsin, still: dataset weather rejected (fail)',
  ]);
});
