import { claimed, type Refusal } from '../shared/claimed.ts';
import { conclude, type RunSubject, readConcluded } from '../shared/conclude.ts';
import { GateDependencyError, GateInputError, messageOf } from '../shared/errors.ts';
import { followed } from '../shared/followed.ts';
import { clip, formatTime } from '../shared/format.ts';
import { sha256, verdictFolder, verdictId } from '../shared/identity.ts';
import { tellOnce } from '../shared/outlets.ts';
import { renderReport } from '../shared/report/verdict-page.ts';
import type { Ignored } from '../shared/verdict.ts';
import { TOCSIN_VERSION } from '../shared/version.ts';
import { partOf, type Workflow } from '../shared/workflow.ts';
import { deleteAlarms, leftovers, readAlarm, readAlarms } from './adapters/alarms.ts';
import { readFacts } from './adapters/facts.ts';
import { deleteReceipts, receiptLeftovers, unsubscribeReceipts } from './adapters/receipts.ts';
import type { Alarm, MetricAlarm } from './alarm.ts';
import { PROOF_ONLY } from './decide.ts';
import { DELIVERY_MS, deliver, realTopics } from './deliver-workflow.ts';
import { alarmHash, verdictOf } from './identity.ts';
import { MOST_ROUNDS } from './ladder.ts';
import { runLive } from './live-workflow.ts';
import type { Facts, Measurements } from './measurements.ts';
import {
  drillMessage,
  drillRefusalMessage,
  drillResultOf,
  LEFTOVERS_HELP,
  leftoversMessage,
} from './messages.ts';
import { alarmPage } from './report.ts';
import type { DrillRequest } from './request.ts';
import { climb } from './rounds-workflow.ts';
import {
  claimOf,
  type DrillDependencies,
  hold,
  type Inbox,
  type MetricAlarmFacts,
  openInbox,
  type Run,
} from './run-workflow.ts';
import { DRILL_FINISHED, type DrillResult, drillResultSchema } from './schema.ts';
import { shadowPrefix } from './shadow.ts';
import { runTraffic } from './traffic-workflow.ts';

/*
 * One run of an alarm drill, from the configuration of the alarm to the verdict on it, as one function over the workflow
 * port. Every step bears to be repeated. What a crash leaves behind has a tag, by which the next run finds it.
 */

/** The answer to a drill that could not be run, through somebody's mistake. Its owners were told. */
export interface DrillRefusal extends Refusal {
  drill: string;
}

export type DrillAnswer = DrillResult | Ignored | DrillRefusal;

/** What a run has measured beside the configuration. */
type Drilled = Omit<Measurements, 'facts'>;

/** What one of its attempts has measured, and how far it went. */
interface Attempt {
  drilled: Drilled;
  /** Rounds that were begun, also those that nothing came of. */
  rounds: number;
  /** Operations that its ticks took. */
  operations: number;
}

/**
 * How often a drill begins again where somebody changes the alarm while it is drilled. The event of that change finds the
 * drill running, and starts nothing.
 */
const RESTARTS = 2;

const NOTHING: Drilled = { rounds: [], deliveries: [], phases: [], notDrilled: null };

/** Of what could not be removed, as far as it is told. */
const MOST_LEFT = 20;

/** Where the evidence of a drill is. */
function subjectOf(drill: string): RunSubject {
  return { gate: 'alarm-drill', subject: drill };
}

/** How long reading the configuration of an alarm may take, with all its retries. */
const READING_MS = 15 * 60_000;

/**
 * Drills an alarm, and judges what came of it.
 *
 * It answers with the verdict, which is a value also when it is bad; that it is running already; or with whose mistake
 * keeps it from running.
 *
 * @throws GateDependencyError (and whatever is a bug) where there is no verdict through no fault of anybody's. The owners
 * were told, and nothing is left behind
 */
export async function runDrill(
  workflow: Workflow,
  request: DrillRequest,
  deps: DrillDependencies,
): Promise<DrillAnswer> {
  return followed(workflow, request.run, deps, (startedAt, report) =>
    answerTo(workflow, request, deps, startedAt, report),
  );
}

