import { GateInputError } from '../shared/errors.ts';
import { formatDuration } from '../shared/format.ts';
import { type AlarmState, type MetricAlarm, MISSING_DATA, type StatisticQuery } from './alarm.ts';
import { type Driver, driverOf, endsOf, isUpwards, valueAt } from './driving.ts';
import { howToSet, listed, type Proof, type Setting, windowText } from './reach-proof.ts';
import type { Sample, Series } from './series.ts';
import { type Forecast, firstAt, forecast } from './simulate.ts';

/*
 * What an alarm does over time, by simulation: it has to stay OK just under the intended threshold, to fire in time just
 * over it, and to notice silence. Samples come at the real cadence, whole alarms are held against time, never one
 * setting: which setting is to blame is found by mending one at a time.
 */

/** When an alarm fires just over the intended threshold, milliseconds after the first such sample. */
export interface Delay {
  earliest: number;
  latest: number;
}

/** How silence ends: states, over all readings of what is not documented, and when the last of them is reached. */
interface Silence {
  states: AlarmState[];
  after: number;
}

/** What was proved of an alarm over time. */
export interface Timing {
  /** Null where it does not fire in every reading. */
  delay: Delay | null;
  silence: Silence | null;
}

/** Just under the intended threshold, and just over it, in times. */
const UNDER = 0.95;
const OVER = 1.05;

/** Ticks of a period: more of them change nothing. */
const MOST_TICKS = 60;

/** Slots that one simulation may look at: more would take seconds. */
const MOST_SLOTS = 500_000;

/** Slots up to which all phases are tried: in longer windows a part of a minute decides nothing. */
const ALL_PHASES = 50_000;

const MINUTE = 60_000;

/**
 * Proves when an alarm fires and what silence does to it.
 *
 * @param alarm with threshold and statistic as intended
 */
export function proveTiming(proof: Proof, alarm: MetricAlarm, driven: StatisticQuery): Timing {
  const subject = `alarm ${alarm.name}`;
  const trials = trialsOf(proof, alarm, driven);
  if (typeof trials === 'string') {
    proof.add({
      check: 'timing',
      subject,
      outcome: 'inconclusive',
      message: `What alarm ${alarm.name} does over time cannot be foretold: ${trials}.`,
      allowed: `ALARM within ${formatDuration(proof.intended.within)}`,
      observed: 'not known',
      help: 'Let the drill measure it, or set drive and hold of metric math.',
    });
    return { delay: null, silence: null };
  }
  const silence = proveSilence(proof, alarm, trials);
  if (!proveQuiet(proof, alarm, trials)) {
    proof.skip(subject, 'timing', 'the alarm does not stay OK while the metric is healthy');
    return { delay: null, silence };
  }
  return { delay: proveLoud(proof, alarm, trials), silence };
}

/** A state that an alarm shall have once nothing is emitted any more. */
export function isAsSilent(wanted: AlarmState | 'not OK', state: AlarmState): boolean {
  return wanted === 'not OK' ? state !== 'OK' : state === wanted;
}

// ---------------------------------------------------------------------------------------------------------
// Trials
// ---------------------------------------------------------------------------------------------------------

/** What alarms do, changed in one setting or not; milliseconds count from the first sample that is different. */
interface Trials {
  every: number;
  /** Whether it stays OK just under the threshold; else the state that it comes to. */
  quiet(alarm: MetricAlarm, phases?: 'all' | 'first'): { certain: boolean; state: AlarmState } | 'OK';
  /** When it fires: null never, or in some readings never. */
  loud(
    alarm: MetricAlarm,
    phases?: 'all' | 'first',
  ): { earliest: number | null; latest: number | null; flaps: boolean; why: string | null };
  silent(alarm: MetricAlarm): Silence;
}

/** Null values: nothing is sampled any more. */
type Course = (at: number) => Record<string, { value: number; count: number }> | null;

