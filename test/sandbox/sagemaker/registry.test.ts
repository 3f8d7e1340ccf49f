import {
  AddTagsCommand,
  CreateModelCommand,
  CreateModelPackageCommand,
  type CreateModelPackageCommandInput,
  CreateModelPackageGroupCommand,
  DeleteModelCommand,
  DeleteModelPackageCommand,
  DeleteModelPackageGroupCommand,
  DeleteTagsCommand,
  DescribeModelCommand,
  DescribeModelPackageCommand,
  DescribeModelPackageGroupCommand,
  ListModelPackageGroupsCommand,
  ListModelPackagesCommand,
  ListModelsCommand,
  ListTagsCommand,
  paginateListModelPackages,
  UpdateModelPackageCommand,
  type UpdateModelPackageCommandInput,
} from '@aws-sdk/client-sagemaker';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { registryOperations } from '../../../sandbox/sagemaker/registry.ts';
import { page } from '../../../sandbox/sagemaker/service.ts';
import { tagOperations } from '../../../sandbox/sagemaker/tags.ts';
import { IMAGE, LocalSageMaker, ROLE } from '../../support/sagemaker.ts';

const PACKAGE = 'arn:aws:sagemaker:us-east-1:000000000000:model-package';
const GROUP = 'arn:aws:sagemaker:us-east-1:000000000000:model-package-group';

let local: LocalSageMaker;
/** Statuses go on once this resolves. */
let release: () => void;

async function start(held = false): Promise<void> {
  const gate = new Promise<void>((resolve) => {
    release = resolve;
  });
  if (!held) release();
  local = await LocalSageMaker.start({
    operations: { ...registryOperations, ...tagOperations },
    wait: () => gate,
  });
  local.put('models/a.tar.gz', 'weights');
  await local.client.send(
    new CreateModelPackageGroupCommand({
      ModelPackageGroupName: 'Delays',
      ModelPackageGroupDescription: 'late flights',
      Tags: [{ Key: 'team', Value: 'ops' }],
    }),
  );
}

beforeEach(() => start());

afterEach(async () => {
  release();
  await local.close();
});

type Input = Partial<CreateModelPackageCommandInput>;

const CONTAINER = { Image: IMAGE, ModelDataUrl: 's3://models/a.tar.gz', Environment: { UNIT: 'km' } };

async function register(input: Input = { ModelPackageGroupName: 'Delays' }): Promise<string> {
  const { ModelPackageArn = '' } = await local.client.send(
    new CreateModelPackageCommand({ InferenceSpecification: { Containers: [CONTAINER] }, ...input } as Input),
  );
  return ModelPackageArn;
}

async function describePackage(ModelPackageName: string) {
  const { $metadata, ...rest } = await local.client.send(
    new DescribeModelPackageCommand({ ModelPackageName }),
  );
  return rest;
}

async function update(
  input: Partial<UpdateModelPackageCommandInput>,
  ModelPackageArn = `${PACKAGE}/delays/1`,
) {
  return local.client.send(new UpdateModelPackageCommand({ ModelPackageArn, ...input }));
}

describe('a model package group', () => {
  it('is described', async () => {
    const { $metadata, CreationTime, ...rest } = await local.client.send(
      new DescribeModelPackageGroupCommand({ ModelPackageGroupName: 'Delays' }),
    );
    expect(CreationTime).toBeInstanceOf(Date);
    expect(rest).toEqual({
      ModelPackageGroupName: 'Delays',
      // SageMaker writes names in lower case there.
      ModelPackageGroupArn: `${GROUP}/delays`,
      ModelPackageGroupDescription: 'late flights',
      ModelPackageGroupStatus: 'Completed',
      CreatedBy: {},
    });
  });

  it('cannot be made twice, not even in another case', async () => {
    for (const name of ['Delays', 'DELAYS']) {
      await expect(
        local.client.send(new CreateModelPackageGroupCommand({ ModelPackageGroupName: name })),
      ).rejects.toMatchObject({
        name: 'ValidationException',
        message: `Model Package Group already exists: ${GROUP}/delays`,
      });
    }
  });

  it('goes only when it has no packages', async () => {
    const arn = await register();
    const remove = () =>
      local.client.send(new DeleteModelPackageGroupCommand({ ModelPackageGroupName: `${GROUP}/delays` }));
    await expect(remove()).rejects.toMatchObject({ name: 'ConflictException' });
    await local.client.send(new DeleteModelPackageCommand({ ModelPackageName: arn }));
    await remove();
    await expect(remove()).rejects.toMatchObject({
      name: 'ValidationException',
      message: `ModelPackageGroup ${GROUP}/delays does not exist.`,
    });
  });

  it('is listed by part of its name, in the order asked for', async () => {
    for (const name of ['arrivals', 'delays-canary']) {
      await local.client.send(new CreateModelPackageGroupCommand({ ModelPackageGroupName: name }));
    }
    const { ModelPackageGroupSummaryList: found = [] } = await local.client.send(
      new ListModelPackageGroupsCommand({ NameContains: 'elays', SortBy: 'Name', SortOrder: 'Descending' }),
    );
    expect(found.map((it) => it.ModelPackageGroupName)).toEqual(['delays-canary', 'Delays']);
  });
});

