import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compare } from '../../../functions/config-parity/compare.ts';
import type { Comparison } from '../../../functions/config-parity/comparison.ts';
import type { Json } from '../../../functions/config-parity/json.ts';
import { formatPath, itemOf, type Path } from '../../../functions/config-parity/path.ts';
import {
  type ParityConfig,
  paritySchema,
  RESOURCE_KINDS,
  type ResourceKind,
  SEVERITY,
  type Side,
} from '../../../functions/config-parity/schema.ts';
import { type Resource, type Snapshot, snapshotOf } from '../../../functions/config-parity/snapshot.ts';
import { sha256 } from '../../../functions/shared/identity.ts';

const HEADS = {
  staging: { account: '111111111111', region: 'eu-west-1', environment: 'staging' },
  production: { account: '222222222222', region: 'us-east-1', environment: 'production' },
} as const;

const PARITY = paritySchema.parse({ compare: { endpoints: ['x-{environment}'] } });

type Part = Partial<Pick<Snapshot, 'resources' | 'unreadable'>>;

function snapshot(side: Side, { resources = [], unreadable = [] }: Part): Snapshot {
  const { account, region } = HEADS[side];
  return snapshotOf({ parity: 'flights', side, account, region, takenAt: 0, tocsin: '0.1.0' }, [
    { resources, unreadable, unsettled: [], probes: [], notRead: [] },
  ]);
}

const resource = (kind: ResourceKind, name: string, value: Json | null, physical = name): Resource => ({
  kind,
  name,
  physical,
  value,
});

const unreadable = (...path: string[]): Snapshot['unreadable'][number] => ({
  path,
  physical: 'x',
  action: 'lambda:GetFunctionConfiguration',
  why: 'AccessDeniedException',
});

/** Compares one resource of either side. */
function compareOne(
  kind: ResourceKind,
  staging: Json | null,
  production: Json | null,
  parity: ParityConfig = PARITY,
): Comparison {
  return compare(
    snapshot('staging', { resources: [resource(kind, 'x', staging)] }),
    snapshot('production', { resources: [resource(kind, 'x', production)] }),
    parity,
  );
}

const textsOf = ({ differences }: Comparison) => differences.map(({ text }) => text);

