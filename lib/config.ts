import { lstatSync, readFileSync } from 'node:fs';
import { basename, dirname, isAbsolute, join } from 'node:path';
import * as z from 'zod';
import { alarmDrillsSchema, type LocatedDrill, parseDrills } from '../functions/alarm-drill/schema.ts';
import { type Readiness, readinessSchema } from '../functions/board/schema.ts';
import {
  DOCUMENTED_FILE,
  documentedSchema,
  type Parity,
  type ParityBundle,
  paritiesSchema,
  parseParities,
} from '../functions/config-parity/schema.ts';
import {
  canariesSchema,
  type Evaluations,
  modelsSchema,
  parseEvaluations,
} from '../functions/holdout-evaluation/schema.ts';
import {
  type Bundle,
  type DatasetConfig,
  datasetsSchema,
  driftMonitorsSchema,
  type LocatedContract,
  type LocatedMonitor,
  type MonitorBundle,
  parseContract,
  parseMonitors,
} from '../functions/quality-gate/schema.ts';
import {
  type LocatedRollbackDrill,
  parseRollbackDrills,
  rollbackDrillsSchema,
} from '../functions/rollback-drill/schema.ts';
import { DEFAULT_RUNBOOK } from '../functions/shared/notification/schema.ts';
import {
  ConfigError,
  type ConfigIssue,
  duration,
  type Located,
  parseYaml,
  strict,
  type TextBundle,
} from '../functions/shared/schema.ts';
import { checkDrills } from './drill-checks.ts';
import { checkModels } from './model-checks.ts';
import { checkDocumented, checkParity } from './parity-checks.ts';
import type { Complain } from './place-checks.ts';
import { checkReadiness } from './readiness-checks.ts';
import { checkRollbackDrills } from './rollback-checks.ts';
import { lockPolicyBytes, MAX_BUCKET_POLICY_BYTES } from './shared/lock-policy.ts';

/*
 * tocsin.yaml, read and checked as a whole: what no schema of one file can see is found here, before a deployment.
 * Free of the CDK, so that the CLI starts quickly.
 */

const engineSchema = strict({
  architecture: z
    .enum(['arm64', 'x86_64'])
    .default('arm64')
    .describe('Processor of all functions; arm64 costs less (default arm64)'),
  memory: z
    .int()
    .min(1024)
    .max(10_240)
    .default(3538)
    .describe('MB of memory, 1024 to 10240 (default 3538, which gives two virtual CPUs)'),
  disk: z.int().min(512).max(10_240).default(4096).describe('MB of /tmp, 512 to 10240 (default 4096)'),
  timeout: duration
    .refine((ms) => ms >= 60_000 && ms <= 900_000, 'expected a timeout from 1m to 15m')
    .default(900_000)
    .describe('Of one verdict, 1m to 15m (default 15m)'),
  concurrency: z
    .union([z.int().min(1).max(1000), z.literal('unreserved')], {
      error: 'a number from 1 to 1000, or unreserved',
    })
    .default(10)
    .describe(
      "Verdicts at a time, reserved from the account's quota (default 10); unreserved: no bound of its own",
    ),
});

/** How large the machine is that measures data: MB, milliseconds. */
export type EngineConfig = z.output<typeof engineSchema>;

const roleArn = z
  .string()
  .regex(/^arn:aws[a-z-]*:iam::\d{12}:role\/[\w+=,.@/-]+$/, 'the ARN of a role, without wildcards');

const uuid = (what: string) =>
  z
    .string()
    .regex(
      /^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$/,
      `the id of a ${what}: 32 hexadecimal digits and 4 hyphens`,
    );

