import { randomUUID } from 'node:crypto';
import { InvokeCommand, type InvokeCommandOutput, type LambdaClient } from '@aws-sdk/client-lambda';
import {
  DescribeExecutionCommand,
  type SFNClient,
  StartExecutionCommand,
  StopExecutionCommand,
} from '@aws-sdk/client-sfn';
import {
  GetAutomationExecutionCommand,
  type SSMClient,
  StartAutomationExecutionCommand,
  StopAutomationExecutionCommand,
} from '@aws-sdk/client-ssm';
import * as z from 'zod';
import { CLIENT_OPTIONS, call, dependencyError, statusOf } from '../../shared/aws.ts';
import { messageOf } from '../../shared/errors.ts';
import { clip, formatDuration } from '../../shared/format.ts';
import { sha256 } from '../../shared/identity.ts';
import { progressKey, progressSchema } from '../../shared/progress.ts';
import { parseJson, tryJson } from '../../shared/schema.ts';
import type { WorkBucket } from '../../shared/work.ts';
import type { ProcedureEnd } from '../measurements.ts';
import {
  type Incident,
  type RollbackDrillConfig,
  type RollbackRequest,
  rollbackResultSchema,
} from '../schema.ts';

/*
 * The team's own way back, of four kinds: begun once, looked after, and stopped where it takes too long. What belongs to a
 * run has names that its token makes, so that whoever begins it again after a crash finds what was begun before.
 */

/** A Lambda function may take so long, milliseconds: less than the 15 minutes of the function that waits for it. */
const LONGEST_INVOCATION_MS = 12 * 60_000;

/** By how much the SDK is more patient, so that it is the drill that gives up. */
const SPARE_MS = 5_000;

/** Options of the client that invokes procedures: once, and for as long as the team's function may take. */
export const PROCEDURE_OPTIONS = {
  ...CLIENT_OPTIONS,
  maxAttempts: 1,
  requestHandler: {
    ...CLIENT_OPTIONS.requestHandler,
    requestTimeout: LONGEST_INVOCATION_MS + SPARE_MS,
    socketTimeout: LONGEST_INVOCATION_MS + SPARE_MS,
  },
};

/** What procedures are run with. */
export interface ProcedureDependencies {
  /** Alias of Tocsin's own rollback. */
  env: { ROLLBACK_ARN: string };
  work: WorkBucket;
  /** Made with {@link PROCEDURE_OPTIONS}. */
  lambda: LambdaClient;
  ssm: SSMClient;
  sfn: SFNClient;
  /** Milliseconds since 1970. */
  now: () => number;
  /** Logs what went wrong beside the run. */
  warn: (message: string, error: unknown) => void;
}

/** A procedure, as one drill runs it. */
export interface ProcedurePlan {
  procedure: RollbackDrillConfig['procedure'];
  /** What the function and the state machine get. */
  incident: Incident;
  /** What the builtin procedure is asked for. */
  to: RollbackRequest['to'];
  /** Of this run of the drill alone; letters, digits and hyphens. The same token starts the procedure once. */
  token: string;
  /** How long it may take, milliseconds. */
  patienceMs: number;
  /** Where its end is written down, in the work bucket. Beside it is the mark of its beginning. */
  endKey: string;
}

/** How a procedure has begun: it is over already; or it runs, and this is what it is called. */
export type Begun =
  | { end: ProcedureEnd }
  | {
      execution: string;
      /** Whether it is certain that it has begun. */
      certain: boolean;
    };

/** A procedure that can be begun, looked after and stopped. */
export interface RunnableProcedure {
  /**
   * Begins it, or finds what was begun before: it never runs twice.
   *
   * @throws GateDependencyError where it has not begun, and may the next time
   */
  begin: () => Promise<Begun>;
  /**
   * Looks whether it is over.
   *
   * @returns undefined where it goes on
   * @throws GateDependencyError where nobody can tell
   */
  look: (execution: string) => Promise<ProcedureEnd | undefined>;
  /**
   * Stops it, so that it changes nothing that is restored meanwhile; one that is over is fine.
   *
   * @returns what came of it: `it was stopped`
   */
  stop: (execution: string) => Promise<string>;
}

