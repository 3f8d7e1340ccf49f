import { describe, expect, it } from 'vitest';
import {
  driftsOf,
  type MonitorAnswer,
  metricsOf,
  windowText,
} from '../../../functions/quality-gate/monitor.ts';
import type { Measurements } from '../../../functions/quality-gate/profile.ts';
import type { LocatedContract, LocatedMonitor } from '../../../functions/quality-gate/schema.ts';
import type { ColumnProfile, Profile } from '../../../functions/shared/profile.ts';

const ANSWER: MonitorAnswer = {
  monitor: 'staging',
  records: 700,
  window: { from: '2026-01-31T11:00:00.000Z', to: '2026-01-31T12:00:00.000Z' },
  features: {
    'größe %': { estimate: 0.02, low: 0, high: 0.1 },
    ':distance': { estimate: 0.3, low: 0.2, high: 0.4 },
  },
  largest: { feature: ':distance', estimate: 0.3 },
  notCompared: {},
  damaged: 0,
};

describe('metrics', () => {
  it('have the names of features in characters that CloudWatch takes', () => {
    expect(metricsOf(ANSWER)).toEqual([
      { metric: 'Records', dimensions: { Monitor: 'staging' }, value: 700, unit: 'Count' },
      { metric: 'LargestDrift', dimensions: { Monitor: 'staging' }, value: 0.3, unit: 'None' },
      {
        metric: 'Drift',
        dimensions: { Monitor: 'staging', Feature: 'gr%C3%B6%C3%9Fe %25' },
        value: 0.02,
        unit: 'None',
      },
      {
        metric: 'Drift',
        dimensions: { Monitor: 'staging', Feature: '%3Adistance' },
        value: 0.3,
        unit: 'None',
      },
    ]);
  });

  it('are the number of records alone where nothing was compared', () => {
    expect(metricsOf({ ...ANSWER, features: {}, largest: null })).toEqual([
      { metric: 'Records', dimensions: { Monitor: 'staging' }, value: 700, unit: 'Count' },
    ]);
  });
});

describe('a feature that cannot be compared', () => {
  const usual: ColumnProfile = {
    type: 'integer',
    physical: 'BIGINT',
    count: 100,
    nulls: 0,
    invalid: 0,
    distinct: { value: 2, exact: true },
    distribution: {
      kind: 'numeric',
      edges: [0, 5],
      cells: [0, 50, 50],
      atoms: [0],
      atomCounts: [0],
      nulls: 0,
    },
  };
  const why = (before: Partial<ColumnProfile> | null, now: Partial<ColumnProfile> = {}, measure = 'psi') => {
    const column = (change: Partial<ColumnProfile>) => {
      const { distribution, ...rest } = { ...usual, ...change };
      return change.count === 0 || change.pii ? rest : { ...rest, distribution };
    };
    const measured = {
      profile: { columns: { it: column(now) } },
      columns: { it: now.count === 0 || before === null ? {} : { onBaseline: usual.distribution } },
    } as unknown as Measurements;
    const monitor = { value: { features: ['it'], measure } } as unknown as LocatedMonitor;
    const contract = { value: { confidence: 0.99 } } as LocatedContract;
    const baseline = { columns: before === null ? {} : { it: column(before) } } as unknown as Profile;
    return driftsOf(measured, monitor, contract, baseline);
  };

  it.each<[string, Parameters<typeof why>]>([
    ['the baseline does not have it', [null]],
    ['it is personal data, of which nothing is kept', [{ pii: true }]],
    ['it has no value in the baseline', [{ count: 0 }]],
    ['no record has a value of its type', [{}, { count: 0, nulls: 100 }, 'ks']],
  ])('says that %s', (reason, sides) => {
    expect(why(...sides)).toEqual({ features: {}, largest: null, notCompared: { it: reason } });
  });

  it('is none that can', () => {
    expect(why({})).toMatchObject({ features: { it: { estimate: 0 } }, notCompared: {} });
  });

  it('is none whose values are all gone: nothing has drifted further', () => {
    for (const gone of [{ nulls: 100 }, { nulls: 0, invalid: 100 }]) {
      const { features, largest } = why({}, { count: 0, ...gone });
      expect(features.it!.low).toBeGreaterThan(1);
      expect(largest).toEqual({ feature: 'it', estimate: features.it!.estimate });
    }
  });
});

it('a window is answered in UTC', () => {
  expect(windowText({ from: 0, to: 60_000 })).toEqual({
    from: '1970-01-01T00:00:00.000Z',
    to: '1970-01-01T00:01:00.000Z',
  });
});
