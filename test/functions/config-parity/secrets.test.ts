import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Json } from '../../../functions/config-parity/json.ts';
import { isGenuine, sanitise } from '../../../functions/config-parity/secrets.ts';
import { SnapshotSink } from '../../../functions/config-parity/snapshot.ts';
import { sha256 } from '../../../functions/shared/identity.ts';

const HASH = /^sha256:[0-9a-f]{16}$/;

/** A fixed text of so many letters and digits that nobody has chosen, from a number. */
function token(seed: number, length: number, alphabet: string): string {
  let state = seed >>> 0;
  return Array.from({ length }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return alphabet[(state >>> 8) % alphabet.length];
  }).join('');
}

const MIXED = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';
const T = token(7, 40, MIXED);

const base64 = (text: string) => Buffer.from(text).toString('base64');

describe('a secret by its key', () => {
  test.each([
    ...['password', 'PASSWORD', 'DB_PASSWORD', 'dbPassword', 'db-password', 'DBPASSWORD', 'passwd', 'DB_PWD'],
    ...[
      'DB_PASS',
      'passphrase',
      'clientSecret',
      'SECRET',
      'secrets',
      'token',
      'API_TOKEN',
      'authToken',
      'hftoken',
    ],
    ...[
      'refresh_tokens',
      'apiKey',
      'API_KEY',
      'api-key',
      'APIKEY',
      'X-API-Key',
      'AWS_ACCESS_KEY_ID',
      'accessKey',
    ],
    ...[
      'AWS_SECRET_ACCESS_KEY',
      'privateKey',
      'SIGNING_KEY',
      'encryptionKey',
      'credentials',
      'creds',
      'auth',
    ],
    ...[
      'Authorization',
      'connectionString',
      'CONNECTION_STRING',
      'connstr',
      'SENTRY_DSN',
      'cookie',
      'sessionId',
    ],
    ...[
      'signature',
      'HASH_SALT',
      'bearer',
      'tlsCert',
      'client_pem',
      'JWT',
      'password1',
      'SAS_TOKEN',
      'SAS_URL',
    ],
    ...['TEAMS_WEBHOOK_URL', 'KAFKA_KEYSTORE', 'pass'],
    ...['LDAP_BIND_PW', 'DBPWD', 'userpass', 'SSHPASS', 'REDISAUTH', 'PRIVKEY', 'Passwort', 'contraseña'],
  ])('%s', (key) => {
    expect(sanitise({ [key]: 'tulip' }, 's')).toEqual({ [key]: expect.stringMatching(HASH) });
    expect(sanitise({ environment: { [key]: { any: ['tulip', 5, true, null, ''] } } }, 's')).toEqual({
      environment: {
        [key]: {
          any: [
            expect.stringMatching(HASH),
            expect.stringMatching(HASH),
            expect.stringMatching(HASH),
            null,
            '',
          ],
        },
      },
    });
  });

  test.each<[string, Json]>([
    ['tokenizer', 'bert'],
    ['TOKENIZERS_PARALLELISM', 'false'],
    ['max_tokens', 512],
    ['MAX_TOKENS', '512'],
    ['TOKEN_COUNT', '1000'],
    ['tokenTtlSeconds', 3600],
    ['SESSION_TIMEOUT', '30m'],
    ['EOS_TOKEN', '</s>'],
    ['PAD_TOKEN', '[PAD]'],
    ['AUTH_ENABLED', 'true'],
    ['secretArn', 'arn:aws:secretsmanager:eu-west-1:111111111111:secret:db-AbCdEf'],
    ['DB_SECRET', 'arn:aws:secretsmanager:eu-west-1:111111111111:secret:db-AbCdEf'],
    ['password', '{{resolve:secretsmanager:db:SecretString:password}}'],
    ['SECRET_NAME', 'flight/staging/db'],
    ['SECRET_ID', 'flight/staging/db'],
    ['authType', 'NONE'],
    ['AUTH_URL', 'https://login.example.com/'],
    ['kmsKey', 'alias/flight'],
    ['partitionKeys', 'day'],
    ['CONFIG_KEY', 'tocsin.json'],
    ['author', 'Ada'],
    ['monkey', 'bars'],
    ['passThrough', 'yes'],
    ['pass_rate', '0.5'],
    ['certainty', 'high'],
    ['saltwater', 'no'],
    ['key', 'value'],
  ])('is not %s: %j', (key, value) => {
    expect(sanitise({ [key]: value }, 's')).toEqual({ [key]: value });
  });

  test.each(['DB_PASS_PROD', 'PASS_DB', 'mysqlPassOld'])('is %s, unless what passes is counted', (key) => {
    expect(sanitise({ [key]: 'tulip' }, 's')).toEqual({ [key]: expect.stringMatching(HASH) });
    expect(sanitise({ [key]: '0.5' }, 's')).toEqual({ [key]: '0.5' });
  });

  test('is no number only where the key says how much', () => {
    expect(sanitise({ MAX_TOKENS: 'tulip', pin_secret: 7 }, 's')).toEqual({
      MAX_TOKENS: expect.stringMatching(HASH),
      pin_secret: expect.stringMatching(HASH),
    });
  });

  test('is beside its name', () => {
    for (const [name, value] of [
      ['name', 'value'],
      ['Name', 'Value'],
      ['Key', 'Value'],
      ['key', 'value'],
      ['Name', 'DefaultValue'],
      ['name', 'defaultValue'],
      ['ParameterKey', 'ParameterValue'],
      ['name', 'values'],
    ] as const) {
      expect(sanitise([{ [name]: 'DB_PASSWORD', [value]: ['tulip'], Type: 'String' }], 's')).toEqual([
        { [name]: 'DB_PASSWORD', [value]: [expect.stringMatching(HASH)], Type: 'String' },
      ]);
    }
  });

  test('is beside the flag of a command line', () => {
    expect(sanitise(['serve', '--db-password', 'tulip', '--port', '80'], 's')).toEqual([
      'serve',
      '--db-password',
      expect.stringMatching(HASH),
      '--port',
      '80',
    ]);
  });

  test('is not a column that is called so', () => {
    const columns = [{ name: 'session_token', type: 'string', comment: 'who asked' }];
    expect(sanitise({ columns }, 's')).toEqual({ columns });
  });

  test('is that of a parameter with such a path, and of a secure one', () => {
    const sink = new SnapshotSink('flights');
    const add = (physical: string, value: Json) =>
      sink.add({ kind: 'parameters', name: 'p', physical, value });
    add('/flights/db/password', { type: 'String', value: 'tulip' });
    add('/flights/threshold', { type: 'SecureString', value: 'tulip' });
    add('/flights/secrets/list', { type: 'StringList', value: ['tulip', 'rose'] });
    add('/flights/carriers', { type: 'StringList', value: ['AA', 'DL'] });
    expect(sink.part.resources.map(({ value }) => value)).toEqual([
      { type: 'String', value: expect.stringMatching(HASH) },
      { type: 'SecureString', value: expect.stringMatching(HASH) },
      { type: 'StringList', value: [expect.stringMatching(HASH), expect.stringMatching(HASH)] },
      { type: 'StringList', value: ['AA', 'DL'] },
    ]);
  });
});

