import { CfnOutput, Stack, type StackProps } from 'aws-cdk-lib';
import type { IBucket } from 'aws-cdk-lib/aws-s3';
import type { Construct } from 'constructs';
import type { Config } from './config.ts';
import { HoldoutEvaluation, longestEvaluation } from './gates/holdout-evaluation.ts';
import { longestCanary, PipelineCanary } from './gates/pipeline-canary.ts';
import { QualityGate } from './gates/quality-gate.ts';
import { EvidenceStore } from './shared/evidence-store.ts';
import { ModelRunner } from './shared/model-runner.ts';
import { Notifications } from './shared/notifications.ts';
import { WorkBucket } from './shared/work-bucket.ts';

export interface GatesStackProps extends StackProps {
  /** As {@link loadConfig} returns it. */
  config: Config;
}

/** All gates of one tocsin.yaml, their evidence and their notifications. */
export class GatesStack extends Stack {
  constructor(scope: Construct, id: string, { config, ...props }: GatesStackProps) {
    super(scope, id, { description: 'Tocsin: gates that make silent ML failures loud', ...props });
    const notifications = new Notifications(this, 'Notifications', { emails: config.notify.emails });
    const evidence = new EvidenceStore(this, 'Evidence');
    const quality = new QualityGate(this, 'QualityGate', { config, evidence, notifications });

    const output = (name: string, value: string, description: string) =>
      new CfnOutput(this, name, { value, description });
    if (quality.dataBucket !== undefined) {
      output('DataBucket', quality.dataBucket.bucketName, 'Upload the datasets that name no bucket here');
    }
    output('EvidenceBucket', evidence.bucket.bucketName, 'Verdicts, reports and baselines');
    output('NotificationTopic', notifications.topic.topicArn, 'Verdicts and alarms');
    output('QualityGateAlias', quality.gate.alias.functionArn, 'Invoke it with {"dataset": ..., "uri": ...}');
    output('QualityGateRole', quality.gate.role.roleArn, 'The only role that may read and tag locked data');
    if (config.models.size === 0) return;

    const dataBucket = quality.dataBucket as IBucket | undefined;
    const models = [...config.models.values()];
    const work = new WorkBucket(this, 'Work', {
      longest: config.canaries.size > 0 ? longestCanary(config) : longestEvaluation(models),
      evidence,
    });
    const runner = new ModelRunner(this, 'ModelRunner', { models, work });
    const shared = { config, dataBucket, runner, evidence, notifications };
    const evaluation = new HoldoutEvaluation(this, 'HoldoutEvaluation', shared);
    output(
      'HoldoutEvaluationAlias',
      evaluation.gate.alias.functionArn,
      'Invoke it with {"package": ARN}, or run: tocsin evaluate --package ARN',
    );
    output('WorkBucket', work.bucket.bucketName, 'Inputs and outputs of evaluations while they run');
    if (runner.role !== undefined) {
      output(
        'ModelRole',
        runner.role.roleArn,
        'What models under evaluation run with, unless they name a role',
      );
    }
    if (config.canaries.size === 0) return;

    const canary = new PipelineCanary(this, 'PipelineCanary', shared);
    output(
      'PipelineCanaryAlias',
      canary.gate.alias.functionArn,
      'Invoke it with {"canary": NAME}, or run: tocsin canary NAME',
    );
  }
}
