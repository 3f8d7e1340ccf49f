import { EventBridgeClient, PutEventsCommand } from '@aws-sdk/client-eventbridge';
import { S3Client } from '@aws-sdk/client-s3';
import { SNSClient } from '@aws-sdk/client-sns';
import {
  type ParityAnswer,
  type ParityDependencies,
  runParity,
} from '../../functions/config-parity/parity-workflow.ts';
import { parseTrigger, requestsOf } from '../../functions/config-parity/request.ts';
import { parseParities, type Side } from '../../functions/config-parity/schema.ts';
import { durableHandler } from '../../functions/shared/durable.ts';
import { EvidenceStore } from '../../functions/shared/evidence.ts';
import { InProcessWorkflow } from '../../functions/shared/in-process.ts';
import type { Verdict } from '../../functions/shared/verdict.ts';
import { WorkBucket } from '../../functions/shared/work.ts';
import type { Workflow } from '../../functions/shared/workflow.ts';
import { DurableService, type Ended } from './durable-service.ts';
import { Estate } from './estate.ts';
import { type EstateData, emptyEstate } from './estate-api.ts';
import { FakeAws } from './fake-aws.ts';
import { type Published, published } from './published.ts';
import { VirtualClock } from './virtual-clock.ts';

export const REGION = 'eu-west-1';
export const ACCOUNTS: Record<Side, string> = { staging: '111122223333', production: '444455556666' };
const ROLE = `arn:aws:iam::${ACCOUNTS.production}:role/tocsin-parity`;

/** When everything begins. */
export const T0 = Date.UTC(2026, 10, 22, 9);

/** Keys as in tocsin.yaml. */
export type ParityChange = Record<string, unknown>;

/** Functions of each environment. */
export const FUNCTIONS = 12;

const numbers = Array.from({ length: FUNCTIONS }, (_, number) => number);

/** The text of a tocsin.yaml with one comparison: of an endpoint, which is asked, functions and parameters. */
export function configOf(change: ParityChange = {}): string {
  const parity = {
    production: { account: ACCOUNTS.production, role: ROLE },
    compare: {
      endpoints: ['delay-{environment}'],
      functions: numbers.map((number) => `features-${number}-{environment}`),
      parameters: ['/delay/{environment}/'],
    },
    probes: { delay: { endpoint: 'delay', golden: 'golden/delay.jsonl' } },
    afterDeployOf: ['Serving'],
    ...change,
  };
  return JSON.stringify({ parity: { delay: parity } }, null, 2);
}

/**
 * Two accounts, Tocsin's own with staging and that of production, and comparisons of them, on a virtual clock. The process of
 * a comparison may die, with any change that it makes.
 */
export class ParityWorld {
  /** Tocsin's own account: evidence, messages, golden requests. */
  readonly aws = new FakeAws();
  readonly clock = new VirtualClock(T0);
  readonly estates: Record<Side, Estate> = {
    staging: estateOf('staging'),
    production: estateOf('production'),
  };
  readonly recorded: Parameters<ParityDependencies['record']>[] = [];
  readonly warned: string[] = [];
  operations = 1_000;

  constructor() {
    this.aws.unversioned.add('work');
    // It would answer for the estates.
    this.aws.sagemaker.restore();
    this.golden([{ body: '1' }, { body: '2' }]);
  }

  close(): void {
    this.aws.restore();
    this.clock.end();
  }

  golden(requests: readonly { body: string; prediction?: unknown }[]): void {
    this.aws.put('data', 'golden/delay.jsonl', requests.map((one) => JSON.stringify(one)).join('\n'));
  }

  deps(): ParityDependencies {
    const s3 = new S3Client({});
    return {
      env: {
        TOPIC_ARN: 'arn:aws:sns:eu-west-1:111122223333:tocsin',
        EVENT_BUS: 'default',
        DATA_BUCKET: 'data',
      },
      store: new EvidenceStore(s3, 'evidence'),
      work: new WorkBucket(s3, 'work'),
      s3,
      sns: new SNSClient({}),
      events: new EventBridgeClient({}),
      clients: this.clients,
      operations: this.operations,
      now: Date.now,
      record: (...args) => this.recorded.push(args),
      warn: (message, error) => this.warned.push(`${message}: ${(error as Error).message}`),
    };
  }

