import {
  ListSubscriptionsByTopicCommand,
  type SNSClient,
  SubscribeCommand,
  type Subscription,
  UnsubscribeCommand,
} from '@aws-sdk/client-sns';
import {
  ChangeMessageVisibilityBatchCommand,
  CreateQueueCommand,
  DeleteQueueCommand,
  GetQueueAttributesCommand,
  GetQueueUrlCommand,
  ListQueuesCommand,
  ListQueueTagsCommand,
  type Message,
  type QueueAttributeName,
  ReceiveMessageCommand,
  SetQueueAttributesCommand,
  type SQSClient,
} from '@aws-sdk/client-sqs';
import * as z from 'zod';
import { call, dependencyError, statusOf } from '../../shared/aws.ts';
import { chunksOf } from '../../shared/chunks.ts';
import { messageOf } from '../../shared/errors.ts';
import { tryJson } from '../../shared/schema.ts';
import { ALARM_STATES } from '../alarm.ts';
import type { Receipt } from '../measurements.ts';
import { SHADOW } from '../schema.ts';
import { isLeftover, shadowPrefix, shadowTags } from '../shadow.ts';

/*
 * Where the messages of shadow alarms arrive: one queue a run, subscribed to the topics that the alarms tell. Every call
 * may be repeated.
 */

export interface Messaging {
  sqs: SQSClient;
  sns: SNSClient;
}

/** What {@link openReceipts} made. */
export interface Receipts {
  queueUrl: string;
  queueArn: string;
  /** ARNs, in the order of the topics. */
  subscriptions: string[];
}

/** Fourteen days, the most that SQS keeps a message: longer than any drill. */
const RETENTION_S = 14 * 24 * 3600;

/** How long what was read stays hidden, should its reader die: longer than reading all takes. */
const HIDDEN_S = 30;

/** Pause of an empty receive where messages are known to be there: five of them outlast {@link HIDDEN_S}. */
const PATIENCE_S = 10;
const EMPTY_RECEIVES = 5;

/** Of ten messages each: ten times what the largest drill gets. */
const RECEIVES = 500;

/** Entries of one batch. */
const BATCH = 10;

/**
 * Opens the receipt queue of a run, and subscribes it to topics. A filter policy
 * keeps the other traffic of the topics out of it, if not at once: it takes effect within 15 minutes.
 *
 * @param until when nobody needs it any more, milliseconds since 1970
 * @param topics ARNs of what the shadow alarms tell; these alone may send
 * @throws GateDependencyError where SQS or SNS does not answer, or refuses
 */
export async function openReceipts(
  { sqs, sns }: Messaging,
  {
    token,
    drill,
    run,
    until,
    topics,
  }: { token: string; drill: string; run: string; until: number; topics: readonly string[] },
): Promise<Receipts> {
  const name = queueName(token);
  const { QueueUrl: queueUrl = '' } = await call(
    `CreateQueue ${name}`,
    sqs.send(
      new CreateQueueCommand({
        QueueName: name,
        Attributes: { MessageRetentionPeriod: String(RETENTION_S) },
        tags: Object.fromEntries(shadowTags({ drill, run, until }).map(({ Key, Value }) => [Key, Value])),
      }),
    ),
  );
  const { QueueArn: queueArn = '' } = await attributesOf(sqs, queueUrl, ['QueueArn']);
  // Before the first subscription: what comes down to a queue without a policy is lost, and the policy is what
  // unsubscribeReceipts() knows the topics from.
  await call(
    `SetQueueAttributes ${name}`,
    sqs.send(
      new SetQueueAttributesCommand({
        QueueUrl: queueUrl,
        Attributes: { Policy: JSON.stringify(policyOf(queueArn, topics)) },
      }),
    ),
  );
  const subscriptions: string[] = [];
  for (const topic of topics) {
    const { SubscriptionArn = '' } = await call(
      `Subscribe ${name} to ${topic}`,
      sns.send(
        new SubscribeCommand({
          TopicArn: topic,
          Protocol: 'sqs',
          Endpoint: queueArn,
          Attributes: {
            FilterPolicyScope: 'MessageBody',
            FilterPolicy: JSON.stringify({ AlarmName: [{ prefix: shadowPrefix(token) }] }),
          },
          ReturnSubscriptionArn: true,
        }),
      ),
    );
    subscriptions.push(SubscriptionArn);
  }
  return { queueUrl, queueArn, subscriptions };
}

function queueName(token: string): string {
  return `${SHADOW}${token}`;
}

const policySchema = z.object({
  Statement: z.array(
    z.object({ Condition: z.object({ ArnEquals: z.object({ 'aws:SourceArn': z.array(z.string()) }) }) }),
  ),
});

function policyOf(queueArn: string, topics: readonly string[]) {
  return {
    Version: '2012-10-17',
    Statement: [
      {
        Effect: 'Allow',
        Principal: { Service: 'sns.amazonaws.com' },
        Action: 'sqs:SendMessage',
        Resource: queueArn,
        Condition: { ArnEquals: { 'aws:SourceArn': [...topics] } },
      },
    ],
  };
}

