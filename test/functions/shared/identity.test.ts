import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { canonicalJson, sha256, verdictId } from '../../../functions/shared/identity.ts';

test('sha256 of a text is that of its UTF-8 bytes', () => {
  // The published test vectors of FIPS 180-2.
  expect(sha256('')).toBe('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
  expect(sha256('abc')).toBe('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
  expect(sha256('ü')).toBe(sha256(Buffer.from([0xc3, 0xbc])));
});

test('canonical JSON does not depend on the order of keys, at any depth, and is still that JSON', () => {
  const reversed = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(reversed);
    if (value === null || typeof value !== 'object') return value;
    return Object.fromEntries(
      Object.entries(value)
        .reverse()
        .map(([key, inner]) => [key, reversed(inner)]),
    );
  };
  // `__proto__` is no key of a plain object: assigning it changes the prototype.
  const json = fc.jsonValue().filter((value) => !JSON.stringify(value).includes('__proto__'));
  return fc.assert(
    fc.property(json, (value) => {
      expect(canonicalJson(reversed(value))).toBe(canonicalJson(value));
      expect(JSON.parse(canonicalJson(value))).toEqual(JSON.parse(JSON.stringify(value)));
    }),
  );
});

test('canonical JSON keeps the order of arrays', () => {
  expect(canonicalJson({ b: [2, 1], a: { d: null, c: 'x' } })).toBe('{"a":{"c":"x","d":null},"b":[2,1]}');
});

test('the id of a verdict is 32 hexadecimal digits that depend on gate, version and inputs alone', () => {
  const id = verdictId('quality-gate', '0.1.0', { a: 1, b: 2 });
  expect(id).toMatch(/^[0-9a-f]{32}$/);
  expect(verdictId('quality-gate', '0.1.0', { b: 2, a: 1 })).toBe(id);
  expect(
    new Set([
      id,
      verdictId('config-parity', '0.1.0', { a: 1, b: 2 }),
      verdictId('quality-gate', '0.1.1', { a: 1, b: 2 }),
      verdictId('quality-gate', '0.1.0', { a: 1, b: 3 }),
    ]).size,
  ).toBe(4);
});
