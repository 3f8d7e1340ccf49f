import { scaleLinear } from 'd3-scale';
import { capital, clip, countOf, formatDuration, formatNumber, listOf, timeText } from '../shared/format.ts';
import { type Frame, figure, type LegendItem, mark, path, px, spread } from '../shared/report/chart.ts';
import { type Content, type Html, html } from '../shared/report/html.ts';
import type { FindingOutcome } from '../shared/verdict.ts';
import { type AlarmState, breaches, thresholdText } from './alarm.ts';
import { isUpwards } from './intended.ts';
import { isMisconfigured, receiptsBy } from './judge-ladder.ts';
import { type Observation, observationsOf, stateAt, ticksOf } from './ladder.ts';
import type { Facts, LivePhase, Measurements, Receipt, Round } from './measurements.ts';
import { durationTicks, outcomeOfRung, rungName, signOf } from './report-ladder.ts';
import type { LocatedDrill } from './schema.ts';
import type { Transition } from './series.ts';
import { evaluationMs } from './simulate.ts';

/*
 * Pictures over time of a drill: of each rung what its shadow alarm saw, which state it was in, and when its messages
 * arrived; of a drill of the real alarm the same in one lane. Pure.
 */

/** Units of a drawing, and where its time begins and ends. */
const WIDTH = 680;
const [LEFT, RIGHT] = [134, 668];

/** Of a lane: its plot, the band of states, and two rows of marks. */
const LANE = { height: 118, top: 12, bottom: 62, band: 70, thick: 14, hops: [98, 111] };

/**
 * Lanes of the first round, which has the ladder of tocsin.yaml, and of those that narrow, which nobody has asked for; and
 * how many characters they may take.
 */
const FIRST = { lanes: 24, characters: 150_000 };
const FURTHER = { lanes: 6, characters: 20_000 };

/** More data points than these run together: a line has them. */
const DOTS = 90;

/** Columns of a band with more changes than these: each shows the worst of its states. */
const COLUMNS = 100;

/** States that are told to who does not see them; all are in a table. */
const SPOKEN = 12;

/** Units that a character takes, at the size of the marks' times. */
const CHARACTER = 6.2;

/** Between two lines of a hatching. */
const HATCH = 7;

/** What is drawn of a lane needs. */
interface Context {
  facts: Facts;
  drill: LocatedDrill;
  /** How the rung that falls silent was judged. */
  silence: FindingOutcome | undefined;
}

/** A stretch of time in one state, milliseconds since 1970. */
interface Stretch {
  from: number;
  to: number;
  state: AlarmState;
}

/** A figure for each round, with a lane for each rung. */
export function roundFigures({ rounds }: Measurements, context: Context): Html[] {
  return rounds
    .toSorted((a, b) => a.startedAt - b.startedAt)
    .map((round, index) => roundFigure(round, index, rounds.length, context));
}

function roundFigure(round: Round, index: number, of: number, context: Context): Html {
  const all = observationsOf(round);
  const most = index === 0 ? FIRST : FURTHER;
  const chosen = index === 0 ? all.slice(0, most.lanes) : nearest(all, most.lanes);
  const { startedAt, plan } = round;
  const { endsAt, onset, driftEnd, recoveryEnd } = all[0]?.phases ?? {
    onset: startedAt,
    driftEnd: startedAt,
    recoveryEnd: startedAt,
    endsAt: startedAt,
  };
  const x = timeScale(startedAt, endsAt);
  const spans = [
    { from: startedAt, to: onset, name: 'usual', long: `the usual ${formatNumber(plan.healthy)}` },
    { from: onset, to: driftEnd, name: 'drift', long: `drift, ${formatDuration(driftEnd - onset)}` },
    ...(plan.recovery > 0 ? [{ from: driftEnd, to: recoveryEnd, name: 'usual', long: 'usual again' }] : []),
    { from: recoveryEnd, to: endsAt, name: '', long: 'nothing sent' },
  ];
  const lanes: Html[] = [];
  let characters = 0;
  for (const observation of chosen) {
    const drawn = lane(observation, x, context);
    characters += drawn.text.length;
    if (characters > most.characters) break;
    lanes.push(drawn);
  }
  const left = all.length - lanes.length;
  return figure(
    {
      title: index === 0 ? 'The ladder' : `Round ${index + 1} of ${of}, which narrows where it fires`,
      note: `A shadow alarm for each rung, all at once; ${countOf(ticksOf(plan), 'data point')}, one every ${formatDuration(plan.cadenceMs)}. Time is since the round began.${left > 0 ? ` ${countOf(left, 'rung')} more not drawn.` : ''}`,
      legend: legendOf(all, context),
    },
    [
      html`<svg viewBox="0 0 ${WIDTH} 38" aria-hidden="true">${spans.map((span) => spanText(span, x))}${ticksText(x, endsAt - startedAt, startedAt, 33)}</svg>`,
      lanes,
      html`<svg viewBox="0 0 ${WIDTH} 20" aria-hidden="true">${ticksText(x, endsAt - startedAt, startedAt, 12)}</svg>`,
    ],
    { wide: true },
  );
}

