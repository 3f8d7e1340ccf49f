import { beforeAll, describe, expect, test } from 'vitest';
import { formatPath } from '../../../functions/config-parity/path.ts';
import { DIFFERENCE_KINDS, SEVERITY } from '../../../functions/config-parity/schema.ts';
import type { Snapshot } from '../../../functions/config-parity/snapshot.ts';
import type { WorldShape } from '../../support/estate-maker.ts';
import { estateOf, type Places, parityOf } from '../../support/estate-world.ts';
import { SEEDED, SEEDED_PLACES, SEEDED_SHAPE } from '../../support/parity-differences.ts';
import { judge, type Pair, parityFrom, type Ran, read, run } from '../../support/parity-run.ts';

/** Two environments of one shape. */
function pairOf(shape: WorldShape, places: Places): Pair {
  return {
    parity: parityFrom(parityOf(shape, places)),
    staging: estateOf(shape, places.staging),
    production: estateOf(shape, places.production),
  };
}

/** Differences as the issue wants them told: path, kind and severity. */
function told({ evaluation }: Ran): string[] {
  return evaluation.comparison.differences.map(({ text, kind, severity }) => `${text} ${kind} ${severity}`);
}

const LARGE = {
  endpoints: 45,
  functions: 60,
  parameters: 80,
  featureGroups: 25,
  tables: 30,
  pipelines: 20,
  rules: 30,
  schedules: 30,
};

/** What is not the same between two environments that are each other's equal. */
const EQUALS: [string, WorldShape, Places][] = [
  [
    'in two accounts and regions, by their names',
    { ...LARGE, seed: 1, naming: 'names' },
    {
      staging: { word: 'staging', account: '111111111111', region: 'eu-west-1' },
      production: { word: 'production', account: '222222222222', region: 'eu-central-1' },
    },
  ],
  [
    'in one account, as CloudFormation has named them',
    { ...LARGE, seed: 2, naming: 'stacks' },
    {
      staging: { word: 'stg', account: '333333333333', region: 'us-east-1' },
      production: { word: 'prod', account: '333333333333', region: 'us-east-1' },
    },
  ],
  [
    'in two accounts, by their tags',
    { ...LARGE, seed: 3, naming: 'tags' },
    {
      staging: { word: 'development', account: '444444444444', region: 'ap-southeast-2' },
      production: { word: 'live', account: '555555555555', region: 'ap-southeast-2' },
    },
  ],
];

describe('two large environments that are each other’s equal', () => {
  test.each(EQUALS)('%s: no difference is reported', async (_, shape, places) => {
    const pair = { ...pairOf(shape, places), sdk: true };
    pair.staging.pageSize = 7;
    const { staging, production, evaluation, verdict } = await run(pair);
    const { comparison } = evaluation;
    expect(told({ staging, production, evaluation, verdict })).toEqual([]);
    expect([...staging.unreadable, ...production.unreadable]).toEqual([]);
    expect([...staging.unsettled, ...production.unsettled]).toEqual([]);
    expect([...comparison.ambiguous, ...comparison.missing]).toEqual([]);
    expect(verdict.outcome).toBe('pass');
    // Everything was read, and nothing of it was taken for nothing.
    expect(comparison.resources).toBe(staging.resources.length);
    expect(comparison.resources).toBeGreaterThan(500);
    expect(new Set(staging.resources.map(({ kind }) => kind)).size).toBe(12);
    expect([...staging.resources, ...production.resources].filter(({ value }) => value === null)).toEqual([]);
    expect(Object.values(comparison.equal).every((values) => values > 200)).toBe(true);
    const foldings = comparison.foldings.map(({ as }) => as);
    expect(foldings).toEqual(expect.arrayContaining(['{environment}', '{id}', '{cluster}']));
    expect(foldings.includes('{account}')).toBe(places.staging.account !== places.production.account);
    expect(foldings.includes('{region}')).toBe(places.staging.region !== places.production.region);
  });

  test('names that tocsin.yaml pairs may stand in each other’s values', async () => {
    const shape: WorldShape = { ...SEEDED_SHAPE, seed: 4 };
    const pair = pairOf(shape, SEEDED_PLACES);
    const rename = (text: string, from: string, to: string) =>
      text.replaceAll(new RegExp(`(?<![\\w-])${from}(?![\\w-])`, 'g'), to);
    const renamed = (side: 'staging' | 'production', to: string) => {
      const { data } = pair[side];
      const from = `seat-price-1-${side}`;
      const clone = (value: unknown): unknown => {
        if (typeof value === 'string') return rename(value, from, to);
        if (value === null || typeof value !== 'object' || value instanceof Date) return value;
        if (Array.isArray(value)) return value.map(clone);
        return Object.fromEntries(
          Object.entries(value).map(([key, inner]) => [rename(key, from, to), clone(inner)]),
        );
      };
      pair[side].data = clone(data) as typeof data;
    };
    renamed('staging', 'price-trial');
    renamed('production', 'price');
    const section = JSON.parse(JSON.stringify(parityOf(shape, SEEDED_PLACES)));
    section.compare.endpoints[1] = { name: 'seat-price-1', staging: 'price-trial', production: 'price' };
    pair.parity = parityFrom(section);
    const ran = await run(pair);
    expect(told(ran)).toEqual([]);
    expect(ran.verdict.outcome).toBe('pass');
    expect(ran.evaluation.comparison.foldings).toContainEqual(
      expect.objectContaining({ as: '{seat-price-1}', staging: 'price-trial', production: 'price' }),
    );
  });
});

