import { afterEach, expect, test } from 'vitest';
import type { Death, DurableService } from '../../support/durable-service.ts';
import { ParityWorld } from '../../support/parity-world.ts';

/*
 * A comparison whose process dies, anywhere: in the end there is the same verdict, it is told once, and nothing is left.
 */

let world: ParityWorld;

afterEach(() => world.close());

const DEATHS: readonly Death[] = ['before it is kept', 'after it is kept'];

/** One function has another time-out in production. */
function arrange(): void {
  world?.close();
  world = new ParityWorld();
  world.estates.production.data.functions['features-3-production']!.Timeout = 900;
}

/** How many runs have written down that they told of a verdict. */
const markers = (what: string) =>
  world.aws.keys('evidence', 'evidence/').filter((key) => key.includes(`/${what}-`)).length;

/** What does not depend on how often the process died. */
const end = () => ({
  verdicts: world.verdicts,
  comparisons: world.evidence('comparison.json').length,
  announced: markers('announced'),
  notified: markers('notified'),
  left: world.left,
});

async function execute({ dies, change }: { dies?: DurableService['dies']; change?: number } = {}) {
  arrange();
  const service = world.durable();
  if (dies !== undefined) service.dies = dies;
  world.aws.diesAfter = change ?? Number.POSITIVE_INFINITY;
  expect(await world.execute(service)).toMatchObject({ result: { outcome: 'fail' } });
  return service;
}

test('dies at any checkpoint of a durable execution', async () => {
  const { checkpoints } = await execute();
  const plain = end();
  expect(plain).toMatchObject({
    verdicts: [{ outcome: 'fail' }],
    comparisons: 1,
    announced: 1,
    notified: 1,
    left: [],
  });
  expect(checkpoints).toBeGreaterThan(20);
  for (let at = 0; at < checkpoints; at++) {
    for (const death of DEATHS) {
      const what = `${death}, checkpoint ${at}`;
      const service = await execute({ dies: (checkpoint) => (checkpoint === at ? death : undefined) });
      expect(service.deaths, what).toBe(1);
      expect(end(), what).toEqual(plain);
      expect([world.messages.length, world.events.length], what).toEqual([1, 1]);
    }
  }
});

test('dies with any change that it makes, in a durable execution', async () => {
  await execute();
  const [plain, changes] = [end(), [...world.aws.changes]];
  for (const [index, what] of changes.entries()) {
    const service = await execute({ change: index + 1 });
    expect(service.deaths, what).toBe(1);
    expect(end(), what).toEqual(plain);
    // Between a message and the note of it nothing can be known.
    expect(world.messages.length, what).toBeLessThanOrEqual(2);
    expect(world.events.length, what).toBeLessThanOrEqual(2);
  }
});

test('dies with any change that it makes, in one process that Lambda tries again', async () => {
  arrange();
  await world.run();
  const [plain, changes] = [end(), [...world.aws.changes]];
  for (const [index, what] of changes.entries()) {
    arrange();
    world.aws.diesAfter = index + 1;
    await expect(world.run(), what).rejects.toThrow('the process died');
    world.aws.diesAfter = Number.POSITIVE_INFINITY;
    expect(await world.run(), what).toMatchObject({ outcome: 'fail' });
    expect(end(), what).toEqual(plain);
    expect(world.messages.length, what).toBeLessThanOrEqual(2);
  }
});
