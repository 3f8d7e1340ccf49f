import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { GetObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { mockClient } from 'aws-sdk-client-mock';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { type ParityOptions, parity, parityCommand } from '../../bin/commands/parity.ts';
import { type DocumentOptions, parityDocument } from '../../bin/commands/parity-document.ts';
import { parityRole, type RoleOptions } from '../../bin/commands/parity-role.ts';
import { paritySnapshot, type SnapshotOptions } from '../../bin/commands/parity-snapshot.ts';
import { EXIT } from '../../bin/shared/cli.ts';
import * as adapter from '../../functions/config-parity/adapters/clients.ts';
import type { Evaluation } from '../../functions/config-parity/evaluate.ts';
import type { Json } from '../../functions/config-parity/json.ts';
import type { ParityResult, Side } from '../../functions/config-parity/schema.ts';
import { parseSnapshot, type Snapshot, snapshotOf } from '../../functions/config-parity/snapshot.ts';
import { ConfigError } from '../../functions/shared/schema.ts';
import type { Verdict } from '../../functions/shared/verdict.ts';
import { loadConfig } from '../../lib/config.ts';
import { DENIED, type Estate } from '../support/estate.ts';
import { GOLDEN } from '../support/estate-endpoints.ts';
import type { WorldShape } from '../support/estate-maker.ts';
import { estateOf, parityOf } from '../support/estate-world.ts';
import { type Capture, capture, examplesOf, FakeDeployment, failure, outputsWith } from './support.ts';

vi.mock(import('../../functions/config-parity/adapters/clients.ts'), { spy: true });

const NOW = Date.parse('2026-11-22T10:00:00Z');
const CONFIG = `tocsin: 1
parity:
  churn:
    compare:
      functions: ['churn-{environment}']
`;
const DOCUMENTED = `# What is meant to be.
parity: 1
differences:
  churn:
    - path: functions.churn.memoryMb # more load
      reason: production has all the customers
      owner: ml-platform
      expires: 2027-01-31
      test: { relation: production >= staging }
`;

/** The function that is compared: more memory in production, which is documented. */
function snapshot(side: Side, value: { [key: string]: Json } = {}): Snapshot {
  const account = side === 'staging' ? '111122223333' : '444455556666';
  const head = { parity: 'churn', side, account, region: 'eu-west-1', takenAt: NOW, tocsin: '0.1.0' };
  const standard = {
    runtime: 'python3.13',
    memoryMb: side === 'staging' ? 512 : 1024,
    role: `arn:aws:iam::${account}:role/churn`,
    environment: { SCALER_VERSION: '1' },
  };
  const resource = {
    kind: 'functions',
    name: 'churn',
    physical: `churn-${side}`,
    value: { ...standard, ...value },
  };
  const part = { unreadable: [], unsettled: [], probes: [], notRead: [] };
  return snapshotOf(head, [{ ...part, resources: [resource as Snapshot['resources'][number]] }]);
}

const STAGING = snapshot('staging');
const PRODUCTION = snapshot('production');
/** As production is after somebody has changed it by hand. */
const CHANGED = snapshot('production', { environment: { SCALER_VERSION: '2' }, timeoutSeconds: 30 });

let directory = '';
const path = (name: string) => join(directory, name);
const saved = async (files: Record<string, Snapshot | string>) => {
  for (const [name, content] of Object.entries(files)) {
    await writeFile(path(name), typeof content === 'string' ? content : JSON.stringify(content));
  }
};
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tocsin-parity-'));
  await saved({
    'tocsin.yaml': CONFIG,
    'parity.yaml': DOCUMENTED,
    'staging.json': STAGING,
    'production.json': PRODUCTION,
    'changed.json': CHANGED,
    'late.json': JSON.stringify({ ...PRODUCTION, takenAt: 1e300 }),
    'deep.json': JSON.stringify(PRODUCTION).replace(
      /"value":/,
      `"value":${'['.repeat(5000)}1${']'.repeat(5000)},"rest":`,
    ),
    'outputs.json': JSON.stringify(OUTPUTS),
  });
});
afterAll(() => rm(directory, { recursive: true, force: true }));

