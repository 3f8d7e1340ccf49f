import { ApplicationAutoScalingClient } from '@aws-sdk/client-application-auto-scaling';
import { CloudFormationClient } from '@aws-sdk/client-cloudformation';
import { CloudWatchClient } from '@aws-sdk/client-cloudwatch';
import { EventBridgeClient } from '@aws-sdk/client-eventbridge';
import { GlueClient } from '@aws-sdk/client-glue';
import { LambdaClient } from '@aws-sdk/client-lambda';
import { ResourceGroupsTaggingAPIClient } from '@aws-sdk/client-resource-groups-tagging-api';
import { S3Client } from '@aws-sdk/client-s3';
import { SageMakerClient } from '@aws-sdk/client-sagemaker';
import { SageMakerRuntimeClient } from '@aws-sdk/client-sagemaker-runtime';
import { SchedulerClient } from '@aws-sdk/client-scheduler';
import { SSMClient } from '@aws-sdk/client-ssm';
import { AssumeRoleCommand, GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts';
import { CLIENT_OPTIONS, call, dependencyError } from '../../shared/aws.ts';
import { GateDependencyError, GateInputError } from '../../shared/errors.ts';
import type { EnvironmentConfig } from '../schema.ts';
import type { Clients } from './reading.ts';

/*
 * The clients of an environment.
 */

/** An environment is read with thousands of calls, and beside others that call: throttling is usual, and waited out. */
const READING_OPTIONS = { ...CLIENT_OPTIONS, retryMode: 'adaptive', maxAttempts: 8 };

/** Of a golden request. */
const ANSWER_MS = 15_000;

/** Golden requests are asked again where that makes sense, and only there. */
const ASKING_OPTIONS = {
  ...CLIENT_OPTIONS,
  maxAttempts: 1,
  requestHandler: { ...CLIENT_OPTIONS.requestHandler, requestTimeout: ANSWER_MS, socketTimeout: ANSWER_MS },
};

const SESSION = 'tocsin-parity';

/** When the SDK takes credentials for expired: so long before they are. */
const REFRESH_MS = 300_000;

interface Credentials {
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken: string;
  expiration: Date;
}

/**
 * The clients that read an environment.
 *
 * A role is assumed with the first call, once for all of them, and again before its session ends. Where that fails, so
 * does the call, with GateDependencyError.
 *
 * @param own region of an environment that names none, default that of the process; and what assumes its role
 */
export function clientsOf(
  { region, role, externalId }: EnvironmentConfig,
  own: { region?: string; sts?: STSClient } = {},
): Clients {
  const place = region ?? own.region;
  const where = place === undefined ? {} : { region: place };
  const who =
    role === undefined
      ? {}
      : {
          credentials: assumed(own.sts ?? new STSClient({ ...CLIENT_OPTIONS, ...where }), role, externalId),
        };
  const options = { ...READING_OPTIONS, ...where, ...who };
  return {
    sts: new STSClient(options),
    sagemaker: new SageMakerClient(options),
    runtime: new SageMakerRuntimeClient({ ...ASKING_OPTIONS, ...where, ...who }),
    scaling: new ApplicationAutoScalingClient(options),
    cloudwatch: new CloudWatchClient(options),
    lambda: new LambdaClient(options),
    ssm: new SSMClient(options),
    glue: new GlueClient(options),
    events: new EventBridgeClient(options),
    scheduler: new SchedulerClient(options),
    cloudformation: new CloudFormationClient(options),
    tagging: new ResourceGroupsTaggingAPIClient(options),
    s3: new S3Client(options),
  };
}

/** Credentials of a role, which many clients share: one session for all of them. */
function assumed(sts: STSClient, role: string, externalId: string | undefined): () => Promise<Credentials> {
  let current: Credentials | undefined;
  let pending: Promise<Credentials> | undefined;
  return async () => {
    if (current !== undefined && current.expiration.getTime() - Date.now() >= REFRESH_MS) return current;
    pending ??= assume(sts, role, externalId).finally(() => {
      pending = undefined;
    });
    current = await pending;
    return current;
  };
}

async function assume(sts: STSClient, role: string, externalId: string | undefined): Promise<Credentials> {
  try {
    const { Credentials: found } = await sts.send(
      new AssumeRoleCommand({
        RoleArn: role,
        RoleSessionName: SESSION,
        ...(externalId !== undefined && { ExternalId: externalId }),
      }),
    );
    const { AccessKeyId, SecretAccessKey, SessionToken, Expiration } = found ?? {};
    if (!AccessKeyId || !SecretAccessKey || !SessionToken || !Expiration) {
      throw new GateDependencyError(`sts:AssumeRole ${role} answered without credentials`);
    }
    return {
      accessKeyId: AccessKeyId,
      secretAccessKey: SecretAccessKey,
      sessionToken: SessionToken,
      expiration: Expiration,
    };
  } catch (error) {
    throw new GateDependencyError(dependencyError(`sts:AssumeRole ${role}`, error).message, {
      cause: error,
      help: "Look whether there is such a role, whether its trust policy names who reads with it (Tocsin's role, or you), and whether it asks for the externalId of tocsin.yaml.",
    });
  }
}

/**
 * Finds out what is read.
 *
 * @throws GateInputError where it is another account than the one that tocsin.yaml names
 * @throws GateDependencyError where the role cannot be assumed, or STS does not answer
 */
export async function whoami(
  { sts }: Pick<Clients, 'sts'>,
  { account }: Pick<EnvironmentConfig, 'account'>,
): Promise<{ account: string; region: string }> {
  const { Account = '' } = await call('sts:GetCallerIdentity', sts.send(new GetCallerIdentityCommand({})));
  if (account !== undefined && account !== Account) {
    throw new GateInputError(`expected to read the account ${account}, got ${Account}`, {
      help: 'Correct account or role in tocsin.yaml.',
    });
  }
  return { account: Account, region: await sts.config.region() };
}
