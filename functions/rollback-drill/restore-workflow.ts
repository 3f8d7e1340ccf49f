import { mapLimit } from '../shared/aws.ts';
import { GateDependencyError, GateInputError, messageOf } from '../shared/errors.ts';
import { clip, listOf } from '../shared/format.ts';
import { ask } from '../shared/golden.ts';
import { tryJson } from '../shared/schema.ts';
import type { Workflow } from '../shared/workflow.ts';
import { alarmStates, setAlarm } from './adapters/alarms.ts';
import { deleteConfig, deleteModel } from './adapters/artifacts.ts';
import { readEndpoint } from './adapters/endpoint.ts';
import { type EndpointState, targetOf } from './endpoint.ts';
import type { Fingerprint, Restoration } from './measurements.ts';
import { whoOf } from './prediction.ts';
import {
  type DrillRecord,
  endpointFolder,
  endpointOf,
  fingerprintsKey,
  isSuperseded,
  namesOf,
  parseRecord,
  RECORDS,
  recordKey,
} from './record.ts';
import { goldenOf, hold, markOf, type RollbackDrillDependencies } from './run-workflow.ts';
import { RESTORING_MS } from './schema.ts';
import { cloneNames } from './steer.ts';
import { steer } from './steer-workflow.ts';

/*
 * Bringing an endpoint back to what it was found as, by the record that was written before anything was changed: whoever
 * finds one does this, the drill itself first of all.
 */

/** How often a golden request is asked until it is answered, and the pause in between. */
const TRIES = 2;
const PAUSE_MS = 2_000;
/** Requests at a time. */
const CONCURRENCY = 4;

/** Endpoints that one look finds; the next finds the others. */
const MOST_RECORDS = 100;

/** What is wrong where nothing but the answers is. */
const OTHERWISE = 'by its description it is as it was, but it does not answer as it did';

/** Why a record stays although nothing seems to be wrong. */
export const UNPROVED = 'by its description it is as it was, but nobody could ask who answers';

/** What is kept of an error. */
const REASON = 600;

/** Who restores. */
export interface Restorer {
  /** Id of the execution, which has the claim of the endpoint. */
  execution: string;
  report: (phase: string) => Promise<void>;
}

/** What came of restoring. */
export interface Restored {
  restoration: Restoration;
  /** Whether the endpoint needs nothing more: it is as it was found, or nobody could make it so any more. */
  isOver: boolean;
  /**
   * The endpoint was left as it is, by what stands in the actions: it needs nothing, or somebody has deployed something else
   * since restoring failed.
   */
  isLeftAlone: boolean;
}

/**
 * Restores an endpoint, asks whether the previous model answers again, removes what the drill has made, and deletes the
 * record. Where that fails the record stays, and says why.
 *
 * @throws GateDependencyError where not even that can be written down, or somebody else restores it by now
 */
