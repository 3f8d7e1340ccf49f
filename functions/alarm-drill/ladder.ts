import { GateInputError } from '../shared/errors.ts';
import { formatDuration, formatNumber } from '../shared/format.ts';
import { lineAt } from '../shared/schema.ts';
import {
  type AlarmState,
  breaches,
  type Evaluated,
  firesUpwards,
  type MetricAlarm,
  readsMetric,
} from './alarm.ts';
import { type Driver, drivenQuery, driverOf, type Samples } from './driving.ts';
import {
  endsOf,
  expectationAt,
  healthyOf,
  isInRange,
  isUpwards,
  JUST_OVER,
  JUST_UNDER,
  timesOf,
  valueAt,
} from './intended.ts';
import type { Facts, Plan, Round, Rung, RungResult } from './measurements.ts';
import type { LocatedDrill } from './schema.ts';
import type { Sample, Series, Transition } from './series.ts';
import { evaluationMs, type Forecast, firstAt, forecast } from './simulate.ts';
import { percentileOf } from './statistic.ts';

/*
 * The ladder: what each round of a drill publishes and for how long, and what the rounds so far have shown. Pure, and
 * quick enough to be asked again at every replay.
 */

export const MOST_ROUNDS = 4;

/** Rungs of a round that narrows. */
const MOST_RUNGS = 30;

const MOST_TICKS = 600;

/** The effective threshold is known to within 5 % once the loud side of its bracket is so many times the quiet one. */
export const NARROW = 1.106;

/** Between two rungs of a round that narrows: a little less, so that rounding cannot make it too much. */
const STEP = 1.1;

/** Of times that nobody has configured. */
const DIGITS = 4;

/** Two rungs nearer to each other than this share show the same. */
const SAME = 0.01;

/** Where nothing was loud, or nothing was quiet, so much further is looked for it. */
const FURTHER = [10, 100, 1000];

/** An alarm that takes more than so many times the time it is given is not waited for. */
const PATIENCE = 3;

/** How long silence is watched at most, where that is longer than {@link PATIENCE} has it. */
const LONGEST_SILENCE_MS = 6 * 3_600_000;

/** Data points that an evaluation may look back at beyond its N, and one that is not over. */
const BEYOND = 4;

/** More late ticks than this share of all, and a round shows nothing. */
const LATE = 0.05;

/** A tick a period at least as often as this loses nothing that can be judged: a window that straddles blurs more. */
const COARSEST_TICKS = 6;

const SILENCE: Rung = { id: 'silence', times: null, value: null, expects: 'silence' };

// ---------------------------------------------------------------------------------------------------------
// Plans
// ---------------------------------------------------------------------------------------------------------

/**
 * The next round of a drill; null where there is nothing more to find out.
 *
 * The first one is the configured ladder, silence, and recovery. Where that leaves the effective threshold open by more
 * than 5 %, the next ones narrow it: first around what is configured, then by steps between the loudest quiet rung and
 * the quietest loud one, which are looked for far out where there is none.
 *
 * @throws GateInputError where the alarm cannot be drilled
 */
export function nextRound(
  alarm: MetricAlarm,
  drill: LocatedDrill,
  facts: Facts,
  rounds: readonly Round[],
): Plan | null {
  if (rounds.length === 0) return firstRound(alarm, drill, facts);
  if (!drill.value.narrow || rounds.length >= MOST_ROUNDS) return null;
  const planner = new Planner(alarm, drill, facts);
  const times = furtherTimes(alarm, drill, rounds).filter((candidate) => planner.isPossible(candidate));
  if (times.length === 0) return null;
  const planned = planner.plan(times, {
    healthy: quietEnough(drill, times, rounds),
    complete: false,
  });
  return planned.rungs.length === 0 ? null : planned;
}

/** Ticks of a round. */
export function ticksOf({ warmUp, drift, recovery }: Pick<Plan, 'warmUp' | 'drift' | 'recovery'>): number {
  return warmUp + drift + recovery;
}

