import { randomUUID } from 'node:crypto';
import type { LambdaClient } from '@aws-sdk/client-lambda';
import type { SFNClient } from '@aws-sdk/client-sfn';
import type { SSMClient } from '@aws-sdk/client-ssm';
import * as z from 'zod';
import { dependencyError, statusOf } from '../../shared/aws.ts';
import { clip } from '../../shared/format.ts';
import { parseJson, tryJson } from '../../shared/schema.ts';
import type { WorkBucket } from '../../shared/work.ts';
import type { ProcedureEnd } from '../measurements.ts';
import type { Incident, RollbackDrillConfig, RollbackRequest } from '../schema.ts';

/*
 * The team's own way back, of whatever kind: begun once, looked after, and stopped where it takes too long. What belongs to
 * a run has names that its token makes, so that whoever begins it again after a crash finds what was begun before.
 */

/** What procedures are run with. */
export interface ProcedureDependencies {
  /** Alias of Tocsin's own rollback. */
  env: { ROLLBACK_ARN: string };
  work: WorkBucket;
  /** Made with `PROCEDURE_OPTIONS` of procedure-lambda.ts. */
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
export async function markOnce({ endKey }: ProcedurePlan, { work }: ProcedureDependencies) {
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
export function inOneLine(text: string): string {
  return clip(text.replace(/[\s\p{Cc}]+/gu, ' ').trim(), SENTENCE).replace(/\.$/, '');
}

/** It ended, and not well: what it says of that, in a sentence. */
export const failed = (said: string): ProcedureEnd => ({ outcome: 'failed', said });
/** It ended well. */
export const succeeded: ProcedureEnd = { outcome: 'succeeded', said: null };

/** Nobody knows how it ended, or whether it has. */
export function lost(why: string): ProcedureEnd {
  return { outcome: 'unknown', said: `the drill lost sight of the procedure: ${why}` };
}

/** Why nobody knows, where nothing remembers what the attempt before has come to. */
export const ATTEMPT_DIED = 'the attempt that was to begin it died, and it is not run twice';

/** What may be said of the error of a function: its class and message, and nothing of its trace. */
export function ofFunctionError(payload: string): string | undefined {
  const { errorType, errorMessage } = (tryJson(payload) ?? {}) as Record<string, unknown>;
  const words = [errorType, errorMessage].filter((one) => typeof one === 'string' && one !== '');
  return words.length === 0 ? undefined : inOneLine(words.join(': '));
}

/** Whether AWS has no time for a call now. */
export function isThrottled({ name }: Error): boolean {
  return /Throttl|TooManyRequests|LimitExceeded/.test(name);
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
export function refusalOf(error: unknown, { what, mend, action, missing }: Beginning): string | undefined {
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

/**
 * The end of a procedure that AWS refuses to begin.
 *
 * @param call that was refused, for messages: `StartExecution arn:...`
 * @throws GateDependencyError where nobody has refused: it has not begun, and may the next time
 */
export function refused(call: string, error: unknown, beginning: Beginning): { end: ProcedureEnd } {
  const refusal = refusalOf(error, beginning);
  if (refusal === undefined) throw dependencyError(call, error);
  return { end: failed(refusal) };
}

/** Stops an execution, where `ended` are the names of the errors that say that there is nothing to stop. */
export async function stopped(answer: Promise<unknown>, ended: readonly string[]): Promise<string> {
  try {
    await answer;
  } catch (error) {
    const { name, message } = error as Error;
    if (!ended.includes(name)) return `it could not be stopped: ${inOneLine(`${name}: ${message}`)}`;
  }
  return 'it was stopped';
}
