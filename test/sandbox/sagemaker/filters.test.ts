import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  filterRecord,
  formatOf,
  outputRecord,
  parseFilter,
  select,
} from '../../../sandbox/sagemaker/filters.ts';

const filter = (text: string) => {
  const parsed = parseFilter(text);
  if (parsed === undefined) throw new Error(`${text} is no filter`);
  return parsed;
};

const flight = { id: 7, features: [1, 2, 3], carrier: { code: 'WN', hub: { city: 'DAL' } } };

describe('select', () => {
  it.each([
    ['$', flight],
    ['$.id', 7],
    ['$.features', [1, 2, 3]],
    ["$['features']", [1, 2, 3]],
    ["$['id','features']", { id: 7, features: [1, 2, 3] }],
    ["$.carrier.['code']", 'WN'],
    ["$.carrier.hub['city']", 'DAL'],
    ['$.features[0]', 1],
    ['$.features[-1]', 3],
    ['$.features[0,-1]', [1, 3]],
    ['$.features[1:]', [2, 3]],
    ['$.features[:-1]', [1, 2]],
    ['$.features[0:1]', [1]],
    ['$.features[0,1:]', [1, 2, 3]],
    ['$.features[*]', [1, 2, 3]],
    ['$.features.*', [1, 2, 3]],
    ['$.carrier.hub.*', ['DAL']],
  ])('%s', (text, expected) => {
    expect(select(filter(text), flight)).toEqual(expected);
  });

  it.each([
    ['$.delay', /needs "delay", which a record has not/],
    ["$['id','delay']", /needs "delay"/],
    ['$.features[3]', /needs index 3, and a record has 3 values/],
    ['$.features[-4]', /needs index -4/],
    ['$[0]', /needs an array/],
    ['$.id.code', /looks into 7/],
    ['$.constructor', /needs "constructor"/],
  ])('%s does not fit', (text, message) => {
    expect(() => select(filter(text), flight)).toThrow(message);
  });

  it('takes a range as Array.slice does, and an index as Array.at', () => {
    const bound = fc.option(fc.integer({ min: -5, max: 5 }), { nil: undefined });
    fc.assert(
      fc.property(fc.array(fc.integer(), { maxLength: 5 }), bound, bound, (values, from, to) => {
        expect(select(filter(`$[${from ?? ''}:${to ?? ''}]`), values)).toEqual(values.slice(from, to));
        if (values.at(from ?? 0) !== undefined) {
          expect(select(filter(`$[${from ?? 0}]`), values)).toBe(values.at(from ?? 0));
        }
      }),
    );
  });
});

describe('parseFilter', () => {
  it.each([
    '',
    'id',
    '$id',
    '$..id',
    '$[',
    '$[a]',
    '$[]',
    "$['a'",
    '$[0',
    '$[?(@.x)]',
    '$[0:1:2]',
    '$.a b',
    '$ ',
  ])('refuses %j', (text) => expect(parseFilter(text)).toBeUndefined());
});

describe('filterRecord', () => {
  it.each([
    ['$[1:]', '7,"Dallas, TX",3', '"Dallas, TX",3'],
    ['$[0]', '7,1,2', '7'],
    ['$[-1]', '7,1,"say ""hi"", now"', '"say ""hi"", now"'],
    ['$[0,-1]', '7,1,2', '7,2'],
    ['$[2]', '7,1,', ''],
  ])('%s of the row %s', (text, row, expected) => {
    expect(filterRecord(filter(text), 'csv', row)).toBe(expected);
  });

  it('leaves a value of JSON Lines as JSON', () => {
    expect(filterRecord(filter('$.features'), 'json', JSON.stringify(flight))).toBe('[1,2,3]');
  });

  it('refuses what would leave no record, and what is none', () => {
    expect(() => filterRecord(filter('$[5:]'), 'csv', '1,2')).toThrow('nothing is left of a record');
    expect(() => filterRecord(filter('$[0]'), 'csv', '"1,2')).toThrow('a quote of a record does not end');
    expect(() => filterRecord(filter('$.id'), 'json', '{id: 1}')).toThrow('a record is not JSON');
  });
});

describe('outputRecord', () => {
  it('appends the columns of the prediction to a row', () => {
    expect(outputRecord('csv', '7,1', '0.5,1', undefined)).toBe('7,1,0.5,1');
    expect(outputRecord('csv', '7,1', '0.5', filter('$[0,-1]'))).toBe('7,0.5');
    expect(outputRecord('csv', undefined, '0.5,1', filter('$[0]'))).toBe('0.5');
  });

  it('adds the prediction to an object, and to any other value with a name of its own', () => {
    expect(outputRecord('json', '{"id":7}', '{"score":0.5}', undefined)).toBe(
      '{"id":7,"SageMakerOutput":{"score":0.5}}',
    );
    expect(outputRecord('json', '[1,2]', '0.5', undefined)).toBe(
      '{"SageMakerInput":[1,2],"SageMakerOutput":0.5}',
    );
    expect(outputRecord('json', '{"id":7,"x":1}', '0.5', filter("$['id','SageMakerOutput']"))).toBe(
      '{"id":7,"SageMakerOutput":0.5}',
    );
  });
});

describe('formatOf', () => {
  it('looks past the parameters of a content type', () => {
    expect(formatOf('text/csv; header=absent')).toBe('csv');
    expect(formatOf('application/jsonlines')).toBe('json');
    expect(formatOf('application/x-recordio-protobuf')).toBeUndefined();
    expect(formatOf(undefined)).toBeUndefined();
  });
});
