import { createWriteStream } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { GetObjectCommand, ListObjectsV2Command, PutObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import { create as pack } from 'tar';
import * as z from 'zod';
import { REGION } from '../emulator.ts';
import { runToEnd } from './containers.ts';
import {
  type Call,
  entityName,
  environment,
  invalid,
  Kind,
  listOf,
  type Operation,
  operation,
  parseS3Uri,
  present,
  type Resource,
  roleArn,
  ServiceError,
  s3Uri,
  seconds,
  structure,
  tags,
} from './service.ts';

/** Objects of one channel. */
const MOST_OBJECTS = 10_000;

/** Characters of a reason for a failure; of SageMaker. */
const MOST_REASON = 1024;

type Status = 'InProgress' | 'Completed' | 'Failed' | 'Stopping' | 'Stopped';

type SecondaryStatus =
  | 'Starting'
  | 'Downloading'
  | 'Training'
  | 'Uploading'
  | 'Completed'
  | 'Failed'
  | 'Stopping'
  | 'Stopped'
  | 'MaxRuntimeExceeded';

interface Transition {
  Status: SecondaryStatus;
  /** Milliseconds since 1970. */
  start: number;
  end?: number;
}

export interface TrainingJob extends Resource {
  readonly name: string;
  readonly request: CreateTrainingJob;
  /** `s3://.../output/model.tar.gz`: where the model is once the job is Completed. */
  readonly artifact: string;
  status: Status;
  failureReason: string | undefined;
  readonly transitions: Transition[];
  lastModifiedTime: number;
  /** When the container started, and when the job was over. Milliseconds since 1970. */
  startTime: number | undefined;
  endTime: number | undefined;
  /** Ends it early. */
  readonly stop: AbortController;
  /** Resolves when the job is over, however it ended. */
  ended: Promise<void>;
}

const TRAINING_JOBS = new Kind<TrainingJob>('training-job', 10_000);

const channel = structure({
  ChannelName: z
    .string()
    .min(1)
    .max(64)
    .regex(/^[A-Za-z0-9.\-_]+$/),
  DataSource: structure({
    S3DataSource: structure({
      S3DataType: z.enum(['S3Prefix', 'ManifestFile', 'AugmentedManifestFile']),
      S3Uri: s3Uri,
      S3DataDistributionType: z.enum(['FullyReplicated', 'ShardedByS3Key']).optional(),
    }),
  }),
  ContentType: z.string().max(256).optional(),
  CompressionType: z.enum(['None', 'Gzip']).optional(),
  RecordWrapperType: z.enum(['None', 'RecordIO']).optional(),
  InputMode: z.enum(['File', 'Pipe', 'FastFile']).optional(),
});

/** What the SageMaker Python SDK sends along and nothing here acts on. */
const untouched = z.record(z.string(), z.unknown()).optional();

/** Input of CreateTrainingJob; also the arguments of a pipeline's Training step. */
export const createTrainingJob = structure({
  TrainingJobName: entityName,
  HyperParameters: z
    .record(z.string().max(256), z.string().max(2500))
    .refine((map) => Object.keys(map).length <= 100, 'HyperParameters can have at most 100 entries.')
    .optional(),
  AlgorithmSpecification: structure({
    TrainingImage: z.string().max(255),
    TrainingInputMode: z.enum(['File', 'Pipe', 'FastFile']),
    MetricDefinitions: listOf(
      structure({ Name: z.string().min(1).max(255), Regex: z.string().min(1).max(500) }),
      40,
    ).optional(),
    EnableSageMakerMetricsTimeSeries: z.boolean().optional(),
  }),
  RoleArn: roleArn,
  InputDataConfig: listOf(channel, 20, 1).optional(),
  OutputDataConfig: structure({
    S3OutputPath: s3Uri,
    KmsKeyId: z.string().max(2048).optional(),
    CompressionType: z.enum(['GZIP', 'NONE']).optional(),
  }),
  ResourceConfig: structure({
    InstanceType: z.string().regex(/^ml\.[a-z0-9-]+\.[a-z0-9]+$/),
    InstanceCount: z.int().min(0),
    VolumeSizeInGB: z.int().min(0),
  }),
  StoppingCondition: structure({ MaxRuntimeInSeconds: z.int().min(1).optional() }),
  Environment: environment(100).optional(),
  EnableNetworkIsolation: z.boolean().optional(),
  EnableInterContainerTrafficEncryption: z.boolean().optional(),
  EnableManagedSpotTraining: z.boolean().optional(),
  DebugHookConfig: untouched,
  ProfilerConfig: untouched,
  ProfilerRuleConfigurations: z.array(z.unknown()).optional(),
  Tags: tags.optional(),
});

type CreateTrainingJob = z.output<typeof createTrainingJob>;

/** Why a job failed, in SageMaker's words. */
class JobError extends Error {
  override readonly name = 'JobError';
}

async function startJob(input: CreateTrainingJob, call: Call): Promise<TrainingJob> {
  refuseUnsupported(input);
  await call.account.passRole(call.caller, input.RoleArn);
  const arn = TRAINING_JOBS.arn(input.TrainingJobName);
  // Only now, with everything awaited: of two calls at once one is too late.
  if (call.state.byArn(arn) !== undefined) {
    throw new ServiceError('ResourceInUse', 'Job name must be unique within an AWS account and region.');
  }
  const { bucket, key } = parseS3Uri(input.OutputDataConfig.S3OutputPath);
  const folder = [key.replace(/\/$/, ''), input.TrainingJobName, 'output'].filter(Boolean).join('/');
  const now = call.now();
  const job: TrainingJob = {
    arn,
    name: input.TrainingJobName,
    request: input,
    artifact: `s3://${bucket}/${folder}/model.tar.gz`,
    status: 'InProgress',
    failureReason: undefined,
    transitions: [{ Status: 'Starting', start: now }],
    creationTime: now,
    lastModifiedTime: now,
    startTime: undefined,
    endTime: undefined,
    stop: new AbortController(),
    ended: Promise.resolve(),
  };
  call.state.add(TRAINING_JOBS, job.name, job, input.Tags);
  await announce(job, call);
  const run = runJob(job, call);
  // Whoever waits does not care how it ended; a bug is logged.
  job.ended = run.catch(() => undefined);
  call.background(`training job ${job.name}`, () => run);
  return job;
}

function refuseUnsupported({
  AlgorithmSpecification,
  InputDataConfig = [],
  ...rest
}: CreateTrainingJob): void {
  const names = InputDataConfig.map(({ ChannelName }) => ChannelName);
  if (new Set(names).size < names.length) throw invalid('Channel names must be unique.');
  const modes = [AlgorithmSpecification.TrainingInputMode, ...InputDataConfig.map((it) => it.InputMode)];
  if (modes.some((mode) => mode !== undefined && mode !== 'File')) {
    throw invalid('The local SageMaker has the input mode File only.');
  }
  if (InputDataConfig.some((it) => it.DataSource.S3DataSource.S3DataType !== 'S3Prefix')) {
    throw invalid('The local SageMaker has the data type S3Prefix only.');
  }
  if (rest.OutputDataConfig.CompressionType === 'NONE') {
    throw invalid('The local SageMaker has the output compression type GZIP only.');
  }
}

/** Runs a job to its end; how it ended is in the job. */
async function runJob(job: TrainingJob, call: Call): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'training-'));
  const { MaxRuntimeInSeconds = 86_400 } = job.request.StoppingCondition;
  // setTimeout takes no more than 2^31 - 1 milliseconds.
  const time = AbortSignal.timeout(Math.min(MaxRuntimeInSeconds * 1000, 2 ** 31 - 1));
  const signal = AbortSignal.any([call.signal, job.stop.signal, time]);
  try {
    await work(job, directory, call, signal);
    await finish(job, 'Completed', 'Completed', call);
  } catch (error) {
    if (call.signal.aborted) throw error;
    if (job.stop.signal.aborted) await finish(job, 'Stopped', 'Stopped', call);
    else if (time.aborted) await finish(job, 'Stopped', 'MaxRuntimeExceeded', call);
    else if (error instanceof JobError) {
      job.failureReason = error.message.slice(0, MOST_REASON);
      await finish(job, 'Failed', 'Failed', call);
    } else {
      job.failureReason = 'InternalServerError: We encountered an internal error. Please try again.';
      await finish(job, 'Failed', 'Failed', call);
      throw error;
    }
  } finally {
    await rm(directory, { recursive: true, force: true, maxRetries: 3 });
  }
}

