import { readFileSync } from 'node:fs';
import { PublishCommand, SNSClient } from '@aws-sdk/client-sns';
import { mockClient } from 'aws-sdk-client-mock';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import * as z from 'zod';
import { GateDependencyError } from '../../../functions/shared/errors.ts';
import { compose, type Message } from '../../../functions/shared/message.ts';
import { documentSchema, type MessageDocument } from '../../../functions/shared/notification/schema.ts';
import { notify, notifyChat } from '../../../functions/shared/sns.ts';
import { exampleMessages } from '../../support/example-messages.ts';

const TOPIC = 'arn:aws:sns:eu-central-1:111122223333:tocsin';
const MAX_BYTES = 262_144;
const schema = z.fromJSONSchema(
  JSON.parse(readFileSync('docs/schemas/notification.schema.json', 'utf8')) as Parameters<
    typeof z.fromJSONSchema
  >[0],
);

const sns = mockClient(SNSClient);
beforeEach(() => {
  sns.reset();
  sns.on(PublishCommand).resolves({ MessageId: 'm-1' });
});
afterEach(() => sns.reset());

const published = () => sns.commandCalls(PublishCommand).map(({ args: [{ input }] }) => input);

/** What Publish takes of a message. */
async function inputOf(message: Message) {
  await notify(new SNSClient({}), TOPIC, message);
  return published().at(-1)!;
}

/** What subscribers of each protocol get. */
async function deliveredOf(message: Message): Promise<Record<string, string>> {
  return JSON.parse((await inputOf(message)).Message ?? '') as Record<string, string>;
}

async function documentOf(message: Message): Promise<MessageDocument> {
  return documentSchema.parse(JSON.parse((await deliveredOf(message)).sqs ?? ''));
}

async function chatOf(message: Message) {
  await notifyChat(new SNSClient({}), TOPIC, message);
  return JSON.parse(published().at(-1)!.Message ?? '') as {
    content: { title: string; description: string; nextSteps: string[]; keywords: string[] };
    metadata: { threadId: string; relatedResources: string[]; additionalContext: Record<string, string> };
  };
}

/** Counted as SNS counts: the message, and names, types and values of its attributes. */
function bytesOf({ Message = '', MessageAttributes = {} }: Awaited<ReturnType<typeof inputOf>>): number {
  return Object.entries(MessageAttributes).reduce(
    (sum, [name, { DataType = '', StringValue = '' }]) =>
      sum + Buffer.byteLength(name + DataType + StringValue),
    Buffer.byteLength(Message),
  );
}

/** A verdict about which everything is as long as gates let it be, made of one text. */
function longest(text: string): Message {
  const sentence = [...text.repeat(1000)].slice(0, 1000).join('');
  const findings = Array.from({ length: 10 }, () => sentence);
  const result = {
    dataset: 'x'.repeat(60),
    uri: `s3://data/${text.repeat(1000).slice(0, 1000)}`,
    reason: sentence,
    evidence: `s3://evidence/${'e'.repeat(300)}`,
    findings,
  };
  return compose({
    subject: 's'.repeat(100),
    kind: 'verdict',
    gate: 'quality-gate',
    about: 'x'.repeat(60),
    of: { dataset: 'x'.repeat(60) },
    outcome: 'fail',
    first: sentence,
    headline: `Dataset ${'x'.repeat(60)} is rejected (fail).`,
    change: 'Still.',
    reason: sentence,
    findings,
    more: 12,
    facts: [
      ['Data', result.uri],
      ['Evidence', result.evidence],
    ],
    next: `${sentence} ${sentence}`,
    verdict: {
      id: 'a'.repeat(32),
      reason: sentence.repeat(5),
      recovered: false,
      before: { outcome: 'no pass', since: 0, runs: 200, open: true },
      report: { uri: `s3://evidence/${'e'.repeat(300)}`, link: `https://console/${'e'.repeat(900)}` },
      result,
    },
  });
}

