import * as z from 'zod';
import { duration, name, strict } from '../shared/schema.ts';

/*
 * What a release waits for, and what the board shows: the section `readiness` of tocsin.yaml, and what the deployed board
 * reads of it.
 */

/** The five testing gaps, in the order of the board. */
export const GAPS = ['pipeline', 'rollback', 'alarms', 'data', 'parity'] as const;
export type Gap = (typeof GAPS)[number];

/** What people call a gap, and what closes it. */
export const GAP_TITLES: Record<Gap, { number: number; title: string; closedBy: string }> = {
  pipeline: { number: 1, title: 'Pipeline', closedBy: 'holdout evaluation and canary' },
  rollback: { number: 2, title: 'Rollback', closedBy: 'rollback drill' },
  alarms: { number: 3, title: 'Alarms', closedBy: 'alarm drill' },
  data: { number: 4, title: 'Data', closedBy: 'quality gate' },
  parity: { number: 5, title: 'Parity', closedBy: 'config parity' },
};

const DAY_MS = 86_400_000;

const fresh = (days: number, of: string) =>
  duration
    .refine((ms) => ms > 0, 'more than nothing: no verdict would ever be fresh')
    .default(days * DAY_MS)
    .describe(`How long ${of} says something of a release (default ${days}d)`);

const freshSchema = strict({
  models: fresh(90, 'the evaluation of a model'),
  canaries: fresh(15, 'a canary'),
  rollbackDrills: fresh(15, 'a rollback drill'),
  alarmDrills: fresh(15, 'an alarm drill'),
  datasets: fresh(35, 'the verdict on a dataset'),
  parity: fresh(2, 'a comparison'),
});

const names = (what: string) => z.array(name).default([]).describe(what);

/** What a release of one model to one environment waits for; the evaluation of the model itself always. */
export const releaseSchema = strict({
  canaries: names('Canaries of its pipeline, which close gap 1 together with its evaluation'),
  rollbackDrills: names('Rollback drills of its endpoints (gap 2)'),
  alarmDrills: names('Drills of the alarms that watch it (gap 3)'),
  datasets: names('Datasets that it learns from (gap 4)'),
  parity: names('Comparisons of the environments that it is tried and used in (gap 5)'),
  fresh: freshSchema.prefault({}).describe('How old verdicts may be'),
});

export type Release = z.output<typeof releaseSchema>;

/** By name of the model, then by name of the environment. */
export const readinessSchema = z.record(
  name,
  z.record(name, releaseSchema).refine((environments) => Object.keys(environments).length > 0, {
    error: 'at least one environment, such as production',
  }),
);

export type Readiness = z.output<typeof readinessSchema>;

/** What a verdict was made with, as it is now: where it is another by now, the verdict says nothing of a release. */
const configuredSchema = strict({
  /** Name of the hash among the inputs of the verdict. */
  input: z.string().min(1),
  /** `the contract contracts/flights.yaml` */
  what: z.string().min(1),
  /** What is hashed: a text as it is, anything else as canonical JSON; null where there is nothing, and nothing is hashed. */
  value: z.unknown(),
});

/** One thing that has to have a fresh verdict that passes. */
export const requirementSchema = strict({
  gap: z.enum(GAPS),
  gate: z.enum(['quality-gate', 'holdout-evaluation', 'alarm-drill', 'rollback-drill', 'config-parity']),
  /** Of the evidence. */
  subject: z.string().min(1),
  /** Section of tocsin.yaml that it stands in, and its name there. */
  section: z.enum(['models', 'canaries', 'rollbackDrills', 'alarmDrills', 'datasets', 'parity']),
  name: z.string().min(1),
  /** `dataset flights-history` */
  title: z.string().min(1),
  /** Milliseconds. */
  freshMs: z.number().positive(),
  /** `rate(7 days)`; absent of what only happens. */
  schedule: z.string().optional(),
  configured: z.array(configuredSchema),
  /** Where it stands: `tocsin.yaml:31`. */
  line: z.string(),
  /** What a person does for a new verdict: a command or a few words. */
  again: z.string(),
});

export type Requirement = z.output<typeof requirementSchema>;

/** A model in an environment, and what it waits for; what belongs to no model has neither. */
export const boardRowSchema = strict({
  model: z.string().optional(),
  environment: z.string().optional(),
  requirements: z.array(requirementSchema),
});

export type BoardRow = z.output<typeof boardRowSchema>;

/** What the deployed board reads. */
export const boardBundleSchema = strict({
  bundle: z.literal(1),
  rows: z.array(boardRowSchema),
});

export type BoardBundle = z.output<typeof boardBundleSchema>;

export const environmentSchema = z.object({
  CONFIG_BUCKET: z.string().min(1),
  CONFIG_KEY: z.string().min(1),
  EVIDENCE_BUCKET: z.string().min(1),
});

export type Environment = z.output<typeof environmentSchema>;

/** Sections whose verdicts come when somebody registers or uploads something: what is in any other runs by itself, or by hand. */
export const HAPPENS: readonly Requirement['section'][] = ['models', 'datasets'];

/** S3 tells that an object was created: an entry of the history. */
export const historyEventSchema = z.object({
  source: z.literal('aws.s3'),
  'detail-type': z.literal('Object Created'),
  detail: z.object({ object: z.object({ key: z.string() }) }),
});

/** Where the board is in the evidence bucket, as a page and as JSON. */
export const BOARD_PAGE = 'board/index.html';
export const BOARD_JSON = 'board/board.json';
