import { createHash } from 'node:crypto';
import * as z from 'zod';
import { ACCOUNT } from '../emulator.ts';

/* What the local services (SageMaker, CloudWatch) have in common: errors, validation, paging. */

/** An error as a service of AWS answers it. */
export class ServiceError extends Error {
  /** `ValidationException`, `ResourceNotFound`, ... */
  readonly type: string;
  /** Of the HTTP answer. */
  readonly status: number;

  constructor(type: string, message: string, status = 400) {
    super(message);
    this.name = 'ServiceError';
    this.type = type;
    this.status = status;
  }
}

/** A request that breaks a rule which its members taken one by one keep. */
export function invalid(message: string): ServiceError {
  return new ServiceError('ValidationException', message);
}

/** Who makes a call. */
export interface Caller {
  /** `arn:aws:iam::...:root` or `arn:aws:sts::...:assumed-role/<role>/<session>` */
  arn: string;
  /** ARN of the role that the session is of; undefined for the root of the account. */
  role: string | undefined;
}

/** The root of the account. */
export const ROOT_CALLER: Caller = { arn: `arn:aws:iam::${ACCOUNT}:root`, role: undefined };

/** A request over HTTP. */
export interface HttpRequest {
  method: string;
  /** Decoded, without the query. */
  path: string;
  /** Names in lower case. */
  headers: Readonly<Record<string, string>>;
  body: Buffer;
  /** Aborted when the client goes away. */
  signal: AbortSignal;
}

export interface HttpAnswer {
  status: number;
  headers: Readonly<Record<string, string>>;
  body: Uint8Array | string;
}

/** Condition keys of a request, by name. */
export type Context = Readonly<Record<string, string | string[]>>;

/**
 * Parses the input of an operation. AWS itself lets members pass that it does not know; here they are an
 * error, because a misspelt one must not go unseen.
 *
 * @throws ServiceError ValidationException in AWS's words; SerializationException where a type is wrong
 */
export function validate<S extends z.ZodType>(schema: S, raw: unknown): z.output<S> {
  const result = schema.safeParse(raw, { reportInput: true });
  if (result.success) return result.data;
  const { issues } = result.error;
  const type = issues.find((issue) => issue.code === 'invalid_type' && issue.input !== undefined);
  if (type !== undefined) {
    const expected = 'expected' in type ? String(type.expected) : 'another type';
    throw new ServiceError(
      'SerializationException',
      `Value at '${memberPath(type.path)}' can not be converted: expected ${expected}, got ${typeof type.input}`,
    );
  }
  const broken = issues.find((issue) => issue.code === 'custom');
  if (broken !== undefined) throw invalid(broken.message);
  const sentences = issues.flatMap(explain);
  const count = `${sentences.length} validation error${sentences.length === 1 ? '' : 's'} detected`;
  throw invalid(`${count}: ${sentences.join('; ')}`);
}

/** What is wrong with one member, as AWS says it. */
function explain(issue: z.core.$ZodIssue): string[] {
  const say = (path: readonly PropertyKey[], input: unknown, constraint: string) =>
    `Value ${show(input)} at '${memberPath(path)}' failed to satisfy constraint: ${constraint}`;
  const plain = (constraint: string) => [say(issue.path, issue.input, constraint)];
  switch (issue.code) {
    case 'unrecognized_keys':
      return issue.keys.map((key) => say([...issue.path, key], undefined, 'Member is not known'));
    case 'invalid_type':
      return plain('Member must not be null');
    case 'invalid_union':
      return plain(issue.input === undefined ? 'Member must not be null' : issue.message);
    case 'too_small':
    case 'too_big': {
      const [what, bound] =
        issue.code === 'too_small'
          ? [`greater than ${issue.inclusive === false ? '' : 'or equal to '}`, issue.minimum]
          : [`less than ${issue.inclusive === false ? '' : 'or equal to '}`, issue.maximum];
      const measure = ['string', 'array', 'set', 'map', 'record'].includes(issue.origin) ? 'length' : 'value';
      return plain(`Member must have ${measure} ${what}${bound}`);
    }
    case 'invalid_format':
      return plain(
        `Member must satisfy regular expression pattern: ${String(issue.pattern ?? issue.format).replace(/^\/|\/[a-z]*$/g, '')}`,
      );
    case 'invalid_value':
      return plain(`Member must satisfy enum value set: [${issue.values.map(String).join(', ')}]`);
    case 'invalid_key':
      return issue.issues.flatMap((inner) =>
        explain({ ...inner, path: issue.path, input: issue.path.at(-1) } as z.core.$ZodIssue),
      );
    default:
      return plain(issue.message);
  }
}

