import { CfnOutput, Duration, RemovalPolicy, Stack } from 'aws-cdk-lib';
import type { EventPattern } from 'aws-cdk-lib/aws-events';
import { ManagedPolicy, PolicyStatement } from 'aws-cdk-lib/aws-iam';
import { Bucket, type CfnBucket, type IBucket } from 'aws-cdk-lib/aws-s3';
import { Construct } from 'constructs';
import { MARKER } from '../../functions/quality-gate/schema.ts';
import { EVENT_SOURCE } from '../../functions/shared/schema.ts';
import { bundleOf, type Config, type Dataset } from '../config.ts';
import { acknowledgeWildcards } from '../shared/acknowledge.ts';
import { localArn } from '../shared/arn.ts';
import { measuringFunction } from '../shared/engine.ts';
import { allowList, type EvidenceStore, PRIVATE_BUCKET } from '../shared/evidence-store.ts';
import type { GateFunction } from '../shared/gate-function.ts';
import { type LockStatement, lockStatements } from '../shared/lock-policy.ts';
import type { Notifications } from '../shared/notifications.ts';
import { bothSpellings } from '../shared/spellings.ts';

const GATE = 'quality-gate';

export interface QualityGateProps {
  /** As {@link loadConfig} returns it. */
  config: Pick<Config, 'datasets' | 'engine' | 'breakGlass'>;
  evidence: EvidenceStore;
  /** Where verdicts and alarms go. */
  notifications: Notifications;
}

/**
 * Judges every dataset that lands under a gated prefix, and locks it until it has passed.
 *
 * The lock is the bucket policy. A bucket that Tocsin creates has it; an existing one keeps its own policy, to
 * which people add the statements of the output `...LockPolicy...`. The lock is on the prefixes of tocsin.yaml: with a
 * dataset that is taken out of it goes its lock.
 */
export class QualityGate extends Construct {
  readonly gate: GateFunction;
  /** The bucket of all datasets that name none; absent where each names one. */
  readonly dataBucket: Bucket | undefined;
  /** By name of the dataset: lets a role read it, as far as it is not locked. For training. */
  readonly readerPolicies = new Map<string, ManagedPolicy>();

  constructor(scope: Construct, id: string, { config, evidence, notifications }: QualityGateProps) {
    super(scope, id);
    this.gate = measuringFunction(this, 'Gate', config.engine, {
      name: GATE,
      entry: `${GATE}/handler`,
      unjudged: 'its data stays locked',
      notifications,
    });
    this.gate.readConfiguration(bundleOf(config));
    this.gate.notifyPeople();
    this.gate.emitEvents(EVENT_SOURCE);
    evidence.connect(this.gate, GATE, { baselines: true });
    this.#startPipelines(config.datasets);

    for (const [name, datasets] of Map.groupBy(config.datasets, ({ bucket }) => bucket)) {
      const lock = (bucketArn: string): LockStatement[] =>
        lockStatements({
          bucketArn,
          prefixes: datasets.map(({ prefix, inconclusive }) => ({
            prefix,
            allowInconclusive: inconclusive === 'allow',
          })),
          gateRoleArn: this.gate.role.roleArn,
          breakGlass: config.breakGlass,
        });
      let bucket: IBucket;
      if (name === undefined) {
        this.dataBucket = this.#createBucket(evidence);
        for (const statement of lock(this.dataBucket.bucketArn)) {
          this.dataBucket.addToResourcePolicy(PolicyStatement.fromJson(statement));
        }
        // The bucket outlives the stack, and so does its lock: else deleting the one would open the other.
        this.dataBucket.policy?.applyRemovalPolicy(RemovalPolicy.RETAIN);
        this.gate.environment('DATA_BUCKET', this.dataBucket.bucketName);
        bucket = this.dataBucket as IBucket;
      } else {
        bucket = Bucket.fromBucketName(this, `Bucket-${name}`, name);
        new CfnOutput(this, `LockPolicy-${name}`, {
          description: `Add these statements to the policy of the bucket ${name}; "tocsin doctor" verifies it`,
          value: Stack.of(this).toJsonString(lock(bucket.bucketArn)),
        });
      }
      this.#guard(bucket, datasets);
    }
  }

