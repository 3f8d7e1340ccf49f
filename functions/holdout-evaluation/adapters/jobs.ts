import {
  type ContainerDefinition,
  CreateModelCommand,
  CreateTransformJobCommand,
  DeleteModelCommand,
  DescribeModelCommand,
  DescribeTransformJobCommand,
  type ModelDataSource,
  type SageMakerClient,
  StopTransformJobCommand,
  type TransformInstanceType,
} from '@aws-sdk/client-sagemaker';
import { call, dependencyError } from '../../shared/aws.ts';
import { GateDependencyError, type GateError } from '../../shared/errors.ts';
import { canonicalJson } from '../../shared/identity.ts';
import { isGone, isTaken, tagList } from '../../shared/sagemaker.ts';
import type { ModelConfig } from '../schema.ts';
import type { PackagedContainer } from './registry.ts';

/*
 * The temporary model of an evaluation, and its batch transform job. Names are derived from the evaluation, so every
 * call may be repeated.
 */

/** A temporary model. */
export interface TemporaryModel {
  /** At most 63 letters, digits and inner hyphens. */
  name: string;
  roleArn: string;
  containers: readonly PackagedContainer[];
  /** Whether its containers are cut off from the network. */
  networkIsolation: boolean;
  tags: Readonly<Record<string, string>>;
}

/**
 * Builds a model from the containers of a package, which need not be Approved. Images are named by digest: the bytes
 * that were registered, whatever their tag names by now.
 *
 * @throws GateDependencyError where SageMaker does not answer, or refuses; or the name belongs to another model
 */
export async function createModel(sagemaker: SageMakerClient, model: TemporaryModel): Promise<void> {
  const { name, roleArn, networkIsolation, tags } = model;
  const containers = model.containers.map(definitionOf);
  const [first] = containers;
  try {
    await sagemaker.send(
      new CreateModelCommand({
        ModelName: name,
        ...(containers.length === 1 ? { PrimaryContainer: first } : { Containers: containers }),
        ExecutionRoleArn: roleArn,
        EnableNetworkIsolation: networkIsolation,
        Tags: tagList(tags),
      }),
    );
  } catch (error) {
    if (!isTaken(error)) throw dependencyError(`CreateModel ${name}`, error);
    const found = await call(
      `DescribeModel ${name}`,
      sagemaker.send(new DescribeModelCommand({ ModelName: name })),
    );
    const theirs = found.Containers ?? (found.PrimaryContainer === undefined ? [] : [found.PrimaryContainer]);
    if (found.ExecutionRoleArn !== roleArn || essence(theirs) !== essence(containers)) {
      throw notOurs('CreateModel', `model ${name}`, error);
    }
  }
}

function definitionOf(container: PackagedContainer): ContainerDefinition {
  const { hostname, modelDataUrl, modelDataSource, additionalModelDataSources, environment } = container;
  return {
    ...(hostname !== undefined && { ContainerHostname: hostname }),
    Image: pinnedImage(container),
    ...(modelDataUrl !== undefined && { ModelDataUrl: modelDataUrl }),
    ...(modelDataSource !== undefined && { ModelDataSource: withoutEtags(modelDataSource) }),
    ...(additionalModelDataSources !== undefined && {
      AdditionalModelDataSources: additionalModelDataSources,
    }),
    Environment: environment,
  };
}

/** `repository@sha256:...` */
function pinnedImage({ image, imageDigest }: PackagedContainer): string {
  return imageDigest === undefined ? image : `${image.replace(/@.*$|:[^/:]*$/, '')}@${imageDigest}`;
}

/** Without what SageMaker itself adds when it describes a package. */
function withoutEtags({ S3DataSource }: ModelDataSource): ModelDataSource {
  if (S3DataSource === undefined) return {};
  const { ETag, ManifestEtag, ...source } = S3DataSource;
  return { S3DataSource: source };
}

/** What two models of one evaluation have in common. */
function essence(containers: readonly ContainerDefinition[]): string {
  return canonicalJson(containers.map(({ Image, ModelDataUrl }) => ({ Image, ModelDataUrl })));
}

/**
 * Deletes a temporary model; one that is gone already is fine.
 *
 * @throws GateDependencyError where SageMaker does not answer, or refuses
 */
export async function deleteModel(sagemaker: SageMakerClient, name: string): Promise<void> {
  try {
    await sagemaker.send(new DeleteModelCommand({ ModelName: name }));
  } catch (error) {
    if (!isGone(error)) throw dependencyError(`DeleteModel ${name}`, error);
  }
}

/** A transform job: one model on one prepared holdout. */
export interface TransformJob {
  /** At most 63 letters, digits and inner hyphens. */
  name: string;
  modelName: string;
  /** `s3://bucket/key` of what `prepareHoldout` wrote; the output is `<output>/<last part of the key>.out`. */
  input: string;
  /** `s3://bucket/prefix` */
  output: string;
  transform: ModelConfig['transform'];
  tags: Readonly<Record<string, string>>;
}

/** What the container gets of a record: all but the number of the row. SageMaker puts the rest beside the answer. */
const FEATURES = { 'text/csv': '$[1:]', 'application/jsonlines': '$.features' } as const;

