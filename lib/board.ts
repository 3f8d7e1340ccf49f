import { Duration, Stack } from 'aws-cdk-lib';
import {
  Alarm,
  type AlarmProps,
  ComparisonOperator,
  Metric,
  TreatMissingData,
} from 'aws-cdk-lib/aws-cloudwatch';
import type { CfnBucket } from 'aws-cdk-lib/aws-s3';
import { Construct } from 'constructs';
import { type BoardBundle, type BoardRow, HAPPENS } from '../functions/board/schema.ts';
import { METRIC_NAMESPACE } from '../functions/shared/schema.ts';
import type { Config } from './config.ts';
import { type ReadinessConfig, rowsOf } from './readiness.ts';
import { architectureOf } from './shared/engine.ts';
import { allowList, type EvidenceStore } from './shared/evidence-store.ts';
import { GateFunction } from './shared/gate-function.ts';
import type { Notifications } from './shared/notifications.ts';

/** How often it is rebuilt, although nothing has happened: time alone makes verdicts stale. */
const REBUILT = Duration.hours(1);

export interface BoardProps {
  /** As {@link loadConfig} returns it. */
  config: ReadinessConfig & Pick<Config, 'engine'>;
  evidence: EvidenceStore;
  /** Where alarms go. */
  notifications: Notifications;
}

/**
 * One page with the five gaps of every model, and as JSON, beside the evidence: rebuilt when a run has left its entry in the
 * history, every hour, and when the stack was deployed. And the alarms on what it counts.
 */
export class Board extends Construct {
  readonly gate: GateFunction;

  constructor(scope: Construct, id: string, { config, evidence, notifications }: BoardProps) {
    super(scope, id);
    const rows = rowsOf(config);
    this.gate = new GateFunction(this, 'Gate', {
      name: 'board',
      entry: 'board/handler',
      architecture: architectureOf(config.engine),
      memory: 512,
      disk: 512,
      timeout: Duration.minutes(2),
      concurrency: 'unreserved',
      layers: [],
      notifications,
      unjudged: 'the board shows it an hour later, if that run of it does not fail, too',
    });
    this.gate.readConfiguration({ bundle: 1, rows } satisfies BoardBundle);
    this.#connect(evidence);
    this.#addTriggers(evidence);
    this.#addAlarms(rows, notifications);
  }

  #connect({ bucket }: EvidenceStore): void {
    this.gate.environment('EVIDENCE_BUCKET', bucket.bucketName);
    this.gate.allow({
      actions: ['s3:GetObject'],
      resources: ['history/*', 'board/*'].map((pattern) => bucket.arnForObjects(pattern)),
      wildcards: 'When every gate came to which verdict, one object for each run; and the board itself.',
    });
    this.gate.allow({ actions: ['s3:PutObject'], resources: [bucket.arnForObjects('board/*')] });
    allowList(this.gate, bucket.bucketArn, ['history/*', 'board/*']);
    // Each of them is replaced by the next: those of a week are enough to look back at.
    bucket.addLifecycleRule({ prefix: 'board/', noncurrentVersionExpiration: Duration.days(7) });
  }

  #addTriggers({ bucket }: EvidenceStore): void {
    // Not on the events that gates emit: they are emitted before the entry is there, and not at all of a verdict that comes
    // again, which is as fresh as a new one.
    (bucket.node.defaultChild as CfnBucket).notificationConfiguration = {
      eventBridgeConfiguration: { eventBridgeEnabled: true },
    };
    this.gate.onEvents('History', 'Runs that have ended with a verdict', {
      source: ['aws.s3'],
      detailType: ['Object Created'],
      detail: { bucket: { name: [bucket.bucketName] }, object: { key: [{ prefix: 'history/' }] } },
    });
    this.gate.onSchedule('Hourly', 'Rebuilds the board', `rate(${REBUILT.toHours()} hour)`, {});
    const { stackId } = Stack.of(this);
    this.gate.onEvents(
      'Deployed',
      'Deployments of this stack, which may have changed what releases wait for',
      {
        source: ['aws.cloudformation'],
        detailType: ['CloudFormation Stack Status Change'],
        detail: {
          'stack-id': [stackId],
          'status-details': { status: ['CREATE_COMPLETE', 'UPDATE_COMPLETE'] },
        },
      },
    );
  }

  #addAlarms(rows: readonly BoardRow[], notifications: Notifications): void {
    const requirements = rows.flatMap((row) => row.requirements);
    const tell = notifications.alarmActions();
    if (requirements.some(({ section }) => !HAPPENS.includes(section))) {
      new Alarm(this, 'OverdueAlarm', {
        ...once('OverdueDrills', 'board', 'Maximum', REBUILT),
        // Nobody knows better than the last count: the other alarm tells that there is none.
        treatMissingData: TreatMissingData.IGNORE,
        alarmDescription: `Tocsin board: a drill is overdue. A canary, a drill or a comparison has not come to a verdict for longer than that counts, or never has; the board says which. Runbook: ${notifications.runbook('drill-overdue')}`,
      }).addAlarmAction(...tell);
    }
    new Alarm(this, 'NotRebuiltAlarm', {
      ...once('Rebuilt', 'board', 'Sum', REBUILT),
      comparisonOperator: ComparisonOperator.LESS_THAN_THRESHOLD,
      evaluationPeriods: 3,
      // It is there to notice that nothing comes.
      treatMissingData: TreatMissingData.BREACHING,
      alarmDescription: `Tocsin board: it was not rebuilt for three hours, so it shows what was, and no alarm on what is overdue can ring. In the first minutes of a deployment it may not have been built yet. Runbook: ${notifications.runbook('board-not-rebuilt')}`,
    }).addAlarmAction(...tell);
    for (const gate of new Set(requirements.map((requirement) => requirement.gate))) {
      new Alarm(this, `Failed-${gate}`, {
        ...once('Failed', gate, 'Sum', Duration.minutes(5)),
        treatMissingData: TreatMissingData.NOT_BREACHING,
        alarmDescription: `Tocsin ${gate}: a verdict failed within the last minutes. This alarm tells nobody, because the verdict has told them already: it is for dashboards, and for what is to be stopped by an alarm. Runbook: ${notifications.runbook('gate-failed')}`,
      });
    }
  }
}

/** An alarm that one data point is enough for. */
function once(
  metricName: string,
  gate: string,
  statistic: string,
  period: Duration,
): Pick<AlarmProps, 'metric' | 'threshold' | 'evaluationPeriods' | 'comparisonOperator'> {
  return {
    metric: gateMetric(metricName, gate, statistic, period),
    threshold: 1,
    evaluationPeriods: 1,
    comparisonOperator: ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
  };
}

/** A metric of all that a gate judges, or of the board. */
export function gateMetric(metricName: string, gate: string, statistic: string, period: Duration): Metric {
  return new Metric({
    namespace: METRIC_NAMESPACE,
    metricName,
    dimensionsMap: { gate },
    statistic,
    period,
  });
}
