import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ConfigError } from '../../functions/shared/schema.ts';
import { bundleOf, loadConfig } from '../../lib/config.ts';
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
    expect(config.datasets.map(({ name, prefix }) => [name, prefix])).toEqual([['flights', 'flights/']]);
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
        'tocsin.yaml:1:1 datasets: expected record, it is missing',
        'tocsin.yaml:2:1 unknown key "dataset", did you mean "datasets"?; allowed: tocsin, notify, breakGlass, engine, datasets',
      ],
    ],
    ['no dataset', 'tocsin: 1\ndatasets: {}\n', ['tocsin.yaml:2:1 datasets: name at least one dataset']],
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
