import { countOf, formatDuration, listOf } from '../shared/format.ts';
import {
  type MetricAlarm,
  type MetricName,
  metricText,
  readsMetric,
  type StatisticQuery,
  sameMetric,
} from './alarm.ts';
import { isUpwards } from './intended.ts';
import type { MetricFacts } from './measurements.ts';
import { howToSet, type Proof } from './reach-proof.ts';

/*
 * Whether an alarm watches what it is meant to watch, and whether there is anything to see.
 */

/** Whether each metric is there and has data, and whether the one that is driven is the intended one. */
export function proveMetrics(proof: Proof, alarm: MetricAlarm, driven: StatisticQuery): void {
  const { metric, statistic } = proof.intended;
  for (const query of alarm.queries) {
    if (!readsMetric(query)) continue;
    const subject = `metric ${metricText(query.metric)}`;
    const facts = proof.facts.metrics[query.id];
    const other = query.id === driven.id && metric !== undefined && !sameMetric(metric, query.metric);
    if (other) {
      wrongMetric(proof, alarm, query.metric, metric, facts);
      proof.skip(subject, 'data', 'it is not the metric that the alarm is meant to watch');
      continue;
    }
    if (query.id === driven.id && metric !== undefined) {
      proof.add({
        check: 'metric',
        subject,
        outcome: 'pass',
        message: `Alarm ${alarm.name} watches ${metricText(metric)}, as intended (${proof.at(['intended', 'metric'])}).`,
        allowed: metricText(metric),
        observed: metricText(query.metric),
        path: ['intended', 'metric'],
      });
    }
    if (!facts) proof.skip(subject, 'data', 'nothing was read of it');
    else if (isThere(proof, alarm, facts)) hasData(proof, alarm, query, facts);
  }

  if (statistic === undefined) onlyExtremes(proof, alarm, driven);
  else {
    const same = driven.statistic === statistic;
    const path = ['intended', 'statistic'];
    proof.add({
      check: 'statistic',
      subject: `alarm ${alarm.name}`,
      allowed: statistic,
      observed: driven.statistic,
      path,
      ...(same
        ? {
            outcome: 'pass',
            message: `Alarm ${alarm.name} looks at the ${statistic} of each period, as intended (${proof.at(path)}).`,
          }
        : {
            outcome: 'fail',
            message: `Alarm ${alarm.name} looks at the ${driven.statistic} of each period, intended is the ${statistic} (${proof.at(path)}): its threshold is held against another number.`,
            help: howToSet(alarm, { name: 'statistic', value: statistic }),
          }),
    });
  }
}

function wrongMetric(
  proof: Proof,
  alarm: MetricAlarm,
  watched: MetricName,
  intended: MetricName,
  facts: MetricFacts | undefined,
): void {
  const path = ['intended', 'metric'];
  const differs = [
    ...(watched.namespace === intended.namespace ? [] : [`namespace ${intended.namespace}`]),
    ...(watched.name === intended.name ? [] : [`metric name ${intended.name}`]),
    ...dimensionDifferences(watched.dimensions, intended.dimensions),
  ];
  const gone = facts !== undefined && !facts.exists;
  proof.add({
    check: 'metric',
    subject: `alarm ${alarm.name}`,
    outcome: 'fail',
    message: `Alarm ${alarm.name} watches ${metricText(watched)}${gone ? ', which does not exist' : ''}, and is meant to watch ${metricText(intended)} (${proof.at(path)}; it differs in ${listOf(differs)}): what the intended metric shows rings nobody.`,
    allowed: metricText(intended),
    observed: metricText(watched),
    path,
    help: toWatch(alarm, watched, intended),
  });
}

function dimensionDifferences(watched: Record<string, string>, intended: Record<string, string>): string[] {
  const names = [...new Set([...Object.keys(intended), ...Object.keys(watched)])].toSorted();
  return names.flatMap((name) => {
    if (watched[name] === intended[name]) return [];
    if (intended[name] === undefined) return [`no dimension ${name}`];
    return [`dimension ${name}=${intended[name]}`];
  });
}

function toWatch(alarm: MetricAlarm, watched: MetricName, intended: MetricName): string {
  if (watched.namespace !== intended.namespace) {
    return howToSet(alarm, { name: 'namespace', value: intended.namespace });
  }
  if (watched.name !== intended.name) return howToSet(alarm, { name: 'metricName', value: intended.name });
  return howToSet(alarm, { name: 'dimensions', value: intended.dimensions });
}

function isThere(proof: Proof, alarm: MetricAlarm, { metric, exists, near }: MetricFacts): boolean {
  const subject = `metric ${metricText(metric)}`;
  const common = { check: 'metric-exists', subject, allowed: 'a metric of exactly this name' };
  if (exists) {
    proof.add({
      ...common,
      outcome: 'pass',
      message: `Metric ${metricText(metric)}, which alarm ${alarm.name} watches, exists.`,
      observed: metricText(metric),
    });
    return true;
  }
  const [nearest] = near;
  proof.add({
    ...common,
    outcome: 'fail',
    message: `Alarm ${alarm.name} never fires, as there is no metric ${metricText(metric)}${nearest ? `; there is ${listOf(near.slice(0, 3).map(metricText))}` : ', nor one with a similar name'}.`,
    observed: nearest ? metricText(nearest) : 'none',
    help: nearest
      ? toWatch(alarm, metric, nearest)
      : 'Find out whether the emitter runs, and what it calls its metric: aws cloudwatch list-metrics.',
  });
  proof.skip(subject, 'data', 'the metric does not exist');
  return false;
}

