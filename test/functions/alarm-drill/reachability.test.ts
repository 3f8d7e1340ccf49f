import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type MetricAlarm, MISSING_DATA, type Query } from '../../../functions/alarm-drill/alarm.ts';
import type { ActionFacts, Facts } from '../../../functions/alarm-drill/measurements.ts';
import { proveReachable } from '../../../functions/alarm-drill/reachability.ts';
import type { LocatedDrill } from '../../../functions/alarm-drill/schema.ts';
import { simulate } from '../../../functions/alarm-drill/simulate.ts';
import {
  alarmArn,
  compositeAlarm,
  type DrillInput,
  drillOf,
  factsOf,
  flawsOf,
  metricFacts,
  ONCALL,
  PSI,
  psiAlarm,
  queryOf,
  READ_AT,
  snsTopic,
} from '../../support/alarm-facts.ts';

const MINUTE = 60_000;
const INTENDED = { fires: '>= 0.2', within: '30m' };
const FUNCTION = 'arn:aws:lambda:eu-central-1:111122223333:function:page';

/** `check outcome: sentence` of all that is not right. */
function flaws(facts: Facts, drill?: LocatedDrill): string[] {
  return flawsOf(facts, drill).map(({ check, outcome, message }) => `${check} ${outcome}: ${message}`);
}

function helpOf(facts: Facts, drill?: LocatedDrill): string | undefined {
  return flawsOf(facts, drill)[0]?.help;
}

function passed(facts: Facts, check: string, drill: LocatedDrill = drillOf()): string | undefined {
  return proveReachable(facts, drill).findings.find((one) => one.check === check && one.outcome === 'pass')
    ?.message;
}

function intends(intended: Partial<DrillInput['intended']>, rest: Partial<DrillInput> = {}): LocatedDrill {
  return drillOf({ intended: { ...INTENDED, ...intended }, ...rest });
}

function statistic(name: string, change: Partial<MetricAlarm> = {}): MetricAlarm {
  return psiAlarm({ queries: [queryOf({ statistic: name })], ...change });
}

function math(queries: Query[], change: Partial<MetricAlarm> = {}): MetricAlarm {
  return psiAlarm({ math: true, queries, returns: queries[0]!.id, ...change });
}

describe('an alarm as it should be', () => {
  test('what was proved, and by which rule', () => {
    const drill = intends({ metric: PSI, statistic: 'Average', range: { from: 0, to: 10 }, guards: 'churn' });
    const guardrail = { endpoint: 'churn', exists: true, alarms: ['psi-distance'], bakeMs: 30 * MINUTE };
    const { findings, notChecked } = proveReachable(factsOf(psiAlarm(), { guardrail }), drill);
    expect(notChecked).toEqual([]);
    expect(
      findings.map(({ check, outcome, message, rule }) => [check, outcome, rule?.line, message]),
    ).toMatchInlineSnapshot(`
      [
        [
          "alarm",
          "pass",
          3,
          "Alarm psi-distance exists and has a static threshold (tocsin.yaml:3).",
        ],
        [
          "direction",
          "pass",
          5,
          "Alarm psi-distance fires at values that are too high, as intended (tocsin.yaml:5).",
        ],
        [
          "strictness",
          "pass",
          5,
          "Alarm psi-distance fires at exactly its threshold, as intended (tocsin.yaml:5).",
        ],
        [
          "threshold",
          "pass",
          5,
          "Alarm psi-distance has the intended threshold, 0.2 (tocsin.yaml:5).",
        ],
        [
          "metric",
          "pass",
          7,
          "Alarm psi-distance watches ML/Drift/psi{Endpoint=churn-staging, Feature=distance}, as intended (tocsin.yaml:7).",
        ],
        [
          "metric-exists",
          "pass",
          undefined,
          "Metric ML/Drift/psi{Endpoint=churn-staging, Feature=distance}, which alarm psi-distance watches, exists.",
        ],
        [
          "data",
          "pass",
          undefined,
          "Metric ML/Drift/psi{Endpoint=churn-staging, Feature=distance} has data: the newest is 5 min old, it comes every 5 min.",
        ],
        [
          "statistic",
          "pass",
          13,
          "Alarm psi-distance looks at the Average of each period, as intended (tocsin.yaml:13).",
        ],
        [
          "range",
          "pass",
          14,
          "Alarm psi-distance can fire at >= 0.2, and can be quiet: the Average is from 0 to 10 (tocsin.yaml:14).",
        ],
        [
          "missing-data",
          "pass",
          4,
          "Alarm psi-distance goes to ALARM within 26 min of the last sample of a metric that falls silent, intended is any state but OK (tocsin.yaml:4).",
        ],
        [
          "quiet",
          "pass",
          5,
          "Alarm psi-distance stays OK just under the intended threshold (simulated, tocsin.yaml:5).",
        ],
        [
          "timing",
          "pass",
          6,
          "Alarm psi-distance fires 6 min after the metric crosses the intended threshold, at the latest, intended is within 30 min (tocsin.yaml:6): 2 of 3 data points of 5 min, simulated.",
        ],
        [
          "actions",
          "pass",
          undefined,
          "ALARM of psi-distance is told to ml-oncall.",
        ],
        [
          "publish",
          "pass",
          undefined,
          "CloudWatch may publish to topic ml-oncall: the policy lets cloudwatch.amazonaws.com do sns:Publish.",
        ],
        [
          "subscribers",
          "pass",
          undefined,
          "Topic ml-oncall reaches email o***@example.com.",
        ],
        [
          "guardrail",
          "pass",
          17,
          "Alarm psi-distance rolls back deployments of endpoint churn (tocsin.yaml:17).",
        ],
        [
          "bake-time",
          "pass",
          17,
          "A bad deployment to endpoint churn is noticed in time: new capacity is watched for 30 min, and alarm psi-distance fires up to 6 min after a bad model begins to show.",
        ],
      ]
    `);
  });
});

