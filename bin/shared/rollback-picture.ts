import type { Writable } from 'node:stream';
import * as z from 'zod';
import {
  type EndpointState,
  type EndpointStatus,
  endpointStateSchema,
  sharesOf,
} from '../../functions/rollback-drill/endpoint.ts';
import type { Mark, Request, Timeline, Who } from '../../functions/rollback-drill/measurements.ts';
import {
  allRequests,
  isWrong,
  recoveredAt,
  requestsBetween,
  statesOf,
  tallyOf,
} from '../../functions/rollback-drill/timeline.ts';
import { clockText } from '../../functions/rollback-drill/words.ts';
import { countOf, formatDuration, formatShare, formatTime, listOf } from '../../functions/shared/format.ts';
import { parseJson } from '../../functions/shared/schema.ts';
import { integer, printable, style } from './cli.ts';
import { ANSWERS, formatsOf, legendOf, type Marks, paint, worst } from './marks.ts';
import { durationText } from './run-screen.ts';

/*
 * A rollback drill for people: who answered over time, what the endpoint said of itself meanwhile, and what happened when.
 * Pure.
 */

/** What happened, in words. */
const EVENTS: Record<Mark['what'], string> = {
  'traffic begins': 'traffic begins',
  'failure begins': 'the failure begins',
  'bad model serves': 'the bad model serves',
  'procedure begins': 'the procedure begins',
  'procedure ends': 'the procedure ends',
  'watching ends': 'watching ends',
  'restoring begins': 'restoring begins',
  'restoring ends': 'restoring ends',
};

const timelineSchema = z.object({
  marks: z.array(
    z.object({ at: z.number(), what: z.enum(Object.keys(EVENTS) as [Mark['what'], ...Mark['what'][]]) }),
  ),
  slices: z.array(
    z.object({
      from: z.number(),
      to: z.number(),
      requests: z.array(
        z.object({
          at: z.number(),
          golden: z.number(),
          ms: z.number(),
          who: z.enum(['previous', 'bad', 'either', 'other', 'nobody']),
          variant: z.string().nullable(),
          error: z.string().nullable(),
        }),
      ),
      states: z.array(
        z.object({
          at: z.number(),
          state: endpointStateSchema.nullable(),
        }),
      ),
      stop: z.string().nullable(),
    }),
  ),
});

/**
 * Reads the timeline of a drill.
 *
 * @param where it is kept, for messages
 * @throws GateInputError where it is none
 */
export function parseTimeline(text: string, where: string): Timeline {
  return parseJson(timelineSchema, text, where);
}

type Answer = keyof typeof ANSWERS;

const ANSWER_OF: Record<Who, Answer> = { bad: 'B', other: 'O', nobody: 'x', previous: 'P', either: '=' };

/** Marks of the endpoint's status, the worst first. */
const STATUSES = {
  '!': { means: 'no such endpoint', format: ['bold', 'red'] },
  F: { means: 'Failed', format: ['bold', 'red'] },
  M: { means: 'UpdateRollbackFailed', format: ['bold', 'red'] },
  O: { means: 'OutOfService', format: ['bold', 'red'] },
  D: { means: 'Deleting', format: ['bold', 'red'] },
  R: { means: 'RollingBack', format: ['yellow'] },
  S: { means: 'SystemUpdating', format: ['yellow'] },
  C: { means: 'Creating', format: ['yellow'] },
  U: { means: 'Updating', format: ['yellow'] },
  '.': { means: 'InService', format: ['green'] },
} as const satisfies Marks;

type Status = keyof typeof STATUSES;

const STATUS_OF: Record<EndpointStatus, Status> = {
  Failed: 'F',
  UpdateRollbackFailed: 'M',
  OutOfService: 'O',
  Deleting: 'D',
  RollingBack: 'R',
  SystemUpdating: 'S',
  Creating: 'C',
  Updating: 'U',
  InService: '.',
};

