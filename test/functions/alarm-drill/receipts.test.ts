import {
  ListSubscriptionsByTopicCommand,
  SNSClient,
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
} from '@aws-sdk/client-sqs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  collectReceipts,
  deleteReceipts,
  openReceipts,
  receiptLeftovers,
  unsubscribeReceipts,
} from '../../../functions/alarm-drill/adapters/receipts.ts';
import { GateDependencyError } from '../../../functions/shared/errors.ts';
import { FakeMessaging, snsError, sqsError } from '../../support/fake-messaging.ts';

const TOKEN = '1a2b3c4d';
const NAME = `tocsin-drill-${TOKEN}`;
const URL = `https://sqs.us-east-1.amazonaws.com/111122223333/${NAME}`;
const ARN = `arn:aws:sqs:us-east-1:111122223333:${NAME}`;
const UNTIL = Date.UTC(2026, 0, 1, 12);

let now: number;
let fake: FakeMessaging;
let clients: { sqs: SQSClient; sns: SNSClient };
let probe: string;
let real: string;

beforeEach(() => {
  now = Date.UTC(2026, 0, 1, 10);
  fake = new FakeMessaging({ now: () => now });
  const client = { region: 'us-east-1' };
  clients = { sqs: new SQSClient(client), sns: new SNSClient(client) };
  probe = fake.topic('probe');
  real = fake.topic('ml-oncall');
  fake.subscribe(real, 'email', 'anna@example.com');
});

afterEach(() => fake.restore());

const open = (topics = [probe, real]) =>
  openReceipts(clients, { token: TOKEN, drill: 'distance-drift', run: 'run-1', until: UNTIL, topics });

/** What CloudWatch tells of a shadow alarm. */
const tell = (topic: string, rung: string, state: string, at: number, name = `${NAME}-1-${rung}`) =>
  fake.publish(
    topic,
    `${state}: "${name}" in US East (N. Virginia)`,
    JSON.stringify({
      AlarmName: name,
      NewStateValue: state,
      OldStateValue: 'OK',
      StateChangeTime: new Date(at).toISOString().replace('Z', '+0000'),
    }),
  );

const inputs = (mock: { commandCalls(command: never): { args: [{ input: unknown }] }[] }, command: unknown) =>
  mock.commandCalls(command as never).map(({ args }) => args[0].input);

describe('openReceipts', () => {
  test('makes a queue, lets the topics send, then subscribes it', async () => {
    const receipts = await open();

    expect(receipts).toEqual({
      queueUrl: URL,
      queueArn: ARN,
      subscriptions: [
        fake.topics.get(probe)?.subscriptions[0]?.arn,
        fake.topics.get(real)?.subscriptions[1]?.arn,
      ],
    });
    expect(inputs(fake.sqs, CreateQueueCommand)).toEqual([
      {
        QueueName: NAME,
        Attributes: { MessageRetentionPeriod: '1209600' },
        tags: {
          'tocsin:drill': 'distance-drift',
          'tocsin:run': 'run-1',
          'tocsin:until': '2026-01-01T12:00:00.000Z',
        },
      },
    ]);
    expect(inputs(fake.sqs, GetQueueAttributesCommand)).toEqual([
      { QueueUrl: URL, AttributeNames: ['QueueArn'] },
    ]);
    const [policy] = inputs(fake.sqs, SetQueueAttributesCommand) as [{ Attributes: { Policy: string } }];
    expect(policy).toEqual({ QueueUrl: URL, Attributes: { Policy: expect.any(String) } });
    expect(JSON.parse(policy.Attributes.Policy)).toEqual({
      Version: '2012-10-17',
      Statement: [
        {
          Effect: 'Allow',
          Principal: { Service: 'sns.amazonaws.com' },
          Action: 'sqs:SendMessage',
          Resource: ARN,
          Condition: { ArnEquals: { 'aws:SourceArn': [probe, real] } },
        },
      ],
    });
    expect(inputs(fake.sns, SubscribeCommand)).toEqual(
      [probe, real].map((TopicArn) => ({
        TopicArn,
        Protocol: 'sqs',
        Endpoint: ARN,
        Attributes: {
          FilterPolicyScope: 'MessageBody',
          FilterPolicy: `{"AlarmName":[{"prefix":"${NAME}-"}]}`,
        },
        ReturnSubscriptionArn: true,
      })),
    );
  });

  test('may be repeated', async () => {
    expect(await open()).toEqual(await open());
    expect(fake.queues.size).toBe(1);
    expect(fake.topics.get(real)?.subscriptions).toHaveLength(2);
  });

  test('says which topic is not there', async () => {
    await expect(open(['arn:aws:sns:us-east-1:111122223333:gone'])).rejects.toThrow(
      `Subscribe ${NAME} to arn:aws:sns:us-east-1:111122223333:gone failed (HTTP 404)`,
    );
  });
});