describe('seeded differences', () => {
  const pair = pairOf(SEEDED_SHAPE, SEEDED_PLACES);
  let staging: Snapshot;

  beforeAll(async () => {
    staging = await read(pair, 'staging');
  });

  const expected = (at: Record<string, keyof typeof SEVERITY>) =>
    Object.entries(at)
      .map(([path, kind]) => `${path} ${kind} ${SEVERITY[kind]}`)
      .sort();

  test('are at least 40, of every kind of resource and of difference', () => {
    const all = SEEDED.flatMap(({ at }) => Object.entries(at));
    expect(SEEDED.length).toBeGreaterThanOrEqual(40);
    const kinds = Map.groupBy(all, ([path]) => /^\w+/.exec(path)?.[0]);
    expect(kinds.size).toBe(12);
    for (const [, some] of kinds) expect(some.length).toBeGreaterThanOrEqual(2);
    expect(new Set(all.map(([, kind]) => kind))).toEqual(new Set(DIFFERENCE_KINDS));
  });

  test('without one there is none', async () => {
    const ran = judge(pair.parity, staging, await read(pair, 'production'));
    expect(told(ran)).toEqual([]);
    expect(ran.verdict.outcome).toBe('pass');
  });

  test.each(SEEDED)('$what', async ({ make, at }) => {
    const production = pair.production.copy();
    make(production.data);
    const ran = judge(pair.parity, staging, await read({ ...pair, production }, 'production'));
    expect(told(ran).sort()).toEqual(expected(at));
    const isCosmetic = Object.values(at).every((kind) => kind === 'cosmetic');
    expect(ran.verdict.outcome).toBe(isCosmetic ? 'pass' : 'fail');
    const judged = ran.verdict.findings.filter(({ outcome }) => outcome === (isCosmetic ? 'warn' : 'fail'));
    expect(judged).toHaveLength(Object.keys(at).length);
    expect(ran.staging.unreadable).toEqual([]);
    expect(ran.production.unreadable).toEqual([]);
  });

  test('all together', async () => {
    const production = pair.production.copy();
    for (const { make } of SEEDED) make(production.data);
    const ran = judge(pair.parity, staging, await read({ ...pair, production }, 'production'));
    expect(told(ran).sort()).toEqual(SEEDED.flatMap(({ at }) => expected(at)).sort());
    expect(ran.verdict.outcome).toBe('fail');
  });

  test('show both values as they are', async () => {
    const production = pair.production.copy();
    for (const { make } of SEEDED) make(production.data);
    const { evaluation } = judge(pair.parity, staging, await read({ ...pair, production }, 'production'));
    const valuesAt = (text: string) => {
      const found = evaluation.comparison.differences.find((one) => one.text === text);
      return [found?.staging.value, found?.production.value];
    };
    expect(valuesAt('functions.no-show-2-features.timeoutSeconds')).toEqual([30, 900]);
    expect(valuesAt('models.flight-delay-0.containers[scaler].environment.SCALER_VERSION')).toEqual([
      '2026-01',
      '2025-12',
    ]);
    expect(valuesAt('functions.baggage-route-3-features.environment.BUCKET')).toEqual([
      'flights-features-staging-111111111111',
      'flights-features-staging-222222222222',
    ]);
    for (const { path, text } of evaluation.comparison.differences) expect(formatPath(path)).toBe(text);
  });
});
