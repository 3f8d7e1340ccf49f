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

/** Flights that the model learns from: it has to answer, not to be good. */
const LEARNED = 20_000;

/** How long the endpoint may take to come up, seconds. It takes two. */
const PATIENCE_S = 60;

/**
 * Serves a small model of flight delays at an endpoint that captures whatever it is asked, as a team's staging would.
 *
 * @param endpoint its name; that of the model, its configuration and its role, too
 * @param capture bucket for what it captures, and for its model
 * @throws SandboxError where it does not come up
 */
export async function serveFlightDelays(world: World, endpoint: string, capture: string): Promise<void> {
  const { s3, sagemaker } = world;
  await s3.send(new CreateBucketCommand({ Bucket: capture }));
  await s3.send(
    new PutObjectCommand({ Bucket: capture, Key: 'model.tar.gz', Body: await trainModel(world.directory) }),
  );
  const ExecutionRoleArn = await createRole(world, endpoint, capture);
  const Image = await world.registerImage({ ...IMAGE, repository: endpoint });
  await sagemaker.send(
    new CreateModelCommand({
      ModelName: endpoint,
      ExecutionRoleArn,
      PrimaryContainer: { Image, ModelDataUrl: `s3://${capture}/model.tar.gz` },
    }),
  );
  await sagemaker.send(
    new CreateEndpointConfigCommand({
      EndpointConfigName: endpoint,
      ProductionVariants: [
        {
          VariantName: 'AllTraffic',
          ModelName: endpoint,
          InstanceType: 'ml.m5.large',
          InitialInstanceCount: 1,
        },
      ],
      DataCaptureConfig: {
        EnableCapture: true,
        InitialSamplingPercentage: 100,
        DestinationS3Uri: `s3://${capture}/staging/`,
        CaptureOptions: [{ CaptureMode: 'Input' }, { CaptureMode: 'Output' }],
        CaptureContentTypeHeader: { CsvContentTypes: ['text/csv'] },
      },
    }),
  );
  await sagemaker.send(new CreateEndpointCommand({ EndpointName: endpoint, EndpointConfigName: endpoint }));
  const { state, reason } = await waitUntilEndpointInService(
    { client: sagemaker, maxWaitTime: PATIENCE_S, minDelay: 1, maxDelay: 1, abortSignal: world.signal },
    { EndpointName: endpoint },
  );
  if (state !== 'SUCCESS') {
    throw new SandboxError('story', `The endpoint ${endpoint} did not come up: ${JSON.stringify(reason)}.`);
  }
}

/** Trains here, as the container would in a job. Returns `model.tar.gz`. */
async function trainModel(directory: string): Promise<Buffer> {
  const [channel, model] = ['channel', 'model'].map((name) => join(directory, name)) as [string, string];
  await mkdir(channel, { recursive: true });
  const { path } = await writeFlights(directory, '2001-01', { rows: LEARNED });
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
