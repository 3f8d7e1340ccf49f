import { clip } from '../shared/format.ts';
import type { Finding, NotChecked } from '../shared/verdict.ts';
import type { Difference } from './comparison.ts';
import type { Evaluation } from './evaluate.ts';
import type { Parity, Side } from './schema.ts';
import type { Snapshot } from './snapshot.ts';

/*
 * What the judges of one comparison share.
 */

/** The longest message of a finding, in characters. */
const LONGEST = 2000;

/** A finding; `path` begins below the comparison in tocsin.yaml, `entry` is the number of one in parity.yaml. */
type Draft = Omit<Finding, 'rule'> & ({ path: readonly PropertyKey[] } | { entry: number });

/** One judgement as it grows. */
export class Judging {
  readonly findings: Finding[] = [];
  readonly notChecked: NotChecked[] = [];
  readonly snapshots: Record<Side, Snapshot>;
  readonly evaluation: Evaluation;
  readonly parity: Parity;
  readonly #differences: ReadonlyMap<string, Difference>;

  constructor(snapshots: Record<Side, Snapshot>, evaluation: Evaluation, parity: Parity) {
    this.snapshots = snapshots;
    this.evaluation = evaluation;
    this.parity = parity;
    this.#differences = new Map(evaluation.comparison.differences.map((one) => [one.text, one]));
  }

  add({ message, ...draft }: Draft): void {
    const { path, entry, ...finding } = { path: undefined, entry: undefined, ...draft };
    const rule =
      entry === undefined ? this.parity.locate(path ?? []) : this.parity.documented?.locate([entry]);
    this.findings.push({
      ...finding,
      message: clip(message, LONGEST),
      ...(rule !== undefined && { rule }),
    });
  }

  skip(subject: string, check: string, why: string): void {
    this.notChecked.push({ subject, check, why });
  }

  /** The difference at a path. */
  differenceAt(text: string | undefined): Difference | undefined {
    return text === undefined ? undefined : this.#differences.get(text);
  }
}

const DAY_MS = 86_400_000;

/** The day of a moment, in UTC: `2026-11-22`. */
export function dayOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}

/** How many days one day is after another; negative: before. */
export function daysBetween(from: string, to: string): number {
  return Math.round((Date.parse(to) - Date.parse(from)) / DAY_MS);
}
