import { Stack, Validations } from 'aws-cdk-lib';
import type { Construct } from 'constructs';

/**
 * Acknowledges, for cdk-nag, the wildcards in the resources that one role or policy is granted, each by itself: a
 * wildcard that nobody gave a reason for remains a finding.
 */
export function acknowledgeWildcards(
  construct: Construct,
  resources: readonly string[],
  reason: string,
): void {
  const stack = Stack.of(construct);
  for (const resource of resources) {
    Validations.of(construct).acknowledge({
      id: `AwsSolutions-IAM5[Resource::${flatten(stack.resolve(resource))}]`,
      reason,
    });
  }
}

/** A CloudFormation value as cdk-nag writes it: `<Bucket.Arn>/prefix/*`. */
function flatten(value: unknown): string {
  if (typeof value === 'string') return value;
  const [[name, argument]] = Object.entries(value as object) as [[string, unknown]];
  if (name === 'Ref') return `<${argument}>`;
  if (name === 'Fn::GetAtt') return `<${(argument as string[]).join('.')}>`;
  if (name === 'Fn::Join') return (argument as [string, unknown[]])[1].map(flatten).join('');
  return JSON.stringify(value);
}
