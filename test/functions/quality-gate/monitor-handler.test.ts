import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CloudWatchClient, PutMetricDataCommand } from '@aws-sdk/client-cloudwatch';
import { GetObjectCommand, ListObjectsV2Command, S3Client } from '@aws-sdk/client-s3';
import { type AwsClientStub, mockClient } from 'aws-sdk-client-mock';
import 'aws-sdk-client-mock-vitest/extend';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { MonitorAnswer } from '../../../functions/quality-gate/monitor.ts';
import { createMonitorHandler, handler } from '../../../functions/quality-gate/monitor-handler.ts';
import type { MonitorBundle } from '../../../functions/quality-gate/schema.ts';
import { GateDependencyError, GateInputError } from '../../../functions/shared/errors.ts';
import { baselineKey } from '../../../functions/shared/evidence.ts';
import type { Profile } from '../../../functions/shared/profile.ts';
import { Capture, type DataCaptureConfig } from '../../../sandbox/sagemaker/capture.ts';
import type { Call } from '../../../sandbox/sagemaker/service.ts';
import { useLab } from '../../support/datasets.ts';
import { captureOutput, FakeAws, s3Error } from '../../support/fake-aws.ts';
import { createRandom, type Random } from '../../support/random.ts';

const ENV = {
  CONFIG_BUCKET: 'assets',
  CONFIG_KEY: 'monitors.json',
  EVIDENCE_BUCKET: 'evidence',
  MAX_DATASET_BYTES: 50_000_000,
  TMP_BYTES: 100_000_000,
  ENGINE_MEMORY_BYTES: 512_000_000,
};

/** The window is 11:05 to 12:05. */
const NOW = Date.parse('2026-01-31T12:10:00Z');
const INSIDE = Date.parse('2026-01-31T11:30:00Z');

const COLUMNS = `columns:
  date: { type: timestamp }
  distance: { type: integer, range: [0, 10] }
  ratio: { type: number }
  origin: { type: string, pattern: '[A-Z]{3}' }
  mail: { type: string, pii: true }
`;
const FEATURES = ['distance', 'ratio', 'origin'];
const ORIGINS = ['ATL', 'ORD', 'DFW'];

type Flight = { distance: number | null; ratio: number | null; origin: string | null };

/** A flight of the usual law, or of one that has moved. */
function flight(random: Random, { further = 0, zeros = 0 } = {}): Flight {
  return {
    distance: random.uniform() < 0.02 ? null : Math.round(800 + further + 300 * Math.abs(random.normal())),
    ratio: random.uniform() < zeros ? 0 : Math.exp(random.normal()),
    origin: ORIGINS[Math.floor(3 * random.uniform() ** 1.5)] ?? null,
  };
}

const csv = ({ distance, ratio, origin }: Flight) => `${distance ?? ''},${ratio ?? ''},${origin ?? ''}`;

const lab = useLab();
let baseline: Profile | undefined;
let aws: FakeAws;
let cloudwatch: AwsClientStub<CloudWatchClient>;
let output: ReturnType<typeof captureOutput>;
let tmp: string;

beforeEach(async () => {
  aws = new FakeAws();
  cloudwatch = mockClient(CloudWatchClient);
  cloudwatch.on(PutMetricDataCommand).resolves({});
  output = captureOutput();
  tmp = mkdtempSync(join(tmpdir(), 'tocsin-monitor-test-'));
  aws.unversioned.add('captured');
  deploy();
  if (baseline === undefined) {
    const random = createRandom(1);
    const rows = Array.from({ length: 20_000 }, () => csv(flight(random)));
    ({ profile: baseline } = await lab.measure({
      files: await lab.write('baseline.csv', `distance,ratio,origin\n${rows.join('\n')}\n`),
      contract: `contract: 1\ndataset: flights\nformat: csv\n${COLUMNS}`,
    }));
  }
  aws.put('evidence', baselineKey('flights'), JSON.stringify(baseline));
});

