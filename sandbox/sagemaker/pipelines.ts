import { randomInt } from 'node:crypto';
import * as z from 'zod';
import { ACCOUNT } from '../emulator.ts';
import {
  bindParameters,
  type Definition,
  dependencies,
  evaluate,
  type ParameterValue,
  parseDefinition,
  type Scope,
  type Step,
} from './definition.ts';
import { MODEL_PACKAGE_GROUPS, type ModelPackage, registryOperations } from './registry.ts';
import {
  type Call,
  invalid,
  Kind,
  listOf,
  type Operation,
  operation,
  page,
  paging,
  present,
  type Resource,
  roleArn,
  ServiceError,
  seconds,
  sorted,
  sortOrder,
  structure,
  tags,
  timestamp,
} from './service.ts';
import { stopJob, type TrainingJob, trainingOperations } from './training.ts';

interface Pipeline extends Resource {
  readonly name: string;
  displayName: string | undefined;
  description: string | undefined;
  /** As it was sent. */
  text: string;
  definition: Definition;
  roleArn: string;
  parallelism: Parallelism | undefined;
  lastModifiedTime: number;
  lastExecutionTime: number | undefined;
  readonly token: string;
}

type Status = 'Executing' | 'Stopping' | 'Stopped' | 'Failed' | 'Succeeded';

interface Execution extends Resource {
  readonly id: string;
  readonly pipeline: Pipeline;
  readonly displayName: string | undefined;
  readonly description: string | undefined;
  /** Of the pipeline, as they were at the start: an update does not change what runs. */
  readonly definition: Definition;
  readonly roleArn: string;
  readonly parallelism: Parallelism | undefined;
  readonly parameters: Readonly<Record<string, ParameterValue>>;
  readonly token: string;
  status: Status;
  failureReason: string | undefined;
  lastModifiedTime: number;
  /** Steps that have started, in that order. */
  readonly steps: StepRun[];
}

interface StepRun {
  readonly step: Step;
  status: 'Executing' | 'Stopping' | 'Stopped' | 'Failed' | 'Succeeded';
  readonly startTime: number;
  endTime: number | undefined;
  failureReason: string | undefined;
  metadata: object | undefined;
  /** The training job that it waits for. */
  job: TrainingJob | undefined;
  /** What later steps may refer to. */
  properties: unknown;
}

const PIPELINES = new Kind<Pipeline>('pipeline');
const EXECUTIONS = new Kind<Execution>('pipeline-execution', 10_000);

const pipelineName = z
  .string()
  .max(256)
  .regex(/^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,255}$/);
const pipelineReference = z
  .string()
  .max(256)
  .regex(
    /^(arn:aws[a-z-]*:sagemaker:[a-z0-9-]*:[0-9]{12}:pipeline\/.*)?([a-zA-Z0-9](-*[a-zA-Z0-9]){0,255})$/,
  );
const executionArn = z
  .string()
  .max(256)
  .regex(/^arn:aws[a-z-]*:sagemaker:[a-z0-9-]*:[0-9]{12}:pipeline\/.*\/execution\/.*$/);
const token = z
  .string()
  .min(32)
  .max(128)
  .regex(/^[A-Za-z0-9-]+$/);
const displayName = z
  .string()
  .min(1)
  .max(82)
  .regex(/^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,81}$/);
const description = z.string().max(3072);
const definitionText = z.string().min(1).max(1_048_576);
const parallelism = structure({ MaxParallelExecutionSteps: z.int().min(1) });

type Parallelism = z.output<typeof parallelism>;

const start = structure({
  PipelineName: pipelineReference,
  PipelineExecutionDisplayName: displayName.optional(),
  PipelineExecutionDescription: description.optional(),
  PipelineParameters: listOf(
    structure({
      Name: z
        .string()
        .max(256)
        .regex(/^[A-Za-z0-9\-_]*$/),
      Value: z.string().min(1).max(1024),
    }),
    200,
  ).optional(),
  ClientRequestToken: token,
  ParallelismConfiguration: parallelism.optional(),
});

