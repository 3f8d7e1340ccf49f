import { isUtf8 } from 'node:buffer';
import { durationOf } from './quantities.ts';
import { isRandom } from './randomness.ts';

/*
 * How secrets are recognised: by the key that they stand at, and by what they look like. What is taken for one by mistake is
 * compared all the same, by its hash. Pure.
 */

// ---------------------------------------------------------------------------------------------------------
// Keys
// ---------------------------------------------------------------------------------------------------------

/** Wherever they stand in a key, over its words: `DB_PASSWORD`, `dbpassword`, `apiKey`, `api-key`. */
const FRAGMENTS =
  /passw(?:or)?d|passphrase|passcode|secret|credential|(?:api|access|private|signing|encryption|shared|account|master|storage|licen[cs]e|auth|ssh|rsa|hmac|service|subscription|app|application|admin|deploy|consumer|symmetric|client|host)keys?|conn(?:ection)?string|connstr$|webhook|authtoken|accesstoken|privkey|passwort|kennwort|motdepasse|contrase|wachtwoord|senha/;

/** Words that people write together: `DBPWD`, `userpass`, `REDISAUTH`. */
const JOINED =
  /^(?:db|user|root|admin|ssh|pg|my|sql|mysql|postgres|redis|ftp|smtp|mail|proxy|login|bind|key|store)(?:pass|pwd|pw|auth)$/;

const WORDS = new Set([
  ...['pwd', 'pw', 'auth', 'authorization', 'authentication', 'oauth', 'dsn', 'cookie', 'cookies', 'session'],
  ...['sessions', 'signature', 'signatures', 'sig', 'salt', 'bearer', 'cert', 'certs', 'certificate', 'pem'],
  ...['certificates', 'pfx', 'keystore', 'kubeconfig', 'jwt', 'otp', 'totp', 'sas', 'cred', 'creds', 'hmac'],
]);

/** They say how much, how long or whether: a number beside them is no secret. */
const MEASURES = new Set([
  ...['max', 'min', 'num', 'count', 'counts', 'limit', 'length', 'len', 'size', 'window', 'budget', 'ttl'],
  ...['timeout', 'expiry', 'expires', 'expiration', 'age', 'days', 'hours', 'minutes', 'seconds', 'ms'],
  ...[
    'interval',
    'retries',
    'attempts',
    'rotation',
    'pad',
    'eos',
    'bos',
    'unk',
    'sep',
    'cls',
    'mask',
    'vocab',
  ],
  ...[
    'special',
    'enabled',
    'enable',
    'disabled',
    'disable',
    'use',
    'required',
    'require',
    'optional',
    'verify',
  ],
]);

/** A key that ends so names where a secret is, or how it is made: `SECRET_NAME`, `authType`. */
const REFERENCES = new Set([
  ...['name', 'names', 'arn', 'arns', 'path', 'prefix', 'url', 'uri', 'endpoint', 'host', 'port', 'region'],
  ...['type', 'mode', 'method', 'scheme', 'provider', 'algorithm', 'version', 'policy', 'format', 'header'],
  ...['manager', 'store', 'service', 'issuer', 'audience', 'column', 'field', 'table', 'bucket', 'parameter'],
]);

/** Places that are secret themselves. */
const SECRET_PLACE = /webhook|signed|sas|dsn|conn/;

function wordsOf(key: string): string[] {
  return (key.match(/[A-Z]+(?![a-z])|[A-Z]?[a-z]+/g) ?? []).map((word) => word.toLowerCase());
}

/** Whether what stands at a key is a secret, by the words of the key. */
function isSecretKey(words: readonly string[]): boolean {
  const joined = words.join('');
  const last = words.at(-1) ?? '';
  const isSecret =
    FRAGMENTS.test(joined) ||
    last === 'pass' ||
    words.some((word) => WORDS.has(word) || JOINED.test(word) || /tokens?$/.test(word));
  if (!isSecret) return false;
  const isReference = REFERENCES.has(last) || (last === 'id' && words.at(-2) === 'secret');
  return !isReference || SECRET_PLACE.test(joined);
}