/** Why there are none, in words, or the trials. */
function trialsOf(proof: Proof, alarm: MetricAlarm, driven: StatisticQuery): Trials | string {
  const { facts, drill, intended } = proof;
  const watched =
    intended.metric === undefined ||
    proof.findings.every(({ check, outcome }) => check !== 'metric' || outcome === 'pass');
  const seen = watched ? facts.metrics[driven.id]?.every : undefined;
  const every = intended.every ?? seen ?? alarm.periodS * 1000;

  const levels = (changed: MetricAlarm) => {
    const driver = driverOf(withoutLowSamples(changed), drill, facts, ticksOf(changed, every));
    return { under: sampled(proof, driver, UNDER), over: sampled(proof, driver, OVER) };
  };
  try {
    const { under, over } = levels(alarm);
    if (!under || !over) return 'nothing that could be published makes it see the intended values';
    if (slotsOf(alarm, spanOf(alarm, every)) > MOST_SLOTS) {
      return `its window of ${alarm.evaluationPeriods} periods is too long to be simulated`;
    }
    run(alarm, every, 0, () => under, { from: -MINUTE, to: 0, initial: 'OK' });
  } catch (error) {
    if (error instanceof GateInputError) return error.message;
    throw error;
  }

  const phasesOf = (changed: MetricAlarm, phases: 'all' | 'first') => {
    const step = stepOf(changed);
    const long = slotsOf(changed, spanOf(changed, every)) > ALL_PHASES;
    return phases === 'first' || long ? [0] : [0, step / 2, step - 1];
  };

  return {
    every,
    quiet(changed, phases = 'all') {
      const { under } = levels(changed);
      const bad: { certain: boolean; state: AlarmState }[] = phasesOf(changed, phases).flatMap((phase) => {
        const { courses } = run(changed, every, phase, () => under, {
          from: phase,
          to: phase + patternOf(changed, every),
        });
        const strays = courses.flatMap((states) => states.find((state) => state !== 'OK') ?? []);
        return strays.length === 0 ? [] : [{ certain: strays.length === courses.length, state: strays[0]! }];
      });
      return bad.find(({ certain }) => certain) ?? bad[0] ?? 'OK';
    },
    loud(changed, phases = 'all') {
      const { under, over } = levels(changed);
      const seen = phasesOf(changed, phases).map((phase) => {
        const ahead = run(changed, every, phase, (at) => (at < phase ? under : over), {
          from: phase,
          to: phase + spanOf(changed, every),
          initial: 'OK',
        });
        const { earliest, latest } = firstAt(ahead, 'ALARM', phase);
        return {
          earliest: earliest === null ? null : earliest - phase,
          latest: latest === null ? null : latest - phase,
          flaps: ahead.courses.every(
            (states) => states.includes('ALARM') && states.at(-1) !== undefined && falls(states),
          ),
          why: ahead.undocumented,
        };
      });
      const least = seen.map(({ earliest }) => earliest).filter((at) => at !== null);
      const most = seen.map(({ latest }) => latest).filter((at) => at !== null);
      return {
        // The most favourable reading of the least favourable phase: what is late then is late for certain.
        earliest: least.length < seen.length ? null : Math.max(...least),
        latest: most.length < seen.length ? null : Math.max(...most),
        flaps: seen.every(({ flaps }) => flaps),
        why: seen.find(({ why }) => why !== null)?.why ?? null,
      };
    },
    silent(changed) {
      const { under } = levels(changed);
      const ahead = run(changed, every, 0, (at) => (at < 0 ? under : null), {
        from: 0,
        to: spanOf(changed, every),
        initial: 'OK',
      });
      const ends = ahead.courses.map((states) => {
        const end = states.at(-1)!;
        const before = states.findLastIndex((state) => state !== end);
        return { end, after: tickOf(changed, every) + (before < 0 ? 0 : ahead.evaluations[before + 1]!.at) };
      });
      return {
        states: [...new Set(ends.map(({ end }) => end))],
        after: Math.max(...ends.map(({ after }) => after)),
      };
    },
  };
}

/** Whether an alarm leaves ALARM while nothing got better. */
function falls(states: readonly AlarmState[]): boolean {
  const first = states.indexOf('ALARM');
  return states.slice(first).some((state) => state !== 'ALARM');
}

/** Whether a percentile has enough samples is another check. */
function withoutLowSamples({ lowSamples: _, ...alarm }: MetricAlarm): MetricAlarm {
  return alarm;
}

/** What to sample for so many times the threshold, or for the end of the range where that is nearer. */
function sampled({ drill }: Proof, driver: Driver, times: number): ReturnType<Driver['samplesOf']> {
  const value = valueAt(drill, times);
  const { quiet, loud } = endsOf(drill);
  const [low, high] = isUpwards(drill) ? [quiet, loud] : [loud, quiet];
  return driver.samplesOf(Math.min(Math.max(value, low), high));
}

