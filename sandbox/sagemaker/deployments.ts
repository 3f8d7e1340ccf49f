import * as z from 'zod';
import { ACCOUNT, REGION } from '../emulator.ts';
import type { EndpointConfig } from './endpoint-configs.ts';
import { type Call, invalid, listOf, structure } from './service.ts';

/*
 * How the traffic of an endpoint gets from one fleet to another, and what turns it back: deployment guardrails.
 */

/** How often the alarms of a deployment are looked at while it bakes. */
const POLL_MS = 2_000;

const waitSeconds = z.int().min(0).max(3_600);
const timeoutSeconds = z.int().min(600).max(28_800);

const capacity = structure({ Type: z.enum(['INSTANCE_COUNT', 'CAPACITY_PERCENT']), Value: z.int().min(1) });

type Capacity = z.output<typeof capacity>;

/** DeploymentConfig of CreateEndpoint and UpdateEndpoint. */
export const deploymentConfig = structure({
  BlueGreenUpdatePolicy: structure({
    TrafficRoutingConfiguration: structure({
      Type: z.enum(['ALL_AT_ONCE', 'CANARY', 'LINEAR']),
      WaitIntervalInSeconds: waitSeconds,
      CanarySize: capacity.optional(),
      LinearStepSize: capacity.optional(),
    }),
    TerminationWaitInSeconds: waitSeconds.optional(),
    MaximumExecutionTimeoutInSeconds: timeoutSeconds.optional(),
  }).optional(),
  RollingUpdatePolicy: structure({
    MaximumBatchSize: capacity,
    WaitIntervalInSeconds: waitSeconds,
    MaximumExecutionTimeoutInSeconds: timeoutSeconds.optional(),
    RollbackMaximumBatchSize: capacity.optional(),
  }).optional(),
  AutoRollbackConfiguration: structure({
    Alarms: listOf(
      structure({
        AlarmName: z
          .string()
          .min(1)
          .max(255)
          .regex(/^(?!\s*$).+/),
      }),
      10,
      1,
    ).optional(),
  }).optional(),
});

export type DeploymentConfig = z.output<typeof deploymentConfig>;

/** How a fleet takes over. */
export interface Shift {
  /** Shares of the traffic that the new fleet has, one after the other: 0 to 1, the last is 1. */
  shares: number[];
  /** How long each share is watched before the next one, or before the old fleet ends. */
  bakeMs: number[];
  /** How long all of it may take. */
  timeoutMs: number;
  /** Alarms that turn it back. */
  alarms: string[];
}

/**
 * What a deployment configuration comes to for the variants of an endpoint configuration. Without one: all at once.
 *
 * @throws ServiceError ValidationException where the two do not go together
 */
