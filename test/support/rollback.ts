import { CloudWatchClient, DescribeAlarmsCommand, SetAlarmStateCommand } from '@aws-sdk/client-cloudwatch';
import { EventBridgeClient, PutEventsCommand } from '@aws-sdk/client-eventbridge';
import { LambdaClient } from '@aws-sdk/client-lambda';
import { S3Client } from '@aws-sdk/client-s3';
import {
  CreateEndpointCommand,
  type CreateEndpointCommandInput,
  CreateEndpointConfigCommand,
  CreateModelCommand,
  CreateModelPackageCommand,
  CreateModelPackageGroupCommand,
  type DeploymentConfig,
  DescribeEndpointCommand,
  type DescribeEndpointCommandOutput,
  SageMakerClient,
} from '@aws-sdk/client-sagemaker';
import { type InvokeEndpointCommand, SageMakerRuntimeClient } from '@aws-sdk/client-sagemaker-runtime';
import { SFNClient } from '@aws-sdk/client-sfn';
import { SNSClient } from '@aws-sdk/client-sns';
import { SSMClient } from '@aws-sdk/client-ssm';
import { mockClient } from 'aws-sdk-client-mock';
import { expect } from 'vitest';
import { DRILL_PREFIX } from '../../functions/rollback-drill/schema.ts';
import { durableHandler } from '../../functions/shared/durable.ts';
import { EvidenceStore } from '../../functions/shared/evidence.ts';
import { sha256 } from '../../functions/shared/identity.ts';
import { InProcessWorkflow } from '../../functions/shared/in-process.ts';
import type { RunReporting } from '../../functions/shared/run-handler.ts';
import { WorkBucket } from '../../functions/shared/work.ts';
import type { Workflow } from '../../functions/shared/workflow.ts';
import { ContainerError } from '../../sandbox/sagemaker/containers.ts';
import { askForFault, endpointOperations } from '../../sandbox/sagemaker/endpoints.ts';
import { HostingError } from '../../sandbox/sagemaker/hosting.ts';
import { ImageRegistry, type ResolvedImage } from '../../sandbox/sagemaker/images.ts';
import { modelOperations } from '../../sandbox/sagemaker/models.ts';
import { registryOperations } from '../../sandbox/sagemaker/registry.ts';
import { invocationRoute } from '../../sandbox/sagemaker/runtime.ts';
import { SageMakerServer } from '../../sandbox/sagemaker/server.ts';
import { type Account, type HttpAnswer, ServiceError } from '../../sandbox/sagemaker/service.ts';
import { tagOperations } from '../../sandbox/sagemaker/tags.ts';
import { DurableService } from './durable-service.ts';
import { FakeAws } from './fake-aws.ts';
import { answerBy, FakeProcedures, failure, type Work } from './fake-procedures.ts';
import { type Published, published } from './published.ts';
import { createRandom } from './random.ts';
import { VirtualClock } from './virtual-clock.ts';

/** The role of every model. */
export const ROLE = 'arn:aws:iam::000000000000:role/model';

/** Alias of the rollback function. */
export const ROLLBACK_ARN = 'arn:aws:lambda:us-east-1:000000000000:function:rollback:live';

/** How long a request of the drill waits for an answer, and how often a call of the control plane is tried. */
const TRAFFIC_TIMEOUT_MS = 15_000;
const ATTEMPTS = 5;

/** Calls of SageMaker that change something. */
const CHANGES = /^(Create|Update|Delete|Add)/;

export type AlarmState = 'OK' | 'ALARM' | 'INSUFFICIENT_DATA';

/** A model's container: from the body of a request to that of its answer. What it throws is a ModelError 500. */
export type Predict = (body: string) => string | Promise<string>;

/** What is different about a container. */
export interface ContainerOptions {
  /** Name of its image, of which its digest is made (default `test:v1`). */
  image?: string;
  /** From request to answer (default 20 ms). */
  latencyMs?: number;
  /** It never becomes healthy. */
  sick?: boolean;
}

/** A variant of an endpoint. */
export interface VariantOptions {
  name: string;
  model: string;
  /** Default 1. */
  weight?: number;
  /** Default 1. */
  instances?: number;
}