describe('which alarm', () => {
  test('there is none', () => {
    expect(flaws(factsOf(psiAlarm(), { alarm: null, near: ['psi-distances', 'psi-price'] }))).toEqual([
      'alarm fail: There is no alarm psi-distance (tocsin.yaml:3), so nothing watches what it is meant to watch; there is psi-distances and psi-price.',
    ]);
    expect(flaws(factsOf(psiAlarm(), { alarm: null }))).toEqual([
      'alarm fail: There is no alarm psi-distance (tocsin.yaml:3), so nothing watches what it is meant to watch.',
    ]);
  });

  test('a composite one, or one without a threshold', () => {
    const composite = compositeAlarm('psi-distance', 'ALARM("a") OR ALARM("b")');
    expect(flaws(factsOf(composite, { near: ['a', 'b'] }))).toEqual([
      'alarm fail: Alarm psi-distance (tocsin.yaml:3) is a composite alarm, which has no threshold of its own: it is made of a and b.',
    ]);
    const { name, arn, actions, state } = psiAlarm();
    const why = 'an anomaly detection band has no static threshold';
    expect(flaws(factsOf({ kind: 'other', name, arn, actions, state, why }))).toEqual([
      `alarm fail: Alarm psi-distance (tocsin.yaml:3) cannot be drilled: ${why}.`,
    ]);
  });
});

describe('the threshold', () => {
  test('a more sensitive one, a negative one, one of 0, a downward one', () => {
    expect(flaws(factsOf(psiAlarm({ threshold: 0.1 })))).toEqual([
      'threshold fail: Alarm psi-distance fires at 0.1, 0.5 times the intended 0.2 (tocsin.yaml:5): values from 0.2 to 0.1 ring although they are meant to be quiet.',
    ]);
    expect(flaws(factsOf(psiAlarm({ threshold: -0.2 })))[0]).toContain(
      'fires at -0.2, instead of the intended 0.2',
    );
    const down = statistic('Average', { comparison: 'LessThanThreshold', threshold: 0.7 });
    expect(flaws(factsOf(down, {}, { typical: 0.95 }), intends({ fires: '< 0.8' }))).toEqual([
      'threshold fail: Alarm psi-distance fires at 0.7, 0.875 times the intended 0.8 (tocsin.yaml:5): values from 0.8 to 0.7 ring nobody.',
    ]);
    const zero = statistic('Average', { comparison: 'LessThanThreshold', threshold: -1 });
    expect(flaws(factsOf(zero), intends({ fires: '< 0' }, { scale: 1 }))).toEqual([
      'threshold fail: Alarm psi-distance fires at -1, instead of the intended 0 (tocsin.yaml:5): values from 0 to -1 ring nobody.',
    ]);
  });

  test('one that the metric never reaches is one mistake', () => {
    const drill = intends({ range: { from: 0, to: 1 } });
    expect(flaws(factsOf(psiAlarm({ threshold: 20 })), drill)).toEqual([
      'threshold fail: Alarm psi-distance fires at 20, 100 times the intended 0.2 (tocsin.yaml:5): the metric never gets there at all.',
    ]);
  });

  test('rounding makes no difference', () => {
    expect(flaws(factsOf(psiAlarm({ threshold: 0.1 + 0.1 + 1e-13 })))).toEqual([]);
  });

  test('strictness, and where it decides', () => {
    const strict = psiAlarm({ comparison: 'GreaterThanThreshold' });
    const said = 'strictness fail: Alarm psi-distance fires at > 0.2, intended is >= 0.2 (tocsin.yaml:5)';
    expect(flaws(factsOf(strict))).toEqual([`${said}: a value of exactly 0.2 stays unnoticed.`]);
    const recent = [0.1, 0.2, 0.1].map((value, index) => ({ at: READ_AT - (3 - index) * 300_000, value }));
    expect(flaws(factsOf(strict, {}, { recent }))).toEqual([
      `${said}: a value of exactly 0.2 stays unnoticed, as 1 of the last 3 data points were.`,
    ]);
    expect(flaws(factsOf(strict, {}, { extremes: { min: 0, max: 0.2 } }))).toEqual([
      `${said}: a value of exactly 0.2 stays unnoticed, which samples have been.`,
    ]);
    expect(flaws(factsOf(psiAlarm()), intends({ fires: '> 0.2' }))).toEqual([
      'strictness fail: Alarm psi-distance fires at >= 0.2, intended is > 0.2 (tocsin.yaml:5): a value of exactly 0.2 rings for nothing.',
    ]);
  });
});

