import * as z from 'zod';
import { runId } from '../shared/progress.ts';
import {
  contentType,
  entriesOf,
  judgingEnvironment,
  type Located,
  name,
  parseYaml,
  place,
  predictionTolerance,
  schedule,
  stackNames,
  strict,
  type TextBundle,
  textBundleSchema,
  workflowEnvironment,
} from '../shared/schema.ts';
import { DIFFERENCE_KINDS, type DifferenceKind, SEVERITY, type Severity, SIDES, type Side } from './kinds.ts';
import { parsePattern } from './path.ts';

export { DIFFERENCE_KINDS, type DifferenceKind, SEVERITY, type Severity, SIDES, type Side };

/** What is compared, by the first segment of its paths. Models and monitors come with their endpoints. */
export const RESOURCE_KINDS = [
  'endpoints',
  'models',
  'monitors',
  'alarms',
  'functions',
  'parameters',
  'featureGroups',
  'tables',
  'pipelines',
  'rules',
  'schedules',
  'tocsin',
] as const;

export type ResourceKind = (typeof RESOURCE_KINDS)[number];

/** More than this many things in one environment are refused: narrow the selection. */
export const MOST_RESOURCES = 10_000;

// ---------------------------------------------------------------------------------------------------------
// tocsin.yaml, section parity
// ---------------------------------------------------------------------------------------------------------

/** Stands for the name of the environment in the names of things. */
const ENVIRONMENT = '{environment}';

const environmentOf = (word: string) =>
  strict({
    names: z
      .array(
        z
          .string()
          // A number of its own would fold whatever is counted.
          .regex(
            /^(?=.*[A-Za-z])[A-Za-z0-9]([A-Za-z0-9_-]{0,30}[A-Za-z0-9])?$/,
            'a word such as staging or prod',
          ),
      )
      .min(1)
      .max(8)
      .default([word])
      .describe(`What it is called in names; the first stands for {environment} (default [${word}])`),
    account: z
      .string({ error: 'the twelve digits of an account, in quotes' })
      .regex(/^\d{12}$/, 'the twelve digits of an account, in quotes')
      .optional()
      .describe("Its account (default Tocsin's own); that it is this one is checked"),
    region: z
      .string()
      .regex(/^[a-z]{2}(-[a-z]+)+-\d$/, 'a region such as eu-west-1')
      .optional()
      .describe("Its region (default Tocsin's own)"),
    role: z
      .string()
      .regex(/^arn:aws[a-z-]*:iam::\d{12}:role\/[\w+=,.@/-]+$/, 'the ARN of a role, without wildcards')
      .optional()
      .describe(
        'What it is read with, in another account: tocsin parity role makes one (default: what Tocsin is)',
      ),
    externalId: z
      .string()
      .regex(/^[\w+=,.@:/-]{2,1224}$/, 'an external id')
      .optional()
      .describe('That the role asks for'),
  });

const MOST_PAIRS = 500;

/** What names are of, and what AWS takes for one, by the list of `compare` that they stand in. */
const NAMES = {
  endpoints: ['the name of an endpoint', /^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}$/],
  alarms: ['the name of an alarm', /^[^*?]{1,255}$/],
  functions: ['the name of a Lambda function', /^[A-Za-z0-9_-]{1,64}$/],
  parameters: ['a path of parameters such as /flight-delay/{environment}/', /^(\/[A-Za-z0-9_.-]+)+\/?$/],
  featureGroups: ['the name of a feature group', /^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,63}$/],
  tables: ['a table as database.table', /^[a-z0-9_-]{1,255}\.[a-z0-9_-]{1,255}$/],
  pipelines: ['the name of a pipeline', /^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,255}$/],
  rules: ['a rule, or bus/rule', /^([A-Za-z0-9._-]{1,256}\/)?[A-Za-z0-9._-]{1,64}$/],
  schedules: ['a schedule, or group/schedule', /^([A-Za-z0-9._-]{1,64}\/)?[A-Za-z0-9._-]{1,64}$/],
  stacks: ['the name of a CloudFormation stack', /^[A-Za-z][A-Za-z0-9-]{0,127}$/],
  tocsin: ["the name of Tocsin's stack", /^[A-Za-z][A-Za-z0-9-]{0,127}$/],
} as const satisfies Record<string, readonly [what: string, pattern: RegExp]>;