afterEach(() => {
  const left = readdirSync(tmp);
  rmSync(tmp, { recursive: true });
  output.restore();
  aws.restore();
  cloudwatch.restore();
  expect(left, 'files left in the working directory').toEqual([]);
});

/** Deploys the monitor `staging`. */
function deploy(change = ''): void {
  const bundle: MonitorBundle = {
    bundle: 1,
    file: 'tocsin.yaml',
    text: `driftMonitors:
  staging:
    endpoint: delays-staging
    capture: s3://captured/data/
    dataset: flights
    features: [${FEATURES.join(', ')}]
    ${change}
`,
    contracts: {
      flights: {
        file: 'contracts/flights.yaml',
        text: `contract: 1\ndataset: flights\nformat: parquet\n${COLUMNS}rules:\n  - { name: some, sql: ratio > 0 }\n`,
      },
    },
  };
  aws.put('assets', 'monitors.json', JSON.stringify(bundle));
}

/** Has the local SageMaker capture requests, one after the other, each a second later. */
async function capture(
  bodies: readonly string[],
  {
    from = INSIDE,
    type = 'text/csv',
    variant = 'blue',
    config = {},
  }: { from?: number; type?: string; variant?: string; config?: Partial<DataCaptureConfig> } = {},
): Promise<void> {
  let now = from;
  const s3 = new S3Client({});
  const call = {
    now: () => now,
    background: () => {},
    account: { s3As: async () => s3 },
    log: (line: string) => {
      throw new Error(line);
    },
  } as unknown as Call;
  const capturing = new Capture(
    {
      InitialSamplingPercentage: 100,
      DestinationS3Uri: 's3://captured/data/',
      CaptureOptions: [{ CaptureMode: 'InputAndOutput' }],
      ...config,
    } as DataCaptureConfig,
    `delays-staging/${variant}`,
    'arn:aws:iam::111122223333:role/model',
    call,
  );
  for (const body of bodies) {
    capturing.record(
      {
        input: { contentType: type, body: Buffer.from(body) },
        output: { contentType: type, body: Buffer.from('0.5\n') },
        inferenceId: 'tocsin-drill-0a1b2c3d-under-1-0',
      },
      0,
    );
    now += 1_000;
  }
  await capturing.flush();
}

/** Requests of so many records each. */
function requests(count: number, records: number, moved = {}, seed = 2, write = csv): string[] {
  const random = createRandom(seed);
  return Array.from({ length: count }, () =>
    Array.from({ length: records }, () => write(flight(random, moved))).join('\n'),
  );
}

const CONTEXT = { awsRequestId: 'request-1', getRemainingTimeInMillis: () => 300_000 };

function run(env: Partial<typeof ENV> = {}, event: unknown = { monitor: 'staging' }): Promise<MonitorAnswer> {
  return createMonitorHandler({
    env: { ...ENV, ...env },
    s3: new S3Client({}),
    cloudwatch: new CloudWatchClient({}),
    tmp,
    now: () => NOW,
  })(event, CONTEXT);
}

function published(): Record<string, number> {
  const [input] = cloudwatch.commandCalls(PutMetricDataCommand).map((called) => called.args[0].input);
  return Object.fromEntries(
    (input?.MetricData ?? []).map(({ MetricName, Dimensions, Value }) => [
      [MetricName, ...(Dimensions ?? []).map((dimension) => dimension.Value)].join(' '),
      Value ?? Number.NaN,
    ]),
  );
}

async function refusal(attempt: Promise<unknown>): Promise<GateInputError> {
  const error = await attempt.catch((thrown) => thrown);
  expect(error).toBeInstanceOf(GateInputError);
  expect(cloudwatch).toReceiveCommandTimes(PutMetricDataCommand, 0);
  return error as GateInputError;
}

