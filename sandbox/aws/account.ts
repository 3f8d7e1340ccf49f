import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { EventBridgeClient, PutEventsCommand } from '@aws-sdk/client-eventbridge';
import {
  GetPolicyCommand,
  GetPolicyVersionCommand,
  GetRoleCommand,
  GetRolePolicyCommand,
  IAMClient,
  paginateListAttachedRolePolicies,
  paginateListRolePolicies,
} from '@aws-sdk/client-iam';
import { runSimulation } from '@cloud-copilot/iam-simulate';
import { ACCOUNT, REGION, ROOT_CREDENTIALS } from '../emulator.ts';
import { type Caller, type Context, ROOT_CALLER, ServiceError } from './service.ts';

/** How long the policies of a role are remembered: a deployment that changes them is noticed at once. */
const MEMORY_MS = 1_000;

/** A role with everything that says what it may do. */
export interface Role {
  arn: string;
  /** Who may assume it. */
  trust: unknown;
  policies: { name: string; policy: unknown }[];
  boundary: { name: string; policy: unknown }[];
}

/** Where an account is found, as `account.json` says it. */
export interface AccountAddress {
  /** `https://127.0.0.1:port` */
  endpoint: string;
  /** File with the certificate that it serves with. */
  certificate: string;
}

/** Finds the account in the directory of a run. It is there once the emulator serves. */
export async function readAddress(directory: string): Promise<AccountAddress> {
  const text = await readFile(join(directory, 'account.json'), 'utf8').catch(() => {
    throw new ServiceError('ServiceUnavailable', 'The account is not there yet.', 503);
  });
  return JSON.parse(text) as AccountAddress;
}

/** Finds a service beside the emulator in the directory of a run: `http://127.0.0.1:port`. It may come up later. */
export async function readEndpoint(directory: string, service: string): Promise<string> {
  const port = await readFile(join(directory, `${service}.port`), 'utf8').catch(() => {
    throw new ServiceError('ServiceUnavailable', `The local ${service} is not there yet.`, 503);
  });
  return `http://127.0.0.1:${port}`;
}

/** Makes every connection that this process opens from now on accept an account's certificate. */
export async function trust({ certificate }: AccountAddress): Promise<void> {
  setDefaultCACertificates([...getCACertificates('default'), await readFile(certificate, 'utf8')]);
}

/** The emulated account around a local service: who calls, what they may, and where events go. */
export class LocalAccount {
  /** For clients with the rights of root. */
  protected readonly root: { endpoint: string; region: string; credentials: typeof ROOT_CREDENTIALS };
  readonly #iam: IAMClient;
  readonly #events: EventBridgeClient;
  readonly #log: (line: string) => void;
  readonly #roles = new Map<string, { read: Promise<Role | undefined>; at: number }>();

  /**
   * @param endpoint `https://127.0.0.1:port`; this process has to {@link trust} it
   * @param log gets the events that did not get through
   */
  constructor(endpoint: string, log: (line: string) => void) {
    this.root = { endpoint, region: REGION, credentials: ROOT_CREDENTIALS };
    this.#iam = new IAMClient(this.root);
    this.#events = new EventBridgeClient(this.root);
    this.#log = log;
  }

  /** Who has an access key; undefined where nobody has. */
  async identify(accessKeyId: string): Promise<Caller | undefined> {
    if (accessKeyId === ROOT_CREDENTIALS.accessKeyId) return ROOT_CALLER;
    // Of the sandbox (emulator.py): AWS has no operation that says whose session a key is of.
    const answer = await fetch(
      `${this.root.endpoint}/_sandbox/principals/${encodeURIComponent(accessKeyId)}`,
    );
    if (answer.status === 404) return undefined;
    if (!answer.ok) throw new Error(`the account answers ${answer.status} on the principal of a key`);
    return (await answer.json()) as { arn: string; role: string };
  }

  /**
   * @param context condition keys of the request, such as `iam:PassedToService`
   * @throws ServiceError AccessDeniedException, in AWS's words
   */
  async authorize(caller: Caller, action: string, resource: string, context: Context = {}): Promise<void> {
    if (caller.role === undefined) return;
    await authorizeRole(caller, await this.role(caller.role), action, resource, context);
  }

  /** Sends an event of a service. One that does not get through is logged, and fails nobody. */
  protected async putEvent(
    source: string,
    detailType: string,
    resources: readonly string[],
    detail: object,
  ): Promise<void> {
    const event = {
      Source: source,
      DetailType: detailType,
      Resources: [...resources],
      Detail: JSON.stringify(detail),
    };
    try {
      const { Entries } = await this.#events.send(new PutEventsCommand({ Entries: [event] }));
      const { ErrorCode, ErrorMessage } = Entries?.[0] ?? {};
      if (ErrorCode !== undefined) throw new Error(`${ErrorCode}: ${ErrorMessage}`);
    } catch (error) {
      this.#log(`event "${detailType}" of ${resources[0]} did not get through: ${(error as Error).message}`);
    }
  }

