import { join } from 'node:path';
import { CloudWatchClient } from '@aws-sdk/client-cloudwatch';
import {
  CloudWatchLogsClient,
  DescribeLogGroupsCommand,
  FilterLogEventsCommand,
} from '@aws-sdk/client-cloudwatch-logs';
import { EventBridgeClient } from '@aws-sdk/client-eventbridge';
import { IAMClient } from '@aws-sdk/client-iam';
import { S3Client } from '@aws-sdk/client-s3';
import { SageMakerClient } from '@aws-sdk/client-sagemaker';
import { SNSClient } from '@aws-sdk/client-sns';
import { SQSClient } from '@aws-sdk/client-sqs';
import { AssumeRoleCommand, STSClient } from '@aws-sdk/client-sts';
import type { Finding } from '../functions/shared/verdict.ts';
import type { Transcript } from './console.ts';
import { type Outputs, outputsFile } from './deploy.ts';
import { type Emulator, endOfLog, REGION, ROOT_CREDENTIALS } from './emulator.ts';
import { SandboxError } from './errors.ts';
import { ROOT } from './paths.ts';
import { run } from './processes.ts';
import type { ImageDefinition } from './sagemaker/images.ts';

/** One way in which a model fails without anybody noticing, and how Tocsin stops it. */
export interface Story {
  /** For `--story`. */
  name: string;
  /** Which of the five gaps it is of; for `--story`, too. */
  gap: 1 | 2 | 3 | 4 | 5;
  /** A few words. */
  title: string;
  /** How it goes wrong without Tocsin, in a sentence or two. */
  plot: string;
  /**
   * Plays it, and checks every claim that it makes.
   *
   * @throws SandboxError of kind `story` where something does not come out as it must
   */
  play(world: World): Promise<void>;
}

/** How long one command of the CLI may take. A drill takes up to five minutes. */
const PATIENCE_MS = 420_000;

/** What {@link World} is made of. */
export interface WorldOptions {
  emulator: Emulator;
  /** Of the deployed stack. */
  outputs: Outputs;
  transcript: Transcript;
  signal: AbortSignal;
  /** An empty one, for files of this story alone. */
  directory: string;
  /** Show what the CLI prints. */
  verbose: boolean;
}

/** What a story works with: the deployed stack, clients with the rights of the account's root, and the reader. */
export class World {
  readonly s3: S3Client;
  readonly sns: SNSClient;
  readonly sqs: SQSClient;
  readonly iam: IAMClient;
  readonly events: EventBridgeClient;
  readonly sagemaker: SageMakerClient;
  readonly cloudwatch: CloudWatchClient;
  readonly transcript: Transcript;
  readonly signal: AbortSignal;
  readonly emulator: Emulator;
  readonly directory: string;
  readonly #outputs: Outputs;
  readonly #verbose: boolean;
  readonly #sts: STSClient;
  readonly #logs: CloudWatchLogsClient;

  constructor({ emulator, outputs, transcript, signal, directory, verbose }: WorldOptions) {
    this.emulator = emulator;
    this.#outputs = outputs;
    this.transcript = transcript;
    this.signal = signal;
    this.directory = directory;
    this.#verbose = verbose;
    // Explicitly, because the environment may lead to a real account.
    const root = { endpoint: emulator.endpoint, region: REGION, credentials: ROOT_CREDENTIALS };
    this.s3 = new S3Client(root);
    this.sns = new SNSClient(root);
    this.sqs = new SQSClient(root);
    this.iam = new IAMClient(root);
    this.events = new EventBridgeClient(root);
    this.sagemaker = new SageMakerClient({ ...root, endpoint: emulator.sagemaker });
    this.cloudwatch = new CloudWatchClient({ ...root, endpoint: emulator.cloudwatch });
    this.#sts = new STSClient(root);
    this.#logs = new CloudWatchLogsClient(root);
  }

  /** What the CLI takes as `--outputs`. */
  get outputsFile(): string {
    return outputsFile(this.emulator);
  }

