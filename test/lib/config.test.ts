import { mkdirSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parityBundleSchema, parseParities } from '../../functions/config-parity/schema.ts';
import { monitorBundleSchema, parseMonitors } from '../../functions/quality-gate/schema.ts';
import { parseRollbackDrills } from '../../functions/rollback-drill/schema.ts';
import { ConfigError, textBundleSchema } from '../../functions/shared/schema.ts';
import { bundleOf, loadConfig, monitorBundleOf, parityBundleOf, textBundleOf } from '../../lib/config.ts';
import { configOf, contractOf, withFiles } from '../support/synthesize.ts';

const CONTRACTS = { 'contracts/a.yaml': contractOf('a'), 'contracts/b.yaml': contractOf('b') };

/** The messages of a configuration that does not hold, with paths from its directory. */
function mistakes(yaml: string, contracts: Record<string, string> = CONTRACTS): string[] {
  return withFiles({ 'tocsin.yaml': yaml, ...contracts }, (directory) => {
    try {
      loadConfig(join(directory, 'tocsin.yaml'));
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      return error.message.replaceAll(`${directory}/`, '').split('\n');
    }
    return [];
  });
}

describe('loadConfig', () => {
  test('reads the configuration of this repository', () => {
    const config = loadConfig('tocsin.yaml');
    expect(config.datasets.map(({ name, prefix }) => [name, prefix])).toEqual([
      ['flights', 'flights/'],
      ['flights-history', 'history/'],
      ['flights-holdout', 'holdout/'],
      ['flights-serving', 'serving/'],
    ]);
    expect([...config.models.keys()]).toEqual(['flight-delay']);
    expect([...config.canaries.keys()]).toEqual(['flight-delay']);
    expect([...config.monitors.keys()]).toEqual(['flight-delay']);
    expect([...config.drills.values()].map(({ name, value }) => [name, value.alarm, value.mode])).toEqual([
      ['flight-delay-drift', 'flight-delay-drift', 'shadow'],
      ['flight-delay-errors', 'flight-delay-errors', 'shadow'],
      ['flight-delay-chain', 'tocsin-drift-flight-delay', 'traffic'],
    ]);
    expect(config.notify.emails).toEqual([]);
  });

  test('fills in what is left out', () => {
    const config = configOf(
      'tocsin: 1\ndatasets:\n  a: { contract: contracts/a.yaml, prefix: a/ }\n',
      CONTRACTS,
    );
    expect(config).toMatchObject({
      notify: { emails: [] },
      breakGlass: [],
      engine: { architecture: 'arm64', memory: 3538, disk: 4096, timeout: 900_000, concurrency: 10 },
      datasets: [{ name: 'a', prefix: 'a/', inconclusive: 'block', contractText: contractOf('a') }],
    });
    expect(config.datasets[0]?.contractFile.value.format).toBe('parquet');
  });

  test('makes the bundle out of what was written, by the paths that were written', () => {
    const config = configOf(
      'tocsin: 1\ndatasets:\n  a: { contract: ./contracts/a.yaml, prefix: a/ }\n  b: { contract: contracts/b.yaml, prefix: b/, bucket: theirs }\n',
      CONTRACTS,
    );
    expect(bundleOf(config)).toEqual({
      bundle: 1,
      datasets: {
        a: { contract: './contracts/a.yaml', prefix: 'a/', inconclusive: 'block' },
        b: { contract: 'contracts/b.yaml', prefix: 'b/', bucket: 'theirs', inconclusive: 'block' },
      },
      contracts: { './contracts/a.yaml': contractOf('a'), 'contracts/b.yaml': contractOf('b') },
    });
  });

  test('says where there is no file', () => {
    expect(() => loadConfig('nowhere/tocsin.yaml')).toThrow(
      'nowhere/tocsin.yaml:1:1 expected a YAML file at nowhere/tocsin.yaml, there is no such file',
    );
    expect(() => loadConfig('test')).toThrow('expected a YAML file at test, it cannot be read (EISDIR)');
  });

  test.each<[string, string, string[]]>([
    [
      'a misspelt key',
      'tocsin: 1\ndataset:\n  a: { contract: contracts/a.yaml, prefix: a/ }\n',
      [
        'tocsin.yaml:2:1 unknown key "dataset", did you mean "datasets"?; allowed: tocsin, notify, breakGlass, engine, workflow, datasets, models, canaries, alarmDrills, rollbackDrills, driftMonitors, parity, readiness',
      ],
    ],
    [
      'what guards nothing',
      'tocsin: 1\ndatasets: {}\n',
      ['tocsin.yaml:2:1 datasets: name at least one dataset, a drill or a comparison'],
    ],
    [
      'another version',
      'tocsin: 2\ndatasets:\n  a: { contract: contracts/a.yaml, prefix: a/ }\n',
      ['tocsin.yaml:1:1 tocsin: expected 1, got 2'],
    ],
    [
      'a contract that is not there',
      'tocsin: 1\ndatasets:\n  a:\n    contract: contracts/c.yaml\n    prefix: a/\n',
      [
        'tocsin.yaml:4:5 datasets.a.contract: expected a YAML file at contracts/c.yaml, there is no such file',
      ],
    ],
    [
      'a contract at an absolute path',
      'tocsin: 1\ndatasets:\n  a: { contract: /etc/a.yaml, prefix: a/ }\n',
      ['tocsin.yaml:3:8 datasets.a.contract: expected a path from tocsin.yaml, got /etc/a.yaml'],
    ],
    [
      'the contract of another dataset',
      'tocsin: 1\ndatasets:\n  a: { contract: contracts/b.yaml, prefix: a/ }\n',
      [
        'tocsin.yaml:3:8 datasets.a.contract: expected the contract of "a", got one of "b" (contracts/b.yaml:2)',
      ],
    ],
    [
      'the same prefix twice',
      'tocsin: 1\ndatasets:\n  a: { contract: contracts/a.yaml, prefix: raw/ }\n  b: { contract: contracts/b.yaml, prefix: raw/ }\n',
      ['tocsin.yaml:4:36 datasets.b.prefix: "raw/" overlaps "raw/" of dataset "a" in the same bucket'],
    ],
    [
      'a prefix within another',
      'tocsin: 1\ndatasets:\n  a: { contract: contracts/a.yaml, bucket: theirs, prefix: raw/a/ }\n  b: { contract: contracts/b.yaml, bucket: theirs, prefix: raw/ }\n',
      ['tocsin.yaml:4:52 datasets.b.prefix: "raw/" overlaps "raw/a/" of dataset "a" in the same bucket'],
    ],
    [
      'a prefix that a policy would read as a pattern',
      'tocsin: 1\ndatasets:\n  a: { contract: contracts/a.yaml, prefix: "raw/*/" }\n',
      [
        'tocsin.yaml:3:36 datasets.a.prefix: expected a key prefix that ends in a slash, such as raw/flights/, got "raw/*/"',
      ],
    ],
    [
      'a key without a bucket',
      'tocsin: 1\ndatasets:\n  a:\n    contract: contracts/a.yaml\n    prefix: a/\n    kmsKey: arn:aws:kms:eu-central-1:111122223333:key/1234\n',
      ['tocsin.yaml:6:5 datasets.a.kmsKey: says nothing without bucket'],
    ],
    [
      'an engine that Lambda does not offer',
      'tocsin: 1\nengine:\n  memory: 512\n  disk: 20000\n  timeout: 20m\n  architecture: arm\n  concurrency: 0\ndatasets:\n  a: { contract: contracts/a.yaml, prefix: a/ }\n',
      [
        'tocsin.yaml:6:3 engine.architecture: expected one of "arm64"|"x86_64", got "arm"',
        'tocsin.yaml:3:3 engine.memory: expected number to be >=1024, got 512',
        'tocsin.yaml:4:3 engine.disk: expected number to be <=10240, got 20000',
        'tocsin.yaml:5:3 engine.timeout: expected a timeout from 1m to 15m',
        'tocsin.yaml:7:3 engine.concurrency: expected number to be >=1, got 0',
      ],
    ],
    [
      'a role with wildcards, and a bad address',
      'tocsin: 1\nnotify: { emails: [nobody] }\nbreakGlass: ["arn:aws:iam::111122223333:role/*"]\ndatasets:\n  a: { contract: contracts/a.yaml, prefix: a/ }\n',
      [
        'tocsin.yaml:2:20 notify.emails.0: expected an e-mail address, got "nobody"',
        'tocsin.yaml:3:14 breakGlass.0: expected the ARN of a role, without wildcards, got "arn:aws:iam::111122223333:role/*"',
      ],
    ],
  ])('refuses %s', (_, yaml, expected) => {
    expect(mistakes(yaml)).toEqual(expected);
  });

  test('names the mistakes of all files at once, each in its place', () => {
    expect(
      mistakes(
        'tocsin: 1\ndatasets:\n  a: { contract: contracts/a.yaml, prefix: a/ }\n  b: { contract: contracts/b.yaml, prefix: a/b/ }\n',
        {
          'contracts/a.yaml': contractOf('a', 'fromat: csv\n'),
          'contracts/b.yaml': contractOf('b').replace('integer', 'int'),
        },
      ),
    ).toEqual([
      expect.stringMatching(/^contracts\/a\.yaml:4:1 unknown key "fromat", did you mean "format"\?/),
      expect.stringMatching(/^contracts\/b\.yaml:5:9 columns\.id\.type: expected .*, got "int"$/),
      expect.stringMatching(/^tocsin\.yaml:4:36 datasets\.b\.prefix: "a\/b\/" overlaps "a\/"/),
    ]);
  });

  test('accepts the same prefix in two buckets', () => {
    expect(
      mistakes(
        'tocsin: 1\ndatasets:\n  a: { contract: contracts/a.yaml, prefix: raw/ }\n  b: { contract: contracts/b.yaml, prefix: raw/, bucket: theirs }\n',
      ),
    ).toEqual([]);
  });

  test('says before a deployment that a bucket policy would be too large', () => {
    const names = Array.from({ length: 120 }, (_, index) => `d${index}`);
    const datasets = names.map((name) => `  ${name}: { contract: ${name}.yaml, prefix: ${name}/ }\n`);
    const contracts = Object.fromEntries(names.map((name) => [`${name}.yaml`, contractOf(name)]));
    const [mistake, ...more] = mistakes(`tocsin: 1\ndatasets:\n${datasets.join('')}`, contracts);
    expect(more).toEqual([]);
    expect(mistake).toMatch(
      /^tocsin\.yaml:3:3 datasets\.d0: the bucket policy that locks the 120 datasets of the bucket that Tocsin creates may take \d+ bytes, at most 19456 fit; /,
    );
  });
});