describe('the life of a model package', () => {
  it('begins with what SageMaker finds out: version, digest, ETag', async () => {
    const arn = await register({
      ModelPackageGroupName: `${GROUP}/delays`,
      ModelPackageDescription: 'trees',
      CustomerMetadataProperties: { trained: '2001-04' },
      ModelMetrics: {
        ModelQuality: { Statistics: { ContentType: 'application/json', S3Uri: 's3://models/q.json' } },
      },
    });
    await local.settled();
    expect(arn).toBe(`${PACKAGE}/delays/1`);
    const found = await describePackage(arn);
    expect(found).toEqual({
      ModelPackageName: 'Delays',
      ModelPackageGroupName: 'Delays',
      ModelPackageVersion: 1,
      ModelPackageArn: arn,
      ModelPackageDescription: 'trees',
      CreationTime: expect.any(Date),
      LastModifiedTime: expect.any(Date),
      InferenceSpecification: {
        Containers: [
          {
            ...CONTAINER,
            ImageDigest: expect.stringMatching(/^sha256:[0-9a-f]{64}$/),
            ModelDataETag: expect.stringMatching(/^[0-9a-f]{32}$/),
          },
        ],
      },
      ModelPackageStatus: 'Completed',
      ModelPackageStatusDetails: { ValidationStatuses: [], ImageScanStatuses: [] },
      CertifyForMarketplace: false,
      ModelApprovalStatus: 'PendingManualApproval',
      CustomerMetadataProperties: { trained: '2001-04' },
      ModelMetrics: {
        ModelQuality: { Statistics: { ContentType: 'application/json', S3Uri: 's3://models/q.json' } },
      },
    });
  });

  it('sends an event at every change, as EventBridge documents them', async () => {
    const arn = await register();
    await local.settled();
    await update({ ModelApprovalStatus: 'Rejected', ApprovalDescription: 'auc 0.55, at least 0.62' });
    expect(
      local.events.map(({ detailType, resources, detail }) => [
        detailType,
        resources,
        detail.ModelPackageStatus,
        detail.ModelApprovalStatus,
      ]),
    ).toEqual(
      [
        ['Pending', 'PendingManualApproval'],
        ['InProgress', 'PendingManualApproval'],
        ['Completed', 'PendingManualApproval'],
        ['Completed', 'Rejected'],
      ].map(([status, approval]) => ['SageMaker Model Package State Change', [arn], status, approval]),
    );
    expect(local.events.at(-1)?.detail).toMatchObject({
      ModelPackageArn: arn,
      ModelPackageGroupName: 'Delays',
      ModelPackageVersion: 1,
      ApprovalDescription: 'auc 0.55, at least 0.62',
      CreationTime: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
      Tags: { team: 'ops' },
    });
  });

  it('cannot be changed before it is Completed', async () => {
    await local.close();
    await start(true);
    await register();
    await expect(update({ ModelApprovalStatus: 'Approved' })).rejects.toMatchObject({
      name: 'ConflictException',
    });
    expect(await describePackage(`${PACKAGE}/delays/1`)).toMatchObject({
      ModelPackageStatus: 'Pending',
      ModelApprovalStatus: 'PendingManualApproval',
    });
  });

  it('sends nothing more once it is deleted', async () => {
    await local.close();
    await start(true);
    const arn = await register();
    await local.client.send(new DeleteModelPackageCommand({ ModelPackageName: arn }));
    release();
    await local.settled();
    expect(local.events.map(({ detail }) => detail.ModelPackageStatus)).toEqual(['Pending']);
  });

  it('keeps the properties that an update does not name', async () => {
    await register({
      ModelPackageGroupName: 'Delays',
      CustomerMetadataProperties: { a: '1', b: '2', c: '3' },
    });
    await local.settled();
    await update({
      CustomerMetadataProperties: { b: '20', d: '4' },
      CustomerMetadataPropertiesToRemove: ['a', 'never there'],
    });
    expect(await describePackage(`${PACKAGE}/delays/1`)).toMatchObject({
      CustomerMetadataProperties: { b: '20', c: '3', d: '4' },
      ModelApprovalStatus: 'PendingManualApproval',
    });
  });

  it('has at most 50 properties, however many updates bring them', async () => {
    const some = (from: number, count: number) =>
      Object.fromEntries(Array.from({ length: count }, (_, i) => [`k${from + i}`, 'v']));
    await register({ ModelPackageGroupName: 'Delays', CustomerMetadataProperties: some(0, 50) });
    await local.settled();
    const before = await describePackage(`${PACKAGE}/delays/1`);
    await expect(update({ CustomerMetadataProperties: { one: 'more' } })).rejects.toMatchObject({
      name: 'ValidationException',
    });
    await expect(update({ CustomerMetadataProperties: some(0, 51) })).rejects.toMatchObject({
      name: 'ValidationException',
    });
    expect(await describePackage(`${PACKAGE}/delays/1`)).toEqual(before);
    await update({
      CustomerMetadataProperties: { one: 'more' },
      CustomerMetadataPropertiesToRemove: ['k0'],
    });
  });

  it('never gives a version twice, also to registrations at the same time', async () => {
    const arns = await Promise.all([register(), register(), register()]);
    expect(new Set(arns).size).toBe(3);
    await local.client.send(new DeleteModelPackageCommand({ ModelPackageName: `${PACKAGE}/delays/3` }));
    expect(await register()).toBe(`${PACKAGE}/delays/4`);
    await expect(describePackage(`${PACKAGE}/delays/3`)).rejects.toMatchObject({
      name: 'ValidationException',
      message: `ModelPackage ${PACKAGE}/delays/3 does not exist.`,
    });
  });

  it('is the same package for the same token', async () => {
    const input = { ModelPackageGroupName: 'Delays', ClientToken: 'once' };
    const arns = [...(await Promise.all([register(input), register(input)])), await register(input)];
    expect(new Set(arns)).toEqual(new Set([`${PACKAGE}/delays/1`]));
    expect(await describePackage(`${PACKAGE}/delays/1`)).not.toHaveProperty('ClientToken');
  });

  it('may be without versions, and without approval', async () => {
    const arn = await register({ ModelPackageName: 'bundle' });
    await local.settled();
    const found = await describePackage('bundle');
    expect(found).toMatchObject({ ModelPackageName: 'bundle', ModelPackageArn: arn });
    expect(found).not.toHaveProperty('ModelApprovalStatus');
    await expect(update({ ModelApprovalStatus: 'Approved' }, arn)).rejects.toMatchObject({
      name: 'ValidationException',
    });
    await expect(register({ ModelPackageName: 'bundle' })).rejects.toMatchObject({
      message: `Model Package already exists: ${PACKAGE}/bundle`,
    });
  });
});

