import { ArnFormat, Stack } from 'aws-cdk-lib';
import type { Construct } from 'constructs';

/** Another account or region than those of a stack. */
export interface Place {
  account?: string;
  region?: string;
}

/**
 * ARN of something in the account and region of a stack, or elsewhere; `resource` is all that follows: `endpoint/churn`.
 */
export function localArn(scope: Construct, service: string, resource: string, place: Place = {}): string {
  return Stack.of(scope).formatArn({
    service,
    resource,
    ...place,
    arnFormat: ArnFormat.NO_RESOURCE_NAME,
  });
}
