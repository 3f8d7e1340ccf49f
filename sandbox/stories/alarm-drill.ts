import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  DescribeAlarmsCommand,
  PutMetricAlarmCommand,
  type PutMetricAlarmCommandInput,
  PutMetricDataCommand,
} from '@aws-sdk/client-cloudwatch';
import { InvokeCommand, LambdaClient } from '@aws-sdk/client-lambda';
import { GetObjectCommand } from '@aws-sdk/client-s3';
import { CreateTopicCommand, ListSubscriptionsCommand, SetTopicAttributesCommand } from '@aws-sdk/client-sns';
import { ListQueuesCommand } from '@aws-sdk/client-sqs';
import {
  DRILL_FINISHED,
  DRILL_NAMESPACE,
  type LocatedDrill,
  SHADOW,
} from '../../functions/alarm-drill/schema.ts';
import { DRIFT_NAMESPACE, LARGEST_DRIFT_METRIC } from '../../functions/quality-gate/schema.ts';
import type { Finding, Verdict } from '../../functions/shared/verdict.ts';
import { loadConfig } from '../../lib/config.ts';
import { seconds } from '../console.ts';
import { ACCOUNT, REGION, ROOT_CREDENTIALS } from '../emulator.ts';
import { SandboxError } from '../errors.ts';
import { writeFlights } from '../flights.ts';
import { Inbox } from '../inbox.ts';
import { ROOT } from '../paths.ts';
import { serveFlightDelays } from '../serving.ts';
import { expect, type Story, type World } from '../world.ts';

/** How long a drill that CloudWatch's event starts may take. It takes two minutes. */
const PATIENCE_MS = 300_000;

/** How often the team's monitor emits, milliseconds. */
const EVERY_MS = 10_000;

/** Flights of the baseline. */
const USUAL = 50_000;

/** What drills are called in tocsin.yaml. */
const DRIFT = 'flight-delay-drift';
const ERRORS = 'flight-delay-errors';
const CHAIN = 'flight-delay-chain';

/** The drift monitor of tocsin.yaml, whose alarm the last one is of. */
const MONITOR = 'flight-delay';

/** Gap 3: an alarm that fires at five times the intended drift, and one that nobody hears. */
export const alarmDrill: Story = {
  name: 'alarm',
  gap: 3,
  title: 'Gap 3: alerts never tested',
  plot: 'Everybody believes that the drift alarm fires at 0.2. It was once set to 1.0 while somebody debugged, and stayed there. Another alarm fires as it should, at a topic that nobody listens to.',

  async play(world) {
    const scene = await setScene(world);
    const { transcript } = world;
    const stop = new AbortController();
    const emitting = emit(scene, AbortSignal.any([world.signal, stop.signal]));
    try {
      // Side by side: most of a drill is waiting for CloudWatch.
      const chain = kept(playChain(scene));
      transcript.chapter('Somebody makes the two alarms: that alone starts their drills');
      await makeAlarms(scene);
      await findFive(scene, await judged(scene, scene.drift, 1));
      transcript.chapter('The threshold is set right, which starts the drill again');
      await fix(scene);
      transcript.chapter('The alarm that fires, and that nobody hears');
      findNobody(world, await judged(scene, scene.errors, 1));
      transcript.chapter('The whole chain: drifted flights, capture, drift monitor, alarm');
      showChain(world, await chain);
      transcript.chapter('Nothing left behind');
      await tidy(world);
    } finally {
      stop.abort();
      await emitting;
    }
  },
};

/** What Tocsin says of one drill. */
interface Heard {
  name: string;
  /** Subscribed to the messages about it. */
  people: Inbox;
  /** Target of a rule for the events about it. */
  machines: Inbox;
}

/** Everything that the steps of the story share. */
interface Scene {
  world: World;
  drills: Map<string, LocatedDrill>;
  /** ARN of the topic that the drift alarm tells, and whoever is on call. */
  onCall: string;
  pager: Inbox;
  /** ARN of the topic of the other one, which nobody is subscribed to. */
  nobody: string;
  drift: Heard;
  errors: Heard;
}

async function setScene(world: World): Promise<Scene> {
  const { drills } = loadConfig(join(ROOT, 'tocsin.yaml'));
  for (const name of [DRIFT, ERRORS, CHAIN]) {
    if (!drills.has(name)) {
      throw new SandboxError(
        'story',
        `tocsin.yaml lacks the alarm drill ${name}, which this story is about.`,
      );
    }
  }
  const onCall = await createTopic(world, 'flight-delay-on-call');
  const hear = async (name: string): Promise<Heard> => ({
    name,
    people: await Inbox.ofMessages(world, `people-of-${name}`, { drill: [name] }),
    machines: await Inbox.ofEvents(world, `machines-of-${name}`, { drill: [name] }),
  });
  return {
    world,
    drills,
    onCall,
    pager: await Inbox.ofTopic(world, 'on-call', onCall),
    nobody: await createTopic(world, 'flight-delay-nobody'),
    drift: await hear(DRIFT),
    errors: await hear(ERRORS),
  };
}

