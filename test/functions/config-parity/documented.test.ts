import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Difference, DocumentedUse } from '../../../functions/config-parity/comparison.ts';
import { uncoveredOf, undocumentedOf, usesOf } from '../../../functions/config-parity/documented.ts';
import type { Json } from '../../../functions/config-parity/json.ts';
import type { Path } from '../../../functions/config-parity/path.ts';
import {
  ABSENT,
  comparisonOf,
  differenceOf,
  entryOf,
  evaluationOf,
  outcomeOf,
  parityOf,
  SCALER,
  TODAY,
} from '../../support/parity-facts.ts';

const INSTANCES: Path = ['endpoints', 'flight-delay', 'variants', '[main]', 'instances'];

function usesFor(
  entries: Record<string, unknown>[],
  differences: Difference[] = [],
  context: Partial<Parameters<typeof usesOf>[2]> = {},
): DocumentedUse[] {
  return usesOf(comparisonOf(differences), parityOf({}, entries), {
    probes: [],
    unreadable: [],
    asOf: TODAY,
    ...context,
  });
}

/** What becomes of an entry with a test, about one difference. */
function tested(
  entryTest: Record<string, unknown>,
  staging: Json | undefined,
  production: Json | undefined,
): Pick<DocumentedUse, 'state' | 'why'> {
  const difference = differenceOf(SCALER, staging ?? ABSENT, production ?? ABSENT);
  const [use] = usesFor([entryOf({ test: entryTest })], [difference]);
  return { state: use!.state, why: use!.why };
}

describe('an entry', () => {
  test('that holds', () => {
    const difference = differenceOf();
    expect(usesFor([entryOf()], [difference])).toEqual([
      {
        entry: 0,
        path: 'models.flight-delay.containers[0].environment.SCALER_VERSION',
        owner: 'ml-platform',
        expires: '2027-01-31',
        covers: [difference.text],
        state: 'holds',
        why: 'Its test, production != staging, holds.',
      },
    ]);
  });

  test('nothing is documented where there is no parity.yaml', () => {
    expect(usesFor([], [differenceOf()])).toEqual([]);
  });

  test('is in force on its last day, and not on the next', () => {
    const states = ['2026-11-21', '2026-11-22', '2026-11-23'].map(
      (expires) => usesFor([entryOf({ expires })], [differenceOf()])[0],
    );
    expect(states.map((use) => use?.state)).toEqual(['expired', 'holds', 'holds']);
    expect(states[0]).toMatchObject({ covers: [differenceOf().text], why: 'It held until 2026-11-21.' });
  });

  test('of which there is no difference any more is stale, even where it has expired', () => {
    const stale = { state: 'stale', covers: [], why: 'There is no such difference any more.' };
    expect(usesFor([entryOf()])).toMatchObject([stale]);
    expect(usesFor([entryOf({ expires: '2026-01-01' })])).toMatchObject([stale]);
  });

  test.each<[string, Path]>([
    ['it', SCALER],
    ['the thing', SCALER.slice(0, 2)],
    ['all of its kind', ['models']],
    ['everything', []],
  ])('is unknown where %s could not be compared', (_, path) => {
    expect(usesFor([entryOf()], [], { unreadable: [path] })).toMatchObject([
      { state: 'unknown', why: 'What it is about could not be compared.' },
    ]);
  });

  test('is stale where something else could not be compared', () => {
    const unreadable: Path[] = [
      ['models', 'fraud'],
      [...SCALER, 'below'],
      ['endpoints', 'flight-delay'],
    ];
    expect(usesFor([entryOf()], [], { unreadable })).toMatchObject([{ state: 'stale' }]);
    expect(usesFor([entryOf({ path: '**.SCALER_VERSION' })], [], { unreadable })).toMatchObject([
      { state: 'unknown' },
    ]);
  });

  test('is unknown where the whole thing is in one environment only, unless that is documented', () => {
    const gone = differenceOf(SCALER.slice(0, 2), { containers: [] }, ABSENT, 'inference');
    expect(usesFor([entryOf()], [gone])).toMatchObject([{ state: 'unknown' }]);
    const documented = entryOf({ path: 'models.*', test: { values: { production: null } } });
    expect(usesFor([documented, entryOf()], [gone])).toMatchObject([{ state: 'holds' }, { state: 'stale' }]);
  });

  test('is about what an earlier one is not about', () => {
    const [a, b] = [differenceOf(), differenceOf(INSTANCES, 1, 2, 'capacity')];
    const uses = usesFor([entryOf(), entryOf({ path: '**.*s*' }), entryOf()], [a, b]);
    expect(uses.map(({ covers }) => covers)).toEqual([[a.text], [b.text], []]);
    expect(uses[2]).toMatchObject({
      state: 'stale',
      why: 'All that it is about parity.yaml:4 documents before it.',
    });
  });

  test('with a pattern is tested on each of its differences', () => {
    const at = (name: string, production: number) =>
      differenceOf(['endpoints', name, 'variants', '[main]', 'instances'], 2, production, 'capacity');
    const entry = entryOf({
      path: 'endpoints.*.variants[*].instances',
      test: { relation: 'production >= staging' },
    });
    const differences = [at('a', 3), at('b', 4), at('c', 9)];
    expect(usesFor([entry], differences)).toMatchObject([
      {
        covers: differences.map(({ text }) => text),
        state: 'holds',
        why: 'Its test, production >= staging, holds of all 3 differences.',
      },
    ]);
    expect(usesFor([entry], [...differences, at('d', 1)])).toMatchObject([
      {
        state: 'failing',
        why: 'Its test, production >= staging, fails of 1 of 4 differences; first: endpoints.d.variants[main].instances is 2 in staging and 1 in production.',
      },
    ]);
  });
});

