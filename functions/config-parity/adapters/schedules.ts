import {
  GetScheduleCommand,
  type GetScheduleCommandOutput,
  ListSchedulesCommand,
  type ListSchedulesCommandInput,
  type ScheduleSummary,
  type Target,
} from '@aws-sdk/client-scheduler';
import { mapLimit } from '../../shared/aws.ts';
import { jsonOf } from '../json-text.ts';
import { everyPage } from './pages.ts';
import { type Attempt, attempt, CONCURRENCY, type Found, type Reading } from './reading.ts';
import { isCalled, splitLast, without } from './things.ts';
import { type JsonObject, membersOf, setOf } from './values.ts';

/** In place of a group: whichever has it. CloudFormation says the name of a schedule alone. */
export const ANY_GROUP = '*';

const isGone = isCalled('ResourceNotFoundException');

/** Schedules of one call. */
const SCHEDULES = 100;

/** Left out: names, and times that AWS makes up. */
const OF_NO_MATTER = ['$metadata', 'Arn', 'GroupName', 'Name', 'CreationDate', 'LastModificationDate'];

/** Reads schedules of EventBridge Scheduler. */
export async function readSchedules(reading: Reading, found: readonly Found[]): Promise<void> {
  await mapLimit(found, CONCURRENCY, async (one) => {
    const read = await scheduleOf(reading, one);
    if (read === undefined) return;
    const [group, name] = splitLast(one.physical, '/');
    const value = 'gone' in read ? null : scheduleValue(read.answer);
    reading.sink.add({ ...one, ...(group === ANY_GROUP && { physical: name }), value });
  });
}

async function scheduleOf(reading: Reading, one: Found): Promise<Attempt<GetScheduleCommandOutput>> {
  const [group, Name] = splitLast(one.physical, '/');
  if (group !== ANY_GROUP)
    return get(reading, one, group === undefined ? { Name } : { Name, GroupName: group });
  // Nearly all are in the default group: who has no group need not list.
  const inDefault = await get(reading, one, { Name });
  if (inDefault === undefined || 'answer' in inDefault) return inDefault;
  const listed = await listSchedules(reading, one, { NamePrefix: Name });
  if (listed === undefined) return undefined;
  const [first, second] = listed.filter((summary) => summary.Name === Name);
  if (second !== undefined) {
    const { kind, name, physical } = one;
    const why = 'several groups have one of this name';
    reading.sink.unreadable({ path: [kind, name], physical, action: 'scheduler:ListSchedules', why });
    return undefined;
  }
  return first === undefined ? inDefault : get(reading, one, { Name, GroupName: first.GroupName });
}

function get(
  reading: Reading,
  { kind, name, physical }: Found,
  input: { Name: string; GroupName?: string | undefined },
): Promise<Attempt<GetScheduleCommandOutput>> {
  return attempt(
    reading,
    { path: [kind, name], physical, action: 'scheduler:GetSchedule' },
    () => reading.clients.scheduler.send(new GetScheduleCommand(input)),
    isGone,
  );
}

/**
 * Lists schedules of a group, or of all groups by the beginning of their names.
 *
 * @param of what the listing is for; without a name: of anything
 * @returns undefined where they cannot be listed, which is taken down
 */
export async function listSchedules(
  reading: Reading,
  { kind, name, physical }: Pick<Found, 'kind' | 'physical'> & { name?: string },
  input: Pick<ListSchedulesCommandInput, 'GroupName' | 'NamePrefix'>,
): Promise<ScheduleSummary[] | undefined> {
  const path = name === undefined ? [kind] : [kind, name];
  const listed = await attempt(reading, { path, physical, action: 'scheduler:ListSchedules' }, () =>
    everyPage('schedules', async (NextToken) => {
      const page = await reading.clients.scheduler.send(
        new ListSchedulesCommand({
          ...input,
          MaxResults: SCHEDULES,
          ...(NextToken !== undefined && { NextToken }),
        }),
      );
      return { items: page.Schedules, next: page.NextToken };
    }),
  );
  return listed !== undefined && 'answer' in listed ? listed.answer : undefined;
}

function scheduleValue({
  State,
  ScheduleExpression,
  ScheduleExpressionTimezone,
  FlexibleTimeWindow,
  StartDate,
  EndDate,
  ActionAfterCompletion,
  KmsKeyArn,
  Description,
  Target,
  ...rest
}: GetScheduleCommandOutput): JsonObject {
  return {
    ...setOf({
      state: State,
      schedule: ScheduleExpression,
      timezone: ScheduleExpressionTimezone,
      window: { mode: FlexibleTimeWindow?.Mode, maxMinutes: FlexibleTimeWindow?.MaximumWindowInMinutes },
      // Somebody chose these times.
      start: StartDate?.toISOString(),
      end: EndDate?.toISOString(),
      afterCompletion: ActionAfterCompletion,
      kmsKey: KmsKeyArn,
      description: Description || undefined,
      ...membersOf(without(rest, OF_NO_MATTER)),
    }),
    ...(Target !== undefined && { target: targetOf(Target) }),
  };
}

function targetOf({
  Arn,
  RoleArn,
  RetryPolicy,
  DeadLetterConfig,
  Input,
  EcsParameters,
  EventBridgeParameters,
  KinesisParameters,
  SageMakerPipelineParameters,
  SqsParameters,
  ...rest
}: Target): JsonObject {
  return {
    ...setOf({
      arn: Arn,
      role: RoleArn,
      retry: {
        attempts: RetryPolicy?.MaximumRetryAttempts,
        ageSeconds: RetryPolicy?.MaximumEventAgeInSeconds,
      },
      deadLetter: DeadLetterConfig?.Arn,
      ecs: membersOf(EcsParameters),
      eventBridge: membersOf(EventBridgeParameters),
      kinesis: membersOf(KinesisParameters),
      pipeline: membersOf(SageMakerPipelineParameters),
      sqs: membersOf(SqsParameters),
      ...membersOf(rest),
    }),
    ...(Input !== undefined && { input: jsonOf(Input) }),
  };
}
