import {
  DescribeFeatureGroupCommand,
  type DescribeFeatureGroupCommandOutput,
  DescribePipelineCommand,
} from '@aws-sdk/client-sagemaker';
import { describe, expect, test } from 'vitest';
import { readFeatureGroups } from '../../../functions/config-parity/adapters/sagemaker-features.ts';
import { readPipelines } from '../../../functions/config-parity/adapters/sagemaker-pipelines.ts';
import { sagemakerError } from '../../support/fake-sagemaker.ts';
import { foundOf, useEndpoints } from '../../support/parity-endpoints.ts';

const DENIED = sagemakerError('AccessDeniedException', 'not authorized', 403);
const GONE = sagemakerError('ResourceNotFound', 'there is none');
const AT = new Date(0);
const KEY = 'arn:aws:kms:eu-west-1:111122223333:key/1';

const { mock, inputs, read } = useEndpoints();

describe('a feature group', () => {
  const readGroups = (...names: string[]) =>
    read((reading) =>
      readFeatureGroups(
        reading,
        (names.length === 0 ? ['flights'] : names).map((name) => foundOf('featureGroups', name)),
      ),
    );

  type Group = Partial<DescribeFeatureGroupCommandOutput>;

  const group = (more: Group = {}) => ({
    FeatureGroupArn: 'arn',
    FeatureGroupName: 'flights-staging',
    RecordIdentifierFeatureName: 'flight',
    EventTimeFeatureName: 'at',
    FeatureDefinitions: [],
    CreationTime: AT,
    LastModifiedTime: AT,
    FeatureGroupStatus: 'Created' as const,
    NextToken: undefined,
    ...more,
  });

  // biome-ignore lint/suspicious/noExplicitAny: a test looks into it
  const groupValue = async (more: Group): Promise<any> => {
    mock.on(DescribeFeatureGroupCommand).resolves(group(more));
    return (await readGroups()).resources[0]?.value;
  };

  test('is its stores and its features, all pages of them', async () => {
    mock
      .on(DescribeFeatureGroupCommand)
      .resolvesOnce(
        group({
          FeatureDefinitions: [{ FeatureName: 'flight', FeatureType: 'String' }],
          NextToken: 'more',
          OnlineStoreConfig: {
            EnableOnlineStore: true,
            StorageType: 'InMemory',
            TtlDuration: { Unit: 'Days', Value: 7 },
            SecurityConfig: { KmsKeyId: KEY },
          },
          OfflineStoreConfig: {
            S3StorageConfig: {
              S3Uri: 's3://features',
              KmsKeyId: KEY,
              ResolvedOutputS3Uri: 's3://features/111122223333/sagemaker/eu-west-1/offline-store/1732',
            },
            DisableGlueTableCreation: true,
            DataCatalogConfig: {
              Catalog: 'AwsDataCatalog',
              Database: 'sagemaker_featurestore',
              TableName: 'flights_staging_1732278896',
            },
            TableFormat: 'Iceberg',
          },
          OfflineStoreStatus: { Status: 'Active' },
          ThroughputConfig: {
            ThroughputMode: 'Provisioned',
            ProvisionedReadCapacityUnits: 5,
            ProvisionedWriteCapacityUnits: 6,
          },
          RoleArn: 'arn:role',
          Description: 'flights',
          LastUpdateStatus: { Status: 'Successful' },
          OnlineStoreTotalSizeBytes: 12,
        }),
      )
      .resolves(
        group({
          FeatureDefinitions: [
            {
              FeatureName: 'embedding',
              FeatureType: 'Fractional',
              CollectionType: 'Vector',
              CollectionConfig: { VectorConfig: { Dimension: 8 } },
            },
          ],
        }),
      );
    expect((await readGroups()).resources).toEqual([
      {
        kind: 'featureGroups',
        name: 'flights',
        physical: 'flights-staging',
        value: {
          recordIdentifier: 'flight',
          eventTime: 'at',
          features: [
            { name: 'flight', type: 'String' },
            { name: 'embedding', type: 'Fractional', collection: 'Vector', dimension: 8 },
          ],
          online: { enabled: true, storage: 'InMemory', ttl: '7 days', kmsKey: KEY },
          offline: {
            uri: 's3://features',
            kmsKey: KEY,
            format: 'Iceberg',
            table: 'sagemaker_featurestore.flights_staging',
            catalog: 'AwsDataCatalog',
            tableCreationDisabled: true,
          },
          throughput: { mode: 'Provisioned', readUnits: 5, writeUnits: 6 },
          role: 'arn:role',
          description: 'flights',
        },
      },
    ]);
    expect(inputs(DescribeFeatureGroupCommand)).toEqual([
      { FeatureGroupName: 'flights-staging' },
      { FeatureGroupName: 'flights-staging', NextToken: 'more' },
    ]);
  });

  test('may have no store at all, or the usual ones', async () => {
    expect(await groupValue({})).toEqual({
      recordIdentifier: 'flight',
      eventTime: 'at',
      online: { enabled: false },
    });
    expect(
      await groupValue({
        OnlineStoreConfig: { EnableOnlineStore: true },
        OfflineStoreConfig: { S3StorageConfig: { S3Uri: 's3://features' } },
      }),
    ).toMatchObject({
      online: { enabled: true, storage: 'Standard' },
      offline: { uri: 's3://features', format: 'Glue', tableCreationDisabled: false },
    });
  });

  test('takes nothing where its offline store is blocked', async () => {
    const { offline } = await groupValue({
      OfflineStoreConfig: { S3StorageConfig: { S3Uri: 's3://features' } },
      OfflineStoreStatus: { Status: 'Blocked', BlockedReason: 'words of SageMaker' },
    });
    expect(offline.status).toBe('Blocked');
  });

  test.each([
    ['Creating', { FeatureGroupStatus: 'Creating' }, 'Creating'],
    ['CreateFailed', { FeatureGroupStatus: 'CreateFailed' }, 'CreateFailed'],
    ['being updated', { LastUpdateStatus: { Status: 'InProgress' } }, 'Updating'],
  ] as [string, Group, string][])('is not settled while it is %s', async (_, more, status) => {
    mock.on(DescribeFeatureGroupCommand).resolves(group(more));
    expect((await readGroups()).unsettled).toEqual([
      { path: ['featureGroups', 'flights'], physical: 'flights-staging', status },
    ]);
  });

  test('may not be there, or not be readable, whatever becomes of another', async () => {
    mock
      .on(DescribeFeatureGroupCommand)
      .resolves(group())
      .on(DescribeFeatureGroupCommand, { FeatureGroupName: 'gone-staging' })
      .rejects(GONE)
      .on(DescribeFeatureGroupCommand, { FeatureGroupName: 'denied-staging' })
      .rejects(DENIED);
    const { resources, unreadable } = await readGroups('gone', 'denied', 'flights');
    expect(resources.map(({ name, value }) => [name, value === null])).toEqual([
      ['gone', true],
      ['flights', false],
    ]);
    expect(unreadable).toEqual([
      {
        path: ['featureGroups', 'denied'],
        physical: 'denied-staging',
        action: 'sagemaker:DescribeFeatureGroup',
        why: 'AccessDeniedException',
      },
    ]);
  });

  test('is unknown where it is deleted between two pages of its features', async () => {
    mock
      .on(DescribeFeatureGroupCommand)
      .resolvesOnce(group({ NextToken: 'more' }))
      .rejects(GONE);
    expect(await readGroups()).toMatchObject({
      resources: [],
      unreadable: [{ path: ['featureGroups', 'flights'], why: 'deleted while it was read' }],
    });
  });
});

