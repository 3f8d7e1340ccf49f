import type { CloudWatchClient } from '@aws-sdk/client-cloudwatch';
import type { SageMakerClient } from '@aws-sdk/client-sagemaker';
import type { SageMakerRuntimeClient } from '@aws-sdk/client-sagemaker-runtime';
import { type Baseline, readBaseline } from '../shared/baseline.ts';
import { GateInputError } from '../shared/errors.ts';
import type { EvidenceStore } from '../shared/evidence.ts';
import { countOf, formatNumber } from '../shared/format.ts';
import type { Profile } from '../shared/profile.ts';
import { randomOf, seedOf } from '../shared/random.ts';
import type { Patience, Workflow } from '../shared/workflow.ts';
import { dataPoints, historyOf, readAlarm } from './adapters/alarms.ts';
import { bodiesOf, requireInService, sendBodies } from './adapters/endpoint.ts';
import { breaches, type MetricAlarm, readsMetric } from './alarm.ts';
import { evaluateExpression, idsIn, parseExpression } from './expression.ts';
import {
  baselineLaw,
  chanceOf,
  countValues,
  driftedLaw,
  driftOf,
  featureOf,
  sampleRecords,
  type Value,
} from './generator.ts';
import { type Facts, type LivePhase, PHASE_POINTS } from './measurements.ts';
import type { LocatedDrill } from './schema.ts';

/*
 * A drill of the whole chain: records with a known drift go to a staging endpoint, the team's own monitor sees them, and
 * the alarm follows. Whatever the monitor is, it shows in the metric of the alarm alone.
 */

/** What traffic takes. */
export interface TrafficDependencies {
  cloudwatch: CloudWatchClient;
  sagemaker: SageMakerClient;
  /** Made with `RUNTIME_OPTIONS` of adapters/endpoint.ts. */
  runtime: SageMakerRuntimeClient;
  /** Has the baseline. */
  store: EvidenceStore;
  /** Milliseconds since 1970. */
  now: () => number;
}

/** One run of a drill in `mode: traffic`. */
export interface TrafficRun {
  drill: LocatedDrill;
  facts: Facts;
  /** Of this run alone: marks its requests, in what the endpoint captures. */
  token: string;
  /** What the records are drawn by. */
  seed: string;
}

type Phase = LivePhase['phase'];

type Traffic = NonNullable<LocatedDrill['value']['traffic']>;

/** A run, and what its phases have in common. */
interface Chain extends TrafficRun {
  alarm: MetricAlarm;
  traffic: Traffic;
  /** Of the baseline that records are drawn from. */
  baselineSha256: string;
  /** Drift to ask for, by phase. */
  asked: Record<Phase, number>;
  /** How often the monitor emits. */
  cadenceMs: number;
  report: (phase: string) => Promise<void>;
}

/** Requests of one step: about half a minute of an endpoint that takes a second for each. */
const REQUESTS_OF_STEP = 100;
/** Steps that one sending takes at most; each is kept, and read again by every replay. */
const STEPS_OF_SENDING = 50;
/** How often a phase sends at most: data of several windows, where the alarm asks for several data points. */
const SENDINGS = 12;

/** Questions of one wait, about: they are kept, too. */
const QUESTIONS = 60;
const SHORTEST_PAUSE_MS = 5_000;

/** How long after the end of its period a data point may be evaluated: every minute, or every 10 s below a period of 60 s. */
const EVALUATING_MS = 75_000;
const EVALUATING_FAST_MS = 20_000;

const MINUTE_S = 60;

/** Times its cadence, within which a monitor has emitted what it saw: it may do so a while after its window. */
const CYCLE = 1.25;

/**
 * Sends traffic below the intended drift, above it, and healthy again, and takes down what the alarm does.
 *
 * Traffic is sent again whenever the monitor has emitted, until as many data points as the alarm asks for have seen it
 * (below), or it is in ALARM (above), or OK again (healthy), or the time that the drill gives it is up.
 *
 * @param report tells whoever follows the run where it is
 * @returns the phases, in their order
 * @throws GateInputError where the drill cannot be run: no endpoint, no baseline, a drift that cannot be reached, an alarm
 * that is in ALARM
 * @throws GateDependencyError where AWS does not answer, or refuses
 */
