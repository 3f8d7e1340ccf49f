import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import type { Difference } from '../../../functions/config-parity/comparison.ts';
import { usesOf } from '../../../functions/config-parity/documented.ts';
import type { Json } from '../../../functions/config-parity/json.ts';
import type { Path } from '../../../functions/config-parity/path.ts';
import { proposalsOf } from '../../../functions/config-parity/propose.ts';
import { type DocumentedEntry, parseDocumented } from '../../../functions/config-parity/schema.ts';
import {
  ABSENT,
  comparisonOf,
  differenceOf,
  entryOf,
  evaluationOf,
  outcomeOf,
  PROBES,
  parityOf,
  SCALER,
  TODAY,
} from '../../support/parity-facts.ts';

const proposed = (differences: Difference[], parity = parityOf()) =>
  proposalsOf(evaluationOf(parity, comparisonOf(differences)), parity);

const entriesIn = (text: string): DocumentedEntry[] => parse(text) as DocumentedEntry[];

const testFor = (staging: Json | typeof ABSENT, production: Json | typeof ABSENT) =>
  entriesIn(proposed([differenceOf(SCALER, staging, production)]))[0]?.test;

/** As a comparison keeps what is long. */
const LONG = '{"a":[… (1,234 characters, sha256:0123456789abcdef)';

const VARIABLE = (name: string, variable: string): Path => ['functions', name, 'environment', variable];

describe('what is proposed', () => {
  test('is nothing where everything is documented', () => {
    expect(proposed([])).toBe('');
    expect(proposed([differenceOf()], parityOf({}, [entryOf()]))).toBe('');
    expect(proposed([differenceOf()], parityOf({}, [entryOf({ expires: '2020-01-01' })]))).toBe('');
  });

  test('is an entry for each difference, to be filled in', () => {
    const instances = ['endpoints', 'flight-delay', 'variants', '[main]', 'instances'];
    expect(
      proposed([differenceOf(), differenceOf(instances, 1, 4, 'capacity')], parityOf(PROBES)),
    ).toMatchInlineSnapshot(`
      "# 1 in staging, 2 in production (environment, high)
      # or test: { probe: delay }
      - path: models.flight-delay.containers[0].environment.SCALER_VERSION
        reason:
        owner:
        expires:
        test:
          values:
            staging: "1"
            production: "2"

      # 1 in staging, 4 in production (capacity, medium)
      - path: endpoints.flight-delay.variants[main].instances
        reason:
        owner:
        expires:
        test:
          relation: production >= staging
      "
    `);
  });

  test('leaves parity.yaml invalid until a person has filled it in, and valid then', () => {
    const text = proposed([differenceOf()]);
    const file = (entries: string) => ({
      file: 'parity.yaml',
      text: `parity: 1\ndifferences:\n  flight-delay:\n${entries.replace(/^(?=.)/gm, '    ')}`,
    });
    const mistakes = () => parseDocumented(file(text));
    expect(mistakes).toThrow(
      /^parity\.yaml:6:7 differences\.flight-delay\.0\.reason: expected a sentence; it is still to be filled in, got null$/m,
    );
    expect(mistakes).toThrow(/^parity\.yaml:7:7 .*owner: expected who answers for it, got null$/m);
    expect(mistakes).toThrow(/^parity\.yaml:8:7 .*expires: expected a day such as 2027-01-31, got null$/m);
    const filled = text
      .replace('reason:', 'reason: it is tried')
      .replace('owner:', 'owner: ml')
      .replace('expires:', 'expires: 2027-01-31');
    expect(parseDocumented(file(filled)).get('flight-delay')?.value).toHaveLength(1);
  });

  test.each<[string, Json | typeof ABSENT, Json | typeof ABSENT, unknown]>([
    ['numbers', 0.5, 0.75, { values: { staging: 0.5, production: 0.75 } }],
    ['texts', 'off', 'on', { values: { staging: 'off', production: 'on' } }],
    ['texts of one tail', 'a.b/c:1.4', 'd/c:1.4', { same: { after: ':' } }],
    ['texts of other tails', 'c:1.4', 'c:1.5', { values: { staging: 'c:1.4', production: 'c:1.5' } }],
    ['texts that end in a colon', 'a:', 'b:', { values: { staging: 'a:', production: 'b:' } }],
    ['a number and a text', 1, '2', { values: { staging: 1, production: '2' } }],
    ['a value and nothing', true, ABSENT, { values: { staging: true, production: null } }],
    ['a whole thing and nothing', ABSENT, { a: 1 }, { values: { staging: null } }],
    ['a very long text and nothing', LONG, ABSENT, { values: { production: null } }],
    ['lists', ['a'], ['b'], { relation: 'production != staging' }],
    ['secrets', 'sha256:0123456789abcdef', 'sha256:fedcba9876543210', { relation: 'production != staging' }],
    ['a secret and nothing', 'sha256:0123456789abcdef', ABSENT, { relation: 'production != staging' }],
    ['the same text', 'acme-staging', 'acme-staging', { relation: 'production == staging' }],
  ])('has a test for %s: %j, %j', (_, staging, production, expected) => {
    expect(testFor(staging, production)).toEqual(expected);
  });

  test.each([
    [4, 1, 'production <= staging'],
    [0.5, 0.75, 'production >= staging'],
  ])('relates the capacity of %d to that of %d, which may grow', (staging, production, relation) => {
    const text = proposed([differenceOf(SCALER, staging, production, 'capacity')]);
    expect(entriesIn(text)[0]?.test).toEqual({ relation });
  });

  test('says that there is nothing, and leaves that to nobody', () => {
    expect(proposed([differenceOf(SCALER, ABSENT, { a: 1 })])).toContain('      staging: null\n');
  });

  test('is one pattern for many alike, behind those that it would hide', () => {
    const alike = ['a', 'b', 'c', 'd'].map((name) => differenceOf(VARIABLE(name, 'LEVEL'), 'debug', 'info'));
    const other = differenceOf(VARIABLE('e', 'LEVEL'), 'debug', 'error');
    const text = proposed([...alike, other]);
    expect(entriesIn(text)).toEqual([
      {
        path: 'functions.e.environment.LEVEL',
        reason: null,
        owner: null,
        expires: null,
        test: { values: { staging: 'debug', production: 'error' } },
      },
      {
        path: 'functions.*.environment.LEVEL',
        reason: null,
        owner: null,
        expires: null,
        test: { values: { staging: 'debug', production: 'info' } },
      },
    ]);
    expect(text).toContain('# 4 times: debug in staging, info in production (environment, high)\n');
    expect(entriesIn(proposed(alike.slice(1)))).toHaveLength(3);
  });

  test('is one pattern for the most of those alike, where there are several', () => {
    const alike = (names: string[], production: string) =>
      names.map((name) => differenceOf(VARIABLE(name, 'LEVEL'), 'debug', production));
    const few = alike(['a', 'b', 'c', 'd'], 'info');
    const many = alike(['e', 'f', 'g', 'h', 'i'], 'error');
    const paths = entriesIn(proposed([...few, ...many])).map(({ path }) => path);
    expect(paths).toEqual([...few.map(({ text }) => text), 'functions.*.environment.LEVEL']);
  });

  test('names a whole thing that is missing, and no pattern of all things', () => {
    const gone = ['a', 'b', 'c', 'd'].map((name) =>
      differenceOf(['alarms', name], { period: 60 }, ABSENT, 'safety'),
    );
    expect(entriesIn(proposed(gone)).map(({ path }) => path)).toEqual([
      'alarms.a',
      'alarms.b',
      'alarms.c',
      'alarms.d',
    ]);
  });
});

