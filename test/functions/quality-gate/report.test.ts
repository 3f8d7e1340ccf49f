import fc from 'fast-check';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { decide } from '../../../functions/quality-gate/decide.ts';
import {
  categories,
  chooseCells,
  countCategories,
  countOver,
  moments,
} from '../../../functions/quality-gate/distributions.ts';
import { idOf, type QualityVerdict } from '../../../functions/quality-gate/gate.ts';
import type { ColumnMeasurements, Measurements } from '../../../functions/quality-gate/profile.ts';
import { type QualityEvidence, qualityPage } from '../../../functions/quality-gate/report.ts';
import { parseContract } from '../../../functions/quality-gate/schema.ts';
import type { ColumnProfile, ColumnType, Profile } from '../../../functions/shared/profile.ts';
import { textOf } from '../../../functions/shared/report/html.ts';
import { MAX_REPORT_BYTES, renderReport } from '../../../functions/shared/report/verdict-page.ts';
import { FINE, look, openBrowser } from '../../support/browser.ts';
import { judgedFlights, qualityReports } from '../../support/quality-report.ts';

type Value = number | string | null;

/** Rows of one column, and what the contract says of it. */
interface Given {
  type: ColumnType;
  /** YAML of a rule, without its type. */
  rule?: string;
  batch?: readonly Value[];
  baseline?: readonly Value[];
}

function countsOf<V extends number | string>(values: readonly V[]) {
  const counts = new Map<V, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return counts;
}

function profileOf(type: ColumnType, values: readonly Value[], pii: boolean): ColumnProfile {
  const known = values.filter((value) => value !== null);
  const nulls = values.length - known.length;
  const base = {
    type,
    physical: 'TEXT',
    count: known.length,
    nulls,
    invalid: 0,
    ...(pii && { pii: true as const }),
  };
  if (type === 'string') {
    const counts = [...countsOf(known as string[])].sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1));
    const found = { values: counts.map(([value]) => value), counts: counts.map(([, count]) => count) };
    const distinct = counts.length;
    return {
      ...base,
      distinct: { value: distinct, exact: true },
      ...(!pii &&
        known.length > 0 && {
          distribution: categories(found, { rows: known.length, distinct, nulls }, 50_000),
        }),
    };
  }
  const counts = [...countsOf(known as number[])].sort(([a], [b]) => a - b);
  const found = { values: counts.map(([value]) => value), counts: counts.map(([, count]) => count) };
  const numeric = type === 'integer' || type === 'number';
  return {
    ...base,
    ...(numeric && { zeros: known.filter((value) => value === 0).length }),
    distinct: { value: counts.length, exact: true },
    ...(known.length > 0 &&
      !pii && {
        min: found.values[0]!,
        max: found.values.at(-1)!,
        ...moments(found),
        distribution: countOver(found, chooseCells(found, numeric), nulls),
      }),
  };
}

function measuredOf(
  { type, batch = [] }: Given,
  profile: ColumnProfile,
  before: ColumnProfile | undefined,
): ColumnMeasurements {
  const known = batch.filter((value) => value !== null);
  const breach = (of: (value: Value) => boolean) => {
    const rows = batch.flatMap((value, index) =>
      of(value) ? [{ row: index + 1, value: String(value) }] : [],
    );
    return { count: rows.length, samples: rows.slice(0, 5) };
  };
  const reference = before?.distribution;
  const totals = { rows: known.length, nulls: profile.nulls };
  return {
    nulls: breach((value) => value === null),
    zeros: breach((value) => value === 0),
    empty: breach((value) => value === ''),
    range: { count: 0, samples: [] },
    ...(reference?.kind === 'numeric' &&
      type !== 'string' && {
        onBaseline: countOver(
          (() => {
            const counts = [...countsOf(known as number[])].sort(([a], [b]) => a - b);
            return { values: counts.map(([value]) => value), counts: counts.map(([, count]) => count) };
          })(),
          reference,
          profile.nulls,
        ),
      }),
    ...(reference?.kind === 'categorical' && {
      onBaseline: countCategories(countsOf(known as string[]), reference, totals),
    }),
  };
}

