import type {
  DescribeScalableTargetsCommandInput,
  ScalableTarget,
  ScalingPolicy,
  ScheduledAction,
} from '@aws-sdk/client-application-auto-scaling';
import type { StackResourceSummary } from '@aws-sdk/client-cloudformation';
import type { CompositeAlarm, DescribeAlarmsCommandInput, MetricAlarm } from '@aws-sdk/client-cloudwatch';
import type { DescribeRuleResponse, Target } from '@aws-sdk/client-eventbridge';
import type { Table } from '@aws-sdk/client-glue';
import type { FunctionConfiguration } from '@aws-sdk/client-lambda';
import type { GetResourcesCommandInput } from '@aws-sdk/client-resource-groups-tagging-api';
import type {
  DescribeDataQualityJobDefinitionResponse,
  DescribeEndpointConfigOutput,
  DescribeEndpointOutput,
  DescribeFeatureGroupResponse,
  DescribeModelOutput,
  DescribeModelPackageOutput,
  DescribeModelQualityJobDefinitionResponse,
  DescribeMonitoringScheduleResponse,
  DescribePipelineResponse,
  ListMonitoringSchedulesRequest,
} from '@aws-sdk/client-sagemaker';
import type { GetScheduleOutput, ListSchedulesCommandInput } from '@aws-sdk/client-scheduler';
import type { GetParametersByPathCommandInput, Parameter } from '@aws-sdk/client-ssm';

/** All that an account has, in the shapes of AWS's answers; by name where nothing else is said. */
export interface EstateData {
  endpoints: Record<string, DescribeEndpointOutput>;
  endpointConfigs: Record<string, DescribeEndpointConfigOutput>;
  models: Record<string, DescribeModelOutput>;
  /** By ARN. */
  packages: Record<string, DescribeModelPackageOutput>;
  monitors: Record<string, DescribeMonitoringScheduleResponse>;
  dataQuality: Record<string, DescribeDataQualityJobDefinitionResponse>;
  modelQuality: Record<string, DescribeModelQualityJobDefinitionResponse>;
  scalableTargets: ScalableTarget[];
  scalingPolicies: ScalingPolicy[];
  scheduledActions: ScheduledAction[];
  alarms: Record<string, MetricAlarm>;
  compositeAlarms: Record<string, CompositeAlarm>;
  functions: Record<string, FunctionConfiguration>;
  /** Reserved concurrency of functions. */
  concurrency: Record<string, number>;
  parameters: Record<string, Parameter>;
  featureGroups: Record<string, DescribeFeatureGroupResponse>;
  /** By `database.table`. */
  tables: Record<string, Table>;
  pipelines: Record<string, DescribePipelineResponse>;
  /** By `bus/rule`. */
  rules: Record<string, DescribeRuleResponse>;
  targets: Record<string, Target[]>;
  /** By `group/schedule`. */
  schedules: Record<string, GetScheduleOutput>;
  stacks: Record<string, StackResourceSummary[]>;
  /** By ARN. */
  tags: Record<string, Record<string, string>>;
  /** By `bucket/key`. */
  objects: Record<string, string>;
  /** What endpoints answer, by body. */
  answers: Record<string, Record<string, string>>;
}

/** An account with nothing in it. */
export function emptyEstate(): EstateData {
  return {
    endpoints: {},
    endpointConfigs: {},
    models: {},
    packages: {},
    monitors: {},
    dataQuality: {},
    modelQuality: {},
    scalableTargets: [],
    scalingPolicies: [],
    scheduledActions: [],
    alarms: {},
    compositeAlarms: {},
    functions: {},
    concurrency: {},
    parameters: {},
    featureGroups: {},
    tables: {},
    pipelines: {},
    rules: {},
    targets: {},
    schedules: {},
    stacks: {},
    tags: {},
    objects: {},
    answers: {},
  };
}

/** An account as its services see it. */
export interface Account {
  readonly account: string;
  readonly region: string;
  /** Plain data: change it as you like. */
  data: EstateData;
  /** Most things of one page; a service's own limit, and what is asked for, hold as well. */
  pageSize: number;
  /** What was asked that the fake does not know, or that AWS would refuse: a test expects none. */
  readonly mistakes: string[];
  /** Whatever was listed in more than one page. */
  readonly listings: (readonly unknown[])[];
}

type Action = (estate: Account, input: never) => object;

