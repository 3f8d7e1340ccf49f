import {
  DeleteAlarmsCommand,
  PutCompositeAlarmCommand,
  PutMetricAlarmCommand,
} from '@aws-sdk/client-cloudwatch';
import { S3Client } from '@aws-sdk/client-s3';
import { DescribeEndpointCommand } from '@aws-sdk/client-sagemaker';
import { InvokeEndpointCommand } from '@aws-sdk/client-sagemaker-runtime';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { DrillAnswer } from '../../../functions/alarm-drill/drill-workflow.ts';
import { bracketOf } from '../../../functions/alarm-drill/ladder.ts';
import { batchOf } from '../../../functions/alarm-drill/rounds-workflow.ts';
import { DRILL_NAMESPACE, DRILL_TAG, SHADOW, UNTIL_TAG } from '../../../functions/alarm-drill/schema.ts';
import { GateDependencyError } from '../../../functions/shared/errors.ts';
import type { Profile } from '../../../functions/shared/profile.ts';
import { WorkBucket } from '../../../functions/shared/work.ts';
import { OutOfTimeError } from '../../../functions/shared/workflow.ts';
import type { MetricAlarmConfig } from '../../../sandbox/cloudwatch/schema.ts';
import { type AlarmChange, DrillWorld } from '../../support/alarm-drill.ts';
import type { Death, DurableService } from '../../support/durable-service.ts';

/*
 * The whole workflow over an account on a virtual clock, with both implementations of the port: the local CloudWatch over
 * its wire protocol, topics and queues in memory.
 */

const MINUTE = 60_000;

const CONFIG = `alarmDrills:
  drift:
    alarm: drift-alarm
    intended: { fires: '>= 0.2', within: 5m }
`;

/** The same with further lines of the drill. */
const configOf = (...lines: string[]) => CONFIG + lines.map((line) => `    ${line}\n`).join('');

let world: DrillWorld;

/** An account with the alarm that the drill is about, and its metric, which is emitted each minute. */
async function arrange(alarm: AlarmChange = {}): Promise<void> {
  world = await DrillWorld.start();
  world.emits({
    metric: { namespace: 'ML', name: 'psi', dimensions: { Endpoint: 'churn' } },
    everyMs: MINUTE,
    value: () => 0.05,
  });
  await world.alarm({ AlarmName: 'drift-alarm', ...alarm });
}

beforeEach(() => arrange());
afterEach(() => world.close());

/** Another account in place of that of the test. */
async function arrangeAnew(alarm: AlarmChange = {}): Promise<void> {
  await world.close();
  await arrange(alarm);
}

const PORTS: Record<string, (config: string, event?: object) => Promise<DrillAnswer>> = {
  'in process': (config, event = { drill: 'drift' }) => world.run(config, { event }),
  durable: async (config, event = { drill: 'drift' }) => {
    const ended = await world.durable(config).run(event);
    if ('result' in ended) return ended.result as DrillAnswer;
    throw Object.assign(new Error(ended.error.message), { name: ended.error.name });
  },
};

const subjects = () => world.messages.map(({ Subject }) => Subject);
const findings = (check: string) => world.verdict.findings.filter((one) => one.check === check);
const outcomes = (check: string) => findings(check).map(({ outcome }) => outcome);

/** An error as CloudWatch answers it. */
const refusal = (name: string, status = 400) =>
  Object.assign(new Error(`${name} of the test`), { name, $metadata: { httpStatusCode: status } });

describe.each(Object.entries(PORTS))('a drill, %s', (_port, run) => {
  test('passes where the alarm fires as it is meant to', async () => {
    const answer = await run(CONFIG);
    const { id, subject, gate, inputs } = world.verdict;
    expect(answer).toEqual({
      drill: 'drift',
      alarm: 'drift-alarm',
      outcome: 'pass',
      reason: expect.stringMatching(/^Drill drift: alarm drift-alarm fires as intended/),
      verdict: id,
      evidence: `s3://evidence/evidence/alarm-drill/drift/${id}/verdict.json`,
      findings: [],
    });
    expect({ subject, gate, mode: inputs.mode, drilled: inputs.drilled }).toEqual({
      subject: 'drift',
      gate: 'alarm-drill',
      mode: 'shadow',
      drilled: true,
    });
    // Where the verdict is, everything is.
    const folder = `PutObject evidence/alarm-drill/drift/${id}/`;
    const stored = world.aws.changes.filter((change) => change.startsWith(folder));
    expect(stored.slice(0, 3).map((change) => change.slice(folder.length))).toEqual([
      'measurements.json',
      'report.html',
      'verdict.json',
    ]);
    const page = world.aws.get('evidence', `evidence/alarm-drill/drift/${id}/report.html`).body.toString();
    expect(page).toContain('<h1>Alarm drift-alarm');
    expect(page).not.toContain('could not be drawn');
    expect(subjects()).toEqual(['Tocsin: alarm drill drift passed']);
    expect(world.events).toEqual([
      {
        Entries: [
          {
            EventBusName: 'default',
            Source: 'tocsin',
            DetailType: 'Alarm Drill Finished',
            Detail: JSON.stringify(answer),
            Resources: ['arn:aws:cloudwatch:us-east-1:000000000000:alarm:drift-alarm'],
          },
        ],
      },
    ]);
    expect(world.recorded).toEqual([['drift', { outcome: 'pass', durationMs: expect.any(Number) }]]);
    // 15 ticks, 2 minutes to settle, and hardly anything else.
    expect(world.recorded[0]![1].durationMs / MINUTE).toBeCloseTo(17.1, 0);
    expect(world.warned).toEqual([]);
    expect(world.messaging.delivered, 'people hear nothing').toEqual([]);
    world.expectClean();
  });

  test('names the threshold that an alarm really has', async () => {
    await arrangeAnew({ Threshold: 1 });
    expect(await run(CONFIG)).toMatchObject({ outcome: 'fail' });
    const { quiet, loud } = bracketOf(world.measurements.rounds);
    expect([quiet, loud]).toEqual([4.75, 5]);
    expect(findings('effective-threshold')).toMatchObject([
      { outcome: 'fail', message: expect.stringContaining('times the intended 0.2') },
    ]);
    expect(subjects()).toEqual(['Tocsin: alarm drill drift failed']);
    world.expectClean();
  });

  test('says that an alarm is too slow', async () => {
    await arrangeAnew({ EvaluationPeriods: 10, DatapointsToAlarm: 10 });
    expect(await run(CONFIG)).toMatchObject({ outcome: 'fail' });
    const [late] = findings('ladder-loud').filter(({ outcome }) => outcome === 'fail');
    expect(late?.message).toMatch(/within 5 min/);
    world.expectClean();
  });

  test('that only judges the configuration touches nothing, and waits for nobody', async () => {
    await new WorkBucket(new S3Client({}), 'work').claim('claims/alarm-drill-drift.json', 'another', MINUTE);
    expect(await run(CONFIG, { drill: 'drift', only: 'proof' })).toMatchObject({ outcome: 'pass' });
    expect(world.verdict.notChecked).toContainEqual({
      subject: 'drift-alarm',
      check: 'drill',
      why: 'only the configuration was to be judged',
    });
    expect(world.written).toEqual([]);
    expect(world.left).toEqual(['claims/alarm-drill-drift.json']);
  });

  test('that only judges the configuration closes no gap, and opens one that it fails', async () => {
    const history = () => world.aws.changes.filter((change) => change.includes('history/alarm-drill/'));
    expect(await run(CONFIG, { drill: 'drift', only: 'proof' })).toMatchObject({ outcome: 'pass' });
    expect(history()).toEqual([]);
    await arrangeAnew({ Threshold: 1 });
    expect(await run(CONFIG, { drill: 'drift', only: 'proof' })).toMatchObject({ outcome: 'fail' });
    expect(history()).toHaveLength(1);
  });
});

