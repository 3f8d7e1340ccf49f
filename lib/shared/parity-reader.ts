import {
  type PairKind,
  type ParityConfig,
  pairName,
  physicalName,
  type Side,
} from '../../functions/config-parity/schema.ts';
import { bothSpellings } from './spellings.ts';

/*
 * What reading one environment takes of permissions, and a CloudFormation template of a role that has them in another
 * account. Free of the CDK, so that the CLI starts quickly.
 */

/** Where an environment is; texts that CloudFormation or the CDK replaces are as good. */
export interface ReaderPlace {
  partition: string;
  region: string;
  account: string;
}

/** One environment of a comparison. */
export interface ReaderOf {
  parity: ParityConfig;
  side: Side;
  place: ReaderPlace;
}

/** What a reader may do. */
export interface ReaderStatement {
  actions: string[];
  resources: string[];
  conditions?: Record<string, Record<string, unknown>>;
  /** Why the resources have wildcards, where they have. */
  wildcards?: string;
}

/** Something that a reader has to be able to do. */
interface Need {
  actions: string[];
  /** ARNs. */
  named: string[];
  /** Why there are wildcards in `named`, where there are. */
  wildcards?: string;
  /** ARNs that stand for whatever there is of it; absent: nothing but the names will do. */
  all?: string[];
  /** Why it is `all` that is allowed, and not the names, where it is. */
  open?: string;
  conditions?: ReaderStatement['conditions'];
}

/** Why a statement has wildcards. */
const FOUND = 'What is found by tags or in a stack has names that are not known before.';
const MANY =
  'More names are compared than policies of a role hold; reading is all that is allowed of others.';
const BEHIND =
  'Which configuration, models and monitoring schedules an endpoint has is known when it is read.';
const BELOW = 'Everything below a path of parameters is compared.';
const EVERYWHERE =
  'X-Ray takes segments, and composite alarms, scaling, tags and lists of schedules are told, on no narrower resource.';

/**
 * Characters of all statements of a reader: AWS takes 10 policies of 6,144 each, and a template of 51,200. With more, what
 * has most names is allowed as a whole.
 */
const MOST_CHARACTERS = 24_000;
/** Of one statement, so that several fit into a policy. */
const MOST_OF_STATEMENT = 2_800;
/** Of a managed policy. */
const MOST_OF_POLICY = 6_144;

/** The ARNs of what is named one by one: service and the rest, by the physical name. */
const NAMED: Record<
  Exclude<PairKind, 'alarms' | 'stacks' | 'tocsin'>,
  {
    actions: string[];
    service: string;
    /** What follows the account; several where reading one thing takes several. */
    resources: (physical: string) => string[];
    all: string[];
    wildcards?: string;
  }
> = {
  endpoints: {
    actions: ['sagemaker:DescribeEndpoint', 'sagemaker:ListTags'],
    service: 'sagemaker',
    resources: (physical) => bothSpellings([`endpoint/${physical}`]),
    all: ['endpoint/*'],
  },
  functions: {
    actions: ['lambda:GetFunctionConfiguration', 'lambda:GetFunctionConcurrency'],
    service: 'lambda',
    resources: (physical) => [`function:${physical}`],
    all: ['function:*'],
  },
  parameters: {
    // The second is asked for the parameter of that path itself, and for values that are decrypted.
    actions: ['ssm:GetParametersByPath', 'ssm:GetParameters'],
    service: 'ssm',
    resources: (physical) => {
      const path = physical.replace(/\/$/, '');
      return [`parameter${path}`, `parameter${path}/*`];
    },
    all: ['parameter/*'],
    wildcards: BELOW,
  },
  featureGroups: {
    actions: ['sagemaker:DescribeFeatureGroup'],
    service: 'sagemaker',
    resources: (physical) => bothSpellings([`feature-group/${physical}`]),
    all: ['feature-group/*'],
  },
  tables: {
    actions: ['glue:GetTable'],
    service: 'glue',
    // Glue asks for all that a table is in.
    resources: (physical) => {
      const [database = '', table = ''] = physical.split('.');
      return ['catalog', `database/${database}`, `table/${database}/${table}`];
    },
    all: ['catalog', 'database/*', 'table/*'],
  },
  pipelines: {
    actions: ['sagemaker:DescribePipeline'],
    service: 'sagemaker',
    resources: (physical) => bothSpellings([`pipeline/${physical}`]),
    all: ['pipeline/*'],
  },
  rules: {
    actions: ['events:DescribeRule', 'events:ListTargetsByRule'],
    service: 'events',
    // The default bus is in no ARN, whereas the default group of schedules is.
    resources: (physical) => [`rule/${physical.replace(/^default\//, '')}`],
    all: ['rule/*'],
  },
  schedules: {
    actions: ['scheduler:GetSchedule'],
    service: 'scheduler',
    resources: (physical) => [`schedule/${physical.includes('/') ? physical : `default/${physical}`}`],
    all: ['schedule/*'],
  },
};