describe('models and canaries', () => {
  const CONTRACT = {
    'contracts/a.yaml': contractOf('a').replace(
      'id: { type: integer }',
      'id: { type: integer }\n  late: { type: boolean }\n  distance: { type: number }\n  origin: { type: string }',
    ),
  };
  const WHOLE = `tocsin: 1
workflow: in-process
datasets:
  a: { contract: contracts/a.yaml, prefix: a/ }
models:
  delay:
    modelPackageGroup: Delay
    task: binary
    holdout:
      uri: a/holdout.parquet
      label: late
      contract: ./contracts/a.yaml
      features: [distance]
      weight: id
    transform: { instanceType: ml.m5.large }
    require:
      - { metric: auc, atLeast: 0.6, slices: [origin, "distance > 1000"] }
canaries:
  weekly:
    model: delay
    pipeline: Train
    modelPackageGroup: delay-canary
    dataset:
      uri: a/known.parquet
      parameter: Data
    expect:
      - { metric: auc, atLeast: 0.7 }
    negativeControl:
      corrupt:
        distance: distance * 1.609344
    schedule: rate(7 days)
`;
  /** The mistakes that one change makes. */
  const changed = (from: string, to: string): string[] => {
    expect(WHOLE).toContain(from);
    return mistakes(WHOLE.replace(from, to), CONTRACT);
  };

  test('are read, with the lines of their rules', () => {
    const config = configOf(WHOLE, CONTRACT);
    expect(config.workflow).toBe('in-process');
    expect([...config.models.keys(), ...config.canaries.keys()]).toEqual(['delay', 'weekly']);
    expect(config.models.get('delay')?.locate(['require', 0])).toMatchObject({ line: 17, column: 9 });
    expect(config.canaries.get('weekly')?.value).toMatchObject({
      groupParameter: 'ModelPackageGroupName',
      timeout: 6 * 3_600_000,
    });
  });

  test('reach the functions as the text that was written, without the directory it was in', () => {
    const config = configOf(WHOLE, CONTRACT);
    expect(textBundleOf(config)).toEqual({ bundle: 1, file: 'tocsin.yaml', text: WHOLE });
    expect(textBundleSchema.parse(textBundleOf(config))).toBeDefined();
  });

  test('may be left out', () => {
    const config = configOf(WHOLE.slice(0, WHOLE.indexOf('models:')).replace(/workflow.*\n/, ''), CONTRACT);
    expect(config.workflow).toBe('durable');
    expect([config.models.size, config.canaries.size]).toEqual([0, 0]);
  });

  test.each<[string, string, string, string[]]>([
    [
      'the contract of no dataset',
      './contracts/a.yaml',
      'contract/a.yaml',
      [
        'tocsin.yaml:12:7 models.delay.holdout.contract: expected the contract of a dataset above, got contract/a.yaml, did you mean "contracts/a.yaml"?',
      ],
    ],
    [
      'a holdout that no gate looks at',
      'a/holdout.parquet',
      'b/holdout.parquet',
      [
        'tocsin.yaml:10:7 models.delay.holdout.uri: expected an object below "a/" in the bucket that Tocsin creates, where ./contracts/a.yaml is enforced, got b/holdout.parquet',
      ],
    ],
    [
      'a holdout below the same prefix of another bucket',
      'uri: a/holdout.parquet',
      'uri: s3://theirs/a/holdout.parquet',
      [
        'tocsin.yaml:10:7 models.delay.holdout.uri: expected an object below "a/" in the bucket that Tocsin creates, where ./contracts/a.yaml is enforced, got s3://theirs/a/holdout.parquet',
      ],
    ],
    [
      'a folder as holdout',
      'a/holdout.parquet',
      'a/holdout/',
      ['tocsin.yaml:10:7 models.delay.holdout.uri: expected one object, got a folder'],
    ],
    [
      'a misspelt feature',
      '[distance]',
      '[distnace]',
      [
        'tocsin.yaml:13:18 models.delay.holdout.features.0: no column "distnace" in contracts/a.yaml, did you mean "distance"?',
      ],
    ],
    [
      'a misspelt label',
      'label: late',
      'label: lat',
      [
        'tocsin.yaml:11:7 models.delay.holdout.label: no column "lat" in contracts/a.yaml, did you mean "late"?',
      ],
    ],
    [
      'a misspelt weight',
      'weight: id',
      'weight: di',
      [
        'tocsin.yaml:14:7 models.delay.holdout.weight: no column "di" in contracts/a.yaml, did you mean "id"?',
      ],
    ],
    [
      'a misspelt slice',
      '[origin,',
      '[orgin,',
      [
        'tocsin.yaml:17:47 models.delay.require.0.slices.0: no column "orgin" in contracts/a.yaml, did you mean "origin"?',
      ],
    ],
    [
      'a canary of no model',
      'model: delay\n',
      'model: delays\n',
      ['tocsin.yaml:20:5 canaries.weekly.model: no model "delays", did you mean "delay"?'],
    ],
    [
      'a canary that registers where models are approved',
      'delay-canary',
      'delay',
      [
        'tocsin.yaml:22:5 canaries.weekly.modelPackageGroup: "delay" is that of model "delay"; a canary needs a group of its own, in which none is ever Approved',
      ],
    ],
    [
      'a metric that the model of a canary has not',
      'auc, atLeast: 0.7',
      'rmse, atLeast: 0.7',
      [
        'tocsin.yaml:27:11 canaries.weekly.expect.0.metric: no metric "rmse" of a binary model; there are accuracy, balancedAccuracy, precision, recall, f1, specificity, auc, averagePrecision, logLoss, brier, calibrationError, mcc',
      ],
    ],
    [
      'a column to corrupt that is not there',
      'distance: distance',
      'distanz: distance',
      [
        'tocsin.yaml:30:9 canaries.weekly.negativeControl.corrupt.distanz: no column "distanz" in contracts/a.yaml, did you mean "distance"?',
      ],
    ],
    [
      'a negative control that is not one',
      'corrupt:\n        distance: distance * 1.609344',
      'uri: a/known.parquet',
      ['tocsin.yaml:29:7 canaries.weekly.negativeControl.uri: is the known dataset itself'],
    ],
    [
      'corrupted copies that would start a pipeline',
      'prefix: a/ }',
      'prefix: a/, onAccept: { pipeline: learn } }',
      [
        'tocsin.yaml:24:7 canaries.weekly.dataset.uri: is below "a/", where what is accepted starts the pipeline learn: a corrupted copy must not; take a prefix of its own',
      ],
    ],
    [
      'one parameter for two things',
      'parameter: Data',
      'parameter: ModelPackageGroupName',
      [
        'tocsin.yaml:25:7 canaries.weekly.dataset.parameter: "ModelPackageGroupName" is the parameter for the group already',
      ],
    ],
    [
      'a parameter that is set already',
      'pipeline: Train',
      'pipeline: Train\n    parameters: { Data: x }',
      ['tocsin.yaml:22:19 canaries.weekly.parameters.Data: is the parameter for the dataset already'],
    ],
  ])('refuse %s', (_, from, to, expected) => {
    expect(changed(from, to)).toEqual(expected);
  });

  test('refuse corrupted copies that nobody would judge', () => {
    const marked = CONTRACT['contracts/a.yaml'].replace('contract: 1', 'contract: 1\nbatch: marker');
    expect(mistakes(WHOLE, { 'contracts/a.yaml': marked })).toContain(
      'tocsin.yaml:24:7 canaries.weekly.dataset.uri: is below "a/", where only whole folders are judged: a corrupted copy never would be; take a prefix of its own, or negativeControl.uri',
    );
  });

  describe('of personal data', () => {
    const personal = {
      'contracts/a.yaml': `${CONTRACT['contracts/a.yaml']}  age: { type: integer, pii: true }\n  "home town": { type: string, pii: true }\n`,
    };
    const told = (from: string, to: string): string[] => mistakes(WHOLE.replace(from, to), personal);
    const shown = 'is marked pii in contracts/a.yaml, and values of labels and slices are shown';

    test.each([
      ['age', 'age'],
      ['home town', 'home town'],
      ['age >= 65', 'age'],
      ['AGE >= 65', 'age'],
      ['origin || \' from \' || "home town"', 'home town'],
      ['CASE WHEN distance > 9 THEN NULL ELSE age END', 'age'],
    ])('refuse slices by %s', (slice, column) => {
      expect(told('origin, "distance > 1000"', JSON.stringify(slice))).toEqual([
        expect.stringContaining(`tocsin.yaml:17:47 models.delay.require.0.slices.0: "${column}" ${shown}`),
      ]);
    });

    test.each([
      ["origin = 'age'"],
      ["origin = 'it''s age'"],
      ['origin = \'"home town"\''],
      ["age(TIMESTAMP '2001-01-01', distance)"],
      ['average'],
      ['distance_age > 1'],
    ])('do not mistake %s for one of them', (slice) => {
      expect(told('origin, "distance > 1000"', JSON.stringify(slice)).join()).not.toContain('pii');
    });

    test('refuse a label that is one, and take one as a feature or a weight', () => {
      expect(told('label: late', 'label: age > 65')).toEqual([
        expect.stringContaining(`tocsin.yaml:11:7 models.delay.holdout.label: "age" ${shown}`),
      ]);
      expect(told('features: [distance]', 'features: [distance, age]')).toEqual([]);
    });
  });

  test('refuse two models of one group, however it is spelt', () => {
    const second = WHOLE.slice(WHOLE.indexOf('  delay:'), WHOLE.indexOf('canaries:'));
    expect(
      mistakes(
        WHOLE.replace(
          'canaries:',
          `${second.replace('delay:', 'other:').replace('Delay', 'DELAY')}canaries:`,
        ),
        CONTRACT,
      ),
    ).toEqual(['tocsin.yaml:19:5 models.other.modelPackageGroup: "DELAY" is that of "delay"']);
  });

  test('refuse keys of a bucket that is not created', () => {
    const issues = changed('prefix: a/ }', 'prefix: a/, bucket: theirs }');
    const why = 'each dataset names a bucket, so Tocsin creates none';
    expect(issues).toEqual([
      `tocsin.yaml:10:7 models.delay.holdout.uri: expected s3://bucket/key, got a/holdout.parquet: ${why}`,
      `tocsin.yaml:24:7 canaries.weekly.dataset.uri: expected s3://bucket/key, got a/known.parquet: ${why}`,
    ]);
  });

  test('may use columns that the contract allows without naming them', () => {
    const lax = { 'contracts/a.yaml': `${CONTRACT['contracts/a.yaml']}extraColumns: allow\n` };
    expect(mistakes(WHOLE.replace('[distance]', '[altitude]'), lax)).toEqual([]);
  });

  test('are not accused of what is wrong with the contract', () => {
    const broken = { 'contracts/a.yaml': CONTRACT['contracts/a.yaml'].replace('number', 'numbr') };
    expect(mistakes(WHOLE, broken)).toEqual([
      expect.stringMatching(/^contracts\/a\.yaml:7:15 columns\.distance\.type/),
    ]);
  });
});

