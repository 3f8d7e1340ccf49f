import * as z from 'zod';
import { runId } from '../shared/progress.ts';
import {
  duration,
  entriesOf,
  judgingEnvironment,
  type Located,
  name,
  parseYaml,
  sagemakerName,
  schedule,
  stackNames,
  strict,
  type TextBundle,
  workflowEnvironment,
} from '../shared/schema.ts';
import { ALARM_STATES, COMPARISONS, type Comparison, firesUpwards } from './alarm.ts';
import { isStatistic } from './statistic.ts';

/*
 * Everything that reaches the alarm drill from outside: its part of tocsin.yaml, events, direct invocations, the
 * environment. The construct and lib/config.ts read the same schemas.
 */

// ---------------------------------------------------------------------------------------------------------
// Drills in tocsin.yaml
// ---------------------------------------------------------------------------------------------------------

/** Begins the names of shadow alarms and receipt queues: these alone the function may make and remove. */
export const SHADOW = 'tocsin-drill-';

/** CloudWatch takes 1 to 255 characters. */
const alarmName = z
  .string()
  .min(1)
  .max(255)
  .refine((text) => !text.startsWith(SHADOW), `a name that does not begin with ${SHADOW}`)
  .describe('The metric alarm in CloudWatch; composite alarms above it are looked at, too');

const metricSchema = strict({
  namespace: z
    .string()
    .regex(/^[^:]{1,255}$/, 'a namespace: at most 255 characters, no colon')
    .describe('Namespace in CloudWatch'),
  name: z.string().min(1).max(255).describe('Name in CloudWatch'),
  dimensions: z
    .record(z.string().min(1).max(255), z.string().min(1).max(1024))
    .refine((dimensions) => Object.keys(dimensions).length <= 30, 'at most 30 dimensions')
    .default({})
    .describe('Values by name of the dimension, all of them'),
});

const OPERATORS: Record<string, Comparison> = Object.fromEntries(
  (Object.entries(COMPARISONS) as [Comparison, string][]).map(([comparison, text]) => [text, comparison]),
);

const FIRES = "a comparison with a number, such as '>= 0.2'";

/** `>= 0.2`. Parsed to the comparison and the threshold. */
export const fires = z
  .string({ error: FIRES })
  .regex(/^(>=|<=|>|<)\s*-?\d+(\.\d+)?(e[+-]?\d+)?$/i, FIRES)
  .refine((text) => Number.isFinite(Number(text.replace(/^[<>]=?/, ''))), FIRES)
  .transform((text) => {
    const [, operator = '', number = ''] = /^([<>]=?)\s*(.+)$/.exec(text) ?? [];
    return { comparison: OPERATORS[operator] as Comparison, threshold: Number(number) };
  });

const statistic = z
  .string()
  .refine(isStatistic, 'a statistic of CloudWatch such as Average, Sum, Maximum or p99');

const intendedSchema = strict({
  fires: fires.describe("What a data point must be for the alarm: '>= 0.2'"),
  within: duration
    .refine((ms) => ms >= 10_000 && ms <= 7 * 24 * 3_600_000, 'expected a time from 10s to 7d')
    .describe('From the first data point beyond the threshold to ALARM, 10s to 7d'),
  metric: metricSchema.optional().describe('What it is meant to watch (default: what it watches)'),
  statistic: statistic.optional().describe('Of each period (default: what the alarm has)'),
  every: duration
    .refine((ms) => ms >= 1_000, 'expected a time from 1s')
    .optional()
    .describe('How often the metric is emitted (default: as seen in its data, else the period of the alarm)'),
  range: strict({
    from: z.number().optional().describe('The lowest; left out: no bound'),
    to: z.number().optional().describe('The highest; left out: no bound'),
  })
    .optional()
    .describe('The values that are ever emitted: { from: 0, to: 1 }'),
  step: z.number().gt(0).optional().describe('Of what is counted: values are whole multiples of it'),
  whenSilent: z
    .enum([...ALARM_STATES, 'not OK'])
    .default('not OK')
    .describe('What the alarm must be once nothing is emitted any more (default not OK)'),
  guards: sagemakerName
    .optional()
    .describe('Endpoint whose deployments it rolls back: it must fire before they are done'),
});

