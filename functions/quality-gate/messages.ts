import type { GateInputError } from '../shared/errors.ts';
import { clip } from '../shared/format.ts';
import { type Message, reasonLines, SENTENCE, worstMessages } from '../shared/message.ts';
import type { Verdict } from '../shared/verdict.ts';
import type { DatasetConfig, GateResult } from './schema.ts';

/*
 * What people and other programs are told. Pure, and bounded.
 */

/** Whether a dataset with this outcome may be read. */
export function isAccepted(outcome: GateResult['outcome'], config: DatasetConfig): boolean {
  return outcome === 'pass' || (outcome === 'inconclusive' && config.inconclusive === 'allow');
}

/** What the gate answers about a verdict. */
export function resultOf(
  verdict: Verdict,
  config: DatasetConfig,
  where: { uri: string; versionId: string; evidence: string },
): GateResult {
  return {
    dataset: verdict.subject,
    uri: where.uri,
    versionId: where.versionId,
    outcome: verdict.outcome,
    accepted: isAccepted(verdict.outcome, config),
    reason: clip(verdict.reason, SENTENCE),
    verdict: verdict.id,
    evidence: where.evidence,
    findings: worstMessages(verdict),
  };
}

/** The notification of a verdict. */
export function verdictMessage(result: GateResult, verdict: Verdict, config: DatasetConfig): Message {
  const state = result.accepted ? 'accepted' : 'rejected';
  const lines = [
    `Dataset ${result.dataset} is ${state} (${result.outcome}).`,
    '',
    ...reasonLines(result, verdict),
    '',
    `Data:     ${result.uri}`,
    `Version:  ${result.versionId}`,
    `Evidence: ${result.evidence}`,
    '',
    `What now: ${nextStep(result, verdict, config)}`,
  ];
  return {
    subject: subject(result.dataset, `${state} (${result.outcome})`),
    text: `${lines.join('\n')}\n`,
    attributes: { dataset: result.dataset, outcome: result.outcome },
  };
}

/** The notification that an object could not be judged, because of what it is or how it is configured. */
export function refusalMessage(
  dataset: string,
  object: { uri: string; versionId: string },
  error: GateInputError,
): Message {
  const lines = [
    `Dataset ${dataset}: an upload could not be judged, so it stays locked.`,
    '',
    clip(error.message, 20 * SENTENCE),
    '',
    `Data:     ${object.uri}`,
    `Version:  ${object.versionId}`,
    '',
    `What now: ${error.help ?? 'correct what the message says, then upload the object again.'}`,
  ];
  return {
    subject: subject(dataset, 'not judged'),
    text: `${lines.join('\n')}\n`,
    attributes: { dataset, outcome: 'error' },
  };
}

function nextStep(result: GateResult, verdict: Verdict, config: DatasetConfig): string {
  if (result.accepted) {
    return config.onAccept === undefined
      ? 'nothing; training may read it.'
      : `nothing; training may read it, and the SageMaker pipeline ${config.onAccept.pipeline} starts with it.`;
  }
  const help = verdict.findings.find((finding) => finding.outcome === result.outcome)?.help;
  const again =
    'The dataset stays locked. Correct it at its source and upload it again; if the data is right and the rule is wrong, change the contract, or promote a new baseline, and deploy.';
  return help === undefined ? again : `${clip(help, SENTENCE)} ${again}`;
}

/** SNS takes at most 100 printable ASCII characters on one line; a dataset's name has at most 60 of them. */
function subject(dataset: string, state: string): string {
  return `Tocsin: dataset ${dataset} ${state}`;
}
