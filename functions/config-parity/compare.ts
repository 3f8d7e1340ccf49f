import type { Comparison } from './comparison.ts';
import type { ParityConfig } from './schema.ts';
import type { Snapshot } from './snapshot.ts';

/** Compares two environments. */
export function compare(_staging: Snapshot, _production: Snapshot, _parity: ParityConfig): Comparison {
  return {
    comparison: 1,
    differences: [],
    foldings: [],
    ambiguous: [],
    missing: [],
    resources: 0,
    equal: { schema: 0, inference: 0, environment: 0, safety: 0, capacity: 0, cosmetic: 0 },
  };
}
