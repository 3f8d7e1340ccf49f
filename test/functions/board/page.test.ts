import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Board, boardOf } from '../../../functions/board/board.ts';
import { boardPage } from '../../../functions/board/page.ts';
import type { BoardRow } from '../../../functions/board/schema.ts';
import { observedOf, pointAt, releaseRow, requirementOf } from '../../support/board.ts';

const HOUR = 3_600_000;
const NOW = Date.parse('2026-07-14T09:41:00Z');
const OUTCOMES = ['pass', 'fail', 'inconclusive'] as const;

/** One row with one requirement that has come to these outcomes, the latest first, an hour apart. */
function boardWith(outcomes: readonly (typeof OUTCOMES)[number][], more: Partial<BoardRow> = {}): Board {
  const requirement = requirementOf({ schedule: 'rate(7 days)' });
  const points = outcomes.map((outcome, index) => pointAt(NOW - index * HOUR, outcome, requirement));
  const row = { model: 'churn', environment: 'production', requirements: [requirement], ...more };
  return boardOf([row], [observedOf(points)], NOW);
}

/** Its text, without tags. */
function textOf(page: string): string {
  return page
    .slice(page.indexOf('<body>'))
    .replace(/<[^>]*>/g, ' ')
    .replace(/\s+/g, ' ');
}

describe('a cell', () => {
  const page = boardPage(boardWith(['fail', 'pass', 'pass']));
  const text = textOf(page);

  test('has mark and word, since when, why, the next run and the report', () => {
    expect(text).toContain('2 Rollback rollback drill ✗ fail since 2026-07-14 09:41');
    expect(text).toContain('so it was. Run: tocsin drill rollback churn');
    expect(text).toContain('Next run by 2026-07-21 09:41');
    expect(page).toMatch(
      /<a href="\.\.\/evidence\/rollback-drill\/churn\/[0-9a-f]{32}\/report\.html">Report<span class="hidden"> on Rollback<\/span> of 2026-07-14<\/a>/,
    );
  });

  test('says how long it has been so', () => {
    const since = textOf(boardPage(boardWith(['fail', 'fail', 'fail', 'pass'])));
    expect(since).toContain('since 2026-07-14 07:41 (2 h)');
  });

  test('says that a run is due', () => {
    const late = boardOf(
      [{ requirements: [requirementOf({ schedule: 'rate(1 hour)' })] }],
      [observedOf([pointAt(NOW - 9 * HOUR)])],
      NOW,
    );
    expect(textOf(boardPage(late))).toContain('Next run is due');
  });

  test('of a gap that nothing closes has no history, and no link', () => {
    const items = page.split('<li class="never">').slice(1);
    expect(items).toHaveLength(4);
    for (const item of items.map((one) => one.slice(0, one.indexOf('</li>')))) {
      expect(item).toContain('Nothing in tocsin.yaml closes this gap.');
      expect(item).not.toMatch(/<svg|<a /);
    }
  });
});

