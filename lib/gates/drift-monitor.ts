import { Duration } from 'aws-cdk-lib';
import { Alarm, ComparisonOperator, Metric, TreatMissingData } from 'aws-cdk-lib/aws-cloudwatch';
import { Construct } from 'constructs';
import {
  DRIFT_NAMESPACE,
  driftAlarmName,
  LARGEST_DRIFT_METRIC,
  type LocatedMonitor,
} from '../../functions/quality-gate/schema.ts';
import { secondsOf } from '../../functions/shared/schema.ts';
import { type Config, monitorBundleOf } from '../config.ts';
import { measuringFunction } from '../shared/engine.ts';
import { allowList, type EvidenceStore } from '../shared/evidence-store.ts';
import type { GateFunction } from '../shared/gate-function.ts';
import type { Notifications } from '../shared/notifications.ts';
import { Places } from '../shared/places.ts';

export interface DriftMonitorProps {
  /** As {@link loadConfig} returns it; with at least one monitor. */
  config: Pick<Config, 'file' | 'text' | 'monitors' | 'datasets' | 'engine'>;
  evidence: EvidenceStore;
  /** Where alarms go. */
  notifications: Notifications;
}

/**
 * Compares what endpoints are asked with the baseline of a dataset, on a schedule, and publishes the drift of each feature
 * as metrics: for teams without a monitor of their own. With an alarm where tocsin.yaml has a threshold.
 */
export class DriftMonitor extends Construct {
  readonly gate: GateFunction;
  /** By name of the monitor. */
  readonly alarms = new Map<string, Alarm>();

  constructor(scope: Construct, id: string, { config, evidence, notifications }: DriftMonitorProps) {
    super(scope, id);
    const monitors = [...config.monitors.values()];
    this.gate = measuringFunction(
      this,
      'Gate',
      // One at a time for each monitor: no bound is needed, and none reserved.
      { ...config.engine, concurrency: 'unreserved' },
      {
        name: 'drift-monitor',
        // In the folder of the quality gate: it measures as that does.
        entry: 'quality-gate/monitor-handler',
        unjudged: 'nobody knows whether its records have drifted',
        notifications,
      },
    );
    this.gate.readConfiguration(monitorBundleOf(config));
    evidence.readBaselines(
      this.gate,
      monitors.map(({ value }) => value.dataset),
    );
    this.#allowCaptures(config.datasets, monitors);
    this.gate.allow({
      actions: ['cloudwatch:PutMetricData'],
      resources: ['*'],
      conditions: { StringEquals: { 'cloudwatch:namespace': DRIFT_NAMESPACE } },
      wildcards: 'X-Ray takes segments, and CloudWatch data, on no narrower resource.',
    });
    for (const { name, value } of monitors) {
      this.gate.onSchedule(`Schedule-${name}`, `Runs the drift monitor ${name}`, value.schedule, {
        monitor: name,
      });
    }
    for (const monitor of monitors) this.#addAlarm(monitor, notifications);
  }

  #allowCaptures(datasets: Config['datasets'], monitors: readonly LocatedMonitor[]): void {
    const places = new Places(this, datasets, undefined);
    const captures = monitors.map(({ value }) => places.at(value.capture));
    for (const [bucket, members] of Map.groupBy(captures, (place) => place.bucket)) {
      const prefixes = [...new Set(members.map(({ key }) => `${key}*`))];
      this.gate.allow({
        actions: ['s3:GetObject'],
        resources: prefixes.map((prefix) => bucket.arnForObjects(prefix)),
        wildcards: 'What an endpoint captures; its keys are not known before.',
      });
      allowList(this.gate, bucket.bucketArn, prefixes);
    }
    const kmsKeys = [...new Set(monitors.flatMap(({ value }) => value.kmsKey ?? []))];
    if (kmsKeys.length > 0) this.gate.allow({ actions: ['kms:Decrypt'], resources: kmsKeys });
  }

  /**
   * Missing data stays missing: an alarm on data that no longer comes is INSUFFICIENT_DATA, and says so. Taken for good, it
   * would stay green for ever once the monitor is dead.
   */
  #addAlarm({ name, value }: LocatedMonitor, notifications: Notifications): void {
    const { alarm: wanted, endpoint, dataset, measure, minRecords, schedule } = value;
    if (wanted === undefined) return;
    const seconds = secondsOf(schedule);
    if (seconds === undefined) throw new Error(`the alarm of ${name} has no period: ${schedule} is no rate`);
    const alarm = new Alarm(this, `Alarm-${name}`, {
      alarmName: driftAlarmName(name),
      alarmDescription:
        `Tocsin drift monitor ${name}: what the endpoint ${endpoint} is asked has drifted from the baseline of ${dataset}, ` +
        `a feature by ${measure} ${wanted.threshold} or more; the metric Drift says which. INSUFFICIENT_DATA: nothing was ` +
        `compared, because fewer than ${minRecords} records came, or because the monitor does not run; its log says why. ` +
        `Runbook: ${notifications.runbook('drift-monitor')}`,
      metric: new Metric({
        namespace: DRIFT_NAMESPACE,
        metricName: LARGEST_DRIFT_METRIC,
        dimensionsMap: { Monitor: name },
        statistic: 'Maximum',
        // One data point each.
        period: Duration.seconds(seconds),
      }),
      threshold: wanted.threshold,
      comparisonOperator: ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
      evaluationPeriods: wanted.evaluationPeriods,
      treatMissingData: TreatMissingData.MISSING,
    });
    alarm.addAlarmAction(...notifications.alarmActions());
    alarm.addInsufficientDataAction(...notifications.alarmActions());
    this.alarms.set(name, alarm);
  }
}
