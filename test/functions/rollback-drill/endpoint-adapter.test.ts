import {
  DescribeEndpointCommand,
  type DescribeEndpointCommandOutput,
  DescribeEndpointConfigCommand,
  type EndpointStatus,
  ListTagsCommand,
  UpdateEndpointCommand,
  UpdateEndpointWeightsAndCapacitiesCommand,
} from '@aws-sdk/client-sagemaker';
import { beforeEach, describe, expect, test } from 'vitest';
import {
  configHash,
  readEndpoint,
  readSnapshot,
  setWeights,
  updateEndpoint,
} from '../../../functions/rollback-drill/adapters/endpoint.ts';
import type { VariantChange } from '../../../functions/rollback-drill/endpoint.ts';
import { GateDependencyError, GateInputError } from '../../../functions/shared/errors.ts';
import { sagemakerError, useSageMaker } from '../../support/fake-sagemaker.ts';

const NOW = Date.UTC(2026, 0, 5, 12);
const now = () => NOW;
const ARN = 'arn:aws:sagemaker:us-east-1:111122223333:endpoint/staging';
const GONE = sagemakerError('ValidationException', `Could not find endpoint "${ARN}".`);
const BUSY = sagemakerError('ValidationException', `Cannot update in-progress endpoint "${ARN}".`);
const NO_CONFIG = sagemakerError('ValidationException', 'Could not find endpoint configuration "arn:...".');
const TROUBLE: [string, Error][] = [
  ['throttling', sagemakerError('ThrottlingException', 'Rate exceeded')],
  ['no rights', sagemakerError('AccessDeniedException', 'not authorized', 403)],
];

const { mock, sagemaker, inputs } = useSageMaker();

const thrownBy = (work: Promise<unknown>) =>
  work.then(
    () => expect.fail('nothing was thrown'),
    (error) => error,
  );

type Described = Partial<DescribeEndpointCommandOutput>;

const endpoint = (more: Described = {}): DescribeEndpointCommandOutput => ({
  $metadata: {},
  EndpointName: 'staging',
  EndpointArn: ARN,
  EndpointConfigName: 'staging-7',
  EndpointStatus: 'InService',
  CreationTime: new Date(0),
  LastModifiedTime: new Date(0),
  ProductionVariants: [
    {
      VariantName: 'stable',
      CurrentWeight: 1,
      DesiredWeight: 1,
      CurrentInstanceCount: 2,
      DesiredInstanceCount: 2,
    },
    {
      VariantName: 'candidate',
      CurrentWeight: 0,
      DesiredWeight: 0,
      CurrentInstanceCount: 1,
      DesiredInstanceCount: 1,
    },
  ],
  ...more,
});

const finds = (...answers: (Described | Error)[]) => {
  const behaviour = mock.on(DescribeEndpointCommand);
  for (const [index, one] of answers.entries()) {
    const isLast = index === answers.length - 1;
    if (one instanceof Error) isLast ? behaviour.rejects(one) : behaviour.rejectsOnce(one);
    else isLast ? behaviour.resolves(endpoint(one)) : behaviour.resolvesOnce(endpoint(one));
  }
};