/**
 * When a round that is ready now is to start: a few seconds after a whole minute or, with a finer cadence, after a whole
 * ten seconds, so that no evaluation and no period begins between a tick and its neighbours.
 */
export function startOf({ cadenceMs }: Pick<Plan, 'cadenceMs'>, now: number): number {
  const [grid, after] = cadenceMs < 60_000 ? [10_000, 2_000] : [60_000, 5_000];
  return Math.ceil((now - after) / grid) * grid + after;
}

/** What is published for a rung at a tick, by query; null where nothing is. */
export function samplesAt(
  plan: Plan,
  rung: Rung,
  tick: number,
): Record<string, { value: number; count: number } | null> {
  const { warmUp, drift, healthy } = plan;
  if (tick < warmUp || (rung.value !== null && tick >= warmUp + drift)) return publishedFor(plan, healthy);
  if (rung.value !== null) return publishedFor(plan, rung.value);
  return Object.fromEntries(Object.keys(publishedFor(plan, healthy)).map((id) => [id, null]));
}

function publishedFor({ published }: Plan, value: number): Samples {
  const found = published.find((candidate) => candidate.value === value);
  if (found) return found.samples;
  throw new Error(`the plan does not say what is published for ${value}`);
}

/** What is published for a rung in a whole round. */
export function seriesOf(round: Pick<Round, 'startedAt' | 'plan'>, rung: Rung): Series {
  const { startedAt, plan } = round;
  const series: Record<string, Sample[]> = {};
  for (let tick = 0; tick < ticksOf(plan); tick++) {
    for (const [id, sample] of Object.entries(samplesAt(plan, rung, tick))) {
      series[id] ??= [];
      if (sample !== null) series[id].push({ at: Math.round(startedAt + tick * plan.cadenceMs), ...sample });
    }
  }
  return series;
}

/** What an alarm will do on a rung, from the start of the round to the end of its settling. */
export function forecastOf(alarm: Evaluated, round: Pick<Round, 'startedAt' | 'plan'>, rung: Rung): Forecast {
  // The drill publishes in the unit that the alarm asks for.
  const queries = alarm.queries.map((query) => {
    if (!readsMetric(query)) return query;
    const { unit: _, ...any } = query;
    return any;
  });
  const { startedAt } = round;
  const { endsAt } = phasesOf(round);
  return forecast({ ...alarm, queries }, seriesOf(round, rung), {
    from: startedAt - 1,
    to: endsAt,
  });
}

/**
 * How long an alarm takes to come to the state that it stays in once its metric is silent, whatever the documentation
 * leaves open: milliseconds from the first tick without data.
 */
export function silenceMs(alarm: Evaluated, plan: Plan): number {
  const settleMs = (alarm.evaluationPeriods + BEYOND + 1) * alarm.periodS * 1000 + 2 * evaluationMs(alarm);
  const round = { startedAt: startOf(plan, 0), plan: { ...plan, drift: 0, recovery: 0, settleMs } };
  const { evaluations, courses } = forecastOf(alarm, round, SILENCE);
  const { onset } = phasesOf(round);
  const settled = courses.map((states) => {
    const last = states.at(-1);
    const index = states.findLastIndex((state) => state !== last) + 1;
    return (evaluations[index]?.at ?? onset) - onset;
  });
  return Math.max(0, ...settled);
}

