import { countOf, formatDuration, formatNumber, formatShare } from '../shared/format.ts';
import { lineAt } from '../shared/schema.ts';
import { breaches, type MetricAlarm, thresholdText } from './alarm.ts';
import { isUpwards } from './intended.ts';
import { grainMs, type Judged, type RungFinding } from './judge-ladder.ts';
import type { LivePhase } from './measurements.ts';
import type { LocatedDrill } from './schema.ts';

/*
 * What a drill of the real alarm amounts to: of its metric, or of the whole chain from traffic on.
 */

/** What the drift that was sent may differ from the one that was asked for, as a share of it. */
const DRIFT_TOLERANCE = 0.1;

/** More failed requests than this share, and the traffic was not what it was to be. */
const FAILED_TOLERANCE = 0.01;

/** Judges the phases of `mode: live` and `mode: traffic`, in whatever order they come. */
export function judgePhases(phases: readonly LivePhase[], alarm: MetricAlarm, drill: LocatedDrill): Judged {
  const judged = new PhasesJudged(phases, alarm, drill);
  judged.judge();
  return judged;
}

class PhasesJudged implements Judged {
  readonly findings: Judged['findings'] = [];
  readonly notChecked: Judged['notChecked'] = [];
  readonly #phases: readonly LivePhase[];
  readonly #alarm: MetricAlarm;
  readonly #drill: LocatedDrill;

  constructor(phases: readonly LivePhase[], alarm: MetricAlarm, drill: LocatedDrill) {
    this.#phases = phases;
    this.#alarm = alarm;
    this.#drill = drill;
  }

  judge(): void {
    const of = (phase: LivePhase['phase']) => this.#phases.find((candidate) => candidate.phase === phase);
    const [under, over, healthy] = [of('under'), of('over'), of('healthy')];
    const silent = [under, over].filter(
      (phase) => phase?.drift !== undefined && phase.metric.length === 0 && phase.state !== 'ALARM',
    );
    if (silent.length > 0) this.#addSilent(silent.at(-1)!);
    for (const [name, phase] of [
      ['under', under],
      ['over', over],
    ] as const) {
      if (phase === undefined) this.#addMissing(name);
      else if (this.#isAsAsked(phase) && !silent.includes(phase)) {
        if (name === 'under') this.#judgeUnder(phase);
        else this.#judgeOver(phase, under);
      }
    }
    if (healthy !== undefined) this.#judgeHealthy(healthy);
  }

