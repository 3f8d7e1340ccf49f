import { DescribeEndpointCommand, SageMakerClient } from '@aws-sdk/client-sagemaker';
import {
  InvokeEndpointCommand,
  ModelError,
  SageMakerRuntimeClient,
  SageMakerRuntimeServiceException,
} from '@aws-sdk/client-sagemaker-runtime';
import { mockClient } from 'aws-sdk-client-mock';
import 'aws-sdk-client-mock-vitest/extend';
import { afterEach, describe, expect, it } from 'vitest';
import {
  bodiesOf,
  RUNTIME_OPTIONS,
  requireInService,
  sendBodies,
} from '../../../functions/alarm-drill/adapters/endpoint.ts';
import type { Value } from '../../../functions/alarm-drill/generator.ts';
import { GateDependencyError, GateInputError } from '../../../functions/shared/errors.ts';

const runtime = mockClient(SageMakerRuntimeClient);
const sagemaker = mockClient(SageMakerClient);

afterEach(() => {
  runtime.reset();
  sagemaker.reset();
});

const CSV = { features: ['a', 'b'], content: 'text/csv', perRequest: 2 } as const;
const LINES = { ...CSV, content: 'application/jsonlines' } as const;

describe('bodies', () => {
  const RECORDS: Value[][] = [
    ['2001-02-28 09:30:00', 12.5],
    [null, -3],
    ['say "hi", you', true],
  ];

  it('of CSV have no header; null is an empty field, and quotes stand only where they must', () => {
    expect(bodiesOf(RECORDS, CSV)).toEqual([
      { text: '2001-02-28 09:30:00,12.5\n,-3', from: 0, to: 2 },
      { text: '"say ""hi"", you",true', from: 2, to: 3 },
    ]);
    expect(bodiesOf([['', null]], CSV)).toEqual([{ text: '"",', from: 0, to: 1 }]);
    expect(bodiesOf([], CSV)).toEqual([]);
  });

  it('of JSON Lines have an object a line', () => {
    expect(bodiesOf(RECORDS, LINES).map(({ text }) => text)).toEqual([
      '{"a":"2001-02-28 09:30:00","b":12.5}\n{"a":null,"b":-3}',
      '{"a":"say \\"hi\\", you","b":true}',
    ]);
  });

  it('stay below 6 MB', () => {
    const long = 'é'.repeat(1_000_000);
    const bodies = bodiesOf(
      Array.from({ length: 5 }, () => [long, 1]),
      { ...CSV, perRequest: 1000 },
    );
    expect(bodies.map(({ from, to }) => [from, to])).toEqual([
      [0, 2],
      [2, 4],
      [4, 5],
    ]);
    for (const { text } of bodies) expect(Buffer.byteLength(text)).toBeLessThanOrEqual(6_000_000);
    expect(() => bodiesOf([['x'.repeat(6_000_000), 1]], CSV)).toThrow('a record has 6000003 bytes');
  });

  it('refuse what CSV cannot carry', () => {
    expect(() => bodiesOf([['two\nlines', 1]], CSV)).toThrow('has a line end or a NUL');
    expect(() => bodiesOf([[null]], { ...CSV, features: ['a'] })).toThrow('would be an empty line');
    expect(bodiesOf([['two\nlines', 1]], LINES)).toHaveLength(1);
  });
});

