import type { Template } from 'aws-cdk-lib/assertions';
import { ACCOUNT, REGION, resourceOf } from './synthesize.ts';

/** A statement of a policy, as CloudFormation gets it. */
export interface Statement {
  Effect: string;
  Action: string | string[];
  Resource: string | string[];
  Principal?: unknown;
  Condition?: unknown;
}

/** The policy of the only role whose logical id begins so, with its functions resolved. */
export function policyOf(template: Template, id: string): { Version: string; Statement: Statement[] } {
  return resourceOf<{ PolicyDocument: ReturnType<typeof policyOf> }>(template, 'AWS::IAM::Policy', id)
    .PolicyDocument;
}

/** Actions by resource, each once and in order. */
export type Permissions = Record<string, string[]>;

/** What statements allow. */
export function permissionsOf(statements: readonly Statement[]): Permissions {
  const found: Permissions = {};
  for (const { Action, Resource } of statements) {
    for (const resource of [Resource].flat()) {
      found[resource] = [...new Set([...(found[resource] ?? []), ...[Action].flat()])].sort();
    }
  }
  return found;
}

/**
 * What every function may do: read its configuration, write logs, give up an event.
 *
 * @param prefix of the logical ids of its construct, in lower case
 * @param found the configuration has a name that only the template knows
 */
export function everyFunction(prefix: string, found: Permissions): Permissions {
  const local = `${REGION}:${ACCOUNT}`;
  const config = Object.keys(found).find((resource) => resource.includes('cdk-hnb659fds-assets'));
  return {
    [config ?? 'the configuration']: ['s3:GetObject'],
    [`arn:aws:sqs:${local}:${prefix}gatedeadletters`]: ['sqs:SendMessage'],
    [`arn:aws:logs:${local}:log-group:${prefix}gatelogs:*`]: ['logs:CreateLogStream', 'logs:PutLogEvents'],
  };
}
