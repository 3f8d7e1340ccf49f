import * as z from 'zod';
import { GateInputError } from '../shared/errors.ts';
import type { Prediction } from '../shared/prediction.ts';
import { parseJson } from '../shared/schema.ts';
import type { Json } from './json.ts';
import { sortedBy } from './order.ts';
import type { Path } from './path.ts';
import { RESOURCE_KINDS, type ResourceKind, SIDES, type Side } from './schema.ts';
import { isGenuine, sanitise } from './secrets.ts';

/*
 * One environment as it was read: plain JSON in which no secret is. Pure.
 */

/** Something that is compared. */
export interface Resource {
  kind: ResourceKind;
  /** What it is called in both environments: `flight-delay`. */
  name: string;
  /** What it is called in this one: `flight-delay-staging`. */
  physical: string;
  /** Null: there is no such thing. */
  value: Json | null;
}

/** Something that should have been read, and was not: whether it is equal is not known. */
export interface Unreadable {
  /** What lies at this path or below it is not known; of a whole listing, the kind alone; `[]`: of anything. */
  path: Path;
  physical: string;
  /** `lambda:GetFunctionConfiguration` */
  action: string;
  /** Class of the error, `AccessDeniedException`, or a few words: `deleted while it was read`. Never what AWS said. */
  why: string;
}

/** Why a stack was not read that tocsin.yaml names. */
export const NO_STACK = 'there is no such stack';

/** Why a table of a stack was not read. */
export const NO_DATABASE = 'CloudFormation does not say in which database it is';

/** Why a model was not read that could be. */
export const NOT_COMPARED = {
  components: 'inference components are not compared',
  override: 'models of single instance types are not compared',
} as const;

/** Why a selection of tocsin.yaml has nothing to compare. */
export const NOTHING_SELECTED = {
  stack: 'nothing in it is compared',
  tags: 'nothing that is compared has them',
} as const;

/** Something that was changing while it was read. */
export interface Unsettled {
  path: Path;
  physical: string;
  /** `Updating` */
  status: string;
}

/** What an endpoint answers to golden requests. */
export interface ProbeAnswers {
  probe: string;
  /** Of the file of golden requests. */
  uri: string;
  version: string;
  sha256: string;
  /** One for each golden request, in their order; `error` is a class such as `ModelError 500`. */
  answers: ({ prediction: Prediction } | { error: string })[];
  /** What the model must answer, where it is recorded. */
  recorded: ({ prediction: Prediction } | null)[];
}

/** What was not looked at, and why. */
export interface NotRead {
  subject: string;
  why: string;
}

/** One environment. */
export interface Snapshot {
  snapshot: 1;
  /** Name of the comparison. */
  parity: string;
  side: Side;
  account: string;
  region: string;
  /** Milliseconds since 1970. */
  takenAt: number;
  tocsin: string;
  /** By kind, then name, then physical name. */
  resources: Resource[];
  unreadable: Unreadable[];
  unsettled: Unsettled[];
  probes: ProbeAnswers[];
  notRead: NotRead[];
}

/** A part of a snapshot: what one step of reading yields. */
export type SnapshotPart = Pick<Snapshot, 'resources' | 'unreadable' | 'unsettled' | 'probes' | 'notRead'>;

const path = z.array(z.string());
const text = z.string();

const partShape = {
  resources: z.array(
    z.strictObject({ kind: z.enum(RESOURCE_KINDS), name: text, physical: text, value: z.json() }),
  ),
  unreadable: z.array(z.strictObject({ path, physical: text, action: text, why: text })),
  unsettled: z.array(z.strictObject({ path, physical: text, status: text })),
  probes: z.array(
    z.strictObject({
      probe: text,
      uri: text,
      version: text,
      sha256: text,
      answers: z.array(z.union([z.strictObject({ prediction: z.json() }), z.strictObject({ error: text })])),
      recorded: z.array(z.union([z.strictObject({ prediction: z.json() }), z.null()])),
    }),
  ),
  notRead: z.array(z.strictObject({ subject: text, why: text })),
};

/** The latest moment that there is, in milliseconds since 1970. */
const LATEST_MS = 8.64e15;

const snapshotSchema = z.strictObject({
  snapshot: z.literal(1),
  parity: text,
  side: z.enum(SIDES),
  account: z.string().regex(/^\d{12}$/, 'twelve digits'),
  region: text,
  takenAt: z.number().min(0).max(LATEST_MS),
  tocsin: text,
  ...partShape,
});

/**
 * Reads a snapshot that was saved.
 *
 * @param where it stands, for messages
 * @throws GateInputError where it is none
 */
export function parseSnapshot(json: string, where: string): Snapshot {
  try {
    return parseJson(snapshotSchema, json, where) as Snapshot;
  } catch (error) {
    // Values are walked recursively; none that was read is nested as deeply.
    if (error instanceof RangeError) throw new GateInputError(`${where}: it is nested too deeply to be read`);
    throw error;
  }
}

/** Takes down what is read. Whatever is put into it is without secrets from then on. */
export class SnapshotSink {
  readonly #part: SnapshotPart = { resources: [], unreadable: [], unsettled: [], probes: [], notRead: [] };
  readonly #salt: string;

  /** @param parity name of the comparison, which hashes of secrets are salted with: they say nothing elsewhere */
  constructor(parity: string) {
    this.#salt = parity;
  }

  /** @param value null: there is no such thing */
  add(resource: Omit<Resource, 'value'> & { value: Json | null }): void {
    // Of a parameter only its path may say that it is a secret.
    const called = resource.kind === 'parameters' ? resource.physical : undefined;
    this.#part.resources.push({ ...resource, value: sanitise(resource.value, this.#salt, called) });
  }

  unreadable(entry: Unreadable): void {
    this.#part.unreadable.push({ ...entry, why: isGenuine(entry.why) ? entry.why : 'Error' });
  }

  unsettled(entry: Unsettled): void {
    this.#part.unsettled.push(entry);
  }

  probe(entry: ProbeAnswers): void {
    this.#part.probes.push(entry);
  }

  notRead(entry: NotRead): void {
    this.#part.notRead.push(entry);
  }

  get part(): SnapshotPart {
    return this.#part;
  }
}

/** The whole snapshot, in an order that does not depend on who was read first. */
export function snapshotOf(
  head: Omit<Snapshot, keyof SnapshotPart | 'snapshot'>,
  parts: readonly SnapshotPart[],
): Snapshot {
  const all = <T>(of: (part: SnapshotPart) => readonly T[], key: (item: T) => string): T[] =>
    sortedBy(parts.flatMap(of), key);
  const id = (...words: readonly string[]) => words.join('\u0000');
  return {
    snapshot: 1,
    ...head,
    resources: all(
      (part) => part.resources,
      ({ kind, name, physical }) => id(kind, name, physical),
    ),
    unreadable: all(
      (part) => part.unreadable,
      ({ path, physical, action }) => id(...path, '', physical, action),
    ),
    unsettled: all(
      (part) => part.unsettled,
      ({ path, physical }) => id(...path, '', physical),
    ),
    probes: all(
      (part) => part.probes,
      ({ probe }) => probe,
    ),
    notRead: all(
      (part) => part.notRead,
      ({ subject, why }) => id(subject, why),
    ),
  };
}
