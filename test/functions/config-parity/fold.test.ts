import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Folder, type Known } from '../../../functions/config-parity/fold.ts';
import { paritySchema } from '../../../functions/config-parity/schema.ts';

const STAGING = { account: '111111111111', region: 'eu-west-1' };
const PRODUCTION = { account: '222222222222', region: 'us-east-1' };

function folderOf(section: object = {}, staging = STAGING, production = PRODUCTION): Folder {
  const parity = paritySchema.parse({ compare: { endpoints: ['x-{environment}'] }, ...section });
  return new Folder(parity, staging, production);
}

const textOf = (folder: Folder, text: string) => folder.fold('staging', text).text;

describe('what stands for what', () => {
  test.each<[string, string]>([
    ['arn:aws:sns:eu-west-1:111111111111:x', 'arn:aws:sns:{region}:{account}:x'],
    ['eu-west-1a', '{region}a'],
    ['eu-west-12', 'eu-west-12'],
    ['1111111111110', '1111111111110'],
    ['sagemaker-eu-west-1-111111111111', 'sagemaker-{region}-{account}'],
    ['flight-staging', 'flight-{environment}'],
    ['/flight/staging/x', '/flight/{environment}/x'],
    ['FlightStagingBucket', 'Flight{Environment}Bucket'],
    ['stagingBucket', '{environment}Bucket'],
    ['FLIGHT_STAGING', 'FLIGHT_{ENVIRONMENT}'],
    ['MLStaging', 'ML{Environment}'],
    ['upstaging', 'upstaging'],
    ['stagings', 'stagings'],
    ['staging2', 'staging2'],
    ['Stagings', 'Stagings'],
    ['STAGINGS', 'STAGINGS'],
    // What is the other environment's own, and what stands for something to begin with.
    ['production', 'production'],
    ['222222222222', '222222222222'],
    ['x-{environment}', 'x-{{environment}}'],
    ['{id}', '{{id}}'],
  ])('%s in staging: %s', (text, folded) => {
    expect(textOf(folderOf(), text)).toBe(folded);
  });

  test('says what it took', () => {
    const folder = folderOf();
    const { used } = folder.fold('production', 'arn:aws:sns:us-east-1:222222222222:production');
    expect(used.map((index) => folder.substitutions[index])).toEqual([
      { as: '{region}', staging: 'eu-west-1', production: 'us-east-1' },
      { as: '{account}', staging: '111111111111', production: '222222222222' },
      { as: '{environment}', staging: 'staging', production: 'production' },
    ]);
  });

  test('takes an account and a region only where they differ', () => {
    const folder = folderOf({}, STAGING, STAGING);
    expect(textOf(folder, 'arn:aws:sns:eu-west-1:111111111111:x')).toBe(
      'arn:aws:sns:eu-west-1:111111111111:x',
    );
    expect(folder.substitutions.map(({ as }) => as)).toEqual(['{environment}', '{id}']);
  });

  test('takes declared texts first, the longest of them before others', () => {
    const folder = folderOf({
      substitutions: [
        { staging: 'bucket', production: 'store' },
        { staging: 'staging-bucket', production: 'prod-store-7', as: 'bucket' },
        { staging: '10', production: '20' },
        { staging: 'lake', production: 'pond' },
        { staging: 'lake-raw', production: 'sea', as: 'raw' },
      ],
    });
    expect(textOf(folder, 's3://staging-bucket/x')).toBe('s3://{bucket}/x');
    expect(textOf(folder, 'my-bucket-staging')).toBe('my-{value}-{environment}');
    expect(folder.fold('production', 's3://prod-store-7/x').text).toBe('s3://{bucket}/x');
    expect(textOf(folder, 'a10b, 110')).toBe('a{value}b, 110');
    expect(textOf(folder, 's3://lake-raw/lake')).toBe('s3://{raw}/{value}');
  });

  test('takes all names of an environment', () => {
    const folder = folderOf({
      staging: { names: ['pre-prod', 'pp'] },
      production: { names: ['prod', 'live'] },
    });
    for (const text of ['x-pre-prod', 'x-pp']) expect(textOf(folder, text)).toBe('x-{environment}');
    expect(textOf(folder, 'FlightPreProd')).toBe('Flight{Environment}');
    expect(textOf(folder, 'PRE_PROD')).toBe('{ENVIRONMENT}');
    expect(folder.fold('production', 'FlightProdX-live').text).toBe('Flight{Environment}X-{environment}');
  });

  test('takes the longest of names, however they are joined', () => {
    const folder = folderOf({
      compare: { functions: ['x-{environment}'] },
      staging: { names: ['test_eu', 'test_eu-west'] },
    });
    for (const text of ['x-test_eu-west', 'x-test-eu-west', 'x-test_eu_west', 'x-test-eu']) {
      expect(textOf(folder, text)).toBe('x-{environment}');
    }
  });

  test('takes a name of one letter for a word of its own alone', () => {
    const folder = folderOf({ staging: { names: ['s'] } });
    expect(textOf(folder, 'flights-s')).toBe('flights-{environment}');
    expect(textOf(folder, 'DNS')).toBe('DNS');
  });

  test('does not mind the case of names that are not in lower case', () => {
    const folder = folderOf({ staging: { names: ['Stage'] } });
    expect(textOf(folder, 'x-Stage')).toBe(folder.fold('production', 'x-production').text);
    expect(textOf(folder, 'STAGE_X')).toBe('{environment}_X');
  });

  test('is what is its own: the same text may be another on the other side', () => {
    const folder = folderOf();
    expect(folder.fold('staging', 'x-staging').text).toBe('x-{environment}');
    expect(folder.fold('production', 'x-staging').text).toBe('x-staging');
  });
});

