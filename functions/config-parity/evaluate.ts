import { GateInputError } from '../shared/errors.ts';
import { compare } from './compare.ts';
import type { Comparison, DocumentedUse, ProbeOutcome } from './comparison.ts';
import { usesOf } from './documented.ts';
import { matchedBy, unsurePaths } from './pairing.ts';
import type { Path } from './path.ts';
import { judgeProbes } from './probes.ts';
import { accountOf, type Parity, type Side } from './schema.ts';
import type { Snapshot } from './snapshot.ts';

/*
 * Everything that two snapshots show, before it is judged. Pure.
 */

/** What two snapshots show: plain JSON. */
export interface Evaluation {
  comparison: Comparison;
  /** What became of each documented difference, in the order of parity.yaml. */
  uses: DocumentedUse[];
  /** In the order of tocsin.yaml. */
  probes: ProbeOutcome[];
  /** The day on which documented differences had to hold, in UTC: `2026-11-22`. */
  asOf: string;
}

/**
 * Compares two snapshots, and looks up what is documented of their differences.
 *
 * @param asOf the day, in UTC: `2026-11-22`
 * @throws GateInputError where the snapshots are not of the two environments of this comparison
 */
export function evaluate(staging: Snapshot, production: Snapshot, parity: Parity, asOf: string): Evaluation {
  checkOrigin(staging, 'staging', parity);
  checkOrigin(production, 'production', parity);
  const snapshots = { staging, production };
  const pairing = matchedBy(snapshots, parity.value);
  const comparison = compare(staging, production, parity.value, pairing);
  const probes = judgeProbes(staging, production, parity.value);
  const unreadable: Path[] = [
    ...unsurePaths(snapshots, pairing),
    ...[...comparison.ambiguous, ...comparison.missing].map(({ path }) => path),
  ];
  return { comparison, uses: usesOf(comparison, parity, { probes, unreadable, asOf }), probes, asOf };
}

function checkOrigin(snapshot: Snapshot, side: Side, { name, value }: Parity): void {
  const anew = `Take it anew: tocsin parity snapshot ${name} --of ${side}.`;
  if (snapshot.parity !== name) {
    throw new GateInputError(
      `the snapshot of ${snapshot.side} is of the comparison ${snapshot.parity}, not of ${name}`,
      { help: anew },
    );
  }
  if (snapshot.side !== side) {
    throw new GateInputError(`expected a snapshot of ${side}, got one of ${snapshot.side}`, {
      help: 'Give that of staging first, and that of production second.',
    });
  }
  for (const [what, expected, found] of [
    ['account', accountOf(value[side]), snapshot.account],
    ['region', value[side].region, snapshot.region],
  ]) {
    if (expected === undefined || expected === found) continue;
    throw new GateInputError(
      `the snapshot of ${side} is of the ${what} ${found}, and tocsin.yaml says ${expected}`,
      { help: anew },
    );
  }
}
