import { Document, isMap, Scalar } from 'yaml';
import { countOf } from '../shared/format.ts';
import { canonicalJson } from '../shared/identity.ts';
import type { Difference } from './comparison.ts';
import { uncoveredOf } from './documented.ts';
import type { Evaluation } from './evaluate.ts';
import type { Json } from './json.ts';
import { formatPath } from './path.ts';
import { type DocumentedEntry, type Parity, SIDES } from './schema.ts';
import { isBeginning, isSecret, valuesText } from './words.ts';

/*
 * Entries of parity.yaml for what nobody has documented yet. Pure.
 */

/** As many differences of the same values at the same place of different things are one entry, and more. */
const ALIKE = 4;

/** An entry that is to be filled in. */
interface Proposal {
  path: string;
  differences: readonly Difference[];
}

/**
 * Entries for parity.yaml, for each difference that no entry is about: a YAML list, with a test that holds now. Reason,
 * owner and expiry are left empty, so that parity.yaml is invalid until a person has filled them in.
 *
 * @returns '' where everything is documented
 */
export function proposalsOf(evaluation: Pick<Evaluation, 'comparison' | 'uses'>, parity: Parity): string {
  const proposals = groupsOf(uncoveredOf(evaluation));
  if (proposals.length === 0) return '';
  const document = new Document(proposals.map(entryOf));
  for (const [index, proposal] of proposals.entries()) {
    const item = document.getIn([index], true);
    if (!isMap(item)) continue;
    for (const side of SIDES) {
      // What is empty is to be filled in; that there is nothing is not.
      const value = item.getIn(['test', 'values', side], true);
      if (value instanceof Scalar && value.value === null) value.source = 'null';
    }
    item.commentBefore = commentOf(proposal, parity)
      .map((line) => ` ${line}`)
      .join('\n');
    item.spaceBefore = index > 0;
  }
  return document.toString({ nullStr: '', lineWidth: 0 });
}

/** One entry each; one pattern for many alike. Patterns come last: the first entry that fits a difference is its own. */
function groupsOf(differences: readonly Difference[]): Proposal[] {
  const alike = Map.groupBy(differences, (difference) =>
    canonicalJson([
      patternOf(difference),
      difference.staging.value ?? null,
      difference.production.value ?? null,
      isAbsent(difference),
    ]),
  );
  const patterns = new Map<string, Difference[]>();
  for (const group of alike.values()) {
    const [first] = group;
    const pattern = first === undefined ? undefined : patternOf(first);
    if (pattern === undefined || group.length < ALIKE) continue;
    // Others at that place have other values: one pattern cannot stand for both.
    if (group.length > (patterns.get(pattern)?.length ?? 0)) patterns.set(pattern, group);
  }
  const grouped = new Set([...patterns.values()].flat());
  return [
    ...differences
      .filter((difference) => !grouped.has(difference))
      .map((difference) => ({ path: difference.text, differences: [difference] })),
    ...[...patterns].map(([path, group]) => ({ path, differences: group })),
  ];
}

/** The same place of anything of that kind; undefined of what is no place of a thing, but the thing. */
function patternOf({ path }: Difference): string | undefined {
  const [kind, , ...rest] = path;
  if (kind === undefined || rest.length === 0) return undefined;
  const start = formatPath([kind]);
  return `${start}.*${formatPath([kind, ...rest]).slice(start.length)}`;
}

function isAbsent({ staging, production }: Difference): [boolean, boolean] {
  return [staging.value === undefined, production.value === undefined];
}

function entryOf({ path, differences: [first] }: Proposal): Record<keyof DocumentedEntry, unknown> {
  return {
    path,
    reason: null,
    owner: null,
    expires: null,
    test: first === undefined ? null : testOf(first),
  };
}

/** A test that holds of a difference as it is. */
function testOf({ kind, staging, production }: Difference): DocumentedEntry['test'] {
  const [a, b] = [staging.value, production.value];
  const different = { relation: 'production != staging' };
  // The hash of a secret is another after the next rotation.
  if (isSecret(a) || isSecret(b)) return different;
  if (a === undefined) return { values: { staging: null, ...(isWhole(b) && { production: b }) } };
  if (b === undefined) return { values: { ...(isWhole(a) && { staging: a }), production: null } };
  // Both name the same environment.
  if (canonicalJson(a) === canonicalJson(b)) return { relation: 'production == staging' };
  // More of it does no harm; a threshold or a version may be another number, and no other.
  if (kind === 'capacity' && typeof a === 'number' && typeof b === 'number') {
    return { relation: `production ${b > a ? '>=' : '<='} staging` };
  }
  const tails = [a, b].map(tailOf);
  if (tails[0] !== undefined && tails[0] === tails[1]) return { same: { after: ':' } };
  return isScalar(a) && isScalar(b) ? { values: { staging: a, production: b } } : different;
}

/** What is after the last colon; undefined where there is nothing, or no colon. */
function tailOf(value: Json): string | undefined {
  return typeof value === 'string' ? /:([^:]+)$/.exec(value)?.[1] : undefined;
}

function isScalar(value: Json | undefined): value is string | number | boolean | null {
  return value !== undefined && (typeof value !== 'object' || value === null);
}

/** Whether a value is short enough to be written down. */
function isWhole(value: Json | undefined): value is string | number | boolean | null {
  return isScalar(value) && !isBeginning(value);
}

function commentOf({ differences }: Proposal, { value: { probes } }: Parity): string[] {
  const [first] = differences;
  if (first === undefined) return [];
  const { kind, severity, path } = first;
  const { staging, production } = valuesText(first);
  const many = differences.length > 1 ? `${countOf(differences.length, 'time')}: ` : '';
  const probe = Object.entries(probes).find(
    ([, { endpoint }]) =>
      path[0] === 'models' && (path[1] === endpoint || path[1]?.startsWith(`${endpoint}/`)),
  );
  return [
    `${many}${staging} in staging, ${production} in production (${kind}, ${severity})`,
    ...(probe !== undefined && differences.length === 1 ? [`or test: { probe: ${probe[0]} }`] : []),
  ];
}
