import type { SageMakerClient } from '@aws-sdk/client-sagemaker';
import { GateError, GateInputError, messageOf } from '../shared/errors.ts';
import { formatDuration } from '../shared/format.ts';
import { OutOfTimeError, type Patience, type Workflow } from '../shared/workflow.ts';
import { cloneConfig } from './adapters/artifacts.ts';
import { configHash, readEndpoint, setWeights, updateEndpoint } from './adapters/endpoint.ts';
import type { EndpointState, Target } from './endpoint.ts';
import { ALLOWED, DRILL_TAG, ROLLBACK_TAG } from './schema.ts';
import { type Act, doingOf, endOf, isCloneOf, nextAction, type Past, type Taken, wordsOf } from './steer.ts';

/*
 * Bringing an endpoint where it belongs: look, do the next thing, wait, and look again.
 */

/** Where an endpoint is to be brought, and how. */
export interface Steering {
  endpoint: string;
  target: Target;
  /** SHA-256 of what the target's configuration has to say, as of `configHash`. Left out: whatever it says. */
  configSha256?: string;
  /**
   * What is served under the name of the target's configuration is not what that says: it is deployed anew. Left out: the
   * name is believed.
   */
  anew?: boolean;
  /**
   * Of the endpoint configuration to make where SageMaker wants a new one, at most 61 characters; of this steering alone.
   * Where it takes more than one, their names have `-2` and `-3` behind.
   */
  cloneName: string;
  /** For all of it, milliseconds. */
  timeoutMs: number;
  /** Tells whoever follows the run. */
  report: (phase: string) => Promise<void>;
}

/** What came of it. */
export interface Steered {
  /** `unneeded`: it was there already. */
  outcome: 'there' | 'unneeded' | 'failed';
  /** What was done, in order, in words. */
  actions: string[];
  /** Why it is not there, and what somebody has to do, in a sentence; null where it is. */
  why: string | null;
  /** The endpoint when it was last read; null where there is none, or where it never could be read. */
  state: EndpointState | null;
  /** Endpoint configurations that it has made, or begun to. The endpoint may have one of them. */
  made: string[];
}

/** What it takes. */
export interface SteerDependencies {
  sagemaker: SageMakerClient;
  /** Milliseconds since 1970. */
  now: () => number;
}

/** A deployment and its second try, the same by way of a clone, and weights: more is going round in circles. */
const MOST_ACTS = 8;

/** How often an endpoint is looked at while something is under way: weights take seconds, deployments minutes. */
const LOOKING: Omit<Patience, 'timeoutMs'> = { firstPauseMs: 2_000, longestPauseMs: 15_000 };

/** What SageMaker says of what it will not do, however soon it is asked again. */
const REFUSALS = ['ValidationException', 'ResourceLimitExceeded', 'ResourceInUse', 'ResourceNotFound'];

/** Says on an endpoint configuration that was made which endpoint it was made for. */
const ENDPOINT_TAG = 'tocsin:endpoint';

type Look = { state: EndpointState | null } | { denied: string };

/** What came of asking for an act. `busy`: somebody else was faster, and what they began has to end first. */
type Asked = 'taken' | 'busy' | { refused: string } | { impossible: string };

/**
 * Brings an endpoint where it belongs, and waits until it is there. What keeps it from getting there is no exception: the
 * outcome is then `failed`, with the reason.
 *
 * @throws OutOfTimeError where the execution has no time left; and whatever is a bug
 */
export async function steer(
  workflow: Workflow,
  steering: Steering,
  deps: SteerDependencies,
): Promise<Steered> {
  const { endpoint, target, cloneName, timeoutMs } = steering;
  const taken: Taken[] = [];
  const past: Past = { clone: cloneName, anew: steering.anew === true, taken };
  const made = new Set<string>();
  let state: EndpointState | null = null;
  const end = (outcome: Steered['outcome'], why: string | null = null): Steered => {
    // Also one that an attempt has made which died.
    if (state !== null && isCloneOf(cloneName, state.config)) made.add(state.config);
    return { outcome, actions: taken.map(wordsOf), why, state, made: [...made] };
  };

  try {
    let until = Number.POSITIVE_INFINITY;
    let last: { act: Act; refused: string | null } | undefined;
    for (let turn = 1; ; turn++) {
      const leftMs = state === null ? timeoutMs : until - state.at;
      const look = await settle(workflow, steering, past, { turn, leftMs }, deps);
      if ('denied' in look) return end('failed', look.denied);
      state = look.state;
      if (state !== null && turn === 1) until = state.at + timeoutMs;
      if (last !== undefined) taken.push(endOf(last.act, last.refused, state));

      const next = nextAction(state, target, past);
      if (next.do === 'stop') return end('failed', next.why);
      if (next.do === 'wait') {
        return end('failed', `after ${formatDuration(timeoutMs)} ${next.why}`);
      }
      if (next.do === 'nothing') {
        const fault = await workflow.step(`check what the configuration of ${endpoint} says`, () =>
          faultOf(steering, deps),
        );
        if (fault !== null) return end('failed', fault);
        return end(turn === 1 ? 'unneeded' : 'there');
      }
      if (turn > MOST_ACTS) return end('failed', `after ${MOST_ACTS} changes it is still not there`);
      if (state !== null && state.at >= until) {
        return end('failed', `there was no time left for ${doingOf(next)}`);
      }
      if (next.do === 'clone') made.add(next.to);
      const asked: Asked = await workflow.step(`change ${endpoint} (${turn})`, () =>
        ask(next, steering, past, deps),
      );
      if (typeof asked === 'object' && 'impossible' in asked) return end('failed', asked.impossible);
      const refused = typeof asked === 'object' ? asked.refused : null;
      last = asked === 'busy' ? undefined : { act: next, refused };
    }
  } catch (error) {
    if (!(error instanceof GateError) || error instanceof OutOfTimeError) throw error;
    return end('failed', messageOf(error));
  }
}

