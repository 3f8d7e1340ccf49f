import {
  DescribeScalableTargetsCommand,
  DescribeScalingPoliciesCommand,
  DescribeScheduledActionsCommand,
} from '@aws-sdk/client-application-auto-scaling';
import {
  DescribeEndpointCommand,
  type DescribeEndpointCommandOutput,
  DescribeEndpointConfigCommand,
  type DescribeEndpointConfigCommandOutput,
  DescribeModelCommand,
  ListMonitoringSchedulesCommand,
  ListTagsCommand,
} from '@aws-sdk/client-sagemaker';
import { beforeEach, describe, expect, test } from 'vitest';
import { readEndpoints } from '../../../functions/config-parity/adapters/sagemaker-endpoints.ts';
import { GateDependencyError } from '../../../functions/shared/errors.ts';
import { sagemakerError } from '../../support/fake-sagemaker.ts';
import { foundOf, useEndpoints } from '../../support/parity-endpoints.ts';

const ARN = 'arn:aws:sagemaker:eu-west-1:111122223333:endpoint/flights-staging';
const KEY = 'arn:aws:kms:eu-west-1:111122223333:key/capture';
const GONE = sagemakerError('ValidationException', 'Could not find endpoint "flights-staging".');
const DENIED = sagemakerError('AccessDeniedException', 'not authorized', 403);
const AT = new Date(0);

const { mock, scaling, inputs, read: readWith } = useEndpoints();

beforeEach(() => {
  scaling.on(DescribeScalableTargetsCommand).resolves({ ScalableTargets: [] });
  mock.on(ListTagsCommand).resolves({ Tags: [] });
  mock.on(DescribeModelCommand).resolves({ PrimaryContainer: { Image: 'r/m:1' } });
  mock.on(ListMonitoringSchedulesCommand).resolves({ MonitoringScheduleSummaries: [] });
});

type Endpoint = Partial<DescribeEndpointCommandOutput>;
type Config = Partial<DescribeEndpointConfigCommandOutput>;

const describes = (endpoint: Endpoint = {}, config: Config = {}) => {
  mock.on(DescribeEndpointCommand).callsFake(({ EndpointName }) => ({
    EndpointName,
    EndpointArn: ARN,
    EndpointConfigName: 'flights-7',
    EndpointStatus: 'InService',
    CreationTime: AT,
    LastModifiedTime: AT,
    ProductionVariants: [{ VariantName: 'main', CurrentWeight: 1, DesiredInstanceCount: 2 }],
    ...endpoint,
  }));
  mock.on(DescribeEndpointConfigCommand).resolves({
    EndpointConfigName: 'flights-7',
    EndpointConfigArn: 'arn',
    CreationTime: AT,
    ProductionVariants: [{ VariantName: 'main', ModelName: 'flights-model-7', InitialInstanceCount: 1 }],
    ...config,
  });
};

const read = (...names: string[]) =>
  readWith((reading) =>
    readEndpoints(
      reading,
      (names.length === 0 ? ['flights'] : names).map((name) => foundOf('endpoints', name)),
    ),
  );

// biome-ignore lint/suspicious/noExplicitAny: a test looks into it
const endpointOf = async (...names: string[]): Promise<any> =>
  (await read(...names)).resources.find(({ kind }) => kind === 'endpoints')?.value;

const unreadable = (path: string[], action: string, why = 'AccessDeniedException') => ({
  path,
  physical: 'flights-staging',
  action,
  why,
});