const trafficSchema = strict({
  endpoint: sagemakerName.describe('A staging endpoint, whose data capture somebody watches for drift'),
  dataset: name.describe('Dataset of tocsin.yaml: its baseline is what synthetic records are drawn from'),
  features: z.array(z.string().min(1)).min(1).describe('Columns of a record, in the order of the endpoint'),
  feature: z.string().min(1).describe('The one that drifts'),
  measure: z.enum(['psi', 'ks']).default('psi').describe('What the drift is calibrated in (default psi)'),
  intended: z
    .number()
    .gt(0)
    .optional()
    .describe('The drift that the alarm is meant to fire at (default: the threshold of fires)'),
  under: z
    .number()
    .gt(0)
    .lt(1)
    .default(0.5)
    .describe('Quiet traffic: times the intended drift (default 0.5)'),
  over: z.number().gt(1).max(100).default(2).describe('Loud traffic: times the intended drift (default 2)'),
  records: z.int().min(100).max(100_000).default(2000).describe('Of each phase (default 2000)'),
  content: z
    .enum(['text/csv', 'application/jsonlines'])
    .default('text/csv')
    .describe('What the endpoint takes (default text/csv)'),
  perRequest: z.int().min(1).max(1000).default(100).describe('Records of one request (default 100)'),
});

const drillShape = strict({
  alarm: alarmName,
  intended: intendedSchema.describe('What somebody means the alarm to do: what the drill proves'),
  mode: z
    .enum(['shadow', 'live', 'traffic'])
    .default('shadow')
    .describe(
      'shadow: clones of the alarm on metrics of their own (default); live: the real metric, in staging; traffic: drifted records to a staging endpoint',
    ),
  ladder: z
    .array(z.number().gt(0).max(1000))
    .min(1)
    .max(20)
    .default([0.5, 0.95, 1.05, 2, 5])
    .describe('Rungs, times the intended threshold (default 0.5, 0.95, 1.05, 2, 5)'),
  narrow: z
    .boolean()
    .default(true)
    .describe('More rungs until the effective threshold is known to within 5 % (default true)'),
  healthy: z
    .number()
    .optional()
    .describe('A usual value of the metric (default: a quarter of the way to the threshold)'),
  scale: z
    .number()
    .gt(0)
    .optional()
    .describe('What one "times" is where the threshold is 0, which has no multiples'),
  drive: z
    .string()
    .regex(/^[a-z]\w*$/, 'the id of a query such as m1')
    .optional()
    .describe('Metric math: the query that drifts (default: the first)'),
  hold: z
    .record(z.string(), z.number())
    .default({})
    .describe('Metric math: the values of the other queries (default: their recent average)'),
  deliver: z
    .enum(['probe', 'real'])
    .default('probe')
    .describe(
      "real: one message marked DRILL goes down the alarm's own path, to the people behind it (default probe)",
    ),
  live: strict({
    because: z.string().min(1).describe('Why this metric may be written to: quoted in verdicts'),
  })
    .optional()
    .describe('Allows mode: live'),
  traffic: trafficSchema.optional().describe('Of mode: traffic'),
  schedule: schedule.describe(
    'rate(...) or cron(...) of EventBridge; left out: by hand, after deploys and after changes of the alarm',
  ),
  afterDeployOf: stackNames.describe('CloudFormation stacks whose deployment starts it'),
});