describe('what the statistic can be', () => {
  test('never beyond the threshold', () => {
    const alarm = psiAlarm({ comparison: 'GreaterThanThreshold', threshold: 1 });
    const drill = intends({ fires: '> 1', range: { from: 0, to: 1 } });
    expect(flaws(factsOf(alarm), drill)).toEqual([
      'range fail: Alarm psi-distance can never fire at > 1: the Average is from 0 to 1 (tocsin.yaml:7).',
    ]);
    expect(proveReachable(factsOf(alarm), drill).notChecked).toEqual([
      {
        subject: 'alarm psi-distance',
        check: 'timing',
        why: 'the metric is never on both sides of the intended threshold',
      },
    ]);
  });

  test('always beyond it, as a count of samples is', () => {
    expect(flaws(factsOf(statistic('SampleCount')))).toEqual([
      'range fail: Alarm psi-distance always rings at >= 0.2: the SampleCount is from 1 to Infinity (tocsin.yaml:5).',
    ]);
  });

  test('a count below 1 is seen by silence alone', () => {
    const change = { comparison: 'LessThanThreshold', threshold: 1 } as const;
    const drill = intends({ fires: '< 1', statistic: 'SampleCount' });
    expect(flaws(factsOf(statistic('SampleCount', { ...change, missingData: 'ignore' })), drill)).toEqual([
      'range fail: Alarm psi-distance can never fire at < 1: the SampleCount is from 1 to Infinity (tocsin.yaml:5).',
    ]);
    expect(passed(factsOf(statistic('SampleCount', change)), 'range', drill)).toBe(
      'Alarm psi-distance fires at < 1 by silence alone: a period without samples has no count, and missing data breaches.',
    );
  });

  test('a percentile of negative values is nothing', () => {
    const alarm = statistic('p50', { threshold: -2 });
    expect(flaws(factsOf(alarm), intends({ fires: '>= -2', range: { to: -1 } }))).toContain(
      'range fail: Alarm psi-distance can never fire at >= -2: the p50 of values below 0 is no number (tocsin.yaml:7).',
    );
  });

  test('metric math has the range that is said of it', () => {
    const alarm = math([{ id: 'e1', expression: 'm1 * 1' }, queryOf()], {
      comparison: 'GreaterThanThreshold',
      threshold: 1,
    });
    expect(flaws(factsOf(alarm), intends({ fires: '> 1', range: { to: 1 } }))).toEqual([
      'range fail: Alarm psi-distance can never fire at > 1: the expression is from -Infinity to 1 (tocsin.yaml:7).',
    ]);
  });

  test('doubts that the data raises', () => {
    const strict = { comparison: 'GreaterThanThreshold', threshold: 1 } as const;
    const drill = intends({ fires: '> 1' });
    expect(flaws(factsOf(psiAlarm(strict), {}, { extremes: { min: 0.2, max: 1 } }), drill)).toEqual([
      'range warn: Alarm psi-distance may never fire at > 1: the greatest of all samples is exactly 1.',
    ]);
    expect(
      flaws(
        factsOf(psiAlarm({ threshold: 5 }), {}, { extremes: { min: 0, max: 1 } }),
        intends({ fires: '>= 5' }),
      ),
    ).toEqual([
      'range warn: Alarm psi-distance may never fire at >= 5: all samples are from 0 to 1, and have been both.',
    ]);
    expect(flaws(factsOf(statistic('Sum'), {}, { typical: 0.5 }))).toEqual([
      'range warn: Alarm psi-distance rings now and may always do so: all of the last 36 data points are >= 0.2.',
    ]);
  });

  test('a statistic that hides what single samples show', () => {
    expect(flaws(factsOf(statistic('Minimum'), {}, { everyMs: MINUTE }))).toEqual([
      'statistic warn: Alarm psi-distance looks at the Minimum of about 5 samples a period: one healthy sample in each keeps it quiet.',
    ]);
    expect(
      flaws(factsOf(statistic('Minimum'), {}, { everyMs: MINUTE }), intends({ statistic: 'Minimum' })),
    ).toEqual([]);
    const down = statistic('Maximum', { comparison: 'LessThanThreshold', threshold: 0.8 });
    expect(
      flaws(factsOf(down, {}, { typical: 0.95, everyMs: MINUTE }), intends({ fires: '< 0.8' }))[0],
    ).toContain('statistic warn');
  });

  test('percentiles of few samples', () => {
    const p99 = (lowSamples: 'ignore' | 'evaluate', samplesPerPeriod: number) =>
      flaws(factsOf(statistic('p99', { lowSamples }), {}, { samplesPerPeriod }));
    expect(p99('ignore', 1000)).toEqual([]);
    expect(p99('ignore', 20)).toEqual([
      'low-samples fail: Alarm psi-distance never leaves its state: it ignores its p99 while there are fewer than 1,000 samples, and the metric has 20 samples a period.',
    ]);
    expect(p99('ignore', 500)).toEqual([
      'low-samples inconclusive: Alarm psi-distance may never leave its state: it ignores its p99 while there are fewer than 1,000 samples, the metric has 500 samples a period, and it is not documented whether those of all 3 periods count together.',
    ]);
    expect(p99('evaluate', 20)).toEqual([
      'low-samples warn: Alarm psi-distance judges the p99 of 20 samples a period: fewer than 1,000 make it about the greatest of them.',
    ]);
    expect(flaws(factsOf(statistic('p10'), {}, { samplesPerPeriod: 20 }))[0]).toContain(
      'about the least of them',
    );
  });
});

