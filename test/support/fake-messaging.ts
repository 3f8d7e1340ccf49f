import {
  GetSubscriptionAttributesCommand,
  GetTopicAttributesCommand,
  ListSubscriptionsByTopicCommand,
  SNSClient,
  SNSServiceException,
  SubscribeCommand,
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
  ReceiveMessageCommand,
  SetQueueAttributesCommand,
  SQSClient,
  SQSServiceException,
} from '@aws-sdk/client-sqs';
import { type AwsClientStub, mockClient } from 'aws-sdk-client-mock';

const ACCOUNT = '111122223333';
const REGION = 'us-east-1';

/** An error as SNS answers it. */
export function snsError(name: string, status: number, message = `the fake says ${name}`) {
  return new SNSServiceException({
    name,
    message,
    $fault: status < 500 ? 'client' : 'server',
    $metadata: { httpStatusCode: status },
  });
}

/** An error as SQS answers it. */
export function sqsError(name: string, status = 400, message = `the fake says ${name}`) {
  return new SQSServiceException({
    name,
    message,
    $fault: status < 500 ? 'client' : 'server',
    $metadata: { httpStatusCode: status },
  });
}

export interface FakeSubscription {
  arn: string;
  protocol: string;
  endpoint: string;
  pending: boolean;
  /** JSON */
  filter?: string;
  scope?: string;
}

export interface FakeTopic {
  arn: string;
  /** As GetTopicAttributes answers them: `Policy`, `KmsMasterKeyId`. */
  attributes: Record<string, string>;
  subscriptions: FakeSubscription[];
  /** What a publisher is told who may not publish. */
  refuses?: string;
}

interface FakeMessage {
  id: string;
  body: string;
  sentAt: number;
  visibleAt: number;
  /** Of the last receive. */
  handle?: string;
}

export interface FakeQueue {
  name: string;
  url: string;
  arn: string;
  attributes: Record<string, string>;
  tags: Record<string, string>;
  messages: FakeMessage[];
}

export interface FakeMessagingOptions {
  /** Mocks to answer by; those of another fake, where there is one. */
  sns?: AwsClientStub<SNSClient>;
  sqs?: AwsClientStub<SQSClient>;
  /** Milliseconds since 1970. */
  now?: () => number;
  /** Asked before each call: throws where the process is dead. */
  alive?: () => void;
  /** Told of each call that changed something. */
  changed?: (what: string) => void;
}

/**
 * SNS and SQS in memory: topics with subscriptions and filter policies, queues with tags, policies and visibility. It
 * answers every client made while it lives. What is published reaches the queues that are subscribed, if their policy lets
 * the topic send, and the people in {@link delivered}. Publish itself is left to others: {@link publish} is what CloudWatch
 * does.
 */
export class FakeMessaging {
  readonly sns: AwsClientStub<SNSClient>;
  readonly sqs: AwsClientStub<SQSClient>;
  /** By ARN. */
  readonly topics = new Map<string, FakeTopic>();
  /** By name. */
  readonly queues = new Map<string, FakeQueue>();
  /** What went to subscribers other than queues, in order. */
  readonly delivered: { endpoint: string; topic: string; subject: string; message: string }[] = [];
  /** Fails a call: asked before each, with its name. */
  fails: (operation: string, input: object) => Error | undefined = () => undefined;
  /** An empty receive has waited for so long: a test lets its clock go on. */
  waited: (ms: number) => void = () => {};
  /** Items of one page. */
  pageSize = 100;

  readonly #now: () => number;
  readonly #alive: () => void;
  readonly #changed: (what: string) => void;
  #numbers = 0;

  constructor({ sns, sqs, now = Date.now, alive = () => {}, changed = () => {} }: FakeMessagingOptions = {}) {
    this.sns = sns ?? mockClient(SNSClient);
    this.sqs = sqs ?? mockClient(SQSClient);
    this.#now = now;
    this.#alive = alive;
    this.#changed = changed;
    this.#answerTopics();
    this.#answerQueues();
  }