export async function runTraffic(
  workflow: Workflow,
  run: TrafficRun,
  deps: TrafficDependencies,
  report: (phase: string) => Promise<void>,
): Promise<LivePhase[]> {
  const chain = await prepare(workflow, run, deps, report);
  const phases: LivePhase[] = [];
  for (const phase of ['under', 'over', 'healthy'] as const) {
    phases.push(await runPhase(workflow, chain, phase, deps));
  }
  return phases;
}

// ---------------------------------------------------------------------------------------------------------
// What has to hold before anything is sent
// ---------------------------------------------------------------------------------------------------------

async function prepare(
  workflow: Workflow,
  run: TrafficRun,
  deps: TrafficDependencies,
  report: Chain['report'],
): Promise<Chain> {
  const { drill, facts } = run;
  const { traffic, intended } = drill.value;
  const { alarm } = facts;
  if (traffic === undefined || alarm?.kind !== 'metric') {
    throw new GateInputError(`${drill.value.alarm} is no metric alarm that traffic could be sent for`);
  }
  const drift = traffic.intended ?? intended.fires.threshold;
  const asked = { under: traffic.under * drift, over: traffic.over * drift, healthy: 0 };
  const baselineSha256 = await workflow.step('prepare the traffic', async () => {
    await report('preparing synthetic records');
    await requireInService(deps.sagemaker, traffic.endpoint);
    // What it watches is looked at later: better to know now that it can be.
    for (const query of alarm.queries) if ('expression' in query) parseExpression(query.expression);
    const current = await readAlarm(deps.cloudwatch, alarm.name);
    if (current?.state === 'ALARM') {
      throw new GateInputError(`${alarm.name} is in ALARM: a real incident comes first`, {
        help: 'Start the drill again when it is OK.',
      });
    }
    const { profile, sha256 } = await baselineOf(traffic, deps.store);
    for (const phase of ['under', 'over'] as const) lawOf(profile, traffic, asked[phase]);
    refuseBystanders(profile, traffic, asked.under, run.seed);
    return sha256;
  });
  const every = Object.values(facts.metrics).flatMap((metric) => metric.every ?? []);
  const cadenceMs = intended.every ?? (every.length > 0 ? Math.max(...every) : alarm.periodS * 1000);
  return { ...run, alarm, traffic, baselineSha256, asked, cadenceMs, report };
}

/** @throws GateInputError where there is none, or another than before */
async function baselineOf({ dataset }: Traffic, store: EvidenceStore, sha256?: string): Promise<Baseline> {
  const baseline = await readBaseline(store, dataset);
  if (baseline === undefined) {
    throw new GateInputError(`dataset ${dataset} has no baseline to draw records from`, {
      help: `Make one of an accepted dataset: tocsin baseline promote --dataset ${dataset}`,
    });
  }
  if (sha256 !== undefined && baseline.sha256 !== sha256) {
    throw new GateInputError(`the baseline of ${dataset} was replaced while records of it were sent`, {
      help: 'Start the drill again.',
    });
  }
  return baseline;
}

function lawOf(profile: Profile, { feature, measure, records }: Traffic, asked: number) {
  const { distribution } = featureOf(profile, feature);
  if (asked === 0) return baselineLaw(distribution);
  // Evenly spread records miss what chance adds to any others.
  return driftedLaw(distribution, measure, asked + chanceOf(measure, distribution, records), records);
}

/**
 * A column of more values than the baseline lists cannot be drawn as it is. Where that alone looks like drift, a monitor
 * of all features would be alarmed by it.
 */
function refuseBystanders(profile: Profile, traffic: Traffic, quiet: number, seed: string): void {
  const random = randomOf(seedOf(seed, 'bystanders'), 0);
  const drawn = sampleRecords(profile, traffic.features, undefined, traffic.records, random);
  for (const [index, feature] of traffic.features.entries()) {
    const { distribution } = featureOf(profile, feature);
    const counts = countValues(valuesAt(drawn, index), distribution);
    const drift = driftOf('psi', counts, distribution);
    if (feature === traffic.feature || drift < quiet) continue;
    throw new GateInputError(
      `the baseline of ${profile.dataset} lists too few values of column "${feature}": records of them have a psi of ${formatNumber(drift)} by themselves`,
      { help: 'Drill the alarm in mode: shadow.' },
    );
  }
}

// ---------------------------------------------------------------------------------------------------------
// One phase
// ---------------------------------------------------------------------------------------------------------