/** A name of each environment: a text with {environment}, or one for each. */
const pairs = (list: keyof typeof NAMES) => {
  const [what, pattern] = NAMES[list];
  const one = z.string().regex(pattern, what);
  return z
    .array(
      z.union(
        [
          // Whether it is a name in either environment depends on what that is called: see below.
          z.string().refine((text) => text.split(ENVIRONMENT).length === 2, { abort: true }),
          strict({
            name: z.string().min(1).max(255).describe('What it is called in paths'),
            staging: one.describe('Its name in staging'),
            production: one.describe('Its name in production'),
          }),
        ],
        { error: `${what} with {environment}, or { name, staging, production }` },
      ),
    )
    .max(MOST_PAIRS)
    .default([]);
};

const tagsSchema = z
  .record(z.string().min(1).max(128), z.string().max(256))
  .refine(
    (tags) => Object.keys(tags).length > 0 && Object.keys(tags).length <= 50,
    'expected at least one tag, at most 50',
  );

const compareSchema = strict({
  endpoints: pairs('endpoints').describe(
    'Endpoints with their configuration, models, scaling and monitoring schedules',
  ),
  alarms: pairs('alarms').describe('Metric and composite alarms of CloudWatch'),
  functions: pairs('functions').describe('Lambda functions'),
  parameters: pairs('parameters').describe('Paths in the parameter store: everything below them'),
  featureGroups: pairs('featureGroups').describe('Feature groups of SageMaker'),
  tables: pairs('tables').describe('Tables of the Glue catalog, as database.table'),
  pipelines: pairs('pipelines').describe('Pipelines of SageMaker'),
  rules: pairs('rules').describe('Rules of EventBridge, as rule or bus/rule'),
  schedules: pairs('schedules').describe('Schedules of EventBridge Scheduler, as schedule or group/schedule'),
  stacks: pairs('stacks').describe(
    'CloudFormation stacks: whatever is comparable in them, paired by logical id',
  ),
  tocsin: pairs('tocsin').describe("Tocsin's own stacks: what they were deployed with, and their functions"),
  tags: z
    .array(
      strict({
        staging: tagsSchema.describe('Values by key, in staging'),
        production: tagsSchema.describe('Values by key, in production'),
      }),
    )
    .max(20)
    .default([])
    .describe('Tags: whatever is comparable that has all of them, paired by name'),
});

const substitutionSchema = strict({
  staging: z.string().min(2).max(512).describe('The text in staging'),
  production: z.string().min(2).max(512).describe('The text in production'),
  as: z
    .string()
    .regex(/^[a-z][a-z0-9-]{0,30}$/, 'a lower-case word')
    .optional()
    .describe('How both are shown: {bucket} for bucket (default: value)'),
});

const probeSchema = strict({
  endpoint: z.string().min(1).describe('Name of one of compare.endpoints, without {environment}'),
  golden: place.describe(
    'JSON Lines of requests, a {"body": ...} each, with the "prediction" that the model must give, where it is known: s3://bucket/key, or a key in the bucket that Tocsin creates',
  ),
  content: contentType,
  tolerance: predictionTolerance,
});

/** Each takes operations of an execution. */
export const MOST_PROBES = 50;

