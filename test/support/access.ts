import { anonymousPrincipal, runSimulation } from '@cloud-copilot/iam-simulate';

/** A policy document or anything that is one as JSON. */
export interface PolicyDocument {
  Version?: string;
  Statement: unknown[];
}

/** One request to S3 about one object. */
export interface ObjectRequest {
  /** ARN of a role, or `anonymous`. */
  principal: string;
  action: string;
  /** `bucket/key` */
  object: string;
  /** Tags of the object version that exists. */
  tags?: Record<string, string>;
}

/**
 * Whether S3 would answer, to a principal in the account of the bucket whose own policy allows everything on S3:
 * only the bucket policy can stop it. The role acts through a session, as roles do.
 */
export async function isAllowed(bucketPolicy: PolicyDocument, request: ObjectRequest): Promise<boolean> {
  const { principal, action, object, tags = {} } = request;
  const [, account = '111122223333', role = ''] =
    /^arn:aws:iam::(\d+):role\/(?:.*\/)?(.+)$/.exec(principal) ?? [];
  const anonymous = principal === 'anonymous';
  const tagContext = Object.entries(tags).map(([key, value]) => [`s3:ExistingObjectTag/${key}`, value]);
  const result = await runSimulation(
    {
      request: {
        principal: anonymous ? anonymousPrincipal : `arn:aws:sts::${account}:assumed-role/${role}/session`,
        action,
        resource: { resource: `arn:aws:s3:::${object}`, accountId: account },
        contextVariables: {
          ...Object.fromEntries(tagContext),
          'aws:SecureTransport': 'true',
          ...(!anonymous && { 'aws:PrincipalArn': principal }),
        },
      },
      identityPolicies: anonymous
        ? []
        : [
            {
              name: 'all',
              policy: {
                Version: '2012-10-17',
                Statement: [{ Effect: 'Allow', Action: 's3:*', Resource: '*' }],
              },
            },
          ],
      serviceControlPolicies: [],
      resourceControlPolicies: [],
      resourcePolicy: bucketPolicy,
    },
    {},
  );
  if (result.resultType === 'error') throw new Error(JSON.stringify(result.errors));
  return result.overallResult === 'Allowed';
}

/**
 * Whether a role with this policy may do something, to a resource of its own account.
 *
 * @param context values of condition keys; tags of the resource are `aws:ResourceTag/...`
 */
export async function mayDo(
  policy: PolicyDocument,
  action: string,
  resource: string,
  context: Record<string, string | string[]> = {},
): Promise<boolean> {
  const account = '111122223333';
  const result = await runSimulation(
    {
      request: {
        principal: `arn:aws:sts::${account}:assumed-role/gate/session`,
        action,
        resource: { resource, accountId: account },
        contextVariables: context,
      },
      identityPolicies: [{ name: 'role', policy }],
      serviceControlPolicies: [],
      resourceControlPolicies: [],
    },
    {},
  );
  if (result.resultType === 'error') throw new Error(JSON.stringify(result.errors));
  return result.overallResult === 'Allowed';
}
