import type { Readiness } from '../../functions/board/ready.ts';
import { GAP_TITLES } from '../../functions/board/schema.ts';
import type { Stand } from '../../functions/board/standing.ts';
import type { EvidenceStore } from '../../functions/shared/evidence.ts';
import { formatTime } from '../../functions/shared/format.ts';
import { reportKey, verdictFolder } from '../../functions/shared/identity.ts';

/*
 * Readiness for machines: times in ISO 8601, addresses of evidence, and everything that the text says.
 */

/** The judgement on a release as plain JSON. */
export function jsonOf(
  { model, environment, at, ready, gaps }: Readiness,
  released: string | undefined,
  store: EvidenceStore,
) {
  return {
    readiness: 1,
    ready,
    model,
    environment,
    package: released ?? null,
    at: formatTime(at),
    gaps: gaps.map(({ gap, standing, why, since, stands }) => ({
      gap,
      title: GAP_TITLES[gap].title,
      standing,
      why,
      since: timeOf(since),
      requirements: stands.map((stand) => requirementOf(stand, store)),
    })),
  };
}

function requirementOf(
  { requirement, standing, why, verdict, changes, inputs, ...times }: Stand,
  store: EvidenceStore,
) {
  const { gate, subject, section, name, title, freshMs, line, again } = requirement;
  const of = verdict === undefined ? undefined : { gate, subject, id: verdict };
  return {
    section,
    name,
    title,
    gate,
    subject,
    standing,
    why,
    verdict: verdict ?? null,
    evidence: of === undefined ? null : store.uri(`${verdictFolder(gate, subject, of.id)}verdict.json`),
    report: of === undefined ? null : store.uri(reportKey(of)),
    at: timeOf(times.at),
    since: timeOf(times.since),
    staleAt: timeOf(times.staleAt),
    overdue: times.overdue,
    freshSeconds: freshMs / 1000,
    changes,
    boundTo: inputs ?? null,
    configuredAt: line,
    again,
  };
}

function timeOf(ms: number | undefined): string | null {
  return ms === undefined ? null : formatTime(ms);
}
