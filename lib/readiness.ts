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

/** What is said of a requirement beside what its section and its name say; its subject is its name, unless said. */
type Said = Pick<Requirement, 'gap' | 'gate' | 'configured' | 'again'> &
  Partial<Pick<Requirement, 'subject' | 'schedule'>>;

function requirementsOf(config: ReadinessConfig, named: Named): Requirement[] {
  const of = <T>(
    section: keyof Release['fresh'],
    noun: string,
    entries: ReadonlyMap<string, T>,
    say: (entry: T, name: string, title: string) => Said,
  ): Requirement[] =>
    named[section].flatMap((name) => {
      const entry = entries.get(name);
      if (entry === undefined) return [];
      const line = lineAt(config.located, [section, name]);
      const title = `${noun} ${name}`;
      const own = { section, name, subject: name, title, freshMs: named.fresh[section], line };
      return { ...own, ...say(entry, name, title) };
    });
  const scheduled = (schedule: string | undefined) => (schedule === undefined ? {} : { schedule });
  const configured = (input: string, what: string, value: unknown) => ({ input, what, value });
  /** What most verdicts are bound to: what tocsin.yaml says of the thing itself. */
  const itself = (title: string, value: unknown, input = 'configurationSha256') =>
    configured(input, `what tocsin.yaml says of the ${title}`, value);
  const datasets = new Map(config.datasets.map((dataset) => [dataset.name, dataset]));
  // In the order of the gaps.
  return [
    ...of('models', 'model', config.models, ({ value }, _, title) => ({
      gap: 'pipeline',
      gate: 'holdout-evaluation',
      configured: [itself(title, value)],
      again: 'Register a package, or run: tocsin evaluate --package ARN',
    })),
    ...of('canaries', 'canary', config.canaries, ({ value }, name, title) => ({
      gap: 'pipeline',
      gate: 'holdout-evaluation',
      subject: canarySubject(name),
      ...scheduled(value.schedule),
      configured: [
        itself(title, value),
        itself(`model ${value.model}`, config.models.get(value.model)?.value ?? null, 'modelSha256'),
      ],
      again: `Run: tocsin canary ${name}`,
    })),
    ...of('rollbackDrills', 'rollback drill', config.rollbackDrills, ({ value }, name, title) => ({
      gap: 'rollback',
      gate: 'rollback-drill',
      ...scheduled(value.schedule),
      configured: [itself(title, value)],
      again: `Run: tocsin drill rollback ${name}`,
    })),
    ...of('alarmDrills', 'alarm drill', config.drills, ({ value }, name, title) => ({
      gap: 'alarms',
      gate: 'alarm-drill',
      ...scheduled(value.schedule),
      configured: [itself(title, value)],
      again: `Run: tocsin drill alarm ${name}`,
    })),
    ...of('datasets', 'dataset', datasets, ({ contract, contractText }) => ({
      gap: 'data',
      gate: 'quality-gate',
      configured: [configured('contractSha256', `the contract ${contract}`, contractText)],
      again: 'Upload it, or invoke the gate with its address.',
    })),
    ...of('parity', 'comparison', config.parities, ({ value, documented }, name, title) => ({
      gap: 'parity',
      gate: 'config-parity',
      ...scheduled(value.schedule),
      configured: [
        itself(title, value, 'configSha256'),
        configured('documentedSha256', 'what parity.yaml documents', documented?.value ?? null),
      ],
      again: `Run: tocsin parity ${name}`,
    })),
  ];
}
