import { expect, test } from 'vitest';
import { parseProfile } from '../../../functions/shared/baseline.ts';
import { GateInputError } from '../../../functions/shared/errors.ts';
import type { Profile } from '../../../functions/shared/profile.ts';

const PROFILE: Profile = {
  profile: 1,
  dataset: 'flights',
  tocsin: '0.1.0',
  rows: 100,
  sha256: 'ab'.repeat(32),
  columns: {
    delay: {
      type: 'integer',
      physical: 'BIGINT',
      count: 99,
      nulls: 1,
      invalid: 0,
      nan: 0,
      zeros: 10,
      min: -3,
      max: 8,
      mean: 1.5,
      std: 2,
      distinct: { value: 12, exact: true },
      dominant: { share: 0.1, value: '0' },
      distribution: {
        kind: 'numeric',
        edges: [-1, 0, 4],
        cells: [10, 20, 30, 29],
        atoms: [0],
        atomCounts: [10],
        nulls: 1,
      },
    },
    origin: {
      type: 'string',
      physical: 'VARCHAR',
      count: 100,
      nulls: 0,
      invalid: 0,
      empty: 0,
      shortest: 3,
      longest: 3,
      distinct: { value: 300, exact: false },
      distribution: {
        kind: 'categorical',
        values: ['ATL', 'ORD'],
        counts: [40, 30],
        other: 30,
        otherDistinct: 298,
        nulls: 0,
      },
    },
    tail: {
      type: 'string',
      physical: 'VARCHAR',
      pii: true,
      count: 100,
      nulls: 0,
      invalid: 0,
      distinct: { value: 90, exact: true },
    },
  },
};

test('a profile survives being stored', () => {
  expect(parseProfile(JSON.stringify(PROFILE), 'baseline', 'flights')).toEqual(PROFILE);
});

test('fields of a later version are passed over', () => {
  const later = { ...PROFILE, colour: 'blue' };
  expect(parseProfile(JSON.stringify(later), 'baseline', 'flights')).toEqual(PROFILE);
});

const damages: [whole: string, damaged: string, message: RegExp][] = [
  ['"profile":1', '"profile":2', /profile: expected 1, got 2/],
  ['"rows":100', '"rows":-1', /rows: .*got -1/],
  ['"nulls":1,"invalid"', '"nulls":"1","invalid"', /columns\.delay\.nulls: .*"1"/],
  ['"type":"integer"', '"type":"int"', /columns\.delay\.type: .*"int"/],
  [
    '"cells":[10,20,30,29]',
    '"cells":[10,20,59]',
    /columns\.delay\.distribution\.cells: 3 cells do not fit 3 edges/,
  ],
  ['"edges":[-1,0,4]', '"edges":[0,-1,4]', /columns\.delay\.distribution\.edges: numbers in ascending order/],
  ['"atoms":[0]', '"atoms":[1]', /columns\.delay\.distribution\.atoms: not every atom is an edge/],
  [
    '"atomCounts":[10]',
    '"atomCounts":[5,5]',
    /columns\.delay\.distribution\.atomCounts: 2 counts do not fit 1 atoms/,
  ],
  [
    '"counts":[40,30]',
    '"counts":[70]',
    /columns\.origin\.distribution\.counts: not one count for each value/,
  ],
  ['"kind":"categorical"', '"kind":"categories"', /columns\.origin\.distribution\.kind/],
  [`"sha256":"${PROFILE.sha256}"`, '"sha256":"abc"', /sha256: expected 64 hexadecimal digits/],
  ['"std":2', '"std":null', /columns\.delay\.std: .*null/],
];

test.each(damages)('%s damaged to %s is named', (whole, damaged, message) => {
  const text = JSON.stringify(PROFILE);
  expect(text).toContain(whole);
  const thrown = (() => {
    try {
      return parseProfile(text.replace(whole, damaged), 's3://evidence/current.json', 'flights');
    } catch (error) {
      return error;
    }
  })();
  expect(thrown).toBeInstanceOf(GateInputError);
  expect((thrown as Error).message).toMatch(/^s3:\/\/evidence\/current\.json: /);
  expect((thrown as Error).message).toMatch(message);
});

test('a profile of another dataset is no baseline', () => {
  expect(() => parseProfile(JSON.stringify(PROFILE), 'it', 'weather')).toThrow(
    'it is a profile of dataset "flights", expected "weather"',
  );
});

test('cut text is no profile', () => {
  expect(() => parseProfile(JSON.stringify(PROFILE).slice(0, -1), 'it', 'flights')).toThrow(
    /^it is not JSON/,
  );
});
