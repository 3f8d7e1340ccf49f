import { tmpdir } from 'node:os';
import { EventBridgeClient } from '@aws-sdk/client-eventbridge';
import { S3Client } from '@aws-sdk/client-s3';
import { SageMakerClient } from '@aws-sdk/client-sagemaker';
import { SNSClient } from '@aws-sdk/client-sns';
import { CLIENT_OPTIONS } from '../shared/aws.ts';
import { readConfiguration } from '../shared/configuration.ts';
import { EvidenceStore } from '../shared/evidence.ts';
import type { InvocationContext } from '../shared/lambda.ts';
import { createRunHandler } from '../shared/run-handler.ts';
import { parseValue, textBundleSchema } from '../shared/schema.ts';
import { WorkBucket } from '../shared/work.ts';
import { corruptDataset } from './adapters/corrupt.ts';
import { prepareHoldout } from './adapters/holdout.ts';
import { canariesOf, parseTrigger } from './canary-request.ts';
import { type CanaryDependencies, runCanary } from './canary-workflow.ts';
import { measureModel } from './gate.ts';
import { type Environment, environmentSchema, parseEvaluations } from './schema.ts';

/** What the function works with; tests give it other clients and another engine. */
export type CanaryHandlerDependencies = Pick<
  CanaryDependencies,
  'env' | 's3' | 'sns' | 'events' | 'sagemaker' | 'prepare' | 'measure' | 'corrupt' | 'tmp'
>;

/**
 * The pipeline canary as a function of its dependencies: {@link runCanary} for the canaries that an event, a schedule or a
 * direct invocation asks for, with `WORKFLOW` as the port. Canaries of one deployment run side by side; the answer is
 * then a list.
 *
 * It throws GateDependencyError (and whatever is a bug), which goes to the dead-letter queue, at the end of all attempts;
 * and GateInputError of a malformed event, or of a canary that does not exist.
 */
export function createCanaryHandler(
  fixed: CanaryHandlerDependencies,
): (event: unknown, context: InvocationContext) => Promise<unknown> {
  const { env, s3 } = fixed;
  const store = new EvidenceStore(s3, env.EVIDENCE_BUCKET);
  const work = new WorkBucket(s3, env.WORK_BUCKET);
  return createRunHandler({
    gate: 'holdout-evaluation',
    kind: 'canary',
    carrier: env.WORKFLOW,
    work,
    now: Date.now,
    configure: () => readConfiguration(s3, env, textBundleSchema).then(parseEvaluations),
    parseTrigger,
    requestsOf: canariesOf,
    nameOf: ({ canary }) => canary.name,
    run: (workflow, request, reporting, invocation) =>
      runCanary(workflow, request, {
        ...fixed,
        ...reporting,
        store,
        work,
        timeLeftMs: () => invocation.getRemainingTimeInMillis(),
      }),
  });
}

let handle: ReturnType<typeof createCanaryHandler> | undefined;

/** The Lambda function: {@link createCanaryHandler} with what its environment names, made once a cold start. */
export async function handler(event: unknown, context: InvocationContext): Promise<unknown> {
  handle ??= createCanaryHandler({
    env: parseValue(environmentSchema, process.env, 'environment') satisfies Environment,
    s3: new S3Client(CLIENT_OPTIONS),
    sns: new SNSClient(CLIENT_OPTIONS),
    events: new EventBridgeClient(CLIENT_OPTIONS),
    sagemaker: new SageMakerClient(CLIENT_OPTIONS),
    prepare: prepareHoldout,
    measure: measureModel,
    corrupt: corruptDataset,
    tmp: tmpdir(),
  });
  return handle(event, context);
}