/**
 * Starts a transform job whose output has each record with its prediction.
 *
 * @throws GateDependencyError where SageMaker does not answer, or refuses; or the name belongs to another job
 */
export async function startTransform(sagemaker: SageMakerClient, job: TransformJob): Promise<void> {
  const { name, modelName, input, output, transform, tags } = job;
  try {
    await sagemaker.send(
      new CreateTransformJobCommand({
        TransformJobName: name,
        ModelName: modelName,
        BatchStrategy: 'MultiRecord',
        MaxPayloadInMB: transform.maxPayloadMb,
        TransformInput: {
          DataSource: { S3DataSource: { S3DataType: 'S3Prefix', S3Uri: input } },
          ContentType: transform.content,
          SplitType: 'Line',
        },
        TransformOutput: { S3OutputPath: output, Accept: transform.content, AssembleWith: 'Line' },
        TransformResources: {
          InstanceType: transform.instanceType as TransformInstanceType,
          InstanceCount: transform.instanceCount,
        },
        DataProcessing: { InputFilter: FEATURES[transform.content], JoinSource: 'Input' },
        Tags: tagList(tags),
      }),
    );
  } catch (error) {
    if (!isTaken(error)) throw dependencyError(`CreateTransformJob ${name}`, error);
    const found = await describeTransform(sagemaker, name);
    const theirs = found.TransformInput?.DataSource?.S3DataSource?.S3Uri;
    if (found.ModelName !== modelName || theirs !== input) {
      throw notOurs('CreateTransformJob', `transform job ${name}`, error);
    }
  }
}

/** Where a transform job is. */
export type TransformState =
  | { state: 'running' }
  | { state: 'completed' }
  /** `reason` is SageMaker's; `blame` as of {@link blameOf}. */
  | { state: 'failed'; reason: string; blame: 'model' | 'world' }
  | { state: 'stopped' };

/**
 * Looks a transform job up.
 *
 * @throws GateDependencyError where SageMaker does not answer, refuses, or knows no such job
 */
export async function transformState(sagemaker: SageMakerClient, name: string): Promise<TransformState> {
  const { TransformJobStatus, FailureReason } = await describeTransform(sagemaker, name);
  switch (TransformJobStatus) {
    case 'Completed':
      return { state: 'completed' };
    case 'Stopped':
      return { state: 'stopped' };
    case 'Failed': {
      const reason = FailureReason ?? 'SageMaker gives no reason';
      return { state: 'failed', reason, blame: blameOf(reason) };
    }
    default:
      return { state: 'running' };
  }
}

function describeTransform(sagemaker: SageMakerClient, name: string) {
  return call(
    `DescribeTransformJob ${name}`,
    sagemaker.send(new DescribeTransformJobCommand({ TransformJobName: name })),
  );
}

/** What surrounds the container: failures of it SageMaker calls the client's too. */
const SURROUNDINGS =
  /access ?denied|not authorized|permission|credential|assume|\brole\b|\bKMS\b|\bVPC\b|subnet|\bECR\b|pull|image|\bS3\b|s3:\/\/|capacity|throttl|limit exceeded|quota|internal error/i;

/** What a container does, or fails to do, that cannot answer. */
const CONTAINER = /\bping\b|\binvocations\b|see job logs|record|payload|model (server|container)|exit code/i;

/**
 * Whose fault a failed job is, by SageMaker's reason, whose beginning says little: `ClientError` stands before a record
 * that the container could not answer, and before a bucket that a role may not read.
 *
 * The model's are `AlgorithmError: ...` and `ClientError: ...` that speak of the container, its answers or its records,
 * and of nothing around it. Everything else is the world's, also what nobody has seen before: a model gets no verdict
 * that it did not earn, and without a verdict it is not approved either.
 */
export function blameOf(reason: string): 'model' | 'world' {
  if (/^AlgorithmError\b/.test(reason)) return 'model';
  const container = /^ClientError\b/.test(reason) && CONTAINER.test(reason) && !SURROUNDINGS.test(reason);
  return container ? 'model' : 'world';
}

/**
 * Asks a transform job to stop; one that has ended, or is gone, is fine. It takes SageMaker a while.
 *
 * @throws GateDependencyError where SageMaker does not answer, or refuses
 */
export async function stopTransform(sagemaker: SageMakerClient, name: string): Promise<void> {
  try {
    await sagemaker.send(new StopTransformJobCommand({ TransformJobName: name }));
  } catch (error) {
    if (isGone(error)) return;
    // What SageMaker says of one that has ended is its business; whether it has ended can be asked.
    const ended =
      (error as Error | null)?.name === 'ValidationException' &&
      (await transformState(sagemaker, name)).state !== 'running';
    if (!ended) throw dependencyError(`StopTransformJob ${name}`, error);
  }
}

function notOurs(action: string, what: string, cause: unknown): GateError {
  return new GateDependencyError(`${action} failed: there is another ${what} already`, {
    cause,
    help: 'Find out who made it: names that begin with tocsin- are for Tocsin alone.',
  });
}