function run(
  alarm: MetricAlarm,
  every: number,
  phase: number,
  course: Course,
  options: { from: number; to: number; initial?: AlarmState },
): Forecast {
  const periodMs = alarm.periodS * 1000;
  const tick = tickOf(alarm, every);
  const before = (alarm.evaluationPeriods + 5) * periodMs + tick;
  const series: Record<string, Sample[]> = Object.fromEntries(
    alarm.queries.flatMap((query) => ('metric' in query ? [[query.id, []]] : [])),
  );
  const first = Math.floor((options.from - before - phase) / tick);
  for (let at = phase + first * tick; at <= options.to; at += tick) {
    for (const [id, sample] of Object.entries(course(at) ?? {})) {
      const { unit } = alarm.queries.find((query) => query.id === id) as StatisticQuery;
      series[id]?.push({ at, ...sample, ...(unit !== undefined && { unit }) });
    }
  }
  return forecast(withoutLowSamples(alarm), series satisfies Series, options);
}

/** How many ticks a period has, at least 1. */
function ticksOf({ periodS }: MetricAlarm, every: number): number {
  return Math.min(Math.max(Math.round((periodS * 1000) / every), 1), MOST_TICKS);
}

/**
 * Milliseconds between samples. Where a period has several their number has to be whole, else sums would go up and down
 * though nothing changed.
 */
function tickOf(alarm: MetricAlarm, every: number): number {
  const ticks = ticksOf(alarm, every);
  return ticks === 1 ? every : (alarm.periodS * 1000) / ticks;
}

function stepOf({ periodS }: MetricAlarm): number {
  return periodS < 60 ? 10_000 : MINUTE;
}

/** After how long evaluations see samples in the same places again; bounded for cadences that are nearly random. */
function patternOf(alarm: MetricAlarm, every: number): number {
  const step = stepOf(alarm);
  const tick = tickOf(alarm, every);
  const repeats = step / divisor(step, Math.round(tick));
  return Math.min(repeats, 60) * tick + step;
}

function divisor(a: number, b: number): number {
  return b === 0 ? a : divisor(b, a % b);
}

/** After how long an alarm does nothing new: everything that it reads is as the last change left it. */
function spanOf(alarm: MetricAlarm, every: number): number {
  return (alarm.evaluationPeriods + 5) * alarm.periodS * 1000 + 2 * every + patternOf(alarm, every);
}

function slotsOf(alarm: MetricAlarm, span: number): number {
  return (span / stepOf(alarm)) * (alarm.evaluationPeriods + 3);
}

// ---------------------------------------------------------------------------------------------------------
// Findings
// ---------------------------------------------------------------------------------------------------------

function proveQuiet(proof: Proof, alarm: MetricAlarm, trials: Trials): boolean {
  const path = ['intended', 'fires'];
  const stays = trials.quiet(alarm);
  const common = { check: 'quiet', subject: `alarm ${alarm.name}`, allowed: 'OK', path };
  if (stays === 'OK') {
    proof.add({
      ...common,
      outcome: 'pass',
      message: `Alarm ${alarm.name} stays OK just under the intended threshold (simulated, ${proof.at(path)}).`,
      observed: 'OK',
    });
    return true;
  }
  const { certain, state } = stays;
  const mends = certain ? mendsOf(proof, alarm, trials) : [];
  const goes = state === 'ALARM' ? 'rings' : `goes to ${state}`;
  proof.add({
    ...common,
    outcome: certain ? 'fail' : 'inconclusive',
    message: certain
      ? `Alarm ${alarm.name} ${goes} while the metric is healthy${because(mends[0], alarm, trials.every)}.`
      : `Alarm ${alarm.name} may go to ${state} while the metric is healthy, as samples come every ${formatDuration(trials.every)} and not all periods of ${formatDuration(alarm.periodS * 1000)} have one: how CloudWatch reads that is not documented.`,
    observed: state,
    help: certain ? mendText(alarm, mends) : toSuitCadence(alarm, trials.every),
  });
  return false;
}

function proveLoud(proof: Proof, alarm: MetricAlarm, trials: Trials): Delay | null {
  const path = ['intended', 'within'];
  const { within } = proof.intended;
  const { earliest, latest, flaps, why } = trials.loud(alarm);
  const subject = `alarm ${alarm.name}`;
  const wanted = `within ${formatDuration(within)} (${proof.at(path)})`;
  const common = {
    check: 'timing',
    subject,
    allowed: `ALARM within ${formatDuration(within)}`,
    limit: within,
    path,
  };

  if (earliest !== null && latest !== null && latest <= within) {
    proof.add({
      ...common,
      outcome: 'pass',
      message: `Alarm ${alarm.name} fires ${formatDuration(latest)} after the metric crosses the intended threshold, at the latest, intended is ${wanted}: ${windowText(alarm)}, simulated.`,
      observed: `at most ${formatDuration(latest)}`,
      value: latest,
    });
    if (flaps) warnOfFlapping(proof, alarm, trials.every);
    return { earliest, latest };
  }
  const late = earliest === null || earliest > within;
  if (!late) {
    proof.add({
      ...common,
      outcome: 'inconclusive',
      message: `Whether alarm ${alarm.name} fires ${wanted} ${why ?? 'depends on undocumented behaviour'}.`,
      observed: latest === null ? 'maybe never' : `${formatDuration(earliest)} to ${formatDuration(latest)}`,
      help: toSuitCadence(alarm, trials.every),
    });
    return null;
  }
  const mends = mendsOf(proof, alarm, trials);
  const never = earliest === null;
  proof.add({
    ...common,
    outcome: 'fail',
    message: never
      ? `Alarm ${alarm.name} never fires just over the intended threshold, intended is ${wanted}${because(mends[0], alarm, trials.every)}.`
      : `Alarm ${alarm.name} fires ${formatDuration(earliest)} after the metric crosses the intended threshold, intended is ${wanted}${because(mends[0], alarm, trials.every)}.`,
    observed: never ? 'never' : formatDuration(earliest),
    ...(!never && { value: earliest }),
    help: mendText(alarm, mends),
  });
  return null;
}

