import type { Path } from './path.ts';
import type { DifferenceKind, ResourceKind } from './schema.ts';

/*
 * What a difference is about, by where it stands. Pure.
 */

/**
 * Kinds of what lies below a field. `''` is that of the thing itself, and of whatever is not named; items of lists are what
 * their list is.
 */
type Kinds = DifferenceKind | { readonly '': DifferenceKind; readonly [field: string]: Kinds };

const VARIANTS: Kinds = {
  '': 'inference',
  instanceType: 'capacity',
  instances: 'capacity',
  instancePools: 'capacity',
  reservation: 'capacity',
  accelerator: 'capacity',
  volumeGb: 'capacity',
  containerStartupSeconds: 'capacity',
  modelDownloadSeconds: 'capacity',
  provisionSeconds: 'capacity',
  routing: 'capacity',
  prefixRouting: 'capacity',
  managedScaling: 'capacity',
  serverless: 'capacity',
  scaling: { '': 'capacity', role: 'environment', scheduled: { '': 'capacity', timezone: 'environment' } },
  coreDump: { '': 'safety', uri: 'environment' },
  ssmAccess: 'safety',
};

const FUNCTION: Kinds = {
  '': 'inference',
  architecture: 'environment',
  memoryMb: 'capacity',
  timeoutSeconds: 'capacity',
  ephemeralMb: 'capacity',
  reservedConcurrency: 'capacity',
  snapStart: 'capacity',
  environment: 'environment',
  role: 'environment',
  vpc: 'safety',
  tracing: 'safety',
  kmsKey: 'safety',
  deadLetter: 'safety',
  logging: 'safety',
  description: 'cosmetic',
};

const COLUMNS: Kinds = { '': 'schema', comment: 'cosmetic' };

const KINDS: Readonly<Record<ResourceKind, Kinds>> = {
  endpoints: {
    '': 'inference',
    variants: VARIANTS,
    shadow: VARIANTS,
    capture: { '': 'safety', uri: 'environment' },
    async: { '': 'safety', uri: 'environment', failureUri: 'environment', maxConcurrent: 'capacity' },
    kmsKey: 'safety',
    networkIsolation: 'safety',
    role: 'environment',
    vpc: 'safety',
    deployment: 'safety',
    metrics: 'safety',
    tags: 'cosmetic',
  },
  models: {
    '': 'inference',
    containers: {
      '': 'inference',
      environment: 'environment',
      repositoryAccess: 'safety',
      repositoryProvider: 'safety',
      metrics: 'safety',
    },
    networkIsolation: 'safety',
    vpc: 'safety',
    role: 'environment',
  },
  monitors: {
    '': 'safety',
    output: 'environment',
    environment: 'environment',
    role: 'environment',
    instanceType: 'capacity',
    instances: 'capacity',
    volumeGb: 'capacity',
    timeoutSeconds: 'capacity',
  },
  alarms: { '': 'safety', description: 'cosmetic' },
  functions: FUNCTION,
  parameters: { '': 'environment', type: 'schema', dataType: 'schema' },
  featureGroups: {
    '': 'schema',
    online: { '': 'inference', storage: 'capacity', kmsKey: 'safety' },
    offline: { '': 'environment', format: 'schema', kmsKey: 'safety', status: 'safety' },
    throughput: 'capacity',
    role: 'environment',
    description: 'cosmetic',
  },
  tables: {
    '': 'schema',
    columns: COLUMNS,
    partitionKeys: COLUMNS,
    location: 'environment',
    description: 'cosmetic',
  },
  pipelines: { '': 'inference', parallelism: 'capacity', role: 'environment', description: 'cosmetic' },
  rules: {
    '': 'safety',
    role: 'environment',
    targets: { '': 'safety', role: 'environment' },
    description: 'cosmetic',
  },
  schedules: {
    '': 'safety',
    timezone: 'environment',
    target: { '': 'safety', role: 'environment' },
    description: 'cosmetic',
  },
  tocsin: { '': 'safety', contracts: 'schema', functions: FUNCTION },
};

/**
 * What a difference at a path is about. The first segment is a kind of resource, the second its name; a path of no more is that
 * of a whole resource, which one environment has not.
 */
export function kindOf(path: Path): DifferenceKind {
  let kinds: Kinds = KINDS[path[0] as ResourceKind];
  for (let at = 2; at < path.length && typeof kinds !== 'string'; at++) {
    const segment = path[at] as string;
    if (Object.hasOwn(kinds, segment)) kinds = kinds[segment] as Kinds;
    else if (!segment.startsWith('[')) return kinds[''];
  }
  return typeof kinds === 'string' ? kinds : kinds[''];
}

/** Lists in which the order says something, by kind of resource. */
const ORDERED: Partial<Record<ResourceKind, readonly string[]>> = {
  models: ['containers'],
  // A layer covers what an earlier one has put at the same place.
  functions: ['layers'],
  tocsin: ['layers'],
  tables: ['columns', 'partitionKeys', 'sort'],
  // Of a pattern: [">", 0, "<=", 5].
  rules: ['numeric'],
};

/** What somebody has written as JSON for programs of their own: nobody else knows what an order says there. */
const WRITTEN: Partial<Record<ResourceKind, (path: Path) => boolean>> = {
  parameters: (path) => path[2] === 'value',
  rules: (path) => path[2] === 'targets' && path[4] === 'input',
  schedules: (path) => path[2] === 'target' && path[3] === 'input',
};

/** Where whatever has no names keeps its order: command lines, paths that are joined, rows, headers. */
const VERBATIM: Partial<Record<ResourceKind, string>> = {
  endpoints: 'explainer',
  pipelines: 'definition',
  rules: 'targets',
  schedules: 'target',
};

/** Lists there which are sets all the same. */
const SETS = new Set(['DependsOn', 'SecurityGroupIds', 'Subnets']);

/**
 * Whether the order of a list's items says something.
 *
 * @param path of the list
 * @param named whether its items have names
 */
export function keepsOrder(path: Path, named: boolean): boolean {
  const kind = path[0] as ResourceKind;
  const field = path.at(-1) as string;
  if (ORDERED[kind]?.includes(field) || WRITTEN[kind]?.(path) === true) return true;
  return !named && VERBATIM[kind] !== undefined && path[2] === VERBATIM[kind] && !SETS.has(field);
}

/** Whether the text at a path may be a length of time, so that `rate(60 minutes)` is `rate(1 hour)` there. */
export function isTime(path: Path): boolean {
  if (path[0] === 'tocsin') return path[2] === 'configuration' || path[2] === 'contracts';
  const field = path.at(-1);
  return path[0] === 'pipelines'
    ? field === 'ExpireAfter'
    : field === 'schedule' && !path.includes('environment');
}

/** What of monitors, rules and schedules says with what something is done, not only to what. */
const MATERIAL = new Set([
  ...['baseline', 'image', 'preprocessor', 'postprocessor', 'configUri', 'entrypoint', 'arguments'],
  ...['pattern', 'targets', 'target', 'configuration', 'documented'],
]);

/**
 * Whether times within names are part of what decides predictions. Two jobs that ran at different times have made two
 * models: there they are compared. Elsewhere they only tell apart what was made anew.
 */
export function keepsTimes(path: Path): boolean {
  const kind = kindOf(path);
  return (
    kind === 'schema' || kind === 'inference' || kind === 'environment' || MATERIAL.has(path[2] as string)
  );
}

/** Whether the value at a path is the name of a key, so that an id by itself is one that was generated. */
export function isKeyId(path: Path): boolean {
  return /kms|key_?id$/i.test(path.at(-1) as string);
}
