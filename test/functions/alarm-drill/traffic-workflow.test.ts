import { PutMetricAlarmCommand, PutMetricDataCommand } from '@aws-sdk/client-cloudwatch';
import { S3Client } from '@aws-sdk/client-s3';
import { DescribeEndpointCommand, SageMakerClient } from '@aws-sdk/client-sagemaker';
import { InvokeEndpointCommand, SageMakerRuntimeClient } from '@aws-sdk/client-sagemaker-runtime';
import { type AwsClientStub, mockClient } from 'aws-sdk-client-mock';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readAlarm } from '../../../functions/alarm-drill/adapters/alarms.ts';
import type { MetricAlarm } from '../../../functions/alarm-drill/alarm.ts';
import { countValues } from '../../../functions/alarm-drill/generator.ts';
import type { LivePhase } from '../../../functions/alarm-drill/measurements.ts';
import { runTraffic } from '../../../functions/alarm-drill/traffic-workflow.ts';
import { driftEffect } from '../../../functions/quality-gate/drift.ts';
import { GateDependencyError, GateInputError } from '../../../functions/shared/errors.ts';
import { baselineKey, EvidenceStore } from '../../../functions/shared/evidence.ts';
import { InProcessWorkflow } from '../../../functions/shared/in-process.ts';
import type { Distribution, Profile } from '../../../functions/shared/profile.ts';
import { type DrillInput, drillOf, factsOf } from '../../support/alarm-facts.ts';
import { LocalCloudWatch } from '../../support/cloudwatch.ts';
import { FakeAws } from '../../support/fake-aws.ts';

const MINUTE = 60_000;

const DISTANCE: Distribution = {
  kind: 'numeric',
  edges: [0, 200, 400, 600, 800, 1000, 1200, 1400, 1600, 1800],
  cells: [0, ...Array<number>(10).fill(10_000)],
  atoms: [0],
  atomCounts: [0],
  nulls: 0,
};

const ORIGIN: Distribution = {
  kind: 'categorical',
  values: ['ATL', 'ORD', 'DFW', 'LAX'],
  counts: [40_000, 30_000, 20_000, 10_000],
  other: 0,
  otherDistinct: 0,
  nulls: 0,
};

const column = { count: 100_000, nulls: 0, invalid: 0, distinct: { value: 4, exact: true } };

const PROFILE: Profile = {
  profile: 1,
  dataset: 'flights',
  tocsin: '0.1.0',
  rows: 100_000,
  sha256: 'ab'.repeat(32),
  columns: {
    distance: { ...column, type: 'integer', physical: 'BIGINT', min: 21, max: 2_500, distribution: DISTANCE },
    origin: { ...column, type: 'string', physical: 'VARCHAR', distribution: ORIGIN },
  },
};

const METRIC = { namespace: 'ML/Drift', name: 'psi', dimensions: { Feature: 'distance' } };

/** Staging with a monitor that compares, every 5 minutes, what the endpoint was asked in the last 5. */
class Staging {
  readonly aws = new FakeAws();
  readonly runtime: AwsClientStub<SageMakerRuntimeClient> = mockClient(SageMakerRuntimeClient);
  readonly requests: { at: number; body: string; id: string }[] = [];
  readonly reports: string[] = [];
  cloudwatch!: LocalCloudWatch;
  /** What it publishes of a window; undefined: nothing. */
  emits: (drift: number) => number | undefined = (drift) => drift;
  cadenceMs = 5 * MINUTE;
  /** How long before it runs its window ends. */
  lateMs = 0;

  async start(): Promise<void> {
    this.cloudwatch = await LocalCloudWatch.start();
    this.aws.sagemaker.on(DescribeEndpointCommand).resolves({ EndpointStatus: 'InService' });
    this.runtime.on(InvokeEndpointCommand).callsFake(({ Body, InferenceId }) => {
      this.requests.push({ at: this.cloudwatch.time, body: Body, id: InferenceId });
      return {};
    });
    this.promote(PROFILE);
  }

  promote(profile: Profile): void {
    this.aws.put('evidence', baselineKey('flights'), JSON.stringify(profile));
  }

  /** Lets time pass, the monitor included. */
  async advance(ms: number): Promise<void> {
    const to = this.cloudwatch.time + ms;
    for (;;) {
      const next = (Math.floor(this.cloudwatch.time / this.cadenceMs) + 1) * this.cadenceMs;
      if (next > to) break;
      await this.cloudwatch.advance(next - this.cloudwatch.time);
      await this.#monitor();
    }
    await this.cloudwatch.advance(to - this.cloudwatch.time);
  }

