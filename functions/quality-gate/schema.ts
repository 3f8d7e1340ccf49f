import * as z from 'zod';
import { COLUMN_TYPES, type ColumnType } from '../shared/profile.ts';
import {
  change,
  didYouMean,
  duration,
  entriesOf,
  judgingEnvironment,
  type Located,
  name,
  parseYaml,
  percent,
  place,
  sagemakerName,
  schedule,
  strict,
  textBundleSchema,
} from '../shared/schema.ts';

/*
 * Everything that reaches the quality gate from outside: the contract, the event, the direct invocation,
 * the environment, and its part of tocsin.yaml. The construct and lib/config.ts read the same schemas.
 */

// ---------------------------------------------------------------------------------------------------------
// The contract
// ---------------------------------------------------------------------------------------------------------

const NUMERIC: readonly ColumnType[] = ['integer', 'number'];
const TEMPORAL: readonly ColumnType[] = ['timestamp', 'date'];

const bound = z.union([z.number(), z.string(), z.null()], {
  error: 'a number, a date, or null for no bound',
});

const effect = z.number().positive().max(100);

const driftSchema = strict({
  psi: effect.optional().describe('Largest population stability index (natural logarithm)'),
  js: effect.max(1).optional().describe('Largest Jensen-Shannon distance, base 2, from 0 to 1'),
  ks: effect.max(1).optional().describe('Largest Kolmogorov-Smirnov statistic, from 0 to 1; numbers only'),
  wasserstein: effect
    .optional()
    .describe('Largest Wasserstein-1 distance, in standard deviations of the baseline; numbers only'),
  linf: effect
    .max(1)
    .optional()
    .describe('Largest change of the share of one category; strings and booleans only'),
  mean: effect.optional().describe('Largest shift of the mean, in standard deviations of the baseline'),
  quantiles: z
    .record(z.string().regex(/^0?\.\d+$/, 'a quantile between 0 and 1, such as 0.5'), effect)
    .optional()
    .describe('Largest shift of a quantile, in standard deviations of the baseline: { 0.5: 0.2, 0.99: 0.5 }'),
});

/** Checks that a column can be told to warn of instead of failing. */
const COLUMN_CHECKS = [
  'type',
  'nulls',
  'empty',
  'nan',
  'zeros',
  'invalid',
  'range',
  'values',
  'pattern',
  'length',
  'constant',
  'dominant',
  'distinct',
  'newCategories',
  'vanishedCategories',
  'psi',
  'js',
  'ks',
  'wasserstein',
  'linf',
  'mean',
  'quantiles',
] as const;
export type ColumnCheck = (typeof COLUMN_CHECKS)[number];

/** Checks on the whole dataset that can be told to warn. */
const DATASET_CHECKS = [
  'rows',
  'rowsChange',
  'key',
  'duplicateRows',
  'freshness',
  'columnOrder',
  'extraColumns',
] as const;
export type DatasetCheck = (typeof DATASET_CHECKS)[number];

