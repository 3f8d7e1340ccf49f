import type { Json } from './json.ts';
import type { Path } from './path.ts';
import type { DifferenceKind, Severity, Side } from './schema.ts';

/*
 * What a comparison of two snapshots yields: plain JSON.
 */

/** One side of a difference. */
export interface SideValue {
  /** As it was read; absent: there is nothing. A secret is `sha256:` and 16 hexadecimal digits. */
  value?: Json;
  /** With what stands for account, region and names of the environment; absent where that is the same. */
  folded?: Json;
}

/** A difference that folding does not explain. */
export interface Difference {
  path: Path;
  /** `models.flight-delay.containers[0].environment.SCALER_VERSION` */
  text: string;
  kind: DifferenceKind;
  severity: Severity;
  staging: SideValue;
  production: SideValue;
}

/** What stood for what. */
export interface Folding {
  /** `{account}` */
  as: string;
  staging: string;
  production: string;
  /** Values that are equal only because of it, perhaps together with others. */
  values: number;
  /** At most three of them. */
  examples: { text: string; staging: Json; production: Json }[];
}

/** Several things of one environment that cannot be told apart, so that none of them could be compared. */
export interface Ambiguous {
  side: Side;
  path: Path;
  text: string;
  /** Names in that environment. */
  physical: string[];
}

/** Two snapshots, compared. */
export interface Comparison {
  comparison: 1;
  /** By path. */
  differences: Difference[];
  /** Those that made something equal. */
  foldings: Folding[];
  ambiguous: Ambiguous[];
  /** Named in tocsin.yaml, and in neither environment. */
  missing: { path: Path; text: string; staging: string; production: string }[];
  /** Resources that are in both, and values that are equal, by kind of what a difference would be. */
  resources: number;
  equal: Record<DifferenceKind, number>;
}

/** What became of a documented difference. */
export interface DocumentedUse {
  /** Its number in parity.yaml, from 0. */
  entry: number;
  /** Its pattern, who answers for it, and the last day on which it holds, `2027-01-31`. */
  path: string;
  owner: string;
  expires: string;
  /** Texts of the differences that it is about. */
  covers: string[];
  /**
   * `holds`: it is in force, and its test passes. `expired`, `failing`: the differences count as if they were not
   * documented. `stale`: there is no such difference any more. `unknown`: what it is about, or its probe, could not be read.
   */
  state: 'holds' | 'expired' | 'failing' | 'stale' | 'unknown';
  /** What the test was, and what it found, as a sentence. */
  why: string;
}

/** How a probe went. */
export interface ProbeOutcome {
  probe: string;
  outcome: 'pass' | 'fail' | 'inconclusive';
  /** Golden requests; those that both answered alike and as recorded; those that both answered at all. */
  asked: number;
  agreed: number;
  answered: number;
  why: string;
  /** At most five that disagree, by line-up with the golden file. */
  examples: { golden: number; staging: string; production: string; recorded?: string }[];
}
