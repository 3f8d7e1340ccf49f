import { DescribeRuleCommand, ListTargetsByRuleCommand, type Target } from '@aws-sdk/client-eventbridge';
import { jsonOf } from '../json-text.ts';
import { everyPage } from './pages.ts';
import { attempt, DELETED, type Found, type Reading } from './reading.ts';
import { isCalled, readEach, splitLast, without } from './things.ts';
import { type JsonObject, membersOf, setOf } from './values.ts';

const isGone = isCalled('ResourceNotFoundException');

/** Targets of one call. */
const TARGETS = 100;

/** Left out: names, and the account that made it. */
const OF_NO_MATTER = ['$metadata', 'Name', 'Arn', 'CreatedBy'];

/** Reads rules of EventBridge with their targets. */
export async function readRules(reading: Reading, found: readonly Found[]): Promise<void> {
  await readEach(reading, found, (one) => ruleOf(reading, one));
}

async function ruleOf(
  reading: Reading,
  { kind, name, physical }: Found,
): Promise<JsonObject | null | undefined> {
  const { events } = reading.clients;
  const [EventBusName, rule] = splitLast(physical, '/');
  const bus = EventBusName === undefined ? {} : { EventBusName };
  const path = [kind, name];
  const described = await attempt(
    reading,
    { path, physical, action: 'events:DescribeRule' },
    () => events.send(new DescribeRuleCommand({ Name: rule, ...bus })),
    isGone,
  );
  if (described === undefined) return undefined;
  if ('gone' in described) return null;
  const action = 'events:ListTargetsByRule';
  const targets = await attempt(
    reading,
    { path: [...path, 'targets'], physical, action },
    () =>
      everyPage(`targets of ${physical}`, async (NextToken) => {
        const page = await events.send(
          new ListTargetsByRuleCommand({
            Rule: rule,
            ...bus,
            Limit: TARGETS,
            ...(NextToken !== undefined && { NextToken }),
          }),
        );
        return { items: page.Targets, next: page.NextToken };
      }),
    isGone,
  );
  if (targets !== undefined && 'gone' in targets) {
    reading.sink.unreadable({ path, physical, action, why: DELETED });
    return undefined;
  }
  const {
    State,
    EventPattern,
    ScheduleExpression,
    EventBusName: on,
    RoleArn,
    Description,
  } = described.answer;
  const known = ['State', 'EventPattern', 'ScheduleExpression', 'EventBusName', 'RoleArn', 'Description'];
  return {
    ...setOf({
      state: State,
      schedule: ScheduleExpression,
      bus: on,
      role: RoleArn,
      description: Description || undefined,
      ...membersOf(without(described.answer, [...known, ...OF_NO_MATTER])),
    }),
    // Not pruned: nulls and empty lists of a pattern say something.
    ...(EventPattern !== undefined && { pattern: jsonOf(EventPattern) }),
    ...(targets !== undefined && targets.answer.length > 0 && { targets: targets.answer.map(targetOf) }),
  };
}

function targetOf({
  Id = '',
  Arn,
  RoleArn,
  Input,
  InputPath,
  InputTransformer,
  RetryPolicy,
  DeadLetterConfig,
  RunCommandParameters,
  EcsParameters,
  BatchParameters,
  KinesisParameters,
  SqsParameters,
  HttpParameters,
  RedshiftDataParameters,
  SageMakerPipelineParameters,
  AppSyncParameters,
  ...rest
}: Target): JsonObject {
  return {
    name: Id,
    ...setOf({
      arn: Arn,
      role: RoleArn,
      inputPath: InputPath,
      retry: {
        attempts: RetryPolicy?.MaximumRetryAttempts,
        ageSeconds: RetryPolicy?.MaximumEventAgeInSeconds,
      },
      deadLetter: DeadLetterConfig?.Arn,
      // Its order says something.
      http: HttpParameters && {
        path: HttpParameters.PathParameterValues?.join('/'),
        headers: HttpParameters.HeaderParameters,
        query: HttpParameters.QueryStringParameters,
      },
      // Theirs, too.
      redshift: RedshiftDataParameters && {
        ...membersOf(without(RedshiftDataParameters, ['Sqls'])),
        sqls: RedshiftDataParameters.Sqls && JSON.stringify(RedshiftDataParameters.Sqls),
      },
      runCommand: membersOf(RunCommandParameters),
      ecs: membersOf(EcsParameters),
      batch: membersOf(BatchParameters),
      kinesis: membersOf(KinesisParameters),
      sqs: membersOf(SqsParameters),
      pipeline: membersOf(SageMakerPipelineParameters),
      appSync: membersOf(AppSyncParameters),
      ...membersOf(rest),
    }),
    ...(Input !== undefined && { input: jsonOf(Input) }),
    ...(InputTransformer !== undefined && {
      transformer: {
        paths: InputTransformer.InputPathsMap ?? {},
        template: jsonOf(InputTransformer.InputTemplate ?? ''),
      },
    }),
  };
}