/** Of a round that narrows, those next to where it turns out to fire. */
function nearest(observations: readonly Observation[], most: number): Observation[] {
  const first = observations.findIndex(({ flaw, loud }) => flaw === null && loud);
  const middle = first < 0 ? observations.length : first;
  const from = Math.max(0, Math.min(middle - most / 2, observations.length - most));
  return observations.slice(from, from + most);
}

function timeScale(from: number, to: number): (at: number) => number {
  const scale = scaleLinear([from, Math.max(to, from + 1)], [LEFT, RIGHT]);
  // What arrives after the end stands there.
  return (at) => px(Math.min(Math.max(scale(at), LEFT), RIGHT));
}

function spanText(
  { from, to, name, long }: { from: number; to: number; name: string; long: string },
  x: (at: number) => number,
): Html | false {
  const room = x(to) - x(from);
  const text = [long, name].find((one) => one.length * CHARACTER < room);
  if (text === undefined || text === '') return false;
  return html`<text x="${px((x(from) + x(to)) / 2)}" y="13" text-anchor="middle" font-weight="600">${text}</text>`;
}

function ticksText(x: (at: number) => number, lengthMs: number, from: number, y: number): Html[] {
  return durationTicks(lengthMs, 7).map(
    ({ at, name }) =>
      html`<text class="soft" x="${x(from + at)}" y="${y}" text-anchor="middle">${name}</text>`,
  );
}

// ---------------------------------------------------------------------------------------------------------
// A lane
// ---------------------------------------------------------------------------------------------------------

function lane(observation: Observation, x: (at: number) => number, context: Context): Html {
  const { round, rung, result, phases, flaw } = observation;
  const { drill, facts } = context;
  const { fires, within } = drill.value.intended;
  const { plan, startedAt } = round;
  const { onset, driftEnd, endsAt } = phases;
  const values = [plan.healthy, rung.value ?? plan.healthy, fires.threshold];
  const y = scaleLinear(spread(values, 0.3), [LANE.bottom, LANE.top]);
  const frame: Frame = {
    x,
    y: (value) => px(y(value)),
    left: LEFT,
    right: RIGHT,
    top: LANE.top,
    bottom: LANE.bottom,
  };
  const sent = pointsOf(round, rung.value);
  const known = result.alarm !== '';
  const stretches = known ? stretchesOf(result.transitions, startedAt, endsAt) : [];
  const deadline = rung.expects === 'loud' ? onset + within : null;
  const { verdict, did } = judgedOf(observation, context);

  return html`<svg viewBox="0 0 ${WIDTH} ${LANE.height}" role="img" aria-label="${laneText(observation, stretches, did, context)}">
<path class="grid" d="M0 1H${WIDTH}"/>
<text x="0" y="19" font-weight="600" font-size="13">${clip(rungName(rung), 16)}</text>
<text class="soft" x="0" y="34">${rung.value === null ? 'sees no data' : `sees ${clip(formatNumber(rung.value, fires.threshold), 18)}`}</text>
<text class="soft" x="0" y="48">${expectedText(observation, drill)}</text>
<text x="0" y="81">${verdict} ${clip(did, 21)}</text>
<rect class="f-line" opacity="0.45" x="${x(onset)}" y="${LANE.top - 8}" width="${px(x(driftEnd) - x(onset))}" height="${LANE.bottom - LANE.top + 12}"/>
<path class="line dash s-a" d="M${LEFT} ${frame.y(fires.threshold)}H${RIGHT}"/>
${thresholdTexts(facts, drill, frame)}
${pointMarks(sent, frame, fires)}
${rung.value !== null && valueText(frame, onset, rung.value, fires.threshold)}
${valueText(frame, startedAt, plan.healthy, fires.threshold)}
${deadline !== null && deadline <= endsAt && deadlineMark(x(onset), x(deadline), drill)}
${known ? band(stretches, x, LANE.band) : html`<text class="soft" x="${LEFT}" y="${LANE.band + 11}">${clip(flaw ?? 'nothing was seen of it', 90)}</text>`}
${known && hopMarks(hopsOf(observation, facts), x)}</svg>`;
}