  async #monitor(): Promise<void> {
    const time = this.cloudwatch.time - this.lateMs;
    const lines = this.requests
      .filter(({ at }) => at >= time - this.cadenceMs && at < time)
      .flatMap(({ body }) => body.split('\n'));
    if (lines.length < 100) return;
    const batch = countValues(
      lines.map((line) => (line.startsWith('{') ? JSON.parse(line).distance : Number(line.split(',')[0]))),
      DISTANCE,
    );
    const { estimate } = driftEffect('psi', batch, DISTANCE, { limit: 0.1, confidence: 0.99 })!;
    const Value = this.emits(estimate);
    if (Value === undefined) return;
    await this.cloudwatch.client.send(
      new PutMetricDataCommand({
        Namespace: METRIC.namespace,
        MetricData: [
          {
            MetricName: METRIC.name,
            Dimensions: [{ Name: 'Feature', Value: 'distance' }],
            Value,
            Timestamp: new Date(time),
          },
        ],
      }),
    );
  }

  /** Makes the alarm of the team. */
  async alarm(change: Record<string, unknown> = {}): Promise<MetricAlarm> {
    await this.cloudwatch.client.send(
      new PutMetricAlarmCommand({
        AlarmName: 'psi-distance',
        Namespace: METRIC.namespace,
        MetricName: METRIC.name,
        Dimensions: [{ Name: 'Feature', Value: 'distance' }],
        Statistic: 'Maximum',
        Period: 300,
        EvaluationPeriods: 1,
        Threshold: 0.2,
        ComparisonOperator: 'GreaterThanOrEqualToThreshold',
        TreatMissingData: 'ignore',
        ...change,
      }),
    );
    return (await readAlarm(this.cloudwatch.client, 'psi-distance')) as MetricAlarm;
  }

  async run(
    alarm: MetricAlarm,
    traffic: Partial<NonNullable<DrillInput['traffic']>> = {},
    workflow = this.workflow(),
    metric: Parameters<typeof factsOf>[2] = {},
  ): Promise<LivePhase[]> {
    const drill = drillOf({
      mode: 'traffic',
      intended: { fires: '>= 0.2', within: '15m' },
      traffic: {
        endpoint: 'staging',
        dataset: 'flights',
        features: ['distance', 'origin'],
        feature: 'distance',
        ...traffic,
      },
    });
    const run = { drill, facts: factsOf(alarm, {}, metric), token: '0a1b2c3d', seed: '5eed' };
    return runTraffic(
      workflow,
      run,
      {
        cloudwatch: this.cloudwatch.client,
        sagemaker: new SageMakerClient({}),
        runtime: new SageMakerRuntimeClient({}),
        store: new EvidenceStore(new S3Client({}), 'evidence'),
        now: () => this.cloudwatch.time,
      },
      async (phase) => {
        this.reports.push(phase);
      },
    );
  }

  workflow(): InProcessWorkflow {
    return new InProcessWorkflow({
      id: 'run',
      now: () => this.cloudwatch.time,
      sleep: (ms) => this.advance(ms),
      random: () => 0,
    });
  }

  async stop(): Promise<void> {
    this.aws.restore();
    this.runtime.restore();
    await this.cloudwatch.close();
  }
}

let staging: Staging;

beforeEach(async () => {
  staging = new Staging();
  await staging.start();
  // Somewhere within a window.
  await staging.cloudwatch.advance(97_000);
});

afterEach(() => staging.stop());

const states = (phases: readonly LivePhase[]) => phases.map(({ phase, state }) => `${phase} ${state}`);
const changes = ({ transitions }: LivePhase) => transitions.map(({ to }) => to);

