import { DeleteEndpointCommand, DeleteEndpointConfigCommand } from '@aws-sdk/client-sagemaker';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  CONFIG,
  ENDPOINT,
  ERRORS,
  GUARDED,
  ROLE,
  Staging,
  times,
  UNHEALTHY,
} from '../../support/rollback-drill.ts';

/*
 * The edges of a drill: what comes late, what is rare, what is still in use, and what is gone when it is needed.
 */

const HOUR = 3_600_000;

let staging: Staging;

beforeEach(async () => {
  staging = await Staging.start();
});
afterEach(() => staging.close());

const forbid = (...actions: string[]) => {
  for (const action of actions) staging.world.forbidden.add(`sagemaker:${action}`);
};
const watch = (id: string) => staging.run({}, { event: { watch: true }, id });

describe('a failure', () => {
  test('that is not in place within an hour is given up, and taken back', async () => {
    await staging.world.fault({ endpoint: ENDPOINT, does: 'linger', ms: 1.5 * HOUR });
    // Few requests: it is a long time.
    expect(await staging.run({ traffic: { perSecond: 0.1 } })).toMatchObject({ outcome: 'inconclusive' });
    expect(staging.measured.notDrilled).toBe(
      'all traffic to variant candidate: it did not come into place within 1 h (Updating)',
    );
    expect(staging.world.started).toEqual([]);
    await staging.expectAsFound();
    await staging.world.expectClean();
  });

  test('is proven also where few requests are sent, and half of them get no answer', async () => {
    const refuse = { endpoint: ENDPOINT, does: 'refuse', every: 2, times: 'always' };
    void staging.world.later(11_000, () => staging.world.fault(refuse));
    await staging.run({ traffic: { perSecond: 0.1 } });
    const { begunAt, servesAt } = staging.measured.failure!;
    expect(servesAt! - begunAt).toBeGreaterThan(2 * 60_000);
    expect(staging.world.started).toHaveLength(1);
  });

  test('is not where the alarm that could stop it is no more', async () => {
    void staging.world.later(6_000, () => staging.world.alarms.delete(UNHEALTHY));
    expect(await staging.run()).toMatchObject({ outcome: 'inconclusive', restored: true });
    expect(staging.measured.notDrilled).toBe('stop condition: there is no alarm unhealthy any more');
    await staging.expectAsFound();
  });
});

describe('a guardrail', () => {
  beforeEach(async () => {
    await staging.close();
    staging = await Staging.start({ deploymentConfig: GUARDED });
  });
  const failure = { failure: { breakGuardrail: { alarm: ERRORS } }, procedure: undefined };

  test('sees the alarm also where CloudWatch finds it OK in between', async () => {
    // From the first deployment on the guardrail looks every so often; until then the alarm is OK again at once.
    const { alarms } = staging.world;
    const set = alarms.set.bind(alarms);
    let rung = 0;
    alarms.set = (name, state) =>
      set(name, name === ERRORS && state === 'ALARM' && ++rung === 1 ? 'OK' : state);
    expect(await staging.run({ ...failure, within: '5m' })).toMatchObject({ outcome: 'pass' });
    expect(rung).toBeGreaterThan(1);
  });

  test('has nothing to take back where the deployment comes to nothing by itself', async () => {
    await staging.world.fault({ endpoint: ENDPOINT, does: 'fail' });
    await staging.world.fault({ endpoint: ENDPOINT, does: 'linger', ms: 0 });
    expect(await staging.run(failure)).toMatchObject({ outcome: 'inconclusive', restored: true });
    expect(staging.measured.notDrilled).toBe(
      'the deployment was over before the alarm could be set off: its guardrail does not wait',
    );
    expect(staging.world.alarms.get(ERRORS)).toBe('OK');
    await staging.expectAsFound();
  });

  test('whose alarm would stop the drill is a mistake', async () => {
    expect(await staging.run({ ...failure, stopIf: [ERRORS] })).toMatchObject({
      error: 'GateInputError',
      message: 'stopIf names errors-5xx, the alarm that the drill itself sets off',
    });
    expect(staging.world.changes).toEqual([]);
  });
});

