import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  CreatePipelineCommand,
  CreateTrainingJobCommand,
  type CreateTrainingJobCommandInput,
  DeletePipelineCommand,
  DescribeModelPackageCommand,
  DescribePipelineCommand,
  DescribePipelineExecutionCommand,
  DescribeTrainingJobCommand,
  ListModelPackageGroupsCommand,
  ListPipelineExecutionStepsCommand,
  ListPipelineExecutionsCommand,
  ListPipelinesCommand,
  type Parameter,
  StartPipelineExecutionCommand,
  StopPipelineExecutionCommand,
  StopTrainingJobCommand,
  UpdatePipelineCommand,
} from '@aws-sdk/client-sagemaker';
import { extract } from 'tar';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { bindParameters, evaluate, parseDefinition } from '../../../sandbox/sagemaker/definition.ts';
import { pipelineOperations } from '../../../sandbox/sagemaker/pipelines.ts';
import { registryOperations } from '../../../sandbox/sagemaker/registry.ts';
import { trainingOperations } from '../../../sandbox/sagemaker/training.ts';
import { LocalSageMaker, ROLE } from '../../support/sagemaker.ts';

const TRAINER = '000000000000.dkr.ecr.us-east-1.amazonaws.com/trainer:v1';
const SAGEMAKER = 'arn:aws:sagemaker:us-east-1:000000000000';

let local: LocalSageMaker;
/** Of this test alone, so that it sees what jobs leave behind. */
let scratch: string;

beforeEach(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'tocsin-pipelines-'));
  vi.stubEnv('TMPDIR', scratch);
  local = await LocalSageMaker.start({
    operations: { ...registryOperations, ...trainingOperations, ...pipelineOperations },
  });
  const source = 'test/sandbox/sagemaker/trainer.ts';
  const answer = await fetch(`${local.endpoint}/_sandbox/images`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ repository: 'trainer', tag: 'v1', command: ['node', source], sources: [source] }),
  });
  expect(await answer.json()).toEqual({ address: TRAINER, digest: expect.stringMatching(/^sha256:/) });
  local.put('data/train/a.csv', '1,2');
  local.put('data/train/more/b.csv', '3,4');
  local.put('data/train/more/', '');
  local.put('data/training-is-another-prefix.csv', '5,6');
});

afterEach(async () => {
  await local.close();
  vi.unstubAllEnvs();
  await rm(scratch, { recursive: true });
});

/** The arguments of a training step or job. */
function training(hyperparameters: Record<string, unknown> = {}) {
  return {
    AlgorithmSpecification: { TrainingImage: TRAINER, TrainingInputMode: 'File' },
    RoleArn: ROLE,
    HyperParameters: hyperparameters,
    InputDataConfig: [
      {
        ChannelName: 'training',
        DataSource: {
          S3DataSource: { S3DataType: 'S3Prefix', S3Uri: { Get: 'Parameters.Data' } as unknown },
        },
      },
    ],
    OutputDataConfig: { S3OutputPath: 's3://data/models/' },
    ResourceConfig: { InstanceType: 'ml.m5.large', InstanceCount: 1, VolumeSizeInGB: 10 },
    StoppingCondition: { MaxRuntimeInSeconds: 600 },
  };
}

const TRAIN = { Name: 'Train', Type: 'Training', Arguments: training() };

const REGISTER = {
  Name: 'Register',
  Type: 'RegisterModel',
  Arguments: {
    ModelPackageGroupName: { Get: 'Parameters.Group' },
    InferenceSpecification: {
      Containers: [{ Image: TRAINER, ModelDataUrl: { Get: 'Steps.Train.ModelArtifacts.S3ModelArtifacts' } }],
    },
    CustomerMetadataProperties: { execution: { Get: 'Execution.PipelineExecutionId' } },
  },
};

const PARAMETERS = [
  { Name: 'Data', Type: 'String', DefaultValue: 's3://data/train' },
  { Name: 'Group', Type: 'String', DefaultValue: 'delays' },
];

