import { claimed, type Refusal } from '../shared/claimed.ts';
import { conclude, type RunSubject, readConcluded } from '../shared/conclude.ts';
import { GateDependencyError, messageOf } from '../shared/errors.ts';
import { followed } from '../shared/followed.ts';
import { clip, formatShare } from '../shared/format.ts';
import { goldenPlace } from '../shared/golden.ts';
import { sha256, verdictFolder, verdictId } from '../shared/identity.ts';
import { renderReport } from '../shared/report/verdict-page.ts';
import type { Ignored } from '../shared/verdict.ts';
import { TOCSIN_VERSION } from '../shared/version.ts';
import { type Patience, partOf, type Workflow } from '../shared/workflow.ts';
import { configHash, readEndpoint } from './adapters/endpoint.ts';
import { readProcedureEnd, type TimedEnd } from './adapters/procedure.ts';
import { type EndpointState, targetOf } from './endpoint.ts';
import { breakGuardrail, goOn, makeBadModelServe } from './failure-workflow.ts';
import { verdictOf } from './identity.ts';
import type { Procedure, Timeline } from './measurements.ts';
import { drillMessage, drillRefusalMessage, drillResultOf } from './messages.ts';
import { begin, prepare } from './preflight-workflow.ts';
import { runProcedure } from './procedure-workflow.ts';
import { type DrillRecord, fingerprintsKey, namesOf, procedureEndKey, recordKey } from './record.ts';
import { rollbackPage } from './report.ts';
import type { DrillRequest } from './request.ts';
import { forget, readRecord, restore, UNPROVED, withdraw } from './restore-workflow.ts';
import {
  CLAIM_MS,
  claimOf,
  hold,
  type Known,
  NotDrilled,
  type Prepared,
  type RollbackDrillDependencies,
  type Run,
} from './run-workflow.ts';
import {
  DRILL_FINISHED,
  type DrillResult,
  drillResultSchema,
  type RollbackRequest,
  TURN_MS,
} from './schema.ts';
import { attributed, isOver, tellingAnswers } from './timeline.ts';
import { BREATH_MS, beginUnlessStopped, readSlices, type Sent, sendSlices } from './traffic-workflow.ts';
import { type Done, restoreByHand, restoreLeft, watch } from './watch-workflow.ts';

/*
 * One run of a rollback drill, from the endpoint as it is found to the verdict, as one function over the workflow port.
 * Every step bears to be repeated. Whatever happens once the record is written, the endpoint is restored before anything
 * is judged; what dies meanwhile is restored by that record.
 */

/** The answer to a drill that could not be run, through somebody's mistake. Its owners were told. */
export interface DrillRefusal extends Refusal {
  drill: string;
}

export type DrillAnswer = DrillResult | Ignored | DrillRefusal | Done;

/** Traffic before the failure: so long, or until so many answers. */
const BASELINE_MS = 10_000;
const BASELINE_ANSWERS = 10;

/** How long a drill waits for others of the same endpoint. */
const TURNS: Patience = { timeoutMs: TURN_MS, firstPauseMs: 10_000, longestPauseMs: 60_000 };

/** How often it is looked whether a procedure has ended, once nobody watches the endpoint any more. */
const WAITING: Omit<Patience, 'timeoutMs'> = { firstPauseMs: 5_000, longestPauseMs: 60_000 };

/** What is kept of an error. */
const REASON = 600;

/** Where the evidence of a drill is. */
function subjectOf(drill: string): RunSubject {
  return { gate: 'rollback-drill', subject: drill };
}

/**
 * Does what is asked for: drills an endpoint and judges what came of it, or restores what dead runs have left.
 *
 * A drill answers with the verdict, which is a value also when it is bad; that the endpoint is being drilled already; or
 * with whose mistake keeps it from running.
 *
 * @throws GateDependencyError (and whatever is a bug) where there is no verdict through no fault of anybody's. The owners
 * were told
 */
export async function runRollbackDrill(
  workflow: Workflow,
  request: DrillRequest,
  deps: RollbackDrillDependencies,
): Promise<DrillAnswer> {
  if ('watch' in request) return watch(workflow, deps);
  const { drill, run, only } = request;
  return followed<DrillAnswer>(workflow, run, deps, (startedAt, report) =>
    only === 'restore'
      ? restoreByHand(workflow, drill, report, deps)
      : answerTo(workflow, { drill, report }, deps, startedAt),
  );
}

/**
 * Drills of one endpoint that one event has started take turns: each is an execution of its own in the claim.
 *
 * @returns the execution of this drill
 */