describe('a drill', () => {
  test('clones the alarm onto metrics of its own, with tags and the probe topic', async () => {
    await world.run(CONFIG);
    const puts = world.calls.filter(({ operation }) => operation === 'PutMetricAlarm');
    expect(puts).toHaveLength(6);
    const [token] = /[0-9a-f]{8}/.exec(String(puts[0]?.input.AlarmName)) ?? [];
    expect(puts[0]?.input).toEqual({
      AlarmName: `${SHADOW}${token}-1-0.5x`,
      AlarmDescription: 'Shadow of drift-alarm in the alarm drill drift, removed when it is over.',
      Namespace: DRILL_NAMESPACE,
      MetricName: `${token}-1-0-0.5x`,
      Dimensions: [
        { Name: 'Drill', Value: 'drift' },
        { Name: 'Run', Value: 'run-1' },
        { Name: 'Rung', Value: '0.5x' },
      ],
      Statistic: 'Average',
      Period: 60,
      EvaluationPeriods: 3,
      DatapointsToAlarm: 2,
      Threshold: 0.2,
      ComparisonOperator: 'GreaterThanOrEqualToThreshold',
      TreatMissingData: 'breaching',
      ActionsEnabled: true,
      AlarmActions: [world.probe],
      OKActions: [world.probe],
      Tags: [
        { Key: DRILL_TAG, Value: 'drift' },
        { Key: 'tocsin:run', Value: 'run-1' },
        { Key: UNTIL_TAG, Value: expect.stringMatching(/^2026-01-05T1[34]/) },
      ],
    });
  });

  test('tells whoever follows it what the alarms do', async () => {
    const phases: string[] = [];
    class Followed extends WorkBucket {
      override async report(run: string | undefined, progress: Parameters<WorkBucket['report']>[1]) {
        phases.push(progress.phase);
        await super.report(run, progress);
      }
    }
    const work = new Followed(new S3Client({}), 'work');
    const answer = await world.run(CONFIG, { event: { drill: 'drift', run: 'mine' }, overrides: { work } });
    expect(phases).toMatchInlineSnapshot(`
      [
        "looking for leftovers",
        "reading the configuration of the alarm",
        "making 6 shadow alarms",
        "warm-up, 0 s: 0 of 6 OK",
        "warm-up, 60 s: 0 of 6 OK",
        "warm-up, 2 min: 6 of 6 OK",
        "warm-up, 3 min: 6 of 6 OK",
        "drift, 0 s: 1.05x OK, 2x OK, 5x OK, silence OK, quiet ones OK",
        "drift, 60 s: 1.05x OK, 2x OK, 5x OK, silence OK, quiet ones OK",
        "drift, 2 min: 1.05x ALARM after 115 s, 2x ALARM after 115 s, 5x ALARM after 115 s, silence OK, quiet ones OK",
        "drift, 3 min: 1.05x ALARM after 115 s, 2x ALARM after 115 s, 5x ALARM after 115 s, silence OK, quiet ones OK",
        "drift, 4 min: 1.05x ALARM after 115 s, 2x ALARM after 115 s, 5x ALARM after 115 s, silence ALARM after 3 min 55 s, quiet ones OK",
        "drift, 5 min: 1.05x ALARM after 115 s, 2x ALARM after 115 s, 5x ALARM after 115 s, silence ALARM after 3 min 55 s, quiet ones OK",
        "drift, 6 min: 1.05x ALARM after 115 s, 2x ALARM after 115 s, 5x ALARM after 115 s, silence ALARM after 3 min 55 s, quiet ones OK",
        "recovery, 0 s: 1.05x ALARM, 2x ALARM, 5x ALARM, silence ALARM, quiet ones OK",
        "recovery, 60 s: 1.05x ALARM, 2x ALARM, 5x ALARM, silence ALARM, quiet ones OK",
        "recovery, 2 min: silence ALARM, 1.05x OK after 115 s, 2x OK after 115 s, 5x OK after 115 s, quiet ones OK",
        "recovery, 3 min: silence ALARM, 1.05x OK after 115 s, 2x OK after 115 s, 5x OK after 115 s, quiet ones OK",
        "reading what the alarms did",
        "publishing the verdict",
        "cleaning up",
        "done",
      ]
    `);
    expect(JSON.parse(world.aws.get('work', 'runs/mine.json').body.toString('utf8'))).toMatchObject({
      run: 'mine',
      phase: 'done',
      result: answer,
    });
  });

  test('runs once at a time', async () => {
    const work = new WorkBucket(new S3Client({}), 'work');
    await work.claim('claims/alarm-drill-drift.json', 'another', MINUTE);
    expect(await world.run(CONFIG)).toEqual({
      ignored: 'the drill drift is being run by the execution another',
    });
    expect([world.calls, world.messages]).toEqual([[], []]);
    await world.sleep(MINUTE);
    expect(await world.run(CONFIG, { id: 'run-2' })).toMatchObject({ outcome: 'pass' });
    world.expectClean();
  });

  test('that has ended is not run again by a retry', async () => {
    const answer = await world.run(CONFIG);
    const calls = world.calls.length;
    expect(await world.run(CONFIG)).toEqual(answer);
    const again = world.calls.slice(calls).map(({ operation }) => operation);
    expect(again.filter((operation) => !operation.startsWith('Describe'))).toEqual([]);
    expect([world.messages.length, world.events.length, world.evidence('verdict.json').length]).toEqual([
      1, 1, 1,
    ]);
    world.expectClean();
  });

  test('of another run has another verdict', async () => {
    await world.run(CONFIG);
    expect(await world.run(CONFIG, { id: 'run-2' })).toMatchObject({ outcome: 'pass' });
    expect(world.evidence('verdict.json')).toHaveLength(2);
    expect(world.messages).toHaveLength(2);
  });

  test.each<[string, () => Promise<void>, string, RegExp]>([
    [
      'that does not exist',
      async () => {
        await world.cloudwatch.client.send(new DeleteAlarmsCommand({ AlarmNames: ['drift-alarm'] }));
      },
      'fail',
      /drift-alarm/,
    ],
    [
      'that is a composite',
      async () => {
        await world.cloudwatch.client.send(new DeleteAlarmsCommand({ AlarmNames: ['drift-alarm'] }));
        await world.cloudwatch.client.send(
          new PutMetricAlarmCommand({
            AlarmName: 'child',
            Namespace: 'ML',
            MetricName: 'psi',
            Statistic: 'Average',
            Period: 60,
            EvaluationPeriods: 1,
            Threshold: 0.2,
            ComparisonOperator: 'GreaterThanThreshold',
          }),
        );
        await world.cloudwatch.client.send(
          new PutCompositeAlarmCommand({ AlarmName: 'drift-alarm', AlarmRule: 'ALARM("child")' }),
        );
      },
      'fail',
      /child/,
    ],
  ])('of an alarm %s is judged without being drilled', async (_what, prepare, outcome, message) => {
    await prepare();
    world.calls.length = 0;
    expect(await world.run(CONFIG)).toMatchObject({ outcome, reason: expect.stringMatching(message) });
    expect(world.written).toEqual([]);
    world.expectClean();
  });

  test('of an alarm that cannot be driven says why, and what its configuration shows', async () => {
    await arrangeAnew({ Statistic: undefined, ExtendedStatistic: 'p90' });
    const negative = CONFIG.replace('>= 0.2', '>= -0.2');
    expect(await world.run(negative)).toMatchObject({ outcome: 'fail' });
    expect(findings('drill')).toMatchObject([
      { outcome: 'inconclusive', message: expect.stringContaining('cannot be driven to') },
    ]);
    expect(findings('threshold')).toMatchObject([{ outcome: 'fail' }]);
    world.expectClean();
  });

  test('feeds metric math through the query that is driven, and holds the others', async () => {
    await world.close();
    world = await DrillWorld.start();
    for (const [name, value] of [
      ['errors', 1],
      ['requests', 400],
    ] as const) {
      world.emits({ metric: { namespace: 'ML', name, dimensions: {} }, everyMs: MINUTE, value: () => value });
    }
    const metric = (Id: string, MetricName: string) => ({
      Id,
      ReturnData: false,
      MetricStat: { Metric: { Namespace: 'ML', MetricName }, Period: 60, Stat: 'Sum' },
    });
    await world.alarm({
      AlarmName: 'drift-alarm',
      Namespace: undefined,
      MetricName: undefined,
      Dimensions: undefined,
      Statistic: undefined,
      Period: undefined,
      Threshold: 5,
      Metrics: [
        metric('m1', 'errors'),
        metric('m2', 'requests'),
        { Id: 'share', Expression: '100 * m1 / m2', ReturnData: true },
      ],
    });
    expect(await world.run(CONFIG.replace('0.2', '5'))).toMatchObject({ outcome: 'pass' });
    const [round] = world.measurements.rounds;
    expect(round?.plan.published.find(({ value }) => value === 10)?.samples).toEqual({
      m1: { value: expect.closeTo(40), count: 1 },
      m2: { value: 400, count: 1 },
    });
    world.expectClean();
  });

  test('of an alarm of ten seconds publishes several ticks in a step where there are many', async () => {
    await world.close();
    world = await DrillWorld.start();
    world.emits(
      {
        metric: { namespace: 'ML', name: 'psi', dimensions: { Endpoint: 'churn' } },
        everyMs: 10_000,
        value: () => 0.05,
        fine: true,
      },
      120 * MINUTE,
    );
    await world.alarm({ AlarmName: 'drift-alarm', Period: 10 });
    let pauses = 0;
    world.before = () => {
      pauses += 1;
    };
    expect(await world.run(CONFIG.replace('5m', '40m'))).toMatchObject({ outcome: 'pass' });
    const [round] = world.measurements.rounds;
    expect(round?.plan.drift).toBeGreaterThan(240);
    expect(round?.lateTicks).toBe(0);
    // A pause before each tick, however many of them are in one step.
    expect(pauses).toBeGreaterThan(240);
    world.expectClean();
  });
});

