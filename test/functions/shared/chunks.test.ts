import fc from 'fast-check';
import { expect, test } from 'vitest';
import { chunksOf } from '../../../functions/shared/chunks.ts';

test('chunks are the list again, all of them full but the last', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(), { maxLength: 40 }), fc.integer({ min: 1, max: 12 }), (items, size) => {
      const chunks = chunksOf(items, size);
      expect(chunks.flat()).toEqual(items);
      expect(chunks.slice(0, -1).every(({ length }) => length === size)).toBe(true);
      expect(chunks.every(({ length }) => length > 0)).toBe(true);
    }),
    { seed: 4 },
  );
});
