import type { BoardRow, Requirement } from '../../functions/board/schema.ts';
import type { Observed } from '../../functions/board/standing.ts';
import type { HistoryPoint } from '../../functions/shared/history.ts';
import { sha256 } from '../../functions/shared/identity.ts';
import type { Outcome } from '../../functions/shared/verdict.ts';

/** A requirement of a rollback drill, but for what is given. */
export function requirementOf(of: Partial<Requirement> = {}): Requirement {
  const name = of.name ?? 'churn';
  return {
    gap: 'rollback',
    gate: 'rollback-drill',
    subject: name,
    section: 'rollbackDrills',
    name,
    title: `rollback drill ${name}`,
    freshMs: 8 * 86_400_000,
    configured: [],
    line: 'tocsin.yaml:7',
    again: `Run: tocsin drill rollback ${name}`,
    ...of,
  };
}

/** What requirements are about, one of each gap. */
export const SUBJECTS = [
  { gap: 'pipeline', gate: 'holdout-evaluation', section: 'models', subject: 'churn' },
  { gap: 'rollback', gate: 'rollback-drill', section: 'rollbackDrills', subject: 'churn' },
  { gap: 'alarms', gate: 'alarm-drill', section: 'alarmDrills', subject: 'churn-errors' },
  { gap: 'data', gate: 'quality-gate', section: 'datasets', subject: 'customers' },
  { gap: 'parity', gate: 'config-parity', section: 'parity', subject: 'churn' },
] as const;

/** A release that waits for each of {@link SUBJECTS}. */
export function releaseRow(model = 'churn', environment = 'production'): BoardRow {
  return {
    model,
    environment,
    requirements: SUBJECTS.map((of) =>
      requirementOf({ ...of, name: of.subject, title: `${of.section} ${of.subject}` }),
    ),
  };
}

/** A run of a requirement. */
export function pointAt(at: number, outcome: Outcome = 'pass', of = requirementOf()): HistoryPoint {
  const verdict = sha256(`${of.subject} ${at}`).slice(0, 32);
  return { gate: of.gate, subject: of.subject, at, outcome, verdict, run: verdict.slice(0, 8) };
}

/** What is known of a requirement: its runs, the latest first. */
export function observedOf(points: readonly HistoryPoint[], reason = 'so it was'): Observed {
  const [latest] = points;
  return {
    history: points,
    latest: latest && { ...latest, history: 1, reason, inputs: {} },
  };
}

/** S3's word that an object was created. */
export function historyEvent(key: string): unknown {
  return {
    source: 'aws.s3',
    'detail-type': 'Object Created',
    detail: { bucket: { name: 'evidence' }, object: { key } },
  };
}