describe('an endpoint', () => {
  test('is what its configuration says, and what it is by now', async () => {
    describes(
      {
        ProductionVariants: [
          { VariantName: 'main', CurrentWeight: 0.3, DesiredInstanceCount: 3, CurrentInstanceCount: 3 },
          { VariantName: 'other', CurrentWeight: 0.1, DesiredInstanceCount: 1, CurrentInstanceCount: 1 },
        ],
        ShadowProductionVariants: [{ VariantName: 'next', CurrentWeight: 0.2, DesiredInstanceCount: 1 }],
        DataCaptureConfig: {
          EnableCapture: true,
          CaptureStatus: 'Started',
          CurrentSamplingPercentage: 5,
          DestinationS3Uri: 's3://captured/now',
          KmsKeyId: KEY,
        },
        LastDeploymentConfig: {
          BlueGreenUpdatePolicy: {
            TrafficRoutingConfiguration: {
              Type: 'CANARY',
              WaitIntervalInSeconds: 300,
              CanarySize: { Type: 'CAPACITY_PERCENT', Value: 10 },
            },
            TerminationWaitInSeconds: 120,
            MaximumExecutionTimeoutInSeconds: 3600,
          },
          AutoRollbackConfiguration: { Alarms: [{ AlarmName: 'errors' }, { AlarmName: 'latency' }] },
        },
      },
      {
        KmsKeyId: KEY,
        EnableNetworkIsolation: true,
        ExecutionRoleArn: 'arn:aws:iam::111122223333:role/endpoint',
        VpcConfig: { Subnets: ['subnet-1', 'subnet-2'], SecurityGroupIds: ['sg-1'] },
        ProductionVariants: [
          {
            VariantName: 'main',
            ModelName: 'main-7',
            InitialInstanceCount: 1,
            InstanceType: 'ml.m5.large',
            InitialVariantWeight: 9,
            AcceleratorType: 'ml.eia2.medium',
            VolumeSizeInGB: 30,
            ContainerStartupHealthCheckTimeoutInSeconds: 300,
            ModelDataDownloadTimeoutInSeconds: 600,
            VariantInstanceProvisionTimeoutInSeconds: 900,
            EnableSSMAccess: true,
            InferenceAmiVersion: 'al2-ami-sagemaker-inference-gpu-2',
            RoutingConfig: {
              RoutingStrategy: 'LEAST_OUTSTANDING_REQUESTS',
              PrefixAwareRoutingConfig: { PrefixLength: 8 },
            },
            CoreDumpConfig: { DestinationS3Uri: 's3://dumps', KmsKeyId: KEY },
            CapacityReservationConfig: {
              CapacityReservationPreference: 'capacity-reservations-only',
              MlReservationArn: 'arn:reservation',
            },
          },
          { VariantName: 'other', ModelName: 'other-7' },
        ],
        ShadowProductionVariants: [{ VariantName: 'next', ModelName: 'next-7', InstanceType: 'ml.m5.large' }],
        DataCaptureConfig: {
          EnableCapture: true,
          InitialSamplingPercentage: 20,
          DestinationS3Uri: 's3://captured/then',
          CaptureOptions: [{ CaptureMode: 'Input' }, { CaptureMode: 'Output' }],
          CaptureContentTypeHeader: { CsvContentTypes: ['text/csv'], JsonContentTypes: ['application/json'] },
        },
        AsyncInferenceConfig: {
          ClientConfig: { MaxConcurrentInvocationsPerInstance: 4 },
          OutputConfig: {
            S3OutputPath: 's3://answers',
            S3FailurePath: 's3://failures',
            KmsKeyId: KEY,
            NotificationConfig: {
              SuccessTopic: 'arn:success',
              ErrorTopic: 'arn:error',
              IncludeInferenceResponseIn: ['ERROR_NOTIFICATION_TOPIC'],
            },
          },
        },
        ExplainerConfig: {
          ClarifyExplainerConfig: {
            EnableExplanations: '`true`',
            InferenceConfig: { FeatureHeaders: ['b', 'a'], MaxPayloadInMB: 2 },
            ShapConfig: { ShapBaselineConfig: { ShapBaseline: '0,1' }, Seed: 11 },
          },
        },
        MetricsConfig: { EnableEnhancedMetrics: true, MetricPublishFrequencyInSeconds: 10 },
      },
    );
    mock
      .on(ListTagsCommand)
      .resolvesOnce({ Tags: [{ Key: 'aws:cloudformation:stack-name', Value: 'a' }], NextToken: 'more' })
      .resolves({ Tags: [{ Key: 'team', Value: 'rebooking' }] });

    expect((await read()).resources[0]).toEqual({
      kind: 'endpoints',
      name: 'flights',
      physical: 'flights-staging',
      value: {
        variants: [
          {
            name: 'main',
            instanceType: 'ml.m5.large',
            instances: 3,
            weight: 0.75,
            accelerator: 'ml.eia2.medium',
            volumeGb: 30,
            containerStartupSeconds: 300,
            modelDownloadSeconds: 600,
            provisionSeconds: 900,
            routing: 'LEAST_OUTSTANDING_REQUESTS',
            prefixRouting: { prefixLength: 8 },
            coreDump: { uri: 's3://dumps', kmsKey: KEY },
            ssmAccess: true,
            ami: 'al2-ami-sagemaker-inference-gpu-2',
            reservation: { preference: 'capacity-reservations-only', arn: 'arn:reservation' },
          },
          { name: 'other', instances: 1, weight: 0.25, ssmAccess: false },
        ],
        shadow: [{ name: 'next', instanceType: 'ml.m5.large', instances: 1, weight: 0.5, ssmAccess: false }],
        capture: {
          enabled: true,
          percentage: 5,
          uri: 's3://captured/now',
          modes: ['Input', 'Output'],
          kmsKey: KEY,
          csvTypes: ['text/csv'],
          jsonTypes: ['application/json'],
        },
        async: {
          uri: 's3://answers',
          failureUri: 's3://failures',
          kmsKey: KEY,
          maxConcurrent: 4,
          topics: { success: 'arn:success', error: 'arn:error', include: ['ERROR_NOTIFICATION_TOPIC'] },
        },
        kmsKey: KEY,
        networkIsolation: true,
        role: 'arn:aws:iam::111122223333:role/endpoint',
        vpc: { subnets: ['subnet-1', 'subnet-2'], securityGroups: ['sg-1'] },
        deployment: {
          type: 'CANARY',
          waitSeconds: 300,
          step: { type: 'CAPACITY_PERCENT', value: 10 },
          terminationWaitSeconds: 120,
          timeoutSeconds: 3600,
          alarms: ['errors', 'latency'],
        },
        explainer: {
          enableExplanations: '`true`',
          inferenceConfig: { featureHeaders: ['b', 'a'], maxPayloadInMB: 2 },
          shapConfig: { shapBaselineConfig: { shapBaseline: '0,1' }, seed: 11 },
        },
        metrics: { enhanced: true, detailed: false, frequencySeconds: 10 },
        tags: [{ name: 'team', value: 'rebooking' }],
      },
    });
    expect(inputs(DescribeEndpointCommand)).toEqual([{ EndpointName: 'flights-staging' }]);
    expect(inputs(DescribeEndpointConfigCommand)).toEqual([{ EndpointConfigName: 'flights-7' }]);
    expect(inputs(ListTagsCommand)).toEqual([{ ResourceArn: ARN }, { ResourceArn: ARN, NextToken: 'more' }]);
    expect(scaling.commandCalls(DescribeScalableTargetsCommand).map(({ args }) => args[0].input)).toEqual([
      {
        ServiceNamespace: 'sagemaker',
        ResourceIds: ['main', 'other', 'next'].map((one) => `endpoint/flights-staging/variant/${one}`),
      },
    ]);
    expect(inputs(DescribeModelCommand)).toEqual(
      ['main-7', 'other-7', 'next-7'].map((ModelName) => ({ ModelName })),
    );
    expect(inputs(ListMonitoringSchedulesCommand)).toEqual([
      { EndpointName: 'flights-staging', MaxResults: 100 },
    ]);
  });

  test('may say next to nothing', async () => {
    describes({ ProductionVariants: undefined }, { ProductionVariants: [{ VariantName: 'main' }] });
    expect((await read()).resources).toEqual([
      {
        kind: 'endpoints',
        name: 'flights',
        physical: 'flights-staging',
        value: {
          variants: [{ name: 'main', ssmAccess: false }],
          capture: { enabled: false },
          networkIsolation: false,
        },
      },
    ]);
  });

  test('brings along its models and monitors, by variant and by what they monitor', async () => {
    describes();
    const { resources } = await read();
    expect(resources.map(({ kind, name, physical }) => [kind, name, physical])).toEqual([
      ['endpoints', 'flights', 'flights-staging'],
      ['models', 'flights/main', 'flights-model-7'],
    ]);
  });

  test.each([
    ['Stopped', { CaptureStatus: 'Stopped', EnableCapture: true }],
    ['switched off', { CaptureStatus: 'Started', EnableCapture: false }],
  ] as const)('captures nothing where that is %s', async (_, live) => {
    describes(
      {
        DataCaptureConfig: {
          CurrentSamplingPercentage: 5,
          DestinationS3Uri: 's3://a',
          KmsKeyId: '',
          ...live,
        },
      },
      {
        DataCaptureConfig: {
          InitialSamplingPercentage: 5,
          DestinationS3Uri: 's3://a',
          CaptureOptions: [{ CaptureMode: 'Input' }],
        },
      },
    );
    expect((await endpointOf()).capture).toEqual({
      enabled: false,
      percentage: 5,
      uri: 's3://a',
      modes: ['Input'],
    });
  });

  test('that is rolled out in batches says so', async () => {
    describes({
      LastDeploymentConfig: {
        RollingUpdatePolicy: {
          MaximumBatchSize: { Type: 'INSTANCE_COUNT', Value: 1 },
          WaitIntervalInSeconds: 60,
          MaximumExecutionTimeoutInSeconds: 1200,
          RollbackMaximumBatchSize: { Type: 'INSTANCE_COUNT', Value: 2 },
        },
      },
    });
    expect((await endpointOf()).deployment).toEqual({
      type: 'ROLLING',
      waitSeconds: 60,
      step: { type: 'INSTANCE_COUNT', value: 1 },
      rollbackStep: { type: 'INSTANCE_COUNT', value: 2 },
      timeoutSeconds: 1200,
    });
  });

  test('has members that nobody knows yet', async () => {
    const news = { NewFeature: { MaxItems: 3 } };
    describes({}, { ...news, ProductionVariants: [{ VariantName: 'main', ...news }] } as Config);
    const value = await endpointOf();
    expect(value.newFeature).toEqual({ maxItems: 3 });
    expect(value.variants[0].newFeature).toEqual({ maxItems: 3 });
  });

  test.each(['Updating', 'RollingBack', 'OutOfService', 'UpdateRollbackFailed', 'Failed'] as const)(
    'is not settled while it is %s',
    async (status) => {
      describes({ EndpointStatus: status });
      const { unsettled, resources } = await read();
      expect(unsettled).toEqual([{ path: ['endpoints', 'flights'], physical: 'flights-staging', status }]);
      expect(resources[0]?.value).toMatchObject({ networkIsolation: false });
    },
  );
});

