import { canonicalJson, sha256, verdictId } from '../shared/identity.ts';
import type { Verdict } from '../shared/verdict.ts';
import { TOCSIN_VERSION } from '../shared/version.ts';
import { decide } from './decide.ts';
import type { Fingerprint, Measurements, Timeline } from './measurements.ts';
import type { LocatedRollbackDrill } from './schema.ts';

/*
 * What a verdict of this drill is bound to. Pure.
 */

/** What a verdict is bound to; its id is derived from these. */
export interface RollbackInputs extends Record<string, unknown> {
  drill: string;
  endpoint: string;
  /** Null of these three: the drill did not get as far. */
  endpointArn: string | null;
  /** Name and hash of the endpoint configuration from before. */
  originalConfig: string | null;
  originalConfigSha256: string | null;
  goldenSha256: string;
  goldenVersion: string;
  /** Ids of the models by part, sorted. */
  fingerprints: Record<Fingerprint['part'], string[]>;
  configurationSha256: string;
  /** A drill watches the world at one time, and says nothing of another: each run has a verdict of its own. */
  run: string;
  /** Whether anything was broken on purpose. */
  drilled: boolean;
}

export type RollbackVerdict = Verdict<RollbackInputs>;

/** Hash of what tocsin.yaml says of a drill; comments, order and other drills do not count. */
export function configurationHash({ value }: Pick<LocatedRollbackDrill, 'value'>): string {
  return sha256(canonicalJson(value));
}

/**
 * The judgement of a run, bound to what it is about.
 *
 * @param run names the run; the same however often it starts again
 */
export function verdictOf(
  measurements: Measurements,
  timeline: Timeline,
  drill: LocatedRollbackDrill,
  run: string,
): RollbackVerdict {
  const { original, golden, fingerprints, failure } = measurements;
  const idsOf = (part: Fingerprint['part']) =>
    [...new Set(fingerprints.filter((one) => one.part === part).map(({ id }) => id))].sort();
  const inputs: RollbackInputs = {
    drill: drill.name,
    endpoint: drill.value.endpoint,
    endpointArn: original?.arn ?? null,
    originalConfig: original?.state.config ?? null,
    originalConfigSha256: original?.configSha256 ?? null,
    goldenSha256: golden.sha256,
    goldenVersion: golden.version,
    fingerprints: { previous: idsOf('previous'), bad: idsOf('bad') },
    configurationSha256: configurationHash(drill),
    run,
    drilled: failure !== null,
  };
  return {
    verdict: 1,
    id: verdictId('rollback-drill', TOCSIN_VERSION, inputs),
    gate: 'rollback-drill',
    subject: drill.name,
    ...decide(measurements, timeline, drill),
    inputs,
    tocsin: TOCSIN_VERSION,
  };
}
