import { type AlarmState, type MetricAlarm, type StatisticQuery, sameMetric } from './alarm.ts';
import { driverOf, type Samples } from './driving.ts';
import { endsOf, healthyOf, isUpwards, JUST_OVER, JUST_UNDER, valueAt } from './intended.ts';
import type { Proof } from './reach-proof.ts';
import type { Sample } from './series.ts';
import { evaluationMs, type Forecast, firstAt, forecast } from './simulate.ts';

/*
 * Alarms on trial: simulated with samples at the real cadence, just under the intended threshold, just over it, and
 * without any.
 */

/** Ticks of a period: more of them change nothing. */
const MOST_TICKS = 60;

/** Periods that one simulation may look at, in all of its evaluations: more would take seconds. */
const MOST_SLOTS = 500_000;

/** Up to so many a simulation is short, and can be repeated for many alarms. */
const FEW_SLOTS = 50_000;

const MINUTE = 60_000;

/** How silence ends. */
export interface Silence {
  /** The last state, one for each reading of what is not documented. */
  states: AlarmState[];
  /** When the last of them is reached, milliseconds after the last sample. */
  after: number;
}

/** When an alarm fires, milliseconds after the first sample beyond the threshold. */
interface Loud {
  /** In the most favourable reading of what is not documented; null: in no reading. */
  earliest: number | null;
  /** In the least favourable one; null: in some reading never. */
  latest: number | null;
  /** Whether it leaves ALARM though nothing got better. */
  flaps: boolean;
  /** What the state depends on, where readings disagree. */
  undocumented: string | null;
}

/** Which moments between two evaluations samples may come at: the first alone is a quick look. */
type Phases = 'first' | 'all';

/** What alarms do that differ from one in settings that say nothing of its metrics. */
export class Trials {
  /** Milliseconds between samples. */
  readonly every: number;
  readonly #proof: Proof;
  readonly #levels = new Map<number, Levels>();

  constructor(proof: Proof, { periodS }: MetricAlarm, driven: StatisticQuery) {
    const { every, metric } = proof.intended;
    // How often another metric than the intended one comes says nothing.
    const seen =
      metric === undefined || sameMetric(metric, driven.metric)
        ? proof.facts.metrics[driven.id]?.every
        : undefined;
    this.every = every ?? seen ?? periodS * 1000;
    this.#proof = proof;
  }

  /**
   * Why an alarm cannot be simulated; null where it can be.
   *
   * @throws GateInputError where its metric math cannot be
   */
  obstacle(alarm: MetricAlarm): string | null {
    const { healthy, under, over } = this.#levelsOf(alarm);
    if (!healthy || !under || !over) return 'no samples make it see the intended values';
    if (this.#slots(alarm) > MOST_SLOTS) {
      return `its window of ${alarm.evaluationPeriods} periods is too long to be simulated`;
    }
    this.#run(alarm, 0, () => healthy, { from: -MINUTE, to: 0 });
    return null;
  }

  /** Whether an alarm can be tried along with many others. */
  isQuick(alarm: MetricAlarm): boolean {
    return this.#slots(alarm) <= FEW_SLOTS;
  }