const parityShape = strict({
  staging: environmentOf('staging').prefault({}).describe('Where and how staging is read'),
  production: environmentOf('production').prefault({}).describe('Where and how production is read'),
  compare: compareSchema.describe('What is compared: names, tags or CloudFormation stacks'),
  substitutions: z
    .array(substitutionSchema)
    .max(100)
    .default([])
    .describe('Texts that may stand for each other, beside account, region and names of the environment'),
  probes: z
    .record(name, probeSchema)
    .refine((probes) => Object.keys(probes).length <= MOST_PROBES, `expected at most ${MOST_PROBES} probes`)
    .default({})
    .describe(`Golden requests that both endpoints have to answer alike; by name, at most ${MOST_PROBES}`),
  decrypt: z
    .boolean()
    .default(false)
    .describe(
      'Whether secure parameters are decrypted to compare their hashes (default false: they are not compared)',
    ),
  failOn: z
    .array(z.enum(DIFFERENCE_KINDS))
    .min(1)
    .default(DIFFERENCE_KINDS.filter((kind) => kind !== 'cosmetic'))
    .describe('Kinds of undocumented differences that fail; others warn (default: all but cosmetic)'),
  schedule: schedule.describe('rate(...) or cron(...) of EventBridge; left out: by hand and after deploys'),
  afterDeployOf: stackNames.describe('CloudFormation stacks whose deployment starts it'),
  afterStage: z
    .array(
      strict({
        pipeline: z
          .string()
          .regex(/^[A-Za-z0-9.@_-]{1,100}$/, 'the name of a pipeline of CodePipeline')
          .describe('Name of the pipeline in CodePipeline'),
        stage: z
          .string()
          .regex(/^[A-Za-z0-9.@_-]{1,100}$/, 'the name of a stage')
          .describe('Name of the stage'),
      }),
    )
    .max(20)
    .default([])
    .describe('Stages of CodePipeline whose success starts it'),
});

export const paritySchema = parityShape.check(({ value, issues }) => {
  const complain = (path: PropertyKey[], message: string) =>
    issues.push({ code: 'custom', input: value, path, message });
  const { compare, probes, staging, production, substitutions } = value;
  if (Object.values(compare).every((list) => list.length === 0)) {
    complain(['compare'], 'expected something to compare: names, tags or stacks');
  }
  for (const side of SIDES) {
    const { role, account } = value[side];
    if (role !== undefined && account !== undefined && accountOf({ role }) !== account) {
      complain([side, 'role'], `expected a role of the account ${account}, got ${role}`);
    }
    if (value[side].externalId !== undefined && role === undefined) {
      complain([side, 'externalId'], 'says nothing without role');
    }
    if (account !== undefined && role === undefined) {
      complain([side, 'account'], 'says nothing without role: Tocsin reads its own account otherwise');
    }
  }
  const shared = staging.names.find((word) =>
    production.names.some((other) => other.toLowerCase() === word.toLowerCase()),
  );
  if (shared !== undefined) complain(['production', 'names'], `"${shared}" is a name of staging, too`);
  const isOnePlace =
    staging.account === production.account &&
    staging.region === production.region &&
    staging.role === production.role;
  for (const [list, entries] of Object.entries(compare)) {
    if (list === 'tags') continue;
    const seen = new Map<string, number>();
    for (const [index, entry] of (entries as Pair[]).entries()) {
      if (typeof entry !== 'string' && isOnePlace && entry.staging === entry.production) {
        complain(['compare', list, index], `${entry.staging} would be compared with itself`);
      }
      const [what, pattern] = NAMES[list as PairKind];
      const wrong = SIDES.find((side) => !pattern.test(physicalName(entry, side, value[side])));
      if (wrong !== undefined) {
        const got = physicalName(entry, wrong, value[wrong]);
        complain(['compare', list, index], `expected ${what}, got ${got} in ${wrong}`);
      }
      const called = pairName(entry);
      const first = seen.get(called);
      if (first !== undefined)
        complain(['compare', list, index], `"${called}" is the name of number ${first + 1}, too`);
      else seen.set(called, index);
    }
  }
  const endpoints = compare.endpoints.map(pairName);
  for (const [probe, { endpoint }] of Object.entries(probes)) {
    if (!endpoints.includes(endpoint)) {
      complain(
        ['probes', probe, 'endpoint'],
        `expected one of compare.endpoints (${endpoints.join(', ') || 'none'}), got ${endpoint}`,
      );
    }
  }
  for (const [index, { staging: one, production: other }] of substitutions.entries()) {
    if (one === other) complain(['substitutions', index], 'staging and production are the same text');
  }
});

/** A comparison of tocsin.yaml. */
export type ParityConfig = z.output<typeof paritySchema>;

/** One environment of it. */
export type EnvironmentConfig = ParityConfig[Side];