const ALIAS = 'arn:aws:lambda:eu-west-1:111122223333:function:config-parity:live';
const ROLE = 'arn:aws:iam::111122223333:role/config-parity';
const OUTPUTS = outputsWith({ ConfigParityAlias: ALIAS, ConfigParityRole: ROLE });

let deployment: FakeDeployment;
let io: Capture;
beforeEach(() => {
  deployment = new FakeDeployment();
  io = capture();
  return () => deployment.restore();
});

const compare = (name: string | undefined, options: Partial<ParityOptions> = {}) =>
  parity(
    name,
    { outputs: path('outputs.json'), config: path('tocsin.yaml'), patience: 86_400_000, ...options },
    io,
    { ...deployment.clock, now: () => NOW + deployment.clock.now() },
  );
const offline = (...names: string[]) => ({ offline: names.map(path) });

describe('tocsin parity --offline', () => {
  test('passes where everything that differs is documented', async () => {
    expect(await compare('churn', offline('staging.json', 'production.json'))).toBe(EXIT.pass);
    expect(io.out().split('\n').slice(0, 8)).toEqual([
      'Staging and production: 1 difference, documented',
      '',
      'capacity',
      '  staging      | production',
      'functions.churn.memoryMb',
      'medium  documented until 2027-01-31 by ml-platform',
      '  512          | 1024',
      '',
    ]);
    expect(io.out()).toMatch(/^PASS churn: /m);
    expect(io.out()).toContain(
      ', of staging in 111122223333 (eu-west-1) at 2026-11-22T10:00:00Z and production in 444455556666',
    );
    expect(io.err()).toBe('');
  });

  test('fails where something is not, with the place and both values', async () => {
    expect(await compare(undefined, offline('staging.json', 'changed.json'))).toBe(EXIT.failed);
    expect(io.out()).toContain(
      'functions.churn.environment.SCALER_VERSION\nhigh  undocumented\n  1            | 2\n',
    );
    expect(io.out()).toMatch(/^FAIL churn: /m);
  });

  test('prints everything as JSON, and writes it', async () => {
    const out = path('out');
    expect(await compare('churn', { ...offline('staging.json', 'changed.json'), json: true, out })).toBe(
      EXIT.failed,
    );
    const { comparison, uses, probes, asOf, ...verdict } = JSON.parse(io.out()) as Verdict & Evaluation;
    expect(verdict).toMatchObject({ verdict: 1, gate: 'config-parity', subject: 'churn', outcome: 'fail' });
    expect(comparison.differences.map(({ text }) => text)).toEqual([
      'functions.churn.environment.SCALER_VERSION',
      'functions.churn.memoryMb',
      'functions.churn.timeoutSeconds',
    ]);
    const read = async (name: string) => JSON.parse(await readFile(join(out, name), 'utf8'));
    expect(await read('verdict.json')).toEqual(verdict);
    expect(await read('comparison.json')).toEqual({ comparison, uses, probes, asOf: '2026-11-22' });
    expect(asOf).toBe('2026-11-22');
    expect(await read('staging.json')).toEqual(STAGING);
    expect(await read('production.json')).toEqual(CHANGED);
    const report = await readFile(join(out, 'report.html'), 'utf8');
    expect(report).toContain('<h1>Comparison churn');
    expect(report).toContain('environment.<wbr>SCALER_VERSION');
  });

  test('fails on those kinds alone that the caller names, with a verdict of its own', async () => {
    const judged = async (failOn?: ParityOptions['failOn']) => {
      io = capture();
      const options = { ...offline('staging.json', 'changed.json'), json: true, ...(failOn && { failOn }) };
      const code = await compare('churn', options);
      return { code, id: (JSON.parse(io.out()) as Verdict).id };
    };
    const all = await judged();
    const some = await judged(['schema', 'inference']);
    expect([all.code, some.code, (await judged(['environment'])).code]).toEqual([
      EXIT.failed,
      EXIT.pass,
      EXIT.failed,
    ]);
    expect(some.id).not.toBe(all.id);
    expect((await judged()).id).toBe(all.id);
  });

  test.each<[string, string | undefined, Partial<ParityOptions>, RegExp]>([
    [
      'snapshots in the wrong order',
      'churn',
      { offline: ['production.json', 'staging.json'] },
      /production.json is of production, and .*staging.json of staging: staging comes first$/,
    ],
    ['the same twice', 'churn', { offline: ['staging.json', 'staging.json'] }, /one of staging/],
    ['one snapshot', 'churn', { offline: ['staging.json'] }, /takes two snapshots, got 1/],
    ['no snapshot', 'churn', { offline: ['tocsin.yaml', 'staging.json'] }, /tocsin.yaml is not JSON/],
    ['a day that is none', 'churn', { offline: ['staging.json', 'late.json'] }, /late.json: takenAt: /],
    [
      'a value that is nested too deeply',
      'churn',
      { offline: ['staging.json', 'deep.json'] },
      /^snapshot .*deep.json: it is nested too deeply to be read$/,
    ],
    ['no file', 'churn', { offline: ['none.json', 'staging.json'] }, /snapshot .*none.json: no such file/],
    [
      'another comparison',
      'chorn',
      { offline: ['staging.json', 'production.json'] },
      /tocsin.yaml has no comparison "chorn".*did you mean "?churn/i,
    ],
    ['both ways', 'churn', { offline: ['a', 'b'], local: true }, /^expected one of --local and --offline$/],
    ['a run', undefined, { offline: ['a', 'b'], follow: 'x' }, /^expected one of --follow and --offline$/],
    ['a run of here', 'churn', { local: true, wait: false }, /--no-wait is for the deployment/],
    ['no name', undefined, { local: true }, /expected the name of a comparison/],
  ])('refuses %s', async (_, name, options, message) => {
    const files = options.offline?.map(path);
    const error = await failure(compare(name, { ...options, ...(files && { offline: files }) }));
    expect(error).toMatchObject({ name: 'GateInputError', message: expect.stringMatching(message) });
  });
});

