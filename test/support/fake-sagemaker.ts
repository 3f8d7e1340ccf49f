import {
  CreateModelCommand,
  type CreateModelCommandInput,
  CreateTransformJobCommand,
  type CreateTransformJobCommandInput,
  DeleteModelCommand,
  DescribeModelCommand,
  DescribeModelPackageCommand,
  DescribeTransformJobCommand,
  ListModelPackagesCommand,
  SageMakerClient,
  SageMakerServiceException,
  StopTransformJobCommand,
  UpdateModelPackageCommand,
} from '@aws-sdk/client-sagemaker';
import { mockClient } from 'aws-sdk-client-mock';
import { afterAll, beforeEach } from 'vitest';
import { sha256 } from '../../functions/shared/identity.ts';
import type { FakeAws } from './fake-aws.ts';

/** An error as SageMaker answers it. */
export function sagemakerError(name: string, message = `the fake says ${name}`, status = 400) {
  return new SageMakerServiceException({
    name,
    message,
    $fault: status < 500 ? 'client' : 'server',
    $metadata: { httpStatusCode: status },
  });
}

/**
 * A client of SageMaker for the tests of one file, which set up anew for each of them what it answers.
 *
 * @returns `inputs` of the calls so far, or of those of one operation
 */
export function useSageMaker() {
  const mock = mockClient(SageMakerClient);
  beforeEach(() => {
    mock.reset();
  });
  afterAll(() => mock.restore());
  return {
    mock,
    sagemaker: new SageMakerClient({ region: 'us-east-1' }),
    inputs: (command?: unknown): object[] =>
      mock
        .calls()
        .map(({ args }) => args[0])
        .filter((call) => command === undefined || call.constructor === command)
        .map(({ input }) => input),
  };
}

/** What `DescribeModelPackage` and `CreateModel` say of what is not there. */
const gone = (what: string) => sagemakerError('ValidationException', `${what} does not exist.`);

/** A registered model in {@link FakeSageMaker}. */
export interface FakePackage {
  arn: string;
  group: string;
  version: number;
  status: string;
  approval: string;
  description?: string;
  metadata: Record<string, string>;
  /** `repository:tag`; what {@link FakeSageMaker.serves} goes by. */
  image: string;
  environment: Record<string, string>;
  createdAt: Date;
}

/** How the container of an image behaves in a transform job. */
export interface Service {
  /** How long its job takes. */
  ms: number;
  /** The answer to the features of one record. */
  answer: (features: string) => string;
  /** How the job ends; by default as it should. */
  end?: 'without an output' | 'stopped' | { failed: string };
}

interface Job {
  input: CreateTransformJobCommandInput;
  startedAt: number;
  stoppedAt?: number;
  ended?: JobState;
}

interface JobState {
  TransformJobStatus: string;
  FailureReason?: string;
}

const ACCOUNT = 'arn:aws:sagemaker:us-east-1:111122223333';

/** How long a job takes to stop. */
const STOPPING_MS = 5_000;

/**
 * SageMaker's model registry, models and transform jobs in memory, over the mocks of {@link FakeAws}. Jobs run as the
 * clock does: the test fakes `Date`. Their outputs are `input line,answer`, as SageMaker joins CSV.
 */
export class FakeSageMaker {
  readonly #aws: FakeAws;
  readonly packages = new Map<string, FakePackage>();
  readonly models = new Map<string, CreateModelCommandInput>();
  readonly jobs = new Map<string, Job>();
  /** By image. */
  readonly serves = new Map<string, Service>();
  /** Fails a call: asked before each, with its name and the whole input. */
  fails: (operation: string, input: object) => Error | undefined = () => undefined;

