import { countOf, formatDuration, formatShare } from '../shared/format.ts';
import type { Workflow } from '../shared/workflow.ts';
import { alarmStates, setAlarm } from './adapters/alarms.ts';
import { cloneConfig, createModel } from './adapters/artifacts.ts';
import { readEndpoint, setWeights, updateEndpoint } from './adapters/endpoint.ts';
import { type EndpointState, sharesOf, type VariantChange } from './endpoint.ts';
import type { Failure, Procedure, Slice } from './measurements.ts';
import { fingerprint, tellApart } from './preflight-workflow.ts';
import { namesOf } from './record.ts';
import {
  DELETED,
  NotDrilled,
  type Prepared,
  type RollbackDrillDependencies,
  type Run,
  tagsOf,
} from './run-workflow.ts';
import { PLACING_MS, type RollbackDrillConfig } from './schema.ts';
import {
  allRequests,
  attributed,
  isChanging,
  isOver,
  isProven,
  lastState,
  SHARE_TOLERANCE,
  statesOf,
} from './timeline.ts';
import {
  beginUnlessStopped,
  changeRecorded,
  readSlices,
  type Sent,
  sendSlices,
  stopped,
} from './traffic-workflow.ts';
import { several, weightDifferences } from './words.ts';

/*
 * The failure: what a drill does to an endpoint, while the background traffic goes on, and the proof that it is real.
 */

/** How soon an endpoint that was changed says so; before that it may still seem at rest. */
const NOTICING_MS = 10_000;
/** How long the bad model may take to be seen once it is in place; where requests are rare, for so many of them. */
const PROVING_MS = 120_000;
const PROVING_REQUESTS = 40;

/** A failure of weights or of a deployment, once the endpoint has taken it. */
interface Placement {
  /** In words: `all traffic to variant candidate`. */
  what: string;
  /** Does it; bears to be repeated. */
  act: () => Promise<void>;
  /** Of the endpoint at rest: whether it is as it was to become. */
  isPlaced: (state: EndpointState) => boolean;
}

/**
 * Makes the bad model serve, and proves that it does. What came of it is in `known` also where it throws.
 *
 * @throws NotDrilled where the failure did not come into place, or could not be seen
 * @throws GateDependencyError, GateInputError where AWS does not do what it is asked for
 */
export async function makeBadModelServe(
  workflow: Workflow,
  run: Run,
  known: Prepared,
  deps: RollbackDrillDependencies,
): Promise<void> {
  const { shiftTraffic, deployModel } = run.drill.value.failure;
  if (shiftTraffic !== undefined) {
    const { to, share } = shiftTraffic;
    await place(workflow, run, known, 'shiftTraffic', shiftOf(run, known, shiftTraffic, deps), deps);
    await prove(workflow, run, known, to, share, deps);
  } else if (deployModel !== undefined) {
    const variant = busiest(known);
    await makeModel(workflow, run, known, variant, deployModel, deps);
    const { config } = namesOf(run.token);
    const what = `the model of ${deployModel.package} behind variant ${variant}`;
    await place(workflow, run, known, 'deployModel', deploymentOf(run, known, config, what, deps), deps);
    known.measured.fingerprints.push(await fingerprint(workflow, run, known, variant, 'bad', deps));
    tellApart(run, known);
    const share = sharesOf(known.measured.failure?.state?.variants ?? [])[variant] ?? 1;
    await prove(workflow, run, known, variant, share, deps);
  }
}

/** The variant with the most of the traffic; of several the first by name. */
function busiest({ snapshot }: Prepared): string {
  const [first, ...others] = snapshot.state.variants;
  if (first === undefined) throw new NotDrilled('the endpoint has no variants');
  return others.reduce((most, one) => (one.weight > most.weight ? one : most), first).name;
}

// ---------------------------------------------------------------------------------------------------------
// What is done to the endpoint
// ---------------------------------------------------------------------------------------------------------

