import * as z from 'zod';
import { runId } from '../shared/progress.ts';
import {
  contentType,
  duration,
  entriesOf,
  judgingEnvironment,
  type Located,
  name,
  parseYaml,
  percent,
  place,
  predictionTolerance,
  sagemakerName,
  schedule,
  stackNames,
  strict,
  type TextBundle,
  workflowEnvironment,
} from '../shared/schema.ts';

/*
 * Everything that reaches the rollback drill and the rollback itself from outside: their part of tocsin.yaml, events,
 * direct invocations, the environment. The constructs and lib/config.ts read the same schemas.
 */

// ---------------------------------------------------------------------------------------------------------
// Drills in tocsin.yaml
// ---------------------------------------------------------------------------------------------------------

/** ARN of a resource of a service in any partition, region and account. */
const arnOf = (service: string, resource: string, what: string) =>
  z
    .string()
    .regex(
      new RegExp(`^arn:aws[a-z-]*:${service}:[a-z0-9-]*:\\d{12}:${resource}$`),
      `the ARN of ${what}, without wildcards`,
    );

const alarmName = z.string().min(1).max(255).describe('A CloudWatch alarm in the account of the endpoint');

const failureSchema = strict({
  shiftTraffic: strict({
    to: sagemakerName.describe('The variant that is to get the traffic: the bad one'),
    share: percent
      .refine((share) => share > 0, 'expected more than 0%')
      .default(1)
      .describe('Of the traffic (default 100%)'),
  })
    .optional()
    .describe('Moves the weights to another variant of the endpoint, as a bad release by weights does'),
  deployModel: strict({
    package: arnOf(
      'sagemaker',
      'model-package/[A-Za-z0-9-]+/\\d+',
      'a version in a model package group',
    ).describe('The bad model: an approved package'),
    role: arnOf('iam', 'role/[\\w+=,.@/-]+', 'a role').describe('What its model runs with'),
    faulty: z
      .boolean()
      .default(false)
      .describe('It may answer with errors instead of other predictions (default false)'),
  })
    .optional()
    .describe('Deploys another model under the same variant name, as a blue/green release does'),
  breakGuardrail: strict({
    alarm: alarmName.describe('Of the deployment guardrail: it is set to ALARM while a deployment goes on'),
  })
    .optional()
    .describe('Deploys the same model anew and sets off the alarm: the guardrail must roll back by itself'),
});

const BUILTIN = 'weights or config';

const procedureSchema = strict({
  lambda: arnOf('lambda', 'function:[A-Za-z0-9_-]+(:[A-Za-z0-9$_-]+)?', 'a Lambda function')
    .optional()
    .describe('Invoked with the endpoint and the incident; it may take 12 minutes'),
  ssmAutomation: strict({
    document: z
      .string()
      .regex(/^[A-Za-z0-9_.:/-]{3,128}$/, 'the name of an Automation runbook')
      .describe('Its name'),
    version: z
      .string()
      .regex(/^([1-9]\d{0,9}|\$DEFAULT|\$LATEST)$/, 'a version such as 3, $DEFAULT or $LATEST')
      .optional()
      .describe('Its version (default: the default version)'),
    parameters: z
      .record(
        z.string().min(1).max(50),
        z.union([z.string(), z.array(z.string())]).transform((value) => [value].flat()),
      )
      .default({})
      .describe('Of the runbook; {endpoint} in a value stands for the endpoint'),
    role: arnOf('iam', 'role/[\\w+=,.@/-]+', 'a role')
      .optional()
      .describe('What the automation runs with, where its parameter AutomationAssumeRole says so'),
  })
    .optional()
    .describe('A runbook of Systems Manager Automation'),
  stateMachine: arnOf('states', 'stateMachine:[A-Za-z0-9_-]{1,80}', 'a state machine')
    .optional()
    .describe('A standard state machine of Step Functions, started with the endpoint and the incident'),
  builtin: z
    .enum(['weights', 'config'], { error: BUILTIN })
    .optional()
    .describe("Tocsin's own rollback: back to the former weights, or to the former endpoint configuration"),
});