async function startExecution(input: z.output<typeof start>, call: Call): Promise<object> {
  const pipeline = findPipeline(input.PipelineName, call);
  const { ClientRequestToken, PipelineParameters = [] } = input;
  const earlier = executionsOf(pipeline, call).find((it) => it.token === ClientRequestToken);
  if (earlier !== undefined) return { PipelineExecutionArn: earlier.arn };
  const parameters = bindParameters(pipeline.definition, PipelineParameters);
  const id = Array.from({ length: 12 }, () => 'abcdefghijklmnopqrstuvwxyz0123456789'[randomInt(36)]).join('');
  const now = call.now();
  const execution: Execution = {
    arn: `${pipeline.arn}/execution/${id}`,
    id,
    pipeline,
    displayName: input.PipelineExecutionDisplayName,
    description: input.PipelineExecutionDescription,
    definition: pipeline.definition,
    roleArn: pipeline.roleArn,
    parallelism: input.ParallelismConfiguration ?? pipeline.parallelism,
    parameters,
    token: ClientRequestToken,
    status: 'Executing',
    failureReason: undefined,
    creationTime: now,
    lastModifiedTime: now,
    steps: [],
  };
  call.state.add(EXECUTIONS, id, execution);
  pipeline.lastExecutionTime = now;
  await announce(execution, undefined, call);
  call.background(`execution ${id} of ${pipeline.name}`, () => runExecution(execution, call));
  return { PipelineExecutionArn: execution.arn };
}

/** Runs every step as soon as those before it have ended. After a failure nothing new is started. */
async function runExecution(execution: Execution, call: Call): Promise<void> {
  const { definition, steps, parallelism } = execution;
  const running = new Map<string, Promise<void>>();
  const succeeded = (name: string) => steps.some((it) => it.step.Name === name && it.status === 'Succeeded');
  for (;;) {
    call.signal.throwIfAborted();
    for (const step of definition.Steps) {
      const isOver = execution.status !== 'Executing' || steps.some(({ status }) => status === 'Failed');
      const isFull = running.size >= (parallelism?.MaxParallelExecutionSteps ?? Infinity);
      if (isOver || isFull) break;
      const isStarted = steps.some((it) => it.step === step);
      if (isStarted || !dependencies(step).every(succeeded)) continue;
      const done = runStep(step, execution, call).finally(() => running.delete(step.Name));
      running.set(step.Name, done);
    }
    if (running.size === 0) break;
    await Promise.race(running.values());
  }
  if (execution.status === 'Stopping') await become(execution, 'Stopped', call);
  else if (steps.some(({ status }) => status !== 'Succeeded')) {
    execution.failureReason = 'Step failure: One or multiple steps failed.';
    await become(execution, 'Failed', call);
  } else await become(execution, 'Succeeded', call);
}

/** Runs one step; how it ended is in the execution. */
async function runStep(step: Step, execution: Execution, call: Call): Promise<void> {
  const run: StepRun = {
    step,
    status: 'Executing',
    startTime: call.now(),
    endTime: undefined,
    failureReason: undefined,
    metadata: undefined,
    job: undefined,
    properties: undefined,
  };
  execution.steps.push(run);
  // Steps act with the rights of the pipeline's role.
  const caller = {
    arn: `arn:aws:sts::${ACCOUNT}:assumed-role/${execution.roleArn.replace(/^.*\//, '')}/SageMaker`,
    role: execution.roleArn,
  };
  try {
    await STEPS[step.Type](run, execution, { ...call, caller });
    run.status = 'Succeeded';
  } catch (error) {
    // Nobody asks any more: the server ends.
    if (call.signal.aborted) return;
    if (!(error instanceof ServiceError)) call.log(`step ${step.Name}: ${(error as Error).stack}`);
    run.status = execution.status === 'Stopping' ? 'Stopped' : 'Failed';
    if (run.status === 'Failed') run.failureReason = (error as Error).message;
  }
  run.endTime = call.now();
}