async function work(job: TrainingJob, directory: string, call: Call, signal: AbortSignal): Promise<void> {
  const { request, name } = job;
  const { TrainingImage } = request.AlgorithmSpecification;
  const found = await call.images.resolve(TrainingImage);
  if (found === undefined) {
    throw new JobError(
      `ClientError: Cannot find repository: ${TrainingImage}. Please check if your ECR repository and image exist and role ${request.RoleArn} has proper pull permissions for SageMaker`,
    );
  }
  const s3 = await call.account.s3As(request.RoleArn).catch((error: unknown) => {
    // The role has been deleted meanwhile.
    throw error instanceof ServiceError ? new JobError(`ClientError: ${error.message}`) : error;
  });
  await enter(job, 'Downloading', call);
  const channels: Record<string, string> = {};
  for (const it of request.InputDataConfig ?? []) {
    const folder = join(directory, 'input', 'data', it.ChannelName);
    await mkdir(folder, { recursive: true });
    await download(s3, it.DataSource.S3DataSource.S3Uri, folder, request.RoleArn, signal);
    channels[it.ChannelName] = folder;
  }

  await enter(job, 'Training', call);
  job.startTime = call.now();
  const model = join(directory, 'model');
  const output = join(directory, 'output');
  await mkdir(model);
  await mkdir(output);
  const { code, tail } = await runToEnd(found.image, {
    env: trainingEnvironment(job, channels, { input: join(directory, 'input'), model, output }),
    onLine: (line) => call.log(`${name}: ${line}`),
    signal,
  });
  if (code !== 0) {
    const reason = await readFile(join(output, 'failure'), 'utf8').catch(() => tail);
    throw new JobError(`AlgorithmError: ${reason.trim()}, exit code: ${code ?? 'none'}`);
  }

  await enter(job, 'Uploading', call);
  const archive = join(directory, 'model.tar.gz');
  // Entries in order and without times: the same model has the same ETag.
  const entries = (await readdir(model)).sort();
  await pack(
    { file: archive, cwd: model, gzip: true, portable: true, noMtime: true },
    entries.length > 0 ? entries : ['.'],
  );
  const { bucket, key } = parseS3Uri(job.artifact);
  signal.throwIfAborted();
  await s3
    .send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: await readFile(archive) }))
    .catch((error: Error) => {
      throw new JobError(`ClientError: Artifact upload failed:${describeS3Error(error)}`);
    });
}

