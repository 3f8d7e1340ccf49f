import {
  GetPolicyCommand,
  GetPolicyVersionCommand,
  GetRoleCommand,
  GetRolePolicyCommand,
  IAMClient,
  ListAttachedRolePoliciesCommand,
  ListRolePoliciesCommand,
  NoSuchEntityException,
} from '@aws-sdk/client-iam';
import { mockClient } from 'aws-sdk-client-mock';
import { afterEach, describe, expect, it } from 'vitest';
import { authorizeRole, type Role, readRole, trusts } from '../../../sandbox/aws/account.ts';
import { endpointOperations } from '../../../sandbox/sagemaker/endpoints.ts';
import { modelOperations } from '../../../sandbox/sagemaker/models.ts';
import { pipelineOperations } from '../../../sandbox/sagemaker/pipelines.ts';
import { registryOperations } from '../../../sandbox/sagemaker/registry.ts';
import { type Account, type Call, State } from '../../../sandbox/sagemaker/service.ts';
import { tagOperations } from '../../../sandbox/sagemaker/tags.ts';
import { trainingOperations } from '../../../sandbox/sagemaker/training.ts';
import { transformOperations } from '../../../sandbox/sagemaker/transform.ts';

const ROLE = 'arn:aws:iam::000000000000:role/gates/gate';
const CALLER = { arn: 'arn:aws:sts::000000000000:assumed-role/gate/function', role: ROLE };
const SAGEMAKER = 'arn:aws:sagemaker:us-east-1:000000000000';

interface Statement {
  Effect?: 'Allow' | 'Deny';
  Action: string | string[];
  Resource: string | string[];
  Condition?: object;
}

function policy(...statements: Statement[]) {
  return {
    name: 'p',
    policy: { Version: '2012-10-17', Statement: statements.map((it) => ({ Effect: 'Allow', ...it })) },
  };
}

function trust(statement: object): unknown {
  return { Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: 'sts:AssumeRole', ...statement }] };
}

function role(...statements: Statement[]): Role {
  return { arn: ROLE, trust: trust({ Principal: '*' }), policies: [policy(...statements)], boundary: [] };
}