/** A request that reached the endpoint's address. */
export interface Asked {
  at: number;
  endpoint: string;
  /** TargetVariant. */
  target: string | null;
  body: string;
  /** HTTP status of the answer, and the variant that gave it; null until there is one. */
  status: number | null;
  variant: string | null;
}

/** What a drill works with. */
export interface RollbackDependencies extends RunReporting {
  env: { TOPIC_ARN: string; EVENT_BUS: string; ROLLBACK_ARN: string; DATA_BUCKET: string };
  store: EvidenceStore;
  work: WorkBucket;
  s3: S3Client;
  sns: SNSClient;
  events: EventBridgeClient;
  sagemaker: SageMakerClient;
  runtime: SageMakerRuntimeClient;
  cloudwatch: CloudWatchClient;
  lambda: LambdaClient;
  ssm: SSMClient;
  sfn: SFNClient;
  now: () => number;
  sleep: (ms: number) => Promise<void>;
}

/** Of clients: their own way to send, below that which a test has put in its place. */
type Send = (command: unknown) => Promise<unknown>;

/**
 * An account in memory on a virtual clock, which `Date` and the timers follow: the local SageMaker, its real operations and
 * its real runtime, over its wire protocol but without sockets and processes; S3, topics and events of {@link FakeAws};
 * alarms, functions, runbooks and state machines of the test.
 *
 * Every client that is made while it lives reaches it. Those of {@link deps} belong to the process of the drill, and die with
 * it (`aws.diesAfter`, {@link revive}): neither their answers nor their sleeps come back. All others are the team's.
 */
export class RollbackWorld {
  readonly aws = new FakeAws();
  readonly clock: VirtualClock;
  /** Clients of the team: nothing that they do counts as the drill's. */
  readonly sagemaker = new SageMakerClient({});
  readonly runtime = new SageMakerRuntimeClient({});
  /** States of metric alarms by name; of composite alarms too, where {@link composites} has them. */
  readonly alarms = new Map<string, AlarmState>();
  readonly composites = new Set<string>();
  /** Every request to an endpoint, in order. */
  readonly asked: Asked[] = [];
  /** Every call that changed something in SageMaker, in order, by whoever. */
  readonly changes: { at: number; operation: string; input: Record<string, unknown>; byDrill: boolean }[] =
    [];
  /** Every event of SageMaker, in order. */
  readonly emitted: { at: number; detailType: string; detail: Record<string, unknown> }[] = [];
  /** Actions that nobody may: `sagemaker:UpdateEndpoint`. */
  readonly forbidden = new Set<string>();
  /** What the local SageMaker has logged. */
  readonly log: string[] = [];
  /** What a drill has recorded and warned of. */
  readonly recorded: Parameters<RunReporting['record']>[] = [];
  readonly warned: string[] = [];
  /** Functions, runbooks and state machines. */
  readonly procedures: FakeProcedures;