/** What an environment is read with, for the kinds of things alone that its comparison selects. */
function needsOf({ parity, side, place }: ReaderOf): Need[] {
  const { compare, probes, decrypt } = parity;
  const environment = parity[side];
  const names = (kind: PairKind) => compare[kind].map((pair) => physicalName(pair, side, environment));
  const arn = (service: string, resource: string, account = place.account) =>
    `arn:${place.partition}:${service}:${place.region}:${account}:${resource}`;
  const isFound = compare.stacks.length > 0 || compare.tags.length > 0;
  const reads = (kind: PairKind) => isFound || compare[kind].length > 0;
  const needs: Need[] = [];

  for (const [kind, { actions, service, resources, all, wildcards }] of Object.entries(NAMED)) {
    const physical = names(kind as keyof typeof NAMED);
    // The functions of a stack of Tocsin's are read, too; their names are generated.
    const isOpen = isFound || (kind === 'functions' && compare.tocsin.length > 0);
    if (!isOpen && physical.length === 0) continue;
    needs.push({
      actions,
      named: physical.flatMap(resources).map((resource) => arn(service, resource)),
      all: all.map((resource) => arn(service, resource)),
      ...(wildcards !== undefined && { wildcards }),
      ...(isOpen && { open: FOUND }),
    });
  }
  if (reads('endpoints')) needs.push(behindEndpoints(arn));
  const asked = Object.values(probes).flatMap(({ endpoint }) =>
    compare.endpoints.filter((pair) => pairName(pair) === endpoint),
  );
  if (asked.length > 0) {
    needs.push({
      actions: ['sagemaker:InvokeEndpoint'],
      named: bothSpellings(asked.map((pair) => `endpoint/${physicalName(pair, side, environment)}`)).map(
        (resource) => arn('sagemaker', resource),
      ),
    });
  }
  if (reads('parameters') && decrypt) {
    needs.push({
      actions: ['kms:Decrypt'],
      named: [arn('kms', 'key/*')],
      // With a star: in China the name of a service ends in another domain.
      conditions: { StringLike: { 'kms:ViaService': `ssm.${place.region}.amazonaws.com*` } },
      wildcards: 'A parameter names its key; it is used through Systems Manager alone.',
    });
  }
  const stacks = [
    // Nested ones have names that begin with that of theirs.
    ...names('stacks').flatMap((stack) => [`stack/${stack}/*`, `stack/${stack}-*`]),
    ...names('tocsin').map((stack) => `stack/${stack}/*`),
  ];
  if (stacks.length > 0) {
    needs.push({
      actions: ['cloudformation:ListStackResources'],
      named: stacks.map((stack) => arn('cloudformation', stack)),
      all: [arn('cloudformation', 'stack/*')],
      wildcards: 'A stack has an id behind its name, and nested ones have names of their own.',
    });
  }
  if (compare.tocsin.length > 0) {
    needs.push({
      actions: ['s3:GetObject'],
      named: [`arn:${place.partition}:s3:::cdk-*-assets-${place.account}-${place.region}/*.json`],
      wildcards:
        'What a stack was deployed with is among the assets of the CDK; the keys are hashes, and the bucket has a qualifier.',
    });
  }
  const everywhere = [
    ...(reads('alarms') ? ['cloudwatch:DescribeAlarms'] : []),
    ...(reads('endpoints')
      ? [
          'application-autoscaling:DescribeScalableTargets',
          'application-autoscaling:DescribeScalingPolicies',
          'application-autoscaling:DescribeScheduledActions',
          'sagemaker:ListMonitoringSchedules',
        ]
      : []),
    // A stack does not say in which group a schedule is, and tags are those of groups.
    ...(isFound ? ['scheduler:ListSchedules'] : []),
    ...(compare.tags.length > 0 ? ['tag:GetResources'] : []),
  ];
  if (everywhere.length > 0) needs.push({ actions: everywhere, named: ['*'], wildcards: EVERYWHERE });
  return needs;
}