describe('what a role may', () => {
  const describe1 = {
    Action: 'sagemaker:DescribeModelPackage',
    Resource: `${SAGEMAKER}:model-package/delays/*`,
  };
  const update = { Action: 'sagemaker:UpdateModelPackage', Resource: '*' };
  const approve = (...statuses: string[]) => ({
    ...update,
    Condition: { StringEquals: { 'sagemaker:ModelApprovalStatus': statuses } },
  });
  const pass = {
    Action: 'iam:PassRole',
    Resource: ROLE,
    Condition: { StringEquals: { 'iam:PassedToService': 'sagemaker.amazonaws.com' } },
  };

  it.each<[string, Role | undefined, string, string, Record<string, string>, string]>([
    [
      'a package of its group',
      role(describe1),
      'sagemaker:DescribeModelPackage',
      `${SAGEMAKER}:model-package/delays/3`,
      {},
      'yes',
    ],
    [
      'a package of another group',
      role(describe1),
      'sagemaker:DescribeModelPackage',
      `${SAGEMAKER}:model-package/delays-eu/3`,
      {},
      'because no identity-based policy allows the sagemaker:DescribeModelPackage action',
    ],
    [
      'another action',
      role(describe1),
      'sagemaker:DeleteModelPackage',
      `${SAGEMAKER}:model-package/delays/3`,
      {},
      'because no identity-based policy allows the sagemaker:DeleteModelPackage action',
    ],
    [
      'what is denied besides',
      role({ Action: '*', Resource: '*' }, { ...update, Effect: 'Deny' }),
      'sagemaker:UpdateModelPackage',
      `${SAGEMAKER}:model-package/delays/3`,
      {},
      'with an explicit deny in an identity-based policy',
    ],
    [
      'what the boundary leaves out',
      { ...role({ Action: '*', Resource: '*' }), boundary: [policy(describe1)] },
      'sagemaker:UpdateModelPackage',
      `${SAGEMAKER}:model-package/delays/3`,
      {},
      'because no identity-based policy allows the sagemaker:UpdateModelPackage action',
    ],
    [
      'with a role that was deleted',
      undefined,
      'sagemaker:ListModels',
      '*',
      {},
      'because no identity-based policy allows the sagemaker:ListModels action',
    ],
    [
      'to reject',
      role(approve('Rejected')),
      'sagemaker:UpdateModelPackage',
      `${SAGEMAKER}:model-package/delays/3`,
      { 'sagemaker:ModelApprovalStatus': 'Rejected' },
      'yes',
    ],
    [
      'to approve, where it may only reject',
      role(approve('Rejected')),
      'sagemaker:UpdateModelPackage',
      `${SAGEMAKER}:model-package/delays/3`,
      { 'sagemaker:ModelApprovalStatus': 'Approved' },
      'because no identity-based policy allows the sagemaker:UpdateModelPackage action',
    ],
    [
      'to pass a role to SageMaker',
      role(pass),
      'iam:PassRole',
      ROLE,
      { 'iam:PassedToService': 'sagemaker.amazonaws.com' },
      'yes',
    ],
    [
      'to pass it to another service',
      role(pass),
      'iam:PassRole',
      ROLE,
      { 'iam:PassedToService': 'lambda.amazonaws.com' },
      'because no identity-based policy allows the iam:PassRole action',
    ],
    [
      'what a tag of the resource opens',
      role({ ...update, Condition: { StringEquals: { 'aws:ResourceTag/team': 'ops' } } }),
      'sagemaker:UpdateModelPackage',
      `${SAGEMAKER}:model-package/delays/3`,
      { 'aws:ResourceTag/team': 'ops' },
      'yes',
    ],
  ])('%s', async (_, given, action, resource, context, expected) => {
    const outcome = await authorizeRole(CALLER, given, action, resource, context).then(
      () => 'yes',
      (error: Error & { type: string }) => `${error.type}: ${error.message}`,
    );
    const refusal = `AccessDeniedException: User: ${CALLER.arn} is not authorized to perform: ${action} on resource: ${resource} ${expected}`;
    expect(outcome).toBe(expected === 'yes' ? 'yes' : refusal);
  });
});

describe('whom SageMaker may be', () => {
  const service = { Principal: { Service: 'sagemaker.amazonaws.com' } };
  it.each<[string, unknown, boolean]>([
    ['a role that trusts SageMaker', trust(service), true],
    [
      'one that trusts it for this account',
      trust({ ...service, Condition: { StringEquals: { 'aws:SourceAccount': '000000000000' } } }),
      true,
    ],
    [
      'one that trusts it for another account',
      trust({ ...service, Condition: { StringEquals: { 'aws:SourceAccount': '111122223333' } } }),
      false,
    ],
    [
      'one that trusts several',
      trust({ Principal: { Service: ['lambda.amazonaws.com', 'sagemaker.amazonaws.com'] } }),
      true,
    ],
    ['one of Lambda', trust({ Principal: { Service: 'lambda.amazonaws.com' } }), false],
    [
      'one that people of the account may assume',
      trust({ Principal: { AWS: 'arn:aws:iam::000000000000:root' } }),
      false,
    ],
    ['one that denies it', trust({ ...service, Effect: 'Deny' }), false],
  ])('%s', async (_, document, expected) => {
    expect(await trusts({ ...role(), trust: document }, 'sagemaker.amazonaws.com')).toBe(expected);
  });
});

