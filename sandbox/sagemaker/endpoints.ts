import * as z from 'zod';
import { messageOf } from '../../functions/shared/errors.ts';
import { Capture, type DataCaptureConfig } from './capture.ts';
import {
  ENDPOINT_CONFIGS,
  type EndpointConfig,
  endpointConfigOperations,
  findConfig,
  type ProductionVariant,
} from './endpoint-configs.ts';
import { type Hosted, HostingError } from './hosting.ts';
import { findModel, type Model } from './models.ts';
import {
  type Call,
  entityName,
  invalid,
  Kind,
  listOf,
  nameContains,
  type Operation,
  operation,
  page,
  paging,
  present,
  type Resource,
  ServiceError,
  seconds,
  sorted,
  sortOrder,
  structure,
  tags,
  timestamp,
  unsupported,
} from './service.ts';

/** How long an endpoint stays Creating, Updating or Deleting at least. On AWS it is minutes. */
const TRANSITION_MS = 500;

const GUARDRAILS = 'The local SageMaker has no deployment guardrails yet: no DeploymentConfig.';

/** A production variant that answers requests. However many instances it has, it is one process. */
export interface Variant {
  readonly name: string;
  readonly hosted: Hosted;
  readonly capture: Capture | undefined;
  weight: number;
  desiredWeight: number;
  instances: number;
  desiredInstances: number;
  /** Requests that it has not answered yet. */
  readonly open: Set<Promise<unknown>>;
}

type Status = 'Creating' | 'InService' | 'Updating' | 'Deleting' | 'Failed';

export interface Endpoint extends Resource {
  readonly name: string;
  status: Status;
  /** The configuration that serves; that of CreateEndpoint until one does. */
  configName: string;
  failureReason: string | undefined;
  lastModifiedTime: number;
  /** None before the endpoint is in service for the first time. */
  variants: Variant[];
  dataCapture: DataCaptureConfig | undefined;
  /** The configuration of an update that goes on. */
  pending: { config: EndpointConfig; startTime: number } | undefined;
}

export const ENDPOINTS = new Kind<Endpoint>('endpoint', 100);

/** @throws ServiceError ValidationException where there is none */
function findEndpoint(name: string, { state }: Call): Endpoint {
  const found = state.get(ENDPOINTS, name);
  if (found === undefined) throw invalid(`Could not find endpoint "${ENDPOINTS.arn(name)}".`);
  return found;
}

/** @throws ServiceError ValidationException where something goes on, or has gone wrong for good */
function mustBeInService({ arn, status }: Endpoint): void {
  if (status === 'InService') return;
  throw invalid(
    status === 'Failed'
      ? `Cannot update failed endpoint "${arn}". It can only be deleted.`
      : `Cannot update in-progress endpoint "${arn}".`,
  );
}

const nameOnly = structure({ EndpointName: entityName });
const arnOf = ({ EndpointName }: { EndpointName: string }) => ENDPOINTS.arn(EndpointName);
const withConfig = ({
  EndpointName,
  EndpointConfigName,
}: {
  EndpointName: string;
  EndpointConfigName: string;
}) => [ENDPOINTS.arn(EndpointName), ENDPOINT_CONFIGS.arn(EndpointConfigName)];

const updateEndpoint = structure({
  EndpointName: entityName,
  EndpointConfigName: entityName,
  RetainAllVariantProperties: z.boolean().default(false),
  ExcludeRetainedVariantProperties: listOf(
    structure({
      VariantPropertyType: z.enum(['DesiredInstanceCount', 'DesiredWeight', 'DataCaptureConfig']),
    }),
    3,
  ).default([]),
  DeploymentConfig: unsupported(GUARDRAILS),
  RetainDeploymentConfig: z
    .boolean()
    .refine((retains) => !retains, GUARDRAILS)
    .optional(),
});

