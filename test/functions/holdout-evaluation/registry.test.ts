import {
  DescribeModelPackageCommand,
  ListModelPackagesCommand,
  UpdateModelPackageCommand,
} from '@aws-sdk/client-sagemaker';
import { beforeEach, describe, expect, test } from 'vitest';
import {
  describePackage,
  latestApproved,
  setVerdict,
} from '../../../functions/holdout-evaluation/adapters/registry.ts';
import { GateDependencyError, GateInputError } from '../../../functions/shared/errors.ts';
import { sagemakerError, useSageMaker } from '../../support/fake-sagemaker.ts';

const ARN = 'arn:aws:sagemaker:us-east-1:111122223333:model-package/flight-delay/7';

const { mock, sagemaker, inputs } = useSageMaker();

const GONE = sagemakerError('ValidationException', `ModelPackage ${ARN} does not exist.`);
const DENIED = sagemakerError('AccessDeniedException', 'not authorized', 400);
const THROTTLED = sagemakerError('ThrottlingException', 'Rate exceeded', 400);

describe('describePackage', () => {
  test('takes what an evaluation needs', async () => {
    mock.on(DescribeModelPackageCommand).resolves({
      ModelPackageArn: ARN,
      ModelPackageGroupName: 'flight-delay',
      ModelPackageVersion: 7,
      ModelPackageStatus: 'Completed',
      ModelApprovalStatus: 'Rejected',
      ApprovalDescription: 'too bad',
      CustomerMetadataProperties: { team: 'delays' },
      CreationTime: new Date(1000),
      InferenceSpecification: {
        Containers: [
          {
            ContainerHostname: 'first',
            Image: 'repository:1',
            ImageDigest: `sha256:${'a'.repeat(64)}`,
            ModelDataUrl: 's3://models/7/model.tar.gz',
            ModelDataETag: 'e7',
            Environment: { UNIT: 'miles' },
            Framework: 'XGBOOST',
          },
          {
            Image: 'other:2',
            ModelDataSource: {
              S3DataSource: {
                S3Uri: 's3://models/8/',
                S3DataType: 'S3Prefix',
                CompressionType: 'None',
                ETag: 'e8',
              },
            },
          },
        ],
      },
    });
    expect(await describePackage(sagemaker, ARN)).toEqual({
      arn: ARN,
      group: 'flight-delay',
      version: 7,
      status: 'Completed',
      approval: 'Rejected',
      description: 'too bad',
      metadata: { team: 'delays' },
      createdAt: 1000,
      containers: [
        {
          hostname: 'first',
          image: 'repository:1',
          imageDigest: `sha256:${'a'.repeat(64)}`,
          modelDataUrl: 's3://models/7/model.tar.gz',
          modelDataEtag: 'e7',
          environment: { UNIT: 'miles' },
        },
        {
          image: 'other:2',
          imageDigest: undefined,
          modelDataSource: {
            S3DataSource: {
              S3Uri: 's3://models/8/',
              S3DataType: 'S3Prefix',
              CompressionType: 'None',
              ETag: 'e8',
            },
          },
          modelDataEtag: 'e8',
          environment: {},
        },
      ],
    });
    expect(inputs()).toEqual([{ ModelPackageName: ARN }]);
  });

  test('of one that is gone is the caller’s business', async () => {
    mock.on(DescribeModelPackageCommand).rejects(GONE);
    const thrown = await describePackage(sagemaker, ARN).catch((error) => error);
    expect(thrown).toBeInstanceOf(GateInputError);
    expect(thrown.message).toBe(`there is no model package ${ARN}; it was deleted, or never there`);
  });

  test.each([
    ['throttled', THROTTLED],
    ['denied', DENIED],
  ])('%s is the world’s', async (_, error) => {
    mock.on(DescribeModelPackageCommand).rejects(error);
    const thrown = await describePackage(sagemaker, ARN).catch((failure) => failure);
    expect(thrown).toBeInstanceOf(GateDependencyError);
    expect(thrown.message).toMatch(/^DescribeModelPackage arn:.* failed \(HTTP 400\): /);
  });
});

