import {
  type AsyncInferenceConfig,
  type DataCaptureConfig,
  type DataCaptureConfigSummary,
  type DeploymentConfig,
  DescribeEndpointCommand,
  type DescribeEndpointCommandOutput,
  DescribeEndpointConfigCommand,
  type DescribeEndpointConfigCommandOutput,
  ListTagsCommand,
  type ProductionVariant,
  type ProductionVariantManagedInstanceScaling,
  type ProductionVariantSummary,
  type Tag,
} from '@aws-sdk/client-sagemaker';
import { mapLimit } from '../../shared/aws.ts';
import { isGone } from '../../shared/sagemaker.ts';
import { itemOf, type Path } from '../path.ts';
import { NOT_COMPARED } from '../snapshot.ts';
import { everyPage } from './pages.ts';
import { attempt, CONCURRENCY, DELETED, type Found, type Reading } from './reading.ts';
import { type DeployedModel, readModels } from './sagemaker-models.ts';
import { readMonitors } from './sagemaker-monitors.ts';
import { readScaling, type ScalableVariant, type Scaling } from './scaling.ts';
import { type JsonObject, membersOf, setOf, vpcOf } from './values.ts';

/*
 * Endpoints of SageMaker with all that belongs to them: configuration, models, scaling, monitoring schedules.
 *
 * Names of endpoint configurations and of models are left out: every deployment makes up new ones. A member that the SDK
 * learns of later is taken over under its own name.
 */

/** An endpoint as its calls have described it. */
interface Described {
  found: Found;
  endpoint: DescribeEndpointCommandOutput;
  config: DescribeEndpointConfigCommandOutput;
  /** Undefined: they could not be read. */
  tags: Tag[] | undefined;
}

/** A variant, and how it is written down. */
interface Variant {
  definition: ProductionVariant;
  live: ProductionVariantSummary | undefined;
  /** Share of the traffic; of a shadow variant, of which share it gets copies. */
  weight: number | undefined;
  scalable: ScalableVariant;
}

/**
 * Reads endpoints, with their models, their scaling and their monitoring schedules.
 *
 * @throws GateInputError where one has more of something than is compared
 * @throws GateDependencyError where nothing at all can be read
 */
export async function readEndpoints(reading: Reading, found: readonly Found[]): Promise<void> {
  const described = (await mapLimit(found, CONCURRENCY, (one) => describe(reading, one))).filter(
    (one) => one !== undefined,
  );
  const endpoints = described.map((one) => ({
    ...one,
    production: variantsOf(one, 'variants'),
    shadow: variantsOf(one, 'shadow'),
  }));
  const scaling = await readScaling(
    reading,
    endpoints.flatMap(({ production, shadow }) => [...production, ...shadow].map(({ scalable }) => scalable)),
  );
  const models: DeployedModel[] = [];
  for (const { production, shadow, ...one } of endpoints) {
    const { kind, name, physical } = one.found;
    const written = (variants: readonly Variant[]) =>
      variants.map((variant) => variantValue(variant, scaling.get(variant.scalable)));
    const value = endpointValue(one, { variants: written(production), shadow: written(shadow) });
    reading.sink.add({ kind, name, physical, value });
    for (const variant of [...production, ...shadow]) models.push(...modelsOf(reading, name, variant));
  }
  await readModels(reading, models);
  await readMonitors(
    reading,
    described.map((one) => one.found),
  );
}

// ---------------------------------------------------------------------------------------------------------
// Calls
// ---------------------------------------------------------------------------------------------------------

