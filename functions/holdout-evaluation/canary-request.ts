import { stackEventSchema, stackOf } from '../shared/deployed.ts';
import { GateInputError } from '../shared/errors.ts';
import { isEvent } from '../shared/lambda.ts';
import { didYouMean, entryNamed, parseValue } from '../shared/schema.ts';
import type { Ignored } from '../shared/verdict.ts';
import { canaryRequestSchema, type Evaluations, type LocatedCanary, type LocatedModel } from './schema.ts';

/*
 * From what invoked the function to the canaries that are to run. Pure.
 */

/** Who asks for a run: a schedule or a person by name, or the deployment of a stack. */
export type CanaryTrigger = { canary: string; run?: string } | ReturnType<typeof stackOf>;

/** A canary that is to run, and the model that it is about. */
export interface CanaryRequest {
  canary: LocatedCanary;
  model: LocatedModel;
  /** Names the run, where somebody follows it. */
  run?: string;
}

/**
 * Reads an event of CloudFormation, the input of a schedule, or a direct invocation.
 *
 * @throws GateInputError where it is malformed
 */
export function parseTrigger(event: unknown): CanaryTrigger {
  if (isEvent(event)) return stackOf(parseValue(stackEventSchema, event, 'event'));
  const { canary, run } = parseValue(canaryRequestSchema, event, 'invocation');
  return { canary, ...(run !== undefined && { run }) };
}

/**
 * The canaries that are to run.
 *
 * @throws GateInputError where the one that is named does not exist, or the model of one does not
 */
export function canariesOf(trigger: CanaryTrigger, evaluations: Evaluations): CanaryRequest[] | Ignored {
  const { canaries } = evaluations;
  if ('canary' in trigger) {
    const { canary: name, run } = trigger;
    const canary = entryNamed(canaries, name, 'canary');
    return [{ canary, model: modelOf(canary, evaluations), ...(run !== undefined && { run }) }];
  }
  const { stack, unfinished } = trigger;
  if (unfinished !== undefined) return { ignored: unfinished };
  const found = [...canaries.values()].filter(({ value }) => value.afterDeployOf.includes(stack));
  if (found.length === 0) return { ignored: `no canary runs after a deployment of the stack ${stack}` };
  return found.map((canary) => ({ canary, model: modelOf(canary, evaluations) }));
}

function modelOf({ name, value }: LocatedCanary, { models }: Evaluations): LocatedModel {
  const model = models.get(value.model);
  if (model !== undefined) return model;
  throw new GateInputError(
    `canary ${name}: no model "${value.model}"${didYouMean(value.model, [...models.keys()])}`,
  );
}