const drillShape = strict({
  endpoint: sagemakerName.describe('A staging endpoint that is tagged tocsin:drill = allowed'),
  failure: failureSchema.describe('What goes wrong: one of shiftTraffic, deployModel, breakGuardrail'),
  procedure: procedureSchema
    .optional()
    .describe('What is run in an incident: one of lambda, ssmAutomation, stateMachine, builtin'),
  golden: place.describe(
    'JSON Lines of requests, a {"body": ...} each, with their "prediction" where it is known: s3://bucket/key, or a key in the bucket that Tocsin creates',
  ),
  content: contentType,
  tolerance: predictionTolerance,
  traffic: strict({
    perSecond: z
      .number()
      // A slice of the traffic has at least one, and lasts ten seconds.
      .min(0.1)
      .max(20)
      .default(5)
      .describe('Untargeted requests a second while the drill lasts, 0.1 to 20 (default 5)'),
  })
    .prefault({})
    .describe('What the endpoint is asked while the drill lasts'),
  within: duration
    .refine((ms) => ms >= 10_000 && ms <= 3_600_000, 'expected a time from 10s to 1h')
    .describe('From the start of the procedure until the previous model answers everything, 10s to 1h'),
  steady: duration
    .refine((ms) => ms >= 10_000 && ms <= 600_000, 'expected a time from 10s to 10m')
    .default(60_000)
    .describe('How long it has to stay so, 10s to 10m (default 1m)'),
  allow: strict({
    errorRate: percent.default(0).describe('Share of requests that may be lost on the way back (default 0%)'),
    wrongModelAfterRollback: z
      .int()
      .min(0)
      .default(0)
      .describe('Requests that another model may answer once the rollback is done (default 0)'),
  })
    .prefault({})
    .describe('How much a rollback may cost and still pass'),
  stopIf: z
    .array(alarmName)
    .max(10)
    .default([])
    .describe('Alarms: where one is in ALARM the drill does not begin, and is broken off'),
  allowProduction: strict({
    endpoint: sagemakerName.describe('The endpoint once more'),
    because: z.string().min(1).describe('Why production may be drilled: quoted in verdicts'),
  })
    .optional()
    .describe('Lets a production endpoint be drilled, which is refused otherwise'),
  schedule: schedule.describe('rate(...) or cron(...) of EventBridge; left out: by hand and after deploys'),
  afterDeployOf: stackNames.describe('CloudFormation stacks whose deployment starts it'),
});

/** The only key of a choice that is set. */
function chosen(choice: object): string[] {
  return Object.entries(choice).flatMap(([key, value]) => (value === undefined ? [] : [key]));
}

export const rollbackDrillSchema = drillShape.check(({ value, issues }) => {
  const complain = (path: PropertyKey[], message: string) =>
    issues.push({ code: 'custom', input: value, path, message });
  const { failure, procedure, endpoint, allowProduction } = value;
  const failures = chosen(failure);
  if (failures.length !== 1) {
    complain(
      ['failure'],
      `expected one of shiftTraffic, deployModel and breakGuardrail, got ${failures.join(' and ') || 'none'}`,
    );
  }
  if (failure.breakGuardrail !== undefined) {
    if (procedure !== undefined) {
      complain(['procedure'], 'says nothing with failure.breakGuardrail: the guardrail is to act by itself');
    }
  } else {
    const procedures = chosen(procedure ?? {});
    if (procedures.length !== 1) {
      complain(
        ['procedure'],
        `expected one of lambda, ssmAutomation, stateMachine and builtin, got ${procedures.join(' and ') || 'none'}`,
      );
    }
  }
  if (failure.shiftTraffic !== undefined && procedure?.builtin === 'config') {
    complain(
      ['procedure', 'builtin'],
      'expected weights: shiftTraffic leaves the endpoint configuration as it is',
    );
  }
  if (failure.deployModel !== undefined && procedure?.builtin === 'weights') {
    complain(['procedure', 'builtin'], 'expected config: deployModel replaces the endpoint configuration');
  }
  if (allowProduction !== undefined && allowProduction.endpoint !== endpoint) {
    complain(['allowProduction', 'endpoint'], `expected ${endpoint}, got ${allowProduction.endpoint}`);
  }
  if (allowProduction === undefined && isProductionName(endpoint)) {
    complain(
      ['endpoint'],
      `${endpoint} is production by its name; drill staging, or say why in allowProduction: { endpoint, because }`,
    );
  }
});

