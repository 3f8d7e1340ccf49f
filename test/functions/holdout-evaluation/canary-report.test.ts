import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  type CanaryMeasurements,
  type Control,
  decideCanary,
  type PipelineEnd,
  type PipelineRun,
} from '../../../functions/holdout-evaluation/canary.ts';
import { type CanaryInputs, canaryPage } from '../../../functions/holdout-evaluation/canary-report.ts';
import { verdictOf } from '../../../functions/holdout-evaluation/identity.ts';
import { MAX_REPORT_BYTES, renderReport } from '../../../functions/shared/report/verdict-page.ts';
import { loadConfig } from '../../../lib/config.ts';
import { FINE, look, openBrowser } from '../../support/browser.ts';
import { drawingOf, HOSTILE, numbersOf, resultOf, storyOf } from '../../support/evaluation-report.ts';

const CANARY = loadConfig('tocsin.yaml').canaries.get('flight-delay')!;
const STORY = storyOf<CanaryInputs, CanaryMeasurements>('canary-healthy');

/** The report of a run of the canary of tocsin.yaml that went like the story but for this. */
function reportOf(
  more: Partial<CanaryMeasurements> = {},
  without: (keyof CanaryMeasurements)[] = [],
): string {
  const measured: CanaryMeasurements = { ...STORY.measured, ...more };
  for (const key of without) delete measured[key];
  const judgement = decideCanary(measured, CANARY, 'binary');
  const verdict = verdictOf(STORY.verdict.subject, STORY.verdict.inputs, judgement);
  const page = canaryPage(verdict, measured, CANARY, 'binary');
  return renderReport(verdict, () => page);
}

const HEALTHY = reportOf();

const ended = (end: PipelineEnd, registered: PipelineRun['registered'] = []): PipelineRun => ({
  execution: 'arn:aws:sagemaker:us-east-1:000000000000:pipeline/flight-delay-training/execution/x1',
  end,
  registered,
});
const SUCCEEDED: PipelineEnd = { state: 'succeeded' };
const FAILED: PipelineEnd = { state: 'failed', reasons: ['Step Train failed', 'AlgorithmError: no rows'] };
const PACKAGE = {
  arn: 'arn:aws:sagemaker:us-east-1:000000000000:model-package/flight-delay-canary/9',
  group: 'flight-delay-canary',
  approval: 'PendingManualApproval',
};

/** Marks of a lane with the names behind them. */
const stopsOf = (page: string, lane: string) =>
  [
    ...drawingOf(page, lane).matchAll(
      /text-anchor="middle" font-weight="600">(.)<\/text>\s*<text [^>]*>([^<]*)</g,
    ),
  ].map(([, mark, title]) => `${mark} ${title}`);