async function makeAlarms(scene: Scene): Promise<void> {
  const { world, nobody } = scene;
  await publishUsual(scene, Date.now() - 10 * 60_000, Date.now());
  await putAlarm(world, driftAlarm(scene, 1));
  await putAlarm(world, {
    AlarmName: ERRORS,
    Namespace: 'FlightDelay',
    MetricName: 'InvocationErrors',
    Dimensions: [{ Name: 'Endpoint', Value: 'flight-delay-staging' }],
    Statistic: 'Sum',
    Period: 10,
    EvaluationPeriods: 1,
    ComparisonOperator: 'GreaterThanOrEqualToThreshold',
    Threshold: 5,
    AlarmActions: [nobody],
  });
  world.transcript.note(
    'CloudWatch',
    `has the alarms ${DRIFT} and ${ERRORS}, and data of both their metrics`,
  );
}

/** The verdict of the nth run of a drill, of which people and machines were told. */
async function judged({ world }: Scene, { name, people, machines }: Heard, number: number): Promise<Verdict> {
  const { transcript, signal } = world;
  const { subject, text } = await transcript.step(
    'drilled',
    async () => {
      const message = await people.message(number, PATIENCE_MS, signal);
      const { Subject, Message } = JSON.parse(message ?? '{}') as { Subject?: string; Message?: string };
      return { subject: Subject, text: Message };
    },
    ({ subject }) => `people are told "${subject}"`,
  );
  const event = await machines.message(number, EVERY_MS, signal);
  if (event === undefined) {
    throw await world.failure(
      `expected verdict ${number} of ${name} within ${seconds(PATIENCE_MS)}, got ${subject}: ${text}`,
    );
  }
  const { 'detail-type': type, detail } = JSON.parse(event) as {
    'detail-type': string;
    detail: { evidence: string };
  };
  expect('the type of the event', type, DRILL_FINISHED);
  return readVerdict(world, detail.evidence);
}

/** A topic that CloudWatch may publish to. */
async function createTopic(world: World, name: string): Promise<string> {
  const { TopicArn = '' } = await world.sns.send(new CreateTopicCommand({ Name: name }));
  const policy = {
    Version: '2012-10-17',
    Statement: {
      Effect: 'Allow',
      Principal: { Service: 'cloudwatch.amazonaws.com' },
      Action: 'sns:Publish',
      Resource: TopicArn,
      Condition: { StringEquals: { 'aws:SourceAccount': ACCOUNT } },
    },
  };
  await world.sns.send(
    new SetTopicAttributesCommand({
      TopicArn,
      AttributeName: 'Policy',
      AttributeValue: JSON.stringify(policy),
    }),
  );
  return TopicArn;
}

/** The alarm of the drift of a feature, as somebody made it by hand. */
function driftAlarm({ drills, onCall }: Scene, threshold: number): PutMetricAlarmCommandInput {
  const { namespace, name, dimensions } = drills.get(DRIFT)?.value.intended.metric ?? {};
  return {
    AlarmName: DRIFT,
    AlarmDescription: 'The flights that the endpoint is asked about are not those that it has learned from',
    Namespace: namespace,
    MetricName: name,
    Dimensions: Object.entries(dimensions ?? {}).map(([Name, Value]) => ({ Name, Value })),
    Statistic: 'Average',
    Period: 10,
    EvaluationPeriods: 1,
    ComparisonOperator: 'GreaterThanOrEqualToThreshold',
    Threshold: threshold,
    AlarmActions: [onCall],
  };
}

async function putAlarm({ cloudwatch }: World, alarm: PutMetricAlarmCommandInput): Promise<void> {
  await cloudwatch.send(new PutMetricAlarmCommand(alarm));
}

