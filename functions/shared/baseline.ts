import * as z from 'zod';
import { GateInputError } from './errors.ts';
import { baselineKey, type EvidenceStore } from './evidence.ts';
import { sha256 } from './identity.ts';
import { COLUMN_TYPES, type Profile } from './profile.ts';
import { parseJson } from './schema.ts';

/*
 * A stored profile, checked before anything is measured from it: a damaged baseline must be an error with a name,
 * not a drift of NaN.
 */

const count = z.number().int().nonnegative();
const counts = z.array(count);
const ascending = z
  .array(z.number())
  .refine((edges) => edges.every((edge, index) => index === 0 || edge > (edges[index - 1] as number)), {
    error: 'numbers in ascending order, each once',
  });

const numericSchema = z
  .object({
    kind: z.literal('numeric'),
    edges: ascending,
    cells: counts,
    atoms: ascending,
    atomCounts: counts,
    nulls: count,
  })
  .superRefine(({ edges, cells, atoms, atomCounts }, context) => {
    const complain = (key: string, message: string) =>
      context.addIssue({ code: 'custom', path: [key], message });
    if (cells.length !== edges.length + 1)
      complain('cells', `${cells.length} cells do not fit ${edges.length} edges`);
    if (atomCounts.length !== atoms.length)
      complain('atomCounts', `${atomCounts.length} counts do not fit ${atoms.length} atoms`);
    if (!atoms.every((atom) => edges.includes(atom))) complain('atoms', 'not every atom is an edge');
  });

const categoricalSchema = z
  .object({
    kind: z.literal('categorical'),
    values: z.array(z.string()),
    counts,
    other: count,
    otherDistinct: count,
    nulls: count,
  })
  .refine((distribution) => distribution.values.length === distribution.counts.length, {
    error: 'not one count for each value',
    path: ['counts'],
  });

const columnSchema = z.object({
  type: z.enum(COLUMN_TYPES),
  physical: z.string(),
  pii: z.exactOptional(z.literal(true)),
  count,
  nulls: count,
  invalid: count,
  nan: z.exactOptional(count),
  zeros: z.exactOptional(count),
  empty: z.exactOptional(count),
  min: z.exactOptional(z.number()),
  max: z.exactOptional(z.number()),
  mean: z.exactOptional(z.number()),
  std: z.exactOptional(z.number().nonnegative()),
  shortest: z.exactOptional(count),
  longest: z.exactOptional(count),
  distinct: z.object({ value: count, exact: z.boolean() }),
  dominant: z.exactOptional(
    z.object({ share: z.number().min(0).max(1), value: z.exactOptional(z.string()) }),
  ),
  distribution: z.exactOptional(z.discriminatedUnion('kind', [numericSchema, categoricalSchema])),
});

const profileSchema = z.object({
  profile: z.literal(1),
  dataset: z.string(),
  tocsin: z.string(),
  rows: count,
  sha256: z.string().regex(/^[0-9a-f]{64}$/, '64 hexadecimal digits'),
  columns: z.record(z.string(), columnSchema),
});

/**
 * Reads a stored profile.
 *
 * @param where it is, for messages
 * @param dataset that it must be of
 * @throws GateInputError where it is none, or damaged, or of another dataset
 */
export function parseProfile(text: string, where: string, dataset: string): Profile {
  const profile: Profile = parseJson(profileSchema, text, where);
  if (profile.dataset !== dataset) {
    throw new GateInputError(`${where} is a profile of dataset "${profile.dataset}", expected "${dataset}"`);
  }
  return profile;
}

/** What drift is measured from, and the hash of its text. */
export interface Baseline {
  profile: Profile;
  sha256: string;
}

/**
 * Reads what drift is measured from.
 *
 * @returns undefined where nobody has promoted a baseline yet
 * @throws GateInputError where it is damaged
 * @throws GateDependencyError where S3 does not answer
 */
export async function readBaseline(store: EvidenceStore, dataset: string): Promise<Baseline | undefined> {
  const key = baselineKey(dataset);
  const stored = await store.read(key);
  if (stored === undefined) return undefined;
  return {
    profile: parseProfile(stored.text, `baseline ${store.uri(key)}`, dataset),
    sha256: sha256(stored.text),
  };
}
