import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { chatOf } from '../functions/shared/notification/chat.ts';
import { envelopeOf } from '../functions/shared/notification/envelope.ts';
import { exampleMessages } from './support/example-messages.ts';

const guide = readFileSync('docs/notifications.md', 'utf8');

/** Fenced blocks of one language. */
const blocks = (language: string) =>
  [...guide.matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\`$`, 'gm'))].map(
    ([, text = '']) => text,
  );

/* What docs/notifications.md shows is what is sent. */
describe('the guide to notifications shows', () => {
  const messages = Object.entries(exampleMessages);

  test.each(messages.map(([name, example], index) => [name, example, index] as const))(
    'the e-mail of the %s',
    (_, example, index) => {
      const message = example();
      const { default: text } = JSON.parse(envelopeOf(message)) as { default: string };
      expect(blocks('text')[index]).toBe(`Subject: ${message.subject}\n\n${text}`);
    },
  );

  test('no other e-mail', () => {
    expect(blocks('text')).toHaveLength(messages.length);
  });

  test('what a chat gets, and what programs get', () => {
    const [chat = '', document = ''] = blocks('json');
    expect(JSON.parse(chat)).toEqual(JSON.parse(chatOf(exampleMessages.refused())));
    const { sqs } = JSON.parse(envelopeOf(exampleMessages.recovered())) as { sqs: string };
    expect(JSON.parse(document)).toEqual(JSON.parse(sqs));
  });

  test('a filter by attributes that messages have', () => {
    const filter = JSON.parse(blocks('json')[2] ?? '') as { model: string[]; $or: Record<string, unknown>[] };
    const { attributes } = exampleMessages.rejected();
    expect(filter.model).toContain(attributes.model);
    expect(filter.$or.flatMap((one) => Object.keys(one))).toEqual(['outcome', 'recovered']);
    expect(Object.keys(exampleMessages.recovered().attributes)).toEqual(['drill', 'outcome', 'recovered']);
  });
});
