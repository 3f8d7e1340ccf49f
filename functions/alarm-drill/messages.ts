import { type GateError, GateInputError } from '../shared/errors.ts';
import { clip } from '../shared/format.ts';
import { type Message, reasonLines, SENTENCE, worstMessages } from '../shared/message.ts';
import type { Verdict } from '../shared/verdict.ts';
import type { DrillResult } from './schema.ts';

/*
 * What people and other programs are told of a drill. Pure, and bounded.
 */

/** What a drill answers. */
export function drillResultOf(
  verdict: Verdict,
  where: Pick<DrillResult, 'drill' | 'alarm' | 'evidence'>,
): DrillResult {
  return {
    ...where,
    outcome: verdict.outcome,
    reason: clip(verdict.reason, SENTENCE),
    verdict: verdict.id,
    findings: worstMessages(verdict),
  };
}

/** The notification of a verdict. */
export function drillMessage(result: DrillResult, verdict: Verdict): Message {
  const { drill, alarm, outcome, evidence } = result;
  const state = { pass: 'passed', fail: 'failed', inconclusive: 'is inconclusive' }[outcome];
  const lines = [
    `Drill ${drill} of the alarm ${alarm} ${state}.`,
    '',
    ...reasonLines(result, verdict),
    '',
    `Evidence: ${evidence}`,
    '',
    `What now: ${nextStep(result, verdict)}`,
  ];
  return { subject: subject(drill, state), text: text(lines), attributes: { drill, outcome } };
}

function nextStep({ outcome, drill }: DrillResult, verdict: Verdict): string {
  if (outcome === 'pass') {
    return verdict.notChecked.some(({ check }) => check === 'drill')
      ? `nothing; that it fires as it is configured to, a drill shows: ${command(drill)}`
      : 'nothing; whoever is to hear this alarm can rely on it.';
  }
  const help = verdict.findings.find((finding) => finding.outcome === outcome)?.help;
  const hint = help === undefined ? '' : `${clip(help, SENTENCE)} `;
  const trust =
    outcome === 'fail'
      ? 'Until the drill passes, do not rely on this alarm.'
      : 'Whether this alarm can be relied on is not known.';
  return `${hint}${trust} Run it again: ${command(drill)}`;
}

/** The notification that a run has no verdict. */
export function drillRefusalMessage(drill: string, error: GateError): Message {
  const mistake = error instanceof GateInputError;
  const help = error.help ?? (mistake ? 'Correct what the message says.' : 'Look at what the message names.');
  const lines = [
    `Drill ${drill}: ${mistake ? 'it could not be run' : 'its run broke off'}, so nobody knows whether the alarm fires.`,
    '',
    clip(error.message, 20 * SENTENCE),
    '',
    `What now: ${clip(help, SENTENCE)} Then run it again: ${command(drill)}`,
  ];
  return {
    subject: subject(drill, 'not run'),
    text: text(lines),
    attributes: { drill, outcome: 'error' },
  };
}

function command(drill: string): string {
  return `tocsin drill alarm ${drill}`;
}

function text(lines: string[]): string {
  return `${lines.join('\n')}\n`;
}

/** SNS takes at most 100 printable ASCII characters on one line; a drill's name has at most 60 of them. */
function subject(drill: string, state: string): string {
  return `Tocsin: alarm drill ${drill} ${state}`;
}
