import type { Writable } from 'node:stream';
import {
  ALARM_STATES,
  type AlarmState,
  COMPARISONS,
  conditionText,
  type Evaluated,
  firesUpwards,
  readsMetric,
  thresholdText,
} from '../../functions/alarm-drill/alarm.ts';
import { forecast, seriesOf } from '../../functions/alarm-drill/simulate.ts';
import { chunksOf } from '../../functions/shared/chunks.ts';
import { GateInputError } from '../../functions/shared/errors.ts';
import { type Format, integer, printable, style } from './cli.ts';
import { formatsOf, legendOf, paint, worst } from './marks.ts';

/*
 * What an alarm does to a series of data points, for people: each point against the threshold, the states, and why they
 * change. Each data point is judged when its period is over. Pure.
 */

/** Data points, oldest first, null where one is missing: those that are held against the threshold, or of metrics by id. */
export type Given = readonly (number | null)[] | Readonly<Record<string, readonly (number | null)[]>>;

/** One data point, and the alarm when its period is over. */
export interface ExplainedPoint {
  /** What is held against the threshold; null where it is missing. */
  value: number | null;
  breaching: boolean | null;
  /** One; or those that are possible, where that is not documented. */
  states: AlarmState[];
  /** The newest N data points: how many of them breach, are missing, and how old the first breaching one is (1: this). */
  window: { breaching: number; missing: number; oldest: number | null };
}

export interface Explanation {
  alarm: Evaluated;
  initial: AlarmState;
  points: ExplainedPoint[];
  /** What the states depend on, as one sentence; null where they are known. */
  undocumented: string | null;
}

/** A change of state. */
export interface Change {
  /** Number of the data point, from 1. */
  point: number;
  from: AlarmState[];
  to: AlarmState[];
  /** To ALARM for certain: since the first breaching data point of its window began. Milliseconds. */
  afterFirstMs?: number;
  /** From ALARM for certain: since the last breaching data point was over. Milliseconds. */
  afterLastMs?: number;
  /** `2 of the 3 newest breach` */
  why: string;
}

/** Data points that all evaluations may read together: as many as take seconds. */
const MOST_READ = 4_000_000;

/** How many more than N each evaluation reads at most. */
const EXTRA = 3;

/**
 * What an alarm does, whatever CloudWatch's documentation leaves open.
 *
 * @param initial its state before the first data point; before that one, all are missing
 * @throws GateInputError where metrics are named that the alarm does not have, as of {@link forecast}, and where it is
 *   too much to look at
 */
export function explain(alarm: Evaluated, given: Given, initial: AlarmState): Explanation {
  const { evaluationPeriods: n, periodS } = alarm;
  const evaluated = isList(given) ? withoutMath(alarm) : withoutStatistics(alarm);
  const named = isList(given) ? { [evaluated.returns]: given } : given;
  const count = Math.max(...Object.values(named).map((values) => values.length));
  if (count * (n + EXTRA) > MOST_READ) {
    const most = Math.floor(MOST_READ / (n + EXTRA));
    throw new GateInputError(
      `${integer(count)} data points are too many for an alarm that reads ${integer(n)} of them at a time`,
      { help: `Give at most ${integer(most)}.` },
    );
  }
  const series = Object.assign(
    {},
    ...Object.entries(named).map(([id, values]) => seriesOf(values, evaluated, 0, id)),
  );
  const every = periodS * 1000;
  const { evaluations, courses, undocumented } = forecast(evaluated, series, {
    from: 0,
    to: count * every,
    initial,
    every,
  });
  const points = evaluations.map(({ slots }, index): ExplainedPoint => {
    const newest = slots.slice(0, n).map(({ breaching }) => breaching);
    const oldest = newest.lastIndexOf(true);
    const states = new Set(courses.map((course) => course[index]));
    return {
      value: slots[0]?.value ?? null,
      breaching: newest[0] ?? null,
      states: ALARM_STATES.filter((state) => states.has(state)),
      window: {
        breaching: newest.filter((breaching) => breaching).length,
        missing: newest.filter((breaching) => breaching === null).length,
        oldest: oldest < 0 ? null : oldest + 1,
      },
    };
  });
  return { alarm, initial, points, undocumented };
}

function isList(given: Given): given is readonly (number | null)[] {
  return Array.isArray(given);
}