describe('a value', () => {
  test('that differs is told with its path, its kind and both values', () => {
    const model = (SCALER_VERSION: string) => ({
      containers: [{ name: '0', environment: { SCALER_VERSION } }],
    });
    const { differences, equal, resources } = compareOne('models', model('1.10'), model('1.1'));
    expect(differences).toEqual([
      {
        path: ['models', 'x', 'containers', '[0]', 'environment', 'SCALER_VERSION'],
        text: 'models.x.containers[0].environment.SCALER_VERSION',
        kind: 'environment',
        severity: SEVERITY.environment,
        staging: { value: '1.10' },
        production: { value: '1.1' },
      },
    ]);
    expect(equal).toEqual({ schema: 0, inference: 1, environment: 0, safety: 0, capacity: 0, cosmetic: 0 });
    expect(resources).toBe(1);
  });

  test('is the same number however it is written, and no text', () => {
    expect(textsOf(compareOne('alarms', { threshold: 1.0 }, { threshold: 1 }))).toEqual([]);
    expect(textsOf(compareOne('alarms', { threshold: 1 }, { threshold: '1' }))).toEqual([
      'alarms.x.threshold',
    ]);
  });

  test('is the same length of time where it is one', () => {
    expect(
      textsOf(compareOne('rules', { schedule: 'rate(60 minutes)' }, { schedule: 'rate(1 hour)' })),
    ).toEqual([]);
    expect(
      textsOf(compareOne('rules', { schedule: 'cron(0 1 * * ? *)' }, { schedule: 'cron(0 2 * * ? *)' })),
    ).toEqual(['rules.x.schedule']);
    expect(
      textsOf(compareOne('functions', { environment: { EVERY: '60m' } }, { environment: { EVERY: '1h' } })),
    ).toEqual(['functions.x.environment.EVERY']);
  });

  test('that one has not is told once, with all that is below it', () => {
    const { differences } = compareOne('endpoints', { capture: { enabled: true, percentage: 100 } }, {});
    expect(differences).toMatchObject([
      {
        text: 'endpoints.x.capture',
        kind: 'safety',
        staging: { value: { enabled: true, percentage: 100 } },
        production: {},
      },
    ]);
    expect(differences[0]?.production).toEqual({});
  });

  test('is shown as it is and folded where that is another', () => {
    const { differences } = compareOne(
      'functions',
      { role: 'arn:aws:iam::111111111111:role/a' },
      { role: 'arn:aws:iam::222222222222:role/b' },
    );
    expect(differences[0]).toMatchObject({
      staging: { value: 'arn:aws:iam::111111111111:role/a', folded: 'arn:aws:iam::{account}:role/a' },
      production: { value: 'arn:aws:iam::222222222222:role/b', folded: 'arn:aws:iam::{account}:role/b' },
    });
  });

  test('that is long is compared whole, and shown by its beginning and its hash', () => {
    const [a, b] = [`${'x'.repeat(1000)}a`, `${'x'.repeat(1000)}b`];
    const { differences } = compareOne('alarms', { rule: a }, { rule: b });
    expect(differences[0]?.staging.value).toBe(
      `${'x'.repeat(500)}… (1,001 characters, sha256:${sha256(a).slice(0, 16)})`,
    );
    expect(differences[0]?.production.value).not.toBe(differences[0]?.staging.value);
    expect(textsOf(compareOne('alarms', { rule: a }, { rule: a }))).toEqual([]);
  });

  test('of production that names staging is another', () => {
    const value = (bucket: string) => ({ environment: { BUCKET: bucket } });
    expect(textsOf(compareOne('functions', value('models-staging'), value('models-production')))).toEqual([]);
    const crossed = compareOne('functions', value('scores-staging'), value('models-staging'));
    expect(textsOf(crossed)).toEqual(['functions.x.environment.BUCKET']);
    const mixed = compareOne(
      'functions',
      value('arn:aws:sns:eu-west-1:111111111111:staging'),
      value('arn:aws:sns:us-east-1:111111111111:production'),
    );
    expect(textsOf(mixed)).toEqual(['functions.x.environment.BUCKET']);
  });

  test('of production that names staging is another also where it is the same text', () => {
    const both = (value: Json) =>
      compareOne('functions', { environment: { A: value } }, { environment: { A: value } });
    for (const value of [
      'features-staging',
      '/flights/staging/limit',
      'arn:aws:sns:us-east-1:111111111111:x',
      'StagingBucket',
    ]) {
      expect(both(value).differences).toMatchObject([
        { text: 'functions.x.environment.A', staging: { value }, production: { value } },
      ]);
    }
    // A word; what is production's; a region; what is nobody's.
    for (const value of ['staging', 'x-production', 'arn:aws:sns:eu-west-1:333333333333:x', 'flights', 1]) {
      expect(textsOf(both(value))).toEqual([]);
    }
    const targets = { actions: { alarm: ['arn:aws:sns:us-east-1:111111111111:x', 'y'] } };
    expect(compareOne('alarms', targets, targets).differences).toMatchObject([
      { text: 'alarms.x.actions.alarm', production: { value: ['arn:aws:sns:us-east-1:111111111111:x'] } },
    ]);
    const list = { value: ['a', 'x-staging'] };
    expect(textsOf(compareOne('parameters', list, list))).toEqual(['parameters.x.value']);
    // What Tocsin was deployed with names both.
    const own = { configuration: { alarmDrills: { psi: { endpoint: 'flights-staging' } } } };
    expect(textsOf(compareOne('tocsin', own, own))).toEqual([]);
  });

  test('that is a placeholder to begin with is not what it stands for', () => {
    expect(
      textsOf(
        compareOne(
          'functions',
          { environment: { A: 'x-staging' } },
          { environment: { A: 'x-{environment}' } },
        ),
      ),
    ).toEqual(['functions.x.environment.A']);
  });

  test('that names a run at another time is another where it decides predictions', () => {
    const model = (time: string) => ({
      containers: [{ name: '0', modelData: { uri: `s3://m/train-${time}/m.gz` } }],
    });
    const times = ['2026-11-22-10-30-15', '2026-11-01-09-00-00'] as const;
    expect(textsOf(compareOne('models', model(times[0]), model(times[1])))).toEqual([
      'models.x.containers[0].modelData.uri',
    ]);
    const monitor = (time: string) => ({ input: { endpoint: `flights-${time}` } });
    expect(textsOf(compareOne('monitors', monitor(times[0]), monitor(times[1])))).toEqual([]);
  });

  test('of an image is cosmetic where both digests are known', () => {
    const model = (image: string, imageDigest?: string) => ({
      containers: [{ name: '0', image, ...(imageDigest !== undefined && { imageDigest }) }],
    });
    expect(
      compareOne('models', model('a:1', 'sha256:1'), model('a:2', 'sha256:1')).differences,
    ).toMatchObject([
      { text: 'models.x.containers[0].image', kind: 'cosmetic', severity: SEVERITY.cosmetic },
    ]);
    const step = (image: string) => ({ definition: { image, imageDigest: 'sha256:1' } });
    expect(compareOne('pipelines', step('a:1'), step('a:2')).differences).toMatchObject([
      { text: 'pipelines.x.definition.image', kind: 'inference' },
    ]);
    expect(compareOne('models', model('a:1', 'sha256:1'), model('a:2')).differences).toMatchObject([
      { text: 'models.x.containers[0].image', kind: 'inference' },
      { text: 'models.x.containers[0].imageDigest', kind: 'inference' },
    ]);
  });
});

