import type { CloudWatchClient } from '@aws-sdk/client-cloudwatch';
import { mapLimit } from '../shared/aws.ts';
import { GateDependencyError, GateInputError } from '../shared/errors.ts';
import { clip } from '../shared/format.ts';
import type { Workflow } from '../shared/workflow.ts';
import {
  deleteAlarms,
  historyOf,
  publishData,
  putShadow,
  readAlarms,
  sampleCounts,
} from './adapters/alarms.ts';
import { collectReceipts } from './adapters/receipts.ts';
import { type MetricAlarm, readsMetric } from './alarm.ts';
import { MOST_ROUNDS, nextRound, phasesOf, samplesAt, startOf, ticksOf } from './ladder.ts';
import type { Plan, Receipt, Round, RungResult, TickSample } from './measurements.ts';
import { type BegunRound, phaseText, roundText } from './progress.ts';
import {
  ARRIVING,
  CONCURRENCY,
  type DrillDependencies,
  FAILED_ACTIONS,
  hold,
  type Inbox,
  type MetricAlarmFacts,
  type Run,
  SENTENCE,
} from './run-workflow.ts';
import { DRILL_NAMESPACE } from './schema.ts';
import type { Transition } from './series.ts';
import { type RoundOf, shadowData, shadowInput, shadowMetrics, shadowName, shadowPrefix } from './shadow.ts';

/*
 * The ladder: rounds of shadow alarms, each on metrics of its own, fed tick by tick. Outside of steps there is no clock:
 * what the time is, a step says.
 */

/**
 * Steps that the ticks of one round take at most, and how long a step may last that publishes several of them. A pause
 * of the machine that is shorter than that costs more than it saves.
 */
const STEPS = 200;
const LONGEST_STEP_MS = 5 * 60_000;
const SHORTEST_STEP_MS = 5_000;

/** CloudWatch takes three new alarms a second. */
const ALARMS_AT_A_TIME = 2;

/**
 * Statistics that a tick counts for twice where it was published twice, as after a crash: of all others a period has the
 * same value whether it has a sample once or twice.
 */
const COUNTING = /^(Sum|SampleCount|tc|TC|ts|TS)/;

/** The names of shadow alarms are of one run alone: looking further than a round, whatever the clocks say, shows nothing else. */
const AROUND_MS = 3_600_000;

/** Transitions, and as many receipts, of all rungs of a round: the result of a step is bounded. */
const KEPT = 120;

/** How long a round takes at most before the next one can begin, milliseconds. */
function lengthOf(plan: Plan): number {
  return (ticksOf(plan) + 1) * plan.cadenceMs + plan.settleMs + 2 * ARRIVING.timeoutMs;
}

/** How many ticks one step publishes. */
export function batchOf({ cadenceMs }: Pick<Plan, 'cadenceMs'>, ticks: number): number {
  const wanted = Math.max(Math.ceil(ticks / STEPS), Math.ceil(SHORTEST_STEP_MS / cadenceMs));
  return Math.max(1, Math.min(wanted, Math.floor(LONGEST_STEP_MS / cadenceMs)));
}

/** What climbing a ladder asks of whoever runs it. */
interface Climbing {
  /** Opens the receipt queue, once there is a plan; `ms` is how long it is needed. */
  open: (ms: number) => Promise<Inbox>;
  /** Told of each round that begins, and how many operations its ticks take. */
  begun: (operations: number) => void;
  /** Whether the alarm is no longer what it was: asked before each round but the first. */
  isChanged: () => Promise<boolean>;
}

/**
 * Rounds of the ladder, until there is nothing more to find out, or the alarm has changed.
 *
 * @throws GateInputError where the alarm cannot be drilled
 */
