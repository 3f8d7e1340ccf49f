import { GetParametersByPathCommand, GetParametersCommand, type Parameter } from '@aws-sdk/client-ssm';
import 'aws-sdk-client-mock-vitest/extend';
import { afterEach, describe, expect, test } from 'vitest';
import { readParameters } from '../../../functions/config-parity/adapters/parameters.ts';
import { compare } from '../../../functions/config-parity/compare.ts';
import type { Side } from '../../../functions/config-parity/schema.ts';
import { snapshotOf } from '../../../functions/config-parity/snapshot.ts';
import { GateInputError } from '../../../functions/shared/errors.ts';
import {
  DENIED,
  foundOf,
  type MockedReading,
  mockedReading,
  THROTTLED,
} from '../../support/parity-reading.ts';

let mocked: MockedReading;

afterEach(() => mocked.restore());

/** A parameter store with these, in pages of ten. */
function store(
  parameters: readonly Parameter[],
  { decrypt = false, denied = [], side }: { decrypt?: boolean; denied?: readonly string[]; side?: Side } = {},
): void {
  mocked = mockedReading({ decrypt }, side);
  const shown = (one: Parameter, isDecrypted = false): Parameter => ({
    DataType: 'text',
    Version: 3,
    LastModifiedDate: new Date(0),
    ARN: `arn:aws:ssm:eu-west-1:111111111111:parameter${one.Name}`,
    ...one,
    ...(one.Type === 'SecureString' && !isDecrypted && { Value: 'AQICAHh' }),
  });
  mocked
    .mock('ssm')
    .on(GetParametersByPathCommand)
    .callsFake(({ Path, NextToken = '0' }) => {
      const all = parameters.filter(({ Name = '' }) => Name.startsWith(`${Path}/`));
      const from = Number(NextToken);
      return {
        Parameters: all.slice(from, from + 10).map((one) => shown(one)),
        ...(from + 10 < all.length && { NextToken: String(from + 10) }),
      };
    })
    .on(GetParametersCommand)
    .callsFake(({ Names, WithDecryption }: { Names: string[]; WithDecryption: boolean }) => {
      if (Names.some((name) => denied.includes(name))) throw DENIED;
      return {
        Parameters: parameters
          .filter(({ Name = '' }) => Names.includes(Name))
          .map((one) => shown(one, WithDecryption)),
        InvalidParameters: Names.filter((name) => parameters.every(({ Name }) => Name !== name)),
      };
    });
}

const ssm = () => mocked.mock('ssm');
const listings = () =>
  ssm()
    .commandCalls(GetParametersByPathCommand)
    .map((one) => one.args[0].input);
const lookups = () =>
  ssm()
    .commandCalls(GetParametersCommand)
    .map((one) => one.args[0].input);
const values = () => mocked.part.resources.map(({ name, physical, value }) => [name, physical, value]);
const PREFIX = { kind: 'parameters', name: '/flight-delay', physical: '/flight-delay/staging/' } as const;
const text = (Value: string) => ({ Type: 'String', Value }) as const;

