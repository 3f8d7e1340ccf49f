import { GateDependencyError } from '../shared/errors.ts';
import { verdictFolder, verdictId } from '../shared/identity.ts';
import { tellOnce } from '../shared/outlets.ts';
import type { Ignored } from '../shared/verdict.ts';
import { TOCSIN_VERSION } from '../shared/version.ts';
import type { Workflow } from '../shared/workflow.ts';
import { restoredMessage } from './messages.ts';
import type { DrillRecord } from './record.ts';
import {
  forget,
  type Restored,
  type Restorer,
  readRecord,
  recorded,
  restore,
  UNPROVED,
} from './restore-workflow.ts';
import { CLAIM_MS, claimOf, type RollbackDrillDependencies, SILENCE_MS } from './run-workflow.ts';
import type { LocatedRollbackDrill } from './schema.ts';

/*
 * Endpoints that a dead run has left changed: restored by the next run, by hand, or by a watch that looks for them again and
 * again. A run that has not claimed its endpoint anew for a while is dead.
 */

/** Something that was done, of which there is no verdict. */
export interface Done {
  /** In a sentence. */
  done: string;
}

/** What came of an endpoint with a record. */
export interface Left extends Restored {
  record: DrillRecord;
}

/**
 * Restores an endpoint that this execution has claimed, where it has a record, and tells the owners: of the same once.
 *
 * @returns null where there is nothing to restore
 * @throws GateDependencyError where something does not answer
 */
export async function restoreLeft(
  workflow: Workflow,
  endpoint: string,
  restorer: Restorer,
  deps: RollbackDrillDependencies,
): Promise<Left | null> {
  const record = await workflow.step('look for what a dead run has left', async () => {
    await restorer.report('looking for what has to be restored');
    return readRecord(endpoint, deps);
  });
  const restored = record === null ? null : await restore(workflow, record, restorer, deps);
  if (record !== null && restored !== null && !restored.isLeftAlone) {
    await tell(workflow, record, restored, deps);
  }
  await workflow.step('remove what dead runs have kept', () =>
    forget(endpoint, restored?.isOver === false ? record : null, deps),
  );
  return record === null || restored === null ? null : { record, ...restored };
}

async function tell(
  workflow: Workflow,
  { drill, token, snapshot, failed }: DrillRecord,
  { restoration }: Restored,
  deps: RollbackDrillDependencies,
): Promise<void> {
  const { outcome, why, state } = restoration;
  // That it is no more was told when it could not be restored.
  if (failed !== null && state === null) return;
  const id = verdictId('rollback-drill', TOCSIN_VERSION, { drill, token, failed: outcome === 'failed', why });
  const key = `${verdictFolder('rollback-drill', drill, 'restored')}${id}.json`;
  await workflow.step('tell that it was restored, or why not', () =>
    tellOnce(deps, key, () => restoredMessage(snapshot.endpoint, drill, restoration, failed?.why ?? null)),
  );
}

/**
 * Restores what a dead run of a drill has left, as somebody asks for by hand.
 *
 * @throws GateDependencyError where it cannot be restored; the owners were told
 */
export async function restoreByHand(
  workflow: Workflow,
  { value }: LocatedRollbackDrill,
  report: Restorer['report'],
  deps: RollbackDrillDependencies,
): Promise<Done | Ignored> {
  const { endpoint } = value;
  return underClaim(workflow, { endpoint, silenceMs: SILENCE_MS }, report, deps, async () => {
    const left = await restoreLeft(workflow, endpoint, { execution: workflow.id, report }, deps);
    if (left === null) return { done: `${endpoint}: nothing was left to restore` };
    if (!left.isOver || left.restoration.outcome === 'failed') {
      throw new GateDependencyError(textOf(left), {
        help: 'See "Not as it was found" in the runbook, docs/rollback-drill.md.',
      });
    }
    return { done: textOf(left) };
  });
}

/** Restores the endpoints of all runs that died. */
export async function watch(workflow: Workflow, deps: RollbackDrillDependencies): Promise<Done> {
  const endpoints = await workflow.step('look for endpoints that were left', () => recorded(deps));
  if (endpoints.length === 0) return { done: 'nothing was left to restore' };
  const report = async () => {};
  const done = await workflow.map('restore each endpoint', endpoints, (part, endpoint) =>
    underClaim(part, { endpoint, silenceMs: CLAIM_MS }, report, deps, async () => {
      const left = await restoreLeft(part, endpoint, { execution: part.id, report }, deps);
      return { done: left === null ? `${endpoint}: nothing was left to restore` : textOf(left) };
    }),
  );
  return { done: done.map((one) => ('done' in one ? one.done : one.ignored)).join('; ') };
}

/**
 * Does something with an endpoint that nobody else is at.
 *
 * @param silenceMs after how long without a sign of life somebody else is taken for dead
 */
async function underClaim<Answer>(
  workflow: Workflow,
  { endpoint, silenceMs }: { endpoint: string; silenceMs: number },
  report: Restorer['report'],
  { work, warn }: RollbackDrillDependencies,
  body: () => Promise<Answer>,
): Promise<Answer | Ignored> {
  const key = claimOf(endpoint);
  const { owner, until } = await workflow.step(`claim the endpoint ${endpoint}`, async () => {
    await report('claiming the endpoint');
    return {
      owner: await work.claim(key, workflow.id, CLAIM_MS, silenceMs),
      until: await work.claimedUntil(key),
    };
  });
  if (owner !== workflow.id) {
    const takenFrom = until === undefined ? 'now' : timeOf(until - CLAIM_MS + silenceMs);
    return {
      ignored: `${endpoint}: the execution ${owner} is at it; unless it gives another sign of life, it is taken for dead from ${takenFrom} on`,
    };
  }
  try {
    return await body();
  } finally {
    await workflow
      .step('release the claim', () => work.release(key, workflow.id))
      .catch((error) => warn('the claim was not released', error));
  }
}

/** `2026-11-22T18:41:07Z` */
function timeOf(at: number): string {
  return new Date(at).toISOString().replace(/\.\d+Z$/, 'Z');
}

/** `churn: restored`, in a sentence. */
function textOf({ record, restoration, isOver, isLeftAlone }: Left): string {
  const { endpoint } = record.snapshot;
  const { outcome, why, actions } = restoration;
  if (isLeftAlone) return `${endpoint}: ${actions.join(', ')}`;
  if (outcome === 'failed') return `${endpoint} could not be restored: ${why}`;
  if (!isOver) return `${endpoint}: ${UNPROVED}`;
  return outcome === 'unneeded' ? `${endpoint} was as it was found already` : `${endpoint} was restored`;
}