  #addMissing(phase: 'under' | 'over'): void {
    this.#add({
      check: `live-${phase}`,
      subject: this.#alarm.name,
      outcome: 'inconclusive',
      message: `Whether ${this.#alarm.name} ${phase === 'under' ? 'stays quiet below' : 'fires beyond'} the intended threshold is not known: that phase did not happen.`,
      allowed: phase === 'under' ? 'OK' : 'ALARM',
      observed: 'not drilled',
      path: ['mode'],
      help: 'Run the drill again.',
    });
  }

  /** Nobody can be warned by a monitor that does not look. */
  #addSilent(phase: LivePhase): void {
    this.#add({
      check: 'monitor',
      subject: 'monitor',
      outcome: 'fail',
      message: `The monitor is silent: in the ${lengthOf(phase)} of ${this.#whatOf(phase)} no data point of ${this.#alarm.name}'s metric came.`,
      allowed: 'data points',
      observed: 'none',
      value: 0,
      path: ['traffic', 'endpoint'],
      help: 'Look at the schedule and the log of the monitor, and at the data capture of the endpoint.',
    });
  }

  /** Whether what was sent was what the phase is about; else nothing can be judged by it. */
  #isAsAsked(phase: LivePhase): boolean {
    const { drift, records, failedRequests = 0 } = phase;
    const { traffic } = this.#drill.value;
    if (records !== undefined && traffic !== undefined) {
      const requests = Math.max(1, Math.ceil(records / traffic.perRequest), failedRequests);
      const share = failedRequests / requests;
      if (share > FAILED_TOLERANCE) {
        this.#add({
          check: 'traffic',
          subject: `endpoint ${traffic.endpoint}`,
          outcome: 'inconclusive',
          message: `${formatNumber(failedRequests)} of ${countOf(requests, 'request')} of ${this.#whatOf(phase)} failed: the monitor cannot have seen it.`,
          allowed: `at most ${formatShare(FAILED_TOLERANCE)}`,
          observed: formatShare(share, FAILED_TOLERANCE),
          limit: FAILED_TOLERANCE,
          value: share,
          path: ['traffic', 'endpoint'],
          help: 'Look at the log of the endpoint: it has to take what the drill sends.',
        });
        return false;
      }
    }
    if (drift !== undefined && !(Math.abs(drift.sent / drift.asked - 1) <= DRIFT_TOLERANCE)) {
      this.#add({
        check: 'traffic',
        subject: `feature ${traffic?.feature}`,
        outcome: 'inconclusive',
        message: `The records of the phase ${phase.phase} drifted by ${formatNumber(drift.sent, drift.asked)}, and by ${formatNumber(drift.asked, drift.sent)} was asked for (${this.#at(['traffic'])}).`,
        allowed: `${formatNumber(drift.asked)}, give or take ${formatShare(DRIFT_TOLERANCE)}`,
        observed: formatNumber(drift.sent, drift.asked),
        limit: drift.asked,
        value: drift.sent,
        path: ['traffic', 'records'],
        help: 'Send more records.',
      });
      return false;
    }
    return true;
  }

  #judgeUnder(phase: LivePhase): void {
    const { name } = this.#alarm;
    const fired = phase.transitions.find(({ to }) => to === 'ALARM');
    const loud = fired !== undefined || phase.state === 'ALARM';
    const when = fired === undefined ? '' : ` after ${formatDuration(fired.at - phase.startedAt)}`;
    this.#add({
      check: 'live-under',
      subject: name,
      outcome: loud ? 'fail' : 'pass',
      message: loud
        ? `${name} fires${when} at ${this.#whatOf(phase)}, and is to fire at ${this.#intendedText()} (${this.#at(FIRES)})${this.#peakText(phase)}.`
        : `${name} stays quiet at ${this.#whatOf(phase)}, for the ${lengthOf(phase)} that it was watched${this.#peakText(phase)}.`,
      allowed: 'OK',
      observed: loud ? `ALARM${when}` : phase.state,
      ...this.#numbersOf(phase),
      path: FIRES,
      ...(loud && {
        help: 'Compare the threshold of the alarm, and what its metric measures, with what is intended.',
      }),
    });
  }

  #judgeOver(phase: LivePhase, under: LivePhase | undefined): void {
    const { name } = this.#alarm;
    const { within } = this.#drill.value.intended;
    const allowed = formatDuration(within);
    const finding = {
      check: 'live-over',
      subject: name,
      allowed: `ALARM within ${allowed}`,
      ...this.#numbersOf(phase),
    };
    const what = this.#whatOf(phase);
    const beyond = phase.metric.find(({ value }) => breaches(value, this.#drill.value.intended.fires));
    const fired = phase.transitions.find(({ to }) => to === 'ALARM');
    if (fired === undefined && phase.state === 'ALARM') {
      // Where it fired too early, the finding on the phase before says so.
      if (under?.state === 'ALARM') return;
      this.#add({
        ...finding,
        outcome: 'inconclusive',
        message: `${name} was in ALARM before ${what} began: whether it fires at it is not known.`,
        observed: 'ALARM from the beginning',
        path: FIRES,
        help: 'Run the drill again once the alarm is OK.',
      });
      return;
    }
    if (fired === undefined) {
      const deaf = phase.drift !== undefined && beyond === undefined;
      this.#add({
        ...finding,
        check: deaf ? 'monitor' : finding.check,
        subject: deaf ? 'monitor' : name,
        outcome: 'fail',
        message: deaf
          ? `The monitor does not see ${what}${this.#peakText(phase)}, so ${name} did not fire: it is to at ${this.#intendedText()} (${this.#at(FIRES)}).`
          : `${name} did not fire at ${what} in the ${lengthOf(phase)} that it was watched${this.#peakText(phase)}: it was ${phase.state}, and is to fire within ${allowed} (${this.#at(WITHIN)}).`,
        observed: `${phase.state} after ${lengthOf(phase)}`,
        path: deaf ? FIRES : WITHIN,
        help: deaf
          ? 'Compare what the monitor measures with the drift that is intended: its baseline, its feature, its measure, its window.'
          : 'Compare the alarm with its metric: name, dimensions, unit, statistic, threshold and data points to alarm.',
      });
      return;
    }
    // How long a monitor takes to look is its own affair; the alarm is timed from what it emits.
    const from = phase.drift === undefined ? phase.startedAt : (beyond?.at ?? phase.startedAt);
    const afterMs = Math.max(0, fired.at - from);
    const late = afterMs > within + grainMs(this.#alarm);
    const after = formatDuration(afterMs);
    const fires =
      phase.drift === undefined
        ? `${name} fires at ${what} after ${after}`
        : `${name} fires at ${what}, ${after} after its metric was first beyond the threshold`;
    this.#add({
      ...finding,
      outcome: late ? 'fail' : afterMs > within ? 'warn' : 'pass',
      message:
        afterMs <= within
          ? `${fires}, within ${allowed}.`
          : `${fires}, and is to fire within ${allowed} (${this.#at(WITHIN)}).`,
      observed: `ALARM after ${formatDuration(afterMs)}`,
      path: WITHIN,
      ...(afterMs > within && { help: 'Shorten its period, or let fewer of its data points decide.' }),
    });
  }

  #judgeHealthy(phase: LivePhase): void {
    const { name } = this.#alarm;
    const fine = phase.state === 'OK';
    this.#add({
      check: 'recovery',
      subject: name,
      // A monitor may look at a long window, and nobody waits for that.
      outcome: fine ? 'pass' : phase.drift === undefined ? 'fail' : 'warn',
      message: fine
        ? `${name} is OK again ${lengthOf(phase)} after the drill let go of it.`
        : `${name} is ${phase.state}, ${lengthOf(phase)} after the drill let go of it: somebody may take it for real.`,
      allowed: 'OK',
      observed: phase.state,
      path: ['mode'],
      ...(!fine && { help: 'Look after it until it is OK; then nothing is left of the drill.' }),
    });
  }

  /** `traffic that drifts by 0.4 (psi of distance)`, `the value 0.21` */
  #whatOf({ drift, value }: LivePhase): string {
    const { traffic } = this.#drill.value;
    if (drift !== undefined) {
      return `traffic that drifts by ${formatNumber(drift.sent)} (${traffic?.measure ?? 'psi'} of ${traffic?.feature})`;
    }
    return value === undefined ? 'what was sent' : `the value ${formatNumber(value, this.#threshold())}`;
  }

  /** What the metric came to, on the loud side. */
  #peakText({ drift, metric }: LivePhase): string {
    if (drift === undefined || metric.length === 0) return '';
    const values = metric.map(({ value }) => value);
    const peak = isUpwards(this.#drill) ? Math.max(...values) : Math.min(...values);
    return `; its metric came to ${formatNumber(peak, this.#threshold())}`;
  }

  #numbersOf({ drift, value }: LivePhase): { limit?: number; value?: number } {
    const { traffic } = this.#drill.value;
    if (drift !== undefined) return { limit: traffic?.intended ?? this.#threshold(), value: drift.sent };
    return value === undefined ? {} : { limit: this.#threshold(), value };
  }

  #threshold(): number {
    return this.#drill.value.intended.fires.threshold;
  }

  #intendedText(): string {
    return thresholdText(this.#drill.value.intended.fires);
  }

  #at(path: readonly PropertyKey[]): string {
    return lineAt(this.#drill, path);
  }

  #add({ path, ...finding }: RungFinding): void {
    this.findings.push({ ...finding, rule: this.#drill.locate(path) });
  }
}

const FIRES = ['intended', 'fires'];
const WITHIN = ['intended', 'within'];

function lengthOf({ startedAt, endedAt }: LivePhase): string {
  return formatDuration(endedAt - startedAt);
}
