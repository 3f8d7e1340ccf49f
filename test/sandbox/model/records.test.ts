import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatChances, parseFlights, RecordError, splitCsv } from '../../../sandbox/model/records.ts';

const csv = (body: string) => parseFlights(body, 'text/csv', 'miles');
const json = (...records: unknown[]) =>
  parseFlights(records.map((record) => JSON.stringify(record)).join('\n'), 'application/jsonlines', 'miles');
const flight = { date: '2001-05-01 07:30:00', distance: 733, origin: 'ORD', destination: 'LGA' };
const parsed = {
  departure: Float64Array.of(Date.UTC(2001, 4, 1, 7, 30)),
  distance: Float64Array.of(733),
  origin: ['ORD'],
  destination: ['LGA'],
};

describe('splitCsv', () => {
  it.each([
    ['', ['']],
    [',', ['', '']],
    ['a,b', ['a', 'b']],
    ['"a","b"', ['a', 'b']],
    ['"a,b",c', ['a,b', 'c']],
    ['"say ""no""",""', ['say "no"', '']],
    ['""""', ['"']],
    ['a "b",c', ['a "b"', 'c']],
    ['a,', ['a', '']],
    ['"a",', ['a', '']],
  ])('splits %s', (line, fields) => {
    expect(splitCsv(line)).toEqual(fields);
  });

  it.each([
    ['"a', 'a quote is not closed'],
    ['a,"b""', 'a quote is not closed'],
    ['"a"b,c', 'text follows a closing quote'],
  ])('refuses %s', (line, message) => {
    expect(() => splitCsv(line)).toThrow(message);
  });

  it('gives back what was put in quotes', () => {
    fc.assert(
      fc.property(fc.array(fc.string(), { minLength: 1 }), (fields) => {
        expect(splitCsv(fields.map((field) => `"${field.replaceAll('"', '""')}"`).join())).toEqual(fields);
      }),
      { seed: 5 },
    );
  });
});

describe('parseFlights', () => {
  it('reads CSV, with or without quotes, and a line feed at the end', () => {
    expect(csv('2001-05-01 07:30:00,733,ORD,LGA')).toEqual(parsed);
    expect(csv('"2001-05-01 07:30:00","733","ORD","LGA"\r\n')).toEqual(parsed);
    expect(csv('2001-05-01T07:30,7.33e2,ORD,LGA\n')).toEqual(parsed);
    expect(csv('2001-05-01 07:30:00.000,733.0,ORD,LGA\n')).toEqual(parsed);
  });

  it('reads JSON Lines, as they are or as features', () => {
    expect(json(flight)).toEqual(parsed);
    expect(json({ id: 7, features: flight })).toEqual(parsed);
    expect(json(flight, { features: flight }).origin).toEqual(['ORD', 'ORD']);
  });

  it('takes an empty field, and null, for missing', () => {
    const missing = {
      departure: Float64Array.of(Number.NaN),
      distance: Float64Array.of(Number.NaN),
      origin: [null],
      destination: [null],
    };
    expect(csv(',,,')).toEqual(missing);
    expect(json({ date: null, distance: null, origin: null, destination: null })).toEqual(missing);
  });

  it('turns kilometres into miles where requests have those', () => {
    expect(parseFlights('2001-05-01 07:30:00,1609.344,ORD,LGA', 'text/csv', 'km').distance[0]).toBeCloseTo(
      1000,
      9,
    );
  });

  it.each([
    ['date,distance,origin,destination', 'distance: expected a number from 0, got "distance"'],
    ['07:30,733,ORD,LGA', 'date: expected local time as YYYY-MM-DD HH:MM:SS, got "07:30"'],
    ['2001-02-29 07:30:00,733,ORD,LGA', 'date: '],
    ['2001-05-01 24:00:00,733,ORD,LGA', 'date: '],
    ['2001-05-01 07:60:00,733,ORD,LGA', 'date: '],
    ['2001-05-01 07:30:00Z,733,ORD,LGA', 'date: '],
    ['2001-05-01 07:30:00,-1,ORD,LGA', 'distance: '],
    ['2001-05-01 07:30:00,1e999,ORD,LGA', 'distance: '],
    ['2001-05-01 07:30:00,733,ORD', 'expected 4 fields (date, distance, origin, destination), got 3'],
    ['2001-05-01 07:30:00,733,ORD,LGA,1', 'expected 4 fields (date, distance, origin, destination), got 5'],
    ['', 'expected 4 fields (date, distance, origin, destination), got 1'],
    ['"2001-05-01 07:30:00,733,ORD,LGA', 'a quote is not closed'],
  ])('refuses the CSV line %s', (line, message) => {
    const good = '2001-05-01 07:30:00,733,ORD,LGA';
    expect(() => csv(`${good}\n${line}\n${good}`)).toThrow(RecordError);
    expect(() => csv(`${good}\n${line}\n${good}`)).toThrow(`line 2: ${message}`);
  });

  it.each([
    [7, 'expected object'],
    [{ ...flight, distance: '733' }, 'distance: '],
    [{ ...flight, distance: -1 }, 'distance: '],
    [{ ...flight, delay: 3 }, '"delay"'],
    [{ date: flight.date, distance: 733, origin: 'ORD' }, 'destination: '],
    [{ features: { ...flight, origin: 3 } }, 'origin: '],
    [{ ...flight, date: 'May 1st' }, 'date: '],
  ])('refuses the JSON line %o', (record, message) => {
    expect(() => json(flight, record)).toThrow(RecordError);
    expect(() => json(flight, record)).toThrow(new RegExp(`^line 2: .*${message}`));
  });

  it('refuses what is not JSON, and nothing at all', () => {
    expect(() => parseFlights('{"date"', 'application/jsonlines', 'miles')).toThrow(
      /^line 1: it is not JSON: /,
    );
    expect(() => csv('')).toThrow('line 1: there is no record');
  });
});

it('writes chances that read back as the same numbers', () => {
  const chances = Float64Array.of(0.1, 1 / 3, 1e-9);
  expect(formatChances(chances, 'text/csv').trimEnd().split('\n').map(Number)).toEqual([...chances]);
  const lines = formatChances(chances, 'application/jsonlines').trimEnd().split('\n');
  expect(lines.map((line) => JSON.parse(line))).toEqual([...chances].map((probability) => ({ probability })));
});
