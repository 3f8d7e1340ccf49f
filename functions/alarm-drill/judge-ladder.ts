import { capital, clip, countOf, formatDuration, formatNumber, listOf } from '../shared/format.ts';
import { lineAt } from '../shared/schema.ts';
import type { Finding, NotChecked } from '../shared/verdict.ts';
import { type AlarmState, conditionText, type MetricAlarm, thresholdText } from './alarm.ts';
import { expectationAt, healthyOf, isInRange, valueAt } from './intended.ts';
import {
  aroundConfigured,
  bracketOf,
  forecastOf,
  NARROW,
  type Observation,
  observationsOf,
  silenceMs,
  stateAt,
} from './ladder.ts';
import type { Receipt, Round, Rung } from './measurements.ts';
import type { LocatedDrill } from './schema.ts';
import type { Transition } from './series.ts';
import { evaluationMs, firstAt } from './simulate.ts';

/*
 * What the rounds of a ladder amount to.
 */

/** What several judgements of one drill yield together. */
export interface Judged {
  findings: Finding[];
  notChecked: NotChecked[];
}

/** By how much the time of a transition may differ between the history of an alarm and its message. */
const SAME_MOMENT_MS = 5_000;

/**
 * Judges the rounds of the ladder, in whatever order their parts come.
 *
 * Times are judged no finer than a period and an evaluation: windows slide, and straddle the moment in which the data
 * changes.
 */
export function judgeLadder(rounds: readonly Round[], alarm: MetricAlarm, drill: LocatedDrill): Judged {
  const ladder = new Ladder(rounds, alarm, drill);
  ladder.judge();
  return ladder;
}

/** How much later than `within` an alarm may fire before it is late, rather than observed at an unlucky moment. */
export function grainMs(alarm: MetricAlarm): number {
  return alarm.periodS * 1000 + evaluationMs(alarm);
}

/** Whether an alarm has another threshold, another direction or another strictness than intended. */
export function isMisconfigured(alarm: MetricAlarm, { value: { intended } }: LocatedDrill): boolean {
  const { comparison, threshold } = intended.fires;
  const distance = Math.abs(alarm.threshold - threshold);
  return (
    alarm.comparison !== comparison ||
    distance > 1e-9 * Math.max(Math.abs(alarm.threshold), Math.abs(threshold))
  );
}

/** What makes the threshold of an alarm the intended one. */
function thresholdHelp({ value: { intended } }: LocatedDrill): string {
  const { comparison, threshold } = intended.fires;
  return `Set the threshold of the alarm to ${threshold} and its comparison to ${comparison} (--threshold and --comparison-operator of aws cloudwatch put-metric-alarm; threshold and comparisonOperator in the CDK).`;
}

class Ladder implements Judged {
  readonly findings: Finding[] = [];
  readonly notChecked: NotChecked[] = [];
  readonly #alarm: MetricAlarm;
  readonly #drill: LocatedDrill;
  readonly #rounds: readonly Round[];
  /** Of all rounds. */
  readonly #seen: readonly Observation[];
  /** The configured rungs of the first round, quiet to loud, those that show nothing left out. */
  readonly #configured: readonly Observation[];
  readonly #silence: Observation | undefined;
  readonly #misconfigured: boolean;
  readonly #grainMs: number;

