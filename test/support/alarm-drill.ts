import { PutMetricAlarmCommand, type PutMetricAlarmCommandInput } from '@aws-sdk/client-cloudwatch';
import { EventBridgeClient, PutEventsCommand } from '@aws-sdk/client-eventbridge';
import { KMSClient } from '@aws-sdk/client-kms';
import { LambdaClient } from '@aws-sdk/client-lambda';
import { S3Client } from '@aws-sdk/client-s3';
import { SageMakerClient } from '@aws-sdk/client-sagemaker';
import { SageMakerRuntimeClient } from '@aws-sdk/client-sagemaker-runtime';
import { SNSClient } from '@aws-sdk/client-sns';
import { SQSClient } from '@aws-sdk/client-sqs';
import { mockClient } from 'aws-sdk-client-mock';
import { expect, vi } from 'vitest';
import type { MetricName } from '../../functions/alarm-drill/alarm.ts';
import { type DrillAnswer, runDrill } from '../../functions/alarm-drill/drill-workflow.ts';
import type { Measurements } from '../../functions/alarm-drill/measurements.ts';
import { drillsOf, parseTrigger } from '../../functions/alarm-drill/request.ts';
import type { DrillDependencies } from '../../functions/alarm-drill/run-workflow.ts';
import { DRILL_NAMESPACE, parseDrills, SHADOW } from '../../functions/alarm-drill/schema.ts';
import { durableHandler } from '../../functions/shared/durable.ts';
import { EvidenceStore } from '../../functions/shared/evidence.ts';
import { InProcessWorkflow } from '../../functions/shared/in-process.ts';
import type { Verdict } from '../../functions/shared/verdict.ts';
import { WorkBucket } from '../../functions/shared/work.ts';
import type { Workflow } from '../../functions/shared/workflow.ts';
import { LocalCloudWatch } from './cloudwatch.ts';
import { DurableService } from './durable-service.ts';
import { FakeAws } from './fake-aws.ts';
import { FakeMessaging } from './fake-messaging.ts';
import { type Published, published } from './published.ts';

const MINUTE = 60_000;

/** Calls of CloudWatch that change something. */
const CHANGES = ['PutMetricAlarm', 'PutMetricData', 'DeleteAlarms', 'TagResource'];

/** What is different about the alarm of a test. */
export type AlarmChange = Partial<Omit<PutMetricAlarmCommandInput, 'AlarmName'>>;

/** Whoever emits a metric, whether a drill goes on or not. */
export interface Emitter {
  metric: MetricName;
  everyMs: number;
  value: (at: number) => number;
  /** Samples at a time (default 1). */
  count?: number;
  unit?: string;
  /** Of samples: with data for alarms of less than a minute. */
  fine?: boolean;
}

/**
 * An account in memory on a virtual clock, which `Date` follows: CloudWatch over its wire protocol, topics and queues, S3.
 * Its evidence, messages, events and what is left behind are there to be looked at.
 */
export class DrillWorld {
  readonly aws = new FakeAws();
  /** Endpoints. */
  readonly runtime = mockClient(SageMakerRuntimeClient);
  readonly messaging: FakeMessaging;
  readonly emitters: Emitter[] = [];
  /** Every call of CloudWatch, in order. */
  readonly calls: { operation: string; input: Record<string, unknown> }[] = [];
  /** Fails a call of CloudWatch: asked before each. */
  fails: (operation: string, input: Record<string, unknown>) => Error | undefined = () => undefined;
  /** Told of each stretch of time before it passes. */
  before: (ms: number) => void | Promise<void> = () => {};
  recorded: Parameters<DrillDependencies['record']>[] = [];
  warned: string[] = [];
  readonly probe: string;
  readonly oncall: string;
  #local!: LocalCloudWatch;
  /** What was emitted up to. */
  #emitted = 0;

  private constructor() {
    this.aws.unversioned.add('work');
    this.messaging = new FakeMessaging({
      sns: this.aws.sns,
      now: () => this.#local.time,
      alive: () => this.aws.alive(),
      changed: (what) => this.aws.changed(what),
    });
    this.probe = this.messaging.topic('probe', { attributes: { Policy: CLOUDWATCH_MAY_PUBLISH } });
    this.oncall = this.messaging.topic('oncall', { attributes: { Policy: CLOUDWATCH_MAY_PUBLISH } });
    this.messaging.subscribe(this.oncall, 'email', 'oncall@example.com');
  }