/** `['Containers', 0, 'ModelDataUrl']` as AWS writes it: `containers.1.member.modelDataUrl`. */
function memberPath(path: readonly PropertyKey[]): string {
  return path
    .map((part) =>
      typeof part === 'number'
        ? `${part + 1}.member`
        : String(part).charAt(0).toLowerCase() + String(part).slice(1),
    )
    .join('.');
}

function show(value: unknown): string {
  if (value === undefined) return 'null';
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return `'${text.length > 200 ? `${text.slice(0, 197)}...` : text}'`;
}

/** An object of the API. */
export function structure<Shape extends z.core.$ZodLooseShape>(shape: Shape) {
  return z.strictObject(shape);
}

/** A member that AWS knows and this server does not: refused with a sentence that says so. */
export function unsupported(sentence: string) {
  return z.custom<undefined>((value) => value === undefined, sentence).optional();
}

/** A list of the API, in a response as it is, in a request with at most `max` entries. */
export function listOf<S extends z.ZodType>(member: S, max: number, min = 0) {
  return z.array(member).min(min).max(max);
}

export interface Tag {
  Key: string;
  Value: string;
}

export const tagKey = z
  .string()
  .min(1)
  .max(128)
  .regex(/^([\p{L}\p{Z}\p{N}_.:/=+\-@]*)$/u);

export const tags = listOf(
  structure({
    Key: tagKey,
    Value: z
      .string()
      .max(256)
      .regex(/^([\p{L}\p{Z}\p{N}_.:/=+\-@]*)$/u),
  }),
  50,
);

/** A moment in a request: seconds since 1970. Parsed to milliseconds. */
export const timestamp = z.number().transform((seconds) => seconds * 1000);

/** A moment in an answer: seconds since 1970, from milliseconds. */
export function seconds(milliseconds: number): number {
  return milliseconds / 1000;
}

/**
 * One page of a list. A token goes with the query that it was given for; with any other it is refused.
 *
 * @param query what tells this list from others: the input of the operation, without size and token
 * @param refuse the error for a token that this list did not give
 */
export function pageOf<T>(
  items: readonly T[],
  { size, token, query }: { size: number; token: string | undefined; query: unknown },
  refuse: () => ServiceError,
): { items: T[]; next: string | undefined } {
  const hash = createHash('sha256').update(JSON.stringify(query)).digest('base64url').slice(0, 16);
  const [of, position] =
    token === undefined ? [hash, '0'] : Buffer.from(token, 'base64url').toString().split('.');
  if (of !== hash || !/^\d+$/.test(position ?? '')) throw refuse();
  const end = Number(position) + size;
  return {
    items: items.slice(Number(position), end),
    next: end < items.length ? Buffer.from(`${hash}.${end}`).toString('base64url') : undefined,
  };
}

/** A list sorted by a key; equal ones in the order they were in. */
export function sorted<T>(
  items: Iterable<T>,
  key: (item: T) => string | number,
  order: 'Ascending' | 'Descending',
): T[] {
  const sign = order === 'Ascending' ? 1 : -1;
  return [...items].sort((a, b) => {
    const [x, y] = [key(a), key(b)];
    return x < y ? -sign : x > y ? sign : 0;
  });
}

/** A copy without the members that are undefined, as JSON leaves them out. */
export function present<T extends object>(value: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined)) as {
    [K in keyof T]: Exclude<T[K], undefined>;
  };
}
