import { DescribeEndpointCommand } from '@aws-sdk/client-sagemaker';
import {
  InvokeEndpointCommand,
  type InvokeEndpointCommandInput,
  ModelError,
  SageMakerRuntimeClient,
  SageMakerRuntimeServiceException,
} from '@aws-sdk/client-sagemaker-runtime';
import { mockClient } from 'aws-sdk-client-mock';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { readProbe } from '../../../functions/config-parity/adapters/probes.ts';
import { GateDependencyError } from '../../../functions/shared/errors.ts';
import type { Golden } from '../../../functions/shared/prediction.ts';
import { sagemakerError } from '../../support/fake-sagemaker.ts';
import { useEndpoints } from '../../support/parity-endpoints.ts';

const GOLDEN: Golden = {
  uri: 's3://flights/golden.jsonl',
  version: 'v7',
  sha256: 'f00dcafe'.repeat(8),
  requests: [{ body: '1', prediction: 0.1 }, { body: '2' }, { body: '3', prediction: null }],
};

const { mock, inputs, read } = useEndpoints();
const runtime = mockClient(SageMakerRuntimeClient);
afterAll(() => runtime.restore());

let slept: number[];

beforeEach(() => {
  slept = [];
  runtime.reset();
  variants({ main: 1 });
});

const variants = (weights: Record<string, number>) =>
  mock.on(DescribeEndpointCommand).resolves({
    ProductionVariants: Object.entries(weights).map(([VariantName, CurrentWeight]) => ({
      VariantName,
      CurrentWeight,
    })),
  });

const answers = (answer: (input: InvokeEndpointCommandInput) => unknown) =>
  runtime
    .on(InvokeEndpointCommand)
    .callsFake(async (input) => ({ Body: Buffer.from(String(answer(input))) }));

const asked = () => runtime.commandCalls(InvokeEndpointCommand).map(({ args }) => args[0].input);

const ask = (golden = GOLDEN) =>
  read(
    (reading) =>
      readProbe(
        reading,
        { probe: 'twin', endpoint: 'flights-staging', golden, content: 'text/csv' },
        async (ms) => slept.push(ms),
      ),
    { runtime: new SageMakerRuntimeClient({ region: 'us-east-1' }) },
  );

const busy = (name: string, status = 400) =>
  new SageMakerRuntimeServiceException({
    name,
    message: 'the service says no',
    $fault: 'client',
    $metadata: { httpStatusCode: status },
  });