const notifySchema = strict({
  emails: z
    .array(z.email('an e-mail address'))
    .default([])
    .describe('Told of every verdict and alarm; each address has to confirm its subscription once'),
  slack: strict({
    workspace: z
      .string()
      .regex(/^T[0-9A-Z]{1,254}$/, 'the id of a Slack workspace, such as T07EA123LEP')
      .describe('Id of the workspace: it begins with T, and is authorized once in the console'),
    channel: z
      .string()
      .regex(/^[CG][0-9A-Z]{1,254}$/, 'the id of a Slack channel, such as C07EZ1ABC23')
      .describe('Id of the channel, at the end of its link; Amazon Q has to be invited to it'),
  })
    .optional()
    .describe('A channel of Slack, told through Amazon Q Developer in chat applications'),
  teams: strict({
    tenant: uuid('tenant').describe('Id of the tenant, authorized once in the console'),
    team: uuid('team').describe('Id of the team'),
    channel: z
      .string()
      .max(1024)
      .regex(
        /^[\w=+/.,-]*%3[aA][\w=+/.,-]*%40[\w=+/.,-]*$/,
        'the id of a Teams channel as it is in its link, such as 19%3ab6ef35dc342d56ba5654e6fc6d25a071%40thread.tacv2',
      )
      .describe('Id of the channel, as it is in its link'),
  })
    .optional()
    .describe('A channel of Microsoft Teams, told through Amazon Q Developer in chat applications'),
  runbook: z
    .string()
    .max(500)
    .regex(/^[^\s#]+$/, 'a path or an address, without spaces and without #')
    .default(DEFAULT_RUNBOOK)
    .describe(
      `Where alarms and messages say that the runbook is: a path or an address (default ${DEFAULT_RUNBOOK})`,
    ),
});

/** Who is told, and which runbook they are shown. */
type NotifyConfig = z.output<typeof notifySchema>;

/** The whole of tocsin.yaml. */
export const configSchema = strict({
  tocsin: z.literal(1).describe('Version of this format'),
  notify: notifySchema
    .prefault({})
    .describe('Who is told of verdicts and alarms, beside programs that subscribe'),
  breakGlass: z.array(roleArn).default([]).describe('Roles that may read data which no gate has passed'),
  engine: engineSchema.prefault({}).describe('How large the function is that measures datasets'),
  workflow: z
    .enum(['durable', 'in-process'])
    .default('durable')
    .describe(
      'What carries evaluations, canaries and drills: AWS Lambda durable functions (default), or one invocation, which lives 15 minutes, where a region has none',
    ),
  datasets: datasetsSchema.default({}).describe('By name, which is the name in the contract'),
  models: modelsSchema.default({}).describe('Evaluated on a holdout when they are registered; by name'),
  canaries: canariesSchema
    .default({})
    .describe('Runs of a training pipeline on a known dataset, and on a corrupted one; by name'),
  alarmDrills: alarmDrillsSchema
    .default({})
    .describe('Alarms that have to prove that they fire when, and as soon as, they are meant to; by name'),
  rollbackDrills: rollbackDrillsSchema
    .default({})
    .describe(
      'Staging endpoints that are made to serve a bad model, and are rolled back as in an incident; by name',
    ),
  driftMonitors: driftMonitorsSchema
    .default({})
    .describe('What endpoints are asked, compared with the baseline of a dataset on a schedule; by name'),
  parity: paritiesSchema
    .default({})
    .describe(
      'Comparisons of staging with production; differences that are meant to be stand in parity.yaml; by name',
    ),
  readiness: readinessSchema
    .default({})
    .describe(
      'What the release of a model waits for: the verdicts that close its five gaps, and how old they may be; by model, then by environment',
    ),
});

/** A dataset of tocsin.yaml with its contract. */
export interface Dataset extends DatasetConfig {
  name: string;
  contractFile: LocatedContract;
  contractText: string;
}

/** A valid tocsin.yaml with valid contracts. */
export interface Config extends Evaluations {
  /** Path as it was given. */
  file: string;
  text: string;
  notify: NotifyConfig;
  breakGlass: string[];
  engine: EngineConfig;
  workflow: 'durable' | 'in-process';
  datasets: Dataset[];
  drills: Map<string, LocatedDrill>;
  rollbackDrills: Map<string, LocatedRollbackDrill>;
  monitors: Map<string, LocatedMonitor>;
  parities: Map<string, Parity>;
  readiness: Readiness;
  /** Knows the lines of tocsin.yaml. */
  located: Pick<Located<unknown>, 'locate'>;
  /** parity.yaml, with its path; absent where there is none. */
  documented?: Documented;
}

/** A file, and what it says. */
interface Documented {
  file: string;
  text: string;
}

/**
 * Reads tocsin.yaml, every contract that it names, and parity.yaml, where it stands beside it.
 *
 * @param file path of tocsin.yaml; contracts are relative to its directory
 * @throws ConfigError with the mistakes of all files: file, line, column, what was got, what is allowed
 */
export function loadConfig(file: string): Config {
  const text = read(file, { file, line: 1, column: 1, path: '' });
  const issues: ConfigIssue[] = [];
  const located = gathering(issues, () => parseYaml(configSchema, text, file));
  const documented = gathering(issues, () => loadDocumented(dirname(file)));
  // Which contracts there are only a valid tocsin.yaml says.
  if (located === undefined) throw new ConfigError(issues);
  const complain = complainAt(located, issues);

  const datasets: Dataset[] = [];
  for (const [name, dataset] of Object.entries(located.value.datasets)) {
    const loaded = gathering(issues, () => loadDataset(name, dataset, located));
    if (loaded !== undefined) datasets.push(loaded);
    if (dataset.kmsKey !== undefined && dataset.bucket === undefined) {
      complain(['datasets', name, 'kmsKey'], 'says nothing without bucket');
    }
  }
  const { datasets: named, alarmDrills, rollbackDrills, parity } = located.value;
  if ([named, alarmDrills, rollbackDrills, parity].every((one) => Object.keys(one).length === 0)) {
    complain(['datasets'], 'name at least one dataset, a drill or a comparison');
  }
  checkPrefixes(located.value.datasets, complain);
  checkPolicySizes(located.value, complain);
  checkModels({ ...located.value, loaded: datasets }, complain);
  checkDrills({ ...located.value, loaded: datasets }, complain);
  checkRollbackDrills(located.value, complain);
  checkParity(located.value, complain);
  checkReadiness(located.value, complain);
  if (documented !== undefined) {
    checkDocumented(documented.value.differences, parity, complainAt(documented, issues));
  }
  if (issues.length > 0) throw new ConfigError(issues);

  const { notify, breakGlass, engine, workflow, readiness } = located.value;
  return {
    file,
    text,
    notify,
    breakGlass,
    engine,
    workflow,
    datasets,
    ...parseEvaluations({ file, text }),
    drills: parseDrills({ file, text }),
    rollbackDrills: parseRollbackDrills({ file, text }),
    monitors: parseMonitors({ file, text }),
    parities: parseParities({ file, text, documented }),
    readiness,
    located,
    ...(documented !== undefined && { documented: { file: documented.file, text: documented.text } }),
  };
}

/** Does something; what is wrong with the file that it reads is put with the other mistakes. */
function gathering<T>(issues: ConfigIssue[], read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    issues.push(...error.issues);
    return undefined;
  }
}

/** Puts mistakes in a file with the others. */
function complainAt({ locate }: Pick<Located<unknown>, 'locate'>, issues: ConfigIssue[]): Complain {
  return (path, message) =>
    issues.push({ ...locate(path), path: path.join('.'), message: `${path.join('.')}: ${message}` });
}

/** What the deployed evaluation, canary and drills read. */
export function textBundleOf({ file, text }: Pick<Config, 'file' | 'text'>): TextBundle {
  // Without its directory, which differs between machines: the name is in every verdict.
  return { bundle: 1, file: basename(file), text };
}

/** What the deployed comparison reads. */
export function parityBundleOf(config: Pick<Config, 'file' | 'text' | 'documented'>): ParityBundle {
  const { documented } = config;
  return {
    ...textBundleOf(config),
    ...(documented !== undefined && {
      documented: { file: basename(documented.file), text: documented.text },
    }),
  };
}

/** What the deployed drift monitor reads. */
export function monitorBundleOf(
  config: Pick<Config, 'file' | 'text' | 'datasets' | 'monitors'>,
): MonitorBundle {
  const compared = new Set([...config.monitors.values()].map(({ value }) => value.dataset));
  return {
    ...textBundleOf(config),
    contracts: Object.fromEntries(
      config.datasets
        .filter(({ name }) => compared.has(name))
        .map(({ name, contract, contractText }) => [name, { file: contract, text: contractText }]),
    ),
  };
}

/** What the deployed quality gate reads. */
export function bundleOf(config: Pick<Config, 'datasets'>): Bundle {
  return {
    bundle: 1,
    datasets: Object.fromEntries(
      config.datasets.map(({ name, contractFile: _, contractText: __, ...dataset }) => [name, dataset]),
    ),
    contracts: Object.fromEntries(config.datasets.map((dataset) => [dataset.contract, dataset.contractText])),
  };
}

/**
 * Reads parity.yaml.
 *
 * @returns undefined where there is none
 * @throws ConfigError with every mistake
 */
function loadDocumented(directory: string) {
  const file = join(directory, DOCUMENTED_FILE);
  // Of a link whose target is gone, too, it is said that it cannot be read.
  if (lstatSync(file, { throwIfNoEntry: false }) === undefined) return undefined;
  const text = read(file, { file, line: 1, column: 1, path: '' });
  return { ...parseYaml(documentedSchema, text, file), text };
}

function loadDataset(name: string, dataset: DatasetConfig, located: Located<unknown>): Dataset {
  const path = ['datasets', name, 'contract'];
  const issue = { ...located.locate(path), path: path.join('.') };
  if (isAbsolute(dataset.contract)) {
    // It would be part of every verdict, and differ between machines.
    throw new ConfigError([
      { ...issue, message: `${issue.path}: expected a path from ${located.file}, got ${dataset.contract}` },
    ]);
  }
  const file = join(dirname(located.file), dataset.contract);
  const contractText = read(file, issue);
  const contractFile = parseContract(contractText, file);
  if (contractFile.value.dataset !== name) {
    const { line } = contractFile.locate(['dataset']);
    throw new ConfigError([
      {
        ...issue,
        message: `${issue.path}: expected the contract of "${name}", got one of "${contractFile.value.dataset}" (${file}:${line})`,
      },
    ]);
  }
  return { ...dataset, name, contractFile, contractText };
}

function read(file: string, issue: ConfigIssue | Omit<ConfigIssue, 'message'>): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const why = code === 'ENOENT' ? 'there is no such file' : `it cannot be read (${code})`;
    const where = issue.path === '' ? '' : `${issue.path}: `;
    throw new ConfigError([{ ...issue, message: `${where}expected a YAML file at ${file}, ${why}` }]);
  }
}

