import { countOf, listOf } from '../shared/format.ts';
import {
  type EndpointState,
  isSameWeight,
  type Target,
  type VariantChange,
  type VariantState,
} from './endpoint.ts';
import { isChanging } from './timeline.ts';

/*
 * What to do next so that an endpoint gets where it belongs, knowing what SageMaker does and refuses. Pure.
 */

/** Something that is done to an endpoint. */
export type Act =
  /** `retain`: by the deployment configuration of the last deployment. */
  | { do: 'update'; config: string; retain: boolean }
  /** Makes an endpoint configuration that says what another says. */
  | { do: 'clone'; from: string; to: string }
  /** Weights and instances, in one call. */
  | { do: 'weigh'; changes: VariantChange[] };

export type Action =
  | Act
  /** Everything that the target says holds. */
  | { do: 'nothing' }
  /** Something is under way; `why` in words. */
  | { do: 'wait'; why: string }
  /** It cannot get there; `why` says what somebody has to do. */
  | { do: 'stop'; why: string };

/** What was done, and what came of it once nothing was under way any more. */
export interface Taken {
  act: Act;
  worked: boolean;
  /** What SageMaker said where it did not; null where it said nothing, which is so of silent rollbacks. */
  said: string | null;
}

/** What is known besides the endpoint. */
export interface Past {
  /** Name of the endpoint configuration to make where SageMaker wants one that is new; begins those of further ones. */
  clone: string;
  /** What is served under the name of the target's configuration is not what that says, so it is deployed anew. */
  anew: boolean;
  taken: readonly Taken[];
}

/**
 * How often the same is tried. What comes after an update that failed is without the deployment configuration: its alarms
 * may ring because of what is to be rolled back.
 */
const TRIES = 2;

/** What to do next. Once an act was taken, and nothing is under way any more, {@link endOf} says what came of it. */
export function nextAction(state: EndpointState | null, target: Target, past: Past): Action {
  const again = `create it again${target.config === undefined ? '' : ` from the endpoint configuration ${target.config}`}`;
  if (state === null) return stop(`the endpoint does not exist any more: ${again}`);
  const { status } = state;
  if (status === 'Deleting') return stop(`the endpoint is being deleted: ${again} once it is gone`);
  if (status === 'Failed') {
    return stop(`the endpoint has failed (${reasonOf(state)}) and takes no change: delete it, and ${again}`);
  }
  // These are at rest, however their instances count.
  const isBroken = status === 'UpdateRollbackFailed' || status === 'OutOfService';
  if (!isBroken && isUnderWay(state)) return { do: 'wait', why: changeOf(state) };

  const deployment = nextDeployment(state, target, past);
  if (
    deployment !== undefined &&
    (deployment.do !== 'stop' || isBroken || !isCloneOf(past.clone, state.config))
  ) {
    return deployment;
  }
  // Also under the name of a clone that it cannot leave: the right model serves there, and gets its traffic.
  return nextChanges(state, target, past) ?? deployment ?? { do: 'nothing' };
}

/** Whether something goes on that ends by itself. Weights that were taken over in part stay so, and can be set again. */
function isUnderWay(state: EndpointState): boolean {
  const variants = state.variants.map((variant) => ({ ...variant, desiredWeight: variant.weight }));
  return isChanging({ ...state, variants });
}

/** Undefined where it has the configuration that it is to have. */
function nextDeployment(
  state: EndpointState,
  { config }: Target,
  { clone, anew, taken }: Past,
): Action | undefined {
  const { status } = state;
  const isMixed = status === 'UpdateRollbackFailed';
  if (config === undefined) {
    if (status === 'InService') return undefined;
    const what = isMixed ? 'it serves a mix of two endpoint configurations' : 'it answers nobody';
    return stop(
      `the endpoint is ${status}: ${what}, and takes no weights until one is deployed again. Roll it back to the endpoint configuration that it had before`,
    );
  }
  const updates = taken.flatMap(({ act, ...end }) =>
    act.do === 'update' ? [{ ...end, to: act.config }] : [],
  );
  const isRight = state.config === config && (!anew || updates.some(({ worked }) => worked));
  if (status === 'InService' && isRight) return undefined;

  // SageMaker takes no name that the endpoint has, and a mix has two: one that was never tried is in none.
  const needsClone = isMixed || state.config === config;
  const tried = updates.map(({ to }) => to);
  const fresh = cloneNames(clone).find((name) => name !== state.config && !(isMixed && tried.includes(name)));
  const to = needsClone ? (fresh ?? clone) : config;
  const failed = updates.filter((update) => !update.worked && (update.to === config) === (to === config));
  if (failed.length >= TRIES || (needsClone && fresh === undefined)) {
    const kept = isCloneOf(clone, state.config)
      ? `it serves what ${config} says, under the name ${state.config}, but`
      : 'it stays as it is:';
    const what = needsClone ? `a copy of ${config}` : `the endpoint configuration ${config}`;
    return stop(
      `${kept} ${countOf(failed.length, 'update')} to ${what} failed, the last without deployment configuration: ${saidOf(failed)}`,
    );
  }
  const copies = taken.filter(({ act }) => act.do === 'clone');
  if (needsClone && !copies.some(({ act, worked }) => worked && act.do === 'clone' && act.to === to)) {
    const refused = copies.filter(({ worked }) => !worked);
    return refused.length < TRIES
      ? { do: 'clone', from: config, to }
      : stop(`the endpoint configuration ${config} could not be copied: ${saidOf(refused)}`);
  }
  return { do: 'update', config: to, retain: updates.every(({ worked }) => worked) };
}

