import { scaleLinear, scaleLog } from 'd3-scale';
import { clip, countOf, formatDuration, formatNumber, listOf } from '../shared/format.ts';
import { durationTicks, figure, type LegendItem, mark, px } from '../shared/report/chart.ts';
import { type Html, html } from '../shared/report/html.ts';
import type { FindingOutcome } from '../shared/verdict.ts';
import { breaches, thresholdText } from './alarm.ts';
import { expectationAt, timesOf, valueAt } from './intended.ts';
import { grainMs, isMisconfigured } from './judge-ladder.ts';
import { configuredTimes, type Observation, observationsOf } from './ladder.ts';
import type { Facts, LivePhase, Measurements, Rung } from './measurements.ts';
import { tickText } from './report-time.ts';
import type { LocatedDrill } from './schema.ts';

/*
 * Small pictures of a drill: where the alarm begins to fire against where it is meant to, how long that took, how long its
 * messages took. Pure.
 */

/** What was tried once: so many times what is intended. */
export interface Step {
  /** `1.05x`, or the phase: `over` */
  name: string;
  times: number;
  /** `0.21` */
  value: string;
  expects: 'quiet' | 'loud';
  /** Null: it shows nothing, or was not drilled; `why` says so. */
  did: 'fired' | 'stayed quiet' | null;
  why: string;
  /** How that is. */
  outcome: FindingOutcome;
  /** Until it fired, milliseconds. */
  afterMs: number | null;
  /** For how long it drifted, milliseconds. */
  watchedMs: number;
}

/** More steps than these are marks without words, but for those that say where the alarm fires, and those that are wrong. */
const NAMED = 16;

/** Rows of the picture of times. */
const TIMED = 16;

/** Units of the drawing that a step with its words takes. */
const ROW = 29;

/** Between the words at the left, of two lines. */
const ASIDE = 30;

/** Everything that was tried, of all rounds or phases, quiet to loud; rungs of the ladder that were not, too. */
export function stepsOf({ rounds, phases, facts }: Measurements, drill: LocatedDrill): Step[] {
  const { fires } = drill.value.intended;
  const drilled = rounds.flatMap(observationsOf).flatMap((observation): Step[] => {
    const { rung, flaw, afterMs, phases: of } = observation;
    if (rung.times === null || rung.value === null || rung.expects === 'silence') return [];
    return [
      {
        name: rungName(rung),
        times: rung.times,
        value: formatNumber(rung.value, fires.threshold),
        expects: rung.expects,
        did: didOf(observation),
        why: flaw ?? '',
        outcome: outcomeOfRung(observation, facts, drill),
        afterMs,
        watchedMs: of.driftEnd - of.onset,
      },
    ];
  });
  const known = new Set(drilled.map(({ times }) => times));
  const omitted = (rounds.length > 0 ? drill.value.ladder : [])
    .filter((times) => !known.has(times))
    .map(
      (times): Step => ({
        name: timesName(times),
        times,
        value: formatNumber(valueAt(drill, times), fires.threshold),
        expects: expectationAt(drill, times),
        did: null,
        why: 'not drilled',
        outcome: 'inconclusive',
        afterMs: null,
        watchedMs: 0,
      }),
    );
  const real = phases.flatMap((phase) => stepOfPhase(phase, facts, drill) ?? []);
  return [...drilled, ...omitted, ...real].toSorted((a, b) => a.times - b.times);
}

/** `1.05x`, `silence` */
export function rungName({ id, times }: Rung): string {
  return times === null ? id : timesName(times);
}

/** Fractions such as 1.3099999999999998 come of no ladder that a person has written. */
function timesName(times: number): string {
  return `${Number(times.toPrecision(5))}x`;
}

function didOf({ flaw, loud }: Observation): Step['did'] {
  return flaw !== null ? null : loud ? 'fired' : 'stayed quiet';
}

/** How what a rung did is: whether it fired, and in time. */
export function outcomeOfRung(observation: Observation, facts: Facts, drill: LocatedDrill): FindingOutcome {
  const { rung, afterMs } = observation;
  const did = didOf(observation);
  if (did === null) return 'inconclusive';
  if ((did === 'fired') !== (rung.expects === 'loud')) return 'fail';
  return did === 'fired' ? timeliness(afterMs, facts, drill) : 'pass';
}

