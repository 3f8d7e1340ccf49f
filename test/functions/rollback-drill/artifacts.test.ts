import {
  CreateEndpointConfigCommand,
  CreateModelCommand,
  DeleteEndpointConfigCommand,
  DeleteModelCommand,
  DescribeEndpointConfigCommand,
  type DescribeEndpointConfigCommandOutput,
  DescribeModelCommand,
} from '@aws-sdk/client-sagemaker';
import { describe, expect, test } from 'vitest';
import {
  cloneConfig,
  createModel,
  deleteConfig,
  deleteModel,
} from '../../../functions/rollback-drill/adapters/artifacts.ts';
import { configHash } from '../../../functions/rollback-drill/adapters/endpoint.ts';
import { GateDependencyError, GateInputError } from '../../../functions/shared/errors.ts';
import { sagemakerError, useSageMaker } from '../../support/fake-sagemaker.ts';

const { mock, sagemaker, inputs } = useSageMaker();

const thrownBy = (work: Promise<unknown>) =>
  work.then(
    () => expect.fail('nothing was thrown'),
    (error) => error,
  );

const PACKAGE = 'arn:aws:sagemaker:us-east-1:111122223333:model-package/models/7';
const ROLE = 'arn:aws:iam::111122223333:role/models';
const VPC = { SecurityGroupIds: ['sg-1'], Subnets: ['subnet-1', 'subnet-2'] };
const NO_MODEL = sagemakerError('ValidationException', 'Could not find model "arn:aws:...".');
const NO_CONFIG = sagemakerError(
  'ValidationException',
  'Could not find endpoint configuration "arn:aws:...".',
);
const TROUBLE: [string, Error][] = [
  ['throttling', sagemakerError('ThrottlingException', 'Rate exceeded')],
  ['no rights', sagemakerError('AccessDeniedException', 'not authorized', 403)],
];
const described = { ModelName: 'm', ModelArn: 'arn', CreationTime: new Date(0) };

