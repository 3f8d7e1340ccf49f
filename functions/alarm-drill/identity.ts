import { canonicalJson, sha256, verdictId } from '../shared/identity.ts';
import type { Verdict } from '../shared/verdict.ts';
import { TOCSIN_VERSION } from '../shared/version.ts';
import type { Alarm } from './alarm.ts';
import { decide } from './decide.ts';
import type { Measurements } from './measurements.ts';
import type { DrillConfig, LocatedDrill } from './schema.ts';

/*
 * What a verdict of this drill is bound to. Pure.
 */

/** What a verdict is bound to; its id is derived from these. */
export interface DrillInputs extends Record<string, unknown> {
  drill: string;
  /** Name of the alarm. */
  alarm: string;
  /** Null: there is no such alarm. */
  alarmArn: string | null;
  alarmSha256: string | null;
  configurationSha256: string;
  mode: DrillConfig['mode'];
  /** A drill watches the world at one time, and says nothing of another: each run has a verdict of its own. */
  run: string;
  /** Whether shadow alarms or the alarm itself were drilled, rather than the configuration judged alone. */
  drilled: boolean;
}

export type DrillVerdict = Verdict<DrillInputs>;

/** Hash of what tocsin.yaml says of a drill; comments, order and other drills do not count. */
export function configurationHash(drill: LocatedDrill): string {
  return sha256(canonicalJson(drill.value));
}

/** Hash of how an alarm is configured; the state that it is in, and when it was touched, do not count. */
export function alarmHash(alarm: Alarm): string {
  return sha256(canonicalJson({ ...alarm, state: undefined, since: undefined, updatedAt: undefined }));
}

/**
 * The judgement of a run, bound to what it is about.
 *
 * @param run names the run; the same however often it starts again
 */
export function verdictOf(measurements: Measurements, drill: LocatedDrill, run: string): DrillVerdict {
  const { facts, rounds, phases } = measurements;
  const inputs: DrillInputs = {
    drill: drill.name,
    alarm: drill.value.alarm,
    alarmArn: facts.alarm?.arn ?? null,
    alarmSha256: facts.alarm === null ? null : alarmHash(facts.alarm),
    configurationSha256: configurationHash(drill),
    mode: drill.value.mode,
    run,
    drilled: rounds.length + phases.length > 0,
  };
  return {
    verdict: 1,
    id: verdictId('alarm-drill', TOCSIN_VERSION, inputs),
    gate: 'alarm-drill',
    subject: drill.name,
    ...decide(measurements, drill),
    inputs,
    tocsin: TOCSIN_VERSION,
  };
}
