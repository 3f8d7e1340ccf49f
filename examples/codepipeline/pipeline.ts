import { Aws, Duration, Stack, type StackProps } from 'aws-cdk-lib';
import { BuildSpec, LinuxBuildImage, PipelineProject } from 'aws-cdk-lib/aws-codebuild';
import { Artifact, Pipeline, PipelineType, Variable } from 'aws-cdk-lib/aws-codepipeline';
import { CodeBuildAction, CodeStarConnectionsSourceAction } from 'aws-cdk-lib/aws-codepipeline-actions';
import { PolicyStatement } from 'aws-cdk-lib/aws-iam';
import type { Construct } from 'constructs';

/** What this pipeline is about. Names of your own. */
export interface ReleasePipelineProps extends StackProps {
  /** ARN of the connection to where the repository is, which has tocsin.yaml. */
  connectionArn: string;
  owner: string;
  repo: string;
  /** The model of tocsin.yaml, and its model package group. */
  model: string;
  group: string;
  /** Name of the stack that Tocsin is. */
  tocsin: string;
  /** Outputs EvidenceBucket and DataBucket of that stack. */
  evidenceBucket: string;
  dataBucket: string;
  /** `bucket/key` of golden requests, of rollback drills and of comparisons. */
  golden: string[];
  /** Endpoints that are drilled. */
  endpoints: string[];
  /** Roles that environments are read with; of none, what `tocsin parity role` prints has to be allowed here. */
  environmentRoles: string[];
}

/**
 * A pipeline whose stage `Ready` refuses a release while a gap is open. The stage that deploys stands behind it, and deploys
 * `#{variables.package}`: the package that was judged.
 */
export class ReleasePipeline extends Stack {
  constructor(scope: Construct, id: string, props: ReleasePipelineProps) {
    super(scope, id, props);
    const source = new Artifact('Source');
    const released = new Variable({
      variableName: 'package',
      description: 'ARN of the model package that is released',
    });

    const project = (name: string, buildspec: string) =>
      new PipelineProject(this, name, {
        buildSpec: BuildSpec.fromSourceFilename(buildspec),
        environment: { buildImage: LinuxBuildImage.STANDARD_8_0 },
        timeout: Duration.minutes(30),
      });
    const ready = project('ReadyProject', 'examples/codepipeline/buildspec.yml');
    for (const statement of readinessStatements(props)) ready.addToRolePolicy(statement);

    new Pipeline(this, 'Pipeline', {
      pipelineType: PipelineType.V2,
      variables: [released],
      stages: [
        {
          stageName: 'Source',
          actions: [
            new CodeStarConnectionsSourceAction({
              actionName: 'Repository',
              connectionArn: props.connectionArn,
              owner: props.owner,
              repo: props.repo,
              output: source,
              // Whoever releases says which package: a commit does not.
              triggerOnPush: false,
            }),
          ],
        },
        {
          stageName: 'Ready',
          actions: [
            new CodeBuildAction({
              actionName: 'FiveGaps',
              project: ready,
              input: source,
              environmentVariables: {
                MODEL: { value: props.model },
                ENVIRONMENT: { value: 'production' },
                PACKAGE: { value: released.reference() },
                STACK: { value: props.tocsin },
              },
            }),
          ],
        },
        {
          stageName: 'Release',
          actions: [
            new CodeBuildAction({
              actionName: 'Deploy',
              // Yours: with a role that may deploy, which the one above may not.
              project: project('ReleaseProject', 'release.buildspec.yml'),
              input: source,
              environmentVariables: { PACKAGE: { value: released.reference() } },
            }),
          ],
        },
      ],
    });
  }
}

/** What `tocsin ready` may do: read. */
function readinessStatements(props: ReleasePipelineProps): PolicyStatement[] {
  const { evidenceBucket, dataBucket, golden, endpoints, environmentRoles, group, tocsin } = props;
  const allow = (actions: string[], resources: string[]) => new PolicyStatement({ actions, resources });
  const s3 = (path: string) => `arn:${Aws.PARTITION}:s3:::${path}`;
  const local = (service: string, resource: string) =>
    `arn:${Aws.PARTITION}:${service}:${Aws.REGION}:${Aws.ACCOUNT_ID}:${resource}`;
  return [
    allow(['cloudformation:DescribeStacks'], [local('cloudformation', `stack/${tocsin}/*`)]),
    allow(['s3:ListBucket'], [s3(evidenceBucket), s3(dataBucket)]),
    allow(
      ['s3:GetObject'],
      ['evidence', 'history', 'baselines'].map((folder) => s3(`${evidenceBucket}/${folder}/*`)),
    ),
    allow(['s3:GetObjectTagging'], [s3(`${dataBucket}/*`)]),
    allow(['s3:GetObject'], golden.map(s3)),
    // AWS knows no narrower resource of these two.
    allow(['sagemaker:ListModelPackages', 'cloudwatch:DescribeAlarms'], ['*']),
    allow(['sagemaker:DescribeModelPackage'], [local('sagemaker', `model-package/${group}/*`)]),
    allow(
      ['sagemaker:DescribeEndpoint'],
      endpoints.map((endpoint) => local('sagemaker', `endpoint/${endpoint}`)),
    ),
    allow(['sagemaker:DescribeEndpointConfig'], [local('sagemaker', 'endpoint-config/*')]),
    ...(environmentRoles.length === 0 ? [] : [allow(['sts:AssumeRole'], environmentRoles)]),
  ];
}
