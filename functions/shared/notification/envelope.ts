import { capital, clip, formatTime } from '../format.ts';
import type { Message } from '../message.ts';
import { DEFAULT_RUNBOOK, type MessageDocument } from './schema.ts';

/*
 * One message as SNS takes it: a text for people and a document for programs, each to its protocols. Pure, and bounded: SNS
 * takes 262,144 bytes of message and attributes (https://docs.aws.amazon.com/sns/latest/api/API_Publish.html), and counts
 * JSON as it is escaped.
 */

/** Bytes that the text may take. */
const TEXT = 50_000;
/** Bytes that the document may take; it is there once for each of {@link PROGRAMS}. */
const DOCUMENT = 38_000;

/** Protocols whose subscribers are programs. All others get the text. */
const PROGRAMS = ['sqs', 'lambda', 'http', 'https', 'firehose'] as const;

/** Characters of an SMS: two of them, in the plain alphabet. */
const SMS = 300;

/** `Message` of Publish with `MessageStructure: json`: what each protocol delivers. */
export function envelopeOf(message: Message): string {
  const document = JSON.stringify(fittingDocument(message));
  return JSON.stringify({
    default: squeeze(message.text, TEXT),
    sms: clip(
      `${message.subject}. ${clean(message.verdict?.reason ?? message.reason ?? message.headline)}`.replace(
        /\s+/g,
        ' ',
      ),
      SMS,
    ),
    ...Object.fromEntries(PROGRAMS.map((protocol) => [protocol, document])),
  });
}

/** The most that fits: first whole, then with less and less of what is long. */
function fittingDocument(message: Message): MessageDocument {
  let document = documentOf(message);
  for (const { text, sentence } of [
    { text: 16_000, sentence: 1000 },
    { text: 8000, sentence: 400 },
    { text: 4000, sentence: 150 },
  ]) {
    if (bytesOf(JSON.stringify(document)) <= DOCUMENT) return document;
    document = shortened(document, text, sentence);
  }
  // Names and addresses alone can be that long only where somebody has chosen them so.
  if (document.kind === 'verdict' && bytesOf(JSON.stringify(document)) > DOCUMENT) {
    return { ...document, result: null };
  }
  return document;
}

function shortened(document: MessageDocument, text: number, sentence: number): MessageDocument {
  const less = {
    text: squeeze(document.text, text),
    reason: clip(document.reason, sentence),
    findings: document.findings.map((finding) => clip(finding, sentence)),
    next: clip(document.next, sentence),
  };
  return document.kind === 'verdict'
    ? { ...document, ...less, result: withShortTexts(document.result, sentence) }
    : { ...document, ...less };
}

function withShortTexts(value: unknown, length: number): unknown {
  if (typeof value === 'string') return clip(value, length);
  if (Array.isArray(value)) return value.map((one) => withShortTexts(one, length));
  if (typeof value !== 'object' || value === null) return value;
  // Addresses are of no use in part, and stand alone; sentences are what is long, and stand in lists.
  return Object.fromEntries(
    Object.entries(value).map(([key, one]) => [
      key,
      typeof one === 'string' && key !== 'reason' ? one : withShortTexts(one, length),
    ]),
  );
}

/** What programs are told. */
function documentOf(message: Message): MessageDocument {
  const { subject, gate, about, outcome, verdict, trouble } = message;
  const common = {
    tocsin: 1 as const,
    subject,
    text: clean(message.text),
    gate,
    about,
    reason: clean(verdict?.reason ?? message.reason ?? message.headline),
    findings: (message.findings ?? []).map(clean),
    next: clean(capital(message.next)),
  };
  if (verdict !== undefined && outcome !== 'error') {
    const { recovered, before, id, report, result } = verdict;
    return {
      ...common,
      kind: 'verdict',
      outcome,
      recovered,
      ...(before !== undefined && {
        before: { outcome: before.outcome, since: formatTime(before.since), runs: before.runs },
      }),
      verdict: id,
      report,
      result,
    };
  }
  if (trouble !== undefined) {
    const { mistake, runbook = DEFAULT_RUNBOOK } = trouble;
    return { ...common, kind: 'no-verdict', outcome: 'error', mistake, runbook };
  }
  return { ...common, kind: 'notice', outcome };
}

/** Without what no e-mail shows or what turns lines around, and without half characters, which JSON writes as six bytes. */
function clean(text: string): string {
  return text.toWellFormed().replace(/[^\n\P{Cc}]|\p{Bidi_Control}/gu, ' ');
}

/** What is left of a text that may take so many bytes: its start says what it is, and its end what to do. */
function squeeze(text: string, bytes: number): string {
  const whole = clean(text);
  if (bytesInside(whole) <= bytes) return whole;
  const characters = [...whole];
  const room = bytes - bytesInside(GAP);
  const start = fitting(characters, room * 0.7);
  const end = fitting(characters.slice(start.length).reverse(), room * 0.3).reverse();
  return `${start.join('')}${GAP}${end.join('')}`;
}

const GAP = '\n[...]\n';

/** As many of the first characters as take no more than so many bytes. */
function fitting(characters: readonly string[], bytes: number): string[] {
  let taken = 0;
  const end = characters.findIndex((character) => {
    taken += bytesInside(character);
    return taken > bytes;
  });
  return end === -1 ? [...characters] : characters.slice(0, end);
}

/** Bytes of a text as part of a document, which is a text in JSON itself. */
function bytesInside(text: string): number {
  return bytesOf(JSON.stringify(text).slice(1, -1)) - 2;
}

/** Bytes of a document as one text in JSON. */
function bytesOf(text: string): number {
  return Buffer.byteLength(JSON.stringify(text));
}
