import { type GateError, GateInputError } from '../shared/errors.ts';
import { clip } from '../shared/format.ts';
import { type Message, reasonLines, SENTENCE, worstMessages } from '../shared/message.ts';
import type { Verdict } from '../shared/verdict.ts';
import type { CanaryResult } from './schema.ts';

/*
 * What people and other programs are told of a canary. Pure, and bounded.
 */

/** `ApprovalDescription` of every package that a canary registers. */
export const NEVER_DEPLOYED = 'pipeline canary: never to be deployed';

/** The same of one that the pipeline had registered as Approved, which must not be forgotten once it is Rejected. */
export const WAS_APPROVED = `${NEVER_DEPLOYED}; it was registered as Approved`;

/** What a canary answers. */
export function canaryResultOf(
  verdict: Verdict,
  where: Pick<CanaryResult, 'canary' | 'pipeline' | 'evidence'>,
): CanaryResult {
  return {
    ...where,
    outcome: verdict.outcome,
    reason: clip(verdict.reason, SENTENCE),
    verdict: verdict.id,
    findings: worstMessages(verdict),
  };
}

/** The notification of a verdict. */
export function canaryMessage(result: CanaryResult, verdict: Verdict): Message {
  const { canary, pipeline, outcome, evidence } = result;
  const state = { pass: 'passed', fail: 'failed', inconclusive: 'is inconclusive' }[outcome];
  const lines = [
    `Canary ${canary} of the pipeline ${pipeline} ${state}.`,
    '',
    ...reasonLines(result, verdict),
    '',
    `Evidence: ${evidence}`,
    '',
    `What now: ${nextStep(result, verdict)}`,
  ];
  return {
    subject: subject(canary, state),
    text: text(lines),
    attributes: { canary, outcome },
  };
}

function nextStep({ outcome, canary }: CanaryResult, verdict: Verdict): string {
  if (outcome === 'pass') return 'nothing; the pipeline works from end to end.';
  const help = verdict.findings.find((finding) => finding.outcome === outcome)?.help;
  const hint = help === undefined ? '' : `${clip(help, SENTENCE)} `;
  const trust =
    outcome === 'fail'
      ? 'Until the canary passes, do not trust what the pipeline makes.'
      : 'Whether the pipeline works is not known.';
  return `${hint}${trust} Run it again: ${command(canary)}`;
}

/** The notification that a run has no verdict. */
export function canaryRefusalMessage(canary: string, error: GateError): Message {
  const mistake = error instanceof GateInputError;
  const help = error.help ?? (mistake ? 'Correct what the message says.' : 'Look at what the message names.');
  const lines = [
    `Canary ${canary}: ${mistake ? 'it could not be run' : 'its run broke off'}, so nobody knows whether the pipeline works.`,
    '',
    clip(error.message, 20 * SENTENCE),
    '',
    `What now: ${clip(help, SENTENCE)} Then run it again: ${command(canary)}`,
  ];
  return {
    subject: subject(canary, 'not run'),
    text: text(lines),
    attributes: { canary, outcome: 'error' },
  };
}

function command(canary: string): string {
  return `tocsin canary ${canary}`;
}

function text(lines: string[]): string {
  return `${lines.join('\n')}\n`;
}

/** SNS takes at most 100 printable ASCII characters on one line; a canary's name has at most 60 of them. */
function subject(canary: string, state: string): string {
  return `Tocsin: canary ${canary} ${state}`;
}