/** How long it took to fire: windows slide, so what is a little late may have been seen at an unlucky moment. */
function timeliness(afterMs: number | null, { alarm }: Facts, { value }: LocatedDrill): FindingOutcome {
  const { within } = value.intended;
  if (afterMs === null) return 'inconclusive';
  if (afterMs <= within) return 'pass';
  return alarm?.kind === 'metric' && afterMs <= within + grainMs(alarm) ? 'warn' : 'fail';
}

/** A phase of a drill of the real alarm; undefined of one that is no multiple of what is intended. */
function stepOfPhase(phase: LivePhase, facts: Facts, drill: LocatedDrill): Step | undefined {
  const { value: sent, drift, startedAt, endedAt, transitions, state, metric } = phase;
  const { intended, traffic } = drill.value;
  const { fires } = intended;
  const limit = drift === undefined ? fires.threshold : (traffic?.intended ?? fires.threshold);
  const times = drift !== undefined ? drift.sent / limit : sent !== undefined ? timesOf(drill, sent) : 0;
  if (phase.phase === 'healthy' || !(times > 0 && Number.isFinite(times))) return undefined;
  const fired = transitions.find(({ to }) => to === 'ALARM');
  const did = fired !== undefined || state === 'ALARM' ? 'fired' : 'stayed quiet';
  const expects = phase.phase === 'under' ? 'quiet' : 'loud';
  // How long a monitor takes to look is its own affair; the alarm is timed from what it emits.
  const beyond = drift === undefined ? undefined : metric.find(({ value }) => breaches(value, fires))?.at;
  const since = (from: number) => (fired === undefined ? null : Math.max(0, fired.at - from));
  const right = (did === 'fired') === (expects === 'loud');
  return {
    name: phase.phase,
    times,
    value: formatNumber(drift?.sent ?? sent ?? 0, limit),
    expects,
    did,
    why: '',
    outcome: !right
      ? 'fail'
      : did === 'fired'
        ? timeliness(since(beyond ?? startedAt), facts, drill)
        : 'pass',
    afterMs: since(startedAt),
    watchedMs: endedAt - startedAt,
  };
}

/** A sign in the colour of an outcome. */
export function signOf(outcome: FindingOutcome): Html {
  return html`<tspan class="f-${outcome}" font-weight="600">${SIGNS[outcome]}</tspan>`;
}

const SIGNS: Record<FindingOutcome, string> = { pass: '✓', fail: '✗', inconclusive: '?', warn: '!' };

/** Between which steps the alarm begins to fire; null where that is not known. */
function bracketOf(steps: readonly Step[]): Bracket | null {
  const { quiet, loud } = edgesOf(steps);
  return quiet === undefined || loud === undefined || quiet.times >= loud.times ? null : { quiet, loud };
}

interface Bracket {
  quiet: Step;
  loud: Step;
}

/** The loudest step that stayed quiet, and the quietest that fired. */
function edgesOf(steps: readonly Step[]): Partial<Bracket> {
  const quiet = steps.findLast(({ did }) => did === 'stayed quiet');
  const loud = steps.find(({ did }) => did === 'fired');
  return { ...(quiet && { quiet }), ...(loud && { loud }) };
}

/** Where it begins to fire, as a sentence without its end. */
function effectiveText(steps: readonly Step[]): string {
  const { quiet, loud } = edgesOf(steps);
  if (quiet === undefined && loud === undefined) return 'Where it begins to fire is not known';
  if (loud === undefined) return 'It fired nowhere';
  if (quiet === undefined) return 'It fired everywhere';
  if (quiet.times >= loud.times) return 'It fired where it is quieter, and stayed quiet where it is louder';
  return `It begins to fire between ${quiet.value} and ${loud.value} (${quiet.name} to ${loud.name})`;
}

// ---------------------------------------------------------------------------------------------------------
// Where it fires
// ---------------------------------------------------------------------------------------------------------

