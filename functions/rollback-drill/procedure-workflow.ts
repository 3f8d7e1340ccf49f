import { messageOf } from '../shared/errors.ts';
import { clip, formatDuration } from '../shared/format.ts';
import { OutOfTimeError, type Patience, type Workflow } from '../shared/workflow.ts';
import {
  lost,
  type ProcedureDependencies,
  type ProcedurePlan,
  type RunnableProcedure,
  readProcedureEnd,
  type TimedEnd,
} from './adapters/procedure.ts';
import { automationOf } from './adapters/procedure-automation.ts';
import { builtinOf, functionOf } from './adapters/procedure-lambda.ts';
import { stateMachineOf } from './adapters/procedure-state-machine.ts';
import type { ProcedureEnd } from './measurements.ts';

/*
 * The run of a procedure: begun once, waited for, and stopped where it takes too long. Steps and waits only, so that
 * somebody can watch the endpoint beside it.
 */

/** A procedure mostly takes a minute or a few; the watch should know soon that it is over. */
const POLLING: Omit<Patience, 'timeoutMs'> = { firstPauseMs: 2_000, longestPauseMs: 10_000 };

/** Characters that are kept of an error. */
const REASON = 300;

/** An end, and when it was seen, milliseconds since 1970. */
type Seen = ProcedureEnd & { endedAt: number };

/** What is known once a procedure was begun. */
type Started = { before: TimedEnd } | { end: Seen } | { execution: string; certain: boolean };

/**
 * Runs a procedure, at most once for its token, and writes down how it ended.
 *
 * What goes wrong is an outcome: whoever called it has an endpoint to restore. `unknown` is that of a procedure that nobody
 * could begin or follow, through no fault of its own.
 *
 * @throws OutOfTimeError where the execution has no time left; the procedure was stopped where that can be done
 */
export async function runProcedure(
  workflow: Workflow,
  plan: ProcedurePlan,
  deps: ProcedureDependencies,
): Promise<TimedEnd> {
  const procedure = procedureOf(plan, deps);
  const begunAt = await workflow.step('begin the procedure', async () => deps.now());
  const started = await begin(workflow, procedure, plan, deps);
  if ('before' in started) return started.before;
  const end = 'end' in started ? started.end : await follow(workflow, procedure, started, plan, deps);
  const timed: TimedEnd = { ...end, begunAt };
  try {
    await workflow.step('write down how the procedure ended', () =>
      deps.work.put(plan.endKey, { text: JSON.stringify(timed) }),
    );
  } catch (error) {
    if (error instanceof OutOfTimeError) throw error;
    // Whoever watches the endpoint watches longer than it had to, and no more.
    deps.warn('how the procedure ended was not written down', error);
  }
  return timed;
}

/** The procedure that a plan names. */
function procedureOf(plan: ProcedurePlan, deps: ProcedureDependencies): RunnableProcedure {
  const { lambda, ssmAutomation, stateMachine, builtin } = plan.procedure ?? {};
  if (lambda !== undefined) return functionOf(lambda, plan, deps);
  if (ssmAutomation !== undefined) return automationOf(ssmAutomation, plan, deps);
  if (stateMachine !== undefined) return stateMachineOf(stateMachine, plan, deps);
  if (builtin !== undefined) return builtinOf(plan, deps);
  throw new Error('the plan names no procedure');
}

async function begin(
  workflow: Workflow,
  procedure: RunnableProcedure,
  { endKey }: ProcedurePlan,
  deps: ProcedureDependencies,
): Promise<Started> {
  try {
    return await workflow.step<Started>('run the procedure', async () => {
      const before = await readProcedureEnd(deps.work, endKey);
      if (before !== undefined) return { before };
      const begun = await procedure.begin();
      return 'end' in begun ? { end: { ...begun.end, endedAt: deps.now() } } : begun;
    });
  } catch (error) {
    if (error instanceof OutOfTimeError) throw error;
    const endedAt = await workflow.step('give the procedure up', async () => deps.now());
    return { end: { ...lost(reasonOf(error)), endedAt } };
  }
}

async function follow(
  workflow: Workflow,
  procedure: RunnableProcedure,
  { execution, certain }: { execution: string; certain: boolean },
  { patienceMs }: ProcedurePlan,
  { now }: ProcedureDependencies,
): Promise<Seen> {
  const look = async (): Promise<Seen | undefined> => {
    const end = await procedure.look(execution);
    return end && { ...end, endedAt: now() };
  };
  /** What is over in the last moment has ended by itself. */
  const stop = () =>
    workflow.step('stop the procedure', async () => {
      const end = await look().catch(() => undefined);
      return end ?? { stopped: await procedure.stop(execution), endedAt: now() };
    });
  let why: string | undefined;
  try {
    const end = await workflow.waitUntil('wait for the procedure', look, {
      timeoutMs: patienceMs,
      ...POLLING,
    });
    if (end !== undefined) return end;
  } catch (error) {
    if (error instanceof OutOfTimeError) {
      await stop();
      throw error;
    }
    why = reasonOf(error);
  }
  const last = await stop();
  if ('outcome' in last) return last;
  const { stopped, endedAt } = last;
  if (why !== undefined) return { ...lost(`${why}; ${stopped}`), endedAt };
  const late = `it had not ended after ${formatDuration(patienceMs)}; ${stopped}`;
  if (!certain) return { ...lost(`the attempt to begin it broke off, and ${late}`), endedAt };
  return { outcome: 'timed-out', said: late, endedAt };
}

/** An error within a sentence. */
function reasonOf(error: unknown): string {
  return clip(messageOf(error), REASON);
}