/** Downloads every object under a prefix, with the rights of the job's role. */
async function download(
  s3: S3Client,
  uri: string,
  folder: string,
  role: string,
  signal: AbortSignal,
): Promise<void> {
  const { bucket, key: prefix } = parseS3Uri(uri);
  let count = 0;
  try {
    for await (const key of keysUnder(s3, bucket, prefix)) {
      count++;
      if (count > MOST_OBJECTS) {
        throw new JobError(`ClientError: More than ${MOST_OBJECTS} objects under ${uri}`);
      }
      const file = join(folder, nameUnder(prefix, key));
      if (relative(folder, file).startsWith('..')) {
        throw new JobError(`ClientError: The key ${key} leaves the directory of its channel`);
      }
      await mkdir(dirname(file), { recursive: true });
      const get = new GetObjectCommand({ Bucket: bucket, Key: key });
      const { Body } = await s3.send(get, { abortSignal: signal });
      await pipeline(Body as Readable, createWriteStream(file), { signal });
    }
  } catch (error) {
    if (signal.aborted || error instanceof JobError) throw error;
    throw new JobError(`ClientError: Data download failed:${describeS3Error(error as Error)}`);
  }
  if (count === 0) {
    throw new JobError(
      `ClientError: No S3 objects found under S3 URL "${uri}" given in input data source. Please ensure that the bucket exists in the selected region (${REGION}), that objects exist under that S3 prefix, and that the role "${role}" has "s3:ListBucket" permissions on bucket "${bucket}".`,
    );
  }
}

/** Keys of all objects under a prefix, without those that stand for folders. */
async function* keysUnder(s3: S3Client, bucket: string, prefix: string): AsyncGenerator<string> {
  let token: string | undefined;
  do {
    const { Contents = [], NextContinuationToken } = await s3.send(
      new ListObjectsV2Command({ Bucket: bucket, Prefix: prefix, ContinuationToken: token }),
    );
    for (const { Key = '' } of Contents) if (!Key.endsWith('/')) yield Key;
    token = NextContinuationToken;
  } while (token !== undefined);
}

