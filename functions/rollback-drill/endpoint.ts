import * as z from 'zod';

/*
 * An endpoint of SageMaker, as far as drills and rollbacks look at it. Pure.
 */

export const ENDPOINT_STATUSES = [
  'OutOfService',
  'Creating',
  'Updating',
  'SystemUpdating',
  'RollingBack',
  'InService',
  'Deleting',
  'Failed',
  'UpdateRollbackFailed',
] as const;

export type EndpointStatus = (typeof ENDPOINT_STATUSES)[number];

/** A production variant, as DescribeEndpoint shows it. */
export interface VariantState {
  name: string;
  /** Part of the traffic: weight by the sum of all weights. */
  weight: number;
  desiredWeight: number;
  /** Null of a serverless variant. */
  instances: number | null;
  desiredInstances: number | null;
  /** Addresses of its images with their digests, sorted: what really runs. */
  images: string[];
}

/** An endpoint at one time. */
export interface EndpointState {
  /** When it was read, milliseconds since 1970. */
  at: number;
  status: EndpointStatus;
  /** Name of the endpoint configuration that it says it has. */
  config: string;
  /** In SageMaker's words; null where there is none, which is so of silent rollbacks, too. */
  failureReason: string | null;
  /** Endpoint configuration of a deployment that goes on; null where none does. */
  pending: string | null;
  /** In the order of their names. */
  variants: VariantState[];
}

/** A kept {@link EndpointState}. */
export const endpointStateSchema: z.ZodType<EndpointState> = z.object({
  at: z.number(),
  status: z.enum(ENDPOINT_STATUSES),
  config: z.string(),
  failureReason: z.string().nullable(),
  pending: z.string().nullable(),
  variants: z.array(
    z.object({
      name: z.string(),
      weight: z.number(),
      desiredWeight: z.number(),
      instances: z.number().nullable(),
      desiredInstances: z.number().nullable(),
      images: z.array(z.string()),
    }),
  ),
});

/** What an endpoint was found as, and is to be again. */
export interface Snapshot {
  endpoint: string;
  arn: string;
  state: EndpointState;
  /** SHA-256 of what its endpoint configuration says, without its name and times. */
  configSha256: string;
  /** Whether it has had a deployment configuration, which the next deployment may take over. */
  deployed: boolean;
  /** Alarms of the guardrail of its last deployment. */
  guardrail: string[];
}

/** Where an endpoint is to be brought; what is absent may be as it is. */
export interface Target {
  config?: string;
  /** By variant, at least one of them positive. */
  weights?: Record<string, number>;
  /** Instances by variant. */
  instances?: Record<string, number>;
}

/** What a variant is to get; what is absent stays as it is. */
export interface VariantChange {
  variant: string;
  weight?: number;
  instances?: number;
}

/** Shares of the traffic by variant, 0 to 1. Empty where nothing is served. */
export function sharesOf(variants: readonly Pick<VariantState, 'name' | 'weight'>[]): Record<string, number> {
  const sum = variants.reduce((total, { weight }) => total + weight, 0);
  if (sum <= 0) return {};
  return Object.fromEntries(variants.map(({ name, weight }) => [name, weight / sum]));
}

/** Whether two weights are the same: they are numbers of 32 bits in SageMaker. */
export function isSameWeight(a: number, b: number): boolean {
  return Math.fround(a) === Math.fround(b);
}

/** The target that a snapshot is. */
export function targetOf({ state }: Pick<Snapshot, 'state'>): Required<Target> {
  const instances = state.variants.flatMap(({ name, desiredInstances }) =>
    desiredInstances === null ? [] : [[name, desiredInstances] as const],
  );
  return {
    config: state.config,
    weights: Object.fromEntries(state.variants.map(({ name, desiredWeight }) => [name, desiredWeight])),
    instances: Object.fromEntries(instances),
  };
}
