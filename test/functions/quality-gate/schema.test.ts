import { describe, expect, test } from 'vitest';
import {
  bundleSchema,
  datasetsSchema,
  environmentSchema,
  invocationSchema,
  objectCreatedSchema,
  parseContract,
} from '../../../functions/quality-gate/schema.ts';
import { ConfigError, parseValue, parseYaml } from '../../../functions/shared/schema.ts';

const FLIGHTS = `contract: 1
dataset: flights
format: parquet
rows: { min: 100000, max: 2000000, changeFromBaseline: 50% }
key: { columns: [date, origin, destination], duplicates: 0.1% }
freshness: { column: date, maxAge: 40d }
columns:
  date:        { type: timestamp, required: true, range: [2001-01-01, null] }
  delay:       { type: integer, nulls: 2%, zeros: 10%, range: [-90, 2000], outOfRange: 0.01%, drift: { psi: 0.2 } }
  distance:    { type: integer, range: [10, 6000], constant: false, drift: { ks: 0.1, quantiles: { 0.5: 0.2 } } }
  origin:      { type: string, pattern: '^[A-Z]{3}$', newCategories: 0.5%, drift: { js: 0.1, linf: 0.05 } }
  destination: { type: string, values: [ATL, ORD], otherValues: 1% }
  tail:        { type: string, pii: true, length: [3, 8] }
rules:
  - { name: no flight to its own origin, sql: origin <> destination }
warn: [freshness]
`;

/** Mistakes of a contract, one a line, without the name of the file. */
function mistakes(text: string): string[] {
  try {
    parseContract(text, 'c.yaml');
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    return (error as ConfigError).message.split('\n').map((line) => line.replace(/^c\.yaml:/, ''));
  }
  return [];
}

/** `line:column` of the first place where a text has a part. */
function positionOf(part: string, text: string): string {
  const before = text.slice(0, text.indexOf(part)).split('\n');
  return `${before.length}:${(before.at(-1) as string).length + 1}`;
}

/** The example contract with one piece of text replaced, which must be there. */
function withText(old: string, replacement: string): string {
  expect(FLIGHTS).toContain(old);
  return FLIGHTS.replace(old, replacement);
}

test('a contract is read: shares as fractions, durations in milliseconds, defaults filled in', () => {
  const { value, locate } = parseContract(FLIGHTS, 'contracts/flights.yaml');
  expect(value).toMatchObject({
    dataset: 'flights',
    batch: 'object',
    extraColumns: 'forbid',
    columnOrder: 'any',
    confidence: 0.99,
    rows: { changeFromBaseline: 0.5 },
    key: { duplicates: 0.001 },
    freshness: { maxAge: 40 * 86_400_000, future: 86_400_000, asOf: 'upload' },
    rules: [{ name: 'no flight to its own origin', sql: 'origin <> destination', violations: 0 }],
  });
  expect(value.columns.delay).toEqual({
    type: 'integer',
    nulls: 0.02,
    zeros: 0.1,
    range: [-90, 2000],
    outOfRange: 0.0001,
    drift: { psi: 0.2 },
  });
  const { file, line, column } = locate(['columns', 'delay', 'zeros']);
  expect(file).toBe('contracts/flights.yaml');
  expect(`${line}:${column}`).toBe(positionOf('zeros: 10%', FLIGHTS));
});

