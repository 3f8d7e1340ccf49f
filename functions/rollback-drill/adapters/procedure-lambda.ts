import { InvokeCommand, type InvokeCommandOutput } from '@aws-sdk/client-lambda';
import { CLIENT_OPTIONS, dependencyError, statusOf } from '../../shared/aws.ts';
import { messageOf } from '../../shared/errors.ts';
import { formatDuration } from '../../shared/format.ts';
import { progressKey, progressSchema } from '../../shared/progress.ts';
import { parseJson } from '../../shared/schema.ts';
import type { ProcedureEnd } from '../measurements.ts';
import { type RollbackRequest, rollbackResultSchema } from '../schema.ts';
import {
  ATTEMPT_DIED,
  type Begun,
  failed,
  inOneLine,
  isThrottled,
  lost,
  markOnce,
  ofFunctionError,
  type ProcedureDependencies,
  type ProcedurePlan,
  type RunnableProcedure,
  refusalOf,
  succeeded,
} from './procedure.ts';

/*
 * Procedures that are Lambda functions: the team's own, and Tocsin's rollback.
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

/** What the SDK says where it did not even get to ask. */
const NOT_CONNECTED = /did not establish a connection/;

/** Whether a function that was to be invoked has certainly not run, so that another attempt may invoke it. */
function isNotBegun(error: Error): boolean {
  return isThrottled(error) || NOT_CONNECTED.test(error.message);
}

/** The team's function: its answer is its end. */
export function functionOf(arn: string, plan: ProcedurePlan, deps: ProcedureDependencies): RunnableProcedure {
  return {
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

/** Tocsin's own rollback, which reports how far it is. */
export function builtinOf(plan: ProcedurePlan, deps: ProcedureDependencies): RunnableProcedure {
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
