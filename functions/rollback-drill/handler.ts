import { setTimeout as sleep } from 'node:timers/promises';
import { CloudWatchClient } from '@aws-sdk/client-cloudwatch';
import { EventBridgeClient } from '@aws-sdk/client-eventbridge';
import { LambdaClient } from '@aws-sdk/client-lambda';
import { S3Client } from '@aws-sdk/client-s3';
import { SageMakerClient } from '@aws-sdk/client-sagemaker';
import { SageMakerRuntimeClient } from '@aws-sdk/client-sagemaker-runtime';
import { SFNClient } from '@aws-sdk/client-sfn';
import { SNSClient } from '@aws-sdk/client-sns';
import { SSMClient } from '@aws-sdk/client-ssm';
import { CLIENT_OPTIONS } from '../shared/aws.ts';
import { readConfiguration } from '../shared/configuration.ts';
import { EvidenceStore } from '../shared/evidence.ts';
import type { InvocationContext } from '../shared/lambda.ts';
import { createRunHandler } from '../shared/run-handler.ts';
import { parseValue, textBundleSchema } from '../shared/schema.ts';
import { WorkBucket } from '../shared/work.ts';
import { PROCEDURE_OPTIONS } from './adapters/procedure-lambda.ts';
import { TRAFFIC_OPTIONS } from './adapters/requests.ts';
import { runRollbackDrill } from './drill-workflow.ts';
import { parseTrigger, requestsOf } from './request.ts';
import type { RollbackDrillDependencies } from './run-workflow.ts';
import { type Environment, environmentSchema, parseRollbackDrills } from './schema.ts';

/** What the function works with; tests give it other clients and another clock. */
export type DrillHandlerDependencies = Omit<
  RollbackDrillDependencies,
  'env' | 'store' | 'work' | 'record' | 'warn'
> & { env: Environment };

/**
 * The rollback drill as a function of its dependencies: {@link runRollbackDrill} for what an event, a schedule or a direct
 * invocation asks for, with `WORKFLOW` as the port. Drills of one event run side by side; the answer is then a list.
 *
 * It throws GateDependencyError (and whatever is a bug), which goes to the dead-letter queue, at the end of all attempts;
 * and GateInputError of a malformed event, or of a drill that does not exist.
 */
export function createDrillHandler(
  fixed: DrillHandlerDependencies,
): (event: unknown, context: InvocationContext) => Promise<unknown> {
  const { env, s3, now } = fixed;
  const store = new EvidenceStore(s3, env.EVIDENCE_BUCKET);
  const work = new WorkBucket(s3, env.WORK_BUCKET);
  return createRunHandler({
    gate: 'rollback-drill',
    kind: 'drill',
    carrier: env.WORKFLOW,
    work,
    now,
    configure: () => readConfiguration(s3, env, textBundleSchema).then(parseRollbackDrills),
    parseTrigger,
    requestsOf,
    nameOf: (request) => ('watch' in request ? 'watch' : request.drill.name),
    run: (workflow, request, reporting) =>
      runRollbackDrill(workflow, request, { ...fixed, ...reporting, store, work }),
  });
}

let handle: ReturnType<typeof createDrillHandler> | undefined;

/** The Lambda function: {@link createDrillHandler} with what its environment names, made once a cold start. */
export async function handler(event: unknown, context: InvocationContext): Promise<unknown> {
  handle ??= createDrillHandler({
    env: parseValue(environmentSchema, process.env, 'environment') satisfies Environment,
    s3: new S3Client(CLIENT_OPTIONS),
    sns: new SNSClient(CLIENT_OPTIONS),
    events: new EventBridgeClient(CLIENT_OPTIONS),
    sagemaker: new SageMakerClient(CLIENT_OPTIONS),
    runtime: new SageMakerRuntimeClient(TRAFFIC_OPTIONS),
    cloudwatch: new CloudWatchClient(CLIENT_OPTIONS),
    lambda: new LambdaClient(PROCEDURE_OPTIONS),
    ssm: new SSMClient(CLIENT_OPTIONS),
    sfn: new SFNClient(CLIENT_OPTIONS),
    now: Date.now,
    sleep,
  });
  return handle(event, context);
}
