import { ProductionVariantInstanceType } from '@aws-sdk/client-sagemaker';
import * as z from 'zod';
import { dataCaptureConfig } from './capture.ts';
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
} from './service.ts';

const REAL_TIME = 'The local SageMaker has real-time endpoints on instances of their own only';

const productionVariant = structure({
  VariantName: entityName,
  ModelName: entityName,
  InitialInstanceCount: z.int().min(1),
  InstanceType: z.enum(ProductionVariantInstanceType),
  InitialVariantWeight: z.number().min(0).default(1),
  VolumeSizeInGB: z.int().min(1).max(512).optional(),
  ModelDataDownloadTimeoutInSeconds: z.int().min(60).max(3600).optional(),
  ContainerStartupHealthCheckTimeoutInSeconds: z.int().min(60).max(3600).optional(),
  EnableSSMAccess: z.boolean().optional(),
  RoutingConfig: structure({
    RoutingStrategy: z.enum(['LEAST_OUTSTANDING_REQUESTS', 'RANDOM']),
  }).optional(),
  InferenceAmiVersion: z.string().max(63).optional(),
  ServerlessConfig: unsupported(`${REAL_TIME}: no ServerlessConfig.`),
  ManagedInstanceScaling: unsupported(`${REAL_TIME}: no ManagedInstanceScaling.`),
  InstancePools: unsupported(`${REAL_TIME}: no InstancePools.`),
  CapacityReservationConfig: unsupported(`${REAL_TIME}: no CapacityReservationConfig.`),
  AcceleratorType: unsupported(`${REAL_TIME}: no AcceleratorType.`),
  CoreDumpConfig: unsupported(`${REAL_TIME}: no CoreDumpConfig.`),
});

export type ProductionVariant = z.output<typeof productionVariant>;

const createEndpointConfig = structure({
  EndpointConfigName: entityName,
  ProductionVariants: listOf(productionVariant, 10, 1),
  DataCaptureConfig: dataCaptureConfig.optional(),
  KmsKeyId: z.string().max(2048).optional(),
  Tags: tags.optional(),
  ShadowProductionVariants: unsupported(`${REAL_TIME}: no ShadowProductionVariants.`),
  AsyncInferenceConfig: unsupported(`${REAL_TIME}: no AsyncInferenceConfig.`),
  ExplainerConfig: unsupported(`${REAL_TIME}: no ExplainerConfig.`),
  ExecutionRoleArn: unsupported(`${REAL_TIME}: no inference components, and so no ExecutionRoleArn.`),
  VpcConfig: unsupported(`${REAL_TIME}: no VpcConfig.`),
  EnableNetworkIsolation: unsupported(`${REAL_TIME}: no EnableNetworkIsolation.`),
  MetricsConfig: unsupported(`${REAL_TIME}: no MetricsConfig.`),
});

export interface EndpointConfig extends Resource {
  readonly name: string;
  /** As it was created. */
  readonly definition: z.output<typeof createEndpointConfig>;
}

export const ENDPOINT_CONFIGS = new Kind<EndpointConfig>('endpoint-config');

/** @throws ServiceError ValidationException where there is none */
export function findConfig(name: string, { state }: Call): EndpointConfig {
  const found = state.get(ENDPOINT_CONFIGS, name);
  if (found === undefined) {
    throw invalid(`Could not find endpoint configuration "${ENDPOINT_CONFIGS.arn(name)}".`);
  }
  return found;
}

const nameOnly = structure({ EndpointConfigName: entityName });
const arnOf = ({ EndpointConfigName }: { EndpointConfigName: string }) =>
  ENDPOINT_CONFIGS.arn(EndpointConfigName);

/** Endpoint configurations. One that is deleted goes on in the endpoints that have it. */
export const endpointConfigOperations: Readonly<Record<string, Operation>> = {
  CreateEndpointConfig: operation(createEndpointConfig, arnOf, (definition, call) => {
    const { EndpointConfigName: name, ProductionVariants, Tags } = definition;
    const arn = ENDPOINT_CONFIGS.arn(name);
    if (call.state.byArn(arn) !== undefined) {
      throw invalid(`Cannot create already existing endpoint configuration "${arn}".`);
    }
    const names = new Set(ProductionVariants.map(({ VariantName }) => VariantName));
    if (names.size < ProductionVariants.length) throw invalid('Variant names must be unique.');
    // What SageMaker makes of it is not documented.
    if (ProductionVariants.every(({ InitialVariantWeight }) => InitialVariantWeight === 0)) {
      throw invalid('At least one InitialVariantWeight must be greater than 0.');
    }
    for (const { ModelName } of ProductionVariants) findModel(ModelName, call);
    const config: EndpointConfig = { arn, name, definition, creationTime: call.now() };
    call.state.add(ENDPOINT_CONFIGS, name, config, Tags);
    call.background(`endpoint configuration ${name}`, () =>
      call.account.emit('SageMaker Endpoint Config State Change', [arn], {
        ...describe(config, (milliseconds) => milliseconds),
        Tags: Object.fromEntries(call.state.tags(arn)),
      }),
    );
    return { EndpointConfigArn: arn };
  }),

  DescribeEndpointConfig: operation(nameOnly, arnOf, ({ EndpointConfigName }, call) =>
    describe(findConfig(EndpointConfigName, call), seconds),
  ),

  ListEndpointConfigs: operation(
    structure({
      SortBy: z.enum(['Name', 'CreationTime']).default('CreationTime'),
      SortOrder: sortOrder.default('Descending'),
      NameContains: nameContains.optional(),
      CreationTimeBefore: timestamp.optional(),
      CreationTimeAfter: timestamp.optional(),
      ...paging,
    }),
    () => '*',
    (query, { state }) => {
      const { NameContains = '', CreationTimeAfter = -Infinity, CreationTimeBefore = Infinity } = query;
      const configs = [...state.all(ENDPOINT_CONFIGS).values()].filter(
        ({ name, creationTime }) =>
          name.includes(NameContains) &&
          creationTime > CreationTimeAfter &&
          creationTime < CreationTimeBefore,
      );
      const key = ({ name, creationTime }: EndpointConfig) => (query.SortBy === 'Name' ? name : creationTime);
      const { items, ...next } = page(sorted(configs, key, query.SortOrder), query, 10);
      const EndpointConfigs = items.map(({ name, arn, creationTime }) => ({
        EndpointConfigName: name,
        EndpointConfigArn: arn,
        CreationTime: seconds(creationTime),
      }));
      return { EndpointConfigs, ...next };
    },
  ),

  DeleteEndpointConfig: operation(nameOnly, arnOf, ({ EndpointConfigName }, call) => {
    call.state.remove(ENDPOINT_CONFIGS, findConfig(EndpointConfigName, call).name);
    return {};
  }),
};

/** @param moment how the moments are written */
function describe(
  { arn, creationTime, definition: { Tags: _tags, ...definition } }: EndpointConfig,
  moment: (milliseconds: number) => number,
): object {
  return present({ ...definition, EndpointConfigArn: arn, CreationTime: moment(creationTime) });
}