describe('the share of a variant', () => {
  test.each([
    ['as weights are written', [1, 3], [0.25, 0.75]],
    ['in single precision', [0.10000000149011612, 0.30000001192092896], [0.25, 0.75]],
    ['of no traffic', [0, 0], [0, 0]],
  ])('is the same, %s', async (_, weights, shares) => {
    describes(
      { ProductionVariants: weights.map((CurrentWeight, n) => ({ VariantName: `v${n}`, CurrentWeight })) },
      {
        ProductionVariants: weights.map((_weight, n) => ({ VariantName: `v${n}`, InitialVariantWeight: 9 })),
      },
    );
    const { variants } = await endpointOf();
    expect(variants.map(({ weight }: { weight: number }) => weight)).toEqual(shares);
  });

  test('is that of its configuration where nothing else is known', async () => {
    describes(
      { ProductionVariants: [] },
      {
        ProductionVariants: [
          { VariantName: 'a', InitialVariantWeight: 1 },
          { VariantName: 'b', InitialVariantWeight: 1, InitialInstanceCount: 4 },
        ],
      },
    );
    const { variants } = await endpointOf();
    expect(variants).toEqual([
      { name: 'a', weight: 0.5, ssmAccess: false },
      { name: 'b', weight: 0.5, instances: 4, ssmAccess: false },
    ]);
  });
});