describe('the metric', () => {
  test('one that does not exist, nor anything like it', () => {
    const facts = factsOf(psiAlarm(), {}, { exists: false });
    expect(flaws(facts)).toEqual([
      'metric-exists fail: Alarm psi-distance never fires, as there is no metric ML/Drift/psi{Endpoint=churn-staging, Feature=distance}, nor one with a similar name.',
    ]);
    expect(proveReachable(facts, drillOf()).notChecked).toEqual([
      {
        subject: 'metric ML/Drift/psi{Endpoint=churn-staging, Feature=distance}',
        check: 'data',
        why: 'the metric does not exist',
      },
    ]);
  });

  test('all that differs from the intended one is named', () => {
    const metric = { namespace: 'Custom', name: 'ks', dimensions: { Endpoint: 'churn-staging', Model: 'a' } };
    const facts = factsOf(psiAlarm({ queries: [queryOf({ metric })] }), {}, { exists: false });
    expect(flaws(facts, intends({ metric: PSI }))).toEqual([
      'metric fail: Alarm psi-distance watches Custom/ks{Endpoint=churn-staging, Model=a}, which does not exist, and is meant to watch ML/Drift/psi{Endpoint=churn-staging, Feature=distance} (tocsin.yaml:7; it differs in namespace ML/Drift, metric name psi, dimension Feature=distance and no dimension Model): what the intended metric shows rings nobody.',
    ]);
    expect(helpOf(facts, intends({ metric: PSI }))).toContain('--namespace ML/Drift');
    const name = factsOf(psiAlarm({ queries: [queryOf({ metric: { ...PSI, name: 'ks' } })] }));
    expect(helpOf(name, intends({ metric: PSI }))).toContain('--metric-name psi');
  });

  test('in metric math every one of them', () => {
    const requests = { ...PSI, name: 'requests' };
    const alarm = math([
      { id: 'e1', expression: 'm1 / m2' },
      queryOf(),
      queryOf({ id: 'm2', metric: requests, statistic: 'Sum' }),
    ]);
    const facts = factsOf(alarm);
    facts.metrics.m2 = metricFacts(requests, { exists: false, near: [PSI] });
    expect(flaws(facts)[0]).toContain('there is no metric ML/Drift/requests{');
    expect(helpOf(facts)).toBe(
      "Set MetricName in --metrics of aws cloudwatch put-metric-alarm to psi, in CDK metricName: 'psi'.",
    );
    expect(flaws(facts, drillOf({ drive: 'm7' }))).toEqual([
      'driven fail: It is not known which metric drifts: alarm psi-distance reads no metric with the id "m7" (tocsin.yaml:7), but m1, m2.',
    ]);
  });

  test('without data, with old data, or not read', () => {
    const { newestAt: _, ...silent } = metricFacts(PSI, { recent: [] });
    expect(flaws(factsOf(psiAlarm(), { metrics: { m1: silent } }))).toEqual([
      'data fail: Alarm psi-distance has nothing to judge: ML/Drift/psi{Endpoint=churn-staging, Feature=distance} has had no data for two weeks.',
    ]);
    const old = factsOf(psiAlarm(), {}, { newestAt: READ_AT - 120 * MINUTE });
    const said =
      'Alarm psi-distance has nothing to judge now: the newest data of ML/Drift/psi{Endpoint=churn-staging, Feature=distance} is 2 h old, and it comes every 5 min';
    expect(flaws(old)).toEqual([`data warn: ${said}, as its data says.`]);
    expect(flaws(old, intends({ every: '5m' }))).toEqual([`data fail: ${said} (tocsin.yaml:7).`]);
    expect(proveReachable(factsOf(psiAlarm(), { metrics: {} }), drillOf()).notChecked).toEqual([
      {
        subject: 'metric ML/Drift/psi{Endpoint=churn-staging, Feature=distance}',
        check: 'data',
        why: 'nothing was read of it',
      },
    ]);
  });

  test('data of several units', () => {
    const alarm = psiAlarm({ queries: [queryOf({ unit: 'Percent' })] });
    const periods = { asked: 6, anyUnit: 36, lookBackMs: 180 * MINUTE };
    expect(flaws(factsOf(alarm, {}, { periods }))).toEqual([
      'unit warn: Alarm psi-distance does not see all values: it asks for data in Percent, and ML/Drift/psi{Endpoint=churn-staging, Feature=distance} has data in 36 periods of the last 3 h, of which 6 in Percent.',
    ]);
  });
});