describe('a prefix', () => {
  test('is everything below it, called as the prefix is and by the rest', async () => {
    store([
      { Name: '/flight-delay/staging/threshold', ...text('0.25') },
      {
        Name: '/flight-delay/staging/a/deep',
        ...text('{"scaler": {"version": 3}, "id": 12345678901234567890}'),
      },
      { Name: '/flight-delay/staging/columns', Type: 'StringList', Value: 'delay,distance' },
      { Name: '/flight-delay/staging-2/other', ...text('1') },
      { Name: '/flight-delay/staging/ami', ...text('ami-1'), DataType: 'aws:ec2:image' },
    ]);
    await readParameters(mocked.reading, [PREFIX]);
    expect(listings()).toEqual([
      { Path: '/flight-delay/staging', Recursive: true, WithDecryption: false, MaxResults: 10 },
    ]);
    expect(lookups()).toEqual([{ Names: ['/flight-delay/staging'], WithDecryption: false }]);
    expect(values()).toEqual([
      [
        '/flight-delay/threshold',
        '/flight-delay/staging/threshold',
        { type: 'String', dataType: 'text', value: '0.25' },
      ],
      [
        '/flight-delay/a/deep',
        '/flight-delay/staging/a/deep',
        {
          type: 'String',
          dataType: 'text',
          value: { scaler: { version: 3 }, id: '12345678901234567890' },
        },
      ],
      [
        '/flight-delay/columns',
        '/flight-delay/staging/columns',
        { type: 'StringList', dataType: 'text', value: ['delay', 'distance'] },
      ],
      [
        '/flight-delay/ami',
        '/flight-delay/staging/ami',
        { type: 'String', dataType: 'aws:ec2:image', value: 'ami-1' },
      ],
    ]);
    expect(mocked.part.notRead).toEqual([]);
  });

  test('may be the name of a parameter itself', async () => {
    store([{ Name: '/flight-delay/staging', ...text('on') }]);
    await readParameters(mocked.reading, [{ ...PREFIX, name: '/flight-delay/' }]);
    expect(values()).toEqual([
      ['/flight-delay', '/flight-delay/staging', { type: 'String', dataType: 'text', value: 'on' }],
    ]);
  });

  test('with nothing at all is null', async () => {
    store([]);
    await readParameters(mocked.reading, [PREFIX]);
    expect(values()).toEqual([['/flight-delay', '/flight-delay/staging/', null]]);
  });

  test('with nothing in one environment is not missing: what is below it in the other is', async () => {
    const [staging, production] = await Promise.all(
      (['staging', 'production'] as const).map(async (side) => {
        const physical = `/flight-delay/${side}/`;
        store(side === 'staging' ? [{ Name: `${physical}threshold`, ...text('1') }] : [], { side });
        const { reading, part, restore } = mocked;
        await readParameters(reading, [{ kind: 'parameters', name: '/flight-delay/', physical }]);
        restore();
        return snapshotOf(
          { parity: 'p', side, account: '1'.repeat(12), region: 'eu-west-1', takenAt: 0, tocsin: '1' },
          [part],
        );
      }),
    );
    if (staging === undefined || production === undefined) throw new Error('there are two');
    const { differences, missing } = compare(staging, production, mocked.reading.parity);
    expect(differences.map((one) => one.text)).toEqual(['parameters./flight-delay/threshold']);
    expect(missing).toEqual([]);
  });

  test('is read to the end of its hundred pages', async () => {
    const names = Array.from({ length: 995 }, (_, index) => `/flight-delay/staging/${index}`);
    store(names.map((Name) => ({ Name, ...text('1') })));
    await readParameters(mocked.reading, [PREFIX]);
    expect(listings()).toHaveLength(100);
    expect(listings().at(-1)).toEqual({
      Path: '/flight-delay/staging',
      Recursive: true,
      WithDecryption: false,
      MaxResults: 10,
      NextToken: '990',
    });
    expect(mocked.part.resources.map(({ physical }) => physical)).toEqual(names);
  });

  test('with more than is compared is refused', async () => {
    store([]);
    let page = 0;
    const Parameters = Array.from({ length: 1000 }, () => ({
      Name: '/flight-delay/staging/a',
      ...text('1'),
    }));
    ssm()
      .on(GetParametersByPathCommand)
      .callsFake(() => ({ Parameters, NextToken: String(page++) }));
    const refused = readParameters(mocked.reading, [PREFIX]);
    await expect(refused).rejects.toThrow(GateInputError);
    await expect(refused).rejects.toThrow('more than 10000 parameters below /flight-delay/staging/');
    expect(page).toBe(11);
  });

  test.each([
    ['denied', DENIED, 'AccessDeniedException'],
    ['throttled to the end', THROTTLED, 'ThrottlingException'],
  ])('that is %s in the middle makes parameters unreadable, and none is told', async (_, error, why) => {
    store([]);
    ssm()
      .on(GetParametersByPathCommand)
      .resolvesOnce({ Parameters: [{ Name: '/flight-delay/staging/a', ...text('1') }], NextToken: 'second' })
      .rejects(error);
    await readParameters(mocked.reading, [PREFIX]);
    expect(mocked.part.resources).toEqual([]);
    expect(mocked.part.unreadable).toEqual([
      {
        path: ['parameters'],
        physical: '/flight-delay/staging/',
        action: 'ssm:GetParametersByPath',
        why,
      },
    ]);
  });
});

