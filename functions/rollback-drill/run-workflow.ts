import type { CloudWatchClient } from '@aws-sdk/client-cloudwatch';
import type { LambdaClient } from '@aws-sdk/client-lambda';
import type { S3Client } from '@aws-sdk/client-s3';
import type { SageMakerClient } from '@aws-sdk/client-sagemaker';
import type { SageMakerRuntimeClient } from '@aws-sdk/client-sagemaker-runtime';
import type { SFNClient } from '@aws-sdk/client-sfn';
import type { SSMClient } from '@aws-sdk/client-ssm';
import { s3Uri } from '../shared/address.ts';
import { GateDependencyError, GateInputError } from '../shared/errors.ts';
import { readGolden } from '../shared/golden.ts';
import { remembered } from '../shared/lambda.ts';
import type { Outlets } from '../shared/outlets.ts';
import type { GoldenRequest } from '../shared/prediction.ts';
import type { RunReporting } from '../shared/run-handler.ts';
import type { WorkBucket } from '../shared/work.ts';
import type { Snapshot } from './endpoint.ts';
import type { Mark, Measurements } from './measurements.ts';
import type { LocatedRollbackDrill } from './schema.ts';

/*
 * What the parts of a drill have in common: what they work with, what they have found out, and the claim that they run
 * under.
 */

/** What a drill works with. */
export interface RollbackDrillDependencies extends Outlets, RunReporting {
  env: Outlets['env'] & { ROLLBACK_ARN: string; DATA_BUCKET?: string | undefined };
  work: WorkBucket;
  /** Has the golden requests. */
  s3: S3Client;
  sagemaker: SageMakerClient;
  /** Made with `TRAFFIC_OPTIONS` of adapters/requests.ts. */
  runtime: SageMakerRuntimeClient;
  cloudwatch: CloudWatchClient;
  /** Made with `PROCEDURE_OPTIONS` of adapters/procedure-lambda.ts. */
  lambda: LambdaClient;
  ssm: SSMClient;
  sfn: SFNClient;
  /** The clock, milliseconds since 1970, and how a step waits. */
  now: () => number;
  sleep: (ms: number) => Promise<unknown>;
}

/** A run of a drill that this execution has claimed. */
export interface Run {
  drill: LocatedRollbackDrill;
  /** Eight hexadecimal digits, of this run alone: in the names of all that it makes. */
  token: string;
  /** Id of the execution. */
  execution: string;
  report: (phase: string) => Promise<void>;
}

/**
 * What a run has found out so far: filled in between its steps, from their results, so that it is the same after a replay
 * and still there after an error.
 */
export interface Known {
  measured: Measurements;
  marks: Mark[];
  /** Slices of traffic so far. */
  slices: number;
  /** The golden requests, whole: of the bytes that the drill has begun with. */
  golden: () => Promise<GoldenRequest[]>;
}

/** What was found before anything was changed: nothing keeps the endpoint from being drilled. */
export interface Prepared extends Known {
  snapshot: Snapshot;
  /** Model by variant. */
  models: Record<string, string>;
  /** The alarm of `breakGuardrail`, and its state. */
  alarm: { name: string; state: 'OK' | 'INSUFFICIENT_DATA' } | null;
}

/** The drill cannot begin, or not go on, through no mistake of anybody's: its message is told as `notDrilled`. */
export class NotDrilled extends Error {}

/** Why a drill is broken off that would need a person to look. */
export const DELETED = 'the endpoint was deleted while it was drilled';

/**
 * How long a claim holds, unless it is claimed again, which every slice of traffic does: longer than one step may take.
 * Whoever has not claimed for as long is dead, and its endpoint is restored by others.
 */
export const CLAIM_MS = 15 * 60_000;

/**
 * After how long without a sign of life somebody who restores by hand takes a run for dead: it gives one every few seconds,
 * but for where the endpoint answers nothing. One that was not dead ends with its next sign of life.
 */
export const SILENCE_MS = 3 * 60_000;

/** Key of the claim of an endpoint, of which one drill goes on at a time. */
export function claimOf(endpoint: string): string {
  return `claims/rollback-${endpoint}.json`;
}

/**
 * Makes the claim of an endpoint hold for what comes next.
 *
 * @throws GateDependencyError where somebody else has it by now, who takes this run for dead
 */
export async function hold(
  endpoint: string,
  execution: string,
  { work }: Pick<RollbackDrillDependencies, 'work'>,
): Promise<void> {
  const owner = await work.claim(claimOf(endpoint), execution, CLAIM_MS);
  if (owner !== execution) {
    throw new GateDependencyError(
      `the execution ${owner} drills or restores the endpoint ${endpoint} by now`,
    );
  }
}

/** Marks the requests of a run in what the endpoint captures and logs. */
export function markOf(token: string): string {
  return `tocsin-drill-${token}`;
}

/** Tags of what a run makes. */
export function tagsOf({ drill, execution }: Pick<Run, 'drill' | 'execution'>): Record<string, string> {
  return { 'tocsin:made-by': `rollback drill ${drill.name}`, 'tocsin:run': execution };
}

/**
 * Golden requests, read once an invocation.
 *
 * @param sha256 of the bytes that the drill has begun with
 * @returns what throws GateInputError where they are others by now
 */
export function goldenOf(
  s3: S3Client,
  place: { bucket: string; key: string },
  sha256: string,
): () => Promise<GoldenRequest[]> {
  return remembered(async () => {
    const golden = await readGolden(s3, place);
    if (golden.sha256 !== sha256) {
      throw new GateInputError(`${s3Uri(place)} was replaced while the endpoint was drilled with it`);
    }
    return golden.requests;
  });
}
