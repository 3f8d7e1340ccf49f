import { CfnOutput, Duration, Stack, type StackProps } from 'aws-cdk-lib';
import type { IBucket } from 'aws-cdk-lib/aws-s3';
import type { Construct } from 'constructs';
import { BOARD_PAGE } from '../functions/board/schema.ts';
import { Board } from './board.ts';
import type { Config } from './config.ts';
import { GatesDashboard } from './dashboard.ts';
import { AlarmDrill, longestDrill } from './gates/alarm-drill.ts';
import { ConfigParity, LONGEST_PARITY } from './gates/config-parity.ts';
import { DriftMonitor } from './gates/drift-monitor.ts';
import { HoldoutEvaluation, longestEvaluation } from './gates/holdout-evaluation.ts';
import { longestCanary, PipelineCanary } from './gates/pipeline-canary.ts';
import { QualityGate } from './gates/quality-gate.ts';
import { LONGEST_ROLLBACK, Rollback } from './gates/rollback.ts';
import { longestRollbackDrill, RollbackDrill } from './gates/rollback-drill.ts';
import { EvidenceStore } from './shared/evidence-store.ts';
import { ModelRunner } from './shared/model-runner.ts';
import { Notifications } from './shared/notifications.ts';
import { WorkBucket } from './shared/work-bucket.ts';

export interface GatesStackProps extends StackProps {
  /** As {@link loadConfig} returns it. */
  config: Config;
}

/** What every gate gets. */
interface Base {
  config: Config;
  evidence: EvidenceStore;
  notifications: Notifications;
}

/** What gates get whose runs outlive an invocation. */
interface Shared extends Base {
  work: WorkBucket;
  /** The bucket that Tocsin creates. */
  dataBucket: IBucket | undefined;
}

/** All gates of one tocsin.yaml, their evidence and their notifications. */
export class GatesStack extends Stack {
  constructor(scope: Construct, id: string, { config, ...props }: GatesStackProps) {
    super(scope, id, { description: 'Tocsin: gates that make silent ML failures loud', ...props });
    const notifications = new Notifications(this, 'Notifications', config.notify);
    const evidence = new EvidenceStore(this, 'Evidence');
    this.#output('EvidenceBucket', evidence.bucket.bucketName, 'Verdicts, reports and baselines');
    this.#output('NotificationTopic', notifications.topic.topicArn, 'Verdicts and alarms');
    if (notifications.chat !== undefined) {
      this.#output('ChatTopic', notifications.chat.topicArn, 'The same, as chats understand it');
    }

    const base: Base = { config, evidence, notifications };
    const dataBucket = config.datasets.length > 0 ? this.#addQualityGate(base) : undefined;
    if (config.monitors.size > 0) this.#addDriftMonitor(base);

    this.#addRuns(base, dataBucket);
    this.#addBoard(base);
  }