/** What an endpoint consists of; its names are generated. */
function behindEndpoints(arn: (service: string, resource: string, account?: string) => string): Need {
  const jobs = ['DataQuality', 'ModelQuality', 'ModelBias', 'ModelExplainability'];
  const own = [
    'endpoint-config',
    'model',
    'monitoring-schedule',
    ...jobs.map((job) => `${job.replaceAll(/(?<=[a-z])(?=[A-Z])/g, '-').toLowerCase()}-job-definition`),
  ];
  return {
    actions: [
      'sagemaker:DescribeEndpointConfig',
      'sagemaker:DescribeModel',
      'sagemaker:DescribeModelPackage',
      'sagemaker:DescribeMonitoringSchedule',
      ...jobs.map((job) => `sagemaker:Describe${job}JobDefinition`),
    ],
    named: [
      ...own.map((resource) => arn('sagemaker', `${resource}/*`)),
      // Packages are often shared from an account of their own.
      arn('sagemaker', 'model-package/*', '*'),
    ],
    wildcards: BEHIND,
  };
}

/**
 * What reading these environments takes, and no more: the names that are compared, and wildcards where names are not known
 * before, where AWS has nothing narrower, and where policies cannot hold all names.
 */
export function readerStatements(readers: readonly ReaderOf[]): ReaderStatement[] {
  const needs = [...merged(readers.flatMap(needsOf))];
  const longest = () =>
    needs
      .filter(({ all, open }) => all !== undefined && open === undefined)
      .toSorted((a, b) => lengthOf(statementOf(b)) - lengthOf(statementOf(a)))[0];
  for (let next = longest(); next !== undefined; next = longest()) {
    if (lengthOf(...needs.map(statementOf)) <= MOST_CHARACTERS) break;
    next.open = MANY;
  }
  return needs.map(statementOf).flatMap(split);
}

/** Several environments may be read with one role: each thing that they need is said once. */
function merged(needs: readonly Need[]): Need[] {
  const keyOf = ({ actions, wildcards, all, conditions }: Need) =>
    JSON.stringify([actions, wildcards, all, conditions]);
  return [...Map.groupBy(needs, keyOf).values()].map((alike) => {
    const open = alike.find((need) => need.open !== undefined)?.open;
    return {
      ...(alike[0] as Need),
      named: [...new Set(alike.flatMap(({ named }) => named))],
      ...(open !== undefined && { open }),
    };
  });
}

function statementOf({ actions, named, wildcards, all, open, conditions }: Need): ReaderStatement {
  const why = open ?? wildcards;
  return {
    actions,
    resources: open === undefined ? named : (all ?? named),
    ...(conditions !== undefined && { conditions }),
    ...(why !== undefined && { wildcards: why }),
  };
}

/** As several statements, where it is long. */
function split(statement: ReaderStatement): ReaderStatement[] {
  const parts: ReaderStatement[] = [];
  for (const resource of statement.resources) {
    const last = parts.at(-1);
    const longer = last && { ...last, resources: [...last.resources, resource] };
    if (longer !== undefined && lengthOf(longer) <= MOST_OF_STATEMENT) parts[parts.length - 1] = longer;
    else parts.push({ ...statement, resources: [resource] });
  }
  return parts;
}

/** A statement as AWS takes it. */
function policyStatement({ actions, resources, conditions }: ReaderStatement) {
  return {
    Effect: 'Allow',
    Action: actions,
    Resource: resources,
    ...(conditions !== undefined && { Condition: conditions }),
  };
}

