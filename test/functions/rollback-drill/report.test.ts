import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { RollbackVerdict } from '../../../functions/rollback-drill/identity.ts';
import { verdictOf } from '../../../functions/rollback-drill/identity.ts';
import type { Mark, Measurements, Timeline } from '../../../functions/rollback-drill/measurements.ts';
import { phasesOf } from '../../../functions/rollback-drill/phases.ts';
import { rollbackPage } from '../../../functions/rollback-drill/report.ts';
import { type LocatedRollbackDrill, parseRollbackDrills } from '../../../functions/rollback-drill/schema.ts';
import { wayBackOf } from '../../../functions/rollback-drill/way-back.ts';
import { textOf } from '../../../functions/shared/report/html.ts';
import { MAX_REPORT_BYTES, renderReport } from '../../../functions/shared/report/verdict-page.ts';
import { FINE, look, openBrowser } from '../../support/browser.ts';
import { createRandom } from '../../support/random.ts';
import {
  bad,
  deployed,
  drillOf,
  GUARDED,
  measuredOf,
  nobody,
  other,
  previous,
  procedureOf,
  restorationOf,
  STATES,
  stateOf,
  T0,
  timelineOf,
  UNTOUCHED,
} from '../../support/rollback-facts.ts';

/** A drill that has been judged. */
interface Judged {
  verdict: RollbackVerdict;
  measurements: Measurements;
  timeline: Timeline;
  drill: LocatedRollbackDrill;
}

/** A drill of the sandbox, as its evidence has it. */
function storyOf(name: 'healthy' | 'sick'): Judged {
  const read = (file: string) =>
    JSON.parse(readFileSync(`test/fixtures/stories/rollback-${name}/${file}.json`, 'utf8'));
  const text = readFileSync('tocsin.yaml', 'utf8');
  const drill = parseRollbackDrills({ file: 'tocsin.yaml', text }).get('flight-delay')!;
  return {
    verdict: read('verdict'),
    measurements: read('measurements'),
    timeline: read('timeline'),
    drill,
  };
}

function judged(
  measurements: Measurements = measuredOf(),
  timeline: Timeline = timelineOf(),
  drill: LocatedRollbackDrill = drillOf(),
): Judged {
  return { verdict: verdictOf(measurements, timeline, drill, 'run-1'), measurements, timeline, drill };
}

const pageOf = ({ verdict, measurements, timeline, drill }: Judged) =>
  rollbackPage(verdict, measurements, timeline, drill);
const reportOf = (one: Judged) => renderReport(one.verdict, () => pageOf(one));

/** The markup of a section. */
function section(one: Judged, title: string): string {
  return textOf(pageOf(one).sections.find((found) => found?.title === title)?.body);
}
const WHO = 'Who answered, and when';
const ANSWERS = 'Phases and answers';
const timelineSvg = (one: Judged) =>
  section(one, WHO).match(/<figure class="wide">.*?<\/figure>/s)?.[0] ?? '';

/** Cells of a table by its caption, row by row. */
function tableIn(markup: string, caption: string): string[][] {
  const table = markup.split('<table>').find((text) => text.startsWith(`<caption>${caption}`)) ?? '';
  return [...table.matchAll(/<tr>(.*?)<\/tr>/gs)].map(([, row = '']) =>
    [...row.matchAll(/<t[hd][^>]*>(.*?)<\/t[hd]>/gs)].map(([, cell = '']) => cell.replace(/<[^>]*>/g, '')),
  );
}

/** Words of the drawing. */
const wordsOf = (svg: string) => [...svg.matchAll(/<text[^>]*>([^<]*)<\/text>/g)].map(([, words]) => words);