/** What an error of AWS looks like to whoever has called. */
export function awsError(name: string, status: number, message = `the fake says ${name}`): Error {
  return Object.assign(new Error(message), {
    name,
    $fault: status < 500 ? 'client' : 'server',
    $metadata: { httpStatusCode: status },
  });
}

const invalid = (message: string) => awsError('ValidationException', 400, message);
const notFound = (name: string, status = 400) => awsError(name, status, 'it does not exist');

/** What is there of that name. */
function find<T>(things: Record<string, T>, name: string | undefined, error: () => Error): T {
  const found = name === undefined || !Object.hasOwn(things, name) ? undefined : things[name];
  if (found === undefined) throw error();
  return found;
}

/** SageMaker finds endpoints, pipelines and feature groups whatever the case of their names. */
function findCaseless<T>(things: Record<string, T>, name: string, error: () => Error): T {
  if (Object.hasOwn(things, name)) return find(things, name, error);
  const lower = name.toLowerCase();
  return find(
    things,
    Object.keys(things).find((one) => one.toLowerCase() === lower),
    error,
  );
}

/** Refuses what AWS refuses; a test sees it, too. */
function refuse(estate: Account, message: string): never {
  estate.mistakes.push(message);
  throw invalid(message);
}

/** One page of things, and the token of the next. A listing goes on as it began. */
function page<T>(
  estate: Account,
  list: () => readonly T[],
  token: string | undefined,
  { most, asked = most }: { most: number; asked?: number | undefined },
): { items: T[]; next: string | undefined } {
  const [, listing = '', from = '0'] = /^token-(\d+)-(\d+)$/.exec(token ?? '') ?? [];
  if (token !== undefined && listing === '') refuse(estate, `no token: ${token}`);
  if (asked > most) refuse(estate, `${asked} of a page that has at most ${most}`);
  const all = listing === '' ? list() : (estate.listings[Number(listing)] as readonly T[]);
  const to = Number(from) + Math.min(estate.pageSize, asked);
  const items = all.slice(Number(from), to);
  if (to >= all.length) return { items, next: undefined };
  const number = listing === '' ? estate.listings.push(all) - 1 : listing;
  return { items, next: `token-${number}-${to}` };
}

const nameOfArn = (arn = '') => arn.split(/[:/]/).at(-1) ?? '';

/** Scaling of what has one of these ids. */
function ofIds<T extends { ResourceId: string | undefined; ServiceNamespace: string | undefined }>(
  all: readonly T[],
  namespace: string | undefined,
  ids: readonly string[] | undefined,
): T[] {
  return all.filter(
    (one) => one.ServiceNamespace === namespace && (ids === undefined || ids.includes(one.ResourceId ?? '')),
  );
}

/** Scaling is asked for one thing at a time, but for targets. */
interface OfResource {
  ServiceNamespace: string;
  ResourceId?: string;
  NextToken?: string;
  MaxResults?: number;
}

const oneOf = ({ ResourceId }: OfResource) => (ResourceId === undefined ? undefined : [ResourceId]);

interface Named {
  Name: string;
}