  constructor(aws: FakeAws) {
    this.#aws = aws;
    const { sagemaker } = aws;

    sagemaker.on(DescribeModelPackageCommand).callsFake((input) => {
      this.#enter('DescribeModelPackage', input);
      const found = this.#package(input.ModelPackageName);
      return {
        ModelPackageArn: found.arn,
        ModelPackageGroupName: found.group,
        ModelPackageVersion: found.version,
        ModelPackageStatus: found.status,
        ModelApprovalStatus: found.approval,
        ...(found.description !== undefined && { ApprovalDescription: found.description }),
        ...(Object.keys(found.metadata).length > 0 && { CustomerMetadataProperties: { ...found.metadata } }),
        CreationTime: found.createdAt,
        InferenceSpecification: {
          Containers: [
            {
              Image: found.image,
              ImageDigest: `sha256:${sha256(found.image)}`,
              ModelDataUrl: `s3://models/${found.version}/model.tar.gz`,
              ModelDataETag: `"model-${found.version}"`,
              Environment: found.environment,
            },
          ],
        },
      };
    });
    sagemaker.on(ListModelPackagesCommand).callsFake((input) => {
      this.#enter('ListModelPackages', input);
      const found = [...this.packages.values()]
        .filter(
          ({ group, approval }) =>
            group === input.ModelPackageGroupName && approval === input.ModelApprovalStatus,
        )
        .sort((a, b) => Number(b.createdAt) - Number(a.createdAt));
      return {
        ModelPackageSummaryList: found.map(({ arn, status }) => ({
          ModelPackageArn: arn,
          ModelPackageStatus: status,
        })),
      };
    });
    sagemaker.on(UpdateModelPackageCommand).callsFake((input) => {
      this.#enter('UpdateModelPackage', input);
      const found = this.#package(input.ModelPackageArn);
      if (input.ModelApprovalStatus !== undefined) found.approval = input.ModelApprovalStatus;
      found.description = input.ApprovalDescription;
      Object.assign(found.metadata, input.CustomerMetadataProperties);
      aws.changed('UpdateModelPackage');
      return { ModelPackageArn: found.arn };
    });

    sagemaker.on(CreateModelCommand).callsFake((input) => {
      this.#enter('CreateModel', input);
      if (this.models.has(input.ModelName))
        throw sagemakerError('ValidationException', 'Cannot create already existing model');
      this.models.set(input.ModelName, input);
      aws.changed('CreateModel');
      return { ModelArn: `${ACCOUNT}:model/${input.ModelName}` };
    });
    sagemaker.on(DescribeModelCommand).callsFake((input) => {
      this.#enter('DescribeModel', input);
      const found = this.models.get(input.ModelName);
      if (found === undefined) throw sagemakerError('ValidationException', 'Could not find model');
      return found;
    });
    sagemaker.on(DeleteModelCommand).callsFake((input) => {
      this.#enter('DeleteModel', input);
      if (!this.models.delete(input.ModelName))
        throw sagemakerError('ValidationException', 'Could not find model');
      aws.changed('DeleteModel');
      return {};
    });

    sagemaker.on(CreateTransformJobCommand).callsFake((input) => {
      this.#enter('CreateTransformJob', input);
      if (this.jobs.has(input.TransformJobName))
        throw sagemakerError('ResourceInUse', 'Job name must be unique');
      if (!this.models.has(input.ModelName))
        throw sagemakerError('ValidationException', 'Could not find model');
      this.jobs.set(input.TransformJobName, { input, startedAt: Date.now() });
      aws.changed('CreateTransformJob');
      return { TransformJobArn: `${ACCOUNT}:transform-job/${input.TransformJobName}` };
    });
    sagemaker.on(DescribeTransformJobCommand).callsFake((input) => {
      this.#enter('DescribeTransformJob', input);
      const job = this.#job(input.TransformJobName);
      return { ...job.input, ...this.#stateOf(job) };
    });
    sagemaker.on(StopTransformJobCommand).callsFake((input) => {
      this.#enter('StopTransformJob', input);
      const job = this.#job(input.TransformJobName);
      const { TransformJobStatus } = this.#stateOf(job);
      if (TransformJobStatus !== 'InProgress') {
        throw sagemakerError(
          'ValidationException',
          `The request was rejected because the job is in status ${TransformJobStatus}.`,
        );
      }
      job.stoppedAt = Date.now();
      aws.changed('StopTransformJob');
      return {};
    });
  }

  /** Registers a model; returns its ARN. */
  register(some: Partial<FakePackage> & { image: string }): string {
    const version = this.packages.size + 1;
    const group = some.group ?? 'flight-delay';
    const arn = `${ACCOUNT}:model-package/${group}/${version}`;
    this.packages.set(arn, {
      arn,
      group,
      version,
      status: 'Completed',
      approval: 'PendingManualApproval',
      metadata: {},
      environment: {},
      createdAt: new Date(Date.now() + version),
      ...some,
    });
    return arn;
  }

  get(arn: string): FakePackage {
    return this.#package(arn);
  }

  /** Names of the jobs that have not ended. */
  get running(): string[] {
    return [...this.jobs].flatMap(([name, job]) =>
      ['InProgress', 'Stopping'].includes(this.#stateOf(job).TransformJobStatus) ? name : [],
    );
  }

  #enter(operation: string, input: object): void {
    this.#aws.alive();
    const error = this.fails(operation, input);
    if (error !== undefined) throw error;
  }

  #package(arn: string): FakePackage {
    const found = this.packages.get(arn);
    if (found === undefined) throw gone(`ModelPackage ${arn}`);
    return found;
  }