/** Data points as the alarm sees them, in time. */
function pointsOf({ startedAt, plan }: Round, value: number | null): [number, number][] {
  const { warmUp, drift, cadenceMs, healthy } = plan;
  return Array.from({ length: ticksOf(plan) }, (_, tick): [number, number] => [
    startedAt + tick * cadenceMs,
    tick < warmUp || (value !== null && tick >= warmUp + drift) ? healthy : (value ?? Number.NaN),
  ]).filter(([, seen]) => !Number.isNaN(seen));
}

/** Data points: full where the alarm is to fire at them. Many run together in a line. */
function pointMarks(
  points: readonly (readonly [number, number])[],
  frame: Frame,
  fires: LocatedDrill['value']['intended']['fires'],
): Content {
  if (points.length > DOTS) return path(frame, points, 's-c');
  const places = (some: typeof points) =>
    some.map(([at, value]) => `M${frame.x(at)} ${frame.y(value)}h0`).join('');
  // Round ends of lines without a length: a few characters each.
  const dots = (some: typeof points, className: string, width: number) =>
    some.length > 0 &&
    html`<path class="${className}" fill="none" stroke-linecap="round" stroke-width="${width}" d="${places(some)}"/>`;
  const loud = points.filter(([, value]) => breaches(value, fires));
  const others = points.filter(([, value]) => !breaches(value, fires));
  return [
    path(frame, points, 'thin s-soft'),
    dots(others, 's-c', 7),
    dots(others, 's-card', 3.5),
    dots(loud, 's-c', 6.5),
  ];
}

/** A value beside its data points, away from the threshold. */
function valueText(frame: Frame, at: number, value: number, threshold: number): Html {
  const above = frame.y(value) < frame.y(threshold);
  return html`<text x="${px(frame.x(at) + 5)}" y="${frame.y(value) + (above ? -5 : 12)}" font-size="10">${formatNumber(value, threshold)}</text>`;
}

/** By when it must have fired. The words are where drifting data points are not. */
function deadlineMark(onset: number, at: number, drill: LocatedDrill): Html {
  const text = `must fire within ${formatDuration(drill.value.intended.within)}`;
  const inside = at - onset > text.length * CHARACTER;
  const y = isUpwards(drill) ? LANE.bottom + 3 : LANE.top;
  return html`<path class="line s-warn dash" d="M${at} ${LANE.top - 8}V${LANE.band + LANE.thick}"/><text x="${px(at + (inside ? -4 : 4))}" y="${y}"${inside && html` text-anchor="end"`} font-size="10">${text}</text>`;
}

/** The intended threshold in words, and where the alarm is configured to fire instead. */
function thresholdTexts({ alarm }: Facts, drill: LocatedDrill, frame: Frame): Content {
  const { fires } = drill.value.intended;
  const right = (y: number, text: string) =>
    html`<text x="${RIGHT}" y="${px(y)}" text-anchor="end" font-size="10">${text}</text>`;
  const [intended, line] = [thresholdText(fires), frame.y(fires.threshold)];
  if (alarm?.kind !== 'metric' || !isMisconfigured(alarm, drill)) return right(line - 4, intended);
  const at = frame.y(alarm.threshold);
  const beyond = at < frame.top - 6 ? ' ↑' : at > frame.bottom + 6 ? ' ↓' : '';
  const text = `configured ${thresholdText(alarm)}${beyond}`;
  const place = Math.min(Math.max(at, frame.top + 4), frame.bottom);
  return [
    beyond === '' && html`<path class="line thin s-ink" d="M${LEFT} ${at}H${RIGHT}"/>`,
    // Two that are side by side are one text.
    Math.abs(place - line) < 12
      ? right(Math.min(place, line) - 4, `${intended}, ${text}`)
      : [right(line - 4, intended), right(place - 4, text)],
  ];
}

function expectedText({ rung }: Observation, { value }: LocatedDrill): string {
  if (rung.expects === 'loud') return 'must fire';
  return rung.expects === 'quiet' ? 'must stay quiet' : `must be ${value.intended.whenSilent}`;
}

