import {
  type ContainerDefinition,
  DescribeModelCommand,
  type DescribeModelCommandOutput,
  DescribeModelPackageCommand,
  type DescribeModelPackageCommandOutput,
} from '@aws-sdk/client-sagemaker';
import { describe, expect, test } from 'vitest';
import {
  type DeployedModel,
  readModels,
} from '../../../functions/config-parity/adapters/sagemaker-models.ts';
import { sagemakerError } from '../../support/fake-sagemaker.ts';
import { useEndpoints } from '../../support/parity-endpoints.ts';

const DIGEST = `sha256:${'ab12'.repeat(16)}`;
const OTHER = `sha256:${'cd34'.repeat(16)}`;
const PACKAGE = 'arn:aws:sagemaker:eu-west-1:111122223333:model-package/flights/7';
const DENIED = sagemakerError('AccessDeniedException', 'not authorized', 403);

const { mock, inputs, read } = useEndpoints();

const model = (more: Partial<DescribeModelCommandOutput>) =>
  mock.on(DescribeModelCommand).resolves({
    ModelName: 'flights-7',
    ModelArn: 'arn',
    CreationTime: new Date(0),
    ...more,
  });

const modelPackage = (more: Partial<DescribeModelPackageCommandOutput>) =>
  mock.on(DescribeModelPackageCommand).resolves({ ModelPackageArn: PACKAGE, ...more });

const readOne = (images: DeployedModel['images'] = []) =>
  read((reading) => readModels(reading, [{ name: 'flights/main', physical: 'flights-7', images }]));

// biome-ignore lint/suspicious/noExplicitAny: a test looks into it
const valueOfModel = async (images?: DeployedModel['images']): Promise<any> =>
  (await readOne(images)).resources[0]?.value;

const containerOf = async (own: ContainerDefinition, images?: DeployedModel['images']) => {
  model({ PrimaryContainer: own });
  const { containers } = await valueOfModel(images);
  expect(containers).toHaveLength(1);
  return containers[0];
};

const PLAIN = { name: '0', mode: 'SingleModel', repositoryAccess: 'Platform' };

