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
import { parseValue, textBundleSchema } from '../shared/schema.ts';
import { WorkBucket } from '../shared/work.ts';
import type { Workflow } from '../shared/workflow.ts';
import { prepareHoldout } from './adapters/holdout.ts';
import { measureModel } from './gate.ts';
import { modelByArn, parseRequest } from './request.ts';
import { type Environment, environmentSchema, parseEvaluations } from './schema.ts';
import { type Answer, type Dependencies, evaluatePackage } from './workflow.ts';

/** What the function works with; tests give it other clients and another engine. */
export type HandlerDependencies = Pick<
  Dependencies,
  'env' | 's3' | 'sns' | 'events' | 'sagemaker' | 'prepare' | 'measure' | 'tmp'
>;

/** In metrics: which model it was about could not be found out. */
const UNKNOWN = 'unknown';

/**
 * The holdout evaluation as a function of its dependencies: {@link evaluatePackage} for the package of an event or of a
 * direct invocation, with `WORKFLOW` as the port.
 *
 * It throws GateDependencyError (and whatever is a bug), which goes to the dead-letter queue, at the end of all attempts;
 * and GateInputError of a malformed event.
 */
export function createHandler(
  fixed: HandlerDependencies,
): (event: unknown, context: InvocationContext) => Promise<unknown> {
  const { env, s3 } = fixed;
  const logger = createLogger('holdout-evaluation');
  const record = createMetrics('holdout-evaluation', 'model');

  const evaluations = remembered(() => readConfiguration(s3, env, textBundleSchema).then(parseEvaluations));

  const run = async (event: unknown, workflow: Workflow, invocation: InvocationContext): Promise<Answer> => {
    logger.resetKeys();
    logger.appendKeys({ requestId: invocation.awsRequestId, execution: workflow.id });
    let model: string | undefined;
    try {
      const request = parseRequest(event);
      const configured = await evaluations();
      model = modelByArn(request.package, configured)?.name;
      logger.appendKeys({ package: request.package });
      const answer = await evaluatePackage(workflow, request, {
        ...fixed,
        evaluations: configured,
        store: new EvidenceStore(s3, env.EVIDENCE_BUCKET),
        work: new WorkBucket(s3, env.WORK_BUCKET),
        timeLeftMs: () => invocation.getRemainingTimeInMillis(),
        record: (name, { outcome, rows, bytes, durationMs }) => {
          record(name, { [COUNTERS[outcome]]: 1, Rows: rows, Bytes: bytes, DurationMs: durationMs });
        },
        warn: (message, error) => logger.warn(message, error as Error),
      });
      if ('error' in answer) {
        record(answer.model ?? UNKNOWN, { Errors: 1 });
        logger.error('refused', { reason: answer.message });
      } else if ('ignored' in answer) logger.info('ignored', { reason: answer.ignored });
      else {
        const { verdict, outcome, approval } = answer;
        logger.info('judged', { model: answer.model, verdict, outcome, approval });
      }
      return answer;
    } catch (error) {
      record(model ?? UNKNOWN, { Errors: 1 });
      logger.error('no verdict', error as Error);
      throw withHelp(error);
    }
  };

  return carriedBy(env.WORKFLOW, run, evaluations);
}

let handle: ReturnType<typeof createHandler> | undefined;

/** The Lambda function: {@link createHandler} with what its environment names, made once a cold start. */
export async function handler(event: unknown, context: InvocationContext): Promise<unknown> {
  handle ??= createHandler({
    env: parseValue(environmentSchema, process.env, 'environment') satisfies Environment,
    s3: new S3Client(CLIENT_OPTIONS),
    sns: new SNSClient(CLIENT_OPTIONS),
    events: new EventBridgeClient(CLIENT_OPTIONS),
    sagemaker: new SageMakerClient(CLIENT_OPTIONS),
    prepare: prepareHoldout,
    measure: measureModel,
    tmp: tmpdir(),
  });
  return handle(event, context);
}