  /** Makes a topic; returns its ARN. */
  topic(
    name: string,
    { attributes = {}, refuses }: { attributes?: Record<string, string>; refuses?: string } = {},
  ) {
    const arn = `arn:aws:sns:${REGION}:${ACCOUNT}:${name}`;
    this.topics.set(arn, { arn, attributes, subscriptions: [], ...(refuses !== undefined && { refuses }) });
    return arn;
  }

  /** Subscribes somebody to a topic; returns the ARN of the subscription. */
  subscribe(
    topicArn: string,
    protocol: string,
    endpoint: string,
    { pending = false, filter, scope }: { pending?: boolean; filter?: object; scope?: string } = {},
  ): string {
    const arn = `${topicArn}:${this.#number()}`;
    this.#topic(topicArn).subscriptions.push({
      arn,
      protocol,
      endpoint,
      pending,
      ...(filter !== undefined && { filter: JSON.stringify(filter) }),
      ...(scope !== undefined && { scope }),
    });
    return arn;
  }

  /**
   * Publishes to a topic, as CloudWatch does.
   *
   * @throws Error where there is no such topic, or it refuses
   */
  async publish(topicArn: string, subject: string, message: string): Promise<void> {
    const topic = this.#topic(topicArn);
    if (topic.refuses !== undefined) throw new Error(topic.refuses);
    for (const { protocol, endpoint, pending, filter, scope } of topic.subscriptions) {
      if (pending || !accepts(filter, scope, message)) continue;
      if (protocol === 'sqs') this.#send(endpoint, topicArn, subject, message);
      else this.delivered.push({ endpoint, topic: topicArn, subject, message });
    }
  }

  /** Everything that is there by a prefix of the name: queues, and subscriptions of such queues. */
  left(prefix: string): string[] {
    return [
      ...[...this.queues.keys()].filter((name) => name.startsWith(prefix)),
      ...[...this.topics.values()].flatMap(({ subscriptions }) =>
        subscriptions.filter(({ endpoint }) => nameOf(endpoint).startsWith(prefix)).map(({ arn }) => arn),
      ),
    ];
  }

  restore(): void {
    this.sns.restore();
    this.sqs.restore();
  }

  #send(queueArn: string, topicArn: string, subject: string, message: string): void {
    const queue = this.queues.get(nameOf(queueArn));
    if (queue === undefined || !letsSend(queue.attributes.Policy, topicArn)) return;
    const at = this.#now();
    queue.messages.push({
      id: `message-${this.#number()}`,
      body: JSON.stringify({
        Type: 'Notification',
        MessageId: `notification-${this.#number()}`,
        TopicArn: topicArn,
        Subject: subject,
        Message: message,
        Timestamp: new Date(at).toISOString(),
        SignatureVersion: '1',
      }),
      sentAt: at,
      visibleAt: at,
    });
  }

  #answerTopics(): void {
    const { sns } = this;
    sns.on(GetTopicAttributesCommand).callsFake((input) => {
      this.#enter('GetTopicAttributes', input);
      const { arn, attributes } = this.#topic(input.TopicArn);
      return { Attributes: { TopicArn: arn, Owner: ACCOUNT, ...attributes } };
    });
    sns.on(ListSubscriptionsByTopicCommand).callsFake((input) => {
      this.#enter('ListSubscriptionsByTopic', input);
      const { page, NextToken } = this.#page(this.#topic(input.TopicArn).subscriptions, input.NextToken);
      return {
        Subscriptions: page.map(({ arn, protocol, endpoint, pending }) => ({
          SubscriptionArn: pending ? 'PendingConfirmation' : arn,
          Owner: ACCOUNT,
          Protocol: protocol,
          Endpoint: endpoint,
          TopicArn: input.TopicArn,
        })),
        NextToken,
      };
    });
    sns.on(GetSubscriptionAttributesCommand).callsFake((input) => {
      this.#enter('GetSubscriptionAttributes', input);
      const found = [...this.topics.values()]
        .flatMap(({ subscriptions }) => subscriptions)
        .find(({ arn }) => arn === input.SubscriptionArn);
      if (found === undefined) throw snsError('NotFoundException', 404, 'Subscription does not exist');
      return {
        Attributes: {
          SubscriptionArn: found.arn,
          ...(found.filter !== undefined && { FilterPolicy: found.filter }),
          ...(found.scope !== undefined && { FilterPolicyScope: found.scope }),
        },
      };
    });
    sns.on(SubscribeCommand).callsFake((input) => {
      this.#enter('Subscribe', input);
      const { subscriptions } = this.#topic(input.TopicArn);
      const { FilterPolicy, FilterPolicyScope } = input.Attributes ?? {};
      const there = subscriptions.find(({ endpoint }) => endpoint === input.Endpoint);
      if (there !== undefined) {
        if (there.filter === FilterPolicy && there.scope === FilterPolicyScope) {
          return { SubscriptionArn: there.arn };
        }
        throw snsError(
          'InvalidParameterException',
          400,
          'Subscription already exists with different attributes',
        );
      }
      const SubscriptionArn = this.subscribe(input.TopicArn, input.Protocol, input.Endpoint, {
        ...(FilterPolicy !== undefined && { filter: JSON.parse(FilterPolicy) }),
        ...(FilterPolicyScope !== undefined && { scope: FilterPolicyScope }),
      });
      this.#changed(`Subscribe ${input.TopicArn}`);
      return { SubscriptionArn };
    });
    sns.on(UnsubscribeCommand).callsFake((input) => {
      this.#enter('Unsubscribe', input);
      for (const topic of this.topics.values()) {
        topic.subscriptions = topic.subscriptions.filter(({ arn }) => arn !== input.SubscriptionArn);
      }
      this.#changed(`Unsubscribe ${input.SubscriptionArn}`);
      return {};
    });
  }

  #answerQueues(): void {
    const { sqs } = this;
    sqs.on(CreateQueueCommand).callsFake((input) => {
      this.#enter('CreateQueue', input);
      const { QueueName: name, Attributes = {}, tags = {} } = input;
      const there = this.queues.get(name);
      if (there !== undefined) {
        const differs = Object.entries(Attributes).some(([key, value]) => there.attributes[key] !== value);
        if (differs) throw sqsError('QueueNameExists');
        return { QueueUrl: there.url };
      }
      const url = `https://sqs.${REGION}.amazonaws.com/${ACCOUNT}/${name}`;
      const arn = `arn:aws:sqs:${REGION}:${ACCOUNT}:${name}`;
      this.queues.set(name, { name, url, arn, attributes: { ...Attributes }, tags, messages: [] });
      this.#changed(`CreateQueue ${name}`);
      return { QueueUrl: url };
    });
    sqs.on(GetQueueUrlCommand).callsFake((input) => {
      this.#enter('GetQueueUrl', input);
      return { QueueUrl: this.#queue(input.QueueName).url };
    });
    sqs.on(GetQueueAttributesCommand).callsFake((input) => {
      this.#enter('GetQueueAttributes', input);
      const { arn, attributes, messages } = this.#queue(input.QueueUrl);
      const hidden = messages.filter(({ visibleAt }) => visibleAt > this.#now()).length;
      const all: Record<string, string> = {
        QueueArn: arn,
        ApproximateNumberOfMessages: String(messages.length - hidden),
        ApproximateNumberOfMessagesNotVisible: String(hidden),
        ...attributes,
      };
      const asked = input.AttributeNames as string[];
      return { Attributes: Object.fromEntries(Object.entries(all).filter(([key]) => asked.includes(key))) };
    });
    sqs.on(SetQueueAttributesCommand).callsFake((input) => {
      this.#enter('SetQueueAttributes', input);
      Object.assign(this.#queue(input.QueueUrl).attributes, input.Attributes);
      this.#changed(`SetQueueAttributes ${nameOf(input.QueueUrl)}`);
      return {};
    });
    sqs.on(ListQueuesCommand).callsFake((input) => {
      this.#enter('ListQueues', input);
      const found = [...this.queues.values()].filter(({ name }) =>
        name.startsWith(input.QueueNamePrefix ?? ''),
      );
      const { page, NextToken } = this.#page(found, input.NextToken);
      return { QueueUrls: page.map(({ url }) => url), NextToken };
    });
    sqs.on(ListQueueTagsCommand).callsFake((input) => {
      this.#enter('ListQueueTags', input);
      return { Tags: this.#queue(input.QueueUrl).tags };
    });
    sqs.on(ReceiveMessageCommand).callsFake((input) => {
      this.#enter('ReceiveMessage', input);
      const { messages } = this.#queue(input.QueueUrl);
      const visible = messages.filter(({ visibleAt }) => visibleAt <= this.#now());
      if (visible.length === 0) this.waited((input.WaitTimeSeconds ?? 0) * 1000);
      return {
        Messages: visible.slice(0, input.MaxNumberOfMessages ?? 1).map((message) => {
          message.visibleAt = this.#now() + (input.VisibilityTimeout ?? 30) * 1000;
          message.handle = `handle-${this.#number()}`;
          return {
            MessageId: message.id,
            ReceiptHandle: message.handle,
            Body: message.body,
            Attributes: { SentTimestamp: String(message.sentAt) },
          };
        }),
      };
    });
    sqs.on(ChangeMessageVisibilityBatchCommand).callsFake((input) => {
      this.#enter('ChangeMessageVisibilityBatch', input);
      const { messages } = this.#queue(input.QueueUrl);
      for (const { ReceiptHandle, VisibilityTimeout = 0 } of input.Entries) {
        const found = messages.find(({ handle }) => handle === ReceiptHandle);
        if (found !== undefined) found.visibleAt = this.#now() + VisibilityTimeout * 1000;
      }
      return { Successful: [], Failed: [] };
    });
    sqs.on(DeleteQueueCommand).callsFake((input) => {
      this.#enter('DeleteQueue', input);
      const { name } = this.#queue(input.QueueUrl);
      this.queues.delete(name);
      this.#changed(`DeleteQueue ${name}`);
      return {};
    });
  }

  #enter(operation: string, input: object): void {
    this.#alive();
    const error = this.fails(operation, input);
    if (error !== undefined) throw error;
  }

  #topic(arn: string): FakeTopic {
    const found = this.topics.get(arn);
    if (found === undefined) throw snsError('NotFoundException', 404, 'Topic does not exist');
    return found;
  }

  #queue(url: string): FakeQueue {
    const found = this.queues.get(nameOf(url));
    if (found === undefined) throw sqsError('QueueDoesNotExist');
    return found;
  }

  #page<T>(items: readonly T[], token: string | undefined): { page: T[]; NextToken: string | undefined } {
    const from = Number(token ?? 0);
    const to = from + this.pageSize;
    return { page: items.slice(from, to), NextToken: to < items.length ? String(to) : undefined };
  }

  #number(): number {
    this.#numbers += 1;
    return this.#numbers;
  }
}

