import { scaleLinear } from 'd3-scale';
import { clip, countOf, formatDuration, formatNumber, listOf, timeText } from '../shared/format.ts';
import { type Frame, figure, type LegendItem, mark, px, spread } from '../shared/report/chart.ts';
import { type Content, type Html, html } from '../shared/report/html.ts';
import type { FindingOutcome } from '../shared/verdict.ts';
import { thresholdText } from './alarm.ts';
import { isUpwards } from './intended.ts';
import { isMisconfigured, receiptsBy } from './judge-ladder.ts';
import { type Observation, observationsOf, stateAt, ticksOf } from './ladder.ts';
import type { Facts, Measurements, Receipt, Round } from './measurements.ts';
import { outcomeOfRung, rungName, signOf } from './report-ladder.ts';
import {
  BAND,
  band,
  CHARACTER,
  DOTS,
  LEFT,
  pointMarks,
  RIGHT,
  type Stretch,
  stretchesOf,
  ticksText,
  timeScale,
  WIDTH,
} from './report-time.ts';
import type { LocatedDrill } from './schema.ts';
import type { Transition } from './series.ts';
import { evaluationMs } from './simulate.ts';

/*
 * Pictures over time of a drill: of each rung what its shadow alarm saw, which state it was in, and when its messages
 * arrived. Pure.
 */

/** Of a lane: its plot, the band of states, and two rows of marks. */
const LANE = { height: 118, top: 12, bottom: 62, band: 70, thick: BAND, hops: [98, 111] };

/**
 * Lanes of the first round, which has the ladder of tocsin.yaml, and of those that narrow, which nobody has asked for; and
 * how many characters they may take.
 */
const FIRST = { lanes: 24, characters: 150_000 };
const FURTHER = { lanes: 6, characters: 20_000 };

/** States that are told to who does not see them; all are in a table. */
const SPOKEN = 12;

/** What is drawn of a lane needs. */
interface Context {
  facts: Facts;
  drill: LocatedDrill;
  /** How the rung that falls silent was judged. */
  silence: FindingOutcome | undefined;
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

function spanText(
  { from, to, name, long }: { from: number; to: number; name: string; long: string },
  x: (at: number) => number,
): Html | false {
  const room = x(to) - x(from);
  const text = [long, name].find((one) => one.length * CHARACTER < room);
  if (text === undefined || text === '') return false;
  return html`<text x="${px((x(from) + x(to)) / 2)}" y="13" text-anchor="middle" font-weight="600">${text}</text>`;
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
