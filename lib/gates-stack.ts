import { CfnOutput, Duration, Stack, type StackProps } from 'aws-cdk-lib';
import type { IBucket } from 'aws-cdk-lib/aws-s3';
import type { Construct } from 'constructs';
import type { Config } from './config.ts';
import { AlarmDrill, longestDrill } from './gates/alarm-drill.ts';
import { DriftMonitor } from './gates/drift-monitor.ts';
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
    const base = { config, evidence, notifications };
    const quality = config.datasets.length > 0 ? new QualityGate(this, 'QualityGate', base) : undefined;

    const output = (name: string, value: string, description: string) =>
      new CfnOutput(this, name, { value, description });
    if (quality?.dataBucket !== undefined) {
      output('DataBucket', quality.dataBucket.bucketName, 'Upload the datasets that name no bucket here');
    }
    output('EvidenceBucket', evidence.bucket.bucketName, 'Verdicts, reports and baselines');
    output('NotificationTopic', notifications.topic.topicArn, 'Verdicts and alarms');
    if (quality !== undefined) {
      const { alias, role } = quality.gate;
      output('QualityGateAlias', alias.functionArn, 'Invoke it with {"dataset": ..., "uri": ...}');
      output('QualityGateRole', role.roleArn, 'The only role that may read and tag locked data');
    }
    if (config.monitors.size > 0) {
      const { gate } = new DriftMonitor(this, 'DriftMonitor', base);
      output('DriftMonitorAlias', gate.alias.functionArn, 'Invoke it with {"monitor": NAME}');
    }

    const models = [...config.models.values()];
    const longest = [
      ...(models.length > 0 ? [longestEvaluation(models)] : []),
      ...(config.canaries.size > 0 ? [longestCanary(config)] : []),
      ...(config.drills.size > 0 ? [longestDrill(config)] : []),
    ].map((duration) => duration.toMilliseconds());
    if (longest.length === 0) return;

    const work = new WorkBucket(this, 'Work', { longest: Duration.millis(Math.max(...longest)), evidence });
    output(
      'WorkBucket',
      work.bucket.bucketName,
      'Inputs, outputs, claims and progress of runs while they last',
    );
    if (config.drills.size > 0) {
      const drill = new AlarmDrill(this, 'AlarmDrill', { ...base, work });
      output(
        'AlarmDrillAlias',
        drill.gate.alias.functionArn,
        'Invoke it with {"drill": NAME}, or run: tocsin drill alarm NAME',
      );
      output('ProbeTopic', drill.probe.topicArn, 'What clones of alarms notify while they are drilled');
    }
    if (models.length === 0) return;

    const dataBucket = quality?.dataBucket as IBucket | undefined;
    const runner = new ModelRunner(this, 'ModelRunner', { models, work });
    const shared = { ...base, dataBucket, runner };
    const evaluation = new HoldoutEvaluation(this, 'HoldoutEvaluation', shared);
    output(
      'HoldoutEvaluationAlias',
      evaluation.gate.alias.functionArn,
      'Invoke it with {"package": ARN}, or run: tocsin evaluate --package ARN',
    );
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
