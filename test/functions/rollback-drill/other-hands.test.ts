import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Workflow } from '../../../functions/shared/workflow.ts';
import {
  CONFIG,
  configOf,
  type DrillChange,
  ENDPOINT,
  ERRORS,
  GUARDED,
  MACHINE,
  ROLE,
  Staging,
  times,
} from '../../support/rollback-drill.ts';

/*
 * Somebody else changes what a drill works with, while it does: nothing that others did is taken for a rollback, nothing is
 * changed that could not be restored, and nobody's deployment is undone for nothing.
 */

let staging: Staging;

beforeEach(async () => {
  staging = await Staging.start();
});
afterEach(() => staging.close());

const RECORD = `rollback/${ENDPOINT}.json`;

/** The same workflow, which lets something happen before the first step or wait whose name ends so. */
function meddled(inner: Workflow, name: string, act: () => unknown): Workflow {
  let isDone = false;
  const before = async (step: string) => {
    if (isDone || !step.endsWith(name)) return;
    isDone = true;
    await act();
  };
  const of = (workflow: Workflow): Workflow => ({
    id: workflow.id,
    step: async (step, work) => {
      await before(step);
      return workflow.step(step, work);
    },
    wait: async (step, ms) => {
      await before(step);
      return workflow.wait(step, ms);
    },
    waitUntil: (step, ask, patience) => workflow.waitUntil(step, ask, patience),
    map: (step, items, part) => workflow.map(step, items, (one, item, index) => part(of(one), item, index)),
  });
  return of(inner);
}

/** Drills, and lets something happen before a step. */
function drill(name: string, act: () => unknown, change: DrillChange = {}) {
  const workflow = meddled(staging.world.workflow(), name, act);
  return staging.drill(workflow, configOf(change), { drill: 'staging' }, staging.world.deps());
}

/** Another endpoint configuration, as somebody deploys it. */
async function deployNew(): Promise<void> {
  await staging.world.config('new', [
    { name: 'primary', model: 'stale', instances: 2 },
    { name: 'candidate', model: 'bad', weight: 0 },
  ]);
  await staging.deploy('new');
  await staging.world.settled();
}

describe('somebody else', () => {
  test('who has moved the traffic back is not the procedure', async () => {
    staging.procedure(() => 'done');
    const back = async () => {
      await staging.weigh({ primary: 1, candidate: 0 });
      await staging.world.sleep(5_000);
    };
    expect(await drill('for an invocation of its own', back)).toMatchObject({ outcome: 'inconclusive' });
    expect(staging.measured.notDrilled).toContain('somebody else has changed the endpoint');
    expect(staging.world.started).toEqual([]);
    await staging.expectAsFound();
    await staging.world.expectClean();
  });

  test('who deploys before the failure keeps what they have deployed', async () => {
    const answer = await drill('begin simulating the failure: all traffic to variant candidate', deployNew);
    expect(answer).toMatchObject({ outcome: 'inconclusive', restored: true });
    expect(staging.measured.notDrilled).toContain(`its configuration is new instead of ${CONFIG}`);
    expect(await staging.look()).toMatchObject({ status: 'InService', config: 'new' });
    await staging.world.expectClean();
  });

  test.each([
    'begin simulating the failure: all traffic to variant candidate',
    'do it: all traffic to variant candidate',
  ])('who has taken the run for dead keeps it from changing anything (%s)', async (step) => {
    const take = () => staging.world.aws.objects.delete(`work/${RECORD}`);
    expect(await drill(step, take)).toMatchObject({ outcome: 'inconclusive' });
    expect(staging.measured.notDrilled).toContain('not written down any more');
    expect(staging.world.changes).toEqual([]);
    await staging.world.expectClean();
  });
});