function firstRound(alarm: MetricAlarm, drill: LocatedDrill, facts: Facts): Plan {
  const times = drill.value.ladder.toSorted((a, b) => a - b);
  const planner = new Planner(alarm, drill, facts);
  const possible = times.filter((candidate) => planner.isPossible(candidate));
  // The furthest that the metric ever goes stands in for rungs beyond it.
  const { quiet, loud } = endsOf(drill);
  for (const [end, expected] of [
    [quiet, 'quiet'],
    [loud, 'loud'],
  ] as const) {
    if (!Number.isFinite(end) || possible.some((candidate) => expectationAt(drill, candidate) === expected))
      continue;
    const furthest = timesOf(drill, end);
    const fits = furthest > 0 && Number.isFinite(furthest) && expectationAt(drill, furthest) === expected;
    if (fits && planner.isPossible(furthest)) possible.push(furthest);
  }
  // An alarm that is configured otherwise fires there: to find that out in a round of its own would take as long again.
  const healthy = timesOf(drill, healthyOf(drill));
  const isNew = (candidate: number) =>
    candidate > healthy && possible.every((other) => Math.abs(other / candidate - 1) > SAME);
  const configured = configuredTimes(alarm, drill) ?? 1;
  if (drill.value.narrow && (configured < JUST_UNDER || configured > JUST_OVER)) {
    const further = aroundConfigured(alarm, drill).filter(isNew);
    possible.push(...further.filter((candidate) => planner.isPossible(candidate)));
  }
  return planner.plan(
    possible.toSorted((a, b) => a - b),
    { healthy: healthyOf(drill), complete: true },
  );
}

/** Makes plans for one alarm. */
class Planner {
  readonly #alarm: MetricAlarm;
  readonly #drill: LocatedDrill;
  readonly #facts: Facts;
  readonly #periodMs: number;
  readonly #intervalMs: number;
  /** Between two samples of the metric, and where that is known from. */
  readonly #every: { ms: number; known: string };
  #driver: Driver;
  #ticksPerPeriod: number;
  #cadenceMs: number;

