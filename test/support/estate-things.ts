import { createHash } from 'node:crypto';
import { APP, type Maker, PRODUCTS, sha256, thingOf, tocsinStack } from './estate-maker.ts';

/*
 * Everything that is no endpoint.
 */

/** The nth name of some, from the beginning again where there are fewer. */
function nth(things: object, index: number): string {
  const names = Object.keys(things);
  return names[index % names.length] ?? '';
}

const RUNTIMES = ['nodejs24.x', 'python3.13', 'java21'] as const;

export function makeFunction(maker: Maker, index: number): void {
  const thing = `${thingOf(index)}-features`;
  const FunctionName = maker.name(
    'AWS::Lambda::Function',
    thing,
    (name) => maker.arn('lambda', `function:${name}`),
    {
      most: 64,
    },
  );
  const { word, account, region } = maker.place;
  configure(
    maker,
    FunctionName,
    thing,
    {
      ENDPOINT_NAME: nth(maker.data.endpoints, index),
      BUCKET: maker.bucket('features'),
      QUEUE_URL: `https://sqs.${region}.amazonaws.com/${account}/${APP}-${word}-requests`,
      DB_HOST: `${APP}-${word}.${maker.cluster}.${region}.rds.amazonaws.com`,
      LOG_LEVEL: 'info',
      SCALER_VERSION: `2026-0${1 + (index % 8)}`,
    },
    index,
  );
  if (index % 3 === 0) maker.data.concurrency[FunctionName] = 10 + (index % 4);
}

function configure(
  maker: Maker,
  FunctionName: string,
  thing: string,
  Variables: Record<string, string>,
  index: number,
): void {
  const { word } = maker.place;
  const digest = createHash('sha256').update(`${maker.shape.seed} ${thing}`).digest('base64');
  maker.data.functions[FunctionName] = {
    FunctionName,
    FunctionArn: maker.arn('lambda', `function:${FunctionName}`),
    Runtime: maker.pick(RUNTIMES),
    Role: maker.role(thing),
    Handler: 'index.handler',
    CodeSize: 1_000_000 + (index % 17),
    Description: `${thing} of ${word}`,
    Timeout: 30,
    MemorySize: 512 * (1 + (index % 4)),
    LastModified: maker.date().toISOString(),
    CodeSha256: digest,
    Version: '$LATEST',
    ...(index % 3 === 1 && {
      VpcConfig: {
        SubnetIds: maker.vpc.Subnets,
        SecurityGroupIds: maker.vpc.SecurityGroupIds,
        VpcId: `vpc-${maker.hex(17)}`,
        Ipv6AllowedForDualStack: false,
      },
    }),
    ...(index % 4 === 0 && {
      DeadLetterConfig: { TargetArn: maker.arn('sqs', `${APP}-${word}-dead-letters`) },
      KMSKeyArn: maker.kmsKey,
    }),
    Environment: { Variables },
    TracingConfig: { Mode: index % 2 === 0 ? 'Active' : 'PassThrough' },
    RevisionId: maker.uuid(),
    ...(index % 2 === 0 && {
      Layers: [
        { Arn: maker.arn('lambda', `layer:${APP}-duckdb:7`), CodeSize: 30_000_000 },
        { Arn: maker.arn('lambda', `layer:${APP}-${word}-scaler:12`), CodeSize: 120_000 },
      ],
    }),
    State: 'Active',
    LastUpdateStatus: 'Successful',
    PackageType: 'Zip',
    Architectures: ['arm64'],
    EphemeralStorage: { Size: 512 },
    SnapStart: { ApplyOn: 'None', OptimizationStatus: 'Off' },
    RuntimeVersionConfig: {
      RuntimeVersionArn: `arn:aws:lambda:${maker.place.region}::runtime:${sha256(thing)}`,
    },
    LoggingConfig: {
      LogFormat: 'JSON',
      ApplicationLogLevel: 'INFO',
      SystemLogLevel: 'WARN',
      LogGroup: `/aws/lambda/${FunctionName}`,
    },
  };
}

export function makeParameter(maker: Maker, index: number): void {
  const { word, region, account } = maker.place;
  const Name = `/${APP}/${word}/${PRODUCTS[index % PRODUCTS.length]}/setting-${index}`;
  const values = [
    { Type: 'String' as const, Value: `s3://${maker.bucket('features')}/${index}/` },
    { Type: 'StringList' as const, Value: `date,distance,origin,feature_${index}` },
    {
      Type: 'String' as const,
      Value: JSON.stringify({ threshold: 0.25 + (index % 7) / 100, account, region }),
    },
    { Type: 'String' as const, Value: String(100 + (index % 23)) },
    { Type: 'SecureString' as const, Value: `a key of the airport's, number ${index}` },
  ];
  maker.data.parameters[Name] = {
    Name,
    ...values[index % values.length],
    Version: 1 + Math.floor(maker.made.uniform() * 20),
    LastModifiedDate: maker.date(),
    ARN: maker.arn('ssm', `parameter${Name}`),
    DataType: 'text',
  };
}