const columnSchema = strict({
  type: z.enum(COLUMN_TYPES).describe('Logical type'),
  physical: z.string().optional().describe('Physical type as the file stores it (Parquet only), e.g. BIGINT'),
  timeFormat: z.string().optional().describe('strptime format of a text timestamp or date, e.g. %d/%m/%Y'),
  required: z
    .boolean()
    .optional()
    .describe(
      'true: every row has a value; false: the column may be absent; left out: the column must exist',
    ),
  pii: z.boolean().optional().describe('Personal data: no value of this column is kept or shown anywhere'),
  nulls: percent.optional().describe('Largest share of nulls'),
  empty: percent.optional().describe('Largest share of empty or blank strings'),
  nan: percent.optional().describe('Largest share of NaN and infinities (default 0%)'),
  zeros: percent.optional().describe('Largest share of zeros'),
  invalid: percent
    .optional()
    .describe('Largest share of values that do not convert to the type (default 0%)'),
  range: z
    .tuple([bound, bound], { error: 'a pair [lowest, highest]' })
    .optional()
    .describe('Numbers and times: [lowest, highest], both allowed; null for no bound'),
  outOfRange: percent.optional().describe('Share that may lie outside the range (default 0%)'),
  values: z
    .array(z.union([z.string(), z.number(), z.boolean()]))
    .min(1)
    .max(1000)
    .optional()
    .describe('The allowed values'),
  otherValues: percent.optional().describe('Share that may lie outside the set of values (default 0%)'),
  pattern: z.string().optional().describe('Regular expression (RE2) that the whole string matches'),
  mismatches: percent.optional().describe('Share that may miss the pattern (default 0%)'),
  length: z
    .tuple([z.int().min(0), z.int().min(0)], { error: 'a pair [shortest, longest]' })
    .optional()
    .describe('Strings: [shortest, longest] in characters'),
  outOfLength: percent.optional().describe('Share that may have another length (default 0%)'),
  constant: z
    .literal(false, { error: 'false (a column may not be constant); leave it out otherwise' })
    .optional()
    .describe('false: the column has at least two distinct values'),
  dominant: percent.optional().describe('Largest share of the most frequent value'),
  distinct: z
    .tuple([z.int().min(0), z.int().min(0).nullable()], { error: 'a pair [fewest, most]' })
    .optional()
    .describe('Number of distinct values'),
  newCategories: percent.optional().describe('Largest share of values that the baseline does not have'),
  vanishedCategories: percent
    .optional()
    .describe("Largest share of the baseline's rows whose value no longer occurs"),
  drift: driftSchema.optional().describe('How far the values may have moved from the baseline'),
  warn: z.array(z.enum(COLUMN_CHECKS)).optional().describe('Checks that warn instead of failing'),
});

/** What the contract says of one column. Shares are fractions. */
export type ColumnRule = z.output<typeof columnSchema>;

const csvSchema = strict({
  delimiter: z.string().min(1).max(4).default(',').describe('Between cells'),
  quote: z.string().length(1).default('"').describe('Around cells; doubled inside them'),
  header: z
    .boolean()
    .default(true)
    .describe(
      'Whether the first line has the names; without, columns are those of the contract, in its order',
    ),
  nullValues: z.array(z.string()).max(20).default(['']).describe('Unquoted texts that mean null'),
  encoding: z
    .enum(['utf-8', 'utf-16', 'latin-1'])
    .default('utf-8')
    .describe('How characters are written as bytes'),
});

export type CsvOptions = z.output<typeof csvSchema>;

const ruleSchema = strict({
  name: z.string().min(1).max(120).describe('What messages call it'),
  sql: z.string().min(1).max(2000).describe('One boolean expression over the columns; true for a good row'),
  violations: percent.default(0).describe('Largest share of rows for which it is not true (default 0%)'),
  warn: z.boolean().optional().describe('true: warns instead of failing'),
});

const identifier = z
  .string()
  .regex(/^[a-z0-9](-?[a-z0-9])*$/, 'lower-case letters, digits and single hyphens')
  .max(60);

