import type { AlarmState, CompositeAlarm, MetricAlarm, MetricName, OtherAlarm } from './alarm.ts';
import type { Transition } from './series.ts';

/*
 * What reading an alarm and drilling it yields: plain JSON, no opinion. Times are milliseconds since 1970.
 */

// ---------------------------------------------------------------------------------------------------------
// Read: the configuration of the alarm and of everything that it depends on
// ---------------------------------------------------------------------------------------------------------

/** What is known of one metric that the alarm watches, of the last two weeks at most. */
export interface MetricFacts {
  /** As the alarm names it. */
  metric: MetricName;
  /** Whether there is a metric of exactly this name and these dimensions. */
  exists: boolean;
  /** The metrics that come nearest to one that does not exist, at most 5, the nearest first. */
  near: MetricName[];
  /** Periods of the alarm with data of the unit that it asks for, and with data of any unit; of the last `lookBackMs`. */
  periods: { asked: number; anyUnit: number; lookBackMs: number };
  /**
   * Data points as the alarm sees them, of the newest periods, oldest first, at most 200: their ends, and values by its
   * statistic and unit.
   */
  recent: { at: number; value: number }[];
  /** Extremes of single samples; absent without data. */
  extremes?: { min: number; max: number };
  /**
   * How often samples come: the median distance between the finest periods with data, milliseconds; absent with fewer
   * than three. At least as long as `resolutionMs`.
   */
  every?: number;
  /** The finest period that was asked for. */
  resolutionMs: number;
  /** Median of the samples in a period of the alarm that has some. */
  samplesPerPeriod?: number;
  /** The newest data of any unit; absent without any. */
  newestAt?: number;
}

/** Whether CloudWatch may use something, by its resource policy; `unclear`: a condition that cannot be decided here. */
export interface Permission {
  verdict: 'allowed' | 'denied' | 'unclear';
  /** In words: `the policy of the topic lets only 111122223333 publish`. */
  why: string;
}

/** What an alarm tells: one action of it, or of a composite alarm above it. */
export type ActionFacts =
  | {
      kind: 'sns';
      arn: string;
      exists: boolean;
      /** By `cloudwatch.amazonaws.com` on behalf of the alarm. */
      publish?: Permission;
      /** The customer-managed or AWS-managed key of an encrypted topic, and whether CloudWatch may use it. */
      key?: { id: string } & Permission;
      /** Without the drill's own. `endpoint` is masked where it names a person. */
      subscriptions: { protocol: string; endpoint: string; pending: boolean; filter?: string }[];
    }
  | { kind: 'lambda'; arn: string; exists: boolean; invoke?: Permission }
  /** An action whose target nobody can look at: EC2, Auto Scaling, OpsCenter, Incident Manager, another account. */
  | { kind: 'unchecked'; arn: string; why: string };

/** An endpoint whose deployments the alarm is to roll back. */
export interface GuardrailFacts {
  endpoint: string;
  exists: boolean;
  /** Alarms of the AutoRollbackConfiguration of its last deployment. */
  alarms: string[];
  /** How long new capacity is watched before the old one goes: all waits of the last deployment. */
  bakeMs?: number;
}

/** Everything that was read of one drill's alarm. */
export interface Facts {
  readAt: number;
  account: string;
  region: string;
  /** Null: there is no such alarm. */
  alarm: MetricAlarm | CompositeAlarm | OtherAlarm | null;
  /** Names of existing alarms that come nearest to one that does not exist, at most 5; children of a composite alarm. */
  near: string[];
  /** Composite alarms whose rule names the alarm, and those above them, at most 100. */
  parents: CompositeAlarm[];
  /** States of all other alarms that the rules of `parents` and their suppressors name; null: there is none. */
  others: Record<string, AlarmState | null>;
  /** By id of the query. */
  metrics: Record<string, MetricFacts>;
  /** By ARN: actions of the alarm and of its parents, for ALARM and for INSUFFICIENT_DATA. */
  actions: Record<string, ActionFacts>;
  /** Mute rules that hold the actions of the alarm back now, or are to. */
  mutes: { name: string; active: boolean; until?: number }[];
  guardrail?: GuardrailFacts;
  /** What could not be read, and why: never taken for right. */
  unread: { what: string; why: string }[];
}

// ---------------------------------------------------------------------------------------------------------
// Drilled: shadow alarms on a ladder
// ---------------------------------------------------------------------------------------------------------