function definition(steps: readonly object[], parameters: readonly object[] = PARAMETERS): string {
  return JSON.stringify({ Version: '2020-12-01', Metadata: {}, Parameters: parameters, Steps: steps });
}

async function createPipeline(text: string, PipelineName = 'P'): Promise<void> {
  await local.client.send(
    new CreatePipelineCommand({ PipelineName, PipelineDefinition: text, RoleArn: ROLE }),
  );
}

async function start(parameters: Parameter[] = [], token?: string): Promise<string> {
  const { PipelineExecutionArn = '' } = await local.client.send(
    new StartPipelineExecutionCommand({
      PipelineName: 'P',
      PipelineParameters: parameters,
      ClientRequestToken: token,
    }),
  );
  return PipelineExecutionArn;
}

async function describeExecution(PipelineExecutionArn: string) {
  return local.client.send(new DescribePipelineExecutionCommand({ PipelineExecutionArn }));
}

async function stepsOf(PipelineExecutionArn: string) {
  const { PipelineExecutionSteps = [] } = await local.client.send(
    new ListPipelineExecutionStepsCommand({ PipelineExecutionArn, SortOrder: 'Ascending' }),
  );
  return PipelineExecutionSteps;
}

/** Runs a pipeline of some steps to its end. */
async function run(steps: readonly object[], parameters: Parameter[] = []) {
  await createPipeline(definition(steps));
  const arn = await start(parameters);
  await local.settled();
  return { arn, execution: await describeExecution(arn), steps: await stepsOf(arn) };
}

/** Waits until a process has written a line into the log. */
async function logged(text: string): Promise<void> {
  while (!local.log.some((line) => line.includes(text))) await sleep(5);
}

