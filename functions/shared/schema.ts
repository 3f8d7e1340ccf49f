import { closest } from 'fastest-levenshtein';
import {
  isMap,
  isNode,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  parseDocument,
  type YAMLMap,
} from 'yaml';
import * as z from 'zod';
import { GateInputError } from './errors.ts';
import { lineOf, type SourceLocation } from './verdict.ts';

const PERCENT = 'a percentage such as 2%, or a fraction from 0 to 1';

/** A share: `2%`, `0.5 %` or a fraction between 0 and 1. Parsed to a fraction. */
export const percent = z
  .union([z.string().regex(/^\d+(\.\d+)?\s*%$/, PERCENT), z.number().min(0, PERCENT).max(1, PERCENT)], {
    error: PERCENT,
  })
  .transform((value) => (typeof value === 'number' ? value : Number.parseFloat(value) / 100))
  .pipe(z.number().max(1, 'at most 100%'));

/** A relative change: like {@link percent}, but it may exceed 100 %. */
export const change = z
  .union([z.string().regex(/^\d+(\.\d+)?\s*%$/, PERCENT), z.number().min(0, PERCENT)], { error: PERCENT })
  .transform((value) => (typeof value === 'number' ? value : Number.parseFloat(value) / 100));

const UNIT_MS = { s: 1e3, m: 60e3, h: 3600e3, d: 86_400e3 } as const;

/** A duration: `30s`, `10m`, `2h`, `40d`. Parsed to milliseconds. */
export const duration = z
  .string({ error: 'a duration such as 30s, 10m, 2h or 40d' })
  .regex(/^\d+(\.\d+)?[smhd]$/, 'a duration such as 30s, 10m, 2h or 40d')
  .transform((text) => Number.parseFloat(text) * UNIT_MS[text.at(-1) as keyof typeof UNIT_MS]);

/** A parsed file that still knows where each of its values stands. */
export interface Located<T> {
  value: T;
  file: string;
  /** Position of the value at `path`; of its nearest ancestor where the path itself is absent. */
  locate(path: readonly PropertyKey[]): SourceLocation;
}

/**
 * The entries of a section of a file, by name, each of which knows the lines of its rules: paths begin below the entry.
 *
 * @param section such as `rollbackDrills`
 */
export function entriesOf<Section extends string, T>(
  { value, file, locate }: Located<Record<Section, Record<string, T>>>,
  section: Section,
): Map<string, Located<T> & { name: string }> {
  const entries: [string, T][] = Object.entries(value[section]);
  return new Map(
    entries.map(([name, entry]) => [
      name,
      { name, value: entry, file, locate: (path) => locate([section, name, ...path]) },
    ]),
  );
}

/**
 * What is called so, of all that there are.
 *
 * @param what it is: `rollback drill`
 * @throws GateInputError where nothing is called so; names those that there are
 */
export function entryNamed<T>(entries: ReadonlyMap<string, T>, name: string, what: string): T {
  const found = entries.get(name);
  if (found !== undefined) return found;
  const names = [...entries.keys()];
  throw new GateInputError(
    `there is no ${what} "${name}"${didYouMean(name, names)}; there are ${names.join(', ') || 'none'}`,
  );
}

/** Where the value at a path stands: `tocsin.yaml:31`. */
export function lineAt({ locate }: Pick<Located<unknown>, 'locate'>, path: readonly PropertyKey[]): string {
  return lineOf(locate(path));
}

/** One thing wrong with a configuration file. */
export interface ConfigIssue extends SourceLocation {
  /** `columns.delay.zeros` */
  path: string;
  message: string;
}

/** A configuration file that does not hold; `issues` has every mistake, not just the first. */
export class ConfigError extends GateInputError {
  readonly issues: readonly ConfigIssue[];

  constructor(issues: readonly ConfigIssue[]) {
    super(issues.map((issue) => `${issue.file}:${issue.line}:${issue.column} ${issue.message}`).join('\n'));
    this.issues = issues;
  }
}

/** `', did you mean "delay"?'`, or nothing where no candidate is close. */
export function didYouMean(word: string, candidates: readonly string[]): string {
  if (candidates.length === 0) return '';
  const lower = candidates.map((candidate) => candidate.toLowerCase());
  const near = closest(word.toLowerCase(), lower);
  const best = candidates[lower.indexOf(near)] ?? near;
  const shared = [...word.toLowerCase()].filter((letter) => near.includes(letter)).length;
  return shared >= Math.max(word.length, best.length) / 2 ? `, did you mean "${best}"?` : '';
}

/**
 * Parses and validates one YAML (or JSON) file.
 *
 * @throws ConfigError with every mistake: file, line, column, what was got, what is allowed.
 */