async function answerTo(
  workflow: Workflow,
  request: DrillRequest,
  deps: DrillDependencies,
  startedAt: number,
  report: Run['report'],
): Promise<DrillAnswer> {
  const { drill } = request;
  const proofOnly = request.only === 'proof';
  const runOf = (token: string): Run => ({
    drill,
    token,
    execution: workflow.id,
    rounds: 0,
    followed: request.run !== undefined,
    report,
  });
  const answer = await claimed<DrillResult>(
    workflow,
    {
      what: `the drill ${drill.name}`,
      // To judge a configuration touches nothing.
      ...(!proofOnly && { claim: { key: claimOf(drill), lifeMs: READING_MS } }),
      // Names and metrics of an earlier attempt must not be mixed up with ours; tags tell what it has left.
      resumes: false,
      ended: () => readConcluded(deps.store, subjectOf(drill.name), workflow.id, drillResultSchema),
      failed: {
        ...subjectOf(drill.name),
        about: { drill: drill.name },
        idOf: (about) => verdictId('alarm-drill', TOCSIN_VERSION, about),
        message: (told) => drillRefusalMessage(drill.name, told),
      },
      sweep: async (token) => {
        if (!proofOnly) await sweep(workflow, runOf(token), deps);
      },
      run: (token) => drillAndJudge(workflow, request, runOf(token), startedAt, deps),
      cleanUp: async (token) => {
        if (!proofOnly) await cleanUp(workflow, runOf(token), deps);
      },
    },
    deps,
  );
  return 'error' in answer ? { drill: drill.name, ...answer } : answer;
}

/**
 * Removes what runs that died have left: of this drill all, of others what nobody can need any more. What cannot be
 * removed keeps nothing from being drilled; the owners are told of it.
 */
async function sweep(workflow: Workflow, { drill, report }: Run, deps: DrillDependencies): Promise<void> {
  const left = await workflow.step('sweep up', async () => {
    await report('looking for leftovers');
    const over = { now: deps.now(), drill: drill.name };
    const alarms = await leftovers(deps.cloudwatch, over);
    const stays: string[] = [];
    const attempt = (work: Promise<void>) =>
      work.catch((error) => {
        stays.push(messageOf(error));
      });
    await attempt(deleteAlarms(deps.cloudwatch, alarms));
    for (const token of await receiptLeftovers(deps.sqs, over)) {
      await attempt(
        unsubscribeReceipts(deps, token).then((refused) => {
          stays.push(...refused);
          return deleteReceipts(deps, token);
        }),
      );
    }
    return clipped(stays);
  });
  if (left.length > 0) await tellLeftovers(workflow, drill.name, left, deps);
}

/**
 * Removes whatever this run has made. Fine where nothing is. What cannot be removed keeps nothing else.
 *
 * @throws GateDependencyError with all that is left; the owners were told
 */
async function cleanUp(
  workflow: Workflow,
  { drill, token, report }: Run,
  deps: DrillDependencies,
): Promise<void> {
  const left: string[] = [];
  const attempt = async (work: () => Promise<void>) => {
    try {
      await work();
    } catch (error) {
      left.push(...clipped([messageOf(error)]));
    }
  };
  await attempt(() =>
    workflow.step('remove all shadow alarms', async () => {
      await report('cleaning up');
      const alarms = await readAlarms(deps.cloudwatch, { prefix: shadowPrefix(token) });
      await deleteAlarms(
        deps.cloudwatch,
        alarms.map(({ name }) => name),
      );
    }),
  );
  await attempt(async () => {
    left.push(
      ...(await workflow.step('unsubscribe the receipt queue', async () =>
        clipped(await unsubscribeReceipts(deps, token)),
      )),
    );
    // A step of its own: while the queue is there, what was refused is known however often that step is repeated.
    await workflow.step('remove the receipt queue', () => deleteReceipts(deps, token));
  });
  if (left.length === 0) return;
  await tellLeftovers(workflow, drill.name, left, deps);
  throw new GateDependencyError(`the clean-up left something: ${left.join('; ')}`, { help: LEFTOVERS_HELP });
}