describe('alarm drills and drift monitors', () => {
  const CONTRACT = {
    'contracts/a.yaml': contractOf('a').replace(
      'id: { type: integer }',
      'origin: { type: string }\n  distance: { type: number }\n  age: { type: integer, pii: true }\n  late: { type: boolean }',
    ),
  };
  const WHOLE = `tocsin: 1
datasets:
  a:
    contract: contracts/a.yaml
    bucket: lake
    prefix: a/
alarmDrills:
  drift:
    alarm: tocsin-drift-delay
    intended: { fires: ">= 0.2", within: 2h }
    mode: traffic
    traffic:
      endpoint: delay-staging
      dataset: a
      features: [origin, distance]
      feature: distance
      measure: ks
  errors:
    alarm: delay-errors
    intended:
      fires: "> 0.01"
      within: 5m
      metric: { namespace: Delay, name: errors, dimensions: { Stage: staging, Model: delay } }
    mode: live
    live: { because: staging alone emits it }
driftMonitors:
  delay:
    endpoint: delay-staging
    capture: s3://lake/capture/
    dataset: a
    features: [origin, distance]
    measure: ks
    schedule: rate(15 minutes)
    alarm:
      threshold: 0.2
      evaluationPeriods: 2
`;
  const changed = (from: string, to: string, contracts: Record<string, string> = CONTRACT): string[] => {
    expect(WHOLE).toContain(from);
    return mistakes(WHOLE.replace(from, to), contracts);
  };

  test('are read, with the lines of their rules', () => {
    const config = configOf(WHOLE, CONTRACT);
    expect(config.drills.get('errors')?.value.intended).toMatchObject({
      fires: { comparison: 'GreaterThanThreshold', threshold: 0.01 },
      within: 300_000,
      whenSilent: 'not OK',
    });
    expect(config.drills.get('errors')?.locate(['intended', 'fires'])).toMatchObject({ line: 21, column: 7 });
    expect(config.monitors.get('delay')?.value).toMatchObject({ window: 3_600_000, minRecords: 500 });
    expect(config.monitors.get('delay')?.locate(['alarm', 'threshold'])).toMatchObject({ line: 35 });
  });

  test('need no dataset where only alarms are drilled', () => {
    const drills = WHOLE.slice(WHOLE.indexOf('  errors:'), WHOLE.indexOf('driftMonitors:'));
    const config = configOf(`tocsin: 1\nalarmDrills:\n${drills}`, {});
    expect([config.datasets, [...config.drills.keys()]]).toEqual([[], ['errors']]);
  });

  test('reach the functions as the text that was written, with the contracts that they compare by', () => {
    const config = configOf(
      WHOLE.replace('alarmDrills:', '  b: { contract: contracts/b.yaml, prefix: b/ }\nalarmDrills:'),
      { ...CONTRACT, 'contracts/b.yaml': contractOf('b') },
    );
    expect(textBundleSchema.parse(textBundleOf(config))).toEqual({
      bundle: 1,
      file: 'tocsin.yaml',
      text: config.text,
    });
    const bundle = monitorBundleSchema.parse(monitorBundleOf(config));
    expect(bundle).toEqual({
      ...textBundleOf(config),
      contracts: { a: { file: 'contracts/a.yaml', text: CONTRACT['contracts/a.yaml'] } },
    });
    expect([...parseMonitors(bundle).keys()]).toEqual(['delay']);
  });

  test.each<[string, string, string, string[]]>([
    [
      'traffic of no dataset',
      'dataset: a\n      features',
      'dataset: aa\n      features',
      [
        'tocsin.yaml:14:7 alarmDrills.drift.traffic.dataset: no dataset "aa", did you mean "a"?',
        'tocsin.yaml:14:7 alarmDrills.drift.traffic.dataset: expected that of the drift monitor "delay", a, got aa',
      ],
    ],
    [
      'traffic with a column that the contract does not know',
      'features: [origin, distance]\n      feature',
      'features: [origine, distance]\n      feature',
      [
        'tocsin.yaml:15:18 alarmDrills.drift.traffic.features.0: no column "origine" in contracts/a.yaml, did you mean "origin"?',
        'tocsin.yaml:15:7 alarmDrills.drift.traffic.features: expected that of the drift monitor "delay", origin, distance, got origine, distance',
      ],
    ],
    [
      'a measure that the drifting feature has no numbers for',
      'feature: distance',
      'feature: origin',
      ['tocsin.yaml:17:7 alarmDrills.drift.traffic.measure: ks compares numbers, "origin" is string'],
    ],
    [
      'traffic to another endpoint than the one that the monitor looks at',
      'endpoint: delay-staging\n      dataset',
      'endpoint: delay\n      dataset',
      [
        'tocsin.yaml:13:7 alarmDrills.drift.traffic.endpoint: expected that of the drift monitor "delay", delay-staging, got delay',
      ],
    ],
    [
      'drift that is calibrated in another measure than that of the monitor',
      'measure: ks\n  errors',
      'measure: psi\n  errors',
      [
        'tocsin.yaml:17:7 alarmDrills.drift.traffic.measure: expected that of the drift monitor "delay", ks, got psi',
      ],
    ],
    [
      'the alarm of no monitor',
      'tocsin-drift-delay',
      'tocsin-drift-delays',
      [
        'tocsin.yaml:9:5 alarmDrills.drift.alarm: no drift monitor "delays", which tocsin-drift-delays would be of, did you mean "delay"?',
      ],
    ],
    [
      'the alarm of a monitor without one',
      '    alarm:\n      threshold: 0.2\n      evaluationPeriods: 2\n',
      '',
      ['tocsin.yaml:9:5 alarmDrills.drift.alarm: the drift monitor "delay" has no alarm'],
    ],
    [
      'two live drills of one metric, however its dimensions are ordered',
      'driftMonitors:',
      '  again:\n    alarm: delay-errors-warning\n    intended:\n      fires: "> 0.001"\n      within: 5m\n      metric: { namespace: Delay, name: errors, dimensions: { Model: delay, Stage: staging } }\n    mode: live\n    live: { because: so }\ndriftMonitors:',
      [
        'tocsin.yaml:31:7 alarmDrills.again.intended.metric: is that of "errors": two live drills of one metric would each see what the other injects',
      ],
    ],
    [
      'a monitor of no dataset',
      'dataset: a\n    features',
      'dataset: b\n    features',
      [
        'tocsin.yaml:30:5 driftMonitors.delay.dataset: no dataset "b"',
        'tocsin.yaml:14:7 alarmDrills.drift.traffic.dataset: expected that of the drift monitor "delay", b, got a',
      ],
    ],
    [
      'a feature that cannot be compared, alone',
      'features: [origin, distance]\n    measure: ks',
      'features: [origin, age]\n    measure: ks',
      [
        'tocsin.yaml:31:5 driftMonitors.delay.features: none can be compared by ks: each is of another type, or marked pii in contracts/a.yaml',
        'tocsin.yaml:15:7 alarmDrills.drift.traffic.features: expected that of the drift monitor "delay", origin, age, got origin, distance',
      ],
    ],
    [
      'a capture without its slash',
      's3://lake/capture/',
      's3://lake/capture',
      [
        'tocsin.yaml:29:5 driftMonitors.delay.capture: expected s3://bucket/prefix/, which ends in a slash, got s3://lake/capture',
      ],
    ],
    [
      'a capture in a bucket that it does not name',
      's3://lake/capture/',
      'capture/',
      [
        'tocsin.yaml:29:5 driftMonitors.delay.capture: expected s3://bucket/prefix/, which ends in a slash, got capture/',
      ],
    ],
    [
      'a capture that a gate would lock',
      's3://lake/capture/',
      's3://lake/a/capture/',
      [
        'tocsin.yaml:29:5 driftMonitors.delay.capture: "a/capture/delay-staging/" overlaps "a/" of dataset "a" in the same bucket: what is captured would be judged, and locked',
      ],
    ],
    [
      'an alarm whose period nobody can tell',
      'rate(15 minutes)',
      'cron(0 6 ? * MON-FRI *)',
      [
        'tocsin.yaml:33:5 driftMonitors.delay.schedule: expected rate(...) of at most 7 days, which the period of the alarm is made of, got cron(0 6 ? * MON-FRI *)',
      ],
    ],
    [
      'an alarm that looks back further than CloudWatch does',
      'rate(15 minutes)',
      'rate(4 days)',
      [
        'tocsin.yaml:36:7 driftMonitors.delay.alarm.evaluationPeriods: expected at most 1 of rate(4 days), got 2: CloudWatch looks back 7 days',
      ],
    ],
  ])('refuse %s', (_, from, to, expected) => {
    expect(changed(from, to)).toEqual(expected);
  });

  test('refuse to make up records of personal data, but let a monitor pass over it', () => {
    const both = WHOLE.replaceAll('[origin, distance]', '[origin, age, distance]');
    expect(mistakes(both, CONTRACT)).toEqual([
      'tocsin.yaml:15:26 alarmDrills.drift.traffic.features.1: "age" is marked pii in contracts/a.yaml: no value of it is kept, and none may be sent on, so no record can be made; take mode: shadow',
    ]);
  });

  test('a schedule is of any kind where there is no alarm', () => {
    const monitor = WHOLE.slice(WHOLE.indexOf('driftMonitors:'))
      .replace(/ {4}alarm:.*/s, '')
      .replace('rate(15 minutes)', 'cron(0 6 ? * MON-FRI *)');
    const datasets = WHOLE.slice(0, WHOLE.indexOf('alarmDrills:'));
    expect(mistakes(`${datasets}${monitor}`, CONTRACT)).toEqual([]);
  });

  test('are not accused of what is wrong with the contract', () => {
    expect(
      changed('prefix: a/', 'prefix: a/', {
        'contracts/a.yaml': CONTRACT['contracts/a.yaml'].replace('number', 'numbr'),
      }),
    ).toEqual([expect.stringMatching(/^contracts\/a\.yaml:6:15 columns\.distance\.type/)]);
  });
});