  /**
   * An output of the stack.
   *
   * @param name as a construct of the stack names it; the CDK adds eight digits to those of the constructs below
   * @throws SandboxError where the stack has no such output
   */
  output(name: string): string {
    const full = Object.keys(this.#outputs).find(
      (it) => it === name || it.replace(/[0-9A-F]{8}$/, '') === name,
    );
    const value = full && this.#outputs[full];
    if (value === undefined) throw new SandboxError('story', `The stack has no output ${name}.`);
    return value;
  }

  /** An S3 client with the rights of a role, by a session of STS. */
  async s3As(roleArn: string, session: string): Promise<S3Client> {
    const { Credentials } = await this.#sts.send(
      new AssumeRoleCommand({ RoleArn: roleArn, RoleSessionName: session }),
    );
    return new S3Client({
      endpoint: this.emulator.endpoint,
      region: REGION,
      credentials: {
        accessKeyId: Credentials?.AccessKeyId ?? '',
        secretAccessKey: Credentials?.SecretAccessKey ?? '',
        sessionToken: Credentials?.SessionToken ?? '',
      },
    });
  }

  /**
   * Puts an image into the registry of the local SageMaker.
   *
   * @param image a definition of sagemaker/images.ts
   * @returns its address by tag
   */
  async registerImage(image: ImageDefinition): Promise<string> {
    const answer = await fetch(`${this.emulator.sagemaker}/_sandbox/images`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(image),
      signal: this.signal,
    });
    if (!answer.ok) throw new SandboxError('story', `The image is refused: ${await answer.text()}`);
    return ((await answer.json()) as { address: string }).address;
  }

  /**
   * Runs the CLI of this checkout.
   *
   * @param expected exit code: 1 of a gate that is to fail
   * @returns its standard output
   * @throws SandboxError where it ends with another
   */
  async tocsin(args: readonly string[], expected: 0 | 1 = 0): Promise<string> {
    const { code, stdout, tail } = await run('node', [join(ROOT, 'bin', 'tocsin.ts'), ...args], {
      cwd: ROOT,
      env: this.emulator.env,
      signal: this.signal,
      timeoutMs: PATIENCE_MS,
      onLine: this.#verbose ? (line) => this.transcript.raw(line) : undefined,
    });
    if (code !== expected) {
      throw new SandboxError(
        'story',
        `tocsin ${args.join(' ')} ended with ${code ?? 'no exit code'}, expected ${expected}.`,
        {
          output: tail,
        },
      );
    }
    return stdout;
  }

  /** The error of a story that went wrong, with the end of what the functions and the emulator had to say. */
  async failure(message: string): Promise<SandboxError> {
    const { logGroups = [] } = await this.#logs.send(new DescribeLogGroupsCommand({}));
    const events = await Promise.all(
      logGroups.map(async ({ logGroupName }) => {
        const answer = await this.#logs.send(new FilterLogEventsCommand({ logGroupName }));
        return answer.events ?? [];
      }),
    );
    const lines = events
      .flat()
      .sort((a, b) => (a.timestamp ?? 0) - (b.timestamp ?? 0))
      .map((event) => event.message?.trimEnd().slice(0, 1_000));
    // A function that does not even load has logged nothing.
    const errors = endOfLog(this.emulator.directory, 5, { text: ' ERROR ' });
    return new SandboxError('story', message, { output: [...lines.slice(-12), ...errors].join('\n') });
  }
}

/**
 * A claim of a story.
 *
 * @param what the subject of the claim
 * @throws SandboxError where what was got is not what was expected
 */
export function expect<T extends string | number | boolean | undefined>(
  what: string,
  got: T,
  expected: T,
): void {
  if (got === expected) return;
  throw new SandboxError('story', `${what}: expected ${expected}, got ${got}`);
}

/**
 * The finding of a check, which is to have come out as it is claimed.
 *
 * @throws SandboxError where there is none, or it has another outcome
 */
export function findingOf(findings: readonly Finding[], check: string, outcome: Finding['outcome']): Finding {
  const found = findings.find((finding) => finding.check === check);
  if (found?.outcome === outcome) return found;
  throw new SandboxError('story', `The finding ${check} is to be ${outcome}, got ${found?.outcome}.`, {
    output: findings.map((finding) => `${finding.check} ${finding.outcome}: ${finding.message}`).join('\n'),
  });
}