describe('a pipeline that trains and registers', () => {
  it('really does: the model that it registers is what the container made of the data', async () => {
    const { arn, execution, steps } = await run([REGISTER, TRAIN]);
    expect(execution).toMatchObject({
      PipelineExecutionStatus: 'Succeeded',
      PipelineArn: `${SAGEMAKER}:pipeline/p`,
    });
    expect(steps.map((it) => [it.StepName, it.StepStatus])).toEqual([
      ['Train', 'Succeeded'],
      ['Register', 'Succeeded'],
    ]);
    const job = steps[0]?.Metadata?.TrainingJob?.Arn ?? '';
    const id = arn.slice(arn.lastIndexOf('/') + 1);
    expect(job).toMatch(new RegExp(`^${SAGEMAKER}:training-job/pipelines-${id}-train-[a-z0-9]{6}$`));
    expect(steps[1]?.Metadata).toEqual({ RegisterModel: { Arn: `${SAGEMAKER}:model-package/delays/1` } });

    const registered = await local.client.send(
      new DescribeModelPackageCommand({ ModelPackageName: `${SAGEMAKER}:model-package/delays/1` }),
    );
    expect(registered).toMatchObject({
      ModelPackageStatus: 'Completed',
      ModelApprovalStatus: 'PendingManualApproval',
      CustomerMetadataProperties: { execution: id },
    });
    const url = registered.InferenceSpecification?.Containers?.[0]?.ModelDataUrl ?? '';
    expect(url).toMatch(
      /^s3:\/\/data\/models\/pipelines-[a-z0-9]{12}-Train-[a-z0-9]{6}\/output\/model\.tar\.gz$/,
    );
    const model = await unpack(url);
    expect(Object.keys(model)).toEqual(['deep/model.json', 'hyperparameters.json']);
    expect(JSON.parse(model['deep/model.json'] ?? '').files).toEqual([
      ['a.csv', '1,2'],
      ['more/b.csv', '3,4'],
      // As on AWS: a prefix is the beginning of a key, not a folder.
      ['training-is-another-prefix.csv', '5,6'],
    ]);
  });

  it('sends the events of execution, job and package', async () => {
    const { arn } = await run([TRAIN, REGISTER]);
    const kinds = local.events.map(({ detailType, detail }) => [
      detailType.replace('SageMaker ', ''),
      detail.currentPipelineExecutionStatus ?? detail.SecondaryStatus ?? detail.ModelPackageStatus,
    ]);
    expect(kinds).toEqual([
      ['Model Building Pipeline Execution Status Change', 'Executing'],
      ...['Starting', 'Downloading', 'Training', 'Uploading', 'Completed'].map((it) => [
        'Training Job State Change',
        it,
      ]),
      ...['Pending', 'InProgress', 'Completed'].map((it) => ['Model Package State Change', it]),
      ['Model Building Pipeline Execution Status Change', 'Succeeded'],
    ]);
    expect(local.events.at(-1)).toEqual({
      detailType: 'SageMaker Model Building Pipeline Execution Status Change',
      resources: [`${SAGEMAKER}:pipeline/p`, arn],
      detail: {
        currentPipelineExecutionStatus: 'Succeeded',
        previousPipelineExecutionStatus: 'Executing',
        executionStartTime: expect.stringMatching(/Z$/),
        executionEndTime: expect.stringMatching(/Z$/),
        pipelineArn: `${SAGEMAKER}:pipeline/p`,
        pipelineExecutionArn: arn,
      },
    });
    const job = local.events.find(({ detail }) => detail.SecondaryStatus === 'Completed');
    expect(job?.detail).toMatchObject({
      TrainingJobStatus: 'Completed',
      CreationTime: expect.any(Number),
      Tags: {},
    });
    // Milliseconds, not seconds.
    expect(job?.detail.CreationTime).toBeGreaterThan(1e12);
  });

  it('acts with the rights of its role, not with those of who starts it', async () => {
    local.forbidden.add('sagemaker:CreateTrainingJob');
    const { execution, steps } = await run([TRAIN, REGISTER]);
    expect(execution).toMatchObject({
      PipelineExecutionStatus: 'Failed',
      FailureReason: 'Step failure: One or multiple steps failed.',
    });
    expect(steps).toMatchObject([
      {
        StepName: 'Train',
        StepStatus: 'Failed',
        FailureReason:
          'ClientError: Failed to invoke sagemaker:CreateTrainingJob. Error Details: may not sagemaker:CreateTrainingJob',
      },
    ]);
  });

  it('makes the group of the package where there is none', async () => {
    await run([TRAIN, REGISTER], [{ Name: 'Group', Value: 'canary' }]);
    const { ModelPackageGroupSummaryList = [] } = await local.client.send(
      new ListModelPackageGroupsCommand({}),
    );
    expect(ModelPackageGroupSummaryList.map((it) => it.ModelPackageGroupName)).toEqual(['canary']);
  });
});