test.each([
  [1_000, 60, 5],
  [1_000, 600, 5],
  [2_000, 60, 3],
  [10_000, 60, 1],
  [10_000, 600, 3],
  [60_000, 600, 3],
  [300_000, 600, 1],
  [3_600_000, 600, 1],
])('with a tick every %i ms, %i of them, a step publishes %i', (cadenceMs, ticks, batch) => {
  expect(batchOf({ cadenceMs }, ticks)).toBe(batch);
});

describe('with few operations', () => {
  test('a drill that is too long is not begun', async () => {
    expect(await world.run(CONFIG, { overrides: { operations: 10 } })).toMatchObject({
      outcome: 'inconclusive',
      reason: expect.stringContaining('which are too many here'),
    });
    expect(world.written).toEqual([]);
  });

  test('what was found out before they ran out counts', async () => {
    await arrangeAnew({ Threshold: 1 });
    expect(await world.run(CONFIG, { overrides: { operations: 40 } })).toMatchObject({ outcome: 'fail' });
    expect(world.measurements.rounds).toHaveLength(1);
  });
});

describe('deliver: real', () => {
  const REAL = configOf('deliver: real');

  test('sends one message down the path of the alarm, marked as a drill', async () => {
    expect(await world.run(REAL)).toMatchObject({ outcome: 'pass' });
    expect(world.messaging.delivered.map(({ endpoint }) => endpoint)).toEqual(['oncall@example.com']);
    const [{ message = '' } = {}] = world.messaging.delivered;
    expect(JSON.parse(message)).toMatchObject({
      AlarmName: expect.stringMatching(/^tocsin-drill-[0-9a-f]{8}-0-real-1$/),
      AlarmDescription: expect.stringMatching(/^DRILL: nothing is wrong\. .* the alarm drift-alarm/),
      NewStateValue: 'ALARM',
    });
    expect(world.measurements.deliveries).toEqual([
      {
        topic: world.oncall,
        alarm: expect.stringMatching(/-0-real-1$/),
        receipt: expect.objectContaining({ topic: world.oncall, state: 'ALARM' }),
        subscribers: 1,
        failedActions: [],
      },
    ]);
    expect(outcomes('delivery')).toEqual(['pass']);
    world.expectClean();
  });

  test('reaches the topics of composite alarms above it, too, however many there are', async () => {
    const topics = [1, 2, 3, 4, 5].map((number) =>
      world.messaging.topic(`team-${number}`, {
        attributes: { Policy: world.messaging.topics.get(world.oncall)!.attributes.Policy! },
      }),
    );
    for (const topic of topics) world.messaging.subscribe(topic, 'email', `${topic.slice(-6)}@example.com`);
    await world.cloudwatch.client.send(
      new PutCompositeAlarmCommand({
        AlarmName: 'anything',
        AlarmRule: 'ALARM("drift-alarm")',
        AlarmActions: topics,
      }),
    );
    expect(await world.run(REAL)).toMatchObject({ outcome: 'pass' });
    expect(world.messaging.delivered).toHaveLength(6);
    expect(outcomes('delivery')).toEqual(Array(6).fill('pass'));
    world.expectClean();
  });

  test('says that a topic refuses CloudWatch', async () => {
    world.messaging.topics.get(world.oncall)!.refuses = 'not authorized to perform: SNS:Publish';
    expect(await world.run(REAL)).toMatchObject({ outcome: 'fail' });
    expect(findings('delivery')).toMatchObject([
      { outcome: 'fail', message: expect.stringContaining('SNS:Publish') },
    ]);
    world.expectClean();
  });

  test('says that nobody is subscribed', async () => {
    world.messaging.topics.get(world.oncall)!.subscriptions = [];
    await world.run(REAL);
    expect(outcomes('delivery')).toEqual(['fail']);
    world.expectClean();
  });

  test('is not known of a topic that nobody may subscribe to; the rest is drilled', async () => {
    world.messaging.fails = (operation, input) =>
      operation === 'Subscribe' && (input as { TopicArn: string }).TopicArn === world.oncall
        ? refusal('AuthorizationError', 403)
        : undefined;
    expect(await world.run(REAL)).toMatchObject({
      outcome: 'inconclusive',
      reason: expect.stringContaining('AuthorizationError'),
    });
    expect(outcomes('ladder-loud')).toEqual(['pass', 'pass', 'pass']);
    world.expectClean();
  });
});

