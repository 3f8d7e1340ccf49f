import {
  CreateModelCommand,
  CreateTransformJobCommand,
  DeleteModelCommand,
  DescribeModelCommand,
  DescribeTransformJobCommand,
  StopTransformJobCommand,
} from '@aws-sdk/client-sagemaker';
import { describe, expect, test } from 'vitest';
import {
  blameOf,
  createModel,
  deleteModel,
  startTransform,
  stopTransform,
  transformState,
} from '../../../functions/holdout-evaluation/adapters/jobs.ts';
import type { PackagedContainer } from '../../../functions/holdout-evaluation/adapters/registry.ts';
import type { ModelConfig } from '../../../functions/holdout-evaluation/schema.ts';
import { GateDependencyError } from '../../../functions/shared/errors.ts';
import { sagemakerError, useSageMaker } from '../../support/fake-sagemaker.ts';

const { mock, sagemaker, inputs } = useSageMaker();

const DIGEST = `sha256:${'a'.repeat(64)}`;
const container: PackagedContainer = {
  image: '111122223333.dkr.ecr.us-east-1.amazonaws.com/models/delay:latest',
  imageDigest: DIGEST,
  modelDataUrl: 's3://models/model.tar.gz',
  modelDataEtag: 'etag',
  environment: { UNIT: 'miles' },
};
const PINNED = `111122223333.dkr.ecr.us-east-1.amazonaws.com/models/delay@${DIGEST}`;
const model = {
  name: 'tocsin-0123-c',
  roleArn: 'arn:aws:iam::111122223333:role/models',
  containers: [container],
  networkIsolation: true,
  tags: { 'tocsin:package': 'arn', 'tocsin:model': 'delay' },
};
const EXISTS = sagemakerError('ValidationException', 'Cannot create already existing model "arn:aws:..."');
const NO_MODEL = sagemakerError('ValidationException', 'Could not find model "arn:aws:...".');
const TROUBLE: [string, Error][] = [
  ['throttling', sagemakerError('ThrottlingException', 'Rate exceeded')],
  ['no rights', sagemakerError('AccessDeniedException', 'not authorized')],
  ['what SageMaker does not take', sagemakerError('ValidationException', '1 validation error detected')],
  ['SageMaker itself', sagemakerError('InternalFailure', 'oops', 500)],
];

describe('createModel', () => {
  test('of one container, by digest', async () => {
    mock.on(CreateModelCommand).resolves({});
    await createModel(sagemaker, model);
    expect(inputs(CreateModelCommand)).toEqual([
      {
        ModelName: 'tocsin-0123-c',
        PrimaryContainer: {
          Image: PINNED,
          ModelDataUrl: 's3://models/model.tar.gz',
          Environment: { UNIT: 'miles' },
        },
        ExecutionRoleArn: model.roleArn,
        EnableNetworkIsolation: true,
        Tags: [
          { Key: 'tocsin:model', Value: 'delay' },
          { Key: 'tocsin:package', Value: 'arn' },
        ],
      },
    ]);
  });

  test('of several containers, in their order, with whatever else says where their data is', async () => {
    mock.on(CreateModelCommand).resolves({});
    const source = {
      S3Uri: 's3://models/2/',
      S3DataType: 'S3Prefix' as const,
      CompressionType: 'None' as const,
    };
    const second: PackagedContainer = {
      hostname: 'second',
      image: 'registry:5000/b@sha256:old',
      imageDigest: DIGEST,
      modelDataSource: { S3DataSource: { ...source, ETag: 'e', ManifestEtag: 'm' } },
      additionalModelDataSources: [{ ChannelName: 'draft', S3DataSource: source }],
      modelDataEtag: 'e',
      environment: {},
    };
    const third: PackagedContainer = {
      image: 'registry:5000/c',
      imageDigest: undefined,
      modelDataEtag: undefined,
      environment: {},
    };
    await createModel(sagemaker, { ...model, containers: [container, second, third] });
    expect(inputs(CreateModelCommand)).toMatchObject([
      {
        Containers: [
          { Image: PINNED },
          {
            ContainerHostname: 'second',
            Image: `registry:5000/b@${DIGEST}`,
            ModelDataSource: { S3DataSource: source },
            AdditionalModelDataSources: [{ ChannelName: 'draft', S3DataSource: source }],
            Environment: {},
          },
          { Image: 'registry:5000/c', Environment: {} },
        ],
      },
    ]);
    expect(inputs(CreateModelCommand)[0]).not.toHaveProperty('PrimaryContainer');
  });

  test('that is there already is fine', async () => {
    mock.on(CreateModelCommand).rejects(EXISTS);
    mock.on(DescribeModelCommand).resolves({
      ModelName: model.name,
      ExecutionRoleArn: model.roleArn,
      PrimaryContainer: { Mode: 'SingleModel', Image: PINNED, ModelDataUrl: 's3://models/model.tar.gz' },
    });
    await createModel(sagemaker, model);
    expect(inputs(DescribeModelCommand)).toEqual([{ ModelName: model.name }]);
  });

  test.each([
    ['of another image', { PrimaryContainer: { Image: 'other', ModelDataUrl: 's3://models/model.tar.gz' } }],
    ['of other data', { PrimaryContainer: { Image: PINNED, ModelDataUrl: 's3://models/other.tar.gz' } }],
    ['of another role', { ExecutionRoleArn: 'arn:aws:iam::111122223333:role/other' }],
  ])('but not one %s', async (_, other) => {
    mock.on(CreateModelCommand).rejects(EXISTS);
    mock.on(DescribeModelCommand).resolves({
      ExecutionRoleArn: model.roleArn,
      PrimaryContainer: { Image: PINNED, ModelDataUrl: 's3://models/model.tar.gz' },
      ...other,
    });
    const thrown = await createModel(sagemaker, model).catch((error) => error);
    expect(thrown).toBeInstanceOf(GateDependencyError);
    expect(thrown.message).toBe('CreateModel failed: there is another model tocsin-0123-c already');
  });

  test.each(TROUBLE)('%s is the world’s', async (_, error) => {
    mock.on(CreateModelCommand).rejects(error);
    await expect(createModel(sagemaker, model)).rejects.toThrow(GateDependencyError);
  });
});

