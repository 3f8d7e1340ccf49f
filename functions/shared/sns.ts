import { PublishCommand, type SNSClient } from '@aws-sdk/client-sns';
import { call } from './aws.ts';
import type { Message } from './message.ts';

/**
 * Tells the owners.
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
        Message: message.text,
        MessageAttributes: Object.fromEntries(
          Object.entries(message.attributes).map(([name, value]) => [
            name,
            { DataType: 'String', StringValue: value },
          ]),
        ),
      }),
    ),
  );
  return MessageId;
}