/** @throws ServiceError with the reason, where the step fails */
type Runner = (run: StepRun, execution: Execution, call: Call) => Promise<void>;

const STEPS: Record<Step['Type'], Runner> = {
  async Training(run, execution, call) {
    const { TrainingJobName = `pipelines-${execution.id}`, ...given } = argumentsOf(run, execution, call);
    const suffix = `-${run.step.Name}-${randomInt(36 ** 6)
      .toString(36)
      .padStart(6, '0')}`.replaceAll('_', '-');
    const name = String(TrainingJobName).slice(0, 63 - suffix.length) + suffix;
    const { TrainingJobArn } = (await invoke(
      trainingOperations,
      'CreateTrainingJob',
      { ...given, TrainingJobName: name },
      call,
    )) as { TrainingJobArn: string };
    const job = call.state.byArn(TrainingJobArn) as TrainingJob;
    run.metadata = { TrainingJob: { Arn: TrainingJobArn } };
    run.job = job;
    // Stopped while the job was being created.
    if (execution.status === 'Stopping') await stopJob(job, call);
    await job.ended;
    call.signal.throwIfAborted();
    if (job.status !== 'Completed') throw failure(job.failureReason ?? `The training job is ${job.status}.`);
    const described = { TrainingJobName: name };
    run.properties = await invoke(trainingOperations, 'DescribeTrainingJob', described, call);
  },

  async RegisterModel(run, execution, call) {
    const input = argumentsOf(run, execution, call);
    const { ModelPackageGroupName: group } = input;
    // As on AWS, a group that is not there is made.
    const isNew = typeof group === 'string' && !group.startsWith('arn:');
    if (isNew && call.state.byArn(MODEL_PACKAGE_GROUPS.arn(group)) === undefined) {
      await invoke(registryOperations, 'CreateModelPackageGroup', { ModelPackageGroupName: group }, call);
    }
    const { ModelPackageArn } = (await invoke(registryOperations, 'CreateModelPackage', input, call)) as {
      ModelPackageArn: string;
    };
    run.metadata = { RegisterModel: { Arn: ModelPackageArn } };
    await (call.state.byArn(ModelPackageArn) as ModelPackage).completed;
    call.signal.throwIfAborted();
    run.properties = { ModelPackageArn };
  },

  async Fail(run, execution, call) {
    const { ErrorMessage } = argumentsOf(run, execution, call);
    run.metadata = { Fail: { ErrorMessage } };
    throw new ServiceError('StepFailure', String(ErrorMessage));
  },
};

function argumentsOf(run: StepRun, execution: Execution, { now }: Call): Record<string, unknown> {
  const { pipeline, parameters, steps } = execution;
  const scope: Scope = {
    parameters,
    execution: {
      PipelineName: pipeline.name,
      PipelineArn: pipeline.arn,
      PipelineExecutionId: execution.id,
      PipelineExecutionArn: execution.arn,
      StartDateTime: new Date(execution.creationTime).toISOString(),
      CurrentDateTime: new Date(now()).toISOString(),
    },
    steps: Object.fromEntries(steps.map(({ step, properties }) => [step.Name, properties])),
  };
  return evaluate(run.step.Arguments, scope) as Record<string, unknown>;
}

/** Calls an operation as the pipeline's role does: validated and authorised as any other call. */
async function invoke(
  operations: Readonly<Record<string, Operation>>,
  name: string,
  input: object,
  call: Call,
): Promise<object> {
  try {
    return (await operations[name]?.(input, call, name)) ?? {};
  } catch (error) {
    if (!(error instanceof ServiceError)) throw error;
    throw failure(`Failed to invoke sagemaker:${name}. Error Details: ${error.message}`);
  }
}

function failure(reason: string): ServiceError {
  return new ServiceError('StepFailure', `ClientError: ${reason}`);
}

