import { Readable } from 'node:stream';
import { GetObjectCommand, S3Client } from '@aws-sdk/client-s3';
import {
  InvokeEndpointCommand,
  SageMakerRuntimeClient,
  SageMakerRuntimeServiceException,
} from '@aws-sdk/client-sagemaker-runtime';
import { mockClient } from 'aws-sdk-client-mock';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { GateDependencyError, GateInputError } from '../../../functions/shared/errors.ts';
import { ask, readGolden } from '../../../functions/shared/golden.ts';
import { sha256 } from '../../../functions/shared/identity.ts';
import { FakeAws, s3Error } from '../../support/fake-aws.ts';
import { answer, modelError } from '../../support/runtime.ts';

const mockRuntime = () => mockClient(SageMakerRuntimeClient);
let runtime: ReturnType<typeof mockRuntime>;
const client = () => new SageMakerRuntimeClient({ region: 'us-east-1', maxAttempts: 1 });

beforeEach(() => {
  runtime = mockRuntime();
});

afterEach(() => runtime.restore());

const inputs = () => runtime.commandCalls(InvokeEndpointCommand).map((one) => one.args[0].input);

const serviceError = (name: string, status: number) =>
  new SageMakerRuntimeServiceException({
    name,
    message: 'the service says no',
    $fault: 'client',
    $metadata: { httpStatusCode: status },
  });

describe('golden requests', () => {
  let aws: FakeAws;
  const place = { bucket: 'data', key: 'golden.jsonl' };
  const read = () => readGolden(new S3Client({}), place);
  const put = (text: string | Buffer) => aws.put(place.bucket, place.key, text as string);
  const refused = async (text: string | Buffer) => {
    put(text);
    const error = await read().catch((thrown) => thrown);
    expect(error).toBeInstanceOf(GateInputError);
    return error.message as string;
  };

  beforeEach(() => {
    aws = new FakeAws();
  });

  afterEach(() => aws.restore());

  test('are bound to the bytes of one version', async () => {
    const text = '{"body":"1,2"}\n';
    aws.s3.on(GetObjectCommand).callsFake(() => ({
      Body: Readable.from([Buffer.from(text)]),
      ContentLength: text.length,
      ETag: '"etag"',
      VersionId: 'v2',
    }));
    expect(await read()).toEqual({
      uri: 's3://data/golden.jsonl',
      version: 'v2',
      sha256: sha256(text),
      requests: [{ body: '1,2' }],
    });
    expect(aws.inputs('s3', GetObjectCommand)).toEqual([{ Bucket: 'data', Key: 'golden.jsonl' }]);
  });

  test.each([undefined, 'null'])(
    'have the ETag where the bucket keeps no versions: %s',
    async (VersionId) => {
      aws.s3.on(GetObjectCommand).callsFake(() => ({
        Body: Readable.from([Buffer.from('{"body":"1"}')]),
        ContentLength: 12,
        ETag: '"etag"',
        ...(VersionId !== undefined && { VersionId }),
      }));
      expect((await read()).version).toBe('"etag"');
    },
  );

  test('may be texts, objects and lists, with the predictions that are known', async () => {
    put(
      [
        '\uFEFF{"body":"1,2","prediction":0.25}',
        '',
        '{"body":{"b":1,"a":[2]},"prediction":{"score":0.5}}\r',
        '{"body":[1,"x"],"prediction":null}',
        '{"body":"3,4","prediction":"0.1,late\\n"}',
        '{"body":"5,6","prediction":"0.75"}',
        '  ',
      ].join('\n'),
    );
    expect((await read()).requests).toEqual([
      { body: '1,2', prediction: 0.25 },
      { body: '{"b":1,"a":[2]}', prediction: { score: 0.5 } },
      { body: '[1,"x"]', prediction: null },
      { body: '3,4', prediction: [[0.1, 'late']] },
      { body: '5,6', prediction: 0.75 },
    ]);
  });

  test.each([
    ['{"body":"1"}\n{"body":5}', ':2: body: expected a text that is not empty, an object or a list, got 5'],
    ['{"body":""}', ':1: body: expected a text that is not empty, an object or a list, got ""'],
    ['\n{"prediction":1}', ':2: body: expected a text that is not empty, an object or a list, it is missing'],
    ['{"body":"1","predicton":1}', ':1: unknown key "predicton", did you mean "prediction"?'],
    ['"1,2"', ':1: expected object, got "1,2"'],
    ['1,2', ':1 is not JSON: '],
    ['{"body":"1"}\n\n{"body":"1","prediction":2}', ':3 has the same body as line 1'],
    ['{"body":{"a":1}}\n{"body":"{\\"a\\":1}"}', ':2 has the same body as line 1'],
    [
      Array.from({ length: 51 }, (_, index) => JSON.stringify({ body: `${index}` })).join('\n'),
      ':51 is one golden request too many: expected at most 50',
    ],
    ['', ' has no golden requests: expected at least one'],
    ['\n \n', ' has no golden requests: expected at least one'],
  ])('name the line that is wrong: %s', async (text, message) => {
    expect(await refused(text)).toContain(`s3://data/golden.jsonl${message}`);
  });

  test('of 50 lines and 256 KB are read, of more not', async () => {
    const lines = Array.from({ length: 50 }, (_, index) => JSON.stringify({ body: `${index}` })).join('\n');
    put(lines);
    expect((await read()).requests).toHaveLength(50);
    put(lines.padEnd(256 * 1024, '\n'));
    expect((await read()).requests).toHaveLength(50);
    expect(await refused(lines.padEnd(256 * 1024 + 1, '\n'))).toBe(
      's3://data/golden.jsonl has 262.1 KB (262,145 bytes): expected at most 262.1 KB (262,144 bytes) of golden requests',
    );
  });

  test('are UTF-8', async () => {
    expect(await refused(Buffer.from([0x7b, 0xff]))).toBe('s3://data/golden.jsonl is not UTF-8');
  });

  test.each(['NoSuchKey', 'NoSuchBucket'])(
    'that are not there are the caller’s mistake: %s',
    async (name) => {
      aws.s3.rejects(s3Error(name, 404));
      const error = await read().catch((thrown) => thrown);
      expect(error).toBeInstanceOf(GateInputError);
      expect(error.message).toBe('there is no s3://data/golden.jsonl with golden requests');
      expect(error.help).toContain('golden');
    },
  );

  test.each([
    ['AccessDenied', 403],
    ['SlowDown', 503],
  ])('that cannot be read are the world’s: %s', async (name, status) => {
    aws.s3.rejects(s3Error(name, status));
    const error = await read().catch((thrown) => thrown);
    expect(error).toBeInstanceOf(GateDependencyError);
    expect(error.message).toContain(`GetObject s3://data/golden.jsonl failed (HTTP ${status}): ${name}`);
  });
});

