import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Json } from '../../../functions/config-parity/json.ts';
import { differenceText, valuesText } from '../../../functions/config-parity/words.ts';
import { ABSENT, differenceOf, SCALER } from '../../support/parity-facts.ts';

const of = (staging: Json | typeof ABSENT, production: Json | typeof ABSENT) =>
  valuesText(differenceOf(SCALER, staging, production));

describe('both values', () => {
  test.each<[Json | typeof ABSENT, Json | typeof ABSENT, string, string]>([
    ['1', '2', '1', '2'],
    [1, '1', '1', '"1"'],
    [true, null, 'true', 'null'],
    ['', 'x', '""', 'x'],
    [' a', 'a', '" a"', 'a'],
    ['a\nb', 'a', '"a\\nb"', 'a'],
    ['"', 'a', '"\\""', 'a'],
    [{ b: 2, a: 1 }, [1], '{"a":1,"b":2}', '[1]'],
    ['x', ABSENT, 'x', 'absent'],
    [ABSENT, { a: 1 }, 'absent', 'there'],
    ['{"a":[… (1,234 characters, sha256:0123456789abcdef)', ABSENT, 'there', 'absent'],
    ['sha256:0123456789abcdef', 'sha256:fedcba9876543210', 'sha256:01234567…', 'sha256:fedcba98…'],
    ['sha256:0123456789abcdef', ABSENT, 'sha256:01234567…', 'absent'],
    [
      'sha256:0123456789abcdef',
      'sha256:01234567ffffffff',
      'sha256:0123456789abcdef',
      'sha256:01234567ffffffff',
    ],
  ])('%j and %j', (staging, production, one, other) => {
    expect(of(staging, production)).toEqual({ staging: one, production: other });
  });

  test('a digest of an image is no secret, and whole', () => {
    const digest = `sha256:${'a'.repeat(64)}`;
    expect(of(digest, ABSENT).staging).toBe(digest);
  });

  test('that are long begin shortly before they differ', () => {
    const { staging, production } = of(`${'a'.repeat(300)}1${'b'.repeat(300)}`, `${'a'.repeat(300)}2`);
    expect(staging).toBe(`…${'a'.repeat(30)}1${'b'.repeat(89)}…`);
    expect(production).toBe(`…${'a'.repeat(30)}2`);
  });

  test('can be told apart, and are bounded, whatever they are', () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 400 }),
      fc.constantFrom('a'.repeat(500), 'sha256:0123456789abcdef'),
    );
    const value = fc.oneof(text, fc.integer(), fc.boolean(), fc.array(text, { maxLength: 3 }));
    fc.assert(
      fc.property(value, value, text, (a, b, tail) => {
        fc.pre(JSON.stringify(a) !== JSON.stringify(b));
        for (const [one, other] of [
          [a, b],
          [a, `${String(a)}${tail}!`],
        ] as const) {
          const { staging, production } = of(one, other);
          expect(staging).not.toBe(production);
          for (const shown of [staging, production]) {
            expect([...shown].length).toBeLessThanOrEqual(122);
            expect(shown).not.toMatch(/[\n\r\u2028]/);
            expect(shown.isWellFormed()).toBe(true);
          }
        }
      }),
      { seed: 6, numRuns: 300 },
    );
  });
});

describe('a difference', () => {
  test('as a sentence', () => {
    expect(differenceText(differenceOf())).toBe(
      'models.flight-delay.containers[0].environment.SCALER_VERSION is 1 in staging and 2 in production',
    );
    expect(differenceText(differenceOf(['alarms', 'p99 latency'], ABSENT, { threshold: 1 }))).toBe(
      'alarms."p99 latency" is absent in staging and there in production',
    );
  });

  test('of a secret says that it is one', () => {
    const path = ['functions', 'etl', 'environment', 'DB_PASSWORD'];
    expect(differenceText(differenceOf(path, 'sha256:0123456789abcdef', 'sha256:fedcba9876543210'))).toBe(
      'functions.etl.environment.DB_PASSWORD is sha256:01234567… in staging and sha256:fedcba98… in production, a secret, by its hash',
    );
  });

  test('of what names one environment in both says which', () => {
    const both = { value: 's3://acme-staging/model' };
    const folded = { ...both, folded: 's3://acme-{environment}/model' };
    const text =
      'models.flight-delay.containers[0].environment.SCALER_VERSION is s3://acme-staging/model in both, and ';
    const difference = differenceOf();
    expect(differenceText({ ...difference, staging: folded, production: both })).toBe(
      `${text}it names staging`,
    );
    expect(differenceText({ ...difference, staging: both, production: folded })).toBe(
      `${text}it names production`,
    );
    expect(differenceText({ ...difference, staging: both, production: both })).toBe(
      `${text}what it names is not the same`,
    );
  });
});
