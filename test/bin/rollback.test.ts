import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import {
  DescribeEndpointCommand,
  type DescribeEndpointCommandOutput,
  DescribeEndpointConfigCommand,
  ListEndpointConfigsCommand,
} from '@aws-sdk/client-sagemaker';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { type RollbackOptions, rollback, rollbackCommand } from '../../bin/commands/rollback.ts';
import { EXIT } from '../../bin/shared/cli.ts';
import { giveNotice } from '../../bin/shared/interrupt.ts';
import { parseWeights } from '../../bin/shared/options.ts';
import { type RollbackResult, rollbackRequestSchema } from '../../functions/rollback-drill/schema.ts';
import { s3Error } from '../support/fake-aws.ts';
import { type Capture, capture, examplesOf, FakeDeployment, failure, outputsWith } from './support.ts';

const ALIAS = 'arn:aws:lambda:eu-west-1:111122223333:function:rollback:live';
const OUTPUTS = outputsWith({ RollbackAlias: ALIAS });
const RESULT: RollbackResult = {
  endpoint: 'churn',
  done: 'churn sends all its traffic to variant primary (endpoint configuration churn-7)',
  changed: true,
  config: 'churn-7',
  shares: { candidate: 0, primary: 1 },
};

let directory = '';
const path = (name: string) => join(directory, name);
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tocsin-rollback-'));
  await writeFile(path('outputs.json'), JSON.stringify(OUTPUTS));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

/** An error as SageMaker answers it. */
const sagemakerError = (message: string) =>
  Object.assign(new Error(message), { name: 'ValidationException', $metadata: { httpStatusCode: 400 } });

let deployment: FakeDeployment;
let io: Capture;
beforeEach(() => {
  deployment = new FakeDeployment();
  deployment.script = { 1: { phase: 'reading the endpoint' }, 3: { result: RESULT } };
  deployment.aws.sagemaker
    .on(DescribeEndpointCommand)
    .rejects(
      sagemakerError('Could not find endpoint "arn:aws:sagemaker:eu-west-1:111122223333:endpoint/x".'),
    );
  deployment.aws.sagemaker
    .on(DescribeEndpointConfigCommand)
    .rejects(sagemakerError('Could not find endpoint configuration "x".'));
  deployment.aws.sagemaker.on(ListEndpointConfigsCommand).resolves({ EndpointConfigs: [] });
  io = capture();
  return () => deployment.restore();
});

type Weights = Record<string, number>;

function serve(weights: Weights, more: Partial<DescribeEndpointCommandOutput> = {}): void {
  deployment.aws.sagemaker.on(DescribeEndpointCommand, { EndpointName: 'churn' }).resolves({
    EndpointName: 'churn',
    EndpointConfigName: 'churn-7',
    EndpointStatus: 'InService',
    ProductionVariants: Object.entries(weights).map(([VariantName, weight]) => ({
      VariantName,
      CurrentWeight: weight,
      DesiredWeight: weight,
      CurrentInstanceCount: 2,
      DesiredInstanceCount: 2,
      DeployedImages: [
        { ResolvedImage: `111122223333.dkr.ecr.eu-west-1.amazonaws.com/churn@sha256:${'5e'.repeat(32)}` },
      ],
    })),
    ...more,
  });
}

/** @param models by variant */
function configure(name: string, models: Record<string, string>): void {
  deployment.aws.sagemaker.on(DescribeEndpointConfigCommand, { EndpointConfigName: name }).resolves({
    EndpointConfigName: name,
    ProductionVariants: Object.entries(models).map(([VariantName, ModelName], index) => ({
      VariantName,
      ModelName,
      InitialVariantWeight: index,
      InitialInstanceCount: 1,
      InstanceType: 'ml.m5.large',
    })),
  });
}