describe('time', () => {
  test('what cannot be foretold', () => {
    const band = math([{ id: 'e1', expression: 'SORT(m1, AVG, DESC)' }, queryOf()]);
    expect(flaws(factsOf(band))[0]).toMatch(
      /^timing inconclusive: What alarm psi-distance does over time cannot be foretold: .+\.$/,
    );
    const constant = math([{ id: 'e1', expression: 'm1 * 0' }, queryOf()]);
    expect(flaws(factsOf(constant))).toEqual([
      'timing inconclusive: What alarm psi-distance does over time cannot be foretold: no samples make it see the intended values.',
    ]);
    const long = psiAlarm({ periodS: 60, evaluationPeriods: 1440, datapointsToAlarm: 3 });
    expect(flaws(factsOf(long, {}, { everyMs: MINUTE }))).toEqual([
      'timing inconclusive: What alarm psi-distance does over time cannot be foretold: its window of 1440 periods is too long to be simulated.',
    ]);
  });

  test('gaps whose reading is not documented', () => {
    const alarm = psiAlarm({
      periodS: 60,
      evaluationPeriods: 3,
      datapointsToAlarm: 1,
      missingData: 'missing',
      actions: { enabled: true, alarm: [ONCALL], ok: [], insufficientData: [ONCALL] },
    });
    expect(flaws(factsOf(alarm))).toEqual([
      'quiet inconclusive: Alarm psi-distance may go to INSUFFICIENT_DATA while the metric is healthy, as samples come every 5 min and not all periods of 1 min have one: how CloudWatch reads that is not documented.',
    ]);
    expect(helpOf(factsOf(alarm))).toContain('--period 300');
    const m = psiAlarm({ periodS: 60, evaluationPeriods: 4, datapointsToAlarm: 2, missingData: 'ignore' });
    const drill = intends({ every: '3m', whenSilent: 'OK' });
    expect(flaws(factsOf(m), drill)).toEqual([]);
    const loud = psiAlarm({
      periodS: 60,
      evaluationPeriods: 5,
      datapointsToAlarm: 2,
      missingData: 'notBreaching',
    });
    expect(flaws(factsOf(loud), intends({ whenSilent: 'OK' }))).toEqual([
      'timing inconclusive: Whether alarm psi-distance fires within 30 min (tocsin.yaml:6) depends on undocumented behaviour: how many data points CloudWatch reads beyond the evaluation periods.',
    ]);
  });

  test('an alarm that comes and goes while the drift stays', () => {
    const alarm = psiAlarm({
      periodS: 60,
      evaluationPeriods: 1,
      datapointsToAlarm: 1,
      missingData: 'notBreaching',
    });
    expect(flaws(factsOf(alarm), intends({ whenSilent: 'OK' }))).toEqual([
      'flapping warn: Alarm psi-distance leaves ALARM again and again while the metric stays beyond the threshold, as samples come every 5 min and its periods are 1 min.',
    ]);
  });

  test('the least change that mends it, or none', () => {
    const late = (change: Partial<MetricAlarm>, within: string, everyMs = 5 * MINUTE) => {
      const facts = factsOf(psiAlarm(change), {}, { everyMs });
      return [flaws(facts, intends({ within }))[0], helpOf(facts, intends({ within }))];
    };
    expect(late({ periodS: 60, evaluationPeriods: 60, datapointsToAlarm: 60 }, '12m', MINUTE)).toEqual([
      'timing fail: Alarm psi-distance fires 1 h after the metric crosses the intended threshold, intended is within 12 min (tocsin.yaml:6): 60 of 60 data points of 1 min have to breach.',
      'Set --datapoints-to-alarm 8 of aws cloudwatch put-metric-alarm, in CDK datapointsToAlarm: 8.',
    ]);
    expect(late({ periodS: 3600, evaluationPeriods: 3, datapointsToAlarm: 3 }, '3m')).toEqual([
      'timing fail: Alarm psi-distance fires 2.93 h after the metric crosses the intended threshold, intended is within 3 min (tocsin.yaml:6): it wants 3 of 3 data points of 1 h, and samples come every 5 min.',
      'No single setting mends it: choose period, evaluation periods and data points to alarm together, emit the metric more often, or allow more time.',
    ]);
  });

  test('in high resolution a period below a minute is a fix', () => {
    const alarm = psiAlarm({ periodS: 30, evaluationPeriods: 2, datapointsToAlarm: 2 });
    const facts = factsOf(alarm, {}, { everyMs: 10_000, periodS: 30 });
    expect(helpOf(facts, intends({ within: '40s' }))).toContain('--period 10 ');
  });

  test('math has its periods in its metrics', () => {
    const alarm = math([{ id: 'e1', expression: 'm1 * 1' }, queryOf()], {
      periodS: 3600,
      evaluationPeriods: 1,
      datapointsToAlarm: 1,
    });
    expect(helpOf(factsOf(alarm))).toBe(
      'Set Period in --metrics of aws cloudwatch put-metric-alarm to 900, in CDK period: Duration.seconds(900).',
    );
  });

  test('an alarm that rings in gaps has a finding of that alone', () => {
    const alarm = psiAlarm({ periodS: 60, evaluationPeriods: 1, datapointsToAlarm: 1 });
    const { findings, notChecked } = proveReachable(factsOf(alarm), intends({ within: '30s' }));
    expect(findings.filter(({ outcome }) => outcome !== 'pass').map(({ message }) => message)).toEqual([
      'Alarm psi-distance rings while the metric is healthy: it wants 1 data point of 1 min, samples come every 5 min, and missing data is treated as breaching.',
    ]);
    expect(notChecked).toEqual([
      {
        subject: 'alarm psi-distance',
        check: 'timing',
        why: 'the alarm does not stay OK while the metric is healthy',
      },
    ]);
  });
});

describe('silence', () => {
  test('ends in the wrong state', () => {
    expect(flaws(factsOf(psiAlarm({ missingData: 'missing' })), intends({ whenSilent: 'ALARM' }))).toEqual([
      'missing-data fail: Alarm psi-distance goes to INSUFFICIENT_DATA within 31 min of the last sample of a metric that falls silent, as it treats missing data as missing, intended is ALARM (tocsin.yaml:7).',
    ]);
    const quiet = intends({ whenSilent: 'OK' });
    expect(flaws(factsOf(), quiet)).toEqual([
      'missing-data fail: Alarm psi-distance goes to ALARM within 26 min of the last sample of a metric that falls silent, as it treats missing data as breaching, intended is OK (tocsin.yaml:7).',
    ]);
    expect(helpOf(factsOf(), quiet)).toContain('--treat-missing-data notBreaching');
  });

  test('that metric math fills needs an alarm of its own', () => {
    const alarm = math([{ id: 'e1', expression: 'FILL(m1, 0)' }, queryOf()]);
    expect(flaws(factsOf(alarm))).toHaveLength(1);
    expect(helpOf(factsOf(alarm))).toBe(
      'Watch for silence with an alarm of its own: SampleCount < 1, with missing data breaching.',
    );
  });

  test('of which nobody is told', () => {
    const alarm = psiAlarm({ missingData: 'missing' });
    expect(flaws(factsOf(alarm))).toEqual([
      'silence-told warn: Alarm psi-distance goes to INSUFFICIENT_DATA when its metric falls silent, and nobody is told of that state.',
    ]);
    const parents = [compositeAlarm('ml-red', 'ALARM("psi-distance") OR INSUFFICIENT_DATA("psi-distance")')];
    expect(flaws(factsOf(alarm, { parents }))).toEqual([]);
  });
});

