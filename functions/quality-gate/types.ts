import type { ColumnType } from '../shared/profile.ts';

const NUMBERS = /^(U?(TINYINT|SMALLINT|INTEGER|BIGINT|HUGEINT)|FLOAT|DOUBLE|DECIMAL.*)$/;
const TIMES = /^(DATE|TIMESTAMP.*)$/;

/**
 * Physical types of Parquet, by DuckDB's names, that can hold a logical type. Each value must still convert:
 * pandas stores integers with nulls as DOUBLE, which is fine as long as no value has a fraction.
 */
const FITTING: Record<ColumnType, RegExp> = {
  integer: NUMBERS,
  number: NUMBERS,
  string: /^(VARCHAR|UUID|ENUM.*)$/,
  boolean: /^BOOLEAN$/,
  timestamp: TIMES,
  date: TIMES,
};

/** Whether a Parquet file may store a column of this logical type so. */
export function physicalFits(type: ColumnType, physical: string): boolean {
  return FITTING[type].test(physical);
}