describe('the whole chain', () => {
  it('stays quiet below the intended drift, fires above it, and is OK again', async () => {
    const phases = await staging.run(await staging.alarm());
    expect(states(phases)).toEqual(['under OK', 'over ALARM', 'healthy OK']);
    const [under, over, healthy] = phases as [LivePhase, LivePhase, LivePhase];
    expect([under, over, healthy].map(changes)).toEqual([['OK'], ['ALARM'], ['OK']]);

    expect(phases.map(({ drift }) => drift)).toEqual([
      { asked: 0.1, sent: expect.closeTo(0.1, 2) },
      { asked: 0.4, sent: expect.closeTo(0.4, 2) },
      { asked: 0, sent: expect.closeTo(0, 2) },
    ]);
    expect(phases.map(({ records, failedRequests }) => [records, failedRequests])).toEqual([
      [2000, 0],
      [2000, 0],
      [2000, 0],
    ]);
    expect(under.metric.map(({ value }) => value)).toEqual([expect.closeTo(0.1, 2)]);
    expect(over.metric.map(({ value }) => value)).toEqual([expect.closeTo(0.4, 1)]);
    expect(healthy.metric.map(({ value }) => value)).toEqual([expect.closeTo(0, 2)]);
    // Each phase begins where the one before ended.
    expect(over.startedAt).toBeGreaterThanOrEqual(under.endedAt);
    expect(healthy.startedAt).toBeGreaterThanOrEqual(over.endedAt);
    expect(healthy.endedAt - under.startedAt).toBeLessThan(20 * MINUTE);
  });

  it('is shown requests that are marked, and go to no variant in particular', async () => {
    await staging.run(await staging.alarm(), { perRequest: 500, content: 'application/jsonlines' });
    const inputs = staging.runtime.commandCalls(InvokeEndpointCommand).map((call) => call.args[0].input);
    expect(inputs[4]).toEqual({
      EndpointName: 'staging',
      ContentType: 'application/jsonlines',
      Body: expect.stringMatching(/^(\{"distance":\d+,"origin":"[A-Z]{3}"\}\n?){500}$/),
      InferenceId: 'tocsin-drill-0a1b2c3d-over-1-0',
    });
    expect(new Set(inputs.map(({ InferenceId }) => InferenceId)).size).toBe(inputs.length);
  });

  it('tells where it is', async () => {
    await staging.run(await staging.alarm());
    expect([...new Set(staging.reports)]).toEqual([
      'preparing synthetic records',
      'under: sending 2,000 records with a psi of 0.1 of distance',
      'under: 2,000 records with a psi of 0.1 of distance sent, waiting for the monitor and the alarm',
      'over: sending 2,000 records with a psi of 0.4 of distance',
      'over: 2,000 records with a psi of 0.4 of distance sent, waiting for the monitor and the alarm',
      'healthy: sending 2,000 records with a psi of 0 of distance',
      'healthy: 2,000 records with a psi of 0 of distance sent, waiting for the monitor and the alarm',
    ]);
  });

  it('sends again, as often as the alarm asks for data points', async () => {
    const phases = await staging.run(await staging.alarm({ EvaluationPeriods: 3, DatapointsToAlarm: 2 }));
    expect(states(phases)).toEqual(['under OK', 'over ALARM', 'healthy OK']);
    expect(phases.map(({ records }) => records)).toEqual([4000, 4000, 4000]);
    expect(phases[0]!.metric).toHaveLength(2);
    expect(phases[1]!.drift!.sent).toBeCloseTo(0.4, 2);
  });

  it.each([5, 20, 50])('follows a monitor of one minute that sees %d s past', async (second) => {
    staging.cadenceMs = MINUTE;
    staging.lateMs = 15_000;
    await staging.advance(MINUTE - (staging.cloudwatch.time % MINUTE) + 1000 * second);
    const alarm = await staging.alarm({ Period: 60 });
    const phases = await staging.run(alarm, {}, undefined, { everyMs: MINUTE });
    expect(states(phases)).toEqual(['under OK', 'over ALARM', 'healthy OK']);
    for (const [index, drift] of [0.1, 0.4, 0].entries()) {
      const { metric, records } = phases[index]!;
      // Sent again where the alarm has not looked yet when the next window begins.
      expect(records).toBeLessThanOrEqual(4000);
      expect(metric.length).toBeGreaterThanOrEqual(1);
      for (const { value } of metric) expect(Math.abs(value - drift)).toBeLessThan(0.03);
    }
    expect(phases[2]!.endedAt - phases[0]!.startedAt).toBeLessThan(9 * MINUTE);
  });

  it('sees a metric that is emitted several times a period', async () => {
    staging.cadenceMs = MINUTE;
    const alarm = await staging.alarm({ Period: 600 });
    const phases = await staging.run(alarm, {}, undefined, { everyMs: MINUTE });
    expect(phases.map(changes).slice(0, 2)).toEqual([['OK'], ['ALARM']]);
    for (const { metric, endedAt } of phases.slice(0, 2)) {
      expect(metric).toHaveLength(1);
      expect(metric[0]!.at).toBeLessThanOrEqual(endedAt);
    }
  });

  it('takes nothing for new that was there before', async () => {
    const alarm = await staging.alarm();
    for (const line of Array.from({ length: 200 }, (_, index) => `${21 + 11 * (index % 180)},ATL`)) {
      staging.requests.push({ at: staging.cloudwatch.time, body: line, id: '' });
    }
    await staging.advance(5 * MINUTE - (staging.cloudwatch.time % (5 * MINUTE)) + 2_000);
    staging.emits = () => undefined;
    const phases = await staging.run(alarm);
    expect(phases.map(({ metric }) => metric)).toEqual([[], [], []]);
  });

  it('shows an alarm that fires at five times the drift', async () => {
    const phases = await staging.run(await staging.alarm({ Threshold: 1 }));
    expect(states(phases)).toEqual(['under OK', 'over OK', 'healthy OK']);
    const over = phases[1]!;
    expect(Math.max(...over.metric.map(({ value }) => value))).toBeCloseTo(0.4, 1);
    // Within 15 minutes and twice the cadence of the monitor, and not for ever.
    expect(over.endedAt - over.startedAt).toBeGreaterThan(25 * MINUTE);
    expect(over.endedAt - over.startedAt).toBeLessThan(30 * MINUTE);
    expect(over.metric.length).toBeGreaterThanOrEqual(4);
    expect(over.records).toBeGreaterThanOrEqual(2000 * over.metric.length);
  });

  it('shows an alarm that fires too early', async () => {
    const phases = await staging.run(await staging.alarm({ Threshold: 0.05 }));
    expect(changes(phases[0]!)).toEqual(['ALARM']);
    expect(states(phases)).toEqual(['under ALARM', 'over ALARM', 'healthy OK']);
  });

  it('waits for the alarm as long as the drill says, from the first data point beyond the threshold', async () => {
    let windows = 0;
    staging.emits = (drift) => (drift > 0.2 && ++windows < 3 ? 0.1 : drift);
    const phases = await staging.run(await staging.alarm());
    expect(changes(phases[1]!)).toEqual(['ALARM']);
    expect(phases[1]!.records).toBe(6000);
  });

  it('shows a monitor that emits nothing', async () => {
    staging.emits = () => undefined;
    const phases = await staging.run(await staging.alarm());
    expect(phases.map(({ metric }) => metric)).toEqual([[], [], []]);
    expect(states(phases)).toEqual([
      'under INSUFFICIENT_DATA',
      'over INSUFFICIENT_DATA',
      'healthy INSUFFICIENT_DATA',
    ]);
    expect(phases.map(({ records }) => records)).toEqual([2000, 2000, 2000]);
    for (const { startedAt, endedAt } of phases) expect(endedAt - startedAt).toBeLessThan(30 * MINUTE);
  });

  it('sees through metric math', async () => {
    const stat = (id: string, feature: string) => ({
      Id: id,
      MetricStat: {
        Metric: {
          Namespace: METRIC.namespace,
          MetricName: METRIC.name,
          Dimensions: [{ Name: 'Feature', Value: feature }],
        },
        Period: 300,
        Stat: 'Maximum',
      },
      ReturnData: false,
    });
    const phases = await staging.run(
      await staging.alarm({
        Namespace: undefined,
        MetricName: undefined,
        Dimensions: undefined,
        Statistic: undefined,
        Period: undefined,
        Metrics: [
          stat('m1', 'distance'),
          stat('m2', 'origin'),
          { Id: 'both', Expression: 'FILL(m1, 0) + FILL(m2, 0)', ReturnData: false },
          { Id: 'twice', Expression: '2 * both', ReturnData: true },
        ],
        Threshold: 0.4,
      }),
    );
    expect(states(phases)).toEqual(['under OK', 'over ALARM', 'healthy OK']);
    expect(Math.max(...phases[1]!.metric.map(({ value }) => value))).toBeCloseTo(0.8, 1);
  });
});

