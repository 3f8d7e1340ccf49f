import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import {
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type PutObjectCommandInput,
  type S3Client,
} from '@aws-sdk/client-s3';
import { CreateModelCommand, SageMakerClient } from '@aws-sdk/client-sagemaker';
import { SageMakerRuntimeClient } from '@aws-sdk/client-sagemaker-runtime';
import { create } from 'tar';
import { ImageRegistry } from '../../sandbox/sagemaker/images.ts';
import { modelOperations } from '../../sandbox/sagemaker/models.ts';
import { type Parts, SageMakerServer } from '../../sandbox/sagemaker/server.ts';
import { type Account, type Operation, type Route, ServiceError } from '../../sandbox/sagemaker/service.ts';
import { s3Error } from './fake-aws.ts';

/** The role of every model. */
export const ROLE = 'arn:aws:iam::000000000000:role/model';

/** Address of the image of test/support/container.ts. */
export const IMAGE = '000000000000.dkr.ecr.us-east-1.amazonaws.com/test:v1';

/** An event as it went to EventBridge. */
export interface SentEvent {
  detailType: string;
  resources: readonly string[];
  // biome-ignore lint/suspicious/noExplicitAny: a test looks into it
  detail: any;
}

/** A local SageMaker in this process, with real clients, in an account that is in memory. */
export class LocalSageMaker {
  readonly events: SentEvent[] = [];
  readonly log: string[] = [];
  /** By `bucket/key`. */
  readonly objects = new Map<string, Buffer>();
  /** Whole inputs of PutObject, but for the body. */
  readonly written: PutObjectCommandInput[] = [];
  /** What was authorised: `action resource`. */
  readonly authorized: string[] = [];
  /** States of alarms by name. */
  readonly alarms = new Map<string, string>();
  /** Actions that nobody may. */
  readonly forbidden = new Set<string>();
  /** What S3 refuses the role: `GetObject bucket/key`, or how it begins. */
  readonly denied = new Set<string>();
  /** Keys of one listing page. */
  pageSize = 1000;
  client!: SageMakerClient;
  runtime!: SageMakerRuntimeClient;
  endpoint!: string;
  #server!: SageMakerServer;

  /**
   * @param wait in place of waiting for milliseconds; by default nothing is waited for
   */
  static async start({
    operations = {},
    routes = [],
    fault,
    wait = async () => setImmediate(),
  }: {
    operations?: Readonly<Record<string, Operation>>;
    routes?: readonly Route[];
    fault?: Parts['fault'];
    wait?: (milliseconds: number, signal: AbortSignal) => Promise<void>;
  }): Promise<LocalSageMaker> {
    const own = new LocalSageMaker();
    const images = new ImageRegistry();
    const source = 'test/support/container.ts';
    await images.register({ repository: 'test', tag: 'v1', command: ['node', source], sources: [source] });
    own.#server = new SageMakerServer({
      account: async () => own.#account(),
      images,
      operations: { ...modelOperations, ...operations },
      routes,
      ...(fault !== undefined && { fault }),
      log: (line) => own.log.push(line),
      wait,
    });
    own.endpoint = `http://127.0.0.1:${await own.#server.listen()}`;
    const options = {
      endpoint: own.endpoint,
      region: 'us-east-1',
      credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
      maxAttempts: 1,
    };
    own.client = new SageMakerClient(options);
    own.runtime = new SageMakerRuntimeClient(options);
    return own;
  }

  /** Waits until no job and no transition goes on. */
  async settled(): Promise<void> {
    await this.#server.settled();
  }

  async close(): Promise<void> {
    this.client.destroy();
    this.runtime.destroy();
    await this.#server.close();
  }

  /** `POST /_sandbox/faults` */
  async fault(asked: object): Promise<void> {
    const answer = await fetch(`${this.endpoint}/_sandbox/faults`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(asked),
    });
    if (!answer.ok) throw new Error(`the fault is refused: ${await answer.text()}`);
  }

  put(name: string, body: string | Uint8Array): void {
    this.objects.set(name, Buffer.from(body as string));
  }

  text(name: string): string | undefined {
    return this.objects.get(name)?.toString();
  }

  /** Creates a model of the test image that predicts a record's sum times a factor. */
  async createModel(
    name: string,
    { factor = 1, env = {} }: { factor?: number; env?: Record<string, string> } = {},
  ): Promise<void> {
    const directory = await mkdtemp(join(tmpdir(), 'tocsin-model-'));
    await writeFile(join(directory, 'model.json'), JSON.stringify({ factor }));
    const file = join(directory, 'model.tar.gz');
    await create({ gzip: true, cwd: directory, file }, ['model.json']);
    this.put(`models/${name}/model.tar.gz`, await readFile(file));
    await rm(directory, { recursive: true });
    const PrimaryContainer = {
      Image: IMAGE,
      ModelDataUrl: `s3://models/${name}/model.tar.gz`,
      Environment: env,
    };
    await this.client.send(
      new CreateModelCommand({ ModelName: name, PrimaryContainer, ExecutionRoleArn: ROLE }),
    );
  }

  #account(): Account {
    const s3 = { send: (command: unknown) => this.#s3(command) } as unknown as S3Client;
    return {
      s3,
      identify: async () => ({ arn: 'arn:aws:iam::000000000000:root', role: undefined }),
      authorize: async (_caller, action, resource) => {
        this.authorized.push(`${action} ${resource}`);
        if (this.forbidden.has(action)) throw new ServiceError('AccessDeniedException', `may not ${action}`);
      },
      passRole: async () => undefined,
      s3As: async (role) => {
        if (role !== ROLE) throw new ServiceError('ValidationException', `cannot assume ${role}`);
        return s3;
      },
      alarmStates: async (names) => new Map([...this.alarms].filter(([name]) => names.includes(name))),
      emit: async (detailType, resources, detail) => {
        this.events.push({ detailType, resources, detail: structuredClone(detail) });
      },
    };
  }

  async #s3(command: unknown): Promise<object> {
    const { Bucket, Key } = (command as GetObjectCommand).input;
    const refuse = (action: string, name: string) => {
      if ([...this.denied].some((start) => `${action} ${name}`.startsWith(start))) {
        throw s3Error('AccessDenied', 403);
      }
    };
    const name = `${Bucket}/${Key}`;
    if (command instanceof ListObjectsV2Command) {
      const { Prefix = '', ContinuationToken } = command.input;
      refuse('ListBucket', `${Bucket}`);
      const keys = [...this.objects.keys()]
        .filter((it) => it.startsWith(`${Bucket}/${Prefix}`))
        .map((it) => it.slice(`${Bucket}/`.length))
        .sort();
      const from = Number(ContinuationToken ?? 0);
      const to = from + this.pageSize;
      return {
        Contents: keys.slice(from, to).map((key) => ({ Key: key })),
        ...(to < keys.length && { NextContinuationToken: String(to) }),
      };
    }
    if (command instanceof PutObjectCommand) {
      refuse('PutObject', name);
      const { Body, ...rest } = command.input;
      this.put(name, Body as Buffer);
      this.written.push(rest);
      return {};
    }
    refuse('GetObject', name);
    const found = this.objects.get(name);
    if (found === undefined) throw s3Error('NoSuchKey', 404);
    if (command instanceof HeadObjectCommand) {
      return { ContentLength: found.length, ETag: `"${createHash('md5').update(found).digest('hex')}"` };
    }
    if (!(command instanceof GetObjectCommand)) throw new Error('the fake does not know this command');
    const Body = Object.assign(Readable.from([found]), { transformToByteArray: async () => found });
    return { Body, ContentLength: found.length };
  }
}