  #job(name: string): Job {
    const found = this.jobs.get(name);
    if (found === undefined) throw sagemakerError('ResourceNotFound', `Could not find transform job ${name}`);
    return found;
  }

  #stateOf(job: Job): JobState {
    const { stoppedAt, startedAt } = job;
    if (job.ended !== undefined) return job.ended;
    if (stoppedAt !== undefined) {
      return { TransformJobStatus: Date.now() < stoppedAt + STOPPING_MS ? 'Stopping' : 'Stopped' };
    }
    const service = this.serves.get(this.#imageOf(job)) ?? { ms: 30_000, answer: () => '0.5' };
    if (Date.now() < startedAt + service.ms) return { TransformJobStatus: 'InProgress' };
    job.ended = this.#end(job, service);
    return job.ended;
  }

  #end(job: Job, service: Service): JobState {
    const { end } = service;
    if (end === 'stopped') return { TransformJobStatus: 'Stopped' };
    if (typeof end === 'object') return { TransformJobStatus: 'Failed', FailureReason: end.failed };
    if (end === undefined) this.#write(job, service);
    return { TransformJobStatus: 'Completed' };
  }

  readonly #images = new Map<Job, string>();

  /** Of the model that the job was started with, which may be deleted by now. */
  #imageOf(job: Job): string {
    const known = this.#images.get(job);
    if (known !== undefined) return known;
    const image = this.models.get(job.input.ModelName ?? '')?.PrimaryContainer?.Image ?? '';
    const [tagged] = [...this.serves.keys()].filter((name) => image.endsWith(`@sha256:${sha256(name)}`));
    this.#images.set(job, tagged ?? image);
    return tagged ?? image;
  }

  #write(job: Job, { answer }: Service): void {
    const { input } = job;
    const [, bucket = '', key = ''] =
      /^s3:\/\/([^/]+)\/(.*)$/.exec(input.TransformInput?.DataSource?.S3DataSource?.S3Uri ?? '') ?? [];
    const records = this.#aws.get(bucket, key).body.toString('utf8').trimEnd().split('\n');
    const out = records
      .map((record) => `${record},${answer(record.slice(record.indexOf(',') + 1))}\n`)
      .join('');
    const output = `${input.TransformOutput?.S3OutputPath}/${key.slice(key.lastIndexOf('/') + 1)}.out`;
    this.#aws.put(bucket, output.slice(`s3://${bucket}/`.length), out);
  }
}
