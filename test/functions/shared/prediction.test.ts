import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fingerprintId, isSame, predictionOf } from '../../../functions/shared/prediction.ts';

describe('an answer', () => {
  test.each<[string, unknown]>([
    ['0.1834', 0.1834],
    [' 0.1834\n', 0.1834],
    ['.5', 0.5],
    ['1.', 1],
    ['+3e2', 300],
    ['{"score": 0.5, "label": "late"}', { score: 0.5, label: 'late' }],
    ['[[0.1, 0.9]]', [[0.1, 0.9]]],
    ['{"score":1}\n{"score":2}', [{ score: 1 }, { score: 2 }]],
    ['0.1,0.9', [[0.1, 0.9]]],
    ['1\r\n2', [[1], [2]]],
    [
      'late, 0.9\non time, .1',
      [
        ['late', 0.9],
        ['on time', 0.1],
      ],
    ],
    ['late', 'late'],
    ['true', true],
    ['"late"', 'late'],
    ['"a, b",1', '"a, b",1'],
    ['', ''],
    ['nan', 'nan'],
    ['1,NaN', [[1, 'NaN']]],
    ['[1e999]', '[1e999]'],
    ['1e999', '1e999'],
    ['{"a": 1e999}', '{"a": 1e999}'],
  ])('%j is read as %j', (answer, prediction) => {
    expect(predictionOf(answer)).toEqual(prediction);
  });

  test('is the same after a way through JSON, whatever it is', () => {
    const answer = fc.oneof(
      fc.string(),
      fc.json(),
      fc.stringMatching(/^[-+.,e\d\n "]{0,30}$/),
      fc.double().map(String),
    );
    fc.assert(
      fc.property(answer, (text) => {
        const prediction = predictionOf(text);
        expect(prediction).toBeDefined();
        expect(isSame(prediction, JSON.parse(JSON.stringify(prediction)), 0)).toBe(true);
      }),
      { numRuns: 500, seed: 1 },
    );
  });
});

describe('two predictions', () => {
  test.each<[unknown, unknown, number, boolean]>([
    [1, 1 + 1e-7, 1e-6, true],
    [1, 1 + 1e-5, 1e-6, false],
    [1e9, 1e9 + 900, 1e-6, true],
    [0, 1e-7, 1e-6, true],
    [1e-9, 2e-9, 0, false],
    [0, -0, 0, true],
    [Number.NaN, Number.NaN, 1, true],
    [Number.NaN, 1, 1, false],
    [Number.POSITIVE_INFINITY, 1, 1, false],
    [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 1, false],
    [1, '1', 1, false],
    [null, 0, 1, false],
    [null, null, 0, true],
    [[1, 2], [1, 2.0000001], 1e-6, true],
    [[1, 2], [1], 1, false],
    [[], {}, 0, false],
    [{ a: 1, b: 2 }, { b: 2, a: 1 }, 0, true],
    [{ a: 1 }, { a: 1, b: 2 }, 0, false],
    [{ a: undefined }, { b: undefined }, 0, false],
    [JSON.parse('{"__proto__": {}}'), { x: 1 }, 0, false],
    ['late', 'Late', 1, false],
  ])('%j and %j within %d: %s', (a, b, tolerance, same) => {
    expect(isSame(a, b, tolerance)).toBe(same);
    expect(isSame(b, a, tolerance)).toBe(same);
  });

  test('are the same as themselves, and either way round', () => {
    const value = fc.jsonValue();
    fc.assert(
      fc.property(value, value, fc.double({ min: 0, max: 1, noNaN: true }), (a, b, tolerance) => {
        expect(isSame(a, a, tolerance)).toBe(true);
        expect(isSame(a, structuredClone(a), 0)).toBe(true);
        expect(isSame(a, b, tolerance)).toBe(isSame(b, a, tolerance));
      }),
      { numRuns: 500, seed: 2 },
    );
  });

  test('that are the same stay so with more tolerance', () => {
    const numbers = fc.array(fc.double({ noNaN: true }), { maxLength: 4 });
    const tolerance = fc.double({ min: 0, max: 0.5, noNaN: true });
    fc.assert(
      fc.property(numbers, numbers, tolerance, tolerance, (a, b, less, more) => {
        if (isSame(a, b, less)) expect(isSame(a, b, less + more)).toBe(true);
      }),
      { numRuns: 300, seed: 3 },
    );
  });
});

describe('a fingerprint', () => {
  test('names a model by what it answers, in the order of the requests', () => {
    const id = fingerprintId([1, { a: 2, b: 3 }]);
    expect(id).toMatch(/^[0-9a-f]{8}$/);
    expect(fingerprintId([1, { b: 3, a: 2 }])).toBe(id);
    expect(fingerprintId([{ a: 2, b: 3 }, 1])).not.toBe(id);
  });
});
