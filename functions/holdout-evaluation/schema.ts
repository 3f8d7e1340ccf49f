import * as z from 'zod';
import { runId } from '../shared/progress.ts';
import {
  didYouMean,
  duration,
  entriesOf,
  judgingEnvironment,
  type Located,
  name,
  parseYaml,
  place,
  sagemakerName,
  schedule,
  stackNames,
  strict,
  type TextBundle,
  workflowEnvironment,
} from '../shared/schema.ts';
import {
  type Average,
  factsOf,
  METRICS,
  type MetricName,
  type MetricQuery,
  metricsOf,
  rangeOf,
  TASKS,
} from './metric.ts';

/*
 * Everything that reaches the holdout evaluation and the pipeline canary from outside: their part of tocsin.yaml, events,
 * direct invocations, the environment. The constructs and lib/config.ts read the same schemas.
 */

// ---------------------------------------------------------------------------------------------------------
// Models in tocsin.yaml
// ---------------------------------------------------------------------------------------------------------

const column = z.string().min(1, 'the name of a column');

/** One column, or a SQL expression over the columns of one row. */
const columnOrExpression = z.string().min(1, 'a column, or a SQL expression over the columns of one row');

const roleArn = z
  .string()
  .regex(/^arn:aws[a-z-]*:iam::\d{12}:role\/[\w+=,.@/-]+$/, 'the ARN of a role, without wildcards');

const kmsKeyArn = z
  .string()
  .regex(/^arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:key\/[A-Za-z0-9-]+$/, 'the ARN of a KMS key');

const queryShape = {
  metric: z
    .enum(Object.keys(METRICS) as [MetricName, ...MetricName[]])
    .describe('What is computed; which there are depends on the task'),
  at: strict({
    // Scores are probabilities: at 0 every one is positive, above 1 none.
    threshold: z.number().gt(0).max(1).describe('Scores at or above it count as positive'),
  })
    .optional()
    .describe('Binary (default threshold 0.5)'),
  class: z.string().optional().describe('Multiclass: of this class alone'),
  average: z.enum(['macro', 'micro']).optional().describe('Multiclass, over the classes (default macro)'),
  quantile: z.number().gt(0).lt(1).optional().describe('Of pinballLoss'),
};

const boundShape = {
  atLeast: z
    .number()
    .optional()
    .describe('Lower bound of the metric, in its own unit; this one, atMost or both'),
  atMost: z.number().optional().describe('Upper bound of the metric, in its own unit'),
  because: z.string().min(1).optional().describe('Why this threshold: quoted where it is missed'),
};

const requirementSchema = strict({
  ...queryShape,
  ...boundShape,
  slices: z
    .array(columnOrExpression)
    .min(1)
    .optional()
    .describe('Required of every value of these columns or SQL expressions, instead of the whole'),
  minExamples: z
    .int()
    .min(2)
    .default(200)
    .describe('A slice (or a holdout) with fewer examples is not judged (default 200)'),
  onThinSlice: z
    .enum(['fail', 'warn'])
    .default('warn')
    .describe('What a slice with too few examples amounts to (default warn)'),
});

/** A threshold that somebody documented. */
export type Requirement = z.output<typeof requirementSchema>;

const holdoutSchema = strict({
  uri: place.describe('The labelled examples: s3://bucket/key, or a key in the bucket that Tocsin creates'),
  contract: z
    .string()
    .min(1)
    .describe('The contract that the holdout has passed: that of the dataset whose prefix it is below'),
  label: columnOrExpression.describe('What the model predicts; never shown to it'),
  positive: z
    .union([z.string(), z.number(), z.boolean()])
    .optional()
    .describe('Binary: the label that counts as positive (default true, or 1)'),
  features: z
    .array(column)
    .min(1)
    .optional()
    .describe('Columns that the model gets, in its order (default: all but label and weight)'),
  weight: column.optional().describe('Column with the weight of each example'),
});