/** The others keep their proportions of what is left. */
function shiftOf(
  run: Run,
  { snapshot }: Prepared,
  { to, share }: NonNullable<RollbackDrillConfig['failure']['shiftTraffic']>,
  { sagemaker }: RollbackDrillDependencies,
): Placement {
  const { variants } = snapshot.state;
  const sum = variants.reduce((total, { desiredWeight }) => total + desiredWeight, 0);
  const changes = variants.map(
    ({ name, desiredWeight }): VariantChange => ({
      variant: name,
      weight: name === to ? share : ((1 - share) * desiredWeight) / sum,
    }),
  );
  return {
    what: `${share === 1 ? 'all traffic' : `${formatShare(share)} of the traffic`} to variant ${to}`,
    act: () => setWeights(sagemaker, run.drill.value.endpoint, changes),
    isPlaced: ({ variants: now }) => Math.abs((sharesOf(now)[to] ?? 0) - share) <= SHARE_TOLERANCE,
  };
}

function deploymentOf(
  run: Run,
  { snapshot }: Prepared,
  config: string,
  what: string,
  { sagemaker }: RollbackDrillDependencies,
): Placement {
  const { endpoint } = run.drill.value;
  return {
    what,
    act: () => updateEndpoint(sagemaker, { endpoint, config, retain: snapshot.deployed }),
    isPlaced: (state) => state.config === config,
  };
}

/** Of the variant with the most traffic alone: the others go on as they are. */
async function makeModel(
  workflow: Workflow,
  run: Run,
  { snapshot, models }: Prepared,
  variant: string,
  deployed: NonNullable<RollbackDrillConfig['failure']['deployModel']>,
  { sagemaker }: RollbackDrillDependencies,
): Promise<void> {
  const { model, config } = namesOf(run.token);
  const tags = tagsOf(run);
  await workflow.step('make the bad model', async () => {
    await run.report('making the bad model');
    const { package: arn, role } = deployed;
    await createModel(sagemaker, { name: model, package: arn, role, like: models[variant] ?? null, tags });
  });
  await workflow.step('make its endpoint configuration', () =>
    cloneConfig(sagemaker, { from: snapshot.state.config, to: config, models: { [variant]: model }, tags }),
  );
}

// ---------------------------------------------------------------------------------------------------------
// Until it is in place
// ---------------------------------------------------------------------------------------------------------

/** Begins the failure, where nothing speaks against it any more. */
async function beginFailure(
  workflow: Workflow,
  run: Run,
  { snapshot, measured, marks }: Prepared,
  { kind, what }: Pick<Failure, 'kind' | 'what'>,
  deps: RollbackDrillDependencies,
): Promise<{ begunAt: number; failure: Failure }> {
  const phase = `simulating the failure: ${what}`;
  const begunAt = await beginUnlessStopped(workflow, run, phase, snapshot.state, deps);
  marks.push({ at: begunAt, what: 'failure begins' });
  const why = 'it did not come into place';
  const failure: Failure = { kind, what, begunAt, state: null, servesAt: null, why };
  measured.failure = failure;
  return { begunAt, failure };
}

/** Does it, and sends traffic until the endpoint has taken it. */
async function place(
  workflow: Workflow,
  run: Run,
  known: Prepared,
  kind: Failure['kind'],
  { what, act, isPlaced }: Placement,
  deps: RollbackDrillDependencies,
): Promise<void> {
  const { begunAt, failure } = await beginFailure(workflow, run, known, { kind, what }, deps);
  await changeRecorded(workflow, `do it: ${what}`, run, act, deps);
  const isThere = (state: EndpointState) => !isChanging(state) && isPlaced(state);
  const isDone = (state: EndpointState | null, now: number) =>
    state === null || isThere(state) || (isAtRest(state) && now >= begunAt + NOTICING_MS);
  const sent = await sendSlices(
    workflow,
    run,
    known,
    {
      phase: 'the failure comes into place',
      since: begunAt,
      deadline: begunAt + PLACING_MS,
      until: (slices, now) => {
        const state = lastState(slices);
        return state !== undefined && isDone(state, now);
      },
    },
    deps,
  );
  goOn(known, sent);
  const { state } = sent;
  if (state === null || !isThere(state)) throw fail(known, whyNot(what, state, sent, known.snapshot));
  failure.state = state;
}

/** Nothing goes on at the endpoint by its status: also where something was left undone. */
function isAtRest({ status, pending }: EndpointState): boolean {
  return pending === null && !status.endsWith('ing');
}