describe('a model', () => {
  test('is its containers, and how they are run', async () => {
    model({
      ExecutionRoleArn: 'arn:role',
      VpcConfig: { Subnets: ['subnet-1'], SecurityGroupIds: ['sg-1'] },
      EnableNetworkIsolation: true,
      InferenceExecutionConfig: { Mode: 'Direct' },
      DeploymentRecommendation: { RecommendationStatus: 'COMPLETED', RealTimeInferenceRecommendations: [] },
      Containers: [
        {
          ContainerHostname: 'scaler',
          Image: 'r/scaler:1',
          ImageConfig: {
            RepositoryAccessMode: 'Vpc',
            RepositoryAuthConfig: { RepositoryCredentialsProviderArn: 'arn:provider' },
          },
          Mode: 'MultiModel',
          MultiModelConfig: { ModelCacheSetting: 'Disabled' },
          ModelDataUrl: 's3://models/all/',
          Environment: { SCALER_VERSION: '2026-07', Region: 'eu-west-1', EMPTY: '' },
          ContainerMetricsConfig: {
            MetricsEndpoints: [{ MetricsEndpointPath: '/metrics', MetricPublishFrequencyInSeconds: 60 }],
          },
        },
        {
          Image: 'r/model:1',
          ModelDataUrl: 's3://models/then/model.tar.gz',
          ModelDataSource: {
            S3DataSource: {
              S3Uri: 's3://models/now/',
              S3DataType: 'S3Prefix',
              CompressionType: 'None',
              ModelAccessConfig: { AcceptEula: true },
              HubAccessConfig: { HubContentArn: 'arn:hub' },
              ManifestS3Uri: 's3://models/manifest',
              ETag: '"1"',
              ManifestEtag: '"2"',
            },
          },
          AdditionalModelDataSources: [
            {
              ChannelName: 'draft',
              S3DataSource: {
                S3Uri: 's3://models/draft/',
                S3DataType: 'S3Prefix',
                CompressionType: 'None',
                ETag: '"3"',
              },
            },
          ],
        },
      ],
    });
    const part = await readOne([
      { SpecifiedImage: 'r/model:1', ResolvedImage: `r/model@${DIGEST}`, ResolutionTime: new Date(0) },
      { SpecifiedImage: 'r/scaler:1', ResolvedImage: `r/scaler@${OTHER}` },
    ]);
    expect(part.resources).toEqual([
      {
        kind: 'models',
        name: 'flights/main',
        physical: 'flights-7',
        value: {
          containers: [
            {
              name: 'scaler',
              image: 'r/scaler:1',
              imageDigest: OTHER,
              environment: { SCALER_VERSION: '2026-07', Region: 'eu-west-1', EMPTY: '' },
              modelData: { uri: 's3://models/all/', type: 'S3Prefix' },
              mode: 'MultiModel',
              multiModelCache: 'Disabled',
              repositoryAccess: 'Vpc',
              repositoryProvider: 'arn:provider',
              metrics: [{ name: '/metrics', frequencySeconds: 60 }],
            },
            {
              name: '1',
              image: 'r/model:1',
              imageDigest: DIGEST,
              modelData: {
                uri: 's3://models/now/',
                type: 'S3Prefix',
                compression: 'None',
                acceptEula: true,
                hubContent: 'arn:hub',
                manifest: 's3://models/manifest',
                etag: '"1"',
                manifestEtag: '"2"',
              },
              additionalModelData: [
                {
                  name: 'draft',
                  uri: 's3://models/draft/',
                  type: 'S3Prefix',
                  compression: 'None',
                  etag: '"3"',
                },
              ],
              mode: 'SingleModel',
              repositoryAccess: 'Platform',
            },
          ],
          invocation: 'Direct',
          networkIsolation: true,
          vpc: { subnets: ['subnet-1'], securityGroups: ['sg-1'] },
          role: 'arn:role',
        },
      },
    ]);
    expect(inputs(DescribeModelCommand)).toEqual([{ ModelName: 'flights-7' }]);
    expect(inputs(DescribeModelPackageCommand)).toEqual([]);
  });

  test('with one container is the same however that is written', async () => {
    model({ PrimaryContainer: { Image: 'r/m:1' } });
    const one = await valueOfModel();
    model({ Containers: [{ Image: 'r/m:1' }], InferenceExecutionConfig: { Mode: 'Serial' } });
    expect(await valueOfModel()).toEqual(one);
    expect(one).toEqual({
      containers: [{ ...PLAIN, image: 'r/m:1' }],
      invocation: 'Serial',
      networkIsolation: false,
    });
  });

  test('has the same archive, however its place is written', async () => {
    const short = await containerOf({ ModelDataUrl: 's3://models/m.tar.gz' });
    const S3DataSource = {
      S3Uri: 's3://models/m.tar.gz',
      S3DataType: 'S3Object',
      CompressionType: 'Gzip',
    } as const;
    expect(await containerOf({ ModelDataSource: { S3DataSource } })).toEqual(short);
    expect(short.modelData).toEqual({ uri: 's3://models/m.tar.gz', type: 'S3Object', compression: 'Gzip' });
  });

  test('has members that nobody knows yet', async () => {
    const news = { NewFeature: { MaxItems: 3 } };
    model({ ...news, PrimaryContainer: { Image: 'r/m:1', ...news } } as Partial<DescribeModelCommandOutput>);
    const value = await valueOfModel();
    expect(value.newFeature).toEqual({ maxItems: 3 });
    expect(value.containers[0].newFeature).toEqual({ maxItems: 3 });
  });
});

describe('the image of a container', () => {
  test('is what runs, whatever its tag says', async () => {
    const images = [{ SpecifiedImage: 'r/m:latest', ResolvedImage: `r/m@${DIGEST}` }];
    expect(await containerOf({ Image: 'r/m:latest' }, images)).toEqual({
      ...PLAIN,
      image: 'r/m:latest',
      imageDigest: DIGEST,
    });
  });

  test('is what runs where SageMaker specifies it in another way, and there is but one', async () => {
    const images = [{ SpecifiedImage: `r/m@${DIGEST}`, ResolvedImage: `r/m@${DIGEST}` }];
    expect((await containerOf({ Image: 'r/m:latest' }, images)).imageDigest).toBe(DIGEST);
    expect((await containerOf({ Image: 'r/m:latest' }, [...images, {}])).imageDigest).toBeUndefined();
  });

  test('may be written by its digest, or known to nobody', async () => {
    expect((await containerOf({ Image: `r/m@${OTHER}` })).imageDigest).toBe(OTHER);
    expect(await containerOf({ Image: 'r/m:1' }, [{ SpecifiedImage: 'r/m:1' }])).toEqual({
      ...PLAIN,
      image: 'r/m:1',
    });
  });
});

