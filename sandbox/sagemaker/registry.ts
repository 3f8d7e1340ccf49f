import { HeadObjectCommand } from '@aws-sdk/client-s3';
import * as z from 'zod';
import {
  type Call,
  entityName,
  environment,
  invalid,
  Kind,
  listOf,
  nameContains,
  type Operation,
  operation,
  page,
  paging,
  parseS3Uri,
  present,
  type Resource,
  ServiceError,
  s3Uri,
  seconds,
  sorted,
  sortOrder,
  structure,
  type Tag,
  tags,
  timestamp,
} from './service.ts';

/** How long a new package stays in each status on its way to Completed, in milliseconds. */
const STEP_MS = 50;

/** Properties that a package may carry. */
const MOST_PROPERTIES = 50;

export interface ModelPackageGroup extends Resource {
  readonly name: string;
  readonly description: string | undefined;
  /** Versions are never given twice, not even after one was deleted. */
  lastVersion: number;
}

export type ApprovalStatus = z.output<typeof approvalStatus>;

export interface ModelPackage extends Resource {
  /** Of an unversioned package its name, else the version in the group: `flight-delay/3`. */
  readonly name: string;
  readonly group: string | undefined;
  readonly version: number | undefined;
  readonly description: string | undefined;
  /** With what SageMaker found out at the registration: digests of images, ETags of model data. */
  readonly inference: InferenceSpecification;
  readonly details: Record<string, unknown>;
  status: 'Pending' | 'InProgress' | 'Completed';
  /** Undefined of an unversioned package, which nobody approves. */
  approval: ApprovalStatus | undefined;
  approvalDescription: string | undefined;
  properties: Record<string, string>;
  lastModifiedTime: number;
  /** Resolves when the status is Completed, or the server ends. */
  completed: Promise<void>;
}

export const MODEL_PACKAGE_GROUPS = new Kind<ModelPackageGroup>('model-package-group');
const MODEL_PACKAGES = new Kind<ModelPackage>('model-package', 10_000);

const approvalStatus = z.enum(['Approved', 'Rejected', 'PendingManualApproval']);

/** One or more parts, such as `flight-delay` or `flight-delay/3`, bare or in an ARN. */
function reference(kind: Kind<Resource>, part: string) {
  return z
    .string()
    .min(1)
    .max(176)
    .regex(new RegExp(`^(arn:aws[a-z-]*:sagemaker:[a-z0-9-]{9,16}:[0-9]{12}:${kind.name}/)?${part}$`));
}

const NAME = '[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}';
const groupReference = reference(MODEL_PACKAGE_GROUPS, NAME);
const packageReference = reference(MODEL_PACKAGES, `${NAME}(/[0-9]{1,9})?`);
const packageArn = packageReference.startsWith('arn:');

const description = z
  .string()
  .max(1024)
  .regex(/^[\p{L}\p{M}\p{Z}\p{N}\p{P}]*$/u);
const image = z.string().max(255).regex(/^\S+$/);
const digest = z
  .string()
  .max(72)
  .regex(/^[Ss][Hh][Aa]256:[0-9a-fA-F]{64}$/);

const modelDataSource = structure({
  S3DataSource: structure({
    S3Uri: s3Uri,
    S3DataType: z.enum(['S3Prefix', 'S3Object']),
    CompressionType: z.enum(['None', 'Gzip']),
    ETag: z.string().optional(),
  }).optional(),
});

const container = structure({
  ContainerHostname: entityName.optional(),
  Image: image,
  ImageDigest: digest.optional(),
  ModelDataUrl: s3Uri.optional(),
  ModelDataSource: modelDataSource.optional(),
  ModelDataETag: z.string().optional(),
  ProductId: z.string().max(256).optional(),
  Environment: environment(100).optional(),
  Framework: z.string().optional(),
  FrameworkVersion: z.string().min(3).max(10).optional(),
  NearestModelName: z.string().optional(),
});

const instanceTypes = listOf(z.string().regex(/^ml\.[a-z0-9]+\.[a-z0-9]+$/), 200).optional();
const contentTypes = listOf(z.string().max(256), 100).optional();