describe('drift', () => {
  it('of usual records is next to nothing', async () => {
    await capture(requests(40, 50));
    const answer = await run();
    expect(answer).toEqual({
      monitor: 'staging',
      records: 2000,
      window: { from: '2026-01-31T11:05:00.000Z', to: '2026-01-31T12:05:00.000Z' },
      features: Object.fromEntries(
        FEATURES.map((name) => [
          name,
          { estimate: expect.any(Number), low: expect.any(Number), high: expect.any(Number) },
        ]),
      ),
      largest: { feature: expect.any(String), estimate: expect.any(Number) },
      notCompared: {},
      damaged: 0,
    });
    for (const { low, estimate, high } of Object.values(answer.features)) {
      expect(low).toBeLessThanOrEqual(estimate);
      expect(estimate).toBeLessThan(0.01);
      expect(high).toBeLessThan(0.08);
    }
    expect(answer.largest?.estimate).toBe(
      Math.max(...Object.values(answer.features).map(({ estimate }) => estimate)),
    );
  });

  it('is published once, at the end of the window', async () => {
    await capture(requests(40, 50, { further: 100 }));
    const { features, largest } = await run();
    expect(features.distance?.low).toBeGreaterThan(0.1);
    expect(features.ratio?.estimate).toBeLessThan(0.02);
    expect(largest).toEqual({ feature: 'distance', estimate: features.distance?.estimate });
    const Monitor = { Name: 'Monitor', Value: 'staging' };
    const Timestamp = new Date('2026-01-31T12:05:00Z');
    expect(cloudwatch).toHaveReceivedCommandExactlyOnceWith(PutMetricDataCommand, {
      Namespace: 'Tocsin/Drift',
      MetricData: [
        { MetricName: 'Records', Dimensions: [Monitor], Timestamp, Value: 2000, Unit: 'Count' },
        {
          MetricName: 'LargestDrift',
          Dimensions: [Monitor],
          Timestamp,
          Value: features.distance!.estimate,
          Unit: 'None',
        },
        ...FEATURES.map((name) => ({
          MetricName: 'Drift',
          Dimensions: [Monitor, { Name: 'Feature', Value: name }],
          Timestamp,
          Value: features[name]!.estimate,
          Unit: 'None' as const,
        })),
      ],
    });
  });

  it.each<[string, Parameters<typeof requests>[4], Parameters<typeof capture>[1]]>([
    ['CSV', csv, { config: { CaptureContentTypeHeader: { CsvContentTypes: ['text/csv'] } } }],
    ['base64', csv, {}],
    [
      'JSON Lines by name',
      (record) => JSON.stringify(record),
      {
        type: 'application/jsonlines',
        config: { CaptureContentTypeHeader: { JsonContentTypes: ['application/jsonlines'] } },
      },
    ],
    [
      'features in order',
      ({ distance, ratio, origin }) => JSON.stringify({ features: [distance, ratio, origin] }),
      { type: 'application/jsonlines' },
    ],
  ])('is the same whether it was captured as CSV or as %s', async (_, write, how) => {
    await capture(requests(20, 50, { further: 60, zeros: 0.1 }));
    const expected = await run();
    for (const key of aws.keys('captured', '')) aws.objects.delete(`captured/${key}`);
    await capture(requests(20, 50, { further: 60, zeros: 0.1 }, 2, write), how);
    expect(await run()).toEqual(expected);
  });

  it.each([
    ['ks', ['distance', 'ratio'], { origin: 'ks does not compare columns of its type, or it does not vary' }],
    ['wasserstein', ['distance', 'ratio'], { origin: expect.stringContaining('wasserstein does not') }],
    ['js', FEATURES, {}],
    ['linf', ['origin'], { distance: expect.any(String), ratio: expect.any(String) }],
  ])('is measured by %s', async (measure, compared, notCompared) => {
    deploy(`measure: ${measure}`);
    await capture(requests(20, 50, { further: 100 }));
    const answer = await run();
    expect(Object.keys(answer.features)).toEqual(compared);
    expect(answer.notCompared).toEqual(notCompared);
    if (measure !== 'linf') expect(answer.largest?.feature).toBe('distance');
  });

  it('is what values are that do not convert', async () => {
    const bodies = requests(40, 50).map((body) =>
      body.replace(/^\d+/gm, (text) => (Number(text) % 5 < 2 ? 'n/a' : text)),
    );
    await capture(bodies);
    const { features } = await run();
    expect(features.distance!.low).toBeGreaterThan(0.5);
    expect(features.ratio!.estimate).toBeLessThan(0.02);
  });

  it('of a feature that is lost is the largest, or nothing is', async () => {
    const bodies = requests(40, 50).map((body) => body.replace(/,[A-Z]+$/gm, ','));
    await capture(bodies);
    const answer = await run();
    expect(answer.largest?.feature).toBe('origin');
    expect(answer.largest?.estimate).toBeGreaterThan(3);
    deploy('measure: ks');
    for (const key of aws.keys('captured', '')) aws.objects.delete(`captured/${key}`);
    await capture(bodies.map((body) => body.replace(/^\d+/gm, '')));
    const lost = await run();
    expect(lost).toMatchObject({ features: { ratio: {} }, largest: null });
    expect(lost.notCompared.distance).toBe('no record has a value of its type');
  });

  it('of personal data and of unknown columns is not known, and said not to be', async () => {
    deploy('minRecords: 100');
    const text = JSON.parse(aws.get('assets', 'monitors.json').body.toString());
    text.text = text.text.replace('origin]', 'mail, date]');
    aws.put('assets', 'monitors.json', JSON.stringify(text));
    const bodies = requests(10, 50).map((body) => body.replaceAll(/$/gm, '@example.com,x'));
    await capture(bodies);
    const answer = await run();
    expect(Object.keys(answer.features)).toEqual(['distance', 'ratio']);
    expect(answer.notCompared).toEqual({
      mail: 'the baseline does not have it',
      date: 'the baseline does not have it',
    });
    const warning = output
      .lines()
      .map((line) => JSON.parse(line))
      .find(({ level }) => level === 'WARN');
    expect(warning).toMatchObject({ message: 'not all was compared', notCompared: answer.notCompared });
    expect(output.lines().join()).not.toContain('@example.com');
  });
});

