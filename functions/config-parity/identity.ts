import { canonicalJson, sha256, verdictId } from '../shared/identity.ts';
import type { Verdict } from '../shared/verdict.ts';
import { TOCSIN_VERSION } from '../shared/version.ts';
import { decide } from './decide.ts';
import type { Evaluation } from './evaluate.ts';
import { dayOf } from './judging.ts';
import type { Parity, Side } from './schema.ts';
import type { Snapshot } from './snapshot.ts';

/*
 * What a verdict of a comparison is bound to. Pure.
 */

/** An environment as it was read. */
export interface SideInputs {
  account: string;
  region: string;
  /** The day, in UTC: `2026-11-22`. */
  takenOn: string;
  /** Hash of all that was read, without the time. */
  sha256: string;
}

/** What a verdict is bound to; its id is derived from these. */
export interface ParityInputs extends Record<string, unknown>, Record<Side, SideInputs> {
  parity: string;
  configSha256: string;
  /** Null: nothing is documented. */
  documentedSha256: string | null;
  /** The day on which documented differences had to hold, in UTC. */
  asOf: string;
}

export type ParityVerdict = Verdict<ParityInputs>;

/** Hash of what a snapshot says of its environment, whenever it was taken. */
export function snapshotHash({ takenAt: _, ...snapshot }: Snapshot): string {
  return sha256(canonicalJson(snapshot));
}

/** Hashes of what tocsin.yaml and parity.yaml say of a comparison; comments, order and other comparisons do not count. */
export function sourcesOf({
  value,
  documented,
}: Parity): Pick<ParityInputs, 'configSha256' | 'documentedSha256'> {
  return {
    configSha256: sha256(canonicalJson(value)),
    documentedSha256: documented === undefined ? null : sha256(canonicalJson(documented.value)),
  };
}

/** The judgement of two snapshots, bound to what it is about. */
export function verdictOf(
  staging: Snapshot,
  production: Snapshot,
  evaluation: Evaluation,
  parity: Parity,
  { configSha256, documentedSha256 }: { configSha256: string; documentedSha256: string | null },
): ParityVerdict {
  const inputsOf = (snapshot: Snapshot): SideInputs => ({
    account: snapshot.account,
    region: snapshot.region,
    takenOn: dayOf(snapshot.takenAt),
    sha256: snapshotHash(snapshot),
  });
  const inputs: ParityInputs = {
    parity: parity.name,
    staging: inputsOf(staging),
    production: inputsOf(production),
    configSha256,
    documentedSha256,
    asOf: evaluation.asOf,
  };
  return {
    verdict: 1,
    id: verdictId('config-parity', TOCSIN_VERSION, inputs),
    gate: 'config-parity',
    subject: parity.name,
    ...decide(staging, production, evaluation, parity),
    inputs,
    tocsin: TOCSIN_VERSION,
  };
}