/** What a rung did, with a sign for how that is. */
function judgedOf(
  observation: Observation,
  { silence, facts, drill }: Context,
): { verdict: Html; did: string } {
  const { rung, flaw, loud, afterMs, result, phases } = observation;
  if (flaw !== null) return { verdict: signOf('inconclusive'), did: 'shows nothing' };
  if (rung.expects === 'silence') {
    return { verdict: signOf(silence ?? 'inconclusive'), did: stateAt(result.transitions, phases.endsAt) };
  }
  const did = loud
    ? afterMs === null
      ? 'was in ALARM before'
      : `fired after ${formatDuration(afterMs)}`
    : 'stayed quiet';
  return { verdict: signOf(outcomeOfRung(observation, facts, drill)), did };
}

function laneText(
  observation: Observation,
  stretches: readonly Stretch[],
  did: string,
  { drill }: Context,
): string {
  const { rung, round, flaw, result } = observation;
  const { fires, within } = drill.value.intended;
  const sees =
    rung.value === null
      ? 'its metric falls silent'
      : `it sees ${formatNumber(rung.value, fires.threshold)}, and is intended to fire at ${thresholdText(fires)}`;
  const must = `${expectedText(observation, drill)}${rung.expects === 'loud' ? ` within ${formatDuration(within)}` : ''}`;
  const states = stretches
    .slice(0, SPOKEN)
    .map(({ from, state }) => `${state} from ${timeText(from - round.startedAt)}`);
  if (stretches.length > SPOKEN) states.push(`${countOf(stretches.length - SPOKEN, 'change')} more`);
  const { published, seen } = result.samples;
  const really =
    flaw !== null ? `shows nothing: ${flaw}` : rung.value === null ? `was ${did} at the end` : did;
  return `Rung ${rungName(rung)}: ${sees}; it ${must}. It ${really}. States since the round began: ${listOf(states) || 'none'}. ${seen} of ${countOf(published, 'data point')} seen.`;
}

function legendOf(shown: readonly Observation[], { facts, drill }: Context): LegendItem[] {
  const dotted = shown.some(({ round }) => ticksOf(round.plan) <= DOTS);
  const wrong = facts.alarm?.kind === 'metric' && isMisconfigured(facts.alarm, drill);
  const points: LegendItem[] = dotted
    ? [
        { className: 'f-c', kind: 'dot', text: 'data point at which it is to fire' },
        { className: 'f-card s-c', kind: 'ring', text: 'another data point' },
      ]
    : [{ className: 's-c', kind: 'line', text: 'data points' }];
  return [
    ...points,
    { className: 'dash s-a', kind: 'line', text: 'intended threshold' },
    ...(wrong ? [{ className: 'thin s-ink', kind: 'line' as const, text: 'configured threshold' }] : []),
    { className: 'dash s-warn', kind: 'line', text: 'must fire by here' },
    ...HOPS,
  ];
}

const HOPS: readonly LegendItem[] = [
  {
    className: 'f-b',
    kind: 'triangle',
    text: 'its state changed, so long after the drift began or was over',
  },
  { className: 'f-a', kind: 'diamond', text: 'its message was at the topic, so much later' },
  { className: 'f-d', kind: 'square', text: 'in the queue, so long after the change' },
];

// ---------------------------------------------------------------------------------------------------------
// States
// ---------------------------------------------------------------------------------------------------------

/** Stretches of which none is too short to be seen, where there are many. */
function merged(stretches: readonly Stretch[]): Stretch[] {
  const [first, last] = [stretches[0], stretches.at(-1)];
  if (first === undefined || last === undefined || stretches.length <= COLUMNS) return [...stretches];
  const width = (last.to - first.from) / COLUMNS;
  const columns: Stretch[] = [];
  for (let column = 0; column < COLUMNS; column++) {
    const [from, to] = [first.from + column * width, first.from + (column + 1) * width];
    const states = new Set(stretches.filter((one) => one.to > from && one.from < to).map((one) => one.state));
    const state = WORST.find((one) => states.has(one)) ?? last.state;
    const before = columns.at(-1);
    if (before?.state === state) before.to = to;
    else columns.push({ from, to, state });
  }
  return columns;
}

const WORST: readonly AlarmState[] = ['ALARM', 'INSUFFICIENT_DATA', 'OK'];