/** A dataset that was judged, from its values; a column without a batch is missing. */
function judged(
  columns: Record<string, Given>,
  changes: Partial<Measurements> = {},
  withBaseline = Object.values(columns).some(({ baseline }) => baseline !== undefined),
): QualityEvidence {
  const rules = Object.entries(columns).map(
    ([name, { type, rule = '' }]) =>
      `  ${JSON.stringify(name)}: { type: ${type}${rule === '' ? '' : `, ${rule}`} }`,
  );
  const contractText = `contract: 1\ndataset: sales\nformat: csv\ncolumns:\n${rules.join('\n')}\n`;
  const parsed = parseContract(contractText, 'contracts/sales.yaml');
  // Lines of thousands of rules take seconds to find, and no picture has them.
  const lineless = { ...parsed, locate: () => ({ file: parsed.file, line: 1, column: 1 }) };
  const contract = Object.keys(columns).length > 100 ? lineless : parsed;
  const rowsOf = (side: 'batch' | 'baseline') =>
    Math.max(0, ...Object.values(columns).map((column) => column[side]?.length ?? 0));
  const profile = (side: 'batch' | 'baseline'): Profile => ({
    profile: 1,
    dataset: 'sales',
    tocsin: '0.1.0',
    rows: rowsOf(side),
    sha256: 'a'.repeat(64),
    columns: Object.fromEntries(
      Object.entries(columns).flatMap(([name, column]) => {
        const values = column[side];
        return values === undefined
          ? []
          : [[name, profileOf(column.type, values, /pii: true/.test(column.rule ?? ''))]];
      }),
    ),
  });
  const now = profile('batch');
  const baseline = withBaseline ? profile('baseline') : undefined;
  const measurements: Measurements = {
    malformed: { count: 0, samples: [], reasons: [] },
    actualColumns: Object.keys(now.columns),
    inconsistentFiles: [],
    profile: now,
    columns: Object.fromEntries(
      Object.entries(now.columns).map(([name, column]) => [
        name,
        measuredOf(columns[name]!, column, baseline?.columns[name]),
      ]),
    ),
    rules: {},
    asOf: null,
    ...changes,
  };
  const inputs = {
    dataset: 'sales',
    uri: 's3://raw-data/sales/1.csv',
    sha256: 'a'.repeat(64),
    contractSha256: 'c'.repeat(64),
    baselineSha256: baseline === undefined ? null : 'b'.repeat(64),
    asOf: null,
  };
  const verdict: QualityVerdict = {
    verdict: 1,
    id: idOf(inputs),
    gate: 'quality-gate',
    subject: 'sales',
    ...decide(measurements, contract, baseline),
    inputs,
    tocsin: '0.1.0',
  };
  return { verdict, measurements, contract, baseline };
}

const reportOf = (evidence: QualityEvidence) => renderReport(evidence.verdict, () => qualityPage(evidence));
/** What a browser has to say of a page. */
/** Body of the section whose title has this in it. */
function section(evidence: QualityEvidence, title: string): string {
  const found = qualityPage(evidence).sections.find((one) => one?.title.includes(title));
  return textOf(found?.body);
}
/** The figure of one column. */
function card(evidence: QualityEvidence, name: string): string {
  const text = textOf(qualityPage(evidence).sections.map((one) => one?.body));
  return new RegExp(`<figure><figcaption>${name}<small>.*?</figure>`, 's').exec(text)?.[0] ?? '';
}
const labels = (text: string) => [...text.matchAll(/aria-label="([^"]*)"/g)].map(([, label]) => label!);
const range = (count: number, of: (index: number) => number) =>
  Array.from({ length: count }, (_, index) => of(index));

let browser: Browser;
let flights: Awaited<ReturnType<typeof judgedFlights>>;

beforeAll(async () => {
  [browser, flights] = await Promise.all([openBrowser(), judgedFlights()]);
}, 60_000);