/** The procedure that a plan names. */
export function procedureOf(plan: ProcedurePlan, deps: ProcedureDependencies): RunnableProcedure {
  const { lambda, ssmAutomation, stateMachine, builtin } = plan.procedure ?? {};
  if (lambda !== undefined) return functionOf(lambda, plan, deps);
  if (ssmAutomation !== undefined) return automationOf(ssmAutomation, plan, deps);
  if (stateMachine !== undefined) return stateMachineOf(stateMachine, plan, deps);
  if (builtin !== undefined) return builtinOf(plan, deps);
  throw new Error('the plan names no procedure');
}

// ---------------------------------------------------------------------------------------------------------
// The end, where the watch over the endpoint finds it
// ---------------------------------------------------------------------------------------------------------

const endSchema = z.object({
  outcome: z.enum(['succeeded', 'failed', 'timed-out', 'unknown']),
  said: z.string().nullable(),
  begunAt: z.number(),
  endedAt: z.number(),
});

/** How a procedure ended, and when it began and ended, milliseconds since 1970. */
export type TimedEnd = ProcedureEnd & { begunAt: number; endedAt: number };

/**
 * Reads how a procedure ended.
 *
 * @returns undefined where it goes on
 * @throws GateDependencyError where S3 does not answer, or refuses
 */
export async function readProcedureEnd(work: WorkBucket, endKey: string): Promise<TimedEnd | undefined> {
  const text = await work.read(endKey);
  return text === undefined ? undefined : parseJson(endSchema, text, work.uri(endKey));
}

/** Key of the mark that a procedure was begun, where nothing else remembers it. */
export function beginningKey(endKey: string): string {
  return endKey.replace(/(\.json)?$/, '-begun.json');
}

/** How long a mark holds, milliseconds: longer than anything that a drill does, as long as objects stay in the bucket. */
const MARK_MS = 30 * 86_400_000;

/**
 * Marks a procedure as begun, before it is.
 *
 * @returns how to take the mark back; undefined where an attempt that died has begun it
 * @throws GateDependencyError where S3 does not answer, or refuses
 */
async function markOnce({ endKey }: ProcedurePlan, { work }: ProcedureDependencies) {
  const key = beginningKey(endKey);
  // Of this attempt alone, unlike the token: the next one is to find that it is not the first.
  const attempt = randomUUID();
  if ((await work.claim(key, attempt, MARK_MS)) !== attempt) return undefined;
  return () => work.release(key, attempt);
}

// ---------------------------------------------------------------------------------------------------------
// What is said of a failure
// ---------------------------------------------------------------------------------------------------------

/** Characters that are kept of somebody's words. */
const SENTENCE = 300;

/** Somebody's words on one line, which others can go on with. */
function inOneLine(text: string): string {
  return clip(text.replace(/[\s\p{Cc}]+/gu, ' ').trim(), SENTENCE).replace(/\.$/, '');
}

const failed = (said: string): ProcedureEnd => ({ outcome: 'failed', said });
const succeeded: ProcedureEnd = { outcome: 'succeeded', said: null };

/** Nobody knows how it ended, or whether it has. */
export function lost(why: string): ProcedureEnd {
  return { outcome: 'unknown', said: `the drill lost sight of the procedure: ${why}` };
}

const ATTEMPT_DIED = 'the attempt that was to begin it died, and it is not run twice';

/** What may be said of the error of a function: its class and message, and nothing of its trace. */
function ofFunctionError(payload: string): string | undefined {
  const { errorType, errorMessage } = (tryJson(payload) ?? {}) as Record<string, unknown>;
  const words = [errorType, errorMessage].filter((one) => typeof one === 'string' && one !== '');
  return words.length === 0 ? undefined : inOneLine(words.join(': '));
}

/** What the SDK says where it did not even get to ask. */
const NOT_CONNECTED = /did not establish a connection/;

function isThrottled({ name }: Error): boolean {
  return /Throttl|TooManyRequests|LimitExceeded/.test(name);
}

/** Whether a function that was to be invoked has certainly not run, so that another attempt may invoke it. */
function isNotBegun(error: Error): boolean {
  return isThrottled(error) || NOT_CONNECTED.test(error.message);
}