/** What the team's monitors emit of a healthy endpoint, every ten seconds between two times. */
async function publishUsual({ world, drills }: Scene, from: number, to: number): Promise<void> {
  const { namespace, name, dimensions } = drills.get(DRIFT)?.value.intended.metric ?? {};
  const Dimensions = Object.entries(dimensions ?? {}).map(([Name, Value]) => ({ Name, Value }));
  const times = timesBetween(from, to);
  if (times.length === 0) return;
  await world.cloudwatch.send(
    new PutMetricDataCommand({
      Namespace: namespace,
      MetricData: times.flatMap((at) => [
        {
          MetricName: name,
          Dimensions,
          Timestamp: new Date(at),
          // Between 0.03 and 0.07.
          Value: 0.05 + 0.02 * Math.sin(at / 60_000),
          StorageResolution: 1,
        },
        {
          MetricName: 'InvocationErrors',
          Dimensions: Dimensions.filter(({ Name }) => Name === 'Endpoint'),
          Timestamp: new Date(at),
          Value: 0,
          StorageResolution: 1,
        },
      ]),
    }),
  );
}

/** Whole tens of seconds between two times, the second inclusive. */
function timesBetween(from: number, to: number): number[] {
  const first = Math.floor(from / EVERY_MS) + 1;
  return Array.from(
    { length: Math.max(0, Math.floor(to / EVERY_MS) - first + 1) },
    (_, index) => (first + index) * EVERY_MS,
  );
}

/** Goes on emitting until it is told to stop. */
async function emit(scene: Scene, signal: AbortSignal): Promise<void> {
  let last = Date.now();
  while (!signal.aborted) {
    await sleep(EVERY_MS, undefined, { signal }).catch(() => undefined);
    if (signal.aborted) return;
    const now = Date.now();
    await publishUsual(scene, last, now);
    last = now;
  }
}

/** A promise whose failure waits until somebody asks. */
function kept<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined);
  return promise;
}

/** Runs a drill as a person would. */
async function runDrill(world: World, name: string, ...options: string[]): Promise<Verdict> {
  const outputs = world.outputsFile;
  const args = ['drill', 'alarm', name, ...options, '--outputs', outputs, '--json'];
  return JSON.parse(await world.tocsin(args)) as Verdict;
}

async function readVerdict({ s3 }: World, uri: string): Promise<Verdict> {
  const { host: Bucket, pathname } = new URL(uri);
  const { Body } = await s3.send(new GetObjectCommand({ Bucket, Key: pathname.slice(1) }));
  return JSON.parse((await Body?.transformToString()) ?? '') as Verdict;
}

function requireOutcome({ subject, outcome, findings }: Verdict, expected: Verdict['outcome']): void {
  if (outcome === expected) return;
  throw new SandboxError('story', `The drill ${subject} is to ${expected}, and came out as ${outcome}.`, {
    output: findings.map((finding) => `${finding.outcome}: ${finding.message}`).join('\n'),
  });
}

function findingOf(verdict: Verdict, check: string): Finding {
  const found = verdict.findings.find((finding) => finding.check === check);
  if (found !== undefined) return found;
  const checks = verdict.findings.map((finding) => finding.check);
  throw new SandboxError('story', `The verdict has no finding ${check}, only ${checks.join(', ')}.`);
}

/** The configuration gives the mistake away, and so does what the alarm does. */
async function findFive({ world, pager }: Scene, verdict: Verdict): Promise<void> {
  const { transcript } = world;
  requireOutcome(verdict, 'fail');
  const threshold = findingOf(verdict, 'threshold');
  expect('the finding of its threshold', threshold.outcome, 'fail');
  transcript.holds('read', 'the configuration proves it already:');
  transcript.quote(threshold.message);
  const effective = findingOf(verdict, 'effective-threshold');
  expect('the finding of its effective threshold', effective.outcome, 'fail');
  const { low = 0, high = 0 } = effective.interval ?? {};
  expect('1.0 lies between quiet and loud', low < 1 && high >= 1 && high / low < 1.106, true);
  transcript.holds('tried', 'shadow alarms on metrics of their own, each fed a drift of its own:');
  transcript.quote(effective.message);
  await pager.empty();
  expect('messages to whoever is on call', pager.received.length, 0);
  transcript.holds('quietly', 'nobody was called: shadow alarms tell a probe topic alone');
}

async function fix(scene: Scene): Promise<void> {
  const { world } = scene;
  await putAlarm(world, driftAlarm(scene, 0.2));
  const verdict = await judged(scene, scene.drift, 2);
  requireOutcome(verdict, 'pass');
  for (const [label, check] of [
    ['threshold', 'effective-threshold'],
    ['silence', 'silence'],
    ['recovery', 'recovery'],
    ['receipts', 'receipts'],
  ] as const) {
    world.transcript.holds(label, findingOf(verdict, check).message);
  }
  const proof = await runDrill(world, DRIFT, '--proof');
  expect('what tocsin drill alarm --proof says', proof.outcome, 'pass');
  world.transcript.holds(
    '--proof',
    `tocsin drill alarm ${DRIFT} --proof says the same in seconds: ${proof.reason}`,
  );
}