describe('mode: traffic', () => {
  const TRAFFIC = configOf(
    'mode: traffic',
    'traffic: { endpoint: staging, dataset: flights, features: [distance], feature: distance, records: 400 }',
  ).replace('5m', '10m');

  const PROFILE: Profile = {
    profile: 1,
    dataset: 'flights',
    tocsin: '0.1.0',
    rows: 100_000,
    sha256: 'ab'.repeat(32),
    columns: {
      distance: {
        type: 'number',
        physical: 'DOUBLE',
        count: 100_000,
        nulls: 0,
        invalid: 0,
        distinct: { value: 90_000, exact: true },
        min: 0,
        max: 1000,
        distribution: {
          kind: 'numeric',
          edges: [200, 400, 600, 800],
          cells: Array(5).fill(20_000),
          atoms: [],
          atomCounts: [],
          nulls: 0,
        },
      },
    },
  };

  /** A monitor that says each minute what the traffic was marked as. */
  async function arrangeStaging(): Promise<void> {
    await world.close();
    world = await DrillWorld.start();
    let drift = 0.05;
    world.emits({
      metric: { namespace: 'ML', name: 'psi', dimensions: { Endpoint: 'churn' } },
      everyMs: MINUTE,
      value: () => drift,
    });
    await world.alarm({ AlarmName: 'drift-alarm' });
    world.aws.put('evidence', 'baselines/flights/current.json', JSON.stringify(PROFILE));
    world.aws.sagemaker.on(DescribeEndpointCommand).resolves({ EndpointStatus: 'InService' });
    world.runtime.on(InvokeEndpointCommand).callsFake(({ InferenceId = '' }) => {
      drift = InferenceId.includes('-over-') ? 0.4 : InferenceId.includes('-under-') ? 0.1 : 0.05;
      return {};
    });
  }

  test('drills the whole chain, and holds the claim while it does', async () => {
    await arrangeStaging();
    const until: number[] = [];
    world.before = () => {
      const claim = world.aws.get('work', 'claims/alarm-drill-drift.json').body.toString('utf8');
      until.push(JSON.parse(claim).until);
    };
    expect(await world.run(TRAFFIC)).toMatchObject({ outcome: 'pass' });
    expect(world.measurements.phases.map(({ phase, state }) => [phase, state])).toEqual([
      ['under', 'OK'],
      ['over', 'ALARM'],
      ['healthy', 'OK'],
    ]);
    expect(until.at(-1)).toBeGreaterThan(until[0]! + 2 * MINUTE);
    expect(world.written).toEqual([]);
    world.expectClean();
  });

  test('ends in the same verdict after a crash in any step of a durable execution', async () => {
    const execute = async (dies: DurableService['dies']) => {
      await arrangeStaging();
      const service = world.durable(TRAFFIC);
      service.dies = dies;
      expect(await service.run({ drill: 'drift' })).toMatchObject({ result: { outcome: 'pass' } });
      world.expectClean();
      expect([world.messages.length, world.events.length, world.written]).toEqual([1, 1, []]);
      return {
        deaths: service.deaths,
        findings: world.verdict.findings.map(({ check, outcome: of }) => [check, of]),
        phases: world.measurements.phases.map(({ phase, state, records, failedRequests }) => {
          return { phase, state, records, failedRequests };
        }),
      };
    };
    const { deaths: none, ...plain } = await execute(() => undefined);
    expect(none).toBe(0);
    for (const death of ['before it is kept', 'after it is kept'] satisfies Death[]) {
      // Once in each.
      const steps = new Set<string>();
      const died = await execute((_checkpoint, updates) => {
        const step = updates.find(({ Type, Action }) => Type === 'STEP' && Action === 'SUCCEED')?.Name;
        if (step === undefined || steps.has(step)) return undefined;
        steps.add(step);
        return death;
      });
      expect(steps.size).toBeGreaterThan(15);
      expect(died, death).toEqual({ deaths: steps.size, ...plain });
    }
  });

  test('is refused where there is nothing to draw records from', async () => {
    await arrangeStaging();
    world.aws.objects.delete('evidence/baselines/flights/current.json');
    expect(await world.run(TRAFFIC)).toMatchObject({
      error: 'GateInputError',
      message: expect.stringContaining('flights has no baseline'),
    });
    world.expectClean();
  });
});