/** The last part of a URL or an ARN. */
function nameOf(text: string): string {
  return text.split(/[/:]/).at(-1) ?? text;
}

/** Whether a filter policy lets a message without attributes through: exact values, `prefix` and `exists`. */
function accepts(filter: string | undefined, scope: string | undefined, message: string): boolean {
  if (filter === undefined) return true;
  const fields: Record<string, unknown> = scope === 'MessageBody' ? JSON.parse(message) : {};
  return Object.entries(JSON.parse(filter) as Record<string, unknown[]>).every(([name, rules]) =>
    rules.some((rule) => {
      const value = fields[name];
      if (typeof rule !== 'object' || rule === null) return value === rule;
      const { prefix, exists } = rule as { prefix?: string; exists?: boolean };
      if (exists !== undefined) return exists === (value !== undefined);
      return prefix !== undefined && typeof value === 'string' && value.startsWith(prefix);
    }),
  );
}

/** Whether a queue's policy, of the form that the drill writes, lets a topic send. */
function letsSend(policy: string | undefined, topicArn: string): boolean {
  if (policy === undefined) return false;
  const { Statement } = JSON.parse(policy) as {
    Statement: {
      Effect: string;
      Principal: { Service?: string };
      Action: string;
      Condition: { ArnEquals: { 'aws:SourceArn': string[] } };
    }[];
  };
  return Statement.some(
    ({ Effect, Principal, Action, Condition }) =>
      Effect === 'Allow' &&
      Principal.Service === 'sns.amazonaws.com' &&
      Action === 'sqs:SendMessage' &&
      Condition.ArnEquals['aws:SourceArn'].includes(topicArn),
  );
}
