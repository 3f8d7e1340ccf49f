import { DescribeKeyCommand, GetKeyPolicyCommand, type KMSClient } from '@aws-sdk/client-kms';
import { GetFunctionConcurrencyCommand, GetPolicyCommand, type LambdaClient } from '@aws-sdk/client-lambda';
import {
  GetSubscriptionAttributesCommand,
  GetTopicAttributesCommand,
  ListSubscriptionsByTopicCommand,
  type SNSClient,
  type Subscription,
} from '@aws-sdk/client-sns';
import { call, dependencyError, statusOf } from '../../shared/aws.ts';
import { messageOf } from '../../shared/errors.ts';
import type { ActionFacts, Permission } from '../measurements.ts';
import { mayUse } from '../policy.ts';
import { SHADOW } from '../schema.ts';

/*
 * What an alarm tells: topics with their keys and subscribers, functions.
 */

export interface ActionClients {
  sns: SNSClient;
  lambda: LambdaClient;
  kms: KMSClient;
}

/** Whose action it is. */
export interface Telling {
  account: string;
  region: string;
  /** ARNs of the alarms that have the action. */
  alarms: readonly string[];
}

type TopicFacts = Extract<ActionFacts, { kind: 'sns' }>;
type SubscriberFacts = TopicFacts['subscriptions'][number];

/** As whom CloudWatch notifies a topic, and as whom it invokes a function. */
const NOTIFIER = 'cloudwatch.amazonaws.com';
const INVOKER = 'lambda.alarms.cloudwatch.amazonaws.com';

/** Pages of 100 subscriptions that are looked at, confirmed ones whose filter is read, and how many of a kind are told. */
const PAGES = 10;
const FILTERS_READ = 20;
const TOLD = 5;

/** Characters of a filter policy that are kept; SNS takes 256 KB. */
const FILTER = 500;

/** What an action is that nobody can look at, by the service of its ARN. */
const UNCHECKED: Record<string, string> = {
  automate: 'stops, terminates, reboots or recovers an EC2 instance, which only the event itself shows',
  swf: 'stops, terminates or reboots an EC2 instance, which only the event itself shows',
  autoscaling: 'scales an Auto Scaling group, which only the event itself shows',
  ssm: 'opens an OpsItem, which only the event itself shows',
  'ssm-incidents': 'opens an incident of Incident Manager, which only the event itself shows',
  aiops: 'opens an investigation, which only the event itself shows',
};

/**
 * Reads what is known of one action.
 *
 * @throws GateDependencyError where a service of this account does not answer, or refuses
 */
export async function actionFacts(clients: ActionClients, arn: string, by: Telling): Promise<ActionFacts> {
  const [, , service = '', region = '', account = ''] = arn.split(':');
  if (service !== 'sns' && service !== 'lambda') {
    return { kind: 'unchecked', arn, why: UNCHECKED[service] ?? `nothing here knows actions of ${service}` };
  }
  if (region !== by.region) return { kind: 'unchecked', arn, why: `it is in another region, ${region}` };
  try {
    return await (service === 'sns' ? topicFacts(clients, arn, by) : functionFacts(clients.lambda, arn, by));
  } catch (error) {
    if (account === by.account || !isDenied(error)) throw error;
    return { kind: 'unchecked', arn, why: `account ${account} does not let this one look at it` };
  }
}

async function topicFacts(clients: ActionClients, arn: string, by: Telling): Promise<ActionFacts> {
  let attributes: Record<string, string>;
  try {
    const answer = await clients.sns.send(new GetTopicAttributesCommand({ TopicArn: arn }));
    attributes = answer.Attributes ?? {};
  } catch (error) {
    if (statusOf(error) === 404) return { kind: 'sns', arn, exists: false, subscriptions: [] };
    throw dependencyError(`GetTopicAttributes ${arn}`, error);
  }
  const { Policy = null, KmsMasterKeyId } = attributes;
  return {
    kind: 'sns',
    arn,
    exists: true,
    publish: may(Policy, NOTIFIER, 'sns:Publish', arn, by),
    ...(KmsMasterKeyId && { key: await keyFacts(clients.kms, KmsMasterKeyId, arn, by) }),
    subscriptions: await subscribersOf(clients.sns, arn),
  };
}

