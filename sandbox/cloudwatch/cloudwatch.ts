import { invalid, type Tag } from '../aws/service.ts';
import {
  type Alarm,
  type AlarmConfig,
  type AlarmState,
  type AnyAlarm,
  actionsOf,
  arnOf,
  type CompositeAlarm,
  type HistoryItem,
  type MetricAlarm,
} from './alarm.ts';
import { notFound, tooMany } from './errors.ts';
import { judge, type StateValue, samplesFor } from './judge.ts';
import {
  configurationChange,
  explainJudgement,
  explainRule,
  functionEvent,
  stateChange,
  subjectOf,
  topicMessage,
} from './messages.ts';
import { watch } from './metric-alarm.ts';
import { MetricStore, percentOf } from './metrics.ts';
import { nameOf, parseRule, RuleError } from './rule.ts';
import type { CompositeAlarmConfig, MetricAlarmConfig } from './schema.ts';

/** Alarms with periods of less than a minute are evaluated at every multiple of this, in milliseconds. */
const TICK_MS = 10_000;
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_S = 86_400;

const MOST_ALARMS = 5_000;
const MOST_CHILDREN = 100;
/** The longest HistoryData, in characters. */
const MOST_HISTORY_DATA = 4_095;

/** What CloudWatch does to the world outside. Both are called one after the other, in the order of what happened. */
export interface Outside {
  /**
   * Runs an action of an alarm. An error fails the action: only the history of the alarm says so, as on AWS.
   *
   * @param arn of the topic or function
   * @param subject empty for a function
   * @param text message to a topic or event to a function, as JSON
   */
  act(arn: string, subject: string, text: string, alarmArn: string): Promise<void>;
  /** Sends an event of source `aws.cloudwatch`. */
  emit(detailType: string, detail: object, resources: readonly string[]): Promise<void>;
}

export interface Options extends Outside {
  /** Milliseconds since 1970. */
  now: () => number;
  /**
   * How many data points are read beyond EvaluationPeriods, to have as many as needed where some are missing. AWS does
   * not say how many it reads; its examples read 2 more.
   */
  extraRange?: number;
  /** How long a new metric is not listed, in milliseconds. On AWS it takes up to 15 minutes. */
  listDelay?: number;
}

/**
 * CloudWatch's metrics and alarms. The clock is the caller's: nothing happens by itself, {@link advance} makes the
 * evaluations of a stretch of time happen.
 *
 * Alarms with periods of a minute and more are evaluated every minute over the periods that end there, or every hour
 * where they look back further than a day; those with shorter periods every 10 seconds. Composite alarms follow whenever a state has changed.
 */
export class CloudWatch {
  readonly metrics = new MetricStore();
  readonly alarms = new Map<string, Alarm>();
  /** Oldest first; it outlives the alarms. */
  readonly history: HistoryItem[] = [];
  readonly now: () => number;
  readonly listDelay: number;
  readonly #extraRange: number;
  readonly #outside: Outside;
  /** The evaluations up to this moment have been made. */
  #evaluated: number;
  /** What is still to be done outside. */
  #outbox: Promise<void> = Promise.resolve();

  constructor({ now, extraRange = 2, listDelay = 0, ...outside }: Options) {
    this.now = now;
    this.listDelay = listDelay;
    this.#extraRange = extraRange;
    this.#outside = outside;
    this.#evaluated = Math.floor(now() / TICK_MS) * TICK_MS;
  }

  /** When alarms are evaluated next, in milliseconds since 1970. */
  get nextEvaluation(): number {
    return this.#evaluated + TICK_MS;
  }

  /**
   * Makes every evaluation that is due up to a moment, in order, each with its actions and events.
   *
   * @param to milliseconds since 1970
   */
  async advance(to: number): Promise<void> {
    while (this.nextEvaluation <= to) {
      this.#evaluated = this.nextEvaluation;
      const now = this.#evaluated;
      for (const alarm of this.alarms.values()) {
        if (alarm.kind !== 'MetricAlarm') continue;
        if (now % cadenceOf(alarm) === 0) this.#evaluate(alarm, now);
      }
      this.#follow(now);
      await this.settled();
    }
  }