const inferenceSpecification = structure({
  Containers: listOf(container, 15, 1),
  SupportedTransformInstanceTypes: instanceTypes,
  SupportedRealtimeInferenceInstanceTypes: instanceTypes,
  SupportedContentTypes: contentTypes,
  SupportedResponseMIMETypes: contentTypes,
});

export type InferenceSpecification = z.output<typeof inferenceSpecification>;

const PROPERTY = /^([\p{L}\p{Z}\p{N}_.:/=+\-@]*)$/u;
const propertyKey = z.string().min(1).max(128).regex(PROPERTY);
const properties = z
  .record(propertyKey, z.string().max(256).regex(PROPERTY))
  .refine(
    (map) => Object.keys(map).length >= 1 && Object.keys(map).length <= MOST_PROPERTIES,
    `CustomerMetadataProperties must have 1 to ${MOST_PROPERTIES} entries.`,
  );

const metricsSource = structure({
  ContentType: z.string().max(256),
  ContentDigest: digest.optional(),
  S3Uri: s3Uri,
}).optional();

const modelMetrics = structure({
  ModelQuality: structure({ Statistics: metricsSource, Constraints: metricsSource }).optional(),
  ModelDataQuality: structure({ Statistics: metricsSource, Constraints: metricsSource }).optional(),
  Bias: structure({
    Report: metricsSource,
    PreTrainingReport: metricsSource,
    PostTrainingReport: metricsSource,
  }).optional(),
  Explainability: structure({ Report: metricsSource }).optional(),
});

const metadataProperties = structure({
  CommitId: z.string().max(1024).optional(),
  Repository: z.string().max(1024).optional(),
  GeneratedBy: z.string().max(1024).optional(),
  ProjectId: z.string().max(1024).optional(),
});

/** Input of CreateModelPackage; also the arguments of a pipeline's RegisterModel step. */
export const createModelPackage = structure({
  ModelPackageName: entityName.optional(),
  ModelPackageGroupName: groupReference.optional(),
  ModelPackageDescription: description.optional(),
  InferenceSpecification: inferenceSpecification,
  CertifyForMarketplace: z.boolean().optional(),
  Tags: tags.optional(),
  ModelApprovalStatus: approvalStatus.optional(),
  MetadataProperties: metadataProperties.optional(),
  ModelMetrics: modelMetrics.optional(),
  ClientToken: z
    .string()
    .min(1)
    .max(36)
    .regex(/^[a-zA-Z0-9-]+$/)
    .optional(),
  Domain: z.string().optional(),
  Task: z.string().optional(),
  CustomerMetadataProperties: properties.optional(),
  SkipModelValidation: z.enum(['All', 'None']).optional(),
});

type CreateModelPackage = z.output<typeof createModelPackage>;

/**
 * Registers a model.
 *
 * @throws ServiceError
 */
async function registerPackage(input: CreateModelPackage, call: Call): Promise<ModelPackage> {
  const { ModelPackageName: name, ModelPackageGroupName, InferenceSpecification, ...rest } = input;
  if ((name === undefined) === (ModelPackageGroupName === undefined)) {
    throw invalid('Exactly one of ModelPackageName and ModelPackageGroupName must be provided.');
  }
  if (name !== undefined && input.ModelApprovalStatus !== undefined) {
    throw invalid('ModelApprovalStatus does not apply to unversioned model packages.');
  }
  if (name === undefined && input.Tags !== undefined) {
    throw invalid('Tags cannot be provided for a versioned model package. It has the tags of its group.');
  }
  const inference = await complete(InferenceSpecification, call);
  // Only now, with everything awaited: of two calls at once the second sees what the first has made.
  const earlier = repeated(input, call);
  if (earlier !== undefined) return earlier;
  if (name !== undefined && call.state.byArn(MODEL_PACKAGES.arn(name)) !== undefined) {
    throw invalid(`Model Package already exists: ${MODEL_PACKAGES.arn(name)}`);
  }
  const group = ModelPackageGroupName === undefined ? undefined : findGroup(ModelPackageGroupName, call);
  if (group !== undefined) group.lastVersion++;
  const versioned = group === undefined ? (name ?? '') : `${group.name}/${group.lastVersion}`;
  const { ModelApprovalStatus, CustomerMetadataProperties, ModelPackageDescription, Tags, ...details } = rest;
  const made: ModelPackage = {
    arn: MODEL_PACKAGES.arn(versioned),
    name: versioned,
    group: group?.name,
    version: group?.lastVersion,
    description: ModelPackageDescription,
    inference,
    details,
    status: 'Pending',
    approval: group === undefined ? undefined : (ModelApprovalStatus ?? 'PendingManualApproval'),
    approvalDescription: undefined,
    properties: CustomerMetadataProperties ?? {},
    creationTime: call.now(),
    lastModifiedTime: call.now(),
    completed: Promise.resolve(),
  };
  const inherited: Tag[] =
    group === undefined ? [] : [...call.state.tags(group.arn)].map(([Key, Value]) => ({ Key, Value }));
  call.state.add(MODEL_PACKAGES, versioned, made, Tags ?? inherited);
  await announce(made, call);
  const run = becomeCompleted(made, call);
  made.completed = run.catch(() => undefined);
  call.background(`registration of ${versioned}`, () => run);
  return made;
}

