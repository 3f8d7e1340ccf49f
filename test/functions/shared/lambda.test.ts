import { describe, expect, test } from 'vitest';
import { GateDependencyError, GateInputError } from '../../../functions/shared/errors.ts';
import { isEvent, remembered, withHelp } from '../../../functions/shared/lambda.ts';

describe('remembered', () => {
  test('loads once, also for those who ask at the same time', async () => {
    let loads = 0;
    const load = remembered(async () => ++loads);
    expect(await Promise.all([load(), load()])).toEqual([1, 1]);
    expect(await load()).toBe(1);
  });

  test('tries again after a failure', async () => {
    let loads = 0;
    const load = remembered(async () => {
      if (++loads === 1) throw new Error('throttled');
      return loads;
    });
    await expect(load()).rejects.toThrow('throttled');
    expect(await load()).toBe(2);
    expect(await load()).toBe(2);
  });
});

test('an error of ours carries its help in its message, and keeps its class', () => {
  const cause = new GateInputError('no such dataset', { help: 'Name one that is there.' });
  expect(withHelp(cause)).toEqual(new GateInputError('no such dataset Name one that is there.', { cause }));
  expect(withHelp(new GateDependencyError('throttled'))).toBeInstanceOf(GateDependencyError);
  const foreign = new RangeError('a bug');
  expect(withHelp(foreign)).toBe(foreign);
});

test('an event of EventBridge has a detail type', () => {
  expect(isEvent({ 'detail-type': 'Object Created' })).toBe(true);
  for (const other of [{}, null, undefined, 'detail-type', 7]) expect(isEvent(other)).toBe(false);
});
