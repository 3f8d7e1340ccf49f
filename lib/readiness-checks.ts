import type { Readiness } from '../functions/board/schema.ts';
import { didYouMean } from '../functions/shared/schema.ts';
import type { Complain } from './place-checks.ts';

/*
 * What releases name of the other sections of tocsin.yaml: mistakes that no schema of one section can see.
 */

/** Sections of tocsin.yaml that a release names entries of. */
const SECTIONS = ['canaries', 'rollbackDrills', 'alarmDrills', 'datasets', 'parity'] as const;

type Section = (typeof SECTIONS)[number];

/** Checks the section `readiness` against those that it names. */
export function checkReadiness(
  sections: { readiness: Readiness; models: Record<string, unknown> } & Record<
    Section,
    Record<string, unknown>
  >,
  complain: Complain,
): void {
  for (const [model, environments] of Object.entries(sections.readiness)) {
    const models = Object.keys(sections.models);
    if (!models.includes(model)) {
      complain(['readiness', model], `no model "${model}"${didYouMean(model, models)}`);
    }
    for (const [environment, release] of Object.entries(environments)) {
      for (const section of SECTIONS) {
        const there = Object.keys(sections[section]);
        for (const [index, entry] of release[section].entries()) {
          if (there.includes(entry)) continue;
          complain(
            ['readiness', model, environment, section, index],
            `no "${entry}" in ${section}${didYouMean(entry, there)}`,
          );
        }
      }
    }
  }
}