async function takeTurns(
  workflow: Workflow,
  { drill, report }: Pick<Run, 'drill' | 'report'>,
  { work }: RollbackDrillDependencies,
): Promise<Workflow> {
  const { endpoint } = drill.value;
  const id = `${workflow.id}-${sha256(drill.name).slice(0, 8)}`;
  await workflow.waitUntil(
    `wait for other drills of ${endpoint}`,
    async () => {
      const owner = await work.claim(claimOf(endpoint), id, CLAIM_MS);
      if (owner === id || !owner.startsWith(`${workflow.id}-`)) return true;
      await report(`waiting for another drill of ${endpoint}`);
      return undefined;
    },
    TURNS,
  );
  return partOf(workflow, drill.name, id);
}

async function answerTo(
  whole: Workflow,
  { drill, report }: Pick<Run, 'drill' | 'report'>,
  deps: RollbackDrillDependencies,
  startedAt: number,
): Promise<DrillAnswer> {
  const { endpoint } = drill.value;
  const workflow = await takeTurns(whole, { drill, report }, deps);
  const restorer = { execution: workflow.id, report };
  const answer = await claimed<DrillResult>(
    workflow,
    {
      what: `a drill of the endpoint ${endpoint}`,
      claim: { key: claimOf(endpoint), lifeMs: CLAIM_MS },
      // What an earlier attempt has begun is undone by its record, and not gone on with: its traffic is over.
      resumes: false,
      ended: () => readConcluded(deps.store, subjectOf(drill.name), workflow.id, drillResultSchema),
      failed: {
        ...subjectOf(drill.name),
        about: { drill: drill.name },
        idOf: (about) => verdictId('rollback-drill', TOCSIN_VERSION, about),
        message: (told) => drillRefusalMessage(drill.name, told),
      },
      sweep: async () => {
        const left = await restoreLeft(partOf(workflow, 'sweep up'), endpoint, restorer, deps);
        if (left === null || left.isOver) return;
        throw new GateDependencyError(
          `the endpoint ${endpoint} is not as it was found by an earlier drill: ${left.restoration.why ?? UNPROVED}`,
          { help: 'See "Not as it was found" in the runbook, docs/rollback-drill.md.' },
        );
      },
      run: (token) =>
        drillAndJudge(workflow, { drill, token, execution: workflow.id, report }, startedAt, deps),
      cleanUp: async () => {
        // Where a run has come to its end, its record says what it could not restore, or is gone.
        const record = await workflow.step('look for a record', () => readRecord(endpoint, deps));
        if (record !== null && record.failed === null) {
          await restoreLeft(partOf(workflow, 'clean up'), endpoint, restorer, deps);
        } else await workflow.step('remove what was kept', () => forget(endpoint, record, deps));
      },
    },
    deps,
  );
  return 'error' in answer ? { drill: drill.name, ...answer } : answer;
}

// ---------------------------------------------------------------------------------------------------------
// The drill
// ---------------------------------------------------------------------------------------------------------

async function drillAndJudge(
  workflow: Workflow,
  run: Run,
  startedAt: number,
  deps: RollbackDrillDependencies,
): Promise<DrillResult> {
  const known = await begin(workflow, run, deps);
  let prepared: Prepared | undefined;
  try {
    prepared = await prepare(workflow, run, known, deps);
  } catch (error) {
    if (!(error instanceof NotDrilled)) throw error;
    known.measured.notDrilled = error.message;
  }
  if (prepared !== undefined) await drillAndRestore(workflow, run, prepared, deps);
  return judgeAndPublish(workflow, run, prepared ?? known, startedAt, deps);
}

/** Everything that changes the endpoint, and back. */
async function drillAndRestore(
  workflow: Workflow,
  run: Run,
  known: Prepared,
  deps: RollbackDrillDependencies,
): Promise<void> {
  const { measured, marks } = known;
  const record = recordOf(run, known, deps);
  await workflow.step('write down what to restore', async () => {
    await hold(record.snapshot.endpoint, run.execution, deps);
    const previous = measured.fingerprints.filter(({ part }) => part === 'previous');
    const { endpoint } = record.snapshot;
    await deps.work.put(fingerprintsKey(endpoint, run.token), { text: JSON.stringify(previous) });
    await deps.work.put(recordKey(endpoint), { text: JSON.stringify(record) });
  });
  try {
    await drillOn(workflow, run, known, deps);
  } catch (error) {
    measured.notDrilled = clip(messageOf(error), REASON);
    if (!(error instanceof NotDrilled)) deps.warn('the drill was broken off', error);
  }
  if (measured.failure === null) {
    await withdraw(workflow, record, run, deps);
    return;
  }
  const { restoration } = await restore(workflow, record, run, deps);
  measured.restoration = restoration;
  marks.push({ at: restoration.begunAt, what: 'restoring begins' });
  marks.push({ at: restoration.endedAt, what: 'restoring ends' });
}