/** So many sentences, each of a bounded length. */
function clipped(sentences: readonly string[]): string[] {
  return sentences.slice(0, MOST_LEFT).map((text) => clip(text, 600));
}

/** Tells the owners what is left, of the same once. */
async function tellLeftovers(
  workflow: Workflow,
  drill: string,
  left: readonly string[],
  deps: DrillDependencies,
): Promise<void> {
  const folder = verdictFolder('alarm-drill', drill, 'leftovers');
  const id = verdictId('alarm-drill', TOCSIN_VERSION, { drill, left });
  deps.warn('something could not be removed', new GateDependencyError(left.join('; ')));
  try {
    await workflow.step(`tell what is left (${id.slice(0, 8)})`, () =>
      tellOnce(deps, `${folder}${id}.json`, () => leftoversMessage(drill, left)),
    );
  } catch (untold) {
    deps.warn('the owners could not be told', untold);
  }
}

// ---------------------------------------------------------------------------------------------------------
// The drill
// ---------------------------------------------------------------------------------------------------------

async function drillAndJudge(
  workflow: Workflow,
  request: DrillRequest,
  run: Run,
  startedAt: number,
  deps: DrillDependencies,
): Promise<DrillResult> {
  let [part, rounds, operations] = [workflow, 0, deps.operations];
  for (let restarts = 0; ; restarts++) {
    const facts = await part.step('read the alarm', async () => {
      await run.report('reading the configuration of the alarm');
      return readFacts(deps, run.drill, deps.now);
    });
    const attempt = await drillOn(part, request, { ...run, rounds }, facts, { ...deps, operations });
    rounds += attempt.rounds;
    operations -= attempt.operations;
    const measured = { facts, ...attempt.drilled };
    const changed = await whatChanged(part, run, measured, deps);
    if (changed === null) return judgeAndPublish(workflow, run, measured, startedAt, deps);
    // What is real is not disturbed twice, and what changes all the time is not waited for.
    const again = run.drill.value.mode === 'shadow' && restarts < RESTARTS && rounds < MOST_ROUNDS;
    if (!changed.final && again) {
      part = partOf(workflow, `attempt ${restarts + 2}`);
      continue;
    }
    // Nobody is served by a verdict on an alarm that is no more.
    const now = await part.step('read the alarm again', () => readFacts(deps, run.drill, deps.now));
    return judgeAndPublish(
      workflow,
      run,
      { ...NOTHING, facts: now, notDrilled: changed.why },
      startedAt,
      deps,
    );
  }
}

/** Drills the alarm as its mode says; `notDrilled` says why not. */
async function drillOn(
  workflow: Workflow,
  { only }: DrillRequest,
  run: Run,
  facts: Facts,
  deps: DrillDependencies,
): Promise<Attempt> {
  const { alarm } = facts;
  const { mode } = run.drill.value;
  const ended = (drilled: Partial<Drilled>): Attempt => ({
    drilled: { ...NOTHING, ...drilled },
    rounds: 0,
    operations: 0,
  });
  if (only === 'proof') return ended({ notDrilled: PROOF_ONLY });
  if (alarm === null) return ended({ notDrilled: 'there is no such alarm' });
  if (alarm.kind === 'other') return ended({ notDrilled: alarm.why });
  if (alarm.kind === 'composite') {
    return ended({ notDrilled: 'it is a composite alarm, whose state is that of others' });
  }
  const of: MetricAlarmFacts = { ...facts, alarm };
  switch (mode) {
    case 'shadow':
      return drillShadows(workflow, run, of, deps);
    case 'live':
      return ended({ phases: await runLive(workflow, run, of, deps) });
    case 'traffic': {
      // However long it takes: whenever it says where it is, it is alive.
      const report: Run['report'] = async (phase) => {
        await hold(run, run.drill.value.intended.within, deps);
        await run.report(phase);
      };
      const seed = sha256(`${run.drill.name} ${run.execution}`);
      const chain = { drill: run.drill, facts, token: run.token, seed };
      return ended({ phases: await runTraffic(workflow, chain, deps, report) });
    }
  }
}