/** Marks of each lane of the timeline, in order. */
function lanesOf(svg: string): { label: string; marks: [x: number, y: number][] }[] {
  const lane =
    /<text x="18" y="[\d.]+">([^<]*)<\/text>(?:<text class="soft" x="18"[^>]*>([^<]*)<\/text>)?<path class="[^"]*" d="([^"]*)"/g;
  return [...svg.matchAll(lane)].map(([, who, variant, d = '']) => ({
    label: variant === undefined ? `${who}` : `${who} ${variant}`,
    marks: [...d.matchAll(/M(-?[\d.]+) (-?[\d.]+)/g)].map(([, x, y]) => [Number(x), Number(y)]),
  }));
}

/** Where a time is drawn. */
function placeOf({ timeline }: Judged): (at: number) => number {
  const times = [
    ...timeline.marks.map(({ at }) => at),
    ...timeline.slices.flatMap(({ from, to }) => [from, to]),
  ];
  const [start, end] = [Math.min(...times), Math.max(...times)];
  return (at) => Math.round((122 + (544 * (at - start)) / (end - start)) * 10) / 10;
}

describe('the report of a drill that went well', () => {
  const healthy = storyOf('healthy');

  test('says when the previous model was back, and what was allowed', () => {
    const svg = timelineSvg(healthy);
    expect(svg).toContain('Who answered 102 requests in 22 s');
    expect(svg).toContain(
      'The previous model answered everything again at 0:09.9, 831 ms after the procedure began at 0:09.1; allowed were 1 min, until 1:09.1.',
    );
    expect(wordsOf(svg)).toContain('recovered 0:09.9');
    expect(wordsOf(svg)).toContain('limit 1:09.1, after the end of the picture →');
  });

  test('draws each request where it belongs', () => {
    const lanes = lanesOf(timelineSvg(healthy));
    expect(lanes.map(({ label, marks }) => [label, marks.length])).toEqual([
      ['previous model primary', 75],
      ['bad model candidate', 27],
    ]);
    const place = placeOf(healthy);
    const asked = healthy.timeline.slices.flatMap(({ requests }) => requests);
    // A circle begins at its left, a diamond above its middle.
    expect(lanes[0]?.marks.map(([x]) => x)).toEqual(
      asked.filter(({ who }) => who === 'previous').map(({ at }) => Math.round((place(at) - 3) * 10) / 10),
    );
    expect(lanes[1]?.marks.map(([x]) => x)).toEqual(
      asked.filter(({ who }) => who === 'bad').map(({ at }) => place(at)),
    );
    const recovery = healthy.measurements.procedure!.begunAt + 831;
    expect(timelineSvg(healthy)).toContain(`<path class="line s-pass" d="M${place(recovery)} `);
  });

  test('names the phases, and what the endpoint said of itself', () => {
    expect(tableIn(section(healthy, ANSWERS), 'Phases').map((row) => row.slice(0, 8))).toEqual([
      ['no.', 'phase', 'from', 'to', 'took', 'previous model', 'bad model', 'median latency'],
      ['1', 'before', '0:00.0', '0:02.7', '2.69 s', '13', '0', '26 ms'],
      ['2', 'failure injected', '0:02.7', '0:08.0', '5.34 s', '3', '23', '11 ms'],
      ['3', 'bad model serves', '0:08.0', '0:09.1', '1.04 s', '0', '0', ''],
      ['4', 'procedure runs', '0:09.1', '0:09.3', '208 ms', '0', '1', '17 ms'],
      ['5', 'recovery', '0:09.3', '0:09.9', '623 ms', '0', '3', '12 ms'],
      ['6', 'steady', '0:09.9', '0:21.7', '11.8 s', '59', '0', '11 ms'],
      ['7', 'restoring', '0:21.8', '0:22.0', '181 ms', '0', '0', ''],
    ]);
    expect(wordsOf(timelineSvg(healthy))).toEqual(
      expect.arrayContaining([
        '1 before',
        '6 steady',
        'a InService, primary 100%',
        'b Updating',
        'c InService, candidate 100%',
        'd primary 100%',
      ]),
    );
    const endpoint = section(healthy, 'The endpoint');
    expect(tableIn(endpoint, 'Before, during and after')).toContainEqual([
      'traffic',
      'candidate 0%; primary 100%',
      'candidate 100%; primary 0%',
      'candidate 0%; primary 100%',
      'candidate 0%; primary 100%',
    ]);
    expect(endpoint).not.toContain('not as before');
    expect(tableIn(endpoint, 'What it said of itself')[2]).toEqual([
      'b',
      '0:02.8',
      'Updating',
      'flight-delay-release-staging',
      'candidate 0%; primary 100%',
    ]);
  });

  test('shows what came of the limits, what was run, and what tells the models apart', () => {
    expect(wordsOf(section(healthy, WHO))).toEqual(
      expect.arrayContaining([
        '✓ recovery: 831 ms, at most 1 min',
        '✓ steady: 10.6 s, at least 10 s',
        '✓ lost requests: 0%, at most 0%',
        '✓ wrong answers once it was done: 0, at most 0',
        '2 failure injected: 3 previous, 23 bad',
      ]),
    );
    const done = section(healthy, 'What was done');
    expect(done).toContain('the Lambda function flight-delay-rollback');
    expect(done).toContain('ended well at 0:09.3, after 208 ms');
    expect(done).toContain('nothing had to be done; 181 ms from 0:21.8');
    const models = section(healthy, 'What tells the models apart');
    expect(tableIn(models, 'Golden requests')[1]).toEqual([
      '1',
      JSON.stringify(healthy.measurements.fingerprints[0]?.predictions[0]),
      JSON.stringify(healthy.measurements.fingerprints[1]?.predictions[0]),
      'yes',
    ]);
    expect(reportOf(healthy)).toContain('arn:aws:sagemaker:us-east-1:000000000000:endpoint/');
  });

  test('has the same bytes, whatever the order of the slices, and after a way through JSON', () => {
    const text = reportOf(healthy);
    const again = JSON.parse(JSON.stringify(healthy)) as Judged;
    again.timeline.slices.reverse();
    expect(reportOf({ ...again, drill: healthy.drill })).toBe(text);
    expect(Buffer.byteLength(text)).toBeLessThan(60_000);
  });
});

test('shows the bad model under the old name, and what is not as before', () => {
  const sick = storyOf('sick');
  const svg = timelineSvg(sick);
  expect(lanesOf(svg).map(({ label, marks }) => [label, marks.length])).toEqual([
    ['previous model primary', 16],
    ['bad model candidate', 27],
    ['bad model primary', 59],
  ]);
  expect(svg).toContain('The previous model did not come back: allowed were 1 min, until 1:08.9.');
  expect(svg).not.toContain('line s-pass');
  expect(wordsOf(section(sick, WHO))).toEqual(
    expect.arrayContaining([
      '5 not recovered',
      'recovery: there was none; at most 1 min',
      '✗ wrong answers once it was done: 52, at most 0',
    ]),
  );
  const rows = tableIn(section(sick, 'The endpoint'), 'Before, during and after');
  expect(rows).toContainEqual([
    'configuration',
    'flight-delay-release-staging',
    'flight-delay-release-staging',
    'flight-delay-release-staging-rollback ✗ not as before',
    'flight-delay-release-staging',
  ]);
  expect(rows.flat().filter((cell) => cell.includes('not as before'))).toHaveLength(2);
  expect(section(sick, 'What was done')).toContain(
    'updated the endpoint to the endpoint configuration flight-delay-release-staging',
  );
});

describe('a drill that did not come to its end', () => {
  test('that was not begun has no picture', () => {
    const notDrilled = 'the endpoint churn does not exist';
    const nothing = measuredOf({ ...UNTOUCHED, original: null, fingerprints: [], telling: [], notDrilled });
    const one = judged(nothing, { marks: [], slices: [] });
    expect(section(one, WHO)).toBe(
      `<p>Nothing was drilled: ${notDrilled}.</p><p>No request was sent, so there is nothing to draw.</p>`,
    );
    const titles = pageOf(one).sections.flatMap((found) => found?.title ?? []);
    expect(titles).toEqual([WHO, 'What was done']);
    expect(section(one, 'What was done')).toContain('it was not begun');
    expect(reportOf(one)).not.toContain('<svg viewBox="0 0 680');
  });

  test('that was broken off before its procedure shows how far it came', () => {
    const restoration = restorationOf({
      begunAt: T0 + 10_000,
      endedAt: T0 + 12_000,
      outcome: 'restored',
      actions: ['set the weights'],
    });
    const broken = { procedure: null, after: null, notDrilled: 'unhealthy is in ALARM', restoration };
    const timeline = timelineOf({ until: 8, stop: 'unhealthy is in ALARM' });
    timeline.marks = [
      { at: T0, what: 'failure begins' },
      { at: T0 + 10_000, what: 'restoring begins' },
      { at: T0 + 12_000, what: 'restoring ends' },
    ];
    const one = judged(measuredOf(broken), timeline);
    expect(section(one, WHO)).toContain('The drill was broken off: unhealthy is in ALARM.');
    expect(wordsOf(timelineSvg(one))).toEqual(expect.arrayContaining(['1 failure injected', '2 restoring']));
    expect(section(one, WHO)).not.toContain('limit');
    expect(tableIn(section(one, 'The endpoint'), 'Before')[0]).toEqual([
      'what',
      'before',
      'with the failure',
      'in the end',
    ]);
  });

  test('before its failure has the requests of its only phase', () => {
    const timeline = timelineOf({ until: 10 });
    timeline.marks = [{ at: T0, what: 'traffic begins' }];
    const measured = measuredOf({ ...UNTOUCHED, notDrilled: 'they were wrong' });
    const rows = tableIn(section(judged(measured, timeline), ANSWERS), 'Phases');
    expect(rows.map((row) => row.slice(0, 5))).toEqual([
      ['no.', 'phase', 'from', 'to', 'took'],
      ['1', 'before', '0:00.0', '0:10.0', '10 s'],
    ]);
  });

  test('with one request draws it', () => {
    const timeline = timelineOf({ until: 1, perSecond: 1 });
    timeline.slices[0]!.to = T0;
    timeline.marks = [];
    const one = judged(measuredOf({ ...UNTOUCHED, notDrilled: 'it ended' }), timeline);
    expect(lanesOf(timelineSvg(one))).toEqual([
      { label: 'previous model primary', marks: [[119, expect.any(Number)]] },
    ]);
    expect(reportOf(one)).not.toMatch(/NaN|Infinity|undefined/);
  });
});

test('a guardrail has phases of its own', () => {
  const timeline = timelineOf({
    answering: () => ({ ...previous, who: 'either' }),
    until: 75,
    states: [
      [0, stateOf()],
      [2, stateOf([1, 0], { status: 'Updating', pending: 'tocsin-drill-x' })],
      [30, stateOf([1, 0], { status: 'RollingBack' })],
      [50, stateOf([1, 0], { failureReason: 'Deployment stopped by alarm flight-delay-5xx' })],
    ],
  });
  timeline.marks = timeline.marks.filter(({ what }) => what !== 'bad model serves');
  timeline.marks.push({ at: T0 + 50_000, what: 'procedure ends' });
  const measured = measuredOf({
    procedure: procedureOf({ kind: 'guardrail', endedAt: T0 + 50_000, said: 'Deployment stopped.' }),
    failure: { ...measuredOf().failure!, kind: 'breakGuardrail' },
  });
  const one = judged(measured, timeline, drillOf(GUARDED));
  expect(tableIn(section(one, ANSWERS), 'Phases').map(([, name]) => name)).toEqual([
    'phase',
    'deployment',
    'guardrail acts',
    'recovered',
  ]);
  // Both deployments are of the previous model.
  expect(lanesOf(timelineSvg(one)).map(({ label }) => label)).toEqual(['previous model primary']);
  expect(wordsOf(section(one, WHO))).toContain('? steady: 25 s, at least 1 min');
  expect(tableIn(section(one, 'The endpoint'), 'What it said')[2]?.[2]).toBe('Updating to tocsin-drill-x');
});

test('says where nobody looked, and where answers are errors of a bad model', () => {
  const timeline = timelineOf({
    answering: (second) => (second >= 2 && second < 24 ? nobody('ModelError 500') : previous),
  });
  timeline.slices = timeline.slices.filter(({ from }) => from < T0 + 40_000 || from >= T0 + 70_000);
  const one = judged(
    measuredOf({ failure: { ...measuredOf().failure!, kind: 'deployModel' } }),
    timeline,
    drillOf(deployed(true)),
  );
  const place = placeOf(one);
  const [from, to] = [place(T0 + 40_000), place(T0 + 70_000)];
  expect(timelineSvg(one)).toContain(`<rect class="f-line" x="${from}" y="`);
  expect(timelineSvg(one)).toContain(`width="${Math.round((to - from) * 10) / 10}"`);
  expect(wordsOf(timelineSvg(one))).toContain('nobody looked');
  expect(lanesOf(timelineSvg(one)).map(({ label }) => label)).toEqual([
    'previous model primary',
    'bad model',
  ]);
  expect(tableIn(section(one, ANSWERS), 'Errors')[1]).toEqual(['ModelError 500', '110', '0:02.0', '0:23.8']);
  expect(section(one, ANSWERS)).toContain('Errors of the bad model count as its answers');
});

test('a limit within the picture stands where it is', () => {
  const one = judged(
    measuredOf(),
    timelineOf({ answering: (second) => (second >= 60 ? previous : bad) }),
    drillOf({ within: '30s' }),
  );
  const x = placeOf(one)(T0 + 50_000);
  expect(timelineSvg(one)).toMatch(new RegExp(`<path class="line s-fail dash" d="M${x} [\\d.]+V`));
  expect(wordsOf(timelineSvg(one))).toContain('limit 0:50.0');
  expect(wordsOf(section(one, WHO))).toContain('✗ recovery: 40 s, at most 30 s');
});

test('phases are in order and do not overlap, whatever has happened when', () => {
  const names: Mark['what'][] = [
    'traffic begins',
    'failure begins',
    'bad model serves',
    'procedure begins',
    'procedure ends',
    'watching ends',
    'restoring begins',
    'restoring ends',
  ];
  const marks = fc
    .subarray(names)
    .chain((whats) =>
      fc.tuple(
        ...whats.map((what) => fc.record({ what: fc.constant(what), at: fc.integer({ min: 0, max: 90 }) })),
      ),
    );
  fc.assert(
    fc.property(marks, (some) => {
      const timeline: Timeline = {
        ...timelineOf(),
        marks: some.map(({ what, at }) => ({ what, at: T0 + 1000 * at })),
      };
      const phases = phasesOf(
        measuredOf(),
        timeline,
        wayBackOf(measuredOf(), timeline, drillOf()),
        drillOf(),
      );
      phases.forEach(({ from, to }, index) => {
        expect(to).toBeGreaterThan(from);
        expect(from).toBeGreaterThanOrEqual(phases[index - 1]?.to ?? T0);
      });
      expect(phases.at(-1)?.to ?? T0).toBeLessThanOrEqual(T0 + 90_000);
    }),
  );
});

describe('however much there is', () => {
  /** An hour of 20 requests a second, with an outage and a lost request now and then. */
  const many = (() => {
    const random = createRandom(7);
    const timeline = timelineOf({
      until: 3600,
      perSecond: 20,
      answering: (second) => {
        const ms = Math.round(5 + 200 * random.uniform() ** 3);
        if (second >= 60 && second < 1200) return { ...bad, ms };
        if (second >= 1200 && second < 1220) return { ...nobody(), ms: 15_000 };
        return second === 2000 ? { ...other, ms } : { ...previous, ms };
      },
      states: STATES,
    });
    return judged(measuredOf({ restoration: null }), timeline);
  })();

  test('requests are counted in columns, and one among thousands is seen', () => {
    const svg = timelineSvg(many);
    expect(svg).toContain('Who answered 72,000 requests in 1 h');
    expect(svg).toMatch(/Columns count the requests of 26\.5 s; the highest has 530 requests\./);
    const lanes = lanesOf(svg);
    expect(lanes.map(({ label }) => label)).toEqual([
      'previous model primary',
      'bad model candidate',
      'unknown model primary',
      'no answer',
    ]);
    expect(lanes[2]?.marks).toHaveLength(1);
    const column = Math.floor(2_000_000 / 26_471);
    expect(lanes[2]?.marks[0]?.[0]).toBeCloseTo(122 + (544 * column * 26_471) / 3_600_000, 1);
    expect(lanes.every(({ marks }) => marks.length <= 137)).toBe(true);
    const rows = tableIn(section(many, ANSWERS), 'Who answered');
    expect(rows.slice(1).map(([who, count]) => [who, Number(count?.replace(',', ''))])).toEqual([
      ['previous model, variant primary', 72_000 - 22_800 - 400 - 1],
      ['bad model, variant candidate', 22_800],
      ['unknown model, variant primary', 1],
      ['no answer', 400],
    ]);
    expect(Buffer.byteLength(reportOf(many))).toBeLessThan(80_000);
  });

  test('hostile names, many of everything, stay text and within the limit', () => {
    const evil = `"><script>alert(1)</script><img src=x onerror='alert(2)'>`;
    let index = 0;
    const timeline = timelineOf({
      until: 300,
      answering: () => {
        index++;
        const who = (['bad', 'other', 'previous'] as const)[index % 3]!;
        return { who, variant: `${evil}${index % 90}`, error: index % 2 === 0 ? `${evil}${index}` : null };
      },
      states: Array.from({ length: 100 }, (_, at) => [
        at * 2.5,
        stateOf([at % 3, 1], {
          status: at % 2 === 0 ? 'Updating' : 'InService',
          config: `${evil}${at}`,
          failureReason: evil.repeat(40),
        }),
      ]),
    });
    const predictions = Array.from({ length: 50 }, () => evil.repeat(15));
    const restoration = restorationOf({
      outcome: 'failed',
      why: evil.repeat(30),
      answers: false,
      state: null,
      actions: Array.from({ length: 300 }, () => evil.repeat(10)),
    });
    const one = judged(
      measuredOf({
        procedure: procedureOf({ outcome: 'failed', said: evil.repeat(30) }),
        restoration,
        fingerprints: Array.from({ length: 20 }, (_, at) => ({
          id: `${at}`,
          variant: `${evil}${at}`,
          part: at % 2 === 0 ? ('previous' as const) : ('bad' as const),
          predictions,
        })),
        golden: { ...measuredOf().golden, requests: 50 },
      }),
      timeline,
    );
    const text = reportOf(one);
    expect(text).not.toMatch(/<script|<img/);
    expect(text).toContain('&quot;&gt;&lt;script&gt;');
    expect(text).not.toContain('There was no room for');
    expect(Buffer.byteLength(text)).toBeLessThan(MAX_REPORT_BYTES);
    // Variants are merged in the picture, and told apart in the table, as far as there is room.
    expect(lanesOf(timelineSvg(one)).map(({ label }) => label)).toEqual([
      'previous model',
      'bad model',
      'unknown model',
    ]);
    expect(section(one, ANSWERS)).toContain('And 50 more, in timeline.json.');
    expect(section(one, 'The endpoint')).toContain('And 70 more, in timeline.json.');
  });
});

describe('in a browser', () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await openBrowser();
  });
  afterAll(() => browser.close());

  test.each([
    ['healthy', 360, 'dark'],
    ['sick', 1440, 'light'],
  ] as const)('%s is fine at %d pixels, %s', async (name, width, scheme) => {
    expect(await look(browser, reportOf(storyOf(name)), { width, scheme })).toEqual(FINE);
  });
});
