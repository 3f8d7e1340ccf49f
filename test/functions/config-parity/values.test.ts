import { describe, expect, test } from 'vitest';
import { everyPage } from '../../../functions/config-parity/adapters/pages.ts';
import { membersOf, ordered, setOf, vpcOf } from '../../../functions/config-parity/adapters/values.ts';
import { MOST_RESOURCES } from '../../../functions/config-parity/schema.ts';
import { GateDependencyError, GateInputError } from '../../../functions/shared/errors.ts';

describe('what is set', () => {
  test('is neither nothing nor a time, at any depth', () => {
    const value = {
      none: undefined,
      null: null,
      list: [],
      object: {},
      deep: { object: { none: undefined }, list: [undefined, {}, []] },
      at: new Date(0),
      zero: 0,
      no: false,
      empty: '',
      items: [{ kept: 1, none: undefined }, 'a', null],
    };
    expect(setOf(value)).toEqual({ zero: 0, no: false, empty: '', items: [{ kept: 1 }, 'a'] });
  });

  test('has members in lower camel case', () => {
    expect(
      membersOf({
        KmsKeyId: 'k',
        Deep: [{ MaxItems: 3, At: new Date(0) }],
        S3Uri: 's3://a',
        None: undefined,
      }),
    ).toEqual({ kmsKeyId: 'k', deep: [{ maxItems: 3 }], s3Uri: 's3://a' });
    expect(membersOf(undefined)).toEqual({});
  });

  test('may be a list in order, or a VPC', () => {
    expect(ordered(['run', 'fast'])).toEqual([
      { name: '0', value: 'run' },
      { name: '1', value: 'fast' },
    ]);
    expect(ordered()).toEqual([]);
    expect(vpcOf({ Subnets: ['subnet-1'], SecurityGroupIds: [] })).toEqual({ subnets: ['subnet-1'] });
    expect(vpcOf(undefined)).toBeUndefined();
  });
});

describe('every page', () => {
  test('is asked for with the token of the one before, until there is none', async () => {
    const tokens: (string | undefined)[] = [];
    const found = await everyPage('things', async (token) => {
      tokens.push(token);
      if (token === undefined) return { items: [1, 2], next: 'b' };
      return token === 'b' ? { items: undefined, next: 'c' } : { items: [3], next: '' };
    });
    expect(found).toEqual([1, 2, 3]);
    expect(tokens).toEqual([undefined, 'b', 'c']);
  });

  test('is not asked for beyond what is compared', async () => {
    let pages = 0;
    const work = everyPage('things', async () => ({
      items: Array.from({ length: 1000 }, () => 0),
      next: String(++pages),
    }));
    await expect(work).rejects.toThrow(
      new GateInputError(`there are more than ${MOST_RESOURCES} things`, {
        help: 'Narrow what is compared in tocsin.yaml.',
      }),
    );
    expect(pages).toBe(MOST_RESOURCES / 1000 + 1);
  });

  test('is not asked for again and again', async () => {
    await expect(everyPage('things', async () => ({ items: [], next: 'a' }))).rejects.toThrow(
      new GateDependencyError('the list of things begins again after 2 pages'),
    );
  });
});
