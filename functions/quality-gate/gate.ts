import type { Baseline } from '../shared/baseline.ts';
import type { EngineLimits } from '../shared/engine/limits.ts';
import { sha256, verdictId } from '../shared/identity.ts';
import type { Verdict } from '../shared/verdict.ts';
import { TOCSIN_VERSION } from '../shared/version.ts';
import { measureDataset } from './adapters/duckdb.ts';
import { decide } from './decide.ts';
import type { LocalDataset, Measurements } from './profile.ts';
import type { LocatedContract } from './schema.ts';

/** What a verdict of this gate is bound to; its id is derived from these. */
export interface QualityInputs extends Record<string, unknown> {
  dataset: string;
  /** Where the dataset is: `s3://bucket/key` or a path. */
  uri: string;
  /** Of the bytes as stored; of several files, of the list of names and hashes. */
  sha256: string;
  contractSha256: string;
  /** Null: there is no baseline. */
  baselineSha256: string | null;
  /** The day freshness is measured from, `2001-02-28`; null where the contract does not ask. */
  asOf: string | null;
}

export type QualityVerdict = Verdict<QualityInputs>;

/** A dataset with everything that judging it takes. */
export interface Question {
  dataset: LocalDataset;
  uri: string;
  contract: LocatedContract;
  contractText: string;
  baseline?: Baseline | undefined;
}

/** Hash of a dataset of one or more files. */
export function datasetHash(dataset: LocalDataset): string {
  const [first, ...rest] = dataset.files;
  if (first !== undefined && rest.length === 0) return first.sha256;
  return sha256(dataset.files.map((file) => `${file.sha256}  ${file.name}\n`).join(''));
}

/** The inputs of the verdict on a question; cheap, so a verdict can be looked up before anything is measured. */
export function inputsOf({ dataset, uri, contract, contractText, baseline }: Question): QualityInputs {
  const asOf = contract.value.freshness === undefined ? null : freshnessReference(dataset, contract);
  return {
    dataset: contract.value.dataset,
    uri,
    sha256: datasetHash(dataset),
    contractSha256: sha256(contractText),
    baselineSha256: baseline?.sha256 ?? null,
    asOf: asOf === null ? null : new Date(asOf).toISOString().slice(0, 10),
  };
}

/** The id that {@link judge} will give its verdict. */
export function idOf(inputs: QualityInputs): string {
  return verdictId('quality-gate', TOCSIN_VERSION, inputs);
}

/**
 * Measures a dataset on the local disk and judges it. Touches nothing but `scratch`, which it leaves empty.
 *
 * @throws GateInputError where the dataset is beyond the limits or the contract does not fit the engine
 * @throws GateDependencyError where the engine or the disk fails
 */
export async function judge(
  question: Question,
  limits: EngineLimits,
  scratch: string,
): Promise<{ verdict: QualityVerdict; measurements: Measurements }> {
  const { dataset, contract, baseline } = question;
  const measurements = await measureDataset({
    dataset,
    sha256: datasetHash(dataset),
    contract,
    baseline: baseline?.profile,
    asOf: contract.value.freshness === undefined ? null : freshnessReference(dataset, contract),
    limits,
    scratch,
  });
  const inputs = inputsOf(question);
  return {
    verdict: {
      verdict: 1,
      id: idOf(inputs),
      gate: 'quality-gate',
      subject: contract.value.dataset,
      ...decide(measurements, contract, baseline?.profile),
      inputs,
      tocsin: TOCSIN_VERSION,
    },
    measurements,
  };
}

const DAY_MS = 86_400_000;

/**
 * What freshness is measured from: the end of the day of the upload, or the end of the period that the key names
 * (`2001-02`, `2001-02-14`, `2001/02`, `year=2001/month=02`). Whole days, so that the same bytes sent twice on
 * one day give one verdict. Null where the key names none.
 */
export function freshnessReference(dataset: LocalDataset, contract: LocatedContract): number | null {
  if (contract.value.freshness?.asOf !== 'key') {
    return Math.floor(dataset.uploadedAt / DAY_MS) * DAY_MS + DAY_MS - 1;
  }
  const pattern = /(?<!\d)(\d{4})[-/_]?(?:\/?month=)?(\d{2})(?:[-/_]?(?:\/?day=)?(\d{2}))?(?!\d)/g;
  const match = [...dataset.key.matchAll(pattern)].at(-1);
  if (match === undefined) return null;
  const [year, month, day] = match.slice(1).map((part) => (part === undefined ? undefined : Number(part)));
  if (year === undefined || month === undefined || month < 1 || month > 12) return null;
  return (day === undefined ? Date.UTC(year, month, 1) : Date.UTC(year, month - 1, day + 1)) - 1;
}
