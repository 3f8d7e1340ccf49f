import { type ObjectAddress, s3Uri } from '../shared/address.ts';
import { GateInputError } from '../shared/errors.ts';
import { isEvent } from '../shared/lambda.ts';
import { didYouMean, parseValue } from '../shared/schema.ts';
import {
  type Bundle,
  type DatasetConfig,
  invocationSchema,
  type LocatedContract,
  MARKER,
  objectCreatedSchema,
  parseContract,
} from './schema.ts';

/*
 * From what invoked the function to what it is asked: which dataset, by which contract, which objects. Pure.
 */

/** What the gate is asked to judge. */
export interface GateRequest {
  /** Name of the dataset in tocsin.yaml. */
  dataset: string;
  config: DatasetConfig;
  contract: LocatedContract;
  contractText: string;
  /** The uploaded object; of a `batch: marker` dataset its marker. */
  object: ObjectAddress;
  /** Of a `batch: marker` dataset: every data object below this key is part of it. Ends in a slash. */
  folder?: string | undefined;
  /** `s3://bucket/key` of the object, or of the folder. */
  uri: string;
}

/** An object that asks nothing of the gate, and why. It stays locked, as everything that nobody judged. */
export interface Ignored {
  ignored: string;
}

/**
 * Reads an EventBridge event or a direct invocation.
 *
 * @throws GateInputError where it is malformed
 */
export function parseRequest(event: unknown): { object: ObjectAddress; dataset?: string } {
  if (isEvent(event)) {
    const { bucket, object } = parseValue(objectCreatedSchema, event, 'event').detail;
    return { object: { bucket: bucket.name, key: object.key, versionId: object['version-id'] } };
  }
  const { dataset, uri, versionId } = parseValue(invocationSchema, event, 'invocation');
  const slash = uri.indexOf('/', 's3://'.length);
  return {
    object: { bucket: uri.slice('s3://'.length, slash), key: uri.slice(slash + 1), versionId },
    dataset,
  };
}

/**
 * Finds out what is asked about an object.
 *
 * @param dataBucket the bucket of datasets that name none
 * @param dataset where the caller named it; else the one with the longest prefix that the key is under
 * @throws GateInputError where there is no such dataset, the object is not under its prefix, or its contract
 * does not hold
 */
export function resolveRequest(
  { object, dataset }: { object: ObjectAddress; dataset?: string },
  bundle: Bundle,
  dataBucket: string | undefined,
): GateRequest | Ignored {
  const name = dataset ?? datasetOf(object, bundle, dataBucket);
  const config = Object.hasOwn(bundle.datasets, name) ? bundle.datasets[name] : undefined;
  if (config === undefined) {
    const names = Object.keys(bundle.datasets);
    throw new GateInputError(
      `no dataset "${name}" in tocsin.yaml${didYouMean(name, names)}; it has: ${names.join(', ')}`,
    );
  }
  const place = { bucket: config.bucket ?? dataBucket, prefix: config.prefix };
  if (object.bucket !== place.bucket || !object.key.startsWith(place.prefix)) {
    throw new GateInputError(
      `${s3Uri(object)} is not part of dataset ${name}, which is everything under s3://${place.bucket}/${place.prefix}`,
    );
  }
  const contractText = Object.hasOwn(bundle.contracts, config.contract)
    ? bundle.contracts[config.contract]
    : undefined;
  if (contractText === undefined) {
    throw new GateInputError(
      `the deployed configuration has no contract ${config.contract}, which dataset ${name} names`,
    );
  }
  const contract = parseContract(contractText, config.contract);
  const common = { dataset: name, config, contract, contractText };

  if (contract.value.batch === 'marker') {
    // A caller may name the folder: that is what it wants to read.
    const key = object.key.endsWith('/') ? object.key + MARKER : object.key;
    const folder = key.slice(0, key.lastIndexOf('/') + 1);
    if (key === folder + MARKER && (dataset !== undefined || key === object.key)) {
      const uri = s3Uri({ bucket: object.bucket, key: folder });
      return { ...common, object: { ...object, key }, folder, uri };
    }
    const why = `a batch of dataset ${name} is judged when its ${MARKER} lands`;
    if (dataset === undefined) return { ignored: `${s3Uri(object)}: ${why}` };
    throw new GateInputError(`${s3Uri(object)}: ${why}; give the address of its folder or of its ${MARKER}`);
  }

  if (!isData(config.prefix, object.key)) {
    const why = `names that start with _ or . and keys that end in / are not data`;
    if (dataset === undefined) return { ignored: `${s3Uri(object)}: ${why}` };
    throw new GateInputError(`${s3Uri(object)}: ${why}`);
  }
  return { ...common, object, uri: s3Uri(object) };
}

/**
 * Whether a key below `prefix` holds data. Hive and Spark keep their own files, and files that are not complete
 * yet, under names that start with an underscore or a dot; consoles make folders as empty objects.
 */
export function isData(prefix: string, key: string): boolean {
  return !key.endsWith('/') && !/(^|\/)[_.]/.test(key.slice(prefix.length));
}

/** Name of the dataset with the longest prefix that a key is under. */
function datasetOf(object: ObjectAddress, bundle: Bundle, dataBucket: string | undefined): string {
  const [best] = Object.entries(bundle.datasets)
    .filter(
      ([, config]) => (config.bucket ?? dataBucket) === object.bucket && object.key.startsWith(config.prefix),
    )
    .sort(([, a], [, b]) => b.prefix.length - a.prefix.length);
  if (best === undefined) throw new GateInputError(`${s3Uri(object)} is under the prefix of no dataset`);
  return best[0];
}
