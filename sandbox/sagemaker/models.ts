import { HeadObjectCommand } from '@aws-sdk/client-s3';
import * as z from 'zod';
import { REGION } from '../emulator.ts';
import type { Hostable, ModelContainer } from './hosted.ts';
import { findPackage } from './registry.ts';
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
  roleArn,
  s3Uri,
  seconds,
  sorted,
  sortOrder,
  structure,
  tags,
  timestamp,
} from './service.ts';

export interface Model extends Resource, Hostable {
  readonly name: string;
  /** As DescribeModel shows it. */
  readonly description: Readonly<Record<string, unknown>>;
}

const MODELS = new Kind<Model>('model');

const container = structure({
  ContainerHostname: entityName.optional(),
  Image: z.string().max(255).regex(/^\S+$/).optional(),
  Mode: z.enum(['SingleModel', 'MultiModel']).optional(),
  ModelDataUrl: s3Uri.optional(),
  Environment: environment(100).optional(),
  ModelPackageName: z.string().min(1).max(176).optional(),
});

type ContainerDefinition = z.output<typeof container>;

const createModel = structure({
  ModelName: entityName,
  PrimaryContainer: container.optional(),
  Containers: listOf(container, 15).optional(),
  ExecutionRoleArn: roleArn,
  Tags: tags.optional(),
  EnableNetworkIsolation: z.boolean().optional(),
});

async function create(input: z.output<typeof createModel>, call: Call): Promise<object> {
  const { ModelName: name, PrimaryContainer, Containers, ExecutionRoleArn: role, Tags, ...rest } = input;
  const definitions = Containers ?? (PrimaryContainer === undefined ? [] : [PrimaryContainer]);
  if ((PrimaryContainer === undefined) === (Containers === undefined) || definitions.length === 0) {
    throw invalid('Exactly one of PrimaryContainer and Containers must be provided.');
  }
  await call.account.passRole(call.caller, role);
  const containers = definitions.flatMap((definition) => resolve(definition, call));
  for (const { Image, ModelDataUrl } of containers) {
    if ((await call.images.resolve(Image)) === undefined) {
      throw invalid(`Requested image ${Image} not found.`);
    }
    if (ModelDataUrl !== undefined) await checkAccess(ModelDataUrl, role, call);
  }
  const arn = MODELS.arn(name);
  // Only now, with everything awaited: of two calls at once one is too late.
  if (call.state.byArn(arn) !== undefined) throw invalid(`Cannot create already existing model "${arn}".`);
  const description = {
    ModelName: name,
    PrimaryContainer: PrimaryContainer && withMode(PrimaryContainer),
    Containers: Containers?.map(withMode),
    ExecutionRoleArn: role,
    EnableNetworkIsolation: false,
    ...rest,
  };
  call.state.add(
    MODELS,
    name,
    { arn, name, executionRoleArn: role, containers, description, creationTime: call.now() },
    Tags,
  );
  return { ModelArn: arn };
}

function withMode(definition: ContainerDefinition): ContainerDefinition {
  return { ...definition, Mode: definition.Mode ?? 'SingleModel' };
}

/** The containers that a definition means: itself, or those of a package, which somebody must have approved. */
function resolve(definition: ContainerDefinition, call: Call): ModelContainer[] {
  const { Image, ModelDataUrl, Environment, ModelPackageName, Mode } = definition;
  if (Mode === 'MultiModel') throw invalid('The local SageMaker has no multi-model containers.');
  if (ModelPackageName === undefined) {
    if (Image === undefined) throw invalid('One of Image and ModelPackageName must be provided.');
    return [{ Image, ModelDataUrl, Environment }];
  }
  if (Image !== undefined || ModelDataUrl !== undefined) {
    throw invalid('ModelPackageName cannot be provided together with Image or ModelDataUrl.');
  }
  const found = findPackage(ModelPackageName, call);
  if (found.approval !== undefined && found.approval !== 'Approved') {
    throw invalid(`Model Package ${found.arn} is not approved: its status is ${found.approval}.`);
  }
  if (found.status !== 'Completed') throw invalid(`Model Package ${found.arn} is ${found.status}.`);
  return found.inference.Containers.map((inner) => {
    if (inner.ModelDataSource !== undefined) {
      throw invalid('The local SageMaker has no models with a ModelDataSource. Use ModelDataUrl.');
    }
    // By digest, so that the model is the one that was registered whatever its tag names by now.
    return {
      Image: `${inner.Image.replace(/@.*$|:[^/:]*$/, '')}@${inner.ImageDigest}`,
      ModelDataUrl: inner.ModelDataUrl,
      Environment: { ...inner.Environment, ...Environment },
    };
  });
}

