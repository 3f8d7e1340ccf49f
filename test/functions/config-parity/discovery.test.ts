import { ListStackResourcesCommand, type StackResourceSummary } from '@aws-sdk/client-cloudformation';
import { GetResourcesCommand } from '@aws-sdk/client-resource-groups-tagging-api';
import { ListSchedulesCommand } from '@aws-sdk/client-scheduler';
import 'aws-sdk-client-mock-vitest/extend';
import { afterEach, describe, expect, test } from 'vitest';
import { discover } from '../../../functions/config-parity/adapters/discovery.ts';
import { READERS } from '../../../functions/config-parity/adapters/readers.ts';
import { RESOURCE_KINDS, type Side } from '../../../functions/config-parity/schema.ts';
import {
  DENIED,
  failure,
  type MockedReading,
  mockedReading,
  THROTTLED,
} from '../../support/parity-reading.ts';

let mocked: MockedReading;

afterEach(() => mocked.restore());

const given = (compare: object, side?: Side) => {
  mocked = mockedReading({ compare }, side);
};

const found = async () =>
  (await discover(mocked.reading)).map(({ kind, name, physical }) => `${kind} ${name}: ${physical}`);

const member = (
  ResourceType: string,
  LogicalResourceId: string,
  PhysicalResourceId: string | undefined,
  ResourceStatus = 'CREATE_COMPLETE',
) =>
  ({
    ResourceType,
    LogicalResourceId,
    PhysicalResourceId,
    ResourceStatus,
    LastUpdatedTimestamp: new Date(0),
  }) as StackResourceSummary;

const stack = (...resources: StackResourceSummary[]) =>
  mocked.mock('cloudformation').on(ListStackResourcesCommand).resolves({ StackResourceSummaries: resources });

const tagged = (...arns: string[]) =>
  mocked
    .mock('tagging')
    .on(GetResourcesCommand)
    .resolves({
      ResourceTagMappingList: arns.map((ResourceARN) => ({ ResourceARN })),
      PaginationToken: '',
    });

const arn = (service: string, resource: string) => `arn:aws:${service}:eu-west-1:111111111111:${resource}`;
const TAGS = [
  { staging: { app: 'flights', stage: 'staging' }, production: { app: 'flights', stage: 'prod' } },
];

describe('names', () => {
  const compare = {
    endpoints: ['flight-delay-{environment}', { name: 'other', staging: 'a', production: 'b' }],
    alarms: ['drift: {environment}-flights'],
    functions: ['score-{environment}'],
    parameters: ['/flight-delay/{environment}/', '/{environment}/threshold'],
    featureGroups: ['flights-{environment}'],
    tables: ['lake_{environment}.flights'],
    pipelines: ['train-{environment}'],
    rules: ['default/uploads-{environment}', 'lake-{environment}/uploads'],
    schedules: ['nightly-{environment}', 'default/hourly-{environment}', 'jobs/weekly-{environment}'],
    tocsin: ['Tocsin-{environment}'],
  };

  test('are found without a call, as each environment has them', async () => {
    given(compare);
    expect(await found()).toEqual([
      'endpoints flight-delay: flight-delay-staging',
      'endpoints other: a',
      'alarms drift: flights: drift: staging-flights',
      'functions score: score-staging',
      'parameters /flight-delay/: /flight-delay/staging/',
      'parameters /threshold: /staging/threshold/',
      'featureGroups flights: flights-staging',
      'tables lake.flights: lake_staging.flights',
      'pipelines train: train-staging',
      'rules default/uploads: uploads-staging',
      'rules lake/uploads: lake-staging/uploads',
      'schedules nightly: nightly-staging',
      'schedules default/hourly: hourly-staging',
      'schedules jobs/weekly: jobs/weekly-staging',
      'tocsin Tocsin: Tocsin-staging',
    ]);
    given(compare, 'production');
    expect(await found()).toContain('endpoints other: b');
    expect(mocked.part).toEqual({ resources: [], unreadable: [], unsettled: [], probes: [], notRead: [] });
  });

  test('of one thing in one environment, and of two in the other, are all there', async () => {
    given({
      alarms: [
        { name: 'one', staging: 'shared', production: 'one' },
        { name: 'two', staging: 'shared', production: 'two' },
      ],
    });
    expect(await found()).toEqual(['alarms one: shared', 'alarms two: shared']);
  });
});