describe('names', () => {
  const name = `${'ü"/\\: (x) '.repeat(25)}alarm`;
  const drill = 'd'.repeat(60);
  const Dimensions = Array.from({ length: 30 }, (_, index) => ({
    Name: `dimension-${index}`,
    Value: `"${index}" / x`,
  }));

  test('of every kind that AWS takes do no harm', async () => {
    expect(name).toHaveLength(255);
    await world.close();
    world = await DrillWorld.start();
    const { client } = world.cloudwatch;
    world.emits({
      metric: {
        namespace: 'ML',
        name: 'psi',
        dimensions: Object.fromEntries(Dimensions.map(({ Name, Value }) => [Name, Value])),
      },
      everyMs: MINUTE,
      value: () => 0.05,
    });
    await world.alarm({ AlarmName: name, Dimensions, AlarmDescription: 'First line.\nSecond "line".' });
    await client.send(
      new PutCompositeAlarmCommand({
        AlarmName: 'above "it"',
        AlarmRule: `ALARM("${name.replaceAll(/["\\]/g, '\\$&')}")`,
        AlarmActions: [world.oncall],
      }),
    );
    const config = configOf('deliver: real')
      .replace('drift-alarm', JSON.stringify(name))
      .replace('drift:', `${drill}:`);
    expect(await world.run(config, { event: { drill } })).toMatchObject({ outcome: 'pass', alarm: name });
    expect(world.measurements.facts.parents.map((parent) => parent.name)).toEqual(['above "it"']);
    for (const { operation, input } of world.calls) {
      if (operation !== 'PutMetricAlarm') continue;
      expect(String(input.AlarmName)).toMatch(/^tocsin-drill-[\x20-\x7e]{1,242}$/);
      expect(String(input.AlarmDescription).length).toBeLessThanOrEqual(1024);
      for (const { Value } of input.Tags as { Value: string }[])
        expect(Value.length).toBeLessThanOrEqual(256);
    }
    for (const { Subject } of world.messages) expect(Subject).toMatch(/^[\x20-\x7e]{1,100}$/);
    expect(world.left).toEqual([]);
  });
});