async function drillShadows(
  workflow: Workflow,
  run: Run,
  facts: MetricAlarmFacts,
  deps: DrillDependencies,
): Promise<Attempt> {
  const real = run.drill.value.deliver === 'real' ? realTopics(facts) : [];
  let inbox: Inbox | undefined;
  const open = async (ms: number): Promise<Inbox> => {
    inbox = await workflow.step('open the receipt queue', () => openInbox(run, ms + DELIVERY_MS, real, deps));
    facts.unread.push(...inbox.unread);
    return inbox;
  };
  const gone = { rounds: 0, operations: 0 };
  try {
    const rounds = await climb(workflow, run, facts, deps, {
      open,
      begun: (operations) => {
        gone.rounds += 1;
        gone.operations += operations;
      },
      isChanged: async () => !isSame(facts.alarm, await readAlarm(deps.cloudwatch, facts.alarm.name)),
    });
    const drilled = { ...NOTHING, rounds };
    if (inbox === undefined || inbox.real.length === 0) return { drilled, ...gone };
    const deliveries = await deliver(workflow, run, facts, inbox, deps);
    return { drilled: { ...drilled, deliveries }, ...gone };
  } catch (error) {
    // What the configuration says of the alarm is worth telling all the same.
    if (error instanceof GateInputError)
      return { drilled: { ...NOTHING, notDrilled: error.message }, ...gone };
    throw error;
  }
}

/**
 * Whether the alarm is no longer what it was when it was read. `final`: there is nothing left to drill.
 *
 * Shadows are of the configuration alone, and not of what was done to the alarm and undone meanwhile.
 */
async function whatChanged(
  workflow: Workflow,
  run: Run,
  { facts: { alarm }, notDrilled }: Measurements,
  deps: DrillDependencies,
): Promise<{ why: string; final: boolean } | null> {
  if (notDrilled !== null || alarm?.kind !== 'metric') return null;
  return workflow.step('look whether the alarm has changed', async () => {
    const now = await readAlarm(deps.cloudwatch, alarm.name);
    if (now === null) return { why: 'it was deleted while it was drilled', final: true };
    if (now.kind !== 'metric') return { why: CHANGED, final: true };
    const same = run.drill.value.mode === 'shadow' ? isSame(alarm, now) : alarm.updatedAt === now.updatedAt;
    return same ? null : { why: `${CHANGED}, at ${formatTime(now.updatedAt)}`, final: false };
  });
}

const CHANGED = 'its configuration was changed while it was drilled';

function isSame(alarm: MetricAlarm, now: Alarm | null): boolean {
  return now !== null && alarmHash(alarm) === alarmHash(now);
}

// ---------------------------------------------------------------------------------------------------------
// The verdict
// ---------------------------------------------------------------------------------------------------------

async function judgeAndPublish(
  workflow: Workflow,
  { drill, report }: Run,
  measured: Measurements,
  startedAt: number,
  deps: DrillDependencies,
): Promise<DrillResult> {
  const verdict = verdictOf(measured, drill, workflow.id);
  return conclude(
    workflow,
    {
      verdict,
      files: {
        'measurements.json': measured,
        'report.html': renderReport(verdict, () => alarmPage(verdict, measured, drill)),
      },
      resultOf: (evidence) =>
        drillResultOf(verdict, { drill: drill.name, alarm: drill.value.alarm, evidence }),
      messageOf: (result) => drillMessage(result, verdict),
      detailType: DRILL_FINISHED,
      resource: measured.facts.alarm?.arn ?? drill.value.alarm,
      name: drill.name,
      startedAt,
      report,
      // That it is configured to fire says nothing of what it does.
      isPart: measured.notDrilled === PROOF_ONLY,
    },
    deps,
  );
}