/** @param what was to come into place */
function whyNot(
  what: string,
  state: EndpointState | null,
  { ended }: Sent,
  { state: before }: Prepared['snapshot'],
): string {
  if (state === null) return DELETED;
  const { status, config, failureReason } = state;
  const said = failureReason === null ? 'SageMaker does not say why' : `SageMaker says: ${failureReason}`;
  if (ended === 'late')
    return `${what}: it did not come into place within ${formatDuration(PLACING_MS)} (${status})`;
  const done = weightDifferences(before, state);
  if (state.config === before.config && done.length > 0)
    return `${what}: SageMaker did only a part of it (${several(done)}); ${said}`;
  return `${what}: SageMaker took it back, and the endpoint is ${status} on the endpoint configuration ${config}; ${said}`;
}

/** Takes over what a stretch of traffic has left, and breaks off where it was stopped. */
export function goOn(known: Pick<Prepared, 'slices'>, { slices, ended, why }: Sent): void {
  known.slices = slices;
  if (ended === 'stopped') throw stopped(why);
}

/** What a drill that goes no further is broken off with. */
function fail({ measured }: Prepared, why: string): NotDrilled {
  if (measured.failure !== null) measured.failure.why = why;
  return new NotDrilled(why);
}

// ---------------------------------------------------------------------------------------------------------
// The proof that the bad model serves
// ---------------------------------------------------------------------------------------------------------

/** @param share of the traffic that it is to have, 0 to 1 */
async function prove(
  workflow: Workflow,
  run: Run,
  known: Prepared,
  variant: string,
  share: number,
  deps: RollbackDrillDependencies,
): Promise<void> {
  const { measured, marks } = known;
  const { failure, traffic } = run.drill.value;
  if (measured.failure === null) return;
  const provingMs = Math.max(PROVING_MS, (1000 * PROVING_REQUESTS) / traffic.perSecond);
  const since = await workflow.step('look for the bad model', async () => deps.now());
  const sent = await sendSlices(
    workflow,
    run,
    known,
    {
      phase: 'until the bad model serves',
      since,
      deadline: since + provingMs,
      until: (slices) => isProven(allRequests({ slices: attributed(slices, failure) }), share),
    },
    deps,
  );
  goOn(known, sent);
  if (sent.ended !== 'over') {
    const { bad, previous, nobody } = sent.tally;
    const total = Object.values(sent.tally).reduce((sum, count) => sum + count, 0);
    throw fail(
      known,
      `${measured.failure.what}: the bad model (variant ${variant}) was not seen to answer its part of the traffic within ${formatDuration(provingMs)}: of ${countOf(total, 'request')} it answered ${bad}, the previous model ${previous}, and ${nobody} got no answer`,
    );
  }
  measured.failure.servesAt = sent.at;
  measured.failure.why = null;
  marks.push({ at: sent.at, what: 'bad model serves' });
}

// ---------------------------------------------------------------------------------------------------------
// A deployment that its guardrail has to take back
// ---------------------------------------------------------------------------------------------------------

/**
 * Deploys the same model anew, sets off the alarm of the guardrail, and watches what that does. What came of it is in
 * `known`, also where it throws.
 *
 * @returns the endpoint as it was last seen
 * @throws NotDrilled where the deployment did not go on
 * @throws GateDependencyError, GateInputError where AWS does not do what it is asked for
 */
