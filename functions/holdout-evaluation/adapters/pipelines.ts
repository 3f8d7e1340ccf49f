import {
  DescribePipelineExecutionCommand,
  ListPipelineExecutionStepsCommand,
  type SageMakerClient,
  StartPipelineExecutionCommand,
  StopPipelineExecutionCommand,
} from '@aws-sdk/client-sagemaker';
import { call, dependencyError } from '../../shared/aws.ts';
import { GateInputError } from '../../shared/errors.ts';
import { isGone } from '../../shared/sagemaker.ts';

/** One run of a pipeline. */
export interface PipelineRun {
  pipeline: string;
  /** Says which run it is: the same token starts it once. 32 to 128 letters, digits and hyphens. */
  token: string;
  description: string;
  parameters: Readonly<Record<string, string>>;
}

/**
 * Starts a pipeline.
 *
 * @returns ARN of the execution; the same for the same token
 * @throws GateInputError where there is no such pipeline, or it does not take these parameters
 * @throws GateDependencyError where SageMaker does not answer, or refuses
 */
export async function startPipeline(sagemaker: SageMakerClient, run: PipelineRun): Promise<string> {
  const { pipeline, token, description, parameters } = run;
  const what = `StartPipelineExecution ${pipeline}`;
  try {
    const { PipelineExecutionArn } = await sagemaker.send(
      new StartPipelineExecutionCommand({
        PipelineName: pipeline,
        ClientRequestToken: token,
        PipelineExecutionDescription: description,
        PipelineParameters: Object.entries(parameters).map(([Name, Value]) => ({ Name, Value })),
      }),
    );
    if (PipelineExecutionArn === undefined) throw new Error('the answer names no execution');
    return PipelineExecutionArn;
  } catch (error) {
    const { name, message } = error as Error;
    if (isGone(error)) throw new GateInputError(`there is no pipeline ${pipeline}`, { cause: error });
    if (name === 'ValidationException') {
      throw new GateInputError(`the pipeline ${pipeline} does not take what it is started with: ${message}`, {
        cause: error,
        help: `It is given the parameters ${Object.keys(parameters).join(', ')}.`,
      });
    }
    throw dependencyError(what, error);
  }
}

/** Where an execution is. */
export type PipelineState =
  | { state: 'running' }
  | { state: 'succeeded' }
  | { state: 'failed'; reason: string }
  | { state: 'stopped' };

/**
 * Looks an execution up.
 *
 * @throws GateDependencyError where SageMaker does not answer, refuses, or knows no such execution
 */
export async function pipelineState(sagemaker: SageMakerClient, arn: string): Promise<PipelineState> {
  const { PipelineExecutionStatus, FailureReason } = await call(
    `DescribePipelineExecution ${arn}`,
    sagemaker.send(new DescribePipelineExecutionCommand({ PipelineExecutionArn: arn })),
  );
  switch (PipelineExecutionStatus) {
    case 'Succeeded':
      return { state: 'succeeded' };
    case 'Failed':
      return { state: 'failed', reason: FailureReason ?? 'SageMaker gives no reason' };
    case 'Stopped':
      return { state: 'stopped' };
    default:
      return { state: 'running' };
  }
}

/** What the steps of an execution did. */
export interface PipelineSteps {
  /** ARNs of the packages that it registered, in the order of their steps. */
  registered: string[];
  /** Of the steps that failed. */
  failures: { step: string; reason: string }[];
}

/** Pages of steps, 100 each; a pipeline has at most 50 steps. */
const MAX_PAGES = 5;

/**
 * Reads the steps of an execution.
 *
 * @throws GateDependencyError where SageMaker does not answer, or refuses
 */
export async function pipelineSteps(sagemaker: SageMakerClient, arn: string): Promise<PipelineSteps> {
  const steps: PipelineSteps = { registered: [], failures: [] };
  let token: string | undefined;
  for (let page = 0; page < MAX_PAGES && (page === 0 || token !== undefined); page++) {
    const answer = await call(
      `ListPipelineExecutionSteps ${arn}`,
      sagemaker.send(
        new ListPipelineExecutionStepsCommand({
          PipelineExecutionArn: arn,
          SortOrder: 'Ascending',
          MaxResults: 100,
          ...(token !== undefined && { NextToken: token }),
        }),
      ),
    );
    for (const { StepName = '', StepStatus, FailureReason, Metadata } of answer.PipelineExecutionSteps ??
      []) {
      const made = Metadata?.RegisterModel?.Arn;
      if (made !== undefined) steps.registered.push(made);
      if (StepStatus === 'Failed') {
        steps.failures.push({ step: StepName, reason: FailureReason ?? 'SageMaker gives no reason' });
      }
    }
    token = answer.NextToken;
  }
  return steps;
}

/**
 * Asks an execution to stop; one that has ended, or is gone, is fine. It takes SageMaker a while.
 *
 * @param token the same token asks once
 * @throws GateDependencyError where SageMaker does not answer, or refuses
 */
export async function stopPipeline(sagemaker: SageMakerClient, arn: string, token: string): Promise<void> {
  try {
    await sagemaker.send(
      new StopPipelineExecutionCommand({ PipelineExecutionArn: arn, ClientRequestToken: token }),
    );
  } catch (error) {
    if (isGone(error)) return;
    // What SageMaker says of one that has ended is its business; whether it has ended can be asked.
    const ended =
      (error as Error | null)?.name === 'ValidationException' &&
      (await pipelineState(sagemaker, arn)).state !== 'running';
    if (!ended) throw dependencyError(`StopPipelineExecution ${arn}`, error);
  }
}
