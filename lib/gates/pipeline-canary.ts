import { Duration } from 'aws-cdk-lib';
import type { IBucket } from 'aws-cdk-lib/aws-s3';
import { Construct } from 'constructs';
import { CORRUPTED, type LocatedCanary } from '../../functions/holdout-evaluation/schema.ts';
import { EVENT_SOURCE } from '../../functions/shared/schema.ts';
import { type Config, textBundleOf } from '../config.ts';
import { localArn } from '../shared/arn.ts';
import { measuringFunction } from '../shared/engine.ts';
import type { EvidenceStore } from '../shared/evidence-store.ts';
import type { GateFunction } from '../shared/gate-function.ts';
import { type ModelRunner, packageArns } from '../shared/model-runner.ts';
import type { Notifications } from '../shared/notifications.ts';
import { allowReading, type Place, Places } from '../shared/places.ts';
import { bothSpellings } from '../shared/spellings.ts';
import { longestEvaluation } from './holdout-evaluation.ts';

/** The folder that it shares with the evaluation: it judges as that does. */
const GATE = 'holdout-evaluation';

export interface PipelineCanaryProps {
  /** As {@link loadConfig} returns it; with at least one canary. */
  config: Pick<Config, 'file' | 'text' | 'models' | 'canaries' | 'datasets' | 'engine' | 'workflow'>;
  /** The bucket of datasets and holdouts that name none. */
  dataBucket: IBucket | undefined;
  runner: ModelRunner;
  evidence: EvidenceStore;
  /** Where verdicts and alarms go. */
  notifications: Notifications;
}

/**
 * Runs training pipelines on known datasets, and on corrupted ones: the first must yield a model as good as it always
 * was, the second must be stopped.
 */
export class PipelineCanary extends Construct {
  readonly gate: GateFunction;

  constructor(scope: Construct, id: string, props: PipelineCanaryProps) {
    super(scope, id);
    const { config, dataBucket, runner, evidence, notifications } = props;
    const canaries = [...config.canaries.values()];
    const used = new Set(canaries.map(({ value }) => value.model));
    const models = [...config.models.values()].filter(({ name }) => used.has(name));
    const groups = canaries.map(({ value }) => value.modelPackageGroup);
    this.gate = measuringFunction(this, 'Gate', config.engine, {
      name: 'pipeline-canary',
      entry: `${GATE}/canary-handler`,
      ...(config.workflow === 'durable' && { executionTimeout: longestCanary(config) }),
      unjudged: 'nobody knows whether the pipeline still works',
      notifications,
    });
    this.gate.environment('WORKFLOW', config.workflow);
    this.gate.readConfiguration(textBundleOf(config));
    this.gate.notifyPeople();
    this.gate.emitEvents(EVENT_SOURCE);
    evidence.connect(this.gate, `${GATE}/canary-*`);
    runner.connect(this.gate, models, groups);
    if (dataBucket !== undefined) this.gate.environment('DATA_BUCKET', dataBucket.bucketName);

    const places = new Places(this, config.datasets, dataBucket);
    const corrupted = canaries
      .filter(({ value }) => value.negativeControl.corrupt !== undefined)
      .map(({ value }) => places.at(value.dataset.uri));
    allowReading(this.gate, [...models.map(({ value }) => places.at(value.holdout.uri)), ...corrupted]);
    this.#allowCopies(corrupted);

    this.gate.allow({
      actions: ['sagemaker:UpdateModelPackage'],
      resources: packageArns(this, groups),
      // Whatever a canary's pipeline makes is not for use.
      conditions: { StringEquals: { 'sagemaker:ModelApprovalStatus': 'Rejected' } },
    });
    this.#allowPipelines(canaries);
    this.#addTriggers(canaries);
  }

  /** Corrupted copies of known datasets, beside them, while a run lasts; and what the quality gate says of them. */
  #allowCopies(originals: readonly Place[]): void {
    for (const { bucket, key, kmsKey } of originals) {
      const folder = key.slice(0, key.lastIndexOf('/') + 1);
      this.gate.allow({
        actions: ['s3:PutObject', 's3:DeleteObject', 's3:GetObjectTagging', 's3:AbortMultipartUpload'],
        resources: [bucket.arnForObjects(`${folder}${CORRUPTED}*`)],
        wildcards: 'Corrupted copies have a name for each run; no other begins so.',
      });
      if (kmsKey !== undefined) this.gate.allow({ actions: ['kms:GenerateDataKey'], resources: [kmsKey] });
    }
  }

  #allowPipelines(canaries: readonly LocatedCanary[]): void {
    const pipelines = bothSpellings(canaries.map(({ value }) => value.pipeline)).map((name) =>
      localArn(this, 'sagemaker', `pipeline/${name}`),
    );
    this.gate.allow({ actions: ['sagemaker:StartPipelineExecution'], resources: pipelines });
    this.gate.allow({
      actions: [
        'sagemaker:DescribePipelineExecution',
        'sagemaker:ListPipelineExecutionSteps',
        'sagemaker:StopPipelineExecution',
      ],
      resources: pipelines.map((arn) => `${arn}/execution/*`),
      wildcards: 'Every execution of the pipeline; they are not known before.',
    });
  }

  #addTriggers(canaries: readonly LocatedCanary[]): void {
    for (const { name, value } of canaries) {
      if (value.schedule === undefined) continue;
      this.gate.onSchedule(`Schedule-${name}`, `Runs the canary ${name}`, value.schedule, { canary: name });
    }
    this.gate.onDeployments(canaries.flatMap(({ value }) => value.afterDeployOf));
  }
}

/** How long a run of any canary may take: its pipeline, then the evaluation of what that registered. */
export function longestCanary({ models, canaries }: Pick<Config, 'models' | 'canaries'>): Duration {
  const pipelines = [...canaries.values()].map(({ value }) => value.timeout);
  return Duration.millis(Math.max(...pipelines)).plus(longestEvaluation([...models.values()]));
}
