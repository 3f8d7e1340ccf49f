import type { DocumentedEntry, ParityConfig } from '../functions/config-parity/schema.ts';
import type { DatasetConfig } from '../functions/quality-gate/schema.ts';
import { didYouMean } from '../functions/shared/schema.ts';
import { type Complain, checkGolden } from './place-checks.ts';

/*
 * What comparisons say of datasets, and parity.yaml of comparisons: mistakes that no schema of one file can see.
 */

/** The sections of tocsin.yaml that comparisons have to do with. */
export interface ParitySections {
  datasets: Record<string, DatasetConfig>;
  parity: Record<string, ParityConfig>;
}

/** Checks the section `parity` against `datasets`. */
export function checkParity(sections: ParitySections, complain: Complain): void {
  for (const [name, { probes }] of Object.entries(sections.parity)) {
    for (const [probe, { golden }] of Object.entries(probes)) {
      checkGolden(['parity', name, 'probes', probe, 'golden'], golden, sections, complain);
    }
  }
}

/**
 * Checks parity.yaml against the section `parity`: an entry of something else would document nothing, and nobody would
 * see it.
 *
 * @param differences of parity.yaml
 * @param complain at paths in parity.yaml
 */
export function checkDocumented(
  differences: Readonly<Record<string, readonly DocumentedEntry[]>>,
  parity: Record<string, ParityConfig>,
  complain: Complain,
): void {
  for (const [name, entries] of Object.entries(differences)) {
    const path = ['differences', name];
    const comparison = Object.hasOwn(parity, name) ? parity[name] : undefined;
    if (comparison === undefined) {
      const names = Object.keys(parity);
      complain(path, `no comparison "${name}" in tocsin.yaml${didYouMean(name, names)}`);
      continue;
    }
    const probes = Object.keys(comparison.probes);
    for (const [index, { test }] of entries.entries()) {
      if (test.probe === undefined || probes.includes(test.probe)) continue;
      complain(
        [...path, index, 'test', 'probe'],
        `the comparison has no probe "${test.probe}"${didYouMean(test.probe, probes)}`,
      );
    }
  }
}
