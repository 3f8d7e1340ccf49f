import { describe, expect, test } from 'vitest';
import type { MetricAlarm, MetricName } from '../../../functions/alarm-drill/alarm.ts';
import type { Facts } from '../../../functions/alarm-drill/measurements.ts';
import { proveReachable } from '../../../functions/alarm-drill/reachability.ts';
import type { LocatedDrill } from '../../../functions/alarm-drill/schema.ts';
import {
  alarmArn,
  compositeAlarm,
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
  topicArn,
} from '../../support/alarm-facts.ts';

/** What is not right, as a reader sees it: the check, its outcome, the sentence, the fix. */
function textOf(facts: Facts, drill: LocatedDrill): string {
  return flawsOf(facts, drill)
    .map(({ check, outcome, message, help }) => `${check} ${outcome}\n${message}\n${help}`)
    .join('\n\n');
}

function only(flaws: string): string {
  expect(flaws.split('\n\n')).toHaveLength(1);
  expect(flaws).toMatch(/^\S+ fail\n[A-Z].*[^.]\.\n[A-Z].*\.$/s);
  return flaws;
}

/** The alarm on drift of one feature, changed in one respect. */
function mistaken(change: Partial<MetricAlarm>, facts: Partial<Facts> = {}): string {
  return only(textOf(factsOf(psiAlarm(change), facts), drillOf()));
}

const INTENDED = { fires: '>= 0.2', within: '30m' };