/**
 * Reads everything that has arrived, and leaves it there: whoever reads again gets the same. Messages of other alarms and
 * copies are left out.
 *
 * @returns in the order of their transitions
 * @throws GateDependencyError where SQS does not answer, or refuses
 */
export async function collectReceipts(sqs: SQSClient, queueUrl: string): Promise<Receipt[]> {
  const messages = new Map<string, Message>();
  try {
    let empty = 0;
    let waitS = 1;
    for (let receives = 0; receives < RECEIVES && empty < EMPTY_RECEIVES; receives++) {
      const { Messages = [] } = await call(
        `ReceiveMessage ${queueUrl}`,
        sqs.send(
          new ReceiveMessageCommand({
            QueueUrl: queueUrl,
            MaxNumberOfMessages: BATCH,
            // Any wait makes SQS ask all of its servers, not a sample.
            WaitTimeSeconds: waitS,
            VisibilityTimeout: HIDDEN_S,
            MessageSystemAttributeNames: ['SentTimestamp'],
          }),
        ),
      );
      for (const message of Messages) messages.set(message.MessageId ?? '', message);
      waitS = 1;
      if (Messages.length > 0) continue;
      if ((await messageCount(sqs, queueUrl)) <= messages.size) break;
      // Some are hidden: somebody died while reading them.
      empty += 1;
      waitS = PATIENCE_S;
    }
  } finally {
    await show(sqs, queueUrl, [...messages.values()]);
  }
  const prefix = `${nameOf(queueUrl)}-`;
  const receipts = new Map<string, Receipt>();
  for (const message of messages.values()) {
    const read = receiptOf(message);
    if (read === undefined || !read.receipt.alarm.startsWith(prefix)) continue;
    const { notification, receipt } = read;
    const other = receipts.get(notification);
    if (other === undefined || receipt.receivedAt < other.receivedAt) receipts.set(notification, receipt);
  }
  return [...receipts.values()].toSorted(
    (a, b) => a.changedAt - b.changedAt || compare(a.alarm, b.alarm) || compare(a.topic, b.topic),
  );
}

/** About how many messages a queue has, seen or not. */
async function messageCount(sqs: SQSClient, queueUrl: string): Promise<number> {
  const found = await attributesOf(sqs, queueUrl, [
    'ApproximateNumberOfMessages',
    'ApproximateNumberOfMessagesNotVisible',
  ]);
  return Object.values(found).reduce((sum, text) => sum + Number(text), 0);
}

/** Gives messages back to the queue; where that fails they come back by themselves. */
async function show(sqs: SQSClient, queueUrl: string, messages: readonly Message[]): Promise<void> {
  for (const batch of chunksOf(messages, BATCH)) {
    const Entries = batch.map(({ ReceiptHandle }, index) => ({
      Id: String(index),
      ReceiptHandle,
      VisibilityTimeout: 0,
    }));
    try {
      await sqs.send(new ChangeMessageVisibilityBatchCommand({ QueueUrl: queueUrl, Entries }));
    } catch {
      return;
    }
  }
}

/** What SNS wraps a message in. */
const envelopeSchema = z.object({
  Type: z.literal('Notification'),
  MessageId: z.string(),
  TopicArn: z.string(),
  Message: z.string(),
  Timestamp: z.string(),
});

/** What CloudWatch tells of a transition. */
const transitionSchema = z.object({
  AlarmName: z.string(),
  NewStateValue: z.enum(ALARM_STATES),
  /** `2026-01-01T00:00:00.000+0000` */
  StateChangeTime: z.string(),
});

/** @returns undefined where the message is none of CloudWatch's */
function receiptOf({
  Body = '',
  Attributes,
}: Message): { notification: string; receipt: Receipt } | undefined {
  const envelope = envelopeSchema.safeParse(tryJson(Body)).data;
  const transition = transitionSchema.safeParse(tryJson(envelope?.Message ?? '')).data;
  if (envelope === undefined || transition === undefined) return undefined;
  return {
    notification: envelope.MessageId,
    receipt: {
      alarm: transition.AlarmName,
      state: transition.NewStateValue,
      topic: envelope.TopicArn,
      // Without its colon the offset is not of the format that every engine reads.
      changedAt: Date.parse(transition.StateChangeTime.replace(/([+-]\d\d)(\d\d)$/, '$1:$2')),
      notifiedAt: Date.parse(envelope.Timestamp),
      receivedAt: Number(Attributes?.SentTimestamp),
    },
  };
}

/**
 * Removes the subscriptions of a receipt queue; fine where there is no queue. The queue stays: as long as it is there, its
 * policy says which topics it is subscribed to.
 *
 * @returns what SNS refuses to remove, or to look for, in words: no repetition would help
 * @throws GateDependencyError where SQS or SNS does not answer, or SQS refuses
 */