  constructor(alarm: MetricAlarm, drill: LocatedDrill, facts: Facts) {
    this.#alarm = alarm;
    this.#drill = drill;
    this.#facts = facts;
    this.#periodMs = alarm.periodS * 1000;
    this.#intervalMs = evaluationMs(alarm);
    const { every } = drill.value.intended;
    const seen = facts.metrics[drivenQuery(alarm, drill).id]?.every;
    this.#every =
      every !== undefined
        ? { ms: every, known: `intended.every, ${lineAt(drill, ['intended', 'every'])}` }
        : seen !== undefined
          ? { ms: seen, known: 'as seen in its data' }
          : { ms: this.#periodMs, known: 'the period of the alarm' };

    // Evaluations see whole minutes or, of fine metrics, ten seconds: samples that come more often are samples of one.
    const ms = Math.max(this.#every.ms, this.#intervalMs);
    this.#ticksPerPeriod = divisorOf(alarm.periodS, this.#periodMs / ms);
    this.#cadenceMs = ms > this.#periodMs ? ms : this.#periodMs / this.#ticksPerPeriod;
    this.#driver = driverOf(alarm, drill, facts, this.#ticksPerPeriod);
  }

  /** Whether the metric can be made to show so many times the threshold, and ever does. */
  isPossible(times: number): boolean {
    const value = valueAt(this.#drill, times);
    return (
      isInRange(this.#drill, value) && this.#driver.samplesOf(value) !== null && this.#driver.isTelling(value)
    );
  }

  /**
   * @param times of the rungs, ascending; those that are not possible are left out
   * @param options.complete with silence and recovery
   */
  plan(times: readonly number[], options: { healthy: number; complete: boolean }): Plan {
    const plan = this.#planned(times, options);
    const ticks = ticksOf(plan);
    if (ticks <= MOST_TICKS) return plan;
    const wanted = (this.#ticksPerPeriod * MOST_TICKS) / (ticks + 3);
    const fewer = divisorOf(this.#alarm.periodS, Math.floor(wanted));
    if (wanted < COARSEST_TICKS || fewer < COARSEST_TICKS) throw this.#tooLong(plan);
    this.#ticksPerPeriod = fewer;
    this.#cadenceMs = this.#periodMs / fewer;
    this.#driver = driverOf(this.#alarm, this.#drill, this.#facts, fewer);
    const coarser = this.#planned(times, options);
    if (ticksOf(coarser) <= MOST_TICKS) return coarser;
    throw this.#tooLong(coarser);
  }

  #planned(times: readonly number[], { healthy, complete }: { healthy: number; complete: boolean }): Plan {
    const samples = this.#driver.samplesOf(healthy);
    if (samples === null) throw this.#undrivable(healthy);
    const rungs = times
      .filter((candidate) => this.isPossible(candidate))
      .map(
        (candidate): Rung => ({
          id: `${candidate}x`,
          times: candidate,
          value: valueAt(this.#drill, candidate),
          expects: expectationAt(this.#drill, candidate),
        }),
      );
    if (rungs.length === 0 && complete) throw this.#undrivable(valueAt(this.#drill, times[0] ?? 1));

    const published = new Map([[healthy, samples]]);
    for (const { value } of rungs) published.set(value!, this.#driver.samplesOf(value!)!);
    const draft: Plan = {
      rungs: complete ? [...rungs, SILENCE] : rungs,
      healthy,
      cadenceMs: this.#cadenceMs,
      warmUp: 0,
      drift: 0,
      recovery: 0,
      settleMs: 2 * this.#intervalMs,
      published: [...published].map(([value, of]) => ({ value, samples: of })),
    };
    const warm = { ...draft, warmUp: this.#warmUp(draft) };
    const drifted = { ...warm, drift: this.#drift(warm) };
    if (!complete) return drifted;
    const recovered = { ...drifted, recovery: this.#recovery(drifted) };
    return { ...recovered, settleMs: this.#settleMs(recovered) };
  }

  /** Until the alarm is OK whatever the documentation leaves open, and a period is full. */
  #warmUp(draft: Plan): number {
    const { comparison, threshold } = this.#drill.value.intended.fires;
    // Where it never is, as with a wrong threshold, as long as it would take with the right one.
    const alarms = [this.#alarm, { ...this.#alarm, comparison, threshold }];
    const known = alarms.map((alarm) => this.#untilOk(draft, alarm)).filter((ms) => ms !== null);
    const longest = known.length === 0 ? this.#windowMs(1) : Math.max(...known);
    return this.#ticks(Math.max(longest, this.#periodMs + this.#cadenceMs) + 2 * this.#intervalMs);
  }

  #untilOk(draft: Plan, alarm: Evaluated): number | null {
    const most = this.#windowMs(BEYOND) + BEYOND * this.#cadenceMs;
    for (let ms = 2 * (this.#periodMs + this.#cadenceMs); ; ms *= 2) {
      const round = this.#round({ ...draft, warmUp: this.#ticks(ms) });
      const { latest } = firstAt(forecastOf(alarm, round, SILENCE), 'OK', round.startedAt);
      if (latest !== null) return latest - round.startedAt;
      if (ms > most) return null;
    }
  }

  /** As long as the alarm is given, or takes within reason: what is late is to be seen as late, not as never. */
  #drift(warm: Plan): number {
    const { within } = this.#drill.value.intended;
    const patience = PATIENCE * within;
    // The weakest is the last to come to ALARM.
    const weakest = this.#firing(warm)[0];
    let longest = within;
    if (weakest !== undefined) {
      const horizon = Math.min(patience, Math.max(within, this.#windowMs(BEYOND) + this.#cadenceMs));
      const round = this.#round({ ...warm, drift: this.#ticks(horizon) });
      const { onset } = phasesOf(round);
      const { earliest, latest } = firstAt(forecastOf(this.#alarm, round, weakest), 'ALARM', onset);
      if (latest !== null) longest = Math.max(within, Math.min(latest - onset + this.#blurMs(), patience));
      else if (earliest !== null) longest = Math.max(within, horizon);
    }
    return this.#ticks(longest + 2 * this.#intervalMs);
  }

  /** Until the alarm is OK again, within reason. */
  #recovery(drifted: Plan): number {
    const patience = Math.max(PATIENCE * this.#drill.value.intended.within, this.#periodMs);
    const strongest = this.#firing(drifted).at(-1);
    let longest = this.#periodMs;
    if (strongest !== undefined) {
      const horizon = Math.min(patience, this.#windowMs(BEYOND) + this.#cadenceMs);
      const round = this.#round({ ...drifted, recovery: this.#ticks(horizon) });
      const { driftEnd } = phasesOf(round);
      const { latest } = firstAt(forecastOf(this.#alarm, round, strongest), 'OK', driftEnd);
      longest = Math.max(this.#periodMs, latest === null ? horizon : latest - driftEnd + this.#blurMs());
    }
    return this.#ticks(longest + 2 * this.#intervalMs);
  }

  /**
   * How much longer a change may take to show than is forecast: how CloudWatch reads a percentile between two samples is
   * not documented, and a period that straddles the change has both.
   */
  #blurMs(): number {
    const percentile = percentileOf(this.#driver.driven.statistic) !== undefined;
    return percentile && this.#ticksPerPeriod > 1 ? this.#periodMs : 0;
  }

  /** Until the alarm whose metric is silent has come to the state that it stays in, within reason. */
  #settleMs(recovered: Plan): number {
    const patience = Math.max(PATIENCE * this.#drill.value.intended.within, LONGEST_SILENCE_MS);
    const needed = Math.min(silenceMs(this.#alarm, recovered), patience) + 2 * this.#intervalMs;
    const { onset, recoveryEnd } = phasesOf(this.#round(recovered));
    return Math.max(2 * this.#intervalMs, needed - (recoveryEnd - onset));
  }

  /** Rungs that the alarm as it is configured is to fire at, the weakest first. */
  #firing({ rungs }: Plan): Rung[] {
    const upwards = firesUpwards(this.#alarm);
    return rungs
      .filter(({ value }) => value !== null && breaches(value, this.#alarm))
      .toSorted((a, b) => (upwards ? a.value! - b.value! : b.value! - a.value!));
  }

  #windowMs(beyond: number): number {
    return (this.#alarm.evaluationPeriods + beyond) * this.#periodMs;
  }

  #ticks(ms: number): number {
    return Math.max(1, Math.ceil(ms / this.#cadenceMs));
  }

  #round(plan: Plan): Pick<Round, 'startedAt' | 'plan'> {
    return { startedAt: startOf(plan, 0), plan };
  }

  #undrivable(value: number): GateInputError {
    const { name, math } = this.#alarm;
    return new GateInputError(
      `alarm ${name} cannot be driven to ${formatNumber(value)} through ${this.#driver.through}`,
      {
        help: math
          ? `Set drive to the query that drifts (${lineAt(this.#drill, ['drive'])}), and hold to usual values of the others.`
          : 'Drill it with mode: traffic, or watch a statistic whose values samples can be chosen for.',
      },
    );
  }

  #tooLong(plan: Plan): GateInputError {
    const { within } = this.#drill.value.intended;
    const { name, evaluationPeriods: n, periodS } = this.#alarm;
    const ticks = ticksOf(plan);
    const cadence = `one every ${formatDuration(plan.cadenceMs)} (${this.#every.known})`;
    const round = `a round of the drill of ${name} takes ${formatNumber(ticks)} data points, ${cadence}, and at most ${MOST_TICKS} are published`;
    const longest = within >= n * this.#periodMs;
    return new GateInputError(
      longest
        ? `${round}: intended.within is ${formatDuration(within)} (${lineAt(this.#drill, ['intended', 'within'])})`
        : `${round}: the alarm evaluates ${n} data points of ${periodS} s`,
      {
        help: longest
          ? 'Shorten intended.within to the time in which somebody must know, or say in intended.every that the metric is emitted less often.'
          : 'Let the alarm evaluate fewer data points, or drill its configuration alone (--proof).',
      },
    );
  }
}

/** The largest whole number that divides a period of so many seconds, and is at most `most`; at least 1. */
function divisorOf(periodS: number, most: number): number {
  for (let divisor = Math.floor(Math.min(most, periodS)); divisor > 1; divisor--) {
    if (periodS % divisor === 0) return divisor;
  }
  return 1;
}

// ---------------------------------------------------------------------------------------------------------
// What rounds have shown
// ---------------------------------------------------------------------------------------------------------

/** When the phases of a round begin and end, milliseconds since 1970. */
export interface Phases {
  /** The first tick that drifts, or would have. */
  onset: number;
  /** The first tick that is healthy again, or would be. */
  driftEnd: number;
  /** When the tick after the last one would be. */
  recoveryEnd: number;
  /** The end of the settling. */
  endsAt: number;
}

export function phasesOf({ startedAt, plan }: Pick<Round, 'startedAt' | 'plan'>): Phases {
  const at = (ticks: number) => startedAt + ticks * plan.cadenceMs;
  const recoveryEnd = at(ticksOf(plan));
  return {
    onset: at(plan.warmUp),
    driftEnd: at(plan.warmUp + plan.drift),
    recoveryEnd,
    endsAt: recoveryEnd + plan.settleMs,
  };
}

/** What one rung has shown. */
export interface Observation {
  round: Round;
  rung: Rung;
  result: RungResult;
  phases: Phases;
  /** Why it shows nothing, in words; null: it does. */
  flaw: string | null;
  /** State when the drift began, and when it was over. */
  before: AlarmState;
  after: AlarmState;
  /** Whether it came to ALARM in the drift, or stayed there throughout. */
  loud: boolean;
  /** From the first data point that drifts to ALARM, milliseconds; null: it came to no ALARM while it drifted. */
  afterMs: number | null;
}

/** What the rungs of a round have shown, in the order of the plan; a rung without a result shows nothing. */
export function observationsOf(round: Round): Observation[] {
  const { plan, results, lateTicks } = round;
  const phases = phasesOf(round);
  const late =
    lateTicks > LATE * ticksOf(plan)
      ? `${lateTicks} of ${ticksOf(plan)} data points were published too late`
      : null;
  return plan.rungs.map((rung) => {
    const result = results.find(({ id }) => id === rung.id) ?? {
      id: rung.id,
      alarm: '',
      transitions: [],
      receipts: [],
      samples: { published: 0, seen: 0 },
      failedActions: [],
    };
    const { published, seen } = result.samples;
    const missing =
      result.alarm === ''
        ? 'nothing was seen of it'
        : seen === published
          ? null
          : `${published} data points were published, and CloudWatch has ${seen}`;
    const { onset, driftEnd } = phases;
    const fired = result.transitions
      .filter(({ at, to }) => to === 'ALARM' && at >= onset && at <= driftEnd)
      .map(({ at }) => at - onset);
    const [before, after] = [stateAt(result.transitions, onset), stateAt(result.transitions, driftEnd)];
    return {
      round,
      rung,
      result,
      phases,
      flaw: late ?? missing,
      before,
      after,
      loud: fired.length > 0 || after === 'ALARM',
      afterMs: fired.length === 0 ? null : Math.min(...fired),
    };
  });
}

/** The state at some time, by the changes of it. */
export function stateAt(transitions: readonly Transition[], at: number): AlarmState {
  const sorted = transitions.toSorted((a, b) => a.at - b.at);
  return sorted.findLast((transition) => transition.at <= at)?.to ?? sorted[0]?.from ?? 'INSUFFICIENT_DATA';
}

/**
 * Between which times the intended threshold the alarm begins to fire: the loudest rung that was quiet, and the quietest
 * that was loud; null where there was none. The quiet one is the larger where the rungs contradict each other.
 */
export function bracketOf(rounds: readonly Round[]): { quiet: number | null; loud: number | null } {
  const shown = rounds
    .flatMap(observationsOf)
    .filter(({ flaw, rung }) => flaw === null && rung.times !== null)
    .map(({ rung, loud }) => ({ times: rung.times!, loud }));
  const [quiet, loud] = [false, true].map((wanted) =>
    shown.filter((one) => one.loud === wanted).map(({ times }) => times),
  ) as [number[], number[]];
  return {
    quiet: quiet.length === 0 ? null : Math.max(...quiet),
    loud: loud.length === 0 ? null : Math.min(...loud),
  };
}

/** Rungs that narrow the bracket, ascending; none where it is narrow, where nothing is known or all is contradictory. */
function furtherTimes(alarm: MetricAlarm, drill: LocatedDrill, rounds: readonly Round[]): number[] {
  const { quiet, loud } = bracketOf(rounds);
  if (quiet === null && loud === null) return [];
  const [low, high] = [quiet ?? 0, loud ?? Number.POSITIVE_INFINITY];
  if (low >= high || high / low <= NARROW) return [];
  const inside = (times: readonly number[]) => {
    const rounded = times.map((candidate) => Number(candidate.toPrecision(DIGITS)));
    const possible = rounded.filter(
      (candidate) => candidate > low && candidate < high && isInRange(drill, valueAt(drill, candidate)),
    );
    return [...new Set(possible)].toSorted((a, b) => a - b);
  };

  const around = inside(aroundConfigured(alarm, drill));
  if (quiet !== null && loud !== null) return around.length > 0 ? around : inside(between(quiet, loud));
  // No times of the intended threshold come to a configured one behind zero.
  const reachable = firesUpwards(alarm) !== isUpwards(drill) || configuredTimes(alarm, drill) !== null;
  if (!reachable || isMatterOfTime(alarm, rounds)) return [];
  const ends = endsOf(drill);
  const outside =
    quiet === null
      ? [...FURTHER.map((factor) => loud! / factor), timesOf(drill, ends.quiet)]
      : [...FURTHER.map((factor) => quiet * factor), timesOf(drill, ends.loud)];
  return inside([...around, ...outside.filter((candidate) => candidate > 0 && Number.isFinite(candidate))]);
}

/** How many times the intended threshold an alarm has; null where it fires the other way, or none come to it. */
export function configuredTimes(alarm: MetricAlarm, drill: LocatedDrill): number | null {
  if (firesUpwards(alarm) !== isUpwards(drill)) return null;
  const times = timesOf(drill, alarm.threshold);
  return times > 0 && Number.isFinite(times) ? times : null;
}

/** Just under what is configured, and just over it, in times of the intended threshold; none where none come to it. */
export function aroundConfigured(alarm: MetricAlarm, drill: LocatedDrill): number[] {
  const times = configuredTimes(alarm, drill);
  return times === null
    ? []
    : [JUST_UNDER, JUST_OVER].map((factor) => Number((factor * times).toPrecision(DIGITS)));
}

/** Steps that divide a bracket evenly, by ratio. */
function between(quiet: number, loud: number): number[] {
  const steps = Math.min(Math.ceil(Math.log(loud / quiet) / Math.log(STEP)), MOST_RUNGS + 1);
  return Array.from({ length: steps - 1 }, (_, index) => quiet * (loud / quiet) ** ((index + 1) / steps));
}

/**
 * Whether an alarm was quiet beyond its own threshold, or loud before it, as it was bound to be: it takes too long, or
 * its data is too sparse, and no other value would help.
 */
function isMatterOfTime(alarm: MetricAlarm, rounds: readonly Round[]): boolean {
  return rounds.some((round) =>
    observationsOf(round).some(({ rung, flaw, loud, phases }) => {
      if (flaw !== null || rung.value === null || breaches(rung.value, alarm) === loud) return false;
      const foreseen = forecastOf(alarm, round, rung);
      const { onset, driftEnd } = phases;
      const { earliest, latest } = firstAt(foreseen, 'ALARM', onset);
      return loud ? latest !== null && latest <= driftEnd : earliest === null || earliest > driftEnd;
    }),
  );
}

/**
 * What a round warms up with: the usual value, unless that may be loud itself. Then it is one that was quiet or, where
 * none was, the quietest of the round.
 */
function quietEnough(drill: LocatedDrill, times: readonly number[], rounds: readonly Round[]): number {
  const usual = healthyOf(drill);
  const { quiet } = bracketOf(rounds);
  const known = quiet ?? times[0]!;
  return timesOf(drill, usual) <= known ? usual : valueAt(drill, known);
}
