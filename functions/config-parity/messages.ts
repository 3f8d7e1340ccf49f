import type { GateError } from '../shared/errors.ts';
import { clip } from '../shared/format.ts';
import { type Message, SENTENCE, worstMessages } from '../shared/message.ts';
import { noVerdictMessage, runMessage } from '../shared/run-message.ts';
import type { Verdict } from '../shared/verdict.ts';
import { undocumentedOf } from './documented.ts';
import type { Evaluation } from './evaluate.ts';
import type { Parity, ParityResult } from './schema.ts';

/*
 * What people and other programs are told of a comparison. Pure, and bounded.
 */

/**
 * What a comparison answers.
 *
 * @param evidence where the verdict is, `s3://...`
 */
export function parityResultOf(verdict: Verdict, evaluation: Evaluation, evidence: string): ParityResult {
  const undocumented = undocumentedOf(evaluation).length;
  return {
    parity: verdict.subject,
    outcome: verdict.outcome,
    reason: clip(verdict.reason, SENTENCE),
    verdict: verdict.id,
    evidence,
    differences: {
      undocumented,
      documented: evaluation.comparison.differences.length - undocumented,
    },
    findings: worstMessages(verdict),
  };
}

/** The notification of a verdict. */
export function parityMessage(result: ParityResult, verdict: Verdict): Message {
  return runMessage({ ...runnerOf(result.parity), of: 'staging and production' }, result, verdict, {
    pass: 'nothing; what passes in staging says something of production.',
    fail: 'Until it passes, what passes in staging says nothing of production.',
    inconclusive: 'Whether staging is as production is not known.',
  });
}

/** The notification that a run has no verdict. */
export function parityRefusalMessage({ name }: Pick<Parity, 'name'>, error: GateError): Message {
  return noVerdictMessage({ ...runnerOf(name), question: 'staging is as production' }, error);
}

function runnerOf(name: string) {
  return {
    gate: 'config-parity',
    about: name,
    kind: 'parity',
    name,
    title: 'config parity',
    command: `tocsin parity ${name}`,
  } as const;
}