describe('15 kinds of mistakes: one finding each, in one sentence, with the fix', () => {
  test('the threshold is 5 times the intended one', () => {
    expect(mistaken({ threshold: 1 })).toMatchInlineSnapshot(`
      "threshold fail
      Alarm psi-distance fires at 1, 5 times the intended 0.2 (tocsin.yaml:5): values from 0.2 to 1 ring nobody.
      Set --threshold 0.2 of aws cloudwatch put-metric-alarm, in CDK threshold: 0.2."
    `);
  });

  test('wrong direction', () => {
    expect(mistaken({ comparison: 'LessThanOrEqualToThreshold' })).toMatchInlineSnapshot(`
      "direction fail
      Alarm psi-distance fires at <= 0.2, intended is >= 0.2 (tocsin.yaml:5): it rings while the metric is healthy, and is quiet when it rises.
      Set --comparison-operator GreaterThanOrEqualToThreshold of aws cloudwatch put-metric-alarm, in CDK comparisonOperator: ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD."
    `);
  });

  test('> for >= at a discrete boundary', () => {
    const alarm = psiAlarm({
      queries: [queryOf({ statistic: 'Sum' })],
      comparison: 'GreaterThanThreshold',
      threshold: 5,
    });
    const drill = drillOf({
      intended: { fires: '>= 5', within: '30m', statistic: 'Sum', step: 1, range: { from: 0 } },
    });
    expect(only(textOf(factsOf(alarm, {}, { typical: 1 }), drill))).toMatchInlineSnapshot(`
      "strictness fail
      Alarm psi-distance fires at > 5, intended is >= 5 (tocsin.yaml:5): a value of exactly 5 stays unnoticed, which it often is, as values are whole multiples of 1.
      Set --comparison-operator GreaterThanOrEqualToThreshold of aws cloudwatch put-metric-alarm, in CDK comparisonOperator: ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD."
    `);
  });

  test('wrong statistic', () => {
    const drill = drillOf({ intended: { ...INTENDED, statistic: 'Maximum' } });
    const facts = factsOf(psiAlarm({ queries: [queryOf({ statistic: 'SampleCount' })] }));
    expect(only(textOf(facts, drill))).toMatchInlineSnapshot(`
      "statistic fail
      Alarm psi-distance looks at the SampleCount of each period, intended is the Maximum (tocsin.yaml:7): its threshold is held against another number.
      Set --statistic Maximum of aws cloudwatch put-metric-alarm, in CDK statistic: 'Maximum'."
    `);
  });

  test('wrong dimension', () => {
    const metric: MetricName = { ...PSI, dimensions: { Endpoint: 'churn-staging' } };
    const facts = factsOf(psiAlarm({ queries: [queryOf({ metric })] }), {}, { exists: false, near: [PSI] });
    expect(only(textOf(facts, drillOf()))).toMatchInlineSnapshot(`
      "metric-exists fail
      Alarm psi-distance never fires, as there is no metric ML/Drift/psi{Endpoint=churn-staging}; there is ML/Drift/psi{Endpoint=churn-staging, Feature=distance}.
      Set --dimensions Name=Endpoint,Value=churn-staging Name=Feature,Value=distance of aws cloudwatch put-metric-alarm, in CDK dimensionsMap: { Endpoint: 'churn-staging', Feature: 'distance' }."
    `);
  });

  test('wrong dimension, where the drill says which is meant', () => {
    const metric: MetricName = { ...PSI, dimensions: { Endpoint: 'churn-staging', Feature: 'price' } };
    const facts = factsOf(psiAlarm({ queries: [queryOf({ metric })] }));
    const drill = drillOf({ intended: { ...INTENDED, metric: PSI } });
    expect(only(textOf(facts, drill))).toMatchInlineSnapshot(`
      "metric fail
      Alarm psi-distance watches ML/Drift/psi{Endpoint=churn-staging, Feature=price}, and is meant to watch ML/Drift/psi{Endpoint=churn-staging, Feature=distance} (tocsin.yaml:7; it differs in dimension Feature=distance): what the intended metric shows rings nobody.
      Set --dimensions Name=Endpoint,Value=churn-staging Name=Feature,Value=distance of aws cloudwatch put-metric-alarm, in CDK dimensionsMap: { Endpoint: 'churn-staging', Feature: 'distance' }."
    `);
  });

  test('wrong namespace', () => {
    const metric: MetricName = { ...PSI, namespace: 'Ml/Drift' };
    const facts = factsOf(psiAlarm({ queries: [queryOf({ metric })] }), {}, { exists: false, near: [PSI] });
    expect(only(textOf(facts, drillOf()))).toMatchInlineSnapshot(`
      "metric-exists fail
      Alarm psi-distance never fires, as there is no metric Ml/Drift/psi{Endpoint=churn-staging, Feature=distance}; there is ML/Drift/psi{Endpoint=churn-staging, Feature=distance}.
      Set --namespace ML/Drift of aws cloudwatch put-metric-alarm, in CDK namespace: 'ML/Drift'."
    `);
  });

  test('wrong unit', () => {
    const facts = factsOf(
      psiAlarm({ queries: [queryOf({ unit: 'Percent' })] }),
      {},
      { periods: { asked: 0, anyUnit: 36, lookBackMs: 3 * 3_600_000 } },
    );
    expect(only(textOf(facts, drillOf()))).toMatchInlineSnapshot(`
      "unit fail
      Alarm psi-distance never sees a value: it asks for data in Percent, and ML/Drift/psi{Endpoint=churn-staging, Feature=distance} has data in 36 periods of the last 3 h, none of it in Percent.
      Leave --unit out of aws cloudwatch put-metric-alarm, in CDK unit: any unit counts then. Or emit the metric in Percent."
    `);
  });

  test('period too long', () => {
    expect(mistaken({ periodS: 3600, evaluationPeriods: 1, datapointsToAlarm: 1 })).toMatchInlineSnapshot(`
      "timing fail
      Alarm psi-distance fires 56 min after the metric crosses the intended threshold, intended is within 30 min (tocsin.yaml:6): its period of 1 h is too long.
      Set --period 900 of aws cloudwatch put-metric-alarm, in CDK period: Duration.seconds(900)."
    `);
  });

  test('M too high', () => {
    expect(mistaken({ evaluationPeriods: 12, datapointsToAlarm: 12 })).toMatchInlineSnapshot(`
      "timing fail
      Alarm psi-distance fires 56 min after the metric crosses the intended threshold, intended is within 30 min (tocsin.yaml:6): 12 of 12 data points of 5 min have to breach.
      Set --datapoints-to-alarm 5 of aws cloudwatch put-metric-alarm, in CDK datapointsToAlarm: 5. Or: Set --period 60 of aws cloudwatch put-metric-alarm, in CDK period: Duration.seconds(60)."
    `);
  });

  test('M higher than there are samples in the window', () => {
    const alarm = psiAlarm({
      periodS: 60,
      evaluationPeriods: 5,
      datapointsToAlarm: 3,
      missingData: 'notBreaching',
    });
    const drill = drillOf({ intended: { ...INTENDED, whenSilent: 'OK' } });
    expect(only(textOf(factsOf(alarm), drill))).toMatchInlineSnapshot(`
      "timing fail
      Alarm psi-distance never fires just over the intended threshold, intended is within 30 min (tocsin.yaml:6): it wants 3 data points within 5 periods of 1 min, and samples come every 5 min.
      Set --evaluation-periods 11 of aws cloudwatch put-metric-alarm, in CDK evaluationPeriods: 11. Or: Set --period 180 of aws cloudwatch put-metric-alarm, in CDK period: Duration.seconds(180)."
    `);
  });

  test('periods shorter than the distance of samples', () => {
    expect(mistaken({ periodS: 60, evaluationPeriods: 1, datapointsToAlarm: 1 })).toMatchInlineSnapshot(`
      "quiet fail
      Alarm psi-distance rings while the metric is healthy: its periods of 1 min are too short, as samples come every 5 min.
      Set --period 300 of aws cloudwatch put-metric-alarm, in CDK period: Duration.seconds(300)."
    `);
  });

  test('missing data is taken for healthy', () => {
    expect(mistaken({ missingData: 'notBreaching' })).toMatchInlineSnapshot(`
      "missing-data fail
      Alarm psi-distance stays OK after the last sample of a metric that falls silent, as it treats missing data as notBreaching, intended is any state but OK (tocsin.yaml:4): a dead emitter looks healthy.
      Set --treat-missing-data breaching of aws cloudwatch put-metric-alarm, in CDK treatMissingData: TreatMissingData.BREACHING."
    `);
  });

  test('missing data keeps the state', () => {
    expect(mistaken({ missingData: 'ignore' })).toMatchInlineSnapshot(`
      "missing-data fail
      Alarm psi-distance stays OK after the last sample of a metric that falls silent, as it treats missing data as ignore, intended is any state but OK (tocsin.yaml:4): a dead emitter looks healthy.
      Set --treat-missing-data breaching of aws cloudwatch put-metric-alarm, in CDK treatMissingData: TreatMissingData.BREACHING."
    `);
  });

  test('actions disabled', () => {
    expect(
      mistaken({ actions: { enabled: false, alarm: [ONCALL], ok: [], insufficientData: [] } }),
    ).toMatchInlineSnapshot(`
      "actions-enabled fail
      Alarm psi-distance tells nobody, as its actions are disabled: ml-oncall would be told.
      Enable them: aws cloudwatch enable-alarm-actions --alarm-names psi-distance, in CDK actionsEnabled: true."
    `);
  });

  test('no action', () => {
    expect(
      mistaken({ actions: { enabled: true, alarm: [], ok: [ONCALL], insufficientData: [] } }),
    ).toMatchInlineSnapshot(`
      "actions fail
      Alarm psi-distance tells nobody: it has no action for ALARM.
      Add the topic of those on call: --alarm-actions of aws cloudwatch put-metric-alarm, in CDK alarm.addAlarmAction(new SnsAction(topic))."
    `);
  });

  test('no subscriber', () => {
    expect(
      mistaken({}, { actions: { [ONCALL]: snsTopic(ONCALL, { subscriptions: [] }) } }),
    ).toMatchInlineSnapshot(`
      "subscribers fail
      Topic ml-oncall has no subscription, so what alarm psi-distance tells it reaches nobody.
      Subscribe those on call: aws sns subscribe --topic-arn arn:aws:sns:eu-central-1:111122223333:ml-oncall, in CDK topic.addSubscription(new EmailSubscription(address))."
    `);
  });

  test('pending subscriber', () => {
    const subscriptions = [{ protocol: 'email', endpoint: 'o***@example.com', pending: true }];
    expect(
      mistaken({}, { actions: { [ONCALL]: snsTopic(ONCALL, { subscriptions }) } }),
    ).toMatchInlineSnapshot(`
      "subscribers fail
      Topic ml-oncall reaches nobody: email o***@example.com never confirmed the subscription, so what alarm psi-distance tells it is lost.
      Follow the link in the confirmation message, or subscribe again to get a new one: aws sns subscribe."
    `);
  });

  test('a composite alarm that masks', () => {
    const alarm = psiAlarm({ actions: { enabled: true, alarm: [], ok: [], insufficientData: [] } });
    const parents = [compositeAlarm('ml-red', 'ALARM("psi-distance") AND NOT ALARM("deployment-runs")')];
    const others = { 'deployment-runs': 'ALARM' } as const;
    expect(only(textOf(factsOf(alarm, { parents, others }), drillOf()))).toMatchInlineSnapshot(`
      "composite fail
      Alarm psi-distance tells nobody: composite alarm ml-red, which has the actions, is masked, as deployment-runs is in ALARM: its rule is ALARM("psi-distance") AND NOT ALARM("deployment-runs").
      Give psi-distance an action of its own, or correct the rule of ml-red so that ALARM("psi-distance") is enough, or see to deployment-runs."
    `);
  });

  test('a composite alarm that is suppressed', () => {
    const alarm = psiAlarm({ actions: { enabled: true, alarm: [], ok: [], insufficientData: [] } });
    const suppressor = { alarm: alarmArn('maintenance'), waitS: 60, extensionS: 60 };
    const parents = [compositeAlarm('ml-red', 'ALARM("psi-distance")', { suppressor })];
    const others = { maintenance: 'ALARM' } as const;
    expect(only(textOf(factsOf(alarm, { parents, others }), drillOf()))).toMatchInlineSnapshot(`
      "composite fail
      Alarm psi-distance tells nobody: composite alarm ml-red, which has the actions, holds them back while its suppressor maintenance is in ALARM.
      Find out why maintenance is in ALARM, or correct ActionsSuppressor of ml-red."
    `);
  });
});

