import { clip, countOf, formatNumber, timeText } from '../shared/format.ts';
import { durationTicks, mark, plot, spread, threshold } from '../shared/report/chart.ts';
import { type Content, type Html, html } from '../shared/report/html.ts';
import { type MetricAlarm, readsMetric, thresholdText } from './alarm.ts';
import type { Facts } from './measurements.ts';
import type { LocatedDrill } from './schema.ts';

/*
 * What the metrics of an alarm were like before its drill. Pure.
 */

/** Metrics whose past is drawn. */
const METRICS = 4;

/** What the metrics of the alarm were like before the drill, against its threshold and the intended one. */
export function pastFigures({ alarm, metrics }: Facts, drill: LocatedDrill): Html[] {
  if (alarm?.kind !== 'metric') return [];
  return Object.entries(metrics)
    .filter(([, { recent }]) => recent.length > 0)
    .slice(0, METRICS)
    .map(([id, { recent, metric }]) => pastFigure(alarm, { id, recent, name: metric.name }, drill));
}

function pastFigure(
  alarm: MetricAlarm,
  { id, recent, name }: { id: string; recent: readonly { at: number; value: number }[]; name: string },
  drill: LocatedDrill,
): Html {
  const query = alarm.queries.find((one) => one.id === id);
  const statistic = query !== undefined && readsMetric(query) ? query.statistic : '';
  // What an expression makes of it is held against the threshold, not the metric itself.
  const watched = alarm.returns === id;
  const intended = drill.value.intended.fires.threshold;
  const wrong = watched && alarm.threshold !== intended;
  const values = recent.map(({ value }) => value);
  const newest = Math.max(...recent.map(({ at }) => at));
  const limits = watched ? [intended, ...(wrong ? [alarm.threshold] : [])] : [];
  const [min, max] = [Math.min(...values), Math.max(...values)];
  return plot({
    title: `${clip(name, 60)} before the drill`,
    note: `${statistic === '' ? '' : `${clip(statistic, 30)} of `}${countOf(recent.length, 'data point')}, the newest.`,
    description: `From ${formatNumber(min)} to ${formatNumber(max)}${watched ? `; the alarm is meant to fire at ${thresholdText(drill.value.intended.fires)}${wrong ? ` and is configured to at ${thresholdText(alarm)}` : ''}` : ''}.`,
    height: 180,
    left: 52,
    x: {
      label: 'before the newest',
      domain: [Math.min(...recent.map(({ at }) => at)) - newest, 0],
      names: pastTicks(newest - Math.min(...recent.map(({ at }) => at))),
    },
    y: { label: '', domain: spread([...values, ...limits], 0.08), ticks: 4 },
    draw: (frame): Content => [
      recent.map(({ at, value }) => mark('dot', frame.x(at - newest), frame.y(value), 'f-c', 1.8)),
      watched && threshold(frame, { y: intended }, 's-a'),
      wrong &&
        html`<path class="line thin s-ink" d="M${frame.left} ${frame.y(alarm.threshold)}H${frame.right}"/>`,
    ],
    legend: [
      { className: 'f-c', kind: 'dot', text: 'data point' },
      ...(watched
        ? [
            {
              className: 'dash s-a',
              kind: 'line' as const,
              text: `intended: ${thresholdText(drill.value.intended.fires)}`,
            },
          ]
        : []),
      ...(wrong
        ? [{ className: 'thin s-ink', kind: 'line' as const, text: `configured: ${thresholdText(alarm)}` }]
        : []),
    ],
  });
}

function pastTicks(lengthMs: number): { at: number; name: string }[] {
  return durationTicks(lengthMs, 4).map((ms) => ({ at: -ms, name: ms === 0 ? '0' : `−${timeText(ms)}` }));
}