/** What a number, a length of time or a special token such as `</s>` looks like. */
function isMeasure(value: unknown): boolean {
  if (typeof value !== 'string') return true;
  return (
    /^(?:[-+]?\d{1,9}(?:\.\d{1,9})?|true|false|yes|no|on|off)$/i.test(value) ||
    durationOf(value) !== undefined ||
    /^(?:<\/?\|?[a-z_]{1,12}\|?>|\[[A-Z]{2,5}\])$/.test(value)
  );
}

/** Whether the value at a key is a secret, or all that is below it. */
export function isSecretAt(key: string, value: unknown): boolean {
  if (key.length > MOST_KEY) return false;
  const words = wordsOf(key);
  // Tests are passed, too, and headers are passed through.
  if (!isSecretKey(words))
    return words.includes('pass') && !REFERENCES.has(words.at(-1) ?? '') && !isMeasure(value);
  return !(isScalar(value) && words.some((word) => MEASURES.has(word)) && isMeasure(value));
}

/** Longer keys are none: they are looked at as texts. */
const MOST_KEY = 512;

function isScalar(value: unknown): boolean {
  return value === null || typeof value !== 'object';
}

/** Whether a text is no secret, wherever it stands: it says where one is. */
export function isReference(text: string): boolean {
  return (
    /^arn:aws[a-z-]*:[a-z0-9-]+:[a-z0-9-]*:\d{12}:[\w+=,.@/:*-]{1,1024}$/.test(text) ||
    /^\{\{resolve:(?:secretsmanager|ssm|ssm-secure):[\w+=,.@/:-]{1,1024}\}\}$/.test(text)
  );
}

/** Keys of hashes and versions, which are as random as secrets are. */
export function isDigestKey(key: string): boolean {
  return (
    key === 'code' ||
    /(?:sha(?:1|256|512)?|md5|digest|checksum|etag|version(?:_?id)?|commit|fingerprint)$/i.test(key)
  );
}

// ---------------------------------------------------------------------------------------------------------
// Texts
// ---------------------------------------------------------------------------------------------------------

/** What is a secret by its shape, wherever in a text. */
const SHAPES = new RegExp(
  [
    // AWS: ids of access keys.
    '\\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}(?![A-Za-z0-9])',
    '-----BEGIN [A-Z0-9 ]+-----',
    // JSON Web Tokens.
    '\\beyJ[\\w-]{6,1000}\\.[\\w-]{4,}',
    // GitHub, GitLab, Slack, Google, Hugging Face, npm, PyPI, SendGrid, Shopify, Databricks, DigitalOcean, Stripe.
    '\\bgh[pousr]_\\w{16,}',
    '\\bgithub_pat_\\w{20,}',
    '\\bglpat-[\\w-]{16,}',
    '\\bxox[a-z]-[\\w-]{8,}',
    '\\bxapp-[\\w-]{8,}',
    '\\bAIza[\\w-]{30,}',
    '\\bya29\\.[\\w-]{16,}',
    '\\bhf_[A-Za-z0-9]{16,}',
    '\\bnpm_[A-Za-z0-9]{30,}',
    '\\bpypi-[\\w-]{30,}',
    '\\bSG\\.[\\w-]{16,}\\.[\\w-]{16,}',
    '\\bshp(?:at|ca|pa|ss)_[\\w-]{16,}',
    '\\bdapi[0-9a-f]{32}',
    '\\bdo[opr]_v1_[0-9a-f]{32,}',
    '\\b(?:sk|rk|pk|whsec)_(?:(?:live|test)_)?[A-Za-z0-9]{16,}',
    '\\bsk-(?=[\\w-]{0,200}[A-Z])(?=[\\w-]{0,200}\\d)[\\w-]{16,}',
    // Addresses that let everybody write who knows them.
    'hooks\\.slack\\.com/(?:services|workflows|triggers)/\\S',
    'discord(?:app)?\\.com/api/webhooks/\\S',
    '\\.webhook\\.office\\.com/\\S',
    '[?&](?:key|code)=(?=[A-Za-z_]*\\d)(?=\\d*[A-Za-z])\\w{10,}',
    // User and password of a database of Oracle.
    'thin:[^\\s/@:]+/[^\\s@]+@',
  ].join('|'),
);