describe('a message', () => {
  test('is published whole: a text for people, a document for programs', async () => {
    const message = exampleMessages.recovered();
    expect(await notify(new SNSClient({}), TOPIC, message)).toBe('m-1');
    const [input] = published();
    const { sqs } = JSON.parse(input?.Message ?? '') as { sqs: string };
    expect(input).toEqual({
      TopicArn: TOPIC,
      Subject: 'Tocsin, recovered: alarm drill flight-delay-drift passed',
      MessageStructure: 'json',
      Message: JSON.stringify({
        default: message.text,
        sms: `Tocsin, recovered: alarm drill flight-delay-drift passed. ${message.verdict?.reason}`,
        sqs,
        lambda: sqs,
        http: sqs,
        https: sqs,
        firehose: sqs,
      }),
      MessageAttributes: {
        drill: { DataType: 'String', StringValue: 'flight-delay-drift' },
        outcome: { DataType: 'String', StringValue: 'pass' },
        recovered: { DataType: 'String', StringValue: 'true' },
      },
    });
    expect(JSON.parse(sqs)).toEqual({
      tocsin: 1,
      kind: 'verdict',
      subject: message.subject,
      text: message.text,
      gate: 'alarm-drill',
      about: 'flight-delay-drift',
      outcome: 'pass',
      recovered: true,
      before: { outcome: 'fail', since: '2026-11-21T03:15:00Z', runs: 2 },
      reason: message.verdict?.reason,
      findings: message.findings,
      next: 'Nothing; whoever is to hear this alarm can rely on it.',
      verdict: message.verdict?.id,
      report: message.verdict?.report,
      result: message.verdict?.result,
    });
  });

  test('that SNS refuses is the fault of the world', async () => {
    sns.on(PublishCommand).rejects(Object.assign(new Error('no'), { name: 'AuthorizationError' }));
    await expect(notify(new SNSClient({}), TOPIC, exampleMessages.refused())).rejects.toThrow(
      GateDependencyError,
    );
    await expect(notifyChat(new SNSClient({}), TOPIC, exampleMessages.refused())).rejects.toThrow(
      `Publish to ${TOPIC}`,
    );
  });

  test.each(Object.entries(exampleMessages))('%s is as its JSON Schema says', async (_, example) => {
    const { sqs = '' } = await deliveredOf(example());
    expect(schema.safeParse(JSON.parse(sqs)).error).toBeUndefined();
    expect(documentSchema.parse(JSON.parse(sqs))).toEqual(JSON.parse(sqs));
  });

  test('that there is no verdict has a document, too', async () => {
    expect(await documentOf(exampleMessages.refused())).toMatchObject({
      kind: 'no-verdict',
      gate: 'quality-gate',
      about: 'flights',
      outcome: 'error',
      mistake: true,
      runbook: 'docs/runbook.md#no-verdict',
      findings: [],
    });
  });

  test('of anything else is a notice', async () => {
    const { verdict: _, ...parts } = { ...exampleMessages.recovered(), kind: 'notice' as const };
    expect(await documentOf(compose(parts))).toMatchObject({ kind: 'notice', outcome: 'pass' });
  });

  test.each([
    ['letters', 'a'],
    ['quotes, each four bytes in JSON in JSON', '"'],
    ['backslashes', '\\'],
    ['lines', '\n'],
    ['control characters', '\u0001'],
    ['half characters', '\ud83d'],
    ['characters of four bytes', '😀'],
    ['emoji of many characters', '👨‍👩‍👧‍👦'],
    ['text that runs the other way', '\u202e'],
  ])('of nothing but %s fits SNS, and programs can read it', async (_, text) => {
    const input = await inputOf(longest(text));
    expect(bytesOf(input)).toBeLessThan(MAX_BYTES);
    const delivered = JSON.parse(input.Message ?? '') as Record<string, string>;
    expect([...(delivered.sms ?? '')].length).toBeLessThanOrEqual(300);
    expect(delivered.default, 'what to do is at the end, and stays').toMatch(/What now: |\n\[\.\.\.\]\n/);
    const document = documentSchema.parse(JSON.parse(delivered.sqs ?? ''));
    expect(document).toMatchObject({ kind: 'verdict', findings: { length: 10 } });
    expect(document.kind === 'verdict' && document.result).toMatchObject({
      evidence: `s3://evidence/${'e'.repeat(300)}`,
      findings: { length: 10 },
    });
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
    expect(delivered.default).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u202a-\u202e\ud800-\udfff]/u);
  });

  test('of whatever text fits SNS', async () => {
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: 'binary', minLength: 1, maxLength: 30 }), async (text) => {
        expect(bytesOf(await inputOf(longest(text)))).toBeLessThan(MAX_BYTES);
      }),
      { numRuns: 25 },
    );
  });

  test('whose result no gate bounds goes without it', async () => {
    const message = longest('a');
    const document = await documentOf({
      ...message,
      verdict: { ...message.verdict!, result: { uri: 'u'.repeat(300_000) } },
    });
    expect(document).toMatchObject({ kind: 'verdict', result: null });
  });

  test('says why as its verdict does, also in an SMS', async () => {
    const message = longest('a');
    const told = {
      ...message,
      reason: 'of the message',
      verdict: { ...message.verdict!, reason: 'of the verdict' },
    };
    expect(await documentOf(told)).toMatchObject({ reason: 'of the verdict' });
    expect((await deliveredOf(told)).sms).toMatch(/ of the verdict$/);
  });

  test('has the reason in its result cut where it is too long, and no address', async () => {
    const { verdict, ...message } = longest('a');
    const uri = `s3://data/${'u'.repeat(2000)}`;
    const result = { uri, reason: '"'.repeat(9000) };
    const document = await documentOf({ ...message, verdict: { ...verdict!, result } });
    expect(document).toMatchObject({ result: { uri, reason: expect.stringMatching(/^"+…$/) } });
  });

  test('that nobody has given a runbook names the one of this repository', async () => {
    const { trouble, ...message } = exampleMessages.refused();
    expect(await documentOf({ ...message, trouble: { mistake: trouble!.mistake } })).toMatchObject({
      runbook: 'docs/runbook.md',
    });
  });

  test('is cut in its middle where it is too long', async () => {
    const { default: text = '' } = await deliveredOf({
      ...longest('a'),
      text: `start ${'"'.repeat(90_000)} end`,
    });
    expect(text.startsWith('start "')).toBe(true);
    expect(text).toContain('"\n[...]\n"');
    expect(text.endsWith('" end')).toBe(true);
  });
});

describe('a chat', () => {
  test('is told in its own format, in one thread for one thing', async () => {
    const message = exampleMessages.rejected();
    await notifyChat(new SNSClient({}), TOPIC, message);
    const [input] = published();
    expect(input).toEqual({
      TopicArn: TOPIC,
      Message: expect.any(String),
      MessageAttributes: {
        model: { DataType: 'String', StringValue: 'flight-delay' },
        outcome: { DataType: 'String', StringValue: 'fail' },
      },
    });
    expect(JSON.parse(input?.Message ?? '')).toEqual({
      version: '1.0',
      source: 'custom',
      content: {
        textType: 'client-markdown',
        title: '❌ Tocsin, still: model flight-delay rejected (fail)',
        description: expect.stringMatching(
          /^Model flight-delay: a package is rejected \(fail\)\.\nStill: it has failed since .*\n\n18 of 32 checks failed\.\n\n• auc on 80,000 examples is 0\.559 /,
        ),
        nextSteps: [
          expect.stringMatching(/^Look for what changed in the training data or code; /),
          `Report: ${message.verdict?.report.link}`,
        ],
        keywords: ['holdout-evaluation', 'flight-delay', 'fail'],
      },
      metadata: {
        threadId: 'holdout-evaluation/flight-delay',
        summary: 'Model flight-delay: a package is rejected (fail).',
        eventType: 'tocsin-verdict',
        relatedResources: [
          'arn:aws:sagemaker:eu-central-1:111122223333:model-package/flight-delay/7',
          expect.stringMatching(
            /^s3:\/\/tocsin-evidence\/evidence\/holdout-evaluation\/flight-delay\/.*verdict\.json$/,
          ),
        ],
        additionalContext: {
          outcome: 'fail',
          verdict: '465ff855f643eae95ac871bfabd02a7e',
          recovered: 'false',
        },
      },
    });
    const { description } = JSON.parse(input?.Message ?? '').content;
    expect(description, 'the report is among the next steps').not.toMatch(/^Report: /m);
    expect(description).toContain('\n• and 17 more\n');
    expect(description.match(/^•/gm)).toHaveLength(6);
  });

  const odd: [string, string, string][] = [
    ['bold', '*now*', '∗now∗'],
    ['italics', '_now_', '＿now＿'],
    ['a name', 'delay_minutes', 'delay_minutes'],
    ['struck out', '~now~', '∼now∼'],
    ['code', '`rm`', 'ˋrmˋ'],
    ['everybody in Slack', '<!channel>', '&lt;!channel&gt;'],
    ['somebody in Slack', '<@U012AB3CD>', '&lt;@\u2060U012AB3CD&gt;'],
    ['everybody by name', '@here', '@\u2060here'],
    ['a link of Slack', '<https://x.example|here>', '&lt;https://x.example|here&gt;'],
    ['a link of Teams', '[here](https://x.example)', '[here] (https://x.example)'],
    ['entities', '&lt;', '&amp;lt;'],
    ['lines', 'one\n# two\n> three', 'one # two &gt; three'],
    ['what nobody sees', 'a\u0000b\u200bc\u202ed', 'a b c d'],
  ];
  test.each(odd)('finds %s a text like any other', async (_, text, shown) => {
    const { content } = await chatOf({ ...exampleMessages.refused(), reason: text });
    expect(content.description).toContain(`\n\n${shown}\n\n`);
  });

  test('is told no more than it takes, and never anything that it would act on', async () => {
    const text = fc.string({
      unit: fc.constantFrom('a', '*', '_', '`', '~', '<', '>', '&', '@', ']', '(', '😀', ' ', '\n'),
    });
    await fc.assert(
      fc.asyncProperty(text, fc.nat(2000), async (unit, times) => {
        const { content, metadata } = await chatOf(longest(`${unit} `.repeat(Math.min(times, 300)) || 'a'));
        expect(content.title.length).toBeLessThanOrEqual(250);
        expect(content.description.length).toBeLessThanOrEqual(8000);
        expect(content.description.length).toBeGreaterThan(0);
        for (const shown of [content.description, content.nextSteps[0] ?? '', ...metadata.relatedResources]) {
          expect(/[*~`<>]|\]\(|@[^\s\u2060…]/.exec(shown)?.[0]).toBeUndefined();
          expect(/&(?!amp;|lt;|gt;)/.exec(shown)?.[0]).toBeUndefined();
        }
      }),
      { numRuns: 60 },
    );
  });

  test('is told of the longest verdict within its bounds', async () => {
    for (const unit of ['&', '😀', 'a']) {
      const { content } = await chatOf({ ...longest(unit), subject: unit.repeat(400) });
      expect(content.title.length).toBeLessThanOrEqual(250);
      expect(content.title.isWellFormed()).toBe(true);
      expect(content.description.length).toBeLessThanOrEqual(8000);
      expect(content.description).not.toMatch(/&[a-z]*…$/);
    }
  });
});