describe('a pipeline', () => {
  const readAll = (...names: string[]) =>
    read((reading) =>
      readPipelines(
        reading,
        (names.length === 0 ? ['flights'] : names).map((name) => foundOf('pipelines', name)),
      ),
    );

  const definition = { Version: '2020-12-01', Parameters: [], Steps: [{ Name: 'Train', Arguments: null }] };

  test('is its definition as it is, and how it runs', async () => {
    mock.on(DescribePipelineCommand).resolves({
      PipelineArn: 'arn',
      PipelineName: 'flights-staging',
      PipelineDisplayName: 'Flights',
      PipelineDefinition: JSON.stringify(definition),
      PipelineDescription: 'trains',
      RoleArn: 'arn:role',
      PipelineStatus: 'Active',
      CreationTime: AT,
      LastModifiedTime: AT,
      LastRunTime: AT,
      CreatedBy: { UserProfileName: 'somebody' },
      LastModifiedBy: { UserProfileName: 'somebody' },
      ParallelismConfiguration: { MaxParallelExecutionSteps: 4 },
      PipelineVersionDisplayName: 'seven',
      PipelineVersionDescription: 'the seventh',
    });
    expect(await readAll()).toEqual({
      resources: [
        {
          kind: 'pipelines',
          name: 'flights',
          physical: 'flights-staging',
          value: { parallelism: 4, role: 'arn:role', description: 'trains', definition },
        },
      ],
      unreadable: [],
      unsettled: [],
      probes: [],
      notRead: [],
    });
    expect(inputs(DescribePipelineCommand)).toEqual([{ PipelineName: 'flights-staging' }]);
  });

  test('may have a definition that is no JSON, or none', async () => {
    mock.on(DescribePipelineCommand).resolves({ PipelineDefinition: '{"Steps":' });
    expect((await readAll()).resources[0]?.value).toEqual({ definition: '{"Steps":' });
    mock.on(DescribePipelineCommand).resolves({});
    expect((await readAll()).resources[0]?.value).toEqual({});
  });

  test('keeps every digit of its numbers', async () => {
    mock.on(DescribePipelineCommand).resolves({ PipelineDefinition: '{"Seed":9007199254740993}' });
    expect((await readAll()).resources[0]?.value).toEqual({ definition: { Seed: '9007199254740993' } });
  });

  test('is not settled while it is deleted', async () => {
    mock.on(DescribePipelineCommand).resolves({ PipelineStatus: 'Deleting' });
    expect((await readAll()).unsettled).toEqual([
      { path: ['pipelines', 'flights'], physical: 'flights-staging', status: 'Deleting' },
    ]);
  });

  test('may not be there, or not be readable, whatever becomes of another', async () => {
    mock
      .on(DescribePipelineCommand)
      .resolves({ RoleArn: 'arn:role' })
      .on(DescribePipelineCommand, { PipelineName: 'gone-staging' })
      .rejects(GONE)
      .on(DescribePipelineCommand, { PipelineName: 'denied-staging' })
      .rejects(DENIED);
    const { resources, unreadable } = await readAll('gone', 'denied', 'flights');
    expect(resources.map(({ name, value }) => [name, value])).toEqual([
      ['gone', null],
      ['flights', { role: 'arn:role' }],
    ]);
    expect(unreadable).toEqual([
      {
        path: ['pipelines', 'denied'],
        physical: 'denied-staging',
        action: 'sagemaker:DescribePipeline',
        why: 'AccessDeniedException',
      },
    ]);
  });
});
