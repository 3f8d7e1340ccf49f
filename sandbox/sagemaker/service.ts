import type { S3Client } from '@aws-sdk/client-s3';
import * as z from 'zod';
import {
  type Caller,
  type Context,
  type HttpAnswer,
  type HttpRequest,
  invalid,
  pageOf,
  ServiceError,
  type Tag,
  validate,
} from '../aws/service.ts';
import { ACCOUNT, REGION } from '../emulator.ts';
import type { Hostable, Hosted, HostOptions } from './hosted.ts';
import type { ImageRegistry } from './images.ts';

export * from '../aws/service.ts';

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
  /** States of alarms by name: `OK`, `ALARM`, `INSUFFICIENT_DATA`. Those that do not exist are not in it. */
  alarmStates(names: readonly string[]): Promise<ReadonlyMap<string, string>>;
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
  /**
   * Starts a model, and waits until it is healthy.
   *
   * @throws HostingError where it does not start; the reason of `options.signal` where that aborts
   */
  host(model: Hostable, options: HostOptions): Promise<Hosted>;
}

/**
 * An operation of the control plane. Errors that were asked for (`POST /_sandbox/faults`) are thrown before it runs,
 * in server.ts.
 *
 * @throws ServiceError
 */
export type Operation = (input: unknown, call: Call, name: string) => Promise<object>;

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

/**
 * An operation that validates its input, asks whether the caller may, and runs.
 *
 * @param schema of the whole input; made with {@link structure}
 * @param resource ARN of what the action is on, or of each; `*` where it is on none
 * @param run gets the parsed input
 * @param context condition keys of this action alone
 * @param service that the action is of, as policies name it
 */
export function operation<S extends z.ZodType>(
  schema: S,
  resource: (input: z.output<S>, call: Call) => string | readonly string[],
  run: (input: z.output<S>, call: Call) => Promise<object> | object,
  context: (input: z.output<S>) => Context = () => ({}),
  service = 'sagemaker',
): Operation {
  return async (raw, call, name) => {
    const input = validate(schema, raw);
    for (const arn of [resource(input, call)].flat()) {
      const keys = { ...tagKeys(input, call, arn), ...context(input) };
      await call.account.authorize(call.caller, `${service}:${name}`, arn, keys);
    }
    return run(input, call);
  };
}

/** Condition keys that every action knows: the tags of the resource, and those that the request brings. */
export function tagKeys(input: unknown, { state }: Call, arn: string): Context {
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
  const { items: found, next } = pageOf(items, { size: MaxResults, token: NextToken, query: rest }, () =>
    invalid('The provided NextToken is not valid.'),
  );
  return { items: found, ...(next !== undefined && { NextToken: next }) };
}

/** Bucket and key of `s3://bucket/key`. */
export function parseS3Uri(uri: string): { bucket: string; key: string } {
  const [, bucket = '', key = ''] = /^s3:\/\/([^/]+)\/?(.*)$/.exec(uri) ?? [];
  return { bucket, key };
}