/** What the account answers, by action. */
export const ACTIONS: Readonly<Record<string, Action>> = {
  'sts:GetCallerIdentity': ({ account }: Account) => ({
    Account: account,
    Arn: `arn:aws:sts::${account}:assumed-role/tocsin-parity/tocsin-parity`,
    UserId: 'AROAEXAMPLE:tocsin-parity',
  }),

  // SageMaker says ValidationException of endpoints and models, and ResourceNotFound of what is newer.
  'sagemaker:DescribeEndpoint': ({ data }, { EndpointName }: { EndpointName: string }) =>
    findCaseless(data.endpoints, EndpointName, () => invalid(`Could not find endpoint "${EndpointName}".`)),
  'sagemaker:DescribeEndpointConfig': ({ data }, { EndpointConfigName }: { EndpointConfigName: string }) =>
    find(data.endpointConfigs, EndpointConfigName, () =>
      invalid(`Could not find endpoint configuration "${EndpointConfigName}".`),
    ),
  'sagemaker:DescribeModel': ({ data }, { ModelName }: { ModelName: string }) =>
    find(data.models, ModelName, () => invalid(`Could not find model "${ModelName}".`)),
  'sagemaker:DescribeModelPackage': ({ data }, { ModelPackageName }: { ModelPackageName: string }) =>
    find(data.packages, ModelPackageName, () => invalid(`ModelPackage ${ModelPackageName} does not exist`)),
  'sagemaker:ListMonitoringSchedules': (estate, input: ListMonitoringSchedulesRequest) => {
    const all = () =>
      Object.values(estate.data.monitors)
        .filter(({ EndpointName }) => input.EndpointName === undefined || EndpointName === input.EndpointName)
        .map(({ MonitoringScheduleConfig, FailureReason: _, ...rest }) => ({
          ...rest,
          MonitoringJobDefinitionName: MonitoringScheduleConfig?.MonitoringJobDefinitionName,
        }));
    const { items, next } = page(estate, all, input.NextToken, {
      most: 100,
      asked: input.MaxResults ?? 10,
    });
    return { MonitoringScheduleSummaries: items, NextToken: next };
  },
  'sagemaker:DescribeMonitoringSchedule': (
    { data },
    { MonitoringScheduleName }: { MonitoringScheduleName: string },
  ) => find(data.monitors, MonitoringScheduleName, () => notFound('ResourceNotFound')),
  'sagemaker:DescribeDataQualityJobDefinition': (
    { data },
    { JobDefinitionName }: { JobDefinitionName: string },
  ) => find(data.dataQuality, JobDefinitionName, () => notFound('ResourceNotFound')),
  'sagemaker:DescribeModelQualityJobDefinition': (
    { data },
    { JobDefinitionName }: { JobDefinitionName: string },
  ) => find(data.modelQuality, JobDefinitionName, () => notFound('ResourceNotFound')),
  'sagemaker:DescribeFeatureGroup': (
    estate,
    { FeatureGroupName, NextToken }: { FeatureGroupName: string; NextToken?: string },
  ) => {
    const group = findCaseless(estate.data.featureGroups, nameOfArn(FeatureGroupName), () =>
      notFound('ResourceNotFound'),
    );
    const { items, next } = page(estate, () => group.FeatureDefinitions ?? [], NextToken, { most: 2500 });
    return { ...group, FeatureDefinitions: items, NextToken: next };
  },
  'sagemaker:DescribePipeline': ({ data }, { PipelineName }: { PipelineName: string }) =>
    findCaseless(data.pipelines, nameOfArn(PipelineName), () => notFound('ResourceNotFound')),
  'sagemaker:ListTags': (
    estate,
    { ResourceArn, NextToken, MaxResults }: { ResourceArn: string; NextToken?: string; MaxResults?: number },
  ) => {
    const all = () =>
      Object.entries(estate.data.tags[ResourceArn] ?? {}).map(([Key, Value]) => ({ Key, Value }));
    const { items, next } = page(estate, all, NextToken, { most: 100, asked: MaxResults ?? 50 });
    return { Tags: items, NextToken: next };
  },

  'runtime:InvokeEndpoint': (
    { data },
    { EndpointName, Body }: { EndpointName: string; Body: string | Uint8Array },
  ) => {
    const answers = find(data.answers, EndpointName, () =>
      invalid(`Endpoint ${EndpointName} of account not found.`),
    );
    const body = typeof Body === 'string' ? Body : new TextDecoder().decode(Body);
    const answer = find(answers, body, () =>
      Object.assign(awsError('ModelError', 424, 'the model failed'), { OriginalStatusCode: 500 }),
    );
    return { Body: new TextEncoder().encode(answer), InvokedProductionVariant: 'AllTraffic' };
  },

  'application-autoscaling:DescribeScalableTargets': (estate, input: DescribeScalableTargetsCommandInput) => {
    if ((input.ResourceIds?.length ?? 0) > 50) refuse(estate, 'at most 50 resource ids');
    const all = () => ofIds(estate.data.scalableTargets, input.ServiceNamespace, input.ResourceIds);
    const { items, next } = page(estate, all, input.NextToken, { most: 50, asked: input.MaxResults });
    return { ScalableTargets: items, NextToken: next };
  },
  'application-autoscaling:DescribeScalingPolicies': (estate, input: OfResource) => {
    const all = () => ofIds(estate.data.scalingPolicies, input.ServiceNamespace, oneOf(input));
    const { items, next } = page(estate, all, input.NextToken, { most: 10, asked: input.MaxResults });
    return { ScalingPolicies: items, NextToken: next };
  },
  'application-autoscaling:DescribeScheduledActions': (estate, input: OfResource) => {
    const all = () => ofIds(estate.data.scheduledActions, input.ServiceNamespace, oneOf(input));
    const { items, next } = page(estate, all, input.NextToken, { most: 50, asked: input.MaxResults });
    return { ScheduledActions: items, NextToken: next };
  },

  'cloudwatch:DescribeAlarms': (estate, input: DescribeAlarmsCommandInput) => {
    const { AlarmNames, AlarmTypes = ['MetricAlarm'], NextToken, MaxRecords } = input;
    if ((AlarmNames?.length ?? 0) > 100) refuse(estate, 'at most 100 names of alarms');
    const { alarms, compositeAlarms } = estate.data;
    const names = AlarmNames && new Set(AlarmNames);
    const all = () =>
      [
        ...(AlarmTypes.includes('MetricAlarm') ? Object.values(alarms) : []),
        ...(AlarmTypes.includes('CompositeAlarm') ? Object.values(compositeAlarms) : []),
      ].filter(({ AlarmName = '' }) => names?.has(AlarmName) ?? true);
    const { items, next } = page(estate, all, NextToken, { most: 100, asked: MaxRecords ?? 50 });
    return {
      MetricAlarms: items.filter((alarm) => !('AlarmRule' in alarm)),
      CompositeAlarms: items.filter((alarm) => 'AlarmRule' in alarm),
      NextToken: next,
    };
  },

  'lambda:GetFunctionConfiguration': ({ data }, { FunctionName }: { FunctionName: string }) =>
    functionOf(data, FunctionName),
  'lambda:GetFunction': ({ data, region }, { FunctionName }: { FunctionName: string }) => {
    const Configuration = functionOf(data, FunctionName);
    const { FunctionName: name = '', FunctionArn = '' } = Configuration;
    const reserved = data.concurrency[name];
    return {
      Configuration,
      // Signed, and so another at each call.
      Code: {
        RepositoryType: 'S3',
        Location: `https://awslambda-${region}-tasks.s3.${region}.amazonaws.com/snapshots/${name}?X-Amz-Security-Token=IQoJb3JpZ2luX2VjE`,
      },
      Tags: data.tags[FunctionArn] ?? {},
      ...(reserved !== undefined && { Concurrency: { ReservedConcurrentExecutions: reserved } }),
    };
  },
  'lambda:GetFunctionConcurrency': ({ data }, { FunctionName }: { FunctionName: string }) => {
    const { FunctionName: name = '' } = functionOf(data, FunctionName);
    return { ReservedConcurrentExecutions: data.concurrency[name] };
  },

  'ssm:GetParametersByPath': (estate, input: GetParametersByPathCommandInput) => {
    const { Path = '', Recursive = false, NextToken, MaxResults } = input;
    const below = Path.endsWith('/') ? Path : `${Path}/`;
    const all = () =>
      Object.values(estate.data.parameters).filter(
        ({ Name = '' }) => Name.startsWith(below) && (Recursive || !Name.slice(below.length).includes('/')),
      );
    const { items, next } = page(estate, all, NextToken, { most: 10, asked: MaxResults });
    return { Parameters: items.map((one) => decrypted(one, input.WithDecryption)), NextToken: next };
  },
  'ssm:GetParameters': (estate, { Names, WithDecryption }: { Names: string[]; WithDecryption?: boolean }) => {
    if (Names.length > 10) refuse(estate, 'at most 10 names of parameters');
    const { parameters } = estate.data;
    return {
      Parameters: Names.flatMap((name) => parameters[name] ?? []).map((one) =>
        decrypted(one, WithDecryption),
      ),
      InvalidParameters: Names.filter((name) => parameters[name] === undefined),
    };
  },
  'ssm:GetParameter': ({ data }, { Name, WithDecryption }: Named & { WithDecryption?: boolean }) => ({
    Parameter: decrypted(
      find(data.parameters, Name, () => notFound('ParameterNotFound')),
      WithDecryption,
    ),
  }),

  'glue:GetTable': ({ data }, { DatabaseName, Name }: Named & { DatabaseName: string }) => ({
    Table: find(data.tables, `${DatabaseName}.${Name}`, () => notFound('EntityNotFoundException')),
  }),

  'events:DescribeRule': ({ data }, { Name, EventBusName = 'default' }: Named & { EventBusName?: string }) =>
    find(data.rules, `${nameOfArn(EventBusName)}/${Name}`, () => notFound('ResourceNotFoundException')),
  'events:ListTargetsByRule': (
    estate,
    {
      Rule,
      EventBusName = 'default',
      NextToken,
      Limit,
    }: { Rule: string; EventBusName?: string; NextToken?: string; Limit?: number },
  ) => {
    const key = `${nameOfArn(EventBusName)}/${Rule}`;
    find(estate.data.rules, key, () => notFound('ResourceNotFoundException'));
    const { items, next } = page(estate, () => estate.data.targets[key] ?? [], NextToken, {
      most: 100,
      asked: Limit,
    });
    return { Targets: items, NextToken: next };
  },

  'scheduler:GetSchedule': ({ data }, { Name, GroupName = 'default' }: Named & { GroupName?: string }) =>
    find(data.schedules, `${GroupName}/${Name}`, () => notFound('ResourceNotFoundException', 404)),

  'scheduler:ListSchedules': (estate, input: ListSchedulesCommandInput) => {
    const { GroupName, NamePrefix = '', NextToken, MaxResults } = input;
    const all = () =>
      Object.values(estate.data.schedules)
        .filter((one) => [undefined, one.GroupName].includes(GroupName) && one.Name?.startsWith(NamePrefix))
        .map(({ Arn, Name, GroupName, State }) => ({ Arn, Name, GroupName, State }));
    const { items, next } = page(estate, all, NextToken, { most: 100, asked: MaxResults });
    return { Schedules: items, NextToken: next };
  },

  'cloudformation:ListStackResources': (
    estate,
    { StackName, NextToken }: { StackName: string; NextToken?: string },
  ) => {
    const all = () => find(estate.data.stacks, StackName, () => stackGone(StackName));
    const { items, next } = page(estate, all, NextToken, { most: 100 });
    return { StackResourceSummaries: items, NextToken: next };
  },
  'cloudformation:DescribeStacks': (estate, { StackName }: { StackName: string }) => {
    find(estate.data.stacks, StackName, () => stackGone(StackName));
    return { Stacks: [{ StackName, StackStatus: 'UPDATE_COMPLETE', CreationTime: new Date(0) }] };
  },

  'tag:GetResources': (estate, input: GetResourcesCommandInput) => {
    const { TagFilters = [], ResourceTypeFilters, PaginationToken = '', ResourcesPerPage } = input;
    const all = () =>
      Object.entries(estate.data.tags)
        .filter(
          ([arn, tags]) =>
            TagFilters.every(
              ({ Key = '', Values = [] }) =>
                Object.hasOwn(tags, Key) && (Values.length === 0 || Values.includes(tags[Key] ?? '')),
            ) &&
            (ResourceTypeFilters === undefined || isOfType(arn, ResourceTypeFilters)),
        )
        .map(([ResourceARN, tags]) => ({
          ResourceARN,
          Tags: Object.entries(tags).map(([Key, Value]) => ({ Key, Value })),
        }));
    const { items, next = '' } = page(estate, all, PaginationToken || undefined, {
      most: 100,
      asked: ResourcesPerPage ?? 50,
    });
    return { ResourceTagMappingList: items, PaginationToken: next };
  },

  's3:GetObject': ({ data }, { Bucket, Key }: { Bucket: string; Key: string }) => {
    const text = find(data.objects, `${Bucket}/${Key}`, () => notFound('NoSuchKey', 404));
    return {
      Body: bodyOf(text),
      ContentLength: new TextEncoder().encode(text).length,
      ETag: '"etag"',
      LastModified: new Date(0),
    };
  },
};

function functionOf(data: EstateData, nameOrArn: string): FunctionConfiguration {
  return find(data.functions, nameOfArn(nameOrArn), () => notFound('ResourceNotFoundException', 404));
}

/** A secure parameter as it is answered; its value here is what it is, in clear. */
function decrypted(parameter: Parameter, isDecrypted: boolean | undefined): Parameter {
  if (parameter.Type !== 'SecureString' || isDecrypted) return parameter;
  return { ...parameter, Value: `AQICAHh${Buffer.from(parameter.ARN ?? '').toString('base64')}` };
}

const stackGone = (name: string) => awsError('ValidationError', 400, `Stack with id ${name} does not exist`);

/** Resources are filtered by `sagemaker:endpoint`, or by `sagemaker`. */
function isOfType(arn: string, filters: readonly string[]): boolean {
  const [, , service = '', , , rest = ''] = arn.split(':');
  return filters.includes(service) || filters.includes(`${service}:${rest.split('/')[0]}`);
}

/** A body of S3. */
function bodyOf(text: string): AsyncIterable<Uint8Array> & { transformToString(): Promise<string> } {
  return {
    async *[Symbol.asyncIterator]() {
      yield new TextEncoder().encode(text);
    },
    transformToString: async () => text,
  };
}
