import { GateInputError } from '../shared/errors.ts';
import { formatNumber, formatTime, timeText } from '../shared/format.ts';
import { lineAt } from '../shared/schema.ts';
import type { Workflow } from '../shared/workflow.ts';
import { dataPoints, historyOf, publishData, readAlarm } from './adapters/alarms.ts';
import { type MetricAlarm, metricText, type StatisticQuery, sameMetric } from './alarm.ts';
import { drivenQuery } from './driving.ts';
import { JUST_OVER, JUST_UNDER } from './intended.ts';
import { nextRound } from './ladder.ts';
import { type LivePhase, PHASE_POINTS, type Plan, type TickSample } from './measurements.ts';
import { batchOf } from './rounds-workflow.ts';
import { type DrillDependencies, hold, type MetricAlarmFacts, type Run } from './run-workflow.ts';
import type { LocatedDrill } from './schema.ts';
import { type Datum, metricShape } from './shadow.ts';
import { evaluationMs } from './simulate.ts';

/*
 * `mode: live`: values just under and just over the intended threshold go to the real metric, in staging, so that the
 * real alarm itself fires. The one place of a drill that writes outside of its own namespace.
 */

/**
 * Samples of ours for one of the real emitter's: whatever it goes on to say, an average or a percentile of both is ours
 * to one ten-thousandth of the difference.
 */
const OUTNUMBER = 10_000;

/** By how much sums of the real emitter may vary, as a share of the threshold. */
const STEADY = 0.01;

/** Looking after the alarm once nothing is injected any more. */
const LOOKING = { firstPauseMs: 10_000, longestPauseMs: 60_000 };

/** What is injected, and for how long. */
interface Injection {
  alarm: MetricAlarm;
  query: StatisticQuery;
  cadenceMs: number;
  samples: Record<'under' | 'over', { value: number; sample: TickSample }>;
  ticks: Record<'under' | 'over', number>;
  /** How long the alarm may take to be OK again, milliseconds. */
  recoveryMs: number;
}

/**
 * Drills the real alarm: 0.95 times the intended threshold for as long as the alarm is given, then 1.05 times until it
 * fires, then nothing until it is OK again.
 *
 * @throws GateInputError where the real metric must not be written to now, or cannot be driven from outside
 * @throws GateDependencyError where CloudWatch does not answer, or refuses
 */
export async function runLive(
  workflow: Workflow,
  run: Run,
  facts: MetricAlarmFacts,
  deps: DrillDependencies,
): Promise<LivePhase[]> {
  const injection = injectionOf(run.drill, facts);
  const { cadenceMs, ticks, recoveryMs } = injection;
  await workflow.step('hold the claim', () =>
    hold(run, (ticks.under + ticks.over) * cadenceMs + recoveryMs, deps),
  );
  await workflow.step('look whether the alarm is OK', () => beOk(injection.alarm, deps));
  const under = await inject(workflow, run, injection, 'under', deps);
  // One that rings already cannot be seen to ring.
  const over = under.state === 'ALARM' ? [] : [await inject(workflow, run, injection, 'over', deps)];
  return [under, ...over, await recover(workflow, run, injection, deps)];
}

// ---------------------------------------------------------------------------------------------------------
// What is injected
// ---------------------------------------------------------------------------------------------------------