describe('a relation', () => {
  test.each<[string, Json | undefined, Json | undefined, boolean]>([
    ['production >= staging', 1, 2, true],
    ['production >= staging', 2, 1, false],
    ['production > staging', '1', '1.0', false],
    ['production >= staging', '1', '1.0', true],
    ['production<=staging', '2', 1, true],
    ['production <= staging', '1h', 'PT60M', true],
    ['staging > production', 3, 2, true],
    ['staging < production', 3, 2, false],
    ['production >= staging', 'rate(60 minutes)', 'rate(1 day)', true],
    ['production <= staging', 'PT1H', '61 minutes', false],
    ['production == staging', '1h', '60 minutes', true],
    ['production == staging', 'a', 'b', false],
    ['production != staging', 'a', 'b', true],
    ['production != staging', 'sha256:0123456789abcdef', 'sha256:fedcba9876543210', true],
    ['production != staging', ['a'], ['a'], false],
    ['production == staging', { a: 1, b: 2 }, { b: 2, a: 1 }, true],
    ['production != staging', undefined, 'b', true],
    ['production == staging', 'a', undefined, false],
  ])('%s of %j and %j', (relation, staging, production, holds) => {
    expect(tested({ relation }, staging, production).state).toBe(holds ? 'holds' : 'failing');
  });

  test('a text that names one environment, and stands in both, is equal', () => {
    const difference: Difference = {
      ...differenceOf(),
      staging: { value: 's3://acme-staging', folded: 's3://acme-{environment}' },
      production: { value: 's3://acme-staging' },
    };
    expect(usesFor([entryOf({ test: { relation: 'production == staging' } })], [difference])).toMatchObject([
      { state: 'holds' },
    ]);
    expect(usesFor([entryOf()], [difference])).toMatchObject([
      {
        state: 'failing',
        why: 'Its test, production != staging, fails.',
      },
    ]);
  });

  test.each<[Json | undefined, Json | undefined, string]>([
    [undefined, 2, ': nothing is >= what is absent'],
    [1, 'many', ': these are not two numbers, nor two durations'],
    [1, '1h', ': these are not two numbers, nor two durations'],
    [2, 1, ''],
  ])('says why it fails of %j and %j', (staging, production, why) => {
    expect(tested({ relation: 'production >= staging' }, staging, production)).toEqual({
      state: 'failing',
      why: `Its test, production >= staging, fails${why}.`,
    });
  });

  test('and its opposite: one of them holds of any two quantities', () => {
    fc.assert(
      fc.property(fc.integer(), fc.integer(), (a, b) => {
        const holds = (relation: string) => tested({ relation }, a, b).state === 'holds';
        expect(holds('production >= staging')).toBe(b >= a);
        expect(holds('staging > production')).toBe(b < a);
        expect(holds('production == staging')).toBe(!holds('production != staging'));
      }),
      { seed: 6, numRuns: 40 },
    );
  });
});

