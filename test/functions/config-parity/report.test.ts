import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Difference } from '../../../functions/config-parity/comparison.ts';
import type { Evaluation } from '../../../functions/config-parity/evaluate.ts';
import { sourcesOf, verdictOf } from '../../../functions/config-parity/identity.ts';
import { judgeProbes } from '../../../functions/config-parity/probes.ts';
import { parityPage } from '../../../functions/config-parity/report.ts';
import {
  DIFFERENCE_KINDS,
  type DifferenceKind,
  type Parity,
  type Side,
} from '../../../functions/config-parity/schema.ts';
import type { Resource, Snapshot } from '../../../functions/config-parity/snapshot.ts';
import { MAX_REPORT_BYTES, renderReport } from '../../../functions/shared/report/verdict-page.ts';
import type { Verdict } from '../../../functions/shared/verdict.ts';
import { loadConfig } from '../../../lib/config.ts';
import { FINE, look, openBrowser } from '../../support/browser.ts';
import {
  ABSENT,
  answersOf,
  comparisonOf,
  differenceOf,
  entryOf,
  evaluationOf,
  outcomeOf,
  PROBES,
  parityOf,
  snapshotOf,
} from '../../support/parity-facts.ts';

type Snapshots = Record<Side, Snapshot>;

/** The report of what was measured, judged anew. */
function render(
  parity: Parity,
  evaluation: Evaluation = evaluationOf(parity),
  snapshots: Snapshots = { staging: snapshotOf('staging'), production: snapshotOf('production') },
): string {
  const verdict = verdictOf(snapshots.staging, snapshots.production, evaluation, parity, sourcesOf(parity));
  return renderReport(verdict, () => parityPage(verdict, evaluation, snapshots, parity));
}

const withDifferences = (differences: readonly Difference[], ...entries: Record<string, unknown>[]) => {
  const parity = parityOf({}, entries);
  return render(parity, evaluationOf(parity, comparisonOf(differences)));
};

/** A run of the sandbox, as it was stored. */
function story(name: string): string {
  const read = (file: string) =>
    JSON.parse(readFileSync(`test/fixtures/stories/parity-${name}/${file}.json`, 'utf8'));
  const parity = loadConfig('tocsin.yaml').parities.get('flight-delay');
  if (parity === undefined) throw new Error('tocsin.yaml has no such comparison');
  const verdict = read('verdict');
  const snapshots = { staging: read('staging'), production: read('production') };
  return renderReport(verdict as Verdict, () => parityPage(verdict, read('comparison'), snapshots, parity));
}

const HEALTHY = story('healthy');
const SICK = story('sick');

/** One section of a page, from its heading to the next. */
function section(text: string, title: string): string {
  const at = text.indexOf(`<h2>${title}</h2>`);
  if (at < 0) throw new Error(`there is no section ${title}`);
  return text.slice(at, text.indexOf('</section>', at));
}

/** What a reader sees of markup, in one line. */
const words = (markup: string) =>
  markup
    .replaceAll(/<\/?(?:a|em|mark|span|strong|wbr)\b[^>]*>/g, '')
    .replaceAll(/<[^>]*>/g, ' ')
    .replaceAll('&quot;', '"')
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&amp;', '&')
    .replaceAll(/\s+/g, ' ')
    .trim();

/** The description of the drawing that begins so. */
function label(text: string, title: string): string {
  const [, found] = new RegExp(`aria-label="(${title}[^"]*)"`).exec(text.replaceAll('&#39;', "'")) ?? [];
  if (found === undefined) throw new Error(`there is no drawing ${title}`);
  return found;
}

function resource(kind: Resource['kind'], name: string, value: Resource['value'] = { a: 1 }): Resource {
  return { kind, name, physical: name, value };
}

const at = (kind: DifferenceKind, staging = 'off', production = 'on', name = 'MODE') =>
  differenceOf(['functions', 'features', 'environment', name], staging, production, kind);

