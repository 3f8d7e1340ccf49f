import { clip, countOf, formatDuration } from '../shared/format.ts';
import { checksText, type Judgement, outcomeOf, sortFindings, worstOf } from '../shared/verdict.ts';
import { judgeAnswers, judgeFailure, judgeProcedure } from './judge-answers.ts';
import { judgeGuardrail, judgeRestored, judgeState } from './judge-state.ts';
import { CHECKS, Judging } from './judging.ts';
import type { Measurements, Timeline } from './measurements.ts';
import type { LocatedRollbackDrill } from './schema.ts';
import { tallyOf } from './timeline.ts';
import { recoveryMsOf, wayBackOf } from './way-back.ts';
import { idText, said } from './words.ts';

/*
 * What a drill amounts to. Pure: the same measurements, timeline and configuration give the same judgement, bit for bit, in
 * whatever order the slices of the timeline come.
 */

/** Characters of the reason for which production may be drilled, where it is quoted. */
const BECAUSE = 300;

/** Judges a drill: whether the failure was real, the way back, and what the endpoint was left as. */
export function decide(
  measurements: Measurements,
  timeline: Timeline,
  drill: LocatedRollbackDrill,
): Judgement {
  const judging = new Judging(measurements, wayBackOf(measurements, timeline, drill), drill);
  judgeRestored(judging);
  const brokenOff = brokenOffBy(measurements, timeline);
  if (brokenOff === null) {
    judgeFailure(judging, timeline);
    judgeProcedure(judging);
    judgeAnswers(judging);
    judgeState(judging);
    judgeGuardrail(judging);
    noteTelling(judging);
  } else {
    addNotDrilled(judging, brokenOff);
  }
  noteProduction(judging);
  noteRest(judging, brokenOff);

  const findings = sortFindings(judging.findings);
  return {
    outcome: outcomeOf(findings),
    reason: worstOf(findings) ?? passText(judging),
    findings,
    notChecked: judging.notChecked,
  };
}

/** Why a drill has not come to its end; null where it has. */
function brokenOffBy({ notDrilled, failure, original }: Measurements, { slices }: Timeline): string | null {
  if (notDrilled !== null) return notDrilled;
  const stop = slices.toSorted((a, b) => a.from - b.from).find((slice) => slice.stop !== null)?.stop;
  if (stop !== undefined && stop !== null) return stop;
  return failure === null || original === null ? 'nothing was measured' : null;
}

function addNotDrilled(judging: Judging, why: string): void {
  const { endpoint, measurements } = judging;
  const how = measurements.failure === null ? 'it was not drilled' : 'the drill was broken off';
  judging.add({
    check: 'drill',
    outcome: 'inconclusive',
    message: `Whether ${endpoint} can be rolled back is not known: ${how}, since ${said(why)}.`,
    allowed: 'a drill',
    observed: measurements.failure === null ? 'not drilled' : 'broken off',
    path: ['endpoint'],
    help: 'Mend what the reason names.',
  });
}

/** Golden requests that tell nothing. */
function noteTelling(judging: Judging): void {
  const { golden, telling } = judging.measurements;
  if (judging.drill.value.failure.breakGuardrail !== undefined) {
    judging.skip(
      'previous-model-serves',
      'which deployment answers: both are of the previous model',
      'answers',
    );
    return;
  }
  const silent = golden.requests - telling.length;
  if (silent > 0) {
    judging.skip(
      'previous-model-serves',
      `the bad model answers ${silent} of ${countOf(golden.requests, 'golden request')} as the previous one does: these tell nothing`,
      'golden requests',
    );
  }
}

/** Why production was drilled is quoted in every verdict of it. */
function noteProduction(judging: Judging): void {
  const { allowProduction } = judging.drill.value;
  if (allowProduction === undefined || judging.measurements.failure === null) return;
  judging.add({
    check: 'production',
    outcome: 'pass',
    message: `${judging.endpoint} was drilled as production, which ${judging.at(['allowProduction'])} allows: "${clip(allowProduction.because, BECAUSE)}".`,
    allowed: 'with a reason',
    observed: clip(allowProduction.because, BECAUSE),
    path: ['allowProduction'],
  });
}

/** Silence is no pass: what has no finding by now says why. */
function noteRest(judging: Judging, brokenOff: string | null): void {
  const { drill, measurements } = judging;
  const told = new Set([...judging.findings, ...judging.notChecked].map(({ check }) => check));
  for (const check of CHECKS) {
    if (told.has(check) || check === 'drill') continue;
    if (check === 'guardrail' && drill.value.failure.breakGuardrail === undefined) continue;
    const why =
      check === 'restored'
        ? 'nothing was changed'
        : brokenOff !== null
          ? measurements.failure === null
            ? 'nothing was drilled'
            : 'the drill was broken off'
          : measurements.after === null && measurements.original !== null && measurements.procedure !== null
            ? 'there is no endpoint any more'
            : 'it was not measured';
    judging.skip(check, why);
  }
}

function passText({ drill, findings, measurements, way }: Judging): string {
  const { allowProduction, failure } = drill.value;
  const took = formatDuration(recoveryMsOf(way) ?? 0);
  const requests = way?.requests ?? [];
  const { nobody } = tallyOf(requests);
  const lost = nobody === 0 ? 'none' : String(nobody);
  const warned = findings.some(({ outcome }) => outcome === 'warn') ? ` (${checksText(findings)})` : '';
  const production =
    allowProduction === undefined
      ? ''
      : ` Production was drilled: "${clip(allowProduction.because, BECAUSE)}".`;
  const model = `the previous model${idText(measurements.fingerprints, 'previous')}`;
  const what =
    failure.breakGuardrail === undefined
      ? `${took} after the procedure began ${model} answered everything again`
      : `${took} after the alarm ${failure.breakGuardrail.alarm} was set off the guardrail had rolled back, and ${model} answered everything`;
  return `Drill ${drill.name}: ${what}, ${countOf(requests.length, 'request')}, ${lost} lost${warned}.${production}`;
}