describe('a list', () => {
  const columns = (...names: string[]) => ({ columns: names.map((name) => ({ name, type: 'int' })) });

  test('is matched by names', () => {
    const variants = (...items: [string, number][]) => ({
      variants: items.map(([name, instances]) => ({ name, instances })),
    });
    const { differences } = compareOne(
      'endpoints',
      variants(['a', 1], ['b', 2], ['staging-c', 3]),
      variants(['production-c', 4], ['b', 2], ['d', 5]),
    );
    expect(differences.map(({ text, kind }) => [text, kind])).toEqual([
      ['endpoints.x.variants[a]', 'inference'],
      ['endpoints.x.variants[d]', 'inference'],
      ['endpoints.x.variants[{environment}-c].instances', 'capacity'],
    ]);
  });

  test('may have several of one name, in any order', () => {
    const targets = (...ports: number[]) => ({ targets: ports.map((port) => ({ name: 't', port })) });
    expect(textsOf(compareOne('rules', targets(1, 2, 3), targets(3, 1, 2)))).toEqual([]);
    expect(textsOf(compareOne('rules', targets(1, 2, 3), targets(4, 1, 2)))).toEqual([
      'rules.x.targets["t#3"].port',
    ]);
    expect(textsOf(compareOne('rules', targets(1, 2), targets(1)))).toEqual(['rules.x.targets["t#2"]']);
    const numbered = { targets: [{ name: 't' }, { name: 't', port: 1 }, { name: 't#2', port: 2 }] };
    expect(textsOf(compareOne('rules', numbered, { targets: numbered.targets.slice(0, 2) }))).not.toEqual([]);
  });

  test('whose order says something differs in it as a whole', () => {
    expect(compareOne('tables', columns('a', 'b', 'c'), columns('a', 'c', 'b')).differences).toMatchObject([
      {
        text: 'tables.x.columns',
        kind: 'schema',
        staging: { value: ['a', 'b', 'c'] },
        production: { value: ['a', 'c', 'b'] },
      },
    ]);
    expect(textsOf(compareOne('tables', columns('a', 'b', 'c'), columns('a', 'c')))).toEqual([
      'tables.x.columns[b]',
    ]);
    expect(
      textsOf(
        compareOne(
          'featureGroups',
          { features: columns('a', 'b').columns },
          { features: columns('b', 'a').columns },
        ),
      ),
    ).toEqual([]);
  });

  test('without names is what one has and the other has not', () => {
    const actions = (...alarm: string[]) => ({ actions: { alarm } });
    const topic = (side: Side, name: string) =>
      `arn:aws:sns:${HEADS[side].region}:${HEADS[side].account}:${name}`;
    const { differences } = compareOne(
      'alarms',
      actions(topic('staging', 'page'), topic('staging', 'mail'), 'same'),
      actions('same', topic('production', 'mail')),
    );
    expect(differences).toMatchObject([
      {
        text: 'alarms.x.actions.alarm',
        staging: { value: [topic('staging', 'page')], folded: ['arn:aws:sns:{region}:{account}:page'] },
        production: { value: [] },
      },
    ]);
    const subnets = (...ids: string[]) => ({ vpc: { subnets: ids } });
    expect(
      textsOf(
        compareOne('functions', subnets('subnet-0a1b2c3d'), subnets('subnet-1a1b2c3d', 'subnet-2a1b2c3d')),
      ),
    ).toEqual(['functions.x.vpc.subnets']);
  });

  test('of words on a command line has an order, as have rows', () => {
    const step = (...ContainerArguments: Json[]) => ({
      definition: { Steps: [{ Name: 'Train', ContainerArguments }] },
    });
    const path = 'pipelines.x.definition.Steps[Train].ContainerArguments';
    expect(
      textsOf(compareOne('pipelines', step('--a', '1', '--b', '2'), step('--a', '2', '--b', '1'))),
    ).toEqual([path]);
    expect(textsOf(compareOne('pipelines', step('--env', 'staging'), step('--env', 'production')))).toEqual(
      [],
    );
    expect(textsOf(compareOne('pipelines', step({ a: 1 }, { a: 2 }), step({ a: 1 }, { a: 3 })))).toEqual([
      `${path}[1].a`,
    ]);
    expect(textsOf(compareOne('parameters', { value: ['dep', 'arr'] }, { value: ['arr', 'dep'] }))).toEqual([
      'parameters.x.value',
    ]);
  });
});

describe('a list without names', () => {
  test('has as many items as there are in both', () => {
    const explained = (...a: Json[]) => ({ explainer: { a } });
    for (const [kind, of] of [
      ['endpoints', explained],
      ['parameters', (...value: Json[]) => ({ value })],
    ] as const) {
      for (const items of [
        [{ b: 1 }, { b: 2 }],
        ['one', 'two'],
      ] as Json[][]) {
        expect(textsOf(compareOne(kind, of(...items.slice(0, 1)), of(...items)))).toHaveLength(1);
        expect(textsOf(compareOne(kind, of(...items), of(...items.slice(0, 1))))).toHaveLength(1);
      }
    }
  });

  test('within one whose order says nothing has none, either', () => {
    const nested = (...items: Json[]) => ({ rule: { any: items } });
    expect(textsOf(compareOne('alarms', nested(['a', 'b'], 'c'), nested('c', ['b', 'a'])))).toEqual([]);
  });
});

test('several of one name keep their order where that says something', () => {
  const model = (...images: string[]) => ({ containers: images.map((image) => ({ name: 'a', image })) });
  expect(textsOf(compareOne('models', model('x:1', 'y:1'), model('y:1', 'x:1')))).toEqual([
    'models.x.containers["a#2"].image',
    'models.x.containers[a].image',
  ]);
});

test('what somebody has numbered is not taken for what is numbered here', () => {
  const targets = (third: number) => ({
    targets: [
      { name: 't', port: 1 },
      { name: 't', port: 2 },
      { name: 't#2', port: third },
    ],
  });
  expect(textsOf(compareOne('rules', targets(3), targets(3)))).toEqual([]);
  expect(textsOf(compareOne('rules', targets(3), targets(4)))).toEqual(['rules.x.targets["t#2"].port']);
});

