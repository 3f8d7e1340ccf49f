import { EventBridgeClient } from '@aws-sdk/client-eventbridge';
import { S3Client } from '@aws-sdk/client-s3';
import { SNSClient } from '@aws-sdk/client-sns';
import { CLIENT_OPTIONS } from '../shared/aws.ts';
import { readConfiguration } from '../shared/configuration.ts';
import { EvidenceStore } from '../shared/evidence.ts';
import type { InvocationContext } from '../shared/lambda.ts';
import { createRunHandler } from '../shared/run-handler.ts';
import { parseValue } from '../shared/schema.ts';
import { WorkBucket } from '../shared/work.ts';
import { clientsOf } from './adapters/clients.ts';
import { type ParityDependencies, runParity } from './parity-workflow.ts';
import { parseTrigger, requestsOf } from './request.ts';
import { type Environment, environmentSchema, parityBundleSchema, parseParities } from './schema.ts';

/** What the function works with; tests give it other clients and another clock. */
export type ParityHandlerDependencies = Omit<
  ParityDependencies,
  'env' | 'store' | 'work' | 'operations' | 'record' | 'warn'
> & { env: Environment };

/** A durable execution has at most 3,000 operations; what reading does not take is for the rest of its comparisons. */
const OPERATIONS_FOR_READING = 2_000;

/**
 * Config parity as a function of its dependencies: {@link runParity} for the comparisons that an event, a schedule or a
 * direct invocation asks for, with `WORKFLOW` as the port. Comparisons of one event run side by side; the answer is then a
 * list.
 *
 * It throws GateDependencyError (and whatever is a bug), which goes to the dead-letter queue, at the end of all attempts;
 * and GateInputError of a malformed event, or of a comparison that does not exist.
 */
export function createParityHandler(
  fixed: ParityHandlerDependencies,
): (event: unknown, context: InvocationContext) => Promise<unknown> {
  const { env, s3, now } = fixed;
  const store = new EvidenceStore(s3, env.EVIDENCE_BUCKET);
  const work = new WorkBucket(s3, env.WORK_BUCKET);
  return createRunHandler({
    gate: 'config-parity',
    kind: 'parity',
    carrier: env.WORKFLOW,
    work,
    now,
    configure: () => readConfiguration(s3, env, parityBundleSchema).then(parseParities),
    parseTrigger,
    requestsOf,
    nameOf: ({ parity }) => parity.name,
    run: (workflow, request, reporting, _, among) => {
      const operations = Math.floor(OPERATIONS_FOR_READING / among);
      return runParity(workflow, request, { ...fixed, ...reporting, store, work, operations });
    },
  });
}

let handle: ReturnType<typeof createParityHandler> | undefined;

/** The Lambda function: {@link createParityHandler} with what its environment names, made once a cold start. */
export async function handler(event: unknown, context: InvocationContext): Promise<unknown> {
  handle ??= createParityHandler({
    env: parseValue(environmentSchema, process.env, 'environment') satisfies Environment,
    s3: new S3Client(CLIENT_OPTIONS),
    sns: new SNSClient(CLIENT_OPTIONS),
    events: new EventBridgeClient(CLIENT_OPTIONS),
    clients: clientsOf,
    now: Date.now,
  });
  return handle(event, context);
}