/** Undefined where there is no such endpoint, or what it is like could not be read. */
async function describe(reading: Reading, found: Found): Promise<Described | undefined> {
  const { sink, clients } = reading;
  const { kind, name, physical } = found;
  const path: Path = [kind, name];
  // Where an endpoint is not known, its models and monitors are not, either: that need not be said.
  const first = await attempt(
    reading,
    { path, physical, action: 'sagemaker:DescribeEndpoint' },
    () => clients.sagemaker.send(new DescribeEndpointCommand({ EndpointName: physical })),
    isGone,
  );
  if (first === undefined) return undefined;
  if ('gone' in first) {
    sink.add({ kind, name, physical, value: null });
    return undefined;
  }
  const endpoint = first.answer;
  const { EndpointStatus = 'unknown', EndpointConfigName, EndpointArn } = endpoint;
  if (EndpointStatus !== 'InService') sink.unsettled({ path, physical, status: EndpointStatus });

  const ofConfig = { path, physical, action: 'sagemaker:DescribeEndpointConfig' };
  if (EndpointConfigName === undefined) {
    // Of one that failed to roll back it says none: it serves a mix.
    sink.unreadable({ ...ofConfig, why: 'without a configuration' });
    return undefined;
  }
  const second = await attempt(
    reading,
    ofConfig,
    () => clients.sagemaker.send(new DescribeEndpointConfigCommand({ EndpointConfigName })),
    isGone,
  );
  if (second === undefined) return undefined;
  if ('gone' in second) {
    sink.unreadable({ ...ofConfig, why: DELETED });
    return undefined;
  }
  const tags = await tagsOf(reading, { path: [...path, 'tags'], physical }, EndpointArn ?? '');
  // ARNs have the name in lower case, and scaling and monitoring schedules go by how it is written.
  const own = { ...found, physical: endpoint.EndpointName ?? physical };
  return { found: own, endpoint, config: second.answer, tags };
}

async function tagsOf(
  reading: Reading,
  of: { path: Path; physical: string },
  arn: string,
): Promise<Tag[] | undefined> {
  const action = 'sagemaker:ListTags';
  const attempted = await attempt(
    reading,
    { ...of, action },
    () =>
      everyPage(`tags of ${of.physical}`, async (token) => {
        const { Tags, NextToken } = await reading.clients.sagemaker.send(
          new ListTagsCommand({ ResourceArn: arn, ...(token !== undefined && { NextToken: token }) }),
        );
        return { items: Tags, next: NextToken };
      }),
    isGone,
  );
  if (attempted === undefined) return undefined;
  if ('answer' in attempted) return attempted.answer;
  reading.sink.unreadable({ ...of, action, why: DELETED });
  return undefined;
}

// ---------------------------------------------------------------------------------------------------------
// Values
// ---------------------------------------------------------------------------------------------------------

/** Its variants as they are configured, with what is known of each by now. */
function variantsOf({ found, endpoint, config }: Described, member: 'variants' | 'shadow'): Variant[] {
  const isShadow = member === 'shadow';
  const definitions = (isShadow ? config.ShadowProductionVariants : config.ProductionVariants) ?? [];
  const live = (isShadow ? endpoint.ShadowProductionVariants : endpoint.ProductionVariants) ?? [];
  const weightOf = (variant: ProductionVariantSummary | undefined, definition?: ProductionVariant) =>
    variant?.CurrentWeight ?? variant?.DesiredWeight ?? definition?.InitialVariantWeight;
  // Shadow variants get copies, and take nothing from the others.
  const total = (config.ProductionVariants ?? [])
    .map((definition) => weightOf(byName(endpoint.ProductionVariants, definition), definition) ?? 0)
    .reduce((sum, weight) => sum + weight, 0);
  return definitions.map((definition) => {
    const { VariantName = '' } = definition;
    const now = byName(live, definition);
    const weight = weightOf(now, definition);
    return {
      definition,
      live: now,
      weight: weight === undefined ? undefined : shareOf(weight, total),
      scalable: {
        endpoint: found.physical,
        variant: VariantName,
        path: [found.kind, found.name, member, itemOf(VariantName)],
      },
    };
  });
}

function byName(
  variants: readonly ProductionVariantSummary[] = [],
  { VariantName }: ProductionVariant,
): ProductionVariantSummary | undefined {
  return variants.find((one) => one.VariantName === VariantName);
}

/** Weights have single precision: what is beyond that is no difference. */
function shareOf(weight: number, total: number): number {
  return total === 0 ? 0 : Number((weight / total).toFixed(6));
}

