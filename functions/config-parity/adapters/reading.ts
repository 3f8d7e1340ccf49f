import type { ApplicationAutoScalingClient } from '@aws-sdk/client-application-auto-scaling';
import type { CloudFormationClient } from '@aws-sdk/client-cloudformation';
import type { CloudWatchClient } from '@aws-sdk/client-cloudwatch';
import type { EventBridgeClient } from '@aws-sdk/client-eventbridge';
import type { GlueClient } from '@aws-sdk/client-glue';
import type { LambdaClient } from '@aws-sdk/client-lambda';
import type { ResourceGroupsTaggingAPIClient } from '@aws-sdk/client-resource-groups-tagging-api';
import type { S3Client } from '@aws-sdk/client-s3';
import type { SageMakerClient } from '@aws-sdk/client-sagemaker';
import type { SageMakerRuntimeClient } from '@aws-sdk/client-sagemaker-runtime';
import type { SchedulerClient } from '@aws-sdk/client-scheduler';
import type { SSMClient } from '@aws-sdk/client-ssm';
import type { STSClient } from '@aws-sdk/client-sts';
import { GateError } from '../../shared/errors.ts';
import type { Path } from '../path.ts';
import type { ParityConfig, ResourceKind, Side } from '../schema.ts';
import type { SnapshotSink, Unreadable } from '../snapshot.ts';

/*
 * What all that reads an environment has in common.
 */

/** The clients of one environment, in its region and with its role. */
export interface Clients {
  sts: STSClient;
  sagemaker: SageMakerClient;
  runtime: SageMakerRuntimeClient;
  scaling: ApplicationAutoScalingClient;
  cloudwatch: CloudWatchClient;
  lambda: LambdaClient;
  ssm: SSMClient;
  glue: GlueClient;
  events: EventBridgeClient;
  scheduler: SchedulerClient;
  cloudformation: CloudFormationClient;
  tagging: ResourceGroupsTaggingAPIClient;
  /** For what Tocsin was deployed with. */
  s3: S3Client;
}

/** Reading one environment. */
export interface Reading {
  side: Side;
  parity: ParityConfig;
  clients: Clients;
  sink: SnapshotSink;
}

/** Something to be read. */
export interface Found {
  kind: ResourceKind;
  /** What it is called in both environments; of what was found by tags or paths, its name in this one. */
  name: string;
  /** In this one. */
  physical: string;
}

/** Calls at a time of one part of an environment: the APIs that are asked allow few a second. */
export const CONCURRENCY = 8;

/** What came of a call: an answer, or that there is no such thing; undefined where neither could be found out. */
export type Attempt<T> = { answer: T } | { gone: true } | undefined;

/**
 * Makes a call. Where it fails, what it was to read is taken down as unreadable.
 *
 * @param isGone whether an error says that there is no such thing
 * @throws GateError where that is what the call throws
 */
export async function attempt<T>(
  { sink }: Pick<Reading, 'sink'>,
  of: Omit<Unreadable, 'why'>,
  call: () => Promise<T>,
  isGone: (error: unknown) => boolean = () => false,
): Promise<Attempt<T>> {
  try {
    return { answer: await call() };
  } catch (error) {
    if (isGone(error)) return { gone: true };
    // Nothing at all could be read: the role cannot be assumed, or there is too much.
    if (error instanceof GateError) throw error;
    const { name } = (error ?? {}) as Partial<Error>;
    sink.unreadable({ ...of, why: typeof name === 'string' ? name : 'Error' });
    return undefined;
  }
}

/**
 * Makes a call that several paths need; where it fails, all of them are taken down as unreadable.
 *
 * @throws GateError as {@link attempt} does
 */
export async function attemptFor<T>(
  reading: Pick<Reading, 'sink'>,
  { paths, ...of }: Omit<Unreadable, 'why' | 'path'> & { paths: readonly [Path, ...Path[]] },
  call: () => Promise<T>,
  isGone?: (error: unknown) => boolean,
): Promise<Attempt<T>> {
  const [first, ...others] = paths;
  const answer = call();
  const found = await attempt(reading, { ...of, path: first }, () => answer, isGone);
  for (const path of others) await attempt(reading, { ...of, path }, () => answer, isGone);
  return found;
}

/** Of what was there a moment ago. */
export const DELETED = 'deleted while it was read';