describe('the number of instances', () => {
  const of = async (config: object, live: object = {}) => {
    describes(
      { ProductionVariants: [{ VariantName: 'main', DesiredInstanceCount: 7, ...live }] },
      { ProductionVariants: [{ VariantName: 'main', InitialInstanceCount: 1, ...config }] },
    );
    return (await endpointOf()).variants[0];
  };

  test('is how many are wanted now', async () => {
    expect(await of({})).toEqual({ name: 'main', instances: 7, ssmAccess: false });
  });

  test('says nothing where SageMaker manages it', async () => {
    const ManagedInstanceScaling = {
      Status: 'ENABLED',
      MinInstanceCount: 1,
      MaxInstanceCount: 4,
      ScaleInPolicy: { Strategy: 'IDLE_RELEASE', MaximumStepSize: 1, CooldownInMinutes: 5 },
    };
    expect(await of({ ManagedInstanceScaling })).toEqual({
      name: 'main',
      ssmAccess: false,
      managedScaling: {
        status: 'ENABLED',
        min: 1,
        max: 4,
        scaleIn: { strategy: 'IDLE_RELEASE', maxStep: 1, cooldownMinutes: 5 },
      },
    });
    expect(
      await of({ ManagedInstanceScaling }, { ManagedInstanceScaling: { Status: 'DISABLED' } }),
    ).toMatchObject({ instances: 7, managedScaling: { status: 'DISABLED' } });
  });

  test('is none of a serverless variant, whose concurrency is that of now', async () => {
    const then = { MemorySizeInMB: 1024, MaxConcurrency: 5 };
    const now = { MemorySizeInMB: 2048, MaxConcurrency: 20, ProvisionedConcurrency: 2 };
    expect(
      await of({ ServerlessConfig: then }, { DesiredInstanceCount: 0, CurrentServerlessConfig: now }),
    ).toEqual({
      name: 'main',
      ssmAccess: false,
      serverless: { memoryMb: 2048, maxConcurrency: 20, provisionedConcurrency: 2 },
    });
  });
});