export function shiftOf(
  deployment: DeploymentConfig | undefined,
  { definition: { ProductionVariants } }: EndpointConfig,
): Shift {
  const { BlueGreenUpdatePolicy: blueGreen, RollingUpdatePolicy: rolling } = deployment ?? {};
  const alarms = (deployment?.AutoRollbackConfiguration?.Alarms ?? []).map(({ AlarmName }) => AlarmName);
  if (blueGreen !== undefined && rolling !== undefined) {
    throw invalid('Only one of BlueGreenUpdatePolicy and RollingUpdatePolicy can be provided.');
  }
  const smallest = Math.min(...ProductionVariants.map(({ InitialInstanceCount }) => InitialInstanceCount));
  const part = (member: string, size: Capacity | undefined, least: number): number => {
    if (size === undefined) throw invalid(`${member} must be provided.`);
    const share = size.Type === 'INSTANCE_COUNT' ? size.Value / smallest : size.Value / 100;
    if (share >= least && share <= 0.5) return share;
    throw invalid(
      `${member} must be ${least === 0 ? 'at most' : `between ${least * 100}% and`} 50% of the instances of each variant.`,
    );
  };

  let shift: Pick<Shift, 'shares' | 'bakeMs'>;
  if (rolling !== undefined) {
    const { MaximumBatchSize, RollbackMaximumBatchSize, WaitIntervalInSeconds } = rolling;
    const shares = stepsOf(part('MaximumBatchSize', MaximumBatchSize, 0.05));
    if (RollbackMaximumBatchSize?.Type === 'CAPACITY_PERCENT' && RollbackMaximumBatchSize.Value > 100) {
      throw invalid('RollbackMaximumBatchSize must be at most 100% of the instances of each variant.');
    }
    shift = { shares, bakeMs: shares.map(() => WaitIntervalInSeconds * 1000) };
  } else {
    const { TrafficRoutingConfiguration: routing, TerminationWaitInSeconds = 0 } = blueGreen ?? {};
    const { Type = 'ALL_AT_ONCE', WaitIntervalInSeconds = 0, CanarySize, LinearStepSize } = routing ?? {};
    for (const [member, size, type] of [
      ['CanarySize', CanarySize, 'CANARY'],
      ['LinearStepSize', LinearStepSize, 'LINEAR'],
    ] as const) {
      if (size !== undefined && Type !== type) throw invalid(`${member} goes with the type ${type} only.`);
    }
    const shares =
      Type === 'CANARY'
        ? [part('CanarySize', CanarySize, 0), 1]
        : Type === 'LINEAR'
          ? stepsOf(part('LinearStepSize', LinearStepSize, 0.1))
          : [1];
    // The last step bakes like those before it; then the old fleet has its time to go.
    const last = shares.length - 1;
    const seconds = (step: number) => WaitIntervalInSeconds + (step === last ? TerminationWaitInSeconds : 0);
    shift = { shares, bakeMs: shares.map((_, step) => seconds(step) * 1000) };
  }
  const limit = (blueGreen ?? rolling)?.MaximumExecutionTimeoutInSeconds;
  const timeoutMs = limit === undefined ? Number.POSITIVE_INFINITY : limit * 1000;
  if (shift.bakeMs.reduce((sum, ms) => sum + ms, 0) >= timeoutMs) {
    throw invalid('MaximumExecutionTimeoutInSeconds must be larger than all waiting times together.');
  }
  return { ...shift, timeoutMs, alarms };
}

/** From the first step to 1. */
function stepsOf(step: number): number[] {
  const count = Math.ceil(1 / step - 1e-9);
  return Array.from({ length: count }, (_, index) => Math.min(1, (index + 1) * step));
}

/**
 * Checks that the alarms of a deployment exist, and that the caller may look at them.
 *
 * @throws ServiceError AccessDeniedException or ValidationException
 */
export async function checkAlarms(alarms: readonly string[], { account, caller }: Call): Promise<void> {
  if (alarms.length === 0) return;
  for (const name of alarms) {
    const arn = `arn:aws:cloudwatch:${REGION}:${ACCOUNT}:alarm:${name}`;
    await account.authorize(caller, 'cloudwatch:DescribeAlarms', arn);
  }
  const states = await account.alarmStates(alarms);
  const missing = alarms.filter((name) => !states.has(name));
  if (missing.length > 0) throw invalid(`Could not find the alarms ${missing.join(', ')}.`);
}

/** A deployment that has to be turned back. */
export class TurnBack extends Error {
  override readonly name = 'TurnBack';
}

/**
 * Lets the new fleet take over, step by step, and watches each step.
 *
 * @param take gives the new fleet its share
 * @param beganAt milliseconds since 1970
 * @throws TurnBack where an alarm fires, or is gone; or where it takes too long
 */
export async function shiftTraffic(
  { shares, bakeMs, timeoutMs, alarms }: Shift,
  { take, beganAt }: { take: (share: number) => void; beganAt: number },
  call: Call,
): Promise<void> {
  const check = async () => {
    if (call.now() - beganAt > timeoutMs) throw new TurnBack('The deployment took too long.');
    if (alarms.length === 0) return;
    const states = await call.account.alarmStates(alarms);
    const firing = alarms.filter((name) => (states.get(name) ?? 'ALARM') === 'ALARM');
    if (firing.length > 0) throw new TurnBack(`Alarms that turn the deployment back: ${firing.join(', ')}.`);
  };
  await check();
  for (const [step, share] of shares.entries()) {
    take(share);
    for (let left = bakeMs[step] ?? 0; left > 0; left -= POLL_MS) {
      await call.wait(Math.min(POLL_MS, left));
      await check();
    }
  }
}