describe('preflight', () => {
  test('asks again where a request fails, and gives up the third time', async () => {
    const refuse = { endpoint: ENDPOINT, does: 'refuse' };
    await staging.world.fault({ ...refuse, times: 2 });
    expect(await staging.run()).toMatchObject({ outcome: 'pass' });
    await staging.world.fault({ ...refuse, times: 'always' });
    expect(await staging.run({}, { id: 'run-2' })).toMatchObject({ outcome: 'inconclusive' });
  });

  test('refuses an endpoint that nothing could bring back', async () => {
    await staging.world.sagemaker.send(new DeleteEndpointConfigCommand({ EndpointConfigName: CONFIG }));
    expect(await staging.run()).toMatchObject({
      error: 'GateInputError',
      message: `the endpoint ${ENDPOINT} cannot be drilled: its endpoint configuration ${CONFIG} does not exist, so nothing could bring it back`,
    });
    expect(staging.world.started).toEqual([]);
  });
});

describe('restoring', () => {
  test('removes nothing that the endpoint uses', async () => {
    const arn = await staging.world.package('worse', times(11));
    staging.procedure(() => forbid('UpdateEndpoint'));
    const deployModel = { package: arn, role: ROLE };
    expect(await staging.run({ failure: { deployModel } })).toMatchObject({
      outcome: 'fail',
      restored: false,
    });
    expect(staging.world.changes.filter(({ operation }) => operation.startsWith('Delete'))).toEqual([]);
    staging.world.forbidden.clear();
    expect(await watch('watch')).toEqual({ done: `${ENDPOINT} was restored` });
    await staging.expectAsFound();
    await staging.world.expectClean();
  });

  test('tells nobody of an endpoint that is no more where they know that it could not be restored', async () => {
    staging.procedure(() => forbid('UpdateEndpointWeightsAndCapacities'));
    expect(await staging.run()).toMatchObject({ outcome: 'fail', restored: false });
    await staging.world.sagemaker.send(new DeleteEndpointCommand({ EndpointName: ENDPOINT }));
    await staging.world.sleep(60_000);
    expect(await watch('watch')).toEqual({ done: expect.stringContaining('does not exist any more') });
    expect(staging.world.messages).toHaveLength(1);
    expect(staging.world.left).toEqual([]);
  });

  test('deploys anew once, and not again and again, where another model answers under the right name', async () => {
    staging.procedure(async () => {
      await staging.weigh({ primary: 1, candidate: 0 });
      staging.world.reprogram('good', times(7));
    });
    expect(await staging.run()).toMatchObject({ outcome: 'fail', restored: false });
    staging.world.changes.length = 0;
    await watch('watch');
    expect(staging.world.changes).toEqual([]);
  });

  test('is not done where the model answers with nothing but errors', async () => {
    staging.procedure(async () => {
      await staging.weigh({ primary: 1, candidate: 0 });
      staging.world.reprogram('good', () => {
        throw new Error('no such feature');
      });
    });
    expect(await staging.run()).toMatchObject({ outcome: 'fail', restored: false });
    expect(staging.measured.restoration).toMatchObject({ outcome: 'failed', answers: false });
  });
});

describe('the traffic', () => {
  test('ends with the step that sends it, also where that is abandoned', async () => {
    staging.procedure(() => staging.world.later(50_000, () => {}));
    const deadline = staging.world.now() + 23_000;
    await staging.run({}, { deadline });
    const asked = staging.world.asked.length;
    expect(staging.measured.restoration!.begunAt).toBeLessThan(deadline + 1_000);
    await staging.world.sleep(60_000);
    expect(staging.world.asked).toHaveLength(asked);
  });

  test('that nobody can read any more has no verdict', async () => {
    const { aws } = staging.world;
    void staging.world.later(10_000, () => {
      for (const key of aws.keys('work', `rollback/${ENDPOINT}/`)) {
        if (key.endsWith('slice-0000.json')) aws.objects.delete(`work/${key}`);
      }
    });
    await expect(staging.run()).rejects.toThrow(/slice-0000\.json is gone$/);
    await staging.expectAsFound();
  });
});