describe('models that are not compared are not known to be equal', () => {
  test('of inference components', async () => {
    describes({}, { ProductionVariants: [{ VariantName: 'main', InstanceType: 'ml.g5.xlarge' }] });
    const { unreadable, resources } = await read();
    expect(resources.map(({ kind }) => kind)).toEqual(['endpoints']);
    expect(unreadable).toEqual([
      {
        path: ['models', 'flights/main'],
        physical: 'flights/main',
        action: 'sagemaker:DescribeModel',
        why: 'inference components are not compared',
      },
    ]);
  });

  test('of single instance types', async () => {
    describes(
      {},
      {
        ProductionVariants: [
          {
            VariantName: 'main',
            InstancePools: [
              { InstanceType: 'ml.g5.xlarge', Priority: 1, ModelNameOverride: 'large-7' },
              { InstanceType: 'ml.m5.large', Priority: 2 },
            ],
          },
        ],
      },
    );
    const { unreadable, resources } = await read();
    expect(resources[0]?.value).toMatchObject({
      variants: [
        {
          instancePools: [
            { name: 'ml.g5.xlarge', priority: 1 },
            { name: 'ml.m5.large', priority: 2 },
          ],
        },
      ],
    });
    expect(unreadable).toEqual([
      {
        path: ['models', 'flights/main', 'overrides', '[ml.g5.xlarge]'],
        physical: 'flights/main',
        action: 'sagemaker:DescribeModel',
        why: 'models of single instance types are not compared',
      },
    ]);
  });
});

describe('several endpoints', () => {
  test('are each read by themselves, whatever becomes of another', async () => {
    describes();
    mock
      .on(DescribeEndpointCommand, { EndpointName: 'gone-staging' })
      .rejects(GONE)
      .on(DescribeEndpointCommand, { EndpointName: 'denied-staging' })
      .rejects(DENIED);
    const { resources, unreadable: unread } = await read('gone', 'denied', 'flights');
    expect(resources.map(({ name, value }) => [name, value === null])).toEqual([
      ['gone', true],
      ['flights', false],
      ['flights/main', false],
    ]);
    expect(unread.map(({ path }) => path)).toEqual([['endpoints', 'denied']]);
  });

  test('scale and are monitored by their names as these are written, which ARNs have in lower case', async () => {
    describes({ EndpointName: 'Flights-Staging' });
    const { resources } = await read();
    expect(resources[0]).toMatchObject({ name: 'flights', physical: 'Flights-Staging' });
    const [call] = scaling.commandCalls(DescribeScalableTargetsCommand);
    expect(call?.args[0].input.ResourceIds).toEqual(['endpoint/Flights-Staging/variant/main']);
    expect(inputs(ListMonitoringSchedulesCommand)).toEqual([
      { EndpointName: 'Flights-Staging', MaxResults: 100 },
    ]);
  });

  test('share calls for their scaling, of 50 variants each', async () => {
    const ProductionVariants = Array.from({ length: 6 }, (_, n) => ({ VariantName: `v${n}` }));
    describes({ ProductionVariants }, { ProductionVariants });
    await read(...Array.from({ length: 10 }, (_, n) => `flights-${n}`));
    const calls = scaling.commandCalls(DescribeScalableTargetsCommand).map(({ args }) => args[0].input);
    expect(calls.map(({ ResourceIds }) => ResourceIds?.length)).toEqual([50, 10]);
    expect(calls.flatMap(({ ResourceIds = [] }) => ResourceIds)).toEqual(
      Array.from({ length: 60 }, (_, n) => {
        const [endpoint, variant] = [Math.floor(n / 6), n % 6];
        return `endpoint/flights-${endpoint}-staging/variant/v${variant}`;
      }),
    );
  });
});