describe('a model', () => {
  const EXISTS = sagemakerError('ValidationException', 'Cannot create already existing model "arn:aws:...".');
  const model = {
    name: 'tocsin-drill-0a1b-bad',
    package: PACKAGE,
    role: ROLE,
    like: 'delay-7' as string | null,
    tags: { 'tocsin:drill': 'flight-delay', 'tocsin:endpoint': 'staging' } as Record<string, string>,
  };
  const create = (more: Partial<typeof model> = {}) => createModel(sagemaker, { ...model, ...more });

  test('is that of the package, in the network of another', async () => {
    mock
      .on(DescribeModelCommand)
      .resolves({ ...described, VpcConfig: VPC, EnableNetworkIsolation: true })
      .on(CreateModelCommand)
      .resolves({});
    await create();
    expect(inputs(DescribeModelCommand)).toEqual([{ ModelName: 'delay-7' }]);
    expect(inputs(CreateModelCommand)).toEqual([
      {
        ModelName: 'tocsin-drill-0a1b-bad',
        Containers: [{ ModelPackageName: PACKAGE }],
        ExecutionRoleArn: ROLE,
        VpcConfig: VPC,
        EnableNetworkIsolation: true,
        Tags: [
          { Key: 'tocsin:drill', Value: 'flight-delay' },
          { Key: 'tocsin:endpoint', Value: 'staging' },
        ],
      },
    ]);
  });

  test.each([
    ['like none', null],
    ['like one without', 'delay-7'],
  ])('has no network of its own %s', async (_, like) => {
    mock.on(DescribeModelCommand).resolves(described).on(CreateModelCommand).resolves({});
    await create({ like, tags: {} });
    expect(inputs(CreateModelCommand)).toEqual([
      {
        ModelName: 'tocsin-drill-0a1b-bad',
        Containers: [{ ModelPackageName: PACKAGE }],
        ExecutionRoleArn: ROLE,
        Tags: [],
      },
    ]);
  });

  test('is not made where the one that it is like is gone: nothing could bring that back', async () => {
    mock.on(DescribeModelCommand).rejects(NO_MODEL);
    const error = await thrownBy(create());
    expect(error).toBeInstanceOf(GateInputError);
    expect(error.message).toContain('there is no model delay-7 any more');
    expect(inputs(CreateModelCommand)).toEqual([]);
  });

  test.each([
    ['of one container', { PrimaryContainer: { ModelPackageName: PACKAGE } }],
    ['of a list', { Containers: [{ ModelPackageName: PACKAGE }] }],
  ])('that is there already is fine: %s', async (_, containers) => {
    mock
      .on(CreateModelCommand)
      .rejects(EXISTS)
      .on(DescribeModelCommand)
      .resolves({ ...described, ExecutionRoleArn: ROLE, ...containers });
    await create({ like: null });
    expect(inputs(DescribeModelCommand)).toEqual([{ ModelName: 'tocsin-drill-0a1b-bad' }]);
  });

  test.each([
    ['package', { ExecutionRoleArn: ROLE, Containers: [{ ModelPackageName: `${PACKAGE}0` }] }],
    ['number of containers', { ExecutionRoleArn: ROLE, Containers: [{ ModelPackageName: PACKAGE }, {}] }],
    ['role', { ExecutionRoleArn: `${ROLE}-2`, Containers: [{ ModelPackageName: PACKAGE }] }],
    ['everything', {}],
  ])('of another %s is somebody else’s', async (_, found) => {
    mock
      .on(CreateModelCommand)
      .rejects(EXISTS)
      .on(DescribeModelCommand)
      .resolves({ ...described, ...found });
    const error = await thrownBy(create({ like: null }));
    expect(error).toBeInstanceOf(GateDependencyError);
    expect(error.message).toContain('there is another model tocsin-drill-0a1b-bad already');
  });

  test('that SageMaker calls invalid is not asked for again', async () => {
    mock
      .on(CreateModelCommand)
      .rejects(sagemakerError('ValidationException', 'Model package is not approved'));
    const error = await thrownBy(create({ like: null }));
    expect(error).toBeInstanceOf(GateInputError);
    expect(error.message).toBe('CreateModel tocsin-drill-0a1b-bad: Model package is not approved');
  });

  test.each(TROUBLE)('cannot be made: %s', async (_, trouble) => {
    mock.on(CreateModelCommand).rejects(trouble);
    expect(await thrownBy(create({ like: null }))).toBeInstanceOf(GateDependencyError);
    mock.on(DescribeModelCommand).rejects(trouble);
    expect(await thrownBy(create())).toBeInstanceOf(GateDependencyError);
  });

  test('is deleted, also where it is gone', async () => {
    mock.on(DeleteModelCommand).resolvesOnce({}).rejects(NO_MODEL);
    await deleteModel(sagemaker, 'tocsin-drill-0a1b-bad');
    await deleteModel(sagemaker, 'tocsin-drill-0a1b-bad');
    expect(inputs(DeleteModelCommand)).toEqual(Array(2).fill({ ModelName: 'tocsin-drill-0a1b-bad' }));
  });

  test.each(TROUBLE)('cannot be deleted: %s', async (_, trouble) => {
    mock.on(DeleteModelCommand).rejects(trouble);
    expect(await thrownBy(deleteModel(sagemaker, 'tocsin-drill-x'))).toBeInstanceOf(GateDependencyError);
  });
});

const variant = (VariantName: string, more: object = {}) => ({
  VariantName,
  ModelName: `${VariantName}-model`,
  InitialInstanceCount: 2,
  InstanceType: 'ml.m5.large' as const,
  InitialVariantWeight: 0.5,
  RoutingConfig: { RoutingStrategy: 'RANDOM' as const },
  ...more,
});

/** Everything that an endpoint configuration can say. */
const SAID = {
  ProductionVariants: [variant('stable', { EnableSSMAccess: true }), variant('candidate')],
  ShadowProductionVariants: [variant('shadow')],
  DataCaptureConfig: {
    EnableCapture: true,
    InitialSamplingPercentage: 50,
    DestinationS3Uri: 's3://captured/staging',
    CaptureOptions: [{ CaptureMode: 'Input' as const }],
  },
  KmsKeyId: 'key-1',
  AsyncInferenceConfig: { OutputConfig: { S3OutputPath: 's3://out' } },
  ExplainerConfig: { ClarifyExplainerConfig: { ShapConfig: { ShapBaselineConfig: {} } } },
  ExecutionRoleArn: ROLE,
  VpcConfig: VPC,
  EnableNetworkIsolation: true,
  MetricsConfig: { EnableEnhancedMetrics: true },
};

