import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bodiesOf } from '../../../functions/alarm-drill/adapters/endpoint.ts';
import { CapturedLineError, recordsOf } from '../../../functions/quality-gate/captured.ts';

const FEATURES = ['date', 'distance', 'origin'];
const WINDOW = { from: Date.parse('2026-01-31T10:00:00Z'), to: Date.parse('2026-01-31T11:00:00Z') };

/** A line as SageMaker writes it. */
function line(
  data: string,
  {
    encoding = 'CSV',
    type = 'text/csv',
    time = '2026-01-31T10:20:30Z',
  }: { encoding?: string; type?: string | null; time?: string } = {},
): string {
  return JSON.stringify({
    captureData: {
      endpointInput: { ...(type !== null && { observedContentType: type }), mode: 'INPUT', data, encoding },
      endpointOutput: { observedContentType: type, mode: 'OUTPUT', data: '0.25\n', encoding },
    },
    eventMetadata: { eventId: '9b2d3a2e-0f4b-4a51-8d6c-3c2f8a0c9a11', inferenceTime: time },
    eventVersion: '0',
  });
}

const read = (text: string) => recordsOf(text, FEATURES, WINDOW);
const base64 = (text: string) => Buffer.from(text).toString('base64');
const JSON_TYPE = { encoding: 'JSON', type: 'application/json' };

describe('records', () => {
  it.each<[string, string]>([
    ['one', '2001-01-31 09:30:00,250,ATL'],
    ['a last line end', '2001-01-31 09:30:00,250,ATL\r\n'],
    ['a header', 'date,distance,origin\n2001-01-31 09:30:00,250,ATL\n'],
  ])('of CSV, with %s', (_, data) => {
    expect(read(line(data))).toEqual([['2001-01-31 09:30:00', '250', 'ATL']]);
  });

  it('of CSV: several, with gaps, quotes, commas and line ends', () => {
    expect(read(line(',250,"A ""T"", L"\r\nx,,""\n"two\nlines",-1e3,ü'))).toEqual([
      [null, '250', 'A "T", L'],
      ['x', null, ''],
      ['two\nlines', '-1e3', 'ü'],
    ]);
  });

  it('of CSV with one feature', () => {
    expect(recordsOf(line('1\n\n3'), ['distance'], WINDOW)).toEqual([['1'], [null], ['3']]);
  });

  it.each<[string, string]>([
    ['an object', '{"distance":250,"origin":"ATL","date":null,"other":[1]}'],
    ['an object without what is null', '{"distance":250,"origin":"ATL"}'],
    ['features by name', '{"id":7,"features":{"distance":250,"origin":"ATL"}}'],
    ['features in order', '{"features":[null,250,"ATL"]}'],
    ['a list', '[null,250,"ATL"]'],
    ['a list of lists', '[[null,250,"ATL"]]'],
    ['instances', '{"instances":[{"features":[null,250,"ATL"]}]}'],
  ])('of JSON: %s', (_, data) => {
    expect(read(line(data, JSON_TYPE))).toEqual([[null, '250', 'ATL']]);
  });

  it('of JSON: several in a list, numbers and truths as text', () => {
    const data = '[{"distance":1.5,"date":true},{"origin":"say \\"hi\\"","distance":1e21}]';
    expect(read(line(data, JSON_TYPE))).toEqual([
      ['true', '1.5', null],
      [null, '1e+21', 'say "hi"'],
    ]);
  });

  it('of JSON Lines', () => {
    const data = '{"distance":1}\n\n{"features":["x",2,"ATL"]}\n[null,3,null]\n';
    expect(read(line(data, { encoding: 'JSON', type: 'application/jsonlines' }))).toEqual([
      [null, '1', null],
      ['x', '2', 'ATL'],
      [null, '3', null],
    ]);
  });

  it.each<[string, string | null, string]>([
    ['CSV by its content type', 'text/csv; charset=utf-8', 'x,1,ü'],
    ['JSON by its content type', 'application/jsonlines', '{"date":"x","distance":1,"origin":"ü"}'],
    ['CSV by its looks', null, 'x,1,ü'],
    ['JSON by its looks', null, ' [["x",1,"ü"]]'],
  ])('in base64: %s', (_, type, data) => {
    expect(read(line(base64(data), { encoding: 'BASE64', type }))).toEqual([['x', '1', 'ü']]);
  });

  it.each([
    ['2026-01-31T09:59:59Z', false],
    ['2026-01-31T10:00:00Z', true],
    ['2026-01-31T11:59:59+01:00', true],
    ['2026-01-31T11:00:00Z', false],
  ])('of a request at %s: %s', (time, inside) => {
    expect(read(line('x,1,ATL', { time })) !== undefined).toBe(inside);
  });
});

