import { ListStackResourcesCommand, type StackResourceSummary } from '@aws-sdk/client-cloudformation';
import { GetResourcesCommand } from '@aws-sdk/client-resource-groups-tagging-api';
import { mapLimit } from '../../shared/aws.ts';
import { pairName, physicalName, RESOURCE_KINDS, type ResourceKind } from '../schema.ts';
import { NO_DATABASE, NO_STACK, NOTHING_SELECTED } from '../snapshot.ts';
import { everyPage } from './pages.ts';
import { type Attempt, attempt, CONCURRENCY, type Found, type Reading } from './reading.ts';
import { ANY_GROUP, listSchedules } from './schedules.ts';

/*
 * What there is to be read: what tocsin.yaml names, what is in stacks, and what has tags.
 */

/**
 * Finds what is to be compared in an environment. What was found twice is there once: as it is named in tocsin.yaml, or else
 * as it is in a stack.
 *
 * @throws GateInputError where a stack or a tag has too much
 */
export async function discover(reading: Reading): Promise<Found[]> {
  const { compare } = reading.parity;
  const environment = reading.parity[reading.side];
  const stacks = compare.stacks.map((pair) => ({
    name: pairName(pair),
    physical: physicalName(pair, reading.side, environment),
  }));
  const { sink } = reading;
  const inStacks = await mapLimit(stacks, CONCURRENCY, async ({ name, physical }) => {
    const found = await foundInStack(reading, name, physical);
    const of = { path: ['stacks', name], physical, action: 'cloudformation:ListStackResources' };
    // What selects nothing in either environment would go for equal.
    if (found?.length === 0) sink.unreadable({ ...of, why: NOTHING_SELECTED.stack });
    return found ?? [];
  });
  const tagged = await mapLimit(compare.tags, CONCURRENCY, async (tags) => {
    const physical = textOfTags(tags[reading.side]);
    const found = await foundByTags(reading, tags[reading.side]);
    const of = { path: ['tags', physical], physical, action: 'tag:GetResources' };
    if (found?.length === 0) sink.unreadable({ ...of, why: NOTHING_SELECTED.tags });
    return found ?? [];
  });
  return distinct([named(reading), inStacks.flat(), tagged.flat()]);
}

/** Earlier lists win. A name in tocsin.yaml is read in any case: the other environment may have two things for one. */
function distinct([first = [], ...others]: readonly Found[][]): Found[] {
  const found = [...first];
  const seen = new Set(first.map(identityOf));
  const prefixes = first.flatMap(({ kind, physical }) => (kind === 'parameters' ? [physical] : []));
  for (const one of others.flat()) {
    const identity = identityOf(one);
    if (seen.has(identity)) continue;
    seen.add(identity);
    const isBelow =
      one.kind === 'parameters' && prefixes.some((prefix) => `${one.physical}/`.startsWith(prefix));
    if (!isBelow) found.push(one);
  }
  return found;
}

/** SageMaker writes names in ARNs in lower case, and finds things whatever the case of their names. */
const CASELESS: readonly ResourceKind[] = ['endpoints', 'featureGroups', 'pipelines'];

function identityOf({ kind, physical }: Found): string {
  const name = CASELESS.includes(kind) ? physical.toLowerCase() : physical;
  // Which group a schedule of a stack is in turns out when it is read; nearly all are in the default one.
  return `${kind} ${kind === 'schedules' ? name.replace(`${ANY_GROUP}/`, '') : name}`;
}

// ---------------------------------------------------------------------------------------------------------
// Names
// ---------------------------------------------------------------------------------------------------------

/** Models and monitors come with their endpoints. */
const NAMED = RESOURCE_KINDS.filter((kind) => kind !== 'models' && kind !== 'monitors');

function named({ side, parity }: Reading): Found[] {
  return NAMED.flatMap((kind) =>
    parity.compare[kind].map((pair) => ({
      kind,
      name: pairName(pair),
      physical: plainName(kind, physicalName(pair, side, parity[side])),
    })),
  );
}