describe('collectReceipts', () => {
  beforeEach(async () => {
    await open();
  });

  test('reads each hop, in the order of the transitions', async () => {
    const changedAt = now;
    now += 700;
    await tell(probe, '5x', 'ALARM', changedAt);
    now += 60_000;
    await tell(real, '5x', 'OK', changedAt + 60_000);
    await tell(probe, '2x', 'ALARM', changedAt - 60_000);

    expect(await collectReceipts(clients.sqs, URL)).toEqual([
      {
        alarm: `${NAME}-1-2x`,
        state: 'ALARM',
        topic: probe,
        changedAt: changedAt - 60_000,
        notifiedAt: now,
        receivedAt: now,
      },
      {
        alarm: `${NAME}-1-5x`,
        state: 'ALARM',
        topic: probe,
        changedAt,
        notifiedAt: changedAt + 700,
        receivedAt: changedAt + 700,
      },
      {
        alarm: `${NAME}-1-5x`,
        state: 'OK',
        topic: real,
        changedAt: changedAt + 60_000,
        notifiedAt: now,
        receivedAt: now,
      },
    ]);
    expect(inputs(fake.sqs, ReceiveMessageCommand)[0]).toEqual({
      QueueUrl: URL,
      MaxNumberOfMessages: 10,
      WaitTimeSeconds: 1,
      VisibilityTimeout: 30,
      MessageSystemAttributeNames: ['SentTimestamp'],
    });
    expect(inputs(fake.sqs, ChangeMessageVisibilityBatchCommand)).toEqual([
      {
        QueueUrl: URL,
        Entries: [0, 1, 2].map((index) => ({
          Id: String(index),
          ReceiptHandle: expect.stringMatching(/^handle-/),
          VisibilityTimeout: 0,
        })),
      },
    ]);
  });

  test('leaves everything there for whoever reads again', async () => {
    for (let index = 0; index < 35; index++) await tell(probe, `${index}x`, 'ALARM', now + index);

    const first = await collectReceipts(clients.sqs, URL);

    expect(first).toHaveLength(35);
    expect(await collectReceipts(clients.sqs, URL)).toEqual(first);
  });

  test('waits for what somebody was reading who died', async () => {
    await tell(probe, '2x', 'ALARM', now);
    await clients.sqs.send(new ReceiveMessageCommand({ QueueUrl: URL, VisibilityTimeout: 30 }));
    const waits: number[] = [];
    fake.waited = (ms) => {
      waits.push(ms);
      now += ms;
    };

    expect(await collectReceipts(clients.sqs, URL)).toHaveLength(1);
    // The last one finds nothing more.
    expect(waits).toEqual([1000, 10_000, 10_000, 10_000, 1000]);
  });

  test('gives up on what stays hidden', async () => {
    await tell(probe, '2x', 'ALARM', now);
    await clients.sqs.send(new ReceiveMessageCommand({ QueueUrl: URL, VisibilityTimeout: 3600 }));

    expect(await collectReceipts(clients.sqs, URL)).toEqual([]);
  });

  test('passes over copies, other alarms and other messages', async () => {
    await tell(probe, '2x', 'ALARM', now);
    const queue = fake.queues.get(NAME);
    const [message] = queue?.messages ?? [];
    const other = (id: string, body: string) => ({ id, body, sentAt: now + 5, visibleAt: now });
    queue?.messages.push(
      other('copy', message?.body ?? ''),
      other('text', 'hello'),
      other('subscription', '{"Type":"SubscriptionConfirmation"}'),
    );
    // A new filter does not work at once.
    const subscription = fake.topics.get(real)?.subscriptions[1];
    if (subscription !== undefined) delete subscription.filter;
    await tell(real, '', 'ALARM', now, 'psi-distance');
    await fake.publish(real, 'news', 'no alarm');

    expect(await collectReceipts(clients.sqs, URL)).toEqual([
      expect.objectContaining({ alarm: `${NAME}-1-2x`, receivedAt: now }),
    ]);
  });

  test('says where a queue is gone', async () => {
    fake.queues.clear();

    await expect(collectReceipts(clients.sqs, URL)).rejects.toThrow(GateDependencyError);
  });

  test('does not mind when messages cannot be given back', async () => {
    await tell(probe, '2x', 'ALARM', now);
    fake.fails = (operation) =>
      operation === 'ChangeMessageVisibilityBatch' ? sqsError('RequestThrottled', 400) : undefined;

    expect(await collectReceipts(clients.sqs, URL)).toHaveLength(1);
  });
});

/** Removes what a run has received by. */
async function close(token = TOKEN): Promise<string[]> {
  const left = await unsubscribeReceipts(clients, token);
  await deleteReceipts(clients, token);
  return left;
}

