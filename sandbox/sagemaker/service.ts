import { createHash } from 'node:crypto';
import type { S3Client } from '@aws-sdk/client-s3';
import * as z from 'zod';
import { ACCOUNT, REGION } from '../emulator.ts';
import type { ImageRegistry } from './images.ts';

/** An error as SageMaker answers it. */
export class ServiceError extends Error {
  /** `ValidationException`, `ResourceNotFound`, `ResourceInUse`, ... */
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

/** What the AWS account around SageMaker does for it. */
export interface Account {
  /** With the rights of root, for what SageMaker itself looks up. */
  readonly s3: S3Client;
  /** Who has an access key; undefined where nobody has. */
  identify(accessKeyId: string): Promise<Caller | undefined>;
  /**
   * @param context condition keys of the request, such as `iam:PassedToService`
   * @throws ServiceError AccessDeniedException, in AWS's words
   */
  authorize(caller: Caller, action: string, resource: string, context?: Context): Promise<void>;
  /**
   * Checks a role that a request hands to SageMaker: it exists, SageMaker may assume it, the caller may pass it.
   *
   * @throws ServiceError ValidationException or AccessDeniedException
   */
  passRole(caller: Caller, roleArn: string): Promise<void>;
  /**
   * S3 with the rights of a role, by a session as SageMaker's jobs have it: what the role's policies and the
   * bucket's deny fails with AccessDenied.
   *
   * @throws ServiceError ValidationException where SageMaker may not assume the role
   */
  s3As(roleArn: string): Promise<S3Client>;
  /** Sends an event of source `aws.sagemaker`. One that does not get through is logged, and fails nobody. */
  emit(detailType: string, resources: readonly string[], detail: object): Promise<void>;
}

/** One request, and all that an operation may use. */
export interface Call {
  readonly state: State;
  readonly account: Account;
  readonly images: ImageRegistry;
  readonly caller: Caller;
  /** Milliseconds since 1970. */
  now(): number;
  /** Waits; rejects with the reason of `signal` when the server ends. */
  wait(milliseconds: number): Promise<void>;
  /** Aborted when the server ends, not when the request does. */
  readonly signal: AbortSignal;
  /** Goes on after the answer: a job. What it throws is logged as a bug of this server. */
  background(what: string, task: () => Promise<void>): void;
  /** Writes a line into the log of the server. */
  log(line: string): void;
}

/**
 * An operation of the control plane. Errors that were asked for (`POST /_sandbox/faults`) are thrown before it runs,
 * in server.ts.
 *
 * @throws ServiceError
 */
export type Operation = (input: unknown, call: Call, name: string) => Promise<object>;

/** What is asked for over HTTP and is no operation of the control plane: the runtime, the sandbox's own routes. */
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

/**
 * Answers requests to some paths; undefined where the path is not its own. The caller is known, and not authorised
 * yet.
 *
 * @throws ServiceError
 */
export type Route = (request: HttpRequest, call: Call) => Promise<HttpAnswer | undefined>;

/** Whatever has an ARN. */
export interface Resource {
  readonly arn: string;
  /** Milliseconds since 1970. */
  readonly creationTime: number;
}

/** A kind of resource: `const MODELS = new Kind<Model>('model')`, in the file that owns the type. */
export class Kind<T extends Resource> {
  /** As it stands in ARNs: `model`, `endpoint-config`. */
  readonly name: string;
  /** How many of them an account may have here. */
  readonly limit: number;
  /** Never set: it carries the type. */
  readonly resource?: T;

  constructor(name: string, limit = 1_000) {
    this.name = name;
    this.limit = limit;
  }

  /** The ARN of the resource with a name. SageMaker writes names in lower case there. */
  arn(name: string): string {
    return `arn:aws:sagemaker:${REGION}:${ACCOUNT}:${this.name}/${name.toLowerCase()}`;
  }
}

/** All resources of the account. They live as long as the process. */
export class State {
  readonly #kinds = new Map<unknown, Map<string, Resource>>();
  readonly #arns = new Map<string, Resource>();
  readonly #tags = new Map<string, Map<string, string>>();

  /** All resources of a kind by name, in the order of their creation. */
  all<T extends Resource>(kind: Kind<T>): ReadonlyMap<string, T> {
    return this.#of(kind);
  }

  get<T extends Resource>(kind: Kind<T>, name: string): T | undefined {
    return this.#of(kind).get(name);
  }

  /** Whatever has an ARN; undefined where nothing has. */
  byArn(arn: string): Resource | undefined {
    return this.#arns.get(arn);
  }

  /**
   * @param name unique in its kind: the caller has checked that
   * @throws ServiceError ResourceLimitExceeded
   */
  add<T extends Resource>(kind: Kind<T>, name: string, resource: T, tags: readonly Tag[] = []): void {
    const all = this.#of(kind);
    if (all.size >= kind.limit) {
      throw new ServiceError(
        'ResourceLimitExceeded',
        `The account-level service limit for ${kind.name} is ${kind.limit}.`,
      );
    }
    all.set(name, resource);
    this.#arns.set(resource.arn, resource);
    this.#tags.set(resource.arn, new Map(tags.map(({ Key, Value }) => [Key, Value])));
  }

  remove<T extends Resource>(kind: Kind<T>, name: string): void {
    const resource = this.#of(kind).get(name);
    if (resource === undefined) return;
    this.#of(kind).delete(name);
    this.#arns.delete(resource.arn);
    this.#tags.delete(resource.arn);
  }

  /** The tags of a resource, to read and to change. */
  tags(arn: string): Map<string, string> {
    return this.#tags.get(arn) ?? new Map();
  }

