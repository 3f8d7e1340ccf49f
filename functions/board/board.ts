import * as z from 'zod';
import { GateInputError } from '../shared/errors.ts';
import { listOf } from '../shared/format.ts';
import type { HistoryPoint } from '../shared/history.ts';
import { reportKey } from '../shared/identity.ts';
import type { Outcome } from '../shared/verdict.ts';
import { nextRun } from './schedule.ts';
import { type BoardRow, GAP_TITLES, GAPS, type Gap, HAPPENS, requirementSchema } from './schema.ts';
import { type GapStand, gapsOf, type Observed, STANDINGS, type Stand, standOf } from './standing.ts';

/*
 * The board as JSON: how the five gaps of each model stand in each environment, since when, and proved by what. Pure; the
 * page is drawn from it, and nothing on the page is from anywhere else.
 */

/** Milliseconds since 1970. */
const time = z.number();

const pointSchema = z.object({
  at: time,
  outcome: z.enum(['pass', 'fail', 'inconclusive']),
  verdict: z.string(),
  run: z.string(),
});

/** What gaps and requirements have in common. */
const standing = {
  standing: z.enum(STANDINGS),
  /** A whole sentence. */
  why: z.string(),
  /** Since when it stands so, as far as history tells. */
  since: time.optional(),
  /** When it last came to a verdict, to which, and its report relative to the page. */
  at: time.optional(),
  verdict: z.string().optional(),
  report: z.string().optional(),
  /** About when it runs next, where it has a schedule. */
  next: time.optional(),
};

const standSchema = z.object({
  ...standing,
  gate: requirementSchema.shape.gate,
  subject: z.string(),
  section: requirementSchema.shape.section,
  name: z.string(),
  title: z.string(),
  /** Where it stands: `tocsin.yaml:31`. */
  line: z.string(),
  /** What a person does for a new verdict. */
  again: z.string(),
  /** From when on its verdict says nothing any more. */
  staleAt: time.optional(),
  /** Whether its verdict is older than it may be, or it never came to one. */
  overdue: z.boolean(),
  /** The latest first. */
  history: z.array(pointSchema),
});

const gapSchema = z.object({
  ...standing,
  gap: z.enum(GAPS),
  /** The worst first. */
  stands: z.array(standSchema),
});

const rowSchema = z.object({
  model: z.string().optional(),
  environment: z.string().optional(),
  gaps: z.array(gapSchema),
});

/** The stored board, for reading it back. */
export const boardSchema = z.object({
  board: z.literal(1),
  /** When what it shows was read. */
  builtAt: time,
  rows: z.array(rowSchema),
});

export type Board = z.output<typeof boardSchema>;
export type BoardRowStand = Board['rows'][number];
export type BoardGap = BoardRowStand['gaps'][number];
export type BoardStand = BoardGap['stands'][number];
type Point = BoardStand['history'][number];

/**
 * The board of what is known now.
 *
 * @param observed what is known of each requirement of all rows, in their order
 * @param now milliseconds since 1970
 */
export function boardOf(rows: readonly BoardRow[], observed: readonly Observed[], now: number): Board {
  const wanted = rows.reduce((sum, { requirements }) => sum + requirements.length, 0);
  if (observed.length !== wanted) {
    throw new GateInputError(`expected what is known of ${wanted} requirements, got ${observed.length}`);
  }
  let next = 0;
  return {
    board: 1,
    builtAt: now,
    rows: rows.map(({ model, environment, requirements }) => {
      const stands = requirements.map((requirement) =>
        standOf(requirement, observed[next++] as Observed, now),
      );
      const gaps = gapsOf(stands)
        // What belongs to no model waits for nothing: a gap that nothing of it is about is no gap of it.
        .filter((gap) => model !== undefined || gap.stands.length > 0)
        .map((gap) => gapOf(gap, now));
      return {
        ...(model !== undefined && { model }),
        ...(environment !== undefined && { environment }),
        gaps,
      };
    }),
  };
}

function gapOf({ gap, standing, why, since, stands }: GapStand, now: number): BoardGap {
  const all = stands.map((stand) => standJson(stand, now));
  const [worst] = all;
  const nexts = all.flatMap(({ next }) => next ?? []);
  return {
    gap,
    standing,
    why,
    ...(since !== undefined && { since }),
    ...(worst?.at !== undefined && { at: worst.at }),
    ...(worst?.verdict !== undefined && { verdict: worst.verdict }),
    ...(worst?.report !== undefined && { report: worst.report }),
    ...(nexts.length > 0 && { next: Math.min(...nexts) }),
    stands: all,
  };
}

function standJson(stand: Stand, now: number): BoardStand {
  const { requirement, standing, why, since, at, verdict, staleAt, overdue, history } = stand;
  const { gate, subject, section, name, title, line, again, schedule } = requirement;
  const next = schedule === undefined ? undefined : nextRun(schedule, at, now);
  return {
    standing,
    why,
    ...(since !== undefined && { since }),
    ...(at !== undefined && { at }),
    ...(verdict !== undefined && { verdict, report: reportLink(requirement, verdict) }),
    ...(next !== undefined && { next }),
    gate,
    subject,
    section,
    name,
    title,
    line,
    again,
    ...(staleAt !== undefined && { staleAt }),
    overdue,
    history: history.map(({ at, outcome, verdict, run }) => ({ at, outcome, verdict, run })),
  };
}