/** Lengths that one column may have, milliseconds. */
const STEPS_MS = [
  ...[200, 500],
  ...[1, 2, 5, 10, 15, 30].map((s) => s * 1000),
  ...[1, 2, 5, 10, 15, 30, 60].map((min) => min * 60_000),
];

/** Columns before the picture, and the fewest that it has. */
const GUTTER = 'answers '.length;
const MIN_WIDTH = 20;

/** Columns between two times below the picture. */
const TICK = 10;

/** Changes of the endpoint that are listed, and kinds of errors that are named. */
const MAX_CHANGES = 30;
const MAX_ERRORS = 5;

/** Names of things in one column. */
const LETTERS = 'abcdefghijklmnopqrstuvwxyz';
const CONFIGS = '123456789';

/** Something that happened; what has a letter stands in the picture. */
interface Happening {
  at: number;
  text: string;
  letter?: string;
}

/** One column of the picture: from when until before when, milliseconds since 1970. */
interface Column {
  from: number;
  to: number;
}

/**
 * The picture of a timeline, as wide as the terminal: a row of who answered, of requests that were lost where some were, of the endpoint's status, of its
 * configuration where it had several, and of what happened; below, all of it in words. Empty where nothing was asked.
 *
 * @param columns of the terminal
 */
export function renderTimeline(stream: Writable, timeline: Timeline, columns: number): string {
  const requests = allRequests(timeline);
  if (requests.length === 0) return '';
  const times = [
    ...timeline.slices.flatMap(({ from, to }) => [from, to]),
    ...timeline.marks.map(({ at }) => at),
  ];
  const start = times.reduce((a, b) => Math.min(a, b));
  const end = times.reduce((a, b) => Math.max(a, b));
  const width = Math.max(MIN_WIDTH, columns - GUTTER - 1);
  const stepMs = stepOf(end - start, width, requests.length);
  const cells = Array.from({ length: Math.floor((end - start) / stepMs) + 1 }, (_, index): Column => {
    const from = start + index * stepMs;
    return { from, to: from + stepMs };
  });
  const configs = configsOf(timeline);
  const happenings = happeningsOf(timeline);
  const groups = groupsOf(requests, cells);
  const answers = groups.map(answerMark);
  const lost = groups.map((group) => (group.some(({ who }) => who === 'nobody') ? 'x' : ' '));
  const looks = looksOf(timeline, cells);
  const statuses = looks.map((states) => worstStatus(states));

  const line = (label: string, text: string, marks: Marks) =>
    `${style(stream, 'dim', label.padEnd(GUTTER))}${paint(stream, text, formatsOf(marks))}`.trimEnd();
  const legend = (label: string, text: string) =>
    `${style(stream, 'dim', `${label}:`.padEnd(GUTTER))} ${text}`;
  const lines = [
    `${style(stream, 'bold', `Who answered ${countOf(requests.length, 'request')} in ${durationText(end - start)}`)}, from ${formatTime(start - (start % 1000))}`,
    '',
    line('answers', answers.join(''), ANSWERS),
    ...(lost.includes('x') ? [line('lost', lost.join(''), ANSWERS)] : []),
    line('status', statuses.join(''), STATUSES),
    ...(configs.length > 1
      ? [line('config', looks.map((states) => configMark(states, configs)).join(''), {})]
      : []),
    line('events', eventRow(happenings, cells, start, stepMs), {}),
    line('', axisOf(cells.length, stepMs), {}),
    '',
    legend('answers', legendOf(stream, ANSWERS, new Set([...answers, ...lost]))),
    legend('status', legendOf(stream, STATUSES, new Set(statuses))),
    ...(configs.length > 1
      ? [
          legend(
            'config',
            configs.map((name, index) => `${CONFIGS[index] ?? '+'} ${printable(name)}`).join('  '),
          ),
        ]
      : []),
    `Each column is ${stepMs < 1000 ? `${stepMs} ms` : durationText(stepMs)}.`,
    '',
    ...happeningLines(stream, happenings, start),
    '',
    countsText(requests),
    '',
  ];
  return `${lines.join('\n')}\n`;
}

