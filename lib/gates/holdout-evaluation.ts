import { Duration } from 'aws-cdk-lib';
import type { IBucket } from 'aws-cdk-lib/aws-s3';
import { Construct } from 'constructs';
import type { LocatedModel } from '../../functions/holdout-evaluation/schema.ts';
import { EVENT_SOURCE } from '../../functions/shared/schema.ts';
import { type Config, textBundleOf } from '../config.ts';
import { measuringFunction } from '../shared/engine.ts';
import type { EvidenceStore } from '../shared/evidence-store.ts';
import type { GateFunction } from '../shared/gate-function.ts';
import { type ModelRunner, packageArns } from '../shared/model-runner.ts';
import type { Notifications } from '../shared/notifications.ts';
import { allowReading, Places } from '../shared/places.ts';
import { bothSpellings } from '../shared/spellings.ts';

const GATE = 'holdout-evaluation';

/** What an evaluation takes beside its transform jobs: waiting for its turn, measuring, retries. */
const MARGIN = Duration.hours(2);

export interface HoldoutEvaluationProps {
  /** As {@link loadConfig} returns it; with at least one model. */
  config: Pick<Config, 'file' | 'text' | 'models' | 'datasets' | 'engine' | 'workflow'>;
  /** The bucket of holdouts that name none. */
  dataBucket: IBucket | undefined;
  runner: ModelRunner;
  evidence: EvidenceStore;
  /** Where verdicts and alarms go. */
  notifications: Notifications;
}

/**
 * Evaluates every model that is registered in the groups of tocsin.yaml on its holdout, and approves or rejects it.
 *
 * Nothing else approves: who deploys only Approved packages deploys no model that missed its thresholds.
 */
export class HoldoutEvaluation extends Construct {
  readonly gate: GateFunction;

  constructor(scope: Construct, id: string, props: HoldoutEvaluationProps) {
    super(scope, id);
    const { config, dataBucket, runner, evidence, notifications } = props;
    const models = [...config.models.values()];
    const groups = models.map(({ value }) => value.modelPackageGroup);
    this.gate = measuringFunction(this, 'Gate', config.engine, {
      name: GATE,
      entry: `${GATE}/handler`,
      ...(config.workflow === 'durable' && { executionTimeout: longestEvaluation(models) }),
      unjudged: 'its model stays as it was, which for a new one is pending',
      notifications,
    });
    this.gate.environment('WORKFLOW', config.workflow);
    this.gate.readConfiguration(textBundleOf(config));
    this.gate.notifyPeople();
    this.gate.emitEvents(EVENT_SOURCE);
    evidence.connect(this.gate, GATE);
    runner.connect(this.gate, models, groups);

    const places = new Places(this, config.datasets, dataBucket);
    if (dataBucket !== undefined) this.gate.environment('DATA_BUCKET', dataBucket.bucketName);
    allowReading(
      this.gate,
      models.map(({ value }) => places.at(value.holdout.uri)),
    );

    this.gate.allow({ actions: ['sagemaker:UpdateModelPackage'], resources: packageArns(this, groups) });
    this.gate.allow({
      actions: ['sagemaker:ListModelPackages'],
      resources: ['*'],
      wildcards: 'X-Ray takes segments, and SageMaker lists packages, on no narrower resource.',
    });
    for (const { name, value } of models) this.#watch(name, value.modelPackageGroup);
  }

  #watch(name: string, group: string): void {
    this.gate.onEvents(`Registered-${name}`, `Packages of the model ${name}`, {
      source: ['aws.sagemaker'],
      detailType: ['SageMaker Model Package State Change'],
      // Whatever its approval: what somebody approved by hand is evaluated and reported, too.
      detail: { ModelPackageGroupName: bothSpellings([group]), ModelPackageStatus: ['Completed'] },
    });
  }
}

/** How long an evaluation of any of these models may take. Candidate and champion run side by side. */
export function longestEvaluation(models: readonly LocatedModel[]): Duration {
  const timeouts = models.map(({ value }) => value.transform.timeout);
  return Duration.millis(Math.max(...timeouts)).plus(MARGIN);
}
