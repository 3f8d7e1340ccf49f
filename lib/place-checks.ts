import type { DatasetConfig } from '../functions/quality-gate/schema.ts';
import { placeOf } from '../functions/shared/schema.ts';

/*
 * Whether places that tocsin.yaml names can be what they are named for, given its datasets.
 */

/** Reports one mistake, at the place of its path in tocsin.yaml. */
export type Complain = (path: PropertyKey[], message: string) => void;

/** The section of tocsin.yaml that says where data is. */
interface DatasetSection {
  datasets: Record<string, DatasetConfig>;
}

/**
 * A key without a bucket is one in the bucket that Tocsin creates, which it does for datasets alone.
 *
 * @returns whether there is such a bucket
 */
export function checkPlace(
  path: PropertyKey[],
  uri: string,
  { datasets }: DatasetSection,
  complain: Complain,
): boolean {
  const created = Object.values(datasets).some(({ bucket }) => bucket === undefined);
  if (placeOf(uri).bucket !== undefined || created) return true;
  complain(path, `expected s3://bucket/key, got ${uri}: each dataset names a bucket, so Tocsin creates none`);
  return false;
}

/** Golden requests are no data: where a quality gate judges, they would be locked, and fail. */
export function checkGolden(
  path: PropertyKey[],
  uri: string,
  section: DatasetSection,
  complain: Complain,
): void {
  if (uri.endsWith('/')) complain(path, 'expected one object, got a folder');
  if (!checkPlace(path, uri, section, complain)) return;
  for (const [name, dataset] of Object.entries(section.datasets)) {
    if (!isBelow(uri, dataset)) continue;
    complain(
      path,
      `is below "${dataset.prefix}" of dataset "${name}": it would be judged as data, and locked; take another prefix`,
    );
  }
}

/** Whether a place is among the data of a dataset. */
export function isBelow(uri: string, { bucket, prefix }: DatasetConfig): boolean {
  const place = placeOf(uri);
  return place.bucket === bucket && place.key.startsWith(prefix);
}

/** A bucket as messages call it. */
export function bucketName(bucket: string | undefined): string {
  return bucket === undefined ? 'the bucket that Tocsin creates' : `the bucket ${bucket}`;
}
