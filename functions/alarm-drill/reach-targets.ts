import { listOf } from '../shared/format.ts';
import { tryJson } from '../shared/schema.ts';
import type { MetricAlarm } from './alarm.ts';
import type { ActionFacts, Permission } from './measurements.ts';
import type { Proof } from './reach-proof.ts';

/*
 * Targets of actions: whether they exist, whether CloudWatch may use them, and whether anybody is behind them.
 */

/** Proves that what CloudWatch tells a target comes to somebody. */
export function proveTarget(proof: Proof, alarm: MetricAlarm, arn: string): void {
  const target = proof.facts.actions[arn];
  const subject = `action ${nameOf(arn)}`;
  if (!target) proof.skip(subject, 'target', 'nothing was read of it');
  else if (target.kind === 'unchecked') proof.skip(subject, 'target', target.why);
  else if (!target.exists) {
    proof.add({
      check: 'target',
      subject,
      outcome: 'fail',
      message: `Alarm ${alarm.name} tells ${nameOf(arn)}, which does not exist: CloudWatch does not say so.`,
      allowed: 'an existing target',
      observed: 'none',
      help: `Create ${arn}, or take it out of the actions of the alarm.`,
    });
  } else if (target.kind === 'lambda') proveFunction(proof, alarm, target);
  else proveTopic(proof, alarm, target);
}

function proveFunction(
  proof: Proof,
  alarm: MetricAlarm,
  { arn, invoke }: Extract<ActionFacts, { kind: 'lambda' }>,
): void {
  provePermission(proof, arn, 'invoke', invoke, {
    does: `CloudWatch may invoke function ${nameOf(arn)}`,
    doesNot: `Alarm ${alarm.name} cannot invoke function ${nameOf(arn)}`,
    help: `Allow it: aws lambda add-permission --function-name ${nameOf(arn)} --action lambda:InvokeFunction --principal lambda.alarms.cloudwatch.amazonaws.com --source-arn ${alarm.arn}, in CDK alarm.addAlarmAction(new LambdaAction(fn)).`,
  });
}

function proveTopic(proof: Proof, alarm: MetricAlarm, topic: Extract<ActionFacts, { kind: 'sns' }>): void {
  const name = nameOf(topic.arn);
  provePermission(proof, topic.arn, 'publish', topic.publish, {
    does: `CloudWatch may publish to topic ${name}`,
    doesNot: `What alarm ${alarm.name} tells topic ${name} is lost`,
    help: `Let cloudwatch.amazonaws.com do sns:Publish in the policy of the topic (aws sns set-topic-attributes --attribute-name Policy), in CDK topic.grantPublish(new ServicePrincipal('cloudwatch.amazonaws.com')).`,
  });
  if (topic.key) {
    provePermission(proof, topic.arn, 'key', topic.key, {
      does: `CloudWatch may use key ${topic.key.id} of the encrypted topic ${name}`,
      doesNot: `What alarm ${alarm.name} tells topic ${name} is lost, as CloudWatch cannot use its key ${topic.key.id}`,
      help: `Encrypt the topic with a customer-managed key whose policy lets cloudwatch.amazonaws.com do kms:Decrypt and kms:GenerateDataKey*, in CDK key.grantEncryptDecrypt(new ServicePrincipal('cloudwatch.amazonaws.com')).`,
    });
  }
  proveSubscribers(proof, alarm, topic);
}

function provePermission(
  proof: Proof,
  arn: string,
  check: 'publish' | 'key' | 'invoke',
  permission: Permission | undefined,
  { does, doesNot, help }: { does: string; doesNot: string; help: string },
): void {
  const subject = `action ${nameOf(arn)}`;
  if (!permission) {
    proof.skip(subject, check, 'its permissions were not read');
    return;
  }
  const { verdict, why } = permission;
  const common = { check, subject, allowed: 'allowed', observed: verdict };
  if (verdict === 'allowed') proof.add({ ...common, outcome: 'pass', message: `${does}: ${why}.` });
  else if (verdict === 'denied') {
    proof.add({ ...common, outcome: 'fail', message: `${doesNot}: ${why}.`, help });
  } else {
    proof.add({ ...common, outcome: 'inconclusive', message: `Whether ${does} is not clear: ${why}.`, help });
  }
}