describe('a window', () => {
  it('has the records of its requests, of every variant, whatever folder they were written to', async () => {
    deploy('minRecords: 50');
    const half = Date.parse('2026-01-31T11:04:30Z');
    // 30 of 60 are in the window.
    await capture(requests(60, 1), { from: half });
    // Begun in the window, and written after it.
    await capture(requests(120, 1), { from: Date.parse('2026-01-31T12:04:00Z'), variant: 'green' });
    await capture(requests(40, 1), { from: Date.parse('2026-01-31T09:00:00Z') });
    const keys = aws.keys('captured', '');
    // The last line of a file tells the folder; SageMaker's files may as well be named by their first.
    const early = keys.find((key) => key.includes('/blue/2026/01/31/11/'))!;
    aws.put('captured', early.replace('/11/', '/10/'), aws.get('captured', early).body);
    expect((await run()).records).toBe(30 + 30 + 60);
  });

  it('is not searched in files that were written before it', async () => {
    await capture(requests(5, 1));
    const [key = ''] = aws.keys('captured', '');
    const { body } = aws.get('captured', key);
    aws.put('captured', `${key}.jsonl`, body, { modifiedAt: new Date('2026-01-31T10:50:00Z') });
    aws.put('captured', `${key}.manifest`, 'not captured');
    await run();
    const read = aws.s3.commandCalls(GetObjectCommand).map((called) => called.args[0].input);
    expect(read.filter(({ Bucket }) => Bucket === 'captured').map(({ Key }) => Key)).toEqual([key]);
  });

  it('is listed page by page, and no further than it reaches', async () => {
    aws.pageSize = 2;
    for (let minute = 0; minute < 5; minute++)
      await capture(requests(2, 1), { from: INSIDE + minute * 60_000 });
    expect((await run()).records).toBe(10);
    const asked = aws.s3.commandCalls(ListObjectsV2Command).map((called) => called.args[0].input);
    expect(asked[0]).toEqual({ Bucket: 'captured', Prefix: 'data/delays-staging/', Delimiter: '/' });
    expect([...new Set(asked.slice(1).map(({ Prefix }) => Prefix))]).toEqual(
      ['10', '11', '12', '13'].map((hour) => `data/delays-staging/blue/2026/01/31/${hour}/`),
    );
  });

  it('with too few records says how many there are, and no drift', async () => {
    await capture(requests(10, 40));
    expect(await run()).toMatchObject({ records: 400, features: {}, largest: null });
    expect(published()).toEqual({ 'Records staging': 400 });
    const [line] = output.lines().map((text) => JSON.parse(text));
    expect(line).toMatchObject({
      level: 'WARN',
      message: 'too few records to compare',
      monitor: 'staging',
      records: 400,
      minRecords: 500,
    });
  });

  it('of an endpoint that nobody asks has none', async () => {
    expect(await run()).toMatchObject({ records: 0, features: {}, largest: null });
    expect(published()).toEqual({ 'Records staging': 0 });
  });

  it('of more than one measurement can read is refused', async () => {
    await capture(requests(10, 40));
    const { message } = await refusal(run({ MAX_DATASET_BYTES: 1_000 }));
    expect(message).toMatch(
      /^the window has 1 captured file of .* one measurement reads at most 20,000 of 1 KB/,
    );
    expect(message).toContain('Make the window shorter');
  });
});