/** Names of the copies that may be made under this name: more than one is needed where a deployment of a copy ends in a mix. */
export function cloneNames(clone: string): string[] {
  return [clone, `${clone}-2`, `${clone}-3`];
}

/** Whether an endpoint configuration is such a copy. */
export function isCloneOf(clone: string, config: string): boolean {
  return cloneNames(clone).includes(config);
}

/** Undefined where weights and instances are as they are to be. */
function nextChanges(
  { variants }: EndpointState,
  { weights = {}, instances = {} }: Target,
  { taken }: Past,
): Action | undefined {
  const has = new Map(variants.map((variant) => [variant.name, variant]));
  const named = [...new Set([...Object.keys(weights), ...Object.keys(instances)])].sort();
  const missing = named.filter((name) => !has.has(name));
  if (missing.length > 0) {
    return stop(`the endpoint has no variant ${listOf(missing)}: it has ${listOf([...has.keys()])}`);
  }
  const changes = named.flatMap((name) =>
    changeTo(has.get(name) as VariantState, weights[name], instances[name]),
  );
  if (changes.length === 0) return undefined;
  const changed = new Map(changes.map((change) => [change.variant, change]));
  const left = variants.map(({ name, desiredWeight }) => changed.get(name)?.weight ?? desiredWeight);
  if (!left.some((weight) => Math.fround(weight) > 0)) {
    return stop('no variant would keep a weight above 0, and SageMaker does not say what it makes of that');
  }
  const failed = taken.filter(({ act, worked }) => act.do === 'weigh' && !worked);
  if (failed.length < TRIES) return { do: 'weigh', changes };
  return stop(`${doingOf({ do: 'weigh', changes })} failed twice: ${saidOf(failed)}`);
}

function changeTo(variant: VariantState, weight?: number, instances?: number): VariantChange[] {
  const change: VariantChange = {
    variant: variant.name,
    ...(weight !== undefined && !hasWeight(variant, weight) && { weight }),
    ...(instances !== undefined && instances !== variant.desiredInstances && { instances }),
  };
  return Object.keys(change).length > 1 ? [change] : [];
}

/** It has it, and not only wants it. */
function hasWeight({ weight, desiredWeight }: VariantState, wanted: number): boolean {
  return isSameWeight(wanted, weight) && isSameWeight(wanted, desiredWeight);
}

/**
 * What came of an act.
 *
 * @param refused what SageMaker said when it refused it; null where it took it
 * @param state once nothing was under way any more
 */
export function endOf(act: Act, refused: string | null, state: EndpointState | null): Taken {
  const worked = refused === null && isDone(act, state);
  return { act, worked, said: worked ? null : (refused ?? state?.failureReason ?? null) };
}

/** `InService` alone proves nothing: an update that failed comes back to it, on the old configuration. */
function isDone(act: Act, state: EndpointState | null): boolean {
  if (act.do === 'clone') return true;
  if (state?.status !== 'InService') return false;
  if (act.do === 'update') return state.config === act.config;
  return act.changes.every(({ variant, weight, instances }) => {
    const found = state.variants.find(({ name }) => name === variant);
    return found !== undefined && changeTo(found, weight, instances).length === 0;
  });
}

/** What was done, in words: `updated the endpoint to the endpoint configuration churn-7`. */
export function wordsOf({ act, worked, said }: Taken): string {
  const plain = act.do === 'update' && !act.retain ? ', without its deployment configuration' : '';
  const did = `${phraseOf(act, { update: 'updated', clone: 'copied', weigh: 'set' })}${plain}`;
  return worked ? did : `${did}, in vain: ${said ?? SILENT}`;
}

/** What is being done, in words. */
export function doingOf(act: Act): string {
  return phraseOf(act, { update: 'updating', clone: 'copying', weigh: 'setting' });
}

function phraseOf(act: Act, verbs: Record<Act['do'], string>): string {
  const verb = verbs[act.do];
  switch (act.do) {
    case 'update':
      return `${verb} the endpoint to the endpoint configuration ${act.config}`;
    case 'clone':
      return `${verb} the endpoint configuration ${act.from} to ${act.to}`;
    case 'weigh':
      return `${verb} ${changesOf(act.changes)}`;
  }
}

/** `variant primary to weight 1 and 2 instances, variant candidate to weight 0` */
function changesOf(changes: readonly VariantChange[]): string {
  return changes
    .map(({ variant, weight, instances }) => {
      const parts = [
        ...(weight === undefined ? [] : [`weight ${weight}`]),
        ...(instances === undefined ? [] : [countOf(instances, 'instance')]),
      ];
      return `variant ${variant} to ${listOf(parts)}`;
    })
    .join(', ');
}

/** What is under way, in words. */
function changeOf({ status, pending }: EndpointState): string {
  if (status === 'InService') return 'the endpoint is still changing its weights or instances';
  return `the endpoint is ${status}${pending === null ? '' : ` to ${pending}`}`;
}

const SILENT = 'SageMaker gives no reason';

function reasonOf({ failureReason }: EndpointState): string {
  return failureReason ?? SILENT;
}

/** What SageMaker said each time, once where it was the same. */
function saidOf(taken: readonly Pick<Taken, 'said'>[]): string {
  return [...new Set(taken.map(({ said }) => said ?? SILENT))].join('; then: ');
}

function stop(why: string): Action {
  return { do: 'stop', why };
}
