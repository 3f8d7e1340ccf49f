import { InvokeCommand, LambdaClient } from '@aws-sdk/client-lambda';
import {
  DescribeExecutionCommand,
  SFNClient,
  StartExecutionCommand,
  StopExecutionCommand,
} from '@aws-sdk/client-sfn';
import {
  GetAutomationExecutionCommand,
  SSMClient,
  StartAutomationExecutionCommand,
  StopAutomationExecutionCommand,
} from '@aws-sdk/client-ssm';
import { mockClient } from 'aws-sdk-client-mock';

interface Execution {
  status: 'RUNNING' | 'SUCCEEDED' | 'FAILED' | 'ABORTED';
  input: string;
  output?: unknown;
  error?: Error;
}

/** What a function, a runbook or a state machine does. */
export type Work = (input: never) => unknown;

/** What is around them. */
interface Around {
  /** Milliseconds since 1970. */
  now: () => number;
  /**
   * Makes a call of a client.
   *
   * @param change what it changes, once it has
   */
  called: <T>(client: object, run: () => Promise<T>, change?: string) => Promise<T>;
  /** Told of what a call has begun, before it ends. */
  begun: (client: object, what: string) => void;
}

/** Lambda, Systems Manager Automation and Step Functions in memory: what they run are functions of a test. */
export class FakeProcedures {
  /** By ARN, as they are invoked. */
  readonly lambdas = new Map<string, Work>();
  /** By name. */
  readonly automations = new Map<string, Work>();
  /** By ARN. */
  readonly machines = new Map<string, Work>();
  /** What was started, in order: ARN or name, and input. */
  readonly started: { at: number; what: string; input: unknown }[] = [];
  readonly #executions = new Map<string, Execution>();
  readonly #lambda = mockClient(LambdaClient);
  readonly #ssm = mockClient(SSMClient);
  readonly #sfn = mockClient(SFNClient);
  readonly #around: Around;

  constructor(around: Around) {
    this.#around = around;
    this.#mockLambda();
    this.#mockAutomation();
    this.#mockStateMachines();
  }

  restore(): void {
    for (const mock of [this.#lambda, this.#ssm, this.#sfn]) mock.restore();
  }

  #mockLambda(): void {
    answerBy(this.#lambda, (client, command) => {
      if (!(command instanceof InvokeCommand))
        throw new Error(`the world does not know ${command.constructor.name}`);
      const { FunctionName = '', Qualifier, Payload, InvocationType } = command.input;
      const arn = [FunctionName, ...(Qualifier === undefined ? [] : [Qualifier])].join(':');
      const input = JSON.parse(Buffer.from((Payload ?? '{}') as string).toString());
      return this.#around.called(client, async () => {
        const work = this.lambdas.get(arn);
        if (work === undefined) throw failure('ResourceNotFoundException', `Function not found: ${arn}`, 404);
        this.started.push({ at: this.#around.now(), what: arn, input });
        const ended = outcomeOf(work, input);
        // It has begun, whether or not the process lives to see its end.
        this.#around.begun(client, `Invoke ${arn}`);
        if (InvocationType === 'Event') return { StatusCode: 202 };
        const { output, error } = await ended;
        const payload =
          error === undefined ? (output ?? null) : { errorType: error.name, errorMessage: error.message };
        return {
          StatusCode: 200,
          ...(error !== undefined && { FunctionError: 'Unhandled' }),
          Payload: Buffer.from(JSON.stringify(payload)),
        };
      });
    });
  }

