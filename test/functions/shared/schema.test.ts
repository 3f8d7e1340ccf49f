import * as fc from 'fast-check';
import { describe, expect, test, vi } from 'vitest';
import * as yaml from 'yaml';
import * as z from 'zod';
import { GateInputError } from '../../../functions/shared/errors.ts';
import {
  ConfigError,
  change,
  didYouMean,
  duration,
  parseJson,
  parseValue,
  parseYaml,
  percent,
  strict,
  tryJson,
} from '../../../functions/shared/schema.ts';

// To count how many keys of a file are looked at.
vi.mock('yaml', async (original) => {
  const all = await original<typeof yaml>();
  return { ...all, isScalar: vi.fn(all.isScalar) };
});

/** What is wrong with a text, one line a mistake. */
function mistakes(schema: z.ZodType, text: string): string[] {
  try {
    parseYaml(schema, text, 'f.yaml');
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    expect(error).toBeInstanceOf(GateInputError);
    return (error as ConfigError).message.split('\n');
  }
  return [];
}

describe('percent', () => {
  test('is the same as a text and as a fraction', () =>
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 10_000 }),
        fc.constantFrom('', ' ', '  '),
        (hundredths, space) => {
          const text = `${hundredths / 100}${space}%`;
          expect(percent.parse(text)).toBeCloseTo(hundredths / 10_000, 12);
          expect(percent.parse(hundredths / 10_000)).toBe(hundredths / 10_000);
        },
      ),
    ));

  test('is never above one, never negative, never anything else', () => {
    const other = fc.oneof(
      fc.double({ min: 1, minExcluded: true, noNaN: true }),
      fc.double({ max: -Number.MIN_VALUE, noNaN: true }),
      fc.constantFrom(
        Number.NaN,
        null,
        true,
        '',
        '%',
        '2',
        '2 percent',
        '-2%',
        '2%%',
        '1e2%',
        '101%',
        '.5%',
        [2],
      ),
    );
    return fc.assert(
      fc.property(other, (value) => {
        expect(percent.safeParse(value).success).toBe(false);
      }),
    );
  });

  test.each([
    ['a: 2', 'f.yaml:1:1 a: expected a percentage such as 2%, or a fraction from 0 to 1, got 2'],
    ['a: two', 'f.yaml:1:1 a: expected a percentage such as 2%, or a fraction from 0 to 1, got "two"'],
    ['a: 150%', 'f.yaml:1:1 a: expected at most 100%, got 1.5'],
    ['{}', 'f.yaml:1:1 a: expected a percentage such as 2%, or a fraction from 0 to 1, it is missing'],
  ])('says what it wants of %s', (text, message) => {
    expect(mistakes(strict({ a: percent }), text)).toEqual([message]);
  });
});

test('change may exceed 100%', () => {
  expect(change.parse('250%')).toBe(2.5);
  expect(change.parse(2.5)).toBe(2.5);
  expect(change.safeParse('-1%').success).toBe(false);
  expect(change.safeParse(-0.1).success).toBe(false);
});

describe('duration', () => {
  const MS = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

  test('is a number and a unit', () =>
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 100_000 }),
        fc.constantFrom(...(Object.keys(MS) as (keyof typeof MS)[])),
        (tenths, unit) => {
          expect(duration.parse(`${tenths / 10}${unit}`)).toBeCloseTo((tenths / 10) * MS[unit], 3);
        },
      ),
    ));

  test.each(['', '30', '30 s', '-1d', '1w', '1ms', 's', 30, null])('is not %j', (value) => {
    const text = `a: ${JSON.stringify(value)}`;
    expect(mistakes(strict({ a: duration }), text)).toEqual([
      `f.yaml:1:1 a: expected a duration such as 30s, 10m, 2h or 40d, got ${JSON.stringify(value)}`,
    ]);
  });
});

