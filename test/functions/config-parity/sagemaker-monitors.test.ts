import {
  DescribeDataQualityJobDefinitionCommand,
  DescribeModelBiasJobDefinitionCommand,
  DescribeModelExplainabilityJobDefinitionCommand,
  DescribeModelQualityJobDefinitionCommand,
  DescribeMonitoringScheduleCommand,
  ListMonitoringSchedulesCommand,
  type MonitoringScheduleConfig,
  type MonitoringType,
  type ScheduleStatus,
} from '@aws-sdk/client-sagemaker';
import { describe, expect, test } from 'vitest';
import { readMonitors } from '../../../functions/config-parity/adapters/sagemaker-monitors.ts';
import { sagemakerError } from '../../support/fake-sagemaker.ts';
import { foundOf, useEndpoints } from '../../support/parity-endpoints.ts';

const DENIED = sagemakerError('AccessDeniedException', 'not authorized', 403);
const GONE = sagemakerError('ResourceNotFound', 'there is none');
const AT = new Date(0);
const KEY = 'arn:aws:kms:eu-west-1:111122223333:key/1';

const { mock, inputs, read: readWith } = useEndpoints();

const read = () => readWith((reading) => readMonitors(reading, [foundOf('endpoints')]));

const summary = (MonitoringScheduleName: string, type?: MonitoringType) => ({
  MonitoringScheduleName,
  MonitoringScheduleArn: 'arn',
  CreationTime: AT,
  LastModifiedTime: AT,
  MonitoringScheduleStatus: 'Scheduled' as const,
  MonitoringType: type,
});

/** Schedules by name and type, all alike. */
const schedules = (
  named: Record<string, MonitoringType | undefined>,
  config: MonitoringScheduleConfig = {},
  status: ScheduleStatus = 'Scheduled',
) => {
  mock.on(ListMonitoringSchedulesCommand).resolves({
    MonitoringScheduleSummaries: Object.entries(named).map(([name, type]) => summary(name, type)),
  });
  mock.on(DescribeMonitoringScheduleCommand).resolves({
    MonitoringScheduleArn: 'arn',
    CreationTime: AT,
    LastModifiedTime: AT,
    MonitoringScheduleStatus: status,
    MonitoringScheduleConfig: config,
    EndpointName: 'flights-staging',
    FailureReason: 'words of SageMaker',
    LastMonitoringExecutionSummary: {
      MonitoringScheduleName: 'a',
      ScheduledTime: AT,
      CreationTime: AT,
      LastModifiedTime: AT,
      MonitoringExecutionStatus: 'Completed',
    },
  });
};

const JOB = {
  JobDefinitionName: 'definition-1',
  JobDefinitionArn: 'arn',
  CreationTime: AT,
  JobResources: {
    ClusterConfig: {
      InstanceCount: 1,
      InstanceType: 'ml.m5.xlarge' as const,
      VolumeSizeInGB: 20,
      VolumeKmsKeyId: KEY,
    },
  },
  NetworkConfig: {
    EnableNetworkIsolation: true,
    EnableInterContainerTrafficEncryption: true,
    VpcConfig: { Subnets: ['subnet-1'], SecurityGroupIds: ['sg-1'] },
  },
  RoleArn: 'arn:role',
  StoppingCondition: { MaxRuntimeInSeconds: 3300 },
};

const OUTPUT = {
  KmsKeyId: KEY,
  MonitoringOutputs: [
    { S3Output: { S3Uri: 's3://reports', LocalPath: '/out', S3UploadMode: 'EndOfJob' as const } },
  ],
};

const ENDPOINT = {
  EndpointName: 'flights-staging',
  LocalPath: '/in',
  S3InputMode: 'File' as const,
  S3DataDistributionType: 'FullyReplicated' as const,
};

const COMMON = {
  schedule: 'cron(0 * ? * * *)',
  status: 'Scheduled',
  output: { uri: 's3://reports', localPath: '/out', mode: 'EndOfJob', kmsKey: KEY },
  instanceType: 'ml.m5.xlarge',
  instances: 1,
  volumeGb: 20,
  volumeKmsKey: KEY,
  timeoutSeconds: 3300,
  networkIsolation: true,
  trafficEncryption: true,
  vpc: { subnets: ['subnet-1'], securityGroups: ['sg-1'] },
  role: 'arn:role',
};