describe('latestApproved', () => {
  const summary = (version: number, status = 'Completed') => ({
    ModelPackageArn: ARN.replace('/7', `/${version}`),
    ModelPackageStatus: status as 'Completed',
    CreationTime: new Date(version),
  });

  test('is the newest that is whole and is not the candidate, on whatever page', async () => {
    mock
      .on(ListModelPackagesCommand)
      .resolvesOnce({ ModelPackageSummaryList: [summary(7), summary(6, 'Failed')], NextToken: 'two' })
      .resolves({ ModelPackageSummaryList: [summary(5), summary(4)] });
    expect(await latestApproved(sagemaker, 'flight-delay', ARN)).toBe(ARN.replace('/7', '/5'));
    const query = {
      ModelPackageGroupName: 'flight-delay',
      ModelApprovalStatus: 'Approved',
      SortBy: 'CreationTime',
      SortOrder: 'Descending',
      MaxResults: 50,
    };
    expect(inputs()).toEqual([query, { ...query, NextToken: 'two' }]);
  });

  test('is none where there is none', async () => {
    mock.on(ListModelPackagesCommand).resolves({ ModelPackageSummaryList: [summary(7)] });
    expect(await latestApproved(sagemaker, 'flight-delay', ARN)).toBeUndefined();
  });

  test('does not read for ever', async () => {
    mock.on(ListModelPackagesCommand).resolves({ ModelPackageSummaryList: [], NextToken: 'again' });
    expect(await latestApproved(sagemaker, 'flight-delay', ARN)).toBeUndefined();
    expect(inputs()).toHaveLength(10);
  });

  test('throttled is the world’s', async () => {
    mock.on(ListModelPackagesCommand).rejects(THROTTLED);
    await expect(latestApproved(sagemaker, 'g', ARN)).rejects.toThrow(GateDependencyError);
  });
});

describe('setVerdict', () => {
  const conflict = sagemakerError('ConflictException');
  const pauses: number[] = [];
  const pause = async (ms: number) => void pauses.push(ms);

  beforeEach(() => {
    pauses.length = 0;
  });

  test('is one update', async () => {
    mock.on(UpdateModelPackageCommand).resolves({ ModelPackageArn: ARN });
    const verdict = { approval: 'Approved' as const, description: 'pass', metadata: { a: 'b' } };
    expect(await setVerdict(sagemaker, ARN, verdict)).toBe('set');
    expect(inputs()).toEqual([
      {
        ModelPackageArn: ARN,
        ModelApprovalStatus: 'Approved',
        ApprovalDescription: 'pass',
        CustomerMetadataProperties: { a: 'b' },
      },
    ]);
  });

  test('leaves the approval alone where there is none, and sends no empty metadata', async () => {
    mock.on(UpdateModelPackageCommand).resolves({});
    await setVerdict(sagemaker, ARN, { description: 'inconclusive', metadata: {} });
    expect(inputs()).toEqual([{ ModelPackageArn: ARN, ApprovalDescription: 'inconclusive' }]);
  });

  test('waits for another update to end', async () => {
    mock.on(UpdateModelPackageCommand).rejectsOnce(conflict).rejectsOnce(conflict).resolves({});
    expect(await setVerdict(sagemaker, ARN, { description: 'd', metadata: {} }, pause)).toBe('set');
    expect(pauses).toEqual([200, 400]);
  });

  test('does not wait for ever', async () => {
    mock.on(UpdateModelPackageCommand).rejects(conflict);
    const thrown = await setVerdict(sagemaker, ARN, { description: 'd', metadata: {} }, pause).catch(
      (e) => e,
    );
    expect(thrown).toBeInstanceOf(GateDependencyError);
    expect(inputs()).toHaveLength(5);
  });

  test('of a package that was deleted says so', async () => {
    mock.on(UpdateModelPackageCommand).rejects(GONE);
    expect(await setVerdict(sagemaker, ARN, { description: 'd', metadata: {} }, pause)).toBe('gone');
  });

  test.each([
    ['throttled', THROTTLED],
    ['denied', DENIED],
    ['what SageMaker does not take', sagemakerError('ValidationException', '1 validation error detected')],
  ])('%s is the world’s', async (_, error) => {
    mock.on(UpdateModelPackageCommand).rejects(error);
    const thrown = await setVerdict(sagemaker, ARN, { description: 'd', metadata: {} }, pause).catch(
      (e) => e,
    );
    expect(thrown).toBeInstanceOf(GateDependencyError);
    expect(inputs()).toHaveLength(1);
  });
});