describe('the state of an endpoint', () => {
  test('is what SageMaker says, in order', async () => {
    finds({
      EndpointStatus: 'Updating',
      FailureReason: 'the alarm fired',
      PendingDeploymentSummary: { EndpointConfigName: 'staging-8' },
      ProductionVariants: [
        {
          VariantName: 'stable',
          CurrentWeight: 0.25,
          DesiredWeight: 1,
          CurrentInstanceCount: 2,
          DesiredInstanceCount: 3,
          DeployedImages: [
            { SpecifiedImage: 'r/z:1', ResolvedImage: 'r/z@sha256:2' },
            { SpecifiedImage: 'r/a:1' },
            {},
          ],
        },
        { VariantName: 'candidate', CurrentWeight: 0.75, CurrentInstanceCount: 1 },
      ],
    });
    expect(await readEndpoint(sagemaker, 'staging', now)).toEqual({
      at: NOW,
      status: 'Updating',
      config: 'staging-7',
      failureReason: 'the alarm fired',
      pending: 'staging-8',
      variants: [
        {
          name: 'candidate',
          weight: 0.75,
          desiredWeight: 0.75,
          instances: 1,
          desiredInstances: 1,
          images: [],
        },
        {
          name: 'stable',
          weight: 0.25,
          desiredWeight: 1,
          instances: 2,
          desiredInstances: 3,
          images: ['r/a:1', 'r/z@sha256:2'],
        },
      ],
    });
    expect(inputs(DescribeEndpointCommand)).toEqual([{ EndpointName: 'staging' }]);
  });

  test('may be next to nothing', async () => {
    mock
      .on(DescribeEndpointCommand)
      .resolves({ EndpointStatus: 'Failed', FailureReason: '', ProductionVariants: undefined } as Described);
    expect(await readEndpoint(sagemaker, 'staging', now)).toEqual({
      at: NOW,
      status: 'Failed',
      config: '',
      failureReason: null,
      pending: null,
      variants: [],
    });
  });

  test('has no instances of a serverless variant, whatever SageMaker counts', async () => {
    finds({
      ProductionVariants: [
        {
          VariantName: 'a',
          CurrentWeight: 1,
          CurrentInstanceCount: 0,
          CurrentServerlessConfig: { MemorySizeInMB: 1024, MaxConcurrency: 5 },
        },
        { VariantName: 'b' },
      ],
    });
    const { variants } = (await readEndpoint(sagemaker, 'staging', now)) ?? {};
    expect(variants).toEqual([
      { name: 'a', weight: 1, desiredWeight: 1, instances: null, desiredInstances: null, images: [] },
      { name: 'b', weight: 0, desiredWeight: 0, instances: null, desiredInstances: null, images: [] },
    ]);
  });

  test('keeps a reason short', async () => {
    finds({ FailureReason: 'x'.repeat(1024) });
    expect((await readEndpoint(sagemaker, 'staging', now))?.failureReason).toBe(`${'x'.repeat(299)}…`);
  });

  test('is none where there is no endpoint', async () => {
    finds(GONE);
    expect(await readEndpoint(sagemaker, 'staging', now)).toBeNull();
  });

  test.each(TROUBLE)('cannot be read: %s', async (_, trouble) => {
    finds(trouble);
    const error = await thrownBy(readEndpoint(sagemaker, 'staging', now));
    expect(error).toBeInstanceOf(GateDependencyError);
    expect(error.message).toContain('DescribeEndpoint staging failed');
  });

  test('is nothing to guess at', async () => {
    finds({ EndpointStatus: 'Paused' as EndpointStatus });
    const error = await thrownBy(readEndpoint(sagemaker, 'staging', now));
    expect(error).toBeInstanceOf(GateDependencyError);
    expect(error.message).toContain('Paused');
  });
});