  constructor(rounds: readonly Round[], alarm: MetricAlarm, drill: LocatedDrill) {
    this.#alarm = alarm;
    this.#drill = drill;
    this.#rounds = rounds.toSorted((a, b) => a.startedAt - b.startedAt);
    this.#misconfigured = isMisconfigured(alarm, drill);
    this.#grainMs = grainMs(alarm);
    this.#seen = this.#rounds.flatMap((round) => inOrder(observationsOf(round)));
    const first = this.#rounds.slice(0, 1).flatMap((round) => inOrder(observationsOf(round)));
    // What narrows the threshold of a wrong alarm says nothing else: nobody asked for it.
    const { ladder } = drill.value;
    const narrowing = aroundConfigured(alarm, drill).filter((times) => !ladder.includes(times));
    this.#configured = first.filter(
      ({ rung, flaw }) => rung.times !== null && flaw === null && !narrowing.includes(rung.times),
    );
    this.#silence = first.find(({ rung }) => rung.times === null);
  }

  judge(): void {
    this.#listOmitted();
    this.#judgeFlaws();
    this.#judgeThreshold();
    this.#judgeRungs();
    this.#judgeHealthy();
    this.#judgeSilence();
    this.#judgeRecovery();
    this.#judgeForecasts();
    this.#judgeReceipts();
  }

  /** Rungs of tocsin.yaml that no shadow alarm stood on. */
  #listOmitted(): void {
    const [round] = this.#rounds;
    const drilled = new Set(round?.plan.rungs.map(({ times }) => times));
    for (const times of this.#drill.value.ladder.toSorted((a, b) => a - b)) {
      if (drilled.has(times)) continue;
      const value = valueAt(this.#drill, times);
      this.notChecked.push({
        subject: `rung ${times}x`,
        check: 'ladder',
        why: isInRange(this.#drill, value)
          ? `no samples make the alarm see ${formatNumber(value)}`
          : `${formatNumber(value)} is outside of the range of the metric (${lineAt(this.#drill, ['intended', 'range'])})`,
      });
    }
  }

  #judgeFlaws(): void {
    const flawed = this.#seen.filter(({ flaw }) => flaw !== null);
    for (const [flaw, some] of Map.groupBy(flawed, ({ flaw }) => flaw!)) {
      this.#add({
        check: 'samples',
        subject: rungsText(some),
        outcome: 'inconclusive',
        message: `${capital(rungsText(some))} of ${this.#alarm.name} ${some.length === 1 ? 'shows' : 'show'} nothing: ${flaw}.`,
        allowed: 'every data point, once and on time',
        observed: flaw,
        path: ['ladder'],
        help: 'Run the drill again.',
      });
    }
  }

  /** Where the alarm begins to fire. */
  #judgeThreshold(): void {
    const { quiet, loud } = bracketOf(this.#rounds);
    const { name } = this.#alarm;
    const intended = this.#intendedText();
    const at = lineAt(this.#drill, ['intended', 'fires']);
    const finding = { check: 'effective-threshold', subject: name, allowed: intended, path: FIRES };
    const limit = this.#drill.value.intended.fires.threshold;
    const wrong = this.#configured.filter(({ rung, loud: fired }) => fired !== (rung.expects === 'loud'));
    const listed = wrong.length === 0 ? '' : `: ${this.#contradictions(wrong)}`;
    const help = this.#misconfigured
      ? thresholdHelp(this.#drill)
      : `Compare the alarm with what is intended: ${conditionText(this.#alarm)}.`;

    if (quiet === null && loud === null) {
      this.#add({
        ...finding,
        outcome: 'inconclusive',
        message: `Where ${name} begins to fire is not known: no rung shows anything.`,
        observed: 'not known',
        limit,
        help: 'Run the drill again.',
      });
      return;
    }
    if (quiet === null || loud === null) {
      const far = (quiet ?? loud)!;
      const value = valueAt(this.#drill, far);
      const never = loud === null;
      const text = this.#timesText(far, value);
      this.#add({
        ...finding,
        // Without a rung on the other side there was nothing to see.
        outcome: wrong.length > 0 ? 'fail' : 'inconclusive',
        message:
          wrong.length > 0
            ? `${name} ${never ? 'does not fire even' : 'fires already'} at ${text}, and is to fire at ${intended} (${at})${listed}.`
            : `${name} ${never ? `stays quiet up to ${text}` : `fires from ${text} on`}, and no rung on the other side of ${intended} was drilled (${at}).`,
        observed: never ? `not up to ${formatNumber(value)}` : `from ${formatNumber(value)}`,
        limit,
        value,
        help: wrong.length > 0 ? help : 'Add rungs to ladder on both sides of 1 that the metric can reach.',
      });
      return;
    }
    if (quiet >= loud) {
      const quietest = this.#configured.find(({ loud: fired }) => !fired)?.rung.times ?? 0;
      const inverted = this.#configured.every(({ rung, loud: fired }) => fired === rung.times! < quietest);
      this.#add({
        ...finding,
        outcome: inverted || this.#misconfigured ? 'fail' : 'inconclusive',
        message: inverted
          ? `${name} fires the wrong way round: at ${textOf(loud)} times the intended threshold it is in ALARM and at ${textOf(quiet)} times it is not, and it is to fire at ${intended} (${at}).`
          : `${name} fires at ${textOf(loud)} times the intended threshold and is quiet at ${textOf(quiet)} times: the rungs contradict each other${listed}.`,
        observed: inverted ? 'the wrong way round' : 'contradictory',
        limit,
        help,
      });
      return;
    }

    const [from, to] = [valueAt(this.#drill, quiet), valueAt(this.#drill, loud)];
    const range = `${formatNumber(from, to)} and ${formatNumber(to, from)}`;
    const estimate = valueAt(this.#drill, Math.sqrt(quiet * loud));
    const numbers = {
      observed: `between ${range}`,
      limit,
      value: estimate,
      interval: { low: Math.min(from, to), estimate, high: Math.max(from, to), confidence: 1 },
    };
    const fires = `${name} fires somewhere between ${range} (${this.#bracketText(quiet, loud)})`;
    if (!this.#isIntended(quiet, loud)) {
      this.#add({
        ...finding,
        ...numbers,
        outcome: 'fail',
        message: `${fires}, and is to fire at ${intended} (${at})${listed}.`,
        help,
      });
      return;
    }
    const open = this.#drill.value.narrow && loud / quiet > NARROW;
    this.#add({
      ...finding,
      ...numbers,
      outcome: open ? 'inconclusive' : 'pass',
      message: open
        ? `${fires}: that is too far apart to say whether it is ${intended} (${at}).`
        : `${fires}, as intended: ${intended}.`,
      ...(open && { help: 'Put rungs such as 0.95 and 1.05 on the ladder, or run the drill again.' }),
    });
  }

  /** Whether the bracket holds the intended threshold; a rung right there shows the strictness. */
  #isIntended(quiet: number, loud: number): boolean {
    const exact = expectationAt(this.#drill, 1);
    return (
      (quiet < 1 || (quiet === 1 && exact === 'quiet')) && (loud > 1 || (loud === 1 && exact === 'loud'))
    );
  }

  /** One finding a rung, unless the static proof has named why they are wrong already. */
  #judgeRungs(): void {
    for (const observation of this.#configured) {
      const { rung, loud } = observation;
      if (loud !== (rung.expects === 'loud')) {
        if (!this.#misconfigured) this.#add(this.#wrongRung(observation));
      } else this.#add(rung.expects === 'loud' ? this.#loudRung(observation) : this.#quietRung(observation));
    }
  }

  #wrongRung({ rung, phases, after, afterMs }: Observation): RungFinding {
    const { name } = this.#alarm;
    const finding = this.#rungFinding(rung);
    const watched = formatDuration(phases.driftEnd - phases.onset);
    const text = this.#timesText(rung.times!, rung.value!);
    const at = lineAt(this.#drill, ['intended', 'fires']);
    const help = `The threshold is as intended, so look at the rest: ${conditionText(this.#alarm)}.`;
    if (rung.expects === 'quiet') {
      const when = afterMs === null ? 'from the beginning' : `after ${formatDuration(afterMs)}`;
      return {
        ...finding,
        outcome: 'fail',
        message: `${name} fires at ${text} ${when}, and is to stay quiet there: it is to fire at ${this.#intendedText()} (${at}).`,
        observed: `ALARM ${when}`,
        help,
      };
    }
    const { within } = this.#drill.value.intended;
    return {
      ...finding,
      outcome: 'fail',
      message: `${name} did not fire at ${text} in the ${watched} that it was watched: it was ${after}, and is to fire within ${formatDuration(within)} (${lineAt(this.#drill, WITHIN)}).`,
      observed: `${after} after ${watched}`,
      help,
    };
  }

  #quietRung({ rung, phases }: Observation): RungFinding {
    const watched = formatDuration(phases.driftEnd - phases.onset);
    return {
      ...this.#rungFinding(rung),
      outcome: 'pass',
      message: `${this.#alarm.name} stays quiet at ${this.#timesText(rung.times!, rung.value!)}, for the ${watched} that it was watched.`,
      observed: `quiet for ${watched}`,
    };
  }

  #loudRung({ rung, afterMs }: Observation): RungFinding {
    const { name } = this.#alarm;
    const { within } = this.#drill.value.intended;
    const text = this.#timesText(rung.times!, rung.value!);
    const finding = { ...this.#rungFinding(rung), path: WITHIN };
    const allowed = formatDuration(within);
    const at = lineAt(this.#drill, WITHIN);
    if (afterMs === null) {
      return {
        ...finding,
        outcome: 'inconclusive',
        message: `${name} was in ALARM before it saw ${text}: how long it takes to fire is not known.`,
        observed: 'ALARM from the beginning',
        help: 'Give healthy a value that the alarm is quiet at, then run the drill again.',
      };
    }
    const observed = `ALARM after ${formatDuration(afterMs)}`;
    const fires = `${name} fires at ${text} after ${formatDuration(afterMs)}`;
    if (afterMs <= within) {
      return { ...finding, outcome: 'pass', message: `${fires}, within ${allowed}.`, observed };
    }
    const late = afterMs > within + this.#grainMs;
    return {
      ...finding,
      outcome: late ? 'fail' : 'warn',
      message: late
        ? `${fires}, and is to fire within ${allowed} (${at}).`
        : `${fires}, and is to fire within ${allowed} (${at}): later, by less than a period and an evaluation of it.`,
      observed,
      help: `Shorten its period, or let fewer of its data points decide: ${conditionText(this.#alarm)}.`,
    };
  }

  /** What is usual must be quiet. */
  #judgeHealthy(): void {
    // A wrong threshold has been named, and with it why the usual value fires.
    const restless = this.#configured.filter(({ before }) => before !== 'OK');
    if (restless.length === 0 || this.#misconfigured) return;
    const value = healthyOf(this.#drill);
    const firing = restless.filter(({ before }) => before === 'ALARM');
    const state = firing.length > 0 ? 'ALARM' : 'INSUFFICIENT_DATA';
    const calm = restless.every(({ result }) => result.transitions.some(({ to }) => to === 'OK'));
    this.#add({
      check: 'healthy',
      subject: this.#alarm.name,
      // It may come and go where data is sparse, and nobody promised that it does not.
      outcome: calm && firing.length === 0 ? 'warn' : 'fail',
      message: `${this.#alarm.name} is ${state} at the usual value ${formatNumber(value)}, before anything drifts (${lineAt(this.#drill, ['healthy'])}).`,
      allowed: 'OK',
      observed: state,
      value,
      path: ['healthy'],
      help: `Compare how often the metric is emitted with what the alarm needs: ${conditionText(this.#alarm)}, missing data ${this.#alarm.missingData}.`,
    });
  }

  /** What becomes of the alarm when its metric dies. */
  #judgeSilence(): void {
    const silence = this.#silence;
    if (silence === undefined || silence.flaw !== null) {
      if (silence === undefined) {
        this.notChecked.push({ subject: this.#alarm.name, check: 'silence', why: 'no rung was silent' });
      }
      return;
    }
    const { whenSilent } = this.#drill.value.intended;
    const { onset, endsAt } = silence.phases;
    const state = stateAt(silence.result.transitions, endsAt);
    const fine = whenSilent === 'not OK' ? state !== 'OK' : state === whenSilent;
    const watched = endsAt - onset;
    const needed = silenceMs(this.#alarm, silence.round.plan) + evaluationMs(this.#alarm);
    if (!fine && watched < needed) {
      this.notChecked.push({
        subject: this.#alarm.name,
        check: 'silence',
        why: `the state that it stays in may take ${formatDuration(needed)}, and it was watched for ${formatDuration(watched)}: it was ${state}`,
      });
      return;
    }
    const since = silence.result.transitions
      .filter(({ at, to }) => at > onset && at <= endsAt && to === state)
      .map(({ at }) => at - onset);
    const when =
      since.length > 0 ? `after ${formatDuration(Math.max(...since))}` : `for ${formatDuration(watched)}`;
    const at = lineAt(this.#drill, ['intended', 'whenSilent']);
    this.#add({
      check: 'silence',
      subject: this.#alarm.name,
      outcome: fine ? 'pass' : 'fail',
      message: fine
        ? `${this.#alarm.name} is ${state} once its metric is silent, ${when}, as intended.`
        : `${this.#alarm.name} is ${state} once its metric is silent, ${when}, and is to be ${whenSilent} (${at}): ${state === 'OK' ? 'nobody would notice that the emitter is dead' : 'silence is not told from what it stands for'}.`,
      allowed: whenSilent,
      observed: state,
      path: ['intended', 'whenSilent'],
      ...(!fine && { help: treatmentHelp(whenSilent) }),
    });
  }

  /** An alarm that does not come back is one that nobody believes the next time. */
  #judgeRecovery(): void {
    const fired = this.#configured.filter(({ after }) => after === 'ALARM');
    const [round] = this.#rounds;
    if (round === undefined || round.plan.recovery === 0 || fired.length === 0) return;
    const stuck: Observation[] = [];
    const untold: Observation[] = [];
    let slowest = 0;
    for (const observation of fired) {
      const { driftEnd, recoveryEnd } = observation.phases;
      const back = observation.result.transitions
        .filter(({ at, to }) => to === 'OK' && at > driftEnd && at <= recoveryEnd)
        .map(({ at }) => at - driftEnd);
      if (back.length > 0) slowest = Math.max(slowest, Math.min(...back));
      else {
        const { latest } = firstAt(
          forecastOf(this.#alarm, observation.round, observation.rung),
          'OK',
          driftEnd,
        );
        const expected = latest !== null && latest <= recoveryEnd - evaluationMs(this.#alarm);
        // Of a wrong threshold the usual value may well fire, too.
        (expected ? stuck : untold).push(observation);
      }
    }
    const { driftEnd, recoveryEnd } = fired[0]!.phases;
    const watched = formatDuration(recoveryEnd - driftEnd);
    const finding = { check: 'recovery', subject: this.#alarm.name, allowed: 'OK', path: ['healthy'] };
    if (stuck.length > 0) {
      this.#add({
        ...finding,
        outcome: 'fail',
        message: `${this.#alarm.name} did not come back to OK on ${rungsText(stuck)}, ${watched} after its metric was back at the usual ${formatNumber(round.plan.healthy)}.`,
        observed: `ALARM after ${watched}`,
        help: `Look at what keeps it in ALARM: ${conditionText(this.#alarm)}, missing data ${this.#alarm.missingData}.`,
      });
    } else if (untold.length === 0) {
      this.#add({
        ...finding,
        outcome: 'pass',
        message: `${this.#alarm.name} comes back to OK at most ${formatDuration(slowest)} after its metric is back at the usual ${formatNumber(round.plan.healthy)}.`,
        observed: `OK after ${formatDuration(slowest)}`,
      });
    }
    if (untold.length > 0) {
      this.notChecked.push({
        subject: rungsText(untold),
        check: 'recovery',
        why: `it takes longer than the ${watched} that it was watched, or is not certain to happen`,
      });
    }
  }

  /** Whether CloudWatch did what its documentation says. */
  #judgeForecasts(): void {
    const surprising: string[] = [];
    const open = new Map<string, Observation[]>();
    let judged = 0;
    for (const observation of this.#seen) {
      const { rung, flaw, phases, before } = observation;
      if (flaw !== null || rung.times === null || before !== 'OK') continue;
      judged++;
      const foreseen = forecastOf(this.#alarm, observation.round, observation.rung);
      const { onset, driftEnd } = phases;
      const relative = (time: number | null) => (time === null || time > driftEnd ? null : time - onset);
      const { earliest, latest } = firstAt(foreseen, 'ALARM', onset);
      const surprise = this.#surprise(observation, relative(earliest), relative(latest));
      if (surprise !== null) surprising.push(`at ${rung.id} it ${surprise}`);
      const hangs = foreseen.evaluations.some(
        ({ at, state }) => state === null && at > onset && at <= driftEnd,
      );
      if (hangs && foreseen.undocumented !== null) {
        open.set(foreseen.undocumented, [...(open.get(foreseen.undocumented) ?? []), observation]);
      }
    }
    for (const [why, some] of open) {
      this.notChecked.push({ subject: rungsText(some), check: 'forecast', why });
    }
    if (judged === 0) return;
    const finding = {
      check: 'forecast',
      subject: this.#alarm.name,
      allowed: 'what its documentation says',
      path: [],
    };
    if (surprising.length === 0) {
      this.#add({
        ...finding,
        outcome: 'pass',
        message: `CloudWatch did on ${countOf(judged, 'rung')} of ${this.#alarm.name} what its documentation says.`,
        observed: 'the same',
      });
      return;
    }
    this.#add({
      ...finding,
      outcome: 'warn',
      message: `CloudWatch did not do what its documentation says of ${this.#alarm.name}: ${clip(surprising.join('; '), 600)}.`,
      observed: `${surprising.length} of ${countOf(judged, 'rung')} otherwise`,
      help: 'Believe the drill rather than the forecast, and report the difference.',
    });
  }

  #surprise(
    { loud, afterMs, phases }: Observation,
    earliest: number | null,
    latest: number | null,
  ): string | null {
    const grain = this.#grainMs;
    const watched = phases.driftEnd - phases.onset;
    if (!loud || afterMs === null) {
      if (latest === null || latest + grain > watched) return null;
      return `stayed quiet, and was to fire after at most ${formatDuration(latest)}`;
    }
    const after = formatDuration(afterMs);
    if (earliest === null) return `fired after ${after}, and was to stay quiet`;
    if (afterMs < earliest - grain)
      return `fired after ${after}, not before ${formatDuration(earliest)} was expected`;
    if (latest === null || afterMs <= latest + grain) return null;
    return `fired after ${after}, and was to after at most ${formatDuration(latest)}`;
  }

  /** Whether what shadow alarms said arrived. */
  #judgeReceipts(): void {
    const missing: { rung: Rung; transition: Transition }[] = [];
    const hops = { topicMs: 0, queueMs: 0 };
    const words = new Set<string>();
    let arrived = 0;
    for (const { rung, result, phases } of this.#seen) {
      // What happens last, or after nothing is published any more, may still be on its way.
      const until = (rung.times === null ? phases.endsAt : phases.recoveryEnd) - evaluationMs(this.#alarm);
      const told = result.transitions.filter(({ at, to }) => to !== 'INSUFFICIENT_DATA' && at <= until);
      const { found, lost } = matched(told, result.receipts);
      arrived += found.length;
      for (const { changedAt, notifiedAt, receivedAt } of found) {
        hops.topicMs = Math.max(hops.topicMs, notifiedAt - changedAt);
        hops.queueMs = Math.max(hops.queueMs, receivedAt - notifiedAt);
      }
      missing.push(...lost.map((transition) => ({ rung, transition })));
      for (const text of result.failedActions) words.add(text);
    }
    const all = arrived + missing.length;
    if (all === 0) {
      this.notChecked.push({
        subject: this.#alarm.name,
        check: 'receipts',
        why: 'no shadow alarm changed its state',
      });
      return;
    }
    const finding = {
      check: 'receipts',
      subject: 'notifications',
      allowed: 'each arrives',
      limit: all,
      value: arrived,
      path: [],
    };
    if (missing.length === 0) {
      this.#add({
        ...finding,
        outcome: 'pass',
        message: `${all === 1 ? 'The notification' : `All ${formatNumber(all)} notifications`} of shadow alarms arrived: at the topic after at most ${formatDuration(hops.topicMs)}, in the queue ${formatDuration(hops.queueMs)} later.`,
        observed: `${formatNumber(arrived)} of ${formatNumber(all)}`,
      });
      return;
    }
    const some = missing
      .map(({ rung, transition }) => `${transition.to} of ${rung.id}`)
      .toSorted()
      .slice(0, 5)
      .join(', ');
    const said = words.size === 0 ? '' : `; CloudWatch says: ${[...words].toSorted().slice(0, 3).join('; ')}`;
    this.#add({
      ...finding,
      outcome: 'fail',
      message: `${formatNumber(missing.length)} of ${countOf(all, 'notification')} of shadow alarms did not arrive (${some}${missing.length > 5 ? ', ...' : ''})${clip(said, 600)}.`,
      observed: `${formatNumber(arrived)} of ${formatNumber(all)}`,
      help: "Look at the policy and the key of the drill's probe topic: CloudWatch must be allowed to publish, and SNS to send to the queue.",
    });
  }

  #rungFinding(rung: Rung) {
    const { threshold } = this.#drill.value.intended.fires;
    const { within } = this.#drill.value.intended;
    return {
      check: `ladder-${rung.expects}`,
      subject: `rung ${rung.id}`,
      allowed: rung.expects === 'loud' ? `ALARM within ${formatDuration(within)}` : 'OK',
      limit: threshold,
      value: rung.value!,
      path: FIRES,
    };
  }

  #contradictions(wrong: readonly Observation[]): string {
    const part = (expected: Rung['expects'], text: string) => {
      const some = wrong.filter(({ rung }) => rung.expects === expected).map(({ rung }) => rung.id);
      return some.length === 0 ? [] : [`at ${listOf(some)} ${text}`];
    };
    return [...part('quiet', 'it fired'), ...part('loud', 'it stayed quiet')].join(', ');
  }

  /** `>= 0.2` */
  #intendedText(): string {
    return thresholdText(this.#drill.value.intended.fires);
  }

  /** `0.19 (0.95 times the intended 0.2)` */
  #timesText(times: number, value: number): string {
    const { threshold } = this.#drill.value.intended.fires;
    if (times === 1) return `exactly the intended ${threshold}`;
    const what = threshold === 0 ? `rung ${times}x` : `${textOf(times)} times the intended ${threshold}`;
    return `${formatNumber(value, threshold)} (${what})`;
  }

  #bracketText(quiet: number, loud: number): string {
    const { threshold } = this.#drill.value.intended.fires;
    return threshold === 0
      ? `rungs ${quiet}x to ${loud}x`
      : `${textOf(quiet)} to ${textOf(loud)} times the intended ${threshold}`;
  }

  #add({ path, ...finding }: RungFinding): void {
    this.findings.push({ ...finding, rule: this.#drill.locate(path) });
  }
}

