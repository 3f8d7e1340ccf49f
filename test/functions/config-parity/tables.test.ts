import { GetTableCommand, type Table } from '@aws-sdk/client-glue';
import 'aws-sdk-client-mock-vitest/extend';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readTables } from '../../../functions/config-parity/adapters/tables.ts';
import { DENIED, failure, foundOf, type MockedReading, mockedReading } from '../../support/parity-reading.ts';

let mocked: MockedReading;

beforeEach(() => {
  mocked = mockedReading();
});

afterEach(() => mocked.restore());

const glue = () => mocked.mock('glue');

async function read(Table: Table): Promise<unknown> {
  glue().on(GetTableCommand).resolves({ Table });
  await readTables(mocked.reading, foundOf('tables', ['lake.flights']));
  return mocked.part.resources[0]?.value;
}

describe('a table', () => {
  test('is its columns, storage and parameters, without statistics, times and versions', async () => {
    const value = await read({
      Name: 'flights',
      DatabaseName: 'lake',
      Description: 'flights',
      Owner: 'hadoop',
      CreateTime: new Date(0),
      UpdateTime: new Date(0),
      LastAccessTime: new Date(0),
      LastAnalyzedTime: new Date(0),
      Retention: 0,
      StorageDescriptor: {
        Columns: [
          { Name: 'delay', Type: 'double', Comment: 'minutes' },
          { Name: 'origin', Type: 'string', Parameters: { CrawlerSchemaSerializerVersion: '1.0' } },
        ],
        Location: 's3://lake/flights/',
        AdditionalLocations: ['s3://lake/more/'],
        InputFormat: 'Input',
        OutputFormat: 'Output',
        Compressed: false,
        NumberOfBuckets: 4,
        SerdeInfo: { Name: 'flights', SerializationLibrary: 'Csv', Parameters: { 'field.delim': ',' } },
        BucketColumns: ['origin'],
        SortColumns: [{ Column: 'delay', SortOrder: 1 }],
        Parameters: { objectCount: '7', typeOfData: 'file' },
        SkewedInfo: { SkewedColumnNames: ['origin'], SkewedColumnValueLocationMaps: { A: 's3://lake/a/' } },
        StoredAsSubDirectories: false,
        SchemaReference: {
          SchemaId: { SchemaName: 'flights', RegistryName: 'lake' },
          SchemaVersionId: '8f2a',
          SchemaVersionNumber: 3,
        },
      },
      PartitionKeys: [{ Name: 'day', Type: 'date' }],
      TableType: 'EXTERNAL_TABLE',
      Parameters: {
        EXTERNAL: 'TRUE',
        classification: 'csv',
        'skip.header.line.count': '1',
        'projection.enabled': 'true',
        numRows: '4711',
        rawDataSize: '1',
        totalSize: '1',
        numFiles: '1',
        recordCount: '1',
        averageRecordSize: '1',
        objectCount: '1',
        sizeKey: '1',
        COLUMN_STATS_ACCURATE: '{}',
        transient_lastDdlTime: '1700000000',
        last_modified_by: 'somebody',
        last_modified_time: '1700000000',
        presto_query_time: '1',
        UPDATED_BY_CRAWLER: 'crawler',
        CrawlerSchemaDeserializerVersion: '1.0',
        metadata_location: 's3://lake/flights/metadata/00007.json',
      },
      CreatedBy: 'arn:aws:sts::111111111111:assumed-role/deployer/session',
      IsRegisteredWithLakeFormation: true,
      CatalogId: '111111111111',
      VersionId: '7',
      IsMultiDialectView: false,
      Status: { State: 'SUCCESS' },
      RLSProperties: { DefaultRLSPolicy: 'deny' },
    } as Table);
    expect(glue()).toHaveReceivedCommandOnce(GetTableCommand);
    expect(glue()).toHaveReceivedCommandWith(GetTableCommand, { DatabaseName: 'lake', Name: 'flights' });
    expect(value).toEqual({
      columns: [
        { name: 'delay', type: 'double', comment: 'minutes' },
        { name: 'origin', type: 'string' },
      ],
      partitionKeys: [{ name: 'day', type: 'date' }],
      location: 's3://lake/flights/',
      additionalLocations: ['s3://lake/more/'],
      inputFormat: 'Input',
      outputFormat: 'Output',
      compressed: false,
      buckets: 4,
      bucketColumns: ['origin'],
      serde: { library: 'Csv', parameters: { 'field.delim': ',' } },
      sort: [{ name: 'delay', order: 1 }],
      storageParameters: { typeOfData: 'file' },
      skewed: { columns: ['origin'], locations: { A: 's3://lake/a/' } },
      storedAsSubDirectories: false,
      schema: { schemaId: { schemaName: 'flights', registryName: 'lake' }, schemaVersionNumber: 3 },
      parameters: {
        EXTERNAL: 'TRUE',
        classification: 'csv',
        'skip.header.line.count': '1',
        'projection.enabled': 'true',
      },
      type: 'EXTERNAL_TABLE',
      owner: 'hadoop',
      retention: 0,
      lakeFormation: true,
      rLSProperties: { defaultRLSPolicy: 'deny' },
      description: 'flights',
    });
  });

  test('may be a view', async () => {
    const value = await read({
      Name: 'late',
      TableType: 'VIRTUAL_VIEW',
      ViewOriginalText: 'SELECT 1',
      ViewExpandedText: 'SELECT 1 AS one',
      IsMultiDialectView: true,
      ViewDefinition: {
        IsProtected: true,
        Definer: 'arn:aws:iam::111111111111:role/definer',
        ViewVersionId: 4,
        ViewVersionToken: '8f2a',
        SubObjects: ['lake.flights'],
        SubObjectVersionIds: [7],
        Representations: [
          { Dialect: 'ATHENA', DialectVersion: '3', ViewOriginalText: 'SELECT 1', IsStale: true },
          { Dialect: 'SPARK', DialectVersion: '3', ViewOriginalText: 'SELECT 2' },
        ],
      },
    });
    expect(value).toEqual({
      type: 'VIRTUAL_VIEW',
      view: 'SELECT 1',
      multiDialect: true,
      viewDefinition: {
        isProtected: true,
        definer: 'arn:aws:iam::111111111111:role/definer',
        subObjects: ['lake.flights'],
        representations: [
          { name: 'ATHENA', dialectVersion: '3', viewOriginalText: 'SELECT 1' },
          { name: 'SPARK', dialectVersion: '3', viewOriginalText: 'SELECT 2' },
        ],
      },
    });
  });

  test('of Iceberg has the schema that counts; a link says where it leads', async () => {
    const value = await read({
      Name: 'flights',
      TargetTable: { CatalogId: '222222222222', DatabaseName: 'lake', Name: 'flights' },
      IcebergTableMetadata: {
        FormatVersion: '2',
        TableUuid: '8f2a',
        Location: 's3://lake/flights',
        Properties: { 'write.format.default': 'parquet', 'current-snapshot-id': '4711' },
        Schemas: [
          { SchemaId: 0, Fields: [] },
          { SchemaId: 1, Fields: [{ Id: 1, Name: 'delay', Type: 'double', Required: true }] },
        ],
        CurrentSchemaId: 1,
        LastColumnId: 1,
        PartitionSpecs: [
          { SpecId: 0, Fields: [{ SourceId: 1, Transform: 'day', Name: 'day', FieldId: 1000 }] },
        ],
        DefaultSpecId: 0,
      },
    });
    expect(value).toEqual({
      target: { catalogId: '222222222222', databaseName: 'lake', name: 'flights' },
      iceberg: {
        formatVersion: '2',
        location: 's3://lake/flights',
        properties: { 'write.format.default': 'parquet' },
        schema: { schemaId: 1, fields: [{ id: 1, name: 'delay', type: 'double', required: true }] },
        partitions: { specId: 0, fields: [{ sourceId: 1, transform: 'day', name: 'day', fieldId: 1000 }] },
      },
    });
  });

  test('that there is not is null; one that is denied is unreadable', async () => {
    glue()
      .on(GetTableCommand, { Name: 'gone' })
      .rejects(failure('EntityNotFoundException'))
      .on(GetTableCommand, { Name: 'denied' })
      .rejects(DENIED);
    await readTables(mocked.reading, foundOf('tables', ['lake.gone', 'lake.denied']));
    expect(mocked.part.resources).toEqual([
      { kind: 'tables', name: 'lake.gone', physical: 'lake.gone', value: null },
    ]);
    expect(mocked.part.unreadable).toEqual([
      {
        path: ['tables', 'lake.denied'],
        physical: 'lake.denied',
        action: 'glue:GetTable',
        why: 'AccessDeniedException',
      },
    ]);
  });
});