function stretchesOf(transitions: readonly Transition[], from: number, to: number): Stretch[] {
  const sorted = transitions.toSorted((a, b) => a.at - b.at).filter(({ at }) => at < to);
  const starts = [
    { at: from, state: stateAt(transitions, from) },
    ...sorted.filter(({ at }) => at > from).map(({ at, to: state }) => ({ at, state })),
  ];
  return starts.map(({ at, state }, index) => ({ from: at, to: starts[index + 1]?.at ?? to, state }));
}

/** States over time: ALARM is full, INSUFFICIENT_DATA hatched and OK empty; each has its name where there is room. */
function band(stretches: readonly Stretch[], x: (at: number) => number, y: number): Html[] {
  return merged(stretches).map(({ from, to, state }) => {
    const [a, width] = [x(from), px(Math.max(x(to) - x(from), 1))];
    const name = [state, SHORT[state]].find((text) => text.length * 6.6 + 8 < width);
    const middle = px(a + width / 2);
    const text = (className: string) =>
      name !== undefined &&
      html`<text class="${className}" x="${middle}" y="${y + 11}" text-anchor="middle" font-size="10" font-weight="600">${name}</text>`;
    const box = (className: string) =>
      html`<rect class="${className}" x="${a}" y="${y}" width="${width}" height="${LANE.thick}"/>`;
    if (state === 'ALARM') return html`${box('f-fail')}${text('on')}`;
    if (state === 'OK') return html`${box('f-card s-pass')}${text('f-pass')}`;
    const behind =
      name !== undefined &&
      html`<rect class="f-card" x="${px(middle - name.length * 3.3 - 3)}" y="${y + 1}" width="${px(name.length * 6.6 + 6)}" height="${LANE.thick - 2}"/>`;
    return html`${box('f-card s-soft')}<path class="line thin s-soft" d="${hatching(a, width, y)}"/>${behind}${text('soft')}`;
  });
}

const SHORT: Record<AlarmState, string> = { OK: 'OK', ALARM: 'A', INSUFFICIENT_DATA: 'NO DATA' };

function hatching(x: number, width: number, y: number): string {
  const count = Math.floor((width - LANE.thick) / HATCH);
  return Array.from(
    { length: Math.max(0, count) },
    (_, index) => `M${px(x + index * HATCH + 2)} ${y + LANE.thick - 1}l${LANE.thick - 2} ${2 - LANE.thick}`,
  ).join('');
}

// ---------------------------------------------------------------------------------------------------------
// Hops
// ---------------------------------------------------------------------------------------------------------

/** One change of a state, and what became of its message. */
export interface Hop {
  transition: Transition;
  /** Since the drift began, or was over; before, since the round began: milliseconds. */
  sinceMs: number;
  receipt: Receipt | undefined;
  /** Whether a message of it must have arrived. */
  due: boolean;
}

/** Below the band of states. */
const STEM = LANE.band + LANE.thick + 3;

/** Changes of state of a shadow alarm, in time. */
export function hopsOf({ result, phases, round, rung }: Observation, { alarm }: Facts): Hop[] {
  const { onset, driftEnd, recoveryEnd, endsAt } = phases;
  const slack = alarm?.kind === 'metric' ? evaluationMs(alarm) : 0;
  const until = (rung.times === null ? endsAt : recoveryEnd) - slack;
  const receiptOf = receiptsBy(result.receipts);
  return result.transitions
    .toSorted((a, b) => a.at - b.at)
    .map((transition) => {
      const { at, to } = transition;
      // Of silence nothing is ever over.
      const since = at < onset ? round.startedAt : at < driftEnd || rung.times === null ? onset : driftEnd;
      return {
        transition,
        sinceMs: at - since,
        receipt: receiptOf(transition),
        due: to !== 'INSUFFICIENT_DATA' && at <= until,
      };
    });
}