/** What is to be begun, for whoever reads why it could not be. */
interface Beginning {
  /** `function arn:...` */
  what: string;
  /** What helps where there is no such thing. */
  mend: string;
  /** The action that AWS asks for. */
  action: string;
  /** Names of the errors that say that there is no such thing. */
  missing: readonly string[];
}

/**
 * Why AWS does not begin a procedure, with what mends it.
 *
 * @returns undefined where nobody has refused: AWS has no time for it now, or does not answer
 */
function refusalOf(error: unknown, { what, mend, action, missing }: Beginning): string | undefined {
  const { name, message } = error as Error;
  const status = statusOf(error) ?? 0;
  if (isThrottled(error as Error)) return undefined;
  if (missing.includes(name)) return `there is no ${what}: ${mend}`;
  // Services that speak JSON say 400 of what is not allowed, too.
  if (status === 403 || /^(AccessDenied|NotAuthorized)/.test(name)) {
    return `the drill may not start the ${what}: grant its role ${action} on it, and whatever the policy of the other side asks for`;
  }
  if (status < 400 || status >= 500) return undefined;
  return `the ${what} could not be started: ${inOneLine(`${name}: ${message}`)}`;
}

/** Stops an execution, where `ended` are the names of the errors that say that there is nothing to stop. */
async function stopped(answer: Promise<unknown>, ended: readonly string[]): Promise<string> {
  try {
    await answer;
  } catch (error) {
    const { name, message } = error as Error;
    if (!ended.includes(name)) return `it could not be stopped: ${inOneLine(`${name}: ${message}`)}`;
  }
  return 'it was stopped';
}

// ---------------------------------------------------------------------------------------------------------
// A Lambda function
// ---------------------------------------------------------------------------------------------------------

function functionOf(arn: string, plan: ProcedurePlan, deps: ProcedureDependencies): RunnableProcedure {
  return {
    // Its answer is its end: there is nothing to look after.
    begin: async () => ({ end: await invoked(arn, plan, deps) }),
    look: async () => undefined,
    stop: async () => 'it cannot be stopped',
  };
}

async function invoked(arn: string, plan: ProcedurePlan, deps: ProcedureDependencies): Promise<ProcedureEnd> {
  const takeBack = await markOnce(plan, deps);
  if (takeBack === undefined) return lost(ATTEMPT_DIED);
  const patience = Math.min(plan.patienceMs, LONGEST_INVOCATION_MS);
  try {
    const command = new InvokeCommand({
      FunctionName: arn,
      InvocationType: 'RequestResponse',
      LogType: 'None',
      Payload: JSON.stringify(plan.incident),
    });
    const answer = await within(patience, (abortSignal) => deps.lambda.send(command, { abortSignal }));
    return endOfFunction(answer);
  } catch (error) {
    const { name, message } = error as Error;
    if (isNotBegun(error as Error)) {
      await takeBack();
      throw dependencyError(`Invoke ${arn}`, error);
    }
    if (name === 'TimeoutError') {
      const said = `the function had not answered after ${formatDuration(patience)}; it may still run, and cannot be stopped`;
      return { outcome: 'timed-out', said };
    }
    const refusal = refusalOf(error, {
      what: `function ${arn}`,
      mend: 'correct procedure.lambda in tocsin.yaml, or find out who removed it',
      action: 'lambda:InvokeFunction',
      missing: ['ResourceNotFoundException'],
    });
    if (refusal !== undefined) return failed(refusal);
    // So Lambda says that it cannot make a function run: for its network, its key, its image.
    if (statusOf(error) === 502) return failed(inOneLine(`${name}: ${message}`));
    return lost(inOneLine(messageOf(dependencyError(`Invoke ${arn}`, error))));
  }
}

/** Asks, and gives up after so many milliseconds, with the error that the SDK has of it. */
async function within<T>(ms: number, ask: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const over = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    const error = Object.assign(new Error(`no answer in ${formatDuration(ms)}`), { name: 'TimeoutError' });
    timer = setTimeout(() => reject(error), ms);
  });
  try {
    return await Promise.race([ask(over.signal), late]);
  } finally {
    clearTimeout(timer);
    over.abort();
  }
}