/** Real-time endpoints, and their configurations. */
export const endpointOperations: Readonly<Record<string, Operation>> = {
  ...endpointConfigOperations,

  CreateEndpoint: operation(
    structure({
      EndpointName: entityName,
      EndpointConfigName: entityName,
      DeploymentConfig: unsupported(GUARDRAILS),
      Tags: tags.optional(),
    }),
    withConfig,
    ({ EndpointName: name, EndpointConfigName, Tags }, call) => {
      const arn = ENDPOINTS.arn(name);
      if (call.state.byArn(arn) !== undefined)
        throw invalid(`Cannot create already existing endpoint "${arn}".`);
      const config = findConfig(EndpointConfigName, call);
      for (const { ModelName } of config.definition.ProductionVariants) findModel(ModelName, call);
      const now = call.now();
      const endpoint: Endpoint = {
        arn,
        name,
        status: 'Creating',
        configName: config.name,
        failureReason: undefined,
        creationTime: now,
        lastModifiedTime: now,
        variants: [],
        dataCapture: config.definition.DataCaptureConfig,
        pending: undefined,
      };
      call.state.add(ENDPOINTS, name, endpoint, Tags);
      call.background(`endpoint ${name}`, () => bringUp(endpoint, config, call));
      return { EndpointArn: arn };
    },
  ),

  DescribeEndpoint: operation(nameOnly, arnOf, ({ EndpointName }, call) =>
    describe(findEndpoint(EndpointName, call)),
  ),

  ListEndpoints: operation(
    structure({
      SortBy: z.enum(['Name', 'CreationTime', 'Status']).default('CreationTime'),
      SortOrder: sortOrder.default('Descending'),
      NameContains: nameContains.optional(),
      CreationTimeBefore: timestamp.optional(),
      CreationTimeAfter: timestamp.optional(),
      LastModifiedTimeBefore: timestamp.optional(),
      LastModifiedTimeAfter: timestamp.optional(),
      StatusEquals: z
        .enum([
          'OutOfService',
          'Creating',
          'Updating',
          'SystemUpdating',
          'RollingBack',
          'InService',
          'Deleting',
          'Failed',
          'UpdateRollbackFailed',
        ])
        .optional(),
      ...paging,
    }),
    () => '*',
    (query, { state }) => {
      const {
        NameContains = '',
        CreationTimeAfter = -Infinity,
        CreationTimeBefore = Infinity,
        LastModifiedTimeAfter = -Infinity,
        LastModifiedTimeBefore = Infinity,
        StatusEquals,
      } = query;
      const endpoints = [...state.all(ENDPOINTS).values()].filter(
        ({ name, creationTime, lastModifiedTime, status }) =>
          name.includes(NameContains) &&
          creationTime > CreationTimeAfter &&
          creationTime < CreationTimeBefore &&
          lastModifiedTime > LastModifiedTimeAfter &&
          lastModifiedTime < LastModifiedTimeBefore &&
          (StatusEquals === undefined || status === StatusEquals),
      );
      const keys = {
        Name: ({ name }: Endpoint) => name,
        Status: ({ status }: Endpoint) => status,
        CreationTime: ({ creationTime }: Endpoint) => creationTime,
      };
      const { items, ...next } = page(
        sorted<Endpoint>(endpoints, keys[query.SortBy], query.SortOrder),
        query,
        10,
      );
      const Endpoints = items.map(({ name, arn, creationTime, lastModifiedTime, status }) => ({
        EndpointName: name,
        EndpointArn: arn,
        CreationTime: seconds(creationTime),
        LastModifiedTime: seconds(lastModifiedTime),
        EndpointStatus: status,
      }));
      return { Endpoints, ...next };
    },
  ),

  UpdateEndpoint: operation(updateEndpoint, withConfig, (request, call) => {
    const endpoint = findEndpoint(request.EndpointName, call);
    const config = findConfig(request.EndpointConfigName, call);
    mustBeInService(endpoint);
    if (config.name === endpoint.configName) {
      throw invalid(
        `Cannot update endpoint "${endpoint.arn}" to the endpoint configuration that it has, "${config.arn}". ` +
          'Create a new one.',
      );
    }
    if (request.ExcludeRetainedVariantProperties.length > 0 && !request.RetainAllVariantProperties) {
      throw invalid('ExcludeRetainedVariantProperties needs RetainAllVariantProperties to be true.');
    }
    for (const { ModelName } of config.definition.ProductionVariants) findModel(ModelName, call);
    call.background(`endpoint ${endpoint.name}`, () => update(endpoint, config, request, call));
    return { EndpointArn: endpoint.arn };
  }),

  UpdateEndpointWeightsAndCapacities: operation(
    structure({
      EndpointName: entityName,
      DesiredWeightsAndCapacities: listOf(
        structure({
          VariantName: entityName,
          DesiredWeight: z.number().min(0).optional(),
          DesiredInstanceCount: z.int().min(1).optional(),
          ServerlessUpdateConfig: unsupported('The local SageMaker has no serverless endpoints.'),
        }),
        10,
        1,
      ),
    }),
    arnOf,
    ({ EndpointName, DesiredWeightsAndCapacities }, call) => {
      const endpoint = findEndpoint(EndpointName, call);
      mustBeInService(endpoint);
      const changes = new Map(DesiredWeightsAndCapacities.map((change) => [change.VariantName, change]));
      if (changes.size < DesiredWeightsAndCapacities.length) throw invalid('Variant names must be unique.');
      const unknown = [...changes.keys()].find((name) => !endpoint.variants.some((it) => it.name === name));
      if (unknown !== undefined) {
        throw invalid(`Could not find variant "${unknown}" of endpoint "${endpoint.arn}".`);
      }
      const desired = endpoint.variants.map((variant) => ({
        variant,
        weight: changes.get(variant.name)?.DesiredWeight ?? variant.weight,
        instances: changes.get(variant.name)?.DesiredInstanceCount ?? variant.instances,
      }));
      // What SageMaker makes of it is not documented.
      if (desired.every(({ weight }) => weight === 0)) {
        throw invalid('At least one weight of an endpoint must be greater than 0.');
      }
      for (const { variant, weight, instances } of desired) {
        variant.desiredWeight = weight;
        variant.desiredInstances = instances;
      }
      call.background(`endpoint ${endpoint.name}`, async () => {
        await change(endpoint, 'Updating', call);
        await call.wait(TRANSITION_MS);
        for (const variant of endpoint.variants) {
          variant.weight = variant.desiredWeight;
          variant.instances = variant.desiredInstances;
        }
        await change(endpoint, 'InService', call);
      });
      return { EndpointArn: endpoint.arn };
    },
  ),

  DeleteEndpoint: operation(nameOnly, arnOf, ({ EndpointName }, call) => {
    const endpoint = findEndpoint(EndpointName, call);
    // One that has failed can be deleted, and nothing else.
    if (endpoint.status !== 'Failed') mustBeInService(endpoint);
    call.background(`endpoint ${endpoint.name}`, async () => {
      await change(endpoint, 'Deleting', call);
      await call.wait(TRANSITION_MS);
      await retire(endpoint.variants);
      call.state.remove(ENDPOINTS, endpoint.name);
    });
    return {};
  }),
};

