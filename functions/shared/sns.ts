import { PublishCommand, type SNSClient } from '@aws-sdk/client-sns';
import { call } from './aws.ts';
import type { Message } from './message.ts';
import { chatOf } from './notification/chat.ts';
import { envelopeOf } from './notification/envelope.ts';

/**
 * Tells the owners: people get a text, programs a document.
 *
 * @returns id of the message
 * @throws GateDependencyError where SNS does not answer, or refuses
 */
export async function notify(
  sns: SNSClient,
  topicArn: string,
  message: Message,
): Promise<string | undefined> {
  const { MessageId } = await call(
    `Publish to ${topicArn}`,
    sns.send(
      new PublishCommand({
        TopicArn: topicArn,
        Subject: message.subject,
        MessageStructure: 'json',
        Message: envelopeOf(message),
        MessageAttributes: attributesOf(message),
      }),
    ),
  );
  return MessageId;
}

/**
 * Tells a chat, through the topic that Amazon Q Developer in chat applications is subscribed to.
 *
 * @returns id of the message
 * @throws GateDependencyError where SNS does not answer, or refuses
 */
export async function notifyChat(
  sns: SNSClient,
  topicArn: string,
  message: Message,
): Promise<string | undefined> {
  const { MessageId } = await call(
    `Publish to ${topicArn}`,
    sns.send(
      new PublishCommand({
        TopicArn: topicArn,
        Message: chatOf(message),
        MessageAttributes: attributesOf(message),
      }),
    ),
  );
  return MessageId;
}

function attributesOf({ attributes }: Message) {
  return Object.fromEntries(
    Object.entries(attributes).map(([name, value]) => [name, { DataType: 'String', StringValue: value }]),
  );
}