/** User and password, or a token alone, before a host. A port and a path are neither. */
const USER =
  /:\/\/[^\s/?#:@]{0,200}:(?!\d{1,5}\/)\S{1,1000}@|:\/\/[^\s/?#:@]{16,400}@|(?:^|[\s"'=,;])[\w.+-]{1,100}:[^\s:@/]{1,200}@(?!sha\d)[\w(]/;

const HEADER = /\b(bearer|basic)\s+([A-Za-z0-9._~+/=-]{4,})/gi;

/** A name and what it is set to: `password=x`, `Password: x`, `"password":"x"`, `api key = x`. */
const ASSIGNMENT =
  /(?<![\w.])(?:([A-Za-z]{1,20}) )?([A-Za-z][\w.-]{0,100})["'\]\\]{0,3}\s{0,3}(=>?|:)(?=\s{0,3}[\\"']{0,2}([^\s"'&;,})]+))/g;

/** `the password is x1`, `DB_PASSWORD x1`: with a letter and a digit, else it is what is said of one. */
const SENTENCE =
  /(?<![A-Za-z])(?:pass(?:word|wd|phrase|code)|pwd|pw|secret|token)\s+(?:is\s+|was\s+)?["'`]?(?!arn:|[a-z][a-z0-9+]*:\/\/|\/)(?=[^\s"'`]*\d)(?=[^\s"'`]*[A-Za-z])[^\s"'`]{6,}/i;

/** `<password>x</password>` */
const ELEMENT = /<([A-Za-z][\w.:-]{0,100})(?:\s[^<>]{0,200})?>([^<>]+)<\//g;

const FLAG = /(?<![\w-])--?([A-Za-z][\w-]{0,100})\s+["']?([^\s"'-][^\s"']*)/g;

/** The flag of a command line whose value is a secret: `--db-password`. */
export function isSecretFlag(text: string): boolean {
  const flag = /^--?([A-Za-z][\w-]{0,100})$/.exec(text);
  return flag !== null && isSecretKey(wordsOf(flag[1] as string));
}

/** Whether a secret is somewhere in a text that is no JSON. */
export function isSecretText(text: string, isDigest = false): boolean {
  // So short a word has no shape, and "a=b" is no shorter where a names a secret.
  if (text.length < 5 || (text.length < 13 && /^[\w.-]*$/.test(text))) return false;
  let plain = text;
  for (let times = 0; times < 3; times++) {
    if (isSecretAsIs(plain, isDigest)) return true;
    const next = unescaped(plain);
    if (next === plain) return false;
    plain = next;
  }
  // Nobody writes so who has nothing to hide.
  return true;
}

function isSecretAsIs(text: string, isDigest: boolean): boolean {
  return (
    SHAPES.test(text) ||
    SENTENCE.test(text) ||
    (text.includes('@') && USER.test(text)) ||
    hasHeader(text) ||
    hasAssignment(text) ||
    (!isDigest && hasOpaque(text))
  );
}

