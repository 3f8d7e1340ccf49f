import type { LocalFile } from '../shared/engine/limits.ts';
import type { Sample } from '../shared/verdict.ts';
import type { ColumnType } from './schema.ts';

/*
 * What measuring yields: plain JSON, no opinion. A profile is what a dataset does look like; it can become the
 * baseline of the next. Measurements are a profile and everything else that the contract asks about this batch.
 */

/**
 * Counts of a number or a time (milliseconds since 1970) over cells.
 *
 * Cell `i` counts the values in `(edges[i-1], edges[i]]`; the first is open below, the last (there is one more
 * cell than edges) open above. Zero and every frequent value is an *atom* with a count of its own that is in no
 * cell. Each atom is also an edge, so that it follows the cell that ends at it, and the order is total.
 */
export interface NumericDistribution {
  kind: 'numeric';
  /** Ascending, distinct, finite. */
  edges: number[];
  /** `edges.length + 1` counts, without the atoms. */
  cells: number[];
  /** Ascending; a subset of `edges`. */
  atoms: number[];
  /** One count for each atom. */
  atomCounts: number[];
  nulls: number;
}

/** Counts of a string or boolean over its values, most frequent first (ties by value). */
export interface CategoricalDistribution {
  kind: 'categorical';
  values: string[];
  /** One count for each value. */
  counts: number[];
  /** Rows whose value is not listed. */
  other: number;
  /** Distinct values that are not listed. */
  otherDistinct: number;
  nulls: number;
}

export type Distribution = NumericDistribution | CategoricalDistribution;

/** What one column looks like. Counts are of rows. */
export interface ColumnProfile {
  type: ColumnType;
  /** As the file stores it (`BIGINT`, `VARCHAR`); `TEXT` in CSV, JSON types joined by `|` in JSON Lines. */
  physical: string;
  pii?: true;
  /** Rows with a usable value: neither null nor invalid nor NaN nor infinite. */
  count: number;
  nulls: number;
  /** Values that do not convert to the type. */
  invalid: number;
  /** NaN and infinities (numbers). */
  nan?: number;
  /** Exact zeros (numbers). */
  zeros?: number;
  /** Empty or blank (strings). */
  empty?: number;
  /** Numbers; times in milliseconds since 1970. Absent for `pii`, as all that follows but lengths and `distinct`. */
  min?: number;
  max?: number;
  mean?: number;
  /** Standard deviation of the population; 0 for one row. */
  std?: number;
  /** Characters (strings). */
  shortest?: number;
  longest?: number;
  /** Distinct usable values; `exact: false` is an estimate within about 5 %. */
  distinct: { value: number; exact: boolean };
  /** Share of the most frequent value among usable ones; absent where it was too costly to know. */
  dominant?: { share: number; value?: string };
  distribution?: Distribution;
}

/** What a dataset does look like. Under 100 KB for 50 columns. */
export interface Profile {
  profile: 1;
  dataset: string;
  tocsin: string;
  rows: number;
  /** Of the bytes that were measured. */
  sha256: string;
  /** In the order of the file. */
  columns: Record<string, ColumnProfile>;
}

/** Rows that break one rule. */
export interface Breach {
  count: number;
  /** The first ones, at most 5. */
  samples: Sample[];
}

/** Everything that the contract asks about one column and the profile does not have. */
export interface ColumnMeasurements {
  invalid?: Breach;
  nulls?: Breach;
  empty?: Breach;
  nan?: Breach;
  zeros?: Breach;
  range?: Breach;
  values?: Breach;
  pattern?: Breach;
  length?: Breach;
  /** This batch counted over the cells of the baseline. */
  onBaseline?: Distribution;
  /** Values that the complete baseline does not have. */
  newCategories?: Breach;
}

/** What measuring a batch yields; the only input of judgement beside the contract and the baseline. */
export interface Measurements {
  /** Why the bytes could not be read as the format at all; then everything below is empty. */
  unreadable?: { file: string; reason: string };
  /** Records that the format does not allow (text formats). `samples[].row` is the line; `more`: there may be more. */
  malformed: Breach & { reasons: string[]; more?: true };
  /** Columns of the file, in its order, duplicates and all. */
  actualColumns: string[];
  /** Files whose columns differ from those of the first. */
  inconsistentFiles: { file: string; columns: string[] }[];
  profile: Profile;
  columns: Record<string, ColumnMeasurements>;
  /** Rows that repeat the key of another, beyond the first of each. */
  key?: Breach;
  /** Rows that repeat another in every column, beyond the first of each. */
  duplicateRows?: Breach;
  /** By name of the rule. `error`: the expression failed on this data. */
  rules: Record<string, Breach | { error: string }>;
  /** Of the freshness column, milliseconds since 1970. */
  times?: { oldest: number; newest: number };
  /** What freshness is measured from, milliseconds since 1970; null: the key has no date in it. */
  asOf: number | null;
}

/** A dataset on the local disk, complete. */
export interface LocalDataset {
  /** Ordered by name. */
  files: LocalFile[];
  /** Milliseconds since 1970. */
  uploadedAt: number;
  /** Object key or path, for the period that it names (`freshness.asOf: key`). */
  key: string;
}
