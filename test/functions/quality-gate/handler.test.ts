import { mkdtempSync, readdirSync, readFileSync, rmdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EventBridgeClient, PutEventsCommand } from '@aws-sdk/client-eventbridge';
import {
  GetObjectCommand,
  GetObjectTaggingCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  PutObjectTaggingCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { SageMakerClient, StartPipelineExecutionCommand } from '@aws-sdk/client-sagemaker';
import { PublishCommand, SNSClient } from '@aws-sdk/client-sns';
import 'aws-sdk-client-mock-vitest/extend';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import {
  idOf,
  inputsOf,
  type QualityVerdict,
  type Question,
  judge as realJudge,
} from '../../../functions/quality-gate/gate.ts';
import { createHandler, type Dependencies, handler } from '../../../functions/quality-gate/handler.ts';
import type { Measurements } from '../../../functions/quality-gate/profile.ts';
import type { Bundle, DatasetConfig, Environment } from '../../../functions/quality-gate/schema.ts';
import { GateDependencyError, GateInputError } from '../../../functions/shared/errors.ts';
import { historyKey, pointOf } from '../../../functions/shared/history.ts';
import { sha256 } from '../../../functions/shared/identity.ts';
import type { Profile } from '../../../functions/shared/profile.ts';
import type { Finding, Outcome } from '../../../functions/shared/verdict.ts';
import { captureOutput, FakeAws, s3Error } from '../../support/fake-aws.ts';

const TOPIC = 'arn:aws:sns:us-east-1:111122223333:tocsin';
const ENV: Environment = {
  CONFIG_BUCKET: 'assets',
  CONFIG_KEY: 'bundle.json',
  EVIDENCE_BUCKET: 'evidence',
  DATA_BUCKET: 'data',
  TOPIC_ARN: TOPIC,
  EVENT_BUS: 'default',
  MAX_DATASET_BYTES: 1_000_000,
  TMP_BYTES: 2_000_000,
  ENGINE_MEMORY_BYTES: 512_000_000,
};
const CONTRACT = `contract: 1
dataset: flights
format: csv
columns:
  delay: { type: integer, zeros: 10% }
`;
const BATCH_CONTRACT = CONTRACT.replace('flights', 'weather').replace(
  'format: csv',
  'format: csv\nbatch: marker',
);
const CSV = 'delay\n1\n2\n3\n';
const KEY = 'flights/2001-02.csv';

let aws: FakeAws;
let output: ReturnType<typeof captureOutput>;
let tmp: string;

beforeEach(() => {
  aws = new FakeAws();
  output = captureOutput();
  tmp = mkdtempSync(join(tmpdir(), 'tocsin-handler-test-'));
  deploy();
});

afterEach(() => {
  const left = readdirSync(tmp);
  rmSync(tmp, { recursive: true });
  output.restore();
  aws.restore();
  expect(left, 'files left in the working directory').toEqual([]);
});

/** Deploys a configuration; `flights` is a dataset of single objects, `weather` one of batches. */
function deploy(flights: Partial<DatasetConfig> = {}, weather: Partial<DatasetConfig> = {}): void {
  const bundle = {
    bundle: 1,
    datasets: {
      flights: { contract: 'contracts/flights.yaml', prefix: 'flights/', ...flights },
      weather: { contract: 'contracts/weather.yaml', prefix: 'weather/', ...weather },
    },
    contracts: { 'contracts/flights.yaml': CONTRACT, 'contracts/weather.yaml': BATCH_CONTRACT },
  };
  aws.put('assets', 'bundle.json', JSON.stringify(bundle satisfies Record<keyof Bundle, unknown>));
}

const PROFILE: Profile = {
  profile: 1,
  dataset: 'flights',
  tocsin: '0.1.0',
  rows: 3,
  sha256: sha256(CSV),
  columns: {
    delay: {
      type: 'integer',
      physical: 'TEXT',
      count: 3,
      nulls: 0,
      invalid: 0,
      zeros: 0,
      min: 1,
      max: 3,
      mean: 2,
      std: 0.8,
      distinct: { value: 3, exact: true },
    },
  },
};

const MEASUREMENTS: Measurements = {
  malformed: { count: 0, samples: [], reasons: [] },
  actualColumns: ['delay'],
  inconsistentFiles: [],
  profile: PROFILE,
  columns: { delay: { zeros: { count: 0, samples: [] } } },
  rules: {},
  asOf: null,
};

function finding(message: string, outcome: Finding['outcome'] = 'fail'): Finding {
  return {
    check: 'zeros',
    subject: 'column delay',
    outcome,
    message,
    allowed: 'at most 10%',
    observed: '38.1%',
  };
}

/** A stand-in for the engine that gives every dataset the same outcome. */
function judgeAs(outcome: Outcome, findings: Finding[] = []) {
  return vi.fn<Dependencies['judge']>(async (question: Question) => {
    const inputs = inputsOf(question);
    const verdict: QualityVerdict = {
      verdict: 1,
      id: idOf(inputs),
      gate: 'quality-gate',
      subject: inputs.dataset,
      outcome,
      reason: `the reason of a ${outcome}`,
      findings,
      notChecked: [],
      inputs,
      tocsin: '0.1.0',
    };
    return { verdict, measurements: MEASUREMENTS };
  });
}

function gate(judge: Dependencies['judge'], overrides: Partial<Dependencies> = {}) {
  return createHandler({
    env: ENV,
    s3: new S3Client({}),
    sns: new SNSClient({}),
    events: new EventBridgeClient({}),
    sagemaker: new SageMakerClient({}),
    judge,
    tmp,
    patienceMs: 0,
    ...overrides,
  });
}

function context(awsRequestId = 'request-1', remainingMs = 900_000) {
  return { awsRequestId, getRemainingTimeInMillis: () => remainingMs };
}

/** What EventBridge sends of an upload. */
function created(key: string, versionId?: string, bucket = 'data') {
  return {
    version: '0',
    id: '7bf73129-1428-4cd3-a780-95db273d1602',
    'detail-type': 'Object Created',
    source: 'aws.s3',
    account: '111122223333',
    time: '2026-11-22T08:00:00Z',
    region: 'us-east-1',
    resources: [`arn:aws:s3:::${bucket}`],
    detail: {
      version: '0',
      bucket: { name: bucket },
      object: {
        key,
        size: 12,
        etag: 'b1946ac92492d2347c6235b4d2611184',
        'version-id': versionId,
        sequencer: '617f08299329d189',
      },
      'request-id': 'N4N7GDK58NMKJ12R',
      requester: '123456789012',
      'source-ip-address': '1.2.3.4',
      reason: 'PutObject',
    },
  };
}

/** What people were sent; programs are sent the same in a document. */
const published = () =>
  (aws.inputs('sns', PublishCommand) as { Subject: string; Message: string }[]).map(
    ({ Subject, Message }) => ({ Subject, Message: JSON.parse(Message).default as string }),
  );
const announced = () =>
  aws.inputs('events', PutEventsCommand) as { Entries: { Detail: string; DetailType: string }[] }[];
const tagsOf = (key: string, versionId?: string) =>
  Object.fromEntries(aws.get('data', key, versionId).tags.map(({ Key, Value }) => [Key, Value]));
/** How a dataset was judged, the oldest first. */
const historyOf = (dataset: string) =>
  aws
    .keys('evidence', `history/quality-gate/${dataset}/`)
    .map((key) => pointOf(key)?.outcome)
    .reverse();
/** The EMF documents that were written. */
const metrics = () =>
  output
    .lines()
    .map((line) => JSON.parse(line))
    .filter((line) => '_aws' in line);

describe('an upload that passes', () => {
  test('is opened, stored, notified, announced and handed to the pipeline', async () => {
    // Arrange
    deploy({
      onAccept: { pipeline: 'train', uriParameter: 'DatasetUri', versionParameter: 'DatasetVersion' },
    });
    const version = aws.put('data', KEY, CSV, { tags: [{ Key: 'team', Value: 'growth' }] });
    aws.put('data', KEY, 'a newer version');

    // Act
    const answer = await gate(judgeAs('pass'))(created(KEY, version), context());

    // Assert
    const inputs = {
      dataset: 'flights',
      uri: `s3://data/${KEY}`,
      sha256: sha256(CSV),
      contractSha256: sha256(CONTRACT),
      baselineSha256: null,
      asOf: null,
    };
    const id = idOf(inputs);
    const folder = `evidence/quality-gate/flights/${id}/`;
    const result = {
      dataset: 'flights',
      uri: `s3://data/${KEY}`,
      versionId: version,
      outcome: 'pass',
      accepted: true,
      reason: 'the reason of a pass',
      verdict: id,
      evidence: `s3://evidence/${folder}verdict.json`,
      findings: [],
    };
    expect(answer).toEqual(result);

    const object = { Bucket: 'data', Key: KEY, VersionId: version };
    expect(aws.inputs('s3', HeadObjectCommand)).toEqual([object]);
    expect(aws.inputs('s3', GetObjectCommand)).toContainEqual({
      ...object,
      Range: 'bytes=0-11',
      IfMatch: aws.get('data', KEY, version).etag,
    });
    expect(aws.inputs('s3', GetObjectTaggingCommand)).toEqual([object]);
    expect(aws.inputs('s3', PutObjectTaggingCommand)).toEqual([
      {
        ...object,
        Tagging: {
          TagSet: [
            { Key: 'team', Value: 'growth' },
            { Key: 'tocsin:quality', Value: 'passed' },
            { Key: 'tocsin:verdict', Value: id },
          ],
        },
      },
    ]);
    expect(tagsOf(KEY), 'the newer version stays locked').toEqual({});
    expect(aws.inputs('sns', PublishCommand)).toEqual([
      {
        TopicArn: TOPIC,
        Subject: 'Tocsin: dataset flights accepted (pass)',
        MessageStructure: 'json',
        Message: expect.stringContaining('the SageMaker pipeline train starts with it'),
        MessageAttributes: {
          dataset: { DataType: 'String', StringValue: 'flights' },
          outcome: { DataType: 'String', StringValue: 'pass' },
        },
      },
    ]);
    expect(aws.inputs('events', PutEventsCommand)).toEqual([
      {
        Entries: [
          {
            EventBusName: 'default',
            Source: 'tocsin',
            DetailType: 'Dataset Accepted',
            Detail: JSON.stringify(result),
            Resources: [`arn:aws:s3:::data/${KEY}`],
          },
        ],
      },
    ]);
    expect(aws.inputs('sagemaker', StartPipelineExecutionCommand)).toEqual([
      {
        PipelineName: 'train',
        ClientRequestToken: `tocsin-${id}`,
        PipelineExecutionDescription: `Tocsin accepted ${id}`,
        PipelineParameters: [
          { Name: 'DatasetUri', Value: `s3://data/${KEY}` },
          { Name: 'DatasetVersion', Value: version },
        ],
      },
    ]);

    const run = sha256(`s3://data/${KEY} ${version}`).slice(0, 8);
    const history = aws.keys('evidence', 'history/').map((key) => pointOf(key));
    expect(history).toEqual([
      { gate: 'quality-gate', subject: 'flights', at: expect.any(Number), outcome: 'pass', verdict: id, run },
    ]);
    expect(aws.changes, 'the lock first, published.json last').toEqual([
      `PutObject ${folder}profile.json`,
      `PutObject ${folder}report.html`,
      `PutObject ${folder}verdict.json`,
      `PutObjectTagging ${KEY}`,
      `PutObject ${folder}telling-notified-${run}.json`,
      'Publish',
      `PutObject ${folder}notified-${run}.json`,
      'PutEvents',
      `PutObject ${folder}announced-${run}.json`,
      `PutObject ${historyKey(history[0]!)}`,
      'StartPipelineExecution',
      `PutObject ${folder}published.json`,
    ]);
    expect(aws.inputs('s3', PutObjectCommand)).toContainEqual({
      Bucket: 'evidence',
      Key: `${folder}verdict.json`,
      Body: expect.stringContaining('"verdict": 1'),
      ContentType: 'application/json',
      IfNoneMatch: '*',
      Metadata: { request: 'request-1' },
    });
    expect(aws.inputs('s3', PutObjectCommand)).toContainEqual({
      Bucket: 'evidence',
      Key: `${folder}report.html`,
      Body: expect.stringContaining('<h1>Dataset flights <span class="badge pass">'),
      ContentType: 'text/html; charset=utf-8',
      IfNoneMatch: '*',
    });
    const report = aws.get('evidence', `${folder}report.html`).body.toString();
    expect(report, 'a picture of each column').toContain('<figcaption>delay<small>');
    expect(JSON.parse(aws.get('evidence', `${folder}profile.json`).body.toString())).toEqual(PROFILE);
    expect(JSON.parse(aws.get('evidence', `${folder}published.json`).body.toString())).toEqual({
      published: 1,
      result,
      objects: [{ key: KEY, versionId: version, etag: aws.get('data', KEY, version).etag }],
      pipelineExecution: 'arn:aws:sagemaker:us-east-1:111122223333:pipeline/p/execution/0',
    });
  });

  test('is measured from the bytes of its own version, within the bounds of the environment', async () => {
    const version = aws.put('data', KEY, CSV, { modifiedAt: new Date('2001-03-01T10:00:00Z') });
    aws.put('data', KEY, 'a newer version');
    const judge = judgeAs('pass');
    let bytes: string | undefined;
    const reading: Dependencies['judge'] = async (question, limits, scratch) => {
      bytes = readFileSync(question.dataset.files[0]!.path, 'utf8');
      expect(readdirSync(scratch)).toEqual([]);
      return judge(question, limits, scratch);
    };

    await gate(reading)(created(KEY, version), context('r', 300_000));

    expect(bytes).toBe(CSV);
    const [question, limits] = judge.mock.calls[0]!;
    expect(question).toMatchObject({
      dataset: {
        files: [{ name: KEY, bytes: 12, sha256: sha256(CSV) }],
        uploadedAt: Date.parse('2001-03-01T10:00:00Z'),
        key: KEY,
      },
      uri: `s3://data/${KEY}`,
      contractText: CONTRACT,
      baseline: undefined,
    });
    expect(limits).toEqual({
      memoryBytes: 512_000_000,
      diskBytes: 2_000_000 - 12,
      threads: expect.any(Number),
      timeoutMs: 270_000,
      maxColumns: 2000,
      maxRows: 1_000_000_000,
    });
  });

  test('of a short-lived function still leaves half of the time to publish', async () => {
    aws.put('data', KEY, CSV);
    const judge = judgeAs('pass');
    await gate(judge)(created(KEY), context('r', 40_000));
    expect(judge.mock.calls[0]![1].timeoutMs).toBe(20_000);
  });

  test('writes one set of metrics and logs no more than names, ids and counts', async () => {
    aws.put('data', KEY, CSV);
    await gate(judgeAs('fail', [finding('delay: secret-sample-value')]))(created(KEY), context());

    expect(metrics()).toEqual([
      {
        _aws: {
          Timestamp: expect.any(Number),
          CloudWatchMetrics: [
            {
              Namespace: 'Tocsin',
              Dimensions: [['gate', 'dataset'], ['gate']],
              Metrics: [
                { Name: 'Failed', Unit: 'Count' },
                { Name: 'Rows', Unit: 'Count' },
                { Name: 'Bytes', Unit: 'Bytes' },
                { Name: 'DurationMs', Unit: 'Milliseconds' },
              ],
            },
          ],
        },
        gate: 'quality-gate',
        dataset: 'flights',
        Failed: 1,
        Rows: 3,
        Bytes: 12,
        DurationMs: expect.any(Number),
      },
    ]);
    const logs = output.lines().filter((line) => !line.includes('_aws'));
    expect(logs.map((line) => JSON.parse(line))).toEqual([
      expect.objectContaining({
        level: 'INFO',
        message: 'judged',
        requestId: 'request-1',
        dataset: 'flights',
        uri: `s3://data/${KEY}`,
        outcome: 'fail',
        accepted: false,
        rows: 3,
        bytes: 12,
      }),
    ]);
    expect(logs.join()).not.toContain('secret-sample-value');
  });
});

describe('an upload that does not pass', () => {
  test('is locked, and the message says what is wrong and what to do', async () => {
    deploy({ onAccept: { pipeline: 'train', uriParameter: 'DatasetUri' } });
    aws.put('data', KEY, CSV);
    const findings = [
      { ...finding('column delay: 38.1% zeros, at most 10% allowed'), help: 'Look at the join upstream.' },
      ...Array.from({ length: 11 }, (_, index) => finding(`finding ${index}`, 'warn')),
      finding('all is well', 'pass'),
    ];

    const answer = await gate(judgeAs('fail', findings))(created(KEY), context());

    expect(answer).toMatchObject({ outcome: 'fail', accepted: false });
    expect(tagsOf(KEY)).toMatchObject({ 'tocsin:quality': 'failed' });
    const [message] = published();
    expect(message!.Subject).toBe('Tocsin: dataset flights rejected (fail)');
    for (const part of [
      'the reason of a fail',
      '- column delay: 38.1% zeros, at most 10% allowed',
      '- and 2 more, in the report',
      `s3://data/${KEY}`,
      'verdict.json',
      'Look at the join upstream.',
      'The dataset stays locked.',
    ]) {
      expect(message!.Message).toContain(part);
    }
    expect(message!.Message).not.toContain('all is well');
    expect(announced()[0]!.Entries[0]).toMatchObject({ DetailType: 'Dataset Rejected' });
    expect(JSON.parse(announced()[0]!.Entries[0]!.Detail).findings).toHaveLength(10);
    expect(aws.sagemaker).not.toHaveReceivedCommand(StartPipelineExecutionCommand);
  });

  test.each([
    ['block', false, 'Dataset Rejected', 0],
    ['allow', true, 'Dataset Accepted', 1],
  ] as const)(
    'because the data cannot tell: inconclusive: %s',
    async (policy, accepted, event, pipelines) => {
      deploy({ inconclusive: policy, onAccept: { pipeline: 'train', uriParameter: 'DatasetUri' } });
      aws.put('data', KEY, CSV);
      const answer = await gate(judgeAs('inconclusive'))(created(KEY), context());
      expect(answer).toMatchObject({ outcome: 'inconclusive', accepted });
      expect(tagsOf(KEY)).toMatchObject({ 'tocsin:quality': 'inconclusive' });
      expect(announced()[0]!.Entries[0]).toMatchObject({ DetailType: event });
      expect(aws.executions).toBe(pipelines);
    },
  );
});

describe('a baseline', () => {
  test('is read, and its bytes are part of the inputs', async () => {
    aws.put('data', KEY, CSV);
    const text = JSON.stringify(PROFILE);
    aws.put('evidence', 'baselines/flights/current.json', text);
    const judge = judgeAs('pass');
    await gate(judge)(created(KEY), context());
    expect(judge.mock.calls[0]![0].baseline).toEqual({ profile: PROFILE, sha256: sha256(text) });
  });

  test.each([
    ['no JSON', '{', /baselines\/flights\/current\.json is not JSON/],
    ['another shape', '{"profile":1}', /columns/],
    ['another dataset', JSON.stringify({ ...PROFILE, dataset: 'weather' }), /"weather", expected "flights"/],
  ])('that is damaged (%s) judges nothing', async (_, text, message) => {
    aws.put('data', KEY, CSV);
    aws.put('evidence', 'baselines/flights/current.json', text);
    const judge = judgeAs('pass');
    expect(await gate(judge)(created(KEY), context())).toMatchObject({
      error: 'GateInputError',
      message: expect.stringMatching(message),
    });
    expect(judge).not.toHaveBeenCalled();
    expect(tagsOf(KEY)).toEqual({});
  });
});

describe('a batch', () => {
  const FOLDER = 'weather/2001/';
  const MARKER = `${FOLDER}_SUCCESS`;

  beforeEach(() => {
    aws.put('data', `${FOLDER}part-1.csv`, CSV);
    aws.put('data', `${FOLDER}deeper/part-2.csv`, CSV);
    aws.put('data', `${FOLDER}`, '');
    aws.put('data', `${FOLDER}.part-1.csv.crc`, 'crc');
    aws.put('data', `${FOLDER}_temporary/0/part-3.csv`, CSV);
    aws.put('data', 'weather/2002/part-1.csv', CSV);
  });

  test('is judged when its marker lands, all data objects of all pages as one', async () => {
    aws.pageSize = 2;
    const version = aws.put('data', MARKER, '', { modifiedAt: new Date('2001-12-31T00:00:00Z') });
    const judge = judgeAs('pass');

    const answer = await gate(judge)(created(MARKER, version), context());

    expect(answer).toMatchObject({ dataset: 'weather', uri: `s3://data/${FOLDER}`, versionId: version });
    expect(judge.mock.calls[0]![0].dataset).toMatchObject({
      files: [{ name: `${FOLDER}deeper/part-2.csv` }, { name: `${FOLDER}part-1.csv` }],
      key: FOLDER,
      uploadedAt: Date.parse('2001-12-31T00:00:00Z'),
    });
    expect(aws.inputs('s3', ListObjectsV2Command)).toEqual([
      { Bucket: 'data', Prefix: FOLDER },
      { Bucket: 'data', Prefix: FOLDER, ContinuationToken: '2' },
      { Bucket: 'data', Prefix: FOLDER, ContinuationToken: '4' },
      { Bucket: 'evidence', Prefix: 'history/quality-gate/weather/', MaxKeys: 200 },
    ]);
    expect(announced()[0]!.Entries[0]).toMatchObject({ Resources: [`arn:aws:s3:::data/${MARKER}`] });
    const tagged = aws.changes.filter((change) => change.startsWith('PutObjectTagging'));
    expect(tagged.slice(0, 2).sort()).toEqual([
      `PutObjectTagging ${FOLDER}deeper/part-2.csv`,
      `PutObjectTagging ${FOLDER}part-1.csv`,
    ]);
    expect(tagged.slice(2), 'the marker opens last').toEqual([`PutObjectTagging ${MARKER}`]);
  });

  test('that fails closes its marker first', async () => {
    aws.put('data', MARKER, '');
    await gate(judgeAs('fail'))(created(MARKER), context());
    const tagged = aws.changes.filter((change) => change.startsWith('PutObjectTagging'));
    expect(tagged[0]).toBe(`PutObjectTagging ${MARKER}`);
    expect(tagged).toHaveLength(3);
  });

  test.each(['s3://data/weather/2001/', 's3://data/weather/2001/_SUCCESS'])(
    'can be asked for as %s',
    async (uri) => {
      aws.put('data', MARKER, '');
      const answer = await gate(judgeAs('pass'))({ dataset: 'weather', uri }, context());
      expect(answer).toMatchObject({ accepted: true, uri: 's3://data/weather/2001/' });
    },
  );

  test('is not judged for one of its objects', async () => {
    const answer = await gate(judgeAs('pass'))(created(`${FOLDER}part-1.csv`), context());
    expect(answer).toEqual({ ignored: expect.stringContaining('when its _SUCCESS lands') });
    await expect(
      gate(judgeAs('pass'))({ dataset: 'weather', uri: `s3://data/${FOLDER}part-1.csv` }, context()),
    ).rejects.toThrow(/give the address of its folder/);
    expect(aws.changes).toEqual([]);
  });

  test('without data is refused', async () => {
    aws.put('data', 'weather/empty/_SUCCESS', '');
    expect(await gate(judgeAs('pass'))(created('weather/empty/_SUCCESS'), context())).toMatchObject({
      error: 'GateInputError',
      message: expect.stringContaining('has no data objects'),
    });
  });

  test('of 1,000 objects is judged, of 1,001 refused', async () => {
    for (let part = 0; part < 1000; part++) aws.put('data', `weather/big/${part}.csv`, 'delay\n');
    aws.put('data', 'weather/big/_SUCCESS', '');
    const judge = judgeAs('pass');
    await gate(judge)(created('weather/big/_SUCCESS'), context());
    expect(judge.mock.calls[0]![0].dataset.files).toHaveLength(1000);
    expect(aws.s3).toHaveReceivedCommandTimes(PutObjectTaggingCommand, 1001);

    aws.put('data', 'weather/big/1000.csv', 'delay\n');
    expect(await gate(judge)(created('weather/big/_SUCCESS'), context('r2'))).toMatchObject({
      message: expect.stringContaining('more than 1000 data objects'),
    });
  });

  test('whose folder is full of other keys is refused rather than listed for ever', async () => {
    aws.pageSize = 1;
    for (let index = 0; index < 12; index++) aws.put('data', `weather/noise/_${index}`, '');
    aws.put('data', 'weather/noise/_SUCCESS', '');
    expect(await gate(judgeAs('pass'))(created('weather/noise/_SUCCESS'), context())).toMatchObject({
      message: expect.stringContaining('more than 10000 keys'),
    });
    expect(aws.s3).toHaveReceivedCommandTimes(ListObjectsV2Command, 10);
  });
});

describe('what the caller got wrong', () => {
  const cases: [string, () => unknown, RegExp][] = [
    ['no dataset', () => created('elsewhere/a.csv'), /under the prefix of no dataset/],
    ['another bucket', () => created(KEY, undefined, 'other'), /under the prefix of no dataset/],
    ['no object', () => created('flights/none.csv'), /there is no s3:\/\/data\/flights\/none\.csv/],
    [
      'no version',
      () => {
        aws.put('data', KEY, CSV);
        return created(KEY, 'v999');
      },
      /there is no s3:\/\/data\/flights\/2001-02\.csv in its version v999/,
    ],
    [
      'no versions in the bucket',
      () => {
        aws.unversioned.add('data');
        aws.put('data', KEY, CSV);
        return created(KEY);
      },
      /has no version id/,
    ],
    [
      'too large',
      () => {
        aws.put('data', KEY, Buffer.alloc(1_000_001));
        return created(KEY);
      },
      /has 1 MB \(1,000,001 bytes\), .* at most 1 MB \(1,000,000 bytes\) in one verdict/,
    ],
    [
      'too many tags',
      () => {
        const tags = Array.from({ length: 9 }, (_, index) => ({ Key: `k${index}`, Value: 'v' }));
        aws.put('data', KEY, CSV, { tags });
        return created(KEY);
      },
      /has 9 tags; S3 allows 10, and the gate needs two of them/,
    ],
  ];

  test.each(cases)('%s: an upload tells its owners, once, and stays locked', async (_, arrange, message) => {
    const event = arrange();
    const judge = judgeAs('pass');
    const handle = gate(judge);

    const first = await handle(event, context());
    const second = await handle(event, context('another'));

    expect(first).toMatchObject({ error: 'GateInputError', message: expect.stringMatching(message) });
    expect(second).toEqual(first);
    expect(published()).toHaveLength(1);
    expect(published()[0]!.Subject).toMatch(/^Tocsin: dataset (flights|unknown) not judged$/);
    expect(published()[0]!.Message).toMatch(message);
    expect(published()[0]!.Message).toContain('What now: ');
    expect(aws.s3).not.toHaveReceivedCommand(PutObjectTaggingCommand);
    expect(judge).not.toHaveBeenCalled();
    expect(metrics()).toEqual([
      expect.objectContaining({ Errors: 1 }),
      expect.objectContaining({ Errors: 1 }),
    ]);
  });

  test('the message of a refusal is whole', async () => {
    aws.unversioned.add('data');
    aws.put('data', KEY, CSV);
    await gate(judgeAs('pass'))(created(KEY), context());
    expect(aws.inputs('sns', PublishCommand)).toEqual([
      {
        TopicArn: TOPIC,
        Subject: 'Tocsin: dataset flights not judged',
        MessageStructure: 'json',
        Message: expect.any(String),
        MessageAttributes: {
          dataset: { DataType: 'String', StringValue: 'flights' },
          outcome: { DataType: 'String', StringValue: 'error' },
        },
      },
    ]);
    expect(published()[0]!.Message).toBe(`Dataset flights: an upload could not be judged, so it stays locked.

s3://data/${KEY} has no version id, so a verdict could end up on bytes that nobody judged

Data:     s3://data/${KEY}
Version:  none
Runbook:  docs/runbook.md#no-verdict

What now: Turn versioning on for bucket data, then upload the object again.
`);
  });

  test('a notification that fails is sent by the retry', async () => {
    aws.sns.on(PublishCommand).rejectsOnce(s3Error('Throttling', 400)).resolves({ MessageId: 'm' });
    const handle = gate(judgeAs('pass'));
    await expect(handle(created('flights/none.csv'), context())).rejects.toThrow(GateDependencyError);
    expect(await handle(created('flights/none.csv'), context())).toMatchObject({ error: 'GateInputError' });
    expect(published()).toHaveLength(2);
  });

  const invocations: [string, unknown, RegExp][] = [
    ['a misspelt key', { dataset: 'flights', url: 's3://data/a' }, /unknown key "url".*did you mean "uri"/],
    ['no S3 address', { dataset: 'flights', uri: '/tmp/a.csv' }, /uri: .*"\/tmp\/a\.csv"/],
    ['a misspelt dataset', { dataset: 'flihgts', uri: 's3://data/flights/a' }, /did you mean "flights"/],
    [
      'an object of another dataset',
      { dataset: 'flights', uri: 's3://data/weather/a' },
      /is not part of dataset flights, which is everything under s3:\/\/data\/flights\//,
    ],
    ['a folder', { dataset: 'flights', uri: 's3://data/flights/2001/' }, /are not data/],
    ['nothing', null, /invocation/],
    ['no object', { dataset: 'flights', uri: 's3://data/flights/none' }, /there is no .* Upload it again/],
  ];

  test.each(invocations)('%s: a direct caller gets the error, by name', async (_, invocation, message) => {
    const thrown = await gate(judgeAs('pass'))(invocation, context()).catch((error) => error);
    expect(thrown).toBeInstanceOf(GateInputError);
    expect(thrown.name, 'what Step Functions matches in ErrorEquals').toBe('GateInputError');
    expect(thrown.message).toMatch(message);
    expect(aws.changes).toEqual([]);
  });

  test('a contract that does not hold names its line', async () => {
    const bundle = JSON.parse(aws.get('assets', 'bundle.json').body.toString());
    bundle.contracts['contracts/flights.yaml'] = CONTRACT.replace('zeros', 'zeroes');
    aws.put('assets', 'bundle.json', JSON.stringify(bundle));
    aws.put('data', KEY, CSV);
    const thrown = await gate(judgeAs('pass'))(
      { dataset: 'flights', uri: `s3://data/${KEY}` },
      context(),
    ).catch((error) => error);
    expect(thrown.name).toBe('GateInputError');
    expect(thrown.message).toMatch(
      /contracts\/flights\.yaml:5:27 unknown key "zeroes", did you mean "zeros"/,
    );
  });

  test('an event of another kind is a fault of the wiring, for the alarm', async () => {
    const event = { ...created(KEY), 'detail-type': 'Object Deleted' };
    await expect(gate(judgeAs('pass'))(event, context())).rejects.toThrow(/Object Deleted/);
    expect(published()).toEqual([]);
  });

  test.each(['flights/', 'flights/_temporary/0/a.csv', 'flights/.hidden.csv', 'flights/_SUCCESS'])(
    '%s is not data',
    async (key) => {
      aws.put('data', key, CSV);
      expect(await gate(judgeAs('pass'))(created(key), context())).toEqual({
        ignored: expect.stringContaining('are not data'),
      });
      expect(aws.changes).toEqual([]);
    },
  );

  test('what the engine refuses is refused', async () => {
    aws.put('data', KEY, CSV);
    const judge = vi.fn(async () => {
      throw new GateInputError('it needs more memory', { help: 'Raise engine.memory.' });
    });
    expect(await gate(judge)(created(KEY), context())).toMatchObject({ message: 'it needs more memory' });
    expect(published()[0]!.Message).toContain('What now: Raise engine.memory.');
    expect(aws.keys('evidence', '').every((key) => key.includes('/refusals/'))).toBe(true);
  });
});

describe('which dataset', () => {
  test('the longest prefix wins, and only in its own bucket', async () => {
    const bundle = JSON.parse(aws.get('assets', 'bundle.json').body.toString());
    bundle.datasets.late = { ...bundle.datasets.flights, prefix: 'flights/late/' };
    bundle.datasets.elsewhere = { ...bundle.datasets.flights, prefix: 'flights/late/x/', bucket: 'other' };
    aws.put('assets', 'bundle.json', JSON.stringify(bundle));
    aws.put('data', 'flights/late/x/a.csv', CSV);
    aws.put('evidence', 'baselines/late/current.json', JSON.stringify({ ...PROFILE, dataset: 'late' }));
    const judge = judgeAs('pass');
    await gate(judge)(created('flights/late/x/a.csv'), context());
    expect(judge.mock.calls[0]![0].baseline?.profile.dataset).toBe('late');
  });

  test('the configuration is read once, and again after it could not be read', async () => {
    aws.put('data', KEY, CSV);
    const config = { Bucket: 'assets', Key: 'bundle.json' };
    aws.s3.on(GetObjectCommand, config).rejectsOnce(s3Error('SlowDown', 503));
    const handle = gate(judgeAs('pass'));
    await expect(handle(created(KEY), context())).rejects.toThrow(/GetObject s3:\/\/assets\/bundle\.json/);
    aws.s3.on(GetObjectCommand, config).callsFake(() => {
      const { body } = aws.get('assets', 'bundle.json');
      return { Body: aws.body({ Bucket: '', Key: '' }, body), ContentLength: body.length };
    });
    await handle(created(KEY), context());
    await handle(created(KEY), context('r2'));
    const reads = aws
      .inputs('s3', GetObjectCommand)
      .filter((input) => (input as typeof config).Bucket === 'assets');
    expect(reads).toHaveLength(2);
  });

  test('a missing configuration is a broken deployment', async () => {
    aws.objects.delete('assets/bundle.json');
    await expect(gate(judgeAs('pass'))(created(KEY), context())).rejects.toThrow(
      /there is no configuration at s3:\/\/assets\/bundle\.json Deploy Tocsin again/,
    );
  });
});

describe('what the world got wrong', () => {
  test.each([
    ['AccessDenied', 403],
    ['SlowDown', 503],
    ['InternalError', 500],
  ])('%s is thrown for a retry, with the call and the object', async (name, status) => {
    aws.put('data', KEY, CSV);
    aws.s3.on(HeadObjectCommand).rejects(s3Error(name, status));
    const thrown = await gate(judgeAs('pass'))(created(KEY), context()).catch((error) => error);
    expect(thrown).toBeInstanceOf(GateDependencyError);
    expect(thrown.message).toContain(`HeadObject s3://data/${KEY} failed (HTTP ${status}): ${name}`);
    expect(published()).toEqual([]);
    expect(tagsOf(KEY)).toEqual({});
  });

  test('a network that is down is said so', async () => {
    aws.put('data', KEY, CSV);
    aws.s3
      .on(HeadObjectCommand)
      .rejects(Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' }));
    await expect(gate(judgeAs('pass'))(created(KEY), context())).rejects.toThrow(
      /failed \(no answer\): Error: connect ECONNREFUSED/,
    );
  });

  test('an event that EventBridge takes and drops is sent again', async () => {
    aws.put('data', KEY, CSV);
    aws.events
      .on(PutEventsCommand)
      .resolvesOnce({
        FailedEntryCount: 1,
        Entries: [{ ErrorCode: 'ThrottlingException', ErrorMessage: 'too many' }],
      })
      .resolves({ FailedEntryCount: 0, Entries: [{ EventId: 'e' }] });
    const judge = judgeAs('pass');
    const handle = gate(judge);
    await expect(handle(created(KEY), context())).rejects.toThrow(/ThrottlingException: too many/);
    await handle(created(KEY), context());
    expect(announced()).toHaveLength(2);
    expect(published()).toHaveLength(1);
    expect(judge).toHaveBeenCalledTimes(1);
  });

  test('a bug of ours is thrown as it is', async () => {
    aws.put('data', KEY, CSV);
    const bug = new TypeError('undefined is not a function');
    const judge = vi.fn(async () => {
      throw bug;
    });
    await expect(gate(judge)(created(KEY), context())).rejects.toBe(bug);
    expect(metrics()).toEqual([expect.objectContaining({ Errors: 1, dataset: 'flights' })]);
  });
});

describe('once', () => {
  const onAccept = { pipeline: 'train', uriParameter: 'DatasetUri' };

  test('the same event twice: one verdict, one notification, one event', async () => {
    const version = aws.put('data', KEY, CSV);
    const judge = judgeAs('pass');
    const handle = gate(judge);
    const first = await handle(created(KEY, version), context());
    const changes = [...aws.changes];
    const second = await handle(created(KEY, version), context('duplicate'));
    expect(second).toEqual(first);
    expect(aws.changes).toEqual(changes);
    expect(judge).toHaveBeenCalledTimes(1);
    expect(metrics()).toHaveLength(1);
  });

  test('the same bytes uploaded again as the latest verdict: tags and a line of history, and nobody is told', async () => {
    deploy({ onAccept });
    const first = aws.put('data', KEY, CSV);
    const handle = gate(judgeAs('pass'));
    const answer = await handle(created(KEY, first), context());
    const before = aws.changes.length;
    const second = aws.put('data', KEY, CSV);
    expect(await handle(created(KEY, second), context('later'))).toEqual({ ...answer, versionId: second });
    expect(aws.changes.slice(before)).toEqual([
      `PutObjectTagging ${KEY}`,
      expect.stringMatching(/^PutObject history\/quality-gate\/flights\/\d{13}-pass-/),
    ]);
    expect(tagsOf(KEY, second)).toEqual(tagsOf(KEY, first));
    expect(published()).toHaveLength(1);
    expect(announced()).toHaveLength(1);
    expect(aws.executions).toBe(1);
    expect(historyOf('flights')).toEqual(['pass', 'pass']);
  });

  test('the same bytes again after another verdict: told again, and not measured again', async () => {
    const judge = vi.fn<Dependencies['judge']>((question, ...rest) =>
      judgeAs(question.dataset.files[0]!.sha256 === sha256(CSV) ? 'pass' : 'fail')(question, ...rest),
    );
    const handle = gate(judge);
    for (const body of [CSV, `${CSV}0\n`, CSV]) {
      const version = aws.put('data', KEY, body);
      await handle(created(KEY, version), context(version));
    }
    expect(judge).toHaveBeenCalledTimes(2);
    expect(historyOf('flights')).toEqual(['pass', 'fail', 'pass']);
    expect(announced().map(({ Entries: [entry] }) => entry!.DetailType)).toEqual([
      'Dataset Accepted',
      'Dataset Rejected',
      'Dataset Accepted',
    ]);
    const [good, bad, again] = published();
    expect(good!.Message).not.toMatch(/Recovered|New:|Still/);
    expect(bad!.Message).toContain('New: until now it had passed, at least since');
    expect(again!.Message, 'that it is as it should be again').toMatch(
      /Recovered: it had failed since \S+ \(1 verdict in a row\)/,
    );
    expect(again!.Subject).toBe('Tocsin, recovered: dataset flights accepted (pass)');
    const latest = aws.get('data', KEY);
    expect(JSON.parse(announced()[2]!.Entries[0]!.Detail)).toMatchObject({ versionId: latest.versionId });

    const changes = aws.changes.length;
    await handle(created(KEY, latest.versionId), context('repeated event'));
    expect(aws.changes.slice(changes), 'a repeated event tells nobody').toEqual([]);
  });

  test('a second verdict that does not pass says for how long it has been so', async () => {
    const handle = gate(judgeAs('fail'));
    for (const body of [CSV, `${CSV}0\n`]) {
      const version = aws.put('data', KEY, body);
      await handle(created(KEY, version), context(version));
    }
    expect(published()[1]!.Message).toMatch(
      /Still: it has failed at least since \S+ \(2 verdicts in a row, with this one\)/,
    );
  });

  test('other bytes, or another contract, are another verdict', async () => {
    aws.put('data', KEY, CSV);
    const first = await gate(judgeAs('pass'))(created(KEY), context());
    aws.put('data', KEY, `${CSV}4\n`);
    const second = await gate(judgeAs('pass'))(created(KEY), context('r2'));
    expect((second as { verdict: string }).verdict).not.toBe((first as { verdict: string }).verdict);
    expect(published()).toHaveLength(2);
  });

  test('whether an inconclusive dataset may be read is what the configuration says now', async () => {
    aws.put('data', KEY, CSV);
    expect(await gate(judgeAs('inconclusive'))(created(KEY), context())).toMatchObject({ accepted: false });
    deploy({ inconclusive: 'allow' });
    expect(await gate(judgeAs('inconclusive'))(created(KEY), context('r2'))).toMatchObject({
      accepted: true,
    });
  });

  test('two at once: the second waits for the first and says the same', async () => {
    const version = aws.put('data', KEY, CSV);
    const judge = judgeAs('pass');
    const both = Promise.withResolvers<void>();
    let judging = 0;
    const together: Dependencies['judge'] = async (...args) => {
      if (++judging === 2) both.resolve();
      await both.promise;
      return judge(...args);
    };
    // Two sandboxes have two disks.
    const disks = ['a', 'b'].map((name) => mkdtempSync(join(tmp, name))) as [string, string];
    const [first, second] = await Promise.all([
      gate(together, { patienceMs: 5000, tmp: disks[0] })(created(KEY, version), context('a')),
      gate(together, { patienceMs: 5000, tmp: disks[1] })(
        { dataset: 'flights', uri: `s3://data/${KEY}`, versionId: version },
        context('b'),
      ),
    ]);
    for (const disk of disks) rmdirSync(disk);
    expect(first).toEqual(second);
    expect(published()).toHaveLength(1);
    expect(announced()).toHaveLength(1);
    expect(aws.s3).toHaveReceivedCommandTimes(PutObjectTaggingCommand, 1);
  });

  test('a verdict that another invocation has just claimed is left to it while there is time', async () => {
    aws.put('data', KEY, CSV);
    aws.diesAfter = 3;
    await expect(gate(judgeAs('pass'))(created(KEY), context('first'))).rejects.toThrow('the process died');
    aws.diesAfter = Number.POSITIVE_INFINITY;
    const patient = gate(judgeAs('pass'), { patienceMs: 3_600_000 });
    const thrown = await patient(created(KEY), context('second', 100)).catch((error) => error);
    expect(thrown).toBeInstanceOf(GateDependencyError);
    expect(thrown.message).toMatch(/belongs to another invocation.*taken over/);
    expect(published()).toEqual([]);
    expect(tagsOf(KEY)).toEqual({});
  });

  /** Every change of a clean run: a process can die after each of them. */
  const STEPS = [
    'profile.json',
    'report.html',
    'verdict.json',
    'PutObjectTagging',
    'telling-notified-',
    'Publish',
    '/notified-',
    'PutEvents',
    'announced-',
    'PutObject history/',
    'StartPipelineExecution',
    'published.json',
  ];

  describe.each(STEPS.map((step, index) => ({ step, dies: index + 1 })))(
    'a process that dies after $step',
    ({ step, dies }) => {
      /** How often what AWS does not make idempotent happened: twice only where it was the last that was done. */
      const check = (calls: number) => {
        expect(published()).toHaveLength(step === 'Publish' ? 2 : 1);
        expect(announced()).toHaveLength(step === 'PutEvents' ? 2 : 1);
        expect(aws.executions).toBe(1);
        expect(tagsOf(KEY)).toMatchObject({ 'tocsin:quality': 'passed' });
        const evidence = aws.keys('evidence', 'evidence/').map((key) => key.split('/').at(-1));
        expect(evidence).toEqual([
          expect.stringMatching(/^announced-[0-9a-f]{8}\.json$/),
          expect.stringMatching(/^notified-[0-9a-f]{8}\.json$/),
          'profile.json',
          'published.json',
          'report.html',
          expect.stringMatching(/^telling-notified-[0-9a-f]{8}\.json$/),
          'verdict.json',
        ]);
        expect(historyOf('flights'), 'one line of history, however often it is tried').toEqual(['pass']);
        const unknown = ['profile.json', 'report.html'].includes(step);
        expect(calls, 'a stored verdict is not measured again').toBe(unknown ? 2 : 1);
      };

      test('is finished by its own retry', async () => {
        deploy({ onAccept });
        aws.put('data', KEY, CSV);
        const judge = judgeAs('pass');
        aws.diesAfter = dies;
        await expect(gate(judge)(created(KEY), context())).rejects.toThrow('the process died');
        expect(aws.changes.at(-1)).toContain(step);

        aws.diesAfter = Number.POSITIVE_INFINITY;
        expect(await gate(judge)(created(KEY), context())).toMatchObject({ outcome: 'pass', accepted: true });
        check(judge.mock.calls.length);
      });

      test('is finished by another invocation when it must be dead', async () => {
        deploy({ onAccept });
        aws.put('data', KEY, CSV);
        const judge = judgeAs('pass');
        aws.diesAfter = dies;
        await expect(gate(judge)(created(KEY), context())).rejects.toThrow('the process died');
        for (const key of aws.keys('evidence', '')) {
          aws.get('evidence', key).modifiedAt = new Date(Date.now() - 16 * 60_000);
        }

        aws.diesAfter = Number.POSITIVE_INFINITY;
        expect(await gate(judge)(created(KEY), context('another'))).toMatchObject({ accepted: true });
        check(judge.mock.calls.length);
      });
    },
  );
});

describe('the deployed function', () => {
  afterEach(() => vi.unstubAllEnvs());

  test('takes everything from its environment', async () => {
    aws.put('data', KEY, CSV);
    for (const [name, value] of Object.entries({ ...ENV, AWS_REGION: 'us-east-1', TMPDIR: tmp })) {
      vi.stubEnv(name, String(value));
    }
    expect(await handler(created(KEY), context())).toMatchObject({ dataset: 'flights', outcome: 'pass' });
  });

  test('says what is missing there', async () => {
    vi.resetModules();
    const { handler } = await import('../../../functions/quality-gate/handler.ts');
    vi.stubEnv('MAX_DATASET_BYTES', 'much');
    await expect(handler(created(KEY), context())).rejects.toThrow(
      /environment: CONFIG_BUCKET: expected string, it is missing; .*MAX_DATASET_BYTES: expected number/,
    );
  });
});

describe('with the real engine', () => {
  test('good data passes, the same with zeros fails', async () => {
    const rows = Array.from({ length: 200 }, (_, index) => (index % 7) + 1);
    aws.put('data', 'flights/good.csv', `delay\n${rows.join('\n')}\n`);
    aws.put('data', 'flights/bad.csv', `delay\n${rows.map(() => 0).join('\n')}\n`);
    const handle = gate(realJudge);

    expect(await handle(created('flights/good.csv'), context('a'))).toMatchObject({ outcome: 'pass' });
    const bad = await handle(created('flights/bad.csv'), context('b'));

    expect(bad).toMatchObject({ outcome: 'fail', accepted: false });
    expect((bad as { findings: string[] }).findings.join('\n')).toMatch(/delay.*100%.*10%/);
    expect(tagsOf('flights/good.csv')).toMatchObject({ 'tocsin:quality': 'passed' });
    expect(tagsOf('flights/bad.csv')).toMatchObject({ 'tocsin:quality': 'failed' });
  });
});
