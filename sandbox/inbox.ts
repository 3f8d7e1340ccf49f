import { setTimeout as sleep } from 'node:timers/promises';
import { PutRuleCommand, PutTargetsCommand } from '@aws-sdk/client-eventbridge';
import { SubscribeCommand } from '@aws-sdk/client-sns';
import {
  CreateQueueCommand,
  DeleteMessageCommand,
  GetQueueAttributesCommand,
  ReceiveMessageCommand,
  SetQueueAttributesCommand,
  type SQSClient,
} from '@aws-sdk/client-sqs';
import { documentSchema } from '../functions/shared/notification/schema.ts';
import { EVENT_SOURCE } from '../functions/shared/schema.ts';
import type { World } from './world.ts';

/** A queue that a story reads what the stack sends out from: as a subscriber would. */
export class Inbox {
  readonly arn: string;
  /** Bodies of all messages so far, as they came; of Tocsin's own, with the text for people in place of the document. */
  readonly received: string[] = [];
  readonly #sqs: SQSClient;
  readonly #url: string;

  private constructor(sqs: SQSClient, url: string, arn: string) {
    this.#sqs = sqs;
    this.#url = url;
    this.arn = arn;
  }

  /**
   * Makes a queue that one service may write to.
   *
   * @param source ARN of the topic or rule that messages come from
   */
  static async #create(
    sqs: SQSClient,
    name: string,
    { service, source }: { service: string; source: string },
  ): Promise<Inbox> {
    const { QueueUrl = '' } = await sqs.send(new CreateQueueCommand({ QueueName: name }));
    const { Attributes } = await sqs.send(
      new GetQueueAttributesCommand({ QueueUrl, AttributeNames: ['QueueArn'] }),
    );
    const arn = Attributes?.QueueArn ?? '';
    const policy = {
      Version: '2012-10-17',
      Statement: {
        Effect: 'Allow',
        Principal: { Service: service },
        Action: 'sqs:SendMessage',
        Resource: arn,
        Condition: { ArnEquals: { 'aws:SourceArn': source } },
      },
    };
    await sqs.send(
      new SetQueueAttributesCommand({ QueueUrl, Attributes: { Policy: JSON.stringify(policy) } }),
    );
    return new Inbox(sqs, QueueUrl, arn);
  }

  /**
   * Subscribes to the stack's topic, as a person would.
   *
   * @param filter values of the messages' attributes, by attribute
   */
  static ofMessages(world: World, name: string, filter: Record<string, string[]>): Promise<Inbox> {
    return Inbox.ofTopic(world, name, world.output('NotificationTopic'), filter);
  }

  /** Subscribes to a topic, to all of it where no filter is given. */
  static async ofTopic(
    { sqs, sns }: World,
    name: string,
    TopicArn: string,
    filter?: Record<string, string[]>,
  ): Promise<Inbox> {
    const inbox = await Inbox.#create(sqs, name, { service: 'sns.amazonaws.com', source: TopicArn });
    const Attributes = filter && { FilterPolicy: JSON.stringify(filter) };
    await sns.send(new SubscribeCommand({ TopicArn, Protocol: 'sqs', Endpoint: inbox.arn, Attributes }));
    return inbox;
  }

  /**
   * Is the target of a rule for the stack's events, as a program would be.
   *
   * @param detail pattern of the events' details
   */
  static async ofEvents(
    { sqs, events }: World,
    name: string,
    detail: Record<string, string[]>,
  ): Promise<Inbox> {
    const { RuleArn = '' } = await events.send(
      new PutRuleCommand({ Name: name, EventPattern: JSON.stringify({ source: [EVENT_SOURCE], detail }) }),
    );
    const inbox = await Inbox.#create(sqs, name, { service: 'events.amazonaws.com', source: RuleArn });
    await events.send(new PutTargetsCommand({ Rule: name, Targets: [{ Id: name, Arn: inbox.arn }] }));
    return inbox;
  }

  /** Takes everything that is there. */
  async empty(): Promise<void> {
    for (;;) {
      const { Messages = [] } = await this.#sqs.send(
        new ReceiveMessageCommand({ QueueUrl: this.#url, MaxNumberOfMessages: 10 }),
      );
      if (Messages.length === 0) return;
      for (const { Body = '', ReceiptHandle } of Messages) {
        this.received.push(withText(Body));
        await this.#sqs.send(new DeleteMessageCommand({ QueueUrl: this.#url, ReceiptHandle }));
      }
    }
  }

  /**
   * Waits for the message with a number, counted from 1.
   *
   * @returns undefined where it does not come in time
   */
  async message(number: number, milliseconds: number, signal: AbortSignal): Promise<string | undefined> {
    for (const deadline = Date.now() + milliseconds; ; await sleep(100, undefined, { signal })) {
      await this.empty();
      const message = this.received[number - 1];
      if (message !== undefined || Date.now() > deadline) return message;
    }
  }
}

/** A notification as an e-mail has it: queues are told what programs are told. */
function withText(body: string): string {
  const envelope = JSON.parse(body) as { Message?: string };
  if (!envelope.Message?.startsWith('{"tocsin":1,')) return body;
  const { text } = documentSchema.parse(JSON.parse(envelope.Message));
  return JSON.stringify({ ...envelope, Message: text });
}
