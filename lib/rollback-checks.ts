import type { DatasetConfig } from '../functions/quality-gate/schema.ts';
import type { RollbackDrillConfig } from '../functions/rollback-drill/schema.ts';
import { type Complain, checkGolden } from './place-checks.ts';

/*
 * What rollback drills say of datasets, and of permissions: mistakes that no schema of one section can see.
 */

/** The sections of tocsin.yaml that rollback drills have to do with. */
export interface RollbackSections {
  datasets: Record<string, DatasetConfig>;
  rollbackDrills: Record<string, RollbackDrillConfig>;
}

/** Checks the section `rollbackDrills` against `datasets`. */
export function checkRollbackDrills(sections: RollbackSections, complain: Complain): void {
  for (const [name, drill] of Object.entries(sections.rollbackDrills)) {
    const path = ['rollbackDrills', name];
    checkGolden([...path, 'golden'], drill.golden, sections, complain);
    checkGuardrail(path, drill, complain);
  }
}

/** The alarm that a drill sets off itself. */
function checkGuardrail(
  path: PropertyKey[],
  { failure: { breakGuardrail }, stopIf }: RollbackDrillConfig,
  complain: Complain,
): void {
  if (breakGuardrail === undefined) return;
  const { alarm } = breakGuardrail;
  if (/[*?]|\$\{/.test(alarm)) {
    complain(
      [...path, 'failure', 'breakGuardrail', 'alarm'],
      `expected a name without *, ? and \${, which mean something else in a permission, got ${alarm}`,
    );
  }
  const index = stopIf.indexOf(alarm);
  if (index >= 0) {
    complain(
      [...path, 'stopIf', index],
      `is the alarm that the drill sets to ALARM itself: it would break itself off`,
    );
  }
}
