import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import type { MetricAlarm } from '../../../functions/alarm-drill/alarm.ts';
import { PROOF_ONLY } from '../../../functions/alarm-drill/decide.ts';
import { verdictOf } from '../../../functions/alarm-drill/identity.ts';
import type {
  Facts,
  LivePhase,
  Measurements,
  RungResult,
} from '../../../functions/alarm-drill/measurements.ts';
import { alarmPage } from '../../../functions/alarm-drill/report.ts';
import { type LocatedDrill, parseDrills } from '../../../functions/alarm-drill/schema.ts';
import { MAX_REPORT_BYTES, renderReport } from '../../../functions/shared/report/verdict-page.ts';
import type { Verdict } from '../../../functions/shared/verdict.ts';
import {
  compositeAlarm,
  type DrillInput,
  drillOf,
  factsOf,
  ONCALL,
  psiAlarm,
  queryOf,
  READ_AT,
  snsTopic,
} from '../../support/alarm-facts.ts';
import { playRounds } from '../../support/alarm-rounds.ts';
import { FINE, look, openBrowser } from '../../support/browser.ts';

const MINUTE = 60_000;

/** A report of a run of the sandbox. */
function story(name: 'alarms-healthy' | 'alarms-sick'): string {
  const read = (file: string) =>
    JSON.parse(readFileSync(new URL(`../../fixtures/stories/${name}/${file}`, import.meta.url), 'utf8'));
  const verdict = read('verdict.json') as Verdict;
  const text = readFileSync('tocsin.yaml', 'utf8');
  const drill = parseDrills({ file: 'tocsin.yaml', text }).get(verdict.subject)!;
  return renderReport(verdict, () => alarmPage(verdict, read('measurements.json') as Measurements, drill));
}

const NOTHING = { rounds: [], deliveries: [], phases: [], notDrilled: null };

function measured(
  alarm: MetricAlarm = psiAlarm(),
  drill: LocatedDrill = drillOf(),
  { really = alarm, facts = factsOf(alarm) }: { really?: MetricAlarm; facts?: Facts } = {},
): Measurements {
  return { ...NOTHING, facts, rounds: playRounds(alarm, drill, facts, really) };
}

function report(measurements: Measurements, drill: LocatedDrill = drillOf()): string {
  const verdict = verdictOf(measurements, drill, 'run-1');
  const text = renderReport(verdict, () => alarmPage(verdict, measurements, drill));
  expect(text).not.toContain('could not be drawn');
  return text;
}

/** With what all rungs of the first round did changed. */
function changed(
  measurements: Measurements,
  change: (result: RungResult) => Partial<RungResult>,
): Measurements {
  const [first, ...others] = measurements.rounds;
  const results = first!.results.map((result) => ({ ...result, ...change(result) }));
  return { ...measurements, rounds: [{ ...first!, results }, ...others] };
}

/** The drawing whose label begins so. */
function drawing(text: string, label: string): string {
  const start = text.indexOf(`aria-label="${label}`);
  expect(start, label).toBeGreaterThan(0);
  return text.slice(text.lastIndexOf('<svg', start), text.indexOf('</svg>', start));
}

function labelOf(text: string, label: string): string {
  return /aria-label="([^"]*)"/
    .exec(drawing(text, label))![1]!
    .replaceAll('&gt;', '>')
    .replaceAll('&lt;', '<');
}

/** Words of a drawing, in order. */
const wordsOf = (svg: string) =>
  [...svg.matchAll(/<text[^>]*>(.*?)<\/text>/g)].map(([, words]) =>
    words!
      .replace(/<[^>]*>/g, ' ')
      .replaceAll('&gt;', '>')
      .replaceAll('&lt;', '<')
      .replace(/\s+/g, ' ')
      .trim(),
  );

const numbers = (text: string, pattern: RegExp) =>
  [...text.matchAll(pattern)].map((match) => match.slice(1).map(Number));

const headings = (text: string) => [...text.matchAll(/<h2>(.*?)<\/h2>/g)].map(([, heading]) => heading);