  /** Waits until all that happened has reached the outside. */
  async settled(): Promise<void> {
    await this.#outbox;
  }

  /**
   * The alarm of a name.
   *
   * @throws ServiceError ResourceNotFound
   */
  alarm(name: string): Alarm {
    const found = this.alarms.get(name);
    if (found === undefined) throw notFound(name);
    return found;
  }

  /**
   * Creates or overwrites a metric alarm. Its state stays.
   *
   * @param tags of a new alarm
   * @throws ServiceError ValidationException, LimitExceededFault
   */
  putMetricAlarm(config: MetricAlarmConfig, tags: readonly Tag[] = []): void {
    const watched = watch(config);
    this.#put({ ...this.#base('MetricAlarm', config.AlarmName, tags), kind: 'MetricAlarm', config, watched });
  }

  /**
   * Creates or overwrites a composite alarm. Its state stays, until its rule says otherwise.
   *
   * @param tags of a new alarm
   * @throws ServiceError ValidationException, LimitExceededFault
   */
  putCompositeAlarm(config: CompositeAlarmConfig, tags: readonly Tag[] = []): void {
    const rule = parse(config.AlarmRule);
    const { ActionsSuppressor: suppressor } = config;
    const periods = [config.ActionsSuppressorWaitPeriod, config.ActionsSuppressorExtensionPeriod];
    if (periods.some((period) => (period === undefined) !== (suppressor === undefined))) {
      throw invalid(
        'ActionsSuppressorWaitPeriod and ActionsSuppressorExtensionPeriod must be specified with ActionsSuppressor, and only then.',
      );
    }
    if (rule.children.length > MOST_CHILDREN) {
      throw invalid(`An alarm rule can speak of at most ${MOST_CHILDREN} alarms.`);
    }
    const unknown = [...rule.children, ...(suppressor === undefined ? [] : [nameOf(suppressor)])].filter(
      (name) => !this.alarms.has(name),
    );
    if (unknown.length > 0) {
      throw invalid(`Could not save the composite alarm as alarms [${unknown.join(', ')}] do not exist.`);
    }
    const base = this.#base('CompositeAlarm', config.AlarmName, tags);
    const old = this.alarms.get(config.AlarmName);
    const acted = old?.kind === 'CompositeAlarm' ? old.acted : 'INSUFFICIENT_DATA';
    this.#put({
      ...base,
      kind: 'CompositeAlarm',
      config,
      rule,
      seen: undefined,
      suppression: undefined,
      acted,
      pending: false,
    });
    this.#follow(this.now());
  }

  /**
   * Deletes alarms: all, or, where one cannot be, none.
   *
   * @throws ServiceError ResourceNotFound, ValidationException
   */
  deleteAlarms(names: readonly string[]): void {
    const going = names.map((name) => this.alarm(name));
    if (going.filter(({ kind }) => kind === 'CompositeAlarm').length > 1) {
      throw invalid('Only one composite alarm can be deleted in one call.');
    }
    for (const { name } of going) {
      const parent = this.parentsOf(name).find((it) => !names.includes(it.name));
      if (parent !== undefined) {
        throw invalid(`Cannot delete ${name} as composite alarm ${parent.name} depends on it.`);
      }
    }
    for (const alarm of going) {
      this.alarms.delete(alarm.name);
      this.#configured('delete', alarm, undefined);
    }
  }

  /** Turns the actions of alarms on or off; names of none are passed over, as on AWS. */
  setActionsEnabled(names: readonly string[], ActionsEnabled: boolean): void {
    for (const name of names) {
      const alarm = this.alarms.get(name);
      if (alarm === undefined || alarm.config.ActionsEnabled === ActionsEnabled) continue;
      const previous = { config: alarm.config, configured: alarm.configured };
      alarm.config = { ...alarm.config, ActionsEnabled } as typeof alarm.config;
      alarm.configured = this.now();
      this.#configured('update', alarm, previous);
    }
  }

  /**
   * Sets the state of an alarm, until an evaluation says otherwise: of a composite, when a child of it changes.
   *
   * @throws ServiceError ResourceNotFound
   */
  setState(name: string, value: StateValue, reason: string, reasonData: string | undefined): void {
    const now = this.now();
    this.#transition(this.alarm(name), value, { reason, reasonData }, now);
    this.#follow(now);
  }

  /** The composite alarms that depend on an alarm, by their rule or as their suppressor. */
  parentsOf(name: string): CompositeAlarm[] {
    return [...this.alarms.values()].filter(
      (alarm) =>
        alarm.kind === 'CompositeAlarm' &&
        (alarm.rule.children.includes(name) || nameOf(alarm.config.ActionsSuppressor ?? '') === name),
    ) as CompositeAlarm[];
  }

  /** What an alarm has whatever its kind: its own where it is there, else that of a new one. */
  #base(kind: Alarm['kind'], name: string, tags: readonly Tag[]): AnyAlarm {
    const now = this.now();
    const old = this.alarms.get(name);
    if (old !== undefined && old.kind !== kind) {
      throw invalid(`The alarm ${name} is a ${old.kind}, and cannot become a ${kind}.`);
    }
    if (old === undefined && this.alarms.size >= MOST_ALARMS) throw tooMany(MOST_ALARMS);
    return {
      name,
      arn: arnOf(name),
      configured: now,
      // Of an alarm that is there TagResource changes the tags.
      tags: old?.tags ?? new Map(tags.map(({ Key, Value }) => [Key, Value])),
      state: old?.state ?? {
        value: 'INSUFFICIENT_DATA',
        reason: 'Unchecked: Initial alarm creation',
        reasonData: undefined,
        updated: now,
        transitioned: now,
      },
    };
  }

  #put(alarm: Alarm): void {
    const old = this.alarms.get(alarm.name);
    this.alarms.set(alarm.name, alarm);
    this.#configured(old === undefined ? 'create' : 'update', alarm, old);
  }

  /** Makes a change of configuration known. */
  #configured(
    operation: 'create' | 'update' | 'delete',
    alarm: Alarm,
    previous: { config: AlarmConfig; configured: number } | undefined,
  ): void {
    const [type, word] = {
      create: ['Create', 'created'],
      update: ['Update', 'updated'],
      delete: ['Delete', 'deleted'],
    }[operation] as [string, string];
    this.#record(alarm, this.now(), 'ConfigurationUpdate', `Alarm "${alarm.name}" ${word}`, {
      version: '1.0',
      type,
      [`${word}Alarm`]: alarm.config,
    });
    this.#emit(
      'CloudWatch Alarm Configuration Change',
      alarm,
      configurationChange(operation, alarm, previous),
    );
  }

  #evaluate(alarm: MetricAlarm, now: number): void {
    const { config, watched, state } = alarm;
    const count = config.EvaluationPeriods + this.#extraRange;
    const from = now - count * watched.period * 1_000;
    const range = watched.read(this.metrics, from, count);
    const judgement = judge(
      range,
      {
        periods: config.EvaluationPeriods,
        datapoints: config.DatapointsToAlarm ?? config.EvaluationPeriods,
        threshold: config.Threshold,
        operator: config.ComparisonOperator,
        treatment: config.TreatMissingData ?? 'missing',
      },
      state.value,
    );
    if (judgement.state === state.value || this.#isThin(alarm, now)) return;
    const why = explainJudgement(alarm, range, judgement, { from, now });
    this.#transition(alarm, judgement.state, why, now);
  }

  /**
   * Whether an alarm is to stay in its state because its percentile rests on too few samples. CloudWatch counts them
   * "during the evaluation period": over the evaluation periods, not what it reads beyond them. Without any, the data
   * are missing.
   */
  #isThin({ config, watched: { query, period } }: MetricAlarm, now: number): boolean {
    const percent = percentOf(query?.stat ?? '');
    if (config.EvaluateLowSampleCountPercentile !== 'ignore' || query === undefined) return false;
    if (percent === undefined) return false;
    const periods = config.EvaluationPeriods;
    const from = now - periods * period * 1_000;
    const counts = this.metrics.read({ ...query, stat: 'SampleCount' }, from, period, periods);
    const samples = counts.reduce((sum: number, count) => sum + (count ?? 0), 0);
    return samples > 0 && samples < samplesFor(percent);
  }

  /** Brings every composite alarm up to its children, and ends what suppresses actions when it is over. */
  #follow(now: number): void {
    for (const alarm of this.#composites()) {
      this.#suppress(alarm, now);
      const children = alarm.rule.children.map((name) => this.alarm(name));
      const seen = children.map(({ state }) => state.value).join();
      if (seen === alarm.seen) continue;
      const value = alarm.rule.holds((name) => this.alarm(name).state.value) ? 'ALARM' : 'OK';
      const cause = alarm.seen === undefined ? undefined : latest(children);
      alarm.seen = seen;
      if (value === alarm.state.value) continue;
      this.#transition(alarm, value, explainRule(alarm, value, children, cause), now);
    }
  }

  /** The composite alarms, each after those that it depends on; without those in a circle, which are not evaluated. */
  #composites(): CompositeAlarm[] {
    const sorted: CompositeAlarm[] = [];
    const waiting = new Set(
      [...this.alarms.values()].filter((alarm) => alarm.kind === 'CompositeAlarm') as CompositeAlarm[],
    );
    for (let before = -1; before !== waiting.size; ) {
      before = waiting.size;
      for (const alarm of waiting) {
        const needs = [...alarm.rule.children, nameOf(alarm.config.ActionsSuppressor ?? '')];
        if ([...waiting].some((other) => needs.includes(other.name))) continue;
        waiting.delete(alarm);
        sorted.push(alarm);
      }
    }
    return sorted;
  }

  #transition(
    alarm: Alarm,
    value: StateValue,
    { reason, reasonData }: { reason: string; reasonData: string | undefined },
    now: number,
  ): void {
    const previous = alarm.state;
    const changed = previous.value !== value;
    alarm.state = {
      value,
      reason,
      reasonData,
      updated: now,
      transitioned: changed ? now : previous.transitioned,
    };
    if (!changed) return;
    const said = ({ value, reason, reasonData }: AlarmState) => ({
      stateValue: value,
      stateReason: reason,
      ...(reasonData !== undefined && { stateReasonData: JSON.parse(reasonData) as unknown }),
    });
    this.#record(alarm, now, 'StateUpdate', `Alarm updated from ${previous.value} to ${value}`, {
      version: '1.0',
      oldState: said(previous),
      newState: said(alarm.state),
    });
    if (alarm.kind === 'CompositeAlarm') this.#suppressNew(alarm, now);
    this.#emit('CloudWatch Alarm State Change', alarm, stateChange(alarm, previous));
    if (alarm.kind === 'MetricAlarm') this.#act(alarm, previous, now);
    else {
      alarm.pending = true;
      if (alarm.suppression === undefined) this.#catchUp(alarm, previous, now);
    }
  }

  /** Decides what holds back the actions of a state that a composite alarm has just come into. */
  #suppressNew(alarm: CompositeAlarm, now: number): void {
    const { ActionsSuppressor: suppressor, ActionsSuppressorWaitPeriod: wait = 0 } = alarm.config;
    if (suppressor === undefined) return;
    // Whatever was waited for is not waited for any longer.
    if (this.#suppressing(alarm)) alarm.suppression = { by: 'Alarm' };
    else alarm.suppression = wait > 0 ? { by: 'WaitPeriod', until: now + wait * 1_000 } : undefined;
  }

  /** Follows the suppressor of a composite alarm, and lets its actions run when nothing holds them back any longer. */
  #suppress(alarm: CompositeAlarm, now: number): void {
    const { suppression } = alarm;
    const { ActionsSuppressor: suppressor, ActionsSuppressorExtensionPeriod: extension = 0 } = alarm.config;
    if (suppressor === undefined) return;
    // The wait may have ended since the last evaluation, before the suppressor came.
    const isOver = suppression?.until !== undefined && suppression.until < now;
    if (isOver) this.#release(alarm, now);
    if (this.#suppressing(alarm)) {
      alarm.suppression = { by: 'Alarm' };
      return;
    }
    if (suppression === undefined || isOver) return;
    if (suppression.by === 'Alarm' && extension > 0) {
      alarm.suppression = { by: 'ExtensionPeriod', until: now + extension * 1_000 };
    } else if (now >= (suppression.until ?? now)) this.#release(alarm, now);
  }

  #release(alarm: CompositeAlarm, now: number): void {
    alarm.suppression = undefined;
    this.#catchUp(alarm, { ...alarm.state, value: alarm.acted }, now);
  }

  #suppressing({ config }: CompositeAlarm): boolean {
    return this.alarm(nameOf(config.ActionsSuppressor as string)).state.value === 'ALARM';
  }

  /** Runs the actions of a composite alarm's last change of state, unless they have run. */
  #catchUp(alarm: CompositeAlarm, previous: AlarmState, now: number): void {
    if (!alarm.pending) return;
    alarm.pending = false;
    alarm.acted = alarm.state.value;
    this.#act(alarm, previous, now);
  }

  #act(alarm: Alarm, previous: AlarmState, now: number): void {
    const { arn: alarmArn, state } = alarm;
    for (const arn of actionsOf(alarm.config, state.value)) {
      const isFunction = arn.startsWith('arn:aws:lambda:');
      const subject = isFunction ? '' : subjectOf(alarm);
      const text = isFunction ? functionEvent(alarm, previous) : topicMessage(alarm, previous);
      this.#later(async () => {
        const error = await this.#outside.act(arn, subject, text, alarmArn).then(
          () => undefined,
          ({ message }: Error) => message,
        );
        const summary = error === undefined ? 'Successfully executed action' : 'Failed to execute action';
        const said = error === undefined ? '' : `. Received error: "${error}"`;
        this.#record(alarm, now, 'Action', `${summary} ${arn}${said}`.slice(0, 255), {
          version: '1.0',
          actionState: error === undefined ? 'Succeeded' : 'Failed',
          stateUpdateTimestamp: state.transitioned,
          notificationResource: arn,
          ...(error === undefined ? { publishedMessage: text } : { error }),
        });
      });
    }
  }

  #emit(detailType: string, { arn }: Alarm, detail: object): void {
    this.#later(() => this.#outside.emit(detailType, detail, [arn]));
  }

  /** Queues what is to be done outside: what an alarm does waits for nobody, and keeps its order. */
  #later(task: () => Promise<void>): void {
    this.#outbox = this.#outbox.then(task);
  }

  #record(
    { name, kind }: Alarm,
    now: number,
    HistoryItemType: HistoryItem['HistoryItemType'],
    HistorySummary: string,
    data: object,
  ): void {
    const text = JSON.stringify(data);
    this.history.push({
      AlarmName: name,
      AlarmType: kind,
      Timestamp: now,
      HistoryItemType,
      HistorySummary,
      // Half of it would be no JSON.
      HistoryData: text.length <= MOST_HISTORY_DATA ? text : '{"version":"1.0"}',
    });
  }
}

/** Between two evaluations of an alarm, in milliseconds. */
function cadenceOf({ watched: { period }, config: { EvaluationPeriods } }: MetricAlarm): number {
  if (period < 60) return TICK_MS;
  return period * EvaluationPeriods > DAY_S ? HOUR_MS : MINUTE_MS;
}

/** The alarm that changed last. */
function latest(alarms: readonly Alarm[]): Alarm | undefined {
  return alarms.toSorted((a, b) => b.state.transitioned - a.state.transitioned)[0];
}

function parse(text: string): ReturnType<typeof parseRule> {
  try {
    return parseRule(text);
  } catch (error) {
    throw error instanceof RuleError ? invalid(error.message) : error;
  }
}
