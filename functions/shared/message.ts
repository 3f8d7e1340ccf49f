import { clip } from './format.ts';
import type { GateName, Outcome, Verdict } from './verdict.ts';

/*
 * What the notifications of all gates have in common: a message is made of parts, which an e-mail, a chat and a program
 * each show in their own way. Pure, and bounded.
 */

/** What a gate says, in parts. */
export interface Parts {
  /** At most 100 printable ASCII characters; begins with `Tocsin: `. */
  subject: string;
  /** `no-verdict`: why there is none; `notice`: anything else. */
  kind: 'verdict' | 'no-verdict' | 'notice';
  gate: GateName;
  /** Subject of its evidence: together with the gate, what belongs together. */
  about: string;
  /** What subscriptions filter on, beside the outcome: `dataset`, `model`, `canary`, `drill` or `parity`, and its name. */
  of: Record<string, string>;
  outcome: Outcome | 'error';
  /** What has to be read before all else: one sentence. */
  first?: string;
  /** What has happened to what: one sentence. */
  headline: string;
  /** Why: one sentence or, of an error, its whole message. */
  reason?: string;
  /** One sentence each. */
  findings?: string[];
  /** How many findings there are beside these. */
  more?: number;
  /** Where: what each is, in at most 8 letters, and an address or a name. */
  facts: readonly (readonly [label: string, value: string])[];
  /** What to do: whole sentences, which follow a colon. */
  next: string;
}

/** How things were before a verdict. */
export interface Before {
  /** `no pass`: some failed, and some were inconclusive. */
  outcome: Outcome | 'no pass';
  /** When it first came out like this, milliseconds since 1970. */
  since: number;
  /** Verdicts in a row. */
  runs: number;
  /** Whether it was so in all that is known, so that it may have been so for longer. */
  open: boolean;
}

/** What a message says of a verdict beside what its gate says. */
interface Context {
  /** Id of the verdict. */
  id: string;
  reason: string;
  recovered: boolean;
  before: Before | undefined;
  report: { uri: string; link: string };
  /** What the gate answers, as its event has it. */
  result: unknown;
}

/** A notification: its parts, and the text of an e-mail that is made of them. */
export interface Message extends Parts {
  text: string;
  /** What subscriptions filter on: {@link Parts.of}, `outcome`, and `recovered` where it is `true`. */
  attributes: Record<string, string>;
  /** What is new: one sentence. */
  change?: string;
  /** Of a verdict that is told. */
  verdict?: Context;
  /** Of a message that there is no verdict: whether somebody has to correct something, and where it says what to do. */
  trouble?: { mistake: boolean; runbook?: string };
}

/** Characters of one sentence; four bytes each at most. */
export const SENTENCE = 1000;

const FINDINGS = 10;

/** Characters that a label and its colon take. */
const LABEL = 10;

/** A message with its text. Whatever else it says is kept. */
export function compose(parts: Omit<Message, 'text' | 'attributes'>): Message {
  const { first, headline, change, reason, findings = [], more = 0, facts, next, of, outcome } = parts;
  const list = [
    ...findings.map((finding) => `- ${finding}`),
    ...(more > 0 ? [`- and ${more} more, in the report`] : []),
  ];
  const paragraphs = [
    first === undefined ? [] : [first],
    [headline, ...(change === undefined ? [] : [change])],
    reason === undefined ? [] : [reason],
    list,
    facts.map(([label, value]) => `${`${label}:`.padEnd(LABEL)}${value}`),
    [`What now: ${next}`],
  ];
  const text = paragraphs
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join('\n'))
    .join('\n\n');
  return {
    ...parts,
    text: `${text}\n`,
    attributes: { ...of, outcome, ...(parts.verdict?.recovered && { recovered: 'true' }) },
  };
}

/** The messages of the worst findings that did not pass, at most 10, each of bounded length. */
export function worstMessages({ findings }: Pick<Verdict, 'findings'>): string[] {
  return findings
    .filter((finding) => finding.outcome !== 'pass')
    .slice(0, FINDINGS)
    .map((finding) => clip(finding.message, SENTENCE));
}

/**
 * The reason of a verdict and its worst findings, as parts of a message.
 *
 * @param said what the gate has answered already: its reason and its {@link worstMessages}
 */
export function reasonParts(
  said: { reason: string; findings: string[] },
  verdict: Pick<Verdict, 'findings'>,
): Pick<Parts, 'reason' | 'findings' | 'more'> {
  const all = verdict.findings.filter((finding) => finding.outcome !== 'pass').length;
  const [how, first] = said.reason.split('; first: ', 2);
  return {
    // Of several findings the reason says how many there are, and the first; which the list says, too.
    reason: first !== undefined && first === said.findings[0] ? `${how}.` : said.reason,
    // The reason of a verdict with one finding is that finding.
    findings: said.findings.filter((finding) => finding !== said.reason),
    more: all - said.findings.length,
  };
}