/** Where reports are, from the page. */
const UP = '../';

/** The report of a verdict, from the page. */
function reportLink({ gate, subject }: Pick<BoardStand, 'gate' | 'subject'>, verdict: string): string {
  return `${UP}${reportKey({ gate, subject, id: verdict })}`;
}

/** Reports of one requirement that the board leads to, beside that of its latest verdict. */
const EARLIER = 8;

/** The reports of the verdicts before the latest one, the latest of them first; each verdict once. */
export function earlierReports(stand: BoardStand): { at: number; outcome: Outcome; report: string }[] {
  const verdicts = new Map<string, Point>();
  for (const point of stand.history) if (!verdicts.has(point.verdict)) verdicts.set(point.verdict, point);
  return [...verdicts.values()]
    .filter(({ verdict }) => verdict !== stand.verdict)
    .slice(0, EARLIER)
    .map(({ at, outcome, verdict }) => ({ at, outcome, report: reportLink(stand, verdict) }));
}

/** The key in the evidence bucket of what a link of the board leads to. */
export function keyOfLink(link: string): string {
  return link.startsWith(UP) ? link.slice(UP.length) : link;
}

/** Whether a run is among those that a board shows. */
export function shows({ rows }: Board, { gate, subject, verdict, run }: HistoryPoint): boolean {
  return rows.some(({ gaps }) =>
    gaps.some(({ stands }) =>
      stands.some(
        (stand) =>
          stand.gate === gate &&
          stand.subject === subject &&
          stand.history.some((point) => point.verdict === verdict && point.run === run),
      ),
    ),
  );
}

/** A row in words: `flight-delay in production`. */
export function rowTitle({ model, environment }: Pick<BoardRowStand, 'model' | 'environment'>): string {
  return model === undefined ? 'In no release' : `${model} in ${environment}`;
}

/** What is not closed of a row, in words: `rollback failed`, `data stale`; empty where all is. */
export function openGaps({ gaps }: BoardRowStand): string[] {
  const words = { fail: 'failed', inconclusive: 'inconclusive', stale: 'stale', never: 'never closed' };
  return gaps.flatMap(({ gap, standing }) =>
    standing === 'pass' ? [] : [`${GAP_TITLES[gap].title.toLowerCase()} ${words[standing]}`],
  );
}

/** So many releases that are not ready are named in a sentence. */
const NAMED = 3;

/** Whether releases may go, and in one sentence which may not, and why. */
export function summaryOf({ rows }: Board): { ready: boolean; text: string } {
  const releases = rows.filter(({ model }) => model !== undefined);
  const { length } = releases;
  if (length === 0) {
    return { ready: false, text: 'No release is named in the section readiness of tocsin.yaml.' };
  }
  const open = releases.filter((row) => openGaps(row).length > 0);
  if (open.length === 0) {
    const all = length === 1 ? `${rowTitle(releases[0] as BoardRowStand)} is` : `All ${length} releases are`;
    return { ready: true, text: `${all} ready: every gap is closed.` };
  }
  const named = open.slice(0, NAMED).map((row) => `${rowTitle(row)} (${listOf(openGaps(row))})`);
  const more = open.length > NAMED ? `; and ${open.length - NAMED} more` : '';
  const of = length === 1 ? 'The release' : `${open.length} of ${length} releases`;
  const verb = open.length === 1 ? 'is' : 'are';
  return { ready: false, text: `${of} ${verb} not ready: ${named.join('; ')}${more}.` };
}

/** What is counted of a board, for metrics. */
export interface BoardCounts {
  /** Requirements without a verdict that is as young as it may be. */
  overdue: number;
  /** Of these, what runs by itself: canaries, drills and comparisons. */
  overdueDrills: number;
  /** Requirements whose last verdict failed. */
  failing: number;
  /** Releases with a gap that is not closed. */
  notReady: number;
  /** By gap. */
  gaps: Record<Gap, { overdue: number; failing: number }>;
}

/** What a board amounts to in numbers. A requirement of several rows counts once. */
export function countsOf({ rows }: Board): BoardCounts {
  const stands = new Map<string, { gap: Gap; stand: BoardStand }>();
  for (const { gap, stands: own } of rows.flatMap(({ gaps }) => gaps)) {
    for (const stand of own) {
      const key = `${stand.section} ${stand.name}`;
      const known = stands.get(key)?.stand;
      // Releases may want it to be younger than others do.
      if (known === undefined || (stand.overdue && !known.overdue)) stands.set(key, { gap, stand });
    }
  }
  const all = [...stands.values()];
  const count = (test: (stand: BoardStand) => boolean, gap?: Gap) =>
    all.filter((one) => test(one.stand) && (gap === undefined || one.gap === gap)).length;
  const overdue = (stand: BoardStand) => stand.overdue;
  const failing = (stand: BoardStand) => stand.standing === 'fail';
  return {
    overdue: count(overdue),
    overdueDrills: count((stand) => stand.overdue && !HAPPENS.includes(stand.section)),
    failing: count(failing),
    notReady: rows.filter((row) => row.model !== undefined && openGaps(row).length > 0).length,
    gaps: Object.fromEntries(
      GAPS.map((gap) => [gap, { overdue: count(overdue, gap), failing: count(failing, gap) }]),
    ) as BoardCounts['gaps'],
  };
}