describe('the stories of the sandbox', () => {
  test('a healthy alarm begins to fire where it is meant to', () => {
    const text = story('alarms-healthy');
    expect(headings(text)).toEqual([
      'Findings',
      'Effective against intended threshold',
      'Rung by rung',
      'What its configuration says',
      'Who is told',
      'Not checked',
      'What this verdict is bound to',
    ]);
    expect(labelOf(text, 'Where the alarm fires')).toBe(
      'Where the alarm fires. It begins to fire between 0.19 and 0.21 (0.95x to 1.05x); it is meant to at >= 0.2. It fired at 1.05x, 2x and 5x; stayed quiet at 0.5x and 0.95x.',
    );
    expect(labelOf(text, 'How long it takes to fire')).toBe(
      'How long it takes to fire, at most 20 s is intended: 1.05x 8 s, 2x 8 s, 5x 8 s.',
    );
    expect(labelOf(text, 'How long a message takes')).toContain(
      'of 12: at the topic after at most 0 ms, in the queue',
    );
    expect(labelOf(text, 'Rung 1.05x')).toBe(
      'Rung 1.05x: it sees 0.21, and is intended to fire at >= 0.2; it must fire within 20 s. It fired after 8 s. States since the round began: INSUFFICIENT_DATA from 0 s, OK from 8 s, ALARM from 48 s and OK from 88 s. 11 of 11 data points seen.',
    );
    expect(wordsOf(drawing(text, 'Where the alarm fires'))).not.toContain('configured');
  });

  test('a sick one has its threshold at five times what is intended, and three rungs say so', () => {
    const text = story('alarms-sick');
    const ladder = drawing(text, 'Where the alarm fires');
    const words = wordsOf(ladder);
    expect(words).toEqual(
      expect.arrayContaining(['configured', '>= 1', 'really fires', '0.95 to 1', 'intended', '>= 0.2']),
    );
    expect(words.filter((one) => one.startsWith('✗'))).toEqual([
      '✗ stayed quiet',
      '✗ stayed quiet',
      '✗ stayed quiet',
    ]);
    expect(wordsOf(drawing(text, 'How long it takes to fire'))).toEqual(
      expect.arrayContaining(['✗ not in 40 s', '✓ 8 s', 'within 20 s']),
    );
    expect(wordsOf(drawing(text, 'Rung 2x'))).toEqual(
      expect.arrayContaining(['2x', 'sees 0.4', 'must fire', '✗ stayed quiet', 'configured >= 1 ↑', 'OK']),
    );
  });

  test('where things are drawn', () => {
    const text = story('alarms-healthy');
    // The louder, the higher: 5x, 2x, 1.05x as triangles, then 0.95x and 0.5x as rings.
    const ladder = drawing(text, 'Where the alarm fires');
    const fired = numbers(ladder, /class="f-pass" d="M[\d.]+ ([\d.]+)h/g).map(([y]) => y!);
    const quiet = numbers(ladder, /<circle class="line f-card s-pass" cx="136" cy="([\d.]+)"/g).map(
      ([y]) => y!,
    );
    expect([fired.length, quiet.length]).toEqual([3, 2]);
    const heights = [...fired.toReversed().map((y) => y - 4.8), ...quiet.toReversed()];
    expect(heights).toEqual(heights.toSorted((a, b) => a - b));
    // On a scale of ratios 1x is as far from 0.5x as from 2x.
    const [intended] = numbers(ladder, /class="line dash s-a" d="M[\d.]+ ([\d.]+)h/g)[0]!;
    const [five, two] = [heights[0]!, heights[1]!];
    expect((heights.at(-1)! - intended!) / (intended! - two)).toBeCloseTo(1, 1);
    expect((intended! - five) / (intended! - two)).toBeCloseTo(Math.log(5) / Math.log(2), 1);

    // 130 s from 134 to 668: the drift from 40 s to 80 s, ALARM from 48 s to 88 s, the deadline at 60 s.
    const at = (s: number) => 134 + (534 * s) / 130;
    const lane = drawing(text, 'Rung 5x');
    const [drift] = numbers(lane, /<rect class="f-line" opacity="0.45" x="([\d.]+)" y="4" width="([\d.]+)"/g);
    expect(drift![0]).toBeCloseTo(at(40), 0);
    expect(drift![1]).toBeCloseTo(at(80) - at(40), 0);
    const [alarm] = numbers(lane, /<rect class="f-fail" x="([\d.]+)" y="70" width="([\d.]+)"/g);
    expect(alarm![0]).toBeCloseTo(at(48), 0);
    expect(alarm![1]).toBeCloseTo(at(88) - at(48), 0);
    const [deadline] = numbers(lane, /class="line s-warn dash" d="M([\d.]+) /g);
    expect(deadline![0]).toBeCloseTo(at(60), 0);
    // Full points are those at which it is to fire: four of eleven, above the threshold's line.
    const full = numbers(/stroke-width="6.5" d="([^"]*)"/.exec(lane)![1]!, /M([\d.]+) ([\d.]+)h0/g);
    const [line] = numbers(lane, /class="line dash s-a" d="M134 ([\d.]+)H668"/g)[0]!;
    expect(full.map(([x]) => x)).toEqual([40, 50, 60, 70].map((s) => Math.round(at(s) * 10) / 10));
    expect(full.every(([, y]) => y! < line!)).toBe(true);
    expect(numbers(/stroke-width="7" d="([^"]*)"/.exec(lane)![1]!, /M([\d.]+) /g)).toHaveLength(7);
    // One message: its change, the topic, the queue.
    expect(wordsOf(lane)).toEqual(expect.arrayContaining(['8 s', '+0 ms']));
  });

  test.each(['alarms-healthy', 'alarms-sick'] as const)('%s gives the same bytes', (name) => {
    expect(story(name)).toBe(story(name));
  });
});

describe('a ladder', () => {
  it('is the same after JSON, and whatever order its parts come in', () => {
    const measurements = measured(psiAlarm(), drillOf(), { really: psiAlarm({ threshold: 0.7 }) });
    expect(measurements.rounds.length).toBeGreaterThan(1);
    const text = report(measurements);
    expect(report(JSON.parse(JSON.stringify(measurements)) as Measurements)).toBe(text);
    const shuffled = changed(measurements, ({ transitions, receipts }) => ({
      transitions: transitions.toReversed(),
      receipts: receipts.toReversed(),
    }));
    expect(report({ ...shuffled, rounds: shuffled.rounds.toReversed() })).toBe(text);
  });

  it('shows the rounds that narrow next to where it turns out to fire', () => {
    const text = report(measured(psiAlarm(), drillOf(), { really: psiAlarm({ threshold: 0.7 }) }));
    expect(text).toContain('Round 2 of 2, which narrows where it fires');
    expect(labelOf(text, 'Where the alarm fires')).toContain('between 0.693 and 0.76 (3.466x to 3.798x)');
    expect(labelOf(text, 'Rung 3.466x')).toContain('It stayed quiet');
    expect(labelOf(text, 'Rung 3.798x')).toContain('It fired after');
    expect(text).toContain('3 rungs more not drawn.');
  });

  it('tells late from wrong', () => {
    const text = report(measured(psiAlarm({ evaluationPeriods: 12, datapointsToAlarm: 12 })));
    expect(wordsOf(drawing(text, 'Where the alarm fires'))).toContain('✗ fired after 55.9 min');
    expect(wordsOf(drawing(text, 'How long it takes to fire'))).toContain('✗ 55.9 min');
    expect(wordsOf(drawing(text, 'Rung 5x'))).toContain('✗ fired after 55.9 min');
  });

  it('says that an alarm fires the wrong way round, everywhere or nowhere', () => {
    const label = (alarm: MetricAlarm, drill = drillOf(), really = alarm) =>
      labelOf(report(measured(alarm, drill, { really }), drill), 'Where the alarm fires');
    expect(label(psiAlarm({ comparison: 'LessThanThreshold' }))).toContain(
      'It fired where it is quieter, and stayed quiet where it is louder',
    );
    expect(label(psiAlarm(), drillOf(), psiAlarm({ threshold: -1 }))).toContain('It fired everywhere');
    expect(label(psiAlarm(), drillOf({ narrow: false }), psiAlarm({ threshold: 1e6 }))).toContain(
      'It fired nowhere',
    );
  });

  it('is the same picture of alarms that fire downwards: louder is higher', () => {
    const drill = drillOf({ intended: { fires: '< 0.6', within: '30m', range: { from: 0, to: 1 } } });
    const text = report(
      measured(psiAlarm({ comparison: 'LessThanThreshold', threshold: 0.6 }), drill),
      drill,
    );
    const ladder = drawing(text, 'Where the alarm fires');
    const y = (name: string) => Number(new RegExp(`y="([\\d.]+)"><tspan[^>]*>${name}<`).exec(ladder)![1]);
    expect(y('5x')).toBeLessThan(y('2x'));
    expect(y('2x')).toBeLessThan(y('0.95x'));
    // 0.5x would be beyond the range.
    expect(wordsOf(ladder)).toEqual(expect.arrayContaining(['0.5x 1.2', '? not drilled']));
  });

  it('shows nothing of rungs that show nothing, and says why', () => {
    const doubled = changed(measured(), ({ samples }) => ({
      samples: { ...samples, seen: samples.published + 1 },
    }));
    const text = report(doubled);
    expect(labelOf(text, 'Where the alarm fires')).toContain('Where it begins to fire is not known');
    expect(wordsOf(drawing(text, 'Rung 2x'))).toContain('? shows nothing');
    expect(text).not.toContain('aria-label="How long it takes to fire');
    const [first] = measured().rounds;
    const unseen = report({ ...measured(), rounds: [{ ...first!, results: [] }] });
    expect(wordsOf(drawing(unseen, 'Rung 2x'))).toContain('nothing was seen of it');
  });

  it('says of a message that did not arrive', () => {
    const text = report(changed(measured(), () => ({ receipts: [], failedActions: ['no <access>'] })));
    expect(wordsOf(drawing(text, 'Rung 5x'))).toContain('✗ no message arrived');
    expect(text).toContain('<td class="n">did not arrive</td>');
    expect(text).toContain('CloudWatch says of actions that failed: no &lt;access&gt;');
    expect(text).not.toContain('aria-label="How long a message takes');
  });

  it('says what is published where the alarm sees something else', () => {
    const drill = drillOf({ intended: { fires: '>= 20', within: '30m', every: '1m', step: 1 } });
    const alarm = psiAlarm({ queries: [queryOf({ statistic: 'Sum' })], threshold: 20 });
    const text = report(measured(alarm, drill), drill);
    expect(text).toContain('What was published for each value');
    expect(text).toMatch(/<td class="n">40<\/td><td>m1: 8<\/td>/);
    expect(report(measured())).not.toContain('What was published for each value');
  });

  it('has names of people in it, and no markup of theirs', () => {
    const hostile = '<script>alert("1")</script>\u202e';
    const topic = `arn:aws:sns:eu-central-1:111122223333:${hostile}`;
    const alarm = psiAlarm({
      name: hostile,
      queries: [
        queryOf({ metric: { namespace: hostile, name: hostile, dimensions: { [hostile]: hostile } } }),
      ],
      actions: { enabled: true, alarm: [ONCALL, topic], ok: [topic], insufficientData: [topic] },
    });
    const drill = drillOf({ alarm: hostile });
    const facts = factsOf(alarm, {
      parents: [compositeAlarm(hostile, `ALARM("${hostile}")`)],
      others: { [hostile]: 'OK' },
      mutes: [{ name: hostile, active: true, until: READ_AT }],
      unread: [{ what: hostile, why: hostile }],
      guardrail: { endpoint: hostile, exists: false, alarms: [hostile] },
      actions: {
        [topic]: snsTopic(topic, {
          subscriptions: [{ protocol: hostile, endpoint: hostile, pending: true, filter: hostile }],
          publish: { verdict: 'unclear', why: hostile },
          key: { id: hostile, verdict: 'denied', why: hostile },
        }),
      },
    });
    const text = report(measured(alarm, drill, { facts }), drill);
    expect(text).toContain('&lt;script&gt;');
    expect(text).not.toMatch(/<script|\u202e|="[^"]*alert\("/);
  });

  it('fits, however long its rounds are and however often its states change', () => {
    const alarm = psiAlarm({ periodS: 60, evaluationPeriods: 60, datapointsToAlarm: 60 });
    const drill = drillOf({
      intended: { fires: '>= 0.2', within: '60m', every: '1m' },
      ladder: Array.from({ length: 20 }, (_, index) => Number((0.2 + index * 0.37).toFixed(2))),
    });
    const plain = measured(alarm, drill);
    const flapping = changed(plain, ({ alarm: name, transitions }) => {
      const from = transitions[0]!.at;
      const many = Array.from({ length: 500 }, (_, index) => ({
        at: from + index * 8000,
        from: index % 2 === 0 ? ('ALARM' as const) : ('OK' as const),
        to: index % 2 === 0 ? ('OK' as const) : ('ALARM' as const),
      }));
      return {
        transitions: many,
        receipts: many.map(({ at, to }) => ({
          alarm: name,
          state: to,
          topic: ONCALL,
          changedAt: at,
          notifiedAt: at + 1,
          receivedAt: at + 2,
        })),
      };
    });
    for (const measurements of [plain, flapping]) {
      const text = report(measurements, drill);
      expect(Buffer.byteLength(text)).toBeLessThan(MAX_REPORT_BYTES);
      expect(headings(text)).not.toContain('Left out');
      expect(labelOf(text, 'Rung 0.2x')).toContain('Rung 0.2x');
    }
  });

  it('can be drawn of whatever a drill measures', () => {
    const numbersAround = fc.oneof(
      fc.double({ min: -100, max: 100, noNaN: true }),
      fc.constantFrom(0, 1e-9, 1e9, -1e9),
    );
    const drills = fc.record({
      threshold: numbersAround.filter((value) => Math.abs(value) > 1e-6),
      comparison: fc.constantFrom('>=', '>', '<', '<='),
      real: numbersAround,
      within: fc.constantFrom('10s', '5m', '3h'),
      ladder: fc.uniqueArray(fc.double({ min: 0.01, max: 900, noNaN: true }), { minLength: 1, maxLength: 4 }),
    });
    fc.assert(
      fc.property(drills, ({ threshold, comparison, real, within, ladder }) => {
        const fires = `${comparison} ${threshold}`;
        const drill = drillOf({ intended: { fires, within }, ladder, narrow: false } as Partial<DrillInput>);
        const { comparison: operator } = drill.value.intended.fires;
        const alarm = psiAlarm({ comparison: operator, threshold });
        const text = report(
          measured(alarm, drill, { really: psiAlarm({ comparison: operator, threshold: real }) }),
          drill,
        );
        expect(text).not.toMatch(/NaN|undefined|Infinity"/);
      }),
      { numRuns: 30 },
    );
  });
});

describe('what was not drilled on a ladder', () => {
  it('has the configuration alone where that was asked for', () => {
    const text = report({ ...NOTHING, facts: factsOf(), notDrilled: PROOF_ONLY });
    expect(headings(text).slice(1, 4)).toEqual(['Not drilled', 'What its configuration says', 'Who is told']);
    expect(text).toContain(`Nothing was tried: ${PROOF_ONLY}.`);
    expect(text).toContain('psi before the drill');
    expect(text).toContain('email o***@example.com');
  });

  it('names those that come near to an alarm that does not exist', () => {
    const facts: Facts = { ...factsOf(), alarm: null, near: ['psi-distances'], metrics: {}, actions: {} };
    const text = report({ ...NOTHING, facts, notDrilled: 'there is no such alarm' });
    expect(text).toContain('Alarms with a name like it: <span class="mono">psi-distances</span>');
    expect(headings(text)).not.toContain('Who is told');
  });

  it('has the composite alarms, and who is told by them', () => {
    const parent = compositeAlarm('all', 'ALARM("psi-distance") AND NOT ALARM("maintenance")', {
      suppressor: { alarm: 'maintenance', waitS: 60, extensionS: 120 },
    });
    const alarm = psiAlarm({ actions: { enabled: false, alarm: [], ok: [], insufficientData: [] } });
    const facts = factsOf(alarm, { parents: [parent], others: { maintenance: 'OK', gone: null } });
    const text = report({ ...NOTHING, facts, notDrilled: PROOF_ONLY });
    expect(headings(text)).toContain('Composite alarms above it');
    expect(text).toContain('maintenance, for 1 min and 2 min after');
    expect(text).toContain('<td>gone</td><td>there is no such alarm</td>');
    const silent = report({ ...NOTHING, facts: factsOf(alarm), notDrilled: PROOF_ONLY });
    expect(silent).toContain('Nobody: neither the alarm nor a composite alarm above it has an action.');
  });
});

/** A drill of the whole chain: quiet, loud, healthy again. */
const TRAFFIC: Partial<DrillInput> = {
  intended: { fires: '>= 0.2', within: '3m' },
  mode: 'traffic',
  traffic: { endpoint: 'churn-staging', dataset: 'flights', features: ['distance'], feature: 'distance' },
};

const phase = (change: Partial<LivePhase>): LivePhase => ({
  phase: 'under',
  startedAt: READ_AT,
  endedAt: READ_AT + 10 * MINUTE,
  drift: { asked: 0.1, sent: 0.1 },
  records: 2000,
  failedRequests: 0,
  metric: [{ at: READ_AT + 5 * MINUTE, value: 0.1 }],
  transitions: [],
  state: 'OK',
  ...change,
});

const PHASES = [
  phase({}),
  phase({
    phase: 'over',
    startedAt: READ_AT + 10 * MINUTE,
    endedAt: READ_AT + 20 * MINUTE,
    drift: { asked: 0.4, sent: 0.398 },
    metric: [{ at: READ_AT + 16 * MINUTE, value: 0.39 }],
    transitions: [{ at: READ_AT + 17 * MINUTE, from: 'OK', to: 'ALARM' }],
    state: 'ALARM',
  }),
  phase({
    phase: 'healthy',
    startedAt: READ_AT + 20 * MINUTE,
    endedAt: READ_AT + 30 * MINUTE,
    drift: { asked: 0, sent: 0 },
    metric: [],
    transitions: [{ at: READ_AT + 25 * MINUTE, from: 'ALARM', to: 'OK' }],
  }),
];

const drawn = (phases: LivePhase[], config: Partial<DrillInput> = TRAFFIC) =>
  report({ ...NOTHING, facts: factsOf(), phases }, drillOf(config));

describe('the alarm itself', () => {
  it('is shown over time: what was sent, what the metric said, when it rang', () => {
    const text = drawn(PHASES.toReversed());
    expect(text).toBe(drawn(PHASES));
    expect(headings(text)).toContain('From traffic to the alarm');
    expect(labelOf(text, 'Where the alarm fires')).toContain('between 0.1 and 0.398 (under to over)');
    expect(labelOf(text, 'The alarm itself.')).toBe(
      'The alarm itself. Under (drift 0.1, 10 min): 1 data point of its metric from 0.1 to 0.1; no change to ALARM, OK at the end. Over (drift 0.398, 10 min): 1 data point of its metric from 0.39 to 0.39; ALARM after 7 min. Healthy (no drift, 10 min): no data point of its metric came; no change to ALARM, OK at the end.',
    );
    const svg = drawing(text, 'The alarm itself.');
    expect(wordsOf(svg)).toEqual(
      expect.arrayContaining(['under: drift 0.1', 'over: drift 0.398', 'healthy: no drift']),
    );
    // 30 min from 134 to 668: ALARM from 17 min to the end of its phase, due 3 min after the data point at 16 min.
    const at = (minutes: number) => 134 + (534 * minutes) / 30;
    const alarms = numbers(svg, /<rect class="f-fail" x="([\d.]+)" y="148" width="([\d.]+)"/g);
    expect(alarms[0]![0]).toBeCloseTo(at(17), 0);
    expect(alarms[0]![1]).toBeCloseTo(at(20) - at(17), 0);
    expect(numbers(svg, /class="line dash s-warn" d="M([\d.]+) /g)[0]![0]).toBeCloseTo(at(19), 0);
    expect(text).toContain(
      '<td>over</td><td class="n">0.4</td><td class="n">0.398</td><td class="n">2,000</td><td class="n">0</td><td class="n">10 min</td><td>1 data point, the first after 6 min</td><td>ALARM</td>',
    );
  });

  it('that was not seen by its monitor has no data points', () => {
    const text = drawn(PHASES.map((one) => ({ ...one, metric: [], transitions: [], state: 'OK' })));
    expect(labelOf(text, 'Where the alarm fires')).toContain('It fired nowhere');
    expect(text).toContain('<td>none</td><td>OK</td>');
  });

  it('may be driven on its real metric', () => {
    const { drift: _, records: _2, failedRequests: _3, ...under } = PHASES[0]!;
    const { drift: _4, records: _5, failedRequests: _6, ...over } = PHASES[1]!;
    const text = drawn(
      [
        { ...under, value: 0.19 },
        { ...over, value: 0.21 },
      ],
      {
        intended: { fires: '>= 0.2', within: '15m', metric: queryOf().metric },
        mode: 'live',
        live: { because: 'it is staging' },
      },
    );
    expect(headings(text)).toContain('The real alarm');
    expect(labelOf(text, 'Where the alarm fires')).toContain('between 0.19 and 0.21 (under to over)');
    expect(text).toContain('<td>over</td><td>0.21</td><td class="n">10 min</td>');
  });

  it('has its messages down its own path', () => {
    const receipt = {
      alarm: 'bell',
      state: 'ALARM' as const,
      topic: ONCALL,
      changedAt: READ_AT,
      notifiedAt: READ_AT + 400,
      receivedAt: READ_AT + 650,
    };
    const deliveries = [
      { topic: ONCALL, alarm: 'bell', receipt, subscribers: 2, failedActions: [] },
      { topic: `${ONCALL}-b`, alarm: 'bell', receipt, subscribers: 0, failedActions: [] },
      { topic: `${ONCALL}-c`, alarm: 'bell', receipt: null, subscribers: 1, failedActions: ['denied'] },
    ];
    const drill = drillOf({ deliver: 'real' });
    const text = report({ ...measured(), deliveries }, drill);
    expect(text).toContain(
      '</span> pass</span> arrived</td><td class="n">+400 ms</td><td class="n">+650 ms</td><td class="n">2</td>',
    );
    expect(text).toContain('</span> fail</span> arrived, and nobody is subscribed</td>');
    expect(text).toContain('</span> fail</span> did not arrive</td>');
  });
});

test('browsers show the reports without an error, a request, a scroll bar or a violation', {
  timeout: 60_000,
}, async () => {
  const browser = await openBrowser();
  try {
    for (const [text, width, scheme] of [
      [story('alarms-healthy'), 360, 'dark'],
      [drawn(PHASES), 1440, 'light'],
      [story('alarms-sick'), 360, 'light'],
      [story('alarms-sick'), 1440, 'dark'],
    ] as const) {
      expect(await look(browser, text, { width, scheme })).toEqual(FINE);
    }
  } finally {
    await browser.close();
  }
});