describe('what a registration is refused for', () => {
  const containers = (changes: object): Input => ({
    ModelPackageGroupName: 'Delays',
    InferenceSpecification: { Containers: [{ ...CONTAINER, ...changes }] },
  });
  it.each<[string, Input, RegExp]>([
    [
      'an image that is not there',
      containers({ Image: `${IMAGE}x` }),
      /^Requested image .*:v1x not found\.$/,
    ],
    [
      'model data that is not there',
      containers({ ModelDataUrl: 's3://models/b.tar.gz' }),
      /s3:\/\/models\/b/,
    ],
    ['a digest of another image', containers({ ImageDigest: `sha256:${'0'.repeat(64)}` }), /has the digest/],
    [
      'no containers',
      { ...containers({}), InferenceSpecification: { Containers: [] } },
      /length greater than or equal to 1/,
    ],
    ['neither name nor group', { ModelPackageDescription: 'x' }, /Exactly one of/],
    ['name and group', { ModelPackageName: 'a', ModelPackageGroupName: 'Delays' }, /Exactly one of/],
    [
      'a group that is not there',
      { ModelPackageGroupName: 'other' },
      /ModelPackageGroup .*other does not exist/,
    ],
    ['tags on a version', { ...containers({}), Tags: [{ Key: 'a', Value: 'b' }] }, /Tags cannot be provided/],
    [
      'JSON as a property',
      { ...containers({}), CustomerMetadataProperties: { a: '{"b":1}' } },
      /customerMetadataProperties\.a/,
    ],
    [
      'a percent sign in a property',
      { ...containers({}), CustomerMetadataProperties: { a: '5%' } },
      /pattern/,
    ],
    [
      'a long value',
      { ...containers({}), CustomerMetadataProperties: { a: 'x'.repeat(257) } },
      /length less than or equal to 256/,
    ],
    [
      'a long key',
      { ...containers({}), CustomerMetadataProperties: { ['x'.repeat(129)]: 'a' } },
      /length less than or equal to 128/,
    ],
    [
      'an approval that does not exist',
      { ...containers({}), ModelApprovalStatus: 'Maybe' as never },
      /enum value set: \[Approved, Rejected, PendingManualApproval\]/,
    ],
  ])('%s', async (_, input, message) => {
    await expect(register(input)).rejects.toMatchObject({
      name: 'ValidationException',
      message: expect.stringMatching(message),
    });
    const { ModelPackageSummaryList } = await local.client.send(
      new ListModelPackagesCommand({ ModelPackageType: 'Both' }),
    );
    expect(ModelPackageSummaryList).toEqual([]);
    expect(local.events).toEqual([]);
  });

  it.each([
    ['more than one line', 'one\ntwo'],
    ['more than 1024 characters', 'x'.repeat(1025)],
  ])('an approval description of %s', async (_, ApprovalDescription) => {
    await register();
    await local.settled();
    await expect(update({ ApprovalDescription })).rejects.toMatchObject({ name: 'ValidationException' });
  });
});