describe('who is told', () => {
  const silent = psiAlarm({ actions: { enabled: true, alarm: [], ok: [], insufficientData: [] } });
  const through = (rule: string, others: Facts['others'] = {}, change = {}) =>
    factsOf(silent, { parents: [compositeAlarm('ml-red', rule, change)], others });

  test('a mute rule', () => {
    const mutes = [{ name: 'quiet-nights', active: true, until: READ_AT + 3_600_000 }];
    expect(flaws(factsOf(psiAlarm(), { mutes }))).toEqual([
      'mute fail: Alarm psi-distance tells nobody until 2026-01-15T04:00:00Z, as mute rule quiet-nights holds its actions back.',
    ]);
    expect(flaws(factsOf(psiAlarm(), { mutes: [{ name: 'always', active: true }] }))).toEqual([
      'mute fail: Alarm psi-distance tells nobody, as mute rule always holds its actions back.',
    ]);
  });

  const masked: [string, Facts, string][] = [
    [
      'its actions are disabled',
      through(
        'ALARM("psi-distance")',
        {},
        { actions: { enabled: false, alarm: [ONCALL], ok: [], insufficientData: [] } },
      ),
      'fail: Alarm psi-distance tells nobody: composite alarm ml-red, which has the actions, has its actions disabled.',
    ],
    [
      'it wants another one too',
      through('ALARM("psi-distance") AND ALARM("revenue")', { revenue: 'OK' }),
      'fail: Alarm psi-distance tells nobody: composite alarm ml-red, which has the actions, is masked, as revenue is OK: its rule is ALARM("psi-distance") AND ALARM("revenue").',
    ],
    [
      'it wants one that does not exist',
      through('ALARM("psi-distance") AND ALARM("revenue")', { revenue: null }),
      'fail: Alarm psi-distance tells nobody: composite alarm ml-red, which has the actions, is masked, as there is no alarm revenue: its rule is ALARM("psi-distance") AND ALARM("revenue").',
    ],
    [
      'it wants one whose state was not read',
      through('ALARM("psi-distance") AND ALARM("revenue")'),
      'inconclusive: Alarm psi-distance may tell nobody: composite alarm ml-red, which has the actions, hangs on revenue, of which the state is not known: its rule is ALARM("psi-distance") AND ALARM("revenue").',
    ],
    [
      'it wants the alarm in another state',
      through('OK("psi-distance") AND ALARM("revenue")', { revenue: 'OK' }),
      'fail: Alarm psi-distance tells nobody: composite alarm ml-red, which has the actions, is not in ALARM by it whatever the others are in: its rule is OK("psi-distance") AND ALARM("revenue").',
    ],
    [
      'it is in ALARM already',
      through('ALARM("psi-distance") OR ALARM("revenue")', { revenue: 'ALARM' }, { state: 'ALARM' }),
      'inconclusive: Alarm psi-distance may tell nobody: composite alarm ml-red, which has the actions, is in ALARM already for another reason, so that one more makes no difference.',
    ],
    [
      'its rule cannot be read',
      through('ALARM("psi-distance'),
      'inconclusive: Alarm psi-distance may tell nobody: composite alarm ml-red, which has the actions, has a rule that cannot be read, ALARM("psi-distance.',
    ],
    [
      'it is above one that does not fire',
      factsOf(silent, {
        parents: [
          compositeAlarm('ml-red', 'ALARM("psi-distance") AND ALARM("revenue")', {
            actions: { enabled: true, alarm: [], ok: [], insufficientData: [] },
          }),
          compositeAlarm('all-red', 'ALARM("ml-red")'),
        ],
        others: { revenue: 'OK' },
      }),
      'fail: Alarm psi-distance tells nobody: composite alarm all-red, which has the actions, hangs on others that do not fire.',
    ],
  ];
  test.each(masked)('a composite alarm alone, and %s', (_, facts, expected) => {
    expect(flaws(facts)).toEqual([`composite ${expected}`]);
  });

  test('a composite alarm whose rule is too hard to judge', () => {
    const names = Array.from({ length: 12 }, (_, index) => `a${index}`);
    const twice = names.map((name) => `(ALARM("${name}") AND NOT OK("${name}"))`).join(' OR ');
    const others = Object.fromEntries(names.map((name) => [name, 'OK' as const]));
    expect(flaws(through(`ALARM("psi-distance") AND (${twice})`, others))[0]).toMatch(
      /^composite inconclusive: .+ has a rule that is too hard to judge, /,
    );
  });

  test('composite alarms that name each other by ARN, in whatever order they were read', () => {
    const parents = [
      compositeAlarm('all-red', `ALARM(${alarmArn('ml-red')})`),
      compositeAlarm('ml-red', 'ALARM("psi-distance")', {
        actions: { enabled: true, alarm: [], ok: [], insufficientData: [] },
      }),
    ];
    expect(flaws(factsOf(silent, { parents }))).toEqual([]);
    expect(passed(factsOf(silent, { parents }), 'actions')).toBe(
      'ALARM of psi-distance is told to ml-oncall through composite alarm all-red.',
    );
  });

  test('nobody, as far as could be read', () => {
    const unread = [{ what: 'composite alarms above it', why: 'AccessDenied.' }];
    expect(flaws(factsOf(silent, { unread }))).toEqual([
      'actions inconclusive: Alarm psi-distance may tell nobody: it has no action for ALARM.',
      'unread inconclusive: It is not known whether alarm psi-distance works, as composite alarms above it could not be read: AccessDenied.',
    ]);
    const parents = [
      compositeAlarm('ml-red', 'ALARM("psi-distance")', {
        actions: { enabled: true, alarm: [], ok: [], insufficientData: [] },
      }),
    ];
    expect(flaws(factsOf(silent, { parents }))).toEqual([
      'actions fail: Alarm psi-distance tells nobody: it has no action for ALARM, nor has a composite alarm above it.',
    ]);
  });
});