/** A terminal on which somebody types. */
function typing(text?: string): PassThrough {
  const stdin = Object.assign(new PassThrough(), { isTTY: true });
  vi.stubEnv('FORCE_COLOR', undefined);
  Object.assign(io.stderr, { isTTY: true, getColorDepth: () => 1 });
  if (text !== undefined) stdin.end(text);
  return stdin;
}

const run = (
  endpoint: string | undefined,
  options: Partial<RollbackOptions> = {},
  stdin: PassThrough = new PassThrough(),
) =>
  rollback(
    endpoint,
    { outputs: path('outputs.json'), patience: 86_400_000, ...options },
    io,
    stdin,
    deployment.clock,
  );

/** What the function was asked for, each as it takes it. */
const requests = () =>
  (deployment.invocations() as { Payload: string }[]).map(({ Payload }) =>
    rollbackRequestSchema.parse(JSON.parse(Payload)),
  );

describe('tocsin rollback', () => {
  beforeEach(() => {
    serve({ candidate: 1, primary: 0 });
    configure('churn-7', { candidate: 'churn-42', primary: 'churn-41' });
  });

  test('shows what serves and what it will do, asks, and follows the function', async () => {
    expect(await run('churn', { to: 'primary' }, typing('y\n'))).toBe(EXIT.pass);
    expect(requests()).toEqual([{ endpoint: 'churn', to: { variant: 'primary' }, run: deployment.run }]);
    expect(deployment.invocations()).toMatchObject([{ FunctionName: ALIAS, InvocationType: 'Event' }]);
    const [before, after] = io.err().split('Roll back? [y/N] ');
    expect(before).toMatchInlineSnapshot(`
      "churn is InService on churn-7
        candidate  100%  2 instances  model churn-42  churn@sha256:5e5e5e5e5e5e
        primary      0%  2 instances  model churn-41  churn@sha256:5e5e5e5e5e5e
      The rollback will move all traffic to variant primary:
        candidate    0%  2 instances  model churn-42
        primary    100%  2 instances  model churn-41
      "
    `);
    expect(after?.replaceAll('\u001b[', '<').replaceAll('\r', '|')).toBe(
      '     0 s  waiting for the function to begin\n     1 s  reading the endpoint|<K     2 s  reading the endpoint\n',
    );
    expect(io.out()).toBe(
      'ROLLED BACK churn sends all its traffic to variant primary (endpoint configuration churn-7)\n',
    );
  });

  test.each(['n\n', '\n', 'yesterday\n', ''])('does nothing unless it is told yes: %j', async (answer) => {
    expect(await failure(run('churn', { to: 'primary' }, typing(answer)))).toMatchObject({
      name: 'GateInputError',
      message: 'nobody said yes; nothing was done',
    });
    expect(requests()).toEqual([]);
  });

  test('says that nothing was done where a signal ends the question', async () => {
    const stdin = typing();
    const asked = run('churn', { to: 'primary' }, stdin).catch(() => {});
    await vi.waitFor(() => expect(io.err()).toContain('Roll back? [y/N]'));
    giveNotice();
    expect(io.err()).toMatch(/\[y\/N\] \nNothing was done\.\n/);
    stdin.end();
    await asked;
    expect(requests()).toEqual([]);
  });

  test.each(['y\n', 'YES\n', ' yes \n', 'y'])('does it when it is told %j', async (answer) => {
    expect(await run('churn', { to: 'primary' }, typing(answer))).toBe(EXIT.pass);
    expect(requests()).toHaveLength(1);
  });

  test.each<[string, () => PassThrough]>([
    ['where input comes from', () => new PassThrough()],
    [
      'where questions go to',
      () => {
        const stdin = typing('y\n');
        Object.assign(io.stderr, { isTTY: false });
        return stdin;
      },
    ],
  ])('without a terminal %s it needs --yes, and says what it would do', async (_, stdin) => {
    expect(await failure(run('churn', { to: 'primary' }, stdin()))).toMatchObject({
      name: 'GateInputError',
      message: 'it asks before it acts, and here is no terminal; nothing was done',
      help: 'Give --yes.',
    });
    expect(io.err()).toContain('The rollback will move all traffic to variant primary:');
    expect(io.err()).not.toContain('Roll back?');
    expect(requests()).toEqual([]);
  });

  test('prints JSON alone on standard output', async () => {
    expect(await run('churn', { to: 'primary', yes: true, json: true })).toBe(EXIT.pass);
    expect(JSON.parse(io.out())).toEqual(RESULT);
  });

  test('says where nothing had to be done', async () => {
    deployment.script = {
      1: { result: { ...RESULT, changed: false, done: `${RESULT.done}, as it did before` } },
    };
    expect(await run('churn', { to: 'primary', yes: true })).toBe(EXIT.pass);
    expect(io.out()).toMatch(/^UNCHANGED churn sends .*, as it did before\n$/);
  });

  test.each([
    ['GateInputError', 'there is no endpoint churn'],
    ['GateDependencyError', 'churn was not rolled back: the endpoint has failed'],
  ])('fails as the function does: %s', async (name, message) => {
    deployment.script = { 1: { error: { name, message } } };
    expect(await failure(run('churn', { to: 'primary', yes: true }))).toMatchObject({ name, message });
  });

  test('looks at a rollback again', async () => {
    deployment.run = 'earlier';
    deployment.report({ result: RESULT });
    expect(await run(undefined, { follow: 'earlier' })).toBe(EXIT.pass);
    expect(io.out()).toMatch(/^ROLLED BACK churn/);
    expect(requests()).toEqual([]);
  });

  test('says how to look at it again when its patience is at its end', async () => {
    deployment.script = { 1: { phase: 'updating the endpoint' } };
    const error = await failure(run('churn', { to: 'primary', yes: true, patience: 60_000 }));
    expect(error.help).toBe(
      `Look at it again with: tocsin rollback --follow ${deployment.run} --outputs ${path('outputs.json')}`,
    );
  });
});