describe('a snapshot', () => {
  const variants = [
    { VariantName: 'stable', ModelName: 'delay-7' },
    { VariantName: 'candidate', ModelName: 'delay-8' },
  ];
  const says = (config: object) => mock.on(DescribeEndpointConfigCommand).resolves(config as never);
  const read = () => readSnapshot(sagemaker, 'staging', now);

  beforeEach(() => {
    finds({});
    says({ ProductionVariants: variants });
    mock.on(ListTagsCommand).resolves({ Tags: [] });
  });

  test('has all that the endpoint is to be restored to, and its tags', async () => {
    finds({
      LastDeploymentConfig: {
        AutoRollbackConfiguration: { Alarms: [{ AlarmName: 'errors' }, {}, { AlarmName: 'latency' }] },
      },
    });
    mock
      .on(ListTagsCommand)
      .resolvesOnce({ Tags: [{ Key: 'tocsin:drill', Value: 'allowed' }], NextToken: 'page-2' })
      .resolves({ Tags: [{ Key: 'Environment', Value: 'staging' }] });
    expect(await read()).toEqual({
      snapshot: {
        endpoint: 'staging',
        arn: ARN,
        state: await readEndpoint(sagemaker, 'staging', now),
        configSha256: await configHash(sagemaker, 'staging-7'),
        deployed: true,
        guardrail: ['errors', 'latency'],
      },
      tags: { 'tocsin:drill': 'allowed', Environment: 'staging' },
      models: { stable: 'delay-7', candidate: 'delay-8' },
      plain: null,
    });
    expect(inputs(ListTagsCommand)).toEqual([
      { ResourceArn: ARN },
      { ResourceArn: ARN, NextToken: 'page-2' },
    ]);
    expect(inputs(DescribeEndpointConfigCommand)).toEqual(Array(2).fill({ EndpointConfigName: 'staging-7' }));
  });

  test('of an endpoint that was never deployed to has no guardrail', async () => {
    expect((await read())?.snapshot).toMatchObject({ deployed: false, guardrail: [] });
  });

  test.each([
    ['asynchronous', { AsyncInferenceConfig: { OutputConfig: {} } }, 'it answers asynchronously'],
    [
      'inference components',
      { ProductionVariants: [...variants, { VariantName: 'AllTraffic', InstanceType: 'ml.m5.large' }] },
      'its variant AllTraffic has inference components, and no model',
    ],
    [
      'several models',
      {
        ProductionVariants: [
          { ...variants[0], InstancePools: [{ InstanceType: 'ml.g5.xlarge', ModelNameOverride: 'm' }] },
        ],
      },
      'its variant stable has several models, by instance type',
    ],
  ])('says why an endpoint cannot be drilled: %s', async (_, config, plain) => {
    says({ ProductionVariants: variants, ...config });
    expect((await read())?.plain).toBe(plain);
  });

  test('has shadow variants in its hash, which are no obstacle', async () => {
    const before = (await read())?.snapshot.configSha256;
    says({ ProductionVariants: variants, ShadowProductionVariants: [{ VariantName: 's', ModelName: 'm' }] });
    const found = await read();
    expect(found?.plain).toBeNull();
    expect(found?.models).toEqual({ stable: 'delay-7', candidate: 'delay-8' });
    expect(found?.snapshot.configSha256).not.toBe(before);
  });

  test('says so where the endpoint configuration is gone: nothing could bring it back', async () => {
    mock.on(DescribeEndpointConfigCommand).rejects(NO_CONFIG);
    expect(await read()).toMatchObject({
      snapshot: { configSha256: '' },
      models: {},
      plain: 'its endpoint configuration staging-7 does not exist, so nothing could bring it back',
    });
  });

  test('is none where there is no endpoint, or it is deleted in between', async () => {
    mock.on(ListTagsCommand).rejects(sagemakerError('ValidationException', `Could not find ${ARN}`));
    expect(await read()).toBeNull();
    finds(GONE);
    expect(await read()).toBeNull();
  });

  test.each(TROUBLE)('cannot be read: %s', async (_, trouble) => {
    mock.on(DescribeEndpointConfigCommand).rejects(trouble);
    expect(await thrownBy(read())).toBeInstanceOf(GateDependencyError);
    mock.on(ListTagsCommand).rejects(trouble);
    expect((await thrownBy(read())).message).toContain(`ListTags ${ARN} failed`);
    finds(trouble);
    expect(await thrownBy(read())).toBeInstanceOf(GateDependencyError);
  });
});