export function makeFeatureGroup(maker: Maker, index: number): void {
  const thing = `${thingOf(index)}-group`;
  const arnOf = (name: string) => maker.arn('sagemaker', `feature-group/${name}`);
  const FeatureGroupName = maker.name('AWS::SageMaker::FeatureGroup', thing, arnOf);
  const { word } = maker.place;
  maker.data.featureGroups[FeatureGroupName] = {
    FeatureGroupName,
    FeatureGroupArn: arnOf(FeatureGroupName),
    RecordIdentifierFeatureName: 'flight_id',
    EventTimeFeatureName: 'event_time',
    FeatureDefinitions: [
      { FeatureName: 'flight_id', FeatureType: 'String' },
      { FeatureName: 'event_time', FeatureType: 'Fractional' },
      ...Array.from({ length: 6 + (index % 5) }, (_, at) => ({
        FeatureName: `feature_${at}`,
        FeatureType: (['Fractional', 'Integral', 'String'] as const)[(at + index) % 3] ?? ('String' as const),
        ...(at === 5 && {
          CollectionType: 'Vector' as const,
          CollectionConfig: { VectorConfig: { Dimension: 16 } },
        }),
      })),
    ],
    CreationTime: maker.date(),
    LastModifiedTime: maker.date(),
    OnlineStoreConfig: {
      EnableOnlineStore: true,
      SecurityConfig: { KmsKeyId: maker.kmsKey },
      StorageType: 'Standard',
      TtlDuration: { Unit: 'Days', Value: 30 },
    },
    OfflineStoreConfig: {
      S3StorageConfig: {
        S3Uri: `s3://${maker.bucket('features')}/offline`,
        KmsKeyId: maker.kmsKey,
        ResolvedOutputS3Uri: `s3://${maker.bucket('features')}/offline/${maker.place.account}/sagemaker/${maker.place.region}/offline-store/${FeatureGroupName}-${maker.date().getTime()}/data`,
      },
      DisableGlueTableCreation: false,
      DataCatalogConfig: {
        Catalog: 'AwsDataCatalog',
        Database: 'sagemaker_featurestore',
        TableName: `${thing.replaceAll('-', '_')}_${word}_${Math.floor(maker.date().getTime() / 1000)}`,
      },
      TableFormat: 'Glue',
    },
    ThroughputConfig: { ThroughputMode: 'OnDemand' },
    RoleArn: maker.role(thing),
    FeatureGroupStatus: 'Created',
    OfflineStoreStatus: { Status: 'Active' },
    OnlineStoreTotalSizeBytes: Math.floor(maker.made.uniform() * 1e9),
    NextToken: undefined,
  };
}

export function makeTable(maker: Maker, index: number): void {
  const { word, account } = maker.place;
  const Name = `bookings_${index}`;
  const DatabaseName = `${APP}_${word}`;
  maker.data.tables[`${DatabaseName}.${Name}`] = {
    Name,
    DatabaseName,
    Description: `Bookings of ${word}`,
    Owner: 'hadoop',
    CreateTime: maker.date(),
    UpdateTime: maker.date(),
    Retention: 0,
    StorageDescriptor: {
      Columns: Array.from({ length: 8 + (index % 6) }, (_, at) => ({
        Name: `column_${at}`,
        Type: ['string', 'bigint', 'double', 'timestamp', 'decimal(12,2)'][(at + index) % 5],
        ...(at % 3 === 0 && { Comment: `what the airline calls ${at}` }),
      })),
      Location: `s3://${maker.bucket('lake')}/${Name}/`,
      InputFormat: 'org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat',
      OutputFormat: 'org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat',
      Compressed: true,
      NumberOfBuckets: -1,
      SerdeInfo: {
        SerializationLibrary: 'org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe',
        Parameters: { 'serialization.format': '1' },
      },
      BucketColumns: [],
      SortColumns: [],
      Parameters: { classification: 'parquet' },
      StoredAsSubDirectories: false,
    },
    PartitionKeys: [
      { Name: 'year', Type: 'int' },
      { Name: 'month', Type: 'int' },
    ],
    TableType: 'EXTERNAL_TABLE',
    Parameters: {
      classification: 'parquet',
      'projection.enabled': 'true',
      'projection.year.range': '2001,2030',
      recordCount: String(Math.floor(maker.made.uniform() * 1e9)),
      transient_lastDdlTime: String(Math.floor(maker.date().getTime() / 1000)),
    },
    CreatedBy: `arn:aws:sts::${account}:assumed-role/${word}-deployer/session-${maker.hex(8)}`,
    IsRegisteredWithLakeFormation: false,
    CatalogId: account,
    VersionId: String(Math.floor(maker.made.uniform() * 30)),
  };
}