/** A rollback drill of tocsin.yaml. Durations are milliseconds, shares fractions. */
export type RollbackDrillConfig = z.output<typeof rollbackDrillSchema>;

/** A drill that knows the lines of its rules; paths begin below the drill: `['allow', 'errorRate']`. */
export interface LocatedRollbackDrill extends Located<RollbackDrillConfig> {
  name: string;
}

export const rollbackDrillsSchema = z.record(name, rollbackDrillSchema);

const PRODUCTION = /^(prod|production|prd|live)$/i;

/** Tags that say which environment something belongs to, in lower case. */
const ENVIRONMENT_TAGS = ['environment', 'env', 'stage', 'tier'];

/** Whether an endpoint is production's by a part of its name: `churn-prod`, `live-churn-2`. */
export function isProductionName(endpoint: string): boolean {
  return endpoint.split('-').some((part) => PRODUCTION.test(part));
}

/** Whether an endpoint is production's by one of its tags, such as `Environment: production`. */
export function isProductionTagged(tags: Readonly<Record<string, string>>): boolean {
  return Object.entries(tags).some(
    ([key, value]) => ENVIRONMENT_TAGS.includes(key.toLowerCase()) && PRODUCTION.test(value.trim()),
  );
}

// ---------------------------------------------------------------------------------------------------------
// What the deployed functions read
// ---------------------------------------------------------------------------------------------------------

const partSchema = z.looseObject({ rollbackDrills: rollbackDrillsSchema.default({}) });

/**
 * The rollback drills of a tocsin.yaml, by name.
 *
 * @throws ConfigError with every mistake in the section
 */
export function parseRollbackDrills({
  file,
  text,
}: Pick<TextBundle, 'file' | 'text'>): Map<string, LocatedRollbackDrill> {
  return entriesOf(parseYaml(partSchema, text, file), 'rollbackDrills');
}

export const environmentSchema = z.object({
  ...judgingEnvironment,
  ...workflowEnvironment,
  /** Of golden requests whose place names no bucket; absent where each names one. */
  DATA_BUCKET: z.string().min(1).optional(),
  /** Alias of the rollback function, for `procedure.builtin`. */
  ROLLBACK_ARN: z.string().startsWith('arn:'),
});

export type Environment = z.output<typeof environmentSchema>;

/** Of the rollback function. */
export const rollbackEnvironmentSchema = z.object(workflowEnvironment);

export type RollbackEnvironment = z.output<typeof rollbackEnvironmentSchema>;

// ---------------------------------------------------------------------------------------------------------
// Names that permissions are made of
// ---------------------------------------------------------------------------------------------------------

/** An endpoint that has this tag may be drilled. */
export const DRILL_TAG = 'tocsin:drill';
/** An endpoint that has this tag, or {@link DRILL_TAG}, may be rolled back. */
export const ROLLBACK_TAG = 'tocsin:rollback';
/** Value of both. */
export const ALLOWED = 'allowed';

/** Begins the names of models and endpoint configurations that a drill makes: these alone it may make and remove. */
export const DRILL_PREFIX = 'tocsin-drill-';
/** Begins the names of endpoint configurations that a rollback makes, where SageMaker wants a new one. They stay. */
export const ROLLBACK_PREFIX = 'tocsin-rollback-';

