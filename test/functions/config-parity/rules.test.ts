import {
  DescribeRuleCommand,
  ListTargetsByRuleCommand,
  type ListTargetsByRuleCommandInput,
  type Target,
} from '@aws-sdk/client-eventbridge';
import 'aws-sdk-client-mock-vitest/extend';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readRules } from '../../../functions/config-parity/adapters/rules.ts';
import { DENIED, failure, foundOf, type MockedReading, mockedReading } from '../../support/parity-reading.ts';

let mocked: MockedReading;

beforeEach(() => {
  mocked = mockedReading();
});

afterEach(() => mocked.restore());

const events = () => mocked.mock('events');
const GONE = failure('ResourceNotFoundException');
const read = (...names: string[]) => readRules(mocked.reading, foundOf('rules', names));
const value = () => mocked.part.resources[0]?.value;
const QUEUE = 'arn:aws:sqs:eu-west-1:111111111111:dead';

describe('a rule', () => {
  test('is when it fires, and its targets by their ids', async () => {
    const targets: Target[] = [
      {
        Id: 'Target0',
        Arn: 'arn:aws:lambda:eu-west-1:111111111111:function:score',
        RoleArn: 'arn:aws:iam::111111111111:role/invoke',
        InputTransformer: {
          InputPathsMap: { key: '$.detail.object.key' },
          InputTemplate: '{"key": <key>}',
        },
        RetryPolicy: { MaximumRetryAttempts: 4, MaximumEventAgeInSeconds: 3600 },
        DeadLetterConfig: { Arn: QUEUE },
      },
      {
        Id: 'Target1',
        Arn: 'arn:aws:sagemaker:eu-west-1:111111111111:pipeline/train',
        Input: '{"stage": "staging", "empty": [], "none": null}',
        SageMakerPipelineParameters: { PipelineParameterList: [{ Name: 'Trees', Value: '40' }] },
      },
      {
        Id: 'Target2',
        Arn: 'arn:aws:events:eu-west-1:111111111111:api-destination/hook',
        InputPath: '$.detail',
        HttpParameters: {
          PathParameterValues: ['a', 'b'],
          HeaderParameters: { 'X-Team': 'ml' },
          QueryStringParameters: { q: '1' },
        },
      },
      {
        Id: 'Target3',
        Arn: 'arn:aws:redshift:eu-west-1:111111111111:cluster:one',
        RedshiftDataParameters: { Database: 'lake', Sqls: ['DELETE', 'INSERT'] },
        EcsParameters: { TaskDefinitionArn: 'arn:aws:ecs:task', TaskCount: 2 },
        SqsParameters: { MessageGroupId: 'one' },
        KinesisParameters: { PartitionKeyPath: '$.id' },
        BatchParameters: { JobDefinition: 'train', JobName: 'train' },
        AppSyncParameters: { GraphQLOperation: 'mutation' },
        RunCommandParameters: { RunCommandTargets: [{ Key: 'tag:app', Values: ['score'] }] },
        ...{ NewParameters: { Switch: true } },
      },
    ];
    events()
      .on(DescribeRuleCommand)
      .resolves({
        Name: 'uploads',
        Arn: 'arn:aws:events:eu-west-1:111111111111:rule/lake/uploads',
        EventPattern: '{"source": ["aws.s3"], "detail": {"reason": [null, ""], "more": []}}',
        ScheduleExpression: 'rate(1 hour)',
        State: 'ENABLED',
        Description: 'of uploads',
        RoleArn: 'arn:aws:iam::111111111111:role/rule',
        ManagedBy: 'somebody.amazonaws.com',
        EventBusName: 'lake',
        CreatedBy: '111111111111',
      })
      .on(ListTargetsByRuleCommand)
      .resolves({ Targets: targets });
    await read('lake/uploads');
    expect(events()).toHaveReceivedCommandOnce(DescribeRuleCommand);
    expect(events()).toHaveReceivedCommandWith(DescribeRuleCommand, {
      Name: 'uploads',
      EventBusName: 'lake',
    });
    expect(events()).toHaveReceivedCommandWith(ListTargetsByRuleCommand, {
      Rule: 'uploads',
      EventBusName: 'lake',
      Limit: 100,
    });
    expect(value()).toEqual({
      state: 'ENABLED',
      pattern: { source: ['aws.s3'], detail: { reason: [null, ''], more: [] } },
      schedule: 'rate(1 hour)',
      bus: 'lake',
      role: 'arn:aws:iam::111111111111:role/rule',
      managedBy: 'somebody.amazonaws.com',
      description: 'of uploads',
      targets: [
        {
          name: 'Target0',
          arn: 'arn:aws:lambda:eu-west-1:111111111111:function:score',
          role: 'arn:aws:iam::111111111111:role/invoke',
          transformer: { paths: { key: '$.detail.object.key' }, template: '{"key": <key>}' },
          retry: { attempts: 4, ageSeconds: 3600 },
          deadLetter: QUEUE,
        },
        {
          name: 'Target1',
          arn: 'arn:aws:sagemaker:eu-west-1:111111111111:pipeline/train',
          input: { stage: 'staging', empty: [], none: null },
          pipeline: { pipelineParameterList: [{ name: 'Trees', value: '40' }] },
        },
        {
          name: 'Target2',
          arn: 'arn:aws:events:eu-west-1:111111111111:api-destination/hook',
          inputPath: '$.detail',
          http: { path: 'a/b', headers: { 'X-Team': 'ml' }, query: { q: '1' } },
        },
        {
          name: 'Target3',
          arn: 'arn:aws:redshift:eu-west-1:111111111111:cluster:one',
          redshift: { database: 'lake', sqls: '["DELETE","INSERT"]' },
          ecs: { taskDefinitionArn: 'arn:aws:ecs:task', taskCount: 2 },
          sqs: { messageGroupId: 'one' },
          kinesis: { partitionKeyPath: '$.id' },
          batch: { jobDefinition: 'train', jobName: 'train' },
          appSync: { graphQLOperation: 'mutation' },
          runCommand: { runCommandTargets: [{ key: 'tag:app', values: ['score'] }] },
          newParameters: { switch: true },
        },
      ],
    });
  });

  test('of no named bus is asked for without one; its targets come in pages', async () => {
    const inputs: ListTargetsByRuleCommandInput[] = [];
    events()
      .on(DescribeRuleCommand)
      .resolves({ State: 'DISABLED', EventBusName: 'default', Description: '' })
      .on(ListTargetsByRuleCommand)
      .callsFake((input: ListTargetsByRuleCommandInput) => {
        inputs.push(input);
        const page = Number(input.NextToken ?? 0);
        return {
          Targets: [{ Id: `target-${page}`, Arn: QUEUE }],
          ...(page < 99 && { NextToken: String(page + 1) }),
        };
      });
    await read('uploads');
    expect(events()).toHaveReceivedCommandWith(DescribeRuleCommand, { Name: 'uploads' });
    expect(inputs).toHaveLength(100);
    expect(inputs[0]).toEqual({ Rule: 'uploads', Limit: 100 });
    expect(inputs[99]).toEqual({ Rule: 'uploads', Limit: 100, NextToken: '99' });
    expect(value()).toEqual({
      state: 'DISABLED',
      bus: 'default',
      targets: Array.from({ length: 100 }, (_, page) => ({ name: `target-${page}`, arn: QUEUE })),
    });
  });

  test('that there is not is null; one that is denied is unreadable', async () => {
    events()
      .on(DescribeRuleCommand, { Name: 'gone' })
      .rejects(GONE)
      .on(DescribeRuleCommand, { Name: 'denied' })
      .rejects(DENIED);
    await read('gone', 'denied');
    expect(mocked.part.resources).toEqual([{ kind: 'rules', name: 'gone', physical: 'gone', value: null }]);
    expect(mocked.part.unreadable).toEqual([
      {
        path: ['rules', 'denied'],
        physical: 'denied',
        action: 'events:DescribeRule',
        why: 'AccessDeniedException',
      },
    ]);
  });

  test('whose targets are denied is read but for them', async () => {
    events()
      .on(DescribeRuleCommand)
      .resolves({ State: 'ENABLED' })
      .on(ListTargetsByRuleCommand)
      .rejects(DENIED);
    await read('uploads');
    expect(value()).toEqual({ state: 'ENABLED' });
    expect(mocked.part.unreadable).toEqual([
      {
        path: ['rules', 'uploads', 'targets'],
        physical: 'uploads',
        action: 'events:ListTargetsByRule',
        why: 'AccessDeniedException',
      },
    ]);
  });

  test('that goes away between two calls is unreadable', async () => {
    events()
      .on(DescribeRuleCommand)
      .resolves({ State: 'ENABLED' })
      .on(ListTargetsByRuleCommand)
      .rejects(GONE);
    await read('uploads');
    expect(mocked.part.resources).toEqual([]);
    expect(mocked.part.unreadable.map(({ path, why }) => [path, why])).toEqual([
      [['rules', 'uploads'], 'deleted while it was read'],
    ]);
  });
});