test('whatever differs: once filled in, every proposed entry holds, and nothing is left', () => {
  const segment = fc.oneof(
    fc.constantFrom('a', 'b', 'p 99', '*', '**', '[main]', '[a.b]', '[*]', '["x]', 'ä"ö', '/x/{y}'),
    fc.string({ minLength: 1, maxLength: 6 }).filter((text) => !text.startsWith('[')),
  );
  const path = fc
    .tuple(
      fc.constantFrom('models', 'functions'),
      fc.constantFrom('a', 'b', 'c', 'd', 'e', 'x.*'),
      fc.array(segment, { maxLength: 2 }),
    )
    .map(([kind, name, rest]) => [kind, name, ...rest]);
  const value = fc.oneof(
    fc.constantFrom<Json | typeof ABSENT>('a', 'x:1', 'y:1', 1, 2, true, ABSENT, ['a'], { a: 1 }),
    fc.constantFrom('null', '1', '2026-01-01', 'sha256:0123456789abcdef', 'yes', '#', ': ', "'", 'a\nb'),
    fc.string({ maxLength: 8 }),
  );
  const difference = fc
    .tuple(path, value, value)
    .filter(
      ([, a, b]) =>
        (a === ABSENT) !== (b === ABSENT) || (a !== ABSENT && JSON.stringify(a) !== JSON.stringify(b)),
    )
    .map(([at, a, b]) => differenceOf(at, a, b));
  fc.assert(
    fc.property(
      fc.uniqueArray(difference, { selector: ({ text }) => text, maxLength: 12 }),
      (differences) => {
        const text = proposed(differences);
        const entries = (text === '' ? [] : entriesIn(text)).map((entry) => ({
          ...entry,
          reason: 'r',
          owner: 'o',
          expires: '2027-01-31',
        }));
        const uses = usesOf(comparisonOf(differences), parityOf({}, entries), {
          probes: [outcomeOf()],
          unreadable: [],
          asOf: TODAY,
        });
        expect(uses.filter(({ state }) => state !== 'holds')).toEqual([]);
        expect(uses.flatMap(({ covers }) => covers).sort()).toEqual(
          differences.map((one) => one.text).sort(),
        );
      },
    ),
    { seed: 6, numRuns: 150 },
  );
});