describe('an alarm that changes while it is drilled', () => {
  /** Happens once, in the middle of the first round. */
  function meanwhile(change: () => Promise<unknown>): void {
    let waits = 0;
    world.before = async () => {
      waits += 1;
      if (waits === 6) await change();
    };
  }

  /** Another configuration each time. */
  const change = (EvaluationPeriods: number, input: AlarmChange = {}) =>
    world.cloudwatch.client.send(
      new PutMetricAlarmCommand({
        AlarmName: 'drift-alarm',
        Namespace: 'ML',
        MetricName: 'psi',
        Dimensions: [{ Name: 'Endpoint', Value: 'churn' }],
        Statistic: 'Average',
        Period: 60,
        EvaluationPeriods,
        Threshold: 0.2,
        ComparisonOperator: 'GreaterThanOrEqualToThreshold',
        TreatMissingData: 'breaching',
        AlarmActions: [world.oncall],
        ...input,
      }),
    );

  /** Changes the alarm before one call of CloudWatch. */
  function once(operation: string, when: () => boolean): void {
    let done = false;
    world.fails = (called) => {
      if (!done && called === operation && when()) {
        done = true;
        const { cloudwatch } = world.cloudwatch;
        const { config } = cloudwatch.alarm('drift-alarm') as { config: MetricAlarmConfig };
        cloudwatch.putMetricAlarm({ ...config, EvaluationPeriods: 2, Threshold: 0.2 });
      }
      return undefined;
    };
  }

  /** The names of shadow alarms that were made, without what differs from run to run. */
  const made = () =>
    world.calls
      .filter(({ operation }) => operation === 'PutMetricAlarm')
      .map(({ input }) => String(input.AlarmName))
      .filter((name) => name.startsWith(SHADOW))
      .map((name) => name.slice(SHADOW.length + 9));

  test('is drilled again as it is now', async () => {
    meanwhile(() => change(2, { Threshold: 0.4 }));
    expect(await world.run(CONFIG)).toMatchObject({
      outcome: 'fail',
      reason: expect.stringContaining('0.4'),
    });
    expect(world.measurements.facts.alarm).toMatchObject({ evaluationPeriods: 2, threshold: 0.4 });
    // Those of the first attempt had names, and with them metrics, of their own.
    expect(made().filter((name) => name.endsWith('-2x'))).toEqual(['1-2x', '2-2x']);
    expect(world.measurements.rounds[0]?.results[0]?.alarm).toMatch(/-2-0\.5x$/);
    expect([subjects().length, world.events.length]).toEqual([1, 1]);
    expect(world.left).toEqual([]);
  });

  test('in a durable execution, too', async () => {
    meanwhile(() => change(2));
    expect(await world.durable(CONFIG).run({ drill: 'drift' })).toMatchObject({
      result: { outcome: 'pass' },
    });
    expect(world.measurements.facts.alarm).toMatchObject({ evaluationPeriods: 2 });
    expect(world.left).toEqual([]);
  });

  test('before a further round is not narrowed any more', async () => {
    await arrangeAnew({ Threshold: 1 });
    once('DescribeAlarmHistory', () => true);
    expect(await world.run(CONFIG)).toMatchObject({ outcome: 'pass' });
    expect(new Set(made().map((name) => name[0]))).toEqual(new Set(['1', '2']));
  });

  test('tells people of what it is now', async () => {
    once('DeleteAlarms', () => world.messaging.delivered.length > 0);
    expect(await world.run(configOf('deliver: real'))).toMatchObject({ outcome: 'pass' });
    expect(made().filter((name) => name.includes('real'))).toEqual(['0-real-1', '1-real-1']);
    expect(world.messaging.delivered).toHaveLength(2);
    expect(world.measurements.deliveries).toMatchObject([{ alarm: expect.stringMatching(/-1-real-1$/) }]);
  });

  test('and changes again whenever it is drilled has no verdict on what it was', async () => {
    let waits = 0;
    world.before = async () => {
      waits += 1;
      if (waits % 12 === 6) await change(1 + (((waits - 6) / 12) % 4));
    };
    expect(await world.run(CONFIG)).toMatchObject({
      outcome: 'inconclusive',
      reason: expect.stringMatching(/its configuration was changed while it was drilled, at 2026-01-05T1\d:/),
    });
    expect(new Set(made().map((name) => name[0]))).toEqual(new Set(['1', '2', '3']));
    expect(world.left).toEqual([]);
  });

  test('and is the same in the end is drilled once', async () => {
    meanwhile(() => change(3, { DatapointsToAlarm: 2 }));
    expect(await world.run(CONFIG)).toMatchObject({ outcome: 'pass' });
    expect(new Set(made().map((name) => name[0]))).toEqual(new Set(['1']));
  });

  test('and is gone in the end fails', async () => {
    meanwhile(() => world.cloudwatch.client.send(new DeleteAlarmsCommand({ AlarmNames: ['drift-alarm'] })));
    expect(await world.run(CONFIG)).toMatchObject({ outcome: 'fail' });
    expect(findings('drill')).toMatchObject([
      { message: expect.stringContaining('it was deleted while it was drilled') },
    ]);
    expect(world.left).toEqual([]);
  });
});