describe('didYouMean', () => {
  const NAMES = ['delay', 'distance', 'origin', 'destination', 'tail_number'];

  test('finds a name with one letter swapped, lost, doubled or in the wrong case', () => {
    const mistyped = fc.constantFrom(...NAMES).chain((name) =>
      fc.tuple(fc.integer({ min: 0, max: name.length - 2 }), fc.nat(3)).map(([at, kind]) => {
        const [a, b] = [name[at] as string, name[at + 1] as string];
        const middle = [b + a, b, a + a + b, a.toUpperCase() + b][kind] as string;
        return { name, word: name.slice(0, at) + middle + name.slice(at + 2) };
      }),
    );
    return fc.assert(
      fc.property(mistyped, ({ name, word }) => {
        expect(didYouMean(word, NAMES)).toBe(`, did you mean "${name}"?`);
      }),
    );
  });

  test('keeps quiet where nothing is close, and where there is nothing', () => {
    expect(didYouMean('xyzzy', NAMES)).toBe('');
    expect(didYouMean('qqq', NAMES)).toBe('');
    expect(didYouMean('delay', [])).toBe('');
  });
});

describe('parseYaml', () => {
  const schema = strict({
    name: z.string(),
    limits: strict({
      zeros: percent.optional(),
      range: z.tuple([z.number(), z.number()]).optional(),
    }).optional(),
    kind: z.enum(['csv', 'parquet']).optional(),
    grid: z.array(z.array(z.number())).optional(),
    columns: z.record(z.string(), strict({ type: z.string() })).optional(),
  });

  test('gives the value and knows where each part of it stands', () => {
    const located = parseYaml(
      schema,
      'name: a\nlimits:\n  range: [1, 2]\ncolumns:\n  "a.b": { type: x }\n',
      'f.yaml',
    );
    expect(located.value).toEqual({
      name: 'a',
      limits: { range: [1, 2] },
      columns: { 'a.b': { type: 'x' } },
    });
    const at = (...path: PropertyKey[]) => {
      const { file, line, column } = located.locate(path);
      return `${file}:${line}:${column}`;
    };
    expect(at()).toBe('f.yaml:1:1');
    expect(at('limits')).toBe('f.yaml:2:1');
    expect(at('limits', 'range')).toBe('f.yaml:3:3');
    expect(at('limits', 'range', 1)).toBe('f.yaml:3:14');
    expect(at('columns', 'a.b', 'type')).toBe('f.yaml:5:12');
    expect(at('limits', 'absent', 'deeper'), 'the nearest that exists').toBe('f.yaml:2:1');
  });

  test('looks at each key of a large file once, however often it is asked where something stands', () => {
    const names = Array.from({ length: 2000 }, (_, index) => `c${index}`);
    const text = `name: a\ncolumns:\n${names.map((name) => `  ${name}: { type: x }\n`).join('')}`;
    const { locate } = parseYaml(schema, text, 'f.yaml');
    const looks = vi.mocked(yaml.isScalar);
    looks.mockClear();
    for (const part of ['type', 'absent']) {
      for (const [index, name] of names.entries()) {
        expect(locate(['columns', name, part]).line).toBe(index + 3);
      }
    }
    expect(looks.mock.calls.length).toBeLessThanOrEqual(2 + 2 * names.length);
  });

  test('names every mistake with its line and column', () => {
    const text = [
      'limits:',
      '  zeroes: 2%',
      '  range: [1, "2"]',
      'kind: json',
      'grid: [[1], [2, x]]',
      '',
    ].join('\n');
    expect(mistakes(schema, text)).toEqual([
      'f.yaml:1:1 name: expected string, it is missing',
      'f.yaml:3:14 limits.range.1: expected number, got "2"',
      'f.yaml:2:3 unknown key "zeroes", did you mean "zeros"?; allowed: zeros, range',
      'f.yaml:4:1 kind: expected one of "csv"|"parquet", got "json"',
      'f.yaml:5:17 grid.1.1: expected number, got "x"',
    ]);
  });

  test('finds a mistake wherever it stands in nested lists', () =>
    fc.assert(
      fc.property(fc.nat(4), fc.nat(4), (row, cell) => {
        const grid = Array.from({ length: 5 }, () => ['1', '1', '1', '1', '1']);
        (grid[row] as string[])[cell] = 'x';
        const text = `name: a\ngrid:\n${grid.map((cells) => `  - [${cells.join(', ')}]\n`).join('')}`;
        expect(mistakes(schema, text)).toEqual([
          `f.yaml:${row + 3}:${6 + 3 * cell} grid.${row}.${cell}: expected number, got "x"`,
        ]);
      }),
    ));

  test('shortens a long value', () => {
    const [message] = mistakes(schema, `name: a\nkind: ${'x'.repeat(1000)}`);
    expect(message).toBe(`f.yaml:2:1 kind: expected one of "csv"|"parquet", got "${'x'.repeat(56)}...`);
  });

  test.each([
    ['name: [', 'f.yaml:1:8'],
    ['name: a\nname: b', 'f.yaml:2:1 Map keys must be unique'],
    ['name: "a', 'f.yaml:1:9 Missing closing "quote'],
    ['name: a\n\tkind: csv', 'f.yaml:2:1'],
    ['name: *nobody', 'f.yaml:1:1 Unresolved alias'],
  ])('says where %j stops being YAML', (text, message) => {
    const found = mistakes(schema, text);
    expect(found.length).toBeGreaterThan(0);
    expect(found[0]).toContain(message);
    expect(found.join('\n'), 'the position is said once').not.toMatch(/at line \d/);
  });

  test.each([
    ['', /f\.yaml:1:1 expected .*got null/],
    ['just a text', /f\.yaml:1:1 expected .*got "just a text"/],
    ['- a', /f\.yaml:1:1 expected .*got \["a"\]/],
  ])('says that %j is no such file', (text, message) => {
    expect(mistakes(schema, text)).toEqual([expect.stringMatching(message)]);
  });

  test('refuses a bomb of aliases', () => {
    const levels = ['a: &a [x, x, x, x, x, x, x, x, x, x]'];
    for (const [name, of] of [...'bcdefgh'].map((letter, index) => [letter, 'abcdefg'[index]])) {
      levels.push(`${name}: &${name} [${Array.from({ length: 10 }, () => `*${of}`).join(', ')}]`);
    }
    expect(mistakes(schema, levels.join('\n'))).toEqual([expect.stringContaining('Excessive alias count')]);
  });

  test('takes JSON, which is YAML', () => {
    expect(parseYaml(schema, '{"name": "a"}', 'f.json').value).toEqual({ name: 'a' });
  });

  test('never throws anything but a ConfigError with a position, whatever the text', () => {
    const yamlish = fc.string({ unit: fc.constantFrom(...'a:-[]{}&*!|>\'"%@`#\n\t ,?0') });
    return fc.assert(
      fc.property(fc.oneof(yamlish, fc.string({ unit: 'binary' })), (text) => {
        const lines = text.split(/\r\n|\r|\n/).length;
        try {
          parseYaml(schema, text, 'f.yaml');
        } catch (error) {
          expect(error).toBeInstanceOf(ConfigError);
          for (const { line, column, file } of (error as ConfigError).issues) {
            expect(file).toBe('f.yaml');
            expect(line).toBeGreaterThanOrEqual(1);
            expect(line).toBeLessThanOrEqual(lines + 1);
            expect(column).toBeGreaterThanOrEqual(1);
          }
        }
      }),
      { numRuns: 300 },
    );
  });
});