/** The shortest column with which the picture fits, and has a request in most columns. */
function stepOf(spanMs: number, width: number, requests: number): number {
  const fits = (ms: number) => spanMs / ms < width && spanMs / ms <= requests;
  const longest = STEPS_MS.at(-1) as number;
  // A drill of days would be a mistake, and has a picture all the same.
  return STEPS_MS.find(fits) ?? longest * Math.ceil((spanMs + 1) / (width * longest));
}

/** Requests that began in each column. */
function groupsOf(requests: readonly Request[], cells: readonly Column[]): Request[][] {
  let next = 0;
  return cells.map(({ to }) => {
    const first = next;
    while (next < requests.length && (requests[next] as Request).at < to) next++;
    return requests.slice(first, next);
  });
}

/** Who answered some requests: blank where there were none. */
function answerMark(requests: readonly Request[]): Answer | ' ' {
  const answered = requests.filter(({ who }) => who !== 'nobody');
  if (answered.length === 0) return requests.length === 0 ? ' ' : 'x';
  const telling = new Set(answered.map(({ who }) => ANSWER_OF[who]).filter((mark) => mark !== '='));
  if (telling.size > 1) return 'M';
  const [mark = '='] = telling;
  return mark;
}

/** States that the endpoint had in each column, as far as somebody looked. */
function looksOf({ slices }: Timeline, cells: readonly Column[]): (EndpointState | null)[][] {
  const looks = slices.flatMap(({ states, to }) =>
    states.map(({ at, state }, index) => ({
      from: at,
      to: states[index + 1]?.at ?? Math.max(at, to),
      state,
    })),
  );
  return cells.map(({ from, to }) =>
    looks.filter((look) => look.from < to && (look.from >= from || look.to > from)).map(({ state }) => state),
  );
}

function worstStatus(states: readonly (EndpointState | null)[]): Status | ' ' {
  if (states.length === 0) return ' ';
  return worst(
    STATUSES,
    states.map((state) => (state === null ? '!' : STATUS_OF[state.status])),
  );
}

/** Endpoint configurations in the order in which they came. */
function configsOf({ slices }: Timeline): string[] {
  return [...new Set(statesOf(slices).flatMap(({ state }) => state?.config ?? []))];
}

function configMark(states: readonly (EndpointState | null)[], configs: readonly string[]): string {
  const config = states.at(-1)?.config;
  return config === undefined ? ' ' : (CONFIGS[configs.indexOf(config)] ?? '+');
}

/** What happened, in order. */
function happeningsOf(timeline: Timeline): Happening[] {
  const recovered = recoveryOf(timeline);
  const marked = [
    ...timeline.marks.map(({ at, what }) => ({ at, text: EVENTS[what] })),
    ...(recovered === undefined ? [] : [recovered]),
  ]
    .toSorted((a, b) => a.at - b.at)
    .map((happening, index) => ({ ...happening, letter: LETTERS[index] ?? '+' }));
  return [...marked, ...changesOf(timeline)].toSorted((a, b) => a.at - b.at);
}

/** Since when the previous model answers everything; undefined where it does not, or where no other ever did. */
function recoveryOf({ marks, slices }: Timeline): Happening | undefined {
  const begun = marks.find(({ what }) => what === 'procedure begins')?.at;
  if (begun === undefined) return undefined;
  // What is asked while the endpoint is restored says nothing of the procedure.
  const end = marks.find(({ what }) => what === 'restoring begins')?.at ?? Number.POSITIVE_INFINITY;
  const at = recoveredAt(requestsBetween(slices, begun, end));
  if (at === null || !requestsBetween(slices, Number.NEGATIVE_INFINITY, at).some(isWrong)) return undefined;
  return {
    at,
    text: `the previous model answers everything again, ${formatDuration(at - begun)} after the procedure began`,
  };
}

