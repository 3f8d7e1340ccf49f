import * as z from 'zod';
import { entityName, type State, structure } from './service.ts';

/* What endpoints do wrong where somebody has asked for it: `POST /_sandbox/faults` with `endpoint` and `does`. */

/** How often; 0 takes back what was asked for. */
const times = z.union([z.int().min(0).max(1_000), z.literal('always')]).default(1);
const duration = z.int().min(0).max(86_400_000);
const reason = z.string().min(1).max(1_024);

const of = <D extends string, S extends z.core.$ZodLooseShape>(does: D, shape: S) =>
  structure({ endpoint: entityName, does: z.literal(does), times, ...shape });

/** A fault of an endpoint. Those of updates take effect with the next one. */
export const endpointFault = z.discriminatedUnion('does', [
  /** A transition takes so long: creating, updating, changing weights, rolling back, deleting. */
  of('linger', { ms: duration }),
  /** An update comes to nothing; without a reason nobody says so. */
  of('fail', { reason: reason.optional() }),
  /** An update ends in Failed: the endpoint serves no more. */
  of('break', { reason: reason.default('The update failed, and so did its rollback.') }),
  /** A deployment ends in UpdateRollbackFailed: both fleets serve. */
  of('mix', { reason: reason.default('The deployment failed, and so did its rollback.') }),
  /** A guardrail that rolls back does not say why. */
  of('hush', {}),
  /** Weights are changed by a part of what was asked for. */
  of('stint', { part: z.number().min(0).lt(1).default(0.5) }),
  /** Requests are answered with an error, each of them or every so many. */
  of('refuse', {
    type: z.string().min(1).max(100).default('InternalFailure'),
    message: z.string().max(1_000).default('This error was asked for.'),
    status: z.int().min(400).max(599).default(500),
    every: z.int().min(1).max(1_000).default(1),
  }),
  /** Maintenance from now on, or as soon as somebody wants to change something. */
  of('maintain', {
    ms: duration,
    from: z.enum(['now', 'change']).default('now'),
    status: z.enum(['SystemUpdating', 'OutOfService']).default('SystemUpdating'),
  }),
]);

export type EndpointFault = z.output<typeof endpointFault>;
type Does = EndpointFault['does'];
type FaultOf<D extends Does> = Extract<EndpointFault, { does: D }>;

/** What was asked for, and how often it could have happened since. */
interface Asked {
  fault: EndpointFault;
  seen: number;
}

/** By endpoint and what it does, of each server. */
const asked = new WeakMap<State, Map<string, Asked>>();

const keyOf = ({ endpoint, does }: Pick<EndpointFault, 'endpoint' | 'does'>) => `${endpoint} ${does}`;

/** Has an endpoint do something wrong; the endpoint may come later. */
export function ask(fault: EndpointFault, state: State): void {
  const faults = asked.get(state) ?? new Map<string, Asked>();
  asked.set(state, faults);
  if (fault.times === 0) faults.delete(keyOf(fault));
  else faults.set(keyOf(fault), { fault, seen: 0 });
}

/** What an endpoint is to do wrong now, which counts as done; undefined where nothing is. */
export function take<D extends Does>(endpoint: string, does: D, state: State): FaultOf<D> | undefined {
  const faults = asked.get(state);
  const key = keyOf({ endpoint, does });
  const found = faults?.get(key);
  if (faults === undefined || found === undefined) return undefined;
  const { fault } = found;
  found.seen++;
  if ('every' in fault && found.seen % fault.every !== 0) return undefined;
  if (fault.times === 1) faults.delete(key);
  else if (fault.times !== 'always') fault.times--;
  return fault as FaultOf<D>;
}