function endpointValue(
  { endpoint, config, tags }: Described,
  variants: { variants: JsonObject[]; shadow: JsonObject[] },
): JsonObject {
  const {
    $metadata,
    EndpointConfigName,
    EndpointConfigArn,
    CreationTime,
    ProductionVariants,
    ShadowProductionVariants,
    DataCaptureConfig: capture,
    KmsKeyId,
    AsyncInferenceConfig: asynchronous,
    ExplainerConfig,
    ExecutionRoleArn,
    VpcConfig,
    EnableNetworkIsolation,
    MetricsConfig: metrics,
    ...more
  } = config;
  const { ClarifyExplainerConfig: clarify, ...explainers } = ExplainerConfig ?? {};
  return setOf({
    ...membersOf(more),
    ...variants,
    capture: captureOf(capture, endpoint.DataCaptureConfig),
    async: asynchronous && asyncOf(asynchronous),
    kmsKey: KmsKeyId,
    networkIsolation: EnableNetworkIsolation ?? false,
    role: ExecutionRoleArn,
    vpc: vpcOf(VpcConfig),
    deployment: endpoint.LastDeploymentConfig && deploymentOf(endpoint.LastDeploymentConfig),
    explainer: { ...membersOf(explainers), ...membersOf(clarify) },
    metrics: metrics && {
      enhanced: metrics.EnableEnhancedMetrics ?? false,
      detailed: metrics.EnableDetailedObservability ?? false,
      frequencySeconds: metrics.MetricPublishFrequencyInSeconds,
    },
    tags: tags
      ?.filter(({ Key = '' }) => !Key.startsWith('aws:'))
      .map(({ Key, Value }) => ({ name: Key, value: Value })),
  });
}

function variantValue(
  { definition, live, weight }: Variant,
  { value: scaling, moves }: Scaling = { value: undefined, moves: false },
): JsonObject {
  const {
    VariantName,
    ModelName,
    InitialInstanceCount,
    InstanceType,
    InstancePools = [],
    VariantInstanceProvisionTimeoutInSeconds,
    InitialVariantWeight,
    AcceleratorType,
    CoreDumpConfig: dump,
    ServerlessConfig,
    VolumeSizeInGB,
    ModelDataDownloadTimeoutInSeconds,
    ContainerStartupHealthCheckTimeoutInSeconds,
    EnableSSMAccess,
    ManagedInstanceScaling,
    RoutingConfig,
    InferenceAmiVersion,
    CapacityReservationConfig: reservation,
    ...more
  } = definition;
  const serverless = live?.CurrentServerlessConfig ?? ServerlessConfig;
  const managed = live?.ManagedInstanceScaling ?? ManagedInstanceScaling;
  const routing = live?.RoutingConfig ?? RoutingConfig;
  const isFixed = serverless === undefined && managed?.Status !== 'ENABLED' && !moves;
  return setOf({
    ...membersOf(more),
    name: VariantName,
    instanceType: InstanceType,
    // Models by instance type are told where models are read.
    instancePools: InstancePools.map(({ InstanceType: type, Priority }) => ({
      name: type,
      priority: Priority,
    })),
    instances: isFixed ? (live?.DesiredInstanceCount ?? InitialInstanceCount) : undefined,
    weight,
    accelerator: AcceleratorType,
    volumeGb: VolumeSizeInGB,
    containerStartupSeconds: ContainerStartupHealthCheckTimeoutInSeconds,
    modelDownloadSeconds: ModelDataDownloadTimeoutInSeconds,
    provisionSeconds: VariantInstanceProvisionTimeoutInSeconds,
    routing: routing?.RoutingStrategy,
    prefixRouting: routing?.PrefixAwareRoutingConfig && membersOf(routing.PrefixAwareRoutingConfig),
    managedScaling: managed && managedOf(managed),
    serverless: serverless && {
      memoryMb: serverless.MemorySizeInMB,
      maxConcurrency: serverless.MaxConcurrency,
      provisionedConcurrency: serverless.ProvisionedConcurrency,
    },
    coreDump: dump && { uri: dump.DestinationS3Uri, kmsKey: dump.KmsKeyId },
    ssmAccess: EnableSSMAccess ?? false,
    ami: InferenceAmiVersion,
    reservation: reservation && {
      preference: reservation.CapacityReservationPreference,
      arn: reservation.MlReservationArn,
    },
    scaling,
  });
}