export const contractSchema = strict({
  contract: z.literal(1).describe('Version of this format'),
  dataset: identifier.describe('Name of the dataset'),
  format: z.enum(['csv', 'jsonl', 'parquet']).describe('Of the files; jsonl: JSON Lines, one object a line'),
  csv: csvSchema.optional().describe('How the text is written; format csv only'),
  batch: z
    .enum(['object', 'marker'])
    .default('object')
    .describe('marker: a prefix is one dataset, complete when _SUCCESS lands'),
  rows: strict({
    min: z.int().min(0).optional().describe('Fewest rows; a dataset without rows never passes'),
    max: z.int().min(0).optional().describe('Most rows'),
    changeFromBaseline: change.optional().describe('Largest relative change of the row count'),
  })
    .optional()
    .describe('How many rows there may be'),
  key: strict({
    columns: z.array(z.string()).min(1).max(16).describe('Columns that together tell rows apart'),
    duplicates: percent
      .default(0)
      .describe('Largest share of rows that repeat the key of another (default 0%)'),
  })
    .optional()
    .describe('What tells rows apart'),
  duplicateRows: percent.optional().describe('Largest share of rows that repeat another in every column'),
  freshness: strict({
    column: z.string().describe('A timestamp or a date'),
    maxAge: duration.optional().describe('The newest value is at most this old'),
    future: duration.default(86_400_000).describe('The newest value is at most this far ahead (default 1d)'),
    span: z
      .tuple([duration, duration])
      .optional()
      .describe('Time between the oldest and the newest value: [least, most]'),
    asOf: z
      .enum(['upload', 'key'])
      .default('upload')
      .describe(
        'Measured from the upload, or from the end of the period in the object key (2001-02, 2001-02-14)',
      ),
  })
    .optional()
    .describe('How old, and how much of time, the rows may be'),
  columnOrder: z
    .enum(['any', 'contract'])
    .default('any')
    .describe('contract: columns stand in the order of the contract'),
  extraColumns: z
    .enum(['allow', 'warn', 'forbid'])
    .default('forbid')
    .describe('What columns amount to that are not in the contract'),
  confidence: z
    .number()
    .min(0.5)
    .max(0.99999)
    .default(0.99)
    .describe('Of all drift checks together (default 0.99)'),
  columns: z
    .record(z.string().min(1), columnSchema)
    .describe('What each column must be, by its name; at least one, at most 2000'),
  rules: z.array(ruleSchema).max(100).default([]).describe('What has to hold of every row, in SQL'),
  warn: z
    .array(z.enum(DATASET_CHECKS))
    .optional()
    .describe('Checks on the dataset that warn instead of failing'),
}).superRefine((contract, context) => {
  const names = Object.keys(contract.columns);
  const complain = (path: PropertyKey[], message: string) =>
    context.addIssue({ code: 'custom', path, message });
  if (names.length === 0) complain(['columns'], 'name at least one column');
  if (names.length > 2000) complain(['columns'], `at most 2000 columns, got ${names.length}`);
  if (contract.csv !== undefined && contract.format !== 'csv')
    complain(['csv'], `only with format: csv, got ${contract.format}`);
  const known = (path: PropertyKey[], column: string) => {
    if (!Object.hasOwn(contract.columns, column)) {
      complain(path, `no column "${column}" in this contract${didYouMean(column, names)}`);
      return undefined;
    }
    return contract.columns[column];
  };
  contract.key?.columns.forEach((column, index) => {
    known(['key', 'columns', index], column);
  });
  if (contract.freshness !== undefined) {
    const column = known(['freshness', 'column'], contract.freshness.column);
    if (column !== undefined && !TEMPORAL.includes(column.type)) {
      complain(
        ['freshness', 'column'],
        `needs a timestamp or a date, "${contract.freshness.column}" is ${column.type}`,
      );
    }
  }
  if (new Set(contract.rules.map((rule) => rule.name)).size < contract.rules.length) {
    complain(['rules'], 'two rules have the same name');
  }
  const { min = 0, max = Number.POSITIVE_INFINITY } = contract.rows ?? {};
  if (min > max) complain(['rows'], `min ${min} is above max ${max}`);
  for (const [name, column] of Object.entries(contract.columns)) {
    const at = (key: string) => ['columns', name, key];
    const only = (key: keyof ColumnRule, types: readonly ColumnType[]) => {
      if (column[key] !== undefined && !types.includes(column.type)) {
        complain(at(key), `does not apply to a ${column.type} (only to ${types.join(', ')})`);
      }
    };
    only('zeros', NUMERIC);
    only('nan', NUMERIC);
    only('empty', ['string']);
    only('pattern', ['string']);
    only('length', ['string']);
    only('range', [...NUMERIC, ...TEMPORAL]);
    only('values', ['string', 'integer', 'number', 'boolean']);
    only('timeFormat', TEMPORAL);
    only('newCategories', ['string', 'boolean']);
    only('vanishedCategories', ['string', 'boolean']);
    const pairs: [keyof ColumnRule, keyof ColumnRule][] = [
      ['outOfRange', 'range'],
      ['otherValues', 'values'],
      ['mismatches', 'pattern'],
      ['outOfLength', 'length'],
    ];
    for (const [share, rule] of pairs) {
      if (column[share] !== undefined && column[rule] === undefined)
        complain(at(share), `says nothing without ${rule}`);
    }
    checkRange(column, (message) => complain(at('range'), message));
    if (column.length !== undefined && column.length[0] > column.length[1])
      complain(at('length'), 'the shortest is above the longest');
    if (
      column.distinct !== undefined &&
      column.distinct[1] !== null &&
      column.distinct[0] > column.distinct[1]
    ) {
      complain(at('distinct'), 'the fewest is above the most');
    }
    if (column.required === true && (column.nulls ?? 0) > 0)
      complain(at('nulls'), 'required: true allows no nulls');
    for (const measure of Object.keys(column.drift ?? {})) {
      const fits =
        NUMERIC.includes(column.type) || TEMPORAL.includes(column.type)
          ? measure !== 'linf'
          : ['psi', 'js', 'linf'].includes(measure);
      if (!fits) complain(['columns', name, 'drift', measure], `does not apply to a ${column.type}`);
    }
    if (column.pii === true) {
      for (const key of ['drift', 'newCategories', 'vanishedCategories', 'values'] as const) {
        if (column[key] !== undefined)
          complain(at(key), 'needs values to be kept, and pii: true forbids that');
      }
    }
  }
});

