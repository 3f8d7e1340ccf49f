import fc from 'fast-check';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { MetricResult } from '../../../functions/holdout-evaluation/measurements.ts';
import { evaluationPage } from '../../../functions/holdout-evaluation/report.ts';
import { MAX_REPORT_BYTES, renderReport } from '../../../functions/shared/report/verdict-page.ts';
import { loadConfig } from '../../../lib/config.ts';
import { FINE, look, openBrowser } from '../../support/browser.ts';
import {
  answersOf,
  BINARY,
  COMPARED,
  drawingOf,
  edgeReports,
  flowers,
  HOSTILE,
  INPUTS,
  measurementsWith,
  metricsWith,
  modelWith,
  numbersOf,
  reportOf,
  resultOf,
  storyOf,
} from '../../support/evaluation-report.ts';

const MODEL = loadConfig('tocsin.yaml').models.get('flight-delay')!;

/** The report of a run of the sandbox. */
function storyReport(story: 'pipeline-healthy' | 'pipeline-sick'): string {
  const { verdict, measured } = storyOf(story);
  const page = evaluationPage(verdict, measured, MODEL);
  return renderReport(verdict, () => page);
}

const SICK = storyReport('pipeline-sick');
const HEALTHY = storyReport('pipeline-healthy');
const EDGES = edgeReports();

/** Text of the page without its markup. */
const wordsOf = (page: string) =>
  page
    .replace(/<style>.*?<\/style>/s, '')
    .replace(/<[^>]+>/g, ' ')
    .replace(/\s+/g, ' ');

const headings = (page: string) => [...page.matchAll(/<h2>(.*?)<\/h2>/g)].map(([, title]) => title);

