import {
  DescribeFeatureGroupCommand,
  type DescribeFeatureGroupCommandOutput,
  type FeatureDefinition,
  type OfflineStoreConfig,
  type OnlineStoreConfig,
} from '@aws-sdk/client-sagemaker';
import { isGone } from '../../shared/sagemaker.ts';
import type { Path } from '../path.ts';
import { everyPage } from './pages.ts';
import { attempt, DELETED, type Found, type Reading } from './reading.ts';
import { readEach } from './things.ts';
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
  await readEach(reading, found, (one) => readFeatureGroup(reading, one));
}

/** Null where there is no such group, undefined where it could not be read. */
async function readFeatureGroup(
  reading: Reading,
  { kind, name, physical }: Found,
): Promise<JsonObject | null | undefined> {
  const { sink, clients } = reading;
  const path: Path = [kind, name];
  const of = { path, physical, action: 'sagemaker:DescribeFeatureGroup' };
  const pages: DescribeFeatureGroupCommandOutput[] = [];
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
        pages.push(answer);
        return { items: answer.FeatureDefinitions, next: answer.NextToken };
      }),
    isGone,
  );
  if (attempted === undefined) return undefined;
  const [group] = pages;
  if (group === undefined) return null;
  if ('gone' in attempted) {
    // Between two pages of its features.
    sink.unreadable({ ...of, why: DELETED });
    return undefined;
  }
  const { FeatureGroupStatus = 'unknown', LastUpdateStatus } = group;
  if (FeatureGroupStatus !== 'Created') sink.unsettled({ path, physical, status: FeatureGroupStatus });
  else if (LastUpdateStatus?.Status === 'InProgress') sink.unsettled({ path, physical, status: 'Updating' });
  return featureGroupValue(group, attempted.answer);
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