describe('where to', () => {
  beforeEach(() => {
    serve({ candidate: 1, primary: 0, shadow: 0 });
    configure('churn-7', { candidate: 'churn-42', primary: 'churn-41', shadow: 'churn-40' });
    configure('churn-6', { candidate: 'churn-39', primary: 'churn-41' });
  });

  test.each<[string, Partial<RollbackOptions>, object]>([
    ['a variant', { to: 'primary' }, { variant: 'primary' }],
    ['a variant that is said to be one', { to: 'variant:primary' }, { variant: 'primary' }],
    ['an endpoint configuration', { to: 'churn-6' }, { config: 'churn-6' }],
    ['one that is said to be one', { to: 'config:churn-6' }, { config: 'churn-6' }],
    ['the one that it has', { to: 'churn-7' }, { config: 'churn-7' }],
    ['weights', { weights: { primary: 9, candidate: 1 } }, { weights: { primary: 9, candidate: 1 } }],
    [
      'an endpoint configuration with weights',
      { to: 'churn-6', weights: { primary: 1 } },
      { config: 'churn-6', weights: { primary: 1 } },
    ],
  ])('%s', async (_, options, to) => {
    await run('churn', { ...options, yes: true });
    expect(requests()).toEqual([{ endpoint: 'churn', to, run: deployment.run }]);
  });

  test('shows the weights and models of an endpoint configuration', async () => {
    await run('churn', { to: 'churn-6', yes: true });
    expect(io.err()).toContain(
      [
        'The rollback will deploy the endpoint configuration churn-6, with',
        '  candidate    0%  1 instance  model churn-39',
        '  primary    100%  1 instance  model churn-41',
        '',
      ].join('\n'),
    );
  });

  test('variants that are not named get no traffic', async () => {
    await run('churn', { weights: { primary: 3, shadow: 1 }, yes: true });
    expect(io.err()).toContain(
      [
        'The rollback will change the weights:',
        '  candidate   0%  2 instances  model churn-42',
        '  primary    75%  2 instances  model churn-41',
        '  shadow     25%  2 instances  model churn-40',
        '',
      ].join('\n'),
    );
  });

  test('what is both has to be told apart', async () => {
    configure('primary', { primary: 'churn-12' });
    expect(await failure(run('churn', { to: 'primary', yes: true }))).toMatchObject({
      name: 'GateInputError',
      message: '"primary" is a variant of the endpoint churn, and an endpoint configuration',
      help: 'Say which: --to variant:primary or --to config:primary.',
    });
    await run('churn', { to: 'config:primary', yes: true });
    deployment.seconds = 0;
    await run('churn', { to: 'variant:primary', yes: true });
    expect(requests().map(({ to }) => to)).toEqual([{ config: 'primary' }, { variant: 'primary' }]);
  });

  test('an endpoint configuration that was deleted lives on in the endpoint', async () => {
    deployment.aws.sagemaker
      .on(DescribeEndpointConfigCommand, { EndpointConfigName: 'churn-7' })
      .rejects(sagemakerError('Could not find endpoint configuration "churn-7".'));
    await run('churn', { to: 'churn-7', yes: true });
    expect(requests().map(({ to }) => to)).toEqual([{ config: 'churn-7' }]);
    expect(io.err()).toContain('That endpoint configuration does not exist any more.');
  });

  test.each<[string, Partial<RollbackOptions>, string]>([
    [
      'neither',
      { to: 'primry' },
      'the endpoint churn has no variant "primry", and there is no endpoint configuration of that name, did you mean "primary"?',
    ],
    ['what is no name', { to: 'config:' }, '--to: expected a SageMaker name'],
    ['no such variant', { to: 'variant:churn-6' }, 'the endpoint churn has no variant "churn-6"'],
    [
      'no such endpoint configuration',
      { to: 'config:primary' },
      'there is no endpoint configuration "primary"',
    ],
    ['weights of no variant', { weights: { main: 1 } }, 'the endpoint churn has no variant "main"'],
    [
      'weights of none of its variants',
      { to: 'churn-6', weights: { shadow: 1 } },
      'the endpoint configuration churn-6 has no variant "shadow"; it has candidate and primary',
    ],
    [
      'weights beside a variant',
      { to: 'primary', weights: { primary: 1 } },
      '--to primary is all traffic to one variant, and --weights says otherwise',
    ],
  ])('refuses %s', async (_, options, message) => {
    const error = await failure(run('churn', { ...options, yes: true }));
    expect(error.name).toBe('GateInputError');
    expect(error.message).toContain(message);
    expect(requests()).toEqual([]);
  });
});

