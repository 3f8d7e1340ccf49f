import {
  DescribePipelineExecutionCommand,
  ListPipelineExecutionStepsCommand,
  StartPipelineExecutionCommand,
  StopPipelineExecutionCommand,
} from '@aws-sdk/client-sagemaker';
import { describe, expect, test } from 'vitest';
import {
  pipelineState,
  pipelineSteps,
  startPipeline,
  stopPipeline,
} from '../../../functions/holdout-evaluation/adapters/pipelines.ts';
import { GateDependencyError, GateInputError } from '../../../functions/shared/errors.ts';
import { sagemakerError, useSageMaker } from '../../support/fake-sagemaker.ts';

const ARN = 'arn:aws:sagemaker:us-east-1:111122223333:pipeline/training/execution/1';
const TOKEN = `tocsin-${'a'.repeat(32)}`;

const { mock, sagemaker, inputs } = useSageMaker();

const TROUBLE: [string, Error][] = [
  ['throttling', sagemakerError('ThrottlingException', 'Rate exceeded')],
  ['no rights', sagemakerError('AccessDeniedException', 'not authorized')],
  ['SageMaker itself', sagemakerError('InternalFailure', 'oops', 500)],
];

describe('startPipeline', () => {
  const run = {
    pipeline: 'training',
    token: TOKEN,
    description: 'Tocsin: canary weekly',
    parameters: { DatasetUri: 's3://data/a', Group: 'canary' },
  };

  test('starts it once for a token, with its parameters', async () => {
    mock.on(StartPipelineExecutionCommand).resolves({ PipelineExecutionArn: ARN });
    expect(await startPipeline(sagemaker, run)).toBe(ARN);
    expect(inputs()).toEqual([
      {
        PipelineName: 'training',
        ClientRequestToken: TOKEN,
        PipelineExecutionDescription: 'Tocsin: canary weekly',
        PipelineParameters: [
          { Name: 'DatasetUri', Value: 's3://data/a' },
          { Name: 'Group', Value: 'canary' },
        ],
      },
    ]);
  });

  test.each([
    [
      'no such pipeline',
      sagemakerError('ResourceNotFound', 'Pipeline does not exist'),
      /^there is no pipeline training$/,
    ],
    [
      'no such parameter',
      sagemakerError('ValidationException', 'Unknown parameter Group'),
      /^the pipeline training does not take what it is started with: Unknown parameter Group$/,
    ],
  ])('%s is the caller’s mistake', async (_, error, message) => {
    mock.on(StartPipelineExecutionCommand).rejects(error);
    const thrown = await startPipeline(sagemaker, run).catch((failure) => failure);
    expect(thrown).toBeInstanceOf(GateInputError);
    expect(thrown.message).toMatch(message);
  });

  test.each(TROUBLE)('%s is the world’s', async (_, error) => {
    mock.on(StartPipelineExecutionCommand).rejects(error);
    await expect(startPipeline(sagemaker, run)).rejects.toThrow(GateDependencyError);
  });

  test('an answer without an execution is the world’s', async () => {
    mock.on(StartPipelineExecutionCommand).resolves({});
    await expect(startPipeline(sagemaker, run)).rejects.toThrow(/the answer names no execution/);
  });
});

describe('pipelineState', () => {
  test.each([
    ['Executing', { state: 'running' }],
    ['Stopping', { state: 'running' }],
    ['Stopped', { state: 'stopped' }],
    ['Succeeded', { state: 'succeeded' }],
    ['Failed', { state: 'failed', reason: 'SageMaker gives no reason' }],
  ])('%s', async (status, expected) => {
    mock.on(DescribePipelineExecutionCommand).resolves({ PipelineExecutionStatus: status as 'Failed' });
    expect(await pipelineState(sagemaker, ARN)).toEqual(expected);
    expect(inputs()).toEqual([{ PipelineExecutionArn: ARN }]);
  });

  test('Failed, with its reason', async () => {
    mock
      .on(DescribePipelineExecutionCommand)
      .resolves({ PipelineExecutionStatus: 'Failed', FailureReason: 'Step failure' });
    expect(await pipelineState(sagemaker, ARN)).toEqual({ state: 'failed', reason: 'Step failure' });
  });

  test.each(TROUBLE)('%s is the world’s', async (_, error) => {
    mock.on(DescribePipelineExecutionCommand).rejects(error);
    await expect(pipelineState(sagemaker, ARN)).rejects.toThrow(GateDependencyError);
  });
});