describe('the report of a canary', () => {
  test('is what the judged fixture gives, the same twice', () => {
    const page = canaryPage(STORY.verdict, STORY.measured, CANARY, 'binary');
    expect(renderReport(STORY.verdict, () => page)).toBe(HEALTHY);
    expect(reportOf(JSON.parse(JSON.stringify(STORY.measured)))).toBe(HEALTHY);
  });

  test('shows both datasets side by side, and where each came to', () => {
    expect(stopsOf(HEALTHY, 'Known dataset.')).toEqual([
      '↓ Dataset',
      '↓ Pipeline succeeded',
      '↓ Registration',
      '↓ Metrics on the holdout',
      '✓ Came through',
    ]);
    expect(stopsOf(HEALTHY, 'Corrupted dataset.')).toEqual([
      '↓ Dataset',
      '↓ Quality gate',
      '↓ Pipeline succeeded',
      '↓ Registration',
      '■ Thresholds of the model: fail',
      '■ Stopped',
    ]);
    const lane = drawingOf(HEALTHY, 'Corrupted dataset.');
    expect(lane).toContain('>date = date + INTERVAL 6 HOUR<');
    expect(lane).toContain('>examples is 0.538 (95% interval 0.532 to 0.543),<');
    const down = numbersOf(lane, /<circle [^>]*>/, 'cy');
    expect(down).toEqual(down.toSorted((a, b) => a - b));
    expect(drawingOf(HEALTHY, 'Known dataset.')).toContain('flight-delay-canary/2, PendingManualApproval');
  });

  test('holds the metrics of the known dataset against their documented ranges', () => {
    const drawing = drawingOf(HEALTHY, 'Metrics of the known dataset');
    expect(drawing).toContain('auc 0.661 (95%: 0.656 to 0.666); 0.6 to 0.75 is allowed: pass');
    // 0.6 to 0.75 is all there is, with 12% at both ends, on 312 units from 14 on.
    const place = (value: number) => 14 + (312 * ((value - 0.6) / 0.15 + 0.12)) / 1.24;
    expect(numbersOf(drawing, /<rect [^>]*>/, 'x')[0]).toBeCloseTo(place(0.6), 0);
    expect(numbersOf(drawing, /<rect [^>]*>/, 'width')[0]).toBeCloseTo(place(0.75) - place(0.6), 0);
    expect(numbersOf(drawing, /<circle [^>]*>/, 'cx')[0]).toBeCloseTo(place(0.6606), 0);
  });

  test('has the executions, packages and outcomes as a table', () => {
    expect(HEALTHY).toContain('pipeline/flight-delay-training/execution/5yqustpbklnh</span>');
    expect(HEALTHY).toContain(
      '<td>1 metric on 80,000 examples</td><td>Fail: 3 of 30 checks failed; first: auc',
    );
  });

  test.each<[string, Control, string[]]>([
    [
      'stopped by the gate',
      { kind: 'stopped-by-gate', verdict: 'f'.repeat(32) },
      ['■ Quality gate', '– Pipeline', '– Registration', '– Thresholds of the model', '■ Stopped'],
    ],
    [
      'never run',
      { kind: 'not-run', reason: 'the quality gate did not judge it within 5 min' },
      ['? Not run', '– Pipeline', '– Registration', '– Thresholds of the model', '? Not known'],
    ],
    [
      'stopped by the pipeline',
      { kind: 'run', run: ended(FAILED) },
      ['↓ Quality gate', '■ Pipeline failed', '– Registration', '– Thresholds of the model', '■ Stopped'],
    ],
    [
      'stopped by somebody',
      { kind: 'run', run: ended({ state: 'stopped' }) },
      ['↓ Quality gate', '? Pipeline stopped', '– Registration', '– Thresholds of the model', '? Not known'],
    ],
    [
      'not registered',
      { kind: 'run', run: ended(SUCCEEDED) },
      ['↓ Quality gate', '↓ Pipeline succeeded', '■ Registration', '– Thresholds of the model', '■ Stopped'],
    ],
    [
      'not evaluated',
      { kind: 'run', run: ended(SUCCEEDED, [PACKAGE]) },
      [
        '↓ Quality gate',
        '↓ Pipeline succeeded',
        '↓ Registration',
        '? Thresholds of the model',
        '? Not known',
      ],
    ],
    [
      'inconclusive',
      {
        kind: 'run',
        run: ended(SUCCEEDED, [PACKAGE]),
        model: { package: PACKAGE.arn, outcome: 'inconclusive', reason: 'few' },
      },
      [
        '↓ Quality gate',
        '↓ Pipeline succeeded',
        '↓ Registration',
        '? Thresholds of the model: inconclusive',
        '? Not known',
      ],
    ],
    [
      'accepted',
      {
        kind: 'run',
        run: ended(SUCCEEDED, [PACKAGE]),
        model: { package: PACKAGE.arn, outcome: 'pass', reason: 'all met' },
      },
      [
        '↓ Quality gate',
        '↓ Pipeline succeeded',
        '↓ Registration',
        '↓ Thresholds of the model: pass',
        '↓ Accepted',
      ],
    ],
  ])('the corrupted dataset is %s', (_, control, stops) => {
    const page = reportOf({ control });
    expect(stopsOf(page, 'Corrupted dataset.')).toEqual(['↓ Dataset', ...stops]);
    const [, outcome] =
      /circle class="line f-card s-(\w+)" cx="16" cy="[\d.]+" r="10"\/><text[^>]*>.<\/text>\s*<text[^>]*>(?:Stopped|Not known|Accepted)/.exec(
        drawingOf(page, 'Corrupted dataset.'),
      )!;
    expect(outcome).toBe({ '■': 'pass', '?': 'inconclusive', '↓': 'fail' }[stops.at(-1)!.charAt(0)]);
  });

  test.each<[string, PipelineRun, string[], string]>([
    [
      'fails',
      ended(FAILED),
      ['■ Pipeline failed', '– Registration'],
      'Step Train failed; AlgorithmError: no rows',
    ],
    [
      'does not end',
      ended({ state: 'timed-out', timeoutMs: 3_600_000 }),
      ['■ Pipeline timed-out', '– Registration'],
      'did not end within 1 h.',
    ],
    ['registers nothing', ended(SUCCEEDED), ['↓ Pipeline succeeded', '■ Registration'], 'No model.'],
  ])('the pipeline %s on the known dataset', (_, known, stops, text) => {
    const page = reportOf({ known }, ['model']);
    expect(stopsOf(page, 'Known dataset.')).toEqual([
      '↓ Dataset',
      ...stops,
      '– Metrics on the holdout',
      '■ Did not come through',
    ]);
    expect(drawingOf(page, 'Known dataset.')).toContain(text);
    expect(page).not.toContain('Metrics of the known dataset');
  });

  test('a metric out of its range is drawn where it is, and fails', () => {
    const model = { ...STORY.measured.model!, metrics: [resultOf({ metric: 'auc' }, 0.82)] };
    const page = reportOf({ model });
    expect(stopsOf(page, 'Known dataset.').at(-1)).toBe('■ Did not come through');
    expect(drawingOf(page, 'Known dataset.')).toContain('>0 of 1 metric in the documented range, on 80,000<');
    const drawing = drawingOf(page, 'Metrics of the known dataset');
    const [from = 0] = numbersOf(drawing, /<rect [^>]*>/, 'x');
    const [wide = 0] = numbersOf(drawing, /<rect [^>]*>/, 'width');
    expect(numbersOf(drawing, /<circle class="f-fail"[^>]*>/, 'cx')[0]).toBeGreaterThan(from + wide);
  });

  test('escapes what others have named, and is bounded', () => {
    const reasons = Array.from({ length: 6 }, () => HOSTILE.repeat(200));
    const registered = Array.from({ length: 3000 }, () => ({
      ...PACKAGE,
      arn: HOSTILE.repeat(9),
      group: null,
    }));
    const page = reportOf({ known: ended({ state: 'failed', reasons }, registered) }, ['model']);
    expect(page).not.toContain('<script');
    expect(page).toContain('and 2,990 more');
    expect(Buffer.byteLength(page)).toBeLessThan(MAX_REPORT_BYTES / 3);
    expect(drawingOf(page, 'Known dataset.')).toMatch(/…<\/text>/);
  });
});

describe('in a browser', () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await openBrowser();
  });
  afterAll(() => browser.close());

  test.each([
    ['on a phone', HEALTHY, 360, 'light'],
    ['on a desk, in the dark', HEALTHY, 1440, 'dark'],
    [
      'a pipeline that failed, on a phone in the dark',
      reportOf({ known: ended(FAILED), control: { kind: 'stopped-by-gate', verdict: null } }, ['model']),
      360,
      'dark',
    ],
  ] as const)('%s: nothing is loaded, too wide or out of reach', async (_, page, width, scheme) => {
    expect(await look(browser, page, { width, scheme })).toEqual(FINE);
  });
});