  /** What outlives an invocation. */
  #addRuns(base: Base, dataBucket: IBucket | undefined): void {
    const { config, evidence } = base;
    const longest = longestRun(config);
    if (longest === undefined) return;
    const work = new WorkBucket(this, 'Work', { longest, evidence });
    this.#output(
      'WorkBucket',
      work.bucket.bucketName,
      'Inputs, outputs, claims and progress of runs while they last',
    );
    const shared: Shared = { ...base, work, dataBucket };
    if (config.models.size > 0) this.#addEvaluation(shared);
    if (config.drills.size > 0) this.#addAlarmDrill(shared);
    if (config.rollbackDrills.size > 0) this.#addRollbackDrill(shared);
    if (config.parities.size > 0) this.#addConfigParity(shared);
  }

  /** The last: it looks at all that there is. */
  #addBoard(base: Base): void {
    const { gate } = new Board(this, 'Board', base);
    this.#output('BoardAlias', gate.alias.functionArn, 'Invoke it with {} to build the board anew');
    this.#output('BoardPage', base.evidence.bucket.s3UrlForObject(BOARD_PAGE), 'Open it with: tocsin board');
    new GatesDashboard(this, 'Dashboard', base);
  }

  /** @returns the bucket that it creates, where a dataset names none */
  #addQualityGate(base: Base): IBucket | undefined {
    const { gate, dataBucket } = new QualityGate(this, 'QualityGate', base);
    if (dataBucket !== undefined) {
      this.#output('DataBucket', dataBucket.bucketName, 'Upload the datasets that name no bucket here');
    }
    this.#output('QualityGateAlias', gate.alias.functionArn, 'Invoke it with {"dataset": ..., "uri": ...}');
    this.#output('QualityGateRole', gate.role.roleArn, 'The only role that may read and tag locked data');
    return dataBucket as IBucket | undefined;
  }

  #addDriftMonitor(base: Base): void {
    const { gate } = new DriftMonitor(this, 'DriftMonitor', base);
    this.#output('DriftMonitorAlias', gate.alias.functionArn, 'Invoke it with {"monitor": NAME}');
  }

  /** The evaluation of models, and the canary, which ends in one. */
  #addEvaluation({ work, ...shared }: Shared): void {
    const { models, canaries } = shared.config;
    const runner = new ModelRunner(this, 'ModelRunner', { models: [...models.values()], work });
    const evaluation = new HoldoutEvaluation(this, 'HoldoutEvaluation', { ...shared, runner });
    this.#output(
      'HoldoutEvaluationAlias',
      evaluation.gate.alias.functionArn,
      'Invoke it with {"package": ARN}, or run: tocsin evaluate --package ARN',
    );
    if (runner.role !== undefined) {
      this.#output(
        'ModelRole',
        runner.role.roleArn,
        'What models under evaluation run with, unless they name a role',
      );
    }
    if (canaries.size === 0) return;
    const canary = new PipelineCanary(this, 'PipelineCanary', { ...shared, runner });
    this.#output(
      'PipelineCanaryAlias',
      canary.gate.alias.functionArn,
      'Invoke it with {"canary": NAME}, or run: tocsin canary NAME',
    );
  }

  #addAlarmDrill(shared: Shared): void {
    const drill = new AlarmDrill(this, 'AlarmDrill', shared);
    this.#output(
      'AlarmDrillAlias',
      drill.gate.alias.functionArn,
      'Invoke it with {"drill": NAME}, or run: tocsin drill alarm NAME',
    );
    this.#output('ProbeTopic', drill.probe.topicArn, 'What clones of alarms notify while they are drilled');
  }

  /** The drill, and the rollback: one that no drill tries is what this is about. */
  #addRollbackDrill(shared: Shared): void {
    const rollback = new Rollback(this, 'Rollback', shared);
    this.#output(
      'RollbackAlias',
      rollback.gate.alias.functionArn,
      'Invoke it with {"endpoint": NAME, "to": ...}, or run: tocsin rollback ENDPOINT --to ...',
    );
    const drill = new RollbackDrill(this, 'RollbackDrill', { ...shared, rollback });
    this.#output(
      'RollbackDrillAlias',
      drill.gate.alias.functionArn,
      'Invoke it with {"drill": NAME}, or run: tocsin drill rollback NAME',
    );
  }

  #addConfigParity(shared: Shared): void {
    const { gate } = new ConfigParity(this, 'ConfigParity', shared);
    this.#output(
      'ConfigParityAlias',
      gate.alias.functionArn,
      'Invoke it with {"parity": NAME}, or run: tocsin parity NAME',
    );
    this.#output('ConfigParityRole', gate.role.roleArn, 'What reader roles in other accounts have to trust');
  }

  #output(name: string, value: string, description: string): void {
    new CfnOutput(this, name, { value, description });
  }
}

/** The longest that a run may take which outlives an invocation; undefined where there is none. */
function longestRun(config: Config): Duration | undefined {
  const { models, canaries, drills, rollbackDrills, parities } = config;
  const longest = [
    ...(models.size > 0 ? [longestEvaluation([...models.values()])] : []),
    ...(canaries.size > 0 ? [longestCanary(config)] : []),
    ...(drills.size > 0 ? [longestDrill(config)] : []),
    ...(rollbackDrills.size > 0 ? [longestRollbackDrill(config), LONGEST_ROLLBACK] : []),
    ...(parities.size > 0 ? [LONGEST_PARITY] : []),
  ].map((duration) => duration.toMilliseconds());
  return longest.length === 0 ? undefined : Duration.millis(Math.max(...longest));
}