/** Secrets that are known by their looks, each with the part that must not be seen. */
const SHAPES: readonly string[] = [
  `AKIA${token(1, 16, 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567')}`,
  `ASIA${token(2, 16, 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567')}`,
  token(3, 40, `${MIXED}+/`),
  token(4, 32, MIXED),
  token(5, 44, `${MIXED}-_`),
  token(6, 24, 'abcdefghijklmnopqrstuvwxyz0123456789'),
  token(8, 52, 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'),
  `-----BEGIN RSA PRIVATE KEY-----\n${T}\n-----END RSA PRIVATE KEY-----`,
  '-----BEGIN CERTIFICATE-----\ntulip\n-----END CERTIFICATE-----',
  `${base64('{"alg":"HS256"}').replaceAll('=', '')}.${base64('{"sub":"tulips"}').replaceAll('=', '')}.dHVsaXA`,
  'postgres://flights:tulip@db.example.com:5432/flights',
  'https://flights:tu:li@p@example.com/x',
  'redis://:tulip@cache:6379',
  'flights:tulip@tcp(db:3306)/flights',
  `https://${token(9, 32, '0123456789abcdef')}@sentry.example.com/1`,
  's3.example.com/x?X-Amz-Credential=tulip&X-Amz-Signature=rose',
  'https://x.blob.example.net/c?sv=2026&sig=tulip%3D',
  'https://example.com/?api%5Fkey=tulip',
  `ghp_${token(10, 36, MIXED)}`,
  `github_pat_${token(11, 30, MIXED)}`,
  `glpat-${token(12, 20, MIXED)}`,
  'xoxb-123456789012-tulip',
  `sk-proj-${token(13, 40, MIXED)}`,
  `sk_live_${token(14, 24, MIXED)}`,
  `AIza${token(15, 35, MIXED)}`,
  `hf_${token(16, 34, MIXED)}`,
  'Bearer tulip.rose',
  `Basic ${base64('u:p')}`,
  'curl -H "Authorization: tulip"',
  'user=flights password=tulip host=db',
  'Server=db;Pwd=tulip;',
  'DefaultEndpointsProtocol=https;AccountKey=tulip==',
  '--token tulip --port 80',
  '-Djavax.net.ssl.keyStorePassword=tulip',
  'password: tulip',
  'api key = tulip',
  '{"password": "tulip", truncated',
  '<db><password>tulip</password></db>',
  'https://hooks.slack.com/services/T0/B0/tulip',
  base64('password=tulip\nuser=flights'),
  base64('{"db":{"password":"tulip"}}'),
];

describe('a secret by its looks', () => {
  test.each(SHAPES)('%s', (secret) => {
    expect(sanitise({ environment: { SETTING: secret } }, 's')).toEqual({
      environment: { SETTING: expect.stringMatching(HASH) },
    });
  });

  test.each([
    'the password is Tulip77',
    'Use the password "Tulip77" to log in',
    'DB_PASSWORD Tulip77',
    'secret: Tulip77',
    'https://scores.example.com/api?code=Tulip77Tulip77',
    'jdbc:oracle:thin:scott/tiger@//db:1521/x',
  ])('%s', (text) => {
    expect(sanitise({ description: text }, 's')).toEqual({ description: expect.stringMatching(HASH) });
  });

  test.each([
    'the password is rotated every month',
    'reads the secret arn:aws:secretsmanager:eu-west-1:111111111111:secret:db-AbCdEf',
    'https://scores.example.com/api?key=flights&code=200',
  ])('is not what is said of one: %s', (text) => {
    expect(sanitise({ description: text }, 's')).toEqual({ description: text });
  });

  test('is also looked for in keys', () => {
    const [key = ''] = Object.keys(sanitise({ [SHAPES[0] as string]: 1 }, 's') as object);
    expect(key).toMatch(HASH);
  });

  test.each([
    'production',
    'ml.g4dn.12xlarge',
    'arn:aws:iam::111111111111:role/Stack-GateRole3F2A1B4C-x8Jk2LmNoPqR',
    'arn:aws:secretsmanager:eu-west-1:111111111111:secret:prod/db-AbCdEf',
    'arn:aws:kms:eu-west-1:111111111111:key/1234abcd-12ab-34cd-56ef-1234567890ab',
    'arn:aws:sagemaker:eu-west-1:111111111111:model-package/flight-delay/3',
    's3://sagemaker-eu-west-1-111111111111/pipelines-3xk2j1h4g5f6-Train-AbCdEf1234/output/model.tar.gz',
    'stack-modelbucketabcd1234-1m6kd7sk3p9jz',
    'Stack-GateFunction3F2A1B4C-x8Jk2LmNoPqR',
    'FlightDelayQualityGateFunctionServiceRoleDefaultPolicy3F2A1B4C',
    '763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-inference:2.1.0-cpu-py310-ubuntu20.04-sagemaker',
    `111111111111.dkr.ecr.eu-west-1.amazonaws.com/flights@sha256:${'0a1b'.repeat(16)}`,
    `sha256:${'0a1b'.repeat(16)}`,
    '1234abcd-12ab-34cd-56ef-1234567890ab',
    '0a1b2c3d4e5f60718293a4b5c6d7e8f901234567',
    'subnet-0ab1c2d3e4f5a6b7c',
    'docker.io/flights/auth:1.2.3',
    'https://sqs.eu-west-1.amazonaws.com/111111111111/flights-Queue4A7E3555-pWq3aZk9LmNo',
    'http://127.0.0.1:8080/ping@v2',
    'org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe',
    'sagemaker-scikit-learn-2026-11-22-10-30-15-123',
    'cron(0 10 * * ? *)',
    'Basic monitoring enabled',
    'max_tokens=512, tokenizer=bert',
    'dep_delay,arr_delay,carrier,origin,destination,scheduled_departure_minutes',
    'The tokens are counted per request; alarms go to the owners.',
    base64('{"scaler":"standard","version":3}'),
    'task-learn-flight-delay-model',
    'x'.repeat(64),
  ])('is not %s', (text) => {
    expect(sanitise({ SETTING: text }, 's')).toEqual({ SETTING: text });
  });

  test('is not what says in Base64 what is set', () => {
    const plain = base64('MODE=live; REGION=eu-west-1; WINDOW=90');
    const secret = base64('MODE=live; PASSWORD=tulip; WINDOW=90');
    expect(sanitise({ plain, secret }, 's')).toEqual({ plain, secret: expect.stringMatching(HASH) });
  });

  test('is what an ARN has in it, though it stands where a secret is looked up', () => {
    const arn = 'arn:aws:secretsmanager:eu-west-1:111122223333:secret:';
    expect(sanitise({ secret: `${arn}flights` }, 's')).toEqual({ secret: `${arn}flights` });
    expect(sanitise({ secret: `${arn}AKIAIOSFODNN7EXAMPLE` }, 's')).toEqual({
      secret: expect.stringMatching(HASH),
    });
  });

  test('is not the hash of code', () => {
    const code = Buffer.from(token(17, 32, MIXED)).toString('base64');
    expect(sanitise({ code, codeSha256: code, other: code }, 's')).toEqual({
      code,
      codeSha256: code,
      other: expect.stringMatching(HASH),
    });
  });
});

describe('JSON within a text', () => {
  test('keeps what is no secret', () => {
    const text = '{ "db": {"user": "flights", "password": "tulip"}, "max": 1.50 }';
    const clean = sanitise({ SETTINGS: text }, 's') as { SETTINGS: string };
    expect(JSON.parse(clean.SETTINGS)).toEqual({
      db: { user: 'flights', password: expect.stringMatching(HASH) },
      max: 1.5,
    });
  });

  test('is as it was where it has none', () => {
    const SETTINGS = '{ "db": {"user": "flights"}, "max": 1.50 }';
    expect(sanitise({ SETTINGS }, 's')).toEqual({ SETTINGS });
  });

  test('is found in JSON within it', () => {
    const twice = JSON.stringify(JSON.stringify({ inner: JSON.stringify({ token: 'tulip' }) }));
    expect(JSON.stringify(sanitise(twice, 's'))).not.toContain('tulip');
  });
});

describe('the hash', () => {
  const hash = (value: Json, salt = 's') => sanitise({ password: value }, salt);

  test('is that of the value with its salt', () => {
    expect(hash('tulip')).toEqual(hash('tulip'));
    expect(hash('tulip')).not.toEqual(hash('rose'));
    expect(hash('tulip')).not.toEqual(hash('tulip', 'another'));
    const digits = sha256('tocsin-parity\0s\0tulip').slice(0, 16);
    expect(hash('tulip')).toEqual({ password: `sha256:${digits}` });
  });

  test('is one of whatever is too long or too deep', () => {
    expect(sanitise({ a: 'x '.repeat(600_000) }, 's')).toEqual({ a: expect.stringMatching(HASH) });
    const nested = (depth: number, core: Json): Json =>
      Array.from({ length: depth }).reduce(
        (inner: Json, _, index) => (index % 2 ? [inner] : { a: inner }),
        core,
      );
    const one = JSON.stringify(sanitise(nested(300, 'one'), 's'));
    expect(one).toMatch(/"sha256:[0-9a-f]{16}"/);
    expect(one).not.toContain('one');
    expect(one).not.toBe(JSON.stringify(sanitise(nested(300, 'two'), 's')));
    const keys = (...names: string[]) => Object.fromEntries(names.map((name) => [name, 1]));
    expect(sanitise(nested(300, keys('a', 'b')), 's')).toEqual(sanitise(nested(300, keys('b', 'a')), 's'));
    // Deeper than anything recursive can read.
    const deep = `${'['.repeat(100_000)}${']'.repeat(100_000)}`;
    expect(JSON.stringify(sanitise({ a: deep, b: JSON.parse(deep) as Json }, 's'))).toMatch(/sha256/);
  });
});

// ---------------------------------------------------------------------------------------------------------
// Whatever the value
// ---------------------------------------------------------------------------------------------------------

const SECRET_KEYS = [
  'password',
  'DB_PASSWORD',
  'apiKey',
  'auth-token',
  'clientSecret',
  'CREDENTIALS',
  'session',
];

/** JSON of words that have no letter in common with what is planted. */
const innocent = fc.letrec<{ json: Json }>((tie) => ({
  json: fc.oneof(
    { maxDepth: 4 },
    fc.stringMatching(/^[a-f -]{0,12}$/),
    fc.integer({ min: 0, max: 99 }),
    fc.boolean(),
    fc.constant(null),
    fc.array(tie('json'), { maxLength: 3 }),
    fc.dictionary(fc.stringMatching(/^[a-f_]{1,8}$/), tie('json'), { maxKeys: 3 }),
  ),
})).json;

/** Something planted anywhere in it. */
const planted = (secret: fc.Arbitrary<Json>): fc.Arbitrary<Json> =>
  fc
    .tuple(
      secret,
      fc.array(fc.tuple(fc.constantFrom('object', 'list', 'text', 'pair'), innocent), { maxLength: 4 }),
    )
    .map(([core, shells]) =>
      shells.reduce<Json>((inner, [shell, beside]) => {
        if (shell === 'list') return [beside, inner, beside];
        if (shell === 'text') return JSON.stringify({ inner, beside });
        if (shell === 'pair') return { name: 'a', value: inner, beside };
        return { beside, inner };
      }, core),
    );

const hiddenWord = fc.stringMatching(/^[Q-Z5-9!%#]{8,24}$/);

const atSecretKey = hiddenWord.chain((word) =>
  fc
    .tuple(
      fc.constantFrom(...SECRET_KEYS),
      innocent,
      fc.constantFrom('plain', 'below', 'pair', 'listed', 'base64'),
    )
    .map(([key, beside, how]): { word: string; json: Json } => {
      if (how === 'below') return { word, json: { [key]: { a: [beside, word] } } };
      if (how === 'pair') return { word, json: { name: key, value: word, beside } };
      if (how === 'listed') return { word, json: [`--${key}`, word] };
      if (how === 'base64') return { word, json: base64(JSON.stringify({ a: { [key]: word } })) };
      return { word, json: { [key]: word, beside } };
    }),
);

const containsPartOf = (output: string, secret: string) =>
  Array.from({ length: Math.max(1, secret.length - 7) }, (_, at) => secret.slice(at, at + 8)).some((part) =>
    output.includes(JSON.stringify(part).slice(1, -1)),
  );

test('no part of a planted secret is ever in the output', () => {
  const anywhere = atSecretKey.chain(({ word, json }) =>
    planted(fc.constant(json)).map((value) => ({ word, value })),
  );
  fc.assert(
    fc.property(anywhere, ({ word, value }) => {
      const output = JSON.stringify(sanitise(value, 's'));
      expect(containsPartOf(output, word)).toBe(false);
      expect(output).not.toContain(base64(word).slice(0, 8));
    }),
    { numRuns: 1500, seed: 1 },
  );
});

test('nor is one that is known by its looks', () => {
  const anywhere = fc
    .tuple(
      fc.constantFrom(...SHAPES),
      fc.constantFrom('', 'a: ', '"', 'x='),
      fc.constantFrom('', ' b', '"', ';'),
    )
    .chain(([shape, before, after]) =>
      planted(fc.constant(`${before}${shape}${after}`)).map((value) => ({ shape, value })),
    );
  fc.assert(
    fc.property(anywhere, ({ shape, value }) => {
      expect(containsPartOf(JSON.stringify(sanitise(value, 's')), shape)).toBe(false);
    }),
    { numRuns: 1500, seed: 1 },
  );
});

test('doing it twice is doing it once', () => {
  const any = fc.oneof(
    fc.jsonValue() as fc.Arbitrary<Json>,
    planted(
      fc.oneof(
        atSecretKey.map(({ json }) => json),
        fc.constantFrom(...SHAPES),
      ),
    ),
    fc.dictionary(fc.oneof(fc.string(), fc.constantFrom(...SECRET_KEYS, ...SHAPES)), fc.string()),
    fc.json(),
  );
  fc.assert(
    fc.property(any, (value) => {
      const once = sanitise(value, 's');
      expect(sanitise(once, 's')).toEqual(once);
    }),
    { numRuns: 1500, seed: 1 },
  );
});

test('what has no secret is as it was', () => {
  fc.assert(
    fc.property(innocent, (value) => {
      expect(sanitise(value, 's')).toEqual(value);
    }),
    { numRuns: 500, seed: 1 },
  );
});

test('the class of an error is genuine, what AWS said is not', () => {
  expect(isGenuine('AccessDeniedException')).toBe(true);
  expect(isGenuine('deleted while it was read')).toBe(true);
  expect(isGenuine('User: arn:aws:iam::111111111111:user/x is not authorized')).toBe(false);
  expect(isGenuine('')).toBe(false);
});