function endOfFunction({ FunctionError, Payload }: InvokeCommandOutput): ProcedureEnd {
  if (FunctionError === undefined) return succeeded;
  const payload = Buffer.from(Payload ?? []).toString('utf8');
  return failed(ofFunctionError(payload) ?? 'the function failed, and does not say why');
}

// ---------------------------------------------------------------------------------------------------------
// A runbook of Systems Manager
// ---------------------------------------------------------------------------------------------------------

type Automation = NonNullable<NonNullable<RollbackDrillConfig['procedure']>['ssmAutomation']>;

const AUTOMATION_ENDS: Readonly<Record<string, 'succeeded' | 'failed'>> = {
  Success: 'succeeded',
  CompletedWithSuccess: 'succeeded',
  Failed: 'failed',
  TimedOut: 'failed',
  Cancelled: 'failed',
  Rejected: 'failed',
  Exited: 'failed',
  CompletedWithFailure: 'failed',
  ChangeCalendarOverrideRejected: 'failed',
};

function automationOf(
  { document, version, parameters }: Automation,
  { incident, token }: ProcedurePlan,
  { ssm }: ProcedureDependencies,
): RunnableProcedure {
  const begin = async (): Promise<Begun> => {
    try {
      const { AutomationExecutionId } = await ssm.send(
        new StartAutomationExecutionCommand({
          DocumentName: document,
          ...(version !== undefined && { DocumentVersion: version }),
          Parameters: Object.fromEntries(
            Object.entries(parameters).map(([name, values]) => [
              name,
              values.map((value) => value.replaceAll('{endpoint}', incident.endpoint)),
            ]),
          ),
          ClientToken: uuidOf(token),
        }),
      );
      if (AutomationExecutionId === undefined) throw new Error('the answer names no execution');
      return { execution: AutomationExecutionId, certain: true };
    } catch (error) {
      // The token was used before, and Systems Manager does not say for which execution.
      if ((error as Error).name === 'IdempotentParameterMismatch') return { end: lost(ATTEMPT_DIED) };
      const refusal = refusalOf(error, {
        what: `runbook ${document}${version === undefined ? '' : ` of version ${version}`}`,
        mend: 'correct procedure.ssmAutomation in tocsin.yaml, or find out who removed it',
        action: 'ssm:StartAutomationExecution',
        missing: ['AutomationDefinitionNotFoundException', 'AutomationDefinitionVersionNotFoundException'],
      });
      if (refusal !== undefined) return { end: failed(refusal) };
      throw dependencyError(`StartAutomationExecution ${document}`, error);
    }
  };
  const look = async (AutomationExecutionId: string): Promise<ProcedureEnd | undefined> => {
    const { AutomationExecution: found } = await call(
      `GetAutomationExecution ${AutomationExecutionId}`,
      ssm.send(new GetAutomationExecutionCommand({ AutomationExecutionId })),
    );
    const status = found?.AutomationExecutionStatus ?? '';
    const outcome = AUTOMATION_ENDS[status];
    if (outcome === undefined) return undefined;
    if (outcome === 'succeeded') return succeeded;
    return failed(inOneLine([status, found?.FailureMessage].filter(Boolean).join(': ')));
  };
  const stop = (AutomationExecutionId: string) =>
    stopped(ssm.send(new StopAutomationExecutionCommand({ AutomationExecutionId, Type: 'Cancel' })), [
      'InvalidAutomationStatusUpdateException',
      'AutomationExecutionNotFoundException',
    ]);
  return { begin, look, stop };
}

/** A UUID that a token makes: the same every time. */
function uuidOf(token: string): string {
  const hex = sha256(`tocsin-drill-${token}`);
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `4${hex.slice(13, 16)}`,
    `8${hex.slice(17, 20)}`,
    hex.slice(20, 32),
  ].join('-');
}

// ---------------------------------------------------------------------------------------------------------
// A state machine
// ---------------------------------------------------------------------------------------------------------

