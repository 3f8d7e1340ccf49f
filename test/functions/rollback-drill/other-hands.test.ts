import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Workflow } from '../../../functions/shared/workflow.ts';
import { CONFIG, configOf, type DrillChange, ENDPOINT, Staging } from '../../support/rollback-drill.ts';

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
