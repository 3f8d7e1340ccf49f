import { ListEndpointConfigsCommand, SageMakerClient } from '@aws-sdk/client-sagemaker';
import {
  type ConfigDefinition,
  readConfig,
  readEndpoint,
} from '../../functions/rollback-drill/adapters/endpoint.ts';
import type { EndpointState } from '../../functions/rollback-drill/endpoint.ts';
import { CLIENT_OPTIONS, call, mapLimit } from '../../functions/shared/aws.ts';
import { GateInputError } from '../../functions/shared/errors.ts';
import { assertAwsAccess } from './aws.ts';

/*
 * Endpoints as people see them before they roll one back: read with their own permissions. Nothing here changes any.
 */

/** A variant of an endpoint configuration. */
export interface ConfiguredVariant {
  name: string;
  /** Null of one that has inference components instead, and where nobody knows. */
  model: string | null;
  weight: number;
  /** Null of a serverless variant. */
  instances: number | null;
}

/** An endpoint, and what its endpoint configuration says of models. */
export interface Serving {
  endpoint: string;
  state: EndpointState;
  /** By variant; null where there is no such endpoint configuration any more. */
  models: Record<string, string | null> | null;
}

/** An endpoint configuration that an endpoint could have again. */
export interface EarlierConfig {
  name: string;
  /** Milliseconds since 1970. */
  createdAt: number;
  variants: ConfiguredVariant[];
}

/** Endpoint configurations that are looked at, the newest of the region first, and those that are shown. */
export const MOST_LOOKED_AT = 100;
const MOST_SHOWN = 10;

/** Calls at a time: SageMaker takes few a second. */
const AT_A_TIME = 5;

/**
 * A client of SageMaker.
 *
 * @throws GateInputError where the caller has no AWS region or credentials
 */
export async function connectSagemaker(): Promise<SageMakerClient> {
  const sagemaker = new SageMakerClient(CLIENT_OPTIONS);
  await assertAwsAccess(sagemaker);
  return sagemaker;
}

/**
 * Reads what serves.
 *
 * @throws GateInputError where there is no such endpoint
 * @throws GateDependencyError where SageMaker does not answer, or refuses
 */
export async function readServing(sagemaker: SageMakerClient, endpoint: string): Promise<Serving> {
  const state = await readEndpoint(sagemaker, endpoint, Date.now);
  if (state === null) {
    const region = await sagemaker.config.region();
    throw new GateInputError(`there is no endpoint "${endpoint}" in ${region}`);
  }
  const variants = await readVariants(sagemaker, state.config);
  return {
    endpoint,
    state,
    models: variants && Object.fromEntries(variants.map(({ name, model }) => [name, model])),
  };
}

/**
 * Reads the variants of an endpoint configuration.
 *
 * @returns null where there is none of that name
 * @throws GateDependencyError where SageMaker does not answer, or refuses
 */
export async function readVariants(
  sagemaker: SageMakerClient,
  config: string,
): Promise<ConfiguredVariant[] | null> {
  const definition = await readConfig(sagemaker, config);
  return definition === null ? null : variantsOf(definition);
}

function variantsOf({ ProductionVariants = [] }: ConfigDefinition): ConfiguredVariant[] {
  return ProductionVariants.map((variant) => ({
    name: variant.VariantName ?? '',
    model: variant.ModelName ?? null,
    weight: variant.InitialVariantWeight ?? 1,
    instances: variant.InitialInstanceCount ?? null,
  })).sort((a, b) => (a.name < b.name ? -1 : 1));
}

/**
 * Finds endpoint configurations with the same variants as an endpoint has now, the newest first: at most ten of them,
 * among the newest {@link MOST_LOOKED_AT} of the region.
 *
 * @throws GateDependencyError where SageMaker does not answer, or refuses
 */
export async function earlierConfigs(
  sagemaker: SageMakerClient,
  { state }: Pick<Serving, 'state'>,
): Promise<EarlierConfig[]> {
  const wanted = state.variants.map(({ name }) => name).join();
  const found: EarlierConfig[] = [];
  let left = MOST_LOOKED_AT;
  let NextToken: string | undefined;
  do {
    const page = await call(
      'ListEndpointConfigs',
      sagemaker.send(
        new ListEndpointConfigsCommand({
          SortBy: 'CreationTime',
          SortOrder: 'Descending',
          MaxResults: left,
          ...(NextToken !== undefined && { NextToken }),
        }),
      ),
    );
    const listed = (page.EndpointConfigs ?? []).slice(0, left);
    const others = listed.filter(({ EndpointConfigName }) => EndpointConfigName !== state.config);
    const read = await mapLimit(
      others,
      AT_A_TIME,
      async ({ EndpointConfigName: name = '', CreationTime }) => ({
        name,
        createdAt: CreationTime?.getTime() ?? 0,
        variants: (await readVariants(sagemaker, name)) ?? [],
      }),
    );
    found.push(...read.filter(({ variants }) => variants.map(({ name }) => name).join() === wanted));
    left -= listed.length;
    ({ NextToken } = page);
  } while (NextToken !== undefined && left > 0 && found.length < MOST_SHOWN);
  return found.slice(0, MOST_SHOWN);
}
