import { GateInputError } from '../shared/errors.ts';
import { formatDuration, listOf } from '../shared/format.ts';
import {
  type AlarmState,
  longestWindowS,
  type MetricAlarm,
  type MissingData,
  type StatisticQuery,
} from './alarm.ts';
import { howToSet, type Proof, type Setting, windowText } from './reach-proof.ts';
import { type Silence, Trials } from './reach-trials.ts';

/*
 * What an alarm does over time, by simulation: it has to stay OK just under the intended threshold, to fire in time just
 * over it, and to notice silence. Samples come at the real cadence, whole alarms are held against time, never one
 * setting: which setting is to blame is found by mending one at a time.
 */

/** When an alarm fires just over the intended threshold, milliseconds after the first such sample. */
interface Delay {
  earliest: number;
  latest: number;
}

/** What was proved of an alarm over time. */
export interface Timing {
  /** Null where it does not fire in every reading. */
  delay: Delay | null;
  silence: Silence | null;
}

/**
 * Proves when an alarm fires and what silence does to it.
 *
 * @param alarm with threshold and statistic as intended
 */
export function proveTiming(proof: Proof, alarm: MetricAlarm, driven: StatisticQuery): Timing {
  const subject = `alarm ${alarm.name}`;
  const trials = new Trials(proof, alarm, driven);
  const obstacle = obstacleTo(trials, alarm);
  if (obstacle !== null) {
    proof.add({
      check: 'timing',
      subject,
      outcome: 'inconclusive',
      message: `What alarm ${alarm.name} does over time cannot be foretold: ${obstacle}.`,
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

function obstacleTo(trials: Trials, alarm: MetricAlarm): string | null {
  try {
    return trials.obstacle(alarm);
  } catch (error) {
    if (error instanceof GateInputError) return error.message;
    throw error;
  }
}

/** A state that an alarm shall have once nothing is emitted any more. */
export function isAsSilent(wanted: AlarmState | 'not OK', state: AlarmState): boolean {
  return wanted === 'not OK' ? state !== 'OK' : state === wanted;
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
  const { earliest, latest, flaps, undocumented } = trials.loud(alarm);
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
      message: `Whether alarm ${alarm.name} fires ${wanted} ${undocumented ?? 'depends on undocumented behaviour'}.`,
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
  const said = `intended is ${whenSilent === 'not OK' ? 'any state but OK' : whenSilent} (${proof.at(path)})`;
  const [state = 'OK'] = states;
  const comes = state === 'OK' ? 'stays OK after' : `goes to ${state} within ${formatDuration(after)} of`;
  const stops = 'the last sample of a metric that falls silent';
  const common = {
    check: 'missing-data',
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
  const fitting = TREATMENTS.map((missingData) => ({ ...alarm, missingData })).filter((changed) =>
    isSilentAsWanted(proof, changed, trials),
  );
  const better = fitting.find((changed) => isInTime(proof.intended.within, changed, trials)) ?? fitting[0];
  const hides = state === 'OK' ? ': a dead emitter looks healthy' : '';
  proof.add({
    ...common,
    outcome: certain ? 'fail' : 'inconclusive',
    message: certain
      ? `Alarm ${alarm.name} ${comes} ${stops}, as it treats missing data as ${alarm.missingData}, ${said}${hides}.`
      : `Alarm ${alarm.name} ends in ${listOf(states, 'or')} after ${stops}, ${said}: how CloudWatch reads that is not documented.`,
    help: better
      ? howToSet(alarm, { name: 'treatMissingData', value: better.missingData })
      : 'Watch for silence with an alarm of its own: SampleCount < 1, with missing data breaching.',
  });
  return silence;
}

// ---------------------------------------------------------------------------------------------------------
// Mending
// ---------------------------------------------------------------------------------------------------------

/** What is advised first. */
const TREATMENTS: readonly MissingData[] = ['breaching', 'notBreaching', 'missing', 'ignore'];

/** One setting, changed as little as makes the alarm right. */
interface Mend {
  setting: Setting & { name: 'treatMissingData' | 'datapointsToAlarm' | 'evaluationPeriods' | 'period' };
  /** How far from what it is now: by what factor, as a logarithm. */
  distance: number;
}

const PERIODS = [10, 20, 30, 60, 120, 180, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400];

/** What is tried of counts: so many more or fewer, and so many times more or fewer. */
const NEIGHBOURS = 15;
const FACTORS = [1.5, 2, 3, 4, 6, 8, 12];

/** What is mended shall not be late again when CloudWatch is: it gets this share of the time that is allowed. */
const AMPLE = 0.75;

/** The least change of each setting that mends the alarm by itself, the least of all first. */
function mendsOf(proof: Proof, alarm: MetricAlarm, trials: Trials): Mend[] {
  const { within } = proof.intended;
  const ample = mendsWithin(AMPLE * within, proof, alarm, trials);
  return ample.length > 0 ? ample : mendsWithin(within, proof, alarm, trials);
}

function mendsWithin(within: number, proof: Proof, alarm: MetricAlarm, trials: Trials): Mend[] {
  const { periodS, evaluationPeriods: n, datapointsToAlarm: m, missingData } = alarm;
  const near = (name: 'datapointsToAlarm' | 'evaluationPeriods' | 'period', now: number, values: number[]) =>
    [...new Set(values)]
      .filter((value) => value !== now)
      .map((value): Mend => ({ setting: { name, value }, distance: Math.abs(Math.log(value / now)) }))
      .toSorted((a, b) => a.distance - b.distance);
  const around = (now: number) => [
    ...Array.from({ length: 2 * NEIGHBOURS + 1 }, (_, index) => now - NEIGHBOURS + index),
    ...FACTORS.flatMap((factor) => [Math.round(now * factor), Math.round(now / factor)]),
  ];
  const cadence = 60 * Math.ceil(trials.every / 60_000);

  // What is wrong about silence already is another mistake.
  const silent = isSilentAsWanted(proof, alarm, trials);
  const mends = (changed: MetricAlarm) =>
    isInTime(within, changed, trials) && (!silent || isSilentAsWanted(proof, changed, trials));
  const treatments = TREATMENTS.filter((value) => value !== missingData).map(
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
      return { ...alarm, missingData: value as MissingData };
    case 'period':
      return { ...alarm, periodS: value };
    default:
      return { ...alarm, [name]: value };
  }
}

/** Whether CloudWatch takes an alarm, and it is quiet, and loud within so many milliseconds. */
function isInTime(within: number, alarm: MetricAlarm, trials: Trials): boolean {
  if (alarm.periodS * alarm.evaluationPeriods > longestWindowS(alarm)) return false;
  if (!trials.isQuick(alarm)) return false;
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
      return `: its periods are ${period}, ${comes}, and missing data is treated as ${missingData}`;
    case 'datapointsToAlarm':
      return `: ${m} of ${n} data points of ${period} have to breach${gaps ? `, and ${comes}` : ''}`;
    case 'evaluationPeriods':
      return `: it wants ${m} data points within ${n} periods of ${period}, and ${comes}`;
    case 'period':
      return gaps
        ? `: its periods of ${period} are too short, as ${comes}`
        : `: its period of ${period} is too long`;
    default:
      return gaps
        ? `: it wants ${windowText(alarm)}, ${comes}, and missing data is treated as ${missingData}`
        : `: it wants ${windowText(alarm)}, and ${comes}`;
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
  const seconds = 60 * Math.ceil(every / 60_000);
  return alarm.periodS >= seconds
    ? 'Let the drill measure it.'
    : howToSet(alarm, { name: 'period', value: seconds });
}