/** The account of an environment: as it is named, or that of its role; undefined where it is Tocsin's own. */
export function accountOf({
  account,
  role,
}: Pick<EnvironmentConfig, 'account' | 'role'>): string | undefined {
  return account ?? role?.split(':')[4];
}

/** A comparison that knows the lines of its rules; paths begin below it. */
export interface LocatedParity extends Located<ParityConfig> {
  name: string;
}

export const paritiesSchema = z.record(name, paritySchema);

/** A name of each environment. */
export type Pair = string | { name: string; staging: string; production: string };

/** The lists of `compare` that name things one by one. */
export type PairKind = Exclude<keyof ParityConfig['compare'], 'tags'>;

/**
 * What something is called in both environments: its name without that of the environment and one hyphen, dot, slash or
 * underscore beside it.
 *
 * @param text with {environment}
 */
export function logicalName(text: string): string {
  return text.replaceAll(/[-_./]\{environment\}|\{environment\}[-_./]?/g, '') || text;
}

/** What a pair is called in paths. */
export function pairName(pair: Pair): string {
  return typeof pair === 'string' ? logicalName(pair) : pair.name;
}

/** What it is called in one environment. */
export function physicalName(pair: Pair, side: Side, { names }: Pick<EnvironmentConfig, 'names'>): string {
  return typeof pair === 'string' ? pair.replace(ENVIRONMENT, names[0] ?? '') : pair[side];
}

// ---------------------------------------------------------------------------------------------------------
// parity.yaml
// ---------------------------------------------------------------------------------------------------------

/** Name of the file of documented differences, beside tocsin.yaml. */
export const DOCUMENTED_FILE = 'parity.yaml';

const WRITTEN = 'a sentence; it is still to be filled in';
const DAY = 'a day such as 2027-01-31';

const scalar = z.union([z.string(), z.number(), z.boolean(), z.null()]);

const RELATION = 'production >= staging, or with >, <=, <, ==, !=';

const testShape = strict({
  relation: z
    .string({ error: RELATION })
    .regex(/^(production|staging) *(>=|<=|==|!=|>|<) *(production|staging)$/, RELATION)
    .refine((text) => text.includes('production') && text.includes('staging'), `expected ${RELATION}`)
    .optional()
    .describe('Between the two values: numbers and durations by value; == and != of anything'),
  same: strict({
    after: z.string().min(1).optional().describe('The last of these in either value'),
    before: z.string().min(1).optional().describe('The first of these in either value'),
  })
    .refine(
      ({ after, before }) => (after === undefined) !== (before === undefined),
      'expected one of after and before',
    )
    .optional()
    .describe('What is equal in both texts: after: ":" is everything after the last colon'),
  values: strict({
    staging: scalar.optional().describe('What staging must have'),
    production: scalar.optional().describe('What production must have'),
  })
    .refine(
      (values) => Object.keys(values).length > 0,
      'expected a value of staging, of production, or of both',
    )
    .optional()
    .describe('The only values that are allowed; one that is left out may be anything. null: there is none'),
  probe: name.optional().describe('A probe of tocsin.yaml, which both endpoints have to pass'),
});

/** Whether a text is a day that there is. */
function isDay(text: string): boolean {
  return (
    /^\d{4}-\d{2}-\d{2}$/.test(text) && (new Date(`${text}T00:00:00Z`).toJSON()?.startsWith(text) ?? false)
  );
}

const documentedEntrySchema = strict({
  path: z
    .string()
    .min(1)
    .superRefine((text, context) => {
      try {
        const { segments } = parsePattern(text);
        // It would cover whatever comes.
        if (segments.every((segment) => segment === '**' || segment.test('') || segment.test('[]'))) {
          context.addIssue({ code: 'custom', message: 'expected at least one word that is no wildcard' });
        }
      } catch (error) {
        context.addIssue({ code: 'custom', message: (error as Error).message });
      }
    })
    .describe('Path of the difference; * is any part of a segment, ** any number of segments'),
  reason: z.string({ error: WRITTEN }).trim().min(1, WRITTEN).describe('Why it is so, and why it is safe'),
  owner: z.string({ error: 'who answers for it' }).trim().min(1).describe('Who answers for it'),
  expires: z
    .string({ error: DAY })
    .regex(/^\d{4}-\d{2}-\d{2}$/, { error: DAY, abort: true })
    .refine(isDay, `expected ${DAY}`)
    .describe('The last day on which it holds, in UTC'),
  test: testShape.describe('What has to hold all the same: one of relation, same, values, probe'),
}).check(({ value, issues }) => {
  const tests = Object.keys(value.test);
  if (tests.length !== 1) {
    issues.push({
      code: 'custom',
      input: value,
      path: ['test'],
      message: `expected one of relation, same, values and probe, got ${tests.join(' and ') || 'none'}`,
    });
  }
});

