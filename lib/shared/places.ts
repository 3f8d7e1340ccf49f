import { Bucket, type IBucket } from 'aws-cdk-lib/aws-s3';
import type { Construct } from 'constructs';
import { placeOf } from '../../functions/shared/schema.ts';
import type { Dataset } from '../config.ts';
import { allowList } from './evidence-store.ts';
import type { GateFunction } from './gate-function.ts';

/** One object, or a folder, of tocsin.yaml, with the bucket that it is in. */
export interface Place {
  bucket: IBucket;
  key: string;
  /** Of the dataset that it belongs to, else of any in the same bucket, whose default it may be. */
  kmsKey: string | undefined;
}

/** Where the places of tocsin.yaml are. */
export class Places {
  readonly #scope: Construct;
  readonly #datasets: readonly Dataset[];
  readonly #buckets = new Map<string | undefined, IBucket>();

  /** @param dataBucket the one that Tocsin creates: of places that name none */
  constructor(scope: Construct, datasets: readonly Dataset[], dataBucket: IBucket | undefined) {
    this.#scope = scope;
    this.#datasets = datasets;
    if (dataBucket !== undefined) this.#buckets.set(undefined, dataBucket);
  }

  /**
   * @param uri `s3://bucket/key`, or a key
   * @throws Error where it is a key, and Tocsin creates no bucket; `loadConfig` refuses that before
   */
  at(uri: string): Place {
    const { bucket: name, key } = placeOf(uri);
    let bucket = this.#buckets.get(name);
    if (bucket === undefined) {
      if (name === undefined) throw new Error(`${uri} names no bucket, and Tocsin creates none`);
      bucket = Bucket.fromBucketName(this.#scope, `Bucket-${name}`, name);
      this.#buckets.set(name, bucket);
    }
    const members = this.#datasets.filter((one) => one.bucket === name);
    const dataset =
      members.find(({ prefix }) => key.startsWith(prefix)) ?? members.find((one) => one.kmsKey !== undefined);
    return { bucket, key, kmsKey: dataset?.kmsKey };
  }
}

/**
 * Lets a gate read objects, as far as they are not locked.
 *
 * @param options `gated`: whether they may be gated data, of which it reads one version, and the tags that tell whether it
 * is locked
 */
export function allowReading(gate: GateFunction, places: readonly Place[], { gated = true } = {}): void {
  for (const [bucket, members] of Map.groupBy(places, (place) => place.bucket)) {
    const keys = [...new Set(members.map(({ key }) => key))];
    gate.allow({
      // Of this and the next, and of the last two, S3 asks for one or the other, as a request names a version or not.
      actions: [
        's3:GetObject',
        ...(gated ? ['s3:GetObjectVersion', 's3:GetObjectTagging', 's3:GetObjectVersionTagging'] : []),
      ],
      resources: keys.map((key) => bucket.arnForObjects(key)),
    });
    allowList(gate, bucket.bucketArn, keys);
  }
  const kmsKeys = [...new Set(places.flatMap(({ kmsKey }) => kmsKey ?? []))];
  if (kmsKeys.length > 0) gate.allow({ actions: ['kms:Decrypt'], resources: kmsKeys });
}