describe('a role, as IAM has it', () => {
  const iam = mockClient(IAMClient);
  afterEach(() => iam.reset());

  it('is read with inline policies, managed ones and its boundary, encoded or not', async () => {
    const [inline, managed, boundary, assume] = ['inline', 'managed', 'boundary', 'assume'].map((Sid) => ({
      Sid,
    }));
    iam.on(GetRoleCommand, { RoleName: 'gate' }).resolves({
      Role: {
        Path: '/gates/',
        RoleName: 'gate',
        RoleId: 'R',
        CreateDate: new Date(0),
        Arn: ROLE,
        AssumeRolePolicyDocument: encodeURIComponent(JSON.stringify(assume)),
        PermissionsBoundary: { PermissionsBoundaryArn: 'arn:boundary' },
      },
    });
    // In two pages.
    iam
      .on(ListRolePoliciesCommand, { RoleName: 'gate' })
      .resolves({ PolicyNames: [], IsTruncated: true, Marker: 'next' })
      .on(ListRolePoliciesCommand, { RoleName: 'gate', Marker: 'next' })
      .resolves({ PolicyNames: ['own'] });
    iam
      .on(GetRolePolicyCommand, { RoleName: 'gate', PolicyName: 'own' })
      .resolves({ RoleName: 'gate', PolicyName: 'own', PolicyDocument: JSON.stringify(inline) });
    iam
      .on(ListAttachedRolePoliciesCommand, { RoleName: 'gate' })
      .resolves({ AttachedPolicies: [{ PolicyArn: 'arn:managed' }] });
    for (const [PolicyArn, document] of [
      ['arn:managed', managed],
      ['arn:boundary', boundary],
    ] as const) {
      iam.on(GetPolicyCommand, { PolicyArn }).resolves({ Policy: { DefaultVersionId: 'v2' } });
      iam
        .on(GetPolicyVersionCommand, { PolicyArn, VersionId: 'v2' })
        .resolves({ PolicyVersion: { Document: encodeURIComponent(JSON.stringify(document)) } });
    }
    expect(await readRole(new IAMClient({}), ROLE)).toEqual({
      arn: ROLE,
      trust: assume,
      policies: [
        { name: 'own', policy: inline },
        { name: 'arn:managed', policy: managed },
      ],
      boundary: [{ name: 'arn:boundary', policy: boundary }],
    });
  });

  it('is not there where IAM has none, or one of another path', async () => {
    iam.on(GetRoleCommand).rejects(new NoSuchEntityException({ message: 'no', $metadata: {} }));
    expect(await readRole(new IAMClient({}), ROLE)).toBeUndefined();
    iam.on(GetRoleCommand).resolves({
      Role: {
        Path: '/',
        RoleName: 'gate',
        RoleId: 'R',
        CreateDate: new Date(0),
        Arn: ROLE.replace('gates/', ''),
      },
    });
    expect(await readRole(new IAMClient({}), ROLE)).toBeUndefined();
  });
});

