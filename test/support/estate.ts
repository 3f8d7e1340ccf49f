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
import { STSClient } from '@aws-sdk/client-sts';
import type { Clients } from '../../functions/config-parity/adapters/reading.ts';
import { ACTIONS, type Account, awsError, type EstateData } from './estate-api.ts';

/** What AWS says to who asks too often. */
export const THROTTLED = () => awsError('ThrottlingException', 400, 'Rate exceeded');
/** What AWS says to who may not. */
export const DENIED = () => awsError('AccessDeniedException', 403, 'is not authorized to perform this');

/** Whether a call is meant, by its input. */
export type Matcher = (input: Record<string, unknown>) => boolean;

interface Fault {
  action: string;
  matches: Matcher;
  times: number;
  /** Throws, or changes the world after the call was answered. */
  before?: () => Error;
  after?: () => void;
}

/** Retries as the SDK decides on them, without the pauses between. */
const IMPATIENT = {
  mode: 'adaptive',
  async acquireInitialRetryToken() {
    return tokenOf(0);
  },
  async refreshRetryTokenForRetry({ getRetryCount }: RetryToken, { errorType }: { errorType: string }) {
    if (errorType === 'CLIENT_ERROR' || getRetryCount() + 1 >= ATTEMPTS) throw new Error('not tried again');
    return tokenOf(getRetryCount() + 1);
  },
  recordSuccess() {},
};

const ATTEMPTS = 8;

type RetryToken = ReturnType<typeof tokenOf>;

const tokenOf = (count: number) => ({ getRetryCount: () => count, getRetryDelay: () => 0 });

/**
 * An AWS account in memory, below real SDK clients: whatever they send is built, signed and tried again as ever, and answered
 * from `data` in place of going over the wire.
 */
export class Estate implements Account {
  readonly account: string;
  readonly region: string;
  data: EstateData;
  pageSize = 1000;
  /** Calls so far, tries included, by action: `lambda:GetFunctionConfiguration`. */
  readonly calls = new Map<string, number>();
  readonly mistakes: string[] = [];
  readonly listings: (readonly unknown[])[] = [];
  readonly #faults: Fault[] = [];

  constructor(account: string, region: string, data: EstateData) {
    this.account = account;
    this.region = region;
    this.data = data;
  }

  /**
   * Makes calls fail.
   *
   * @param action `lambda:GetFunctionConfiguration`, or `*`
   * @param times how many calls, tries included
   */
  fail(
    action: string,
    error: () => Error,
    { matches = () => true, times = Number.POSITIVE_INFINITY }: { matches?: Matcher; times?: number } = {},
  ): void {
    this.#faults.push({ action, matches, times, before: error });
  }

  /** Does something to the account once, right after a call was answered. */
  after(action: string, effect: () => void, matches: Matcher = () => true): void {
    this.#faults.push({ action, matches, times: 1, after: effect });
  }

  /** An independent copy, without its faults. */
  copy(): Estate {
    const copy = new Estate(this.account, this.region, structuredClone(this.data));
    copy.pageSize = this.pageSize;
    return copy;
  }

  /**
   * Clients of the account.
   *
   * @param sdk whether the SDK does what it does to a call, such as to sign it; without, a call costs next to nothing
   */
  clients({ sdk = true }: { sdk?: boolean } = {}): Clients {
    const of = <C>(service: string, Client: new (options: never) => C): C => {
      const client = new Client({
        region: this.region,
        credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
        retryStrategy: IMPATIENT,
      } as never);
      if (sdk) this.#answer(service, client);
      else this.#shortcut(service, client as { send: unknown });
      return client;
    };
    return {
      sts: of('sts', STSClient),
      sagemaker: of('sagemaker', SageMakerClient),
      runtime: of('runtime', SageMakerRuntimeClient),
      scaling: of('application-autoscaling', ApplicationAutoScalingClient),
      cloudwatch: of('cloudwatch', CloudWatchClient),
      lambda: of('lambda', LambdaClient),
      ssm: of('ssm', SSMClient),
      glue: of('glue', GlueClient),
      events: of('events', EventBridgeClient),
      scheduler: of('scheduler', SchedulerClient),
      cloudformation: of('cloudformation', CloudFormationClient),
      tagging: of('tag', ResourceGroupsTaggingAPIClient),
      s3: of('s3', S3Client),
    };
  }

  /** Answers what a client sends; below its retries. */
  #answer(service: string, client: unknown): void {
    const { middlewareStack } = client as { middlewareStack: MiddlewareStack };
    middlewareStack.add(
      (_next, { commandName = '' }) =>
        async ({ input }) => {
          // Other calls go on meanwhile, as they do over a wire.
          await undefined;
          const output = this.#call(actionOf(service, commandName), input);
          return { response: {}, output: { ...output, $metadata: {} } };
        },
      { step: 'deserialize', priority: 'high', name: 'estate' },
    );
  }

  #shortcut(service: string, client: { send: unknown }): void {
    client.send = async (command: { constructor: { name: string }; input: Record<string, unknown> }) => {
      await undefined;
      return this.#call(actionOf(service, command.constructor.name), command.input);
    };
  }

  #call(action: string, input: Record<string, unknown>): object {
    this.calls.set(action, (this.calls.get(action) ?? 0) + 1);
    const answer = ACTIONS[action];
    if (answer === undefined) {
      this.mistakes.push(`${action} is unknown`);
      throw new Error(`the estate does not know ${action}`);
    }
    const due = this.#faults.filter(
      (fault) => fault.times > 0 && (fault.action === '*' || fault.action === action) && fault.matches(input),
    );
    for (const fault of due) {
      fault.times -= 1;
      if (fault.before !== undefined) throw fault.before();
    }
    const answered = answer(this, input as never);
    for (const { after } of due) after?.();
    return answered;
  }
}

const actionOf = (service: string, command: string) => `${service}:${command.replace(/Command$/, '')}`;

interface MiddlewareStack {
  add(
    middleware: (
      next: unknown,
      context: { commandName?: string },
    ) => (args: { input: Record<string, unknown> }) => Promise<{ response: object; output: object }>,
    options: { step: string; priority: string; name: string },
  ): void;
}
