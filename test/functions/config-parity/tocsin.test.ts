import { Readable } from 'node:stream';
import { ListStackResourcesCommand, type StackResourceSummary } from '@aws-sdk/client-cloudformation';
import { GetFunctionConcurrencyCommand, GetFunctionConfigurationCommand } from '@aws-sdk/client-lambda';
import { GetObjectCommand } from '@aws-sdk/client-s3';
import 'aws-sdk-client-mock-vitest/extend';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { readTocsin } from '../../../functions/config-parity/adapters/tocsin.ts';
import type { Json } from '../../../functions/config-parity/json.ts';
import { bundleOf, loadConfig, monitorBundleOf, parityBundleOf } from '../../../lib/config.ts';
import { DENIED, failure, type MockedReading, mockedReading } from '../../support/parity-reading.ts';

let mocked: MockedReading;

beforeEach(() => {
  mocked = mockedReading();
});

afterEach(() => mocked.restore());

const CONFIG = loadConfig('tocsin.yaml');
const FOUND = { kind: 'tocsin', name: 'Tocsin', physical: 'Tocsin-staging' } as const;
const BUCKET = 'cdk-assets';
const GONE = failure('ResourceNotFoundException', 404);

const member = (
  LogicalResourceId: string,
  ResourceType = 'AWS::Lambda::Function',
  status = 'CREATE_COMPLETE',
) =>
  ({
    LogicalResourceId,
    ResourceType,
    PhysicalResourceId: `Tocsin-${LogicalResourceId}`,
    ResourceStatus: status,
    LastUpdatedTimestamp: new Date(0),
  }) as StackResourceSummary;

/** A stack of functions, each with what it was deployed with; undefined: nothing. */
function deployed(bundles: Record<string, unknown>): void {
  mocked
    .mock('cloudformation')
    .on(ListStackResourcesCommand)
    .resolves({
      StackResourceSummaries: [
        member('Role', 'AWS::IAM::Role'),
        ...Object.keys(bundles).map((id) => member(id)),
      ],
    });
  mocked.mock('lambda').on(GetFunctionConcurrencyCommand).resolves({});
  for (const [id, bundle] of Object.entries(bundles)) {
    mocked
      .mock('lambda')
      .on(GetFunctionConfigurationCommand, { FunctionName: `Tocsin-${id}` })
      .resolves({
        Runtime: 'nodejs24.x',
        CodeSha256: 'c29tZSBjb2Rl',
        ...(bundle !== undefined && {
          Environment: {
            Variables: { CONFIG_BUCKET: BUCKET, CONFIG_KEY: `${id}.json`, EVENT_BUS: 'default' },
          },
        }),
      });
    object(id, JSON.stringify(bundle ?? {}));
  }
}

function object(id: string, text: string): void {
  mocked
    .mock('s3')
    .on(GetObjectCommand, { Key: `${id}.json` })
    .callsFake(() => ({ Body: Readable.from([Buffer.from(text)]), ContentLength: Buffer.byteLength(text) }));
}

async function read(): Promise<Record<string, Json> | null | undefined> {
  await readTocsin(mocked.reading, [FOUND]);
  return mocked.part.resources[0]?.value as Record<string, Json> | null | undefined;
}

const unreadable = () => mocked.part.unreadable.map(({ path, action, why }) => [path.join(' '), action, why]);
const FUNCTION = { runtime: 'nodejs24.x', code: 'c29tZSBjb2Rl', environment: { EVENT_BUS: 'default' } };

