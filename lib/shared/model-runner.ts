import { ArnFormat, Stack } from 'aws-cdk-lib';
import { ArnPrincipal, PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { Construct } from 'constructs';
import { JOBS, type LocatedModel, TEMPORARY } from '../../functions/holdout-evaluation/schema.ts';
import { placeOf } from '../../functions/shared/schema.ts';
import { acknowledgeWildcards } from './acknowledge.ts';
import { localArn } from './arn.ts';
import type { GateFunction } from './gate-function.ts';
import { bothSpellings } from './spellings.ts';
import type { WorkBucket } from './work-bucket.ts';

/** Keys in the work bucket that jobs read and write. */
const JOB_KEYS = `${JOBS}*`;

export interface ModelRunnerProps {
  models: readonly LocatedModel[];
  work: WorkBucket;
}

/**
 * What it takes to run a registered model on a holdout: the work bucket for the inputs and outputs of its transform job,
 * and a role that the temporary model has. Models whose configuration names a role of their own run with that.
 */
export class ModelRunner extends Construct {
  /** The role of models that name none; absent where each names one. */
  readonly role: Role | undefined;
  /** {@link JOBS} is what models see; the rest is claims and the progress of runs. */
  readonly #work: WorkBucket;

  constructor(scope: Construct, id: string, { models, work }: ModelRunnerProps) {
    super(scope, id);
    this.#work = work;
    const borrowers = models.filter(({ value }) => value.execution.role === undefined);
    if (borrowers.length > 0) this.role = this.#createRole(borrowers);

    const roles = models.flatMap(({ value }) => value.execution.role ?? []);
    for (const role of new Set(roles)) this.#admit(role);
  }

  /**
   * Lets a gate run models: build them from the packages of these groups, and run transform jobs with them.
   *
   * @param models whose roles it may hand on to SageMaker
   */
  connect(gate: GateFunction, models: readonly LocatedModel[], groups: readonly string[]): void {
    this.#work.connect(gate, ['claims/*', JOB_KEYS], { jobs: true });
    gate.allow({
      actions: ['sagemaker:DescribeModelPackage'],
      resources: packageArns(gate, groups),
      wildcards: 'Every version in the group of a model; they are not known before.',
    });
    const arn = (resource: string) => localArn(this, 'sagemaker', `${resource}/${TEMPORARY}*`);
    const wildcards = 'Temporary models and jobs have a name for each evaluation; no other begins so.';
    gate.allow({
      actions: [
        'sagemaker:CreateModel',
        'sagemaker:DescribeModel',
        'sagemaker:DeleteModel',
        // Creating something with tags takes it.
        'sagemaker:AddTags',
      ],
      resources: [arn('model')],
      wildcards,
    });
    gate.allow({
      actions: [
        'sagemaker:CreateTransformJob',
        'sagemaker:DescribeTransformJob',
        'sagemaker:StopTransformJob',
        'sagemaker:AddTags',
      ],
      resources: [arn('transform-job')],
      wildcards,
    });

    const own = models.flatMap(({ value }) => value.execution.role ?? []);
    const borrows = this.role !== undefined && own.length < models.length;
    if (borrows) gate.environment('MODEL_ROLE_ARN', this.role!.roleArn);
    gate.allow({
      actions: ['iam:PassRole'],
      resources: [...new Set([...own, ...(borrows ? [this.role!.roleArn] : [])])],
      conditions: { StringEquals: { 'iam:PassedToService': 'sagemaker.amazonaws.com' } },
    });
  }

  /** The role of temporary models, as far as SageMaker needs one: a container that is cut off never sees it. */
  #createRole(models: readonly LocatedModel[]): Role {
    const stack = Stack.of(this);
    const role = new Role(this, 'ModelRole', {
      description: 'Tocsin: models under evaluation',
      assumedBy: new ServicePrincipal('sagemaker.amazonaws.com', {
        conditions: { StringEquals: { 'aws:SourceAccount': stack.account } },
      }),
    });
    const allow = (
      actions: string[],
      resources: string[],
      { wildcards, ...more }: { wildcards?: string; conditions?: Record<string, unknown> } = {},
    ): void => {
      role.addToPolicy(new PolicyStatement({ actions, resources, ...more }));
      if (wildcards !== undefined) acknowledgeWildcards(role, resources, wildcards);
    };
    allow(['s3:GetObject', 's3:PutObject'], [this.#work.bucket.arnForObjects(JOB_KEYS)], {
      wildcards: 'Inputs and outputs of jobs: their keys have a name for each evaluation.',
    });
    allow(['s3:ListBucket'], [this.#work.bucket.bucketArn], {
      conditions: { StringLike: { 's3:prefix': [JOB_KEYS] } },
    });

    const artifacts = [...new Set(models.flatMap(({ value }) => value.execution.artifacts))].map(placeOf);
    for (const [bucket = '', members] of Map.groupBy(artifacts, (place) => place.bucket)) {
      const bucketArn = `arn:${stack.partition}:s3:::${bucket}`;
      const prefixes = members.map(({ key }) => `${key}*`);
      allow(
        ['s3:GetObject'],
        prefixes.map((prefix) => `${bucketArn}/${prefix}`),
        { wildcards: 'Artefacts below the prefixes of execution.artifacts in tocsin.yaml.' },
      );
      allow(['s3:ListBucket'], [bucketArn], { conditions: { StringLike: { 's3:prefix': prefixes } } });
    }
    const kmsKeys = [...new Set(models.flatMap(({ value }) => value.execution.kmsKeys))];
    if (kmsKeys.length > 0) allow(['kms:Decrypt'], kmsKeys);

    const repositories = `arn:${stack.partition}:ecr:${stack.region}:*:repository/*`;
    allow(
      ['ecr:BatchCheckLayerAvailability', 'ecr:BatchGetImage', 'ecr:GetDownloadUrlForLayer'],
      [repositories],
      { wildcards: "A package names its image when it is registered, and AWS's own are in accounts of AWS." },
    );
    const logs = stack.formatArn({
      service: 'logs',
      resource: 'log-group',
      resourceName: '/aws/sagemaker/TransformJobs',
      arnFormat: ArnFormat.COLON_RESOURCE_NAME,
    });
    allow(
      ['logs:CreateLogGroup', 'logs:CreateLogStream', 'logs:DescribeLogStreams', 'logs:PutLogEvents'],
      [logs, `${logs}:*`],
      { wildcards: 'SageMaker names a log stream for each instance of a job.' },
    );
    allow(['cloudwatch:PutMetricData'], ['*'], {
      conditions: { StringEquals: { 'cloudwatch:namespace': '/aws/sagemaker/TransformJobs' } },
    });
    allow(['ecr:GetAuthorizationToken'], ['*'], {
      wildcards: 'The login to registries, and metrics, have no narrower resource.',
    });
    return role;
  }

  /** Lets a role that belongs to a model reach what its jobs read and write; the rest it brings along. */
  #admit(role: string): void {
    const principals = [new ArnPrincipal(role)];
    this.#work.bucket.addToResourcePolicy(
      new PolicyStatement({
        principals,
        actions: ['s3:GetObject', 's3:PutObject'],
        resources: [this.#work.bucket.arnForObjects(JOB_KEYS)],
      }),
    );
    this.#work.bucket.addToResourcePolicy(
      new PolicyStatement({
        principals,
        actions: ['s3:ListBucket'],
        resources: [this.#work.bucket.bucketArn],
        conditions: { StringLike: { 's3:prefix': [JOB_KEYS] } },
      }),
    );
  }
}

/** Every version in these groups of model packages. */
export function packageArns(scope: Construct, groups: readonly string[]): string[] {
  return bothSpellings(groups).map((group) => localArn(scope, 'sagemaker', `model-package/${group}/*`));
}
