import type { CloudWatchClient } from '@aws-sdk/client-cloudwatch';
import type { KMSClient } from '@aws-sdk/client-kms';
import type { LambdaClient } from '@aws-sdk/client-lambda';
import type { SageMakerClient } from '@aws-sdk/client-sagemaker';
import type { SageMakerRuntimeClient } from '@aws-sdk/client-sagemaker-runtime';
import type { SQSClient } from '@aws-sdk/client-sqs';
import { GateDependencyError, messageOf } from '../shared/errors.ts';
import { clip } from '../shared/format.ts';
import type { Outlets } from '../shared/outlets.ts';
import type { RunReporting } from '../shared/run-handler.ts';
import type { WorkBucket } from '../shared/work.ts';
import type { Patience } from '../shared/workflow.ts';
import { openReceipts } from './adapters/receipts.ts';
import type { MetricAlarm } from './alarm.ts';
import type { Facts } from './measurements.ts';
import type { LocatedDrill } from './schema.ts';

/*
 * What the parts of a drill have in common: what they work with, the claim that they run under, and where the messages
 * of shadow alarms arrive.
 */

/** What a drill works with. */
export interface DrillDependencies extends Outlets, RunReporting {
  env: Outlets['env'] & { PROBE_TOPIC_ARN: string };
  work: WorkBucket;
  cloudwatch: CloudWatchClient;
  sqs: SQSClient;
  lambda: LambdaClient;
  kms: KMSClient;
  sagemaker: SageMakerClient;
  /** Made with `RUNTIME_OPTIONS`. */
  runtime: SageMakerRuntimeClient;
  /** Operations of the execution that this drill may take for its ticks. */
  operations: number;
  /** The clock, milliseconds since 1970, and how a step waits. */
  now: () => number;
  sleep: (ms: number) => Promise<unknown>;
}

/** A run of a drill that this execution has claimed. */
export interface Run {
  drill: LocatedDrill;
  /** Eight hexadecimal digits, of this run alone: in the names of all that it makes. */
  token: string;
  /** Id of the execution. */
  execution: string;
  /** Rounds that it has begun, of an alarm that was changed since. Each has names and metrics of its own. */
  rounds: number;
  /** Whether somebody follows it. */
  followed: boolean;
  report: (phase: string) => Promise<void>;
}

/** Facts of an alarm that can be drilled. */
export type MetricAlarmFacts = Facts & { alarm: MetricAlarm };

/** By how much claims and tags outlive what is waited for; what is older is a dead run's. */
const MARGIN_MS = 3_600_000;

/** How long data may take until it can be read, and a notification until it arrives; most take seconds. */
export const ARRIVING: Patience = { timeoutMs: 90_000, firstPauseMs: 2_000, longestPauseMs: 15_000 };

/** Small calls at a time. */
export const CONCURRENCY = 4;

/** What CloudWatch says of failed actions, as far as it is kept: so many, each of so many characters. */
export const FAILED_ACTIONS = 5;
export const SENTENCE = 200;

/** Key of the claim of a drill, which runs once at a time. */
export function claimOf({ name }: LocatedDrill): string {
  return `claims/alarm-drill-${name}.json`;
}

/**
 * Makes the claim hold for what comes next.
 *
 * @param ms how long that takes
 * @returns until when it holds, milliseconds since 1970: nobody needs what is made by then any more
 */
export async function hold(
  { drill, execution }: Pick<Run, 'drill' | 'execution'>,
  ms: number,
  { work, now }: Pick<DrillDependencies, 'work' | 'now'>,
): Promise<number> {
  const owner = await work.claim(claimOf(drill), execution, ms + MARGIN_MS);
  if (owner !== execution) {
    throw new GateDependencyError(`the execution ${owner} runs the drill ${drill.name} by now`);
  }
  return now() + ms + MARGIN_MS;
}

/** What receives the messages of the shadow alarms. */
export interface Inbox {
  queueUrl: string;
  /** Topics of the real path that it listens to. */
  real: string[];
  /** Why it listens to no more of them. */
  unread: Facts['unread'];
}

/**
 * Opens the receipt queue. A topic of the real path that nobody may subscribe to keeps nothing from being drilled.
 *
 * @param ms how long it is needed
 */
export async function openInbox(
  run: Run,
  ms: number,
  real: readonly string[],
  deps: DrillDependencies,
): Promise<Inbox> {
  const until = await hold(run, ms, deps);
  const of = { token: run.token, drill: run.drill.name, run: run.execution, until };
  const topics = [deps.env.PROBE_TOPIC_ARN];
  let { queueUrl } = await openReceipts(deps, { ...of, topics });
  const unread: Facts['unread'] = [];
  for (const topic of real) {
    try {
      ({ queueUrl } = await openReceipts(deps, { ...of, topics: [...topics, topic] }));
      topics.push(topic);
    } catch (error) {
      unread.push({ what: `what arrives through ${topic}`, why: clip(messageOf(error), SENTENCE) });
      // Its policy says which topics there is something to clean up at.
      await openReceipts(deps, { ...of, topics });
    }
  }
  return { queueUrl, real: topics.slice(1), unread };
}