export function parseYaml<S extends z.ZodType>(schema: S, text: string, file: string): Located<z.output<S>> {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, uniqueKeys: true });
  const at = (offset: number): SourceLocation => {
    const { line, col } = lines.linePos(offset);
    return { file, line: Math.max(line, 1), column: Math.max(col, 1) };
  };
  if (document.errors.length > 0) {
    throw new ConfigError(
      document.errors.map((error) => ({
        ...at(error.pos[0]),
        path: '',
        message: (error.message.split('\n')[0] ?? '').replace(/ at line \d+, column \d+:?$/, ''),
      })),
    );
  }

  const locate = (path: readonly PropertyKey[]): SourceLocation => {
    let node: unknown = document.contents;
    let offset = isNode(node) ? (node.range?.[0] ?? 0) : 0;
    for (const part of path) {
      if (isMap(node)) {
        const pair = pairsOf(node).get(String(part));
        if (pair === undefined) break;
        offset = (pair.key as Node).range?.[0] ?? offset;
        node = pair.value;
      } else {
        const child: unknown = isSeq(node) ? node.get(part, true) : undefined;
        if (!isNode(child)) break;
        offset = child.range?.[0] ?? offset;
        node = child;
      }
    }
    return at(offset);
  };
  // A contract of 2,000 columns is asked for 12,000 lines: each of its keys is looked at once.
  const known = new Map<YAMLMap, ReadonlyMap<string, Pair>>();
  const pairsOf = (map: YAMLMap): ReadonlyMap<string, Pair> => {
    const pairs =
      known.get(map) ??
      new Map(map.items.flatMap((pair) => (isScalar(pair.key) ? [[String(pair.key.value), pair]] : [])));
    known.set(map, pairs);
    return pairs;
  };

  let plain: unknown;
  try {
    // An alias bomb is refused here.
    plain = document.toJS({ maxAliasCount: 100 });
  } catch (error) {
    throw new ConfigError([{ ...at(0), path: '', message: (error as Error).message }]);
  }
  const result = schema.safeParse(plain, { reportInput: true });
  if (result.success) return { value: result.data, file, locate };
  throw new ConfigError(
    result.error.issues
      .flatMap(explain)
      .map(({ path, message }) => ({ ...locate(path), path: path.join('.'), message })),
  );
}

/**
 * Validates a value that stands in no file: an event, the environment.
 *
 * @param what its name in messages
 * @throws GateInputError with every mistake
 */
export function parseValue<S extends z.ZodType>(schema: S, value: unknown, what: string): z.output<S> {
  const result = schema.safeParse(value, { reportInput: true });
  if (result.success) return result.data;
  const mistakes = result.error.issues.flatMap(explain).map((issue) => issue.message);
  throw new GateInputError(`${what}: ${mistakes.join('; ')}`);
}

/** What a text says in JSON; undefined where it is none. */
export function tryJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Parses and validates JSON that a machine wrote. Errors as of {@link parseValue}. */
export function parseJson<S extends z.ZodType>(schema: S, text: string, what: string): z.output<S> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new GateInputError(`${what} is not JSON: ${(cause as Error).message}`, { cause });
  }
  return parseValue(schema, value, what);
}

/**
 * An object that refuses keys it does not know, and names those that it does.
 * Every object in a configuration file is one: a misspelt key must not switch a check off.
 */
export function strict<Shape extends z.core.$ZodLooseShape>(shape: Shape) {
  return z.strictObject(shape, {
    error: (issue) => (issue.code === 'unrecognized_keys' ? Object.keys(shape).join(', ') : undefined),
  });
}

/** One issue of zod's as sentences that say what was got and what is allowed. */
function explain(issue: z.core.$ZodIssue): { path: PropertyKey[]; message: string }[] {
  if (issue.code === 'unrecognized_keys') {
    const allowed = issue.message.split(', ');
    return issue.keys.map((key) => ({
      path: [...issue.path, key],
      message: `unknown key "${key}"${didYouMean(key, allowed)}; allowed: ${allowed.join(', ')}`,
    }));
  }
  if (issue.code === 'invalid_key') {
    const input = issue.path.at(-1);
    return issue.issues.flatMap((inner) =>
      explain({ ...inner, path: issue.path, input } as z.core.$ZodIssue),
    );
  }
  const where = issue.path.length > 0 ? `${issue.path.map(String).join('.')}: ` : '';
  if (issue.code === 'custom') return [{ path: [...issue.path], message: `${where}${issue.message}` }];
  const missing = issue.input === undefined;
  const expected = issue.message
    .replace(/, received .*$/, '')
    .replace(
      /^(Invalid input|Invalid option|Invalid string|Too small|Too big|Invalid discriminator value\.)[:\s]*/,
      '',
    )
    .replace(/^expected /i, '');
  const got = missing ? 'it is missing' : `got ${show(issue.input)}`;
  return [{ path: [...issue.path], message: `${where}expected ${expected}, ${got}` }];
}

/** A value as it may stand in a message: short, on one line. */
function show(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}

