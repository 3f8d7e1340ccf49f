import { Stack } from 'aws-cdk-lib';
import { localArn } from './arn.ts';
import type { GateFunction } from './gate-function.ts';

/**
 * Lets a gate deploy endpoint configurations, and look at them. Which endpoints it may deploy them to is to be said beside
 * this: SageMaker asks for `sagemaker:UpdateEndpoint` of both.
 */
export function allowDeploying(gate: GateFunction): void {
  gate.allow({
    actions: ['sagemaker:DescribeEndpointConfig', 'sagemaker:UpdateEndpoint'],
    resources: [localArn(gate, 'sagemaker', 'endpoint-config/*')],
    wildcards: 'Which configuration an endpoint has, and is brought back to, is known then, and not before.',
  });
  const { region, urlSuffix } = Stack.of(gate);
  gate.allow({
    // Of configurations whose instances have disks that a key of the account encrypts.
    actions: ['kms:CreateGrant'],
    resources: [localArn(gate, 'kms', 'key/*')],
    conditions: {
      StringEquals: { 'kms:ViaService': `sagemaker.${region}.${urlSuffix}` },
      Bool: { 'kms:GrantIsForAWSResource': 'true' },
    },
    wildcards:
      'A configuration names its key; only SageMaker may hand it on, and only to what AWS runs for it.',
  });
  gate.allow({
    // With a deployment guardrail: AWS says that this is asked for, and not of whom.
    actions: ['cloudwatch:DescribeAlarms'],
    resources: ['*'],
    wildcards: 'X-Ray takes segments, and CloudWatch tells of composite alarms, on no narrower resource.',
  });
}