/** The ladder: what fired and what stayed quiet on one axis of multiples, with what is intended and what is really so. */
export function ladderFigure(steps: readonly Step[], facts: Facts, drill: LocatedDrill): Html | false {
  if (steps.length === 0) return false;
  const { fires } = drill.value.intended;
  const bracket = bracketOf(steps);
  const configured = asConfigured(facts, drill);
  const named = namedOf(steps, bracket);
  const height = Math.max(8 * ROW, (named.length + 1) * ROW) + 36;
  const [top, bottom] = [24, height - 26];
  const axis = 136;
  const all = [1, ...steps.map(({ times }) => times), ...(configured === null ? [] : [configured.times])];
  const [low, high] = [Math.min(...all), Math.max(...all)];
  // A ladder of one rung has a height, too.
  const room = Math.max((high / low) ** 0.06, high / low < 1.2 ? 1.1 : 1);
  const y = scaleLog([low / room, high * room], [bottom, top]);

  const fact = (times: number, name: string, text: string) => ({ y: px(y(times)), name, text });
  const really =
    bracket === null
      ? []
      : [
          fact(
            Math.sqrt(bracket.quiet.times * bracket.loud.times),
            'really fires',
            `${bracket.quiet.value} to ${bracket.loud.value}`,
          ),
        ];
  const asides = apart(
    [
      ...really,
      fact(1, 'intended', thresholdText(fires)),
      ...(configured === null ? [] : [fact(configured.times, 'configured', configured.text)]),
    ],
    ASIDE,
    [top + 6, bottom - 6],
  );
  const labels = apart(
    named.map((step) => ({ y: px(y(step.times)), step })),
    ROW,
    [top + 4, bottom - 4],
  );
  const drawing = html`<svg viewBox="0 0 340 ${height}" role="img" aria-label="${ladderText(steps, configured?.text, drill)}">
<text class="soft" x="${axis}" y="12" text-anchor="middle">louder ↑</text>
<path class="axis" d="M${axis} ${top}V${bottom}"/>
${
  bracket !== null &&
  html`<rect class="f-fill-b" x="${axis - 15}" y="${px(y(bracket.loud.times))}" width="30" height="${px(Math.max(y(bracket.quiet.times) - y(bracket.loud.times), 2))}"/>
<path class="line thin s-b" d="M${axis - 15} ${px(y(bracket.loud.times))}h30M${axis - 15} ${px(y(bracket.quiet.times))}h30"/>`
}
<path class="line dash s-a" d="M${axis - 22} ${px(y(1))}h44"/>
${configured !== null && html`<path class="line thin s-ink" d="M${axis - 22} ${px(y(configured.times))}h44"/>`}
${asides.map(
  ({ y: from, at, name, text }) =>
    html`<path class="grid" d="M${axis - 40} ${at}L${axis - 24} ${from}"/><text x="${axis - 43}" y="${at - 2}" text-anchor="end" font-weight="600">${name}</text><text x="${axis - 43}" y="${at + 11}" text-anchor="end">${clip(text, 16)}</text>`,
)}
${labels.map(({ y: from, at, step }) => html`<path class="grid" d="M${axis + 8} ${from}L${axis + 28} ${at}"/>${labelOf(step, axis + 32, at)}`)}
${steps.map((step) => markOf(step, axis, px(y(step.times))))}
<text class="soft" x="${axis}" y="${height - 6}" text-anchor="middle">times what is intended</text></svg>`;
  return figure(
    {
      title: 'Where it fires',
      note: `${effectiveText(steps)}; it is meant to at ${thresholdText(fires)}.`,
      legend: [
        ...MARKS.filter((one) => steps.some(({ did }) => did === one.did)).map(({ item }) => item),
        { className: 'dash s-a', kind: 'line', text: 'intended' },
        ...(bracket === null
          ? []
          : [{ className: 'f-fill-b', kind: 'area' as const, text: 'begins to fire in here' }]),
      ],
    },
    drawing,
  );
}

/** What a step did is told by its shape, and whether that is right by colour and sign. */
const MARKS: readonly { did: Step['did']; item: LegendItem }[] = [
  { did: 'fired', item: { className: 'f-soft', kind: 'triangle', text: 'fired' } },
  { did: 'stayed quiet', item: { className: 'f-card s-soft', kind: 'ring', text: 'stayed quiet' } },
  { did: null, item: { className: 'f-soft', kind: 'dot', text: 'shows nothing' } },
];

/** Where the alarm is configured to fire, where that is not what is intended; null: as intended, or unknown. */
function asConfigured({ alarm }: Facts, drill: LocatedDrill): { times: number; text: string } | null {
  if (alarm?.kind !== 'metric' || drill.value.mode === 'traffic' || !isMisconfigured(alarm, drill))
    return null;
  const times = configuredTimes(alarm, drill);
  return times === null ? null : { times, text: thresholdText(alarm) };
}

