import { Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { Alarm, Metric } from 'aws-cdk-lib/aws-cloudwatch';
import { Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { describe, expect, test } from 'vitest';
import { ConfigError } from '../../functions/shared/schema.ts';
import { Notifications, type NotificationsProps } from '../../lib/shared/notifications.ts';
import { checkWithNag, configOf, contractOf, synthesize } from '../support/synthesize.ts';

const SLACK = { workspace: 'T07EA123LEP', channel: 'C07EZ1ABC23' };
const TEAMS = {
  tenant: '0e8f8ad2-5c0c-4b5c-9f0b-1c2d3e4f5a6b',
  team: '1f9a9be3-6d1d-4c6d-8a1c-2d3e4f5a6b7c',
  channel: '19%3ab6ef35dc342d56ba5654e6fc6d25a071%40thread.tacv2',
};
const LOOK = ['cloudwatch:DescribeAlarms', 'cloudwatch:GetMetricData', 'cloudwatch:GetMetricWidgetImage'];

const configuration = (notify: string) =>
  configOf(`tocsin: 1\nnotify: ${notify}\ndatasets:\n  a: { contract: contracts/a.yaml, prefix: a/ }\n`, {
    'contracts/a.yaml': contractOf('a'),
  });

/** The construct alone, with an alarm and somebody who publishes. */
function deployed(props: NotificationsProps) {
  const stack = new Stack(undefined, 'Tocsin', { env: { account: '111122223333', region: 'eu-central-1' } });
  const notifications = new Notifications(stack, 'N', props);
  new Alarm(stack, 'Alarm', {
    metric: new Metric({ namespace: 'x', metricName: 'y' }),
    threshold: 1,
    evaluationPeriods: 1,
  }).addAlarmAction(...notifications.alarmActions());
  const publisher = new Role(stack, 'Publisher', { assumedBy: new ServicePrincipal('lambda.amazonaws.com') });
  notifications.grantPublish(publisher);
  const environment = stack.resolve(notifications.environment()) as Record<string, unknown>;
  return { template: Template.fromStack(stack), environment };
}

/** What a statement of the policy of the publisher is about, by its action. */
function grants(template: Template): Record<string, unknown> {
  const policies = Object.values(template.findResources('AWS::IAM::Policy')).map(
    ({ Properties }) =>
      Properties as { PolicyDocument: { Statement: { Action: string[] | string; Resource: unknown }[] } },
  );
  const statements = policies.flatMap(({ PolicyDocument }) => PolicyDocument.Statement);
  return Object.fromEntries(statements.map(({ Action, Resource }) => [String(Action), Resource]));
}

const one = (template: Template, type: string) => {
  const found = Object.entries(template.findResources(type));
  expect(found).toHaveLength(1);
  return {
    id: found[0]![0],
    properties: (found[0]![1] as { Properties: Record<string, unknown> }).Properties,
  };
};

describe('without a chat', () => {
  const { template, environment } = deployed({ emails: ['a@example.com'] });

  test('there is one encrypted topic, and nothing of a chat', () => {
    const { id } = one(template, 'AWS::SNS::Topic');
    expect(environment).toEqual({ TOPIC_ARN: { Ref: id } });
    template.resourceCountIs('AWS::Chatbot::SlackChannelConfiguration', 0);
    template.resourceCountIs('AWS::Chatbot::MicrosoftTeamsChannelConfiguration', 0);
    template.resourceCountIs('AWS::IAM::ManagedPolicy', 0);
    template.hasResourceProperties('AWS::CloudWatch::Alarm', { AlarmActions: [{ Ref: id }] });
    expect(grants(template)['sns:Publish']).toEqual({ Ref: id });
  });
});

describe('with chats', () => {
  const { template, environment } = deployed({
    emails: [],
    slack: SLACK,
    teams: TEAMS,
    runbook: 'https://wiki.example.com/tocsin',
  });
  const key = { 'Fn::GetAtt': [one(template, 'AWS::KMS::Key').id, 'Arn'] };
  const [topic, chat] = ['TOPIC_ARN', 'CHAT_TOPIC_ARN'].map((name) => environment[name] as { Ref: string });
  const role = Object.entries(template.findResources('AWS::IAM::Role')).find(([id]) =>
    id.includes('ChatRole'),
  )!;

  test('they have a topic of their own under the same key, which alarms and gates publish to', () => {
    expect(environment).toEqual({
      TOPIC_ARN: { Ref: expect.stringMatching(/^NTopic/) },
      CHAT_TOPIC_ARN: { Ref: expect.stringMatching(/^NChat/) },
      RUNBOOK: 'https://wiki.example.com/tocsin',
    });
    const topics = Object.values(template.findResources('AWS::SNS::Topic'));
    expect(
      topics.map(({ Properties }) => (Properties as { KmsMasterKeyId: unknown }).KmsMasterKeyId),
    ).toEqual([key, key]);
    template.hasResourceProperties('AWS::CloudWatch::Alarm', { AlarmActions: [topic, chat] });
    expect(grants(template)).toMatchObject({
      'sns:Publish': [topic, chat],
      'kms:Decrypt,kms:GenerateDataKey': key,
    });
    for (const { Properties } of Object.values(template.findResources('AWS::SNS::TopicPolicy'))) {
      const { Topics, PolicyDocument } = Properties as {
        Topics: unknown[];
        PolicyDocument: { Statement: unknown[] };
      };
      expect(PolicyDocument.Statement).toContainEqual({
        Sid: 'AlarmsPublish',
        Effect: 'Allow',
        Principal: { Service: 'cloudwatch.amazonaws.com' },
        Action: 'sns:Publish',
        Resource: Topics[0],
        Condition: {
          ArnLike: {
            'aws:SourceArn': {
              'Fn::Join': [
                '',
                ['arn:', { Ref: 'AWS::Partition' }, ':cloudwatch:eu-central-1:111122223333:alarm:*'],
              ],
            },
          },
        },
      });
      expect(PolicyDocument.Statement).toContainEqual(
        expect.objectContaining({ Effect: 'Deny', Condition: { Bool: { 'aws:SecureTransport': 'false' } } }),
      );
    }
  });

  test('Slack is told of that topic alone', () => {
    const { properties } = one(template, 'AWS::Chatbot::SlackChannelConfiguration');
    expect(properties).toEqual({
      ConfigurationName: 'Tocsin-slack',
      SlackWorkspaceId: SLACK.workspace,
      SlackChannelId: SLACK.channel,
      SnsTopicArns: [chat],
      IamRoleArn: { 'Fn::GetAtt': [role[0], 'Arn'] },
      GuardrailPolicies: [{ Ref: one(template, 'AWS::IAM::ManagedPolicy').id }],
      LoggingLevel: 'ERROR',
    });
  });

  test('so is Teams', () => {
    const { properties } = one(template, 'AWS::Chatbot::MicrosoftTeamsChannelConfiguration');
    expect(properties).toEqual({
      ConfigurationName: 'Tocsin-teams',
      TeamsTenantId: TEAMS.tenant,
      TeamId: TEAMS.team,
      TeamsChannelId: TEAMS.channel,
      SnsTopicArns: [chat],
      IamRoleArn: { 'Fn::GetAtt': [role[0], 'Arn'] },
      GuardrailPolicies: [{ Ref: one(template, 'AWS::IAM::ManagedPolicy').id }],
      LoggingLevel: 'ERROR',
    });
  });

  test('nobody may do more from a chat than look at metrics', () => {
    expect(role[1].Properties).toMatchObject({
      AssumeRolePolicyDocument: {
        Statement: [
          { Action: 'sts:AssumeRole', Effect: 'Allow', Principal: { Service: 'chatbot.amazonaws.com' } },
        ],
      },
    });
    expect(role[1].Properties).not.toHaveProperty('ManagedPolicyArns');
    const look = { Action: LOOK, Effect: 'Allow', Resource: '*' };
    const { properties } = one(template, 'AWS::IAM::ManagedPolicy');
    expect(properties.PolicyDocument).toMatchObject({ Statement: [look] });
    const own = Object.values(template.findResources('AWS::IAM::Policy'))
      .map(
        ({ Properties }) =>
          Properties as { Roles: { Ref: string }[]; PolicyDocument: { Statement: unknown[] } },
      )
      .filter(({ Roles }) => Roles.some(({ Ref }) => Ref === role[0]));
    expect(own.map(({ PolicyDocument }) => PolicyDocument.Statement)).toEqual([[look]]);
  });
});

describe('notify in tocsin.yaml', () => {
  test('says who is told, and names the runbook', () => {
    expect(configuration('{}').notify).toEqual({ emails: [], runbook: 'docs/runbook.md' });
    const { slack, teams, runbook } = configuration(
      JSON.stringify({ slack: SLACK, teams: TEAMS, runbook: 'https://wiki.example.com/tocsin' }),
    ).notify;
    expect({ slack, teams, runbook }).toEqual({
      slack: SLACK,
      teams: TEAMS,
      runbook: 'https://wiki.example.com/tocsin',
    });
  });

  test.each([
    [
      { slack: { ...SLACK, workspace: 'tocsin' } },
      'notify.slack.workspace: expected the id of a Slack workspace',
    ],
    [{ slack: { ...SLACK, channel: '#alerts' } }, 'notify.slack.channel: expected the id of a Slack channel'],
    [{ slack: { workspace: SLACK.workspace } }, 'notify.slack.channel'],
    [{ teams: { ...TEAMS, team: 'data' } }, 'notify.teams.team: expected the id of a team'],
    [
      { teams: { ...TEAMS, channel: '19:abc@thread.tacv2' } },
      'notify.teams.channel: expected the id of a Teams channel',
    ],
    [{ runbook: 'docs/runbook.md#top' }, 'notify.runbook: expected a path or an address'],
    [{ board: true }, 'unknown key "board"'],
  ])('refuses %j', (notify, message) => {
    const thrown = (() => {
      try {
        configuration(JSON.stringify(notify));
      } catch (error) {
        return error;
      }
      return undefined;
    })();
    expect(thrown).toBeInstanceOf(ConfigError);
    expect((thrown as Error).message).toContain(message);
  });
});

test('a stack with chats tells every alarm there, hands its functions the topic, and cdk-nag has nothing to say', () => {
  const config = configuration(
    JSON.stringify({ slack: SLACK, teams: TEAMS, runbook: 'https://wiki.example.com' }),
  );
  const template = synthesize(config);
  const chat = expect.objectContaining({ Ref: expect.stringMatching(/^NotificationsChat/) });
  const alarms = Object.values(template.findResources('AWS::CloudWatch::Alarm')).map(
    ({ Properties }) => Properties as { AlarmActions?: unknown[]; AlarmDescription: string },
  );
  const loud = alarms.filter(({ AlarmActions = [] }) => AlarmActions.length > 0);
  expect(loud.length).toBeGreaterThan(3);
  for (const { AlarmActions, AlarmDescription } of loud) {
    expect(AlarmActions).toContainEqual(chat);
    expect(AlarmDescription).toContain('Runbook: https://wiki.example.com#');
  }
  template.hasResourceProperties('AWS::Lambda::Function', {
    Environment: {
      Variables: {
        CHAT_TOPIC_ARN: { Ref: template.findOutputs('ChatTopic').ChatTopic?.Value.Ref },
        RUNBOOK: 'https://wiki.example.com',
      },
    },
  });
  expect(() => checkWithNag(config)).not.toThrow();
});