describe('the same part', () => {
  test.each<[Record<string, string>, Json | undefined, Json | undefined, boolean]>([
    [{ after: ':' }, 'a.b/c:1.4', 'd:9/c:1.4', true],
    [{ after: ':' }, 'a:1.4', 'a:1.5', false],
    [{ after: '//' }, 's3://a/x//k', 'x//k', true],
    [{ before: '-' }, 'blue-1-2', 'blue-9', true],
    [{ before: '-' }, 'blue-1', 'green-1', false],
    [{ after: ':' }, 'a:', 'b:', true],
  ])('%j of %j and %j', (same, staging, production, holds) => {
    expect(tested({ same }, staging, production).state).toBe(holds ? 'holds' : 'failing');
  });

  test.each<[Json | undefined, Json | undefined]>([
    ['a:1', 'b'],
    ['a', 'b'],
    [1, 'a:1'],
    [undefined, 'a:1'],
  ])('needs both to have it: %j and %j', (staging, production) => {
    expect(tested({ same: { after: ':' } }, staging, production)).toMatchObject({
      state: 'failing',
      why: 'Its test, the same after the last ":", fails: not both are texts with ":" in them.',
    });
  });

  test('may name the environment', () => {
    const difference: Difference = {
      ...differenceOf(),
      staging: { value: 'one/x-staging', folded: 'one/x-{environment}' },
      production: { value: 'two/x-prod', folded: 'two/x-{environment}' },
    };
    expect(usesFor([entryOf({ test: { same: { after: '/' } } })], [difference])).toMatchObject([
      { state: 'holds', why: 'Its test, the same after the last "/", holds.' },
    ]);
  });
});

describe('a pair of values', () => {
  test.each<[Record<string, unknown>, Json | undefined, Json | undefined, boolean]>([
    [{ staging: 'off', production: 'on' }, 'off', 'on', true],
    [{ staging: 'off', production: 'on' }, 'on', 'off', false],
    [{ production: 'on' }, 'whatever', 'on', true],
    [{ staging: 1, production: 2 }, '1', '2', true],
    [{ staging: '1', production: '2' }, 1, 2, true],
    [{ staging: true }, 'true', 'x', true],
    [{ staging: null, production: 2 }, undefined, 2, true],
    [{ staging: null }, 'null', 2, false],
    [{ production: 'null' }, 1, undefined, false],
    [{ production: '' }, 1, undefined, false],
    [{ production: '1,2' }, 1, [1, 2], false],
  ])('%j of %j and %j', (values, staging, production, holds) => {
    expect(tested({ values }, staging, production).state).toBe(holds ? 'holds' : 'failing');
  });

  test('may be as it was read, or folded', () => {
    const difference: Difference = {
      ...differenceOf(),
      staging: { value: 'acme-staging', folded: 'acme-{environment}' },
      production: { value: 'acme-live' },
    };
    for (const staging of ['acme-staging', 'acme-{environment}']) {
      expect(usesFor([entryOf({ test: { values: { staging } } })], [difference])).toMatchObject([
        { state: 'holds', why: `Its test, ${staging} in staging, holds.` },
      ]);
    }
  });

  test('is told where it fails', () => {
    expect(tested({ values: { staging: 'off', production: null } }, 'off', 'on').why).toBe(
      'Its test, off in staging and absent in production, fails.',
    );
    expect(tested({ values: { staging: '3', production: 3 } }, '3', 3).why).toBe(
      'Its test, "3" in staging and 3 in production, holds.',
    );
  });
});