async function become(execution: Execution, status: Status, call: Call): Promise<void> {
  const before = execution.status;
  execution.status = status;
  execution.lastModifiedTime = call.now();
  await announce(execution, before, call);
}

/** Sends the event of a change. */
async function announce(execution: Execution, before: Status | undefined, { account }: Call): Promise<void> {
  const { pipeline, status, arn } = execution;
  const isOver = ['Succeeded', 'Failed', 'Stopped'].includes(status);
  await account.emit(
    'SageMaker Model Building Pipeline Execution Status Change',
    [pipeline.arn, arn],
    present({
      pipelineExecutionDisplayName: execution.displayName,
      currentPipelineExecutionStatus: status,
      previousPipelineExecutionStatus: before,
      executionStartTime: new Date(execution.creationTime).toISOString(),
      executionEndTime: isOver ? new Date(execution.lastModifiedTime).toISOString() : undefined,
      pipelineExecutionDescription: execution.description,
      pipelineArn: pipeline.arn,
      pipelineExecutionArn: arn,
    }),
  );
}

function findPipeline(reference: string, { state }: Call): Pipeline {
  const arn = pipelineArnOf(reference);
  const found = state.get(PIPELINES, reference) ?? state.byArn(arn);
  if (found === undefined) throw new ServiceError('ResourceNotFound', `Pipeline '${arn}' does not exist.`);
  return found as Pipeline;
}

function pipelineArnOf(reference: string): string {
  return reference.startsWith('arn:') ? reference : PIPELINES.arn(reference);
}

function findExecution(arn: string, { state }: Call): Execution {
  const found = state.byArn(arn);
  if (found === undefined)
    throw new ServiceError('ResourceNotFound', `Pipeline execution with ARN ${arn} does not exist.`);
  return found as Execution;
}

function executionsOf(pipeline: Pipeline, { state }: Call): Execution[] {
  return [...state.all(EXECUTIONS).values()].filter((it) => it.pipeline === pipeline);
}

const createdBetween = { CreatedAfter: timestamp.optional(), CreatedBefore: timestamp.optional() };

function createdWithin(
  { creationTime }: Resource,
  query: { CreatedAfter?: number | undefined; CreatedBefore?: number | undefined },
): boolean {
  const { CreatedAfter = -Infinity, CreatedBefore = Infinity } = query;
  return creationTime > CreatedAfter && creationTime < CreatedBefore;
}

function summary({ name, arn, displayName, description, ...rest }: Pipeline): object {
  return {
    PipelineArn: arn,
    PipelineName: name,
    PipelineDisplayName: displayName ?? name,
    PipelineDescription: description,
    RoleArn: rest.roleArn,
    CreationTime: seconds(rest.creationTime),
    LastModifiedTime: seconds(rest.lastModifiedTime),
  };
}

const executionInput = structure({ PipelineExecutionArn: executionArn });

