import { countOf, formatNumber, listOf } from '../shared/format.ts';
import { checksText, type Judgement, outcomeOf, sortFindings, worstOf } from '../shared/verdict.ts';
import { undocumentedOf } from './documented.ts';
import type { Evaluation } from './evaluate.ts';
import { judgeBehaviour } from './judge-behaviour.ts';
import { judgeDocumented, judgeUndocumented } from './judge-differences.ts';
import { judgeAge, judgePairing, judgeUnreadable, judgeUnsettled } from './judge-reading.ts';
import { Judging } from './judging.ts';
import { DIFFERENCE_KINDS, type Parity, SIDES } from './schema.ts';
import type { Snapshot } from './snapshot.ts';

/*
 * What a comparison amounts to. Pure: the same snapshots, evaluation and configuration give the same judgement, bit for bit.
 */

/** Judges what two snapshots show. What the endpoints answer comes first: it is what everything else is for. */
export function decide(
  staging: Snapshot,
  production: Snapshot,
  evaluation: Evaluation,
  parity: Parity,
): Judgement {
  const judging = new Judging({ staging, production }, evaluation, parity);
  judgeBehaviour(judging);
  judgeUndocumented(judging);
  judgeDocumented(judging);
  judgeUnreadable(judging);
  judgeUnsettled(judging);
  judgePairing(judging);
  judgeAge(judging);
  noteEqual(judging);
  noteFoldings(judging);
  noteNotRead(judging);

  const findings = sortFindings(judging.findings);
  return {
    outcome: outcomeOf(findings),
    reason: worstOf(findings) ?? passText(judging),
    findings,
    notChecked: judging.notChecked,
  };
}

/** How much of each kind is equal. A comparison of nothing is none. */
function noteEqual(judging: Judging): void {
  const { comparison } = judging.evaluation;
  if (comparison.resources === 0) {
    judging.add({
      check: 'compared',
      subject: judging.parity.name,
      outcome: 'inconclusive',
      message: 'Nothing was compared: there is nothing that both environments have.',
      allowed: 'something to compare',
      observed: 'nothing',
      path: ['compare'],
      help: 'Correct what compare selects in tocsin.yaml.',
    });
  }
  for (const kind of DIFFERENCE_KINDS) {
    const count = comparison.equal[kind];
    if (count === 0) {
      judging.skip(kind, 'equal', 'no value of this kind is equal in both environments');
      continue;
    }
    judging.add({
      check: 'equal',
      subject: kind,
      outcome: 'pass',
      message: `${countOf(count, 'value')} of the kind ${kind} ${count === 1 ? 'is' : 'are'} equal.`,
      allowed: 'equal, or documented',
      observed: `${formatNumber(count)} equal`,
      value: count,
      path: ['compare'],
    });
  }
}

/** What was taken for equal though it is not the same text: whoever reads this has to agree. */
function noteFoldings(judging: Judging): void {
  for (const { as, staging, production, values, examples } of judging.evaluation.comparison.foldings) {
    const such = examples.length === 0 ? '' : `, such as ${listOf(examples.map(({ text }) => text))}`;
    judging.add({
      check: 'folded',
      subject: as,
      outcome: 'pass',
      message: `${staging} in staging may stand for ${production} in production: ${countOf(values, 'value')} ${values === 1 ? 'is' : 'are'} equal only by that${such}.`,
      allowed: 'may stand for each other',
      observed: `${formatNumber(values)} equal`,
      value: values,
      path: ['substitutions'],
    });
  }
}

function noteNotRead(judging: Judging): void {
  const sides = new Map<string, { subject: string; why: string; of: string[] }>();
  for (const side of SIDES) {
    for (const { subject, why } of judging.snapshots[side].notRead) {
      const key = JSON.stringify([subject, why]);
      const known = sides.get(key);
      if (known === undefined) sides.set(key, { subject, why, of: [side] });
      else known.of.push(side);
    }
  }
  for (const { subject, why, of } of sides.values()) {
    judging.skip(subject, 'compared', `${why} (${listOf([...new Set(of)])})`);
  }
}

function passText({ evaluation, findings, parity }: Judging): string {
  const { comparison, probes } = evaluation;
  const undocumented = undocumentedOf(evaluation).length;
  const documented = comparison.differences.length - undocumented;
  const equal = DIFFERENCE_KINDS.reduce((sum, kind) => sum + comparison.equal[kind], 0);
  const asked = probes.reduce((sum, probe) => sum + probe.asked, 0);
  const parts = [
    `${countOf(equal, 'value')} of ${countOf(comparison.resources, 'resource')} are equal`,
    `${documented === 0 ? 'none' : formatNumber(documented)} ${documented === 1 ? 'differs' : 'differ'} as documented`,
    ...(undocumented > 0
      ? [`${formatNumber(undocumented)} ${undocumented === 1 ? 'differs' : 'differ'} without stopping it`]
      : []),
    asked > 0 ? `${countOf(asked, 'golden request')} answered alike` : 'nobody asked the endpoints',
  ];
  const warned = findings.some(({ outcome }) => outcome === 'warn') ? ` (${checksText(findings)})` : '';
  return `Comparison ${parity.name}: ${parts.join(', ')}${warned}.`;
}
