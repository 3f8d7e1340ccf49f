import type { S3Client } from '@aws-sdk/client-s3';
import { decide } from '../../functions/config-parity/decide.ts';
import { evaluate } from '../../functions/config-parity/evaluate.ts';
import { type ParityInputs, snapshotHash } from '../../functions/config-parity/identity.ts';
import { dayOf } from '../../functions/config-parity/judging.ts';
import { type Parity, SIDES, type Side } from '../../functions/config-parity/schema.ts';
import { parseSnapshot, type Snapshot } from '../../functions/config-parity/snapshot.ts';
import { GateDependencyError, GateInputError } from '../../functions/shared/errors.ts';
import type { EvidenceStore } from '../../functions/shared/evidence.ts';
import { countOf } from '../../functions/shared/format.ts';
import type { HistoryEntry } from '../../functions/shared/history.ts';
import { canonicalJson, sha256, verdictFolder } from '../../functions/shared/identity.ts';
import type { Io } from './cli.ts';
import { compareGolden } from './ready-drills.ts';
import { addressOf, type Seen } from './ready-seen.ts';

/*
 * Gap 5 as it is now: both environments, read again as the comparison read them, but for what their endpoints answer.
 */

/** Things that are named; of more it is said how many. */
const NAMED = 5;

/** What looking at environments takes. */
export interface ParityWorld {
  s3: S3Client;
  store: EvidenceStore;
  dataBucket: string | undefined;
  /** What `cdk deploy --outputs-file` wrote. */
  outputs: string;
  /** Milliseconds since 1970. */
  now: number;
  io: Io;
}

/** Why the environments are not read. */
const QUICK = 'it was not compared with what is there now (--quick)';

/**
 * Compares both environments with those that a verdict is bound to, and what is documented of their differences with the
 * day.
 *
 * @param quick leaves out to read the environments
 */
export async function lookAtEnvironments(
  parity: Parity,
  entry: HistoryEntry,
  quick: boolean,
  world: ParityWorld,
  seen: Seen,
): Promise<void> {
  await seen.look(async () => {
    const was = {
      staging: await readBound(entry, 'staging', world.store),
      production: await readBound(entry, 'production', world.store),
    };
    judgeAgain(was, parity, world.now, seen);
    for (const [probe, { golden }] of Object.entries(parity.value.probes)) {
      const bound = was.staging.probes.find((one) => one.probe === probe)?.sha256;
      await seen.look(() => compareGolden(world.s3, addressOf(golden, world.dataBucket), bound, seen));
    }
    if (quick) {
      seen.left = QUICK;
      return;
    }
    // Somebody who must not read an environment cannot say what it is now, whoever's mistake that is.
    const { readLive } = await import('./parity-live.ts');
    const unasked = { ...parity, value: { ...parity.value, probes: {} } };
    const is = await readLive(unasked, SIDES, world, world.io);
    for (const side of SIDES) compareSide(was[side], is[side], seen);
  });
}

/**
 * The snapshot that a verdict is bound to.
 *
 * @throws GateInputError where it is not that
 */
async function readBound(
  { gate, subject, verdict, inputs }: HistoryEntry,
  side: Side,
  store: EvidenceStore,
): Promise<Snapshot> {
  const key = `${verdictFolder(gate, subject, verdict)}${side}.json`;
  const stored = await store.read(key);
  if (stored === undefined) throw new GateDependencyError(`there is no ${store.uri(key)}`);
  const snapshot = parseSnapshot(stored.text, store.uri(key));
  if (snapshotHash(snapshot) !== (inputs as Partial<ParityInputs>)[side]?.sha256) {
    throw new GateInputError(`${store.uri(key)} is not what was compared: somebody has changed it`);
  }
  return snapshot;
}

/** Documented differences expire: what passed on its day may not pass today. */
function judgeAgain(
  { staging, production }: Record<Side, Snapshot>,
  parity: Parity,
  now: number,
  seen: Seen,
): void {
  const today = dayOf(now);
  const { outcome, reason } = decide(
    staging,
    production,
    evaluate(staging, production, parity, today),
    parity,
  );
  seen.compare(
    `the judgement on the same environments, on ${today},`,
    'pass',
    outcome === 'pass' ? outcome : `${outcome}: ${reason.replace(/\.$/, '')}`,
  );
}

function compareSide(was: Snapshot, is: Snapshot, seen: Seen): void {
  const { side } = was;
  seen.compare(`the account of ${side}`, was.account, is.account);
  seen.compare(`the region of ${side}`, was.region, is.region);
  const unread = is.unreadable.filter(
    (one) => !was.unreadable.some((other) => canonicalJson(other) === canonicalJson(one)),
  );
  const [first] = unread;
  if (first !== undefined) {
    const more = unread.length > 1 ? `, and ${countOf(unread.length - 1, 'more thing')}` : '';
    seen.unknown(`in ${side} ${first.action} failed of ${first.physical} (${first.why})${more}`);
  }
  for (const { physical, status } of is.unsettled) seen.unknown(`in ${side} ${physical} is ${status}`);
  const before = hashesOf(was);
  const after = hashesOf(is);
  // What could not be read is no change; nor is what is found by way of it, such as the models of an endpoint.
  const changed = [...new Set([...before.keys(), ...after.keys()])].filter((name) => {
    const isHidden = unread.length > 0 && !after.has(name);
    return before.get(name) !== after.get(name) && !isHidden;
  });
  for (const name of changed.slice(0, NAMED)) {
    seen.compareHash(`${name} of ${side}`, before.get(name), after.get(name));
  }
  const more = changed.length - NAMED;
  if (more > 0) seen.compare(`${countOf(more, 'more thing')} of ${side}`, 'as compared', 'others');
}

/** Hashes of what is compared, by kind and name. */
function hashesOf({ resources }: Snapshot): Map<string, string> {
  return new Map(
    resources.map(({ kind, physical, value }) => [
      `${kind} ${physical}`,
      value === null ? 'not there' : sha256(canonicalJson(value)),
    ]),
  );
}