  readonly #mocks = {
    runtime: mockClient(SageMakerRuntimeClient),
    cloudwatch: mockClient(CloudWatchClient),
  };
  readonly #server: SageMakerServer;
  /** By the name that a model's environment has. */
  readonly #containers = new Map<string, { predict: Predict; options: ContainerOptions }>();
  /** Which life of the drill's process a client belongs to. */
  readonly #lives = new WeakMap<object, number>();
  #life = 0;

  private constructor(time: number) {
    this.clock = new VirtualClock(time);
    this.aws.unversioned.add('work');
    const random = createRandom(1);
    const account = this.#account();
    this.#server = new SageMakerServer({
      account: async () => account,
      images: new Images(),
      operations: { ...registryOperations, ...modelOperations, ...endpointOperations, ...tagOperations },
      routes: [invocationRoute(() => random.uniform())],
      fault: askForFault,
      log: (line) => this.log.push(line),
      now: () => this.clock.time,
      wait: (ms, signal) => this.clock.after(ms, signal),
      host: (model, call) => this.#host(model.containers[0], call.now()),
    });
    this.#mockSageMaker();
    this.#mockCloudWatch();
    this.procedures = new FakeProcedures({
      now: () => this.clock.time,
      called: (client, run, change) => this.#called(client, run, change),
      begun: (client, what) => {
        if (this.#lives.has(client)) this.aws.changed(what);
      },
    });
  }

  /** @param time milliseconds since 1970 */
  static async start(time: number = Date.UTC(2026, 0, 5, 12)): Promise<RollbackWorld> {
    const world = new RollbackWorld(time);
    await world.sagemaker.send(new CreateModelPackageGroupCommand({ ModelPackageGroupName: 'models' }));
    world.changes.length = 0;
    return world;
  }

  async close(): Promise<void> {
    await this.#server.close();
    for (const mock of Object.values(this.#mocks)) mock.restore();
    this.procedures.restore();
    this.aws.restore();
    this.clock.end();
  }

  // Time --------------------------------------------------------------------------------------------------

  /** Milliseconds since 1970. */
  readonly now = (): number => Date.now();

  /** Lets time pass. */
  readonly sleep = (ms: number): Promise<void> => this.clock.sleep(ms);

  /** What takes its time before it happens; it lets no time pass by itself. */
  async later<T>(ms: number, what: () => T | Promise<T>): Promise<T> {
    await this.clock.after(ms);
    return what();
  }

  /** Lets time pass until no transition of an endpoint goes on. */
  async settled(): Promise<void> {
    await this.clock.until(this.#server.settled());
  }

  // What there is -----------------------------------------------------------------------------------------

  /** Makes a model whose container is a function. */
  async model(name: string, predict: Predict, options: ContainerOptions = {}): Promise<void> {
    this.#containers.set(name, { predict, options });
    await this.sagemaker.send(
      new CreateModelCommand({
        ModelName: name,
        ExecutionRoleArn: ROLE,
        PrimaryContainer: { Image: addressOf(options), Environment: { CONTAINER: name } },
      }),
    );
  }

  /**
   * Registers a model whose container is a function, in the group `models`.
   *
   * @param approval its ModelApprovalStatus
   * @returns the ARN of the package
   */
  async package(
    name: string,
    predict: Predict,
    options: ContainerOptions = {},
    approval: 'Approved' | 'Rejected' | 'PendingManualApproval' = 'Approved',
  ): Promise<string> {
    this.#containers.set(name, { predict, options });
    const { ModelPackageArn } = await this.sagemaker.send(
      new CreateModelPackageCommand({
        ModelPackageGroupName: 'models',
        ModelApprovalStatus: approval,
        InferenceSpecification: {
          Containers: [{ Image: addressOf(options), Environment: { CONTAINER: name } }],
          SupportedContentTypes: ['text/csv'],
          SupportedResponseMIMETypes: ['text/csv'],
        },
      }),
    );
    await this.settled();
    return ModelPackageArn ?? '';
  }

  /** Changes what a container answers from now on. */
  reprogram(name: string, predict: Predict, options: ContainerOptions = {}): void {
    this.#containers.set(name, { predict, options });
  }

  /** Makes an endpoint configuration. */
  async config(name: string, variants: readonly VariantOptions[]): Promise<void> {
    await this.sagemaker.send(
      new CreateEndpointConfigCommand({
        EndpointConfigName: name,
        ProductionVariants: variants.map((variant) => ({
          VariantName: variant.name,
          ModelName: variant.model,
          InitialVariantWeight: variant.weight ?? 1,
          InitialInstanceCount: variant.instances ?? 1,
          InstanceType: 'ml.m5.large' as const,
        })),
      }),
    );
  }

  /** Makes an endpoint that may be drilled, and waits until it is in service. Nothing of that is kept on record. */
  async endpoint(
    name: string,
    {
      config = `${name}-config`,
      variants,
      tags = { 'tocsin:drill': 'allowed' },
      deploymentConfig,
    }: {
      config?: string;
      variants: readonly VariantOptions[];
      tags?: Record<string, string>;
      deploymentConfig?: DeploymentConfig;
    },
  ): Promise<void> {
    await this.config(config, variants);
    await this.sagemaker.send(
      new CreateEndpointCommand({
        EndpointName: name,
        EndpointConfigName: config,
        Tags: Object.entries(tags).map(([Key, Value]) => ({ Key, Value })),
        ...(deploymentConfig !== undefined && { DeploymentConfig: deploymentConfig }),
      } as CreateEndpointCommandInput),
    );
    await this.settled();
    this.changes.length = 0;
    this.emitted.length = 0;
  }

  /** DescribeEndpoint. */
  describe(endpoint: string): Promise<DescribeEndpointCommandOutput> {
    return this.sagemaker.send(new DescribeEndpointCommand({ EndpointName: endpoint }));
  }

  /** Whatever `POST /_sandbox/faults` takes. */
  async fault(fault: object): Promise<void> {
    const { status, body } = await this.#server.answer({
      method: 'POST',
      path: '/_sandbox/faults',
      headers: { 'content-type': 'application/json' },
      body: Buffer.from(JSON.stringify(fault)),
      signal: new AbortController().signal,
    });
    if (status !== 200) throw new Error(`the fault is refused: ${body}`);
  }

  /**
   * Makes a Lambda function.
   *
   * @param arn as it is invoked, with its alias
   */
  lambda<T>(arn: string, work: (payload: T) => unknown): void {
    this.procedures.lambdas.set(arn, work as Work);
  }

  /** Makes an Automation runbook, which gets its parameters. */
  automation(document: string, work: (parameters: Record<string, string[]>) => unknown): void {
    this.procedures.automations.set(document, work as Work);
  }

  /** Makes a state machine. */
  stateMachine<T>(arn: string, work: (input: T) => unknown): void {
    this.procedures.machines.set(arn, work as Work);
  }

  /**
   * Uploads golden requests.
   *
   * @returns their place
   */
  golden(
    requests: readonly { body: string; prediction?: unknown }[],
    place = { bucket: 'data', key: 'golden.jsonl' },
  ): { bucket: string; key: string } {
    this.aws.put(place.bucket, place.key, requests.map((request) => JSON.stringify(request)).join('\n'));
    return place;
  }

  /** Invocations of functions, executions of runbooks and state machines: ARN or name, and input. */
  get started(): FakeProcedures['started'] {
    return this.procedures.started;
  }

  // Running -----------------------------------------------------------------------------------------------

  /** What a drill works with: of the present life of its process. */
  deps(overrides: Partial<RollbackDependencies> = {}): RollbackDependencies {
    const life = this.#life;
    const own = <C extends object>(client: C): C => {
      this.#lives.set(client, life);
      return client;
    };
    const s3 = new S3Client({});
    return {
      env: {
        TOPIC_ARN: 'arn:aws:sns:us-east-1:000000000000:verdicts',
        EVENT_BUS: 'default',
        ROLLBACK_ARN,
        DATA_BUCKET: 'data',
      },
      store: new EvidenceStore(s3, 'evidence'),
      work: new WorkBucket(s3, 'work'),
      s3,
      sns: new SNSClient({}),
      events: new EventBridgeClient({}),
      sagemaker: own(new SageMakerClient({})),
      runtime: own(new SageMakerRuntimeClient({})),
      cloudwatch: own(new CloudWatchClient({})),
      lambda: own(new LambdaClient({})),
      ssm: own(new SSMClient({})),
      sfn: own(new SFNClient({})),
      now: this.now,
      sleep: (ms) => this.#inLife(life, this.clock.sleep(ms)),
      record: (...args) => this.recorded.push(args),
      warn: (message, error) => this.warned.push(`${message}: ${(error as Error)?.message ?? error}`),
      ...overrides,
    };
  }

  /** A workflow that this process carries, on the virtual clock. */
  workflow({ id = 'run-1', deadline }: { id?: string; deadline?: number } = {}): Workflow {
    const life = this.#life;
    return new InProcessWorkflow({
      id,
      ...(deadline !== undefined && { deadline }),
      now: this.now,
      // A deadline lets no time pass by itself.
      sleep: (ms, signal) =>
        signal === undefined ? this.#inLife(life, this.clock.sleep(ms)) : this.clock.after(ms, signal),
      random: () => 0.5,
    });
  }

  /**
   * Durable executions, which may crash anywhere: at a checkpoint (`dies`), or with any change to the account
   * (`aws.diesAfter`).
   *
   * @param handler run anew in each invocation
   */
  durable(
    handler: (event: unknown, workflow: Workflow, deps: RollbackDependencies) => Promise<unknown>,
    overrides: Partial<RollbackDependencies> = {},
  ): DurableService {
    const service = new Invoked(
      durableHandler(async (event, workflow) => {
        await this.revive();
        return handler(event, workflow, this.deps(overrides));
      }),
      (ms) => this.clock.skip(ms),
      (running) => this.clock.until(running),
    );
    service.dies = () => (this.isDead ? 'before it is kept' : undefined);
    return service;
  }

  /** Another process, where there was one before: nothing of that goes on. */
  async revive(): Promise<void> {
    const { diesAfter } = this.aws;
    const died = this.isDead;
    this.#life++;
    this.aws.diesAfter = 0;
    await this.clock.catchUp();
    this.aws.diesAfter = died ? Number.POSITIVE_INFINITY : diesAfter;
  }

  get isDead(): boolean {
    return this.aws.changes.length >= this.aws.diesAfter;
  }

  // What came of it ---------------------------------------------------------------------------------------

  /** Requests to no variant of their own. */
  get invocations(): Asked[] {
    return this.asked.filter(({ target }) => target === null);
  }

  /** The objects of this name in the evidence of the drills. */
  evidence(name: string): unknown[] {
    return this.aws
      .keys('evidence', 'evidence/rollback-drill/')
      .filter((key) => key.endsWith(`/${name}`))
      .map((key) => JSON.parse(this.aws.get('evidence', key).body.toString('utf8')));
  }

  get messages(): Published[] {
    return published(this.aws);
  }

  get events(): unknown[] {
    return this.aws.inputs('events', PutEventsCommand);
  }

  /** What is left of a drill: records and claims in the work bucket, models and configurations that it made. */
  get left(): string[] {
    const made = new Set<string>();
    for (const { operation, input } of this.changes) {
      const name = String(input.ModelName ?? input.EndpointConfigName);
      if (!name.startsWith(DRILL_PREFIX)) continue;
      if (operation === 'CreateModel' || operation === 'CreateEndpointConfig') made.add(name);
      if (operation === 'DeleteModel' || operation === 'DeleteEndpointConfig') made.delete(name);
    }
    return [...this.aws.keys('work', 'claims/'), ...this.aws.keys('work', 'rollback/'), ...made];
  }

  /** Nothing is left of a drill but its evidence, and no traffic goes on. */
  async expectClean(): Promise<void> {
    expect(this.left).toEqual([]);
    const { length } = this.asked;
    await this.sleep(60_000);
    expect(this.asked.slice(length), 'requests after the drill').toEqual([]);
  }

  // The account -------------------------------------------------------------------------------------------

  #account(): Account {
    const s3 = new S3Client({});
    return {
      s3,
      identify: async () => ({ arn: 'arn:aws:iam::000000000000:root', role: undefined }),
      authorize: async (_caller, action) => {
        if (this.forbidden.has(action)) throw new ServiceError('AccessDeniedException', `may not ${action}`);
      },
      passRole: async () => undefined,
      s3As: async () => s3,
      alarmStates: async (names) => new Map([...this.alarms].filter(([name]) => names.includes(name))),
      emit: async (detailType, _resources, detail) => {
        this.emitted.push({ at: this.clock.time, detailType, detail: structuredClone(detail) as never });
      },
    };
  }

  async #host(
    definition: { Image: string; Environment?: Record<string, string> | undefined } | undefined,
    at: number,
  ) {
    const { Image = '', Environment = {} } = definition ?? {};
    const name = Environment.CONTAINER ?? '';
    const found = this.#containers.get(name);
    if (found === undefined || found.options.sick) throw new HostingError('ping', `${name} does not start`);
    return {
      container: {
        ping: async () => true,
        invoke: async (
          body: Uint8Array,
          headers: Readonly<Record<string, string>>,
          { timeoutMs }: { timeoutMs: number },
        ) => {
          const { predict, options } = this.#containers.get(name) ?? found;
          const { latencyMs = 20 } = options;
          await this.clock.after(Math.min(latencyMs, timeoutMs));
          if (latencyMs >= timeoutMs) throw new ContainerError('timeout', 'it takes too long');
          try {
            const answer = await predict(Buffer.from(body).toString());
            return {
              status: 200,
              headers: { 'content-type': headers.accept ?? 'text/csv' },
              body: Buffer.from(answer),
            };
          } catch (error) {
            return { status: 500, headers: {}, body: Buffer.from((error as Error).message) };
          }
        },
        stop: async () => {},
      },
      specifiedImage: Image,
      resolved: resolve(Image),
      resolvedAt: at,
      stop: async () => {},
    };
  }

  /** What a life of the drill's process waits for; it never comes where that has ended. */
  async #inLife<T>(life: number | undefined, waiting: Promise<T>): Promise<T> {
    const gone = () => life !== undefined && life !== this.#life;
    if (gone()) return new Promise(() => {});
    try {
      const answer = await waiting;
      return gone() ? new Promise(() => {}) : answer;
    } catch (error) {
      if (gone()) return new Promise(() => {});
      throw error;
    }
  }

  /** A call of a client, whoever has it. */
  async #called<T>(client: object, run: () => Promise<T>, change?: string): Promise<T> {
    const life = this.#lives.get(client);
    if (life === undefined) return this.clock.until(run());
    if (life !== this.#life) return new Promise(() => {});
    this.aws.alive();
    const answer = await this.#inLife(life, this.clock.until(run()));
    if (change !== undefined) this.aws.changed(change);
    else this.aws.alive();
    return answer;
  }

  #mockSageMaker(): void {
    const options = {
      region: 'us-east-1',
      credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
      signer: { sign: async <R extends { headers: Record<string, string> }>(request: R) => sign(request) },
    };
    const control = new SageMakerClient({
      ...options,
      retryStrategy: retryStrategy(),
      requestHandler: { handle: (request: object) => this.#transport(request) },
    } as ConstructorParameters<typeof SageMakerClient>[0] & object);
    const runtime = new SageMakerRuntimeClient({
      ...options,
      maxAttempts: 1,
      requestHandler: {
        handle: (request: object) => this.#inTime(this.#transport(request)),
      },
    } as ConstructorParameters<typeof SageMakerRuntimeClient>[0] & object);
    const original = {
      control: Object.getPrototypeOf(SageMakerClient.prototype).send.bind(control) as Send,
      runtime: Object.getPrototypeOf(SageMakerRuntimeClient.prototype).send.bind(runtime) as Send,
    };
    answerBy(this.aws.sagemaker, (client, command) => {
      const operation = command.constructor.name.replace(/Command$/, '');
      const input = command.input as Record<string, unknown>;
      const changes = CHANGES.test(operation);
      return this.#called(
        client,
        async () => {
          const answer = await original.control(command);
          if (changes) {
            const byDrill = this.#lives.has(client);
            this.changes.push({ at: this.clock.time, operation, input, byDrill });
          }
          return answer;
        },
        changes ? operation : undefined,
      );
    });
    answerBy(this.#mocks.runtime, (client, command) => {
      return this.#called(client, () => this.#ask(command as InvokeEndpointCommand, original.runtime));
    });
  }

  async #ask(command: InvokeEndpointCommand, send: Send): Promise<unknown> {
    const { EndpointName = '', TargetVariant = null, Body } = command.input;
    const asked: Asked = {
      at: this.clock.time,
      endpoint: EndpointName,
      target: TargetVariant,
      body: Buffer.from((Body ?? '') as string).toString(),
      status: null,
      variant: null,
    };
    this.asked.push(asked);
    try {
      const answer = (await send(command)) as { InvokedProductionVariant?: string };
      Object.assign(asked, { status: 200, variant: answer.InvokedProductionVariant ?? null });
      return answer;
    } catch (error) {
      const { $metadata } = error as { $metadata?: { httpStatusCode?: number } };
      asked.status = $metadata?.httpStatusCode ?? null;
      throw error;
    }
  }

  /** An answer to the traffic, or the error that the SDK has where none came in time. */
  #inTime<T>(answer: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const cancel = this.clock.at(this.clock.time + TRAFFIC_TIMEOUT_MS, () =>
        reject(Object.assign(new Error('no answer in time'), { name: 'TimeoutError' })),
      );
      void answer.then(resolve, reject).finally(cancel);
    });
  }

  /** Hands a request to the local SageMaker, as HTTP would. */
  async #transport(request: object): Promise<{ response: HttpResponse }> {
    const { method, path, headers, body } = request as {
      method: string;
      path: string;
      headers: Record<string, string>;
      body?: string | Uint8Array;
    };
    const answer: HttpAnswer = await this.#server.answer({
      method,
      path: decodeURIComponent(path),
      headers: Object.fromEntries(
        Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]),
      ),
      body: typeof body === 'string' ? Buffer.from(body) : Buffer.copyBytesFrom(body ?? new Uint8Array()),
      signal: new AbortController().signal,
    });
    return {
      response: {
        statusCode: answer.status,
        headers: { ...answer.headers },
        body: Buffer.from(answer.body as string),
      },
    };
  }

  #mockCloudWatch(): void {
    answerBy(this.#mocks.cloudwatch, (client, command) => {
      if (command instanceof DescribeAlarmsCommand) {
        const { AlarmNames, AlarmTypes = ['MetricAlarm'] } = command.input;
        return this.#called(client, async () => this.#describeAlarms(AlarmNames, AlarmTypes));
      }
      if (command instanceof SetAlarmStateCommand) {
        const { AlarmName = '', StateValue } = command.input;
        return this.#called(
          client,
          async () => {
            if (!this.alarms.has(AlarmName)) throw failure('ResourceNotFound', `no alarm ${AlarmName}`, 404);
            this.alarms.set(AlarmName, StateValue as AlarmState);
            return {};
          },
          `SetAlarmState ${AlarmName}`,
        );
      }
      throw new Error(`the world does not know ${command.constructor.name}`);
    });
  }

  #describeAlarms(names: readonly string[] | undefined, types: readonly string[]): object {
    const described = [...this.alarms]
      .filter(([name]) => names === undefined || names.includes(name))
      .map(([AlarmName, StateValue]) => ({ AlarmName, StateValue }));
    const isComposite = ({ AlarmName }: { AlarmName: string }) => this.composites.has(AlarmName);
    return {
      MetricAlarms: types.includes('MetricAlarm') ? described.filter((it) => !isComposite(it)) : [],
      CompositeAlarms: types.includes('CompositeAlarm') ? described.filter(isComposite) : [],
    };
  }
}