describe("Tocsin's own stack", () => {
  test('is its configuration, its contracts, what is documented, and its functions', async () => {
    deployed({
      Gate: bundleOf(CONFIG),
      Monitor: monitorBundleOf(CONFIG),
      Parity: parityBundleOf({
        ...CONFIG,
        documented: { file: 'parity.yaml', text: 'parity: 1\n' },
      } as never),
      Provider: undefined,
    });
    const value = await read();
    expect(Object.keys(value ?? {})).toEqual(['configuration', 'documented', 'contracts', 'functions']);
    expect(value?.configuration).toEqual(parse(CONFIG.text));
    expect(value?.documented).toEqual({ parity: 1 });
    expect(value?.contracts).toEqual(
      Object.fromEntries(CONFIG.datasets.map(({ name, contractText }) => [name, parse(contractText)])),
    );
    expect(value?.functions).toEqual([
      { name: 'Gate', ...FUNCTION },
      { name: 'Monitor', ...FUNCTION },
      { name: 'Parity', ...FUNCTION },
      { name: 'Provider', runtime: 'nodejs24.x', code: 'c29tZSBjb2Rl' },
    ]);
    expect(mocked.part).toMatchObject({ unreadable: [], unsettled: [], notRead: [] });
    expect(mocked.mock('cloudformation')).toHaveReceivedCommandOnce(ListStackResourcesCommand);
    expect(mocked.mock('cloudformation')).toHaveReceivedCommandWith(ListStackResourcesCommand, {
      StackName: 'Tocsin-staging',
    });
    expect(
      mocked
        .mock('s3')
        .commandCalls(GetObjectCommand)
        .map((one) => one.args[0].input),
    ).toEqual(['Gate', 'Monitor', 'Parity'].map((id) => ({ Bucket: BUCKET, Key: `${id}.json` })));
  });

  test('of a quality gate alone is configured as that says', async () => {
    const gate = {
      bundle: 1,
      datasets: { flights: { contract: 'flights.yaml', prefix: 'flights/' } },
      contracts: { 'flights.yaml': 'contract: 1\ndataset: flights\n', 'unused.yaml': 'contract: 1\n' },
    };
    deployed({ Gate: gate });
    expect(await read()).toEqual({
      configuration: { datasets: gate.datasets },
      contracts: { flights: { contract: 1, dataset: 'flights' } },
      functions: [{ name: 'Gate', ...FUNCTION }],
    });
  });

  test('that there is not is null', async () => {
    mocked
      .mock('cloudformation')
      .on(ListStackResourcesCommand)
      .rejects(failure('ValidationError', 400, 'Stack with id Tocsin-staging does not exist'));
    expect(await read()).toBeNull();
    expect(unreadable()).toEqual([]);
  });

  test('that is denied is unreadable', async () => {
    mocked.mock('cloudformation').on(ListStackResourcesCommand).rejects(DENIED);
    expect(await read()).toBeUndefined();
    expect(unreadable()).toEqual([
      ['tocsin Tocsin', 'cloudformation:ListStackResources', 'AccessDeniedException'],
    ]);
  });

  test('that is being deployed is unsettled', async () => {
    mocked
      .mock('cloudformation')
      .on(ListStackResourcesCommand)
      .resolves({ StackResourceSummaries: [member('Role', 'AWS::IAM::Role', 'UPDATE_IN_PROGRESS')] });
    expect(await read()).toEqual({});
    expect(mocked.part.unsettled).toEqual([
      { path: ['tocsin', 'Tocsin'], physical: 'Tocsin-staging', status: 'UPDATE_IN_PROGRESS' },
    ]);
  });
});

describe('what it was deployed with', () => {
  const text = (yaml: string) => ({ bundle: 1, file: 'tocsin.yaml', text: yaml });

  test('is not known where functions of one stack have different ones, or no YAML', async () => {
    deployed({
      One: { ...text('tocsin: 1\n'), documented: { file: 'parity.yaml', text: '{' } },
      Other: text('tocsin: 2\n'),
    });
    expect(Object.keys((await read()) ?? {})).toEqual(['functions']);
    expect(unreadable()).toEqual([
      ['tocsin Tocsin configuration', 's3:GetObject', 'its functions have different ones'],
      ['tocsin Tocsin documented', 's3:GetObject', 'no YAML'],
    ]);
  });

  test.each([
    ['is denied', DENIED, 'AccessDeniedException'],
    ['is gone', failure('NoSuchKey', 404), 'there is no such object'],
    ['is in no bucket', failure('NoSuchBucket', 404), 'NoSuchBucket'],
  ])('is unreadable as a whole where one object %s', async (_, error, why) => {
    deployed({ One: text('tocsin: 1\n'), Other: text('tocsin: 1\n') });
    mocked.mock('s3').on(GetObjectCommand, { Key: 'Other.json' }).rejects(error);
    expect(await read()).toBeUndefined();
    expect(unreadable()).toEqual([['tocsin Tocsin', 's3:GetObject', why]]);
  });

  test.each(['no JSON', '"text"', '{"text": 1}'])('is unreadable where it is %s', async (content) => {
    deployed({ One: text('tocsin: 1\n') });
    object('One', content);
    expect(await read()).toBeUndefined();
    expect(unreadable()).toEqual([['tocsin Tocsin', 's3:GetObject', 'no configuration of Tocsin']]);
  });

  test.each([
    ['is denied', DENIED, 'AccessDeniedException'],
    ['goes away', GONE, 'deleted while it was read'],
  ])('is not known where a function %s', async (_, error, why) => {
    deployed({ One: text('tocsin: 1\n'), Other: text('tocsin: 1\n') });
    mocked
      .mock('lambda')
      .on(GetFunctionConfigurationCommand, { FunctionName: 'Tocsin-Other' })
      .rejects(error);
    expect(await read()).toEqual({ functions: [{ name: 'One', ...FUNCTION }] });
    expect(unreadable()).toEqual([
      ['tocsin Tocsin functions [Other]', 'lambda:GetFunctionConfiguration', why],
      ...['configuration', 'documented', 'contracts'].map((key) => [
        `tocsin Tocsin ${key}`,
        's3:GetObject',
        'a function is not readable',
      ]),
    ]);
  });
});
