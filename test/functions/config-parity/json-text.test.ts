import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { jsonOf } from '../../../functions/config-parity/json-text.ts';

describe('a text', () => {
  test('that is an object or a list in JSON is that', () => {
    expect(jsonOf(' {"a": [1, 2.5, null]}\n')).toEqual({ a: [1, 2.5, null] });
    expect(jsonOf('[]')).toEqual([]);
  });

  test.each(['12', 'true', 'null', '"quoted"', '', '{"key": <key>}', '[1, 2'])('stays text: %s', (text) => {
    expect(jsonOf(text)).toBe(text);
  });

  test('keeps apart what a double would make equal', () => {
    expect(jsonOf('[9007199254740993, 9007199254740992, -9007199254740993, 9007199254740991]')).toEqual([
      '9007199254740993',
      '9007199254740992',
      '-9007199254740993',
      9007199254740991,
    ]);
    expect(jsonOf('[1e999, 0.1, 1e3]')).toEqual(['1e999', 0.1, 1000]);
  });

  test('that is nested beyond reason stays text, however deep', () => {
    for (const depth of [100, 100_000]) {
      const text = '['.repeat(depth) + ']'.repeat(depth);
      expect(jsonOf(text)).toBe(text);
    }
  });

  test('that JSON was written to is that JSON again', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.array(fc.jsonValue({ maxDepth: 5 })), fc.dictionary(fc.string(), fc.jsonValue())),
        (value) => {
          const text = JSON.stringify(value);
          // Integers that a double does not hold for sure.
          fc.pre(!/\d{16}/.test(text));
          expect(JSON.stringify(jsonOf(text))).toBe(text);
        },
      ),
      { seed: 6 },
    );
  });
});