async function becomeCompleted(made: ModelPackage, call: Call): Promise<void> {
  for (const status of ['InProgress', 'Completed'] as const) {
    await call.wait(STEP_MS);
    // Deleted meanwhile.
    if (call.state.byArn(made.arn) !== made) return;
    made.status = status;
    made.lastModifiedTime = call.now();
    await announce(made, call);
  }
}

/** The package that an earlier call with the same token made. */
function repeated({ ClientToken }: CreateModelPackage, { state }: Call): ModelPackage | undefined {
  if (ClientToken === undefined) return undefined;
  return [...state.all(MODEL_PACKAGES).values()].find(({ details }) => details.ClientToken === ClientToken);
}

/** Looks up what a registration names, and writes down its digests and ETags. */
async function complete(specification: InferenceSpecification, call: Call): Promise<InferenceSpecification> {
  const Containers = await Promise.all(
    specification.Containers.map(async (definition) => {
      const found = await call.images.resolve(definition.Image);
      if (found === undefined) throw invalid(`Requested image ${definition.Image} not found.`);
      if (definition.ImageDigest !== undefined && definition.ImageDigest !== found.digest) {
        throw invalid(
          `Image ${definition.Image} has the digest ${found.digest}, not ${definition.ImageDigest}.`,
        );
      }
      const { ModelDataUrl, ModelDataSource } = definition;
      if (ModelDataUrl !== undefined && ModelDataSource !== undefined) {
        throw invalid('ModelDataUrl and ModelDataSource cannot both be provided.');
      }
      return {
        ...definition,
        ImageDigest: found.digest,
        ...(ModelDataUrl !== undefined && { ModelDataETag: await etagOf(ModelDataUrl, call) }),
      };
    }),
  );
  return { ...specification, Containers };
}

async function etagOf(uri: string, { account }: Call): Promise<string> {
  const { bucket, key } = parseS3Uri(uri);
  const head = await account.s3
    .send(new HeadObjectCommand({ Bucket: bucket, Key: key }))
    .catch((error: Error) => {
      if (['NotFound', 'NoSuchKey', 'NoSuchBucket'].includes(error.name)) return undefined;
      throw error;
    });
  if (head === undefined) throw invalid(`Could not find model data at ${uri}.`);
  return (head.ETag ?? '').replaceAll('"', '');
}

/**
 * A package by name, `group/version` or ARN.
 *
 * @throws ServiceError ValidationException where there is none
 */
export function findPackage(reference: string, { state }: Call): ModelPackage {
  const found = state.get(MODEL_PACKAGES, reference) ?? state.byArn(packageArnOf(reference));
  if (found !== undefined) return found as ModelPackage;
  throw invalid(`ModelPackage ${packageArnOf(reference)} does not exist.`);
}

function findGroup(reference: string, { state }: Call): ModelPackageGroup {
  const arn = groupArnOf(reference);
  const found = state.get(MODEL_PACKAGE_GROUPS, reference) ?? state.byArn(arn);
  if (found !== undefined) return found as ModelPackageGroup;
  throw invalid(`ModelPackageGroup ${arn} does not exist.`);
}

