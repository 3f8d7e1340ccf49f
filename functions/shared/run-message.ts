import { type GateError, GateInputError } from './errors.ts';
import { clip } from './format.ts';
import { type Message, reasonLines, SENTENCE } from './message.ts';
import type { Outcome, Verdict } from './verdict.ts';

/*
 * What people are told of a run of a canary, a drill or a comparison: its verdict, or why there is none. Pure, and bounded.
 */

/** How a text begins. */
const CALLED = { canary: 'Canary', drill: 'Drill', parity: 'Config parity' } as const;

/** A canary, a drill or a comparison, in the words of its notifications. */
export interface Runner {
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
  const now = outcome === 'pass' ? then.pass : `${hint}${then[outcome]} Run it again: ${command}`;
  return messageOf(runner, state, outcome, [
    ...(first === undefined ? [] : [first, '']),
    `${begin(kind, name)} of ${of} ${state}.`,
    '',
    ...reasonLines(answered, verdict),
    '',
    `Evidence: ${evidence}`,
    '',
    `What now: ${now}`,
  ]);
}

/** The notification that a run has no verdict. */
export function noVerdictMessage(runner: Omit<Runner, 'of'>, error: GateError): Message {
  const { kind, name, question, command } = runner;
  const mistake = error instanceof GateInputError;
  const help = error.help ?? (mistake ? 'Correct what the message says.' : 'Look at what the message names.');
  return messageOf(runner, 'not run', 'error', [
    `${begin(kind, name)}: ${mistake ? 'it could not be run' : 'its run broke off'}, so nobody knows whether ${question}.`,
    '',
    clip(error.message, 20 * SENTENCE),
    '',
    `What now: ${clip(help, SENTENCE)} Then run it again: ${command}`,
  ]);
}

function begin(kind: Runner['kind'], name: string): string {
  return `${CALLED[kind]} ${name}`;
}

function messageOf(
  { kind, name, title }: Pick<Runner, 'kind' | 'name' | 'title'>,
  state: string,
  outcome: Outcome | 'error',
  lines: readonly string[],
): Message {
  return {
    // SNS takes at most 100 printable ASCII characters on one line.
    subject: `Tocsin: ${title} ${name} ${state}`,
    text: `${lines.join('\n')}\n`,
    attributes: { [kind]: name, outcome },
  };
}