describe('targets', () => {
  const topic = (change: Parameters<typeof snsTopic>[1]) =>
    flaws(factsOf(psiAlarm(), { actions: { [ONCALL]: snsTopic(ONCALL, change) } }));
  const toFunction = (change: Partial<Extract<ActionFacts, { kind: 'lambda' }>>) =>
    factsOf(psiAlarm({ actions: { enabled: true, alarm: [FUNCTION], ok: [], insufficientData: [] } }), {
      actions: { [FUNCTION]: { kind: 'lambda', arn: FUNCTION, exists: true, ...change } },
    });

  test('a topic that does not exist, or that CloudWatch may not use', () => {
    expect(topic({ exists: false })).toEqual([
      'target fail: Alarm psi-distance tells ml-oncall, which does not exist: CloudWatch does not say so.',
    ]);
    const why = 'the policy lets only 111122223333 do sns:Publish, not cloudwatch.amazonaws.com';
    expect(topic({ publish: { verdict: 'denied', why } })).toEqual([
      `publish fail: What alarm psi-distance tells topic ml-oncall is lost: ${why}.`,
    ]);
    expect(topic({ publish: { verdict: 'unclear', why } })).toEqual([
      `publish inconclusive: Whether CloudWatch may publish to topic ml-oncall is not clear: ${why}.`,
    ]);
    expect(
      topic({ key: { id: 'alias/aws/sns', verdict: 'denied', why: 'CloudWatch may not use it' } }),
    ).toEqual([
      'key fail: What alarm psi-distance tells topic ml-oncall is lost, as CloudWatch cannot use its key alias/aws/sns: CloudWatch may not use it.',
    ]);
  });

  test('a function', () => {
    expect(flaws(toFunction({ invoke: { verdict: 'denied', why: 'it has no policy' } }))).toEqual([
      'invoke fail: Alarm psi-distance cannot invoke function page: it has no policy.',
    ]);
    expect(proveReachable(toFunction({}), drillOf()).notChecked).toEqual([
      { subject: 'action page', check: 'invoke', why: 'its permissions were not read' },
    ]);
  });

  test('what nobody can look at, or nobody read', () => {
    const arn = 'arn:aws:ssm:eu-central-1:111122223333:opsitem:2';
    const other = 'arn:aws:sns:eu-central-1:999988887777:theirs';
    const alarm = psiAlarm({
      actions: { enabled: true, alarm: [ONCALL, arn, other], ok: [], insufficientData: [] },
    });
    const facts = factsOf(alarm);
    delete facts.actions[other];
    expect(proveReachable(facts, drillOf()).notChecked).toEqual([
      { subject: 'action ssm:opsitem:2', check: 'target', why: 'nothing here can look at it' },
      { subject: 'action theirs', check: 'target', why: 'nothing was read of it' },
    ]);
  });

  const filters: [string, boolean, object | string][] = [
    ['an attribute', false, { severity: ['high'] }],
    ['an attribute that is not there', true, { severity: [{ exists: false }] }],
    ['another alarm', false, { AlarmName: ['latency'] }],
    ['alarms with a prefix', true, { AlarmName: [{ prefix: 'psi-' }], NewStateValue: ['ALARM'] }],
    ['alarms with another suffix', false, { AlarmName: [{ suffix: '-price' }] }],
    ['all but OK', true, { NewStateValue: [{ 'anything-but': 'OK' }] }],
    ['the state in any case', true, { NewStateValue: [{ 'equals-ignore-case': 'alarm' }] }],
    ['what cannot be told', true, { AlarmName: [{ wildcard: 'x*' }] }],
    ['a list of what it is not', true, { NewStateValue: [{ 'anything-but': ['OK'] }] }],
    ['a part of the body', true, { Trigger: { MetricName: ['psi'] } }],
    ['alternatives', true, { $or: [{ a: ['b'] }, { c: ['d'] }] }],
    ['what is no filter', true, 'no filter'],
  ];
  test.each(filters)('a filter on %s: passes %s', (_, passes, filter) => {
    const subscriptions = [
      {
        protocol: 'email',
        endpoint: 'o***@example.com',
        pending: false,
        filter: typeof filter === 'string' ? filter : JSON.stringify(filter),
      },
    ];
    expect(topic({ subscriptions })).toEqual(
      passes
        ? []
        : [
            'subscribers warn: Topic ml-oncall seems to reach nobody: the filter of email o***@example.com drops notifications of alarm psi-distance.',
          ],
    );
  });
});

describe('deployments that the alarm rolls back', () => {
  const drill = intends({ guards: 'churn' });
  const guarding = (change: Partial<NonNullable<Facts['guardrail']>>, facts: Partial<Facts> = {}) =>
    factsOf(psiAlarm(), {
      guardrail: { endpoint: 'churn', exists: true, alarms: ['psi-distance'], ...change },
      ...facts,
    });

  test('no such endpoint, another alarm, none', () => {
    expect(flaws(guarding({ exists: false }), drill)).toEqual([
      'guardrail fail: Alarm psi-distance guards endpoint churn (tocsin.yaml:7), which does not exist.',
    ]);
    expect(flaws(guarding({ alarms: ['latency'] }), drill)).toEqual([
      'guardrail fail: Alarm psi-distance does not roll back deployments of endpoint churn (tocsin.yaml:7): its last deployment watched only latency.',
    ]);
    expect(flaws(guarding({ alarms: [] }), drill)[0]).toContain('its last deployment watched no alarm.');
  });

  test('a deployment that is over before the alarm fires', () => {
    expect(flaws(guarding({ bakeMs: 5 * MINUTE }), drill)).toEqual([
      'bake-time fail: A bad deployment to endpoint churn is complete before anybody knows: new capacity is watched for 5 min, and alarm psi-distance fires up to 6 min after a bad model begins to show.',
    ]);
    expect(helpOf(guarding({ bakeMs: 5 * MINUTE }), drill)).toContain('at least 360 s in all');
  });

  test('through a composite alarm', () => {
    const parents = [compositeAlarm('ml-red', 'ALARM("psi-distance")')];
    expect(flaws(guarding({ alarms: ['ml-red'], bakeMs: 30 * MINUTE }, { parents }), drill)).toEqual([]);
  });

  test('what is not known', () => {
    const why = (facts: Facts) => proveReachable(facts, drill).notChecked.map((one) => one.why);
    expect(why(factsOf())).toEqual(['the endpoint was not read']);
    expect(why(guarding({}))).toEqual(['its last deployment does not say how long new capacity is watched']);
    const late = factsOf(psiAlarm({ periodS: 3600 }), { guardrail: guarding({ bakeMs: 1 }).guardrail! });
    expect(why(late)).toEqual(['it is not known when the alarm fires']);
  });
});

