import { GetScheduleCommand, ListSchedulesCommand } from '@aws-sdk/client-scheduler';
import 'aws-sdk-client-mock-vitest/extend';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readSchedules } from '../../../functions/config-parity/adapters/schedules.ts';
import { DENIED, failure, foundOf, type MockedReading, mockedReading } from '../../support/parity-reading.ts';

let mocked: MockedReading;

beforeEach(() => {
  mocked = mockedReading();
});

afterEach(() => mocked.restore());

const scheduler = () => mocked.mock('scheduler');
const GONE = failure('ResourceNotFoundException', 404);
const read = (...names: string[]) => readSchedules(mocked.reading, foundOf('schedules', names));
const values = () => mocked.part.resources.map(({ name, value }) => [name, value]);

describe('a schedule', () => {
  test('is when it runs, and its target', async () => {
    scheduler()
      .on(GetScheduleCommand)
      .resolves({
        Arn: 'arn:aws:scheduler:eu-west-1:111111111111:schedule/jobs/nightly',
        GroupName: 'jobs',
        Name: 'nightly',
        ScheduleExpression: 'cron(0 3 * * ? *)',
        StartDate: new Date(0),
        EndDate: new Date(86_400_000),
        Description: 'every night',
        ScheduleExpressionTimezone: 'Europe/Berlin',
        State: 'ENABLED',
        CreationDate: new Date(0),
        LastModificationDate: new Date(0),
        KmsKeyArn: 'arn:aws:kms:eu-west-1:111111111111:key/1',
        FlexibleTimeWindow: { Mode: 'FLEXIBLE', MaximumWindowInMinutes: 15 },
        ActionAfterCompletion: 'NONE',
        Target: {
          Arn: 'arn:aws:lambda:eu-west-1:111111111111:function:score',
          RoleArn: 'arn:aws:iam::111111111111:role/invoke',
          Input: '{"full": true, "none": null}',
          RetryPolicy: { MaximumEventAgeInSeconds: 7200, MaximumRetryAttempts: 3 },
          DeadLetterConfig: { Arn: 'arn:aws:sqs:eu-west-1:111111111111:dead' },
          SageMakerPipelineParameters: { PipelineParameterList: [{ Name: 'Trees', Value: '40' }] },
          EventBridgeParameters: { DetailType: 'night', Source: 'clock' },
          KinesisParameters: { PartitionKey: 'one' },
          SqsParameters: { MessageGroupId: 'one' },
          EcsParameters: { TaskDefinitionArn: 'arn:aws:ecs:task' },
        },
      });
    await read('jobs/nightly');
    expect(scheduler()).toHaveReceivedCommandOnce(GetScheduleCommand);
    expect(scheduler()).toHaveReceivedCommandWith(GetScheduleCommand, { GroupName: 'jobs', Name: 'nightly' });
    expect(values()).toEqual([
      [
        'jobs/nightly',
        {
          state: 'ENABLED',
          schedule: 'cron(0 3 * * ? *)',
          timezone: 'Europe/Berlin',
          window: { mode: 'FLEXIBLE', maxMinutes: 15 },
          start: '1970-01-01T00:00:00.000Z',
          end: '1970-01-02T00:00:00.000Z',
          afterCompletion: 'NONE',
          kmsKey: 'arn:aws:kms:eu-west-1:111111111111:key/1',
          description: 'every night',
          target: {
            arn: 'arn:aws:lambda:eu-west-1:111111111111:function:score',
            role: 'arn:aws:iam::111111111111:role/invoke',
            input: { full: true, none: null },
            retry: { attempts: 3, ageSeconds: 7200 },
            deadLetter: 'arn:aws:sqs:eu-west-1:111111111111:dead',
            pipeline: { pipelineParameterList: [{ name: 'Trees', value: '40' }] },
            eventBridge: { detailType: 'night', source: 'clock' },
            kinesis: { partitionKey: 'one' },
            sqs: { messageGroupId: 'one' },
            ecs: { taskDefinitionArn: 'arn:aws:ecs:task' },
          },
        },
      ],
    ]);
  });

  test('without a group is in the default one; there may be none, or nobody may see it', async () => {
    scheduler()
      .on(GetScheduleCommand, { Name: 'nightly' })
      .resolves({ State: 'DISABLED' })
      .on(GetScheduleCommand, { Name: 'gone' })
      .rejects(GONE)
      .on(GetScheduleCommand, { Name: 'denied' })
      .rejects(DENIED);
    await read('nightly', 'gone', 'denied');
    expect(values()).toEqual([
      ['nightly', { state: 'DISABLED' }],
      ['gone', null],
    ]);
    expect(mocked.part.unreadable).toEqual([
      {
        path: ['schedules', 'denied'],
        physical: 'denied',
        action: 'scheduler:GetSchedule',
        why: 'AccessDeniedException',
      },
    ]);
    expect(scheduler()).not.toHaveReceivedCommand(ListSchedulesCommand);
  });
});

describe('a schedule of whatever group', () => {
  beforeEach(() => {
    scheduler().on(GetScheduleCommand).rejects(GONE);
  });

  const listed = (...groups: [string, string][]) =>
    scheduler()
      .on(ListSchedulesCommand)
      .resolvesOnce({ Schedules: [{ Name: 'nightly-2', GroupName: 'jobs' }], NextToken: 'second' })
      .resolves({ Schedules: groups.map(([GroupName, Name]) => ({ GroupName, Name })) });

  test('is looked for in the default one first', async () => {
    scheduler().on(GetScheduleCommand, { Name: 'nightly' }).resolves({ State: 'ENABLED' });
    await read('*/nightly');
    expect(mocked.part.resources).toEqual([
      { kind: 'schedules', name: '*/nightly', physical: 'nightly', value: { state: 'ENABLED' } },
    ]);
    expect(scheduler()).not.toHaveReceivedCommand(ListSchedulesCommand);
  });

  test('is found in the one that has it', async () => {
    listed(['jobs', 'nightly']);
    scheduler()
      .on(GetScheduleCommand, { GroupName: 'jobs', Name: 'nightly' })
      .resolves({ State: 'ENABLED', GroupName: 'jobs' });
    await read('*/nightly');
    expect(
      scheduler()
        .commandCalls(ListSchedulesCommand)
        .map((one) => one.args[0].input),
    ).toEqual([
      { NamePrefix: 'nightly', MaxResults: 100 },
      { NamePrefix: 'nightly', MaxResults: 100, NextToken: 'second' },
    ]);
    expect(values()).toEqual([['*/nightly', { state: 'ENABLED' }]]);
  });

  test('may be in none', async () => {
    listed();
    await read('*/nightly');
    expect(values()).toEqual([['*/nightly', null]]);
    expect(mocked.part.unreadable).toEqual([]);
  });

  test('is unreadable where several have one, or they cannot be listed', async () => {
    listed(['jobs', 'nightly'], ['more', 'nightly']);
    await read('*/nightly');
    scheduler().on(ListSchedulesCommand).rejects(DENIED);
    await read('*/other');
    expect(values()).toEqual([]);
    expect(mocked.part.unreadable).toEqual([
      {
        path: ['schedules', '*/nightly'],
        physical: '*/nightly',
        action: 'scheduler:ListSchedules',
        why: 'several groups have one of this name',
      },
      {
        path: ['schedules', '*/other'],
        physical: '*/other',
        action: 'scheduler:ListSchedules',
        why: 'AccessDeniedException',
      },
    ]);
  });
});
