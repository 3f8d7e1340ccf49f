import { Duration } from 'aws-cdk-lib';
import { Bucket, type IBucket } from 'aws-cdk-lib/aws-s3';
import { Construct } from 'constructs';
import { allowList, type EvidenceStore, PRIVATE_BUCKET } from './evidence-store.ts';
import type { GateFunction } from './gate-function.ts';

/** How long what a run leaves in the work bucket is of use, once the run has ended. */
const KEEP = Duration.days(3);

export interface WorkBucketProps {
  /** The longest that anything in it is of use while a run goes on. */
  longest: Duration;
  evidence: EvidenceStore;
}

/** What runs need while they go on: inputs and outputs of jobs, claims, and progress for whoever follows. */
export class WorkBucket extends Construct {
  readonly bucket: Bucket;

  constructor(scope: Construct, id: string, { longest, evidence }: WorkBucketProps) {
    super(scope, id);
    this.bucket = new Bucket(this, 'Bucket', {
      ...PRIVATE_BUCKET,
      serverAccessLogsBucket: evidence.accessLogs as IBucket,
      serverAccessLogsPrefix: 'work/',
      lifecycleRules: [
        // A run removes its inputs and outputs itself: this is for what a run that died left behind.
        { expiration: Duration.days(Math.ceil(longest.toDays({ integral: false })) + KEEP.toDays()) },
        { abortIncompleteMultipartUploadAfter: Duration.days(1) },
      ],
    });
  }

  /**
   * Lets a gate keep something in it: the progress of its runs, and what it names.
   *
   * @param keys of its objects beside these, with wildcards: who may write a claim or a record has a say over others
   * @param options `jobs`: whether it keeps inputs and outputs of jobs, too
   */
  connect(gate: GateFunction, keys: readonly string[], { jobs = false } = {}): void {
    const own = ['runs/*', ...keys];
    gate.environment('WORK_BUCKET', this.bucket.bucketName);
    gate.allow({
      actions: [
        's3:GetObject',
        's3:PutObject',
        's3:DeleteObject',
        ...(jobs ? ['s3:AbortMultipartUpload'] : []),
      ],
      resources: own.map((key) => this.bucket.arnForObjects(key)),
      wildcards: 'Its own objects in the work bucket: a few for each run.',
    });
    allowList(gate, this.bucket.bucketArn, own);
  }
}