test('differences are in the order of their texts', () => {
  const both = (value: number) =>
    ['a', 'a-b'].map((name) => resource('functions', name, { memoryMb: value }));
  const comparison = compare(
    snapshot('staging', { resources: both(1) }),
    snapshot('production', { resources: both(2) }),
    PARITY,
  );
  expect(textsOf(comparison)).toEqual(['functions.a-b.memoryMb', 'functions.a.memoryMb']);
});

test('the order of what is compared with numbers in a pattern of events says something', () => {
  const rule = (...numeric: Json[]) => ({
    pattern: { detail: { delay: [{ numeric }, 'late'], tail: ['a'] } },
  });
  expect(textsOf(compareOne('rules', rule('>', 5, '<', 10), rule('<', 5, '>', 10)))).toEqual([
    'rules.x.pattern.detail.delay',
  ]);
  expect(textsOf(compareOne('rules', rule('>', 5), rule('>', 5)))).toEqual([]);
});

describe('a resource', () => {
  const names = (kind: ResourceKind, staging: string[], production: string[]) =>
    compare(
      snapshot('staging', { resources: staging.map((name) => resource(kind, name, { a: 1 })) }),
      snapshot('production', { resources: production.map((name) => resource(kind, name, { a: 2 })) }),
      PARITY,
    );

  test('is found by its name, without that of the environment', () => {
    expect(
      textsOf(
        names(
          'functions',
          ['score-staging', 'stack/Fn', 'FlightStagingFn'],
          ['score-production', 'stack/Fn', 'FlightProductionFn'],
        ),
      ),
    ).toEqual(['functions.FlightFn.a', 'functions.score.a', 'functions.stack/Fn.a']);
    expect(textsOf(names('parameters', ['/flights/staging/limit'], ['/flights/production/limit']))).toEqual([
      'parameters./flights/limit.a',
    ]);
  });

  test('may be called by a word that stands elsewhere, too, in one environment alone', () => {
    const of = (side: Side, endpoint: string) => {
      const values = { A: endpoint, B: `/flights/${side}/x`, C: `s3://b-${side}/flights/m` };
      return snapshot(side, {
        resources: [
          resource('endpoints', 'flights', { a: 1 }, endpoint),
          resource('functions', 'f', { environment: values }),
          resource('alarms', 'a', { actions: { alarm: Object.values(values) } }),
          resource('parameters', 'p', { value: Object.values(values) }),
        ],
      });
    };
    const names = { name: 'flights', staging: 'flights-test', production: 'flights' };
    const parity = paritySchema.parse({ compare: { endpoints: [names] } });
    expect(textsOf(compare(of('staging', 'flights-test'), of('production', 'flights'), parity))).toEqual([]);
    expect(textsOf(compare(of('staging', 'flights-test'), of('production', 'flights-old'), parity))).toEqual(
      [],
    );
  });

  test('of staging is not what production has to name', () => {
    const of = (side: Side, endpoint: string, value: string) =>
      snapshot(side, {
        resources: [
          resource('endpoints', 'flights', { a: 1 }, endpoint),
          resource('functions', 'f', { environment: { A: value } }),
        ],
      });
    const names = { name: 'flights', staging: 'flights', production: 'flights-live' };
    const parity = paritySchema.parse({ compare: { endpoints: [names] } });
    const both = (value: string) =>
      textsOf(compare(of('staging', 'flights', value), of('production', 'flights-live', value), parity));
    expect(both('flights')).toEqual(['functions.f.environment.A']);
    expect(both('arn:aws:sagemaker:eu-west-1:333333333333:endpoint/flights')).toEqual([
      'functions.f.environment.A',
    ]);
    for (const value of ['s3://data/flights/x', 'late flights', 'flights-live'])
      expect(both(value)).toEqual([]);
  });

  test('with one name in both is not taken for another by what the name says', () => {
    expect(
      textsOf(names('functions', ['prod-model', 'production-x'], ['prod-model', 'production-x'])),
    ).toEqual(['functions.prod-model.a', 'functions.production-x.a']);
  });

  test('that is in one only is one difference', () => {
    const comparison = compare(
      snapshot('staging', {
        resources: [resource('alarms', 'a', { x: 1, y: 2 }), resource('functions', 'f', null)],
      }),
      snapshot('production', {
        resources: [resource('alarms', 'a', null), resource('functions', 'f', { z: 1 })],
      }),
      PARITY,
    );
    expect(comparison.differences).toMatchObject([
      { text: 'alarms.a', kind: 'safety', staging: { value: { x: 1, y: 2 } } },
      { text: 'functions.f', kind: 'inference', production: { value: { z: 1 } } },
    ]);
    expect(comparison.differences[0]?.production).toEqual({});
    expect(comparison.resources).toBe(0);
    expect(textsOf(names('tables', ['db.t'], []))).toEqual(['tables."db.t"']);
  });

  test('that is named and in neither is missing', () => {
    const comparison = compare(
      snapshot('staging', { resources: [resource('alarms', 'a', null, 'a-staging')] }),
      snapshot('production', { resources: [resource('alarms', 'a', null, 'a-production')] }),
      PARITY,
    );
    expect(comparison).toMatchObject({
      differences: [],
      missing: [
        { path: ['alarms', 'a'], text: 'alarms.a', staging: 'a-staging', production: 'a-production' },
      ],
    });
  });

  test('that one environment alone was asked for, and has not, is not missing', () => {
    const gone = snapshot('staging', { resources: [resource('functions', 'x', null)] });
    expect(compare(gone, snapshot('production', {}), PARITY)).toMatchObject({ missing: [], differences: [] });
  });

  test('that cannot be told from another is ambiguous', () => {
    const comparison = names('alarms', ['a-staging', 'staging-a', 'b'], ['a-production', 'b']);
    expect(comparison.ambiguous).toEqual([
      { side: 'staging', path: ['alarms', 'a'], text: 'alarms.a', physical: ['a-staging', 'staging-a'] },
    ]);
    expect(textsOf(comparison)).toEqual(['alarms.b.a']);
  });

  test('that was found twice is one', () => {
    expect(names('alarms', ['b', 'b'], ['b']).ambiguous).toEqual([]);
  });

  test('that is a model has the name of its endpoint where that has one variant', () => {
    expect(textsOf(names('models', ['flight-delay/A'], ['flight-delay/B']))).toEqual([
      'models.flight-delay.a',
    ]);
    expect(textsOf(names('models', ['f-staging/A'], ['f-production/A']))).toEqual(['models.f.a']);
    expect(textsOf(names('models', ['stack/E/A', 'g/A'], ['stack/E/A', 'stack/E/B', 'g/A']))).toEqual([
      'models.g.a',
      'models.stack/E/A.a',
      'models.stack/E/B',
    ]);
  });
});

