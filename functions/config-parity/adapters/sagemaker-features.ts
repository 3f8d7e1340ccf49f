import {
  DescribeFeatureGroupCommand,
  type DescribeFeatureGroupCommandOutput,
  type FeatureDefinition,
  type OfflineStoreConfig,
  type OnlineStoreConfig,
} from '@aws-sdk/client-sagemaker';
import { mapLimit } from '../../shared/aws.ts';
import { isGone } from '../../shared/sagemaker.ts';
import type { Path } from '../path.ts';
import { everyPage } from './pages.ts';
import { attempt, CONCURRENCY, DELETED, type Found, type Reading } from './reading.ts';
import { type JsonObject, membersOf, setOf } from './values.ts';

/*
 * Feature groups of SageMaker.
 */

/**
 * Reads feature groups.
 *
 * @throws GateInputError where one has more features than are compared
 * @throws GateDependencyError where nothing at all can be read
 */
export async function readFeatureGroups(reading: Reading, found: readonly Found[]): Promise<void> {
  await mapLimit(found, CONCURRENCY, (one) => readFeatureGroup(reading, one));
}

async function readFeatureGroup(reading: Reading, { kind, name, physical }: Found): Promise<void> {
  const { sink, clients } = reading;
  const path: Path = [kind, name];
  const of = { path, physical, action: 'sagemaker:DescribeFeatureGroup' };
  let group: DescribeFeatureGroupCommandOutput | undefined;
  const attempted = await attempt(
    reading,
    of,
    () =>
      everyPage(`features of ${physical}`, async (token) => {
        const answer = await clients.sagemaker.send(
          new DescribeFeatureGroupCommand({
            FeatureGroupName: physical,
            ...(token !== undefined && { NextToken: token }),
          }),
        );
        group ??= answer;
        return { items: answer.FeatureDefinitions, next: answer.NextToken };
      }),
    isGone,
  );
  if (attempted === undefined) return;
  if ('gone' in attempted || group === undefined) {
    // Between two pages of its features.
    if (group !== undefined) return sink.unreadable({ ...of, why: DELETED });
    return sink.add({ kind, name, physical, value: null });
  }
  const { FeatureGroupStatus = 'unknown', LastUpdateStatus } = group;
  if (FeatureGroupStatus !== 'Created') sink.unsettled({ path, physical, status: FeatureGroupStatus });
  else if (LastUpdateStatus?.Status === 'InProgress') sink.unsettled({ path, physical, status: 'Updating' });
  sink.add({ kind, name, physical, value: featureGroupValue(group, attempted.answer) });
}

function featureGroupValue(
  group: DescribeFeatureGroupCommandOutput,
  features: readonly FeatureDefinition[],
): JsonObject {
  // Statuses, times and how much is stored are not configuration.
  const {
    $metadata,
    FeatureGroupArn,
    FeatureGroupName,
    CreationTime,
    LastModifiedTime,
    FeatureGroupStatus,
    LastUpdateStatus,
    FailureReason,
    NextToken,
    OnlineStoreTotalSizeBytes,
    FeatureDefinitions,
    RecordIdentifierFeatureName,
    EventTimeFeatureName,
    OnlineStoreConfig: online,
    OfflineStoreConfig: offline,
    OfflineStoreStatus,
    ThroughputConfig: throughput,
    RoleArn,
    Description,
    ...more
  } = group;
  const status = OfflineStoreStatus?.Status;
  return setOf({
    ...membersOf(more),
    recordIdentifier: RecordIdentifierFeatureName,
    eventTime: EventTimeFeatureName,
    features: features.map(featureOf),
    online: online === undefined ? { enabled: false } : onlineOf(online),
    offline: offline && {
      ...offlineOf(offline),
      // One that is blocked takes nothing.
      status: status === 'Active' ? undefined : status,
    },
    throughput: throughput && {
      mode: throughput.ThroughputMode,
      readUnits: throughput.ProvisionedReadCapacityUnits,
      writeUnits: throughput.ProvisionedWriteCapacityUnits,
    },
    role: RoleArn,
    description: Description,
  });
}

function featureOf({
  FeatureName,
  FeatureType,
  CollectionType,
  CollectionConfig,
  ...more
}: FeatureDefinition): JsonObject {
  return setOf({
    ...membersOf(more),
    name: FeatureName,
    type: FeatureType,
    collection: CollectionType,
    dimension: CollectionConfig?.VectorConfig?.Dimension,
  });
}

function onlineOf({
  EnableOnlineStore,
  StorageType,
  TtlDuration: ttl,
  SecurityConfig,
  ...more
}: OnlineStoreConfig): JsonObject {
  return setOf({
    ...membersOf(more),
    enabled: EnableOnlineStore ?? false,
    storage: StorageType ?? 'Standard',
    ttl: ttl && `${ttl.Value} ${ttl.Unit?.toLowerCase()}`,
    kmsKey: SecurityConfig?.KmsKeyId,
  });
}

function offlineOf({
  S3StorageConfig: storage,
  DataCatalogConfig: catalog,
  DisableGlueTableCreation,
  TableFormat,
  ...more
}: OfflineStoreConfig): JsonObject {
  // Where exactly it writes follows from the URI, and from when the group was made.
  const { S3Uri, KmsKeyId, ResolvedOutputS3Uri, ...others } = storage ?? {};
  return setOf({
    ...membersOf(more),
    ...membersOf(others),
    uri: S3Uri,
    kmsKey: KmsKeyId,
    format: TableFormat ?? 'Glue',
    // The name that SageMaker makes up ends with seconds since 1970.
    table: catalog && `${catalog.Database}.${catalog.TableName?.replace(/_\d{10}$/, '')}`,
    catalog: catalog?.Catalog,
    tableCreationDisabled: DisableGlueTableCreation ?? false,
  });
}