/** What the endpoint said of itself, whenever it was something else. */
function changesOf({ slices }: Timeline): Happening[] {
  let before: EndpointState | null | undefined;
  const changes = statesOf(slices).flatMap(({ at, state }) => {
    const text = stateText(state, before);
    const isSame = before !== undefined && text === stateText(before, before);
    before = state;
    return isSame ? [] : [{ at, text }];
  });
  const more = changes.length - MAX_CHANGES;
  if (more <= 0) return changes;
  const last = changes[MAX_CHANGES] as Happening;
  return [
    ...changes.slice(0, MAX_CHANGES),
    { at: last.at, text: `and ${countOf(more, 'more change')} of the endpoint` },
  ];
}

/** `endpoint InService on churn-v7: baseline 90%, candidate 10%` */
function stateText(state: EndpointState | null, before: EndpointState | null | undefined): string {
  if (state === null) return 'there is no such endpoint';
  const { status, config, failureReason, variants } = state;
  const shares = Object.entries(sharesOf(variants)).map(([name, share]) => `${name} ${formatShare(share)}`);
  const on = before?.config === config ? '' : ` on ${config}`;
  const why = failureReason === null ? '' : ` (${failureReason})`;
  return `endpoint ${status}${on}: ${shares.join(', ') || 'no weights'}${why}`;
}

/** Letters below their columns; those of one column stand side by side. */
function eventRow(
  happenings: readonly Happening[],
  cells: readonly Column[],
  start: number,
  stepMs: number,
): string {
  const letters = happenings.filter(({ letter }) => letter !== undefined);
  let next = 0;
  const columns = letters.map(({ at }) => {
    const column = Math.max(next, Math.floor((at - start) / stepMs));
    next = column + 1;
    return column;
  });
  // From the right: the last ones stay in the picture, as far as there is room.
  let before = cells.length;
  for (let index = columns.length - 1; index >= 0; index--) {
    before = Math.max(index, Math.min(columns[index] as number, before - 1));
    columns[index] = before;
  }
  return letters.reduce((text, { letter }, index) => text.padEnd(columns[index] as number) + letter, '');
}

/** Times below their columns. */
function axisOf(length: number, stepMs: number): string {
  let text = '';
  for (let column = 0; column < length; column += TICK) {
    const time = clockText(column * stepMs, Number.POSITIVE_INFINITY);
    if (text.length <= column && column + time.length <= length) text = text.padEnd(column) + time;
  }
  return text;
}

function happeningLines(stream: Writable, happenings: readonly Happening[], start: number): string[] {
  const times = happenings.map(({ at }) => clockText(at - start, Number.POSITIVE_INFINITY));
  const width = Math.max(...times.map((time) => time.length));
  return happenings.map(({ text, letter }, index) => {
    const line = `${letter ?? ' '}  ${(times[index] ?? '').padStart(width)}  ${printable(text)}`;
    return letter === undefined ? style(stream, 'dim', line) : line;
  });
}

/** `120 requests: 80 by the previous model, 38 by the bad model, 2 by nobody (ModelError 500: 2)` */
function countsText(requests: readonly Request[]): string {
  const tally = tallyOf(requests);
  const errors = Map.groupBy(
    requests.flatMap(({ error }) => error ?? []),
    (error) => error,
  );
  const kinds = [...errors].toSorted(([, a], [, b]) => b.length - a.length);
  const named = kinds.slice(0, MAX_ERRORS).map(([error, { length }]) => `${error}: ${integer(length)}`);
  const more = kinds.length > named.length ? [`${kinds.length - named.length} other errors`] : [];
  const why = kinds.length === 0 ? '' : ` (${[...named, ...more].join(', ')})`;
  const parts = (['previous', 'bad', 'other', 'either', 'nobody'] as const)
    .filter((who) => tally[who] > 0)
    .map((who) => {
      const { means } = ANSWERS[ANSWER_OF[who]];
      return `${integer(tally[who])} by ${means}${who === 'nobody' ? why : ''}`;
    });
  return printable(`${countOf(requests.length, 'request')}: ${listOf(parts)}.`);
}