describe('what cannot be read', () => {
  const everything = (action: string, why?: string) => [unreadable(['endpoints', 'flights'], action, why)];

  test('is all of an endpoint that nobody may describe', async () => {
    mock.on(DescribeEndpointCommand).rejects(DENIED);
    expect(await read()).toEqual({
      resources: [],
      unreadable: everything('sagemaker:DescribeEndpoint'),
      unsettled: [],
      probes: [],
      notRead: [],
    });
  });

  test('is all of one whose configuration nobody may describe, or is gone, or is none', async () => {
    const action = 'sagemaker:DescribeEndpointConfig';
    describes();
    mock.on(DescribeEndpointConfigCommand).rejects(DENIED);
    expect((await read()).unreadable).toEqual(everything(action));
    mock
      .on(DescribeEndpointConfigCommand)
      .rejects(sagemakerError('ValidationException', 'Could not find endpoint configuration "flights-7".'));
    expect(await read()).toMatchObject({
      resources: [],
      unreadable: everything(action, 'deleted while it was read'),
    });
    describes({ EndpointConfigName: undefined, EndpointStatus: 'UpdateRollbackFailed' });
    expect(await read()).toMatchObject({
      resources: [],
      unreadable: everything(action, 'without a configuration'),
      unsettled: [{ status: 'UpdateRollbackFailed' }],
    });
  });

  test('is as little as possible of the others', async () => {
    describes();
    mock.on(ListTagsCommand).rejects(DENIED);
    mock.on(ListMonitoringSchedulesCommand).rejects(DENIED);
    mock.on(DescribeModelCommand).rejects(DENIED);
    scaling.on(DescribeScalableTargetsCommand).rejects(DENIED);
    const variant = ['endpoints', 'flights', 'variants', '[main]'];
    const targets = 'application-autoscaling:DescribeScalableTargets';
    const { resources, unreadable: unread } = await read();
    expect(unread).toEqual([
      unreadable(['endpoints', 'flights', 'tags'], 'sagemaker:ListTags'),
      unreadable([...variant, 'scaling'], targets),
      unreadable([...variant, 'instances'], targets),
      {
        ...unreadable(['models', 'flights/main'], 'sagemaker:DescribeModel'),
        physical: 'flights-model-7',
      },
      unreadable(['monitors', 'flights'], 'sagemaker:ListMonitoringSchedules'),
    ]);
    expect(resources[0]?.value).toEqual({
      variants: [{ name: 'main', weight: 1, ssmAccess: false }],
      capture: { enabled: false },
      networkIsolation: false,
    });
  });

  test('are tags of an endpoint that was deleted meanwhile', async () => {
    describes();
    mock.on(ListTagsCommand).rejects(GONE);
    expect((await read()).unreadable).toEqual([
      unreadable(['endpoints', 'flights', 'tags'], 'sagemaker:ListTags', 'deleted while it was read'),
    ]);
  });

  test('is nothing of an environment whose role cannot be assumed', async () => {
    const error = new GateDependencyError('sts:AssumeRole failed');
    mock.on(DescribeEndpointCommand).rejects(error);
    await expect(read()).rejects.toBe(error);
  });
});