describe('failures', () => {
  it('counts requests that fail, and what they would have carried', async () => {
    staging.runtime.on(InvokeEndpointCommand).callsFake(({ Body, InferenceId }) => {
      if (/-(300|1900)$/.test(InferenceId)) throw new Error('socket hang up');
      staging.requests.push({ at: staging.cloudwatch.time, body: Body, id: InferenceId });
      return {};
    });
    const phases = await staging.run(await staging.alarm());
    expect(phases.map(({ records, failedRequests }) => [records, failedRequests])).toEqual([
      [1800, 2],
      [1800, 2],
      [1800, 2],
    ]);
    expect(Math.abs(phases[1]!.drift!.sent - 0.4)).toBeLessThan(0.06);
  });

  it('ends where nothing gets through', async () => {
    staging.runtime.on(InvokeEndpointCommand).rejects(new Error('socket hang up'));
    await expect(staging.run(await staging.alarm())).rejects.toThrow(GateDependencyError);
  });

  it('sends the same records again where a step is repeated', async () => {
    class Repeating extends InProcessWorkflow {
      override async step<T>(name: string, work: () => Promise<T>): Promise<T> {
        await super.step(name, work);
        return super.step(name, work);
      }
    }
    const { cloudwatch } = staging;
    const workflow = new Repeating({
      id: 'run',
      now: () => cloudwatch.time,
      sleep: (ms) => staging.advance(ms),
    });
    const phases = await staging.run(await staging.alarm(), {}, workflow);
    expect(states(phases)).toEqual(['under OK', 'over ALARM', 'healthy OK']);
    const bodies = new Map<string, Set<string>>();
    for (const { id, body } of staging.requests) bodies.set(id, (bodies.get(id) ?? new Set()).add(body));
    expect(staging.requests).toHaveLength(2 * bodies.size);
    expect([...bodies.values()].every((set) => set.size === 1)).toBe(true);
  });
});