describe('trouble', () => {
  test.each<[string, string, Error]>([
    ['PutMetricAlarm is denied', 'PutMetricAlarm', refusal('AccessDenied', 403)],
    ['PutMetricData is throttled', 'PutMetricData', refusal('ThrottlingException')],
    ['DescribeAlarmHistory fails', 'DescribeAlarmHistory', refusal('InternalFailure', 500)],
  ])('%s: no verdict, people are told why, nothing is left', async (_what, operation, error) => {
    world.fails = (called) => (called === operation ? error : undefined);
    await expect(world.run(CONFIG)).rejects.toThrow(GateDependencyError);
    expect(subjects()).toEqual(['Tocsin: alarm drill drift not run']);
    expect(world.messages[0]?.Message).toContain(error.message);
    expect(world.evidence('verdict.json')).toEqual([]);
    world.expectClean();
  });

  test('that passes is no matter', async () => {
    let calls = 0;
    world.fails = () => {
      calls += 1;
      return calls % 13 === 0 ? refusal('ThrottlingException') : undefined;
    };
    expect(await world.run(CONFIG)).toMatchObject({ outcome: 'pass' });
    world.expectClean();
  });

  test('a probe topic that CloudWatch may not use: the receipts are missed, with its words', async () => {
    world.messaging.topics.get(world.probe)!.refuses = 'no key for CloudWatch';
    expect(await world.run(CONFIG)).toMatchObject({ outcome: 'fail' });
    expect(
      findings('receipts')
        .map(({ message }) => message)
        .join(),
    ).toContain('no key for CloudWatch');
    world.expectClean();
  });

  test('a queue that never receives: the receipts are missed', async () => {
    world.before = () => {
      for (const queue of world.messaging.queues.values()) queue.messages.length = 0;
    };
    expect(await world.run(CONFIG)).toMatchObject({ outcome: 'fail' });
    expect(outcomes('receipts')).toContain('fail');
    world.expectClean();
  });

  test('a probe topic that is gone: no verdict', async () => {
    world.messaging.topics.delete(world.probe);
    await expect(world.run(CONFIG)).rejects.toThrow('NotFound');
    world.expectClean();
  });

  test('a machine that oversleeps: what came too late shows nothing', async () => {
    let waits = 0;
    world.before = async () => {
      waits += 1;
      if (waits === 7) await world.cloudwatch.advance(4 * MINUTE);
    };
    expect(await world.run(CONFIG)).toMatchObject({
      outcome: 'inconclusive',
      reason: expect.stringContaining('were published too late'),
    });
    expect(world.measurements.rounds[0]?.lateTicks).toBe(4);
    world.expectClean();
  });

  test('a tick that a crash has published twice: its sum shows nothing', async () => {
    await world.close();
    world = await DrillWorld.start();
    world.emits({
      metric: { namespace: 'ML', name: 'psi', dimensions: { Endpoint: 'churn' } },
      everyMs: MINUTE,
      value: () => 5,
    });
    await world.alarm({ AlarmName: 'drift-alarm', Statistic: 'Sum', Threshold: 20 });
    const service = world.durable(CONFIG.replace('0.2', '20'));
    service.dies = (_checkpoint, updates) =>
      service.deaths === 0 &&
      updates.some(({ Name, Action }) => Name === 'round 1: tick 6' && Action === 'SUCCEED')
        ? 'before it is kept'
        : undefined;
    expect(await service.run({ drill: 'drift' })).toMatchObject({ result: { outcome: 'inconclusive' } });
    expect(world.measurements.rounds[0]?.results.map(({ samples }) => samples)).toEqual([
      ...Array(5).fill({ published: 15, seen: 16 }),
      // Silence has nothing after the warm-up.
      { published: 4, seen: 4 },
    ]);
    world.expectClean();
  });

  test('a shadow alarm that somebody removes: no verdict', async () => {
    let waits = 0;
    world.before = () => {
      waits += 1;
      const names = [...world.cloudwatch.cloudwatch.alarms.keys()];
      const shadow = names.find((name) => name.endsWith('-2x'));
      if (waits === 6 && shadow !== undefined) world.cloudwatch.cloudwatch.deleteAlarms([shadow]);
    };
    await expect(world.run(CONFIG)).rejects.toThrow(/somebody removed tocsin-drill-.*-2x during the drill/);
    world.expectClean();
  });

  test('one process that runs out of time leaves nothing behind', async () => {
    await expect(world.run(CONFIG, { deadline: world.now() + 6 * MINUTE })).rejects.toThrow(OutOfTimeError);
    expect(world.messages.at(-1)?.Message).toContain('out of time');
    world.expectClean();
  });

  test('a clean-up that fails is known; the next run removes what is left', async () => {
    world.messaging.fails = (operation) => (operation === 'DeleteQueue' ? refusal('Denied', 403) : undefined);
    await expect(world.run(CONFIG)).rejects.toThrow('DeleteQueue');
    expect(world.left).toHaveLength(1);
    expect(subjects()).toEqual([
      'Tocsin: alarm drill drift passed',
      'Tocsin: alarm drill drift not cleaned up',
    ]);
    world.messaging.fails = () => undefined;
    expect(await world.run(CONFIG, { id: 'run-2' })).toMatchObject({ outcome: 'pass' });
    world.expectClean();
  });

  test('a subscription that cannot be removed is told, and keeps nothing else', async () => {
    world.messaging.fails = (operation) => (operation === 'Unsubscribe' ? refusal('Denied', 403) : undefined);
    await expect(world.run(CONFIG)).rejects.toThrow(/^the clean-up left something: the subscription of /);
    expect(world.verdict.outcome).toBe('pass');
    expect(world.left).toEqual([expect.stringContaining('probe')]);
    expect(world.messages.at(-1)?.Message).toMatch(
      /- the subscription of tocsin-drill-\w{8} to arn:.*:probe: Unsubscribe arn:.*HTTP 403/,
    );
    // There is nothing that the next run could find it by: it is told once, and holds nobody up.
    world.messaging.fails = () => undefined;
    expect(await world.run(CONFIG, { id: 'run-2' })).toMatchObject({ outcome: 'pass' });
  });

  test('shadow alarms that cannot be deleted keep neither the queue nor the next drill', async () => {
    world.fails = (operation) => (operation === 'DeleteAlarms' ? refusal('AccessDenied', 403) : undefined);
    await expect(world.run(CONFIG)).rejects.toThrow('DeleteAlarms');
    expect(world.left).toHaveLength(6);
    expect(world.messaging.queues.size).toBe(0);
  });

  test('a leftover that cannot be removed is told once, and holds no drill up', async () => {
    const client = world.cloudwatch.client;
    const name = `${SHADOW}00000000-1-2x`;
    await client.send(
      new PutMetricAlarmCommand({
        AlarmName: name,
        Namespace: DRILL_NAMESPACE,
        MetricName: 'x',
        Statistic: 'Sum',
        Period: 60,
        EvaluationPeriods: 1,
        Threshold: 1,
        ComparisonOperator: 'GreaterThanThreshold',
        Tags: [
          { Key: DRILL_TAG, Value: 'drift' },
          { Key: UNTIL_TAG, Value: '2020-01-01T00:00:00.000Z' },
        ],
      }),
    );
    // Somebody was curious.
    const above = new PutCompositeAlarmCommand({ AlarmName: 'mine', AlarmRule: `ALARM("${name}")` });
    await client.send(above);
    for (const id of ['run-1', 'run-2']) {
      expect(await world.run(CONFIG, { id })).toMatchObject({ outcome: 'pass' });
      expect(world.left).toEqual([name]);
    }
    expect(subjects().filter((subject) => subject.endsWith('not cleaned up'))).toHaveLength(1);
    expect(world.messages[0]?.Message).toContain('composite alarm mine depends on it');
  });
});