describe('in the deployment', () => {
  const FOLDER = 'evidence/config-parity/churn/0c';
  const evidence = `s3://evidence/${FOLDER}/verdict.json`;
  let verdict: Verdict;
  let evaluation: Evaluation;
  let result: ParityResult;
  beforeEach(async () => {
    await compare('churn', { ...offline('staging.json', 'changed.json'), json: true });
    const { comparison, uses, probes, asOf, ...judged } = JSON.parse(io.out());
    [verdict, evaluation] = [judged, { comparison, uses, probes, asOf }];
    const { outcome, reason, id } = verdict;
    result = {
      parity: 'churn',
      outcome,
      reason,
      verdict: id,
      evidence,
      differences: { undocumented: 2, documented: 1 },
      findings: [reason],
    };
    deployment.aws.put('evidence', `${FOLDER}/verdict.json`, JSON.stringify(verdict));
    deployment.aws.put('evidence', `${FOLDER}/comparison.json`, JSON.stringify(evaluation));
    deployment.script = { 1: { phase: 'reading staging: 0 of 1' }, 5: { result } };
    io = capture();
  });

  test('starts the comparison, follows it, and shows what differs above the verdict', async () => {
    expect(await compare('churn')).toBe(EXIT.failed);
    expect(deployment.invocations()).toEqual([
      {
        FunctionName: ALIAS,
        InvocationType: 'Event',
        Payload: JSON.stringify({ parity: 'churn', run: deployment.run }),
      },
    ]);
    expect(io.err()).toContain('reading staging: 0 of 1');
    expect(io.out()).toMatch(/^Staging and production: 3 differences, 1 of them documented\n/);
    expect(io.out()).toContain(`verdict ${verdict.id}, of ${evidence}`);
  });

  test('prints verdict, answer and comparison as JSON', async () => {
    expect(await compare('churn', { json: true, out: path('evidence') })).toBe(EXIT.failed);
    expect(JSON.parse(io.out())).toEqual({ ...verdict, result, ...evaluation });
    expect(JSON.parse(await readFile(path('evidence/comparison.json'), 'utf8'))).toEqual(evaluation);
  });

  test('follows a run that goes on, or only starts one', async () => {
    deployment.run = 'earlier';
    deployment.report({ result });
    expect(await compare(undefined, { follow: 'earlier' })).toBe(EXIT.failed);
    expect(deployment.invocations()).toEqual([]);
    io = capture();
    expect(await compare('churn', { wait: false })).toBe(EXIT.pass);
    expect(io.out()).toBe(
      `It runs. Look at it with: tocsin parity --follow ${deployment.run} --outputs ${path('outputs.json')}\n`,
    );
  });

  test('says why there is no verdict', async () => {
    deployment.script = {
      1: { result: { error: 'GateInputError', message: 'the role is of another account' } },
    };
    expect(await failure(compare('churn'))).toMatchObject({
      name: 'GateInputError',
      message: 'the role is of another account',
    });
    deployment.script = { 20: { result: { ignored: 'it runs already' } } };
    expect(await failure(compare('churn'))).toMatchObject({
      message: 'nothing was compared: it runs already',
    });
  });

  test.each<[string, string | undefined, Partial<ParityOptions>, RegExp]>([
    ['no name', undefined, {}, /^expected either the name of a comparison or --follow$/],
    ['name and run', 'churn', { follow: 'x' }, /^expected either the name of a comparison or --follow$/],
    [
      'to look, and not to wait',
      undefined,
      { follow: 'x', wait: false },
      /--follow looks at one that has begun/,
    ],
    ['kinds of its own', 'churn', { failOn: ['schema'] }, /^--fail-on is for --local and --offline/],
  ])('refuses %s', async (_, name, options, message) => {
    const error = await failure(compare(name, options));
    expect(error).toMatchObject({ name: 'GateInputError', message: expect.stringMatching(message) });
    expect(deployment.invocations()).toEqual([]);
  });
});

