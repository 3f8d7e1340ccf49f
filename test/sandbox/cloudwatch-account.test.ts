import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { EventBridgeClient, PutEventsCommand } from '@aws-sdk/client-eventbridge';
import { DescribeKeyCommand, GetKeyPolicyCommand, KeyState, KMSClient } from '@aws-sdk/client-kms';
import {
  GetPolicyCommand,
  InvokeCommand,
  LambdaClient,
  ResourceNotFoundException,
} from '@aws-sdk/client-lambda';
import { GetTopicAttributesCommand, PublishCommand, SNSClient } from '@aws-sdk/client-sns';
import { mockClient } from 'aws-sdk-client-mock';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AwsAccount } from '../../sandbox/cloudwatch/account.ts';

const ALARM = 'arn:aws:cloudwatch:us-east-1:000000000000:alarm:drift';
const TOPIC = 'arn:aws:sns:us-east-1:000000000000:people';
const FUNCTION = 'arn:aws:lambda:us-east-1:000000000000:function:machine';
const KEY = 'arn:aws:kms:us-east-1:000000000000:key/11111111-2222-3333-4444-555555555555';

const sns = mockClient(SNSClient);
const kms = mockClient(KMSClient);
const lambda = mockClient(LambdaClient);
const events = mockClient(EventBridgeClient);
const log: string[] = [];
const account = new AwsAccount('https://127.0.0.1:1', (line) => log.push(line));

afterEach(() => {
  for (const client of [sns, kms, lambda, events]) client.reset();
  log.length = 0;
});

function policy(...statements: object[]): string {
  const Statement = statements.map((statement) => ({ Effect: 'Allow', Resource: '*', ...statement }));
  return JSON.stringify({ Version: '2012-10-17', Statement });
}

const cloudWatch = { Principal: { Service: 'cloudwatch.amazonaws.com' } };
const publish = { ...cloudWatch, Action: 'sns:Publish' };
const encrypt = { ...cloudWatch, Action: ['kms:Decrypt', 'kms:GenerateDataKey'] };
const refused = `cloudwatch.amazonaws.com is not authorized to perform: SNS:Publish on resource: ${TOPIC}`;

/** How an alarm's message to a topic fares: `sent`, or why not. */
async function tell(topicPolicy: string, key?: { id: string; policy?: string; state?: KeyState }) {
  const Attributes = { Policy: topicPolicy, ...(key !== undefined && { KmsMasterKeyId: key.id }) };
  sns.on(GetTopicAttributesCommand, { TopicArn: TOPIC }).resolves({ Attributes });
  sns.on(PublishCommand).resolves({});
  kms.on(DescribeKeyCommand, { KeyId: key?.id }).resolves({
    KeyMetadata: { KeyId: '1', Arn: KEY, KeyState: key?.state ?? 'Enabled' },
  });
  kms.on(GetKeyPolicyCommand, { KeyId: KEY }).resolves({ Policy: key?.policy ?? policy(encrypt) });
  const outcome = await account.act(TOPIC, 'ALARM', '{}', ALARM).then(
    () => 'sent',
    ({ message }: Error) => message,
  );
  const sent = sns.commandCalls(PublishCommand).map(({ args: [{ input }] }) => input);
  expect(sent).toEqual(outcome === 'sent' ? [{ TopicArn: TOPIC, Subject: 'ALARM', Message: '{}' }] : []);
  return outcome;
}

describe('a message to a topic', () => {
  it.each<[string, string, string]>([
    ['is let by its policy', policy(publish), 'sent'],
    [
      'is let for this alarm',
      policy({ ...publish, Condition: { ArnLike: { 'aws:SourceArn': ALARM.replace('drift', '*') } } }),
      'sent',
    ],
    [
      'is let by the policy that every topic begins with',
      policy({
        Principal: { AWS: '*' },
        Action: 'SNS:Publish',
        Resource: TOPIC,
        Condition: { StringEquals: { 'AWS:SourceOwner': '000000000000' } },
      }),
      'sent',
    ],
    ['is not let by nothing', '', refused],
    [
      'is not let to another service',
      policy({ ...publish, Principal: { Service: 'events.amazonaws.com' } }),
      refused,
    ],
    [
      'is not let for another alarm',
      policy({ ...publish, Condition: { ArnEquals: { 'aws:SourceArn': `${ALARM}s` } } }),
      refused,
    ],
    [
      'is not let for another account',
      policy({ ...publish, Condition: { StringEquals: { 'aws:SourceAccount': '111122223333' } } }),
      refused,
    ],
    ['is denied', policy(publish, { ...publish, Effect: 'Deny' }), refused],
  ])('%s', async (_, given, expected) => {
    expect(await tell(given)).toBe(expected);
  });

  it.each<[string, { id: string; policy?: string; state?: KeyState }, string]>([
    ['that CloudWatch may use', { id: KEY }, 'sent'],
    ['by its alias', { id: 'alias/own' }, 'sent'],
    [
      'that is managed by AWS',
      { id: 'alias/aws/sns' },
      'cloudwatch.amazonaws.com may not use the key alias/aws/sns',
    ],
    [
      'that CloudWatch may half use',
      { id: KEY, policy: policy({ ...cloudWatch, Action: 'kms:GenerateDataKey*' }) },
      `cloudwatch.amazonaws.com is not authorized to perform: kms:Decrypt on resource: ${KEY}`,
    ],
    [
      'of the account alone',
      { id: KEY, policy: policy({ Principal: { AWS: 'arn:aws:iam::000000000000:root' }, Action: 'kms:*' }) },
      `cloudwatch.amazonaws.com is not authorized to perform: kms:GenerateDataKey on resource: ${KEY}`,
    ],
    ['that is disabled', { id: KEY, state: KeyState.Disabled }, `the key ${KEY} is Disabled`],
  ])('with a key %s', async (_, key, expected) => {
    expect(await tell(policy(publish), key)).toBe(expected);
  });

  it('fails where the topic is gone', async () => {
    sns.on(GetTopicAttributesCommand).rejects(new Error('Topic does not exist'));
    await expect(account.act(TOPIC, 'ALARM', '{}', ALARM)).rejects.toThrow('Topic does not exist');
  });
});