/** Held against the threshold are the data points as they are given, not what expressions or statistics make of them. */
function withoutMath({ lowSamples: _, ...alarm }: Evaluated): Evaluated {
  const metric = { namespace: '', name: '', dimensions: {} };
  return { ...alarm, queries: [{ id: 'm1', metric, statistic: 'Average' }], returns: 'm1' };
}

/** Expressions read data points as they are given, whatever statistic makes them. */
function withoutStatistics({ lowSamples: _, ...alarm }: Evaluated): Evaluated {
  const queries = alarm.queries.map((query) =>
    readsMetric(query) ? { id: query.id, metric: query.metric, statistic: 'Average' } : query,
  );
  return { ...alarm, queries };
}

/** Where the states change, and why. */
export function changesOf({ alarm, initial, points }: Explanation): Change[] {
  const changes: Change[] = [];
  const periodMs = alarm.periodS * 1000;
  let from: AlarmState[] = [initial];
  let lastBreaching: number | undefined;
  for (const [index, point] of points.entries()) {
    const { states: to, window } = point;
    if (point.breaching) lastBreaching = index;
    if (to.join() === from.join()) continue;
    const rings = to.join() === 'ALARM';
    const rests = from.join() === 'ALARM';
    changes.push({
      point: index + 1,
      from,
      to,
      ...(rings && window.oldest !== null && { afterFirstMs: window.oldest * periodMs }),
      ...(rests && lastBreaching !== undefined && { afterLastMs: (index - lastBreaching) * periodMs }),
      why: whyOf(point, alarm),
    });
    from = to;
  }
  return changes;
}

function whyOf({ breaching, states, window }: ExplainedPoint, alarm: Evaluated): string {
  const { datapointsToAlarm: m, evaluationPeriods: n, missingData } = alarm;
  const treated = { breaching: 'breaching', notBreaching: 'fine', missing: undefined, ignore: undefined }[
    missingData
  ];
  if (n === 1) {
    if (breaching !== null) return breaching ? 'it breaches' : 'it does not breach';
    return `it is missing${treated === undefined ? '' : `, which counts as ${treated}`}`;
  }
  const one = window.missing === 1;
  const counts = treated === undefined ? '' : ` and ${one ? 'counts' : 'count'} as ${treated}`;
  const missing = window.missing === 0 ? '' : `, ${window.missing} ${one ? 'is' : 'are'} missing${counts}`;
  // Fewer than M are enough where nothing else is there, once the first of them is as old as M periods.
  const old = states.join() === 'ALARM' && missingData === 'missing' && window.breaching < m;
  const alone = old ? `; nothing but breaching ones for ${window.oldest} periods` : '';
  return `${window.breaching} of the ${n} newest ${window.breaching === 1 ? 'breaches' : 'breach'}${missing}${alone}`;
}

// ---------------------------------------------------------------------------------------------------------
// The picture
// ---------------------------------------------------------------------------------------------------------

/** Rows on either side of the threshold. */
const ROWS = 4;

/** Longer series have several data points a column. */
const MAX_BLOCKS = 4;

/** Columns between two numbers below the picture. */
const TICK = 10;

/** Changes that are listed. */
const MAX_CHANGES = 20;

/** One column: one data point, or the worst of several. */
interface Column {
  value: number | null;
  mark: keyof typeof MARKS;
  state: keyof typeof STATES;
}

/** Marks of data points, the worst first. */
const MARKS = {
  '!': { means: 'breaches', format: ['bold', 'red'] },
  '.': { means: 'does not', format: ['green'] },
  _: { means: 'missing', format: ['dim'] },
} as const;

/** Marks of states, the worst first. */
const STATES = {
  A: { means: 'ALARM', format: ['bold', 'red'] },
  '?': { means: 'not documented', format: ['bold', 'magenta'] },
  I: { means: 'INSUFFICIENT_DATA', format: ['yellow'] },
  O: { means: 'OK', format: ['green'] },
} as const;

const DOTS = { breaching: '●', fine: '○', line: '╌' } as const;

/** How the characters of the picture look. */
const FORMATS: Record<string, Format> = {
  [DOTS.breaching]: ['bold', 'red'],
  [DOTS.fine]: 'green',
  [DOTS.line]: 'cyan',
};

/**
 * The picture of an explanation: in blocks as wide as the terminal a row for each height, on the threshold's row what
 * equals it; marks of the data points; states; below, the changes of state.
 *
 * @param name of the alarm, where it has one
 * @param columns of the terminal
 */
