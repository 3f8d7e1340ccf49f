import { QUALITY_TAG, QUALITY_VALUES } from '../../functions/shared/schema.ts';

/*
 * The lock: what a bucket policy must deny so that nobody reads a dataset that the gate has not passed.
 * Pure, and free of the CDK: the construct writes this policy and `tocsin doctor` verifies it.
 */

/** A key prefix (it ends in a slash) whose objects are locked until the gate passes them. */
export interface LockedPrefix {
  prefix: string;
  /** Whether an inconclusive dataset may be read, too. */
  allowInconclusive: boolean;
}

/** Everything that is locked in one bucket, and who is exempt. */
export interface Lock {
  /** `arn:aws:s3:::bucket` */
  bucketArn: string;
  prefixes: readonly LockedPrefix[];
  /** The only principal that may read what is locked *and* write tags. */
  gateRoleArn: string;
  /** Roles that may read what is locked, but write no tags. */
  breakGlass: readonly string[];
}

/** One statement of an IAM policy, as plain JSON. */
export interface LockStatement {
  Sid: string;
  Effect: 'Deny';
  Principal: '*';
  Action: string[];
  Resource: string[];
  Condition: Record<string, Record<string, string[]>>;
}

/** Largest bucket policy that S3 takes, in bytes. */
export const MAX_BUCKET_POLICY_BYTES = 20 * 1024;

/**
 * Ways to the bytes of an object; a copy, a HEAD and a query are `s3:GetObject` as well. Not here:
 * `s3:GetObjectVersionForReplication`, which cannot be denied by tag, so that denying it would switch replication
 * off. A replica needs a lock of its own.
 */
const READ = ['s3:GetObject', 's3:GetObjectVersion', 's3:GetObjectTorrent', 's3:GetObjectVersionTorrent'];

/**
 * Ways to write or remove a tag. `s3:PutObjectTagging` also covers tags that arrive with PutObject, CopyObject
 * or a multi-part upload, `s3:ReplicateTags` those that arrive by replication.
 */
const TAG = [
  's3:PutObjectTagging',
  's3:PutObjectVersionTagging',
  's3:DeleteObjectTagging',
  's3:DeleteObjectVersionTagging',
  's3:ReplicateTags',
];

const TAG_KEY = `s3:ExistingObjectTag/${QUALITY_TAG}`;
const PRINCIPAL_KEY = 'aws:PrincipalArn';

/**
 * The statements that lock a bucket.
 *
 * Both conditions are negated, and a negated condition holds where its key is absent: an object with no tag is
 * locked, and so is a caller with no ARN (anonymous, or an AWS service). `aws:PrincipalArn` is the role's ARN in
 * every session of that role.
 */
export function lockStatements(lock: Lock): LockStatement[] {
  const objects = (prefixes: readonly LockedPrefix[]) =>
    prefixes.map(({ prefix }) => `${lock.bucketArn}/${prefix}*`);
  const readers = [lock.gateRoleArn, ...lock.breakGlass];
  const strict = lock.prefixes.filter(({ allowInconclusive }) => !allowInconclusive);
  const lenient = lock.prefixes.filter(({ allowInconclusive }) => allowInconclusive);
  const statements: LockStatement[] = [
    { Sid: 'TocsinLockUnlessPassed', ...denyRead(objects(strict), readableValues(false), readers) },
    { Sid: 'TocsinLockUnlessNotFailed', ...denyRead(objects(lenient), readableValues(true), readers) },
    {
      Sid: 'TocsinOnlyTheGateTags',
      Effect: 'Deny',
      Principal: '*',
      Action: TAG,
      Resource: objects(lock.prefixes),
      Condition: { ArnNotLike: { [PRINCIPAL_KEY]: [lock.gateRoleArn] } },
    },
  ];
  return statements.filter((statement) => statement.Resource.length > 0);
}

