import {
  type BatchTransformInput,
  DescribeDataQualityJobDefinitionCommand,
  DescribeModelBiasJobDefinitionCommand,
  DescribeModelExplainabilityJobDefinitionCommand,
  DescribeModelQualityJobDefinitionCommand,
  DescribeMonitoringScheduleCommand,
  type DescribeMonitoringScheduleCommandOutput,
  type EndpointInput,
  ListMonitoringSchedulesCommand,
  type MonitoringAppSpecification,
  type MonitoringBaselineConfig,
  type MonitoringJobDefinition,
  type MonitoringOutputConfig,
  type MonitoringResources,
  type MonitoringScheduleSummary,
  type MonitoringStoppingCondition,
  type NetworkConfig,
  type SageMakerClient,
} from '@aws-sdk/client-sagemaker';
import { mapLimit } from '../../shared/aws.ts';
import { isGone } from '../../shared/sagemaker.ts';
import type { Path } from '../path.ts';
import { everyPage } from './pages.ts';
import { attempt, CONCURRENCY, DELETED, type Found, type Reading } from './reading.ts';
import { type JsonObject, membersOf, ordered, setOf, vpcOf } from './values.ts';

/*
 * Monitoring schedules of endpoints, with the jobs that they run.
 */

/** Schedules of one page. */
const PAGE = 100;

/** What a schedule monitors where it does not say so: there was nothing else once. */
const DEFAULT_TYPE = 'DataQuality';

/** A job that a schedule runs, in the words that all kinds of them share. */
interface Job {
  BaselineConfig?: MonitoringBaselineConfig | undefined;
  AppSpecification?: App | undefined;
  JobInput?: Input | undefined;
  JobOutputConfig?: MonitoringOutputConfig | undefined;
  JobResources?: MonitoringResources | undefined;
  NetworkConfig?: NetworkConfig | undefined;
  StoppingCondition?: MonitoringStoppingCondition | undefined;
  RoleArn?: string | undefined;
}

interface App extends MonitoringAppSpecification {
  Environment?: Record<string, string> | undefined;
  ConfigUri?: string | undefined;
  ProblemType?: string | undefined;
}

interface Input {
  EndpointInput?: EndpointInput | undefined;
  BatchTransformInput?: BatchTransformInput | undefined;
  GroundTruthS3Input?: { S3Uri?: string | undefined } | undefined;
}

/** A schedule, and what it is called. */
interface Named {
  physical: string;
  name: string;
  type: string;
}

/**
 * Reads the monitoring schedules of endpoints.
 *
 * @throws GateInputError where an endpoint has more than are compared
 * @throws GateDependencyError where nothing at all can be read
 */
export async function readMonitors(reading: Reading, endpoints: readonly Found[]): Promise<void> {
  const named = await mapLimit(endpoints, CONCURRENCY, (endpoint) => schedulesOf(reading, endpoint));
  await mapLimit(named.flat(), CONCURRENCY, (one) => readMonitor(reading, one));
}

/** The schedules of an endpoint; none where they could not be read. */
async function schedulesOf(reading: Reading, { name, physical }: Found): Promise<Named[]> {
  const attempted = await attempt(
    reading,
    { path: ['monitors', name], physical, action: 'sagemaker:ListMonitoringSchedules' },
    () =>
      everyPage(`monitoring schedules of ${physical}`, async (token) => {
        const { MonitoringScheduleSummaries, NextToken } = await reading.clients.sagemaker.send(
          new ListMonitoringSchedulesCommand({
            EndpointName: physical,
            MaxResults: PAGE,
            ...(token !== undefined && { NextToken: token }),
          }),
        );
        return { items: MonitoringScheduleSummaries, next: NextToken };
      }),
  );
  return attempted !== undefined && 'answer' in attempted ? namesOf(name, attempted.answer) : [];
}

