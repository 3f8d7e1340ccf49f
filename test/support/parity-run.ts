import { type Evaluation, evaluate } from '../../functions/config-parity/evaluate.ts';
import { type ParityVerdict, sourcesOf, verdictOf } from '../../functions/config-parity/identity.ts';
import { type Parity, parseParities, type Side } from '../../functions/config-parity/schema.ts';
import type { Snapshot } from '../../functions/config-parity/snapshot.ts';
import { takeSnapshot } from '../../functions/config-parity/snapshot-workflow.ts';
import { InProcessWorkflow } from '../../functions/shared/in-process.ts';
import type { Golden } from '../../functions/shared/prediction.ts';
import type { Estate } from './estate.ts';
import { GOLDEN } from './estate-endpoints.ts';

/*
 * A comparison of two estates, by everything that really reads, compares and judges.
 */

/** A pair of environments, and how it is compared. */
export interface Pair {
  parity: Parity;
  staging: Estate;
  production: Estate;
  /** Whether calls go through all of the SDK but the wire, retries included (default: they do not, which is faster). */
  sdk?: boolean;
}

/** The day of the comparison, in UTC. */
const AS_OF = '2026-11-22';

const NAME = 'flights';

/** A comparison of that section of tocsin.yaml. */
export function parityFrom(section: object, documented?: object): Parity {
  const yaml = { file: 'tocsin.yaml', text: JSON.stringify({ tocsin: 1, parity: { [NAME]: section } }) };
  const found = parseParities({
    ...yaml,
    documented: documented && { file: 'parity.yaml', text: JSON.stringify(documented) },
  }).get(NAME);
  if (found === undefined) throw new Error('there is no comparison');
  return found;
}

const golden: Golden = {
  uri: 's3://flights/golden.jsonl',
  version: 'v1',
  sha256: 'f00d'.repeat(16),
  requests: GOLDEN.map((body) => ({ body })),
};

/** Reads one environment. */
export async function read(pair: Pair, side: Side): Promise<Snapshot> {
  const parts = new Map<string, string>();
  const workflow = new InProcessWorkflow({ id: 'run', sleep: async () => {} });
  const clients = pair[side].clients({ sdk: pair.sdk ?? false });
  const assemble = await takeSnapshot(
    workflow,
    { parity: pair.parity, side },
    {
      clients: () => clients,
      parts: {
        put: async (key, text) => void parts.set(key, text),
        get: async (key) => parts.get(key) ?? '',
      },
      golden: async () => golden,
      now: () => Date.UTC(2026, 10, 22),
      report: async () => {},
    },
  );
  return assemble();
}

/** What came of a comparison. */
export interface Ran {
  staging: Snapshot;
  production: Snapshot;
  evaluation: Evaluation;
  verdict: ParityVerdict;
}

/** Judges two snapshots. */
export function judge(parity: Parity, staging: Snapshot, production: Snapshot): Ran {
  const evaluation = evaluate(staging, production, parity, AS_OF);
  const verdict = verdictOf(staging, production, evaluation, parity, sourcesOf(parity));
  return { staging, production, evaluation, verdict };
}

/** Reads both environments, and judges them. */
export async function run(pair: Pair): Promise<Ran> {
  const [staging, production] = [await read(pair, 'staging'), await read(pair, 'production')];
  const mistakes = [...pair.staging.mistakes, ...pair.production.mistakes];
  if (mistakes.length > 0) throw new Error(mistakes.join('; '));
  return judge(pair.parity, staging, production);
}
