import type { GateInputError } from '../shared/errors.ts';
import { clip } from '../shared/format.ts';
import { compose, type Message, reasonParts, SENTENCE, worstMessages } from '../shared/message.ts';
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
  return compose({
    ...addressOf(result.dataset, `${state} (${result.outcome})`),
    kind: 'verdict',
    outcome: result.outcome,
    headline: `Dataset ${result.dataset} is ${state} (${result.outcome}).`,
    ...reasonParts(result, verdict),
    facts: [
      ['Data', result.uri],
      ['Version', result.versionId],
      ['Evidence', result.evidence],
    ],
    next: nextStep(result, verdict, config),
  });
}

/** The notification that an object could not be judged, because of what it is or how it is configured. */
export function refusalMessage(
  dataset: string,
  object: { uri: string; versionId: string },
  error: GateInputError,
): Message {
  return compose({
    ...addressOf(dataset, 'not judged'),
    kind: 'no-verdict',
    outcome: 'error',
    headline: `Dataset ${dataset}: an upload could not be judged, so it stays locked.`,
    reason: clip(error.message, 20 * SENTENCE),
    facts: [
      ['Data', object.uri],
      ['Version', object.versionId],
    ],
    next: error.help ?? 'correct what the message says, then upload the object again.',
    trouble: { mistake: true },
  });
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
function addressOf(dataset: string, state: string) {
  return {
    subject: `Tocsin: dataset ${dataset} ${state}`,
    gate: 'quality-gate',
    about: dataset,
    of: { dataset },
  } as const;
}
