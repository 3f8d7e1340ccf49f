import { S3Client } from '@aws-sdk/client-s3';
import { SageMakerClient } from '@aws-sdk/client-sagemaker';
import { CLIENT_OPTIONS } from '../shared/aws.ts';
import type { InvocationContext } from '../shared/lambda.ts';
import { createRunHandler } from '../shared/run-handler.ts';
import { parseValue } from '../shared/schema.ts';
import { WorkBucket } from '../shared/work.ts';
import { type RollbackDependencies, runRollback } from './rollback-workflow.ts';
import { type RollbackEnvironment, rollbackEnvironmentSchema, rollbackRequestSchema } from './schema.ts';

/** What the function works with; tests give it other clients and another clock. */
export type RollbackHandlerDependencies = Omit<RollbackDependencies, 'work' | 'warn'> & {
  env: RollbackEnvironment;
  s3: S3Client;
};

/**
 * The rollback as a function of its dependencies: {@link runRollback} for the endpoint that a direct invocation names.
 *
 * It throws GateDependencyError (and whatever is a bug) where the endpoint could not be rolled back, and GateInputError of
 * a malformed invocation, or of what does not exist.
 */
export function createRollbackHandler({
  env,
  s3,
  ...fixed
}: RollbackHandlerDependencies): (event: unknown, context: InvocationContext) => Promise<unknown> {
  const work = new WorkBucket(s3, env.WORK_BUCKET);
  return createRunHandler({
    gate: 'rollback-drill',
    kind: 'rollback',
    carrier: env.WORKFLOW,
    work,
    now: fixed.now,
    // All that is to be known stands in the request: in an incident nothing else should be able to be wrong.
    configure: async () => null,
    parseTrigger: (event) => parseValue(rollbackRequestSchema, event, 'invocation'),
    requestsOf: (request) => [request],
    nameOf: ({ endpoint }) => endpoint,
    run: (workflow, request, { warn }) => runRollback(workflow, request, { ...fixed, work, warn }),
  });
}

let handle: ReturnType<typeof createRollbackHandler> | undefined;

/** The Lambda function: {@link createRollbackHandler} with what its environment names, made once a cold start. */
export async function handler(event: unknown, context: InvocationContext): Promise<unknown> {
  handle ??= createRollbackHandler({
    env: parseValue(rollbackEnvironmentSchema, process.env, 'environment') satisfies RollbackEnvironment,
    s3: new S3Client(CLIENT_OPTIONS),
    sagemaker: new SageMakerClient(CLIENT_OPTIONS),
    now: Date.now,
  });
  return handle(event, context);
}
