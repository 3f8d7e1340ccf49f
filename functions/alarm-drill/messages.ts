import type { GateError } from '../shared/errors.ts';
import { clip } from '../shared/format.ts';
import { compose, type Message, SENTENCE, worstMessages } from '../shared/message.ts';
import { addressOf, noVerdictMessage, runMessage } from '../shared/run-message.ts';
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
  const runner = runnerOf(result.drill);
  const proofOnly = verdict.notChecked.some(({ check }) => check === 'drill');
  return runMessage({ ...runner, of: `the alarm ${result.alarm}` }, result, verdict, {
    pass: proofOnly
      ? `nothing; that it fires as it is configured to, a drill shows: ${runner.command}`
      : 'nothing; whoever is to hear this alarm can rely on it.',
    fail: 'Until the drill passes, do not rely on this alarm.',
    inconclusive: 'Whether this alarm can be relied on is not known.',
  });
}

/** The notification that a run has no verdict. */
export function drillRefusalMessage(drill: string, error: GateError): Message {
  return noVerdictMessage({ ...runnerOf(drill), question: 'the alarm fires' }, error);
}

export const LEFTOVERS_HELP =
  'Remove what is named by hand, and let the role of the drill do what was refused: what is left costs little, and goes on.';

/** The notification that something could not be removed. */
export function leftoversMessage(drill: string, left: readonly string[]): Message {
  const runner = runnerOf(drill);
  return compose({
    ...addressOf(runner, 'not cleaned up'),
    kind: 'notice',
    outcome: 'error',
    headline: `Drill ${drill}: it could not remove all that drills have made. Its verdict does not depend on it.`,
    findings: [...left],
    facts: [],
    next: `${LEFTOVERS_HELP} To see that nothing is left: ${runner.command}`,
  });
}

function runnerOf(name: string) {
  return {
    gate: 'alarm-drill',
    about: name,
    kind: 'drill',
    name,
    title: 'alarm drill',
    command: `tocsin drill alarm ${name}`,
  } as const;
}
