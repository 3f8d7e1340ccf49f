import { DeleteAlarmsCommand, SetAlarmStateCommand } from '@aws-sdk/client-cloudwatch';
import { afterEach, describe, expect, test } from 'vitest';
import type { LivePhase } from '../../../functions/alarm-drill/measurements.ts';
import { type AlarmChange, DrillWorld, type Emitter } from '../../support/alarm-drill.ts';

/*
 * The real alarm, driven through its real metric while the real emitter goes on.
 */

const MINUTE = 60_000;

const CONFIG = `alarmDrills:
  drift:
    alarm: drift-alarm
    mode: live
    live: { because: churn is a staging endpoint }
    intended:
      fires: '>= 0.2'
      within: 5m
      metric: { namespace: ML, name: psi, dimensions: { Endpoint: churn } }
`;

let world: DrillWorld;
afterEach(() => world.close());

async function arrange(alarm: AlarmChange = {}, emitter: Partial<Emitter> = {}): Promise<void> {
  world = await DrillWorld.start();
  world.emits({
    metric: { namespace: 'ML', name: 'psi', dimensions: { Endpoint: 'churn' } },
    everyMs: MINUTE,
    value: () => 0.05,
    ...emitter,
  });
  await world.alarm({ AlarmName: 'drift-alarm', ...alarm });
}

const phases = (): LivePhase[] => world.measurements.phases;
const outcomes = () =>
  world.verdict.findings
    .filter(({ check }) => ['live-under', 'live-over', 'recovery'].includes(check))
    .map(({ check, outcome }) => `${check} ${outcome}`)
    .sort();

describe('a drill of the real alarm', () => {
  test('stays quiet just under the threshold, fires just over it, and is OK again', async () => {
    await arrange();
    expect(await world.run(CONFIG)).toMatchObject({ outcome: 'pass' });
    expect(outcomes()).toEqual(['live-over pass', 'live-under pass', 'recovery pass']);
    expect(phases().map(({ phase, value, state }) => [phase, value, state])).toEqual([
      ['under', expect.closeTo(0.19), 'OK'],
      ['over', expect.closeTo(0.21), 'ALARM'],
      ['healthy', undefined, 'OK'],
    ]);
    world.expectClean(['ML']);
  });

  test('has its own people hear it, once', async () => {
    await arrange();
    await world.run(CONFIG);
    expect(world.messaging.delivered.map(({ subject }) => subject)).toEqual([
      'ALARM: "drift-alarm" in US East (N. Virginia)',
    ]);
    expect(world.messaging.queues.size).toBe(0);
  });

  test('outnumbers the real emitter, whatever that says', async () => {
    await arrange({}, { count: 50 });
    await world.run(CONFIG);
    const [under, over] = phases();
    // The first period may have begun before the injection did.
    for (const { value } of under!.metric.slice(1)) expect(value).toBeCloseTo(0.19, 4);
    for (const { value } of over!.metric.slice(1, -1)) expect(value).toBeCloseTo(0.21, 4);
    expect(outcomes()).toEqual(['live-over pass', 'live-under pass', 'recovery pass']);
  });

  test('stops as soon as the alarm fires', async () => {
    await arrange();
    await world.run(CONFIG);
    const [, over] = phases();
    const fired = over!.transitions.find(({ to }) => to === 'ALARM')!;
    expect(over!.endedAt - fired.at).toBeLessThanOrEqual(MINUTE);
    const puts = world.calls.filter(({ operation }) => operation === 'PutMetricData');
    const values = puts.map(({ input }) => (input.MetricData as { Values: number[] }[])[0]!.Values[0]!);
    expect(values.filter((value) => value > 0.2)).toHaveLength(3);
  });

  test('goes no further where it fires already under the threshold', async () => {
    await arrange({ Threshold: 0.1 });
    expect(await world.run(CONFIG)).toMatchObject({ outcome: 'fail' });
    expect(phases().map(({ phase }) => phase)).toEqual(['under', 'healthy']);
    expect(outcomes()).toContain('live-under fail');
    world.expectClean(['ML']);
  });

  test('fails where the alarm does not fire', async () => {
    await arrange({ Threshold: 1 });
    expect(await world.run(CONFIG)).toMatchObject({ outcome: 'fail' });
    expect(outcomes()).toEqual(['live-over fail', 'live-under pass', 'recovery pass']);
    expect(world.messaging.delivered).toEqual([]);
  });

  test('of a sum adds what is missing to it', async () => {
    await arrange({ Statistic: 'Sum', Threshold: 20 }, { value: () => 8 });
    expect(await world.run(CONFIG.replace('0.2', '20'))).toMatchObject({ outcome: 'pass' });
    expect(outcomes()).toEqual(['live-over pass', 'live-under pass', 'recovery pass']);
    const [under] = phases();
    for (const { value } of under!.metric.slice(1, -1)) expect(value).toBeCloseTo(19);
  });

  test('of a percentile outnumbers the real emitter, too', async () => {
    await arrange({ Statistic: undefined, ExtendedStatistic: 'p90' }, { count: 200 });
    expect(await world.run(CONFIG)).toMatchObject({ outcome: 'pass' });
  });

  test('of a maximum leaves it to the larger one', async () => {
    await arrange({ Statistic: 'Maximum' });
    expect(await world.run(CONFIG)).toMatchObject({ outcome: 'pass' });
  });

  test('of an alarm of ten seconds writes data that it sees', async () => {
    await arrange({ Period: 10 }, { everyMs: 10_000, fine: true });
    expect(await world.run(CONFIG.replace('5m', '60s'))).toMatchObject({ outcome: 'pass' });
    expect(outcomes()).toEqual(['live-over pass', 'live-under pass', 'recovery pass']);
  });

  test('is carried by a durable execution, through crashes', async () => {
    await arrange();
    const service = world.durable(CONFIG);
    service.dies = (checkpoint) => (checkpoint % 12 === 11 ? 'before it is kept' : undefined);
    expect(await service.run({ drill: 'drift' })).toMatchObject({ result: { outcome: 'pass' } });
    expect(service.deaths).toBeGreaterThan(3);
    expect(outcomes()).toEqual(['live-over pass', 'live-under pass', 'recovery pass']);
    world.expectClean(['ML']);
  });
});