const INPUT = {
  endpoint: 'flights-staging',
  localPath: '/in',
  s3InputMode: 'File',
  s3DataDistributionType: 'FullyReplicated',
};

const CONFIG = {
  ScheduleConfig: { ScheduleExpression: 'cron(0 * ? * * *)' },
  MonitoringJobDefinitionName: 'definition-1',
};

describe('a monitoring schedule', () => {
  test('is what its job definition says: data quality', async () => {
    schedules(
      { watch: 'DataQuality' },
      {
        ...CONFIG,
        ScheduleConfig: {
          ScheduleExpression: 'NOW',
          DataAnalysisStartTime: '-PT2H',
          DataAnalysisEndTime: '-PT1H',
        },
      },
      'Stopped',
    );
    mock.on(DescribeDataQualityJobDefinitionCommand).resolves({
      ...JOB,
      DataQualityBaselineConfig: {
        BaseliningJobName: 'baseline-2026-11-22',
        ConstraintsResource: { S3Uri: 's3://baseline/constraints.json' },
        StatisticsResource: { S3Uri: 's3://baseline/statistics.json' },
      },
      DataQualityAppSpecification: {
        ImageUri: 'r/analyzer:1',
        ContainerEntrypoint: ['python3', 'watch.py'],
        ContainerArguments: ['--window', '2'],
        RecordPreprocessorSourceUri: 's3://code/pre.py',
        PostAnalyticsProcessorSourceUri: 's3://code/post.py',
        Environment: { publish_cloudwatch_metrics: 'Enabled' },
      },
      DataQualityJobInput: { EndpointInput: { ...ENDPOINT, ExcludeFeaturesAttribute: '0,1' } },
      DataQualityJobOutputConfig: OUTPUT,
    });
    expect((await read()).resources).toEqual([
      {
        kind: 'monitors',
        name: 'flights/DataQuality',
        physical: 'watch',
        value: {
          ...COMMON,
          type: 'DataQuality',
          schedule: 'NOW',
          analysisStart: '-PT2H',
          analysisEnd: '-PT1H',
          status: 'Stopped',
          input: { ...INPUT, excludeFeaturesAttribute: '0,1' },
          baseline: {
            constraints: 's3://baseline/constraints.json',
            statistics: 's3://baseline/statistics.json',
          },
          image: 'r/analyzer:1',
          entrypoint: [
            { name: '0', value: 'python3' },
            { name: '1', value: 'watch.py' },
          ],
          arguments: [
            { name: '0', value: '--window' },
            { name: '1', value: '2' },
          ],
          preprocessor: 's3://code/pre.py',
          postprocessor: 's3://code/post.py',
          environment: { publish_cloudwatch_metrics: 'Enabled' },
        },
      },
    ]);
    expect(inputs(ListMonitoringSchedulesCommand)).toEqual([
      { EndpointName: 'flights-staging', MaxResults: 100 },
    ]);
    expect(inputs(DescribeMonitoringScheduleCommand)).toEqual([{ MonitoringScheduleName: 'watch' }]);
    expect(inputs(DescribeDataQualityJobDefinitionCommand)).toEqual([{ JobDefinitionName: 'definition-1' }]);
  });

  test('is what its job definition says: model quality', async () => {
    schedules({ watch: 'ModelQuality' }, CONFIG);
    mock.on(DescribeModelQualityJobDefinitionCommand).resolves({
      ...JOB,
      ModelQualityBaselineConfig: { BaseliningJobName: 'baseline-2026-11-22' },
      ModelQualityAppSpecification: { ImageUri: 'r/analyzer:1', ProblemType: 'BinaryClassification' },
      ModelQualityJobInput: {
        EndpointInput: {
          ...ENDPOINT,
          ProbabilityAttribute: '0',
          ProbabilityThresholdAttribute: 0.5,
          StartTimeOffset: '-P1D',
          EndTimeOffset: '-PT0H',
        },
        GroundTruthS3Input: { S3Uri: 's3://truth' },
      },
      ModelQualityJobOutputConfig: OUTPUT,
    });
    expect((await read()).resources[0]).toEqual({
      kind: 'monitors',
      name: 'flights/ModelQuality',
      physical: 'watch',
      value: {
        ...COMMON,
        type: 'ModelQuality',
        input: {
          ...INPUT,
          probabilityAttribute: '0',
          probabilityThresholdAttribute: 0.5,
          startTimeOffset: '-P1D',
          endTimeOffset: '-PT0H',
          groundTruth: 's3://truth',
        },
        // Nothing else says what its baseline is.
        baseline: { job: 'baseline-2026-11-22' },
        image: 'r/analyzer:1',
        problemType: 'BinaryClassification',
      },
    });
    expect(inputs(DescribeModelQualityJobDefinitionCommand)).toEqual([{ JobDefinitionName: 'definition-1' }]);
  });

  test('is what its job definition says: bias', async () => {
    schedules({ watch: 'ModelBias' }, CONFIG);
    mock.on(DescribeModelBiasJobDefinitionCommand).resolves({
      ...JOB,
      ModelBiasAppSpecification: { ImageUri: 'r/clarify:1', ConfigUri: 's3://code/bias.json' },
      ModelBiasJobInput: {
        BatchTransformInput: {
          DataCapturedDestinationS3Uri: 's3://captured',
          DatasetFormat: { Parquet: {} },
          LocalPath: '/in',
          InferenceAttribute: '0',
        },
        GroundTruthS3Input: { S3Uri: 's3://truth' },
      },
      ModelBiasJobOutputConfig: OUTPUT,
    });
    expect((await read()).resources[0]).toMatchObject({
      name: 'flights/ModelBias',
      value: {
        ...COMMON,
        type: 'ModelBias',
        input: {
          uri: 's3://captured',
          format: 'Parquet',
          localPath: '/in',
          inferenceAttribute: '0',
          groundTruth: 's3://truth',
        },
        image: 'r/clarify:1',
        configUri: 's3://code/bias.json',
      },
    });
    expect(inputs(DescribeModelBiasJobDefinitionCommand)).toEqual([{ JobDefinitionName: 'definition-1' }]);
  });

  test('is what its job definition says: explainability', async () => {
    schedules({ watch: 'ModelExplainability' }, CONFIG);
    mock.on(DescribeModelExplainabilityJobDefinitionCommand).resolves({
      ...JOB,
      ModelExplainabilityAppSpecification: { ImageUri: 'r/clarify:1', ConfigUri: 's3://code/shap.json' },
      ModelExplainabilityJobInput: { EndpointInput: ENDPOINT },
      ModelExplainabilityBaselineConfig: { ConstraintsResource: { S3Uri: 's3://baseline' } },
      ModelExplainabilityJobOutputConfig: OUTPUT,
    });
    expect((await read()).resources[0]).toMatchObject({
      name: 'flights/ModelExplainability',
      value: {
        ...COMMON,
        type: 'ModelExplainability',
        input: INPUT,
        configUri: 's3://code/shap.json',
        baseline: { constraints: 's3://baseline' },
      },
    });
    expect(inputs(DescribeModelExplainabilityJobDefinitionCommand)).toEqual([
      { JobDefinitionName: 'definition-1' },
    ]);
  });

  test('may have a job of its own, of data quality', async () => {
    schedules(
      { watch: undefined },
      {
        ScheduleConfig: CONFIG.ScheduleConfig,
        MonitoringJobDefinition: {
          BaselineConfig: { ConstraintsResource: { S3Uri: 's3://baseline' } },
          MonitoringInputs: [{ EndpointInput: ENDPOINT }],
          MonitoringOutputConfig: OUTPUT,
          MonitoringResources: JOB.JobResources,
          MonitoringAppSpecification: { ImageUri: 'r/analyzer:1' },
          StoppingCondition: JOB.StoppingCondition,
          Environment: { A: 'b' },
          NetworkConfig: JOB.NetworkConfig,
          RoleArn: JOB.RoleArn,
        },
      },
    );
    expect((await read()).resources).toEqual([
      {
        kind: 'monitors',
        name: 'flights/DataQuality',
        physical: 'watch',
        value: {
          ...COMMON,
          type: 'DataQuality',
          input: INPUT,
          baseline: { constraints: 's3://baseline' },
          image: 'r/analyzer:1',
          environment: { A: 'b' },
        },
      },
    ]);
  });

  test('may say nothing', async () => {
    schedules({ watch: 'DataQuality' });
    expect((await read()).resources[0]?.value).toEqual({
      type: 'DataQuality',
      status: 'Scheduled',
      networkIsolation: false,
      trafficEncryption: false,
    });
  });

  test('is not settled while it is pending', async () => {
    schedules({ watch: 'DataQuality' }, {}, 'Pending');
    expect((await read()).unsettled).toEqual([
      { path: ['monitors', 'flights/DataQuality'], physical: 'watch', status: 'Pending' },
    ]);
  });
});

