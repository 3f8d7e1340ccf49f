import { setTimeout as sleep } from 'node:timers/promises';
import { AttachRolePolicyCommand, CreateRoleCommand, PutRolePolicyCommand } from '@aws-sdk/client-iam';
import { CreateBucketCommand } from '@aws-sdk/client-s3';
import {
  CreateModelPackageGroupCommand,
  CreatePipelineCommand,
  DescribePipelineExecutionCommand,
  ListPipelineExecutionStepsCommand,
  type PipelineExecutionStepMetadata,
  StartPipelineExecutionCommand,
} from '@aws-sdk/client-sagemaker';
import { ACCOUNT, endOfLog, REGION } from './emulator.ts';
import type { ImageDefinition } from './sagemaker/images.ts';
import type { World } from './world.ts';

/*
 * What the team of the model of flight delays owns: an image, a bucket for artefacts, a role, a pipeline and groups of
 * model packages. Tocsin knows of it what tocsin.yaml says.
 */

const SOURCES = ['boosting', 'container', 'features', 'model', 'records', 'serve', 'train'];

/** The container of the model: it trains, and it serves. */
export const IMAGE: ImageDefinition = {
  repository: 'flight-delay',
  tag: '1',
  command: ['node', 'sandbox/model/container.ts'],
  sources: SOURCES.map((name) => `sandbox/model/${name}.ts`),
};

/** How long one execution may take. It takes 5 seconds, 30 on a machine that is busy. */
const PATIENCE_MS = 120_000;

/** Between two looks at something that takes seconds. */
export const POLL_MS = 500;

/** What a {@link trainingPipeline} is made of. */
export interface PipelineOptions {
  /** Address of the image. */
  image: string;
  /** ARN of the role that trains. */
  role: string;
  /** `s3://bucket/prefix/` for artefacts. */
  artifacts: string;
  /** Model package group, where an execution names none. */
  group: string;
}

/** The definition of a pipeline that trains a model on the dataset that it is given, and registers it. */
export function trainingPipeline({ image, role, artifacts, group }: PipelineOptions): object {
  return {
    Version: '2020-12-01',
    Parameters: [
      { Name: 'DatasetUri', Type: 'String' },
      { Name: 'ModelPackageGroupName', Type: 'String', DefaultValue: group },
      { Name: 'Trees', Type: 'String', DefaultValue: '60' },
    ],
    Steps: [
      {
        Name: 'Train',
        Type: 'Training',
        Arguments: {
          AlgorithmSpecification: { TrainingImage: image, TrainingInputMode: 'File' },
          RoleArn: role,
          HyperParameters: { trees: { Get: 'Parameters.Trees' } },
          InputDataConfig: [
            {
              ChannelName: 'training',
              DataSource: {
                S3DataSource: { S3DataType: 'S3Prefix', S3Uri: { Get: 'Parameters.DatasetUri' } },
              },
            },
          ],
          OutputDataConfig: { S3OutputPath: artifacts },
          ResourceConfig: { InstanceType: 'ml.m5.large', InstanceCount: 1, VolumeSizeInGB: 30 },
          StoppingCondition: { MaxRuntimeInSeconds: 3600 },
        },
      },
      {
        Name: 'Register',
        Type: 'RegisterModel',
        Arguments: {
          ModelPackageGroupName: { Get: 'Parameters.ModelPackageGroupName' },
          ModelApprovalStatus: 'PendingManualApproval',
          InferenceSpecification: {
            Containers: [
              { Image: image, ModelDataUrl: { Get: 'Steps.Train.ModelArtifacts.S3ModelArtifacts' } },
            ],
            SupportedContentTypes: ['text/csv'],
            SupportedResponseMIMETypes: ['text/csv'],
          },
        },
      },
    ],
  };
}

/** Names of what {@link setUpTraining} creates, as tocsin.yaml has them. */
export interface TrainingNames {
  pipeline: string;
  groups: string[];
  /** `s3://bucket/prefix/` */
  artifacts: string;
  /** ARN of the policy that reads the dataset to train on. */
  reader: string;
  /** Prefix in the bucket for data that no gate guards, with the dataset of the canary. */
  ungated: string;
}

/** Creates everything that the team owns. */
export async function setUpTraining(world: World, names: TrainingNames): Promise<void> {
  const { pipeline, groups, artifacts } = names;
  const { sagemaker } = world;
  const image = await world.registerImage(IMAGE);
  const { host: bucket } = new URL(artifacts);
  await world.s3.send(new CreateBucketCommand({ Bucket: bucket }));
  for (const ModelPackageGroupName of groups) {
    await sagemaker.send(new CreateModelPackageGroupCommand({ ModelPackageGroupName }));
  }
  const role = await createRole(world, names, bucket);
  const [group = ''] = groups;
  await sagemaker.send(
    new CreatePipelineCommand({
      PipelineName: pipeline,
      PipelineDefinition: JSON.stringify(trainingPipeline({ image, role, artifacts, group })),
      RoleArn: role,
      ClientRequestToken: crypto.randomUUID(),
    }),
  );
}