describe('the report of a model that fails', () => {
  test('has the pictures in order, behind the findings', () => {
    expect(headings(SICK)).toEqual([
      'Findings',
      'Against thresholds and champion',
      'Slices',
      'Curves',
      'Confusion matrix at a score of 0.5',
      'Not checked',
      'What this verdict is bound to',
    ]);
    expect(SICK).toContain('<h1>Model flight-delay <span class="badge fail">');
  });

  test('holds each metric against its threshold, on its own scale', () => {
    const drawing = drawingOf(SICK, 'Metrics on the whole holdout');
    expect(drawing).toMatch(
      /^aria-label="[^"]*auc 0\.559 \(95%: 0\.554 to 0\.564\); at least 0\.62 is allowed: fail\. calibrationError/,
    );
    // The domain of a scale is what it shows and 12% at both ends, on 312 units from 14 on.
    const { measured } = storyOf('pipeline-sick');
    const { low } = measured.metrics!.metrics[0]!.interval!;
    const champion = measured.metrics!.differences[0]!.champion!;
    const place = (value: number) => 14 + 312 * ((value - low) / (champion - low) / 1.24 + 0.12 / 1.24);
    const [auc, calibration] = numbersOf(drawing, /<rect class="f-line"[^>]*>/, 'x');
    expect(auc).toBeCloseTo(place(0.62), 0);
    expect(calibration).toBe(14);
    const [estimate] = numbersOf(drawing, /<circle class="f-fail"[^>]*>/, 'cx');
    expect(estimate).toBeCloseTo(place(0.5593614018901335), 0);
    expect(numbersOf(drawing, /<circle class="line s-b f-card"[^>]*>/, 'cx')).toEqual([
      expect.closeTo(place(champion), 0),
    ]);
    expect(drawing.match(/✗ fail/g)).toHaveLength(2);
  });

  test('says how much worse than the champion it is, and how its predictions have moved', () => {
    const words = wordsOf(SICK);
    expect(words).toContain(
      'auc: 0.559 against 0.673 ✗ fail 0.1137 worse (95%: 0.1088 to 0.1186) at most 0.005 worse',
    );
    expect(words).toContain('population stability index ✗ fail 0.682 (95%: 0.666 to 0.698) at most 0.25');
    expect(words).toContain(
      'The champion is arn:aws:sagemaker:us-east-1:000000000000:model-package/flight-delay/1 .',
    );
    const drawing = drawingOf(SICK, 'Predictions of both models');
    expect(drawing).toContain(
      'Most changed are predictions up to 0.079: 27.3% of this model&#39;s, 10% of the champion&#39;s.',
    );
    const heights = numbersOf(drawing, /<rect class="f-a"[^>]*>/, 'height');
    expect(heights).toHaveLength(10);
    // 21,873 and 1,508 of 80,000.
    expect(heights[0]! / heights[9]!).toBeCloseTo(21_873 / 1_508, 0);
    expect(numbersOf(drawing, /<rect class="f-b"[^>]*>/, 'height')).toHaveLength(10);
  });

  test('shows the worst slices first, and lists those that are too small', () => {
    const drawing = drawingOf(SICK, 'recall at 0.15 by origin');
    expect(drawing).toContain(
      '24 judged, 14 miss the threshold, 3 are inconclusive; at least 0.3 is required.',
    );
    expect(drawing).toContain('The worst drawn is IAH with 0.088 (95%: 0.056 to 0.131), the best SEA with');
    const dots = ['fail', 'inconclusive', 'pass'].flatMap((outcome) => {
      const dot = new RegExp(`<circle class="f-${outcome}"[^>]*>`);
      return numbersOf(drawing, dot, 'cx').map((x, index) => ({
        x,
        y: numbersOf(drawing, dot, 'cy')[index]!,
      }));
    });
    expect(dots).toHaveLength(24);
    // Worse is further left, and higher up.
    const down = dots.toSorted((a, b) => a.y - b.y);
    expect(down.map(({ x }) => x)).toEqual(dots.map(({ x }) => x).toSorted((a, b) => a - b));
    const [, at] = /<path class="line dash s-ink" d="M([\d.]+) /.exec(drawing)!;
    const failed = numbersOf(drawing, /<circle class="f-fail"[^>]*>/, 'cx');
    expect(Math.max(...failed)).toBeLessThan(Number(at));
    expect(drawing).toMatch(/✗ IAH<.*>1,683</s);
    expect(wordsOf(SICK)).toContain(
      '196 slices have fewer than 1,000 examples and are not judged SLC (949), SJC (943), JFK (921)',
    );
    expect(wordsOf(SICK)).toContain('recall at 0.15 by origin, at least 0.3 slice examples observed outcome');
    expect(wordsOf(SICK)).toContain('IAH 1,683 0.088 (95%: 0.056 to 0.131) ✗ fail');
  });

  test('draws curves with what chance would give', () => {
    const { curves } = storyOf('pipeline-sick').measured.metrics!;
    const roc = drawingOf(SICK, 'ROC curve');
    expect(roc).toContain('The area below the curve is 0.559;');
    expect(roc).toContain('<path class="line s-soft dash" d="M44,226L330,8"/>');
    const [, d = ''] = /<path class="line s-a" d="([^"]*)"/.exec(roc)!;
    expect(d.split('L')).toHaveLength(curves.roc!.truePositiveRate.length);
    expect(d).toMatch(/^M44,226L.*L330,8$/);
    // 12,780 of 80,000 are positive: 226 - 0.15975 of 218.
    expect(drawingOf(SICK, 'Precision and recall')).toContain('class="line dash s-soft" d="M44 191.2H330"');
    expect(SICK).toContain('of chance: 0.16');
    const calibration = drawingOf(SICK, 'Calibration');
    expect(calibration).toContain(
      'of 64 examples with a probability of 41.8% on average, 1.56% are positive.',
    );
    expect(calibration.match(/<circle class="f-a"/g)).toHaveLength(5);
    expect(calibration).toMatch(/>39k<.*>33k<.*>6.6k<.*>1.5k<.*>64</s);
    expect(wordsOf(SICK)).toContain('41.8% 1.56% 64');
  });

  test('counts what is taken for what, at its shade', () => {
    const [, table = ''] = SICK.split('Confusion matrix at a score of 0.5');
    expect(wordsOf(table)).toContain('actual 1 12,780 100% 0 0%, right 12,780');
    expect(table).toContain('style="background:rgb(179 32 27 / 45%)');
    expect(table).toContain('<th scope="row">actual 0</th>');
  });

  test('names everything that it is bound to', () => {
    const { inputs } = storyOf('pipeline-sick').verdict;
    for (const text of [
      inputs.candidate.arn,
      inputs.candidate.containers[0]!.imageDigest!,
      inputs.candidate.containers[0]!.modelData!,
      inputs.holdout.version,
      inputs.holdout.sha256,
      inputs.holdout.qualityVerdict!,
      inputs.configurationSha256,
      '51,566 distinct, 0.0299 to 0.462, 0.119 on average',
    ]) {
      expect(SICK).toContain(text);
    }
  });
});