/** On behalf of every alarm that has the action: the worst answer counts. */
function may(
  policy: string | null,
  service: string,
  action: string,
  resource: string,
  by: Telling,
  context: Record<string, string> = {},
): Permission {
  const worst = ['denied', 'unclear', 'allowed'];
  const [permission] = by.alarms
    .map((alarm) =>
      mayUse(policy, {
        service,
        action,
        resource,
        account: by.account,
        context: { ...context, 'aws:SourceArn': alarm, 'aws:SourceAccount': by.account },
      }),
    )
    .toSorted((a, b) => worst.indexOf(a.verdict) - worst.indexOf(b.verdict));
  return permission ?? { verdict: 'unclear', why: 'no alarm has this action' };
}

/**
 * Whether CloudWatch may use the key of a topic. The key that AWS manages for SNS lets nobody but the account's own
 * principals in, and its policy cannot be changed.
 */
async function keyFacts(
  kms: KMSClient,
  id: string,
  topic: string,
  by: Telling,
): Promise<NonNullable<TopicFacts['key']>> {
  const managed: Permission = {
    verdict: 'denied',
    why: 'AWS manages the key, and its policy does not let CloudWatch use it',
  };
  if (/(^|:)alias\/aws\/sns$/.test(id)) return { id, ...managed };
  try {
    const { KeyMetadata: key } = await call(
      `DescribeKey ${id}`,
      kms.send(new DescribeKeyCommand({ KeyId: id })),
    );
    if (key?.KeyManager === 'AWS') return { id, ...managed };
    if (key?.KeyState !== undefined && key.KeyState !== 'Enabled') {
      return { id, verdict: 'denied', why: `the key is ${key.KeyState}` };
    }
    const KeyId = key?.Arn ?? id;
    const { Policy = null } = await call(
      `GetKeyPolicy ${KeyId}`,
      kms.send(new GetKeyPolicyCommand({ KeyId, PolicyName: 'default' })),
    );
    const context = { 'kms:EncryptionContext:aws:sns:topicArn': topic };
    const permissions = ['kms:GenerateDataKey', 'kms:Decrypt'].map((action) =>
      may(Policy, NOTIFIER, action, KeyId, by, context),
    );
    const refused =
      permissions.find(({ verdict }) => verdict === 'denied') ??
      permissions.find(({ verdict }) => verdict === 'unclear');
    return {
      id,
      ...(refused ?? { verdict: 'allowed', why: 'the policy of the key lets CloudWatch use it' }),
    };
  } catch (error) {
    if (isGone(error)) return { id, verdict: 'denied', why: 'there is no such key' };
    return { id, verdict: 'unclear', why: `the key cannot be looked at: ${messageOf(error).slice(0, 300)}` };
  }
}

/** Those that get everything first, then those that filter, then pending ones; without those of drills. */
async function subscribersOf(sns: SNSClient, topic: string): Promise<SubscriberFacts[]> {
  const found: Subscription[] = [];
  let NextToken: string | undefined;
  for (let page = 0; page < PAGES && (page === 0 || NextToken !== undefined); page++) {
    const answer = await call(
      `ListSubscriptionsByTopic ${topic}`,
      sns.send(
        new ListSubscriptionsByTopicCommand({
          TopicArn: topic,
          ...(NextToken !== undefined && { NextToken }),
        }),
      ),
    );
    found.push(...(answer.Subscriptions ?? []));
    NextToken = answer.NextToken;
  }
  const others = found.filter(({ Endpoint = '' }) => !Endpoint.split(':').at(-1)?.startsWith(SHADOW));
  const confirmed = others.filter(({ SubscriptionArn = '' }) => SubscriptionArn.startsWith('arn:'));
  const pending = others.filter(({ SubscriptionArn }) => SubscriptionArn === 'PendingConfirmation');
  const facts: SubscriberFacts[] = [];
  for (const one of confirmed.slice(0, FILTERS_READ)) {
    const filter = await filterOf(sns, one.SubscriptionArn ?? '');
    facts.push({ ...subscriber(one, false), ...(filter !== undefined && { filter }) });
  }
  return [
    ...facts.filter(({ filter }) => filter === undefined).slice(0, TOLD),
    ...facts.filter(({ filter }) => filter !== undefined).slice(0, TOLD),
    ...pending.slice(0, TOLD).map((one) => subscriber(one, true)),
  ];
}