describe('lists', () => {
  it('come in pages that have everything once, and a token is for its own query only', async () => {
    for (let i = 0; i < 5; i++) await register();
    const versions: (number | undefined)[] = [];
    let token: string | undefined;
    for await (const got of paginateListModelPackages(
      { client: local.client, pageSize: 2 },
      { ModelPackageGroupName: 'Delays', SortOrder: 'Descending' },
    )) {
      expect(got.ModelPackageSummaryList?.length).toBeLessThanOrEqual(2);
      versions.push(...(got.ModelPackageSummaryList ?? []).map((it) => it.ModelPackageVersion));
      token ??= got.NextToken;
    }
    expect(versions).toEqual([5, 4, 3, 2, 1]);
    for (const NextToken of [token, 'made up']) {
      await expect(
        local.client.send(new ListModelPackagesCommand({ ModelPackageGroupName: 'Delays', NextToken })),
      ).rejects.toMatchObject({ name: 'ValidationException' });
    }
  });

  it('take the filters of the API', async () => {
    const first = await register();
    await register();
    await register({ ModelPackageName: 'bundle' });
    await local.settled();
    await update({ ModelApprovalStatus: 'Approved' }, first);
    const arns = async (query: ListModelPackagesCommand['input']) => {
      const { ModelPackageSummaryList = [] } = await local.client.send(new ListModelPackagesCommand(query));
      return ModelPackageSummaryList.map((it) => it.ModelPackageArn?.replace(`${PACKAGE}/`, ''));
    };
    expect(await arns({})).toEqual(['bundle']);
    expect(await arns({ ModelPackageGroupName: 'Delays' })).toEqual(['delays/1', 'delays/2']);
    expect(await arns({ ModelPackageType: 'Both', SortBy: 'Name' })).toEqual([
      'delays/1',
      'delays/2',
      'bundle',
    ]);
    expect(await arns({ ModelPackageGroupName: 'Delays', ModelApprovalStatus: 'Approved' })).toEqual([
      'delays/1',
    ]);
    const now = new Date(Date.now() + 60_000);
    expect(await arns({ ModelPackageGroupName: 'Delays', CreationTimeAfter: now })).toEqual([]);
    expect(await arns({ ModelPackageGroupName: 'Delays', CreationTimeBefore: now })).toHaveLength(2);
    await expect(arns({ ModelPackageGroupName: 'other' })).rejects.toMatchObject({
      name: 'ValidationException',
    });
    await expect(arns({ MaxResults: 101 })).rejects.toMatchObject({
      message: expect.stringContaining('value less than or equal to 100'),
    });
  });

  it('of any length, in pages of any size, have everything once and in order', () => {
    fc.assert(
      fc.property(fc.array(fc.integer()), fc.integer({ min: 1, max: 100 }), (items, MaxResults) => {
        const seen: number[] = [];
        let NextToken: string | undefined;
        do {
          const got = page(items, { MaxResults, NextToken });
          expect(got.items.length).toBeLessThanOrEqual(MaxResults);
          seen.push(...got.items);
          NextToken = got.NextToken;
        } while (NextToken !== undefined);
        expect(seen).toEqual(items);
      }),
      { seed: 3 },
    );
  });
});

