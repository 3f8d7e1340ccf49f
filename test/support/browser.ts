import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { AxeBuilder } from '@axe-core/playwright';
import chromium from '@sparticuz/chromium';
import { type Browser, chromium as playwright } from 'playwright-core';

/*
 * A real browser without a system package: Chromium from npm, headless. It unpacks itself below the temporary directory.
 */

/** How a page is looked at. */
export interface View {
  width: number;
  scheme: 'light' | 'dark';
}

/** What was seen of a page. */
export interface Seen {
  /** Errors on the console, and those that no script may have thrown. */
  errors: string[];
  /** Addresses that it asked for, beside its own. */
  requests: string[];
  /** By how many pixels it is wider than its window. */
  overflow: number;
  /** Of axe-core, one line each. */
  violations: string[];
}

/** What is seen of a page without a fault. */
export const FINE: Seen = { errors: [], requests: [], overflow: 0, violations: [] };

export async function openBrowser(): Promise<Browser> {
  // Without a graphics processor, and without the libraries for one.
  chromium.setGraphicsMode = false;
  return playwright.launch({
    executablePath: await chromium.executablePath(),
    // It is made for Lambda: in one process, which ends with the first page that is closed, and lax about origins.
    args: chromium.args.filter((arg) => !/^--(single-process|disable-web-security|headless)/.test(arg)),
    headless: true,
  });
}

/**
 * Opens a page from a file, as somebody would who has saved it.
 *
 * @param screenshot path of a PNG to write; of the whole page, unless `full` says otherwise
 * @param axe whether to look for what keeps people out, which takes most of the time
 */
export async function look(
  browser: Browser,
  text: string,
  { width, scheme }: View,
  {
    screenshot,
    height = 900,
    full = true,
    axe = true,
  }: { screenshot?: string; height?: number; full?: boolean; axe?: boolean } = {},
): Promise<Seen> {
  const directory = await mkdtemp(join(tmpdir(), 'tocsin-page-'));
  const context = await browser.newContext({
    viewport: { width, height },
    colorScheme: scheme,
    reducedMotion: 'reduce',
    locale: 'en-US',
    timezoneId: 'UTC',
  });
  try {
    const file = join(directory, 'page.html');
    await writeFile(file, text);
    const address = pathToFileURL(file).href;
    const page = await context.newPage();
    const errors: string[] = [];
    const requests: string[] = [];
    page.on('console', (message) => {
      if (['error', 'warning'].includes(message.type())) errors.push(message.text());
    });
    page.on('pageerror', (error) => errors.push(error.message));
    page.on('request', (request) => {
      const url = request.url();
      if (url !== address && !url.startsWith('data:')) requests.push(url);
    });
    await page.goto(address, { waitUntil: 'load' });
    const overflow = await page.evaluate('document.documentElement.scrollWidth - window.innerWidth');
    if (screenshot !== undefined) await page.screenshot({ path: screenshot, fullPage: full });
    // What is folded has to be as good.
    await page.evaluate('for (const one of document.querySelectorAll("details")) one.open = true');
    const { violations } = !axe
      ? { violations: [] }
      : await new AxeBuilder({ page })
          // Pages have no frames and load nothing: without looking for these it takes half the time.
          .setLegacyMode(true)
          .options({ preload: false, iframes: false, resultTypes: ['violations'] })
          .analyze();
    return {
      errors,
      requests,
      overflow: Math.max(0, Number(overflow)),
      violations: violations.map(
        ({ id, help, nodes }) =>
          `${id}: ${help} (${nodes.length}), as ${nodes[0]?.html.slice(0, 200)} ${nodes[0]?.failureSummary ?? ''}`,
      ),
    };
  } finally {
    await context.close();
    await rm(directory, { recursive: true, force: true });
  }
}
