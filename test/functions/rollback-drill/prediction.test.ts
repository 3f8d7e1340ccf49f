import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Fingerprint } from '../../../functions/rollback-drill/measurements.ts';
import { tellingOf, whoOf } from '../../../functions/rollback-drill/prediction.ts';
import { fingerprintId } from '../../../functions/shared/prediction.ts';

describe('a fingerprint', () => {
  const of = (part: Fingerprint['part'], predictions: unknown[], variant: string = part): Fingerprint => ({
    id: fingerprintId(predictions),
    variant,
    part,
    predictions,
  });

  test('tells whose answer it is', () => {
    const models = [of('previous', [1, 2, 3]), of('bad', [4, 2, 5])];
    expect([1, 4, 1.5].map((prediction) => whoOf(prediction, 0, models, 1e-6))).toEqual([
      'previous',
      'bad',
      'other',
    ]);
    expect(whoOf(2, 1, models, 1e-6)).toBe('either');
    expect(whoOf(3, 0, models, 1e-6)).toBe('other');
  });

  test('of several models before is that of any', () => {
    const models = [of('previous', [1], 'a'), of('previous', [2], 'b'), of('bad', [3])];
    expect([1, 2, 3].map((prediction) => whoOf(prediction, 0, models, 0))).toEqual([
      'previous',
      'previous',
      'bad',
    ]);
  });

  test('tells by the requests that no model before answers as the bad one does', () => {
    const before = [of('previous', [1, 2, 3, 4], 'a'), of('previous', [1, 5, 6, 4], 'b')];
    expect(tellingOf([...before, of('bad', [9, 5, 9, 4])], 0)).toEqual([0, 2]);
    expect(tellingOf([...before, of('bad', [9, 5])], 0)).toEqual([0]);
    expect(tellingOf(before, 0)).toEqual([]);
    expect(tellingOf([of('bad', [1])], 0)).toEqual([]);
    expect(tellingOf([], 0)).toEqual([]);
  });

  test('whatever it is, an answer to a telling request is not ascribed to both', () => {
    const predictions = fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 4, maxLength: 4 });
    fc.assert(
      fc.property(predictions, predictions, predictions, (a, b, c) => {
        const models = [of('previous', a, 'a'), of('previous', b, 'b'), of('bad', c)];
        const telling = tellingOf(models, 0);
        for (const golden of [0, 1, 2, 3]) {
          const whose = [a, b, c].map((all) => whoOf(all[golden], golden, models, 0));
          if (telling.includes(golden)) expect(whose).toEqual(['previous', 'previous', 'bad']);
          else expect(whose).toContain('either');
        }
      }),
      { numRuns: 300, seed: 4 },
    );
  });
});