function hasData(proof: Proof, alarm: MetricAlarm, query: StatisticQuery, facts: MetricFacts): void {
  const subject = `metric ${metricText(query.metric)}`;
  const { periods, newestAt } = facts;
  const { readAt } = proof.facts;
  const periodMs = alarm.periodS * 1000;
  const check = 'data';

  if (newestAt === undefined) {
    proof.add({
      check,
      subject,
      outcome: 'fail',
      message: `Alarm ${alarm.name} has nothing to judge: ${metricText(query.metric)} has had no data for two weeks.`,
      allowed: 'data',
      observed: 'none',
      help: 'Find out why the emitter of the metric is silent, and start it.',
    });
    return;
  }
  const { every: said } = proof.intended;
  const every = said ?? facts.every ?? periodMs;
  const age = readAt - newestAt;
  // Data is late by itself: a period for the newest data point, a few minutes for CloudWatch to show it.
  const most = 3 * every + Math.max(periodMs, 300_000);
  const comes = `it comes every ${formatDuration(every)}`;
  const common = {
    check,
    subject,
    allowed: `at most ${formatDuration(most)} old`,
    observed: `${formatDuration(Math.max(age, 0))} old`,
    limit: most,
    value: age,
  };
  if (age > most) {
    proof.add({
      ...common,
      // Metrics of what seldom happens pause too; only who says how often this one comes knows that it is dead.
      outcome: said === undefined ? 'warn' : 'fail',
      message: `Alarm ${alarm.name} has nothing to judge now: the newest data of ${metricText(query.metric)} is ${formatDuration(age)} old, and ${comes}${said === undefined ? ', as its data says' : ` (${proof.at(['intended', 'every'])})`}.`,
      help: 'Find out why the emitter of the metric is silent, and start it.',
      ...(said !== undefined && { path: ['intended', 'every'] }),
    });
  } else {
    proof.add({
      ...common,
      outcome: 'pass',
      message: `Metric ${metricText(query.metric)} has data: the newest is ${formatDuration(Math.max(age, 0))} old, ${comes}.`,
    });
  }
  hasUnit(proof, alarm, query, periods);
}

/** An alarm that asks for a unit does not see data of another. */
function hasUnit(
  proof: Proof,
  alarm: MetricAlarm,
  { metric, unit }: StatisticQuery,
  { asked, anyUnit, lookBackMs }: MetricFacts['periods'],
): void {
  if (unit === undefined || anyUnit === 0) return;
  const common = {
    check: 'unit',
    subject: `metric ${metricText(metric)}`,
    allowed: `data in ${unit}`,
    observed: `${asked} of ${countOf(anyUnit, 'period')} with data`,
    limit: anyUnit,
    value: asked,
  };
  const seen = `${metricText(metric)} has data in ${countOf(anyUnit, 'period')} of the last ${formatDuration(lookBackMs)}`;
  const help = `Leave --unit out of aws cloudwatch put-metric-alarm, in CDK unit: any unit counts then. Or emit the metric in ${unit}.`;
  if (asked === anyUnit) {
    proof.add({
      ...common,
      outcome: 'pass',
      message: `Alarm ${alarm.name} sees all data of ${metricText(metric)}: it is in ${unit}.`,
    });
  } else {
    proof.add({
      ...common,
      outcome: asked === 0 ? 'fail' : 'warn',
      message:
        asked === 0
          ? `Alarm ${alarm.name} never sees a value: it asks for data in ${unit}, and ${seen}, none of it in ${unit}.`
          : `Alarm ${alarm.name} does not see all values: it asks for data in ${unit}, and ${seen}, of which ${asked} in ${unit}.`,
      help,
    });
  }
}

/** A statistic that nobody asked for, and that hides what the alarm is for. */
function onlyExtremes(proof: Proof, alarm: MetricAlarm, { id, statistic }: StatisticQuery): void {
  const count = proof.facts.metrics[id]?.samplesPerPeriod ?? 1;
  const hides = isUpwards(proof.drill) ? 'Minimum' : 'Maximum';
  if (statistic !== hides || count < 2 || alarm.returns !== id) return;
  proof.add({
    check: 'statistic',
    subject: `alarm ${alarm.name}`,
    outcome: 'warn',
    message: `Alarm ${alarm.name} looks at the ${statistic} of about ${countOf(count, 'sample')} a period: one healthy sample in each keeps it quiet.`,
    allowed: `a statistic other than ${statistic}, or that one as intended.statistic`,
    observed: statistic,
    path: ['intended'],
    help: `Say intended.statistic: ${statistic} in ${proof.drill.file} where that is meant, or choose Average or ${hides === 'Minimum' ? 'Maximum' : 'Minimum'}.`,
  });
}
