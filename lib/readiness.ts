import { type BoardRow, type Release, type Requirement, releaseSchema } from '../functions/board/schema.ts';
import { canarySubject } from '../functions/holdout-evaluation/schema.ts';
import { lineAt } from '../functions/shared/schema.ts';
import type { Config } from './config.ts';

/*
 * What releases wait for, of all that tocsin.yaml has: for the board and for `tocsin ready`. Uses no CDK.
 */

/** What {@link rowsOf} reads of a configuration. */
export type ReadinessConfig = Pick<
  Config,
  'datasets' | 'models' | 'canaries' | 'drills' | 'rollbackDrills' | 'parities' | 'readiness' | 'located'
>;

/**
 * What each model waits for in each environment; and in the last row what belongs to none of them, so that nothing that
 * runs is on no board.
 */
export function rowsOf(config: ReadinessConfig): BoardRow[] {
  const rows: BoardRow[] = [];
  const named = new Set<string>();
  for (const [model, environments] of Object.entries(config.readiness)) {
    for (const [environment, release] of Object.entries(environments)) {
      const requirements = requirementsOf(config, { ...release, models: [model] });
      for (const { section, name } of requirements) named.add(`${section} ${name}`);
      rows.push({ model, environment, requirements });
    }
  }
  const rest = requirementsOf(config, {
    models: [...config.models.keys()],
    canaries: [...config.canaries.keys()],
    rollbackDrills: [...config.rollbackDrills.keys()],
    alarmDrills: [...config.drills.keys()],
    datasets: config.datasets.map(({ name }) => name),
    parity: [...config.parities.keys()],
    fresh: USUAL.fresh,
  }).filter(({ section, name }) => !named.has(`${section} ${name}`));
  if (rest.length > 0) rows.push({ requirements: rest });
  return rows;
}

/** Without a release nothing says how old a verdict may be: as old as a release allows by default. */
const USUAL = releaseSchema.parse({});

type Named = Release & { models: string[] };

function requirementsOf(config: ReadinessConfig, named: Named): Requirement[] {
  const of = <T>(
    section: keyof Release['fresh'],
    entries: ReadonlyMap<string, T>,
    say: (entry: T, name: string) => Omit<Requirement, 'section' | 'name' | 'freshMs' | 'line'>,
  ): Requirement[] =>
    named[section].flatMap((name) => {
      const entry = entries.get(name);
      if (entry === undefined) return [];
      const line = lineAt(config.located, [section, name]);
      return { section, name, freshMs: named.fresh[section], line, ...say(entry, name) };
    });
  const scheduled = (schedule: string | undefined) => (schedule === undefined ? {} : { schedule });
  const configured = (input: string, what: string, value: unknown) => ({ input, what, value });
  // In the order of the gaps.
  return [
    ...of('models', config.models, ({ value }, name) => ({
      gap: 'pipeline' as const,
      gate: 'holdout-evaluation' as const,
      subject: name,
      title: `model ${name}`,
      configured: [configured('configurationSha256', `what tocsin.yaml says of the model ${name}`, value)],
      again: 'Register a package, or run: tocsin evaluate --package ARN',
    })),
    ...of('canaries', config.canaries, ({ value }, name) => ({
      gap: 'pipeline' as const,
      gate: 'holdout-evaluation' as const,
      subject: canarySubject(name),
      title: `canary ${name}`,
      ...scheduled(value.schedule),
      configured: [
        configured('configurationSha256', `what tocsin.yaml says of the canary ${name}`, value),
        configured(
          'modelSha256',
          `what tocsin.yaml says of the model ${value.model}`,
          config.models.get(value.model)?.value ?? null,
        ),
      ],
      again: `Run: tocsin canary ${name}`,
    })),
    ...of('rollbackDrills', config.rollbackDrills, ({ value }, name) => ({
      gap: 'rollback' as const,
      gate: 'rollback-drill' as const,
      subject: name,
      title: `rollback drill ${name}`,
      ...scheduled(value.schedule),
      configured: [
        configured('configurationSha256', `what tocsin.yaml says of the rollback drill ${name}`, value),
      ],
      again: `Run: tocsin drill rollback ${name}`,
    })),
    ...of('alarmDrills', config.drills, ({ value }, name) => ({
      gap: 'alarms' as const,
      gate: 'alarm-drill' as const,
      subject: name,
      title: `alarm drill ${name}`,
      ...scheduled(value.schedule),
      configured: [
        configured('configurationSha256', `what tocsin.yaml says of the alarm drill ${name}`, value),
      ],
      again: `Run: tocsin drill alarm ${name}`,
    })),
    ...of(
      'datasets',
      new Map(config.datasets.map((dataset) => [dataset.name, dataset])),
      (dataset, name) => ({
        gap: 'data' as const,
        gate: 'quality-gate' as const,
        subject: name,
        title: `dataset ${name}`,
        configured: [configured('contractSha256', `the contract ${dataset.contract}`, dataset.contractText)],
        again: 'Upload it, or invoke the gate with its address.',
      }),
    ),
    ...of('parity', config.parities, ({ value, documented }, name) => ({
      gap: 'parity' as const,
      gate: 'config-parity' as const,
      subject: name,
      title: `comparison ${name}`,
      ...scheduled(value.schedule),
      configured: [
        configured('configSha256', `what tocsin.yaml says of the comparison ${name}`, value),
        configured('documentedSha256', 'what parity.yaml documents', documented?.value ?? null),
      ],
      again: `Run: tocsin parity ${name}`,
    })),
  ];
}