  /** A role by its ARN; undefined where there is none. */
  protected async role(arn: string): Promise<Role | undefined> {
    const known = this.#roles.get(arn);
    if (known !== undefined && Date.now() - known.at < MEMORY_MS) return known.read;
    const read = readRole(this.#iam, arn);
    this.#roles.set(arn, { read, at: Date.now() });
    // A failure is nobody's answer for the next second.
    read.catch(() => this.#roles.delete(arn));
    return read;
  }
}

/** Reads a role with its policies; undefined where there is none of that ARN. */
export async function readRole(iam: IAMClient, arn: string): Promise<Role | undefined> {
  const RoleName = arn.slice(arn.lastIndexOf('/') + 1);
  const answer = await iam.send(new GetRoleCommand({ RoleName })).catch((error: Error) => {
    if (error.name === 'NoSuchEntityException') return undefined;
    throw error;
  });
  const role = answer?.Role;
  if (role?.Arn !== arn) return undefined;
  const policies: Role['policies'] = [];
  for await (const { PolicyNames = [] } of paginateListRolePolicies({ client: iam }, { RoleName })) {
    for (const PolicyName of PolicyNames) {
      const { PolicyDocument } = await iam.send(new GetRolePolicyCommand({ RoleName, PolicyName }));
      policies.push({ name: PolicyName, policy: parseDocument(PolicyDocument) });
    }
  }
  for await (const { AttachedPolicies = [] } of paginateListAttachedRolePolicies(
    { client: iam },
    { RoleName },
  )) {
    for (const { PolicyArn = '' } of AttachedPolicies) policies.push(await managed(iam, PolicyArn));
  }
  const boundary = role.PermissionsBoundary?.PermissionsBoundaryArn;
  return {
    arn,
    trust: parseDocument(role.AssumeRolePolicyDocument),
    policies,
    boundary: boundary === undefined ? [] : [await managed(iam, boundary)],
  };
}

async function managed(iam: IAMClient, PolicyArn: string): Promise<{ name: string; policy: unknown }> {
  const { Policy } = await iam.send(new GetPolicyCommand({ PolicyArn }));
  const { PolicyVersion } = await iam.send(
    new GetPolicyVersionCommand({ PolicyArn, VersionId: Policy?.DefaultVersionId }),
  );
  return { name: PolicyArn, policy: parseDocument(PolicyVersion?.Document) };
}

/** IAM answers with documents that are URL-encoded; the emulator with some that are not. */
function parseDocument(document = '{}'): unknown {
  return JSON.parse(document.startsWith('%') ? decodeURIComponent(document) : document);
}

/**
 * Whether a role's policies allow its session an action, as iam-simulate evaluates them: identity policies and
 * permissions boundary. Session policies and organisations are not looked at.
 *
 * @param role undefined where it has been deleted
 * @throws ServiceError AccessDeniedException, in AWS's words
 */
export async function authorizeRole(
  caller: Caller,
  role: Role | undefined,
  action: string,
  resource: string,
  context: Context,
): Promise<void> {
  const result = await runSimulation(
    {
      request: {
        principal: caller.arn,
        action,
        resource: { resource, accountId: ACCOUNT },
        contextVariables: {
          'aws:PrincipalArn': caller.role ?? caller.arn,
          'aws:RequestedRegion': REGION,
          // Plain HTTP on the loopback device stands for the HTTPS of AWS.
          'aws:SecureTransport': 'true',
          ...context,
        },
      },
      identityPolicies: role?.policies ?? [],
      ...(role !== undefined && role.boundary.length > 0 && { permissionBoundaryPolicies: role.boundary }),
      serviceControlPolicies: [],
      resourceControlPolicies: [],
    },
    {},
  );
  if (result.resultType === 'error') throw new Error(`iam-simulate: ${JSON.stringify(result.errors)}`);
  if (result.overallResult === 'Allowed') return;
  const why =
    result.overallResult === 'ExplicitlyDenied'
      ? 'with an explicit deny in an identity-based policy'
      : `because no identity-based policy allows the ${action} action`;
  throw new ServiceError(
    'AccessDeniedException',
    `User: ${caller.arn} is not authorized to perform: ${action} on resource: ${resource} ${why}`,
  );
}

/** Whether a role lets a service assume it, which asks for a resource of the role's account. */
export async function trusts({ arn, trust }: Role, service: string): Promise<boolean> {
  return serviceMay(service, 'sts:AssumeRole', arn, trust, { 'aws:SourceAccount': ACCOUNT });
}

/**
 * Whether the policy of a resource allows a service an action on it, as iam-simulate evaluates it.
 *
 * @param service `cloudwatch.amazonaws.com`
 * @param context what the service says of whom it acts for, such as `aws:SourceArn`
 */
export async function serviceMay(
  service: string,
  action: string,
  resource: string,
  resourcePolicy: unknown,
  context: Context,
): Promise<boolean> {
  const result = await runSimulation(
    {
      request: {
        principal: service,
        action,
        resource: { resource, accountId: ACCOUNT },
        contextVariables: { 'aws:SecureTransport': 'true', ...context },
      },
      identityPolicies: [],
      serviceControlPolicies: [],
      resourceControlPolicies: [],
      resourcePolicy,
    },
    {},
  );
  return result.resultType !== 'error' && result.overallResult === 'Allowed';
}