describe('parseValue and parseJson', () => {
  const schema = strict({ dataset: z.string(), bytes: z.coerce.number().int().positive() });

  test('give the value', () => {
    expect(parseValue(schema, { dataset: 'a', bytes: '5' }, 'it')).toEqual({ dataset: 'a', bytes: 5 });
    expect(parseJson(schema, '{"dataset":"a","bytes":5}', 'it')).toEqual({ dataset: 'a', bytes: 5 });
  });

  test.each([
    [
      { datset: 'a', bytes: 1 },
      'it: dataset: expected string, it is missing; unknown key "datset", did you mean "dataset"?; allowed: dataset, bytes',
    ],
    [{ dataset: 'a', bytes: -1 }, 'it: bytes: expected number to be >0, got -1'],
    [null, 'it: expected object, got null'],
  ])('say what is wrong with %j', (value, message) => {
    expect(() => parseValue(schema, value, 'it')).toThrow(new GateInputError(message));
    expect(() => parseJson(schema, JSON.stringify(value), 'it')).toThrow(new GateInputError(message));
  });

  test('say that cut text is no JSON', () => {
    expect(() => parseJson(schema, '{"dataset":', 'it')).toThrow(/^it is not JSON: /);
  });
});

test('text that is no JSON says nothing', () => {
  expect(['{"a":[1]}', 'null', '', '{"a":', 'NaN'].map(tryJson)).toEqual([
    { a: [1] },
    null,
    undefined,
    undefined,
    undefined,
  ]);
});
