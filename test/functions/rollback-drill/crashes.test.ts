import { afterEach, describe, expect, test } from 'vitest';
import type { Death, DurableService } from '../../support/durable-service.ts';
import {
  CONFIG,
  type DrillChange,
  ERRORS,
  GUARDED,
  MACHINE,
  ROLE,
  Staging,
  times,
} from '../../support/rollback-drill.ts';

/*
 * A drill whose process dies, anywhere: in the end the verdict is the same, the endpoint is as it was found, the procedure
 * was not started twice for one failure, nothing is left, and no traffic outlives the drill.
 */

let staging: Staging;

afterEach(() => staging.close());

/** As little as there is to drill. */
const SMALL: DrillChange = {
  procedure: { stateMachine: MACHINE },
  traffic: { perSecond: 2 },
  within: '20s',
  steady: '10s',
};

const DEATHS: readonly Death[] = ['before it is kept', 'after it is kept'];

interface Case {
  options?: Parameters<typeof Staging.start>[0];
  /** What there is besides, and what is different about the drill. */
  arrange?: () => Promise<DrillChange>;
}

const CASES: Record<string, Case> = {
  'by weights': {},
  'by a deployment': {
    arrange: async () => {
      const arn = await staging.world.package('worse', times(11));
      staging.procedure(() => staging.deploy(CONFIG));
      return { failure: { deployModel: { package: arn, role: ROLE } } };
    },
  },
  'of a guardrail': {
    options: { deploymentConfig: GUARDED },
    arrange: async () => ({ failure: { breakGuardrail: { alarm: ERRORS } }, procedure: undefined }),
  },
};

async function arrange({ options = {}, arrange: more = async () => ({}) }: Case): Promise<DrillChange> {
  await staging?.close();
  staging = await Staging.start(options);
  return { ...SMALL, ...(await more()) };
}

/** How many runs have written down that they told of a verdict. */
const markers = (what: string) =>
  staging.world.aws.keys('evidence', 'evidence/').filter((key) => key.includes(`/${what}-`)).length;

/** What does not depend on how often the process died. */
const end = () => ({
  outcome: staging.verdict.outcome,
  findings: staging.verdict.findings.map(({ check, outcome }) => [check, outcome]).sort(),
  announced: markers('announced'),
  notified: markers('notified'),
});

async function expectEnd(what: string, plain: ReturnType<typeof end>): Promise<void> {
  expect(end(), what).toEqual(plain);
  await staging.expectAsFound();
  await staging.world.expectClean();
  expect(staging.world.alarms.get(ERRORS), what).toBe('OK');
}

async function execute(
  of: Case,
  { dies, change }: { dies?: DurableService['dies']; change?: number } = {},
): Promise<DurableService> {
  const drill = await arrange(of);
  if (change !== undefined) staging.world.aws.diesAfter = staging.world.aws.changes.length + change;
  const service = staging.durable(drill);
  if (dies !== undefined) service.dies = dies;
  expect(await service.run({ drill: 'staging' })).toMatchObject({ result: { outcome: 'pass' } });
  return service;
}

describe.each(Object.entries(CASES))('a drill %s', (_, of) => {
  test('dies after any step of a durable execution', async () => {
    const ends: [checkpoint: number, step: string][] = [];
    await execute(of, {
      dies: (checkpoint, updates) => {
        const step = updates.find(({ Type, Action }) => Type === 'STEP' && Action === 'SUCCEED');
        if (step !== undefined) ends.push([checkpoint, step.Name ?? '']);
        return undefined;
      },
    });
    const plain = end();
    expect(plain).toMatchObject({ outcome: 'pass', announced: 1, notified: 1 });
    expect(ends.length).toBeGreaterThan(25);
    for (const [at, step] of ends) {
      for (const death of DEATHS) {
        const what = `${death}: ${step}`;
        const service = await execute(of, { dies: (checkpoint) => (checkpoint === at ? death : undefined) });
        expect(service.deaths, what).toBe(1);
        await expectEnd(what, plain);
        expect([staging.world.messages.length, staging.world.events.length], what).toEqual([1, 1]);
        expect(staging.world.started.length, what).toBeLessThanOrEqual(1);
      }
    }
  });

  test('dies with any change to the account, in a durable execution', async () => {
    await execute(of);
    const [plain, changes] = [end(), [...staging.world.aws.changes]];
    for (const [index, what] of changes.entries()) {
      const service = await execute(of, { change: index + 1 });
      expect(service.deaths, what).toBe(1);
      await expectEnd(what, plain);
      // Between a message and the note of it nothing can be known.
      expect(staging.world.messages.length, what).toBeLessThanOrEqual(2);
      expect(staging.world.started.length, what).toBeLessThanOrEqual(1);
    }
  });

  test('dies with any change to the account, in one process that Lambda tries again', async () => {
    const first = await arrange(of);
    const before = staging.world.aws.changes.length;
    await staging.run(first);
    const [plain, changes] = [end(), staging.world.aws.changes.slice(before)];
    for (const [index, what] of changes.entries()) {
      const drill = await arrange(of);
      staging.world.aws.diesAfter = staging.world.aws.changes.length + index + 1;
      await expect(staging.run(drill), what).rejects.toThrow('the process died');
      await staging.world.revive();
      expect(await staging.run(drill), what).toMatchObject({ outcome: 'pass' });
      await expectEnd(what, plain);
      const runs = staging.world.started.map(({ input }) => (input as { run?: string }).run);
      expect(new Set(runs).size, what).toBe(runs.length);
    }
  });
});