describe('is refused, and nothing is written', () => {
  test.each<[string, () => Promise<string>, RegExp]>([
    [
      'while the alarm rings',
      async () => {
        await arrange({}, { value: () => 0.5 });
        return CONFIG;
      },
      /^the alarm drift-alarm is ALARM since 2026-01-05T12:.*: a real incident comes first$/,
    ],
    [
      'while the alarm has no data',
      async () => {
        await arrange({ TreatMissingData: 'missing' });
        const { client } = world.cloudwatch;
        const StateValue = 'INSUFFICIENT_DATA';
        await client.send(
          new SetAlarmStateCommand({ AlarmName: 'drift-alarm', StateValue, StateReason: 'test' }),
        );
        return CONFIG;
      },
      /is INSUFFICIENT_DATA since .*, and only one that is OK can be seen to fire/,
    ],
    [
      'where the alarm watches another metric',
      async () => {
        await arrange();
        return CONFIG.replace('Endpoint: churn', 'Endpoint: other');
      },
      /watches ML\/psi\{Endpoint=churn\}, and the drill may write to ML\/psi\{Endpoint=other\} alone \(tocsin\.yaml:9\)/,
    ],
    [
      'of a minimum that the real emitter holds down',
      async () => {
        await arrange({ Statistic: 'Minimum' });
        return CONFIG;
      },
      /the Minimum of ML\/psi.* cannot be driven from outside: what the real emitter says counts as well/,
    ],
    [
      'of a sum that the real emitter varies',
      async () => {
        await arrange({ Statistic: 'Sum', Threshold: 20 }, { value: (at) => (at / MINUTE) % 7 });
        return CONFIG.replace('0.2', '20');
      },
      /that of the real emitter varies by 6$/,
    ],
  ])('%s', async (_what, prepare, message) => {
    const config = await prepare();
    expect(await world.run(config)).toMatchObject({
      drill: 'drift',
      error: 'GateInputError',
      message: expect.stringMatching(message),
    });
    expect(world.messages.map(({ Subject }) => Subject)).toEqual(['Tocsin: alarm drill drift not run']);
    expect(world.written).toEqual([]);
    world.expectClean();
  });

  test('any further once the alarm is deleted', async () => {
    await arrange();
    let waits = 0;
    world.before = async () => {
      waits += 1;
      if (waits !== 4) return;
      await world.cloudwatch.client.send(new DeleteAlarmsCommand({ AlarmNames: ['drift-alarm'] }));
    };
    expect(await world.run(CONFIG)).toMatchObject({
      error: 'GateInputError',
      message: 'the alarm drift-alarm was deleted or replaced while it was drilled',
    });
    expect(world.left).toEqual([]);
  });
});