describe('rollback drills', () => {
  const DRILL = `rollbackDrills:
  delay:
    endpoint: delay-staging
    failure: { breakGuardrail: { alarm: delay-5xx } }
    golden: s3://lake/golden/delay.jsonl
    within: 10m
    stopIf: [unhealthy]
`;
  const DATASET = `datasets:
  a: { contract: contracts/a.yaml, bucket: lake, prefix: a/ }
`;
  const CONTRACT = { 'contracts/a.yaml': contractOf('a') };
  const changed = (from: string, to: string, datasets = DATASET): string[] => {
    expect(DRILL).toContain(from);
    return mistakes(`tocsin: 1\n${datasets}${DRILL.replace(from, to)}`, CONTRACT);
  };

  test('need no dataset, and are read with the lines of their rules', () => {
    const { datasets, rollbackDrills } = configOf(`tocsin: 1\n${DRILL}`, {});
    expect([datasets, [...rollbackDrills.keys()]]).toEqual([[], ['delay']]);
    const drill = rollbackDrills.get('delay');
    expect(drill?.value).toMatchObject({ within: 600_000, steady: 60_000, allow: { errorRate: 0 } });
    expect(drill?.locate(['within'])).toMatchObject({ line: 7, column: 5 });
  });

  test('reach the function as the text that was written', () => {
    const config = configOf(`tocsin: 1\n${DRILL}`, {});
    const bundle = textBundleSchema.parse(textBundleOf(config));
    expect(bundle).toEqual({ bundle: 1, file: 'tocsin.yaml', text: config.text });
    expect([...parseRollbackDrills(bundle).keys()]).toEqual(['delay']);
  });

  test('may be two of one endpoint, and name golden requests in the bucket that Tocsin creates', () => {
    const again = DRILL.slice(DRILL.indexOf('  delay:')).replace('delay:', 'again:');
    expect(mistakes(`tocsin: 1\n${DRILL}${again}`, {})).toEqual([]);
    const created = DATASET.replace('bucket: lake, ', '');
    expect(changed('s3://lake/golden/', 'golden/', created)).toEqual([]);
  });

  test.each<[string, string, string, string[]]>([
    [
      'golden requests where data is judged',
      'lake/golden/',
      'lake/a/',
      [
        'tocsin.yaml:8:5 rollbackDrills.delay.golden: is below "a/" of dataset "a": it would be judged as data, and locked; take another prefix',
      ],
    ],
    [
      'golden requests in a bucket that is not created',
      's3://lake/golden/',
      'golden/',
      [
        'tocsin.yaml:8:5 rollbackDrills.delay.golden: expected s3://bucket/key, got golden/delay.jsonl: each dataset names a bucket, so Tocsin creates none',
      ],
    ],
    [
      'a folder of golden requests',
      'delay.jsonl',
      '',
      ['tocsin.yaml:8:5 rollbackDrills.delay.golden: expected one object, got a folder'],
    ],
    [
      'a drill that would break itself off',
      '[unhealthy]',
      '[unhealthy, delay-5xx]',
      [
        'tocsin.yaml:10:25 rollbackDrills.delay.stopIf.1: is the alarm that the drill sets to ALARM itself: it would break itself off',
      ],
    ],
    [
      'an alarm that a permission would take for many',
      'delay-5xx',
      'delay-*',
      [
        'tocsin.yaml:7:34 rollbackDrills.delay.failure.breakGuardrail.alarm: expected a name without *, ? and ${, which mean something else in a permission, got delay-*',
      ],
    ],
  ])('refuse %s', (_, from, to, expected) => {
    expect(changed(from, to)).toEqual(expected);
  });
});