afterAll(() => browser.close());

describe('a month of flights', () => {
  test('as it should be: everything passed, each drift check is below its limit', () => {
    expect(flights.healthy.verdict.outcome).toBe('pass');
    const page = qualityPage(flights.healthy);
    expect(page.heading).toBe('Dataset flights');
    expect(page.sections.filter((one) => one !== undefined).map(({ title }) => title)).toEqual([
      'How far columns have moved from the baseline',
      'Columns that passed, those compared with the baseline first',
      'All columns in numbers',
    ]);
    const facts = textOf(page.facts.map(([name, value]) => [name, ': ', value, '\n']));
    expect(facts).toContain('s3://example-data/flights/2001-02.parquet');
    expect(facts).toContain('Rows: 120,000; baseline 120,000');
    expect(facts).toContain('Freshness: measured from 2001-02-28');
    expect(labels(section(flights.healthy, 'How far'))[1]).toMatch(
      /^6 drift checks\. delay · quantile 0\.5 \S+ \(.*\), limit 0\.2: pass, .* and delay · psi \S+ \(.*\), limit 0\.2: pass\.$/,
    );
  });

  test('with every delay set to zero: the column comes first, and shows it', () => {
    expect(flights.sick.verdict.outcome).toBe('fail');
    const [first] = qualityPage(flights.sick).sections;
    expect(first?.title).toBe('Columns that did not pass');
    const delay = card(flights.sick, 'delay');
    expect(delay).toContain('zeros: 100%, allowed at most 10%');
    expect(labels(delay)).toEqual([
      expect.stringMatching(
        /^delay\. Batch from 0 to 0; baseline from -\S+ to \S+; 0: 100% of the rows, baseline 3\.86%;/,
      ),
      expect.stringMatching(/✗|zeros 100% \(baseline 3\.86%\), at most 10%/),
    ]);
    expect(delay, 'said at the bar').toMatch(/<text class="halo"[^>]*>0: 100%<\/text>/);
    expect(labels(section(flights.sick, 'How far'))[1]).toMatch(
      /^6 drift checks\. delay · psi 11\.9 .*limit 0\.2: fail,/,
    );
    expect(section(flights.sick, 'Rows to look at')).toContain('column delay');
  });

  test('its categories are those with the largest shares, as frequent as in the baseline', () => {
    const text = card(flights.healthy, 'origin');
    const names = [...text.matchAll(/<text x="98"[^>]*>([^<]*)<\/text>/g)].map(([, name]) => name);
    expect(names).toHaveLength(13);
    expect(names.slice(0, 3).sort()).toEqual(['ATL', 'DFW', 'ORD']);
    expect(names.at(-1)).toBe('211 others');
  });

  test('the same bytes twice, also from what was stored and read back', async () => {
    const [once, twice] = [await qualityReports(), await qualityReports()];
    expect(twice).toEqual(once);
    for (const name of ['healthy', 'sick'] as const) {
      const { contract, ...rest } = flights[name];
      const stored = JSON.parse(
        JSON.stringify({ ...rest, contract: { value: contract.value, file: contract.file } }),
      );
      expect(reportOf(stored)).toBe(once[name]);
    }
  });

  test.each([
    ['healthy', 360, 'light'],
    ['healthy', 1440, 'dark'],
    ['sick', 360, 'dark'],
    ['sick', 1440, 'light'],
  ] as const)(
    '%s, %i pixels wide, %s: nothing is wrong with it in a browser',
    async (name, width, scheme) => {
      const { [name]: text } = await qualityReports();
      expect(await look(browser, text, { width, scheme })).toEqual(FINE);
    },
  );
});