export async function restore(
  workflow: Workflow,
  record: DrillRecord,
  { execution, report }: Restorer,
  deps: RollbackDrillDependencies,
): Promise<Restored> {
  const { snapshot, made, token } = record;
  const { endpoint } = snapshot;
  const say: Restorer['report'] = async (phase) => {
    // However long it takes: whenever it says where it is, it is alive.
    await hold(endpoint, execution, deps);
    await report(`restoring: ${phase}`);
  };
  /** Null where there is no endpoint; undefined where nobody can tell. */
  const look = (name: string): Promise<EndpointState | null | undefined> =>
    workflow
      .step(name, () => readEndpoint(deps.sagemaker, endpoint, deps.now))
      .catch((error) => {
        deps.warn('the endpoint could not be read', error);
        return undefined;
      });
  const begunAt = await workflow.step('begin to restore', async () => {
    await say('looking at the endpoint');
    return deps.now();
  });
  const before = await look('look at what is to be restored');
  const whole = (came: Omit<Restoration, 'begunAt' | 'endedAt'>, endedAt: number): Restoration => ({
    ...came,
    begunAt,
    endedAt,
  });
  const leaveAlone = async (state: EndpointState | null, why: string): Promise<Restored> => {
    const endedAt = await finish(workflow, record, { state, why: null }, { execution, report }, deps);
    const restoration = whole(
      { outcome: 'unneeded', actions: [why], why: null, state, answers: null },
      endedAt,
    );
    return { restoration, isOver: true, isLeftAlone: true };
  };
  if (before !== undefined && record.failed?.onlyMade === true) {
    return leaveAlone(before, 'it was restored before, and what the drill has made was left');
  }
  if (before && isSuperseded(record, before.config)) {
    return leaveAlone(
      before,
      `it has ${before.config} by now, which somebody else has deployed: it was left as it is`,
    );
  }
  if (before?.pending != null && isSuperseded(record, before.pending)) {
    // Whether it stays so is known once that has ended. Until then the record says what else is to be done.
    const why = `somebody else deploys ${before.pending}, which has to end first`;
    const restoration = whole(
      { outcome: 'failed', actions: [why], why, state: before, answers: null },
      begunAt,
    );
    return { restoration, isOver: false, isLeftAlone: true };
  }

  const faults: string[] = [];
  const attempt = async <T>(work: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await work();
    } catch (error) {
      faults.push(clip(messageOf(error), REASON));
      return undefined;
    }
  };
  const { alarm } = made;
  if (alarm !== null) {
    // The first: while it rings, a guardrail would take back what restores.
    await attempt(() =>
      workflow.step('set the alarm back', async () => {
        // One that was deleted meanwhile rings no more.
        if ((await alarmStates(deps.cloudwatch, [alarm.name]))[alarm.name] === null) return;
        await setAlarm(deps.cloudwatch, alarm.name, alarm.state, `Rollback drill ${record.drill} is over`);
      }),
    );
  }
  const { back, again } = namesOf(token);
  const bring = (cloneName: string, anew: boolean) =>
    attempt(() =>
      steer(
        workflow,
        {
          endpoint,
          target: targetOf(snapshot),
          configSha256: snapshot.configSha256,
          anew,
          cloneName,
          timeoutMs: RESTORING_MS,
          report: say,
        },
        deps,
      ),
    );
  const check = (name: string): Promise<Told> =>
    workflow
      .step(name, () => answersAsBefore(record, say, deps))
      .catch((error) => {
        deps.warn('nobody could ask who answers', error);
        // What the models were asked may be gone for good.
        return { answers: null, mayBeAsked: !(error instanceof GateInputError) };
      });

  let steered = await bring(back, false);
  const actions = [...(steered?.actions ?? [])];
  let told = await check('ask whether the previous model answers');
  let isNeeded = steered?.outcome !== 'unneeded';
  const isThere = steered !== undefined && steered.outcome !== 'failed';
  if (record.failed === null && told.answers === false && isThere) {
    // Everything is called as it was, and something else serves: it is deployed anew, once.
    isNeeded = true;
    steered = await bring(again, true);
    actions.push(...(steered?.actions ?? []));
    told = await check('ask once more whether the previous model answers');
  }
  const { answers, mayBeAsked } = told;
  if (steered !== undefined && steered.why !== null) faults.push(steered.why);
  else if (answers === false) faults.push(OTHERWISE);

  // However far that has come.
  const looked = await look('look at what was restored');
  const state = looked === undefined ? (steered?.state ?? undefined) : looked;
  const isFine = faults.length === 0 && state !== null;
  const why = isFine ? null : listOf(faults, 'and then');
  const unproved = isFine && answers === null && mayBeAsked ? UNPROVED : null;
  const endedAt = await finish(
    workflow,
    record,
    { state, why: why ?? unproved },
    { execution, report },
    deps,
  );
  const outcome = !isFine ? 'failed' : isNeeded ? 'restored' : 'unneeded';
  const came = { outcome, actions, why, state: state ?? null, answers } as const;
  const isOver = (isFine && unproved === null) || state === null;
  return { restoration: whole(came, endedAt), isOver, isLeftAlone: false };
}

/**
 * Takes back a drill that has not changed its endpoint: what it has made is removed, and its record. The endpoint itself is
 * left to whoever may have changed it meanwhile.
 *
 * @throws GateDependencyError where that cannot be written down, or somebody else is at the endpoint by now
 */
export async function withdraw(
  workflow: Workflow,
  record: DrillRecord,
  { execution, report }: Restorer,
  deps: RollbackDrillDependencies,
): Promise<void> {
  const { endpoint } = record.snapshot;
  const state = await workflow
    .step('look at what is left as it is', async () => {
      await report('removing what the drill has made');
      return readEndpoint(deps.sagemaker, endpoint, deps.now);
    })
    .catch((error) => {
      deps.warn('the endpoint could not be read', error);
      return undefined;
    });
  await finish(workflow, record, { state, why: null }, { execution, report }, deps);
}

/**
 * Removes what the drill has made and the endpoint does not use, and then the record, where the endpoint is as it was
 * found, or is no more. Otherwise the record stays, and says why.
 *
 * @returns when that was done, milliseconds since 1970
 */