  /** @param options.extraRange as of the local CloudWatch */
  static async start(options: { time?: number; extraRange?: number } = {}): Promise<DrillWorld> {
    const time = options.time ?? Date.UTC(2026, 0, 5, 12);
    vi.useFakeTimers({ toFake: ['Date'], now: time });
    const world = new DrillWorld();
    world.#emitted = time;
    world.#local = await LocalCloudWatch.start({
      ...options,
      time,
      act: (arn, subject, text) => world.messaging.publish(arn, subject, text),
    });
    world.#local.client.middlewareStack.add(
      (next, { commandName = '' }) =>
        async (args) => {
          const operation = commandName.replace(/Command$/, '');
          const input = args.input as Record<string, unknown>;
          world.aws.alive();
          const error = world.fails(operation, input);
          if (error !== undefined) throw error;
          world.calls.push({ operation, input });
          const answer = await next(args);
          if (CHANGES.includes(operation)) world.aws.changed(`${operation} ${input.AlarmName ?? ''}`);
          return answer;
        },
      { step: 'initialize' },
    );
    return world;
  }

  get cloudwatch(): LocalCloudWatch {
    return this.#local;
  }

  async close(): Promise<void> {
    await this.#local.close();
    this.messaging.restore();
    this.runtime.restore();
    this.aws.restore();
    vi.useRealTimers();
  }

  /** The clock, milliseconds since 1970. */
  readonly now = (): number => this.#local.time;

  /** Lets time pass: emitters emit, alarms are evaluated and tell. */
  readonly sleep = async (ms: number): Promise<void> => {
    await this.before(ms);
    const to = this.#local.time + Math.max(0, ms);
    while (this.#local.time < to) {
      const next = Math.min(to, this.#nextEmission());
      await this.#local.advance(next - this.#local.time);
      this.#emit(next);
    }
    vi.setSystemTime(this.#local.time);
  };

  /** Time that `Date` has gone ahead of CloudWatch passes there, too. */
  async catchUp(): Promise<void> {
    const ahead = Date.now() - this.#local.time;
    if (ahead > 0) await this.sleep(ahead);
  }

  /** Adds somebody who emits a metric, and has for some time. */
  emits(emitter: Emitter, sinceMs = 3 * 60 * MINUTE): void {
    const now = this.#local.time;
    for (let at = now - sinceMs; at < now; at += emitter.everyMs) this.#write(emitter, at);
    this.emitters.push(emitter);
  }

  #nextEmission(): number {
    const times = this.emitters.map(({ everyMs }) => (Math.floor(this.#emitted / everyMs) + 1) * everyMs);
    return Math.min(Number.POSITIVE_INFINITY, ...times);
  }

  #emit(to: number): void {
    for (const emitter of this.emitters) {
      const at = Math.floor(to / emitter.everyMs) * emitter.everyMs;
      if (at > this.#emitted) this.#write(emitter, at);
    }
    this.#emitted = to;
  }

  #write({ metric, value, count = 1, unit = 'None', fine = false }: Emitter, at: number): void {
    const one = value(at);
    this.#local.cloudwatch.metrics.write(
      {
        namespace: metric.namespace,
        name: metric.name,
        dimensions: Object.entries(metric.dimensions).map(([Name, Value]) => ({ Name, Value })),
      },
      { time: at, unit, count, sum: one * count, min: one, max: one, values: [[one, count]] },
      { resolution: fine ? 1 : 60, now: at },
    );
  }

  /** Makes an alarm, which tells {@link oncall}, and waits until it is OK. */
  async alarm(input: AlarmChange & { AlarmName: string }): Promise<void> {
    await this.#local.client.send(
      new PutMetricAlarmCommand({
        Namespace: 'ML',
        MetricName: 'psi',
        Dimensions: [{ Name: 'Endpoint', Value: 'churn' }],
        Statistic: 'Average',
        Period: 60,
        EvaluationPeriods: 3,
        DatapointsToAlarm: 2,
        Threshold: 0.2,
        ComparisonOperator: 'GreaterThanOrEqualToThreshold',
        TreatMissingData: 'breaching',
        AlarmActions: [this.oncall],
        ...input,
      } as PutMetricAlarmCommandInput),
    );
    await this.sleep(10 * MINUTE);
    this.calls.length = 0;
    this.aws.changes.length = 0;
  }

  /** What a drill works with. */
  deps(overrides: Partial<DrillDependencies> = {}): DrillDependencies {
    const s3 = new S3Client({});
    return {
      env: {
        TOPIC_ARN: 'arn:aws:sns:us-east-1:111122223333:verdicts',
        EVENT_BUS: 'default',
        PROBE_TOPIC_ARN: this.probe,
      },
      store: new EvidenceStore(s3, 'evidence'),
      work: new WorkBucket(s3, 'work'),
      sns: new SNSClient({}),
      sqs: new SQSClient({}),
      events: new EventBridgeClient({}),
      cloudwatch: this.#local.client,
      lambda: new LambdaClient({}),
      kms: new KMSClient({}),
      sagemaker: new SageMakerClient({}),
      runtime: new SageMakerRuntimeClient({}),
      operations: 2400,
      now: this.now,
      sleep: this.sleep,
      record: (...args) => this.recorded.push(args),
      warn: (message) => this.warned.push(message),
      ...overrides,
    };
  }

  /** Runs the drills of a tocsin.yaml that an event asks for: of one, its answer. */
  async start(
    workflow: Workflow,
    config: string,
    event: unknown,
    overrides: Partial<DrillDependencies> = {},
  ): Promise<DrillAnswer> {
    const requests = drillsOf(parseTrigger(event), parseDrills({ file: 'tocsin.yaml', text: config }));
    if ('ignored' in requests) return requests;
    return runDrill(workflow, requests[0]!, this.deps(overrides));
  }

  /** In one process, on the virtual clock. */
  async run(
    config: string,
    {
      event = { drill: 'drift' } as unknown,
      id = 'run-1',
      deadline,
      overrides,
    }: {
      event?: unknown;
      id?: string;
      deadline?: number;
      overrides?: Partial<DrillDependencies>;
    } = {},
  ): Promise<DrillAnswer> {
    const workflow = new InProcessWorkflow({
      id,
      ...(deadline !== undefined && { deadline }),
      now: this.now,
      sleep: (ms, signal) =>
        // The timer of the deadline itself, which never ends before a step of these tests.
        signal === undefined
          ? this.sleep(ms)
          : new Promise((_, stop) => signal.addEventListener('abort', stop)),
      random: () => 0.5,
    });
    return this.start(workflow, config, event, overrides);
  }

  /** Durable executions, which may crash anywhere: also with any change to the account. */
  durable(config: string, overrides: Partial<DrillDependencies> = {}): DurableService {
    const service = new DurableService(
      durableHandler(async (event, workflow) => {
        this.revive();
        await this.catchUp();
        return this.start(workflow, config, event, overrides);
      }),
      (ms) => {
        vi.setSystemTime(Date.now() + ms);
      },
    );
    service.dies = () => (this.#isDead ? 'before it is kept' : undefined);
    return service;
  }

  /** Another process, where the last one has died. */
  revive(): void {
    if (this.#isDead) this.aws.diesAfter = Number.POSITIVE_INFINITY;
  }

  get #isDead(): boolean {
    return this.aws.changes.length >= this.aws.diesAfter;
  }

  // What came of it ---------------------------------------------------------------------------------------

  /** The objects of this name in the evidence of the drills. */
  evidence(name: string): unknown[] {
    return this.aws
      .keys('evidence', 'evidence/alarm-drill/')
      .filter((key) => key.endsWith(`/${name}`))
      .map((key) => JSON.parse(this.aws.get('evidence', key).body.toString('utf8')));
  }

  get verdict(): Verdict {
    const verdicts = this.evidence('verdict.json') as Verdict[];
    expect(verdicts).toHaveLength(1);
    return verdicts[0]!;
  }

  get measurements(): Measurements {
    const [measurements] = this.evidence('measurements.json') as Measurements[];
    return measurements!;
  }

  get messages(): Published[] {
    return published(this.aws);
  }

  get events(): unknown[] {
    return this.aws.inputs('events', PutEventsCommand);
  }

  /** Namespaces that data was put into. */
  get written(): string[] {
    const puts = this.calls.filter(({ operation }) => operation === 'PutMetricData');
    return [...new Set(puts.map(({ input }) => String(input.Namespace)))];
  }

  /** Names of what is left of a drill: shadow alarms, queues, subscriptions, claims. */
  get left(): string[] {
    return [
      ...[...this.#local.cloudwatch.alarms.keys()].filter((name) => name.startsWith(SHADOW)),
      ...this.messaging.left(SHADOW),
      ...this.aws.keys('work', 'claims/'),
    ];
  }

  /** Nothing is left but evidence, and nothing was written to but what is the drill's own. */
  expectClean(namespaces: readonly string[] = [DRILL_NAMESPACE]): void {
    expect(this.left).toEqual([]);
    expect(namespaces, 'namespaces').toEqual(expect.arrayContaining(this.written));
    for (const { operation, input } of this.calls) {
      const names = [input.AlarmName ?? [], input.AlarmNames ?? []].flat() as string[];
      if (operation === 'PutMetricAlarm' || operation === 'DeleteAlarms') {
        expect(
          names.filter((name) => !name.startsWith(SHADOW)),
          operation,
        ).toEqual([]);
      }
    }
  }
}

const CLOUDWATCH_MAY_PUBLISH = JSON.stringify({
  Version: '2012-10-17',
  Statement: [
    {
      Effect: 'Allow',
      Principal: { Service: 'cloudwatch.amazonaws.com' },
      Action: 'sns:Publish',
      Resource: '*',
    },
  ],
});