export async function breakGuardrail(
  workflow: Workflow,
  run: Run,
  known: Prepared,
  deps: RollbackDrillDependencies,
): Promise<EndpointState | null> {
  const { snapshot, alarm, measured, marks } = known;
  const { endpoint, within, steady } = run.drill.value;
  const { config } = namesOf(run.token);
  if (alarm === null) return null;
  await workflow.step('make an endpoint configuration that says the same', () =>
    cloneConfig(deps.sagemaker, { from: snapshot.state.config, to: config, tags: tagsOf(run) }),
  );
  const what = `the same model deployed anew, with ${alarm.name} in ALARM meanwhile`;
  const { begunAt, failure } = await beginFailure(
    workflow,
    run,
    known,
    { kind: 'breakGuardrail', what },
    deps,
  );
  await changeRecorded(
    workflow,
    'deploy the same model anew',
    run,
    () => updateEndpoint(deps.sagemaker, { endpoint, config, retain: true }),
    deps,
  );

  const ours = (state: EndpointState | null | undefined) =>
    state?.status === 'Updating' && state.pending === config;
  const deploying = await sendSlices(
    workflow,
    run,
    known,
    {
      phase: 'the deployment begins',
      since: begunAt,
      deadline: begunAt + PLACING_MS,
      until: (slices, now) => {
        const state = lastState(slices);
        if (state === undefined) return false;
        return state === null || ours(state) || (isAtRest(state) && now >= begunAt + NOTICING_MS);
      },
    },
    deps,
  );
  goOn(known, deploying);
  if (!ours(deploying.state))
    throw fail(known, whyNot('the deployment', deploying.state, deploying, snapshot));
  failure.state = deploying.state;

  /** Whether there was something to set it off for. */
  const ring = async (): Promise<boolean> => {
    if (!ours(await readEndpoint(deps.sagemaker, endpoint, deps.now))) return false;
    const reason = `Rollback drill ${run.drill.name}: does the deployment guardrail of ${endpoint} roll back?`;
    await setAlarm(deps.cloudwatch, alarm.name, 'ALARM', reason);
    return true;
  };
  const rungAt = await workflow.step('begin to set off the alarm', async () => {
    await run.report(`setting off ${alarm.name}`);
    return deps.now();
  });
  // An attempt that died has set it off, where it rings and the deployment is over.
  const isRung = await workflow.step(
    'set off the alarm',
    async () => (await ring()) || (await alarmStates(deps.cloudwatch, [alarm.name]))[alarm.name] === 'ALARM',
  );
  if (!isRung)
    throw fail(
      known,
      'the deployment was over before the alarm could be set off: its guardrail does not wait',
    );
  failure.servesAt = rungAt;
  failure.why = null;
  measured.procedure = guardrailEnd(null, rungAt, snapshot.state.config, alarm.name);
  marks.push({ at: rungAt, what: 'procedure begins' });
  const first = known.slices;
  const watched = await sendSlices(
    workflow,
    run,
    known,
    {
      phase: 'until the guardrail has rolled back',
      since: rungAt,
      deadline: rungAt + within + steady,
      // CloudWatch evaluates the alarm by itself, and would find it OK.
      before: async () => {
        await ring();
      },
      until: (slices, now) => {
        const endedAt = restOf(slices, rungAt)?.at ?? null;
        return isOver(
          { begunAt: rungAt, endedAt, within, steady },
          attributed(slices, run.drill.value.failure),
          now,
        );
      },
    },
    deps,
  );
  const rest = await workflow.step('see what the guardrail did', async () => {
    const slices = await readSlices(run, first, watched.slices, deps);
    return restOf(slices, rungAt);
  });
  measured.procedure = guardrailEnd(rest, rungAt, snapshot.state.config, alarm.name);
  if (rest !== null) marks.push({ at: rest.at, what: 'procedure ends' });
  marks.push({ at: watched.at, what: 'watching ends' });
  goOn(known, watched);
  return watched.state;
}

/** When a deployment came to rest, and as what; null where it has not. */
function restOf(slices: readonly Slice[], since: number): Slice['states'][number] | null {
  return statesOf(slices).find(({ at, state }) => at >= since && (state === null || isAtRest(state))) ?? null;
}

/**
 * @param original the endpoint configuration that it is to be back at
 * @param alarm that was set off
 */
function guardrailEnd(
  rest: ReturnType<typeof restOf>,
  begunAt: number,
  original: string,
  alarm: string,
): Procedure {
  const end = (outcome: Procedure['outcome'], said: string | null): Procedure => ({
    kind: 'guardrail',
    outcome,
    said,
    begunAt,
    endedAt: rest?.at ?? null,
  });
  if (rest === null) return end('timed-out', 'the deployment was neither taken back nor ended');
  const { state } = rest;
  if (state === null) return end('failed', DELETED);
  const { status, config, failureReason } = state;
  if (status !== 'InService')
    return end('failed', `the endpoint is ${status}: ${failureReason ?? 'nobody says why'}`);
  if (config !== original) return end('failed', 'the deployment went through, whatever its alarm said');
  // A deployment that failed for want of instances is back there, too.
  const isOther = failureReason !== null && !failureReason.includes(alarm) && !/alarm/i.test(failureReason);
  return end(isOther ? 'unknown' : 'succeeded', failureReason);
}