/** Those that get words: all of few; of many those around the bracket, those that are wrong, and the ends. */
function namedOf(steps: readonly Step[], bracket: Bracket | null): Step[] {
  if (steps.length <= NAMED) return [...steps];
  const rank = (step: Step, index: number) => {
    if (step === bracket?.quiet || step === bracket?.loud) return 0;
    if (index === 0 || index === steps.length - 1) return 1;
    return step.outcome === 'pass' ? 3 : 2;
  };
  const chosen = steps
    .map((step, index) => ({ step, rank: rank(step, index) }))
    .toSorted((a, b) => a.rank - b.rank)
    .slice(0, NAMED)
    .map(({ step }) => step);
  return steps.filter((step) => chosen.includes(step));
}

/** Places as near to where they belong as they can be, at least `gap` apart, between two bounds; in their order from below. */
function apart<T extends { y: number }>(
  items: readonly T[],
  gap: number,
  [top, bottom]: readonly [number, number],
): (T & { at: number })[] {
  const sorted = items.map((item) => ({ ...item, at: item.y })).toSorted((a, b) => b.y - a.y);
  let limit = bottom;
  for (const item of sorted) {
    item.at = Math.min(item.at, limit);
    limit = item.at - gap;
  }
  limit = top;
  for (const item of sorted.toReversed()) {
    item.at = px(Math.max(item.at, limit));
    limit = item.at + gap;
  }
  return sorted;
}

function labelOf(step: Step, x: number, y: number): Html {
  return html`<text x="${x}" y="${y - 2}"><tspan font-weight="600">${clip(step.name, 14)}</tspan><tspan class="soft" dx="6">${clip(step.value, 16)}</tspan></text><text x="${x}" y="${y + 11}">${didText(step)}</text>`;
}

/** `✓ fired after 8 s`, `✗ stayed quiet` */
function didText({ did, why, afterMs, outcome }: Step): Html {
  if (did === null) return html`${signOf(outcome)} <tspan class="soft">${clip(why, 30)}</tspan>`;
  const when =
    did === 'fired' ? (afterMs === null ? ' before it drifted' : ` after ${formatDuration(afterMs)}`) : '';
  return html`${signOf(outcome)} ${did}${when}`;
}

function markOf({ did, outcome }: Step, x: number, y: number): Html {
  if (did === null) return mark('dot', x, y, 'f-soft', 3);
  return did === 'fired'
    ? mark('triangle', x, y, `f-${outcome}`, 6)
    : mark('ring', x, y, `f-card s-${outcome}`, 5.5);
}

function ladderText(steps: readonly Step[], configured: string | undefined, { value }: LocatedDrill): string {
  const which = (wanted: Step['did'], text: string) => {
    const some = steps.filter(({ did }) => did === wanted).map(({ name }) => name);
    return some.length === 0 ? [] : [`${text} at ${listOf(some.slice(0, 30))}`];
  };
  const did = [
    ...which('fired', 'fired'),
    ...which('stayed quiet', 'stayed quiet'),
    ...which(null, 'nothing was seen'),
  ].join('; ');
  const set = configured === undefined ? '' : `, and is configured to at ${configured}`;
  return `Where the alarm fires. ${effectiveText(steps)}; it is meant to at ${thresholdText(value.intended.fires)}${set}. It ${did}.`;
}

// ---------------------------------------------------------------------------------------------------------
// How long it took
// ---------------------------------------------------------------------------------------------------------