describe('a stack', () => {
  test('has what is comparable in it, by logical id', async () => {
    given({ stacks: ['flights-{environment}'] });
    stack(
      member('AWS::SageMaker::Endpoint', 'Endpoint', arn('sagemaker', 'endpoint/flight-delay')),
      member('AWS::SageMaker::FeatureGroup', 'Group', 'flights'),
      member('AWS::SageMaker::Pipeline', 'Pipeline', 'train'),
      member('AWS::CloudWatch::Alarm', 'Drift', 'drift: a-b'),
      member('AWS::CloudWatch::CompositeAlarm', 'Unhealthy', 'unhealthy'),
      member('AWS::Lambda::Function', 'Score', 'flights-Score-8F2A'),
      member('AWS::SSM::Parameter', 'Threshold', '/flights/threshold'),
      member('AWS::Glue::Table', 'Table', 'lake|flights'),
      member('AWS::Glue::Table', 'Catalogued', '111111111111|lake|delays'),
      member('AWS::Events::Rule', 'Uploads', 'flights-Uploads-8F2A'),
      member('AWS::Events::Rule', 'Custom', 'lake|flights-Custom-8F2A'),
      member('AWS::Scheduler::Schedule', 'Nightly', 'nightly'),
      member('AWS::Scheduler::Schedule', 'Weekly', 'jobs|weekly'),
      member('AWS::Lambda::Function', 'Old', 'old', 'DELETE_COMPLETE'),
      member('AWS::Lambda::Function', 'Kept', 'kept', 'DELETE_SKIPPED'),
    );
    expect(await found()).toEqual([
      'endpoints flights/Endpoint: flight-delay',
      'featureGroups flights/Group: flights',
      'pipelines flights/Pipeline: train',
      'alarms flights/Drift: drift: a-b',
      'alarms flights/Unhealthy: unhealthy',
      'functions flights/Score: flights-Score-8F2A',
      'parameters flights/Threshold: /flights/threshold',
      'tables flights/Table: lake.flights',
      'tables flights/Catalogued: lake.delays',
      'rules flights/Uploads: flights-Uploads-8F2A',
      'rules flights/Custom: lake/flights-Custom-8F2A',
      'schedules flights/Nightly: */nightly',
      'schedules flights/Weekly: jobs/weekly',
    ]);
    expect(mocked.mock('cloudformation')).toHaveReceivedCommandOnce(ListStackResourcesCommand);
    expect(mocked.mock('cloudformation')).toHaveReceivedCommandWith(ListStackResourcesCommand, {
      StackName: 'flights-staging',
    });
    expect(mocked.part.notRead).toEqual([]);
  });

  test('says what is in it that is not compared, what is changing, and what was never made', async () => {
    given({ stacks: ['flights-{environment}'] });
    stack(
      member('AWS::IAM::Role', 'A', 'a'),
      member('AWS::IAM::Role', 'B', 'b', 'UPDATE_IN_PROGRESS'),
      member('AWS::S3::Bucket', 'C', 'c'),
      member('AWS::Glue::Table', 'Table', 'flights'),
      member('AWS::Lambda::Function', 'Changing', 'changing', 'UPDATE_IN_PROGRESS'),
      member('AWS::Lambda::Function', 'Failed', undefined, 'CREATE_FAILED'),
    );
    expect(await found()).toEqual(['functions flights/Changing: changing']);
    expect(mocked.part).toEqual({
      resources: [{ kind: 'functions', name: 'flights/Failed', physical: '', value: null }],
      unreadable: [
        {
          path: ['tables', 'flights/Table'],
          physical: 'flights',
          action: 'glue:GetTable',
          why: 'CloudFormation does not say in which database it is',
        },
      ],
      unsettled: [
        { path: ['functions', 'flights/Changing'], physical: 'changing', status: 'UPDATE_IN_PROGRESS' },
      ],
      probes: [],
      notRead: [
        {
          subject: '2 AWS::IAM::Role, 1 AWS::S3::Bucket of the stack flights-staging',
          why: 'not compared by themselves',
        },
      ],
    });
  });

  test('has tables that are read by the names that tocsin.yaml gives them', async () => {
    given({ stacks: ['flights-{environment}'], tables: ['lake_{environment}.flights'] });
    stack(
      member('AWS::Glue::Table', 'Table', 'flights'),
      member('AWS::Glue::Table', 'Other', 'delays'),
      member('AWS::Lambda::Function', 'Score', 'score'),
    );
    expect(await found()).toEqual([
      'tables lake.flights: lake_staging.flights',
      'functions flights/Score: score',
    ]);
    expect(mocked.part.unreadable.map(({ path }) => path)).toEqual([['tables', 'flights/Other']]);
  });

  test('may have stacks in it', async () => {
    given({ stacks: ['flights-{environment}'] });
    const nested = arn('cloudformation', 'stack/flights-staging-Nested-8F2A/4711');
    mocked
      .mock('cloudformation')
      .on(ListStackResourcesCommand, { StackName: 'flights-staging' })
      .resolves({ StackResourceSummaries: [member('AWS::CloudFormation::Stack', 'Nested', nested)] })
      .on(ListStackResourcesCommand, { StackName: nested })
      .resolves({ StackResourceSummaries: [member('AWS::Lambda::Function', 'Score', 'score')] });
    expect(await found()).toEqual(['functions flights/Nested/Score: score']);
  });

  test('of a hundred pages is read to the end', async () => {
    given({ stacks: ['flights-{environment}'] });
    mocked
      .mock('cloudformation')
      .on(ListStackResourcesCommand)
      .callsFake(({ NextToken = '0' }: { NextToken?: string }) => ({
        StackResourceSummaries: Array.from({ length: 50 }, (_, index) =>
          member('AWS::Lambda::Function', `F${NextToken}x${index}`, `f-${NextToken}-${index}`),
        ),
        ...(NextToken !== '99' && { NextToken: String(Number(NextToken) + 1) }),
      }));
    expect(new Set(await found()).size).toBe(5_000);
    expect(
      mocked.mock('cloudformation').commandCalls(ListStackResourcesCommand).at(-1)?.args[0].input,
    ).toEqual({ StackName: 'flights-staging', NextToken: '99' });
  });

  test.each([
    [
      'there is not',
      failure('ValidationError', 400, 'Stack with id x does not exist'),
      'there is no such stack',
    ],
    ['is denied', DENIED, 'AccessDeniedException'],
    ['is throttled to the end', THROTTLED, 'ThrottlingException'],
    ['is called what no stack is', failure('ValidationError', 400, 'bad name'), 'ValidationError'],
  ])('that %s leaves nothing known, and what is in others is found', async (_, error, why) => {
    given({ stacks: ['bad-{environment}', 'good-{environment}'] });
    mocked
      .mock('cloudformation')
      .on(ListStackResourcesCommand, { StackName: 'bad-staging' })
      .rejects(error)
      .on(ListStackResourcesCommand, { StackName: 'good-staging' })
      .resolves({ StackResourceSummaries: [member('AWS::Lambda::Function', 'Score', 'score')] });
    expect(await found()).toEqual(['functions good/Score: score']);
    expect(mocked.part.unreadable).toEqual([
      { path: [], physical: 'bad-staging', action: 'cloudformation:ListStackResources', why },
    ]);
  });
});

