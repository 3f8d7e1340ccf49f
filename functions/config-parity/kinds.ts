/*
 * The words of a comparison, for whoever needs no more of it: the command line names them before it loads anything.
 */

/** The two environments that are compared. */
export const SIDES = ['staging', 'production'] as const;

export type Side = (typeof SIDES)[number];

/** What a difference is about, the worst first. */
export const DIFFERENCE_KINDS = [
  'schema',
  'inference',
  'environment',
  'safety',
  'capacity',
  'cosmetic',
] as const;

export type DifferenceKind = (typeof DIFFERENCE_KINDS)[number];

/** How bad a difference of a kind is that nobody has documented. */
export const SEVERITY = {
  schema: 'critical',
  inference: 'critical',
  environment: 'high',
  safety: 'high',
  capacity: 'medium',
  cosmetic: 'low',
} as const satisfies Record<DifferenceKind, string>;

export type Severity = (typeof SEVERITY)[DifferenceKind];