// ---------------------------------------------------------------------------------------------------------
// Read with the caller's own credentials
// ---------------------------------------------------------------------------------------------------------

const SHAPE: WorldShape = {
  seed: 7,
  naming: 'names',
  endpoints: 1,
  functions: 1,
  parameters: 2,
  featureGroups: 1,
  tables: 1,
  pipelines: 1,
  rules: 1,
  schedules: 1,
};
const PLACES = {
  staging: { word: 'staging', account: '111122223333', region: 'eu-west-1' },
  production: { word: 'prod', account: '444455556666', region: 'eu-central-1' },
};

describe('with the own credentials', () => {
  let estates: Record<Side, Estate>;
  beforeEach(async () => {
    // Its mocks would stand in the way of the clients below.
    deployment.restore();
    for (const name of ['AWS_REGION', 'AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY'])
      vi.stubEnv(name, 'eu-west-1');
    estates = { staging: estateOf(SHAPE, PLACES.staging), production: estateOf(SHAPE, PLACES.production) };
    vi.mocked(adapter.clientsOf).mockImplementation(({ account }) =>
      (account === PLACES.staging.account ? estates.staging : estates.production).clients(),
    );
    await saved({ 'live.yaml': JSON.stringify({ tocsin: 1, parity: { flights: parityOf(SHAPE, PLACES) } }) });
    await rm(path('parity.yaml'), { force: true });
    return async () => {
      vi.mocked(adapter.clientsOf).mockReset();
      await saved({ 'parity.yaml': DOCUMENTED });
    };
  });
  const here = () => ({ config: path('live.yaml'), outputs: path('outputs.json') });
  const snap = (of: Side, out: string, options: Partial<SnapshotOptions> = {}) =>
    paritySnapshot('flights', { ...here(), of, out: path(out), ...options }, io);

  test('--local reads both, compares, and publishes nothing', async () => {
    expect(await compare('flights', { ...here(), local: true })).toBe(EXIT.pass);
    expect(io.out()).toMatch(/^No difference between staging and production\n/);
    expect(io.out()).toContain('equal by folding\n');
    expect(io.out()).toMatch(/^\{account\} +111122223333 +444455556666 /m);
    const actions = [...estates.staging.calls.keys(), ...estates.production.calls.keys()];
    expect(actions.filter((action) => !/:(Get|List|Describe)/.test(action))).toEqual([]);
    expect([...estates.staging.mistakes, ...estates.production.mistakes]).toEqual([]);
  });

  test('a snapshot that was saved compares as what was read just now', async () => {
    expect(await snap('staging', 'live-staging.json')).toBe(EXIT.pass);
    expect(io.out()).toMatch(
      /^staging of flights, 111122223333 \(eu-west-1\): \d+ resources\n {2}alarms +3\n/,
    );
    expect(io.err()).toBe(`wrote ${path('live-staging.json')}\n`);
    expect(await snap('production', 'live-production.json')).toBe(EXIT.pass);
    const text = await readFile(path('live-production.json'), 'utf8');
    expect(parseSnapshot(text, 'x')).toMatchObject({ side: 'production', account: '444455556666' });
    io = capture();
    expect(
      await compare(undefined, { ...here(), ...offline('live-staging.json', 'live-production.json') }),
    ).toBe(EXIT.pass);
  });

  test('a snapshot replaces no file, unless it is told to', async () => {
    await saved({ 'mine.json': 'mine' });
    expect(await failure(snap('staging', 'mine.json'))).toMatchObject({
      name: 'GateInputError',
      message: `${path('mine.json')} exists already`,
      help: 'Give another name, or --force to replace it.',
    });
    expect(await readFile(path('mine.json'), 'utf8')).toBe('mine');
    expect(await snap('staging', 'mine.json', { force: true })).toBe(EXIT.pass);
    expect(await readFile(path('mine.json'), 'utf8')).toMatch(/^\{\n {2}"snapshot": 1,/);
  });

  test('a snapshot says what could not be read, and is saved all the same', async () => {
    estates.staging.fail('lambda:GetFunctionConfiguration', DENIED);
    expect(await snap('staging', 'partial.json')).toBe(EXIT.failed);
    expect(io.out()).toMatch(
      /\ncould not be read\n {2}functions\.\S+ +lambda:GetFunctionConfiguration +AccessDeniedException\n/,
    );
    const { unreadable } = parseSnapshot(await readFile(path('partial.json'), 'utf8'), 'x');
    expect(unreadable).not.toEqual([]);
  });

  test('golden requests that name no bucket are in the one that Tocsin has created', async () => {
    const { staging, production } = parityOf(SHAPE, PLACES) as { staging: object; production: object };
    const probes = { answers: { endpoint: 'flight-delay-0', golden: 'golden.jsonl' } };
    const flights = {
      staging,
      production,
      compare: { endpoints: ['flight-delay-0-{environment}'] },
      probes,
    };
    await saved({
      'a.yaml': 'contract: 1\ndataset: a\nformat: csv\ncolumns: { x: { type: integer } }\n',
      'live.yaml': JSON.stringify({
        tocsin: 1,
        datasets: { a: { contract: 'a.yaml', prefix: 'a/' } },
        parity: { flights },
      }),
      'data.json': JSON.stringify(outputsWith({ DataBucket: 'data' })),
    });
    const compared = (outputs: string) =>
      compare('flights', { ...here(), local: true, outputs: path(outputs) });
    expect(await failure(compared('outputs.json'))).toMatchObject({
      name: 'GateInputError',
      message: 'golden: golden.jsonl names no bucket, and Tocsin has created none',
    });

    const s3 = mockClient(S3Client);
    const bytes = Buffer.from(GOLDEN.map((body) => JSON.stringify({ body })).join('\n'));
    s3.on(GetObjectCommand, { Bucket: 'data', Key: 'golden.jsonl' }).callsFake(() => ({
      Body: Readable.from([bytes]),
      ContentLength: bytes.length,
      VersionId: 'v1',
    }));
    expect(await compared('data.json')).toBe(EXIT.pass);
    s3.restore();
    expect(io.out()).toContain('probes\nPASS  answers  3 of 3 golden requests agreed\n');
  });

  test('who may not ask is told at once', async () => {
    estates.production.fail('sts:GetCallerIdentity', DENIED);
    expect(await failure(compare('flights', { ...here(), local: true }))).toMatchObject({
      name: 'GateDependencyError',
      message: expect.stringContaining('sts:GetCallerIdentity'),
    });
    expect(estates.production.calls.get('sts:GetCallerIdentity')).toBe(1);
  });

  test('another account than tocsin.yaml says is refused', async () => {
    vi.mocked(adapter.clientsOf).mockImplementation(() => estates.staging.clients());
    expect(await failure(compare('flights', { ...here(), local: true }))).toMatchObject({
      name: 'GateInputError',
      message: 'expected to read the account 444455556666, got 111122223333',
    });
  });
});

// ---------------------------------------------------------------------------------------------------------
// Documenting
// ---------------------------------------------------------------------------------------------------------

describe('tocsin parity document', () => {
  const document = (options: Partial<DocumentOptions> = {}) =>
    parityDocument(
      undefined,
      {
        config: path('tocsin.yaml'),
        outputs: path('outputs.json'),
        ...offline('staging.json', 'changed.json'),
        ...options,
      },
      io,
      { now: () => NOW },
    );
  beforeEach(() => () => saved({ 'parity.yaml': DOCUMENTED }));

  test('proposes entries for what is not documented', async () => {
    expect(await document()).toBe(EXIT.pass);
    expect(io.out()).toContain('- path: functions.churn.environment.SCALER_VERSION\n  reason:\n');
    expect(io.out()).not.toContain('memoryMb');
    expect(io.out()).toMatch(/[^\n]\n$/);
    expect(io.err()).toBe('2 entries: say in each why, who answers for it and until when\n');
    expect(await readFile(path('parity.yaml'), 'utf8')).toBe(DOCUMENTED);
  });

  test('appends them, and leaves what people have written; until they are filled in nothing is compared', async () => {
    expect(await document({ write: true })).toBe(EXIT.pass);
    expect(io.out()).toBe('');
    expect(io.err()).toBe(
      `${path('parity.yaml')}: 2 entries to fill in; say in each why, who answers for it and until when\n`,
    );
    const text = await readFile(path('parity.yaml'), 'utf8');
    expect(text.startsWith(DOCUMENTED)).toBe(true);
    expect(text.slice(DOCUMENTED.length)).toMatch(
      /^ {4}# .*\n {4}- path: functions\.churn\.environment\.SCALER_VERSION\n {6}reason:\n {6}owner:\n {6}expires:\n {6}test:\n/,
    );
    const error = await failure(compare('churn', offline('staging.json', 'changed.json')));
    expect(error).toBeInstanceOf(ConfigError);
    expect(error.message).toContain('still to be filled in');

    const filled = text
      .replaceAll('reason:\n', 'reason: it is\n')
      .replaceAll('owner:\n', 'owner: me\n')
      .replaceAll('expires:\n', 'expires: 2027-01-31\n');
    await saved({ 'parity.yaml': filled });
    expect(await compare('churn', offline('staging.json', 'changed.json'))).toBe(EXIT.pass);
    io = capture();
    expect(await document({ write: true })).toBe(EXIT.pass);
    expect(io.err()).toBe('nothing is left to document of churn\n');
    expect(await readFile(path('parity.yaml'), 'utf8')).toBe(filled);
  });

  test.each<[string, string | undefined, string]>([
    ['no file', undefined, 'parity: 1\ndifferences:\n  churn:\n    # '],
    ['no comparison', 'parity: 1 # ours\n', 'parity: 1 # ours\ndifferences:\n  churn:\n    # '],
    ['an empty list', 'parity: 1\ndifferences: { churn: [] }\n', 'parity: 1\ndifferences:\n  churn:\n    # '],
    [
      'lists that are not indented',
      DOCUMENTED.replaceAll('\n    ', '\n  '),
      `${DOCUMENTED.replaceAll('\n    ', '\n  ')}  # `,
    ],
  ])('with %s', async (_, before, start) => {
    await rm(path('parity.yaml'));
    if (before !== undefined) await saved({ 'parity.yaml': before });
    expect(await document({ write: true })).toBe(EXIT.pass);
    const text = await readFile(path('parity.yaml'), 'utf8');
    expect(text.slice(0, start.length)).toBe(start);
  });

  test('refuses both ways at once', async () => {
    expect(await failure(document({ local: true }))).toMatchObject({
      name: 'GateInputError',
      message: 'expected one of --local and --offline',
    });
  });
});

describe('tocsin parity role', () => {
  const role = (options: Partial<RoleOptions> = {}) =>
    parityRole(
      'churn',
      { for: 'production', config: path('tocsin.yaml'), outputs: path('outputs.json'), ...options },
      io,
    );
  const trustOf = (template: string) =>
    JSON.parse(template).Resources.Reader.Properties.AssumeRolePolicyDocument.Statement[0];

  test('prints a template whose role Tocsin may assume, and says how to deploy it', async () => {
    expect(await role()).toBe(EXIT.pass);
    expect(trustOf(io.out())).toEqual({
      Effect: 'Allow',
      Principal: { AWS: ROLE },
      Action: 'sts:AssumeRole',
    });
    expect(io.out()).toContain('lambda:GetFunctionConfiguration');
    expect(io.err()).toContain('aws cloudformation deploy --stack-name tocsin-parity-churn-production ');
    expect(io.err()).toContain('parity.churn.production.role');
    expect(JSON.parse(io.out()).Resources.Reader.Properties.RoleName).toBe('tocsin-parity-churn-production');
  });

  test('names somebody else, and an external id', async () => {
    const trust = 'arn:aws:iam::999988887777:role/reader';
    expect(await role({ trust, externalId: 'xyz', outputs: path('none.json') })).toBe(EXIT.pass);
    expect(trustOf(io.out())).toMatchObject({
      Principal: { AWS: trust },
      Condition: { StringEquals: { 'sts:ExternalId': 'xyz' } },
    });
  });

  test.each<[string, Partial<RoleOptions>, RegExp]>([
    ['no ARN', { trust: '*' }, /^--trust: expected the ARN of a role, a user or an account, got \*$/],
    ['nobody to trust', { outputs: 'without.json' }, /without.json has no output ConfigParityRole$/],
    ['no outputs', { outputs: 'none.json' }, /none.json: no such file$/],
  ])('refuses %s', async (_, options, message) => {
    await saved({ 'without.json': JSON.stringify(outputsWith({})) });
    const { outputs } = options;
    expect(await failure(role({ ...options, ...(outputs && { outputs: path(outputs) }) }))).toMatchObject({
      name: 'GateInputError',
      message: expect.stringMatching(message),
    });
  });
});

describe('the command line', () => {
  const command = (...args: string[]) => {
    const made = parityCommand(io);
    for (const one of [made, ...made.commands]) {
      one.exitOverride().configureOutput({ writeErr: (text) => io.stderr.write(text) });
    }
    return made.parseAsync(args, { from: 'user' });
  };

  test.each([
    [['churn', '--fail-on', 'schema,nothing'], /Expected some of schema, inference, environment,/],
    [
      ['--json', 'snapshot', 'churn', '--of', 'staging', '--out', 'x'],
      /--json says nothing before "snapshot"/,
    ],
    [['snapshot', 'churn', '--of', 'test', '--out', 'x'], /Allowed choices are staging, production/],
    [['role', 'churn'], /required option '--for <side>'/],
  ])('refuses %j', async (args, message) => {
    await failure(command(...args));
    expect(io.err()).toMatch(message);
  });

  test('takes no name for a kind', async () => {
    const files = offline('staging.json', 'changed.json').offline;
    await command('--fail-on', 'safety', 'churn', '--config', path('tocsin.yaml'), '--offline', ...files);
    expect(process.exitCode).toBe(EXIT.pass);
    process.exitCode = undefined;
  });

  test('takes kinds with commas, and one by one; options of commands below are theirs', async () => {
    const files = offline('staging.json', 'changed.json').offline;
    const config = ['--config', path('tocsin.yaml')];
    await command(
      'churn',
      '--fail-on',
      'schema,inference',
      '--fail-on',
      'safety',
      '--offline',
      ...files,
      ...config,
    );
    expect(process.exitCode).toBe(EXIT.pass);
    await command('document', 'churn', '--offline', ...files, ...config);
    expect(io.out()).toContain('- path: functions.churn.environment.SCALER_VERSION\n');
    process.exitCode = undefined;
  });

  test('the examples of --help are those that the command has', () => {
    const lines = examplesOf(parityCommand(io));
    expect(lines).toHaveLength(9);
    for (const line of lines) expect(line).toMatch(/^tocsin parity /);
    expect(loadConfig(path('tocsin.yaml')).parities.has('churn')).toBe(true);
  });
});
