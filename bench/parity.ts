import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { serialize } from 'node:v8';
import type { WorldShape } from '../test/support/estate-maker.ts';
import { estateOf, type Places, parityOf } from '../test/support/estate-world.ts';
import type { Heat, HeatResult, Suite, Target } from './harness.ts';

const CHILDREN = join(import.meta.dirname, 'children');
const BUILD = join(import.meta.dirname, '..', 'dist');
const OWN = 'tocsin parity';

/** Things that have tags, in so many pages; their models and monitors come on top. */
const FOUND = 5_000;
const PAGE_SIZE = 50;

const SHAPE: WorldShape = {
  seed: 5,
  naming: 'tags',
  endpoints: 300,
  functions: 2_000,
  parameters: 0,
  featureGroups: 500,
  tables: 0,
  pipelines: 500,
  rules: 800,
  schedules: 0,
};

const PLACES: Places = {
  staging: { word: 'staging', account: '111111111111', region: 'eu-west-1' },
  production: { word: 'production', account: '222222222222', region: 'eu-central-1' },
};

/**
 * 5,000 resources of each environment, listed in 100 pages and read one by one, compared and judged: an account that answers
 * at once, so that what is left is Tocsin's own work. Next to it, the same with all that the SDK does to a call but the wire,
 * and two that get all answers in two files, in the same order: microdiff, and a mere hash. Those know nothing of names, ids
 * and secrets: they find that nearly everything differs.
 */
export const parity: Suite = { prepare, targets };

async function prepare(directory: string): Promise<Heat[]> {
  const { staging, production } = {
    staging: estateOf(SHAPE, PLACES.staging),
    production: estateOf(SHAPE, PLACES.production),
  };
  const { functions, endpointConfigs, pipelines } = production.data;
  Object.assign(Object.values(functions)[1_234] ?? {}, { Timeout: 900 });
  Object.assign(Object.values(endpointConfigs)[99]?.ProductionVariants?.[0] ?? {}, { VolumeSizeInGB: 500 });
  delete pipelines[Object.keys(pipelines)[321] ?? ''];
  const expected = [
    'endpoints.baggage-route-99.variants[AllTraffic].volumeGb',
    'functions.crew-rest-1234-features.timeoutSeconds',
    'pipelines.baggage-route-321-training',
  ];

  const at = (name: string) => join(directory, name);
  const files = {
    both: at('both.v8'),
    section: at('section.json'),
    staging: at('staging.json'),
    production: at('production.json'),
  };
  const data = { staging: staging.data, production: production.data };
  const pages = FOUND / PAGE_SIZE;
  writeFileSync(files.both, serialize({ places: PLACES, data, pageSize: PAGE_SIZE, pages, expected }));
  writeFileSync(files.section, JSON.stringify(parityOf(SHAPE, PLACES)));
  for (const side of ['staging', 'production'] as const)
    writeFileSync(files[side], JSON.stringify(data[side]));

  const own = (...way: string[]) => [join(CHILDREN, 'parity.mjs'), files.both, files.section, BUILD, ...way];
  return [
    {
      title: `${FOUND.toLocaleString('en-US')} resources of each environment, in ${pages} pages`,
      contestants: [
        { name: OWN, argv: own() },
        { name: 'with the SDK', argv: own('sdk') },
        {
          name: 'microdiff',
          argv: [join(CHILDREN, 'parity-microdiff.mjs'), files.staging, files.production],
        },
        {
          name: 'parse and hash',
          argv: [join(CHILDREN, 'parity-hash.mjs'), files.staging, files.production, BUILD],
        },
      ],
    },
  ];
}

function targets([heat]: HeatResult[]): Target[] {
  const own = heat?.results.find(({ name }) => name === OWN);
  return [
    { name: 'CPU, start to exit', value: own?.cpuSeconds.median ?? Number.NaN, atMost: 5, unit: ' s' },
    {
      name: 'peak memory',
      value: Math.round((own?.peakBytes.max ?? Number.NaN) / 1e6),
      atMost: 1000,
      unit: ' MB',
    },
  ];
}