describe('a model', () => {
  const create = (changes: Partial<CreateModelCommand['input']>) =>
    local.client.send(
      new CreateModelCommand({
        ModelName: 'm',
        ExecutionRoleArn: ROLE,
        PrimaryContainer: { Image: IMAGE, ModelDataUrl: 's3://models/a.tar.gz' },
        ...changes,
      }),
    );

  it('is created, described, listed and deleted', async () => {
    await create({ ModelName: 'One', EnableNetworkIsolation: true });
    await create({ ModelName: 'two' });
    const { $metadata, CreationTime, ...rest } = await local.client.send(
      new DescribeModelCommand({ ModelName: 'One' }),
    );
    expect(rest).toEqual({
      ModelName: 'One',
      ModelArn: 'arn:aws:sagemaker:us-east-1:000000000000:model/one',
      ExecutionRoleArn: ROLE,
      PrimaryContainer: { Image: IMAGE, ModelDataUrl: 's3://models/a.tar.gz', Mode: 'SingleModel' },
      EnableNetworkIsolation: true,
    });
    const { Models = [] } = await local.client.send(new ListModelsCommand({ NameContains: 'w' }));
    expect(Models.map(({ ModelName }) => ModelName)).toEqual(['two']);
    await local.client.send(new DeleteModelCommand({ ModelName: 'two' }));
    await expect(local.client.send(new DeleteModelCommand({ ModelName: 'two' }))).rejects.toMatchObject({
      name: 'ValidationException',
      message: 'Could not find model "arn:aws:sagemaker:us-east-1:000000000000:model/two".',
    });
  });

  it('of a package needs somebody to have approved it, and has the image that was registered', async () => {
    const arn = await register();
    await local.settled();
    const PrimaryContainer = { ModelPackageName: arn, Environment: { UNIT: 'miles' } };
    for (const status of ['PendingManualApproval', 'Rejected'] as const) {
      await update({ ModelApprovalStatus: status });
      await expect(create({ PrimaryContainer })).rejects.toMatchObject({
        name: 'ValidationException',
        message: `Model Package ${arn} is not approved: its status is ${status}.`,
      });
    }
    await update({ ModelApprovalStatus: 'Approved' });
    await create({ PrimaryContainer });
    const { PrimaryContainer: shown } = await local.client.send(new DescribeModelCommand({ ModelName: 'm' }));
    expect(shown).toEqual({ ...PrimaryContainer, Mode: 'SingleModel' });
  });

  it.each<[string, Partial<CreateModelCommand['input']>, RegExp]>([
    [
      'a name of 64 characters',
      { ModelName: 'x'.repeat(64) },
      /^2 validation errors detected: Value 'x{64}' at 'modelName' failed to satisfy constraint: Member must have length less than or equal to 63; /,
    ],
    ['a name that begins with a hyphen', { ModelName: '-m' }, /regular expression pattern: \^\[a-zA-Z0-9\]/],
    ['no container', { PrimaryContainer: undefined }, /Exactly one of PrimaryContainer and Containers/],
    ['no image', { PrimaryContainer: {} }, /One of Image and ModelPackageName/],
    [
      'an image that is not there',
      { PrimaryContainer: { Image: 'nowhere/x:1' } },
      /Requested image nowhere\/x:1 not found/,
    ],
    [
      'model data that the role cannot read',
      { PrimaryContainer: { Image: IMAGE, ModelDataUrl: 's3://locked/m.tar.gz' } },
      /^Could not access model data at s3:\/\/locked\/m\.tar\.gz/,
    ],
    ['a role that is no ARN', { ExecutionRoleArn: 'arn:aws:iam::1:user/somebody' }, /'executionRoleArn'/],
    [
      'an environment name of two words',
      { PrimaryContainer: { Image: IMAGE, Environment: { 'a b': 'c' } } },
      /primaryContainer\.environment/,
    ],
  ])('is refused with %s', async (_, changes, message) => {
    local.denied.add('GetObject locked/');
    await expect(create(changes)).rejects.toMatchObject({
      name: 'ValidationException',
      message: expect.stringMatching(message),
    });
  });

  it('cannot be made twice', async () => {
    await create({});
    await expect(create({ ModelName: 'M' })).rejects.toMatchObject({
      message: 'Cannot create already existing model "arn:aws:sagemaker:us-east-1:000000000000:model/m".',
    });
  });
});