function warnOfFlapping(proof: Proof, alarm: MetricAlarm, every: number): void {
  proof.add({
    check: 'flapping',
    subject: `alarm ${alarm.name}`,
    outcome: 'warn',
    message: `Alarm ${alarm.name} leaves ALARM again and again while the metric stays beyond the threshold, as samples come every ${formatDuration(every)} and its periods are ${formatDuration(alarm.periodS * 1000)}.`,
    allowed: 'ALARM for as long as it lasts',
    observed: 'on and off',
    help: toSuitCadence(alarm, every),
  });
}

function proveSilence(proof: Proof, alarm: MetricAlarm, trials: Trials): Silence {
  const path = ['intended', 'whenSilent'];
  const { whenSilent } = proof.intended;
  const silence = trials.silent(alarm);
  const { states, after } = silence;
  const right = states.filter((state) => isAsSilent(whenSilent, state));
  const said = `intended is ${whenSilent} (${proof.at(path)})`;
  const [state = 'OK'] = states;
  const comes = state === 'OK' ? 'stays OK' : `goes to ${state} ${formatDuration(after)}`;
  const stops = 'after the last sample of a metric that falls silent';
  const common = {
    check: 'silence',
    subject: `alarm ${alarm.name}`,
    allowed: whenSilent,
    observed: states.join(' or '),
    path,
  };
  if (right.length === states.length) {
    proof.add({
      ...common,
      outcome: 'pass',
      message: `Alarm ${alarm.name} ${comes} ${stops}, ${said}.`,
      value: after,
    });
    return silence;
  }
  const certain = right.length === 0;
  const fitting = MISSING_DATA.map((missingData) => ({ ...alarm, missingData })).filter((changed) =>
    isSilentAsWanted(proof, changed, trials),
  );
  const better = fitting.toReversed().find((changed) => isInTime(proof, changed, trials)) ?? fitting.at(-1);
  const hides = state === 'OK' ? ': a dead emitter looks healthy' : '';
  proof.add({
    ...common,
    outcome: certain ? 'fail' : 'inconclusive',
    message: certain
      ? `Alarm ${alarm.name} ${comes} ${stops}, as it treats missing data as ${alarm.missingData}, ${said}${hides}.`
      : `Alarm ${alarm.name} ends in ${listed(states, 'or')} ${stops}, ${said}: how CloudWatch reads that is not documented.`,
    help: better
      ? howToSet(alarm, { name: 'treatMissingData', value: better.missingData })
      : 'Watch for silence with an alarm of its own: SampleCount < 1, with missing data breaching.',
  });
  return silence;
}

// ---------------------------------------------------------------------------------------------------------
// Mending
// ---------------------------------------------------------------------------------------------------------

/** One setting, changed as little as makes the alarm right. */
interface Mend {
  setting: Setting & { name: 'treatMissingData' | 'datapointsToAlarm' | 'evaluationPeriods' | 'period' };
  /** How far from what it is now: by what factor, as a logarithm. */
  distance: number;
}

const PERIODS = [10, 20, 30, 60, 120, 180, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400];

/** Evaluation periods more, or fewer, that are tried. */
const MOST_PERIODS_MORE = 15;