/** What is published of one metric at one tick: `count` times `value`. */
export interface TickSample {
  value: number;
  /** Above 0; need not be whole. */
  count: number;
}

/** One shadow alarm of the ladder, and what its metric does. */
export interface Rung {
  /** `0.95x`, `silence`; of a later round `3.2x`. Unique in a round. */
  id: string;
  /** Times the intended threshold; null: nothing is published after the warm-up. */
  times: number | null;
  /** What the alarm gets to see while it drifts. Null as `times`. */
  value: number | null;
  /** Quiet ones must stay OK, loud ones must come to ALARM. */
  expects: 'quiet' | 'loud' | 'silence';
}

/**
 * One round of the ladder. Tick `k` is at `startedAt + k * cadenceMs`: `warmUp` ticks of the healthy value, then `drift`
 * ticks of the rung's own, then `recovery` ticks of the healthy value.
 */
export interface Plan {
  rungs: Rung[];
  /** What the alarm gets to see of a healthy metric. */
  healthy: number;
  cadenceMs: number;
  warmUp: number;
  drift: number;
  /** 0: this round does not look at it. */
  recovery: number;
  /** Pause after the last tick, until every evaluation of it has happened. */
  settleMs: number;
  /**
   * What is published each tick so that the alarm sees a value, by id of the query. Of metric math the driven query is
   * solved for; of `Sum` a value is spread over the ticks of a period.
   */
  published: { value: number; samples: Record<string, TickSample> }[];
}

/** A message that came out of the receipt queue. */
export interface Receipt {
  alarm: string;
  /** The state that it tells of. */
  state: AlarmState;
  /** The topic that it came through. */
  topic: string;
  /** Hops: the transition as CloudWatch has it, the notification as SNS has it, the receipt as SQS has it. */
  changedAt: number;
  notifiedAt: number;
  receivedAt: number;
}

/** What one shadow alarm did. */
export interface RungResult {
  id: string;
  /** Name of the shadow alarm. */
  alarm: string;
  /** By CloudWatch's own history, oldest first. */
  transitions: Transition[];
  /** In the order of their transitions. */
  receipts: Receipt[];
  /** Ticks whose data CloudWatch has, of those that were published; more: some were published twice. */
  samples: { published: number; seen: number };
  /** What CloudWatch says of actions that failed, at most 5. */
  failedActions: string[];
}

export interface Round {
  startedAt: number;
  plan: Plan;
  results: RungResult[];
  /** Ticks that were published more than half a cadence late. */
  lateTicks: number;
}

/** One message down the real path of the alarm: `deliver: real`. */
export interface Delivery {
  /** The action of the alarm, or of a composite alarm above it, that is an SNS topic. */
  topic: string;
  /** The shadow alarm that told it. */
  alarm: string;
  /** What the temporary subscription of the drill received; null: nothing in time. */
  receipt: Receipt | null;
  /** How many others are subscribed, confirmed. */
  subscribers: number;
  failedActions: string[];
}

// ---------------------------------------------------------------------------------------------------------
// Drilled: the real metric, and the whole chain
// ---------------------------------------------------------------------------------------------------------

/** Data points that are kept of a phase. */
export const PHASE_POINTS = 100;

/** One phase of a drill of the real alarm. */
export interface LivePhase {
  /** What is injected or sent. */
  phase: 'under' | 'over' | 'healthy';
  startedAt: number;
  endedAt: number;
  /** Of `mode: live`: what was published. */
  value?: number;
  /** Of `mode: traffic`: the drift that was asked for, and that of the records that were sent. */
  drift?: { asked: number; sent: number };
  /** Of `mode: traffic`: records that were sent, and requests that failed. */
  records?: number;
  failedRequests?: number;
  /** Data points of the alarm's metric that came since the phase began, as the alarm sees them: the newest {@link PHASE_POINTS}. */
  metric: { at: number; value: number }[];
  /** Of the real alarm, during the phase. */
  transitions: Transition[];
  /** Of the real alarm at the end of the phase. */
  state: AlarmState;
}

/** Everything that a verdict of this drill is judged from. */
export interface Measurements {
  facts: Facts;
  /** Rounds of the ladder; empty without one. */
  rounds: Round[];
  deliveries: Delivery[];
  /** Phases of `mode: live` and `mode: traffic`. */
  phases: LivePhase[];
  /** Why nothing was drilled, where only the configuration was judged: asked for, or what kept it from being drilled. */
  notDrilled: string | null;
}
