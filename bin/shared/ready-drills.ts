import type { CloudWatchClient } from '@aws-sdk/client-cloudwatch';
import type { S3Client } from '@aws-sdk/client-s3';
import type { SageMakerClient } from '@aws-sdk/client-sagemaker';
import { readAlarm } from '../../functions/alarm-drill/adapters/alarms.ts';
import { alarmHash, type DrillInputs } from '../../functions/alarm-drill/identity.ts';
import type { LocatedDrill } from '../../functions/alarm-drill/schema.ts';
import { short } from '../../functions/board/standing.ts';
import { configHash, readEndpoint } from '../../functions/rollback-drill/adapters/endpoint.ts';
import type { RollbackInputs } from '../../functions/rollback-drill/identity.ts';
import type { LocatedRollbackDrill } from '../../functions/rollback-drill/schema.ts';
import { GateInputError } from '../../functions/shared/errors.ts';
import { readGolden } from '../../functions/shared/golden.ts';
import type { HistoryEntry } from '../../functions/shared/history.ts';
import { addressOf, type Seen } from './ready-seen.ts';

/*
 * Gaps 2 and 3 as they are now: the alarms that were drilled, and the endpoints.
 */

/** Compares an alarm with the one that was drilled. */
export async function lookAtAlarm(
  { value }: LocatedDrill,
  { inputs }: HistoryEntry,
  { cloudwatch }: { cloudwatch: CloudWatchClient },
  seen: Seen,
): Promise<void> {
  const { alarmSha256, alarmArn } = inputs as Partial<DrillInputs>;
  await seen.look(async () => {
    const alarm = await readAlarm(cloudwatch, value.alarm);
    if (alarm === null) {
      seen.compare(`the alarm ${value.alarm}`, short(alarmSha256), 'deleted');
      return;
    }
    seen.compare(`the ARN of the alarm ${value.alarm}`, alarmArn, alarm.arn);
    seen.compareHash(`the configuration of the alarm ${value.alarm}`, alarmSha256, alarmHash(alarm));
  });
}

/** What looking at an endpoint takes. */
export interface EndpointWorld {
  s3: S3Client;
  sagemaker: SageMakerClient;
  dataBucket: string | undefined;
  /** Milliseconds since 1970. */
  now: () => number;
}

/** Compares an endpoint, and the golden requests that it was asked, with those that were drilled. */
export async function lookAtEndpoint(
  { value }: LocatedRollbackDrill,
  { inputs }: HistoryEntry,
  { s3, sagemaker, dataBucket, now }: EndpointWorld,
  seen: Seen,
): Promise<void> {
  const { originalConfig, originalConfigSha256, goldenSha256 } = inputs as Partial<RollbackInputs>;
  const { endpoint, golden } = value;
  await seen.look(async () => {
    const state = await readEndpoint(sagemaker, endpoint, now);
    if (state === null) {
      seen.compare(`the endpoint ${endpoint}`, originalConfig, 'deleted');
      return;
    }
    const what = `the endpoint configuration of ${endpoint}`;
    seen.compare(what, originalConfig, state.config);
    if (state.pending !== null) seen.compare(what, originalConfig, `about to be ${state.pending}`);
    else if (state.status !== 'InService') {
      seen.unknown(`the endpoint ${endpoint} is ${state.status}, so what it will serve is not known`);
    }
    if (state.config !== originalConfig) return;
    const hash = await configHash(sagemaker, state.config);
    seen.compareHash(`what the endpoint configuration ${state.config} says`, originalConfigSha256, hash);
  });
  await seen.look(() => compareGolden(s3, addressOf(golden, dataBucket), goldenSha256, seen));
}

/** Compares golden requests with those that a verdict is bound to. */
export async function compareGolden(
  s3: S3Client,
  place: Parameters<typeof readGolden>[1],
  bound: string | undefined,
  seen: Seen,
): Promise<void> {
  const what = `what golden requests s3://${place.bucket}/${place.key} has`;
  try {
    const { sha256 } = await readGolden(s3, place);
    seen.compareHash(what, bound, sha256);
  } catch (error) {
    // Gone, or no golden requests any more.
    if (!(error instanceof GateInputError)) throw error;
    seen.compare(what, short(bound), error.message);
  }
}
