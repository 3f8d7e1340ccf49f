import { gzipSync } from 'node:zlib';
import {
  CreateTransformJobCommand,
  type CreateTransformJobCommandInput,
  DescribeTransformJobCommand,
  ListTransformJobsCommand,
  StopTransformJobCommand,
} from '@aws-sdk/client-sagemaker';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { batchesOf, inOrder, processed } from '../../../sandbox/sagemaker/batches.ts';
import { validate } from '../../../sandbox/sagemaker/service.ts';
import { transformOperations } from '../../../sandbox/sagemaker/transform.ts';
import { transformDefinition } from '../../../sandbox/sagemaker/transform-definition.ts';
import { LocalSageMaker } from '../../support/sagemaker.ts';

/** Expects what becomes true soon; a busy machine may take its time. */
const eventually = (look: () => unknown) => expect.poll(look, { timeout: 30_000, interval: 20 });

type Definition = CreateTransformJobCommandInput;

/** The input of a job that works, with some members replaced. */
function definition(changes: {
  job?: Partial<Definition>;
  input?: Partial<Definition['TransformInput']>;
  output?: Partial<Definition['TransformOutput']>;
}): Definition {
  return {
    TransformJobName: 'job',
    ModelName: 'sum',
    TransformInput: {
      DataSource: { S3DataSource: { S3DataType: 'S3Prefix', S3Uri: 's3://data/in/' } },
      ContentType: 'text/csv',
      SplitType: 'Line',
      ...changes.input,
    },
    TransformOutput: {
      S3OutputPath: 's3://data/out',
      Accept: 'text/csv',
      AssembleWith: 'Line',
      ...changes.output,
    },
    TransformResources: { InstanceType: 'ml.m5.large', InstanceCount: 1 },
    ...changes.job,
  } as Definition;
}

let local: LocalSageMaker;

beforeEach(async () => {
  local = await LocalSageMaker.start({ operations: transformOperations });
  await local.createModel('sum');
});

afterEach(() => local.close());

/** Runs a job to its end. */
async function run(changes: Parameters<typeof definition>[0] = {}) {
  const input = definition(changes);
  await local.client.send(new CreateTransformJobCommand(input));
  await local.settled();
  return local.client.send(new DescribeTransformJobCommand({ TransformJobName: input.TransformJobName }));
}

const outputs = () => [...local.objects.keys()].filter((name) => name.startsWith('data/out/')).sort();