  readonly #clients = {
    staging: this.estates.staging.clients(),
    production: this.estates.production.clients(),
  };
  /** Only production is read with a role. */
  readonly clients: ParityDependencies['clients'] = ({ role }) =>
    this.#clients[role === undefined ? 'staging' : 'production'];

  #start(workflow: Workflow, change: ParityChange, event: unknown): Promise<ParityAnswer> {
    const parities = parseParities({ file: 'tocsin.yaml', text: configOf(change) });
    const requests = requestsOf(parseTrigger(event), parities);
    if ('ignored' in requests) throw new Error(requests.ignored);
    return runParity(workflow, requests[0]!, this.deps());
  }

  /** A workflow that this process carries. */
  workflow(id = 'run-1', deadline = Number.POSITIVE_INFINITY): Workflow {
    return new InProcessWorkflow({
      id,
      deadline,
      now: Date.now,
      // A deadline lets no time pass by itself.
      sleep: (ms, signal) => (signal === undefined ? this.clock.sleep(ms) : this.clock.after(ms, signal)),
      random: () => 0.5,
    });
  }

  /** In one process. */
  run(
    change: ParityChange = {},
    { event = { parity: 'delay' } as unknown, id = 'run-1' } = {},
  ): Promise<ParityAnswer> {
    return this.clock.until(this.#start(this.workflow(id), change, event));
  }

  /** Durable executions, which may die anywhere: at a checkpoint (`dies`), or with any change (`aws.diesAfter`). */
  durable(change: ParityChange = {}): DurableService {
    const service = new DurableService(
      durableHandler(async (event, workflow) => {
        if (this.isDead) this.aws.diesAfter = Number.POSITIVE_INFINITY;
        await this.clock.catchUp();
        return this.#start(workflow, change, event);
      }),
      (ms) => this.clock.skip(ms),
    );
    service.dies = () => (this.isDead ? 'before it is kept' : undefined);
    return service;
  }

  execute(service: DurableService, event: unknown = { parity: 'delay' }, name?: string): Promise<Ended> {
    return this.clock.until(service.run(event, name));
  }

  get isDead(): boolean {
    return this.aws.changes.length >= this.aws.diesAfter;
  }

  // What came of it -----------------------------------------------------------------------------------------

  /** The objects of this name in the evidence. */
  evidence<T>(name: string): T[] {
    return this.aws
      .keys('evidence', 'evidence/config-parity/')
      .filter((key) => key.endsWith(`/${name}`))
      .map((key) => JSON.parse(this.aws.get('evidence', key).body.toString('utf8')));
  }

  get verdicts(): Verdict[] {
    return this.evidence<Verdict>('verdict.json');
  }

  get messages(): Published[] {
    return published(this.aws);
  }

  get events(): { DetailType: string; Detail: unknown; Resources: string[] }[] {
    return (this.aws.inputs('events', PutEventsCommand) as { Entries: { Detail: string }[] }[])
      .flatMap(({ Entries }) => Entries)
      .map((entry) => ({ ...entry, Detail: JSON.parse(entry.Detail) })) as never;
  }

  /** What is left in the work bucket, but for the progress of runs. */
  get left(): string[] {
    return this.aws.keys('work', '').filter((key) => !key.startsWith('runs/'));
  }
}

function estateOf(side: Side): Estate {
  const account = ACCOUNTS[side];
  const arn = (service: string, rest: string) => `arn:aws:${service}:${REGION}:${account}:${rest}`;
  const byName = <T>(items: readonly T[], nameOf: (item: T) => string) =>
    Object.fromEntries(items.map((item) => [nameOf(item), item]));
  const endpoint = `delay-${side}`;
  const data: EstateData = {
    ...emptyEstate(),
    endpoints: {
      [endpoint]: {
        EndpointName: endpoint,
        EndpointArn: arn('sagemaker', `endpoint/${endpoint}`),
        EndpointConfigName: `${endpoint}-7`,
        EndpointStatus: 'InService',
        CreationTime: new Date(T0),
        LastModifiedTime: new Date(T0),
        ProductionVariants: [
          {
            VariantName: 'AllTraffic',
            CurrentWeight: 1,
            DesiredWeight: 1,
            CurrentInstanceCount: 1,
            DesiredInstanceCount: 1,
            DeployedImages: [
              {
                SpecifiedImage: `${account}.dkr.ecr.${REGION}.amazonaws.com/delay:v1`,
                ResolvedImage: `${account}.dkr.ecr.${REGION}.amazonaws.com/delay@sha256:${'ab'.repeat(32)}`,
              },
            ],
          },
        ],
      },
    },
    endpointConfigs: {
      [`${endpoint}-7`]: {
        EndpointConfigName: `${endpoint}-7`,
        EndpointConfigArn: arn('sagemaker', `endpoint-config/${endpoint}-7`),
        CreationTime: new Date(T0),
        ProductionVariants: [
          {
            VariantName: 'AllTraffic',
            ModelName: `${endpoint}-7`,
            InitialInstanceCount: 1,
            InstanceType: 'ml.m5.large',
          },
        ],
      },
    },
    models: {
      [`${endpoint}-7`]: {
        ModelName: `${endpoint}-7`,
        ModelArn: arn('sagemaker', `model/${endpoint}-7`),
        ExecutionRoleArn: `arn:aws:iam::${account}:role/model`,
        CreationTime: new Date(T0),
        PrimaryContainer: {
          Image: `${account}.dkr.ecr.${REGION}.amazonaws.com/delay:v1`,
          Environment: { SCALER_VERSION: '1' },
        },
      },
    },
    functions: byName(
      numbers.map((number) => ({
        FunctionName: `features-${number}-${side}`,
        FunctionArn: arn('lambda', `function:features-${number}-${side}`),
        Runtime: 'nodejs24.x' as const,
        Handler: 'index.handler',
        Role: `arn:aws:iam::${account}:role/features`,
        Timeout: 30,
        MemorySize: 256,
        CodeSha256: 'yIFkT0Jm2NDJ5kVmUbNP6ZkD0Y8tDyK0e3Xx3tR5m2c=',
        State: 'Active' as const,
        LastUpdateStatus: 'Successful' as const,
        Architectures: ['arm64' as const],
        Environment: { Variables: { MODE: 'live' } },
      })),
      ({ FunctionName }) => FunctionName,
    ),
    parameters: byName(
      ['threshold', 'window'].map((name) => ({
        Name: `/delay/${side}/${name}`,
        ARN: arn('ssm', `parameter/delay/${side}/${name}`),
        Type: 'String' as const,
        DataType: 'text',
        Value: '7',
      })),
      ({ Name }) => Name,
    ),
    answers: { [endpoint]: { '1': '0.25', '2': '0.5' } },
  };
  return new Estate(account, REGION, data);
}