describe('comparisons', () => {
  const PARITY = `parity:
  delay:
    compare: { endpoints: ["delay-{environment}"] }
    probes:
      usual: { endpoint: delay, golden: s3://lake/golden/delay.jsonl }
`;
  const DOCUMENTED = `parity: 1
differences:
  delay:
    - path: endpoints.delay.variants[a].instances
      reason: production has more traffic
      owner: ml-platform
      expires: 2027-06-30
      test: { relation: production >= staging }
    - path: models.delay.containers[0].environment.THREADS
      reason: as many as it has processors
      owner: ml-platform
      expires: 2027-06-30
      test: { probe: usual }
`;
  const DATASET = `datasets:
  a: { contract: contracts/a.yaml, bucket: lake, prefix: a/ }
`;
  const CONTRACT = { 'contracts/a.yaml': contractOf('a') };
  const documented = (text: string, parity = PARITY) =>
    mistakes(`tocsin: 1\n${parity}`, { 'parity.yaml': text });

  test('need no dataset, and are read with the lines of their rules', () => {
    const { datasets, parities, ...config } = configOf(`tocsin: 1\n${PARITY}`, {});
    expect([datasets, [...parities.keys()]]).toEqual([[], ['delay']]);
    expect(config).not.toHaveProperty('documented');
    const parity = parities.get('delay');
    expect(parity).toMatchObject({
      documented: undefined,
      value: { probes: { usual: { content: 'text/csv' } } },
    });
    expect(parity?.locate(['probes', 'usual', 'golden'])).toMatchObject({ line: 6, column: 33 });
  });

  test('come with what is documented of them, which knows its lines, too', () => {
    const { parities } = configOf(`tocsin: 1\n${PARITY}`, { 'parity.yaml': DOCUMENTED });
    const entries = parities.get('delay')?.documented;
    expect(entries?.value.map(({ owner }) => owner)).toEqual(['ml-platform', 'ml-platform']);
    expect(entries?.locate([1, 'expires'])).toMatchObject({
      file: expect.stringMatching(/\/parity\.yaml$/),
      line: 12,
    });
  });

  test('reach the function as the texts that were written, without the directory they were in', () => {
    const config = configOf(`tocsin: 1\n${PARITY}`, { 'parity.yaml': DOCUMENTED });
    const bundle = parityBundleSchema.parse(JSON.parse(JSON.stringify(parityBundleOf(config))));
    expect(bundle).toEqual({
      bundle: 1,
      file: 'tocsin.yaml',
      text: config.text,
      documented: { file: 'parity.yaml', text: DOCUMENTED },
    });
    expect(parseParities(bundle).get('delay')?.documented?.value).toHaveLength(2);
    expect(parityBundleOf(configOf(`tocsin: 1\n${PARITY}`, {}))).not.toHaveProperty('documented');
  });

  test('may name golden requests in the bucket that Tocsin creates', () => {
    const parity = PARITY.replace('s3://lake/golden/', 'golden/');
    const created = DATASET.replace('bucket: lake, ', '');
    expect(mistakes(`tocsin: 1\n${created}${parity}`, CONTRACT)).toEqual([]);
  });

  test.each<[string, string, string, string]>([
    [
      'golden requests where data is judged',
      'lake/golden/',
      'lake/a/',
      'is below "a/" of dataset "a": it would be judged as data, and locked; take another prefix',
    ],
    [
      'golden requests in a bucket that is not created',
      's3://lake/golden/',
      'golden/',
      'expected s3://bucket/key, got golden/delay.jsonl: each dataset names a bucket, so Tocsin creates none',
    ],
    ['a folder of golden requests', 'delay.jsonl', '', 'expected one object, got a folder'],
  ])('refuse %s', (_, from, to, expected) => {
    expect(PARITY).toContain(from);
    expect(mistakes(`tocsin: 1\n${DATASET}${PARITY.replace(from, to)}`, CONTRACT)).toEqual([
      `tocsin.yaml:8:33 parity.delay.probes.usual.golden: ${expected}`,
    ]);
  });

  test('refuse what is documented of a comparison or a probe that there is not', () => {
    expect(documented(DOCUMENTED.replace('  delay:', '  dealy:'))).toEqual([
      'parity.yaml:3:3 differences.dealy: no comparison "dealy" in tocsin.yaml, did you mean "delay"?',
    ]);
    expect(documented(DOCUMENTED.replace('probe: usual', 'probe: usuel'))).toEqual([
      'parity.yaml:13:15 differences.delay.1.test.probe: the comparison has no probe "usuel", did you mean "usual"?',
    ]);
    expect(mistakes(`tocsin: 1\n${DATASET}`, { ...CONTRACT, 'parity.yaml': DOCUMENTED })).toEqual([
      'parity.yaml:3:3 differences.delay: no comparison "delay" in tocsin.yaml',
    ]);
  });

  test('name the mistakes of both files at once, each in its place', () => {
    const text = DOCUMENTED.replace('owner: ml-platform', 'owner: ""');
    const own = 'parity.yaml:6:7 differences.delay.0.owner: expected who answers for it, got ""';
    expect(documented(text)).toEqual([own]);
    expect(documented(text, PARITY.replace('delay.jsonl', ''))).toEqual([
      own,
      'tocsin.yaml:6:33 parity.delay.probes.usual.golden: expected one object, got a folder',
    ]);
    expect(documented(text, PARITY.replace('compare:', 'compares:'))).toEqual([
      'tocsin.yaml:3:3 parity.delay.compare: expected object, it is missing',
      expect.stringMatching(/^tocsin\.yaml:4:5 unknown key "compares", did you mean "compare"\?/),
      own,
    ]);
  });

  test('are refused with a parity.yaml that cannot be read, rather than read without it', () => {
    withFiles({ 'tocsin.yaml': `tocsin: 1\n${PARITY}` }, (directory) => {
      const file = join(directory, 'parity.yaml');
      symlinkSync('nowhere', file);
      expect(() => loadConfig(join(directory, 'tocsin.yaml'))).toThrow(
        `${file}:1:1 expected a YAML file at ${file}, there is no such file`,
      );
      rmSync(file);
      mkdirSync(file);
      expect(() => loadConfig(join(directory, 'tocsin.yaml'))).toThrow(
        `${file}:1:1 expected a YAML file at ${file}, it cannot be read (EISDIR)`,
      );
    });
  });
});

