import { type Column, GetTableCommand, type StorageDescriptor, type Table } from '@aws-sdk/client-glue';
import { attempt, type Found, type Reading } from './reading.ts';
import { isCalled, readEach, splitLast, without } from './things.ts';
import { type JsonObject, membersOf, setOf } from './values.ts';

/** Left out: names, times, versions, who made it, its account, and the state of its last change. */
const OF_NO_MATTER = [
  'Name',
  'DatabaseName',
  'CatalogId',
  'CreateTime',
  'UpdateTime',
  'LastAccessTime',
  'LastAnalyzedTime',
  'CreatedBy',
  'VersionId',
  'Status',
];

/** Of a view: what AWS makes up, and how it came to be what it is. */
const OF_NO_MATTER_IN_VIEWS = [
  'ViewVersionId',
  'ViewVersionToken',
  'LastRefreshType',
  'SubObjectVersionIds',
  'SubObjectsStatistics',
];

/** Parameters that engines and crawlers keep for themselves: statistics, times, their own versions and snapshots. */
const KEPT_BY_ENGINES =
  /^(numRows|rawDataSize|totalSize|numFiles|numPartitions|numFilesErasureCoded|recordCount|objectCount|averageRecordSize|sizeKey|COLUMN_STATS_ACCURATE|areColumnStatsCached|(previous_)?metadata_location|current-snapshot-.*|transient_lastDdlTime|last_.*|.*_time|UPDATED_BY_.*|CrawlerSchema.*|CRAWL_RUN_ID)$/i;

/** Reads tables of the Glue catalog. */
export async function readTables(reading: Reading, found: readonly Found[]): Promise<void> {
  await readEach(reading, found, async ({ kind, name, physical }) => {
    const [DatabaseName, Name] = splitLast(physical, '.');
    const read = await attempt(
      reading,
      { path: [kind, name], physical, action: 'glue:GetTable' },
      () => reading.clients.glue.send(new GetTableCommand({ DatabaseName, Name })),
      isCalled('EntityNotFoundException'),
    );
    if (read === undefined) return undefined;
    return 'gone' in read || read.answer.Table === undefined ? null : tableOf(read.answer.Table);
  });
}

function tableOf({
  StorageDescriptor,
  PartitionKeys,
  Parameters,
  TableType,
  ViewOriginalText,
  ViewExpandedText,
  ViewDefinition,
  Description,
  IsRegisteredWithLakeFormation,
  IsMultiDialectView,
  IsMaterializedView,
  TargetTable,
  IcebergTableMetadata: iceberg,
  ...rest
}: Table): JsonObject {
  return setOf({
    ...storageOf(StorageDescriptor ?? {}),
    partitionKeys: columnsOf(PartitionKeys),
    parameters: parametersOf(Parameters),
    type: TableType,
    // The expanded one follows from the original, where there is one.
    view: ViewOriginalText || ViewExpandedText || undefined,
    viewDefinition: ViewDefinition && {
      ...membersOf(without(ViewDefinition, [...OF_NO_MATTER_IN_VIEWS, 'Representations'])),
      representations: ViewDefinition.Representations?.map((one) => ({
        name: one.Dialect,
        ...membersOf(without(one, ['Dialect', 'IsStale'])),
      })),
    },
    description: Description || undefined,
    lakeFormation: IsRegisteredWithLakeFormation,
    multiDialect: IsMultiDialectView || undefined,
    materialized: IsMaterializedView || undefined,
    // What a link points to; its account is folded.
    target: membersOf(TargetTable),
    // Earlier schemas, and the ids that the next ones get, say nothing of what the table is.
    iceberg: iceberg && {
      formatVersion: iceberg.FormatVersion,
      location: iceberg.Location,
      properties: parametersOf(iceberg.Properties),
      schema: membersOf(iceberg.Schemas?.find(({ SchemaId }) => SchemaId === iceberg.CurrentSchemaId)),
      partitions: membersOf(iceberg.PartitionSpecs?.find(({ SpecId }) => SpecId === iceberg.DefaultSpecId)),
      sort: membersOf(iceberg.SortOrders?.find(({ OrderId }) => OrderId === iceberg.DefaultSortOrderId)),
    },
    ...membersOf(without(rest, OF_NO_MATTER)),
  });
}

function storageOf({
  Columns,
  Location,
  InputFormat,
  OutputFormat,
  Compressed,
  NumberOfBuckets,
  SerdeInfo,
  BucketColumns,
  SortColumns,
  Parameters,
  SkewedInfo,
  SchemaReference,
  ...rest
}: StorageDescriptor) {
  return {
    columns: columnsOf(Columns),
    location: Location || undefined,
    inputFormat: InputFormat,
    outputFormat: OutputFormat,
    compressed: Compressed,
    buckets: NumberOfBuckets,
    bucketColumns: BucketColumns,
    // Its name is that of the table, or nothing.
    serde: { library: SerdeInfo?.SerializationLibrary, parameters: SerdeInfo?.Parameters },
    sort: SortColumns?.map(({ Column, SortOrder }) => ({ name: Column, order: SortOrder })),
    storageParameters: parametersOf(Parameters),
    skewed: {
      columns: SkewedInfo?.SkewedColumnNames,
      values: SkewedInfo?.SkewedColumnValues,
      locations: SkewedInfo?.SkewedColumnValueLocationMaps,
    },
    // The id of its version is generated.
    schema: membersOf(without(SchemaReference ?? {}, ['SchemaVersionId'])),
    ...membersOf(rest),
  };
}

function columnsOf(columns: readonly Column[] = []) {
  return columns.map(({ Name, Type, Comment, Parameters }) => ({
    name: Name,
    type: Type,
    comment: Comment || undefined,
    parameters: parametersOf(Parameters),
  }));
}

function parametersOf(parameters: Record<string, string> = {}) {
  return Object.fromEntries(Object.entries(parameters).filter(([key]) => !KEPT_BY_ENGINES.test(key)));
}