describe('what a contract gets wrong is said where it stands', () => {
  const cases: [what: string, text: string, at: string, message: string][] = [
    [
      'a misspelt check',
      withText('zeros: 10%', 'zeroes: 10%'),
      'zeroes: 10%',
      'unknown key "zeroes", did you mean "zeros"?; allowed: type, physical, timeFormat, required, pii, nulls, empty, nan, zeros, invalid, range, outOfRange, values, otherValues, pattern, mismatches, length, outOfLength, constant, dominant, distinct, newCategories, vanishedCategories, drift, warn',
    ],
    [
      'a misspelt column in the key',
      withText('[date, origin, destination]', '[date, orgin]'),
      'orgin]',
      'key.columns.1: no column "orgin" in this contract, did you mean "origin"?',
    ],
    [
      'a freshness column that is none',
      withText('column: date', 'column: tail'),
      'column: tail',
      'freshness.column: needs a timestamp or a date, "tail" is string',
    ],
    [
      'a share that is a count',
      withText('nulls: 2%', 'nulls: 2'),
      'nulls: 2,',
      'columns.delay.nulls: expected a percentage such as 2%, or a fraction from 0 to 1, got 2',
    ],
    [
      'a share above all',
      withText('nulls: 2%', 'nulls: 200%'),
      'nulls: 200%',
      'columns.delay.nulls: expected at most 100%, got 2',
    ],
    ['another version', withText('contract: 1', 'contract: 2'), 'contract: 2', 'contract: expected 1, got 2'],
    [
      'a format that nobody reads',
      withText('format: parquet', 'format: avro'),
      'format: avro',
      'format: expected one of "csv"|"jsonl"|"parquet", got "avro"',
    ],
    [
      'options of another format',
      withText('format: parquet', 'format: parquet\ncsv: { delimiter: ";" }'),
      'csv: {',
      'csv: only with format: csv, got parquet',
    ],
    [
      'rows upside down',
      withText('min: 100000', 'min: 3000000'),
      'rows: {',
      'rows: min 3000000 is above max 2000000',
    ],
    [
      'zeros of a string',
      withText("pattern: '^[A-Z]{3}$'", 'zeros: 1%'),
      'zeros: 1%',
      'columns.origin.zeros: does not apply to a string (only to integer, number)',
    ],
    [
      'a pattern of a number',
      withText('constant: false', 'pattern: x'),
      'pattern: x',
      'columns.distance.pattern: does not apply to a integer (only to string)',
    ],
    [
      'a range upside down',
      withText('[-90, 2000]', '[2000, -90]'),
      'range: [2000',
      'columns.delay.range: the lowest is above the highest',
    ],
    [
      'a range of texts for a number',
      withText('[-90, 2000]', '["a", 2000]'),
      'range: ["a"',
      'columns.delay.range: bounds of a integer are numbers, got "a"',
    ],
    [
      'a range of numbers for a time',
      withText('[2001-01-01, null]', '[5, null]'),
      'range: [5',
      'columns.date.range: bounds of a timestamp are ISO 8601 dates such as 2001-01-31, got 5',
    ],
    [
      'a share of nothing',
      withText('values: [ATL, ORD], ', ''),
      'otherValues',
      'columns.destination.otherValues: says nothing without values',
    ],
    [
      'constant: true',
      withText('constant: false', 'constant: true'),
      'constant: true',
      'columns.distance.constant: expected false (a column may not be constant); leave it out otherwise, got true',
    ],
    [
      'nulls of a required column',
      withText('required: true', 'required: true, nulls: 1%'),
      'nulls: 1%',
      'columns.date.nulls: required: true allows no nulls',
    ],
    [
      'KS of a string',
      withText('js: 0.1, linf: 0.05', 'ks: 0.1'),
      'ks: 0.1 } }\n  destination',
      'columns.origin.drift.ks: does not apply to a string',
    ],
    [
      'a quantile that is none',
      withText('0.5: 0.2', '50: 0.2'),
      '50: 0.2',
      'columns.distance.drift.quantiles.50: expected a quantile between 0 and 1, such as 0.5, got "50"',
    ],
    [
      'values of personal data',
      withText('pii: true', 'pii: true, values: [a]'),
      'values: [a]',
      'columns.tail.values: needs values to be kept, and pii: true forbids that',
    ],
    [
      'lengths upside down',
      withText('[3, 8]', '[8, 3]'),
      'length: [8',
      'columns.tail.length: the shortest is above the longest',
    ],
    [
      'two rules of one name',
      withText('rules:', 'rules:\n  - { name: no flight to its own origin, sql: delay > 0 }'),
      'rules:',
      'rules: two rules have the same name',
    ],
    [
      'a dataset with a name that is no name',
      withText('dataset: flights', 'dataset: Flights_2001'),
      'dataset: Flights',
      'dataset: expected lower-case letters, digits and single hyphens, got "Flights_2001"',
    ],
    [
      'a warning of a check that does not exist',
      withText('warn: [freshness]', 'warn: [fresh]'),
      'fresh]',
      'warn.0: expected one of "rows"|"rowsChange"|"key"|"duplicateRows"|"freshness"|"columnOrder"|"extraColumns", got "fresh"',
    ],
    [
      'no columns',
      'contract: 1\ndataset: a\nformat: csv\ncolumns: {}\n',
      'columns: {}',
      'columns: name at least one column',
    ],
  ];

  test.each(cases)('%s', (_, text, at, message) => {
    expect(text).toContain(at);
    expect(mistakes(text)).toEqual([`${positionOf(at, text)} ${message}`]);
  });

  test('all at once', () => {
    const text = 'contract: 1\ndataset: a\nformat: csv\ncolumns:\n  a: { type: int }\n  b: { nulls: 2% }\n';
    expect(mistakes(text)).toEqual([
      '5:8 columns.a.type: expected one of "integer"|"number"|"string"|"boolean"|"timestamp"|"date", got "int"',
      '6:3 columns.b.type: expected one of "integer"|"number"|"string"|"boolean"|"timestamp"|"date", it is missing',
    ]);
  });

  test('more than 2,000 columns', () => {
    const columns = Array.from({ length: 2001 }, (_, index) => `  c${index}: { type: integer }\n`).join('');
    expect(mistakes(`contract: 1\ndataset: a\nformat: csv\ncolumns:\n${columns}`)).toEqual([
      '4:1 columns: at most 2000 columns, got 2001',
    ]);
  });

  test('a column that is named as a method of objects is a column, or none', () => {
    expect(mistakes(withText('[date, origin, destination]', '[toString]'))).toEqual([
      expect.stringContaining('no column "toString" in this contract'),
    ]);
    expect(mistakes(withText('  tail: ', '  constructor: '))).toEqual([]);
  });
});

