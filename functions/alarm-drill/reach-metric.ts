import { countOf, formatDuration, formatNumber } from '../shared/format.ts';
import {
  breaches,
  COMPARISONS,
  type Comparison,
  type Evaluated,
  type MetricAlarm,
  type MetricName,
  metricText,
  type StatisticQuery,
  sameMetric,
} from './alarm.ts';
import { isUpwards, timesOf } from './driving.ts';
import type { MetricFacts } from './measurements.ts';
import { howToSet, listed, type Proof } from './reach-proof.ts';
import { attainable, fewSamples, percentileOf } from './statistic.ts';

/*
 * Whether an alarm watches what it is meant to watch, and whether its threshold is the intended one and can be reached.
 */

/** Relative difference of two thresholds that are the same. */
const SAME = 1e-9;

/** Way, strictness and number of the threshold. */
export function proveThreshold(proof: Proof, alarm: MetricAlarm): void {
  const subject = `alarm ${alarm.name}`;
  const path = ['intended', 'fires'];
  const { fires } = proof.intended;
  const said = `intended is ${proof.fires()} (${proof.at(path)})`;
  const is = `${COMPARISONS[alarm.comparison]} ${alarm.threshold}`;
  const upwards = isUpwards(proof.drill);
  const sense = { subject, allowed: proof.fires(), observed: is, path };
  const help = howToSet(alarm, { name: 'comparisonOperator', value: fires.comparison });

  const sameWay = alarm.comparison.startsWith('Greater') === upwards;
  proof.add({
    check: 'direction',
    ...sense,
    ...(sameWay
      ? {
          outcome: 'pass',
          message: `Alarm ${alarm.name} fires at values that are too ${upwards ? 'high' : 'low'}, as intended (${proof.at(path)}).`,
        }
      : {
          outcome: 'fail',
          message: `Alarm ${alarm.name} fires at ${is}, ${said}: it rings while the metric is healthy, and is quiet when it ${upwards ? 'rises' : 'falls'}.`,
          help,
        }),
  });

  if (sameWay) {
    const strict = isStrict(alarm.comparison);
    const { threshold } = fires;
    proof.add({
      check: 'strictness',
      ...sense,
      ...(strict === isStrict(fires.comparison)
        ? {
            outcome: 'pass',
            message: `Alarm ${alarm.name} ${strict ? 'is quiet' : 'fires'} at exactly its threshold, as intended (${proof.at(path)}).`,
          }
        : {
            outcome: 'fail',
            message: `Alarm ${alarm.name} fires at ${is}, ${said}: a value of exactly ${threshold} ${strict ? 'stays unnoticed' : 'rings for nothing'}${boundary(proof, alarm)}.`,
            help,
          }),
    });
  }

  const same = closeTo(alarm.threshold, fires.threshold);
  proof.add({
    check: 'threshold',
    subject,
    allowed: String(fires.threshold),
    observed: String(alarm.threshold),
    limit: fires.threshold,
    value: alarm.threshold,
    path,
    ...(same
      ? {
          outcome: 'pass',
          message: `Alarm ${alarm.name} has the intended threshold, ${fires.threshold} (${proof.at(path)}).`,
        }
      : {
          outcome: 'fail',
          message: `Alarm ${alarm.name} fires at ${alarm.threshold}, ${multiple(proof, alarm.threshold)} the intended ${fires.threshold} (${proof.at(path)}): ${missed(proof, alarm)}.`,
          help: howToSet(alarm, { name: 'threshold', value: fires.threshold }),
        }),
  });
}

/** The alarm, with threshold and statistic as intended: so that one mistake does not make all other checks fail. */
export function asIntended(proof: Proof, alarm: MetricAlarm, driven: StatisticQuery): MetricAlarm {
  const { statistic = driven.statistic, fires } = proof.intended;
  return {
    ...alarm,
    ...fires,
    queries: alarm.queries.map((query) => (query.id === driven.id ? { ...driven, statistic } : query)),
  };
}