describe('a pipeline that fails', () => {
  const REASONS: [string, () => Promise<Awaited<ReturnType<typeof run>>>, string][] = [
    [
      'because the data is locked',
      () => {
        local.denied.add('GetObject data/train/a.csv');
        return run([TRAIN, REGISTER]);
      },
      'ClientError: ClientError: Data download failed:AccessDenied (403): the fake says AccessDenied',
    ],
    [
      'because there is no data',
      () => run([TRAIN, REGISTER], [{ Name: 'Data', Value: 's3://data/none/' }]),
      'ClientError: ClientError: No S3 objects found under S3 URL "s3://data/none/"',
    ],
    [
      'because a key leaves the directory',
      () => {
        local.put('data/evil/../../x', 'x');
        return run([TRAIN, REGISTER], [{ Name: 'Data', Value: 's3://data/evil/' }]);
      },
      'ClientError: ClientError: The key evil/../../x leaves the directory of its channel',
    ],
    [
      'with the reason that the program gives',
      () => run([{ ...TRAIN, Arguments: training({ mode: 'fail' }) }, REGISTER]),
      'ClientError: AlgorithmError: all labels are the same, exit code: 1',
    ],
    [
      'with the end of its output where it gives none',
      () => run([{ ...TRAIN, Arguments: training({ mode: 'crash' }) }, REGISTER]),
      'ClientError: AlgorithmError: mode crash\nout of memory, exit code: 7',
    ],
    [
      'because the model cannot be written',
      () => {
        local.denied.add('PutObject data/');
        return run([TRAIN, REGISTER]);
      },
      'ClientError: ClientError: Artifact upload failed:AccessDenied (403)',
    ],
    [
      'because there is no such image',
      () => {
        const { AlgorithmSpecification, ...rest } = training();
        const missing = { ...AlgorithmSpecification, TrainingImage: 'nowhere/trainer:v1' };
        return run([{ ...TRAIN, Arguments: { ...rest, AlgorithmSpecification: missing } }, REGISTER]);
      },
      'ClientError: ClientError: Cannot find repository: nowhere/trainer:v1',
    ],
    [
      'because a step says so',
      () =>
        run([
          {
            Name: 'Train',
            Type: 'Fail',
            Arguments: {
              ErrorMessage: { 'Std:Join': { On: ' ', Values: ['no', { Get: 'Parameters.Group' }] } },
            },
          },
          { ...REGISTER, Arguments: { ModelPackageGroupName: 'delays' }, DependsOn: ['Train'] },
        ]),
      'no delays',
    ],
  ];

  it.each(REASONS)('%s', async (_, play, reason) => {
    const { execution, steps } = await play();
    expect(execution).toMatchObject({ PipelineExecutionStatus: 'Failed' });
    // What would have come next has not.
    expect(steps).toHaveLength(1);
    expect(steps[0]).toMatchObject({ StepName: 'Train', StepStatus: 'Failed' });
    expect(steps[0]?.FailureReason?.startsWith(reason)).toBe(true);
    expect(local.events.filter(({ detailType }) => detailType.includes('Package'))).toEqual([]);
    // Neither data nor models stay on the disk.
    expect(await readdir(scratch)).toEqual([]);
  });
});

