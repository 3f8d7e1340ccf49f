import { mkdir, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { CreateRoleCommand, PutRolePolicyCommand } from '@aws-sdk/client-iam';
import { CreateBucketCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import {
  CreateEndpointCommand,
  CreateEndpointConfigCommand,
  CreateModelCommand,
  waitUntilEndpointInService,
} from '@aws-sdk/client-sagemaker';
import { create } from 'tar';
import { ACCOUNT } from './emulator.ts';
import { SandboxError } from './errors.ts';
import { writeFlights } from './flights.ts';
import { MODEL_FILE } from './model/model.ts';
import { train } from './model/train.ts';
import { IMAGE } from './pipeline.ts';
import type { World } from './world.ts';

/** Flights that a model learns from: it has to answer, not to be good. */
const LEARNED = 20_000;

/** How long the endpoint may take to come up, seconds. It takes two. */
const PATIENCE_S = 60;

/** What a team serves, as its staging would. */
export interface Serving {
  endpoint: string;
  /** Bucket for its models, and for what it captures. */
  bucket: string;
  variants: ServedVariant[];
  /** Where it captures whatever it is asked, `staging/`; nowhere where it is left out. */
  capture?: string;
  tags?: Record<string, string>;
}

/** A variant with a small model of its own. */
export interface ServedVariant {
  name: string;
  weight: number;
  /** How many instances (default 1). */
  instances?: number;
  /** SQL expressions in the place of columns of the flights that it learns from. */
  learns?: Record<string, string>;
  /** Variables of its container. */
  environment?: Record<string, string>;
}

/**
 * Serves small models of flight delays at an endpoint. Its models are called `endpoint-variant`; its role and its
 * configuration have its name.
 *
 * @throws SandboxError where it does not come up
 */
export async function serveFlightDelays(
  world: World,
  { endpoint, bucket, variants, capture, tags = {} }: Serving,
): Promise<void> {
  const { s3, sagemaker } = world;
  await s3.send(new CreateBucketCommand({ Bucket: bucket }));
  const ExecutionRoleArn = await createRole(world, endpoint, bucket);
  const Image = await world.registerImage({ ...IMAGE, repository: endpoint });
  for (const variant of variants) {
    const Key = `${variant.name}.tar.gz`;
    await s3.send(new PutObjectCommand({ Bucket: bucket, Key, Body: await trainModel(world, variant) }));
    await sagemaker.send(
      new CreateModelCommand({
        ModelName: `${endpoint}-${variant.name}`,
        ExecutionRoleArn,
        PrimaryContainer: {
          Image,
          ModelDataUrl: `s3://${bucket}/${Key}`,
          Environment: variant.environment,
        },
      }),
    );
  }
  await sagemaker.send(
    new CreateEndpointConfigCommand({
      EndpointConfigName: endpoint,
      ProductionVariants: variants.map(({ name, weight, instances = 1 }) => ({
        VariantName: name,
        ModelName: `${endpoint}-${name}`,
        InstanceType: 'ml.m5.large',
        InitialInstanceCount: instances,
        InitialVariantWeight: weight,
      })),
      ...(capture !== undefined && {
        DataCaptureConfig: {
          EnableCapture: true,
          InitialSamplingPercentage: 100,
          DestinationS3Uri: `s3://${bucket}/${capture}`,
          CaptureOptions: [{ CaptureMode: 'Input' }, { CaptureMode: 'Output' }],
          CaptureContentTypeHeader: { CsvContentTypes: ['text/csv'] },
        },
      }),
    }),
  );
  await sagemaker.send(
    new CreateEndpointCommand({
      EndpointName: endpoint,
      EndpointConfigName: endpoint,
      Tags: Object.entries(tags).map(([Key, Value]) => ({ Key, Value })),
    }),
  );
  await inService(world, endpoint);
}

/**
 * Waits until an endpoint is in service.
 *
 * @throws SandboxError where it is not within a minute
 */
export async function inService({ sagemaker, signal }: World, endpoint: string): Promise<void> {
  const { state, reason } = await waitUntilEndpointInService(
    { client: sagemaker, maxWaitTime: PATIENCE_S, minDelay: 1, maxDelay: 1, abortSignal: signal },
    { EndpointName: endpoint },
  );
  if (state === 'SUCCESS') return;
  throw new SandboxError('story', `The endpoint ${endpoint} is not in service: ${JSON.stringify(reason)}.`);
}

/** Trains here, as the container would in a job. Returns `model.tar.gz`. */
async function trainModel(world: World, { name, learns = {} }: ServedVariant): Promise<Buffer> {
  const directory = join(world.directory, name);
  const [channel, model] = ['channel', 'model'].map((part) => join(directory, part)) as [string, string];
  await mkdir(channel, { recursive: true });
  const { path } = await writeFlights(directory, '2001-01', { rows: LEARNED, replace: learns });
  await rename(path, join(channel, '2001-01.parquet'));
  const lines: string[] = [];
  const code = await train(
    {
      SM_CHANNEL_TRAINING: channel,
      SM_MODEL_DIR: model,
      SM_OUTPUT_DIR: model,
      SM_HPS: JSON.stringify({ trees: '10' }),
    },
    (line) => lines.push(line),
  );
  if (code !== 0) throw new SandboxError('story', 'The model was not trained.', { output: lines.join('\n') });
  const archive = join(directory, 'model.tar.gz');
  await create({ file: archive, cwd: model, gzip: true }, [MODEL_FILE]);
  return readFile(archive);
}

async function createRole(world: World, name: string, bucket: string): Promise<string> {
  const RoleName = `${name}-model`;
  const allow = (Action: string | string[], Resource: string) => ({ Effect: 'Allow', Action, Resource });
  const policy = (Statement: object[]) => JSON.stringify({ Version: '2012-10-17', Statement });
  await world.iam.send(
    new CreateRoleCommand({
      RoleName,
      AssumeRolePolicyDocument: policy([
        { Effect: 'Allow', Action: 'sts:AssumeRole', Principal: { Service: 'sagemaker.amazonaws.com' } },
      ]),
    }),
  );
  await world.iam.send(
    new PutRolePolicyCommand({
      RoleName,
      PolicyName: 'serving',
      PolicyDocument: policy([
        allow(['s3:GetObject', 's3:PutObject'], `arn:aws:s3:::${bucket}/*`),
        allow('s3:ListBucket', `arn:aws:s3:::${bucket}`),
      ]),
    }),
  );
  return `arn:aws:iam::${ACCOUNT}:role/${RoleName}`;
}