export async function climb(
  workflow: Workflow,
  run: Run,
  facts: MetricAlarmFacts,
  deps: DrillDependencies,
  { open, begun, isChanged }: Climbing,
): Promise<Round[]> {
  const rounds: Round[] = [];
  let inbox: Inbox | undefined;
  let left = deps.operations;
  for (;;) {
    const round = run.rounds + rounds.length + 1;
    const plan = await planOf(workflow, run, facts, rounds, isChanged);
    if (plan === null) return rounds;
    const ticks = ticksOf(plan);
    const operations = 2 * Math.ceil(ticks / batchOf(plan, ticks));
    left -= operations;
    if (left < 0) {
      if (rounds.length > 0) return rounds;
      throw new GateInputError(`a round of the drill takes ${ticks} ticks, which are too many here`, {
        help: 'Shorten intended.within, or start fewer drills by the same event.',
      });
    }
    inbox ??= await open(MOST_ROUNDS * lengthOf(plan));
    begun(operations);
    rounds.push(await runRound(workflow, run, facts.alarm, plan, round, inbox, deps));
  }
}

async function planOf(
  workflow: Workflow,
  { drill, rounds: begun }: Run,
  facts: MetricAlarmFacts,
  rounds: readonly Round[],
  isChanged: Climbing['isChanged'],
): Promise<Plan | null> {
  try {
    // In a step, since it takes its time, and a replay comes with every tick.
    return await workflow.step(`round ${begun + rounds.length + 1}: plan`, async () => {
      const plan = nextRound(facts.alarm, drill, facts, rounds);
      return plan !== null && rounds.length > 0 && (await isChanged()) ? null : plan;
    });
  } catch (error) {
    // What cannot be narrowed is known as far as the rounds before have shown it.
    if (error instanceof GateInputError && rounds.length > 0) return null;
    throw error;
  }
}

async function runRound(
  workflow: Workflow,
  run: Run,
  alarm: MetricAlarm,
  plan: Plan,
  round: number,
  inbox: Inbox,
  deps: DrillDependencies,
): Promise<Round> {
  const { cloudwatch, now } = deps;
  const name = (what: string) => `round ${round}: ${what}`;
  const of: RoundOf = { drill: run.drill.name, run: run.execution, token: run.token, round };
  const alarms = plan.rungs.map(({ id }) => shadowName(run.token, round, id));

  const { madeAt, startedAt, waitMs } = await workflow.step(name('make the shadow alarms'), async () => {
    await run.report(`${roundText(round)}making ${plan.rungs.length} shadow alarms`);
    const until = await hold(run, lengthOf(plan), deps);
    const madeAt = now();
    await mapLimit(plan.rungs, ALARMS_AT_A_TIME, ({ id }) =>
      putShadow(
        cloudwatch,
        shadowInput(alarm, {
          ...of,
          rung: id,
          until,
          alarmActions: [deps.env.PROBE_TOPIC_ARN],
          description: `Shadow of ${alarm.name} in the alarm drill ${run.drill.name}, removed when it is over.`,
        }),
      ),
    );
    const time = now();
    const startedAt = startOf(plan, time);
    return { madeAt, startedAt, waitMs: startedAt - time };
  });
  const begun: Begun = { alarm, plan, of, startedAt };
  await workflow.wait(name('wait for its start'), waitMs);
  const lateTicks = await feed(workflow, run, begun, deps);
  const samples = await samplesOfRungs(workflow, name, begun, deps);

  const histories = await workflow.step(name('read what the alarms did'), async () => {
    await run.report(`${roundText(round)}reading what the alarms did`);
    const there = await readAlarms(cloudwatch, { names: alarms });
    const gone = alarms.filter((one) => there.every(({ name }) => name !== one));
    if (gone.length > 0)
      throw new GateDependencyError(`somebody removed ${gone.join(', ')} during the drill`);
    const most = Math.ceil(KEPT / alarms.length);
    return mapLimit(plan.rungs, CONCURRENCY, async ({ id }) => {
      const one = shadowName(run.token, round, id);
      const { transitions, failedActions } = await historyOf(
        cloudwatch,
        one,
        madeAt - AROUND_MS,
        now() + AROUND_MS,
      );
      return {
        id,
        alarm: one,
        transitions: transitions.slice(0, most),
        samples: samples[id]!,
        failedActions: failedActions.slice(0, FAILED_ACTIONS).map((text) => clip(text, SENTENCE)),
      };
    });
  });
  const receipts = await receive(workflow, name, histories, inbox, deps);
  await workflow.step(name('remove the shadow alarms'), () => deleteAlarms(cloudwatch, alarms));
  return {
    startedAt,
    plan,
    results: histories.map((history) => ({
      ...history,
      receipts: receipts.filter(({ alarm }) => alarm === history.alarm),
    })),
    lateTicks,
  };
}