describe('runs of the sandbox', () => {
  it('says of equal environments that nothing is undocumented, and what is documented', () => {
    expect(words(section(HEALTHY, 'Differences that nobody has documented'))).toBe(
      'Differences that nobody has documented None.',
    );
    const documented = words(section(HEALTHY, 'Documented differences'));
    expect(documented).toContain('1 entry of parity.yaml: 1 in force. Days are counted from 2026-11-22');
    expect(documented).toContain(
      'pass endpoints.flight-delay-booking.variants[primary].instances: in force, 26,702 days left, booking-platform',
    );
    expect(documented).toContain(
      'Reason production answers every booking, staging a few tests Owner booking-platform',
    );
    expect(documented).toContain(
      'Test production >= staging What came of it Its test, production >= staging, holds. Kind capacity What endpoints.flight-delay-booking.variants[primary].instances is about staging production endpoints.flight-delay-booking.variants[primary].instances 1 2',
    );
    expect(section(HEALTHY, 'Documented differences')).not.toContain('<details open>');
    expect(words(section(HEALTHY, 'Behaviour'))).toMatch(
      /pass flight-delay of flight-delay-booking .* 6 golden requests answered alike/,
    );
    expect(section(HEALTHY, 'Behaviour')).not.toContain('Not answered alike');
  });

  it('shows the one setting that differs, and every answer that does', () => {
    expect(words(section(SICK, 'Differences that nobody has documented'))).toContain(
      '✗ fail environment 1 difference, severity high: variables, parameters, locations, roles. environment: what nobody has documented staging production models.flight-delay-booking.containers[0].environment.DISTANCE_UNIT miles km',
    );
    const behaviour = words(section(SICK, 'Behaviour'));
    expect(behaviour).toContain('1 0.157 0.1505 0.157 different');
    expect(behaviour).toContain('6 0.2822 0.3215 0.2822 different');
    // It is not among the examples of the comparison, which are five.
    expect(behaviour).toContain(
      'Answered alike: flight-delay request staging production recorded answers 5 0.2833 0.2833 0.2833 alike',
    );
    expect(label(SICK, 'Values, by kind of difference')).toContain(
      'environment: 2 equal and 1 undocumented; safety: 17 equal; capacity: 1 equal and 1 documented',
    );
    expect(label(SICK, 'Things, by what they are')).toBe(
      'Things, by what they are. endpoints: 1 documented; models: 1 undocumented; alarms: 1 equal; parameters: 1 equal.',
    );
  });

  it('says what was read, where and when', () => {
    expect(words(section(SICK, 'What was read'))).toContain(
      'what staging production account 000000000000 000000000000 region us-east-1 us-east-1 read at 2026-11-22T23:30:22.452Z 2026-11-22T23:30:22.459Z endpoints 1 1 models 1 1 alarms 1 1 parameters 1 1 could not be read 0 0 was changing meanwhile 0 0',
    );
    expect(words(section(SICK, 'What was read'))).toContain('{environment} staging production 4');
  });

  it('is the same every time, and needs neither scripts nor anything else', () => {
    expect(story('sick')).toBe(SICK);
    expect(SICK).not.toMatch(/<script|src=|@import|url\(/);
    expect(Buffer.byteLength(SICK)).toBeLessThan(60_000);
  });
});

describe('pictures', () => {
  it('draw each part of a bar by its share, and the least so that it is seen', () => {
    const parity = parityOf();
    const comparison = comparisonOf([at('environment')], {
      equal: { schema: 0, inference: 0, environment: 9_999, safety: 0, capacity: 0, cosmetic: 0 },
    });
    const text = section(render(parity, evaluationOf(parity, comparison)), 'At a glance');
    // 340 wide: 6 for the one, the rest for 9,999; each ends one before the next.
    expect(text).toContain('<rect class="f-fill-a" x="0" y="100" width="333" height="9"/>');
    expect(text).toContain('<rect class="f-fail" x="334" y="100" width="5" height="9"/>');
    expect(label(text, 'Values, by kind of difference')).toContain(
      'schema: no value; inference: no value; environment: 9,999 equal and 1 undocumented',
    );
  });

  it('have no bar that is longer than the drawing', () => {
    const counts = fc.record(
      Object.fromEntries(DIFFERENCE_KINDS.map((kind) => [kind, fc.nat({ max: 1_000_000 })])) as Record<
        DifferenceKind,
        fc.Arbitrary<number>
      >,
    );
    const kinds = fc.array(fc.constantFrom(...DIFFERENCE_KINDS), { maxLength: 12 });
    fc.assert(
      fc.property(counts, kinds, (equal, found) => {
        const parity = parityOf({}, [entryOf({ path: 'functions.features.environment.D*' })]);
        const differences = found.map((kind, index) =>
          at(kind, 'a', 'b', `${index % 2 === 0 ? 'D' : 'U'}${index}`),
        );
        const page = render(parity, evaluationOf(parity, comparisonOf(differences, { equal })));
        const bars = [
          ...section(page, 'At a glance').matchAll(
            /<rect class="[^"]*" x="([^"]*)" y="[^"]*" width="([^"]*)" height="9"/g,
          ),
        ];
        const there = DIFFERENCE_KINDS.filter((kind) => equal[kind] > 0 || found.includes(kind)).length;
        expect(bars.length).toBeGreaterThanOrEqual(there);
        for (const [, x, width] of bars) {
          expect(Number(width)).toBeGreaterThanOrEqual(1.9);
          expect(Number(x) + Number(width)).toBeLessThanOrEqual(340);
        }
      }),
      { numRuns: 40 },
    );
  });

  it('colour what only warns as a warning', () => {
    const text = section(withDifferences([at('cosmetic')]), 'At a glance');
    expect(text).toContain('class="f-warn"');
    expect(text.replaceAll(/<rect class="f-fail"[^>]*height="3"\/>/g, '')).not.toContain('class="f-fail"');
    expect(text).toContain('of cosmetic it warns');
  });

  it('put each answer where its number is', () => {
    const parity = parityOf(PROBES);
    const staging = snapshotOf('staging', { probes: [answersOf([0, 10], [0, 10])] });
    const production = snapshotOf('production', { probes: [answersOf([0, 5], [0, 10])] });
    const probes = judgeProbes(staging, production, parity.value);
    const text = section(
      render(parity, evaluationOf(parity, undefined, { probes }), { staging, production }),
      'Behaviour',
    );
    const dots = [...text.matchAll(/<circle class="f-a" cx="([^"]*)" cy="([^"]*)" r="3"\/>/g)].map(
      ([, x, y]) => [Number(x), Number(y)],
    );
    const rings = [...text.matchAll(/<circle class="line s-b" cx="([^"]*)" cy="([^"]*)" r="5"\/>/g)].map(
      ([, x, y]) => [Number(x), Number(y)],
    );
    // Room from 58 to 330, of two requests each has half.
    expect(dots.map(([x]) => x)).toEqual([126, 262]);
    expect(rings.map(([x]) => x)).toEqual([126, 262]);
    expect(dots[0]).toEqual(rings[0]);
    // 5 is in the middle of 0 and 10.
    const [bottom = 0, top = 0] = dots.map(([, y]) => y);
    expect(rings[1]?.[1]).toBeCloseTo((bottom + top) / 2, 0);
    expect(top).toBeLessThan(bottom);
    expect(label(text, 'Answers to the probe delay')).toContain(
      'Of 2 golden requests 1 is answered differently: number 1 0 in staging, 0 in production; number 2 10 in staging, 5 in production.',
    );
  });

  it('draw no answers that are no numbers, and say how many', () => {
    const parity = parityOf(PROBES);
    const of = (staging: Snapshot, production: Snapshot) => {
      const probes = judgeProbes(staging, production, parity.value);
      return section(
        render(parity, evaluationOf(parity, undefined, { probes }), { staging, production }),
        'Behaviour',
      );
    };
    const taking = (side: Side, ...answers: Parameters<typeof answersOf>[0]) =>
      snapshotOf(side, { probes: [answersOf(answers)] });
    expect(of(taking('staging', 'late'), taking('production', 'early'))).not.toContain('<circle');
    const text = of(taking('staging', 1, { error: 'ModelError 500' }), taking('production', 1, 2));
    expect(text).toContain('1 request without two numbers is not drawn.');
    expect(words(text)).toContain('2 ModelError 500 2 no two answers');
  });
});

describe('answers', () => {
  it('that are alike, and not as they are recorded, are no agreement', () => {
    const parity = parityOf(PROBES);
    const [staging, production] = (['staging', 'production'] as const).map((side) =>
      snapshotOf(side, { probes: [answersOf([0.5, 0.25], [0.5, 0.75])] }),
    ) as [Snapshot, Snapshot];
    const probes = judgeProbes(staging, production, parity.value);
    const page = render(parity, evaluationOf(parity, undefined, { probes }), { staging, production });
    const text = words(section(page, 'Behaviour'));
    expect(text).toContain(
      'Not answered alike: delay request staging production recorded answers 2 0.25 0.25 0.75 alike, and not as recorded',
    );
    expect(text).toContain('1 golden request answered alike');
  });

  it('to other golden requests are not put side by side', () => {
    const parity = parityOf(PROBES);
    const staging = snapshotOf('staging', { probes: [answersOf([0.5])] });
    const production = snapshotOf('production', {
      probes: [answersOf([0.5], [null], { sha256: 'e'.repeat(64) })],
    });
    const probes = judgeProbes(staging, production, parity.value);
    const page = render(parity, evaluationOf(parity, undefined, { probes }), { staging, production });
    const text = section(page, 'Behaviour');
    expect(words(text)).toContain(
      '? inconclusive delay of flight-delay the two were asked other golden requests',
    );
    expect(text).not.toContain('<table');
  });

  it('of the probes that failed come first', () => {
    const probe = { endpoint: 'flight-delay', golden: 's3://release/golden.jsonl' };
    const parity = parityOf({ probes: { good: probe, open: probe, bad: probe } });
    const probes = [
      outcomeOf({ probe: 'good' }),
      outcomeOf({ probe: 'open', outcome: 'inconclusive' }),
      outcomeOf({ probe: 'bad', outcome: 'fail' }),
    ];
    const text = section(render(parity, evaluationOf(parity, undefined, { probes })), 'Behaviour');
    expect([...text.matchAll(/<h3>(.*?)<\/h3>/g)].map(([, head = '']) => words(head))).toEqual([
      '✗ fail bad of flight-delay',
      '? inconclusive open of flight-delay',
      '✓ pass good of flight-delay',
    ]);
  });
});

describe('differences', () => {
  it('stand by kind, those that fail first, each with both values', () => {
    const text = section(
      withDifferences([
        at('cosmetic', 'a', 'b', 'C'),
        at('safety', 'a', 'b', 'S'),
        at('schema', 'a', 'b', 'X'),
      ]),
      'Differences that nobody has documented',
    );
    const heads = [...text.matchAll(/<h3>(.*?)<\/h3>/g)].map(([, head = '']) => words(head));
    expect(heads).toEqual(['✗ fail schema', '✗ fail safety', '! warning cosmetic']);
  });

  it('mark what differs within long values alone', () => {
    const uri = (bucket: string) => `s3://${bucket}/models/flight-delay/2026/model.tar.gz`;
    const text = section(
      withDifferences([
        at('inference', uri('attic'), uri('live')),
        at('environment', '1', '2', 'ALL'),
        differenceOf(['functions', 'gone'], { memory: 128 }, ABSENT, 'inference'),
      ]),
      'Differences that nobody has documented',
    );
    expect([...text.matchAll(/<mark>(.*?)<\/mark>/g)].map(([, one]) => one)).toEqual(['attic', 'live']);
    expect(text).toContain('<td><span class="mono">1</span></td><td><span class="mono">2</span></td>');
    expect(text).toContain('{&quot;memory&quot;:128}</span></td><td><em class="soft">absent</em></td>');
  });

  it('show secrets by their hashes, and say so', () => {
    const text = words(
      withDifferences([at('environment', 'sha256:ab12cd34ef56ab12', 'sha256:cd34ab12ef56ab12')]),
    );
    expect(text).toContain(
      'functions.features.environment.MODE (a secret, by its hash) sha256:ab12… sha256:cd34…',
    );
  });

  it('say what two values differ in that look the same', () => {
    const difference: Difference = {
      ...at('environment', 'flights-staging', 'flights-staging'),
      staging: { value: 'flights-staging', folded: 'flights-{environment}' },
    };
    expect(words(withDifferences([difference]))).toContain(
      '("flights-staging" in both, and it names staging) flights-{environment} flights-staging',
    );
  });

  it('show nothing of a snapshot but what was read, and what was answered', () => {
    const parity = parityOf();
    const [staging, production] = (['staging', 'production'] as const).map((side) =>
      snapshotOf(side, { resources: [resource('functions', 'features', { password: 'hunter2' })] }),
    ) as [Snapshot, Snapshot];
    const text = render(parity, evaluationOf(parity), { staging, production });
    expect(text).not.toContain('hunter2');
    expect(label(text, 'Things, by what they are')).toContain('functions: 1 equal');
  });
});

describe('documented differences', () => {
  const path = 'functions.features.environment.MODE';
  const entry = (change: Record<string, unknown>) => entryOf({ path, ...change });
  const documentedIn = (change: Record<string, unknown>, differences = [at('environment', '1', '2')]) =>
    section(withDifferences(differences, entry(change)), 'Documented differences');

  it('are counted in days of the comparison, and folded only while they are in force', () => {
    const holding = documentedIn({});
    expect(words(holding)).toContain(`✓ pass ${path}: in force, 70 days left, ml-platform`);
    expect(holding).not.toContain('<details open>');
    expect(words(documentedIn({ expires: '2026-11-22' }))).toContain(
      `! warning ${path}: in force, its last day`,
    );
    expect(words(documentedIn({ expires: '2026-12-06' }))).toContain(
      `! warning ${path}: in force, 14 days left`,
    );
    expect(words(documentedIn({ expires: '2026-12-07' }))).toContain(
      `✓ pass ${path}: in force, 15 days left`,
    );
  });

  it('stand open where they are void, with why', () => {
    const expired = documentedIn({ expires: '2026-11-12' });
    expect(expired).toContain('<details open>');
    expect(words(expired)).toContain(`✗ fail ${path}: expired, 10 days over, ml-platform`);
    expect(words(expired)).toContain(
      'Expires 2026-11-12: 10 days over Test production != staging What came of it It held until 2026-11-12.',
    );
    const failing = documentedIn({ test: { relation: 'production <= staging' } });
    expect(words(failing)).toContain(`✗ fail ${path}: failing, 70 days left`);
    expect(words(failing)).toContain('Its test, production <= staging, fails.');
    const stale = documentedIn({}, []);
    expect(words(stale)).toContain(`✗ fail ${path}: stale, ml-platform`);
    expect(words(stale)).toContain('There is no such difference any more. Kind no difference');
  });

  it('count as undocumented in the pictures where they are void, as in the verdict', () => {
    const of = (change: Record<string, unknown>) =>
      withDifferences([at('environment', '1', '2')], entry(change));
    expect(label(of({}), 'Values')).toContain('environment: 12 equal and 1 documented');
    expect(label(of({}), 'When documented differences end')).toBe(
      `When documented differences end. ${path} in 70 days.`,
    );
    const expired = of({ expires: '2026-11-12' });
    expect(label(expired, 'Values')).toContain('environment: 12 equal and 1 undocumented');
    expect(expired).toContain('by an entry that has expired or fails counts as undocumented');
    expect(expired).not.toContain('When documented differences end');
  });

  it('are not known where their probe says nothing', () => {
    const parity = parityOf(PROBES, [entry({ test: { probe: 'delay' } })]);
    const probes = [
      outcomeOf({ outcome: 'inconclusive', agreed: 0, answered: 0, why: 'nobody asked staging' }),
    ];
    const text = render(
      parity,
      evaluationOf(parity, comparisonOf([at('environment', '1', '2')]), { probes }),
    );
    expect(words(section(text, 'Documented differences'))).toContain(
      `? inconclusive ${path}: not known, 70 days left`,
    );
    expect(words(section(text, 'Behaviour'))).toContain(
      '? inconclusive delay of flight-delay nobody asked staging.',
    );
  });

  it('end in the order of their days, and eight of them are drawn', () => {
    const days = [30, 3, 400, 60, 90, 120, 150, 180, 20, 210];
    const entries = days.map((count, index) =>
      entryOf({
        path: `functions.features.environment.M${index}`,
        expires: new Date(Date.UTC(2026, 10, 22 + count)).toISOString().slice(0, 10),
      }),
    );
    const text = withDifferences(
      days.map((_, index) => at('environment', '1', '2', `M${index}`)),
      ...entries,
    );
    expect(label(text, 'When documented differences end').match(/in \d+ days/g)).toEqual(
      [3, 20, 30, 60, 90, 120, 150, 180].map((count) => `in ${count} days`),
    );
    expect(text).toContain('2 more end later.');
    // 328 are a year.
    expect(section(text, 'At a glance')).toContain(
      `<rect class="f-warn" x="0" y="18" width="2.7" height="9"/>`,
    );
    expect(section(text, 'At a glance')).toContain(`<rect class="f-c" x="0" y="50" width="18" height="9"/>`);
  });
});

describe('what is not known', () => {
  it('is no equal: of single things, of whole listings, of what was changing, of what could not be told apart', () => {
    const parity = parityOf();
    const resources = ['a', 'b', 'c', 'd'].map((name) => resource('functions', name));
    const staging = snapshotOf('staging', { resources });
    const production = snapshotOf('production', {
      resources,
      unreadable: [
        {
          path: ['functions', 'a', 'environment'],
          physical: 'a-prod',
          action: 'lambda:GetFunction',
          why: 'AccessDeniedException',
        },
        {
          path: ['rules', 'landed'],
          physical: 'landed-prod',
          action: 'events:DescribeRule',
          why: 'ThrottlingException',
        },
        {
          path: ['alarms'],
          physical: 'Stack',
          action: 'cloudwatch:DescribeAlarms',
          why: 'ThrottlingException',
        },
      ],
      unsettled: [{ path: ['functions', 'b'], physical: 'b-prod', status: 'Updating' }],
    });
    const comparison = comparisonOf([], {
      ambiguous: [{ side: 'staging', path: ['functions', 'c'], text: 'functions.c', physical: ['c1', 'c2'] }],
      missing: [{ path: ['tables', 'x'], text: 'tables.x', staging: 'x_staging', production: 'x_prod' }],
    });
    const text = render(parity, evaluationOf(parity, comparison), { staging, production });
    expect(label(text, 'Things, by what they are')).toBe(
      'Things, by what they are. alarms: 1 not known; functions: 1 equal and 3 not known; rules: 1 not known.',
    );
    const read = words(section(text, 'What was read'));
    expect(read).toContain('could not be read 0 3 was changing meanwhile 0 1');
    expect(read).toContain('production a-prod lambda:GetFunction: AccessDeniedException');
    expect(read).toContain('production b-prod Updating while it was read');
    expect(read).toContain('staging functions.c may be any of 2: c1 and c2');
    expect(read).toContain('neither tables.x there is no x_staging in staging, and no x_prod in production');
  });

  it('is everything, where nothing was read', () => {
    const parity = parityOf();
    const nothing = { schema: 0, inference: 0, environment: 0, safety: 0, capacity: 0, cosmetic: 0 };
    const text = render(parity, evaluationOf(parity, comparisonOf([], { resources: 0, equal: nothing })));
    expect(text).not.toContain('Things, by what they are');
    expect(label(text, 'Values, by kind of difference')).toContain('cosmetic: no value.');
    expect(words(section(text, 'Behaviour'))).toContain('nobody asked both endpoints the same');
    expect(text).not.toContain('<h2>Documented differences</h2>');
    expect(text).not.toContain('NaN');
  });
});

/** As much of everything as there may be, with names that somebody has chosen with care. */
function hostile(count: number): string {
  const name = (index: number) => `"><script>alert(${index})</script>'&\u202e\u0007${'<'.repeat(index % 9)}`;
  const parity = parityOf(
    PROBES,
    Array.from({ length: Math.min(count, 1000) }, (_, index) =>
      entryOf({
        path: `functions.features-${index}.**`,
        reason: `<b>${'"&'.repeat(200)}`,
        owner: name(index).replace(/\p{C}/gu, ''),
      }),
    ),
  );
  const differences = Array.from({ length: count }, (_, index) =>
    differenceOf(
      ['functions', `features-${index}`, name(index)],
      `${name(index).repeat(9)}1`,
      `${name(index).repeat(9)}2`,
      DIFFERENCE_KINDS[index % DIFFERENCE_KINDS.length],
    ),
  );
  const resources = Array.from({ length: count }, (_, index) => resource('functions', `features-${index}`));
  const answers = Array.from({ length: 50 }, (_, index) => index / 7);
  const [staging, production] = (['staging', 'production'] as const).map((side, offset) =>
    snapshotOf(side, {
      resources,
      probes: [
        answersOf(
          answers.map((one, index) => (index % 3 === 0 ? name(index) + offset : one + offset * (index % 2))),
        ),
      ],
      unreadable: Array.from({ length: count }, (_, index) => ({
        path: ['rules', `rule-${index}`],
        physical: name(index),
        action: 'events:DescribeRule',
        why: `Error${index}`,
      })),
    }),
  ) as [Snapshot, Snapshot];
  const probes = judgeProbes(staging, production, parity.value);
  const comparison = comparisonOf(differences, {
    foldings: Array.from({ length: count }, (_, index) => ({
      as: name(index),
      staging: name(index),
      production: name(index),
      values: 1,
      examples: [],
    })),
    ambiguous: differences
      .slice(0, count / 2)
      .map(({ path, text }) => ({ side: 'staging', path, text, physical: [name(1), name(2)] })),
  });
  return render(parity, evaluationOf(parity, comparison, { probes }), { staging, production });
}

const HOSTILE = hostile(5_000);

describe('thousands of hostile names', () => {
  it('fit, with every section, and say what is left out', () => {
    expect(Buffer.byteLength(HOSTILE)).toBeLessThanOrEqual(MAX_REPORT_BYTES);
    expect(HOSTILE).not.toContain('There was no room for');
    const undocumented = section(HOSTILE, 'Differences that nobody has documented');
    for (const kind of DIFFERENCE_KINDS) {
      expect(undocumented).toContain(`<caption class="hidden">${kind}: what nobody has documented</caption>`);
    }
    expect(words(undocumented)).toMatch(/And \d+ more differences, in comparison\.json\./);
    expect(words(section(HOSTILE, 'Documented differences'))).toMatch(
      /And 9\d\d more entries, in comparison\.json\./,
    );
    expect(words(section(HOSTILE, 'What was read'))).toMatch(/And [\d,]+ more things, in/);
    expect(section(HOSTILE, 'Behaviour')).toContain('Not answered alike: delay');
  });

  it('are text, in which what nobody sees is seen', () => {
    expect(HOSTILE).not.toContain('<script');
    expect(HOSTILE.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}]/u);
    expect(section(HOSTILE, 'Differences that nobody has documented')).toContain('\\u202e\\u0007');
  });
});

describe('in a browser', () => {
  it('loads nothing, fits its window, and is accessible, on a phone and a screen, light and dark', async () => {
    const browser = await openBrowser();
    try {
      for (const [text, view] of [
        [SICK, { width: 360, scheme: 'dark' }],
        [SICK, { width: 1440, scheme: 'light' }],
        [hostile(12), { width: 360, scheme: 'light' }],
        [hostile(12), { width: 1440, scheme: 'dark' }],
      ] as const) {
        const seen = await look(browser, text, view);
        expect({ view, ...seen }).toEqual({ view, ...FINE });
      }
    } finally {
      await browser.close();
    }
  }, 120_000);
});