describe('sending', () => {
  const bodies = Array.from({ length: 9 }, (_, index) => ({
    text: `${index},1`,
    from: 10 * index,
    to: 10 * index + 10,
  }));
  const to = { endpoint: 'staging', content: 'text/csv', mark: 'tocsin-drill-0a1b2c3d-under-1' };
  const send = (own = bodies) => sendBodies(new SageMakerRuntimeClient(RUNTIME_OPTIONS), own, to);

  it('asks as anybody would, and marks each request', async () => {
    runtime.on(InvokeEndpointCommand).resolves({});
    expect(await send()).toEqual([]);
    expect(runtime).toReceiveCommandTimes(InvokeEndpointCommand, 9);
    expect(runtime.commandCalls(InvokeEndpointCommand).map((call) => call.args[0].input)[3]).toEqual({
      EndpointName: 'staging',
      ContentType: 'text/csv',
      Body: '3,1',
      InferenceId: 'tocsin-drill-0a1b2c3d-under-1-30',
    });
  });

  it('asks four at a time', async () => {
    let [now, most] = [0, 0];
    runtime.on(InvokeEndpointCommand).callsFake(async () => {
      most = Math.max(most, ++now);
      await new Promise(setImmediate);
      now--;
      return {};
    });
    await send();
    expect(most).toBe(4);
  });

  it('counts what fails', async () => {
    runtime.on(InvokeEndpointCommand).callsFake(({ Body }) => {
      if (['2,1', '7,1'].includes(Body)) throw refused('ServiceUnavailable', 503);
      return {};
    });
    expect(await send()).toEqual([20, 70]);
  });

  it.each([400, 404, 415])(
    'where the model answers everything with %d, the caller is wrong',
    async (status) => {
      runtime.on(InvokeEndpointCommand).rejects(
        new ModelError({
          message: 'Received client error from primary',
          OriginalStatusCode: status,
          OriginalMessage: 'line 1: expected 4 fields',
          $metadata: { httpStatusCode: 424 },
        }),
      );
      const error = await send().catch((thrown) => thrown);
      expect(error).toBeInstanceOf(GateInputError);
      expect(error.message).toBe(
        'the endpoint staging refuses every synthetic record: line 1: expected 4 fields',
      );
      expect(error.help).toContain('traffic.features');
    },
  );

  it.each([
    ['ModelError', 424],
    ['ServiceUnavailable', 503],
    ['AccessDeniedException', 403],
  ])('where everything fails with %s, the world is broken', async (name, status) => {
    runtime
      .on(InvokeEndpointCommand)
      .rejects(Object.assign(refused(name, status), { OriginalStatusCode: 500 }));
    const error = await send().catch((thrown) => thrown);
    expect(error).toBeInstanceOf(GateDependencyError);
    expect(error.message).toContain(`InvokeEndpoint staging failed (HTTP ${status})`);
  });

  it('refuses an endpoint that is unknown to the runtime', async () => {
    runtime.on(InvokeEndpointCommand).rejects(refused('ValidationError', 400));
    await expect(send()).rejects.toThrow(GateInputError);
  });

  function refused(name: string, status: number): SageMakerRuntimeServiceException {
    return new SageMakerRuntimeServiceException({
      name,
      message: 'no',
      $fault: 'server',
      $metadata: { httpStatusCode: status },
    });
  }
});

describe('the endpoint', () => {
  const check = () => requireInService(new SageMakerClient({}), 'staging');

  it('serves', async () => {
    sagemaker.on(DescribeEndpointCommand).resolves({ EndpointStatus: 'InService' });
    await check();
    expect(sagemaker).toHaveReceivedCommandExactlyOnceWith(DescribeEndpointCommand, {
      EndpointName: 'staging',
    });
  });

  it('must be InService', async () => {
    sagemaker.on(DescribeEndpointCommand).resolves({ EndpointStatus: 'Updating' });
    const error = await check().catch((thrown) => thrown);
    expect(error).toBeInstanceOf(GateInputError);
    expect(error.message).toBe(
      'the endpoint staging is Updating, and takes traffic only while it is InService',
    );
  });

  it('must exist', async () => {
    const gone = Object.assign(new Error('Could not find endpoint "staging".'), {
      name: 'ValidationException',
    });
    sagemaker.on(DescribeEndpointCommand).rejects(gone);
    await expect(check()).rejects.toThrow('there is no endpoint staging to send traffic to');
  });

  it('must be there to ask', async () => {
    sagemaker
      .on(DescribeEndpointCommand)
      .rejects(Object.assign(new Error('no'), { name: 'ThrottlingException' }));
    await expect(check()).rejects.toThrow(GateDependencyError);
  });
});