function checkRange(column: ColumnRule, complain: (message: string) => void): void {
  if (column.range === undefined) return;
  const numeric = NUMERIC.includes(column.type);
  const [low, high] = column.range.map((end) => {
    if (end === null) return null;
    if (numeric) {
      if (typeof end !== 'number') complain(`bounds of a ${column.type} are numbers, got "${end}"`);
      return Number(end);
    }
    const time = typeof end === 'string' ? Date.parse(end) : Number.NaN;
    if (Number.isNaN(time))
      complain(`bounds of a ${column.type} are ISO 8601 dates such as 2001-01-31, got ${end}`);
    return time;
  }) as [number | null, number | null];
  if (low !== null && high !== null && low > high) complain('the lowest is above the highest');
}

/** What a dataset must look like. Shares are fractions, durations milliseconds. */
export type Contract = z.output<typeof contractSchema>;

/** A contract that knows the lines of its rules. */
export type LocatedContract = Located<Contract>;

/** @throws ConfigError with every mistake. `file` is the name to show in messages. */
export function parseContract(text: string, file: string): LocatedContract {
  return parseYaml(contractSchema, text, file);
}

// ---------------------------------------------------------------------------------------------------------
// Its part of tocsin.yaml
// ---------------------------------------------------------------------------------------------------------

const bucketName = z
  .string()
  .regex(
    /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/,
    'a bucket name: 3 to 63 lower-case letters, digits, dots and hyphens',
  );