/** Of every rung that is to fire, the time from its first drifting data point to ALARM. */
export function delayFigure(steps: readonly Step[], drill: LocatedDrill): Html | false {
  const { within } = drill.value.intended;
  const loud = steps.filter(({ expects, did }) => expects === 'loud' && did !== null);
  if (loud.length === 0) return false;
  const shown = loud.slice(0, TIMED);
  const ends = shown.map(({ afterMs, watchedMs }) => afterMs ?? watchedMs);
  const x = scaleLinear([0, Math.max(within * 1.1, ...ends)], [62, 234]);
  const height = 56 + 26 * shown.length;
  const bottom = height - 30;
  const rows = shown.map(({ name, afterMs, watchedMs, did, outcome }, index) => {
    const y = 34 + 26 * index;
    const end = px(x(afterMs ?? watchedMs));
    const text =
      afterMs !== null
        ? formatDuration(afterMs)
        : did === 'fired'
          ? 'before'
          : `not in ${formatDuration(watchedMs)}`;
    return html`<text x="56" y="${y + 4}" text-anchor="end" font-weight="600">${clip(name, 9)}</text>
<path class="line s-${outcome}${afterMs === null && ' dash'}" d="M62 ${y}H${end}"/>${afterMs !== null && mark('triangle', end, y, `f-${outcome}`, 6)}
<text x="246" y="${y + 4}">${signOf(outcome)} ${text}</text>`;
  });
  const told = shown
    .map(({ name, afterMs }) => `${name} ${afterMs === null ? 'no ALARM' : formatDuration(afterMs)}`)
    .join(', ');
  const more = loud.length - shown.length;
  return figure(
    {
      title: 'How long it takes to fire',
      note: `From the first data point that drifts; at most ${formatDuration(within)} is intended.${more > 0 ? ` ${countOf(more, 'rung')} more not drawn.` : ''}`,
    },
    html`<svg viewBox="0 0 340 ${height}" role="img" aria-label="${`How long it takes to fire, at most ${formatDuration(within)} is intended: ${told}.`}">
<path class="axis" d="M62 20V${bottom}H238"/>
<path class="line dash s-a" d="M${px(x(within))} 20V${bottom}"/>
<text x="${px(x(within))}" y="13" text-anchor="middle">within ${formatDuration(within)}</text>
${rows}
${durationTicks(x.domain()[1] ?? within, 4).map((ms) => html`<text class="soft" x="${px(x(ms))}" y="${bottom + 14}" text-anchor="middle">${tickText(ms)}</text>`)}</svg>`,
  );
}

// ---------------------------------------------------------------------------------------------------------
// How long messages took
// ---------------------------------------------------------------------------------------------------------

/** Dots of one row. */
const DOTS = 400;

/** The hops of every message that arrived: from the change of state to the topic, and to the queue. */
export function hopsFigure({ rounds, deliveries }: Measurements): Html | false {
  const receipts = [
    ...rounds.flatMap(({ results }) => results.flatMap((result) => result.receipts)),
    ...deliveries.flatMap(({ receipt }) => receipt ?? []),
  ].toSorted((a, b) => a.changedAt - b.changedAt || a.receivedAt - b.receivedAt);
  if (receipts.length === 0) return false;
  // Clocks of services differ by a little.
  const topic = receipts.map(({ changedAt, notifiedAt }) => Math.max(0, notifiedAt - changedAt));
  const queue = receipts.map(({ changedAt, receivedAt }) => Math.max(0, receivedAt - changedAt));
  const last = Math.max(...topic, ...queue);
  const x = scaleLinear([0, Math.max(last, 1)], [96, 322]);
  const row = (values: readonly number[], y: number, name: string, mark: (at: number) => Html) =>
    html`<path class="grid" d="M96 ${y}H330"/><text x="84" y="${y - 1}" text-anchor="end" font-weight="600">${name}</text><text class="soft" x="84" y="${y + 12}" text-anchor="end">≤ ${formatDuration(Math.max(...values))}</text>
${[...new Set(values.slice(0, DOTS).map((value) => px(x(value))))].map(mark)}`;
  return figure(
    {
      title: 'How long a message takes',
      note: `${countOf(receipts.length, 'message')} that arrived, from the change of state.`,
    },
    html`<svg viewBox="0 0 340 150" role="img" aria-label="${`How long a message takes from the change of state, of ${receipts.length}: at the topic after at most ${formatDuration(Math.max(...topic))}, in the queue after at most ${formatDuration(Math.max(...queue))}.`}">
${row(topic, 36, 'at the topic', (at) => mark('diamond', at, 36, 'f-a', 5))}
${row(queue, 86, 'in the queue', (at) => mark('square', at, 86, 'f-d'))}
<path class="axis" d="M96 112H330"/>
${[0, 0.5, 1].map((share) => html`<text class="soft" x="${px(96 + share * 226)}" y="127" text-anchor="${share === 0 ? 'start' : share === 1 ? 'end' : 'middle'}">${share === 0 ? '0' : formatDuration(Math.round(Math.max(last, 1) * share))}</text>`)}
<text class="soft" x="209" y="145" text-anchor="middle">since the alarm changed its state</text></svg>`,
  );
}
