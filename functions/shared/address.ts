/** One object in S3; without `versionId`: its current version. */
export interface ObjectAddress {
  bucket: string;
  key: string;
  versionId?: string | undefined;
}

/** `s3://bucket/key` */
export function s3Uri(address: { bucket: string; key: string }): string {
  return `s3://${address.bucket}/${address.key}`;
}