function denyRead(resources: string[], values: string[], readers: string[]): Omit<LockStatement, 'Sid'> {
  return {
    Effect: 'Deny',
    Principal: '*',
    Action: READ,
    Resource: resources,
    Condition: { StringNotEquals: { [TAG_KEY]: values }, ArnNotLike: { [PRINCIPAL_KEY]: readers } },
  };
}

function readableValues(allowInconclusive: boolean): string[] {
  return allowInconclusive ? [QUALITY_VALUES.pass, QUALITY_VALUES.inconclusive] : [QUALITY_VALUES.pass];
}

/** Upper bound of the size of {@link lockStatements} in bytes, before the names of role and bucket are known. */
export function lockPolicyBytes(prefixes: readonly LockedPrefix[], breakGlass: readonly string[]): number {
  const longest = { bucketArn: `arn:aws-us-gov:s3:::${'b'.repeat(63)}`, gateRoleArn: 'r'.repeat(110) };
  return JSON.stringify(lockStatements({ ...longest, prefixes, breakGlass })).length;
}

// ---------------------------------------------------------------------------------------------------------
// Verifying the policy that a bucket really has
// ---------------------------------------------------------------------------------------------------------

/** One way in which a bucket policy is not the lock. */
export interface LockProblem {
  prefix: string;
  /** `open`: somebody can get past the lock. `too-strict`: it keeps out somebody whom it should let in. */
  kind: 'open' | 'too-strict';
  /** A whole sentence: what is wrong, and where. */
  message: string;
}

/** A statement of any bucket policy, as far as verifying needs it. */
interface AnyStatement {
  Sid?: string;
  Effect?: string;
  Principal?: string | { AWS?: string | string[] };
  Action?: string | string[];
  Resource?: string | string[];
  Condition?: Record<string, Record<string, string | string[]>>;
}

/** A condition that a statement of the lock may have: these operators, exactly these values. */
interface Allowance {
  key: string;
  operators: string[];
  values: string[];
  /** Says what it means that a value is exempt. */
  exempts: (value: string) => string;
}

/**
 * What is missing from, or too much in, the policy of a bucket. The lock may be there in other words: merged
 * with other statements, with wildcards, with more actions, without an exemption.
 *
 * @param policy text of the bucket's policy, as GetBucketPolicy returns it; undefined where the bucket has none
 * @returns nothing where the lock holds
 */
export function missingLocks(policy: string | undefined, lock: Lock): LockProblem[] {
  const document = policy === undefined ? {} : (JSON.parse(policy) as { Statement?: unknown });
  const statements = [document.Statement ?? []].flat() as AnyStatement[];
  return lock.prefixes.flatMap(({ prefix, allowInconclusive }) => {
    const resource = `${lock.bucketArn}/${prefix}`;
    const principals = (values: string[]): Allowance => ({
      key: PRINCIPAL_KEY,
      operators: ['ArnNotLike', 'ArnNotEquals', 'StringNotLike', 'StringNotEquals'],
      values,
      exempts: (value) => value,
    });
    const tag: Allowance = {
      key: TAG_KEY,
      operators: ['StringNotEquals', 'StringNotLike'],
      values: readableValues(allowInconclusive),
      exempts: (value) => `whoever finds ${QUALITY_TAG}=${value}`,
    };
    return [
      ...verify(statements, prefix, resource, 'reading', READ, [
        tag,
        principals([lock.gateRoleArn, ...lock.breakGlass]),
      ]),
      ...verify(statements, prefix, resource, 'tagging', TAG, [principals([lock.gateRoleArn])]),
    ];
  });
}