describe('unsubscribing and deleting', () => {
  test('removes the subscriptions, then the queue, and nothing else', async () => {
    fake.pageSize = 1;
    const { subscriptions } = await open();

    await close();

    expect(fake.left('tocsin-drill-')).toEqual([]);
    expect(fake.topics.get(real)?.subscriptions.map(({ endpoint }) => endpoint)).toEqual([
      'anna@example.com',
    ]);
    expect(inputs(fake.sqs, GetQueueUrlCommand)).toEqual([{ QueueName: NAME }, { QueueName: NAME }]);
    expect(inputs(fake.sns, ListSubscriptionsByTopicCommand)).toEqual([
      { TopicArn: probe },
      { TopicArn: real },
      { TopicArn: real, NextToken: '1' },
    ]);
    expect(inputs(fake.sns, UnsubscribeCommand)).toEqual(
      subscriptions.map((SubscriptionArn) => ({ SubscriptionArn })),
    );
    expect(inputs(fake.sqs, DeleteQueueCommand)).toEqual([{ QueueUrl: URL }]);
  });

  test('may be repeated, and is fine where nothing was opened', async () => {
    await open();
    await close();

    await close();
    await close('ffffffff');
  });

  test.each(['Subscribe', 'SetQueueAttributes', 'GetQueueAttributes'])(
    'removes what there is after a death at %s',
    async (dies) => {
      let calls = 0;
      fake.fails = (operation) => {
        if (operation === dies) calls += 1;
        // The second subscription, the first of anything else.
        return operation === dies && calls === (dies === 'Subscribe' ? 2 : 1) ? new Error('died') : undefined;
      };
      await expect(open()).rejects.toThrow('died');
      fake.fails = () => undefined;

      await close();

      expect(fake.left('tocsin-drill-')).toEqual([]);
    },
  );

  test('is fine with a topic that is gone', async () => {
    await open();
    fake.topics.delete(probe);

    await close();

    expect(fake.left('tocsin-drill-')).toEqual([]);
  });

  test('a refusal keeps no other subscription, and is told', async () => {
    await open();
    fake.fails = (operation, input) =>
      operation === 'ListSubscriptionsByTopic' && (input as { TopicArn: string }).TopicArn === probe
        ? snsError('AuthorizationErrorException', 403)
        : undefined;

    expect(await unsubscribeReceipts(clients, TOKEN)).toEqual([
      expect.stringMatching(
        /^the subscription of tocsin-drill-\w+ to arn:.*: ListSubscriptionsByTopic arn:.* failed \(HTTP 403\)/,
      ),
    ]);
    expect(fake.topics.get(real)?.subscriptions.map(({ protocol }) => protocol)).toEqual(['email']);
    await deleteReceipts(clients, TOKEN);
    expect(fake.queues.has(NAME)).toBe(false);
  });

  test.each([snsError('ThrottledException', 400), snsError('InternalError', 500), new Error('no answer')])(
    'what may pass is tried again: %s',
    async (error) => {
      await open();
      fake.fails = (operation) => (operation === 'Unsubscribe' ? error : undefined);

      await expect(unsubscribeReceipts(clients, TOKEN)).rejects.toThrow(GateDependencyError);
      expect(fake.queues.has(NAME)).toBe(true);
    },
  );

  test('what nobody has confirmed cannot be removed, and need not be', async () => {
    await open();
    for (const { subscriptions } of fake.topics.values()) {
      for (const one of subscriptions) if (one.protocol === 'sqs') one.pending = true;
    }

    expect(await close()).toEqual([]);
    expect(inputs(fake.sns, UnsubscribeCommand)).toEqual([]);
  });
});

describe('receiptLeftovers', () => {
  test('finds queues by prefix and tag', async () => {
    fake.pageSize = 2;
    await open();
    await openReceipts(clients, { token: '00000001', drill: 'other', run: 'r', until: now - 1, topics: [] });
    await openReceipts(clients, { token: '00000002', drill: 'other', run: 'r', until: now + 1, topics: [] });
    await clients.sqs.send(new CreateQueueCommand({ QueueName: 'tocsin-drill-mine' }));
    await clients.sqs.send(new CreateQueueCommand({ QueueName: 'orders', tags: { 'tocsin:drill': 'x' } }));

    expect(await receiptLeftovers(clients.sqs, { now })).toEqual(['00000001']);
    expect(await receiptLeftovers(clients.sqs, { now, drill: 'distance-drift' })).toEqual([
      TOKEN,
      '00000001',
    ]);
    expect(inputs(fake.sqs, ListQueuesCommand).slice(0, 2)).toEqual([
      { QueueNamePrefix: 'tocsin-drill-', MaxResults: 1000 },
      { QueueNamePrefix: 'tocsin-drill-', MaxResults: 1000, NextToken: '2' },
    ]);
    expect(inputs(fake.sqs, ListQueueTagsCommand)[0]).toEqual({ QueueUrl: URL });
  });

  test('passes over a queue that is being deleted', async () => {
    await open();
    fake.fails = (operation) => (operation === 'ListQueueTags' ? sqsError('QueueDoesNotExist') : undefined);

    expect(await receiptLeftovers(clients.sqs, { now: UNTIL })).toEqual([]);
  });
});