describe('a histogram', () => {
  /** Bars that a drawing has, by class: x, y and height. */
  const bars = (text: string, className: string) =>
    [
      ...text.matchAll(
        new RegExp(
          `<rect class="${className}" x="([\\d.]+)" y="([\\d.]+)" width="6" height="([\\d.]+)"`,
          'g',
        ),
      ),
    ].map(([, x, y, height]) => ({ x: Number(x), y: Number(y), height: Number(height) }));
  const outline = (text: string, stroke: string) =>
    new RegExp(`<path class="line ${stroke}" d="([^"]*)"`).exec(text)?.[1] ?? '';

  test('draws whole values with room between them as bars, each as high as its share', () => {
    const evidence = judged({
      stars: {
        type: 'integer',
        batch: [1, 1, 2, 3, 3, 3, 3, 3, 3, 3],
        baseline: [1, 2, 2, 2, 2, 3, 3, 3, 3, 3],
      },
    });
    const text = card(evidence, 'stars');
    const [now, then] = [bars(text, 'f-a'), bars(text, 'f-fill-b s-b')];
    expect(now).toHaveLength(3);
    expect(then).toHaveLength(3);
    // 70 % is the highest, and has 15 % above it; the plot is 154 high and ends at 162.
    const unit = 154 / (0.7 * 1.15);
    expect(now.map(({ height }) => height)).toEqual(
      [0.2, 0.1, 0.7].map((share) => expect.closeTo(share * unit, 0)),
    );
    expect(then.map(({ height }) => height)).toEqual(
      [0.1, 0.4, 0.5].map((share) => expect.closeTo(share * unit, 0)),
    );
    for (const [index, { x }] of now.entries()) {
      expect(x - then[index]!.x, 'side by side').toBeCloseTo(7, 5);
    }
    const spaces = now.slice(1).map(({ x }, index) => x - now[index]!.x);
    expect(spaces[0], 'on an even scale').toBeCloseTo(spaces[1]!, 0);
  });

  test('draws cells as wide as they are: equal areas are equal shares', () => {
    // 48 cells of equal share, half of which lie in a tenth of the range.
    const values = [
      ...range(4800, (index) => 10 + index / 4800),
      ...range(4800, (index) => 11 + (index * 9) / 4800),
    ];
    const d = outline(card(judged({ size: { type: 'number', batch: values } }), 'size'), 's-a thin');
    const points = [...d.matchAll(/V([\d.]+)H([\d.]+)/g)].map(([, y, x]) => ({ x: Number(x), y: Number(y) }));
    const start = Number(/^M([\d.]+)/.exec(d)?.[1]);
    const middle = 52 + (1 / 10) * (340 - 52 - 14);
    let [left, below, above] = [start, 0, 0];
    for (const { x, y } of points) {
      const area = (x - left) * (162 - y);
      if (x <= middle + 2) below += area;
      else above += area;
      left = x;
    }
    expect(below / above).toBeCloseTo(1, 0.8);
    const heights = points.map(({ y }) => 162 - y);
    expect(Math.max(...heights) / Math.min(...heights.filter((height) => height > 0))).toBeGreaterThan(7);
  });

  test('uses doublings where values spread over powers of ten, and puts zero beside them', () => {
    const spread = range(2000, (index) => Math.exp(((index % 1000) / 1000 - 0.5) * 12));
    const zeroed = spread.map((value, index) => (index % 5 < 2 ? 0 : value));
    const evidence = judged({
      price: { type: 'number', rule: 'zeros: 5%', batch: zeroed, baseline: spread },
    });
    const text = card(evidence, 'price');
    expect(text).toContain('share of rows per doubling');
    const [zero] = bars(text, 'f-a');
    const first = Number(/^M([\d.]+)/.exec(outline(text, 's-b thin'))?.[1]);
    expect(zero!.x + 6).toBeLessThan(first);
    expect(labels(text)[0]).toContain('0: 40% of the rows, baseline 0%');
  });

  test('shows a batch that has left the cells of the baseline where it is', () => {
    const before = range(1000, (index) => 20 + index / 1000);
    const evidence = judged({
      weight: {
        type: 'number',
        rule: 'drift: { psi: 0.2 }',
        batch: before.map((value) => value * 1000),
        baseline: before,
      },
    });
    const text = card(evidence, 'weight');
    const start = (stroke: string) => Number(/^M([\d.]+)/.exec(outline(text, stroke))?.[1]);
    expect(start('s-a') - start('s-b thin'), 'at the other end of the picture').toBeGreaterThan(200);
    expect(text).toContain('>10,000</text>');
  });

  test('is not squeezed by a few values that are far away, and says that there are some', () => {
    const values = range(1000, (index) => (index % 100 === 0 ? 1e9 : (index % 50) - 25.5));
    const text = card(judged({ offset: { type: 'number', batch: values } }), 'offset');
    expect(text).toContain('share beyond');
    expect(text).toMatch(/>[\d.]+% ▸<\/text>/);
    expect(text, 'an axis of ordinary numbers').toContain('>-10</text>');
  });

  test('of a column that the batch lost shows what it was', () => {
    const evidence = judged({
      kept: { type: 'integer', batch: [1, 2, 3], baseline: [1, 2, 3] },
      lost: { type: 'number', baseline: range(100, (index) => index) },
    });
    const text = card(evidence, 'lost');
    expect(text).toContain('missing-column: missing, allowed present');
    expect(labels(text)[0]).toMatch(/^lost\. The batch does not have it; baseline from 0 to 99;/);
    expect(outline(text, 's-b thin')).not.toBe('');
    expect(text).not.toContain('this batch');
  });

  test('of days and moments has an axis of days', () => {
    const day = 86_400_000;
    const january = range(31, (index) => Date.UTC(2001, 0, 1) + index * day);
    const evidence = judged({
      day: { type: 'date', batch: january.map((at) => at + 31 * day), baseline: january },
      at: { type: 'timestamp', batch: january.map((at) => at + 31.5 * day), baseline: january },
    });
    expect(card(evidence, 'day')).toContain('>2001-02-01</text>');
    expect(labels(card(evidence, 'day'))[0]).toContain(
      'Batch from 2001-02-01 to 2001-03-03; baseline from 2001-01-01',
    );
    expect(labels(card(evidence, 'at'))[0]).toContain('Batch from 2001-02-01 12:00');
  });

  test('any values on both sides: every number is finite, and stays within the drawing', () => {
    const value = fc.oneof(
      fc.constantFrom<Value>(null, 0, 1, -1, 1e-9, 1e15, -1e15, Number.MAX_VALUE / 4, 5e-324),
      fc.integer({ min: -1000, max: 1000 }),
      fc.double({ min: -1e6, max: 1e6, noNaN: true }),
    );
    const side = fc.array(value, { minLength: 1, maxLength: 60 });
    const type = fc.constantFrom<ColumnType>('integer', 'number', 'timestamp', 'date');
    fc.assert(
      fc.property(
        type,
        fc.option(side, { nil: undefined }),
        fc.option(side, { nil: undefined }),
        (of, batch, baseline) => {
          const whole = (values: readonly Value[] | undefined) =>
            values?.map((one) => (typeof one === 'number' && of !== 'number' ? Math.trunc(one) : one));
          const rule =
            of === 'integer' || of === 'number' ? 'zeros: 10%, nulls: 5%, drift: { psi: 0.2 }' : 'nulls: 5%';
          const column: Given = { type: of, rule };
          const [now, then] = [whole(batch), whole(baseline)];
          if (now !== undefined) column.batch = now;
          if (then !== undefined) column.baseline = then;
          const text = textOf(
            qualityPage(judged({ x: column, other: { type: 'string', batch: ['a'] } })).sections.map(
              (one) => one?.body,
            ),
          );
          expect(text).not.toMatch(/NaN|undefined|Infinity[^%]*"/);
          for (const [, x, width] of text.matchAll(/<rect [^>]*x="(-?[\d.e-]+)"[^>]*width="(-?[\d.e-]+)"/g)) {
            expect(Number(x)).toBeGreaterThanOrEqual(0);
            expect(Number(width)).toBeGreaterThanOrEqual(0);
            expect(Number(x) + Number(width)).toBeLessThanOrEqual(341);
          }
          for (const [, d] of text.matchAll(/<path class="[^"]*" d="(M[^"]*)"/g)) {
            for (const [, y] of d!.matchAll(/V(-?[\d.e-]+)/g)) expect(Number(y)).toBeGreaterThanOrEqual(0);
          }
        },
      ),
      { numRuns: 150 },
    );
  });
});

describe('shares', () => {
  test('have the limit where it is, and both sides in one unit', () => {
    const values = (nulls: number) =>
      range(100, (index) => index + 1).map((value, index) => (index < nulls ? null : value));
    const evidence = judged({
      price: { type: 'integer', rule: 'nulls: 5%', batch: values(20), baseline: values(4) },
    });
    const text = card(evidence, 'price');
    // A full bar of 336 is a quarter of the rows, so 4 % are 53.76 and the limit of 5 % is 67.2 behind 2.
    expect(text).toContain('full width: 25% of the rows');
    expect(text).toContain('<rect class="f-a" x="2" y="19" width="268.8" height="7"/>');
    expect(text).toContain(`<rect class="f-fill-b s-b" x="2" y="26" width="53.8" height="7"/>`);
    expect(text).toContain(`<path class="line dash s-fail" d="M69.2 16V36"/>`);
    expect(labels(text)[1]).toBe('price. Nulls 20% (baseline 4%), at most 5%.');
    expect(text, 'a mark beside the colour').toContain('✗ nulls, at most 5%');
  });

  test('that are none and were to be none are words', () => {
    const evidence = judged({ price: { type: 'integer', rule: 'required: true', batch: [1, 2, 3] } });
    const text = card(evidence, 'price');
    expect(text).toContain('no null · no zero');
    expect(text).not.toContain('full width');
  });
});

describe('categories', () => {
  test('new ones are named, and where the baseline does not list all nobody knows', () => {
    const evidence = judged({
      country: { type: 'string', batch: ['DE', 'DE', 'XX', 'XX'], baseline: ['DE', 'DE', 'DE', 'FR'] },
    });
    expect(labels(card(evidence, 'country'))[0]).toBe(
      'country. Shares of the rows: DE 50% (baseline 75%), FR 0% (baseline 25%), XX 50% (baseline 0%).',
    );
    const distribution = evidence.baseline!.columns.country!.distribution!;
    Object.assign(distribution, { values: ['DE'], counts: [3], other: 1, otherDistinct: 1 });
    Object.assign(evidence.measurements.columns.country!.onBaseline!, {
      values: ['DE'],
      counts: [2],
      other: 2,
    });
    expect(labels(card(evidence, 'country'))[0]).toContain('DE 50% (baseline 75%), XX 50%');
    expect(card(evidence, 'country')).toContain('>50% / ?</text>');
  });

  test('what cannot be seen is in quotes', () => {
    const evidence = judged({ note: { type: 'string', batch: ['', ' ', 'x'] } });
    expect(card(evidence, 'note')).toContain('>&quot;&quot;</text>');
  });
});

describe('drift', () => {
  const x = (ratio: number, most: number) =>
    226 + 14 + ((Math.log10(ratio) + 2) / (most + 2)) * (534 - 226 - 34);

  test('is a multiple of each limit on one scale of powers of ten', () => {
    const evidence = judged({
      a: { type: 'integer', rule: 'drift: { psi: 0.2, mean: 0.5 }', batch: [1], baseline: [1] },
    });
    const findings = [
      { check: 'drift-psi', outcome: 'fail', limit: 0.2, low: 1, estimate: 2, high: 4 },
      { check: 'drift-mean', outcome: 'inconclusive', limit: 0.5, low: 0, estimate: 0.05, high: 1 },
    ].map(({ low, estimate, high, ...rest }) => ({
      ...rest,
      outcome: rest.outcome as 'fail' | 'inconclusive',
      subject: 'column a',
      column: 'a',
      message: 'moved',
      allowed: 'little',
      observed: String(estimate),
      value: estimate,
      interval: { low, estimate, high, confidence: 0.99 },
    }));
    const text = section({ ...evidence, verdict: { ...evidence.verdict, findings } }, 'How far');
    const circles = [...text.matchAll(/<circle class="f-(\w+)" cx="([\d.]+)"/g)].map(([, name, cx]) => [
      name,
      Number(cx),
    ]);
    expect(circles).toEqual([
      ['fail', expect.closeTo(x(10, 2), 1)],
      ['inconclusive', expect.closeTo(x(0.1, 2), 1)],
    ]);
    const limit = Number(/<path class="line dash s-ink" d="M([\d.]+) /.exec(text)?.[1]);
    expect(limit).toBeCloseTo(x(1, 2), 1);
    expect(text, 'an interval that reaches to zero has an arrow').toContain('M245 52l-5 4l5 4');
    expect(labels(text)[1]).toBe(
      '2 drift checks. a · psi 2.0 (1.0 to 4.0), limit 0.2: fail and a · mean 0.1 (0.0 to 1.0), limit 0.5: inconclusive.',
    );
  });

  test('without a baseline says what to do, and shows the batch alone', () => {
    const evidence = judged({ a: { type: 'integer', rule: 'drift: { psi: 0.2 }', batch: [1, 2, 3] } });
    expect(section(evidence, 'How far')).toContain('There is no baseline yet');
    expect(textOf(qualityPage(evidence).facts.map(([, value]) => value))).toContain(
      'none: nothing was compared',
    );
    expect(card(evidence, 'a')).not.toContain('baseline');
  });

  test('is not there where nobody asked', () => {
    expect(section(judged({ a: { type: 'integer', batch: [1] } }), 'How far')).toBe('');
  });

  test('that could not be computed is counted', () => {
    const evidence = judged({
      a: { type: 'number', rule: 'drift: { mean: 0.2 }', batch: [null, null], baseline: [1, 2] },
    });
    expect(section(evidence, 'How far')).toContain('1 check could not be made');
  });
});

describe('what is special', () => {
  test('a file that could not be read', () => {
    const evidence = judged(
      { a: { type: 'integer', rule: 'drift: { psi: 0.2 }' } },
      { unreadable: { file: 'a.csv', reason: 'it ends in the middle' } },
    );
    const text = reportOf(evidence);
    expect(text).toContain('a.csv cannot be read as csv: it ends in the middle.');
    expect(text).toContain('No column could be measured');
    expect(text).toContain('unknown: it could not be read');
    expect(text).toContain('the data could not be read');
  });

  test('no row at all, and one row', () => {
    expect(reportOf(judged({ a: { type: 'integer', batch: [] } }))).toContain('No row has a usable value.');
    const one = judged({ a: { type: 'number', batch: [0.5] } });
    expect(labels(card(one, 'a'))[0]).toBe('a. Batch from 0.5 to 0.5; 0.5: 100% of the rows.');
  });

  test('personal data: shares, and no value anywhere', () => {
    const names = ['Ada', 'Grace', 'Edsger'];
    const evidence = judged({
      name: { type: 'string', rule: 'pii: true, nulls: 10%', batch: [...names, null], baseline: names },
      age: { type: 'integer', rule: 'pii: true', batch: [4711, 4712, 4713, 4714], baseline: [4711] },
    });
    evidence.verdict.findings.find(({ check }) => check === 'nulls')!.samples = [{ row: 4 }];
    const text = reportOf(evidence);
    for (const value of [...names, '4711', '4,711', '4714']) expect(text).not.toContain(value);
    expect(card(evidence, 'name')).toContain('personal data: no value is kept');
    expect(labels(card(evidence, 'name'))[0]).toBe('name. Nulls 25% (baseline 0%), at most 10%.');
    expect(section(evidence, 'Rows to look at')).toContain(
      'Values of columns that the contract marks as personal data',
    );
  });

  test('rows to look at have their file where there are several', () => {
    const evidence = judged({ a: { type: 'integer', rule: 'zeros: 10%', batch: [0, 0, 1] } });
    expect(section(evidence, 'Rows to look at')).not.toContain('file');
    const [finding] = evidence.verdict.findings;
    finding!.samples = [{ file: 'part-2.csv', row: 3, value: '0' }];
    expect(section(evidence, 'Rows to look at')).toContain('part-2.csv');
  });

  test('columns that are called like what every object has', () => {
    const evidence = judged({
      ...Object.fromEntries<Given>([
        ['constructor', { type: 'integer', batch: [1, 2], baseline: [1, 2] }],
        ['toString', { type: 'string', batch: ['a', 'b'], baseline: ['a'] }],
      ]),
      lost: { type: 'integer', baseline: [1] },
    });
    expect(card(evidence, 'constructor')).toContain('this batch');
    expect(card(evidence, 'toString')).toContain('this batch');
  });

  const HOSTILE = '<script>alert("x")</script>\'"><img src=x onerror=alert(1)>';

  test('hostile names and values stay text, and the page is fine in a browser', async () => {
    const evidence = judged({
      [HOSTILE]: {
        type: 'string',
        rule: 'empty: 1%, drift: { js: 0.1 }',
        batch: ['', HOSTILE, `${HOSTILE}\u202e`, 'x'.repeat(5000), '\u0000'],
        baseline: [HOSTILE, 'y'.repeat(5000)],
      },
      ['W'.repeat(900)]: { type: 'number', rule: 'zeros: 1%', batch: [0, 1, 2, 3, 4], baseline: [1, 2] },
    });
    evidence.verdict.inputs.uri = `s3://raw-data/${HOSTILE}`;
    const text = reportOf(evidence);
    expect(text).not.toMatch(/<script|<img|onerror=alert\(1\)>[^&]*<\/img/);
    expect(text).not.toContain('\u202e');
    expect(await look(browser, text, { width: 360, scheme: 'light' })).toEqual(FINE);
  });

  test('2,000 columns: 24 pictures, those that did not pass first, and the names of others', async () => {
    const value = (index: number) => range(40, (row) => ((row * (index + 3)) % 17) + row / 10);
    const columns = Object.fromEntries(
      range(2000, (index) => index).map((index): [string, Given] => [
        `column_${index}_${'"'.repeat(30)}`,
        {
          type: 'number',
          // Only some are compared: judging thousands of drift checks takes seconds.
          rule: index < 60 ? 'zeros: 10%, drift: { mean: 0.3 }' : 'zeros: 10%',
          batch: index === 1999 ? range(40, () => 0) : value(index),
          baseline: value(index),
        },
      ]),
    );
    const evidence = judged(columns);
    // Few rows cannot tell; only the last one shall stand out.
    for (const finding of evidence.verdict.findings)
      if (finding.outcome === 'inconclusive') finding.outcome = 'pass';
    const text = reportOf(evidence);
    expect(Buffer.byteLength(text)).toBeLessThan(MAX_REPORT_BYTES);
    expect(text.match(/<figure>/g)).toHaveLength(24);
    expect(text.indexOf('<figcaption>column_1999_')).toBeGreaterThan(0);
    expect(text.indexOf('<figcaption>column_1999_')).toBeLessThan(text.indexOf('<figcaption>column_0_'));
    expect(text).toContain('There are pictures of 24 of 2,000 columns. 1,976 columns more:');
    expect(text).toContain('and 1936 more');
    expect(text).not.toContain('There was no room for');
    expect((await look(browser, text, { width: 1440, scheme: 'light' })).violations).toEqual([]);
  });

  test('2,000 columns that all fail still fit', () => {
    const columns = Object.fromEntries(
      range(2000, (index) => index).map((index): [string, Given] => [
        `${'"'.repeat(200)}${index}`,
        {
          type: 'number',
          rule: 'zeros: 1%',
          batch: range(40, () => 0),
          baseline: range(40, (row) => row + 0.5),
        },
      ]),
    );
    const text = reportOf(judged(columns));
    expect(Buffer.byteLength(text)).toBeLessThan(MAX_REPORT_BYTES);
    expect(text).toContain('Columns that did not pass');
  });
});