function injectionOf(drill: LocatedDrill, facts: MetricAlarmFacts): Injection {
  const { alarm } = facts;
  const query = drivenQuery(alarm, drill);
  const { metric } = drill.value.intended;
  // The schema has it so; this is where the permission is used.
  if (drill.value.live === undefined || metric === undefined || metric.namespace.startsWith('AWS/')) {
    throw new GateInputError(`nothing allows the drill ${drill.name} to write to a real metric`);
  }
  if (!sameMetric(query.metric, metric)) {
    throw new GateInputError(
      `the alarm ${alarm.name} watches ${metricText(query.metric)}, and the drill may write to ${metricText(metric)} alone (${lineAt(drill, ['intended', 'metric'])})`,
    );
  }
  const plan = nextRound(
    alarm,
    { ...drill, value: { ...drill.value, ladder: [JUST_UNDER, JUST_OVER] } },
    facts,
    [],
  ) as Plan;
  const [under, over] = [JUST_UNDER, JUST_OVER].map((times) => {
    const value = plan.rungs.find((rung) => rung.times === times)?.value;
    const samples = plan.published.find((one) => one.value === value)?.samples[query.id];
    if (value === undefined || value === null || samples === undefined) {
      throw new GateInputError(
        `the alarm ${alarm.name} cannot be driven to ${times} times what is intended (${lineAt(drill, ['intended', 'fires'])})`,
      );
    }
    return { value, sample: samples };
  }) as [Injected, Injected];
  const upwards = over.sample.value * over.sample.count > under.sample.value * under.sample.count;
  const ticksPerPeriod = Math.max(1, (alarm.periodS * 1000) / plan.cadenceMs);
  const overrule = (injected: Injected): Injected => ({
    ...injected,
    sample: overruling(injected.sample, { query, drill, facts, upwards, ticksPerPeriod }),
  });
  const { within } = drill.value.intended;
  return {
    alarm,
    query,
    cadenceMs: plan.cadenceMs,
    samples: { under: overrule(under), over: overrule(over) },
    ticks: { under: Math.ceil((within + 2 * evaluationMs(alarm)) / plan.cadenceMs), over: plan.drift },
    recoveryMs: plan.recovery * plan.cadenceMs + plan.settleMs,
  };
}

interface Injected {
  /** What the alarm is to see. */
  value: number;
  sample: TickSample;
}

/**
 * The sample that makes the alarm see a value although the real emitter goes on: of averages and percentiles by so many
 * of them that its own do not count; of a sum by what is missing to it; of an extreme where it is on our side.
 */
function overruling(
  sample: TickSample,
  {
    query,
    drill,
    facts,
    upwards,
    ticksPerPeriod,
  }: {
    query: StatisticQuery;
    drill: LocatedDrill;
    facts: MetricAlarmFacts;
    upwards: boolean;
    ticksPerPeriod: number;
  },
): TickSample {
  const { statistic } = query;
  if (/^(Average|IQM|p|tm|TM|wm|WM)/.test(statistic)) {
    return { value: sample.value, count: sample.count * OUTNUMBER };
  }
  if (statistic === (upwards ? 'Maximum' : 'Minimum')) return sample;
  const refuse = (why: string) =>
    new GateInputError(
      `the ${statistic} of ${metricText(query.metric)} cannot be driven from outside: ${why}`,
      { help: `Use mode: shadow (${lineAt(drill, ['mode'])}), which drives metrics of its own.` },
    );
  if (statistic !== 'Sum') throw refuse('what the real emitter says counts as well');
  const recent = (facts.metrics[query.id]?.recent ?? []).map(({ value }) => value);
  if (recent.length === 0) return sample;
  const spread = Math.max(...recent) - Math.min(...recent);
  const { threshold } = drill.value.intended.fires;
  if (spread > STEADY * Math.abs(threshold)) {
    throw refuse(`that of the real emitter varies by ${formatNumber(spread)}`);
  }
  const mean = recent.reduce((sum, value) => sum + value, 0) / recent.length;
  return { value: sample.value - mean / ticksPerPeriod / sample.count, count: sample.count };
}

// ---------------------------------------------------------------------------------------------------------
// Phases
// ---------------------------------------------------------------------------------------------------------

/** The alarm, as long as it is there. */
async function present(name: string, { cloudwatch }: DrillDependencies): Promise<MetricAlarm> {
  const alarm = await readAlarm(cloudwatch, name);
  if (alarm?.kind === 'metric') return alarm;
  throw new GateInputError(`the alarm ${name} was deleted or replaced while it was drilled`);
}

