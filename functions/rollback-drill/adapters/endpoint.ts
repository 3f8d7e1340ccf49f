import {
  DescribeEndpointCommand,
  type DescribeEndpointCommandOutput,
  DescribeEndpointConfigCommand,
  type DescribeEndpointConfigCommandOutput,
  ListTagsCommand,
  type ProductionVariant,
  type ProductionVariantSummary,
  type SageMakerClient,
  UpdateEndpointCommand,
  UpdateEndpointWeightsAndCapacitiesCommand,
} from '@aws-sdk/client-sagemaker';
import { dependencyError } from '../../shared/aws.ts';
import { GateDependencyError, GateInputError, messageOf } from '../../shared/errors.ts';
import { clip, listOf } from '../../shared/format.ts';
import { canonicalJson, sha256 } from '../../shared/identity.ts';
import { isGone } from '../../shared/sagemaker.ts';
import {
  ENDPOINT_STATUSES,
  type EndpointState,
  isSameWeight,
  type Snapshot,
  type VariantChange,
  type VariantState,
} from '../endpoint.ts';

/*
 * An endpoint of SageMaker: reading it, and the two calls that change it. Whatever SageMaker answers may be absent.
 */

/** What is kept of SageMaker's words. */
const REASON = 300;

// ---------------------------------------------------------------------------------------------------------
// Reading
// ---------------------------------------------------------------------------------------------------------

/**
 * Reads an endpoint.
 *
 * @param now milliseconds since 1970
 * @returns null where there is none
 * @throws GateDependencyError where SageMaker does not answer, or refuses
 */
export async function readEndpoint(
  sagemaker: SageMakerClient,
  name: string,
  now: () => number,
): Promise<EndpointState | null> {
  const found = await describe(sagemaker, name);
  return found === null ? null : stateOf(name, found, now());
}

/** An endpoint with all that says whether it may be drilled, and that it is to be restored to. */
export interface Found {
  snapshot: Snapshot;
  tags: Record<string, string>;
  /** Name of the model by variant. */
  models: Record<string, string>;
  /** Why it is no endpoint that could be drilled and brought back; null where it is one. */
  plain: string | null;
}

/**
 * Reads an endpoint, its endpoint configuration and its tags.
 *
 * @param now milliseconds since 1970
 * @returns null where there is none
 * @throws GateDependencyError where SageMaker does not answer, or refuses
 */
export async function readSnapshot(
  sagemaker: SageMakerClient,
  name: string,
  now: () => number,
): Promise<Found | null> {
  const found = await describe(sagemaker, name);
  if (found === null) return null;
  const state = stateOf(name, found, now());
  const arn = found.EndpointArn ?? '';
  const tags = await tagsOf(sagemaker, arn);
  if (tags === null) return null;
  const definition = state.config === '' ? null : await readConfig(sagemaker, state.config);
  const alarms = found.LastDeploymentConfig?.AutoRollbackConfiguration?.Alarms ?? [];
  return {
    snapshot: {
      endpoint: name,
      arn,
      state,
      configSha256: definition === null ? '' : hashOf(definition),
      deployed: found.LastDeploymentConfig !== undefined,
      guardrail: alarms.flatMap(({ AlarmName }) => AlarmName ?? []),
    },
    tags,
    models: Object.fromEntries(
      (definition?.ProductionVariants ?? []).flatMap(({ VariantName = '', ModelName }) =>
        ModelName === undefined ? [] : [[VariantName, ModelName]],
      ),
    ),
    plain:
      definition === null
        ? `its endpoint configuration ${state.config || '(none)'} does not exist, so nothing could bring it back`
        : obstacleOf(definition),
  };
}

/**
 * Why the requests of a drill cannot tell who serves. Shadow variants are no obstacle: they get copies of requests, and
 * answer nobody.
 */
function obstacleOf({ AsyncInferenceConfig, ProductionVariants = [] }: ConfigDefinition): string | null {
  if (AsyncInferenceConfig !== undefined) return 'it answers asynchronously';
  for (const { VariantName, ModelName, InstancePools = [] } of ProductionVariants) {
    if (ModelName === undefined) return `its variant ${VariantName} has inference components, and no model`;
    if (InstancePools.some(({ ModelNameOverride }) => ModelNameOverride !== undefined)) {
      return `its variant ${VariantName} has several models, by instance type`;
    }
  }
  return null;
}

async function describe(
  sagemaker: SageMakerClient,
  name: string,
): Promise<DescribeEndpointCommandOutput | null> {
  try {
    return await sagemaker.send(new DescribeEndpointCommand({ EndpointName: name }));
  } catch (error) {
    if (isGone(error)) return null;
    throw dependencyError(`DescribeEndpoint ${name}`, error);
  }
}

function stateOf(name: string, found: DescribeEndpointCommandOutput, at: number): EndpointState {
  const status = ENDPOINT_STATUSES.find((one) => one === found.EndpointStatus);
  if (status === undefined) {
    throw new GateDependencyError(
      `the endpoint ${name} has a status that nothing here knows: ${found.EndpointStatus}`,
    );
  }
  return {
    at,
    status,
    config: found.EndpointConfigName ?? '',
    failureReason: clip(found.FailureReason ?? '', REASON) || null,
    pending: found.PendingDeploymentSummary?.EndpointConfigName ?? null,
    variants: (found.ProductionVariants ?? [])
      .map(variantOf)
      .sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0)),
  };
}

