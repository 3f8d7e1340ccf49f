import {
  type CheckpointDurableExecutionRequest,
  type CheckpointDurableExecutionResponse,
  type DurableExecutionClient,
  type DurableExecutionInvocationInput,
  DurableExecutionInvocationInputWithClient,
  type DurableExecutionInvocationOutput,
  type DurableLambdaHandler,
  type OperationUpdate,
  type WireOperation,
} from '@aws/durable-execution-sdk-js';

/** How a process dies at a checkpoint: before it reached the service, or before the answer came back. */
export type Death = 'before it is kept' | 'after it is kept';

/**
 * How long the SDK waits until it ends an invocation in which nothing goes on: in real time, which is most of what these
 * tests would take.
 */
const COOLDOWN_MS = 20;

/** An end of an execution. */
export type Ended = { result: unknown } | { error: { name: string; message: string } };

/**
 * Lambda's durable executions in memory, as far as steps, waits, conditions and child contexts go. Unlike the SDK's own
 * test runner it can let the process die at any checkpoint, and it moves the clock itself: the test fakes `Date`.
 */
export class DurableService implements DurableExecutionClient {
  readonly #handler: DurableLambdaHandler;
  readonly #sleep: (ms: number) => void;
  #operations = new Map<string, WireOperation>();
  #token = 0;

  /** Checkpoints so far; the polls of the SDK not counted. */
  checkpoints = 0;
  /** Invocations so far, and how many of them died. */
  invocations = 0;
  deaths = 0;
  /** Lets the process die at a checkpoint: its number counts from 0. */
  dies: (checkpoint: number, updates: readonly OperationUpdate[]) => Death | undefined = () => undefined;

  /** @param sleep moves the clock on */
  constructor(handler: DurableLambdaHandler, sleep: (ms: number) => void) {
    this.#handler = handler;
    this.#sleep = sleep;
  }