async function finish(
  workflow: Workflow,
  record: DrillRecord,
  { state, why }: { state: EndpointState | null | undefined; why: string | null },
  { execution }: Restorer,
  deps: RollbackDrillDependencies,
): Promise<number> {
  const { endpoint } = record.snapshot;
  const left =
    state === undefined
      ? ['what the drill has made, as long as nobody can say what the endpoint uses']
      : await workflow.step('remove what the drill has made', () => removeMade(record, state, deps));
  if (left.length > 0) deps.warn('something could not be removed', new GateDependencyError(left.join('; ')));
  return workflow.step('write down that it is restored, or why not', async () => {
    // Whoever has taken over has the say.
    await hold(endpoint, execution, deps);
    const isOver = state === null || (why === null && left.length === 0);
    if (isOver) await deps.work.deleteObject(recordKey(endpoint));
    else {
      const failed = {
        why: clip(why ?? left.join('; '), REASON),
        config: state?.config ?? null,
        onlyMade: why === null,
      };
      await deps.work.put(recordKey(endpoint), { text: JSON.stringify({ ...record, failed }) });
    }
    return deps.now();
  });
}

/** @returns what could not be removed, and why; what the endpoint uses is no fault */
async function removeMade(
  { made, token }: DrillRecord,
  state: EndpointState | null,
  { sagemaker }: RollbackDrillDependencies,
): Promise<string[]> {
  const { back, again } = namesOf(token);
  const copies = [back, again].flatMap(cloneNames);
  const inUse = state === null ? [] : [state.config, ...(state.pending === null ? [] : [state.pending])];
  const configs = [...made.configs, ...copies];
  const faults: string[] = [];
  const remove = (work: Promise<void>) =>
    work.catch((error) => {
      faults.push(clip(messageOf(error), REASON));
    });
  for (const config of configs) if (!inUse.includes(config)) await remove(deleteConfig(sagemaker, config));
  // A copy of the original has none of them.
  if (!made.configs.some((config) => inUse.includes(config))) {
    for (const model of made.models) await remove(deleteModel(sagemaker, model));
  }
  return faults;
}

/** Whether the previous models answer; null where nobody could ask, which may be tried again or not. */
interface Told {
  answers: boolean | null;
  mayBeAsked: boolean;
}

/** Whether every golden request is answered as the models did that served before. */
async function answersAsBefore(
  { golden, snapshot, token }: DrillRecord,
  say: Restorer['report'],
  deps: RollbackDrillDependencies,
): Promise<Told> {
  await say('asking whether the previous model answers');
  const { endpoint } = snapshot;
  const { sha256, content, tolerance } = golden;
  const stored = await deps.work.read(fingerprintsKey(endpoint, token));
  // It is what the drill has written, and nobody else writes there.
  const fingerprints = tryJson(stored ?? '') as Fingerprint[] | undefined;
  if (fingerprints === undefined) return { answers: null, mayBeAsked: false };
  const requests = await goldenOf(deps.s3, golden, sha256)();
  const answers = await mapLimit([...requests.entries()], CONCURRENCY, async ([index, { body }]) => {
    for (let attempt = 1; ; attempt++) {
      const answer = await ask(deps.runtime, { endpoint, content, body, mark: markOf(token) });
      if (!('error' in answer))
        return whoOf(answer.prediction, index, fingerprints, tolerance) === 'previous';
      if (attempt === TRIES) return answer.error.startsWith('ModelError') ? false : null;
      await deps.sleep(PAUSE_MS);
    }
  });
  const all = answers.includes(false) ? false : answers.includes(null) ? null : true;
  return { answers: all, mayBeAsked: true };
}

// ---------------------------------------------------------------------------------------------------------
// Records that others have left
// ---------------------------------------------------------------------------------------------------------

/**
 * Reads the record of an endpoint.
 *
 * @returns null where there is none: nothing has to be restored
 * @throws GateInputError where it cannot be read
 */
export async function readRecord(
  endpoint: string,
  { work }: Pick<RollbackDrillDependencies, 'work'>,
): Promise<DrillRecord | null> {
  const key = recordKey(endpoint);
  const text = await work.read(key);
  return text === undefined ? null : parseRecord(text, work.uri(key));
}

/**
 * Removes what runs have kept of an endpoint while they went on, but for its record and what that needs.
 *
 * @param record null where there is none
 * @throws GateDependencyError where S3 does not answer, or refuses
 */
export async function forget(
  endpoint: string,
  record: DrillRecord | null,
  { work }: Pick<RollbackDrillDependencies, 'work'>,
): Promise<void> {
  const needed = record === null ? undefined : fingerprintsKey(endpoint, record.token);
  for await (const keys of work.list(endpointFolder(endpoint))) {
    await mapLimit(
      keys.filter((key) => key !== needed),
      CONCURRENCY,
      (key) => work.deleteObject(key),
    );
  }
}

/**
 * Endpoints that have a record, in the order of their names; at most a hundred.
 *
 * @throws GateDependencyError where S3 does not answer, or refuses
 */
export async function recorded({ work }: Pick<RollbackDrillDependencies, 'work'>): Promise<string[]> {
  const endpoints: string[] = [];
  for await (const keys of work.list(RECORDS))
    endpoints.push(...keys.flatMap((key) => endpointOf(key) ?? []));
  return endpoints.sort().slice(0, MOST_RECORDS);
}
