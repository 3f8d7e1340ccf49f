import { tmpdir } from 'node:os';
import { EventBridgeClient } from '@aws-sdk/client-eventbridge';
import { S3Client } from '@aws-sdk/client-s3';
import { SageMakerClient } from '@aws-sdk/client-sagemaker';
import { SNSClient } from '@aws-sdk/client-sns';
import { CLIENT_OPTIONS } from '../shared/aws.ts';
import { readConfiguration } from '../shared/configuration.ts';
import { durableHandler } from '../shared/durable.ts';
import { GateInputError } from '../shared/errors.ts';
import { EvidenceStore } from '../shared/evidence.ts';
import { InProcessWorkflow } from '../shared/in-process.ts';
import { type InvocationContext, withHelp } from '../shared/lambda.ts';
import { createLogger, createMetrics } from '../shared/observability.ts';
import { parseValue } from '../shared/schema.ts';
import type { Workflow } from '../shared/workflow.ts';
import { prepareHoldout } from './adapters/holdout.ts';
import { WorkBucket } from './adapters/work.ts';
import { measureModel } from './gate.ts';
import { modelByArn, parseRequest } from './request.ts';
import {
  bundleSchema,
  type Environment,
  type Evaluations,
  environmentSchema,
  parseEvaluations,
} from './schema.ts';
import { type Answer, type Dependencies, evaluatePackage } from './workflow.ts';

/** What the function works with; tests give it other clients and another engine. */
export type HandlerDependencies = Pick<
  Dependencies,
  'env' | 's3' | 'sns' | 'events' | 'sagemaker' | 'prepare' | 'measure' | 'tmp'
>;

/** Time of an invocation that is kept for telling people and for cleaning up. */
const CLEAN_UP_MS = 60_000;

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

  let loading: Promise<Evaluations> | undefined;
  /** The configuration, read once; when that fails, the next invocation tries again. */
  const evaluations = () => {
    loading ??= readConfiguration(s3, env, bundleSchema)
      .then(parseEvaluations)
      .catch((error) => {
        loading = undefined;
        throw error;
      });
    return loading;
  };

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
          const counter = ({ pass: 'Passed', fail: 'Failed', inconclusive: 'Inconclusive' } as const)[
            outcome
          ];
          record(name, { [counter]: 1, Rows: rows, Bytes: bytes, DurationMs: durationMs });
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

  if (env.WORKFLOW === 'durable') {
    const durable = durableHandler(run) as ReturnType<typeof createHandler>;
    return async (event, context) => {
      // Where S3 fails in the middle of an execution, this invocation dies, and another one goes on. Thrown from within,
      // the error would be the end of the execution.
      await evaluations().catch((error) => {
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