describe('golden requests', () => {
  test('are each asked once, of whichever variant there is', async () => {
    answers(({ Body }) => Number(Body) / 10);
    expect(await ask()).toEqual({
      resources: [],
      unreadable: [],
      unsettled: [],
      probes: [
        {
          probe: 'twin',
          uri: GOLDEN.uri,
          version: 'v7',
          sha256: GOLDEN.sha256,
          answers: [{ prediction: 0.1 }, { prediction: 0.2 }, { prediction: 0.3 }],
          recorded: [{ prediction: 0.1 }, null, { prediction: null }],
        },
      ],
      notRead: [],
    });
    expect(inputs(DescribeEndpointCommand)).toEqual([{ EndpointName: 'flights-staging' }]);
    expect(asked()).toEqual(
      ['1', '2', '3'].map((Body, index) => ({
        EndpointName: 'flights-staging',
        ContentType: 'text/csv',
        Body,
        InferenceId: `tocsin-parity-f00dcafe-${index}`,
      })),
    );
  });

  test.each([
    ['the largest weight', { a: 1, c: 3, b: 2 }, 'c', ['b', 'a']],
    ['the first name among equals', { b: 1, a: 1 }, 'a', ['b']],
    ['traffic', { a: 1, b: 0, c: 0.5 }, 'a', ['c']],
  ])('go to the variant with %s', async (_, weights, target, others) => {
    variants(weights);
    answers(() => 1);
    const { notRead } = await ask();
    expect(asked().map(({ TargetVariant }) => TargetVariant)).toEqual([target, target, target]);
    expect(notRead).toEqual(
      others.map((name) => ({
        subject: `answers of the variant ${name} of flights-staging`,
        why: `golden requests go to ${target}, which has the largest weight`,
      })),
    );
  });

  test.each([{}, { a: 0 }, { a: 0, b: 1 }])('go where traffic goes: %j', async (weights) => {
    variants(weights as Record<string, number>);
    answers(() => 1);
    expect((await ask()).notRead).toEqual([]);
    expect(asked().map(({ TargetVariant }) => TargetVariant)).toEqual([undefined, undefined, undefined]);
  });

  test('are at most four at a time', async () => {
    let [open, most] = [0, 0];
    runtime.on(InvokeEndpointCommand).callsFake(async () => {
      most = Math.max(most, ++open);
      for (let turn = 0; turn < 5; turn++) await undefined;
      open--;
      return { Body: Buffer.from('1') };
    });
    await ask({ ...GOLDEN, requests: Array.from({ length: 20 }, (_, n) => ({ body: String(n) })) });
    expect(most).toBe(4);
    expect(asked()).toHaveLength(20);
  });

  test.each([
    ['ThrottlingException', busy('ThrottlingException')],
    ['TimeoutError', Object.assign(new Error('timed out'), { name: 'TimeoutError' })],
    ['ETIMEDOUT', Object.assign(new Error('connect'), { code: 'ETIMEDOUT' })],
    ['ServiceUnavailable', busy('ServiceUnavailable', 503)],
  ])('are asked once more after %s, a second later', async (name, error) => {
    runtime
      .on(InvokeEndpointCommand, { Body: '2' })
      .rejectsOnce(error)
      .resolves({ Body: Buffer.from('0.2') as never })
      .on(InvokeEndpointCommand, { Body: '3' })
      .rejects(error)
      .on(InvokeEndpointCommand, { Body: '1' })
      .resolves({ Body: Buffer.from('0.1') as never });
    const [probe] = (await ask()).probes;
    expect(probe?.answers).toEqual([{ prediction: 0.1 }, { prediction: 0.2 }, { error: name }]);
    expect(asked()).toHaveLength(5);
    expect(slept).toEqual([1000, 1000]);
  });

  test('are not asked again where a model has answered, if only with an error; of which its class is kept', async () => {
    runtime.on(InvokeEndpointCommand).rejects(
      new ModelError({
        message: 'secret of the model',
        OriginalStatusCode: 500,
        OriginalMessage: 'secret of the model',
        $metadata: { httpStatusCode: 424 },
      }),
    );
    const part = await ask();
    expect(part.probes[0]?.answers).toEqual(Array.from({ length: 3 }, () => ({ error: 'ModelError 500' })));
    expect(JSON.stringify(part)).not.toContain('secret');
    expect(asked()).toHaveLength(3);
    expect(slept).toEqual([]);
  });
});

describe('an endpoint whose variants are unknown', () => {
  test.each([
    ['denied', sagemakerError('AccessDeniedException', 'not authorized', 403), 'AccessDeniedException'],
    [
      'not there',
      sagemakerError('ValidationException', 'Could not find endpoint "flights-staging".'),
      'EndpointNotFound',
    ],
    ['unheard of', Object.assign(new Error('no'), { name: 'what AWS says: no' }), 'Error'],
  ])('is not asked: %s', async (_, thrown, error) => {
    mock.on(DescribeEndpointCommand).rejects(thrown);
    const [probe] = (await ask()).probes;
    expect(probe).toMatchObject({
      answers: [{ error }, { error }, { error }],
      recorded: [{ prediction: 0.1 }, null, { prediction: null }],
    });
    expect(asked()).toEqual([]);
  });

  test('is no answer where its role cannot be assumed', async () => {
    const error = new GateDependencyError('sts:AssumeRole failed');
    mock.on(DescribeEndpointCommand).rejects(error);
    await expect(ask()).rejects.toBe(error);
  });
});
