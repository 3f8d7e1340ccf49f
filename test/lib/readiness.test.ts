import { describe, expect, test } from 'vitest';
import { boardRowSchema } from '../../functions/board/schema.ts';
import { configuredChanges } from '../../functions/board/standing.ts';
import { loadConfig } from '../../lib/config.ts';
import { rowsOf } from '../../lib/readiness.ts';
import { type Story, storyVerdict } from '../support/release.ts';
import { configOf, contractOf } from '../support/synthesize.ts';

const rows = rowsOf(loadConfig('tocsin.yaml'));

describe('rowsOf', () => {
  test('has what a release waits for, by gap, with how old a verdict may be', () => {
    const [row] = rows;
    expect([row?.model, row?.environment]).toEqual(['flight-delay', 'production']);
    const day = 86_400_000;
    expect(
      row?.requirements.map(({ gap, title, gate, subject, freshMs }) => [
        gap,
        title,
        gate,
        subject,
        freshMs / day,
      ]),
    ).toEqual([
      ['pipeline', 'model flight-delay', 'holdout-evaluation', 'flight-delay', 90],
      ['pipeline', 'canary flight-delay', 'holdout-evaluation', 'canary-flight-delay', 15],
      ['rollback', 'rollback drill flight-delay', 'rollback-drill', 'flight-delay', 8],
      ['alarms', 'alarm drill flight-delay-drift', 'alarm-drill', 'flight-delay-drift', 8],
      ['alarms', 'alarm drill flight-delay-errors', 'alarm-drill', 'flight-delay-errors', 8],
      ['alarms', 'alarm drill flight-delay-chain', 'alarm-drill', 'flight-delay-chain', 8],
      ['data', 'dataset flights', 'quality-gate', 'flights', 35],
      ['data', 'dataset flights-history', 'quality-gate', 'flights-history', 35],
      ['data', 'dataset flights-holdout', 'quality-gate', 'flights-holdout', 35],
      ['parity', 'comparison flight-delay', 'config-parity', 'flight-delay', 2],
    ]);
    for (const { line, again } of row?.requirements ?? []) {
      expect(line).toMatch(/^tocsin\.yaml:\d+$/);
      expect(again).not.toBe('');
    }
  });

  test('what belongs to no release is in the last row', () => {
    expect(
      rows.slice(1).map(({ model, requirements }) => [model, requirements.map(({ title }) => title)]),
    ).toEqual([[undefined, ['dataset flights-serving']]]);
  });

  test('what belongs to no release may be as old as a release allows by default', () => {
    const { readiness: _, ...config } = loadConfig('tocsin.yaml');
    const [row] = rowsOf({ ...config, readiness: {} });
    const days = row?.requirements.map(({ section, freshMs }) => `${section} ${freshMs / 86_400_000}`);
    expect(new Set(days)).toEqual(
      new Set(['models 90', 'canaries 15', 'rollbackDrills 15', 'alarmDrills 15', 'datasets 35', 'parity 2']),
    );
  });

  test('what has a schedule has it here, too', () => {
    const { canaries, rollbackDrills, drills, parities } = loadConfig('tocsin.yaml');
    const configured = [canaries, rollbackDrills, drills, parities].flatMap((entries) =>
      [...entries.values()].map(({ value }) => ('schedule' in value ? value.schedule : undefined)),
    );
    const shown = rows.flatMap(({ requirements }) => requirements.map(({ schedule }) => schedule));
    const some = (schedules: typeof shown) => schedules.filter((one) => one !== undefined);
    expect(some(shown).length).toBeGreaterThan(0);
    expect(some(shown)).toEqual(some(configured));
  });

  test('is what the deployed board reads', () => {
    for (const row of rows) expect(() => boardRowSchema.parse(JSON.parse(JSON.stringify(row)))).not.toThrow();
  });

  // The verdicts are of the deployed gates, made with this very configuration.
  test.each<Story>([
    'pipeline-healthy',
    'pipeline-sick',
    'canary-healthy',
    'rollback-healthy',
    'rollback-sick',
    'alarms-healthy',
    'alarms-sick',
    'parity-healthy',
    'parity-sick',
  ])('has the hashes that the verdict of %s has', (story) => {
    const verdict = storyVerdict(story);
    const requirement = rows[0]?.requirements.find(
      ({ gate, subject }) => gate === verdict.gate && subject === verdict.subject,
    );
    expect(requirement?.configured.length).toBeGreaterThan(0);
    expect(requirement && configuredChanges(requirement, verdict)).toEqual([]);
  });

  test('freshness that is left out is that of the section', () => {
    const config = configOf(
      `tocsin: 1
datasets: { a: { contract: a.yaml, prefix: a/ } }
models:
  m:
    modelPackageGroup: m
    task: regression
    holdout: { uri: a/x.parquet, label: id, contract: a.yaml }
    transform: { instanceType: ml.m5.large }
    require: [{ metric: mae, atMost: 1 }]
readiness:
  m:
    production: { datasets: [a] }
    staging: { datasets: [a], fresh: { datasets: 12h } }
`,
      { 'a.yaml': contractOf('a') },
    );
    const hours = rowsOf(config).map(({ environment, requirements }) => [
      environment,
      requirements.map(({ title, freshMs }) => [title, freshMs / 3_600_000]),
    ]);
    expect(hours).toEqual([
      [
        'production',
        [
          ['model m', 90 * 24],
          ['dataset a', 35 * 24],
        ],
      ],
      [
        'staging',
        [
          ['model m', 90 * 24],
          ['dataset a', 12],
        ],
      ],
    ]);
  });
});