function stateMachineOf(
  arn: string,
  { incident, token }: ProcedurePlan,
  { sfn }: ProcedureDependencies,
): RunnableProcedure {
  const name = `tocsin-drill-${token}`;
  const begin = async (): Promise<Begun> => {
    try {
      const { executionArn } = await sfn.send(
        new StartExecutionCommand({ stateMachineArn: arn, name, input: JSON.stringify(incident) }),
      );
      if (executionArn === undefined) throw new Error('the answer names no execution');
      if (executionArn.includes(':express:')) {
        return {
          end: lost(`${arn} is an express state machine, which nobody can follow; use a standard one`),
        };
      }
      return { execution: executionArn, certain: true };
    } catch (error) {
      // Begun by an attempt that died, and over by now.
      if ((error as Error).name === 'ExecutionAlreadyExists') {
        return { execution: `${arn.replace(':stateMachine:', ':execution:')}:${name}`, certain: true };
      }
      const refusal = refusalOf(error, {
        what: `state machine ${arn}`,
        mend: 'correct procedure.stateMachine in tocsin.yaml, or find out who removed it',
        action: 'states:StartExecution',
        missing: ['StateMachineDoesNotExist', 'StateMachineDeleting'],
      });
      if (refusal !== undefined) return { end: failed(refusal) };
      throw dependencyError(`StartExecution ${arn}`, error);
    }
  };
  const look = async (executionArn: string): Promise<ProcedureEnd | undefined> => {
    const { status, error, cause } = await call(
      `DescribeExecution ${executionArn}`,
      sfn.send(new DescribeExecutionCommand({ executionArn })),
    );
    if (status === 'SUCCEEDED') return succeeded;
    if (status !== 'FAILED' && status !== 'TIMED_OUT' && status !== 'ABORTED') return undefined;
    // The cause of a failed function is its whole error, as JSON.
    const why = ofFunctionError(cause ?? '') ?? [error, cause].filter(Boolean).join(': ');
    return failed(inOneLine([status, why].filter(Boolean).join(': ')));
  };
  const stop = (executionArn: string) =>
    stopped(
      sfn.send(
        new StopExecutionCommand({
          executionArn,
          error: 'Tocsin.DrillIsOver',
          cause: 'It took longer than the rollback drill waits, and the endpoint is restored now.',
        }),
      ),
      ['ExecutionDoesNotExist'],
    );
  return { begin, look, stop };
}

// ---------------------------------------------------------------------------------------------------------
// Tocsin's own rollback
// ---------------------------------------------------------------------------------------------------------

function builtinOf(plan: ProcedurePlan, deps: ProcedureDependencies): RunnableProcedure {
  const arn = deps.env.ROLLBACK_ARN;
  const run = `drill-${plan.token}`;
  const begin = async (): Promise<Begun> => {
    const takeBack = await markOnce(plan, deps);
    // Whether the attempt that died got as far is seen where the rollback reports.
    if (takeBack === undefined) return { execution: run, certain: false };
    try {
      const request: RollbackRequest = { endpoint: plan.incident.endpoint, to: plan.to, run };
      const command = new InvokeCommand({
        FunctionName: arn,
        InvocationType: 'Event',
        Payload: JSON.stringify(request),
      });
      // Lambda only takes the event.
      const { requestTimeout } = CLIENT_OPTIONS.requestHandler;
      await within(requestTimeout, (abortSignal) => deps.lambda.send(command, { abortSignal }));
      return { execution: run, certain: true };
    } catch (error) {
      const refusal = refusalOf(error, {
        what: `function ${arn}`,
        mend: 'deploy Tocsin again',
        action: 'lambda:InvokeFunction',
        missing: ['ResourceNotFoundException'],
      });
      if (refusal !== undefined) return { end: failed(refusal) };
      if (!isNotBegun(error as Error)) return { execution: run, certain: false };
      await takeBack();
      throw dependencyError(`Invoke ${arn}`, error);
    }
  };
  const look = async (name: string): Promise<ProcedureEnd | undefined> => {
    const key = progressKey(name);
    const text = await deps.work.read(key);
    if (text === undefined) return undefined;
    const { result, error } = parseJson(progressSchema, text, deps.work.uri(key));
    if (error !== undefined) return failed(inOneLine(error.message));
    if (result === undefined) return undefined;
    const isDone = rollbackResultSchema.safeParse(result).success;
    return isDone ? succeeded : failed('the rollback does not say what it did');
  };
  return { begin, look, stop: async () => 'it cannot be stopped' };
}
