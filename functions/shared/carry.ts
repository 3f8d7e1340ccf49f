import { durableHandler } from './durable.ts';
import { GateInputError } from './errors.ts';
import { InProcessWorkflow } from './in-process.ts';
import type { InvocationContext } from './lambda.ts';
import type { Workflow } from './workflow.ts';

/** Time of an invocation that an in-process workflow keeps for telling people and for cleaning up. */
const CLEAN_UP_MS = 60_000;

/**
 * A Lambda handler whose workflow is carried by durable functions, or by the one invocation.
 *
 * @param run from the event to the answer; deterministic outside of the steps
 * @param prepare reads, once, what `run` needs from outside of its steps
 */
export function carriedBy<Answer>(
  carrier: 'durable' | 'in-process',
  run: (event: unknown, workflow: Workflow, invocation: InvocationContext) => Promise<Answer>,
  prepare: () => Promise<unknown>,
): (event: unknown, context: InvocationContext) => Promise<unknown> {
  if (carrier === 'durable') {
    const durable = durableHandler(run) as (event: unknown, context: InvocationContext) => Promise<unknown>;
    return async (event, context) => {
      // Where S3 fails in the middle of an execution, this invocation dies, and another one goes on. Thrown from within,
      // the error would be the end of the execution.
      await prepare().catch((error) => {
        if (!(error instanceof GateInputError)) throw error;
      });
      return durable(event, context);
    };
  }
  return (event, context) => {
    const deadline = Date.now() + context.getRemainingTimeInMillis() - CLEAN_UP_MS;
    // Lambda's retries of one event have one request id, and so the same claim and the same names.
    return run(event, new InProcessWorkflow({ id: context.awsRequestId, deadline }), context);
  };
}