function variantOf(variant: ProductionVariantSummary): VariantState {
  const { CurrentWeight = 0, CurrentInstanceCount = null } = variant;
  // A serverless variant may say that it has 0 instances.
  const isServerless =
    variant.CurrentServerlessConfig !== undefined || variant.DesiredServerlessConfig !== undefined;
  return {
    name: variant.VariantName ?? '',
    weight: CurrentWeight,
    desiredWeight: variant.DesiredWeight ?? CurrentWeight,
    instances: isServerless ? null : CurrentInstanceCount,
    desiredInstances: isServerless ? null : (variant.DesiredInstanceCount ?? CurrentInstanceCount),
    images: (variant.DeployedImages ?? [])
      .flatMap(({ ResolvedImage, SpecifiedImage }) => ResolvedImage ?? SpecifiedImage ?? [])
      .sort(),
  };
}

/** @returns null where the endpoint is gone by now */
async function tagsOf(sagemaker: SageMakerClient, arn: string): Promise<Record<string, string> | null> {
  const tags: Record<string, string> = {};
  let NextToken: string | undefined;
  do {
    try {
      const page = await sagemaker.send(
        new ListTagsCommand({ ResourceArn: arn, ...(NextToken !== undefined && { NextToken }) }),
      );
      for (const { Key = '', Value = '' } of page.Tags ?? []) tags[Key] = Value;
      NextToken = page.NextToken;
    } catch (error) {
      if (isGone(error)) return null;
      throw dependencyError(`ListTags ${arn}`, error);
    }
  } while (NextToken !== undefined);
  return tags;
}

// ---------------------------------------------------------------------------------------------------------
// Endpoint configurations
// ---------------------------------------------------------------------------------------------------------

/** What an endpoint configuration says: all of it but its name, its ARN and its time. */
export type ConfigDefinition = Omit<
  DescribeEndpointConfigCommandOutput,
  '$metadata' | 'EndpointConfigName' | 'EndpointConfigArn' | 'CreationTime'
>;

/**
 * Reads an endpoint configuration, as CreateEndpointConfig takes it.
 *
 * @returns null where there is none
 * @throws GateDependencyError where SageMaker does not answer, or refuses
 */
export async function readConfig(
  sagemaker: SageMakerClient,
  config: string,
): Promise<ConfigDefinition | null> {
  try {
    const { $metadata, EndpointConfigName, EndpointConfigArn, CreationTime, ...definition } =
      await sagemaker.send(new DescribeEndpointConfigCommand({ EndpointConfigName: config }));
    // CreateEndpointConfig refuses an empty list where there may be none.
    const said = Object.entries(definition).filter(
      ([, value]) => value !== undefined && value !== null && !(Array.isArray(value) && value.length === 0),
    );
    return Object.fromEntries(said) as unknown as ConfigDefinition;
  } catch (error) {
    if (isGone(error)) return null;
    throw dependencyError(`DescribeEndpointConfig ${config}`, error);
  }
}

/** SHA-256 of what an endpoint configuration says, in whatever order its variants are named. */
export function hashOf(definition: ConfigDefinition): string {
  const { ProductionVariants, ShadowProductionVariants, ...rest } = definition;
  return sha256(
    canonicalJson({
      ...rest,
      ProductionVariants: byName(ProductionVariants),
      ShadowProductionVariants: byName(ShadowProductionVariants),
    }),
  );
}

function byName(variants: readonly ProductionVariant[] = []): ProductionVariant[] {
  return variants.toSorted(({ VariantName: a = '' }, { VariantName: b = '' }) =>
    a < b ? -1 : a > b ? 1 : 0,
  );
}

/**
 * SHA-256 of what an endpoint configuration says, without its name and times.
 *
 * @returns null where there is none
 * @throws GateDependencyError where SageMaker does not answer, or refuses
 */
export async function configHash(sagemaker: SageMakerClient, config: string): Promise<string | null> {
  const definition = await readConfig(sagemaker, config);
  return definition === null ? null : hashOf(definition);
}

// ---------------------------------------------------------------------------------------------------------
// Changing
// ---------------------------------------------------------------------------------------------------------

/**
 * Begins to deploy an endpoint configuration, with the weights and instances that it names. Fine where the endpoint has
 * it already, or is on its way there: SageMaker refuses that.
 *
 * @param update.retain whether the deployment configuration of the last deployment, with its guardrail, holds for this
 * one, too
 * @throws GateInputError where there is no such endpoint or endpoint configuration
 * @throws GateDependencyError where SageMaker does not answer, or refuses: something else is under way
 */