  /** The bucket for data: versioned, because a verdict is about one version. */
  #createBucket(evidence: EvidenceStore): Bucket {
    const bucket = new Bucket(this, 'Data', {
      ...PRIVATE_BUCKET,
      versioned: true,
      serverAccessLogsBucket: evidence.accessLogs as IBucket,
      serverAccessLogsPrefix: 'data/',
      lifecycleRules: [{ abortIncompleteMultipartUploadAfter: Duration.days(7) }],
    });
    // On the resource itself: the construct's own property would add a custom resource for the same bit.
    (bucket.node.defaultChild as CfnBucket).notificationConfiguration = {
      eventBridgeConfiguration: { eventBridgeEnabled: true },
    };
    return bucket;
  }

  /** Triggers, and the permissions to judge and to read what was judged, for the datasets of one bucket. */
  #guard(bucket: IBucket, datasets: Dataset[]): void {
    for (const dataset of datasets) {
      this.gate.onEvents(
        `Upload-${dataset.name}`,
        `Uploads of the dataset ${dataset.name}`,
        uploadPattern(bucket.bucketName, dataset),
      );
    }
    const prefixes = datasets.map(({ prefix }) => `${prefix}*`);
    const objects = prefixes.map((prefix) => bucket.arnForObjects(prefix));
    this.gate.allow({
      actions: ['s3:GetObject', 's3:GetObjectVersion'],
      resources: objects,
      wildcards: 'Every object below the gated prefixes; their keys are not known before.',
    });
    // S3 asks for the second of each pair where a request names a version, as all of the gate's do; what it
    // documents can also be read as asking for both.
    this.gate.allow({
      actions: [
        's3:GetObjectTagging',
        's3:GetObjectVersionTagging',
        's3:PutObjectTagging',
        's3:PutObjectVersionTagging',
      ],
      resources: objects,
    });
    allowList(this.gate, bucket.bucketArn, prefixes);

    const keys = [...new Set(datasets.flatMap(({ kmsKey }) => kmsKey ?? []))];
    if (keys.length > 0) this.gate.allow({ actions: ['kms:Decrypt'], resources: keys });

    for (const dataset of datasets) this.#admitReaders(bucket, dataset);
  }

  /** One policy for each dataset: who trains on one has no need of the others, and a policy takes 6 KB. */
  #admitReaders(bucket: IBucket, { name, prefix, kmsKey }: Dataset): void {
    const objects = [bucket.arnForObjects(`${prefix}*`)];
    const policy = new ManagedPolicy(this, `Reader-${name}`, {
      description: `Reads the dataset ${name} as far as Tocsin has passed it`,
      statements: [
        new PolicyStatement({ actions: ['s3:GetObject', 's3:GetObjectVersion'], resources: objects }),
        new PolicyStatement({
          actions: ['s3:ListBucket'],
          resources: [bucket.bucketArn],
          conditions: { StringLike: { 's3:prefix': [`${prefix}*`] } },
        }),
        ...(kmsKey === undefined
          ? []
          : [new PolicyStatement({ actions: ['kms:Decrypt'], resources: [kmsKey] })]),
      ],
    });
    acknowledgeWildcards(policy, objects, 'Every object of the dataset; their keys are not known before.');
    this.readerPolicies.set(name, policy);
    new CfnOutput(this, `ReaderPolicy-${name}`, {
      description: `Attach it to the role that trains on ${name}`,
      value: policy.managedPolicyArn,
    });
  }

  #startPipelines(datasets: Dataset[]): void {
    const names = bothSpellings(datasets.flatMap(({ onAccept }) => onAccept?.pipeline ?? []));
    if (names.length === 0) return;
    this.gate.allow({
      actions: ['sagemaker:StartPipelineExecution'],
      resources: names.map((name) => localArn(this, 'sagemaker', `pipeline/${name}`)),
    });
  }
}

/**
 * Which uploads start a verdict: of a `batch: marker` dataset its markers, else every object.
 *
 * EventBridge cannot say "begins with this and does not end with that" of one field, so folder placeholders and
 * stray markers of an `object` dataset do reach the function, which passes over them.
 */
function uploadPattern(bucketName: string, { prefix, contractFile }: Dataset): EventPattern {
  const key =
    contractFile.value.batch === 'marker'
      ? [`${prefix}${MARKER}`, { wildcard: `${prefix}*/${MARKER}` }]
      : [{ prefix }];
  return {
    source: ['aws.s3'],
    detailType: ['Object Created'],
    detail: { bucket: { name: [bucketName] }, object: { key } },
  };
}
