import {
  DescribeScalableTargetsCommand,
  DescribeScalingPoliciesCommand,
  DescribeScheduledActionsCommand,
  type PredictiveScalingCustomizedMetricSpecification,
  type PredictiveScalingPolicyConfiguration,
  type ScalableTarget,
  type ScalingPolicy,
  type ScheduledAction,
  type StepScalingPolicyConfiguration,
  type TargetTrackingMetricDataQuery,
  type TargetTrackingScalingPolicyConfiguration,
} from '@aws-sdk/client-application-auto-scaling';
import { mapLimit } from '../../shared/aws.ts';
import { chunksOf } from '../../shared/chunks.ts';
import type { Path } from '../path.ts';
import { everyPage } from './pages.ts';
import { attemptFor, CONCURRENCY, type Reading } from './reading.ts';
import { type JsonObject, membersOf, setOf } from './values.ts';

/*
 * How variants of endpoints scale: Application Auto Scaling.
 */

/** What scales, or may. */
export interface ScalableVariant {
  endpoint: string;
  variant: string;
  /** Of the variant in the snapshot. */
  path: Path;
}

/** How a variant scales. */
export interface Scaling {
  /** Undefined: it does not, or nobody knows. */
  value: JsonObject | undefined;
  /** Whether its instances may change by themselves, so that their number says nothing. */
  moves: boolean;
}

/** Ids of one call. */
const MOST_IDS = 50;

const NAMESPACE = 'sagemaker';

/**
 * Reads how variants scale. What could not be read is taken down, with the number of instances, of which nobody knows then
 * whether it moves.
 *
 * @returns for each variant, in their order
 */
export async function readScaling(
  reading: Reading,
  variants: readonly ScalableVariant[],
): Promise<Map<ScalableVariant, Scaling>> {
  const found = await mapLimit(chunksOf(variants, MOST_IDS), CONCURRENCY, (some) => targetsOf(reading, some));
  const scaling = await mapLimit(found.flat(), CONCURRENCY, async ([variant, target]) => {
    const read = target === undefined ? UNKNOWN : await scalingOf(reading, variant, target);
    return [variant, read] as const;
  });
  return new Map(scaling);
}

const UNKNOWN: Scaling = { value: undefined, moves: true };

/** Registered targets by variant, null where there is none; undefined where that could not be read. */
async function targetsOf(
  reading: Reading,
  variants: readonly ScalableVariant[],
): Promise<[ScalableVariant, ScalableTarget | null | undefined][]> {
  const ids = variants.map(resourceId);
  const answer = everyPage('scalable targets', async (token) => {
    const { ScalableTargets, NextToken } = await reading.clients.scaling.send(
      new DescribeScalableTargetsCommand({
        ServiceNamespace: NAMESPACE,
        ResourceIds: ids,
        ...(token !== undefined && { NextToken: token }),
      }),
    );
    return { items: ScalableTargets, next: NextToken };
  });
  const targets: [ScalableVariant, ScalableTarget | null | undefined][] = [];
  for (const [index, variant] of variants.entries()) {
    const attempted = await attemptFor(
      reading,
      {
        paths: [[...variant.path, 'scaling'], instancesOf(variant)],
        physical: variant.endpoint,
        action: 'application-autoscaling:DescribeScalableTargets',
      },
      () => answer,
    );
    const found = attempted !== undefined && 'answer' in attempted ? attempted.answer : undefined;
    // A variant scales in one dimension: instances, or the provisioned concurrency of a serverless one.
    targets.push([variant, found && (found.find(({ ResourceId }) => ResourceId === ids[index]) ?? null)]);
  }
  return targets;
}

function resourceId({ endpoint, variant }: ScalableVariant): string {
  return `endpoint/${endpoint}/variant/${variant}`;
}

function instancesOf({ path }: ScalableVariant): Path {
  return [...path, 'instances'];
}

async function scalingOf(
  reading: Reading,
  variant: ScalableVariant,
  target: ScalableTarget | null,
): Promise<Scaling> {
  if (target === null) return { value: undefined, moves: false };
  const policies = await policiesOf(reading, variant);
  const scheduled = await scheduledOf(reading, variant);
  // When it was made, and which capacity is predicted now, are not configuration; its ARN is made up.
  const {
    ServiceNamespace,
    ResourceId,
    ScalableTargetARN,
    PredictedCapacity,
    CreationTime,
    ScalableDimension,
    MinCapacity,
    MaxCapacity,
    RoleARN,
    SuspendedState,
    ...more
  } = target;
  const value = setOf({
    ...membersOf(more),
    dimension: ScalableDimension,
    min: MinCapacity,
    max: MaxCapacity,
    role: RoleARN,
    suspended: {
      scaleIn: SuspendedState?.DynamicScalingInSuspended ?? false,
      scaleOut: SuspendedState?.DynamicScalingOutSuspended ?? false,
      scheduled: SuspendedState?.ScheduledScalingSuspended ?? false,
    },
    policies: policies?.map(policyOf),
    scheduled: scheduled?.map(scheduledActionOf),
  });
  return { value, moves: [policies, scheduled].some((some) => some === undefined || some.length > 0) };
}

/** Undefined where they could not be read. */
async function policiesOf(reading: Reading, variant: ScalableVariant): Promise<ScalingPolicy[] | undefined> {
  return listOf(reading, variant, 'policies', 'DescribeScalingPolicies', async (of) => {
    const { ScalingPolicies, NextToken } = await reading.clients.scaling.send(
      new DescribeScalingPoliciesCommand(of),
    );
    return { items: ScalingPolicies, next: NextToken };
  });
}

