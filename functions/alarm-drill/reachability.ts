import { GateInputError } from '../shared/errors.ts';
import { listOf } from '../shared/format.ts';
import type { Finding, NotChecked } from '../shared/verdict.ts';
import { type Alarm, type MetricAlarm, readsMetric, type StatisticQuery } from './alarm.ts';
import { drivenQuery } from './driving.ts';
import { UnsupportedExpressionError } from './expression.ts';
import type { Facts } from './measurements.ts';
import { proveActions, proveGuardrail } from './reach-actions.ts';
import { proveMetrics } from './reach-metric.ts';
import { Proof } from './reach-proof.ts';
import { asIntended, proveRange, proveSamples, proveThreshold } from './reach-threshold.ts';
import { proveTiming, type Timing } from './reach-timing.ts';
import type { LocatedDrill } from './schema.ts';

/**
 * Whether an alarm, as it is configured now, would ever fire as intended and be heard: the proof that needs no drill.
 *
 * Each mistake has one finding, as all else is judged as if that had been right: time and range by the intended
 * threshold and statistic, data only of the intended metric. What holds has a finding too.
 *
 * @returns findings in the order of their checks: exists, threshold, metric, range, time, actions, guardrail, what could
 *   not be read
 */
export function proveReachable(
  facts: Facts,
  drill: LocatedDrill,
): { findings: Finding[]; notChecked: NotChecked[] } {
  const proof = new Proof(facts, drill);
  const { alarm } = facts;
  if (alarm?.kind === 'metric') proveAlarm(proof, alarm);
  else noMetricAlarm(proof, alarm);
  for (const { what, why } of facts.unread) {
    proof.add({
      check: 'unread',
      subject: what,
      outcome: 'inconclusive',
      message: `It is not known whether alarm ${drill.value.alarm} works, as ${what} could not be read: ${why.replace(/\.$/, '')}.`,
      allowed: 'everything can be read',
      observed: why,
      help: 'Let the role of the drill read it, and run the drill again.',
    });
  }
  return { findings: proof.findings, notChecked: proof.notChecked };
}

function proveAlarm(proof: Proof, alarm: MetricAlarm): void {
  proof.add({
    check: 'alarm',
    subject: `alarm ${alarm.name}`,
    outcome: 'pass',
    message: `Alarm ${alarm.name} exists and has a static threshold (${proof.at(['alarm'])}).`,
    allowed: 'a metric alarm',
    observed: 'a metric alarm',
    path: ['alarm'],
  });
  proveThreshold(proof, alarm);
  const timing = proveData(proof, alarm);
  proveActions(proof, alarm, timing);
  proveGuardrail(proof, alarm, timing);
}

/** What depends on the metric that is driven. */
function proveData(proof: Proof, alarm: MetricAlarm): Timing {
  const unknown: Timing = { delay: null, silence: null };
  const driven = drivenOf(proof, alarm);
  if (!driven) return unknown;
  proveMetrics(proof, alarm, driven);
  const inRange = proveRange(proof, alarm, driven);
  proveSamples(proof, alarm, driven);
  if (inRange) return proveTiming(proof, asIntended(proof, alarm, driven), driven);
  proof.skip(`alarm ${alarm.name}`, 'timing', 'the metric is never on both sides of the intended threshold');
  return unknown;
}

function drivenOf(proof: Proof, alarm: MetricAlarm): StatisticQuery | undefined {
  try {
    return drivenQuery(alarm, proof.drill);
  } catch (error) {
    if (!(error instanceof GateInputError)) throw error;
    const first = alarm.queries.find(readsMetric);
    // What its metrics are can be said without understanding its metric math; that time cannot be, is said there.
    if (error instanceof UnsupportedExpressionError && first) return first;
    proof.add({
      check: 'driven',
      subject: `alarm ${alarm.name}`,
      outcome: 'fail',
      message: `It is not known which metric drifts: ${error.message}.`,
      allowed: 'a metric of the alarm',
      observed: proof.drill.value.drive ?? 'none',
      path: ['drive'],
      help: `Set drive in ${proof.drill.file} to a metric that the alarm depends on.`,
    });
    return undefined;
  }
}

function noMetricAlarm(proof: Proof, alarm: Exclude<Alarm, MetricAlarm> | null): void {
  const { near } = proof.facts;
  const { alarm: name } = proof.drill.value;
  const path = ['alarm'];
  const common = { check: 'alarm', subject: `alarm ${name}`, path, allowed: 'a metric alarm' };
  const at = proof.at(path);
  if (alarm === null) {
    proof.add({
      ...common,
      outcome: 'fail',
      message: `There is no alarm ${name} (${at}), so nothing watches what it is meant to watch${near.length > 0 ? `; there is ${listOf(near)}` : ''}.`,
      observed: 'none',
      help:
        near.length > 0
          ? `Correct the name in ${proof.drill.file}, or create the alarm.`
          : 'Create the alarm.',
    });
  } else if (alarm.kind === 'composite') {
    proof.add({
      ...common,
      outcome: 'fail',
      message: `Alarm ${name} (${at}) is a composite alarm, which has no threshold of its own${near.length > 0 ? `: it is made of ${listOf(near)}` : ''}.`,
      observed: 'a composite alarm',
      help: `Drill the metric alarms below it instead; ${name} is looked at as the way to people.`,
    });
  } else {
    proof.add({
      ...common,
      outcome: 'fail',
      message: `Alarm ${name} (${at}) cannot be drilled: ${alarm.why}.`,
      observed: alarm.why,
      help: 'Drill an alarm with a static threshold on one metric or on metric math.',
    });
  }
}