describe('a record', () => {
  const watch = (id: string) => staging.run({}, { event: { watch: true }, id });
  const record = () => JSON.parse(staging.world.aws.get('work', RECORD).body.toString());
  const doNothing = () => staging.procedure(() => {});

  /** Lets a drill end with an endpoint that it could not restore. */
  async function failToRestore(): Promise<void> {
    doNothing();
    const forbid = () => staging.world.forbidden.add('sagemaker:UpdateEndpointWeightsAndCapacities');
    expect(await drill('begin to restore', forbid)).toMatchObject({ outcome: 'fail', restored: false });
    staging.world.forbidden.clear();
  }

  test('stays until somebody could ask who answers', async () => {
    const refuse = () => staging.world.fault({ endpoint: ENDPOINT, does: 'refuse', times: 'always' });
    expect(await drill('ask whether the previous model answers', refuse)).toMatchObject({
      outcome: 'inconclusive',
      restored: true,
    });
    expect(record().failed.why).toContain('nobody could ask who answers');
    await expect(staging.run({}, { id: 'next' })).rejects.toThrow('nobody could ask who answers');
    await staging.world.fault({ endpoint: ENDPOINT, does: 'refuse', times: 0 });
    expect(await watch('watch')).toEqual({ done: `${ENDPOINT} was as it was found already` });
    await staging.world.expectClean();
  });

  test('of what could not be removed alone leaves the endpoint to others', async () => {
    const arn = await staging.world.package('worse', times(11));
    staging.world.forbidden.add('sagemaker:DeleteModel');
    staging.procedure(() => staging.deploy(CONFIG));
    const failure = { failure: { deployModel: { package: arn, role: ROLE } } };
    expect(await staging.run(failure)).toMatchObject({ outcome: 'pass', restored: true });
    await staging.weigh({ primary: 1, candidate: 1 });
    await staging.world.settled();
    const found = await staging.look();
    await watch('watch-1');
    expect(await staging.look()).toEqual(found);
    staging.world.forbidden.clear();
    await watch('watch-2');
    expect(await staging.look()).toEqual(found);
    expect(staging.world.messages).toHaveLength(1);
    await staging.world.expectClean();
  });

  test('does not undo what somebody else is deploying since restoring failed', async () => {
    await failToRestore();
    await staging.world.config('new', [{ name: 'primary', model: 'stale', instances: 2 }]);
    await staging.deploy('new');
    expect(await watch('watch-1')).toEqual({
      done: `${ENDPOINT}: somebody else deploys new, which has to end first`,
    });
    await staging.world.settled();
    expect(await watch('watch-2')).toEqual({
      done: `${ENDPOINT}: it has new by now, which somebody else has deployed: it was left as it is`,
    });
    expect(await staging.look()).toMatchObject({ status: 'InService', config: 'new' });
    await staging.world.expectClean();
  });

  test('still restores where the deployment of somebody else is taken back', async () => {
    await failToRestore();
    await staging.world.config('new', [{ name: 'primary', model: 'stale', instances: 2 }]);
    await staging.world.fault({ endpoint: ENDPOINT, does: 'fail' });
    await staging.deploy('new');
    await watch('watch-1');
    await staging.world.settled();
    expect(await watch('watch-2')).toEqual({ done: `${ENDPOINT} was restored` });
    await staging.expectAsFound();
    await staging.world.expectClean();
  });

  test('of a guardrail whose alarm was deleted is no trouble', async () => {
    await staging.close();
    staging = await Staging.start({ deploymentConfig: GUARDED });
    const change = { failure: { breakGuardrail: { alarm: ERRORS } }, procedure: undefined };
    const remove = () => staging.world.alarms.delete(ERRORS);
    expect(await drill('set the alarm back', remove, change)).toMatchObject({ restored: true });
    await staging.expectAsFound();
    await staging.world.expectClean();
  });
});

test('an endpoint that the drill of somebody else has changed is not drilled', async () => {
  await staging.world.config('tocsin-drill-0badcafe-bad', [
    { name: 'primary', model: 'stale', instances: 2 },
    { name: 'candidate', model: 'bad', weight: 0 },
  ]);
  await staging.deploy('tocsin-drill-0badcafe-bad');
  await staging.world.settled();
  await staging.foundAnew();
  expect(await staging.run()).toMatchObject({ outcome: 'inconclusive' });
  expect(staging.measured.notDrilled).toContain('another drill has made tocsin-drill-0badcafe-bad');
  expect(staging.world.changes).toEqual([]);
});

test('a run whose traffic breaks off is not taken for dead while its procedure goes on', async () => {
  staging.procedure(() => new Promise(() => {}));
  const watched = staging.world.later(25 * 60_000, () =>
    staging.run({}, { event: { watch: true }, id: 'watch' }),
  );
  const breakOff = () => {
    throw new Error('no memory left');
  };
  const answer = await drill('the procedure runs: slice 8', breakOff, {
    procedure: { stateMachine: MACHINE },
    within: '30m',
  });
  expect(answer).toMatchObject({ outcome: 'inconclusive', restored: true });
  expect(staging.measured.notDrilled).toBe('no memory left');
  expect(await watched).toEqual({ done: expect.stringContaining('is at it') });
  await staging.expectAsFound();
  await staging.world.expectClean();
});

test('a deployment that fails for want of instances is not taken back by its guardrail', async () => {
  await staging.close();
  staging = await Staging.start({ deploymentConfig: GUARDED });
  // Nobody sees the alarm.
  const { alarms } = staging.world;
  const set = alarms.set.bind(alarms);
  alarms.set = (name) => set(name, 'OK');
  await staging.world.fault({ endpoint: ENDPOINT, does: 'fail', reason: 'no capacity', times: 'always' });
  const change = { failure: { breakGuardrail: { alarm: ERRORS } }, procedure: undefined, within: '5m' };
  expect(await staging.run(change)).toMatchObject({ outcome: 'inconclusive', restored: true });
  expect(staging.verdict.findings.find(({ check }) => check === 'procedure')?.message).toMatch(
    /^Whether the guardrail rolls back by itself is not known: the deployment was taken back after .* for a reason that names no alarm: no capacity\.$/,
  );
});

test('the timeline of the evidence shows errors of a faulty model as its answers, and none from before', async () => {
  const arn = await staging.world.package('faulty', () => {
    throw new Error('no such feature');
  });
  staging.procedure(() => staging.deploy(CONFIG));
  await staging.world.fault({ endpoint: ENDPOINT, does: 'refuse', every: 12, times: 1 });
  const change = {
    failure: { deployModel: { package: arn, role: ROLE, faulty: true } },
    allow: { errorRate: '50%' },
  };
  expect(await staging.run(change)).toMatchObject({ outcome: 'pass' });
  const requests = staging.timeline.slices.flatMap((slice) => slice.requests);
  const failed = requests.filter(({ error }) => error?.startsWith('ModelError'));
  expect(failed.length).toBeGreaterThan(10);
  expect(new Set(failed.map(({ who }) => who))).toEqual(new Set(['bad']));
});