describe('single parameters', () => {
  test('are asked for by ten names a call; one that there is not is null', async () => {
    const names = Array.from({ length: 11 }, (_, index) => `/app/${index}`);
    store(names.slice(1).map((Name) => ({ Name, ...text('1') })));
    await readParameters(mocked.reading, foundOf('parameters', names));
    expect(listings()).toEqual([]);
    expect(lookups()).toEqual([
      { Names: names.slice(0, 10), WithDecryption: false },
      { Names: names.slice(10), WithDecryption: false },
    ]);
    const read = new Map(mocked.part.resources.map(({ name, value }) => [name, value]));
    expect(read.size).toBe(11);
    expect(read.get('/app/0')).toBeNull();
    expect(read.get('/app/10')).toEqual({ type: 'String', dataType: 'text', value: '1' });
  });

  test('without other slashes may begin with one', async () => {
    store([
      { Name: '/alone', ...text('1') },
      { Name: 'bare', ...text('2') },
    ]);
    await readParameters(mocked.reading, foundOf('parameters', ['alone', 'bare']));
    expect(lookups()).toEqual([
      { Names: ['alone', 'bare'], WithDecryption: false },
      { Names: ['/alone'], WithDecryption: false },
    ]);
    expect(values()).toEqual([
      ['alone', '/alone', { type: 'String', dataType: 'text', value: '1' }],
      ['bare', 'bare', { type: 'String', dataType: 'text', value: '2' }],
    ]);
  });

  test('of which one is denied are read but for that one', async () => {
    store(
      ['/app/a', '/app/b', '/app/c'].map((Name) => ({ Name, ...text('1') })),
      { denied: ['/app/b'] },
    );
    await readParameters(mocked.reading, foundOf('parameters', ['/app/a', '/app/b', '/app/c']));
    expect(mocked.part.resources.map(({ name }) => name)).toEqual(['/app/a', '/app/c']);
    expect(mocked.part.unreadable).toEqual([
      {
        path: ['parameters', '/app/b'],
        physical: '/app/b',
        action: 'ssm:GetParameters',
        why: 'AccessDeniedException',
      },
    ]);
  });
});

describe('secure parameters', () => {
  const SECRET = 'correct horse battery staple';
  const secure = (Name: string): Parameter => ({ Name, Type: 'SecureString', Value: SECRET });
  const PARAMETERS = [
    secure('/flight-delay/staging/key'),
    secure('/flight-delay/staging/other'),
    { Name: '/flight-delay/staging/plain', ...text('1') },
  ];

  test('are there without their values, which is said, where they are not to be decrypted', async () => {
    store([...PARAMETERS, secure('/single')]);
    await readParameters(mocked.reading, [PREFIX, ...foundOf('parameters', ['/single'])]);
    expect(values()).toEqual([
      ['/flight-delay/key', '/flight-delay/staging/key', { type: 'SecureString', dataType: 'text' }],
      ['/flight-delay/other', '/flight-delay/staging/other', { type: 'SecureString', dataType: 'text' }],
      [
        '/flight-delay/plain',
        '/flight-delay/staging/plain',
        { type: 'String', dataType: 'text', value: '1' },
      ],
      ['/single', '/single', { type: 'SecureString', dataType: 'text' }],
    ]);
    const why = 'decrypt is false in tocsin.yaml';
    expect(mocked.part.notRead).toEqual([
      { subject: 'values of 2 secure parameters below /flight-delay/staging/', why },
      { subject: 'values of 1 secure parameter of stacks and tags', why },
    ]);
    expect(lookups().some(({ WithDecryption }) => WithDecryption)).toBe(false);
  });

  test('are decrypted by themselves, and are secrets whatever they look like', async () => {
    store(PARAMETERS, { decrypt: true });
    await readParameters(mocked.reading, [PREFIX]);
    expect(lookups()).toContainEqual({
      Names: ['/flight-delay/staging/key', '/flight-delay/staging/other'],
      WithDecryption: true,
    });
    const [key, other, plain] = mocked.part.resources.map(({ value }) => value);
    expect(key).toEqual({
      type: 'SecureString',
      dataType: 'text',
      value: { secret: expect.stringMatching(/^sha256:/) },
    });
    expect(other).toEqual(key);
    expect(plain).toEqual({ type: 'String', dataType: 'text', value: '1' });
    expect(JSON.stringify(mocked.part)).not.toContain(SECRET);
    expect(mocked.part.notRead).toEqual([]);
  });

  test('of which one cannot be decrypted are read but for the value of that one', async () => {
    store(PARAMETERS, { decrypt: true, denied: ['/flight-delay/staging/key'] });
    await readParameters(mocked.reading, [PREFIX]);
    expect(mocked.part.resources.map(({ name, value }) => [name, Object.keys(value as object)])).toEqual([
      ['/flight-delay/key', ['type', 'dataType']],
      ['/flight-delay/other', ['type', 'dataType', 'value']],
      ['/flight-delay/plain', ['type', 'dataType', 'value']],
    ]);
    expect(mocked.part.unreadable).toEqual([
      {
        path: ['parameters', '/flight-delay/key', 'value'],
        physical: '/flight-delay/staging/key',
        action: 'ssm:GetParameters',
        why: 'AccessDeniedException',
      },
    ]);
  });

  test('that go away before they are decrypted are unreadable', async () => {
    store(PARAMETERS, { decrypt: true });
    ssm().on(GetParametersCommand, { WithDecryption: true }).resolves({ Parameters: [] });
    await readParameters(mocked.reading, [PREFIX]);
    expect(mocked.part.unreadable.map(({ path, why }) => [path, why])).toEqual([
      [['parameters', '/flight-delay/key'], 'deleted while it was read'],
      [['parameters', '/flight-delay/other'], 'deleted while it was read'],
    ]);
  });
});