/** A documented difference. */
export type DocumentedEntry = z.output<typeof documentedEntrySchema>;

/** The whole of parity.yaml. */
export const documentedSchema = strict({
  parity: z.literal(1).describe('Version of this format'),
  differences: z
    .record(name, z.array(documentedEntrySchema).max(1000))
    .default({})
    .describe('Differences between staging and production that are meant to be; by name of the comparison'),
});

/** The documented differences of one comparison, each of which knows its line. */
export type LocatedEntries = Located<DocumentedEntry[]>;

/**
 * The documented differences of each comparison.
 *
 * @throws ConfigError with every mistake
 */
export function parseDocumented({ file, text }: { file: string; text: string }): Map<string, LocatedEntries> {
  return entriesOf(parseYaml(documentedSchema, text, file), 'differences');
}

// ---------------------------------------------------------------------------------------------------------
// What the deployed function reads
// ---------------------------------------------------------------------------------------------------------

/** tocsin.yaml, and parity.yaml where there is one. */
export const parityBundleSchema = textBundleSchema.extend({
  documented: strict({ file: z.string().min(1), text: z.string() }).optional(),
});

export type ParityBundle = z.output<typeof parityBundleSchema>;

const partSchema = z.looseObject({ parity: paritiesSchema.default({}) });

/** A comparison with what is documented of it. */
export interface Parity extends LocatedParity {
  /** Undefined: nothing is documented. */
  documented: LocatedEntries | undefined;
}

/**
 * The comparisons of a tocsin.yaml, by name.
 *
 * @throws ConfigError with every mistake in the section, or in parity.yaml
 */
export function parseParities({
  file,
  text,
  documented,
}: Pick<TextBundle, 'file' | 'text'> & { documented?: { file: string; text: string } | undefined }): Map<
  string,
  Parity
> {
  const entries = documented === undefined ? undefined : parseDocumented(documented);
  return new Map(
    [...entriesOf<'parity', ParityConfig>(parseYaml(partSchema, text, file), 'parity')].map(
      ([called, parity]) => [called, { ...parity, documented: entries?.get(called) }],
    ),
  );
}

export const environmentSchema = z.object({
  ...judgingEnvironment,
  ...workflowEnvironment,
  /** Of golden requests whose place names no bucket; absent where each names one. */
  DATA_BUCKET: z.string().min(1).optional(),
});

export type Environment = z.output<typeof environmentSchema>;

/** How long a run may take at most, milliseconds: reading twice 10,000 things, slowly. */
export const LONGEST_PARITY_MS = 2 * 3_600_000;

// ---------------------------------------------------------------------------------------------------------
// What invokes it, what it answers and what it emits
// ---------------------------------------------------------------------------------------------------------

/** Direct invocation, and the input of a schedule. */
export const parityRequestSchema = strict({ parity: name, run: runId.optional() });

/** What a run answers; also the detail of its event. */
export const parityResultSchema = z.object({
  parity: z.string(),
  outcome: z.enum(['pass', 'fail', 'inconclusive']),
  reason: z.string(),
  verdict: z.string(),
  evidence: z.string(),
  /** Differences by how they are judged. */
  differences: z.object({ undocumented: z.int(), documented: z.int() }),
  /** At most 10 messages of the worst findings. */
  findings: z.array(z.string()),
});

export type ParityResult = z.output<typeof parityResultSchema>;

/** Detail type of what it emits. */
export const PARITY_FINISHED = 'Config Parity Finished';