function proveSubscribers(
  proof: Proof,
  alarm: MetricAlarm,
  { arn, subscriptions }: Extract<ActionFacts, { kind: 'sns' }>,
): void {
  const name = nameOf(arn);
  const subject = `action ${name}`;
  const confirmed = subscriptions.filter(({ pending }) => !pending);
  const pending = subscriptions.filter((one) => one.pending);
  const who = (some: typeof subscriptions) =>
    listOf(some.slice(0, 5).map(({ protocol, endpoint }) => `${protocol} ${endpoint}`));
  const common = { check: 'subscribers', subject, allowed: 'at least one confirmed subscription' };
  if (confirmed.length === 0) {
    proof.add({
      ...common,
      outcome: 'fail',
      ...(pending.length > 0
        ? {
            message: `Topic ${name} reaches nobody: ${who(pending)} never confirmed the subscription, so what alarm ${alarm.name} tells it is lost.`,
            observed: `${pending.length} pending`,
            help: 'Follow the link in the confirmation message, or subscribe again to get a new one: aws sns subscribe.',
          }
        : {
            message: `Topic ${name} has no subscription, so what alarm ${alarm.name} tells it reaches nobody.`,
            observed: 'none',
            help: `Subscribe those on call: aws sns subscribe --topic-arn ${arn}, in CDK topic.addSubscription(new EmailSubscription(address)).`,
          }),
    });
    return;
  }
  const hearing = confirmed.filter(({ filter }) => filter === undefined || lets(filter, alarm) !== false);
  if (hearing.length === 0) {
    proof.add({
      ...common,
      outcome: 'warn',
      message: `Topic ${name} seems to reach nobody: the filter of ${who(confirmed)} drops notifications of alarm ${alarm.name}.`,
      observed: 'filtered',
      help: 'Notifications of alarms have no attributes: filter on their body (FilterPolicyScope MessageBody), or take the filter away: aws sns set-subscription-attributes.',
    });
    return;
  }
  proof.add({
    ...common,
    outcome: 'pass',
    message: `Topic ${name} reaches ${who(hearing)}${pending.length > 0 ? `; ${who(pending)} did not confirm yet` : ''}.`,
    observed: `${hearing.length} of ${subscriptions.length}`,
  });
}

/**
 * Whether a filter lets a notification through that says that the alarm is in ALARM; undefined where that cannot be
 * told. Whether it filters on attributes, of which there are none, or on the body, its keys tell.
 */
function lets(filter: string, alarm: MetricAlarm): boolean | undefined {
  const policy = tryJson(filter);
  if (typeof policy !== 'object' || policy === null) return undefined;
  const body: Record<string, string> = { AlarmName: alarm.name, AlarmArn: alarm.arn, NewStateValue: 'ALARM' };
  const parts = Object.entries(policy).map(([key, conditions]) => {
    if (key.startsWith('$') || (!(key in body) && BODY.includes(key))) return undefined;
    const matches = [conditions].flat().map((condition) => matchesFilter(condition, body[key]));
    if (matches.includes(true)) return true;
    return matches.includes(undefined) ? undefined : false;
  });
  if (parts.includes(false)) return false;
  return parts.includes(undefined) ? undefined : true;
}

/** What else the body of a notification has. */
const BODY = [
  'AlarmDescription',
  'AWSAccountId',
  'AlarmConfigurationUpdatedTimestamp',
  'NewStateReason',
  'StateChangeTime',
  'Region',
  'OldStateValue',
  'OKActions',
  'AlarmActions',
  'InsufficientDataActions',
  'Trigger',
];

function matchesFilter(condition: unknown, value: string | undefined): boolean | undefined {
  if (typeof condition !== 'object' || condition === null) return condition === value;
  const [[operator, operand] = []] = Object.entries(condition);
  if (operator === 'exists') return operand === (value !== undefined);
  if (value === undefined) return false;
  if (typeof operand !== 'string') return undefined;
  switch (operator) {
    case 'prefix':
      return value.startsWith(operand);
    case 'suffix':
      return value.endsWith(operand);
    case 'equals-ignore-case':
      return value.toLowerCase() === operand.toLowerCase();
    case 'anything-but':
      return value !== operand;
    default:
      return undefined;
  }
}

/** `ml-oncall` of the ARN of a topic; of other ARNs all from the service on. */
export function nameOf(arn: string): string {
  const [, , service = '', , , ...rest] = arn.split(':');
  if (service === 'sns') return rest.join(':');
  if (service === 'lambda') return rest.slice(1).join(':');
  return rest.length > 0 ? `${service}:${rest.join(':')}` : arn;
}
