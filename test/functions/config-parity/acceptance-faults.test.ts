import { describe, expect, test } from 'vitest';
import { formatPath } from '../../../functions/config-parity/path.ts';
import { GateDependencyError } from '../../../functions/shared/errors.ts';
import { DENIED, type Estate, type Matcher, THROTTLED } from '../../support/estate.ts';
import { awsError, type EstateData } from '../../support/estate-api.ts';
import type { WorldShape } from '../../support/estate-maker.ts';
import { estateOf, parityOf } from '../../support/estate-world.ts';
import { SEEDED, SEEDED_PLACES, SEEDED_SHAPE } from '../../support/parity-differences.ts';
import { type Pair, parityFrom, type Ran, read, run } from '../../support/parity-run.ts';

function pairOf(shape: WorldShape): Pair {
  return {
    parity: parityFrom(parityOf(shape, SEEDED_PLACES)),
    staging: estateOf(shape, SEEDED_PLACES.staging),
    production: estateOf(shape, SEEDED_PLACES.production),
  };
}

const base = pairOf(SEEDED_SHAPE);
const healthy = await run(base);

/** The same pair, to be broken. */
const fresh = (): Pair => ({ ...base, staging: base.staging.copy(), production: base.production.copy() });

const differences = ({ evaluation }: Ran) => evaluation.comparison.differences.map(({ text }) => text);

const equalValues = ({ evaluation }: Ran) =>
  Object.values(evaluation.comparison.equal).reduce((sum, values) => sum + values, 0);

/** What could not be read: `path (action: why)`. */
const unreadable = ({ production }: Ran) =>
  production.unreadable.map(({ path, action, why }) => `${formatPath(path)} (${action}: ${why})`);

const findings = ({ verdict }: Ran, check: string) =>
  verdict.findings.filter((finding) => finding.check === check);

describe('throttling', () => {
  test('that ends is waited out: nothing is different, and nothing is missing', async () => {
    const pair = { ...fresh(), sdk: true };
    for (const action of healthyActions()) pair.production.fail(action, THROTTLED, { times: 5 });
    const ran = await run(pair);
    expect(ran.verdict.outcome).toBe('pass');
    expect(ran.production).toEqual(healthy.production);
    const calls = (estate: Estate) => [...estate.calls.values()].reduce((sum, count) => sum + count, 0);
    expect(calls(pair.production) - calls(base.production)).toBe(5 * healthyActions().length);
  });

  test.each(['lambda:GetFunctionConfiguration', 'cloudwatch:DescribeAlarms', 'sagemaker:DescribeEndpoint'])(
    'of %s that does not end is no difference, and nothing is equal',
    async (action) => {
      const pair = { ...fresh(), sdk: true };
      for (const { make } of SEEDED) make(pair.production.data);
      const broken = await run({ ...pair, production: failing(pair.production, action, THROTTLED) });
      expect(broken.verdict.outcome).toBe('fail');
      const kind = { lambda: 'functions', cloudwatch: 'alarms', sagemaker: 'endpoints' }[
        action.split(':')[0] ?? ''
      ];
      expect(differences(broken).filter((text) => text.startsWith(`${kind}.`))).toEqual([]);
      const named = findings(broken, 'unreadable').map(({ message }) => message);
      expect(named.some((message) => message.includes(`${action} failed (ThrottlingException)`))).toBe(true);
    },
  );

  test('of everything is no verdict at all', async () => {
    const pair = { ...fresh(), sdk: true };
    pair.production.fail('*', THROTTLED);
    await expect(read(pair, 'production')).rejects.toThrow(GateDependencyError);
  });
});

function healthyActions(): string[] {
  return [...base.production.calls.keys()];
}

function failing(estate: Estate, action: string, error: () => Error, matches?: Matcher): Estate {
  estate.fail(action, error, matches === undefined ? {} : { matches });
  return estate;
}