/** The ARN of a package, whether or not there is one. */
function packageArnOf(reference: string): string {
  return reference.startsWith('arn:') ? reference : MODEL_PACKAGES.arn(reference);
}

function groupArnOf(reference: string): string {
  return reference.startsWith('arn:') ? reference : MODEL_PACKAGE_GROUPS.arn(reference);
}

/** ARN of the package that a registration makes; of a version the next one in its group. */
function arnToRegister(input: CreateModelPackage, { state }: Call): string {
  const { ModelPackageName: name, ModelPackageGroupName: group } = input;
  if (group === undefined) return MODEL_PACKAGES.arn(name ?? '');
  const found = state.byArn(groupArnOf(group)) as ModelPackageGroup | undefined;
  return MODEL_PACKAGES.arn(`${nameIn(group)}/${(found?.lastVersion ?? 0) + 1}`);
}

/** What a bare name, or the end of an ARN, names. */
function nameIn(reference: string): string {
  return reference.replace(/^arn:.*?\//, '');
}

/** Sends the event of a change, in the shape that EventBridge documents: Describe's, with ISO times. */
async function announce(changed: ModelPackage, { account, state }: Call): Promise<void> {
  const iso = (milliseconds: number) => new Date(milliseconds).toISOString();
  await account.emit(
    'SageMaker Model Package State Change',
    [changed.arn],
    present({
      ...describe(changed),
      CreationTime: iso(changed.creationTime),
      LastModifiedTime: iso(changed.lastModifiedTime),
      Tags: Object.fromEntries(state.tags(changed.arn)),
    }),
  );
}

/** As DescribeModelPackage answers. */
function describe(found: ModelPackage): object {
  const { ClientToken, ...details } = found.details;
  return present({
    // SageMaker gives versions the name of their group here.
    ModelPackageName: found.group ?? found.name,
    ModelPackageGroupName: found.group,
    ModelPackageVersion: found.version,
    ModelPackageArn: found.arn,
    ModelPackageDescription: found.description,
    CreationTime: seconds(found.creationTime),
    InferenceSpecification: found.inference,
    ModelPackageStatus: found.status,
    ModelPackageStatusDetails: { ValidationStatuses: [], ImageScanStatuses: [] },
    CertifyForMarketplace: false,
    ModelApprovalStatus: found.approval,
    LastModifiedTime: seconds(found.lastModifiedTime),
    ApprovalDescription: found.approvalDescription,
    ...(Object.keys(found.properties).length > 0 && { CustomerMetadataProperties: found.properties }),
    ...details,
  });
}

function summary(found: ModelPackage): object {
  return present({
    ModelPackageName: found.group ?? found.name,
    ModelPackageGroupName: found.group,
    ModelPackageVersion: found.version,
    ModelPackageArn: found.arn,
    ModelPackageDescription: found.description,
    CreationTime: seconds(found.creationTime),
    ModelPackageStatus: found.status,
    ModelApprovalStatus: found.approval,
  });
}

/** Whether a resource was created in an open interval. */
function createdWithin(
  { creationTime }: Resource,
  query: { CreationTimeAfter?: number | undefined; CreationTimeBefore?: number | undefined },
): boolean {
  const { CreationTimeAfter = -Infinity, CreationTimeBefore = Infinity } = query;
  return creationTime > CreationTimeAfter && creationTime < CreationTimeBefore;
}

const createdBetween = {
  CreationTimeAfter: timestamp.optional(),
  CreationTimeBefore: timestamp.optional(),
};

const groupInput = structure({ ModelPackageGroupName: groupReference });

const packageListing = structure({
  ...paging,
  ...createdBetween,
  NameContains: nameContains.optional(),
  ModelApprovalStatus: approvalStatus.optional(),
  ModelPackageGroupName: groupReference.optional(),
  ModelPackageType: z.enum(['Versioned', 'Unversioned', 'Both']).optional(),
  SortBy: z.enum(['Name', 'CreationTime']).default('CreationTime'),
  SortOrder: sortOrder.default('Ascending'),
});

const packageUpdate = structure({
  ModelPackageArn: packageArn,
  ModelApprovalStatus: approvalStatus.optional(),
  ApprovalDescription: z.string().max(1024).regex(/^.*$/).optional(),
  CustomerMetadataProperties: properties.optional(),
  CustomerMetadataPropertiesToRemove: listOf(propertyKey, MOST_PROPERTIES).optional(),
  ClientToken: z
    .string()
    .min(1)
    .max(36)
    .regex(/^[a-zA-Z0-9-]+$/)
    .optional(),
});

function propertiesContext(added: Record<string, string> = {}): Record<string, string> {
  return Object.fromEntries(
    Object.entries(added).map(([key, value]) => [`sagemaker:CustomerMetadataProperties/${key}`, value]),
  );
}

/** Model package groups and model packages. */
export const registryOperations: Record<string, Operation> = {
  CreateModelPackageGroup: operation(
    structure({
      ModelPackageGroupName: entityName,
      ModelPackageGroupDescription: description.optional(),
      Tags: tags.optional(),
    }),
    ({ ModelPackageGroupName }) => MODEL_PACKAGE_GROUPS.arn(ModelPackageGroupName),
    ({ ModelPackageGroupName: name, ModelPackageGroupDescription, Tags }, { state, now }) => {
      const arn = MODEL_PACKAGE_GROUPS.arn(name);
      if (state.byArn(arn) !== undefined) throw invalid(`Model Package Group already exists: ${arn}`);
      state.add(
        MODEL_PACKAGE_GROUPS,
        name,
        { arn, name, description: ModelPackageGroupDescription, creationTime: now(), lastVersion: 0 },
        Tags,
      );
      return { ModelPackageGroupArn: arn };
    },
  ),

  DescribeModelPackageGroup: operation(
    groupInput,
    ({ ModelPackageGroupName }) => groupArnOf(ModelPackageGroupName),
    ({ ModelPackageGroupName }, call) => ({
      ...summaryOfGroup(findGroup(ModelPackageGroupName, call)),
      CreatedBy: {},
    }),
  ),

  ListModelPackageGroups: operation(
    structure({
      ...paging,
      ...createdBetween,
      NameContains: nameContains.optional(),
      SortBy: z.enum(['Name', 'CreationTime']).default('CreationTime'),
      SortOrder: sortOrder.default('Ascending'),
    }),
    () => '*',
    (input, { state }) => {
      const { NameContains = '', SortBy, SortOrder } = input;
      const found = [...state.all(MODEL_PACKAGE_GROUPS).values()].filter(
        (group) => group.name.includes(NameContains) && createdWithin(group, input),
      );
      const key = (group: ModelPackageGroup) => (SortBy === 'Name' ? group.name : group.creationTime);
      const { items, ...next } = page(sorted(found, key, SortOrder), input);
      return { ModelPackageGroupSummaryList: items.map(summaryOfGroup), ...next };
    },
  ),

  DeleteModelPackageGroup: operation(
    groupInput,
    ({ ModelPackageGroupName }) => groupArnOf(ModelPackageGroupName),
    ({ ModelPackageGroupName }, call) => {
      const { name, arn } = findGroup(ModelPackageGroupName, call);
      if ([...call.state.all(MODEL_PACKAGES).values()].some(({ group }) => group === name)) {
        throw new ServiceError(
          'ConflictException',
          `Model Package Group ${arn} cannot be deleted because it contains model packages.`,
        );
      }
      call.state.remove(MODEL_PACKAGE_GROUPS, name);
      return {};
    },
  ),

  CreateModelPackage: operation(
    createModelPackage,
    arnToRegister,
    async (input, call) => ({ ModelPackageArn: (await registerPackage(input, call)).arn }),
    ({ ModelApprovalStatus, CustomerMetadataProperties }) => ({
      ...(ModelApprovalStatus !== undefined && { 'sagemaker:ModelApprovalStatus': ModelApprovalStatus }),
      ...propertiesContext(CustomerMetadataProperties),
    }),
  ),

  DescribeModelPackage: operation(
    structure({ ModelPackageName: packageReference }),
    ({ ModelPackageName }) => packageArnOf(ModelPackageName),
    ({ ModelPackageName }, call) => describe(findPackage(ModelPackageName, call)),
  ),

  ListModelPackages: operation(
    packageListing,
    // AWS checks the packages of the group; any one of them stands for all.
    ({ ModelPackageGroupName: group }) =>
      group === undefined ? '*' : MODEL_PACKAGES.arn(`${nameIn(group)}/0`),
    (input, call) => {
      const { ModelPackageGroupName, ModelPackageType, ModelApprovalStatus, NameContains = '' } = input;
      const group = ModelPackageGroupName === undefined ? undefined : findGroup(ModelPackageGroupName, call);
      const type = ModelPackageType ?? (group === undefined ? 'Unversioned' : 'Versioned');
      const found = [...call.state.all(MODEL_PACKAGES).values()].filter(
        (it) =>
          (type === 'Both' || (type === 'Versioned') === (it.group !== undefined)) &&
          (group === undefined || it.group === group.name) &&
          (ModelApprovalStatus === undefined || it.approval === ModelApprovalStatus) &&
          it.name.includes(NameContains) &&
          createdWithin(it, input),
      );
      const key = (it: ModelPackage) => (input.SortBy === 'Name' ? it.name : it.creationTime);
      // Of versions that were registered in one millisecond the later one is the newer.
      const ordered = sorted(found, (it) => it.version ?? 0, input.SortOrder);
      const { items, ...next } = page(sorted(ordered, key, input.SortOrder), input);
      return { ModelPackageSummaryList: items.map(summary), ...next };
    },
  ),

  UpdateModelPackage: operation(
    packageUpdate,
    ({ ModelPackageArn }) => ModelPackageArn,
    async (input, call) => {
      const found = findPackage(input.ModelPackageArn, call);
      update(found, input);
      found.lastModifiedTime = call.now();
      await announce(found, call);
      return { ModelPackageArn: found.arn };
    },
    ({ ModelApprovalStatus, CustomerMetadataProperties, CustomerMetadataPropertiesToRemove: removed }) => ({
      ...(ModelApprovalStatus !== undefined && { 'sagemaker:ModelApprovalStatus': ModelApprovalStatus }),
      ...propertiesContext(CustomerMetadataProperties),
      ...(removed !== undefined && { 'sagemaker:CustomerMetadataPropertiesToRemove': removed }),
    }),
  ),

  DeleteModelPackage: operation(
    structure({ ModelPackageName: packageReference }),
    ({ ModelPackageName }) => packageArnOf(ModelPackageName),
    ({ ModelPackageName }, call) => {
      call.state.remove(MODEL_PACKAGES, findPackage(ModelPackageName, call).name);
      return {};
    },
  ),
};

function summaryOfGroup({ name, arn, description, creationTime }: ModelPackageGroup): object {
  return present({
    ModelPackageGroupName: name,
    ModelPackageGroupArn: arn,
    ModelPackageGroupDescription: description,
    CreationTime: seconds(creationTime),
    ModelPackageGroupStatus: 'Completed',
  });
}

/** Changes a package; properties that are not named stay. */
function update(found: ModelPackage, input: z.output<typeof packageUpdate>): void {
  const { ModelApprovalStatus, ApprovalDescription, CustomerMetadataProperties: added = {} } = input;
  const { CustomerMetadataPropertiesToRemove: removed = [] } = input;
  if (found.group === undefined && ModelApprovalStatus !== undefined) {
    throw invalid('ModelApprovalStatus does not apply to unversioned model packages.');
  }
  if (found.status !== 'Completed') {
    throw new ServiceError(
      'ConflictException',
      `Model Package ${found.arn} is ${found.status}. Try again later.`,
    );
  }
  const kept = Object.entries(found.properties).filter(([key]) => !removed.includes(key));
  const properties = { ...Object.fromEntries(kept), ...added };
  if (Object.keys(properties).length > MOST_PROPERTIES) {
    throw invalid(`A model package can have at most ${MOST_PROPERTIES} CustomerMetadataProperties.`);
  }
  found.properties = properties;
  found.approval = ModelApprovalStatus ?? found.approval;
  found.approvalDescription = ApprovalDescription ?? found.approvalDescription;
}
