import { stackEventSchema, stackOf } from '../shared/deployed.ts';
import { isEvent } from '../shared/lambda.ts';
import { entryNamed, parseValue } from '../shared/schema.ts';
import type { Ignored } from '../shared/verdict.ts';
import { alarmEventSchema, drillRequestSchema, type LocatedDrill, SHADOW } from './schema.ts';

/*
 * From what invoked the function to the drills that are to run. Pure.
 */

/** Who asks for a drill: a schedule or a person by name, a change of an alarm, or the deployment of a stack. */
export type DrillTrigger =
  | { drill: string; run?: string; only?: 'proof' }
  | { alarm: string }
  | ReturnType<typeof stackOf>;

/** A drill that is to run. */
export interface DrillRequest {
  drill: LocatedDrill;
  /** Names the run, where somebody follows it. */
  run?: string;
  /** Judges the configuration of the alarm alone. */
  only?: 'proof';
}

/**
 * Reads an event of CloudWatch or CloudFormation, the input of a schedule, or a direct invocation.
 *
 * @throws GateInputError where it is malformed
 */
export function parseTrigger(event: unknown): DrillTrigger {
  if (!isEvent(event)) {
    const { drill, run, only } = parseValue(drillRequestSchema, event, 'invocation');
    return { drill, ...(run !== undefined && { run }), ...(only !== undefined && { only }) };
  }
  if ((event as { source?: unknown }).source === 'aws.cloudformation') {
    return stackOf(parseValue(stackEventSchema, event, 'event'));
  }
  // Also of a deletion: that an alarm is gone is worth knowing before it is needed.
  return { alarm: parseValue(alarmEventSchema, event, 'event').detail.alarmName };
}

/**
 * The drills that are to run.
 *
 * @throws GateInputError where the one that is named does not exist
 */
export function drillsOf(
  trigger: DrillTrigger,
  drills: ReadonlyMap<string, LocatedDrill>,
): DrillRequest[] | Ignored {
  if ('drill' in trigger) {
    const { drill: name, ...how } = trigger;
    return [{ drill: entryNamed(drills, name, 'alarm drill'), ...how }];
  }
  const every = [...drills.values()];
  if ('alarm' in trigger) {
    const { alarm } = trigger;
    // Each run makes and removes some, and would start the next one.
    if (alarm.startsWith(SHADOW)) return { ignored: `${alarm} is a drill's own` };
    const watched = every.filter(({ value }) => value.alarm === alarm);
    if (watched.length === 0) return { ignored: `no drill is of the alarm ${alarm}` };
    return watched.map((drill) => ({ drill }));
  }
  const { stack, unfinished } = trigger;
  if (unfinished !== undefined) return { ignored: unfinished };
  const found = every.filter(({ value }) => value.afterDeployOf.includes(stack));
  if (found.length === 0) return { ignored: `no drill runs after a deployment of the stack ${stack}` };
  return found.map((drill) => ({ drill }));
}