/** A call about one thing of each kind: the action, which call, and where nothing is known then. */
const DENIALS: [action: string, matches: Matcher, at: string[], seeded: string][] = [
  [
    'sagemaker:DescribeEndpoint',
    ({ EndpointName }) => EndpointName === 'flight-delay-0-production',
    ['endpoints.flight-delay-0'],
    'a variant on a larger instance',
  ],
  [
    'sagemaker:DescribeEndpointConfig',
    ({ EndpointConfigName }) => String(EndpointConfigName).startsWith('flight-delay-0-'),
    ['endpoints.flight-delay-0'],
    'an older scaler',
  ],
  [
    'sagemaker:DescribeModel',
    ({ ModelName }) => String(ModelName).startsWith('flight-delay-0-'),
    ['models.flight-delay-0/AllTraffic'],
    'an older scaler',
  ],
  [
    'sagemaker:DescribeModelPackage',
    ({ ModelPackageName }) => String(ModelPackageName).includes('/seat-price-7/'),
    ['models.seat-price-7/AllTraffic.containers'],
    'another version of a model package',
  ],
  [
    'sagemaker:DescribeMonitoringSchedule',
    ({ MonitoringScheduleName }) => MonitoringScheduleName === 'flight-delay-0-monitor-production',
    ['monitors.flight-delay-0/ModelQuality'],
    'a monitor that is stopped',
  ],
  [
    'sagemaker:ListMonitoringSchedules',
    ({ EndpointName }) => EndpointName === 'flight-delay-0-production',
    ['monitors.flight-delay-0'],
    'a monitor that is stopped',
  ],
  [
    'application-autoscaling:DescribeScalingPolicies',
    ({ ResourceId }) => String(ResourceId).includes('/flight-delay-0-production/'),
    [
      'endpoints.flight-delay-0.variants[AllTraffic].instances',
      'endpoints.flight-delay-0.variants[AllTraffic].scaling.policies',
    ],
    'scaling that begins later',
  ],
  [
    'lambda:GetFunctionConfiguration',
    ({ FunctionName }) => FunctionName === 'no-show-2-features-production',
    ['functions.no-show-2-features'],
    'a time-out',
  ],
  [
    'lambda:GetFunctionConcurrency',
    ({ FunctionName }) => FunctionName === 'flight-delay-0-features-production',
    ['functions.flight-delay-0-features.reservedConcurrency'],
    'no reserved concurrency',
  ],
  ['ssm:GetParametersByPath', () => true, ['parameters'], 'another setting'],
  [
    'sagemaker:DescribeFeatureGroup',
    ({ FeatureGroupName }) => FeatureGroupName === 'flight-delay-0-group-production',
    ['featureGroups.flight-delay-0-group'],
    'a feature of another type',
  ],
  [
    'glue:GetTable',
    ({ Name }) => Name === 'bookings_1',
    ['tables."flights.bookings_1"'],
    'a column of another type',
  ],
  [
    'sagemaker:DescribePipeline',
    ({ PipelineName }) => PipelineName === 'flight-delay-0-training-production',
    ['pipelines.flight-delay-0-training'],
    'a pipeline with another step',
  ],
  [
    'events:DescribeRule',
    ({ Name }) => Name === 'flight-delay-0-landed-production',
    ['rules.flights-bus/flight-delay-0-landed'],
    'a rule that is off',
  ],
  [
    'events:ListTargetsByRule',
    ({ Rule }) => Rule === 'seat-price-1-landed-production',
    ['rules.seat-price-1-landed.targets'],
    'events that are tried once',
  ],
  [
    'scheduler:GetSchedule',
    ({ Name }) => Name === 'seat-price-1-nightly-production',
    ['schedules.seat-price-1-nightly'],
    'a schedule at another time',
  ],
  [
    'cloudformation:ListStackResources',
    ({ StackName }) => StackName === 'Tocsin-production',
    ['tocsin.Tocsin'],
    'a contract that allows more',
  ],
  ['s3:GetObject', () => true, ['tocsin.Tocsin'], 'a contract that allows more'],
];

