import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  captureOf,
  hourFolders,
  resolveMonitor,
  windowOf,
} from '../../../functions/quality-gate/monitor-request.ts';
import type { MonitorBundle, MonitorConfig } from '../../../functions/quality-gate/schema.ts';
import { GateInputError } from '../../../functions/shared/errors.ts';

const NOW = Date.parse('2026-01-31T12:00:00.700Z');
const MINUTE = 60_000;

const BUNDLE: MonitorBundle = {
  bundle: 1,
  file: 'tocsin.yaml',
  text: `driftMonitors:
  staging:
    endpoint: delays-staging
    capture: s3://captured/staging/
    dataset: flights
    features: [distance, origin]
`,
  contracts: {
    flights: {
      file: 'contracts/flights.yaml',
      text: `contract: 1
dataset: flights
format: parquet
key: { columns: [date] }
freshness: { column: date, maxAge: 40d }
columns:
  date: { type: timestamp, required: true }
  distance: { type: integer, required: true, range: [10, 6000], constant: false, drift: { ks: 0.1 } }
  origin: { type: string, pii: true }
rules:
  - { name: far, sql: distance > 0 }
`,
    },
  },
};

describe('a request', () => {
  it('names a monitor; its features are what the contract says, as text, and nothing is asked of them', () => {
    const { monitor, contract, window } = resolveMonitor({ monitor: 'staging' }, BUNDLE, NOW);
    expect(monitor.value.endpoint).toBe('delays-staging');
    expect(contract.value).toEqual({
      contract: 1,
      dataset: 'flights',
      format: 'csv',
      batch: 'object',
      columns: { distance: { type: 'integer' }, origin: { type: 'string', pii: true } },
      extraColumns: 'forbid',
      columnOrder: 'any',
      confidence: 0.99,
      rules: [],
    });
    expect(window).toEqual({
      from: Date.parse('2026-01-31T10:55:00Z'),
      to: Date.parse('2026-01-31T11:55:00Z'),
    });
  });

  it.each<[string, unknown, Partial<MonitorBundle>, string]>([
    ['nothing', {}, {}, 'monitor: expected string, it is missing'],
    ['more', { monitor: 'staging', force: true }, {}, 'unknown key "force"'],
    [
      'an unknown monitor',
      { monitor: 'stagin' },
      {},
      'no drift monitor "stagin" in tocsin.yaml, did you mean "staging"?; it has: staging',
    ],
    ['a lost contract', { monitor: 'staging' }, { contracts: {} }, 'no contract of dataset flights'],
    [
      'an unknown column',
      { monitor: 'staging' },
      { text: BUNDLE.text.replace('origin', 'orign') },
      'contracts/flights.yaml has no column "orign"',
    ],
  ])('with %s is refused', (_, event, change, message) => {
    const resolve = () => resolveMonitor(event, { ...BUNDLE, ...change }, NOW);
    expect(resolve).toThrow(GateInputError);
    expect(resolve).toThrow(message);
  });
});

describe('the window', () => {
  const of = (window: number, schedule: string) => windowOf({ window, schedule } as MonitorConfig, NOW);

  it.each([
    [60 * MINUTE, 'rate(1 hour)', 300_000],
    [60 * MINUTE, 'rate(4 minutes)', 60_000],
    [10 * MINUTE, 'rate(1 day)', 150_000],
    [MINUTE, 'rate(1 minute)', 15_000],
    [2 * MINUTE, 'cron(0 * * * ? *)', 30_000],
  ])('of %d ms, %s, ends %d ms ago', (window, schedule, late) => {
    const { from, to } = of(window, schedule);
    expect(to).toBe(Math.floor((NOW - late) / 1000) * 1000);
    expect(to - from).toBe(window);
  });

  it('is looked for in its hours, in the one before and in the one after', () => {
    const window = { from: Date.parse('2025-12-31T23:10:00Z'), to: Date.parse('2026-01-01T00:10:00Z') };
    expect(hourFolders(window)).toEqual([
      '2025/12/31/22/',
      '2025/12/31/23/',
      '2026/01/01/00/',
      '2026/01/01/01/',
    ]);
  });

  it('has a folder for each of its moments', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 4e12 }),
        fc.integer({ min: MINUTE, max: 7 * 24 * 60 * MINUTE }),
        fc.double({ min: -0.1, max: 1.1, noNaN: true }),
        (from, length, place) => {
          const at = Math.max(
            from - 60 * MINUTE,
            Math.min(from + length + 60 * MINUTE, from + place * length),
          );
          const folder = `${new Date(at).toISOString().slice(0, 13).replace(/[-T]/g, '/')}/`;
          expect(hourFolders({ from, to: from + length })).toContain(folder);
        },
      ),
      { seed: 4 },
    );
  });
});

describe('the capture', () => {
  it.each([
    ['s3://captured/staging/', 'staging/delays-staging/'],
    ['s3://captured/a/b', 'a/b/delays-staging/'],
  ])('%s begins with %s', (capture, prefix) => {
    expect(captureOf({ capture, endpoint: 'delays-staging' } as MonitorConfig)).toEqual({
      bucket: 'captured',
      prefix,
    });
  });

  it('needs a bucket', () => {
    expect(() => captureOf({ capture: 'staging/', endpoint: 'e' } as MonitorConfig)).toThrow(GateInputError);
  });
});