/** One name of one thing: a path ends in a slash, and the default bus or group goes without saying. */
function plainName(kind: ResourceKind, name: string): string {
  if (kind === 'parameters') return name.endsWith('/') ? name : `${name}/`;
  return kind === 'rules' || kind === 'schedules' ? name.replace(/^default\//, '') : name;
}

// ---------------------------------------------------------------------------------------------------------
// Stacks
// ---------------------------------------------------------------------------------------------------------

const NESTED = 'AWS::CloudFormation::Stack';

/** What is compared, by type of CloudFormation. */
const OF_TYPE: Readonly<Record<string, ResourceKind>> = {
  'AWS::SageMaker::Endpoint': 'endpoints',
  'AWS::SageMaker::FeatureGroup': 'featureGroups',
  'AWS::SageMaker::Pipeline': 'pipelines',
  'AWS::CloudWatch::Alarm': 'alarms',
  'AWS::CloudWatch::CompositeAlarm': 'alarms',
  'AWS::Lambda::Function': 'functions',
  'AWS::SSM::Parameter': 'parameters',
  'AWS::Glue::Table': 'tables',
  'AWS::Events::Rule': 'rules',
  'AWS::Scheduler::Schedule': 'schedules',
};

/** Undefined where it could not be listed. */
async function foundInStack(reading: Reading, name: string, stack: string): Promise<Found[] | undefined> {
  const { sink } = reading;
  const action = 'cloudformation:ListStackResources';
  // What is in it may be of any kind.
  const listed = await listStack(reading, { path: [], physical: stack, action }, stack);
  if (listed === undefined) return undefined;
  if ('gone' in listed) {
    sink.unreadable({ path: [], physical: stack, action, why: NO_STACK });
    return undefined;
  }
  const found: Found[] = [];
  const others: string[] = [];
  for (const resource of listed.answer) {
    const {
      LogicalResourceId = '',
      ResourceType = '',
      PhysicalResourceId = '',
      ResourceStatus = '',
    } = resource;
    const called = `${name}/${LogicalResourceId}`;
    if (ResourceType === NESTED && PhysicalResourceId !== '') {
      found.push(...((await foundInStack(reading, called, PhysicalResourceId)) ?? []));
      continue;
    }
    const kind = OF_TYPE[ResourceType];
    if (kind === undefined) {
      others.push(ResourceType);
      continue;
    }
    if (ResourceStatus.endsWith('_IN_PROGRESS')) {
      sink.unsettled({ path: [kind, called], physical: PhysicalResourceId, status: ResourceStatus });
    }
    const physical = memberName(kind, PhysicalResourceId);
    if (physical !== undefined) found.push({ kind, name: called, physical });
    else if (PhysicalResourceId === '') sink.add({ kind, name: called, physical: '', value: null });
    else if (!isNamedTable(reading, PhysicalResourceId)) {
      sink.unreadable({
        path: [kind, called],
        physical: PhysicalResourceId,
        action: 'glue:GetTable',
        why: NO_DATABASE,
      });
    }
  }
  takeDownTypes(reading, `the stack ${stack}`, others);
  return found;
}

/** Whether tocsin.yaml names a table, in whatever database: it is read by that name. */
function isNamedTable(reading: Reading, table: string): boolean {
  return named(reading).some(({ kind, physical }) => kind === 'tables' && physical.endsWith(`.${table}`));
}

/** Lists what is in a stack; what is in it no more is left out. */
export function listStack(
  reading: Reading,
  of: Parameters<typeof attempt>[1],
  StackName: string,
): Promise<Attempt<StackResourceSummary[]>> {
  return attempt(
    reading,
    of,
    async () => {
      const resources = await everyPage(`resources in the stack ${StackName}`, async (NextToken) => {
        const page = await reading.clients.cloudformation.send(
          new ListStackResourcesCommand({ StackName, ...(NextToken !== undefined && { NextToken }) }),
        );
        return { items: page.StackResourceSummaries, next: page.NextToken };
      });
      return resources.filter(
        ({ ResourceStatus = '' }) => !['DELETE_COMPLETE', 'DELETE_SKIPPED'].includes(ResourceStatus),
      );
    },
    isNoStack,
  );
}

/** CloudFormation says ValidationError of much, and only the message tells. */
function isNoStack(error: unknown): boolean {
  const { name, message = '' } = (error ?? {}) as Partial<Error>;
  return name === 'ValidationError' && /does not exist/.test(message);
}

/**
 * What the physical id of a resource says that it is called.
 *
 * @returns undefined where it says nothing, or too little
 */
function memberName(kind: ResourceKind, id: string): string | undefined {
  if (id === '') return undefined;
  if (id.startsWith('arn:')) return ofArn(id)?.physical ?? id;
  const parts = id.split('|');
  if (kind === 'tables') return parts.length < 2 ? undefined : parts.slice(-2).join('.');
  if (kind === 'schedules' && parts.length === 1) return `${ANY_GROUP}/${id}`;
  return plainOfMember(kind, parts.join('/'));
}

/** Of a parameter, its own name: there it is no prefix. */
function plainOfMember(kind: ResourceKind, name: string): string {
  return kind === 'parameters' ? name : plainName(kind, name);
}

/** What is not compared by itself, with how many there are. */
function takeDownTypes({ sink }: Reading, where: string, types: readonly string[]): void {
  if (types.length === 0) return;
  const counts = [...Map.groupBy(types, (type) => type)]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([type, { length }]) => `${length} ${type}`);
  sink.notRead({ subject: `${counts.join(', ')} of ${where}`, why: 'not compared by themselves' });
}