export async function updateEndpoint(
  sagemaker: SageMakerClient,
  { endpoint, config, retain }: { endpoint: string; config: string; retain: boolean },
): Promise<void> {
  const isThere = async () => hasConfig(await requireEndpoint(sagemaker, endpoint), config);
  if (await isThere()) return;
  const input = { EndpointName: endpoint, EndpointConfigName: config, RetainDeploymentConfig: retain };
  await unlessThere(
    `UpdateEndpoint ${endpoint} to ${config}`,
    () => sagemaker.send(new UpdateEndpointCommand(input)),
    isThere,
  );
}

/**
 * Begins to change weights and instances of variants; the others stay as they are. Fine where they are so already, or are
 * on their way there.
 *
 * @throws GateInputError where there is no such endpoint or variant, a number cannot be, or all weights would be 0: what
 * SageMaker makes of that nobody says
 * @throws GateDependencyError where SageMaker does not answer, or refuses: something else is under way
 */
export async function setWeights(
  sagemaker: SageMakerClient,
  endpoint: string,
  changes: readonly VariantChange[],
): Promise<void> {
  const wanted = changes.filter(({ weight, instances }) => weight !== undefined || instances !== undefined);
  if (wanted.length === 0) return;
  const state = await requireEndpoint(sagemaker, endpoint);
  refuseImpossible(state, endpoint, wanted);
  if (hasVariants(state, wanted)) return;
  const input = {
    EndpointName: endpoint,
    DesiredWeightsAndCapacities: wanted.map(({ variant, weight, instances }) => ({
      VariantName: variant,
      ...(weight !== undefined && { DesiredWeight: weight }),
      ...(instances !== undefined && { DesiredInstanceCount: instances }),
    })),
  };
  await unlessThere(
    `UpdateEndpointWeightsAndCapacities ${endpoint}`,
    () => sagemaker.send(new UpdateEndpointWeightsAndCapacitiesCommand(input)),
    async () => hasVariants(await requireEndpoint(sagemaker, endpoint), wanted),
  );
}

async function requireEndpoint(sagemaker: SageMakerClient, endpoint: string): Promise<EndpointState> {
  const found = await describe(sagemaker, endpoint);
  if (found === null) throw new GateInputError(`there is no endpoint ${endpoint}`);
  return stateOf(endpoint, found, 0);
}

/**
 * Makes a call that changes an endpoint. It may have come through and still fail: where an answer was lost, and it was
 * made again. What SageMaker then says is ValidationException, as of everything else, so the endpoint is looked at.
 */
async function unlessThere(
  what: string,
  change: () => Promise<unknown>,
  isThere: () => Promise<boolean>,
): Promise<void> {
  try {
    await change();
  } catch (error) {
    if ((error as Error).name === 'ValidationException') {
      if (await isThere()) return;
      if (isGone(error)) {
        throw new GateInputError(`${what}: ${clip(messageOf(error), REASON)}`, { cause: error });
      }
    }
    throw dependencyError(what, error);
  }
}

/** Whether an endpoint has a configuration, or is on its way to it. One that serves a mix has none. */
function hasConfig({ status, config, pending }: EndpointState, wanted: string): boolean {
  switch (status) {
    case 'Creating':
    case 'Updating':
    case 'SystemUpdating':
    case 'InService':
      return (pending ?? config) === wanted;
    case 'RollingBack':
      return config === wanted;
    default:
      return false;
  }
}

/** Whether variants are as they should be, or are on their way there. What a deployment makes of them is its own. */
function hasVariants(
  { status, pending, variants }: EndpointState,
  wanted: readonly VariantChange[],
): boolean {
  if ((status !== 'InService' && status !== 'Updating') || pending !== null) return false;
  return wanted.every(({ variant, weight, instances }) => {
    const found = variants.find(({ name }) => name === variant);
    if (found === undefined) return false;
    const isWanted =
      (weight === undefined || isSameWeight(found.desiredWeight, weight)) &&
      (instances === undefined || found.desiredInstances === instances);
    const isSettled = found.weight === found.desiredWeight && found.instances === found.desiredInstances;
    return isWanted && (status === 'Updating' || isSettled);
  });
}

function refuseImpossible(
  { variants }: EndpointState,
  endpoint: string,
  wanted: readonly VariantChange[],
): void {
  const weights = new Map(variants.map(({ name, desiredWeight }) => [name, desiredWeight]));
  for (const { variant, weight, instances } of wanted) {
    if (!weights.has(variant)) {
      throw new GateInputError(
        `the endpoint ${endpoint} has no variant ${variant}, but ${listOf([...weights.keys()]) || 'none'}`,
      );
    }
    if (weight !== undefined && !(Number.isFinite(weight) && weight >= 0)) {
      throw new GateInputError(`the weight of variant ${variant}: expected 0 or more, got ${weight}`);
    }
    if (instances !== undefined && !(Number.isInteger(instances) && instances >= 0)) {
      throw new GateInputError(`the instances of variant ${variant}: expected 0 or more, got ${instances}`);
    }
    if (weight !== undefined) weights.set(variant, weight);
  }
  if ([...weights.values()].every((weight) => Math.fround(weight) === 0)) {
    throw new GateInputError(`all weights of the endpoint ${endpoint} would be 0: expected one above 0`);
  }
}