const config = (EndpointConfigName: string, said: object = SAID): DescribeEndpointConfigCommandOutput =>
  ({
    $metadata: { requestId: EndpointConfigName },
    EndpointConfigName,
    EndpointConfigArn: `arn:aws:sagemaker:us-east-1:111122223333:endpoint-config/${EndpointConfigName}`,
    CreationTime: new Date(EndpointConfigName.length),
    ...said,
  }) as DescribeEndpointConfigCommandOutput;

describe('an endpoint configuration', () => {
  const EXISTS = sagemakerError(
    'ValidationException',
    'Cannot create already existing endpoint configuration "arn:aws:...".',
  );
  const clone = (models?: Record<string, string>) =>
    cloneConfig(sagemaker, {
      from: 'staging-7',
      to: 'tocsin-drill-0a1b',
      ...(models !== undefined && { models }),
      tags: { 'tocsin:drill': 'flight-delay' },
    });
  const knows = (...configs: DescribeEndpointConfigCommandOutput[]) => {
    mock.on(DescribeEndpointConfigCommand).rejects(NO_CONFIG);
    for (const one of configs) {
      mock
        .on(DescribeEndpointConfigCommand, { EndpointConfigName: one.EndpointConfigName ?? '' })
        .resolves(one);
    }
  };

  test('is copied with all that it says', async () => {
    knows(config('staging-7'));
    mock.on(CreateEndpointConfigCommand).resolves({});
    await clone();
    expect(inputs(DescribeEndpointConfigCommand)).toEqual([{ EndpointConfigName: 'staging-7' }]);
    expect(inputs(CreateEndpointConfigCommand)).toEqual([
      {
        ...SAID,
        EndpointConfigName: 'tocsin-drill-0a1b',
        Tags: [{ Key: 'tocsin:drill', Value: 'flight-delay' }],
      },
    ]);
  });

  test('may get other models', async () => {
    knows(config('staging-7'));
    mock.on(CreateEndpointConfigCommand).resolves({});
    await clone({ candidate: 'tocsin-drill-0a1b-bad' });
    expect(inputs(CreateEndpointConfigCommand)).toEqual([
      {
        ...SAID,
        ProductionVariants: [
          SAID.ProductionVariants[0],
          { ...SAID.ProductionVariants[1], ModelName: 'tocsin-drill-0a1b-bad' },
        ],
        EndpointConfigName: 'tocsin-drill-0a1b',
        Tags: [{ Key: 'tocsin:drill', Value: 'flight-delay' }],
      },
    ]);
  });

  test('has nothing in its copy that the original does not say', async () => {
    const ProductionVariants = [variant('constructor')];
    knows(config('staging-7', { ProductionVariants, ShadowProductionVariants: [], KmsKeyId: undefined }));
    mock.on(CreateEndpointConfigCommand).resolves({});
    await clone();
    expect(inputs(CreateEndpointConfigCommand)).toStrictEqual([
      {
        ProductionVariants,
        EndpointConfigName: 'tocsin-drill-0a1b',
        Tags: [{ Key: 'tocsin:drill', Value: 'flight-delay' }],
      },
    ]);
  });

  test('hashes as its copy does, in whatever order the variants are; and as nothing else', async () => {
    const { ProductionVariants, ...rest } = SAID;
    knows(
      config('staging-7'),
      config('copy', { ...rest, ProductionVariants: ProductionVariants.toReversed() }),
      config('without', { ...SAID, MetricsConfig: undefined }),
      config('other', {
        ...rest,
        ProductionVariants: [ProductionVariants[0], variant('candidate', { ModelName: 'x' })],
      }),
    );
    const hash = await configHash(sagemaker, 'staging-7');
    expect(hash).toMatch(/^[0-9a-f]{64}$/);
    expect(await configHash(sagemaker, 'copy')).toBe(hash);
    expect(await configHash(sagemaker, 'without')).not.toBe(hash);
    expect(await configHash(sagemaker, 'other')).not.toBe(hash);
    expect(await configHash(sagemaker, 'none')).toBeNull();
  });

  test.each(TROUBLE)('cannot be read: %s', async (_, trouble) => {
    mock.on(DescribeEndpointConfigCommand).rejects(trouble);
    expect(await thrownBy(configHash(sagemaker, 'staging-7'))).toBeInstanceOf(GateDependencyError);
    expect(await thrownBy(clone())).toBeInstanceOf(GateDependencyError);
  });

  test('that is gone, or has no such variant, cannot be copied', async () => {
    knows(config('staging-7'));
    const error = await thrownBy(clone({ renamed: 'm' }));
    expect(error).toBeInstanceOf(GateInputError);
    expect(error.message).toBe('the endpoint configuration staging-7 has no variant renamed');
    mock.on(DescribeEndpointConfigCommand).rejects(NO_CONFIG);
    mock.on(DescribeEndpointConfigCommand, { EndpointConfigName: 'staging-7' }).rejects(NO_CONFIG);
    const gone = await thrownBy(clone());
    expect(gone).toBeInstanceOf(GateInputError);
    expect(gone.message).toBe('there is no endpoint configuration staging-7');
    expect(inputs(CreateEndpointConfigCommand)).toEqual([]);
  });

  test('that was copied already is fine', async () => {
    knows(config('staging-7'), config('tocsin-drill-0a1b'));
    mock.on(CreateEndpointConfigCommand).rejects(EXISTS);
    await clone();
  });

  test.each([
    [
      'says something else',
      [config('staging-7'), config('tocsin-drill-0a1b', { ...SAID, KmsKeyId: 'key-2' })],
    ],
    ['was deleted in between', [config('staging-7')]],
  ])('whose copy %s is in the way', async (_, configs) => {
    knows(...configs);
    mock.on(CreateEndpointConfigCommand).rejects(EXISTS);
    const error = await thrownBy(clone());
    expect(error).toBeInstanceOf(GateDependencyError);
    expect(error.message).toContain('there is another endpoint configuration tocsin-drill-0a1b already');
  });

  test('of a model that is gone cannot be copied', async () => {
    knows(config('staging-7'));
    mock.on(CreateEndpointConfigCommand).rejects(NO_MODEL);
    const error = await thrownBy(clone());
    expect(error).toBeInstanceOf(GateInputError);
    expect(error.message).toBe('CreateEndpointConfig tocsin-drill-0a1b: Could not find model "arn:aws:...".');
  });

  test.each(TROUBLE)('cannot be copied: %s', async (_, trouble) => {
    knows(config('staging-7'));
    mock.on(CreateEndpointConfigCommand).rejects(trouble);
    expect(await thrownBy(clone())).toBeInstanceOf(GateDependencyError);
  });

  test('is deleted, also where it is gone', async () => {
    mock.on(DeleteEndpointConfigCommand).resolvesOnce({}).rejects(NO_CONFIG);
    await deleteConfig(sagemaker, 'tocsin-drill-0a1b');
    await deleteConfig(sagemaker, 'tocsin-rollback-0a1b');
    expect(inputs(DeleteEndpointConfigCommand)).toEqual([
      { EndpointConfigName: 'tocsin-drill-0a1b' },
      { EndpointConfigName: 'tocsin-rollback-0a1b' },
    ]);
  });

  test.each(TROUBLE)('cannot be deleted: %s', async (_, trouble) => {
    mock.on(DeleteEndpointConfigCommand).rejects(trouble);
    expect(await thrownBy(deleteConfig(sagemaker, 'tocsin-drill-x'))).toBeInstanceOf(GateDependencyError);
  });
});

test.each(['staging-7', 'tocsin-drill', 'my-tocsin-drill-x', 'tocsin-holdout-x', ''])(
  'nothing that is somebody else’s is touched: "%s"',
  async (name) => {
    const model = { name, package: PACKAGE, role: ROLE, like: null, tags: {} };
    for (const work of [
      () => createModel(sagemaker, model),
      () => deleteModel(sagemaker, name),
      () => cloneConfig(sagemaker, { from: 'staging-7', to: name, tags: {} }),
      () => deleteConfig(sagemaker, name),
    ]) {
      const error = await thrownBy(work());
      expect(error).toBeInstanceOf(GateInputError);
      expect(error.message).toBe(`${name} is not Tocsin's: expected tocsin-drill-... or tocsin-rollback-...`);
    }
    expect(mock.calls()).toHaveLength(0);
  },
);