describe('names of what is compared', () => {
  const learnt = (...known: Known[]): Folder => {
    const folder = folderOf();
    folder.learn(known);
    return folder;
  };

  test('stand for each other where nothing else explains that they differ', () => {
    const folder = learnt(
      { name: 'scorer', staging: 'sc-a', production: 'scorer-x' },
      { name: 'flights', staging: 'flights-staging', production: 'flights-production' },
    );
    expect(textOf(folder, 'arn:aws:lambda:x:y:function:sc-a')).toBe('arn:aws:lambda:x:y:function:{scorer}');
    expect(folder.fold('production', 'scorer-x').text).toBe('{scorer}');
    expect(textOf(folder, 'flights-staging')).toBe('flights-{environment}');
  });

  test('are whole', () => {
    const folder = learnt({ name: 'scorer', staging: 'sc-a', production: 'scorer-x' });
    for (const text of ['sc-a-2', 'my_sc-a', 'sc-ab']) expect(textOf(folder, text)).toBe(text);
  });

  test('stand for nothing where one stands for two', () => {
    const folder = learnt(
      { name: 'one', staging: 'scorer-a', production: 'scorer-x' },
      { name: 'other', staging: 'scorer-a', production: 'scorer-y' },
      { name: 'third', staging: 'loader-a', production: 'loader-x' },
      { name: 'fourth', staging: 'loader-b', production: 'loader-x' },
    );
    for (const text of ['scorer-a', 'loader-a', 'loader-b']) expect(textOf(folder, text)).toBe(text);
  });

  test('are known from then on', () => {
    const folder = folderOf();
    expect(textOf(folder, 'sc-a')).toBe('sc-a');
    folder.learn([{ name: 'scorer', staging: 'sc-a', production: 'scorer-x' }]);
    expect(textOf(folder, 'sc-a')).toBe('{scorer}');
  });
});

test.each([
  ['x-staging', true],
  ['arn:aws:sns:us-east-1:111111111111:x', true],
  ['Staging', false],
  ['eu-west-1', false],
  ['subnet-0ab1c2d3e4f5a6b7c', false],
  ['x-production', false],
])('%s points to staging: %s', (text, expected) => {
  expect(folderOf().namesStaging(text)).toBe(expected);
});

