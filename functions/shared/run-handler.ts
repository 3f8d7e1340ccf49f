import { carriedBy } from './carry.ts';
import { type InvocationContext, remembered, withHelp } from './lambda.ts';
import { COUNTERS, createLogger, createMetrics } from './observability.ts';
import { toldOf } from './progress.ts';
import type { GateName, Ignored, Outcome } from './verdict.ts';
import type { WorkBucket } from './work.ts';
import { keepError, type Workflow } from './workflow.ts';

/*
 * The Lambda handler of what runs as a workflow, by hand or when something happens, several at a time where an event asks
 * for several: canaries, drills, rollbacks and comparisons.
 */

/**
 * How one run ended: with a verdict, with something done of which there is none, with nothing to do, or with whose mistake
 * keeps it from running.
 */
type Answer =
  | { verdict: string; outcome: Outcome }
  | { done: string }
  | Ignored
  | { error: string; message: string };

/** What a run tells those who operate it. */
export interface RunReporting {
  /** Writes metrics of a verdict. */
  record: (name: string, measures: { outcome: Outcome; durationMs: number }) => void;
  /** Logs what went wrong beside the run. */
  warn: (message: string, error: unknown) => void;
}

/** What is run, and how. */
export interface Runs<Configured, Trigger extends object, Request, Result extends Answer> {
  gate: GateName;
  /** What one is, in metrics and logs. */
  kind: 'canary' | 'drill' | 'rollback' | 'parity';
  carrier: 'durable' | 'in-process';
  work: WorkBucket;
  /** Milliseconds since 1970. */
  now: () => number;
  /** Reads the configuration; asked again only where it failed. */
  configure: () => Promise<Configured>;
  /**
   * Who asks; `run` of it names a run that somebody follows.
   *
   * @throws GateInputError where the event is malformed
   */
  parseTrigger: (event: unknown) => Trigger;
  /**
   * What is to run.
   *
   * @throws GateInputError where the one that is named does not exist
   */
  requestsOf: (trigger: Trigger, configured: Configured) => Request[] | Ignored;
  nameOf: (request: Request) => string;
  /**
   * @param invocation the present one: a durable execution has several
   * @param among how many requests there are
   */
  run: (
    workflow: Workflow,
    request: Request,
    reporting: RunReporting,
    invocation: InvocationContext,
    among: number,
  ) => Promise<Result>;
}

/** In metrics: which one it was about could not be found out. */
const UNKNOWN = 'unknown';

/**
 * The handler: from an event to the answer of its run, or to those of several that ran side by side.
 *
 * It throws what a run throws, which goes to the dead-letter queue, at the end of all attempts; and GateInputError of a
 * malformed event, or of a name that there is not.
 */
export function createRunHandler<Configured, Trigger extends object, Request, Result extends Answer>(
  runs: Runs<Configured, Trigger, Request, Result>,
): (event: unknown, context: InvocationContext) => Promise<unknown> {
  const { gate, kind, work, now } = runs;
  const logger = createLogger(gate);
  const record = createMetrics(gate, kind);
  const configured = remembered(runs.configure);
  const reporting: RunReporting = {
    record: (name, { outcome, durationMs }) => {
      record(name, { [COUNTERS[outcome]]: 1, DurationMs: durationMs });
    },
    warn: (message, error) => logger.warn(message, error as Error),
  };

  const runOne = async (
    workflow: Workflow,
    request: Request,
    invocation: InvocationContext,
    among: number,
  ): Promise<Result> => {
    const name = runs.nameOf(request);
    try {
      const answer = await runs.run(workflow, request, reporting, invocation, among);
      if ('error' in answer) {
        record(name, { Errors: 1 });
        logger.error('refused', { [kind]: name, reason: answer.message });
      } else if ('ignored' in answer) logger.info('ignored', { [kind]: name, reason: answer.ignored });
      else if ('done' in answer) logger.info('done', { [kind]: name, what: answer.done });
      else logger.info('judged', { [kind]: name, verdict: answer.verdict, outcome: answer.outcome });
      return answer;
    } catch (error) {
      record(name, { Errors: 1 });
      logger.error('no verdict', { [kind]: name, error: error as Error });
      throw withHelp(error);
    }
  };

  /** Tells whoever follows a run, and would wait for its beginning. */
  const refuse = async (trigger: Trigger, error: Error): Promise<void> => {
    const named = 'run' in trigger && typeof trigger.run === 'string' ? trigger.run : undefined;
    const progress = { startedAt: now(), phase: 'refused', error: toldOf(keepError(error)) };
    await work
      .report(named, progress)
      .catch((error) => logger.warn('progress was not written', error as Error));
  };

  const run = async (
    event: unknown,
    workflow: Workflow,
    invocation: InvocationContext,
  ): Promise<Result | Result[] | Ignored> => {
    logger.resetKeys();
    logger.appendKeys({ requestId: invocation.awsRequestId, execution: workflow.id });
    let trigger: Trigger | undefined;
    let requests: Request[] | Ignored;
    try {
      trigger = runs.parseTrigger(event);
      requests = runs.requestsOf(trigger, await configured());
    } catch (error) {
      record(UNKNOWN, { Errors: 1 });
      logger.error('no run', error as Error);
      if (trigger !== undefined) await refuse(trigger, error as Error);
      throw withHelp(error);
    }
    if ('ignored' in requests) {
      logger.info('ignored', { reason: requests.ignored });
      return requests;
    }
    const { length } = requests;
    const [only] = requests;
    if (length === 1 && only !== undefined) return runOne(workflow, only, invocation, length);
    return workflow.map(`run each ${kind}`, requests, (part, request) =>
      runOne(part, request, invocation, length),
    );
  };

  return carriedBy(runs.carrier, run, configured);
}