describe('a transform job', () => {
  it('predicts every record, in order, and keeps the keys below the prefix', async () => {
    const rows = Array.from({ length: 500 }, (_, index) => `${index},1`);
    local.put('data/in/a.csv', rows.join('\n'));
    local.put('data/in/2001/b.csv', '1,2\n3,4\n');
    local.put('data/in/', '');
    local.pageSize = 1;
    const job = await run({
      job: { BatchStrategy: 'SingleRecord', MaxConcurrentTransforms: 4, MaxPayloadInMB: 1 },
    });
    expect(job).toMatchObject({ TransformJobStatus: 'Completed' });
    expect(job.FailureReason).toBeUndefined();
    expect(outputs()).toEqual(['data/out/2001/b.csv.out', 'data/out/a.csv.out']);
    expect(local.text('data/out/2001/b.csv.out')).toBe('3\n7\n');
    expect(local.text('data/out/a.csv.out')).toBe(rows.map((_, index) => `${index + 1}\n`).join(''));
  });

  it('describes itself as SageMaker does, with what was left out', async () => {
    local.put('data/in/a.csv', '1');
    const job = await run();
    const { CreationTime, TransformStartTime, TransformEndTime, $metadata, ...rest } = job;
    expect(rest).toEqual({
      TransformJobName: 'job',
      TransformJobArn: 'arn:aws:sagemaker:us-east-1:000000000000:transform-job/job',
      TransformJobStatus: 'Completed',
      ModelName: 'sum',
      TransformInput: { ...definition({}).TransformInput, CompressionType: 'None' },
      TransformOutput: definition({}).TransformOutput,
      TransformResources: definition({}).TransformResources,
      DataProcessing: { InputFilter: '$', OutputFilter: '$', JoinSource: 'None' },
    });
    expect(CreationTime).toBeInstanceOf(Date);
    expect(Number(TransformStartTime)).toBeGreaterThanOrEqual(Number(CreationTime));
    expect(Number(TransformEndTime)).toBeGreaterThanOrEqual(Number(TransformStartTime));
    expect(local.authorized).toContain(
      'sagemaker:CreateTransformJob arn:aws:sagemaker:us-east-1:000000000000:transform-job/job',
    );
  });

  it('sends its events in the shape of EventBridge', async () => {
    local.put('data/in/a.csv', '1');
    await run({ job: { Tags: [{ Key: 'gate', Value: 'holdout' }] } });
    expect(local.events).toHaveLength(2);
    expect(local.events.map(({ detailType }) => detailType)).toEqual([
      'SageMaker Transform Job State Change',
      'SageMaker Transform Job State Change',
    ]);
    const [begun, ended] = local.events;
    expect(begun?.resources).toEqual(['arn:aws:sagemaker:us-east-1:000000000000:transform-job/job']);
    expect(begun?.detail).toMatchObject({
      TransformJobName: 'job',
      TransformJobStatus: 'InProgress',
      Tags: { gate: 'holdout' },
    });
    expect(ended?.detail.TransformJobStatus).toBe('Completed');
    // Milliseconds since 1970.
    expect(ended?.detail.CreationTime).toBeGreaterThan(1.7e12);
    expect(ended?.detail.TransformEndTime).toBeGreaterThan(1.7e12);
  });

  it('gives the container its headers and variables', async () => {
    local.put('data/in/a.csv', 'echo');
    await run({ input: { ContentType: 'text/csv; header=absent' } });
    expect(JSON.parse(local.text('data/out/a.csv.out') ?? '')).toMatchObject({
      headers: { 'content-type': 'text/csv; header=absent', accept: 'text/csv' },
      body: 'echo',
    });
    local.put('data/in/a.csv', 'env');
    await run({
      job: {
        TransformJobName: 'second',
        Environment: { THRESHOLD: '0.5' },
        MaxPayloadInMB: 7,
        BatchStrategy: 'MultiRecord',
      },
    });
    expect(JSON.parse(local.text('data/out/a.csv.out') ?? '')).toMatchObject({
      THRESHOLD: '0.5',
      SAGEMAKER_BATCH: 'true',
      SAGEMAKER_MAX_PAYLOAD_IN_MB: '7',
      SAGEMAKER_BATCH_STRATEGY: 'MultiRecord',
    });
  });

  it('takes a single object, one that is compressed, and encrypts', async () => {
    local.put('data/in/a.csv.gz', gzipSync('1\n2\n'));
    await run({
      input: {
        DataSource: { S3DataSource: { S3DataType: 'S3Prefix', S3Uri: 's3://data/in/a.csv.gz' } },
        CompressionType: 'Gzip',
      },
      output: { S3OutputPath: 's3://data/out/', KmsKeyId: 'alias/evidence' },
    });
    expect(local.text('data/out/a.csv.gz.out')).toBe('1\n2\n');
    expect(local.written).toEqual([
      {
        Bucket: 'data',
        Key: 'out/a.csv.gz.out',
        ServerSideEncryption: 'aws:kms',
        SSEKMSKeyId: 'alias/evidence',
      },
    ]);
  });

  it('joins and filters', async () => {
    local.put('data/in/a.csv', 'id-1,1,2\nid-2,3,4\n');
    await run({
      job: { DataProcessing: { InputFilter: '$[1:]', JoinSource: 'Input', OutputFilter: '$[0,-1]' } },
    });
    expect(local.text('data/out/a.csv.out')).toBe('id-1,3\nid-2,7\n');

    local.objects.delete('data/in/a.csv');
    local.put('data/in/a.jsonl', '{"id":"a","features":[1,2]}\n{"id":"b","features":[3]}\n');
    await run({
      job: {
        TransformJobName: 'lines',
        DataProcessing: {
          InputFilter: '$.features',
          JoinSource: 'Input',
          OutputFilter: "$['id','SageMakerOutput']",
        },
      },
      input: { ContentType: 'application/jsonlines' },
      output: { Accept: 'application/jsonlines' },
    });
    expect(local.text('data/out/a.jsonl.out')).toBe(
      '{"id":"a","SageMakerOutput":{"score":3,"parts":[3,1]}}\n{"id":"b","SageMakerOutput":{"score":3,"parts":[3,1]}}\n',
    );
  });

  it.each([
    [
      'boom',
      'AlgorithmError: See job logs for more information',
      'the container answered 500: cannot predict',
    ],
    ['bad', 'ClientError: See job logs for more information', 'the container answered 400: bad record'],
    ['die', 'AlgorithmError: See job logs for more information', 'Unable to get response from algorithm'],
  ])('fails on the record %s, without an output for its object', async (record, reason, logged) => {
    local.put('data/in/a.csv', `1\n${record}\n3\n`);
    local.put('data/in/b.csv', '4\n');
    const job = await run({ job: { ModelClientConfig: { InvocationsMaxRetries: 0 } } });
    expect(job).toMatchObject({ TransformJobStatus: 'Failed', FailureReason: reason });
    // What came after in time is transformed, as long as there is a container.
    expect(outputs()).toEqual(record === 'die' ? [] : ['data/out/b.csv.out']);
    expect(local.log.join('\n')).toContain(`[sagemaker logs]: data/in/a.csv: ${logged}`);
    expect(local.events.at(-1)?.detail).toMatchObject({
      TransformJobStatus: 'Failed',
      FailureReason: reason,
    });
  });

  it('asks again where an answer may come the second time', async () => {
    local.put('data/in/a.csv', 'once\n2\n');
    expect(await run()).toMatchObject({ TransformJobStatus: 'Completed' });
    expect(local.text('data/out/a.csv.out')).toBe('0\n2\n');
  });

  it('does not count predictions, except where it joins them', async () => {
    local.put('data/in/a.csv', '1\nshort\n');
    expect(await run()).toMatchObject({ TransformJobStatus: 'Completed' });
    expect(local.text('data/out/a.csv.out')).toBe('1\n');
    const joined = await run({
      job: { TransformJobName: 'joined', DataProcessing: { JoinSource: 'Input' } },
    });
    expect(joined.FailureReason).toBe('ClientError: See job logs for more information');
    expect(local.log.join('\n')).toContain('1 predictions for 2 records: they cannot be joined');
  });

  it('fails on predictions that are no text, where it joins them', async () => {
    local.put('data/in/a.csv', 'garbage\n');
    expect(await run({ job: { DataProcessing: { JoinSource: 'Input' } } })).toMatchObject({
      TransformJobStatus: 'Failed',
    });
    expect(outputs()).toEqual([]);
  });

  it('fails on a record that is larger than a payload', async () => {
    local.put('data/in/a.csv', `1\n${'1,'.repeat(600_000)}1\n`);
    expect(await run({ job: { MaxPayloadInMB: 1 } })).toMatchObject({
      TransformJobStatus: 'Failed',
      FailureReason: 'ClientError: See job logs for more information',
    });
    expect(local.log.join('\n')).toContain('Too much data for max payload size');
  });

  it.each([
    ['GetObject data/in', /^ClientError: Unable to read data from s3:\/\/data\/in\/a.csv: AccessDenied: /],
    [
      'PutObject data/out',
      /^ClientError: Unable to write output to s3:\/\/data\/out\/a.csv.out: AccessDenied: /,
    ],
    ['ListBucket data', /^ClientError: No S3 objects found under S3 URL "s3:\/\/data\/in\/" .*AccessDenied$/],
    ['GetObject models', /^ClientError: Could not access model data at s3:\/\/models\/sum\/model.tar.gz/],
  ])('fails where the role may not %s', async (denied, reason) => {
    local.put('data/in/a.csv', '1');
    local.denied.add(denied);
    const job = await run();
    expect(job).toMatchObject({ TransformJobStatus: 'Failed', FailureReason: expect.stringMatching(reason) });
    expect(job.FailureReason?.length).toBeLessThanOrEqual(1024);
    expect(outputs()).toEqual([]);
  });

  it('fails without input, with a damaged archive or model, and with a container that is not healthy', async () => {
    expect((await run()).FailureReason).toMatch(/^ClientError: No S3 objects found .*does not exist\.$/);

    local.put('data/in/a.csv', '1');
    const gzip = await run({ job: { TransformJobName: 'gzip' }, input: { CompressionType: 'Gzip' } });
    expect(gzip.FailureReason).toMatch(/^ClientError: s3:\/\/data\/in\/a.csv is not compressed with Gzip/);

    local.put('models/sum/model.tar.gz', 'hello');
    const damaged = await run({ job: { TransformJobName: 'damaged' } });
    expect(damaged.FailureReason).toMatch(/^ClientError: The model data at .* is no model.tar.gz/);

    await local.createModel('sick', { env: { PING: 'exit' } });
    const sick = await run({ job: { TransformJobName: 'sick', ModelName: 'sick' } });
    expect(sick.FailureReason).toMatch(/^AlgorithmError: Model container failed to respond to ping\. /);
    expect(local.log.join('\n')).toContain('transform job sick: no model here');
  });

  it('can be stopped, once', async () => {
    local.put('data/in/a.csv', 'hang\n');
    await local.client.send(new CreateTransformJobCommand(definition({})));
    await eventually(() => local.events.length).toBe(1);
    const stop = new StopTransformJobCommand({ TransformJobName: 'job' });
    await local.client.send(stop);
    await expect(local.client.send(stop)).rejects.toMatchObject({ name: 'ValidationException' });
    await local.settled();
    const job = await local.client.send(new DescribeTransformJobCommand({ TransformJobName: 'job' }));
    expect(job).toMatchObject({ TransformJobStatus: 'Stopped', TransformEndTime: expect.any(Date) });
    expect(job.FailureReason).toBeUndefined();
    expect(local.events.map(({ detail }) => detail.TransformJobStatus)).toEqual([
      'InProgress',
      'Stopping',
      'Stopped',
    ]);
    expect(outputs()).toEqual([]);
  });

  it('ends with the server', async () => {
    local.put('data/in/a.csv', 'hang\n');
    await local.client.send(new CreateTransformJobCommand(definition({})));
    await local.close();
    expect(outputs()).toEqual([]);
    local = await LocalSageMaker.start({ operations: transformOperations });
  });
});

