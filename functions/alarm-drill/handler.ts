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
import { carriedBy } from '../shared/carry.ts';
import { readConfiguration } from '../shared/configuration.ts';
import { EvidenceStore } from '../shared/evidence.ts';
import { type InvocationContext, remembered, withHelp } from '../shared/lambda.ts';
import { COUNTERS, createLogger, createMetrics } from '../shared/observability.ts';
import { parseValue } from '../shared/schema.ts';
import { WorkBucket } from '../shared/work.ts';
import type { Workflow } from '../shared/workflow.ts';
import { RUNTIME_OPTIONS } from './adapters/endpoint.ts';
import { type DrillAnswer, runDrill } from './drill-workflow.ts';
import { type DrillRequest, type DrillTrigger, drillsOf, type Ignored, parseTrigger } from './request.ts';
import type { DrillDependencies } from './run-workflow.ts';
import { bundleSchema, type Environment, environmentSchema, parseDrills } from './schema.ts';

/** What the function works with; tests give it other clients and another clock. */
export type DrillHandlerDependencies = Omit<
  DrillDependencies,
  'env' | 'store' | 'work' | 'operations' | 'record' | 'warn'
> & { env: Environment; s3: S3Client };

/** In metrics: which drill it was about could not be found out. */
const UNKNOWN = 'unknown';

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
  const { env } = fixed;
  const logger = createLogger('alarm-drill');
  const record = createMetrics('alarm-drill', 'drill');
  const store = new EvidenceStore(s3, env.EVIDENCE_BUCKET);
  const work = new WorkBucket(s3, env.WORK_BUCKET);

  const drills = remembered(() => readConfiguration(s3, env, bundleSchema).then(parseDrills));

  const runOne = async (
    workflow: Workflow,
    request: DrillRequest,
    operations: number,
  ): Promise<DrillAnswer> => {
    const { name } = request.drill;
    try {
      const answer = await runDrill(workflow, request, {
        ...fixed,
        store,
        work,
        operations,
        record: (drill, { outcome, durationMs }) => {
          record(drill, { [COUNTERS[outcome]]: 1, DurationMs: durationMs });
        },
        warn: (message, error) => logger.warn(message, error as Error),
      });
      if ('error' in answer) {
        record(name, { Errors: 1 });
        logger.error('refused', { drill: name, reason: answer.message });
      } else if ('ignored' in answer) logger.info('ignored', { drill: name, reason: answer.ignored });
      else logger.info('judged', { drill: name, verdict: answer.verdict, outcome: answer.outcome });
      return answer;
    } catch (error) {
      record(name, { Errors: 1 });
      logger.error('no verdict', { drill: name, error: error as Error });
      throw withHelp(error);
    }
  };

  /** Tells whoever follows a run, and would wait for its beginning. */
  const refuse = async (named: string | undefined, { name, message }: Error): Promise<void> => {
    const progress = { startedAt: fixed.now(), phase: 'refused', error: { name, message } };
    await work
      .report(named, progress)
      .catch((error) => logger.warn('progress was not written', error as Error));
  };

  const run = async (
    event: unknown,
    workflow: Workflow,
    invocation: InvocationContext,
  ): Promise<DrillAnswer | DrillAnswer[] | Ignored> => {
    logger.resetKeys();
    logger.appendKeys({ requestId: invocation.awsRequestId, execution: workflow.id });
    let trigger: DrillTrigger | undefined;
    let requests: DrillRequest[] | Ignored;
    try {
      trigger = parseTrigger(event);
      requests = drillsOf(trigger, await drills());
    } catch (error) {
      record(UNKNOWN, { Errors: 1 });
      logger.error('no run', error as Error);
      if (trigger !== undefined && 'drill' in trigger) await refuse(trigger.run, error as Error);
      throw withHelp(error);
    }
    if ('ignored' in requests) {
      logger.info('ignored', { reason: requests.ignored });
      return requests;
    }
    const operations = Math.floor(OPERATIONS_FOR_TICKS / requests.length);
    const [only] = requests;
    if (requests.length === 1 && only !== undefined) return runOne(workflow, only, operations);
    return workflow.map('run the drills', requests, (part, request) => runOne(part, request, operations));
  };

  return carriedBy(env.WORKFLOW, run, drills);
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