function verify(
  statements: readonly AnyStatement[],
  prefix: string,
  resource: string,
  what: string,
  actions: readonly string[],
  allowances: readonly Allowance[],
): LockProblem[] {
  const uncovered: string[] = [];
  const gaps = new Set<string>();
  const strictness = new Set<string>();
  for (const action of actions) {
    let covered = false;
    for (const [index, statement] of statements.entries()) {
      if (!denies(statement, action, resource)) continue;
      const name = statement.Sid ?? `number ${index + 1}`;
      const { gap, keptOut } = compare(statement, allowances);
      if (gap === undefined) {
        covered = true;
        for (const who of keptOut) strictness.add(`statement ${name} also keeps out ${who}`);
      } else if (isAttempt(statement, allowances)) {
        gaps.add(`statement ${name} ${gap}`);
      }
    }
    if (!covered) uncovered.push(action);
  }
  const problems: LockProblem[] = [];
  if (uncovered.length > 0) {
    const why = gaps.size > 0 ? [...gaps].join('; ') : 'no statement denies it';
    problems.push({
      prefix,
      kind: 'open',
      message: `${what} under ${prefix} is not locked (${uncovered.join(', ')}): ${why}`,
    });
  }
  if (strictness.size > 0) {
    problems.push({
      prefix,
      kind: 'too-strict',
      message: `${what} under ${prefix}: ${[...strictness].join('; ')}`,
    });
  }
  return problems;
}

/** Whether a statement denies an action on everything below a prefix, conditions and principal aside. */
function denies(statement: AnyStatement, action: string, resource: string): boolean {
  return (
    statement.Effect === 'Deny' &&
    list(statement.Action).some((pattern) => glob(pattern.toLowerCase()).test(action.toLowerCase())) &&
    // A pattern that ends in * and matches the bare prefix matches every key that begins with it.
    list(statement.Resource).some((pattern) => pattern.endsWith('*') && glob(pattern).test(resource))
  );
}

/** Whether a statement was meant as this lock, so that its gap is worth a word. */
function isAttempt({ Condition }: AnyStatement, allowances: readonly Allowance[]): boolean {
  const keys = Object.values(Condition ?? {}).flatMap((operands) => Object.keys(operands));
  return keys.length === 0 || keys.some((key) => allowances.some((allowance) => sameKey(allowance.key, key)));
}

/** Where a denying statement falls short of the lock (`gap`), or else whom it keeps out beyond the lock. */
function compare(
  statement: AnyStatement,
  allowances: readonly Allowance[],
): { gap?: string; keptOut: string[] } {
  const { Principal: principal } = statement;
  const everyone = principal === '*' || (typeof principal === 'object' && list(principal.AWS).includes('*'));
  if (!everyone) return { gap: 'applies to some principals only', keptOut: [] };

  const exempt = new Set<string>();
  for (const [operator, keys] of Object.entries(statement.Condition ?? {})) {
    for (const [key, values] of Object.entries(keys)) {
      const allowance = allowances.find(
        (candidate) =>
          sameKey(candidate.key, key) && candidate.operators.includes(operator.replace(/IfExists$/, '')),
      );
      if (allowance === undefined) return { gap: `holds only under ${operator} ${key}`, keptOut: [] };
      const more = list(values).filter((value) => !allowance.values.includes(value));
      if (more.length > 0) {
        return { gap: `exempts ${more.map(allowance.exempts).join(', ')}, too`, keptOut: [] };
      }
      for (const value of list(values)) exempt.add(value);
    }
  }
  return {
    keptOut: allowances.flatMap((allowance) =>
      allowance.values.filter((value) => !exempt.has(value)).map(allowance.exempts),
    ),
  };
}

/** Names of condition keys ignore case, the key of a tag does not. */
function sameKey(expected: string, actual: string): boolean {
  const [name, ...tag] = actual.split('/');
  return [name?.toLowerCase(), ...tag].join('/') === expected.replace(/^[^/]+/, (text) => text.toLowerCase());
}

function list(value: string | readonly string[] | undefined): readonly string[] {
  return value === undefined ? [] : typeof value === 'string' ? [value] : value;
}

/** IAM's wildcards: `*` is any text, `?` any one character. */
function glob(pattern: string): RegExp {
  const source = pattern
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.');
  return new RegExp(`^${source}$`, 's');
}
