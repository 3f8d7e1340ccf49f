import { Duration } from 'aws-cdk-lib';
import { Construct } from 'constructs';
import {
  ALLOWED,
  DRILL_TAG,
  ROLLBACK_PREFIX,
  ROLLBACK_TAG,
  ROLLING_BACK_MS,
} from '../../functions/rollback-drill/schema.ts';
import type { Config } from '../config.ts';
import { localArn } from '../shared/arn.ts';
import { allowDeploying } from '../shared/deploying.ts';
import { waitingFunction } from '../shared/engine.ts';
import type { GateFunction } from '../shared/gate-function.ts';
import type { Notifications } from '../shared/notifications.ts';
import type { WorkBucket } from '../shared/work-bucket.ts';

/** The most that a rollback gets, with time to say that it did not succeed. */
export const LONGEST_ROLLBACK = Duration.millis(ROLLING_BACK_MS).plus(Duration.hours(1));

export interface RollbackProps {
  /** As {@link loadConfig} returns it. */
  config: Pick<Config, 'engine' | 'workflow'>;
  /** For the progress of its runs. */
  work: WorkBucket;
  /** Where its alarms go. */
  notifications: Notifications;
}

/**
 * Brings an endpoint back to a variant, to weights or to an endpoint configuration: for incidents, and for drills whose
 * procedure is `builtin`. It touches endpoints alone whose tags allow it.
 */
export class Rollback extends Construct {
  readonly gate: GateFunction;

  constructor(scope: Construct, id: string, { config, work, notifications }: RollbackProps) {
    super(scope, id);
    this.gate = waitingFunction(this, 'Gate', config, {
      name: 'rollback',
      // In the folder of the drill, which restores as this rolls back.
      entry: 'rollback-drill/rollback-handler',
      memory: 512,
      executionTimeout: LONGEST_ROLLBACK,
      // Whoever asked has gone on by then: late, it would undo what they did.
      patience: { maxAge: Duration.minutes(5), retries: 0 },
      unjudged: 'an endpoint may still serve what it was to be rolled back from',
      notifications,
    });
    work.connect(this.gate, []);
    this.#allowEndpoints();
    this.#allowConfigurations();
  }

  #allowEndpoints(): void {
    const resources = [localArn(this, 'sagemaker', 'endpoint/*')];
    this.gate.allow({
      actions: ['sagemaker:DescribeEndpoint'],
      resources,
      wildcards: 'An incident may be at any endpoint; only those whose tags allow it are changed.',
    });
    // One statement for each tag: two keys in one condition would both have to hold.
    for (const tag of [ROLLBACK_TAG, DRILL_TAG]) {
      this.gate.allow({
        actions: ['sagemaker:UpdateEndpoint', 'sagemaker:UpdateEndpointWeightsAndCapacities'],
        resources,
        conditions: { StringEquals: { [`aws:ResourceTag/${tag}`]: ALLOWED } },
      });
    }
  }

  #allowConfigurations(): void {
    allowDeploying(this.gate);
    this.gate.allow({
      // Creating something with tags takes the second.
      actions: ['sagemaker:CreateEndpointConfig', 'sagemaker:AddTags'],
      resources: [localArn(this, 'sagemaker', `endpoint-config/${ROLLBACK_PREFIX}*`)],
      wildcards: 'SageMaker wants a new configuration for each deployment; no other name begins so.',
    });
  }
}