test('the report of a model that passes has no champion yet, and its slices pass', () => {
  expect(HEALTHY).toContain('There is no champion: no package to compare with is approved yet.');
  expect(HEALTHY).not.toContain('Distance from the champion');
  expect(drawingOf(HEALTHY, 'recall at 0.15 by origin')).toContain('24 judged, 0 miss the threshold;');
  expect(wordsOf(HEALTHY)).toContain('auc ✓ pass 0.6731 (95%: 0.6681 to 0.6778) at least 0.62');
});

describe('the report of other tasks and endings', () => {
  test('several classes have a matrix; many, the most frequent confusions', () => {
    const words = wordsOf(EDGES.multiclass!);
    expect(words).toMatch(/actual versicolor 0 0% 1\d\d \d+(\.\d)?%, right \d\d \d+(\.\d)?% 200/);
    expect(words).toContain('accuracy: 0.9 against 0.88 ✓ pass 0.020 better');
    expect(headings(EDGES.multiclass!)).not.toContain('Curves');
    expect(drawingOf(EDGES.multiclass!, 'Predictions of both models')).toContain('Most changed bin 6:');
    const many = wordsOf(EDGES.classes!);
    expect(many).toContain('The most frequent confusions of 40 classes');
    expect(many).toMatch(/kind 1 kind 2 \d+ \d+(\.\d)?%/);
  });

  test('a regression has residuals around zero', () => {
    const drawing = drawingOf(EDGES.regression!, 'Histogram of residuals');
    const bars = numbersOf(drawing, /<rect [^>]*>/, 'height');
    // Of 30 bins three are empty.
    expect(bars).toHaveLength(27);
    const [, zero] = /<path class="line s-ink" d="M([\d.]+) /.exec(drawing)!;
    const fullest = bars.indexOf(Math.max(...bars));
    expect(numbersOf(drawing, /<rect [^>]*>/, 'x')[fullest]!).toBeGreaterThan(Number(zero) - 10);
    expect(drawing).toContain('; 29.6% in bins below zero, 62.3% in bins above it.');
    // Worst first: the slicing with a slice that misses, and in it that slice.
    expect(EDGES.regression!.indexOf('mae by rooms')).toBeLessThan(EDGES.regression!.indexOf('mae by town'));
    expect(wordsOf(EDGES.regression!)).toContain(
      'mae by town: 1 slice has fewer than 100 examples and is not judged Å (70).',
    );
    expect(wordsOf(EDGES.regression!)).toContain('Predictions new.csv, sha256 0b');
  });

  test('a model that gave no answer has its reason, and no picture', () => {
    expect(headings(EDGES.failed!)).toEqual([
      'Findings',
      'No answer',
      'Against thresholds and champion',
      'Not checked',
      'What this verdict is bound to',
    ]);
    expect(EDGES.failed).toContain('could not convert &quot;2001-05-01&quot;</p>');
    expect(wordsOf(EDGES.failed!)).toContain(
      'The champion, arn:champion , could not be compared with: its model data is gone',
    );
    expect(EDGES.failed).not.toContain('<figure');
  });

  test('predictions that cannot be used are counted, with rows', () => {
    const words = wordsOf(EDGES.problems!);
    expect(words).toContain('Examples without a prediction 12 1.2% row 4 ; row 17'.replace(' ;', ';'));
    expect(words).toContain('Predictions that are no probability 3 0.3% row 9: &lt;script&gt;');
    expect(EDGES.problems).not.toContain('<figure');
  });

  test('nothing measured, and one example', () => {
    const nothing = reportOf(measurementsWith(), modelWith(BINARY));
    expect(headings(nothing)).toEqual(['Findings', 'Not checked', 'What this verdict is bound to']);
    const one = reportOf(
      measurementsWith({
        examples: 1,
        metrics: metricsWith({
          examples: 1,
          metrics: [
            {
              query: { metric: 'auc' },
              examples: 1,
              value: null,
              interval: null,
              undefinedBecause: 'no positive example',
            },
          ],
          ...answersOf({
            task: 'binary',
            count: 1,
            labels: new Uint8Array([0]),
            predictions: new Float64Array([0.4]),
            classes: [],
            slicings: [],
          }),
        }),
      }),
      modelWith(BINARY.replace('}', ', minExamples: 2 }')),
    );
    expect(headings(one)).toContain('Curves');
    expect(one).not.toContain('ROC curve');
    expect(drawingOf(one, 'Calibration')).toContain(
      'of 1 example with a probability of 40% on average, 0% are positive',
    );
  });

  test('equal residuals are one bar', () => {
    const page = reportOf(
      measurementsWith({ metrics: metricsWith({ curves: { residuals: { edges: [5, 5], counts: [9] } } }) }),
      modelWith('task: regression\nrequire: [{ metric: mae, atMost: 3 }]'),
    );
    expect(drawingOf(page, 'Histogram of residuals')).toContain('has 100% of 9 examples');
    expect(numbersOf(drawingOf(page, 'Histogram of residuals'), /<rect [^>]*>/, 'width')[0]).toBeGreaterThan(
      2,
    );
  });

  test('a metric without a value shows what would be allowed', () => {
    const result: MetricResult = {
      query: { metric: 'auc' },
      examples: 500,
      value: null,
      interval: null,
      undefinedBecause: 'no positive example',
    };
    const page = reportOf(
      measurementsWith({ metrics: metricsWith({ metrics: [result] }) }),
      modelWith(BINARY),
    );
    const drawing = drawingOf(page, 'Metrics on the whole holdout');
    expect(drawing).toContain('no value: no positive example');
    expect(drawing).toContain('<rect class="f-line"');
    expect(drawing).not.toContain('<circle');
  });
});