describe('a deployment', () => {
  const update = (retain = false) =>
    updateEndpoint(sagemaker, { endpoint: 'staging', config: 'staging-8', retain });
  const pending = (EndpointConfigName: string) => ({ PendingDeploymentSummary: { EndpointConfigName } });

  test.each([true, false])('may take over the guardrail of the last one: %s', async (retain) => {
    finds({});
    mock.on(UpdateEndpointCommand).resolves({});
    await update(retain);
    expect(inputs(UpdateEndpointCommand)).toEqual([
      { EndpointName: 'staging', EndpointConfigName: 'staging-8', RetainDeploymentConfig: retain },
    ]);
  });

  test.each<[string, Described]>([
    ['has it', { EndpointConfigName: 'staging-8' }],
    ['goes to it', { EndpointStatus: 'Updating', ...pending('staging-8') }],
    ['has it and changes weights', { EndpointStatus: 'Updating', EndpointConfigName: 'staging-8' }],
    ['has it and is maintained', { EndpointStatus: 'SystemUpdating', EndpointConfigName: 'staging-8' }],
    [
      'goes back to it',
      { EndpointStatus: 'RollingBack', EndpointConfigName: 'staging-8', ...pending('staging-9') },
    ],
  ])('is not asked for where the endpoint %s', async (_, state) => {
    finds(state);
    await update();
    expect(inputs(UpdateEndpointCommand)).toEqual([]);
  });

  test.each<[string, Described]>([
    [
      'goes to another',
      { EndpointStatus: 'Updating', EndpointConfigName: 'staging-8', ...pending('staging-9') },
    ],
    ['goes back from it', { EndpointStatus: 'RollingBack', ...pending('staging-8') }],
    ['serves a mix', { EndpointStatus: 'UpdateRollbackFailed', EndpointConfigName: 'staging-8' }],
    ['has failed', { EndpointStatus: 'Failed', EndpointConfigName: 'staging-8' }],
  ])('that SageMaker refuses is an error where the endpoint %s', async (_, state) => {
    finds(state);
    mock.on(UpdateEndpointCommand).rejects(BUSY);
    const error = await thrownBy(update());
    expect(error).toBeInstanceOf(GateDependencyError);
    expect(error.message).toContain('UpdateEndpoint staging to staging-8 failed (HTTP 400)');
    expect(error.cause).toBe(BUSY);
    expect(inputs(DescribeEndpointCommand)).toHaveLength(2);
  });

  test('that had come through before is fine', async () => {
    finds({}, { EndpointStatus: 'Updating', ...pending('staging-8') });
    mock.on(UpdateEndpointCommand).rejects(BUSY);
    await update();
    expect(inputs(UpdateEndpointCommand)).toHaveLength(1);
  });

  test('of what does not exist is the caller’s mistake', async () => {
    finds({});
    mock.on(UpdateEndpointCommand).rejects(NO_CONFIG);
    const error = await thrownBy(update());
    expect(error).toBeInstanceOf(GateInputError);
    expect(error.message).toBe(
      'UpdateEndpoint staging to staging-8: Could not find endpoint configuration "arn:...".',
    );
    finds(GONE);
    expect((await thrownBy(update())).message).toBe('there is no endpoint staging');
  });

  test('of an endpoint that is deleted in between is the caller’s mistake', async () => {
    finds({}, GONE);
    mock.on(UpdateEndpointCommand).rejects(GONE);
    const error = await thrownBy(update());
    expect(error).toBeInstanceOf(GateInputError);
    expect(error.message).toBe('there is no endpoint staging');
  });

  test.each(TROUBLE)('may fail: %s', async (_, trouble) => {
    finds({});
    mock.on(UpdateEndpointCommand).rejects(trouble);
    expect(await thrownBy(update())).toBeInstanceOf(GateDependencyError);
    finds(trouble);
    expect(await thrownBy(update())).toBeInstanceOf(GateDependencyError);
  });
});

