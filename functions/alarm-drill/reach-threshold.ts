import { countOf, formatNumber } from '../shared/format.ts';
import {
  breaches,
  type Comparison,
  type Evaluated,
  firesUpwards,
  type MetricAlarm,
  readsMetric,
  type StatisticQuery,
  thresholdText,
} from './alarm.ts';
import { isUpwards, timesOf } from './intended.ts';
import type { MetricFacts } from './measurements.ts';
import { howToSet, type Proof } from './reach-proof.ts';
import { attainable, fewSamples, percentileOf } from './statistic.ts';

/*
 * Whether the threshold is the intended one, and whether the statistic that is held against it can be on both sides.
 */

/** Relative difference of two thresholds that are the same. */
const SAME = 1e-9;

/** Way, strictness and number of the threshold. */
export function proveThreshold(proof: Proof, alarm: MetricAlarm): void {
  const subject = `alarm ${alarm.name}`;
  const path = ['intended', 'fires'];
  const { fires } = proof.intended;
  const said = `intended is ${proof.fires()} (${proof.at(path)})`;
  const is = thresholdText(alarm);
  const upwards = isUpwards(proof.drill);
  const sense = { subject, allowed: proof.fires(), observed: is, path };
  const help = howToSet(alarm, { name: 'comparisonOperator', value: fires.comparison });

  const sameWay = firesUpwards(alarm) === upwards;
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
    check: 'low-samples',
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
  if (query && readsMetric(query)) {
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
  return query && readsMetric(query) ? query.statistic : '';
}

/** The fewest samples that a percentile is worth looking at. */
function samplesWanted(statistic: string): number {
  const share = percentileOf(statistic) ?? 0;
  return Math.ceil(10 / Math.max(Math.min(share, 1 - share), Number.MIN_VALUE) - SAME);
}