describe('an invocation', () => {
  const invoke = {
    Principal: { Service: 'lambda.alarms.cloudwatch.amazonaws.com' },
    Action: 'lambda:InvokeFunction',
    Condition: { StringEquals: { 'aws:SourceAccount': '000000000000' }, ArnLike: { 'aws:SourceArn': ALARM } },
  };

  it.each([
    [FUNCTION, { FunctionName: FUNCTION }],
    [`${FUNCTION}:live`, { FunctionName: FUNCTION, Qualifier: 'live' }],
  ])('of %s is let by its policy', async (arn, target) => {
    lambda.on(GetPolicyCommand, target).resolves({ Policy: policy({ ...invoke, Resource: arn }) });
    lambda.on(InvokeCommand).resolves({});
    await account.act(arn, '', '{"source":"aws.cloudwatch"}', ALARM);
    expect(lambda.commandCalls(InvokeCommand).map(({ args: [{ input }] }) => input)).toEqual([
      { ...target, InvocationType: 'Event', Payload: Buffer.from('{"source":"aws.cloudwatch"}') },
    ]);
  });

  it('is refused without one', async () => {
    lambda.on(GetPolicyCommand).rejects(new ResourceNotFoundException({ message: 'none', $metadata: {} }));
    await expect(account.act(FUNCTION, '', '{}', ALARM)).rejects.toThrow(
      `lambda.alarms.cloudwatch.amazonaws.com is not authorized to perform: lambda:InvokeFunction on resource: ${FUNCTION}`,
    );
    expect(lambda.commandCalls(InvokeCommand)).toEqual([]);
  });
});

it('has no other actions', async () => {
  await expect(account.act('arn:aws:automate:us-east-1:ec2:stop', '', '{}', ALARM)).rejects.toThrow(
    'The local CloudWatch has no actions of automate.',
  );
});

describe('an event', () => {
  it('goes to EventBridge', async () => {
    events.on(PutEventsCommand).resolves({ Entries: [{ EventId: '1' }] });
    await account.emit('CloudWatch Alarm State Change', { alarmName: 'drift' }, [ALARM]);
    expect(events.commandCalls(PutEventsCommand).map(({ args: [{ input }] }) => input)).toEqual([
      {
        Entries: [
          {
            Source: 'aws.cloudwatch',
            DetailType: 'CloudWatch Alarm State Change',
            Resources: [ALARM],
            Detail: '{"alarmName":"drift"}',
          },
        ],
      },
    ]);
    expect(log).toEqual([]);
  });

  it('that does not get there is logged', async () => {
    events.on(PutEventsCommand).resolves({ Entries: [{ ErrorCode: 'NotAuthorized', ErrorMessage: 'no' }] });
    await account.emit('CloudWatch Alarm State Change', {}, [ALARM]);
    expect(log).toEqual([
      `event "CloudWatch Alarm State Change" of ${ALARM} did not get through: NotAuthorized: no`,
    ]);
  });
});

describe('the process of the local CloudWatch', () => {
  let directory: string;
  let child: ChildProcess;
  let ended: Promise<unknown>;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'tocsin-cloudwatch-'));
    child = spawn(process.execPath, ['sandbox/cloudwatch/main.ts', directory], {
      env: { PATH: process.env.PATH, TMPDIR: directory },
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    ended = once(child, 'exit');
  });

  afterEach(async () => {
    child.kill('SIGKILL');
    await ended;
    await rm(directory, { recursive: true, force: true, maxRetries: 3 });
  });

  it('serves, and ends when its standard input does', async () => {
    let port = '';
    while (port === '') {
      await sleep(10);
      port = await readFile(join(directory, 'cloudwatch.port'), 'utf8').catch(() => '');
    }
    const answer = await fetch(`http://127.0.0.1:${port}`, {
      method: 'POST',
      headers: {
        'x-amz-target': 'GraniteServiceVersion20100801.DescribeAlarms',
        authorization: 'AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/monitoring/aws4_request',
      },
      body: '{}',
    });
    expect([answer.status, await answer.json()]).toEqual([
      503,
      { __type: 'ServiceUnavailable', message: 'The account is not there yet.' },
    ]);
    (child.stdin as Writable).end();
    expect(await ended).toEqual([0, null]);
  });
});