// ---------------------------------------------------------------------------------------------------------
// Fields that several sections of tocsin.yaml have
// ---------------------------------------------------------------------------------------------------------

/** Of a thing that tocsin.yaml defines: part of keys, ids and names in AWS. */
export const name = z
  .string()
  .regex(/^[a-z0-9](-?[a-z0-9])*$/, 'lower-case letters, digits and single hyphens')
  .max(60);

/** Of an endpoint, a model, a group of packages. */
export const sagemakerName = z
  .string()
  .regex(/^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}$/, 'a SageMaker name: at most 63 letters, digits and hyphens');

const PLACE = 's3://bucket/key, or a key in the bucket that Tocsin creates';

/** An object, or what begins the keys of many. Without `*`, which is a wildcard in policies. */
export const place = z
  .string({ error: PLACE })
  .regex(/^(s3:\/\/[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]\/)?[A-Za-z0-9!_.'()=-][A-Za-z0-9!_.'()=/-]*$/, PLACE)
  .max(1024);

/** Of what an endpoint is sent. */
export const contentType = z
  .string()
  .regex(/^[\w.+-]+\/[\w.+-]+(; ?[\w-]+=[\w-]+)?$/, 'a media type such as text/csv')
  .default('text/csv')
  .describe('Content type of the requests (default text/csv)');

/** Of predictions that are compared. */
export const predictionTolerance = z
  .number()
  .min(0)
  .max(1)
  .default(1e-6)
  .describe('By how much numbers of the same prediction may differ, absolute and relative (default 1e-6)');

/** The bucket and the key of a place; without a bucket: the one that Tocsin creates. */
export function placeOf(uri: string): { bucket: string | undefined; key: string } {
  const [, bucket, key = ''] = /^(?:s3:\/\/([^/]+)\/)?(.*)$/s.exec(uri) ?? [];
  return { bucket, key };
}

/** When EventBridge starts something. */
export const schedule = z
  .string()
  .regex(/^(rate|cron)\(.+\)$/, 'rate(7 days), or cron(...)')
  .optional();

const SECONDS = { minute: 60, hour: 3_600, day: 86_400 } as const;

/** Seconds between two starts of a schedule such as `rate(15 minutes)`; undefined of `cron(...)`, which has no one answer. */
export function secondsOf(schedule: string): number | undefined {
  const [, count, unit] = /^rate\((\d+) (minute|hour|day)s?\)$/.exec(schedule) ?? [];
  return unit === undefined ? undefined : Number(count) * SECONDS[unit as keyof typeof SECONDS];
}

/** CloudFormation stacks whose deployment starts something. */
export const stackNames = z
  .array(z.string().regex(/^[A-Za-z][A-Za-z0-9-]{0,127}$/, 'the name of a CloudFormation stack'))
  .default([]);

/** The text of tocsin.yaml, so that findings can name its lines: what deployed functions read, one JSON object in S3. */
export const textBundleSchema = strict({
  bundle: z.literal(1),
  /** Its name, as messages show it. */
  file: z.string().min(1),
  text: z.string(),
});

export type TextBundle = z.output<typeof textBundleSchema>;

// ---------------------------------------------------------------------------------------------------------
// Variables that the environments of several functions have
// ---------------------------------------------------------------------------------------------------------

/** Of whatever judges: its configuration, its evidence, whom it tells, and the runbook that it names. */
export const judgingEnvironment = {
  CONFIG_BUCKET: z.string().min(1),
  CONFIG_KEY: z.string().min(1),
  EVIDENCE_BUCKET: z.string().min(1),
  TOPIC_ARN: z.string().startsWith('arn:'),
  EVENT_BUS: z.string().min(1).default('default'),
  CHAT_TOPIC_ARN: z.string().startsWith('arn:').optional(),
  RUNBOOK: z.string().min(1).optional(),
};

/** Of whatever runs as a workflow. */
export const workflowEnvironment = {
  /** For claims, progress and what else a run needs while it goes on; its objects expire after a few days. */
  WORK_BUCKET: z.string().min(1),
  /** `durable`: AWS Lambda durable functions carry the workflow; `in-process`: one invocation does. */
  WORKFLOW: z.enum(['durable', 'in-process']),
};

// ---------------------------------------------------------------------------------------------------------
// Names in AWS
// ---------------------------------------------------------------------------------------------------------

/** CloudWatch namespace of what gates and the board count. */
export const METRIC_NAMESPACE = 'Tocsin';

/** Source of every event that Tocsin emits. */
export const EVENT_SOURCE = 'tocsin';

/** Object tags that only the quality gate may set; the bucket policy reads the first. */
export const QUALITY_TAG = 'tocsin:quality';
export const VERDICT_TAG = 'tocsin:verdict';
/** Value of {@link QUALITY_TAG} by outcome. */
export const QUALITY_VALUES = { pass: 'passed', fail: 'failed', inconclusive: 'inconclusive' } as const;