/** Path of an object in its channel: what follows the prefix, or the folder that the prefix ends in. */
function nameUnder(prefix: string, key: string): string {
  const rest = key.slice(prefix.length);
  const isFolder = prefix === '' || prefix.endsWith('/') || rest.startsWith('/');
  return isFolder ? rest.replace(/^\//, '') : key.slice(prefix.lastIndexOf('/') + 1);
}

function describeS3Error(error: Error): string {
  const { $metadata, name, message } = error as Error & { $metadata?: { httpStatusCode?: number } };
  return `${name} (${$metadata?.httpStatusCode ?? 'no answer'}): ${message}`;
}

/** The environment of SageMaker's training toolkit. */
function trainingEnvironment(
  { name, request }: TrainingJob,
  channels: Readonly<Record<string, string>>,
  { input, model, output }: { input: string; model: string; output: string },
): Record<string, string> {
  const hyperparameters = Object.entries(request.HyperParameters ?? {});
  return {
    ...request.Environment,
    TRAINING_JOB_NAME: name,
    AWS_REGION: REGION,
    SM_INPUT_DIR: input,
    SM_MODEL_DIR: model,
    SM_OUTPUT_DIR: output,
    SM_CHANNELS: JSON.stringify(Object.keys(channels)),
    ...Object.fromEntries(
      Object.entries(channels).map(([channel, folder]) => [`SM_CHANNEL_${channel.toUpperCase()}`, folder]),
    ),
    // The API has texts only; the toolkit makes values of those that are JSON.
    SM_HPS: JSON.stringify(Object.fromEntries(hyperparameters.map(([key, text]) => [key, fromJson(text)]))),
    ...Object.fromEntries(
      hyperparameters.map(([key, text]) => [`SM_HP_${key.toUpperCase()}`, String(fromJson(text))]),
    ),
  };
}

function fromJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** The next secondary status. */
async function enter(job: TrainingJob, status: SecondaryStatus, call: Call): Promise<void> {
  move(job, status, call);
  await announce(job, call);
}

function move(job: TrainingJob, status: SecondaryStatus, { now }: Call): void {
  const last = job.transitions.at(-1);
  if (last !== undefined) last.end ??= now();
  job.transitions.push({ Status: status, start: now() });
  job.lastModifiedTime = now();
}

async function finish(
  job: TrainingJob,
  status: Status,
  secondary: SecondaryStatus,
  call: Call,
): Promise<void> {
  job.status = status;
  job.endTime = call.now();
  move(job, secondary, call);
  const last = job.transitions.at(-1);
  if (last !== undefined) last.end = job.endTime;
  await announce(job, call);
}

/** Sends the event of a change, in the shape that EventBridge documents: Describe's, with times in epoch ms. */
async function announce(job: TrainingJob, { account, state }: Call): Promise<void> {
  await account.emit('SageMaker Training Job State Change', [job.arn], {
    ...describe(job, (milliseconds) => milliseconds),
    Tags: Object.fromEntries(state.tags(job.arn)),
  });
}

/** @param time writes a moment, from milliseconds */
function describe(job: TrainingJob, time: (milliseconds: number) => number): object {
  const { Tags, ...request } = job.request;
  const moment = (milliseconds: number | undefined) => milliseconds && time(milliseconds);
  return present({
    ...request,
    TrainingJobArn: job.arn,
    TrainingJobStatus: job.status,
    SecondaryStatus: job.transitions.at(-1)?.Status,
    FailureReason: job.failureReason,
    ...(job.status === 'Completed' && { ModelArtifacts: { S3ModelArtifacts: job.artifact } }),
    CreationTime: time(job.creationTime),
    TrainingStartTime: moment(job.startTime),
    TrainingEndTime: moment(job.endTime),
    LastModifiedTime: time(job.lastModifiedTime),
    SecondaryStatusTransitions: job.transitions.map(({ Status, start, end }) =>
      present({ Status, StartTime: time(start), EndTime: moment(end) }),
    ),
    ...(job.startTime !== undefined &&
      job.endTime !== undefined && {
        TrainingTimeInSeconds: Math.ceil((job.endTime - job.startTime) / 1000),
      }),
  });
}

function findJob(name: string, { state }: Call): TrainingJob {
  const found = state.get(TRAINING_JOBS, name);
  if (found === undefined) throw invalid('Requested resource not found.');
  return found;
}

/** Stops a job that is still going on. */
export async function stopJob(job: TrainingJob, call: Call): Promise<void> {
  if (job.status !== 'InProgress') return;
  job.status = 'Stopping';
  move(job, 'Stopping', call);
  job.stop.abort(new Error('the job was stopped'));
  await announce(job, call);
}

const jobInput = structure({ TrainingJobName: entityName });

export const trainingOperations: Record<string, Operation> = {
  CreateTrainingJob: operation(
    createTrainingJob,
    ({ TrainingJobName }) => TRAINING_JOBS.arn(TrainingJobName),
    async (input, call) => ({ TrainingJobArn: (await startJob(input, call)).arn }),
    ({ ResourceConfig, StoppingCondition, EnableNetworkIsolation = false }) => ({
      'sagemaker:InstanceTypes': [ResourceConfig.InstanceType],
      'sagemaker:NetworkIsolation': String(EnableNetworkIsolation),
      ...(StoppingCondition.MaxRuntimeInSeconds !== undefined && {
        'sagemaker:MaxRuntimeInSeconds': String(StoppingCondition.MaxRuntimeInSeconds),
      }),
    }),
  ),

  DescribeTrainingJob: operation(
    jobInput,
    ({ TrainingJobName }) => TRAINING_JOBS.arn(TrainingJobName),
    ({ TrainingJobName }, call) => describe(findJob(TrainingJobName, call), seconds),
  ),

  StopTrainingJob: operation(
    jobInput,
    ({ TrainingJobName }) => TRAINING_JOBS.arn(TrainingJobName),
    async ({ TrainingJobName }, call) => {
      const job = findJob(TrainingJobName, call);
      if (job.status !== 'InProgress') {
        throw invalid(`The request was rejected because the training job is in status ${job.status}.`);
      }
      await stopJob(job, call);
      return {};
    },
  ),
};