/** The role of the pipeline and of its jobs: it reads the dataset by the policy that Tocsin made for that. */
async function createRole(
  world: World,
  { pipeline, groups, reader, ungated }: TrainingNames,
  artifacts: string,
): Promise<string> {
  const RoleName = pipeline;
  const arn = `arn:aws:iam::${ACCOUNT}:role/${RoleName}`;
  const trust = allow('sts:AssumeRole', undefined, { Principal: { Service: 'sagemaker.amazonaws.com' } });
  await world.iam.send(new CreateRoleCommand({ RoleName, AssumeRolePolicyDocument: policy([trust]) }));
  const data = `arn:aws:s3:::${world.output('DataBucket')}`;
  const own = (resource: string) => `arn:aws:sagemaker:${REGION}:${ACCOUNT}:${resource}`;
  const PolicyDocument = policy([
    allow('s3:GetObject', `${data}/${ungated}*`),
    allow('s3:ListBucket', data, { Condition: { StringLike: { 's3:prefix': `${ungated}*` } } }),
    allow('s3:PutObject', `arn:aws:s3:::${artifacts}/*`),
    // For the service to look at what it is asked to register.
    allow('s3:GetObject', `arn:aws:s3:::${artifacts}/*`),
    allow(
      ['sagemaker:CreateTrainingJob', 'sagemaker:DescribeTrainingJob', 'sagemaker:StopTrainingJob'],
      own('training-job/*'),
    ),
    allow(
      ['sagemaker:CreateModelPackage', 'sagemaker:DescribeModelPackage'],
      groups.flatMap((group) => [own(`model-package-group/${group}`), own(`model-package/${group}/*`)]),
    ),
    allow('iam:PassRole', arn, {
      Condition: { StringEquals: { 'iam:PassedToService': 'sagemaker.amazonaws.com' } },
    }),
  ]);
  await world.iam.send(new PutRolePolicyCommand({ RoleName, PolicyName: 'training', PolicyDocument }));
  await world.iam.send(new AttachRolePolicyCommand({ RoleName, PolicyArn: reader }));
  return arn;
}

function allow(
  Action: string | string[],
  Resource: string | string[] | undefined,
  more: object = {},
): object {
  return { Effect: 'Allow', Action, ...(Resource !== undefined && { Resource }), ...more };
}

function policy(Statement: object[]): string {
  return JSON.stringify({ Version: '2012-10-17', Statement });
}

/** What an execution of the pipeline ended in. */
export interface Trained {
  /** ARN of the model package that it registered. */
  modelPackage: string;
  /** Area under the ROC curve that the training job measured on flights that it had put aside. */
  validationAuc: number;
}

/**
 * Runs the pipeline, and waits for its end.
 *
 * @param dataset `s3://bucket/prefix`
 * @throws SandboxError where it does not succeed within two minutes
 */
export async function runPipeline(world: World, pipeline: string, dataset: string): Promise<Trained> {
  const { sagemaker, signal } = world;
  const started = await sagemaker.send(
    new StartPipelineExecutionCommand({
      PipelineName: pipeline,
      PipelineParameters: [{ Name: 'DatasetUri', Value: dataset }],
      ClientRequestToken: crypto.randomUUID(),
    }),
  );
  const { PipelineExecutionArn } = started;
  for (const deadline = Date.now() + PATIENCE_MS; ; await sleep(POLL_MS, undefined, { signal })) {
    const { PipelineExecutionStatus: status, FailureReason } = await sagemaker.send(
      new DescribePipelineExecutionCommand({ PipelineExecutionArn }),
    );
    if (status === 'Succeeded') break;
    if (status !== 'Executing' || Date.now() > deadline) {
      throw await world.failure(
        `the pipeline ${pipeline}: expected Succeeded, got ${status}. ${FailureReason ?? ''}`,
      );
    }
  }
  const { PipelineExecutionSteps = [] } = await sagemaker.send(
    new ListPipelineExecutionStepsCommand({ PipelineExecutionArn }),
  );
  const metadata: PipelineExecutionStepMetadata = Object.assign(
    {},
    ...PipelineExecutionSteps.map(({ Metadata }) => Metadata),
  );
  // CloudWatch Logs has it on AWS. ARNs are in lower case, names as they were given.
  const job = metadata.TrainingJob?.Arn?.split('/').at(-1) ?? '';
  const line = endOfLog(world.emulator.directory, 20, { of: 'sagemaker', text: 'validation:auc=' }).find(
    (it) => it.toLowerCase().includes(` ${job}: `),
  );
  return {
    modelPackage: metadata.RegisterModel?.Arn ?? '',
    validationAuc: Number(/auc=(.*)$/.exec(line ?? '')?.[1]),
  };
}