/** What was seen of the alarm since a phase began. */
interface Seen {
  /** The monitor has emitted what can contain all of the last traffic, and the alarm has looked at it. */
  fresh: boolean;
  /** The phase has what it is for, or its time is up. */
  over: boolean;
}

/** A moment, and the samples of the alarm's metric in the period around it that were there already. */
interface Mark {
  at: number;
  samples: number;
}

/** One sending, and the first records of its requests that failed. */
interface Sent {
  sending: number;
  failed: number[];
}

async function runPhase(
  workflow: Workflow,
  chain: Chain,
  phase: Phase,
  deps: TrafficDependencies,
): Promise<LivePhase> {
  const started = await workflow.step(`begin ${phase}`, () => markNow(chain, deps));
  const sendings: Sent[] = [];
  for (let sending = 1, over = false; sending <= SENDINGS && !over; sending++) {
    const { failed, mark } = await send(workflow, chain, phase, sending, deps);
    sendings.push({ sending, failed });
    const seen = await workflow.waitUntil(
      `see what comes of ${phase} ${sending}`,
      async () => {
        await chain.report(`${phase}: ${sentText(chain, phase)} sent, waiting for the monitor and the alarm`);
        const found = await look(chain, phase, { started, sent: mark, sending }, deps);
        return found.over || (found.fresh && sending < SENDINGS) ? found : undefined;
      },
      patienceOf(chain),
    );
    over = seen?.over ?? true;
  }
  const looking = evaluatingMs(chain) - pauseMs(chain);
  if (phase === 'under' && looking > 0) {
    await workflow.wait('until the alarm has looked at the last of under', looking);
  }
  return workflow.step(`take down ${phase}`, () => takeDown(chain, phase, started, sendings, deps));
}

async function takeDown(
  chain: Chain,
  phase: Phase,
  started: Mark,
  sendings: readonly Sent[],
  deps: TrafficDependencies,
): Promise<LivePhase> {
  const { alarm, traffic, asked } = chain;
  const { profile } = await baselineOf(traffic, deps.store, chain.baselineSha256);
  const delivered = sendings.map((sent) => deliveredOf(chain, profile, phase, sent));
  const endedAt = deps.now();
  const metric = await observed(chain, started, endedAt, deps);
  const { transitions } = await historyOf(deps.cloudwatch, alarm.name, started.at, endedAt);
  const current = await readAlarm(deps.cloudwatch, alarm.name);
  return {
    phase,
    startedAt: started.at,
    endedAt,
    drift: { asked: asked[phase], sent: meanDrift(profile, traffic, delivered) },
    records: delivered.reduce((sum, records) => sum + records.length, 0),
    failedRequests: sendings.reduce((sum, { failed }) => sum + failed.length, 0),
    metric: metric.slice(-PHASE_POINTS),
    transitions,
    state: current?.state ?? 'INSUFFICIENT_DATA',
  };
}

/** Longer than {@link look} waits: the time of the drill after a data point that came as late as it may. */
function patienceOf({ drill, cadenceMs }: Chain): Patience {
  const timeoutMs = 2 * (drill.value.intended.within + 2 * cadenceMs) + EVALUATING_MS;
  const longestPauseMs = Math.max(2 * SHORTEST_PAUSE_MS, timeoutMs / QUESTIONS);
  return { timeoutMs, firstPauseMs: Math.max(SHORTEST_PAUSE_MS, longestPauseMs / 4), longestPauseMs };
}

function evaluatingMs({ alarm }: Chain): number {
  return alarm.periodS < MINUTE_S ? EVALUATING_FAST_MS : EVALUATING_MS;
}

/** From a data point to more traffic: time for the alarm, but not so much that the next window is half over. */
function pauseMs(chain: Chain): number {
  return Math.min(evaluatingMs(chain), chain.cadenceMs / 2);
}

/** `2,000 records with a psi of 0.1 of distance` */
function sentText({ traffic, asked }: Chain, phase: Phase): string {
  const { records, measure, feature } = traffic;
  return `${countOf(records, 'record')} with a ${measure} of ${formatNumber(asked[phase])} of ${feature}`;
}