describe('how a variant scales', () => {
  const of = {
    ServiceNamespace: 'sagemaker',
    ResourceId: 'endpoint/flights-staging/variant/main',
    ScalableDimension: 'sagemaker:variant:DesiredInstanceCount',
    CreationTime: AT,
  } as const;
  const target = { ...of, MinCapacity: 1, MaxCapacity: 6, RoleARN: 'arn:role', ScalableTargetARN: 'arn:1' };
  const variant = ['endpoints', 'flights', 'variants', '[main]'];

  beforeEach(() => {
    describes();
    scaling.on(DescribeScalableTargetsCommand).resolves({
      ScalableTargets: [{ ...target, ResourceId: 'endpoint/another/variant/main', MaxCapacity: 99 }, target],
    });
    scaling.on(DescribeScalingPoliciesCommand).resolves({ ScalingPolicies: [] });
    scaling.on(DescribeScheduledActionsCommand).resolves({ ScheduledActions: [] });
  });

  const BASE = {
    dimension: 'sagemaker:variant:DesiredInstanceCount',
    min: 1,
    max: 6,
    role: 'arn:role',
    suspended: { scaleIn: false, scaleOut: false, scheduled: false },
  };

  test('is between which bounds; without a policy its instances stay as they are', async () => {
    expect((await endpointOf()).variants[0]).toEqual({
      name: 'main',
      weight: 1,
      instances: 2,
      ssmAccess: false,
      scaling: BASE,
    });
  });

  test('is by which policies and at which times, all pages of them', async () => {
    scaling
      .on(DescribeScalableTargetsCommand)
      .resolvesOnce({ ScalableTargets: [], NextToken: 't' })
      .resolves({ ScalableTargets: [{ ...target, SuspendedState: { DynamicScalingInSuspended: true } }] });
    scaling
      .on(DescribeScalingPoliciesCommand)
      .resolvesOnce({
        NextToken: 'p',
        ScalingPolicies: [
          {
            ...of,
            PolicyARN: 'arn:2',
            PolicyName: 'invocations',
            PolicyType: 'TargetTrackingScaling',
            TargetTrackingScalingPolicyConfiguration: {
              TargetValue: 700,
              PredefinedMetricSpecification: {
                PredefinedMetricType: 'SageMakerVariantInvocationsPerInstance',
              },
              ScaleInCooldown: 300,
              ScaleOutCooldown: 60,
            },
            Alarms: [{ AlarmName: 'TargetTracking-1234', AlarmARN: 'arn:3' }],
          },
        ],
      })
      .resolves({
        ScalingPolicies: [
          {
            ...of,
            PolicyARN: 'arn:4',
            PolicyName: 'steps',
            PolicyType: 'StepScaling',
            StepScalingPolicyConfiguration: {
              AdjustmentType: 'ChangeInCapacity',
              StepAdjustments: [
                { MetricIntervalLowerBound: 0, MetricIntervalUpperBound: 10, ScalingAdjustment: 1 },
                { MetricIntervalLowerBound: 10, ScalingAdjustment: 3 },
              ],
              MinAdjustmentMagnitude: 1,
              Cooldown: 120,
              MetricAggregationType: 'Maximum',
            },
            Alarms: [{ AlarmName: 'latency', AlarmARN: 'arn:5' }],
          },
          {
            ...of,
            PolicyARN: 'arn:6',
            PolicyName: 'own metric',
            PolicyType: 'TargetTrackingScaling',
            TargetTrackingScalingPolicyConfiguration: {
              TargetValue: 1,
              DisableScaleIn: true,
              CustomizedMetricSpecification: {
                Namespace: 'flights',
                MetricName: 'Load',
                Dimensions: [{ Name: 'EndpointName', Value: 'flights-staging' }],
                Statistic: 'Average',
                Metrics: [{ Id: 'load', Expression: 'a / b' }],
              },
            },
          },
          {
            ...of,
            PolicyARN: 'arn:7',
            PolicyName: 'forecast',
            PolicyType: 'PredictiveScaling',
            PredictiveScalingPolicyConfiguration: {
              Mode: 'ForecastOnly',
              SchedulingBufferTime: 60,
              MaxCapacityBreachBehavior: 'HonorMaxCapacity',
              MaxCapacityBuffer: 10,
              MetricSpecifications: [
                {
                  TargetValue: 5,
                  PredefinedLoadMetricSpecification: { PredefinedMetricType: 'Load' },
                  CustomizedScalingMetricSpecification: {
                    MetricDataQueries: [{ Id: 'q', Expression: 'a' }],
                  },
                },
              ],
            },
          },
        ],
      });
    scaling
      .on(DescribeScheduledActionsCommand)
      .resolvesOnce({ NextToken: 's', ScheduledActions: [] })
      .resolves({
        ScheduledActions: [
          {
            ...of,
            ScheduledActionARN: 'arn:8',
            ScheduledActionName: 'morning',
            Schedule: 'cron(0 5 * * ? *)',
            Timezone: 'Europe/Berlin',
            StartTime: new Date('2026-12-01T00:00:00Z'),
            EndTime: new Date('2026-12-24T00:00:00Z'),
            ScalableTargetAction: { MinCapacity: 4, MaxCapacity: 10 },
          },
        ],
      });

    expect((await endpointOf()).variants[0]).toEqual({
      name: 'main',
      weight: 1,
      ssmAccess: false,
      scaling: {
        ...BASE,
        suspended: { scaleIn: true, scaleOut: false, scheduled: false },
        policies: [
          {
            name: 'invocations',
            type: 'TargetTrackingScaling',
            target: 700,
            predefinedMetric: 'SageMakerVariantInvocationsPerInstance',
            scaleOutCooldownSeconds: 60,
            scaleInCooldownSeconds: 300,
            scaleInDisabled: false,
          },
          {
            name: 'steps',
            type: 'StepScaling',
            alarms: ['latency'],
            adjustment: 'ChangeInCapacity',
            steps: [
              { name: '0:10', change: 1 },
              { name: '10:', change: 3 },
            ],
            leastChange: 1,
            cooldownSeconds: 120,
            aggregation: 'Maximum',
          },
          {
            name: 'own metric',
            type: 'TargetTrackingScaling',
            target: 1,
            metric: {
              namespace: 'flights',
              metricName: 'Load',
              dimensions: [{ name: 'EndpointName', value: 'flights-staging' }],
              statistic: 'Average',
              metrics: [{ name: 'load', expression: 'a / b' }],
            },
            scaleInDisabled: true,
          },
          {
            name: 'forecast',
            type: 'PredictiveScaling',
            mode: 'ForecastOnly',
            bufferSeconds: 60,
            maxBreach: 'HonorMaxCapacity',
            maxBufferPercent: 10,
            metrics: [
              {
                targetValue: 5,
                predefinedLoadMetricSpecification: { predefinedMetricType: 'Load' },
                scaling: [{ name: 'q', expression: 'a' }],
              },
            ],
          },
        ],
        scheduled: [
          {
            name: 'morning',
            schedule: 'cron(0 5 * * ? *)',
            timezone: 'Europe/Berlin',
            start: '2026-12-01T00:00:00.000Z',
            end: '2026-12-24T00:00:00.000Z',
            min: 4,
            max: 10,
          },
        ],
      },
    });
    const one = { ServiceNamespace: 'sagemaker', ResourceId: 'endpoint/flights-staging/variant/main' };
    const ids = { ServiceNamespace: 'sagemaker', ResourceIds: [one.ResourceId] };
    expect(scaling.calls().map(({ args }) => args[0].input)).toEqual([
      ids,
      { ...ids, NextToken: 't' },
      one,
      { ...one, NextToken: 'p' },
      one,
      { ...one, NextToken: 's' },
    ]);
  });

  test.each([
    ['policies', DescribeScalingPoliciesCommand, 'DescribeScalingPolicies'],
    ['scheduled', DescribeScheduledActionsCommand, 'DescribeScheduledActions'],
  ] as const)(
    'is known but for its %s, and its instances, where these are denied',
    async (member, command, action) => {
      scaling.on(command as typeof DescribeScalingPoliciesCommand).rejects(DENIED);
      const { resources, unreadable: unread } = await read();
      expect(unread).toEqual([
        unreadable([...variant, 'scaling', member], `application-autoscaling:${action}`),
        unreadable([...variant, 'instances'], `application-autoscaling:${action}`),
      ]);
      expect(resources[0]?.value).toMatchObject({
        variants: [{ name: 'main', weight: 1, ssmAccess: false, scaling: BASE }],
      });
      expect(JSON.stringify(resources[0]?.value)).not.toContain('instances');
    },
  );
});