/** Characters of statements in a policy: AWS counts all but white space, of which names here have none. */
function lengthOf(...statements: ReaderStatement[]): number {
  return JSON.stringify(statements.map(policyStatement)).length;
}

export interface ReaderTemplateOptions {
  /** ARN of the role that assumes it: the output ConfigParityRole of Tocsin's stack. */
  trusted: string;
  /** That whoever assumes it has to give (default: that of tocsin.yaml). */
  externalId?: string;
  /** What the role is called (default: as in tocsin.yaml, else tocsin-parity-staging or tocsin-parity-production). */
  name?: string;
}

/**
 * A CloudFormation template, as JSON, of the role that an environment in another account is read with. It has a name, so it
 * takes the capability CAPABILITY_NAMED_IAM; where tocsin.yaml names no region, it is to be deployed in that of the
 * environment.
 */
export function readerTemplate(
  parity: ParityConfig,
  side: Side,
  { trusted, externalId = parity[side].externalId, name }: ReaderTemplateOptions,
): object {
  const { region = pseudo('Region'), role } = parity[side];
  const place = { partition: pseudo('Partition'), region, account: pseudo('AccountId') };
  const policies = packed(readerStatements([{ parity, side, place }]));
  const documentOf = (Statement: unknown[]) => ({ Version: '2012-10-17', Statement });
  return {
    AWSTemplateFormatVersion: '2010-09-09',
    Description: `Tocsin: what ${side} is read with, to compare it. It changes nothing.`,
    Resources: {
      Reader: {
        Type: 'AWS::IAM::Role',
        Properties: {
          ...(name === undefined ? nameOf(role, side) : { RoleName: name }),
          Description: `Tocsin reads ${side} with it`,
          AssumeRolePolicyDocument: documentOf([
            {
              Effect: 'Allow',
              Principal: { AWS: trusted },
              Action: 'sts:AssumeRole',
              ...(externalId !== undefined && {
                Condition: { StringEquals: { 'sts:ExternalId': externalId } },
              }),
            },
          ]),
        },
      },
      ...Object.fromEntries(
        policies.map((statements, index) => [
          `Reading${index + 1}`,
          {
            Type: 'AWS::IAM::ManagedPolicy',
            Properties: {
              Description: `What Tocsin reads of ${side}`,
              PolicyDocument: documentOf(statements.map(policyStatement).map(substituted)),
              Roles: [{ Ref: 'Reader' }],
            },
          },
        ]),
      ),
    },
    Outputs: {
      Role: {
        Description: `Belongs into tocsin.yaml, as the role of ${side}`,
        Value: { 'Fn::GetAtt': ['Reader', 'Arn'] },
      },
    },
  };
}

/** The name in tocsin.yaml is the one that is assumed. */
function nameOf(role: string | undefined, side: Side): { RoleName: string; Path?: string } {
  const [, path = '/', name = `tocsin-parity-${side}`] = /:role(\/(?:.*\/)?)([^/]+)$/.exec(role ?? '') ?? [];
  return { RoleName: name, ...(path !== '/' && { Path: path }) };
}

/** Statements by policy, as few as they fit into. */
function packed(statements: readonly ReaderStatement[]): ReaderStatement[][] {
  const around = JSON.stringify({ Version: '2012-10-17', Statement: [] }).length;
  const policies: ReaderStatement[][] = [];
  for (const statement of statements) {
    const roomy = policies.find((some) => around + lengthOf(...some, statement) <= MOST_OF_POLICY);
    if (roomy === undefined) policies.push([statement]);
    else roomy.push(statement);
  }
  return policies;
}

/** What CloudFormation replaces in a text that it is told to. */
function pseudo(parameter: string): string {
  return `\${AWS::${parameter}}`;
}

/** With every text that CloudFormation replaces something in marked as such. */
function substituted(value: unknown): unknown {
  if (typeof value === 'string')
    return value.includes(pseudo('').slice(0, -1)) ? { 'Fn::Sub': value } : value;
  if (Array.isArray(value)) return value.map(substituted);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, substituted(inner)]));
}