export function renderPicture(
  stream: Writable,
  explanation: Explanation,
  { name, columns }: { name?: string; columns: number },
): string {
  const { alarm, initial, points, undocumented } = explanation;
  const rows = rowsOf(explanation);
  const gutter = Math.max('points'.length, ...rows.map(({ label }) => label.length));
  const width = Math.max(TICK, Math.floor((columns - gutter - 2) / TICK) * TICK);
  const perColumn = Math.ceil(points.length / (width * MAX_BLOCKS));
  const shown = chunksOf(points, perColumn).map((group) => columnOf(group, alarm));

  const line = (label: string, text: string, formats: Record<string, Format>) =>
    `${style(stream, 'dim', label.padStart(gutter))} ${paint(stream, text, formats)}`.trimEnd();
  const blocks = chunksOf(shown, width).map((block, index) => [
    ...rows.map(({ label, holds, empty }) =>
      line(label, block.map((column) => dotOf(column, holds) ?? empty).join(''), FORMATS),
    ),
    line('points', block.map(({ mark }) => mark).join(''), formatsOf(MARKS)),
    line('state', block.map(({ state }) => state).join(''), formatsOf(STATES)),
    line('', axisOf(block.length, index * width, perColumn, width), {}),
  ]);

  const head = `${name === undefined ? '' : `${printable(name)}: `}${conditionText(alarm)}`;
  const lines = [
    `${style(stream, 'bold', head)}; missing data: ${alarm.missingData}; before: ${initial}`,
    '',
    ...blocks.flatMap((block) => [...block, '']),
    ...legendLines(stream, shown, perColumn),
    '',
    ...changeLines(stream, explanation),
    ...(undocumented === null ? [] : [`${paint(stream, '?', formatsOf(STATES))} ${undocumented}`]),
    ...(needsPast(explanation)
      ? ['Before the series there is no data: begin it with usual values to ask of an alarm that has some.']
      : []),
  ];
  return `${lines.join('\n')}\n`;
}

/** One row of the picture. */
interface Row {
  label: string;
  holds: (value: number) => boolean;
  /** What stands where there is no data point. */
  empty: string;
}

/** Rows from top to bottom. Where a value is, on the threshold or beyond, is always exact. */
function rowsOf({ alarm: { threshold, comparison }, points }: Explanation): Row[] {
  const values = [...new Set(points.flatMap(({ value }) => value ?? []))].toSorted((a, b) => a - b);
  const above = values.filter((value) => value > threshold);
  const below = values.filter((value) => value < threshold).reverse();
  return [
    ...sideOf(above, threshold).reverse(),
    {
      label: `${COMPARISONS[comparison]} ${numberText(threshold)}`,
      holds: (value) => value === threshold,
      empty: DOTS.line,
    },
    ...sideOf(below, threshold),
  ];
}

/**
 * Rows on one side of the threshold, from there on: one for each value as long as they are few, else equal parts of the
 * range.
 *
 * @param values the nearest to the threshold first
 */
function sideOf(values: readonly number[], threshold: number): Row[] {
  const outermost = values.at(-1) ?? threshold;
  const few = values.length <= ROWS;
  // Halves: the difference of two numbers may be too large for a number.
  const distance = (value: number) => (value / 2 - threshold / 2) / (outermost / 2 - threshold / 2);
  const rowOf = new Map(
    values.map((value, index) => [value, few ? index : Math.max(0, Math.ceil(distance(value) * ROWS) - 1)]),
  );
  return Array.from({ length: Math.min(ROWS, values.length) }, (_, row) => {
    const labelled = few ? values[row] : row === ROWS - 1 ? outermost : undefined;
    return {
      label: labelled === undefined ? '' : numberText(labelled, threshold),
      holds: (value: number) => rowOf.get(value) === row,
      empty: ' ',
    };
  });
}

/** A number in few characters, and in as many as tell it from the threshold. */
function numberText(value: number, threshold = value): string {
  for (let digits = 4; digits < 17; digits++) {
    const text = shortly(value, digits);
    if (value === threshold || text !== shortly(threshold, digits)) return text;
  }
  return String(value);
}

function shortly(value: number, digits: number): string {
  const size = Math.abs(value);
  return value !== 0 && (size >= 1e6 || size < 1e-4)
    ? Number(value.toPrecision(digits)).toExponential().replace('e+', 'e')
    : String(Number(value.toPrecision(Math.max(digits, Math.ceil(Math.log10(size + 1))))));
}

