import { type GateError, GateInputError } from '../shared/errors.ts';
import { clip, formatInterval, formatNumber } from '../shared/format.ts';
import { compose, type Message, reasonParts, SENTENCE, worstMessages } from '../shared/message.ts';
import type { Verdict } from '../shared/verdict.ts';
import type { MetricResult } from './measurements.ts';
import { queryName } from './metric.ts';
import type { EvaluationResult, ModelConfig } from './schema.ts';

/*
 * What people, other programs and the model registry are told. Pure, and bounded.
 */

/** Key of the id of its verdict in the metadata of a package. */
export const VERDICT_KEY = 'tocsin:verdict';

/** SageMaker's limits. */
const DESCRIPTION = 1024;
const ENTRIES = 50;
const KEY = 128;
const VALUE = 256;

/** What the evaluation answers. */
export function resultOf(
  verdict: Verdict,
  where: { package: string; approval: EvaluationResult['approval']; evidence: string },
): EvaluationResult {
  return {
    model: verdict.subject,
    package: where.package,
    outcome: verdict.outcome,
    approval: where.approval,
    reason: clip(verdict.reason, SENTENCE),
    verdict: verdict.id,
    evidence: where.evidence,
    findings: worstMessages(verdict),
  };
}

/**
 * `ApprovalDescription` of a package: one line of at most 1024 UTF-16 units without control characters. The address
 * of the evidence is always whole.
 */
export function describeApproval(verdict: Pick<Verdict, 'outcome' | 'reason'>, evidence: string): string {
  const end = printable(` Evidence: ${evidence}`);
  const start = printable(`Tocsin: ${verdict.outcome}. ${verdict.reason}`);
  return cut(start, DESCRIPTION - Math.min(end.length, DESCRIPTION / 2)) + cut(end, DESCRIPTION / 2);
}

/**
 * `CustomerMetadataProperties` of a package: the verdict, where its evidence is, the hash of the holdout, and the metrics
 * on all of its examples, in characters that SageMaker takes.
 *
 * @param metrics those of slices are left to the evidence
 * @param entries how many there is room for, the first ones first: SageMaker takes 50, those of others included
 */
export function metadataOf(
  verdict: Pick<Verdict, 'id' | 'outcome'>,
  {
    evidence,
    holdout,
    metrics,
    entries = ENTRIES,
  }: { evidence: string; holdout: string; metrics: readonly MetricResult[]; entries?: number },
): Record<string, string> {
  const metadata = new Map<string, string>([
    [VERDICT_KEY, verdict.id],
    ['tocsin:outcome', verdict.outcome],
    ['tocsin:evidence', evidence],
    ['tocsin:holdout', holdout],
  ]);
  for (const result of metrics) {
    const key = legal(`tocsin:${queryName(result.query)}`, KEY);
    // Of two names that differ only in characters that are not legal, the first.
    if (result.slice === undefined && !metadata.has(key)) metadata.set(key, valueText(result));
  }
  const room = Math.min(Math.max(0, entries), ENTRIES);
  return Object.fromEntries([...metadata].slice(0, room).map(([key, value]) => [key, legal(value, VALUE)]));
}

/** `0.6812 from 0.6790 to 0.6833` */
function valueText({ value, interval, undefinedBecause }: MetricResult): string {
  if (value === null) return `no value: ${undefinedBecause ?? 'unknown'}`;
  // A comma is not legal, and a space in its place would be read as the end of the number.
  const plain = (text: string) => text.replaceAll(',', '');
  if (interval === null) return plain(formatNumber(value));
  const { low, estimate, high } = formatInterval({ ...interval, estimate: value });
  return `${plain(estimate)} from ${plain(low)} to ${plain(high)}`;
}

/**
 * The notification of a verdict.
 *
 * @param was `ModelApprovalStatus` of the package when the verdict was reached; `deleted` where it had gone
 */
export function verdictMessage(
  result: EvaluationResult,
  verdict: Verdict,
  { config, was }: { config: ModelConfig; was: string | undefined },
): Message {
  const state = stateOf(result, was);
  const status = result.approval === 'unchanged' ? (was ?? 'unknown') : result.approval;
  return compose({
    ...addressOf(result.model, `${state} (${result.outcome})`),
    kind: 'verdict',
    outcome: result.outcome,
    headline: `Model ${result.model}: a package is ${state} (${result.outcome}).`,
    ...reasonParts(result, verdict),
    facts: [
      ['Package', result.package],
      ['Approval', `${status}${result.approval === 'unchanged' ? ', unchanged' : ''}`],
      ['Evidence', result.evidence],
    ],
    next: nextStep(result, verdict, { config, was }),
  });
}