  #mockAutomation(): void {
    answerBy(this.#ssm, (client, command) => {
      if (command instanceof StartAutomationExecutionCommand) {
        const { DocumentName = '', Parameters = {}, ClientToken } = command.input;
        return this.#around.called(
          client,
          async () => {
            const work = this.automations.get(DocumentName);
            if (work === undefined) {
              throw failure('AutomationDefinitionNotFoundException', `no runbook ${DocumentName}`, 400);
            }
            const AutomationExecutionId = ClientToken ?? `automation-${this.#executions.size + 1}`;
            this.#execute(AutomationExecutionId, { what: DocumentName, work, input: Parameters });
            return { AutomationExecutionId };
          },
          `StartAutomationExecution ${DocumentName}`,
        );
      }
      if (command instanceof GetAutomationExecutionCommand) {
        const { AutomationExecutionId = '' } = command.input;
        return this.#around.called(client, async () => {
          const found = this.#executions.get(AutomationExecutionId);
          if (found === undefined)
            throw failure('AutomationExecutionNotFoundException', 'no such execution', 400);
          return {
            AutomationExecution: {
              AutomationExecutionId,
              AutomationExecutionStatus: AUTOMATION_STATUS[found.status],
              ...(found.error !== undefined && { FailureMessage: found.error.message }),
            },
          };
        });
      }
      if (command instanceof StopAutomationExecutionCommand) {
        const { AutomationExecutionId = '' } = command.input;
        return this.#around.called(
          client,
          async () => this.#stop(AutomationExecutionId),
          'StopAutomationExecution',
        );
      }
      throw new Error(`the world does not know ${command.constructor.name}`);
    });
  }

  #mockStateMachines(): void {
    answerBy(this.#sfn, (client, command) => {
      if (command instanceof StartExecutionCommand) {
        const { stateMachineArn = '', name, input = '{}' } = command.input;
        return this.#around.called(
          client,
          async () => {
            const work = this.machines.get(stateMachineArn);
            if (work === undefined) throw failure('StateMachineDoesNotExist', `no ${stateMachineArn}`, 400);
            const of = stateMachineArn.replace(':stateMachine:', ':execution:');
            const executionArn = `${of}:${name ?? this.#executions.size + 1}`;
            const known = this.#executions.get(executionArn);
            if (known !== undefined && (known.status !== 'RUNNING' || known.input !== input)) {
              throw failure('ExecutionAlreadyExists', `Execution Already Exists: '${executionArn}'`, 400);
            }
            this.#execute(executionArn, {
              what: stateMachineArn,
              work,
              input: JSON.parse(input),
              text: input,
            });
            return { executionArn, startDate: new Date() };
          },
          `StartExecution ${stateMachineArn}`,
        );
      }
      if (command instanceof DescribeExecutionCommand) {
        const { executionArn = '' } = command.input;
        return this.#around.called(client, async () => {
          const found = this.#executions.get(executionArn);
          if (found === undefined) throw failure('ExecutionDoesNotExist', `no ${executionArn}`, 400);
          const { status, output, error } = found;
          return {
            executionArn,
            status,
            ...(status === 'SUCCEEDED' && { output: JSON.stringify(output ?? null) }),
            ...(error !== undefined && { error: error.name, cause: error.message }),
          };
        });
      }
      if (command instanceof StopExecutionCommand) {
        const { executionArn = '' } = command.input;
        return this.#around.called(client, async () => this.#stop(executionArn), 'StopExecution');
      }
      throw new Error(`the world does not know ${command.constructor.name}`);
    });
  }

  /** Starts what runs by itself; nothing where it was started before. */
  #execute(
    id: string,
    { what, work, input, text = '' }: { what: string; work: Work; input: unknown; text?: string },
  ): void {
    if (this.#executions.has(id)) return;
    const execution: Execution = { status: 'RUNNING', input: text };
    this.#executions.set(id, execution);
    this.started.push({ at: this.#around.now(), what, input });
    void outcomeOf(work, input).then(({ output, error }) => {
      if (execution.status !== 'RUNNING') return;
      Object.assign(
        execution,
        error === undefined ? { status: 'SUCCEEDED', output } : { status: 'FAILED', error },
      );
    });
  }

  #stop(id: string): object {
    const found = this.#executions.get(id);
    if (found?.status === 'RUNNING') found.status = 'ABORTED';
    return {};
  }
}

const AUTOMATION_STATUS = {
  RUNNING: 'InProgress',
  SUCCEEDED: 'Success',
  FAILED: 'Failed',
  ABORTED: 'Cancelled',
} as const satisfies Record<Execution['status'], string>;

/** Has a function answer every client of a class. */
export function answerBy(
  mock: { send: unknown },
  answer: (client: object, command: { input: object }) => Promise<unknown>,
): void {
  const stub = mock.send as { callsFake(fake: (this: object, command: { input: object }) => unknown): void };
  stub.callsFake(function (command) {
    return answer(this, command);
  });
}

/** An error as the SDK throws it. */
export function failure(name: string, message: string, status: number): Error {
  const fault = status < 500 ? 'client' : 'server';
  return Object.assign(new Error(message), {
    name,
    $fault: fault,
    $metadata: { httpStatusCode: status },
  });
}

async function outcomeOf(work: Work, input: unknown): Promise<{ output?: unknown; error?: Error }> {
  try {
    return { output: await work(input as never) };
  } catch (error) {
    return { error: error as Error };
  }
}
