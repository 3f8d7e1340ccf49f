import {
  type DurableContext,
  type DurableLambdaHandler,
  StepSemantics,
  withDurableExecution,
} from '@aws/durable-execution-sdk-js';
import { GateDependencyError, messageOf } from './errors.ts';
import { sha256 } from './identity.ts';
import type { InvocationContext } from './lambda.ts';
import {
  ATTEMPTS,
  allOf,
  isFinal,
  type KeptError,
  keepable,
  keepError,
  type Outcome,
  type Patience,
  pauseMs,
  retryPauseMs,
  unwrap,
  type Workflow,
} from './workflow.ts';

/** How far {@link DurableWorkflow.waitUntil} is: kept between two questions. */
interface Asking {
  /** Milliseconds since 1970; 0 before the first question. */
  startedAt: number;
  asked: number;
  /** Errors since the last answer. */
  failures: number;
  outcome?: Outcome<unknown>;
}

/**
 * A workflow that AWS Lambda durable functions carry: it survives crashes, and sleeps while it waits.
 *
 * Every outcome is kept as plain JSON, errors too: what the SDK makes of an error has neither its class nor its help.
 */
class DurableWorkflow implements Workflow {
  readonly id: string;
  readonly #context: DurableContext;

  constructor(context: DurableContext, id: string) {
    this.#context = context;
    this.id = id;
  }

  async step<T>(name: string, work: () => Promise<T>): Promise<T> {
    const outcome = await this.#guard(name, () =>
      this.#context.step(name, ({ attempt }) => outcomeOf(name, work, attempt), {
        // A step that takes its machine down (out of memory, out of time) counts as tried. Otherwise it would be begun
        // again until the whole execution expires.
        semantics: StepSemantics.AtMostOncePerRetry,
        retryStrategy: (_error, attempt) =>
          attempt < ATTEMPTS
            ? { shouldRetry: true, delay: seconds(retryPauseMs(attempt, Math.random())) }
            : { shouldRetry: false },
      }),
    );
    return unwrap(outcome);
  }

  async wait(name: string, ms: number): Promise<void> {
    await this.#guard(name, () => this.#context.wait(name, seconds(ms)));
  }

  async waitUntil<T>(
    name: string,
    ask: () => Promise<T | undefined>,
    patience: Patience,
  ): Promise<T | undefined> {
    const left = ({ startedAt }: Asking) => startedAt + patience.timeoutMs - Date.now();
    const { outcome } = await this.#guard(name, () =>
      this.#context.waitForCondition<Asking>(name, (state) => askOnce(name, ask, state), {
        initialState: { startedAt: 0, asked: 0, failures: 0 },
        waitStrategy: (state) => {
          if (state.outcome !== undefined || left(state) <= 0) return { shouldContinue: false };
          const pause =
            state.failures > 0
              ? retryPauseMs(state.failures, Math.random())
              : Math.min(pauseMs(patience, state.asked), left(state));
          return { shouldContinue: true, delay: seconds(pause) };
        },
      }),
    );
    return outcome === undefined ? undefined : unwrap(outcome as Outcome<T>);
  }

  async map<T, R>(
    name: string,
    items: readonly T[],
    part: (workflow: Workflow, item: T, index: number) => Promise<R>,
  ): Promise<R[]> {
    const outcomes = await allOf(
      items.map((item, index) => {
        const which = `${name} (${index + 1} of ${items.length})`;
        return this.#guard(which, () =>
          this.#context.runInChildContext(which, (context) =>
            // Its steps were tried again; the part itself is not.
            outcomeOf(which, () => part(new DurableWorkflow(context, this.id), item, index), ATTEMPTS),
          ),
        );
      }),
    );
    return outcomes.map(unwrap);
  }

  /** What the SDK throws by itself is the world's: an invocation that died too often, a history that is full. */
  async #guard<T>(name: string, operation: () => PromiseLike<T>): Promise<T> {
    try {
      return await operation();
    } catch (error) {
      throw new GateDependencyError(
        `"${name}" did not end, ${ATTEMPTS} attempts at most: ${messageOf(error)}`,
        {
          cause: error,
        },
      );
    }
  }
}

/** Runs `work`. Throws only what is worth another attempt. */
async function outcomeOf<T>(name: string, work: () => Promise<T>, attempt: number): Promise<Outcome<T>> {
  try {
    return { ok: keepable(name, await work()) };
  } catch (error) {
    if (isFinal(error, attempt)) return { error: keepError(error) };
    throw error;
  }
}

async function askOnce<T>(name: string, ask: () => Promise<T | undefined>, state: Asking): Promise<Asking> {
  const startedAt = state.startedAt === 0 ? Date.now() : state.startedAt;
  try {
    const answer = keepable(name, await ask());
    const next = { startedAt, asked: state.asked + 1, failures: 0 };
    return answer === undefined ? next : { ...next, outcome: { ok: answer } };
  } catch (error) {
    const failures = state.failures + 1;
    const outcome: { outcome?: { error: KeptError } } = isFinal(error, failures)
      ? { outcome: { error: keepError(error) } }
      : {};
    return { startedAt, asked: state.asked, failures, ...outcome };
  }
}

/** Durable timers count whole seconds, from one on. */
function seconds(ms: number): { seconds: number } {
  return { seconds: Math.max(1, Math.ceil(ms / 1000)) };
}

/**
 * A Lambda handler whose invocations are carried by a durable execution.
 *
 * @param run from the event to the answer; deterministic outside of the steps. `invocation` is the current one: its
 * time is that of one Lambda function, not of the execution
 */
export function durableHandler<Answer>(
  run: (event: unknown, workflow: Workflow, invocation: InvocationContext) => Promise<Answer>,
): DurableLambdaHandler {
  return withDurableExecution((event: unknown, context: DurableContext) => {
    const id = sha256(context.executionContext.durableExecutionArn).slice(0, 32);
    return run(event, new DurableWorkflow(context, id), context.lambdaContext);
  });
}