describe('what could not be read', () => {
  const both = (staging: Part, production: Part) =>
    compare(snapshot('staging', staging), snapshot('production', production), PARITY);
  const one = (value: Json) => ({ resources: [resource('functions', 'f', value)] });

  test('is neither equal nor different', () => {
    const value = { memoryMb: 1, environment: { A: 1, B: 2 } };
    const other = { memoryMb: 2, environment: { A: 2, B: 3 } };
    const left = (...path: string[]) =>
      textsOf(both({ ...one(value), unreadable: [unreadable(...path)] }, one(other)));
    expect(left('functions', 'f', 'environment')).toEqual(['functions.f.memoryMb']);
    expect(left('functions', 'f', 'environment', 'A')).toEqual([
      'functions.f.environment.B',
      'functions.f.memoryMb',
    ]);
    expect(left('functions', 'f')).toEqual([]);
    expect(left('functions')).toEqual([]);
    expect(left()).toEqual([]);
    expect(left('alarms')).toHaveLength(3);
    expect(
      both(one(value), { ...one(value), unreadable: [unreadable('functions', 'f', 'environment')] }).equal,
    ).toMatchObject({ environment: 0, capacity: 1 });
  });

  test('is known by its name in both environments', () => {
    const list = (side: Side, a: number) => ({
      resources: [resource('functions', `f-${side}`, { layers: [{ name: `l-${side}`, a }] })],
    });
    expect(
      textsOf(
        both(
          {
            ...list('staging', 1),
            unreadable: [unreadable('functions', 'f-staging', 'layers', itemOf('l-staging'))],
          },
          list('production', 2),
        ),
      ),
    ).toEqual([]);
  });

  test('is no difference where the other environment has it', () => {
    const there = { resources: [resource('functions', 'f', { a: 1 })] };
    expect(textsOf(both({ unreadable: [unreadable('functions', 'f')] }, there))).toEqual([]);
    expect(
      both({ unreadable: [unreadable('functions', 'f')] }, { resources: [resource('functions', 'f', null)] })
        .missing,
    ).toEqual([]);
  });

  test('takes models and monitors of an endpoint with it', () => {
    const production = {
      resources: ['models', 'monitors'].flatMap((kind) => [
        resource(kind as ResourceKind, 'f/A', { a: 1 }),
        resource(kind as ResourceKind, 'g/A', { a: 1 }),
      ]),
    };
    expect(textsOf(both({ unreadable: [unreadable('endpoints', 'f')] }, production))).toEqual([
      'models.g',
      'monitors.g/A',
    ]);
    expect(
      textsOf(both({ unreadable: [unreadable('models', 'f/A'), unreadable('monitors', 'g')] }, production)),
    ).toEqual(['models.g', 'monitors.f/A']);
    expect(textsOf(both({ unreadable: [unreadable('endpoints')] }, production))).toEqual([]);
  });
});