it('the records of a drill come back as they were sent', () => {
  const text = fc.string({ unit: 'grapheme' }).filter((value) => !/[\r\n\0]/.test(value));
  const value = fc.oneof(
    text,
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.boolean(),
    fc.constant(null),
  );
  fc.assert(
    fc.property(
      fc.array(fc.tuple(value, value, value), { minLength: 1, maxLength: 5 }),
      fc.constantFrom<['text/csv' | 'application/jsonlines', string]>(
        ['text/csv', 'CSV'],
        ['text/csv', 'BASE64'],
        ['application/jsonlines', 'JSON'],
        ['application/jsonlines', 'BASE64'],
      ),
      (records, [content, encoding]) => {
        const [body] = bodiesOf(records, { features: FEATURES, content, perRequest: 10 });
        const data = encoding === 'BASE64' ? base64(body!.text) : body!.text;
        expect(read(line(data, { encoding, type: content }))).toEqual(
          records.map((record) => record.map((item) => (item === null ? null : String(item)))),
        );
      },
    ),
    { seed: 4, numRuns: 300 },
  );
});

describe('a damaged line', () => {
  it.each<[string, string, string]>([
    ['is cut off', line('x,1,ATL').slice(0, -20), 'it is not JSON'],
    ['is another', '{"captureData":{}}', 'its eventMetadata is not that of a captured request'],
    [
      'has no time',
      line('x,1,ATL', { time: 'noon' }),
      'its eventMetadata.inferenceTime is not that of a captured request',
    ],
    [
      'has no input',
      JSON.stringify({
        captureData: { endpointOutput: { mode: 'OUTPUT', data: '1', encoding: 'CSV' } },
        eventMetadata: { eventId: '1', inferenceTime: '2026-01-31T10:20:30Z' },
        eventVersion: '0',
      }),
      'it has no input: only answers are captured',
    ],
    [
      'has too few values',
      line('secret,1'),
      'a record of it has 2 values, and the drift monitor names 3 features',
    ],
    [
      'has too many values',
      line('[1,2,3,4]', JSON_TYPE),
      'a record of it has 4 values, and the drift monitor names 3 features',
    ],
    ['has stray quotes', line('a"b,1,ATL'), 'its input has quotes that no CSV has'],
    ['has an open quote', line('"ab,1,ATL'), 'its input has quotes that no CSV has'],
    ['has broken JSON', line('{"date":secret}', JSON_TYPE), 'its input is not JSON'],
    ['has other features', line('{"secret":1}', JSON_TYPE), 'a record of it has none of the features'],
    ['has a number', line('7', JSON_TYPE), 'a record of it is neither an object nor a list'],
    ['has nested values', line('{"date":{"secret":1}}', JSON_TYPE), 'a value of it is a list or an object'],
    [
      'has bytes',
      line(Buffer.from([0xff, 0xfe]).toString('base64'), { encoding: 'BASE64' }),
      'its input is not text',
    ],
    [
      'has another content type',
      line(base64('x'), { encoding: 'BASE64', type: 'application/x-npy' }),
      'its content type application/x-npy is neither CSV nor JSON',
    ],
  ])('that %s says so, and no value', (_, text, message) => {
    expect(() => read(text)).toThrow(CapturedLineError);
    expect(() => read(text)).toThrow(message);
    expect(() => read(text)).not.toThrow(/secret/);
  });
});
