import { basename } from 'node:path';
import { measureDataset } from '../../functions/quality-gate/adapters/duckdb.ts';
import type { Inference } from '../../functions/quality-gate/contract-init.ts';
import { datasetHash } from '../../functions/quality-gate/gate.ts';
import type { LocalDataset, Measurements } from '../../functions/quality-gate/profile.ts';
import { type LocatedContract, parseContract } from '../../functions/quality-gate/schema.ts';
import { parseProfile } from '../../functions/shared/baseline.ts';
import type { EngineLimits } from '../../functions/shared/engine/limits.ts';
import { GateInputError } from '../../functions/shared/errors.ts';
import type { Profile } from '../../functions/shared/profile.ts';
import { integer } from './cli.ts';
import { readText } from './files.ts';

/** A name for a dataset, from a file's: `flights-2001-02.csv.gz` is of `flights`. */
export function datasetNameOf(path: string): string {
  const name = basename(path)
    .replace(/(\.[A-Za-z0-9]{1,8}){1,2}$/, '')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/(-\d+)+-?$/, '')
    .slice(0, 60)
    .replace(/^-|-$/g, '');
  return name === '' ? 'dataset' : name;
}

/** The contract that says nothing but types: what a profile without a contract is measured by. */
export function bareContract(dataset: string, { format, csv, columns }: Inference): LocatedContract {
  const bare = {
    contract: 1,
    dataset,
    format,
    ...(csv !== undefined && { csv }),
    columns: Object.fromEntries(
      Object.entries(columns).map(([name, { type, timeFormat }]) => [
        name,
        { type, ...(timeFormat !== undefined && { timeFormat }) },
      ]),
    ),
  };
  // JSON is YAML.
  return parseContract(JSON.stringify(bare), 'the inferred contract');
}

/**
 * Measures a dataset for its profile.
 *
 * @throws GateInputError where it cannot be read as its contract says, or a bound is hit
 */
export async function measureProfile(
  dataset: LocalDataset,
  contract: LocatedContract,
  limits: EngineLimits,
  scratch: string,
): Promise<Measurements> {
  const measurements = await measureDataset({
    dataset,
    sha256: datasetHash(dataset),
    contract,
    asOf: null,
    limits,
    scratch,
  });
  const { unreadable, inconsistentFiles } = measurements;
  if (unreadable !== undefined) {
    throw new GateInputError(
      `${unreadable.file} cannot be read as ${contract.value.format}: ${unreadable.reason}`,
    );
  }
  const [odd] = inconsistentFiles;
  if (odd !== undefined) {
    throw new GateInputError(`${odd.file} has other columns than the first file: ${odd.columns.join(', ')}`);
  }
  return measurements;
}

/** `1 malformed record (too few columns; line 3)` */
export function describeMalformed({ count, more, reasons, samples }: Measurements['malformed']): string {
  const number = `${more === true ? 'at least ' : ''}${integer(count)}`;
  const first = `${count === 1 ? '' : 'the first in '}line ${samples[0]?.row}`;
  return `${number} malformed record${count === 1 ? '' : 's'} (${reasons.join(', ')}; ${first})`;
}

/**
 * Reads a stored profile.
 *
 * @param dataset that it must be of; left out: any
 * @throws GateInputError where it is none, or damaged, or of another dataset
 */
export async function readProfile(
  file: string,
  dataset?: string,
): Promise<{ profile: Profile; text: string }> {
  const text = await readText(file, 'profile');
  return { profile: parseProfile(text, `profile ${file}`, dataset ?? datasetIn(text)), text };
}

/** Name of the dataset in the text of a profile, as it claims; empty where it is none. */
function datasetIn(text: string): string {
  try {
    const { dataset } = JSON.parse(text) as { dataset?: unknown };
    return typeof dataset === 'string' ? dataset : '';
  } catch {
    return '';
  }
}