export function makePipeline(maker: Maker, index: number): void {
  const thing = `${thingOf(index)}-training`;
  const arnOf = (name: string) => maker.arn('sagemaker', `pipeline/${name.toLowerCase()}`);
  const PipelineName = maker.name('AWS::SageMaker::Pipeline', thing, arnOf);
  const RoleArn = maker.role(thing);
  const step = (Name: string, script: string) => ({
    Name,
    Type: 'Processing',
    Arguments: {
      ProcessingResources: {
        ClusterConfig: { InstanceType: 'ml.m5.xlarge', InstanceCount: 1 + (index % 3), VolumeSizeInGB: 30 },
      },
      AppSpecification: {
        ImageUri: maker.image('sklearn', '1.4'),
        ContainerEntrypoint: ['python3', `/opt/ml/${script}`],
      },
      Environment: { STAGE: maker.place.word, SCALER_VERSION: `2026-0${1 + (index % 8)}` },
      RoleArn,
      ProcessingInputs: [
        { InputName: 'data', S3Input: { S3Uri: `s3://${maker.bucket('lake')}/bookings_${index}/` } },
      ],
    },
  });
  maker.data.pipelines[PipelineName] = {
    PipelineArn: arnOf(PipelineName),
    PipelineName,
    PipelineDisplayName: PipelineName,
    PipelineDefinition: JSON.stringify({
      Version: '2020-12-01',
      Metadata: {},
      Parameters: [
        { Name: 'DatasetUri', Type: 'String', DefaultValue: `s3://${maker.bucket('lake')}/canary/` },
        { Name: 'Trees', Type: 'Integer', DefaultValue: 40 + (index % 10) },
      ],
      PipelineExperimentConfig: { ExperimentName: { Get: 'Execution.PipelineName' } },
      Steps: [step('Prepare', 'prepare.py'), step('Evaluate', 'evaluate.py')],
    }),
    PipelineDescription: `Trains ${thing}`,
    RoleArn,
    PipelineStatus: 'Active',
    CreationTime: maker.date(),
    LastModifiedTime: maker.date(),
    LastRunTime: maker.date(),
    ParallelismConfiguration: { MaxParallelExecutionSteps: 4 },
  };
}

export function makeRule(maker: Maker, index: number): void {
  const thing = `${thingOf(index)}-landed`;
  const bus = index % 3 === 0 && maker.shape.naming !== 'stacks' ? `${APP}-bus` : 'default';
  const on = bus === 'default' ? '' : `${bus}/`;
  const arnOf = (name: string) => maker.arn('events', `rule/${on}${name}`);
  const Name = maker.name('AWS::Events::Rule', thing, arnOf, { most: 64 });
  const { word } = maker.place;
  const key = `${bus}/${Name}`;
  maker.data.rules[key] = {
    Name,
    Arn: arnOf(Name),
    ...(index % 2 === 0
      ? {
          EventPattern: JSON.stringify({
            source: ['aws.s3'],
            'detail-type': ['Object Created'],
            detail: {
              bucket: { name: [maker.bucket('lake')] },
              object: { key: [{ prefix: `bookings_${index}/` }] },
            },
          }),
        }
      : { ScheduleExpression: `rate(${2 + (index % 11)} hours)` }),
    State: 'ENABLED',
    Description: `${thing} of ${word}`,
    EventBusName: bus,
    CreatedBy: maker.place.account,
  };
  maker.data.targets[key] = [
    {
      Id: 'Target0',
      Arn: maker.arn('lambda', `function:${nth(maker.data.functions, index)}`),
      InputTransformer: {
        InputPathsMap: { key: '$.detail.object.key' },
        InputTemplate: `{"key": <key>, "stage": "${word}"}`,
      },
      RetryPolicy: { MaximumRetryAttempts: 4, MaximumEventAgeInSeconds: 3600 },
      DeadLetterConfig: { Arn: maker.arn('sqs', `${APP}-${word}-dead-letters`) },
    },
    {
      Id: 'Target1',
      Arn: maker.arn('sagemaker', `pipeline/${nth(maker.data.pipelines, index)}`),
      RoleArn: maker.role(thing),
      SageMakerPipelineParameters: { PipelineParameterList: [{ Name: 'Trees', Value: '40' }] },
      Input: JSON.stringify({ stage: word, index }),
    },
  ];
}

