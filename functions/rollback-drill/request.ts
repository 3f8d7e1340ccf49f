import { stackEventSchema, stackOf } from '../shared/deployed.ts';
import { isEvent } from '../shared/lambda.ts';
import { entryNamed, parseValue } from '../shared/schema.ts';
import type { Ignored } from '../shared/verdict.ts';
import { drillRequestSchema, type LocatedRollbackDrill } from './schema.ts';

/*
 * From what invoked the function to the drills that are to run. Pure.
 */

/** Who asks: a schedule or a person for a drill by name, the deployment of a stack, or the watch over runs that died. */
export type DrillTrigger =
  | { drill: string; run?: string; only?: 'restore' }
  | { watch: true }
  | ReturnType<typeof stackOf>;

/** What is to be done: a drill, only its restoration, or that of every endpoint that a dead run has left. */
export type DrillRequest =
  | {
      drill: LocatedRollbackDrill;
      /** Names the run, where somebody follows it. */
      run?: string;
      /** Restores what a run that died has left, and drills nothing. */
      only?: 'restore';
    }
  | { watch: true };

/**
 * Reads an event of CloudFormation, the input of a schedule, or a direct invocation.
 *
 * @throws GateInputError where it is malformed
 */
export function parseTrigger(event: unknown): DrillTrigger {
  if (isEvent(event)) return stackOf(parseValue(stackEventSchema, event, 'event'));
  // One or the other, rather than their union: whoever misspelt a key gets to know which are allowed.
  const [one, every] = drillRequestSchema.options;
  if (typeof event === 'object' && event !== null && 'watch' in event) {
    return parseValue(every, event, 'invocation');
  }
  const { drill, run, only } = parseValue(one, event, 'invocation');
  return { drill, ...(run !== undefined && { run }), ...(only !== undefined && { only }) };
}

/**
 * What is to be done.
 *
 * @throws GateInputError where the drill that is named does not exist
 */
export function requestsOf(
  trigger: DrillTrigger,
  drills: ReadonlyMap<string, LocatedRollbackDrill>,
): DrillRequest[] | Ignored {
  if ('watch' in trigger) return [trigger];
  if ('drill' in trigger) {
    const { drill: name, ...how } = trigger;
    return [{ drill: entryNamed(drills, name, 'rollback drill'), ...how }];
  }
  const { stack, unfinished } = trigger;
  if (unfinished !== undefined) return { ignored: unfinished };
  const found = [...drills.values()].filter(({ value }) => value.afterDeployOf.includes(stack));
  if (found.length === 0) return { ignored: `no drill runs after a deployment of the stack ${stack}` };
  return found.map((drill) => ({ drill }));
}
