import { Duration } from 'aws-cdk-lib';
import { AnyPrincipal, Effect, PolicyStatement, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import { Topic } from 'aws-cdk-lib/aws-sns';
import { Construct } from 'constructs';
import { DRILL_NAMESPACE, type LocatedDrill, SHADOW } from '../../functions/alarm-drill/schema.ts';
import { EVENT_SOURCE } from '../../functions/shared/schema.ts';
import { type Config, textBundleOf } from '../config.ts';
import { localArn } from '../shared/arn.ts';
import { waitingFunction } from '../shared/engine.ts';
import { patternsOf } from '../shared/event-patterns.ts';
import type { EvidenceStore } from '../shared/evidence-store.ts';
import type { GateFunction } from '../shared/gate-function.ts';
import type { Notifications } from '../shared/notifications.ts';
import { bothSpellings } from '../shared/spellings.ts';
import type { WorkBucket } from '../shared/work-bucket.ts';

const GATE = 'alarm-drill';

/**
 * Bounds the time of a drill by the time in which its alarm has to fire: so many rounds (four of the ladder, one message
 * down the real path), of which each warms up, drifts and recovers, and each of these may take three times as long.
 */
const ROUNDS = 5;
const PER_ROUND = 3 * 3;

/** What comes on top: hours in which silence is watched, an alarm whose window is longer than it should be, retries. */
const MARGIN = Duration.days(1);

/** The most that any drill gets: who has to wait longer for its word would not wait for it. */
const LONGEST = Duration.days(30);

export interface AlarmDrillProps {
  /** As {@link loadConfig} returns it; with at least one drill. */
  config: Pick<Config, 'file' | 'text' | 'drills' | 'engine' | 'workflow'>;
  /** For claims and progress. */
  work: WorkBucket;
  evidence: EvidenceStore;
  /** Where verdicts and alarms go. */
  notifications: Notifications;
}

/**
 * Proves of the alarms of tocsin.yaml that they fire when they are meant to: on clones that watch metrics of their own and
 * notify a topic of their own, so that no real metric is touched and nobody is woken, unless tocsin.yaml says so.
 */
export class AlarmDrill extends Construct {
  readonly gate: GateFunction;
  /** What clones of alarms notify; only the receipt queues of drills may subscribe. */
  readonly probe: Topic;

  constructor(scope: Construct, id: string, props: AlarmDrillProps) {
    super(scope, id);
    const { config, work, evidence, notifications } = props;
    const drills = [...config.drills.values()];
    this.gate = waitingFunction(this, 'Gate', config, {
      name: GATE,
      entry: `${GATE}/handler`,
      memory: 1024,
      executionTimeout: longestDrill(config),
      unjudged: 'nobody knows whether its alarm would still fire',
      notifications,
    });
    this.gate.readConfiguration(textBundleOf(config));
    this.gate.notifyPeople();
    this.gate.emitEvents(EVENT_SOURCE);
    work.connect(this.gate, ['claims/alarm-drill-*']);
    // Synthetic records are drawn from what is usual.
    const baselines = drills.some(({ value }) => value.traffic !== undefined);
    evidence.connect(this.gate, GATE, { baselines });

    this.probe = this.#createProbe(notifications.key as IKey);
    this.gate.environment('PROBE_TOPIC_ARN', this.probe.topicArn);
    this.#allowShadows(drills);
    this.#allowReceipts(drills);
    this.#allowReading();
    this.#allowEndpoints(drills);
    this.#addTriggers(drills);
  }

  #createProbe(masterKey: IKey): Topic {
    const probe = new Topic(this, 'Probe', {
      displayName: 'Tocsin drills',
      masterKey,
      enforceSSL: true,
    });
    probe.addToResourcePolicy(
      new PolicyStatement({
        sid: 'ShadowAlarmsPublish',
        principals: [new ServicePrincipal('cloudwatch.amazonaws.com')],
        actions: ['sns:Publish'],
        resources: [probe.topicArn],
        conditions: { ArnLike: { 'aws:SourceArn': localArn(this, 'cloudwatch', `alarm:${SHADOW}*`) } },
      }),
    );
    // What clones say looks like an alarm, and would wake whoever subscribed by mistake.
    probe.addToResourcePolicy(
      new PolicyStatement({
        sid: 'OnlyReceiptQueuesSubscribe',
        effect: Effect.DENY,
        principals: [new AnyPrincipal()],
        actions: ['sns:Subscribe'],
        resources: [probe.topicArn],
        conditions: { StringNotLike: { 'sns:Endpoint': localArn(this, 'sqs', `${SHADOW}*`) } },
      }),
    );
    return probe;
  }

  /** Clones of alarms, and the data that they are fed. */
  #allowShadows(drills: readonly LocatedDrill[]): void {
    const shadows = [localArn(this, 'cloudwatch', `alarm:${SHADOW}*`)];
    const real = drills.some(({ value }) => value.deliver === 'real');
    this.gate.allow({
      actions: ['cloudwatch:PutMetricAlarm'],
      resources: shadows,
      wildcards: 'Clones of alarms have a name for each run; no other begins so.',
      // An alarm may also stop instances; a clone tells its topic, or those that people put behind the real alarm.
      conditions: {
        'ForAllValues:StringLike': {
          'cloudwatch:AlarmActions': real ? localArn(this, 'sns', '*') : this.probe.topicArn,
        },
      },
    });
    this.gate.allow({
      actions: ['cloudwatch:DeleteAlarms', 'cloudwatch:TagResource', 'cloudwatch:ListTagsForResource'],
      resources: shadows,
    });
    const live = drills.flatMap(({ value: { mode, intended } }) =>
      mode === 'live' && intended.metric !== undefined ? [intended.metric.namespace] : [],
    );
    this.gate.allow({
      actions: ['cloudwatch:PutMetricData'],
      resources: ['*'],
      conditions: { StringEquals: { 'cloudwatch:namespace': [...new Set([DRILL_NAMESPACE, ...live])] } },
    });
  }

  /** Queues that prove that a message arrived. */
  #allowReceipts(drills: readonly LocatedDrill[]): void {
    const queues = [localArn(this, 'sqs', `${SHADOW}*`)];
    this.gate.allow({
      actions: [
        'sqs:CreateQueue',
        // Creating something with tags takes it.
        'sqs:TagQueue',
        'sqs:SetQueueAttributes',
        'sqs:GetQueueAttributes',
        'sqs:GetQueueUrl',
        'sqs:ReceiveMessage',
        'sqs:ChangeMessageVisibility',
        'sqs:ListQueueTags',
        'sqs:DeleteQueue',
      ],
      resources: queues,
      wildcards: 'Receipt queues have a name for each run; no other begins so.',
    });
    const real = drills.some(({ value }) => value.deliver === 'real');
    const topics = real ? [localArn(this, 'sns', '*')] : [this.probe.topicArn];
    const wildcards = 'The topics behind an alarm are read from it when it is drilled.';
    this.gate.allow({
      actions: ['sns:Subscribe'],
      resources: topics,
      conditions: { StringEquals: { 'sns:Protocol': 'sqs' }, StringLike: { 'sns:Endpoint': queues } },
      ...(real && { wildcards }),
    });
  }

  /** Everything that an alarm depends on; its names are known when it is read, and not before. */
  #allowReading(): void {
    this.gate.allow({
      actions: [
        'cloudwatch:DescribeAlarms',
        'cloudwatch:DescribeAlarmHistory',
        'cloudwatch:ListMetrics',
        'cloudwatch:GetMetricData',
        'cloudwatch:ListAlarmMuteRules',
        'sqs:ListQueues',
        // Subscriptions are no resources that a policy could name.
        'sns:GetSubscriptionAttributes',
        'sns:Unsubscribe',
      ],
      resources: ['*'],
      wildcards:
        'X-Ray takes segments, CloudWatch tells of composite alarms, metrics and mute rules, SQS lists queues, and SNS knows subscriptions, on no narrower resource.',
    });
    const wildcards = 'What is behind an alarm is known when it is read, and not before.';
    this.gate.allow({
      actions: ['sns:GetTopicAttributes', 'sns:ListSubscriptionsByTopic'],
      resources: [localArn(this, 'sns', '*')],
      wildcards,
    });
    this.gate.allow({
      actions: ['lambda:GetFunctionConcurrency', 'lambda:GetPolicy'],
      resources: [localArn(this, 'lambda', 'function:*')],
      wildcards,
    });
    this.gate.allow({
      actions: ['kms:DescribeKey', 'kms:GetKeyPolicy'],
      resources: [localArn(this, 'kms', 'key/*')],
      wildcards,
    });
  }

  #allowEndpoints(drills: readonly LocatedDrill[]): void {
    const endpoints = (names: readonly string[]) =>
      bothSpellings(names).map((name) => localArn(this, 'sagemaker', `endpoint/${name}`));
    const guarded = drills.flatMap(({ value }) => value.intended.guards ?? []);
    const driven = drills.flatMap(({ value }) => value.traffic?.endpoint ?? []);
    const all = endpoints([...guarded, ...driven]);
    if (all.length > 0) this.gate.allow({ actions: ['sagemaker:DescribeEndpoint'], resources: all });
    if (driven.length > 0) {
      this.gate.allow({ actions: ['sagemaker:InvokeEndpoint'], resources: endpoints(driven) });
    }
  }

  #addTriggers(drills: readonly LocatedDrill[]): void {
    for (const { name, value } of drills) {
      if (value.schedule === undefined) continue;
      this.gate.onSchedule(`Schedule-${name}`, `Runs the drill ${name}`, value.schedule, { drill: name });
    }
    this.gate.onDeployments(drills.flatMap(({ value }) => value.afterDeployOf));
    const patterns = patternsOf(
      drills.map(({ value }) => value.alarm),
      (alarmName) => ({
        source: ['aws.cloudwatch'],
        detailType: ['CloudWatch Alarm Configuration Change'],
        detail: { alarmName },
      }),
    );
    patterns.forEach((pattern, index) => {
      this.gate.onEvents(`Changed-${index + 1}`, 'Changes of alarms that are drilled', pattern);
    });
  }
}

/** How long any of these drills may take, at most {@link LONGEST}. */
export function longestDrill({ drills }: Pick<Config, 'drills'>): Duration {
  const within = Math.max(...[...drills.values()].map(({ value }) => value.intended.within));
  const bound = Duration.seconds(Math.ceil((within / 1000) * ROUNDS * PER_ROUND)).plus(MARGIN);
  return bound.toMilliseconds() < LONGEST.toMilliseconds() ? bound : LONGEST;
}
