import type { GateError } from '../shared/errors.ts';
import { clip } from '../shared/format.ts';
import { compose, type Message, SENTENCE, worstMessages } from '../shared/message.ts';
import { addressOf, noVerdictMessage, runMessage } from '../shared/run-message.ts';
import type { Verdict } from '../shared/verdict.ts';
import type { Measurements, Restoration, Timeline } from './measurements.ts';
import type { DrillResult, LocatedRollbackDrill } from './schema.ts';
import { recoveryMsOf, wayBackOf } from './way-back.ts';
import { isRestored, RUNBOOK, said, servesText, several } from './words.ts';

/*
 * What people and other programs are told of a drill. Pure, and bounded.
 */

/** What a verdict was judged from. */
export interface Judged {
  measurements: Measurements;
  timeline: Timeline;
  drill: LocatedRollbackDrill;
}

/**
 * What a drill answers.
 *
 * @param evidence where the verdict is, `s3://...`
 */
export function drillResultOf(
  verdict: Verdict,
  { measurements, timeline, drill }: Judged,
  evidence: string,
): DrillResult {
  return {
    drill: drill.name,
    endpoint: drill.value.endpoint,
    outcome: verdict.outcome,
    reason: clip(verdict.reason, SENTENCE),
    verdict: verdict.id,
    evidence,
    recoveryMs: recoveryMsOf(wayBackOf(measurements, timeline, drill)),
    restored: isRestored(measurements),
    findings: worstMessages(verdict),
  };
}

/** The notification of a verdict. Where the endpoint is not as it was found, the first line says so, and what serves. */
export function drillMessage(result: DrillResult, verdict: Verdict, measurements: Measurements): Message {
  const { drill, endpoint, restored } = result;
  const runner = { ...runnerOf(drill), of: `the endpoint ${endpoint}` };
  const then = {
    pass: 'nothing; in an incident this rollback can be relied on.',
    fail:
      measurements.procedure?.kind === 'builtin'
        ? 'Until the drill passes, do not rely on this rollback.'
        : 'Until the drill passes, do not rely on this rollback: in an incident, tocsin rollback ENDPOINT says where one can go back to.',
    inconclusive: 'Whether this rollback can be relied on is not known.',
  };
  if (restored) return runMessage(runner, result, verdict, then);
  return runMessage(runner, result, verdict, then, notAsFound(endpoint, measurements));
}

/** The notification that a run has no verdict. */
export function drillRefusalMessage(drill: string, error: GateError): Message {
  return noVerdictMessage({ ...runnerOf(drill), question: 'its endpoint can be rolled back' }, error);
}

/**
 * The notification that a run had died, or could not restore its endpoint, and left it drilled: it was, or could not be,
 * restored.
 *
 * @param failed why restoring it has failed before; null where nobody had tried, since the run died
 */
export function restoredMessage(
  endpoint: string,
  drill: string,
  restoration: Restoration,
  failed: string | null,
): Message {
  const runner = runnerOf(drill);
  const { outcome, actions, why, answers } = restoration;
  const isFine = isRestored({ failure: null, restoration });
  const left =
    failed === null
      ? `A run of the drill ${drill} died, and left the endpoint ${endpoint} drilled.`
      : `The endpoint ${endpoint} could not be restored after a run of the drill ${drill}: ${said(failed)}.`;
  const notice = { kind: 'notice', outcome: 'error', facts: [] } as const;
  if (!isFine) {
    const because = why === null ? '' : `: ${said(why)}`;
    return compose({
      ...notice,
      ...addressOf(runner, 'not restored'),
      first: notAsFound(endpoint, {
        original: null,
        failure: null,
        after: null,
        restoration,
        fingerprints: [],
      }),
      headline: `${left} It ${failed === null ? 'could not be restored' : 'still cannot be'}${because}.`,
      next: `${runner.command} --restore tries again. By hand: ${RUNBOOK}, "Not as it was found".`,
    });
  }
  const done =
    outcome === 'unneeded' || actions.length === 0
      ? 'Nothing had to be done.'
      : `What was done: ${several(actions.map(said))}.`;
  const unasked = 'Nobody could ask whether the previous model answers: ask it yourself.';
  return compose({
    ...notice,
    ...addressOf(runner, 'restored'),
    headline: `${left} It is as it was found again.`,
    reason: answers === null ? `${done}\n${unasked}` : done,
    next:
      failed === null
        ? `nothing has to be restored. That run has no verdict; run it again: ${runner.command}`
        : 'nothing; nothing has to be restored any more.',
  });
}

function notAsFound(endpoint: string, measured: Parameters<typeof servesText>[0]): string {
  return clip(`NOT AS IT WAS FOUND: ${endpoint}: ${servesText(measured)}.`, SENTENCE);
}

function runnerOf(name: string) {
  return {
    gate: 'rollback-drill',
    about: name,
    kind: 'drill',
    name,
    title: 'rollback drill',
    command: `tocsin drill rollback ${name}`,
  } as const;
}