/** The least change of each setting that mends the alarm by itself, the least of all first. */
function mendsOf(proof: Proof, alarm: MetricAlarm, trials: Trials): Mend[] {
  const { periodS, evaluationPeriods: n, datapointsToAlarm: m, missingData } = alarm;
  const near = (name: 'datapointsToAlarm' | 'evaluationPeriods' | 'period', now: number, values: number[]) =>
    [...new Set(values)]
      .filter((value) => value !== now)
      .map((value): Mend => ({ setting: { name, value }, distance: Math.abs(Math.log(value / now)) }))
      .toSorted((a, b) => a.distance - b.distance);
  const around = (now: number) =>
    Array.from({ length: 2 * MOST_PERIODS_MORE + 1 }, (_, index) => now - MOST_PERIODS_MORE + index);
  const cadence = (MINUTE / 1000) * Math.ceil(trials.every / MINUTE);

  // What is wrong about silence already is another mistake.
  const silent = isSilentAsWanted(proof, alarm, trials);
  const mends = (changed: MetricAlarm) =>
    isInTime(proof, changed, trials) && (!silent || isSilentAsWanted(proof, changed, trials));
  const treatments = MISSING_DATA.filter((value) => value !== missingData).map(
    (value): Mend => ({ setting: { name: 'treatMissingData', value }, distance: 0 }),
  );
  const candidates = [
    treatments,
    near(
      'datapointsToAlarm',
      m,
      around(m).filter((value) => value >= 1 && value <= n),
    ),
    near(
      'evaluationPeriods',
      n,
      around(n).filter((value) => value >= m),
    ),
    // Below a minute an alarm sees only metrics that are stored at that resolution.
    near(
      'period',
      periodS,
      [...PERIODS, cadence].filter((value) => value >= 60 || periodS < 60),
    ),
  ];
  return candidates
    .flatMap((some) => some.find(({ setting }) => mends(changedBy(alarm, setting))) ?? [])
    .toSorted((a, b) => a.distance - b.distance);
}

function changedBy(alarm: MetricAlarm, { name, value }: Mend['setting']): MetricAlarm {
  switch (name) {
    case 'treatMissingData':
      return { ...alarm, missingData: value as MetricAlarm['missingData'] };
    case 'period':
      return { ...alarm, periodS: value };
    default:
      return { ...alarm, [name]: value };
  }
}

/** Whether CloudWatch takes an alarm, and it is quiet and loud in time. */
function isInTime({ intended: { within } }: Proof, alarm: MetricAlarm, trials: Trials): boolean {
  const windowS = alarm.periodS * alarm.evaluationPeriods;
  if (windowS > (alarm.periodS < 3600 ? 86_400 : 604_800)) return false;
  if (slotsOf(alarm, spanOf(alarm, trials.every)) > ALL_PHASES) return false;
  const holds = (phases: 'all' | 'first') =>
    trials.quiet(alarm, phases) === 'OK' &&
    (trials.loud(alarm, phases).latest ?? Number.POSITIVE_INFINITY) <= within;
  // Most that fail do so in the first phase.
  return holds('first') && holds('all');
}

function isSilentAsWanted({ intended }: Proof, alarm: MetricAlarm, trials: Trials): boolean {
  return trials.silent(alarm).states.every((state) => isAsSilent(intended.whenSilent, state));
}

/** Which setting is to blame, in words that end a sentence. */
function because(mend: Mend | undefined, alarm: MetricAlarm, every: number): string {
  const { periodS, evaluationPeriods: n, datapointsToAlarm: m, missingData } = alarm;
  const period = formatDuration(periodS * 1000);
  const comes = `samples come every ${formatDuration(every)}`;
  const gaps = every > periodS * 1000;
  switch (mend?.setting.name) {
    case 'treatMissingData':
      return `: ${comes}, its periods are ${period}, and what is missing between is treated as ${missingData}`;
    case 'datapointsToAlarm':
      return `: ${m} of ${n} data points of ${period} have to breach${gaps ? `, and ${comes}` : ''}`;
    case 'evaluationPeriods':
      return `: it looks at ${n} periods of ${period} only, and ${comes}`;
    case 'period':
      return gaps
        ? `: its periods of ${period} are too short, as ${comes}`
        : `: its period of ${period} is too long`;
    default:
      return `: it wants ${windowText(alarm)}, and ${comes}`;
  }
}

function mendText(alarm: MetricAlarm, mends: readonly Mend[]): string {
  const [first, second] = mends.map(({ setting }) => howToSet(alarm, setting));
  if (!first) {
    return 'No single setting mends it: choose period, evaluation periods and data points to alarm together, emit the metric more often, or allow more time.';
  }
  return second ? `${first} Or: ${second}` : first;
}

function toSuitCadence(alarm: MetricAlarm, every: number): string {
  const seconds = 60 * Math.ceil(every / MINUTE);
  return alarm.periodS >= seconds
    ? 'Let the drill measure it.'
    : howToSet(alarm, { name: 'period', value: seconds });
}