  /** Whether an alarm stays OK just under the threshold; else a state that it comes to, and whether in all readings. */
  quiet(alarm: MetricAlarm, phases: Phases = 'all'): 'OK' | { state: AlarmState; certain: boolean } {
    const { under } = this.#levelsOf(alarm);
    const strays = this.#phases(alarm, phases).flatMap((phase) => {
      const { courses } = this.#run(alarm, phase, () => under, {
        from: phase,
        to: phase + this.#pattern(alarm),
      });
      const states = courses.flatMap((course) => course.find((state) => state !== 'OK') ?? []);
      return states.length === 0 ? [] : { state: states[0]!, certain: states.length === courses.length };
    });
    return strays.find(({ certain }) => certain) ?? strays[0] ?? 'OK';
  }

  /** When an alarm fires just over the threshold, at the worst moment between two evaluations. */
  loud(alarm: MetricAlarm, phases: Phases = 'all'): Loud {
    const { healthy, over } = this.#levelsOf(alarm);
    const seen = this.#phases(alarm, phases).map((phase) => {
      const ahead = this.#run(alarm, phase, (at) => (at < phase ? healthy : over), {
        from: phase,
        to: phase + this.#span(alarm),
        initial: 'OK',
      });
      const { earliest, latest } = firstAt(ahead, 'ALARM', phase);
      return {
        earliest: earliest === null ? Number.POSITIVE_INFINITY : earliest - phase,
        latest: latest === null ? Number.POSITIVE_INFINITY : latest - phase,
        flaps: ahead.courses.every(falls),
        undocumented: ahead.undocumented,
      };
    });
    const worst = (of: 'earliest' | 'latest') => {
      const at = Math.max(...seen.map((one) => one[of]));
      return Number.isFinite(at) ? at : null;
    };
    return {
      earliest: worst('earliest'),
      latest: worst('latest'),
      flaps: seen.every(({ flaps }) => flaps),
      undocumented: seen.find(({ undocumented }) => undocumented !== null)?.undocumented ?? null,
    };
  }

  /** What an alarm does once a healthy metric falls silent. */
  silent(alarm: MetricAlarm): Silence {
    const { healthy } = this.#levelsOf(alarm);
    const { courses, evaluations } = this.#run(alarm, 0, (at) => (at <= 0 ? healthy : null), {
      from: 0,
      to: this.#span(alarm),
      initial: 'OK',
    });
    const ends = courses.map((states) => {
      const state = states.at(-1)!;
      const before = states.findLastIndex((other) => other !== state);
      return { state, after: before < 0 ? 0 : evaluations[before + 1]!.at };
    });
    return {
      states: [...new Set(ends.map(({ state }) => state))],
      after: Math.max(...ends.map(({ after }) => after)),
    };
  }

  /** The series around time 0, one sample a tick of what `level` gives for its time; null: nothing. */
  #run(
    alarm: MetricAlarm,
    phase: number,
    level: (at: number) => Samples | null,
    options: { from: number; to: number; initial?: AlarmState },
  ): Forecast {
    const tick = this.#tick(alarm);
    const before = (alarm.evaluationPeriods + 5) * alarm.periodS * 1000 + tick;
    const series: Record<string, Sample[]> = {};
    for (
      let at = phase + Math.floor((options.from - before - phase) / tick) * tick;
      at <= options.to;
      at += tick
    ) {
      for (const [id, sample] of Object.entries(level(at) ?? {})) {
        const { unit } = alarm.queries.find((query) => query.id === id) as StatisticQuery;
        series[id] ??= [];
        series[id].push({ at, ...sample, ...(unit !== undefined && { unit }) });
      }
    }
    return forecast(withoutLowSamples(alarm), series, options);
  }

  /** Of alarms with this one's period: nothing else of what may differ says what to sample. */
  #levelsOf(alarm: MetricAlarm): Levels {
    let levels = this.#levels.get(alarm.periodS);
    if (!levels) {
      const { drill, facts } = this.#proof;
      const driver = driverOf(withoutLowSamples(alarm), drill, facts, this.#ticks(alarm));
      const { quiet, loud } = endsOf(drill);
      const [low, high] = isUpwards(drill) ? [quiet, loud] : [loud, quiet];
      const sampled = (value: number) => driver.samplesOf(Math.min(Math.max(value, low), high));
      levels = {
        healthy: sampled(healthyOf(drill)),
        under: sampled(valueAt(drill, JUST_UNDER)),
        over: sampled(valueAt(drill, JUST_OVER)),
      };
      this.#levels.set(alarm.periodS, levels);
    }
    return levels;
  }

  #phases(alarm: MetricAlarm, phases: Phases): number[] {
    const step = evaluationMs(alarm);
    // In long windows a part of a minute decides nothing.
    return phases === 'first' || !this.isQuick(alarm) ? [0] : [0, step / 2, step - 1];
  }

  /** How many ticks a period has, at least 1. */
  #ticks({ periodS }: MetricAlarm): number {
    return Math.min(Math.max(Math.round((periodS * 1000) / this.every), 1), MOST_TICKS);
  }

  /**
   * Milliseconds between samples. Where a period has several their number has to be whole, else sums would go up and
   * down though nothing changed.
   */
  #tick(alarm: MetricAlarm): number {
    const ticks = this.#ticks(alarm);
    return ticks === 1 ? this.every : (alarm.periodS * 1000) / ticks;
  }

  /** After how long evaluations find samples in the same places again; bounded for cadences that never quite do. */
  #pattern(alarm: MetricAlarm): number {
    const [step, tick] = [evaluationMs(alarm), this.#tick(alarm)];
    const ticks = step / divisor(step, Math.round(tick));
    return Math.min(ticks, MOST_TICKS) * tick + step;
  }

  /** After how long an alarm does nothing new: everything that it reads is as the last change left it. */
  #span(alarm: MetricAlarm): number {
    return (alarm.evaluationPeriods + 5) * alarm.periodS * 1000 + 2 * this.every + this.#pattern(alarm);
  }

  #slots(alarm: MetricAlarm): number {
    return (this.#span(alarm) / evaluationMs(alarm)) * (alarm.evaluationPeriods + 3);
  }
}

/** Samples of one tick; null where none make the alarm see the value. */
interface Levels {
  healthy: Samples | null;
  under: Samples | null;
  over: Samples | null;
}

function falls(states: readonly AlarmState[]): boolean {
  const fired = states.indexOf('ALARM');
  return fired >= 0 && states.slice(fired).some((state) => state !== 'ALARM');
}

/** Whether a percentile has enough samples is another check. */
function withoutLowSamples({ lowSamples: _, ...alarm }: MetricAlarm): MetricAlarm {
  return alarm;
}

function divisor(a: number, b: number): number {
  return b === 0 ? a : divisor(b, a % b);
}