describe('damage', () => {
  /** Cuts lines of the only file off. */
  function damage(...lines: number[]): string {
    const [key = ''] = aws.keys('captured', '');
    const text = aws.get('captured', key).body.toString().split('\n');
    for (const line of lines) text[line - 1] = text[line - 1]!.slice(0, 100);
    aws.put('captured', key, text.join('\n'));
    return key;
  }

  it('of one request in a hundred is counted', async () => {
    await capture(requests(200, 5));
    damage(7, 100);
    expect(await run()).toMatchObject({ records: 990, damaged: 2 });
  });

  it('of more is an error that names the first', async () => {
    await capture(requests(200, 5));
    const key = damage(7, 8, 9);
    const { message } = await refusal(run());
    expect(message).toBe(
      `3 of 200 captured requests cannot be read, at most 1% may be damaged; the first: s3://captured/${key} line 7: it is not JSON Compare features of the drift monitor (names and order) with what the endpoint is asked.`,
    );
  });

  it('of a configuration that names other features, too', async () => {
    await capture(requests(20, 5).map((body) => body.replaceAll(/$/gm, ',more')));
    expect((await refusal(run())).message).toContain('has 4 values, and the drift monitor names 3 features');
  });
});

describe('errors', () => {
  it('without a baseline there is nothing to compare with', async () => {
    aws.objects.delete(`evidence/${baselineKey('flights')}`);
    expect((await refusal(run())).message).toContain('dataset flights has no baseline');
  });

  it('an unknown monitor is refused', async () => {
    expect((await refusal(run({}, { monitor: 'production' }))).message).toContain(
      'no drift monitor "production"',
    );
  });

  it.each([
    ['listing', ListObjectsV2Command],
    ['reading', GetObjectCommand],
  ])('that S3 refuses %s is told', async (_, command) => {
    await capture(requests(5, 1));
    aws.s3
      .on(command as typeof GetObjectCommand, { Bucket: 'captured' })
      .rejects(s3Error('AccessDenied', 403));
    await expect(run()).rejects.toThrow(GateDependencyError);
  });

  it('that CloudWatch refuses the metrics is told', async () => {
    cloudwatch.on(PutMetricDataCommand).rejects(Object.assign(new Error('no'), { name: 'Throttling' }));
    await expect(run()).rejects.toThrow('PutMetricData Tocsin/Drift failed');
    const counted = output
      .lines()
      .map((text) => JSON.parse(text))
      .find((line) => line.Errors === 1);
    expect(counted).toMatchObject({ gate: 'quality-gate', monitor: 'staging' });
  });

  it('the function needs its environment', async () => {
    await expect(handler({ monitor: 'staging' }, CONTEXT)).rejects.toThrow('environment: CONFIG_BUCKET');
  });
});