/** With `=` for `%3D`. */
function unescaped(text: string): string {
  if (!/%[0-9A-Fa-f]{2}/.test(text)) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function hasHeader(text: string): boolean {
  for (const [, scheme = '', token = ''] of text.matchAll(HEADER)) {
    if (scheme.toLowerCase() === 'bearer') {
      if (token.length >= 8) return true;
    } else if (decoded(token)?.includes(':') === true) return true;
  }
  return false;
}

function hasAssignment(text: string): boolean {
  for (const { 1: before, 2: key = '', 3: sign, 4: value = '', index } of text.matchAll(ASSIGNMENT)) {
    if (sign === ':' && isPlace(text, index)) continue;
    const isOfTwoWords = before !== undefined && /^(?:keys?|string)$/i.test(key);
    if (isSecretAt(isOfTwoWords ? `${before} ${key}` : key, value)) return true;
  }
  for (const [, key = '', value = ''] of text.matchAll(FLAG)) if (isSecretAt(key, value)) return true;
  for (const [, key = '', value = ''] of text.matchAll(ELEMENT)) if (isSecretAt(key, value)) return true;
  return false;
}

/** Whether a colon is within an ARN, a dynamic reference or the tag of an image, so that it sets nothing. */
function isPlace(text: string, index: number): boolean {
  if (text[index - 1] === '/') return true;
  const before = text.slice(Math.max(0, index - MOST_PLACE), index);
  const start = Math.max(...[' ', '"', "'", ',', '='].map((end) => before.lastIndexOf(end))) + 1;
  return /^(?:arn:aws|\{\{resolve:)/.test(before.slice(start));
}

const MOST_PLACE = 300;

/** What a text says in Base64, where that is a text; undefined where it is none. */
export function decoded(text: string): string | undefined {
  if (!/^[A-Za-z0-9+/_-]{4,}={0,2}$/.test(text) || text.replace(/=+$/, '').length % 4 === 1) return undefined;
  const bytes = Buffer.from(text, 'base64');
  // Of random bytes one in ten is a control character.
  if (bytes.some((byte) => byte < 9 || (byte > 13 && byte < 32) || byte === 127)) return undefined;
  return isUtf8(bytes) ? bytes.toString('utf8') : undefined;
}

// ---------------------------------------------------------------------------------------------------------
// Tokens that look like nothing else
// ---------------------------------------------------------------------------------------------------------

const LEAST_OPAQUE = 20;

/** What is random and no secret: places, digests, and ids that AWS makes up. */
const KNOWN = new RegExp(
  [
    'arn:aws[a-z-]*:[a-z0-9-]+:[\\w-]*:(?:\\d{12}|aws)?:[\\w+=,.@/:*-]+',
    's3[an]?://[^\\s"\'<>?]+',
    '\\d{12}\\.dkr\\.ecr\\.[\\w./:@-]+',
    '(?<![A-Za-z0-9])[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}(?![A-Za-z0-9])',
    '(?<![A-Za-z0-9])(?:[0-9a-f]{128}|[0-9a-f]{96}|[0-9a-f]{64}|[0-9a-f]{56}|[0-9a-f]{40}|[0-9a-f]{32})(?![A-Za-z0-9])',
    '(?<=[a-z]-)(?:[0-9a-f]{17}|[0-9a-f]{8})(?![A-Za-z0-9])',
    // Of the CDK and of CloudFormation.
    '[0-9A-F]{8}(?![A-Za-z0-9])',
    '(?<=[A-Za-z0-9]-)[A-Za-z0-9]{12,13}(?![A-Za-z0-9_-])',
    '(?<![A-Za-z0-9])20\\d\\d-?[01]\\d-?[0-3]\\d[-T_:.0-9]*Z?',
  ].join('|'),
  'g',
);

const RUN = /[A-Za-z0-9+/=_~-]{20,}/g;

/** Whether a long token is in a text that nobody has chosen, and that is nothing else. */
function hasOpaque(text: string): boolean {
  // Few texts have one, and to take away what is known costs more than to look.
  return text.length >= LEAST_OPAQUE && hasOpaqueRun(text) && hasOpaqueRun(text.replace(KNOWN, ' '));
}

function hasOpaqueRun(text: string): boolean {
  for (const run of text.match(RUN) ?? []) {
    const pieces = run.split(/[+/=_~-]+/).filter((piece) => piece !== '');
    if (pieces.some((piece) => piece.length >= LEAST_OPAQUE && isOpaque(piece))) return true;
    // Base64 has few hyphens and slashes, and letters of both cases and digits between them.
    if (run.length >= 5 * pieces.length && isMixed(run) && isOpaque(run)) return true;
  }
  return false;
}

function isMixed(token: string): boolean {
  return /[a-z]/.test(token) && /[A-Z]/.test(token) && /\d/.test(token);
}

function isOpaque(token: string): boolean {
  return isRandom(token) && !/^\d+$/.test(token) && new Set(token).size >= 8;
}