describe('AccessDenied', () => {
  test.each(DENIALS)(
    'of %s on one thing: it is neither equal nor different',
    async (action, matches, at, what) => {
      const seeded = SEEDED.find((one) => one.what === what);
      const pair = fresh();
      seeded?.make(pair.production.data);
      const ran = await run({ ...pair, production: failing(pair.production, action, DENIED, matches) });
      expect([...new Set(unreadable(ran))]).toEqual(
        at.map((path) => `${path} (${action}: AccessDeniedException)`),
      );
      expect(Object.keys(seeded?.at ?? {})).not.toEqual([]);
      expect(differences(ran)).toEqual([]);
      expect(equalValues(ran)).toBeLessThan(equalValues(healthy));
      expect(ran.verdict.outcome).toBe('inconclusive');
      const [finding] = findings(ran, 'unreadable');
      expect(finding?.message).toContain(`${action} failed (AccessDeniedException)`);
      expect(finding?.help).toContain('tocsin parity role');
    },
  );

  test('of the tags of an endpoint leaves all else of it compared', async () => {
    const pair = fresh();
    pair.production.fail('sagemaker:ListTags', DENIED);
    SEEDED[0]?.make(pair.production.data);
    const ran = await run(pair);
    expect(differences(ran)).toEqual(Object.keys(SEEDED[0]?.at ?? {}));
    expect(ran.production.unreadable).toHaveLength(SEEDED_SHAPE.endpoints);
    expect(ran.verdict.outcome).toBe('fail');
  });

  test.each<[string, WorldShape['naming']]>([
    ['cloudformation:ListStackResources', 'stacks'],
    ['tag:GetResources', 'tags'],
  ])('of %s, by which things are found: nothing is taken for equal', async (action, naming) => {
    const pair = pairOf({ ...SEEDED_SHAPE, naming });
    pair.production.fail(action, DENIED);
    const ran = await run(pair);
    expect(ran.verdict.outcome).toBe('inconclusive');
    expect(differences(ran)).toEqual([]);
    expect(equalValues(ran)).toBe(0);
    expect(unreadable(ran)[0]).toBe(` (${action}: AccessDeniedException)`);
  });

  test('of an account that is another one is told, whatever it has', async () => {
    const pair = fresh();
    const ran = read({ ...pair, production: pair.staging }, 'production');
    await expect(ran).rejects.toThrow('expected to read the account 222222222222, got 111111111111');
  });
});

/** Something that is deleted right after a call about it, and where that is seen. */
const DELETIONS: [
  what: string,
  action: string,
  gone: (data: EstateData) => void,
  at: string,
  matches?: Matcher,
][] = [
  [
    'the configuration of an endpoint',
    'sagemaker:DescribeEndpoint',
    (data) => {
      data.endpointConfigs = {};
    },
    'endpoints.flight-delay-0 (sagemaker:DescribeEndpointConfig: deleted while it was read)',
  ],
  [
    'models',
    'sagemaker:DescribeEndpointConfig',
    (data) => {
      data.models = {};
    },
    'models.flight-delay-0/AllTraffic (sagemaker:DescribeModel: deleted while it was read)',
  ],
  [
    'model packages',
    'sagemaker:DescribeModel',
    (data) => {
      data.packages = {};
    },
    'models.seat-price-7/AllTraffic.containers (sagemaker:DescribeModelPackage: deleted while it was read)',
  ],
  [
    'monitoring schedules',
    'sagemaker:ListMonitoringSchedules',
    (data) => {
      for (const name of Object.keys(data.monitors))
        if (name.startsWith('flight')) delete data.monitors[name];
    },
    'monitors.flight-delay-0/ModelQuality (sagemaker:DescribeMonitoringSchedule: deleted while it was read)',
    ({ EndpointName }) => EndpointName === 'flight-delay-0-production',
  ],
  [
    'the jobs of monitors',
    'sagemaker:DescribeMonitoringSchedule',
    (data) => {
      data.modelQuality = {};
    },
    'monitors.flight-delay-0/ModelQuality (sagemaker:DescribeModelQualityJobDefinition: deleted while it was read)',
  ],
  [
    'rules',
    'events:DescribeRule',
    (data) => {
      data.rules = {};
    },
    'rules.flights-bus/flight-delay-0-landed (events:ListTargetsByRule: deleted while it was read)',
  ],
  [
    'functions',
    'lambda:GetFunctionConfiguration',
    (data) => {
      data.functions = {};
    },
    'functions.flight-delay-0-features (lambda:GetFunctionConcurrency: deleted while it was read)',
  ],
];