async function beOk({ name }: MetricAlarm, deps: DrillDependencies): Promise<void> {
  const { state, since } = await present(name, deps);
  if (state === 'OK') return;
  throw new GateInputError(
    state === 'ALARM'
      ? `the alarm ${name} is ALARM since ${formatTime(since)}: a real incident comes first`
      : `the alarm ${name} is ${state} since ${formatTime(since)}, and only one that is OK can be seen to fire`,
    { help: 'Drill it again once it is OK.' },
  );
}

/** Injects tick by tick until the time is up, or the alarm fires. */
async function inject(
  workflow: Workflow,
  run: Run,
  injection: Injection,
  phase: 'under' | 'over',
  deps: DrillDependencies,
): Promise<LivePhase> {
  const { alarm, cadenceMs, samples } = injection;
  const { cloudwatch, now, sleep } = deps;
  const { value, sample } = samples[phase];
  const ticks = injection.ticks[phase];
  const batch = batchOf({ cadenceMs }, ticks);
  const startedAt = await workflow.step(`${phase}: begin`, async () => now());
  for (let tick = 0; tick < ticks; ) {
    const from = tick;
    const done = await workflow.step(`${phase}: tick ${from}`, async () => {
      let next = from;
      while (next < Math.min(from + batch, ticks)) {
        const early = startedAt + next * cadenceMs - now();
        if (early > 0) await sleep(early);
        // Of ticks that were slept through only the newest is made up for: the real metric is no record of a drill.
        const at = now();
        await publishData(cloudwatch, injection.query.metric.namespace, datumOf(injection, at, sample));
        next = Math.max(next, Math.floor((at - startedAt) / cadenceMs)) + 1;
      }
      const { state } = await present(alarm.name, deps);
      await run.report(`${phase}, ${formatNumber(value)} for ${timeText(now() - startedAt)}: ${state}`);
      return { next, state, waitMs: Math.max(0, startedAt + next * cadenceMs - now()) };
    });
    if (done.state === 'ALARM') break;
    tick = done.next;
    await workflow.wait(`${phase}: wait after tick ${from}`, done.waitMs);
  }
  return workflow.step(`${phase}: read what the alarm did`, async () => ({
    ...(await phaseOf(injection, phase, startedAt, deps)),
    value,
  }));
}

/** Waits until the alarm is OK again, as far as patience goes. */
async function recover(
  workflow: Workflow,
  run: Run,
  injection: Injection,
  deps: DrillDependencies,
): Promise<LivePhase> {
  const startedAt = await workflow.step('healthy: begin', async () => {
    await run.report('waiting until the alarm is OK again');
    return deps.now();
  });
  await workflow.waitUntil(
    'the alarm is OK again',
    async () => ((await present(injection.alarm.name, deps)).state === 'OK' ? true : undefined),
    { ...LOOKING, timeoutMs: injection.recoveryMs },
  );
  return workflow.step('healthy: read what the alarm did', () =>
    phaseOf(injection, 'healthy', startedAt, deps),
  );
}

function datumOf({ alarm, query }: Injection, at: number, { value, count }: TickSample): Datum[] {
  const { MetricName, Dimensions } = metricShape(query.metric);
  return [
    {
      MetricName,
      Dimensions,
      Timestamp: new Date(at),
      Values: [value],
      Counts: [count],
      ...(query.unit !== undefined && { Unit: query.unit }),
      StorageResolution: alarm.periodS < 60 ? 1 : 60,
    },
  ];
}

async function phaseOf(
  { alarm, query }: Injection,
  phase: LivePhase['phase'],
  startedAt: number,
  deps: DrillDependencies,
): Promise<LivePhase> {
  const { cloudwatch, now } = deps;
  const endedAt = now();
  const { metric, statistic, unit } = query;
  const points = await dataPoints(
    cloudwatch,
    { metric, statistic, ...(unit !== undefined && { unit }), periodS: alarm.periodS },
    startedAt,
    endedAt,
  );
  const { transitions } = await historyOf(cloudwatch, alarm.name, startedAt, endedAt);
  const { state } = await present(alarm.name, deps);
  return { phase, startedAt, endedAt, metric: points.slice(-PHASE_POINTS), transitions, state };
}
