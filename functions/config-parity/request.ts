import * as z from 'zod';
import { stackEventSchema, stackOf } from '../shared/deployed.ts';
import { isEvent } from '../shared/lambda.ts';
import { entryNamed, parseValue } from '../shared/schema.ts';
import type { Ignored } from '../shared/verdict.ts';
import { type Parity, type ParityConfig, parityRequestSchema, physicalName, SIDES } from './schema.ts';

/*
 * From what invoked the function to the comparisons that are to run. Pure.
 */

/** EventBridge's word that an endpoint came into a status, which it writes as IN_SERVICE. */
const endpointEventSchema = z.object({
  source: z.literal('aws.sagemaker'),
  'detail-type': z.literal('SageMaker Endpoint State Change'),
  detail: z.object({ EndpointName: z.string().min(1), EndpointStatus: z.string() }),
});

/** EventBridge's word that a stage of a pipeline of CodePipeline came into a state. */
const stageEventSchema = z.object({
  source: z.literal('aws.codepipeline'),
  'detail-type': z.literal('CodePipeline Stage Execution State Change'),
  detail: z.object({ pipeline: z.string().min(1), stage: z.string().min(1), state: z.string() }),
});

const EVENTS = [stackEventSchema, endpointEventSchema, stageEventSchema] as const;

const eventSchema = z.object({
  'detail-type': z.enum(EVENTS.map((event) => event.shape['detail-type'].value)),
});

/** Who asks: a schedule or a person by name, or what was deployed; `unfinished`: why nothing has to run after it. */
export type ParityTrigger =
  | { parity: string; run?: string }
  | ReturnType<typeof stackOf>
  | { endpoint: string; unfinished?: string }
  | { pipeline: string; stage: string; unfinished?: string };

/** A comparison that is to run; `run` names the run, where somebody follows it. */
export interface ParityRequest {
  parity: Parity;
  run?: string;
}

/**
 * Reads an event of CloudFormation, SageMaker or CodePipeline, the input of a schedule, or a direct invocation.
 *
 * @throws GateInputError where it is malformed, or another event
 */
export function parseTrigger(event: unknown): ParityTrigger {
  if (!isEvent(event)) {
    const { parity, run } = parseValue(parityRequestSchema, event, 'invocation');
    return { parity, ...(run !== undefined && { run }) };
  }
  const { 'detail-type': type } = parseValue(eventSchema, event, 'event');
  if (type === 'CloudFormation Stack Status Change') {
    return stackOf(parseValue(stackEventSchema, event, 'event'));
  }
  if (type === 'SageMaker Endpoint State Change') {
    const { EndpointName, EndpointStatus } = parseValue(endpointEventSchema, event, 'event').detail;
    return {
      endpoint: EndpointName,
      ...(EndpointStatus !== 'IN_SERVICE' && {
        unfinished: `the endpoint ${EndpointName} is ${EndpointStatus}`,
      }),
    };
  }
  const { pipeline, stage, state } = parseValue(stageEventSchema, event, 'event').detail;
  return {
    pipeline,
    stage,
    ...(state !== 'SUCCEEDED' && {
      unfinished: `the stage ${stage} of the pipeline ${pipeline} is ${state}`,
    }),
  };
}

/**
 * What is to be done.
 *
 * @throws GateInputError where the comparison that is named does not exist
 */
export function requestsOf(
  trigger: ParityTrigger,
  parities: ReadonlyMap<string, Parity>,
): ParityRequest[] | Ignored {
  if ('parity' in trigger) {
    const { parity: called, ...how } = trigger;
    return [{ parity: entryNamed(parities, called, 'comparison'), ...how }];
  }
  if (trigger.unfinished !== undefined) return { ignored: trigger.unfinished };
  const found = [...parities.values()].filter(({ value }) => isStartedBy(value, trigger));
  if (found.length === 0) return { ignored: `no comparison runs after ${textOf(trigger)}` };
  return found.map((parity) => ({ parity }));
}

type Deployment = Exclude<ParityTrigger, { parity: string }>;

function isStartedBy(config: ParityConfig, trigger: Deployment): boolean {
  if ('stack' in trigger) return config.afterDeployOf.includes(trigger.stack);
  if ('endpoint' in trigger) return endpointsOf(config).includes(trigger.endpoint);
  return config.afterStage.some(
    ({ pipeline, stage }) => pipeline === trigger.pipeline && stage === trigger.stage,
  );
}

/** Endpoints of both environments: events of another account may be forwarded. */
function endpointsOf(config: ParityConfig): string[] {
  return SIDES.flatMap((side) =>
    config.compare.endpoints.map((pair) => physicalName(pair, side, config[side])),
  );
}

function textOf(trigger: Deployment): string {
  if ('stack' in trigger) return `a deployment of the stack ${trigger.stack}`;
  if ('endpoint' in trigger) return `the endpoint ${trigger.endpoint} came into service`;
  return `the stage ${trigger.stage} of the pipeline ${trigger.pipeline}`;
}