describe('pipelineSteps', () => {
  test('are read page by page: what was registered, and what failed', async () => {
    mock
      .on(ListPipelineExecutionStepsCommand)
      .resolvesOnce({
        PipelineExecutionSteps: [
          { StepName: 'Train', StepStatus: 'Succeeded', Metadata: { TrainingJob: { Arn: 'job' } } },
          { StepName: 'Register', StepStatus: 'Succeeded', Metadata: { RegisterModel: { Arn: 'one' } } },
        ],
        NextToken: 'two',
      })
      .resolves({
        PipelineExecutionSteps: [
          { StepName: 'Again', StepStatus: 'Succeeded', Metadata: { RegisterModel: { Arn: 'two' } } },
          { StepName: 'Check', StepStatus: 'Failed', FailureReason: 'ClientError: no' },
          { StepName: 'Tell', StepStatus: 'Failed' },
        ],
      });
    expect(await pipelineSteps(sagemaker, ARN)).toEqual({
      registered: ['one', 'two'],
      failures: [
        { step: 'Check', reason: 'ClientError: no' },
        { step: 'Tell', reason: 'SageMaker gives no reason' },
      ],
    });
    const query = { PipelineExecutionArn: ARN, SortOrder: 'Ascending', MaxResults: 100 };
    expect(inputs()).toEqual([query, { ...query, NextToken: 'two' }]);
  });

  test('are not read for ever', async () => {
    mock.on(ListPipelineExecutionStepsCommand).resolves({ NextToken: 'again' });
    expect(await pipelineSteps(sagemaker, ARN)).toEqual({ registered: [], failures: [] });
    expect(inputs()).toHaveLength(5);
  });

  test.each(TROUBLE)('%s is the world’s', async (_, error) => {
    mock.on(ListPipelineExecutionStepsCommand).rejects(error);
    await expect(pipelineSteps(sagemaker, ARN)).rejects.toThrow(GateDependencyError);
  });
});

describe('stopPipeline', () => {
  const stops = () => mock.commandCalls(StopPipelineExecutionCommand).map((one) => one.args[0].input);
  const refused = sagemakerError('ValidationException', 'It is Succeeded already.');

  test.each([
    ['one that runs', undefined],
    ['one that has ended', refused],
    ['one that is gone', sagemakerError('ResourceNotFound', 'does not exist')],
  ])('%s', async (_, error) => {
    const stub = mock.on(StopPipelineExecutionCommand);
    if (error === undefined) stub.resolves({});
    else stub.rejects(error);
    mock.on(DescribePipelineExecutionCommand).resolves({ PipelineExecutionStatus: 'Succeeded' });
    await stopPipeline(sagemaker, ARN, TOKEN);
    expect(stops()).toEqual([{ PipelineExecutionArn: ARN, ClientRequestToken: TOKEN }]);
  });

  test('one that runs on all the same is the world’s', async () => {
    mock.on(StopPipelineExecutionCommand).rejects(refused);
    mock.on(DescribePipelineExecutionCommand).resolves({ PipelineExecutionStatus: 'Executing' });
    await expect(stopPipeline(sagemaker, ARN, TOKEN)).rejects.toThrow(GateDependencyError);
  });

  test.each(TROUBLE)('%s is the world’s', async (_, error) => {
    mock.on(StopPipelineExecutionCommand).rejects(error);
    await expect(stopPipeline(sagemaker, ARN, TOKEN)).rejects.toThrow(GateDependencyError);
  });
});
