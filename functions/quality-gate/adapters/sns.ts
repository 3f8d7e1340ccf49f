import { PublishCommand, type SNSClient } from '@aws-sdk/client-sns';
import { call } from '../../shared/aws.ts';
import type { Message } from '../messages.ts';

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
        MessageAttributes: {
          dataset: { DataType: 'String', StringValue: message.attributes.dataset },
          outcome: { DataType: 'String', StringValue: message.attributes.outcome },
        },
      }),
    ),
  );
  return MessageId;
}