describe('correct configurations: nothing is flagged', () => {
  const MINUTE = 60_000;
  const single = (statistic: string, change: Partial<MetricAlarm> = {}) =>
    psiAlarm({ queries: [queryOf({ statistic })], ...change });
  const told = (change: Partial<MetricAlarm['actions']> = {}) => ({
    enabled: true,
    alarm: [ONCALL],
    ok: [],
    insufficientData: [],
    ...change,
  });

  const correct: [string, Facts, LocatedDrill][] = [
    ['2 of 3 averages', factsOf(), drillOf()],
    [
      'everything said',
      factsOf(),
      drillOf({
        intended: {
          ...INTENDED,
          metric: PSI,
          statistic: 'Average',
          every: '5m',
          range: { from: 0 },
          whenSilent: 'ALARM',
        },
      }),
    ],
    [
      '1 of 1 maximum each minute',
      factsOf(
        single('Maximum', { periodS: 60, evaluationPeriods: 1, datapointsToAlarm: 1 }),
        {},
        { everyMs: MINUTE },
      ),
      drillOf({ intended: { fires: '>= 0.2', within: '3m' } }),
    ],
    [
      'strictly greater, hourly, several samples a period',
      factsOf(
        single('Average', {
          periodS: 3600,
          evaluationPeriods: 2,
          datapointsToAlarm: 1,
          comparison: 'GreaterThanThreshold',
        }),
        {},
        { everyMs: 5 * MINUTE },
      ),
      drillOf({ intended: { fires: '> 0.2', within: '2h' } }),
    ],
    [
      'daily, for a batch job',
      factsOf(
        single('Maximum', { periodS: 86_400, evaluationPeriods: 1, datapointsToAlarm: 1 }),
        {},
        { everyMs: 1440 * MINUTE },
      ),
      drillOf({ intended: { fires: '>= 0.2', within: '1h', every: '1d' } }),
    ],
    [
      'a sum of counts, of which missing ones are none',
      factsOf(
        single('Sum', { threshold: 10, missingData: 'notBreaching' }),
        {},
        { typical: 1, everyMs: MINUTE },
      ),
      drillOf({
        intended: {
          fires: '>= 10',
          within: '15m',
          statistic: 'Sum',
          step: 1,
          range: { from: 0 },
          whenSilent: 'OK',
        },
      }),
    ],
    [
      'a downward alarm on accuracy, with its range',
      factsOf(
        single('Average', { threshold: 0.8, comparison: 'LessThanThreshold' }),
        {},
        { typical: 0.85, extremes: { min: 0.82, max: 0.95 } },
      ),
      drillOf({ intended: { fires: '< 0.8', within: '30m', range: { from: 0, to: 1 } } }),
    ],
    [
      'a downward alarm below zero',
      factsOf(
        single('Minimum', { threshold: -2, comparison: 'LessThanOrEqualToThreshold' }),
        {},
        { typical: -0.5 },
      ),
      drillOf({ intended: { fires: '<= -2', within: '30m', statistic: 'Minimum' } }),
    ],
    [
      'a threshold of 0',
      factsOf(single('Average', { threshold: 0, comparison: 'LessThanThreshold' }), {}, { typical: 0.4 }),
      drillOf({ intended: { fires: '< 0', within: '30m' }, scale: 0.1 }),
    ],
    [
      'a percentile of latency with many samples',
      factsOf(
        single('p99', {
          threshold: 800,
          periodS: 60,
          lowSamples: 'ignore',
          evaluationPeriods: 5,
          datapointsToAlarm: 3,
        }),
        {},
        { typical: 200, everyMs: MINUTE, samplesPerPeriod: 5000 },
      ),
      drillOf({ intended: { fires: '>= 800', within: '6m', statistic: 'p99' } }),
    ],
    [
      'a trimmed mean',
      factsOf(single('tm90', { evaluationPeriods: 1, datapointsToAlarm: 1 }), {}, { samplesPerPeriod: 50 }),
      drillOf(),
    ],
    [
      'a heartbeat: silence alone is below 1',
      factsOf(
        single('SampleCount', {
          threshold: 1,
          comparison: 'LessThanThreshold',
          evaluationPeriods: 3,
          datapointsToAlarm: 3,
        }),
        {},
        { typical: 5, everyMs: MINUTE },
      ),
      drillOf({ intended: { fires: '< 1', within: '20m', statistic: 'SampleCount', whenSilent: 'ALARM' } }),
    ],
    [
      'high resolution',
      factsOf(
        single('Average', { periodS: 10, evaluationPeriods: 6, datapointsToAlarm: 4 }),
        {},
        { everyMs: 10_000, periodS: 10 },
      ),
      drillOf({ intended: { fires: '>= 0.2', within: '2m' } }),
    ],
    [
      'metric math: a rate of errors',
      factsOf(
        psiAlarm({
          math: true,
          queries: [
            { id: 'e1', expression: '100 * errors / requests' },
            queryOf({ id: 'errors', statistic: 'Sum', metric: { ...PSI, name: 'errors' } }),
            queryOf({ id: 'requests', statistic: 'Sum', metric: { ...PSI, name: 'requests' } }),
          ],
          returns: 'e1',
          threshold: 5,
        }),
        {},
        { typical: 400, everyMs: MINUTE },
      ),
      drillOf({ intended: { fires: '>= 5', within: '30m', range: { from: 0, to: 100 } } }),
    ],
    [
      'metric math: gaps filled',
      factsOf(
        psiAlarm({
          math: true,
          queries: [{ id: 'e1', expression: 'FILL(m1, 0)' }, queryOf()],
          returns: 'e1',
          missingData: 'notBreaching',
        }),
      ),
      drillOf({ intended: { ...INTENDED, whenSilent: 'OK' } }),
    ],
    [
      'a composite alarm tells',
      factsOf(psiAlarm({ actions: told({ alarm: [] }) }), {
        parents: [
          compositeAlarm('ml-red', 'ALARM("psi-distance") OR ALARM("psi-price")', {
            suppressor: { alarm: 'maintenance', waitS: 60, extensionS: 60 },
          }),
        ],
        others: { 'psi-price': 'OK', maintenance: 'OK' },
      }),
      drillOf(),
    ],
    [
      'a composite alarm of composite alarms tells, the alarm itself does not',
      factsOf(psiAlarm({ actions: told({ enabled: false }) }), {
        parents: [
          compositeAlarm('ml-red', 'ALARM("psi-distance") AND NOT ALARM("deployment-runs")', {
            actions: told({ alarm: [] }),
          }),
          compositeAlarm('all-red', `ALARM("${alarmArn('ml-red')}") OR ALARM("shop-red")`),
        ],
        others: { 'deployment-runs': 'OK', 'shop-red': 'OK' },
      }),
      drillOf(),
    ],
    [
      'a composite alarm wants more, and is not needed',
      factsOf(psiAlarm(), {
        parents: [compositeAlarm('page', 'ALARM("psi-distance") AND ALARM("revenue")')],
        others: { revenue: 'OK' },
      }),
      drillOf(),
    ],
    [
      'an encrypted topic, a function and one more target',
      factsOf(
        psiAlarm({
          actions: told({
            alarm: [
              ONCALL,
              'arn:aws:lambda:eu-central-1:111122223333:function:page',
              'arn:aws:ssm:eu-central-1:111122223333:opsitem:2',
            ],
          }),
        }),
        {
          actions: {
            [ONCALL]: snsTopic(ONCALL, {
              key: {
                id: 'alias/alarms',
                verdict: 'allowed',
                why: 'the policy of the key lets CloudWatch use it',
              },
              subscriptions: [
                { protocol: 'email', endpoint: 'o***@example.com', pending: true },
                { protocol: 'https', endpoint: 'https://events.example.com/', pending: false },
              ],
            }),
            'arn:aws:lambda:eu-central-1:111122223333:function:page': {
              kind: 'lambda',
              arn: 'arn:aws:lambda:eu-central-1:111122223333:function:page',
              exists: true,
              invoke: { verdict: 'allowed', why: 'its policy lets CloudWatch invoke it' },
            },
          },
        },
      ),
      drillOf(),
    ],
    [
      'missing data is told by an action of its own',
      factsOf(
        psiAlarm({ missingData: 'missing', actions: told({ insufficientData: [topicArn('ml-data')] }) }),
      ),
      drillOf({ intended: { ...INTENDED, whenSilent: 'INSUFFICIENT_DATA' } }),
    ],
    [
      'samples come less often than periods, and the window is as wide',
      factsOf(
        single('Maximum', {
          periodS: 60,
          evaluationPeriods: 10,
          datapointsToAlarm: 1,
          missingData: 'notBreaching',
        }),
        {},
        { everyMs: 5 * MINUTE, periodS: 60 },
      ),
      drillOf({ intended: { ...INTENDED, whenSilent: 'OK' } }),
    ],
    [
      'an alarm that rolls deployments back',
      factsOf(psiAlarm(), {
        guardrail: {
          endpoint: 'churn',
          exists: true,
          alarms: ['latency', 'psi-distance'],
          bakeMs: 30 * MINUTE,
        },
      }),
      drillOf({ intended: { ...INTENDED, guards: 'churn' } }),
    ],
    [
      'a mute rule that holds nothing back now',
      factsOf(psiAlarm(), { mutes: [{ name: 'weekends', active: false, until: READ_AT + 86_400_000 }] }),
      drillOf(),
    ],
    [
      'a unit that all data has',
      factsOf(single('Average', { queries: [queryOf({ unit: 'Percent' })] })),
      drillOf(),
    ],
    [
      'a metric that is drifting, and in ALARM for it',
      factsOf(psiAlarm({ state: 'ALARM' }), {
        metrics: {
          m1: metricFacts(PSI, {
            recent: [0.05, 0.06, 0.31, 0.33].map((value, index) => ({
              at: READ_AT - (4 - index) * 300_000,
              value,
            })),
          }),
        },
      }),
      drillOf(),
    ],
  ];

  test.each(correct)('%s', (_, facts, drill) => {
    expect(textOf(facts, drill)).toBe('');
    expect(proveReachable(facts, drill).findings.length).toBeGreaterThan(7);
  });
});
