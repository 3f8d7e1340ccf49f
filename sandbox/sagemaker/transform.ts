import * as z from 'zod';
import type { Hosted } from './hosted.ts';
import { HostingError } from './hosting.ts';
import { findModel, type Model } from './models.ts';
import {
  type Call,
  entityName,
  invalid,
  Kind,
  nameContains,
  type Operation,
  operation,
  page,
  paging,
  present,
  type Resource,
  ServiceError,
  seconds,
  sorted,
  sortOrder,
  structure,
  timestamp,
} from './service.ts';
import { type TransformDefinition, transformDefinition } from './transform-definition.ts';
import { JobError, transform } from './transform-run.ts';

export interface TransformJob extends Resource {
  readonly definition: TransformDefinition;
  status: 'InProgress' | 'Completed' | 'Failed' | 'Stopping' | 'Stopped';
  failureReason: string | undefined;
  /** Milliseconds since 1970, as all moments. */
  lastModifiedTime: number;
  startTime: number | undefined;
  endTime: number | undefined;
  /** Aborted by StopTransformJob. */
  readonly stop: AbortController;
}

const TRANSFORM_JOBS = new Kind<TransformJob>('transform-job', 10_000);

/** Batch transform. Jobs are really run, by a container of their model and with the rights of the model's role. */
export const transformOperations: Readonly<Record<string, Operation>> = {
  CreateTransformJob: operation(
    transformDefinition,
    ({ TransformJobName }) => TRANSFORM_JOBS.arn(TransformJobName),
    (definition, call) => {
      const { state } = call;
      const { TransformJobName: name, ModelName, Tags } = definition;
      // Names that differ in case alone have one ARN.
      const existing = state.byArn(TRANSFORM_JOBS.arn(name));
      if (existing !== undefined) {
        throw new ServiceError(
          'ResourceInUse',
          'Job name must be unique within an AWS account and region, and a job with this name already exists ' +
            `(${existing.arn}).`,
        );
      }
      const model = findModel(ModelName, call);
      const now = call.now();
      const job: TransformJob = {
        arn: TRANSFORM_JOBS.arn(name),
        definition,
        status: 'InProgress',
        failureReason: undefined,
        creationTime: now,
        lastModifiedTime: now,
        startTime: undefined,
        endTime: undefined,
        stop: new AbortController(),
      };
      state.add(TRANSFORM_JOBS, name, job, Tags);
      call.background(`transform job ${name}`, () => run(job, model, call));
      return { TransformJobArn: job.arn };
    },
  ),

  DescribeTransformJob: operation(
    structure({ TransformJobName: entityName }),
    ({ TransformJobName }) => TRANSFORM_JOBS.arn(TransformJobName),
    ({ TransformJobName }, call) => describe(find(call, TransformJobName), seconds),
  ),

  ListTransformJobs: operation(
    structure({
      CreationTimeAfter: timestamp.optional(),
      CreationTimeBefore: timestamp.optional(),
      LastModifiedTimeAfter: timestamp.optional(),
      LastModifiedTimeBefore: timestamp.optional(),
      NameContains: nameContains.optional(),
      StatusEquals: z.enum(['InProgress', 'Completed', 'Failed', 'Stopping', 'Stopped']).optional(),
      SortBy: z.enum(['Name', 'CreationTime', 'Status']).default('CreationTime'),
      SortOrder: sortOrder.default('Descending'),
      ...paging,
    }),
    () => '*',
    (query, { state }) => {
      const {
        CreationTimeAfter = -Infinity,
        CreationTimeBefore = Infinity,
        LastModifiedTimeAfter = -Infinity,
        LastModifiedTimeBefore = Infinity,
        NameContains = '',
        StatusEquals,
      } = query;
      const jobs = [...state.all(TRANSFORM_JOBS).values()].filter(
        (job) =>
          job.creationTime > CreationTimeAfter &&
          job.creationTime < CreationTimeBefore &&
          job.lastModifiedTime > LastModifiedTimeAfter &&
          job.lastModifiedTime < LastModifiedTimeBefore &&
          nameOf(job).toLowerCase().includes(NameContains.toLowerCase()) &&
          (StatusEquals === undefined || job.status === StatusEquals),
      );
      const keys = { Name: nameOf, Status: statusOf, CreationTime: creationTimeOf };
      const { items, NextToken } = page(sorted(jobs, keys[query.SortBy], query.SortOrder), query, 10);
      return present({
        TransformJobSummaries: items.map((job) => {
          const described = describe(job, seconds);
          const { TransformJobName, TransformJobArn, TransformJobStatus, CreationTime } = described;
          return present({
            TransformJobName,
            TransformJobArn,
            TransformJobStatus,
            CreationTime,
            TransformEndTime: described.TransformEndTime,
            LastModifiedTime: seconds(job.lastModifiedTime),
            FailureReason: described.FailureReason,
          });
        }),
        NextToken,
      });
    },
  ),

  StopTransformJob: operation(
    structure({ TransformJobName: entityName }),
    ({ TransformJobName }) => TRANSFORM_JOBS.arn(TransformJobName),
    async ({ TransformJobName }, call) => {
      const job = find(call, TransformJobName);
      if (job.status !== 'InProgress') {
        throw invalid(`The request was rejected because the transform job is in status ${job.status}.`);
      }
      const told = change(job, 'Stopping', call);
      job.stop.abort(new Error('the job was stopped'));
      await told;
      return {};
    },
  ),
};