describe('monitoring schedules', () => {
  test('are known by what they monitor, whatever the order and the pages', async () => {
    schedules({});
    mock
      .on(ListMonitoringSchedulesCommand)
      .resolvesOnce({
        MonitoringScheduleSummaries: [summary('c', 'DataQuality'), summary('b', 'ModelQuality')],
        NextToken: 'more',
      })
      .resolves({ MonitoringScheduleSummaries: [summary('a', 'DataQuality')] });
    const { resources } = await read();
    expect(resources.map(({ name, physical }) => [name, physical]).sort()).toEqual([
      ['flights/DataQuality', 'a'],
      ['flights/DataQuality/c', 'c'],
      ['flights/ModelQuality', 'b'],
    ]);
    expect(inputs(ListMonitoringSchedulesCommand)).toEqual([
      { EndpointName: 'flights-staging', MaxResults: 100 },
      { EndpointName: 'flights-staging', MaxResults: 100, NextToken: 'more' },
    ]);
  });

  test('may be none', async () => {
    schedules({});
    expect(await read()).toMatchObject({ resources: [], unreadable: [] });
  });

  test('cannot be told where nobody may list them', async () => {
    mock.on(ListMonitoringSchedulesCommand).rejects(DENIED);
    expect(await read()).toMatchObject({
      resources: [],
      unreadable: [
        {
          path: ['monitors', 'flights'],
          physical: 'flights-staging',
          action: 'sagemaker:ListMonitoringSchedules',
          why: 'AccessDeniedException',
        },
      ],
    });
  });

  const path = ['monitors', 'flights/DataQuality'];

  test.each([
    ['denied', DENIED, 'AccessDeniedException'],
    ['deleted', GONE, 'deleted while it was read'],
  ])('are unknown one by one: one that is %s', async (_, error, why) => {
    schedules({ watch: 'DataQuality', other: 'ModelQuality' });
    mock.on(DescribeMonitoringScheduleCommand, { MonitoringScheduleName: 'watch' }).rejects(error);
    const { resources, unreadable } = await read();
    expect(resources.map(({ name }) => name)).toEqual(['flights/ModelQuality']);
    expect(unreadable).toEqual([
      { path, physical: 'watch', action: 'sagemaker:DescribeMonitoringSchedule', why },
    ]);
  });

  test.each([
    ['denied', DENIED, 'AccessDeniedException'],
    ['deleted', GONE, 'deleted while it was read'],
  ])('are unknown without their job definition: one that is %s', async (_, error, why) => {
    schedules({ watch: 'DataQuality' }, CONFIG);
    mock.on(DescribeDataQualityJobDefinitionCommand).rejects(error);
    const { resources, unreadable } = await read();
    expect(resources).toEqual([]);
    expect(unreadable).toEqual([
      { path, physical: 'definition-1', action: 'sagemaker:DescribeDataQualityJobDefinition', why },
    ]);
  });

  test('are unknown where they monitor what did not exist yet', async () => {
    schedules({ watch: 'Mood' as MonitoringType }, CONFIG);
    expect(await read()).toMatchObject({
      resources: [],
      unreadable: [{ path: ['monitors', 'flights/Mood'], why: 'a type that Tocsin does not know' }],
    });
  });
});