describe('the page', () => {
  test('says first whether releases may go', () => {
    const page = boardPage(boardWith(['fail']));
    expect(page).toContain('<title>Tocsin board: not ready</title>');
    expect(textOf(page)).toContain('The release is not ready: churn in production (pipeline never closed,');
    expect(textOf(page)).toContain('Built 2026-07-14 09:41 . It is rebuilt at every verdict');
  });

  test('has all rows at a glance where there are several, with a link to each', () => {
    expect(boardPage(boardWith(['pass']))).not.toContain('<table class="glance">');
    const rows = [releaseRow(), { requirements: [requirementOf({ name: 'other' })] }];
    const observed = rows.flatMap(({ requirements }) => requirements.map(() => observedOf([])));
    const page = boardPage(boardOf(rows, observed, NOW));
    expect(page).toContain('<a href="#row-1">churn in production</a>');
    expect(page).toContain('<a href="#row-2">In no release</a>');
    expect(page.match(/id="row-\d"/g)).toEqual(['id="row-1"', 'id="row-2"']);
  });

  test('has every requirement one by one, with its line and until when it counts', () => {
    const text = textOf(boardPage(boardWith(['pass'])));
    expect(text).toContain('1 requirement, one by one Rollback drill churn ✓ pass');
    expect(text).toContain(
      'Last verdict 2026-07-14 09:41 . It counts until 2026-07-22 09:41 . tocsin.yaml:7',
    );
  });

  test('links where it is told that keys can be had, and to nothing else', () => {
    const asked: string[] = [];
    const page = boardPage(boardWith(['pass']), (key) => {
      asked.push(key);
      return key.startsWith('evidence/') ? `https://example.com/${key}?a=1&b=2` : undefined;
    });
    expect(new Set(asked.map((key) => key.replace(/[0-9a-f]{32}/, 'ID')))).toEqual(
      new Set(['board/board.json', 'evidence/rollback-drill/churn/ID/report.html']),
    );
    const links = [...page.matchAll(/<a href="([^"#][^"]*)"/g)].map(([, link]) => link);
    expect(links).toHaveLength(2);
    for (const link of links) expect(link).toMatch(/^https:\/\/example\.com\/evidence\/.*\?a=1&amp;b=2$/);
  });

  test('escapes what others have chosen', () => {
    const evil = '<script>alert(1)</script>"onload="x';
    const requirement = requirementOf({ title: evil, line: evil });
    const board = boardOf(
      [{ model: evil, environment: evil, requirements: [requirement] }],
      [observedOf([pointAt(NOW, 'fail', requirement)], evil)],
      NOW,
    );
    const page = boardPage(board, (key) => `https://example.com/${evil}${key}`);
    expect(page).not.toContain('<script');
    expect(page).not.toContain('"onload=');
    expect(page).toContain('&lt;script&gt;alert(1)');
  });

  test('is the same for the same board', () => {
    const board = boardWith(['pass', 'fail', 'inconclusive']);
    expect(boardPage(structuredClone(board))).toBe(boardPage(board));
  });
});

describe('the strip', () => {
  /** The bars of the first strip, the leftmost first: outcome and height. */
  function barsOf(page: string): { outcome: string; x: number; height: number }[] {
    const [, svg = ''] = /<svg viewBox="0 0 200 20"([\s\S]*?)<\/svg>/.exec(page) ?? [];
    const paths = [...svg.matchAll(/<path class="f-(\w+)" d="([^"]*)"/g)];
    return paths
      .flatMap(([, outcome = '', d = '']) =>
        [...d.matchAll(/M([\d.]+) [\d.]+h[\d.]+v-(\d+)/g)].map(([, x, height]) => ({
          outcome,
          x: Number(x),
          height: Number(height),
        })),
      )
      .sort((a, b) => a.x - b.x);
  }

  test('shows every run, the latest at the right', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...OUTCOMES), { minLength: 1, maxLength: 200 }), (outcomes) => {
        const bars = barsOf(boardPage(boardWith(outcomes)));
        expect(bars.map(({ outcome }) => outcome)).toEqual(outcomes.toReversed());
        expect(bars.every(({ x }) => x >= 0 && x < 200)).toBe(true);
      }),
      { numRuns: 30 },
    );
  });

  test('tells outcomes apart by their heights, and in words', () => {
    const page = boardPage(boardWith(['fail', 'inconclusive', 'pass', 'pass']));
    expect(new Set(barsOf(page).map(({ height }) => height)).size).toBe(3);
    expect(page).toContain('aria-label="History, 4 runs: 2 pass, 1 fail, 1 inconclusive"');
  });

  test('has no more than 200 runs, of several requirements the latest', () => {
    const [a, b] = [requirementOf({ name: 'a' }), requirementOf({ name: 'b' })];
    const points = (of: typeof a, outcome: 'pass' | 'fail') =>
      Array.from({ length: 150 }, (_, index) => pointAt(NOW - index * HOUR, outcome, of));
    const board = boardOf(
      [{ model: 'churn', environment: 'production', requirements: [a, b] }],
      [observedOf(points(a, 'pass')), observedOf(points(b, 'fail'))],
      NOW,
    );
    expect(boardPage(board)).toContain('aria-label="History, last 200 runs: 100 pass, 100 fail"');
  });
});