/** Marks of hops with their times, from where they happened to the right, in two rows; those without room are in the table. */
function hopMarks(hops: readonly Hop[], x: (at: number) => number): Content {
  const ends = LANE.hops.map(() => Number.NEGATIVE_INFINITY);
  // An ALARM is what it is about.
  const ordered = hops.toSorted(
    (a, b) =>
      Number(b.transition.to === 'ALARM') - Number(a.transition.to === 'ALARM') ||
      a.transition.at - b.transition.at,
  );
  const taken: { from: number; to: number; row: number }[] = [];
  return ordered.map((hop) => {
    const parts = partsOf(hop);
    const width = parts.reduce((sum, { text }) => sum + 16 + text.length * CHARACTER, 0);
    const at = x(hop.transition.at);
    const from = Math.min(at, RIGHT - width);
    const row = ends.findIndex((_, index) =>
      taken.every((other) => other.row !== index || from > other.to || from + width < other.from),
    );
    const y = LANE.hops[row];
    if (y === undefined) return false;
    taken.push({ from: from - 6, to: from + width, row });
    let place = from;
    // One that had to make room points to where it belongs.
    const stem = row > 0 ? '' : `M${at} ${STEM - 3}${from < at ? `V${STEM}H${px(from)}` : ''}V${y - 9}`;
    return html`${stem !== '' && html`<path class="line thin s-soft" d="${stem}"/>`}${parts.map(
      ({ shape, className, text }) => {
        const start = place;
        place += 16 + text.length * CHARACTER;
        return html`${shape !== null && mark(shape, px(start), y - 4, className, 4)}<text${shape === null && html` class="f-fail"`} x="${px(start + 7)}" y="${y}" font-size="10">${text}</text>`;
      },
    )}`;
  });
}

interface Part {
  shape: 'triangle' | 'diamond' | 'square' | null;
  className: string;
  text: string;
}

function partsOf({ transition, sinceMs, receipt, due }: Hop): Part[] {
  const changed: Part = { shape: 'triangle', className: 'f-b', text: formatDuration(sinceMs) };
  if (receipt === undefined) {
    return due ? [changed, { shape: null, className: '', text: '✗ no message arrived' }] : [changed];
  }
  return [
    changed,
    {
      shape: 'diamond',
      className: 'f-a',
      text: `+${formatDuration(Math.max(0, receipt.notifiedAt - transition.at))}`,
    },
    {
      shape: 'square',
      className: 'f-d',
      text: `+${formatDuration(Math.max(0, receipt.receivedAt - transition.at))}`,
    },
  ];
}

// ---------------------------------------------------------------------------------------------------------
// The alarm itself
// ---------------------------------------------------------------------------------------------------------