/** Checks that a role can read model data. */
async function checkAccess(url: string, role: string, { account }: Call): Promise<void> {
  const { bucket, key } = parseS3Uri(url);
  const s3 = await account.s3As(role);
  try {
    await s3.send(new HeadObjectCommand({ Bucket: bucket, Key: key }));
  } catch (error) {
    // A HEAD answer has no body: the SDK knows the status and nothing else.
    const status = (error as { $metadata?: { httpStatusCode?: number } }).$metadata?.httpStatusCode;
    if (status !== 403 && status !== 404) throw error;
    throw invalid(
      `Could not access model data at ${url}. Please ensure that the role "${role}" exists and that its trust ` +
        'relationship policy allows the action "sts:AssumeRole" for the service principal "sagemaker.amazonaws.com". ' +
        `Also ensure that the role has "s3:GetObject" permissions and that the object is located in ${REGION}.`,
    );
  }
}

/**
 * @throws ServiceError ValidationException where there is no such model
 */
export function findModel(name: string, { state }: Call): Model {
  const found = state.get(MODELS, name);
  if (found === undefined) throw invalid(`Could not find model "${MODELS.arn(name)}".`);
  return found;
}

const modelInput = structure({ ModelName: entityName });

export const modelOperations: Record<string, Operation> = {
  CreateModel: operation(
    createModel,
    ({ ModelName }) => MODELS.arn(ModelName),
    create,
    ({ EnableNetworkIsolation = false }) => ({
      'sagemaker:NetworkIsolation': String(EnableNetworkIsolation),
    }),
  ),

  DescribeModel: operation(
    modelInput,
    ({ ModelName }) => MODELS.arn(ModelName),
    ({ ModelName }, call) => {
      const { arn, description, creationTime } = findModel(ModelName, call);
      return present({ ...description, ModelArn: arn, CreationTime: seconds(creationTime) });
    },
  ),

  ListModels: operation(
    structure({
      ...paging,
      NameContains: nameContains.optional(),
      CreationTimeAfter: timestamp.optional(),
      CreationTimeBefore: timestamp.optional(),
      SortBy: z.enum(['Name', 'CreationTime']).default('CreationTime'),
      SortOrder: sortOrder.default('Descending'),
    }),
    () => '*',
    (input, { state }) => {
      const { NameContains = '', CreationTimeAfter = -Infinity, CreationTimeBefore = Infinity } = input;
      const found = [...state.all(MODELS).values()].filter(
        ({ name, creationTime }) =>
          name.includes(NameContains) &&
          creationTime >= CreationTimeAfter &&
          creationTime < CreationTimeBefore,
      );
      const key = (model: Model) => (input.SortBy === 'Name' ? model.name : model.creationTime);
      const { items, ...next } = page(sorted(found, key, input.SortOrder), input);
      const Models = items.map(({ name, arn, creationTime }) => ({
        ModelName: name,
        ModelArn: arn,
        CreationTime: seconds(creationTime),
      }));
      return { Models, ...next };
    },
  ),

  DeleteModel: operation(
    modelInput,
    ({ ModelName }) => MODELS.arn(ModelName),
    ({ ModelName }, call) => {
      call.state.remove(MODELS, findModel(ModelName, call).name);
      return {};
    },
  ),
};
