import { CreateRoleCommand, PutRolePolicyCommand } from '@aws-sdk/client-iam';
import {
  GetBucketPolicyCommand,
  GetObjectCommand,
  GetObjectTaggingCommand,
  PutObjectTaggingCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import { runSimulation } from '@cloud-copilot/iam-simulate';
import { sha256 } from '../functions/shared/identity.ts';
import { ACCOUNT } from './emulator.ts';
import { expect, type World } from './world.ts';

/** What S3 says to whom the bucket policy locks out. */
export const DENIED = 'AccessDenied, explicit deny in a resource-based policy';

/** An object; without `versionId` its current version. */
export interface Address {
  key: string;
  versionId?: string;
}

/**
 * Whoever trains models on a bucket: a role that may read and tag everything in it, as such roles often may.
 *
 * Every reading is real, with credentials of a session of the role. Besides, iam-simulate, an evaluator that has
 * nothing to do with the emulator, is given the deployed policies and the real tags, and must say the same.
 */
export class Training {
  /** Readings that both agreed on. */
  opinions = 0;
  readonly #world: World;
  readonly #bucket: string;
  readonly #role: string;
  readonly #policy: unknown;
  readonly #s3: S3Client;

  private constructor(world: World, bucket: string, role: string, policy: unknown, s3: S3Client) {
    this.#world = world;
    this.#bucket = bucket;
    this.#role = role;
    this.#policy = policy;
    this.#s3 = s3;
  }

  static async create(world: World, bucket: string): Promise<Training> {
    const RoleName = 'training';
    const trust = {
      Version: '2012-10-17',
      Statement: {
        Effect: 'Allow',
        Principal: { AWS: `arn:aws:iam::${ACCOUNT}:root` },
        Action: 'sts:AssumeRole',
      },
    };
    const policy = {
      Version: '2012-10-17',
      Statement: {
        Effect: 'Allow',
        Action: ['s3:GetObject', 's3:GetObjectVersion', 's3:PutObjectTagging', 's3:PutObjectVersionTagging'],
        Resource: `arn:aws:s3:::${bucket}/*`,
      },
    };
    const { Role } = await world.iam.send(
      new CreateRoleCommand({ RoleName, AssumeRolePolicyDocument: JSON.stringify(trust) }),
    );
    await world.iam.send(
      new PutRolePolicyCommand({ RoleName, PolicyName: 'data', PolicyDocument: JSON.stringify(policy) }),
    );
    const role = Role?.Arn ?? '';
    return new Training(world, bucket, role, policy, await world.s3As(role, 'training-job'));
  }

  /**
   * Reads an object.
   *
   * @returns the hash of its bytes; {@link DENIED}, or what else S3 says
   * @throws SandboxError where iam-simulate is of another opinion
   */
  async read({ key, versionId }: Address): Promise<string> {
    const object = {
      Bucket: this.#bucket,
      Key: key,
      ...(versionId !== undefined && { VersionId: versionId }),
    };
    const { TagSet = [] } = await this.#world.s3.send(new GetObjectTaggingCommand(object));
    const got = await this.#s3
      .send(new GetObjectCommand(object))
      .then(async ({ Body }) => sha256((await Body?.transformToByteArray()) ?? new Uint8Array()), refusal);
    const action = versionId === undefined ? 's3:GetObject' : 's3:GetObjectVersion';
    const tags = TagSet.map(({ Key = '', Value = '' }): [string, string] => [Key, Value]);
    expect(`iam-simulate on ${action} of ${key}`, await this.#simulate(action, key, tags), got !== DENIED);
    this.opinions++;
    return got;
  }

  /** Tags an object. Returns `tagged`, {@link DENIED}, or what else S3 says. */
  async tag({ key, versionId }: Address, tag: string, value: string): Promise<string> {
    return this.#s3
      .send(
        new PutObjectTaggingCommand({
          Bucket: this.#bucket,
          Key: key,
          ...(versionId !== undefined && { VersionId: versionId }),
          Tagging: { TagSet: [{ Key: tag, Value: value }] },
        }),
      )
      .then(() => 'tagged', refusal);
  }

  /** Whether AWS would allow it, as far as iam-simulate knows. */
  async #simulate(action: string, key: string, tags: readonly [string, string][]): Promise<boolean> {
    const { Policy = '' } = await this.#world.s3.send(new GetBucketPolicyCommand({ Bucket: this.#bucket }));
    const name = this.#role.slice(this.#role.lastIndexOf('/') + 1);
    const result = await runSimulation(
      {
        request: {
          principal: `arn:aws:sts::${ACCOUNT}:assumed-role/${name}/training-job`,
          action,
          resource: { resource: `arn:aws:s3:::${this.#bucket}/${key}`, accountId: ACCOUNT },
          contextVariables: {
            'aws:PrincipalArn': this.#role,
            'aws:SecureTransport': 'true',
            ...Object.fromEntries(tags.map(([tag, value]) => [`s3:ExistingObjectTag/${tag}`, value])),
          },
        },
        identityPolicies: [{ name: 'data', policy: this.#policy }],
        resourcePolicy: JSON.parse(Policy),
        serviceControlPolicies: [],
        resourceControlPolicies: [],
      },
      {},
    );
    if (result.resultType === 'error') throw new Error(`iam-simulate: ${JSON.stringify(result.errors)}`);
    return result.overallResult === 'Allowed';
  }
}

/** The name of an error of S3, with the part of its message that says which policy it was. */
function refusal({ name, message }: Error): string {
  const why = /explicit deny in an? .*policy/.exec(message)?.[0];
  return why === undefined ? `${name}: ${message}` : `${name}, ${why}`;
}