/** @throws ServiceError ResourceNotFound, as the API reference has it; whether AWS keeps to that was not verified */
function find({ state }: Call, name: string): TransformJob {
  const job = state.get(TRANSFORM_JOBS, name);
  if (job === undefined)
    throw new ServiceError('ResourceNotFound', `Could not find requested job with name: ${name}`);
  return job;
}

function nameOf(job: TransformJob): string {
  return job.definition.TransformJobName;
}

function statusOf(job: TransformJob): string {
  return job.status;
}

function creationTimeOf(job: TransformJob): number {
  return job.creationTime;
}

/** @param moment how the moments are written */
function describe(job: TransformJob, moment: (milliseconds: number) => number) {
  const { Tags: _tags, ModelClientConfig, DataProcessing, ...definition } = job.definition;
  return present({
    ...definition,
    ModelClientConfig,
    DataProcessing: DataProcessing ?? { InputFilter: '$', OutputFilter: '$', JoinSource: 'None' },
    TransformJobArn: job.arn,
    TransformJobStatus: job.status,
    FailureReason: job.failureReason,
    CreationTime: moment(job.creationTime),
    TransformStartTime: job.startTime === undefined ? undefined : moment(job.startTime),
    TransformEndTime: job.endTime === undefined ? undefined : moment(job.endTime),
  });
}

async function change(job: TransformJob, status: TransformJob['status'], call: Call): Promise<void> {
  job.status = status;
  job.lastModifiedTime = call.now();
  if (!['InProgress', 'Stopping'].includes(status)) job.endTime = job.lastModifiedTime;
  call.log(`transform job ${nameOf(job)}: ${[status, job.failureReason].filter(Boolean).join(': ')}`);
  const Tags = Object.fromEntries(call.state.tags(job.arn));
  const detail = { ...describe(job, (milliseconds) => milliseconds), Tags };
  await call.account.emit('SageMaker Transform Job State Change', [job.arn], detail);
}

async function run(job: TransformJob, model: Model, call: Call): Promise<void> {
  const label = `transform job ${nameOf(job)}`;
  const signal = AbortSignal.any([call.signal, job.stop.signal]);
  let hosted: Hosted | undefined;
  let failure: string | undefined;
  try {
    await change(job, 'InProgress', call);
    hosted = await call.host(model, {
      env: variablesOf(job.definition),
      label,
      signal,
    });
    job.startTime = call.now();
    await transform(job.definition, {
      s3: await call.account.s3As(model.executionRoleArn),
      role: model.executionRoleArn,
      container: hosted.container,
      log: (line) => call.log(`${label}: ${line}`),
      signal,
    });
  } catch (error) {
    failure = reasonOf(error);
    if (failure === undefined && !signal.aborted) {
      failure = 'InternalServerError: We encountered an internal error. Please try again.';
      call.log(`${label}: ${(error as Error).stack}`);
    }
  }
  await hosted?.stop();
  call.signal.throwIfAborted();
  if (job.stop.signal.aborted) return change(job, 'Stopped', call);
  job.failureReason = failure?.slice(0, 1024);
  return change(job, failure === undefined ? 'Completed' : 'Failed', call);
}

/** SageMaker's FailureReason; undefined for what it has none for. */
function reasonOf(error: unknown): string | undefined {
  if (error instanceof JobError) return error.message;
  if (error instanceof ServiceError) return `ClientError: ${error.message}`;
  if (!(error instanceof HostingError)) return undefined;
  return error.kind === 'access'
    ? `ClientError: ${error.message}`
    : 'AlgorithmError: Model container failed to respond to ping. Please ensure /ping endpoint is implemented and ' +
        'responds with an HTTP 200 status code';
}

/** What a container finds in its environment besides the model's own variables. */
function variablesOf({
  Environment,
  MaxPayloadInMB,
  BatchStrategy,
  MaxConcurrentTransforms,
}: TransformDefinition): Record<string, string> {
  const settings = present({
    SAGEMAKER_BATCH: 'true',
    SAGEMAKER_MAX_PAYLOAD_IN_MB: MaxPayloadInMB?.toString(),
    SAGEMAKER_BATCH_STRATEGY: BatchStrategy,
    SAGEMAKER_MAX_CONCURRENT_TRANSFORMS: MaxConcurrentTransforms?.toString(),
  });
  return { ...settings, ...Environment };
}