  #of<T extends Resource>(kind: Kind<T>): Map<string, T> {
    const found = this.#kinds.get(kind) ?? new Map<string, Resource>();
    this.#kinds.set(kind, found);
    return found as Map<string, T>;
  }
}

/** Condition keys of a request, by name. */
export type Context = Readonly<Record<string, string | string[]>>;

/**
 * An operation that validates its input, asks whether the caller may, and runs.
 *
 * @param schema of the whole input; made with {@link structure}
 * @param resource ARN of what the action is on, or of each; `*` where it is on none
 * @param run gets the parsed input
 * @param context condition keys of this action alone
 */
export function operation<S extends z.ZodType>(
  schema: S,
  resource: (input: z.output<S>, call: Call) => string | readonly string[],
  run: (input: z.output<S>, call: Call) => Promise<object> | object,
  context: (input: z.output<S>) => Context = () => ({}),
): Operation {
  return async (raw, call, name) => {
    const input = validate(schema, raw);
    for (const arn of [resource(input, call)].flat()) {
      const keys = { ...tagKeys(input, call, arn), ...context(input) };
      await call.account.authorize(call.caller, `sagemaker:${name}`, arn, keys);
    }
    return run(input, call);
  };
}

/** Condition keys that every action knows: the tags of the resource, and those that the request brings. */
function tagKeys(input: unknown, { state }: Call, arn: string): Context {
  const { Tags } = (input ?? {}) as { Tags?: Tag[] };
  const resource = [...state.tags(arn)].flatMap(([key, value]) => [
    [`aws:ResourceTag/${key}`, value],
    [`sagemaker:ResourceTag/${key}`, value],
  ]);
  const requested = (Tags ?? []).map(({ Key, Value }) => [`aws:RequestTag/${Key}`, Value]);
  return {
    ...Object.fromEntries([...resource, ...requested]),
    ...(Tags !== undefined && { 'aws:TagKeys': Tags.map(({ Key }) => Key) }),
  };
}

/**
 * Parses the input of an operation. SageMaker itself lets members pass that it does not know; here they are an
 * error, because a misspelt one must not go unseen.
 *
 * @throws ServiceError ValidationException in SageMaker's words; SerializationException where a type is wrong
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

/** A member that SageMaker knows and this server does not: refused with a sentence that says so. */
export function unsupported(sentence: string) {
  return z.custom<undefined>((value) => value === undefined, sentence).optional();
}

/** A list of the API, in a response as it is, in a request with at most `max` entries. */
export function listOf<S extends z.ZodType>(member: S, max: number, min = 0) {
  return z.array(member).min(min).max(max);
}

const NAME = /^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}$/;

/** The name of an endpoint, a model, a job, a model package group: at most 63 letters, digits and inner hyphens. */
export const entityName = z.string().min(1).max(63).regex(NAME);

/** A part of a name, to filter lists by. */
export const nameContains = z
  .string()
  .max(63)
  .regex(/^[a-zA-Z0-9-]+$/);

export const roleArn = z
  .string()
  .min(20)
  .max(2048)
  .regex(/^arn:aws[a-z-]*:iam::\d{12}:role\/?[a-zA-Z_0-9+=,.@\-_/]+$/);

export const s3Uri = z
  .string()
  .max(1024)
  .regex(/^(https|s3):\/\/([^/]+)\/?(.*)$/);

/** Environment variables of a container. SageMaker allows 100 of a model's, 16 of a transform job's. */
export function environment(max: number) {
  return z
    .record(
      z
        .string()
        .max(1024)
        .regex(/^[a-zA-Z_][a-zA-Z0-9_]*$/),
      z.string().max(1024),
    )
    .refine(
      (map) => Object.keys(map).length <= max,
      `Environment variables must number at most ${max}, got more.`,
    );
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

/** Members of every List operation. */
export const paging = {
  MaxResults: z.int().min(1).max(100).optional(),
  NextToken: z.string().max(8192).optional(),
};

export const sortOrder = z.enum(['Ascending', 'Descending']);

/**
 * One page of a list. A token goes with the query that it was given for; with any other it is refused.
 *
 * @param query the whole input of the operation
 * @param perPage where the request has no MaxResults
 * @throws ServiceError ValidationException for a token that this list did not give
 */
export function page<T>(
  items: readonly T[],
  query: { MaxResults?: number | undefined; NextToken?: string | undefined },
  perPage = 100,
): { items: T[]; NextToken?: string } {
  const { MaxResults = perPage, NextToken, ...rest } = query;
  const hash = createHash('sha256').update(JSON.stringify(rest)).digest('base64url').slice(0, 16);
  const start = NextToken === undefined ? 0 : startOf(NextToken, hash);
  const end = start + MaxResults;
  return {
    items: items.slice(start, end),
    ...(end < items.length && { NextToken: Buffer.from(`${hash}.${end}`).toString('base64url') }),
  };
}

function startOf(token: string, hash: string): number {
  const [of, position] = Buffer.from(token, 'base64url').toString().split('.');
  if (of !== hash || !/^\d+$/.test(position ?? '')) throw invalid('The provided NextToken is not valid.');
  return Number(position);
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

/** Bucket and key of `s3://bucket/key`. */
export function parseS3Uri(uri: string): { bucket: string; key: string } {
  const [, bucket = '', key = ''] = /^s3:\/\/([^/]+)\/?(.*)$/.exec(uri) ?? [];
  return { bucket, key };
}

/** A copy without the members that are undefined, as JSON leaves them out. */
export function present<T extends object>(value: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined)) as {
    [K in keyof T]: Exclude<T[K], undefined>;
  };
}
