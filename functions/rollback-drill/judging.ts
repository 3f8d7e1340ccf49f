import { clip } from '../shared/format.ts';
import { lineAt } from '../shared/schema.ts';
import type { Finding, NotChecked } from '../shared/verdict.ts';
import type { Measurements } from './measurements.ts';
import type { LocatedRollbackDrill } from './schema.ts';
import type { WayBack } from './way-back.ts';

/*
 * What the judges of one drill share.
 */

/** Every check of a drill, in the order in which they are told. */
export const CHECKS = [
  'restored',
  'drill',
  'bad-model-serves',
  'procedure',
  'previous-model-serves',
  'recovery-time',
  'wrong-model-after-rollback',
  'lost-requests',
  'steady',
  'configuration',
  'images',
  'weights',
  'capacity',
  'guardrail',
] as const;

export type Check = (typeof CHECKS)[number];

/** The longest message of a finding, in characters. */
const LONGEST = 2000;

/** A finding before it knows its line. */
type Draft = Omit<Finding, 'check' | 'subject' | 'rule'> & {
  check: Check | 'production';
  /** The endpoint, where it is absent. */
  subject?: string;
  path: readonly PropertyKey[];
};

/** One judgement as it grows. */
export class Judging {
  readonly findings: Finding[] = [];
  readonly notChecked: NotChecked[] = [];
  readonly measurements: Measurements;
  readonly drill: LocatedRollbackDrill;
  /** Null where no procedure was begun. */
  readonly way: WayBack | null;

  constructor(measurements: Measurements, way: WayBack | null, drill: LocatedRollbackDrill) {
    this.measurements = measurements;
    this.way = way;
    this.drill = drill;
  }

  /** Name of the endpoint. */
  get endpoint(): string {
    return this.drill.value.endpoint;
  }

  add({ path, message, ...draft }: Draft): void {
    this.findings.push({
      subject: this.endpoint,
      ...draft,
      message: clip(message, LONGEST),
      rule: this.drill.locate(path),
    });
  }

  skip(check: Check, why: string, subject = this.endpoint): void {
    this.notChecked.push({ subject, check, why });
  }

  at(path: readonly PropertyKey[]): string {
    return lineAt(this.drill, path);
  }
}