describe('a probe', () => {
  const use = (probes: ReturnType<typeof outcomeOf>[]) =>
    usesFor([entryOf({ test: { probe: 'delay' } })], [differenceOf()], { probes })[0];

  test('has to pass', () => {
    expect(use([outcomeOf()])).toMatchObject({
      state: 'holds',
      why: 'Its test, the probe delay, passes: 10 golden requests are answered alike, and as it is recorded.',
    });
    expect(use([outcomeOf({ outcome: 'fail', why: '3 of 10 are answered differently' })])).toMatchObject({
      state: 'failing',
      why: 'Its test, the probe delay, fails: 3 of 10 are answered differently.',
    });
    expect(use([outcomeOf({ outcome: 'inconclusive', why: 'nobody asked staging' })])).toMatchObject({
      state: 'unknown',
      covers: [differenceOf().text],
      why: 'Its test, the probe delay, is inconclusive: nobody asked staging.',
    });
  });

  test('has to be there', () => {
    expect(use([])).toMatchObject({
      state: 'failing',
      why: 'Its test, the probe delay, is none of tocsin.yaml.',
    });
  });
});

describe('what is not documented', () => {
  test('is what no entry is about, or one that is not in force', () => {
    const at = (variable: string) => differenceOf([...SCALER.slice(0, -1), variable]);
    const entry = (variable: string, change: Record<string, unknown> = {}) =>
      entryOf({ path: `**.${variable}`, ...change });
    const evaluation = evaluationOf(
      parityOf({}, [
        entry('HOLDS'),
        entry('EXPIRED', { expires: '2026-01-01' }),
        entry('FAILS', { test: { values: { production: 'x' } } }),
        entry('UNKNOWN', { test: { probe: 'delay' } }),
      ]),
      comparisonOf(['HOLDS', 'EXPIRED', 'FAILS', 'UNKNOWN', 'NEW'].map(at)),
      { probes: [outcomeOf({ outcome: 'inconclusive' })] },
    );
    const names = (differences: Difference[]) => differences.map(({ path }) => path.at(-1));
    expect(names(undocumentedOf(evaluation))).toEqual(['EXPIRED', 'FAILS', 'NEW']);
    expect(names(uncoveredOf(evaluation))).toEqual(['NEW']);
  });

  test('every difference is of at most one entry, and of one wherever a pattern matches it', () => {
    const segment = fc.constantFrom('a', 'b', 'c');
    const path = fc.array(segment, { minLength: 1, maxLength: 3 });
    const pattern = fc
      .array(fc.constantFrom('a', 'b', 'c', '*', '**'), { minLength: 1, maxLength: 3 })
      .filter((segments) => segments.some((one) => !one.startsWith('*')));
    fc.assert(
      fc.property(
        fc.uniqueArray(path, { selector: (one) => one.join('.'), maxLength: 8 }),
        fc.array(pattern, { maxLength: 5 }),
        (paths, patterns) => {
          const differences = paths.map((one) => differenceOf(one));
          const entries = patterns.map((one) => entryOf({ path: one.join('.') }));
          const uses = usesFor(entries, differences);
          const covered = uses.flatMap(({ covers }) => covers);
          expect(new Set(covered).size).toBe(covered.length);
          const alone = (difference: Difference) =>
            entries.some((one) => usesFor([one], [difference])[0]?.covers.length === 1);
          expect(covered.toSorted()).toEqual(
            differences
              .filter(alone)
              .map(({ text }) => text)
              .sort(),
          );
        },
      ),
      { seed: 6, numRuns: 60 },
    );
  });
});