/** The notification that there is no verdict on a package, which is not approved then, whatever the reason. */
export function refusalMessage(model: string, packageArn: string, error: GateError): Message {
  const mistake = error instanceof GateInputError;
  const help =
    error.help ??
    (mistake
      ? 'Correct what the message says.'
      : 'Look at what the message names. This says nothing about the model.');
  return compose({
    ...addressOf(model, 'not evaluated'),
    kind: 'no-verdict',
    outcome: 'error',
    headline: `Model ${model}: ${mistake ? 'a package could not be evaluated' : 'the evaluation of a package broke off'}, so it is not approved.`,
    reason: clip(error.message, 20 * SENTENCE),
    facts: [['Package', packageArn]],
    next: `${clip(help, SENTENCE)} Then start the evaluation again: ${command(packageArn)}`,
    trouble: { mistake },
  });
}

/**
 * The notification that somebody approved a package whose verdict is no pass. Nothing is changed: people decide, and
 * others should know.
 */
export function overruledMessage(
  model: string,
  packageArn: string,
  { outcome, evidence }: { outcome: EvaluationResult['outcome']; evidence: string },
): Message {
  return compose({
    ...addressOf(model, `overruled (${outcome})`),
    kind: 'notice',
    outcome,
    headline: `Model ${model}: a package was approved by hand although its verdict is ${outcome}.`,
    facts: [
      ['Package', packageArn],
      ['Evidence', evidence],
    ],
    next: 'if that was meant, write down why, and change the threshold that stood in its way. If not, reject the package before it is deployed.',
  });
}

/** What became of the package, as a word or two. */
function stateOf({ approval }: EvaluationResult, was: string | undefined): string {
  if (approval !== 'unchanged') return approval.toLowerCase();
  return isPending(was) ? 'pending' : 'reported';
}

function nextStep(
  result: EvaluationResult,
  verdict: Verdict,
  { config, was }: { config: ModelConfig; was: string | undefined },
): string {
  const { outcome, approval } = result;
  if (approval === 'Approved') return 'nothing; it may be deployed.';
  if (was === 'deleted') return 'nothing; the package was deleted while it was evaluated.';
  const help = verdict.findings.find((finding) => finding.outcome === outcome)?.help;
  const hint = help === undefined || outcome === 'pass' ? '' : `${clip(help, SENTENCE)} `;
  if (approval === 'Rejected') {
    return `${hint}The package cannot be deployed. Correct the training, and register its model again; after a change of the threshold deploy, and start the evaluation again: ${command(result.package)}`;
  }
  if (!isPending(was)) {
    return outcome === 'pass'
      ? 'nothing; the approval is as somebody set it.'
      : `${hint}The approval is as somebody set it (${was ?? 'unknown'}). If the package must not be deployed, reject it by hand.`;
  }
  if (outcome === 'inconclusive') {
    return `${hint}The package stays pending, and is not deployed unless somebody approves it by hand.`;
  }
  const recommended = outcome === 'pass' ? 'approve it by hand' : 'reject it by hand';
  return config.approve === 'recommend'
    ? `${hint}Verdicts on this model only recommend (approve: recommend): ${recommended}.`
    : `${hint}The package changed during the evaluation and was left alone: look at it, and ${recommended}.`;
}

function isPending(was: string | undefined): boolean {
  return was === undefined || was === 'PendingManualApproval';
}

function command(packageArn: string): string {
  return `tocsin evaluate --package ${packageArn}`;
}

/** SNS takes at most 100 printable ASCII characters on one line; a model's name has at most 60 of them. */
function addressOf(model: string, state: string) {
  return {
    subject: `Tocsin: model ${model} ${state}`,
    gate: 'holdout-evaluation',
    about: model,
    of: { model },
  } as const;
}

/** One line without control characters, unpaired surrogates and runs of spaces. */
function printable(line: string): string {
  return line.replace(/[\p{C}\p{Z}]+/gu, ' ');
}

/** At most `length` UTF-16 units, none of which is half a character. */
function cut(line: string, length: number): string {
  if (line.length <= length) return line;
  return `${line.slice(0, length - 1).replace(/[\uD800-\uDBFF]$/, '')}…`;
}

/** Letters, digits, single spaces and `_.:/=+-@`, at least one: what the metadata of a package may have. */
function legal(line: string, length: number): string {
  const clean = line.replace(/[^A-Za-z0-9_.:/=+\-@]+/g, ' ').trim();
  return clean.slice(0, length).trim() || '-';
}