describe('deleteModel', () => {
  test('deletes it, and does not mind that it is gone', async () => {
    mock.on(DeleteModelCommand).resolvesOnce({}).rejects(NO_MODEL);
    await deleteModel(sagemaker, 'm');
    await deleteModel(sagemaker, 'm');
    expect(inputs(DeleteModelCommand)).toEqual([{ ModelName: 'm' }, { ModelName: 'm' }]);
  });

  test.each(TROUBLE)('%s is the world’s', async (_, error) => {
    mock.on(DeleteModelCommand).rejects(error);
    await expect(deleteModel(sagemaker, 'm')).rejects.toThrow(GateDependencyError);
  });
});

describe('startTransform', () => {
  const transform: ModelConfig['transform'] = {
    instanceType: 'ml.m5.large',
    instanceCount: 2,
    content: 'text/csv',
    timeout: 60_000,
    maxPayloadMb: 6,
    networkIsolation: true,
  };
  const job = {
    name: 'tocsin-0123-c',
    modelName: 'tocsin-0123-c',
    input: 's3://work/jobs/x/input.csv',
    output: 's3://work/jobs/x/candidate',
    transform,
    tags: { a: 'b' },
  };

  test('of CSV keeps the number of the row from the model, and joins it to the answer', async () => {
    mock.on(CreateTransformJobCommand).resolves({});
    await startTransform(sagemaker, job);
    expect(inputs(CreateTransformJobCommand)).toEqual([
      {
        TransformJobName: 'tocsin-0123-c',
        ModelName: 'tocsin-0123-c',
        BatchStrategy: 'MultiRecord',
        MaxPayloadInMB: 6,
        TransformInput: {
          DataSource: { S3DataSource: { S3DataType: 'S3Prefix', S3Uri: 's3://work/jobs/x/input.csv' } },
          ContentType: 'text/csv',
          SplitType: 'Line',
        },
        TransformOutput: {
          S3OutputPath: 's3://work/jobs/x/candidate',
          Accept: 'text/csv',
          AssembleWith: 'Line',
        },
        TransformResources: { InstanceType: 'ml.m5.large', InstanceCount: 2 },
        DataProcessing: { InputFilter: '$[1:]', JoinSource: 'Input' },
        Tags: [{ Key: 'a', Value: 'b' }],
      },
    ]);
  });

  test('of JSON Lines gives the model the features alone', async () => {
    mock.on(CreateTransformJobCommand).resolves({});
    await startTransform(sagemaker, {
      ...job,
      transform: { ...transform, content: 'application/jsonlines' },
    });
    expect(inputs(CreateTransformJobCommand)).toMatchObject([
      {
        TransformInput: { ContentType: 'application/jsonlines' },
        TransformOutput: { Accept: 'application/jsonlines' },
        DataProcessing: { InputFilter: '$.features', JoinSource: 'Input' },
      },
    ]);
  });

  const taken = sagemakerError('ResourceInUse', 'Job name must be unique within an AWS account and region');
  const theirs = (modelName: string, uri: string) => ({
    TransformJobName: job.name,
    ModelName: modelName,
    TransformInput: { DataSource: { S3DataSource: { S3DataType: 'S3Prefix' as const, S3Uri: uri } } },
  });

  test('that was started already is fine', async () => {
    mock.on(CreateTransformJobCommand).rejects(taken);
    mock.on(DescribeTransformJobCommand).resolves(theirs(job.modelName, job.input) as object);
    await startTransform(sagemaker, job);
    expect(inputs(DescribeTransformJobCommand)).toEqual([{ TransformJobName: job.name }]);
  });

  test.each([
    ['another model', theirs('other', job.input)],
    ['another input', theirs(job.modelName, 's3://work/other')],
  ])('but not one of %s', async (_, other) => {
    mock.on(CreateTransformJobCommand).rejects(taken);
    mock.on(DescribeTransformJobCommand).resolves(other as object);
    await expect(startTransform(sagemaker, job)).rejects.toThrow(/there is another transform job/);
  });

  test.each(TROUBLE)('%s is the world’s', async (_, error) => {
    mock.on(CreateTransformJobCommand).rejects(error);
    await expect(startTransform(sagemaker, job)).rejects.toThrow(GateDependencyError);
  });
});