function columnOf(points: readonly ExplainedPoint[], alarm: Evaluated): Column {
  const values = points.flatMap(({ value }) => value ?? []).toSorted((a, b) => a - b);
  const marks = points.map(({ breaching }) => (breaching === null ? '_' : breaching ? '!' : '.'));
  return {
    value: values.at(firesUpwards(alarm) ? -1 : 0) ?? null,
    mark: worst(MARKS, marks),
    state: worst(
      STATES,
      points.map(({ states }) => markOf(states)),
    ),
  };
}

function markOf([state, ...others]: readonly AlarmState[]): keyof typeof STATES {
  if (others.length > 0) return '?';
  return state === 'OK' ? 'O' : state === 'ALARM' ? 'A' : 'I';
}

function dotOf({ value, mark }: Column, holds: (value: number) => boolean): string | undefined {
  if (value === null || !holds(value)) return undefined;
  return mark === '!' ? DOTS.breaching : DOTS.fine;
}

/** Numbers of data points below their columns. */
function axisOf(length: number, firstColumn: number, perColumn: number, width: number): string {
  let text = '';
  for (let column = 0; column < length; column += TICK) {
    const number = String((firstColumn + column) * perColumn + 1);
    // A number that would run into the next one, or out of the terminal, is left out.
    if (text.length <= column && column + number.length <= width) text = text.padEnd(column) + number;
  }
  return text;
}

function legendLines(stream: Writable, shown: readonly Column[], perColumn: number): string[] {
  return [
    [
      legendOf(stream, MARKS, new Set(shown.map(({ mark }) => mark))),
      legendOf(stream, STATES, new Set(shown.map(({ state }) => state))),
    ].join('   '),
    ...(perColumn > 1
      ? [`Each column is ${integer(perColumn)} data points, and shows the worst of them.`]
      : []),
  ];
}

function changeLines(stream: Writable, explanation: Explanation): string[] {
  const { alarm, points, initial } = explanation;
  const { datapointsToAlarm: m, evaluationPeriods: n } = alarm;
  const beyond = thresholdText(alarm);
  const changes = changesOf(explanation);
  const labels = changes.map(({ to }) => to.join(' or '));
  const width = Math.max(0, ...labels.slice(0, MAX_CHANGES).map((label) => label.length));
  const lines = changes.slice(0, MAX_CHANGES).map(({ point, to, afterFirstMs, afterLastMs, why }, index) => {
    const label = labels[index] ?? '';
    const when =
      afterFirstMs !== undefined
        ? `, ${spanText(afterFirstMs)} after the first one ${beyond}`
        : afterLastMs !== undefined
          ? `, ${spanText(afterLastMs)} after the last one ${beyond}`
          : '';
    const gap = ' '.repeat(width - label.length);
    return `${style(stream, [...STATES[markOf(to)].format], label)}${gap}  at data point ${point}${when}: ${why}`;
  });
  if (changes.length > MAX_CHANGES) {
    lines.push(`and ${integer(changes.length - MAX_CHANGES)} more changes: see --json`);
  }
  if (changes.length === 0) lines.push(`The state stays ${initial}.`);
  if (initial !== 'ALARM' && !points.some(({ states }) => states.includes('ALARM'))) {
    const most = Math.max(...points.map(({ window }) => window.breaching));
    lines.push(
      most === 0
        ? `Never ALARM: no data point is ${beyond}.`
        : `Never ALARM: at most ${most} of ${n} data points ${most === 1 ? 'is' : 'are'} ${beyond}, and it takes ${m}.`,
    );
  }
  return lines;
}

/** Whether what came before the series plays a part in what the alarm does. */
function needsPast({ alarm, points }: Explanation): boolean {
  return points
    .slice(0, alarm.evaluationPeriods - 1)
    .some(({ states }) => states.some((state) => state !== 'OK'));
}

/** `2 min`, `1 h 5 min`, `50 s`; exactly. */
export function spanText(ms: number): string {
  const units: [number, string][] = [
    [86_400, 'd'],
    [3600, 'h'],
    [60, 'min'],
    [1, 's'],
  ];
  let left = ms / 1000;
  const parts = units.flatMap(([size, unit]) => {
    const count = Math.floor(left / size);
    left -= count * size;
    return count === 0 ? [] : [`${count} ${unit}`];
  });
  return parts.join(' ') || '0 s';
}