async function bringUp(endpoint: Endpoint, config: EndpointConfig, call: Call): Promise<void> {
  await change(endpoint, 'Creating', call);
  try {
    endpoint.variants = await launch(endpoint, config, endpoint.dataCapture, call);
  } catch (error) {
    call.signal.throwIfAborted();
    endpoint.failureReason = reasonOf(error, call);
    return change(endpoint, 'Failed', call);
  }
  return change(endpoint, 'InService', call);
}

/** Puts variants in the place of others at once, or leaves everything as it is. */
async function update(
  endpoint: Endpoint,
  config: EndpointConfig,
  { RetainAllVariantProperties, ExcludeRetainedVariantProperties }: z.output<typeof updateEndpoint>,
  call: Call,
): Promise<void> {
  endpoint.pending = { config, startTime: call.now() };
  await change(endpoint, 'Updating', call);
  const excluded = ExcludeRetainedVariantProperties.map(({ VariantPropertyType }) => VariantPropertyType);
  const retains = (property: (typeof excluded)[number]) =>
    RetainAllVariantProperties && !excluded.includes(property);
  const dataCapture = retains('DataCaptureConfig')
    ? endpoint.dataCapture
    : config.definition.DataCaptureConfig;
  let variants: Variant[];
  try {
    variants = await launch(endpoint, config, dataCapture, call);
  } catch (error) {
    call.signal.throwIfAborted();
    endpoint.pending = undefined;
    endpoint.failureReason = reasonOf(error, call);
    // On the configuration that it had: the status alone does not tell that from a success.
    return change(endpoint, 'InService', call);
  }
  const replaced = endpoint.variants;
  for (const variant of variants) {
    const former = replaced.find(({ name }) => name === variant.name);
    if (former === undefined) continue;
    if (retains('DesiredWeight')) variant.weight = variant.desiredWeight = former.weight;
    if (retains('DesiredInstanceCount')) variant.instances = variant.desiredInstances = former.instances;
  }
  Object.assign(endpoint, {
    variants,
    dataCapture,
    configName: config.name,
    failureReason: undefined,
    pending: undefined,
  } satisfies Partial<Endpoint>);
  await change(endpoint, 'InService', call);
  await retire(replaced);
}

/** Starts all variants of a configuration, or none. */
async function launch(
  endpoint: Endpoint,
  { definition: { ProductionVariants } }: EndpointConfig,
  dataCapture: DataCaptureConfig | undefined,
  call: Call,
): Promise<Variant[]> {
  const begun = Promise.allSettled(
    ProductionVariants.map((variant) => start(endpoint, variant, dataCapture, call)),
  );
  await call.wait(TRANSITION_MS);
  const settled = await begun;
  const started = settled.flatMap((it) => (it.status === 'fulfilled' ? [it.value] : []));
  const failure = settled.find((it) => it.status === 'rejected');
  if (failure === undefined) return started;
  await retire(started);
  throw failure.reason;
}