describe('transformState', () => {
  test.each([
    ['InProgress', { state: 'running' }],
    ['Stopping', { state: 'running' }],
    ['Completed', { state: 'completed' }],
    ['Stopped', { state: 'stopped' }],
    ['Failed', { state: 'failed', reason: 'SageMaker gives no reason', blame: 'world' }],
  ])('%s', async (status, expected) => {
    mock.on(DescribeTransformJobCommand).resolves({ TransformJobStatus: status } as object);
    expect(await transformState(sagemaker, 'job')).toEqual(expected);
    expect(inputs(DescribeTransformJobCommand)).toEqual([{ TransformJobName: 'job' }]);
  });

  test('Failed, with its reason and whose fault it is', async () => {
    const reason = 'AlgorithmError: See job logs for more information';
    mock
      .on(DescribeTransformJobCommand)
      .resolves({ TransformJobStatus: 'Failed', FailureReason: reason } as object);
    expect(await transformState(sagemaker, 'job')).toEqual({ state: 'failed', reason, blame: 'model' });
  });

  test.each(TROUBLE)('%s is the world’s', async (_, error) => {
    mock.on(DescribeTransformJobCommand).rejects(error);
    await expect(transformState(sagemaker, 'job')).rejects.toThrow(GateDependencyError);
  });
});

describe('blameOf', () => {
  test.each([
    ['AlgorithmError: See job logs for more information', 'model'],
    ['AlgorithmError: , exit code: 1', 'model'],
    ['AlgorithmError: no module named s3fs, check the image', 'model'],
    ['ClientError: See job logs for more information', 'model'],
    ['ClientError: Model container failed to respond to ping; please ensure endpoint is responding', 'model'],
    ['ClientError: Model server did not respond to /invocations request within 600 seconds', 'model'],
    ['ClientError: Too much data for max payload size', 'model'],
    ['ClientError: No S3 objects found under S3 URL "s3://work/jobs/x" given in input data source', 'world'],
    ['ClientError: Unable to write output to s3://work/x.out: AccessDenied: Access Denied', 'world'],
    [
      'ClientError: Could not access model data at s3://models/model.tar.gz. Please ensure that the role exists',
      'world',
    ],
    ['ClientError: Failed to pull the image of the model container', 'world'],
    ['ClientError: The role is not authorized to perform kms:Decrypt', 'world'],
    ['CapacityError: Unable to provision requested ML compute capacity', 'world'],
    ['InternalServerError: We encountered an internal error. Please try again.', 'world'],
    ['ClientError: something that nobody has seen before', 'world'],
    ['', 'world'],
  ])('%s', (reason, blame) => {
    expect(blameOf(reason)).toBe(blame);
  });
});

describe('stopTransform', () => {
  const refused = sagemakerError('ValidationException', 'It is Completed already.');

  test.each([
    ['one that runs', undefined],
    ['one that has ended', refused],
    ['one that is gone', sagemakerError('ResourceNotFound', 'no such job')],
  ])('%s', async (_, error) => {
    const stub = mock.on(StopTransformJobCommand);
    if (error === undefined) stub.resolves({});
    else stub.rejects(error);
    mock.on(DescribeTransformJobCommand).resolves({ TransformJobStatus: 'Completed' } as object);
    await stopTransform(sagemaker, 'job');
    expect(inputs(StopTransformJobCommand)).toEqual([{ TransformJobName: 'job' }]);
  });

  test('one that runs on all the same is the world’s', async () => {
    mock.on(StopTransformJobCommand).rejects(refused);
    mock.on(DescribeTransformJobCommand).resolves({ TransformJobStatus: 'InProgress' } as object);
    await expect(stopTransform(sagemaker, 'job')).rejects.toThrow(GateDependencyError);
  });

  test.each(TROUBLE.filter(([what]) => what !== 'what SageMaker does not take'))(
    '%s is the world’s',
    async (_, error) => {
      mock.on(StopTransformJobCommand).rejects(error);
      await expect(stopTransform(sagemaker, 'job')).rejects.toThrow(GateDependencyError);
    },
  );
});