describe('datasets of tocsin.yaml', () => {
  const errorsOf = (text: string) => {
    try {
      parseYaml(datasetsSchema, text, 'tocsin.yaml');
    } catch (error) {
      return (error as ConfigError).message;
    }
    return '';
  };

  test('have defaults', () => {
    const { value } = parseYaml(
      datasetsSchema,
      'flights: { contract: c.yaml, prefix: raw/flights/, onAccept: { pipeline: train } }',
      'tocsin.yaml',
    );
    expect(value).toEqual({
      flights: {
        contract: 'c.yaml',
        prefix: 'raw/flights/',
        inconclusive: 'block',
        onAccept: { pipeline: 'train', uriParameter: 'DatasetUri' },
      },
    });
  });

  test.each([
    ['prefix: raw', /prefix: expected a key prefix that ends in a slash, such as raw\/flights\/, got "raw"/],
    ['prefix: raw/*/', /prefix: expected a key prefix/],
    ['prefix: raw/, bucket: My_Bucket', /bucket: expected a bucket name/],
    ['prefix: raw/, inconclusive: maybe', /inconclusive: expected one of "block"\|"allow", got "maybe"/],
    ['prefix: raw/, onAccept: { pipeline: a_b }', /pipeline: expected a SageMaker pipeline name, got "a_b"/],
    ['prefix: raw/, onaccept: {}', /unknown key "onaccept", did you mean "onAccept"\?/],
  ])('refuse %s', (text, message) => {
    expect(errorsOf(`flights: { contract: c.yaml, ${text} }`)).toMatch(message);
  });
});

describe('what reaches the function', () => {
  const ENVIRONMENT = {
    CONFIG_BUCKET: 'assets',
    CONFIG_KEY: 'bundle.json',
    EVIDENCE_BUCKET: 'evidence',
    TOPIC_ARN: 'arn:aws:sns:us-east-1:111122223333:tocsin',
    MAX_DATASET_BYTES: '1000',
    TMP_BYTES: '2000',
    ENGINE_MEMORY_BYTES: '3000',
  };

  test('its environment: numbers from texts, others passed over', () => {
    expect(parseValue(environmentSchema, { ...ENVIRONMENT, PATH: '/bin' }, 'environment')).toEqual({
      ...ENVIRONMENT,
      EVENT_BUS: 'default',
      MAX_DATASET_BYTES: 1000,
      TMP_BYTES: 2000,
      ENGINE_MEMORY_BYTES: 3000,
    });
  });

  test.each([
    [{ TMP_BYTES: '0' }, /environment: TMP_BYTES: expected number to be >0, got 0/],
    [{ TMP_BYTES: '1.5' }, /environment: TMP_BYTES: expected int, got 1\.5/],
    [{ TOPIC_ARN: 'tocsin' }, /environment: TOPIC_ARN: .*got "tocsin"/],
    [{ EVIDENCE_BUCKET: undefined }, /environment: EVIDENCE_BUCKET: .*it is missing/],
  ])('its environment with %j is refused', (change, message) => {
    expect(() => parseValue(environmentSchema, { ...ENVIRONMENT, ...change }, 'environment')).toThrow(
      message,
    );
  });

  test('an event may have an address of IPv6, and fields that nobody knows', () => {
    const event = {
      version: '0',
      source: 'aws.s3',
      'detail-type': 'Object Created',
      detail: {
        bucket: { name: 'data' },
        object: { key: 'flights/a b+c.csv', size: 0, 'version-id': 'v' },
        'source-ip-address': '2001:db8::1',
        'new-field': true,
      },
    };
    expect(parseValue(objectCreatedSchema, event, 'event').detail.object.key).toBe('flights/a b+c.csv');
  });

  test.each([
    ['s3://data/flights/a.csv', true],
    ['s3://data/flights/', true],
    ['s3://data/', false],
    ['s3://data', false],
    ['https://data.s3.amazonaws.com/a', false],
    ['s3://Data/a', false],
  ])('a direct invocation with %s: %s', (uri, valid) => {
    expect(invocationSchema.safeParse({ dataset: 'flights', uri }).success).toBe(valid);
  });

  test('a bundle of another version is refused', () => {
    expect(() => parseValue(bundleSchema, { bundle: 2, datasets: {}, contracts: {} }, 'bundle')).toThrow(
      'bundle: bundle: expected 1, got 2',
    );
  });
});