/** The alarm fires in time, and its message reaches its topic; there it ends. */
function findNobody({ transcript }: World, verdict: Verdict): void {
  requireOutcome(verdict, 'fail');
  const ladder = findingOf(verdict, 'effective-threshold');
  expect('the ladder', ladder.outcome, 'pass');
  transcript.holds('fires', ladder.message);
  const delivery = findingOf(verdict, 'delivery');
  expect('the delivery', delivery.outcome, 'fail');
  transcript.holds('receipt', 'a message marked DRILL went all the way:');
  transcript.quote(delivery.message);
}

/** Drifted flights go to a real endpoint, and Tocsin's own monitor looks at what that captures. */
async function playChain({ world, drills }: Scene): Promise<Verdict> {
  const { endpoint = '', dataset = '' } = drills.get(CHAIN)?.value.traffic ?? {};
  await serveFlightDelays(world, {
    endpoint,
    bucket: 'flight-delay-capture',
    variants: [{ name: 'AllTraffic', weight: 1 }],
    capture: 'staging/',
  });
  const usual = await writeFlights(world.directory, '2001-01', {
    rows: USUAL,
    columns: ['date', 'distance', 'origin', 'destination'],
  });
  const profile = join(world.directory, 'serving.json');
  await world.tocsin(['profile', usual.path, '--contract', `contracts/${dataset}.yaml`, '--save', profile]);
  await world.tocsin([
    ...['baseline', 'promote', '--profile', profile, '--dataset', dataset],
    ...['--evidence-bucket', world.output('EvidenceBucket')],
  ]);
  // The metric of a monitor that has run for a while: a drill finds fault with one that never emitted.
  await world.cloudwatch.send(
    new PutMetricDataCommand({
      Namespace: DRIFT_NAMESPACE,
      MetricData: timesBetween(Date.now() - 10 * 60_000, Date.now() - 60_000).map((at) => ({
        MetricName: LARGEST_DRIFT_METRIC,
        Dimensions: [{ Name: 'Monitor', Value: MONITOR }],
        Timestamp: new Date(at),
        Value: 0.01,
      })),
    }),
  );
  // What its schedule does once a minute, more often: a story has less patience.
  const lambda = new LambdaClient({
    endpoint: world.emulator.endpoint,
    region: REGION,
    credentials: ROOT_CREDENTIALS,
  });
  const over = new AbortController();
  const signal = AbortSignal.any([world.signal, over.signal]);
  const monitoring = (async () => {
    while (!signal.aborted) {
      await lambda.send(
        new InvokeCommand({
          FunctionName: world.output('DriftMonitorAlias'),
          InvocationType: 'Event',
          Payload: JSON.stringify({ monitor: MONITOR }),
        }),
      );
      await sleep(EVERY_MS, undefined, { signal }).catch(() => undefined);
    }
  })();
  try {
    return await runDrill(world, CHAIN);
  } finally {
    over.abort();
    await monitoring;
  }
}

function showChain({ transcript }: World, verdict: Verdict): void {
  requireOutcome(verdict, 'pass');
  for (const [label, check] of [
    ['under', 'live-under'],
    ['over', 'live-over'],
    ['healthy', 'recovery'],
  ] as const) {
    const finding = findingOf(verdict, check);
    expect(`the finding ${check} of the chain`, finding.outcome, 'pass');
    transcript.holds(label, finding.message);
  }
}

/** No shadow alarm, queue or subscription is left, and no metric but the drill's own was written. */
async function tidy(world: World): Promise<void> {
  const { MetricAlarms = [] } = await world.cloudwatch.send(
    new DescribeAlarmsCommand({ AlarmNamePrefix: SHADOW }),
  );
  expect('shadow alarms', MetricAlarms.length, 0);
  const { QueueUrls = [] } = await world.sqs.send(new ListQueuesCommand({ QueueNamePrefix: SHADOW }));
  expect('receipt queues', QueueUrls.length, 0);
  const { Subscriptions = [] } = await world.sns.send(new ListSubscriptionsCommand({}));
  const left = Subscriptions.filter(({ Endpoint }) => Endpoint?.includes(SHADOW));
  expect('subscriptions of receipt queues', left.length, 0);
  world.transcript.holds(
    'tidy',
    `shadow alarms, queues and subscriptions are gone; data went to ${DRILL_NAMESPACE} alone`,
  );
}
