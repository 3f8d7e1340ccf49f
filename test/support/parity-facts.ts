import { stringify } from 'yaml';
import type * as z from 'zod';
import type { Comparison, Difference, ProbeOutcome } from '../../functions/config-parity/comparison.ts';
import { usesOf } from '../../functions/config-parity/documented.ts';
import type { Evaluation } from '../../functions/config-parity/evaluate.ts';
import type { Json } from '../../functions/config-parity/json.ts';
import { formatPath, type Path } from '../../functions/config-parity/path.ts';
import {
  type DifferenceKind,
  type Parity,
  type paritySchema,
  parseParities,
  SEVERITY,
  type Side,
} from '../../functions/config-parity/schema.ts';
import type { ProbeAnswers, Snapshot } from '../../functions/config-parity/snapshot.ts';

/*
 * Two environments that are equal, and everything that is known of them. Tests change what they are about.
 */

export const TODAY = '2026-11-22';

/** Noon of that day, milliseconds since 1970. */
export const NOON = Date.UTC(2026, 10, 22, 12);

export const DAY_MS = 86_400_000;

export type ParityInput = z.input<typeof paritySchema>;

/** A documented difference as a person has filled it in. */
export function entryOf(change: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    path: formatPath(SCALER),
    reason: 'the new scaler is tried',
    owner: 'ml-platform',
    expires: '2027-01-31',
    test: { relation: 'production != staging' },
    ...change,
  };
}

/** A comparison as tocsin.yaml and parity.yaml have it, with its lines. */
export function parityOf(
  config: Partial<ParityInput> = {},
  entries: readonly Record<string, unknown>[] = [],
  name = 'flight-delay',
): Parity {
  const parity: ParityInput = { compare: { endpoints: ['flight-delay-{environment}'] }, ...config };
  return parseParities({
    file: 'tocsin.yaml',
    text: stringify({ parity: { [name]: parity } }),
    ...(entries.length > 0 && {
      documented: { file: 'parity.yaml', text: stringify({ parity: 1, differences: { [name]: entries } }) },
    }),
  }).get(name)!;
}

/** A probe of the endpoint flight-delay. */
export const PROBES: Partial<ParityInput> = {
  probes: { delay: { endpoint: 'flight-delay', golden: 's3://release/golden.jsonl' } },
};

/** An environment with nothing in it. */
export function snapshotOf(side: Side, change: Partial<Snapshot> = {}): Snapshot {
  return {
    snapshot: 1,
    parity: 'flight-delay',
    side,
    account: side === 'staging' ? '111122223333' : '444455556666',
    region: 'eu-west-1',
    takenAt: NOON,
    tocsin: '1.0.0',
    resources: [],
    unreadable: [],
    unsettled: [],
    probes: [],
    notRead: [],
    ...change,
  };
}

/** What an endpoint answers: predictions, or classes of errors as `{ error }`. */
export function answersOf(
  answers: readonly (number | string | { error: string })[],
  recorded: readonly (number | null)[] = answers.map(() => null),
  change: Partial<ProbeAnswers> = {},
): ProbeAnswers {
  return {
    probe: 'delay',
    uri: 's3://release/golden.jsonl',
    version: 'v1',
    sha256: 'd'.repeat(64),
    answers: answers.map((answer) => (typeof answer === 'object' ? answer : { prediction: answer })),
    recorded: recorded.map((prediction) => (prediction === null ? null : { prediction })),
    ...change,
  };
}

export const SCALER: Path = ['models', 'flight-delay', 'containers', '[0]', 'environment', 'SCALER_VERSION'];

/** Of {@link differenceOf}: there is nothing. */
export const ABSENT = Symbol('absent');

/** A difference of two values. */
export function differenceOf(
  path: Path = SCALER,
  staging: Json | typeof ABSENT = '1',
  production: Json | typeof ABSENT = '2',
  kind: DifferenceKind = 'environment',
): Difference {
  const side = (value: Json | typeof ABSENT) => (value === ABSENT ? {} : { value });
  return {
    path,
    text: formatPath(path),
    kind,
    severity: SEVERITY[kind],
    staging: side(staging),
    production: side(production),
  };
}

/** What two equal environments compare to, but for some differences. */
export function comparisonOf(
  differences: readonly Difference[] = [],
  change: Partial<Comparison> = {},
): Comparison {
  return {
    comparison: 1,
    differences: [...differences],
    foldings: [],
    ambiguous: [],
    missing: [],
    resources: 3,
    equal: { schema: 4, inference: 3, environment: 12, safety: 5, capacity: 6, cosmetic: 1 },
    ...change,
  };
}

/** How a probe went that went well. */
export function outcomeOf(change: Partial<ProbeOutcome> = {}): ProbeOutcome {
  return {
    probe: 'delay',
    outcome: 'pass',
    asked: 10,
    agreed: 10,
    answered: 10,
    why: '10 golden requests are answered alike, and as it is recorded',
    examples: [],
    ...change,
  };
}

/** Everything that two environments show, whatever is documented of it. */
export function evaluationOf(
  parity: Parity,
  comparison: Comparison = comparisonOf(),
  { probes = [], unreadable = [] }: { probes?: ProbeOutcome[]; unreadable?: Path[] } = {},
): Evaluation {
  return {
    comparison,
    uses: usesOf(comparison, parity, { probes, unreadable, asOf: TODAY }),
    probes,
    asOf: TODAY,
  };
}