const transformSchema = strict({
  instanceType: z
    .string()
    .regex(/^ml\.[a-z0-9-]+\.[a-z0-9]+$/, 'an instance type such as ml.m5.large')
    .describe('Machine that the model answers the holdout on, such as ml.m5.large'),
  instanceCount: z.int().min(1).max(100).default(1).describe('Machines of the transform job (default 1)'),
  content: z
    .enum(['text/csv', 'application/jsonlines'])
    .default('text/csv')
    .describe('What the container takes and gives (default text/csv)'),
  prediction: z
    .string()
    .regex(/^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$/, 'a path such as probability or output.score')
    .optional()
    .describe('JSON Lines: where in an answer the prediction is (default: the answer itself)'),
  timeout: duration
    .refine((ms) => ms >= 60_000 && ms <= 24 * 3_600_000, 'expected a timeout from 1m to 24h')
    .default(30 * 60_000)
    .describe('Of the transform job, 1m to 24h (default 30m)'),
  maxPayloadMb: z.int().min(1).max(100).default(6).describe('Of one request to the container (default 6)'),
  networkIsolation: z
    .boolean()
    .default(true)
    .describe('Whether the container is cut off from the network and AWS (default true)'),
});

const executionSchema = strict({
  role: roleArn
    .optional()
    .describe('Role that the temporary model runs with; left out: one that Tocsin creates'),
  artifacts: z
    .array(
      z
        .string()
        .regex(/^s3:\/\/[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]\/([A-Za-z0-9!_.'()=-]+\/)*$/, 's3://bucket/prefix/'),
    )
    .default([])
    .describe('Where model artefacts are: what the role that Tocsin creates may read'),
  kmsKeys: z.array(kmsKeyArn).default([]).describe('Keys that the artefacts are encrypted with'),
});

const modelShape = strict({
  modelPackageGroup: sagemakerName.describe(
    'Group of the model registry: each version that is registered in it is evaluated',
  ),
  task: z.enum(TASKS).describe('What the model does, and so which metrics there are'),
  classes: z
    .array(z.string().min(1))
    .min(2)
    .max(1000)
    .optional()
    .describe('Multiclass: in the order of the probabilities that the model gives'),
  approve: z
    .enum(['automatic', 'recommend'])
    .default('automatic')
    .describe('recommend: the package stays pending, with the verdict attached (default automatic)'),
  holdout: holdoutSchema.describe('Labelled examples that the model has not learned from'),
  transform: transformSchema.describe('The batch transform job in which the model answers the holdout'),
  execution: executionSchema.prefault({}).describe('What the model may reach while it answers'),
  require: z
    .array(requirementSchema)
    .min(1, 'at least one documented threshold')
    .describe('Documented thresholds; a model that misses one is Rejected'),
  champion: strict({
    mayBeWorseBy: z
      .partialRecord(z.enum(Object.keys(METRICS) as [MetricName, ...MetricName[]]), z.number().min(0))
      .refine((metrics) => Object.keys(metrics).length > 0, 'expected at least one metric')
      .describe('By metric: how much worse than the latest Approved package it may be, absolutely'),
  })
    .optional()
    .describe('Comparison with the model that serves: the latest Approved package'),
  sanity: strict({
    constantPredictions: z
      .enum(['forbid', 'allow'])
      .default('forbid')
      .describe('Whether a model may answer everything alike (default forbid)'),
    predictionDrift: strict({
      psi: z.number().gt(0).describe("Population stability index against the champion's predictions"),
    })
      .optional()
      .describe('How far predictions may have moved'),
  })
    .prefault({})
    .describe('What no model may do, whatever its metrics are'),
  confidence: z
    .number()
    .min(0.5)
    .lt(1)
    .default(0.95)
    .describe('Of the two-sided intervals that thresholds are held against (default 0.95)'),
  replicates: z.int().min(200).max(10_000).default(1000).describe('Of the bootstrap (default 1000)'),
});

export const modelSchema = modelShape.check((context) => {
  const { value, issues } = context;
  const complain = (path: PropertyKey[], message: string) =>
    issues.push({ code: 'custom', input: value, path, message });
  const { task, classes, holdout, transform } = value;
  if (task === 'multiclass' && classes === undefined)
    complain(['task'], 'a multiclass model needs its classes');
  if (task !== 'multiclass' && classes !== undefined)
    complain(['classes'], `says nothing of a ${task} model`);
  if (classes !== undefined && new Set(classes).size < classes.length)
    complain(['classes'], 'one is there twice');
  if (task !== 'binary' && holdout.positive !== undefined) {
    complain(['holdout', 'positive'], `says nothing of a ${task} model`);
  }
  for (const secret of [holdout.label, ...(holdout.weight === undefined ? [] : [holdout.weight])]) {
    const index = holdout.features?.indexOf(secret) ?? -1;
    if (index >= 0) complain(['holdout', 'features', index], `the model must not see "${secret}"`);
  }
  if (new Set(holdout.features).size < (holdout.features?.length ?? 0))
    complain(['holdout', 'features'], 'one is there twice');
  if (transform.content === 'text/csv' && transform.prediction !== undefined) {
    complain(['transform', 'prediction'], 'says nothing of text/csv');
  }
  value.require.forEach((requirement, index) => {
    checkRequirement(requirement, value, (path, message) => complain(['require', index, ...path], message));
  });
  for (const [name, allowed = 0] of Object.entries(value.champion?.mayBeWorseBy ?? {})) {
    const metric = name as MetricName;
    const path = ['champion', 'mayBeWorseBy', metric];
    if (!metricsOf(task).includes(metric)) {
      complain(path, notOfTask(metric, task));
      continue;
    }
    if (factsOf(metric).quantile) complain(path, `${metric} cannot be compared without a quantile`);
    const [low, high] = rangeOf(metric, task);
    if (low !== null && high !== null && allowed >= high - low) {
      complain(path, `${metric} is from ${low} to ${high}, so nothing is worse by more than ${allowed}`);
    }
  }
});

/** A model of tocsin.yaml. Durations are milliseconds. */
export type ModelConfig = z.output<typeof modelSchema>;

/** A model that knows the lines of its rules; paths begin below the model: `['require', 0]`. */
export interface LocatedModel extends Located<ModelConfig> {
  name: string;
}

export const modelsSchema = z.record(name, modelSchema);

type Complain = (path: PropertyKey[], message: string) => void;

/** Complains of whatever a threshold says that a model of this task cannot be asked. */
export function checkRequirement(
  requirement: Pick<Requirement, 'metric'> & Partial<Requirement>,
  { task, classes }: Pick<ModelConfig, 'task' | 'classes'>,
  complain: Complain,
): void {
  const { metric, at, class: of, average, quantile, atLeast, atMost, slices } = requirement;
  if (!metricsOf(task).includes(metric)) {
    complain(['metric'], notOfTask(metric, task));
    return;
  }
  const facts = factsOf(metric);
  const unused = (key: string, there: boolean) => {
    if (there) complain([key], `says nothing of ${metric} of a ${task} model`);
  };
  unused('at', at !== undefined && !(facts.threshold && task === 'binary'));
  unused('class', of !== undefined && !(facts.perClass && task === 'multiclass'));
  unused('average', average !== undefined && !(facts.perClass && task === 'multiclass'));
  unused('quantile', quantile !== undefined && !facts.quantile);
  if (of !== undefined && average !== undefined) complain(['average'], 'says nothing of one class');
  if (average === 'micro' && (metric === 'auc' || metric === 'averagePrecision')) {
    complain(['average'], `${metric} is averaged macro`);
  }
  if (of !== undefined && classes !== undefined && !classes.includes(of)) {
    complain(['class'], `no class "${of}"${didYouMean(of, classes)}`);
  }
  if (facts.quantile && quantile === undefined) complain(['quantile'], `expected the quantile of ${metric}`);
  if (atLeast === undefined && atMost === undefined) complain([], 'expected atLeast, atMost, or both');
  if (atLeast !== undefined && atMost !== undefined && atLeast > atMost) {
    complain(['atLeast'], `${atLeast} is above atMost, ${atMost}`);
  }
  const [low, high] = rangeOf(metric, task);
  // A bound that every value clears, or none, was meant for another scale: 62 for 0.62.
  if (atLeast !== undefined && ((low !== null && atLeast <= low) || (high !== null && atLeast > high))) {
    complain(
      ['atLeast'],
      `${metric} is from ${low ?? 'minus infinity'} to ${high ?? 'infinity'}, got ${atLeast}`,
    );
  }
  if (atMost !== undefined && ((low !== null && atMost < low) || (high !== null && atMost >= high))) {
    complain(
      ['atMost'],
      `${metric} is from ${low ?? 'minus infinity'} to ${high ?? 'infinity'}, got ${atMost}`,
    );
  }
  if (slices !== undefined && new Set(slices).size < slices.length)
    complain(['slices'], 'one is there twice');
}

function notOfTask(metric: MetricName, task: ModelConfig['task']): string {
  const allowed = metricsOf(task);
  return `no metric "${metric}" of a ${task} model${didYouMean(metric, allowed)}; there are ${allowed.join(', ')}`;
}

/** What a metric of a requirement, or of `mayBeWorseBy`, asks for, defaults filled in. */
export function queryOf(
  { metric, at, class: of, average, quantile }: Pick<Requirement, 'metric'> & Partial<Requirement>,
  task: ModelConfig['task'],
): MetricQuery {
  const facts = factsOf(metric);
  const perClass = facts.perClass === true && task === 'multiclass';
  return {
    metric,
    ...(facts.threshold && task === 'binary' && { threshold: at?.threshold ?? 0.5 }),
    ...(perClass && (of === undefined ? { average: average ?? ('macro' satisfies Average) } : { class: of })),
    ...(quantile !== undefined && { quantile }),
  };
}

// ---------------------------------------------------------------------------------------------------------
// Canaries in tocsin.yaml
// ---------------------------------------------------------------------------------------------------------

const pipelineName = z.string().regex(/^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,255}$/, 'a SageMaker pipeline name');

const canaryShape = strict({
  model: name.describe('The model of tocsin.yaml whose holdout and transform settings are used'),
  pipeline: pipelineName.describe('The SageMaker pipeline that is run'),
  modelPackageGroup: sagemakerName.describe(
    'Where the pipeline registers canary models: a group of their own, in which none is ever Approved',
  ),
  groupParameter: z
    .string()
    .min(1)
    .default('ModelPackageGroupName')
    .describe('Pipeline parameter for the group (default ModelPackageGroupName)'),
  dataset: strict({
    uri: place.describe(
      'The known dataset: s3://bucket/key, or a key in the bucket that Tocsin creates; a folder ends in a slash',
    ),
    parameter: z
      .string()
      .min(1)
      .default('DatasetUri')
      .describe('Pipeline parameter for it (default DatasetUri)'),
  }).describe('What the pipeline learns from, whose outcome is known'),
  parameters: z
    .record(z.string().min(1), z.string())
    .default({})
    .describe('Other parameters of the pipeline'),
  expect: z
    .array(strict({ ...queryShape, ...boundShape }))
    .min(1)
    .describe('The documented range of each metric for the known dataset'),
  negativeControl: strict({
    corrupt: z
      .record(column, z.string().min(1))
      .optional()
      .describe('By column: SQL expression that takes its place, such as distance * 1.609344'),
    uri: place.optional().describe('A dataset that is corrupted already'),
  })
    .refine(
      ({ corrupt, uri }) => (corrupt === undefined) !== (uri === undefined),
      'expected either corrupt or uri',
    )
    .describe('The same pipeline must stop at it, or its model must miss a threshold'),
  timeout: duration
    .refine((ms) => ms >= 60_000 && ms <= 7 * 24 * 3_600_000, 'expected a timeout from 1m to 7d')
    .default(6 * 3_600_000)
    .describe('Of one execution of the pipeline, 1m to 7d (default 6h)'),
  schedule: schedule.describe(
    'rate(...) or cron(...) of EventBridge; left out: by hand and after deploys only',
  ),
  afterDeployOf: stackNames.describe('CloudFormation stacks whose deployment starts it'),
});

export const canarySchema = canaryShape.check(({ value, issues }) => {
  if (value.negativeControl.corrupt !== undefined && value.dataset.uri.endsWith('/')) {
    issues.push({
      code: 'custom',
      input: value,
      path: ['negativeControl', 'corrupt'],
      message: 'expected uri: a folder cannot be corrupted on the way',
    });
  }
});

/** A canary of tocsin.yaml. Durations are milliseconds. */
export type CanaryConfig = z.output<typeof canarySchema>;

/** A canary that knows the lines of its rules. */
export interface LocatedCanary extends Located<CanaryConfig> {
  name: string;
}

export const canariesSchema = z.record(name, canarySchema);

// ---------------------------------------------------------------------------------------------------------
// What the deployed functions read
// ---------------------------------------------------------------------------------------------------------

const partSchema = z.looseObject({ models: modelsSchema.default({}), canaries: canariesSchema.default({}) });

/** The models and canaries of a tocsin.yaml. */
export interface Evaluations {
  models: Map<string, LocatedModel>;
  canaries: Map<string, LocatedCanary>;
}

/** @throws ConfigError with every mistake in the two sections */
export function parseEvaluations({ file, text }: Pick<TextBundle, 'file' | 'text'>): Evaluations {
  const located = parseYaml(partSchema, text, file);
  return { models: entriesOf(located, 'models'), canaries: entriesOf(located, 'canaries') };
}

// ---------------------------------------------------------------------------------------------------------
// The environment of the functions
// ---------------------------------------------------------------------------------------------------------

/** Of both functions. */
export const environmentSchema = z.object({
  ...judgingEnvironment,
  ...workflowEnvironment,
  /** The bucket that Tocsin creates for datasets; absent where all datasets name one. */
  DATA_BUCKET: z.string().min(1).optional(),
  /** Role of temporary models whose configuration names none. */
  MODEL_ROLE_ARN: z.string().startsWith('arn:').optional(),
  /** Bytes of objects that one evaluation may download. */
  MAX_DATASET_BYTES: z.coerce.number().int().positive(),
  /** Bytes of /tmp. */
  TMP_BYTES: z.coerce.number().int().positive(),
  /** Bytes of memory that DuckDB may take. */
  ENGINE_MEMORY_BYTES: z.coerce.number().int().positive(),
});

export type Environment = z.output<typeof environmentSchema>;

// ---------------------------------------------------------------------------------------------------------
// What invokes them, what they answer and what they emit
// ---------------------------------------------------------------------------------------------------------

export const packageArn = z
  .string()
  .regex(
    /^arn:aws[a-z-]*:sagemaker:[a-z0-9-]+:\d{12}:model-package\/[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}(\/\d{1,9})?$/,
    'the ARN of a model package',
  );

/** EventBridge's `SageMaker Model Package State Change`. Only the ARN is believed. */
export const packageEventSchema = z.object({
  source: z.literal('aws.sagemaker'),
  'detail-type': z.literal('SageMaker Model Package State Change'),
  detail: z.object({ ModelPackageArn: packageArn }),
});

/** Begins the names of temporary models and transform jobs: these alone the functions may make and remove. */
export const TEMPORARY = 'tocsin-';

/** Begins the keys of the work bucket that transform jobs read and write. */
export const JOBS = 'jobs/';

/** Subject of the verdicts of a canary. */
export function canarySubject(canary: string): string {
  return `canary-${canary}`;
}

/** Begins the names of corrupted copies of a known dataset, which are beside it while a canary runs. */
export const CORRUPTED = 'tocsin-canary-';

/** Direct invocation of the evaluation. */
export const evaluationRequestSchema = strict({ package: packageArn, run: runId.optional() });

/** Direct invocation of the canary, and the input of its schedule. */
export const canaryRequestSchema = strict({ canary: name, run: runId.optional() });

/** What became of the package. `unchanged`: only reported, as with `approve: recommend` and whatever is not pending. */
const APPROVALS = ['Approved', 'Rejected', 'unchanged'] as const;

/** What the evaluation answers; also the detail of its events. */
export const resultSchema = z.object({
  model: z.string(),
  package: z.string(),
  outcome: z.enum(['pass', 'fail', 'inconclusive']),
  approval: z.enum(APPROVALS),
  reason: z.string(),
  verdict: z.string(),
  evidence: z.string(),
  /** At most 10 messages of the worst findings. */
  findings: z.array(z.string()),
});

export type EvaluationResult = z.output<typeof resultSchema>;

/** What the canary answers; also the detail of its events. */
export const canaryResultSchema = z.object({
  canary: z.string(),
  pipeline: z.string(),
  outcome: z.enum(['pass', 'fail', 'inconclusive']),
  reason: z.string(),
  verdict: z.string(),
  evidence: z.string(),
  findings: z.array(z.string()),
});

export type CanaryResult = z.output<typeof canaryResultSchema>;

/** Detail types of what the two emit. */
export const EVALUATED = 'Model Evaluated';
export const CANARY_FINISHED = 'Pipeline Canary Finished';
