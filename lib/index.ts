/** Tocsin's constructs, for use in another CDK app. */

export { Board, type BoardProps } from './board.ts';
export { type Config, type Dataset, type EngineConfig, loadConfig } from './config.ts';
export { GatesDashboard, type GatesDashboardProps } from './dashboard.ts';
export { AlarmDrill, type AlarmDrillProps } from './gates/alarm-drill.ts';
export { ConfigParity, type ConfigParityProps } from './gates/config-parity.ts';
export { DriftMonitor, type DriftMonitorProps } from './gates/drift-monitor.ts';
export { HoldoutEvaluation, type HoldoutEvaluationProps } from './gates/holdout-evaluation.ts';
export { PipelineCanary, type PipelineCanaryProps } from './gates/pipeline-canary.ts';
export { QualityGate, type QualityGateProps } from './gates/quality-gate.ts';
export { Rollback, type RollbackProps } from './gates/rollback.ts';
export { RollbackDrill, type RollbackDrillProps } from './gates/rollback-drill.ts';
export { GatesStack, type GatesStackProps } from './gates-stack.ts';
export { EvidenceStore } from './shared/evidence-store.ts';
export { GateFunction, type GateFunctionProps } from './shared/gate-function.ts';
export {
  type Lock,
  type LockedPrefix,
  type LockProblem,
  type LockStatement,
  lockStatements,
  missingLocks,
} from './shared/lock-policy.ts';
export { ModelRunner, type ModelRunnerProps } from './shared/model-runner.ts';
export {
  Notifications,
  type NotificationsProps,
  type SlackChannel,
  type TeamsChannel,
} from './shared/notifications.ts';
export { type ReaderTemplateOptions, readerTemplate } from './shared/parity-reader.ts';
export { WorkBucket, type WorkBucketProps } from './shared/work-bucket.ts';