// ---------------------------------------------------------------------------------------------------------
// Tags
// ---------------------------------------------------------------------------------------------------------

/** What is compared and may have tags. Of schedules that is their group. */
const TAGGABLE = [
  'cloudwatch:alarm',
  'events:rule',
  'glue:table',
  'lambda:function',
  'sagemaker:endpoint',
  'sagemaker:feature-group',
  'sagemaker:pipeline',
  'scheduler:schedule-group',
  'ssm:parameter',
];

const GROUP = /^scheduler:schedule-group\/(.+)$/;

/** What is compared, by what ARNs of it say after account and region. */
const OF_ARN: readonly (readonly [RegExp, ResourceKind, (name: string) => string])[] = [
  [/^cloudwatch:alarm:(.+)$/, 'alarms', (name) => name],
  [/^events:rule\/(.+)$/, 'rules', (name) => plainName('rules', name)],
  [/^glue:table\/([^/]+\/[^/]+)$/, 'tables', (name) => name.replace('/', '.')],
  [/^lambda:function:([^:]+)$/, 'functions', (name) => name],
  // The names are in lower case here: they are found all the same.
  [/^sagemaker:endpoint\/([^/]+)$/, 'endpoints', (name) => name],
  [/^sagemaker:feature-group\/([^/]+)$/, 'featureGroups', (name) => name],
  [/^sagemaker:pipeline\/([^/]+)$/, 'pipelines', (name) => name],
  [/^scheduler:schedule\/([^/]+\/[^/]+)$/, 'schedules', (name) => plainName('schedules', name)],
  // The slash that a path begins with is not in it.
  [/^ssm:parameter\/(.+)$/, 'parameters', (name) => (name.includes('/') ? `/${name}` : name)],
];

/** `lambda:function:name` */
function tailOf(arn: string): string {
  const [, , service = '', , , ...rest] = arn.split(':');
  return `${service}:${rest.join(':')}`;
}

function ofArn(arn: string): { kind: ResourceKind; physical: string } | undefined {
  const tail = tailOf(arn);
  for (const [pattern, kind, nameOf] of OF_ARN) {
    const [, name] = pattern.exec(tail) ?? [];
    if (name !== undefined) return { kind, physical: nameOf(name) };
  }
  return undefined;
}

/** `project=flight-delay, env=staging` */
function textOfTags(tags: Readonly<Record<string, string>>): string {
  return Object.entries(tags)
    .map(([key, value]) => `${key}=${value}`)
    .join(', ');
}

/** Undefined where they could not be listed. */
async function foundByTags(
  reading: Reading,
  tags: Readonly<Record<string, string>>,
): Promise<Found[] | undefined> {
  const called = textOfTags(tags);
  const what = `the tags ${called}`;
  // What has them may be of any kind.
  const of = { path: [], physical: called, action: 'tag:GetResources' };
  const listed = await attempt(reading, of, () =>
    everyPage(`things with ${what}`, async (PaginationToken) => {
      const page = await reading.clients.tagging.send(
        new GetResourcesCommand({
          TagFilters: Object.entries(tags).map(([Key, value]) => ({ Key, Values: [value] })),
          ResourceTypeFilters: TAGGABLE,
          ResourcesPerPage: 100,
          ...(PaginationToken !== undefined && { PaginationToken }),
        }),
      );
      return { items: page.ResourceTagMappingList, next: page.PaginationToken };
    }),
  );
  if (listed === undefined || !('answer' in listed)) return undefined;
  const found: Found[] = [];
  const others: string[] = [];
  for (const { ResourceARN = '' } of listed.answer) {
    const [, group] = GROUP.exec(tailOf(ResourceARN)) ?? [];
    const one = ofArn(ResourceARN);
    if (group !== undefined) found.push(...(await foundInGroup(reading, group)));
    else if (one !== undefined) found.push({ ...one, name: one.physical });
    else others.push(tailOf(ResourceARN).split(/[:/]/, 2).join(':'));
  }
  takeDownTypes(reading, what, others);
  return found;
}

async function foundInGroup(reading: Reading, group: string): Promise<Found[]> {
  const kind = 'schedules';
  const listed = await listSchedules(reading, { kind, physical: `${group}/*` }, { GroupName: group });
  return (listed ?? []).map(({ Name = '' }) => {
    const physical = plainName(kind, `${group}/${Name}`);
    return { kind, name: physical, physical };
  });
}
