import { RemovalPolicy } from 'aws-cdk-lib';
import { type IGrantable, PolicyStatement, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { Key } from 'aws-cdk-lib/aws-kms';
import { Topic } from 'aws-cdk-lib/aws-sns';
import { EmailSubscription } from 'aws-cdk-lib/aws-sns-subscriptions';
import { Construct } from 'constructs';
import { localArn } from './arn.ts';

export interface NotificationsProps {
  /** Addresses to subscribe; each person confirms by a link in an e-mail. */
  emails: readonly string[];
  /** Where the runbook is that alarms name: a path or an address; by default that of this repository. */
  runbook?: string;
}

/** Sections of the runbook, as the anchors of its headings. */
type RunbookSection =
  | 'gate-failed'
  | 'drill-overdue'
  | 'board-not-rebuilt'
  | 'dead-letters'
  | 'errors'
  | 'throttles'
  | 'drift-monitor';

/**
 * The topic that tells people: verdicts and alarms.
 *
 * Its key is customer-managed because CloudWatch may not use the AWS-managed one, and an alarm that may not
 * use the key of its topic notifies nobody and says nothing.
 */
export class Notifications extends Construct {
  readonly topic: Topic;
  readonly key: Key;
  readonly #runbook: string;

  constructor(scope: Construct, id: string, props: NotificationsProps) {
    super(scope, id);
    const { emails, runbook = 'docs/runbook.md' } = props;
    this.#runbook = runbook;
    this.key = new Key(this, 'Key', {
      description: 'Encrypts the notifications of Tocsin',
      enableKeyRotation: true,
      // Nothing is stored under it: a message lives as long as its delivery.
      removalPolicy: RemovalPolicy.DESTROY,
    });
    this.topic = new Topic(this, 'Topic', {
      displayName: 'Tocsin',
      masterKey: this.key,
      enforceSSL: true,
    });
    for (const email of emails) this.topic.addSubscription(new EmailSubscription(email));

    const cloudWatch = new ServicePrincipal('cloudwatch.amazonaws.com');
    this.topic.addToResourcePolicy(
      new PolicyStatement({
        sid: 'AlarmsPublish',
        principals: [cloudWatch],
        actions: ['sns:Publish'],
        resources: [this.topic.topicArn],
        conditions: {
          ArnLike: {
            'aws:SourceArn': localArn(this, 'cloudwatch', 'alarm:*'),
          },
        },
      }),
    );
    // No condition on the source: whether CloudWatch passes one on to KMS is undocumented, and a condition that
    // never holds would silence every alarm. The policy of the topic has it.
    this.key.addToResourcePolicy(
      new PolicyStatement({
        sid: 'AlarmsEncrypt',
        principals: [cloudWatch],
        actions: ['kms:Decrypt', 'kms:GenerateDataKey'],
        resources: ['*'],
      }),
    );
  }

  /** What to do when an alarm rings: the end of its description. */
  runbook(section: RunbookSection): string {
    return `${this.#runbook}#${section}`;
  }

  /** Lets a principal publish: the topic needs its key as well. */
  grantPublish(grantee: IGrantable): void {
    grantee.grantPrincipal.addToPrincipalPolicy(
      new PolicyStatement({ actions: ['sns:Publish'], resources: [this.topic.topicArn] }),
    );
    grantee.grantPrincipal.addToPrincipalPolicy(
      new PolicyStatement({
        actions: ['kms:Decrypt', 'kms:GenerateDataKey'],
        resources: [this.key.keyArn],
      }),
    );
  }
}