function managedOf({
  Status,
  MinInstanceCount,
  MaxInstanceCount,
  ScaleInPolicy: scaleIn,
  ...more
}: ProductionVariantManagedInstanceScaling): JsonObject {
  return setOf({
    ...membersOf(more),
    status: Status,
    min: MinInstanceCount,
    max: MaxInstanceCount,
    scaleIn: scaleIn && {
      strategy: scaleIn.Strategy,
      maxStep: scaleIn.MaximumStepSize,
      cooldownMinutes: scaleIn.CooldownInMinutes,
    },
  });
}

/** What is captured now: it can be stopped, and sampled less, without another configuration. */
function captureOf(
  config: DataCaptureConfig | undefined,
  live: DataCaptureConfigSummary | undefined,
): JsonObject {
  const options = config?.CaptureOptions ?? [];
  const types = config?.CaptureContentTypeHeader;
  const isEnabled = live?.EnableCapture ?? (config !== undefined && config.EnableCapture !== false);
  return setOf({
    enabled: isEnabled && live?.CaptureStatus !== 'Stopped',
    percentage: live?.CurrentSamplingPercentage ?? config?.InitialSamplingPercentage,
    uri: live?.DestinationS3Uri ?? config?.DestinationS3Uri,
    modes: options.map(({ CaptureMode }) => CaptureMode),
    kmsKey: (live?.KmsKeyId ?? config?.KmsKeyId) || undefined,
    csvTypes: types?.CsvContentTypes,
    jsonTypes: types?.JsonContentTypes,
  });
}

function asyncOf({ ClientConfig, OutputConfig, ...more }: AsyncInferenceConfig): JsonObject {
  const { KmsKeyId, S3OutputPath, S3FailurePath, NotificationConfig: topics, ...output } = OutputConfig ?? {};
  return setOf({
    ...membersOf(more),
    ...membersOf(output),
    uri: S3OutputPath,
    failureUri: S3FailurePath,
    kmsKey: KmsKeyId,
    maxConcurrent: ClientConfig?.MaxConcurrentInvocationsPerInstance,
    topics: topics && {
      success: topics.SuccessTopic,
      error: topics.ErrorTopic,
      include: topics.IncludeInferenceResponseIn,
    },
  });
}

/** How the last deployment went about it: what the next one is guarded by, unless it says something else. */
function deploymentOf({
  BlueGreenUpdatePolicy: blueGreen,
  RollingUpdatePolicy: rolling,
  AutoRollbackConfiguration: rollback,
  ...more
}: DeploymentConfig): JsonObject {
  const traffic = blueGreen?.TrafficRoutingConfiguration;
  const step = traffic?.CanarySize ?? traffic?.LinearStepSize ?? rolling?.MaximumBatchSize;
  return setOf({
    ...membersOf(more),
    type: rolling === undefined ? traffic?.Type : 'ROLLING',
    waitSeconds: traffic?.WaitIntervalInSeconds ?? rolling?.WaitIntervalInSeconds,
    step: step && membersOf(step),
    rollbackStep: rolling?.RollbackMaximumBatchSize && membersOf(rolling.RollbackMaximumBatchSize),
    terminationWaitSeconds: blueGreen?.TerminationWaitInSeconds,
    timeoutSeconds: blueGreen?.MaximumExecutionTimeoutInSeconds ?? rolling?.MaximumExecutionTimeoutInSeconds,
    alarms: rollback?.Alarms?.map(({ AlarmName }) => AlarmName),
  });
}

/** The model of a variant, if any. Of models that are not read nobody knows whether they are equal. */
function modelsOf({ sink }: Reading, endpoint: string, { definition, live }: Variant): DeployedModel[] {
  const { VariantName = '', ModelName, InstancePools = [] } = definition;
  const name = `${endpoint}/${VariantName}`;
  const action = 'sagemaker:DescribeModel';
  const overrides = InstancePools.filter(({ ModelNameOverride }) => ModelNameOverride !== undefined);
  for (const { InstanceType } of overrides) {
    sink.unreadable({
      path: ['models', name, 'overrides', itemOf(InstanceType ?? '')],
      physical: name,
      action,
      why: NOT_COMPARED.override,
    });
  }
  if (ModelName !== undefined) return [{ name, physical: ModelName, images: live?.DeployedImages ?? [] }];
  if (overrides.length === 0) {
    sink.unreadable({ path: ['models', name], physical: name, action, why: NOT_COMPARED.components });
  }
  return [];
}