describe('a model of a package', () => {
  const packaged = {
    Image: 'r/m:7',
    ImageDigest: DIGEST,
    ModelDataUrl: 's3://registry/7.tar.gz',
    ModelDataETag: 'e7',
    Environment: { A: 'package', B: 'package' },
    Framework: 'XGBOOST',
    FrameworkVersion: '1.7',
    ModelInput: { DataInputConfig: '{"x": [1, 2]}' },
    ProductId: 'p-1',
    IsCheckpoint: false,
  } as const;

  test('has the containers of the package, and what it sets itself', async () => {
    model({ PrimaryContainer: { ModelPackageName: PACKAGE, Environment: { B: 'model' } } });
    modelPackage({ InferenceSpecification: { Containers: [packaged] } });
    expect((await valueOfModel()).containers).toEqual([
      {
        ...PLAIN,
        image: 'r/m:7',
        imageDigest: DIGEST,
        modelData: { uri: 's3://registry/7.tar.gz', type: 'S3Object', compression: 'Gzip', etag: 'e7' },
        environment: { A: 'package', B: 'model' },
        framework: 'XGBOOST',
        frameworkVersion: '1.7',
        input: { x: [1, 2] },
        productId: 'p-1',
        isCheckpoint: false,
        package: PACKAGE,
      },
    ]);
    expect(inputs(DescribeModelPackageCommand)).toEqual([{ ModelPackageName: PACKAGE }]);
  });

  test('has what runs, where that is known', async () => {
    model({ PrimaryContainer: { ModelPackageName: PACKAGE } });
    modelPackage({ InferenceSpecification: { Containers: [packaged] } });
    const [container] = (await valueOfModel([{ ResolvedImage: `r/m@${OTHER}` }])).containers;
    expect(container.imageDigest).toBe(OTHER);
  });

  test('may have several, of which what it sets is taken down once', async () => {
    model({
      Containers: [
        { Image: 'r/first:1' },
        { ModelPackageName: PACKAGE, InferenceSpecificationName: 'fast', Environment: { C: 'model' } },
      ],
    });
    modelPackage({
      InferenceSpecification: { Containers: [packaged] },
      AdditionalInferenceSpecifications: [
        { Name: 'slow', Containers: [] },
        {
          Name: 'fast',
          Containers: [
            { Image: 'r/scaler:1', ContainerHostname: 'scaler', ModelInput: { DataInputConfig: 'no JSON' } },
            { Image: 'r/fast:1', ModelDataSource: { S3DataSource: undefined } },
          ],
        },
      ],
    });
    expect((await valueOfModel()).containers).toEqual([
      { ...PLAIN, image: 'r/first:1' },
      {
        ...PLAIN,
        name: 'scaler',
        image: 'r/scaler:1',
        environment: { C: 'model' },
        input: 'no JSON',
        package: PACKAGE,
        inferenceSpecification: 'fast',
      },
      { ...PLAIN, name: '2', image: 'r/fast:1', package: PACKAGE, inferenceSpecification: 'fast' },
    ]);
  });

  const of = { physical: 'flights-7', action: 'sagemaker:DescribeModelPackage' };
  const path = ['models', 'flights/main', 'containers'];

  test.each([
    ['nobody may describe', DENIED, 'AccessDeniedException'],
    [
      'is gone',
      sagemakerError('ValidationException', `ModelPackage ${PACKAGE} does not exist.`),
      'deleted while it was read',
    ],
  ])('is known but for its containers, where the package %s', async (_, error, why) => {
    model({ PrimaryContainer: { ModelPackageName: PACKAGE }, ExecutionRoleArn: 'arn:role' });
    mock.on(DescribeModelPackageCommand).rejects(error);
    const { resources, unreadable } = await readOne();
    expect(unreadable).toEqual([{ ...of, path, why }]);
    expect(resources[0]?.value).toEqual({
      invocation: 'Serial',
      networkIsolation: false,
      role: 'arn:role',
    });
  });
});

describe('a model that cannot be read', () => {
  test.each([
    ['denied', DENIED, 'AccessDeniedException'],
    [
      'gone, though the endpoint has it',
      sagemakerError('ValidationException', 'Could not find model "flights-7".'),
      'deleted while it was read',
    ],
  ])('is unknown: %s', async (_, error, why) => {
    mock.on(DescribeModelCommand).rejects(error);
    const { resources, unreadable } = await readOne();
    expect(resources).toEqual([]);
    expect(unreadable).toEqual([
      { path: ['models', 'flights/main'], physical: 'flights-7', action: 'sagemaker:DescribeModel', why },
    ]);
  });
});