describe('without --to and --weights', () => {
  test('of two variants the one without traffic is proposed', async () => {
    serve({ candidate: 1, primary: 0 });
    await run('churn', {}, typing('y\n'));
    expect(requests().map(({ to }) => to)).toEqual([{ variant: 'primary' }]);
    expect(io.err()).toContain('The rollback will move all traffic to variant primary:');
  });

  test.each<[string, Weights]>([
    ['both have traffic', { candidate: 9, primary: 1 }],
    ['there are three', { candidate: 1, primary: 0, shadow: 0 }],
    ['there is one', { primary: 1 }],
  ])('it says where one could go where %s', async (_, weights) => {
    serve(weights);
    expect(await failure(run('churn', { yes: true }))).toMatchObject({
      name: 'GateInputError',
      message: 'it is not clear where churn is to go; nothing was done',
      help: 'Give --to or --weights.',
    });
    expect(io.err()).toContain('Where churn could go:\n');
    expect(requests()).toEqual([]);
  });

  test('that is its variants, and endpoint configurations with the same ones, newest first', async () => {
    serve({ candidate: 9, primary: 1 });
    const now = Date.now();
    const aged = (EndpointConfigName: string, hours: number) => ({
      EndpointConfigName,
      EndpointConfigArn: `arn:aws:sagemaker:eu-west-1:111122223333:endpoint-config/${EndpointConfigName}`,
      CreationTime: new Date(now - hours * 3_600_000),
    });
    const { sagemaker } = deployment.aws;
    sagemaker
      .on(ListEndpointConfigsCommand, { SortBy: 'CreationTime', SortOrder: 'Descending', MaxResults: 100 })
      .resolves({
        EndpointConfigs: [aged('churn-7', 1), aged('other-3', 2), aged('gone', 3)],
        NextToken: 'a',
      });
    sagemaker
      .on(ListEndpointConfigsCommand, {
        SortBy: 'CreationTime',
        SortOrder: 'Descending',
        MaxResults: 97,
        NextToken: 'a',
      })
      .resolves({ EndpointConfigs: [aged('churn-6', 30), aged('churn-5', 480)] });
    configure('churn-7', { candidate: 'churn-42', primary: 'churn-41' });
    configure('other-3', { primary: 'other-3' });
    configure('churn-6', { primary: 'churn-41', candidate: 'churn-40' });
    configure('churn-5', { candidate: 'churn-39', primary: 'churn-38' });
    await failure(run('churn'));
    expect(io.err().split('Where churn could go:\n')[1]).toMatchInlineSnapshot(`
      "  --to candidate  all traffic to it, which has 90% now  model churn-42
        --to primary    all traffic to it, which has 10% now  model churn-41
      Endpoint configurations with the same variants, newest first:
        --to churn-6  1.25 d old  candidate: churn-40, primary: churn-41
        --to churn-5  20 d old    candidate: churn-39, primary: churn-38
      "
    `);
    expect(sagemaker.commandCalls(ListEndpointConfigsCommand)).toHaveLength(2);
  });

  test('of many endpoint configurations only the newest are looked at', async () => {
    serve({ primary: 1 });
    configure('churn-7', { primary: 'churn-42' });
    const { sagemaker } = deployment.aws;
    let listed = 0;
    sagemaker.on(ListEndpointConfigsCommand).callsFake(({ MaxResults }) => {
      // SageMaker may answer less than it is asked for.
      const EndpointConfigs = Array.from({ length: Math.min(MaxResults, 40) }, () => ({
        EndpointConfigName: `other-${listed++}`,
        CreationTime: new Date(0),
      }));
      return { EndpointConfigs, NextToken: 'more' };
    });
    await failure(run('churn'));
    expect(listed).toBe(100);
    expect(io.err()).toContain('Among the newest 100 endpoint configurations none has the same variants.');
  });

  test('ten of them are enough', async () => {
    serve({ primary: 1 });
    configure('churn-7', { primary: 'churn-42' });
    const names = Array.from({ length: 30 }, (_, index) => `old-${String(index).padStart(2, '0')}`);
    for (const name of names) configure(name, { primary: `model-of-${name}` });
    deployment.aws.sagemaker.on(ListEndpointConfigsCommand).resolves({
      EndpointConfigs: names.map((EndpointConfigName) => ({
        EndpointConfigName,
        EndpointConfigArn: '',
        CreationTime: new Date(0),
      })),
      NextToken: 'more',
    });
    await failure(run('churn'));
    expect([...io.err().matchAll(/--to old-\d+/g)].map(([text]) => text)).toEqual(
      names.slice(0, 10).map((name) => `--to ${name}`),
    );
  });
});

