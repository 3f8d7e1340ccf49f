import { mkdir, readFile, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { boardPage } from '../functions/board/page.ts';
import { MAX_REPORT_BYTES } from '../functions/shared/report/verdict-page.ts';
import { FINE, look, openBrowser } from './support/browser.ts';
import { STORIES, storyBoard, storyReports } from './support/story-reports.ts';

/* The board and the ten reports of the stories, as somebody opens them: in a real browser. */

/** Whole pages, for who wants to look at what was tested. */
const PICTURES = join(tmpdir(), 'tocsin-pictures');

/** What the README shows of them; `npm run pictures` has it written there. */
const SHOWN = process.env.TOCSIN_PICTURES ?? join(PICTURES, 'readme');
const README = [
  { name: 'board', height: 880 },
  { name: 'data-sick', height: 1690 },
  { name: 'rollback-sick', height: 1690 },
] as const;

const NAMES = ['board', 'canary-healthy', ...STORIES.flatMap((gap) => [`${gap}-healthy`, `${gap}-sick`])];

let browser: Browser;
let pages: Record<string, string> = {};
beforeAll(async () => {
  pages = { ...(await storyReports()), board: boardPage(storyBoard()) };
  browser = await openBrowser();
});
afterAll(() => browser.close());

describe.each(NAMES)('the page %s', (name) => {
  const page = () => pages[name] ?? '';

  it('is one file that fits', () => {
    expect(Buffer.byteLength(page())).toBeGreaterThan(5_000);
    expect(Buffer.byteLength(page())).toBeLessThan(MAX_REPORT_BYTES);
  });

  it.each([
    { width: 360, scheme: 'light' },
    { width: 1440, scheme: 'dark' },
  ] as const)('is shown $scheme, $width pixels wide, without a fault', async (view) => {
    const screenshot = join(PICTURES, `${name}-${view.width}-${view.scheme}.png`);
    await mkdir(PICTURES, { recursive: true });
    expect(await look(browser, page(), view, { screenshot })).toEqual(FINE);
    expect((await stat(screenshot)).size).toBeGreaterThan(10_000);
  });
});

describe('the pictures of the README', () => {
  it.each(README)('$name is what the page says at its top', async ({ name, height }) => {
    const screenshot = join(SHOWN, `${name}.png`);
    await mkdir(SHOWN, { recursive: true });
    await look(
      browser,
      pages[name] ?? '',
      { width: 1180, scheme: 'light' },
      { screenshot, height, full: false, axe: false },
    );
    expect((await stat(screenshot)).size).toBeGreaterThan(20_000);
    const readme = await readFile('README.md', 'utf8');
    expect(readme).toMatch(new RegExp(`<img [^>]*src="docs/pictures/${name}\\.png"`));
    // What somebody sees who has not made them anew.
    expect((await stat(`docs/pictures/${name}.png`)).size).toBeGreaterThan(20_000);
  });
});
