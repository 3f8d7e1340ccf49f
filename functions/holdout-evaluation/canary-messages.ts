import type { GateError } from '../shared/errors.ts';
import { clip } from '../shared/format.ts';
import { type Message, SENTENCE, worstMessages } from '../shared/message.ts';
import { noVerdictMessage, runMessage } from '../shared/run-message.ts';
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
  const { canary, pipeline } = result;
  return runMessage({ ...runnerOf(canary), of: `the pipeline ${pipeline}` }, result, verdict, {
    pass: 'nothing; the pipeline works from end to end.',
    fail: 'Until the canary passes, do not trust what the pipeline makes.',
    inconclusive: 'Whether the pipeline works is not known.',
  });
}

/** The notification that a run has no verdict. */
export function canaryRefusalMessage(canary: string, error: GateError): Message {
  return noVerdictMessage({ ...runnerOf(canary), question: 'the pipeline works' }, error);
}

function runnerOf(name: string) {
  return {
    gate: 'holdout-evaluation',
    about: `canary-${name}`,
    kind: 'canary',
    name,
    title: 'canary',
    command: `tocsin canary ${name}`,
  } as const;
}