  /** Names of the operations that were kept, in order. */
  get names(): string[] {
    return [...this.#operations.values()].flatMap(({ Name }) => Name ?? []);
  }

  /** Starts an execution and carries it to its end, through waits and crashes. */
  async run(payload: unknown, name = 'execution'): Promise<Ended> {
    this.#operations = new Map([
      [
        'execution',
        {
          Id: 'execution',
          Type: 'EXECUTION',
          Status: 'STARTED',
          StartTimestamp: new Date(),
          ExecutionDetails: { InputPayload: JSON.stringify(payload) },
        },
      ],
    ]);
    const arn = `arn:aws:lambda:us-east-1:111122223333:function:gate:1/durable-execution/${name}/1`;
    for (;;) {
      if (++this.invocations > 500) throw new Error('the execution does not end');
      const output = await this.#invoke(arn);
      if (output === undefined) {
        this.deaths++;
        this.#sleep(1000);
      } else if (output.Status === 'SUCCEEDED') {
        return { result: output.Result === undefined ? undefined : JSON.parse(output.Result) };
      } else if (output.Status === 'FAILED') {
        return { error: { name: output.Error.ErrorType ?? '', message: output.Error.ErrorMessage ?? '' } };
      } else {
        this.#sleepToNext();
      }
    }
  }

  /** Undefined: the process died. */
  async #invoke(arn: string): Promise<DurableExecutionInvocationOutput | undefined> {
    const input: DurableExecutionInvocationInput = {
      DurableExecutionArn: arn,
      CheckpointToken: `token-${++this.#token}`,
      InitialExecutionState: { Operations: [...this.#operations.values()] },
    };
    const context = {
      awsRequestId: `request-${this.invocations}`,
      getRemainingTimeInMillis: () => 900_000,
    } as Parameters<DurableLambdaHandler>[1];
    const patient = globalThis.setTimeout;
    const hasty = (work: (...args: unknown[]) => void, ms?: number, ...args: unknown[]) =>
      patient(work, ms === COOLDOWN_MS ? 1 : ms, ...args);
    globalThis.setTimeout = Object.assign(hasty, patient);
    try {
      return await this.#handler(new DurableExecutionInvocationInputWithClient(input, this), context);
    } catch {
      return undefined;
    } finally {
      globalThis.setTimeout = patient;
    }
  }

  async getExecutionState(): Promise<never> {
    throw new Error('the state always fits into the event');
  }

  async checkpoint({
    CheckpointToken,
    Updates = [],
  }: CheckpointDurableExecutionRequest): Promise<CheckpointDurableExecutionResponse> {
    // A process that was thought to be dead has no say any more.
    if (CheckpointToken !== `token-${this.#token}`) throw new Error('Invalid Checkpoint Token');
    const death = Updates.length === 0 ? undefined : this.dies(this.checkpoints, Updates);
    if (Updates.length > 0) this.checkpoints++;
    if (death === 'before it is kept') throw new Error('the process died');
    const changed = new Set(Updates.map((update) => this.#apply(update)));
    for (const operation of this.#elapse()) changed.add(operation);
    if (death === 'after it is kept') throw new Error('the process died');
    return { CheckpointToken, NewExecutionState: { Operations: [...changed] } };
  }

  #apply(update: OperationUpdate): WireOperation {
    const id = update.Id ?? '';
    const before = this.#operations.get(id);
    const { Action, Type, Payload, Error: error } = update;
    const operation: WireOperation = {
      ...before,
      Id: id,
      ParentId: update.ParentId,
      Name: update.Name,
      Type,
      SubType: update.SubType,
      StartTimestamp: before?.StartTimestamp ?? new Date(),
      Status: 'STARTED',
    };
    if (Action === 'SUCCEED') operation.Status = 'SUCCEEDED';
    if (Action === 'FAIL') operation.Status = 'FAILED';
    if (Type === 'STEP') {
      const attempt = before?.StepDetails?.Attempt ?? 0;
      operation.StepDetails = { ...before?.StepDetails, Attempt: attempt };
      if (Action !== 'START') {
        operation.StepDetails.Result = Payload;
        operation.StepDetails.Error = error;
      }
      if (Action === 'RETRY') {
        operation.Status = 'PENDING';
        operation.StepDetails.Attempt = attempt + 1;
        operation.StepDetails.NextAttemptTimestamp = after(update.StepOptions?.NextAttemptDelaySeconds);
      }
    } else if (Type === 'WAIT') {
      operation.WaitDetails = { ScheduledEndTimestamp: after(update.WaitOptions?.WaitSeconds) };
    } else if (Type === 'CONTEXT' && Action !== 'START') {
      const replay = update.ContextOptions?.ReplayChildren;
      operation.ContextDetails = { Result: Payload, Error: error, ReplayChildren: replay };
      if (replay !== true) this.#forgetBelow(id);
    }
    this.#operations.set(id, operation);
    return operation;
  }

  #forgetBelow(id: string): void {
    for (const { Id, ParentId } of [...this.#operations.values()]) {
      if (ParentId !== id || Id === undefined) continue;
      this.#forgetBelow(Id);
      this.#operations.delete(Id);
    }
  }

  /** Ends the waits whose time has come. */
  #elapse(): WireOperation[] {
    const elapsed = [...this.#operations.values()].filter(
      (operation) => (endOf(operation) ?? Infinity) <= Date.now(),
    );
    for (const operation of elapsed) operation.Status = operation.Type === 'WAIT' ? 'SUCCEEDED' : 'READY';
    return elapsed;
  }

  #sleepToNext(): void {
    const ends = [...this.#operations.values()].flatMap((operation) => endOf(operation) ?? []);
    if (ends.length === 0) throw new Error('the execution sleeps for ever');
    this.#sleep(Math.max(0, Math.min(...ends) - Date.now()));
    this.#elapse();
  }
}

/** When an operation that waits goes on. */
function endOf({ Status, WaitDetails, StepDetails, Type }: WireOperation): number | undefined {
  if (Type === 'WAIT' && Status === 'STARTED') return Number(WaitDetails?.ScheduledEndTimestamp);
  if (Type === 'STEP' && Status === 'PENDING') return Number(StepDetails?.NextAttemptTimestamp);
  return undefined;
}

function after(seconds = 0): Date {
  return new Date(Date.now() + seconds * 1000);
}