/** By what they monitor; a second one that monitors the same, by its own name, too. */
function namesOf(endpoint: string, schedules: readonly MonitoringScheduleSummary[]): Named[] {
  const seen = new Set<string>();
  return schedules
    .map(({ MonitoringScheduleName = '', MonitoringType = DEFAULT_TYPE }) => ({
      physical: MonitoringScheduleName,
      type: MonitoringType,
    }))
    .sort((a, b) => (a.physical < b.physical ? -1 : 1))
    .map(({ physical, type }) => {
      const first = `${endpoint}/${type}`;
      const name = seen.has(first) ? `${first}/${physical}` : first;
      seen.add(first);
      return { physical, name, type };
    });
}

async function readMonitor(reading: Reading, { physical, name, type }: Named): Promise<void> {
  const { sink, clients } = reading;
  const path: Path = ['monitors', name];
  const of = { path, physical, action: 'sagemaker:DescribeMonitoringSchedule' };
  const attempted = await attempt(
    reading,
    of,
    () => clients.sagemaker.send(new DescribeMonitoringScheduleCommand({ MonitoringScheduleName: physical })),
    isGone,
  );
  if (attempted === undefined) return;
  if ('gone' in attempted) return sink.unreadable({ ...of, why: DELETED });
  const schedule = attempted.answer;
  const { MonitoringScheduleStatus: status } = schedule;
  if (status === 'Pending') sink.unsettled({ path, physical, status });

  const { MonitoringJobDefinition: inline, MonitoringJobDefinitionName: definition } =
    schedule.MonitoringScheduleConfig ?? {};
  if (inline !== undefined || definition === undefined) {
    const value = monitorValue(schedule, type, inline === undefined ? {} : jobOfSchedule(inline));
    return sink.add({ kind: 'monitors', name, physical, value });
  }
  const describe = JOBS[type];
  if (describe === undefined) {
    return sink.unreadable({ ...of, why: 'a type that Tocsin does not know' });
  }
  const ofJob = { path, physical: definition, action: `sagemaker:Describe${type}JobDefinition` };
  const found = await attempt(
    reading,
    ofJob,
    () => describe(clients.sagemaker, { JobDefinitionName: definition }),
    isGone,
  );
  if (found === undefined) return;
  if ('gone' in found) return sink.unreadable({ ...ofJob, why: DELETED });
  const value = monitorValue(schedule, type, jobOfDefinition(found.answer, type));
  sink.add({ kind: 'monitors', name, physical, value });
}

// ---------------------------------------------------------------------------------------------------------
// Values
// ---------------------------------------------------------------------------------------------------------

/** What describes the job definitions of a type. */
const JOBS: Readonly<
  Record<string, (sagemaker: SageMakerClient, input: { JobDefinitionName: string }) => Promise<object>>
> = {
  DataQuality: (sagemaker, input) => sagemaker.send(new DescribeDataQualityJobDefinitionCommand(input)),
  ModelQuality: (sagemaker, input) => sagemaker.send(new DescribeModelQualityJobDefinitionCommand(input)),
  ModelBias: (sagemaker, input) => sagemaker.send(new DescribeModelBiasJobDefinitionCommand(input)),
  ModelExplainability: (sagemaker, input) =>
    sagemaker.send(new DescribeModelExplainabilityJobDefinitionCommand(input)),
};

/** A job definition without the word that begins the names of its members: `DataQualityJobInput`. */
function jobOfDefinition(definition: object, type: string): Job {
  return Object.fromEntries(
    Object.entries(definition).map(([key, value]) => [
      key.startsWith(type) ? key.slice(type.length) : key,
      value,
    ]),
  );
}

/** The job of a schedule that has one of its own. */
function jobOfSchedule({
  MonitoringInputs,
  MonitoringOutputConfig,
  MonitoringResources,
  MonitoringAppSpecification,
  Environment,
  ...job
}: MonitoringJobDefinition): Job {
  return {
    ...job,
    AppSpecification: { ImageUri: undefined, ...MonitoringAppSpecification, Environment },
    // SageMaker takes exactly one.
    JobInput: MonitoringInputs?.[0],
    JobOutputConfig: MonitoringOutputConfig,
    JobResources: MonitoringResources,
  };
}

