import { setTimeout as sleep } from 'node:timers/promises';
import { CloudWatchClient } from '@aws-sdk/client-cloudwatch';
import { EventBridgeClient } from '@aws-sdk/client-eventbridge';
import { KMSClient } from '@aws-sdk/client-kms';
import { LambdaClient } from '@aws-sdk/client-lambda';
import { S3Client } from '@aws-sdk/client-s3';
import { SageMakerClient } from '@aws-sdk/client-sagemaker';
import { SageMakerRuntimeClient } from '@aws-sdk/client-sagemaker-runtime';
import { SNSClient } from '@aws-sdk/client-sns';
import { SQSClient } from '@aws-sdk/client-sqs';
import { CLIENT_OPTIONS } from '../shared/aws.ts';
import { readConfiguration } from '../shared/configuration.ts';
import { EvidenceStore } from '../shared/evidence.ts';
import type { InvocationContext } from '../shared/lambda.ts';
import { createRunHandler } from '../shared/run-handler.ts';
import { parseValue, textBundleSchema } from '../shared/schema.ts';
import { WorkBucket } from '../shared/work.ts';
import { RUNTIME_OPTIONS } from './adapters/endpoint.ts';
import { runDrill } from './drill-workflow.ts';
import { drillsOf, parseTrigger } from './request.ts';
import type { DrillDependencies } from './run-workflow.ts';
import { type Environment, environmentSchema, parseDrills } from './schema.ts';

/** What the function works with; tests give it other clients and another clock. */
export type DrillHandlerDependencies = Omit<
  DrillDependencies,
  'env' | 'store' | 'work' | 'operations' | 'record' | 'warn'
> & { env: Environment; s3: S3Client };

/** A durable execution has at most 3,000 operations; what ticks do not take is for the rest of its drills. */
const OPERATIONS_FOR_TICKS = 2_400;

/**
 * The alarm drill as a function of its dependencies: {@link runDrill} for the drills that an event, a schedule or a direct
 * invocation asks for, with `WORKFLOW` as the port. Drills of one event run side by side; the answer is then a list.
 *
 * It throws GateDependencyError (and whatever is a bug), which goes to the dead-letter queue, at the end of all attempts;
 * and GateInputError of a malformed event, or of a drill that does not exist.
 */
export function createDrillHandler({
  s3,
  ...fixed
}: DrillHandlerDependencies): (event: unknown, context: InvocationContext) => Promise<unknown> {
  const { env, now } = fixed;
  const store = new EvidenceStore(s3, env.EVIDENCE_BUCKET);
  const work = new WorkBucket(s3, env.WORK_BUCKET);
  return createRunHandler({
    gate: 'alarm-drill',
    kind: 'drill',
    carrier: env.WORKFLOW,
    work,
    now,
    configure: () => readConfiguration(s3, env, textBundleSchema).then(parseDrills),
    parseTrigger,
    requestsOf: drillsOf,
    nameOf: ({ drill }) => drill.name,
    run: (workflow, request, reporting, _, among) => {
      const operations = Math.floor(OPERATIONS_FOR_TICKS / among);
      return runDrill(workflow, request, { ...fixed, ...reporting, store, work, operations });
    },
  });
}

let handle: ReturnType<typeof createDrillHandler> | undefined;

/** The Lambda function: {@link createDrillHandler} with what its environment names, made once a cold start. */
export async function handler(event: unknown, context: InvocationContext): Promise<unknown> {
  handle ??= createDrillHandler({
    env: parseValue(environmentSchema, process.env, 'environment') satisfies Environment,
    s3: new S3Client(CLIENT_OPTIONS),
    sns: new SNSClient(CLIENT_OPTIONS),
    sqs: new SQSClient(CLIENT_OPTIONS),
    events: new EventBridgeClient(CLIENT_OPTIONS),
    cloudwatch: new CloudWatchClient(CLIENT_OPTIONS),
    lambda: new LambdaClient(CLIENT_OPTIONS),
    kms: new KMSClient(CLIENT_OPTIONS),
    sagemaker: new SageMakerClient(CLIENT_OPTIONS),
    runtime: new SageMakerRuntimeClient(RUNTIME_OPTIONS),
    now: Date.now,
    sleep,
  });
  return handle(event, context);
}