// Without `*`, which is a wildcard in policies and event patterns.
const prefix = z
  .string()
  .regex(/^[A-Za-z0-9!_.'()/=-]+\/$/, 'a key prefix that ends in a slash, such as raw/flights/')
  .max(512);

const kmsKey = z
  .string()
  .regex(/^arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:key\/[A-Za-z0-9-]+$/, 'the ARN of a KMS key');

export const datasetSchema = strict({
  contract: z.string().min(1).describe('Path of the contract, from this file'),
  bucket: bucketName.optional().describe('An existing bucket; left out: the bucket that Tocsin creates'),
  kmsKey: kmsKey
    .optional()
    .describe('Customer-managed key that the objects of an existing bucket are encrypted with'),
  prefix: prefix.describe('Every object below it is gated'),
  inconclusive: z
    .enum(['block', 'allow'])
    .default('block')
    .describe('allow: an inconclusive dataset may be read'),
  onAccept: strict({
    pipeline: z
      .string()
      .regex(/^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,255}$/, 'a SageMaker pipeline name')
      .describe('SageMaker pipeline to start with each accepted dataset'),
    uriParameter: z
      .string()
      .min(1)
      .default('DatasetUri')
      .describe('Pipeline parameter for the s3:// address'),
    versionParameter: z.string().min(1).optional().describe('Pipeline parameter for the object version'),
  })
    .optional()
    .describe('What happens once a dataset has passed'),
});

export type DatasetConfig = z.output<typeof datasetSchema>;

/** `datasets:` of tocsin.yaml, by name of the dataset. */
export const datasetsSchema = z.record(identifier, datasetSchema);

/** What the deployed function reads: the datasets and the text of their contracts, as one JSON object in S3. */
export const bundleSchema = strict({
  bundle: z.literal(1),
  datasets: datasetsSchema,
  /** Text by path. */
  contracts: z.record(z.string(), z.string()),
});

export type Bundle = z.output<typeof bundleSchema>;

// ---------------------------------------------------------------------------------------------------------
// The environment of the function
// ---------------------------------------------------------------------------------------------------------

export const environmentSchema = z.object({
  ...judgingEnvironment,
  /** The bucket of datasets that name none; absent where all name one. */
  DATA_BUCKET: z.string().min(1).optional(),
  /** Bytes of objects that one verdict may download. */
  MAX_DATASET_BYTES: z.coerce.number().int().positive(),
  /** Bytes of /tmp for the download and for what DuckDB spills. */
  TMP_BYTES: z.coerce.number().int().positive(),
  /** Bytes of memory that DuckDB may take. */
  ENGINE_MEMORY_BYTES: z.coerce.number().int().positive(),
});

export type Environment = z.output<typeof environmentSchema>;

// ---------------------------------------------------------------------------------------------------------
// Drift monitors in tocsin.yaml: the same engine, over what an endpoint was asked
// ---------------------------------------------------------------------------------------------------------

const monitorSchema = strict({
  endpoint: sagemakerName.describe('The endpoint, which captures what it is asked'),
  capture: place.describe('Where it captures: the DestinationS3Uri of its data capture, s3://bucket/prefix/'),
  kmsKey: kmsKey.optional().describe('Customer-managed key that the captured records are encrypted with'),
  dataset: name.describe(
    'Dataset of tocsin.yaml: its contract says what the features are, its baseline what is usual',
  ),
  features: z
    .array(z.string().min(1))
    .min(1)
    .max(500)
    .describe(
      'Columns of a record, in the order in which the endpoint gets them; those of JSON Lines by name',
    ),
  measure: z
    .enum(['psi', 'js', 'ks', 'wasserstein', 'linf'])
    .default('psi')
    .describe('How drift is measured (default psi); ks and wasserstein: numbers only, linf: strings only'),
  window: duration
    .refine((ms) => ms >= 60_000 && ms <= 7 * 24 * 3_600_000, 'expected a window from 1m to 7d')
    .default(3_600_000)
    .describe('What is compared: records captured in the last 1m to 7d (default 1h)'),
  minRecords: z
    .int()
    .min(50)
    .default(500)
    .describe('A window with fewer is not compared (default 500): chance looks like drift'),
  schedule: schedule
    .unwrap()
    .default('rate(1 hour)')
    .describe('rate(...) or cron(...) of EventBridge (default rate(1 hour))'),
  alarm: strict({
    threshold: z.number().gt(0).describe('Drift of any feature at which somebody is told'),
    evaluationPeriods: z.int().min(1).max(24).default(1).describe('Of windows (default 1)'),
  })
    .optional()
    .describe('An alarm on the feature that has drifted most: tocsin-drift-NAME; left out: none'),
}).check(({ value, issues }) => {
  if (new Set(value.features).size < value.features.length) {
    issues.push({ code: 'custom', input: value, path: ['features'], message: 'one is there twice' });
  }
});

/** A drift monitor of tocsin.yaml. Durations are milliseconds. */
export type MonitorConfig = z.output<typeof monitorSchema>;

export const driftMonitorsSchema = z.record(name, monitorSchema);

/** A drift monitor that knows the lines of its keys; paths begin below the monitor: `['alarm', 'threshold']`. */
export interface LocatedMonitor extends Located<MonitorConfig> {
  name: string;
}

/** What the deployed drift monitor reads, as one JSON object in S3. */
export const monitorBundleSchema = strict({
  ...textBundleSchema.shape,
  /** The contracts of the datasets that its monitors name, by name of the dataset. */
  contracts: z.record(name, strict({ file: z.string().min(1), text: z.string() })),
});

export type MonitorBundle = z.output<typeof monitorBundleSchema>;

const monitorsSchema = z.looseObject({ driftMonitors: driftMonitorsSchema.default({}) });

/**
 * The drift monitors of a tocsin.yaml, by name.
 *
 * @throws ConfigError with every mistake in the section
 */
export function parseMonitors({
  file,
  text,
}: Pick<MonitorBundle, 'file' | 'text'>): Map<string, LocatedMonitor> {
  return entriesOf(parseYaml(monitorsSchema, text, file), 'driftMonitors');
}

/** The environment of the drift monitor. Bytes as of {@link environmentSchema}. */
export const monitorEnvironmentSchema = environmentSchema.pick({
  CONFIG_BUCKET: true,
  CONFIG_KEY: true,
  EVIDENCE_BUCKET: true,
  MAX_DATASET_BYTES: true,
  TMP_BYTES: true,
  ENGINE_MEMORY_BYTES: true,
});

/** Direct invocation of the drift monitor, and the input of its schedules. */
export const monitorRequestSchema = strict({ monitor: name });

/** CloudWatch namespace of what drift monitors see, and its metrics. */
export const DRIFT_NAMESPACE = 'Tocsin/Drift';
/** Dimensions `Monitor` and `Feature`: the drift of one feature. */
export const DRIFT_METRIC = 'Drift';
/** Dimension `Monitor`: that of the feature that has drifted most. */
export const LARGEST_DRIFT_METRIC = 'LargestDrift';
/** Dimension `Monitor`: records in the window. */
export const RECORDS_METRIC = 'Records';

/** Name of the alarm of a drift monitor. */
export function driftAlarmName(monitor: string): string {
  return `tocsin-drift-${monitor}`;
}

// ---------------------------------------------------------------------------------------------------------
// What invokes it, what it answers and what it emits
// ---------------------------------------------------------------------------------------------------------

/** EventBridge's `Object Created`. Keys are not URL-encoded here, unlike in S3 notifications. */
export const objectCreatedSchema = z.object({
  source: z.literal('aws.s3'),
  'detail-type': z.literal('Object Created'),
  detail: z.object({
    bucket: z.object({ name: z.string().min(1) }),
    object: z.object({
      key: z.string().min(1),
      size: z.number().nonnegative().optional(),
      etag: z.string().optional(),
      'version-id': z.string().optional(),
      sequencer: z.string().optional(),
    }),
  }),
});

/** Direct invocation, for a SageMaker Pipelines Lambda step or Step Functions. */
export const invocationSchema = strict({
  dataset: identifier,
  uri: z.string().regex(/^s3:\/\/[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]\/.+$/, 's3://bucket/key'),
  versionId: z.string().min(1).optional(),
});

/** What the function answers; also the detail of `Dataset Accepted` and `Dataset Rejected`. */
export const resultSchema = z.object({
  dataset: z.string(),
  uri: z.string(),
  versionId: z.string(),
  outcome: z.enum(['pass', 'fail', 'inconclusive']),
  /** Whether the dataset may be read now. */
  accepted: z.boolean(),
  reason: z.string(),
  verdict: z.string(),
  evidence: z.string(),
  /** At most 10 messages of the worst findings. */
  findings: z.array(z.string()),
});

export type GateResult = z.output<typeof resultSchema>;

/** Detail types of what the gate emits. */
export const ACCEPTED = 'Dataset Accepted';
export const REJECTED = 'Dataset Rejected';

/** A zero-byte object of this name completes a `batch: marker` dataset. */
export const MARKER = '_SUCCESS';