describe('what could not be read of a resource', () => {
  test('says nothing of how often it is there, nor whether it is', () => {
    const twice = [resource('functions', 'x', { a: 1 }, 'x-1'), resource('functions', 'x', { a: 1 }, 'x-2')];
    for (const resources of [twice, [resource('functions', 'x', null)]]) {
      const comparison = compare(
        snapshot('staging', { resources }),
        snapshot('production', {
          resources: [resource('functions', 'x', null)],
          unreadable: [unreadable('functions', 'x')],
        }),
        PARITY,
      );
      expect(comparison).toMatchObject({ differences: [], ambiguous: [], missing: [], resources: 0 });
    }
  });

  test('is known by a name that both environments have', () => {
    const comparison = compare(
      snapshot('staging', { resources: [resource('functions', 'api-production', { a: 1 })] }),
      snapshot('production', { unreadable: [unreadable('functions', 'api-production')] }),
      PARITY,
    );
    expect(textsOf(comparison)).toEqual([]);
  });

  test('may be an item of a list whose name has that of the environment', () => {
    const value = (name: string, weight: number) => ({ variants: [{ name, weight }] });
    const comparison = compare(
      snapshot('staging', {
        resources: [resource('endpoints', 'x', value('a-staging', 1))],
        unreadable: [unreadable('endpoints', 'x', 'variants', '[a-staging]', 'weight')],
      }),
      snapshot('production', { resources: [resource('endpoints', 'x', value('a-production', 2))] }),
      PARITY,
    );
    expect(textsOf(comparison)).toEqual([]);
  });

  test('may be the name of an image', () => {
    const model = (image: string) => ({ containers: [{ name: '0', image, imageDigest: 'sha256:1' }] });
    const comparison = compare(
      snapshot('staging', {
        resources: [resource('models', 'x', model('a:1'))],
        unreadable: [unreadable('models', 'x', 'containers', '[0]', 'image')],
      }),
      snapshot('production', { resources: [resource('models', 'x', model('a:2'))] }),
      PARITY,
    );
    expect(textsOf(comparison)).toEqual([]);
  });
});

describe('folding', () => {
  test('is told with how many values it made equal, and with examples', () => {
    const of = (side: Side) => ({
      environment: Object.fromEntries(
        ['A', 'B', 'C', 'D'].map((key) => [key, `arn:aws:sns:us-west-2:${HEADS[side].account}:${key}`]),
      ),
      role: `arn:aws:iam::${HEADS[side].account}:role/x-${HEADS[side].environment}`,
    });
    const { foldings, differences } = compareOne('functions', of('staging'), of('production'));
    expect(differences).toEqual([]);
    expect(foldings).toMatchObject([
      {
        as: '{account}',
        staging: '111111111111',
        production: '222222222222',
        values: 5,
        examples: [
          {
            text: 'functions.x.environment.A',
            staging: 'arn:aws:sns:us-west-2:111111111111:A',
            production: 'arn:aws:sns:us-west-2:222222222222:A',
          },
          { text: 'functions.x.environment.B' },
          { text: 'functions.x.environment.C' },
        ],
      },
      { as: '{environment}', staging: 'staging', production: 'production', values: 1 },
    ]);
  });

  test('by what is declared', () => {
    const parity = paritySchema.parse({
      compare: { endpoints: ['x-{environment}'] },
      substitutions: [
        { staging: 'flights-9f', production: 'flights-2b', as: 'bucket' },
        { staging: 'unused', production: 'neither' },
      ],
    });
    const table = (bucket: string) => ({ location: `s3://${bucket}/t` });
    expect(compareOne('tables', table('flights-9f'), table('flights-2b'), parity)).toMatchObject({
      differences: [],
      foldings: [{ as: '{bucket}', staging: 'flights-9f', production: 'flights-2b', values: 1 }],
    });
    expect(compareOne('tables', table('flights-2b'), table('flights-9f'), parity).differences).toHaveLength(
      1,
    );
  });

  test('by the names that are paired, whatever they say', () => {
    const alarm = (name: string) => resource('alarms', 'limit', { dimensions: { FunctionName: name } });
    const parity = paritySchema.parse({
      compare: { functions: [{ name: 'old-production-scorer', staging: 'sc-a', production: 'scorer-x' }] },
    });
    const comparison = compare(
      snapshot('staging', {
        resources: [resource('functions', 'old-production-scorer', { memoryMb: 1 }, 'sc-a'), alarm('sc-a')],
      }),
      snapshot('production', {
        resources: [
          resource('functions', 'old-production-scorer', { memoryMb: 1 }, 'scorer-x'),
          alarm('scorer-x'),
        ],
      }),
      parity,
    );
    expect(comparison).toMatchObject({
      differences: [],
      foldings: [{ as: '{old-production-scorer}', staging: 'sc-a', production: 'scorer-x', values: 1 }],
    });
  });

  test('by names of what is in a bus or a group, which others know it by', () => {
    const both = (rule: string, value: string) => [
      resource('rules', 'retrain', { state: 'ENABLED' }, rule),
      resource('parameters', 'rule', { value }),
    ];
    const comparison = compare(
      snapshot('staging', { resources: both('jobs/nightly-one', 'nightly-one') }),
      snapshot('production', { resources: both('work/nightly-two', 'nightly-two') }),
      PARITY,
    );
    expect(textsOf(comparison)).toEqual([]);
  });

  test('not by names of models, nor of what may be any of several', () => {
    const both = (kind: ResourceKind, names: string[], value: string) => [
      ...names.map((name) => resource(kind, 'delay', { a: 1 }, name)),
      resource('parameters', 'which', { value }),
    ];
    for (const [kind, more] of [
      ['models', []],
      ['functions', ['another']],
    ] as const) {
      const comparison = compare(
        snapshot('staging', { resources: both(kind, ['champion', ...more], 'champion') }),
        snapshot('production', { resources: both(kind, ['challenger'], 'challenger') }),
        PARITY,
      );
      expect(textsOf(comparison)).toEqual(['parameters.which.value']);
    }
  });

  test('keeps apart what is one once it is folded', () => {
    const parity = paritySchema.parse({
      compare: { endpoints: ['x-{environment}'] },
      staging: { names: ['staging', 'stg'] },
    });
    const one = { 'x-staging': 1, 'x-stg': 2 };
    expect(textsOf(compareOne('parameters', one, { 'x-production': 1 }, parity))).toEqual([
      'parameters.x.x-production',
      'parameters.x.x-staging',
      'parameters.x.x-stg',
    ]);
    // Within a list, where a whole item is one text.
    expect(textsOf(compareOne('alarms', { a: [one] }, { a: [{ 'x-production': 2 }] }, parity))).toEqual([
      'alarms.x.a',
    ]);
    const placeholder = (key: string) => ({ 'x-{environment}': 1, [key]: 2 });
    const texts = textsOf(compareOne('parameters', placeholder('x-staging'), placeholder('x-live')));
    expect(new Set(texts).size).toBe(2);
  });

  test('counts what it makes equal in lists, too', () => {
    const words = (side: Side) => [`a-${HEADS[side].environment}`, 'b'];
    const set = (side: Side) => ({ actions: { ok: words(side) } });
    const sequence = (side: Side) => ({ value: words(side) });
    for (const [kind, of, about] of [
      ['alarms', set, 'safety'],
      ['parameters', sequence, 'environment'],
    ] as const) {
      const { equal, foldings } = compareOne(kind, of('staging'), of('production'));
      expect(equal).toMatchObject({ [about]: 2 });
      expect(foldings).toMatchObject([{ as: '{environment}', values: 1 }]);
    }
  });

  test('of generated ids counts where they are not the same', () => {
    const of = (suffix: string, side: string) => ({ role: `Stack-Role3F2A1B4C-${suffix}`, a: side });
    expect(
      compareOne('functions', of('1ABCDEFGHIJKL', 'a'), of('1BBCDEFGHIJKL', 'a')).foldings,
    ).toMatchObject([{ as: '{id}', values: 1 }]);
    expect(
      compareOne('functions', of('1ABCDEFGHIJKL', 'staging'), of('1ABCDEFGHIJKL', 'production')).foldings,
    ).toMatchObject([{ as: '{environment}', values: 1 }]);
  });
});

