import { clip, countOf, formatDuration, formatNumber } from '../shared/format.ts';
import { lineAt } from '../shared/schema.ts';
import {
  checksText,
  type Finding,
  type Judgement,
  type NotChecked,
  outcomeOf,
  sortFindings,
  worstOf,
} from '../shared/verdict.ts';
import { COMPARISONS } from './alarm.ts';
import { judgeLadder } from './judge-ladder.ts';
import { judgePhases } from './judge-phases.ts';
import type { Delivery, Measurements } from './measurements.ts';
import { proveReachable } from './reachability.ts';
import type { LocatedDrill } from './schema.ts';

/*
 * What a drill amounts to. Pure: the same measurements and the same configuration give the same judgement, bit for bit,
 * in whatever order the measurements come.
 */

/** `notDrilled` of a run that was asked for the configuration alone. Any other reason leaves the verdict open. */
export const PROOF_ONLY = 'only the configuration was to be judged';

/**
 * Judges an alarm: by its configuration, by what its shadows did on the ladder, by what arrived, and by what the real one
 * did where it was drilled.
 */
export function decide(measurements: Measurements, drill: LocatedDrill): Judgement {
  const { facts, rounds, deliveries, phases, notDrilled } = measurements;
  const proof = proveReachable(facts, drill);
  const findings = [...proof.findings];
  const notChecked = [...proof.notChecked];
  const { alarm } = facts;
  const add = (judged: { findings: Finding[]; notChecked: NotChecked[] }) => {
    findings.push(...judged.findings);
    notChecked.push(...judged.notChecked);
  };

  if (alarm?.kind === 'metric') {
    if (rounds.length > 0) add(judgeLadder(rounds, alarm, drill));
    if (phases.length > 0) add(judgePhases(phases, alarm, drill));
  }
  if (notDrilled === PROOF_ONLY) {
    notChecked.push({ subject: drill.value.alarm, check: 'drill', why: notDrilled });
  } else if (notDrilled !== null || (rounds.length === 0 && phases.length === 0)) {
    findings.push(notDrilledFinding(notDrilled ?? 'nothing was measured', drill));
  } else {
    add(judgeDeliveries(deliveries, drill));
    if (rounds.length === 0) {
      const why = `mode: ${drill.value.mode} drills the alarm itself`;
      notChecked.push({ subject: drill.value.alarm, check: 'ladder', why });
    }
  }

  const sorted = sortFindings(findings);
  return {
    outcome: outcomeOf(sorted),
    reason: reasonOf(sorted, measurements, drill),
    findings: sorted,
    notChecked,
  };
}

function reasonOf(findings: Finding[], { notDrilled }: Measurements, { name, value }: LocatedDrill): string {
  const worst = worstOf(findings);
  if (worst !== undefined) return worst;
  const { comparison, threshold } = value.intended.fires;
  const checks = checksText(findings);
  const intended = `${COMPARISONS[comparison]} ${formatNumber(threshold)} within ${formatDuration(value.intended.within)}`;
  return notDrilled === null
    ? `Drill ${name}: alarm ${value.alarm} fires as intended, at ${intended} (${checks}).`
    : `Drill ${name}: alarm ${value.alarm} is configured to fire as intended, at ${intended}; it was not drilled (${checks}).`;
}

function notDrilledFinding(why: string, { value, locate }: LocatedDrill): Finding {
  return {
    check: 'drill',
    subject: value.alarm,
    outcome: 'inconclusive',
    message: `Whether ${value.alarm} fires is not known: it was not drilled, since ${clip(why.replace(/\.+$/, ''), 600)}.`,
    allowed: 'a drill',
    observed: 'not drilled',
    rule: locate(['alarm']),
    help: 'Mend what the reason names, then run the drill again.',
  };
}

/** What went down the alarm's own path, to the people behind it. */
function judgeDeliveries(
  deliveries: readonly Delivery[],
  drill: LocatedDrill,
): { findings: Finding[]; notChecked: NotChecked[] } {
  const { alarm, deliver, mode } = drill.value;
  const skipped = (why: string) => ({
    findings: [],
    notChecked: [{ subject: alarm, check: 'delivery', why }],
  });
  if (deliver === 'probe') {
    return skipped('deliver: probe sends nothing down its own path; deliver: real would');
  }
  if (deliveries.length === 0) {
    if (mode !== 'shadow') return skipped(`mode: ${mode} has the alarm itself tell its people`);
    const finding: Finding = {
      check: 'delivery',
      subject: alarm,
      outcome: 'inconclusive',
      message: `Whether anybody hears ${alarm} is not known: deliver is real (${lineAt(drill, ['deliver'])}), and no message was sent.`,
      allowed: 'a message down each path',
      observed: 'none',
      rule: drill.locate(['deliver']),
      help: 'Give the alarm an SNS topic as an action for ALARM, then run the drill again.',
    };
    return { findings: [finding], notChecked: [] };
  }
  const byTopic = deliveries.toSorted((a, b) => (a.topic < b.topic ? -1 : a.topic > b.topic ? 1 : 0));
  return { findings: byTopic.map((delivery) => deliveryFinding(delivery, drill)), notChecked: [] };
}

function deliveryFinding(delivery: Delivery, drill: LocatedDrill): Finding {
  const { topic, receipt, subscribers, failedActions } = delivery;
  const { alarm } = drill.value;
  const name = topic.split(':').at(-1);
  const finding = { check: 'delivery', subject: `topic ${name}`, rule: drill.locate(['deliver']) };
  if (receipt === null) {
    const said =
      failedActions.length === 0 ? '' : `; CloudWatch says: ${failedActions.slice(0, 3).join('; ')}`;
    return {
      ...finding,
      outcome: 'fail',
      message: `A message of ${alarm} to ${topic} did not arrive${clip(said, 600)}.`,
      allowed: 'received',
      observed: 'not received',
      help: 'Let cloudwatch.amazonaws.com publish to the topic, and use its key where it is encrypted.',
    };
  }
  if (subscribers === 0) {
    return {
      ...finding,
      outcome: 'fail',
      message: `Nobody hears ${alarm}: its message arrived at ${topic}, which has no confirmed subscriber.`,
      allowed: 'at least 1 subscriber',
      observed: '0',
      limit: 1,
      value: 0,
      help: `Subscribe those who are to hear it: aws sns subscribe --topic-arn ${topic}, and have them confirm.`,
    };
  }
  const { changedAt, notifiedAt, receivedAt } = receipt;
  return {
    ...finding,
    outcome: 'pass',
    message: `A message of ${alarm} went down its own path: ${name} had it after ${formatDuration(Math.max(0, notifiedAt - changedAt))} and passed it on ${formatDuration(Math.max(0, receivedAt - notifiedAt))} later, to ${countOf(subscribers, 'subscriber')}, too.`,
    allowed: 'received',
    observed: 'received',
    limit: 1,
    value: subscribers,
  };
}
