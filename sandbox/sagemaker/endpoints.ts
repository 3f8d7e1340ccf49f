import { EndpointStatus } from '@aws-sdk/client-sagemaker';
import * as z from 'zod';
import type { DataCaptureConfig } from './capture.ts';
import {
  checkAlarms,
  type DeploymentConfig,
  deploymentConfig,
  type Shift,
  shiftOf,
  shiftTraffic,
  TurnBack,
} from './deployments.ts';
import {
  ENDPOINT_CONFIGS,
  type EndpointConfig,
  endpointConfigOperations,
  findConfig,
} from './endpoint-configs.ts';
import { ask, endpointFault, take } from './endpoint-faults.ts';
import { describeImages, describeVariant, launch, reasonOf, retire, type Variant } from './fleets.ts';
import { findModel } from './models.ts';
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
  seconds,
  sorted,
  sortOrder,
  structure,
  tags,
  timestamp,
  unsupported,
  validate,
} from './service.ts';

/** How long an endpoint stays Creating, Updating or Deleting at least. On AWS it is minutes. */
const TRANSITION_MS = 500;

/** A fleet that comes into service, and how far it has. */
interface Incoming {
  variants: Variant[];
  /** Part of the traffic that it has, 0 to 1; the present variants have the rest. */
  share: number;
}

/** An update that goes on. */
interface Pending {
  config: EndpointConfig;
  startTime: number;
}

export interface Endpoint extends Resource {
  readonly name: string;
  status: EndpointStatus;
  /** The configuration that serves; that of CreateEndpoint until one does. */
  configName: string;
  failureReason: string | undefined;
  lastModifiedTime: number;
  /** None before the endpoint is in service for the first time. */
  variants: Variant[];
  /** Beside {@link Endpoint.variants}, while traffic shifts, or where it came to a halt half-way. */
  incoming: Incoming | undefined;
  dataCapture: DataCaptureConfig | undefined;
  pending: Pending | undefined;
  /** The last that somebody has given. */
  lastDeployment: DeploymentConfig | undefined;
}

export const ENDPOINTS = new Kind<Endpoint>('endpoint', 100);

/** @throws ServiceError ValidationException where there is none */
function findEndpoint(name: string, { state }: Call): Endpoint {
  const found = state.get(ENDPOINTS, name);
  if (found === undefined) throw invalid(`Could not find endpoint "${ENDPOINTS.arn(name)}".`);
  return found;
}

/**
 * Checks that nothing goes on at an endpoint, and nothing has gone wrong with it for good. Maintenance that waits for
 * somebody to change something begins.
 *
 * @param alsoIn where it may be besides InService
 * @throws ServiceError ValidationException
 */
function mustBeInService(endpoint: Endpoint, call: Call, alsoIn: readonly EndpointStatus[] = []): void {
  if (endpoint.status === 'InService') {
    const fault = take(endpoint.name, 'maintain', call.state);
    if (fault !== undefined) maintain(endpoint, fault, call);
  }
  const { arn, status } = endpoint;
  if (status === 'InService' || alsoIn.includes(status)) return;
  if (status === 'Failed') {
    throw invalid(`Cannot update failed endpoint "${arn}". It can only be deleted.`);
  }
  if (status === 'UpdateRollbackFailed') {
    throw invalid(
      `Cannot update endpoint "${arn}": its rollback has failed. Update it to another configuration.`,
    );
  }
  throw invalid(`Cannot update in-progress endpoint "${arn}".`);
}

function maintain(
  endpoint: Endpoint,
  { ms, status }: { ms: number; status: EndpointStatus },
  call: Call,
): void {
  call.background(`maintenance of ${endpoint.name}`, async () => {
    await change(endpoint, status, call);
    await call.wait(ms);
    await change(endpoint, 'InService', call);
  });
}

/** How long a transition of an endpoint takes. */
function transitionMs({ name }: Endpoint, { state }: Call): number {
  return take(name, 'linger', state)?.ms ?? TRANSITION_MS;
}

/**
 * Has an endpoint do something wrong: a fault of endpoint-faults.ts.
 *
 * @returns undefined where the input is about no endpoint
 * @throws ServiceError where it is no such fault, or is to begin at an endpoint that is not in service
 */
export async function askForFault(input: unknown, call: Call): Promise<object | undefined> {
  if (typeof input !== 'object' || input === null || !('endpoint' in input)) return undefined;
  const fault = validate(endpointFault, input);
  if (fault.does === 'maintain' && fault.from === 'now') {
    const endpoint = findEndpoint(fault.endpoint, call);
    mustBeInService(endpoint, call);
    maintain(endpoint, fault, call);
  } else ask(fault, call.state);
  return {};
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
  DeploymentConfig: deploymentConfig.optional(),
  RetainDeploymentConfig: z.boolean().default(false),
});