describe('CreateTransformJob refuses', () => {
  it('a name that is taken, and a model that is not there', async () => {
    local.put('data/in/a.csv', '1');
    await run();
    await expect(local.client.send(new CreateTransformJobCommand(definition({})))).rejects.toMatchObject({
      name: 'ResourceInUse',
      message: expect.stringContaining('a job with this name already exists'),
    });
    const other = definition({ job: { TransformJobName: 'other', ModelName: 'none' } });
    await expect(local.client.send(new CreateTransformJobCommand(other))).rejects.toMatchObject({
      name: 'ValidationException',
      message: 'Could not find model "arn:aws:sagemaker:us-east-1:000000000000:model/none".',
    });
  });

  it('a caller who may not', async () => {
    local.forbidden.add('sagemaker:CreateTransformJob');
    await expect(local.client.send(new CreateTransformJobCommand(definition({})))).rejects.toMatchObject({
      name: 'AccessDeniedException',
    });
  });

  const json = { ContentType: 'application/json' };
  const join = { DataProcessing: { JoinSource: 'Input' as const } };
  it.each<[string, Parameters<typeof definition>[0], RegExp]>([
    ['no input', { job: { TransformInput: undefined } }, /transformInput.*must not be null/],
    ['a long name', { job: { TransformJobName: 'a'.repeat(64) } }, /length less than or equal to 63/],
    ['a bad name', { job: { TransformJobName: 'a_b' } }, /transformJobName.*regular expression/],
    [
      'no instance',
      { job: { TransformResources: { InstanceType: 'ml.m5.large', InstanceCount: 0 } } },
      /instanceCount/,
    ],
    ['a payload of 101 MB', { job: { MaxPayloadInMB: 101 } }, /cannot exceed 100 MB/],
    [
      '17 variables',
      { job: { Environment: Object.fromEntries([...'abcdefghijklmnopq'].map((key) => [key, ''])) } },
      /at most 16/,
    ],
    [
      'more than 100 MB at once',
      { job: { MaxPayloadInMB: 20, MaxConcurrentTransforms: 6 } },
      /cannot exceed 100 MB/,
    ],
    ['records of RecordIO', { input: { SplitType: 'RecordIO' } }, /SplitType None and Line only/],
    [
      'an unknown split',
      { input: { SplitType: 'Comma' as never } },
      /splitType.*enum value set: \[None, Line/,
    ],
    [
      'a manifest',
      { input: { DataSource: { S3DataSource: { S3DataType: 'ManifestFile', S3Uri: 's3://data/m' } } } },
      /S3Prefix only/,
    ],
    [
      'data capture',
      { job: { DataCaptureConfig: { DestinationS3Uri: 's3://data' } } },
      /captures no data of transform jobs/,
    ],
    ['a long filter', { job: { DataProcessing: { InputFilter: `$.${'a'.repeat(62)}` } } }, /inputFilter.*63/],
    ['a filter that is none', { job: { DataProcessing: { OutputFilter: '$..a' } } }, /JSONPath/],
    [
      'a filter of what is no text',
      { job: { DataProcessing: { InputFilter: '$[0]' } }, input: { ContentType: 'image/png' } },
      /InputFilter needs a TransformInput.ContentType of text\/csv/,
    ],
    [
      'a filter of output that is no text',
      { job: { DataProcessing: { OutputFilter: '$[0]' } }, output: { Accept: undefined } },
      /OutputFilter needs a TransformOutput.Accept/,
    ],
    [
      'a join of two formats',
      { job: join, input: json },
      /same TransformInput.ContentType and TransformOutput.Accept/,
    ],
    [
      'a join that is assembled otherwise',
      { job: join, output: { AssembleWith: 'None' } },
      /SplitType and TransformOutput.AssembleWith to be the same/,
    ],
    [
      'a join without formats',
      { job: join, input: { ContentType: undefined }, output: { Accept: undefined } },
      /JoinSource Input needs/,
    ],
  ])('%s', async (_, changes, message) => {
    await expect(local.client.send(new CreateTransformJobCommand(definition(changes)))).rejects.toMatchObject(
      {
        name: 'ValidationException',
        message: expect.stringMatching(message),
      },
    );
  });
});

describe('ListTransformJobs', () => {
  it('pages, sorts and filters; what is not there is ResourceNotFound', async () => {
    // No container is started for these.
    local.denied.add('GetObject models');
    for (const name of ['b-1', 'a-2', 'a-1']) await run({ job: { TransformJobName: name } });
    local.denied.clear();
    local.put('data/in/a.csv', '1');
    await run({ job: { TransformJobName: 'well' } });
    const names = async (query: object) => {
      const { TransformJobSummaries = [], NextToken } = await local.client.send(
        new ListTransformJobsCommand(query),
      );
      return { names: TransformJobSummaries.map(({ TransformJobName }) => TransformJobName), NextToken };
    };
    const sorting = { SortBy: 'Name', SortOrder: 'Ascending', MaxResults: 2 };
    const first = await names(sorting);
    expect(first.names).toEqual(['a-1', 'a-2']);
    expect(await names({ ...sorting, NextToken: first.NextToken })).toEqual({ names: ['b-1', 'well'] });
    expect((await names({ NameContains: 'a-', SortBy: 'Name' })).names).toEqual(['a-2', 'a-1']);
    expect((await names({ StatusEquals: 'Completed' })).names).toEqual(['well']);
    expect((await names({ CreationTimeAfter: new Date(Date.now() + 60_000) })).names).toEqual([]);
    for (const command of [
      new DescribeTransformJobCommand({ TransformJobName: 'none' }),
      new StopTransformJobCommand({ TransformJobName: 'none' }),
    ]) {
      await expect(local.client.send(command as DescribeTransformJobCommand)).rejects.toMatchObject({
        name: 'ResourceNotFound',
      });
    }
  });
});

describe('batches', () => {
  const parsed = (changes: Parameters<typeof definition>[0]) =>
    validate(transformDefinition, definition(changes));

  it('are the input, in pieces of whole records that fit', () => {
    fc.assert(
      fc.property(
        fc.array(fc.stringMatching(/^[a-z,]{0,12}$/), { maxLength: 30 }),
        fc.boolean(),
        fc.constantFrom('MultiRecord' as const, 'SingleRecord' as const),
        (lines, ends, BatchStrategy) => {
          const input = Buffer.from(lines.join('\n') + (ends && lines.length > 0 ? '\n' : ''));
          const batches = [...batchesOf(input, parsed({ job: { BatchStrategy } }))];
          expect(Buffer.concat(batches.map(({ payload }) => payload))).toEqual(input);
          expect(Buffer.concat(batches.map(({ records }) => records))).toEqual(input);
          for (const { payload } of batches.slice(0, -1)) expect(payload.at(-1)).toBe(0x0a);
          const count = input.toString().replace(/\n$/, '').split('\n').length;
          expect(batches).toHaveLength(input.length === 0 ? 0 : BatchStrategy === 'MultiRecord' ? 1 : count);
        },
      ),
    );
  });

  it('are as large as they may be', () => {
    const line = Buffer.from(`${'x'.repeat(400 * 1024 - 1)}\n`);
    const input = Buffer.concat(Array.from({ length: 7 }, () => line));
    const sizes = (changes: Parameters<typeof definition>[0]) =>
      [...batchesOf(input, parsed(changes))].map(({ payload }) => payload.length / line.length);
    expect(sizes({ job: { MaxPayloadInMB: 1 } })).toEqual([2, 2, 2, 1]);
    expect(sizes({ job: { MaxPayloadInMB: 2 } })).toEqual([5, 2]);
    expect(sizes({ job: { MaxPayloadInMB: 0 } })).toEqual([7]);
    expect(sizes({ input: { SplitType: 'None' } })).toEqual([7]);
    expect(() => sizes({ job: { MaxPayloadInMB: 1 }, input: { SplitType: 'None' } })).toThrow(
      'Too much data for max payload size',
    );
  });

  it('keep one JSON value whole where nothing is split', () => {
    const whole = parsed({
      job: {
        DataProcessing: { InputFilter: '$.rows', JoinSource: 'Input', OutputFilter: '$.SageMakerOutput' },
      },
      input: { ContentType: 'application/json', SplitType: 'None' },
      output: { Accept: 'application/json', AssembleWith: 'None' },
    });
    const input = Buffer.from('{\n "rows": [1,\n 2]\n}');
    const [batch] = batchesOf(input, whole);
    expect(batch?.payload.toString()).toBe('[1,2]');
    expect(processed(input, Buffer.from('{\n"score": 3\n}'), whole).toString()).toBe('{"score":3}');
  });
});

describe('inOrder', () => {
  it('keeps the order, bounds what goes on at once, and begins nothing after a failure', async () => {
    let running = 0;
    let most = 0;
    const begun: number[] = [];
    const work = async (item: number) => {
      begun.push(item);
      most = Math.max(most, ++running);
      for (let turn = 0; turn < 10 - item; turn++) await Promise.resolve();
      running--;
      if (item === 9) throw new Error('nine');
      return item * 2;
    };
    expect(await inOrder([1, 2, 3, 4, 5], 3, work)).toEqual([2, 4, 6, 8, 10]);
    expect(most).toBe(3);
    await expect(inOrder([9, 1, 2, 3, 4, 5, 6, 7], 2, work)).rejects.toThrow('nine');
    expect(begun).not.toContain(7);
  });
});