describe('every operation', () => {
  const operations = {
    ...registryOperations,
    ...modelOperations,
    ...trainingOperations,
    ...pipelineOperations,
    ...transformOperations,
    ...endpointOperations,
    ...tagOperations,
  };
  const container = { Image: 'image:1' };
  const PipelineExecutionArn = `${SAGEMAKER}:pipeline/p/execution/e`;
  const ClientRequestToken = 'x'.repeat(32);
  const training = {
    TrainingJobName: 'job',
    AlgorithmSpecification: { TrainingImage: 'image:1', TrainingInputMode: 'File' },
    RoleArn: ROLE,
    OutputDataConfig: { S3OutputPath: 's3://b/out' },
    ResourceConfig: { InstanceType: 'ml.m5.large', InstanceCount: 1, VolumeSizeInGB: 1 },
    StoppingCondition: {},
  };

  /** An input of each that is valid, and what it is authorised on. */
  const INPUTS: Record<string, [object, string]> = {
    CreateModelPackageGroup: [{ ModelPackageGroupName: 'Delays' }, 'model-package-group/delays'],
    DescribeModelPackageGroup: [{ ModelPackageGroupName: 'Delays' }, 'model-package-group/delays'],
    ListModelPackageGroups: [{}, '*'],
    DeleteModelPackageGroup: [{ ModelPackageGroupName: 'Delays' }, 'model-package-group/delays'],
    CreateModelPackage: [
      { ModelPackageGroupName: 'Delays', InferenceSpecification: { Containers: [container] } },
      'model-package/delays/1',
    ],
    DescribeModelPackage: [{ ModelPackageName: 'Delays/7' }, 'model-package/delays/7'],
    ListModelPackages: [{ ModelPackageGroupName: 'Delays' }, 'model-package/delays/0'],
    UpdateModelPackage: [
      { ModelPackageArn: `${SAGEMAKER}:model-package/delays/7` },
      'model-package/delays/7',
    ],
    DeleteModelPackage: [{ ModelPackageName: 'bundle' }, 'model-package/bundle'],
    CreateModel: [{ ModelName: 'M', ExecutionRoleArn: ROLE }, 'model/m'],
    DescribeModel: [{ ModelName: 'M' }, 'model/m'],
    ListModels: [{}, '*'],
    DeleteModel: [{ ModelName: 'M' }, 'model/m'],
    CreateTrainingJob: [training, 'training-job/job'],
    DescribeTrainingJob: [{ TrainingJobName: 'job' }, 'training-job/job'],
    StopTrainingJob: [{ TrainingJobName: 'job' }, 'training-job/job'],
    CreatePipeline: [
      { PipelineName: 'P', PipelineDefinition: '{}', RoleArn: ROLE, ClientRequestToken },
      'pipeline/p',
    ],
    UpdatePipeline: [{ PipelineName: 'P' }, 'pipeline/p'],
    DescribePipeline: [{ PipelineName: `${SAGEMAKER}:pipeline/p` }, 'pipeline/p'],
    ListPipelines: [{}, '*'],
    DeletePipeline: [{ PipelineName: 'P', ClientRequestToken }, 'pipeline/p'],
    StartPipelineExecution: [{ PipelineName: 'P', ClientRequestToken }, 'pipeline/p'],
    StopPipelineExecution: [{ PipelineExecutionArn, ClientRequestToken }, 'pipeline/p/execution/e'],
    DescribePipelineExecution: [{ PipelineExecutionArn }, 'pipeline/p/execution/e'],
    ListPipelineExecutions: [{ PipelineName: 'P' }, 'pipeline/p'],
    ListPipelineExecutionSteps: [{ PipelineExecutionArn }, 'pipeline/p/execution/e'],
    AddTags: [{ ResourceArn: `${SAGEMAKER}:model/m`, Tags: [] }, 'model/m'],
    ListTags: [{ ResourceArn: `${SAGEMAKER}:model/m` }, 'model/m'],
    DeleteTags: [{ ResourceArn: `${SAGEMAKER}:model/m`, TagKeys: ['a'] }, 'model/m'],
  };

  /** What an operation asks for, before it does anything. */
  async function asked(name: string, input: object): Promise<[string, string]> {
    const stop = new Error('asked');
    let question: [string, string] | undefined;
    const account: Partial<Account> = {
      authorize: async (_caller, action, resource) => {
        question = [action, resource];
        throw stop;
      },
    };
    const call = { state: new State(), caller: CALLER, account } as unknown as Call;
    await expect(operations[name]?.(input, call, name)).rejects.toBe(stop);
    return question as [string, string];
  }

  it.each(Object.entries(INPUTS))('%s asks for its action, on its resource', async (name, [input, on]) => {
    const [action, resource] = await asked(name, input);
    expect([action, resource]).toEqual([`sagemaker:${name}`, on === '*' ? '*' : `${SAGEMAKER}:${on}`]);
    // A policy of this very action and resource allows it: AWS knows both, and the one has the other.
    await authorizeRole(CALLER, role({ Action: action, Resource: resource }), action, resource, {});
    await expect(
      authorizeRole(CALLER, role({ Action: action, Resource: `${SAGEMAKER}:other/x` }), action, resource, {}),
    ).rejects.toMatchObject({ type: 'AccessDeniedException' });
  });

  it('of this file is looked at', () => {
    const others = Object.keys({ ...transformOperations, ...endpointOperations });
    expect(Object.keys(operations).filter((it) => !others.includes(it))).toEqual(Object.keys(INPUTS));
  });
});
