import { scaleLinear } from 'd3-scale';
import { capital, clip, countOf, formatDuration, formatNumber } from '../shared/format.ts';
import { type Frame, figure, mark, px, spread } from '../shared/report/chart.ts';
import { type Html, html } from '../shared/report/html.ts';
import { breaches, thresholdText } from './alarm.ts';
import type { Facts, LivePhase, Measurements } from './measurements.ts';
import {
  BAND,
  band,
  CHARACTER,
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

/*
 * A drill of the real alarm over time, in one lane: what its metric was, and which state it was in. Pure.
 */

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
  return html`<path class="grid" d="M${a} 4V${bandY + BAND}"/>${text !== undefined && html`<text x="${px(a + 5)}" y="17" font-weight="600">${text}</text>`}`;
})}
${y.ticks(4).map((value) => html`<path class="grid" d="M${LEFT} ${frame.y(value)}H${RIGHT}"/><text class="soft" x="${LEFT - 6}" y="${px(frame.y(value) + 4)}" text-anchor="end">${formatNumber(value)}</text>`)}
<text class="soft" x="0" y="${px((top + bottom) / 2)}">${clip(metricName(facts), 16)}</text>
<text class="soft" x="${LEFT - 6}" y="${bandY + 11}" text-anchor="end">state</text>
<path class="line dash s-a" d="M${LEFT} ${frame.y(fires.threshold)}H${RIGHT}"/>
<text x="${RIGHT}" y="${frame.y(fires.threshold) - 4}" text-anchor="end" font-size="10">intended ${thresholdText(fires)}</text>
${deadline !== undefined && deadline <= end && html`<path class="line dash s-warn" d="M${x(deadline)} ${top}V${bandY + BAND}"/>`}
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
  return html`${mark('triangle', at, bandY + BAND + 9, 'f-b')}<text x="${px(right ? at - 7 : at + 7)}" y="${bandY + BAND + 13}" font-size="10"${right && html` text-anchor="end"`}>${formatDuration(Math.max(0, transition.at - phase.startedAt))}</text>`;
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