describe('weights', () => {
  const CHANGES: VariantChange[] = [
    { variant: 'stable', weight: 0, instances: 3 },
    { variant: 'candidate', weight: 1 },
  ];
  const set = (changes = CHANGES) => setWeights(sagemaker, 'staging', changes);
  const calls = () => inputs(UpdateEndpointWeightsAndCapacitiesCommand);
  const variants = (stable: object, candidate: object) => ({
    ProductionVariants: [
      { VariantName: 'stable', CurrentInstanceCount: 2, ...stable },
      { VariantName: 'candidate', CurrentInstanceCount: 1, DesiredInstanceCount: 1, ...candidate },
    ],
  });
  const wanted = variants(
    { CurrentWeight: 1, DesiredWeight: 0, DesiredInstanceCount: 3 },
    { CurrentWeight: 0, DesiredWeight: 1 },
  );

  beforeEach(() => {
    mock.on(UpdateEndpointWeightsAndCapacitiesCommand).resolves({});
  });

  test('are set with instances', async () => {
    finds({});
    await set([...CHANGES, { variant: 'candidate' }]);
    expect(calls()).toEqual([
      {
        EndpointName: 'staging',
        DesiredWeightsAndCapacities: [
          { VariantName: 'stable', DesiredWeight: 0, DesiredInstanceCount: 3 },
          { VariantName: 'candidate', DesiredWeight: 1 },
        ],
      },
    ]);
  });

  test('that are none need no call', async () => {
    await set([]);
    await set([{ variant: 'stable' }]);
    expect(mock.calls()).toHaveLength(0);
  });

  test('that are on their way are fine', async () => {
    finds({ EndpointStatus: 'Updating', ...wanted });
    await set();
    expect(calls()).toEqual([]);
  });

  test('that are there are fine, as numbers of 32 bits', async () => {
    finds(variants({ CurrentWeight: 0.10000000149011612, DesiredWeight: 0.10000000149011612 }, {}));
    await set([{ variant: 'stable', weight: 0.1, instances: 2 }]);
    expect(calls()).toEqual([]);
  });

  test.each<[string, Described]>([
    ['nobody brings them there', { EndpointStatus: 'InService', ...wanted }],
    [
      'a deployment goes on, which has weights of its own',
      {
        EndpointStatus: 'Updating',
        ...wanted,
        PendingDeploymentSummary: { EndpointConfigName: 'staging-8' },
      },
    ],
    ['the endpoint serves a mix', { EndpointStatus: 'UpdateRollbackFailed', ...wanted }],
  ])('that are wanted already are asked for where %s', async (_, state) => {
    finds(state);
    await set();
    expect(calls()).toHaveLength(1);
  });

  test('that had come through before are fine, what had not is an error', async () => {
    mock.on(UpdateEndpointWeightsAndCapacitiesCommand).rejects(BUSY);
    finds({}, { EndpointStatus: 'Updating', ...wanted });
    await set();
    finds({}, { EndpointStatus: 'Updating' });
    const error = await thrownBy(set());
    expect(error).toBeInstanceOf(GateDependencyError);
    expect(error.message).toContain('UpdateEndpointWeightsAndCapacities staging failed (HTTP 400)');
  });

  test.each<[string, VariantChange[], string]>([
    [
      'all of them 0',
      [
        { variant: 'stable', weight: 0 },
        { variant: 'candidate', weight: 0 },
      ],
      'all weights of the endpoint staging would be 0: expected one above 0',
    ],
    [
      'all of them 0 with those that stay',
      [{ variant: 'stable', weight: 0 }],
      'all weights of the endpoint staging would be 0: expected one above 0',
    ],
    [
      'as good as 0',
      [{ variant: 'stable', weight: 1e-60 }],
      'all weights of the endpoint staging would be 0: expected one above 0',
    ],
    [
      'of a variant that there is not',
      [{ variant: 'stabel', weight: 1 }],
      'the endpoint staging has no variant stabel, but candidate and stable',
    ],
    [
      'negative',
      [{ variant: 'stable', weight: -1 }],
      'the weight of variant stable: expected 0 or more, got -1',
    ],
    [
      'no numbers',
      [{ variant: 'stable', weight: Number.NaN }],
      'the weight of variant stable: expected 0 or more, got NaN',
    ],
    [
      'with half an instance',
      [{ variant: 'stable', instances: 0.5 }],
      'the instances of variant stable: expected 0 or more, got 0.5',
    ],
  ])('are refused before anything is changed: %s', async (_, changes, message) => {
    finds({});
    const error = await thrownBy(set(changes));
    expect(error).toBeInstanceOf(GateInputError);
    expect(error.message).toBe(message);
    expect(calls()).toEqual([]);
  });

  test('of an endpoint that is gone are the caller’s mistake', async () => {
    finds(GONE);
    expect(await thrownBy(set())).toBeInstanceOf(GateInputError);
    finds({}, GONE);
    mock.on(UpdateEndpointWeightsAndCapacitiesCommand).rejects(GONE);
    const error = await thrownBy(set());
    expect(error).toBeInstanceOf(GateInputError);
    expect(error.message).toBe('there is no endpoint staging');
  });

  test.each(TROUBLE)('may fail: %s', async (_, trouble) => {
    finds({});
    mock.on(UpdateEndpointWeightsAndCapacitiesCommand).rejects(trouble);
    expect(await thrownBy(set())).toBeInstanceOf(GateDependencyError);
    finds(trouble);
    expect(await thrownBy(set())).toBeInstanceOf(GateDependencyError);
  });
});
