import { CfnOutput, Stack, type StackProps } from 'aws-cdk-lib';
import type { Construct } from 'constructs';
import type { Config } from './config.ts';
import { QualityGate } from './gates/quality-gate.ts';
import { EvidenceStore } from './shared/evidence-store.ts';
import { Notifications } from './shared/notifications.ts';

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
  }
}