/** Looks whether a phase is over, and whether the monitor has seen its traffic. */
async function look(
  chain: Chain,
  phase: Phase,
  { started, sent, sending }: { started: Mark; sent: Mark; sending: number },
  deps: TrafficDependencies,
): Promise<Seen> {
  const { alarm, drill, cadenceMs } = chain;
  const at = deps.now();
  const fresh = await hasEmitted(chain, sent, at, deps);
  const state = (await readAlarm(deps.cloudwatch, alarm.name))?.state;
  const { transitions } = await historyOf(deps.cloudwatch, alarm.name, started.at, at);
  const fired = state === 'ALARM' || transitions.some(({ to }) => to === 'ALARM');
  const lateAfter = (since: number) => at > since + drill.value.intended.within + 2 * cadenceMs;
  switch (phase) {
    case 'under':
      return { fresh, over: fired || (fresh && sending >= alarm.datapointsToAlarm) || lateAfter(sent.at) };
    case 'over': {
      const points = await observed(chain, started, at, deps);
      const beyond = points.find(({ value }) => breaches(value, alarm));
      return { fresh, over: fired || lateAfter(beyond?.at ?? started.at) };
    }
    case 'healthy': {
      const isBack = transitions.at(-1)?.to === 'OK';
      return { fresh, over: (state === 'OK' && (isBack || fresh)) || lateAfter(started.at) };
    }
  }
}

// ---------------------------------------------------------------------------------------------------------
// Traffic
// ---------------------------------------------------------------------------------------------------------

/** Sends the records of a phase once. */
async function send(
  workflow: Workflow,
  chain: Chain,
  phase: Phase,
  sending: number,
  deps: TrafficDependencies,
): Promise<{ mark: Mark; failed: number[] }> {
  const { traffic, token } = chain;
  const requests = Math.ceil(traffic.records / traffic.perRequest);
  const size = Math.max(REQUESTS_OF_STEP, Math.ceil(requests / STEPS_OF_SENDING));
  const failed: number[] = [];
  for (let part = 0; ; part++) {
    const sent = await workflow.step(`send ${phase} ${sending}, part ${part + 1}`, async () => {
      await chain.report(`${phase}: sending ${sentText(chain, phase)}`);
      const { profile } = await baselineOf(traffic, deps.store, chain.baselineSha256);
      const bodies = bodiesOf(recordsOf(chain, profile, phase, sending), traffic);
      const own = bodies.slice(part * size, (part + 1) * size);
      const mark = `tocsin-drill-${token}-${phase}-${sending}`;
      return {
        failed: await sendBodies(deps.runtime, own, { ...traffic, mark }),
        isLast: bodies.length <= (part + 1) * size,
        mark: await markNow(chain, deps),
      };
    });
    failed.push(...sent.failed);
    if (sent.isLast) return { mark: sent.mark, failed };
  }
}

/** The same for the same run, phase and sending: a step that is repeated sends the same records again. */
function recordsOf(
  { traffic, asked, seed }: Chain,
  profile: Profile,
  phase: Phase,
  sending: number,
): Value[][] {
  const { feature, features, records } = traffic;
  const random = randomOf(seedOf(seed, phase), sending);
  return sampleRecords(
    profile,
    features,
    { feature, law: lawOf(profile, traffic, asked[phase]) },
    records,
    random,
  );
}

/** The records of those requests that did not fail. */
function deliveredOf(chain: Chain, profile: Profile, phase: Phase, { sending, failed }: Sent): Value[][] {
  const records = recordsOf(chain, profile, phase, sending);
  return bodiesOf(records, chain.traffic)
    .filter(({ from }) => !failed.includes(from))
    .flatMap(({ from, to }) => records.slice(from, to));
}

/** Each sending by itself: chance adds less to all of them together. */
function meanDrift(
  profile: Profile,
  { feature, features, measure }: Traffic,
  sendings: readonly Value[][][],
): number {
  const { distribution } = featureOf(profile, feature);
  const at = features.indexOf(feature);
  const drifts = sendings.map((records) =>
    driftOf(measure, countValues(valuesAt(records, at), distribution), distribution),
  );
  return drifts.reduce((sum, drift) => sum + drift, 0) / drifts.length;
}

function valuesAt(records: readonly Value[][], index: number): Value[] {
  return records.map((record) => record[index] ?? null);
}

// ---------------------------------------------------------------------------------------------------------
// The metric
// ---------------------------------------------------------------------------------------------------------