describe('every report', () => {
  test('escapes what others have named', () => {
    for (const page of Object.values(EDGES)) expect(page).not.toContain('<script');
    expect(EDGES.hostile).toContain('&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt;&amp;&#39;');
    expect(EDGES.hostile).not.toContain('\u202e');
    expect(HOSTILE).toContain('\u202e');
  });

  test('is the same twice, and from measurements that were stored', () => {
    const { verdict, measured } = storyOf('pipeline-sick');
    const again = JSON.parse(JSON.stringify(measured));
    expect(renderReport(verdict, () => evaluationPage(verdict, again, MODEL))).toBe(SICK);
    expect(edgeReports()).toEqual(EDGES);
    const endless = resultOf({ metric: 'auc' }, 0.7);
    endless.interval = { low: Number.NEGATIVE_INFINITY, estimate: 0.7, high: 0.8, confidence: 0.95 };
    const live = measurementsWith({ metrics: metricsWith({ metrics: [endless] }) });
    const stored = JSON.parse(JSON.stringify(live));
    expect(reportOf(stored, modelWith(BINARY))).toBe(reportOf(live, modelWith(BINARY)));
  });

  test('of thousands of slices and classes is bounded, and nothing is left out in silence', () => {
    const columns = Array.from({ length: 12 }, (_, index) => `${'"'.repeat(60)}${index}`);
    const metrics = columns.flatMap((by, column) =>
      Array.from({ length: 1000 }, (_, index) =>
        resultOf({ metric: 'accuracy' }, 0.2 + index / 2000, {
          slice: { by, value: `${'&'.repeat(60)}${index}` },
          examples: column === 3 && index % 2 === 0 ? 10 : 1000,
        }),
      ),
    );
    const classes = Array.from({ length: 300 }, (_, index) => `${'<'.repeat(60)}${index}`);
    const page = reportOf(
      measurementsWith({ metrics: metricsWith({ metrics, ...answersOf(flowers(classes)) }) }),
      modelWith(`task: multiclass
classes: ${JSON.stringify(classes)}
require:
  - { metric: accuracy, atLeast: 0.5, slices: ${JSON.stringify(columns)} }`),
    );
    expect(Buffer.byteLength(page)).toBeLessThan(MAX_REPORT_BYTES);
    expect(headings(page)).toEqual(expect.arrayContaining(['Slices', 'Confusion matrix']));
    expect(headings(page)).not.toContain('Left out');
    expect(page.match(/ better ones not drawn; /g)).toHaveLength(8);
    expect(page).toContain('980 better ones not drawn');
    expect(page.match(/Not drawn: [^<]*/)?.[0].split('; accuracy by')).toHaveLength(4);
    expect(page).toContain('500 slices have fewer than 200 examples');
    expect(page).toContain(' and 400 more.');
  });

  test('more requirements than can be drawn are counted', () => {
    const require = Array.from({ length: 30 }, (_, index) => `  - { metric: auc, atLeast: 0.${index + 10} }`);
    const page = reportOf(
      measurementsWith({ metrics: metricsWith({ metrics: [resultOf({ metric: 'auc' }, 0.3)] }) }),
      modelWith(`task: binary\nrequire:\n${require.join('\n')}`),
    );
    expect(page).toContain('6 more are not drawn.');
    expect(drawingOf(page, 'Metrics on the whole holdout').match(/font-weight="600">auc</g)).toHaveLength(24);
  });

  test('draws only numbers, whatever was measured', () => {
    const number = fc.oneof(
      fc.double({ noDefaultInfinity: false }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      fc.constantFrom(0, -0, 1e300, -1e300, 1e-300, 0.6),
    );
    const interval = fc.option(
      fc.record({ low: number, estimate: number, high: number, confidence: fc.constant(0.95) }),
    );
    const counts = fc.array(fc.nat(1e6), { minLength: 4, maxLength: 4 });
    fc.assert(
      fc.property(
        number,
        interval,
        number,
        interval,
        counts,
        (value, of, difference, between, [a, b, c, d]) => {
          const page = reportOf(
            measurementsWith({
              champion: { kind: 'compared', package: 'arn' },
              metrics: metricsWith({
                metrics: [
                  { query: { metric: 'auc' }, examples: 1000, value, interval: of },
                  {
                    query: { metric: 'auc' },
                    slice: { by: 'x', value: 'y' },
                    examples: 1000,
                    value,
                    interval: of,
                  },
                ],
                differences: [
                  {
                    query: { metric: 'auc' },
                    candidate: value,
                    champion: difference,
                    value: difference,
                    interval: between,
                  },
                ],
                predictionDrift: {
                  psi: value,
                  interval: of ?? { low: 0, estimate: 0, high: 0, confidence: 0.95 },
                  bins: { edges: [0, value], candidate: [a!, b!, c!], champion: [b!, c!, d!] },
                },
                curves: {
                  calibration: { predicted: [0.1, 0.99], observed: [0, 1], examples: [a!, b!] },
                  confusion: {
                    classes: ['0', '1'],
                    counts: [
                      [a!, b!],
                      [c!, d!],
                    ],
                  },
                },
              }),
            }),
            modelWith(`${COMPARED.replace(']', ', { metric: auc, atLeast: 0.6, slices: [x] }]')}`),
          );
          const drawings = page.match(/<svg.*?<\/svg>/gs) ?? [];
          for (const [attribute] of drawings
            .join('')
            .matchAll(/ (d|x|y|cx|cy|r|width|height|transform)="[^"]*"/g)) {
            expect(attribute).not.toMatch(/NaN|Infinity|undefined|null/);
          }
        },
      ),
      { numRuns: 200, seed: 1 },
    );
  });
});

describe('in a browser', () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await openBrowser();
  });
  afterAll(() => browser.close());

  test.each([
    ['a sick model on a phone', SICK, 360, 'light'],
    ['a sick model on a desk, in the dark', SICK, 1440, 'dark'],
    ['a healthy model on a phone, in the dark', HEALTHY, 360, 'dark'],
    ['several classes on a desk', EDGES.multiclass!, 1440, 'light'],
    ['a regression on a phone', EDGES.regression!, 360, 'dark'],
    ['hostile names on a phone', EDGES.hostile!, 360, 'light'],
    ['problems on a phone', EDGES.problems!, 360, 'dark'],
  ] as const)('%s: nothing is loaded, too wide or out of reach', async (_, page, width, scheme) => {
    expect(await look(browser, page, { width, scheme })).toEqual(FINE);
  });
});

test('an evaluation without a champion is bound to none', () => {
  const page = reportOf(measurementsWith(), modelWith(COMPARED), INPUTS);
  expect(wordsOf(page)).toContain('Champion none');
});