describe('is refused', () => {
  const refusal = async (
    traffic: Partial<NonNullable<DrillInput['traffic']>> = {},
    change: Record<string, unknown> = {},
  ): Promise<string> => {
    const error = await staging.run(await staging.alarm(change), traffic).catch((thrown) => thrown);
    expect(error).toBeInstanceOf(GateInputError);
    expect(staging.requests).toEqual([]);
    return error.message;
  };

  it('while the alarm rings', async () => {
    const alarm = await staging.alarm();
    staging.requests.push(
      ...Array.from({ length: 200 }, () => ({ at: staging.cloudwatch.time, body: '1,ATL', id: '' })),
    );
    await staging.advance(7 * MINUTE);
    await expect(staging.run(alarm)).rejects.toThrow('psi-distance is in ALARM: a real incident comes first');
  });

  it('without an endpoint that serves', async () => {
    staging.aws.sagemaker.on(DescribeEndpointCommand).resolves({ EndpointStatus: 'Updating' });
    expect(await refusal()).toContain('the endpoint staging is Updating');
  });

  it('without a baseline', async () => {
    expect(await refusal({ dataset: 'weather' })).toBe(
      'dataset weather has no baseline to draw records from',
    );
  });

  it('for a drift that records cannot have', async () => {
    expect(await refusal({ measure: 'ks', intended: 0.6 })).toContain(
      'no synthetic records have a ks of 1.2',
    );
  });

  it('where records of another feature would look like drift by themselves', async () => {
    const { distance, origin } = PROFILE.columns;
    const many = { ...ORIGIN, other: 100_000, otherDistinct: 5_000 } as Distribution;
    staging.promote({
      ...PROFILE,
      columns: { distance: distance!, origin: { ...origin!, distribution: many } },
    });
    expect(await refusal()).toMatch(
      /^the baseline of flights lists too few values of column "origin": .* psi of /,
    );
  });

  it('for an expression that nobody could follow', async () => {
    const alarm = await staging.alarm();
    alarm.queries.push({ id: 'e1', expression: 'ANOMALY_DETECTION_BAND(m1)' });
    await expect(staging.run({ ...alarm, math: true, returns: 'e1' })).rejects.toThrow(GateInputError);
  });

  it('for an alarm that is no metric alarm', async () => {
    const alarm = { ...(await staging.alarm()), kind: 'composite' } as unknown as MetricAlarm;
    await expect(staging.run(alarm)).rejects.toThrow('is no metric alarm');
  });

  it('once the baseline has been replaced', async () => {
    staging.runtime.on(InvokeEndpointCommand).callsFake(() => {
      staging.promote({ ...PROFILE, rows: 100_001 });
      return {};
    });
    await expect(staging.run(await staging.alarm())).rejects.toThrow(
      'was replaced while records of it were sent',
    );
  });
});
