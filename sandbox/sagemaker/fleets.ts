import { messageOf } from '../../functions/shared/errors.ts';
import { Capture, type DataCaptureConfig } from './capture.ts';
import type { EndpointConfig, ProductionVariant } from './endpoint-configs.ts';
import type { Hosted } from './hosted.ts';
import { HostingError } from './hosting.ts';
import { findModel, type Model } from './models.ts';
import { type Call, ServiceError, seconds } from './service.ts';

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

/** What variants are started for. */
export interface Launch {
  /** Name of the endpoint. */
  endpoint: string;
  config: EndpointConfig;
  dataCapture: DataCaptureConfig | undefined;
  /** How long it takes at least. */
  transitionMs: number;
}

/**
 * Starts all variants of a configuration, or none.
 *
 * @throws HostingError of the first that does not start; ServiceError where its model is gone
 */
export async function launch({ transitionMs, ...of }: Launch, call: Call): Promise<Variant[]> {
  const { ProductionVariants } = of.config.definition;
  const begun = Promise.allSettled(ProductionVariants.map((variant) => start(variant, of, call)));
  await call.wait(transitionMs);
  const settled = await begun;
  const started = settled.flatMap((it) => (it.status === 'fulfilled' ? [it.value] : []));
  const failure = settled.find((it) => it.status === 'rejected');
  if (failure === undefined) return started;
  await retire(started);
  throw failure.reason;
}

async function start(
  { VariantName, ModelName, InitialVariantWeight, InitialInstanceCount }: ProductionVariant,
  { endpoint, dataCapture }: Omit<Launch, 'transitionMs'>,
  call: Call,
): Promise<Variant> {
  const label = `endpoint ${endpoint}/${VariantName}`;
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
      ? new Capture(dataCapture, `${endpoint}/${VariantName}`, model.executionRoleArn, call)
      : undefined,
    weight: InitialVariantWeight,
    desiredWeight: InitialVariantWeight,
    instances: InitialInstanceCount,
    desiredInstances: InitialInstanceCount,
    open: new Set(),
  };
}

/** Ends variants that get no further requests, once they have answered those that they got. */
export async function retire(variants: readonly Variant[]): Promise<void> {
  await Promise.all(
    variants.map(async ({ open, hosted, capture }) => {
      await Promise.allSettled(open);
      await hosted.stop();
      await capture?.flush();
    }),
  );
}

/** Why variants did not start, as DescribeEndpoint says it. */
export function reasonOf(error: unknown, call: Call): string {
  if (error instanceof HostingError || error instanceof ServiceError) return error.message.slice(0, 1024);
  call.log(`endpoint: ${(error as Error).stack ?? messageOf(error)}`);
  return 'Unable to successfully deploy the endpoint: an internal error.';
}

export function describeVariant({ name, hosted, ...variant }: Variant): object {
  return {
    VariantName: name,
    DeployedImages: describeImages(hosted),
    CurrentWeight: variant.weight,
    DesiredWeight: variant.desiredWeight,
    CurrentInstanceCount: variant.instances,
    DesiredInstanceCount: variant.desiredInstances,
  };
}

export function describeImages({ specifiedImage, resolved, resolvedAt }: Hosted): object[] {
  return [
    {
      SpecifiedImage: specifiedImage,
      ResolvedImage: resolved.address,
      ResolutionTime: seconds(resolvedAt),
    },
  ];
}