function recordOf(
  run: Run,
  { snapshot, measured, alarm }: Prepared,
  deps: RollbackDrillDependencies,
): DrillRecord {
  const { drill, execution, token } = run;
  const { content, tolerance, failure } = drill.value;
  const { model, config } = namesOf(token);
  return {
    record: 1,
    drill: drill.name,
    execution,
    token,
    snapshot,
    golden: {
      ...goldenPlace(drill.value.golden, deps.env.DATA_BUCKET),
      sha256: measured.golden.sha256,
      content,
      tolerance,
    },
    // Before they are made: a crash in between leaves nothing that nobody knows of.
    made: {
      models: failure.deployModel === undefined ? [] : [model],
      configs: failure.shiftTraffic === undefined ? [config] : [],
      alarm,
    },
    failed: null,
  };
}

async function drillOn(
  workflow: Workflow,
  run: Run,
  known: Prepared,
  deps: RollbackDrillDependencies,
): Promise<void> {
  await sendBaseline(workflow, run, known, deps);
  let last: EndpointState | null;
  if (run.drill.value.failure.breakGuardrail === undefined) {
    await makeBadModelServe(workflow, run, known, deps);
    last = await rollBack(workflow, run, known, deps);
  } else last = await breakGuardrail(workflow, run, known, deps);
  known.measured.after = await workflow.step('read what the procedure has left', async () => {
    const { sagemaker, now } = deps;
    // As it was when watching ended: a procedure that had no time left may have gone on.
    const state = last ?? (await readEndpoint(sagemaker, run.drill.value.endpoint, now));
    return state === null ? null : { state, configSha256: await configHash(sagemaker, state.config) };
  });
}

/** What was wrong before the failure is none of its doing. */
async function sendBaseline(
  workflow: Workflow,
  run: Run,
  known: Prepared,
  deps: RollbackDrillDependencies,
): Promise<void> {
  const { errorRate } = run.drill.value.allow;
  const since = await workflow.step('begin the traffic', async () => deps.now());
  known.marks.push({ at: since, what: 'traffic begins' });
  const sent = await sendSlices(
    workflow,
    run,
    known,
    {
      phase: 'before the failure',
      since,
      deadline: since + BASELINE_MS,
      until: (slices) => slices.reduce((sum, { requests }) => sum + requests.length, 0) >= BASELINE_ANSWERS,
    },
    deps,
  );
  goOn(known, sent);
  const { tally } = sent;
  const wrong = tally.bad + tally.other;
  if (wrong > 0) {
    throw new NotDrilled(
      `${wrong} of ${tellingAnswers(tally)} answers were not the previous model's before anything was changed`,
    );
  }
  const total = tally.previous + tally.either + tally.nobody;
  if (tally.nobody > errorRate * total) {
    throw new NotDrilled(
      `${tally.nobody} of ${total} requests got no answer before anything was changed, at most ${formatShare(errorRate)} allowed`,
    );
  }
}

/**
 * The team's own procedure, and the traffic beside it.
 *
 * @returns the endpoint as it was last seen
 */