/** Real-time endpoints, and their configurations. */
export const endpointOperations: Readonly<Record<string, Operation>> = {
  ...endpointConfigOperations,

  CreateEndpoint: operation(
    structure({
      EndpointName: entityName,
      EndpointConfigName: entityName,
      DeploymentConfig: deploymentConfig.optional(),
      Tags: tags.optional(),
    }),
    withConfig,
    async ({ EndpointName: name, EndpointConfigName, DeploymentConfig, Tags }, call) => {
      const arn = ENDPOINTS.arn(name);
      const config = findConfig(EndpointConfigName, call);
      await checkAlarms(shiftOf(DeploymentConfig, config).alarms, call);
      // Only now, with everything awaited: of two calls at once one is too late.
      if (call.state.byArn(arn) !== undefined)
        throw invalid(`Cannot create already existing endpoint "${arn}".`);
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
        incoming: undefined,
        dataCapture: config.definition.DataCaptureConfig,
        pending: undefined,
        lastDeployment: DeploymentConfig,
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
      StatusEquals: z.enum(EndpointStatus).optional(),
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

  UpdateEndpoint: operation(updateEndpoint, withConfig, async (request, call) => {
    const endpoint = findEndpoint(request.EndpointName, call);
    const config = findConfig(request.EndpointConfigName, call);
    if (request.ExcludeRetainedVariantProperties.length > 0 && !request.RetainAllVariantProperties) {
      throw invalid('ExcludeRetainedVariantProperties needs RetainAllVariantProperties to be true.');
    }
    if (request.DeploymentConfig !== undefined && request.RetainDeploymentConfig) {
      throw invalid('DeploymentConfig cannot be provided where RetainDeploymentConfig is true.');
    }
    const deployment = request.RetainDeploymentConfig ? endpoint.lastDeployment : request.DeploymentConfig;
    const shift = shiftOf(deployment, config);
    await checkAlarms(shift.alarms, call);
    // Only now, with everything awaited: of two calls at once one is too late.
    mustBeInService(endpoint, call, ['UpdateRollbackFailed', 'OutOfService']);
    if (config.name === endpoint.configName) {
      throw invalid(
        `Cannot update endpoint "${endpoint.arn}" to the endpoint configuration that it has, "${config.arn}". ` +
          'Create a new one.',
      );
    }
    for (const { ModelName } of config.definition.ProductionVariants) findModel(ModelName, call);
    endpoint.lastDeployment = deployment ?? endpoint.lastDeployment;
    call.background(`endpoint ${endpoint.name}`, () => update(endpoint, { config, shift, request }, call));
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
      mustBeInService(endpoint, call);
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
      call.background(`endpoint ${endpoint.name}`, () => rescale(endpoint, call));
      return { EndpointArn: endpoint.arn };
    },
  ),

  DeleteEndpoint: operation(nameOnly, arnOf, ({ EndpointName }, call) => {
    const endpoint = findEndpoint(EndpointName, call);
    mustBeInService(endpoint, call, ['Failed', 'UpdateRollbackFailed', 'OutOfService']);
    call.background(`endpoint ${endpoint.name}`, async () => {
      await change(endpoint, 'Deleting', call);
      await call.wait(transitionMs(endpoint, call));
      await retire([...endpoint.variants, ...(endpoint.incoming?.variants ?? [])]);
      call.state.remove(ENDPOINTS, endpoint.name);
    });
    return {};
  }),
};

async function bringUp(endpoint: Endpoint, config: EndpointConfig, call: Call): Promise<void> {
  await change(endpoint, 'Creating', call);
  const { name, dataCapture } = endpoint;
  const launched = { endpoint: name, config, dataCapture, transitionMs: transitionMs(endpoint, call) };
  try {
    endpoint.variants = await launch(launched, call);
  } catch (error) {
    call.signal.throwIfAborted();
    endpoint.failureReason = reasonOf(error, call);
    return change(endpoint, 'Failed', call);
  }
  return change(endpoint, 'InService', call);
}

/** Changes weights and numbers of instances to those that are desired. */
async function rescale(endpoint: Endpoint, call: Call): Promise<void> {
  const { name, variants } = endpoint;
  await change(endpoint, 'Updating', call);
  await call.wait(transitionMs(endpoint, call));
  if (await isBroken(endpoint, call)) return;
  const fault = take(name, 'fail', call.state);
  if (fault !== undefined) {
    for (const variant of variants) {
      variant.desiredWeight = variant.weight;
      variant.desiredInstances = variant.instances;
    }
    return rollBack(endpoint, fault.reason, call);
  }
  const part = take(name, 'stint', call.state)?.part ?? 1;
  for (const variant of variants) {
    variant.weight += (variant.desiredWeight - variant.weight) * part;
    variant.instances = variant.desiredInstances;
  }
  endpoint.failureReason = undefined;
  await change(endpoint, 'InService', call);
}

/** Puts variants in the place of others, as the traffic is to shift; or leaves everything as it is. */
async function update(
  endpoint: Endpoint,
  {
    config,
    shift,
    request: { RetainAllVariantProperties, ExcludeRetainedVariantProperties },
  }: { config: EndpointConfig; shift: Shift; request: z.output<typeof updateEndpoint> },
  call: Call,
): Promise<void> {
  const { name } = endpoint;
  const beganAt = call.now();
  endpoint.pending = { config, startTime: beganAt };
  await change(endpoint, 'Updating', call);
  const excluded = ExcludeRetainedVariantProperties.map(({ VariantPropertyType }) => VariantPropertyType);
  const retains = (property: (typeof excluded)[number]) =>
    RetainAllVariantProperties && !excluded.includes(property);
  const dataCapture = retains('DataCaptureConfig')
    ? endpoint.dataCapture
    : config.definition.DataCaptureConfig;
  let variants: Variant[];
  try {
    const launched = { endpoint: name, config, dataCapture, transitionMs: transitionMs(endpoint, call) };
    variants = await launch(launched, call);
  } catch (error) {
    call.signal.throwIfAborted();
    return stay(endpoint, reasonOf(error, call), call);
  }
  const fault = take(name, 'fail', call.state);
  if (fault !== undefined) {
    await retire(variants);
    return stay(endpoint, fault.reason, call);
  }
  const halted = endpoint.incoming?.variants ?? [];
  if (await isBroken(endpoint, call)) return retire(variants);
  for (const variant of variants) {
    const former = endpoint.variants.find((it) => it.name === variant.name);
    if (former === undefined) continue;
    if (retains('DesiredWeight')) variant.weight = variant.desiredWeight = former.weight;
    if (retains('DesiredInstanceCount')) variant.instances = variant.desiredInstances = former.instances;
  }
  const incoming: Incoming = { variants, share: 0 };
  endpoint.incoming = incoming;
  const mixed = take(name, 'mix', call.state);
  if (mixed !== undefined) {
    const [first = 1] = shift.shares;
    incoming.share = first < 1 ? first : 0.5;
    endpoint.pending = undefined;
    endpoint.failureReason = mixed.reason;
    await change(endpoint, 'UpdateRollbackFailed', call);
    return retire(halted);
  }
  try {
    await shiftTraffic(
      shift,
      {
        beganAt,
        take: (share) => {
          incoming.share = share;
        },
      },
      call,
    );
  } catch (error) {
    call.signal.throwIfAborted();
    if (!(error instanceof TurnBack)) call.log(`endpoint ${name}: ${(error as Error).stack}`);
    endpoint.incoming = undefined;
    const why = take(name, 'hush', call.state) === undefined ? (error as Error).message : undefined;
    await rollBack(endpoint, why, call);
    return retire([...variants, ...halted]);
  }
  const replaced = [...endpoint.variants, ...halted];
  Object.assign(endpoint, {
    variants,
    incoming: undefined,
    dataCapture,
    configName: config.name,
    failureReason: undefined,
    pending: undefined,
  } satisfies Partial<Endpoint>);
  await change(endpoint, 'InService', call);
  await retire(replaced);
}

/** Ends an update that has come to nothing: the status alone does not tell that from a success. */
async function stay(endpoint: Endpoint, reason: string | undefined, call: Call): Promise<void> {
  endpoint.pending = undefined;
  endpoint.failureReason = reason;
  await change(endpoint, endpoint.incoming === undefined ? 'InService' : 'UpdateRollbackFailed', call);
}

async function rollBack(endpoint: Endpoint, reason: string | undefined, call: Call): Promise<void> {
  await change(endpoint, 'RollingBack', call);
  await call.wait(transitionMs(endpoint, call));
  await stay(endpoint, reason, call);
}

/** Whether somebody has asked for the endpoint to end in Failed. It has, then. */
async function isBroken(endpoint: Endpoint, call: Call): Promise<boolean> {
  const fault = take(endpoint.name, 'break', call.state);
  if (fault === undefined) return false;
  const { variants, incoming } = endpoint;
  Object.assign(endpoint, {
    variants: [],
    incoming: undefined,
    failureReason: fault.reason,
    pending: undefined,
  } satisfies Partial<Endpoint>);
  await change(endpoint, 'Failed', call);
  await retire([...variants, ...(incoming?.variants ?? [])]);
  return true;
}

async function change(endpoint: Endpoint, status: EndpointStatus, call: Call): Promise<void> {
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
    LastDeploymentConfig: endpoint.lastDeployment,
    PendingDeploymentSummary: pending && describePending(pending, endpoint.incoming),
  });
}

function describePending({ config, startTime }: Pending, incoming: Incoming | undefined): object {
  return {
    EndpointConfigName: config.name,
    ProductionVariants: config.definition.ProductionVariants.map((variant) => {
      const launched = incoming?.variants.find(({ name }) => name === variant.VariantName);
      return present({
        VariantName: variant.VariantName,
        DeployedImages: launched && describeImages(launched.hosted),
        CurrentWeight: launched?.weight,
        DesiredWeight: variant.InitialVariantWeight,
        CurrentInstanceCount: launched?.instances,
        DesiredInstanceCount: variant.InitialInstanceCount,
        InstanceType: variant.InstanceType,
        VariantStatus: [{ Status: launched === undefined ? 'Creating' : 'ActivatingTraffic' }],
      });
    }),
    StartTime: seconds(startTime),
  };
}
