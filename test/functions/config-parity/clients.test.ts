import { DescribeEndpointCommand } from '@aws-sdk/client-sagemaker';
import { AssumeRoleCommand, GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts';
import { mockClient } from 'aws-sdk-client-mock';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { clientsOf, whoami } from '../../../functions/config-parity/adapters/clients.ts';
import { GateDependencyError, GateInputError } from '../../../functions/shared/errors.ts';

const ROLE = 'arn:aws:iam::222233334444:role/tocsin-parity-reader';
const START = Date.UTC(2026, 10, 22, 12);
const MINUTE = 60_000;

const sts = mockClient(STSClient);

beforeEach(() => {
  sts.reset();
  vi.useFakeTimers({ now: START, toFake: ['Date'] });
});

afterEach(() => {
  vi.useRealTimers();
});

const own = () => ({ region: 'eu-west-1', sts: new STSClient({ region: 'eu-west-1' }) });
const production = { names: ['production'], role: ROLE };

/** Sessions of an hour, counted. */
const assumable = () => {
  let count = 0;
  sts.on(AssumeRoleCommand).callsFake(() => ({
    Credentials: {
      AccessKeyId: `key-${++count}`,
      SecretAccessKey: 'secret',
      SessionToken: 'token',
      Expiration: new Date(Date.now() + 60 * MINUTE),
    },
  }));
};

const assumed = () => sts.commandCalls(AssumeRoleCommand).map(({ args }) => args[0].input);

const thrownBy = (work: Promise<unknown>) =>
  work.then(
    () => expect.fail('nothing was thrown'),
    (error) => error,
  );

describe('the clients of an environment', () => {
  test('are in its region, or else in that of Tocsin', async () => {
    const { sagemaker, runtime, s3 } = clientsOf({ names: ['staging'], region: 'us-east-2' }, own());
    expect(await sagemaker.config.region()).toBe('us-east-2');
    expect(await runtime.config.region()).toBe('us-east-2');
    expect(await s3.config.region()).toBe('us-east-2');
    expect(await clientsOf({ names: ['staging'] }, own()).sagemaker.config.region()).toBe('eu-west-1');
  });

  test('wait throttling out, but for the one that asks golden requests', async () => {
    const { runtime, ...reading } = clientsOf({ names: ['staging'] }, own());
    for (const client of Object.values(reading)) {
      expect(await client.config.maxAttempts()).toBe(8);
      expect(await client.config.retryStrategy()).toMatchObject({ mode: 'adaptive' });
    }
    expect(await runtime.config.maxAttempts()).toBe(1);
    const handler = runtime.config.requestHandler as unknown as { configProvider: Promise<object> };
    expect(await handler.configProvider).toMatchObject({ requestTimeout: 15_000, socketTimeout: 15_000 });
  });

  test('share one session of the role, which is renewed before it ends', async () => {
    assumable();
    const { sagemaker, lambda } = clientsOf({ ...production, externalId: 'partner-7' }, own());
    const [one, other] = await Promise.all([sagemaker.config.credentials(), lambda.config.credentials()]);
    expect([one, other].map(({ accessKeyId }) => accessKeyId)).toEqual(['key-1', 'key-1']);
    expect(one).toMatchObject({ secretAccessKey: 'secret', sessionToken: 'token' });
    expect(assumed()).toEqual([{ RoleArn: ROLE, RoleSessionName: 'tocsin-parity', ExternalId: 'partner-7' }]);

    vi.setSystemTime(START + 54 * MINUTE);
    expect((await sagemaker.config.credentials()).accessKeyId).toBe('key-1');
    vi.setSystemTime(START + 56 * MINUTE);
    expect((await sagemaker.config.credentials()).accessKeyId).toBe('key-2');
    expect((await lambda.config.credentials()).accessKeyId).toBe('key-2');
    expect(assumed()).toHaveLength(2);
  });

  test('assume a role without an external id where none is asked for', async () => {
    assumable();
    await clientsOf(production, own()).sagemaker.config.credentials();
    expect(assumed()).toEqual([{ RoleArn: ROLE, RoleSessionName: 'tocsin-parity' }]);
  });

  test('say with a call whose role cannot be assumed what to look at', async () => {
    sts.on(AssumeRoleCommand).rejects(
      Object.assign(new Error('is not authorized to perform: sts:AssumeRole'), {
        name: 'AccessDenied',
        $metadata: { httpStatusCode: 403 },
      }),
    );
    const { sagemaker } = clientsOf(production, own());
    const error = await thrownBy(sagemaker.config.credentials());
    expect(error).toBeInstanceOf(GateDependencyError);
    expect(error.message).toBe(
      `sts:AssumeRole ${ROLE} failed (HTTP 403): AccessDenied: is not authorized to perform: sts:AssumeRole`,
    );
    expect(error.help).toContain('trust policy');
    expect(error.help).toContain('externalId');
    // It may be there the next time.
    assumable();
    expect((await sagemaker.config.credentials()).accessKeyId).toBe('key-1');
  });

  test('take no answer without credentials for one', async () => {
    sts.on(AssumeRoleCommand).resolves({});
    const error = await thrownBy(clientsOf(production, own()).sagemaker.config.credentials());
    expect(error).toBeInstanceOf(GateDependencyError);
    expect(error.message).toBe(`sts:AssumeRole ${ROLE} answered without credentials`);
  });
});

describe('a call that needs the role', () => {
  test('fails as assuming the role does, and is not sent', async () => {
    sts.on(AssumeRoleCommand).rejects(Object.assign(new Error('no'), { name: 'AccessDenied' }));
    const { sagemaker } = clientsOf(production, own());
    sagemaker.middlewareStack.add(() => async () => expect.fail('it was sent'), {
      step: 'deserialize',
      priority: 'high',
    });
    const error = await thrownBy(sagemaker.send(new DescribeEndpointCommand({ EndpointName: 'flights' })));
    expect(error).toBeInstanceOf(GateDependencyError);
    expect(assumed()).toHaveLength(1);
  });
});

describe('what is read', () => {
  const clients = () => ({ sts: own().sts });

  test('is an account and a region', async () => {
    sts.on(GetCallerIdentityCommand).resolves({ Account: '222233334444' });
    expect(await whoami(clients(), {})).toEqual({ account: '222233334444', region: 'eu-west-1' });
    expect(await whoami(clients(), { account: '222233334444' })).toEqual({
      account: '222233334444',
      region: 'eu-west-1',
    });
    expect(sts.commandCalls(GetCallerIdentityCommand).map(({ args }) => args[0].input)).toEqual([{}, {}]);
  });

  test('is not another account than the configured one', async () => {
    sts.on(GetCallerIdentityCommand).resolves({ Account: '555566667777' });
    const error = await thrownBy(whoami(clients(), { account: '222233334444' }));
    expect(error).toBeInstanceOf(GateInputError);
    expect(error.message).toBe('expected to read the account 222233334444, got 555566667777');
  });

  test('is unknown where STS does not answer', async () => {
    sts.on(GetCallerIdentityCommand).rejects(new Error('socket hang up'));
    const error = await thrownBy(whoami(clients(), {}));
    expect(error).toBeInstanceOf(GateDependencyError);
    expect(error.message).toBe('sts:GetCallerIdentity failed (no answer): Error: socket hang up');
  });
});