describe('starting and stopping', () => {
  it('starts once for one token', async () => {
    await createPipeline(definition([TRAIN]));
    const token = 'x'.repeat(32);
    const arns = await Promise.all([start([], token), start([], token), start([], 'y'.repeat(32))]);
    expect(new Set(arns).size).toBe(2);
    expect(arns[0]).toBe(arns[1]);
    await expect(start([], 'x'.repeat(31))).rejects.toMatchObject({ name: 'ValidationException' });
  });

  it('stops its job with it', async () => {
    await createPipeline(definition([{ ...TRAIN, Arguments: training({ mode: 'hang' }) }, REGISTER]));
    const arn = await start();
    await logged('mode hang');
    await local.client.send(new StopPipelineExecutionCommand({ PipelineExecutionArn: arn }));
    await local.settled();
    expect(await describeExecution(arn)).toMatchObject({ PipelineExecutionStatus: 'Stopped' });
    const [step, ...others] = await stepsOf(arn);
    expect(step).toMatchObject({ StepName: 'Train', StepStatus: 'Stopped' });
    expect(others).toEqual([]);
    const name = step?.Metadata?.TrainingJob?.Arn?.replace(/^.*\//, '');
    expect(
      local.events.filter(({ detail }) => detail.TrainingJobArn?.endsWith(name)).at(-1)?.detail,
    ).toMatchObject({
      TrainingJobStatus: 'Stopped',
    });
    await expect(
      local.client.send(new StopPipelineExecutionCommand({ PipelineExecutionArn: arn })),
    ).rejects.toMatchObject({ name: 'ValidationException' });
  });

  it('runs steps side by side, as many as are allowed', async () => {
    const steps = ['A', 'B'].map((Name) => ({
      Name,
      Type: 'Training',
      Arguments: training({ mode: 'hang' }),
    }));
    for (const [PipelineName, limit] of [
      ['both', undefined],
      ['one', 1],
    ] as const) {
      await createPipeline(definition(steps), PipelineName);
      const { PipelineExecutionArn = '' } = await local.client.send(
        new StartPipelineExecutionCommand({
          PipelineName,
          ...(limit !== undefined && { ParallelismConfiguration: { MaxParallelExecutionSteps: limit } }),
        }),
      );
      await logged('mode hang');
      expect((await stepsOf(PipelineExecutionArn)).map(({ StepName }) => StepName)).toEqual(
        limit === 1 ? ['A'] : ['A', 'B'],
      );
      await local.client.send(new StopPipelineExecutionCommand({ PipelineExecutionArn }));
      await local.settled();
      local.log.length = 0;
    }
  });

  it('ends its containers when the server ends', async () => {
    await createPipeline(definition([{ ...TRAIN, Arguments: training({ mode: 'hang' }) }]));
    await start();
    await logged('mode hang');
    await local.close();
    expect(await readdir(scratch)).toEqual([]);
  });

  it.each<[string, Parameter[], string]>([
    [
      'it does not know',
      [{ Name: 'Datas', Value: 'x' }],
      'Unknown parameters [Datas] were provided. The pipeline does not define them.',
    ],
    [
      'that is given twice',
      [
        { Name: 'Data', Value: 'x' },
        { Name: 'Data', Value: 'y' },
      ],
      'Pipeline parameter names must be unique.',
    ],
    [
      'of another type',
      [{ Name: 'Trees', Value: 'many' }],
      'Parameter [Trees] must be of type Integer, got many.',
    ],
    [
      'that it does not allow',
      [{ Name: 'Unit', Value: 'ells' }],
      'Parameter [Unit] must be one of [km, mi], got ells.',
    ],
    ['that is missing', [], 'No value was provided for the parameter [Must].'],
  ])('is not started with a parameter %s', async (_, parameters, message) => {
    await createPipeline(
      definition(
        [TRAIN],
        [
          ...PARAMETERS,
          { Name: 'Trees', Type: 'Integer', DefaultValue: 1 },
          { Name: 'Unit', Type: 'String', DefaultValue: 'km', EnumValues: ['km', 'mi'] },
          ...(parameters.length === 0 ? [{ Name: 'Must', Type: 'Boolean' }] : []),
        ],
      ),
    );
    await expect(start(parameters)).rejects.toMatchObject({ name: 'ValidationException', message });
    expect(local.events).toEqual([]);
  });
});

describe('pipelines', () => {
  it('are described, updated, listed and deleted', async () => {
    const text = definition([TRAIN]);
    await createPipeline(text);
    await createPipeline(text, 'Other');
    await expect(createPipeline(text)).rejects.toMatchObject({
      name: 'ValidationException',
      message:
        'Pipeline names must be unique within an AWS account and region. Pipeline with name (P) already exists.',
    });
    const changed = definition([{ Name: 'No', Type: 'Fail', Arguments: { ErrorMessage: 'no' } }]);
    await local.client.send(
      new UpdatePipelineCommand({ PipelineName: 'P', PipelineDefinition: changed, PipelineDescription: 'd' }),
    );
    const arn = await start();
    await local.settled();
    const { $metadata, ...rest } = await local.client.send(
      new DescribePipelineCommand({ PipelineName: `${SAGEMAKER}:pipeline/p` }),
    );
    expect(rest).toEqual({
      PipelineArn: `${SAGEMAKER}:pipeline/p`,
      PipelineName: 'P',
      PipelineDisplayName: 'P',
      PipelineDescription: 'd',
      PipelineDefinition: changed,
      PipelineStatus: 'Active',
      RoleArn: ROLE,
      CreationTime: expect.any(Date),
      LastModifiedTime: expect.any(Date),
      LastRunTime: expect.any(Date),
    });
    const { PipelineSummaries = [] } = await local.client.send(new ListPipelinesCommand({ SortBy: 'Name' }));
    expect(PipelineSummaries.map((it) => it.PipelineName)).toEqual(['P', 'Other']);
    const { PipelineExecutionSummaries } = await local.client.send(
      new ListPipelineExecutionsCommand({ PipelineName: 'P' }),
    );
    expect(PipelineExecutionSummaries).toMatchObject([
      { PipelineExecutionArn: arn, PipelineExecutionStatus: 'Failed' },
    ]);
    await local.client.send(new DeletePipelineCommand({ PipelineName: 'P' }));
    for (const gone of [start(), describeExecution(arn)]) {
      await expect(gone).rejects.toMatchObject({ name: 'ResourceNotFound' });
    }
  });

  it('are not deleted while they run', async () => {
    await createPipeline(definition([{ ...TRAIN, Arguments: training({ mode: 'hang' }) }]));
    await start();
    await expect(local.client.send(new DeletePipelineCommand({ PipelineName: 'P' }))).rejects.toMatchObject({
      name: 'ConflictException',
    });
  });

  it.each<[string, string | object[], RegExp]>([
    ['is not JSON', '{', /^Unable to parse pipeline definition\. /],
    ['is of another version', JSON.stringify({ Version: '2021-01-01', Steps: [TRAIN] }), /Version/],
    ['has no steps', [], /Steps/],
    [
      'has a step of a type that is not run here',
      [{ ...TRAIN, Type: 'Processing' }],
      /steps of type Training, RegisterModel and Fail, not Processing/,
    ],
    ['has two steps of one name', [TRAIN, { ...REGISTER, Name: 'Train' }], /The name Train is not unique/],
    [
      'has an argument that is not known',
      [{ ...TRAIN, Arguments: { ...training(), Channels: [] } }],
      /Unknown Argument member 'Channels'/,
    ],
    [
      'refers to a step that is not there',
      [REGISTER],
      /Step Register refers to Steps\.Train, which is not there/,
    ],
    [
      'refers to a parameter that is not there',
      [{ ...TRAIN, Arguments: training({ a: { Get: 'Parameters.Nothing' } }) }],
      /Parameters\.Nothing/,
    ],
    [
      'refers to nothing that there is',
      [{ ...TRAIN, Arguments: training({ a: { Get: 'Outputs.X' } }) }],
      /Outputs\.X/,
    ],
    ['depends on a step that is not there', [{ ...TRAIN, DependsOn: ['Clean'] }], /depends on Clean/],
    [
      'goes in a circle',
      [{ ...TRAIN, DependsOn: ['Register'] }, REGISTER],
      /These steps wait for each other: Train, Register/,
    ],
    [
      'has a function that is not known',
      [{ ...TRAIN, Arguments: training({ a: { 'Std:JsonGet': {} } }) }],
      /Std:JsonGet/,
    ],
    ['joins nothing', [{ ...TRAIN, Arguments: training({ a: { 'Std:Join': { On: ' ' } } }) }], /Std:Join/],
  ])('are refused where the definition %s', async (_, steps, message) => {
    const text = typeof steps === 'string' ? steps : definition(steps);
    await expect(createPipeline(text)).rejects.toMatchObject({
      name: 'ValidationException',
      message: expect.stringMatching(message),
    });
  });
});

describe('expressions', () => {
  const scope = {
    parameters: { Data: 's3://data', Trees: 7 },
    execution: { PipelineExecutionId: 'abc' },
    steps: { Train: { ModelArtifacts: { S3ModelArtifacts: 's3://m' }, List: [{ a: 1 }] } },
  };

  it.each<[object, unknown]>([
    [{ Get: 'Parameters.Trees' }, 7],
    [{ Get: 'Steps.Train.ModelArtifacts.S3ModelArtifacts' }, 's3://m'],
    [{ Get: "Steps.Train['ModelArtifacts'].S3ModelArtifacts" }, 's3://m'],
    [{ Get: 'Steps.Train.List[0].a' }, 1],
    [
      {
        'Std:Join': {
          On: '/',
          Values: [{ Get: 'Parameters.Data' }, 1, { Get: 'Execution.PipelineExecutionId' }],
        },
      },
      's3://data/1/abc',
    ],
    [
      [{ deep: [{ Get: 'Parameters.Trees' }] }, null, true],
      [{ deep: [7] }, null, true],
    ],
  ])('%j', (expression, value) => {
    expect(evaluate(expression as never, scope)).toEqual(value);
  });

  it.each(['Steps.Train.Nothing', 'Steps.Train.constructor', 'Parameters.__proto__'])(
    '%s has no value',
    (Get) => {
      expect(() => evaluate({ Get }, scope)).toThrow(`Property reference ${Get} has no value.`);
    },
  );

  it('have parameters of their types', () => {
    const parsed = parseDefinition(
      definition(
        [{ Name: 'F', Type: 'Fail', Arguments: {} }],
        [
          { Name: 'S', Type: 'String', DefaultValue: 's' },
          { Name: 'I', Type: 'Integer', DefaultValue: 1 },
          { Name: 'F', Type: 'Float', DefaultValue: 0.5 },
          { Name: 'B', Type: 'Boolean', DefaultValue: false },
        ],
      ),
    );
    expect(bindParameters(parsed, [])).toEqual({ S: 's', I: 1, F: 0.5, B: false });
    const given = { S: '3', I: '3', F: '1e3', B: 'True' };
    expect(
      bindParameters(
        parsed,
        Object.entries(given).map(([Name, Value]) => ({ Name, Value })),
      ),
    ).toEqual({
      S: '3',
      I: 3,
      F: 1000,
      B: true,
    });
  });
});

describe('a training job', () => {
  function job(changes: Partial<CreateTrainingJobCommandInput> = {}): CreateTrainingJobCommandInput {
    const { InputDataConfig, ...rest } = training({ trees: '7', mode: 'good', rate: '0.1' });
    return {
      ...rest,
      TrainingJobName: 'Job',
      Environment: { UNIT: 'km' },
      InputDataConfig: [
        {
          ChannelName: 'training',
          DataSource: { S3DataSource: { S3DataType: 'S3Prefix', S3Uri: 's3://data/train/a' } },
        },
      ],
      ...changes,
    } as CreateTrainingJobCommandInput;
  }

  const describeJob = () => local.client.send(new DescribeTrainingJobCommand({ TrainingJobName: 'Job' }));

  it('gets what SageMaker gives a container, and nothing of this machine', async () => {
    await local.client.send(new CreateTrainingJobCommand(job()));
    await local.settled();
    const found = await describeJob();
    expect(found).toMatchObject({
      TrainingJobArn: `${SAGEMAKER}:training-job/job`,
      TrainingJobStatus: 'Completed',
      SecondaryStatus: 'Completed',
      ModelArtifacts: { S3ModelArtifacts: 's3://data/models/Job/output/model.tar.gz' },
      HyperParameters: { trees: '7', mode: 'good', rate: '0.1' },
      TrainingEndTime: expect.any(Date),
    });
    expect(found.SecondaryStatusTransitions?.map(({ Status }) => Status)).toEqual([
      'Starting',
      'Downloading',
      'Training',
      'Uploading',
      'Completed',
    ]);
    const { 'deep/model.json': text = '', 'hyperparameters.json': hyperparameters = '' } = await unpack(
      's3://data/models/Job/output/model.tar.gz',
    );
    const { files, environment } = JSON.parse(text);
    // The prefix is the beginning of a name.
    expect(files).toEqual([['a.csv', '1,2']]);
    expect(JSON.parse(hyperparameters)).toEqual({ trees: 7, mode: 'good', rate: 0.1 });
    expect(environment).toEqual({
      UNIT: 'km',
      AWS_REGION: 'us-east-1',
      TRAINING_JOB_NAME: 'Job',
      SM_CHANNELS: '["training"]',
      SM_CHANNEL_TRAINING: expect.any(String),
      SM_INPUT_DIR: expect.any(String),
      SM_MODEL_DIR: expect.any(String),
      SM_OUTPUT_DIR: expect.any(String),
      SM_HPS: expect.any(String),
      SM_HP_TREES: '7',
      SM_HP_MODE: 'good',
      SM_HP_RATE: '0.1',
    });
  });

  it('makes the same archive of the same model', async () => {
    const bytes: (Buffer | undefined)[] = [];
    for (const TrainingJobName of ['one', 'two']) {
      await local.client.send(
        new CreateTrainingJobCommand(job({ TrainingJobName, HyperParameters: { mode: 'empty' } })),
      );
      await local.settled();
      bytes.push(local.objects.get(`data/models/${TrainingJobName}/output/model.tar.gz`));
    }
    expect(bytes[0]).toBeInstanceOf(Buffer);
    expect(bytes[0]).toEqual(bytes[1]);
  });

  it('is stopped, once', async () => {
    await local.client.send(new CreateTrainingJobCommand(job({ HyperParameters: { mode: 'hang' } })));
    await logged('mode hang');
    const stop = () => local.client.send(new StopTrainingJobCommand({ TrainingJobName: 'Job' }));
    await stop();
    expect(await describeJob()).toMatchObject({ TrainingJobStatus: 'Stopping' });
    await local.settled();
    expect(await describeJob()).toMatchObject({ TrainingJobStatus: 'Stopped', SecondaryStatus: 'Stopped' });
    await expect(stop()).rejects.toMatchObject({ name: 'ValidationException' });
    expect(local.objects.has('data/models/Job/output/model.tar.gz')).toBe(false);
  });

  it('is ended when its time is up', async () => {
    const StoppingCondition = { MaxRuntimeInSeconds: 1 };
    await local.client.send(
      new CreateTrainingJobCommand(job({ HyperParameters: { mode: 'hang' }, StoppingCondition })),
    );
    await local.settled();
    expect(await describeJob()).toMatchObject({
      TrainingJobStatus: 'Stopped',
      SecondaryStatus: 'MaxRuntimeExceeded',
    });
  });

  it('has a name of its own', async () => {
    await local.client.send(new CreateTrainingJobCommand(job()));
    await expect(local.client.send(new CreateTrainingJobCommand(job()))).rejects.toMatchObject({
      name: 'ResourceInUse',
      message: 'Job name must be unique within an AWS account and region.',
    });
  });

  it.each<[string, Partial<CreateTrainingJobCommandInput>, RegExp]>([
    ['a name of 64 characters', { TrainingJobName: 'x'.repeat(64) }, /length less than or equal to 63/],
    [
      'Pipe mode',
      { AlgorithmSpecification: { TrainingImage: TRAINER, TrainingInputMode: 'Pipe' } },
      /input mode File only/,
    ],
    ['no output', { OutputDataConfig: undefined }, /Value null at 'outputDataConfig'/],
    [
      'an output that is no address',
      { OutputDataConfig: { S3OutputPath: 'models' } },
      /'outputDataConfig\.s3OutputPath'/,
    ],
    [
      'a hyperparameter of 2501 characters',
      { HyperParameters: { a: 'x'.repeat(2501) } },
      /length less than or equal to 2500/,
    ],
    [
      'an instance of another kind',
      { ResourceConfig: { InstanceType: 'm5.large' as never, InstanceCount: 1, VolumeSizeInGB: 1 } },
      /instanceType/,
    ],
  ])('is refused with %s', async (_, changes, message) => {
    await expect(local.client.send(new CreateTrainingJobCommand(job(changes)))).rejects.toMatchObject({
      name: 'ValidationException',
      message: expect.stringMatching(message),
    });
  });

  it('that is not there is not described', async () => {
    await expect(describeJob()).rejects.toMatchObject({
      name: 'ValidationException',
      message: 'Requested resource not found.',
    });
  });
});

/** The files of a model in S3, by path. */
async function unpack(url: string): Promise<Record<string, string>> {
  const directory = await mkdtemp(join(tmpdir(), 'tocsin-unpacked-'));
  try {
    const file = join(directory, 'model.tar.gz');
    await writeFile(file, local.objects.get(url.replace('s3://', '')) ?? '');
    await extract({ file, cwd: directory });
    await rm(file);
    const entries = await readdir(directory, { recursive: true, withFileTypes: true });
    const paths = entries
      .filter((it) => it.isFile())
      .map((it) => join(it.parentPath, it.name))
      .sort();
    return Object.fromEntries(
      await Promise.all(
        paths.map(async (path) => [path.slice(directory.length + 1), await readFile(path, 'utf8')] as const),
      ),
    );
  } finally {
    await rm(directory, { recursive: true });
  }
}