const FIRES = ['intended', 'fires'];
const WITHIN = ['intended', 'within'];

/** A finding that knows the path of its rule. */
export type RungFinding = Omit<Finding, 'rule'> & { path: readonly PropertyKey[] };

/** How many times the threshold, as people write it: narrowing goes by four digits. */
function textOf(times: number): string {
  return times.toLocaleString('en-US', { maximumSignificantDigits: 5 });
}

function inOrder(observations: readonly Observation[]): Observation[] {
  return observations.toSorted(
    (a, b) => (a.rung.times ?? Number.POSITIVE_INFINITY) - (b.rung.times ?? Number.POSITIVE_INFINITY),
  );
}

function treatmentHelp(whenSilent: AlarmState | 'not OK'): string {
  const treatment = { ALARM: 'breaching', OK: 'notBreaching', INSUFFICIENT_DATA: 'missing', 'not OK': '' };
  return whenSilent === 'not OK'
    ? 'Set TreatMissingData of the alarm to breaching or missing.'
    : `Set TreatMissingData of the alarm to ${treatment[whenSilent]}.`;
}

/**
 * The receipts of transitions: of each the first that tells of its state, from its own time on. Further ones are
 * duplicates, which SNS and SQS may send.
 */
function matched(
  transitions: readonly Transition[],
  receipts: readonly Receipt[],
): { found: Receipt[]; lost: Transition[] } {
  const receiptOf = receiptsBy(receipts);
  const found: Receipt[] = [];
  const lost: Transition[] = [];
  for (const transition of transitions) {
    const receipt = receiptOf(transition);
    if (receipt === undefined) lost.push(transition);
    else found.push(receipt);
  }
  return { found, lost };
}

/** Finds the first receipt that tells of a transition, in whatever order they came; undefined where none does. */
export function receiptsBy(receipts: readonly Receipt[]): (transition: Transition) => Receipt | undefined {
  const sorted = receipts.toSorted((a, b) => a.changedAt - b.changedAt || a.receivedAt - b.receivedAt);
  return ({ at, to }) =>
    sorted.find(({ state, changedAt }) => state === to && Math.abs(changedAt - at) <= SAME_MOMENT_MS);
}

/** `rung 2x`, `rungs 1.05x and 2x` */
function rungsText(observations: readonly Observation[]): string {
  const ids = [...new Set(observations.map(({ rung }) => rung.id))];
  return `${ids.length === 1 ? 'rung' : 'rungs'} ${listOf(ids)}`;
}
