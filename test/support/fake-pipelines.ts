import {
  DescribePipelineExecutionCommand,
  ListPipelineExecutionStepsCommand,
  StartPipelineExecutionCommand,
  type StartPipelineExecutionCommandInput,
  StopPipelineExecutionCommand,
  type StopPipelineExecutionCommandInput,
} from '@aws-sdk/client-sagemaker';
import type { FakeAws } from './fake-aws.ts';
import { type FakePackage, type FakeSageMaker, sagemakerError } from './fake-sagemaker.ts';

/** What a pipeline does with a dataset. */
export interface Behaviour {
  /** How long an execution takes. */
  ms: number;
  /** Left out: it succeeds. */
  end?: 'stopped' | { failed: string; step: string };
  /** What it registers at its end; `group` is that of its parameter unless it is given. */
  registers?: (Partial<FakePackage> & { image: string })[];
}

/** One execution. */
export interface FakeExecution {
  arn: string;
  input: StartPipelineExecutionCommandInput;
  startedAt: number;
  stopped?: StopPipelineExecutionCommandInput;
  registered?: string[];
}

/**
 * The pipelines of SageMaker in memory, over the mocks of {@link FakeAws}. Executions run as the clock does: the test
 * fakes `Date`.
 */
export class FakePipelines {
  readonly #aws: FakeAws;
  readonly #sagemaker: FakeSageMaker;
  /** By client request token. */
  readonly executions = new Map<string, FakeExecution>();
  /** By the value of the parameter DatasetUri. */
  behaves: (dataset: string) => Behaviour = () => ({ ms: 60_000 });
  /** Fails a call: asked before each, with its name. */
  fails: (operation: string, input: object) => Error | undefined = () => undefined;

  constructor(aws: FakeAws, models: FakeSageMaker) {
    this.#aws = aws;
    this.#sagemaker = models;
    const { sagemaker } = aws;
    sagemaker.on(StartPipelineExecutionCommand).callsFake((input) => {
      this.#enter('StartPipelineExecution', input);
      const found = this.executions.get(input.ClientRequestToken);
      const number = this.executions.size + 1;
      const arn = `arn:aws:sagemaker:us-east-1:111122223333:pipeline/training/execution/${number}`;
      const execution = found ?? { arn, input, startedAt: Date.now() };
      this.executions.set(input.ClientRequestToken, execution);
      aws.changed('StartPipelineExecution');
      return { PipelineExecutionArn: execution.arn };
    });
    sagemaker.on(DescribePipelineExecutionCommand).callsFake((input) => {
      this.#enter('DescribePipelineExecution', input);
      const { status, behaviour } = this.#stateOf(this.#find(input.PipelineExecutionArn));
      const failed = typeof behaviour.end === 'object';
      return {
        PipelineExecutionStatus: status,
        ...(status === 'Failed' &&
          failed && { FailureReason: 'Step failure: One or multiple steps failed.' }),
      };
    });
    sagemaker.on(ListPipelineExecutionStepsCommand).callsFake((input) => {
      this.#enter('ListPipelineExecutionSteps', input);
      const execution = this.#find(input.PipelineExecutionArn);
      const { status, behaviour } = this.#stateOf(execution);
      const failure = status === 'Failed' && typeof behaviour.end === 'object' ? behaviour.end : undefined;
      return {
        PipelineExecutionSteps: [
          { StepName: 'Train', StepStatus: 'Succeeded', Metadata: { TrainingJob: { Arn: 'arn:job' } } },
          ...(execution.registered ?? []).map((Arn) => ({
            StepName: 'Register',
            StepStatus: 'Succeeded',
            Metadata: { RegisterModel: { Arn } },
          })),
          ...(failure === undefined
            ? []
            : [{ StepName: failure.step, StepStatus: 'Failed', FailureReason: failure.failed }]),
        ],
      };
    });
    sagemaker.on(StopPipelineExecutionCommand).callsFake((input) => {
      this.#enter('StopPipelineExecution', input);
      const execution = this.#find(input.PipelineExecutionArn);
      const { status } = this.#stateOf(execution);
      if (status !== 'Executing') {
        throw sagemakerError('ValidationException', `Pipeline execution is in status ${status}.`);
      }
      execution.stopped = input;
      aws.changed('StopPipelineExecution');
      return { PipelineExecutionArn: execution.arn };
    });
  }

  /** ARNs of the executions that have not ended. */
  get running(): string[] {
    return [...this.executions.values()].flatMap((execution) =>
      this.#stateOf(execution).status === 'Executing' ? execution.arn : [],
    );
  }

  #enter(operation: string, input: object): void {
    this.#aws.alive();
    const error = this.fails(operation, input);
    if (error !== undefined) throw error;
  }

  #find(arn: string): FakeExecution {
    const found = [...this.executions.values()].find((execution) => execution.arn === arn);
    if (found === undefined)
      throw sagemakerError('ResourceNotFound', `Pipeline execution ${arn} does not exist.`);
    return found;
  }

  #stateOf(execution: FakeExecution): { status: string; behaviour: Behaviour } {
    const parameter = (name: string) =>
      execution.input.PipelineParameters?.find(({ Name }) => Name === name)?.Value ?? '';
    const behaviour = this.behaves(parameter('DatasetUri'));
    if (execution.stopped !== undefined) return { status: 'Stopped', behaviour };
    if (Date.now() < execution.startedAt + behaviour.ms) return { status: 'Executing', behaviour };
    if (behaviour.end === 'stopped') return { status: 'Stopped', behaviour };
    execution.registered ??= (behaviour.registers ?? []).map((made) =>
      this.#sagemaker.register({ group: parameter('ModelPackageGroupName'), ...made }),
    );
    return { status: behaviour.end === undefined ? 'Succeeded' : 'Failed', behaviour };
  }
}