describe('tags', () => {
  test('are on what is comparable, by its own name', async () => {
    given({ tags: TAGS }, 'production');
    tagged(
      arn('cloudwatch', 'alarm:drift: of flights'),
      arn('events', 'rule/uploads'),
      arn('events', 'rule/default/hourly'),
      arn('events', 'rule/lake/uploads'),
      arn('glue', 'table/lake/flights'),
      arn('lambda', 'function:score'),
      arn('sagemaker', 'endpoint/flight-delay'),
      arn('sagemaker', 'feature-group/flights'),
      arn('sagemaker', 'pipeline/train'),
      arn('scheduler', 'schedule/jobs/nightly'),
      arn('ssm', 'parameter/flights/prod/threshold'),
      arn('ssm', 'parameter/alone'),
    );
    expect(await found()).toEqual([
      'alarms drift: of flights: drift: of flights',
      'rules uploads: uploads',
      'rules hourly: hourly',
      'rules lake/uploads: lake/uploads',
      'tables lake.flights: lake.flights',
      'functions score: score',
      'endpoints flight-delay: flight-delay',
      'featureGroups flights: flights',
      'pipelines train: train',
      'schedules jobs/nightly: jobs/nightly',
      'parameters /flights/prod/threshold: /flights/prod/threshold',
      'parameters alone: alone',
    ]);
    expect(mocked.mock('tagging')).toHaveReceivedCommandOnce(GetResourcesCommand);
    expect(mocked.mock('tagging')).toHaveReceivedCommandWith(GetResourcesCommand, {
      TagFilters: [
        { Key: 'app', Values: ['flights'] },
        { Key: 'stage', Values: ['prod'] },
      ],
      ResourceTypeFilters: [
        'cloudwatch:alarm',
        'events:rule',
        'glue:table',
        'lambda:function',
        'sagemaker:endpoint',
        'sagemaker:feature-group',
        'sagemaker:pipeline',
        'scheduler:schedule-group',
        'ssm:parameter',
      ],
      ResourcesPerPage: 100,
    });
    expect(mocked.part.notRead).toEqual([]);
  });

  test('of a group of schedules are those of its schedules', async () => {
    given({ tags: TAGS });
    tagged(arn('scheduler', 'schedule-group/jobs'), arn('scheduler', 'schedule-group/default'));
    mocked
      .mock('scheduler')
      .on(ListSchedulesCommand, { GroupName: 'jobs' })
      .resolvesOnce({ Schedules: [{ Name: 'nightly', GroupName: 'jobs' }], NextToken: 'second' })
      .resolves({ Schedules: [{ Name: 'weekly', GroupName: 'jobs' }] })
      .on(ListSchedulesCommand, { GroupName: 'default' })
      .rejects(DENIED);
    expect(await found()).toEqual([
      'schedules jobs/nightly: jobs/nightly',
      'schedules jobs/weekly: jobs/weekly',
    ]);
    expect(
      mocked
        .mock('scheduler')
        .commandCalls(ListSchedulesCommand)
        .map((one) => one.args[0].input),
    ).toEqual([
      { GroupName: 'jobs', MaxResults: 100 },
      { GroupName: 'jobs', MaxResults: 100, NextToken: 'second' },
      { GroupName: 'default', MaxResults: 100 },
    ]);
    expect(mocked.part.unreadable).toEqual([
      {
        path: ['schedules'],
        physical: 'default/*',
        action: 'scheduler:ListSchedules',
        why: 'AccessDeniedException',
      },
    ]);
  });

  test('on what is not compared by itself are told', async () => {
    given({ tags: TAGS });
    tagged(
      arn('sagemaker', 'pipeline/train/execution/8f2a'),
      arn('sagemaker', 'pipeline/train/execution/9b3c'),
      arn('lambda', 'function:score:live'),
    );
    expect(await found()).toEqual([]);
    expect(mocked.part.notRead).toEqual([
      {
        subject: '1 lambda:function, 2 sagemaker:pipeline of the tags app=flights, stage=staging',
        why: 'not compared by themselves',
      },
    ]);
  });

  test('come in pages, a hundred of them; an empty token is the end', async () => {
    given({ tags: TAGS });
    mocked
      .mock('tagging')
      .on(GetResourcesCommand)
      .callsFake(({ PaginationToken = '0' }: { PaginationToken?: string }) => ({
        ResourceTagMappingList: Array.from({ length: 50 }, (_, index) => ({
          ResourceARN: arn('lambda', `function:f-${PaginationToken}-${index}`),
        })),
        PaginationToken: PaginationToken === '99' ? '' : String(Number(PaginationToken) + 1),
      }));
    expect(new Set(await found()).size).toBe(5_000);
    expect(mocked.mock('tagging').commandCalls(GetResourcesCommand)).toHaveLength(100);
    expect(mocked.mock('tagging').commandCalls(GetResourcesCommand).at(-1)?.args[0].input).toMatchObject({
      PaginationToken: '99',
      ResourcesPerPage: 100,
    });
  });

  test('on more than is compared are refused', async () => {
    given({ tags: TAGS });
    let page = 0;
    const ResourceTagMappingList = Array.from({ length: 100 }, () => ({
      ResourceARN: arn('lambda', 'function:f'),
    }));
    mocked
      .mock('tagging')
      .on(GetResourcesCommand)
      .callsFake(() => ({ ResourceTagMappingList, PaginationToken: String(++page) }));
    await expect(discover(mocked.reading)).rejects.toThrow(
      'there are more than 10000 things with the tags app=flights, stage=staging',
    );
    expect(page).toBe(101);
  });

  test('that are denied leave nothing known', async () => {
    given({ tags: TAGS });
    mocked.mock('tagging').on(GetResourcesCommand).rejects(DENIED);
    expect(await found()).toEqual([]);
    expect(mocked.part.unreadable).toEqual([
      {
        path: [],
        physical: 'app=flights, stage=staging',
        action: 'tag:GetResources',
        why: 'AccessDeniedException',
      },
    ]);
  });
});

