import { clip } from './format.ts';
import type { Verdict } from './verdict.ts';

/** A notification: an e-mail's subject and text, and attributes that subscriptions filter on. */
export interface Message {
  /** At most 100 printable ASCII characters. */
  subject: string;
  text: string;
  /** What it is about (`dataset`, `model`) and `outcome` (`pass`, `fail`, `inconclusive`, `error`). */
  attributes: Record<string, string>;
  /** The same for programs. */
  document?: MessageDocument;
}

/** What programs are told that subscribe to the topic: JSON of a known shape. */
export interface MessageDocument {
  tocsin: 1;
  /** Of the message. */
  subject: string;
  text: string;
  gate: string;
  /** What it is of: the name of a dataset, a model or a drill. */
  about: string;
  outcome: string;
  /** Whether this is the first verdict that passes after others that did not. */
  recovered: boolean;
  /** Since when it has been as it was before this verdict; absent where this is the first one. */
  before?: { outcome: string; since: string; runs: number };
  reason: string;
  /** Id of the verdict. */
  verdict: string;
  /** Where the report is: `s3://...`, and a page of the console. */
  report: { uri: string; link: string };
  /** The answer of the gate, as its event has it. */
  result: unknown;
}

/*
 * What the notifications of all gates have in common. Everything is bounded, so that neither SNS (256 KB) nor
 * EventBridge (256 KB an entry) can refuse it.
 */

/** Characters of one sentence; four bytes each at most. */
export const SENTENCE = 1000;

const FINDINGS = 10;

/** The messages of the worst findings that did not pass, at most 10, each of bounded length. */
export function worstMessages({ findings }: Pick<Verdict, 'findings'>): string[] {
  return findings
    .filter((finding) => finding.outcome !== 'pass')
    .slice(0, FINDINGS)
    .map((finding) => clip(finding.message, SENTENCE));
}

/**
 * The reason of a verdict and the list of its worst findings, as lines of a text.
 *
 * @param said what the gate has answered already: its reason and its {@link worstMessages}
 */
export function reasonLines(
  said: { reason: string; findings: string[] },
  verdict: Pick<Verdict, 'findings'>,
): string[] {
  const all = verdict.findings.filter((finding) => finding.outcome !== 'pass').length;
  const more = all - said.findings.length;
  // The reason of a verdict with one finding is that finding.
  const findings = said.findings.filter((finding) => finding !== said.reason);
  return [
    said.reason,
    ...(findings.length > 0 ? ['', ...findings.map((finding) => `- ${finding}`)] : []),
    ...(more > 0 ? [`- and ${more} more, in the evidence`] : []),
  ];
}
