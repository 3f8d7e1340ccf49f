import type { BoardRow, Requirement } from './schema.ts';
import { type GapStand, gapsOf, type Observed, standOf } from './standing.ts';

/*
 * Whether a model may be released: all five gaps closed, each by verdicts that are fresh, that pass, and that are bound to
 * what is about to be released. Pure, and closed: what nobody has looked at is no pass.
 */

/** The judgement on one release. */
export interface Readiness {
  model: string;
  environment: string;
  /** Moment that it is judged at, milliseconds since 1970. */
  at: number;
  ready: boolean;
  /** All five, in their order. */
  gaps: GapStand[];
}

/** What names a requirement among those of a release: `canaries flight-delay`. */
export function requirementKey({ section, name }: Pick<Requirement, 'section' | 'name'>): string {
  return `${section} ${name}`;
}

const NOT_LOOKED: Observed = { history: [], latest: { unreadable: 'nobody has looked at it' } };

/**
 * Judges a release.
 *
 * @param row what it waits for
 * @param observed what is known of each requirement, by {@link requirementKey}
 * @param now milliseconds since 1970
 */
export function readyOf(row: BoardRow, observed: ReadonlyMap<string, Observed>, now: number): Readiness {
  const stands = row.requirements.map((requirement) =>
    standOf(requirement, observed.get(requirementKey(requirement)) ?? NOT_LOOKED, now),
  );
  const gaps = gapsOf(stands);
  return {
    model: row.model ?? '',
    environment: row.environment ?? '',
    at: now,
    ready: gaps.every(({ standing }) => standing === 'pass'),
    gaps,
  };
}
