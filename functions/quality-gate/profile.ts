import type { LocalFile } from '../shared/engine/limits.ts';
import type { Distribution, Profile } from '../shared/profile.ts';
import type { Sample } from '../shared/verdict.ts';

/*
 * What measuring yields: plain JSON, no opinion. Measurements are a profile and everything else that the contract asks
 * about this batch.
 */

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