/** A round that has begun, and the alarm that it is of. */
interface Begun extends BegunRound {
  alarm: MetricAlarm;
}

/**
 * Publishes the ticks of a round, each at its time, and waits until all of them were evaluated.
 *
 * @returns how many were more than half a cadence late
 */
async function feed(workflow: Workflow, run: Run, begun: Begun, deps: DrillDependencies): Promise<number> {
  const { plan, of, startedAt } = begun;
  const name = (what: string) => `round ${of.round}: ${what}`;
  const ticks = ticksOf(plan);
  const batch = batchOf(plan, ticks);
  const timeOf = (tick: number) => startedAt + tick * plan.cadenceMs;
  let late = 0;
  for (let tick = 0; tick < ticks; ) {
    const from = tick;
    const done = await workflow.step(name(`tick ${from}`), async () => {
      const published = await publishFrom(from, Math.min(from + batch, ticks), begun, deps);
      await tell(run, begun, deps);
      const next = published.next === ticks ? phasesOf(begun).endsAt : timeOf(published.next);
      return { ...published, waitMs: Math.max(0, next - deps.now()) };
    });
    tick = done.next;
    late += done.late;
    await workflow.wait(name(tick < ticks ? `wait for tick ${tick}` : 'let it settle'), done.waitMs);
  }
  return late;
}

/** Says what the alarms do at the moment. Whoever follows may miss something; the drill does not depend on it. */
async function tell(run: Run, begun: Begun, { cloudwatch, now, warn }: DrillDependencies): Promise<void> {
  if (!run.followed) return;
  try {
    const alarms = await readAlarms(cloudwatch, { prefix: `${shadowPrefix(run.token)}${begun.of.round}-` });
    await run.report(phaseText(begun, now(), alarms));
  } catch (error) {
    warn('the states were not read', error);
  }
}

/** Publishes ticks from one on, until that before `to` is out; where the time is later already, all that are due. */
async function publishFrom(
  from: number,
  to: number,
  { alarm, plan, of, startedAt }: Begun,
  { cloudwatch, now, sleep }: DrillDependencies,
): Promise<{ next: number; late: number }> {
  const ticks = ticksOf(plan);
  let next = from;
  let late = 0;
  while (next < to) {
    const time = now();
    const due = Math.min(ticks, Math.floor((time - startedAt) / plan.cadenceMs) + 1);
    if (due <= next) {
      await sleep(startedAt + next * plan.cadenceMs - time);
      continue;
    }
    const data = Array.from({ length: due - next }, (_, index) => {
      const tick = next + index;
      const at = startedAt + tick * plan.cadenceMs;
      if (time - at > plan.cadenceMs / 2) late++;
      return shadowData(alarm, of, at, samplesOf(plan, tick));
    });
    await publishData(cloudwatch, DRILL_NAMESPACE, data.flat());
    next = due;
  }
  return { next, late };
}

/** By id of the rung, then of the query. */
function samplesOf(plan: Plan, tick: number): Record<string, Record<string, TickSample | null>> {
  return Object.fromEntries(plan.rungs.map((rung) => [rung.id, samplesAt(plan, rung, tick)]));
}

/** Waits until all data can be read, as far as patience goes; by rung. */
async function samplesOfRungs(
  workflow: Workflow,
  name: (what: string) => string,
  begun: Begun,
  { cloudwatch }: DrillDependencies,
): Promise<Record<string, RungResult['samples']>> {
  const read = () => samplesSeen(cloudwatch, begun);
  const found = await workflow.waitUntil(
    name('see the data'),
    async () => {
      const samples = await read();
      return Object.values(samples).every(({ published, seen }) => seen >= published) ? samples : undefined;
    },
    ARRIVING,
  );
  return found ?? workflow.step(name('take the data that is there'), read);
}

