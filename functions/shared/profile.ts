/*
 * What a dataset does look like: plain JSON, no opinion. A profile can become the baseline of the next.
 */

/** Logical types of a column. */
export const COLUMN_TYPES = ['integer', 'number', 'string', 'boolean', 'timestamp', 'date'] as const;
export type ColumnType = (typeof COLUMN_TYPES)[number];

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