// ---------------------------------------------------------------------------------------------------------
// Whatever is compared
// ---------------------------------------------------------------------------------------------------------

/** What differs by environment stands in braces: {a}ccount, {r}egion, {e}nvironment. */
function render(json: Json, side: Side): Json {
  const text = (template: string) =>
    template
      .replaceAll('{a}', HEADS[side].account)
      .replaceAll('{r}', HEADS[side].region)
      .replaceAll('{e}', HEADS[side].environment);
  if (typeof json === 'string') return text(json);
  if (Array.isArray(json)) return json.map((item) => render(item, side));
  if (typeof json !== 'object' || json === null) return json;
  return Object.fromEntries(Object.entries(json).map(([key, value]) => [text(key), render(value, side)]));
}

const leaf = fc.oneof(
  fc
    .array(fc.constantFrom('{a}', '{r}', '{e}', 'flight', 'delay', 'v2', 'arn:aws:sns', 's3:'), {
      minLength: 1,
      maxLength: 5,
    })
    .chain((words) => fc.constantFrom('-', '/', ':', '_', '.').map((joint) => words.join(joint))),
  fc.integer({ min: -3, max: 1000 }),
  fc.boolean(),
  fc.constant(null),
);

const word = fc.stringMatching(/^[b-d]{1,4}$/);
const key = fc.oneof(
  { weight: 3, arbitrary: word },
  { weight: 1, arbitrary: word.map((text) => `${text}-{e}`) },
);

const tree = fc.letrec<{ json: Json; object: { [key: string]: Json } }>((tie) => ({
  object: fc.dictionary(key, tie('json'), { maxKeys: 4 }) as fc.Arbitrary<{ [key: string]: Json }>,
  json: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    leaf,
    fc.array(leaf, { maxLength: 4 }),
    fc.array(tie('object'), { maxLength: 3 }),
    fc
      .uniqueArray(fc.tuple(word, tie('object')), { maxLength: 4, selector: ([name]) => name })
      .map((items) =>
        items.map(([name, item], index) => ({ ...item, name: index % 2 ? `${name}-{e}` : name })),
      ),
    tie('object'),
  ),
}));

const estate = fc
  .uniqueArray(fc.tuple(fc.constantFrom(...RESOURCE_KINDS), word, fc.boolean(), tree.object), {
    maxLength: 6,
    selector: ([kind, name]) => `${kind} ${name}`,
  })
  .map((resources) =>
    resources.map(([kind, name, isMarked, value]) => resource(kind, isMarked ? `${name}-{e}` : name, value)),
  );

const renderAll = (resources: readonly Resource[], side: Side): Resource[] =>
  resources.map(({ kind, name, value }) =>
    resource(kind, render(name, side) as string, render(value as Json, side)),
  );

const RUNS = { numRuns: 400, seed: 1 };

test('an environment that was renamed has no difference', () => {
  fc.assert(
    fc.property(estate, (resources) => {
      const comparison = compare(
        snapshot('staging', { resources: renderAll(resources, 'staging') }),
        snapshot('production', { resources: renderAll(resources, 'production') }),
        PARITY,
      );
      expect(textsOf(comparison)).toEqual([]);
      expect(comparison.ambiguous).toEqual([]);
      expect(comparison.resources).toBe(resources.length);
    }),
    RUNS,
  );
});

