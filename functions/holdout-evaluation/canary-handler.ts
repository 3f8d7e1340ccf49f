import { tmpdir } from 'node:os';
import { EventBridgeClient } from '@aws-sdk/client-eventbridge';
import { S3Client } from '@aws-sdk/client-s3';
import { SageMakerClient } from '@aws-sdk/client-sagemaker';
import { SNSClient } from '@aws-sdk/client-sns';
import { CLIENT_OPTIONS } from '../shared/aws.ts';
import { carriedBy } from '../shared/carry.ts';
import { readConfiguration } from '../shared/configuration.ts';
import { EvidenceStore } from '../shared/evidence.ts';
import { type InvocationContext, remembered, withHelp } from '../shared/lambda.ts';
import { COUNTERS, createLogger, createMetrics } from '../shared/observability.ts';
import { parseValue } from '../shared/schema.ts';
import { WorkBucket } from '../shared/work.ts';
import type { Workflow } from '../shared/workflow.ts';
import { corruptDataset } from './adapters/corrupt.ts';
import { prepareHoldout } from './adapters/holdout.ts';
import {
  type CanaryRequest,
  type CanaryTrigger,
  canariesOf,
  type Ignored,
  parseTrigger,
} from './canary-request.ts';
import { type CanaryAnswer, type CanaryDependencies, runCanary } from './canary-workflow.ts';
import { measureModel } from './gate.ts';
import { bundleSchema, type Environment, environmentSchema, parseEvaluations } from './schema.ts';

/** What the function works with; tests give it other clients and another engine. */
export type CanaryHandlerDependencies = Pick<
  CanaryDependencies,
  'env' | 's3' | 'sns' | 'events' | 'sagemaker' | 'prepare' | 'measure' | 'corrupt' | 'tmp'
>;

/** In metrics: which canary it was about could not be found out. */
const UNKNOWN = 'unknown';

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
  const logger = createLogger('holdout-evaluation');
  const record = createMetrics('holdout-evaluation', 'canary');

  const evaluations = remembered(() => readConfiguration(s3, env, bundleSchema).then(parseEvaluations));

  const runOne = async (
    workflow: Workflow,
    request: CanaryRequest,
    invocation: InvocationContext,
  ): Promise<CanaryAnswer> => {
    const { name } = request.canary;
    try {
      const answer = await runCanary(workflow, request, {
        ...fixed,
        store: new EvidenceStore(s3, env.EVIDENCE_BUCKET),
        work: new WorkBucket(s3, env.WORK_BUCKET),
        timeLeftMs: () => invocation.getRemainingTimeInMillis(),
        record: (canary, { outcome, durationMs }) => {
          record(canary, { [COUNTERS[outcome]]: 1, DurationMs: durationMs });
        },
        warn: (message, error) => logger.warn(message, error as Error),
      });
      if ('error' in answer) {
        record(name, { Errors: 1 });
        logger.error('refused', { canary: name, reason: answer.message });
      } else if ('ignored' in answer) logger.info('ignored', { canary: name, reason: answer.ignored });
      else logger.info('judged', { canary: name, verdict: answer.verdict, outcome: answer.outcome });
      return answer;
    } catch (error) {
      record(name, { Errors: 1 });
      logger.error('no verdict', { canary: name, error: error as Error });
      throw withHelp(error);
    }
  };

  /** Tells whoever follows a run, and would wait for its beginning. */
  const refuse = async (named: string | undefined, { name, message }: Error): Promise<void> => {
    const progress = { startedAt: Date.now(), phase: 'refused', error: { name, message } };
    await new WorkBucket(s3, env.WORK_BUCKET)
      .report(named, progress)
      .catch((error) => logger.warn('progress was not written', error as Error));
  };

  const run = async (
    event: unknown,
    workflow: Workflow,
    invocation: InvocationContext,
  ): Promise<CanaryAnswer | CanaryAnswer[] | Ignored> => {
    logger.resetKeys();
    logger.appendKeys({ requestId: invocation.awsRequestId, execution: workflow.id });
    let trigger: CanaryTrigger | undefined;
    let requests: CanaryRequest[] | Ignored;
    try {
      trigger = parseTrigger(event);
      requests = canariesOf(trigger, await evaluations());
    } catch (error) {
      record(UNKNOWN, { Errors: 1 });
      logger.error('no run', error as Error);
      if (trigger !== undefined && 'canary' in trigger) await refuse(trigger.run, error as Error);
      throw withHelp(error);
    }
    if ('ignored' in requests) {
      logger.info('ignored', { reason: requests.ignored });
      return requests;
    }
    const [only] = requests;
    if (requests.length === 1 && only !== undefined) return runOne(workflow, only, invocation);
    return workflow.map('run the canaries', requests, (part, request) => runOne(part, request, invocation));
  };

  return carriedBy(env.WORKFLOW, run, evaluations);
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