describe('what AWS makes up', () => {
  test.each<[string, string]>([
    ['FlightGateFunction3F2A1B4C', 'FlightGateFunction{id}'],
    ['Stack-GateFunction3F2A1B4C-x8Jk2LmNoPqR', 'Stack-GateFunction{id}-{id}'],
    ['Stack-GateRole3F2A1B4C-1ABCDEFGHIJKL', 'Stack-GateRole{id}-{id}'],
    ['stack-modelbucketabcd1234-1m6kd7sk3p9jz', 'stack-modelbucketabcd1234-{id}'],
    ['Stack-Bucket-1DPZ5WCJQ7J5X', 'Stack-Bucket-{id}'],
    ['Stack-Queue-XN0J2VGF8R5E', 'Stack-Queue-{id}'],
    ['subnet-0ab1c2d3e4f5a6b7c', 'subnet-{id}'],
    ['sg-0ab1c2d3', 'sg-{id}'],
    [
      'arn:aws:kms:ap-south-1:333333333333:key/1234abcd-12ab-34cd-56ef-1234567890ab',
      'arn:aws:kms:ap-south-1:333333333333:key/{id}',
    ],
    ['job-2026-11-22-10-30-15-123', 'job-{id}'],
    ['job-20261122T103015Z/x', 'job-{id}/x'],
    ['job-1795343415123', 'job-{id}'],
    // Somebody has chosen these.
    ['flight-subscription', 'flight-subscription'],
    ['flight-preprocess01', 'flight-preprocess01'],
    ['my-flight-preprocess01', 'my-flight-preprocess01'],
    ['flight-MyModel2Rev3', 'flight-MyModel2Rev3'],
    ['Gate12345678-subscription', 'Gate12345678-subscription'],
    ['Model20261122', 'Model20261122'],
    ['1795343415123', '1795343415123'],
    ['2026-11-22', '2026-11-22'],
    ['1234abcd-12ab-34cd-56ef-1234567890ab', '1234abcd-12ab-34cd-56ef-1234567890ab'],
    ['s3://b/1234abcd-12ab-34cd-56ef-1234567890ab/m', 's3://b/1234abcd-12ab-34cd-56ef-1234567890ab/m'],
    [`sha256:${'0a1b'.repeat(16)}`, `sha256:${'0a1b'.repeat(16)}`],
    // Commits, days and runs.
    ['flight-delay-3f9a2b7c1d0e', 'flight-delay-3f9a2b7c1d0e'],
    [
      'r.dkr.ecr.eu-north-1.amazonaws.com/x:main-q7x0zt31lkpw',
      'r.dkr.ecr.eu-north-1.amazonaws.com/x:main-q7x0zt31lkpw',
    ],
    ['flight-model-20261101A1B2', 'flight-model-20261101A1B2'],
    ['churn20261101-v2candidate1', 'churn20261101-v2candidate1'],
  ])('%s: %s', (text, folded) => {
    expect(textOf(folderOf(), text)).toBe(folded);
  });

  test('is the time of a job only where it does not matter when it ran', () => {
    const folder = folderOf();
    const text = 's3://models/train-2026-11-22-10-30-15/model.tar.gz';
    expect(folder.fold('staging', text).text).toBe('s3://models/train-{id}/model.tar.gz');
    expect(folder.fold('staging', text, { keepTimes: true }).text).toBe(text);
  });

  test('is the time within a name only where it does not matter when that was made', () => {
    const folder = folderOf();
    const name = 'train-2026-11-22-10-30-15';
    expect(folder.fold('staging', name).text).toBe('train-{id}');
    expect(folder.fold('staging', name, { keepTimes: true }).text).toBe(name);
  });

  test('is in the key of an object only where it does not matter which one it is', () => {
    const folder = folderOf();
    const fold = (text: string, keepTimes: boolean) => folder.fold('staging', text, { keepTimes }).text;
    for (const run of ['x/flight-delay-q7x0zt31lkpw/model.tar.gz', 'FlightModel3F2A1B4C/model.tar.gz']) {
      for (const bucket of ['s3://models/', 'arn:aws:s3:::models/']) {
        expect(fold(bucket + run, true)).toBe(bucket + run);
        expect(fold(bucket + run, false)).toContain('{id}');
      }
    }
    expect(fold('s3://stack-models-1m6kd7sk3p9jz/flight-delay-q7x0zt31lkpw', true)).toBe(
      's3://stack-models-{id}/flight-delay-q7x0zt31lkpw',
    );
    expect(fold('copy s3://a/k to Stack-Queue-XN0J2VGF8R5E', true)).toBe('copy s3://a/k to Stack-Queue-{id}');
  });

  test('is a UUID by itself only where it is the name of a key', () => {
    const uuid = '1234abcd-12ab-34cd-56ef-1234567890ab';
    const folder = folderOf();
    expect(folder.fold('staging', uuid, { isKeyId: true })).toMatchObject({ text: '{id}', ids: [uuid] });
    expect(folder.fold('staging', uuid)).toMatchObject({ text: uuid, ids: [] });
  });
});

test('a text without anything of its environment is the same, whatever it says', () => {
  const folder = folderOf();
  fc.assert(
    fc.property(fc.stringMatching(/^[a-z ,.%_]{0,40}$/), (text) => {
      fc.pre(!text.includes('staging'));
      expect(folder.fold('staging', text)).toEqual({ text, used: [], ids: [] });
    }),
    { numRuns: 300, seed: 1 },
  );
});

test('what both environments call alike folds alike', () => {
  const folder = folderOf();
  const word = fc.constantFrom(
    '{a}',
    '{r}',
    '{r}b',
    '{e}',
    '{E}',
    'flight{E}',
    'flight{E}Delay',
    '{e}Delay',
    'v2',
  );
  const separator = fc.constantFrom('-', '/', ':', '_', '.', ' ', '://', '--');
  const part = fc.tuple(word, separator).map((pair) => pair.join(''));
  fc.assert(
    fc.property(fc.array(part, { maxLength: 8 }), (parts) => {
      const render = (account: string, region: string, name: string) =>
        parts
          .join('')
          .replaceAll('{a}', account)
          .replaceAll('{r}', region)
          .replaceAll('{e}', name)
          .replaceAll('{E}', name.charAt(0).toUpperCase() + name.slice(1));
      expect(folder.fold('staging', render('111111111111', 'eu-west-1', 'staging')).text).toBe(
        folder.fold('production', render('222222222222', 'us-east-1', 'production')).text,
      );
    }),
    { numRuns: 1000, seed: 1 },
  );
});