/** Names, ARNs and times of job definitions are left out: every deployment makes up new ones. */
function monitorValue(
  { MonitoringScheduleStatus, MonitoringScheduleConfig }: DescribeMonitoringScheduleCommandOutput,
  type: string,
  job: Job,
): JsonObject {
  const { ScheduleExpression, DataAnalysisStartTime, DataAnalysisEndTime } =
    MonitoringScheduleConfig?.ScheduleConfig ?? {};
  const {
    ImageUri,
    ContainerEntrypoint,
    ContainerArguments,
    RecordPreprocessorSourceUri,
    PostAnalyticsProcessorSourceUri,
    ConfigUri,
    ProblemType,
    Environment,
    ...more
  } = job.AppSpecification ?? { ImageUri: undefined };
  const cluster = job.JobResources?.ClusterConfig;
  const network = job.NetworkConfig;
  return setOf({
    ...membersOf(more),
    type,
    schedule: ScheduleExpression,
    // Relative to each run: -PT1H.
    analysisStart: DataAnalysisStartTime,
    analysisEnd: DataAnalysisEndTime,
    status: MonitoringScheduleStatus,
    input: inputOf(job.JobInput ?? {}),
    baseline: baselineOf(job.BaselineConfig ?? {}),
    output: outputOf(job.JobOutputConfig),
    instanceType: cluster?.InstanceType,
    instances: cluster?.InstanceCount,
    volumeGb: cluster?.VolumeSizeInGB,
    volumeKmsKey: cluster?.VolumeKmsKeyId,
    image: ImageUri,
    entrypoint: ordered(ContainerEntrypoint),
    arguments: ordered(ContainerArguments),
    preprocessor: RecordPreprocessorSourceUri,
    postprocessor: PostAnalyticsProcessorSourceUri,
    configUri: ConfigUri,
    problemType: ProblemType,
    environment: Environment,
    timeoutSeconds: job.StoppingCondition?.MaxRuntimeInSeconds,
    networkIsolation: network?.EnableNetworkIsolation ?? false,
    trafficEncryption: network?.EnableInterContainerTrafficEncryption ?? false,
    vpc: vpcOf(network?.VpcConfig),
    role: job.RoleArn,
  });
}

function inputOf({ EndpointInput, BatchTransformInput, GroundTruthS3Input, ...more }: Input): JsonObject {
  const { EndpointName, ...endpoint } = EndpointInput ?? {};
  const { DataCapturedDestinationS3Uri, DatasetFormat, ...batch } = BatchTransformInput ?? {};
  return setOf({
    ...membersOf(more),
    ...membersOf(endpoint),
    ...membersOf(batch),
    endpoint: EndpointName,
    uri: DataCapturedDestinationS3Uri,
    // A format may say nothing but its name.
    format: Object.keys(DatasetFormat ?? {})[0],
    header: DatasetFormat?.Csv?.Header,
    line: DatasetFormat?.Json?.Line,
    groundTruth: GroundTruthS3Input?.S3Uri,
  });
}

function baselineOf({
  BaseliningJobName,
  ConstraintsResource,
  StatisticsResource,
}: MonitoringBaselineConfig): JsonObject {
  const constraints = ConstraintsResource?.S3Uri;
  const statistics = StatisticsResource?.S3Uri;
  // Where files are named, the job that has made them is only a name.
  const job = constraints === undefined && statistics === undefined ? BaseliningJobName : undefined;
  return setOf({ constraints, statistics, job });
}

function outputOf({ MonitoringOutputs, KmsKeyId }: Partial<MonitoringOutputConfig> = {}): JsonObject {
  // SageMaker takes exactly one.
  const { S3Uri, LocalPath, S3UploadMode } = MonitoringOutputs?.[0]?.S3Output ?? {};
  return setOf({ uri: S3Uri, localPath: LocalPath, mode: S3UploadMode, kmsKey: KmsKeyId });
}