/** An object below two prefixes would be judged by two contracts, and the later verdict would win. */
function checkPrefixes(datasets: Record<string, DatasetConfig>, complain: Complain): void {
  const entries = Object.entries(datasets);
  entries.forEach(([name, dataset], index) => {
    for (const [earlierName, earlier] of entries.slice(0, index)) {
      if (dataset.bucket !== earlier.bucket) continue;
      if (dataset.prefix.startsWith(earlier.prefix) || earlier.prefix.startsWith(dataset.prefix)) {
        complain(
          ['datasets', name, 'prefix'],
          `"${dataset.prefix}" overlaps "${earlier.prefix}" of dataset "${earlierName}" in the same bucket`,
        );
      }
    }
  });
}

/** Room for the statements of a bucket policy that are not the lock: TLS only, access logs. */
const OTHER_STATEMENTS_BYTES = 1024;

function checkPolicySizes(
  { datasets, breakGlass }: { datasets: Record<string, DatasetConfig>; breakGlass: readonly string[] },
  complain: Complain,
): void {
  const limit = MAX_BUCKET_POLICY_BYTES - OTHER_STATEMENTS_BYTES;
  for (const [bucket, members] of Map.groupBy(Object.entries(datasets), ([, dataset]) => dataset.bucket)) {
    const prefixes = members.map(([, { prefix, inconclusive }]) => ({
      prefix,
      allowInconclusive: inconclusive === 'allow',
    }));
    const bytes = lockPolicyBytes(prefixes, breakGlass);
    if (bytes <= limit) continue;
    const first = members[0]?.[0] ?? '';
    complain(
      ['datasets', first],
      `the bucket policy that locks the ${members.length} datasets of ${bucket ?? 'the bucket that Tocsin creates'} ` +
        `may take ${bytes} bytes, at most ${limit} fit; spread them over more buckets, or name fewer breakGlass roles`,
    );
  }
}