describe('properties', () => {
  const anyAlarm = fc
    .record({
      periodS: fc.constantFrom(60, 120, 300, 600),
      evaluationPeriods: fc.integer({ min: 1, max: 6 }),
      share: fc.double({ min: 0, max: 1, noNaN: true }),
      missingData: fc.constantFrom(...MISSING_DATA),
      statistic: fc.constantFrom('Average', 'Maximum', 'Minimum', 'Sum', 'p90'),
    })
    .map(({ share, statistic, ...alarm }) => ({
      ...alarm,
      datapointsToAlarm: 1 + Math.floor(share * (alarm.evaluationPeriods - 1)),
      queries: [queryOf({ statistic })],
    }));
  const anyEvery = fc.constantFrom(MINUTE, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE);
  const outcomeOf = (facts: Facts, drill: LocatedDrill, check: string) =>
    proveReachable(facts, drill).findings.find((finding) => finding.check === check)?.outcome;

  test('what is foretold of an alarm is what it does, at any moment that drift may begin', () => {
    const seen = { pass: 0, fail: 0 };
    fc.assert(
      fc.property(
        anyAlarm,
        anyEvery,
        fc.integer({ min: 0, max: 59_999 }),
        fc.integer({ min: 1, max: 20 }),
        (change, every, phase, minutes) => {
          const alarm = psiAlarm(change);
          const single =
            (change.queries[0]!.statistic === 'Sum' ? Math.max(1, (alarm.periodS * 1000) / every) : 1) ** -1;
          fc.pre(Number.isInteger(1 / single));
          const drill = intends({ within: `${minutes}m`, every: `${every / MINUTE}m` });
          const outcome = outcomeOf(factsOf(alarm), drill, 'timing');
          if (outcome !== 'pass' && outcome !== 'fail') return;
          const samples = Array.from({ length: 400 }, (_, index) => ({
            at: phase + (index - 200) * every,
            value: (index < 200 ? 0.05 : 0.21) * single,
          }));
          const until = phase + minutes * MINUTE;
          const states = simulate(alarm, { m1: samples }, { from: phase, to: until, initial: 'OK' });
          const fired = states.some(({ state }) => state === 'ALARM');
          // What is late at the worst moment may be in time at a better one, by less than an evaluation.
          if (outcome === 'pass') expect(fired).toBe(true);
          else if (fired) expect(states.findIndex(({ state }) => state === 'ALARM')).toBe(states.length - 1);
          seen[outcome]++;
        },
      ),
      { numRuns: 400, seed: 4 },
    );
    expect(seen.pass).toBeGreaterThan(30);
    expect(seen.fail).toBeGreaterThan(30);
  });

  test('more time never makes an alarm late', () => {
    fc.assert(
      fc.property(anyAlarm, anyEvery, fc.integer({ min: 1, max: 60 }), (change, every, minutes) => {
        const facts = factsOf(psiAlarm(change), {}, { everyMs: every });
        const rank = ['fail', 'inconclusive', 'pass', undefined];
        const [sooner, later] = [minutes, 2 * minutes].map((within) =>
          rank.indexOf(outcomeOf(facts, intends({ within: `${within}m` }), 'timing')),
        );
        expect(later).toBeGreaterThanOrEqual(sooner!);
      }),
      { numRuns: 60, seed: 4 },
    );
  });

  test('every fix that is one setting of time mends the alarm', () => {
    const settings: Record<string, keyof MetricAlarm> = {
      period: 'periodS',
      'evaluation-periods': 'evaluationPeriods',
      'datapoints-to-alarm': 'datapointsToAlarm',
      'treat-missing-data': 'missingData',
    };
    let mended = 0;
    fc.assert(
      fc.property(anyAlarm, anyEvery, (change, every) => {
        const alarm = psiAlarm(change);
        const drill = intends({ every: `${every / MINUTE}m`, within: '15m' });
        const { findings } = proveReachable(factsOf(alarm), drill);
        const bad = findings.find(
          ({ check, outcome }) => outcome === 'fail' && (check === 'quiet' || check === 'timing'),
        );
        for (const [, option, value] of bad?.help?.matchAll(/--([\w-]+) (\w+)/g) ?? []) {
          const number = Number(value);
          const fixed = { ...alarm, [settings[option!]!]: Number.isNaN(number) ? value : number };
          expect(outcomeOf(factsOf(fixed), drill, 'timing')).toBe('pass');
          mended++;
        }
      }),
      { numRuns: 120, seed: 4 },
    );
    expect(mended).toBeGreaterThan(30);
  });

  test('findings are sentences, and the same each time', () => {
    fc.assert(
      fc.property(
        anyAlarm,
        anyEvery,
        fc.constantFrom('GreaterThanThreshold', 'LessThanOrEqualToThreshold'),
        (change, every, comparison) => {
          const facts = factsOf(psiAlarm({ ...change, comparison }), {}, { everyMs: every });
          const proof = proveReachable(facts, drillOf());
          expect(proveReachable(structuredClone(facts), drillOf())).toEqual(proof);
          for (const { message, outcome, help } of proof.findings) {
            expect(message).toMatch(/^[A-Z].+[^.]\.$/);
            expect(message).not.toMatch(/undefined|NaN|null/);
            if (outcome !== 'pass') expect(help).toMatch(/^[A-Z].+\.$/);
          }
        },
      ),
      { numRuns: 60, seed: 4 },
    );
  });
});
