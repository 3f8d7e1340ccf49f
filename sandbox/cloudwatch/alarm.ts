import { ACCOUNT, REGION } from '../emulator.ts';
import type { StateValue } from './judge.ts';
import type { Watched } from './metric-alarm.ts';
import type { Rule } from './rule.ts';
import type { CompositeAlarmConfig, MetricAlarmConfig } from './schema.ts';

/** The state of an alarm. Times in milliseconds since 1970. */
export interface AlarmState {
  value: StateValue;
  reason: string;
  /** JSON. */
  reasonData: string | undefined;
  /** When it was set last. */
  updated: number;
  /** When the value changed last. */
  transitioned: number;
}

/** What alarms of both kinds have. */
export interface AnyAlarm {
  name: string;
  arn: string;
  /** When it was configured last, in milliseconds since 1970. */
  configured: number;
  tags: Map<string, string>;
  state: AlarmState;
}

export interface MetricAlarm extends AnyAlarm {
  kind: 'MetricAlarm';
  config: MetricAlarmConfig;
  watched: Watched;
}

/** Why the actions of a composite alarm do not run. */
export interface Suppression {
  by: 'Alarm' | 'WaitPeriod' | 'ExtensionPeriod';
  /** When the period ends, in milliseconds since 1970. */
  until?: number;
}

export interface CompositeAlarm extends AnyAlarm {
  kind: 'CompositeAlarm';
  config: CompositeAlarmConfig;
  rule: Rule;
  /** The states of its children when it was evaluated last. */
  seen: string | undefined;
  suppression: Suppression | undefined;
  /** The state whose actions have run, or had no need to. */
  acted: StateValue;
  /** Whether the actions of its last change of state have still to run. */
  pending: boolean;
}

export type Alarm = MetricAlarm | CompositeAlarm;

export type AlarmConfig = MetricAlarmConfig | CompositeAlarmConfig;

/** One entry of an alarm's history, as DescribeAlarmHistory answers it, but for the time: milliseconds since 1970. */
export interface HistoryItem {
  AlarmName: string;
  AlarmType: Alarm['kind'];
  Timestamp: number;
  HistoryItemType: 'ConfigurationUpdate' | 'StateUpdate' | 'Action';
  HistorySummary: string;
  /** JSON. */
  HistoryData: string;
}

export function arnOf(name: string): string {
  return `arn:aws:cloudwatch:${REGION}:${ACCOUNT}:alarm:${name}`;
}

/** The actions that a state runs. */
export function actionsOf(config: AlarmConfig, state: StateValue): readonly string[] {
  if (!config.ActionsEnabled) return [];
  const { OKActions, AlarmActions, InsufficientDataActions } = config;
  return { OK: OKActions, ALARM: AlarmActions, INSUFFICIENT_DATA: InsufficientDataActions }[state];
}