// ---------------------------------------------------------------------------------------------------------
// How long things may take, which executions have to outlive. Milliseconds
// ---------------------------------------------------------------------------------------------------------

/** For other drills of the same endpoint, which one event has started. */
export const TURN_MS = 4 * 3_600_000;
/** Until a failure is in place: a deployment waits for instances and for its guardrail. */
export const PLACING_MS = 3_600_000;
/** Restoring, once: a deployment in each direction. */
export const RESTORING_MS = 2 * 3_600_000;
/** A rollback: with a guardrail a deployment alone may take hours, and SageMaker may be updating first. */
export const ROLLING_BACK_MS = 5 * 3_600_000;

// ---------------------------------------------------------------------------------------------------------
// What invokes them, what they answer and what they emit
// ---------------------------------------------------------------------------------------------------------

/** Direct invocation, and the input of a schedule. */
export const drillRequestSchema = z.union([
  strict({
    drill: name,
    run: runId.optional(),
    /** Restores what a run that died has left, and drills nothing. */
    only: z.literal('restore').optional(),
  }),
  /** Restores the endpoints of all runs that died, of whatever drill. */
  strict({ watch: z.literal(true) }),
]);

/** What a drill answers; also the detail of its event. */
export const drillResultSchema = z.object({
  drill: z.string(),
  endpoint: z.string(),
  outcome: z.enum(['pass', 'fail', 'inconclusive']),
  reason: z.string(),
  verdict: z.string(),
  evidence: z.string(),
  /** From the start of the procedure, milliseconds; null where the previous model does not serve again. */
  recoveryMs: z.number().nullable(),
  /** Whether the endpoint is as it was found. */
  restored: z.boolean(),
  /** At most 10 messages of the worst findings. */
  findings: z.array(z.string()),
});

export type DrillResult = z.output<typeof drillResultSchema>;

/** Detail type of what it emits. */
export const DRILL_FINISHED = 'Rollback Drill Finished';

/**
 * What a procedure gets: the Lambda function as its event, the state machine as its input. A team's own takes of it what
 * it needs.
 */
export const incidentSchema = z.object({
  /** Name of the endpoint that is to be rolled back. */
  endpoint: z.string(),
  /** Name and run of the drill. Absent in an incident. */
  drill: z.string(),
  run: z.string(),
});

export type Incident = z.output<typeof incidentSchema>;

/** By variant. SageMaker does not say what it makes of weights that are all 0. */
const weightsSchema = z
  .record(sagemakerName, z.number().min(0))
  .refine((weights) => Object.values(weights).some((weight) => weight > 0), 'a weight above 0');

/** Direct invocation of the rollback function. */
export const rollbackRequestSchema = strict({
  endpoint: sagemakerName,
  /**
   * Where to: all traffic to one variant; these weights; this endpoint configuration, with the weights that it names itself
   * or with these.
   */
  to: z.union(
    [
      strict({ variant: sagemakerName }),
      strict({ weights: weightsSchema }),
      strict({ config: sagemakerName, weights: weightsSchema.optional() }),
    ],
    { error: '{"variant"}, {"weights"}, {"config"} or {"config", "weights"}' },
  ),
  run: runId.optional(),
});

export type RollbackRequest = z.output<typeof rollbackRequestSchema>;

/** What the rollback function answers. Where it could not roll back it throws. */
export const rollbackResultSchema = z.object({
  endpoint: z.string(),
  /** One sentence: what serves now. */
  done: z.string(),
  /** False: it was there already. */
  changed: z.boolean(),
  /** Endpoint configuration that it has now. */
  config: z.string(),
  /** Share of the traffic by variant, now; 0 to 1. */
  shares: z.record(z.string(), z.number()),
});

export type RollbackResult = z.output<typeof rollbackResultSchema>;