/** Pipelines of training, registration and failure, and their executions. */
export const pipelineOperations: Record<string, Operation> = {
  CreatePipeline: operation(
    structure({
      PipelineName: pipelineName,
      PipelineDisplayName: displayName.optional(),
      PipelineDefinition: definitionText,
      PipelineDescription: description.optional(),
      ClientRequestToken: token,
      RoleArn: roleArn,
      Tags: tags.optional(),
      ParallelismConfiguration: parallelism.optional(),
    }),
    ({ PipelineName }) => PIPELINES.arn(PipelineName),
    async (input, call) => {
      const definition = parseDefinition(input.PipelineDefinition);
      await call.account.passRole(call.caller, input.RoleArn);
      const name = input.PipelineName;
      const arn = PIPELINES.arn(name);
      const found = call.state.byArn(arn) as Pipeline | undefined;
      if (found !== undefined && found.token === input.ClientRequestToken) return { PipelineArn: arn };
      if (found !== undefined) {
        throw invalid(
          `Pipeline names must be unique within an AWS account and region. Pipeline with name (${name}) already exists.`,
        );
      }
      const pipeline: Pipeline = {
        arn,
        name,
        displayName: input.PipelineDisplayName,
        description: input.PipelineDescription,
        text: input.PipelineDefinition,
        definition,
        roleArn: input.RoleArn,
        parallelism: input.ParallelismConfiguration,
        token: input.ClientRequestToken,
        creationTime: call.now(),
        lastModifiedTime: call.now(),
        lastExecutionTime: undefined,
      };
      call.state.add(PIPELINES, name, pipeline, input.Tags);
      return { PipelineArn: arn };
    },
  ),

  UpdatePipeline: operation(
    structure({
      PipelineName: pipelineName,
      PipelineDisplayName: displayName.optional(),
      PipelineDefinition: definitionText.optional(),
      PipelineDescription: description.optional(),
      RoleArn: roleArn.optional(),
      ParallelismConfiguration: parallelism.optional(),
    }),
    ({ PipelineName }) => PIPELINES.arn(PipelineName),
    async (input, call) => {
      const pipeline = findPipeline(input.PipelineName, call);
      const text = input.PipelineDefinition ?? pipeline.text;
      const definition = parseDefinition(text);
      if (input.RoleArn !== undefined) await call.account.passRole(call.caller, input.RoleArn);
      Object.assign(pipeline, {
        text,
        definition,
        displayName: input.PipelineDisplayName ?? pipeline.displayName,
        description: input.PipelineDescription ?? pipeline.description,
        roleArn: input.RoleArn ?? pipeline.roleArn,
        parallelism: input.ParallelismConfiguration ?? pipeline.parallelism,
        lastModifiedTime: call.now(),
      } satisfies Partial<Pipeline>);
      return { PipelineArn: pipeline.arn };
    },
  ),

  DescribePipeline: operation(
    structure({ PipelineName: pipelineReference }),
    ({ PipelineName }) => pipelineArnOf(PipelineName),
    ({ PipelineName }, call) => {
      const pipeline = findPipeline(PipelineName, call);
      const { lastExecutionTime } = pipeline;
      return present({
        ...summary(pipeline),
        PipelineDefinition: pipeline.text,
        PipelineStatus: 'Active',
        LastRunTime: lastExecutionTime && seconds(lastExecutionTime),
        ParallelismConfiguration: pipeline.parallelism,
      });
    },
  ),

  ListPipelines: operation(
    structure({
      ...paging,
      ...createdBetween,
      PipelineNamePrefix: pipelineName.optional(),
      SortBy: z.enum(['Name', 'CreationTime']).default('CreationTime'),
      SortOrder: sortOrder.default('Descending'),
    }),
    () => '*',
    (input, { state }) => {
      const { PipelineNamePrefix = '', SortBy, SortOrder } = input;
      const found = [...state.all(PIPELINES).values()].filter(
        (it) => it.name.startsWith(PipelineNamePrefix) && createdWithin(it, input),
      );
      const key = (it: Pipeline) => (SortBy === 'Name' ? it.name : it.creationTime);
      const { items, ...next } = page(sorted(found, key, SortOrder), input);
      const PipelineSummaries = items.map((it) =>
        present({
          ...summary(it),
          LastExecutionTime: it.lastExecutionTime && seconds(it.lastExecutionTime),
        }),
      );
      return { PipelineSummaries, ...next };
    },
  ),

  DeletePipeline: operation(
    structure({ PipelineName: pipelineName, ClientRequestToken: token }),
    ({ PipelineName }) => PIPELINES.arn(PipelineName),
    ({ PipelineName }, call) => {
      const pipeline = findPipeline(PipelineName, call);
      const executions = executionsOf(pipeline, call);
      if (executions.some(({ status }) => ['Executing', 'Stopping'].includes(status))) {
        throw new ServiceError(
          'ConflictException',
          `Pipeline '${pipeline.arn}' has executions that are running.`,
        );
      }
      for (const { id } of executions) call.state.remove(EXECUTIONS, id);
      call.state.remove(PIPELINES, pipeline.name);
      return { PipelineArn: pipeline.arn };
    },
  ),

  StartPipelineExecution: operation(start, ({ PipelineName }) => pipelineArnOf(PipelineName), startExecution),

  StopPipelineExecution: operation(
    structure({ PipelineExecutionArn: executionArn, ClientRequestToken: token }),
    ({ PipelineExecutionArn }) => PipelineExecutionArn,
    async ({ PipelineExecutionArn }, call) => {
      const execution = findExecution(PipelineExecutionArn, call);
      // Asked for again it is what was asked for.
      if (execution.status === 'Stopping') return { PipelineExecutionArn };
      if (execution.status !== 'Executing') {
        throw invalid(`Pipeline execution with ARN ${PipelineExecutionArn} is ${execution.status} already.`);
      }
      await become(execution, 'Stopping', call);
      for (const run of execution.steps) {
        if (run.status !== 'Executing') continue;
        run.status = 'Stopping';
        if (run.job !== undefined) await stopJob(run.job, call);
      }
      return { PipelineExecutionArn };
    },
  ),

  DescribePipelineExecution: operation(
    executionInput,
    ({ PipelineExecutionArn }) => PipelineExecutionArn,
    ({ PipelineExecutionArn }, call) => {
      const execution = findExecution(PipelineExecutionArn, call);
      return present({
        PipelineArn: execution.pipeline.arn,
        PipelineExecutionArn: execution.arn,
        PipelineExecutionDisplayName: execution.displayName,
        PipelineExecutionStatus: execution.status,
        PipelineExecutionDescription: execution.description,
        FailureReason: execution.failureReason,
        CreationTime: seconds(execution.creationTime),
        LastModifiedTime: seconds(execution.lastModifiedTime),
        ParallelismConfiguration: execution.parallelism,
      });
    },
  ),

  ListPipelineExecutions: operation(
    structure({
      ...paging,
      ...createdBetween,
      PipelineName: pipelineReference,
      SortBy: z.enum(['CreationTime', 'PipelineExecutionArn']).default('CreationTime'),
      SortOrder: sortOrder.default('Descending'),
    }),
    ({ PipelineName }) => pipelineArnOf(PipelineName),
    (input, call) => {
      const found = executionsOf(findPipeline(input.PipelineName, call), call).filter((it) =>
        createdWithin(it, input),
      );
      const key = (it: Execution) => (input.SortBy === 'CreationTime' ? it.creationTime : it.arn);
      const { items, ...next } = page(sorted(found, key, input.SortOrder), input);
      const PipelineExecutionSummaries = items.map((it) =>
        present({
          PipelineExecutionArn: it.arn,
          StartTime: seconds(it.creationTime),
          PipelineExecutionStatus: it.status,
          PipelineExecutionDescription: it.description,
          PipelineExecutionDisplayName: it.displayName,
          PipelineExecutionFailureReason: it.failureReason,
        }),
      );
      return { PipelineExecutionSummaries, ...next };
    },
  ),

  ListPipelineExecutionSteps: operation(
    structure({ ...paging, PipelineExecutionArn: executionArn, SortOrder: sortOrder.default('Descending') }),
    ({ PipelineExecutionArn }) => PipelineExecutionArn,
    (input, call) => {
      const { steps } = findExecution(input.PipelineExecutionArn, call);
      const { items, ...next } = page(
        sorted(steps, (it) => steps.indexOf(it), input.SortOrder),
        input,
      );
      const PipelineExecutionSteps = items.map((it) =>
        present({
          StepName: it.step.Name,
          StepDisplayName: it.step.DisplayName,
          StepDescription: it.step.Description,
          StartTime: seconds(it.startTime),
          EndTime: it.endTime && seconds(it.endTime),
          StepStatus: it.status,
          FailureReason: it.failureReason,
          Metadata: it.metadata,
          AttemptCount: 1,
        }),
      );
      return { PipelineExecutionSteps, ...next };
    },
  ),
};