describe('tags', () => {
  const ResourceArn = `${GROUP}/delays`;
  const tags = async () =>
    (await local.client.send(new ListTagsCommand({ ResourceArn }))).Tags?.map(({ Key, Value }) => [
      Key,
      Value,
    ]);

  it('are added, replaced and deleted', async () => {
    await local.client.send(
      new AddTagsCommand({
        ResourceArn,
        Tags: [
          { Key: 'team', Value: 'ml' },
          { Key: 'cost', Value: '7' },
        ],
      }),
    );
    expect(await tags()).toEqual([
      ['team', 'ml'],
      ['cost', '7'],
    ]);
    await local.client.send(new DeleteTagsCommand({ ResourceArn, TagKeys: ['team', 'none'] }));
    expect(await tags()).toEqual([['cost', '7']]);
  });

  it('are at most 50, and on what is there', async () => {
    const Tags = Array.from({ length: 50 }, (_, i) => ({ Key: `k${i}`, Value: '' }));
    await expect(local.client.send(new AddTagsCommand({ ResourceArn, Tags }))).rejects.toMatchObject({
      name: 'ValidationException',
    });
    expect(await tags()).toEqual([['team', 'ops']]);
    await expect(
      local.client.send(new AddTagsCommand({ ResourceArn: `${GROUP}/other`, Tags: [] })),
    ).rejects.toMatchObject({ name: 'ValidationException' });
  });
});

describe('validation', () => {
  it.each<[string, keyof typeof registryOperations, unknown, string, string]>([
    [
      'what is missing',
      'CreateModelPackageGroup',
      {},
      'ValidationException',
      "1 validation error detected: Value null at 'modelPackageGroupName' failed to satisfy constraint: Member must not be null",
    ],
    [
      'what is not known',
      'CreateModelPackageGroup',
      { ModelPackageGroupName: 'g', Descripton: 'x' },
      'ValidationException',
      "1 validation error detected: Value null at 'descripton' failed to satisfy constraint: Member is not known",
    ],
    [
      'what is of another type',
      'CreateModelPackageGroup',
      { ModelPackageGroupName: 7 },
      'SerializationException',
      "Value at 'modelPackageGroupName' can not be converted: expected string, got number",
    ],
    [
      'everything at once',
      'ListModelPackages',
      { MaxResults: 0, SortBy: 'Size' },
      'ValidationException',
      "2 validation errors detected: Value '0' at 'maxResults' failed to satisfy constraint: Member must have value greater than or equal to 1; Value 'Size' at 'sortBy' failed to satisfy constraint: Member must satisfy enum value set: [Name, CreationTime]",
    ],
    [
      'a member of a list by its place',
      'CreateModelPackage',
      { ModelPackageName: 'p', InferenceSpecification: { Containers: [{ Image: 'a' }, {}] } },
      'ValidationException',
      "1 validation error detected: Value null at 'inferenceSpecification.containers.2.member.image' failed to satisfy constraint: Member must not be null",
    ],
  ])('says %s', async (_, operation, input, type, message) => {
    const run = registryOperations[operation];
    // Nothing but the input is looked at before it is valid.
    await expect(run?.(input, {} as never, operation)).rejects.toMatchObject({ type, message });
  });
});
