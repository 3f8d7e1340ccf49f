import { Duration, RemovalPolicy, Validations } from 'aws-cdk-lib';
import {
  BlockPublicAccess,
  Bucket,
  BucketEncryption,
  type BucketProps,
  type IBucket,
  ObjectOwnership,
} from 'aws-cdk-lib/aws-s3';
import { S3_SERVER_ACCESS_LOGS_USE_BUCKET_POLICY } from 'aws-cdk-lib/cx-api';
import { Construct } from 'constructs';
import type { GateFunction } from './gate-function.ts';

/** What every bucket of Tocsin is: private, encrypted, TLS only, and kept when the stack goes. */
export const PRIVATE_BUCKET = {
  blockPublicAccess: BlockPublicAccess.BLOCK_ALL,
  objectOwnership: ObjectOwnership.BUCKET_OWNER_ENFORCED,
  encryption: BucketEncryption.S3_MANAGED,
  enforceSSL: true,
  removalPolicy: RemovalPolicy.RETAIN,
} satisfies BucketProps;

/**
 * One bucket with all evidence: `evidence/<gate>/<subject>/<verdict>/...`, when there was which
 * (`history/<gate>/<subject>/...`), the board, and `baselines/<dataset>/current.json`.
 * Versioned, so that a baseline that was replaced can be had back.
 */
export class EvidenceStore extends Construct {
  readonly bucket: Bucket;
  /** Who read and wrote what, in this bucket and in the one with the data. */
  readonly accessLogs: Bucket;

  constructor(scope: Construct, id: string) {
    super(scope, id);
    // Log delivery by bucket policy, also in an app that does not set this flag: the old way needs an ACL, and this
    // bucket has none.
    this.node.setContext(S3_SERVER_ACCESS_LOGS_USE_BUCKET_POLICY, true);
    this.accessLogs = new Bucket(this, 'AccessLogs', {
      ...PRIVATE_BUCKET,
      lifecycleRules: [{ expiration: Duration.days(365) }],
    });
    Validations.of(this.accessLogs).acknowledge({
      id: 'AwsSolutions-S1',
      reason: 'This is the bucket that access logs go to; logging its own access would never end.',
    });
    // The CDK's classes do not satisfy its interfaces under exactOptionalPropertyTypes, hence the assertion.
    this.bucket = new Bucket(this, 'Bucket', {
      ...PRIVATE_BUCKET,
      versioned: true,
      serverAccessLogsBucket: this.accessLogs as IBucket,
      serverAccessLogsPrefix: 'evidence/',
      lifecycleRules: [
        { noncurrentVersionExpiration: Duration.days(365) },
        { abortIncompleteMultipartUploadAfter: Duration.days(7) },
      ],
    });
  }

  /**
   * Lets a gate keep its own evidence.
   *
   * @param folder below `evidence/`; a pattern is as good
   * @param options `baselines`: whether it reads them, too; only people write them
   */
  connect(gate: GateFunction, folder: string, { baselines = false } = {}): void {
    const own = [`evidence/${folder}/*`, `history/${folder}/*`];
    const readable = [...own, ...(baselines ? ['baselines/*'] : [])];
    const objects = (pattern: string) => this.bucket.arnForObjects(pattern);
    gate.environment('EVIDENCE_BUCKET', this.bucket.bucketName);
    gate.allow({
      actions: ['s3:GetObject'],
      resources: readable.map(objects),
      wildcards: 'Its own evidence, and every baseline where it measures drift: one object for each dataset.',
    });
    gate.allow({ actions: ['s3:PutObject'], resources: own.map(objects) });
    allowList(gate, this.bucket.bucketArn, readable);
  }

  /** Lets a function that keeps no evidence read the baselines of these datasets. */
  readBaselines(gate: GateFunction, datasets: readonly string[]): void {
    const baselines = [...new Set(datasets)].map((dataset) => `baselines/${dataset}/*`);
    gate.environment('EVIDENCE_BUCKET', this.bucket.bucketName);
    gate.allow({
      actions: ['s3:GetObject'],
      resources: baselines.map((pattern) => this.bucket.arnForObjects(pattern)),
      wildcards: 'The baseline of one dataset.',
    });
    allowList(gate, this.bucket.bucketArn, baselines);
  }
}

/**
 * Lets a gate list keys below prefixes, and learn that a key does not exist: S3 answers 404 only to who may list,
 * else 403. Hence `IfExists`: asking for an object carries no prefix to compare.
 */
export function allowList(gate: GateFunction, bucketArn: string, patterns: string[]): void {
  gate.allow({
    actions: ['s3:ListBucket'],
    resources: [bucketArn],
    conditions: { StringLikeIfExists: { 's3:prefix': patterns } },
  });
}