export async function unsubscribeReceipts({ sqs, sns }: Messaging, token: string): Promise<string[]> {
  const left: string[] = [];
  await unlessGone(async () => {
    const { QueueArn, Policy } = await attributesOf(sqs, await urlOf(sqs, token), ['QueueArn', 'Policy']);
    const statements = policySchema.safeParse(tryJson(Policy ?? '')).data?.Statement ?? [];
    for (const topic of statements.flatMap(({ Condition }) => Condition.ArnEquals['aws:SourceArn'])) {
      try {
        for (const { Endpoint, SubscriptionArn } of await subscriptionsOf(sns, topic)) {
          if (Endpoint === QueueArn) await unsubscribe(sns, SubscriptionArn);
        }
      } catch (error) {
        if (!isRefusal((error as Error).cause)) throw error;
        left.push(`the subscription of ${queueName(token)} to ${topic}: ${messageOf(error)}`);
      }
    }
  });
  return left;
}

/**
 * Removes the receipt queue of a run; fine where there is none.
 *
 * @throws GateDependencyError where SQS does not answer, or refuses
 */
export async function deleteReceipts({ sqs }: Pick<Messaging, 'sqs'>, token: string): Promise<void> {
  await unlessGone(async () => {
    const QueueUrl = await urlOf(sqs, token);
    await call(`DeleteQueue ${queueName(token)}`, sqs.send(new DeleteQueueCommand({ QueueUrl })));
  });
}

async function urlOf(sqs: SQSClient, token: string): Promise<string> {
  const QueueName = queueName(token);
  const { QueueUrl = '' } = await call(
    `GetQueueUrl ${QueueName}`,
    sqs.send(new GetQueueUrlCommand({ QueueName })),
  );
  return QueueUrl;
}

/** Whether a service will say the same however often it is asked: it answered, and neither failed nor is it busy. */
function isRefusal(error: unknown): boolean {
  const status = statusOf(error);
  const { name = '' } = (error ?? {}) as Partial<Error>;
  return status !== undefined && status >= 400 && status < 500 && !/Throttl|TooMany|RequestLimit/.test(name);
}

/** @returns none where there is no such topic, whose subscriptions went with it */
async function subscriptionsOf(sns: SNSClient, topic: string): Promise<Subscription[]> {
  const found: Subscription[] = [];
  let NextToken: string | undefined;
  do {
    try {
      const page = await sns.send(
        new ListSubscriptionsByTopicCommand({
          TopicArn: topic,
          ...(NextToken !== undefined && { NextToken }),
        }),
      );
      found.push(...(page.Subscriptions ?? []));
      NextToken = page.NextToken;
    } catch (error) {
      if (statusOf(error) === 404) return [];
      throw dependencyError(`ListSubscriptionsByTopic ${topic}`, error);
    }
  } while (NextToken !== undefined);
  return found;
}

async function unsubscribe(sns: SNSClient, arn: string | undefined): Promise<void> {
  // What nobody has confirmed receives nothing, and vanishes by itself.
  if (arn === 'PendingConfirmation') return;
  try {
    await sns.send(new UnsubscribeCommand({ SubscriptionArn: arn }));
  } catch (error) {
    if (statusOf(error) !== 404) throw dependencyError(`Unsubscribe ${arn}`, error);
  }
}

/**
 * Finds receipt queues that runs left behind, by prefix and tag.
 *
 * @param drill runs of this drill are over, too: it runs only once at a time
 * @returns tokens of the runs, for {@link unsubscribeReceipts} and {@link deleteReceipts}
 * @throws GateDependencyError where SQS does not answer, or refuses
 */
export async function receiptLeftovers(
  sqs: SQSClient,
  over: { now: number; drill?: string },
): Promise<string[]> {
  const tokens: string[] = [];
  let NextToken: string | undefined;
  do {
    const page = await call(
      `ListQueues ${SHADOW}`,
      sqs.send(
        new ListQueuesCommand({
          QueueNamePrefix: SHADOW,
          MaxResults: 1000,
          ...(NextToken !== undefined && { NextToken }),
        }),
      ),
    );
    for (const url of page.QueueUrls ?? []) {
      const { Tags = {} } =
        (await unlessGone(() =>
          call(`ListQueueTags ${url}`, sqs.send(new ListQueueTagsCommand({ QueueUrl: url }))),
        )) ?? {};
      if (isLeftover(Tags, over)) tokens.push(nameOf(url).slice(SHADOW.length));
    }
    NextToken = page.NextToken;
  } while (NextToken !== undefined);
  return tokens;
}

async function attributesOf(
  sqs: SQSClient,
  queueUrl: string,
  names: QueueAttributeName[],
): Promise<Partial<Record<QueueAttributeName, string>>> {
  const { Attributes = {} } = await call(
    `GetQueueAttributes ${queueUrl}`,
    sqs.send(new GetQueueAttributesCommand({ QueueUrl: queueUrl, AttributeNames: names })),
  );
  return Attributes;
}

/** @returns undefined where there is no such queue (any more) */
async function unlessGone<T>(work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    const { name } = ((error as Error).cause ?? {}) as Partial<Error>;
    // The name has been different for as long as SQS spoke XML.
    if (name === 'QueueDoesNotExist' || name === 'AWS.SimpleQueueService.NonExistentQueue') return undefined;
    throw error;
  }
}

function nameOf(queueUrl: string): string {
  return queueUrl.slice(queueUrl.lastIndexOf('/') + 1);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
