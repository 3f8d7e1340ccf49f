import { type HistoryEntry, historyKey } from '../../functions/shared/history.ts';
import { sha256, verdictFolder } from '../../functions/shared/identity.ts';
import type { GateName, Outcome } from '../../functions/shared/verdict.ts';
import type { FakeAws } from './fake-aws.ts';

/** One run that has ended, for tests of what reads the history. */
export interface PastRun {
  gate: GateName;
  subject: string;
  /** Milliseconds since 1970. */
  at: number;
  outcome?: Outcome;
  reason?: string;
  inputs?: Record<string, unknown>;
  /** 32 hexadecimal digits; derived from the rest where it is left out. */
  verdict?: string;
}

/** The entry that such a run leaves. */
function pastEntry(run: PastRun): HistoryEntry {
  const { gate, subject, at, outcome = 'pass', reason = `${subject} came out.`, inputs = {} } = run;
  const hash = sha256(JSON.stringify(run));
  return {
    history: 1,
    gate,
    subject,
    at,
    outcome,
    reason,
    inputs,
    verdict: run.verdict ?? hash.slice(0, 32),
    run: hash.slice(32, 40),
  };
}

/** Puts the entry of a run, its verdict and its report into a bucket. */
export function putPastRun(aws: FakeAws, bucket: string, run: PastRun): HistoryEntry {
  const entry = pastEntry(run);
  const { gate, subject, outcome, reason, inputs, verdict: id } = entry;
  const folder = verdictFolder(gate, subject, id);
  const verdict = { verdict: 1, id, gate, subject, outcome, reason, inputs, findings: [], notChecked: [] };
  aws.put(bucket, `${folder}report.html`, `<p>report of ${subject}</p>`);
  aws.put(bucket, `${folder}verdict.json`, JSON.stringify({ ...verdict, tocsin: '0.1.0' }));
  aws.put(bucket, historyKey(entry), JSON.stringify(entry));
  return entry;
}
