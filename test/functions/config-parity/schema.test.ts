import { describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import {
  logicalName,
  type ParityConfig,
  pairName,
  parseDocumented,
  parseParities,
  physicalName,
} from '../../../functions/config-parity/schema.ts';
import { ConfigError } from '../../../functions/shared/schema.ts';
import { entryOf } from '../../support/parity-facts.ts';

const ROLE = 'arn:aws:iam::444455556666:role/tocsin-parity';
const ENDPOINTS = ['delay-{environment}'];
const PROBE = { endpoint: 'delay', golden: 's3://lake/golden.jsonl' };

/** What ConfigError says, without where that is in the text. */
function mistakesOf(parse: () => unknown): string[] {
  try {
    parse();
  } catch (error) {
    if (error instanceof ConfigError) return error.issues.map(({ message }) => withoutSection(message));
    throw error;
  }
  return [];
}

const withoutSection = (message: string) => message.replace(/^(?:parity|differences)\.delay\.?/, '');

const parsed = (section: object): ParityConfig =>
  parseParities({ file: 'tocsin.yaml', text: stringify({ parity: { delay: section } }) }).get('delay')!.value;

const refused = (section: object) =>
  mistakesOf(() => parsed({ compare: { endpoints: ENDPOINTS }, ...section }));

const documentedRefused = (change: object) =>
  mistakesOf(() =>
    parseDocumented({
      file: 'parity.yaml',
      text: stringify({ parity: 1, differences: { delay: [entryOf({ ...change })] } }),
    }),
  );

describe('a comparison of tocsin.yaml', () => {
  test('needs no more than something to compare', () => {
    expect(parsed({ compare: { endpoints: ENDPOINTS } })).toMatchObject({
      staging: { names: ['staging'] },
      production: { names: ['production'] },
      probes: {},
      decrypt: false,
      failOn: ['schema', 'inference', 'environment', 'safety', 'capacity'],
      afterDeployOf: [],
    });
    expect(refused({ compare: {} })).toEqual([
      'compare: expected something to compare: names, tags or stacks',
    ]);
  });

  test.each([
    [
      'an account that its role is not of',
      { production: { account: '111122223333', role: ROLE } },
      `production.role: expected a role of the account 111122223333, got ${ROLE}`,
    ],
    [
      'an external id that nobody asks for',
      { staging: { externalId: 'tocsin' } },
      'staging.externalId: says nothing without role',
    ],
    [
      'another account without a role',
      { staging: { account: '444455556666' } },
      'staging.account: says nothing without role: Tocsin reads its own account otherwise',
    ],
    [
      'one name of both',
      { staging: { names: ['stage', 'Live'] }, production: { names: ['prod', 'live'] } },
      'production.names: "Live" is a name of staging, too',
    ],
    [
      'what would be compared with itself',
      { compare: { functions: [{ name: 'score', staging: 'score', production: 'score' }] } },
      'compare.functions.0: score would be compared with itself',
    ],
    [
      'two that are called alike',
      { compare: { endpoints: ['delay-{environment}', '{environment}-delay'] } },
      'compare.endpoints.1: "delay" is the name of number 1, too',
    ],
    [
      'a probe of what is not compared',
      { probes: { usual: { ...PROBE, endpoint: 'fares' } } },
      'probes.usual.endpoint: expected one of compare.endpoints (delay), got fares',
    ],
    [
      'what stands for itself',
      { substitutions: [{ staging: 'lake', production: 'lake' }] },
      'substitutions.0: staging and production are the same text',
    ],
    [
      'an environment that is called by a number',
      { compare: { functions: ['score-{environment}'] }, staging: { names: ['1'] } },
      expect.stringContaining('staging.names.0: expected a word such as staging or prod'),
    ],
    [
      'a name of no environment',
      { compare: { functions: ['score'] } },
      expect.stringContaining(
        'compare.functions.0: expected the name of a Lambda function with {environment}',
      ),
    ],
    [
      'a name that both environments are in twice',
      { compare: { functions: ['{environment}-{environment}'] } },
      expect.stringContaining(
        'compare.functions.0: expected the name of a Lambda function with {environment}',
      ),
    ],
  ])('refuses %s', (_, section, mistake) => {
    expect(refused(section)).toEqual([mistake]);
  });

  test.each([
    ['endpoints', 'delay_{environment}', 'the name of an endpoint, got delay_staging in staging'],
    ['functions', `{environment}${'x'.repeat(55)}`, expect.stringMatching(/Lambda function, got production/)],
    ['tables', '{environment}', 'a table as database.table, got staging in staging'],
    ['schedules', 'a/b/{environment}', 'a schedule, or group/schedule, got a/b/staging in staging'],
    ['parameters', '{environment}/', 'a path of parameters such as'],
  ])('refuses what AWS would not take for a name of %s', (list, text, mistake) => {
    expect(refused({ compare: { [list]: [text] } })).toEqual([
      typeof mistake === 'string'
        ? expect.stringContaining(`compare.${list}.0: expected ${mistake}`)
        : mistake,
    ]);
  });

  test('names are what they are with the first name of each environment', () => {
    const compare = { tables: ['{environment}.flights'] };
    expect(refused({ compare })).toEqual([]);
    expect(refused({ compare, production: { names: ['Live', 'live'] } })).toEqual([
      'compare.tables.0: expected a table as database.table, got Live.flights in production',
    ]);
  });

  test('may compare what is called the same in two places', () => {
    const functions = [{ name: 'score', staging: 'score', production: 'score' }];
    for (const production of [{ region: 'us-west-2' }, { role: ROLE }]) {
      expect(refused({ compare: { functions }, production })).toEqual([]);
    }
  });

  test('has at most 50 probes', () => {
    const probes = (count: number) =>
      Object.fromEntries(Array.from({ length: count }, (_, index) => [`p${index}`, PROBE]));
    expect(refused({ probes: probes(50) })).toEqual([]);
    expect(refused({ probes: probes(51) })).toEqual([expect.stringContaining('at most 50 probes')]);
  });
});

describe('a name', () => {
  test.each([
    ['flight-delay-{environment}', 'flight-delay'],
    ['{environment}-flight-delay', 'flight-delay'],
    ['/{environment}/delay/', '/delay/'],
    ['lake_{environment}.flights', 'lake.flights'],
    ['delay{environment}', 'delay'],
    ['{environment}', '{environment}'],
  ])('%s is %s in both environments', (text, expected) => {
    expect(logicalName(text)).toBe(expected);
    expect(pairName(text)).toBe(expected);
  });

  test('is that of an environment with its first name', () => {
    const environment = { names: ['prod', 'production'] };
    expect(physicalName('delay-{environment}', 'production', environment)).toBe('delay-prod');
    const pair = { name: 'delay', staging: 'one', production: 'other' };
    expect(pairName(pair)).toBe('delay');
    expect(physicalName(pair, 'staging', environment)).toBe('one');
    expect(physicalName(pair, 'production', environment)).toBe('other');
  });
});

describe('a documented difference', () => {
  test.each([
    ['no reason', { reason: ' ' }, /^0\.reason: .*a sentence; it is still to be filled in/],
    ['a day that is none', { expires: '2027-02-30' }, /^0\.expires: expected a day such as 2027-01-31/],
    [
      'no day at all',
      { expires: 'tomorrow' },
      /^0\.expires: expected a day such as 2027-01-31, got "tomorrow"$/,
    ],
    ['a path that is none', { path: 'models..delay' }, /^0\.path: .*is no path from its character 7 on/],
    ['wildcards alone', { path: '**.*' }, /^0\.path: expected at least one word that is no wildcard/],
    ['items of whatever list', { path: '**[*]' }, /^0\.path: expected at least one word/],
    ['no test', { test: {} }, /^0\.test: expected one of relation, same, values and probe, got none/],
    [
      'two tests',
      { test: { probe: 'usual', relation: 'production > staging' } },
      /^0\.test: expected one of .*, got relation and probe|probe and relation/,
    ],
    ['a relation to itself', { test: { relation: 'staging > staging' } }, /^0\.test\.relation: /],
    [
      'both ends',
      { test: { same: { after: ':', before: ':' } } },
      /^0\.test\.same: .*one of after and before/,
    ],
    [
      'no values',
      { test: { values: {} } },
      /^0\.test\.values: .*a value of staging, of production, or of both/,
    ],
  ])('with %s is refused', (_, change, mistake) => {
    expect(documentedRefused(change)).toEqual([expect.stringMatching(mistake)]);
  });

  test('may allow that there is nothing', () => {
    expect(documentedRefused({ test: { values: { staging: null } } })).toEqual([]);
  });
});
