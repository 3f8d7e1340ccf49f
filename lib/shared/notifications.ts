import { RemovalPolicy, Stack } from 'aws-cdk-lib';
import {
  CfnMicrosoftTeamsChannelConfiguration,
  LoggingLevel,
  SlackChannelConfiguration,
} from 'aws-cdk-lib/aws-chatbot';
import { SnsAction } from 'aws-cdk-lib/aws-cloudwatch-actions';
import { type IGrantable, ManagedPolicy, PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { Key } from 'aws-cdk-lib/aws-kms';
import { Topic } from 'aws-cdk-lib/aws-sns';
import { EmailSubscription } from 'aws-cdk-lib/aws-sns-subscriptions';
import { Construct } from 'constructs';
import { DEFAULT_RUNBOOK } from '../../functions/shared/notification/schema.ts';
import { acknowledgeWildcards } from './acknowledge.ts';
import { localArn } from './arn.ts';

/** A channel of Slack. */
export interface SlackChannel {
  /** Id of the workspace, which somebody has authorized in the console of Amazon Q Developer in chat applications. */
  workspace: string;
  /** Id of the channel. */
  channel: string;
}

/** A channel of Microsoft Teams. */
export interface TeamsChannel {
  /** Id of the tenant, which somebody has authorized in the console of Amazon Q Developer in chat applications. */
  tenant: string;
  /** Id of the team. */
  team: string;
  /** Id of the channel, as it is in its address: `19%3a...%40thread.tacv2`. */
  channel: string;
}

export interface NotificationsProps {
  /** Addresses to subscribe; each person confirms by a link in an e-mail. */
  emails: readonly string[];
  /** Where the runbook is that alarms name: a path or an address; by default that of this repository. */
  runbook?: string | undefined;
  /** Is told, too. */
  slack?: SlackChannel | undefined;
  /** Is told, too. */
  teams?: TeamsChannel | undefined;
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

const CLOUDWATCH = new ServicePrincipal('cloudwatch.amazonaws.com');

/** What a chat may show beside an alarm: its metric. */
const SHOWN = ['cloudwatch:DescribeAlarms', 'cloudwatch:GetMetricData', 'cloudwatch:GetMetricWidgetImage'];

/**
 * The topics that tell people: verdicts and alarms. A chat has a topic of its own, because it understands another format.
 *
 * Their key is customer-managed because CloudWatch may not use the AWS-managed one, and an alarm that may not use the key of
 * its topic notifies nobody and says nothing.
 */
export class Notifications extends Construct {
  readonly topic: Topic;
  readonly key: Key;
  /** What chats are told by; undefined where there is none. */
  readonly chat: Topic | undefined;
  readonly #runbook: string;

  constructor(scope: Construct, id: string, props: NotificationsProps) {
    super(scope, id);
    const { emails, runbook = DEFAULT_RUNBOOK, slack, teams } = props;
    this.#runbook = runbook;
    this.key = new Key(this, 'Key', {
      description: 'Encrypts the notifications of Tocsin',
      enableKeyRotation: true,
      // Nothing is stored under it: a message lives as long as its delivery.
      removalPolicy: RemovalPolicy.DESTROY,
    });
    this.topic = this.#createTopic('Topic', 'Tocsin');
    for (const email of emails) this.topic.addSubscription(new EmailSubscription(email));
    if (slack !== undefined || teams !== undefined) {
      this.chat = this.#createTopic('Chat', 'Tocsin chat');
      this.#tellChats(this.chat, slack, teams);
    }
    // No condition on the source: whether CloudWatch passes one on to KMS is undocumented, and a condition that
    // never holds would silence every alarm. The policy of the topic has it.
    this.key.addToResourcePolicy(
      new PolicyStatement({
        sid: 'AlarmsEncrypt',
        principals: [CLOUDWATCH],
        actions: ['kms:Decrypt', 'kms:GenerateDataKey'],
        resources: ['*'],
      }),
    );
  }

  /** What to do when an alarm rings: the end of its description. */
  runbook(section: RunbookSection): string {
    return `${this.#runbook}#${section}`;
  }

  /** What an alarm does to be heard. */
  alarmActions(): SnsAction[] {
    return this.#topics().map((topic) => new SnsAction(topic));
  }

  /** The variables of whatever publishes. */
  environment(): Record<string, string> {
    return {
      TOPIC_ARN: this.topic.topicArn,
      ...(this.chat !== undefined && { CHAT_TOPIC_ARN: this.chat.topicArn }),
      // Functions know the one of this repository.
      ...(this.#runbook !== DEFAULT_RUNBOOK && { RUNBOOK: this.#runbook }),
    };
  }

  /** Lets a principal publish: topics need their key as well. */
  grantPublish(grantee: IGrantable): void {
    grantee.grantPrincipal.addToPrincipalPolicy(
      new PolicyStatement({
        actions: ['sns:Publish'],
        resources: this.#topics().map(({ topicArn }) => topicArn),
      }),
    );
    grantee.grantPrincipal.addToPrincipalPolicy(
      new PolicyStatement({
        actions: ['kms:Decrypt', 'kms:GenerateDataKey'],
        resources: [this.key.keyArn],
      }),
    );
  }

  #topics(): Topic[] {
    return this.chat === undefined ? [this.topic] : [this.topic, this.chat];
  }

  /** An encrypted topic that alarms of this account may publish to. */
  #createTopic(id: string, displayName: string): Topic {
    const topic = new Topic(this, id, { displayName, masterKey: this.key, enforceSSL: true });
    topic.addToResourcePolicy(
      new PolicyStatement({
        sid: 'AlarmsPublish',
        principals: [CLOUDWATCH],
        actions: ['sns:Publish'],
        resources: [topic.topicArn],
        conditions: {
          ArnLike: {
            'aws:SourceArn': localArn(this, 'cloudwatch', 'alarm:*'),
          },
        },
      }),
    );
    return topic;
  }

  /**
   * Lets Amazon Q Developer in chat applications (AWS Chatbot) show what is told. Whatever somebody asks of it in the channel,
   * it may look at alarms and metrics, and nothing else: without a guardrail of its own a channel may do everything that
   * its role may.
   */
  #tellChats(topic: Topic, slack: SlackChannel | undefined, teams: TeamsChannel | undefined): void {
    const statement = () => new PolicyStatement({ actions: SHOWN, resources: ['*'] });
    const role = new Role(this, 'ChatRole', {
      description: 'Tocsin: what a chat may look at',
      // No condition on the source: whether the service passes one on is undocumented.
      assumedBy: new ServicePrincipal('chatbot.amazonaws.com'),
    });
    role.addToPolicy(statement());
    const guardrail = new ManagedPolicy(this, 'ChatGuardrail', {
      description: 'Tocsin: the most that anybody may do from a chat',
      statements: [statement()],
    });
    const why = 'CloudWatch knows no narrower resource for reading metrics and drawing them.';
    acknowledgeWildcards(role, ['*'], why);
    acknowledgeWildcards(guardrail, ['*'], why);

    const name = Stack.of(this).stackName;
    if (slack !== undefined) {
      new SlackChannelConfiguration(this, 'Slack', {
        slackChannelConfigurationName: `${name}-slack`,
        slackWorkspaceId: slack.workspace,
        slackChannelId: slack.channel,
        notificationTopics: [topic],
        role,
        guardrailPolicies: [guardrail],
        loggingLevel: LoggingLevel.ERROR,
      });
    }
    if (teams !== undefined) {
      new CfnMicrosoftTeamsChannelConfiguration(this, 'Teams', {
        configurationName: `${name}-teams`,
        teamsTenantId: teams.tenant,
        teamId: teams.team,
        teamsChannelId: teams.channel,
        snsTopicArns: [topic.topicArn],
        iamRoleArn: role.roleArn,
        guardrailPolicies: [guardrail.managedPolicyArn],
        loggingLevel: LoggingLevel.ERROR,
      });
    }
  }
}