describe('crashes', () => {
  const SMALL = configOf('ladder: [0.95, 1.05]').replace('5m', '2m');
  const QUICK = { EvaluationPeriods: 1, DatapointsToAlarm: 1 };

  /** How many runs have written down that they told of a verdict. */
  const markers = (what: string) =>
    world.aws.keys('evidence', 'evidence/alarm-drill/').filter((key) => key.includes(`/${what}-`)).length;

  /** What does not depend on how often the process died. */
  const end = () => ({
    outcome: world.verdict.outcome,
    findings: world.verdict.findings.map(({ check, outcome }) => [check, outcome]),
    announced: markers('announced'),
    notified: markers('notified'),
  });

  async function execute({ dies, change }: { dies?: DurableService['dies']; change?: number }) {
    await arrangeAnew(QUICK);
    if (change !== undefined) world.aws.diesAfter = change;
    const service = world.durable(SMALL);
    if (dies !== undefined) service.dies = dies;
    expect(await service.run({ drill: 'drift' })).toMatchObject({ result: { outcome: 'pass' } });
    world.expectClean();
    return service;
  }

  test('after any step of a durable execution end in the same verdict, told once', async () => {
    const ends: [checkpoint: number, step: string][] = [];
    await execute({
      dies: (checkpoint, updates) => {
        const step = updates.find(({ Type, Action }) => Type === 'STEP' && Action === 'SUCCEED');
        if (step !== undefined) ends.push([checkpoint, step.Name ?? '']);
        return undefined;
      },
    });
    const plain = end();
    expect(plain).toMatchObject({ outcome: 'pass', announced: 1, notified: 1 });
    expect(ends.length).toBeGreaterThan(25);
    for (const [index, [at, step]] of ends.entries()) {
      // Each of both in turn: all of them take their time.
      const death: Death = index % 2 === 0 ? 'before it is kept' : 'after it is kept';
      const service = await execute({ dies: (checkpoint) => (checkpoint === at ? death : undefined) });
      const what = `${death}: ${step}`;
      expect(service.deaths, what).toBe(1);
      expect(end(), what).toEqual(plain);
      expect([world.messages.length, world.events.length], what).toEqual([1, 1]);
    }
  });

  test('with any change to the account, in a durable execution', async () => {
    await execute({});
    const [plain, changes] = [end(), [...world.aws.changes]];
    expect(changes.length).toBeGreaterThan(25);
    for (const [index, what] of changes.entries()) {
      const service = await execute({ change: index + 1 });
      expect(service.deaths, what).toBe(1);
      expect(end(), what).toEqual(plain);
      // Between a message and the note of it nothing can be known.
      expect(world.messages.length, what).toBeLessThanOrEqual(2);
    }
  });

  test('with any change to the account, in one process that Lambda tries again', async () => {
    await arrangeAnew(QUICK);
    await world.run(SMALL);
    const [plain, changes] = [end(), [...world.aws.changes]];
    for (const [index, what] of changes.entries()) {
      await arrangeAnew(QUICK);
      world.aws.diesAfter = index + 1;
      await expect(world.run(SMALL), what).rejects.toThrow('the process died');
      world.revive();
      expect(await world.run(SMALL), what).toMatchObject({ outcome: 'pass' });
      world.expectClean();
      expect(end(), what).toEqual(plain);
      expect(world.messages.length, what).toBeLessThanOrEqual(2);
    }
  });

  test('for good leave what the next run removes, once the claim is over', async () => {
    world.aws.diesAfter = 14;
    await expect(world.run(CONFIG)).rejects.toThrow('the process died');
    world.revive();
    const left = world.left;
    expect(left).toContainEqual(expect.stringMatching(/^tocsin-drill-[0-9a-f]{8}-1-0\.5x$/));
    expect(left).toContainEqual(expect.stringMatching(/^tocsin-drill-[0-9a-f]{8}$/));
    expect(left).toContain('claims/alarm-drill-drift.json');
    expect(await world.run(CONFIG, { id: 'run-2' })).toEqual({
      ignored: 'the drill drift is being run by the execution run-1',
    });
    await world.sleep(180 * MINUTE);
    expect(await world.run(CONFIG, { id: 'run-3' })).toMatchObject({ outcome: 'pass' });
    world.expectClean();
  });

  test('of other drills are swept up when they are over, and not before', async () => {
    const other = CONFIG.replace('drift:', 'other:');
    world.aws.diesAfter = 14;
    await expect(world.run(other, { event: { drill: 'other' }, id: 'dead' })).rejects.toThrow('died');
    world.revive();
    const left = world.left;
    expect(await world.run(CONFIG)).toMatchObject({ outcome: 'pass' });
    expect(world.left).toEqual(left);
    await world.sleep(180 * MINUTE);
    expect(await world.run(CONFIG, { id: 'run-2' })).toMatchObject({ outcome: 'pass' });
    expect(world.left).toEqual(['claims/alarm-drill-other.json']);
  });
});
