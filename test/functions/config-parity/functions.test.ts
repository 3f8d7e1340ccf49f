import {
  type FunctionConfiguration,
  GetFunctionConcurrencyCommand,
  GetFunctionConfigurationCommand,
} from '@aws-sdk/client-lambda';
import 'aws-sdk-client-mock-vitest/extend';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readFunctions } from '../../../functions/config-parity/adapters/functions.ts';
import {
  DENIED,
  failure,
  foundOf,
  type MockedReading,
  mockedReading,
  THROTTLED,
} from '../../support/parity-reading.ts';

let mocked: MockedReading;

beforeEach(() => {
  mocked = mockedReading();
  lambda().on(GetFunctionConcurrencyCommand).resolves({});
});

afterEach(() => mocked.restore());

const lambda = () => mocked.mock('lambda');
const answer = (configuration: FunctionConfiguration) =>
  lambda().on(GetFunctionConfigurationCommand).resolves(configuration);
const read = (...names: string[]) => readFunctions(mocked.reading, foundOf('functions', names));
const GONE = failure('ResourceNotFoundException', 404);
const LAYER = 'arn:aws:lambda:eu-west-1:111111111111:layer:duckdb';

describe('a function', () => {
  test('is how it is configured, without its names, times, hashes and states', async () => {
    answer({
      FunctionName: 'score',
      FunctionArn: 'arn:aws:lambda:eu-west-1:111111111111:function:score',
      Runtime: 'nodejs24.x',
      Role: 'arn:aws:iam::111111111111:role/score',
      Handler: 'index.handler',
      CodeSize: 4711,
      Description: 'scores',
      Timeout: 60,
      MemorySize: 1024,
      LastModified: '2026-01-01T00:00:00.000+0000',
      CodeSha256: 'c29tZSBjb2Rl',
      Version: '$LATEST',
      VpcConfig: {
        SubnetIds: ['subnet-1', 'subnet-2'],
        SecurityGroupIds: ['sg-1'],
        VpcId: 'vpc-1',
        Ipv6AllowedForDualStack: false,
      },
      DeadLetterConfig: { TargetArn: 'arn:aws:sqs:eu-west-1:111111111111:dead' },
      Environment: { Variables: { SCALER_VERSION: '3', EMPTY: '' } },
      KMSKeyArn: 'arn:aws:kms:eu-west-1:111111111111:key/1',
      TracingConfig: { Mode: 'Active' },
      RevisionId: '8f2a',
      Layers: [{ Arn: `${LAYER}:12`, CodeSize: 1, SigningJobArn: 'arn:aws:signer:job' }],
      State: 'Active',
      LastUpdateStatus: 'Successful',
      FileSystemConfigs: [{ Arn: 'arn:aws:elasticfilesystem:ap', LocalMountPath: '/mnt/models' }],
      PackageType: 'Zip',
      Architectures: ['arm64'],
      EphemeralStorage: { Size: 512 },
      SnapStart: { ApplyOn: 'None', OptimizationStatus: 'Off' },
      RuntimeVersionConfig: { RuntimeVersionArn: 'arn:aws:lambda:eu-west-1::runtime:8f2a' },
      LoggingConfig: { LogFormat: 'JSON', ApplicationLogLevel: 'INFO', LogGroup: '/aws/lambda/score' },
      ConfigSha256: '8f2a',
      DurableConfig: { ExecutionTimeout: 3600, RetentionPeriodInDays: 14 },
      TenancyConfig: { TenantIsolationMode: 'PER_TENANT' },
    });
    lambda().on(GetFunctionConcurrencyCommand).resolves({ ReservedConcurrentExecutions: 0 });
    await readFunctions(mocked.reading, [{ kind: 'functions', name: 'scoring', physical: 'score' }]);
    expect(lambda()).toHaveReceivedCommandOnce(GetFunctionConfigurationCommand);
    expect(lambda()).toHaveReceivedCommandWith(GetFunctionConfigurationCommand, { FunctionName: 'score' });
    expect(lambda()).toHaveReceivedCommandWith(GetFunctionConcurrencyCommand, { FunctionName: 'score' });
    expect(mocked.part).toEqual({
      resources: [
        {
          kind: 'functions',
          name: 'scoring',
          physical: 'score',
          value: {
            runtime: 'nodejs24.x',
            handler: 'index.handler',
            packageType: 'Zip',
            architecture: 'arm64',
            memoryMb: 1024,
            timeoutSeconds: 60,
            ephemeralMb: 512,
            environment: { SCALER_VERSION: '3', EMPTY: '' },
            layers: [{ name: LAYER, version: 12 }],
            code: 'c29tZSBjb2Rl',
            role: 'arn:aws:iam::111111111111:role/score',
            vpc: { subnets: ['subnet-1', 'subnet-2'], securityGroups: ['sg-1'] },
            tracing: 'Active',
            reservedConcurrency: 0,
            kmsKey: 'arn:aws:kms:eu-west-1:111111111111:key/1',
            deadLetter: 'arn:aws:sqs:eu-west-1:111111111111:dead',
            logging: { format: 'JSON', applicationLevel: 'INFO' },
            description: 'scores',
            fileSystems: [{ name: '/mnt/models', arn: 'arn:aws:elasticfilesystem:ap' }],
            durable: { executionTimeoutSeconds: 3600, retentionDays: 14 },
            tenancy: 'PER_TENANT',
          },
        },
      ],
      unreadable: [],
      unsettled: [],
      probes: [],
      notRead: [],
    });
  });

  test('of an image is what it starts, in order, and what AWS may come to say of it', async () => {
    answer({
      PackageType: 'Image',
      CodeSha256: '8f2a',
      Architectures: ['x86_64'],
      Description: '',
      VpcConfig: { SubnetIds: [], SecurityGroupIds: [], VpcId: '' },
      SnapStart: { ApplyOn: 'PublishedVersions', OptimizationStatus: 'Off' },
      ImageConfigResponse: { ImageConfig: { EntryPoint: ['/lambda', 'b', 'a'], Command: [] } },
      LoggingConfig: { LogGroup: '/shared', SystemLogLevel: 'WARN' },
      ...{ NewThing: { SomeSwitch: true } },
    });
    await read('score');
    expect(mocked.part.resources[0]?.value).toEqual({
      packageType: 'Image',
      code: '8f2a',
      architecture: 'x86_64',
      snapStart: 'PublishedVersions',
      imageConfig: { entryPoint: '["/lambda","b","a"]', command: '[]' },
      logging: { group: '/shared', systemLevel: 'WARN' },
      newThing: { someSwitch: true },
    });
  });

  test('that there is not is null', async () => {
    lambda().on(GetFunctionConfigurationCommand).rejects(GONE);
    await read('gone');
    expect(mocked.part.resources).toEqual([
      { kind: 'functions', name: 'gone', physical: 'gone', value: null },
    ]);
    expect(mocked.part.unreadable).toEqual([]);
    expect(lambda()).not.toHaveReceivedCommand(GetFunctionConcurrencyCommand);
  });

  test('that goes away between two calls is unreadable', async () => {
    answer({ Runtime: 'nodejs24.x' });
    lambda().on(GetFunctionConcurrencyCommand).rejects(GONE);
    await read('score');
    expect(mocked.part.resources).toEqual([]);
    expect(mocked.part.unreadable).toEqual([
      {
        path: ['functions', 'score'],
        physical: 'score',
        action: 'lambda:GetFunctionConcurrency',
        why: 'deleted while it was read',
      },
    ]);
  });

  test.each([
    ['denied', DENIED, 'AccessDeniedException'],
    ['throttled to the end', THROTTLED, 'ThrottlingException'],
  ])('that is %s is unreadable, and no other', async (_, error, why) => {
    lambda()
      .on(GetFunctionConfigurationCommand, { FunctionName: 'bad' })
      .rejects(error)
      .on(GetFunctionConfigurationCommand, { FunctionName: 'good' })
      .resolves({ MemorySize: 128 });
    await read('bad', 'good');
    expect(mocked.part.resources).toEqual([
      { kind: 'functions', name: 'good', physical: 'good', value: { memoryMb: 128 } },
    ]);
    expect(mocked.part.unreadable).toEqual([
      { path: ['functions', 'bad'], physical: 'bad', action: 'lambda:GetFunctionConfiguration', why },
    ]);
  });

  test('is read but for its concurrency where that is denied', async () => {
    answer({ MemorySize: 128 });
    lambda().on(GetFunctionConcurrencyCommand).rejects(DENIED);
    await read('score');
    expect(mocked.part.resources[0]?.value).toEqual({ memoryMb: 128 });
    expect(mocked.part.unreadable).toEqual([
      {
        path: ['functions', 'score', 'reservedConcurrency'],
        physical: 'score',
        action: 'lambda:GetFunctionConcurrency',
        why: 'AccessDeniedException',
      },
    ]);
  });

  test('whose variables Lambda cannot decrypt is read without them; its words are not repeated', async () => {
    answer({
      MemorySize: 128,
      Environment: { Error: { ErrorCode: 'KMSAccessDeniedException', Message: 'PASSWORD=hunter2' } },
      ImageConfigResponse: { Error: { Message: 'PASSWORD=hunter2' } },
    });
    await read('score');
    expect(mocked.part.resources[0]?.value).toEqual({ memoryMb: 128 });
    const action = 'lambda:GetFunctionConfiguration';
    expect(mocked.part.unreadable).toEqual([
      {
        path: ['functions', 'score', 'environment'],
        physical: 'score',
        action,
        why: 'KMSAccessDeniedException',
      },
      { path: ['functions', 'score', 'imageConfig'], physical: 'score', action, why: 'Error' },
    ]);
    expect(JSON.stringify(mocked.part)).not.toContain('hunter2');
  });

  test.each<[FunctionConfiguration, string | undefined, object]>([
    [{ State: 'Pending', LastUpdateStatus: 'InProgress' }, 'Pending', {}],
    [{ State: 'Deleting' }, 'Deleting', {}],
    [{ State: 'Active', LastUpdateStatus: 'InProgress' }, 'Updating', {}],
    [{ State: 'Inactive', LastUpdateStatus: 'Successful' }, undefined, {}],
    [{ State: 'Failed' }, undefined, { state: 'Failed' }],
    [{ State: 'Active', LastUpdateStatus: 'Failed' }, undefined, { lastUpdate: 'Failed' }],
  ])('that is %o', async (state, status, value) => {
    answer({ MemorySize: 128, ...state });
    await read('score');
    expect(mocked.part.resources[0]?.value).toEqual({ memoryMb: 128, ...value });
    expect(mocked.part.unsettled).toEqual(
      status === undefined ? [] : [{ path: ['functions', 'score'], physical: 'score', status }],
    );
  });
});

test('many functions are read eight at a time', async () => {
  let running = 0;
  let most = 0;
  lambda()
    .on(GetFunctionConfigurationCommand)
    .callsFake(async () => {
      most = Math.max(most, ++running);
      await new Promise(setImmediate);
      running--;
      return { MemorySize: 128 };
    });
  const names = Array.from({ length: 40 }, (_, index) => `score-${index}`);
  await read(...names);
  expect(mocked.part.resources.map(({ name }) => name).toSorted()).toEqual(names.toSorted());
  expect(most).toBe(8);
});