describe('what selects nothing', () => {
  const nothing = (path: string[], action: string, why: string) => [
    { path, physical: path[1] === 'flights' ? 'flights-staging' : path[1], action, why },
  ];

  test('by a stack is not known to be equal', async () => {
    given({ stacks: ['flights-{environment}'] });
    stack(member('AWS::SNS::Topic', 'Topic', 'topic'));
    expect(await found()).toEqual([]);
    expect(mocked.part.unreadable).toEqual(
      nothing(['stacks', 'flights'], 'cloudformation:ListStackResources', 'nothing in it is compared'),
    );
  });

  test('by tags is not known to be equal', async () => {
    given({ tags: TAGS });
    tagged(arn('lambda', 'function:score:live'));
    expect(await found()).toEqual([]);
    expect(mocked.part.unreadable).toEqual(
      nothing(
        ['tags', 'app=flights, stage=staging'],
        'tag:GetResources',
        'nothing that is compared has them',
      ),
    );
  });
});

test('what was found twice is there once: by its name, else by its stack', async () => {
  given(
    {
      endpoints: ['Flight-Delay-{environment}'],
      parameters: ['/flights/{environment}'],
      rules: [{ name: 'uploads', staging: 'default/uploads', production: 'uploads-prod' }],
      schedules: [{ name: 'nightly', staging: 'default/night', production: 'night' }],
      stacks: ['flights-{environment}'],
      tags: TAGS,
    },
    'staging',
  );
  stack(
    member('AWS::SageMaker::Endpoint', 'Endpoint', arn('sagemaker', 'endpoint/flight-delay-staging')),
    member('AWS::SSM::Parameter', 'Below', '/flights/staging/a/b'),
    member('AWS::SSM::Parameter', 'Itself', '/flights/staging'),
    member('AWS::SSM::Parameter', 'Beside', '/flights/staging-2'),
    member('AWS::Events::Rule', 'Uploads', 'uploads'),
    member('AWS::Scheduler::Schedule', 'Nightly', 'night'),
    member('AWS::Lambda::Function', 'Score', 'score'),
  );
  tagged(
    arn('lambda', 'function:score'),
    arn('lambda', 'function:other'),
    arn('ssm', 'parameter/flights/staging/c'),
    arn('sagemaker', 'endpoint/flight-delay-staging'),
  );
  expect(await found()).toEqual([
    'endpoints Flight-Delay: Flight-Delay-staging',
    'parameters /flights: /flights/staging/',
    'rules uploads: uploads',
    'schedules nightly: night',
    'parameters flights/Beside: /flights/staging-2',
    'functions flights/Score: score',
    'functions other: other',
  ]);
});

test('everything that can be found has a reader', () => {
  expect(Object.keys(READERS).toSorted()).toEqual(
    RESOURCE_KINDS.filter((kind) => kind !== 'models' && kind !== 'monitors').toSorted(),
  );
  expect(Object.values(READERS).every(({ batch }) => batch >= 1)).toBe(true);
});
