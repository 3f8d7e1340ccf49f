import { PublishCommand, type PublishCommandInput, type SNSClient } from '@aws-sdk/client-sns';
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
export function notify(sns: SNSClient, topicArn: string, message: Message): Promise<string | undefined> {
  return publish(sns, topicArn, message, {
    Subject: message.subject,
    MessageStructure: 'json',
    Message: envelopeOf(message),
  });
}

/**
 * Tells a chat, through the topic that Amazon Q Developer in chat applications is subscribed to.
 *
 * @returns id of the message
 * @throws GateDependencyError where SNS does not answer, or refuses
 */
export function notifyChat(sns: SNSClient, topicArn: string, message: Message): Promise<string | undefined> {
  return publish(sns, topicArn, message, { Message: chatOf(message) });
}

async function publish(
  sns: SNSClient,
  topicArn: string,
  { attributes }: Message,
  content: Pick<PublishCommandInput, 'Subject' | 'MessageStructure' | 'Message'>,
): Promise<string | undefined> {
  const MessageAttributes = Object.fromEntries(
    Object.entries(attributes).map(([name, value]) => [name, { DataType: 'String', StringValue: value }]),
  );
  const { MessageId } = await call(
    `Publish to ${topicArn}`,
    sns.send(new PublishCommand({ TopicArn: topicArn, ...content, MessageAttributes })),
  );
  return MessageId;
}
