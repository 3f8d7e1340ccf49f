import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CreateRoleCommand, PutRolePolicyCommand } from '@aws-sdk/client-iam';
import {
  CreateFunctionCommand,
  type LambdaClient,
  UpdateFunctionCodeCommand,
  waitUntilFunctionActive,
  waitUntilFunctionUpdated,
} from '@aws-sdk/client-lambda';
import { buildSync } from 'esbuild';
import { ACCOUNT, REGION } from './emulator.ts';
import { SandboxError } from './errors.ts';
import { run } from './processes.ts';
import { ensurePython } from './python.ts';
import type { World } from './world.ts';

/** How long Lambda may take to have a function ready, seconds. It takes less than one. */
const PATIENCE_S = 60;

/**
 * The rollback procedure of a team: a Lambda function of their own, with a role of their own, which they change as time
 * goes by.
 */
export class Procedure {
  readonly #world: World;
  readonly #lambda: LambdaClient;
  readonly #name: string;

  private constructor(world: World, lambda: LambdaClient, name: string) {
    this.#world = world;
    this.#lambda = lambda;
    this.#name = name;
  }

  /**
   * @param name of the function, and of its role
   * @param endpoint that it rolls back
   * @param source file in procedures/, without its ending
   */
  static async create(
    world: World,
    lambda: LambdaClient,
    { name, endpoint, source }: { name: string; endpoint: string; source: string },
  ): Promise<Procedure> {
    const own = new Procedure(world, lambda, name);
    await lambda.send(
      new CreateFunctionCommand({
        FunctionName: name,
        Runtime: 'nodejs24.x',
        Handler: 'index.handler',
        Role: await createRole(world, name, endpoint),
        Code: { ZipFile: await own.#zip(source) },
        Timeout: 60,
        MemorySize: 256,
      }),
    );
    await waitUntilFunctionActive({ client: lambda, maxWaitTime: PATIENCE_S }, { FunctionName: name });
    return own;
  }

  /** Somebody deploys another version of it. */
  async change(source: string): Promise<void> {
    const code = { FunctionName: this.#name, ZipFile: await this.#zip(source) };
    await this.#lambda.send(new UpdateFunctionCodeCommand(code));
    const waiter = { client: this.#lambda, maxWaitTime: PATIENCE_S };
    await waitUntilFunctionUpdated(waiter, { FunctionName: this.#name });
  }

  async #zip(source: string): Promise<Buffer> {
    const { directory, signal } = this.#world;
    const { outputFiles } = buildSync({
      entryPoints: [join(import.meta.dirname, 'procedures', `${source}.ts`)],
      bundle: true,
      platform: 'node',
      format: 'cjs',
      mainFields: ['module', 'main'],
      minify: true,
      write: false,
    });
    await writeFile(join(directory, 'index.js'), outputFiles[0]?.contents ?? '');
    const archive = join(directory, `${source}.zip`);
    // Node.js has no archives, and Python is here anyway.
    const { python } = await ensurePython({ signal });
    const { code, tail } = await run(python, ['-m', 'zipfile', '-c', archive, 'index.js'], {
      cwd: directory,
      env: {},
      signal,
    });
    if (code !== 0) throw new SandboxError('world', 'The procedure was not packed.', { output: tail });
    return readFile(archive);
  }
}

/** What the team lets its procedure do, and no more. */
async function createRole({ iam }: World, RoleName: string, endpoint: string): Promise<string> {
  const policy = (Statement: object[]) => JSON.stringify({ Version: '2012-10-17', Statement });
  const own = (resource: string) => `arn:aws:sagemaker:${REGION}:${ACCOUNT}:${resource}`;
  await iam.send(
    new CreateRoleCommand({
      RoleName,
      AssumeRolePolicyDocument: policy([
        { Effect: 'Allow', Action: 'sts:AssumeRole', Principal: { Service: 'lambda.amazonaws.com' } },
      ]),
    }),
  );
  await iam.send(
    new PutRolePolicyCommand({
      RoleName,
      PolicyName: 'rollback',
      PolicyDocument: policy([
        {
          Effect: 'Allow',
          Action: [
            'sagemaker:DescribeEndpoint',
            'sagemaker:DescribeEndpointConfig',
            'sagemaker:CreateEndpointConfig',
            'sagemaker:UpdateEndpoint',
            'sagemaker:UpdateEndpointWeightsAndCapacities',
          ],
          Resource: [own(`endpoint/${endpoint}`), own('endpoint-config/*')],
        },
      ]),
    }),
  );
  return `arn:aws:iam::${ACCOUNT}:role/${RoleName}`;
}