/** What the alarm itself did while drifting data was sent, phase after phase; false without any. */
export function phasesFigure({ phases, facts }: Measurements, drill: LocatedDrill): Html | false {
  const sorted = phases.toSorted((a, b) => a.startedAt - b.startedAt);
  const [first] = sorted;
  if (first === undefined) return false;
  const { fires, within } = drill.value.intended;
  const end = Math.max(...sorted.map(({ endedAt }) => endedAt));
  const x = timeScale(first.startedAt, end);
  const points = sorted.flatMap(({ metric }) => metric);
  const [top, bottom, bandY] = [34, 138, 148];
  const y = scaleLinear(spread([...points.map(({ value }) => value), fires.threshold, 0], 0.12), [
    bottom,
    top,
  ]);
  const frame: Frame = { x, y: (value) => px(y(value)), left: LEFT, right: RIGHT, top, bottom };
  const over = sorted.find(({ phase }) => phase === 'over');
  const beyond = over?.metric.find(({ value }) => breaches(value, fires))?.at;
  const from = over === undefined ? undefined : over.drift === undefined ? over.startedAt : beyond;
  const deadline = from === undefined ? undefined : from + within;
  const changes = sorted.flatMap((phase) => phase.transitions.map((transition) => ({ phase, transition })));
  return figure(
    {
      title: 'The alarm itself',
      note: `Time is since the first phase began. Shaded: the phase in which it must fire${from === undefined ? '' : `, within ${formatDuration(within)}`}.`,
      legend: [
        { className: 'f-c', kind: 'dot', text: 'data point of its metric at which it is to fire' },
        { className: 'f-card s-c', kind: 'ring', text: 'another data point' },
        { className: 'dash s-a', kind: 'line', text: 'intended threshold' },
        { className: 'f-b', kind: 'triangle', text: 'its state changed, so long after the phase began' },
        ...(deadline !== undefined && deadline <= end
          ? [{ className: 'dash s-warn', kind: 'line' as const, text: 'must fire by here' }]
          : []),
      ],
    },
    html`<svg viewBox="0 0 ${WIDTH} 204" role="img" aria-label="${`The alarm itself. ${sorted.map((phase) => phaseText(phase, drill)).join(' ')}`}">
${over !== undefined && html`<rect class="f-line" opacity="0.45" x="${x(over.startedAt)}" y="4" width="${px(x(over.endedAt) - x(over.startedAt))}" height="${bottom - 4}"/>`}
${sorted.map((phase) => {
  const [a, room] = [x(phase.startedAt), x(phase.endedAt) - x(phase.startedAt)];
  const text = [`${phase.phase}: ${sentText(phase)}`, phase.phase].find(
    (one) => one.length * CHARACTER + 8 < room,
  );
  return html`<path class="grid" d="M${a} 4V${bandY + LANE.thick}"/>${text !== undefined && html`<text x="${px(a + 5)}" y="17" font-weight="600">${text}</text>`}`;
})}
${y.ticks(4).map((value) => html`<path class="grid" d="M${LEFT} ${frame.y(value)}H${RIGHT}"/><text class="soft" x="${LEFT - 6}" y="${px(frame.y(value) + 4)}" text-anchor="end">${formatNumber(value)}</text>`)}
<text class="soft" x="0" y="${px((top + bottom) / 2)}">${clip(metricName(facts), 16)}</text>
<text class="soft" x="${LEFT - 6}" y="${bandY + 11}" text-anchor="end">state</text>
<path class="line dash s-a" d="M${LEFT} ${frame.y(fires.threshold)}H${RIGHT}"/>
<text x="${RIGHT}" y="${frame.y(fires.threshold) - 4}" text-anchor="end" font-size="10">intended ${thresholdText(fires)}</text>
${deadline !== undefined && deadline <= end && html`<path class="line dash s-warn" d="M${x(deadline)} ${top}V${bandY + LANE.thick}"/>`}
${pointMarks(
  points.map(({ at, value }): [number, number] => [at, value]),
  frame,
  fires,
)}
${points.length <= 24 && points.map(({ at, value }) => html`<text x="${px(x(at) - 6)}" y="${px(frame.y(value) - 6)}" text-anchor="end" font-size="10">${formatNumber(value, fires.threshold)}</text>`)}
${sorted.map((phase) => band(phaseStretches(phase), x, bandY))}
${changes.slice(0, 40).map(({ phase, transition }) => {
  const at = x(transition.at);
  const right = at > RIGHT - 60;
  return html`${mark('triangle', at, bandY + LANE.thick + 9, 'f-b')}<text x="${px(right ? at - 7 : at + 7)}" y="${bandY + LANE.thick + 13}" font-size="10"${right && html` text-anchor="end"`}>${formatDuration(Math.max(0, transition.at - phase.startedAt))}</text>`;
})}
${ticksText(x, end - first.startedAt, first.startedAt, 198)}</svg>`,
    { wide: true },
  );
}

function metricName({ alarm }: Facts): string {
  if (alarm?.kind !== 'metric') return 'its metric';
  const query = alarm.queries.find(({ id }) => id === alarm.returns);
  return query !== undefined && 'metric' in query ? query.metric.name : 'its metric';
}

function phaseStretches({ transitions, state, startedAt, endedAt }: LivePhase): Stretch[] {
  return transitions.length === 0
    ? [{ from: startedAt, to: endedAt, state }]
    : stretchesOf(transitions, startedAt, endedAt);
}

/** What a phase sent: `drift 0.4`, `0.21`, `healthy data` */
export function sentText({ phase, drift, value }: LivePhase): string {
  if (phase === 'healthy') return drift === undefined ? 'nothing any more' : 'no drift';
  if (drift !== undefined) return `drift ${formatNumber(drift.sent)}`;
  return value === undefined ? 'data' : formatNumber(value);
}

function phaseText(phase: LivePhase, { value }: LocatedDrill): string {
  const { metric, state, startedAt, endedAt, transitions } = phase;
  const fired = transitions.find(({ to }) => to === 'ALARM');
  const values = metric.map((point) => point.value);
  const seen =
    values.length === 0
      ? 'no data point of its metric came'
      : `${countOf(values.length, 'data point')} of its metric from ${formatNumber(Math.min(...values), value.intended.fires.threshold)} to ${formatNumber(Math.max(...values), value.intended.fires.threshold)}`;
  const alarm =
    fired === undefined
      ? `no change to ALARM, ${state} at the end`
      : `ALARM after ${formatDuration(Math.max(0, fired.at - startedAt))}`;
  return `${capital(phase.phase)} (${sentText(phase)}, ${formatDuration(endedAt - startedAt)}): ${seen}; ${alarm}.`;
}
