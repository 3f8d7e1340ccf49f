import { type GateError, GateInputError } from './errors.ts';
import { clip } from './format.ts';
import { compose, type Message, type Parts, reasonParts, SENTENCE } from './message.ts';
import type { Outcome, Verdict } from './verdict.ts';

/*
 * What people are told of a run of a canary, a drill or a comparison: its verdict, or why there is none. Pure, and bounded.
 */

/** How a text begins. */
const CALLED = { canary: 'Canary', drill: 'Drill', parity: 'Config parity' } as const;

/** A canary, a drill or a comparison, in the words of its notifications. */
export interface Runner extends Pick<Parts, 'gate' | 'about'> {
  /** What it is, also the name of the attribute that subscriptions filter on. */
  kind: keyof typeof CALLED;
  /** At most 60 printable ASCII characters. */
  name: string;
  /** What subjects call it: `alarm drill`. */
  title: string;
  /** What it is of: `the alarm psi-distance`. */
  of: string;
  /** What it finds out, after "whether": `the alarm fires`. */
  question: string;
  /** Starts another run. */
  command: string;
}

/** What a run has answered. */
interface Answered {
  outcome: Outcome;
  reason: string;
  findings: string[];
  evidence: string;
}

/**
 * The notification of a verdict.
 *
 * @param then what the outcome means, as whole sentences; of a pass what to do now, in words that follow a colon
 * @param first what has to be read before all else: the first line of the text
 */
export function runMessage(
  runner: Omit<Runner, 'question'>,
  answered: Answered,
  verdict: Verdict,
  then: Record<Outcome, string>,
  first?: string,
): Message {
  const { kind, name, of, command } = runner;
  const { outcome, evidence } = answered;
  const state = { pass: 'passed', fail: 'failed', inconclusive: 'is inconclusive' }[outcome];
  const help = verdict.findings.find((finding) => finding.outcome === outcome)?.help;
  const hint = help === undefined ? '' : `${clip(help, SENTENCE)} `;
  return compose({
    ...addressOf(runner, state),
    kind: 'verdict',
    outcome,
    ...(first !== undefined && { first }),
    headline: `${CALLED[kind]} ${name} of ${of} ${state}.`,
    ...reasonParts(answered, verdict),
    facts: [['Evidence', evidence]],
    next: outcome === 'pass' ? then.pass : `${hint}${then[outcome]} Run it again: ${command}`,
  });
}

/** The notification that a run has no verdict. */
export function noVerdictMessage(runner: Omit<Runner, 'of'>, error: GateError): Message {
  const { kind, name, question, command } = runner;
  const mistake = error instanceof GateInputError;
  const help = error.help ?? (mistake ? 'Correct what the message says.' : 'Look at what the message names.');
  return compose({
    ...addressOf(runner, 'not run'),
    kind: 'no-verdict',
    outcome: 'error',
    headline: `${CALLED[kind]} ${name}: ${mistake ? 'it could not be run' : 'its run broke off'}, so nobody knows whether ${question}.`,
    reason: clip(error.message, 20 * SENTENCE),
    facts: [],
    next: `${clip(help, SENTENCE)} Then run it again: ${command}`,
    trouble: { mistake },
  });
}

/**
 * Whose message it is, and its subject.
 *
 * @param state a word or two
 */
export function addressOf(
  { kind, name, title, gate, about }: Pick<Runner, 'kind' | 'name' | 'title' | 'gate' | 'about'>,
  state: string,
): Pick<Parts, 'subject' | 'gate' | 'about' | 'of'> {
  // SNS takes at most 100 printable ASCII characters on one line.
  return { subject: `Tocsin: ${title} ${name} ${state}`, gate, about, of: { [kind]: name } };
}