/** Waits until there is something to do or to say; where the time is up, until now. */
async function settle(
  workflow: Workflow,
  { endpoint, target, report }: Steering,
  past: Past,
  { turn, leftMs }: { turn: number; leftMs: number },
  deps: SteerDependencies,
): Promise<Look> {
  const settled = await workflow.waitUntil<Look>(
    `wait until nothing is under way at ${endpoint} (${turn})`,
    async () => {
      const look = await lookAt(endpoint, deps);
      if ('denied' in look) return look;
      const next = nextAction(look.state, target, past);
      if (next.do !== 'wait') return look;
      await report(next.why);
      return undefined;
    },
    { ...LOOKING, timeoutMs: leftMs },
  );
  return settled ?? workflow.step(`look at ${endpoint} once more`, () => lookAt(endpoint, deps));
}

async function lookAt(endpoint: string, { sagemaker, now }: SteerDependencies): Promise<Look> {
  try {
    return { state: await readEndpoint(sagemaker, endpoint, now) };
  } catch (error) {
    if (isDenied(error)) return { denied: messageOf(error) };
    throw error;
  }
}

/** Asks SageMaker for an act. It may be asked again: what was taken already is found done, or under way. */
async function ask(
  act: Act,
  { endpoint, target, report }: Steering,
  past: Past,
  deps: SteerDependencies,
): Promise<Asked> {
  const { sagemaker } = deps;
  await report(doingOf(act));
  try {
    const { config } = target;
    if (act.do !== 'weigh' && config !== undefined && (await configHash(sagemaker, config)) === null) {
      return { impossible: goneOf(config) };
    }
    if (act.do === 'update') await updateEndpoint(sagemaker, { ...act, endpoint });
    else if (act.do === 'weigh') await setWeights(sagemaker, endpoint, act.changes);
    else await cloneConfig(sagemaker, { from: act.from, to: act.to, tags: { [ENDPOINT_TAG]: endpoint } });
    return 'taken';
  } catch (error) {
    if (isDenied(error)) {
      return {
        // The first: what AWS says of it is long, and is clipped.
        impossible: `Tocsin may not do that; it may change endpoints that are tagged ${DRILL_TAG} = ${ALLOWED}, and roll back those that are tagged ${ROLLBACK_TAG} = ${ALLOWED}, too: ${messageOf(error)}`,
      };
    }
    if (!(error instanceof GateInputError) && !REFUSALS.includes(causeOf(error))) throw error;
    const look = await lookAt(endpoint, deps);
    const isBusy = 'state' in look && nextAction(look.state, target, past).do === 'wait';
    return isBusy ? 'busy' : { refused: messageOf(error) };
  }
}

/** Why an endpoint that has the target's configuration by name does not have it after all; null where it does. */
async function faultOf(
  { target: { config }, configSha256 }: Steering,
  { sagemaker }: SteerDependencies,
): Promise<string | null> {
  if (config === undefined || configSha256 === undefined) return null;
  const found = await configHash(sagemaker, config);
  if (found === configSha256) return null;
  return found === null
    ? goneOf(config)
    : `the endpoint configuration ${config} is no longer what it was: it was deleted, and another has its name`;
}

function goneOf(config: string): string {
  return `the endpoint configuration ${config} was deleted, and nobody can say any more what it said: create it again under this name`;
}

/** Name of the error of the SDK; empty where there is none. */
function causeOf(error: unknown): string {
  return ((error as Error).cause as Error | undefined)?.name ?? '';
}

function isDenied(error: unknown): boolean {
  return causeOf(error) === 'AccessDeniedException';
}