describe('one request', () => {
  const question = { endpoint: 'staging', content: 'text/csv', body: '1,2', mark: 'm-0' };

  test('goes where the weights say', async () => {
    runtime.on(InvokeEndpointCommand).resolves(answer('0.25\n', 'stable'));
    expect(await ask(client(), question)).toEqual({ prediction: 0.25, variant: 'stable' });
    expect(inputs()).toEqual([
      { EndpointName: 'staging', ContentType: 'text/csv', Body: '1,2', InferenceId: 'm-0' },
    ]);
  });

  test('goes to one variant where it is told to', async () => {
    runtime.on(InvokeEndpointCommand).resolves(answer('{"p":[1,2]}'));
    expect(await ask(client(), { ...question, variant: 'bad' })).toEqual({
      prediction: { p: [1, 2] },
      variant: null,
    });
    expect(inputs()).toEqual([
      {
        EndpointName: 'staging',
        ContentType: 'text/csv',
        Body: '1,2',
        TargetVariant: 'bad',
        InferenceId: 'm-0',
      },
    ]);
  });

  test('has an answer of at most 1,000 characters', async () => {
    runtime
      .on(InvokeEndpointCommand)
      .resolvesOnce(answer('é'.repeat(1000)))
      .resolves(answer('x'.repeat(1001)));
    expect(await ask(client(), question)).toEqual({ prediction: 'é'.repeat(1000), variant: null });
    expect(await ask(client(), question)).toEqual({ error: 'AnswerTooLong' });
  });

  const named = (name: string, more: object = {}) =>
    Object.assign(new Error('secret of the model'), { name, ...more });
  test.each<[string, Error]>([
    ['ModelError 500', modelError(500)],
    ['ModelError 400', modelError(400)],
    ['ModelError', modelError()],
    ['ThrottlingException', serviceError('ThrottlingException', 400)],
    ['ValidationError', serviceError('ValidationError', 400)],
    ['AccessDeniedException', serviceError('AccessDeniedException', 403)],
    ['ServiceUnavailable', serviceError('ServiceUnavailable', 503)],
    ['TimeoutError', named('TimeoutError')],
    ['ECONNREFUSED', named('Error', { code: 'ECONNREFUSED' })],
    ['HTTP 502', serviceError('UnknownError', 502)],
    ['HTTP 500', serviceError('<html>secret of the model</html>', 500)],
    ['Error', new Error('secret of the model')],
  ])('that fails has the class of what went wrong: %s', async (expected, error) => {
    runtime.on(InvokeEndpointCommand).rejects(error);
    expect(await ask(client(), question)).toEqual({ error: expected });
  });
});
