import { Folder, type Known } from './fold.ts';
import { order } from './order.ts';
import type { Path } from './path.ts';
import { logicalName, type ParityConfig, type ResourceKind, SIDES, type Side } from './schema.ts';
import type { Resource, Snapshot } from './snapshot.ts';

/*
 * Which things of two environments are the same, and of which of them nothing is known. Pure.
 */

/** Where nothing is known of either environment. */
export interface Unknown {
  whole: boolean;
  below: Map<string, Unknown>;
}

/** What is known by way of its endpoint alone. */
const ALONG = ['models', 'monitors'] as const;

type Snapshots = Record<Side, Snapshot>;

/** What resources are called in both environments. */
class Names {
  readonly #folder: Folder;
  /** Names that both environments have. */
  readonly #shared: Map<string, Record<Side, Set<string>>>;
  /** Models of endpoints with more than one variant in either environment. */
  readonly #several = new Set<string>();

  constructor(folder: Folder, snapshots: Snapshots) {
    this.#folder = folder;
    const names = new Map<string, Record<Side, Set<string>>>();
    for (const side of SIDES) {
      const { resources, unreadable } = snapshots[side];
      for (const [kind, name] of [
        ...resources.map((resource) => [resource.kind, resource.name] as const),
        ...unreadable.map(({ path }) => [path[0], path[1]] as const),
      ]) {
        if (kind === undefined || name === undefined) continue;
        const known = names.get(kind) ?? { staging: new Set(), production: new Set() };
        known[side].add(name);
        names.set(kind, known);
      }
    }
    this.#shared = names;
    for (const side of SIDES) {
      const variants = new Map<string, string>();
      for (const name of names.get('models')?.[side] ?? []) {
        const { endpoint, variant } = variantOf(this.#unshortened(side, 'models', name));
        if (endpoint === undefined) continue;
        if ((variants.get(endpoint) ?? variant) !== variant) this.#several.add(endpoint);
        variants.set(endpoint, variant);
      }
    }
  }

  /** What a resource of one environment is called in both. */
  of(side: Side, kind: ResourceKind, name: string): string {
    const whole = this.#unshortened(side, kind, name);
    if (kind !== 'models') return whole;
    const { endpoint } = variantOf(whole);
    return endpoint === undefined || this.#several.has(endpoint) ? whole : endpoint;
  }

  #unshortened(side: Side, kind: ResourceKind, name: string): string {
    const shared = this.#shared.get(kind);
    if (shared?.staging.has(name) === true && shared.production.has(name)) return name;
    const { text } = this.#folder.fold(side, name);
    return logicalName(text.replaceAll(/\{environment\}/gi, '{environment}'));
  }
}

function variantOf(model: string): { endpoint: string | undefined; variant: string } {
  const at = model.lastIndexOf('/');
  return { endpoint: at > 0 ? model.slice(0, at) : undefined, variant: model.slice(at + 1) };
}

interface MatchedResource {
  path: [ResourceKind, string];
  sides: Record<Side, Resource[]>;
}

/** Which resource is which, and what folds texts that have their names. */
export interface Pairing {
  folder: Folder;
  names: Names;
  matched: MatchedResource[];
}

/** Finds out which resource is which. */
export function matchedBy(snapshots: Snapshots, parity: ParityConfig): Pairing {
  const folder = new Folder(parity, snapshots.staging, snapshots.production);
  // Names are what they are, whatever is learnt from them.
  const names = new Names(new Folder(parity, snapshots.staging, snapshots.production), snapshots);
  const matched = matchResources(snapshots, names);
  folder.learn(matched.flatMap(knownOf));
  return { folder, names, matched };
}

/**
 * Names of one thing that others may have in their values: without the bus, the group or the path that they are below. Names
 * of models say which of them it is.
 */
function knownOf({ path: [kind, name], sides }: MatchedResource): Known[] {
  if (ALONG.some((along) => along === kind)) return [];
  const [[staging, ...more], [production, ...others]] = [sides.staging, sides.production];
  if (staging === undefined || production === undefined || more.length + others.length > 0) return [];
  const own = ({ physical }: Resource) => physical.slice(physical.lastIndexOf('/') + 1);
  return [{ name, staging: own(staging), production: own(production) }];
}

/** In the order of their names. What one environment has twice, such as by a stack and by tags, is one thing. */
function matchResources(snapshots: Snapshots, names: Names): MatchedResource[] {
  const found = new Map<string, MatchedResource>();
  for (const side of SIDES) {
    for (const resource of snapshots[side].resources) {
      const path: [ResourceKind, string] = [resource.kind, names.of(side, resource.kind, resource.name)];
      const key = path.join('\0');
      const entry = found.get(key) ?? { path, sides: { staging: [], production: [] } };
      if (!entry.sides[side].some(({ physical }) => physical === resource.physical)) {
        entry.sides[side].push(resource);
      }
      found.set(key, entry);
    }
  }
  return [...found].sort(([a], [b]) => order(a, b)).map(([, entry]) => entry);
}

// ---------------------------------------------------------------------------------------------------------
// What is not known
// ---------------------------------------------------------------------------------------------------------

/**
 * Paths at and below which nothing could be compared, or only what was changing meanwhile; as differences would have them.
 */
export function unsurePaths(snapshots: Snapshots, pairing: Pairing): Path[] {
  return [
    ...pathsOf(snapshots, pairing, ({ unreadable }) => unreadable),
    ...pathsOf(snapshots, pairing, ({ unsettled }) => unsettled),
  ];
}

/** What nothing is known of in either environment, by the segments of its paths. */
export function unknownOf(snapshots: Snapshots, pairing: Pairing): Unknown {
  const root: Unknown = { whole: false, below: new Map() };
  for (const path of pathsOf(snapshots, pairing, ({ unreadable }) => unreadable)) {
    let node = root;
    for (const segment of path) {
      const next = node.below.get(segment) ?? { whole: false, below: new Map() };
      node.below.set(segment, next);
      node = next;
    }
    node.whole = true;
  }
  return root;
}

/** Paths of some entries of both snapshots, as both environments call them. */
function pathsOf(
  snapshots: Snapshots,
  { names, folder }: Pairing,
  entriesOf: (snapshot: Snapshot) => readonly { path: Path }[],
): Path[] {
  return SIDES.flatMap((side) =>
    entriesOf(snapshots[side]).flatMap(({ path }): Path[] => {
      const [kind, name, ...rest] = path as [ResourceKind, string, ...string[]];
      // Models and monitors are known by way of their endpoints alone.
      const along = kind === 'endpoints' && rest.length === 0 ? ALONG : [];
      if (name === undefined) return [path, ...along.map((other) => [other])];
      const called = names.of(side, kind, name);
      return [
        [kind, called, ...rest],
        // Its parts have the names that both environments know them by, which may be folded.
        [kind, called, ...rest.map((segment) => folder.fold(side, segment).text)],
        ...along.map((other) => [other, called]),
      ];
    }),
  );
}

/** What is not known of a resource. Of models and monitors nothing is where nothing is of their endpoint. */
export function nodeOf(unknown: Unknown, kind: string, name: string): Unknown | undefined {
  if (unknown.whole) return unknown;
  const ofKind = unknown.below.get(kind);
  if (ofKind === undefined || ofKind.whole) return ofKind;
  if (ALONG.some((along) => along === kind)) {
    for (let at = name.indexOf('/'); at > 0; at = name.indexOf('/', at + 1)) {
      const node = ofKind.below.get(name.slice(0, at));
      if (node?.whole === true) return node;
    }
  }
  return ofKind.below.get(name);
}
