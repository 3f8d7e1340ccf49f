import { PublishCommand } from '@aws-sdk/client-sns';
import type { MessageDocument } from '../../functions/shared/notification/schema.ts';
import type { FakeAws } from './fake-aws.ts';

/** A message that was published, as those read it who get an e-mail, and as programs do. */
export interface Published {
  Subject: string;
  /** The text. */
  Message: string;
  document: MessageDocument;
}

/** What was published to the topic that people subscribe to, in order. */
export function published(aws: Pick<FakeAws, 'inputs'>): Published[] {
  const inputs = aws.inputs('sns', PublishCommand) as {
    Subject?: string;
    Message: string;
    MessageStructure?: string;
  }[];
  return inputs
    .filter(({ MessageStructure }) => MessageStructure === 'json')
    .map(({ Subject = '', Message }) => {
      const { default: text, sqs } = JSON.parse(Message) as Record<'default' | 'sqs', string>;
      return { Subject, Message: text, document: JSON.parse(sqs) as MessageDocument };
    });
}