/** Ticks whose data CloudWatch has, by rung. */
async function samplesSeen(
  cloudwatch: CloudWatchClient,
  { alarm, plan, of, startedAt }: Begun,
): Promise<Record<string, RungResult['samples']>> {
  const ticks = ticksOf(plan);
  const watched = plan.rungs.flatMap((rung) => {
    const metrics = shadowMetrics(alarm, { ...of, rung: rung.id });
    return alarm.queries.filter(readsMetric).flatMap(({ id, statistic }) => {
      const samples = Array.from({ length: ticks }, (_, tick) => samplesAt(plan, rung, tick)[id] ?? null);
      const published = samples.filter((sample) => sample !== null);
      // Nothing is published for a metric that the alarm has and does not use.
      if (published.length === 0) return [];
      const counts = COUNTING.test(statistic);
      return { rung: rung.id, metric: metrics[id]!, counts, ticks: published.length, count: sum(published) };
    });
  });
  const seen = await sampleCounts(
    cloudwatch,
    watched.map(({ metric }) => metric),
    startedAt,
    startedAt + ticks * plan.cadenceMs,
  );
  const result: Record<string, RungResult['samples']> = {};
  for (const [index, { rung, counts, ticks: published, count }] of watched.entries()) {
    const found = ticksSeen(published, seen[index]! / count);
    const one = { published, seen: counts ? found : Math.min(found, published) };
    const worst = result[rung];
    // Of metric math that metric counts which is the furthest from what was published.
    if (worst === undefined || off(one) > off(worst)) result[rung] = one;
  }
  return result;
}

function sum(samples: readonly TickSample[]): number {
  return samples.reduce((total, { count }) => total + count, 0);
}

function off({ published, seen }: RungResult['samples']): number {
  return Math.abs(published - seen);
}

/** A share of the ticks as a number of them; one that is lost or doubled is never rounded away. */
function ticksSeen(published: number, share: number): number {
  if (Math.abs(share - 1) < 1e-6) return published;
  const seen = Math.round(published * share);
  return share < 1 ? Math.min(seen, published - 1) : Math.max(seen, published + 1);
}

// ---------------------------------------------------------------------------------------------------------
// Receipts
// ---------------------------------------------------------------------------------------------------------

/** Waits until a message of every transition has arrived, as far as patience goes. */
async function receive(
  workflow: Workflow,
  name: (what: string) => string,
  histories: readonly Omit<RungResult, 'receipts'>[],
  { queueUrl }: Inbox,
  { sqs }: DrillDependencies,
): Promise<Receipt[]> {
  const most = Math.ceil(KEPT / histories.length);
  const read = async () => {
    const receipts = await collectReceipts(sqs, queueUrl);
    return histories.flatMap(({ alarm }) =>
      receipts.filter((receipt) => receipt.alarm === alarm).slice(0, most),
    );
  };
  // What CloudWatch itself says it could not tell will not arrive.
  const expected = histories.flatMap(({ alarm, transitions, failedActions }) =>
    failedActions.length > 0 ? [] : transitions.filter(isTold).map(({ to }) => ({ alarm, to })),
  );
  const complete = (receipts: readonly Receipt[]) =>
    histories.every(
      ({ alarm }) =>
        receipts.filter((receipt) => receipt.alarm === alarm).length >=
        expected.filter((one) => one.alarm === alarm).length,
    );
  const found = await workflow.waitUntil(
    name('receive the messages'),
    async () => {
      const receipts = await read();
      return complete(receipts) ? receipts : undefined;
    },
    ARRIVING,
  );
  return found ?? workflow.step(name('take what has arrived'), read);
}

/** Whether a shadow alarm tells of a transition: it has actions for ALARM and for OK. */
function isTold({ to }: Transition): boolean {
  return to !== 'INSUFFICIENT_DATA';
}