/** Undefined where they could not be read. */
async function scheduledOf(
  reading: Reading,
  variant: ScalableVariant,
): Promise<ScheduledAction[] | undefined> {
  return listOf(reading, variant, 'scheduled', 'DescribeScheduledActions', async (of) => {
    const { ScheduledActions, NextToken } = await reading.clients.scaling.send(
      new DescribeScheduledActionsCommand(of),
    );
    return { items: ScheduledActions, next: NextToken };
  });
}

async function listOf<T>(
  reading: Reading,
  variant: ScalableVariant,
  member: string,
  action: string,
  page: (of: {
    ServiceNamespace: typeof NAMESPACE;
    ResourceId: string;
    NextToken?: string;
  }) => Promise<{ items: T[] | undefined; next: string | undefined }>,
): Promise<T[] | undefined> {
  const ResourceId = resourceId(variant);
  const attempted = await attemptFor(
    reading,
    {
      paths: [[...variant.path, 'scaling', member], instancesOf(variant)],
      physical: variant.endpoint,
      action: `application-autoscaling:${action}`,
    },
    () =>
      everyPage(`${member} of ${ResourceId}`, (token) =>
        page({
          ServiceNamespace: NAMESPACE,
          ResourceId,
          ...(token !== undefined && { NextToken: token }),
        }),
      ),
  );
  return attempted !== undefined && 'answer' in attempted ? attempted.answer : undefined;
}

function policyOf({
  PolicyARN,
  ServiceNamespace,
  ResourceId,
  ScalableDimension,
  CreationTime,
  PolicyName,
  PolicyType,
  Alarms = [],
  StepScalingPolicyConfiguration: step,
  TargetTrackingScalingPolicyConfiguration: tracking,
  PredictiveScalingPolicyConfiguration: predictive,
  ...more
}: ScalingPolicy): JsonObject {
  return setOf({
    ...membersOf(more),
    name: PolicyName,
    type: PolicyType,
    // Those of target tracking are made by AWS, with the id of a policy in their names.
    alarms: step && Alarms.map(({ AlarmName }) => AlarmName),
    ...(step && stepOf(step)),
    ...(tracking && trackingOf(tracking)),
    ...(predictive && predictiveOf(predictive)),
  });
}

function stepOf({
  AdjustmentType,
  StepAdjustments = [],
  MinAdjustmentMagnitude,
  Cooldown,
  MetricAggregationType,
  ...more
}: StepScalingPolicyConfiguration): JsonObject {
  return setOf({
    ...membersOf(more),
    adjustment: AdjustmentType,
    // A bound that is absent is infinite: `0:10`, `10:`.
    steps: StepAdjustments.map(
      ({ MetricIntervalLowerBound = '', MetricIntervalUpperBound = '', ScalingAdjustment }) => ({
        name: `${MetricIntervalLowerBound}:${MetricIntervalUpperBound}`,
        change: ScalingAdjustment,
      }),
    ),
    leastChange: MinAdjustmentMagnitude,
    cooldownSeconds: Cooldown,
    aggregation: MetricAggregationType,
  });
}

function trackingOf({
  TargetValue,
  PredefinedMetricSpecification: predefined,
  CustomizedMetricSpecification: customized,
  ScaleOutCooldown,
  ScaleInCooldown,
  DisableScaleIn,
  ...more
}: TargetTrackingScalingPolicyConfiguration): JsonObject {
  const { Metrics, ...metric } = customized ?? {};
  return setOf({
    ...membersOf(more),
    target: TargetValue,
    predefinedMetric: predefined?.PredefinedMetricType,
    predefinedMetricLabel: predefined?.ResourceLabel,
    metric: { ...membersOf(metric), metrics: queriesOf(Metrics) },
    scaleOutCooldownSeconds: ScaleOutCooldown,
    scaleInCooldownSeconds: ScaleInCooldown,
    scaleInDisabled: DisableScaleIn ?? false,
  });
}

function predictiveOf({
  MetricSpecifications = [],
  Mode,
  SchedulingBufferTime,
  MaxCapacityBreachBehavior,
  MaxCapacityBuffer,
  ...more
}: PredictiveScalingPolicyConfiguration): JsonObject {
  const queries = (metric: PredictiveScalingCustomizedMetricSpecification | undefined) =>
    queriesOf(metric?.MetricDataQueries);
  return setOf({
    ...membersOf(more),
    mode: Mode,
    bufferSeconds: SchedulingBufferTime,
    maxBreach: MaxCapacityBreachBehavior,
    maxBufferPercent: MaxCapacityBuffer,
    metrics: MetricSpecifications.map(
      ({
        CustomizedScalingMetricSpecification: scaling,
        CustomizedLoadMetricSpecification: load,
        CustomizedCapacityMetricSpecification: capacity,
        ...specification
      }) => ({
        ...membersOf(specification),
        scaling: queries(scaling),
        load: queries(load),
        capacity: queries(capacity),
      }),
    ),
  });
}

function queriesOf(queries: readonly TargetTrackingMetricDataQuery[] = []): JsonObject[] {
  return queries.map(({ Id, ...query }) => ({ ...membersOf(query), name: Id ?? '' }));
}

function scheduledActionOf({
  ScheduledActionARN,
  ServiceNamespace,
  ResourceId,
  ScalableDimension,
  CreationTime,
  ScheduledActionName,
  Schedule,
  Timezone,
  StartTime,
  EndTime,
  ScalableTargetAction: change,
  ...more
}: ScheduledAction): JsonObject {
  return setOf({
    ...membersOf(more),
    name: ScheduledActionName,
    schedule: Schedule,
    timezone: Timezone,
    start: StartTime?.toISOString(),
    end: EndTime?.toISOString(),
    min: change?.MinCapacity,
    max: change?.MaxCapacity,
  });
}