export const drillSchema = drillShape.check(({ value, issues }) => {
  const complain = (path: PropertyKey[], message: string) =>
    issues.push({ code: 'custom', input: value, path, message });
  const { intended, mode, live, traffic, ladder, scale, healthy } = value;
  const { threshold } = intended.fires;
  const { from = Number.NEGATIVE_INFINITY, to = Number.POSITIVE_INFINITY } = intended.range ?? {};
  if (from > to) complain(['intended', 'range', 'from'], `${from} is above to, ${to}`);
  else if (threshold < from || threshold > to) {
    complain(['intended', 'fires'], `${threshold} is outside of range, from ${from} to ${to}`);
  }
  if (new Set(ladder).size < ladder.length) complain(['ladder'], 'one is there twice');
  if (threshold === 0 && scale === undefined) {
    complain(['scale'], 'expected what one "times" is: the threshold is 0, which has no multiples');
  }
  if (threshold !== 0 && scale !== undefined)
    complain(['scale'], `says nothing of a threshold of ${threshold}`);
  if (healthy !== undefined) {
    const above = firesUpwards(intended.fires);
    if (above ? healthy >= threshold : healthy <= threshold) {
      complain(['healthy'], `${healthy} is no usual value: the alarm is meant to fire at it`);
    }
  }
  if (mode === 'live' && live === undefined)
    complain(['live'], 'expected because: mode live writes to a real metric');
  if (mode !== 'live' && live !== undefined) complain(['live'], `says nothing of mode: ${mode}`);
  if (mode === 'traffic' && traffic === undefined) complain(['traffic'], 'expected the traffic to send');
  if (mode !== 'traffic' && traffic !== undefined) complain(['traffic'], `says nothing of mode: ${mode}`);
  if (mode === 'live' && intended.metric === undefined) {
    complain(['intended', 'metric'], 'expected the metric that may be written to');
  }
  if (mode === 'live' && intended.metric?.namespace.startsWith('AWS/')) {
    complain(['intended', 'metric', 'namespace'], 'namespaces of AWS cannot be written to');
  }
  if (traffic !== undefined) {
    const { features, feature, intended: drift } = traffic;
    if (!features.includes(feature)) complain(['traffic', 'feature'], `"${feature}" is none of features`);
    if (new Set(features).size < features.length) complain(['traffic', 'features'], 'one is there twice');
    if (drift === undefined && threshold <= 0)
      complain(['traffic', 'intended'], 'expected the intended drift');
    if (!firesUpwards(intended.fires)) {
      complain(['intended', 'fires'], 'drift is watched from above: expected > or >=');
    }
  }
});

/** An alarm drill of tocsin.yaml. Durations are milliseconds. */
export type DrillConfig = z.output<typeof drillSchema>;

/** A drill that knows the lines of its rules; paths begin below the drill: `['intended', 'fires']`. */
export interface LocatedDrill extends Located<DrillConfig> {
  name: string;
}

export const alarmDrillsSchema = z.record(name, drillSchema);

// ---------------------------------------------------------------------------------------------------------
// What the deployed function reads
// ---------------------------------------------------------------------------------------------------------

const partSchema = z.looseObject({ alarmDrills: alarmDrillsSchema.default({}) });

/**
 * The alarm drills of a tocsin.yaml, by name.
 *
 * @throws ConfigError with every mistake in the section
 */
export function parseDrills({ file, text }: Pick<TextBundle, 'file' | 'text'>): Map<string, LocatedDrill> {
  return entriesOf(parseYaml(partSchema, text, file), 'alarmDrills');
}

export const environmentSchema = z.object({
  ...judgingEnvironment,
  ...workflowEnvironment,
  /** What shadow alarms notify. */
  PROBE_TOPIC_ARN: z.string().startsWith('arn:'),
});

export type Environment = z.output<typeof environmentSchema>;

// ---------------------------------------------------------------------------------------------------------
// Names that permissions are made of
// ---------------------------------------------------------------------------------------------------------

/** The only namespace that a drill writes to, unless `mode: live` allows another. */
export const DRILL_NAMESPACE = 'Tocsin/Drill';

/** Tags of whatever a drill makes: the name of the drill, the run, and until when it can be of use (ISO 8601). */
export const DRILL_TAG = 'tocsin:drill';
export const RUN_TAG = 'tocsin:run';
export const UNTIL_TAG = 'tocsin:until';

// ---------------------------------------------------------------------------------------------------------
// What invokes it, what it answers and what it emits
// ---------------------------------------------------------------------------------------------------------

/** EventBridge's `CloudWatch Alarm Configuration Change`. */
export const alarmEventSchema = z.object({
  source: z.literal('aws.cloudwatch'),
  'detail-type': z.literal('CloudWatch Alarm Configuration Change'),
  detail: z.object({ alarmName: z.string().min(1), operation: z.enum(['create', 'update', 'delete']) }),
});

/** Direct invocation, and the input of a schedule. */
export const drillRequestSchema = strict({
  drill: name,
  run: runId.optional(),
  /** Reads the configuration of the alarm and judges that alone: seconds instead of minutes. */
  only: z.literal('proof').optional(),
});

/** What the drill answers; also the detail of its event. */
export const drillResultSchema = z.object({
  drill: z.string(),
  alarm: z.string(),
  outcome: z.enum(['pass', 'fail', 'inconclusive']),
  reason: z.string(),
  verdict: z.string(),
  evidence: z.string(),
  /** At most 10 messages of the worst findings. */
  findings: z.array(z.string()),
});

export type DrillResult = z.output<typeof drillResultSchema>;

/** Detail type of what it emits. */
export const DRILL_FINISHED = 'Alarm Drill Finished';