/** Whether each metric is there and has data, and whether the one that is driven is the intended one. */
export function proveMetrics(proof: Proof, alarm: MetricAlarm, driven: StatisticQuery): void {
  const { metric, statistic } = proof.intended;
  for (const query of alarm.queries) {
    if (!('metric' in query)) continue;
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

/** Whether the intended threshold can be reached, and is not always reached, by what the metric ever shows. */
export function proveRange(proof: Proof, alarm: MetricAlarm, driven: StatisticQuery): boolean {
  const subject = `alarm ${alarm.name}`;
  const facts = proof.facts.metrics[driven.id];
  const single = alarm.returns === driven.id;
  const intended = asIntended(proof, alarm, driven);
  const { range, statistic = driven.statistic } = proof.intended;
  const what = single ? `the ${statistic}` : 'the expression';

  const reach = attainableValues(proof, intended, driven);
  if (reach) {
    const path = range === undefined ? ['intended', 'fires'] : ['intended', 'range'];
    const [low, high] = reach;
    const between =
      low > high
        ? `${what} of values below 0 is no number`
        : `${what} is from ${formatNumber(low)} to ${formatNumber(high)}`;
    const verdict = reachVerdict(intended, reach);
    // Of a count, silence is what is below 1, and missing data that breaches is what notices it.
    const bySilence =
      verdict === 'never' && statistic === 'SampleCount' && alarm.missingData === 'breaching' && single;
    const common = { check: 'range', subject, allowed: proof.fires(), observed: between, path };
    if (verdict === 'sometimes' || bySilence) {
      proof.add({
        ...common,
        outcome: 'pass',
        message: bySilence
          ? `Alarm ${alarm.name} fires at ${proof.fires()} by silence alone: a period without samples has no count, and missing data breaches.`
          : `Alarm ${alarm.name} can fire at ${proof.fires()}, and can be quiet: ${between} (${proof.at(path)}).`,
      });
      return true;
    }
    proof.add({
      ...common,
      outcome: 'fail',
      message:
        verdict === 'never'
          ? `Alarm ${alarm.name} can never fire at ${proof.fires()}: ${between} (${proof.at(path)}).`
          : `Alarm ${alarm.name} always rings at ${proof.fires()}: ${between} (${proof.at(path)}).`,
      help:
        verdict === 'never'
          ? `Choose a threshold that the metric can reach, or a statistic other than ${statistic}, in ${proof.drill.file} and in the alarm.`
          : `Choose a threshold that is outside of what is usual, or a statistic other than ${statistic}, in ${proof.drill.file} and in the alarm.`,
    });
    return false;
  }
  if (!facts || statistic !== driven.statistic) return true;
  const doubt = observedDoubt(proof, intended, facts, single);
  if (doubt) {
    proof.add({
      check: 'range',
      subject,
      outcome: 'warn',
      message: `Alarm ${alarm.name} ${doubt}.`,
      allowed: proof.fires(),
      observed: facts.extremes
        ? `${formatNumber(facts.extremes.min)} to ${formatNumber(facts.extremes.max)}`
        : 'no data',
      path: ['intended', 'fires'],
      help: `Say in ${proof.drill.file} which values are ever emitted, as intended.range, and choose a threshold that tells healthy values from others.`,
    });
  }
  return true;
}

/** Whether a percentile has samples enough to be judged. */
export function proveSamples(proof: Proof, alarm: MetricAlarm, driven: StatisticQuery): void {
  const { statistic = driven.statistic } = proof.intended;
  const count = proof.facts.metrics[driven.id]?.samplesPerPeriod;
  if (alarm.returns !== driven.id || percentileOf(statistic) === undefined || count === undefined) return;

  const subject = `alarm ${alarm.name}`;
  const wanted = samplesWanted(statistic);
  const inAll = count * alarm.evaluationPeriods;
  const common = {
    check: 'samples',
    subject,
    allowed: `at least ${countOf(wanted, 'sample')}`,
    observed: `${countOf(count, 'sample')} a period`,
    limit: wanted,
    value: count,
  };
  const has = `${countOf(count, 'sample')} a period`;
  const help = `Choose a longer period, a lower percentile, or --evaluate-low-sample-count-percentile evaluate of aws cloudwatch put-metric-alarm, in CDK evaluateLowSampleCountPercentile: 'evaluate'.`;
  if (!fewSamples(statistic, count)) {
    proof.add({
      ...common,
      outcome: 'pass',
      message: `Alarm ${alarm.name} has samples enough for its ${statistic}: ${has}, ${formatNumber(wanted)} are needed.`,
    });
  } else if (alarm.lowSamples !== 'ignore') {
    proof.add({
      ...common,
      outcome: 'warn',
      message: `Alarm ${alarm.name} judges the ${statistic} of ${has}: fewer than ${formatNumber(wanted)} make it about ${(percentileOf(statistic) ?? 1) < 0.5 ? 'the least' : 'the greatest'} of them.`,
      help: 'Choose a longer period, a lower percentile, or the Maximum.',
    });
  } else if (fewSamples(statistic, inAll)) {
    proof.add({
      ...common,
      outcome: 'fail',
      message: `Alarm ${alarm.name} never leaves its state: it ignores its ${statistic} while there are fewer than ${countOf(wanted, 'sample')}, and the metric has ${has}.`,
      help,
    });
  } else {
    proof.add({
      ...common,
      outcome: 'inconclusive',
      message: `Alarm ${alarm.name} may never leave its state: it ignores its ${statistic} while there are fewer than ${countOf(wanted, 'sample')}, the metric has ${has}, and it is not documented whether those of all ${alarm.evaluationPeriods} periods count together.`,
      help,
    });
  }
}

function isStrict(comparison: Comparison): boolean {
  return !comparison.includes('OrEqualTo');
}

function closeTo(a: number, b: number): boolean {
  return Math.abs(a - b) <= SAME * Math.max(Math.abs(a), Math.abs(b));
}

/** Whether exactly the threshold is ever seen, in words that end a sentence. */
function boundary({ facts, intended }: Proof, { returns }: MetricAlarm): string {
  const { step, fires } = intended;
  const at = fires.threshold;
  if (step !== undefined && closeTo(Math.round(at / step) * step, at)) {
    return `, which it often is, as values are whole multiples of ${step}`;
  }
  const { recent = [], extremes } = facts.metrics[returns] ?? {};
  const hits = recent.filter(({ value }) => value === at).length;
  if (hits > 0) return `, as ${hits} of the last ${countOf(recent.length, 'data point')} were`;
  return extremes?.min === at || extremes?.max === at ? ', which samples have been' : '';
}

/** `5 times`, `0.5 times`, and what else can be said of two numbers of which one may be 0. */
function multiple({ intended }: Proof, configured: number): string {
  const { threshold } = intended.fires;
  const ratio = configured / threshold;
  return Number.isFinite(ratio) && ratio > 0 && !closeTo(ratio, 1)
    ? `${formatNumber(ratio, 1)} times`
    : 'instead of';
}

/** What a wrong threshold leads to. */
function missed(proof: Proof, { name, threshold, queries, returns }: MetricAlarm): string {
  const { drill, intended } = proof;
  const louder = timesOf(drill, threshold) > 1;
  const between = `values from ${intended.fires.threshold} to ${threshold}`;
  const query = queries.find(({ id }) => id === returns);
  if (!louder) return `${between} ring although they are meant to be quiet`;
  const configured = { ...intended.fires, threshold };
  if (query && 'metric' in query) {
    const reach = attainableValues(proof, { name, queries, returns }, query);
    if (reach && reachVerdict(configured, reach) === 'never') return 'the metric never gets there at all';
  }
  return `${between} ring nobody`;
}

/** What the watched query can be; undefined where nothing is said of it. */
function attainableValues(
  { intended }: Proof,
  { queries, returns }: Pick<MetricAlarm, 'name' | 'queries' | 'returns'>,
  driven: StatisticQuery,
): [low: number, high: number] | undefined {
  const { range, statistic = driven.statistic } = intended;
  const { from = Number.NEGATIVE_INFINITY, to = Number.POSITIVE_INFINITY } = range ?? {};
  const single = queries.find(({ id }) => id === returns)?.id === driven.id;
  if (!single) return range === undefined ? undefined : [from, to];
  const reach = attainable(statistic, [from, to]);
  // Nothing is bounded where nothing is known: that is not worth a word.
  return range === undefined && statistic !== 'SampleCount' ? undefined : reach;
}

function reachVerdict(
  fires: Pick<Evaluated, 'comparison' | 'threshold'>,
  [low, high]: readonly [number, number],
): 'never' | 'sometimes' | 'always' {
  if (low > high) return 'never';
  const breaching = [low, high].filter((value) => breaches(value, fires)).length;
  return (['never', 'sometimes', 'always'] as const)[breaching]!;
}

/** What makes the threshold doubtful in view of the data, in words that follow the name of the alarm. */
function observedDoubt(
  proof: Proof,
  alarm: MetricAlarm,
  { recent, extremes }: MetricFacts,
  single: boolean,
): string | undefined {
  if (!single) return undefined;
  if (recent.length > alarm.evaluationPeriods && recent.every(({ value }) => breaches(value, alarm))) {
    return `rings now and may always do so: all of the last ${countOf(recent.length, 'data point')} are ${proof.fires()}`;
  }
  if (!extremes) return undefined;
  const most = isUpwards(proof.drill) ? extremes.max : extremes.min;
  if (most === alarm.threshold && !breaches(most, alarm)) {
    return `may never fire at ${proof.fires()}: the ${isUpwards(proof.drill) ? 'greatest' : 'least'} of all samples is exactly ${most}`;
  }
  const isShare = extremes.min === 0 && extremes.max === 1;
  const scaled = ['Average', 'Minimum', 'Maximum'].includes(statisticOf(alarm));
  if (isShare && scaled && reachVerdict(alarm, [0, 1]) === 'never') {
    return `may never fire at ${proof.fires()}: all samples are from 0 to 1, and have been both`;
  }
  return undefined;
}

function statisticOf({ queries, returns }: MetricAlarm): string {
  const query = queries.find(({ id }) => id === returns);
  return query && 'metric' in query ? query.statistic : '';
}

/** The fewest samples that a percentile is worth looking at. */
function samplesWanted(statistic: string): number {
  const share = percentileOf(statistic) ?? 0;
  return Math.ceil(10 / Math.max(Math.min(share, 1 - share), Number.MIN_VALUE) - SAME);
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
    message: `Alarm ${alarm.name} watches ${metricText(watched)}${gone ? ', which does not exist' : ''}, and is meant to watch ${metricText(intended)} (${proof.at(path)}; it differs in ${listed(differs)}): what the intended metric shows rings nobody.`,
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
    message: `Alarm ${alarm.name} never fires, as there is no metric ${metricText(metric)}${nearest ? `; there is ${listed(near.slice(0, 3).map(metricText))}` : ', nor one with a similar name'}.`,
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
