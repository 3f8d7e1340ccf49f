import { capital, clip } from '../format.ts';
import type { Message } from '../message.ts';

/*
 * One message as Amazon Q Developer in chat applications (AWS Chatbot) takes it, which shows it in Slack and in Microsoft
 * Teams: https://docs.aws.amazon.com/chatbot/latest/adminguide/custom-notifs.html. Pure, and bounded.
 */

/** Characters that the format allows for the title and the description. */
const TITLE = 250;
const DESCRIPTION = 8000;

/** What is long in a chat is not read: bounds of our own, where the format states none. */
const SENTENCE = 600;
const FINDINGS = 5;
const STEP = 1500;
const VALUE = 300;

const MARKS = { pass: '✅', fail: '❌', inconclusive: '❔', error: '⚠️' } as const;

/** `Message` of Publish to the topic of the chat. */
export function chatOf(message: Message): string {
  const { gate, about, outcome, subject, verdict } = message;
  const report = verdict?.report.link;
  return JSON.stringify({
    version: '1.0',
    source: 'custom',
    content: {
      textType: 'client-markdown',
      title: cut(`${MARKS[outcome]} ${plain(subject)}`, TITLE),
      description: cut(descriptionOf(message), DESCRIPTION),
      nextSteps: [
        sentence(capital(message.next), STEP),
        ...(report === undefined ? [] : [`Report: ${report}`]),
      ],
      keywords: [gate, about, outcome].map((word) => sentence(word, VALUE)),
    },
    metadata: {
      // What belongs to one thing is one thread.
      threadId: `${gate}/${about}`,
      summary: sentence(message.headline, VALUE),
      eventType: `tocsin-${message.kind}`,
      relatedResources: message.facts
        .map(([, value]) => value)
        .filter((value) => /^(arn:|s3:\/\/)/.test(value))
        .map((value) => sentence(value, VALUE)),
      additionalContext: {
        outcome,
        ...(verdict !== undefined && { verdict: verdict.id, recovered: String(verdict.recovered) }),
      },
    },
  });
}

function descriptionOf(message: Message): string {
  const { first, headline, change, reason, findings = [], more = 0, facts, verdict } = message;
  const left = more + Math.max(0, findings.length - FINDINGS);
  const paragraphs = [
    first === undefined ? [] : [sentence(first)],
    [sentence(headline), ...(change === undefined ? [] : [sentence(change)])],
    reason === undefined ? [] : [sentence(reason, 3 * SENTENCE)],
    [
      ...findings.slice(0, FINDINGS).map((finding) => `• ${sentence(finding)}`),
      ...(left > 0 ? [`• and ${left} more`] : []),
    ],
    facts
      .filter(([, value]) => value !== verdict?.report.link)
      .map(([label, value]) => `${label}: ${sentence(value)}`),
  ];
  return paragraphs
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join('\n'))
    .join('\n\n');
}

/** At most so many UTF-16 units, none of which is half a character or half an entity. */
function cut(text: string, length: number): string {
  if (text.length <= length) return text;
  return `${text
    .slice(0, length - 1)
    .replace(/[\uD800-\uDBFF]$/, '')
    .replace(/&[a-z]*$/, '')}…`;
}

function sentence(text: string, length = SENTENCE): string {
  return plain(clip(text, length));
}

/** Look like what they stand for, and format nothing. */
const ALIKE: Record<string, string> = { '*': '∗', '~': '∼', '`': 'ˋ', _: '＿' };
const ENTITIES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;' };

/**
 * A text as one line in which neither Slack nor Teams finds anything to format, to link or to call somebody by. Neither
 * has an escape that the other understands.
 */
function plain(text: string): string {
  return (
    text
      .toWellFormed()
      .replace(/[\p{C}\p{Z}]+/gu, ' ')
      .trim()
      // Within a word, as most names have it, an underscore formats nothing.
      .replace(/[*~`]|(?<![\p{L}\p{N}])_+|_+(?![\p{L}\p{N}])/gu, (marks) =>
        [...marks].map((mark) => ALIKE[mark]).join(''),
      )
      .replace(/\](?=[([])/g, '] ')
      .replace(/@(?=\S)/g, '@\u2060')
      .replace(/[&<>]/g, (mark) => ENTITIES[mark] ?? '')
  );
}