/** A durable service whose executions let time pass. */
class Invoked extends DurableService {
  readonly #while: <T>(running: Promise<T>) => Promise<T>;

  constructor(
    handler: ConstructorParameters<typeof DurableService>[0],
    sleep: (ms: number) => void,
    during: <T>(running: Promise<T>) => Promise<T>,
  ) {
    super(handler, sleep);
    this.#while = during;
  }

  override run(...args: Parameters<DurableService['run']>): ReturnType<DurableService['run']> {
    return this.#while(super.run(...args));
  }
}

/** Images that are nothing but names. */
class Images extends ImageRegistry {
  override async resolve(address: string): Promise<ResolvedImage> {
    return resolve(address);
  }
}

const REGISTRY = '000000000000.dkr.ecr.us-east-1.amazonaws.com';

function addressOf({ image = 'test:v1' }: ContainerOptions): string {
  return `${REGISTRY}/${image}`;
}

/** An image by tag or by digest; its digest is that of its name. */
function resolve(address: string): ResolvedImage {
  const [, repository = '', , given] = /^(.*?)(:[^:@]+)?(?:@(sha256:[0-9a-f]{64}))?$/.exec(address) ?? [];
  const digest = given ?? `sha256:${sha256(address)}`;
  return { digest, address: `${repository}@${digest}`, image: { command: [] } };
}

interface HttpResponse {
  statusCode: number;
  headers: Record<string, string>;
  body: Buffer;
}

/** Whose key it is, and no signature: nobody verifies it. */
function sign<R extends { headers: Record<string, string> }>(request: R): R {
  request.headers.authorization = 'AWS4-HMAC-SHA256 Credential=test/';
  return request;
}

/** Tries again as the SDK does, but not at random times. */
function retryStrategy(): object {
  const tokenOf = (count: number) => ({
    getRetryCount: () => count,
    getRetryDelay: () => (count === 0 ? 0 : 100 * 2 ** count),
  });
  return {
    mode: 'standard',
    acquireInitialRetryToken: async () => tokenOf(0),
    refreshRetryTokenForRetry: async (
      token: ReturnType<typeof tokenOf>,
      { errorType }: { errorType: string },
    ) => {
      const count = token.getRetryCount() + 1;
      if (count >= ATTEMPTS || !['THROTTLING', 'TRANSIENT'].includes(errorType)) throw new Error('no more');
      return tokenOf(count);
    },
    recordSuccess: () => {},
  };
}