describe('releases', () => {
  const RELEASE = `models:
  delay:
    modelPackageGroup: delay
    task: regression
    holdout: { uri: a/holdout.parquet, label: id, contract: contracts/a.yaml }
    transform: { instanceType: ml.m5.large }
    require: [{ metric: mae, atMost: 1 }]
readiness:
  delay:
    production:
      datasets: [a]
      fresh: { datasets: 12h }
`;
  const FILE = `tocsin: 1\ndatasets: { a: { contract: contracts/a.yaml, prefix: a/ } }\n${RELEASE}`;
  const CONTRACT = { 'contracts/a.yaml': contractOf('a') };

  test('wait for what they name, and for verdicts that are as young as they say', () => {
    const day = 86_400_000;
    expect(configOf(FILE, CONTRACT).readiness).toEqual({
      delay: {
        production: {
          canaries: [],
          rollbackDrills: [],
          alarmDrills: [],
          datasets: ['a'],
          parity: [],
          fresh: {
            models: 90 * day,
            canaries: 15 * day,
            rollbackDrills: 15 * day,
            alarmDrills: 15 * day,
            datasets: day / 2,
            parity: 2 * day,
          },
        },
      },
    });
  });

  test.each<[string, string, string, RegExp]>([
    [
      'a model that there is not',
      '  delay:\n    production',
      '  dely:\n    production',
      /^tocsin\.yaml:11:3 readiness\.dely: no model "dely", did you mean "delay"\?$/,
    ],
    [
      'a dataset that there is not',
      'datasets: [a]',
      'datasets: [a, b]',
      /^tocsin\.yaml:13:21 readiness\.delay\.production\.datasets\.1: no "b" in datasets/,
    ],
    [
      'a canary that there is not',
      'datasets: [a]',
      'canaries: [weekly]',
      /canaries\.0: no "weekly" in canaries/,
    ],
    [
      'a rollback drill that there is not',
      'datasets: [a]',
      'rollbackDrills: [x]',
      /rollbackDrills\.0: no "x" in rollbackDrills/,
    ],
    [
      'an alarm drill that there is not',
      'datasets: [a]',
      'alarmDrills: [x]',
      /alarmDrills\.0: no "x" in alarmDrills/,
    ],
    ['a comparison that there is not', 'datasets: [a]', 'parity: [x]', /parity\.0: no "x" in parity/],
    [
      'a gap that nobody knows',
      'datasets: [a]',
      'dataset: [a]',
      /unknown key "dataset", did you mean "datasets"\?/,
    ],
    [
      'a time without a unit',
      'datasets: 12h',
      'datasets: 12',
      /^tocsin\.yaml:14:16 readiness\.delay\.production\.fresh\.datasets: /,
    ],
    [
      'no time at all, which the deployed board could not read',
      'datasets: 12h',
      'datasets: 0h',
      /^tocsin\.yaml:14:16 readiness\.delay\.production\.fresh\.datasets: more than nothing/,
    ],
    [
      'a model without an environment',
      /production:\n[\s\S]*/.exec(RELEASE)?.[0] ?? '',
      '{}',
      /at least one environment, such as production/,
    ],
  ])('refuse %s', (_, from, to, expected) => {
    expect(FILE).toContain(from);
    const [first, ...more] = mistakes(FILE.replace(from, to), CONTRACT);
    expect(more).toEqual([]);
    expect(first).toMatch(expected);
  });
});