describe('the endpoint', () => {
  test.each(['Updating', 'RollingBack', 'Creating'] as const)('%s is waited for', async (EndpointStatus) => {
    serve(
      { candidate: 1, primary: 0 },
      { EndpointStatus, PendingDeploymentSummary: { EndpointConfigName: 'churn-8' } },
    );
    await run('churn', { to: 'primary', yes: true });
    expect(io.err()).toContain(`churn is ${EndpointStatus} on churn-7\n`);
    expect(io.err()).toContain(
      'Something is under way to churn-8, and SageMaker takes no other change meanwhile: the rollback waits for the end of that.',
    );
    expect(requests()).toHaveLength(1);
  });

  test('SystemUpdating is waited for', async () => {
    serve({ candidate: 1, primary: 0 }, { EndpointStatus: 'SystemUpdating' });
    await run('churn', { to: 'primary', yes: true });
    expect(io.err()).toContain('SageMaker maintains it, and takes no change meanwhile');
  });

  test.each<['UpdateRollbackFailed' | 'OutOfService', string]>([
    ['UpdateRollbackFailed', 'It serves a mix of two endpoint configurations'],
    ['OutOfService', 'It answers nobody, and takes no weights'],
  ])('%s takes an endpoint configuration, and no weights', async (EndpointStatus, obstacle) => {
    serve({ candidate: 1, primary: 0 }, { EndpointStatus });
    configure('churn-6', { candidate: 'churn-39', primary: 'churn-41' });
    for (const options of [{ to: 'primary' }, { weights: { primary: 1 } }]) {
      expect(await failure(run('churn', { ...options, yes: true }))).toMatchObject({
        name: 'GateInputError',
        message: `the endpoint churn is ${EndpointStatus}, and takes no weights until an endpoint configuration is deployed again`,
      });
    }
    // Nor is a variant proposed.
    expect(await failure(run('churn', { yes: true }))).toMatchObject({ help: 'Give --to or --weights.' });
    expect(io.err()).toContain(obstacle);
    expect(io.err()).not.toContain('--to primary');
    await run('churn', { to: 'churn-6', yes: true });
    expect(requests().map(({ to }) => to)).toEqual([{ config: 'churn-6' }]);
  });

  test.each<['Failed' | 'Deleting', string, RegExp]>([
    [
      'Failed',
      'the endpoint churn is Failed (no capacity), and takes no change any more',
      /^Delete it, and create it again: aws sagemaker delete-endpoint --endpoint-name churn, then aws sagemaker create-endpoint /,
    ],
    [
      'Deleting',
      'the endpoint churn is being deleted',
      /^Create it again once it is gone: aws sagemaker create-endpoint --endpoint-name churn --endpoint-config-name churn-7$/,
    ],
  ])('%s takes nothing any more', async (EndpointStatus, message, help) => {
    serve({ primary: 1 }, { EndpointStatus, FailureReason: 'no capacity' });
    expect(await failure(run('churn', { to: 'primary', yes: true }))).toMatchObject({
      name: 'GateDependencyError',
      message,
      help: expect.stringMatching(help),
    });
    expect(requests()).toEqual([]);
  });

  test('serverless variants, and variants without models, are shown as such', async () => {
    deployment.aws.sagemaker.on(DescribeEndpointCommand, { EndpointName: 'churn' }).resolves({
      EndpointConfigName: 'churn-7',
      EndpointStatus: 'InService',
      ProductionVariants: [
        {
          VariantName: 'a',
          CurrentWeight: 1,
          CurrentServerlessConfig: { MemorySizeInMB: 1024, MaxConcurrency: 1 },
        },
        { VariantName: 'b\u001b[2J', CurrentWeight: 1, CurrentInstanceCount: 1 },
      ],
    });
    await failure(run('churn'));
    expect(io.err()).toContain('  a           50%  serverless\n');
    expect(io.err()).toContain('  b\\u001b[2J  50%  1 instance\n');
  });

  test('that does not exist, or that may not be read', async () => {
    expect(await failure(run('churn', { to: 'primary' }))).toMatchObject({
      name: 'GateInputError',
      message: 'there is no endpoint "churn" in eu-west-1',
    });
    deployment.aws.sagemaker.on(DescribeEndpointCommand).rejects(s3Error('AccessDeniedException', 403));
    expect(await failure(run('churn', { to: 'primary' }))).toMatchObject({
      name: 'GateDependencyError',
      message: expect.stringMatching(/^DescribeEndpoint churn failed \(HTTP 403\)/),
    });
  });

  test.each(['-churn', 'churn_7', 'arn:aws:sagemaker:eu-west-1:111122223333:endpoint/churn', 'x'.repeat(64)])(
    'has a name that SageMaker knows, not %s',
    async (name) => {
      expect(await failure(run(name, { to: 'primary' }))).toMatchObject({
        name: 'GateInputError',
        message: expect.stringMatching(/^ENDPOINT: expected a SageMaker name/),
      });
      expect(deployment.aws.sagemaker.calls()).toEqual([]);
    },
  );
});