async function rollBack(
  workflow: Workflow,
  run: Run,
  known: Prepared,
  deps: RollbackDrillDependencies,
): Promise<EndpointState | null> {
  const { measured, marks } = known;
  const { endpoint, procedure, failure, within, steady } = run.drill.value;
  const bad = measured.failure?.state;
  if (procedure === undefined || bad == null) return null;
  // The step that waits for a function may take nearly all the time of an invocation.
  await workflow.wait('for an invocation of its own', BREATH_MS);
  // What serves is still the bad model: else nothing is left for the procedure to do.
  const begunAt = await beginUnlessStopped(workflow, run, 'starting the procedure', bad, deps);
  const endKey = procedureEndKey(endpoint, run.token);
  const plan = {
    procedure,
    incident: { endpoint, drill: run.drill.name, run: run.token },
    to: wayBackTo(known, procedure),
    token: run.token,
    patienceMs: within + steady,
    endKey,
  };
  let endedAt: number | null = null;
  const branches = await workflow.map(
    'the procedure, and who answers meanwhile',
    ['procedure', 'traffic'] as const,
    async (part, branch): Promise<{ end: TimedEnd } | { sent: Sent }> => {
      if (branch === 'procedure') return { end: await runProcedure(part, plan, deps) };
      try {
        return {
          sent: await sendSlices(
            part,
            run,
            known,
            {
              phase: 'the procedure runs',
              since: begunAt,
              deadline: begunAt + within + steady,
              look: async () => {
                endedAt ??= (await readProcedureEnd(deps.work, endKey))?.endedAt ?? null;
              },
              until: (slices, now) =>
                isOver({ begunAt, endedAt, within, steady }, attributed(slices, failure), now),
            },
            deps,
          ),
        };
      } finally {
        // Also where it has to be broken off: nothing is restored beside a procedure, and nobody takes this run for dead.
        await part.waitUntil(
          'wait for the procedure',
          async () => {
            await hold(endpoint, run.execution, deps);
            if ((await readProcedureEnd(deps.work, endKey)) !== undefined) return true;
            await run.report('waiting for the procedure to end');
            return undefined;
          },
          { ...WAITING, timeoutMs: within + steady },
        );
      }
    },
  );
  let last: EndpointState | null = null;
  for (const branch of branches) {
    if ('end' in branch) {
      const { begunAt: at, ...end } = branch.end;
      measured.procedure = { ...end, kind: kindOf(procedure), begunAt: at };
      marks.push({ at, what: 'procedure begins' });
      marks.push({ at: end.endedAt, what: 'procedure ends' });
    } else {
      marks.push({ at: branch.sent.at, what: 'watching ends' });
      if (measured.procedure !== null && (measured.procedure.endedAt ?? 0) > branch.sent.at) {
        measured.procedure.endedAt = null;
      }
      last = branch.sent.state;
      goOn(known, branch.sent);
    }
  }
  return last;
}

type ProcedureConfig = NonNullable<Run['drill']['value']['procedure']>;

function kindOf({ lambda, ssmAutomation, stateMachine }: ProcedureConfig): Procedure['kind'] {
  if (lambda !== undefined) return 'lambda';
  if (ssmAutomation !== undefined) return 'ssmAutomation';
  return stateMachine !== undefined ? 'stateMachine' : 'builtin';
}

/** What somebody who knows where to go back to would ask Tocsin's own rollback for. */
function wayBackTo({ snapshot }: Prepared, { builtin }: ProcedureConfig): RollbackRequest['to'] {
  const { config, weights } = targetOf(snapshot);
  return builtin === 'config' ? { config, weights } : { weights };
}

// ---------------------------------------------------------------------------------------------------------
// The verdict
// ---------------------------------------------------------------------------------------------------------

async function judgeAndPublish(
  workflow: Workflow,
  run: Run,
  { measured, marks, slices: count }: Known,
  startedAt: number,
  deps: RollbackDrillDependencies,
): Promise<DrillResult> {
  const { drill, report } = run;
  const { verdict, result } = await workflow.step('judge', async () => {
    await report('judging');
    const sent = await readSlices(run, 0, count, deps);
    // As it is judged: whoever looks at the timeline of the evidence sees the same.
    const { failure } = measured;
    const slices = sent.flatMap((slice) =>
      failure === null || slice.from < failure.begunAt ? [slice] : attributed([slice], drill.value.failure),
    );
    const timeline: Timeline = { marks: marks.toSorted((a, b) => a.at - b.at), slices };
    const judged = verdictOf(measured, timeline, drill, workflow.id);
    const folder = verdictFolder(judged.gate, judged.subject, judged.id);
    // Here, where it is: it is too large for what is kept of a step.
    await deps.store.create(`${folder}timeline.json`, timelineJson(timeline));
    const page = renderReport(judged, () => rollbackPage(judged, measured, timeline, drill));
    await deps.store.create(`${folder}report.html`, page);
    return {
      verdict: judged,
      result: drillResultOf(judged, { measurements: measured, timeline, drill }, ''),
    };
  });
  return conclude(
    workflow,
    {
      verdict,
      files: { 'measurements.json': measured },
      resultOf: (evidence) => ({ ...result, evidence }),
      messageOf: (told) => drillMessage(told, verdict, measured),
      detailType: DRILL_FINISHED,
      resource: measured.original?.arn ?? drill.value.endpoint,
      name: drill.name,
      startedAt,
      report,
    },
    deps,
  );
}

/** JSON with a line for each mark and each slice: there may be thousands of requests. */
function timelineJson({ marks, slices }: Timeline): string {
  const lines = (items: readonly unknown[]) => items.map((item) => `\n    ${JSON.stringify(item)}`).join(',');
  return `{\n  "marks": [${lines(marks)}\n  ],\n  "slices": [${lines(slices)}\n  ]\n}\n`;
}
