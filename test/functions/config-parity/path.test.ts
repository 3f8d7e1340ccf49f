import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  formatPath,
  isWithin,
  matches,
  mayMatchWithin,
  type Path,
  parsePattern,
} from '../../../functions/config-parity/path.ts';

describe('a path', () => {
  test.each<[Path, string]>([
    [['models', 'flight-delay', 'containers', '[0]'], 'models.flight-delay.containers[0]'],
    [['parameters', '/flight-delay/blend'], 'parameters./flight-delay/blend'],
    [['rules', 'a b', '[x.y]', '*'], 'rules."a b"["x.y"]."*"'],
    [['', 'a'], '"".a'],
  ])('%j is written %s', (path, text) => {
    expect(formatPath(path)).toBe(text);
    expect(matches(parsePattern(text), path)).toBe(true);
  });

  test('whatever it is, is a pattern of itself alone', () => {
    const segment = fc.oneof(
      fc.string({ maxLength: 5 }),
      fc.constantFrom('*', '**', '[*]', '[0]', 'a.b', '"', '\\', '["]'),
    );
    const path = fc.array(segment, { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(path, path, (one, other) => {
        // A key in brackets is written as the item of a list.
        const pattern = parsePattern(formatPath(one));
        expect(matches(pattern, one)).toBe(true);
        expect(matches(pattern, other)).toBe(JSON.stringify(one) === JSON.stringify(other));
      }),
      { seed: 6, numRuns: 300 },
    );
  });
});

describe('a pattern', () => {
  test.each<[string, string[], boolean]>([
    ['endpoints.*.variants[*].instances', ['endpoints', 'a', 'variants', '[main]', 'instances'], true],
    ['endpoints.*.variants[*].instances', ['endpoints', 'a', 'b', 'variants', '[main]', 'instances'], false],
    ['endpoints.**.instances', ['endpoints', 'instances'], true],
    ['**', ['anything', 'at all'], true],
    ['functions.flight-*.memoryMb', ['functions', 'flight-delay', 'memoryMb'], true],
    ['functions.flight-*.memoryMb', ['functions', 'fraud', 'memoryMb'], false],
    ['variants[ma*n]', ['variants', '[main]'], true],
    ['"*".a', ['b', 'a'], false],
  ])('%s and %j: %s', (pattern, path, expected) => {
    expect(matches(parsePattern(pattern), path)).toBe(expected);
  });

  test.each(['', '.a', 'a..b', 'a[', 'a[]', 'a"', 'a.'])('"%s" is none', (text) => {
    expect(() => parsePattern(text)).toThrow(SyntaxError);
  });

  test('matches what a search through all ways to match finds', () => {
    const word = fc.constantFrom('a', 'b', 'ab');
    const parts = fc.array(fc.constantFrom('a', 'b', '*', '**', 'a*'), { minLength: 1, maxLength: 4 });
    const search = (left: readonly string[], path: readonly string[]): boolean => {
      const [part, ...more] = left;
      if (part === undefined) return path.length === 0;
      if (part === '**') return path.some((_, at) => search(more, path.slice(at))) || search(more, []);
      const [first, ...rest] = path;
      const fits =
        first !== undefined && (part === '*' || part === first || (part === 'a*' && first.startsWith('a')));
      return fits && search(more, rest);
    };
    const every: Path[] = [[]];
    for (const path of every)
      if (path.length < 4) every.push(...['a', 'b', 'ab'].map((one) => [...path, one]));
    fc.assert(
      fc.property(parts, fc.array(word, { maxLength: 4 }), (left, path) => {
        const pattern = parsePattern(left.join('.'));
        expect(matches(pattern, path)).toBe(search(left, path));
        const below = every.some((one) => isWithin(one, path) && matches(pattern, one));
        if (below) expect(mayMatchWithin(pattern, path)).toBe(true);
        // The longest pattern without ** has four segments: what may match then does within as many.
        else if (!left.includes('**')) expect(mayMatchWithin(pattern, path)).toBe(false);
      }),
      { seed: 6, numRuns: 300 },
    );
  });
});