describe('deletion during the read', () => {
  test.each(DELETIONS)('of %s is never taken for equal', async (_, action, gone, at, matches) => {
    const pair = fresh();
    pair.production.after(action, () => gone(pair.production.data), matches);
    const ran = await run(pair);
    expect(unreadable(ran)).toContain(at);
    expect(ran.verdict.outcome).not.toBe('pass');
    const path = at.slice(0, at.indexOf(' ('));
    expect(differences(ran).filter((text) => text.startsWith(path))).toEqual([]);
    expect(findings(ran, 'unreadable').length).toBeGreaterThan(0);
  });

  test.each<[string, WorldShape['naming'], string]>([
    ['cloudformation:ListStackResources', 'stacks', 'functions.flights-0/'],
    ['tag:GetResources', 'tags', 'functions.'],
  ])('between %s and the read of it is a thing that production lacks', async (action, naming, prefix) => {
    const pair = pairOf({ ...SEEDED_SHAPE, naming });
    const { data } = pair.production;
    const [victim = ''] = Object.keys(data.functions).filter((name) => /no-?show-?2/i.test(name));
    pair.production.after(action, () => delete data.functions[victim]);
    const ran = await run(pair);
    expect(differences(ran)).toHaveLength(1);
    expect(differences(ran)[0]).toContain(prefix);
    expect(ran.evaluation.comparison.differences[0]?.production).toEqual({});
    expect(ran.verdict.outcome).toBe('fail');
  });

  test('of the stack itself, and of an endpoint that changes meanwhile, is inconclusive', async () => {
    const pair = pairOf({ ...SEEDED_SHAPE, naming: 'stacks' });
    pair.production.fail('cloudformation:ListStackResources', () =>
      awsError('ValidationError', 400, 'Stack with id production-flights-0 does not exist'),
    );
    const gone = await run(pair);
    expect(gone.verdict.outcome).toBe('inconclusive');
    const changing = fresh();
    const [endpoint] = Object.values(changing.production.data.endpoints);
    Object.assign(endpoint ?? {}, { EndpointStatus: 'Updating' });
    const ran = await run(changing);
    expect(ran.verdict.outcome).toBe('inconclusive');
    expect(findings(ran, 'unsettled')).toHaveLength(1);
  });
});

describe('5,000 resources in 100 pages', () => {
  const shape: WorldShape = {
    ...{ seed: 8, naming: 'tags', endpoints: 100, functions: 2_200, parameters: 0, featureGroups: 700 },
    ...{ tables: 0, pipelines: 700, rules: 1_000, schedules: 0 },
  };

  test('are read in 100 pages, and the one that differs is found', async () => {
    const pair = pairOf(shape);
    for (const side of ['staging', 'production'] as const) pair[side].pageSize = 50;
    const { functions, pipelines } = pair.production.data;
    Object.assign(Object.values(functions)[1_717] ?? {}, { Timeout: 900 });
    delete pipelines[Object.keys(pipelines)[512] ?? ''];
    const ran = await run(pair);
    expect(pair.staging.calls.get('tag:GetResources')).toBe(100);
    expect(differences(ran)).toEqual([
      'functions.seat-price-1717-features.timeoutSeconds',
      'pipelines.no-show-512-training',
    ]);
    expect(ran.production.unreadable).toEqual([]);
    expect(ran.evaluation.comparison.resources).toBeGreaterThan(5_000);
    expect(ran.verdict.outcome).toBe('fail');
    const perThing = [...pair.production.calls.values()].reduce((sum, calls) => sum + calls, 0) / 5_000;
    expect(perThing).toBeLessThan(2);
  });
});