/** Seconds of the finest periods that the metric has. */
function grainOf({ periodS }: MetricAlarm): number {
  return Math.min(periodS, MINUTE_S);
}

async function markNow(chain: Chain, deps: TrafficDependencies): Promise<Mark> {
  const at = deps.now();
  const counts = await sampleCounts(chain, at, at, deps);
  return { at, samples: counts.get(floorTo(at, grainOf(chain.alarm))) ?? 0 };
}

/** Samples of all metrics of the alarm by the beginning of their period, from the period of `since` to that of `at`. */
async function sampleCounts(
  { alarm }: Chain,
  since: number,
  at: number,
  { cloudwatch }: TrafficDependencies,
): Promise<Map<number, number>> {
  const periodS = grainOf(alarm);
  const counts = new Map<number, number>();
  for (const query of alarm.queries) {
    if (!readsMetric(query)) continue;
    const points = await dataPoints(
      cloudwatch,
      { ...query, statistic: 'SampleCount', periodS },
      floorTo(since, periodS),
      floorTo(at, periodS) + 1000 * periodS,
    );
    for (const { at: end, value } of points) {
      const from = end - 1000 * periodS;
      counts.set(from, (counts.get(from) ?? 0) + value);
    }
  }
  return counts;
}

/** Beginnings of the periods with data points that came since. */
async function emittedSince(
  chain: Chain,
  since: Mark,
  at: number,
  deps: TrafficDependencies,
): Promise<number[]> {
  const counts = await sampleCounts(chain, since.at, at, deps);
  return [...counts].flatMap(([from, count]) => (from >= since.at || count > since.samples ? [from] : []));
}

/**
 * Whether there is a data point of the traffic that was sent until then, and the alarm has had the time to look at it. One
 * in the very period in which the sending ended may be of the time before: it counts once the monitor must have emitted.
 */
async function hasEmitted(chain: Chain, sent: Mark, at: number, deps: TrafficDependencies): Promise<boolean> {
  const periodMs = 1000 * grainOf(chain.alarm);
  const cycleMs = CYCLE * chain.cadenceMs;
  return (await emittedSince(chain, sent, at, deps)).some((from) =>
    from >= sent.at ? at >= from + periodMs + pauseMs(chain) : at >= sent.at + cycleMs,
  );
}

/**
 * Data points since a phase began, as the alarm sees them. Where the monitor emits less often than once a period, each is
 * that of its own minute, which is the same and has the better time.
 */
async function observed(
  chain: Chain,
  started: Mark,
  at: number,
  deps: TrafficDependencies,
): Promise<LivePhase['metric']> {
  const { alarm, cadenceMs } = chain;
  const { queries, returns } = alarm;
  const periodS = cadenceMs >= alarm.periodS * 1000 ? grainOf(alarm) : alarm.periodS;
  const [from, to] = [floorTo(started.at, periodS), floorTo(at, periodS) + 1000 * periodS];
  const length = (to - from) / (periodS * 1000);
  const metrics: Record<string, (number | null)[]> = {};
  for (const query of queries) {
    if (!readsMetric(query)) continue;
    const values = Array<number | null>(length).fill(null);
    for (const point of await dataPoints(deps.cloudwatch, { ...query, periodS }, from, to)) {
      values[(point.at - from) / (periodS * 1000) - 1] = point.value;
    }
    metrics[query.id] = values;
  }
  const ids = Object.keys(metrics);
  const valuesOf = (id: string): readonly (number | null)[] => {
    const query = queries.find((it) => it.id === id);
    if (query === undefined || readsMetric(query)) return metrics[id] ?? [];
    const expression = parseExpression(query.expression);
    const inputs = [...idsIn(expression, ids), ...ids].map((input) => [input, valuesOf(input)] as const);
    return evaluateExpression(expression, Object.fromEntries(inputs), { periodS, metrics: ids });
  };
  // The first period may have nothing but what was there before the phase.
  const emitted = await emittedSince(chain, started, at, deps);
  const first = emitted.some((start) => floorTo(start, periodS) === from) ? 0 : 1;
  return valuesOf(returns).flatMap((value, index) =>
    value === null || index < first ? [] : [{ at: Math.min(at, from + (index + 1) * periodS * 1000), value }],
  );
}

function floorTo(ms: number, periodS: number): number {
  return Math.floor(ms / (periodS * 1000)) * periodS * 1000;
}