export function makeSchedule(maker: Maker, index: number): void {
  const thing = `${thingOf(index)}-nightly`;
  const { word } = maker.place;
  const isGrouped = index % 3 === 0;
  const group = maker.shape.naming === 'tags' ? `${APP}-${word}-jobs` : `${APP}-jobs`;
  const GroupName = isGrouped ? group : 'default';
  const arnOf = (name: string) => maker.arn('scheduler', `schedule/${GroupName}/${name}`);
  // Schedules have no tags: their groups have.
  const Name =
    maker.shape.naming === 'stacks'
      ? maker.name('AWS::Scheduler::Schedule', thing, arnOf, { most: 64 })
      : `${thing}-${word}`;
  if (isGrouped) maker.tag(maker.arn('scheduler', `schedule-group/${GroupName}`));
  maker.data.schedules[`${GroupName}/${Name}`] = {
    Name,
    Arn: arnOf(Name),
    GroupName,
    ScheduleExpression: `cron(${index % 60} 3 * * ? *)`,
    ScheduleExpressionTimezone: 'Europe/Berlin',
    State: 'ENABLED',
    Description: `${thing} of ${word}`,
    CreationDate: maker.date(),
    LastModificationDate: maker.date(),
    FlexibleTimeWindow: { Mode: 'FLEXIBLE', MaximumWindowInMinutes: 15 },
    ...(index % 2 === 0 && { KmsKeyArn: maker.kmsKey }),
    ActionAfterCompletion: 'NONE',
    Target: {
      Arn: maker.arn('lambda', `function:${nth(maker.data.functions, index)}`),
      RoleArn: maker.role(thing),
      Input: JSON.stringify({
        dataset: `s3://${maker.bucket('lake')}/bookings_${index}/`,
        full: index % 2 === 0,
      }),
      RetryPolicy: { MaximumRetryAttempts: 3, MaximumEventAgeInSeconds: 7200 },
      DeadLetterConfig: { Arn: maker.arn('sqs', `${APP}-${word}-dead-letters`) },
    },
  };
}

export function makeTocsin(maker: Maker): void {
  const { word, account, region } = maker.place;
  const stack = tocsinStack(word);
  const assets = `cdk-hnb659fds-assets-${account}-${region}`;
  const file = 'tocsin.yaml';
  const text = `tocsin: 1
datasets:
  bookings:
    contract: contracts/bookings.yaml
    prefix: bookings/
rollbackDrills:
  flight-delay:
    endpoint: flight-delay-${word}
    within: 15m
`;
  const contract = `contract: 1
format: parquet
columns:
  delay: { type: double, nulls: 2% }
  origin: { type: string }
`;
  const documented = { file: 'parity.yaml', text: 'parity: 1\ndifferences: {}\n' };
  const bundles = {
    QualityGate: {
      bundle: 1,
      datasets: { bookings: { contract: 'contracts/bookings.yaml', prefix: 'bookings/' } },
      contracts: { 'contracts/bookings.yaml': contract },
    },
    RollbackDrill: { bundle: 1, file, text },
    ConfigParity: { bundle: 1, file, text, documented },
  };
  for (const [index, [gate, bundle]] of Object.entries(bundles).entries()) {
    const json = JSON.stringify(bundle);
    const key = `${sha256(json)}.json`;
    maker.data.objects[`${assets}/${key}`] = json;
    const logical = `${gate}Function${sha256(gate).slice(0, 8).toUpperCase()}`;
    const FunctionName = `${stack}-${logical}-${maker.suffix()}`.slice(-64);
    maker.inStack(stack, 'AWS::Lambda::Function', logical, FunctionName);
    configure(
      maker,
      FunctionName,
      gate,
      {
        CONFIG_BUCKET: assets,
        CONFIG_KEY: key,
        EVIDENCE_BUCKET: `${stack.toLowerCase()}-evidence${sha256('evidence').slice(0, 8)}-${maker.from('abcdefghijklmnopqrstuvwxyz0123456789', 12)}`,
        TOPIC_ARN: maker.arn(
          'sns',
          `${stack}-Notifications${sha256('topic').slice(0, 8).toUpperCase()}-${maker.suffix()}`,
        ),
        POWERTOOLS_SERVICE_NAME: gate,
      },
      index,
    );
  }
  maker.inStack(stack, 'AWS::SNS::Topic', 'Notifications', maker.arn('sns', `${stack}-Notifications`));
  maker.inStack(stack, 'AWS::IAM::Role', 'ReaderRole', `${stack}-ReaderRole-${maker.suffix()}`);
}