describe('usage', () => {
  test.each<[string, string | undefined, Partial<RollbackOptions>, string]>([
    ['neither an endpoint nor a run', undefined, {}, 'expected either the name of an endpoint or --follow'],
    ['both', 'churn', { follow: 'x' }, 'expected either the name of an endpoint or --follow'],
    [
      'to begin one that has begun',
      undefined,
      { follow: 'x', to: 'primary' },
      '--to and --weights say how to begin a rollback, and --follow looks at one that has begun',
    ],
  ])('%s', async (_, endpoint, options, message) => {
    expect(await failure(run(endpoint, options))).toMatchObject({ name: 'GateInputError', message });
  });

  test('a deployment without the function is found out before anything is asked', async () => {
    const { RollbackAlias: _, ...without } = OUTPUTS.Tocsin;
    await writeFile(path('without.json'), JSON.stringify({ Tocsin: without }));
    expect(await failure(run('churn', { outputs: path('without.json') }))).toMatchObject({
      name: 'GateInputError',
      message: `${path('without.json')} has no output RollbackAlias`,
    });
    expect(deployment.aws.sagemaker.calls()).toEqual([]);
  });

  test('weights', () => {
    expect(parseWeights('primary=90, candidate=10')).toEqual({ primary: 90, candidate: 10 });
    expect(parseWeights('a=0.5,b=0')).toEqual({ a: 0.5, b: 0 });
    for (const text of ['', 'a', 'a=', 'a=-1', 'a=1,a=2', 'a=1,', 'a=0', 'a=0,b=0', 'a=1e3', 'a b=1']) {
      expect(() => parseWeights(text)).toThrow('primary=90,candidate=10');
    }
  });

  test('the examples of --help run', async () => {
    serve({ candidate: 1, primary: 0 });
    configure('churn-7', { candidate: 'churn-42', primary: 'churn-41' });
    configure('churn-2026-11-20', { candidate: 'churn-39', primary: 'churn-41' });
    const lines = examplesOf(rollbackCommand(io));
    expect(lines).toHaveLength(5);
    for (const line of lines) {
      const [tocsin, command, ...args] = line.split(' ');
      deployment.script = { 0: { result: RESULT } };
      deployment.run = args.at(-1) ?? '';
      deployment.report({ result: RESULT });
      io = capture();
      await rollbackCommand(io).parseAsync([...args, '--yes', '--outputs', path('outputs.json')], {
        from: 'user',
      });
      expect([tocsin, command, process.exitCode]).toEqual(['tocsin', 'rollback', EXIT.pass]);
      expect(io.out()).toMatch(/^ROLLED BACK churn/);
      process.exitCode = undefined;
    }
    expect(requests().map(({ to }) => to)).toEqual([
      { variant: 'primary' },
      { variant: 'primary' },
      { config: 'churn-2026-11-20' },
      { weights: { primary: 90, candidate: 10 } },
    ]);
  });

  test('with --json what went wrong is JSON, too', async () => {
    serve({ candidate: 1, primary: 1 });
    await rollbackCommand(io).parseAsync(['churn', '--json', '--outputs', path('outputs.json')], {
      from: 'user',
    });
    expect(process.exitCode).toBe(EXIT.caller);
    process.exitCode = undefined;
    expect(JSON.parse(io.out())).toMatchObject({
      error: { kind: 'caller', help: 'Give --to or --weights.' },
    });
  });
});