async function start(
  endpoint: Endpoint,
  { VariantName, ModelName, InitialVariantWeight, InitialInstanceCount }: ProductionVariant,
  dataCapture: DataCaptureConfig | undefined,
  call: Call,
): Promise<Variant> {
  const label = `endpoint ${endpoint.name}/${VariantName}`;
  const model: Model = findModel(ModelName, call);
  const hosted = await call.host(model, { label, signal: call.signal }).catch((error: unknown) => {
    if (!(error instanceof HostingError) || error.kind !== 'ping') throw error;
    throw new HostingError(
      'ping',
      `The primary container for production variant ${VariantName} did not pass the ping health check. Please ` +
        'check CloudWatch logs for this endpoint.',
      { cause: error },
    );
  });
  const captures = dataCapture?.EnableCapture === true;
  return {
    name: VariantName,
    hosted,
    capture: captures
      ? new Capture(dataCapture, `${endpoint.name}/${VariantName}`, model.executionRoleArn, call)
      : undefined,
    weight: InitialVariantWeight,
    desiredWeight: InitialVariantWeight,
    instances: InitialInstanceCount,
    desiredInstances: InitialInstanceCount,
    open: new Set(),
  };
}

/** Ends variants that get no further requests, once they have answered those that they got. */
async function retire(variants: readonly Variant[]): Promise<void> {
  await Promise.all(
    variants.map(async ({ open, hosted, capture }) => {
      await Promise.allSettled(open);
      await hosted.stop();
      await capture?.flush();
    }),
  );
}

function reasonOf(error: unknown, call: Call): string {
  if (error instanceof HostingError || error instanceof ServiceError) return error.message.slice(0, 1024);
  call.log(`endpoint: ${(error as Error).stack ?? messageOf(error)}`);
  return 'Unable to successfully deploy the endpoint: an internal error.';
}

async function change(endpoint: Endpoint, status: Status, call: Call): Promise<void> {
  endpoint.status = status;
  endpoint.lastModifiedTime = call.now();
  const { name, arn, configName, variants, creationTime, lastModifiedTime, failureReason } = endpoint;
  call.log(`endpoint ${name}: ${[status, failureReason].filter(Boolean).join(': ')}`);
  await call.account.emit('SageMaker Endpoint State Change', [arn], {
    EndpointName: name,
    EndpointArn: arn,
    EndpointConfigName: configName,
    ProductionVariants: variants.map(describeVariant),
    // Unlike in the API: IN_SERVICE.
    EndpointStatus: status.replace(/(?<=[a-z])(?=[A-Z])/g, '_').toUpperCase(),
    CreationTime: creationTime,
    LastModifiedTime: lastModifiedTime,
    Tags: Object.fromEntries(call.state.tags(arn)),
  });
}

function describe(endpoint: Endpoint): object {
  const { variants, dataCapture, pending } = endpoint;
  return present({
    EndpointName: endpoint.name,
    EndpointArn: endpoint.arn,
    EndpointConfigName: endpoint.configName,
    ProductionVariants: variants.length === 0 ? undefined : variants.map(describeVariant),
    DataCaptureConfig: dataCapture && {
      EnableCapture: dataCapture.EnableCapture ?? false,
      CaptureStatus: dataCapture.EnableCapture ? 'Started' : 'Stopped',
      CurrentSamplingPercentage: dataCapture.InitialSamplingPercentage,
      DestinationS3Uri: dataCapture.DestinationS3Uri,
      KmsKeyId: dataCapture.KmsKeyId ?? '',
    },
    EndpointStatus: endpoint.status,
    FailureReason: endpoint.failureReason,
    CreationTime: seconds(endpoint.creationTime),
    LastModifiedTime: seconds(endpoint.lastModifiedTime),
    PendingDeploymentSummary: pending && {
      EndpointConfigName: pending.config.name,
      ProductionVariants: pending.config.definition.ProductionVariants.map((variant) => ({
        VariantName: variant.VariantName,
        DesiredWeight: variant.InitialVariantWeight,
        DesiredInstanceCount: variant.InitialInstanceCount,
        InstanceType: variant.InstanceType,
      })),
      StartTime: seconds(pending.startTime),
    },
  });
}

function describeVariant({ name, hosted, ...variant }: Variant): object {
  return {
    VariantName: name,
    DeployedImages: [
      {
        SpecifiedImage: hosted.specifiedImage,
        ResolvedImage: hosted.resolved.address,
        ResolutionTime: seconds(hosted.resolvedAt),
      },
    ],
    CurrentWeight: variant.weight,
    DesiredWeight: variant.desiredWeight,
    CurrentInstanceCount: variant.instances,
    DesiredInstanceCount: variant.desiredInstances,
  };
}