function subscriber({ Protocol = '', Endpoint = '' }: Subscription, pending: boolean): SubscriberFacts {
  return { protocol: Protocol, endpoint: masked(Protocol, Endpoint), pending };
}

/**
 * An end point without what names a person or opens a door: `a***@example.com`, `***67`, `https://example.com/***`.
 */
export function masked(protocol: string, endpoint: string): string {
  if (protocol.startsWith('email')) return endpoint.replace(/^(.?).*@/, '$1***@');
  if (protocol === 'sms') return `***${endpoint.slice(-2)}`;
  // The path of a web hook is often its password.
  if (protocol.startsWith('http'))
    return endpoint.replace(/^(https?:\/\/)(?:[^/@]*@)?([^/?#]*).*$/, '$1$2/***');
  return endpoint;
}

/**
 * The filter policy of a subscription, JSON; cut off where it is long. Of one on attributes the keys say so, as in
 * `{"attribute severity":["page"]}`: notifications of alarms have none.
 *
 * @returns undefined where everything comes through, or the subscription is gone
 */
async function filterOf(sns: SNSClient, arn: string): Promise<string | undefined> {
  try {
    const { Attributes = {} } = await sns.send(
      new GetSubscriptionAttributesCommand({ SubscriptionArn: arn }),
    );
    const { FilterPolicy, FilterPolicyScope } = Attributes;
    if (!FilterPolicy) return undefined;
    return (FilterPolicyScope === 'MessageBody' ? FilterPolicy : onAttributes(FilterPolicy)).slice(0, FILTER);
  } catch (error) {
    if (statusOf(error) === 404) return undefined;
    throw dependencyError(`GetSubscriptionAttributes ${arn}`, error);
  }
}

function onAttributes(policy: string): string {
  const entries = Object.entries(JSON.parse(policy) as Record<string, unknown>);
  // Those with a dollar sign are operators.
  const marked = entries.map(([key, value]) => [key.startsWith('$') ? key : `attribute ${key}`, value]);
  return JSON.stringify(Object.fromEntries(marked));
}

/** A permission of a function does not hold for its versions and aliases: each has a policy of its own. */
async function functionFacts(lambda: LambdaClient, arn: string, by: Telling): Promise<ActionFacts> {
  try {
    // Of all calls that know whether there is a function, this one reveals the least of it. It takes no version or alias:
    // one that does not exist has no policy either.
    const FunctionName = arn.split(':').slice(0, 7).join(':');
    await lambda.send(new GetFunctionConcurrencyCommand({ FunctionName }));
  } catch (error) {
    if (statusOf(error) === 404) return { kind: 'lambda', arn, exists: false };
    throw dependencyError(`GetFunctionConcurrency ${arn}`, error);
  }
  let policy: string | null;
  try {
    policy = (await lambda.send(new GetPolicyCommand({ FunctionName: arn }))).Policy ?? null;
  } catch (error) {
    if (statusOf(error) !== 404) throw dependencyError(`GetPolicy ${arn}`, error);
    policy = null;
  }
  return {
    kind: 'lambda',
    arn,
    exists: true,
    invoke: may(policy, INVOKER, 'lambda:InvokeFunction', arn, by),
  };
}

function isDenied(error: unknown): boolean {
  return statusOf((error as Error).cause) === 403;
}

function isGone(error: unknown): boolean {
  return ((error as Error).cause as Partial<Error> | undefined)?.name === 'NotFoundException';
}