/** The same in another order, wherever order says nothing. */
function shuffled(json: Json, random: () => number): Json {
  const shuffle = <T>(items: T[]): T[] =>
    items
      .map((item) => [random(), item] as const)
      .sort(([a], [b]) => a - b)
      .map(([, item]) => item);
  if (Array.isArray(json)) return shuffle(json.map((item) => shuffled(item, random)));
  if (typeof json !== 'object' || json === null) return json;
  return Object.fromEntries(
    shuffle(Object.entries(json)).map(([key, value]) => [key, shuffled(value, random)]),
  );
}

function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state;
  };
}

test('the order of resources, of keys and of lists does not matter', () => {
  fc.assert(
    fc.property(estate, estate, fc.nat(), (a, b, seed) => {
      const random = randomOf(seed);
      const [staging, production] = [renderAll(a, 'staging'), renderAll(b, 'production')];
      const other = (resources: Resource[]) =>
        shuffled(resources as unknown as Json, random) as unknown as Resource[];
      const once = compare(
        snapshot('staging', { resources: staging }),
        snapshot('production', { resources: production }),
        PARITY,
      );
      const again = compare(
        { ...snapshot('staging', {}), resources: other(staging) },
        { ...snapshot('production', {}), resources: other(production) },
        PARITY,
      );
      expect(textsOf(again)).toEqual(textsOf(once));
      expect(again.equal).toEqual(once.equal);
      expect(again.foldings.map(({ as, values }) => [as, values])).toEqual(
        once.foldings.map(({ as, values }) => [as, values]),
      );
    }),
    RUNS,
  );
});

test('what is swapped has its values swapped', () => {
  const swapped = { ...PARITY, staging: PARITY.production, production: PARITY.staging };
  fc.assert(
    fc.property(estate, estate, (a, b) => {
      const [staging, production] = [
        snapshot('staging', { resources: renderAll(a, 'staging') }),
        snapshot('production', { resources: renderAll(b, 'production') }),
      ];
      const there = compare(staging, production, PARITY);
      const back = compare({ ...production, side: 'staging' }, { ...staging, side: 'production' }, swapped);
      expect(back.differences).toEqual(
        there.differences.map((difference) => ({
          ...difference,
          staging: difference.production,
          production: difference.staging,
        })),
      );
      expect(back.equal).toEqual(there.equal);
    }),
    RUNS,
  );
});

interface Leaf {
  /** Where a difference of it is to be told. */
  path: Path;
  set: (value: Json) => void;
}

/** All that can be changed; lists without names are one place. */
function leavesOf(value: Json, path: Path, set: (value: Json) => void): Leaf[] {
  const folded = (segment: string) => segment.replaceAll('{e}', '{environment}');
  if (Array.isArray(value)) {
    const isNamed =
      value.length > 0 &&
      value.every((item) => typeof (item as { name?: unknown } | null)?.name === 'string');
    return value.flatMap((item, index) => {
      const setItem = (other: Json) => {
        value[index] = other;
      };
      if (!isNamed) return leavesOf(item, path, setItem).map(({ set: setLeaf }) => ({ path, set: setLeaf }));
      const { name } = item as { name: string };
      return leavesOf(item, [...path, folded(itemOf(name))], setItem).filter(
        (one) => one.path.at(-1) !== 'name',
      );
    });
  }
  if (typeof value !== 'object' || value === null) return [{ path, set }];
  return Object.entries(value).flatMap(([name, inner]) =>
    leavesOf(inner, [...path, folded(name)], (other) => {
      value[name] = other;
    }),
  );
}

test('one change is one difference, where it was made', () => {
  fc.assert(
    fc.property(
      fc.constantFrom('alarms', 'functions', 'endpoints'),
      tree.object,
      fc.nat(),
      (kind, value, pick) => {
        const changed = structuredClone(value) as Json;
        const leaves = leavesOf(changed, [kind, 'x'], () => undefined);
        fc.pre(leaves.length > 0);
        const chosen = leaves[pick % leaves.length] as Leaf;
        chosen.set('something else');
        const { differences } = compareOne(
          kind as ResourceKind,
          render(value, 'staging'),
          render(changed, 'production'),
        );
        expect(differences.map(({ text }) => text)).toEqual([formatPath(chosen.path)]);
      },
    ),
    RUNS,
  );
});

test('thousands of resources, and lists of thousands, are as many steps', () => {
  const resources = (side: Side) =>
    Array.from({ length: 2000 }, (_, index) =>
      resource('functions', `f${index}-${HEADS[side].environment}`, {
        environment: { A: `s3://x-${HEADS[side].account}/${index}`, B: 'same' },
        memoryMb: index === 1000 && side === 'production' ? 1 : 2,
      }),
    );
  const long = (side: Side) =>
    resource('alarms', 'long', {
      actions: { alarm: Array.from({ length: 20_000 }, (_, index) => `${HEADS[side].account}:${index}`) },
    });
  const comparison = compare(
    snapshot('staging', { resources: [...resources('staging'), long('staging')] }),
    snapshot('production', { resources: [...resources('production'), long('production')] }),
    PARITY,
  );
  expect(textsOf(comparison)).toEqual(['functions.f1000.memoryMb']);
  expect(comparison.resources).toBe(2001);
  expect(comparison.foldings).toMatchObject([{ as: '{account}', values: 22_000 }]);
});
